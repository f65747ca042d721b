//! Answers as the Prometheus HTTP API writes them: `{"status":"success","data":{"resultType":...,"result":...}}`.

use std::fmt::Write;

use podscope_model::labels::Labels;
use podscope_model::leaf::Annotation;
use podscope_model::sample::{Grid, is_stale};
use serde_json::{Value as Json, json};

use crate::{EvalError, Outcome, Value};

/// The whole answer to `/api/v1/query` (a grid of one step) or `/api/v1/query_range`.
///
/// `range` says which of the two was asked: a range query answers a matrix even where its grid has one step.
pub fn success(outcome: &Outcome, grid: Grid, range: bool) -> String {
    let mut text = String::with_capacity(1_024);
    text.push_str("{\"status\":\"success\",\"data\":");
    write_data(&mut text, &outcome.value, grid, range);
    write_annotations(&mut text, &outcome.annotations);
    text.push('}');
    text
}

/// An error with the `errorType` of the Prometheus API (`bad_data`, `execution`, `timeout`, `canceled`, ...).
pub fn error(error_type: &str, message: &str) -> String {
    json!({ "status": "error", "errorType": error_type, "error": message }).to_string()
}

/// The `errorType` of an evaluation error.
pub fn error_type(error: &EvalError) -> &'static str {
    use podscope_model::source::BudgetError;
    match error {
        EvalError::Parse(_) | EvalError::NotSupported(_) => "bad_data",
        EvalError::Execution(_) => "execution",
        EvalError::Budget(BudgetError::Time { .. }) => "timeout",
        EvalError::Budget(BudgetError::Cancelled) => "canceled",
        EvalError::Budget(_) => "execution",
        EvalError::Source(_) => "internal",
    }
}

/// A number as Prometheus writes it into JSON strings: shortest digits that read back the same, `+Inf`, `-Inf`, `NaN`.
pub fn number(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 {
            "+Inf".to_owned()
        } else {
            "-Inf".to_owned()
        };
    }
    let size = value.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        return value.to_string();
    }
    // Go writes at least two digits of exponent, with its sign.
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) => {
            let (sign, exponent) = match exponent.strip_prefix('-') {
                Some(rest) => ('-', rest),
                None => ('+', exponent),
            };
            format!("{digits}e{sign}{exponent:0>2}")
        }
        None => text,
    }
}

fn write_data(text: &mut String, value: &Value, grid: Grid, range: bool) {
    let kind = match value {
        Value::Scalar(_) | Value::Vector(_) if range => "matrix",
        Value::Scalar(_) => "scalar",
        Value::String(_) => "string",
        Value::Vector(_) => "vector",
        Value::Samples(_) => "matrix",
    };
    text.push_str("{\"resultType\":\"");
    text.push_str(kind);
    text.push_str("\",\"result\":");
    match value {
        Value::Scalar(column) if range => {
            text.push('[');
            write_series(text, &Labels::empty(), grid.times().zip(column.iter().copied()));
            text.push(']');
        }
        Value::Scalar(column) => {
            write_point(text, grid.start_ms, column.first().copied().unwrap_or(f64::NAN))
        }
        Value::String(string) => {
            text.push('[');
            write_time(text, grid.start_ms);
            text.push(',');
            text.push_str(&Json::String(string.clone()).to_string());
            text.push(']');
        }
        Value::Vector(series) => write_list(text, series, |text, series| {
            if range {
                write_series(
                    text,
                    &series.labels,
                    grid.times().zip(series.values.iter().copied()),
                );
            } else {
                write_metric(text, &series.labels);
                text.push_str(",\"value\":");
                write_point(
                    text,
                    grid.start_ms,
                    series.values.first().copied().unwrap_or(f64::NAN),
                );
                text.push('}');
            }
        }),
        Value::Samples(series) => write_list(text, series, |text, series| {
            let points = series
                .timestamps
                .iter()
                .copied()
                .zip(series.values.iter().copied());
            write_series(text, &series.labels, points);
        }),
    }
    text.push('}');
}

