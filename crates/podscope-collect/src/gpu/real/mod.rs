//! The real NVML, through `nvml-wrapper`, loaded at run time: the same binary runs on machines without a GPU.
//!
//! Per GPU and second: a dozen calls, one batched `nvmlDeviceGetFieldValues`, and where the GPU has it one profiling
//! sample. What changes seldom (error counters of the memory, limits, link width, NVLink states) is read every tenth time.
//! Calls that are known to block (`pcie_throughput`, 20 ms) are not made; process lists only when asked for.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `calls` | the calls `nvml-wrapper` lacks |
//! | `convert` | from raw answers to readings, without a call |
//! | `device` | one GPU: what is remembered of it between two reads |
//! | `mig` | its MIG instances |

mod calls;
mod convert;
mod device;
mod mig;

use std::fmt;

use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::event::EventSet;
use nvml_wrapper::{Device, Nvml as Library};

use super::timing::CallTimes;
use super::{CallTime, GpuIdentity, GpuProcess, MigInstance, Nvml, NvmlFailure, Readings, XidEvent};
use convert::Renumbered;
use device::OneGpu;

/// XID events taken at most in one go: a burst of XID 45 can have thousands (NVSentinel#1748).
const MOST_EVENTS: usize = 1000;

/// The library, once it could be loaded.
#[derive(Default)]
pub struct RealNvml {
    /// Never unloaded: initialising costs seconds per GPU where persistence mode is off.
    library: Option<&'static Library>,
    renumbered: Renumbered,
    gpus: Vec<OneGpu>,
    events: Events,
    times: CallTimes,
}

#[derive(Default)]
enum Events {
    #[default]
    NotAsked,
    Watched(EventSet<'static>),
    NotSupported,
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

impl RealNvml {
    pub fn new() -> Self {
        Self::default()
    }

    fn library(&mut self) -> Result<&'static Library, NvmlFailure> {
        if let Some(library) = self.library {
            return Ok(library);
        }
        let library = self.times.measure("init", Library::init);
        let library = library.map_err(|error| failure(&error))?;
        let version = library.sys_driver_version().unwrap_or_default();
        self.renumbered = Renumbered::of_driver(&version);
        Ok(self.library.insert(Box::leak(Box::new(library))))
    }

    /// The GPU's handle, what is remembered of it, and the clock for its calls.
    fn gpu(&mut self, index: u32) -> Result<(Device<'static>, &mut OneGpu, &mut CallTimes), NvmlFailure> {
        let library = self.library()?;
        let device = library.device_by_index(index).map_err(|error| failure(&error))?;
        let at = index as usize;
        if self.gpus.len() <= at {
            self.gpus.resize_with(at + 1, OneGpu::default);
        }
        Ok((device, &mut self.gpus[at], &mut self.times))
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
        let (device, gpu, times) = self.gpu(index)?;
        if let Some(identity) = &gpu.identity {
            return Ok(identity.clone());
        }
        let read = || -> Result<GpuIdentity, NvmlError> {
            Ok(GpuIdentity {
                index,
                uuid: device.uuid()?,
                pci_bus_id: device.pci_info()?.bus_id,
                model: device.name()?,
            })
        };
        let identity = times.measure("identity", read).map_err(|error| failure(&error))?;
        gpu.identity = Some(identity.clone());
        Ok(identity)
    }

    fn readings(&mut self, index: u32) -> Result<Readings, NvmlFailure> {
        self.library()?;
        let renumbered = self.renumbered;
        let (device, gpu, times) = self.gpu(index)?;
        gpu.read(&device, renumbered, times)
    }

    fn mig_instances(&mut self, index: u32) -> Result<Vec<MigInstance>, NvmlFailure> {
        let (device, gpu, times) = self.gpu(index)?;
        mig::instances(&device, gpu, times)
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
        while let Ok(event) = self.times.measure("events", || set.wait(0)) {
            if let (Some(XidError::Value(xid)), Ok(uuid)) = (event.event_data, event.device.uuid()) {
                events.push(XidEvent { uuid, xid });
            }
            if events.len() >= MOST_EVENTS {
                break;
            }
        }
        Some(events)
    }

    fn processes(&mut self, index: u32) -> Result<Vec<GpuProcess>, NvmlFailure> {
        let (device, gpu, times) = self.gpu(index)?;
        times.measure("processes", || gpu.processes(&device, index))
    }

    fn call_times(&mut self) -> Vec<CallTime> {
        self.times.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
