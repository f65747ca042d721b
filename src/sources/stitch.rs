//! One answer from two: the long-term store's for the older steps, the agents' for the newer ones.

use std::collections::HashMap;
use std::time::Duration;

use podscope_model::labels::Labels;
use podscope_model::sample::{Grid, STALE, StepSeries};
use podscope_promql::{Outcome, Parsed, Value};

use crate::error::QueryError;

/// The seam moves in steps of an hour: two refreshes of a panel then agree on it.
const SEAM_GRAIN_MS: i64 = 3_600_000;

/// The instant from which on the agents are asked: one for the whole data source.
pub fn seam_ms(now_ms: i64, after: Duration) -> i64 {
    let after = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
    now_ms.saturating_sub(after).div_euclid(SEAM_GRAIN_MS) * SEAM_GRAIN_MS
}

/// How many of the first steps look back to the seam or beyond it, and are the store's.
pub fn steps_before(parsed: &Parsed, grid: Grid, lookback_ms: i64, seam_ms: i64) -> usize {
    let beyond = |t_ms: i64| {
        parsed
            .reaches_back_to(t_ms, grid, lookback_ms)
            .is_some_and(|earliest| earliest <= seam_ms)
    };
    let steps = grid.len();
    // A later step never looks further back than an earlier one.
    let (mut low, mut high) = (0, steps);
    while low < high {
        let middle = low + (high - low) / 2;
        match beyond(grid.at(middle)) {
            true => low = middle + 1,
            false => high = middle,
        }
    }
    // Half a range means another thing to `@ start()` and `@ end()`.
    match low > 0 && parsed.depends_on_the_whole_range() {
        true => steps,
        false => low,
    }
}

/// Joins the two parts, series by series.
///
/// # Errors
/// Values of two kinds, which no expression has.
pub fn join(past: Outcome, recent: Outcome, old: usize, new: usize) -> Result<Outcome, QueryError> {
    let mut annotations = past.annotations;
    annotations.extend(recent.annotations);
    annotations.dedup();
    let value = match (past.value, recent.value) {
        (Value::Scalar(mut past), Value::Scalar(recent)) => {
            past.extend(recent);
            Value::Scalar(past)
        }
        (Value::String(_), recent @ Value::String(_)) => recent,
        (Value::Vector(past), Value::Vector(recent)) => Value::Vector(join_series(past, recent, old, new)),
        _ => {
            return Err(QueryError::Shape(
                "the long-term store answers another kind of value than the agents; is it Prometheus-compatible?"
                    .to_owned(),
            ));
        }
    };
    Ok(Outcome { value, annotations })
}

fn join_series(past: Vec<StepSeries>, recent: Vec<StepSeries>, old: usize, new: usize) -> Vec<StepSeries> {
    let mut joined = recent;
    let mut places: HashMap<Labels, usize> = HashMap::with_capacity(joined.len());
    for (at, series) in joined.iter_mut().enumerate() {
        let values = std::mem::replace(&mut series.values, vec![STALE; old]);
        series.values.extend(values);
        places.insert(series.labels.clone(), at);
    }
    for series in past {
        match places.get(&series.labels) {
            Some(at) => {
                let length = series.values.len().min(old);
                joined[*at].values[..length].copy_from_slice(&series.values[..length]);
            }
            None => {
                let mut values = series.values;
                values.resize(old + new, STALE);
                joined.push(StepSeries {
                    labels: series.labels,
                    values,
                });
            }
        }
    }
    joined.sort_by(|one, other| one.labels.cmp(&other.labels));
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_the_agents_only_when_its_whole_window_lies_after_the_seam() {
        let grid = Grid {
            start_ms: 0,
            end_ms: 10_000_000,
            step_ms: 100_000,
        };
        let before = |expr: &str, seam_ms| {
            let parsed = podscope_promql::parse(expr).expect(expr);
            steps_before(&parsed, grid, 300_000, seam_ms)
        };
        assert_eq!(before("up", -1_000_000), 0);
        // The lookback of step 53 begins at 5,000,000 exactly: not after the seam.
        assert_eq!(before("up", 5_000_000), 54);
        assert_eq!(before("rate(a[1h])", 5_000_000), 87);
        assert_eq!(before("up", 20_000_000), 101);
        assert_eq!(before("1 + 1", 20_000_000), 0);
        assert_eq!(
            before("up @ end()", 5_000_000),
            0,
            "all of it lies after the seam"
        );
        assert_eq!(before("up - up @ start()", 5_000_000), 101);
    }

    #[test]
    fn the_seam_stands_still_for_an_hour() {
        let week = Duration::from_secs(7 * 86_400);
        let seam = seam_ms(1_700_000_000_000, week);
        assert_eq!(seam, seam_ms(1_700_000_000_000 + 60_000, week));
        assert_eq!(seam % SEAM_GRAIN_MS, 0);
    }

    #[test]
    fn series_are_joined_by_their_labels_and_nobody_is_lost() {
        let series = |name: &str, values: &[f64]| StepSeries {
            labels: Labels::from_pairs([("gpu", name)]),
            values: values.to_vec(),
        };
        let joined = join_series(
            vec![series("gone", &[1.0, 2.0]), series("same", &[3.0, 4.0])],
            vec![series("same", &[5.0]), series("new", &[6.0])],
            2,
            1,
        );
        let shown: Vec<String> = joined
            .iter()
            .map(|series| {
                let cell = |value: &f64| match podscope_model::sample::is_stale(*value) {
                    true => "-".to_owned(),
                    false => value.to_string(),
                };
                let cells: Vec<String> = series.values.iter().map(cell).collect();
                format!("{} {}", series.labels, cells.join(" "))
            })
            .collect();
        assert_eq!(
            shown,
            [
                r#"{gpu="gone"} 1 2 -"#,
                r#"{gpu="new"} - - 6"#,
                r#"{gpu="same"} 3 4 5"#
            ]
        );
    }
}
