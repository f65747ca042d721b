//! The plugin as Grafana sees it. One binary: one link.

mod plugin;
