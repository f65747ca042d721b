//! Finding a Grafana: `$GRAFANA_HOME`; `/usr/share/grafana` with `grafana` on PATH; one downloaded before; the official
//! tarball of a named version, refused without a checksum or an explicit flag.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use sha2::{Digest, Sha256};

#[derive(Clone, Debug, Default, Args)]
pub(crate) struct GrafanaArguments {
    /// A Grafana installation to use (the folder with bin/, conf/ and public/).
    #[arg(long, env = "GRAFANA_HOME", value_name = "DIR")]
    pub(crate) grafana_home: Option<PathBuf>,
    /// Do not use Grafana even where there is one.
    #[arg(long)]
    pub(crate) no_grafana: bool,
    /// Where no Grafana is installed, download the official tarball of this version.
    #[arg(long, value_name = "VERSION")]
    pub(crate) grafana_download: Option<String>,
    /// SHA-256 the downloaded tarball must have.
    #[arg(long, value_name = "HEX", requires = "grafana_download")]
    pub(crate) grafana_sha256: Option<String>,
    /// Use the downloaded tarball without a checksum.
    #[arg(long, requires = "grafana_download", conflicts_with = "grafana_sha256")]
    pub(crate) grafana_unverified: bool,
    /// A mirror of the tarball, for machines that cannot reach the official one.
    #[arg(long, value_name = "URL", requires = "grafana_download")]
    pub(crate) grafana_url: Option<String>,
}

/// A Grafana that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grafana {
    pub(crate) executable: PathBuf,
    pub(crate) home: PathBuf,
}

impl Grafana {
    /// The installation in a folder, when it is complete.
    fn in_folder(home: &Path) -> anyhow::Result<Self> {
        let executable = home.join("bin/grafana");
        for needed in [
            executable.as_path(),
            &home.join("conf/defaults.ini"),
            &home.join("public"),
        ] {
            if !needed.exists() {
                bail!(
                    "{} is no Grafana installation: {} is missing",
                    home.display(),
                    needed.display()
                );
            }
        }
        Ok(Self {
            executable,
            home: home.to_owned(),
        })
    }
}

/// Where downloads are kept.
fn cache() -> anyhow::Result<PathBuf> {
    if let Some(folder) = std::env::var_os("PODSCOPE_CACHE") {
        return Ok(PathBuf::from(folder));
    }
    let home =
        std::env::var_os("HOME").context("HOME is not set; set PODSCOPE_CACHE to a folder for downloads")?;
    Ok(Path::new(&home).join(".cache/podscope"))
}

/// Finds a Grafana, or says in one line why there is none.
pub(crate) async fn find(arguments: &GrafanaArguments) -> anyhow::Result<Result<Grafana, String>> {
    if arguments.no_grafana {
        return Ok(Err("not wanted (--no-grafana)".to_owned()));
    }
    if let Some(home) = &arguments.grafana_home {
        return Grafana::in_folder(home).map(Ok);
    }
    if let Some(found) = debian(Path::new("/usr/share/grafana"), std::env::var_os("PATH")) {
        return Ok(Ok(found));
    }
    if let Some(found) = downloaded(&cache()?) {
        return Ok(Ok(found));
    }
    match &arguments.grafana_download {
        Some(version) => download(version, arguments, &cache()?).await.map(Ok),
        None => Ok(Err("none is installed; set GRAFANA_HOME, install the grafana package, or give --grafana-download VERSION \
                        --grafana-sha256 HEX"
            .to_owned())),
    }
}

/// The Debian package's layout.
fn debian(home: &Path, path: Option<std::ffi::OsString>) -> Option<Grafana> {
    if !home.join("conf/defaults.ini").is_file() {
        return None;
    }
    let executable = std::env::split_paths(&path?)
        .map(|folder| folder.join("grafana"))
        .find(|file| file.is_file())?;
    Some(Grafana {
        executable,
        home: home.to_owned(),
    })
}

/// The newest one downloaded before.
fn downloaded(cache: &Path) -> Option<Grafana> {
    let mut folders: Vec<PathBuf> = fs::read_dir(cache)
        .ok()?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("grafana-"))
        .map(|entry| entry.path())
        .collect();
    folders.sort();
    folders
        .iter()
        .rev()
        .find_map(|folder| Grafana::in_folder(folder).ok())
}

/// The name Grafana gives the machine's architecture.
fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        _ => "amd64",
    }
}

