//! From a reading to a row, under the names the switch itself pushes by OTLP.

use podscope_model::batch::Row;
use podscope_model::catalog::{MetricDef, switch as catalog};

use super::reading::{BgpNeighbor, InterfaceReading, SwitchReading};

/// Who a reading is of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SwitchLabels {
    pub switch: String,
    /// `a`, `b`; may be empty.
    pub fabric: String,
    /// `leaf`, `spine`; may be empty.
    pub role: String,
    /// Whatever else the operator says of it.
    pub more: Vec<(String, String)>,
}

impl SwitchLabels {
    /// The labels of one of its series.
    fn with<'a>(&'a self, own: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let common = [
            ("switch", self.switch.as_str()),
            ("fabric", self.fabric.as_str()),
            ("role", self.role.as_str()),
        ];
        let more = self
            .more
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        common
            .into_iter()
            .chain(more)
            .chain(own.iter().copied())
            .collect()
    }
}

/// What one unit of a switch's pause duration is, in seconds. The vendor documents none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PauseUnit(pub f64);

impl PauseUnit {
    pub const MICROSECONDS: Self = Self(1e-6);

    /// Whether a growth of `duration` within `seconds` can be: nothing is held for longer than time passes. The slack is for
    /// readings that were taken at slightly other moments than their row says.
    pub fn is_plausible(self, duration: f64, seconds: f64) -> bool {
        duration * self.0 <= seconds * 1.1 + 1.0
    }
}

/// What of a reading is written.
#[derive(Clone, Copy, Debug)]
pub struct RowOptions {
    /// `None`: the durations are not turned into seconds.
    pub pause_unit: Option<PauseUnit>,
    /// Leaves out what the switch pushes by itself.
    pub without_counters: bool,
}

/// Writes the reading of a switch.
pub fn write(reading: &SwitchReading, who: &SwitchLabels, options: RowOptions, row: &mut Row) {
    if let Some(uptime) = reading.uptime_seconds {
        row.set(&catalog::SWITCH_UPTIME, &who.with(&[]), uptime);
    }
    if reading.build.is_some() || reading.model.is_some() {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let (build, model) = (text(&reading.build), text(&reading.model));
        row.set(
            &catalog::SWITCH_INFO,
            &who.with(&[("build", &build), ("model", &model)]),
            1.0,
        );
    }
    for (name, interface) in &reading.interfaces {
        if !options.without_counters {
            counters(name, interface, who, row);
        }
        pauses(name, interface, who, options.pause_unit, row);
    }
    if !options.without_counters {
        for (id, neighbor) in reading.neighbors.iter().flatten() {
            bgp(id, neighbor, who, row);
        }
    }
    for (esi, segment) in reading.segments.iter().flatten() {
        let own = [("esi", esi.as_str()), ("interface", segment.interface.as_str())];
        let labels = who.with(&own);
        let flag = |value: bool| f64::from(u8::from(value));
        set(
            row,
            &catalog::EVPN_SEGMENT_FORWARDER,
            &labels,
            segment.designated_forwarder.map(flag),
        );
        set(row, &catalog::EVPN_SEGMENT_UP, &labels, segment.up.map(flag));
        row.set(&catalog::EVPN_SEGMENT_VTEPS, &labels, segment.remote_vteps as f64);
    }
}

/// Writes whether a switch answers. It belongs into a stream of its own, which goes on when the switch's ends.
pub fn write_up(who: &SwitchLabels, up: bool, row: &mut Row) {
    row.set(&catalog::SWITCH_UP, &who.with(&[]), f64::from(u8::from(up)));
}

fn set(row: &mut Row, def: &'static MetricDef, labels: &[(&str, &str)], value: Option<f64>) {
    if let Some(value) = value {
        row.set(def, labels, value);
    }
}

