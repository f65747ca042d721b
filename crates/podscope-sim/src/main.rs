//! `podscope-sim`: a simulated GPU cluster on loopback.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use podscope_sim::pod::Scenario;
use podscope_sim::pod::model::story::{Cause, PRESENT};
use podscope_sim::pod::topology::Topology;
use podscope_sim::vms::{FixedWorld, SimVms, VmsOptions, VmsWorld};
use podscope_sim::{LightFleet, LightOptions, PodOptions, SimCluster, SimOptions, SimPod, SimTarget};
use serde_json::json;

const DEFAULT_NODES: usize = 4;
const DEFAULT_CLUSTER: &str = "sim";

/// Simulates a GPU cluster: each node is the real agent over made-up counters, on a port of its own.
#[derive(Debug, Parser)]
#[command(version)]
struct Args {
    /// Nodes; of a scenario 64 where nothing else is said.
    #[arg(long, default_value_t = DEFAULT_NODES)]
    nodes: usize,
    /// Nodes that weigh little, to see how asking many scales: an hour of three metrics per GPU every 15 s, no back-fill.
    #[arg(long, conflicts_with_all = ["backfill", "listen_base_port", "cpus", "seed"])]
    light: bool,
    /// With --light: number of the first node.
    #[arg(long, default_value_t = 0, requires = "light")]
    first: usize,
    /// GPUs per node.
    #[arg(long, default_value_t = 8)]
    gpus: u32,
    /// CPUs per node.
    #[arg(long, default_value_t = 16)]
    cpus: u32,
    /// Node i listens on 127.0.0.1 at this port plus i; 0: on free ports.
    #[arg(long, default_value_t = 0)]
    listen_base_port: u16,
    /// Hours of history at the start.
    #[arg(long, default_value_t = 24.0, value_name = "HOURS")]
    backfill: f64,
    /// Equal seeds give equal clusters.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the histories lie; without it in a temporary folder that is removed at the end.
    #[arg(long)]
    data_dir: Option<PathBuf>,
    /// Cut the last GPU of the last node into MIG slices.
    #[arg(long)]
    sliced: bool,
    /// The label `cluster` and the first part of the nodes' names; of a scenario `emea` where nothing else is said.
    #[arg(long, default_value = DEFAULT_CLUSTER)]
    cluster: String,
    /// Write the target list into this file instead of to standard output. It appears once the nodes can be asked.
    #[arg(long)]
    targets: Option<PathBuf>,
    /// Port on 127.0.0.1 of the control through which `podscope sim` begins and ends troubles; 0: none. Where the port is
    /// taken there is none either.
    #[arg(long, default_value_t = podscope_sim::control::DEFAULT_PORT)]
    control_port: u16,
    /// Port on 127.0.0.1 of a VAST management server beside the nodes: a scenario's storage cluster, or four CNodes under an
    /// even load, prefetch switched on half an hour before the start. User `podscope`, password `read-only-1`. Without: none.
    #[arg(long, conflicts_with = "light", value_name = "PORT")]
    vms_port: Option<u16>,
    /// Play a scenario on a whole pod instead: `sev1`.
    #[arg(long, conflicts_with_all = ["light", "sliced"])]
    scenario: Option<ScenarioName>,
    /// With --scenario: leave a cause out: spines, prefetch or rollback. May be repeated.
    #[arg(long, requires = "scenario", value_name = "CAUSE")]
    without: Vec<Cause>,
    /// With --scenario: nobody announces the change that is the cause.
    #[arg(long, requires = "scenario")]
    unannounced: bool,
    /// With --scenario: when the pod's present (10:40, an hour after the rollback) is: `now`, or a time of the scenario's day
    /// like `08:20`, which is then now.
    #[arg(long, requires = "scenario", default_value = "now", value_name = "TIME")]
    end: End,
    /// With --scenario: from now on time passes so many times faster.
    #[arg(long, requires = "scenario", default_value_t = 1.0, value_name = "FACTOR")]
    speed: f64,
    /// The form of the target list.
    #[arg(long, value_enum, default_value_t = Format::FileSd)]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ScenarioName {
    /// Aggressive prefetch fills a buffer for two hours, and then everything is slow.
    Sev1,
}

/// A moment of the scenario's day, in seconds since its midnight.
#[derive(Clone, Copy, Debug)]
struct End(f64);

impl std::str::FromStr for End {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "now" {
            return Ok(Self(PRESENT));
        }
        let parsed = text.split_once(':').and_then(|(hours, minutes)| {
            let hours = hours.parse::<u32>().ok().filter(|hours| *hours < 24)?;
            let minutes = minutes.parse::<u32>().ok().filter(|minutes| *minutes < 60)?;
            Some(f64::from(hours * 3_600 + minutes * 60))
        });
        parsed
            .map(Self)
            .ok_or_else(|| format!("{text:?} is neither `now` nor a time of the scenario's day like 08:20"))
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// Prometheus's file-based service discovery.
    FileSd,
    /// As the data source's settings hold it: `[{"url", "instance", "labels"}]`.
    Podscope,
}

fn target_list(targets: &[SimTarget], format: Format) -> anyhow::Result<String> {
    let file_sd = |target: &SimTarget| {
        let mut labels = target.labels.clone();
        labels.insert("instance".to_owned(), target.instance.clone());
        json!({ "targets": [target.url.trim_start_matches("http://")], "labels": labels })
    };
    let list = match format {
        Format::FileSd => json!(targets.iter().map(file_sd).collect::<Vec<_>>()),
        Format::Podscope => json!(targets),
    };
    Ok(serde_json::to_string_pretty(&list)? + "\n")
}

