//! Grafana data frames: what a query answers with, before it becomes Arrow bytes ([`encode`]).
//!
//! A frame is a list of columns of one length. Everything Grafana knows beyond the numbers travels as JSON in the Arrow
//! schema's metadata: labels and config per field, name, refId and meta per frame.

mod encode;
mod meta;

pub use encode::{EncodeError, encode};
pub use meta::{FieldConfig, FrameType, Meta, Notice, Severity};

use std::sync::Arc;

use podscope_model::labels::Labels;

/// One data frame.
#[derive(Clone, Debug, Default)]
pub struct Frame {
    pub name: String,
    /// Filled in by whoever answers the query.
    pub ref_id: String,
    pub meta: Meta,
    /// No field at all means "no data"; a frame with fields but no rows would read as "all is well" to an alert.
    pub fields: Vec<Field>,
}

/// One column.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub labels: Option<Labels>,
    pub config: FieldConfig,
    pub values: Values,
}

/// The cells of a column.
#[derive(Clone, Debug)]
pub enum Values {
    /// Unix milliseconds.
    Time(Arc<[i64]>),
    /// Numbers; the stale marker ([`podscope_model::sample::STALE`]) is an empty cell, any other NaN is a NaN.
    Number(Vec<f64>),
    Text(Vec<String>),
    /// Unix milliseconds, or an empty cell.
    MaybeTime(Vec<Option<i64>>),
    /// JSON texts, one per cell.
    Json(Vec<String>),
}

impl Values {
    pub fn len(&self) -> usize {
        match self {
            Self::Time(cells) => cells.len(),
            Self::Number(cells) => cells.len(),
            Self::Text(cells) | Self::Json(cells) => cells.len(),
            Self::MaybeTime(cells) => cells.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The names Grafana gives the two columns of a time series.
pub const TIME: &str = "Time";
pub const VALUE: &str = "Value";

impl Field {
    /// A time column, in Unix milliseconds.
    pub fn time(times: impl Into<Arc<[i64]>>) -> Self {
        Self {
            name: TIME.to_owned(),
            labels: None,
            config: FieldConfig::default(),
            values: Values::Time(times.into()),
        }
    }

    /// A column of numbers.
    pub fn number(name: impl Into<String>, values: Vec<f64>) -> Self {
        Self {
            name: name.into(),
            labels: None,
            config: FieldConfig::default(),
            values: Values::Number(values),
        }
    }

    /// A column of text.
    pub fn text(name: impl Into<String>, values: Vec<String>) -> Self {
        Self {
            name: name.into(),
            labels: None,
            config: FieldConfig::default(),
            values: Values::Text(values),
        }
    }

    /// The same column with labels.
    #[must_use]
    pub fn with_labels(mut self, labels: Labels) -> Self {
        self.labels = Some(labels);
        self
    }
}

impl Frame {
    /// A frame with these columns.
    pub fn new(fields: Vec<Field>) -> Self {
        Self {
            fields,
            ..Self::default()
        }
    }

    /// Number of rows; 0 without fields.
    pub fn rows(&self) -> usize {
        self.fields.first().map_or(0, |field| field.values.len())
    }
}
