//! The Grafana backend of Podscope: one process that holds the queries, the sources and the frames.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`host`] | Grafana's plugin protocol: handshake, gRPC services, logs, life and death. The only place that knows the SDK |
//! | [`plugin`] | [`Plugin`]: where requests, instances and metrics meet; its types are plain data |
//! | [`settings`] | what the data source's page stores |
//! | [`query`] | model, macros, step, cell budget, and the frames each format gives |
//! | [`sources`] | who serves a selector: agents or a Prometheus-compatible store, and the seam between them |
//! | [`frames`] | data frames and their Arrow encoding |
//! | [`resources`] | what the editor and the app's pages ask |

pub mod error;
pub mod frames;
pub mod health;
pub mod host;
pub mod instances;
pub mod metrics;
pub mod plugin;
pub mod query;
pub mod request;
pub mod resources;
pub mod scope;
pub mod settings;
pub mod sources;

pub use plugin::Plugin;
