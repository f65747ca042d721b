//! `/proc/diskstats`: I/O counters of each block device (Documentation/admin-guide/iostats.rst), and what udev and sysfs
//! know of the device. Sectors are always 512 bytes, times milliseconds.

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
    name: "diskstats",
    job: Job::Node,
    interval_ms: 1000,
    metrics: host::diskstats::ALL,
    touches: &[PATH, "/run/udev/data", "/sys/block/*/queue/rotational"],
};

const PATH: &str = "/proc/diskstats";

const SECTOR: f64 = 512.0;
const MILLISECOND: f64 = 0.001;

/// The columns after the device's name, with the factor to the metric's unit. Discards came with Linux 4.18, flushes with
/// 5.5; node_exporter exports discarded sectors as sectors.
const COLUMNS: [(&MetricDef, f64); 17] = [
    (&host::NODE_DISK_READS_COMPLETED_TOTAL, 1.0),
    (&host::NODE_DISK_READS_MERGED_TOTAL, 1.0),
    (&host::NODE_DISK_READ_BYTES_TOTAL, SECTOR),
    (&host::NODE_DISK_READ_TIME_SECONDS_TOTAL, MILLISECOND),
    (&host::NODE_DISK_WRITES_COMPLETED_TOTAL, 1.0),
    (&host::NODE_DISK_WRITES_MERGED_TOTAL, 1.0),
    (&host::NODE_DISK_WRITTEN_BYTES_TOTAL, SECTOR),
    (&host::NODE_DISK_WRITE_TIME_SECONDS_TOTAL, MILLISECOND),
    (&host::NODE_DISK_IO_NOW, 1.0),
    (&host::NODE_DISK_IO_TIME_SECONDS_TOTAL, MILLISECOND),
    (&host::NODE_DISK_IO_TIME_WEIGHTED_SECONDS_TOTAL, MILLISECOND),
    (&host::NODE_DISK_DISCARDS_COMPLETED_TOTAL, 1.0),
    (&host::NODE_DISK_DISCARDS_MERGED_TOTAL, 1.0),
    (&host::NODE_DISK_DISCARDED_SECTORS_TOTAL, 1.0),
    (&host::NODE_DISK_DISCARD_TIME_SECONDS_TOTAL, MILLISECOND),
    (&host::NODE_DISK_FLUSH_REQUESTS_TOTAL, 1.0),
    (&host::NODE_DISK_FLUSH_REQUESTS_TIME_SECONDS_TOTAL, MILLISECOND),
];

/// Collections after which udev and sysfs are asked again: a disk may have been exchanged under the same name.
const ASK_AGAIN: u32 = 60;

#[derive(Debug)]
pub(crate) struct DiskStats {
    reader: Reader,
    sysfs: Reader,
    problems: Problems,
    exclude: Pattern,
    disks: FxHashMap<String, Disk>,
    collections: u32,
}

/// What does not change from second to second.
#[derive(Debug, Default)]
struct Disk {
    numbers: [String; 2],
    rotational: String,
    udev: FxHashMap<String, String>,
}

impl Disk {
    fn udev(&self, property: &str) -> &str {
        self.udev.get(property).map_or("", String::as_str)
    }

    /// The number printed on the label, as far as udev knows it; virtio has only the last.
    fn serial(&self) -> &str {
        ["SCSI_IDENT_SERIAL", "ID_SERIAL_SHORT", "ID_SERIAL"]
            .into_iter()
            .map(|property| self.udev(property))
            .find(|serial| !serial.is_empty())
            .unwrap_or("")
    }

