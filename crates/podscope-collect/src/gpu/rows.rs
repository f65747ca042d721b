//! From a snapshot to a row, with dcgm-exporter's labels; what has to be counted over time is counted here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use podscope_model::batch::Row;
use podscope_model::catalog::{MetricDef, gpu};
use podscope_model::event::EventSink;
use podscope_model::leaf::GpuInfo;

use super::expected::Expected;
use super::readings::{PCIE_ERRORS, TEMPERATURE_LIMITS};
use super::watch::Watch;
use super::{
    Aliases, CallTime, GpuIdentity, GpuPlace, GpuProcesses, GpuSnapshot, Readings, Slice, Snapshot, XidBook,
    XidSource,
};
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;

/// Why clocks are held down, as the label `reason` has it, by bit of `nvmlClocksEventReason*`.
const CLOCK_REASONS: [&str; 9] = [
    "gpu_idle",
    "applications_clocks_setting",
    "sw_power_cap",
    "hw_slowdown",
    "sync_boost",
    "sw_thermal_slowdown",
    "hw_thermal_slowdown",
    "hw_power_brake_slowdown",
    "display_clock_setting",
];

/// The GPUs last seen, shared with whoever answers for the node's inventory.
#[derive(Clone, Debug, Default)]
pub struct Inventory(Arc<Mutex<Vec<GpuInfo>>>);

impl Inventory {
    /// The GPUs last seen, in order of their index; empty where none was ever seen.
    pub fn gpus(&self) -> Vec<GpuInfo> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn update(&self, gpus: &[GpuSnapshot]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = known.len() == gpus.len()
            && known
                .iter()
                .zip(gpus)
                .all(|(one, gpu)| one.uuid == gpu.identity.uuid && one.index == gpu.identity.index);
        if !same {
            *known = gpus.iter().map(|gpu| info(&gpu.identity)).collect();
        }
    }
}

fn info(identity: &GpuIdentity) -> GpuInfo {
    GpuInfo {
        index: identity.index,
        uuid: identity.uuid.clone(),
        model: identity.model.clone(),
        pci_bus_id: identity.pci_bus_id.clone(),
    }
}

/// What the operator, or another collector, decides about the rows.
#[derive(Clone, Debug, Default)]
pub struct RowOptions {
    /// Older names that are written too.
    pub aliases: Aliases,
    /// GPUs there should be; `None`: the most ever seen.
    pub expected: Option<u32>,
    /// The XID errors, shared with the reader of the kernel log.
    pub xids: XidBook,
    /// Where what happens is told; nowhere by default.
    pub events: Option<Arc<dyn EventSink>>,
    /// Whose clock the events go by; the system's by default.
    pub clock: Option<Arc<dyn HostFs>>,
}

/// Calls of one class since the agent started.
#[derive(Debug, Default)]
struct Calls {
    calls: u64,
    seconds: f64,
    slowest: f64,
}

/// Writes rows, and remembers what has to be counted over time.
#[derive(Debug)]
pub(super) struct GpuRows {
    host_name: String,
    inventory: Inventory,
    processes: GpuProcesses,
    xids: XidBook,
    aliases: Aliases,
    expected: Expected,
    calls: BTreeMap<String, Calls>,
    watch: Watch,
    clock: Option<Arc<dyn HostFs>>,
}

/// The labels of one GPU's series; the last five are empty, and so absent, where they do not apply.
type GpuLabels<'a> = [(&'static str, &'a str); 10];
const PROFILE: usize = 6;
const INSTANCE: usize = 7;
const UNIFIED: usize = 8;
const EXTRA: usize = 9;

impl GpuRows {
    pub(super) fn new(host_name: &str, options: RowOptions) -> Self {
        Self {
            host_name: host_name.to_owned(),
            inventory: Inventory::default(),
            processes: GpuProcesses::default(),
            xids: options.xids,
            aliases: options.aliases,
            expected: Expected::new(options.expected),
            calls: BTreeMap::new(),
            watch: options.events.map(Watch::new).unwrap_or_default(),
            clock: options.clock,
        }
    }

