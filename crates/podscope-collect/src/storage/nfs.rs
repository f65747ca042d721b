//! NFS mounts from `mountstats`, under node_exporter's names: bytes, operations with their round trips, retransmissions and
//! timeouts, transports, and what the client did with its caches.
//!
//! What is read (a simulated machine writes the same files):
//!
//! ```text
//! /proc/1/mountstats
//!     device 172.21.0.1:/train mounted on /mnt/train with fstype nfs4 statvers=1.1
//!         opts:   rw,vers=4.1,proto=tcp,...,addr=172.21.0.1
//!         age:    13968
//!         events: 52 226 0 0 1 13 398 0 0 331 0 47 0 0 77 0 0 77 0 0 0 0 0 0 0 0 0
//!         bytes:  1207640230 0 0 0 1210214218 0 295483 0
//!         xprt:   tcp 832 0 1 0 11 6428 6428 0 12154 0 24 26 5726
//!         per-op statistics
//!                 READ: 1298 1298 0 207680 1210292152 6 79386 79407
//! /proc/1/mountinfo
//!     45 26 0:40 / /mnt/train rw,relatime shared:1 - nfs4 172.21.0.1:/train rw,vers=4.1,...,addr=172.21.0.1
//! ```
//!
//! An operation's numbers are: requests, transmissions, major timeouts, bytes sent, bytes received, and milliseconds queued,
//! until the reply (RTT) and in total (exec). What is more than one transmission per request was sent again.
//!
//! `/proc/1/mountstats` is root's; an agent of another user reads its own view, `/proc/self`. Operations that were never
//! called on a mount have no series (node_exporter has zeros), transports have only the counters of their protocol, and a
//! time below zero, as the kernel sometimes counts, is absent.

use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::storage::nfs as catalog;
use podscope_model::catalog::{Job, MetricDef};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::collector::{Collector, Descriptor, Support};
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;
use crate::host::Reader;
use crate::text::{Line, Text};

/// The collector's name.
pub const NAME: &str = "nfs";

pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: NAME,
    job: Job::Node,
    interval_ms: 5_000,
    metrics: catalog::ALL,
    touches: &[
        "/proc/1/mountstats",
        "/proc/1/mountinfo",
        "/proc/self/mountstats",
        "/proc/self/mountinfo",
    ],
};

/// The places of the two files, in the order they are tried.
const PLACES: [[&str; 2]; 2] = [
    ["/proc/1/mountstats", "/proc/1/mountinfo"],
    ["/proc/self/mountstats", "/proc/self/mountinfo"],
];

/// Collections after which the list of mounts is read again.
const LOOK_AGAIN: u32 = 12;

const BYTES: [&MetricDef; 8] = [
    &catalog::MOUNTSTATS_NFS_READ_BYTES_TOTAL,
    &catalog::MOUNTSTATS_NFS_WRITE_BYTES_TOTAL,
    &catalog::MOUNTSTATS_NFS_DIRECT_READ_BYTES_TOTAL,
    &catalog::MOUNTSTATS_NFS_DIRECT_WRITE_BYTES_TOTAL,
    &catalog::MOUNTSTATS_NFS_TOTAL_READ_BYTES_TOTAL,
    &catalog::MOUNTSTATS_NFS_TOTAL_WRITE_BYTES_TOTAL,
    &catalog::MOUNTSTATS_NFS_READ_PAGES_TOTAL,
    &catalog::MOUNTSTATS_NFS_WRITE_PAGES_TOTAL,
];

