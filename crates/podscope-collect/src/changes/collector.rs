//! The collector: reads what is on this machine, and says of everything in the book when it was last read.

use std::path::PathBuf;
use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, MetricDef, changes as catalog};
use podscope_model::event::EventSink;

use super::book::{SharedBook, Values};
use super::{local, slurm_conf};
use crate::collector::{Collector, Descriptor, Support};
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;

/// The collector's name.
pub const NAME: &str = "changes";

static METRICS: [&MetricDef; 3] = [
    &catalog::CHANGES_FOUND,
    &catalog::CHANGES_LOOKED,
    &catalog::CHANGES_SUCCESS,
];

static DESCRIPTOR: Descriptor = Descriptor {
    name: NAME,
    job: Job::Podscope,
    interval_ms: 60_000,
    metrics: &METRICS,
    touches: &[
        "uname",
        "/sys/module/nvidia/version",
        "/proc/driver/nvidia",
        "/sys/class/dmi/id/bios_version",
        "/sys/class/infiniband/*/fw_ver",
        "/sys/class/nvme/*/firmware_rev",
        "changes.slurm_conf",
        "DATA_DIR/changes.json",
    ],
};

/// See the module.
#[derive(Debug)]
pub struct ChangesCollector {
    fs: Arc<dyn HostFs>,
    book: SharedBook,
    events: Arc<dyn EventSink>,
    /// Whom the machine's own changes are about.
    host: String,
    slurm_conf: Option<PathBuf>,
    problems: Problems,
}

impl ChangesCollector {
    /// Watches the machine behind `fs` under the name `host`; what is found goes to `events`.
    pub fn new(fs: Arc<dyn HostFs>, book: SharedBook, events: Arc<dyn EventSink>, host: &str) -> Self {
        Self {
            fs,
            book,
            events,
            host: host.to_owned(),
            slurm_conf: None,
            problems: Problems::default(),
        }
    }

    /// Watches Slurm's configuration too.
    pub fn with_slurm_conf(mut self, file: Option<PathBuf>) -> Self {
        self.slurm_conf = file;
        self
    }

    fn look(&self, what: &str, values: Option<Values>, now_ms: i64) {
        let Some(values) = values else { return };
        let events = self.book.lock().observe(what, &self.host, values, now_ms);
        for event in events {
            self.events.emit(event.label("host", &self.host));
        }
    }

    fn look_at_slurm(&mut self, now_ms: i64) {
        let Some(file) = self.slurm_conf.clone() else {
            return;
        };
        let path = file.display().to_string();
        let mut bytes = Vec::new();
        match self.fs.read(&path, &mut bytes) {
            Ok(()) => {
                let text = String::from_utf8_lossy(&bytes);
                let values = slurm_conf::settings(&text);
                self.look(slurm_conf::WHAT, Some(values), now_ms);
            }
            Err(source) => {
                self.book.lock().failed(slurm_conf::WHAT, &self.host);
                self.problems.push(CollectError::read(&path, source));
            }
        }
    }
}

impl Collector for ChangesCollector {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        Support::Present
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        let since = self
            .fs
            .now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        let now_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        self.look("kernel", local::kernel(&*self.fs), now_ms);
        self.look("gpu_driver", local::gpu_driver(&*self.fs), now_ms);
        self.look("firmware", local::firmware(&*self.fs), now_ms);
        self.look_at_slurm(now_ms);
        self.book.lock().write(row);
        Ok(())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use podscope_model::event::Event;

    use super::*;
    use crate::fs::MemFs;

    #[derive(Debug, Default)]
    struct Told(Mutex<Vec<Event>>);

    impl EventSink for Told {
        fn emit(&self, event: Event) {
            self.0.lock().expect("no panic").push(event);
        }
    }

    #[test]
    fn a_new_driver_is_told_once_and_the_looks_are_series() {
        let fs = Arc::new(MemFs::new());
        fs.write("/sys/module/nvidia/version", "550.54.15\n");
        let told = Arc::new(Told::default());
        let book = SharedBook::default();
        let events: Arc<dyn EventSink> = told.clone();
        let mut collector = ChangesCollector::new(fs.clone(), book, events, "gpu-01");
        let mut row = Row::new();
        for _ in 0..2 {
            row.begin();
            collector.collect(&mut row).expect("readable");
        }
        assert!(told.0.lock().expect("no panic").is_empty());
        fs.write("/sys/module/nvidia/version", "570.86.10\n");
        for _ in 0..2 {
            row.begin();
            collector.collect(&mut row).expect("readable");
        }
        let told = told.0.lock().expect("no panic");
        let titles: Vec<&str> = told.iter().map(|event| event.title.as_str()).collect();
        assert_eq!(titles, ["gpu-01: GPU driver changed from 550.54.15 to 570.86.10"]);
        assert_eq!(told[0].labels.get("what"), Some("gpu_driver"));
        let found: Vec<f64> = row
            .samples()
            .filter(|(column, _)| {
                column.metric.name() == catalog::CHANGES_FOUND.name
                    && column.labels.get("what") == Some("gpu_driver")
            })
            .map(|(_, value)| value)
            .collect();
        assert_eq!(found, [1.0]);
    }
}
