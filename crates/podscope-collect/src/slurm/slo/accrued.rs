//! The integral of the exposure since an incident opened. Incidents are often declared after they began, so the exposure of
//! two days is kept, by the minute.

use std::collections::VecDeque;

const MINUTE_MS: i64 = 60_000;
/// Minutes kept: two days.
const MOST: usize = 2880;
/// A pause between two values longer than this is not counted: nobody knows what was then.
const LONGEST_MS: i64 = 300_000;

/// Dollars of each tenant, by the minute.
#[derive(Debug, Default)]
pub struct Accrued {
    minutes: VecDeque<(i64, Vec<f64>)>,
    last: Option<(i64, Vec<f64>)>,
}

impl Accrued {
    /// Takes the exposure in dollars an hour of each tenant; what was between is the mean of both ends.
    pub fn add(&mut self, now_ms: i64, exposure: &[f64]) {
        if let Some((last_ms, last)) = &self.last
            && (1..=LONGEST_MS).contains(&(now_ms - last_ms))
            && last.len() == exposure.len()
        {
            let hours = (now_ms - last_ms) as f64 / 3_600_000.0;
            let minute = now_ms - now_ms.rem_euclid(MINUTE_MS);
            if self.minutes.back().is_none_or(|(at, _)| *at != minute) {
                self.minutes.push_back((minute, vec![0.0; exposure.len()]));
                if self.minutes.len() > MOST {
                    self.minutes.pop_front();
                }
            }
            if let Some((_, sums)) = self.minutes.back_mut() {
                for (sum, (before, now)) in sums.iter_mut().zip(last.iter().zip(exposure)) {
                    *sum += (before + now) / 2.0 * hours;
                }
            }
        }
        self.last = Some((now_ms, exposure.to_vec()));
    }

    /// Dollars of tenant `at` since then, to the minute.
    pub fn since(&self, opened_ms: i64, at: usize) -> f64 {
        let first = opened_ms - opened_ms.rem_euclid(MINUTE_MS);
        let minutes = self.minutes.iter().filter(|(minute, _)| *minute >= first);
        minutes.filter_map(|(_, sums)| sums.get(at)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_declared_late_counts_from_when_it_opened() {
        let mut accrued = Accrued::default();
        // 100 $/h for half an hour, then 300 $/h for an hour, every 30 s.
        for step in 0..=180 {
            let at = step * 30_000;
            let rate = if at < 1_800_000 { 100.0 } else { 300.0 };
            accrued.add(at, &[rate, 0.0]);
        }
        let all = accrued.since(0, 0);
        assert!((all - 350.0).abs() < 2.0, "{all}");
        let late = accrued.since(3_600_000, 0);
        assert!((late - 150.0).abs() < 3.0, "{late}");
        assert_eq!(accrued.since(0, 1), 0.0);
    }

    #[test]
    fn a_pause_is_not_counted_and_two_days_are_the_most() {
        let mut accrued = Accrued::default();
        accrued.add(0, &[100.0]);
        accrued.add(3_600_000, &[100.0]);
        assert_eq!(accrued.since(0, 0), 0.0);
        for minute in 0..5000 {
            accrued.add(3_600_000 + minute * MINUTE_MS, &[60.0]);
        }
        assert_eq!(accrued.minutes.len(), MOST);
        let all = accrued.since(0, 0);
        assert!((all - MOST as f64).abs() < 1e-6, "{all}");
    }
}
