//! Events and alarms of the cluster, in the form the event store has.

use podscope_model::event::{Event, EventKind, Severity};
use serde_json::Value;

use crate::client::{VmsClient, list};
use crate::error::VmsError;
use crate::monitor::{time_ms, written};

/// Events of one question.
const PAGE: usize = 1_000;
/// Who reports them.
pub const SOURCE: &str = "vast";

impl VmsClient {
    /// What happened in a time, the newest thousand. What changed something is a change, what warns an alarm, all else a
    /// log line.
    ///
    /// # Errors
    /// See [`VmsError`].
    pub async fn events(&self, from_ms: i64, to_ms: i64) -> Result<Vec<Event>, VmsError> {
        let query = [
            ("timestamp__gte", written(from_ms)),
            ("timestamp__lte", written(to_ms)),
            ("page_size", PAGE.to_string()),
            ("page", "1".to_owned()),
        ];
        let found = list("events", self.get("events", &query).await?)?;
        Ok(found.iter().filter_map(event).collect())
    }

    /// What is wrong now and was not acknowledged: open since it began.
    ///
    /// # Errors
    /// See [`VmsError`].
    pub async fn alarms(&self) -> Result<Vec<Event>, VmsError> {
        let query = [("page_size", PAGE.to_string()), ("page", "1".to_owned())];
        let found = list("alarms", self.get("alarms", &query).await?)?;
        Ok(found.iter().filter_map(alarm).collect())
    }
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

fn severity(object: &Value) -> Severity {
    match text(object, "severity").to_ascii_uppercase().as_str() {
        "CRITICAL" => Severity::Critical,
        "MAJOR" => Severity::Error,
        "MINOR" | "WARNING" => Severity::Warning,
        _ => Severity::Info,
    }
}

/// Whether something was set: VMS says so by type, or by name.
fn is_change(object: &Value) -> bool {
    let named = |key: &str| {
        let word = text(object, key).to_ascii_uppercase();
        [
            "MODIFIED", "CREATED", "DELETED", "CHANGED", "UPGRADE", "ENABLED", "DISABLED", "SETTING",
        ]
        .iter()
        .any(|part| word.contains(part))
    };
    named("event_type") || named("event_name")
}

fn labelled(event: Event, object: &Value) -> Event {
    let event = event
        .label("object_type", text(object, "object_type"))
        .label("object", text(object, "object_name"))
        .label("event_name", text(object, "event_name"));
    match object["id"].as_i64() {
        Some(id) => event.key(format!("{SOURCE}-{id}")),
        None => event,
    }
}

fn event(object: &Value) -> Option<Event> {
    let at = time_ms(text(object, "timestamp"))?;
    let severity = severity(object);
    let kind = match (is_change(object), severity) {
        (true, Severity::Info | Severity::Warning) => EventKind::Change,
        (_, Severity::Info) => EventKind::Log,
        _ => EventKind::Alarm,
    };
    let title = match text(object, "event_message") {
        "" => text(object, "event_name"),
        message => message,
    };
    Some(labelled(Event::new(kind, SOURCE, title, at).severity(severity), object).clamped())
}

fn alarm(object: &Value) -> Option<Event> {
    if object["acknowledged"] == Value::Bool(true) {
        return None;
    }
    let at = time_ms(text(object, "timestamp"))?;
    let title = match text(object, "alarm_message") {
        "" => text(object, "event_name"),
        message => message,
    };
    let event = Event::new(EventKind::Alarm, SOURCE, title, at)
        .severity(severity(object))
        .still_open();
    let id = object["id"].as_i64().map(|id| format!("{SOURCE}-alarm-{id}"));
    let event = labelled(event, object).clamped();
    Some(match id {
        Some(id) => event.key(id),
        None => event,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_set_is_a_change_what_warns_an_alarm_and_the_rest_a_line() {
        let of = |kind: &str, severity: &str| {
            let read = event(&json!({
                "id": 7, "event_type": kind, "event_message": "m", "severity": severity, "timestamp": "2026-08-18T20:51:51Z",
                "object_type": "Cluster", "object_name": "vast-1",
            }));
            read.expect("it has a time")
        };
        assert_eq!(of("OBJECT_MODIFIED", "INFO").kind, EventKind::Change);
        assert_eq!(of("RAID_STATE", "CRITICAL").kind, EventKind::Alarm);
        let line = of("USER_LOGIN", "INFO");
        assert_eq!(
            (line.kind, line.time_ms, line.labels.get("object")),
            (EventKind::Log, 1_787_086_311_000, Some("vast-1"))
        );
        assert_eq!(event(&json!({ "id": 7 })), None);
    }

    #[test]
    fn an_alarm_is_open_since_it_began_and_an_acknowledged_one_is_none() {
        let sent = |acknowledged: bool| {
            json!({ "id": 51, "alarm_message": "slow", "severity": "MAJOR", "timestamp": "2026-08-18T20:51:51Z",
                "last_updated": "2026-08-18T21:00:00Z", "acknowledged": acknowledged })
        };
        let read = alarm(&sent(false)).expect("not acknowledged");
        assert!(read.open && read.severity == Severity::Error && read.kind == EventKind::Alarm);
        assert_eq!(alarm(&sent(true)), None);
    }
}
