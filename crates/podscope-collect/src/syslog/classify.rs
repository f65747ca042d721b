//! From a line to an event, or to nothing.

use podscope_model::event::{Event, EventKind, Severity};

use super::known::{Known, known};
use super::line::Line;
use crate::bursts::{Bursts, Ended};

/// The source of these events.
pub const SOURCE: &str = "syslog";

/// What makes an event of a line.
#[derive(Clone, Copy, Debug)]
pub struct ClassifierOptions {
    /// A line in which nothing known is found is an event when it is at least this bad.
    pub min_severity: Severity,
    /// A line's own time counts when it differs from the arrival's by no more than this.
    pub max_skew_ms: i64,
}

impl Default for ClassifierOptions {
    fn default() -> Self {
        Self {
            min_severity: Severity::Error,
            max_skew_ms: 60_000,
        }
    }
}

/// What makes lines one burst: host, what, and what is said of what.
type BurstKey = (String, &'static str, String);

/// Tells events from lines; equal ones within a minute are told once, and then how many more there were.
#[derive(Debug, Default)]
pub struct Classifier {
    options: ClassifierOptions,
    bursts: Bursts<BurstKey>,
}

impl Classifier {
    pub fn new(options: ClassifierOptions) -> Self {
        Self {
            options,
            bursts: Bursts::default(),
        }
    }

    /// The event of a line that arrived at `now_ms` from `sender`; `None` for what is worth none, and for repetitions.
    pub fn event(&mut self, line: &Line, sender: &str, now_ms: i64) -> Option<Event> {
        let known = known(line).or_else(|| self.plain(line))?;
        let host = match line.host.as_str() {
            "" => sender,
            host => host,
        };
        let burst = (host.to_owned(), known.what, known.title.clone());
        if !self.bursts.is_first(burst, now_ms) {
            return None;
        }
        let skew = line.time_ms.map(|time_ms| time_ms - now_ms);
        let own = skew.is_some_and(|skew| skew.abs() <= self.options.max_skew_ms);
        let time_ms = match line.time_ms {
            Some(time_ms) if own => time_ms,
            _ => now_ms,
        };
        let mut event = Event::new(known.kind, SOURCE, format!("{host}: {}", known.title), time_ms)
            .severity(known.severity)
            .label("what", known.what)
            .label("host", host)
            .label("program", &line.program)
            .text(line.text.clone())
            // The same line through two relays is one event.
            .key(format!("{host}:{}:{}", line.program, line.text));
        if host != sender {
            event = event.label("sender", sender);
        }
        if let Some(claimed) = line.time_ms.filter(|_| !own) {
            event = event.label("sender_time", &rfc3339(claimed));
        }
        for (name, value) in &known.labels {
            event = event.label(name, value);
        }
        Some(event.clamped())
    }

    /// A line that is bad by its own account.
    fn plain(&self, line: &Line) -> Option<Known> {
        let severity = line
            .severity
            .filter(|severity| *severity >= self.options.min_severity)?;
        if line.text.is_empty() {
            return None;
        }
        Some(Known {
            what: "log",
            kind: EventKind::Log,
            severity,
            title: line.text.chars().take(300).collect(),
            labels: Vec::new(),
        })
    }

    /// The bursts that are over. Call it every few seconds.
    pub fn ended(&mut self, now_ms: i64) -> Vec<Event> {
        self.bursts.end(now_ms).into_iter().map(burst_event).collect()
    }
}

fn burst_event(ended: Ended<BurstKey>) -> Event {
    let (host, what, title) = ended.key;
    let seconds = (ended.last_ms - ended.began_ms) as f64 / 1000.0;
    let kind = match what {
        "link" | "bgp" | "evpn_failover" => EventKind::Link,
        "xid" | "sxid" => EventKind::Xid,
        "log" => EventKind::Log,
        _ => EventKind::Alarm,
    };
    Event::new(
        kind,
        SOURCE,
        format!("{host}: {title}: {} times more in {seconds:.0} s", ended.more),
        ended.began_ms,
    )
    .severity(Severity::Warning)
    .label("what", what)
    .label("host", &host)
    .label("repeated", &ended.more.to_string())
    .key(format!("{host}:{what}:{title}:burst"))
    .until(ended.last_ms)
    .clamped()
}

fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_249_592_000;

    fn line(text: &str) -> Line {
        Line {
            time_ms: Some(NOW - 500),
            host: "leaf-a01".to_owned(),
            program: "kernel".to_owned(),
            pid: None,
            severity: Some(Severity::Info),
            text: text.to_owned(),
            structured: true,
        }
    }

    #[test]
    fn a_known_line_is_an_event_at_its_own_time() {
        let mut classifier = Classifier::default();
        let event = classifier
            .event(&line("swp1s0: link down"), "10.0.0.11", NOW)
            .expect("known");
        assert_eq!(
            (event.kind, event.severity, event.title.as_str()),
            (EventKind::Link, Severity::Error, "leaf-a01: swp1s0 went down")
        );
        assert_eq!(event.time_ms, NOW - 500);
        assert_eq!(event.labels.get("sender"), Some("10.0.0.11"));
        assert_eq!(event.check(), Ok(()));
        assert_eq!(classifier.event(&line("nothing"), "10.0.0.11", NOW), None);
    }

    #[test]
    fn a_wrong_clock_does_not_move_the_event_and_is_shown() {
        let mut classifier = Classifier::default();
        let wrong = Line {
            time_ms: Some(NOW - 3_600_000),
            ..line("swp1s0: link down")
        };
        let event = classifier.event(&wrong, "10.0.0.11", NOW).expect("known");
        assert_eq!(event.time_ms, NOW);
        assert!(
            event
                .labels
                .get("sender_time")
                .is_some_and(|time| time.ends_with('Z'))
        );
    }

    #[test]
    fn fifty_thousand_equal_lines_are_two_events() {
        let mut classifier = Classifier::default();
        let told = (0..50_000)
            .filter(|at| {
                classifier
                    .event(&line("swp1s0: link down"), "10.0.0.11", NOW + at / 50)
                    .is_some()
            })
            .count();
        assert_eq!(told, 1);
        let ended = classifier.ended(NOW + 70_000);
        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0].labels.get("repeated"), Some("49999"));
        assert_eq!(ended[0].check(), Ok(()));
    }

    #[test]
    fn what_is_not_known_is_an_event_when_it_is_bad_enough() {
        let mut classifier = Classifier::default();
        let bad = Line {
            severity: Some(Severity::Critical),
            ..line("the flux capacitor is on fire")
        };
        let event = classifier.event(&bad, "10.0.0.11", NOW).expect("bad enough");
        assert_eq!((event.kind, event.severity), (EventKind::Log, Severity::Critical));
    }
}
