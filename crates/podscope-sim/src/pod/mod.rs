//! The pod of the SEV-1 scenario.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`topology`] | what stands where |
//! | [`model`] | what happens in it, from causes to figures |
//! | [`flows`] | what counters have counted at a moment |
//! | [`node`] | what a node shows of it |
//! | [`state`] | [`Pod`]: all of it in wall-clock time |

pub mod flows;
pub mod model;
pub mod node;
pub mod state;
pub mod topology;

pub use state::{Clock, Pod, Scenario};
