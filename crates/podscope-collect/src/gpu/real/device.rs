//! One GPU of the real library: what is read of it every second, what every tenth, and what is remembered in between.

use std::time::Instant;

use nvml_wrapper::Device;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor, TemperatureThreshold};
use nvml_wrapper::enums::device::UsedGpuMemory;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::gpm::{GpmSample, gpm_metrics_get};
use nvml_wrapper::struct_wrappers::device::ProcessInfo;
use nvml_wrapper::sys_exports::field_id;

use super::calls::{ALL_LINKS, Wanted, fabric, field_values, margin_temperature, remapper_histogram};
use super::convert::{
    FieldAnswer, NVLINK5, OFTEN, PROFILES, Renumbered, SELDOM, apply, profile, rate, share_memory,
};
use super::{number, reading};
use crate::gpu::timing::CallTimes;
use crate::gpu::{GpuIdentity, GpuProcess, NvmlFailure, Readings};

/// Reads after which the seldom changing readings are read again.
const SELDOM_EVERY: u32 = 10;
/// `NVML_NVLINK_MAX_LINKS` of nvml.h.
const MOST_LINKS: u32 = 18;
const MIB: f64 = 1024.0 * 1024.0;

/// Which fields count a GPU's NVLink traffic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Traffic {
    #[default]
    NotAsked,
    /// Bytes (NVLink 5).
    Bytes,
    /// KiB (NVLink 3 and 4).
    Kibibytes,
    None,
}

/// Counts of one moment, from which rates are made.
#[derive(Clone, Copy, Debug)]
struct Counts {
    at: Instant,
    pcie: [Option<f64>; 2],
    nvlink: [Option<f64>; 2],
}

/// What is remembered of one GPU.
#[derive(Default)]
pub(super) struct OneGpu {
    pub(super) identity: Option<GpuIdentity>,
    reads: u32,
    seldom: Readings,
    counts: Option<Counts>,
    traffic: Traffic,
    pub(super) profiler: Profiler,
    /// Of each MIG instance, by the instance's id.
    pub(super) slices: Vec<(u32, Profiler)>,
    /// The driver's time stamp of the newest process sample seen.
    process_seen: u64,
}

/// The profiling of a GPU or MIG instance: metrics are made of two samples.
#[derive(Default)]
pub(super) struct Profiler {
    last: Option<GpmSample<'static>>,
    /// The GPU has no profiling, or not as a whole (MIG).
    refused: bool,
}

impl Profiler {
    /// Takes a sample and writes what happened since the one before.
    pub(super) fn read(
        &mut self,
        device: &Device<'static>,
        take: impl FnOnce() -> Result<GpmSample<'static>, NvmlError>,
        readings: &mut Readings,
    ) {
        if self.refused {
            return;
        }
        let sample = match take() {
            Ok(sample) => sample,
            Err(NvmlError::NotSupported | NvmlError::FailedToLoadSymbol(_)) => {
                self.refused = true;
                self.last = None;
                return;
            }
            // A MIG reconfiguration under way, say: the next time may work.
            Err(_) => {
                self.last = None;
                return;
            }
        };
        if let Some(last) = &self.last {
            let ids = PROFILES.each_ref().map(|entry| entry.id);
            let answers = gpm_metrics_get(device.nvml(), last, &sample, &ids).unwrap_or_default();
            for (entry, answer) in PROFILES.iter().zip(answers) {
                if let Ok(answer) = answer {
                    profile(entry, answer.value, readings);
                }
            }
        }
        self.last = Some(sample);
    }
}

