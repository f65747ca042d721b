//! Remote write 1.0: this agent's samples to any Prometheus-compatible store.
//!
//! The history is the queue. A cursor says up to when samples were taken by the store; it is kept in the data folder, so
//! that a restart goes on where the last process stopped. While the store is away the cursor stays; what falls behind by
//! more than the backlog is given up and counted.

mod encode;
mod read;
mod send;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use podscope_model::matcher::Matcher;
use tokio::task::JoinHandle;

use crate::config::RemoteWriteConfig;
use crate::config::check::ConfigError;
use crate::schedule::now_ms;
use crate::state::AgentState;
pub use encode::{Label, Sample, Series, decode, encode};
use send::{Sender, Sent};

/// The file of the cursor, in the data folder: milliseconds since 1970 as text.
const CURSOR_FILE: &str = "remote-write.cursor";
/// Rows of the last moment may still be on their way into the history.
const LAG_MS: i64 = 2_000;
/// Time that is read at once after the store was away.
const SPAN_MS: i64 = 60_000;
const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_LONGEST: Duration = Duration::from_secs(60);

/// What was sent, for the agent's own metrics.
#[derive(Debug, Default)]
pub struct RemoteWriteStats {
    pub sent: AtomicU64,
    /// Refused by the store, or too old when it came back.
    pub dropped: AtomicU64,
    /// Requests that failed and were tried again.
    pub retries: AtomicU64,
    /// Up to when samples were taken, Unix milliseconds; 0 before the first.
    pub cursor_ms: AtomicI64,
}

/// The task that sends.
#[derive(Debug)]
pub(crate) struct RemoteWrite {
    task: JoinHandle<()>,
}

impl RemoteWrite {
    /// Starts sending; `None` where no URL is set.
    ///
    /// # Errors
    /// A secret or certificate file that cannot be used, or a URL that is none.
    pub(crate) fn start(
        config: &RemoteWriteConfig,
        state: &Arc<AgentState>,
        dir: &Path,
    ) -> Result<Option<Self>, ConfigError> {
        let Some(sender) = Sender::new(config)? else {
            return Ok(None);
        };
        let selectors = config
            .select
            .iter()
            .map(|text| {
                let parsed = podscope_promql::parse(text).ok();
                let selectors = parsed.as_ref().map(podscope_promql::Parsed::selectors);
                selectors.and_then(|mut list| if list.len() == 1 { list.pop() } else { None })
            })
            .collect::<Option<Vec<Vec<Matcher>>>>();
        let Some(selectors) = selectors else {
            return Err(ConfigError::Content {
                what: "selectors of [remote_write]",
                path: PathBuf::from("select"),
                reason: "hold one that is no selector; write them like {job=\"dcgm\"}".to_owned(),
            });
        };
        let work = Work {
            state: Arc::downgrade(state),
            stats: Arc::clone(state.remote_write()),
            sender,
            selectors: if selectors.is_empty() {
                vec![Vec::new()]
            } else {
                selectors
            },
            resolution_ms: i64::try_from(config.resolution.as_ms())
                .unwrap_or(i64::MAX)
                .max(1),
            backlog_ms: i64::try_from(config.max_backlog.as_ms()).unwrap_or(i64::MAX),
            batch: usize::try_from(config.max_samples).unwrap_or(usize::MAX).max(1),
            cursor_file: dir.join(CURSOR_FILE),
        };
        Ok(Some(Self {
            task: tokio::spawn(work.run()),
        }))
    }

    /// Ends it between two requests; the cursor says where the next process goes on.
    pub(crate) fn stop(self) {
        self.task.abort();
    }
}

struct Work {
    state: Weak<AgentState>,
    stats: Arc<RemoteWriteStats>,
    sender: Sender,
    /// Each a list of matchers; an empty list means every series.
    selectors: Vec<Vec<Matcher>>,
    resolution_ms: i64,
    backlog_ms: i64,
    batch: usize,
    cursor_file: PathBuf,
}

