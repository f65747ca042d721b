//! One query: plan, ask the leaves, merge at the root.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use podscope_model::catalog;
use podscope_model::leaf::{
    Annotation, ApiError, ApiErrorKind, LeafAnswer, LeafQuery, LeafValue, Limits, Shape,
};
use podscope_model::matcher::{Matcher, fixed_name};
use podscope_model::sample::Grid;
use podscope_model::source::{Budget, Cancel};
use podscope_promql::{Options, Outcome, Plan, Value, ValueType};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::answer::{Completeness, FleetAnswer, FleetQuery, FleetStats, FragmentStats, Slowest};
use crate::ask;
use crate::coverage::UpSource;
use crate::error::FleetError;
use crate::fleet::{Inner, is_fatal};
use crate::node::{Node, Timed};

/// Sets the flag of a [`Budget`] when it is dropped, so that the root's evaluation stops with its caller.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The answers of one leaf, one per fragment; `None` for a fragment it was not asked.
type LeafAnswers = Vec<Option<Timed<LeafAnswer>>>;

/// Answers a query.
pub(crate) async fn run(
    inner: &Arc<Inner>,
    query: FleetQuery,
    limits: Limits,
) -> Result<FleetAnswer, FleetError> {
    let started = Instant::now();
    let timeout = inner.config.timeout.min(Duration::from_millis(limits.timeout_ms));
    let deadline = started + timeout;
    let limits = Limits {
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        ..limits
    };
    let options = Options {
        lookback_ms: query.lookback_ms,
    };
    let parsed =
        podscope_promql::parse(&query.expr).map_err(|error| FleetError::Eval(Arc::new(error.into())))?;
    let plan = podscope_promql::plan(&parsed, query.grid, options)?;
    if inner.nodes.is_empty() && (plan.needs_up || !plan.fragments.is_empty()) {
        return Err(FleetError::NoTargets);
    }
    let (kept, mut completeness) = ask_leaves(inner, &query, &plan, limits, deadline).await?;
    if only_up(&plan) {
        // Who is silent is what such a query reports: it is not missing from the answer, it is the answer.
        completeness.answered = completeness.expected;
        completeness.missing.clear();
    }
    if completeness.answered == 0 && completeness.expected > 0 && !plan.needs_up {
        return Err(FleetError::NoneAnswered(completeness));
    }
    check_identities(&kept)?;
    let silent_matters = plan.needs_all_leaves && !completeness.is_complete();
    if silent_matters && query.alert {
        return Err(FleetError::Incomplete(completeness));
    }
    let mut stats = FleetStats::default();
    let mut annotations = Vec::new();
    let answers = regroup(&plan, kept, &mut stats, &mut annotations);
    if silent_matters {
        let outcome = withheld(parsed.value_type(), query.grid, &completeness);
        stats.elapsed = started.elapsed();
        return Ok(FleetAnswer {
            outcome,
            completeness,
            stats,
        });
    }
    let root_started = Instant::now();
    // The root has a time of its own: a leaf that used up all of its own must not cost the others' answers.
    let deadline = root_started + timeout;
    let (mut outcome, root_samples) = finish(inner, &query, plan, answers, limits, deadline).await?;
    outcome.annotations.append(&mut annotations);
    outcome.annotations.sort();
    outcome.annotations.dedup();
    stats.root = root_started.elapsed();
    stats.samples_read += root_samples;
    stats.elapsed = started.elapsed();
    Ok(FleetAnswer {
        outcome,
        completeness,
        stats,
    })
}

/// Whether the leaves are asked for nothing but series called `up`. The one of `job="node"` is made at the root, for
/// silent nodes too; others are what a leaf may have scraped.
fn only_up(plan: &Plan) -> bool {
    let fixed = |matchers: &Vec<Matcher>| fixed_name(matchers) == Some(catalog::agent::UP.name);
    plan.needs_up
        && plan
            .fragments
            .iter()
            .all(|fragment| fragment.selectors.iter().all(fixed))
}

