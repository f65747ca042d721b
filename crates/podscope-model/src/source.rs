//! The storage trait PromQL is evaluated over, and the budget a query may use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::cells::{CellColumns, CellSeries, Need, Resolution};
use crate::labels::Labels;
use crate::matcher::Matcher;
use crate::sample::SeriesData;

/// What a query wants of a store.
#[derive(Clone, Debug)]
pub struct Select<'a> {
    pub matchers: &'a [Matcher],
    /// Samples with `start_ms < t <= end_ms` are wanted (left-open, as Prometheus 3 reads a range).
    pub start_ms: i64,
    pub end_ms: i64,
    /// The query's step, and the function applied to the window; a store with tiers may use them.
    pub step_ms: i64,
    pub function: Option<&'a str>,
}

/// Why a store could not answer.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(transparent)]
    Budget(#[from] BudgetError),
    #[error("reading {place}: {reason}")]
    Read { place: String, reason: String },
    /// What is kept of the time asked for is too coarse for the question. A sentence: what is kept, how to ask.
    #[error("{0}")]
    Resolution(String),
}

/// A limit a query ran into. The text says which, how much, and how to ask for less.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BudgetError {
    #[error(
        "the query reads more than {limit} samples; ask for a shorter range or fewer series, or raise max_samples"
    )]
    Samples { limit: u64 },
    #[error(
        "the query answers more than {limit} series; aggregate (sum by, topk) or select fewer, or raise max_series"
    )]
    Series { limit: u64 },
    #[error(
        "the query took longer than its {limit_ms} ms; ask for a shorter range or fewer series, or raise the timeout"
    )]
    Time { limit_ms: u64 },
    #[error("the query was cancelled")]
    Cancelled,
}

/// Set by the caller when nobody waits for the answer any more.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What one query may use; shared by everything that works for it.
#[derive(Debug)]
pub struct Budget {
    max_samples: u64,
    max_series: u64,
    deadline: Option<(Instant, u64)>,
    cancel: Cancel,
    samples: AtomicU64,
}

impl Budget {
    /// `timeout_ms` counts from now; `None` means no limit of time.
    pub fn new(max_samples: u64, max_series: u64, timeout_ms: Option<u64>, cancel: Cancel) -> Self {
        let deadline = timeout_ms.map(|ms| (Instant::now() + std::time::Duration::from_millis(ms), ms));
        Self {
            max_samples,
            max_series,
            deadline,
            cancel,
            samples: AtomicU64::new(0),
        }
    }

    /// For tests and one-shot tools.
    pub fn unlimited() -> Self {
        Self::new(u64::MAX, u64::MAX, None, Cancel::default())
    }

    /// Counts samples read, and stops the query when they are too many, too late or unwanted.
    ///
    /// # Errors
    /// The limit that was passed.
    pub fn take_samples(&self, count: usize) -> Result<(), BudgetError> {
        let used = self.samples.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        if used > self.max_samples {
            return Err(BudgetError::Samples {
                limit: self.max_samples,
            });
        }
        self.check()
    }

    /// Fails when one result holds more series than allowed.
    ///
    /// # Errors
    /// [`BudgetError::Series`].
    pub fn check_series(&self, count: usize) -> Result<(), BudgetError> {
        if count as u64 > self.max_series {
            return Err(BudgetError::Series {
                limit: self.max_series,
            });
        }
        Ok(())
    }

    /// Fails when the query was cancelled or is too late. Call it in every loop that can be long.
    ///
    /// # Errors
    /// [`BudgetError::Cancelled`] or [`BudgetError::Time`].
    pub fn check(&self) -> Result<(), BudgetError> {
        if self.cancel.is_cancelled() {
            return Err(BudgetError::Cancelled);
        }
        match self.deadline {
            Some((deadline, limit_ms)) if Instant::now() > deadline => Err(BudgetError::Time { limit_ms }),
            _ => Ok(()),
        }
    }

    /// Samples read so far.
    pub fn samples_read(&self) -> u64 {
        self.samples.load(Ordering::Relaxed)
    }
}

/// Somewhere series can be read from. Synchronous: callers run it off the async threads.
pub trait SeriesSource: Send + Sync {
    /// Hands every matching series with at least one sample in the window to `sink`, one at a time, each label set once.
    /// The source counts what it reads against `budget` before it decodes it where it can.
    ///
    /// # Errors
    /// What `sink` answers, a limit, or a failed read that names its place.
    fn select(
        &self,
        select: &Select<'_>,
        budget: &Budget,
        sink: &mut dyn FnMut(SeriesData) -> Result<(), SourceError>,
    ) -> Result<(), SourceError>;

    /// At which resolution this source answers a selector; asked before anything is read.
    ///
    /// # Errors
    /// [`SourceError::Resolution`] where it keeps only what is too coarse for the question.
    fn resolution(&self, _need: &Need<'_>) -> Result<Resolution, SourceError> {
        Ok(Resolution::Samples)
    }

    /// Hands every matching series with a cell that ends in the window to `sink`, one at a time, each label set once. Only
    /// asked of a source that answered [`Resolution::Cells`] of this length.
    ///
    /// # Errors
    /// As [`SeriesSource::select`].
    fn select_cells(
        &self,
        _select: &Select<'_>,
        _cell_ms: i64,
        _columns: CellColumns,
        _budget: &Budget,
        _sink: &mut dyn FnMut(CellSeries) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        Err(SourceError::Resolution(
            "this source keeps samples only".to_owned(),
        ))
    }

    /// The label sets that match and have a sample in `start_ms < t <= end_ms`.
    ///
    /// # Errors
    /// A limit, or a failed read that names its place.
    fn series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        budget: &Budget,
    ) -> Result<Vec<Labels>, SourceError>;
}
