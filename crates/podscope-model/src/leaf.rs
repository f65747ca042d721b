//! The agent API: what a plugin or hub asks of an agent or hub, and what it answers. A hub is to its parent exactly what
//! an agent is.
//!
//! HTTP form: `POST /v1/query` with a [`LeafQuery`] as JSON answers a [`LeafAnswer`] as an Arrow IPC stream
//! ([`crate::wire`]); `GET /v1/info` answers a [`NodeInfo`]; `POST /v1/series` with a [`SeriesQuery`] answers a
//! [`SeriesAnswer`]; errors are an [`ApiError`] as JSON with the matching status.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{EventAnswer, EventQuery};
use crate::inventory::{Inventory, LabelsAnswer, LabelsQuery};
use crate::jobs::{JobsAnswer, JobsQuery};
use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::sample::{Grid, SeriesData, StepSeries};
use crate::scope::Scope;

/// Who the asker believes the leaf to be (rule 2 of the design). The labels go onto every series of the leaf before
/// anything is evaluated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Target {
    /// The `instance` label; empty: the agent's own name.
    pub instance: String,
    /// Node labels such as `cluster`, `pod`, `rack`.
    pub labels: BTreeMap<String, String>,
}

/// How the value of the leaf expression comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// One column of steps per series.
    Steps,
    /// The expression is an aggregation: per group the columns of its mergeable state ([`PartialColumn`]).
    Partials,
    /// The expression is a range selector of an instant query: the raw samples.
    Samples,
    /// No expression: only since when and until when the leaf has been running ([`LeafAnswer::covered`]).
    Coverage,
}

/// One question to one leaf.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeafQuery {
    /// PromQL; empty for [`Shape::Coverage`].
    pub expr: String,
    pub shape: Shape,
    pub grid: Grid,
    pub lookback_ms: i64,
    #[serde(default)]
    pub target: Target,
    /// Only what this user may see (rule 11 of the design); absent: everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Scope>,
    pub limits: Limits,
    #[serde(default, skip_serializing_if = "Route::is_plain")]
    pub route: Route,
}

/// Which of its leaves a hub is to ask; a leaf ignores it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Route {
    /// Leaves that the asker reaches another way (ids as in [`crate::inventory::LeafEntry`]): rule 1 of the design.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
    /// When not empty, only these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// The asker is the other hub of a pair: what this one cannot reach itself is not asked of the asker again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub from_pair: bool,
}

impl Route {
    /// Whether it restricts nothing.
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the leaf with this id is to be asked.
    pub fn admits(&self, leaf_id: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|id| id == leaf_id);
        (self.only.is_empty() || named(&self.only)) && !named(&self.exclude)
    }
}

/// What a hub says of the leaves behind it, beside their merged answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Behind {
    /// [`crate::inventory::Inventory::leaves_version`] of the leaves it asked among.
    pub leaves_version: String,
    /// Leaves that could have contributed, and those that did.
    pub expected: u64,
    pub answered: u64,
    /// Some of those that did not, at most [`Behind::MAX_NAMED`], and the ids of all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Missing>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_ids: Vec<String>,
    /// [`Shape::Coverage`] only: each leaf for itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub coverage: Vec<LeafCoverage>,
}

impl Behind {
    /// How many missing leaves are named from tier to tier.
    pub const MAX_NAMED: usize = 20;
}

/// A leaf that did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// Its name in the target list, else the name it once gave itself, else the URL's host and port.
    pub instance: String,
    pub url: String,
    pub kind: ApiErrorKind,
    /// What happened and what to do, without the name.
    pub reason: String,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}", self.instance, self.reason)
    }
}

/// When one leaf behind a hub was running.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafCoverage {
    pub leaf_id: String,
    pub instance: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Closed intervals, in order.
    pub covered: Vec<(i64, i64)>,
    /// Why it counts as down throughout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent: Option<String>,
}

