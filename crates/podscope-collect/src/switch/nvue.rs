//! From NVUE's JSON to a reading. Shapes: CumulusNetworks/docs, "NVUE API" and the show commands of QoS, interfaces, BGP and
//! EVPN multihoming, Cumulus Linux 5.4 to 5.15. Keys come and go between releases; what is not there stays unknown.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::quantity::{number, seconds, speed};
use super::reading::{
    BgpNeighbor, ClassReading, GroupReading, InterfaceReading, PauseReading, Segment, SwitchReading,
};

/// Interfaces of one switch that are read; a modular chassis has fewer.
const MOST_INTERFACES: usize = 1024;
/// Neighbours and segments of one switch.
const MOST_PEERS: usize = 4096;

/// Which traffic class and priority group the RoCE counters are about: NVUE's answer does not say.
#[derive(Clone, Copy, Debug)]
pub struct RoceClass(pub u8);

/// `/system`.
pub fn system(answer: &Value, reading: &mut SwitchReading) {
    let text = |key: &str| answer.get(key).and_then(Value::as_str).map(str::to_owned);
    let version = answer.get("version");
    let inner = |key: &str| {
        version
            .and_then(|version| version.get(key))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    reading.build = text("build")
        .or_else(|| inner("build"))
        .or_else(|| inner("image"))
        .or_else(|| text("product-release"));
    reading.model = text("product-name")
        .or_else(|| text("platform"))
        .or_else(|| inner("model"));
    reading.host_name = text("hostname");
    reading.uptime_seconds = answer.get("uptime").and_then(seconds);
}

/// `/revision?filter...` or `/revision/applied`: what is applied now, as one word.
pub fn applied_revision(answer: &Value) -> Option<String> {
    let object = answer.as_object()?;
    let word = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    if let Some(id) = ["apply-id", "rev-id", "id"]
        .iter()
        .find_map(|key| object.get(*key))
    {
        return word(id);
    }
    // `/revision`: an object of revisions, of which one or several are applied; the highest is the last.
    let applied = object.iter().filter(|(_, revision)| {
        revision
            .get("state")
            .is_some_and(|state| state.as_str() == Some("applied") || state.get("applied").is_some())
    });
    applied
        .map(|(id, _)| id.clone())
        .max_by_key(|id| (id.parse::<u64>().unwrap_or(0), id.clone()))
}

/// `/interface?rev=operational`, with counters where they were asked for and given.
pub fn interfaces(answer: &Value, roce: RoceClass, reading: &mut SwitchReading) {
    let Some(list) = answer.as_object() else { return };
    for (name, value) in list.iter().take(MOST_INTERFACES) {
        // Bridges, loopbacks and the management port have no share in the fabric.
        let kind = value.get("type").and_then(Value::as_str).unwrap_or("swp");
        if !matches!(kind, "swp" | "bond") || value.as_object().is_none() {
            continue;
        }
        let into = reading.interfaces.entry(name.clone()).or_default();
        link(value, into);
        if let Some(counters) = value.get("counters") {
            qos_counters(counters.get("qos").unwrap_or(counters), into);
        }
        if let Some(qos) = value.get("qos") {
            if let Some(counters) = qos.get("counters") {
                qos_counters(counters, into);
            }
            if let Some(counters) = qos.get("roce").and_then(|roce| roce.get("counters")) {
                roce_counters(counters, roce, into);
            }
        }
    }
}

fn link(value: &Value, into: &mut InterfaceReading) {
    if let Some(link) = value.get("link") {
        let stats = link.get("stats");
        let stat = |key: &str| stats.and_then(|stats| stats.get(key)).and_then(number);
        let own = |key: &str| link.get(key).and_then(number);
        let is_up = |word: &str| match word {
            "up" => Some(true),
            "down" => Some(false),
            _ => None,
        };
        // `"state": {"up": {}}`; newer releases say `"oper-status": "up"` too.
        into.up = match link.get("state") {
            Some(Value::Object(state)) => state.keys().find_map(|word| is_up(word)),
            Some(Value::String(word)) => is_up(word),
            _ => None,
        }
        .or_else(|| link.get("oper-status").and_then(Value::as_str).and_then(is_up));
        into.speed_bits_per_second = link.get("speed").and_then(speed);
        into.mtu_bytes = own("mtu");
        into.carrier_transitions = stat("carrier-transitions").or_else(|| own("carrier-transitions"));
        into.carrier_down = own("carrier-down-count");
        into.in_octets = stat("in-bytes");
        into.out_octets = stat("out-bytes");
        into.in_drops = stat("in-drops");
        into.out_drops = stat("out-drops");
        into.in_errors = stat("in-errors");
        into.out_errors = stat("out-errors");
    }
    let neighbors = value.get("lldp").and_then(|lldp| lldp.get("neighbor"));
    if let Some((name, neighbor)) = neighbors
        .and_then(Value::as_object)
        .and_then(|neighbors| neighbors.iter().next())
    {
        let at = |outer: &str, key: &str| {
            let found = neighbor.get(outer).and_then(|found| found.get(key));
            found.and_then(Value::as_str).filter(|text| !text.is_empty())
        };
        let system = at("chassis", "system-name").unwrap_or(name);
        let port = at("port", "name").unwrap_or_default();
        into.neighbor = Some((system.to_owned(), port.to_owned()));
    }
}

/// `/interface/{id}/counters/qos`, or `/interface/{id}/qos/counters` up to 5.4.
pub fn qos_counters(answer: &Value, into: &mut InterfaceReading) {
    for (class, stats) in numbered(answer, "egress-queue-stats") {
        let stat = |key: &str| stats.get(key).and_then(number);
        let class = into.classes.entry(class).or_default();
        *class = ClassReading {
            tx_frames: stat("tx-frames"),
            tx_octets: stat("tx-bytes"),
            ecn_marked: stat("ecn-marked-frames").or_else(|| stat("ecn-marked-packets")),
            wred_discards: stat("wred-discards"),
            buffer_discards: stat("tx-uc-buffer-discards"),
            ..class.clone()
        };
    }
    for (group, stats) in numbered(answer, "ingress-buffer-stats") {
        let stat = |key: &str| stats.get(key).and_then(number);
        let group = into.groups.entry(group).or_default();
        *group = GroupReading {
            rx_frames: stat("rx-frames"),
            rx_octets: stat("rx-bytes"),
            buffer_discards: stat("rx-buffer-discards"),
            shared_discards: stat("rx-shared-buffer-discards"),
            ..group.clone()
        };
    }
    for (priority, stats) in numbered(answer, "pfc-stats") {
        let stat = |key: &str| stats.get(key).and_then(number);
        let pause = PauseReading {
            rx_frames: stat("rx-pause-frames"),
            rx_duration: stat("rx-pause-duration"),
            tx_frames: stat("tx-pause-frames"),
            tx_duration: stat("tx-pause-duration"),
        };
        into.pauses.insert(priority, pause);
    }
    let marked = answer
        .get("port-stats")
        .and_then(|stats| stats.get("ecn-marked-packets"));
    into.ecn_marked = marked.and_then(number).or(into.ecn_marked);
}

/// `/interface/{id}/qos/roce/counters`.
pub fn roce_counters(answer: &Value, class: RoceClass, into: &mut InterfaceReading) {
    let at = |way: [&str; 3]| {
        way.iter()
            .try_fold(answer, |value, key| value.get(*key))
            .and_then(number)
    };
    into.ecn_marked = at(["tx-stats", "tx-ecn-stats", "ecn-marked-packets"]).or(into.ecn_marked);
    let usage = at(["tx-stats", "tx-roce-stats", "tc-usage"]);
    let most = at(["tx-stats", "tx-roce-stats", "tc-max-usage"]);
    if usage.or(most).is_some() {
        let class = into.classes.entry(class.0).or_default();
        class.occupancy_bytes = usage;
        class.watermark_bytes = most;
    }
    let usage = at(["rx-stats", "rx-roce-stats", "pg-usage"]);
    let most = at(["rx-stats", "rx-roce-stats", "pg-max-usage"]);
    if usage.or(most).is_some() {
        let group = into.groups.entry(class.0).or_default();
        group.occupancy_bytes = usage;
        group.watermark_bytes = most;
    }
}

/// The entries `"0"` to `"15"` of a table.
fn numbered<'a>(answer: &'a Value, table: &str) -> impl Iterator<Item = (u8, &'a Map<String, Value>)> {
    let table = answer.get(table).and_then(Value::as_object);
    table.into_iter().flatten().filter_map(|(number, stats)| {
        let number = number.parse::<u8>().ok().filter(|number| *number < 16)?;
        Some((number, stats.as_object()?))
    })
}