    fn now_ms(&self) -> i64 {
        let now = self
            .clock
            .as_ref()
            .map_or_else(SystemTime::now, |clock| clock.now());
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    pub(super) fn inventory(&self) -> Inventory {
        self.inventory.clone()
    }

    pub(super) fn processes(&self) -> GpuProcesses {
        self.processes.clone()
    }

    /// Takes in what would be lost with the snapshot: which GPUs there are, their XID errors, what the calls took.
    pub(super) fn absorb(&mut self, snapshot: &Snapshot) {
        self.inventory.update(&snapshot.gpus);
        let now_ms = self.now_ms();
        if snapshot.xids.is_some() {
            self.xids.watch(XidSource::Nvml);
        }
        for event in snapshot.xids.iter().flatten() {
            let gpu = snapshot.gpus.iter().find(|gpu| gpu.identity.uuid == event.uuid);
            if let Some(gpu) = gpu {
                let twice = self
                    .xids
                    .add(&gpu.identity.pci_bus_id, event.xid, XidSource::Nvml);
                self.watch.xid(&gpu.identity, event.xid, twice, now_ms);
            }
        }
        self.watch.look(snapshot, &self.xids, now_ms);
        for CallTime {
            call,
            calls,
            seconds,
            slowest,
        } in &snapshot.calls
        {
            if !self.calls.contains_key(call) {
                self.calls.insert(call.clone(), Calls::default());
            }
            if let Some(known) = self.calls.get_mut(call) {
                known.calls += calls;
                known.seconds += seconds;
                known.slowest = *slowest;
            }
        }
        if let Some(processes) = &snapshot.processes {
            self.processes.update(|table| {
                table.generation += 1;
                table.processes.clone_from(processes);
                table.gpus = snapshot.gpus.iter().map(place).collect();
            });
        }
    }

    /// Absorbs the snapshot and writes it as a row.
    pub(super) fn write(&mut self, snapshot: &Snapshot, row: &mut Row, problems: &mut Problems) {
        self.absorb(snapshot);
        for problem in &snapshot.problems {
            problems.push(CollectError::Vendor {
                what: "NVML".to_owned(),
                reason: problem.clone(),
            });
        }
        for gpu in &snapshot.gpus {
            self.gpu(gpu, row, problems);
        }
        let answering = snapshot.gpus.iter().filter(|gpu| gpu.readings.is_ok()).count();
        let answering = u32::try_from(answering).unwrap_or(u32::MAX);
        row.set(&gpu::PODSCOPE_GPUS_PRESENT, &[], f64::from(answering));
        let expected = self.expected.see(answering);
        row.set(&gpu::PODSCOPE_GPUS_EXPECTED, &[], f64::from(expected));
        for (call, times) in &self.calls {
            let labels = [("call", call.as_str())];
            row.set(&gpu::PODSCOPE_NVML_CALLS_TOTAL, &labels, times.calls as f64);
            row.set(&gpu::PODSCOPE_NVML_CALL_SECONDS_TOTAL, &labels, times.seconds);
            row.set(&gpu::PODSCOPE_NVML_SLOWEST_CALL_SECONDS, &labels, times.slowest);
        }
    }

    fn gpu(&self, snapshot: &GpuSnapshot, row: &mut Row, problems: &mut Problems) {
        let identity = &snapshot.identity;
        let index = identity.index.to_string();
        let device = format!("nvidia{index}");
        let labels: GpuLabels<'_> = [
            ("gpu", index.as_str()),
            ("UUID", identity.uuid.as_str()),
            ("pci_bus_id", identity.pci_bus_id.as_str()),
            ("device", device.as_str()),
            ("modelName", identity.model.as_str()),
            ("Hostname", self.host_name.as_str()),
            ("GPU_I_PROFILE", ""),
            ("GPU_I_ID", ""),
            ("unified", ""),
            ("", ""),
        ];
        let readable = snapshot.readings.is_ok();
        let plain = &labels[..UNIFIED];
        row.set(&gpu::PODSCOPE_GPU_READABLE, plain, f64::from(u8::from(readable)));
        // The driver reports XID errors of a lost GPU too: most of all then they are wanted.
        let seen = self.xids.of(&identity.pci_bus_id);
        if self.xids.is_watched() {
            let last = seen.as_ref().map_or(0, |seen| seen.last);
            row.set(&gpu::DCGM_FI_DEV_XID_ERRORS, plain, last as f64);
        }
        for (xid, count) in seen.iter().flat_map(|seen| seen.counts()) {
            let number = xid.to_string();
            let labels = with_extra(labels, "xid", &number);
            row.set(&gpu::PODSCOPE_GPU_XID_ERRORS_TOTAL, &labels, count as f64);
        }
        match &snapshot.readings {
            Ok(readings) => {
                write_readings(readings, labels, row);
                self.aliases.whole(readings, &index, row);
            }
            Err(failure) => problems.push(CollectError::Vendor {
                what: format!("GPU {} ({})", identity.index, identity.uuid),
                reason: failure.to_string(),
            }),
        }
        for instance in &snapshot.mig {
            let id = instance.instance_id.to_string();
            let mut labels = labels;
            labels[PROFILE].1 = &instance.profile;
            labels[INSTANCE].1 = &id;
            write_readings(&instance.readings, labels, row);
            self.aliases.slice(&instance.readings, &index, &id, row);
        }
    }
}

