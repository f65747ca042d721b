//! Simulated switches.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`world`] | [`FabricWorld`], the way in: how each switch is at a time |
//! | [`server`] | NVUE's REST API of all switches |
//! | `answers` | its JSON |
//! | [`otlp`] | what a switch pushes |
//! | `reading` | a switch as the reader sees it |

mod answers;
pub mod otlp;
mod reading;
pub mod server;
pub mod world;

pub use server::{Clock, NvueOptions, NvueServer};
pub use world::{FabricWorld, FixedFabric, SwitchState};