/// `/vrf/default/router/bgp/neighbor?rev=operational`.
pub fn neighbors(answer: &Value, reading: &mut SwitchReading) {
    let empty = Map::new();
    let list = match answer {
        Value::Object(list) => list,
        // "Empty answer = {} or null".
        Value::Null => &empty,
        _ => return,
    };
    let mut found = BTreeMap::new();
    for (id, value) in list.iter().take(MOST_PEERS) {
        let Some(state) = value.get("state").and_then(Value::as_str) else {
            continue;
        };
        let first = |keys: &[&str]| keys.iter().find_map(|key| value.get(*key)).and_then(number);
        let messages = |direction: &str| {
            let outer = value.get("message-stats").or_else(|| value.get("msgs"));
            outer.and_then(|outer| outer.get(direction)).and_then(number)
        };
        let families = value.get("address-family").and_then(Value::as_object);
        let prefixes = families.into_iter().flatten().filter_map(|(family, stats)| {
            let count = ["accepted-prefix", "prefix-received", "accepted-prefixes"]
                .iter()
                .find_map(|key| stats.get(*key))?;
            Some((family.clone(), number(count)?))
        });
        found.insert(
            id.clone(),
            BgpNeighbor {
                state: state.to_ascii_lowercase(),
                peer_as: first(&["remote-as", "peer-as"]),
                transitions: first(&["connections-established", "established-transitions"]),
                messages_received: first(&["msgs-received", "messages-received"])
                    .or_else(|| messages("total-received")),
                messages_sent: first(&["msgs-sent", "messages-sent"]).or_else(|| messages("total-sent")),
                prefixes: prefixes.collect(),
            },
        );
    }
    reading.neighbors = Some(found);
}

