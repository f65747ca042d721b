//! The life of a rule's alerts as Grafana's scheduler has it: normal, pending for the rule's `for`, firing, kept firing for
//! its `keepFiringFor`, normal again. One alert per label set of the query's answer.
//!
//! Source: grafana `pkg/services/ngalert/state` (12.4): a series that is missing for two evaluations is resolved; an answer without any
//! series is "no data" of the whole rule.

use std::collections::BTreeMap;
use std::time::Duration;

use podscope_model::labels::Labels;

use super::file::{Empty, Rule};

/// Evaluations after which an alert whose series is missing is resolved.
const MISSING_EVALUATIONS: u32 = 2;

/// Where an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Normal,
    /// Since when the condition holds, ms.
    Pending(i64),
    Firing,
    /// Since when it no longer holds, ms.
    Recovering(i64),
}

#[derive(Clone, Debug)]
struct Alert {
    state: State,
    missing: u32,
}

/// Something a person would have been told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) at_ms: i64,
    /// Empty for the rule as a whole (no data).
    pub(crate) labels: Labels,
    pub(crate) firing: bool,
}

/// The alerts of one rule over time.
#[derive(Debug)]
pub(crate) struct Alerts<'a> {
    rule: &'a Rule,
    alerts: BTreeMap<Labels, Alert>,
    pub(crate) changes: Vec<Change>,
}

fn ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl<'a> Alerts<'a> {
    pub(crate) fn new(rule: &'a Rule) -> Self {
        Self {
            rule,
            alerts: BTreeMap::new(),
            changes: Vec::new(),
        }
    }

    /// One evaluation: the query's answer at this time.
    pub(crate) fn evaluate(&mut self, at_ms: i64, answer: &[(Labels, f64)]) {
        if answer.is_empty() {
            match self.rule.no_data {
                // The last state stays as it is.
                Empty::KeepLast => return,
                Empty::Ok => {}
                Empty::Said | Empty::Alerting => {
                    self.step(at_ms, &Labels::from_pairs([("alertname", "no data")]), true);
                    return;
                }
            }
        }
        let mut seen: BTreeMap<Labels, bool> = BTreeMap::new();
        for (labels, value) in answer {
            // NaN satisfies no threshold, as in Grafana.
            *seen.entry(labels.clone()).or_default() |= self.rule.threshold.holds(*value);
        }
        let known: Vec<Labels> = self.alerts.keys().cloned().collect();
        for labels in known.iter().filter(|labels| !seen.contains_key(*labels)) {
            let gone = self.alerts.get_mut(labels).is_some_and(|alert| {
                alert.missing += 1;
                alert.missing >= MISSING_EVALUATIONS
            });
            if gone && let Some(alert) = self.alerts.remove(labels) {
                self.tell(at_ms, labels, alert.state, State::Normal);
            }
        }
        for (labels, holds) in seen {
            self.step(at_ms, &labels, holds);
        }
    }

    fn step(&mut self, at_ms: i64, labels: &Labels, holds: bool) {
        let (pending, keep) = (ms(self.rule.pending), ms(self.rule.keep_firing));
        let alert = self.alerts.entry(labels.clone()).or_insert(Alert {
            state: State::Normal,
            missing: 0,
        });
        alert.missing = 0;
        let before = alert.state;
        alert.state = match (before, holds) {
            (State::Firing | State::Recovering(_), true) => State::Firing,
            (State::Pending(since), true) if at_ms - since >= pending => State::Firing,
            (State::Pending(since), true) => State::Pending(since),
            (State::Normal, true) if pending == 0 => State::Firing,
            (State::Normal, true) => State::Pending(at_ms),
            (State::Firing, false) if keep > 0 => State::Recovering(at_ms),
            (State::Recovering(since), false) if at_ms - since < keep => State::Recovering(since),
            (_, false) => State::Normal,
        };
        let after = alert.state;
        self.tell(at_ms, labels, before, after);
    }

    fn tell(&mut self, at_ms: i64, labels: &Labels, before: State, after: State) {
        let fires = |state| matches!(state, State::Firing | State::Recovering(_));
        if fires(before) != fires(after) {
            self.changes.push(Change {
                at_ms,
                labels: labels.clone(),
                firing: fires(after),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::file::Threshold;

    fn rule(pending: u64, keep: u64, no_data: Empty) -> Rule {
        Rule {
            uid: "r".to_owned(),
            title: String::new(),
            group: String::new(),
            folder: String::new(),
            interval: Duration::from_secs(60),
            expr: String::new(),
            threshold: Threshold::Above(1.0),
            pending: Duration::from_secs(pending),
            keep_firing: Duration::from_secs(keep),
            no_data,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            panel: None,
            paused: false,
        }
    }

    /// One value a minute for one series; `None`: the answer lacks it. Gives minute and whether it fires.
    fn run(rule: &Rule, values: &[Option<f64>], others: bool) -> Vec<(i64, bool)> {
        let gpu = |index: &str| Labels::from_pairs([("gpu", index)]);
        let mut alerts = Alerts::new(rule);
        for (minute, value) in (0..).zip(values) {
            let mut answer: Vec<(Labels, f64)> = value.iter().map(|value| (gpu("0"), *value)).collect();
            if others {
                answer.push((gpu("1"), 0.0));
            }
            alerts.evaluate(minute * 60_000, &answer);
        }
        alerts
            .changes
            .iter()
            .map(|change| (change.at_ms / 60_000, change.firing))
            .collect()
    }

    fn minutes(values: &[f64]) -> Vec<Option<f64>> {
        values.iter().copied().map(Some).collect()
    }

    #[test]
    fn an_alert_fires_when_the_condition_has_held_for_long_enough() {
        let rule = rule(120, 0, Empty::Ok);
        let values = minutes(&[0.0, 2.0, 2.0, 2.0, 2.0, 0.0, 2.0, 0.0]);
        assert_eq!(run(&rule, &values, false), [(3, true), (5, false)]);
    }

    #[test]
    fn an_interruption_begins_the_wait_anew() {
        let rule = rule(120, 0, Empty::Ok);
        let values = minutes(&[2.0, 2.0, 0.0, 2.0, 2.0, f64::NAN, 2.0]);
        assert_eq!(run(&rule, &values, false), []);
    }

    #[test]
    fn it_is_kept_firing_over_short_gaps() {
        let rule = rule(0, 180, Empty::Ok);
        let values = minutes(&[2.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
        assert_eq!(run(&rule, &values, false), [(0, true), (7, false)]);
    }

    #[test]
    fn a_series_that_goes_away_is_resolved_at_the_second_evaluation() {
        let rule = rule(0, 0, Empty::Ok);
        let values = [Some(2.0), None, None, None];
        assert_eq!(run(&rule, &values, true), [(0, true), (2, false)]);
    }

    #[test]
    fn no_answer_at_all_is_what_the_rule_says_it_is() {
        let gap = [Some(2.0), None, None, None, Some(2.0)];
        assert_eq!(run(&rule(0, 0, Empty::KeepLast), &gap, false), [(0, true)]);
        let ended = run(&rule(0, 0, Empty::Ok), &gap, false);
        assert_eq!(ended, [(0, true), (2, false), (4, true)]);
        let told = run(&rule(0, 0, Empty::Alerting), &[None, None], false);
        assert_eq!(told, [(0, true)]);
    }
}
