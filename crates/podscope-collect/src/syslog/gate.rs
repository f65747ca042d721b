//! So many lines or traps per second and sender, decided before anything is read: a sender gone wild costs a look into a table.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

/// Senders told apart; all further ones share a bucket.
const MOST_SENDERS: usize = 4096;

/// A token bucket per address.
#[derive(Debug)]
pub struct Gate {
    rate: f64,
    burst: f64,
    buckets: HashMap<IpAddr, Bucket>,
    others: Bucket,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Option<Instant>,
}

impl Bucket {
    fn admit(&mut self, rate: f64, burst: f64, now: Instant) -> bool {
        let passed = self
            .at
            .map_or(0.0, |at| now.saturating_duration_since(at).as_secs_f64());
        self.tokens = (self.tokens + passed * rate).min(burst);
        self.at = Some(now);
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        }
        admitted
    }
}

impl Gate {
    pub fn new(rate: f64, burst: f64) -> Self {
        let burst = burst.max(1.0);
        Self {
            rate,
            burst,
            buckets: HashMap::new(),
            others: Bucket {
                tokens: burst,
                at: None,
            },
        }
    }

    /// Whether a sender may say one more thing now.
    pub fn admit(&mut self, sender: IpAddr, now: Instant) -> bool {
        let (rate, burst) = (self.rate, self.burst);
        if let Some(bucket) = self.buckets.get_mut(&sender) {
            return bucket.admit(rate, burst, now);
        }
        if self.buckets.len() >= MOST_SENDERS {
            // Those that have been silent for long enough to be full again need not be remembered.
            let quiet = burst / rate.max(1e-9);
            self.buckets.retain(|_, bucket| {
                bucket
                    .at
                    .is_some_and(|at| now.saturating_duration_since(at).as_secs_f64() < quiet)
            });
            if self.buckets.len() >= MOST_SENDERS {
                return self.others.admit(rate, burst, now);
            }
        }
        let mut bucket = Bucket {
            tokens: burst,
            at: None,
        };
        let admitted = bucket.admit(rate, burst, now);
        self.buckets.insert(sender, bucket);
        admitted
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_loud_sender_does_not_silence_another() {
        let mut gate = Gate::new(10.0, 100.0);
        let start = Instant::now();
        let sender = |last| IpAddr::from([10, 0, 0, last]);
        let admitted = (0..50_000).filter(|_| gate.admit(sender(1), start)).count();
        assert_eq!(admitted, 100);
        assert!(gate.admit(sender(2), start));
        let later = start + Duration::from_secs(1);
        let admitted = (0..50_000).filter(|_| gate.admit(sender(1), later)).count();
        assert_eq!(admitted, 10);
    }

    #[test]
    fn forged_senders_do_not_take_all_memory() {
        let mut gate = Gate::new(10.0, 100.0);
        let start = Instant::now();
        for number in 0..100_000_u32 {
            gate.admit(IpAddr::from(Ipv4Addr::from(number)), start);
        }
        assert!(gate.buckets.len() <= MOST_SENDERS);
        // A quiet hour later there is room again.
        let later = start + Duration::from_secs(3600);
        assert!(gate.admit(IpAddr::from([1, 2, 3, 4]), later));
        assert!(gate.buckets.len() < MOST_SENDERS);
    }
}
