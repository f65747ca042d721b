//! The wait of jobs in the queue, pending ones censored: a Kaplan-Meier estimate with left truncation over a window.
//!
//! Of the spells that overlap `[t - W, t]`: entry age `e = max(0, t - W - eligible)`, exit age `x` = the wait, or the present
//! age where the job still waits or was cancelled. At each age `a` at which a job started: `n = #{e < a <= x}` (`e = 0`
//! counts), `d` = starts at `a`, `S(a) = prod(1 - d/n)`; the p-quantile is the least `a` with `S(a) <= 1 - p`.
//! (Kaplan and Meier 1958; Klein and Moeschberger for the truncation.)

/// A spell of waiting; seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spell {
    pub eligible: f64,
    /// When it started or was cancelled; `None` while it waits.
    pub left: Option<f64>,
    pub started: bool,
}

/// The distribution of the wait at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waits {
    /// Ages in seconds at which jobs started, rising, with the part that waits longer.
    steps: Vec<(f64, f64)>,
    pub started: usize,
    pub pending: usize,
}

impl Waits {
    pub fn estimate(spells: impl Iterator<Item = Spell>, t: f64, window: f64) -> Self {
        let from = t - window;
        let mut entries = Vec::new();
        let mut exits = Vec::new();
        let (mut started, mut pending) = (0, 0);
        for spell in spells {
            let left = spell.left.filter(|left| *left <= t);
            if spell.eligible > t || left.is_some_and(|left| left < from) {
                continue;
            }
            let begun = left.is_some() && spell.started;
            started += usize::from(begun);
            pending += usize::from(left.is_none());
            entries.push((from - spell.eligible).max(0.0));
            exits.push((left.unwrap_or(t) - spell.eligible, begun));
        }
        entries.sort_by(f64::total_cmp);
        exits.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut entered, mut gone, mut survival) = (0, 0, 1.0);
        let mut steps = Vec::new();
        while gone < exits.len() {
            let age = exits[gone].0;
            while entries
                .get(entered)
                .is_some_and(|entry| *entry < age || *entry == 0.0)
            {
                entered += 1;
            }
            let at_risk = entered - gone;
            let here = exits[gone..].iter().take_while(|exit| exit.0 == age);
            let (count, starts) = here.fold((0, 0), |(count, starts), exit| {
                (count + 1, starts + usize::from(exit.1))
            });
            if starts > 0 && at_risk > 0 {
                survival *= 1.0 - starts as f64 / at_risk as f64;
                steps.push((age, survival.max(0.0)));
            }
            gone += count;
        }
        Self {
            steps,
            started,
            pending,
        }
    }

    /// The wait that a part `p` of the jobs does not exceed, in seconds; `None` where the window does not reach it.
    pub fn quantile(&self, p: f64) -> Option<f64> {
        let reached = self
            .steps
            .iter()
            .find(|(_, survival)| *survival <= 1.0 - p + 1e-12);
        reached.map(|(age, _)| *age)
    }

    /// The part of the jobs that waits longer than that.
    pub fn longer_than(&self, seconds: f64) -> f64 {
        let before = self.steps.iter().take_while(|(age, _)| *age <= seconds).last();
        before.map_or(1.0, |(_, survival)| *survival)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(eligible: f64, wait: f64) -> Spell {
        Spell {
            eligible,
            left: Some(eligible + wait),
            started: true,
        }
    }

    #[test]
    fn without_censoring_it_is_the_quantile_of_the_waits() {
        let spells = (1..=100).map(|at| started(1_000.0, f64::from(at)));
        let waits = Waits::estimate(spells, 3_600.0, 3_600.0);
        assert_eq!(waits.quantile(0.9), Some(90.0));
        assert_eq!(waits.quantile(0.5), Some(50.0));
        assert!((waits.longer_than(75.0) - 0.25).abs() < 1e-9);
        assert_eq!((waits.started, waits.pending), (100, 0));
    }

    #[test]
    fn jobs_that_still_wait_move_it_up_and_what_is_not_reached_is_not_told() {
        let waiting = Spell {
            eligible: 0.0,
            left: None,
            started: false,
        };
        let some = (1..=50).map(|at| started(0.0, f64::from(at)));
        let spells = some.chain(std::iter::repeat_n(waiting, 50));
        let waits = Waits::estimate(spells, 3_000.0, 3_600.0);
        assert_eq!(waits.quantile(0.5), Some(50.0));
        assert_eq!(waits.quantile(0.9), None);
        assert_eq!(waits.pending, 50);
    }

    #[test]
    fn who_entered_the_window_late_is_at_risk_only_from_then_on() {
        // Entered at age 60; a start at age 10 in the window does not count it.
        let old = started(-100.0, 160.0 + 100.0);
        let young = started(20.0, 10.0);
        let waits = Waits::estimate([old, young].into_iter(), 170.0, 210.0);
        assert_eq!(waits.quantile(0.5), Some(10.0));
        assert_eq!(waits.quantile(0.99), Some(10.0), "alone at risk, so S falls to 0");
    }
}
