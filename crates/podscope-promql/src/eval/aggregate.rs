//! Aggregation operators.

use std::cmp::Ordering;

use podscope_model::labels::{Labels, NAME};
use podscope_model::leaf::PartialSeries;
use podscope_model::sample::{Grid, StepSeries, is_stale};
use rustc_hash::FxHashMap;

use super::window::quantile;
use super::{Context, absent_column, has_value, labels};
use crate::EvalError;
use crate::ast::{Aggregate, AggregateOp, Grouping};
use crate::partial::State;

/// The labels of the group a series belongs to.
pub(crate) fn group_labels(labels: &Labels, grouping: &Grouping) -> Labels {
    match grouping {
        Grouping::By(kept) => labels.filter(|name| kept.iter().any(|label| label == name)),
        Grouping::Without(dropped) => {
            labels.filter(|name| name != NAME && dropped.iter().all(|label| label != name))
        }
    }
}

/// Which series belong to which group, groups in the order they first appear.
struct Groups {
    labels: Vec<Labels>,
    /// The group of each series.
    of: Vec<usize>,
}

impl Groups {
    fn new(series: &[StepSeries], grouping: &Grouping) -> Self {
        let mut index: FxHashMap<Labels, usize> = FxHashMap::default();
        let mut groups = Self {
            labels: Vec::new(),
            of: Vec::with_capacity(series.len()),
        };
        for series in series {
            let labels = group_labels(&series.labels, grouping);
            let next = index.len();
            let at = *index.entry(labels).or_insert_with_key(|labels| {
                groups.labels.push(labels.clone());
                next
            });
            groups.of.push(at);
        }
        groups
    }

    /// The series of each group.
    fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.labels.len()];
        for (series, group) in self.of.iter().enumerate() {
            if let Some(list) = members.get_mut(*group) {
                list.push(series);
            }
        }
        members
    }
}

impl Context<'_> {
    #[inline(never)]
    pub(super) fn aggregate(&self, aggregate: &Aggregate, grid: Grid) -> Result<Vec<StepSeries>, EvalError> {
        let param = match &aggregate.param {
            Some(param) if aggregate.op != AggregateOp::CountValues => Some(self.scalar(param, grid)?),
            _ => None,
        };
        let mut series = self.vector(&aggregate.expr, grid)?;
        self.budget.check()?;
        let column = param.as_deref().unwrap_or_default();
        match aggregate.op {
            AggregateOp::Topk | AggregateOp::Bottomk => {
                // Ties go to the series whose labels sort first.
                series.sort_by(|a, b| a.labels.cmp(&b.labels));
                ranked(aggregate, column, &series, grid)
            }
            AggregateOp::Quantile => {
                self.check_quantiles(column);
                Ok(quantiles(aggregate, column, &series, grid))
            }
            AggregateOp::CountValues => {
                let name = aggregate.param.as_ref().map_or(Ok(""), labels::text)?;
                count_values(name, &aggregate.grouping, &series, grid)
            }
            _ => Ok(states(aggregate, &series, grid)
                .into_iter()
                .map(|(labels, state)| StepSeries {
                    labels,
                    values: state.finish(),
                })
                .filter(|series| has_value(&series.values))
                .collect()),
        }
    }
}

fn states(aggregate: &Aggregate, series: &[StepSeries], grid: Grid) -> Vec<(Labels, State)> {
    let groups = Groups::new(series, &aggregate.grouping);
    let mut states: Vec<State> = groups
        .labels
        .iter()
        .filter_map(|_| State::new(aggregate.op, grid.len()))
        .collect();
    for (series, group) in series.iter().zip(&groups.of) {
        if let Some(state) = states.get_mut(*group) {
            state.add(&series.values);
        }
    }
    groups.labels.into_iter().zip(states).collect()
}

/// The mergeable states of an aggregation at a leaf.
pub(crate) fn partials(
    context: &Context<'_>,
    aggregate: &Aggregate,
    grid: Grid,
) -> Result<Vec<PartialSeries>, EvalError> {
    super::check_grid(grid)?;
    let series = context.vector(&aggregate.expr, grid)?;
    if aggregate.op == AggregateOp::CountValues {
        let name = aggregate.param.as_ref().map_or(Ok(""), labels::text)?;
        let counted = count_values(name, &aggregate.grouping, &series, grid)?;
        return Ok(counted
            .into_iter()
            .map(|series| PartialSeries {
                labels: series.labels,
                columns: vec![(podscope_model::leaf::PartialColumn::Count, series.values)],
            })
            .collect());
    }
    let mut found: Vec<PartialSeries> = states(aggregate, &series, grid)
        .into_iter()
        .map(|(labels, state)| PartialSeries {
            labels,
            columns: state.into_columns(),
        })
        .collect();
    found.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(found)
}

