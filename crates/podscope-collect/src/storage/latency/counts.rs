//! What was measured of requests.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use podscope_model::batch::Row;
use podscope_model::catalog::storage::latency as catalog;

use super::IoSource;
use crate::error::CollectError;
use crate::histogram::{Edges, Histogram, HistogramDefs};

/// Devices with a histogram of their own; further ones share one.
const MOST_DEVICES: usize = 64;
/// The name they share.
const OTHERS: &str = "other";

/// See the module above: octaves over a microsecond.
static EDGES: LazyLock<Edges> = LazyLock::new(|| {
    let below = (0..6).map(f64::from);
    let fine = (0..=80).map(|eighth| 6.0 + f64::from(eighth) / 8.0);
    let above = (17..=25).map(f64::from);
    Edges::octaves(1000, below.chain(fine).chain(above))
});

const BLOCK: HistogramDefs = HistogramDefs {
    bucket: &catalog::BLOCK_IO_LATENCY_BUCKET,
    sum: &catalog::BLOCK_IO_LATENCY_SUM,
    count: &catalog::BLOCK_IO_LATENCY_COUNT,
};
const NFS: HistogramDefs = HistogramDefs {
    bucket: &catalog::NFS_RPC_LATENCY_BUCKET,
    sum: &catalog::NFS_RPC_LATENCY_SUM,
    count: &catalog::NFS_RPC_LATENCY_COUNT,
};

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Operation {
    Read,
    Write,
    /// NFS calls that are neither.
    Other,
}

impl Operation {
    const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Other];

    fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Other => "other",
        }
    }
}

/// Requests issued, and their bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Traffic {
    requests: u64,
    bytes: u64,
}

#[derive(Clone, Debug)]
struct Device {
    latency: Histogram,
    /// By operation, random first and sequential second.
    traffic: [[Traffic; 2]; 2],
}

/// Everything measured since the start.
#[derive(Clone, Debug, Default)]
pub struct IoCounts {
    /// By device and transport.
    devices: BTreeMap<(String, &'static str), Device>,
    nfs: BTreeMap<Operation, Histogram>,
    pub(super) events: u64,
    pub(super) lost: u64,
    pub(super) unmatched: u64,
}

impl IoCounts {
    fn device(&mut self, name: &str, transport: &'static str) -> &mut Device {
        // A full list takes in no further name.
        let full = self.devices.len() >= MOST_DEVICES;
        let key = (name.to_owned(), transport);
        let key = match full && !self.devices.contains_key(&key) {
            true => (OTHERS.to_owned(), transport),
            false => key,
        };
        self.devices.entry(key).or_insert_with(|| Device {
            latency: Histogram::new(&EDGES),
            traffic: [[Traffic::default(); 2]; 2],
        })
    }

    /// So many block requests took this long.
    pub fn block(&mut self, device: &str, transport: &'static str, nanoseconds: u64, times: u64) {
        self.device(device, transport).latency.add(nanoseconds, times);
    }

    /// So many block requests fell into the bucket of this time, and took so many seconds together: for whoever counts in
    /// buckets already.
    pub fn block_bucket(
        &mut self,
        device: &str,
        transport: &'static str,
        nanoseconds: u64,
        (times, seconds): (u64, f64),
    ) {
        let latency = &mut self.device(device, transport).latency;
        latency.add_all(nanoseconds, times, seconds);
    }

    /// So many block requests were issued, of so many bytes together.
    pub fn issued(
        &mut self,
        device: &str,
        transport: &'static str,
        operation: Operation,
        sequential: bool,
        (requests, bytes): (u64, u64),
    ) {
        let by_operation = &mut self.device(device, transport).traffic;
        let traffic = &mut by_operation[usize::from(operation == Operation::Write)][usize::from(sequential)];
        traffic.requests += requests;
        traffic.bytes += bytes;
    }

    /// So many NFS calls took this long.
    pub fn nfs(&mut self, operation: Operation, nanoseconds: u64, times: u64) {
        let histogram = self.nfs.entry(operation);
        histogram
            .or_insert_with(|| Histogram::new(&EDGES))
            .add(nanoseconds, times);
    }

