//! The real NVML, through `nvml-wrapper`, loaded at run time: the same binary runs on machines without a GPU.
//!
//! Per GPU and second: a handful of calls, and one batched `nvmlDeviceGetFieldValues`. What changes seldom (error counters
//! of the memory, limits, link width) is read every tenth time. Calls that are known to block (`pcie_throughput`, 20 ms)
//! or to hold the driver's lock for long (process lists, fans) are not made here.

use std::fmt;
use std::time::Instant;

use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enum_wrappers::device::{Clock, TemperatureSensor};
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::event::EventSet;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id;
use nvml_wrapper::{Device, Nvml as Library};

use super::{GpuIdentity, MigInstance, Nvml, NvmlFailure, Readings, XidEvent};

/// Reads after which the seldom changing readings are read again.
const SELDOM: u32 = 10;

/// XID events taken at most in one go: a burst of XID 45 can have thousands (NVSentinel#1748).
const MOST_EVENTS: usize = 1000;

const MIB: f64 = 1024.0 * 1024.0;

/// Fields read every time, all in one call.
const FIELDS: [FieldId; 5] = [
    FieldId(field_id::NVML_FI_DEV_MEMORY_TEMP),
    FieldId(field_id::NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION),
    FieldId(field_id::NVML_FI_DEV_PCIE_REPLAY_COUNTER),
    FieldId(field_id::NVML_FI_DEV_PCIE_COUNT_TX_BYTES),
    FieldId(field_id::NVML_FI_DEV_PCIE_COUNT_RX_BYTES),
];

/// Fields read seldom, all in one call.
const SELDOM_FIELDS: [FieldId; 8] = [
    FieldId(field_id::NVML_FI_DEV_ECC_SBE_VOL_TOTAL),
    FieldId(field_id::NVML_FI_DEV_ECC_DBE_VOL_TOTAL),
    FieldId(field_id::NVML_FI_DEV_ECC_SBE_AGG_TOTAL),
    FieldId(field_id::NVML_FI_DEV_ECC_DBE_AGG_TOTAL),
    FieldId(field_id::NVML_FI_DEV_REMAPPED_COR),
    FieldId(field_id::NVML_FI_DEV_REMAPPED_UNC),
    FieldId(field_id::NVML_FI_DEV_REMAPPED_PENDING),
    FieldId(field_id::NVML_FI_DEV_REMAPPED_FAILURE),
];

/// The library, once it could be loaded.
#[derive(Default)]
pub struct RealNvml {
    /// Never unloaded: initialising costs seconds per GPU where persistence mode is off.
    library: Option<&'static Library>,
    gpus: Vec<OneGpu>,
    events: Events,
}

#[derive(Default)]
enum Events {
    #[default]
    NotAsked,
    Watched(EventSet<'static>),
    NotSupported,
}

/// What is remembered of one GPU.
#[derive(Default)]
struct OneGpu {
    identity: Option<GpuIdentity>,
    reads: u32,
    seldom: Readings,
    /// Bytes sent and received over PCIe, and when that was.
    pcie: Option<(Instant, Option<f64>, Option<f64>)>,
}

impl fmt::Debug for RealNvml {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("RealNvml")
            .field("loaded", &self.library.is_some())
            .finish_non_exhaustive()
    }
}

fn failure(error: &NvmlError) -> NvmlFailure {
    match error {
        NvmlError::GpuLost | NvmlError::ResetRequired => NvmlFailure::GpuLost,
        NvmlError::LibloadingError(_) | NvmlError::LibraryNotFound => {
            NvmlFailure::NotPresent(format!("no libnvidia-ml.so.1: {error}"))
        }
        NvmlError::DriverNotLoaded => NvmlFailure::NotPresent("the NVIDIA driver is not loaded".to_owned()),
        other => NvmlFailure::Failed(other.to_string()),
    }
}

/// A reading, `None` where the GPU has none; an error only where the GPU as a whole is gone.
fn reading<T>(result: Result<T, NvmlError>) -> Result<Option<T>, NvmlFailure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => match failure(&error) {
            NvmlFailure::GpuLost => Err(NvmlFailure::GpuLost),
            _ => Ok(None),
        },
    }
}

fn number<T: Into<f64>>(result: Result<T, NvmlError>) -> Result<Option<f64>, NvmlFailure> {
    Ok(reading(result)?.map(Into::into))
}