    fn write(&self, device: &str, row: &mut Row) {
        let labels = [
            ("device", device),
            ("major", &self.numbers[0]),
            ("minor", &self.numbers[1]),
            ("path", self.udev("ID_PATH")),
            ("wwn", self.udev("ID_WWN")),
            ("model", self.udev("ID_MODEL")),
            ("serial", self.serial()),
            ("revision", self.udev("ID_REVISION")),
            ("rotational", &self.rotational),
        ];
        row.set(&host::NODE_DISK_INFO, &labels, 1.0);
        if !self.udev("ID_FS_TYPE").is_empty() {
            let labels = [
                ("device", device),
                ("type", self.udev("ID_FS_TYPE")),
                ("usage", self.udev("ID_FS_USAGE")),
                ("uuid", self.udev("ID_FS_UUID")),
                ("version", self.udev("ID_FS_VERSION")),
            ];
            row.set(&host::NODE_DISK_FILESYSTEM_INFO, &labels, 1.0);
        }
        if !self.udev("DM_NAME").is_empty() {
            let labels = [
                ("device", device),
                ("name", self.udev("DM_NAME")),
                ("uuid", self.udev("DM_UUID")),
                ("vg_name", self.udev("DM_VG_NAME")),
                ("lv_name", self.udev("DM_LV_NAME")),
                ("lv_layer", self.udev("DM_LV_LAYER")),
            ];
            row.set(&host::NODE_DISK_DEVICE_MAPPER_INFO, &labels, 1.0);
        }
    }
}

impl DiskStats {
    pub(crate) fn new(fs: Arc<dyn HostFs>, config: &HostConfig) -> Self {
        Self {
            reader: Reader::new(Arc::clone(&fs)),
            sysfs: Reader::new(fs),
            problems: Problems::default(),
            exclude: config.disk_device_exclude.clone(),
            disks: FxHashMap::default(),
            collections: 0,
        }
    }
}

/// Asks sysfs and udev about a device.
fn ask(reader: &mut Reader, device: &str, numbers: [&str; 2]) -> Disk {
    // `cciss/c0d0` is `cciss!c0d0` in sysfs.
    let folder = device.replace('/', "!");
    let rotational = format!("/sys/block/{folder}/queue/rotational");
    let mut disk = Disk {
        numbers: numbers.map(str::to_owned),
        rotational: match reader.cold(&rotational).map(|text| text.bytes.trim_ascii()) {
            Ok(b"1") => "1".to_owned(),
            Ok(b"0") => "0".to_owned(),
            _ => String::new(),
        },
        udev: FxHashMap::default(),
    };
    let path = format!("/run/udev/data/b{}:{}", numbers[0], numbers[1]);
    if let Ok(text) = reader.cold(&path) {
        for line in text.lines().flatten() {
            if let Some((name, value)) = line.text.strip_prefix("E:").and_then(|line| line.split_once('=')) {
                disk.udev.insert(name.to_owned(), value.to_owned());
            }
        }
    }
    disk
}

impl Collector for DiskStats {
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
        if self.collections.is_multiple_of(ASK_AGAIN) {
            self.disks.clear();
        }
        self.collections = self.collections.wrapping_add(1);
        for line in self.reader.hot(PATH)?.lines() {
            match line.and_then(|line| counters(line, &self.exclude, row)) {
                Ok(None) => {}
                Ok(Some((device, numbers))) => {
                    let known = self.disks.get(device).is_some_and(|disk| disk.numbers == numbers);
                    if !known {
                        self.disks
                            .insert(device.to_owned(), ask(&mut self.sysfs, device, numbers));
                    }
                    if let Some(disk) = self.disks.get(device) {
                        disk.write(device, row);
                    }
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        self.problems.outcome(row.is_empty())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}

/// Writes the counters of one line; answers the device with its numbers, or `None` when it is left out.
fn counters<'a>(
    line: Line<'a>,
    exclude: &Pattern,
    row: &mut Row,
) -> Result<Option<(&'a str, [&'a str; 2])>, CollectError> {
    let mut fields = line.fields();
    let (Some(major), Some(minor), Some(device)) = (fields.next(), fields.next(), fields.next()) else {
        return Err(line.expected("major, minor and name of a device"));
    };
    if exclude.matches(device) {
        return Ok(None);
    }
    line.count(Some(major), "a device number")?;
    line.count(Some(minor), "a device number")?;
    let mut values = [0; COLUMNS.len()];
    let mut columns = 0;
    for (value, field) in values.iter_mut().zip(fields) {
        *value = line.count(Some(field), "a counter")?;
        columns += 1;
    }
    // Linux 2.6 had four columns for partitions, with other meanings.
    if columns < 11 {
        return Err(line.expected("at least 11 counters"));
    }
    for ((def, factor), value) in COLUMNS.iter().zip(values).take(columns) {
        row.set(def, &[("device", device)], value as f64 * factor);
    }
    Ok(Some((device, [major, minor])))
}
