//! One query: plan, ask the leaves, merge at the root.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use podscope_model::catalog;
use podscope_model::leaf::{Annotation, LeafValue, Limits, Route};
use podscope_model::matcher::{Matcher, fixed_name};
use podscope_model::sample::Grid;
use podscope_model::source::{Budget, BudgetError, Cancel};
use podscope_promql::{EvalError, Fragment, Options, Outcome, Plan, Value, ValueType};
use rustc_hash::FxHashSet;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::answer::{Completeness, FleetAnswer, FleetQuery, FleetStats, FragmentStats, Slowest};
use crate::ask::{self, Answered, Gathered, Wanted};
use crate::asking::{Asking, LeafAnswers, size};
use crate::coverage::UpSource;
use crate::error::FleetError;
use crate::fleet::Inner;
use crate::node::{NO_LABELS, Node};
use crate::route::Way;

/// Sets the flag of a [`Budget`] when it is dropped, so that the root's evaluation stops with its caller.
pub(crate) struct CancelOnDrop(pub(crate) Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// The root's own time, where the leaves' is shorter.
const ROOT_MS: u64 = 5_000;

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
    if inner.nodes().is_empty() && (plan.needs_up || !plan.fragments.is_empty()) {
        return Err(FleetError::NoTargets);
    }
    let cancel = Cancel::default();
    let _stop = CancelOnDrop(cancel.clone());
    // The root has a time of its own: a leaf that used up all of its own must not cost the others' answers.
    let budget = Arc::new(Budget::of(
        &Limits {
            timeout_ms: limits.timeout_ms.saturating_add(limits.timeout_ms.max(ROOT_MS)),
            ..limits
        },
        cancel,
    ));
    let asking = Asking {
        fragments: Arc::new(plan.fragments.clone()),
        lookback_ms: query.lookback_ms,
        user: query.user.clone(),
        limits,
        gate: Arc::clone(&inner.gate),
        deadline,
        outer: Arc::default(),
        budget: Arc::clone(&budget),
    };
    let Gathered {
        kept,
        mut completeness,
        asked,
        ..
    } = ask_leaves(inner, &plan, asking).await?;
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
    stats.asked = asked as u64;
    stats.root_expr = plan.root();
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
    let deadline = root_started + timeout;
    let (mut outcome, root_samples) =
        finish(inner, &query, plan, answers, limits, (deadline, budget)).await?;
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
    plan: &Plan,
    asking: Asking,
) -> Result<Gathered<LeafAnswers>, FleetError> {
    let wanted = Wanted {
        parts: plan
            .fragments
            .iter()
            .map(|fragment| fragment.selectors.as_slice())
            .collect(),
        outer: NO_LABELS,
        route: &Route::default(),
        done: FxHashSet::default(),
    };
    let (deadline, budget) = (asking.deadline, Arc::clone(&asking.budget));
    let job = move |way: Way| asking.clone().of(way);
    ask::gather(inner, &wanted, deadline, job, ask::refusals)
        .await
        .map_err(|(node, error)| match budget.hold(0) {
            // What is too much is all answers together, not this node's.
            Err(BudgetError::Memory { .. }) => EvalError::from(BudgetError::Memory {
                limit: budget.max_bytes(),
            })
            .into(),
            _ => FleetError::Leaf {
                instance: node.instance(),
                url: node.spec.url.clone(),
                error,
            },
        })
}

/// Two stores under one name would answer the same series twice (rule 1 of the design).
fn check_identities(kept: &[(Arc<Node>, LeafAnswers)]) -> Result<(), FleetError> {
    let mut seen = HashMap::new();
    // What a hub answers carries its leaves' names, not its own.
    for (node, _) in kept.iter().filter(|(_, answers)| answers.behind().is_none()) {
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
    let of = |fragment: &Fragment| FragmentStats {
        expr: fragment.expr.clone(),
        shape: Some(fragment.shape),
        ..FragmentStats::default()
    };
    stats.fragments = plan.fragments.iter().map(of).collect();
    for (node, answers) in kept {
        for (at, answer) in answers.0.into_iter().enumerate() {
            let Some(answer) = answer else { continue };
            let bill = &mut stats.fragments[at];
            bill.answered += 1;
            bill.leaves += answer.value.behind.as_ref().map_or(1, |behind| behind.answered);
            bill.samples_read += answer.value.stats.samples_read;
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
    (deadline, budget): (Instant, Arc<Budget>),
) -> Result<(Outcome, u64), FleetError> {
    let token = CancellationToken::new();
    let _stop: DropGuard = token.clone().drop_guard();
    let source = UpSource::new(
        Arc::clone(inner),
        // What is nobody's own is hidden from a user who may only see their own: `up` then has no series.
        query
            .user
            .as_ref()
            .is_some_and(|scope| !scope.is_public(catalog::agent::UP.name)),
        deadline,
        limits,
        query.lookback_ms,
        token,
    );
    let work = move || {
        let outcome = podscope_promql::finish(&plan, answers, &source, &budget)?;
        Ok((outcome, budget.samples_read(), source.silent()))
    };
    let done: Result<_, EvalError> = tokio::task::spawn_blocking(work)
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
