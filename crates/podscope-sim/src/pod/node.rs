//! What a node of the pod shows of fabric and storage below `/sys` and `/proc`: its adapters with their counters, its paths
//! to the storage cluster, its NFS mount; and the load its jobs put on GPUs and CPUs.
//!
//! Collectives use all adapters alike; storage goes over one adapter of each fabric.

use std::fmt::Arguments;
use std::io::Write;
use std::sync::Arc;

use podscope_collect::ethtool::{DriverInfo, LinkConfig, LinkLabels, SimEthtool};
use podscope_collect::nccl::NcclConfig;
use podscope_collect::storage::latency::{Operation, SimIo};
use podscope_collect::{DomainConfig, MemFs};

use super::nccl::{INSPECTED, LOGS, NcclFiles};

use super::flows::{NodeSums, READ_BYTES, WRITE_BYTES, WRITE_SECONDS};
use super::model::latency::BOUNDS;
use super::model::parameters::Class;
use super::model::physics::FRAME;
use super::state::Pod;
use super::topology::{HCAS, Topology};
use crate::noise::{hash, smooth, unit};
use crate::workload::{GpuLoad, Holder, Load};

/// The adapters that carry storage.
pub const STORAGE_HCAS: [usize; 2] = [0, 4];

/// What an adapter counts, from what its node counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Adapter {
    pub rx_bytes: f64,
    pub tx_bytes: f64,
    pub marked: f64,
    /// Seconds it was told to stop, and told the network to stop.
    pub paused: f64,
    pub pausing: f64,
    pub timeouts: f64,
}

impl Adapter {
    pub fn of(sums: &NodeSums, hca: usize) -> Self {
        let each = 1.0 / HCAS as f64;
        let storage = if STORAGE_HCAS.contains(&hca) { 0.5 } else { 0.0 };
        Self {
            rx_bytes: sums.collective * each + sums.reads * storage,
            tx_bytes: sums.collective * each + sums.writes * storage,
            marked: sums.marked_collective * each + sums.marked_storage * storage,
            paused: if storage > 0.0 {
                sums.paused
            } else {
                sums.paused_others
            },
            pausing: sums.pausing,
            timeouts: sums.timeouts * storage,
        }
    }

    pub fn rx_frames(&self) -> f64 {
        self.rx_bytes / FRAME
    }

    pub fn tx_frames(&self) -> f64 {
        self.tx_bytes / FRAME
    }
}

/// A disk as `/proc/diskstats` counts it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct RemoteDisk {
    pub(crate) reads: f64,
    pub(crate) read_bytes: f64,
    pub(crate) read_seconds: f64,
    pub(crate) writes: f64,
    pub(crate) written_bytes: f64,
    pub(crate) write_seconds: f64,
    pub(crate) busy_seconds: f64,
    pub(crate) in_flight: f64,
}

/// A node of the pod.
#[derive(Debug)]
pub(crate) struct PodNode {
    pod: Arc<Pod>,
    node: usize,
    /// Parts of reads that were not yet told of, per bucket, as many as buckets.
    untold: Vec<f64>,
    at_ms: i64,
    disk: RemoteDisk,
    ethtool: SimEthtool,
    io: SimIo,
    nccl: NcclFiles,
    /// Requests told of: reads and writes.
    told: [f64; 2],
}

/// What the driver of an adapter counts, in this order.
const STATISTICS: [&str; 19] = [
    "rx_bytes_phy",
    "tx_bytes_phy",
    "rx_packets_phy",
    "tx_packets_phy",
    "rx_prio3_bytes",
    "rx_prio3_packets",
    "tx_prio3_bytes",
    "tx_prio3_packets",
    "rx_prio3_pause",
    "rx_prio3_pause_duration",
    "rx_prio3_pause_transition",
    "tx_prio3_pause",
    "tx_prio3_pause_duration",
    "rx_prio3_discards",
    "rx_discards_phy",
    "rx_crc_errors_phy",
    "rx_corrected_bits_phy",
    "link_down_events_phy",
    "tx_pause_storm_warning_events",
];

