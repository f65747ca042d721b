//! What stands where in the pod: nodes, their host channel adapters, two fabrics of leaves and spines, the storage cluster's
//! front ends and their addresses, Slurm's partitions, and the tenants with their contracts. Pure: names and wiring only.
//!
//! Wiring is rail-optimised, the usual way of a SuperPod: adapter `r` of every node of a group hangs on the same leaf, so
//! that a collective between equal ranks crosses one switch. Adapters 0-3 are rails of fabric `a`, 4-7 of fabric `b`.
//!
//! | switch | ports | where they lead |
//! | --- | --- | --- |
//! | leaf | `swp1`..`swp16` | one adapter of each of 16 nodes |
//! | leaf | `swp17` | the front end of the leaf's number (`leaf-a07`, `leaf-b07`: `cnode-7`) |
//! | leaf | `swp25`..`swp32` | two links to each of the fabric's four spines |
//! | spine | `swp1`..`swp32` | two links to each of the fabric's sixteen leaves |

use std::ops::Range;

/// One of the two fabrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fabric {
    A,
    B,
}

impl Fabric {
    pub const ALL: [Self; 2] = [Self::A, Self::B];

    /// `a` or `b`, as the label `fabric` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Which kind of switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    Leaf,
    Spine,
}

/// A switch: `number` counts from 1 within its tier and fabric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Switch {
    pub fabric: Fabric,
    pub tier: Tier,
    pub number: usize,
}

impl Switch {
    /// `leaf-a01`, `spine-b3`.
    pub fn name(self) -> String {
        match self.tier {
            Tier::Leaf => format!("leaf-{}{:02}", self.fabric.name(), self.number),
            Tier::Spine => format!("spine-{}{}", self.fabric.name(), self.number),
        }
    }
}

/// A port of a switch, counted from 1 as its front plate does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    pub switch: Switch,
    pub number: usize,
}

impl Port {
    /// `swp17`.
    pub fn name(self) -> String {
        format!("swp{}", self.number)
    }
}

/// What a switch port leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// An adapter of a node, both counted from 0.
    Node { node: usize, hca: usize },
    /// A front end of the storage cluster, counted from 0.
    CNode { cnode: usize },
    /// A port of another switch.
    Switch(Port),
}

/// A Slurm partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub name: &'static str,
    /// Nodes, counted from 0.
    pub nodes: Range<usize>,
    pub max_minutes: u32,
    pub default: bool,
}

/// A customer: a Slurm account with a contract. Prices are in dollars per GPU and hour.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tenant {
    /// Slurm account and label `account`.
    pub account: &'static str,
    /// The customer's name.
    pub name: &'static str,
    /// GPUs promised.
    pub promised: u32,
    /// What a promised GPU costs that is owed and not given.
    pub owed_price: f64,
    /// What each promised GPU costs while the wait clause is broken; 0: the contract has no wait clause.
    pub wait_penalty: f64,
    /// Most that may be claimed in a month, in dollars.
    pub cap: f64,
    /// People who submit.
    pub users: [&'static str; 3],
    /// Part of the small jobs' arrivals, relative to the others'.
    pub weight: f64,
}

