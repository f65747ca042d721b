//! What NCCL's own watch (RAS, from 2.24 on) says of the jobs that run on this machine: communicators, ranks that are missing or
//! dead, and how far ranks of one communicator are apart.
//!
//! What is read: RAS's client port of this machine, `localhost:28028` where nobody changed `NCCL_RAS_ADDR`. Asked for JSON (from
//! 2.28 on), else for text:
//!
//! ```text
//! > CLIENT PROTOCOL 2        < SERVER PROTOCOL 2
//! > SET FORMAT json          < OK
//! > STATUS                   < {"nccl_version": "2.28.3", "communicators_count": 1, "communicators": [...], "ras": {...}}
//! ```
//!
//! Any process of any job on the machine may answer; RAS spans the whole job. Ranks that are missing or dead raise an alarm event,
//! which is closed when they are back or the job has ended.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use podscope_model::batch::Row;
use podscope_model::catalog::Job;
use podscope_model::catalog::nccl::ras as catalog;
use podscope_model::event::{Event, EventKind, EventSink, Severity};
use serde::Deserialize;

use crate::collector::{Collector, Descriptor, Support};
use crate::error::CollectError;
use crate::fs::HostFs;

/// The collector's name.
pub const NAME: &str = "nccl_ras";

pub(crate) static DESCRIPTOR: Descriptor = Descriptor {
    name: NAME,
    job: Job::Nccl,
    interval_ms: 30_000,
    metrics: catalog::ALL,
    touches: &["127.0.0.1:28028"],
};

/// Time for an answer. RAS itself is told to wait less for its peers.
const PATIENCE: Duration = Duration::from_secs(4);
const CONNECT: Duration = Duration::from_millis(500);
const PEER_SECONDS: u32 = 2;
/// Some 20,000 ranks.
const LONGEST: usize = 16 << 20;

/// Answers what RAS knows.
pub trait RasSource: Send + Debug {
    /// The answer to `STATUS`, JSON or text.
    ///
    /// # Errors
    ///
    /// When nobody listens, or nobody answers in time.
    fn status(&mut self) -> io::Result<Vec<u8>>;
}

/// RAS's client port.
#[derive(Clone, Copy, Debug)]
pub struct RasPort(pub SocketAddr);

impl RasSource for RasPort {
    fn status(&mut self) -> io::Result<Vec<u8>> {
        let until = Instant::now() + PATIENCE;
        let mut stream = TcpStream::connect_timeout(&self.0, CONNECT)?;
        stream.set_write_timeout(Some(CONNECT))?;
        let line = |stream: &mut TcpStream, command: &str| -> io::Result<String> {
            stream.write_all(command.as_bytes())?;
            read_line(stream, until)
        };
        let hello = line(&mut stream, "CLIENT PROTOCOL 2\n")?;
        if !hello.to_ascii_uppercase().starts_with("SERVER PROTOCOL") {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "whoever listens there is not NCCL's RAS",
            ));
        }
        line(&mut stream, &format!("TIMEOUT {PEER_SECONDS}\n"))?;
        // Older ones answer an error and go on in text.
        line(&mut stream, "SET FORMAT json\n")?;
        stream.write_all(b"STATUS\n")?;
        read_all(&mut stream, until)
    }
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    match left.is_zero() {
        true => Err(io::Error::from(io::ErrorKind::TimedOut)),
        false => Ok(left),
    }
}

fn read_line(stream: &mut TcpStream, until: Instant) -> io::Result<String> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < 4096 {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut byte) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) => line.push(byte[0]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn read_all(stream: &mut TcpStream, until: Instant) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    let mut buffer = [0; 16 << 10];
    loop {
        stream.set_read_timeout(Some(left(until)?))?;
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(all),
            Ok(length) => all.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if all.len() > LONGEST {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "RAS's answer does not end",
            ));
        }
    }
}

