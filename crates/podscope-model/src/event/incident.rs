//! An incident as an event: severity, opening and closing are the event's own; scope, commander and status are labels.

use super::{Event, EventKind, Severity};

/// Whom it hits: `pod-2`, `storage`.
pub const SCOPE: &str = "scope";
/// Who leads.
pub const COMMANDER: &str = "commander";
/// How far it is: one of [`STATUSES`].
pub const STATUS: &str = "status";

/// From the first alarm to the end.
pub const STATUSES: [&str; 4] = ["investigating", "identified", "monitoring", "resolved"];

/// An incident's own fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incident<'a> {
    pub severity: Severity,
    pub scope: &'a str,
    pub commander: &'a str,
    pub status: &'a str,
    pub opened_ms: i64,
    /// `None` while it goes on.
    pub closed_ms: Option<i64>,
}

impl Event {
    /// The incident that this event is, if it is one. What is closed is resolved, whatever its label says; what is open and does
    /// not say is being investigated.
    pub fn incident(&self) -> Option<Incident<'_>> {
        if self.kind != EventKind::Incident {
            return None;
        }
        let label = |name: &str| self.labels.get(name).unwrap_or_default();
        let status = match (self.open, label(STATUS)) {
            (false, _) => "resolved",
            (true, "") => "investigating",
            (true, status) => status,
        };
        Some(Incident {
            severity: self.severity,
            scope: label(SCOPE),
            commander: label(COMMANDER),
            status,
            opened_ms: self.time_ms,
            closed_ms: (!self.open).then(|| self.end_ms.unwrap_or(self.time_ms)),
        })
    }

    /// Whether an incident's status is one.
    ///
    /// # Errors
    /// A status that is none, with those there are.
    pub fn check_incident(&self) -> Result<(), String> {
        let status = self.labels.get(STATUS).unwrap_or_default();
        if self.kind == EventKind::Incident && !status.is_empty() && !STATUSES.contains(&status) {
            return Err(format!(
                "`labels.status` is {status:?}; an incident is {}",
                STATUSES.join(", ")
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_has_its_own_fields_and_is_resolved_when_it_is_closed() {
        let event = Event::new(EventKind::Incident, "cli", "SEV-1: queue wait", 1000)
            .severity(Severity::Critical)
            .label(SCOPE, "pod-2")
            .label(COMMANDER, "ada")
            .label(STATUS, "identified")
            .still_open();
        let incident = event.incident().expect("an incident");
        assert_eq!(
            (incident.scope, incident.commander, incident.status),
            ("pod-2", "ada", "identified")
        );
        assert_eq!((incident.opened_ms, incident.closed_ms), (1000, None));
        let closed = event.clone().until(9000);
        let incident = closed.incident().expect("an incident");
        assert_eq!((incident.status, incident.closed_ms), ("resolved", Some(9000)));
        assert_eq!(
            event.label(STATUS, "").incident().map(|one| one.status),
            Some("investigating")
        );
        assert!(Event::new(EventKind::Note, "cli", "x", 1).incident().is_none());
    }

    #[test]
    fn a_status_that_is_none_is_named() {
        let event = Event::new(EventKind::Incident, "cli", "SEV-1", 1000).label(STATUS, "panic");
        let error = event.check_incident().expect_err("no such status");
        assert!(error.contains("investigating, identified"), "{error}");
        let note = Event::new(EventKind::Note, "cli", "x", 1).label(STATUS, "panic");
        assert_eq!(note.check_incident(), Ok(()));
    }
}
