//! Deltas added up. Spectrum's histograms come as deltas unless the switch is told otherwise, and PromQL wants totals. The totals
//! begin at zero when the hub starts, which to `rate()` is a counter's reset.

use std::collections::HashMap;

use podscope_model::labels::Labels;

/// A series that is silent for so long is forgotten; its total begins anew.
const FORGET_MS: i64 = 3_600_000;

#[derive(Debug)]
struct Total {
    last_ms: i64,
    values: Vec<f64>,
}

/// Totals by series.
#[derive(Debug)]
pub(super) struct Deltas {
    totals: HashMap<Labels, Total>,
    most: usize,
}

/// Why a delta was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotAdded {
    /// It is there already, or comes after a later one.
    Late,
    /// Too many series are followed.
    TooMany,
}

impl Deltas {
    pub(super) fn new(most: usize) -> Self {
        Self {
            totals: HashMap::new(),
            most: most.max(1),
        }
    }

    /// Adds a point's values to its series; answers the totals.
    pub(super) fn add(&mut self, series: &Labels, t_ms: i64, values: &[f64]) -> Result<Vec<f64>, NotAdded> {
        if let Some(total) = self.totals.get_mut(series) {
            if t_ms <= total.last_ms {
                return Err(NotAdded::Late);
            }
            // Other buckets than before: another histogram.
            if total.values.len() != values.len() {
                total.values = vec![0.0; values.len()];
            }
            for (sum, value) in total.values.iter_mut().zip(values) {
                *sum += value;
            }
            total.last_ms = t_ms;
            return Ok(total.values.clone());
        }
        if self.totals.len() >= self.most {
            self.totals.retain(|_, total| t_ms - total.last_ms < FORGET_MS);
            if self.totals.len() >= self.most {
                return Err(NotAdded::TooMany);
            }
        }
        let total = Total {
            last_ms: t_ms,
            values: values.to_vec(),
        };
        self.totals.insert(series.clone(), total);
        Ok(values.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(name: &str) -> Labels {
        Labels::from_pairs([("interface", name)])
    }

    #[test]
    fn totals_grow_by_every_delta_once() {
        let mut deltas = Deltas::new(10);
        assert_eq!(deltas.add(&series("swp1"), 1000, &[1.0, 2.0]), Ok(vec![1.0, 2.0]));
        assert_eq!(deltas.add(&series("swp1"), 2000, &[1.0, 0.0]), Ok(vec![2.0, 2.0]));
        assert_eq!(
            deltas.add(&series("swp1"), 2000, &[1.0, 0.0]),
            Err(NotAdded::Late),
            "sent twice"
        );
        assert_eq!(deltas.add(&series("swp2"), 2000, &[5.0]), Ok(vec![5.0]));
    }

    #[test]
    fn the_number_of_series_is_bounded_and_old_ones_make_room() {
        let mut deltas = Deltas::new(2);
        for name in ["swp1", "swp2"] {
            assert!(deltas.add(&series(name), 1000, &[1.0]).is_ok());
        }
        assert_eq!(deltas.add(&series("swp3"), 2000, &[1.0]), Err(NotAdded::TooMany));
        assert!(deltas.add(&series("swp3"), 4_000_000, &[1.0]).is_ok());
    }
}
