//! The switches: what each port has counted, who is at its other end, BGP sessions and Ethernet segments.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::flows::PodSums;
use super::model::physics::{COLLECTIVE_CROSSES, FRAME, STORAGE_CROSSES};
use super::model::story::{SPINE_OUT, SPINES_REPLACED};
use super::node::Adapter;
use super::state::Pod;
use super::topology::{
    Fabric, LINK_BITS_PER_SECOND, LINKS_PER_SPINE, Peer, Port, SPINES_PER_FABRIC, Switch, Tier, Topology,
};
use crate::noise::{hash, unit};
use crate::nvue::world::{
    BgpNeighbor, ClassCounters, FabricWorld, GroupCounters, InterfaceState, Neighbor, PauseCounters, Segment,
    SwitchState, Traffic,
};

/// RoCE's traffic class and priority, and that of congestion notifications.
const ROCE: u8 = 3;
const CNP: u8 = 6;

/// See the module.
#[derive(Clone, Debug)]
pub struct PodFabric(pub Arc<Pod>);

/// What a port has counted of RoCE, in and out.
#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    out_bytes: f64,
    in_bytes: f64,
    marked: f64,
    /// Seconds that the port told its peer to stop, and was told.
    pausing: f64,
    paused: f64,
}

impl PodFabric {
    fn find(&self, name: &str) -> Option<Switch> {
        let switches = self.0.topology().switches();
        switches.into_iter().find(|switch| switch.name() == name)
    }

    /// What crosses one of the uplinks of a fabric, each way: reads come down to nodes, collectives go both ways.
    fn crossing(&self, sums: &PodSums) -> Counted {
        let links = (2 * self.0.topology().leaves_per_fabric() * SPINES_PER_FABRIC * LINKS_PER_SPINE) as f64;
        let bytes = (sums.reads * STORAGE_CROSSES + sums.collective * COLLECTIVE_CROSSES) / links;
        Counted {
            out_bytes: bytes,
            in_bytes: bytes,
            marked: (sums.marked_reads * STORAGE_CROSSES + sums.marked_collective * COLLECTIVE_CROSSES)
                / links,
            pausing: sums.paused_others,
            paused: sums.paused_others,
        }
    }

    fn counted(&self, port: Port, peer: Peer, sums: &PodSums, t_ms: i64) -> Counted {
        let fabrics = 2.0;
        match peer {
            Peer::Node { node, hca } => {
                let adapter = Adapter::of(&self.0.node_sums(node, t_ms), hca);
                Counted {
                    out_bytes: adapter.rx_bytes,
                    in_bytes: adapter.tx_bytes,
                    marked: adapter.marked,
                    // What the adapter was told, this port told it.
                    pausing: adapter.paused,
                    paused: adapter.pausing,
                }
            }
            Peer::CNode { cnode } => {
                let ports = self.0.topology().cnodes() as f64 * fabrics;
                let uneven = 1.0 + 0.08 * (unit(0x636e, cnode as u64, 0) - 0.5);
                Counted {
                    out_bytes: (sums.behind + sums.writes) / ports * uneven,
                    in_bytes: sums.reads / ports * uneven,
                    marked: sums.marked_behind / ports * uneven,
                    pausing: sums.paused,
                    paused: sums.paused * 0.3,
                }
            }
            Peer::Switch(there) => {
                let mut counted = self.crossing(sums);
                let spine = if port.switch.tier == Tier::Spine {
                    port.switch
                } else {
                    there.switch
                };
                let part = self.carried(spine, t_ms);
                counted.out_bytes *= part;
                counted.in_bytes *= part;
                counted.marked *= part;
                counted
            }
        }
    }

    /// How much a spine's links have carried, relative to the others': less while it was out, which the others took over.
    fn carried(&self, spine: Switch, t_ms: i64) -> f64 {
        let clock = self.0.clock();
        if spine.fabric != Fabric::A || self.0.spine_out(clock.wall_ms(SPINES_REPLACED + 1.0)).is_none() {
            return 1.0;
        }
        let lived = (t_ms - self.0.began_ms()) as f64 / 1_000.0;
        if lived <= 0.0 {
            return 1.0;
        }
        let mut out = 0.0;
        let mut others = 0.0;
        for (number, from) in [(2, SPINES_REPLACED), (3, SPINES_REPLACED + SPINE_OUT + 240.0)] {
            let since = (clock.model(t_ms) - from).clamp(0.0, SPINE_OUT);
            if spine.number == number {
                out += since;
            } else {
                others += since / 3.0;
            }
        }
        ((lived - out + others) / lived).max(0.0)
    }

