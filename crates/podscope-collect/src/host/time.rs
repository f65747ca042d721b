//! The node's clock, its time zone, and what the kernel keeps time with.

use std::sync::Arc;
use std::time::SystemTime;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, host};

use super::Reader;
use crate::collector::{Collector, Descriptor, Support};
use crate::error::CollectError;
use crate::fs::HostFs;

static DESCRIPTOR: Descriptor = Descriptor {
    name: "time",
    job: Job::Node,
    interval_ms: 1000,
    metrics: host::time::ALL,
    touches: &["clock_gettime", "/etc/localtime", FOLDER],
};

const FOLDER: &str = "/sys/devices/system/clocksource";

/// Collections after which time zone and clock sources are looked up again.
const LOOK_AGAIN: u32 = 60;

#[derive(Debug)]
pub(crate) struct Time {
    reader: Reader,
    collections: u32,
    zone: String,
    zone_offset: i32,
    sources: Vec<ClockSource>,
}

#[derive(Debug)]
struct ClockSource {
    /// node_exporter's `device`: the position in the list of folders.
    device: String,
    available: Vec<String>,
    current: String,
}

impl Time {
    pub(crate) fn new(fs: Arc<dyn HostFs>) -> Self {
        Self {
            reader: Reader::new(fs),
            collections: 0,
            zone: String::new(),
            zone_offset: 0,
            sources: Vec::new(),
        }
    }

    fn look(&mut self) {
        self.zone_offset = self.reader.fs.time_zone(&mut self.zone);
        self.sources.clear();
        let folders = self.reader.fs.list(FOLDER).unwrap_or_default();
        let folders = folders.iter().filter(|name| name.starts_with("clocksource"));
        for (device, folder) in folders.enumerate() {
            let mut words = |file: &str| -> Vec<String> {
                let text = self.reader.value(&format!("{FOLDER}/{folder}/{file}"));
                text.unwrap_or("")
                    .split_ascii_whitespace()
                    .map(str::to_owned)
                    .collect()
            };
            let available = words("available_clocksource");
            let current = words("current_clocksource").concat();
            self.sources.push(ClockSource {
                device: device.to_string(),
                available,
                current,
            });
        }
    }
}

impl Collector for Time {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        Support::Present
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        if self.collections.is_multiple_of(LOOK_AGAIN) {
            self.look();
        }
        self.collections = self.collections.wrapping_add(1);
        let now = self.reader.fs.now();
        let seconds = match now.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => since.as_secs_f64(),
            Err(before) => -before.duration().as_secs_f64(),
        };
        row.set(&host::NODE_TIME_SECONDS, &[], seconds);
        let zone = [("time_zone", self.zone.as_str())];
        row.set(
            &host::NODE_TIME_ZONE_OFFSET_SECONDS,
            &zone,
            f64::from(self.zone_offset),
        );
        for source in &self.sources {
            for name in &source.available {
                let labels = [("device", source.device.as_str()), ("clocksource", name.as_str())];
                row.set(&host::NODE_TIME_CLOCKSOURCE_AVAILABLE_INFO, &labels, 1.0);
            }
            if !source.current.is_empty() {
                let labels = [
                    ("device", source.device.as_str()),
                    ("clocksource", source.current.as_str()),
                ];
                row.set(&host::NODE_TIME_CLOCKSOURCE_CURRENT_INFO, &labels, 1.0);
            }
        }
        Ok(())
    }
}
