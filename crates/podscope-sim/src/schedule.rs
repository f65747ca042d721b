//! How densely the past is filled: the closer to now, the denser, so that a day takes seconds and each range a panel
//! shows has enough rows for its step.
//!
//! A panel of some thousand points over the last hour has steps of 3.6 s, over six hours of 22 s, over a day of 86 s, and
//! rates need two rows in a window hardly longer than the step. So: every second for ten minutes, every 2 s up to an
//! hour, every 10 s up to six hours, every 30 s before.

/// Rows younger than this many seconds are this many seconds apart.
const DENSITY: [(i64, i64); 4] = [(600, 1), (3_600, 2), (6 * 3_600, 10), (i64::MAX, 30)];

/// A stretch of equally spaced rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stretch {
    /// Rows lie at the multiples of `step_ms` in `from_ms < t <= to_ms`.
    pub from_ms: i64,
    pub to_ms: i64,
    pub step_ms: i64,
}

impl Stretch {
    /// The times of the rows.
    pub fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let Self {
            from_ms,
            to_ms,
            step_ms,
        } = *self;
        let first = (from_ms.div_euclid(step_ms) + 1) * step_ms;
        (0..)
            .map(move |at| first + at * step_ms)
            .take_while(move |t| *t <= to_ms)
    }
}

/// The stretches that fill `backfill_ms` up to and including `now_ms`, oldest first.
pub fn stretches(now_ms: i64, backfill_ms: i64) -> Vec<Stretch> {
    let oldest = now_ms - backfill_ms;
    let mut to_ms = now_ms;
    let mut list = Vec::new();
    for (age, step) in DENSITY {
        let from_ms = now_ms.saturating_sub(age.saturating_mul(1000)).max(oldest);
        if from_ms < to_ms {
            list.push(Stretch {
                from_ms,
                to_ms,
                step_ms: step * 1000,
            });
            to_ms = from_ms;
        }
    }
    list.reverse();
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_123_000;

    #[test]
    fn a_day_is_filled_without_overlap_denser_towards_now() {
        let list = stretches(NOW, 24 * 3_600_000);
        let steps: Vec<i64> = list.iter().map(|stretch| stretch.step_ms).collect();
        assert_eq!(steps, [30_000, 10_000, 2_000, 1_000]);
        let times: Vec<i64> = list.iter().flat_map(Stretch::times).collect();
        assert!(times.is_sorted_by(|a, b| a < b));
        assert_eq!(times.last(), Some(&NOW));
        assert!(times[0] - (NOW - 24 * 3_600_000) <= 30_000);
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 30_000));
        assert!((5_000..7_000).contains(&times.len()), "{} rows", times.len());
    }

    #[test]
    fn a_short_past_is_dense_throughout() {
        let list = stretches(NOW, 60_000);
        assert_eq!(
            list,
            [Stretch {
                from_ms: NOW - 60_000,
                to_ms: NOW,
                step_ms: 1_000
            }]
        );
        assert_eq!(list[0].times().count(), 60);
    }
}
