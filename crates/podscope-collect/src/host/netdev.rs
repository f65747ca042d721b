//! `/proc/net/dev`: bytes, packets and errors of each network device. The columns are sums the kernel makes of its finer
//! counters (`net/core/net-procfs.c`); the one it leaves out, packets without a handler, is read from sysfs.

use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, MetricDef, host};
use rustc_hash::FxHashMap;

use super::Reader;
use crate::collector::{Collector, Descriptor, Support};
use crate::config::{HostConfig, Pattern};
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;
use crate::text::Line;

static DESCRIPTOR: Descriptor = Descriptor {
    name: "netdev",
    job: Job::Node,
    interval_ms: 1000,
    metrics: host::netdev::ALL,
    touches: &[PATH, "/sys/class/net/*/statistics/rx_nohandler"],
};

const PATH: &str = "/proc/net/dev";

/// The columns after the device's name.
const COLUMNS: [&MetricDef; 16] = [
    &host::NODE_NETWORK_RECEIVE_BYTES_TOTAL,
    &host::NODE_NETWORK_RECEIVE_PACKETS_TOTAL,
    &host::NODE_NETWORK_RECEIVE_ERRS_TOTAL,
    &host::NODE_NETWORK_RECEIVE_DROP_TOTAL,
    &host::NODE_NETWORK_RECEIVE_FIFO_TOTAL,
    &host::NODE_NETWORK_RECEIVE_FRAME_TOTAL,
    &host::NODE_NETWORK_RECEIVE_COMPRESSED_TOTAL,
    &host::NODE_NETWORK_RECEIVE_MULTICAST_TOTAL,
    &host::NODE_NETWORK_TRANSMIT_BYTES_TOTAL,
    &host::NODE_NETWORK_TRANSMIT_PACKETS_TOTAL,
    &host::NODE_NETWORK_TRANSMIT_ERRS_TOTAL,
    &host::NODE_NETWORK_TRANSMIT_DROP_TOTAL,
    &host::NODE_NETWORK_TRANSMIT_FIFO_TOTAL,
    &host::NODE_NETWORK_TRANSMIT_COLLS_TOTAL,
    &host::NODE_NETWORK_TRANSMIT_CARRIER_TOTAL,
    &host::NODE_NETWORK_TRANSMIT_COMPRESSED_TOTAL,
];

/// Devices whose path is remembered at most: containers come and go under new names.
const REMEMBERED_DEVICES: usize = 1024;

#[derive(Debug)]
pub(crate) struct NetDev {
    reader: Reader,
    sysfs: Reader,
    problems: Problems,
    exclude: Pattern,
    /// The path of each device's counter in sysfs, made once.
    nohandler: FxHashMap<String, String>,
}

impl NetDev {
    pub(crate) fn new(fs: Arc<dyn HostFs>, config: &HostConfig) -> Self {
        Self {
            reader: Reader::new(Arc::clone(&fs)),
            sysfs: Reader::new(fs),
            problems: Problems::default(),
            exclude: config.network_device_exclude.clone(),
            nohandler: FxHashMap::default(),
        }
    }
}

impl Collector for NetDev {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        if self.reader.fs.exists(PATH) {
            Support::Present
        } else {
            Support::NotPresent(format!("no {PATH}"))
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        self.problems.clear();
        if self.nohandler.len() > REMEMBERED_DEVICES {
            self.nohandler.clear();
        }
        // Two lines of headings.
        for line in self.reader.hot(PATH)?.lines().skip(2) {
            let device = line.and_then(|line| counters(line, &self.exclude, row));
            let device = match device {
                Ok(Some(device)) => device,
                Ok(None) => continue,
                Err(problem) => {
                    self.problems.push(problem);
                    continue;
                }
            };
            if !self.nohandler.contains_key(device) {
                let path = format!("/sys/class/net/{device}/statistics/rx_nohandler");
                self.nohandler.insert(device.to_owned(), path);
            }
            let count = self
                .nohandler
                .get(device)
                .and_then(|path| self.sysfs.hot_value(path));
            // Kernels before 4.6 do not count them.
            if let Some(count) = count.and_then(|text| text.parse::<u64>().ok()) {
                row.set(
                    &host::NODE_NETWORK_RECEIVE_NOHANDLER_TOTAL,
                    &[("device", device)],
                    count as f64,
                );
            }
        }
        self.problems.outcome(row.is_empty())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}

/// Writes the counters of one line; answers the device, or `None` when it is left out.
fn counters<'a>(line: Line<'a>, exclude: &Pattern, row: &mut Row) -> Result<Option<&'a str>, CollectError> {
    // An alias has a colon in its name.
    let Some((device, rest)) = line.text.rsplit_once(':') else {
        return Err(line.expected("a device and its counters"));
    };
    let device = device.trim_ascii();
    if exclude.matches(device) {
        return Ok(None);
    }
    let mut values = [0; COLUMNS.len()];
    let mut fields = rest.split_ascii_whitespace();
    for value in &mut values {
        *value = line.count(fields.next(), "16 counters")?;
    }
    for (def, value) in COLUMNS.iter().zip(values) {
        row.set(def, &[("device", device)], value as f64);
    }
    Ok(Some(device))
}
