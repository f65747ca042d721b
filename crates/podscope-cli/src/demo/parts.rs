//! Starting the parts in order, waiting until each is ready, and watching them until the end.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::process::Process;
use super::state::{self, Part, State, Target};
use super::{Play, START_LIMIT, StartArguments, provision, refuse_second};
use crate::grafana;
use crate::ports;
use crate::preview::SECRETS;

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A started part and the child behind it.
struct Running {
    part: Part,
    child: Child,
    log: PathBuf,
}

/// Runs the demo until it is stopped or a part ends.
pub(crate) async fn supervise(
    arguments: &StartArguments,
    own_arguments: &[String],
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let folder = arguments.place.folder()?;
    refuse_second(&folder)?;
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for Ctrl-C")?;
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;

    let mut running = Vec::new();
    let started = tokio::select! {
        started = start(arguments, own_arguments, &folder, &mut running, out) => started,
        _ = interrupt.recv() => Err(anyhow::anyhow!("stopped while starting")),
        _ = terminate.recv() => Err(anyhow::anyhow!("stopped while starting")),
    };
    let outcome = match started {
        Ok(state) => {
            state.print(out)?;
            writeln!(out, "Ctrl-C stops everything.")?;
            out.flush()?;
            tokio::select! {
                ended = first_end(&mut running) => Err(ended),
                _ = interrupt.recv() => Ok(()),
                _ = terminate.recv() => Ok(()),
            }
        }
        Err(error) => Err(error),
    };
    stop(&mut running).await;
    State::remove(&folder)?;
    outcome
}

async fn start(
    arguments: &StartArguments,
    own_arguments: &[String],
    folder: &Path,
    running: &mut Vec<Running>,
    out: &mut impl Write,
) -> anyhow::Result<State> {
    let home =
        fs::canonicalize(&arguments.home).with_context(|| format!("--home {}", arguments.home.display()))?;
    if !home.join("dashboards").is_dir() {
        bail!(
            "{} has no dashboards/; give the installation's folder with --home",
            home.display()
        );
    }
    let plugin = arguments.plugin.clone().unwrap_or_else(|| home.join("plugin"));
    let plugin = fs::canonicalize(&plugin)
        .with_context(|| format!("the plugin's folder {} (give it with --plugin)", plugin.display()))?;
    let found = grafana::find(&arguments.grafana).await?;
    if found.is_err() && !arguments.listen.is_loopback() {
        bail!(
            "the preview page that stands in for Grafana listens on loopback only; leave out --listen {}",
            arguments.listen
        );
    }
    ports::check_free(
        SocketAddr::new(LOOPBACK, arguments.agent_port),
        "the agent",
        "--agent-port",
    )?;
    ports::check_free(
        SocketAddr::new(arguments.listen, arguments.port),
        "the web page",
        "--port",
    )?;

    let mut state = State {
        supervisor: Process::own().context("reading /proc/self")?,
        arguments: own_arguments.to_vec(),
        parts: Vec::new(),
        targets: Vec::new(),
        grafana: None,
        no_grafana: None,
        credentials: None,
        web: format!("http://{}", SocketAddr::new(arguments.listen, arguments.port)),
        ready: false,
    };
    state.write(folder)?;

    writeln!(
        out,
        "starting this machine's agent and {} simulated nodes",
        nodes(arguments)
    )?;
    out.flush()?;
    let agent = start_agent(arguments, folder)?;
    state.targets.push(Target {
        url: agent.part.url.clone(),
        instance: None,
        labels: BTreeMap::new(),
    });
    running.push(agent);
    // The storage cluster's management server of the simulated pod.
    let vms_port = match arguments.scenario {
        Play::Sev1 => Some(ports::free().context("finding a free port")?),
        Play::None => None,
    };
    let vms = vms_port.map(|port| format!("http://{}", SocketAddr::new(LOOPBACK, port)));
    let (sim, targets_file) = start_sim(arguments, folder, vms_port)?;
    running.push(sim);
    wait_ready(running, 0).await?;
    state.targets.extend(wait_targets(running, &targets_file).await?);
    state.parts = running.iter().map(|one| one.part.clone()).collect();
    state.write(folder)?;

    match found {
        Ok(grafana) => {
            writeln!(out, "starting Grafana from {}", grafana.home.display())?;
            let given = provision::provision(
                folder,
                &home,
                &plugin,
                (&state.targets, vms.as_deref()),
                arguments.listen,
                arguments.port,
            )?;
            state.grafana = Some(grafana::version(&grafana).unwrap_or_default());
            state.credentials = Some(given.credentials.clone());
            let mut command = Command::new(&grafana.executable);
            command
                .args(["server", "--homepath"])
                .arg(&grafana.home)
                .arg("--config")
                .arg(&given.ini)
                .env("PODSCOPE_DASHBOARDS", home.join("dashboards"));
            let health = format!("{}/api/health", state.web);
            running.push(spawn(folder, "grafana", command, state.web.clone(), health)?);
        }
        Err(reason) => {
            writeln!(out, "no Grafana: {reason}; going on with the preview page")?;
            state.no_grafana = Some(reason);
            let settings = folder.join("datasource.json");
            let mut data = provision::json_data(&state.targets, vms.as_deref());
            data[SECRETS] = provision::secure_json_data(vms.as_deref());
            provision::write_private(&settings, &data.to_string())?;
            let mut command = Command::new(own_executable()?);
            command
                .arg("preview")
                .arg("--home")
                .arg(&home)
                .arg("--plugin")
                .arg(&plugin)
                .arg("--settings")
                .arg(&settings)
                .args(["--port", &arguments.port.to_string()]);
            let health = format!("{}/api/health", state.web);
            running.push(spawn(folder, "preview", command, state.web.clone(), health)?);
        }
    }
    out.flush()?;
    let last = running.len() - 1;
    wait_ready(running, last).await?;
    state.parts = running.iter().map(|one| one.part.clone()).collect();
    state.ready = true;
    state.write(folder)?;
    Ok(state)
}