impl OneGpu {
    pub(super) fn read(
        &mut self,
        device: &Device<'static>,
        renumbered: Renumbered,
        times: &mut CallTimes,
    ) -> Result<Readings, NvmlFailure> {
        if self.reads.is_multiple_of(SELDOM_EVERY) {
            self.seldom = times.measure("seldom", || read_seldom(device, renumbered))?;
        }
        self.reads = self.reads.wrapping_add(1);
        let mut readings = self.seldom.clone();
        let answers = times.measure("fields", || self.fields(device, renumbered))?;
        let (often, counts) = answers.split_at(OFTEN.len().min(answers.len()));
        apply(&OFTEN, often, &mut readings)?;
        self.rates(counts, &mut readings)?;
        times.measure("utilization", || read_utilization(device, &mut readings))?;
        times.measure("memory", || read_memory(device, &mut readings))?;
        times.measure("clocks", || read_clocks(device, &mut readings))?;
        times.measure("power", || -> Result<(), NvmlFailure> {
            // Milliwatts.
            readings.power_usage = number(device.power_usage())?.map(|milliwatts| milliwatts / 1000.0);
            Ok(())
        })?;
        times.measure("temperature", || -> Result<(), NvmlFailure> {
            readings.gpu_temp = number(device.temperature(TemperatureSensor::Gpu))?;
            readings.temp_margin = reading(margin_temperature(device))?;
            Ok(())
        })?;
        if readings.mig_mode != Some(1.0) {
            let profiler = &mut self.profiler;
            times.measure("gpm", || {
                profiler.read(device, || device.gpm_sample(), &mut readings)
            });
        }
        Ok(readings)
    }

    /// The often read fields, then bytes sent and received over PCIe, then over NVLink.
    fn fields(
        &mut self,
        device: &Device<'_>,
        renumbered: Renumbered,
    ) -> Result<Vec<FieldAnswer>, NvmlFailure> {
        if self.traffic == Traffic::NotAsked {
            self.traffic = find_traffic(device, renumbered)?;
        }
        let mut wanted: Vec<Wanted> = OFTEN.iter().map(|field| (field.id, 0)).collect();
        wanted.push((field_id::NVML_FI_DEV_PCIE_COUNT_TX_BYTES, 0));
        wanted.push((field_id::NVML_FI_DEV_PCIE_COUNT_RX_BYTES, 0));
        wanted.extend(traffic_fields(self.traffic));
        Ok(reading(field_values(device, renumbered, &wanted))?.unwrap_or_default())
    }

    fn rates(&mut self, counts: &[FieldAnswer], readings: &mut Readings) -> Result<(), NvmlFailure> {
        let unit = if self.traffic == Traffic::Kibibytes {
            1024.0
        } else {
            1.0
        };
        let count = |at: usize| counts.get(at).map_or(Ok(None), |answer| answer.number());
        let now = Counts {
            at: Instant::now(),
            pcie: [count(0)?, count(1)?],
            nvlink: [count(2)?, count(3)?].map(|count| count.map(|count| count * unit)),
        };
        [readings.nvlink_tx_bytes, readings.nvlink_rx_bytes] = now.nvlink;
        if let Some(then) = self.counts.replace(now) {
            let seconds = (now.at - then.at).as_secs_f64();
            readings.pcie_tx = rate(now.pcie[0], then.pcie[0], seconds);
            readings.pcie_rx = rate(now.pcie[1], then.pcie[1], seconds);
            // Where the GPU is profiled, these are overwritten by the same rate of shorter reach.
            readings.nvlink_tx = rate(now.nvlink[0], then.nvlink[0], seconds);
            readings.nvlink_rx = rate(now.nvlink[1], then.nvlink[1], seconds);
        }
        Ok(())
    }

    /// Compute, graphics and MPS clients, each once, with their share of the sample window since the last reading.
    pub(super) fn processes(
        &mut self,
        device: &Device<'_>,
        index: u32,
    ) -> Result<Vec<GpuProcess>, NvmlFailure> {
        let mut list: Vec<GpuProcess> = Vec::new();
        let mut add = |processes: Vec<ProcessInfo>| {
            for process in processes {
                if !list
                    .iter()
                    .any(|one| one.pid == process.pid && one.gpu_instance == process.gpu_instance_id)
                {
                    list.push(GpuProcess {
                        gpu: index,
                        gpu_instance: process.gpu_instance_id,
                        pid: process.pid,
                        memory: match process.used_gpu_memory {
                            UsedGpuMemory::Used(bytes) => Some(bytes as f64),
                            UsedGpuMemory::Unavailable => None,
                        },
                        sm_util: None,
                        mem_util: None,
                    });
                }
            }
        };
        add(reading(device.running_compute_processes())?.unwrap_or_default());
        add(reading(device.mps_running_compute_processes())?.unwrap_or_default());
        add(reading(device.running_graphics_processes())?.unwrap_or_default());
        let samples = reading(device.process_utilization_stats(self.process_seen))?;
        if let Some(samples) = samples {
            // Told at all: who is not in the list did nothing.
            for process in &mut list {
                process.sm_util = Some(0.0);
                process.mem_util = Some(0.0);
            }
            for sample in samples {
                self.process_seen = self.process_seen.max(sample.timestamp);
                if let Some(process) = list.iter_mut().find(|one| one.pid == sample.pid) {
                    process.sm_util = Some(f64::from(sample.sm_util.min(100)));
                    process.mem_util = Some(f64::from(sample.mem_util.min(100)));
                }
            }
        }
        Ok(list)
    }
}

