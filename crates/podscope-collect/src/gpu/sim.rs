//! A simulated NVML: GPUs whose readings and faults somebody else decides, while collectors read them.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use podscope_model::catalog::MetricDef;

use super::readings::PCIE_ERRORS;
use super::timing::CallTimes;
use super::{CallTime, GpuIdentity, GpuProcess, MigInstance, Nvml, NvmlFailure, Readings, XidEvent};

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
    pub processes: Vec<GpuProcess>,
    pub faults: Vec<SimFault>,
}

/// The simulated machine's GPUs.
#[derive(Debug, Default)]
pub struct SimState {
    pub gpus: Vec<SimGpu>,
    /// `Some`: there is no NVML on this machine, for this reason.
    pub not_present: Option<String>,
    /// `Some`: every call fails, and why.
    pub broken: Option<String>,
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
        SimNvml {
            gpus: self.clone(),
            times: CallTimes::default(),
        }
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
        readings: idle_readings(),
        mig: Vec::new(),
        processes: Vec::new(),
        faults: Vec::new(),
    }
}

/// What an H100 SXM at rest reads: all that its driver has, nothing of what only older or newer GPUs have.
pub fn idle_readings() -> Readings {
    let zero = Some(0.0);
    Readings {
        gpu_util: zero,
        mem_copy_util: zero,
        enc_util: zero,
        dec_util: zero,
        fb_free: Some(80_995.0),
        fb_used: Some(4.0),
        fb_reserved: Some(560.0),
        fb_total: Some(81_559.0),
        gpu_temp: Some(30.0),
        memory_temp: Some(40.0),
        temp_margin: Some(57.0),
        slowdown_temp: Some(92.0),
        shutdown_temp: Some(95.0),
        gpu_max_op_temp: Some(87.0),
        mem_max_op_temp: Some(95.0),
        power_usage: Some(70.0),
        power_instant: Some(70.0),
        power_limit: Some(700.0),
        power_set_limit: Some(700.0),
        power_min_limit: Some(200.0),
        power_max_limit: Some(700.0),
        power_default_limit: Some(700.0),
        energy: Some(1.0e9),
        sm_clock: Some(345.0),
        mem_clock: Some(2619.0),
        video_clock: Some(765.0),
        max_sm_clock: Some(1980.0),
        max_mem_clock: Some(2619.0),
        pstate: zero,
        clocks_event_reasons: Some(1.0),
        power_violation: zero,
        thermal_violation: zero,
        sync_boost_violation: zero,
        board_limit_violation: zero,
        low_util_violation: zero,
        reliability_violation: zero,
        total_app_clocks_violation: zero,
        total_base_clocks_violation: zero,
        sw_therm_slowdown: zero,
        hw_therm_slowdown: zero,
        hw_power_brake_slowdown: zero,
        pcie_replay: zero,
        pcie_correctable: zero,
        pcie_link_gen: Some(5.0),
        pcie_link_width: Some(16.0),
        pcie_max_link_gen: Some(5.0),
        pcie_max_link_width: Some(16.0),
        pcie_tx: zero,
        pcie_rx: zero,
        gr_engine_active: zero,
        sm_active: zero,
        sm_occupancy: zero,
        tensor_active: zero,
        tensor_imma_active: zero,
        tensor_hmma_active: zero,
        tensor_dfma_active: zero,
        dram_active: zero,
        fp64_active: zero,
        fp32_active: zero,
        fp16_active: zero,
        int_active: zero,
        nvlink_tx: zero,
        nvlink_rx: zero,
        nvlink_tx_bytes: zero,
        nvlink_rx_bytes: zero,
        nvlink_crc_flit: zero,
        nvlink_replay: zero,
        nvlink_recovery: zero,
        nvlinks: Some(18.0),
        nvlinks_active: Some(18.0),
        ecc_on: Some(1.0),
        ecc_sbe_volatile: zero,
        ecc_dbe_volatile: zero,
        ecc_sbe_aggregate: zero,
        ecc_dbe_aggregate: zero,
        ecc_sbe_vol_l2: zero,
        ecc_dbe_vol_l2: zero,
        ecc_sbe_vol_dev: zero,
        ecc_dbe_vol_dev: zero,
        ecc_sbe_agg_l2: zero,
        ecc_dbe_agg_l2: zero,
        ecc_sbe_agg_dev: zero,
        ecc_dbe_agg_dev: zero,
        remapped_correctable: zero,
        remapped_uncorrectable: zero,
        remap_pending: zero,
        remap_failure: zero,
        remap_banks_max: Some(2560.0),
        remap_banks_high: zero,
        remap_banks_partial: zero,
        remap_banks_low: zero,
        remap_banks_none: zero,
        recovery_action: zero,
        fabric_status: Some(3.0),
        fabric_health: zero,
        persistence_mode: Some(1.0),
        mig_mode: zero,
        pcie_errors: [zero; PCIE_ERRORS.len()],
        temperature_limits: [Some(-8.0), Some(-5.0), Some(0.0), Some(0.0)],
        ..Readings::default()
    }
}

/// The simulated library.
#[derive(Debug)]
pub struct SimNvml {
    gpus: SimGpus,
    times: CallTimes,
}

impl SimNvml {
    /// Waits while the driver hangs.
    fn state(&self) -> MutexGuard<'_, SimState> {
        let mut state = self.gpus.lock();
        while state.hang || state.gpus.iter().any(|gpu| gpu.faults.contains(&SimFault::Hang)) {
            state = self
                .gpus
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

/// Runs a call and measures it under its class.
fn timed<T>(nvml: &mut SimNvml, class: &str, call: impl FnOnce(&SimNvml) -> T) -> T {
    let mut times = std::mem::take(&mut nvml.times);
    let answer = times.measure(class, || call(nvml));
    nvml.times = times;
    answer
}

impl Nvml for SimNvml {
    fn count(&mut self) -> Result<u32, NvmlFailure> {
        let state = self.state();
        if let Some(reason) = &state.broken {
            return Err(NvmlFailure::Failed(reason.clone()));
        }
        match &state.not_present {
            Some(reason) => Err(NvmlFailure::NotPresent(reason.clone())),
            None => Ok(u32::try_from(state.gpus.len()).unwrap_or(u32::MAX)),
        }
    }

    fn identity(&mut self, index: u32) -> Result<GpuIdentity, NvmlFailure> {
        self.gpu(index, |gpu| gpu.identity.clone())
    }

    fn readings(&mut self, index: u32) -> Result<Readings, NvmlFailure> {
        let read = |gpu: &SimGpu| {
            let mut readings = gpu.readings.clone();
            for fault in &gpu.faults {
                if let SimFault::Unreadable(def) = fault
                    && let Some(reading) = readings.get_mut(def)
                {
                    *reading = None;
                }
            }
            readings
        };
        timed(self, "readings", |nvml| nvml.gpu(index, read))
    }

    fn mig_instances(&mut self, index: u32) -> Result<Vec<MigInstance>, NvmlFailure> {
        timed(self, "mig", |nvml| nvml.gpu(index, |gpu| gpu.mig.clone()))
    }

    fn xid_events(&mut self) -> Option<Vec<XidEvent>> {
        timed(self, "events", |nvml| Some(nvml.state().xids.drain(..).collect()))
    }

    fn processes(&mut self, index: u32) -> Result<Vec<GpuProcess>, NvmlFailure> {
        timed(self, "processes", |nvml| {
            nvml.gpu(index, |gpu| gpu.processes.clone())
        })
    }

    fn call_times(&mut self) -> Vec<CallTime> {
        self.times.take()
    }
}
