//! A simulated NVML: GPUs whose readings and faults somebody else decides, while collectors read them.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use podscope_model::catalog::MetricDef;

use super::{GpuIdentity, MigInstance, Nvml, NvmlFailure, Readings, XidEvent};

/// What is wrong with the simulated driver or one of its GPUs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum SimFault {
    /// Every call hangs until the fault is cleared, as with a driver in a bad state.
    Hang,
    /// This GPU has fallen off the bus.
    GpuLost,
    /// This reading of this GPU answers an error.
    Unreadable(&'static MetricDef),
}

/// One simulated GPU.
#[derive(Clone, Debug, Default)]
pub struct SimGpu {
    pub identity: GpuIdentity,
    pub readings: Readings,
    pub mig: Vec<MigInstance>,
    pub faults: Vec<SimFault>,
}

/// The simulated machine's GPUs.
#[derive(Debug, Default)]
pub struct SimState {
    pub gpus: Vec<SimGpu>,
    /// `Some`: there is no NVML on this machine, for this reason.
    pub not_present: Option<String>,
    hang: bool,
    xids: VecDeque<XidEvent>,
}

impl SimState {
    /// Lets the driver report an XID error of a GPU.
    pub fn raise_xid(&mut self, gpu: usize, xid: u64) {
        if let Some(gpu) = self.gpus.get(gpu) {
            self.xids.push_back(XidEvent {
                uuid: gpu.identity.uuid.clone(),
                xid,
            });
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<SimState>,
    changed: Condvar,
}

/// The handle with which somebody else drives the GPUs: clone it, the state is shared.
#[derive(Clone, Debug, Default)]
pub struct SimGpus(Arc<Shared>);

impl SimGpus {
    /// `count` GPUs of one model, as they are when nothing runs. `seed` tells machines apart: equal seeds give equal
    /// UUIDs.
    pub fn new(count: u32, model: &str, seed: u64) -> Self {
        let gpus = Self::default();
        gpus.change(|state| state.gpus = (0..count).map(|index| idle_gpu(index, model, seed)).collect());
        gpus
    }

    /// A machine without NVML.
    pub fn not_present(reason: &str) -> Self {
        let gpus = Self::default();
        gpus.change(|state| state.not_present = Some(reason.to_owned()));
        gpus
    }

    /// Reads or changes the state; collectors see a change whole or not at all.
    pub fn change<T>(&self, change: impl FnOnce(&mut SimState) -> T) -> T {
        let answer = change(&mut self.lock());
        self.0.changed.notify_all();
        answer
    }

    /// Lets every call hang, or go on.
    pub fn hang(&self, hang: bool) {
        self.change(|state| state.hang = hang);
    }

    /// The NVML that reads these GPUs.
    pub fn nvml(&self) -> SimNvml {
        SimNvml(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, SimState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An H100 SXM at rest; readings a test wants otherwise it sets.
fn idle_gpu(index: u32, model: &str, seed: u64) -> SimGpu {
    SimGpu {
        identity: GpuIdentity {
            index,
            uuid: format!(
                "GPU-{:08x}-{:04x}-4{index:03x}-8000-{seed:012x}",
                seed >> 16,
                seed & 0xffff
            ),
            pci_bus_id: format!("00000000:{:02X}:00.0", 0x0a + index * 0x10),
            model: model.to_owned(),
        },
        readings: Readings {
            gpu_util: Some(0.0),
            mem_copy_util: Some(0.0),
            enc_util: Some(0.0),
            dec_util: Some(0.0),
            fb_free: Some(80_995.0),
            fb_used: Some(4.0),
            fb_reserved: Some(560.0),
            fb_total: Some(81_559.0),
            gpu_temp: Some(30.0),
            memory_temp: Some(40.0),
            power_usage: Some(70.0),
            power_limit: Some(700.0),
            energy: Some(1.0e9),
            sm_clock: Some(345.0),
            mem_clock: Some(2619.0),
            clocks_event_reasons: Some(1.0),
            pcie_replay: Some(0.0),
            pcie_link_gen: Some(5.0),
            pcie_link_width: Some(16.0),
            pcie_max_link_gen: Some(5.0),
            pcie_max_link_width: Some(16.0),
            pcie_tx: Some(0.0),
            pcie_rx: Some(0.0),
            ecc_sbe_volatile: Some(0.0),
            ecc_dbe_volatile: Some(0.0),
            ecc_sbe_aggregate: Some(0.0),
            ecc_dbe_aggregate: Some(0.0),
            remapped_correctable: Some(0.0),
            remapped_uncorrectable: Some(0.0),
            remap_pending: Some(0.0),
            remap_failure: Some(0.0),
        },
        mig: Vec::new(),
        faults: Vec::new(),
    }
}

/// The simulated library.
#[derive(Clone, Debug)]
pub struct SimNvml(SimGpus);

impl SimNvml {
    /// Waits while the driver hangs.
    fn state(&self) -> MutexGuard<'_, SimState> {
        let mut state = self.0.lock();
        while state.hang || state.gpus.iter().any(|gpu| gpu.faults.contains(&SimFault::Hang)) {
            state = self
                .0
                .0
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    fn gpu<T>(&self, index: u32, read: impl FnOnce(&SimGpu) -> T) -> Result<T, NvmlFailure> {
        let state = self.state();
        let gpu = state.gpus.iter().find(|gpu| gpu.identity.index == index);
        let gpu = gpu.ok_or_else(|| NvmlFailure::Failed(format!("there is no GPU {index}")))?;
        if gpu.faults.contains(&SimFault::GpuLost) {
            return Err(NvmlFailure::GpuLost);
        }
        Ok(read(gpu))
    }
}

impl Nvml for SimNvml {
    fn count(&mut self) -> Result<u32, NvmlFailure> {
        let state = self.state();
        match &state.not_present {
            Some(reason) => Err(NvmlFailure::NotPresent(reason.clone())),
            None => Ok(u32::try_from(state.gpus.len()).unwrap_or(u32::MAX)),
        }
    }

    fn identity(&mut self, index: u32) -> Result<GpuIdentity, NvmlFailure> {
        self.gpu(index, |gpu| gpu.identity.clone())
    }

    fn readings(&mut self, index: u32) -> Result<Readings, NvmlFailure> {
        self.gpu(index, |gpu| {
            let mut readings = gpu.readings.clone();
            for fault in &gpu.faults {
                if let SimFault::Unreadable(def) = fault
                    && let Some(reading) = readings.get_mut(def)
                {
                    *reading = None;
                }
            }
            readings
        })
    }

    fn mig_instances(&mut self, index: u32) -> Result<Vec<MigInstance>, NvmlFailure> {
        self.gpu(index, |gpu| gpu.mig.clone())
    }

    fn xid_events(&mut self) -> Option<Vec<XidEvent>> {
        Some(self.state().xids.drain(..).collect())
    }
}
