//! node_exporter's metrics, under its names and labels: one file per collector.
//!
//! Names, kinds and help texts follow node_exporter 1.12 (Apache-2.0), so that dashboards and alerts written for it run
//! unchanged.

use super::MetricDef;

pub mod conntrack;
pub mod cpu;
pub mod diskstats;
pub mod entropy;
pub mod filefd;
pub mod filesystem;
pub mod hwmon;
pub mod loadavg;
pub mod meminfo;
pub mod netclass;
pub mod netdev;
pub mod nvme;
pub mod os_release;
pub mod pressure;
pub mod sockstat;
pub mod stat;
pub mod time;
pub mod uname;
pub mod vmstat;

pub use conntrack::*;
pub use cpu::*;
pub use diskstats::*;
pub use entropy::*;
pub use filefd::*;
pub use filesystem::*;
pub use hwmon::*;
pub use loadavg::*;
pub use meminfo::*;
pub use netclass::*;
pub use netdev::*;
pub use nvme::*;
pub use os_release::*;
pub use pressure::*;
pub use sockstat::*;
pub use stat::*;
pub use time::*;
pub use uname::*;
pub use vmstat::*;

const PARTS: &[&[&MetricDef]] = &[
    conntrack::ALL,
    cpu::ALL,
    diskstats::ALL,
    entropy::ALL,
    filefd::ALL,
    filesystem::ALL,
    hwmon::ALL,
    loadavg::ALL,
    meminfo::ALL,
    netclass::ALL,
    netdev::ALL,
    nvme::ALL,
    os_release::ALL,
    pressure::ALL,
    sockstat::ALL,
    stat::ALL,
    time::ALL,
    uname::ALL,
    vmstat::ALL,
];

const fn count(parts: &[&[&'static MetricDef]]) -> usize {
    let mut total = 0;
    let mut part = 0;
    while part < parts.len() {
        total += parts[part].len();
        part += 1;
    }
    total
}

const fn concat<const N: usize>(parts: &[&[&'static MetricDef]]) -> [&'static MetricDef; N] {
    let mut all = [parts[0][0]; N];
    let mut next = 0;
    let mut part = 0;
    while part < parts.len() {
        let mut at = 0;
        while at < parts[part].len() {
            all[next] = parts[part][at];
            next += 1;
            at += 1;
        }
        part += 1;
    }
    all
}

/// Every metric of every host collector.
pub const ALL: &[&MetricDef] = &concat::<{ count(PARTS) }>(PARTS);
