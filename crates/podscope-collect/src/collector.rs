//! The contract between a source of numbers and the agent that schedules it.
//!
//! A collector reads one source and writes one row per interval. It is in one of three states: ok, failed (the error
//! says where), not present (the hardware or kernel lacks the source). It never writes 0 for what it does not know.

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, MetricDef};

use crate::error::CollectError;

/// What a collector is, fixed at compile time.
#[derive(Debug)]
pub struct Descriptor {
    /// Name in the config, in self-metrics and as the name of the collector's stream in the history.
    pub name: &'static str,
    /// The `job` label of its series.
    pub job: Job,
    /// Interval where the config names no other.
    pub interval_ms: u64,
    /// Every metric it may write.
    pub metrics: &'static [&'static MetricDef],
    /// The files, folders and calls it touches, for the scope law in CONTRIBUTING.
    pub touches: &'static [&'static str],
}

/// Whether this machine has what a collector reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Support {
    Present,
    /// The reason, as a sentence fragment: "no /sys/class/nvme".
    NotPresent(String),
}

impl Support {
    pub fn is_present(&self) -> bool {
        matches!(self, Self::Present)
    }
}

/// One source of numbers. The runner that calls it measures duration, success and cardinality.
pub trait Collector: Send {
    fn descriptor(&self) -> &'static Descriptor;

    /// Looks whether the source is there. Called before the first collection and again from time to time, since
    /// drivers are loaded and devices plugged while the agent runs.
    fn detect(&mut self) -> Support;

    /// Writes the current values into `row`, on which the caller has called [`Row::begin`].
    ///
    /// # Errors
    ///
    /// When nothing could be read; the row is then to be taken as empty. Single readings that failed while others went
    /// on are told by [`Collector::take_problems`].
    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError>;

    /// The readings that failed in the last collection; at most a handful.
    fn take_problems(&mut self) -> Vec<CollectError> {
        Vec::new()
    }
}