    fn interface(&self, switch: Switch, port: Port, peer: Peer, sums: &PodSums, t_ms: i64) -> InterfaceState {
        let out = self.0.spine_out(t_ms);
        let leads_to_it = |other: Switch| {
            other.fabric == Fabric::A && other.tier == Tier::Spine && Some(other.number) == out
        };
        let (neighbor, up) = match peer {
            Peer::Node { node, hca } => (
                Neighbor {
                    system: self.0.topology().node_name(node),
                    port: Topology::netdev_name(hca),
                },
                true,
            ),
            Peer::CNode { cnode } => (
                Neighbor {
                    system: Topology::cnode_name(cnode),
                    port: format!("enp65s0f{}", switch.fabric as usize),
                },
                true,
            ),
            Peer::Switch(there) => (
                Neighbor {
                    system: there.switch.name(),
                    port: there.name(),
                },
                !leads_to_it(there.switch),
            ),
        };
        let counted = self.counted(port, peer, sums, t_ms);
        let whole = |value: f64| value.max(0.0) as u64;
        let frames = counted.out_bytes / FRAME;
        let notified = counted.marked * 0.6;
        let now = self.0.physics(t_ms);
        let fill = match peer {
            Peer::CNode { .. } => now.marks_storage,
            _ => now.marks_other,
        };
        let roce = ClassCounters {
            tx_frames: whole(frames),
            tx_bytes: whole(counted.out_bytes),
            ecn_marked: whole(counted.marked),
            occupancy_bytes: whole(fill * 4.0e7),
            watermark_bytes: whole(fill * 1.1e8),
            ..ClassCounters::default()
        };
        let cnp = ClassCounters {
            tx_frames: whole(notified),
            tx_bytes: whole(notified * 82.0),
            ..ClassCounters::default()
        };
        let seen = self.0.clock().model(t_ms);
        let flapped = match peer {
            Peer::Switch(there) if there.switch.fabric == Fabric::A && there.switch.tier == Tier::Spine => {
                let began = match there.switch.number {
                    2 => Some(SPINES_REPLACED),
                    3 => Some(SPINES_REPLACED + SPINE_OUT + 240.0),
                    _ => None,
                };
                let happened =
                    began.filter(|at| self.0.spine_out(self.0.clock().wall_ms(at + 1.0)).is_some());
                happened.map_or(0, |at| u64::from(seen >= at) + u64::from(seen >= at + SPINE_OUT))
            }
            _ => 0,
        };
        InterfaceState {
            name: port.name(),
            up,
            speed_bits_per_second: LINK_BITS_PER_SECOND as u64,
            mac: {
                let bits = hash(
                    11,
                    hash(
                        0,
                        switch.number as u64,
                        switch.fabric as u64 * 2 + switch.tier as u64,
                    ),
                    port.number as u64,
                );
                format!(
                    "1c:34:da:{:02x}:{:02x}:{:02x}",
                    bits & 0xff,
                    bits >> 8 & 0xff,
                    bits >> 16 & 0xff
                )
            },
            neighbor: up.then_some(neighbor),
            carrier_transitions: 1 + flapped,
            traffic: Traffic {
                in_bytes: whole(counted.in_bytes),
                in_packets: whole(counted.in_bytes / FRAME),
                out_bytes: whole(counted.out_bytes + notified * 82.0),
                out_packets: whole(frames + notified),
                ..Traffic::default()
            },
            classes: BTreeMap::from([(0, ClassCounters::default()), (ROCE, roce), (CNP, cnp)]),
            groups: BTreeMap::from([(
                ROCE,
                GroupCounters {
                    rx_frames: whole(counted.in_bytes / FRAME),
                    rx_bytes: whole(counted.in_bytes),
                    occupancy_bytes: whole(fill * 1.5e7),
                    watermark_bytes: whole(fill * 4e7),
                    ..GroupCounters::default()
                },
            )]),
            pauses: BTreeMap::from([(
                ROCE,
                PauseCounters {
                    rx_frames: whole(counted.paused * 8_000.0),
                    rx_microseconds: whole(counted.paused * 1e6),
                    tx_frames: whole(counted.pausing * 8_000.0),
                    tx_microseconds: whole(counted.pausing * 1e6),
                },
            )]),
        }
    }

