//! Windows that slide over the samples of one series. Each sample is touched a constant number of times where the result
//! allows it; sums of overlapping windows are differences of prefix sums with twice the digits, and fall back to summing the
//! window where that would not be exact enough.

use std::cmp::Ordering;
use std::collections::VecDeque;

use podscope_model::sample::Grid;
use podscope_model::source::{Budget, BudgetError};

use super::absent_column;
use super::rate::{Extrapolation, Resets, linear_regression};
use super::select::{References, advance};
use crate::function::Func;
use crate::kahan::{DoubleDouble, Kahan};

/// Samples looked at between two looks at the budget: well under a millisecond of work.
const CHECK_EVERY: usize = 1 << 16;

/// What a window function gives: the column, `None` when no step has a value, or the limit that was passed on the way.
pub(crate) type Windowed = Result<Option<Vec<f64>>, BudgetError>;

/// One function over one series.
pub(crate) struct WindowColumn<'a> {
    pub(crate) func: Func,
    /// Rising, with as many `values`, none of them stale markers.
    pub(crate) timestamps: &'a [i64],
    pub(crate) values: &'a [f64],
    pub(crate) references: &'a References,
    pub(crate) range_ms: i64,
    pub(crate) grid: Grid,
    /// The scalar argument, one value per step.
    pub(crate) scalar: Option<&'a [f64]>,
    /// Asked now and then: one series alone may be minutes of work.
    pub(crate) budget: &'a Budget,
}

/// One window: the step it is for, its samples as `low..high`, its bounds in time.
#[derive(Clone, Copy)]
struct Window {
    step: usize,
    low: usize,
    high: usize,
    start: i64,
    end: i64,
}

impl Window {
    fn len(&self) -> usize {
        self.high - self.low
    }
}

impl WindowColumn<'_> {
    /// Runs `function` for each window that holds at least `least` samples. With `varies`, the function depends on the
    /// step even if the window does not.
    fn run(&self, least: usize, varies: bool, mut function: impl FnMut(Window) -> Option<f64>) -> Windowed {
        let mut column = absent_column(self.references.steps());
        let mut found = false;
        let mut unchecked = 0;
        let (mut low, mut high) = (0, 0);
        for step in 0..column.len() {
            if step > 0 && self.references.fixed.is_some() && !varies {
                if let Some(first) = column.first().copied() {
                    column.fill(first);
                }
                break;
            }
            let end = self.references.at(step);
            let start = end.saturating_sub(self.range_ms);
            low = advance(self.timestamps, low, start);
            high = advance(self.timestamps, high.max(low), end);
            unchecked += high - low + 1;
            if unchecked >= CHECK_EVERY {
                unchecked = 0;
                self.budget.check()?;
            }
            if high - low < least {
                continue;
            }
            if let (Some(value), Some(out)) = (
                function(Window {
                    step,
                    low,
                    high,
                    start,
                    end,
                }),
                column.get_mut(step),
            ) {
                *out = value;
                found = true;
            }
        }
        Ok(found.then_some(column))
    }

    fn slice(&self, window: Window) -> &[f64] {
        self.values.get(window.low..window.high).unwrap_or_default()
    }

    /// Whether consecutive windows share most of their samples.
    fn overlaps(&self) -> bool {
        self.references.fixed.is_none()
            && self.references.steps() > 1
            && self.range_ms / 4 >= self.references.step_ms()
    }

    fn scalar_at(&self, step: usize) -> f64 {
        self.scalar
            .and_then(|column| column.get(step))
            .copied()
            .unwrap_or(f64::NAN)
    }
}

