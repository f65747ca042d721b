//! What one collection costs on this machine: CPU time of each host collector.
//!
//! `cargo run --release -p podscope-collect --example collection_cost [COLLECTIONS]`

use std::io::Write as _;
use std::sync::Arc;

use podscope_collect::{HostConfig, RealFs, host_collectors};
use podscope_model::batch::Row;
use rustix::time::{ClockId, clock_gettime};

fn thread_time_ns() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn main() -> std::io::Result<()> {
    let rounds: u32 = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(1000);
    let fs = Arc::new(RealFs::default());
    let mut out = std::io::stdout().lock();
    let (mut per_round, mut per_second, mut series) = (0.0, 0.0, 0);
    for mut collector in host_collectors(fs, &HostConfig::default()) {
        let descriptor = collector.descriptor();
        if !collector.detect().is_present() {
            writeln!(out, "{:<12} not present", descriptor.name)?;
            continue;
        }
        let mut row = Row::new();
        let mut times = Vec::with_capacity(rounds as usize);
        for _ in 0..rounds {
            row.begin();
            let before = thread_time_ns();
            let result = collector.collect(&mut row);
            times.push(thread_time_ns() - before);
            if let Err(error) = result {
                writeln!(out, "{}: {error}", descriptor.name)?;
                break;
            }
        }
        times.sort_unstable();
        let mean = times.iter().sum::<i64>() as f64 / times.len() as f64 / 1000.0;
        let median = times[times.len() / 2] as f64 / 1000.0;
        per_round += mean;
        per_second += mean * 1000.0 / descriptor.interval_ms as f64;
        series += row.len();
        writeln!(
            out,
            "{:<12} {median:8.1} us median {mean:8.1} us mean {:5} series every {:2} s",
            descriptor.name,
            row.len(),
            descriptor.interval_ms / 1000
        )?;
    }
    writeln!(
        out,
        "all together {per_round:.0} us, at their intervals {per_second:.0} us per second, {series} series"
    )
}
