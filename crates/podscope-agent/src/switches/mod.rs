//! The switches of `[[switches]]`, asked by NVUE's REST API. Each has a stream of its own, so that one that is restarted or slow
//! is named and costs the others nothing; so many at a time are asked, spread over the interval.
//!
//! | module | what it holds |
//! | --- | --- |
//! | `client` | one switch's API |
//! | `poll` | one round of questions |

mod client;
mod poll;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use podscope_collect::changes::{SharedBook, Values};
use podscope_collect::switch::news::{self, Dated};
use podscope_collect::switch::nvue::RoceClass;
use podscope_collect::switch::rows::{self, PauseUnit, RowOptions};
use podscope_collect::switch::{SwitchLabels, SwitchReading};
use podscope_fanout::{FleetConfig, TlsConfig};
use podscope_model::batch::Row;
use podscope_model::catalog::Job;
use podscope_model::event::{Event, EventSink};
use podscope_model::leaf::CollectorState;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use crate::config::check::ConfigError;
use crate::config::{Config, SwitchConfig};
use crate::otlp::SwitchBook;
use crate::schedule::now_ms;
use crate::secret::Secret;
use crate::state::AgentState;
use crate::stream::{Stream, lock};
use client::{NvueClient, NvueError};
use poll::Queues;

/// What the label `what` says of a switch's applied configuration.
const REVISION: &str = "nvue_revision";
/// What it says of a switch's software.
const BUILD: &str = "switch_build";
/// The beginnings of the switches' rounds are so far apart, or less where there are many.
const APART: Duration = Duration::from_millis(250);
/// How often the stream that says which switches answer is written.
const SUMMARY_EVERY: Duration = Duration::from_secs(10);

/// The tasks that ask. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Switches {
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Switches {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What the pollers work with.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) events: Arc<dyn EventSink>,
    pub(crate) changes: SharedBook,
    pub(crate) pushes: Arc<SwitchBook>,
}

/// Which switches answered the last time.
type Answering = Arc<Mutex<BTreeMap<String, (SwitchLabels, bool)>>>;

impl Switches {
    /// Begins to ask; `None` where no switch has a URL. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// A password or certificate file that cannot be read.
    pub(crate) fn start(
        config: &Config,
        state: &Arc<AgentState>,
        parts: &Parts,
    ) -> Result<Option<Self>, ConfigError> {
        let asked: Vec<&SwitchConfig> = config
            .switches
            .iter()
            .flatten()
            .filter(|switch| switch.url.is_some())
            .collect();
        if asked.is_empty() {
            return Ok(None);
        }
        let http = http_client(config)?;
        let nvue = &config.nvue;
        let permits = Arc::new(Semaphore::new(
            usize::try_from(nvue.max_concurrent)
                .unwrap_or(usize::MAX)
                .min(Semaphore::MAX_PERMITS),
        ));
        let unit = match nvue.pause_duration_unit.as_str() {
            "ns" => Some(PauseUnit(1e-9)),
            "us" => Some(PauseUnit::MICROSECONDS),
            "ms" => Some(PauseUnit(1e-3)),
            _ => None,
        };
        let apart = APART.min(nvue.interval.0 / u32::try_from(asked.len()).unwrap_or(u32::MAX));
        let answering = Answering::default();
        let mut tasks = Vec::new();
        for (at, switch) in asked.into_iter().enumerate() {
            let Some(base) = switch
                .url
                .as_deref()
                .and_then(|url| reqwest::Url::parse(url).ok())
            else {
                continue;
            };
            let user = switch
                .user
                .clone()
                .or_else(|| nvue.user.clone())
                .unwrap_or_default();
            let file = switch.password_file.as_deref().or(nvue.password_file.as_deref());
            let password = first_line(file)?;
            let stream = state.add_stream(
                &format!("switch:{}", switch.name),
                Job::Switch,
                nvue.interval.as_ms(),
            );
            let poller = Poller {
                client: NvueClient::new(http.clone(), base, (user, password), nvue.timeout.0),
                who: SwitchLabels {
                    switch: switch.name.clone(),
                    fabric: switch.fabric.clone(),
                    role: switch.role.clone(),
                    more: switch.labels.clone().into_iter().collect(),
                },
                state: Arc::downgrade(state),
                stream,
                parts: parts.clone(),
                permits: Arc::clone(&permits),
                answering: Arc::clone(&answering),
                interval: nvue.interval.0,
                roce: RoceClass(u8::try_from(nvue.roce_class).unwrap_or(3)),
                most_single: usize::try_from(nvue.max_single_interfaces).unwrap_or(usize::MAX),
                queues: Queues::default(),
                unit,
                row: Row::new(),
                compacted: false,
                last: None,
                silent: None,
            };
            let wait = apart * u32::try_from(at).unwrap_or(u32::MAX);
            tasks.push(tokio::spawn(poller.run(wait)));
        }
        let stream = state.add_stream("switches", Job::Switch, millis(SUMMARY_EVERY));
        tasks.push(tokio::spawn(summarize(stream, answering)));
        Ok(Some(Self { tasks }))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// One client, and so one pool of connections, for all switches: a handshake costs a switch more than an answer.
fn http_client(config: &Config) -> Result<reqwest::Client, ConfigError> {
    let nvue = &config.nvue;
    let ca_pem = match &nvue.ca_file {
        Some(path) => Some(std::fs::read_to_string(path).map_err(|source| ConfigError::File {
            what: "certificate file of [nvue]",
            path: path.clone(),
            source,
        })?),
        None => None,
    };
    let fleet = FleetConfig {
        tls: TlsConfig {
            ca_pem,
            skip_verify: nvue.skip_verify,
            ..TlsConfig::default()
        },
        connect_timeout: Duration::from_secs(5).min(nvue.timeout.0),
        ..FleetConfig::default()
    };
    podscope_fanout::client::http_client(&fleet, true).map_err(|error| ConfigError::Content {
        what: "certificate file of [nvue]",
        path: nvue.ca_file.clone().unwrap_or_default(),
        reason: format!("cannot be used: {error}"),
    })
}

/// A password from its file.
pub(crate) fn first_line(file: Option<&Path>) -> Result<Secret, ConfigError> {
    let Some(path) = file else {
        return Ok(Secret::new(""));
    };
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
        what: "password file",
        path: path.to_owned(),
        source,
    })?;
    Ok(Secret::new(text.lines().next().unwrap_or_default().trim()))
}