/// The column of the function.
pub(crate) fn window_column(job: &WindowColumn<'_>) -> Windowed {
    let values = job.values;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    match job.func {
        Func::CountOverTime => job.run(1, false, |window| Some(window.len() as f64)),
        Func::PresentOverTime | Func::AbsentOverTime => job.run(1, false, |_| Some(1.0)),
        Func::LastOverTime => job.run(1, false, |window| Some(at(window.high - 1))),
        Func::FirstOverTime => job.run(1, false, |window| Some(at(window.low))),
        Func::MaxOverTime => extreme(job, |new, old| new > old),
        Func::MinOverTime => extreme(job, |new, old| new < old),
        Func::SumOverTime => {
            let sums = WindowSums::new(job);
            job.run(1, false, |window| Some(sums.sum(window, job)))
        }
        Func::AvgOverTime => {
            let sums = WindowSums::new(job);
            job.run(1, false, |window| Some(sums.mean(window, job)))
        }
        Func::StdvarOverTime => job.run(1, false, |window| Some(variance(job.slice(window)))),
        Func::StddevOverTime => job.run(1, false, |window| Some(variance(job.slice(window)).sqrt())),
        Func::QuantileOverTime => {
            let mut scratch = Vec::new();
            job.run(1, true, |window| {
                scratch.clear();
                scratch.extend_from_slice(job.slice(window));
                Some(quantile(job.scalar_at(window.step), &mut scratch))
            })
        }
        Func::Changes => {
            let changes = prefix_count(values, |old, new| new != old && !(new.is_nan() && old.is_nan()));
            job.run(1, false, |window| Some(between(&changes, window)))
        }
        Func::Resets => {
            let resets = prefix_count(values, |old, new| new < old);
            job.run(1, false, |window| Some(between(&resets, window)))
        }
        Func::Rate | Func::Increase | Func::Delta => {
            let is_counter = job.func != Func::Delta;
            let resets = if is_counter {
                Resets::of(values)
            } else {
                Resets::default()
            };
            let extrapolation = Extrapolation {
                timestamps: job.timestamps,
                values,
                resets: &resets,
                range_ms: job.range_ms,
                is_counter,
                is_rate: job.func == Func::Rate,
            };
            job.run(2, false, |window| {
                extrapolation.of(window.low, window.high, window.start, window.end)
            })
        }
        Func::Irate | Func::Idelta => job.run(2, false, |window| {
            let (old, new) = (at(window.high - 2), at(window.high - 1));
            let times = (
                job.timestamps.get(window.high - 2)?,
                job.timestamps.get(window.high - 1)?,
            );
            let seconds = (times.1 - times.0) as f64 / 1_000.0;
            Some(match job.func {
                Func::Irate if new < old => new / seconds,
                Func::Irate => (new - old) / seconds,
                _ => new - old,
            })
        }),
        Func::Deriv => job.run(2, false, |window| {
            let times = job.timestamps.get(window.low..window.high)?;
            Some(linear_regression(times, job.slice(window), *times.first()?).0)
        }),
        Func::PredictLinear => job.run(2, true, |window| {
            let times = job.timestamps.get(window.low..window.high)?;
            let (slope, intercept) = linear_regression(times, job.slice(window), job.grid.at(window.step));
            Some(slope * job.scalar_at(window.step) + intercept)
        }),
        _ => Ok(None),
    }
}

/// How many of the pairs up to each index satisfy `counts`.
fn prefix_count(values: &[f64], counts: impl Fn(f64, f64) -> bool) -> Vec<u32> {
    let mut count = 0;
    let mut old = values.first().copied().unwrap_or(f64::NAN);
    values
        .iter()
        .enumerate()
        .map(|(at, new)| {
            count += u32::from(at > 0 && counts(old, *new));
            old = *new;
            count
        })
        .collect()
}

fn between(counts: &[u32], window: Window) -> f64 {
    let at = |index: usize| counts.get(index).copied().unwrap_or(0);
    f64::from(at(window.high - 1) - at(window.low))
}

/// Largest or smallest value of each window; NaN only where there is nothing else.
fn extreme(job: &WindowColumn<'_>, better: impl Fn(f64, f64) -> bool) -> Windowed {
    if !job.overlaps() {
        return job.run(1, false, |window| {
            let mut values = job.slice(window).iter().copied();
            let first = values.next()?;
            Some(values.fold(first, |old, new| {
                if better(new, old) || old.is_nan() {
                    new
                } else {
                    old
                }
            }))
        });
    }
    // Indices whose values get worse from front to back: the front is the window's best.
    let mut queue: VecDeque<usize> = VecDeque::new();
    let mut pushed = 0;
    let values = job.values;
    let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
    job.run(1, false, |window| {
        for index in pushed.max(window.low)..window.high {
            let value = at(index);
            if value.is_nan() {
                continue;
            }
            while queue.back().is_some_and(|back| better(value, at(*back))) {
                queue.pop_back();
            }
            queue.push_back(index);
        }
        pushed = pushed.max(window.high);
        while queue.front().is_some_and(|front| *front < window.low) {
            queue.pop_front();
        }
        Some(queue.front().map_or(f64::NAN, |front| at(*front)))
    })
}

/// Sums of windows, through prefix sums where windows overlap and all values are finite.
struct WindowSums {
    prefix: Vec<DoubleDouble>,
    /// Differences smaller than this are not exact enough.
    floor: f64,
}

