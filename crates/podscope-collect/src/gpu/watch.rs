//! What happens to GPUs, as events: one that is lost and comes back, errors the driver reports, memory that needs a reset, a
//! recovery action, persistence mode off, MIG instances made or removed.

use std::collections::BTreeMap;
use std::sync::Arc;

use podscope_model::event::{Event, EventKind, EventSink, NoSink, Severity};

use super::{GpuIdentity, GpuSnapshot, Readings, Snapshot, XidBook, XidSource};
use crate::kernel::xid::xid;

const SOURCE: &str = "nvml";
/// The kernel's log tells an error with the process that caused it; it is given so many collections to do so.
const KERNEL_PATIENCE: u32 = 3;

/// A state that lasts, told as an event that is open while it does.
#[derive(Debug)]
struct Condition {
    /// Part of the event's key.
    what: &'static str,
    severity: Severity,
    holds: fn(&Readings) -> Option<bool>,
    title: &'static str,
    advice: &'static str,
}

fn positive(value: Option<f64>) -> Option<bool> {
    value.map(|value| value > 0.0)
}

static CONDITIONS: [Condition; 5] = [
    Condition {
        what: "row_remap_pending",
        severity: Severity::Warning,
        holds: |readings| positive(readings.remap_pending),
        title: "waits for a reset to remap memory rows",
        advice: "reset the GPU when nothing runs on it",
    },
    Condition {
        what: "row_remap_failure",
        severity: Severity::Critical,
        holds: |readings| positive(readings.remap_failure),
        title: "could not remap memory rows",
        advice: "take it out of service and contact NVIDIA (RMA)",
    },
    Condition {
        what: "recovery_action",
        severity: Severity::Error,
        holds: |readings| positive(readings.recovery_action),
        title: "asks for a recovery action",
        advice: "1 reset the GPU, 2 reboot the node, 3 drain its peers, 4 drain and reset",
    },
    Condition {
        what: "persistence_off",
        severity: Severity::Warning,
        holds: |readings| readings.persistence_mode.map(|mode| mode < 1.0),
        title: "has persistence mode off",
        advice: "start nvidia-persistenced: without it the driver is loaded anew for every process, and error counters start over",
    },
    Condition {
        what: "fabric_failed",
        severity: Severity::Error,
        holds: |readings| readings.fabric_status.map(|status| status >= 4.0),
        title: "is not in the NVSwitch fabric",
        advice: "look at the fabric manager's log; restart it and reset the GPU",
    },
];

/// What is known of one GPU.
#[derive(Debug, Default)]
struct Watched {
    identity: GpuIdentity,
    /// Since when it does not answer.
    lost_ms: Option<i64>,
    /// Since when each condition holds.
    since: BTreeMap<&'static str, i64>,
    slices: Option<Vec<(u32, String)>>,
}

/// Tells what changed from snapshot to snapshot.
#[derive(Debug)]
pub(super) struct Watch {
    events: Arc<dyn EventSink>,
    gpus: BTreeMap<String, Watched>,
    /// Errors NVML told that the kernel's log may still tell better: GPU, number, when, collections waited.
    untold: Vec<(GpuIdentity, u64, i64, u32)>,
}

impl Default for Watch {
    fn default() -> Self {
        Self::new(Arc::new(NoSink))
    }
}

impl Watch {
    pub(super) fn new(events: Arc<dyn EventSink>) -> Self {
        Self {
            events,
            gpus: BTreeMap::new(),
            untold: Vec::new(),
        }
    }

    /// An error NVML told. `twice`: the kernel's log told it before.
    pub(super) fn xid(&mut self, identity: &GpuIdentity, number: u64, twice: bool, now_ms: i64) {
        if !twice && self.untold.len() < 256 {
            self.untold.push((identity.clone(), number, now_ms, 0));
        }
    }

    /// Compares the snapshot with the one before.
    pub(super) fn look(&mut self, snapshot: &Snapshot, xids: &XidBook, now_ms: i64) {
        self.tell_xids(xids);
        for gpu in &snapshot.gpus {
            let watched = self.gpus.entry(gpu.identity.uuid.clone()).or_default();
            watched.identity = gpu.identity.clone();
            for event in watched.look(gpu, now_ms) {
                self.events.emit(event);
            }
        }
    }