/// Writes which switches answer, in a stream that goes on when they do not.
async fn summarize(stream: Arc<Stream>, answering: Answering) {
    let mut row = Row::new();
    loop {
        tokio::time::sleep(SUMMARY_EVERY).await;
        row.begin();
        for (who, up) in lock(&answering).values() {
            rows::write_up(who, *up, &mut row);
        }
        // An error is logged and counted by the stream.
        drop(stream.push(now_ms(), &row));
    }
}

struct Poller {
    client: NvueClient,
    who: SwitchLabels,
    state: Weak<AgentState>,
    stream: Arc<Stream>,
    parts: Parts,
    permits: Arc<Semaphore>,
    answering: Answering,
    interval: Duration,
    roce: RoceClass,
    most_single: usize,
    queues: Queues,
    unit: Option<PauseUnit>,
    row: Row,
    compacted: bool,
    last: Option<(i64, SwitchReading)>,
    /// The open event of a switch that does not answer.
    silent: Option<Event>,
}

impl Poller {
    async fn run(mut self, wait: Duration) {
        tokio::time::sleep(wait).await;
        let mut next = tokio::time::Instant::now();
        loop {
            tokio::time::sleep_until(next).await;
            next += self.interval;
            if self.state.strong_count() == 0 {
                return;
            }
            let permits = Arc::clone(&self.permits);
            let Ok(permit) = permits.acquire_owned().await else {
                return;
            };
            self.stream.begin(now_ms());
            let round = poll::round(&self.client, &mut self.queues, self.roce, self.most_single);
            // A switch may be slow, but not hold the others' place for ever.
            let round = match tokio::time::timeout(self.interval, round).await {
                Ok(round) => round,
                Err(_) => Err(NvueError::Timeout {
                    path: "all questions".to_owned(),
                    after: self.interval,
                }),
            };
            drop(permit);
            match round {
                Ok(round) => self.answered(round),
                Err(error) => {
                    if let Some(pause) = error.pause() {
                        next = next.max(tokio::time::Instant::now() + pause);
                    }
                    self.failed(&error);
                }
            }
            // What was missed is not made up for.
            next = next.max(tokio::time::Instant::now());
        }
    }

