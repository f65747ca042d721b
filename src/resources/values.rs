//! Values as the Prometheus HTTP API writes them.

use podscope_model::sample::{Grid, is_stale};
use podscope_promql::Value;
use serde_json::{Number, Value as Json, json};

/// `data` of `/api/v1/query` and `/api/v1/query_range`.
pub(super) fn data(value: Value, grid: Grid) -> Json {
    let instant = grid.is_instant();
    match value {
        Value::String(text) => json!({ "resultType": "string", "result": [seconds(grid.end_ms), text] }),
        Value::Scalar(values) if instant => {
            let value = values.first().copied().unwrap_or(f64::NAN);
            json!({ "resultType": "scalar", "result": sample(grid.end_ms, value) })
        }
        Value::Scalar(values) => {
            let samples = samples(grid.times().zip(values));
            json!({ "resultType": "matrix", "result": [{ "metric": {}, "values": samples }] })
        }
        Value::Vector(list) if instant => {
            let result: Vec<Json> = list
                .iter()
                .filter_map(|series| {
                    let value = *series.values.first().filter(|value| !is_stale(**value))?;
                    Some(json!({ "metric": series.labels, "value": sample(grid.end_ms, value) }))
                })
                .collect();
            json!({ "resultType": "vector", "result": result })
        }
        Value::Vector(list) => matrix(
            list.into_iter().map(|series| (json!(series.labels), samples(grid.times().zip(series.values)))),
        ),
        Value::Samples(list) => matrix(list.into_iter().map(|series| {
            let pairs = series.timestamps.iter().copied().zip(series.values.iter().copied());
            (json!(series.labels), samples(pairs))
        })),
    }
}

fn matrix(series: impl Iterator<Item = (Json, Vec<Json>)>) -> Json {
    let result: Vec<Json> = series
        .filter(|(_, values)| !values.is_empty())
        .map(|(metric, values)| json!({ "metric": metric, "values": values }))
        .collect();
    json!({ "resultType": "matrix", "result": result })
}

fn samples(pairs: impl Iterator<Item = (i64, f64)>) -> Vec<Json> {
    pairs.filter(|(_, value)| !is_stale(*value)).map(|(time, value)| sample(time, value)).collect()
}

fn sample(time_ms: i64, value: f64) -> Json {
    json!([seconds(time_ms), number(value)])
}

/// Seconds, with decimals where there are any.
fn seconds(ms: i64) -> Json {
    if ms % 1000 == 0 {
        return Json::from(ms / 1000);
    }
    Number::from_f64(ms as f64 / 1000.0).map_or(Json::Null, Json::Number)
}

/// A number as text: the shortest that reads back exactly, never in exponents; `NaN`, `+Inf`, `-Inf`.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf".to_owned() } else { "-Inf".to_owned() }
    } else {
        value.to_string()
    }
}
