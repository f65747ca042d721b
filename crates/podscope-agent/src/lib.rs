//! The node agent: configuration, schedule, HTTP. Collectors come from `podscope-collect`, storage from
//! `podscope-history`, answers from `podscope-promql`; this crate makes one running program of them.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`config`] | the TOML file, its reference and its errors |
//! | [`agent`] | starting and stopping: [`Agent::start`], [`RunningAgent`] |
//! | [`state`] | what an agent is while it runs; the simulator makes its nodes of it |
//! | [`stream`], [`driver`], [`schedule`] | from a collector's row to the history, at its time |
//! | [`self_metrics`] | what the agent says of itself |
//! | `api`, [`labelled`], [`queries`] | the agent API over the history: node labels, budgets, cancelling |
//! | [`hub`] | the nodes behind this one, where it is a hub |
//! | [`slurm`] | the scheduler: the connection to slurmrestd |
//! | [`http`] | the router: `/v1`, `/metrics`, the Prometheus API, `/-/*` |
//! | [`events`] | events: the door for collectors, webhooks |
//! | [`remote_write`], [`ingest`] | samples to a store elsewhere, and samples that others made |
//! | [`otlp`], [`intake`] | OTLP metrics, syslog and traps from others |
//! | `switches`, `vast_watch` | switches asked by NVUE, settings of VAST clusters watched |
//! | [`exposition`] | `/metrics` as text |
//! | [`listen`], [`tls`], [`secret`] | being reachable, and by whom |
//!
//! A simulated node is an [`AgentState`] over a history of its own: `AgentState::local(identity, history)`, one
//! [`AgentState::add_stream`] per collector, rows through [`stream::Stream::push`] or a [`driver::Driver`], and
//! [`http::router`] to serve it.

pub mod agent;
mod alone;
mod api;
pub mod cli;
mod collectors;
pub mod config;
pub mod data_dir;
pub mod driver;
pub mod events;
pub mod exposition;
pub mod http;
pub mod hub;
pub mod identity;
pub mod ingest;
pub mod intake;
pub mod labelled;
pub mod listen;
pub mod otlp;
pub mod queries;
mod reload;
pub mod remote_write;
pub mod schedule;
mod scope;
pub mod secret;
pub mod self_metrics;
pub mod slurm;
pub mod state;
pub mod stream;
mod switches;
pub mod tls;
mod vast_watch;

pub use agent::{Agent, RunningAgent, StartError, StartOptions};
pub use collectors::known_collectors;
pub use config::Config;
pub use identity::Identity;
pub use state::{AgentState, Live};

/// The port an agent listens on where nobody says otherwise.
pub const DEFAULT_PORT: u16 = 9477;

/// The agent's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// An error with its causes, as one line: `what failed: why: why that`.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let next_text = next.to_string();
        // A transparent wrapper says the same again.
        if !text.ends_with(&next_text) {
            text.push_str(": ");
            text.push_str(&next_text);
        }
        cause = next.source();
    }
    text
}
