//! Selectors: from samples to step columns, with lookback, offset, `@` and stale markers.

use std::cell::RefCell;
use std::sync::Arc;

use podscope_model::cells::{CellSeries, Need, Resolution};
use podscope_model::sample::{Grid, SeriesData, StepSeries, is_stale};
use podscope_model::source::{Select, SourceError};

use super::{Context, absent_column, cells, has_value, samples_of};
use crate::EvalError;
use crate::ast::{At, DEFAULT_SUBQUERY_STEP_MS, Expr, Selector, Subquery};

/// The time a selector looks at, for every step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct References {
    grid: Grid,
    offset_ms: i64,
    /// The one time of all steps, when `@` gives it.
    pub(crate) fixed: Option<i64>,
}

impl References {
    pub(crate) fn new(grid: Grid, at: At, offset_ms: i64, query: Grid) -> Self {
        let fixed = match at {
            At::Step => None,
            At::Start => Some(query.start_ms),
            At::End => Some(query.end_ms),
            At::Time(ms) => Some(ms),
        };
        Self {
            grid,
            offset_ms,
            fixed: fixed.map(|ms| ms.saturating_sub(offset_ms)),
        }
    }

    pub(crate) fn at(&self, step: usize) -> i64 {
        self.fixed
            .unwrap_or_else(|| self.grid.at(step).saturating_sub(self.offset_ms))
    }

    pub(crate) fn steps(&self) -> usize {
        self.grid.len()
    }

    pub(crate) fn step_ms(&self) -> i64 {
        self.grid.step_ms
    }

    /// Whether all the times looked at are multiples of a cell.
    fn are_multiples_of(&self, cell_ms: i64) -> bool {
        let one = self.fixed.is_some() || self.steps() <= 1;
        self.first().rem_euclid(cell_ms) == 0 && (one || self.step_ms().rem_euclid(cell_ms) == 0)
    }

    fn first(&self) -> i64 {
        self.at(0)
    }

    fn last(&self) -> i64 {
        self.at(self.steps().saturating_sub(1))
    }
}

/// Moves `from` to the first index whose timestamp is after `time`, in steps that double.
#[inline]
pub(crate) fn advance(timestamps: &[i64], from: usize, time: i64) -> usize {
    let mut low = from;
    let mut stride = 1;
    while timestamps.get(low).is_some_and(|t| *t <= time) {
        // Everything up to `low` is at or before `time`.
        match timestamps.get(low + stride) {
            Some(t) if *t <= time => {
                low += stride;
                stride *= 2;
            }
            _ => {
                let end = timestamps.len().min(low + stride);
                let rest = timestamps.get(low..end).unwrap_or_default();
                return low + rest.partition_point(|t| *t <= time);
            }
        }
    }
    low
}

/// One column: for each step the index of the sample that is current, through `value`.
fn instant_column(
    series: &SeriesData,
    references: &References,
    lookback_ms: i64,
    value: impl Fn(usize) -> f64,
) -> Option<Vec<f64>> {
    let mut column = absent_column(references.steps());
    let mut next = 0;
    let mut found = false;
    for (step, out) in column.iter_mut().enumerate() {
        let time = references.at(step);
        next = advance(&series.timestamps, next, time);
        let Some(at) = next.checked_sub(1) else { continue };
        let (Some(t), Some(sample)) = (series.timestamps.get(at), series.values.get(at)) else {
            continue;
        };
        if *t > time.saturating_sub(lookback_ms) && !is_stale(*sample) {
            *out = value(at);
            found = true;
        }
    }
    found.then_some(column)
}

/// Lets an error of ours travel around the source's error type.
fn around<T>(
    sink: &mut dyn FnMut(T) -> Result<(), EvalError>,
    read: impl FnOnce(&mut dyn FnMut(T) -> Result<(), SourceError>) -> Result<(), SourceError>,
) -> Result<(), EvalError> {
    let failed = RefCell::new(None);
    let done = read(&mut |series| match sink(series) {
        Ok(()) => Ok(()),
        Err(EvalError::Budget(error)) => Err(SourceError::Budget(error)),
        Err(EvalError::Source(error)) => Err(error),
        Err(error) => {
            *failed.borrow_mut() = Some(error);
            Err(SourceError::Read {
                place: "evaluation".to_owned(),
                reason: "stopped".to_owned(),
            })
        }
    });
    match failed.into_inner() {
        Some(error) => Err(error),
        None => Ok(done?),
    }
}