/// A simulated RAS: clone it, the answer is shared. Nobody listens until there is one.
#[derive(Clone, Debug, Default)]
pub struct SimRas(Arc<Mutex<Option<Vec<u8>>>>);

impl SimRas {
    pub fn answer(&self, answer: Option<&[u8]>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = answer.map(<[u8]>::to_vec);
    }
}

impl RasSource for SimRas {
    fn status(&mut self) -> io::Result<Vec<u8>> {
        let answer = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        answer.ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionRefused))
    }
}

/// What RAS said, added up.
#[derive(Clone, Debug, Default, PartialEq)]
struct Status {
    communicators: u64,
    ranks: BTreeMap<&'static str, u64>,
    spread: Option<u64>,
    timeouts: Option<u64>,
    seconds: Option<f64>,
    /// The first ranks that are gone, by their host and number.
    gone: Vec<String>,
}

/// The states a rank may be in.
const STATES: [&str; 6] = ["ok", "error", "aborted", "missing", "unresponsive", "dead"];
/// Ranks named in an event.
const NAMED: usize = 8;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    communicators: Vec<Communicator>,
    #[serde(default)]
    ras: Ras,
}

#[derive(Default, Deserialize)]
struct Ras {
    collection_time_sec: Option<f64>,
    timeouts_count: Option<u64>,
}

#[derive(Deserialize)]
struct Communicator {
    #[serde(default)]
    ranks: Vec<Rank>,
    #[serde(default)]
    missing_ranks: Vec<MissingRank>,
}

#[derive(Deserialize)]
struct Rank {
    #[serde(default)]
    status: RankStatus,
    #[serde(default)]
    collective_counts: BTreeMap<String, u64>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RankStatus {
    async_error: i64,
    abort_flag: bool,
}

#[derive(Deserialize)]
struct MissingRank {
    rank: i64,
    #[serde(default)]
    host: String,
    #[serde(default)]
    status: MissingStatus,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MissingStatus {
    unresponsive: bool,
    considered_dead: bool,
}

impl Status {
    fn parse(bytes: &[u8]) -> Result<Self, CollectError> {
        match bytes.trim_ascii_start().first() {
            Some(b'{') => {
                let answer: Answer = serde_json::from_slice(bytes).map_err(|error| CollectError::Vendor {
                    what: "NCCL RAS".to_owned(),
                    reason: error.to_string(),
                })?;
                Ok(Self::of(&answer))
            }
            _ => Self::of_text(&String::from_utf8_lossy(bytes)).ok_or_else(|| CollectError::Vendor {
                what: "NCCL RAS".to_owned(),
                reason: "the answer is neither JSON nor a table of communicators".to_owned(),
            }),
        }
    }

    fn of(answer: &Answer) -> Self {
        let mut status = Self {
            communicators: answer.communicators.len() as u64,
            ranks: STATES.iter().map(|state| (*state, 0)).collect(),
            timeouts: answer.ras.timeouts_count,
            seconds: answer.ras.collection_time_sec,
            ..Self::default()
        };
        for communicator in &answer.communicators {
            let (mut least, mut most) = (u64::MAX, 0);
            for rank in &communicator.ranks {
                // ncclSuccess is 0, ncclInProgress 7.
                let state = match (rank.status.abort_flag, rank.status.async_error) {
                    (true, _) => "aborted",
                    (false, 0 | 7) => "ok",
                    (false, _) => "error",
                };
                status.count(state, 1);
                let begun: u64 = rank.collective_counts.values().sum();
                least = least.min(begun);
                most = most.max(begun);
            }
            if !communicator.ranks.is_empty() {
                status.spread = status.spread.max(Some(most - least));
            }
            for missing in &communicator.missing_ranks {
                let state = match (missing.status.considered_dead, missing.status.unresponsive) {
                    (true, _) => "dead",
                    (false, true) => "unresponsive",
                    (false, false) => "missing",
                };
                status.count(state, 1);
                if status.gone.len() < NAMED {
                    status
                        .gone
                        .push(format!("rank {} on {} {state}", missing.rank, missing.host));
                }
            }
        }
        status
    }

