//! Range queries over an hour of 512 series at one sample a second, as one leaf or the root would evaluate them.

#![allow(clippy::unwrap_used, reason = "a benchmark may stop")]

use std::sync::Arc;

use podscope_model::labels::Labels;
use podscope_model::sample::{Grid, SeriesData};
use podscope_model::source::Budget;
use podscope_promql::memory::MemorySource;
use podscope_promql::{Options, evaluate, parse};

const SECONDS: i64 = 3_600;

fn main() {
    divan::main();
}

fn source(series: usize) -> MemorySource {
    let timestamps: Arc<[i64]> = (0..SECONDS).map(|t| t * 1_000).collect();
    let mut source = MemorySource::new();
    for at in 0..series {
        let values: Arc<[f64]> = (0..SECONDS)
            .map(|t| ((t * 37 + at as i64 * 11) % 1_000) as f64 * 0.1)
            .collect();
        for (name, values) in [
            ("gauge", Arc::clone(&values)),
            ("counter_total", running(&values)),
        ] {
            let labels = Labels::from_pairs([
                ("__name__", name.to_owned()),
                ("instance", format!("node{:02}", at / 8)),
                ("gpu", (at % 8).to_string()),
            ]);
            source.insert(SeriesData {
                labels,
                timestamps: Arc::clone(&timestamps),
                values,
            });
        }
    }
    source
}

fn running(values: &[f64]) -> Arc<[f64]> {
    let mut sum = 0.0;
    values
        .iter()
        .map(|value| {
            sum += value;
            sum
        })
        .collect()
}

#[divan::bench(
    args = [
        "avg(gauge)",
        "sum by (gpu) (gauge)",
        "topk(5, gauge)",
        "rate(counter_total[1m])",
        "sum(rate(counter_total[1m]))",
        "avg_over_time(gauge[5m])",
        "max_over_time(gauge[5m])",
        "quantile(0.9, gauge)",
        "gauge / on (instance, gpu) counter_total",
    ],
    sample_count = 10
)]
fn hour_of_512_series(bencher: divan::Bencher<'_, '_>, expr: &str) {
    let source = source(512);
    let parsed = parse(expr).unwrap();
    let grid = Grid {
        start_ms: 0,
        end_ms: SECONDS * 1_000,
        step_ms: 15_000,
    };
    bencher.bench(|| evaluate(&parsed, grid, Options::default(), &source, &Budget::unlimited()).unwrap());
}

#[divan::bench(args = ["avg(gauge)", "avg by (gpu) (rate(counter_total[1m]))"], sample_count = 20)]
fn every_second_of_8_series(bencher: divan::Bencher<'_, '_>, expr: &str) {
    let source = source(8);
    let parsed = parse(expr).unwrap();
    let grid = Grid {
        start_ms: 0,
        end_ms: SECONDS * 1_000,
        step_ms: 1_000,
    };
    bencher
        .counter(divan::counter::ItemsCount::new(8 * SECONDS as u64))
        .bench(|| evaluate(&parsed, grid, Options::default(), &source, &Budget::unlimited()).unwrap());
}
