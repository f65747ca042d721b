//! The scheduler's collector: writes what the book knows. Asking Slurm is another thread's work ([`super::book::SlurmWatch`]),
//! so that a slow slurmctld costs no row but its own.

use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, slurm};

use super::book::{Clock, SlurmBook, SlurmSource, SlurmWatch};
use super::rows;
use crate::collector::{Collector, Descriptor, Support};
use crate::error::CollectError;

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "slurm",
    job: Job::Slurm,
    interval_ms: 30_000,
    metrics: slurm::ALL,
    touches: &["slurmrestd, as configured in [slurm]"],
};

/// See the module.
#[derive(Debug)]
pub struct SlurmCollector {
    book: SlurmBook,
    clock: Arc<dyn Clock>,
    /// Kept for as long as somebody collects.
    _watch: Option<SlurmWatch>,
    own: Option<OwnSource>,
}

/// A source that answers at once.
struct OwnSource(Box<dyn SlurmSource>);

impl std::fmt::Debug for OwnSource {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("OwnSource")
    }
}

impl SlurmCollector {
    pub fn new(book: SlurmBook, clock: Arc<dyn Clock>) -> Self {
        Self {
            book,
            clock,
            _watch: None,
            own: None,
        }
    }

    /// Lets Slurm be asked for as long as this collects.
    #[must_use]
    pub fn asking(mut self, watch: SlurmWatch) -> Self {
        self._watch = Some(watch);
        self
    }

    /// Asks a source that answers at once, as a simulated one does, with every collection.
    #[must_use]
    pub fn asking_itself(mut self, source: Box<dyn SlurmSource>) -> Self {
        self.own = Some(OwnSource(source));
        self
    }
}

/// Fails when the last whole answer is too old to pass for the present.
pub(super) fn fresh(book: &SlurmBook, now_ms: i64) -> Result<(), CollectError> {
    let health = book.health();
    let limit = i64::try_from(book.fresh_for().as_millis()).unwrap_or(i64::MAX);
    if health.last_ms.is_some_and(|last| now_ms - last <= limit) {
        return Ok(());
    }
    let reason = match (health.error, health.last_ms) {
        (Some(error), _) => error,
        (None, None) => "it was asked for the first time and has not answered yet".to_owned(),
        (None, Some(last)) => format!("its last answer is {} s old", (now_ms - last) / 1000),
    };
    Err(CollectError::Vendor {
        what: "Slurm".to_owned(),
        reason,
    })
}

impl Collector for SlurmCollector {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        Support::Present
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        let now_ms = self.clock.now_ms();
        if let Some(own) = &mut self.own {
            // Remembered by the book, and told below once it matters.
            drop(self.book.refresh(&mut *own.0, now_ms));
        }
        fresh(&self.book, now_ms)?;
        let book = self.book.lock();
        rows::health(&book.health, &book.snapshot, row, now_ms);
        rows::write(&book, row, now_ms.div_euclid(1000));
        Ok(())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        let health = self.book.health();
        let problems = health.error.into_iter().chain(health.problems);
        problems
            .map(|reason| CollectError::Vendor {
                what: "Slurm".to_owned(),
                reason,
            })
            .collect()
    }
}
