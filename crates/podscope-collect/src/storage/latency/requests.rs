//! Which completion belongs to which issue, and whether a request goes on where another ended.

use rustc_hash::FxHashMap;

use super::events::{Request, TraceEvent};
use super::{IoCounts, Operation};

/// Requests waiting for their completion at most: more than queues of 64 devices hold.
const MOST_WAITING: usize = 65_536;
/// A request that waits longer is forgotten: its completion was lost.
const FORGOTTEN_NS: u64 = 120_000_000_000;
/// Streams of one device told apart, per operation.
const STREAMS: usize = 8;
const SECTOR: u64 = 512;

type DeviceNumber = (u32, u32);

/// Where recent requests of a device ended.
#[derive(Debug, Default)]
struct Streams {
    ends: [Option<u64>; STREAMS],
    next: usize,
}

impl Streams {
    /// Whether a request begins where one of the streams ended.
    fn goes_on(&mut self, request: &Request) -> bool {
        let end = request.sector.saturating_add(request.sectors);
        let found = self.ends.iter_mut().find(|known| **known == Some(request.sector));
        if let Some(known) = found {
            *known = Some(end);
            return true;
        }
        self.ends[self.next] = Some(end);
        self.next = (self.next + 1) % STREAMS;
        false
    }
}

/// Requests under way.
#[derive(Debug, Default)]
pub(super) struct Requests {
    waiting: FxHashMap<(DeviceNumber, Operation, u64), u64>,
    streams: FxHashMap<(DeviceNumber, Operation), Streams>,
    latest_ns: u64,
}

/// Name and transport of a device, by its number; `None` for one that is not measured.
pub(super) trait Names {
    fn name(&mut self, device: DeviceNumber) -> Option<(&str, &'static str)>;
}

impl Requests {
    /// Takes in one event.
    pub(super) fn take(&mut self, event: TraceEvent, names: &mut impl Names, counts: &mut IoCounts) {
        match event {
            TraceEvent::Issue(request) => {
                counts.events += 1;
                let Some((name, transport)) = names.name(request.device) else {
                    return;
                };
                self.latest_ns = self.latest_ns.max(request.at_ns);
                if self.waiting.len() >= MOST_WAITING {
                    self.forget(counts);
                }
                if self.waiting.len() < MOST_WAITING {
                    let key = (request.device, request.operation, request.sector);
                    // One issued again, after a failed attempt, counts from its last issue.
                    self.waiting.insert(key, request.at_ns);
                } else {
                    counts.unmatched += 1;
                }
                let streams = self
                    .streams
                    .entry((request.device, request.operation))
                    .or_default();
                let sequential = streams.goes_on(&request);
                let bytes = request.sectors * SECTOR;
                counts.issued(name, transport, request.operation, sequential, (1, bytes));
            }
            TraceEvent::Complete(request) => {
                counts.events += 1;
                let Some((name, transport)) = names.name(request.device) else {
                    return;
                };
                let key = (request.device, request.operation, request.sector);
                match self.waiting.remove(&key) {
                    Some(issued) => {
                        counts.block(name, transport, request.at_ns.saturating_sub(issued), 1);
                    }
                    None => counts.unmatched += 1,
                }
            }
            TraceEvent::Call(operation, nanoseconds) => {
                counts.events += 1;
                counts.nfs(operation, nanoseconds, 1);
            }
            TraceEvent::Lost(events) => counts.lost += events,
        }
    }

    /// Forgets what has waited too long.
    pub(super) fn forget(&mut self, counts: &mut IoCounts) {
        let before = self.waiting.len();
        let latest = self.latest_ns;
        self.waiting
            .retain(|_, issued| latest.saturating_sub(*issued) < FORGOTTEN_NS);
        counts.unmatched += (before - self.waiting.len()) as u64;
    }

    /// Forgets the streams: devices were exchanged.
    pub(super) fn forget_streams(&mut self) {
        self.streams.clear();
    }
}
