//! NVIDIA GPUs through NVML, under dcgm-exporter's names.
//!
//! A hung driver leaves every caller in uninterruptible sleep, so the agent does not call NVML itself: a child process
//! ([`child_main`]) does, and the agent's side ([`GpuCollector`]) waits for its answers with a deadline. Tests and the
//! simulator read a [`Nvml`] in their own process ([`DirectGpuCollector`]). Both write the same rows from the same
//! [`Snapshot`].
//!
//! A reading the GPU does not support is absent, never 0. A GPU that is lost costs its own rows only.

mod child;
mod direct;
mod parent;
mod protocol;
mod readings;
mod real;
mod rows;
pub mod sim;

use podscope_model::catalog::{Job, gpu};
use serde::{Deserialize, Serialize};

use crate::collector::Descriptor;

pub use child::child_main;
pub use direct::DirectGpuCollector;
pub use parent::{Child, ExeLauncher, GpuCollector, GpuConfig, Launcher};
pub use readings::Readings;
pub use real::RealNvml;
pub use rows::Inventory;
pub use sim::{SimFault, SimGpu, SimGpus, SimNvml, SimState};

/// The GPU collector, whichever way it reaches NVML.
pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: "gpu",
    job: Job::Dcgm,
    interval_ms: 1000,
    metrics: gpu::ALL,
    touches: &["libnvidia-ml.so.1"],
};

/// Which GPU it is. Does not change while the driver is loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuIdentity {
    /// NVML's index: the order of PCI addresses.
    pub index: u32,
    /// `GPU-…`, unique in the world.
    pub uuid: String,
    /// As NVML writes it: `00000000:0A:00.0`.
    pub pci_bus_id: String,
    /// The product's name.
    pub model: String,
}

/// One slice of a GPU in MIG mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MigInstance {
    /// The GPU instance's id, unique on its GPU.
    pub instance_id: u32,
    /// The profile, as `1g.10gb`.
    pub profile: String,
    pub readings: Readings,
}

/// An XID error the driver reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct XidEvent {
    /// UUID of the GPU.
    pub uuid: String,
    /// Its number in NVIDIA's catalog of XID errors.
    pub xid: u64,
}

/// Why NVML did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", content = "text", rename_all = "snake_case")]
pub enum NvmlFailure {
    /// No library, no driver or no GPU: a machine without GPU collection, not an error.
    #[error("{0}")]
    NotPresent(String),
    /// The GPU has fallen off the bus, or needs a reset.
    #[error("the GPU is lost")]
    GpuLost,
    /// Anything else, in the driver's words.
    #[error("{0}")]
    Failed(String),
}

/// What Podscope wants of NVML: implemented over the real library and by the simulator.
///
/// Called from one thread: the driver's lock is global, more would only queue there.
pub trait Nvml: Send {
    /// How many GPUs the driver knows.
    ///
    /// # Errors
    ///
    /// [`NvmlFailure::NotPresent`] where there is no NVML; the others when the driver fails as a whole.
    fn count(&mut self) -> Result<u32, NvmlFailure>;

    /// Which GPU is at `index`.
    ///
    /// # Errors
    ///
    /// Those of this GPU alone.
    fn identity(&mut self, index: u32) -> Result<GpuIdentity, NvmlFailure>;

    /// The GPU's current readings; what it does not support is `None`.
    ///
    /// # Errors
    ///
    /// When the GPU as a whole is not readable.
    fn readings(&mut self, index: u32) -> Result<Readings, NvmlFailure>;

    /// The GPU's MIG instances; none where it is not in MIG mode.
    ///
    /// # Errors
    ///
    /// When the GPU as a whole is not readable.
    fn mig_instances(&mut self, index: u32) -> Result<Vec<MigInstance>, NvmlFailure>;

    /// The XID errors since the last call, oldest first; `None` where the driver does not report them.
    fn xid_events(&mut self) -> Option<Vec<XidEvent>>;
}

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
}

/// Reads all GPUs, one after the other. `known` are the identities of former reads, by index: a GPU that is lost can no
/// longer say who it is.
pub(crate) fn take_snapshot(
    nvml: &mut dyn Nvml,
    known: &mut Vec<GpuIdentity>,
) -> Result<Snapshot, NvmlFailure> {
    let count = nvml.count()?;
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
        }
        snapshot.gpus.push(GpuSnapshot {
            identity: identity.clone(),
            readings,
            mig,
        });
    }
    snapshot.xids = nvml.xid_events();
    Ok(snapshot)
}
