//! Evaluation over one source, a column of steps per series at a time.

mod aggregate;
mod binary;
mod cells;
mod date;
mod elementwise;
mod histogram;
mod labels;
mod range;
mod rate;
mod select;
mod window;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use podscope_model::labels::Labels;
use podscope_model::leaf::Annotation;
use podscope_model::sample::{Grid, STALE, SeriesData, StepSeries, is_stale};
use podscope_model::source::{Budget, BudgetError, SeriesSource};
use rustc_hash::FxHashMap;

use crate::ast::{AggregateOp, Expr};
use crate::function::Func;
use crate::{EvalError, Outcome, Value, ValueType};

pub(crate) use aggregate::partials;
pub(crate) use labels::absent_labels;
pub(crate) use select::subquery_grid;
pub(crate) use window::Mean;

/// Most steps of a grid, a subquery's included.
const MAX_STEPS: i64 = 1_000_000;

/// The value of a sub-expression.
#[derive(Clone, Debug)]
pub(crate) enum Val {
    Scalar(Vec<f64>),
    Text(String),
    Vector(Vec<StepSeries>),
}

/// One query on its way.
pub(crate) struct Context<'a> {
    source: &'a dyn SeriesSource,
    budget: &'a Budget,
    lookback_ms: i64,
    /// The grid of the whole query, for `@ start()` and `@ end()`.
    query: Grid,
    /// Merged answers of the fragments.
    remote: Vec<Vec<StepSeries>>,
    notes: RefCell<BTreeSet<Annotation>>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        source: &'a dyn SeriesSource,
        budget: &'a Budget,
        lookback_ms: i64,
        query: Grid,
        remote: Vec<Vec<StepSeries>>,
    ) -> Self {
        Self {
            source,
            budget,
            lookback_ms,
            query,
            remote,
            notes: RefCell::default(),
        }
    }

    /// Evaluates the whole expression on the query's grid.
    pub(crate) fn answer(&self, expr: &Expr) -> Result<Outcome, EvalError> {
        check_grid(self.query)?;
        if self.query.is_empty() {
            return Err(EvalError::Execution(
                "the end of the range lies before its start, or its step is not positive".to_owned(),
            ));
        }
        let value_type = expr.value_type();
        if !self.query.is_instant() && !matches!(value_type, ValueType::Scalar | ValueType::Vector) {
            return Err(EvalError::Execution(format!(
                "invalid expression type {:?} for range query, must be scalar or instant vector",
                value_type.to_string()
            )));
        }
        let value = match expr {
            Expr::Matrix(selector, range_ms) => {
                Value::Samples(self.raw_samples(selector, *range_ms, self.query)?)
            }
            Expr::Subquery(subquery) => Value::Samples(self.subquery_samples(subquery, self.query)?),
            _ => match self.eval(expr, self.query)? {
                Val::Scalar(column) => Value::Scalar(column),
                Val::Text(text) => Value::String(text),
                Val::Vector(mut series) => {
                    series.retain(|series| has_value(&series.values));
                    if !(self.query.is_instant() && keeps_order(expr)) {
                        series.sort_by(|a, b| a.labels.cmp(&b.labels));
                    }
                    self.budget.check_series(series.len())?;
                    Value::Vector(series)
                }
            },
        };
        Ok(Outcome {
            value,
            annotations: self.take_notes(),
        })
    }

    pub(crate) fn take_notes(&self) -> Vec<Annotation> {
        std::mem::take(&mut *self.notes.borrow_mut())
            .into_iter()
            .collect()
    }

    fn warn(&self, text: impl Into<String>) {
        self.notes
            .borrow_mut()
            .insert(Annotation::Warning(format!("PromQL warning: {}", text.into())));
    }

    fn info(&self, text: impl Into<String>) {
        self.notes
            .borrow_mut()
            .insert(Annotation::Info(format!("PromQL info: {}", text.into())));
    }

    /// Counts columns that were just made.
    fn take_cells(&self, count: usize) -> Result<(), BudgetError> {
        self.budget.take_cells(count)
    }

    /// Evaluates a scalar or vector expression on a grid.
    pub(crate) fn eval(&self, expr: &Expr, grid: Grid) -> Result<Val, EvalError> {
        match expr {
            Expr::Number(value) => Ok(Val::Scalar(vec![*value; grid.len()])),
            Expr::String(text) => Ok(Val::Text(text.clone())),
            Expr::Selector(selector) => Ok(Val::Vector(self.instant(selector, grid)?)),
            Expr::Matrix(..) | Expr::Subquery(_) => Err(EvalError::Execution(format!(
                "a range vector cannot be used here: {expr}"
            ))),
            Expr::Negate(_) => self.negate(expr, grid),
            Expr::Binary(binary) => self.binary_chain(binary, grid),
            Expr::Aggregate(aggregate) => Ok(Val::Vector(self.aggregate(aggregate, grid)?)),
            Expr::Call(func, args) => self.call(*func, args, grid),
            Expr::AbsentOf(labels, inner) => {
                let inner = self.vector(inner, grid)?;
                Ok(Val::Vector(labels::absent(labels, &inner, grid)))
            }
            Expr::Remote(at) => self
                .remote
                .get(*at)
                .cloned()
                .map(Val::Vector)
                .ok_or_else(|| EvalError::Execution(format!("fragment {at} has no answer"))),
            Expr::Union(left, right) => {
                let mut merge = Merge::default();
                for side in [left, right] {
                    for series in self.vector(side, grid)? {
                        merge.add(series.labels, series.values)?;
                    }
                }
                Ok(Val::Vector(merge.sorted()))
            }
        }
    }

    /// Evaluates an expression whose type was checked to be an instant vector.
    pub(crate) fn vector(&self, expr: &Expr, grid: Grid) -> Result<Vec<StepSeries>, EvalError> {
        match self.eval(expr, grid)? {
            Val::Vector(series) => Ok(series),
            Val::Scalar(_) | Val::Text(_) => {
                Err(EvalError::Execution(format!("not an instant vector: {expr}")))
            }
        }
    }

    /// Evaluates an expression whose type was checked to be a scalar.
    fn scalar(&self, expr: &Expr, grid: Grid) -> Result<Vec<f64>, EvalError> {
        match self.eval(expr, grid)? {
            Val::Scalar(column) => Ok(column),
            Val::Vector(_) | Val::Text(_) => Err(EvalError::Execution(format!("not a scalar: {expr}"))),
        }
    }

    #[inline(never)]
    fn negate(&self, expr: &Expr, grid: Grid) -> Result<Val, EvalError> {
        let mut signs = 0;
        let mut inner = expr;
        while let Expr::Negate(next) = inner {
            signs += 1;
            inner = next;
        }
        match self.eval(inner, grid)? {
            Val::Scalar(mut column) => {
                if signs % 2 == 1 {
                    column.iter_mut().for_each(|value| *value = -*value);
                }
                Ok(Val::Scalar(column))
            }
            Val::Vector(series) => {
                let mut merge = Merge::default();
                for mut series in series {
                    if signs % 2 == 1 {
                        for value in series.values.iter_mut().filter(|value| !is_stale(**value)) {
                            *value = -*value;
                        }
                    }
                    merge.add(drop_name(&series.labels), series.values)?;
                }
                Ok(Val::Vector(merge.series))
            }
            Val::Text(_) => Err(EvalError::Execution(format!("not a number: {expr}"))),
        }
    }

    #[inline(never)]
    fn call(&self, func: Func, args: &[Expr], grid: Grid) -> Result<Val, EvalError> {
        if func.takes_range() {
            return Ok(Val::Vector(self.range_call(func, args, grid)?));
        }
        let arg = |at: usize| {
            args.get(at)
                .ok_or_else(|| EvalError::Execution(format!("{} misses argument {}", func.name(), at + 1)))
        };
        match func {
            Func::Time => Ok(Val::Scalar(grid.times().map(|t| t as f64 / 1_000.0).collect())),
            Func::Pi => Ok(Val::Scalar(vec![std::f64::consts::PI; grid.len()])),
            Func::Scalar => Ok(Val::Scalar(single(&self.vector(arg(0)?, grid)?, grid))),
            Func::Vector => {
                let values = self.scalar(arg(0)?, grid)?;
                Ok(Val::Vector(vec![StepSeries {
                    labels: Labels::empty(),
                    values,
                }]))
            }
            Func::Timestamp => Ok(Val::Vector(self.timestamp(arg(0)?, grid)?)),
            Func::Absent => {
                let labels = labels::absent_labels(arg(0)?);
                let inner = self.vector(arg(0)?, grid)?;
                Ok(Val::Vector(labels::absent(&labels, &inner, grid)))
            }
            Func::LabelReplace => Ok(Val::Vector(self.label_replace(args, grid)?)),
            Func::LabelJoin => Ok(Val::Vector(self.label_join(args, grid)?)),
            Func::HistogramQuantile | Func::HistogramFraction => {
                Ok(Val::Vector(self.histogram(func, args, grid)?))
            }
            Func::Sort | Func::SortDesc => {
                let mut series = self.vector(arg(0)?, grid)?;
                if grid.is_instant() {
                    sort_by_value(&mut series, func == Func::SortDesc);
                } else if !arg(0)?.is_step_invariant() {
                    self.warn(
                        "sort is ineffective for range queries since results are always ordered by labels",
                    );
                }
                Ok(Val::Vector(series))
            }
            _ => Ok(Val::Vector(self.elementwise(func, args, grid)?)),
        }
    }
}

