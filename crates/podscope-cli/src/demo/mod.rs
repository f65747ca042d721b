//! `podscope demo`: a simulated cluster, an agent on this machine, and Grafana with the plugin and everything provisioned;
//! where no Grafana can be had, the preview page over the same plugin.
//!
//! One supervisor starts the parts as child processes and stops them all when it is stopped or one of them ends. What runs
//! is written to `state.json` in the state folder, so that `stop`, `status` and `logs` find it from another terminal.

mod parts;
mod process;
mod provision;
pub(crate) mod state;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};

use crate::grafana::GrafanaArguments;
use state::State;

/// How long the parts may take to become ready. Grafana migrates its database on its first start, and a day of a whole pod
/// takes two cores some two minutes.
const START_LIMIT: Duration = Duration::from_secs(600);

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct DemoArguments {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    start: StartArguments,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Stops everything the demo started.
    Stop(Place),
    /// Stops it and starts it again with the options it had, in the background.
    Restart(Place),
    /// Says what runs. Exit status 0 when every part is healthy, 1 when not.
    Status {
        #[command(flatten)]
        place: Place,
        /// Print nothing, only exit.
        #[arg(long)]
        quiet: bool,
    },
    /// Prints the log of a part, or the end of all.
    Logs {
        #[command(flatten)]
        place: Place,
        /// agent, sim, grafana, preview or demo.
        part: Option<String>,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// Where the demo keeps its state, data and logs. Default: podscope/demo in the user's state folder.
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

impl Place {
    #[cfg(test)]
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self {
            state_dir: Some(folder),
        }
    }

    pub(crate) fn folder(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.state_dir {
            return std::path::absolute(folder).context("the state folder's path");
        }
        let base = std::env::var_os("XDG_STATE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/state")))
            .context("neither XDG_STATE_HOME nor HOME is set; give --state-dir")?;
        Ok(base.join("podscope/demo"))
    }
}

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Play {
    Sev1,
    None,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct StartArguments {
    #[command(flatten)]
    place: Place,
    /// The folder that holds dashboards/, provisioning/ and the built preview page.
    #[arg(long, value_name = "DIR", default_value = ".")]
    home: PathBuf,
    /// The plugin's folder as `cargo xtask package` lays it out.
    #[arg(long, value_name = "DIR")]
    plugin: Option<PathBuf>,
    /// What the simulated nodes play: `sev1`, a pod of 64 nodes in an incident two hours and a quarter old, or `none`, four
    /// nodes at work.
    #[arg(long, value_enum, value_name = "NAME", default_value_t = Play::Sev1)]
    scenario: Play,
    /// Simulated nodes; not given: as the scenario has.
    #[arg(long)]
    nodes: Option<usize>,
    /// GPUs of each.
    #[arg(long, default_value_t = 8)]
    gpus: usize,
    /// Hours of history the simulated nodes begin with.
    #[arg(long, default_value_t = 24)]
    backfill_hours: u64,
    /// Address Grafana listens on; the preview page takes loopback only.
    #[arg(long, value_name = "ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,
    /// Port of Grafana or the preview page.
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Port of this machine's agent.
    #[arg(long, default_value_t = 9477)]
    agent_port: u16,
    /// Go on in the background once everything is ready.
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    grafana: GrafanaArguments,
}

pub(crate) async fn run(arguments: DemoArguments, out: &mut impl Write) -> anyhow::Result<bool> {
    match arguments.action {
        None if arguments.start.detach => {
            detach(&arguments.start.place.folder()?, &own_arguments(), out).await
        }
        None => parts::supervise(&arguments.start, &own_arguments(), out)
            .await
            .map(|()| true),
        Some(Action::Stop(place)) => stop(&place.folder()?, out).await,
        Some(Action::Restart(place)) => {
            let folder = place.folder()?;
            let known =
                State::read(&folder)?.context("the demo is not running; start it with `podscope demo`")?;
            stop(&folder, out).await?;
            detach(&folder, &known.arguments, out).await
        }
        Some(Action::Status { place, quiet }) => status(&place.folder()?, quiet, out).await,
        Some(Action::Logs { place, part }) => logs(&place.folder()?, part.as_deref(), out),
    }
}

/// This command's own arguments, so that the supervisor in the background and `restart` get the same.
fn own_arguments() -> Vec<String> {
    std::env::args()
        .skip(1)
        .filter(|argument| argument != "--detach")
        .collect()
}

/// Starts the supervisor in the background and waits until it is ready or gone.
async fn detach(
    folder: &std::path::Path,
    arguments: &[String],
    out: &mut impl Write,
) -> anyhow::Result<bool> {
    use std::os::unix::process::CommandExt;
    refuse_second(folder)?;
    let log = state::log_path(folder, "demo");
    let file = state::create_log(&log)?;
    let mut child = Command::new(std::env::current_exe().context("finding our own executable")?)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(file.try_clone().context("sharing the log file")?)
        .stderr(file)
        .process_group(0)
        .spawn()
        .context("starting the demo in the background")?;
    let begin = Instant::now();
    loop {
        if let Some(state) = State::read(folder)?.filter(|state| state.ready) {
            state.print(out)?;
            return Ok(true);
        }
        if let Some(ended) = child.try_wait().context("watching the demo")? {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            bail!("the demo ended ({ended}):\n{}", state::tail(&text, 20));
        }
        if begin.elapsed() > START_LIMIT + Duration::from_secs(10) {
            bail!(
                "the demo is not ready after {} s; see {}",
                begin.elapsed().as_secs(),
                log.display()
            );
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// One demo per state folder.
fn refuse_second(folder: &std::path::Path) -> anyhow::Result<()> {
    match State::read(folder)? {
        Some(state) if state.supervisor.is_alive() => {
            bail!(
                "the demo is running already (pid {}); `podscope demo status` says more, `podscope demo stop` ends it",
                state.supervisor.pid
            )
        }
        _ => Ok(()),
    }
}

async fn stop(folder: &std::path::Path, out: &mut impl Write) -> anyhow::Result<bool> {
    let Some(state) = State::read(folder)? else {
        writeln!(out, "the demo is not running")?;
        return Ok(true);
    };
    state.supervisor.terminate();
    let begin = Instant::now();
    while state.supervisor.is_alive() && begin.elapsed() < Duration::from_secs(30) {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // A supervisor that was killed leaves its parts behind: end them by what the state file knows.
    for part in state.parts.iter().rev() {
        part.process.end().await;
    }
    state.supervisor.end().await;
    State::remove(folder)?;
    writeln!(out, "stopped")?;
    Ok(true)
}

async fn status(folder: &std::path::Path, quiet: bool, out: &mut impl Write) -> anyhow::Result<bool> {
    let Some(state) = State::read(folder)? else {
        if !quiet {
            writeln!(out, "the demo is not running")?;
        }
        return Ok(false);
    };
    let mut healthy = state.ready && state.supervisor.is_alive();
    let mut lines = Vec::new();
    for part in &state.parts {
        let answer = if part.process.is_alive() {
            part.check().await
        } else {
            Err("not running".to_owned())
        };
        healthy &= answer.is_ok();
        let word = answer.err().unwrap_or_else(|| "healthy".to_owned());
        lines.push(format!(
            "{:<8} pid {:<8} {}  {word}",
            part.name, part.process.pid, part.url
        ));
    }
    if !quiet {
        for line in lines {
            writeln!(out, "{line}")?;
        }
        writeln!(out, "{}", if healthy { "healthy" } else { "not healthy" })?;
    }
    Ok(healthy)
}

fn logs(folder: &std::path::Path, part: Option<&str>, out: &mut impl Write) -> anyhow::Result<bool> {
    let known = state::logs(folder);
    if known.is_empty() {
        bail!("there are no logs in {}; start the demo first", folder.display());
    }
    match part {
        Some(name) => {
            let path = state::log_path(folder, name);
            if !known.iter().any(|(part, _)| part == name) {
                let names: Vec<&str> = known.iter().map(|(part, _)| part.as_str()).collect();
                bail!("there is no part {name:?}; its parts are {}", names.join(", "));
            }
            let text =
                std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
            write!(out, "{text}")?;
        }
        None => {
            for (name, path) in known {
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                writeln!(out, "== {name} ({})\n{}", path.display(), state::tail(&text, 15))?;
            }
        }
    }
    Ok(true)
}

/// The backend executable in a packaged plugin folder, under the name Grafana looks for.
pub(crate) fn plugin_executable(plugin: &std::path::Path) -> anyhow::Result<PathBuf> {
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let path = plugin.join(format!("gpx_podscope_{}_{arch}", std::env::consts::OS));
    if !path.is_file() {
        bail!(
            "{} is missing; lay the plugin out with `cargo xtask package`",
            path.display()
        );
    }
    Ok(path)
}