    /// The table of groups: number, communicators in the group, nodes and ranks per communicator, ranks in the group, status, errors.
    fn of_text(text: &str) -> Option<Self> {
        let mut status = Self {
            ranks: STATES.iter().map(|state| (*state, 0)).collect(),
            ..Self::default()
        };
        let mut lines = text
            .lines()
            .skip_while(|line| !line.trim_start().starts_with("Communicators"));
        lines.next()?;
        for line in lines {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            let numbers: Vec<u64> = words.iter().map_while(|word| word.parse().ok()).collect();
            if let ([_, communicators, .., ranks], Some(errors)) = (numbers.as_slice(), words.last())
                && numbers.len() >= 4
                && words.len() > numbers.len()
            {
                status.communicators += communicators;
                status.count(if *errors == "OK" { "ok" } else { "error" }, *ranks);
            }
            if line.trim() == "Errors" {
                break;
            }
        }
        Some(status)
    }

    fn count(&mut self, state: &'static str, ranks: u64) {
        *self.ranks.entry(state).or_default() += ranks;
    }
}

/// Asks NCCL's RAS.
#[derive(Debug)]
pub struct NcclRas {
    source: Box<dyn RasSource>,
    fs: Arc<dyn HostFs>,
    events: Arc<dyn EventSink>,
    /// Since when ranks are gone.
    alarm_ms: Option<i64>,
}

impl NcclRas {
    pub fn new(source: Box<dyn RasSource>, fs: Arc<dyn HostFs>, events: Arc<dyn EventSink>) -> Self {
        Self {
            source,
            fs,
            events,
            alarm_ms: None,
        }
    }

    fn tell(&mut self, gone: &[String]) {
        let since = self.fs.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        let alarm = |at_ms: i64, title: String| {
            Event::new(EventKind::Alarm, "nccl", title, at_ms)
                .severity(Severity::Error)
                .label("what", "nccl_ras")
                .key("ras".to_owned())
        };
        match (self.alarm_ms, gone.is_empty()) {
            (None, false) => {
                self.alarm_ms = Some(now_ms);
                let title = format!("NCCL RAS: {}", gone.join(", "));
                self.events.emit(alarm(now_ms, title).still_open());
            }
            (Some(since), true) => {
                self.alarm_ms = None;
                let title = "NCCL RAS: all ranks answer again, or their job has ended".to_owned();
                self.events.emit(alarm(since, title).until(now_ms));
            }
            _ => {}
        }
    }
}

impl Collector for NcclRas {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        match self.source.status() {
            Ok(_) => Support::Present,
            Err(error) => Support::NotPresent(format!("no job's RAS answers: {error}")),
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        let answer = match self.source.status() {
            Ok(answer) => answer,
            // The job has ended.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                self.tell(&[]);
                return Ok(());
            }
            Err(source) => return Err(CollectError::read("NCCL RAS", source)),
        };
        let status = Status::parse(&answer)?;
        self.tell(&status.gone);
        row.set(&catalog::NCCL_RAS_COMMUNICATORS, &[], status.communicators as f64);
        for (state, ranks) in &status.ranks {
            row.set(&catalog::NCCL_RAS_RANKS, &[("state", state)], *ranks as f64);
        }
        if let Some(spread) = status.spread {
            row.set(&catalog::NCCL_RAS_COUNT_SPREAD, &[], spread as f64);
        }
        if let Some(timeouts) = status.timeouts {
            row.set(&catalog::NCCL_RAS_TIMEOUTS, &[], timeouts as f64);
        }
        if let Some(seconds) = status.seconds.filter(|seconds| seconds.is_finite()) {
            row.set(&catalog::NCCL_RAS_SECONDS, &[], seconds);
        }
        Ok(())
    }
}
