//! Compensated summation (Kahan, in Neumaier's form), as Prometheus sums.

/// A running sum with the part that rounding took away.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Kahan {
    pub(crate) sum: f64,
    pub(crate) compensation: f64,
}

impl Kahan {
    pub(crate) fn new(first: f64) -> Self {
        Self {
            sum: first,
            compensation: 0.0,
        }
    }

    #[inline]
    pub(crate) fn add(&mut self, value: f64) {
        let total = self.sum + value;
        if total.is_infinite() {
            self.compensation = 0.0;
        } else if self.sum.abs() >= value.abs() {
            self.compensation += (self.sum - total) + value;
        } else {
            self.compensation += (value - total) + self.sum;
        }
        self.sum = total;
    }

    /// The sum with its compensation.
    pub(crate) fn value(self) -> f64 {
        self.sum + self.compensation
    }
}

/// A sum of two doubles: twice the digits, for prefix sums whose differences are exact enough.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DoubleDouble {
    pub(crate) high: f64,
    pub(crate) low: f64,
}

impl DoubleDouble {
    #[inline]
    pub(crate) fn plus(self, value: f64) -> Self {
        let (high, error) = two_sum(self.high, value);
        fast_two_sum(high, self.low + error)
    }

    #[inline]
    pub(crate) fn minus(self, other: Self) -> Self {
        let (high, error) = two_sum(self.high, -other.high);
        let (low, low_error) = two_sum(self.low, -other.low);
        let sum = fast_two_sum(high, error + low);
        fast_two_sum(sum.high, sum.low + low_error)
    }
}

#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_part = sum - a;
    (sum, (a - (sum - b_part)) + (b - b_part))
}

#[inline]
fn fast_two_sum(a: f64, b: f64) -> DoubleDouble {
    let high = a + b;
    DoubleDouble {
        high,
        low: b - (high - a),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_plain_addition_loses() {
        let mut sum = Kahan::default();
        for value in [1.0, 1e100, 1.0, -1e100] {
            sum.add(value);
        }
        assert_eq!(sum.value(), 2.0);
    }

    #[test]
    fn an_overflow_forgets_the_compensation() {
        let mut sum = Kahan::new(f64::MAX);
        sum.add(f64::MAX);
        assert_eq!((sum.sum, sum.compensation), (f64::INFINITY, 0.0));
    }

    #[test]
    fn differences_of_prefix_sums_are_exact_for_small_windows() {
        let values: Vec<f64> = (0..1_000).map(|at| 1e9 / (f64::from(at) + 3.0)).collect();
        let mut prefix = vec![DoubleDouble::default()];
        for value in &values {
            let last = prefix[prefix.len() - 1];
            prefix.push(last.plus(*value));
        }
        let window = prefix[910].minus(prefix[900]);
        let direct: f64 = values[900..910].iter().sum();
        assert!((window.high - direct).abs() <= direct * 1e-15);
    }
}
