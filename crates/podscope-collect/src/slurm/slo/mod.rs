//! The promise about queue wait, and what breaking it costs.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`contract`] | what is promised, to whom, at what price; the exposure |
//! | [`status`] | ok, at risk, breached, without flicker |
//! | [`accrued`] | what an incident has cost so far |
//! | [`collector`] | all of that as series |

pub mod accrued;
pub mod collector;
pub mod contract;
pub mod status;

pub use collector::{Incidents, NoIncidents, SloCollector, Waste};
pub use contract::{Contract, Tenant};
