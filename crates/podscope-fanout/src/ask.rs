//! One job per way, all at once, collected in order; then, where somebody did not answer, over other ways.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use podscope_model::leaf::{ApiError, ApiErrorKind, Behind, Missing, Route};
use podscope_model::matcher::Matcher;
use rustc_hash::FxHashSet;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::answer::Completeness;
use crate::fleet::{Inner, is_fatal};
use crate::known::{NodeLabels, entry_labels};
use crate::node::Node;
use crate::route::{Way, detours, id_of, ways};

/// Less time than this left: another way is not tried.
const WORTH_A_DETOUR: Duration = Duration::from_millis(20);

/// An answer of a leaf or hub to any kind of question.
pub(crate) trait Answered: Send + 'static {
    fn leaf_id(&self) -> &str;
    /// From a hub: who answered behind it.
    fn behind(&self) -> Option<&Behind>;
}

/// Whom a question concerns.
#[derive(Clone, Debug)]
pub(crate) struct Wanted<'a> {
    /// The selectors of each part of the question; a part without selectors concerns everybody.
    pub(crate) parts: Vec<&'a [Vec<Matcher>]>,
    /// The labels that whoever asks us gives.
    pub(crate) outer: &'a BTreeMap<String, String>,
    /// Which of our leaves whoever asks us wants.
    pub(crate) route: &'a Route,
    /// Nodes, by address, whose part of the answer is known already.
    pub(crate) done: FxHashSet<usize>,
}

impl Wanted<'_> {
    fn of(&self, node: &Node) -> bool {
        !self.done.contains(&(std::ptr::from_ref(node) as usize))
            && self.parts.iter().any(|part| node.can_match(part, self.outer))
    }

    /// How many leaves are missing when this way gives no answer.
    fn stands_for(&self, way: &Way) -> usize {
        let Some(known) = way.node.known().filter(|known| known.is_hub()) else {
            return 1;
        };
        let hub = NodeLabels {
            instance: None,
            labels: &way.node.spec.labels,
            outer: self.outer,
        };
        let admitted = |leaf: &&podscope_model::inventory::LeafEntry| {
            way.route.admits(&leaf.leaf_id)
                && self.parts.iter().any(|part| {
                    let node = entry_labels(leaf, hub);
                    part.is_empty() || part.iter().any(|matchers| !node.excludes(matchers))
                })
        };
        known.inventory.leaves.iter().filter(admitted).count().max(1)
    }
}

/// The answers that count, each leaf once.
#[derive(Debug)]
pub(crate) struct Gathered<T> {
    pub(crate) kept: Vec<(Arc<Node>, T)>,
    pub(crate) completeness: Completeness,
    /// Ids of the leaves that did not answer.
    pub(crate) missing_ids: Vec<String>,
    /// Nodes that were asked.
    pub(crate) asked: usize,
}

/// A leaf's refusal that makes the rest pointless.
pub(crate) type Fatal = (Arc<Node>, ApiError);

/// Asks everybody whom the question concerns. Dropping the future aborts all of it.
pub(crate) async fn gather<T: Answered, F>(
    inner: &Arc<Inner>,
    wanted: &Wanted<'_>,
    deadline: Instant,
    job: impl Fn(Way) -> F,
    fatal: impl Fn(&ApiError) -> bool + Copy,
) -> Result<Gathered<T>, Fatal>
where
    F: Future<Output = Result<T, ApiError>> + Send + 'static,
{
    let nodes = inner.nodes();
    let mut plan = ways(&nodes, |node| wanted.of(node), wanted.route);
    let mut answers = each(&plan, &job, fatal).await?;
    // A leaf could be reached twice only where there are several ways, one of them through a hub.
    if nodes.len() > 1 && learn(inner, &plan, &answers, deadline).await {
        let again = ways(&nodes, |node| wanted.of(node), wanted.route);
        if again != plan {
            plan = again;
            answers = each(&plan, &job, fatal).await?;
        }
    }
    let failed: Vec<&Way> = plan
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| answer.is_err())
        .map(|(way, _)| way)
        .collect();
    let around = if failed.is_empty() || deadline < Instant::now() + WORTH_A_DETOUR {
        Vec::new()
    } else {
        detours(&nodes, |node| wanted.of(node), wanted.route, &failed)
    };
    let found = each(&around, &job, fatal).await?;
    Ok(sort_out(wanted, &plan, answers, &around, found))
}

