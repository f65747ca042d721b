//! Questions to a fleet and what comes back: the value, who answered, and what it cost.

use std::time::Duration;

pub use podscope_model::leaf::Missing;
use podscope_model::leaf::{ApiError, Limits, NodeInfo};
use podscope_model::matcher::Matcher;
use podscope_model::sample::Grid;
use podscope_model::scope::Scope;
use podscope_promql::{DEFAULT_LOOKBACK_MS, Outcome};
use serde::Serialize;

/// One PromQL query over the fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetQuery {
    pub expr: String,
    pub grid: Grid,
    pub lookback_ms: i64,
    /// Only what this user may see (rule 11 of the design); absent: everything.
    pub user: Option<Scope>,
    /// Absent: the fleet's own.
    pub limits: Option<Limits>,
    /// The query decides an alert: where a silent leaf may change the answer's meaning (`absent`, `scalar`, ...; rule 7
    /// of the design) it fails instead of answering nothing.
    pub alert: bool,
}

impl FleetQuery {
    /// A query of a panel: default lookback, everybody's series, the fleet's limits.
    pub fn new(expr: impl Into<String>, grid: Grid) -> Self {
        Self {
            expr: expr.into(),
            grid,
            lookback_ms: DEFAULT_LOOKBACK_MS,
            user: None,
            limits: None,
            alert: false,
        }
    }
}

/// The answer to a [`FleetQuery`].
#[derive(Clone, Debug)]
pub struct FleetAnswer {
    pub outcome: Outcome,
    pub completeness: Completeness,
    pub stats: FleetStats,
}

/// Who was asked and who answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Completeness {
    /// Leaves that could have contributed, those behind hubs too; one reached twice counts once. 0: the query needed none.
    pub expected: usize,
    pub answered: usize,
    /// Who did not answer; of those behind a hub only some.
    pub missing: Vec<Missing>,
}

impl Completeness {
    /// The share that answered; 1 when nobody had to be asked.
    pub fn ratio(&self) -> f64 {
        if self.expected == 0 {
            1.0
        } else {
            self.answered as f64 / self.expected as f64
        }
    }

    pub fn is_complete(&self) -> bool {
        self.answered >= self.expected
    }

    /// How many did not answer, named or not.
    pub fn missing_count(&self) -> usize {
        self.expected.saturating_sub(self.answered)
    }

    /// One sentence for a notice, or `None` when everybody answered.
    ///
    /// `3 of 4 nodes answered; n2: connection refused ...`
    pub fn notice(&self) -> Option<String> {
        const NAMED: usize = 5;
        if self.is_complete() {
            return None;
        }
        let mut text = format!(
            "{} of {} nodes answered; missing: ",
            thousands(self.answered),
            thousands(self.expected)
        );
        let named: Vec<String> = self.missing.iter().take(NAMED).map(ToString::to_string).collect();
        text.push_str(&named.join("; "));
        let more = match self.missing.len() > NAMED || self.missing.is_empty() {
            true => self.missing_count().saturating_sub(named.len()),
            false => 0,
        };
        if more > 0 {
            text.push_str(&format!("; and {} more", thousands(more)));
        }
        Some(text)
    }
}

/// `9,987`
fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What one query cost.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FleetStats {
    /// Nodes asked: agents and hubs.
    pub asked: u64,
    /// What the root evaluated; `#1` is the first fragment.
    pub root_expr: String,
    /// One entry per question the plan sent to the leaves.
    pub fragments: Vec<FragmentStats>,
    /// From the call to the answer.
    pub elapsed: Duration,
    /// Of that, merging and evaluating at the root.
    pub root: Duration,
    /// Samples the leaves read, and the root's own.
    pub samples_read: u64,
}

/// What the leaves' answers to one fragment amounted to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FragmentStats {
    pub expr: String,
    /// How its answers come back.
    pub shape: Option<podscope_model::leaf::Shape>,
    /// Nodes that answered: agents and hubs.
    pub answered: u64,
    /// Leaves that answered, those behind hubs too.
    pub leaves: u64,
    /// Series (or groups) over all leaves.
    pub series: u64,
    /// Numbers in them.
    pub cells: u64,
    /// Bytes of the bodies; 0 for agents in the same process.
    pub bytes: u64,
    /// Samples the leaves read for it.
    pub samples_read: u64,
    pub slowest: Option<Slowest>,
}

/// The agent that took longest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slowest {
    pub instance: String,
    pub elapsed: Duration,
}

/// Which series the editor's lists are made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SeriesRequest {
    /// Each inner list is one selector; a series counts when any selector matches. Empty: all series.
    pub selectors: Vec<Vec<Matcher>>,
    pub start_ms: i64,
    pub end_ms: i64,
    pub user: Option<Scope>,
}

/// A merged list and who contributed to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Partial<T> {
    pub value: T,
    pub completeness: Completeness,
}

/// One target as the inventory shows it.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// As in [`Missing::instance`].
    pub instance: String,
    pub url: String,
    pub info: Result<NodeInfo, ApiError>,
}
