//! A fleet against agents that answer right, late, wrong, half or never.

mod answers;
mod circuits;
mod failures;
mod fake;
mod hubs;
mod lists;
mod sharing;
mod tls;
mod up;

use std::time::Duration;

use podscope_fanout::{Fleet, FleetAnswer, FleetConfig, FleetError, FleetQuery, TargetSpec};
use podscope_model::sample::Grid;
use podscope_promql::Value;

const GRID: Grid = Grid {
    start_ms: 100_000,
    end_ms: 400_000,
    step_ms: 100_000,
};

fn config(targets: Vec<TargetSpec>) -> FleetConfig {
    FleetConfig {
        timeout: Duration::from_secs(20),
        ..FleetConfig::new(targets)
    }
}

fn fleet(targets: Vec<TargetSpec>) -> Fleet {
    Fleet::new(config(targets)).expect("good settings")
}

async fn ask(fleet: &Fleet, expr: &str) -> Result<FleetAnswer, FleetError> {
    fleet.query(FleetQuery::new(expr, GRID)).await
}

/// The series of an answer as text, sorted: `{labels} v v v`.
fn lines(answer: &FleetAnswer) -> Vec<String> {
    let Value::Vector(list) = &answer.outcome.value else {
        panic!("a vector expected, not {:?}", answer.outcome.value)
    };
    let mut lines: Vec<String> = list
        .iter()
        .map(|series| {
            let values: Vec<String> = series
                .values
                .iter()
                .map(|value| {
                    if podscope_model::sample::is_stale(*value) {
                        "-".to_owned()
                    } else {
                        value.to_string()
                    }
                })
                .collect();
            format!("{} {}", series.labels, values.join(" "))
        })
        .collect();
    lines.sort();
    lines
}
