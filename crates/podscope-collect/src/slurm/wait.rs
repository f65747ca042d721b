//! How long jobs wait, those that still wait included.
//!
//! A job that waits has not told yet how long it will wait, and leaving it out makes an incident look half as bad as it is.
//! So waits are estimated as survival times (Kaplan and Meier, 1958) with late entry (Klein and Moeschberger, *Survival
//! Analysis*, 2003, 4.6): the spells that overlap the window `[t - W, t]` count from the age they had when it opened, and a
//! job that still waits, or was cancelled, counts up to that age.
//!
//! ```text
//! e = max(0, t - W - eligible)        age at which the window found the job
//! x = wait, or age when last seen     age at which it left
//! n(a) = jobs with e < a <= x, or e = 0 and a <= x
//! d(a) = starts at age a
//! S(a) = product over b <= a of 1 - d(b)/n(b)
//! q(p) = least a with S(a) <= 1 - p
//! ```

/// What became of a job's wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Started,
    /// It still waits.
    Waiting,
    /// It was cancelled, or is held back by something else.
    Left,
}

/// One job's wait, seen through the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observed {
    /// Age in seconds when the window opened, 0 for a job that came later.
    pub entry: f64,
    /// Age in seconds at its start, or when it was last seen waiting.
    pub exit: f64,
    pub fate: Fate,
    /// Jobs it stands for, or GPUs.
    pub weight: f64,
}

/// A quantile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Quantile {
    /// Seconds.
    Known(f64),
    /// More jobs wait than would have to start; at least so many seconds.
    AtLeast(f64),
}

/// The estimate of one group of jobs.
#[derive(Clone, Debug, Default)]
pub struct Waits {
    /// Ages at which jobs started, rising, with the share that waits longer.
    steps: Vec<(f64, f64)>,
    /// Waits of the started and ages of the waiting, rising, with their weights summed up.
    ages: Vec<(f64, f64)>,
    oldest: f64,
}