    fn tell_xids(&mut self, xids: &XidBook) {
        let mut told = Vec::new();
        self.untold.retain_mut(|(identity, number, at_ms, waited)| {
            *waited += 1;
            let patience = if xids.is_told_by(XidSource::Kernel) {
                KERNEL_PATIENCE
            } else {
                0
            };
            if *waited <= patience {
                return true;
            }
            // Told by the kernel meanwhile, with the process.
            if !xids.kernel_knows(&identity.pci_bus_id, *number) {
                told.push((identity.clone(), *number, *at_ms));
            }
            false
        });
        for (identity, number, at_ms) in told {
            let known = xid(number);
            let meaning = known.map_or("not in NVIDIA's catalog", |known| known.meaning);
            let severity = known.map_or(Severity::Warning, |known| known.class.severity());
            let title = format!("XID {number} on GPU {}: {meaning}", identity.index);
            let mut event = of_gpu(Event::new(EventKind::Xid, SOURCE, title, at_ms), &identity)
                .severity(severity)
                .label("what", "xid")
                .label("xid", &number.to_string());
            if let Some(known) = known {
                event = event.label("action", known.action).text(format!(
                    "NVIDIA: {}, then {}; class {}",
                    known.action,
                    known.investigate,
                    known.class.as_str()
                ));
            }
            self.events.emit(event);
        }
    }
}

fn of_gpu(event: Event, identity: &GpuIdentity) -> Event {
    event
        .label("gpu", &identity.index.to_string())
        .label("UUID", &identity.uuid)
        .label("device", &identity.pci_bus_id)
}

impl Watched {
    fn look(&mut self, gpu: &GpuSnapshot, now_ms: i64) -> Vec<Event> {
        let mut events = Vec::new();
        let readings = match &gpu.readings {
            Ok(readings) => readings,
            Err(failure) => {
                if self.lost_ms.is_none() {
                    self.lost_ms = Some(now_ms);
                    events.push(self.lost(now_ms).text(failure.to_string()).still_open());
                }
                return events;
            }
        };
        if let Some(since_ms) = self.lost_ms.take() {
            events.push(self.lost(since_ms).text("it answers again").until(now_ms));
        }
        for condition in &CONDITIONS {
            let Some(holds) = (condition.holds)(readings) else {
                continue;
            };
            match (holds, self.since.get(condition.what).copied()) {
                (true, None) => {
                    self.since.insert(condition.what, now_ms);
                    events.push(self.condition(condition, now_ms).still_open());
                }
                (false, Some(since_ms)) => {
                    self.since.remove(condition.what);
                    events.push(self.condition(condition, since_ms).until(now_ms));
                }
                _ => {}
            }
        }
        let slices: Vec<(u32, String)> = gpu
            .mig
            .iter()
            .map(|slice| (slice.instance_id, slice.profile.clone()))
            .collect();
        if let Some(before) = self.slices.replace(slices.clone())
            && before != slices
        {
            events.push(self.reconfigured(&before, &slices, now_ms));
        }
        events
    }

    fn lost(&self, since_ms: i64) -> Event {
        let title = format!("GPU {} does not answer", self.identity.index);
        of_gpu(
            Event::new(EventKind::Alarm, SOURCE, title, since_ms),
            &self.identity,
        )
        .severity(Severity::Critical)
        .label("what", "gpu_lost")
        .key(format!("gpu_lost/{}", self.identity.uuid))
    }

    fn condition(&self, condition: &Condition, since_ms: i64) -> Event {
        let title = format!("GPU {} {}", self.identity.index, condition.title);
        of_gpu(
            Event::new(EventKind::Alarm, SOURCE, title, since_ms),
            &self.identity,
        )
        .severity(condition.severity)
        .label("what", condition.what)
        .text(condition.advice)
        .key(format!("{}/{}", condition.what, self.identity.uuid))
    }

