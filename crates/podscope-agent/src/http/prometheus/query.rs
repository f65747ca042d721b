//! `query` and `query_range`.

use std::sync::Arc;

use axum::extract::{Request, State};
use podscope_fanout::FleetQuery;
use podscope_model::leaf::{Annotation, Limits};
use podscope_model::sample::Grid;
use podscope_model::source::Budget;
use podscope_promql::{Options, Parsed, ValueType};

use super::answer::{Answer, ApiFault, json};
use super::params::Params;
use crate::alone::AloneSource;
use crate::schedule::now_ms;
use crate::state::AgentState;

/// `GET|POST /api/v1/query`
pub(crate) async fn query(State(state): State<Arc<AgentState>>, request: Request) -> Answer {
    let params = Params::read(request).await?;
    let at_ms = params.time_ms("time")?.unwrap_or_else(now_ms);
    let parsed = parse(&params)?;
    answer(&state, &params, parsed, Grid::instant(at_ms), false).await
}

/// `GET|POST /api/v1/query_range`
pub(crate) async fn query_range(State(state): State<Arc<AgentState>>, request: Request) -> Answer {
    let params = Params::read(request).await?;
    let start_ms = params.required_time_ms("start")?;
    let end_ms = params.required_time_ms("end")?;
    if end_ms < start_ms {
        return Err(ApiFault::parameter(
            "end",
            "end timestamp must not be before start time",
        ));
    }
    let step_ms = params
        .duration_ms("step")?
        .ok_or_else(|| ApiFault::parameter("step", "cannot parse \"\" to a valid duration"))?;
    if step_ms <= 0 {
        let reason = "zero or negative query resolution step widths are not accepted. Try a positive integer";
        return Err(ApiFault::parameter("step", reason));
    }
    let max_points = state.live().limits.max_points;
    // As Prometheus counts: the number of whole steps, not of points.
    if u64::try_from((end_ms - start_ms) / step_ms).unwrap_or(u64::MAX) > max_points {
        return Err(ApiFault::bad_data(format!(
            "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX)",
            with_thousands(max_points)
        )));
    }
    let parsed = parse(&params)?;
    if !matches!(parsed.value_type(), ValueType::Scalar | ValueType::Vector) {
        let given = match parsed.value_type() {
            ValueType::String => "string",
            _ => "range vector",
        };
        let reason =
            format!("invalid expression type {given:?} for range query, must be Scalar or instant Vector");
        return Err(ApiFault::parameter("query", &reason));
    }
    answer(
        &state,
        &params,
        parsed,
        Grid {
            start_ms,
            end_ms,
            step_ms,
        },
        true,
    )
    .await
}

fn parse(params: &Params) -> Result<Parsed, ApiFault> {
    let text = params.get("query").unwrap_or_default();
    podscope_promql::parse(text).map_err(|error| ApiFault::of_parse("query", &error))
}

async fn answer(state: &Arc<AgentState>, params: &Params, parsed: Parsed, grid: Grid, range: bool) -> Answer {
    let mut limits: Limits = state.live().limits.wire();
    if let Some(timeout_ms) = params.duration_ms("timeout")? {
        limits.timeout_ms = limits.timeout_ms.min(u64::try_from(timeout_ms).unwrap_or(0));
    }
    let mut options = Options::default();
    if let Some(lookback_ms) = params.duration_ms("lookback_delta")?.filter(|ms| *ms > 0) {
        options.lookback_ms = lookback_ms;
    }
    let limit = params.limit()?;
    if let Some(hub) = state.hub() {
        let query = FleetQuery {
            lookback_ms: options.lookback_ms,
            limits: Some(limits),
            ..FleetQuery::new(parsed.text(), grid)
        };
        let answer = hub
            .fleet()
            .query(query)
            .await
            .map_err(|error| ApiFault::of_fleet(&error))?;
        let mut outcome = answer.outcome;
        outcome
            .annotations
            .extend(answer.completeness.notice().map(Annotation::Warning));
        limit_series(&mut outcome, limit);
        let body = podscope_promql::api_json::success(&outcome, grid, range);
        return Ok(json(body.into_bytes()));
    }
    let owner = Arc::clone(state);
    let work = move |budget: &Budget| {
        let source = AloneSource::new(owner.history(), owner.own_labels());
        let mut outcome = podscope_promql::evaluate(&parsed, grid, options, &source, budget)
            .map_err(|error| ApiFault::of_eval(&error))?;
        limit_series(&mut outcome, limit);
        Ok(podscope_promql::api_json::success(&outcome, grid, range))
    };
    let body = state
        .queries()
        .run(limits, work)
        .await
        .map_err(|error| ApiFault::of_run(&error))??;
    Ok(json(body.into_bytes()))
}

/// `?limit=`: as many series, and a warning when there were more.
fn limit_series(outcome: &mut podscope_promql::Outcome, limit: Option<usize>) {
    use podscope_promql::Value;
    let Some(limit) = limit else { return };
    let cut = match &mut outcome.value {
        Value::Vector(series) if series.len() > limit => {
            series.truncate(limit);
            true
        }
        Value::Samples(series) if series.len() > limit => {
            series.truncate(limit);
            true
        }
        _ => false,
    };
    if cut {
        let text = "results truncated due to limit".to_owned();
        outcome.annotations.push(Annotation::Warning(text));
    }
}

fn with_thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_are_grouped_as_prometheus_writes_them() {
        assert_eq!(
            [1, 999, 11_000, 1_234_567].map(super::with_thousands),
            ["1", "999", "11,000", "1,234,567"]
        );
    }
}
