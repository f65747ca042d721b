//! Storage as the node feels it: paths to NVMe-oF subsystems, NFS mounts, and the latency of single requests.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`nvme`] | the paths of NVMe subsystems, and events when one is lost or back |
//! | [`nfs`] | NFS mounts from `mountstats` |
//! | [`latency`] | latency histograms and access patterns from the kernel's trace events |

pub mod latency;
pub mod nfs;
pub mod nvme;
