//! The kernel's entropy pool. Since Linux 5.18 it is always full; on older kernels an empty one stalls TLS.

use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, host};

use super::Reader;
use crate::collector::{Collector, Descriptor, Support};
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;
use crate::text::Text;

static DESCRIPTOR: Descriptor = Descriptor {
    name: "entropy",
    job: Job::Node,
    interval_ms: 10_000,
    metrics: host::entropy::ALL,
    touches: &[AVAILABLE, POOL_SIZE],
};

const AVAILABLE: &str = "/proc/sys/kernel/random/entropy_avail";
const POOL_SIZE: &str = "/proc/sys/kernel/random/poolsize";

#[derive(Debug)]
pub(crate) struct Entropy {
    reader: Reader,
    problems: Problems,
}

impl Entropy {
    pub(crate) fn new(fs: Arc<dyn HostFs>) -> Self {
        Self {
            reader: Reader::new(fs),
            problems: Problems::default(),
        }
    }
}

impl Collector for Entropy {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        if self.reader.fs.exists(AVAILABLE) {
            Support::Present
        } else {
            Support::NotPresent(format!("no {AVAILABLE}"))
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        self.problems.clear();
        let gauges = [
            (AVAILABLE, &host::NODE_ENTROPY_AVAILABLE_BITS),
            (POOL_SIZE, &host::NODE_ENTROPY_POOL_SIZE_BITS),
        ];
        for (path, def) in gauges {
            let value = self.reader.hot(path).and_then(Text::only).and_then(|line| {
                let bits = line.count(Some(line.text), "a number of bits")?;
                row.set(def, &[], bits as f64);
                Ok(())
            });
            self.problems.note(value);
        }
        self.problems.outcome(row.is_empty())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}
