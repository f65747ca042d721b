//! What two readings of a switch say that one does not. Between two readings lies half a minute: every event names the
//! interval in which it happened.

use podscope_model::event::{Event, EventKind, Severity};

use super::reading::{BgpNeighbor, Segment, SwitchReading};
use super::rows::SwitchLabels;

/// The source of these events.
pub const SOURCE: &str = "nvue";
/// The label `what` of a failover: another forwarder, a segment or a neighbour that came or went.
pub const EVPN_FAILOVER: &str = "evpn_failover";

/// A reading with its time.
#[derive(Clone, Copy, Debug)]
pub struct Dated<'a> {
    pub at_ms: i64,
    pub reading: &'a SwitchReading,
}

/// The events between two readings.
pub fn between(who: &SwitchLabels, before: Dated<'_>, after: Dated<'_>) -> Vec<Event> {
    let teller = Teller { who, before, after };
    let mut events = Vec::new();
    let restarted = teller.restart(&mut events);
    let (was, is) = (before.reading, after.reading);
    if let (Some(was), Some(is)) = (&was.segments, &is.segments) {
        for (esi, segment) in is {
            if let Some(before) = was.get(esi) {
                teller.segment(esi, before, segment, &mut events);
            }
        }
        for (esi, gone) in was.iter().filter(|(esi, _)| !is.contains_key(*esi)) {
            let title = format!("{}: segment {esi} ({}) is gone", who.switch, gone.interface);
            events.push(
                teller
                    .failover("segment", Severity::Warning, title, esi)
                    .label("esi", esi),
            );
        }
    }
    if let (Some(was), Some(is)) = (&was.neighbors, &is.neighbors) {
        for (id, neighbor) in is {
            teller.neighbor(id, was.get(id), neighbor, restarted, &mut events);
        }
        for (id, _) in was.iter().filter(|(id, _)| !is.contains_key(*id)) {
            let title = format!("{}: BGP neighbour {id} is gone", who.switch);
            events.push(
                teller
                    .failover("neighbor", Severity::Warning, title, id)
                    .label("peer_id", id),
            );
        }
    }
    events
}

/// The event of a switch that does not answer: open until [`answers_again`] closes it.
pub fn silent(who: &SwitchLabels, since_ms: i64, reason: &str) -> Event {
    let title = format!("switch {} does not answer", who.switch);
    common(
        Event::new(EventKind::Alarm, SOURCE, title, since_ms),
        who,
        "switch_silent",
    )
    .severity(Severity::Warning)
    .text(reason)
    .key(format!("switch_silent:{}", who.switch))
    .still_open()
}

/// Closes what [`silent`] opened.
pub fn answers_again(silent: &Event, at_ms: i64) -> Event {
    silent.clone().until(at_ms.max(silent.time_ms))
}

fn common(event: Event, who: &SwitchLabels, what: &str) -> Event {
    let mut event = event
        .label("what", what)
        .label("switch", &who.switch)
        .label("fabric", &who.fabric)
        .label("role", &who.role);
    for (name, value) in &who.more {
        event = event.label(name, value);
    }
    event
}

struct Teller<'a> {
    who: &'a SwitchLabels,
    before: Dated<'a>,
    after: Dated<'a>,
}

