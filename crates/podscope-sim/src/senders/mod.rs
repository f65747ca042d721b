//! What simulated devices say unasked, sent as real devices send it.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`world`] | [`ReportWorld`], the way in: what is said when |

pub mod world;

pub use world::{FixedReports, Report, ReportWorld, Said, TrapReport, TrapValue};
