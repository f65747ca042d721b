//! NVMe subsystems and their paths from `/sys/class/nvme-subsystem`, under node_exporter's names, the address each path
//! leads to, how often paths were lost, and an event when one is lost or comes back.
//!
//! What is read (a simulated machine writes the same files; below a subsystem the controllers are links or folders):
//!
//! ```text
//! /sys/class/nvme-subsystem/nvme-subsys1/subsysnqn          nqn.2024-08.com.vastdata:emea
//! /sys/class/nvme-subsystem/nvme-subsys1/model              VASTData
//! /sys/class/nvme-subsystem/nvme-subsys1/serial             f00dcafe
//! /sys/class/nvme-subsystem/nvme-subsys1/iopolicy           round-robin
//! /sys/class/nvme-subsystem/nvme-subsys1/nvme1n1/           a namespace's head device
//! /sys/class/nvme-subsystem/nvme-subsys1/nvme3/state        live
//! /sys/class/nvme-subsystem/nvme-subsys1/nvme3/transport    rdma
//! /sys/class/nvme-subsystem/nvme-subsys1/nvme3/address      traddr=172.21.0.5,trsvcid=4420,src_addr=10.0.0.1
//! ```
//!
//! Which state multipathing gives each path for a namespace (`ana_state`) is in `node_nvme_namespace_info` of the collector
//! `nvme`. The kernel counts no reconnects: losses and returns are what this collector saw from one second to the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use podscope_model::batch::Row;
use podscope_model::catalog::Job;
use podscope_model::catalog::storage::nvme as catalog;
use podscope_model::event::{Event, EventKind, EventSink, Severity};

use crate::collector::{Collector, Descriptor, Support};
use crate::error::CollectError;
use crate::fs::HostFs;
use crate::host::Reader;

/// The collector's name.
pub const NAME: &str = "nvme_paths";

pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: NAME,
    job: Job::Node,
    interval_ms: 1000,
    metrics: catalog::ALL,
    touches: &[FOLDER],
};

const FOLDER: &str = "/sys/class/nvme-subsystem";

/// Collections after which subsystems and paths are looked for again.
const LOOK_AGAIN: u32 = 10;
/// Paths followed at most, of all subsystems: 64 front ends for each of 16 subsystems.
const MOST_PATHS: usize = 1024;
/// Paths that are gone and still remembered.
const MOST_GONE: usize = 1024;

/// The states of node_exporter, sorted.
const STATES: [&str; 7] = [
    "connecting",
    "dead",
    "deleting",
    "live",
    "new",
    "resetting",
    "unknown",
];

fn state_of(text: &str) -> &'static str {
    let known = STATES.iter().find(|state| **state == text);
    match (known, text) {
        (Some(state), _) => state,
        (None, "deleting (no IO)") => "deleting",
        _ => "unknown",
    }
}

/// The value of `traddr` in `traddr=172.21.0.5,trsvcid=4420`.
fn part<'a>(address: &'a str, name: &str) -> &'a str {
    let mut parts = address.split(',');
    let found = parts.find_map(|part| part.trim_ascii().strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or("")
}

#[derive(Debug)]
struct Subsystem {
    name: String,
    texts: [String; 4],
    namespaces: Vec<String>,
    paths: Vec<Path>,
}

#[derive(Debug)]
struct Path {
    controller: String,
    transport: String,
    address: String,
    state_file: String,
    watched: Watched,
}

/// What is known of a path over time.
#[derive(Debug, Default)]
struct Watched {
    live: Option<bool>,
    losses: u64,
    reconnects: u64,
    /// When it was lost, while it is.
    lost_ms: Option<i64>,
}

/// Reads NVMe subsystems.
#[derive(Debug)]
pub struct NvmePaths {
    reader: Reader,
    events: Arc<dyn EventSink>,
    subsystems: Vec<Subsystem>,
    /// Paths that are gone, by subsystem and address: they may come back as another controller.
    gone: BTreeMap<(String, String), Watched>,
    collections: u32,
}

impl NvmePaths {
    pub fn new(fs: Arc<dyn HostFs>, events: Arc<dyn EventSink>) -> Self {
        Self {
            reader: Reader::new(fs),
            events,
            subsystems: Vec::new(),
            gone: BTreeMap::new(),
            collections: 0,
        }
    }

