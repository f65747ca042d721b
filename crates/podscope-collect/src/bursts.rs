//! One event for a thousand equal lines: the first is told at once, the others are counted and told together.

use std::collections::BTreeMap;

/// Equal findings within so many milliseconds are one burst: XID 45 was seen 11,760 times in one (NVSentinel#1748).
const WINDOW_MS: i64 = 60_000;
/// Bursts followed at the same time; beyond, everything is told.
const MOST: usize = 1024;

#[derive(Clone, Copy, Debug)]
struct Burst {
    began_ms: i64,
    last_ms: i64,
    more: u64,
}

/// A burst that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended<K> {
    pub(crate) key: K,
    pub(crate) began_ms: i64,
    pub(crate) last_ms: i64,
    /// How many came after the first.
    pub(crate) more: u64,
}

/// The bursts under way.
#[derive(Debug)]
pub(crate) struct Bursts<K>(BTreeMap<K, Burst>);

impl<K> Default for Bursts<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone> Bursts<K> {
    /// Takes in a finding; whether it is the first of its burst and so to be told.
    pub(crate) fn is_first(&mut self, key: K, at_ms: i64) -> bool {
        if let Some(burst) = self.0.get_mut(&key) {
            burst.last_ms = at_ms;
            burst.more += 1;
            return false;
        }
        if self.0.len() < MOST {
            let burst = Burst {
                began_ms: at_ms,
                last_ms: at_ms,
                more: 0,
            };
            self.0.insert(key, burst);
        }
        true
    }

    /// Forgets the bursts whose window is over; those that had more than one are answered.
    pub(crate) fn end(&mut self, now_ms: i64) -> Vec<Ended<K>> {
        let mut ended = Vec::new();
        self.0.retain(|key, burst| {
            let over = now_ms - burst.began_ms >= WINDOW_MS || now_ms < burst.began_ms;
            if over && burst.more > 0 {
                ended.push(Ended {
                    key: key.clone(),
                    began_ms: burst.began_ms,
                    last_ms: burst.last_ms,
                    more: burst.more,
                });
            }
            !over
        });
        ended
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_and_the_rest_together() {
        let mut bursts = Bursts::default();
        let told = (0..11_760).filter(|at| bursts.is_first(45, 1_000 + at)).count();
        assert_eq!(told, 1);
        assert!(bursts.end(30_000).is_empty(), "still going on");
        let ended = bursts.end(70_000);
        assert_eq!(
            (ended[0].key, ended[0].more, ended[0].last_ms),
            (45, 11_759, 12_759)
        );
        assert!(bursts.is_first(45, 80_000), "a new burst");
        assert!(bursts.end(200_000).is_empty(), "one is no burst");
    }

    #[test]
    fn different_findings_are_not_mixed_and_their_number_is_bounded() {
        let mut bursts = Bursts::default();
        for key in 0..5_000 {
            assert!(bursts.is_first(key, 0), "never lost");
        }
        assert_eq!(bursts.0.len(), MOST);
    }
}
