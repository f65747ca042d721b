//! PromQL for a fleet: parsing with bounds, planning (what runs on the leaves, what at the root), and evaluation over
//! columns behind [`podscope_model::source::SeriesSource`]. Pure: no I/O, no clock, no threads.
//!
//! Semantics are Prometheus 3's (measured against v0.315 of its engine, `tests/differential.rs`): left-open ranges, classic
//! histograms only, experimental functions and native histograms refused by name. Two answers differ on purpose: where
//! series tie in `topk` and `bottomk`, the one whose labels sort first wins, and an instant vector without an order of its own is
//! sorted by labels.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`memory`], [`openmetrics`] | a source in memory, and the reader of OpenMetrics text that fills it |
//! | [`api_json`] | answers as the Prometheus HTTP API writes them |
//! | `token`, `scan`, `lower`, `ast`, `print` | text to tree and back |
//! | `eval` | the tree over one source |
//! | `plan`, `partial` | the tree over many leaves |

pub mod api_json;
mod ast;
mod eval;
mod function;
pub mod fuzz_bodies;
mod kahan;
mod lower;
pub mod memory;
pub mod openmetrics;
mod partial;
mod plan;
mod print;
mod reach;
mod scan;
mod suspect;
mod token;

use std::fmt;
use std::sync::Arc;

use podscope_model::leaf::{Annotation, LeafQuery, LeafValue, Shape};
use podscope_model::matcher::Matcher;
use podscope_model::sample::{Grid, SeriesData, StepSeries};
use podscope_model::source::{Budget, BudgetError, SeriesSource, SourceError};

/// How long a sample stays current for an instant selector, unless a query says otherwise (Prometheus's default).
pub const DEFAULT_LOOKBACK_MS: i64 = 300_000;

/// A parsed and checked expression.
#[derive(Clone, Debug)]
pub struct Parsed {
    text: String,
    expr: Arc<ast::Expr>,
}

/// Why an expression cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// One sentence, with the place where it is known.
    pub message: String,
    /// Byte offset into the text, when the parser tells.
    pub position: Option<usize>,
}

/// What type of value an expression has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    Scalar,
    String,
    Vector,
    Matrix,
}

impl fmt::Display for ValueType {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Scalar => "scalar",
            Self::String => "string",
            Self::Vector => "instant vector",
            Self::Matrix => "range vector",
        })
    }
}

/// Parses PromQL within the bounds of rule 12 of the design (64 KiB, nesting 128, 1,000 operators).
///
/// # Errors
/// Malformed text, a bound passed, or syntax that is not supported (the message names it).
pub fn parse(text: &str) -> Result<Parsed, ParseError> {
    Ok(Parsed {
        text: text.to_owned(),
        expr: Arc::new(lower::parse(text)?),
    })
}

/// The names of the functions that are supported.
pub fn function_names() -> &'static [&'static str] {
    function::NAMES
}

impl Parsed {
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn value_type(&self) -> ValueType {
        self.expr.value_type()
    }

    /// Whether it is one instant selector without modifiers' help: `{job="node"}`.
    pub fn is_selector(&self) -> bool {
        matches!(*self.expr, ast::Expr::Selector(_))
    }

    /// The matchers of every selector in the expression, the metric name included.
    pub fn selectors(&self) -> Vec<Vec<Matcher>> {
        self.expr
            .selectors()
            .into_iter()
            .map(|selector| selector.matchers.clone())
            .collect()
    }
}

/// The value of an expression on a grid.
#[derive(Clone, Debug)]
pub enum Value {
    /// One number per step.
    Scalar(Vec<f64>),
    String(String),
    /// One column of steps per series, sorted as PromQL answers it (instant `sort`, `topk` keep their order).
    Vector(Vec<StepSeries>),
    /// A range selector of an instant query.
    Samples(Vec<SeriesData>),
}

/// A value with the remarks made on the way.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub value: Value,
    pub annotations: Vec<Annotation>,
}

