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
        let mut to_start = (first_t - start) as f64 / 1_000.0;
        let mut to_end = (end - last_t) as f64 / 1_000.0;
        let sampled = (last_t - first_t) as f64 / 1_000.0;
        let average = sampled / (high - low - 1) as f64;
        // A series that does not reach the border of the window is taken to begin or end half an interval outside its
        // samples.
        let threshold = average * 1.1;
        if to_start >= threshold {
            to_start = average / 2.0;
        }
        if self.is_counter && result > 0.0 && first >= 0.0 {
            // A counter is never negative: it began at the latest where its slope meets zero.
            let to_zero = sampled * (first / result);
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
        if self.is_rate {
            factor /= self.range_ms as f64 / 1_000.0;
        }
        Some(result * factor)
    }
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
