//! What the simulated switches are made of: a [`FabricWorld`] says how each switch is at a time, and the NVUE server, the OTLP
//! sender and the back-filled history are three ways of telling it.
//!
//! Counters are totals since the switch was started; whoever implements the trait sees to it that they only grow, and begin
//! at zero again after a restart.

use std::collections::BTreeMap;
use std::fmt::Debug;

/// The switches of a pod as a function of time.
pub trait FabricWorld: Send + Sync + Debug {
    /// The names of all switches, in a fixed order: `leaf-a01`, `spine-a1`, ...
    fn switches(&self) -> Vec<String>;

    /// How a switch is at `t_ms` (Unix milliseconds); `None` while it is away: being restarted, or without power.
    fn at(&self, switch: &str, t_ms: i64) -> Option<SwitchState>;
}

/// One switch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SwitchState {
    pub name: String,
    /// `a` or `b`.
    pub fabric: String,
    /// `leaf` or `spine`.
    pub role: String,
    /// What it runs: `Cumulus Linux 5.11.1`.
    pub build: String,
    /// `SN5600`.
    pub model: String,
    pub uptime_seconds: u64,
    /// Number of the configuration that is applied; a new one is a change.
    pub applied_revision: u32,
    pub interfaces: Vec<InterfaceState>,
    pub neighbors: Vec<BgpNeighbor>,
    pub segments: Vec<Segment>,
}

/// One interface.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InterfaceState {
    /// `swp1s0`.
    pub name: String,
    pub up: bool,
    pub speed_bits_per_second: u64,
    pub mac: String,
    /// Who is at the other end, as LLDP tells.
    pub neighbor: Option<Neighbor>,
    pub carrier_transitions: u64,
    pub traffic: Traffic,
    /// By egress traffic class. RoCE is usually 3, CNPs 6.
    pub classes: BTreeMap<u8, ClassCounters>,
    /// By ingress priority group.
    pub groups: BTreeMap<u8, GroupCounters>,
    /// By switch priority, where PFC is on.
    pub pauses: BTreeMap<u8, PauseCounters>,
}

/// The system and port at the other end of a link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbor {
    pub system: String,
    pub port: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub in_bytes: u64,
    pub in_packets: u64,
    pub in_drops: u64,
    pub in_errors: u64,
    pub out_bytes: u64,
    pub out_packets: u64,
    pub out_drops: u64,
    pub out_errors: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClassCounters {
    pub tx_frames: u64,
    pub tx_bytes: u64,
    pub ecn_marked: u64,
    pub wred_discards: u64,
    pub buffer_discards: u64,
    /// Now, and the most since the mark was cleared; bytes.
    pub occupancy_bytes: u64,
    pub watermark_bytes: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupCounters {
    pub rx_frames: u64,
    pub rx_bytes: u64,
    pub buffer_discards: u64,
    pub shared_discards: u64,
    /// Now, and the most since the mark was cleared; bytes.
    pub occupancy_bytes: u64,
    pub watermark_bytes: u64,
}

/// PFC of one priority: rx, the peer told this port to stop; tx, this port told its peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PauseCounters {
    pub rx_frames: u64,
    pub rx_microseconds: u64,
    pub tx_frames: u64,
    pub tx_microseconds: u64,
}

/// A BGP session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BgpNeighbor {
    /// An interface (`swp1`) or an address.
    pub id: String,
    /// `established`, `idle`, `connect`, `active`, `opensent`, `openconfirm`.
    pub state: String,
    pub peer_as: u32,
    pub uptime_seconds: u64,
    /// Times it was established.
    pub transitions: u64,
    pub messages_received: u64,
    pub messages_sent: u64,
    /// Routes received, by address family: `ipv4-unicast`, `l2vpn-evpn`.
    pub prefixes: BTreeMap<String, u64>,
}

/// An Ethernet segment that several switches share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// `03:44:38:39:ff:06:08:00:00:24`.
    pub esi: String,
    /// The bond on this switch.
    pub interface: String,
    pub designated_forwarder: bool,
    pub up: bool,
    /// Addresses of the other switches.
    pub remote_vteps: Vec<String>,
}

/// Switches that stay as they were given, for tests; any of them may be taken away or replaced at any time.
#[derive(Debug, Default)]
pub struct FixedFabric {
    switches: std::sync::Mutex<Vec<(String, Option<SwitchState>)>>,
}

