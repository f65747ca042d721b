//! From a snapshot to a row, with dcgm-exporter's labels; what has to be counted over time is counted here.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use podscope_model::batch::Row;
use podscope_model::catalog::gpu;
use podscope_model::leaf::GpuInfo;

use super::{GpuIdentity, GpuSnapshot, Readings, Snapshot};
use crate::error::{CollectError, Problems};

/// XID numbers counted apart per GPU at most: NVIDIA's catalog has 172.
const MOST_XIDS: usize = 256;

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

/// Writes rows, and remembers the XID errors seen.
#[derive(Debug)]
pub(super) struct GpuRows {
    host_name: String,
    inventory: Inventory,
    /// Per UUID: the last XID, and how often each was seen.
    xids: BTreeMap<String, (u64, BTreeMap<u64, u64>)>,
}

impl GpuRows {
    pub(super) fn new(host_name: &str) -> Self {
        Self {
            host_name: host_name.to_owned(),
            inventory: Inventory::default(),
            xids: BTreeMap::new(),
        }
    }

    pub(super) fn inventory(&self) -> Inventory {
        self.inventory.clone()
    }

    /// Takes in what would be lost with the snapshot: which GPUs there are, and their XID errors.
    pub(super) fn absorb(&mut self, snapshot: &Snapshot) {
        self.inventory.update(&snapshot.gpus);
        for event in snapshot.xids.iter().flatten() {
            let (last, counts) = self.xids.entry(event.uuid.clone()).or_default();
            *last = event.xid;
            if counts.len() < MOST_XIDS || counts.contains_key(&event.xid) {
                *counts.entry(event.xid).or_default() += 1;
            }
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
            self.gpu(gpu, snapshot.xids.is_some(), row, problems);
        }
    }

    fn gpu(&self, snapshot: &GpuSnapshot, xids_told: bool, row: &mut Row, problems: &mut Problems) {
        let identity = &snapshot.identity;
        let index = identity.index.to_string();
        let device = format!("nvidia{index}");
        // The last three are for MIG instances and XID errors; an empty label is none.
        let labels = [
            ("gpu", index.as_str()),
            ("UUID", identity.uuid.as_str()),
            ("pci_bus_id", identity.pci_bus_id.as_str()),
            ("device", device.as_str()),
            ("modelName", identity.model.as_str()),
            ("Hostname", self.host_name.as_str()),
            ("GPU_I_PROFILE", ""),
            ("GPU_I_ID", ""),
            ("xid", ""),
        ];
        let readable = snapshot.readings.is_ok();
        row.set(
            &gpu::PODSCOPE_GPU_READABLE,
            &labels,
            f64::from(u8::from(readable)),
        );
        // The driver reports XID errors of a lost GPU too: most of all then they are wanted.
        let seen = self.xids.get(&identity.uuid);
        if xids_told {
            row.set(
                &gpu::DCGM_FI_DEV_XID_ERRORS,
                &labels,
                seen.map_or(0.0, |(last, _)| *last as f64),
            );
        }
        for (xid, count) in seen.iter().flat_map(|(_, counts)| counts) {
            let number = xid.to_string();
            let mut labels = labels;
            labels[8].1 = &number;
            row.set(&gpu::PODSCOPE_GPU_XID_ERRORS_TOTAL, &labels, *count as f64);
        }
        match &snapshot.readings {
            Ok(readings) => write_readings(readings, &labels, row),
            Err(failure) => problems.push(CollectError::Vendor {
                what: format!("GPU {} ({})", identity.index, identity.uuid),
                reason: failure.to_string(),
            }),
        }
        for instance in &snapshot.mig {
            let id = instance.instance_id.to_string();
            let mut labels = labels;
            labels[6].1 = &instance.profile;
            labels[7].1 = &id;
            write_readings(&instance.readings, &labels, row);
        }
    }
}

fn write_readings(readings: &Readings, labels: &[(&str, &str)], row: &mut Row) {
    for (def, value) in readings.samples() {
        row.set(def, labels, value);
    }
}