impl Teller<'_> {
    /// An event that happened between the readings; its time is the later one, at which it is known to be so.
    fn event(&self, kind: EventKind, what: &str, severity: Severity, title: String, key: &str) -> Event {
        let seconds = (self.after.at_ms - self.before.at_ms) as f64 / 1000.0;
        common(Event::new(kind, SOURCE, title, self.after.at_ms), self.who, what)
            .severity(severity)
            .text(format!("within the {seconds:.0} s before"))
            .key(format!("{what}:{}:{key}", self.who.switch))
    }

    fn failover(&self, change: &str, severity: Severity, title: String, key: &str) -> Event {
        self.event(EventKind::Link, EVPN_FAILOVER, severity, title, key)
            .label("change", change)
    }

    /// A switch that is up for less long than before was restarted.
    fn restart(&self, events: &mut Vec<Event>) -> bool {
        let (Some(was), Some(is)) = (
            self.before.reading.uptime_seconds,
            self.after.reading.uptime_seconds,
        ) else {
            return false;
        };
        if is >= was {
            return false;
        }
        let title = format!("switch {} was restarted", self.who.switch);
        let mut event = self.event(
            EventKind::Alarm,
            "switch_restart",
            Severity::Error,
            title,
            "restart",
        );
        event.time_ms = self.after.at_ms - (is * 1000.0) as i64;
        event.text = format!("it is up for {is:.0} s");
        events.push(event);
        true
    }

    fn segment(&self, esi: &str, was: &Segment, is: &Segment, events: &mut Vec<Event>) {
        let place = format!("segment {esi} ({})", is.interface);
        let switch = &self.who.switch;
        let labelled = |event: Event| event.label("esi", esi).label("interface", &is.interface);
        match (was.designated_forwarder, is.designated_forwarder) {
            (Some(false) | None, Some(true)) => {
                let title = format!("{switch} is now the designated forwarder of {place}");
                events.push(labelled(self.failover(
                    "designated_forwarder",
                    Severity::Warning,
                    title,
                    esi,
                )));
            }
            (Some(true), Some(false) | None) => {
                let title = format!("{switch} is no longer the designated forwarder of {place}");
                events.push(labelled(self.failover(
                    "designated_forwarder",
                    Severity::Warning,
                    title,
                    esi,
                )));
            }
            _ => {}
        }
        let (word, severity) = match (was.up, is.up) {
            (Some(true), Some(false)) => ("down", Severity::Error),
            (Some(false), Some(true)) => ("up", Severity::Info),
            _ => return,
        };
        let title = format!("{switch}: {place} went {word}");
        events.push(labelled(self.failover(
            "segment",
            severity,
            title,
            &format!("{esi}:{word}"),
        )));
    }

    fn neighbor(
        &self,
        id: &str,
        was: Option<&BgpNeighbor>,
        is: &BgpNeighbor,
        restarted: bool,
        events: &mut Vec<Event>,
    ) {
        let switch = &self.who.switch;
        let up = |neighbor: &BgpNeighbor| neighbor.state == "established";
        let Some(was) = was else { return };
        let grown = match (was.transitions, is.transitions) {
            (Some(was), Some(is)) if !restarted && is > was => is - was,
            _ => 0.0,
        };
        let (title, severity) = match (up(was), up(is)) {
            (true, false) => (
                format!("{switch}: BGP neighbour {id} is {}", is.state),
                Severity::Error,
            ),
            (false, true) => (
                format!("{switch}: BGP neighbour {id} is established again"),
                Severity::Info,
            ),
            // Lost and found between two looks.
            (true, true) if grown > 0.0 => (
                format!("{switch}: BGP neighbour {id} was lost and established again"),
                Severity::Warning,
            ),
            _ => return,
        };
        let event = self.failover("neighbor", severity, title, &format!("{id}:{}", is.state));
        events.push(event.label("peer_id", id).label("state", &is.state));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn reading(forwarder: bool, up: bool, state: &str, uptime: f64) -> SwitchReading {
        let segment = Segment {
            interface: "bond1".to_owned(),
            designated_forwarder: Some(forwarder),
            up: Some(up),
            remote_vteps: 1,
        };
        let neighbor = BgpNeighbor {
            state: state.to_owned(),
            transitions: Some(1.0),
            ..BgpNeighbor::default()
        };
        SwitchReading {
            uptime_seconds: Some(uptime),
            segments: Some(BTreeMap::from([("03:44".to_owned(), segment)])),
            neighbors: Some(BTreeMap::from([("swp31".to_owned(), neighbor)])),
            ..SwitchReading::default()
        }
    }

    fn titles(before: &SwitchReading, after: &SwitchReading) -> Vec<String> {
        let who = SwitchLabels {
            switch: "leaf-a01".to_owned(),
            ..SwitchLabels::default()
        };
        let dated = |at_ms, reading| Dated { at_ms, reading };
        let events = between(&who, dated(1_000, before), dated(31_000, after));
        for event in &events {
            assert_eq!(event.check(), Ok(()));
            assert_eq!(event.labels.get("switch"), Some("leaf-a01"));
        }
        events.into_iter().map(|event| event.title).collect()
    }

    #[test]
    fn another_forwarder_is_a_failover_and_the_same_one_is_nothing() {
        let calm = reading(true, true, "established", 100.0);
        assert!(titles(&calm, &reading(true, true, "established", 130.0)).is_empty());
        assert_eq!(
            titles(&calm, &reading(false, true, "established", 130.0)),
            ["leaf-a01 is no longer the designated forwarder of segment 03:44 (bond1)"]
        );
        assert_eq!(
            titles(
                &reading(false, false, "idle", 100.0),
                &reading(true, true, "established", 130.0)
            ),
            [
                "leaf-a01 is now the designated forwarder of segment 03:44 (bond1)",
                "leaf-a01: segment 03:44 (bond1) went up",
                "leaf-a01: BGP neighbour swp31 is established again"
            ]
        );
    }

    #[test]
    fn a_neighbour_that_is_lost_is_told_even_when_it_is_back_already() {
        let calm = reading(true, true, "established", 100.0);
        assert_eq!(
            titles(&calm, &reading(true, true, "active", 130.0)),
            ["leaf-a01: BGP neighbour swp31 is active"]
        );
        let mut back = reading(true, true, "established", 130.0);
        for neighbor in back.neighbors.iter_mut().flatten() {
            neighbor.1.transitions = Some(2.0);
        }
        assert_eq!(
            titles(&calm, &back),
            ["leaf-a01: BGP neighbour swp31 was lost and established again"]
        );
    }

    #[test]
    fn a_restart_is_told_once_and_its_sessions_are_not_flaps() {
        let calm = reading(true, true, "established", 8_000_000.0);
        let mut back = reading(true, true, "established", 20.0);
        for neighbor in back.neighbors.iter_mut().flatten() {
            neighbor.1.transitions = Some(5.0);
        }
        assert_eq!(titles(&calm, &back), ["switch leaf-a01 was restarted"]);
    }

    #[test]
    fn an_unanswered_question_is_no_news() {
        let calm = reading(true, true, "established", 100.0);
        let partial = SwitchReading {
            segments: None,
            neighbors: None,
            ..reading(true, true, "established", 130.0)
        };
        let later = reading(true, true, "established", 160.0);
        assert!(titles(&calm, &partial).is_empty() && titles(&partial, &later).is_empty());
    }

    #[test]
    fn silence_is_one_open_event_that_is_closed() {
        let who = SwitchLabels {
            switch: "leaf-a01".to_owned(),
            ..SwitchLabels::default()
        };
        let open = silent(&who, 5_000, "connection refused");
        assert!(open.open);
        let closed = answers_again(&open, 65_000);
        assert_eq!((closed.id(), closed.end_ms), (open.id(), Some(65_000)));
    }
}
