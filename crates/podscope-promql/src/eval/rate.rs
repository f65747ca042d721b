//! Rates of counters and slopes of gauges, as Prometheus 3 extrapolates them.

use crate::kahan::Kahan;

/// Where a counter fell, with the value it fell from.
#[derive(Debug, Default)]
pub(crate) struct Resets(Vec<(usize, f64)>);

impl Resets {
    pub(crate) fn of(values: &[f64]) -> Self {
        Self(
            values
                .windows(2)
                .enumerate()
                .filter_map(|(at, pair)| match pair {
                    [old, new] if new < old => Some((at + 1, *old)),
                    _ => None,
                })
                .collect(),
        )
    }

    /// Adds what was lost in the resets inside `low..high`, the first sample excepted.
    fn add_lost(&self, low: usize, high: usize, mut sum: f64) -> f64 {
        let from = self.0.partition_point(|(at, _)| *at <= low);
        for (_, lost) in self
            .0
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(|(at, _)| *at < high)
        {
            sum += lost;
        }
        sum
    }
}

/// `rate`, `increase` and `delta` over the windows of one series.
pub(crate) struct Extrapolation<'a> {
    pub(crate) timestamps: &'a [i64],
    pub(crate) values: &'a [f64],
    pub(crate) resets: &'a Resets,
    pub(crate) range_ms: i64,
    pub(crate) is_counter: bool,
    pub(crate) is_rate: bool,
}

impl Extrapolation<'_> {
    /// The value for the samples `low..high`, at least two, in the window `start < t <= end`.
    pub(crate) fn of(&self, low: usize, high: usize, start: i64, end: i64) -> Option<f64> {
        let (first_t, last_t) = (*self.timestamps.get(low)?, *self.timestamps.get(high - 1)?);
        let (first, last) = (*self.values.get(low)?, *self.values.get(high - 1)?);
        let mut result = last - first;
        if self.is_counter {
            result = self.resets.add_lost(low, high, result);
        }
        Some(extrapolate(&Summed {
            change: result,
            first,
            first_ms: first_t,
            last_ms: last_t,
            count: (high - low) as f64,
            start_ms: start,
            end_ms: end,
            range_ms: self.range_ms,
            is_counter: self.is_counter,
            is_rate: self.is_rate,
        }))
    }
}

/// What extrapolation needs to know of the samples in a window.
pub(crate) struct Summed {
    /// From the first to the last sample, with what a counter lost in resets.
    pub(crate) change: f64,
    pub(crate) first: f64,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    /// Samples, at least two.
    pub(crate) count: f64,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) range_ms: i64,
    pub(crate) is_counter: bool,
    pub(crate) is_rate: bool,
}

/// The change over the whole window `start_ms < t <= end_ms`.
pub(crate) fn extrapolate(of: &Summed) -> f64 {
    let mut to_start = (of.first_ms - of.start_ms) as f64 / 1_000.0;
    let mut to_end = (of.end_ms - of.last_ms) as f64 / 1_000.0;
    let sampled = (of.last_ms - of.first_ms) as f64 / 1_000.0;
    let average = sampled / (of.count - 1.0);
    // A series that does not reach the border of the window is taken to begin or end half an interval outside its
    // samples.
    let threshold = average * 1.1;
    if to_start >= threshold {
        to_start = average / 2.0;
    }
    if of.is_counter && of.change > 0.0 && of.first >= 0.0 {
        // A counter is never negative: it began at the latest where its slope meets zero.
        let to_zero = sampled * (of.first / of.change);
        if to_zero < to_start {
            to_start = to_zero;
        }
    }
    if to_end >= threshold {
        to_end = average / 2.0;
    }
    let mut factor = if sampled == 0.0 {
        1.0
    } else {
        (sampled + to_start + to_end) / sampled
    };
    if of.is_rate {
        factor /= of.range_ms as f64 / 1_000.0;
    }
    of.change * factor
}

/// Slope per second and value at `intercept_ms` of the least-squares line.
pub(crate) fn linear_regression(times: &[i64], values: &[f64], intercept_ms: i64) -> (f64, f64) {
    let Some(first) = values.first().copied() else {
        return (f64::NAN, f64::NAN);
    };
    let mut constant = true;
    let mut n = 0.0;
    let (mut x_sum, mut y_sum) = (Kahan::default(), Kahan::default());
    let (mut xy_sum, mut x2_sum) = (Kahan::default(), Kahan::default());
    for (at, (t, y)) in times.iter().zip(values).enumerate() {
        if at > 0 && *y != first {
            constant = false;
        }
        n += 1.0;
        let x = (t - intercept_ms) as f64 / 1e3;
        x_sum.add(x);
        y_sum.add(*y);
        xy_sum.add(x * y);
        x2_sum.add(x * x);
    }
    if constant {
        return if first.is_infinite() {
            (f64::NAN, f64::NAN)
        } else {
            (0.0, first)
        };
    }
    let (x, y, xy, x2) = (x_sum.value(), y_sum.value(), xy_sum.value(), x2_sum.value());
    let slope = (xy - x * y / n) / (x2 - x * x / n);
    (slope, y / n - slope * x / n)
}