    fn look(&mut self, now_ms: i64) -> Result<(), CollectError> {
        let names = self
            .reader
            .fs
            .list(FOLDER)
            .map_err(|source| CollectError::read(FOLDER, source))?;
        self.reader.fs.close_below(FOLDER);
        let mut former = self.take_paths();
        let mut paths = 0;
        for name in names {
            if numbered(&name, "nvme-subsys").is_none() {
                continue;
            }
            let folder = format!("{FOLDER}/{name}");
            let inside = self.reader.fs.list(&folder).unwrap_or_default();
            let reader = &mut self.reader;
            let mut text = |file: &str| {
                let value = reader.value(&format!("{folder}/{file}"));
                value.unwrap_or("").to_owned()
            };
            let texts = ["subsysnqn", "model", "serial", "iopolicy"].map(&mut text);
            let mut controllers: Vec<(u32, &String)> = inside
                .iter()
                .filter_map(|name| Some((numbered(name, "nvme")?, name)))
                .collect();
            controllers.sort_unstable();
            controllers.truncate(MOST_PATHS - paths);
            paths += controllers.len();
            let found = controllers.into_iter().map(|(_, controller)| Path {
                controller: controller.clone(),
                transport: text(&format!("{controller}/transport")),
                address: text(&format!("{controller}/address")),
                state_file: format!("{folder}/{controller}/state"),
                watched: Watched::default(),
            });
            let mut found: Vec<Path> = found.collect();
            for path in &mut found {
                let same = |(subsystem, old): &(String, Path)| {
                    *subsystem == name && old.controller == path.controller && old.address == path.address
                };
                if let Some(at) = former.iter().position(same) {
                    path.watched = former.swap_remove(at).1.watched;
                } else if let Some(watched) = self.gone.remove(&(name.clone(), path.address.clone())) {
                    path.watched = watched;
                }
            }
            self.subsystems.push(Subsystem {
                texts,
                namespaces: inside.iter().filter(|name| is_namespace(name)).cloned().collect(),
                paths: found,
                name,
            });
        }
        for (subsystem, mut path) in former {
            see(&self.events, &subsystem, &mut path, "removed", now_ms);
            if self.gone.len() < MOST_GONE {
                self.gone.insert((subsystem, path.address), path.watched);
            }
        }
        Ok(())
    }

    /// Takes out every path with its subsystem's name.
    fn take_paths(&mut self) -> Vec<(String, Path)> {
        let mut paths = Vec::new();
        for subsystem in std::mem::take(&mut self.subsystems) {
            let name = subsystem.name;
            paths.extend(subsystem.paths.into_iter().map(|path| (name.clone(), path)));
        }
        paths
    }

