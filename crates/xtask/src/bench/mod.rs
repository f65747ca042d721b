//! Measurements beside a peer, in the same run on the same machine. Numbers go to `docs/performance.md` by hand, with the
//! command that gets them again; nothing here is a test.

mod agent_cost;
mod fleet;
mod panels;
mod process;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// Folder with the built programs.
    #[arg(long, value_name = "DIR")]
    bin: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// CPU and memory of the agent at one second, beside Debian's prometheus-node-exporter scraped at one second.
    Agent {
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
    /// Range queries over a simulated cluster through the plugin protocol, beside Debian's Prometheus with the same samples.
    Panels {
        #[arg(long, default_value_t = 64)]
        nodes: usize,
        #[arg(long, default_value_t = 20)]
        repeats: usize,
    },
    /// Aggregates over many light nodes through the plugin protocol, asked flat or through hubs; memory under many queries.
    Fleet {
        #[arg(long, default_value_t = 1000)]
        nodes: usize,
        /// Hubs in between; 0: the plugin asks the nodes themselves.
        #[arg(long, default_value_t = 0)]
        hubs: usize,
        #[arg(long, default_value_t = 50)]
        repeats: usize,
        /// Queries at the same time when memory is measured.
        #[arg(long, default_value_t = 64)]
        clients: usize,
    },
}

pub(crate) fn run(arguments: BenchArguments) -> Result<()> {
    // An error means that somebody installed one already, which is as good.
    let _already = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match arguments.what {
            What::Agent { seconds } => agent_cost::run(&arguments.bin, seconds).await,
            What::Fleet {
                nodes,
                hubs,
                repeats,
                clients,
            } => {
                let size = fleet::Size {
                    nodes,
                    hubs,
                    repeats,
                    clients,
                };
                fleet::run(&arguments.bin, size).await
            }
            What::Panels { nodes, repeats } => panels::run(&arguments.bin, nodes, repeats).await,
        }
    })
}