fn write_list<T>(text: &mut String, list: &[T], write: impl Fn(&mut String, &T)) {
    text.push('[');
    for (at, item) in list.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        write(text, item);
    }
    text.push(']');
}

fn write_metric(text: &mut String, labels: &Labels) {
    text.push_str("{\"metric\":{");
    for (at, label) in labels.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        text.push_str(&Json::from(label.name.as_ref()).to_string());
        text.push(':');
        text.push_str(&Json::from(label.value.as_ref()).to_string());
    }
    text.push('}');
}

fn write_series(text: &mut String, labels: &Labels, points: impl Iterator<Item = (i64, f64)>) {
    write_metric(text, labels);
    text.push_str(",\"values\":[");
    for (at, (time, value)) in points.filter(|(_, value)| !is_stale(*value)).enumerate() {
        if at > 0 {
            text.push(',');
        }
        write_point(text, time, value);
    }
    text.push_str("]}");
}

fn write_point(text: &mut String, time_ms: i64, value: f64) {
    text.push('[');
    write_time(text, time_ms);
    text.push_str(",\"");
    text.push_str(&number(value));
    text.push_str("\"]");
}

/// Seconds, with three decimals where there are milliseconds.
fn write_time(text: &mut String, ms: i64) {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    let (seconds, rest) = (ms / 1_000, ms % 1_000);
    let written = if rest == 0 {
        write!(text, "{sign}{seconds}")
    } else {
        write!(text, "{sign}{seconds}.{rest:03}")
    };
    debug_assert!(written.is_ok(), "a string takes everything");
}

fn write_annotations(text: &mut String, annotations: &[Annotation]) {
    let of = |warnings: bool| -> Vec<&str> {
        annotations
            .iter()
            .filter_map(|annotation| match (annotation, warnings) {
                (Annotation::Warning(message), true) | (Annotation::Info(message), false) => {
                    Some(message.as_str())
                }
                _ => None,
            })
            .collect()
    };
    for (name, list) in [("warnings", of(true)), ("infos", of(false))] {
        if !list.is_empty() {
            text.push_str(",\"");
            text.push_str(name);
            text.push_str("\":");
            text.push_str(&Json::from(list).to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use podscope_model::sample::{STALE, StepSeries};

    use super::*;

    #[test]
    fn numbers_look_as_prometheus_writes_them() {
        let cases = [
            (1.0, "1"),
            (-0.5, "-0.5"),
            (0.000_001, "0.000001"),
            (0.000_000_12, "1.2e-07"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.5e300, "-1.5e+300"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
            (0.0, "0"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn a_range_answers_a_matrix_without_the_absent_steps() {
        let labels = Labels::from_pairs([("__name__", "x"), ("a", "q\"")]);
        let outcome = Outcome {
            value: Value::Vector(vec![StepSeries {
                labels,
                values: vec![1.0, STALE, 2.5],
            }]),
            annotations: vec![Annotation::Info("i".into()), Annotation::Warning("w".into())],
        };
        let grid = Grid {
            start_ms: -500,
            end_ms: 1_500,
            step_ms: 1_000,
        };
        assert_eq!(
            success(&outcome, grid, true),
            concat!(
                r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"x","a":"q\""},"#,
                r#""values":[[-0.500,"1"],[1.500,"2.5"]]}]},"warnings":["w"],"infos":["i"]}"#
            )
        );
    }

    #[test]
    fn scalars_and_strings_have_their_own_forms() {
        let outcome = |value| Outcome {
            value,
            annotations: Vec::new(),
        };
        let grid = Grid::instant(2_000);
        assert_eq!(
            success(&outcome(Value::Scalar(vec![f64::NAN])), grid, false),
            r#"{"status":"success","data":{"resultType":"scalar","result":[2,"NaN"]}}"#
        );
        assert_eq!(
            success(&outcome(Value::String("a\n".into())), grid, false),
            r#"{"status":"success","data":{"resultType":"string","result":[2,"a\n"]}}"#
        );
    }
}