impl Context<'_> {
    /// Reads every series of a selector that has samples in the window, and gives each to `sink`.
    pub(super) fn read(
        &self,
        selector: &Selector,
        references: &References,
        window_ms: i64,
        function: Option<&str>,
        sink: &mut dyn FnMut(SeriesData) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let select = Select {
            matchers: &selector.matchers,
            start_ms: references.first().saturating_sub(window_ms),
            end_ms: references.last(),
            step_ms: references.step_ms(),
            function,
        };
        around(sink, |sink| {
            self.source.select(&select, self.budget, &mut |series| {
                let bytes = size_of_val(&*series.timestamps) + size_of_val(&*series.values);
                self.budget.hold(bytes)?;
                let taken = sink(series);
                self.budget.release(bytes);
                taken
            })
        })
    }

    /// The length of the cells that answer a selector, where samples do not.
    pub(super) fn cells_for(
        &self,
        references: &References,
        window_ms: i64,
        is_range: bool,
        function: Option<&str>,
    ) -> Result<Option<i64>, EvalError> {
        let several = references.fixed.is_none() && references.steps() > 1;
        let need = Need {
            first_ms: references.first(),
            last_ms: references.last(),
            step_ms: several.then(|| references.step_ms()),
            window_ms,
            is_range,
            function,
        };
        match self.source.resolution(&need)? {
            Resolution::Samples => Ok(None),
            Resolution::Cells(cell_ms) => {
                if !need.is_aligned(cell_ms) {
                    self.info(cells::remark(cell_ms));
                }
                Ok(Some(cell_ms))
            }
        }
    }

    /// Reads the cells of every series of a selector that has some in the window, and gives each to `sink`.
    pub(super) fn read_cells(
        &self,
        selector: &Selector,
        references: &References,
        window_ms: i64,
        function: Option<&str>,
        cell_ms: i64,
        sink: &mut dyn FnMut(CellSeries) -> Result<(), EvalError>,
    ) -> Result<(), EvalError> {
        let select = Select {
            matchers: &selector.matchers,
            start_ms: references.first().saturating_sub(window_ms),
            end_ms: references.last(),
            step_ms: references.step_ms(),
            function,
        };
        let columns = cells::columns_of(function)?;
        around(sink, |sink| {
            self.source
                .select_cells(&select, cell_ms, columns, self.budget, &mut |series| {
                    self.budget.check()?;
                    sink(series)
                })
        })
    }

    fn instant_with(
        &self,
        selector: &Selector,
        references: References,
        lookback_ms: i64,
        function: Option<&str>,
        value: impl Fn(&SeriesData, usize) -> f64,
    ) -> Result<Vec<StepSeries>, EvalError> {
        let mut found: Vec<StepSeries> = Vec::new();
        let cells = self.cells_for(&references, lookback_ms, false, function)?;
        let aligned = cells.is_none_or(|cell_ms| references.are_multiples_of(cell_ms));
        let lookback_ms = match cells {
            // Between the ends of cells the last one may be up to a cell old, and nothing tells of the next.
            Some(cell_ms) if !aligned => lookback_ms.max(cell_ms.saturating_mul(2)),
            _ => lookback_ms,
        };
        let mut take = |series: SeriesData| {
            let column = instant_column(&series, &references, lookback_ms, |at| value(&series, at));
            if let Some(values) = column {
                self.budget.check_series(found.len() + 1)?;
                self.take_cells(values.len())?;
                found.push(StepSeries {
                    labels: series.labels,
                    values,
                });
            }
            Ok(())
        };
        match cells {
            None => self.read(selector, &references, lookback_ms, function, &mut take)?,
            Some(cell_ms) => {
                self.read_cells(
                    selector,
                    &references,
                    lookback_ms,
                    function,
                    cell_ms,
                    &mut |series| take(series.last_samples()),
                )?;
            }
        }
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }

    /// An instant selector.
    pub(super) fn instant(&self, selector: &Selector, grid: Grid) -> Result<Vec<StepSeries>, EvalError> {
        let references = References::new(grid, selector.at, selector.offset_ms, self.query);
        self.instant_with(selector, references, self.lookback_ms, None, |series, at| {
            series.values.get(at).copied().unwrap_or(f64::NAN)
        })
    }

    /// `timestamp()`: of a selector the samples' own times, of anything else the step's.
    pub(super) fn timestamp(&self, arg: &Expr, grid: Grid) -> Result<Vec<StepSeries>, EvalError> {
        let mut merge = super::Merge::default();
        if let Expr::Selector(selector) = arg {
            // With `@`, Prometheus reads the samples that the offset selects, but looks for one that is current without
            // the offset: the window is where the two overlap.
            let (offset_ms, lookback_ms) = match selector.at {
                At::Step => (selector.offset_ms, self.lookback_ms),
                _ => (
                    selector.offset_ms.max(0),
                    self.lookback_ms.saturating_sub(selector.offset_ms.abs()),
                ),
            };
            if lookback_ms <= 0 {
                return Ok(Vec::new());
            }
            let references = References::new(grid, selector.at, offset_ms, self.query);
            let found = self.instant_with(
                selector,
                references,
                lookback_ms,
                Some("timestamp"),
                |series, at| {
                    series
                        .timestamps
                        .get(at)
                        .map_or(f64::NAN, |t| *t as f64 / 1_000.0)
                },
            )?;
            for series in found {
                merge.add(super::drop_name(&series.labels), series.values)?;
            }
            return Ok(merge.series);
        }
        for mut series in self.vector(arg, grid)? {
            for (value, time) in series.values.iter_mut().zip(grid.times()) {
                if !is_stale(*value) {
                    *value = time as f64 / 1_000.0;
                }
            }
            merge.add(super::drop_name(&series.labels), series.values)?;
        }
        Ok(merge.series)
    }

    /// A range selector as the answer of an instant query.
    pub(super) fn raw_samples(
        &self,
        selector: &Selector,
        range_ms: i64,
        grid: Grid,
    ) -> Result<Vec<SeriesData>, EvalError> {
        let references = References::new(grid, selector.at, selector.offset_ms, self.query);
        let (start, end) = (references.first().saturating_sub(range_ms), references.first());
        // No cell stands for samples: where they are gone, this says so.
        self.cells_for(&references, range_ms, true, Some("a range of samples"))?;
        let mut found: Vec<SeriesData> = Vec::new();
        self.read(selector, &references, range_ms, None, &mut |series| {
            let (timestamps, values): (Vec<i64>, Vec<f64>) = series
                .timestamps
                .iter()
                .zip(series.values.iter())
                .filter(|&(t, value)| *t > start && *t <= end && !is_stale(*value))
                .unzip();
            if !timestamps.is_empty() {
                self.budget.check_series(found.len() + 1)?;
                self.take_cells(timestamps.len())?;
                found.push(SeriesData {
                    labels: series.labels,
                    timestamps: Arc::from(timestamps),
                    values: Arc::from(values),
                });
            }
            Ok(())
        })?;
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }

    /// A subquery as the answer of an instant query.
    pub(super) fn subquery_samples(
        &self,
        subquery: &Subquery,
        grid: Grid,
    ) -> Result<Vec<SeriesData>, EvalError> {
        let inner = subquery_grid(subquery, grid, self.query);
        super::check_grid(inner)?;
        if inner.is_empty() {
            return Ok(Vec::new());
        }
        let mut series = self.vector(&subquery.expr, inner)?;
        series.retain(|series| has_value(&series.values));
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(series
            .into_iter()
            .map(|series| samples_of(series, inner))
            .collect())
    }
}

/// The grid the inside of a subquery is evaluated on: multiples of its step that any of the windows can hold.
pub(crate) fn subquery_grid(subquery: &Subquery, grid: Grid, query: Grid) -> Grid {
    let references = References::new(grid, subquery.at, subquery.offset_ms, query);
    let step_ms = subquery.step_ms.unwrap_or(DEFAULT_SUBQUERY_STEP_MS);
    let after = references.first().saturating_sub(subquery.range_ms);
    let start_ms = (after.div_euclid(step_ms) + 1).saturating_mul(step_ms);
    Grid {
        start_ms,
        end_ms: references.last(),
        step_ms,
    }
}