fn put(fs: &MemFs, path: &str, text: Arguments<'_>) {
    fs.rewrite(path, |out| drop(out.write_fmt(text)));
}

impl PodNode {
    pub(crate) fn new(pod: Arc<Pod>, node: usize, fs: &MemFs, from_ms: i64) -> Self {
        let made = Self {
            pod,
            node,
            untold: vec![0.0; BOUNDS.len() + 1],
            at_ms: from_ms,
            disk: RemoteDisk::default(),
            ethtool: SimEthtool::default(),
            io: SimIo::default(),
            nccl: NcclFiles::default(),
            told: [0.0; 2],
        };
        made.write_what_stays(fs);
        made
    }

    /// The device behind the paths to the storage cluster.
    pub(crate) fn disk(&self) -> RemoteDisk {
        self.disk
    }

    /// What the node has that is no file: its drivers' statistics, and the times of its requests.
    pub(crate) fn sources(&self) -> (SimEthtool, SimIo) {
        (self.ethtool.clone(), self.io.clone())
    }

    /// How its collectors of fabric, storage and NCCL are set up.
    pub(crate) fn config() -> DomainConfig {
        let rail = |hca: usize| LinkLabels {
            rail: hca.to_string(),
            ..LinkLabels::default()
        };
        DomainConfig {
            links: LinkConfig {
                links: (0..HCAS)
                    .map(|hca| (Topology::netdev_name(hca), rail(hca)))
                    .collect(),
                ..LinkConfig::default()
            },
            nccl: NcclConfig {
                log_files: vec![LOGS.to_owned()],
                inspector_files: vec![INSPECTED.to_owned()],
                ..NcclConfig::default()
            },
            ..DomainConfig::default()
        }
    }

    /// As lldpd's `lldpcli -f json show neighbors` writes it.
    fn write_neighbours(&self, fs: &MemFs) {
        let mut text = String::from("{\"lldp\":{\"interface\":[");
        for hca in 0..HCAS {
            let port = self.pod.topology().leaf_port(self.node, hca);
            let comma = if hca == 0 { "" } else { "," };
            text.push_str(&format!(
                    "{comma}{{\"{}\":{{\"via\":\"LLDP\",\"rid\":\"{}\",\"chassis\":{{\"{}\":{{\"id\":{{\"type\":\"mac\",\"value\":\"1c:34:da:00:00:{:02x}\"}}}}}},\"port\":{{\"id\":{{\"type\":\"ifname\",\"value\":\"{}\"}},\"descr\":\"{}\"}}}}}}",
                    Topology::netdev_name(hca),
                    hca + 1,
                    port.switch.name(),
                    port.switch.number,
                    port.name(),
                    self.pod.topology().node_name(self.node),
                ));
        }
        text.push_str("]}}");
        fs.write("/run/podscope/lldp.json", text);
    }

