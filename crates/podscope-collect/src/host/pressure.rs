//! `/proc/pressure/*` (PSI): for how long some task waited for CPU, memory or I/O, and for how long none could run.
//! Kernel >= 4.20; a kernel booted with `psi=0` has the files but refuses to read them (EOPNOTSUPP).

use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, MetricDef, host};

use super::Reader;
use crate::collector::{Collector, Descriptor, Support};
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;
use crate::text::Line;

static DESCRIPTOR: Descriptor = Descriptor {
    name: "pressure",
    job: Job::Node,
    interval_ms: 1000,
    metrics: host::pressure::ALL,
    touches: &["/proc/pressure"],
};

type Line2Def = (&'static str, &'static MetricDef);

/// Per file, the metric of its `some` and of its `full` line. The `full` line of the CPU means nothing for a whole node.
const FILES: [(&str, &[Line2Def]); 4] = [
    (
        "/proc/pressure/cpu",
        &[("some", &host::NODE_PRESSURE_CPU_WAITING_SECONDS_TOTAL)],
    ),
    (
        "/proc/pressure/io",
        &[
            ("some", &host::NODE_PRESSURE_IO_WAITING_SECONDS_TOTAL),
            ("full", &host::NODE_PRESSURE_IO_STALLED_SECONDS_TOTAL),
        ],
    ),
    (
        "/proc/pressure/memory",
        &[
            ("some", &host::NODE_PRESSURE_MEMORY_WAITING_SECONDS_TOTAL),
            ("full", &host::NODE_PRESSURE_MEMORY_STALLED_SECONDS_TOTAL),
        ],
    ),
    (
        "/proc/pressure/irq",
        &[("full", &host::NODE_PRESSURE_IRQ_STALLED_SECONDS_TOTAL)],
    ),
];

#[derive(Debug)]
pub(crate) struct Pressure {
    reader: Reader,
    problems: Problems,
    /// Files that are not there are not asked for again until the next detection.
    present: [bool; FILES.len()],
}

impl Pressure {
    pub(crate) fn new(fs: Arc<dyn HostFs>) -> Self {
        Self {
            reader: Reader::new(fs),
            problems: Problems::default(),
            present: [true; FILES.len()],
        }
    }
}

impl Collector for Pressure {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        self.present = [true; FILES.len()];
        let first_error = FILES.iter().find_map(|(path, _)| match self.reader.cold(path) {
            Ok(_) => Some(None),
            Err(CollectError::Read { source, .. }) if source.kind() != std::io::ErrorKind::NotFound => {
                Some(Some(format!("{path}: {source}; boot with psi=1")))
            }
            Err(_) => None,
        });
        match first_error {
            Some(None) => Support::Present,
            Some(Some(reason)) => Support::NotPresent(reason),
            None => Support::NotPresent("no /proc/pressure".to_owned()),
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        self.problems.clear();
        for ((path, wanted), present) in FILES.into_iter().zip(&mut self.present) {
            if !*present {
                continue;
            }
            match self.reader.hot(path) {
                Ok(text) => {
                    for line in text.lines() {
                        self.problems.note(line.and_then(|line| total(line, wanted, row)));
                    }
                }
                // Kernels before 6.1 have no irq.
                Err(problem) if problem.is_absent() => *present = false,
                Err(problem) => self.problems.push(problem),
            }
        }
        self.problems.outcome(row.is_empty())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=1234`, the total in microseconds.
fn total(line: Line<'_>, wanted: &[Line2Def], row: &mut Row) -> Result<(), CollectError> {
    let mut fields = line.fields();
    let kind = fields.next();
    if let Some((_, def)) = wanted.iter().find(|(name, _)| Some(*name) == kind) {
        let total = fields.find_map(|field| field.strip_prefix("total="));
        row.set(
            def,
            &[],
            line.count(total, "total= and microseconds")? as f64 / 1e6,
        );
    }
    Ok(())
}
