//! RDMA devices, InfiniBand and RoCE, from `/sys/class/infiniband`: every counter of every port, under node_exporter's names.
//!
//! What is read (a simulated machine writes the same files):
//!
//! ```text
//! /sys/class/infiniband/mlx5_0/fw_ver                                     28.39.1002
//! /sys/class/infiniband/mlx5_0/board_id                                   MT_0000000838
//! /sys/class/infiniband/mlx5_0/hca_type                                   MT4129
//! /sys/class/infiniband/mlx5_0/ports/1/state                              4: ACTIVE
//! /sys/class/infiniband/mlx5_0/ports/1/phys_state                         5: LinkUp
//! /sys/class/infiniband/mlx5_0/ports/1/rate                               400 Gb/sec (4X NDR)
//! /sys/class/infiniband/mlx5_0/ports/1/counters/port_rcv_data             123456        (4-byte words)
//! /sys/class/infiniband/mlx5_0/ports/1/hw_counters/np_ecn_marked_roce_packets   42
//! ```
//!
//! Which counters there are depends on driver and mode: a port in InfiniBand mode has no `np_*` and `rp_*` counters, and
//! their series are absent, not 0. A counter that cannot be read costs only itself, is told once, and is left alone until
//! the devices are looked at again: on restricted functions each reading puts a line into the kernel's log
//! (node_exporter#3434). `lifespan` is a setting, not a counter, and left out; it is 10 ms where nobody changed it, so the
//! counters are fresh at this interval.

mod counters;

use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, rdma};
use serde::{Deserialize, Serialize};

use crate::collector::{Collector, Descriptor, Support};
use crate::config::Pattern;
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;
use crate::host::Reader;
use counters::{COUNTERS, COUNTERS_EXT, Counter, HW_COUNTERS};

/// The collector's name.
pub const NAME: &str = "rdma";

pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: NAME,
    job: Job::Node,
    interval_ms: 5_000,
    metrics: rdma::ALL,
    touches: &[FOLDER],
};

pub(crate) const FOLDER: &str = "/sys/class/infiniband";

/// Collections after which the devices are looked at again.
const LOOK_AGAIN: u32 = 60;

/// Which RDMA devices are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RdmaConfig {
    /// Devices that are read, as a regular expression. Empty: all of them.
    pub device_include: Pattern,
    /// Devices left out, as a regular expression. Empty: none.
    pub device_exclude: Pattern,
}

impl RdmaConfig {
    pub(crate) fn reads(&self, device: &str) -> bool {
        let included = self.device_include.as_str().is_empty() || self.device_include.matches(device);
        included && !self.device_exclude.matches(device)
    }
}

/// A file of a counter.
#[derive(Debug)]
struct CounterFile {
    path: String,
    counter: &'static Counter,
    /// It could not be read; not tried again until the devices are looked at again.
    refused: bool,
}

#[derive(Debug)]
struct Port {
    device: String,
    number: String,
    state: String,
    physical_state: String,
    rate: String,
    counters: Vec<CounterFile>,
}

#[derive(Debug)]
struct Device {
    name: String,
    board: String,
    firmware: String,
    kind: String,
}

/// Reads the RDMA devices.
#[derive(Debug)]
pub struct Rdma {
    reader: Reader,
    problems: Problems,
    config: RdmaConfig,
    devices: Vec<Device>,
    ports: Vec<Port>,
    collections: u32,
}

impl Rdma {
    pub fn new(fs: Arc<dyn HostFs>, config: RdmaConfig) -> Self {
        Self {
            reader: Reader::new(fs),
            problems: Problems::default(),
            config,
            devices: Vec::new(),
            ports: Vec::new(),
            collections: 0,
        }
    }

    fn wanted(&self) -> Result<Vec<String>, CollectError> {
        let mut names = self
            .reader
            .fs
            .list(FOLDER)
            .map_err(|source| CollectError::read(FOLDER, source))?;
        names.retain(|name| self.config.reads(name));
        Ok(names)
    }

    /// Finds devices, ports and their counters anew.
    fn look(&mut self) -> Result<(), CollectError> {
        let names = self.wanted()?;
        self.reader.fs.close_below(FOLDER);
        self.devices.clear();
        self.ports.clear();
        for name in names {
            let folder = format!("{FOLDER}/{name}");
            let mut text = |file: &str| {
                let value = self.reader.value(&format!("{folder}/{file}"));
                value.unwrap_or("").to_owned()
            };
            let device = Device {
                board: text("board_id"),
                firmware: text("fw_ver"),
                kind: text("hca_type"),
                name: name.clone(),
            };
            self.devices.push(device);
            let ports = format!("{folder}/ports");
            match self.reader.fs.list(&ports) {
                Ok(numbers) => {
                    let found = numbers.into_iter().filter(|number| number.parse::<u32>().is_ok());
                    let made = found.map(|number| port(self.reader.fs.as_ref(), &name, number));
                    self.ports.extend(made);
                }
                Err(source) => self.problems.push(CollectError::read(&ports, source)),
            }
        }
        Ok(())
    }
}

