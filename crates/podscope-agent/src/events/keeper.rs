//! The thread that syncs events, removes old ones, and writes rows that remote write has completed.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use podscope_history::events::EventStore;

use crate::ingest::Receiver;
use crate::schedule::now_ms;

const EVERY: Duration = Duration::from_secs(1);

/// Looks after a store until it is stopped.
#[derive(Debug)]
pub(crate) struct EventKeeper {
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl EventKeeper {
    pub(crate) fn start(store: Arc<EventStore>, receiver: Arc<Receiver>) -> io::Result<Self> {
        let stopping = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stopping);
        let thread = std::thread::Builder::new()
            .name("events".to_owned())
            .stack_size(512 << 10)
            .spawn(move || {
                while !told.load(Ordering::Relaxed) {
                    store.maintain(now_ms());
                    receiver.flush(Instant::now(), false);
                    std::thread::park_timeout(EVERY);
                }
                store.maintain(now_ms());
                store.sync();
                receiver.flush(Instant::now(), true);
            })?;
        Ok(Self { stopping, thread })
    }

    /// Ends the thread; every event the disk takes is then durable.
    pub(crate) fn stop(self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        drop(self.thread.join());
    }
}
