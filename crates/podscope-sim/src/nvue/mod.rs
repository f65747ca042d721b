//! Simulated switches.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`world`] | [`FabricWorld`], the way in: how each switch is at a time |

pub mod world;

pub use world::{FabricWorld, FixedFabric, SwitchState};