fn own_executable() -> anyhow::Result<PathBuf> {
    std::env::current_exe().context("finding our own executable")
}

/// A program installed beside ours.
fn sibling(name: &str) -> anyhow::Result<PathBuf> {
    let path = own_executable()?.with_file_name(name);
    if !path.is_file() {
        bail!(
            "{} is missing; build it with `cargo build --bins` or install it beside `podscope`",
            path.display()
        );
    }
    Ok(path)
}

fn spawn(
    folder: &Path,
    name: &str,
    mut command: Command,
    url: String,
    health: String,
) -> anyhow::Result<Running> {
    let log = state::log_path(folder, name);
    let file = state::create_log(&log)?;
    let child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone().context("sharing the log file")?)
        .stderr(file)
        // Ctrl-C reaches the whole foreground group; the parts are stopped by us, in order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    let process = child
        .id()
        .and_then(Process::of)
        .with_context(|| format!("{name} ended at once; see its log"))?;
    Ok(Running {
        part: Part {
            name: name.to_owned(),
            process,
            url,
            health,
        },
        child,
        log,
    })
}

fn start_agent(arguments: &StartArguments, folder: &Path) -> anyhow::Result<Running> {
    let data = folder.join("agent");
    fs::create_dir_all(&data).with_context(|| format!("creating {}", data.display()))?;
    let config = folder.join("agent.toml");
    let address = SocketAddr::new(LOOPBACK, arguments.agent_port);
    let text = format!(
        "listen = \"{address}\"\ndata_dir = {}\n[write]\npeers = [\"127.0.0.1\"]\n",
        toml::Value::from(data.display().to_string())
    );
    fs::write(&config, text).with_context(|| format!("writing {}", config.display()))?;
    let mut command = Command::new(sibling("podscope-agent")?);
    command.arg("run").arg("--config").arg(&config);
    spawn(
        folder,
        "agent",
        command,
        format!("http://{address}"),
        format!("http://{address}/-/ready"),
    )
}

/// How many nodes are simulated.
fn nodes(arguments: &StartArguments) -> usize {
    arguments.nodes.unwrap_or(match arguments.scenario {
        Play::Sev1 => 64,
        Play::None => 4,
    })
}

