//! What is known in lines of switches, nodes and storage. The forms are those of Cumulus Linux and FRR, SONiC, Arista EOS and
//! Cisco, the Linux kernel, Slurm; a line that is not recognised is none.

use std::sync::LazyLock;

use podscope_model::event::{EventKind, Severity};
use regex::Regex;

use super::line::Line;
use crate::kernel::line::finding;

/// Something a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The label `what`.
    pub what: &'static str,
    pub kind: EventKind,
    pub severity: Severity,
    /// What goes behind the host in the title.
    pub title: String,
    pub labels: Vec<(&'static str, String)>,
}

impl Known {
    fn new(what: &'static str, kind: EventKind, severity: Severity, title: impl Into<String>) -> Self {
        Self {
            what,
            kind,
            severity,
            title: title.into(),
            labels: Vec::new(),
        }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.labels.push((name, value.into()));
        self
    }
}

macro_rules! pattern {
    ($text:literal) => {{
        // A pattern that does not compile matches nothing, and fails the tests below.
        static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($text).ok());
        PATTERN.as_ref()
    }};
}

/// What the line says; `None` for the great majority.
pub fn known(line: &Line) -> Option<Known> {
    let text = line.text.as_str();
    evpn(text)
        .or_else(|| bgp(text))
        .or_else(|| link(text))
        .or_else(|| drops(text))
        .or_else(|| kernel(line))
        .or_else(|| platform(text))
        .or_else(|| slurm(line))
}

/// `swp1s0: link down`, `Line protocol on Interface Ethernet1, changed state to down`, `swp1: Lost carrier`.
fn link(text: &str) -> Option<Known> {
    let kernel = pattern!(
        r"\b([A-Za-z][\w./-]*\d[\w./-]*)(?:\)|:)*:? (?:NIC |PHY )?[Ll]ink (?:is |status definitely )?([Uu]p|[Dd]own)\b"
    );
    let updown =
        pattern!(r"%(?:LINEPROTO|LINK|ETHPORT)-\d-\w*(?:UP|DOWN)\w*:.*[Ii]nterface (\S+?),? .*\b(up|down)\b");
    let carrier = pattern!(r"\b([A-Za-z][\w./-]*\d[\w./-]*): (Lost|Gained) carrier\b");
    let sonic = pattern!(r"Set operation status (UP|DOWN) to host interface (\S+)");
    let (interface, word) = [kernel, updown, carrier]
        .into_iter()
        .flatten()
        .find_map(|pattern| pattern.captures(text))
        .map(|found| (found[1].to_owned(), found[2].to_ascii_lowercase()))
        .or_else(|| {
            let found = sonic?.captures(text)?;
            Some((found[2].to_owned(), found[1].to_ascii_lowercase()))
        })?;
    let up = matches!(word.as_str(), "up" | "gained");
    let (word, severity) = match up {
        true => ("up", Severity::Info),
        false => ("down", Severity::Error),
    };
    let known = Known::new(
        "link",
        EventKind::Link,
        severity,
        format!("{interface} went {word}"),
    );
    Some(known.with("interface", interface).with("state", word))
}

/// `%ADJCHANGE: neighbor swp31(spine01) in vrf default Down Interface down` and other vendors' forms.
fn bgp(text: &str) -> Option<Known> {
    if !text.contains("ADJCHANGE") && !text.contains("BFD-") {
        return None;
    }
    let frr = pattern!(r"ADJCHANGE: neighbor ([^\s(]+)(?:\(([^)]*)\))?.*?\b(Up|Down)\b ?(.*)$");
    let eos = pattern!(r"ADJCHANGE: peer (\S+) .*old state (\w+) .*new state (\w+)");
    let bfd =
        pattern!(r"BFD-\d-\w+: .*?(?:ip|neighbor)[: ]([0-9a-fA-F.:]+).*changed state from (\w+) to (\w+)");
    let (peer, state, why) = if let Some(found) = frr.and_then(|pattern| pattern.captures(text)) {
        let name = found.get(2).map_or("", |name| name.as_str());
        let peer = match name {
            "" => found[1].to_owned(),
            name => format!("{} ({name})", &found[1]),
        };
        (peer, found[3].to_ascii_lowercase(), found[4].trim().to_owned())
    } else if let Some(found) = eos
        .and_then(|pattern| pattern.captures(text))
        .or_else(|| bfd.and_then(|pattern| pattern.captures(text)))
    {
        let up = matches!(&found[3], "Established" | "Up" | "up");
        let was_up = matches!(&found[2], "Established" | "Up" | "up");
        if !up && !was_up {
            return None;
        }
        let state = if up { "up" } else { "down" };
        (found[1].to_owned(), state.to_owned(), String::new())
    } else {
        return None;
    };
    let severity = if state == "up" {
        Severity::Info
    } else {
        Severity::Error
    };
    let mut title = format!("BGP neighbour {peer} went {state}");
    if !why.is_empty() {
        title = format!("{title}: {why}");
    }
    let id = peer.split(' ').next().unwrap_or_default().to_owned();
    let known = Known::new("bgp", EventKind::Link, severity, title);
    Some(known.with("peer_id", id).with("state", state))
}

