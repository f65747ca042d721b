//! A tenant's status, which does not flicker: it is entered when its condition has held for its time, and left ten minutes
//! after the condition last held.

/// A burn rate above 1 counts after so long.
const BURNING_S: i64 = 300;
/// A state is left after so long without its condition.
const LEAVE_S: i64 = 600;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    #[default]
    Ok,
    AtRisk,
    Breached,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::AtRisk => "at risk",
            Self::Breached => "breached",
        }
    }

    pub fn value(self) -> f64 {
        match self {
            Self::Ok => 0.0,
            Self::AtRisk => 1.0,
            Self::Breached => 2.0,
        }
    }
}

/// What decides.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signs {
    pub exposure: f64,
    /// Absent: unknown.
    pub burn: Option<f64>,
    pub owed: f64,
    pub projected_wait_s: Option<f64>,
    pub target_s: f64,
}

/// The memory of one tenant's status.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    burning_since: Option<i64>,
    owed_since: Option<i64>,
    /// When each condition last held, with its reason.
    breached: Option<(i64, &'static str)>,
    at_risk: Option<(i64, &'static str)>,
}

impl Verdict {
    /// The status now, and why.
    pub fn judge(&mut self, signs: &Signs, now_s: i64) -> (Status, &'static str) {
        let since = |holds: bool, since: &mut Option<i64>| {
            *since = if holds { since.or(Some(now_s)) } else { None };
            since.map_or(-1, |since| now_s - since)
        };
        let burn = signs.burn.unwrap_or(0.0);
        let burning = since(burn > 1.0, &mut self.burning_since);
        let owing = since(signs.owed > 0.0, &mut self.owed_since);
        let breached = if signs.exposure > 0.0 {
            Some("promised GPUs are missing")
        } else if burning >= BURNING_S {
            Some("jobs wait longer than promised")
        } else {
            None
        };
        let at_risk = if burn > 0.5 {
            Some("many jobs wait nearly too long")
        } else if owing as f64 > signs.target_s / 2.0 {
            Some("promised GPUs have been missing for a while")
        } else if signs.projected_wait_s.is_some_and(|wait| wait > signs.target_s) {
            Some("the queue ahead is longer than the target")
        } else {
            None
        };
        if let Some(reason) = breached {
            self.breached = Some((now_s, reason));
        }
        if let Some(reason) = at_risk {
            self.at_risk = Some((now_s, reason));
        }
        let held = |state: Option<(i64, &'static str)>| state.filter(|(at, _)| now_s - at < LEAVE_S);
        match (held(self.breached), held(self.at_risk)) {
            (Some((_, reason)), _) => (Status::Breached, reason),
            (None, Some((_, reason))) => (Status::AtRisk, reason),
            (None, None) => (Status::Ok, ""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signs(burn: f64) -> Signs {
        Signs {
            burn: Some(burn),
            target_s: 600.0,
            ..Signs::default()
        }
    }

    #[test]
    fn a_burn_rate_breaches_after_five_minutes_and_is_left_ten_minutes_after() {
        let mut verdict = Verdict::default();
        let status = |verdict: &mut Verdict, burn, at| verdict.judge(&signs(burn), at).0;
        assert_eq!(status(&mut verdict, 0.2, 0), Status::Ok);
        assert_eq!(
            status(&mut verdict, 1.5, 30),
            Status::AtRisk,
            "not yet for five minutes"
        );
        assert_eq!(status(&mut verdict, 1.5, 329), Status::AtRisk);
        assert_eq!(status(&mut verdict, 1.5, 330), Status::Breached);
        assert_eq!(status(&mut verdict, 0.2, 360), Status::Breached);
        assert_eq!(status(&mut verdict, 0.2, 929), Status::Breached);
        assert_eq!(status(&mut verdict, 0.2, 930), Status::Ok);
        // Interrupted, the five minutes begin again.
        assert_eq!(status(&mut verdict, 1.5, 1000), Status::AtRisk);
        assert_eq!(status(&mut verdict, 0.9, 1200), Status::AtRisk);
        assert_eq!(status(&mut verdict, 1.5, 1310), Status::AtRisk);
    }

    #[test]
    fn every_reason_is_said() {
        let mut seen = Vec::new();
        for signs in [
            Signs {
                exposure: 1.0,
                ..signs(0.0)
            },
            signs(0.6),
            Signs {
                projected_wait_s: Some(601.0),
                ..signs(0.0)
            },
            signs(0.0),
        ] {
            seen.push(Verdict::default().judge(&signs, 0));
        }
        let mut owing = Verdict::default();
        let owed = Signs {
            owed: 8.0,
            ..signs(0.0)
        };
        owing.judge(&owed, 0);
        assert_eq!(
            owing.judge(&owed, 300).0,
            Status::Ok,
            "half of the target is not over"
        );
        seen.push(owing.judge(&owed, 301));
        let statuses: Vec<Status> = seen.iter().map(|(status, _)| *status).collect();
        use Status::{AtRisk, Breached, Ok};
        assert_eq!(statuses, [Breached, AtRisk, AtRisk, Ok, AtRisk]);
        let mut reasons: Vec<&str> = seen.iter().map(|(_, reason)| *reason).collect();
        reasons.sort_unstable();
        reasons.dedup();
        assert_eq!(reasons.len(), 5);
    }
}