fn start_sim(
    arguments: &StartArguments,
    folder: &Path,
    vms_port: Option<u16>,
) -> anyhow::Result<(Running, PathBuf)> {
    let data = folder.join("sim");
    if data.exists() {
        // Simulated history is made afresh, to end now.
        fs::remove_dir_all(&data).with_context(|| format!("clearing {}", data.display()))?;
    }
    fs::create_dir_all(&data).with_context(|| format!("creating {}", data.display()))?;
    let targets = folder.join("sim-targets.json");
    if targets.exists() {
        fs::remove_file(&targets)?;
    }
    let mut command = Command::new(sibling("podscope-sim")?);
    command
        .args([
            "--nodes",
            &nodes(arguments).to_string(),
            "--gpus",
            &arguments.gpus.to_string(),
        ])
        .args(["--backfill", &arguments.backfill_hours.to_string()])
        .args(match arguments.scenario {
            Play::Sev1 => &["--scenario", "sev1"][..],
            Play::None => &["--sliced"][..],
        })
        .arg("--data-dir")
        .arg(&data)
        .arg("--targets")
        .arg(&targets)
        .args(vms_port.map(|port| format!("--vms-port={port}")));
    Ok((
        spawn(folder, "sim", command, String::new(), String::new())?,
        targets,
    ))
}

/// An entry of the target list in Prometheus's file-SD form.
#[derive(serde::Deserialize)]
struct FileSd {
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Waits for the simulator's target list, which it writes when every node answers.
async fn wait_targets(running: &mut [Running], file: &Path) -> anyhow::Result<Vec<Target>> {
    let begin = Instant::now();
    loop {
        if let Ok(text) = fs::read_to_string(file)
            && let Ok(groups) = serde_json::from_str::<Vec<FileSd>>(&text)
        {
            let mut found = Vec::new();
            for FileSd { targets, mut labels } in groups {
                let instance = labels.remove("instance");
                found.extend(targets.into_iter().map(|address| Target {
                    url: if address.contains("://") {
                        address
                    } else {
                        format!("http://{address}")
                    },
                    instance: instance.clone(),
                    labels: labels.clone(),
                }));
            }
            let first = found.first().context("the simulator lists no node")?;
            if let Some(sim) = running.iter_mut().find(|one| one.part.name == "sim") {
                sim.part.url = first.url.clone();
                sim.part.health = format!("{}/-/ready", first.url);
            }
            return Ok(found);
        }
        check_alive(running)?;
        if begin.elapsed() > START_LIMIT {
            bail!(
                "the simulated nodes are not ready after {} s",
                START_LIMIT.as_secs()
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn wait_ready(running: &mut [Running], index: usize) -> anyhow::Result<()> {
    let begin = Instant::now();
    loop {
        let part = running[index].part.clone();
        let answer = part.check().await;
        let Err(reason) = answer else { return Ok(()) };
        check_alive(running)?;
        if begin.elapsed() > START_LIMIT {
            bail!(
                "{} is not ready after {} s: {reason}",
                part.name,
                START_LIMIT.as_secs()
            );
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

/// The end of a part's log, for the error that names it.
fn ended(name: &str, status: std::process::ExitStatus, log: &Path) -> anyhow::Error {
    let text = fs::read_to_string(log).unwrap_or_default();
    anyhow::anyhow!(
        "{name} ended ({status}); the end of {}:\n{}",
        log.display(),
        state::tail(&text, 15)
    )
}

fn check_alive(running: &mut [Running]) -> anyhow::Result<()> {
    for one in running {
        if let Some(status) = one.child.try_wait().context("watching a part")? {
            return Err(ended(&one.part.name, status, &one.log));
        }
    }
    Ok(())
}

/// Waits until any part ends, and says which.
async fn first_end(running: &mut [Running]) -> anyhow::Error {
    loop {
        if let Err(error) = check_alive(running) {
            return error;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn stop(running: &mut Vec<Running>) {
    while let Some(mut one) = running.pop() {
        one.part.process.terminate();
        let gone = tokio::time::timeout(Duration::from_secs(10), one.child.wait()).await;
        if gone.is_err() {
            // It ignored SIGTERM.
            let _killed = one.child.kill().await;
        }
    }
}
