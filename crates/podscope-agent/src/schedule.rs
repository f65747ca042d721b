//! When collectors run: each on a thread of its own, at times that are multiples of its interval, so that one that hangs
//! delays nobody. A watch thread gives up collections that pass the deadline, and a keeper thread lets the history write,
//! seal and forget.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use podscope_history::History;

use crate::driver::Driver;
use crate::stream::{Stream, lock};

/// Collectors parse small files; the deepest call is formatting a float.
const STACK_BYTES: usize = 512 << 10;

/// How long [`Schedule::stop`] waits for collectors that are at work.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Wakes sleeping threads before their time.
#[derive(Debug, Default)]
struct Bell {
    stopping: AtomicBool,
    /// Counts rings: a sleeper that slept through none sleeps on.
    rings: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    fn ring(&self) {
        *lock(&self.rings) += 1;
        self.rung.notify_all();
    }

    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Sleeps for `time`, or until the bell rings.
    fn sleep(&self, time: Duration) {
        let rings = lock(&self.rings);
        let before = *rings;
        let waited = self
            .rung
            .wait_timeout_while(rings, time, |now| *now == before && !self.stopping());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

/// What may be changed while the schedule runs.
#[derive(Clone, Debug, Default)]
pub struct Controls {
    bell: Arc<Bell>,
    deadline_ms: Arc<AtomicU64>,
}

impl Controls {
    /// Changes the deadline of all collectors.
    pub fn set_deadline(&self, deadline: Duration) {
        let ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        self.deadline_ms.store(ms, Ordering::Relaxed);
    }

    /// Lets sleeping collectors look at their interval again.
    pub fn intervals_changed(&self) {
        self.bell.ring();
    }
}

/// The running threads.
#[derive(Debug)]
pub struct Schedule {
    controls: Controls,
    collectors: Vec<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

impl Schedule {
    /// Starts a thread per driver, the watch and the keeper.
    ///
    /// # Errors
    /// When the system gives no more threads; those already started are stopped.
    pub fn start(drivers: Vec<Driver>, history: Arc<History>, deadline: Duration) -> io::Result<Self> {
        let streams: Vec<Arc<Stream>> = drivers.iter().map(|driver| Arc::clone(driver.stream())).collect();
        let mut schedule = Self {
            controls: Controls::default(),
            collectors: Vec::new(),
            others: Vec::new(),
        };
        schedule.controls.set_deadline(deadline);
        let started = schedule.start_threads(drivers, streams, history);
        if let Err(error) = started {
            schedule.stop();
            return Err(error);
        }
        Ok(schedule)
    }

    fn start_threads(
        &mut self,
        drivers: Vec<Driver>,
        streams: Vec<Arc<Stream>>,
        history: Arc<History>,
    ) -> io::Result<()> {
        for driver in drivers {
            let bell = Arc::clone(&self.controls.bell);
            let name = driver.stream().name().to_owned();
            self.collectors
                .push(spawn(&name, move || run_collector(driver, &bell))?);
        }
        let controls = self.controls.clone();
        self.others
            .push(spawn("watch", move || watch(&streams, &controls))?);
        let bell = Arc::clone(&self.controls.bell);
        // Sealing compresses: an ordinary stack.
        let keeper = std::thread::Builder::new().name("history".to_owned());
        self.others.push(keeper.spawn(move || keep(&history, &bell))?);
        Ok(())
    }

    pub fn controls(&self) -> &Controls {
        &self.controls
    }

    /// Ends the threads. A collector that hangs is left behind; its thread ends with the process.
    pub fn stop(self) {
        self.controls.bell.stopping.store(true, Ordering::Relaxed);
        self.controls.bell.ring();
        let until = Instant::now() + STOP_PATIENCE;
        while Instant::now() < until && self.collectors.iter().any(|thread| !thread.is_finished()) {
            std::thread::park_timeout(Duration::from_millis(5));
        }
        for thread in self.collectors {
            if thread.is_finished() {
                // A panic was caught and told by the driver.
                drop(thread.join());
            } else {
                tracing::warn!(
                    collector = thread.thread().name(),
                    "still at work; not waiting for it"
                );
            }
        }
        for thread in self.others {
            drop(thread.join());
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    // The kernel keeps 15 bytes of a name.
    let name: String = name.chars().take(15).collect();
    std::thread::Builder::new()
        .name(name)
        .stack_size(STACK_BYTES)
        .spawn(work)
}

fn run_collector(mut driver: Driver, bell: &Bell) {
    // The first row is the current second's: an agent just started shows something at once.
    let mut last = tick_at_or_before(now_ms(), driver.stream().interval_ms());
    driver.tick(last);
    while !bell.stopping() {
        let now = now_ms();
        let interval = driver.stream().interval_ms();
        let next = tick_at_or_before(now, interval) + interval_as_i64(interval);
        bell.sleep(Duration::from_millis(u64::try_from(next - now).unwrap_or(0)));
        if bell.stopping() {
            return;
        }
        let tick = tick_at_or_before(now_ms(), driver.stream().interval_ms());
        // Rung for another interval, or woken a hair too early: not yet time. A clock set back is another tick.
        if tick != last {
            last = tick;
            driver.tick(tick);
        }
    }
}

fn interval_as_i64(interval_ms: u64) -> i64 {
    i64::try_from(interval_ms.max(1)).unwrap_or(i64::MAX)
}

fn tick_at_or_before(now_ms: i64, interval_ms: u64) -> i64 {
    now_ms - now_ms.rem_euclid(interval_as_i64(interval_ms))
}

fn watch(streams: &[Arc<Stream>], controls: &Controls) {
    let bell = &controls.bell;
    while !bell.stopping() {
        let deadline = Duration::from_millis(controls.deadline_ms.load(Ordering::Relaxed));
        for stream in streams {
            stream.give_up_after(deadline);
        }
        bell.sleep((deadline / 4).clamp(Duration::from_millis(10), Duration::from_secs(1)));
    }
}

fn keep(history: &History, bell: &Bell) {
    while !bell.stopping() {
        // Half a second after the collectors' ticks, not among them.
        let to_half = 1000 - (now_ms() + 500).rem_euclid(1000);
        bell.sleep(Duration::from_millis(u64::try_from(to_half).unwrap_or(1000)));
        if !bell.stopping() {
            history.maintain(now_ms());
        }
    }
}
