//! The collector `self`: what the agent says of itself, of its collectors, its history and its queries.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use podscope_collect::error::CollectError;
use podscope_collect::{Collector, Descriptor, Support};
use podscope_history::events::{EventSearch, EventStore};
use podscope_model::batch::Row;
use podscope_model::catalog::{Job, agent, changes};
use podscope_model::event::{EventFilter, Severity, StoredEvent};
use podscope_model::labels::Labels;
use podscope_model::leaf::CollectorState;
use podscope_model::source::{Budget, Cancel};

use crate::schedule::now_ms;
use crate::state::AgentState;

static DESCRIPTOR: Descriptor = Descriptor {
    name: SELF,
    job: Job::Podscope,
    interval_ms: 1000,
    metrics: agent::ALL,
    touches: &["/proc/self/stat", "/proc/self/fd", "/proc/stat"],
};

/// Name of the collector.
pub const SELF: &str = "self";

/// See the module.
#[derive(Debug)]
pub struct SelfCollector {
    // The state owns the stream this collector writes to: no ring of owners.
    state: Weak<AgentState>,
    /// A simulated node has no process of its own.
    process: bool,
    /// Seconds since 1970; read once.
    started: Option<f64>,
    incidents: OpenIncidents,
}

/// The incidents that are open, looked for from time to time.
#[derive(Debug, Default)]
struct OpenIncidents {
    looked_ms: i64,
    list: Vec<StoredEvent>,
}

/// How often is looked for open incidents.
const INCIDENTS_EVERY_MS: i64 = 5_000;
/// Open incidents with series of their own.
const MOST_INCIDENTS: usize = 20;

impl SelfCollector {
    /// `process`: whether this process is the agent's own, so that its CPU and memory mean something.
    pub fn new(state: &Arc<AgentState>, process: bool) -> Self {
        Self {
            state: Arc::downgrade(state),
            process,
            started: None,
            incidents: OpenIncidents::default(),
        }
    }

    fn collectors(state: &AgentState, row: &mut Row) {
        for stream in state.streams().iter() {
            let report = stream.report();
            let labels = [("collector", stream.name())];
            let success = match report.info.state {
                CollectorState::Ok => 1.0,
                CollectorState::Failed { .. } => 0.0,
                CollectorState::NotPresent { .. } | CollectorState::Pending => continue,
            };
            row.set(&agent::COLLECTOR_SUCCESS, &labels, success);
            row.set(&agent::COLLECTOR_DURATION, &labels, report.duration.as_secs_f64());
            row.set(&agent::COLLECTOR_SERIES, &labels, report.info.series as f64);
            row.set(&agent::COLLECTOR_FAILURES, &labels, report.failures as f64);
            row.set(&agent::COLLECTOR_MISSED_TICKS, &labels, report.missed as f64);
            row.set(
                &agent::COLLECTOR_ROWS_NOT_WRITTEN,
                &labels,
                report.rows_not_written as f64,
            );
        }
    }

    fn history(state: &AgentState, row: &mut Row) {
        let stats = state.history().stats();
        row.set(&agent::HISTORY_BYTES, &[], stats.bytes_on_disk as f64);
        row.set(&agent::HISTORY_WAL_BYTES, &[], stats.wal_bytes as f64);
        row.set(&agent::HISTORY_HEAD_BYTES, &[], stats.head_bytes as f64);
        row.set(&agent::HISTORY_SEGMENTS, &[], stats.segments as f64);
        row.set(&agent::HISTORY_SERIES, &[], stats.series as f64);
        row.set(&agent::HISTORY_ROWS, &[], stats.rows as f64);
        row.set(&agent::HISTORY_SAMPLES, &[], stats.samples as f64);
        row.set(&agent::HISTORY_LOST_ROWS, &[], stats.lost.rows as f64);
        row.set(&agent::HISTORY_LOST_PIECES, &[], stats.lost.pieces as f64);
        row.set(&agent::HISTORY_LOST_BYTES, &[], stats.lost.bytes as f64);
        row.set(
            &agent::HISTORY_WRITABLE,
            &[],
            f64::from(u8::from(stats.not_writing.is_none())),
        );
        if let Some(oldest) = stats.oldest_ms {
            row.set(&agent::HISTORY_OLDEST, &[], oldest as f64 / 1000.0);
        }
    }

