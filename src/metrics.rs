//! The plugin's own counters, which Grafana fetches with `CollectMetrics` and serves at `/metrics/plugins/<id>`. They are
//! no part of the metric catalog: nobody stores or queries them through Podscope.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::error::ErrorSource;

/// Upper bounds of the duration histogram, in milliseconds.
const BOUNDS_MS: [u64; 10] = [2, 5, 10, 25, 50, 100, 250, 1_000, 5_000, 30_000];

/// Counters since the process started.
#[derive(Debug, Default)]
pub struct Metrics {
    queries: AtomicU64,
    errors_downstream: AtomicU64,
    errors_plugin: AtomicU64,
    missing_nodes: AtomicU64,
    widened: AtomicU64,
    resources: AtomicU64,
    resource_errors: AtomicU64,
    health_checks: AtomicU64,
    duration_us: AtomicU64,
    /// Not cumulative; the last one has no bound.
    buckets: [AtomicU64; BOUNDS_MS.len() + 1],
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

impl Metrics {
    /// One query, answered or not.
    pub fn query(&self, elapsed: Duration, error: Option<ErrorSource>) {
        add(&self.queries, 1);
        match error {
            None => {}
            Some(ErrorSource::Downstream) => add(&self.errors_downstream, 1),
            Some(ErrorSource::Plugin) => add(&self.errors_plugin, 1),
        }
        add(
            &self.duration_us,
            u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        );
        let ms = elapsed.as_secs_f64() * 1000.0;
        let at = BOUNDS_MS
            .iter()
            .position(|bound| ms <= *bound as f64)
            .unwrap_or(BOUNDS_MS.len());
        add(&self.buckets[at], 1);
    }

    /// Nodes that did not answer a query.
    pub fn missing(&self, nodes: usize) {
        add(&self.missing_nodes, nodes as u64);
    }

    /// A panel whose step was widened to fit its budget.
    pub fn widened(&self) {
        add(&self.widened, 1);
    }

    /// One resource request.
    pub fn resource(&self, status: u16) {
        add(&self.resources, 1);
        if status >= 400 {
            add(&self.resource_errors, 1);
        }
    }

    /// One health check.
    pub fn health_check(&self) {
        add(&self.health_checks, 1);
    }

    /// The Prometheus text format.
    pub fn render(&self, in_flight: usize) -> String {
        let mut out = String::new();
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut one = |name: &str, kind: &str, help: &str, samples: &[(&str, u64)]| {
            // Writing to a String cannot fail.
            let _ok = write!(
                out,
                "# HELP podscope_plugin_{name} {help}\n# TYPE podscope_plugin_{name} {kind}\n"
            )
            .is_ok();
            for (labels, value) in samples {
                let _ok = writeln!(out, "podscope_plugin_{name}{labels} {value}").is_ok();
            }
        };
        one(
            "queries_total",
            "counter",
            "Queries answered, with data or an error.",
            &[("", get(&self.queries))],
        );
        one(
            "query_errors_total",
            "counter",
            "Queries answered with an error, by whose fault it was.",
            &[
                ("{source=\"downstream\"}", get(&self.errors_downstream)),
                ("{source=\"plugin\"}", get(&self.errors_plugin)),
            ],
        );
        one(
            "missing_nodes_total",
            "counter",
            "Nodes that did not answer a query they should have answered.",
            &[("", get(&self.missing_nodes))],
        );
        one(
            "widened_total",
            "counter",
            "Queries whose step was widened to fit the cell budget.",
            &[("", get(&self.widened))],
        );
        one(
            "resource_requests_total",
            "counter",
            "Resource requests.",
            &[("", get(&self.resources))],
        );
        one(
            "resource_errors_total",
            "counter",
            "Resource requests answered with an error.",
            &[("", get(&self.resource_errors))],
        );
        one(
            "health_checks_total",
            "counter",
            "Health checks.",
            &[("", get(&self.health_checks))],
        );
        one(
            "agent_requests_in_flight",
            "gauge",
            "Requests to agents and hubs under way.",
            &[("", in_flight as u64)],
        );
        self.histogram(&mut out);
        out
    }

    fn histogram(&self, out: &mut String) {
        let name = "podscope_plugin_query_duration_seconds";
        let mut text = format!("# HELP {name} Time one query took.\n# TYPE {name} histogram\n");
        let mut total = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            total += bucket.load(Ordering::Relaxed);
            let bound = BOUNDS_MS
                .get(at)
                .map_or("+Inf".to_owned(), |ms| (*ms as f64 / 1000.0).to_string());
            text.push_str(&format!("{name}_bucket{{le=\"{bound}\"}} {total}\n"));
        }
        let seconds = self.duration_us.load(Ordering::Relaxed) as f64 / 1e6;
        text.push_str(&format!("{name}_sum {seconds}\n{name}_count {total}\n"));
        out.push_str(&text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_and_renders_cumulative_buckets() {
        let metrics = Metrics::default();
        metrics.query(Duration::from_millis(3), None);
        metrics.query(Duration::from_secs(60), Some(ErrorSource::Downstream));
        let text = metrics.render(2);
        for line in [
            "podscope_plugin_queries_total 2",
            "podscope_plugin_query_errors_total{source=\"downstream\"} 1",
            "podscope_plugin_query_duration_seconds_bucket{le=\"0.002\"} 0",
            "podscope_plugin_query_duration_seconds_bucket{le=\"0.005\"} 1",
            "podscope_plugin_query_duration_seconds_bucket{le=\"+Inf\"} 2",
            "podscope_plugin_query_duration_seconds_count 2",
            "podscope_plugin_agent_requests_in_flight 2",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line} is missing in\n{text}"
            );
        }
    }
}