/// `topk` and `bottomk`: the series keep their labels, each only at the steps at which it is among the best.
fn ranked(
    aggregate: &Aggregate,
    param: &[f64],
    series: &[StepSeries],
    grid: Grid,
) -> Result<Vec<StepSeries>, EvalError> {
    if param.iter().any(|k| k.is_nan()) {
        return Err(EvalError::Execution("parameter value is NaN".to_owned()));
    }
    if param.iter().all(|k| *k < 1.0) {
        return Ok(Vec::new());
    }
    if let Some(k) = param.iter().find(|k| k.abs() >= 9_223_372_036_854_774_784.0) {
        return Err(EvalError::Execution(format!("scalar value {k} overflows int64")));
    }
    let descending = aggregate.op == AggregateOp::Topk;
    let groups = Groups::new(series, &aggregate.grouping);
    let mut columns: Vec<Option<Vec<f64>>> = vec![None; series.len()];
    let mut order: Vec<usize> = Vec::new();
    let mut ranking: Vec<(f64, usize)> = Vec::new();
    for members in groups.members() {
        for step in 0..grid.len() {
            let k = param.get(step).copied().unwrap_or(0.0);
            if k < 1.0 {
                continue;
            }
            ranking.clear();
            ranking.extend(members.iter().filter_map(|&at| {
                let value = *series.get(at)?.values.get(step)?;
                (!is_stale(value)).then_some((value, at))
            }));
            keep_best(&mut ranking, k as usize, descending);
            for (value, at) in &ranking {
                if let Some(column) = columns.get_mut(*at) {
                    let column = column.get_or_insert_with(|| absent_column(grid.len()));
                    if let Some(out) = column.get_mut(step) {
                        *out = *value;
                    }
                }
            }
            if grid.is_instant() {
                ranking.sort_by(|a, b| rank(*a, *b, descending));
                order.extend(ranking.iter().map(|(_, at)| *at));
            }
        }
    }
    if !grid.is_instant() {
        order.extend(0..series.len());
    }
    let mut found = Vec::new();
    for at in order {
        if let (Some(series), Some(values)) = (series.get(at), columns.get_mut(at).and_then(Option::take)) {
            found.push(StepSeries {
                labels: series.labels.clone(),
                values,
            });
        }
    }
    Ok(found)
}

fn keep_best(ranking: &mut Vec<(f64, usize)>, k: usize, descending: bool) {
    if ranking.len() > k {
        ranking.select_nth_unstable_by(k - 1, |a, b| rank(*a, *b, descending));
        ranking.truncate(k);
    }
}

/// Best first: NaN last, ties in the order of the series.
fn rank(a: (f64, usize), b: (f64, usize), descending: bool) -> Ordering {
    let by_value = if descending {
        b.0.partial_cmp(&a.0)
    } else {
        a.0.partial_cmp(&b.0)
    };
    a.0.is_nan()
        .cmp(&b.0.is_nan())
        .then(by_value.unwrap_or(Ordering::Equal))
        .then(a.1.cmp(&b.1))
}

fn quantiles(aggregate: &Aggregate, param: &[f64], series: &[StepSeries], grid: Grid) -> Vec<StepSeries> {
    let groups = Groups::new(series, &aggregate.grouping);
    let mut scratch = Vec::new();
    let mut found = Vec::new();
    for (labels, members) in groups.labels.iter().zip(groups.members()) {
        let mut column = absent_column(grid.len());
        for (step, out) in column.iter_mut().enumerate() {
            scratch.clear();
            scratch.extend(
                members
                    .iter()
                    .filter_map(|&at| series.get(at)?.values.get(step).copied())
                    .filter(|value| !is_stale(*value)),
            );
            if !scratch.is_empty() {
                *out = quantile(param.get(step).copied().unwrap_or(f64::NAN), &mut scratch);
            }
        }
        if has_value(&column) {
            found.push(StepSeries {
                labels: labels.clone(),
                values: column,
            });
        }
    }
    found
}

fn count_values(
    name: &str,
    grouping: &Grouping,
    series: &[StepSeries],
    grid: Grid,
) -> Result<Vec<StepSeries>, EvalError> {
    if name.is_empty() {
        return Err(EvalError::Execution(format!("invalid label name {name:?}")));
    }
    // The label of the value is one of the group's, unless `without` takes it away again.
    let shown = match grouping {
        Grouping::By(_) => true,
        Grouping::Without(dropped) => name != NAME && dropped.iter().all(|label| label != name),
    };
    let mut index: FxHashMap<Labels, usize> = FxHashMap::default();
    let mut found: Vec<StepSeries> = Vec::new();
    for series in series {
        let base = group_labels(&series.labels, grouping);
        // Values repeat: text and labels are made once per value.
        let mut known: FxHashMap<u64, usize> = FxHashMap::default();
        for (step, value) in series.values.iter().enumerate() {
            if is_stale(*value) {
                continue;
            }
            let at = *known.entry(value.to_bits()).or_insert_with(|| {
                let labels = if shown {
                    base.with(name, &value_text(*value))
                } else {
                    base.filter(|own| own != name)
                };
                *index.entry(labels).or_insert_with_key(|labels| {
                    found.push(StepSeries {
                        labels: labels.clone(),
                        values: absent_column(grid.len()),
                    });
                    found.len() - 1
                })
            });
            if let Some(out) = found.get_mut(at).and_then(|series| series.values.get_mut(step)) {
                *out = if is_stale(*out) { 1.0 } else { *out + 1.0 };
            }
        }
    }
    found.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(found)
}

/// A value as Go's `strconv.FormatFloat(v, 'f', -1, 64)` writes it.
fn value_text(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 {
            "+Inf".to_owned()
        } else {
            "-Inf".to_owned()
        }
    } else {
        value.to_string()
    }
}
