//! `/proc/net/sockstat` and `/proc/net/sockstat6`: sockets by protocol and state. A kernel without IPv6 lacks the second.

use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, MetricDef, host};

use super::Reader;
use crate::collector::{Collector, Descriptor, Support};
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;
use crate::text::Line;

static DESCRIPTOR: Descriptor = Descriptor {
    name: "sockstat",
    job: Job::Node,
    interval_ms: 1000,
    metrics: host::sockstat::ALL,
    touches: &["/proc/net/sockstat", "/proc/net/sockstat6"],
};

const FILES: [&str; 2] = ["/proc/net/sockstat", "/proc/net/sockstat6"];

#[derive(Debug)]
pub(crate) struct SockStat {
    reader: Reader,
    problems: Problems,
    page_size: f64,
    /// Files that are not there are not asked for again until the next detection.
    present: [bool; FILES.len()],
}

impl SockStat {
    pub(crate) fn new(fs: Arc<dyn HostFs>) -> Self {
        let page_size = fs.page_size() as f64;
        Self {
            reader: Reader::new(fs),
            problems: Problems::default(),
            page_size,
            present: [true; FILES.len()],
        }
    }
}

impl Collector for SockStat {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        self.present = [true; FILES.len()];
        if FILES.iter().any(|path| self.reader.fs.exists(path)) {
            Support::Present
        } else {
            Support::NotPresent(format!("no {}", FILES[0]))
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        self.problems.clear();
        for (path, present) in FILES.into_iter().zip(&mut self.present) {
            if !*present {
                continue;
            }
            match self.reader.hot(path) {
                Ok(text) => {
                    for line in text.lines() {
                        self.problems
                            .note(line.and_then(|line| protocol(line, self.page_size, row)));
                    }
                }
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

/// `TCP: inuse 11 orphan 0 tw 1 alloc 11 mem 178`, `mem` in pages.
fn protocol(line: Line<'_>, page_size: f64, row: &mut Row) -> Result<(), CollectError> {
    let Some((protocol, rest)) = line.text.split_once(':') else {
        return Err(line.expected("a protocol and its counts"));
    };
    let mut fields = rest.split_ascii_whitespace();
    while let Some(state) = fields.next() {
        let value = line.count(fields.next(), "a state and its count")? as f64;
        if let Some(def) = metric(protocol, state) {
            row.set(def, &[], value);
        }
        if state == "mem"
            && let Some(def) = metric(protocol, "mem_bytes")
        {
            row.set(def, &[], value * page_size);
        }
    }
    Ok(())
}

fn metric(protocol: &str, state: &str) -> Option<&'static MetricDef> {
    host::sockstat::ALL.iter().copied().find(|def| {
        def.name
            .strip_prefix("node_sockstat_")
            .and_then(|name| name.strip_prefix(protocol))
            .and_then(|name| name.strip_prefix('_'))
            .is_some_and(|name| name == state)
    })
}
