//! NVMe controllers and their namespaces in `/sys/class/nvme`. The state (`live`, `connecting`, `resetting`, ...) is a
//! label of `node_nvme_info`, as node_exporter has it: a controller that changes state changes series.

use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, host};

use super::Reader;
use crate::collector::{Collector, Descriptor, Support};
use crate::error::CollectError;
use crate::fs::HostFs;

static DESCRIPTOR: Descriptor = Descriptor {
    name: "nvme",
    job: Job::Node,
    interval_ms: 10_000,
    metrics: host::nvme::ALL,
    touches: &[FOLDER],
};

const FOLDER: &str = "/sys/class/nvme";

/// The unit of a block device's `size` in sysfs, whatever its own block size.
const SECTOR: f64 = 512.0;

#[derive(Debug)]
pub(crate) struct Nvme {
    reader: Reader,
}

impl Nvme {
    pub(crate) fn new(fs: Arc<dyn HostFs>) -> Self {
        Self {
            reader: Reader::new(fs),
        }
    }

    fn text(&mut self, path: &str) -> String {
        self.reader.value(path).unwrap_or("").to_owned()
    }

    fn count(&mut self, path: &str) -> Option<f64> {
        self.reader
            .value(path)?
            .parse::<u64>()
            .ok()
            .map(|count| count as f64)
    }

    fn controller(&mut self, device: &str, row: &mut Row) {
        let folder = format!("{FOLDER}/{device}");
        let texts = ["firmware_rev", "model", "serial", "state", "cntlid"]
            .map(|file| self.text(&format!("{folder}/{file}")));
        let [firmware, model, serial, state, controller] = texts.each_ref().map(String::as_str);
        let labels = [
            ("device", device),
            ("firmware_revision", firmware),
            ("model", model),
            ("serial", serial),
            ("state", state),
            ("cntlid", controller),
        ];
        row.set(&host::NODE_NVME_INFO, &labels, 1.0);
        for name in self.reader.fs.list(&folder).unwrap_or_default() {
            if let Some(id) = namespace_id(&name) {
                self.namespace(device, id, &format!("{folder}/{name}"), row);
            }
        }
    }

    fn namespace(&mut self, device: &str, id: &str, folder: &str, row: &mut Row) {
        let ana = self.text(&format!("{folder}/ana_state"));
        let ana = if ana.is_empty() { "unknown" } else { &ana };
        row.set(
            &host::NODE_NVME_NAMESPACE_INFO,
            &[("device", device), ("nsid", id), ("ana_state", ana)],
            1.0,
        );
        let labels = [("device", device), ("nsid", id)];
        let block = self.count(&format!("{folder}/queue/logical_block_size"));
        if let Some(block) = block {
            row.set(
                &host::NODE_NVME_NAMESPACE_LOGICAL_BLOCK_SIZE_BYTES,
                &labels,
                block,
            );
        }
        if let Some(sectors) = self.count(&format!("{folder}/size")) {
            row.set(&host::NODE_NVME_NAMESPACE_SIZE_BYTES, &labels, sectors * SECTOR);
            row.set(
                &host::NODE_NVME_NAMESPACE_CAPACITY_BYTES,
                &labels,
                sectors * SECTOR,
            );
        }
        if let (Some(blocks), Some(block)) = (self.count(&format!("{folder}/nuse")), block) {
            row.set(&host::NODE_NVME_NAMESPACE_USED_BYTES, &labels, blocks * block);
        }
    }
}

/// `1` of `nvme0n1`, and of `nvme0c3n1`, the same namespace as one path of a multipath subsystem shows it.
fn namespace_id(name: &str) -> Option<&str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (controller, id) = name.strip_prefix("nvme")?.rsplit_once('n')?;
    let path = controller.split_once('c');
    let valid = match path {
        Some((controller, path)) => digits(controller) && digits(path),
        None => digits(controller),
    };
    (valid && digits(id)).then_some(id)
}

impl Collector for Nvme {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        if self.reader.fs.list(FOLDER).is_ok_and(|names| !names.is_empty()) {
            Support::Present
        } else {
            Support::NotPresent(format!("no NVMe controller in {FOLDER}"))
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        let devices = self
            .reader
            .fs
            .list(FOLDER)
            .map_err(|source| CollectError::read(FOLDER, source))?;
        for device in devices {
            self.controller(&device, row);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_namespaces_from_other_folders() {
        assert_eq!(namespace_id("nvme0n1"), Some("1"));
        assert_eq!(namespace_id("nvme10c3n27"), Some("27"));
        for name in ["nvme0", "hwmon1", "nvme0n1p1", "ng0n1", "nvmen1", "nvme0n"] {
            assert_eq!(namespace_id(name), None, "{name}");
        }
    }
}
