//! What the calls into the library cost, by class: which of them makes a collection slow.

use std::time::Instant;

use serde::{Deserialize, Serialize};

/// The calls of one class since they were last told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallTime {
    /// The class, as `fields` or `gpm`.
    pub call: String,
    pub calls: u64,
    /// Seconds of all of them.
    pub seconds: f64,
    /// Seconds of the longest.
    pub slowest: f64,
}

/// Measures calls.
#[derive(Debug, Default)]
pub(super) struct CallTimes(Vec<CallTime>);

impl CallTimes {
    /// Runs a call and adds its time to its class.
    pub(super) fn measure<T>(&mut self, class: &str, call: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let answer = call();
        self.add(class, began.elapsed().as_secs_f64());
        answer
    }

    fn add(&mut self, class: &str, seconds: f64) {
        match self.0.iter_mut().find(|one| one.call == class) {
            Some(one) => {
                one.calls += 1;
                one.seconds += seconds;
                one.slowest = one.slowest.max(seconds);
            }
            None => self.0.push(CallTime {
                call: class.to_owned(),
                calls: 1,
                seconds,
                slowest: seconds,
            }),
        }
    }

    /// What was measured since the last time.
    pub(super) fn take(&mut self) -> Vec<CallTime> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_one_class_are_added_up_and_forgotten_when_told() {
        let mut times = CallTimes::default();
        for seconds in [0.25, 0.5] {
            times.add("fields", seconds);
        }
        times.add("gpm", 1.0);
        let told = times.take();
        let fields = &told[0];
        assert_eq!((fields.calls, fields.seconds, fields.slowest), (2, 0.75, 0.5));
        assert_eq!(told[1].call, "gpm");
        assert!(times.take().is_empty());
        assert_eq!(times.measure("fields", || 7), 7);
        assert_eq!(times.take()[0].calls, 1);
    }
}