    fn answered(&mut self, round: poll::Round) {
        let at_ms = round.at_ms;
        self.check_pauses(at_ms, &round.reading);
        let options = RowOptions {
            pause_unit: self.unit,
            without_counters: self.parts.pushes.pushes(&self.who.switch, at_ms),
        };
        self.row.begin();
        rows::write(&round.reading, &self.who, options, &mut self.row);
        self.stream
            .finish(at_ms, &mut self.row, CollectorState::Ok, self.compacted);
        self.compacted = self.row.compact();
        for problem in &round.problems {
            let switch = self.who.switch.as_str();
            tracing::debug!(switch, %problem, "a question was not answered");
        }
        lock(&self.answering).insert(self.who.switch.clone(), (self.who.clone(), true));
        if let (Some(state), Some(skew)) = (self.state.upgrade(), round.skew_seconds) {
            state.intake().note_skew("nvue", &self.who.switch, skew);
        }
        if let Some(silent) = self.silent.take() {
            self.parts.events.emit(news::answers_again(&silent, at_ms));
        }
        if let Some((before_ms, before)) = &self.last {
            let before = Dated {
                at_ms: *before_ms,
                reading: before,
            };
            let after = Dated {
                at_ms,
                reading: &round.reading,
            };
            for event in news::between(&self.who, before, after) {
                self.parts.events.emit(event);
            }
        }
        self.watch(
            REVISION,
            "applied revision",
            round.reading.applied_revision.as_deref(),
            at_ms,
        );
        self.watch(BUILD, "build", round.reading.build.as_deref(), at_ms);
        // What was not answered this time is compared with what was, next time.
        let mut reading = round.reading;
        if let Some((_, last)) = self.last.take() {
            reading.neighbors = reading.neighbors.or(last.neighbors);
            reading.segments = reading.segments.or(last.segments);
        }
        self.last = Some((at_ms, reading));
    }

    fn watch(&self, what: &str, setting: &str, value: Option<&str>, at_ms: i64) {
        let Some(value) = value else { return };
        let values = Values::from([(setting.to_owned(), value.to_owned())]);
        let events = self
            .parts
            .changes
            .lock()
            .observe(what, &self.who.switch, values, at_ms);
        for event in events {
            let event = event
                .label("switch", &self.who.switch)
                .label("fabric", &self.who.fabric)
                .label("role", &self.who.role);
            self.parts.events.emit(event);
        }
    }

    fn failed(&mut self, error: &NvueError) {
        let now = now_ms();
        let reason = crate::chain(error);
        let state = CollectorState::Failed {
            error: reason.clone(),
        };
        self.row.begin();
        self.stream.finish(now, &mut self.row, state, false);
        lock(&self.answering).insert(self.who.switch.clone(), (self.who.clone(), false));
        for what in [REVISION, BUILD] {
            self.parts.changes.lock().failed(what, &self.who.switch);
        }
        if self.silent.is_none() {
            let event = news::silent(&self.who, now, &reason);
            self.parts.events.emit(event.clone());
            self.silent = Some(event);
        }
    }

    /// Durations that grow faster than time passes have another unit.
    fn check_pauses(&mut self, at_ms: i64, reading: &SwitchReading) {
        let (Some(unit), Some((before_ms, before))) = (self.unit, &self.last) else {
            return;
        };
        let seconds = (at_ms - before_ms) as f64 / 1000.0;
        let grown = reading.interfaces.iter().flat_map(|(name, interface)| {
            let was = before.interfaces.get(name);
            interface.pauses.iter().flat_map(move |(priority, pause)| {
                let was = was.and_then(|was| was.pauses.get(priority));
                let durations = [
                    (was.and_then(|was| was.rx_duration), pause.rx_duration),
                    (was.and_then(|was| was.tx_duration), pause.tx_duration),
                ];
                durations.into_iter().filter_map(|(was, is)| Some(is? - was?))
            })
        });
        if grown.into_iter().all(|grown| unit.is_plausible(grown, seconds)) {
            return;
        }
        tracing::warn!(
            switch = self.who.switch,
            "pause durations grow faster than time passes: nvue.pause_duration_unit is not this switch's; its pauses are not turned into seconds"
        );
        self.unit = None;
    }
}