impl Waits {
    /// Estimates; the order of `observed` does not matter.
    pub fn of(observed: &[Observed]) -> Self {
        let valid = |one: &&Observed| {
            one.weight > 0.0 && one.exit >= one.entry && one.entry >= 0.0 && one.exit.is_finite()
        };
        let observed: Vec<&Observed> = observed.iter().filter(valid).collect();
        // What left at the very age it was found at was never at risk.
        let seen = |one: &&&Observed| one.exit > one.entry || one.entry == 0.0;
        let mut exits: Vec<&Observed> = observed.iter().filter(seen).copied().collect();
        exits.sort_unstable_by(|a, b| a.exit.total_cmp(&b.exit));
        let mut entries: Vec<(f64, f64)> = exits.iter().map(|one| (one.entry, one.weight)).collect();
        entries.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));

        let mut steps = Vec::new();
        let (mut survival, mut entered, mut left) = (1.0_f64, 0.0_f64, 0.0_f64);
        let (mut next_entry, mut at) = (0, 0);
        while at < exits.len() {
            let age = exits[at].exit;
            while let Some((entry, weight)) = entries.get(next_entry)
                && (*entry < age || *entry == 0.0)
            {
                entered += weight;
                next_entry += 1;
            }
            let (mut starts, mut leaving) = (0.0, 0.0);
            while let Some(one) = exits.get(at)
                && one.exit == age
            {
                leaving += one.weight;
                if one.fate == Fate::Started {
                    starts += one.weight;
                }
                at += 1;
            }
            let at_risk = entered - left;
            if starts > 0.0 && at_risk > 0.0 {
                survival *= (1.0 - starts / at_risk).max(0.0);
                // What is left of a subtraction of sums is no job.
                if survival < 1e-12 {
                    survival = 0.0;
                }
                steps.push((age, survival));
            }
            left += leaving;
        }

        let mut known: Vec<&Observed> = observed
            .iter()
            .filter(|one| one.fate != Fate::Left)
            .copied()
            .collect();
        known.sort_unstable_by(|a, b| a.exit.total_cmp(&b.exit));
        let mut sum = 0.0;
        let ages: Vec<(f64, f64)> = known
            .iter()
            .map(|one| {
                sum += one.weight;
                (one.exit, sum)
            })
            .collect();
        let oldest = observed.iter().map(|one| one.exit).fold(0.0, f64::max);
        Self { steps, ages, oldest }
    }

    /// Share of the jobs that wait longer than `age`; absent when nothing is known of waits that long: nobody started, and
    /// nobody has waited so long.
    pub fn longer_than(&self, age: f64) -> Option<f64> {
        if (self.ages.is_empty() && self.steps.is_empty()) || (self.steps.is_empty() && self.oldest < age) {
            return None;
        }
        let after = self.steps.partition_point(|(at, _)| *at <= age);
        Some(after.checked_sub(1).map_or(1.0, |at| self.steps[at].1))
    }

    /// The wait that the share `p` of the jobs does not exceed; absent when there are no jobs.
    pub fn quantile(&self, p: f64) -> Option<Quantile> {
        // 1 - 0.9 is a hair less than 0.1, and a tenth of ten is one.
        let wanted = 1.0 - p + 1e-9;
        let known = self.steps.iter().find(|(_, survival)| *survival <= wanted);
        if let Some((age, _)) = known {
            return Some(Quantile::Known(*age));
        }
        let total = self.ages.last()?.1;
        let at = self
            .ages
            .partition_point(|(_, sum)| *sum + total * 1e-9 < p * total)
            .min(self.ages.len() - 1);
        Some(Quantile::AtLeast(self.ages[at].0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started(entry: f64, exit: f64) -> Observed {
        Observed {
            entry,
            exit,
            fate: Fate::Started,
            weight: 1.0,
        }
    }

    fn waiting(entry: f64, exit: f64) -> Observed {
        Observed {
            fate: Fate::Waiting,
            ..started(entry, exit)
        }
    }

    #[test]
    fn without_waiting_jobs_the_quantiles_are_those_of_the_starts() {
        let waits = Waits::of(
            &(1..=10)
                .map(|wait| started(0.0, f64::from(wait)))
                .collect::<Vec<_>>(),
        );
        assert_eq!(waits.quantile(0.5), Some(Quantile::Known(5.0)));
        assert_eq!(waits.quantile(0.9), Some(Quantile::Known(9.0)));
        assert_eq!(waits.quantile(0.99), Some(Quantile::Known(10.0)));
        assert_eq!(waits.longer_than(0.5), Some(1.0));
        assert!((waits.longer_than(7.0).expect("known") - 0.3).abs() < 1e-12);
        assert_eq!(waits.longer_than(10.0), Some(0.0));
    }

    /// The leukaemia remission times of Freireich and others (1963), the textbook case: 6-MP arm, weeks.
    #[test]
    fn the_textbook_case_comes_out_as_in_the_textbook() {
        let relapsed = [6, 6, 6, 7, 10, 13, 16, 22, 23];
        let censored = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35];
        let mut observed: Vec<Observed> = relapsed
            .iter()
            .map(|week| started(0.0, f64::from(*week)))
            .collect();
        observed.extend(censored.iter().map(|week| waiting(0.0, f64::from(*week))));
        let waits = Waits::of(&observed);
        for (week, survival) in [
            (6.0, 0.857),
            (7.0, 0.807),
            (10.0, 0.753),
            (13.0, 0.690),
            (16.0, 0.627),
            (22.0, 0.538),
            (23.0, 0.448),
        ] {
            let found = waits.longer_than(week).expect("known");
            assert!((found - survival).abs() < 0.0006, "week {week}: {found}");
        }
        assert_eq!(waits.quantile(0.5), Some(Quantile::Known(23.0)));
    }

    /// Three jobs by hand: one waited 10 s; one was already 20 s old when the window opened and started at 30 s; one still
    /// waits at 40 s. At 10 s: jobs 1 and 3 are at risk (2 came with age 20), S = 1/2. At 30 s: jobs 2 and 3, S = 1/4.
    #[test]
    fn a_job_found_waiting_counts_from_the_age_it_was_found_at() {
        let waits = Waits::of(&[started(0.0, 10.0), started(20.0, 30.0), waiting(0.0, 40.0)]);
        assert_eq!(waits.steps, [(10.0, 0.5), (30.0, 0.25)]);
        assert_eq!(waits.quantile(0.5), Some(Quantile::Known(10.0)));
        assert_eq!(waits.quantile(0.75), Some(Quantile::Known(30.0)));
        assert_eq!(waits.quantile(0.9), Some(Quantile::AtLeast(40.0)));
    }

    #[test]
    fn a_quantile_that_is_not_reached_is_at_least_the_age_of_those_who_wait() {
        let mut observed = vec![started(0.0, 5.0)];
        observed.extend((1..=9).map(|age| waiting(0.0, 100.0 * f64::from(age))));
        let waits = Waits::of(&observed);
        // S(5) = 0.9: half of the jobs have not started.
        assert_eq!(waits.quantile(0.5), Some(Quantile::AtLeast(400.0)));
        assert_eq!(waits.quantile(0.9), Some(Quantile::AtLeast(800.0)));
        assert_eq!(waits.quantile(0.05), Some(Quantile::Known(5.0)));
    }

    #[test]
    fn a_cancelled_job_counts_while_it_waited_and_is_no_lower_bound() {
        let left = |exit| Observed {
            fate: Fate::Left,
            ..started(0.0, exit)
        };
        // At 10 s all three are at risk; at 30 s only the one that starts then.
        let waits = Waits::of(&[started(0.0, 10.0), left(20.0), started(0.0, 30.0)]);
        assert!((waits.longer_than(10.0).expect("known") - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(waits.quantile(0.9), Some(Quantile::Known(30.0)));
        let waits = Waits::of(&[waiting(0.0, 7.0), left(900.0)]);
        assert_eq!(waits.quantile(0.9), Some(Quantile::AtLeast(7.0)));
    }

    #[test]
    fn jobs_that_start_at_once_count() {
        let waits = Waits::of(&[started(0.0, 0.0), started(0.0, 0.0), started(0.0, 60.0)]);
        assert_eq!(waits.quantile(0.5), Some(Quantile::Known(0.0)));
        assert_eq!(waits.quantile(0.9), Some(Quantile::Known(60.0)));
    }

    #[test]
    fn nothing_known_is_nothing() {
        assert_eq!(Waits::of(&[]).quantile(0.5), None);
        assert_eq!(Waits::of(&[]).longer_than(600.0), None);
        let young = Waits::of(&[waiting(0.0, 30.0)]);
        assert_eq!(young.longer_than(600.0), None, "nobody can tell yet");
        assert_eq!(young.longer_than(20.0), Some(1.0));
        assert_eq!(young.quantile(0.5), Some(Quantile::AtLeast(30.0)));
    }

    /// The formulas of the module, as they stand.
    fn brute_force(observed: &[Observed], p: f64) -> Option<f64> {
        let mut ages: Vec<f64> = observed
            .iter()
            .filter(|one| one.fate == Fate::Started)
            .map(|one| one.exit)
            .collect();
        ages.sort_by(f64::total_cmp);
        ages.dedup();
        let mut survival = 1.0;
        for age in ages {
            let at_risk = |one: &&Observed| (one.entry < age || one.entry == 0.0) && age <= one.exit;
            let n: f64 = observed.iter().filter(at_risk).map(|one| one.weight).sum();
            let d: f64 = observed
                .iter()
                .filter(at_risk)
                .filter(|one| one.fate == Fate::Started && one.exit == age)
                .map(|one| one.weight)
                .sum();
            if n > 0.0 {
                survival *= 1.0 - d / n;
            }
            if survival <= 1.0 - p + 1e-9 {
                return Some(age);
            }
        }
        None
    }

    #[test]
    fn five_hundred_random_queues_agree_with_the_formulas_as_they_stand() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let mut reached = 0;
        for round in 0..500 {
            let observed: Vec<Observed> = (0..1 + random(60))
                .map(|_| {
                    let entry = if random(3) == 0 { random(30) as f64 } else { 0.0 };
                    Observed {
                        entry,
                        exit: entry + random(40) as f64,
                        fate: [Fate::Started, Fate::Started, Fate::Waiting, Fate::Left][random(4) as usize],
                        weight: 1.0 + random(8) as f64,
                    }
                })
                .collect();
            let waits = Waits::of(&observed);
            for p in [0.1, 0.5, 0.9, 0.99] {
                let expected = brute_force(&observed, p);
                let found = match waits.quantile(p) {
                    Some(Quantile::Known(age)) => Some(age),
                    _ => None,
                };
                assert_eq!(found, expected, "round {round}, p {p}: {observed:?}");
                reached += u32::from(found.is_some());
            }
        }
        assert!(reached > 1000, "only {reached} quantiles were reached");
    }
}
