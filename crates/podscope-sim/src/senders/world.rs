//! What the simulated devices say unasked: syslog lines and traps, as a function of time.

use std::fmt::Debug;

/// What is said between two times.
pub trait ReportWorld: Send + Sync + Debug {
    /// Everything said in `after_ms < t <= until_ms`, oldest first. The same span always says the same.
    fn reports(&self, after_ms: i64, until_ms: i64) -> Vec<Report>;
}

/// One line or trap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub t_ms: i64,
    /// Who says it: `leaf-a01`, `emea-gpu-07`, `vms-1`.
    pub host: String,
    pub what: Said,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    Syslog {
        /// `kernel`, `bgpd`, `switchd`, ...
        program: String,
        /// As in RFC 5424: 0 emergency to 7 debug.
        severity: u8,
        text: String,
    },
    Trap(TrapReport),
}

/// An SNMP notification: its object identifier and its variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrapReport {
    /// Dotted: `1.3.6.1.6.3.1.1.5.3` is linkDown.
    pub oid: String,
    pub variables: Vec<(String, TrapValue)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrapValue {
    Integer(i32),
    Text(String),
    Oid(String),
    Counter(u32),
    Gauge(u32),
    Ticks(u32),
}

/// Reports written down beforehand, for tests.
#[derive(Clone, Debug, Default)]
pub struct FixedReports(pub Vec<Report>);

impl ReportWorld for FixedReports {
    fn reports(&self, after_ms: i64, until_ms: i64) -> Vec<Report> {
        let said = self
            .0
            .iter()
            .filter(|report| report.t_ms > after_ms && report.t_ms <= until_ms);
        let mut said: Vec<Report> = said.cloned().collect();
        said.sort_by_key(|report| report.t_ms);
        said
    }
}
