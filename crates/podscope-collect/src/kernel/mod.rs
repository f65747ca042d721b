//! The kernel's log: XID and SXid errors with the process they name, GPUs and disks that are gone, kills for want of
//! memory, lock-ups. Each becomes an event and is counted.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`source`] | `/dev/kmsg`, and a simulated log |
//! | `record` | one record of it |
//! | [`line`] | what a line says |
//! | [`xid`] | NVIDIA's numbers: meaning, action, class |

pub mod line;
mod record;
pub mod source;
pub mod xid;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, kernel};
use podscope_model::event::{Event, EventKind, EventSink, Severity};

use crate::bursts::{Bursts, Ended};
use crate::collector::{Collector, Descriptor, Support};
use crate::error::CollectError;
use crate::gpu::{GpuProcesses, XidBook, XidSource, pci_key};
use line::{Finding, KINDS, finding};
use record::Record;
use source::KernelLogSource;

pub use source::{DevKmsg, SimKernelLog};

/// The collector's name.
pub const NAME: &str = "kernel_log";

static DESCRIPTOR: Descriptor = Descriptor {
    name: NAME,
    job: Job::Node,
    interval_ms: 1000,
    metrics: kernel::ALL,
    touches: &["/dev/kmsg"],
};

/// Records taken in one collection; a flood is read on in the next second.
const MOST_RECORDS: usize = 4096;
/// Of what the log already held when the agent started, so much is told as events: an agent that is restarted because of
/// a crash should know of it. All of it is counted.
const TOLD_OF_THE_PAST_MS: i64 = 600_000;
/// SXid numbers counted apart.
const MOST_SXIDS: usize = 256;
/// The source of its events.
const SOURCE: &str = "kernel";

/// Who a process belongs to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    pub container: String,
    pub user: String,
}

/// Knows who a process, or a control group, belongs to.
pub trait WhoIs: Send + Sync + fmt::Debug {
    fn of_pid(&self, pid: u32) -> Option<Who>;

    fn of_cgroup(&self, path: &str) -> Option<Who>;
}

/// Knows nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nobody;

impl WhoIs for Nobody {
    fn of_pid(&self, _pid: u32) -> Option<Who> {
        None
    }

    fn of_cgroup(&self, _path: &str) -> Option<Who> {
        None
    }
}

/// What the collector works with besides the log itself.
#[derive(Clone, Debug)]
pub struct KernelLogParts {
    pub events: Arc<dyn EventSink>,
    /// Counts of XID errors, shared with the GPU collector.
    pub xids: XidBook,
    /// Which GPU has which PCI address.
    pub gpus: GpuProcesses,
    pub who: Arc<dyn WhoIs>,
}