fn counters(name: &str, interface: &InterfaceReading, who: &SwitchLabels, row: &mut Row) {
    let labels = who.with(&[("interface", name)]);
    let state = interface.up.map(|up| if up { 1.0 } else { 2.0 });
    for (def, value) in [
        (&catalog::INTERFACE_OPER_STATE, state),
        (&catalog::INTERFACE_SPEED, interface.speed_bits_per_second),
        (&catalog::INTERFACE_MTU, interface.mtu_bytes),
        (&catalog::INTERFACE_CARRIER_CHANGES, interface.carrier_transitions),
        (&catalog::INTERFACE_CARRIER_DOWN_CHANGES, interface.carrier_down),
        (&catalog::INTERFACE_IN_OCTETS, interface.in_octets),
        (&catalog::INTERFACE_OUT_OCTETS, interface.out_octets),
        (&catalog::INTERFACE_IN_DISCARDS, interface.in_drops),
        (&catalog::INTERFACE_OUT_DISCARDS, interface.out_drops),
        (&catalog::INTERFACE_IN_ERRORS, interface.in_errors),
        (&catalog::INTERFACE_OUT_ERRORS, interface.out_errors),
        (&catalog::INTERFACE_MARKED, interface.ecn_marked),
    ] {
        set(row, def, &labels, value);
    }
    if let Some((system, port)) = &interface.neighbor {
        let labels = who.with(&[("interface", name), ("neighbor", system), ("neighbor_port", port)]);
        row.set(&catalog::LLDP_NEIGHBOR_INFO, &labels, 1.0);
    }
    for (number, class) in &interface.classes {
        let number = number.to_string();
        let labels = who.with(&[("interface", name), ("tc", &number)]);
        for (def, value) in [
            (&catalog::TC_FRAMES, class.tx_frames),
            (&catalog::TC_OCTETS, class.tx_octets),
            (&catalog::TC_ECN_MARKED, class.ecn_marked),
            (&catalog::TC_WRED_DISCARD, class.wred_discards),
            (&catalog::TC_NO_BUFFER_DISCARD, class.buffer_discards),
            (&catalog::BUFFER_TC_OCCUPANCY, class.occupancy_bytes),
            (&catalog::BUFFER_TC_WATERMARK, class.watermark_bytes),
        ] {
            set(row, def, &labels, value);
        }
    }
    for (number, group) in &interface.groups {
        let number = number.to_string();
        let labels = who.with(&[("interface", name), ("pg", &number)]);
        for (def, value) in [
            (&catalog::PG_FRAMES, group.rx_frames),
            (&catalog::PG_OCTETS, group.rx_octets),
            (&catalog::PG_BUFFER_DISCARD, group.buffer_discards),
            (&catalog::PG_SHARED_BUFFER_DISCARD, group.shared_discards),
            (&catalog::BUFFER_PG_OCCUPANCY, group.occupancy_bytes),
            (&catalog::BUFFER_PG_WATERMARK, group.watermark_bytes),
        ] {
            set(row, def, &labels, value);
        }
    }
    for (number, pause) in &interface.pauses {
        let number = number.to_string();
        let labels = who.with(&[("interface", name), ("sp", &number)]);
        for (def, value) in [
            (&catalog::SP_RX_PAUSE, pause.rx_frames),
            (&catalog::SP_RX_PAUSE_DURATION, pause.rx_duration),
            (&catalog::SP_TX_PAUSE, pause.tx_frames),
            (&catalog::SP_TX_PAUSE_DURATION, pause.tx_duration),
        ] {
            set(row, def, &labels, value);
        }
    }
}

fn pauses(
    name: &str,
    interface: &InterfaceReading,
    who: &SwitchLabels,
    unit: Option<PauseUnit>,
    row: &mut Row,
) {
    let Some(unit) = unit else { return };
    for (number, pause) in &interface.pauses {
        let number = number.to_string();
        for (direction, duration) in [("rx", pause.rx_duration), ("tx", pause.tx_duration)] {
            let own = [
                ("interface", name),
                ("priority", number.as_str()),
                ("direction", direction),
            ];
            let seconds = duration.map(|duration| duration * unit.0);
            set(row, &catalog::SWITCH_PAUSE, &who.with(&own), seconds);
        }
    }
}