/// Twelve customers, the greatest contract first. Fictitious.
pub const TENANTS: [Tenant; 12] = [
    tenant(
        "aurora",
        "Aurora Foundation Models",
        104,
        3.9,
        1.2,
        250_000.0,
        ["ahm", "bea", "cyd"],
        1.0,
    ),
    tenant(
        "meridian",
        "Meridian Robotics",
        80,
        3.6,
        1.0,
        180_000.0,
        ["dag", "eli", "fay"],
        1.3,
    ),
    tenant(
        "helix",
        "Helix Genomics",
        64,
        3.6,
        1.0,
        150_000.0,
        ["gus", "hal", "ida"],
        1.6,
    ),
    tenant(
        "northlight",
        "Northlight Imaging",
        48,
        3.4,
        0.8,
        110_000.0,
        ["jan", "kai", "lea"],
        1.5,
    ),
    tenant(
        "quarry",
        "Quarry Analytics",
        40,
        3.2,
        0.8,
        90_000.0,
        ["max", "nia", "oda"],
        1.3,
    ),
    tenant(
        "tidewater",
        "Tidewater Energy",
        32,
        3.2,
        0.8,
        75_000.0,
        ["pia", "quy", "rex"],
        1.0,
    ),
    tenant(
        "vela",
        "Vela Astronomics",
        32,
        2.9,
        0.0,
        60_000.0,
        ["sam", "tia", "uwe"],
        1.1,
    ),
    tenant(
        "kestrel",
        "Kestrel Autonomy",
        24,
        3.2,
        0.8,
        55_000.0,
        ["val", "wim", "xia"],
        1.2,
    ),
    tenant(
        "lumen",
        "Lumen Speech",
        24,
        2.9,
        0.0,
        45_000.0,
        ["yan", "zoe", "abe"],
        0.9,
    ),
    tenant(
        "sable",
        "Sable Games",
        16,
        2.9,
        0.0,
        30_000.0,
        ["bo", "cam", "dot"],
        0.8,
    ),
    tenant(
        "orchard",
        "Orchard University",
        16,
        2.1,
        0.0,
        20_000.0,
        ["eve", "finn", "gil"],
        1.0,
    ),
    tenant(
        "platform",
        "Platform team",
        8,
        0.0,
        0.0,
        0.0,
        ["ops", "svc-ci", "svc-health"],
        0.3,
    ),
];

#[expect(clippy::too_many_arguments, reason = "a table row")]
const fn tenant(
    account: &'static str,
    name: &'static str,
    promised: u32,
    owed_price: f64,
    wait_penalty: f64,
    cap: f64,
    users: [&'static str; 3],
    weight: f64,
) -> Tenant {
    Tenant {
        account,
        name,
        promised,
        owed_price,
        wait_penalty,
        cap,
        users,
        weight,
    }
}

/// Nodes that share their leaves.
pub const NODES_PER_LEAF: usize = 16;
/// Host channel adapters of a node, `mlx5_0`..`mlx5_7`; one beside each GPU.
pub const HCAS: usize = 8;
pub const RAILS_PER_FABRIC: usize = 4;
pub const SPINES_PER_FABRIC: usize = 4;
/// Links from each leaf to each spine.
pub const LINKS_PER_SPINE: usize = 2;
/// Speed of every link.
pub const LINK_BITS_PER_SECOND: f64 = 400e9;
/// The first leaf port that leads to a spine.
const UPLINKS_FROM: usize = 25;
const CNODE_PORT: usize = 17;
const NODES_PER_RACK: usize = 4;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    cluster: String,
    pod: String,
    nodes: usize,
    gpus: usize,
    cnodes: usize,
}

impl Default for Topology {
    fn default() -> Self {
        Self::new("emea", 64, 8)
    }
}

impl Topology {
    /// A pod of so many nodes and GPUs per node. Leaves come in groups of sixteen nodes; there is one front end per leaf
    /// and fabric.
    pub fn new(cluster: &str, nodes: usize, gpus: usize) -> Self {
        let groups = nodes.div_ceil(NODES_PER_LEAF).max(1);
        Self {
            cluster: cluster.to_owned(),
            pod: "pod-2".to_owned(),
            nodes,
            gpus,
            cnodes: groups * RAILS_PER_FABRIC,
        }
    }

    /// Label `cluster`.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }

    /// Label `pod`.
    pub fn pod(&self) -> &str {
        &self.pod
    }

    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// GPUs per node.
    pub fn gpus(&self) -> usize {
        self.gpus
    }

    /// Front ends of the storage cluster.
    pub fn cnodes(&self) -> usize {
        self.cnodes
    }

    /// `emea-gpu-01` is node 0.
    pub fn node_name(&self, node: usize) -> String {
        format!("{}-gpu-{:02}", self.cluster, node + 1)
    }

    /// The node of that name.
    pub fn node_of(&self, name: &str) -> Option<usize> {
        let number = name.strip_prefix(self.cluster.as_str())?.strip_prefix("-gpu-")?;
        let node = number.parse::<usize>().ok()?.checked_sub(1)?;
        (node < self.nodes).then_some(node)
    }