/// Sends every fragment to every leaf that can match it.
async fn ask_leaves(
    inner: &Arc<Inner>,
    query: &FleetQuery,
    plan: &Plan,
    limits: Limits,
    deadline: Instant,
) -> Result<(Vec<(Arc<Node>, LeafAnswers)>, Completeness), FleetError> {
    let can_help = |node: &&Arc<Node>| {
        plan.fragments
            .iter()
            .any(|fragment| node.can_match(&fragment.selectors))
    };
    let asked: Vec<Arc<Node>> = inner.nodes.iter().filter(can_help).map(Arc::clone).collect();
    let fragments = Arc::new(plan.fragments.clone());
    let (lookback_ms, user) = (query.lookback_ms, query.user.clone());
    let gate = Arc::clone(&inner.gate);
    let job = move |node: Arc<Node>| {
        let (gate, fragments, user) = (Arc::clone(&gate), Arc::clone(&fragments), user.clone());
        async move {
            // All or nothing: half the fragments of a node would make a wrong ratio, not a partial answer.
            let questions = fragments.iter().map(async |fragment| {
                if !node.can_match(&fragment.selectors) {
                    return Ok(None);
                }
                let question = LeafQuery {
                    expr: fragment.expr.clone(),
                    shape: fragment.shape,
                    grid: fragment.grid,
                    lookback_ms,
                    target: node.target(),
                    user: user.clone(),
                    limits,
                };
                let answer = node.ask(&gate, deadline, |leaf| leaf.query(question)).await?;
                node.check_identity(&answer.value.instance, &answer.value.leaf_id)?;
                check_shape(&answer.value, fragment.shape, fragment.grid)?;
                Ok(Some(answer))
            });
            join_all(questions)
                .await
                .into_iter()
                .collect::<Result<LeafAnswers, ApiError>>()
        }
    };
    let answers = ask::each(&asked, job, is_fatal)
        .await
        .map_err(|(node, error)| FleetError::Leaf {
            instance: node.instance(),
            url: node.spec.url.clone(),
            error,
        })?;
    Ok(ask::sort_out(&asked, answers, |answers| {
        answers
            .iter()
            .flatten()
            .next()
            .map_or("", |answer| answer.value.leaf_id.as_str())
    }))
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

/// Two stores under one name would answer the same series twice (rule 1 of the design).
fn check_identities(kept: &[(Arc<Node>, LeafAnswers)]) -> Result<(), FleetError> {
    let mut seen = HashMap::new();
    for (node, _) in kept {
        let identity = (node.instance(), &node.spec.labels);
        if let Some(first) = seen.insert(identity, node) {
            return Err(FleetError::SameIdentity {
                instance: node.instance(),
                first: first.spec.url.clone(),
                second: node.spec.url.clone(),
            });
        }
    }
    Ok(())
}

/// From answers per leaf to answers per fragment, as the root wants them, with the bill.
fn regroup(
    plan: &Plan,
    kept: Vec<(Arc<Node>, LeafAnswers)>,
    stats: &mut FleetStats,
    annotations: &mut Vec<Annotation>,
) -> Vec<Vec<LeafValue>> {
    let mut values: Vec<Vec<LeafValue>> = plan.fragments.iter().map(|_| Vec::new()).collect();
    let of = |fragment: &podscope_promql::Fragment| FragmentStats {
        expr: fragment.expr.clone(),
        ..FragmentStats::default()
    };
    stats.fragments = plan.fragments.iter().map(of).collect();
    for (node, answers) in kept {
        for (at, answer) in answers.into_iter().enumerate() {
            let Some(answer) = answer else { continue };
            let bill = &mut stats.fragments[at];
            let (series, cells) = size(&answer.value.value);
            bill.series += series;
            bill.cells += cells;
            bill.bytes += answer.bytes;
            if bill
                .slowest
                .as_ref()
                .is_none_or(|slowest| slowest.elapsed < answer.elapsed)
            {
                bill.slowest = Some(Slowest {
                    instance: node.instance(),
                    elapsed: answer.elapsed,
                });
            }
            stats.samples_read += answer.value.stats.samples_read;
            annotations.extend(answer.value.annotations);
            values[at].push(answer.value.value);
        }
    }
    values
}

/// Series and numbers of a value.
fn size(value: &LeafValue) -> (u64, u64) {
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

/// Nothing, and why: a silent leaf may hold what the expression says is not there (rule 7 of the design).
fn withheld(kind: ValueType, grid: Grid, completeness: &Completeness) -> Outcome {
    let value = match kind {
        ValueType::Scalar => Value::Scalar(vec![f64::NAN; grid.len()]),
        ValueType::Matrix => Value::Samples(Vec::new()),
        ValueType::Vector | ValueType::String => Value::Vector(Vec::new()),
    };
    let why = format!(
        "nothing is answered, because the expression depends on every node and {}",
        completeness.notice().unwrap_or_default()
    );
    Outcome {
        value,
        annotations: vec![Annotation::Warning(why)],
    }
}

/// Merges and evaluates at the root, off the async threads.
async fn finish(
    inner: &Arc<Inner>,
    query: &FleetQuery,
    plan: Plan,
    answers: Vec<Vec<LeafValue>>,
    limits: Limits,
    deadline: Instant,
) -> Result<(Outcome, u64), FleetError> {
    let cancel = Cancel::default();
    let token = CancellationToken::new();
    let _guards: (CancelOnDrop, DropGuard) = (CancelOnDrop(cancel.clone()), token.clone().drop_guard());
    // What is nobody's own is hidden from a user who may only see their own: `up` then has no series.
    let nodes = if query
        .user
        .as_ref()
        .is_none_or(|scope| scope.is_public(catalog::agent::UP.name))
    {
        inner.nodes.clone()
    } else {
        Vec::new()
    };
    let source = UpSource::new(
        nodes,
        Arc::clone(&inner.gate),
        deadline,
        limits,
        query.lookback_ms,
        token,
    );
    let budget = Budget::new(
        limits.max_samples,
        limits.max_series,
        Some(limits.timeout_ms),
        cancel,
    );
    let work = move || {
        let outcome = podscope_promql::finish(&plan, answers, &source, &budget)?;
        Ok((outcome, budget.samples_read(), source.silent()))
    };
    let done: Result<_, podscope_promql::EvalError> = tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| FleetError::RootStopped)?;
    let (mut outcome, samples, silent) = done?;
    outcome.annotations.extend(
        silent
            .into_iter()
            .map(|why| Annotation::Info(format!("up is 0 at every step for {why}"))),
    );
    Ok((outcome, samples))
}
