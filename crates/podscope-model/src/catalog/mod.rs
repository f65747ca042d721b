//! The metric catalog: one declaration per metric, from which HELP and TYPE text, frame units, the TypeScript names and
//! `docs/metrics.md` are made, and against which dashboards and collectors are checked.
//!
//! Raw metric names outside this module are a lint error (`cargo xtask check`): refer to the constants.

pub mod agent;
pub mod alias;
pub mod changes;
pub mod container;
pub mod ds01;
pub mod ethtool;
pub mod gpu;
pub mod host;
pub mod kernel;
pub mod nccl;
pub mod process;
pub mod rdma;
pub mod slo;
pub mod slurm;
pub mod storage;
pub mod switch;
pub mod vast;

/// What kind of number a metric is; decides TYPE text and which functions make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Counter,
    Gauge,
    /// Classic histogram: `_bucket`, `_sum`, `_count`.
    Histogram,
    Summary,
    /// Not known; exporters call it "untyped".
    Unknown,
}

impl Kind {
    /// The word after `# TYPE name`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Unknown => "untyped",
        }
    }
}

/// The unit of a metric's values, and what Grafana calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A count or a plain number.
    None,
    Bytes,
    /// Mebibytes: dcgm-exporter's frame-buffer gauges.
    Mebibytes,
    KibibytesPerSecond,
    BytesPerSecond,
    /// 10^6 bytes per second: VAST's `r_mbs`, `w_mbs`.
    MegabytesPerSecond,
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
    /// Seconds since 1970.
    Timestamp,
    Celsius,
    Watts,
    /// Millijoules: dcgm-exporter's energy counter.
    Millijoules,
    Joules,
    Megahertz,
    Hertz,
    Volts,
    RotationsPerMinute,
    /// 0 to 100.
    Percent,
    /// 0 to 1.
    Ratio,
    /// 0 or 1.
    Bool,
    /// An enumeration or bit mask.
    Code,
}

impl Unit {
    /// Grafana's id of the unit (`@grafana/data` value formats), as panels and frame configs carry it.
    pub fn grafana(self) -> &'static str {
        match self {
            Self::None | Self::Code => "short",
            Self::Bytes => "bytes",
            Self::Mebibytes => "mbytes",
            Self::KibibytesPerSecond => "KiBs",
            Self::BytesPerSecond => "binBps",
            Self::MegabytesPerSecond => "MBs",
            Self::Seconds => "s",
            Self::Milliseconds => "ms",
            Self::Microseconds => "µs",
            Self::Nanoseconds => "ns",
            Self::Timestamp => "dateTimeAsIso",
            Self::Celsius => "celsius",
            Self::Watts => "watt",
            Self::Millijoules => "mJ",
            Self::Joules => "joule",
            Self::Megahertz => "rotmhz",
            Self::Hertz => "hertz",
            Self::Volts => "volt",
            Self::RotationsPerMinute => "rotrpm",
            Self::Percent => "percent",
            Self::Ratio => "percentunit",
            Self::Bool => "bool",
        }
    }

    /// The word OpenMetrics puts after `# UNIT name`, for units it knows; the name must end in it.
    pub fn openmetrics(self) -> Option<&'static str> {
        match self {
            Self::Bytes => Some("bytes"),
            Self::Seconds | Self::Timestamp => Some("seconds"),
            Self::Celsius => Some("celsius"),
            Self::Ratio => Some("ratio"),
            Self::Volts => Some("volts"),
            Self::Joules => Some("joules"),
            Self::Hertz => Some("hertz"),
            _ => None,
        }
    }
}

/// Which `job` label a metric's series carry (rule of the design: dashboards written for scraped exporters find what they
/// select on).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Job {
    /// node_exporter's metrics.
    Node,
    /// dcgm-exporter's metrics.
    Dcgm,
    /// Containers' counters, under cAdvisor's names.
    Containers,
    /// Processes on GPUs.
    Processes,
    /// Allocations of a shared GPU server.
    Ds01,
    /// The scheduler.
    Slurm,
    /// Promises to tenants, and what breaking them costs.
    Slo,
    /// Ethernet switches.
    Switch,
    /// NCCL: logs, collectives, RAS.
    Nccl,
    /// The agent's own.
    Podscope,
    /// A VAST cluster's, under the names of VAST's exporter.
    Vast,
}

