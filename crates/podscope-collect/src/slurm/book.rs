//! What is known of the scheduler, shared by the collectors and whoever asks for jobs; and the thread that asks Slurm.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::cluster::Snapshot;
use super::error::SlurmError;
use super::poll::Poller;
use super::track::Tracker;

/// The longest pause after failures, where Slurm asks for none.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// The longest pause Slurm may ask for.
const LONGEST_WISH: Duration = Duration::from_secs(900);

/// Milliseconds since 1970.
pub trait Clock: Send + Sync + std::fmt::Debug {
    fn now_ms(&self) -> i64;
}

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Whatever knows the state of the queue: a [`Poller`], or a simulation.
pub trait SlurmSource: Send {
    /// # Errors
    /// When it could not be had; what was known before stays.
    fn snapshot(&mut self, now_ms: i64) -> Result<Snapshot, SlurmError>;

    /// What went wrong beside it.
    fn problems(&mut self) -> Vec<SlurmError> {
        Vec::new()
    }

    /// Answers that said that nothing had changed: of jobs, of nodes.
    fn unchanged(&self) -> [u64; 2] {
        [0; 2]
    }
}

impl SlurmSource for Poller {
    fn snapshot(&mut self, now_ms: i64) -> Result<Snapshot, SlurmError> {
        self.poll(now_ms.div_euclid(1000))
    }

    fn problems(&mut self) -> Vec<SlurmError> {
        self.take_problems()
    }

    fn unchanged(&self) -> [u64; 2] {
        Self::unchanged(self)
    }
}

/// How often Slurm is asked, and what is promised to those who wait.
#[derive(Clone, Debug, PartialEq)]
pub struct BookOptions {
    pub interval: Duration,
    /// Seconds a job may wait.
    pub target_s: f64,
}

impl Default for BookOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(30),
            target_s: 600.0,
        }
    }
}

/// How asking goes.
#[derive(Clone, Debug, Default)]
pub struct PollHealth {
    /// What went wrong the last time; absent: nothing.
    pub error: Option<String>,
    pub failures: u64,
    pub unchanged: [u64; 2],
    pub took: Duration,
    /// When the last whole answer came, milliseconds since 1970.
    pub last_ms: Option<i64>,
    /// What went wrong beside jobs and nodes.
    pub problems: Vec<String>,
    /// slurmctld's clock minus ours, in seconds.
    pub skew_s: Option<f64>,
}

#[derive(Debug)]
pub(super) struct Book {
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) tracker: Tracker,
    pub(super) health: PollHealth,
    stopping: bool,
}

#[derive(Debug)]
struct Shared {
    book: Mutex<Book>,
    changed: Condvar,
    options: BookOptions,
}

/// Clone it, the content is shared.
#[derive(Clone, Debug)]
pub struct SlurmBook(Arc<Shared>);

impl SlurmBook {
    pub fn new(options: BookOptions) -> Self {
        Self(Arc::new(Shared {
            book: Mutex::new(Book {
                snapshot: Arc::default(),
                tracker: Tracker::new(options.target_s),
                health: PollHealth::default(),
                stopping: false,
            }),
            changed: Condvar::new(),
            options,
        }))
    }

