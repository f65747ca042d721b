//! Functions over ranges from cells instead of samples. Where windows are made of whole cells, the answers are those of the
//! samples; elsewhere a window reaches from the last whole cell before its begin to the last one before its end.

use podscope_model::cells::{Cell, CellColumns};
use podscope_model::source::SourceError;

use super::absent_column;
use super::rate::{Summed, extrapolate};
use super::select::References;
use super::window::Mean;
use crate::function::Func;
use crate::kahan::Kahan;

/// One function over the cells of one series.
pub(crate) struct CellWindows<'a> {
    pub(crate) func: Func,
    pub(crate) cells: &'a [Cell],
    pub(crate) cell_ms: i64,
    pub(crate) references: &'a References,
    pub(crate) range_ms: i64,
}

/// The columns of cells that a function needs; an instant selector has none.
pub(crate) fn columns_of(function: Option<&str>) -> Result<CellColumns, SourceError> {
    CellColumns::of_function(function).ok_or_else(|| {
        SourceError::Resolution(format!("{} has no answer from cells", function.unwrap_or("it")))
    })
}

impl CellWindows<'_> {
    /// The column of the function, or `None` when no step has a value.
    pub(crate) fn column(&self) -> Option<Vec<f64>> {
        let mut column = absent_column(self.references.steps());
        let mut found = false;
        let (mut low, mut high) = (0, 0);
        for (step, out) in column.iter_mut().enumerate() {
            let time = self.references.at(step);
            let end = self.whole(time);
            let start = self.whole(time.saturating_sub(self.range_ms));
            while self.cells.get(low).is_some_and(|cell| cell.end_ms <= start) {
                low += 1;
            }
            high = high.max(low);
            while self.cells.get(high).is_some_and(|cell| cell.end_ms <= end) {
                high += 1;
            }
            let cells = self.cells.get(low..high).unwrap_or_default();
            if let Some(value) = self.value(cells, start, end) {
                *out = value;
                found = true;
            }
        }
        found.then_some(column)
    }

    fn whole(&self, t_ms: i64) -> i64 {
        t_ms.div_euclid(self.cell_ms).saturating_mul(self.cell_ms)
    }

    fn value(&self, cells: &[Cell], start: i64, end: i64) -> Option<f64> {
        let mut cells = cells.iter().filter(|cell| cell.count > 0);
        let first = cells.next()?;
        Some(match self.func {
            Func::PresentOverTime | Func::AbsentOverTime => 1.0,
            Func::CountOverTime => {
                cells.fold(f64::from(first.count), |sum, cell| sum + f64::from(cell.count))
            }
            Func::FirstOverTime => first.first,
            Func::LastOverTime => cells.next_back().unwrap_or(first).last,
            Func::MinOverTime => cells.fold(first.min, |least, cell| cell.min.min(least)),
            Func::MaxOverTime => cells.fold(first.max, |most, cell| cell.max.max(most)),
            Func::SumOverTime => {
                let mut sum = Kahan::new(first.sum);
                cells.for_each(|cell| sum.add(cell.sum));
                if sum.sum.is_infinite() {
                    sum.sum
                } else {
                    sum.value()
                }
            }
            Func::AvgOverTime => {
                let mut mean = Mean::default();
                mean.add_sum(first.sum, f64::from(first.count));
                cells.for_each(|cell| mean.add_sum(cell.sum, f64::from(cell.count)));
                mean.value()
            }
            Func::Rate | Func::Increase | Func::Delta => {
                let mut whole = *first;
                cells.for_each(|cell| whole.then(cell));
                if whole.count < 2 {
                    return None;
                }
                let is_counter = self.func != Func::Delta;
                let mut change = whole.last - whole.first;
                if is_counter {
                    change += whole.lost;
                }
                extrapolate(&Summed {
                    change,
                    first: whole.first,
                    first_ms: whole.first_ms,
                    last_ms: whole.last_ms,
                    count: f64::from(whole.count),
                    start_ms: start,
                    end_ms: end,
                    range_ms: self.range_ms,
                    is_counter,
                    is_rate: self.func == Func::Rate,
                })
            }
            _ => return None,
        })
    }
}

/// What a query is told when its windows are not made of whole cells.
pub(crate) fn remark(cell_ms: i64) -> String {
    let cell = if cell_ms % 3_600_000 == 0 {
        "hour"
    } else {
        "minute"
    };
    format!(
        "answered from cells of one {cell}, as of the last whole {cell} before each step: samples are not kept for so long; a start, a \
         step and ranges of whole {cell}s give exact answers"
    )
}