impl Job {
    pub const ALL: [Job; 11] = [
        Job::Node,
        Job::Dcgm,
        Job::Containers,
        Job::Processes,
        Job::Ds01,
        Job::Slurm,
        Job::Slo,
        Job::Switch,
        Job::Nccl,
        Job::Podscope,
        Job::Vast,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Dcgm => "dcgm",
            Self::Containers => "containers",
            Self::Processes => "processes",
            Self::Ds01 => "ds01",
            Self::Slurm => "slurm",
            Self::Slo => "slo",
            Self::Switch => "switch",
            Self::Nccl => "nccl",
            Self::Podscope => "podscope",
            Self::Vast => "vast",
        }
    }
}

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct MetricDef {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    /// One sentence; becomes the HELP line.
    pub help: &'static str,
    /// The labels the series may carry, without `instance`, `job` and node labels.
    pub labels: &'static [&'static str],
    pub job: Job,
    /// Where the number comes from: a file, a call.
    pub origin: &'static str,
}

/// Declares metrics as constants and lists them in `ALL`.
///
/// ```text
/// metrics! { Job::Node;
///     NODE_LOAD1 = Gauge, None, "node_load1", [], "1m load average.", "/proc/loadavg";
/// }
/// ```
macro_rules! metrics {
    ($job:expr; $($id:ident = $kind:ident, $unit:ident, $name:literal, $labels:tt, $help:literal, $origin:literal;)*) => {
        $(
            #[doc = $help]
            pub const $id: $crate::catalog::MetricDef = $crate::catalog::MetricDef {
                name: $name,
                kind: $crate::catalog::Kind::$kind,
                unit: $crate::catalog::Unit::$unit,
                help: $help,
                labels: $crate::catalog::label_names!($labels),
                job: $job,
                origin: $origin,
            };
        )*
        /// Every metric of this part of the catalog.
        pub const ALL: &[&$crate::catalog::MetricDef] = &[$(&$id),*];
    };
}
pub(crate) use metrics;

/// Label names, listed in place or as a constant of several metrics.
macro_rules! label_names {
    ([$($label:literal),*]) => { &[$($label),*] };
    ($list:ident) => { $list };
}
pub(crate) use label_names;

/// Every metric of the catalog, part by part.
pub fn all() -> impl Iterator<Item = &'static MetricDef> {
    [
        host::ALL,
        kernel::ALL,
        gpu::ALL,
        alias::ALL,
        container::ALL,
        process::ALL,
        ds01::ALL,
        slurm::ALL,
        slo::ALL,
        switch::ALL,
        rdma::ALL,
        ethtool::ALL,
        storage::nvme::ALL,
        storage::nfs::ALL,
        storage::latency::ALL,
        nccl::logs::ALL,
        nccl::inspector::ALL,
        nccl::ras::ALL,
        agent::ALL,
        changes::ALL,
        vast::ALL,
    ]
    .into_iter()
    .flatten()
    .copied()
}

/// The catalog entry of a metric name; for a histogram's `_bucket`, `_sum` and `_count` too.
pub fn find(name: &str) -> Option<&'static MetricDef> {
    use std::collections::HashMap;
    use std::sync::OnceLock;
    static INDEX: OnceLock<HashMap<&'static str, &'static MetricDef>> = OnceLock::new();
    let index = INDEX.get_or_init(|| all().map(|def| (def.name, def)).collect());
    index.get(name).copied().or_else(|| {
        ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .and_then(|base| index.get(base).copied())
            .filter(|def| def.kind == Kind::Histogram)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_name_is_declared_once_and_every_help_is_a_sentence() {
        let mut seen = HashSet::new();
        for def in all() {
            assert!(seen.insert(def.name), "{} is declared twice", def.name);
            assert!(
                def.help.ends_with('.'),
                "{}: the help text lacks its full stop",
                def.name
            );
            assert!(!def.origin.is_empty(), "{}: no origin", def.name);
        }
        assert!(!seen.is_empty());
    }
}