/// In the kernel's order (`enum nfs_stat_eventcounters`); the one without a metric is not counted since Linux 2.6.
const EVENTS: [Option<&MetricDef>; 27] = [
    Some(&catalog::MOUNTSTATS_NFS_EVENT_INODE_REVALIDATE_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_DNODE_REVALIDATE_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_DATA_INVALIDATE_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_ATTRIBUTE_INVALIDATE_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_VFS_OPEN_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_VFS_LOOKUP_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_VFS_ACCESS_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_VFS_UPDATE_PAGE_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_VFS_READ_PAGE_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_VFS_READ_PAGES_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_VFS_WRITE_PAGE_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_VFS_WRITE_PAGES_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_VFS_GETDENTS_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_VFS_SETATTR_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_VFS_FLUSH_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_VFS_FSYNC_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_VFS_LOCK_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_VFS_FILE_RELEASE_TOTAL),
    None,
    Some(&catalog::MOUNTSTATS_NFS_EVENT_TRUNCATION_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_WRITE_EXTENSION_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_SILLY_RENAME_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_SHORT_READ_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_SHORT_WRITE_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_JUKEBOX_DELAY_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_PNFS_READ_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_EVENT_PNFS_WRITE_TOTAL),
];

/// An operation's columns, with the factor to the metric's unit. Whatever follows (errors, since Linux 5.3) has no name in
/// node_exporter.
const OPERATION: [(&MetricDef, f64); 8] = [
    (&catalog::MOUNTSTATS_NFS_OPERATIONS_REQUESTS_TOTAL, 1.0),
    (&catalog::MOUNTSTATS_NFS_OPERATIONS_TRANSMISSIONS_TOTAL, 1.0),
    (&catalog::MOUNTSTATS_NFS_OPERATIONS_MAJOR_TIMEOUTS_TOTAL, 1.0),
    (&catalog::MOUNTSTATS_NFS_OPERATIONS_SENT_BYTES_TOTAL, 1.0),
    (&catalog::MOUNTSTATS_NFS_OPERATIONS_RECEIVED_BYTES_TOTAL, 1.0),
    (
        &catalog::MOUNTSTATS_NFS_OPERATIONS_QUEUE_TIME_SECONDS_TOTAL,
        0.001,
    ),
    (
        &catalog::MOUNTSTATS_NFS_OPERATIONS_RESPONSE_TIME_SECONDS_TOTAL,
        0.001,
    ),
    (
        &catalog::MOUNTSTATS_NFS_OPERATIONS_REQUEST_TIME_SECONDS_TOTAL,
        0.001,
    ),
];

/// A transport's columns after its protocol; `None` is a column without a metric.
const TCP: &[Option<&MetricDef>] = &[
    None,
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_BIND_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_CONNECT_TOTAL),
    None,
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_IDLE_TIME_SECONDS),
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_SENDS_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_RECEIVES_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_BAD_TRANSACTION_IDS_TOTAL),
    None,
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_BACKLOG_QUEUE_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_MAXIMUM_RPC_SLOTS),
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_SENDING_QUEUE_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_PENDING_QUEUE_TOTAL),
];
const UDP: &[Option<&MetricDef>] = &[
    None,
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_BIND_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_SENDS_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_RECEIVES_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_BAD_TRANSACTION_IDS_TOTAL),
    None,
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_BACKLOG_QUEUE_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_MAXIMUM_RPC_SLOTS),
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_SENDING_QUEUE_TOTAL),
    Some(&catalog::MOUNTSTATS_NFS_TRANSPORT_PENDING_QUEUE_TOTAL),
];

fn transport_columns(protocol: &str) -> &'static [Option<&'static MetricDef>] {
    match protocol {
        "udp" => UDP,
        // RDMA goes on with columns of its own where TCP has slots and queues.
        "rdma" => &TCP[..10],
        _ => TCP,
    }
}

/// Reads NFS mounts.
#[derive(Debug)]
pub struct NfsMounts {
    reader: Reader,
    list: Reader,
    problems: Problems,
    place: usize,
    /// Address of the server by export and mount point.
    addresses: FxHashMap<String, String>,
    collections: u32,
}

impl NfsMounts {
    pub fn new(fs: Arc<dyn HostFs>) -> Self {
        Self {
            reader: Reader::new(Arc::clone(&fs)),
            list: Reader::new(fs),
            problems: Problems::default(),
            place: 0,
            addresses: FxHashMap::default(),
            collections: 0,
        }
    }

