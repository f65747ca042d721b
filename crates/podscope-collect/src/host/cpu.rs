//! State of the CPUs in sysfs: throttling, hotplug, isolation. Counters of CPU time are in `stat.rs`.

use std::collections::BTreeSet;
use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, host};

use super::Reader;
use crate::collector::{Collector, Descriptor, Support};
use crate::error::CollectError;
use crate::fs::HostFs;

static DESCRIPTOR: Descriptor = Descriptor {
    name: "cpu",
    job: Job::Node,
    interval_ms: 10_000,
    metrics: host::cpu::ALL,
    touches: &[FOLDER],
};

const FOLDER: &str = "/sys/devices/system/cpu";

/// Collections after which the CPUs are listed again.
const LIST_AGAIN: u32 = 60;

#[derive(Debug)]
pub(crate) struct Cpu {
    reader: Reader,
    collections: u32,
    cpus: Vec<OneCpu>,
    isolated: Vec<String>,
}

/// One CPU, with the counters that are read for it: siblings share those of their core, cores those of their package.
#[derive(Debug, Default)]
struct OneCpu {
    number: String,
    online: String,
    core: String,
    package: String,
    core_throttles: Option<String>,
    package_throttles: Option<String>,
}

impl Cpu {
    pub(crate) fn new(fs: Arc<dyn HostFs>) -> Self {
        Self {
            reader: Reader::new(fs),
            collections: 0,
            cpus: Vec::new(),
            isolated: Vec::new(),
        }
    }

    fn list(&mut self) {
        let names = self.reader.fs.list(FOLDER).unwrap_or_default();
        let numbers = names.iter().filter_map(|name| name.strip_prefix("cpu"));
        let numbers = numbers.filter(|rest| rest.bytes().next().is_some_and(|byte| byte.is_ascii_digit()));
        let mut cores = BTreeSet::new();
        let mut packages = BTreeSet::new();
        self.cpus.clear();
        for number in numbers {
            let folder = format!("{FOLDER}/cpu{number}");
            let mut topology = |file: &str| {
                let text = self.reader.value(&format!("{folder}/topology/{file}"))?;
                text.parse::<u64>().ok().map(|id| id.to_string())
            };
            let mut cpu = OneCpu {
                number: number.to_owned(),
                online: format!("{folder}/online"),
                ..OneCpu::default()
            };
            if let (Some(package), Some(core)) = (topology("physical_package_id"), topology("core_id")) {
                if cores.insert((package.clone(), core.clone())) {
                    cpu.core_throttles = Some(format!("{folder}/thermal_throttle/core_throttle_count"));
                }
                if packages.insert(package.clone()) {
                    cpu.package_throttles = Some(format!("{folder}/thermal_throttle/package_throttle_count"));
                }
                cpu.core = core;
                cpu.package = package;
            }
            self.cpus.push(cpu);
        }
        let isolated = self.reader.value(&format!("{FOLDER}/isolated")).unwrap_or("");
        self.isolated = parse_list(isolated);
    }
}

/// `1,3-5` as 1, 3, 4, 5.
fn parse_list(text: &str) -> Vec<String> {
    let mut numbers = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse::<u16>()) {
            numbers.extend((first..=last).map(|number| number.to_string()));
        }
    }
    numbers
}

impl Collector for Cpu {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        self.collections = 0;
        let mut row = Row::new();
        match self.collect(&mut row) {
            Ok(()) if !row.is_empty() => Support::Present,
            _ => Support::NotPresent(format!(
                "neither throttling nor hotplug nor isolation in {FOLDER}"
            )),
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        if self.collections.is_multiple_of(LIST_AGAIN) {
            self.list();
        }
        self.collections = self.collections.wrapping_add(1);
        // A first CPU that cannot be taken out means, to node_exporter, that none is told; the same here.
        let hotplug = self
            .cpus
            .first()
            .is_some_and(|cpu| self.reader.value(&cpu.online).is_some());
        for cpu in &self.cpus {
            if hotplug && let Some(online) = self.reader.value(&cpu.online) {
                row.set(
                    &host::NODE_CPU_ONLINE,
                    &[("cpu", &cpu.number)],
                    f64::from(u8::from(online == "1")),
                );
            }
            let mut count = |path: &Option<String>| self.reader.value(path.as_deref()?)?.parse::<u64>().ok();
            if let Some(count) = count(&cpu.core_throttles) {
                let labels = [("package", cpu.package.as_str()), ("core", cpu.core.as_str())];
                row.set(&host::NODE_CPU_CORE_THROTTLES_TOTAL, &labels, count as f64);
            }
            if let Some(count) = count(&cpu.package_throttles) {
                row.set(
                    &host::NODE_CPU_PACKAGE_THROTTLES_TOTAL,
                    &[("package", &cpu.package)],
                    count as f64,
                );
            }
        }
        for number in &self.isolated {
            row.set(&host::NODE_CPU_ISOLATED, &[("cpu", number)], 1.0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_lists_of_cpus() {
        assert_eq!(parse_list("1,3-5,9"), ["1", "3", "4", "5", "9"]);
        assert!(parse_list("").is_empty());
        assert!(parse_list("5-3,x").is_empty());
    }
}
