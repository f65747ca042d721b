//! The plugin as Grafana sees it, and the dashboards over it. One binary: one link.

mod cluster;
mod dashboards;
mod plugin;