/// Refuses a grid with more steps than can be held.
pub(crate) fn check_grid(grid: Grid) -> Result<(), EvalError> {
    let span = grid.end_ms.saturating_sub(grid.start_ms);
    if grid.step_ms > 0 && span / grid.step_ms >= MAX_STEPS {
        return Err(EvalError::Execution(format!(
            "the range has more than {MAX_STEPS} steps of {} ms; ask for a larger step or a shorter range",
            grid.step_ms
        )));
    }
    Ok(())
}

/// The value of the only series that has one, per step; NaN where none or several have.
fn single(series: &[StepSeries], grid: Grid) -> Vec<f64> {
    let mut found = vec![0_u32; grid.len()];
    let mut column = vec![f64::NAN; grid.len()];
    for series in series {
        for ((value, found), out) in series.values.iter().zip(&mut found).zip(&mut column) {
            if !is_stale(*value) {
                *found += 1;
                *out = if *found == 1 { *value } else { f64::NAN };
            }
        }
    }
    column
}

/// Sorts an instant vector by value, NaN last, ties by labels.
fn sort_by_value(series: &mut Vec<StepSeries>, descending: bool) {
    series.retain(|series| has_value(&series.values));
    let value = |series: &StepSeries| series.values.first().copied().unwrap_or(f64::NAN);
    series.sort_by(|a, b| {
        let (x, y) = (value(a), value(b));
        let order = x.is_nan().cmp(&y.is_nan());
        let by_value = if descending {
            y.partial_cmp(&x)
        } else {
            x.partial_cmp(&y)
        };
        order
            .then(by_value.unwrap_or(std::cmp::Ordering::Equal))
            .then_with(|| a.labels.cmp(&b.labels))
    });
}

