//! One collector's rows inside the agent: on their way into the history, the current one for `/metrics`, and how the
//! collector is doing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use podscope_history::{Appended, History, HistoryError, StreamSpec};
use podscope_model::batch::{Column, Row};
use podscope_model::catalog::Job;
use podscope_model::leaf::{CollectorInfo, CollectorState};

/// The last row of a stream, kept for `/metrics` and the inventory.
#[derive(Debug, Default)]
struct Latest {
    columns: Vec<Column>,
    values: Vec<Option<f64>>,
}

impl Latest {
    /// Copies the row; the columns only when there are others than before.
    fn copy(&mut self, row: &Row, columns_changed: bool) {
        let columns = row.columns();
        if columns_changed {
            self.columns.clear();
        }
        let known = self.columns.len();
        self.columns
            .extend_from_slice(&columns[known.min(columns.len())..]);
        self.values.clear();
        self.values.extend((0..columns.len()).map(|at| row.value(at)));
    }
}

/// A collection that is going on.
#[derive(Clone, Copy, Debug)]
struct Running {
    tick_ms: i64,
    since: Instant,
    /// The deadline passed and an empty row was written: what comes now is too late.
    given_up: bool,
}

#[derive(Debug)]
struct Health {
    state: CollectorState,
    running: Option<Running>,
    last_tick_ms: Option<i64>,
    duration: Duration,
    series: u64,
    failures: u64,
    /// Ticks that passed while a collection was going on, up to its last end.
    missed: u64,
    /// Whether the last append failed: logged on change only.
    write_failing: bool,
}

/// What the agent's own metrics say of a collector.
#[derive(Clone, Debug)]
pub struct Report {
    pub info: CollectorInfo,
    /// Time of the last collection that began.
    pub last_tick_ms: Option<i64>,
    pub duration: Duration,
    pub failures: u64,
    pub missed: u64,
    pub rows_not_written: u64,
}

/// One stream of rows.
#[derive(Debug)]
pub struct Stream {
    name: String,
    job: Job,
    interval_ms: AtomicU64,
    rows_not_written: AtomicU64,
    /// Milliseconds; 0: the common deadline.
    own_deadline_ms: AtomicU64,
    health: Mutex<Health>,
    latest: Mutex<Latest>,
    spec: Mutex<StreamSpec>,
    history: Arc<History>,
}

