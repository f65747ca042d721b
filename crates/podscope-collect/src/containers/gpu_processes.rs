//! The processes on the GPUs, tied to containers and people, every quarter of a minute.
//!
//! A process gets series when it is seen twice: what lives for seconds makes none. The users' sums have all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, process};

use super::book::ContainerBook;
use crate::collector::{Collector, Descriptor, Support};
use crate::error::CollectError;
use crate::gpu::{GpuProcess, GpuProcesses};
use crate::kernel::Who;

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "gpu_processes",
    job: Job::Processes,
    interval_ms: 15_000,
    metrics: process::ALL,
    touches: &[
        "/proc/PID/cgroup",
        "/proc/PID/comm",
        "/proc/PID/loginuid",
        "/proc/PID/status",
    ],
};

/// The GPU's collector starts together with this one; so long it is waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// Whom a process belongs to where nobody can be named: in sums by user everybody has to appear.
const UNKNOWN: &str = "unknown";

/// See the module.
#[derive(Debug)]
pub struct GpuProcessCollector {
    book: ContainerBook,
    gpus: GpuProcesses,
    before: BTreeSet<u32>,
    buffer: Vec<u8>,
}

/// The sums of one user on one GPU or slice.
#[derive(Default)]
struct Sum {
    memory: f64,
    sm: Option<f64>,
    processes: f64,
}

impl GpuProcessCollector {
    pub fn new(book: ContainerBook, gpus: GpuProcesses) -> Self {
        Self {
            book,
            gpus,
            before: BTreeSet::new(),
            buffer: Vec::new(),
        }
    }

    fn name_of(&mut self, pid: u32) -> String {
        match self
            .book
            .fs()
            .read(&format!("/proc/{pid}/comm"), &mut self.buffer)
        {
            Ok(()) => String::from_utf8_lossy(&self.buffer).trim_end().to_owned(),
            Err(_) => String::new(),
        }
    }

    fn write(&mut self, process: &GpuProcess, who: &Who, row: &mut Row) {
        let place = Place::of(process);
        let (pid, name) = (process.pid.to_string(), self.name_of(process.pid));
        let labels = [
            ("gpu", place.gpu.as_str()),
            ("GPU_I_ID", place.instance.as_str()),
            ("pid", pid.as_str()),
            ("process", name.as_str()),
            ("container", who.container.as_str()),
            ("user", who.user.as_str()),
        ];
        if let Some(bytes) = process.memory {
            row.set(&process::GPU_PROCESS_MEMORY, &labels, bytes);
        }
        if let Some(percent) = process.sm_util {
            row.set(&process::GPU_PROCESS_UTILIZATION, &labels, percent / 100.0);
        }
        if let Some(percent) = process.mem_util {
            row.set(&process::GPU_PROCESS_MEMORY_UTILIZATION, &labels, percent / 100.0);
        }
    }
}

/// Where a process is, as labels have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    gpu: String,
    instance: String,
}

impl Place {
    fn of(process: &GpuProcess) -> Self {
        Self {
            gpu: process.gpu.to_string(),
            instance: process.gpu_instance.map_or(String::new(), |id| id.to_string()),
        }
    }
}

impl Collector for GpuProcessCollector {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        if self.gpus.were_read(PATIENCE) {
            return Support::Present;
        }
        Support::NotPresent("no GPU was read yet".to_owned())
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        let most = self.book.config().most_processes;
        let mut processes = self.gpus.table().processes;
        // The largest first: they are the ones that are left when there are too many.
        processes.sort_by(|a, b| {
            let memory = b.memory.unwrap_or(0.0).total_cmp(&a.memory.unwrap_or(0.0));
            memory.then_with(|| a.pid.cmp(&b.pid))
        });
        let mut sums: BTreeMap<(String, Place), Sum> = BTreeMap::new();
        let (mut written, mut left_out) = (0, 0);
        let now: BTreeSet<u32> = processes.iter().map(|process| process.pid).collect();
        for process in &processes {
            let who = self.book.of_process(process.pid);
            let user = if who.user.is_empty() {
                UNKNOWN.to_owned()
            } else {
                who.user.clone()
            };
            let sum = sums.entry((user, Place::of(process))).or_default();
            sum.memory += process.memory.unwrap_or(0.0);
            sum.processes += 1.0;
            if let Some(percent) = process.sm_util {
                sum.sm = Some(sum.sm.unwrap_or(0.0) + percent / 100.0);
            }
            if !self.before.contains(&process.pid) {
                continue;
            }
            if written < most {
                written += 1;
                self.write(process, &who, row);
            } else {
                left_out += 1;
            }
        }
        self.before = now;
        for ((user, place), sum) in &sums {
            let labels = [
                ("user", user.as_str()),
                ("gpu", place.gpu.as_str()),
                ("GPU_I_ID", place.instance.as_str()),
            ];
            row.set(&process::GPU_USER_MEMORY, &labels, sum.memory);
            row.set(&process::GPU_USER_PROCESSES, &labels, sum.processes);
            if let Some(ratio) = sum.sm {
                row.set(&process::GPU_USER_UTILIZATION, &labels, ratio.min(1.0));
            }
        }
        row.set(&process::GPU_PROCESSES, &[], processes.len() as f64);
        row.set(&process::GPU_PROCESSES_LEFT_OUT, &[], f64::from(left_out));
        Ok(())
    }
}
