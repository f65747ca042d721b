//! The leaves' side of a fragment, and putting their answers together.

use podscope_model::labels::Labels;
use podscope_model::leaf::{Annotation, LeafQuery, LeafValue, PartialSeries, Shape};
use podscope_model::sample::{Grid, SeriesData, StepSeries};
use podscope_model::source::{Budget, SeriesSource};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{Merging, Root};
use crate::ast::{Aggregate, AggregateOp, Expr};
use crate::eval::{Context, has_value, partials};
use crate::memory::MemorySource;
use crate::partial::{State, is_mergeable};
use crate::{EvalError, Outcome, Plan, Value, lower};

/// Merges the leaves' answers and evaluates the rest.
pub(crate) fn finish(
    plan: &Plan,
    answers: Vec<Vec<LeafValue>>,
    root: &dyn SeriesSource,
    budget: &Budget,
) -> Result<Outcome, EvalError> {
    if answers.len() != plan.fragments.len() {
        return Err(EvalError::Execution(format!(
            "{} fragments were asked, {} are answered",
            plan.fragments.len(),
            answers.len()
        )));
    }
    let Root {
        expr,
        grid,
        lookback_ms,
        merges,
    } = &plan.root;
    let mut remote = Vec::with_capacity(answers.len());
    let mut samples = Vec::new();
    for ((answers, fragment), merging) in answers.into_iter().zip(&plan.fragments).zip(merges) {
        budget.check()?;
        let merged = match merging {
            Merging::Series => merge_series(answers, fragment.grid, budget)?,
            Merging::States(op) => finished(merge_states(*op, answers, fragment.grid, budget)?),
            Merging::Samples => {
                samples = merge_samples(answers)?;
                Vec::new()
            }
        };
        budget.check_series(merged.len().max(samples.len()))?;
        remote.push(merged);
    }
    let raw = matches!(expr.as_ref(), Expr::Matrix(..));
    if raw && !plan.needs_up {
        return Ok(Outcome {
            value: Value::Samples(samples),
            annotations: Vec::new(),
        });
    }
    let mut outcome = Context::new(root, budget, *lookback_ms, *grid, remote).answer(expr)?;
    if let (true, Value::Samples(own)) = (raw, &mut outcome.value) {
        own.append(&mut samples);
        own.sort_by(|a, b| a.labels.cmp(&b.labels));
    }
    Ok(outcome)
}

fn unexpected(value: &LeafValue) -> EvalError {
    let kind = match value {
        LeafValue::Steps(_) => "steps",
        LeafValue::Partials(_) => "partial aggregations",
        LeafValue::Samples(_) => "samples",
        LeafValue::None => "nothing",
    };
    EvalError::Execution(format!("a leaf answered {kind} where something else was asked"))
}

fn twice(labels: &Labels) -> EvalError {
    EvalError::Execution(format!(
        "the series {labels} comes from two leaves; give each leaf an instance of its own, or list it once"
    ))
}

fn merge_series(answers: Vec<LeafValue>, grid: Grid, budget: &Budget) -> Result<Vec<StepSeries>, EvalError> {
    let mut merged: Vec<StepSeries> = Vec::new();
    for answer in answers {
        match answer {
            LeafValue::Steps(series) => {
                budget.take_cells(series.iter().map(|series| series.values.len()).sum())?;
                merged.extend(series);
            }
            LeafValue::None => {}
            other => return Err(unexpected(&other)),
        }
    }
    if let Some(odd) = merged.iter().find(|series| series.values.len() != grid.len()) {
        return Err(EvalError::Execution(format!(
            "a leaf answered {} steps for {}, {} were asked",
            odd.values.len(),
            odd.labels,
            grid.len()
        )));
    }
    merged.sort_by(|a, b| a.labels.cmp(&b.labels));
    for pair in merged.windows(2) {
        if let [one, two] = pair
            && one.labels == two.labels
        {
            return Err(twice(&one.labels));
        }
    }
    Ok(merged)
}

fn merge_samples(answers: Vec<LeafValue>) -> Result<Vec<SeriesData>, EvalError> {
    let mut merged: Vec<SeriesData> = Vec::new();
    for answer in answers {
        match answer {
            LeafValue::Samples(series) => merged.extend(series),
            LeafValue::None => {}
            other => return Err(unexpected(&other)),
        }
    }
    let mut seen = FxHashSet::default();
    if let Some(series) = merged.iter().find(|series| !seen.insert(&series.labels)) {
        return Err(twice(&series.labels));
    }
    merged.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(merged)
}

fn merge_states(
    op: AggregateOp,
    answers: Vec<LeafValue>,
    grid: Grid,
    budget: &Budget,
) -> Result<FxHashMap<Labels, State>, EvalError> {
    let mut groups: FxHashMap<Labels, State> = FxHashMap::default();
    for answer in answers {
        budget.check()?;
        let partials = match answer {
            LeafValue::Partials(partials) => partials,
            LeafValue::None => continue,
            other => return Err(unexpected(&other)),
        };
        for PartialSeries { labels, columns } in partials {
            let merged = match groups.get_mut(&labels) {
                Some(state) => state.merge(&columns),
                None => {
                    let Some(mut state) = State::new(op, grid.len()) else {
                        return Err(EvalError::NotSupported(format!("merging {}", op.as_str())));
                    };
                    budget.take_cells(grid.len())?;
                    let merged = state.merge(&columns);
                    groups.insert(labels, state);
                    merged
                }
            };
            merged.map_err(EvalError::Execution)?;
        }
    }
    Ok(groups)
}

