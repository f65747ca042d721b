//! Events: what happened, beside the numbers. Incidents, changes, alarms, traps, log lines, XIDs, jobs, links and notes
//! are one type, so that one timeline shows them all.
//!
//! An [`Event`] is what a source reports; a [`StoredEvent`] is what a store made of it: with an id, a version and the time
//! it was taken. The id follows from the event itself ([`Event::id`]): the same alarm reported twice, or through two hubs,
//! is one event. A later report under the same id replaces the earlier one; earlier versions are kept.
//!
//! HTTP form: `POST /v1/events/search` with an [`EventQuery`] answers an [`EventAnswer`], both JSON.

mod incident;
mod query;
mod selector;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::labels::Labels;

pub use incident::{COMMANDER, Incident, SCOPE, STATUS, STATUSES};
pub use query::{EventAnswer, EventQuery, MAX_EVENTS};
pub use selector::{BadSelector, EventFilter, LineFilter, LineOp};

/// Bytes of a title, of a text, of a label's value, of a dedup key, and the number of labels an event may have.
pub const MAX_TITLE: usize = 1024;
pub const MAX_TEXT: usize = 64 << 10;
pub const MAX_LABEL: usize = 4096;
pub const MAX_KEY: usize = 1024;
pub const MAX_LABELS: usize = 64;

/// Label names that a selector answers from the event's own fields.
pub const FIELDS: [&str; 3] = ["kind", "severity", "source"];

/// Declares an enum whose variants are written as one lower-case word.
macro_rules! words {
    ($(#[$meta:meta])* pub enum $name:ident, $what:literal { $($(#[$vmeta:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$vmeta])* $variant,)* }

        impl $name {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|word| word.as_str() == text).ok_or_else(|| {
                    let known: Vec<&str> = Self::ALL.iter().map(|word| word.as_str()).collect();
                    format!("{text:?} is no {}; there are: {}", $what, known.join(", "))
                })
            }
        }
    };
}

words! {
    /// What sort of thing happened.
    pub enum EventKind, "kind of event" {
        /// Somebody declared that something is wrong; has a commander, a scope, an end.
        Incident = "incident",
        /// Somebody or something changed the system: a setting, a version, a part.
        Change = "change",
        /// A rule or a device says that something is wrong.
        Alarm = "alarm",
        /// An SNMP trap.
        Trap = "trap",
        /// A line of a log.
        Log = "log",
        /// An error report of a GPU's driver.
        Xid = "xid",
        /// A job's start, end or failure.
        Job = "job",
        /// A link went up or down.
        Link = "link",
        /// A remark of a person.
        Note = "note",
    }
}

words! {
    /// How bad it is; ordered.
    pub enum Severity, "severity" {
        Debug = "debug",
        Info = "info",
        Warning = "warning",
        Error = "error",
        Critical = "critical",
    }
}

/// The id of an event: 128 bits, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub u128);

impl fmt::Display for EventId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", self.0)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl FromStr for EventId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        digits
            .then(|| u128::from_str_radix(text, 16).ok())
            .flatten()
            .map(Self)
            .ok_or_else(|| format!("{text:?} is no event id; an id is 32 hexadecimal digits"))
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When it happened or began, Unix milliseconds.
    pub time_ms: i64,
    /// When it ended; absent for a point in time and for what still goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<i64>,
    /// It still goes on: it covers all time from `time_ms` until somebody closes it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
    pub kind: EventKind,
    pub severity: Severity,
    /// Who reports it: `nvml`, `alertmanager`, `syslog`, `cli`, ...
    pub source: String,
    /// One line.
    pub title: String,
    /// Everything else there is to read; may have lines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// What makes two reports of the same time the same event; empty: their content.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub key: String,
}

/// An event as a store has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredEvent {
    pub id: EventId,
    /// 1 when it was first reported, then counting up.
    pub version: u32,
    /// When the store took this version, by the store's clock.
    pub stored_ms: i64,
    #[serde(flatten)]
    pub event: Event,
}

/// Why an event cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct BadEvent {
    pub field: String,
    pub problem: String,
}

