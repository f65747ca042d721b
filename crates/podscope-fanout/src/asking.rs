//! All questions of one query to one node: all answered, or none.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use podscope_model::leaf::{
    ApiError, ApiErrorKind, Behind, LeafAnswer, LeafQuery, LeafValue, Limits, Missing, Route, Shape,
};
use podscope_model::sample::Grid;
use podscope_model::scope::Scope;
use podscope_model::source::Budget;
use podscope_promql::Fragment;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::ask::Answered;
use crate::node::Timed;
use crate::route::Way;

/// The answers of one node, one per fragment; `None` for a fragment it was not asked.
#[derive(Debug)]
pub(crate) struct LeafAnswers(pub(crate) Vec<Option<Timed<LeafAnswer>>>);

/// What a question to one node is made of, beside its way.
#[derive(Clone)]
pub(crate) struct Asking {
    pub(crate) fragments: Arc<Vec<Fragment>>,
    pub(crate) lookback_ms: i64,
    pub(crate) user: Option<Scope>,
    pub(crate) limits: Limits,
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) deadline: Instant,
    /// The labels that whoever asks us gives.
    pub(crate) outer: Arc<BTreeMap<String, String>>,
    /// Counts the memory of the answers.
    pub(crate) budget: Arc<Budget>,
}

/// A hub is asked this often for parts that fit together.
const TRIES: usize = 3;

impl Asking {
    /// Asks one node for every fragment it can match: all or nothing, because half the fragments of a leaf would make a
    /// wrong ratio, not a partial answer.
    pub(crate) async fn of(self, way: Way) -> Result<LeafAnswers, ApiError> {
        let mut route = way.route.clone();
        let mut left_out = LeftOut::default();
        for _ in 0..TRIES {
            let questions = self
                .fragments
                .iter()
                .map(|fragment| self.one(&way, &route, fragment));
            let mut answers = LeafAnswers(
                join_all(questions)
                    .await
                    .into_iter()
                    .collect::<Result<_, ApiError>>()?,
            );
            let Some(silent) = answers.silent_in_part() else {
                left_out.note(&mut answers);
                return Ok(answers);
            };
            // A leaf behind the hub answered one fragment and not another: without it, then.
            answers
                .0
                .iter()
                .flatten()
                .for_each(|answer| self.give_back(answer));
            left_out.take(&answers, &silent);
            route.exclude.extend(silent);
        }
        Err(ApiError::new(
            ApiErrorKind::Unreachable,
            "the nodes behind it answer now and then; look at its target list and their load",
        ))
    }

    fn give_back(&self, answer: &Timed<LeafAnswer>) {
        self.budget.release(weight(answer));
    }

    async fn one(
        &self,
        way: &Way,
        route: &Route,
        fragment: &Fragment,
    ) -> Result<Option<Timed<LeafAnswer>>, ApiError> {
        let node = &way.node;
        if !node.can_match(&fragment.selectors, &self.outer) {
            return Ok(None);
        }
        let question = LeafQuery {
            expr: fragment.expr.clone(),
            shape: fragment.shape,
            grid: fragment.grid,
            lookback_ms: self.lookback_ms,
            target: node.target(&self.outer),
            user: self.user.clone(),
            limits: self.limits,
            route: route.clone(),
        };
        let answer = node
            .ask(&self.gate, self.deadline, |leaf| leaf.query(question))
            .await?;
        node.check_identity(&answer.value.instance, &answer.value.leaf_id)?;
        check_shape(&answer.value, fragment.shape, fragment.grid)?;
        self.budget
            .hold(weight(&answer))
            .map_err(|error| ApiError::new(ApiErrorKind::Limit, error.to_string()))?;
        Ok(Some(answer))
    }
}

/// Leaves behind a hub that answered in part, and were left out for that.
#[derive(Default)]
struct LeftOut {
    ids: Vec<String>,
    missing: Vec<Missing>,
}