fn finished(groups: FxHashMap<Labels, State>) -> Vec<StepSeries> {
    let mut series: Vec<StepSeries> = groups
        .into_iter()
        .map(|(labels, state)| StepSeries {
            labels,
            values: state.finish(),
        })
        .filter(|series| has_value(&series.values))
        .collect();
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    series
}

/// Answers one fragment on a leaf.
pub(crate) fn evaluate_leaf(
    query: &LeafQuery,
    source: &dyn SeriesSource,
    budget: &Budget,
) -> Result<(LeafValue, Vec<Annotation>), EvalError> {
    if query.shape == Shape::Coverage {
        return Ok((LeafValue::None, Vec::new()));
    }
    let expr = lower::parse(&query.expr)?;
    let context = Context::new(source, budget, query.lookback_ms, query.grid, Vec::new());
    if query.shape == Shape::Partials {
        let aggregate = mergeable(&expr)?;
        let partials = partials(&context, aggregate, query.grid)?;
        budget.check_series(partials.len())?;
        return Ok((LeafValue::Partials(partials), context.take_notes()));
    }
    let outcome = context.answer(&expr)?;
    let value = match (query.shape, outcome.value) {
        (Shape::Steps, Value::Vector(series)) => LeafValue::Steps(series),
        (Shape::Samples, Value::Samples(series)) => LeafValue::Samples(series),
        _ => {
            return Err(EvalError::Execution(format!(
                "the fragment {:?} does not have the shape it is asked in",
                query.expr
            )));
        }
    };
    Ok((value, outcome.annotations))
}

fn mergeable(expr: &Expr) -> Result<&Aggregate, EvalError> {
    match expr {
        Expr::Aggregate(aggregate)
            if is_mergeable(aggregate.op) || aggregate.op == AggregateOp::CountValues =>
        {
            Ok(aggregate)
        }
        other => Err(EvalError::Execution(format!(
            "not a mergeable aggregation: {other}"
        ))),
    }
}

/// See [`crate::merge_leaf_values`].
pub(crate) fn merge_leaf_values(
    expr: &str,
    shape: Shape,
    answers: Vec<LeafValue>,
    budget: &Budget,
) -> Result<LeafValue, EvalError> {
    let steps = answers.iter().find_map(|answer| match answer {
        LeafValue::Steps(series) => series.first().map(|series| series.values.len()),
        LeafValue::Partials(partials) => partials
            .first()
            .and_then(|partial| partial.columns.first())
            .map(|(_, column)| column.len()),
        LeafValue::Samples(_) | LeafValue::None => None,
    });
    // Only the number of steps matters here.
    let grid = match steps {
        Some(steps) if steps > 0 => Grid {
            start_ms: 0,
            end_ms: steps as i64 - 1,
            step_ms: 1,
        },
        _ => Grid {
            start_ms: 0,
            end_ms: -1,
            step_ms: 1,
        },
    };
    Ok(match shape {
        Shape::Coverage => LeafValue::None,
        Shape::Steps => {
            let merged = merge_series(answers, grid, budget)?;
            budget.check_series(merged.len())?;
            LeafValue::Steps(best_of(expr, merged, grid, budget)?)
        }
        Shape::Samples => LeafValue::Samples(merge_samples(answers)?),
        Shape::Partials => {
            let expr = lower::parse(expr)?;
            let states = merge_states(mergeable(&expr)?.op, answers, grid, budget)?;
            budget.check_series(states.len())?;
            let mut partials: Vec<PartialSeries> = states
                .into_iter()
                .map(|(labels, state)| PartialSeries {
                    labels,
                    columns: state.into_columns(),
                })
                .collect();
            partials.sort_by(|a, b| a.labels.cmp(&b.labels));
            LeafValue::Partials(partials)
        }
    })
}

/// The best of the best of each: where the fragment is `topk` or `bottomk`, no more series travel on than it answers.
fn best_of(
    expr: &str,
    merged: Vec<StepSeries>,
    grid: Grid,
    budget: &Budget,
) -> Result<Vec<StepSeries>, EvalError> {
    let Expr::Aggregate(mut aggregate) = lower::parse(expr)? else {
        return Ok(merged);
    };
    if !matches!(aggregate.op, AggregateOp::Topk | AggregateOp::Bottomk) || grid.is_empty() {
        return Ok(merged);
    }
    aggregate.expr = Expr::Remote(0);
    let nothing = MemorySource::new();
    let context = Context::new(&nothing, budget, 0, grid, vec![merged]);
    context.vector(&Expr::Aggregate(aggregate), grid)
}
