//! Where each link leads: the labels `fabric`, `rail`, `leaf` and `leaf_port`, from the configuration and from LLDP.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::lldp::{Neighbour, parse_lldpcli, parse_networkd};
use crate::config::Pattern;
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;

/// How a switch's name tells the fabric: `leaf-a01` is of fabric `a`.
const LEAF: &str = r"(?i)^leaf[-_]?(?P<fabric>[a-z])[-_]?\d+";

/// Where a link leads. What is not set is found by LLDP, or not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkLabels {
    pub fabric: String,
    pub rail: String,
    pub leaf: String,
    pub leaf_port: String,
}

/// Which network devices have their driver asked, and how it is known where they lead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinkConfig {
    /// Network devices whose driver is asked, as a regular expression. Empty: every one with hardware behind it.
    pub device_include: Pattern,
    /// Network devices whose driver is not asked, as a regular expression. Empty: none.
    pub device_exclude: Pattern,
    /// Further driver statistics that get a series, as a regular expression over the driver's own names. Empty: only those of
    /// the catalog.
    pub further: Pattern,
    /// Files in the form of `lldpcli -f json show neighbors`.
    pub lldp_files: Vec<String>,
    /// A regular expression over the leaf's name, whose groups `fabric` and `rail` become labels.
    pub leaf_pattern: Pattern,
    /// By network device or RDMA device.
    pub links: BTreeMap<String, LinkLabels>,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            device_include: Pattern::default(),
            device_exclude: Pattern::default(),
            further: Pattern::default(),
            lldp_files: vec!["/run/podscope/lldp.json".to_owned()],
            leaf_pattern: Pattern::constant(LEAF),
            links: BTreeMap::new(),
        }
    }
}

impl LinkConfig {
    /// `None`: nothing is said of the device, so it is read if it has hardware behind it.
    pub(super) fn reads(&self, device: &str) -> Option<bool> {
        if self.device_exclude.matches(device) {
            return Some(false);
        }
        let listed = !self.device_include.as_str().is_empty();
        listed.then(|| self.device_include.matches(device))
    }
}

/// A link with the place its labels are from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) labels: LinkLabels,
    /// `lldp`, `config`, or nothing.
    pub(super) source: &'static str,
}

/// Finds out where links lead.
#[derive(Debug)]
pub(super) struct LinkBook {
    fs: Arc<dyn HostFs>,
    buffer: Vec<u8>,
    neighbours: BTreeMap<String, Neighbour>,
}

impl LinkBook {
    pub(super) fn new(fs: Arc<dyn HostFs>) -> Self {
        Self {
            fs,
            buffer: Vec::new(),
            neighbours: BTreeMap::new(),
        }
    }

    /// Reads the files again. One that is not there is no problem; a broken one leaves the others.
    pub(super) fn read(&mut self, config: &LinkConfig, problems: &mut Problems) {
        self.neighbours.clear();
        for path in &config.lldp_files {
            match self.fs.read(path, &mut self.buffer) {
                Ok(()) => match parse_lldpcli(&self.buffer) {
                    Ok(found) => self.neighbours.extend(found),
                    Err(error) => problems.push(CollectError::Parse {
                        path: path.clone(),
                        line: error.line(),
                        what: "the JSON of lldpcli",
                        found: error.to_string(),
                    }),
                },
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => problems.push(CollectError::read(path, source)),
            }
        }
    }

    /// Where a device leads.
    pub(super) fn link(&mut self, config: &LinkConfig, device: &str, rdma_device: &str) -> Link {
        let mut link = Link::default();
        if let Some(Neighbour { leaf, port }) = self.neighbour(device) {
            link.labels.leaf = leaf;
            link.labels.leaf_port = port;
            link.source = "lldp";
        }
        for name in [rdma_device, device] {
            let Some(labels) = config.links.get(name) else {
                continue;
            };
            for (label, set) in [
                (&mut link.labels.fabric, &labels.fabric),
                (&mut link.labels.rail, &labels.rail),
                (&mut link.labels.leaf, &labels.leaf),
                (&mut link.labels.leaf_port, &labels.leaf_port),
            ] {
                if !set.is_empty() {
                    label.clone_from(set);
                    link.source = "config";
                }
            }
        }
        for (label, group) in [
            (&mut link.labels.fabric, "fabric"),
            (&mut link.labels.rail, "rail"),
        ] {
            if label.is_empty() {
                let found = config.leaf_pattern.group(&link.labels.leaf, group);
                *label = found.unwrap_or("").to_lowercase();
            }
        }
        link
    }

    fn neighbour(&mut self, device: &str) -> Option<Neighbour> {
        if let Some(known) = self.neighbours.get(device) {
            return Some(known.clone());
        }
        let index = format!("/sys/class/net/{device}/ifindex");
        self.fs.read(&index, &mut self.buffer).ok()?;
        let index: u32 = std::str::from_utf8(&self.buffer).ok()?.trim().parse().ok()?;
        let path = format!("/run/systemd/netif/lldp/{index}");
        self.fs.read(&path, &mut self.buffer).ok()?;
        parse_networkd(&self.buffer)
    }
}