/// `/evpn/multihoming/esi?rev=operational`.
pub fn segments(answer: &Value, reading: &mut SwitchReading) {
    let empty = Map::new();
    let list = match answer {
        Value::Object(list) => list,
        Value::Null => &empty,
        _ => return,
    };
    let mut found = BTreeMap::new();
    for (esi, value) in list.iter().take(MOST_PEERS) {
        let Some(flags) = value.get("flags").and_then(Value::as_object) else {
            continue;
        };
        let on = |flag: &str| flags.get(flag).and_then(Value::as_str) == Some("on");
        // Segments that only others have are not this switch's to forward.
        if !on("local") {
            continue;
        }
        let forwarder = match (on("designated-forward"), on("non-designated-forward")) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            _ => None,
        };
        let up = flags
            .get("oper-up")
            .and_then(Value::as_str)
            .map(|word| word == "on");
        found.insert(
            esi.clone(),
            Segment {
                interface: value
                    .get("local-interface")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                designated_forwarder: forwarder,
                up,
                remote_vteps: value
                    .get("remote-vtep")
                    .and_then(Value::as_object)
                    .map_or(0, |vteps| vteps.len() as u64),
            },
        );
    }
    reading.segments = Some(found);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As `GET /interface?rev=operational` of Cumulus Linux 5.6 answers.
    #[test]
    fn an_interface_is_read_with_its_neighbour() {
        let answer = json!({"swp1": {"ifindex": 4, "ip": {"address": {}}, "link": {"auto-negotiate": "on", "duplex": "full",
            "mac": "1c:34:da:00:00:01", "mtu": 9216, "speed": "1G", "state": {"down": {}}, "stats": {"carrier-transitions": 1,
            "in-bytes": 17, "in-drops": 0, "in-errors": 0, "in-pkts": 3, "out-bytes": "13.47 MB", "out-drops": 5,
            "out-errors": 0, "out-pkts": 0}, "troubleshooting-info": "Cable is unplugged."},
            "lldp": {"neighbor": {"mac-of-it": {"age": "698044", "chassis": {"chassis-id": "x", "system-name": "spine01",
            "management-address-ipv4": "10.0.0.1"}, "port": {"name": "Ethernet2", "type": "ifname", "ttl": 120}}}},
            "type": "swp"}, "lo": {"type": "loopback"}, "eth0": {"type": "eth", "link": {"state": {"up": {}}}}});
        let mut reading = SwitchReading::default();
        interfaces(&answer, RoceClass(3), &mut reading);
        assert_eq!(reading.interfaces.keys().collect::<Vec<_>>(), ["swp1"]);
        let swp1 = &reading.interfaces["swp1"];
        assert_eq!(swp1.up, Some(false));
        assert_eq!(swp1.speed_bits_per_second, Some(1e9));
        assert_eq!(swp1.out_octets, Some(13_470_000.0));
        assert_eq!(swp1.in_drops, Some(0.0), "a counter that says 0 is 0");
        assert_eq!(swp1.carrier_down, None, "and one that is not there is nothing");
        assert_eq!(
            swp1.neighbor,
            Some(("spine01".to_owned(), "Ethernet2".to_owned()))
        );
    }

    #[test]
    fn counters_of_queues_buffers_and_priorities_are_told_apart() {
        let answer = json!({
            "egress-queue-stats": {"3": {"tx-frames": 100, "tx-bytes": "13.47 MB", "tx-uc-buffer-discards": 1,
                "wred-discards": 2, "ecn-marked-frames": 48}, "x": {}, "99": {"tx-frames": 1}},
            "ingress-buffer-stats": {"3": {"rx-frames": 7, "rx-buffer-discards": 8, "rx-shared-buffer-discards": 9}},
            "pfc-stats": {"3": {"rx-pause-frames": 4, "rx-pause-duration": 500, "tx-pause-frames": 6}},
            "port-stats": {"ecn-marked-packets": 48}});
        let mut interface = InterfaceReading::default();
        qos_counters(&answer, &mut interface);
        assert_eq!(interface.classes.len(), 1, "only numbered classes");
        assert_eq!(interface.classes[&3].ecn_marked, Some(48.0));
        assert_eq!(interface.classes[&3].tx_octets, Some(13_470_000.0));
        assert_eq!(interface.groups[&3].shared_discards, Some(9.0));
        assert_eq!(interface.pauses[&3].rx_duration, Some(500.0));
        assert_eq!(interface.pauses[&3].tx_duration, None);
        let roce = json!({"rx-stats": {"rx-roce-stats": {"pg-usage": "1 KiB", "pg-max-usage": 4096}},
            "tx-stats": {"tx-ecn-stats": {"ecn-marked-packets": 693_777_677_344_u64},
            "tx-roce-stats": {"tc-usage": "0 Bytes"}}});
        roce_counters(&roce, RoceClass(3), &mut interface);
        assert_eq!(interface.ecn_marked, Some(693_777_677_344.0));
        assert_eq!(interface.classes[&3].occupancy_bytes, Some(0.0));
        assert_eq!(
            interface.classes[&3].ecn_marked,
            Some(48.0),
            "what was known stays"
        );
        assert_eq!(interface.groups[&3].watermark_bytes, Some(4096.0));
    }

    #[test]
    fn a_segment_says_who_forwards() {
        let answer = json!({"03:44:38:39:ff:06:08:00:00:24": {"df-preference": 50000, "flags": {"local": "on",
            "ready-for-bgp": "on", "bridge-port": "on", "designated-forward": "on", "remote": "on", "oper-up": "on"},
            "local-interface": "bond_1_14_18", "mac-count": 1, "vni-count": 1, "remote-vtep": {"172.31.2.16": {}}},
            "03:44:38:39:ff:06:08:00:00:25": {"flags": {"local": "on", "non-designated-forward": "on"}},
            "03:44:38:39:ff:06:08:00:00:26": {"flags": {"remote": "on"}}});
        let mut reading = SwitchReading::default();
        segments(&answer, &mut reading);
        let found: Vec<Option<bool>> = reading
            .segments
            .expect("answered")
            .values()
            .map(|segment| segment.designated_forwarder)
            .collect();
        assert_eq!(found, [Some(true), Some(false)], "remote segments are not ours");
        let mut none = SwitchReading::default();
        segments(&Value::Null, &mut none);
        assert_eq!(
            none.segments.map(|list| list.len()),
            Some(0),
            "null is an empty list"
        );
        let mut wrong = SwitchReading::default();
        segments(&json!([1, 2]), &mut wrong);
        assert_eq!(wrong.segments, None, "another shape is no answer");
    }

    #[test]
    fn the_revision_that_is_applied_is_found_in_either_shape() {
        for (answer, expected) in [
            (json!({"apply-id": 14}), Some("14")),
            (json!({"rev-id": "rev_14_apply_2"}), Some("rev_14_apply_2")),
            (
                json!({"9": {"state": "applied"}, "12": {"state": "applied"}, "13": {"state": "pending"}, "applied": {}}),
                Some("12"),
            ),
            (json!({}), None),
            (json!(null), None),
        ] {
            assert_eq!(applied_revision(&answer).as_deref(), expected, "{answer}");
        }
    }
}
