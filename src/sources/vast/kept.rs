//! Something read from the server and kept for a while: read once for all who want it, served stale while the server does
//! not answer.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use podscope_vms::VmsError;

/// After a failure nothing is asked for so long.
const PAUSE: Duration = Duration::from_secs(10);

/// One thing that is kept.
#[derive(Debug)]
pub(super) struct Kept<T> {
    every: Duration,
    gate: tokio::sync::Mutex<()>,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    value: Option<(Instant, Arc<T>)>,
    failed: Option<(Instant, VmsError)>,
}

/// What there is of it, and what went wrong since.
#[derive(Debug)]
pub(super) struct Had<T> {
    pub(super) value: Option<Arc<T>>,
    pub(super) age: Duration,
    pub(super) error: Option<VmsError>,
}

impl<T> Had<T> {
    /// What went wrong since it was read, and how old it is.
    pub(super) fn problem(self) -> Option<(VmsError, Duration)> {
        self.error.map(|error| (error, self.age))
    }
}

pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Send + Sync + 'static> Kept<T> {
    pub(super) fn new(every: Duration) -> Arc<Self> {
        Arc::new(Self {
            every,
            gate: tokio::sync::Mutex::new(()),
            state: Mutex::new(State {
                value: None,
                failed: None,
            }),
        })
    }

    fn is_due(&self) -> bool {
        let state = locked(&self.state);
        let fresh = state
            .value
            .as_ref()
            .is_some_and(|(at, _)| at.elapsed() < self.every);
        let paused = state.failed.as_ref().is_some_and(|(at, _)| at.elapsed() < PAUSE);
        !fresh && !paused
    }

    /// What is known now.
    pub(super) fn peek(&self) -> Had<T> {
        let state = locked(&self.state);
        Had {
            value: state.value.as_ref().map(|(_, value)| Arc::clone(value)),
            age: state
                .value
                .as_ref()
                .map_or(Duration::ZERO, |(at, _)| at.elapsed()),
            error: state.failed.as_ref().map(|(_, error)| error.clone()),
        }
    }

    /// The value, read anew when it is due. Waits at most `patience`: the reading goes on without the asker, and what is
    /// known is answered.
    pub(super) async fn get<F>(
        self: &Arc<Self>,
        patience: Duration,
        read: impl FnOnce() -> F + Send + 'static,
    ) -> Had<T>
    where
        F: Future<Output = Result<T, VmsError>> + Send,
    {
        if self.is_due() {
            let kept = Arc::clone(self);
            let reading = tokio::spawn(async move {
                let _one = kept.gate.lock().await;
                if !kept.is_due() {
                    return;
                }
                let answer = read().await;
                let mut state = locked(&kept.state);
                match answer {
                    Ok(value) => {
                        *state = State {
                            value: Some((Instant::now(), Arc::new(value))),
                            failed: None,
                        };
                    }
                    Err(error) => state.failed = Some((Instant::now(), error)),
                }
            });
            // Late: what is known is answered, and the reading goes on. Stopped: the state says nothing new.
            if tokio::time::timeout(patience, reading).await.is_err() {
                let mut had = self.peek();
                had.error = had.error.or(Some(VmsError::Timeout {
                    resource: "a list".to_owned(),
                    timeout: patience,
                }));
                return had;
            }
        }
        self.peek()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn a_hundred_askers_read_once() {
        let kept: Arc<Kept<usize>> = Kept::new(Duration::from_secs(3_600));
        let read = Arc::new(AtomicUsize::new(0));
        let askers = (0..100).map(|_| {
            let (kept, read) = (Arc::clone(&kept), Arc::clone(&read));
            async move {
                let reading = move || async move { Ok(read.fetch_add(1, Ordering::SeqCst) + 1) };
                kept.get(Duration::from_secs(60), reading).await.value
            }
        });
        let had = futures_util::future::join_all(askers).await;
        assert!(had.iter().all(|value| value.as_deref() == Some(&1)));
        assert_eq!(read.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_failure_is_told_and_what_was_known_stays() {
        let kept: Arc<Kept<usize>> = Kept::new(Duration::ZERO);
        let patience = Duration::from_secs(60);
        assert_eq!(
            kept.get(patience, || async { Ok(7) }).await.value.as_deref(),
            Some(&7)
        );
        let failing = || async { Err(VmsError::Config("off".to_owned())) };
        let had = kept.get(patience, failing).await;
        assert_eq!(had.value.as_deref(), Some(&7));
        assert_eq!(had.error, Some(VmsError::Config("off".to_owned())));
        // Not asked again at once.
        let had = kept.get(patience, || async { Ok(8) }).await;
        assert_eq!(had.value.as_deref(), Some(&7));
    }
}
