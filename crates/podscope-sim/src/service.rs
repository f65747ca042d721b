//! An inference server on the serving nodes, as far as its metrics go: vLLM's names and buckets, requests that take longer
//! the busier the GPUs are.

use std::sync::Arc;

use podscope_history::StreamSpec;
use podscope_model::batch::{ForeignMetric, Row};
use podscope_model::catalog::{Kind, Unit};

use crate::noise::smooth;

/// vLLM's buckets of the time to the first token, in seconds.
const BOUNDS: [f64; 16] = [
    0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
const MODEL: (&str, &str) = ("model_name", "meta-llama/Llama-3.1-70B-Instruct");
/// The server's metrics are scraped this often.
const INTERVAL_MS: i64 = 5_000;

/// The server's counters.
#[derive(Debug)]
pub(crate) struct InferenceServer {
    seed: u64,
    row: Row,
    at_ms: Option<i64>,
    /// Requests up to each bound, and beyond the last.
    buckets: [f64; BOUNDS.len() + 1],
    seconds: f64,
    tokens: f64,
    metrics: Metrics,
    bounds: Vec<String>,
}

#[derive(Debug)]
struct Metrics {
    bucket: Arc<ForeignMetric>,
    sum: Arc<ForeignMetric>,
    count: Arc<ForeignMetric>,
    running: Arc<ForeignMetric>,
    tokens: Arc<ForeignMetric>,
}

fn metric(name: &str, kind: Kind, unit: Unit, help: &str) -> Arc<ForeignMetric> {
    Arc::new(ForeignMetric {
        name: name.to_owned(),
        kind,
        unit,
        help: help.to_owned(),
    })
}

impl InferenceServer {
    pub(crate) fn new(seed: u64) -> Self {
        let first_token = "Histogram of time to first token in seconds.";
        let metrics = Metrics {
            bucket: metric(
                "vllm:time_to_first_token_seconds_bucket",
                Kind::Histogram,
                Unit::None,
                first_token,
            ),
            sum: metric(
                "vllm:time_to_first_token_seconds_sum",
                Kind::Histogram,
                Unit::Seconds,
                first_token,
            ),
            count: metric(
                "vllm:time_to_first_token_seconds_count",
                Kind::Histogram,
                Unit::None,
                first_token,
            ),
            running: metric(
                "vllm:num_requests_running",
                Kind::Gauge,
                Unit::None,
                "Number of requests currently running on GPU.",
            ),
            tokens: metric(
                "vllm:generation_tokens_total",
                Kind::Counter,
                Unit::None,
                "Number of generation tokens processed.",
            ),
        };
        let bounds = BOUNDS
            .iter()
            .map(ToString::to_string)
            .chain(["+Inf".to_owned()])
            .collect();
        Self {
            seed,
            row: Row::new(),
            at_ms: None,
            buckets: [0.0; 17],
            seconds: 0.0,
            tokens: 0.0,
            metrics,
            bounds,
        }
    }

    /// Serves so many requests per second up to `at_ms`; answers the row that is due then.
    pub(crate) fn advance(&mut self, at_ms: i64, step_ms: i64, requests: f64) -> Option<(StreamSpec, &Row)> {
        let elapsed = (at_ms - self.at_ms.unwrap_or(at_ms)) as f64 / 1_000.0;
        self.at_ms = Some(at_ms);
        let served = requests * elapsed;
        let seconds = at_ms as f64 / 1_000.0;
        // Log-normal: the median grows with the load, the tail with luck.
        let load = requests / 60.0;
        let median =
            0.045 * (1.0 + 6.0 * load * load * load) * (1.0 + 0.2 * smooth(self.seed, 80, seconds, 90.0));
        let spread = 0.55 + 0.25 * load;
        let mut below = 0.0;
        for (at, bound) in BOUNDS.iter().chain([&f64::INFINITY]).enumerate() {
            let share = normal((bound / median).ln() / spread);
            self.buckets[at] += served * (share - below);
            below = share;
        }
        self.seconds += served * median * (spread * spread / 2.0).exp();
        self.tokens += served * 180.0;
        if at_ms.rem_euclid(INTERVAL_MS.max(step_ms)) != 0 {
            return None;
        }
        self.row.begin();
        let mut sum = 0.0;
        for (count, bound) in self.buckets.iter().zip(&self.bounds) {
            sum += count;
            self.row
                .set_foreign(&self.metrics.bucket, &[MODEL, ("le", bound)], sum.floor());
        }
        self.row.set_foreign(&self.metrics.count, &[MODEL], sum.floor());
        self.row.set_foreign(&self.metrics.sum, &[MODEL], self.seconds);
        self.row.set_foreign(
            &self.metrics.running,
            &[MODEL],
            (requests * median * 40.0).round(),
        );
        self.row
            .set_foreign(&self.metrics.tokens, &[MODEL], self.tokens.floor());
        let interval_ms = INTERVAL_MS.max(step_ms).unsigned_abs();
        Some((
            StreamSpec {
                name: "vllm".to_owned(),
                job: "vllm".to_owned(),
                interval_ms,
            },
            &self.row,
        ))
    }
}

/// The normal distribution's share below `x` (Abramowitz and Stegun 26.2.17, error below 7.5e-8).
fn normal(x: f64) -> f64 {
    if x.is_infinite() {
        return if x > 0.0 { 1.0 } else { 0.0 };
    }
    let t = 1.0 / (1.0 + 0.231_641_9 * x.abs());
    let poly = t
        * (0.319_381_530
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    let tail = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * poly;
    if x >= 0.0 { 1.0 - tail } else { tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(row: &Row, name: &str, le: Option<&str>) -> f64 {
        let found = row
            .samples()
            .find(|(column, _)| column.metric.name() == name && column.labels.get("le") == le);
        found.expect("in the row").1
    }

    #[test]
    fn buckets_are_cumulative_and_end_with_the_count() {
        let mut server = InferenceServer::new(1);
        server.advance(0, 1_000, 30.0);
        for second in 1..600 {
            server.advance(second * 1_000, 1_000, 30.0);
        }
        let (spec, row) = server.advance(600_000, 1_000, 30.0).expect("due");
        assert_eq!((spec.job.as_str(), spec.interval_ms), ("vllm", 5_000));
        let bucket = "vllm:time_to_first_token_seconds_bucket";
        let counts: Vec<f64> = BOUNDS
            .iter()
            .map(|bound| value(row, bucket, Some(&bound.to_string())))
            .collect();
        assert!(counts.is_sorted() && counts[0] < counts[15]);
        let all = value(row, bucket, Some("+Inf"));
        assert_eq!(all, value(row, "vllm:time_to_first_token_seconds_count", None));
        assert!(
            (17_990.0..=18_000.0).contains(&all),
            "{all} requests in ten minutes"
        );
    }

    #[test]
    fn a_row_is_due_every_five_seconds_or_every_step() {
        let mut server = InferenceServer::new(1);
        let due = (0..20)
            .filter(|second| server.advance(second * 1_000, 1_000, 1.0).is_some())
            .count();
        assert_eq!(due, 4);
        let due = (1..5)
            .filter(|at| server.advance(30_000 * at, 30_000, 1.0).is_some())
            .count();
        assert_eq!(due, 4);
    }
}
