//! `cargo xtask`: what the scripts call. `generate` writes the files that are made from the catalog, `check` fails when they
//! drifted or a house rule is broken, `package` lays out the plugin as Grafana loads it, `bench` measures beside a peer.

mod bench;
mod checks;
mod generate;
mod package;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "xtask", about = "Drift checks, code generation, packaging")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Writes the files generated from the catalog.
    Generate,
    /// Fails when a generated file drifted or a house rule is broken.
    Check,
    /// Measures beside a peer; `scripts/bench` calls it.
    Bench(bench::BenchArguments),
    /// Lays out the plugin folder as Grafana loads it: manifests, frontend, backend executable.
    Package {
        /// The built backend executable.
        #[arg(long)]
        backend: PathBuf,
        /// The folder to make; an existing one is replaced.
        #[arg(long)]
        out: PathBuf,
    },
}

fn main() -> Result<()> {
    // As cargo says it now, not when this was compiled: clones may share one target folder.
    let here = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_else(|_| env!("CARGO_MANIFEST_DIR").to_owned());
    let root = Path::new(&here)
        .ancestors()
        .nth(2)
        .context("xtask lies two folders below the repository root")?;
    match Arguments::parse().task {
        Task::Generate => generate::write(root),
        Task::Check => checks::run(root),
        Task::Bench(arguments) => bench::run(arguments),
        Task::Package { backend, out } => package::package(root, &backend, &out),
    }
}