async fn download(version: &str, arguments: &GrafanaArguments, cache: &Path) -> anyhow::Result<Grafana> {
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '.' | '-' | '+');
    if version.is_empty() || !version.chars().all(plain) {
        bail!("{version:?} is no version of Grafana; give one such as 12.4.0");
    }
    if arguments.grafana_sha256.is_none() && !arguments.grafana_unverified {
        bail!(
            "refusing to run a downloaded Grafana {version} unchecked: give its checksum with --grafana-sha256 (from grafana.com's \
             download page), or --grafana-unverified"
        );
    }
    let url = arguments.grafana_url.clone().unwrap_or_else(|| {
        format!(
            "https://dl.grafana.com/oss/release/grafana-{version}.linux-{}.tar.gz",
            arch()
        )
    });
    let body = fetch(&url).await.with_context(|| format!("downloading {url}"))?;
    let found: String = Sha256::digest(&body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if let Some(wanted) = &arguments.grafana_sha256
        && !found.eq_ignore_ascii_case(wanted.trim())
    {
        bail!("{url} has the SHA-256 {found}, not {wanted}; nothing was unpacked");
    }
    fs::create_dir_all(cache).with_context(|| format!("creating {}", cache.display()))?;
    let target = cache.join(format!("grafana-{version}"));
    let unpacked = tempfile::tempdir_in(cache).context("making a folder to unpack in")?;
    tar::Archive::new(flate2::read::GzDecoder::new(body.as_slice()))
        .unpack(unpacked.path())
        .with_context(|| format!("unpacking {url}"))?;
    let inner = fs::read_dir(unpacked.path())?
        .flatten()
        .next()
        .context("the tarball is empty")?
        .path();
    Grafana::in_folder(&inner).context("the tarball holds no Grafana")?;
    if target.exists() {
        fs::remove_dir_all(&target)?;
    }
    fs::rename(&inner, &target).with_context(|| format!("moving the download to {}", target.display()))?;
    Grafana::in_folder(&target)
}

async fn fetch(url: &str) -> anyhow::Result<Vec<u8>> {
    let _already = rustls::crypto::ring::default_provider().install_default();
    let answer = reqwest::Client::new().get(url).send().await?.error_for_status()?;
    Ok(answer.bytes().await?.to_vec())
}

/// The version an executable says it has, as `grafana --version` prints it.
pub(crate) fn version(grafana: &Grafana) -> Option<String> {
    let mut child = std::process::Command::new(&grafana.executable)
        .arg("--version")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .ok()?;
    let mut text = String::new();
    child.stdout.take()?.read_to_string(&mut text).ok()?;
    child.wait().ok()?;
    text.split_whitespace()
        .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installation(folder: &Path) {
        fs::create_dir_all(folder.join("bin")).expect("temp");
        fs::create_dir_all(folder.join("conf")).expect("temp");
        fs::create_dir_all(folder.join("public")).expect("temp");
        fs::write(folder.join("bin/grafana"), "").expect("temp");
        fs::write(folder.join("conf/defaults.ini"), "").expect("temp");
    }

    #[test]
    fn an_incomplete_home_is_refused_with_what_is_missing() {
        let folder = tempfile::tempdir().expect("temp");
        let error = Grafana::in_folder(folder.path()).expect_err("empty").to_string();
        assert!(error.contains("bin/grafana"), "{error}");
    }

    #[test]
    fn the_debian_layout_needs_both_home_and_command() {
        let folder = tempfile::tempdir().expect("temp");
        installation(folder.path());
        assert_eq!(debian(folder.path(), Some("/nowhere".into())), None);
        let found =
            debian(folder.path(), Some(folder.path().join("bin").into_os_string())).expect("both are there");
        assert_eq!(found.home, folder.path());
    }

    fn tarball(version: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("temp");
        installation(folder.path());
        let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(
            Vec::new(),
            flate2::Compression::fast(),
        ));
        archive
            .append_dir_all(format!("grafana-{version}"), folder.path())
            .expect("in memory");
        archive
            .into_inner()
            .and_then(flate2::write::GzEncoder::finish)
            .expect("in memory")
    }

    async fn serve(body: Vec<u8>) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("loopback");
        let address = listener.local_addr().expect("bound");
        let router = axum::Router::new().route("/g.tar.gz", axum::routing::get(|| async move { body }));
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}/g.tar.gz")
    }

    #[tokio::test]
    async fn a_download_is_refused_without_checksum_and_with_a_wrong_one_and_used_with_the_right_one() {
        let body = tarball("12.4.0");
        let sum: String = Sha256::digest(&body)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let cache = tempfile::tempdir().expect("temp");
        let mut arguments = GrafanaArguments {
            grafana_url: Some(serve(body).await),
            ..GrafanaArguments::default()
        };

        let error = download("12.4.0", &arguments, cache.path())
            .await
            .expect_err("no checksum")
            .to_string();
        assert!(error.contains("--grafana-sha256"), "{error}");
        arguments.grafana_sha256 = Some("00".repeat(32));
        let error = download("12.4.0", &arguments, cache.path())
            .await
            .expect_err("wrong checksum")
            .to_string();
        assert!(
            error.contains(&sum) && error.contains("nothing was unpacked"),
            "{error}"
        );
        assert_eq!(downloaded(cache.path()), None);

        arguments.grafana_sha256 = Some(sum);
        let found = download("12.4.0", &arguments, cache.path())
            .await
            .expect("right checksum");
        assert_eq!(downloaded(cache.path()), Some(found));
        let error = download("../12", &arguments, cache.path())
            .await
            .expect_err("a path")
            .to_string();
        assert!(error.contains("no version"), "{error}");
    }
}
