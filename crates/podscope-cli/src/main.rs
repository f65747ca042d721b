//! `podscope`: the operator's command line.

mod alerts;
mod convert;
mod demo;
mod event;
mod explain;
mod export;
mod grafana;
mod history;
mod import;
mod json_spans;
mod ports;
mod preview;
mod query;
mod rules;
mod scenario;
mod sim;
mod stress;
mod table;
mod time;
mod usage;
mod verify;
mod web;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "podscope",
    version,
    about = "A GPU pod's war room inside Grafana: the command line"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Starts a simulated cluster, an agent on this machine, and Grafana (or the preview page) with everything provisioned.
    Demo(demo::DemoArguments),
    /// Evaluates PromQL against agents, or against a file of samples.
    Query(query::QueryArguments),
    /// Checks a running set-up part by part.
    Verify(verify::VerifyArguments),
    /// Works on an agent's history on disk.
    History {
        #[command(subcommand)]
        action: history::HistoryAction,
    },
    /// Writes samples of agents into a file: OpenMetrics, CSV or Parquet.
    Export(export::ExportArguments),
    /// Reads samples of the past from a file into an agent.
    Import(import::ImportArguments),
    /// Tells agents what happened, and asks them.
    Event {
        #[command(subcommand)]
        action: event::EventCommand,
    },
    /// Lets things go wrong on the simulated nodes that run.
    Sim {
        #[command(subcommand)]
        action: sim::SimAction,
    },
    /// Loads this machine's parts, to see it on the dashboards.
    Stress {
        #[command(subcommand)]
        action: stress::StressAction,
    },
    /// Works on dashboards.
    Dashboards {
        #[command(subcommand)]
        action: DashboardAction,
    },
    /// GPU-hours held and wasted, per person or group, over a day, a week or a month.
    Usage(usage::UsageArguments),
    /// Looks at Grafana's alerts, and tries out its contact points.
    Alerts {
        #[command(subcommand)]
        action: alerts::AlertsCommand,
    },
    /// Looks at the shipped alert rules.
    Rules {
        #[command(subcommand)]
        action: rules::RulesCommand,
    },
    /// Serves the preview page; `demo` starts it where there is no Grafana.
    #[command(hide = true)]
    Preview(preview::PreviewArguments),
}

#[derive(Debug, Subcommand)]
enum DashboardAction {
    /// Points a dashboard made for Grafana's Prometheus datasource at Podscope: datasource references and the
    /// datasource variable's plugin id change, nothing else.
    Convert {
        /// The dashboard's JSON file; `-` reads standard input.
        file: PathBuf,
        /// Where to write; standard output when absent.
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
        /// The uid to put where the file names a Prometheus datasource by its own uid.
        #[arg(long, default_value = "podscope")]
        uid: String,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    // Two workers: the commands wait for others most of the time.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let result = runtime
        .context("starting the async runtime")
        .and_then(|runtime| runtime.block_on(run(arguments)));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => stress::NoLibrary::exit_code(&error).unwrap_or_else(|| {
            let _ignored = writeln!(std::io::stderr(), "podscope: {error:#}");
            ExitCode::FAILURE
        }),
    }
}

/// Answers whether the command succeeded; what it had to say has then been said.
async fn run(arguments: Arguments) -> anyhow::Result<bool> {
    let mut out = std::io::stdout();
    let mut err = std::io::stderr();
    match arguments.command {
        Command::Demo(arguments) => demo::run(arguments, &mut out).await,
        Command::Query(arguments) => query::run(arguments, &mut out, &mut err).await,
        Command::Verify(arguments) => verify::run(arguments, &mut out).await,
        Command::Usage(arguments) => usage::run(&arguments, &mut out).await,
        Command::Alerts { action } => alerts::run(action, &mut out).await,
        Command::Rules { action } => rules::run(&action, &mut out).await,
        Command::History { action } => history::run(&action, &mut out),
        Command::Event { action } => event::run(action, &mut out, &mut err).await,
        Command::Export(arguments) => export::run(arguments, &mut out, &mut err).await,
        Command::Import(arguments) => import::run(arguments, &mut out).await,
        Command::Sim { action } => sim::run(action, &mut out).await,
        Command::Stress { action } => stress::run(action, &mut out, &mut err).await,
        Command::Preview(arguments) => preview::run(arguments).await.map(|()| true),
        Command::Dashboards {
            action:
                DashboardAction::Convert {
                    file,
                    out: target,
                    uid,
                },
        } => {
            let text = if file.as_os_str() == "-" {
                std::io::read_to_string(std::io::stdin()).context("reading standard input")?
            } else {
                std::fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?
            };
            let done = convert::convert(&text, &uid).with_context(|| file.display().to_string())?;
            match &target {
                Some(path) => {
                    std::fs::write(path, &done.text).with_context(|| format!("writing {}", path.display()))?
                }
                None => out.write_all(done.text.as_bytes())?,
            }
            writeln!(err, "{} references changed", done.changed)?;
            for left in &done.left {
                writeln!(err, "left as it was: {left}")?;
            }
            Ok(true)
        }
    }
}
