//! Runs one collector: the part of the schedule that does not know the time. The simulator and tests call it with times
//! of their own.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use podscope_collect::{Collector, Support};
use podscope_model::batch::Row;
use podscope_model::leaf::CollectorState;

use crate::stream::Stream;

/// After so many milliseconds a collector whose source was not there looks again: drivers are loaded and devices
/// plugged while the agent runs.
const LOOK_AGAIN_MS: i64 = 60_000;

/// A collector with its row and its stream.
pub struct Driver {
    collector: Box<dyn Collector>,
    row: Row,
    stream: Arc<Stream>,
    /// When the source was last looked for; `None`: never.
    looked_ms: Option<i64>,
    support: Support,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Driver")
            .field("stream", &self.stream.name())
            .finish_non_exhaustive()
    }
}

impl Driver {
    pub fn new(collector: Box<dyn Collector>, stream: Arc<Stream>) -> Self {
        let support = Support::NotPresent("not looked for yet".to_owned());
        Self {
            collector,
            row: Row::new(),
            stream,
            looked_ms: None,
            support,
        }
    }

    pub fn stream(&self) -> &Arc<Stream> {
        &self.stream
    }

    /// Collects once; the row gets the time `tick_ms`.
    pub fn tick(&mut self, tick_ms: i64) {
        self.stream.begin(tick_ms);
        self.row.begin();
        let worked = std::panic::catch_unwind(AssertUnwindSafe(|| {
            Self::collect(
                &mut *self.collector,
                &mut self.row,
                &mut self.support,
                &mut self.looked_ms,
                tick_ms,
            )
        }));
        let state = worked.unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_default();
            CollectorState::Failed {
                error: format!("the collector itself is broken: {text}"),
            }
        });
        let changed = state == CollectorState::Ok && self.row.compact();
        self.stream.finish(tick_ms, &mut self.row, state, changed);
    }

    fn collect(
        collector: &mut dyn Collector,
        row: &mut Row,
        support: &mut Support,
        looked_ms: &mut Option<i64>,
        tick_ms: i64,
    ) -> CollectorState {
        let look = !support.is_present()
            && looked_ms.is_none_or(|looked| !(0..LOOK_AGAIN_MS).contains(&(tick_ms - looked)));
        if look {
            *support = collector.detect();
            *looked_ms = Some(tick_ms);
        }
        if let Support::NotPresent(reason) = support {
            return CollectorState::NotPresent {
                reason: reason.clone(),
            };
        }
        let collected = collector.collect(row);
        for problem in collector.take_problems() {
            let name = collector.descriptor().name;
            tracing::debug!(collector = name, problem = %crate::chain(&problem), "a reading failed");
        }
        match collected {
            Ok(()) => CollectorState::Ok,
            Err(error) => CollectorState::Failed {
                error: crate::chain(&error),
            },
        }
    }
}