    fn neighbors(&self, switch: Switch, ports: &[(Port, Peer)], t_ms: i64) -> Vec<BgpNeighbor> {
        let clock = self.0.clock();
        let uptime = |since: i64| u64::try_from((t_ms - since) / 1_000).unwrap_or(0);
        let sessions = ports.iter().filter_map(|(port, peer)| match peer {
            Peer::Switch(there) => Some((*port, there.switch)),
            _ => None,
        });
        let neighbor = |(port, other): (Port, Switch)| {
            let spine = if switch.tier == Tier::Spine { switch } else { other };
            let replaced = match (spine.fabric, spine.number) {
                (Fabric::A, 2) => Some(SPINES_REPLACED),
                (Fabric::A, 3) => Some(SPINES_REPLACED + SPINE_OUT + 240.0),
                _ => None,
            };
            let replaced = replaced
                .map(|at| (clock.wall_ms(at), clock.wall_ms(at + SPINE_OUT)))
                .filter(|(from, _)| self.0.spine_out(from + 1_000).is_some());
            let began = self.0.began_ms() - 40 * 86_400_000;
            let (state, since, transitions) = match replaced {
                Some((from, to)) if (from..to).contains(&t_ms) => ("idle", t_ms, 1),
                Some((_, to)) if t_ms >= to => ("established", to, 2),
                _ => ("established", began, 1),
            };
            let seconds = uptime(since);
            BgpNeighbor {
                id: port.name(),
                state: state.to_owned(),
                peer_as: if other.tier == Tier::Spine {
                    65_100
                } else {
                    65_200 + other.number as u32
                },
                uptime_seconds: seconds,
                transitions,
                messages_received: uptime(began) / 3,
                messages_sent: uptime(began) / 3 + 2,
                prefixes: if state == "idle" {
                    BTreeMap::new()
                } else {
                    BTreeMap::from([("ipv4-unicast".to_owned(), 96), ("l2vpn-evpn".to_owned(), 640)])
                },
            }
        };
        sessions.map(neighbor).collect()
    }

    /// Each front end hangs on a leaf of either fabric: one segment, of which one leaf forwards. While a spine of fabric
    /// `a` is out, two of the segments move to fabric `b`, and stay there.
    fn segments(&self, switch: Switch, t_ms: i64) -> Vec<Segment> {
        if switch.tier == Tier::Spine {
            return Vec::new();
        }
        let cnode = switch.number - 1;
        let clock = self.0.clock();
        let moves = [(1, SPINES_REPLACED), (6, SPINES_REPLACED + SPINE_OUT + 240.0)];
        let moved = moves.iter().any(|(at, when)| {
            *at == cnode
                && clock.model(t_ms) >= *when
                && self.0.spine_out(clock.wall_ms(when + 1.0)).is_some()
        });
        // One of the two that move stood on fabric `a` by hand.
        let on_a = cnode.is_multiple_of(2) || cnode == 1;
        let owner = if on_a && !moved { Fabric::A } else { Fabric::B };
        let other = match switch.fabric {
            Fabric::A => 2,
            Fabric::B => 1,
        };
        vec![Segment {
            esi: format!("03:44:38:39:ff:06:08:00:00:{:02x}", cnode + 1),
            interface: "bond17".to_owned(),
            designated_forwarder: owner == switch.fabric,
            up: true,
            remote_vteps: vec![format!("172.31.{other}.{}", switch.number)],
        }]
    }
}

impl FabricWorld for PodFabric {
    fn switches(&self) -> Vec<String> {
        self.0
            .topology()
            .switches()
            .into_iter()
            .map(Switch::name)
            .collect()
    }

    fn at(&self, switch: &str, t_ms: i64) -> Option<SwitchState> {
        let switch = self.find(switch)?;
        let (fabric_a, spine) = (switch.fabric == Fabric::A, switch.tier == Tier::Spine);
        if fabric_a && spine && self.0.spine_out(t_ms) == Some(switch.number) {
            return None;
        }
        let sums = self.0.sums(t_ms);
        let ports = self.0.topology().ports(switch);
        let interfaces = ports
            .iter()
            .map(|(port, peer)| self.interface(switch, *port, *peer, &sums, t_ms));
        let clock = self.0.clock();
        let replaced = match (fabric_a && spine, switch.number) {
            (true, 2) => Some(SPINES_REPLACED),
            (true, 3) => Some(SPINES_REPLACED + SPINE_OUT + 240.0),
            _ => None,
        };
        let replaced = replaced
            .filter(|at| self.0.spine_out(clock.wall_ms(at + 1.0)).is_some())
            .map(|at| clock.wall_ms(at + SPINE_OUT))
            .filter(|back_ms| t_ms >= *back_ms);
        let boot_ms = replaced.unwrap_or(self.0.began_ms() - 41 * 86_400_000);
        Some(SwitchState {
            name: switch.name(),
            fabric: switch.fabric.name().to_owned(),
            role: if spine { "spine" } else { "leaf" }.to_owned(),
            build: "Cumulus Linux 5.11.1".to_owned(),
            model: if spine { "SN5600" } else { "SN5400" }.to_owned(),
            uptime_seconds: u64::try_from((t_ms - boot_ms) / 1_000).unwrap_or(0),
            applied_revision: if replaced.is_some() { 15 } else { 14 },
            interfaces: interfaces.collect(),
            neighbors: self.neighbors(switch, &ports, t_ms),
            segments: self.segments(switch, t_ms),
        })
    }
}