    /// Reads the servers' addresses; without them the label is left out.
    fn look(&mut self) {
        self.addresses.clear();
        let Ok(text) = self.list.cold(PLACES[self.place][1]) else {
            return;
        };
        for line in text.lines().flatten() {
            let Some((before, after)) = line.text.split_once(" - nfs") else {
                continue;
            };
            let point = before.split_ascii_whitespace().nth(4);
            let mut after = after.split_ascii_whitespace().skip(1);
            if let (Some(point), Some(export), Some(address)) =
                (point, after.next(), after.next().and_then(address_of))
            {
                self.addresses
                    .insert(format!("{export} {point}"), address.to_owned());
            }
        }
    }
}

/// The value of `addr` among mount options.
fn address_of(options: &str) -> Option<&str> {
    options.split(',').find_map(|option| option.strip_prefix("addr="))
}

/// What stands above a mount's statistics.
#[derive(Clone, Copy)]
struct Head<'a> {
    export: &'a str,
    point: &'a str,
}

/// `device 172.21.0.1:/train mounted on /mnt/train with fstype nfs4 statvers=1.1`; `None` where it is no NFS.
fn head<'a>(line: &Line<'a>) -> Option<Head<'a>> {
    let rest = line.text.strip_prefix("device ")?;
    let (export, rest) = rest.split_once(" mounted on ")?;
    let (point, kind) = rest.rsplit_once(" with fstype ")?;
    let nfs = kind.strip_prefix("nfs4").or_else(|| kind.strip_prefix("nfs"))?;
    nfs.starts_with(" statvers=").then_some(Head { export, point })
}

/// The parts of one mount: lines between its head and the next.
struct Mount<'a> {
    head: Head<'a>,
    lines: Vec<Line<'a>>,
}

impl<'a> Mount<'a> {
    /// The rest of the lines that begin with a word.
    fn named(&self, word: &'static str) -> impl Iterator<Item = (Line<'a>, &'a str)> {
        self.lines.iter().filter_map(move |line| {
            let rest = line.text.trim_ascii_start().strip_prefix(word)?;
            Some((*line, rest.trim_ascii()))
        })
    }

