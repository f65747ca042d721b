//! What is done to the pod, and what people write about it. The causes are all that is scripted; times are seconds since
//! the midnight that begins the day of the incident.

use super::physics::Causes;

const fn clock(hours: i64, minutes: i64) -> f64 {
    (hours * 3_600 + minutes * 60) as f64
}

/// Two spines of fabric `a` are replaced, one after the other, on the day before.
pub const SPINES_REPLACED: f64 = clock(16, 26) - 86_400.0;
/// Each is out for so long.
pub const SPINE_OUT: f64 = 11.0 * 60.0;
/// Aggressive prefetch is switched on, front end by front end.
pub const PREFETCH_ON: f64 = clock(6, 26);
/// When the incident was noticed.
pub const ONSET: f64 = clock(8, 26);
/// Aggressive prefetch is switched off.
pub const ROLLBACK: f64 = clock(9, 41);
/// The present of a scenario that ends now: two hours and a quarter into the incident.
pub const PRESENT: f64 = clock(10, 40);
/// Where the model begins: six hours before the oldest history, so that the queue has found its level.
pub const BEGIN: f64 = clock(4, 40) - 86_400.0;
/// Seconds from one front end to the next when a setting is rolled out.
pub const ROLLOUT: f64 = 8.0;

/// What can be left out of the scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The spines' replacement.
    Spines,
    /// Aggressive prefetch.
    Prefetch,
    /// Its rollback.
    Rollback,
}

impl std::str::FromStr for Cause {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "spines" => Ok(Self::Spines),
            "prefetch" => Ok(Self::Prefetch),
            "rollback" => Ok(Self::Rollback),
            other => Err(format!(
                "the scenario has no cause {other:?}; it has spines, prefetch and rollback"
            )),
        }
    }
}

/// Which causes act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    pub without: Vec<Cause>,
}

impl Story {
    fn has(&self, cause: Cause) -> bool {
        !self.without.contains(&cause)
    }

    /// Whether aggressive prefetch is on at a front end.
    pub fn prefetch(&self, cnode: usize, at: f64) -> bool {
        let reached = |since: f64| at >= since + cnode as f64 * ROLLOUT;
        self.has(Cause::Prefetch) && reached(PREFETCH_ON) && !(self.has(Cause::Rollback) && reached(ROLLBACK))
    }

    /// The spine of fabric `a` that is out, counted from 1.
    pub fn spine_out(&self, at: f64) -> Option<usize> {
        let into = at - SPINES_REPLACED;
        // The second follows when the first carries traffic again.
        let (second, gap) = (SPINE_OUT + 240.0, SPINE_OUT);
        if !self.has(Cause::Spines) {
            None
        } else if (0.0..gap).contains(&into) {
            Some(2)
        } else if (second..second + gap).contains(&into) {
            Some(3)
        } else {
            None
        }
    }

    pub(crate) fn causes(&self, cnodes: usize, at: f64) -> Causes {
        let on = (0..cnodes).filter(|cnode| self.prefetch(*cnode, at)).count();
        Causes {
            prefetch: on as f64 / cnodes.max(1) as f64,
            // One of four spines of one of two fabrics.
            uplinks: if self.spine_out(at).is_some() { 0.875 } else { 1.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefetch_is_on_between_change_and_rollback_and_a_cause_can_be_left_out() {
        let all = Story::default();
        assert!(!all.prefetch(0, PREFETCH_ON - 1.0) && all.prefetch(0, PREFETCH_ON));
        assert!(!all.prefetch(15, PREFETCH_ON + 100.0) && all.prefetch(15, PREFETCH_ON + 130.0));
        assert!(!all.prefetch(0, ROLLBACK));
        let without = |cause| Story { without: vec![cause] };
        assert!(!without(Cause::Prefetch).prefetch(0, ONSET));
        assert!(without(Cause::Rollback).prefetch(0, PRESENT));
        assert_eq!(all.spine_out(SPINES_REPLACED + 60.0), Some(2));
        assert_eq!(all.spine_out(SPINES_REPLACED + 1_000.0), Some(3));
        assert_eq!(without(Cause::Spines).spine_out(SPINES_REPLACED + 60.0), None);
        assert!("prefetchh".parse::<Cause>().is_err());
    }
}
