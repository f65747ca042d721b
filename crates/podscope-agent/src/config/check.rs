//! Reading the file, and what can be wrong with it. Every error names the file, the line and the key, and says what to
//! do.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::rules::{TOKEN_REMEDY, weak_token};
use super::{Config, SECTIONS, Section, WriteAccess};
use crate::secret::Secret;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{file}:{line}: {key}{message}; {remedy}", file = file.display(),
        key = if key.is_empty() { String::new() } else { format!("key `{key}`: ") })]
    Key {
        file: PathBuf,
        line: usize,
        /// Dotted path of the key; empty when the text is not TOML at all.
        key: String,
        message: String,
        remedy: String,
    },
    #[error("cannot read the {what} {path}")]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the {what} {path} {reason}")]
    Content {
        what: &'static str,
        path: PathBuf,
        reason: String,
    },
}

/// Reads and checks a file. `collectors` are the names that may stand in `[collectors]`.
///
/// # Errors
/// The first mistake found.
pub fn load(file: &Path, collectors: &[&str]) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Read {
        path: file.to_owned(),
        source,
    })?;
    parse(file, &text, collectors)
}

/// Checks the text of a configuration; `file` is only named in errors.
///
/// # Errors
/// The first mistake found.
pub fn parse(file: &Path, text: &str, collectors: &[&str]) -> Result<Config, ConfigError> {
    let located = |key: String, span: Option<Range<usize>>, message: String, remedy: String| {
        let until = span.map_or(0, |span| span.start).min(text.len());
        let line = text.as_bytes()[..until]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        ConfigError::Key {
            file: file.to_owned(),
            line,
            key,
            message,
            remedy,
        }
    };
    let document = DeTable::parse(text).map_err(|error| {
        let message = error.message().replace('\n', " ");
        located(
            String::new(),
            error.span(),
            message,
            "the file must be TOML".to_owned(),
        )
    })?;
    let document = document.into_inner();
    if let Some((key, span, remedy)) = unknown_key(&document) {
        return Err(located(key, Some(span), "unknown key".to_owned(), remedy));
    }
    let config: Config = toml::from_str(text).map_err(|error| {
        let key = error
            .span()
            .and_then(|span| key_at(&document, &span))
            .unwrap_or_default();
        let remedy = format!("see `podscope-agent config --default` for what {key} takes");
        located(key, error.span(), error.message().replace('\n', " "), remedy)
    })?;
    config.faults(collectors).map_err(|fault| {
        let span = span_of(&document, &fault.key);
        located(fault.key.join("."), span, fault.message, fault.remedy)
    })?;
    Ok(config)
}

/// The first key that no section declares, with its place and a remedy.
fn unknown_key(document: &DeTable<'_>) -> Option<(String, Range<usize>, String)> {
    let root = &SECTIONS[0];
    let tables = SECTIONS.iter().filter(|section| !section.name.is_empty());
    for (name, value) in document {
        let text = name.get_ref().as_ref();
        if let Some(section) = tables.clone().find(|section| section.name == text) {
            let Some(table) = value.get_ref().as_table() else {
                continue;
            };
            for key in table.keys() {
                let inner = key.get_ref().as_ref();
                if !section.keys.iter().any(|known| known.name == inner) {
                    let remedy = suggestion(inner, section);
                    return Some((format!("{text}.{inner}"), key.span(), remedy));
                }
            }
        } else if !root.keys.iter().any(|known| known.name == text) {
            return Some((text.to_owned(), name.span(), suggestion(text, root)));
        }
    }
    None
}

/// Where an unknown key most likely belongs.
fn suggestion(unknown: &str, section: &Section) -> String {
    let close = |name: &str| strsim::damerau_levenshtein(unknown, name) <= 1 + unknown.len() / 4;
    let own = section.keys.iter().map(|key| key.name);
    let tables = SECTIONS
        .iter()
        .map(|table| table.name)
        .filter(|_| section.name.is_empty());
    let best = own
        .chain(tables)
        .filter(|name| close(name))
        .min_by_key(|name| strsim::damerau_levenshtein(unknown, name));
    if let Some(best) = best {
        return format!("did you mean `{best}`?");
    }
    for other in &SECTIONS {
        if other.keys.iter().any(|key| key.name == unknown) {
            return match other.name {
                "" => format!("`{unknown}` belongs to the top of the file, before the first [table]"),
                name => format!("`{unknown}` belongs into the table [{name}]"),
            };
        }
    }
    "`podscope-agent config --default` prints every key there is".to_owned()
}

/// The path of the key whose value lies around `span`.
fn key_at(document: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    document.iter().find_map(|(name, value)| {
        let inside = value.span().start <= span.start && span.end <= value.span().end;
        let inner = value.get_ref().as_table().and_then(|table| key_at(table, span));
        match inner {
            Some(inner) => Some(format!("{}.{inner}", name.get_ref())),
            None => inside.then(|| name.get_ref().to_string()),
        }
    })
}

/// Where the value of a key stands; of the innermost part of the path that is in the file.
fn span_of(document: &DeTable<'_>, path: &[String]) -> Option<Range<usize>> {
    let (first, rest) = path.split_first()?;
    let (name, value) = document
        .iter()
        .find(|(name, _)| name.get_ref().as_ref() == first.as_str())?;
    let inner = match value.get_ref() {
        DeValue::Table(table) => span_of(table, rest),
        _ => None,
    };
    inner.or_else(|| Some(name.span()))
}

impl Config {
    /// The token from `token` or `token_file`, if any.
    ///
    /// # Errors
    /// A file that cannot be read, or a token too short to be one.
    pub fn load_token(&self) -> Result<Option<Secret>, ConfigError> {
        token_of(self.token.as_ref(), self.token_file.as_deref())
    }

    /// Who may write, with the token read.
    ///
    /// # Errors
    /// As [`Config::load_token`].
    pub fn load_write(&self) -> Result<WriteAccess, ConfigError> {
        Ok(WriteAccess {
            token: token_of(self.write.token.as_ref(), self.write.token_file.as_deref())?,
            peers: self.write.peers.clone(),
        })
    }
}

fn token_of(token: Option<&Secret>, file: Option<&Path>) -> Result<Option<Secret>, ConfigError> {
    let Some(path) = file else {
        return Ok(token.cloned());
    };
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
        what: "token file",
        path: path.to_owned(),
        source,
    })?;
    let token = Secret::new(text.lines().next().unwrap_or_default().trim());
    match weak_token(&token) {
        Some(reason) => Err(ConfigError::Content {
            what: "token file",
            path: path.to_owned(),
            reason: format!("{reason}; {TOKEN_REMEDY}"),
        }),
        None => Ok(Some(token)),
    }
}