    fn write(
        &self,
        addresses: &FxHashMap<String, String>,
        seen: &mut FxHashSet<u64>,
        row: &mut Row,
        problems: &mut Problems,
    ) {
        let Head { export, point } = self.head;
        let transports: Vec<(Line<'a>, &str)> = self.named("xprt:").collect();
        let protocol = transports
            .first()
            .and_then(|(_, rest)| rest.split_ascii_whitespace().next())
            .unwrap_or("");
        let known = addresses.get(&format!("{export} {point}")).map(String::as_str);
        let option = || self.named("opts:").find_map(|(_, rest)| address_of(rest));
        let address = known.or_else(option).unwrap_or("");
        let labels = [("export", export), ("protocol", protocol), ("mountaddr", address)];
        let [one, two, three] = labels;
        row.set(
            &catalog::MOUNTSTATS_NFS_MOUNTPOINT_INFO,
            &[one, two, three, ("mountpoint", point)],
            1.0,
        );
        // The same file system at a second mount point has the same numbers.
        if !seen.insert(key_of(&labels)) {
            return;
        }
        let mut in_operations = false;
        let mut transport = 0;
        for line in &self.lines {
            let text = line.text.trim_ascii();
            let Some((word, rest)) = text.split_once([':', ' ']) else {
                continue;
            };
            let result = match word {
                "age" => line
                    .count(Some(rest.trim_ascii()), "an age in seconds")
                    .map(|age| {
                        row.set(&catalog::MOUNTSTATS_NFS_AGE_SECONDS_TOTAL, &labels, age as f64);
                    }),
                "bytes" => numbers(line, rest, &BYTES.map(Some), |def, value| {
                    row.set(def, &labels, value);
                }),
                "events" => numbers(line, rest, &EVENTS, |def, value| row.set(def, &labels, value)),
                "xprt" => {
                    let number = transport.to_string();
                    transport += 1;
                    let rest = rest.trim_ascii_start();
                    let (own, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                    let labels = [one, two, three, ("transport", number.as_str())];
                    numbers(line, rest, transport_columns(own), |def, value| {
                        row.set(def, &labels, value);
                    })
                }
                "per-op" => {
                    in_operations = true;
                    Ok(())
                }
                operation if in_operations => {
                    let labels = [one, two, three, ("operation", operation)];
                    operation_numbers(line, rest, &labels, row)
                }
                _ => Ok(()),
            };
            problems.note(result);
        }
    }
}

/// Sets as many columns as the line has; a newer kernel may have more, an older one fewer.
fn numbers(
    line: &Line<'_>,
    rest: &str,
    columns: &[Option<&'static MetricDef>],
    mut set: impl FnMut(&'static MetricDef, f64),
) -> Result<(), CollectError> {
    for (column, field) in columns.iter().zip(rest.split_ascii_whitespace()) {
        let value = line.count(Some(field), "a counter")?;
        if let Some(def) = column {
            set(def, value as f64);
        }
    }
    Ok(())
}

fn operation_numbers(
    line: &Line<'_>,
    rest: &str,
    labels: &[(&str, &str)],
    row: &mut Row,
) -> Result<(), CollectError> {
    let mut values = [None; OPERATION.len()];
    for (value, field) in values.iter_mut().zip(rest.split_ascii_whitespace()) {
        *value = Some(line.count(Some(field), "a counter")?);
    }
    if values[0].is_none_or(|requests| requests == 0) {
        return Ok(());
    }
    for ((def, factor), value) in OPERATION.iter().zip(values) {
        // Kernels have counted times below zero, which stand here as their complement.
        if let Some(value) = value.filter(|value| i64::try_from(*value).is_ok()) {
            row.set(def, labels, value as f64 * factor);
        }
    }
    Ok(())
}

fn key_of(labels: &[(&str, &str)]) -> u64 {
    use std::hash::{Hash, Hasher};
    let mut hasher = rustc_hash::FxHasher::default();
    labels.hash(&mut hasher);
    hasher.finish()
}

/// Whether the text has an NFS mount.
fn has_nfs(text: Text<'_>) -> bool {
    text.lines().flatten().any(|line| head(&line).is_some())
}

impl Collector for NfsMounts {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        let mut reason = String::new();
        for (at, [path, _]) in PLACES.into_iter().enumerate() {
            match self.reader.cold(path) {
                Ok(text) if has_nfs(text) => {
                    self.place = at;
                    return Support::Present;
                }
                Ok(_) => reason = format!("no NFS mount in {path}"),
                Err(_) if reason.is_empty() => reason = format!("no {path} that can be read"),
                Err(_) => {}
            }
        }
        Support::NotPresent(reason)
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        self.problems.clear();
        if self.collections.is_multiple_of(LOOK_AGAIN) {
            self.look();
        }
        self.collections = self.collections.wrapping_add(1);
        let Self {
            reader,
            problems,
            addresses,
            ..
        } = self;
        let text = reader.hot(PLACES[self.place][0])?;
        let mut seen = FxHashSet::default();
        let mut mount: Option<Mount<'_>> = None;
        let mut finish = |mount: Option<Mount<'_>>, problems: &mut Problems| {
            if let Some(mount) = mount {
                mount.write(addresses, &mut seen, row, problems);
            }
        };
        for line in text.lines() {
            match line {
                Ok(line) if line.text.starts_with("device ") => {
                    finish(mount.take(), problems);
                    mount = head(&line).map(|head| Mount {
                        head,
                        lines: Vec::with_capacity(96),
                    });
                }
                Ok(line) => {
                    if let Some(mount) = &mut mount {
                        mount.lines.push(line);
                    }
                }
                Err(problem) => problems.push(problem),
            }
        }
        finish(mount, problems);
        self.problems.outcome(row.is_empty())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}

#[cfg(test)]
mod tests;
