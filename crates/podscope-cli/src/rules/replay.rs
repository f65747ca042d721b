//! When would a rule have fired? The rule's instant query at every evaluation of a past range is one range query with the
//! rule's interval as its step: PromQL promises the same values.

use anyhow::Context;
use podscope_fanout::{Fleet, FleetQuery};
use podscope_model::labels::Labels;
use podscope_model::sample::{Grid, is_stale};
use podscope_promql::Value;

use super::file::Rule;
use super::state::{Alerts, Change};

/// The rule's alerts over a range, in order of time.
///
/// # Errors
/// The query failed, or a node that could matter did not answer: nothing is decided on part of the fleet.
pub(crate) async fn replay(
    fleet: &Fleet,
    rule: &Rule,
    start_ms: i64,
    end_ms: i64,
) -> anyhow::Result<Vec<Change>> {
    let grid = Grid {
        start_ms,
        end_ms,
        step_ms: i64::try_from(rule.interval.as_millis()).context("an interval of ages")?,
    };
    let mut query = FleetQuery::new(&rule.expr, grid);
    query.alert = true;
    let answer = fleet
        .query(query)
        .await
        .with_context(|| format!("evaluating {}", rule.uid))?;
    if let Some(notice) = answer.completeness.notice() {
        anyhow::bail!("evaluating {}: {notice}", rule.uid);
    }
    let series = match answer.outcome.value {
        Value::Vector(series) => series
            .into_iter()
            .map(|series| (series.labels, series.values))
            .collect(),
        Value::Scalar(values) => vec![(Labels::from_pairs([("__name__", "scalar")]), values)],
        Value::String(_) | Value::Samples(_) => {
            anyhow::bail!(
                "{}: a rule's query must be an instant vector or a scalar",
                rule.uid
            )
        }
    };
    let mut alerts = Alerts::new(rule);
    for (step, at_ms) in grid.times().enumerate() {
        let now: Vec<(Labels, f64)> = series
            .iter()
            .filter_map(|(labels, values)| {
                let value = values.get(step).copied().filter(|value| !is_stale(*value))?;
                Some((labels.clone(), value))
            })
            .collect();
        alerts.evaluate(at_ms, &now);
    }
    Ok(alerts.changes)
}
