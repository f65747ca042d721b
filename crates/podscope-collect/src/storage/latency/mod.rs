//! How long single requests take: block requests from issue to completion by device and transport, and NFS calls from sending
//! to the reply. From trace events of the kernel; off unless the configuration asks for it.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `counts` | what was measured: histograms, access patterns; [`SimIo`] |
//! | `events` | one line of the kernel's trace |
//! | `requests` | which completion belongs to which issue |
//! | `devices` | names and transports of block devices |
//! | `tracefs` | an instance of the kernel's trace buffer, [`TracedIo`] |
//!
//! The mean of the same requests is in `node_disk_*_time_seconds_total` without any of this; percentiles are not.
//!
//! **Edges** (`le`, in seconds): one per octave from 1 to 32 microseconds, eight per octave from 64 microseconds to 65.536
//! milliseconds, one per octave up to 33.6 seconds. A quantile read from buckets of an eighth of an octave is off by 9 % at most.

mod counts;
mod devices;
mod events;
mod requests;
mod tracefs;

use podscope_model::batch::Row;
use podscope_model::catalog::Job;
use podscope_model::catalog::storage::latency as catalog;

use crate::collector::{Collector, Descriptor, Support};
use crate::error::CollectError;

pub use counts::{IoCounts, Operation, SimIo};
pub use tracefs::{TraceConfig, TracedIo};

/// The collector's name.
pub const NAME: &str = "io_latency";

pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: NAME,
    job: Job::Node,
    interval_ms: 1000,
    metrics: catalog::ALL,
    touches: &[
        "/sys/kernel/tracing/instances/podscope (made and removed)",
        "/proc/diskstats",
        "/sys/class/nvme/*/transport",
    ],
};

/// Measures requests.
pub trait IoSource: Send + std::fmt::Debug {
    /// Begins to measure, if it does not yet.
    ///
    /// # Errors
    ///
    /// Why this machine cannot, as a sentence fragment with the remedy.
    fn open(&mut self) -> Result<(), String>;

    /// Adds what was measured since the last time.
    ///
    /// # Errors
    ///
    /// When the measuring broke off.
    fn read(&mut self, counts: &mut IoCounts) -> Result<(), CollectError>;
}

/// Measures nothing, and says why.
#[derive(Clone, Debug)]
pub struct NoIo(pub &'static str);

impl IoSource for NoIo {
    fn open(&mut self) -> Result<(), String> {
        Err(self.0.to_owned())
    }

    fn read(&mut self, _counts: &mut IoCounts) -> Result<(), CollectError> {
        Ok(())
    }
}

/// Writes latency histograms.
#[derive(Debug)]
pub struct IoLatency {
    source: Box<dyn IoSource>,
    /// Whether requests were measured at all.
    measuring: bool,
    counts: IoCounts,
}

impl IoLatency {
    pub fn new(source: Box<dyn IoSource>) -> Self {
        Self {
            source,
            measuring: false,
            counts: IoCounts::default(),
        }
    }
}

impl Collector for IoLatency {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        match self.source.open() {
            Ok(()) => {
                self.measuring = true;
                Support::Present
            }
            Err(reason) => Support::NotPresent(reason),
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        if self.measuring {
            self.source.read(&mut self.counts)?;
            self.counts.write(row);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
