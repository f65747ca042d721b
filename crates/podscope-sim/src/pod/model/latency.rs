//! The distribution of the latency a node sees from issuing a read to its completion: two log-normal parts, reads answered
//! from the front ends' buffer and reads from SSD. Counted in buckets, so that nodes can be added up and quantiles taken of
//! the sum.

use std::sync::LazyLock;

/// Upper bounds in seconds: eight per octave from 64 us to 64 ms, then octaves to 8 s. The last bucket is unbounded.
pub static BOUNDS: LazyLock<Vec<f64>> = LazyLock::new(|| {
    let fine = (0..=80).map(|at| 64e-6 * 2f64.powf(f64::from(at) / 8.0));
    let coarse = (1..=7).map(|at| 64e-6 * 1_024.0 * 2f64.powi(at));
    fine.chain(coarse).collect()
});

/// Part of the reads in each bucket; sums to 1. One more entry than [`BOUNDS`].
pub type Shares = Box<[f32]>;

/// A log-normal part: its weight, median in seconds, and the logarithm's spread.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Part {
    pub weight: f64,
    pub median: f64,
    pub spread: f64,
}

impl Part {
    /// Mean in seconds.
    pub fn mean(&self) -> f64 {
        self.median * (self.spread * self.spread / 2.0).exp()
    }

    fn below(&self, seconds: f64) -> f64 {
        normal_below((seconds / self.median).ln() / self.spread)
    }
}

/// The standard normal distribution function (Abramowitz and Stegun 7.1.26, error below 1.5e-7).
fn normal_below(z: f64) -> f64 {
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let poly = ((((1.061_405_429 * t - 1.453_152_027) * t + 1.421_413_741) * t - 0.284_496_736) * t
        + 0.254_829_592)
        * t;
    let erf = 1.0 - poly * (-x * x).exp();
    if z < 0.0 {
        0.5 * (1.0 - erf)
    } else {
        0.5 * (1.0 + erf)
    }
}

/// The parts' shares of each bucket.
pub fn shares(parts: &[Part]) -> Shares {
    let mut before = 0.0;
    let mut list: Vec<f32> = BOUNDS
        .iter()
        .map(|bound| {
            let below: f64 = parts.iter().map(|part| part.weight * part.below(*bound)).sum();
            let share = (below - before).max(0.0);
            before = below;
            share as f32
        })
        .collect();
    list.push((1.0 - before).max(0.0) as f32);
    list.into()
}

/// A quantile of counts per bucket, as PromQL's `histogram_quantile` takes it: linear within the bucket.
pub fn quantile(q: f64, counts: &[f64]) -> Option<f64> {
    let total: f64 = counts.iter().sum();
    if total <= 0.0 {
        return None;
    }
    let rank = q * total;
    let mut before = 0.0;
    for (at, count) in counts.iter().enumerate() {
        if before + count >= rank && *count > 0.0 {
            let Some(upper) = BOUNDS.get(at) else {
                return BOUNDS.last().copied();
            };
            let lower = if at == 0 { 0.0 } else { BOUNDS[at - 1] };
            return Some(lower + (upper - lower) * (rank - before) / count);
        }
        before += count;
    }
    BOUNDS.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_the_buckets_are_those_of_the_distribution() {
        let part = Part {
            weight: 1.0,
            median: 0.000_4,
            spread: 0.5,
        };
        let counts: Vec<f64> = shares(&[part]).iter().map(|share| f64::from(*share)).collect();
        assert!((counts.iter().sum::<f64>() - 1.0).abs() < 1e-5);
        for (q, z) in [(0.5, 0.0), (0.9, 1.281_55), (0.99, 2.326_35)] {
            let exact = part.median * f64::exp(part.spread * z);
            let found = quantile(q, &counts).expect("not empty");
            assert!((found / exact - 1.0).abs() < 0.02, "{q}: {found} for {exact}");
        }
        assert_eq!(quantile(0.5, &[0.0; 3]), None);
    }

    #[test]
    fn there_are_eight_buckets_per_octave_from_64_us_to_64_ms() {
        assert_eq!(BOUNDS[0], 64e-6);
        assert!((BOUNDS[8] / 128e-6 - 1.0).abs() < 1e-12);
        assert!((BOUNDS[80] / 65.536e-3 - 1.0).abs() < 1e-12);
        assert!(BOUNDS.is_sorted_by(|low, high| low < high));
    }
}