/// The values of a batch, in its order; a field the driver does not know costs no other.
fn fields<const N: usize>(device: &Device<'_>, ids: &[FieldId; N]) -> Result<[Option<f64>; N], NvmlFailure> {
    let mut values = [None; N];
    for (value, sample) in values
        .iter_mut()
        .zip(reading(device.field_values_for(ids))?.into_iter().flatten())
    {
        let Some(sample) = reading(sample)? else { continue };
        *value = reading(sample.value)?.map(|value| match value {
            SampleValue::F64(value) => value,
            SampleValue::U32(value) => f64::from(value),
            SampleValue::U64(value) => value as f64,
            SampleValue::I64(value) => value as f64,
        });
    }
    Ok(values)
}

/// Bytes per second between two counts; a count that fell has wrapped, and says nothing.
fn rate(now: Option<f64>, before: Option<f64>, seconds: f64) -> Option<f64> {
    let bytes = now? - before?;
    (bytes >= 0.0 && seconds > 0.0).then(|| bytes / seconds)
}

impl RealNvml {
    pub fn new() -> Self {
        Self::default()
    }

    fn library(&mut self) -> Result<&'static Library, NvmlFailure> {
        if let Some(library) = self.library {
            return Ok(library);
        }
        let library = Library::init().map_err(|error| failure(&error))?;
        Ok(self.library.insert(Box::leak(Box::new(library))))
    }

    fn gpu(&mut self, index: u32) -> &mut OneGpu {
        let at = index as usize;
        if self.gpus.len() <= at {
            self.gpus.resize_with(at + 1, OneGpu::default);
        }
        &mut self.gpus[at]
    }

    fn device(&mut self, index: u32) -> Result<Device<'static>, NvmlFailure> {
        self.library()?
            .device_by_index(index)
            .map_err(|error| failure(&error))
    }

    /// Registers every GPU for XID events. A set is lost when a GPU refuses, so that one is left out the next time.
    fn watch(&mut self) -> Events {
        let Ok(library) = self.library() else {
            return Events::NotAsked;
        };
        let count = library.device_count().unwrap_or(0);
        let mut refused = vec![false; count as usize];
        'anew: loop {
            let Ok(mut set) = library.create_event_set() else {
                return Events::NotSupported;
            };
            let mut watched = 0;
            for index in 0..count {
                let Ok(device) = library.device_by_index(index) else {
                    continue;
                };
                let supported = device.supported_event_types().unwrap_or(EventTypes::empty());
                if refused[index as usize] || !supported.contains(EventTypes::CRITICAL_XID_ERROR) {
                    continue;
                }
                match device.register_events(EventTypes::CRITICAL_XID_ERROR, set) {
                    Ok(same) => {
                        set = same;
                        watched += 1;
                    }
                    Err(_) => {
                        refused[index as usize] = true;
                        continue 'anew;
                    }
                }
            }
            return if watched > 0 {
                Events::Watched(set)
            } else {
                Events::NotSupported
            };
        }
    }
}

impl Nvml for RealNvml {
    fn count(&mut self) -> Result<u32, NvmlFailure> {
        self.library()?.device_count().map_err(|error| failure(&error))
    }

    fn identity(&mut self, index: u32) -> Result<GpuIdentity, NvmlFailure> {
        if let Some(identity) = &self.gpu(index).identity {
            return Ok(identity.clone());
        }
        let device = self.device(index)?;
        let read = || -> Result<GpuIdentity, NvmlError> {
            Ok(GpuIdentity {
                index,
                uuid: device.uuid()?,
                pci_bus_id: device.pci_info()?.bus_id,
                model: device.name()?,
            })
        };
        let identity = read().map_err(|error| failure(&error))?;
        self.gpu(index).identity = Some(identity.clone());
        Ok(identity)
    }