/// A line about who forwards for an Ethernet segment.
fn evpn(text: &str) -> Option<Known> {
    let found = pattern!(
        r"(?i)\b(?:ESI?|ethernet[- ]segment)\b\W*((?:[0-9a-f]{2}:){9}[0-9a-f]{2})?.*?\b(non-DF|DF|designated[- ]forward\w*|oper-(?:up|down))\b"
    )?
    .captures(text)?;
    let segment = found
        .get(1)
        .map_or(String::new(), |esi| esi.as_str().to_ascii_lowercase());
    let title: String = text.chars().take(200).collect();
    let known = Known::new("evpn_failover", EventKind::Link, Severity::Warning, title);
    Some(known.with("esi", segment))
}

/// Drops and pause storms that a switch tells of.
fn drops(text: &str) -> Option<Known> {
    let storm = pattern!(
        r"(?i)PFC (?:watchdog )?(?:detected )?(?:PFC )?storm\b.*?(?:on|port|queue) (?:queue |port )?([\w./:-]+)"
    );
    if let Some(found) = storm.and_then(|pattern| pattern.captures(text)) {
        let known = Known::new(
            "pfc_storm",
            EventKind::Alarm,
            Severity::Critical,
            format!("PFC storm on {}", &found[1]),
        );
        return Some(known.with("interface", &found[1]));
    }
    let drop = pattern!(
        r"(?i)\b(?:(?:packet|buffer|tail|congestion|ingress|egress|wred|lossless)[- ](?:drop|discard)s?)\b.*?\b((?:swp|Ethernet|eth|en)[\w./-]*\d)?"
    );
    let found = drop.and_then(|pattern| pattern.captures(text))?;
    let interface = found
        .get(1)
        .map_or(String::new(), |name| name.as_str().to_owned());
    let title: String = text.chars().take(200).collect();
    let known = Known::new("drops", EventKind::Alarm, Severity::Warning, title);
    Some(known.with("interface", interface))
}

/// What the kernel of a node says of its GPUs, disks and memory.
fn kernel(line: &Line) -> Option<Known> {
    if !matches!(line.program.as_str(), "" | "kernel") {
        return None;
    }
    let found = finding(&line.text)?;
    let kind = match found.kind {
        "xid" | "sxid" => EventKind::Xid,
        _ => EventKind::Alarm,
    };
    let what = found.kind.replace('_', " ");
    let mut title = match found.number {
        Some(number) => format!("{} {number}", what.to_ascii_uppercase()),
        None => what,
    };
    if !found.device.is_empty() {
        title = format!("{title} on {}", found.device);
    }
    let mut known = Known::new(found.kind, kind, found.severity(), title);
    if let Some(number) = found.number {
        known = known.with(found.kind, number.to_string());
    }
    known = known
        .with("device", found.device.as_str())
        .with("process", found.process.as_str());
    if let Some(pid) = found.pid {
        known = known.with("pid", pid.to_string());
    }
    Some(known)
}

/// Fans, power supplies, temperatures; a switch that is restarted.
fn platform(text: &str) -> Option<Known> {
    let sensor = pattern!(
        r"(?i)\b((?:PSU|fan|temp|voltage)[\w/-]*(?:\([^)]*\))?):? state changed from (\w+) to (\w+)"
    );
    if let Some(found) = sensor.and_then(|pattern| pattern.captures(text)) {
        let good = found[3].eq_ignore_ascii_case("ok");
        let severity = if good { Severity::Info } else { Severity::Error };
        let title = format!("{} is {}", &found[1], &found[3]);
        let known = Known::new("sensor", EventKind::Alarm, severity, title);
        return Some(
            known
                .with("entity", &found[1])
                .with("state", found[3].to_ascii_lowercase()),
        );
    }
    let restart = pattern!(
        r"(?i)(?:system is (?:rebooting|going down)|reached target (?:reboot|system reboot)|initiating (?:system )?reboot)"
    )?;
    restart.is_match(text).then(|| {
        Known::new(
            "restart",
            EventKind::Alarm,
            Severity::Warning,
            "is being restarted",
        )
    })
}

