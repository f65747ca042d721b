//! A query as a panel, an alert rule or Explore stores it: the field names of Grafana's own Prometheus data source, so
//! that a panel moves over by changing its data source. Fields it does not know (`editorMode`, `exemplar`, ...) are left
//! alone.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::QueryError;
use crate::request::RawQuery;

/// The form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Format {
    #[default]
    TimeSeries,
    Table,
    Heatmap,
}

/// A checked query.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub expr: String,
    /// Evaluate over the time range.
    pub range: bool,
    /// Evaluate at the end of the time range.
    pub instant: bool,
    pub format: Format,
    pub legend: Legend,
    /// The smallest step: a duration, or one of the interval macros.
    pub interval: Option<String>,
    /// The step is multiplied by it (old dashboards).
    pub interval_factor: i64,
    /// Values this panel may hold; absent: the data source's; 0: no limit.
    pub max_cells: Option<u64>,
    /// The browser's offset from UTC, by which the grid is shifted so that days start at local midnight.
    pub utc_offset_ms: i64,
}

/// How series are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Legend {
    /// `__auto`: the labels that differ, as Grafana finds them.
    Auto,
    /// Empty: the whole series, `name{label="value"}`.
    Verbose,
    /// `{{label}}` replaced.
    Format(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Json {
    expr: Option<String>,
    range: Option<bool>,
    instant: Option<bool>,
    format: Option<String>,
    legend_format: Option<String>,
    interval: Option<Value>,
    interval_factor: Option<f64>,
    max_cells: Option<Value>,
    utc_offset_sec: Option<f64>,
    query_type: Option<String>,
}

impl Model {
    /// Reads one query.
    ///
    /// # Errors
    /// JSON that is no query, a query type of another time, a field that makes no sense, or no expression.
    pub fn read(raw: &RawQuery) -> Result<Self, QueryError> {
        // By way of a map: serde would take a list for a struct too.
        let json: Json = serde_json::from_slice::<Map<String, Value>>(&raw.json)
            .and_then(|object| serde_json::from_value(Value::Object(object)))
            .map_err(|error| QueryError::Model(error.to_string()))?;
        let query_type = match raw.query_type.as_str() {
            "" => json.query_type.unwrap_or_default(),
            set => set.to_owned(),
        };
        // Prometheus panels carry remnants of older editors here; only what will mean something else is refused.
        if query_type == "incident" {
            return Err(QueryError::QueryType(query_type));
        }
        let expr = json.expr.unwrap_or_default();
        if expr.trim().is_empty() {
            return Err(QueryError::EmptyExpression);
        }
        let instant = json.instant.unwrap_or(false);
        Ok(Self {
            expr,
            // Neither means range, as in old dashboards.
            range: json.range.unwrap_or(false) || !instant,
            instant,
            format: match json.format.as_deref() {
                Some("table") => Format::Table,
                Some("heatmap") => Format::Heatmap,
                _ => Format::TimeSeries,
            },
            legend: match json.legend_format {
                None => Legend::Verbose,
                Some(text) if text == "__auto" => Legend::Auto,
                Some(text) if text.is_empty() => Legend::Verbose,
                Some(text) => Legend::Format(text),
            },
            interval: interval(json.interval)?,
            interval_factor: json
                .interval_factor
                .filter(|factor| *factor >= 1.0)
                .map_or(1, |factor| factor as i64),
            max_cells: max_cells(json.max_cells)?,
            utc_offset_ms: json
                .utc_offset_sec
                .filter(|offset| offset.abs() < 100_000.0)
                .unwrap_or(0.0) as i64
                * 1000,
        })
    }
}

fn interval(value: Option<Value>) -> Result<Option<String>, QueryError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text).filter(|text| !text.trim().is_empty() && text != "0s")),
        Some(Value::Number(seconds)) => Ok(Some(seconds.to_string())),
        Some(other) => Err(QueryError::Field {
            field: "interval",
            problem: format!("must be a duration, it is {other}"),
        }),
    }
}

fn max_cells(value: Option<Value>) -> Result<Option<u64>, QueryError> {
    let number = match &value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(Value::Number(number)) => number.as_u64(),
        Some(_) => None,
    };
    number.map(Some).ok_or_else(|| QueryError::Field {
        field: "maxCells",
        problem: format!(
            "must be a whole number of 0 or more, it is {}",
            value.unwrap_or_default()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Model, QueryError> {
        Model::read(&RawQuery {
            json: json.as_bytes().to_vec(),
            ..RawQuery::default()
        })
    }

    #[test]
    fn a_prometheus_panel_is_read_as_it_is() {
        let model = read(
            r#"{"datasource": {"type": "prometheus"}, "editorMode": "code", "exemplar": false, "expr": "up",
                "format": "time_series", "hide": false, "instant": false, "interval": "", "intervalFactor": 2,
                "intervalMs": 15000, "legendFormat": "{{instance}}", "maxDataPoints": 1000, "range": true, "refId": "A",
                "step": 240, "utcOffsetSec": 7200, "queryType": "randomWalk"}"#,
        )
        .expect("valid");
        assert_eq!(model.legend, Legend::Format("{{instance}}".to_owned()));
        assert_eq!(
            (model.range, model.instant, model.interval.as_deref()),
            (true, false, None)
        );
        assert_eq!(
            (model.interval_factor, model.utc_offset_ms, model.max_cells),
            (2, 7_200_000, None)
        );
    }

    #[test]
    fn neither_range_nor_instant_means_range() {
        assert!(read(r#"{"expr": "up"}"#).expect("valid").range);
        let instant = read(r#"{"expr": "up", "instant": true}"#).expect("valid");
        assert!(instant.instant && !instant.range);
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert!(matches!(
            read(r#"{"refId": "A"}"#),
            Err(QueryError::EmptyExpression)
        ));
        assert!(matches!(
            read(r#"{"expr": "  "}"#),
            Err(QueryError::EmptyExpression)
        ));
        assert!(matches!(read("[]"), Err(QueryError::Model(_))));
        assert!(matches!(
            read(r#"{"expr": "up", "queryType": "incident"}"#),
            Err(QueryError::QueryType(_))
        ));
        let error = read(r#"{"expr": "up", "maxCells": -1}"#).expect_err("negative");
        assert_eq!(
            error.to_string(),
            "`maxCells`: must be a whole number of 0 or more, it is -1"
        );
    }
}
