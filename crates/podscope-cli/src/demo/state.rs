//! What the demo has running, as `state.json` in its folder.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::process::Process;

/// One part of the demo.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) process: Process,
    pub(crate) url: String,
    /// Answers 200 when the part is healthy.
    pub(crate) health: String,
}

impl Part {
    /// Asks the part's health URL.
    pub(crate) async fn check(&self) -> Result<(), String> {
        let _already = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(std::time::Duration::from_secs(5))
            .build()
            .map_err(|error| error.to_string())?;
        match client.get(&self.health).send().await {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("{} answers {}", self.health, answer.status())),
            Err(error) if error.is_timeout() => Err(format!("{} does not answer", self.health)),
            Err(_) => Err(format!("{} cannot be reached", self.health)),
        }
    }
}

/// An agent the demo asks, as the target list has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) instance: Option<String>,
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub(crate) labels: std::collections::BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) supervisor: Process,
    /// The command line after the program's name.
    pub(crate) arguments: Vec<String>,
    pub(crate) parts: Vec<Part>,
    pub(crate) targets: Vec<Target>,
    /// Grafana's version, when Grafana is what runs.
    pub(crate) grafana: Option<String>,
    /// Why Grafana is not, when it is not.
    pub(crate) no_grafana: Option<String>,
    /// Where the login is kept.
    pub(crate) credentials: Option<PathBuf>,
    /// The page to open.
    pub(crate) web: String,
    pub(crate) ready: bool,
}

impl State {
    fn path(folder: &Path) -> PathBuf {
        folder.join("state.json")
    }

    /// What runs from this folder, if anything was started and not stopped.
    pub(crate) fn read(folder: &Path) -> anyhow::Result<Option<Self>> {
        let path = Self::path(folder);
        match fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text).map(Some).with_context(|| {
                format!(
                    "{} is damaged; remove it once nothing of the demo runs",
                    path.display()
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
        }
    }

    pub(crate) fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let path = Self::path(folder);
        let partial = path.with_extension("tmp");
        fs::write(&partial, serde_json::to_string_pretty(self)?)
            .and_then(|()| fs::rename(&partial, &path))
            .with_context(|| format!("writing {}", path.display()))
    }

    pub(crate) fn remove(folder: &Path) -> anyhow::Result<()> {
        match fs::remove_file(Self::path(folder)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).context("removing state.json")
            }
            _ => Ok(()),
        }
    }

    /// The URLs and the login, as the last lines of a start.
    pub(crate) fn print(&self, out: &mut impl Write) -> anyhow::Result<()> {
        writeln!(out)?;
        match (&self.grafana, &self.no_grafana) {
            (Some(version), _) => {
                writeln!(out, "Grafana {version}     {}", self.web)?;
                if let Some(file) = &self.credentials {
                    let login =
                        fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
                    writeln!(
                        out,
                        "  login            {}  (kept in {})",
                        login.trim(),
                        file.display()
                    )?;
                }
            }
            (None, reason) => {
                let reason = reason.as_deref().unwrap_or("not found");
                writeln!(out, "No Grafana: {reason}")?;
                writeln!(out, "Preview          {}", self.web)?;
            }
        }
        for (title, uid) in [
            ("war room", "podscope-war-room"),
            ("this machine", "podscope-node"),
            ("GPUs", "nvidia-dcgm"),
        ] {
            writeln!(out, "  {title:<16} {}/d/{uid}", self.web)?;
        }
        for part in self.parts.iter().filter(|part| part.name == "agent") {
            writeln!(out, "Agent            {}", part.url)?;
        }
        let simulated = self
            .targets
            .iter()
            .filter(|target| target.labels.contains_key("cluster"))
            .count();
        writeln!(out, "Simulated nodes  {simulated}")?;
        writeln!(
            out,
            "Try              podscope query 'rate(node_cpu_seconds_total{{mode=\"idle\"}}[1m])'"
        )?;
        Ok(())
    }
}

pub(crate) fn log_path(folder: &Path, part: &str) -> PathBuf {
    folder.join("logs").join(format!("{part}.log"))
}

pub(crate) fn create_log(path: &Path) -> anyhow::Result<fs::File> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    }
    fs::File::create(path).with_context(|| format!("creating {}", path.display()))
}

/// Every log in the folder: part and path.
pub(crate) fn logs(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut found: Vec<(String, PathBuf)> = fs::read_dir(folder.join("logs"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let path = entry.path();
            let name = path.file_stem()?.to_str()?.to_owned();
            (path.extension()? == "log").then_some((name, path))
        })
        .collect();
    found.sort();
    found
}

/// The last lines of a text.
pub(crate) fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
