//! Cells: the samples of a minute or an hour summed up, and the question which resolution serves a query.
//!
//! A cell stands for the samples with `end - cell < t <= end`, open on the left like PromQL's windows: a window whose borders are
//! ends of cells is made of whole cells, and answers from them are those from the samples.

use crate::labels::Labels;
use crate::sample::{STALE, SeriesData, is_stale};

/// What the samples of one series in one cell amount to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    pub end_ms: i64,
    /// Samples; 0: the cell says only that the series had ended ([`Cell::ended_ms`]).
    pub count: u32,
    pub sum: f64,
    /// NaN only where all samples are.
    pub min: f64,
    pub max: f64,
    pub first: f64,
    pub last: f64,
    /// The values from which a counter fell within the cell, added up: its increase is `last - first + lost`.
    pub lost: f64,
    /// Times of the first and the last sample.
    pub first_ms: i64,
    pub last_ms: i64,
    /// From then on the series was missing from the rows of its stream.
    pub ended_ms: Option<i64>,
}

impl Cell {
    /// A cell without samples, for a series that is missing since `at_ms`.
    pub fn ended(end_ms: i64, at_ms: i64) -> Self {
        Self {
            end_ms,
            count: 0,
            sum: 0.0,
            min: f64::NAN,
            max: f64::NAN,
            first: f64::NAN,
            last: f64::NAN,
            lost: 0.0,
            first_ms: at_ms,
            last_ms: at_ms,
            ended_ms: Some(at_ms),
        }
    }

    /// Sums up the samples of a cell, stale markers among them; `None` where there are none.
    pub fn of(end_ms: i64, times: &[i64], values: &[f64]) -> Option<Self> {
        let mut cell: Option<Self> = None;
        let mut compensation = 0.0;
        for (&t_ms, &value) in times.iter().zip(values) {
            if is_stale(value) {
                match &mut cell {
                    Some(cell) if cell.ended_ms.is_none() => cell.ended_ms = Some(t_ms),
                    Some(_) => {}
                    None => cell = Some(Self::ended(end_ms, t_ms)),
                }
                continue;
            }
            let Some(cell) = cell.as_mut().filter(|cell| cell.count > 0) else {
                cell = Some(Self {
                    end_ms,
                    count: 1,
                    sum: value,
                    min: value,
                    max: value,
                    first: value,
                    last: value,
                    lost: 0.0,
                    first_ms: t_ms,
                    last_ms: t_ms,
                    ended_ms: None,
                });
                continue;
            };
            cell.count += 1;
            // Neumaier's sum: what is rounded off is added at the end.
            let sum = cell.sum + value;
            if sum.is_finite() {
                compensation += if cell.sum.abs() >= value.abs() {
                    cell.sum - sum + value
                } else {
                    value - sum + cell.sum
                };
            }
            cell.sum = sum;
            cell.min = value.min(cell.min);
            cell.max = value.max(cell.max);
            if value < cell.last {
                cell.lost += cell.last;
            }
            (cell.last, cell.last_ms, cell.ended_ms) = (value, t_ms, None);
        }
        if let Some(cell) = &mut cell {
            cell.sum += compensation;
        }
        cell
    }

    /// Takes up a cell that follows this one; the end becomes the later one's.
    pub fn then(&mut self, next: &Self) {
        let end_ms = self.end_ms.max(next.end_ms);
        if next.count == 0 {
            if self.count > 0 && next.ended_ms > Some(self.last_ms) {
                self.ended_ms = self.ended_ms.or(next.ended_ms);
            }
        } else if self.count == 0 {
            *self = *next;
        } else {
            self.count = self.count.saturating_add(next.count);
            self.sum += next.sum;
            self.min = next.min.min(self.min);
            self.max = next.max.max(self.max);
            self.lost += next.lost;
            if next.first < self.last {
                self.lost += self.last;
            }
            (self.last, self.last_ms, self.ended_ms) = (next.last, next.last_ms, next.ended_ms);
        }
        self.end_ms = end_ms;
    }
}

/// The cells of one series, oldest first, each end once.
#[derive(Clone, Debug)]
pub struct CellSeries {
    pub labels: Labels,
    pub cells: Vec<Cell>,
}

impl CellSeries {
    /// The last sample of each cell, and a stale marker where the series ended: what an instant selector needs. At the ends of
    /// cells it answers as the samples themselves would.
    pub fn last_samples(&self) -> SeriesData {
        let mut samples: Vec<(i64, f64)> = Vec::with_capacity(self.cells.len());
        for cell in &self.cells {
            if cell.count > 0 {
                samples.push((cell.last_ms, cell.last));
            }
            if let Some(ended_ms) = cell.ended_ms
                && samples.last().is_some_and(|(t_ms, _)| *t_ms < ended_ms)
            {
                samples.push((ended_ms, STALE));
            }
        }
        let (timestamps, values): (Vec<i64>, Vec<f64>) = samples.into_iter().unzip();
        SeriesData {
            labels: self.labels.clone(),
            timestamps: timestamps.into(),
            values: values.into(),
        }
    }
}