/// Nodes that Slurm loses.
fn slurm(line: &Line) -> Option<Known> {
    if line.program != "slurmctld" {
        return None;
    }
    let found = pattern!(r"[Nn]odes? (\S+) not responding(, setting DOWN)?")?.captures(&line.text)?;
    let down = found.get(2).is_some();
    let (severity, word) = match down {
        true => (Severity::Error, "is down"),
        false => (Severity::Warning, "does not respond"),
    };
    let known = Known::new(
        "slurm_node",
        EventKind::Alarm,
        severity,
        format!("Slurm node {} {word}", &found[1]),
    );
    Some(known.with("node", &found[1]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(program: &str, text: &str) -> Line {
        Line {
            time_ms: None,
            host: "leaf-a01".to_owned(),
            program: program.to_owned(),
            pid: None,
            severity: None,
            text: text.to_owned(),
            structured: false,
        }
    }

    #[test]
    fn lines_of_many_vendors_are_understood() {
        for (program, text, what, title) in [
            (
                "kernel",
                "mlxsw_spectrum3 0000:03:00.0 swp1s0: link down",
                "link",
                "swp1s0 went down",
            ),
            (
                "kernel",
                "mlx5_core 0000:5e:00.0 ens1f0np0: Link up",
                "link",
                "ens1f0np0 went up",
            ),
            (
                "kernel",
                "ixgbe 0000:01:00.0 eth0: NIC Link is Down",
                "link",
                "eth0 went down",
            ),
            (
                "kernel",
                "bond1: (slave swp7): link status definitely down, disabling slave",
                "link",
                "swp7 went down",
            ),
            (
                "systemd-networkd",
                "swp12: Lost carrier",
                "link",
                "swp12 went down",
            ),
            (
                "Ebra",
                "%LINEPROTO-5-UPDOWN: Line protocol on Interface Ethernet12/1, changed state to down",
                "link",
                "Ethernet12/1 went down",
            ),
            (
                "orchagent",
                "Set operation status DOWN to host interface Ethernet68",
                "link",
                "Ethernet68 went down",
            ),
            (
                "bgpd",
                "%ADJCHANGE: neighbor swp31(spine01) in vrf default Down Interface down",
                "bgp",
                "BGP neighbour swp31 (spine01) went down: Interface down",
            ),
            (
                "bgpd",
                "%ADJCHANGE: neighbor 10.0.0.1 in vrf default Up",
                "bgp",
                "BGP neighbour 10.0.0.1 went up",
            ),
            (
                "Bgp",
                "%BGP-5-ADJCHANGE: peer 192.0.2.2 (VRF default AS 12345) old state Established event AdminReset new state Idle",
                "bgp",
                "BGP neighbour 192.0.2.2 went down",
            ),
            (
                "zebra",
                "ES 03:44:38:39:ff:06:08:00:00:24 is now non-DF",
                "evpn_failover",
                "ES 03:44:38:39:ff:06:08:00:00:24 is now non-DF",
            ),
            (
                "orchagent",
                "PFC Watchdog detected PFC storm on queue Ethernet4:3",
                "pfc_storm",
                "PFC storm on Ethernet4:3",
            ),
            (
                "wjhd",
                "buffer drop: swp5 tail drop - Traffic class 3 threshold exceeded",
                "drops",
                "buffer drop: swp5 tail drop - Traffic class 3 threshold exceeded",
            ),
            (
                "kernel",
                "NVRM: Xid (PCI:0018:01:00): 79, pid=1, GPU has fallen off the bus.",
                "xid",
                "XID 79 on 0018:01:00",
            ),
            (
                "smond",
                ": PSU1(PSU1 input): state changed from OK to BAD",
                "sensor",
                "PSU1(PSU1 input) is BAD",
            ),
            (
                "systemd",
                "Reached target Reboot.",
                "restart",
                "is being restarted",
            ),
            (
                "slurmctld",
                "error: Nodes n[1-3] not responding, setting DOWN",
                "slurm_node",
                "Slurm node n[1-3] is down",
            ),
        ] {
            let found = known(&line(program, text));
            let found = found.as_ref().map(|known| (known.what, known.title.as_str()));
            assert_eq!(found, Some((what, title)), "{text}");
        }
    }

    #[test]
    fn ordinary_lines_say_nothing() {
        for (program, text) in [
            ("sshd", "Accepted publickey for ops from 10.0.0.1 port 22 ssh2"),
            ("bgpd", "%MAXPFX: no"),
            ("kernel", "usb 1-1: new high-speed USB device number 5"),
            (
                "Bgp",
                "%BGP-5-ADJCHANGE: peer 192.0.2.2 (VRF default AS 1) old state Connect event Stop new state Idle",
            ),
            ("cron", "(root) CMD (link up the files)"),
            ("app", "NVRM: Xid (PCI:0018:01:00): 79, pid=1"),
            ("", ""),
        ] {
            assert_eq!(known(&line(program, text)), None, "{text}");
        }
    }
}
