//! An event as somebody posts it: everything but the title may be left out. With an `id` it changes the event of that id.

use std::collections::BTreeMap;

use podscope_model::event::{Event, EventId, EventKind, Severity, StoredEvent};
use podscope_model::labels::Labels;
use serde::Deserialize;
use serde_json::Value;

/// One event of `POST /v1/events`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EventInput {
    /// Of an event that is there; absent: a new one.
    pub(crate) id: Option<EventId>,
    /// RFC 3339 or seconds since 1970; absent: now.
    time: Option<Value>,
    time_ms: Option<i64>,
    /// When it ended; closes it.
    end: Option<Value>,
    end_ms: Option<i64>,
    open: Option<bool>,
    kind: Option<EventKind>,
    severity: Option<Severity>,
    source: Option<String>,
    title: Option<String>,
    text: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    key: Option<String>,
}

/// The body: one event or a list.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum EventInputs {
    Many(Vec<EventInput>),
    One(Box<EventInput>),
}

impl EventInputs {
    pub(crate) fn into_list(self) -> Vec<EventInput> {
        match self {
            Self::Many(list) => list,
            Self::One(one) => vec![*one],
        }
    }
}

/// A time given as RFC 3339 text or seconds since 1970.
pub(crate) fn time_ms(field: &str, value: &Value) -> Result<i64, String> {
    let unusable =
        || format!("`{field}` is {value}; write RFC 3339 (\"2026-11-21T08:26:00Z\") or seconds since 1970");
    let seconds = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => match text.parse::<jiff::Timestamp>() {
            Ok(time) => return Ok(time.as_millisecond()),
            Err(_) => text.parse().ok(),
        },
        _ => None,
    };
    let ms = (seconds.ok_or_else(unusable)? * 1000.0).round();
    if ms.is_finite() && ms.abs() < 9e15 {
        Ok(ms as i64)
    } else {
        Err(unusable())
    }
}

fn either(field: &str, ms: Option<i64>, text: Option<&Value>) -> Result<Option<i64>, String> {
    match (ms, text.filter(|value| !value.is_null())) {
        (Some(_), Some(_)) => Err(format!(
            "`{field}` stands beside `{field}_ms`; keep one of the two"
        )),
        (Some(ms), None) => Ok(Some(ms)),
        (None, Some(value)) => time_ms(field, value).map(Some),
        (None, None) => Ok(None),
    }
}

impl EventInput {
    /// The event it means. `known` is the one its `id` names.
    pub(crate) fn into_event(self, known: Option<&StoredEvent>, now_ms: i64) -> Result<Event, String> {
        let time = either("time", self.time_ms, self.time.as_ref())?;
        let end = either("end", self.end_ms, self.end.as_ref())?;
        let mut event = match known {
            Some(stored) => stored.event.clone(),
            None => Event::new(EventKind::Note, "api", "", time.unwrap_or(now_ms)),
        };
        if let Some(time) = time {
            event.time_ms = time;
        }
        if let Some(kind) = self.kind {
            event.kind = kind;
        }
        if let Some(severity) = self.severity {
            event.severity = severity;
        }
        let texts = [
            (&mut event.source, self.source),
            (&mut event.title, self.title),
            (&mut event.text, self.text),
            (&mut event.key, self.key),
        ];
        for (field, given) in texts {
            if let Some(given) = given {
                *field = given;
            }
        }
        if let Some(labels) = self.labels {
            event.labels = Labels::from_pairs(labels);
        }
        match (self.open, end) {
            (Some(true), Some(_)) => {
                return Err("`open` is set, but so is an end; leave one of them out".to_owned());
            }
            (Some(true), None) => event = event.still_open(),
            (_, Some(end)) => event = event.until(end),
            // Closed without a time: now.
            (Some(false), None) if event.open => event = event.until(now_ms),
            _ => {}
        }
        event.check().map_err(|error| error.to_string())?;
        event.check_incident()?;
        Ok(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(json: &str) -> Result<Event, String> {
        let input: EventInput = serde_json::from_str(json).map_err(|error| error.to_string())?;
        input.into_event(None, 5000)
    }

    #[test]
    fn a_title_is_enough() {
        let event = input(r#"{"title": "spines replaced"}"#).expect("valid");
        assert_eq!(event, Event::new(EventKind::Note, "api", "spines replaced", 5000));
    }

    #[test]
    fn times_are_read_in_every_form() {
        for time in [
            r#""time": "1970-01-01T00:00:02.5Z""#,
            r#""time": 2.5"#,
            r#""time": "2.5""#,
            r#""time_ms": 2500"#,
        ] {
            let event = input(&format!(r#"{{"title": "t", {time}}}"#)).expect(time);
            assert_eq!(event.time_ms, 2500, "{time}");
        }
        for (bad, part) in [
            (r#"{"title": "t", "time": "soon"}"#, "`time` is \"soon\""),
            (
                r#"{"title": "t", "time": 1, "time_ms": 1}"#,
                "keep one of the two",
            ),
            (r#"{"title": "t", "time": 2, "end": 1}"#, "`end` lies before"),
            (r#"{"title": "t", "kind": "outage"}"#, "unknown variant `outage`"),
            (r#"{"title": "t", "sevrity": "info"}"#, "unknown field `sevrity`"),
            (r#"{"kind": "note"}"#, "`title` is missing"),
        ] {
            let error = input(bad).expect_err(bad);
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn with_an_id_only_what_is_given_changes() {
        let event = Event::new(EventKind::Incident, "cli", "SEV-1", 1000)
            .still_open()
            .label("pod", "p2");
        let stored = StoredEvent {
            id: event.id(),
            version: 1,
            stored_ms: 1000,
            event,
        };
        let change: EventInput =
            serde_json::from_str(r#"{"open": false, "text": "rolled back"}"#).expect("valid");
        let changed = change.into_event(Some(&stored), 9000).expect("valid");
        assert_eq!((changed.end_ms, changed.open), (Some(9000), false));
        assert_eq!(
            (changed.title.as_str(), changed.text.as_str()),
            ("SEV-1", "rolled back")
        );
        assert_eq!(changed.labels.get("pod"), Some("p2"));
    }
}