    fn events(state: &AgentState, row: &mut Row) {
        let Some(store) = state.event_store() else { return };
        let stats = store.stats();
        row.set(&agent::EVENTS, &[], stats.events as f64);
        row.set(&agent::EVENTS_BYTES, &[], stats.bytes_on_disk as f64);
        let results = [
            ("stored", stats.stored),
            ("updated", stats.updated),
            ("duplicate", stats.duplicates),
        ];
        for (result, total) in results {
            row.set(&agent::EVENTS_TAKEN, &[("result", result)], total as f64);
        }
        for (source, dropped) in &stats.dropped {
            row.set(&agent::EVENTS_DROPPED, &[("source", source)], *dropped as f64);
        }
        row.set(&agent::EVENTS_LOST_BYTES, &[], stats.unreadable_bytes as f64);
        row.set(
            &agent::EVENTS_WRITABLE,
            &[],
            f64::from(u8::from(stats.not_writing.is_none())),
        );
    }

    fn remote_write(state: &AgentState, row: &mut Row) {
        let stats = state.remote_write();
        let cursor = stats.cursor_ms.load(Ordering::Relaxed);
        if cursor > 0 {
            let load = |total: &std::sync::atomic::AtomicU64| total.load(Ordering::Relaxed) as f64;
            row.set(
                &agent::REMOTE_WRITE_SAMPLES,
                &[("result", "sent")],
                load(&stats.sent),
            );
            row.set(
                &agent::REMOTE_WRITE_SAMPLES,
                &[("result", "dropped")],
                load(&stats.dropped),
            );
            row.set(&agent::REMOTE_WRITE_RETRIES, &[], load(&stats.retries));
            row.set(&agent::REMOTE_WRITE_CURSOR, &[], cursor as f64 / 1000.0);
        }
        let received = &state.receiver().stats;
        let (taken, dropped) = (
            received.taken.load(Ordering::Relaxed),
            received.dropped.load(Ordering::Relaxed),
        );
        if taken + dropped > 0 {
            row.set(&agent::RECEIVED_SAMPLES, &[("result", "taken")], taken as f64);
            row.set(&agent::RECEIVED_SAMPLES, &[("result", "dropped")], dropped as f64);
        }
    }

    fn incidents(&mut self, state: &AgentState, row: &mut Row) {
        let Some(store) = state.event_store() else { return };
        let now = now_ms();
        let found = &mut self.incidents;
        if !(0..INCIDENTS_EVERY_MS).contains(&(now - found.looked_ms)) {
            found.looked_ms = now;
            found.list = open_incidents(&store, now);
        }
        if found.list.is_empty() {
            return;
        }
        row.set(&changes::INCIDENTS_OPEN, &[], found.list.len() as f64);
        for stored in &found.list {
            let Some(incident) = stored.event.incident() else {
                continue;
            };
            let id = stored.id.to_string();
            let labels = [("id", id.as_str()), ("scope", incident.scope)];
            let active = [
                labels[0],
                labels[1],
                ("commander", incident.commander),
                ("status", incident.status),
            ];
            row.set(&changes::INCIDENT_ACTIVE, &active, 1.0);
            let severity = Severity::ALL.iter().position(|known| *known == incident.severity);
            row.set(&changes::INCIDENT_SEVERITY, &labels, severity.unwrap_or(0) as f64);
            row.set(
                &changes::INCIDENT_OPENED,
                &labels,
                incident.opened_ms as f64 / 1000.0,
            );
        }
    }

    /// What came in from others beside samples of remote write.
    fn intake(state: &AgentState, row: &mut Row) {
        let (taken, dropped) = state.otlp().totals();
        if taken > 0 || !dropped.is_empty() {
            row.set(&changes::OTLP_POINTS, &[("result", "taken")], taken as f64);
            for (reason, points) in dropped {
                row.set(&changes::OTLP_POINTS, &[("result", reason)], points as f64);
            }
        }
        for ((kind, result), count) in state.intake().counts() {
            let def = match kind {
                "snmp" => &changes::SNMP_TRAPS,
                _ => &changes::SYSLOG_LINES,
            };
            row.set(def, &[("result", result)], count as f64);
        }
        let mut senders = 0_u32;
        for (source, host, seconds) in state.intake().clocks(now_ms()) {
            senders += u32::from(source == "syslog");
            row.set(
                &changes::CLOCK_SKEW,
                &[("source", source), ("host", &host)],
                seconds,
            );
        }
        if senders > 0 {
            row.set(&changes::SYSLOG_SENDERS, &[], f64::from(senders));
        }
    }

