//! Asking many agents at once: one PromQL query becomes one question per leaf, sent concurrently over pooled HTTP/1.1
//! with Arrow IPC bodies, merged at the root, and answered with what is missing named.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`config`] | targets (Prometheus's file-SD form), token, TLS, timeouts |
//! | [`answer`] | what comes back: the value, who answered, what it cost |
//! | [`fleet`] | [`Fleet`]: the queries themselves |
//! | [`relay`] | [`Relay`]: a fleet as one agent, which is what a hub is |
//! | [`client`] | [`HttpAgent`]: the agent API over HTTP, and one sentence per way to fail |
//!
//! A [`Fleet`] is cheap to make (it connects lazily) and cheap to clone. Dropping a future of it cancels the work: the
//! requests under way are closed, and an agent notices. Methods must be awaited inside a Tokio runtime.

pub mod answer;
mod ask;
mod asking;
pub mod client;
mod coalesce;
pub mod config;
mod coverage;
pub mod error;
mod events;
mod expected;
pub mod fleet;
mod jobs;
mod known;
mod leaf;
mod listing;
mod lists;
mod node;
mod pull;
mod query;
pub mod relay;
mod route;
#[cfg(test)]
mod simulation;
mod tls;

pub use answer::{
    Completeness, FleetAnswer, FleetQuery, FleetStats, FragmentStats, Missing, NodeStatus, Partial,
    SeriesRequest, Slowest,
};
pub use client::HttpAgent;
pub use config::{FleetConfig, Secret, TargetSpec, TlsConfig};
pub use error::FleetError;
pub use events::{EventsRequest, FleetEvents};
pub use fleet::Fleet;
pub use jobs::FleetJobs;
pub use relay::Relay;
