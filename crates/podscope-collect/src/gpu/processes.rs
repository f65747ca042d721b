//! Which processes use which GPU, and how much of it: read through NVML, shared with whoever ties processes to people.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// One process on one GPU or MIG instance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GpuProcess {
    /// NVML's index of the GPU.
    pub gpu: u32,
    /// Set where the GPU is cut into MIG instances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_instance: Option<u32>,
    pub pid: u32,
    /// Bytes; absent where the driver does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<f64>,
    /// Percent of the sample window in which its kernels ran; absent where the driver does not tell (MIG).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sm_util: Option<f64>,
    /// Percent of the sample window in which it read or wrote memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mem_util: Option<f64>,
}

/// What was read last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProcessTable {
    /// Counts readings; 0: never read.
    pub generation: u64,
    pub processes: Vec<GpuProcess>,
    /// GPUs and MIG instances there are: index, UUID, instances (id, index, UUID, profile).
    pub gpus: Vec<GpuPlace>,
}

/// A GPU and its slices, as allocations name them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuPlace {
    pub index: u32,
    pub uuid: String,
    pub pci_bus_id: String,
    pub slices: Vec<Slice>,
}

/// A MIG instance, as allocations name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slice {
    pub instance_id: u32,
    pub index: u32,
    pub uuid: String,
    pub profile: String,
}

/// The processes on the GPUs as read last: clone it, the content is shared.
#[derive(Clone, Debug, Default)]
pub struct GpuProcesses(Arc<Mutex<ProcessTable>>);

impl GpuProcesses {
    /// A copy of what was read last.
    pub fn table(&self) -> ProcessTable {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the GPUs were read at least once; waits so long for the first reading, since collectors start together.
    pub(crate) fn were_read(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        loop {
            if self.table().generation > 0 {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    pub(super) fn update(&self, change: impl FnOnce(&mut ProcessTable)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
