//! Names and transports of block devices.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::requests::Names;
use crate::fs::HostFs;
use crate::host::Reader;

/// Transports that lead off the machine.
const REMOTE: [&str; 3] = ["rdma", "tcp", "fc"];

/// The block devices by number.
#[derive(Debug)]
pub(super) struct Devices {
    reader: Reader,
    /// `None` for devices that are not measured.
    known: FxHashMap<(u32, u32), Option<(String, &'static str)>>,
    only_remote: bool,
}

impl Devices {
    pub(super) fn new(fs: Arc<dyn HostFs>, only_remote: bool) -> Self {
        Self {
            reader: Reader::new(fs),
            known: FxHashMap::default(),
            only_remote,
        }
    }

    /// Reads the list of devices. `/proc/diskstats` has the hidden devices of single NVMe paths too, which sysfs gives no
    /// number.
    pub(super) fn look(&mut self) {
        self.known.clear();
        let Ok(text) = self.reader.cold("/proc/diskstats") else {
            return;
        };
        let mut found = Vec::new();
        for line in text.lines().flatten() {
            let mut fields = line.fields();
            if let (Some(Ok(major)), Some(Ok(minor)), Some(name)) = (
                fields.next().map(str::parse::<u32>),
                fields.next().map(str::parse::<u32>),
                fields.next(),
            ) {
                found.push(((major, minor), name.to_owned()));
            }
        }
        for (number, name) in found {
            let transport = self.transport(&name);
            let wanted = !self.only_remote || REMOTE.contains(&transport);
            self.known.insert(number, wanted.then_some((name, transport)));
        }
    }

    /// The numbers of the measured devices, for the kernel's filter.
    pub(super) fn measured(&self) -> Vec<(u32, u32)> {
        let measured = self.known.iter().filter(|(_, device)| device.is_some());
        let mut numbers: Vec<(u32, u32)> = measured.map(|(number, _)| *number).collect();
        numbers.sort_unstable();
        numbers
    }

    fn transport(&mut self, name: &str) -> &'static str {
        if let Some(controller) = controller(name) {
            let path = format!("/sys/class/nvme/nvme{controller}/transport");
            return match self.reader.value(&path) {
                Some("rdma") => "rdma",
                Some("tcp") => "tcp",
                Some("fc") => "fc",
                Some("pcie") => "pcie",
                Some("loop") => "loop",
                _ => "nvme",
            };
        }
        match name.get(..2) {
            Some("vd") => "virtio",
            Some("sd" | "sr") => "scsi",
            Some("dm") => "dm",
            _ => "other",
        }
    }
}

/// The controller's number: 3 of `nvme1c3n1`, a path of subsystem 1, and of `nvme3n1`.
fn controller(name: &str) -> Option<u32> {
    let (front, _) = name.strip_prefix("nvme")?.split_once('n')?;
    let number = front.split_once('c').map_or(front, |(_, controller)| controller);
    number.parse().ok()
}

impl Names for Devices {
    fn name(&mut self, device: (u32, u32)) -> Option<(&str, &'static str)> {
        let (name, transport) = self.known.get(&device)?.as_ref()?;
        Some((name, transport))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::MemFs;

    #[test]
    fn transports_are_those_of_the_controllers_and_hidden_paths_are_known() {
        let fs = MemFs::new();
        fs.write(
            "/proc/diskstats",
            " 254 0 vda 1 0 0 0 0 0 0 0 0 0 0\n 259 0 nvme0n1 1 0\n 259 1 nvme1n1 1\n 259 2 nvme1c3n1 1\nbad\n",
        );
        for (controller, transport) in [("nvme0", "pcie"), ("nvme1", "rdma"), ("nvme3", "rdma")] {
            fs.write(
                &format!("/sys/class/nvme/{controller}/transport"),
                format!("{transport}\n"),
            );
        }
        let fs: Arc<dyn HostFs> = Arc::new(fs);
        let mut all = Devices::new(Arc::clone(&fs), false);
        all.look();
        assert_eq!(all.name((259, 2)), Some(("nvme1c3n1", "rdma")));
        assert_eq!(all.name((254, 0)), Some(("vda", "virtio")));
        assert_eq!(all.name((1, 1)), None);
        let mut remote = Devices::new(fs, true);
        remote.look();
        assert_eq!(remote.measured(), [(259, 1), (259, 2)]);
        assert_eq!(remote.name((259, 0)), None, "local");
    }
}