fn traffic_fields(traffic: Traffic) -> impl Iterator<Item = Wanted> {
    let ids = match traffic {
        Traffic::Bytes => Some([
            field_id::NVML_FI_DEV_NVLINK_COUNT_XMIT_BYTES,
            field_id::NVML_FI_DEV_NVLINK_COUNT_RCV_BYTES,
        ]),
        Traffic::Kibibytes => Some([
            field_id::NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX,
            field_id::NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX,
        ]),
        Traffic::NotAsked | Traffic::None => None,
    };
    ids.into_iter().flatten().map(|id| (id, ALL_LINKS))
}

/// Which of the two sets of traffic fields the GPU answers.
fn find_traffic(device: &Device<'_>, renumbered: Renumbered) -> Result<Traffic, NvmlFailure> {
    for traffic in [Traffic::Bytes, Traffic::Kibibytes] {
        let wanted: Vec<Wanted> = traffic_fields(traffic).collect();
        for answer in reading(field_values(device, renumbered, &wanted))?.unwrap_or_default() {
            if answer.number()?.is_some() {
                return Ok(traffic);
            }
        }
    }
    Ok(Traffic::None)
}

fn read_utilization(device: &Device<'_>, readings: &mut Readings) -> Result<(), NvmlFailure> {
    if let Some(rates) = reading(device.utilization_rates())? {
        readings.gpu_util = Some(rates.gpu.into());
        readings.mem_copy_util = Some(rates.memory.into());
    }
    readings.enc_util = reading(device.encoder_utilization())?.map(|info| info.utilization.into());
    readings.dec_util = reading(device.decoder_utilization())?.map(|info| info.utilization.into());
    Ok(())
}

fn read_memory(device: &Device<'_>, readings: &mut Readings) -> Result<(), NvmlFailure> {
    match device.memory_info() {
        Ok(memory) => {
            readings.fb_free = Some((memory.free as f64 / MIB).floor());
            readings.fb_used = Some((memory.used as f64 / MIB).floor());
            readings.fb_reserved = Some((memory.reserved as f64 / MIB).floor());
            readings.fb_total = Some((memory.total as f64 / MIB).floor());
        }
        // A part that shares the node's memory (DGX Spark) has no answer, since it has no frame buffer.
        Err(NvmlError::NotSupported) => {
            share_memory(
                readings,
                &std::fs::read_to_string("/proc/meminfo").unwrap_or_default(),
            );
        }
        Err(error) => {
            reading::<()>(Err(error))?;
        }
    }
    Ok(())
}

fn read_clocks(device: &Device<'_>, readings: &mut Readings) -> Result<(), NvmlFailure> {
    readings.sm_clock = number(device.clock_info(Clock::SM))?;
    readings.mem_clock = number(device.clock_info(Clock::Memory))?;
    readings.video_clock = number(device.clock_info(Clock::Video))?;
    readings.pstate = reading(device.performance_state())?.map(|state| f64::from(state.as_c()));
    readings.clocks_event_reasons =
        reading(device.current_throttle_reasons())?.map(|reasons| reasons.bits() as f64);
    Ok(())
}