impl Event {
    /// An event at a point in time, of severity info.
    pub fn new(kind: EventKind, source: impl Into<String>, title: impl Into<String>, time_ms: i64) -> Self {
        Self {
            time_ms,
            end_ms: None,
            open: false,
            kind,
            severity: Severity::Info,
            source: source.into(),
            title: title.into(),
            text: String::new(),
            labels: Labels::empty(),
            key: String::new(),
        }
    }

    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }

    /// Adds a label; an empty value removes it.
    #[must_use]
    pub fn label(mut self, name: &str, value: &str) -> Self {
        self.labels = self.labels.with(name, value);
        self
    }

    /// What makes two reports of the same time the same event.
    #[must_use]
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }

    /// It lasted until then.
    #[must_use]
    pub fn until(mut self, end_ms: i64) -> Self {
        self.end_ms = Some(end_ms);
        self.open = false;
        self
    }

    /// It still goes on.
    #[must_use]
    pub fn still_open(mut self) -> Self {
        self.end_ms = None;
        self.open = true;
        self
    }

    /// The last instant it covers.
    pub fn last_ms(&self) -> i64 {
        if self.open {
            i64::MAX
        } else {
            self.end_ms.unwrap_or(self.time_ms)
        }
    }

    /// The id it gets when it is first stored: from kind, source, time and key; without a key, from its title, text and
    /// labels in the key's place.
    pub fn id(&self) -> EventId {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        part(self.kind.as_str().as_bytes());
        part(self.source.as_bytes());
        part(&self.time_ms.to_le_bytes());
        if self.key.is_empty() {
            part(self.title.as_bytes());
            part(self.text.as_bytes());
            part(self.labels.to_string().as_bytes());
        } else {
            part(self.key.as_bytes());
        }
        let digest = hash.finalize();
        let mut first = [0; 16];
        first.copy_from_slice(&digest[..16]);
        EventId(u128::from_be_bytes(first))
    }

    /// What a selector sees under a label's name.
    pub fn value_of<'a>(&'a self, name: &str, node: &'a Labels) -> &'a str {
        match name {
            "kind" => self.kind.as_str(),
            "severity" => self.severity.as_str(),
            "source" => &self.source,
            _ => self.labels.get(name).or_else(|| node.get(name)).unwrap_or(""),
        }
    }

    /// Whether it can be stored.
    ///
    /// # Errors
    /// The first field that is missing, too long or contradicts another.
    pub fn check(&self) -> Result<(), BadEvent> {
        let bad = |field: &str, problem: String| {
            Err(BadEvent {
                field: field.to_owned(),
                problem,
            })
        };
        let sized = [
            ("title", self.title.len(), MAX_TITLE),
            ("text", self.text.len(), MAX_TEXT),
            ("key", self.key.len(), MAX_KEY),
            ("source", self.source.len(), MAX_LABEL),
        ];
        for (field, length, most) in sized {
            if length > most {
                return bad(field, format!("has {length} bytes, {most} are allowed"));
            }
        }
        if self.title.trim().is_empty() {
            return bad("title", "is missing; say in one line what happened".to_owned());
        }
        if self.source.trim().is_empty() {
            return bad("source", "is missing; say who reports it".to_owned());
        }
        if self.end_ms.is_some_and(|end| end < self.time_ms) {
            return bad("end", "lies before the time it began".to_owned());
        }
        if self.open && self.end_ms.is_some() {
            return bad(
                "open",
                "is set, but so is an end; leave one of them out".to_owned(),
            );
        }
        if self.labels.len() > MAX_LABELS {
            return bad(
                "labels",
                format!("has {} labels, {MAX_LABELS} are allowed", self.labels.len()),
            );
        }
        for label in &self.labels {
            let field = format!("labels.{}", label.name);
            if !is_label_name(&label.name) {
                return bad(
                    &field,
                    "is no label name; use letters, digits and _, no digit first".to_owned(),
                );
            }
            if FIELDS.contains(&label.name.as_ref()) {
                return bad(
                    &field,
                    format!("is a field of the event itself; set `{}`", label.name),
                );
            }
            if label.value.len() > MAX_LABEL {
                return bad(
                    &field,
                    format!("has {} bytes, {MAX_LABEL} are allowed", label.value.len()),
                );
            }
        }
        Ok(())
    }

    /// The same with what [`Event::check`] would find too long cut off, for sources nobody can ask to write less.
    #[must_use]
    pub fn clamped(mut self) -> Self {
        cut(&mut self.title, MAX_TITLE);
        cut(&mut self.text, MAX_TEXT);
        cut(&mut self.source, MAX_LABEL);
        if self.key.len() > MAX_KEY {
            self.key = format!("{:x}", Sha256::digest(self.key.as_bytes()));
        }
        if self.title.trim().is_empty() {
            self.title = self.kind.to_string();
        }
        if self.source.trim().is_empty() {
            self.source = "unknown".to_owned();
        }
        if self.end_ms.is_some() {
            self.open = false;
            self.end_ms = self.end_ms.map(|end| end.max(self.time_ms));
        }
        let labels = self
            .labels
            .iter()
            .filter(|label| is_label_name(&label.name))
            .take(MAX_LABELS)
            .map(|label| {
                let name = match FIELDS.contains(&label.name.as_ref()) {
                    // Prometheus's own way out of a taken name.
                    true => format!("exported_{}", label.name),
                    false => label.name.to_string(),
                };
                let mut value = label.value.to_string();
                cut(&mut value, MAX_LABEL);
                (name, value)
            });
        self.labels = Labels::from_pairs(labels.collect::<Vec<_>>());
        self
    }
}