    fn readings(&mut self, index: u32) -> Result<Readings, NvmlFailure> {
        let device = self.device(index)?;
        let gpu = self.gpu(index);
        if gpu.reads.is_multiple_of(SELDOM) {
            gpu.seldom = read_seldom(&device)?;
        }
        gpu.reads = gpu.reads.wrapping_add(1);
        let mut readings = gpu.seldom.clone();
        let [memory_temp, energy, replay, sent, received] = fields(&device, &FIELDS)?;
        let now = Instant::now();
        if let Some((then, sent_then, received_then)) = gpu.pcie.replace((now, sent, received)) {
            let seconds = (now - then).as_secs_f64();
            readings.pcie_tx = rate(sent, sent_then, seconds);
            readings.pcie_rx = rate(received, received_then, seconds);
        }
        readings.memory_temp = memory_temp;
        readings.energy = energy;
        readings.pcie_replay = replay;
        if let Some(rates) = reading(device.utilization_rates())? {
            readings.gpu_util = Some(rates.gpu.into());
            readings.mem_copy_util = Some(rates.memory.into());
        }
        readings.enc_util = reading(device.encoder_utilization())?.map(|info| info.utilization.into());
        readings.dec_util = reading(device.decoder_utilization())?.map(|info| info.utilization.into());
        if let Some(memory) = reading(device.memory_info())? {
            readings.fb_free = Some((memory.free as f64 / MIB).floor());
            readings.fb_used = Some((memory.used as f64 / MIB).floor());
            readings.fb_reserved = Some((memory.reserved as f64 / MIB).floor());
            readings.fb_total = Some((memory.total as f64 / MIB).floor());
        }
        readings.gpu_temp = number(device.temperature(TemperatureSensor::Gpu))?;
        // Milliwatts.
        readings.power_usage = number(device.power_usage())?.map(|milliwatts| milliwatts / 1000.0);
        readings.sm_clock = number(device.clock_info(Clock::SM))?;
        readings.mem_clock = number(device.clock_info(Clock::Memory))?;
        readings.clocks_event_reasons =
            reading(device.current_throttle_reasons())?.map(|reasons| reasons.bits() as f64);
        Ok(readings)
    }

    /// Refuses for a GPU in MIG mode: the id of a GPU instance, without which two instances of one profile cannot be told
    /// apart, is not in `nvml-wrapper`.
    fn mig_instances(&mut self, index: u32) -> Result<Vec<MigInstance>, NvmlFailure> {
        match reading(self.device(index)?.mig_mode())? {
            Some(mode) if mode.current != 0 => Err(NvmlFailure::Failed(
                "the GPU is in MIG mode, whose instances are not read".to_owned(),
            )),
            _ => Ok(Vec::new()),
        }
    }

    fn xid_events(&mut self) -> Option<Vec<XidEvent>> {
        if matches!(self.events, Events::NotAsked) {
            self.events = self.watch();
        }
        let Events::Watched(set) = &self.events else {
            return None;
        };
        let mut events = Vec::new();
        // The first error is that there is no further event.
        while let Ok(event) = set.wait(0) {
            if let (Some(XidError::Value(xid)), Ok(uuid)) = (event.event_data, event.device.uuid()) {
                events.push(XidEvent { uuid, xid });
            }
            if events.len() >= MOST_EVENTS {
                break;
            }
        }
        Some(events)
    }
}

fn read_seldom(device: &Device<'_>) -> Result<Readings, NvmlFailure> {
    let [sbe_vol, dbe_vol, sbe_agg, dbe_agg, cor, unc, pending, failed] = fields(device, &SELDOM_FIELDS)?;
    Ok(Readings {
        ecc_sbe_volatile: sbe_vol,
        ecc_dbe_volatile: dbe_vol,
        ecc_sbe_aggregate: sbe_agg,
        ecc_dbe_aggregate: dbe_agg,
        remapped_correctable: cor,
        remapped_uncorrectable: unc,
        remap_pending: pending,
        remap_failure: failed,
        power_limit: number(device.enforced_power_limit())?.map(|milliwatts| milliwatts / 1000.0),
        pcie_link_gen: number(device.current_pcie_link_gen())?,
        pcie_link_width: number(device.current_pcie_link_width())?,
        pcie_max_link_gen: number(device.max_pcie_link_gen())?,
        pcie_max_link_width: number(device.max_pcie_link_width())?,
        ..Readings::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_needs_two_counts_and_time_and_no_wrap() {
        assert_eq!(rate(Some(300.0), Some(100.0), 2.0), Some(100.0));
        assert_eq!(rate(Some(300.0), None, 2.0), None);
        assert_eq!(rate(Some(1.0), Some(100.0), 2.0), None);
        assert_eq!(rate(Some(1.0), Some(1.0), 0.0), None);
    }

    #[test]
    fn errors_of_the_library_become_the_three_states() {
        assert_eq!(failure(&NvmlError::GpuLost), NvmlFailure::GpuLost);
        assert!(matches!(
            failure(&NvmlError::DriverNotLoaded),
            NvmlFailure::NotPresent(_)
        ));
        assert!(matches!(
            failure(&NvmlError::NoPermission),
            NvmlFailure::Failed(_)
        ));
        assert_eq!(reading::<u32>(Err(NvmlError::NotSupported)), Ok(None));
        assert_eq!(reading::<u32>(Err(NvmlError::GpuLost)), Err(NvmlFailure::GpuLost));
    }
}