/// Whether an instant answer has an order of its own, given by `sort`, `topk` or `bottomk`.
fn keeps_order(expr: &Expr) -> bool {
    match expr {
        Expr::Call(Func::Sort | Func::SortDesc, _) => true,
        Expr::Aggregate(aggregate) => {
            matches!(aggregate.op, AggregateOp::Topk | AggregateOp::Bottomk)
        }
        Expr::Negate(inner) => keeps_order(inner),
        Expr::Binary(binary) => match (binary.lhs.value_type(), binary.rhs.value_type()) {
            (ValueType::Scalar, _) => keeps_order(&binary.rhs),
            _ => keeps_order(&binary.lhs),
        },
        Expr::Call(func, args) if !func.takes_range() && *func != Func::HistogramQuantile => {
            args.first().is_some_and(keeps_order)
        }
        _ => false,
    }
}

pub(crate) fn has_value(column: &[f64]) -> bool {
    column.iter().any(|value| !is_stale(*value))
}

pub(crate) fn duplicate(labels: &Labels) -> EvalError {
    EvalError::Execution(format!(
        "vector cannot contain metrics with the same labelset: {labels} appears twice"
    ))
}

/// The labels without those that say which metric it was.
pub(crate) fn drop_name(labels: &Labels) -> Labels {
    labels.filter(|name| !is_metadata(name))
}

/// The labels Prometheus 3 counts as the metric's identity (`schema.IsMetadataLabel`).
pub(crate) fn is_metadata(name: &str) -> bool {
    matches!(name, "__name__" | "__type__" | "__unit__")
}

/// Series put together by label set. Two that share labels may not share a step.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    index: FxHashMap<Labels, usize>,
    pub(crate) series: Vec<StepSeries>,
}

impl Merge {
    /// Adds a column; an empty one is dropped.
    pub(crate) fn add(&mut self, labels: Labels, values: Vec<f64>) -> Result<(), EvalError> {
        if !has_value(&values) {
            return Ok(());
        }
        if let Some(&at) = self.index.get(&labels) {
            if let Some(known) = self.series.get_mut(at) {
                for (old, new) in known.values.iter_mut().zip(&values) {
                    if is_stale(*old) {
                        *old = *new;
                    } else if !is_stale(*new) {
                        return Err(duplicate(&labels));
                    }
                }
            }
            return Ok(());
        }
        self.index.insert(labels.clone(), self.series.len());
        self.series.push(StepSeries { labels, values });
        Ok(())
    }

    pub(crate) fn sorted(mut self) -> Vec<StepSeries> {
        self.series.sort_by(|a, b| a.labels.cmp(&b.labels));
        self.series
    }
}

/// The steps of a column that have a value, as samples.
pub(crate) fn samples_of(series: StepSeries, grid: Grid) -> SeriesData {
    let (timestamps, values): (Vec<i64>, Vec<f64>) = grid
        .times()
        .zip(series.values)
        .filter(|(_, value)| !is_stale(*value))
        .unzip();
    SeriesData {
        labels: series.labels,
        timestamps: Arc::from(timestamps),
        values: Arc::from(values),
    }
}

/// A column without any value.
pub(crate) fn absent_column(steps: usize) -> Vec<f64> {
    vec![STALE; steps]
}
