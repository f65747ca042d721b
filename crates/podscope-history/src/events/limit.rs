//! So many events per second and source, so that one chatty log cannot push everything else out.

use rustc_hash::FxHashMap;

/// Sources told apart; all further ones share a bucket.
const MAX_SOURCES: usize = 256;
const OTHERS: &str = "(others)";

/// A token bucket per source.
#[derive(Debug)]
pub(super) struct Limiter {
    rate: f64,
    burst: f64,
    buckets: FxHashMap<String, (f64, i64)>,
}

impl Limiter {
    pub(super) fn new(rate: f64, burst: f64) -> Self {
        Self {
            rate,
            burst: burst.max(1.0),
            buckets: FxHashMap::default(),
        }
    }

    /// Whether a source may add one more now. Answers under which name it is counted when it may not.
    pub(super) fn admit(&mut self, source: &str, now_ms: i64) -> Result<(), String> {
        let name = match self.buckets.contains_key(source) || self.buckets.len() < MAX_SOURCES {
            true => source,
            false => OTHERS,
        };
        let (tokens, at) = self
            .buckets
            .entry(name.to_owned())
            .or_insert((self.burst, now_ms));
        // A clock that was set back gives nothing and takes nothing.
        let passed = now_ms.saturating_sub(*at).max(0) as f64 / 1000.0;
        *tokens = (*tokens + passed * self.rate).min(self.burst);
        *at = now_ms;
        if *tokens < 1.0 {
            return Err(name.to_owned());
        }
        *tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_taken_then_the_rate_and_every_source_has_its_own() {
        let mut limiter = Limiter::new(2.0, 3.0);
        let admitted = |limiter: &mut Limiter, source: &str, now_ms| {
            (0..10).filter(|_| limiter.admit(source, now_ms).is_ok()).count()
        };
        assert_eq!(admitted(&mut limiter, "a", 0), 3);
        assert_eq!(admitted(&mut limiter, "b", 0), 3);
        assert_eq!(admitted(&mut limiter, "a", 1000), 2);
        assert_eq!(admitted(&mut limiter, "a", 0), 0, "the clock was set back");
        assert_eq!(admitted(&mut limiter, "a", 3_600_000), 3);
    }

    #[test]
    fn the_number_of_sources_is_bounded() {
        let mut limiter = Limiter::new(1.0, 1.0);
        for at in 0..1000 {
            let _ignored = limiter.admit(&format!("s{at}"), 0);
        }
        assert!(limiter.buckets.len() <= MAX_SOURCES + 1);
        assert_eq!(limiter.admit("one more", 0), Err(OTHERS.to_owned()));
    }
}
