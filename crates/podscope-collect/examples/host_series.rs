//! Prints every host series of this machine, as `name{labels} value`: to be compared with another exporter's.
//!
//! `cargo run -p podscope-collect --example host_series`

use std::io::Write as _;
use std::sync::Arc;

use podscope_collect::{HostConfig, RealFs, Support, host_collectors};
use podscope_model::batch::Row;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for mut collector in host_collectors(Arc::new(RealFs::default()), &HostConfig::default()) {
        let name = collector.descriptor().name;
        if let Support::NotPresent(reason) = collector.detect() {
            writeln!(out, "# {name}: not present: {reason}")?;
            continue;
        }
        let mut row = Row::new();
        if let Err(error) = collector.collect(&mut row) {
            writeln!(out, "# {name}: {error}")?;
        }
        for problem in collector.take_problems() {
            writeln!(out, "# {name}: {problem}")?;
        }
        for (column, value) in row.samples() {
            writeln!(out, "{} {value}", column.labels)?;
        }
    }
    Ok(())
}