    fn write_what_stays(&self, fs: &MemFs) {
        self.write_neighbours(fs);
        for hca in 0..HCAS {
            self.ethtool.plug(
                &Topology::netdev_name(hca),
                DriverInfo {
                    driver: "mlx5_core".to_owned(),
                    version: "24.10-0.7.0".to_owned(),
                    firmware_version: "28.42.1000 (MT_0000000838)".to_owned(),
                    bus_info: format!("0000:{:02x}:00.0", 0x18 + hca * 8),
                    expansion_rom_version: String::new(),
                },
            );
            for statistic in STATISTICS {
                self.ethtool.set(&Topology::netdev_name(hca), statistic, 0);
            }
            let device = format!("/sys/class/infiniband/{}", Topology::hca_name(hca));
            let netdev = Topology::netdev_name(hca);
            let guid = hash(7, self.node as u64, hca as u64) & 0xffff_ffff;
            let files = [
                ("fw_ver", "28.42.1000".to_owned()),
                ("board_id", "MT_0000000838".to_owned()),
                ("hca_type", "MT4129".to_owned()),
                (
                    "node_guid",
                    format!("b83f:d203:{:04x}:{:04x}", guid >> 16, guid & 0xffff),
                ),
                ("ports/1/state", "4: ACTIVE".to_owned()),
                ("ports/1/phys_state", "5: LinkUp".to_owned()),
                ("ports/1/rate", "400 Gb/sec (4X NDR)".to_owned()),
                ("ports/1/link_layer", "Ethernet".to_owned()),
                ("ports/1/gid_attrs/ndevs/3", netdev.clone()),
                ("ports/1/counters/link_downed", "0".to_owned()),
                ("ports/1/counters/link_error_recovery", "0".to_owned()),
                ("ports/1/counters/symbol_error", "0".to_owned()),
                ("ports/1/counters/port_rcv_errors", "0".to_owned()),
                ("ports/1/counters/port_xmit_discards", "0".to_owned()),
                ("ports/1/counters/port_rcv_remote_physical_errors", "0".to_owned()),
                ("ports/1/hw_counters/out_of_buffer", "0".to_owned()),
                ("ports/1/hw_counters/req_cqe_error", "0".to_owned()),
                ("ports/1/hw_counters/resp_cqe_error", "0".to_owned()),
                ("ports/1/hw_counters/lifespan", "10".to_owned()),
            ];
            for (file, text) in files {
                fs.write(&format!("{device}/{file}"), text + "\n");
            }
            let folder = format!("/sys/class/net/{netdev}");
            let attributes = [
                (
                    "address",
                    format!(
                        "b8:3f:d2:{:02x}:{:02x}:{hca:02x}",
                        self.node >> 8,
                        self.node & 0xff
                    ),
                ),
                ("operstate", "up".to_owned()),
                ("flags", "0x1003".to_owned()),
                ("carrier", "1".to_owned()),
                ("ifindex", (hca + 4).to_string()),
                ("mtu", "4200".to_owned()),
                ("type", "1".to_owned()),
                ("tx_queue_len", "1000".to_owned()),
                ("speed", "400000".to_owned()),
                ("duplex", "full".to_owned()),
            ];
            for (file, text) in attributes {
                fs.write(&format!("{folder}/{file}"), text + "\n");
            }
            fs.write(
                &format!("{folder}/device/infiniband/{}/.keep", Topology::hca_name(hca)),
                "",
            );
        }
        let subsystem = "/sys/class/nvme-subsystem/nvme-subsys2";
        for (file, text) in [
            ("subsysnqn", "nqn.2024-08.com.vastdata:emea:pod-2".to_owned()),
            ("model", "VASTData".to_owned()),
            ("serial", "VST0F00DCAFE".to_owned()),
            ("iopolicy", "round-robin".to_owned()),
            ("nvme2n1/size", "281474976710656".to_owned()),
        ] {
            fs.write(&format!("{subsystem}/{file}"), text + "\n");
        }
        for (at, cnode) in self.pod.topology().cnodes_of(self.node).into_iter().enumerate() {
            for folder in [
                format!("{subsystem}/nvme{}", at + 2),
                format!("/sys/class/nvme/nvme{}", at + 2),
            ] {
                for (file, text) in [
                    ("transport", "rdma".to_owned()),
                    (
                        "address",
                        format!(
                            "traddr={},trsvcid=4420,src_addr={}",
                            Topology::vip(cnode),
                            Topology::node_address(self.node)
                        ),
                    ),
                    ("state", "live".to_owned()),
                    ("cntlid", (self.node + 1).to_string()),
                    ("model", "VASTData".to_owned()),
                    ("serial", "VST0F00DCAFE".to_owned()),
                    ("firmware_rev", "5.3.1".to_owned()),
                ] {
                    fs.write(&format!("{folder}/{file}"), text + "\n");
                }
            }
        }
        fs.write("/sys/block/nvme2n1/queue/rotational", "0\n");
    }