impl FixedFabric {
    pub fn new(switches: Vec<SwitchState>) -> Self {
        let named = switches
            .into_iter()
            .map(|state| (state.name.clone(), Some(state)));
        Self {
            switches: std::sync::Mutex::new(named.collect()),
        }
    }

    /// A leaf and a spine with two links and one segment: enough of everything to read.
    pub fn small() -> Self {
        Self::new(vec![
            small_switch("leaf-a01", "leaf"),
            small_switch("spine-a1", "spine"),
        ])
    }

    /// Changes a switch that is there.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut SwitchState)) {
        let mut switches = self.lock();
        let found = switches.iter_mut().find(|(known, _)| known == name);
        if let Some((_, Some(state))) = found {
            change(state);
        }
    }

    /// Takes a switch away, or brings it back as given.
    pub fn set(&self, name: &str, state: Option<SwitchState>) {
        let mut switches = self.lock();
        match switches.iter_mut().find(|(known, _)| known == name) {
            Some(entry) => entry.1 = state,
            None => switches.push((name.to_owned(), state)),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<(String, Option<SwitchState>)>> {
        self.switches
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl FabricWorld for FixedFabric {
    fn switches(&self) -> Vec<String> {
        self.lock().iter().map(|(name, _)| name.clone()).collect()
    }

    fn at(&self, switch: &str, _t_ms: i64) -> Option<SwitchState> {
        self.lock()
            .iter()
            .find(|(name, _)| name == switch)
            .and_then(|(_, state)| state.clone())
    }
}

fn small_switch(name: &str, role: &str) -> SwitchState {
    let interface = |number: u64, up: bool| {
        let class = |share: u64| ClassCounters {
            tx_frames: 1_000_000 * share,
            tx_bytes: 4_096_000_000 * share,
            ecn_marked: 2_000 * share,
            wred_discards: 7,
            buffer_discards: 3,
            occupancy_bytes: 13_470_000,
            watermark_bytes: 20_000_000,
        };
        InterfaceState {
            name: format!("swp{number}s0"),
            up,
            speed_bits_per_second: 400_000_000_000,
            mac: format!("1c:34:da:28:01:{number:02x}"),
            neighbor: up.then(|| Neighbor {
                system: format!("emea-gpu-{number:02}"),
                port: "rdma0".to_owned(),
            }),
            carrier_transitions: 1,
            traffic: Traffic {
                in_bytes: 5_000_000_000 * number,
                in_packets: 1_500_000,
                in_drops: 11,
                in_errors: 2,
                out_bytes: 4_500_000_000 * number,
                out_packets: 1_200_000,
                out_drops: 5,
                out_errors: 0,
            },
            classes: BTreeMap::from([(0, class(1)), (3, class(number + 1))]),
            groups: BTreeMap::from([(
                3,
                GroupCounters {
                    rx_frames: 900_000,
                    rx_bytes: 3_600_000_000,
                    buffer_discards: 1,
                    shared_discards: 2,
                    occupancy_bytes: 1_000_000,
                    watermark_bytes: 2_000_000,
                },
            )]),
            pauses: BTreeMap::from([(
                3,
                PauseCounters {
                    rx_frames: 40,
                    rx_microseconds: 250_000,
                    tx_frames: 60,
                    tx_microseconds: 750_000,
                },
            )]),
        }
    };
    SwitchState {
        name: name.to_owned(),
        fabric: "a".to_owned(),
        role: role.to_owned(),
        build: "Cumulus Linux 5.11.1".to_owned(),
        model: "SN5600".to_owned(),
        uptime_seconds: 8_282_449,
        applied_revision: 14,
        interfaces: vec![interface(1, true), interface(2, false)],
        neighbors: vec![BgpNeighbor {
            id: "swp31".to_owned(),
            state: "established".to_owned(),
            peer_as: 65_199,
            uptime_seconds: 86_400,
            transitions: 1,
            messages_received: 28_800,
            messages_sent: 28_801,
            prefixes: BTreeMap::from([("ipv4-unicast".to_owned(), 96), ("l2vpn-evpn".to_owned(), 640)]),
        }],
        segments: vec![Segment {
            esi: "03:44:38:39:ff:06:08:00:00:24".to_owned(),
            interface: "bond1".to_owned(),
            designated_forwarder: true,
            up: true,
            remote_vteps: vec!["172.31.2.16".to_owned()],
        }],
    }
}