    fn reconfigured(&self, before: &[(u32, String)], now: &[(u32, String)], now_ms: i64) -> Event {
        let list = |slices: &[(u32, String)]| {
            let names: Vec<String> = slices
                .iter()
                .map(|(id, profile)| format!("{profile} ({id})"))
                .collect();
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        };
        let title = format!("GPU {}: MIG instances changed", self.identity.index);
        of_gpu(
            Event::new(EventKind::Change, SOURCE, title, now_ms),
            &self.identity,
        )
        .label("what", "mig_reconfigured")
        .text(format!("before: {}\nnow: {}", list(before), list(now)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::gpu::{MigInstance, NvmlFailure};

    #[derive(Debug, Default)]
    struct Kept(Mutex<Vec<Event>>);

    impl EventSink for Kept {
        fn emit(&self, event: Event) {
            self.0.lock().expect("no test panics with it").push(event);
        }
    }

    fn snapshot(readings: Result<Readings, NvmlFailure>, mig: Vec<MigInstance>) -> Snapshot {
        Snapshot {
            gpus: vec![GpuSnapshot {
                identity: GpuIdentity {
                    index: 3,
                    uuid: "GPU-3".to_owned(),
                    pci_bus_id: "00000000:0A:00.0".to_owned(),
                    model: String::new(),
                },
                readings,
                mig,
            }],
            ..Snapshot::default()
        }
    }

    fn watch() -> (Watch, Arc<Kept>) {
        let kept = Arc::new(Kept::default());
        (Watch::new(kept.clone()), kept)
    }

    fn take(kept: &Kept) -> Vec<Event> {
        std::mem::take(&mut kept.0.lock().expect("no test panics with it"))
    }

    #[test]
    fn a_gpu_that_is_lost_is_told_once_and_again_when_it_is_back() {
        let (mut watch, kept) = watch();
        let xids = XidBook::default();
        let ok = snapshot(Ok(Readings::default()), Vec::new());
        let lost = snapshot(Err(NvmlFailure::GpuLost), Vec::new());
        watch.look(&ok, &xids, 0);
        assert!(take(&kept).is_empty(), "a healthy GPU is no event");
        for at in [1_000, 2_000, 3_000] {
            watch.look(&lost, &xids, at);
        }
        let told = take(&kept);
        assert_eq!((told.len(), told[0].open, told[0].time_ms), (1, true, 1_000));
        watch.look(&ok, &xids, 9_000);
        let back = take(&kept);
        assert_eq!((back.len(), back[0].end_ms), (1, Some(9_000)));
        assert_eq!(back[0].id(), told[0].id(), "the same event, now with its end");
    }

    #[test]
    fn conditions_are_open_while_they_last_and_unknown_is_no_condition() {
        let (mut watch, kept) = watch();
        let xids = XidBook::default();
        let with = |persistence: Option<f64>| {
            let readings = Readings {
                persistence_mode: persistence,
                recovery_action: Some(0.0),
                ..Readings::default()
            };
            snapshot(Ok(readings), Vec::new())
        };
        watch.look(&with(None), &xids, 0);
        watch.look(&with(Some(0.0)), &xids, 1_000);
        watch.look(&with(None), &xids, 2_000);
        watch.look(&with(Some(1.0)), &xids, 3_000);
        let told = take(&kept);
        assert_eq!(told.len(), 2);
        assert_eq!(told[0].labels.get("what"), Some("persistence_off"));
        assert_eq!((told[0].id(), told[1].end_ms), (told[1].id(), Some(3_000)));
    }

    #[test]
    fn changed_slices_are_a_change() {
        let (mut watch, kept) = watch();
        let xids = XidBook::default();
        let slice = MigInstance {
            instance_id: 9,
            profile: "1g.10gb".to_owned(),
            ..MigInstance::default()
        };
        watch.look(&snapshot(Ok(Readings::default()), Vec::new()), &xids, 0);
        watch.look(&snapshot(Ok(Readings::default()), vec![slice]), &xids, 1_000);
        let told = take(&kept);
        assert_eq!(told[0].kind, EventKind::Change);
        assert_eq!(told[0].text, "before: none\nnow: 1g.10gb (9)");
    }

    #[test]
    fn an_error_is_left_to_the_kernels_log_where_that_is_read() {
        let (mut watch, kept) = watch();
        let xids = XidBook::default();
        let nothing = snapshot(Ok(Readings::default()), Vec::new());
        let identity = nothing.gpus[0].identity.clone();
        let nvml = |watch: &mut Watch, number: u64| {
            let twice = xids.add(&identity.pci_bus_id, number, XidSource::Nvml);
            watch.xid(&identity, number, twice, 500);
        };
        nvml(&mut watch, 79);
        watch.look(&nothing, &xids, 1_000);
        assert_eq!(
            take(&kept)[0].labels.get("action"),
            Some("RESTART_BM"),
            "nobody else tells it"
        );
        xids.watch(XidSource::Kernel);
        nvml(&mut watch, 31);
        nvml(&mut watch, 13);
        watch.look(&nothing, &xids, 2_000);
        assert!(
            take(&kept).is_empty(),
            "the kernel may still tell it with its process"
        );
        xids.add("0000:0a:00", 31, XidSource::Kernel);
        for at in 3..9 {
            watch.look(&nothing, &xids, at * 1_000);
        }
        let told = take(&kept);
        assert_eq!((told.len(), told[0].labels.get("xid")), (1, Some("13")));
    }
}