fn place(gpu: &GpuSnapshot) -> GpuPlace {
    let slice = |instance: &super::MigInstance| Slice {
        instance_id: instance.instance_id,
        index: instance.index,
        uuid: instance.uuid.clone(),
        profile: instance.profile.clone(),
    };
    GpuPlace {
        index: gpu.identity.index,
        uuid: gpu.identity.uuid.clone(),
        pci_bus_id: gpu.identity.pci_bus_id.clone(),
        slices: gpu.mig.iter().map(slice).collect(),
    }
}

fn with_extra<'a>(mut labels: GpuLabels<'a>, name: &'static str, value: &'a str) -> GpuLabels<'a> {
    labels[EXTRA] = (name, value);
    labels
}

fn write_readings(readings: &Readings, mut labels: GpuLabels<'_>, row: &mut Row) {
    for (def, value) in readings.samples() {
        labels[UNIFIED].1 = if readings.unified && is_memory(def) {
            "true"
        } else {
            ""
        };
        row.set(def, &labels[..EXTRA], value);
    }
    labels[UNIFIED].1 = "";
    if let Some(reasons) = readings.clocks_event_reasons {
        // Bits of a mask: exact in a double.
        let reasons = reasons as u64;
        for (bit, reason) in CLOCK_REASONS.iter().enumerate() {
            let active = reasons >> bit & 1;
            let labels = with_extra(labels, "reason", reason);
            row.set(&gpu::PODSCOPE_GPU_CLOCKS_EVENT_ACTIVE, &labels, active as f64);
        }
    }
    for (kind, count) in PCIE_ERRORS.iter().zip(readings.pcie_errors) {
        if let Some(count) = count {
            let labels = with_extra(labels, "kind", kind);
            row.set(&gpu::PODSCOPE_GPU_PCIE_ERRORS_TOTAL, &labels, count);
        }
    }
    for (threshold, margin) in TEMPERATURE_LIMITS.iter().zip(readings.temperature_limits) {
        if let Some(margin) = margin {
            let labels = with_extra(labels, "threshold", threshold);
            row.set(&gpu::PODSCOPE_GPU_TEMPERATURE_LIMIT_CELSIUS, &labels, margin);
        }
    }
}

/// Whether the metric is of the frame buffer.
fn is_memory(def: &MetricDef) -> bool {
    def.labels.contains(&"unified")
}
