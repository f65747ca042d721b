//! What accumulates: operations, their latencies and bytes, a NIC's counters. Added up minute by minute from the beginning, so
//! that a total depends on its time alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::server::Seen;
use super::world::{Load, Nic, VmsState};

const MINUTE_MS: i64 = 60_000;

/// Sums of one CNode's or the cluster's operations over one protocol.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    pub(super) read: OpSums,
    pub(super) write: OpSums,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OpSums {
    pub(super) count: f64,
    pub(super) latency_us: f64,
    pub(super) bytes: f64,
}

/// A NIC's counters, in the order of [`NIC_COUNTERS`].
pub(super) const NIC_COUNTERS: [&str; 6] = [
    "t_pause",
    "out_of_sequence",
    "out_of_buffer",
    "rnr_nak_retry_err",
    "local_ack_timeout_err",
    "rx_crc_errors_phy",
];

fn nic_rates(nic: &Nic) -> [f64; 6] {
    [
        nic.t_pause,
        nic.out_of_sequence,
        nic.out_of_buffer,
        nic.rnr_nak_retry_err,
        nic.local_ack_timeout_err,
        nic.rx_crc_errors_phy,
    ]
}

#[derive(Clone, Debug, Default)]
struct Minute {
    /// By CNode (0: the cluster) and protocol.
    loads: BTreeMap<(u32, String), Sums>,
    nics: BTreeMap<u32, [f64; 6]>,
}

impl Minute {
    fn add(&mut self, state: &Seen, seconds: f64) {
        for (key, load) in state.loads() {
            let sums = self.loads.entry(key.clone()).or_default();
            for (sum, op) in [(&mut sums.read, load.read), (&mut sums.write, load.write)] {
                sum.count += op.iops * seconds;
                sum.latency_us += op.iops * op.latency_us * seconds;
                sum.bytes += op.bw * seconds;
            }
        }
        for nic in &state.nics {
            let counters = self.nics.entry(nic.id).or_default();
            for (counter, rate) in counters.iter_mut().zip(nic_rates(nic)) {
                *counter += rate * seconds;
            }
        }
    }
}

/// The loads of every CNode and of the cluster (0), `ProtoCommon` among them.
pub(super) fn loads(state: &VmsState) -> BTreeMap<(u32, String), Load> {
    let mut all: BTreeMap<(u32, String), Load> = BTreeMap::new();
    for cnode in &state.cnodes {
        for (proto, load) in &cnode.load {
            for id in [cnode.id, 0] {
                for proto in [proto.as_str(), "ProtoCommon"] {
                    let entry = all.entry((id, proto.to_owned())).or_default();
                    *entry = entry.and(*load);
                }
            }
        }
    }
    all
}

#[derive(Debug)]
pub(super) struct Totals {
    began_ms: i64,
    minutes: Mutex<Vec<Minute>>,
}

impl Totals {
    pub(super) fn new(began_ms: i64) -> Self {
        Self {
            began_ms: began_ms - began_ms.rem_euclid(MINUTE_MS),
            minutes: Mutex::new(vec![Minute::default()]),
        }
    }

    fn at<T>(
        &self,
        t_ms: i64,
        state: &dyn Fn(i64) -> Arc<Seen>,
        read: impl Fn(&Minute) -> T,
        combine: impl Fn(T, T, f64) -> T,
    ) -> T {
        let elapsed = (t_ms - self.began_ms).max(0);
        let (minute, part) = (
            elapsed / MINUTE_MS,
            (elapsed % MINUTE_MS) as f64 / MINUTE_MS as f64,
        );
        let wanted = usize::try_from(minute).unwrap_or(0) + 2;
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        while minutes.len() < wanted {
            let at = self.began_ms + MINUTE_MS * (minutes.len() as i64 - 1);
            let mut next = minutes.last().cloned().unwrap_or_default();
            // One state stands for its minute: a day is 1,440 of them.
            next.add(&state(at), 60.0);
            minutes.push(next);
        }
        combine(read(&minutes[wanted - 2]), read(&minutes[wanted - 1]), part)
    }

    /// Up to an instant.
    pub(super) fn load(&self, cnode: u32, proto: &str, t_ms: i64, state: &dyn Fn(i64) -> Arc<Seen>) -> Sums {
        let key = (cnode, proto.to_owned());
        let read = |minute: &Minute| minute.loads.get(&key).copied().unwrap_or_default();
        self.at(t_ms, state, read, |from, to, part| {
            let between = |from: f64, to: f64| from + (to - from) * part;
            let op = |from: OpSums, to: OpSums| OpSums {
                count: between(from.count, to.count).floor(),
                latency_us: between(from.latency_us, to.latency_us).floor(),
                bytes: between(from.bytes, to.bytes).floor(),
            };
            Sums {
                read: op(from.read, to.read),
                write: op(from.write, to.write),
            }
        })
    }

    pub(super) fn nic(&self, id: u32, counter: usize, t_ms: i64, state: &dyn Fn(i64) -> Arc<Seen>) -> f64 {
        let read = |minute: &Minute| {
            minute
                .nics
                .get(&id)
                .and_then(|counters| counters.get(counter))
                .copied()
                .unwrap_or_default()
        };
        self.at(t_ms, state, read, |from, to, part| {
            (from + (to - from) * part).floor()
        })
    }
}
