//! The storage trait PromQL is evaluated over, and the budget a query may use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::cells::{CellColumns, CellSeries, Need, Resolution};
use crate::labels::Labels;
use crate::leaf::Limits;
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
        "the query makes more than {limit} values, counting those of its sub-expressions; ask for a larger step, a shorter \
         range or fewer series, or raise max_cells"
    )]
    Cells { limit: u64 },
    #[error(
        "the query needs more than {} of memory; aggregate (sum by, topk), ask for a larger step, a shorter range or \
         fewer series, or raise max_memory", amount(*limit)
    )]
    Memory { limit: u64 },
    #[error(
        "the query took longer than its {limit_ms} ms; ask for a shorter range or fewer series, or raise the timeout"
    )]
    Time { limit_ms: u64 },
    #[error("the query was cancelled")]
    Cancelled,
}

/// Bytes as people read them.
fn amount(bytes: u64) -> String {
    match bytes >> 20 {
        0 => format!("{bytes} bytes"),
        mib => format!("{mib} MiB"),
    }
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
    max_cells: u64,
    max_bytes: u64,
    deadline: Option<(Instant, u64)>,
    cancel: Cancel,
    samples: AtomicU64,
    cells: AtomicU64,
    bytes: AtomicU64,
}

impl Budget {
    /// What `limits` allow, from now on.
    pub fn of(limits: &Limits, cancel: Cancel) -> Self {
        Self {
            max_cells: limits.max_cells,
            max_bytes: limits.max_bytes,
            ..Self::new(
                limits.max_samples,
                limits.max_series,
                Some(limits.timeout_ms),
                cancel,
            )
        }
    }

    /// `timeout_ms` counts from now; `None` means no limit of time. Cells and memory as [`Limits`] has them by default.
    pub fn new(max_samples: u64, max_series: u64, timeout_ms: Option<u64>, cancel: Cancel) -> Self {
        let deadline = timeout_ms.map(|ms| (Instant::now() + std::time::Duration::from_millis(ms), ms));
        Self {
            max_samples,
            max_series,
            max_cells: Limits::default().max_cells,
            max_bytes: Limits::default().max_bytes,
            deadline,
            cancel,
            samples: AtomicU64::new(0),
            cells: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// For tests and one-shot tools.
    pub fn unlimited() -> Self {
        Self {
            max_cells: u64::MAX,
            max_bytes: u64::MAX,
            ..Self::new(u64::MAX, u64::MAX, None, Cancel::default())
        }
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

    /// Counts values that were just made as columns, with their memory: both count until the query ends.
    ///
    /// # Errors
    /// The limit that was passed.
    pub fn take_cells(&self, count: usize) -> Result<(), BudgetError> {
        let used = self.cells.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        if used > self.max_cells {
            return Err(BudgetError::Cells {
                limit: self.max_cells,
            });
        }
        self.hold(count.saturating_mul(size_of::<f64>()))
    }

    /// Counts memory that is held until [`Budget::release`].
    ///
    /// # Errors
    /// The limit that was passed.
    pub fn hold(&self, bytes: usize) -> Result<(), BudgetError> {
        let held = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if held > self.max_bytes {
            return Err(BudgetError::Memory {
                limit: self.max_bytes,
            });
        }
        self.check()
    }

    /// Gives back memory that was held.
    pub fn release(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
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

    /// Memory that may be held, in bytes.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Values made so far.
    pub fn cells_made(&self) -> u64 {
        self.cells.load(Ordering::Relaxed)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(limits: Limits) -> Budget {
        Budget::of(&limits, Cancel::default())
    }

    #[test]
    fn each_limit_says_which_it_is_how_much_it_allows_and_what_to_do() {
        let small = budget(Limits {
            max_samples: 10,
            max_series: 11,
            max_cells: 12,
            max_bytes: 3 << 20,
            timeout_ms: 60_000,
        });
        let text = |failed: Result<(), BudgetError>| failed.expect_err("past the limit").to_string();
        let cases = [
            (
                text(small.take_samples(11)),
                "more than 10 samples",
                "max_samples",
            ),
            (text(small.check_series(12)), "more than 11 series", "max_series"),
            (text(small.take_cells(13)), "more than 12 values", "max_cells"),
            (text(small.hold(4 << 20)), "more than 3 MiB", "max_memory"),
        ];
        for (said, much, key) in cases {
            assert!(
                said.contains(much) && said.contains(key) && said.contains("fewer"),
                "{said}"
            );
        }
    }

    #[test]
    fn memory_that_is_given_back_may_be_held_again() {
        let small = budget(Limits {
            max_bytes: 100,
            ..Limits::default()
        });
        for _ in 0..10 {
            small.hold(80).expect("within the limit");
            small.release(80);
        }
        small.hold(80).expect("within the limit");
        assert_eq!(small.hold(80), Err(BudgetError::Memory { limit: 100 }));
    }
}
