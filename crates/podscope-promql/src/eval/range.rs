//! Functions over a range of each series: reading the samples (or a subquery's steps) and running the window over them.

use std::borrow::Cow;

use podscope_model::catalog::{self, Kind};
use podscope_model::labels::Labels;
use podscope_model::sample::{Grid, SeriesData, StepSeries, is_stale};
use rustc_hash::FxHashSet;

use super::cells::CellWindows;
use super::select::References;
use super::window::{WindowColumn, window_column};
use super::{Context, check_grid, drop_name, duplicate, labels, samples_of, subquery_grid};
use crate::EvalError;
use crate::ast::{Expr, Selector};
use crate::function::Func;

impl Context<'_> {
    /// A function with a range vector among its arguments.
    #[inline(never)]
    pub(super) fn range_call(
        &self,
        func: Func,
        args: &[Expr],
        grid: Grid,
    ) -> Result<Vec<StepSeries>, EvalError> {
        let missing = || EvalError::Execution(format!("{} has no range vector", func.name()));
        let range = args
            .iter()
            .find(|arg| matches!(arg, Expr::Matrix(..) | Expr::Subquery(_)))
            .ok_or_else(missing)?;
        let scalar = args
            .iter()
            .find(|arg| !matches!(arg, Expr::Matrix(..) | Expr::Subquery(_)))
            .map(|arg| self.scalar(arg, grid))
            .transpose()?;
        let mut run = RangeRun {
            context: self,
            func,
            grid,
            scalar: scalar.as_deref(),
            found: Vec::new(),
        };
        match range {
            Expr::Matrix(selector, range_ms) => run.matrix(selector, *range_ms)?,
            Expr::Subquery(subquery) => {
                let inner = subquery_grid(subquery, grid, self.query);
                check_grid(inner)?;
                let references = References::new(grid, subquery.at, subquery.offset_ms, self.query);
                if !inner.is_empty() {
                    for series in self.vector(&subquery.expr, inner)? {
                        run.series(samples_of(series, inner), &references, subquery.range_ms)?;
                    }
                }
            }
            _ => return Err(missing()),
        }
        let mut found = run.found;
        if func == Func::AbsentOverTime {
            return Ok(labels::absent(&labels::absent_labels(range), &found, grid));
        }
        if func == Func::QuantileOverTime {
            self.check_used_quantiles(scalar.as_deref().unwrap_or_default(), &found);
        }
        let mut seen = FxHashSet::default();
        if let Some(twice) = found.iter().find(|series| !seen.insert(&series.labels)) {
            return Err(duplicate(&twice.labels));
        }
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }

    /// Remarks on quantiles that are none, at the steps at which there is something to take them of.
    fn check_used_quantiles(&self, quantiles: &[f64], found: &[StepSeries]) {
        let used = |step: usize| {
            found
                .iter()
                .any(|series| series.values.get(step).is_some_and(|value| !is_stale(*value)))
        };
        for (step, quantile) in quantiles.iter().enumerate() {
            if !(0.0..=1.0).contains(quantile) && used(step) {
                self.check_quantiles(&[*quantile]);
            }
        }
    }

    /// Remarks on quantiles that are none.
    pub(super) fn check_quantiles(&self, quantiles: &[f64]) {
        for quantile in quantiles {
            if quantile.is_nan() || *quantile < 0.0 || *quantile > 1.0 {
                self.warn(format!(
                    "quantile value should be between 0 and 1, got {}",
                    crate::api_json::number(*quantile)
                ));
            }
        }
    }
}

struct RangeRun<'a, 'c> {
    context: &'a Context<'c>,
    func: Func,
    grid: Grid,
    scalar: Option<&'a [f64]>,
    found: Vec<StepSeries>,
}

impl RangeRun<'_, '_> {
    fn matrix(&mut self, selector: &Selector, range_ms: i64) -> Result<(), EvalError> {
        let context = self.context;
        let references = References::new(self.grid, selector.at, selector.offset_ms, context.query);
        let function = Some(self.func.name());
        if let Some(cell_ms) = context.cells_for(&references, range_ms, true, function)? {
            return context.read_cells(
                selector,
                &references,
                range_ms,
                function,
                cell_ms,
                &mut |series| {
                    let column = CellWindows {
                        func: self.func,
                        cells: &series.cells,
                        cell_ms,
                        references: &references,
                        range_ms,
                    }
                    .column();
                    match column {
                        Some(column) => self.found(series.labels, column),
                        None => Ok(()),
                    }
                },
            );
        }
        context.read(
            selector,
            &references,
            range_ms,
            Some(self.func.name()),
            &mut |series| self.series(series, &references, range_ms),
        )
    }

    fn series(
        &mut self,
        series: SeriesData,
        references: &References,
        range_ms: i64,
    ) -> Result<(), EvalError> {
        let (timestamps, values) = without_stale(&series);
        let column = window_column(&WindowColumn {
            func: self.func,
            timestamps: &timestamps,
            values: &values,
            references,
            range_ms,
            grid: self.grid,
            scalar: self.scalar,
            budget: self.context.budget,
        })?;
        match column {
            Some(column) => self.found(series.labels, column),
            None => Ok(()),
        }
    }

    /// Takes up the column of a series.
    fn found(&mut self, labels: Labels, column: Vec<f64>) -> Result<(), EvalError> {
        if matches!(self.func, Func::Rate | Func::Increase) {
            self.remark_on_name(&labels);
        }
        self.context.budget.check_series(self.found.len() + 1)?;
        self.context.take_cells(column.len())?;
        let keeps_name = matches!(self.func, Func::LastOverTime | Func::FirstOverTime);
        self.found.push(StepSeries {
            labels: if keeps_name { labels } else { drop_name(&labels) },
            values: column,
        });
        Ok(())
    }

    fn remark_on_name(&self, labels: &Labels) {
        let Some(name) = labels.metric_name() else {
            return;
        };
        // The catalog knows better than a name: counters of dcgm-exporter, and of vmstat (untyped), end otherwise.
        let known = catalog::find(name).is_some_and(|def| def.kind != Kind::Gauge);
        let named = ["_total", "_sum", "_count", "_bucket"]
            .iter()
            .any(|suffix| name.ends_with(suffix));
        if !known && !named {
            self.context.info(format!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {name:?}"
            ));
        }
    }
}

/// The samples that are not stale markers; borrowed where there are none, the usual case.
fn without_stale(series: &SeriesData) -> (Cow<'_, [i64]>, Cow<'_, [f64]>) {
    if !series.values.iter().any(|value| is_stale(*value)) {
        return (Cow::Borrowed(&series.timestamps), Cow::Borrowed(&series.values));
    }
    let (timestamps, values): (Vec<i64>, Vec<f64>) = series
        .timestamps
        .iter()
        .zip(series.values.iter())
        .filter(|(_, value)| !is_stale(**value))
        .unzip();
    (Cow::Owned(timestamps), Cow::Owned(values))
}