    /// Moves the counters on and writes them.
    pub(crate) fn advance(&mut self, fs: &MemFs, at_ms: i64) {
        let from_ms = self.at_ms;
        let untold = &mut self.untold;
        self.pod
            .walk(self.node, (from_ms, at_ms), |elapsed, rates, shares| {
                let reads = rates.reads / READ_BYTES * elapsed;
                for (bucket, share) in untold.iter_mut().zip(shares) {
                    *bucket += reads * f64::from(*share);
                }
            });
        self.at_ms = at_ms;
        let sums = self.pod.node_sums(self.node, at_ms);
        let rates = self.pod.node_rates(self.node, at_ms);
        self.count_disk(&sums, &rates);
        self.tell_requests();
        self.nccl.advance(&self.pod, self.node, fs, (from_ms, at_ms));
        self.write_adapters(fs, &sums);
        self.write_paths(fs, at_ms, &rates);
        self.write_mount(fs, &sums);
    }

    /// Tells of whole requests; what is left of one is told of later.
    fn tell_requests(&mut self) {
        let now = [self.disk.reads, self.disk.writes];
        let [reads, writes] = [0, 1].map(|at| (now[at] - self.told[at]).max(0.0).floor());
        self.told[0] += reads;
        self.told[1] += writes;
        let untold = &mut self.untold;
        // A front end that fetches for others, too, sees little of a stream's order.
        self.io.change(|io| {
            for (at, bucket) in untold.iter_mut().enumerate() {
                let times = bucket.floor();
                if times < 1.0 {
                    continue;
                }
                *bucket -= times;
                let upper = BOUNDS.get(at).copied().unwrap_or(10.0);
                // Below the middle of a bucket of an eighth of an octave.
                io.block("nvme2n1", "rdma", (upper * 0.957 * 1e9) as u64, times as u64);
            }
            let mut issued = |operation, sequential, requests: f64, bytes: f64| {
                let requests = requests as u64;
                io.issued(
                    "nvme2n1",
                    "rdma",
                    operation,
                    sequential,
                    (requests, requests * bytes as u64),
                );
            };
            issued(Operation::Read, true, reads * 0.7, READ_BYTES);
            issued(Operation::Read, false, reads * 0.3, READ_BYTES);
            issued(Operation::Write, true, writes, WRITE_BYTES);
        });
    }

    fn count_disk(&mut self, sums: &NodeSums, rates: &NodeSums) {
        let writes = sums.writes / WRITE_BYTES;
        let before = self.disk.busy_seconds;
        let in_flight = rates.read_seconds + rates.writes / WRITE_BYTES * WRITE_SECONDS;
        self.disk = RemoteDisk {
            reads: sums.reads / READ_BYTES,
            read_bytes: sums.reads,
            read_seconds: sums.read_seconds,
            writes,
            written_bytes: sums.writes,
            write_seconds: writes * WRITE_SECONDS,
            // A queue that is never empty is busy all the time.
            busy_seconds: before.max((sums.read_seconds * 0.1).min(self.at_ms as f64 / 1_000.0)),
            in_flight,
        };
    }

