//! What tests share, and the plugin host that `podscope demo` uses where there is no Grafana.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`golden()`](golden::golden) | compares text with a committed file; `UPDATE_GOLDEN=1` rewrites it |
//! | [`host_tree`] | a `/proc` and `/sys` of one's own in a temporary folder |
//! | [`mutations`] | seeded mutations of committed inputs, for bodies that must not panic |
//! | [`plugin_host`] | starts the built plugin as Grafana does and speaks its protocol |
//! | [`frames`] | decodes data frames and renders the JSON of Grafana's `/api/ds/query` |

pub mod frames;
pub mod golden;
pub mod host_tree;
pub mod mutations;
pub mod plugin_host;

pub use golden::golden;
pub use host_tree::HostTree;
pub use plugin_host::{PluginHost, Query, QueryRequest, Source};