/// What makes two findings one burst: kind, number, device, process.
type BurstKey = (&'static str, Option<u64>, String, Option<u32>);

/// Reads the kernel's log.
#[derive(Debug)]
pub struct KernelLog<S> {
    source: S,
    parts: KernelLogParts,
    /// When it was opened first, by the machine's clock.
    opened_ms: Option<i64>,
    counts: BTreeMap<&'static str, u64>,
    sxids: BTreeMap<(u64, String), u64>,
    records: u64,
    lost: u64,
    bursts: Bursts<BurstKey>,
}

impl<S: KernelLogSource> KernelLog<S> {
    pub fn new(source: S, parts: KernelLogParts) -> Self {
        Self {
            source,
            parts,
            opened_ms: None,
            counts: KINDS.iter().map(|kind| (*kind, 0)).collect(),
            sxids: BTreeMap::new(),
            records: 0,
            lost: 0,
            bursts: Bursts::default(),
        }
    }

    fn take(&mut self, record: &Record, boot_ms: i64, opened_ms: i64) {
        self.records += 1;
        // Anybody may write into the log; only the kernel is believed.
        if !record.from_kernel {
            return;
        }
        let Some(found) = finding(&record.text) else {
            return;
        };
        if let Some(count) = self.counts.get_mut(found.kind) {
            *count += 1;
        }
        if let (Some(number), true) = (found.number, found.kind == "sxid") {
            let key = (number, found.device.clone());
            if self.sxids.len() < MOST_SXIDS || self.sxids.contains_key(&key) {
                *self.sxids.entry(key).or_default() += 1;
            }
        }
        if let (Some(number), true) = (found.number, found.kind == "xid") {
            self.parts.xids.add(&found.device, number, XidSource::Kernel);
        }
        let at_ms = boot_ms + i64::try_from(record.at_us / 1000).unwrap_or(0);
        if at_ms < opened_ms - TOLD_OF_THE_PAST_MS {
            return;
        }
        let key = (found.kind, found.number, found.device.clone(), found.pid);
        if self.bursts.is_first(key, at_ms) {
            let event = self.event(&found, &record.text, at_ms);
            // The record's number tells two equal lines of one moment apart.
            self.parts.events.emit(event.key(format!("{}", record.sequence)));
        }
    }

    fn event(&self, found: &Finding, text: &str, at_ms: i64) -> Event {
        let (kind, severity, title, advice) = self.words(found);
        let mut event = Event::new(kind, SOURCE, title, at_ms)
            .severity(severity)
            .label("what", found.kind);
        event = match advice {
            Some((action, advice)) => event.label("action", action).text(format!("{text}\n{advice}")),
            None => event.text(text),
        };
        if let Some(number) = found.number {
            event = event.label(found.kind, &number.to_string());
        }
        if let Some(gpu) = self.gpu(&found.device) {
            event = event.label("gpu", &gpu.0.to_string()).label("UUID", &gpu.1);
        }
        event = event
            .label("device", &found.device)
            .label("process", &found.process);
        if let Some(pid) = found.pid {
            event = event.label("pid", &pid.to_string());
        }
        for (name, value) in &found.details {
            event = event.label(name, value);
        }
        let who = found.pid.and_then(|pid| self.parts.who.of_pid(pid));
        let who = who.or_else(|| {
            let cgroup = Some(found.cgroup.as_str()).filter(|cgroup| !cgroup.is_empty())?;
            self.parts.who.of_cgroup(cgroup)
        });
        if let Some(Who { container, user }) = who {
            event = event.label("container", &container).label("user", &user);
        }
        event
    }

    /// Index and UUID of the GPU at a PCI address.
    fn gpu(&self, device: &str) -> Option<(u32, String)> {
        let wanted = pci_key(device)?;
        let gpus = self.parts.gpus.table().gpus;
        let place = gpus
            .into_iter()
            .find(|place| pci_key(&place.pci_bus_id).as_ref() == Some(&wanted))?;
        Some((place.index, place.uuid))
    }

    fn words(&self, found: &Finding) -> (EventKind, Severity, String, Option<(&'static str, String)>) {
        let on = |device: &str| match self.gpu(device) {
            Some((index, _)) => format!("GPU {index}"),
            None => device.to_owned(),
        };
        let process = match (&found.process, found.pid) {
            (name, Some(pid)) if !name.is_empty() => format!(" ({name}, pid {pid})"),
            (_, Some(pid)) => format!(" (pid {pid})"),
            _ => String::new(),
        };
        let device = &found.device;
        match found.kind {
            "xid" => {
                let number = found.number.unwrap_or(0);
                let known = xid::xid(number);
                let meaning = known.map_or("not in NVIDIA's catalog", |known| known.meaning);
                let title = format!("XID {number} on {}: {meaning}{process}", on(device));
                let severity = known.map_or(Severity::Warning, |known| known.class.severity());
                let advice = known.map(|known| {
                    let advice = format!(
                        "NVIDIA: {}, then {}; class {}",
                        known.action,
                        known.investigate,
                        known.class.as_str()
                    );
                    (known.action, advice)
                });
                (EventKind::Xid, severity, title, advice)
            }
            "sxid" => {
                let title = format!("NVSwitch {device}: SXid {}", found.number.unwrap_or(0));
                (EventKind::Xid, found.severity(), title, None)
            }
            "gpu_fallen_off_bus" => {
                let title = format!("{} has fallen off the bus", on(device));
                let advice = Some((
                    "RESTART_BM",
                    "NVIDIA: reboot the node; if it happens again, RMA".to_owned(),
                ));
                (EventKind::Alarm, found.severity(), title, advice)
            }
            kind => {
                let what = kind.replace('_', " ");
                let title = match device.as_str() {
                    "" => format!("{what}{process}"),
                    device => format!("{what} on {device}{process}"),
                };
                (EventKind::Alarm, found.severity(), title, None)
            }
        }
    }

    fn tell_burst(&self, ended: Ended<BurstKey>) {
        let (kind, number, device, pid) = ended.key;
        let name = match number {
            Some(number) => format!("{kind} {number}"),
            None => kind.replace('_', " "),
        };
        let seconds = (ended.last_ms - ended.began_ms) as f64 / 1000.0;
        let mut event = Event::new(
            if number.is_some() {
                EventKind::Xid
            } else {
                EventKind::Alarm
            },
            SOURCE,
            format!("{name} on {device}: {} more in {seconds:.0} s", ended.more),
            ended.began_ms,
        )
        .severity(Severity::Info)
        .label("what", kind)
        .label("device", &device)
        .label("repeated", &ended.more.to_string())
        .until(ended.last_ms);
        if let Some(number) = number {
            event = event.label(kind, &number.to_string());
        }
        if let Some(pid) = pid {
            event = event.label("pid", &pid.to_string());
        }
        if let Some((index, uuid)) = self.gpu(&device) {
            event = event.label("gpu", &index.to_string()).label("UUID", &uuid);
        }
        self.parts.events.emit(event);
    }
}

impl<S: KernelLogSource> Collector for KernelLog<S> {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        match self.source.open() {
            Ok(()) => {
                self.parts.xids.watch(XidSource::Kernel);
                Support::Present
            }
            Err(error) => Support::NotPresent(format!(
                "/dev/kmsg: {error}; run the agent as root or give it CAP_SYSLOG"
            )),
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        let batch = self
            .source
            .read(MOST_RECORDS)
            .map_err(|source| CollectError::read("/dev/kmsg", source))?;
        let (boot_ms, now_ms) = (self.source.boot_ms(), self.source.now_ms());
        let opened_ms = *self.opened_ms.get_or_insert(now_ms);
        self.lost += batch.lost;
        for record in &batch.records {
            self.take(record, boot_ms, opened_ms);
        }
        for ended in self.bursts.end(now_ms) {
            self.tell_burst(ended);
        }
        row.set(&kernel::KERNEL_LOG_RECORDS, &[], self.records as f64);
        row.set(&kernel::KERNEL_LOG_GAPS, &[], self.lost as f64);
        for (kind, count) in &self.counts {
            row.set(&kernel::KERNEL_EVENTS, &[("kind", kind)], *count as f64);
        }
        for ((number, device), count) in &self.sxids {
            let labels = [("sxid", number.to_string()), ("pci_bus_id", device.clone())];
            let labels = labels.each_ref().map(|(name, value)| (*name, value.as_str()));
            row.set(&kernel::KERNEL_SXID_ERRORS, &labels, *count as f64);
        }
        Ok(())
    }
}
