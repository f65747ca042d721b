//! A PromQL value as the frames its asker expects. Panels get what Grafana's own Prometheus data source shows *after* its
//! frontend's transformations (names, columns and order), but as one wide frame instead of one frame per series, which
//! costs Grafana a quarter. Alert rules and server-side expressions get frames without empty cells.

mod heatmap;
pub mod legend;
mod series;
mod table;

use podscope_model::sample::{Grid, is_stale};
use podscope_promql::Value;

use super::duration;
use super::model::{Format, Legend};
use crate::frames::{Field, Frame, Meta, Values};

/// How a value is to be shown.
#[derive(Clone, Debug)]
pub struct Shape<'a> {
    pub format: Format,
    pub legend: &'a Legend,
    /// The expression as it was evaluated, macros replaced.
    pub expr: &'a str,
    pub grid: Grid,
    /// One evaluation instead of a range, whatever the grid.
    pub instant: bool,
    /// The step; of an instant query too.
    pub step_ms: i64,
    /// The answer goes to an alert rule or expression, not to a panel.
    pub for_expression: bool,
    /// Grafana's id of the values' unit, where it is certain.
    pub unit: Option<&'static str>,
    /// Name of a table's value column.
    pub value_column: &'a str,
}

impl Shape<'_> {
    /// What every frame of this answer says of itself.
    fn meta(&self, result_type: &str) -> Meta {
        let mut meta = Meta {
            // The inspector's words are Grafana's own.
            executed: Some(format!(
                "Expr: {}\nStep: {}",
                self.expr,
                duration::promql(self.step_ms)
            )),
            ..Meta::default()
        };
        meta.custom.insert("resultType".to_owned(), result_type.into());
        meta.custom
            .insert("calculatedMinStep".to_owned(), self.step_ms.into());
        meta
    }

    /// A time column that knows the step.
    fn time(&self, times: impl Into<std::sync::Arc<[i64]>>) -> Field {
        let mut field = Field::time(times);
        field.config.interval_ms = Some(self.step_ms);
        field
    }
}

/// Makes the frames. At least one: no data is a frame without fields, which says so to panels and alerts alike.
pub fn frames(value: Value, shape: &Shape<'_>) -> Vec<Frame> {
    let result_type = match (&value, shape.instant) {
        (Value::String(_), _) => "string",
        (Value::Samples(_), _) | (_, false) => "matrix",
        (Value::Scalar(_), true) => "scalar",
        (Value::Vector(_), true) => "vector",
    };
    let meta = shape.meta(result_type);
    let frames = match value {
        Value::String(text) => vec![text_frame(text, shape, meta.clone())],
        Value::Samples(list) => {
            let list = list.into_iter().map(series::Line::from_samples).collect();
            many(list, shape, &meta)
        }
        Value::Scalar(values) => {
            let line = series::Line::on_grid(podscope_model::labels::Labels::empty(), values);
            many(vec![line], shape, &meta)
        }
        Value::Vector(list) => {
            let list = list
                .into_iter()
                .map(|series| series::Line::on_grid(series.labels, series.values))
                .collect();
            many(list, shape, &meta)
        }
    };
    if frames.is_empty() {
        vec![Frame {
            meta,
            ..Frame::default()
        }]
    } else {
        frames
    }
}

fn many(mut lines: Vec<series::Line>, shape: &Shape<'_>, meta: &Meta) -> Vec<Frame> {
    lines.retain(|line| line.values.iter().any(|value| !is_stale(*value)));
    if lines.is_empty() {
        return Vec::new();
    }
    match shape.format {
        _ if shape.for_expression => series::for_expression(lines, shape, meta),
        Format::Table => vec![table::frame(&lines, shape, meta)],
        Format::Heatmap => heatmap::frames(lines, shape, meta),
        Format::TimeSeries => series::for_panel(lines, shape, meta),
    }
}

fn text_frame(text: String, shape: &Shape<'_>, meta: Meta) -> Frame {
    let time = shape.time(vec![shape.grid.end_ms]);
    Frame {
        meta,
        ..Frame::new(vec![time, Field::text(crate::frames::VALUE, vec![text])])
    }
}

/// Number of values in a list of frames: what the budget counts.
pub fn cells(frames: &[Frame]) -> u64 {
    frames
        .iter()
        .flat_map(|frame| &frame.fields)
        .filter(|field| matches!(field.values, Values::Number(_)))
        .map(|field| field.values.len() as u64)
        .sum()
}

#[cfg(test)]
mod tests;