    fn merge(&mut self, other: &Self) {
        for ((name, transport), device) in &other.devices {
            let own = self.device(name, transport);
            own.latency.merge(&device.latency);
            for (own, other) in own
                .traffic
                .iter_mut()
                .flatten()
                .zip(device.traffic.iter().flatten())
            {
                own.requests += other.requests;
                own.bytes += other.bytes;
            }
        }
        for (operation, histogram) in &other.nfs {
            let own = self.nfs.entry(*operation);
            own.or_insert_with(|| Histogram::new(&EDGES)).merge(histogram);
        }
        self.events += other.events;
        self.lost += other.lost;
        self.unmatched += other.unmatched;
    }

    pub(super) fn write(&self, row: &mut Row) {
        for ((name, transport), device) in &self.devices {
            let labels = [("device", name.as_str()), ("transport", transport)];
            device.latency.write(&BLOCK, &labels, row);
            for (operation, patterns) in Operation::ALL.iter().zip(&device.traffic) {
                for (pattern, traffic) in ["random", "sequential"].iter().zip(patterns) {
                    let [device, transport] = labels;
                    let operation = ("operation", operation.as_str());
                    let labels = [device, transport, operation, ("pattern", pattern)];
                    row.set(&catalog::BLOCK_IO_REQUESTS, &labels, traffic.requests as f64);
                    row.set(&catalog::BLOCK_IO_BYTES, &labels, traffic.bytes as f64);
                }
            }
        }
        for (operation, histogram) in &self.nfs {
            histogram.write(&NFS, &[("operation", operation.as_str())], row);
        }
        row.set(&catalog::BLOCK_TRACE_EVENTS, &[], self.events as f64);
        row.set(&catalog::BLOCK_TRACE_LOST_EVENTS, &[], self.lost as f64);
        row.set(&catalog::BLOCK_TRACE_UNMATCHED, &[], self.unmatched as f64);
    }

    #[cfg(test)]
    pub(super) fn requests_of(&self, device: &str) -> Option<(u64, f64)> {
        let found = self.devices.iter().find(|((name, _), _)| name == device)?;
        let mut row = Row::new();
        row.begin();
        found.1.latency.write(&BLOCK, &[], &mut row);
        let value = |def: &podscope_model::catalog::MetricDef| {
            let mut samples = row.samples();
            samples
                .find(|(column, _)| column.metric.name() == def.name)
                .map(|(_, value)| value)
        };
        Some((value(BLOCK.count)? as u64, value(BLOCK.sum)?))
    }
}

/// The requests of a simulated machine: clone it, the content is shared. Whoever simulates adds times with their number, as
/// many different ones as the distribution needs.
///
/// ```
/// use podscope_collect::storage::latency::{Operation, SimIo};
///
/// let sim = SimIo::default();
/// sim.change(|io| {
///     io.block("nvme1c3n1", "rdma", 380_000, 1_000);
///     io.issued("nvme1c3n1", "rdma", Operation::Read, true, (1_000, 131_072_000));
///     io.nfs(Operation::Read, 250_000, 40);
/// });
/// ```
#[derive(Clone, Debug, Default)]
pub struct SimIo(Arc<Mutex<IoCounts>>);

impl SimIo {
    pub fn change<T>(&self, change: impl FnOnce(&mut IoCounts) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl IoSource for SimIo {
    fn open(&mut self) -> Result<(), String> {
        Ok(())
    }

    fn read(&mut self, counts: &mut IoCounts) -> Result<(), CollectError> {
        let new = self.change(std::mem::take);
        counts.merge(&new);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_are_fine_where_storage_is_judged() {
        let edges: Vec<f64> = EDGES
            .texts()
            .iter()
            .map(|text| text.parse().expect("a number"))
            .collect();
        assert_eq!(edges.len(), 6 + 81 + 9 + 1);
        let fine: Vec<f64> = edges
            .iter()
            .copied()
            .filter(|edge| (64e-6..65.6e-3).contains(edge))
            .collect();
        assert_eq!((fine.len(), fine[0], fine[80]), (81, 64e-6, 0.065_536));
        for pair in fine.windows(2) {
            assert!((pair[1] / pair[0] - 2_f64.powf(0.125)).abs() < 1e-4, "{pair:?}");
        }
        assert!(edges.is_sorted() && edges[95] > 33.0);
    }

    #[test]
    fn devices_beyond_the_limit_share_one_histogram() {
        let mut counts = IoCounts::default();
        for number in 0..200 {
            counts.block(&format!("sd{number}"), "scsi", 1_000, 1);
        }
        assert_eq!(counts.devices.len(), MOST_DEVICES + 1);
        assert_eq!(
            counts.requests_of(OTHERS).map(|found| found.0),
            Some(200 - MOST_DEVICES as u64)
        );
    }
}