    pub fn options(&self) -> &BookOptions {
        &self.0.options
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last whole answer; empty before the first.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.lock().snapshot)
    }

    pub fn health(&self) -> PollHealth {
        self.lock().health.clone()
    }

    /// How long the last whole answer may be taken for the present.
    pub fn fresh_for(&self) -> Duration {
        self.0.options.interval * 3 + Duration::from_secs(30)
    }

    /// Asks once.
    ///
    /// # Errors
    /// As the source; it is remembered as well.
    pub fn refresh(&self, source: &mut dyn SlurmSource, now_ms: i64) -> Result<(), SlurmError> {
        let began = Instant::now();
        // No lock is held while Slurm is asked.
        let taken = source.snapshot(now_ms);
        let took = began.elapsed();
        let problems: Vec<String> = source.problems().iter().map(chain).collect();
        let unchanged = source.unchanged();
        let mut book = self.lock();
        book.health.took = took;
        book.health.unchanged = unchanged;
        book.health.problems = problems;
        match taken {
            Ok(snapshot) => {
                if let Some(error) = &snapshot.unread_error {
                    book.health.problems.push(error.clone());
                }
                let slurm_now = snapshot.diag.as_ref().and_then(|diag| diag.now_s);
                // Whole seconds on one side: half a second is no skew.
                book.health.skew_s = slurm_now.map(|now_s| (now_s - now_ms.div_euclid(1000)) as f64);
                book.tracker.observe(&snapshot, now_ms.div_euclid(1000));
                book.snapshot = Arc::new(snapshot);
                book.health.last_ms = Some(now_ms);
                book.health.error = None;
                Ok(())
            }
            Err(error) => {
                book.health.failures += 1;
                book.health.error = Some(chain(&error));
                Err(error)
            }
        }
    }

    /// Sleeps; false when nobody wants to know any more.
    fn sleep(&self, time: Duration) -> bool {
        let book = self.lock();
        let waited = self
            .0
            .changed
            .wait_timeout_while(book, time, |book| !book.stopping);
        let (book, _) = waited.unwrap_or_else(PoisonError::into_inner);
        !book.stopping
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &SlurmError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// How long to wait after `failures` failures in a row.
pub(super) fn pause(interval: Duration, failures: u32, wish: Option<Duration>) -> Duration {
    let backed_off = interval
        .saturating_mul(1 << failures.min(10))
        .min(LONGEST_PAUSE.max(interval));
    match wish {
        Some(wish) => backed_off.max(wish.min(LONGEST_WISH)),
        None if failures == 0 => interval,
        None => backed_off,
    }
}

/// The one thread that asks Slurm. It ends with this.
#[derive(Debug)]
pub struct SlurmWatch {
    book: SlurmBook,
}

impl SlurmWatch {
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        book: &SlurmBook,
        mut source: Box<dyn SlurmSource>,
        clock: Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let own = book.clone();
        // Not joined: a question that hangs is left to its deadline.
        std::thread::Builder::new()
            .name("slurm".to_owned())
            .spawn(move || {
                let mut failures = 0_u32;
                let mut last_error = String::new();
                loop {
                    let wish = match own.refresh(&mut *source, clock.now_ms()) {
                        Ok(()) => {
                            if failures > 0 {
                                tracing::info!("Slurm answers again");
                            }
                            failures = 0;
                            last_error.clear();
                            None
                        }
                        Err(error) => {
                            failures += 1;
                            let text = chain(&error);
                            if text != last_error {
                                tracing::warn!(error = %text, "Slurm cannot be asked");
                                last_error = text;
                            }
                            error.retry_after()
                        }
                    };
                    if !own.sleep(pause(own.options().interval, failures, wish)) {
                        return;
                    }
                }
            })?;
        Ok(Self { book: book.clone() })
    }
}

impl Drop for SlurmWatch {
    fn drop(&mut self) {
        self.book.lock().stopping = true;
        self.book.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_answered_with_longer_pauses_and_wishes_are_respected() {
        let seconds = Duration::from_secs;
        let half = seconds(30);
        let pauses: Vec<u64> = (0..6)
            .map(|failures| pause(half, failures, None).as_secs())
            .collect();
        assert_eq!(pauses, [30, 60, 120, 240, 300, 300]);
        assert_eq!(pause(half, 1, Some(seconds(200))), seconds(200));
        assert_eq!(pause(half, 1, Some(seconds(5))), seconds(60));
        assert_eq!(
            pause(half, 1, Some(seconds(86_400))),
            seconds(900),
            "no wish is for ever"
        );
    }
}