/// What one query may use on one leaf, and again at each root above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Samples read.
    pub max_samples: u64,
    /// Series in one result.
    pub max_series: u64,
    /// Values held as columns of steps, of sub-expressions too.
    #[serde(default = "Limits::default_cells")]
    pub max_cells: u64,
    /// Memory of samples, columns and answers held at one time, in bytes.
    #[serde(default = "Limits::default_bytes")]
    pub max_bytes: u64,
    pub timeout_ms: u64,
}

impl Limits {
    fn default_cells() -> u64 {
        Self::default().max_cells
    }

    fn default_bytes() -> u64 {
        Self::default().max_bytes
    }
}

impl Default for Limits {
    /// 50 million samples (Prometheus's own default), 100,000 series, 50 million cells, 1 GiB, 30 s.
    fn default() -> Self {
        Self {
            max_samples: 50_000_000,
            max_series: 100_000,
            max_cells: 50_000_000,
            max_bytes: 1 << 30,
            timeout_ms: 30_000,
        }
    }
}

/// The state columns of a mergeable aggregation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartialColumn {
    /// The value itself (`Shape::Steps`), or the plain result of an aggregation that merges with itself.
    Value,
    Sum,
    /// The compensation of [`PartialColumn::Sum`] (Kahan-Neumaier): the exact sum is `sum + compensation`.
    Compensation,
    Count,
    Mean,
    /// Sum of squared deviations from the mean (Welford).
    SquaredDeviation,
}

/// One group of a partial aggregation: as many columns as its function needs, each as long as the grid;
/// [`crate::sample::STALE`] where the group has no member.
#[derive(Clone, Debug)]
pub struct PartialSeries {
    pub labels: Labels,
    pub columns: Vec<(PartialColumn, Vec<f64>)>,
}

/// The value a leaf answers.
#[derive(Clone, Debug)]
pub enum LeafValue {
    Steps(Vec<StepSeries>),
    Partials(Vec<PartialSeries>),
    Samples(Vec<SeriesData>),
    None,
}

/// A remark on a result, as Prometheus 3 makes them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "level", content = "text", rename_all = "snake_case")]
pub enum Annotation {
    Info(String),
    Warning(String),
}

/// What the leaf had to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafStats {
    pub samples_read: u64,
    pub series_out: u64,
    pub elapsed_us: u64,
}

/// One answer of one leaf.
#[derive(Clone, Debug)]
pub struct LeafAnswer {
    /// Persisted id of the store that answered; a store reached twice is counted once (rule 1 of the design).
    pub leaf_id: String,
    /// The name the agent gives itself; the asker compares it with its target list.
    pub instance: String,
    pub grid: Grid,
    pub value: LeafValue,
    /// [`Shape::Coverage`] only: the times within the query's range (lookback not counted) at which the agent was running, as
    /// closed intervals.
    pub covered: Vec<(i64, i64)>,
    pub annotations: Vec<Annotation>,
    pub stats: LeafStats,
    /// From a hub.
    pub behind: Option<Box<Behind>>,
}

/// Which label sets a leaf has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesQuery {
    /// Each inner list is one selector; a series is wanted when any selector matches. Empty: all series.
    #[serde(default)]
    pub selectors: Vec<Vec<Matcher>>,
    pub start_ms: i64,
    pub end_ms: i64,
    #[serde(default)]
    pub target: Target,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Scope>,
    pub limits: Limits,
    #[serde(default, skip_serializing_if = "Route::is_plain")]
    pub route: Route,
}

/// The answer to a [`SeriesQuery`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SeriesAnswer {
    pub leaf_id: String,
    pub instance: String,
    pub series: Vec<Labels>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Box<Behind>>,
}

/// State of one collector.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum CollectorState {
    Ok,
    Failed {
        error: String,
    },
    NotPresent {
        reason: String,
    },
    /// Not yet run.
    Pending,
}

/// One collector as `/v1/info` shows it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CollectorInfo {
    pub name: String,
    #[serde(flatten)]
    pub state: CollectorState,
    pub interval_ms: u64,
    pub last_duration_us: u64,
    pub series: u64,
}