fn bgp(id: &str, neighbor: &BgpNeighbor, who: &SwitchLabels, row: &mut Row) {
    let (word, code) = session_state(&neighbor.state);
    let labels = who.with(&[("peer_id", id), ("state", word), ("vrf", "default")]);
    row.set(&catalog::BGP_PEER_STATE, &labels, code);
    let labels = who.with(&[("peer_id", id), ("vrf", "default")]);
    set(row, &catalog::BGP_PEER_TRANSITIONS, &labels, neighbor.transitions);
    set(
        row,
        &catalog::BGP_PEER_RECEIVED,
        &labels,
        neighbor.messages_received,
    );
    set(row, &catalog::BGP_PEER_SENT, &labels, neighbor.messages_sent);
    for (family, routes) in &neighbor.prefixes {
        let labels = who.with(&[("peer_id", id), ("vrf", "default"), ("afi", family)]);
        row.set(&catalog::BGP_PEER_PREFIXES, &labels, *routes);
    }
}

/// The words and numbers of the switch's own telemetry ("Established:1,Idle:2,Connect:3,Active:4,Opensent:5").
fn session_state(word: &str) -> (&'static str, f64) {
    match word {
        "established" => ("Established", 1.0),
        "idle" => ("Idle", 2.0),
        "connect" => ("Connect", 3.0),
        "active" => ("Active", 4.0),
        "opensent" => ("OpenSent", 5.0),
        "openconfirm" => ("OpenConfirm", 6.0),
        _ => ("Unknown", 0.0),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::switch::reading::{ClassReading, PauseReading};

    #[test]
    fn what_is_unknown_has_no_series_and_what_is_zero_has_one() {
        let interface = InterfaceReading {
            up: Some(true),
            in_drops: Some(0.0),
            classes: BTreeMap::from([(
                3,
                ClassReading {
                    ecn_marked: Some(48.0),
                    tx_frames: Some(1000.0),
                    ..ClassReading::default()
                },
            )]),
            pauses: BTreeMap::from([(
                3,
                PauseReading {
                    rx_duration: Some(2_500_000.0),
                    ..PauseReading::default()
                },
            )]),
            ..InterfaceReading::default()
        };
        let reading = SwitchReading {
            interfaces: BTreeMap::from([("swp1".to_owned(), interface)]),
            ..SwitchReading::default()
        };
        let who = SwitchLabels {
            switch: "leaf-a01".to_owned(),
            fabric: "a".to_owned(),
            ..SwitchLabels::default()
        };
        let options = RowOptions {
            pause_unit: Some(PauseUnit::MICROSECONDS),
            without_counters: false,
        };
        let mut row = Row::new();
        write(&reading, &who, options, &mut row);
        let found: BTreeMap<String, f64> = row
            .samples()
            .map(|(column, value)| (column.labels.to_string(), value))
            .collect();
        let value = |name: &str| {
            let found: Vec<f64> = found
                .iter()
                .filter(|(labels, _)| labels.contains(name))
                .map(|(_, value)| *value)
                .collect();
            found.first().copied()
        };
        assert_eq!(value("nvswitch_interface_if_in_discards"), Some(0.0));
        assert_eq!(value("nvswitch_interface_if_out_discards"), None);
        assert_eq!(value("tc_tx_ecn_marked_tc"), Some(48.0));
        assert_eq!(value("podscope_switch_pfc_pause_seconds_total"), Some(2.5));
        assert!(
            found.keys().all(|labels| labels.contains("switch=\"leaf-a01\"")
                && labels.contains("fabric=\"a\"")
                && !labels.contains("role=")),
            "{found:?}"
        );
        let pushed = RowOptions {
            without_counters: true,
            ..options
        };
        row.begin();
        write(&reading, &who, pushed, &mut row);
        let names: Vec<&str> = row.samples().map(|(column, _)| column.metric.name()).collect();
        assert_eq!(names, ["podscope_switch_pfc_pause_seconds_total"]);
    }

    #[test]
    fn nothing_is_held_for_longer_than_time_passes() {
        assert!(PauseUnit::MICROSECONDS.is_plausible(30e6, 30.0));
        assert!(!PauseUnit(1e-3).is_plausible(30e6, 30.0));
    }
}
