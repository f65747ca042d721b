//! `/sys/class/net`: whether a network device is up, how fast, and its attributes. An attribute that does not apply (the
//! speed of a bridge, the duplex of a loopback) answers an error and is absent; so is a speed of -1, "unknown".

use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, MetricDef, host};

use super::{Reader, parse_integer};
use crate::collector::{Collector, Descriptor, Support};
use crate::config::{HostConfig, Pattern};
use crate::error::CollectError;
use crate::fs::HostFs;

static DESCRIPTOR: Descriptor = Descriptor {
    name: "netclass",
    job: Job::Node,
    interval_ms: 10_000,
    metrics: host::netclass::ALL,
    touches: &[FOLDER],
};

const FOLDER: &str = "/sys/class/net";

/// The attributes that are numbers.
const NUMBERS: [(&str, &MetricDef); 16] = [
    ("addr_assign_type", &host::NODE_NETWORK_ADDRESS_ASSIGN_TYPE),
    ("carrier", &host::NODE_NETWORK_CARRIER),
    ("carrier_changes", &host::NODE_NETWORK_CARRIER_CHANGES_TOTAL),
    ("carrier_up_count", &host::NODE_NETWORK_CARRIER_UP_CHANGES_TOTAL),
    (
        "carrier_down_count",
        &host::NODE_NETWORK_CARRIER_DOWN_CHANGES_TOTAL,
    ),
    ("dev_id", &host::NODE_NETWORK_DEVICE_ID),
    ("dormant", &host::NODE_NETWORK_DORMANT),
    ("flags", &host::NODE_NETWORK_FLAGS),
    ("ifindex", &host::NODE_NETWORK_IFACE_ID),
    ("iflink", &host::NODE_NETWORK_IFACE_LINK),
    ("link_mode", &host::NODE_NETWORK_IFACE_LINK_MODE),
    ("mtu", &host::NODE_NETWORK_MTU_BYTES),
    ("name_assign_type", &host::NODE_NETWORK_NAME_ASSIGN_TYPE),
    ("netdev_group", &host::NODE_NETWORK_NET_DEV_GROUP),
    ("tx_queue_len", &host::NODE_NETWORK_TRANSMIT_QUEUE_LENGTH),
    ("type", &host::NODE_NETWORK_PROTOCOL_TYPE),
];

/// The attributes that become labels of `node_network_info`, which has two more.
const TEXTS: [&str; 5] = ["address", "broadcast", "duplex", "operstate", "ifalias"];

/// The bit of an interface's flags that says that it was brought up (`IFF_UP`).
const FLAG_UP: i64 = 1;

#[derive(Debug)]
pub(crate) struct NetClass {
    reader: Reader,
    exclude: Pattern,
    path: String,
}

impl NetClass {
    pub(crate) fn new(fs: Arc<dyn HostFs>, config: &HostConfig) -> Self {
        Self {
            reader: Reader::new(fs),
            exclude: config.network_device_exclude.clone(),
            path: String::new(),
        }
    }

    fn attribute(&mut self, device: &str, name: &str) -> Option<&str> {
        self.path.clear();
        self.path.extend([FOLDER, "/", device, "/", name]);
        self.reader.hot_value(&self.path)
    }

    fn device(&mut self, device: &str, row: &mut Row) {
        let label = [("device", device)];
        let mut flags = None;
        for (name, def) in NUMBERS {
            if let Some(value) = self.attribute(device, name).and_then(parse_integer) {
                if name == "flags" {
                    flags = Some(value);
                }
                row.set(def, &label, value as f64);
            }
        }
        // In megabits per second.
        let speed = self
            .attribute(device, "speed")
            .and_then(parse_integer)
            .filter(|speed| *speed >= 0);
        if let Some(speed) = speed {
            row.set(&host::NODE_NETWORK_SPEED_BYTES, &label, speed as f64 * 1e6 / 8.0);
        }
        let texts = TEXTS.map(|name| self.attribute(device, name).unwrap_or("").to_owned());
        let admin = match flags {
            Some(flags) if flags & FLAG_UP != 0 => "up",
            Some(_) => "down",
            None => "unknown",
        };
        let [address, broadcast, duplex, state, alias] = texts.each_ref().map(String::as_str);
        if !state.is_empty() {
            row.set(&host::NODE_NETWORK_UP, &label, f64::from(u8::from(state == "up")));
        }
        let labels = [
            ("device", device),
            ("address", address),
            ("broadcast", broadcast),
            ("duplex", duplex),
            ("operstate", state),
            ("adminstate", admin),
            ("ifalias", alias),
        ];
        row.set(&host::NODE_NETWORK_INFO, &labels, 1.0);
    }
}

impl Collector for NetClass {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        if self.reader.fs.list(FOLDER).is_ok_and(|names| !names.is_empty()) {
            Support::Present
        } else {
            Support::NotPresent(format!("no network device in {FOLDER}"))
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        let devices = self
            .reader
            .fs
            .list(FOLDER)
            .map_err(|source| CollectError::read(FOLDER, source))?;
        for device in devices {
            // `bonding_masters` is a file among the devices.
            if !self.exclude.matches(&device) && self.attribute(&device, "ifindex").is_some() {
                self.device(&device, row);
            }
        }
        Ok(())
    }
}