fn is_label_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn cut(text: &mut String, most: usize) {
    const MARK: &str = "…";
    if text.len() > most {
        let end = text.floor_char_boundary(most - MARK.len());
        text.truncate(end);
        text.push_str(MARK);
    }
}

/// Where collectors and receivers put what they find. Never blocks for long and never fails: what cannot be kept is
/// counted.
pub trait EventSink: Send + Sync + fmt::Debug {
    fn emit(&self, event: Event);
}

/// Takes everything and keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl EventSink for NoSink {
    fn emit(&self, _event: Event) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        Event::new(EventKind::Change, "cli", "prefetch on", 1000).label("cluster", "vast-1")
    }

    #[test]
    fn the_id_follows_from_what_and_when_and_not_from_how_it_goes_on() {
        let keyed = event().key("prefetch");
        assert_eq!(
            keyed.id(),
            keyed.clone().text("more is known now").until(2000).id()
        );
        assert_ne!(
            keyed.id(),
            Event {
                time_ms: 1001,
                ..keyed.clone()
            }
            .id()
        );
        assert_ne!(event().id(), event().text("another text").id());
        assert_eq!(event().id().to_string().parse::<EventId>(), Ok(event().id()));
        assert!(
            "12".parse::<EventId>()
                .is_err_and(|error| error.contains("32 hexadecimal"))
        );
    }

    #[test]
    fn a_stored_event_is_one_flat_object() {
        let stored = StoredEvent {
            id: event().id(),
            version: 1,
            stored_ms: 1500,
            event: event(),
        };
        let json = serde_json::to_value(&stored).expect("JSON");
        assert_eq!(json["kind"], "change");
        assert_eq!(json["labels"]["cluster"], "vast-1");
        assert!(json.get("end_ms").is_none() && json.get("open").is_none());
        assert_eq!(
            serde_json::from_value::<StoredEvent>(json).expect("own output"),
            stored
        );
    }

    #[test]
    fn what_cannot_be_stored_is_named() {
        let cases = [
            (
                Event {
                    title: " ".to_owned(),
                    ..event()
                },
                "`title` is missing; say in one line what happened",
            ),
            (event().until(1), "`end` lies before the time it began"),
            (
                event().label("kind", "x"),
                "`labels.kind` is a field of the event itself; set `kind`",
            ),
            (
                event().label("a-b", "x"),
                "`labels.a-b` is no label name; use letters, digits and _, no digit first",
            ),
            (
                event().text("x".repeat(MAX_TEXT + 1)),
                "`text` has 65537 bytes, 65536 are allowed",
            ),
        ];
        for (bad, message) in cases {
            assert_eq!(bad.check().expect_err(message).to_string(), message);
            assert_eq!(bad.clamped().check(), Ok(()), "{message}");
        }
        assert_eq!(event().check(), Ok(()));
    }

    #[test]
    fn an_open_event_has_no_last_instant() {
        assert_eq!(event().still_open().last_ms(), i64::MAX);
        assert_eq!(event().until(7000).last_ms(), 7000);
        assert_eq!(event().last_ms(), 1000);
    }
}