impl WindowSums {
    fn new(job: &WindowColumn<'_>) -> Self {
        let mut sums = Self {
            prefix: Vec::new(),
            floor: 0.0,
        };
        if !job.overlaps() || !job.values.iter().all(|value| value.is_finite()) {
            return sums;
        }
        sums.prefix.reserve(job.values.len() + 1);
        let mut running = DoubleDouble::default();
        let mut largest = 0.0_f64;
        sums.prefix.push(running);
        for value in job.values {
            running = running.plus(*value);
            largest = largest.max(running.high.abs());
            sums.prefix.push(running);
        }
        if largest.is_finite() && largest < f64::MAX / 4.0 {
            // 106 bits carry 31 digits: what is left after cancelling twelve is still far below 1e-12.
            sums.floor = largest * 1e-12;
        } else {
            sums.prefix.clear();
        }
        sums
    }

    fn difference(&self, window: Window) -> Option<DoubleDouble> {
        let sum = self.prefix.get(window.high)?.minus(*self.prefix.get(window.low)?);
        (sum.high.abs() > self.floor).then_some(sum)
    }

    fn sum(&self, window: Window, job: &WindowColumn<'_>) -> f64 {
        if let Some(sum) = self.difference(window) {
            return sum.high + sum.low;
        }
        let mut sum = Kahan::default();
        job.slice(window).iter().for_each(|value| sum.add(*value));
        if sum.sum.is_infinite() {
            sum.sum
        } else {
            sum.value()
        }
    }

    fn mean(&self, window: Window, job: &WindowColumn<'_>) -> f64 {
        let count = window.len() as f64;
        match self.difference(window) {
            Some(sum) => sum.high / count + sum.low / count,
            None => mean(job.slice(window)),
        }
    }
}

/// The mean: of the sum while it does not overflow, step by step afterwards.
pub(crate) fn mean(values: &[f64]) -> f64 {
    let mut mean = Mean::default();
    values.iter().for_each(|value| mean.add(*value));
    mean.value()
}

/// A mean under way.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mean {
    pub(crate) count: f64,
    /// The sum, or after an overflow the mean.
    pub(crate) sum: Kahan,
    pub(crate) incremental: bool,
}

impl Mean {
    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.sum = Kahan::new(value);
            return;
        }
        if !self.incremental {
            let mut next = self.sum;
            next.add(value);
            if !next.sum.is_infinite() {
                self.sum = next;
                return;
            }
            self.make_incremental(self.count - 1.0);
        }
        let share = (self.count - 1.0) / self.count;
        let mut next = Kahan {
            sum: share * self.sum.sum,
            compensation: share * self.sum.compensation,
        };
        next.add(value / self.count);
        self.sum = next;
    }

    /// Takes up the sum of `count` values.
    pub(crate) fn add_sum(&mut self, sum: f64, count: f64) {
        let before = self.count;
        self.count += count;
        if !self.incremental {
            let mut next = self.sum;
            next.add(sum);
            if !next.sum.is_infinite() || before == 0.0 {
                self.sum = next;
                return;
            }
            self.make_incremental(before);
        }
        let share = before / self.count;
        let mut next = Kahan {
            sum: share * self.sum.sum,
            compensation: share * self.sum.compensation,
        };
        next.add(sum / self.count);
        self.sum = next;
    }

    /// Turns a sum of `count` values into their mean.
    pub(crate) fn make_incremental(&mut self, count: f64) {
        self.incremental = true;
        self.sum.sum /= count;
        self.sum.compensation /= count;
    }

    pub(crate) fn value(self) -> f64 {
        if self.incremental {
            self.sum.value()
        } else {
            self.sum.sum / self.count + self.sum.compensation / self.count
        }
    }
}

fn variance(values: &[f64]) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, Kahan::default(), Kahan::default());
    for value in values {
        count += 1.0;
        let delta = value - mean.value();
        mean.add(delta / count);
        squares.add(delta * (value - mean.value()));
    }
    squares.value() / count
}

/// The quantile of the values, NaN counted as the smallest; reorders them.
pub(crate) fn quantile(quantile: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() || quantile.is_nan() {
        return f64::NAN;
    }
    if quantile < 0.0 {
        return f64::NEG_INFINITY;
    }
    if quantile > 1.0 {
        return f64::INFINITY;
    }
    let last = values.len() - 1;
    let rank = quantile * last as f64;
    let lower = (rank.floor().max(0.0) as usize).min(last);
    let weight = rank - rank.floor();
    let (_, low, above) = values.select_nth_unstable_by(lower, nan_first);
    let low = *low;
    let high = above.iter().copied().min_by(nan_first).unwrap_or(low);
    low * (1.0 - weight) + high * weight
}

fn nan_first(a: &f64, b: &f64) -> Ordering {
    b.is_nan()
        .cmp(&a.is_nan())
        .then(a.partial_cmp(b).unwrap_or(Ordering::Equal))
}