    fn write_adapters(&self, fs: &MemFs, sums: &NodeSums) {
        for hca in 0..HCAS {
            let adapter = Adapter::of(sums, hca);
            let port = format!("/sys/class/infiniband/{}/ports/1", Topology::hca_name(hca));
            let counters = [
                // Words of four bytes.
                ("counters/port_rcv_data", adapter.rx_bytes / 4.0),
                ("counters/port_xmit_data", adapter.tx_bytes / 4.0),
                ("counters/port_rcv_packets", adapter.rx_frames()),
                ("counters/port_xmit_packets", adapter.tx_frames()),
                ("counters/port_xmit_wait", adapter.paused * 1e6),
                ("hw_counters/np_ecn_marked_roce_packets", adapter.marked),
                // At most one notification per flow and interval.
                ("hw_counters/np_cnp_sent", adapter.marked * 0.6),
                ("hw_counters/rp_cnp_handled", adapter.marked * 0.58),
                ("hw_counters/out_of_sequence", adapter.timeouts * 2.0),
                ("hw_counters/packet_seq_err", adapter.timeouts * 1.3),
                ("hw_counters/local_ack_timeout_err", adapter.timeouts),
                ("hw_counters/rnr_nak_retry_err", adapter.timeouts * 0.1),
                ("hw_counters/roce_adp_retrans", adapter.timeouts * 1.6),
                ("hw_counters/roce_slow_restart", adapter.timeouts * 0.2),
            ];
            for (file, value) in counters {
                put(
                    fs,
                    &format!("{port}/{file}"),
                    format_args!("{:.0}\n", value.floor()),
                );
            }
        }
    }

    /// A path whose requests time out is reset, and connected again some seconds later.
    fn write_paths(&self, fs: &MemFs, at_ms: i64, rates: &NodeSums) {
        let minute = at_ms.div_euclid(60_000).cast_unsigned();
        for at in 0..2u64 {
            let dice = unit(0x7061_7468 + self.node as u64, at, minute);
            let lost = dice < (rates.timeouts * 0.0002).min(0.05) && at_ms.rem_euclid(60_000) < 25_000;
            let state = if lost { "connecting" } else { "live" };
            for folder in ["/sys/class/nvme-subsystem/nvme-subsys2", "/sys/class/nvme"] {
                put(
                    fs,
                    &format!("{folder}/nvme{}/state", at + 2),
                    format_args!("{state}\n"),
                );
            }
        }
    }

    /// Home directories over NFS: a few of everything, as slow as the storage cluster is.
    fn write_mount(&self, fs: &MemFs, sums: &NodeSums) {
        let vip = Topology::vip(self.pod.topology().cnodes_of(self.node)[0]);
        let reads = sums.reads / READ_BYTES / 400.0;
        let mean = if sums.reads > 0.0 {
            sums.read_seconds / (sums.reads / READ_BYTES)
        } else {
            0.0
        };
        let millis = reads * (mean * 1_000.0 + 0.2);
        let again = sums.timeouts / 50.0;
        put(
            fs,
            "/proc/1/mountstats",
            format_args!(
                "device /dev/nvme0n1 mounted on / with fstype ext4\n\
                 device {vip}:/home mounted on /home with fstype nfs4 statvers=1.1\n\
                 \topts:\trw,vers=4.1,rsize=1048576,wsize=1048576,hard,proto=tcp,addr={vip}\n\
                 \tage:\t{age:.0}\n\
                 \tevents:\t52 226 0 0 1 13 398 0 0 331 0 47 0 0 77 0 0 77 0 0 0 0 0 0 0 0 0\n\
                 \tbytes:\t{bytes:.0} 0 0 0 {bytes:.0} 0 {pages:.0} 0\n\
                 \txprt:\ttcp 832 0 1 0 11 {sent:.0} {reads:.0} 0 {sent:.0} 0 24 26 5726\n\
                 \tper-op statistics\n\
                 \t        READ: {reads:.0} {sent:.0} 0 {head:.0} {bytes:.0} {queue:.0} {millis:.0} {total:.0}\n\
                 \t     GETATTR: {attr:.0} {attr:.0} 0 {head:.0} {head:.0} 0 {attr_ms:.0} {attr_ms:.0}\n",
                age = (self.at_ms - self.pod.began_ms()) as f64 / 1_000.0,
                bytes = reads * 65_536.0,
                pages = reads * 16.0,
                sent = reads + again,
                head = reads * 160.0,
                queue = millis * 0.05,
                total = millis * 1.06,
                attr = reads * 3.0,
                attr_ms = reads * 3.0 * 0.15,
            ),
        );
    }
}

