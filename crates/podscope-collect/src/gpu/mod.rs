//! NVIDIA GPUs through NVML, under dcgm-exporter's names.
//!
//! A hung driver leaves every caller in uninterruptible sleep, so the agent does not call NVML itself: a child process
//! ([`child_main`]) does, and the agent's side ([`GpuCollector`]) waits for its answers with a deadline. Tests and the
//! simulator read a [`Nvml`] in their own process ([`DirectGpuCollector`]). Both write the same rows from the same
//! [`Snapshot`].
//!
//! A reading the GPU does not support is absent, never 0. A GPU that is lost costs its own rows only.

pub mod alias;
mod child;
mod direct;
mod expected;
mod parent;
mod processes;
mod protocol;
mod readings;
mod real;
mod rows;
pub mod sim;
mod snapshot;
mod timing;
mod watch;
mod xids;

use podscope_model::catalog::{Job, gpu};
use serde::{Deserialize, Serialize};

use crate::collector::Descriptor;

pub use alias::Aliases;
pub use child::child_main;
pub use direct::DirectGpuCollector;
pub use parent::{Child, ExeLauncher, GpuCollector, GpuConfig, Launcher};
pub use processes::{GpuPlace, GpuProcess, GpuProcesses, ProcessTable, Slice};
pub use readings::{PCIE_ERRORS, Readings, TEMPERATURE_LIMITS};
pub use real::RealNvml;
pub use rows::{Inventory, RowOptions};
pub use sim::{SimFault, SimGpu, SimGpus, SimNvml, SimState};
pub use snapshot::{GpuSnapshot, Snapshot};
pub(crate) use snapshot::{Known, take_snapshot};
pub use timing::CallTime;
pub use xids::{GpuXids, XidBook, XidSource, pci_key};

/// The GPU collector, whichever way it reaches NVML.
pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: "gpu",
    job: Job::Dcgm,
    interval_ms: 1000,
    metrics: METRICS,
    touches: &["libnvidia-ml.so.1"],
};

const METRICS_COUNT: usize = gpu::ALL.len() + podscope_model::catalog::alias::ALL.len();

/// dcgm-exporter's names, and the older ones they may also be written under.
static METRICS: &[&podscope_model::catalog::MetricDef] = &{
    let mut all = [gpu::ALL[0]; METRICS_COUNT];
    let mut at = 0;
    while at < METRICS_COUNT {
        all[at] = if at < gpu::ALL.len() {
            gpu::ALL[at]
        } else {
            podscope_model::catalog::alias::ALL[at - gpu::ALL.len()]
        };
        at += 1;
    }
    all
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
    /// NVML's index of the slice on its GPU, as in `NVIDIA_VISIBLE_DEVICES=0:1`.
    #[serde(default)]
    pub index: u32,
    /// `MIG-…`, empty where it is not told.
    #[serde(default)]
    pub uuid: String,
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

    /// The processes on the GPU and what they take of it. Slow: asked every quarter of a minute.
    ///
    /// # Errors
    ///
    /// When the GPU as a whole is not readable.
    fn processes(&mut self, index: u32) -> Result<Vec<GpuProcess>, NvmlFailure>;

    /// Time spent in the library since the last call, by class of call.
    fn call_times(&mut self) -> Vec<CallTime>;
}
