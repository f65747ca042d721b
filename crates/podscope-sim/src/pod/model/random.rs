//! A stream of random numbers, each stream its own: what one part of the model draws never shifts what another draws.

use crate::noise::hash;

#[derive(Clone, Debug)]
pub(crate) struct Random {
    seed: u64,
    stream: u64,
    drawn: u64,
}

impl Random {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        Self {
            seed,
            stream,
            drawn: 0,
        }
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.drawn += 1;
        hash(self.seed, self.stream, self.drawn)
    }

    /// Evenly in `0.0..1.0`.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Exponential with that mean.
    pub(crate) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// Standard normal (Box-Muller).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// Log-normal with that mean and spread of the logarithm.
    pub(crate) fn log_normal(&mut self, mean: f64, spread: f64) -> f64 {
        (mean.ln() - spread * spread / 2.0 + spread * self.normal()).exp()
    }

    /// An index, by weight.
    pub(crate) fn choose(&mut self, weights: impl Iterator<Item = f64> + Clone) -> usize {
        let mut left = self.unit() * weights.clone().sum::<f64>();
        let mut last = 0;
        for (at, weight) in weights.enumerate() {
            last = at;
            left -= weight;
            if left < 0.0 {
                break;
            }
        }
        last
    }
}