/// Brings up to date what is known of hubs that answered for other leaves than was planned with.
async fn learn<T: Answered>(
    inner: &Arc<Inner>,
    plan: &[Way],
    answers: &[Result<T, ApiError>],
    deadline: Instant,
) -> bool {
    let changed = plan.iter().zip(answers).filter(|(way, answer)| {
        let version = answer
            .as_ref()
            .ok()
            .and_then(Answered::behind)
            .map(|behind| &behind.leaves_version);
        version.is_some_and(|version| *version != way.version)
    });
    let pulls: Vec<_> = changed
        .map(|(way, _)| way.node.pull(&inner.gate, deadline))
        .collect();
    if pulls.is_empty() {
        return false;
    }
    join_all(pulls).await;
    true
}

/// Runs `job` for every way in a task of its own, so that bodies are decoded on all cores. Stops early when `fatal`
/// recognises an error that makes the rest pointless.
async fn each<T, F>(
    ways: &[Way],
    job: impl Fn(Way) -> F,
    fatal: impl Fn(&ApiError) -> bool,
) -> Result<Vec<Result<T, ApiError>>, Fatal>
where
    T: Send + 'static,
    F: Future<Output = Result<T, ApiError>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for (at, way) in ways.iter().enumerate() {
        let work = job(way.clone());
        tasks.spawn(async move { (at, work.await) });
    }
    let mut answers: Vec<Option<Result<T, ApiError>>> = Vec::new();
    answers.resize_with(ways.len(), || None);
    while let Some(done) = tasks.join_next().await {
        // A task that panicked has lost its number; its place stays empty and is filled below.
        let Ok((at, answer)) = done else { continue };
        if let Err(error) = &answer
            && fatal(error)
        {
            return Err((Arc::clone(&ways[at].node), error.clone()));
        }
        answers[at] = Some(answer);
    }
    Ok(answers
        .into_iter()
        .map(|answer| answer.unwrap_or_else(|| Err(unread())))
        .collect())
}

/// A task of ours that panicked.
pub(crate) fn unread() -> ApiError {
    ApiError::new(
        ApiErrorKind::Internal,
        "its answer could not be read because of a fault on our side; the log says more",
    )
}

/// Sorts answers from failures. A node whose store was reached another way is neither: it is counted once.
fn sort_out<T: Answered>(
    wanted: &Wanted<'_>,
    plan: &[Way],
    answers: Vec<Result<T, ApiError>>,
    around: &[Way],
    found: Vec<Result<T, ApiError>>,
) -> Gathered<T> {
    let mut seen = FxHashSet::default();
    let mut kept = Vec::with_capacity(answers.len() + found.len());
    let mut failed: Vec<(&Way, ApiError)> = Vec::new();
    for (way, answer) in plan.iter().zip(answers) {
        match answer {
            Ok(value) => {
                if seen.insert(value.leaf_id().to_owned()) {
                    kept.push((Arc::clone(&way.node), value));
                }
            }
            Err(error) => failed.push((way, error)),
        }
    }
    let mut recovered: FxHashSet<&String> = FxHashSet::default();
    for (way, answer) in around.iter().zip(found) {
        if let Ok(value) = answer {
            recovered.extend(&way.leaves);
            kept.push((Arc::clone(&way.node), value));
        }
    }
    let mut completeness = Completeness::default();
    let mut missing_ids = Vec::new();
    for (_, value) in &kept {
        match value.behind() {
            None => {
                completeness.expected += 1;
                completeness.answered += 1;
            }
            Some(behind) => {
                completeness.expected += usize::try_from(behind.expected).unwrap_or(usize::MAX);
                completeness.answered += usize::try_from(behind.answered).unwrap_or(usize::MAX);
                completeness.missing.extend(behind.missing.iter().cloned());
                missing_ids.extend(behind.missing_ids.iter().cloned());
            }
        }
    }
    for (way, error) in failed {
        if way.node.leaf_id().is_some_and(|id| seen.contains(&id)) {
            continue;
        }
        let ids = match way.leaves.is_empty() {
            true => vec![id_of(&way.node)],
            false => way.leaves.clone(),
        };
        let saved = ids.iter().filter(|id| recovered.contains(id)).count();
        if saved == ids.len() {
            continue;
        }
        let lost = (wanted.stands_for(way)).saturating_sub(saved).max(1);
        missing_ids.extend(ids.into_iter().filter(|id| !recovered.contains(id)));
        completeness.expected += lost;
        let reason = match lost {
            1 => error.message,
            lost => format!("{} (with the {lost} nodes behind it)", error.message),
        };
        completeness.missing.push(Missing {
            instance: way.node.instance(),
            url: way.node.spec.url.clone(),
            kind: error.kind,
            reason,
        });
    }
    Gathered {
        kept,
        completeness,
        missing_ids,
        asked: plan.len(),
    }
}

/// For questions that fail with any leaf that refuses them.
pub(crate) fn refusals(error: &ApiError) -> bool {
    is_fatal(error)
}

/// For rounds that no single error ends.
pub(crate) fn none(_: &ApiError) -> bool {
    false
}