/// One GPU as the inventory shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuInfo {
    pub index: u32,
    pub uuid: String,
    pub model: String,
    pub pci_bus_id: String,
}

/// Who a leaf is and what it has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NodeInfo {
    pub leaf_id: String,
    pub instance: String,
    pub version: String,
    pub labels: BTreeMap<String, String>,
    pub now_ms: i64,
    /// Oldest and newest sample kept; absent for an empty store.
    pub oldest_ms: Option<i64>,
    pub newest_ms: Option<i64>,
    pub series: u64,
    pub history_bytes: u64,
    pub collectors: Vec<CollectorInfo>,
    pub gpus: Vec<GpuInfo>,
    /// Metric name -> kind, unit (Grafana id) and help of what is stored here.
    pub metrics: BTreeMap<String, MetricInfo>,
}

/// Metadata of one metric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricInfo {
    pub kind: crate::catalog::Kind,
    pub unit: crate::catalog::Unit,
    pub help: String,
    /// Interval of the collector that writes it.
    pub interval_ms: u64,
}

/// Why a leaf could not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApiErrorKind {
    /// The question is wrong: malformed PromQL, unknown function, bad time.
    BadData,
    /// A limit of the query was passed.
    Limit,
    /// Took longer than allowed.
    Timeout,
    /// Nobody waits for the answer any more.
    Cancelled,
    /// Token missing or wrong.
    Unauthorized,
    /// The asker expects another node here (rule 2 of the design).
    WrongInstance,
    /// The leaf did not answer, or not in a form that can be read.
    Unreachable,
    /// A fault of the leaf itself.
    Internal,
}

impl ApiErrorKind {
    /// The HTTP status that carries it.
    pub fn status(self) -> u16 {
        match self {
            Self::BadData => 400,
            Self::Limit => 422,
            Self::Timeout => 504,
            Self::Cancelled => 499,
            Self::Unauthorized => 401,
            Self::WrongInstance => 409,
            Self::Unreachable => 502,
            Self::Internal => 500,
        }
    }
}

/// An error of the agent API, as JSON in the body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub kind: ApiErrorKind,
    /// One sentence: what is wrong and what to do.
    pub message: String,
}

impl ApiError {
    pub fn new(kind: ApiErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }
}

/// What every leaf can do. Implemented by the agent over its history, by the simulator through the same code, and by the
/// fan-out's HTTP client.
pub trait AgentApi: Send + Sync {
    /// Evaluates one leaf expression.
    fn query(&self, query: LeafQuery) -> impl Future<Output = Result<LeafAnswer, ApiError>> + Send;

    /// Lists label sets.
    fn series(&self, query: SeriesQuery) -> impl Future<Output = Result<SeriesAnswer, ApiError>> + Send;

    /// The events that match. A leaf that keeps none answers none.
    fn events(&self, query: EventQuery) -> impl Future<Output = Result<EventAnswer, ApiError>> + Send {
        let _unused = query;
        async {
            Err(ApiError::new(
                ApiErrorKind::BadData,
                "this agent keeps no events; it is of an earlier version",
            ))
        }
    }

    /// The jobs of the scheduler it asks.
    fn jobs(&self, query: JobsQuery) -> impl Future<Output = Result<JobsAnswer, ApiError>> + Send {
        let _unused = query;
        async {
            Err(ApiError::new(
                ApiErrorKind::Unreachable,
                "this agent asks no scheduler; set `slurm.url` in its configuration",
            ))
        }
    }

    /// Who it is and what it has.
    fn info(&self) -> impl Future<Output = Result<NodeInfo, ApiError>> + Send;

    /// Lists label names, or the values of one label.
    fn labels(&self, query: LabelsQuery) -> impl Future<Output = Result<LabelsAnswer, ApiError>> + Send;

    /// What it has, unless it is what the asker knows by its version: then `None`.
    fn inventory(
        &self,
        known: Option<String>,
    ) -> impl Future<Output = Result<Option<Arc<Inventory>>, ApiError>> + Send;
}