impl Stream {
    pub(crate) fn new(name: &str, job: Job, interval_ms: u64, history: Arc<History>) -> Self {
        let health = Health {
            state: CollectorState::Pending,
            running: None,
            last_tick_ms: None,
            duration: Duration::ZERO,
            series: 0,
            failures: 0,
            missed: 0,
            write_failing: false,
        };
        let spec = StreamSpec {
            name: name.to_owned(),
            job: job.as_str().to_owned(),
            interval_ms,
        };
        Self {
            name: name.to_owned(),
            job,
            interval_ms: AtomicU64::new(interval_ms),
            rows_not_written: AtomicU64::new(0),
            own_deadline_ms: AtomicU64::new(0),
            health: Mutex::new(health),
            latest: Mutex::default(),
            spec: Mutex::new(spec),
            history,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn job(&self) -> Job {
        self.job
    }

    pub fn interval_ms(&self) -> u64 {
        self.interval_ms.load(Ordering::Relaxed)
    }

    /// Changes the interval from the next tick on.
    pub fn set_interval_ms(&self, interval_ms: u64) {
        self.interval_ms.store(interval_ms, Ordering::Relaxed);
        lock(&self.spec).interval_ms = interval_ms;
    }

    /// Gives this stream's collector another deadline than the others.
    pub fn set_own_deadline(&self, deadline: Duration) {
        let ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        self.own_deadline_ms.store(ms, Ordering::Relaxed);
    }

    /// Writes a row with a given time: for whoever makes rows outside the schedule (the simulator, imports). The last
    /// row pushed is the current one.
    ///
    /// # Errors
    /// What the history says. The row is current all the same.
    pub fn push(&self, t_ms: i64, row: &Row) -> Result<(), HistoryError> {
        self.push_with(t_ms, row, false)
    }

    fn push_with(&self, t_ms: i64, row: &Row, columns_changed: bool) -> Result<(), HistoryError> {
        let series = row.len() as u64;
        {
            let mut latest = lock(&self.latest);
            let shrunk = row.columns().len() < latest.columns.len();
            latest.copy(row, columns_changed || shrunk);
        }
        {
            let mut health = lock(&self.health);
            health.series = series;
            health.state = CollectorState::Ok;
            health.last_tick_ms = Some(t_ms);
        }
        self.append(t_ms, row)
    }

    fn append(&self, t_ms: i64, row: &Row) -> Result<(), HistoryError> {
        let spec = lock(&self.spec);
        let appended = self.history.append(&spec, t_ms, row);
        drop(spec);
        let failed = appended.is_err();
        let changed = std::mem::replace(&mut lock(&self.health).write_failing, failed) != failed;
        match appended {
            Ok(appended) => {
                if let Appended::NewEpoch { last_ms } = appended {
                    let collector = self.name.as_str();
                    tracing::warn!(
                        collector,
                        t_ms,
                        last_ms,
                        "the clock was set back; all rows are kept"
                    );
                }
                if changed {
                    tracing::info!(collector = self.name, "rows are written to the history again");
                }
                Ok(())
            }
            Err(error) => {
                self.rows_not_written.fetch_add(1, Ordering::Relaxed);
                if changed {
                    let error = crate::chain(&error);
                    tracing::warn!(collector = self.name, %error, "rows are not written to the history");
                }
                Err(error)
            }
        }
    }

    /// Notes that a collection for `tick_ms` begins.
    pub(crate) fn begin(&self, tick_ms: i64) {
        let running = Running {
            tick_ms,
            since: Instant::now(),
            given_up: false,
        };
        let mut health = lock(&self.health);
        health.running = Some(running);
        health.last_tick_ms = Some(tick_ms);
    }

    /// Notes what came out, and writes the row: an empty one when the collection failed, none when it was given up
    /// (its empty row is written already) or the hardware is not present.
    pub(crate) fn finish(&self, tick_ms: i64, row: &mut Row, state: CollectorState, columns_changed: bool) {
        let given_up = {
            let mut health = lock(&self.health);
            let Some(running) = health.running.take() else {
                return;
            };
            let took = running.since.elapsed();
            health.duration = took;
            health.missed += self.ticks_within(took);
            if running.given_up {
                health.state = CollectorState::Failed { error: overran(took) };
                health.series = 0;
                true
            } else {
                self.note(&mut health, &state);
                false
            }
        };
        if given_up {
            row.begin();
            return;
        }
        match state {
            // An error is logged and counted by `append`; collecting goes on.
            CollectorState::Ok => drop(self.push_with(tick_ms, row, columns_changed)),
            CollectorState::Failed { .. } => {
                row.begin();
                self.clear(tick_ms, row);
            }
            CollectorState::NotPresent { .. } | CollectorState::Pending => {}
        }
    }

    /// Takes over the state, and logs when it is another than before.
    fn note(&self, health: &mut Health, state: &CollectorState) {
        let was = std::mem::replace(&mut health.state, state.clone());
        let collector = self.name.as_str();
        match state {
            CollectorState::Failed { error } => {
                health.failures += 1;
                health.series = 0;
                if !matches!(was, CollectorState::Failed { .. }) {
                    tracing::warn!(collector, %error, "collector failed");
                }
            }
            CollectorState::NotPresent { reason } if was != *state => {
                health.series = 0;
                tracing::info!(collector, %reason, "not present on this machine");
            }
            CollectorState::Ok if matches!(was, CollectorState::Failed { .. }) => {
                tracing::info!(collector, "collector works again");
            }
            _ => {}
        }
    }

    /// Gives up a collection that runs longer than `common`, or its own deadline: its tick gets an empty row, so that its series are stale
    /// while it hangs (rule 4 of the design).
    pub(crate) fn give_up_after(&self, common: Duration) {
        let deadline = match self.own_deadline_ms.load(Ordering::Relaxed) {
            0 => common,
            own => Duration::from_millis(own),
        };
        let tick_ms = {
            let mut health = lock(&self.health);
            let Some(running) = health.running.as_mut() else {
                return;
            };
            let took = running.since.elapsed();
            if running.given_up || took < deadline {
                return;
            }
            running.given_up = true;
            let tick_ms = running.tick_ms;
            health.duration = took;
            self.note(&mut health, &CollectorState::Failed { error: overran(took) });
            tick_ms
        };
        self.clear(tick_ms, &Row::new());
    }

    fn clear(&self, tick_ms: i64, empty: &Row) {
        lock(&self.latest).values.fill(None);
        // Logged and counted by `append`.
        drop(self.append(tick_ms, empty));
    }

    fn ticks_within(&self, took: Duration) -> u64 {
        u64::try_from(took.as_millis()).unwrap_or(u64::MAX) / self.interval_ms().max(1)
    }

    /// Calls `sink` with each sample of the current row.
    pub fn for_each_current(&self, mut sink: impl FnMut(&Column, f64)) {
        let latest = lock(&self.latest);
        for (column, value) in latest.columns.iter().zip(&latest.values) {
            if let Some(value) = value {
                sink(column, *value);
            }
        }
    }

    /// How the collector is doing now.
    pub fn report(&self) -> Report {
        let health = lock(&self.health);
        let hanging = health
            .running
            .map_or(0, |running| self.ticks_within(running.since.elapsed()));
        let micros = u64::try_from(health.duration.as_micros()).unwrap_or(u64::MAX);
        Report {
            info: CollectorInfo {
                name: self.name.clone(),
                state: health.state.clone(),
                interval_ms: self.interval_ms(),
                last_duration_us: micros,
                series: health.series,
            },
            last_tick_ms: health.last_tick_ms,
            duration: health.duration,
            failures: health.failures,
            missed: health.missed + hanging,
            rows_not_written: self.rows_not_written.load(Ordering::Relaxed),
        }
    }
}

fn overran(took: Duration) -> String {
    format!(
        "did not finish within its deadline; it has been running for {:.1} s",
        took.as_secs_f64()
    )
}

/// A poisoned lock only says that another thread panicked; what it guards is whole between any two statements.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
