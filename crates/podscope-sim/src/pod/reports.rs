//! What switches and nodes say unasked, in their own words: links of replaced spines, sessions that went, pause storms.

use std::sync::Arc;

use super::model::story::{SPINE_OUT, SPINES_REPLACED};
use super::state::Pod;
use super::topology::{Fabric, Peer, Switch, Tier};
use crate::noise::unit;
use crate::senders::world::{Report, ReportWorld, Said, TrapReport, TrapValue};

/// See the module.
#[derive(Clone, Debug)]
pub struct PodReports(pub Arc<Pod>);

const LINK_DOWN: &str = "1.3.6.1.6.3.1.1.5.3";
const LINK_UP: &str = "1.3.6.1.6.3.1.1.5.4";

fn trap(t_ms: i64, host: &str, port: usize, name: &str, up: bool) -> Report {
    Report {
        t_ms,
        host: host.to_owned(),
        what: Said::Trap(TrapReport {
            oid: if up { LINK_UP } else { LINK_DOWN }.to_owned(),
            variables: vec![
                (
                    format!("1.3.6.1.2.1.2.2.1.1.{port}"),
                    TrapValue::Integer(port as i32),
                ),
                (format!("1.3.6.1.2.1.2.2.1.7.{port}"), TrapValue::Integer(1)),
                (
                    format!("1.3.6.1.2.1.2.2.1.8.{port}"),
                    TrapValue::Integer(if up { 1 } else { 2 }),
                ),
                (
                    format!("1.3.6.1.2.1.2.2.1.2.{port}"),
                    TrapValue::Text(name.to_owned()),
                ),
            ],
        }),
    }
}

fn line(t_ms: i64, host: &str, program: &str, severity: u8, text: String) -> Report {
    Report {
        t_ms,
        host: host.to_owned(),
        what: Said::Syslog {
            program: program.to_owned(),
            severity,
            text,
        },
    }
}

impl PodReports {
    /// The leaves lose their links to a spine, and have them back.
    fn spine(&self, number: usize, at: f64, reports: &mut Vec<Report>) {
        let pod = &self.0;
        let clock = pod.clock();
        if pod.spine_out(clock.wall_ms(at + 1.0)).is_none() {
            return;
        }
        let spine = Switch {
            fabric: Fabric::A,
            tier: Tier::Spine,
            number,
        };
        for (later, up) in [(0.0, false), (SPINE_OUT, true)] {
            for (_, peer) in pod.topology().ports(spine) {
                let Peer::Switch(there) = peer else { continue };
                let host = there.switch.name();
                // Within a few seconds of each other.
                let t_ms = clock.wall_ms(at + later + 0.2 * there.switch.number as f64);
                reports.push(trap(t_ms, &host, there.number, &there.name(), up));
                reports.push(line(
                    t_ms + 40,
                    &host,
                    "switchd",
                    if up { 5 } else { 4 },
                    format!(
                        "{}: link state changed to {}",
                        there.name(),
                        if up { "up" } else { "down" }
                    ),
                ));
                let word = if up { "Up" } else { "Down" };
                reports.push(line(
                    t_ms + 900,
                    &host,
                    "bgpd",
                    if up { 6 } else { 4 },
                    format!(
                        "%ADJCHANGE: neighbor {}({}) in vrf default {word}",
                        there.name(),
                        spine.name()
                    ),
                ));
            }
        }
    }

    /// Switches that stop adapters for long say so; nodes whose requests time out, too.
    fn minute(&self, minute: i64, reports: &mut Vec<Report>) {
        let pod = &self.0;
        let t_ms = minute * 60_000;
        let physics = pod.physics(t_ms);
        let dice = |stream: u64, at: u64| {
            unit(
                pod.seed() ^ 0x7379_736c,
                stream * 1_000 + at,
                minute.cast_unsigned(),
            )
        };
        for cnode in 0..pod.topology().cnodes() {
            if dice(1, cnode as u64) < (physics.pause - 0.01) * 4.0 {
                let host = format!("leaf-{}{:02}", if minute % 2 == 0 { "a" } else { "b" }, cnode + 1);
                reports.push(line(
                    t_ms + (dice(2, cnode as u64) * 59_000.0) as i64,
                    &host,
                    "switchd",
                    4,
                    format!(
                        "swp17: PFC pause frames received on priority 3 exceed threshold ({:.1} % of time)",
                        physics.pause * 100.0
                    ),
                ));
            }
        }
        for node in 0..pod.topology().nodes() {
            let late = (physics.latency / 0.000_16).powi(2) * 2e-5;
            if dice(3, node as u64) < late {
                reports.push(line(
                    t_ms + (dice(4, node as u64) * 59_000.0) as i64,
                    &pod.topology().node_name(node),
                    "kernel",
                    4,
                    "nvme nvme2: I/O tag 412 (a19c) type 4 opcode 0x2 (Read) QID 9 timeout".to_owned(),
                ));
            }
        }
        // Of no weight.
        if dice(5, 0) < 0.05 {
            reports.push(line(
                t_ms + 7_000,
                "leaf-b09",
                "smond",
                5,
                "Fan Tray 3, Fan 1: speed 21 % above its group's".to_owned(),
            ));
        }
    }
}

impl ReportWorld for PodReports {
    fn reports(&self, after_ms: i64, until_ms: i64) -> Vec<Report> {
        let mut reports = Vec::new();
        self.spine(2, SPINES_REPLACED, &mut reports);
        self.spine(3, SPINES_REPLACED + SPINE_OUT + 240.0, &mut reports);
        for minute in after_ms.div_euclid(60_000)..=until_ms.div_euclid(60_000) {
            self.minute(minute, &mut reports);
        }
        reports.retain(|report| report.t_ms > after_ms && report.t_ms <= until_ms);
        reports.sort_by_key(|report| report.t_ms);
        reports
    }
}