/// Which columns of a cell a question needs; the others may be left undefined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CellColumns {
    pub first: bool,
    pub last: bool,
    pub min: bool,
    pub max: bool,
    pub sum: bool,
    pub lost: bool,
}

impl CellColumns {
    pub const ALL: Self = Self {
        first: true,
        last: true,
        min: true,
        max: true,
        sum: true,
        lost: true,
    };

    /// What a function over a range, or an instant selector (`None`), needs of the cells; `None` for a function that cannot be
    /// answered from them.
    pub fn of_function(function: Option<&str>) -> Option<Self> {
        let mut columns = Self::default();
        match function {
            None | Some("timestamp" | "last_over_time") => columns.last = true,
            Some("first_over_time") => columns.first = true,
            Some("min_over_time") => columns.min = true,
            Some("max_over_time") => columns.max = true,
            Some("sum_over_time" | "avg_over_time") => columns.sum = true,
            Some("count_over_time" | "present_over_time" | "absent_over_time") => {}
            Some("rate" | "increase" | "delta") => {
                (columns.first, columns.last, columns.lost) = (true, true, true);
            }
            Some(_) => return None,
        }
        Some(columns)
    }
}

/// What a query wants to know of a selector, so that the store can say at which resolution.
#[derive(Clone, Copy, Debug)]
pub struct Need<'a> {
    /// The times looked at: `first_ms`, `first_ms + step_ms`, ... `last_ms`; one time has no step.
    pub first_ms: i64,
    pub last_ms: i64,
    pub step_ms: Option<i64>,
    /// How far back from each of them: the range, or the lookback of an instant selector.
    pub window_ms: i64,
    /// Whether it is a range, which the cells have to fill, and not an instant selector's lookback.
    pub is_range: bool,
    pub function: Option<&'a str>,
}

impl Need<'_> {
    /// Whether cells of this length may answer: windows and step span at least two of them, and the function has a column.
    pub fn allows(&self, cell_ms: i64) -> bool {
        let long = |ms: i64| ms >= cell_ms.saturating_mul(2);
        CellColumns::of_function(self.function).is_some()
            && self.step_ms.is_none_or(long)
            && (!self.is_range || long(self.window_ms))
    }

    /// Whether all windows begin and end with a cell, so that the answer is the very one the samples give.
    pub fn is_aligned(&self, cell_ms: i64) -> bool {
        let whole = |ms: i64| ms.rem_euclid(cell_ms) == 0;
        whole(self.first_ms)
            && (self.first_ms == self.last_ms || self.step_ms.is_none_or(whole))
            && (!self.is_range || whole(self.window_ms))
    }
}

/// At which resolution a store answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resolution {
    Samples,
    Cells(i64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_halves_put_together_are_the_whole() {
        let times: Vec<i64> = (1..=60).map(|t| t * 1000).collect();
        let values: Vec<f64> = (1..=60).map(|t| f64::from(t % 17) + 0.25).collect();
        let whole = Cell::of(60_000, &times, &values).expect("samples");
        for cut in 1..59 {
            let mut half = Cell::of(30_000, &times[..cut], &values[..cut]).expect("samples");
            half.then(&Cell::of(60_000, &times[cut..], &values[cut..]).expect("samples"));
            assert_eq!(half, whole, "cut at {cut}");
        }
        // It fell from 16.25 three times.
        assert_eq!(whole.lost, 3.0 * 16.25);
        assert_eq!((whole.count, whole.min, whole.max), (60, 0.25, 16.25));
    }

    #[test]
    fn a_series_that_ends_within_a_cell_says_when() {
        let ended = Cell::of(9, &[1, 2, 3, 4], &[1.0, 2.0, STALE, STALE]).expect("samples");
        assert_eq!((ended.count, ended.last_ms, ended.ended_ms), (2, 2, Some(3)));
        let back = Cell::of(9, &[1, 2, 3], &[1.0, STALE, 5.0]).expect("samples");
        assert_eq!((back.count, back.last, back.ended_ms), (2, 5.0, None));
        let gone = Cell::of(9, &[4], &[STALE]).expect("a marker");
        assert_eq!((gone.count, gone.ended_ms), (0, Some(4)));
        assert_eq!(Cell::of(9, &[], &[]), None);
    }

    #[test]
    fn functions_without_a_column_are_not_answered_from_cells() {
        for function in [
            "quantile_over_time",
            "stddev_over_time",
            "changes",
            "resets",
            "deriv",
            "irate",
        ] {
            assert_eq!(CellColumns::of_function(Some(function)), None, "{function}");
        }
        let need = Need {
            first_ms: 0,
            last_ms: 600_000,
            step_ms: Some(120_000),
            window_ms: 120_000,
            is_range: true,
            function: Some("rate"),
        };
        assert!(need.allows(60_000) && need.is_aligned(60_000));
        assert!(!need.allows(60_001) && !need.allows(3_600_000));
        assert!(!Need { first_ms: 1, ..need }.is_aligned(60_000));
        assert!(
            !Need {
                window_ms: 90_000,
                ..need
            }
            .allows(60_000)
        );
        assert!(
            Need {
                window_ms: 90_000,
                is_range: false,
                ..need
            }
            .allows(60_000)
        );
    }
}
