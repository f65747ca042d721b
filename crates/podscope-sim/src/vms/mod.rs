//! A simulated VAST management server (VMS): its REST formats with their quirks, over a [`VmsWorld`].
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`world`] | what the server is asked of: the state of a cluster at an instant |
//! | [`fixed`] | a cluster for tests |
//! | `server` | the router: base paths, errors, faults, counting |
//! | `access` | Basic, JWT with refresh, API tokens, tenants |
//! | `property` | fully qualified names of properties, and their values |
//! | `totals` | what accumulates |
//! | `monitors` | `ad_hoc_query`: rows as a real VMS answers them |
//! | `lists` | inventory, events, alarms, the catalog; fields, filters, pages |
//! | `flows` | `topn` and `iodata` |
//!
//! Shapes were taken from recorded answers of VMS 5.4 and 5.5. Nothing can be written: every method but GET is refused, except
//! at the token endpoints.

mod access;
pub mod fixed;
mod flows;
mod lists;
mod monitors;
mod property;
mod server;
mod totals;
pub mod world;

pub use fixed::FixedWorld;
pub use server::{Fault, SimVms, VmsAccess, VmsOptions};
pub use world::{VmsState, VmsWorld};
