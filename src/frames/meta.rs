//! The JSON beside the columns. Keys are grafana-plugin-sdk-go's (`data/frame_meta.go`, `data/field_config.go`); what it
//! does not know it drops, what has the wrong type makes Grafana refuse the frame.

use serde::Serialize;
use serde_json::{Map, Value};

/// What shape a frame has, in the words of Grafana's dataplane contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum FrameType {
    #[serde(rename = "timeseries-wide")]
    TimeSeriesWide,
    #[serde(rename = "timeseries-multi")]
    TimeSeriesMulti,
    #[serde(rename = "numeric-multi")]
    NumericMulti,
    #[serde(rename = "numeric-wide")]
    NumericWide,
    /// One column per bucket, rows are times.
    #[serde(rename = "heatmap-rows")]
    HeatmapRows,
    #[serde(rename = "table")]
    Table,
    /// A line per row: `timestamp`, `body`, `severity`, `id`, `labels`.
    #[serde(rename = "log-lines")]
    LogLines,
}

impl FrameType {
    /// The version of the contract; `[0, 0]` for types it does not describe.
    fn version(self) -> [u8; 2] {
        match self {
            Self::HeatmapRows | Self::Table | Self::LogLines => [0, 0],
            _ => [0, 1],
        }
    }
}

/// How loud a notice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Info,
    Warning,
    Error,
}

/// A remark shown in the panel's corner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notice {
    pub severity: Severity,
    pub text: String,
}

impl Notice {
    pub fn info(text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Info,
            text: text.into(),
        }
    }

    pub fn warning(text: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            text: text.into(),
        }
    }
}

/// What belongs to the whole frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    pub frame_type: Option<FrameType>,
    pub notices: Vec<Notice>,
    /// `graph` or `rawPrometheus`: what Explore draws it as.
    pub visualisation: Option<&'static str>,
    /// Shown by the query inspector.
    pub executed: Option<String>,
    /// The `custom` object, for the frontend.
    pub custom: Map<String, Value>,
}

impl Meta {
    /// The JSON under the schema's `meta` key.
    pub fn to_json(&self) -> String {
        let mut object = Map::new();
        if let Some(kind) = self.frame_type {
            object.insert("type".to_owned(), serde_json::json!(kind));
        }
        let version = self.frame_type.map_or([0, 0], FrameType::version);
        object.insert("typeVersion".to_owned(), serde_json::json!(version));
        if !self.custom.is_empty() {
            object.insert("custom".to_owned(), Value::Object(self.custom.clone()));
        }
        if !self.notices.is_empty() {
            object.insert("notices".to_owned(), serde_json::json!(self.notices));
        }
        if let Some(visualisation) = self.visualisation {
            object.insert(
                "preferredVisualisationType".to_owned(),
                Value::from(visualisation),
            );
        }
        if let Some(executed) = &self.executed {
            object.insert("executedQueryString".to_owned(), Value::from(executed.as_str()));
        }
        Value::Object(object).to_string()
    }
}

/// What belongs to one column.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FieldConfig {
    #[serde(rename = "displayNameFromDS", skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// Grafana's id of the unit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    /// The step, on the time column: wider distances are drawn as gaps.
    #[serde(rename = "interval", skip_serializing_if = "Option::is_none")]
    pub interval_ms: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filterable: Option<bool>,
}

impl FieldConfig {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