    /// Label `rack`.
    pub fn rack(&self, node: usize) -> String {
        format!("r{:02}", node / NODES_PER_RACK + 1)
    }

    /// An adapter's name.
    pub fn hca_name(hca: usize) -> String {
        format!("mlx5_{hca}")
    }

    /// The network interface of an adapter.
    pub fn netdev_name(hca: usize) -> String {
        format!("eth{}", hca + 2)
    }

    /// The fabric an adapter belongs to.
    pub fn fabric_of(hca: usize) -> Fabric {
        if hca < RAILS_PER_FABRIC {
            Fabric::A
        } else {
            Fabric::B
        }
    }

    /// The leaf port an adapter is plugged into.
    pub fn leaf_port(&self, node: usize, hca: usize) -> Port {
        let groups = self.groups();
        Port {
            switch: Switch {
                fabric: Self::fabric_of(hca),
                tier: Tier::Leaf,
                number: (hca % RAILS_PER_FABRIC) * groups + node / NODES_PER_LEAF + 1,
            },
            number: node % NODES_PER_LEAF + 1,
        }
    }

    fn groups(&self) -> usize {
        self.nodes.div_ceil(NODES_PER_LEAF).max(1)
    }

    pub fn leaves_per_fabric(&self) -> usize {
        self.groups() * RAILS_PER_FABRIC
    }

    /// Every switch: leaves, then spines, of fabric `a`, then of `b`.
    pub fn switches(&self) -> Vec<Switch> {
        let mut switches = Vec::new();
        for fabric in Fabric::ALL {
            let tiers = [
                (Tier::Leaf, self.leaves_per_fabric()),
                (Tier::Spine, SPINES_PER_FABRIC),
            ];
            for (tier, count) in tiers {
                switches.extend((1..=count).map(|number| Switch { fabric, tier, number }));
            }
        }
        switches
    }

    /// The used ports of a switch and where they lead.
    pub fn ports(&self, switch: Switch) -> Vec<(Port, Peer)> {
        let port = |number| Port { switch, number };
        let other = |tier, number| Switch {
            fabric: switch.fabric,
            tier,
            number,
        };
        let mut ports = Vec::new();
        match switch.tier {
            Tier::Leaf => {
                let groups = self.groups();
                let (rail, group) = ((switch.number - 1) / groups, (switch.number - 1) % groups);
                let hca = switch.fabric.index() * RAILS_PER_FABRIC + rail;
                for at in 0..NODES_PER_LEAF {
                    let node = group * NODES_PER_LEAF + at;
                    if node < self.nodes {
                        ports.push((port(at + 1), Peer::Node { node, hca }));
                    }
                }
                let cnode = switch.number - 1;
                ports.push((port(CNODE_PORT), Peer::CNode { cnode }));
                for spine in 1..=SPINES_PER_FABRIC {
                    for link in 0..LINKS_PER_SPINE {
                        let here = port(UPLINKS_FROM + (spine - 1) * LINKS_PER_SPINE + link);
                        let there = Port {
                            switch: other(Tier::Spine, spine),
                            number: (switch.number - 1) * LINKS_PER_SPINE + link + 1,
                        };
                        ports.push((here, Peer::Switch(there)));
                    }
                }
            }
            Tier::Spine => {
                for leaf in 1..=self.leaves_per_fabric() {
                    for link in 0..LINKS_PER_SPINE {
                        let here = port((leaf - 1) * LINKS_PER_SPINE + link + 1);
                        let there = Port {
                            switch: other(Tier::Leaf, leaf),
                            number: UPLINKS_FROM + (switch.number - 1) * LINKS_PER_SPINE + link,
                        };
                        ports.push((here, Peer::Switch(there)));
                    }
                }
            }
        }
        ports
    }

    /// `cnode-1` is front end 0.
    pub fn cnode_name(cnode: usize) -> String {
        format!("cnode-{}", cnode + 1)
    }

    /// The virtual address a front end serves.
    pub fn vip(cnode: usize) -> String {
        format!("172.21.0.{}", cnode + 1)
    }