impl LeftOut {
    fn take(&mut self, answers: &LeafAnswers, silent: &[String]) {
        self.ids.extend_from_slice(silent);
        let behind = answers
            .0
            .iter()
            .flatten()
            .filter_map(|answer| answer.value.behind.as_ref());
        for missing in behind.flat_map(|behind| &behind.missing) {
            if !self.missing.contains(missing) {
                self.missing.push(missing.clone());
            }
        }
    }

    /// They are missing.
    fn note(self, answers: &mut LeafAnswers) {
        let behind = answers
            .0
            .iter_mut()
            .flatten()
            .filter_map(|answer| answer.value.behind.as_mut());
        for behind in behind {
            behind.expected += self.ids.len() as u64;
            behind.missing_ids.extend_from_slice(&self.ids);
            behind.missing.extend_from_slice(&self.missing);
            behind.missing.truncate(Behind::MAX_NAMED);
        }
    }
}

/// Memory of an answer's body; the numbers made of it count where they are merged.
fn weight(answer: &Timed<LeafAnswer>) -> usize {
    usize::try_from(answer.bytes).unwrap_or(usize::MAX)
}

impl LeafAnswers {
    /// The leaves behind a hub that answered some fragments and not others; `None`: there are none.
    fn silent_in_part(&self) -> Option<Vec<String>> {
        let missing = || {
            let behind = self
                .0
                .iter()
                .flatten()
                .filter_map(|answer| answer.value.behind.as_ref());
            behind.map(|behind| behind.missing_ids.iter().collect::<BTreeSet<_>>())
        };
        let all: BTreeSet<&String> = missing().flatten().collect();
        let same = missing().all(|missing| missing.len() == all.len());
        (!same).then(|| all.into_iter().cloned().collect())
    }
}

impl Answered for LeafAnswers {
    fn leaf_id(&self) -> &str {
        self.0
            .iter()
            .flatten()
            .next()
            .map_or("", |answer| answer.value.leaf_id.as_str())
    }

    /// Of the fragment that concerns most leaves.
    fn behind(&self) -> Option<&Behind> {
        let behind = self
            .0
            .iter()
            .flatten()
            .filter_map(|answer| answer.value.behind.as_deref());
        behind.max_by_key(|behind| behind.expected)
    }
}

impl Answered for LeafAnswer {
    fn leaf_id(&self) -> &str {
        &self.leaf_id
    }

    fn behind(&self) -> Option<&Behind> {
        self.behind.as_deref()
    }
}

/// Refuses an answer that does not fit its question: another grid or another kind of value cannot be merged.
fn check_shape(answer: &LeafAnswer, shape: Shape, grid: Grid) -> Result<(), ApiError> {
    let steps = grid.len();
    let fits = match (&answer.value, shape) {
        (LeafValue::Steps(list), Shape::Steps) => list.iter().all(|series| series.values.len() == steps),
        (LeafValue::Partials(list), Shape::Partials) => list
            .iter()
            .flat_map(|group| &group.columns)
            .all(|(_, column)| column.len() == steps),
        (LeafValue::Samples(_), Shape::Samples) | (LeafValue::None, Shape::Coverage) => true,
        _ => false,
    };
    if fits && answer.grid == grid {
        return Ok(());
    }
    Err(ApiError::new(
        ApiErrorKind::Unreachable,
        "its answer does not fit the question; is it an agent of this version?",
    ))
}

/// Series and numbers of a value.
pub(crate) fn size(value: &LeafValue) -> (u64, u64) {
    let (series, cells) = match value {
        LeafValue::Steps(list) => (
            list.len(),
            list.iter().map(|series| series.values.len()).sum::<usize>(),
        ),
        LeafValue::Partials(list) => (
            list.len(),
            list.iter()
                .flat_map(|group| &group.columns)
                .map(|(_, column)| column.len())
                .sum(),
        ),
        LeafValue::Samples(list) => (list.len(), list.iter().map(|series| series.values.len()).sum()),
        LeafValue::None => (0, 0),
    };
    (series as u64, cells as u64)
}
