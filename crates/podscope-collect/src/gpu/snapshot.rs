//! Everything read of all GPUs at one time.

use serde::{Deserialize, Serialize};

use super::{CallTime, GpuIdentity, GpuProcess, MigInstance, Nvml, NvmlFailure, Readings, XidEvent};

/// Everything read of one GPU at one time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GpuSnapshot {
    pub identity: GpuIdentity,
    /// The readings, or why the GPU was not readable.
    pub readings: Result<Readings, NvmlFailure>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mig: Vec<MigInstance>,
}

/// Everything read of all GPUs at one time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub gpus: Vec<GpuSnapshot>,
    /// `None` where the driver does not report XID errors.
    pub xids: Option<Vec<XidEvent>>,
    /// What went wrong without costing a whole GPU.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    /// The processes of all GPUs; `None` where they were not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processes: Option<Vec<GpuProcess>>,
    /// Time spent in the library, by class of call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallTime>,
}

/// The GPUs of former reads, by index: one that is lost can no longer say who it is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known(Vec<GpuIdentity>);

/// Reads all GPUs, one after the other.
pub(crate) fn take_snapshot(
    nvml: &mut dyn Nvml,
    known: &mut Known,
    processes: bool,
) -> Result<Snapshot, NvmlFailure> {
    let count = nvml.count()?;
    let known = &mut known.0;
    if count == 0 && known.is_empty() {
        return Err(NvmlFailure::NotPresent(
            "the NVIDIA driver is loaded and knows no GPU".to_owned(),
        ));
    }
    let mut snapshot = Snapshot::default();
    for index in 0..count {
        match nvml.identity(index) {
            Ok(identity) => match known.iter_mut().find(|one| one.index == index) {
                Some(one) => *one = identity,
                None => known.push(identity),
            },
            Err(_) if known.iter().any(|one| one.index == index) => {}
            Err(failure) => {
                snapshot
                    .problems
                    .push(format!("GPU {index} does not say who it is: {failure}"));
            }
        }
    }
    let mut running = Vec::new();
    for identity in known.iter() {
        let readings = if identity.index < count {
            nvml.readings(identity.index)
        } else {
            // A driver that lost a GPU may count it no more.
            Err(NvmlFailure::GpuLost)
        };
        let mut mig = Vec::new();
        if readings.is_ok() {
            match nvml.mig_instances(identity.index) {
                Ok(instances) => mig = instances,
                Err(failure) => {
                    snapshot
                        .problems
                        .push(format!("MIG instances of GPU {}: {failure}", identity.index));
                }
            }
            if processes {
                match nvml.processes(identity.index) {
                    Ok(list) => running.extend(list),
                    Err(failure) => {
                        snapshot
                            .problems
                            .push(format!("processes of GPU {}: {failure}", identity.index));
                    }
                }
            }
        }
        snapshot.gpus.push(GpuSnapshot {
            identity: identity.clone(),
            readings,
            mig,
        });
    }
    snapshot.processes = processes.then_some(running);
    snapshot.xids = nvml.xid_events();
    snapshot.calls = nvml.call_times();
    Ok(snapshot)
}