    /// The front ends a node's controllers are connected to: two, on different leaves.
    pub fn cnodes_of(&self, node: usize) -> [usize; 2] {
        let first = node % self.cnodes;
        [first, (first + self.cnodes / 2) % self.cnodes]
    }

    /// An address of a node on the storage network.
    pub fn node_address(node: usize) -> String {
        format!("172.21.1.{}", node + 1)
    }

    /// Slurm's partitions: most nodes train, an eighth serve, one is for debugging.
    pub fn partitions(&self) -> Vec<Partition> {
        let debug = usize::from(self.nodes > 4);
        let infer = self.nodes / 8;
        let train = self.nodes - debug - infer;
        vec![
            Partition {
                name: "train",
                nodes: 0..train,
                max_minutes: 7 * 24 * 60,
                default: true,
            },
            Partition {
                name: "infer",
                nodes: train..train + infer,
                max_minutes: 30 * 24 * 60,
                default: false,
            },
            Partition {
                name: "debug",
                nodes: train + infer..self.nodes,
                max_minutes: 60,
                default: false,
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn the_default_pod_is_the_one_of_the_scenario() {
        let pod = Topology::default();
        assert_eq!((pod.nodes(), pod.gpus(), pod.cnodes()), (64, 8, 16));
        let count = |tier| pod.switches().iter().filter(|switch| switch.tier == tier).count();
        assert_eq!((count(Tier::Leaf), count(Tier::Spine)), (32, 8));
        assert_eq!(pod.node_name(0), "emea-gpu-01");
        assert_eq!(pod.node_of("emea-gpu-64"), Some(63));
        assert_eq!(
            [pod.node_of("emea-gpu-65"), pod.node_of("emea-gpu-00")],
            [None; 2]
        );
        let names: BTreeSet<String> = pod.switches().into_iter().map(Switch::name).collect();
        for name in ["leaf-a01", "leaf-b16", "spine-a1", "spine-b4"] {
            assert!(names.contains(name), "{name}");
        }
        assert_eq!(names.len(), 40);
    }

    #[test]
    fn every_adapter_has_a_port_of_its_own_and_every_cable_two_ends() {
        let pod = Topology::default();
        let mut adapters = BTreeMap::new();
        let mut cables = 0;
        for switch in pod.switches() {
            let mut seen = BTreeSet::new();
            for (port, peer) in pod.ports(switch) {
                assert!(seen.insert(port.number), "{port:?} twice");
                match peer {
                    Peer::Node { node, hca } => {
                        assert_eq!(pod.leaf_port(node, hca), port);
                        adapters.insert((node, hca), port);
                    }
                    Peer::CNode { cnode } => assert!(cnode < pod.cnodes()),
                    Peer::Switch(there) => {
                        let back = pod.ports(there.switch);
                        assert!(back.contains(&(there, Peer::Switch(port))), "{port:?} {there:?}");
                        cables += 1;
                    }
                }
            }
        }
        assert_eq!(adapters.len(), 64 * HCAS);
        assert_eq!(cables, 2 * 2 * 16 * SPINES_PER_FABRIC * LINKS_PER_SPINE);
    }

    #[test]
    fn partitions_share_out_all_nodes_and_contracts_fit_the_pod() {
        for nodes in [2, 8, 16, 64, 128] {
            let pod = Topology::new("emea", nodes, 8);
            let all: Vec<usize> = pod.partitions().into_iter().flat_map(|part| part.nodes).collect();
            assert_eq!(all, (0..nodes).collect::<Vec<_>>());
        }
        let promised: u32 = TENANTS.iter().map(|tenant| tenant.promised).sum();
        assert!((400..=512).contains(&promised), "{promised}");
        let accounts: BTreeSet<&str> = TENANTS.iter().map(|tenant| tenant.account).collect();
        assert_eq!(accounts.len(), 12);
        let users: BTreeSet<&str> = TENANTS.iter().flat_map(|tenant| tenant.users).collect();
        assert_eq!(users.len(), 36, "a user belongs to one account");
    }
}