    fn queries(state: &AgentState, row: &mut Row) {
        let totals = &state.queries().totals;
        let results = [
            ("answered", &totals.answered),
            ("failed", &totals.failed),
            ("cancelled", &totals.cancelled),
        ];
        for (result, total) in results {
            row.set(
                &agent::QUERIES,
                &[("result", result)],
                total.load(Ordering::Relaxed) as f64,
            );
        }
        row.set(
            &agent::QUERY_SECONDS,
            &[],
            totals.micros.load(Ordering::Relaxed) as f64 / 1e6,
        );
        row.set(
            &agent::QUERY_SAMPLES,
            &[],
            totals.samples.load(Ordering::Relaxed) as f64,
        );
    }

    fn process(&mut self, row: &mut Row) -> Result<(), CollectError> {
        let stat = Stat::read()?;
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        row.set(&agent::PROCESS_CPU, &[], stat.cpu_ticks as f64 / ticks);
        row.set(
            &agent::PROCESS_RESIDENT,
            &[],
            stat.resident_pages as f64 * rustix::param::page_size() as f64,
        );
        row.set(&agent::PROCESS_VIRTUAL, &[], stat.virtual_bytes as f64);
        row.set(&agent::PROCESS_THREADS, &[], stat.threads as f64);
        let fds = "/proc/self/fd";
        let open = std::fs::read_dir(fds).map_err(|source| CollectError::Read {
            path: fds.to_owned(),
            source,
        })?;
        // The folder itself is open while it is read.
        row.set(
            &agent::PROCESS_OPEN_FDS,
            &[],
            open.count().saturating_sub(1) as f64,
        );
        if self.started.is_none() {
            self.started = boot_time()?.map(|boot| boot + stat.start_ticks as f64 / ticks);
        }
        if let Some(started) = self.started {
            row.set(&agent::PROCESS_START, &[], started);
        }
        Ok(())
    }
}

impl Collector for SelfCollector {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        Support::Present
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        let Some(state) = self.state.upgrade() else {
            return Ok(());
        };
        row.set(&agent::BUILD_INFO, &[("version", crate::VERSION)], 1.0);
        Self::collectors(&state, row);
        Self::history(&state, row);
        Self::events(&state, row);
        Self::remote_write(&state, row);
        Self::intake(&state, row);
        self.incidents(&state, row);
        Self::queries(&state, row);
        if self.process { self.process(row) } else { Ok(()) }
    }
}

fn open_incidents(store: &EventStore, now_ms: i64) -> Vec<StoredEvent> {
    let Ok(filter) = EventFilter::parse("{kind=\"incident\"}") else {
        return Vec::new();
    };
    let search = EventSearch {
        filter: &filter,
        node: &Labels::empty(),
        start_ms: now_ms,
        end_ms: now_ms,
        limit: MOST_INCIDENTS,
        stored_after_ms: None,
        user: None,
    };
    let budget = Budget::new(u64::MAX, u64::MAX, Some(2_000), Cancel::default());
    match store.search(&search, &budget) {
        Ok(found) => {
            let open = found.events.into_iter().filter(|stored| stored.event.open);
            open.collect()
        }
        Err(error) => {
            tracing::debug!(%error, "open incidents cannot be read");
            Vec::new()
        }
    }
}

/// What is wanted of `/proc/self/stat` (proc_pid_stat(5)).
struct Stat {
    cpu_ticks: u64,
    threads: u64,
    start_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

impl Stat {
    fn read() -> Result<Self, CollectError> {
        let path = "/proc/self/stat";
        let text = read(path)?;
        // The name in parentheses may hold anything; field 3 follows the last closing one.
        let (_, rest) = text.rsplit_once(") ").unwrap_or_default();
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        let field = |number: usize, what: &'static str| {
            let found = fields.get(number - 3).copied().unwrap_or_default();
            found.parse::<u64>().map_err(|_| CollectError::Parse {
                path: path.to_owned(),
                line: 1,
                what,
                found: found.to_owned(),
            })
        };
        Ok(Self {
            cpu_ticks: field(14, "utime")? + field(15, "stime")?,
            threads: field(20, "num_threads")?,
            start_ticks: field(22, "starttime")?,
            virtual_bytes: field(23, "vsize")?,
            resident_pages: field(24, "rss")?,
        })
    }
}

fn boot_time() -> Result<Option<f64>, CollectError> {
    let text = read("/proc/stat")?;
    Ok(text
        .lines()
        .find_map(|line| line.strip_prefix("btime ")?.trim().parse().ok()))
}

fn read(path: &str) -> Result<String, CollectError> {
    std::fs::read_to_string(path).map_err(|source| CollectError::Read {
        path: path.to_owned(),
        source,
    })
}
