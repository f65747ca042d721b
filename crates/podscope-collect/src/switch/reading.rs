//! One switch at one time. What the switch did not say is `None` or not in the map, and never 0.

use std::collections::BTreeMap;

/// Everything one round of questions told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SwitchReading {
    pub build: Option<String>,
    pub model: Option<String>,
    pub host_name: Option<String>,
    pub uptime_seconds: Option<f64>,
    /// The configuration that is applied.
    pub applied_revision: Option<String>,
    pub interfaces: BTreeMap<String, InterfaceReading>,
    /// `None` where the switch did not answer this question.
    pub neighbors: Option<BTreeMap<String, BgpNeighbor>>,
    pub segments: Option<BTreeMap<String, Segment>>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct InterfaceReading {
    pub up: Option<bool>,
    pub speed_bits_per_second: Option<f64>,
    pub mtu_bytes: Option<f64>,
    pub carrier_transitions: Option<f64>,
    pub carrier_down: Option<f64>,
    pub in_octets: Option<f64>,
    pub out_octets: Option<f64>,
    pub in_drops: Option<f64>,
    pub out_drops: Option<f64>,
    pub in_errors: Option<f64>,
    pub out_errors: Option<f64>,
    /// All classes together.
    pub ecn_marked: Option<f64>,
    /// System and port at the other end, as LLDP tells.
    pub neighbor: Option<(String, String)>,
    pub classes: BTreeMap<u8, ClassReading>,
    pub groups: BTreeMap<u8, GroupReading>,
    pub pauses: BTreeMap<u8, PauseReading>,
}

/// An egress traffic class.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ClassReading {
    pub tx_frames: Option<f64>,
    pub tx_octets: Option<f64>,
    pub ecn_marked: Option<f64>,
    pub wred_discards: Option<f64>,
    pub buffer_discards: Option<f64>,
    pub occupancy_bytes: Option<f64>,
    pub watermark_bytes: Option<f64>,
}

/// An ingress priority group.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GroupReading {
    pub rx_frames: Option<f64>,
    pub rx_octets: Option<f64>,
    pub buffer_discards: Option<f64>,
    pub shared_discards: Option<f64>,
    pub occupancy_bytes: Option<f64>,
    pub watermark_bytes: Option<f64>,
}

/// PFC of a switch priority; durations in the switch's own unit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PauseReading {
    pub rx_frames: Option<f64>,
    pub rx_duration: Option<f64>,
    pub tx_frames: Option<f64>,
    pub tx_duration: Option<f64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct BgpNeighbor {
    /// `established`, `idle`, `connect`, `active`, `opensent`, `openconfirm`.
    pub state: String,
    pub peer_as: Option<f64>,
    pub transitions: Option<f64>,
    pub messages_received: Option<f64>,
    pub messages_sent: Option<f64>,
    /// Routes received, by address family.
    pub prefixes: BTreeMap<String, f64>,
}

/// A multihomed Ethernet segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Segment {
    pub interface: String,
    /// `None`: the switch is not yet in the election.
    pub designated_forwarder: Option<bool>,
    pub up: Option<bool>,
    pub remote_vteps: u64,
}
