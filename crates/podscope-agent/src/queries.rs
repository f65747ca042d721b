//! Running queries off the async threads: a bounded number at a time, each with its budget, cancelled with its caller.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use podscope_model::leaf::Limits;
use podscope_model::source::{Budget, BudgetError, Cancel};
use tokio::sync::Semaphore;

/// Totals for the agent's own metrics.
#[derive(Debug, Default)]
pub struct QueryTotals {
    pub answered: AtomicU64,
    pub failed: AtomicU64,
    pub cancelled: AtomicU64,
    pub micros: AtomicU64,
    pub samples: AtomicU64,
}

/// The pool queries run in.
#[derive(Debug)]
pub struct Queries {
    permits: Arc<Semaphore>,
    pub totals: Arc<QueryTotals>,
}

/// How a query did not come to an answer of its own.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error(transparent)]
    Budget(#[from] BudgetError),
    #[error("the query failed inside the agent; its log has the details")]
    Panicked,
}

/// Cancels when dropped: the caller's future is dropped when the client goes away.
struct CancelOnDrop(Cancel);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Queries {
    pub fn new(concurrent: u64) -> Self {
        let permits = usize::try_from(concurrent)
            .unwrap_or(1)
            .clamp(1, Semaphore::MAX_PERMITS);
        Self {
            permits: Arc::new(Semaphore::new(permits)),
            totals: Arc::default(),
        }
    }

    /// Runs `work` on a blocking thread with a budget made of `limits`. The time spent waiting for a turn counts.
    /// Dropping the future cancels the budget.
    ///
    /// # Errors
    /// The limit that was passed before `work` began, or its panic. What `work` answers is passed through.
    pub async fn run<T: Send + 'static, E: Send + 'static>(
        &self,
        limits: Limits,
        work: impl FnOnce(&Budget) -> Result<T, E> + Send + 'static,
    ) -> Result<Result<T, E>, RunError> {
        let arrived = Instant::now();
        let timeout = Duration::from_millis(limits.timeout_ms);
        let late = BudgetError::Time {
            limit_ms: limits.timeout_ms,
        };
        let turn = tokio::time::timeout(timeout, Arc::clone(&self.permits).acquire_owned()).await;
        let Ok(Ok(permit)) = turn else {
            self.totals.failed.fetch_add(1, Ordering::Relaxed);
            return Err(late.into());
        };
        let cancel = Cancel::default();
        let _guard = CancelOnDrop(cancel.clone());
        let left = timeout.saturating_sub(arrived.elapsed());
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1);
        let left = Limits {
            timeout_ms: left_ms,
            ..limits
        };
        let budget = Budget::of(&left, cancel.clone());
        let totals = Arc::clone(&self.totals);
        let worked = tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let result = budget.check().map(|()| work(&budget));
            let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            totals.micros.fetch_add(micros, Ordering::Relaxed);
            totals.samples.fetch_add(budget.samples_read(), Ordering::Relaxed);
            let total = match &result {
                Ok(Ok(_)) => &totals.answered,
                _ if cancel.is_cancelled() => &totals.cancelled,
                _ => &totals.failed,
            };
            total.fetch_add(1, Ordering::Relaxed);
            // Held until the work is done, not until its caller is gone.
            drop(permit);
            result
        });
        match worked.await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => {
                tracing::error!(%error, "a query did not finish");
                self.totals.failed.fetch_add(1, Ordering::Relaxed);
                Err(RunError::Panicked)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(timeout_ms: u64) -> Limits {
        Limits {
            timeout_ms,
            ..Limits::default()
        }
    }

    /// Works until it is told to stop.
    fn endless(budget: &Budget) -> Result<(), BudgetError> {
        loop {
            budget.check()?;
            std::thread::yield_now();
        }
    }

    #[tokio::test]
    async fn a_query_whose_caller_goes_away_is_cancelled() {
        let queries = Queries::new(1);
        let (started, running) = tokio::sync::oneshot::channel();
        let (stopped, ended) = tokio::sync::oneshot::channel();
        {
            let query = queries.run(limits(600_000), move |budget| {
                started.send(()).expect("the test waits");
                stopped.send(endless(budget)).expect("the test waits");
                Ok::<(), ()>(())
            });
            tokio::select! {
                _ = query => unreachable!("it works until it is cancelled"),
                begun = running => begun.expect("started"),
            }
        }
        assert_eq!(ended.await.expect("stopped"), Err(BudgetError::Cancelled));
    }

    #[tokio::test]
    async fn waiting_for_a_turn_counts_against_the_timeout() {
        let queries = Queries::new(1);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let first = queries.run(limits(600_000), move |_| held.recv());
        let second = async {
            let result = queries.run(limits(20), |_| Ok::<(), ()>(())).await;
            release.send(()).expect("the first still waits");
            result
        };
        let (first, second) = tokio::join!(first, second);
        assert!(matches!(first, Ok(Ok(()))));
        assert!(
            matches!(second, Err(RunError::Budget(BudgetError::Time { limit_ms: 20 }))),
            "{second:?}"
        );
    }

    #[tokio::test]
    async fn a_panic_is_an_error_and_the_next_query_has_its_turn() {
        let queries = Queries::new(1);
        let broken = queries
            .run(limits(600_000), |_| -> Result<(), ()> { panic!("broken") })
            .await;
        assert!(matches!(broken, Err(RunError::Panicked)));
        assert!(matches!(
            queries.run(limits(600_000), |_| Ok::<u8, ()>(7)).await,
            Ok(Ok(7))
        ));
    }
}
