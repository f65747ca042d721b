//! The token for slurmrestd: a JWT that Slurm signed. Its end is read from it, so that an expired one is told before Slurm
//! only says "authentication failure".

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use podscope_collect::slurm::SlurmError;
use serde::Deserialize;

use crate::secret::Secret;

/// A token as it stands in a file, read again when the file changes.
#[derive(Debug)]
pub(super) struct TokenFile {
    path: PathBuf,
    read: Option<(SystemTime, Secret, Claims)>,
}

/// What Slurm writes into a token: its user (`sun`) and its end.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Claims {
    #[serde(default)]
    pub(super) sun: Option<String>,
    #[serde(default)]
    exp: Option<u64>,
}

impl TokenFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, read: None }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The token and what it says.
    pub(super) fn get(&mut self, user: &str, now: SystemTime) -> Result<(Secret, Claims), SlurmError> {
        let failed = |why: String| SlurmError::Token {
            file: self.path.display().to_string(),
            why,
        };
        let changed = std::fs::metadata(&self.path)
            .and_then(|file| file.modified())
            .map_err(|error| failed(error.to_string()))?;
        if self.read.as_ref().is_none_or(|(read, ..)| *read != changed) {
            let text = std::fs::read_to_string(&self.path).map_err(|error| failed(error.to_string()))?;
            // `scontrol token` prints `SLURM_JWT=eyJ...`.
            let line = text.lines().map(str::trim).find(|line| !line.is_empty());
            let token = line.unwrap_or_default();
            let token = token.strip_prefix("SLURM_JWT=").unwrap_or(token);
            if token.is_empty() {
                return Err(failed("it is empty".to_owned()));
            }
            if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(failed(
                    "it holds characters that cannot stand in a header".to_owned(),
                ));
            }
            // What is no JWT is Slurm's to refuse.
            let claims = claims(token).unwrap_or_default();
            self.read = Some((changed, Secret::new(token), claims));
        }
        let Some((_, token, claims)) = self.read.clone() else {
            return Err(failed("it is empty".to_owned()));
        };
        let end = claims
            .exp
            .map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds.min(1 << 40)));
        if let Some(ago) = end.and_then(|end| now.duration_since(end).ok()) {
            return Err(SlurmError::Expired {
                file: self.path.display().to_string(),
                user: claims.sun.unwrap_or_else(|| user.to_owned()),
                ago: Duration::from_secs(ago.as_secs()),
            });
        }
        Ok((token, claims))
    }
}

fn claims(token: &str) -> Option<Claims> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    serde_json::from_slice(&base64_url(payload)?).ok()
}

/// Base64 with `-` and `_` and without padding (RFC 4648, 5).
fn base64_url(text: &str) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A token as `scontrol token` prints it, signed with a key nobody has: ends at 1795251091, user alice.
    const TOKEN: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJleHAiOjE3OTUyNTEwOTEsImlhdCI6MTc5NTI0NzQ5MSwic3VuIjoiYWxpY2UifQ.c2lnbmF0dXJl";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_says_whose_it_is_and_when_it_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        std::fs::write(&path, format!("SLURM_JWT={TOKEN}\n")).expect("written");
        let mut file = TokenFile::new(path);
        let (token, claims) = file.get("?", at(1_795_251_000)).expect("valid");
        assert_eq!(token.expose(), TOKEN);
        assert_eq!(claims.sun.as_deref(), Some("alice"));
        let error = file.get("?", at(1_795_251_101)).expect_err("expired").to_string();
        for part in [
            "expired 10s ago",
            "username=alice",
            &file.path().display().to_string(),
        ] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_new_token_is_taken_as_soon_as_it_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let mut file = TokenFile::new(path.clone());
        let error = file.get("bob", at(0)).expect_err("no file").to_string();
        assert!(
            error.contains("token") && error.contains("scontrol token"),
            "{error}"
        );
        std::fs::write(&path, "\n").expect("written");
        assert!(
            file.get("bob", at(0))
                .expect_err("empty")
                .to_string()
                .contains("is empty")
        );
        let old = std::fs::metadata(&path)
            .and_then(|file| file.modified())
            .expect("a time");
        std::fs::write(&path, "opaque").expect("written");
        // File systems with coarse clocks: the change must be seen by its time.
        let later = std::fs::File::options().write(true).open(&path).expect("open");
        later.set_modified(old + Duration::from_secs(2)).expect("set");
        assert_eq!(file.get("bob", at(0)).expect("taken").0.expose(), "opaque");
        std::fs::write(&path, "line\u{7}").expect("written");
        later.set_modified(old + Duration::from_secs(4)).expect("set");
        assert!(file.get("bob", at(0)).is_err());
    }
}
