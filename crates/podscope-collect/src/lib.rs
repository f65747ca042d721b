//! Readers and collectors of one node: host, GPU, the kernel's log, containers, fabric, storage, NCCL.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`collector`] | the contract: [`Collector`], its [`Descriptor`], the three states |
//! | [`fs`] | the machine as collectors see it: real, captured or simulated |
//! | [`config`] | what the operator may decide: [`HostConfig`] |
//! | [`registry`] | the list of host collectors |
//! | [`gpu`] | NVML, real and simulated, in a child process or in this one |
//! | [`kernel`] | the kernel's log: XID errors and what else harms a node |
//! | [`containers`] | containers, the processes on GPUs, and the people they belong to |
//! | [`rdma`] | counters of RDMA devices |
//! | [`ethtool`] | driver statistics of network devices, pauses, links |
//! | [`storage`] | NVMe paths, NFS mounts, latency of single requests |
//! | [`nccl`] | logs, collectives and RAS of NCCL |
//! | [`switch`], [`syslog`], [`snmp`], [`changes`] | what a hub reads of everything else: switches, log lines, traps, settings |
//! | [`slurm`] | the scheduler, asked by a hub |
//! | [`contract`] | the checks every collector has to pass, for tests |

mod bursts;
pub mod changes;
pub mod collector;
pub mod config;
pub mod containers;
pub mod contract;
pub mod error;
pub mod ethtool;
pub mod fs;
pub mod fuzz_bodies;
pub mod gpu;
mod histogram;
mod host;
pub mod kernel;
pub mod nccl;
pub mod rdma;
pub mod registry;
pub mod slurm;
pub mod snmp;
pub mod storage;
pub mod switch;
pub mod syslog;
mod text;

pub use collector::{Collector, Descriptor, Support};
pub use config::{ConfigError, HostConfig, Pattern};
pub use error::CollectError;
pub use fs::{FilePart, HostFs, MemFs, Mount, RealFs, Uname, VfsStat};
pub use registry::{
    DomainConfig, DomainSources, domain_collectors, domain_descriptors, host_collectors, host_descriptors,
};
