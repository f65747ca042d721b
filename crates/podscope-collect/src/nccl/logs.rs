//! NCCL's warnings and errors, from log files into events (`kind="log"`, `source="nccl"`) and counters by class.
//!
//! What is read: the files of `nccl.log_files`, from where they were left, through rotation and truncation; a simulated machine
//! appends to such files. Lines of Docker's `*-json.log` are unwrapped. An event has the labels `class`, `host`, `rank`, `job` and
//! `job_id` (the same), `peer`, `gpu`, `pid` and `file`, as far as the line, or the path, has them; a rank is known when the line names it, or when the process
//! told it when it made its communicator (`NCCL_DEBUG=INFO`).
//!
//! The counters count every message. Events are limited; what came beyond the limit is told once a minute, with its number.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use podscope_model::batch::Row;
use podscope_model::catalog::Job;
use podscope_model::catalog::nccl::logs as catalog;
use podscope_model::event::{Event, EventKind, EventSink, MAX_TEXT, Severity};
use serde::Deserialize;

use super::NcclConfig;
use super::line::{LineTime, Message, Said, classes, parse};
use super::tail::{Piece, Tail};
use crate::collector::{Collector, Descriptor, Support};
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;

/// The collector's name.
pub const NAME: &str = "nccl_logs";

pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: NAME,
    job: Job::Nccl,
    interval_ms: 1000,
    metrics: catalog::ALL,
    touches: &["files of nccl.log_files"],
};

/// Bytes of a line that are looked at.
const LONGEST_LINE: usize = 16 << 10;
/// Bytes of a title.
const LONGEST_TITLE: usize = 240;
/// Ranks of processes remembered.
const MOST_RANKS: usize = 4096;
/// Events that may come at once, in seconds of the limit.
const BURST_SECONDS: f64 = 10.0;
/// How often is told what was dropped.
const TOLD_EVERY_MS: i64 = 60_000;

/// Follows NCCL's logs.
#[derive(Debug)]
pub struct NcclLogs {
    fs: Arc<dyn HostFs>,
    tail: Tail,
    told: Told,
    problems: Problems,
}

/// What is known of the lines so far.
#[derive(Debug)]
struct Told {
    config: NcclConfig,
    events: Arc<dyn EventSink>,
    counts: BTreeMap<(&'static str, Severity), u64>,
    /// Rank by file, process and device.
    ranks: BTreeMap<(u64, u32, u32), u32>,
    /// Events that may be made now, and when that was.
    allowance: f64,
    allowed_ms: i64,
    dropped: u64,
    dropped_told: u64,
    dropped_told_ms: i64,
}

/// A line of Docker's log driver `json-file`.
#[derive(Deserialize)]
struct DockerLine {
    log: String,
    #[serde(default)]
    time: String,
}

impl NcclLogs {
    pub fn new(fs: Arc<dyn HostFs>, config: &NcclConfig, events: Arc<dyn EventSink>) -> Self {
        let severities = [Severity::Warning, Severity::Error];
        let all = classes().flat_map(|class| severities.map(|severity| ((class, severity), 0)));
        Self {
            tail: Tail::new(Arc::clone(&fs), &config.log_files, config.positions_file.clone()),
            fs,
            told: Told {
                config: config.clone(),
                events,
                counts: all.collect(),
                ranks: BTreeMap::new(),
                allowance: config.events_per_second as f64 * BURST_SECONDS,
                allowed_ms: 0,
                dropped: 0,
                dropped_told: 0,
                dropped_told_ms: 0,
            },
            problems: Problems::default(),
        }
    }
}

/// The beginning of a text that is no longer than so many bytes.
fn beginning(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or("")
}

impl Told {
    fn piece(&mut self, piece: &Piece<'_>, now_ms: i64, zone_seconds: i32) {
        let job = self.config.job_pattern.group(piece.path, "job").unwrap_or("");
        let job = job.to_owned();
        let mut offset = piece.offset;
        for line in piece.bytes.split_inclusive(|byte| *byte == b'\n') {
            let at = offset;
            offset += line.len() as u64;
            let line = line.get(..line.len().min(LONGEST_LINE)).unwrap_or(line);
            // The words that are looked for are rare: most lines are told apart before anything is copied.
            if !holds(line, b"NCCL") && !holds(line, b"Watchdog caught") {
                continue;
            }
            let text = String::from_utf8_lossy(line);
            let text = text.trim_end();
            if text.starts_with('{')
                && let Ok(docker) = serde_json::from_str::<DockerLine>(text)
            {
                self.line(
                    docker.log.trim_end(),
                    &docker.time,
                    (piece, at),
                    &job,
                    (now_ms, zone_seconds),
                );
            } else {
                self.line(text, "", (piece, at), &job, (now_ms, zone_seconds));
            }
        }
    }

