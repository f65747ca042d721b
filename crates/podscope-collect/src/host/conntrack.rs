//! Connection tracking of netfilter: how full the table is, and what happened to packets. Present once the module
//! `nf_conntrack` is loaded.

use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, MetricDef, host};

use super::Reader;
use crate::collector::{Collector, Descriptor, Support};
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;
use crate::text::{Line, Text};

static DESCRIPTOR: Descriptor = Descriptor {
    name: "conntrack",
    job: Job::Node,
    interval_ms: 10_000,
    metrics: host::conntrack::ALL,
    touches: &[COUNT, MAX, STAT],
};

const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
const STAT: &str = "/proc/net/stat/nf_conntrack";

/// The columns wanted of [`STAT`], by the name in its heading; one line per CPU, in hexadecimal.
const COLUMNS: [(&str, &MetricDef); 8] = [
    ("found", &host::NODE_NF_CONNTRACK_STAT_FOUND),
    ("invalid", &host::NODE_NF_CONNTRACK_STAT_INVALID),
    ("ignore", &host::NODE_NF_CONNTRACK_STAT_IGNORE),
    ("insert", &host::NODE_NF_CONNTRACK_STAT_INSERT),
    ("insert_failed", &host::NODE_NF_CONNTRACK_STAT_INSERT_FAILED),
    ("drop", &host::NODE_NF_CONNTRACK_STAT_DROP),
    ("early_drop", &host::NODE_NF_CONNTRACK_STAT_EARLY_DROP),
    // `searchrestart` in the kernel's heading until 2.6.34 brought the underscore.
    ("search_restart", &host::NODE_NF_CONNTRACK_STAT_SEARCH_RESTART),
];

#[derive(Debug)]
pub(crate) struct ConnTrack {
    reader: Reader,
    problems: Problems,
}

impl ConnTrack {
    pub(crate) fn new(fs: Arc<dyn HostFs>) -> Self {
        Self {
            reader: Reader::new(fs),
            problems: Problems::default(),
        }
    }
}

impl Collector for ConnTrack {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        if self.reader.fs.exists(COUNT) {
            Support::Present
        } else {
            Support::NotPresent(format!("no {COUNT}"))
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        self.problems.clear();
        let gauges = [
            (COUNT, &host::NODE_NF_CONNTRACK_ENTRIES),
            (MAX, &host::NODE_NF_CONNTRACK_ENTRIES_LIMIT),
        ];
        for (path, def) in gauges {
            let value = self.reader.hot(path).and_then(Text::only).and_then(|line| {
                let count = line.count(Some(line.text), "a count")?;
                row.set(def, &[], count as f64);
                Ok(())
            });
            self.problems.note(value);
        }
        // Not all kernels are built with it.
        if let Ok(text) = self.reader.hot(STAT) {
            let mut sums = [0u64; COLUMNS.len()];
            let mut heading = None;
            for line in text.lines() {
                match (line, heading) {
                    (Err(problem), _) => self.problems.push(problem),
                    (Ok(line), None) => heading = Some(line),
                    (Ok(line), Some(heading)) => {
                        self.problems.note(add(heading, line, &mut sums));
                    }
                }
            }
            for ((name, def), sum) in COLUMNS.iter().zip(sums) {
                if heading.is_some_and(|heading| heading.fields().any(|field| field == *name)) {
                    row.set(def, &[], sum as f64);
                }
            }
        }
        self.problems.outcome(row.is_empty())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}

/// Adds the counters of one CPU.
fn add(heading: Line<'_>, line: Line<'_>, sums: &mut [u64; COLUMNS.len()]) -> Result<(), CollectError> {
    for (name, value) in heading.fields().zip(line.fields()) {
        if let Some(at) = COLUMNS.iter().position(|(column, _)| *column == name) {
            let value = u64::from_str_radix(value, 16).map_err(|_| line.expected("hexadecimal counters"))?;
            sums[at] = sums[at].wrapping_add(value);
        }
    }
    Ok(())
}
