//! The Prometheus HTTP API over this node's history, so that promtool, Grafana's own Prometheus datasource and any PromQL
//! client can ask an agent. Shapes and error texts follow
//! <https://prometheus.io/docs/prometheus/latest/querying/api/> and prometheus/web/api/v1/api.go.

mod answer;
mod params;
mod query;
mod series;
mod status;

pub(super) use query::{query, query_range};
pub(super) use series::{label_values, labels, metadata, series};
pub(super) use status::{alerts, build_info, flags, rules, runtime_info, targets, tsdb};
