//! What the drivers of network devices count (`ethtool -S`), under node_exporter's names, and what is made of it: pauses by
//! priority and direction, octets of the physical port, how busy each link is, and where it leads.
//!
//! What is read of the file system (a simulated machine writes the same files, and gives a [`SimEthtool`] for the rest):
//!
//! ```text
//! /sys/class/net/eth2/device/                             the device has hardware behind it
//! /sys/class/net/eth2/device/infiniband/mlx5_0/...        its RDMA device
//! /sys/class/net/eth2/speed                               400000   (megabits per second)
//! /sys/class/net/eth2/ifindex                             5
//! /run/podscope/lldp.json                                 lldpcli -f json show neighbors
//! /run/systemd/netif/lldp/5                               what systemd-networkd heard
//! ```
//!
//! and by `SIOCETHTOOL`: driver, names and values of the statistics. Of the hundreds a driver has, those of the catalog get a
//! series, and whatever the configuration names. mlx5 counts pause time in microseconds.
//!
//! Directions are the node's: `rx` pause is the network telling the node to stop, `tx` pause the node telling the network. A
//! priority without flow control has no counter, and no series.

mod kernel;
mod links;
mod lldp;
mod names;
mod source;

use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use podscope_model::batch::{ForeignMetric, Row};
use podscope_model::catalog::{Job, Kind, MetricDef, Unit, ethtool};

use crate::collector::{Collector, Descriptor, Support};
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;
use crate::host::Reader;
use links::{Link, LinkBook};
use names::{Direction, Pause};

pub use kernel::KernelEthtool;
pub use links::{LinkConfig, LinkLabels};
pub use source::{DriverInfo, EthtoolSource, SimEthtool};

/// The collector's name.
pub const NAME: &str = "ethtool";

pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: NAME,
    job: Job::Node,
    interval_ms: 5_000,
    metrics: ethtool::ALL,
    touches: &[
        "SIOCETHTOOL",
        FOLDER,
        "/run/podscope/lldp.json",
        "/run/systemd/netif/lldp",
    ],
};

const FOLDER: &str = "/sys/class/net";

/// Collections after which devices, drivers and neighbours are looked at again.
const LOOK_AGAIN: u32 = 12;
/// Further statistics of one device that get a series at most.
const MOST_FURTHER: usize = 256;
/// Shares of what a link could carry are taken over gaps within these bounds; others are a clock that was set or an agent
/// that slept.
const GAP: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);