/// Why an expression has no value.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// Names the function, operator or modifier.
    #[error("{0} is not supported yet")]
    NotSupported(String),
    /// The expression is well formed but has no answer: many-to-many matching, duplicate series, bad argument.
    #[error("{0}")]
    Execution(String),
    #[error(transparent)]
    Budget(#[from] BudgetError),
    #[error(transparent)]
    Source(SourceError),
}

impl From<SourceError> for EvalError {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Budget(error) => Self::Budget(error),
            other @ (SourceError::Read { .. } | SourceError::Resolution(_)) => Self::Source(other),
        }
    }
}

/// What evaluation needs to know beyond expression and grid.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub lookback_ms: i64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lookback_ms: DEFAULT_LOOKBACK_MS,
        }
    }
}

/// Evaluates a whole expression over one source.
///
/// # Errors
/// See [`EvalError`].
pub fn evaluate(
    parsed: &Parsed,
    grid: Grid,
    options: Options,
    source: &dyn SeriesSource,
    budget: &Budget,
) -> Result<Outcome, EvalError> {
    eval::Context::new(source, budget, options.lookback_ms, grid, Vec::new()).answer(&parsed.expr)
}

/// Evaluates what a root sent to a leaf: the text of a fragment, in the shape it asks for.
///
/// # Errors
/// See [`EvalError`].
pub fn evaluate_leaf(
    query: &LeafQuery,
    source: &dyn SeriesSource,
    budget: &Budget,
) -> Result<(LeafValue, Vec<Annotation>), EvalError> {
    plan::evaluate_leaf(query, source, budget)
}

/// One question that goes to every leaf that can match.
#[derive(Clone, Debug)]
pub struct Fragment {
    pub expr: String,
    pub shape: Shape,
    pub grid: Grid,
    /// The selectors inside; a leaf that can match none of them need not be asked.
    pub selectors: Vec<Vec<Matcher>>,
}

/// What runs where.
#[derive(Clone, Debug)]
pub struct Plan {
    pub fragments: Vec<Fragment>,
    /// Whether the root evaluates a selector of `up`, which it must provide from the leaves' covered intervals: the
    /// source given to [`finish`] then answers it.
    pub needs_up: bool,
    /// Whether a silent leaf may change the answer's meaning (rule 7 of the design): `absent`, `scalar`, ...
    pub needs_all_leaves: bool,
    root: plan::Root,
}

impl Plan {
    /// What the root evaluates; `#1` stands for the merged answers to the first fragment.
    pub fn root(&self) -> String {
        self.root.expr().to_string()
    }
}

/// Splits an expression into fragments for the leaves and what the root does with their answers.
///
/// # Errors
/// [`EvalError::NotSupported`].
pub fn plan(parsed: &Parsed, grid: Grid, options: Options) -> Result<Plan, EvalError> {
    plan::plan(&parsed.expr, grid, options)
}

/// Merges the leaves' answers (one list per fragment of the plan, in its order) and evaluates the rest at the root.
/// `root` answers selectors that stay at the root: only `up`.
///
/// # Errors
/// See [`EvalError`]; identical label sets from two leaves are an error that names the series.
pub fn finish(
    plan: &Plan,
    answers: Vec<Vec<LeafValue>>,
    root: &dyn SeriesSource,
    budget: &Budget,
) -> Result<Outcome, EvalError> {
    plan::finish(plan, answers, root, budget)
}

/// Merges the answers of several leaves to one fragment into one answer of the same shape: what a hub answers for the
/// leaves behind it.
///
/// # Errors
/// Malformed text of the fragment, identical label sets from two leaves, or a limit.
pub fn merge_leaf_values(
    expr: &str,
    shape: Shape,
    answers: Vec<LeafValue>,
    budget: &Budget,
) -> Result<LeafValue, EvalError> {
    plan::merge_leaf_values(expr, shape, answers, budget)
}
