//! Reading a VAST cluster's management server (VMS) over its REST API.
//!
//! Nothing is ever written there: [`VmsClient`] sends GET, and POST to the two token endpoints. It is used by the plugin,
//! which answers PromQL from it, and by hubs, which watch the cluster's settings.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`client`] | [`VmsClient`]: authentication, the budget of calls, one sentence per way to fail |
//! | [`monitor`] | time series: `ad_hoc_query` with its quirks |
//! | [`table`] | which metric of the catalog is which property of which object |
//! | [`objects`] | inventory: clusters and their settings, CNodes, addresses, views, quotas |
//! | [`events`] | events and alarms, as the event store has them |
//! | [`top`] | who is busiest, and the way from client to view |

pub mod client;
pub mod error;
pub mod events;
pub mod monitor;
pub mod objects;
pub mod table;
pub mod top;

pub use client::{VmsAuth, VmsClient, VmsConfig};
pub use error::VmsError;