/// What a statistic is good for.
#[derive(Debug)]
enum Use {
    Metric(&'static MetricDef),
    Further(Arc<ForeignMetric>),
    Pause(&'static str, Direction, Pause),
    Bytes(Direction),
}

#[derive(Debug)]
struct Nic {
    name: String,
    driver: DriverInfo,
    rdma_device: String,
    link: Link,
    speed_path: String,
    /// How many statistics there were when `uses` was made.
    statistics: usize,
    /// Statistics that are used, by their place; one may have several uses.
    uses: Vec<(usize, Use)>,
    /// Octets received and sent, when they were last read.
    before: Option<(Duration, [Option<u64>; 2])>,
}

/// Asks the drivers of network devices.
#[derive(Debug)]
pub struct Ethtool {
    reader: Reader,
    source: Box<dyn EthtoolSource>,
    config: LinkConfig,
    problems: Problems,
    book: LinkBook,
    nics: Vec<Nic>,
    values: Vec<u64>,
    collections: u32,
}

impl Ethtool {
    pub fn new(fs: Arc<dyn HostFs>, source: Box<dyn EthtoolSource>, config: LinkConfig) -> Self {
        Self {
            reader: Reader::new(Arc::clone(&fs)),
            source,
            config,
            problems: Problems::default(),
            book: LinkBook::new(fs),
            nics: Vec::new(),
            values: Vec::new(),
            collections: 0,
        }
    }

    /// The devices to be asked.
    fn wanted(&self) -> Vec<String> {
        let mut names = self.reader.fs.list(FOLDER).unwrap_or_default();
        names.retain(|name| {
            let hardware = || self.reader.fs.exists(&format!("{FOLDER}/{name}/device"));
            self.config.reads(name).unwrap_or_else(hardware)
        });
        names
    }

    fn look(&mut self) {
        self.book.read(&self.config, &mut self.problems);
        let mut former = std::mem::take(&mut self.nics);
        for name in self.wanted() {
            let rdma = format!("{FOLDER}/{name}/device/infiniband");
            let rdma_device = self.reader.fs.list(&rdma).unwrap_or_default();
            let rdma_device = rdma_device.into_iter().next().unwrap_or_default();
            let link = self.book.link(&self.config, &name, &rdma_device);
            let before = former
                .iter_mut()
                .find(|nic| nic.name == name)
                .and_then(|nic| nic.before.take());
            let mut nic = Nic {
                // A driver that does not say who it is may still have statistics.
                driver: self.source.driver(&name).unwrap_or_default(),
                speed_path: format!("{FOLDER}/{name}/speed"),
                rdma_device,
                link,
                statistics: 0,
                uses: Vec::new(),
                before,
                name,
            };
            name_statistics(self.source.as_mut(), &mut nic, &self.config);
            self.nics.push(nic);
        }
    }
}

/// Asks for the names of a device's statistics and finds their uses. Many virtual devices have none.
fn name_statistics(source: &mut dyn EthtoolSource, nic: &mut Nic, config: &LinkConfig) {
    let names = source.names(&nic.name).unwrap_or_default();
    nic.statistics = names.len();
    nic.uses.clear();
    let mut further = 0;
    for (at, name) in names.iter().enumerate() {
        if let Some(def) = names::metric(name) {
            nic.uses.push((at, Use::Metric(def)));
        } else if config.further.matches(name) && further < MOST_FURTHER {
            further += 1;
            nic.uses.push((at, Use::Further(further_metric(name))));
        }
        if let Some((priority, direction, pause)) = names::pause(name) {
            nic.uses.push((at, Use::Pause(priority, direction, pause)));
        }
        if let Some(direction) = names::physical_bytes(name) {
            nic.uses.push((at, Use::Bytes(direction)));
        }
    }
}

/// As node_exporter describes a statistic.
fn further_metric(name: &str) -> Arc<ForeignMetric> {
    Arc::new(ForeignMetric {
        name: names::node_exporter_name(name),
        kind: Kind::Unknown,
        unit: Unit::None,
        help: format!("Network interface {name}."),
    })
}

impl Nic {
    /// Labels of where the link leads, the device first.
    fn labels(&self) -> [(&str, &str); 5] {
        let LinkLabels {
            fabric,
            rail,
            leaf,
            leaf_port,
        } = &self.link.labels;
        [
            ("device", self.name.as_str()),
            ("fabric", fabric.as_str()),
            ("rail", rail),
            ("leaf", leaf),
            ("leaf_port", leaf_port),
        ]
    }

    fn write_info(&self, row: &mut Row) {
        let driver = &self.driver;
        if !driver.driver.is_empty() {
            let labels = [
                ("bus_info", driver.bus_info.as_str()),
                ("device", &self.name),
                ("driver", &driver.driver),
                ("expansion_rom_version", &driver.expansion_rom_version),
                ("firmware_version", &driver.firmware_version),
                ("version", &driver.version),
            ];
            row.set(&ethtool::ETHTOOL_INFO, &labels, 1.0);
        }
        let [device, fabric, rail, leaf, leaf_port] = self.labels();
        let labels = [
            device,
            ("rdma_device", self.rdma_device.as_str()),
            fabric,
            rail,
            leaf,
            leaf_port,
            ("source", self.link.source),
        ];
        row.set(&ethtool::LINK_INFO, &labels, 1.0);
    }

    /// Writes what the values say; answers the octets of the physical port.
    fn write_values(&self, values: &[u64], row: &mut Row) -> [Option<u64>; 2] {
        let [device, fabric, rail, leaf, leaf_port] = self.labels();
        let mut bytes = [None; 2];
        for (at, used) in &self.uses {
            let Some(value) = values.get(*at).copied() else {
                continue;
            };
            match used {
                Use::Metric(def) => row.set(def, &[device], value as f64),
                Use::Further(metric) => row.set_foreign(metric, &[device], value as f64),
                Use::Pause(priority, direction, pause) => {
                    let labels = [
                        device,
                        ("direction", direction.as_str()),
                        ("priority", priority),
                        fabric,
                        rail,
                        leaf,
                        leaf_port,
                    ];
                    match pause {
                        Pause::Frames => row.set(&ethtool::PFC_PAUSE_FRAMES, &labels, value as f64),
                        Pause::Microseconds => {
                            row.set(&ethtool::PFC_PAUSE_SECONDS, &labels, value as f64 / 1e6);
                        }
                    }
                }
                Use::Bytes(direction) => {
                    bytes[*direction as usize] = Some(value);
                    let labels = [
                        device,
                        ("direction", direction.as_str()),
                        fabric,
                        rail,
                        leaf,
                        leaf_port,
                    ];
                    row.set(&ethtool::LINK_BYTES, &labels, value as f64);
                }
            }
        }
        bytes
    }

    /// Writes the share of what the link could have carried since the values before.
    fn write_utilization(
        &mut self,
        now: Duration,
        bytes: [Option<u64>; 2],
        speed: Option<f64>,
        row: &mut Row,
    ) {
        let before = self.before.replace((now, bytes));
        let (Some((then, former)), Some(speed)) = (before, speed) else {
            return;
        };
        let Some(gap) = now.checked_sub(then).filter(|gap| GAP.contains(gap)) else {
            return;
        };
        let [device, fabric, rail, leaf, leaf_port] = self.labels();
        for direction in [Direction::Rx, Direction::Tx] {
            let at = direction as usize;
            let (Some(now), Some(then)) = (bytes[at], former[at]) else {
                continue;
            };
            // Counters that went back belong to a card that was reset.
            if let Some(moved) = now.checked_sub(then) {
                let labels = [
                    device,
                    ("direction", direction.as_str()),
                    fabric,
                    rail,
                    leaf,
                    leaf_port,
                ];
                let share = moved as f64 / gap.as_secs_f64() / speed;
                row.set(&ethtool::LINK_UTILIZATION, &labels, share);
            }
        }
    }
}

/// Bytes per second of a speed in megabits per second; -1 is "unknown".
fn speed(text: &str) -> Option<f64> {
    let speed: i64 = text.parse().ok()?;
    (speed > 0).then(|| speed as f64 * 1e6 / 8.0)
}

impl Collector for Ethtool {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        match self.wanted().is_empty() {
            true => Support::NotPresent(format!("no network device with hardware behind it in {FOLDER}")),
            false => Support::Present,
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        self.problems.clear();
        if self.collections.is_multiple_of(LOOK_AGAIN) {
            self.look();
        }
        self.collections = self.collections.wrapping_add(1);
        let now = self
            .reader
            .fs
            .now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        for nic in &mut self.nics {
            nic.write_info(row);
            let speed = self.reader.hot_value(&nic.speed_path).and_then(speed);
            if let Some(speed) = speed {
                row.set(&ethtool::LINK_SPEED, &nic.labels(), speed);
            }
            if nic.uses.is_empty() {
                continue;
            }
            let mut read = self.source.values(&nic.name, &mut self.values);
            if read.is_ok() && self.values.len() != nic.statistics {
                // Another number of queues: the names have moved.
                name_statistics(self.source.as_mut(), nic, &self.config);
                read = self.source.values(&nic.name, &mut self.values);
            }
            match read {
                Ok(()) if self.values.len() == nic.statistics => {
                    let bytes = nic.write_values(&self.values, row);
                    nic.write_utilization(now, bytes, speed, row);
                }
                Ok(()) => {}
                Err(source) => {
                    self.collections = 0;
                    self.problems.push(CollectError::Vendor {
                        what: format!("driver statistics of {}", nic.name),
                        reason: source.to_string(),
                    });
                }
            }
        }
        self.problems.outcome(row.is_empty())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}

#[cfg(test)]
mod tests;
