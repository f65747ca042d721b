//! The JSON of NVUE's answers. Shapes: CumulusNetworks/docs, "NVUE API" and the show commands, Cumulus Linux 5.5 to 5.15.

use serde_json::{Map, Value, json};

use super::world::{InterfaceState, SwitchState};

/// How numbers are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) text_numbers: bool,
}

pub(super) fn system(state: &SwitchState) -> Value {
    json!({
        "build": state.build, "hostname": state.name, "timezone": "Etc/UTC", "uptime": state.uptime_seconds,
        "product-name": state.model,
    })
}

pub(super) fn revisions(state: &SwitchState) -> Value {
    let mut list = Map::new();
    let last = state.applied_revision;
    for number in last.saturating_sub(2)..=last {
        list.insert(
            number.to_string(),
            json!({ "state": "applied", "transition": {} }),
        );
    }
    list.insert("startup".to_owned(), json!({ "state": "inactive" }));
    Value::Object(list)
}

/// All interfaces. Without `rev=operational` it is their configuration, which has no counters.
pub(super) fn interfaces(state: &SwitchState, form: Form, operational: bool, queues: bool) -> Value {
    let mut list = Map::new();
    for interface in &state.interfaces {
        let mut one = json!({ "type": "swp", "link": { "mtu": 9216 } });
        if operational {
            one["link"] = form.link(interface);
            if let Some(neighbor) = &interface.neighbor {
                let chassis = json!({ "chassis-id": interface.mac, "system-name": neighbor.system });
                let port = json!({ "name": neighbor.port, "type": "ifname", "ttl": 120 });
                one["lldp"] = json!({ "neighbor": { &neighbor.system: { "age": "698044", "chassis": chassis, "port": port } } });
            }
        }
        if queues {
            one["counters"] = json!({ "qos": form.qos(interface) });
            one["qos"] = json!({ "roce": { "counters": form.roce(interface, 3) } });
        }
        list.insert(interface.name.clone(), one);
    }
    list.insert(
        "lo".to_owned(),
        json!({ "type": "loopback", "link": { "state": { "up": {} } } }),
    );
    Value::Object(list)
}

pub(super) fn neighbors(state: &SwitchState) -> Value {
    let list = state.neighbors.iter().map(|neighbor| {
        let families = neighbor
            .prefixes
            .iter()
            .map(|(family, count)| (family.clone(), json!({ "accepted-prefix": count })));
        let value = json!({
            "state": neighbor.state, "remote-as": neighbor.peer_as, "uptime": neighbor.uptime_seconds,
            "connections-established": neighbor.transitions, "msgs-received": neighbor.messages_received,
            "msgs-sent": neighbor.messages_sent, "address-family": families.collect::<Map<String, Value>>(),
        });
        (neighbor.id.clone(), value)
    });
    Value::Object(list.collect())
}

pub(super) fn segments(state: &SwitchState) -> Value {
    let list = state.segments.iter().map(|segment| {
        let mut flags = json!({ "local": "on", "ready-for-bgp": "on", "bridge-port": "on", "remote": "on" });
        let forward = match segment.designated_forwarder {
            true => "designated-forward",
            false => "non-designated-forward",
        };
        flags[forward] = json!("on");
        flags["oper-up"] = json!(if segment.up { "on" } else { "off" });
        let vteps: Map<String, Value> = segment
            .remote_vteps
            .iter()
            .map(|vtep| (vtep.clone(), json!({})))
            .collect();
        let value = json!({
            "df-preference": 50000, "flags": flags, "local-interface": segment.interface, "mac-count": 1,
            "vni-count": 1, "remote-vtep": vteps,
        });
        (segment.esi.clone(), value)
    });
    Value::Object(list.collect())
}

impl Form {
    fn count(self, number: u64) -> Value {
        match self.text_numbers {
            true => json!(number.to_string()),
            false => json!(number),
        }
    }

    fn bytes(self, bytes: u64) -> Value {
        if !self.text_numbers {
            return json!(bytes);
        }
        json!(match bytes {
            0..1_000_000 => format!("{bytes} Bytes"),
            _ => format!("{:.2} MB", bytes as f64 / 1e6),
        })
    }