    fn now_ms(&self) -> i64 {
        let since = self
            .reader
            .fs
            .now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// The number of `nvme3` after `nvme`, when nothing else follows.
fn numbered(name: &str, prefix: &str) -> Option<u32> {
    let digits = name.strip_prefix(prefix)?;
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

/// `nvme1n1`: a head device, as against the hidden `nvme1c3n1` of one path.
fn is_namespace(name: &str) -> bool {
    let Some((controller, id)) = name.strip_prefix("nvme").and_then(|rest| rest.split_once('n')) else {
        return false;
    };
    [controller, id]
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Takes in the state of a path; counts and tells when it was lost or is back.
fn see(events: &Arc<dyn EventSink>, subsystem: &str, path: &mut Path, state: &str, now_ms: i64) {
    let live = state == "live";
    let before = path.watched.live.replace(live);
    match (before, live) {
        (Some(true), false) => {
            path.watched.losses += 1;
            path.watched.lost_ms = Some(now_ms);
            events.emit(told(subsystem, path, state, now_ms, None));
        }
        (Some(false), true) => {
            path.watched.reconnects += 1;
            if let Some(lost_ms) = path.watched.lost_ms.take() {
                events.emit(told(subsystem, path, state, lost_ms, Some(now_ms)));
            }
        }
        _ => {}
    }
}

/// The event of a path that is lost, or back. Both are the same event: the second closes the first.
fn told(subsystem: &str, path: &Path, state: &str, lost_ms: i64, back_ms: Option<i64>) -> Event {
    let Path {
        controller,
        transport,
        address,
        ..
    } = path;
    let to = match part(address, "traddr") {
        "" => String::new(),
        traddr => format!(" to {traddr}"),
    };
    let title = match back_ms {
        None => format!("NVMe path {controller}{to} ({transport}) lost: {state}"),
        Some(back_ms) => format!(
            "NVMe path {controller}{to} ({transport}) was lost for {:.0} s",
            (back_ms - lost_ms) as f64 / 1000.0
        ),
    };
    let event = Event::new(EventKind::Link, "nvme", title, lost_ms)
        .severity(Severity::Warning)
        .text(format!("subsystem {subsystem}, address {address}"))
        .label("what", "nvme_path")
        .label("subsystem", subsystem)
        .label("transport", transport)
        .label("traddr", part(address, "traddr"))
        // Not the controller: a path may come back under another number.
        .key(format!("{subsystem}/{address}"));
    match back_ms {
        None => event.still_open(),
        Some(back_ms) => event.until(back_ms),
    }
}

impl Collector for NvmePaths {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        let names = self.reader.fs.list(FOLDER).unwrap_or_default();
        if names.iter().any(|name| numbered(name, "nvme-subsys").is_some()) {
            Support::Present
        } else {
            Support::NotPresent(format!("no NVMe subsystem in {FOLDER}"))
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        let now_ms = self.now_ms();
        if self.collections.is_multiple_of(LOOK_AGAIN) {
            self.look(now_ms)?;
        }
        self.collections = self.collections.wrapping_add(1);
        for subsystem in &mut self.subsystems {
            let name = ("subsystem", subsystem.name.as_str());
            let [nqn, model, serial, policy] = subsystem.texts.each_ref().map(String::as_str);
            let labels = [
                name,
                ("nqn", nqn),
                ("model", model),
                ("serial", serial),
                ("iopolicy", policy),
            ];
            row.set(&catalog::NVMESUBSYSTEM_INFO, &labels, 1.0);
            for namespace in &subsystem.namespaces {
                let labels = [name, ("device", namespace)];
                row.set(&catalog::NVMESUBSYSTEM_NAMESPACE_INFO, &labels, 1.0);
            }
            let mut live = 0.0;
            for path in &mut subsystem.paths {
                let state = self.reader.hot_value(&path.state_file).map(state_of);
                if state.is_none() {
                    // Removed: the next collection looks what there is.
                    self.collections = 0;
                }
                let state = state.unwrap_or("unknown");
                live += f64::from(u8::from(state == "live"));
                see(&self.events, &subsystem.name, path, state, now_ms);
                write_path(name, path, state, row);
            }
            let total = subsystem.paths.len() as f64;
            row.set(&catalog::NVMESUBSYSTEM_PATHS, &[name], total);
            row.set(&catalog::NVMESUBSYSTEM_PATHS_LIVE, &[name], live);
        }
        Ok(())
    }
}

fn write_path(subsystem: (&str, &str), path: &Path, state: &str, row: &mut Row) {
    let controller = ("controller", path.controller.as_str());
    let transport = ("transport", path.transport.as_str());
    for one in STATES {
        let labels = [subsystem, controller, transport, ("state", one)];
        row.set(
            &catalog::NVMESUBSYSTEM_PATH_STATE,
            &labels,
            f64::from(u8::from(one == state)),
        );
    }
    let traddr = ("traddr", part(&path.address, "traddr"));
    let service = ("trsvcid", part(&path.address, "trsvcid"));
    let own = match part(&path.address, "host_traddr") {
        "" => part(&path.address, "src_addr"),
        own => own,
    };
    let labels = [
        subsystem,
        controller,
        transport,
        traddr,
        service,
        ("host_traddr", own),
    ];
    row.set(&catalog::NVME_PATH_INFO, &labels, 1.0);
    let labels = [subsystem, controller, transport, traddr];
    row.set(&catalog::NVME_PATH_LOSSES, &labels, path.watched.losses as f64);
    row.set(
        &catalog::NVME_PATH_RECONNECTS,
        &labels,
        path.watched.reconnects as f64,
    );
}

#[cfg(test)]
mod tests;