    fn line(
        &mut self,
        line: &str,
        docker_time: &str,
        (piece, at): (&Piece<'_>, u64),
        job: &str,
        (now_ms, zone_seconds): (i64, i32),
    ) {
        let mut message = match parse(line) {
            None => return,
            Some(Said::Rank { pid, gpu, rank }) => {
                if self.ranks.len() < MOST_RANKS {
                    self.ranks.insert((piece.file, pid, gpu), rank);
                }
                return;
            }
            Some(Said::Message(message)) => message,
        };
        let severity = message.severity.unwrap_or(Severity::Warning);
        *self.counts.entry((message.class, severity)).or_default() += 1;
        if let (None, Some(pid), Some(gpu)) = (message.rank, message.pid, message.gpu) {
            message.rank = self.ranks.get(&(piece.file, pid, gpu)).copied();
        }
        if self.allowance < 1.0 {
            self.dropped += 1;
            return;
        }
        self.allowance -= 1.0;
        let time_ms = match (message.time, docker_time.parse::<jiff::Timestamp>()) {
            (_, Ok(stamp)) => stamp.as_millisecond(),
            (Some(LineTime::Ms(ms)), _) => ms,
            (Some(LineTime::Local(time)), _) => local_ms(time, zone_seconds).unwrap_or(now_ms),
            (None, _) => now_ms,
        };
        let event = event(&message, severity, line, job, piece.path, time_ms);
        self.events.emit(event.key(format!("{:016x}:{at}", piece.file)));
    }

    /// Lets as many events pass as the time since the last look allows.
    fn allow(&mut self, now_ms: i64) {
        let rate = self.config.events_per_second as f64;
        let elapsed = (now_ms - self.allowed_ms).clamp(0, 60_000) as f64 / 1000.0;
        self.allowance = (self.allowance + elapsed * rate).min(rate * BURST_SECONDS);
        self.allowed_ms = now_ms;
        let dropped = self.dropped - self.dropped_told;
        if dropped > 0 && now_ms - self.dropped_told_ms >= TOLD_EVERY_MS {
            self.dropped_told = self.dropped;
            self.dropped_told_ms = now_ms;
            let title = format!(
                "{dropped} more NCCL messages, beyond {rate} a second; the counters have all of them"
            );
            let event = Event::new(EventKind::Log, "nccl", title, now_ms).severity(Severity::Warning);
            self.events.emit(event.label("repeated", &dropped.to_string()));
        }
    }
}

/// Whether the bytes hold a word.
fn holds(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

fn local_ms(time: jiff::civil::DateTime, zone_seconds: i32) -> Option<i64> {
    let offset = jiff::tz::Offset::from_seconds(zone_seconds).ok()?;
    let stamp = offset.to_timestamp(time).ok()?;
    Some(stamp.as_millisecond())
}

fn event(message: &Message, severity: Severity, line: &str, job: &str, path: &str, time_ms: i64) -> Event {
    let who = match (message.rank, message.host.as_str()) {
        (Some(rank), "") => format!(" rank {rank}"),
        (Some(rank), host) => format!(" rank {rank} ({host})"),
        (None, "") => String::new(),
        (None, host) => format!(" {host}"),
    };
    let text = match message.text.as_str() {
        "" => line,
        text => text,
    };
    let title = format!("NCCL{who}: {}", beginning(text, LONGEST_TITLE));
    let number = |number: Option<u32>| number.map_or(String::new(), |number| number.to_string());
    Event::new(EventKind::Log, "nccl", title, time_ms)
        .severity(severity)
        .text(beginning(line, MAX_TEXT))
        .label("class", message.class)
        .label("host", &message.host)
        .label("rank", &number(message.rank))
        .label("job", job)
        .label("job_id", job)
        .label("peer", &message.peer)
        .label("gpu", &number(message.gpu))
        .label("pid", &number(message.pid))
        .label("file", path)
}

impl Collector for NcclLogs {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        if self.told.config.log_files.is_empty() {
            return Support::NotPresent("no files in nccl.log_files".to_owned());
        }
        Support::Present
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        self.problems.clear();
        if self.told.config.log_files.is_empty() {
            return Ok(());
        }
        let since = self.fs.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        let zone = self.fs.time_zone(&mut String::new());
        let Self {
            tail, told, problems, ..
        } = self;
        told.allow(now_ms);
        for problem in tail.look(|piece| told.piece(&piece, now_ms, zone)) {
            problems.push(problem);
        }
        for ((class, severity), count) in &told.counts {
            let labels = [("class", *class), ("severity", severity.as_str())];
            row.set(&catalog::NCCL_MESSAGES, &labels, *count as f64);
        }
        row.set(&catalog::NCCL_LOG_FILES, &[], tail.files() as f64);
        row.set(&catalog::NCCL_LOG_BYTES, &[], tail.read_bytes as f64);
        row.set(&catalog::NCCL_LOG_SKIPPED_BYTES, &[], tail.skipped_bytes as f64);
        row.set(&catalog::NCCL_LOG_EVENTS_DROPPED, &[], told.dropped as f64);
        Ok(())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}