    fn link(self, interface: &InterfaceState) -> Value {
        let traffic = &interface.traffic;
        let word = if interface.up { "up" } else { "down" };
        json!({
            "auto-negotiate": "on", "duplex": "full", "mac": interface.mac, "mtu": 9216,
            "speed": format!("{}G", interface.speed_bits_per_second / 1_000_000_000), "state": { word: {} },
            "oper-status": word, "admin-status": "up",
            "stats": {
                "carrier-transitions": interface.carrier_transitions,
                "in-bytes": self.count(traffic.in_bytes), "in-drops": self.count(traffic.in_drops),
                "in-errors": self.count(traffic.in_errors), "in-pkts": self.count(traffic.in_packets),
                "out-bytes": self.count(traffic.out_bytes), "out-drops": self.count(traffic.out_drops),
                "out-errors": self.count(traffic.out_errors), "out-pkts": self.count(traffic.out_packets),
            },
        })
    }

    pub(super) fn qos(self, interface: &InterfaceState) -> Value {
        let numbered = |list: Vec<(u8, Value)>| -> Map<String, Value> {
            list.into_iter()
                .map(|(number, value)| (number.to_string(), value))
                .collect()
        };
        let classes = interface.classes.iter().map(|(number, class)| {
            let value = json!({
                "tx-frames": self.count(class.tx_frames), "tx-bytes": self.count(class.tx_bytes),
                "tx-uc-buffer-discards": self.count(class.buffer_discards),
                "wred-discards": self.count(class.wred_discards), "ecn-marked-frames": self.count(class.ecn_marked),
            });
            (*number, value)
        });
        let groups = interface.groups.iter().map(|(number, group)| {
            let value = json!({
                "rx-frames": self.count(group.rx_frames), "rx-bytes": self.count(group.rx_bytes),
                "rx-buffer-discards": self.count(group.buffer_discards),
                "rx-shared-buffer-discards": self.count(group.shared_discards),
            });
            (*number, value)
        });
        let pauses = interface.pauses.iter().map(|(number, pause)| {
            let value = json!({
                "rx-pause-frames": self.count(pause.rx_frames), "rx-pause-duration": self.count(pause.rx_microseconds),
                "tx-pause-frames": self.count(pause.tx_frames), "tx-pause-duration": self.count(pause.tx_microseconds),
            });
            (*number, value)
        });
        let marked: u64 = interface.classes.values().map(|class| class.ecn_marked).sum();
        json!({
            "egress-queue-stats": numbered(classes.collect()),
            "ingress-buffer-stats": numbered(groups.collect()),
            "pfc-stats": numbered(pauses.collect()),
            "port-stats": { "ecn-marked-packets": self.count(marked) },
        })
    }

    pub(super) fn roce(self, interface: &InterfaceState, class: u8) -> Value {
        let tx = interface.classes.get(&class).copied().unwrap_or_default();
        let rx = interface.groups.get(&class).copied().unwrap_or_default();
        let pause = interface.pauses.get(&class).copied().unwrap_or_default();
        let marked: u64 = interface.classes.values().map(|class| class.ecn_marked).sum();
        json!({
            "rx-stats": {
                "rx-pfc-stats": { "pause-duration": self.count(pause.rx_microseconds), "pause-packets": self.count(pause.rx_frames) },
                "rx-roce-stats": {
                    "pg-usage": self.bytes(rx.occupancy_bytes), "pg-max-usage": self.bytes(rx.watermark_bytes),
                    "no-buffer-discard": self.count(rx.buffer_discards), "roce-bytes": self.bytes(rx.rx_bytes),
                    "roce-packets": self.count(rx.rx_frames),
                },
            },
            "tx-stats": {
                "tx-ecn-stats": { "ecn-marked-packets": self.count(marked) },
                "tx-pfc-stats": { "pause-duration": self.count(pause.tx_microseconds), "pause-packets": self.count(pause.tx_frames) },
                "tx-roce-stats": {
                    "tc-usage": self.bytes(tx.occupancy_bytes), "tc-max-usage": self.bytes(tx.watermark_bytes),
                    "unicast-no-buffer-discard": self.count(tx.buffer_discards), "roce-bytes": self.bytes(tx.tx_bytes),
                    "roce-packets": self.count(tx.tx_frames),
                },
            },
        })
    }
}

/// RFC 4648, for the one header that needs it.
pub(super) fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_encoded_as_every_client_does() {
        assert_eq!(base64(b"cumulus:cumulus"), "Y3VtdWx1czpjdW11bHVz");
        assert_eq!(base64(b"a"), "YQ==");
        assert_eq!(base64(b"ab"), "YWI=");
    }
}