impl Work {
    fn floor(&self, ms: i64) -> i64 {
        ms.div_euclid(self.resolution_ms) * self.resolution_ms
    }

    fn load_cursor(&self) -> i64 {
        let text = std::fs::read_to_string(&self.cursor_file).ok();
        let kept = text.and_then(|text| text.trim().parse::<i64>().ok());
        let now = self.floor(now_ms());
        // A clock that was set back must not silence it for ever.
        kept.filter(|kept| *kept <= now).unwrap_or(now)
    }

    fn save_cursor(&self, cursor_ms: i64) {
        self.stats.cursor_ms.store(cursor_ms, Ordering::Relaxed);
        let temporary = self.cursor_file.with_extension("tmp");
        let saved = std::fs::write(&temporary, format!("{cursor_ms}\n"))
            .and_then(|()| std::fs::rename(&temporary, &self.cursor_file));
        if let Err(error) = saved {
            tracing::debug!(%error, "the cursor of remote write is not kept: samples may be sent twice after a restart");
        }
    }

    async fn run(self) {
        let mut cursor = self.load_cursor();
        self.stats.cursor_ms.store(cursor, Ordering::Relaxed);
        tracing::info!(url = self.sender.shown(), "sending samples by remote write");
        loop {
            let now = now_ms();
            let ready = self.floor(now - LAG_MS);
            if ready <= cursor {
                let wait = cursor + self.resolution_ms + LAG_MS - now;
                tokio::time::sleep(Duration::from_millis(u64::try_from(wait.max(10)).unwrap_or(10))).await;
                continue;
            }
            let end = ready.min(self.floor(cursor + SPAN_MS.max(self.resolution_ms)));
            let Some(series) = self.read(cursor, end).await else {
                return;
            };
            for batch in read::batches(series, self.batch) {
                self.deliver(batch, end).await;
            }
            cursor = end;
            self.save_cursor(cursor);
        }
    }

    /// The samples of a span; `None` when the agent is gone.
    async fn read(&self, start_ms: i64, end_ms: i64) -> Option<Vec<Series>> {
        let state = self.state.upgrade()?;
        let (selectors, resolution_ms) = (self.selectors.clone(), self.resolution_ms);
        let read = tokio::task::spawn_blocking(move || {
            read::span(&state, &selectors, start_ms, end_ms, resolution_ms)
        });
        match read.await {
            Ok(Ok(series)) => Some(series),
            Ok(Err(error)) => {
                tracing::warn!(%error, "samples for remote write cannot be read from the history; skipping them");
                Some(Vec::new())
            }
            Err(_) => None,
        }
    }

    /// Sends one batch until the store takes or refuses it, or it has become too old.
    async fn deliver(&self, batch: Vec<Series>, end_ms: i64) {
        let samples: u64 = batch.iter().map(|series| series.samples.len() as u64).sum();
        let body = encode(&batch);
        drop(batch);
        let mut pause = PAUSE_FIRST;
        loop {
            if now_ms() - end_ms > self.backlog_ms {
                self.stats.dropped.fetch_add(samples, Ordering::Relaxed);
                return;
            }
            match self.sender.send(body.clone()).await {
                Sent::Taken => {
                    self.stats.sent.fetch_add(samples, Ordering::Relaxed);
                    return;
                }
                Sent::Refused(reason) => {
                    tracing::warn!(
                        reason,
                        samples,
                        "the store refuses samples of remote write; they are dropped"
                    );
                    self.stats.dropped.fetch_add(samples, Ordering::Relaxed);
                    return;
                }
                Sent::Later { reason, after } => {
                    if self
                        .stats
                        .retries
                        .fetch_add(1, Ordering::Relaxed)
                        .is_multiple_of(20)
                    {
                        tracing::warn!(reason, "the store takes no samples now; they wait in the history");
                    }
                    tokio::time::sleep(after.unwrap_or(pause)).await;
                    pause = (pause * 2).min(PAUSE_LONGEST);
                }
            }
        }
    }
}