/// Writes the file whole or not at all: somebody may be waiting for it.
fn write_file(path: &Path, text: &str) -> anyhow::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path)?;
    Ok(())
}

/// Says where the nodes can be asked.
fn tell(args: &Args, targets: &[SimTarget]) -> anyhow::Result<()> {
    let list = target_list(targets, args.format)?;
    match &args.targets {
        Some(path) => write_file(path, &list).with_context(|| format!("cannot write {}", path.display())),
        None => Ok(std::io::stdout().lock().write_all(list.as_bytes())?),
    }
}

async fn told_to_end() -> anyhow::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => pressed?,
        _ = terminate.recv() => {}
    }
    Ok(())
}

async fn run_light(args: Args) -> anyhow::Result<()> {
    let mut fleet = LightFleet::start(LightOptions {
        nodes: args.nodes,
        first: args.first,
        gpus: args.gpus,
        cluster: args.cluster.clone(),
        data_dir: args.data_dir.clone(),
        ..LightOptions::default()
    })
    .await?;
    tell(&args, &fleet.targets())?;
    tracing::info!(nodes = args.nodes, "simulating light nodes");
    told_to_end().await?;
    fleet.stop();
    Ok(())
}

fn backfill(args: &Args) -> anyhow::Result<Duration> {
    Duration::try_from_secs_f64(args.backfill * 3_600.0).context("--backfill is no number of hours")
}

async fn run_scenario(args: Args) -> anyhow::Result<()> {
    if !(args.speed.is_finite() && args.speed > 0.0 && args.speed <= 1_000.0) {
        anyhow::bail!("--speed {} is not above 0 and at most 1000", args.speed);
    }
    let now_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let mut scenario = Scenario::sev1(args.seed, now_ms);
    let cluster = if args.cluster == DEFAULT_CLUSTER {
        "emea"
    } else {
        &args.cluster
    };
    let nodes = if args.nodes == DEFAULT_NODES {
        64
    } else {
        args.nodes
    };
    scenario.topology = Topology::new(cluster, nodes, args.gpus as usize);
    scenario.story.without = args.without.clone();
    scenario.clock.anchor = args.end.0;
    scenario.clock.speed = args.speed;
    let options = PodOptions {
        backfill: backfill(&args)?,
        data_dir: args.data_dir.clone(),
        base_port: args.listen_base_port,
        announced: !args.unannounced,
        vms_port: args.vms_port.unwrap_or(0),
        ..PodOptions::new(scenario)
    };
    let pod = SimPod::start(options).await?;
    tell(&args, &pod.targets())?;
    tracing::info!(
        nodes,
        "playing the scenario; {:.1} h of history filled in {:.1} s",
        args.backfill,
        pod.backfilled_in().as_secs_f64()
    );
    control(args.control_port, pod.control()).await;
    told_to_end().await?;
    pod.stop().await;
    Ok(())
}

/// The storage cluster's management server, where a port is given.
async fn management(port: Option<u16>, world: impl VmsWorld) -> anyhow::Result<Option<SimVms>> {
    let Some(port) = port else { return Ok(None) };
    let options = VmsOptions {
        port,
        ..VmsOptions::default()
    };
    let server = SimVms::start(world, options).await.with_context(|| {
        format!("no management server on 127.0.0.1:{port}; choose another port with --vms-port")
    })?;
    tracing::info!("the VAST management server listens on {}", server.url());
    Ok(Some(server))
}

/// Serves the control, unless the port is taken.
async fn control(port: u16, control: axum::Router) {
    if port == 0 {
        return;
    }
    match tokio::net::TcpListener::bind(("127.0.0.1", port)).await {
        Ok(listener) => {
            tokio::spawn(async move {
                if let Err(error) = axum::serve(listener, control).await {
                    tracing::error!(%error, "the control no longer serves");
                }
            });
        }
        Err(error) => tracing::warn!(
            %error,
            "no control on 127.0.0.1:{port}; choose another with --control-port"
        ),
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    if args.scenario.is_some() {
        return run_scenario(args).await;
    }
    if args.light {
        return run_light(args).await;
    }
    let backfill = backfill(&args)?;
    let cluster = SimCluster::start(SimOptions {
        nodes: args.nodes,
        gpus: args.gpus,
        cpus: args.cpus,
        backfill,
        seed: args.seed,
        base_port: args.listen_base_port,
        data_dir: args.data_dir.clone(),
        sliced: args.sliced,
        cluster: args.cluster.clone(),
        ..SimOptions::default()
    })
    .await?;
    let world = FixedWorld {
        prefetch_ms: Some(cluster.started_ms() - 1_800_000),
        ..FixedWorld::new(cluster.started_ms()).live()
    };
    // Kept while the nodes are.
    let _vms = management(args.vms_port, world).await?;
    tell(&args, &cluster.targets())?;
    tracing::info!(
        nodes = args.nodes,
        "simulating; {:.1} h of history filled in {:.1} s",
        args.backfill,
        cluster.backfilled_in().as_secs_f64()
    );
    control(args.control_port, cluster.control()).await;
    told_to_end().await?;
    cluster.stop().await;
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,podscope_history=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(run(args))
}
