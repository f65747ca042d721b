//! What people and devices write down: announced changes, alarms that the state sets off, the incident that the operations
//! centre opens about them, and remarks. Nothing here acts on the model; all but the changes follows from it.

use podscope_model::event::{Event, EventKind, Severity};
use podscope_model::labels::Labels;

use super::model::Model;
use super::model::physics::STEP;
use super::model::story::{BEGIN, Cause, PREFETCH_ON, ROLLBACK, SPINE_OUT, SPINES_REPLACED};
use super::state::Pod;

/// Seconds between two looks of the operations centre's rules, and how long something must last before it is an alarm.
const LOOK: f64 = 60.0;
const LASTS: f64 = 300.0;

/// The service desk's rule: what it looks at, when it is alarmed, and its words.
struct Rule {
    name: &'static str,
    domain: &'static str,
    title: &'static str,
    severity: Severity,
    broken: fn(&Model, f64) -> bool,
}

fn state(model: &Model, at: f64) -> &super::model::Step {
    &model.steps()[model.step_at(at - STEP)]
}

const RULES: [Rule; 5] = [
    Rule {
        name: "ecn",
        domain: "fabric",
        title: "ECN marks of the RoCE class above 1 %",
        severity: Severity::Error,
        broken: |model, at| state(model, at).physics.marks() > 0.01,
    },
    Rule {
        name: "pfc",
        domain: "fabric",
        title: "PFC pauses above 1 % on storage ports",
        severity: Severity::Warning,
        broken: |model, at| state(model, at).physics.pause > 0.01,
    },
    Rule {
        name: "latency",
        domain: "storage",
        title: "Mean NVMe-oF read latency three times its usual",
        severity: Severity::Error,
        broken: |model, at| state(model, at).physics.latency > 0.000_48,
    },
    Rule {
        name: "gpu",
        domain: "gpu",
        title: "Mean GPU utilisation below 70 %",
        severity: Severity::Warning,
        broken: |model, at| state(model, at).busy() < 0.70,
    },
    Rule {
        name: "queue",
        domain: "scheduler",
        title: "Queue wait P90 above the SLO of 10 min",
        severity: Severity::Critical,
        broken: |model, at| {
            model
                .waits(at, |_| true)
                .quantile(0.9)
                .is_none_or(|wait| wait > 600.0)
        },
    },
];

/// What is told about the pod between two moments, oldest first. `announced`: whether changes are.
pub fn timeline(pod: &Pod, announced: bool, (after_ms, until_ms): (i64, i64)) -> Vec<Event> {
    let mut events = changes(pod, announced);
    events.extend(chores(pod, until_ms));
    events.extend(pod.with(until_ms, |model, until| alarms(pod, model, until)));
    events.retain(|event| event.time_ms > after_ms && event.time_ms <= until_ms);
    events.sort_by_key(|event| event.time_ms);
    events
}

fn labels(pod: &Pod, more: &[(&str, &str)]) -> Labels {
    let own = [
        ("cluster", pod.topology().cluster()),
        ("pod", pod.topology().pod()),
    ];
    Labels::from_pairs(own.into_iter().chain(more.iter().copied()))
}

fn changes(pod: &Pod, announced: bool) -> Vec<Event> {
    let clock = pod.clock();
    let without = pod.with(clock.anchor_ms, |model, _| model.story().without.clone());
    let has = |cause| !without.contains(&cause);
    let mut events = Vec::new();
    let mut change = |at: f64, end: f64, title: &str, text: &str, more: &[(&str, &str)]| {
        let mut event = Event::new(EventKind::Change, "change-management", title, clock.wall_ms(at));
        event.end_ms = (end > at).then(|| clock.wall_ms(end));
        event.text = text.to_owned();
        event.labels = labels(pod, more);
        events.push(event);
    };
    if has(Cause::Spines) {
        change(
            SPINES_REPLACED,
            SPINES_REPLACED + 2.0 * SPINE_OUT + 240.0,
            "Fabric A: 2 spines replaced",
            "spine-a2 and spine-a3 were replaced one after the other; traffic moved to the others meanwhile.",
            &[("change", "CHG-20417"), ("domain", "fabric"), ("fabric", "a")],
        );
    }
    if announced && has(Cause::Prefetch) {
        change(
            PREFETCH_ON,
            PREFETCH_ON,
            "VAST FE rollout: aggressive prefetch ENABLED",
            "Setting data_prefetch_enabled of the storage cluster, all front ends.",
            &[("change", "CHG-20431"), ("domain", "storage")],
        );
    }
    if has(Cause::Prefetch) && has(Cause::Rollback) {
        change(
            ROLLBACK,
            ROLLBACK,
            "Rollback: VAST FE prefetch DISABLED",
            "Setting data_prefetch_enabled of the storage cluster, all front ends.",
            &[("change", "CHG-20436"), ("domain", "storage")],
        );
    }
    events
}

