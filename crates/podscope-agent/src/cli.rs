//! The command line of `podscope-agent`. Output goes to the writers that are passed in.

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use podscope_collect::gpu::{RealNvml, child_main};
use podscope_model::event::EventSink;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::agent::{Agent, RunningAgent, StartOptions};
use crate::collectors::known_collectors;
use crate::config::{Config, check, reference};
use crate::events::Inbox;
use crate::{chain, slurm, state::AgentState};

#[derive(Debug, Parser)]
#[command(
    name = "podscope-agent",
    version,
    about = "Collects this node's counters, keeps their history, answers PromQL"
)]
#[command(args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the agent (what happens without a command too)
    Run(Run),
    /// Print or check a configuration
    Config(ConfigCommand),
    /// The child process that speaks to the NVIDIA driver
    #[command(hide = true)]
    NvmlChild,
}

#[derive(Debug, Args)]
struct Run {
    /// Configuration file (TOML); without one, the defaults
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Listen here instead of where the configuration says
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Keep the history here instead of where the configuration says
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// The node's name instead of the configuration's or the host's
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
    /// Serve beyond loopback without TLS and token: everyone who reaches the port can read everything
    #[arg(long)]
    insecure: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct ConfigCommand {
    /// Print a commented file with every key at its default
    #[arg(long)]
    default: bool,
    /// Check a file: "ok", or the line, the key and the remedy of the first mistake
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
}

/// Runs the program with the given arguments, the first of them its name.
pub fn main(
    arguments: impl IntoIterator<Item = OsString>,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            let shown = if error.use_stderr() {
                write!(err, "{error}")
            } else {
                write!(out, "{error}")
            };
            return exit(shown.is_ok() && !error.use_stderr(), 2);
        }
    };
    let result = match cli.command {
        None => run(cli.run),
        Some(Command::Run(options)) => run(options),
        Some(Command::Config(ConfigCommand {
            check: Some(file), ..
        })) => check::load(&file, &known_collectors())
            .map_err(|error| chain(&error))
            .and_then(|_| writeln!(out, "{}: ok", file.display()).map_err(|error| error.to_string())),
        Some(Command::Config(_)) => {
            write!(out, "{}", reference::default_toml()).map_err(|error| error.to_string())
        }
        Some(Command::NvmlChild) => nvml_child(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            drop(writeln!(err, "podscope-agent: {message}"));
            ExitCode::FAILURE
        }
    }
}

fn exit(success: bool, failure: u8) -> ExitCode {
    if success {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(failure)
    }
}

/// Reads NVML for the agent that started this process, until that agent is gone.
fn nvml_child() -> Result<(), String> {
    child_main(RealNvml::new(), std::io::stdin().lock(), std::io::stdout().lock())
        .map_err(|error| chain(&error))
}

fn run(options: Run) -> Result<(), String> {
    let mut config = match &options.config {
        Some(file) => check::load(file, &known_collectors()).map_err(|error| chain(&error))?,
        None => Config::default(),
    };
    if let Some(listen) = options.listen {
        config.listen = listen;
    }
    if let Some(data_dir) = options.data_dir {
        config.data_dir = Some(data_dir);
    }
    if let Some(instance) = options.instance {
        config.instance = Some(instance);
    }
    log_to_stderr(&config)?;
    raise_file_limit();
    // One thread serves; queries run on a few others that end when idle. A hub reads many answers at once.
    let mut runtime = match config.fanout.is_hub() {
        true => tokio::runtime::Builder::new_multi_thread(),
        false => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime
        .enable_all()
        .max_blocking_threads(
            usize::try_from(config.limits.max_concurrent_queries)
                .unwrap_or(4)
                .saturating_add(4),
        )
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    // Collectors that report events are given this before the agent has a store for them.
    let inbox = Inbox::new();
    let start = StartOptions {
        insecure: options.insecure,
        config_file: options.config,
        inbox: Some(Arc::clone(&inbox)),
        changes: Some(Agent::change_book(&config).map_err(|error| chain(&error))?),
    };
    runtime.block_on(async {
        let signals = Signals::listen()?;
        let incidents = Arc::new(slurm::EventIncidents::new(Arc::clone(&inbox)));
        let events: Arc<dyn EventSink> = inbox;
        let mut collectors = Agent::collectors(&config, &events).map_err(|error| chain(&error))?;
        if let Some(book) = &start.changes {
            collectors.extend(Agent::changes_collector(&config, &events, book));
        }
        let (more, scheduler) = slurm::collectors(&config, incidents).map_err(|error| chain(&error))?;
        collectors.extend(more);
        let agent = Agent::start(config, start, collectors)
            .await
            .map_err(|error| chain(&error))?;
        if let Some(scheduler) = scheduler {
            scheduler.attach(&agent.state);
        }
        serve_until_told(agent, signals).await
    })
}

/// Lets the agent keep open what it reads every few seconds: the files of hundreds of containers. The soft limit of 1024 is
/// for programs that use `select`.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    const WANTED: u64 = 8192;
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(WANTED).min(WANTED);
    if limit.current.is_some_and(|current| current < most) {
        limit.current = Some(most);
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
    }
}

/// The signals the agent obeys. Listened to before it says that it is there: a hangup in between would end it.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("cannot listen for signals: {error}"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }
}

/// `SIGTERM` and `SIGINT` stop the agent, `SIGHUP` reloads.
async fn serve_until_told(agent: RunningAgent, mut signals: Signals) -> Result<(), String> {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break,
            _ = signals.interrupt.recv() => break,
            _ = signals.hangup.recv() => reload(&agent.state),
        }
    }
    tracing::info!("stopping");
    agent
        .stop()
        .await
        .map_err(|error| format!("cannot close the history: {}", chain(&error)))?;
    tracing::info!("stopped");
    Ok(())
}

fn reload(state: &AgentState) {
    if let Err(error) = state.reload() {
        tracing::error!(%error, "the configuration was not read again; all stays as it was");
    }
}

fn log_to_stderr(config: &Config) -> Result<(), String> {
    use std::io::IsTerminal;
    let filter: tracing_subscriber::EnvFilter =
        config.log.parse().map_err(|error| format!("log: {error}"))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .finish();
    tracing::subscriber::set_global_default(subscriber).map_err(|error| error.to_string())
}