/// What the pod's jobs ask of a node.
pub(crate) fn load(pod: &Pod, node: usize, t_ms: i64) -> Load {
    let physics = pod.physics(t_ms);
    let (classes, habits) = pod.with(t_ms, |model, at| {
        let classes: Vec<Option<Class>> = model
            .slots(node, model.step_at(at))
            .map(|job| job.map(|job| model.jobs()[job].class))
            .collect();
        (classes, model.parameters().habits)
    });
    let seconds = (t_ms - pod.began_ms()) as f64 / 1_000.0;
    let gpus = classes.iter().enumerate().map(|(gpu, class)| {
        let Some(class) = class else {
            return GpuLoad::default();
        };
        let habit = &habits[class.at()];
        let stream = 5_000 + (node * 16 + gpu) as u64;
        let busy = physics.busy[class.at()] * (1.0 + 0.06 * smooth(pod.seed(), stream, seconds, 25.0));
        let waiting = physics.fabric_stall[class.at()];
        GpuLoad {
            busy: busy.clamp(0.0, 1.0),
            intensity: habit.intensity
                * (1.0 - waiting)
                * (1.0 + 0.04 * smooth(pod.seed(), stream, seconds, 90.0)),
            memory_mib: match class {
                Class::Service => 68_000.0,
                Class::Pretrain => 74_500.0,
                Class::Tune => 70_200.0,
                Class::Small => {
                    22_000.0 + 40_000.0 * unit(pod.seed(), stream, t_ms.cast_unsigned() / 1_800_000)
                }
            },
            pcie_rx: habit.reads * physics.speed[class.at()],
            pcie_tx: habit.writes + 1e8,
            nvlink: match class {
                Class::Pretrain | Class::Tune => 5.5e10 * physics.speed[class.at()],
                Class::Service => 1.2e10 * busy,
                Class::Small => 1e9,
            },
        }
    });
    let gpus: Vec<GpuLoad> = gpus.collect();
    let used = gpus.iter().filter(|gpu| gpu.busy > 0.0).count() as f64 / gpus.len().max(1) as f64;
    let serving = classes
        .iter()
        .flatten()
        .filter(|class| **class == Class::Service)
        .count() as f64;
    let busy = gpus.iter().map(|gpu| gpu.busy).sum::<f64>() / gpus.len().max(1) as f64;
    Load {
        cpu: 0.03 + 0.28 * busy,
        // Loaders that wait for data wait for a disk.
        waiting: 0.01 + 0.12 * (used * 0.9 - busy).max(0.0),
        memory: 0.05 + 0.5 * used,
        disk_read: 2e7 * used,
        disk_write: 4e5 + 6e6 * used,
        net_rx: 2e5 + 1e6 * serving,
        net_tx: 3e5 + 4e6 * serving,
        requests: 7.0 * serving,
        gpus,
    }
}

/// Who holds the GPUs of a node: a container per job and range of GPUs.
pub(crate) fn holders(pod: &Pod, node: usize, t_ms: i64) -> Vec<Holder> {
    let mut holders = Vec::new();
    for (_, job, gpus) in pod.on_node(node, t_ms) {
        let mut at = 0;
        let mut part = 0;
        while at < u16::BITS {
            if gpus & (1 << at) == 0 {
                at += 1;
                continue;
            }
            let first = at;
            while at < u16::BITS && gpus & (1 << at) != 0 {
                at += 1;
            }
            holders.push(Holder {
                key: u64::from(job.id) * 8 + u64::from(job.restarts),
                container: match part {
                    0 => format!("job-{}", job.id),
                    // What lies apart is held by another container of the same job.
                    part => format!("job-{}.{part}", job.id),
                },
                user: job.user().to_owned(),
                interface: "slurm".to_owned(),
                gpus: first..at,
            });
            part += 1;
        }
    }
    holders
}
