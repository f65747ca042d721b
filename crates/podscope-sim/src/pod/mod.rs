//! The pod of the SEV-1 scenario.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`topology`] | what stands where |
//! | [`model`] | what happens in it, from causes to figures |
//! | [`flows`] | what counters have counted at a moment |
//! | [`node`] | what a node shows of it |
//! | [`fabric`], [`reports`] | what switches show of it, and what is said unasked |
//! | [`vms`] | what the storage cluster's management server shows of it |
//! | [`timeline`] | what people write down |
//! | [`state`] | [`Pod`]: all of it in wall-clock time |

pub mod fabric;
pub mod flows;
pub mod model;
mod nccl;
pub mod node;
pub mod reports;
pub mod state;
pub mod timeline;
pub mod topology;
pub mod vms;

pub use state::{Clock, Pod, Scenario};
