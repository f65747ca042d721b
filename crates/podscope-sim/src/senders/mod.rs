//! What simulated devices say unasked, sent as real devices send it.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`world`] | [`ReportWorld`], the way in: what is said when |
//! | [`syslog`] | as syslog lines |
//! | [`trap`] | as SNMP traps |
//! | [`sending`] | at its time, to a hub |

pub mod sending;
pub mod syslog;
pub mod trap;
pub mod world;

pub use sending::{Receivers, Senders};
pub use world::{FixedReports, Report, ReportWorld, Said, TrapReport, TrapValue};
