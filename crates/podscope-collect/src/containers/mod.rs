//! Containers and the people they belong to.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`cgroup`] | which container or job a control group is of |
//! | [`engine`], `http` | what Docker or Podman know of their containers |
//! | [`people`] | who a container or process belongs to |
//! | [`book`] | all of that, shared; the thread that asks the engines |
//! | `stats`, [`collector`] | containers' counters |
//! | [`gpu_processes`] | the processes on GPUs, by container and user |
//! | [`ds01`], `allocation`, `state_file` | who has which GPU |

mod allocation;
pub mod book;
pub mod cgroup;
pub mod collector;
pub mod config;
pub mod ds01;
pub mod engine;
pub mod gpu_processes;
mod http;
pub mod people;
mod state_file;
mod stats;

use crate::collector::Descriptor;

/// What the collectors of this module are.
pub fn descriptors() -> [&'static Descriptor; 3] {
    [
        &collector::DESCRIPTOR,
        &gpu_processes::DESCRIPTOR,
        &ds01::DESCRIPTOR,
    ]
}

pub use book::{Container, ContainerBook, EngineStatus, EngineWatch};
pub use collector::ContainerCollector;
pub use config::ContainerConfig;
pub use ds01::Ds01Collector;
pub use engine::{Engine, EngineContainer, GpuRequest, SocketEngine};
pub use gpu_processes::GpuProcessCollector;
