//! The simulated pod: N nodes with GPUs in one process, each of them the real agent (state, history, collectors, router)
//! over a simulated machine. Only what lies below the collectors' boundary is made up: the text of `/proc` and `/sys`
//! ([`podscope_collect::MemFs`]) and what NVML answers ([`podscope_collect::gpu::sim`]).
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`options`] | what can be chosen |
//! | [`cluster`] | [`SimCluster`]: starting, back-filling, living, stopping |
//! | [`light`] | many nodes that weigh little |
//! | [`node`] | [`SimNode`]: one agent, and the faults that can be injected |
//! | `workload` | which jobs run when: a function of seed and time |
//! | `machine`, `gpu` | what a node's counters do under that load |
//! | `service` | an inference server's own metrics |
//! | [`trouble`] | what can go wrong for a while, by name |
//! | [`control`] | beginning and ending troubles while the cluster lives |
//! | [`nvue`], [`senders`] | switches, and what devices say unasked |
//! | [`schedule`] | how densely the past is filled |
//! | [`pod`] | the pod of the SEV-1 scenario: topology and causal model |
//! | [`hub`] | the agent of that pod that holds events and pod-level series |
//! | [`scenario`] | [`SimPod`]: that pod's nodes and servers, running |
//! | [`vms`] | a VAST management server |
//! | [`slurmrestd`] | a simulated Slurm |
//!
//! The same options and the same starting time give the same samples.

pub mod cluster;
pub mod control;
mod gpu;
pub mod hub;
mod hub_switches;
pub mod light;
mod machine;
pub mod node;
mod noise;
pub mod nvue;
pub mod options;
pub mod pod;
pub mod scenario;
pub mod schedule;
pub mod senders;
mod service;
pub mod slurmrestd;
pub mod trouble;
pub mod vms;
mod workload;

pub use cluster::{SimCluster, SimError, SimTarget};
pub use light::{LightFleet, LightOptions};
pub use node::{Fault, SimNode};
pub use options::SimOptions;
pub use scenario::{PodOptions, SimPod};
pub use trouble::{Spell, Trouble};