/// What happens anyway.
fn chores(pod: &Pod, until_ms: i64) -> Vec<Event> {
    let clock = pod.clock();
    let mut events = Vec::new();
    for drain in pod.with(until_ms, |model, _| model.drains().to_vec()) {
        let node = pod.topology().node_name(drain.node);
        let mut event = Event::new(
            EventKind::Alarm,
            "noc",
            format!("{node} drained: {}", drain.reason),
            clock.wall_ms(drain.from),
        );
        event.severity = Severity::Warning;
        event.labels = labels(
            pod,
            &[("node", &node), ("domain", "gpu"), ("alarm", "node-drained")],
        );
        match drain.until.is_finite() && clock.wall_ms(drain.until) <= until_ms {
            true => event.end_ms = Some(clock.wall_ms(drain.until)),
            false => event.open = true,
        }
        events.push(event);
    }
    // A power supply in a rack, twice a day.
    let mut at = BEGIN + 14_000.0;
    let mut number = 0;
    while clock.wall_ms(at) <= until_ms {
        let rack = format!("r{:02}", 1 + (number * 7 + 3) % 16);
        let mut event = Event::new(
            EventKind::Alarm,
            "noc",
            format!("PDU of rack {rack}: phase imbalance 11 %"),
            clock.wall_ms(at),
        );
        event.severity = Severity::Info;
        event.end_ms = Some(clock.wall_ms(at + 1_500.0));
        event.labels = labels(pod, &[("rack", &rack), ("domain", "facility"), ("alarm", "pdu")]);
        events.push(event);
        at += 39_000.0;
        number += 1;
    }
    events
}

/// Alarms, and the incident they are about: opened when the first two domains are alarmed.
fn alarms(pod: &Pod, model: &Model, until: f64) -> Vec<Event> {
    let clock = pod.clock();
    let mut events = Vec::new();
    let mut first_seen: Vec<(f64, &Rule)> = Vec::new();
    // The queue of the model's first hours has not found its level.
    let from = BEGIN + 6.0 * 3_600.0;
    for rule in &RULES {
        let mut since: Option<f64> = None;
        let mut open = false;
        let mut good_since: Option<f64> = None;
        let mut at = from;
        let mut spells: Vec<(f64, Option<f64>)> = Vec::new();
        while at <= until {
            if (rule.broken)(model, at) {
                good_since = None;
                let began = *since.get_or_insert(at);
                if !open && at - began >= LASTS {
                    open = true;
                    spells.push((at, None));
                }
            } else {
                since = None;
                let good = *good_since.get_or_insert(at);
                if open && at - good >= 2.0 * LASTS {
                    open = false;
                    if let Some(last) = spells.last_mut() {
                        last.1 = Some(at);
                    }
                }
            }
            at += LOOK;
        }
        for (began, ended) in spells {
            if began > PREFETCH_ON {
                first_seen.push((began, rule));
            }
            let mut event = Event::new(EventKind::Alarm, "noc", rule.title, clock.wall_ms(began));
            event.severity = rule.severity;
            event.labels = labels(pod, &[("alarm", rule.name), ("domain", rule.domain)]);
            event.key = format!("noc-{}", rule.name);
            event.end_ms = ended.map(|at| clock.wall_ms(at));
            event.open = ended.is_none();
            events.push(event);
        }
    }
    first_seen.sort_by(|a, b| a.0.total_cmp(&b.0));
    // The alarms came minutes after what they are about: the incident is dated back.
    let domains = |upto: usize| {
        let mut names: Vec<&str> = first_seen[..upto].iter().map(|(_, rule)| rule.domain).collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    };
    let declared = (1..=first_seen.len()).find(|upto| domains(*upto) >= 2);
    if let Some(upto) = declared {
        let (at, _) = first_seen[upto - 1];
        let began = first_seen[0].0 - LASTS;
        let mut incident = Event::new(
            EventKind::Incident,
            "noc",
            "SEV-1: EMEA Pod-2 slow: storage latency, ECN, GPUs starving",
            clock.wall_ms(began),
        );
        incident.severity = Severity::Critical;
        incident.open = true;
        incident.text = "Jobs of several tenants take far longer; queue wait is growing.".to_owned();
        incident.labels = labels(
            pod,
            &[
                ("incident", "INC-7731"),
                ("sev", "1"),
                ("scope", "emea/pod-2"),
                ("commander", "d.okafor"),
                ("status", "active"),
            ],
        );
        incident.key = "INC-7731".to_owned();
        events.push(incident);
        for (later, who, what) in [
            (
                300.0,
                "d.okafor",
                "War room open. Fabric, storage and platform on the call.",
            ),
            (
                1_500.0,
                "fabric",
                "Spines replaced yesterday carry traffic evenly, no errors: looks like a victim, not the cause.",
            ),
            (
                3_000.0,
                "storage",
                "Read amplification of the storage cluster is three times that of yesterday.",
            ),
        ] {
            let mut note = Event::new(EventKind::Note, "noc", what, clock.wall_ms(at + later));
            note.labels = labels(pod, &[("incident", "INC-7731"), ("author", who)]);
            events.push(note);
        }
    }
    events
}