fn read_seldom(device: &Device<'_>, renumbered: Renumbered) -> Result<Readings, NvmlFailure> {
    let mut readings = Readings::default();
    let wanted: Vec<Wanted> = SELDOM.iter().map(|field| (field.id, 0)).collect();
    let answers = reading(field_values(device, renumbered, &wanted))?.unwrap_or_default();
    apply(&SELDOM, &answers, &mut readings)?;
    let wanted: Vec<Wanted> = NVLINK5.iter().map(|field| (field.id, ALL_LINKS)).collect();
    let answers = reading(field_values(device, renumbered, &wanted))?.unwrap_or_default();
    apply(&NVLINK5, &answers, &mut readings)?;
    read_links(device, renumbered, &mut readings)?;
    readings.power_limit = number(device.enforced_power_limit())?.map(|milliwatts| milliwatts / 1000.0);
    readings.pcie_link_gen = number(device.current_pcie_link_gen())?;
    readings.pcie_link_width = number(device.current_pcie_link_width())?;
    readings.pcie_max_link_gen = number(device.max_pcie_link_gen())?;
    readings.pcie_max_link_width = number(device.max_pcie_link_width())?;
    readings.max_sm_clock = number(device.max_clock_info(Clock::SM))?;
    readings.max_mem_clock = number(device.max_clock_info(Clock::Memory))?;
    let threshold = |kind| number(device.temperature_threshold(kind));
    readings.shutdown_temp = threshold(TemperatureThreshold::Shutdown)?;
    readings.slowdown_temp = threshold(TemperatureThreshold::Slowdown)?;
    readings.mem_max_op_temp = threshold(TemperatureThreshold::MemoryMax)?;
    readings.gpu_max_op_temp = threshold(TemperatureThreshold::GpuMax)?;
    if let Some(banks) = reading(remapper_histogram(device))? {
        let [max, high, partial, low, none] = banks.map(Some);
        readings.remap_banks_max = max;
        readings.remap_banks_high = high;
        readings.remap_banks_partial = partial;
        readings.remap_banks_low = low;
        readings.remap_banks_none = none;
    }
    if let Some((status, health)) = reading(fabric(device))? {
        readings.fabric_status = Some(status);
        readings.fabric_health = Some(health);
    }
    readings.persistence_mode = reading(device.is_in_persistent_mode())?.map(|on| f64::from(u8::from(on)));
    readings.mig_mode = reading(device.mig_mode())?.map(|mode| f64::from(mode.current));
    Ok(readings)
}

/// How many NVLinks are up, and on GPUs that count errors per link only, the sums of those.
fn read_links(
    device: &Device<'_>,
    renumbered: Renumbered,
    readings: &mut Readings,
) -> Result<(), NvmlFailure> {
    let Some(links) = readings.nvlinks.filter(|links| *links > 0.0) else {
        return Ok(());
    };
    let links = (links as u32).min(MOST_LINKS);
    let (mut told, mut up) = (false, 0.0);
    for link in 0..links {
        if let Some(active) = reading(device.link_wrapper_for(link).is_active())? {
            told = true;
            up += f64::from(u8::from(active));
        }
    }
    readings.nvlinks_active = told.then_some(up);
    let sum = |id: u32| -> Result<Option<f64>, NvmlFailure> {
        let wanted: Vec<Wanted> = (0..links).map(|link| (id, link)).collect();
        let mut total = None;
        for answer in reading(field_values(device, renumbered, &wanted))?.unwrap_or_default() {
            if let Some(count) = answer.number()? {
                total = Some(total.unwrap_or(0.0) + count);
            }
        }
        Ok(total)
    };
    if readings.nvlink_replay.is_none() {
        readings.nvlink_replay = sum(field_id::NVML_FI_DEV_NVLINK_ERROR_DL_REPLAY)?;
    }
    if readings.nvlink_recovery.is_none() {
        readings.nvlink_recovery = sum(field_id::NVML_FI_DEV_NVLINK_ERROR_DL_RECOVERY)?;
    }
    if readings.nvlink_crc_flit.is_none() {
        readings.nvlink_crc_flit = sum(field_id::NVML_FI_DEV_NVLINK_ERROR_DL_CRC)?;
    }
    Ok(())
}