/// The port with every counter that has a file.
fn port(fs: &dyn HostFs, device: &str, number: String) -> Port {
    let folder = format!("{FOLDER}/{device}/ports/{number}");
    let mut counters = Vec::new();
    for (name, known) in [
        ("counters", COUNTERS),
        ("counters_ext", COUNTERS_EXT),
        ("hw_counters", HW_COUNTERS),
    ] {
        let Ok(files) = fs.list(&format!("{folder}/{name}")) else {
            continue;
        };
        let there = known
            .iter()
            .filter(|counter| files.iter().any(|file| file == counter.file));
        counters.extend(there.map(|counter| CounterFile {
            path: format!("{folder}/{name}/{}", counter.file),
            counter,
            refused: false,
        }));
    }
    Port {
        device: device.to_owned(),
        state: format!("{folder}/state"),
        physical_state: format!("{folder}/phys_state"),
        rate: format!("{folder}/rate"),
        number,
        counters,
    }
}

/// `4` of `4: ACTIVE`.
fn state_id(text: &str) -> Option<f64> {
    let (id, _) = text.split_once(':')?;
    id.trim_ascii().parse::<u32>().ok().map(f64::from)
}

/// Bytes per second of `400 Gb/sec (4X NDR)`.
fn rate(text: &str) -> Option<f64> {
    let (value, unit) = text.split_once(' ')?;
    let gigabits: f64 = value
        .parse()
        .ok()
        .filter(|rate: &f64| rate.is_finite() && *rate >= 0.0)?;
    unit.starts_with("Gb/sec").then(|| (gigabits * 125e6).floor())
}

/// What a counter's file says: `None` where the device has no value for it ("N/A (no PMA)").
fn counter_value(text: &str, path: &str) -> Result<Option<u64>, CollectError> {
    match text.parse() {
        Ok(value) => Ok(Some(value)),
        Err(_) if text.starts_with("N/A") => Ok(None),
        Err(_) => Err(CollectError::Parse {
            path: path.to_owned(),
            line: 1,
            what: "a counter",
            found: text.chars().take(40).collect(),
        }),
    }
}

impl Collector for Rdma {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        match self.wanted() {
            Ok(names) if !names.is_empty() => Support::Present,
            Ok(_) => Support::NotPresent(format!("no RDMA device in {FOLDER} that is to be read")),
            Err(_) => Support::NotPresent(format!("no {FOLDER}")),
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        self.problems.clear();
        if self.collections.is_multiple_of(LOOK_AGAIN) {
            self.look()?;
        }
        self.collections = self.collections.wrapping_add(1);
        for device in &self.devices {
            let labels = [
                ("device", device.name.as_str()),
                ("board_id", &device.board),
                ("firmware_version", &device.firmware),
                ("hca_type", &device.kind),
            ];
            row.set(&rdma::INFINIBAND_INFO, &labels, 1.0);
        }
        let mut gone = false;
        for port in &mut self.ports {
            let labels = [("device", port.device.as_str()), ("port", port.number.as_str())];
            let reader = &mut self.reader;
            if let Some(state) = reader.hot_value(&port.state).and_then(state_id) {
                row.set(&rdma::INFINIBAND_STATE_ID, &labels, state);
            }
            if let Some(state) = reader.hot_value(&port.physical_state).and_then(state_id) {
                row.set(&rdma::INFINIBAND_PHYSICAL_STATE_ID, &labels, state);
            }
            if let Some(rate) = reader.hot_value(&port.rate).and_then(rate) {
                row.set(&rdma::INFINIBAND_RATE_BYTES_PER_SECOND, &labels, rate);
            }
            for file in port.counters.iter_mut().filter(|file| !file.refused) {
                let read = reader.hot(&file.path).and_then(|text| text.only());
                match read.and_then(|line| counter_value(line.text, &file.path)) {
                    Ok(Some(value)) => row.set(file.counter.def, &labels, value as f64 * file.counter.factor),
                    Ok(None) => {}
                    Err(problem) => {
                        // Gone with its device, which is looked for again; or not to be read, and left alone.
                        file.refused = true;
                        gone |= problem.is_absent();
                        self.problems.push(problem);
                    }
                }
            }
        }
        if gone || row.is_empty() {
            self.collections = 0;
        }
        self.problems.outcome(row.is_empty())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}

#[cfg(test)]
mod tests;
