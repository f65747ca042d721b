//! Samples that somebody else made: remote write from a Prometheus, and imports.
//!
//! The history keeps rows: samples of one stream with one time. A Prometheus sends each scrape in pieces, so the pieces of
//! a row are put together first: a row is written when a later one has begun and [`GRACE`] has passed. What comes after its
//! row was written is dropped and counted, as Prometheus itself does with what is out of order. Samples of the last
//! seconds are in memory only; a sender whose receiver is killed does not send them again.
//!
//! An import comes whole: series with the same times become a stream of their own, beside everything else.

use std::collections::BTreeMap;
use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use podscope_history::{History, HistoryError, StreamSpec};
use podscope_model::batch::{ForeignMetric, Row};
use podscope_model::catalog::{self, Kind, Unit};
use podscope_model::labels::NAME;
use podscope_model::sample::is_stale;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};

use crate::remote_write::{Sample, Series};
use crate::stream::lock;

/// How long a row waits for its other pieces.
pub const GRACE: Duration = Duration::from_secs(10);
/// The interval a foreign stream is said to have.
const INTERVAL_MS: u64 = 15_000;
/// Streams (targets of the sender) kept apart.
const MAX_STREAMS: usize = 10_000;

/// Why samples were not taken.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("series {at} has no metric name (`__name__`)")]
    NoName { at: usize },
    #[error("series {at}: label {label:?} appears twice or is empty")]
    Label { at: usize, label: String },
    #[error("series {series}: its samples are not in order of time at {t_ms} ms")]
    Order { series: String, t_ms: i64 },
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// A series of which more is known than remote write says.
#[derive(Clone, Debug)]
pub struct Described {
    pub series: Series,
    pub kind: Kind,
    pub unit: Unit,
    pub help: String,
    /// The stream its samples belong to: series that are always read together.
    pub stream: String,
}

/// One series, taken apart for a row.
#[derive(Clone, Debug)]
struct Named {
    metric: Arc<ForeignMetric>,
    job: String,
    instance: String,
    /// All labels but `__name__` and `job`.
    labels: Vec<(String, String)>,
}

fn named(at: usize, series: &Series) -> Result<Named, IngestError> {
    let mut name = None;
    let mut out = Named {
        metric: Arc::new(ForeignMetric {
            name: String::new(),
            kind: Kind::Unknown,
            unit: Unit::None,
            help: String::new(),
        }),
        job: String::new(),
        instance: String::new(),
        labels: Vec::with_capacity(series.labels.len()),
    };
    for label in &series.labels {
        let twice = out.labels.iter().any(|(known, _)| *known == label.name);
        if label.name.is_empty() || twice {
            return Err(IngestError::Label {
                at,
                label: label.name.clone(),
            });
        }
        match label.name.as_str() {
            NAME => name = Some(label.value.clone()),
            "job" => out.job.clone_from(&label.value),
            _ if label.value.is_empty() => {}
            other => {
                if other == "instance" {
                    out.instance.clone_from(&label.value);
                }
                out.labels.push((label.name.clone(), label.value.clone()));
            }
        }
    }
    let name = name
        .filter(|name| !name.is_empty())
        .ok_or(IngestError::NoName { at })?;
    let known = catalog::find(&name);
    out.metric = Arc::new(ForeignMetric {
        kind: known.map_or_else(|| kind_of(&name), |def| def.kind),
        unit: known.map_or(Unit::None, |def| def.unit),
        help: known.map_or_else(String::new, |def| def.help.to_owned()),
        name,
    });
    Ok(out)
}

/// Remote write 1.0 says nothing of a metric's kind; its name often does.
fn kind_of(name: &str) -> Kind {
    let cumulative = ["_total", "_count", "_sum", "_bucket"];
    match cumulative.iter().any(|suffix| name.ends_with(suffix)) {
        true => Kind::Counter,
        false => Kind::Unknown,
    }
}

fn set(row: &mut Row, series: &Named, value: f64) {
    let labels: Vec<(&str, &str)> = series
        .labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    row.set_foreign(&series.metric, &labels, value);
}

/// Puts the pieces of rows together.
#[derive(Debug)]
pub struct Receiver {
    history: Arc<History>,
    streams: std::sync::Mutex<FxHashMap<(String, String), Stream>>,
    pub stats: ReceiverStats,
}

/// For the agent's own metrics.
#[derive(Debug, Default)]
pub struct ReceiverStats {
    pub taken: AtomicU64,
    /// After their row was written, or of too many streams.
    pub dropped: AtomicU64,
}

#[derive(Debug)]
struct Stream {
    spec: StreamSpec,
    row: Row,
    /// Rows that wait for more, by time.
    waiting: BTreeMap<i64, Waiting>,
    written_ms: i64,
}

/// A row in the making.
#[derive(Debug)]
struct Waiting {
    /// When its first piece came.
    since: Instant,
    samples: Vec<(Named, f64)>,
    /// The series it has, by a hash of their labels.
    series: FxHashSet<u64>,
}

impl Stream {
    fn new(job: &str, name: String) -> Self {
        Self {
            spec: StreamSpec {
                name,
                job: job.to_owned(),
                interval_ms: INTERVAL_MS,
            },
            row: Row::new(),
            waiting: BTreeMap::new(),
            written_ms: i64::MIN,
        }
    }

    /// The row of a time, or one within `merge_ms` of it that does not have the series yet.
    fn row_at(&self, t_ms: i64, series: u64, merge_ms: i64) -> i64 {
        if merge_ms == 0 || self.waiting.contains_key(&t_ms) {
            return t_ms;
        }
        let near = self.waiting.range(t_ms - merge_ms..=t_ms + merge_ms);
        near.filter(|(_, waiting)| !waiting.series.contains(&series))
            .min_by_key(|(at, _)| (**at - t_ms).abs())
            .map_or(t_ms, |(at, _)| *at)
    }

    /// Adds a sample to its row; whether it came in time.
    fn add(
        &mut self,
        part: &Named,
        series: u64,
        (t_ms, value): (i64, f64),
        now: Instant,
        merge_ms: i64,
    ) -> bool {
        let t_ms = self.row_at(t_ms, series, merge_ms);
        if t_ms <= self.written_ms {
            return false;
        }
        let row = self.waiting.entry(t_ms).or_insert_with(|| Waiting {
            since: now,
            samples: Vec::new(),
            series: FxHashSet::default(),
        });
        row.series.insert(series);
        row.samples.push((part.clone(), value));
        true
    }
}

/// Tells series of a stream apart.
fn hash_of(part: &Named) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write(part.metric.name.as_bytes());
    for (name, value) in &part.labels {
        hasher.write(name.as_bytes());
        hasher.write_u8(0);
        hasher.write(value.as_bytes());
        hasher.write_u8(1);
    }
    hasher.finish()
}

impl Receiver {
    pub fn new(history: Arc<History>) -> Self {
        Self {
            history,
            streams: std::sync::Mutex::default(),
            stats: ReceiverStats::default(),
        }
    }

    /// Takes one request's series.
    ///
    /// # Errors
    /// A series that is none; nothing of the request is taken then.
    pub fn take(&self, list: &[Series], now: Instant) -> Result<(), IngestError> {
        let parts: Vec<Named> = list
            .iter()
            .enumerate()
            .map(|(at, series)| named(at, series))
            .collect::<Result<_, _>>()?;
        let mut streams = lock(&self.streams);
        for (part, series) in parts.into_iter().zip(list) {
            let key = (part.job.clone(), part.instance.clone());
            let room = streams.len() < MAX_STREAMS;
            if !room && !streams.contains_key(&key) {
                self.stats
                    .dropped
                    .fetch_add(series.samples.len() as u64, Ordering::Relaxed);
                continue;
            }
            let stream = streams
                .entry(key)
                .or_insert_with_key(|(job, instance)| Stream::new(job, format!("write:{job}:{instance}")));
            self.add(stream, &part, &series.samples, now, 0);
        }
        Ok(())
    }

    /// Takes series that are described. Samples of a stream whose times differ by no more than `merge_ms` are one row, as long as
    /// no series is twice in it. A series that is none is left out and counted.
    pub fn take_described(&self, list: &[Described], now: Instant, merge_ms: i64) {
        let mut streams = lock(&self.streams);
        for (at, described) in list.iter().enumerate() {
            let samples = &described.series.samples;
            let key = (described.stream.clone(), String::new());
            let room = streams.len() < MAX_STREAMS || streams.contains_key(&key);
            let part = named(at, &described.series).ok().filter(|_| room);
            let Some(mut part) = part else {
                self.stats
                    .dropped
                    .fetch_add(samples.len() as u64, Ordering::Relaxed);
                continue;
            };
            part.metric = Arc::new(ForeignMetric {
                name: part.metric.name.clone(),
                kind: described.kind,
                unit: described.unit,
                help: described.help.clone(),
            });
            let stream = streams
                .entry(key)
                .or_insert_with(|| Stream::new(&part.job, described.stream.clone()));
            self.add(stream, &part, samples, now, merge_ms);
        }
    }

    fn add(&self, stream: &mut Stream, part: &Named, samples: &[Sample], now: Instant, merge_ms: i64) {
        let series = hash_of(part);
        for Sample { value, timestamp } in samples {
            let counter = match stream.add(part, series, (*timestamp, *value), now, merge_ms) {
                true => &self.stats.taken,
                false => &self.stats.dropped,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Writes the rows that have waited long enough; all of them at the end. Call it every second or so.
    pub fn flush(&self, now: Instant, all: bool) {
        let mut streams = lock(&self.streams);
        for stream in streams.values_mut() {
            while let Some(first) = stream.waiting.first_entry() {
                if !all && now.saturating_duration_since(first.get().since) < GRACE {
                    break;
                }
                let (t_ms, Waiting { samples, .. }) = first.remove_entry();
                stream.row.begin();
                for (series, value) in &samples {
                    // A stale marker says that the series is absent from here on.
                    if !is_stale(*value) {
                        set(&mut stream.row, series, *value);
                    }
                }
                stream.written_ms = t_ms;
                if let Err(error) = self.history.append(&stream.spec, t_ms, &stream.row) {
                    tracing::debug!(%error, "a row of remote write was not taken");
                    self.stats
                        .dropped
                        .fetch_add(samples.len() as u64, Ordering::Relaxed);
                }
                stream.row.compact();
            }
        }
    }
}

/// Writes whole series of the past into a history, each group with the same times as a stream of its own. Answers how many
/// samples were written.
///
/// # Errors
/// A series that is none or out of order, before anything is written; or a row the history does not take.
pub fn import(history: &History, list: &[Series]) -> Result<u64, IngestError> {
    let mut groups: BTreeMap<(String, Vec<i64>), Vec<(Named, &Series)>> = BTreeMap::new();
    for (at, series) in list.iter().enumerate() {
        let part = named(at, series)?;
        let times: Vec<i64> = series.samples.iter().map(|sample| sample.timestamp).collect();
        if let Some(pair) = times.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(IngestError::Order {
                series: part.metric.name.clone(),
                t_ms: pair[1],
            });
        }
        groups
            .entry((part.job.clone(), times))
            .or_default()
            .push((part, series));
    }
    let mut written = 0;
    for ((job, times), mut group) in groups {
        group.sort_by(|one, other| {
            (&one.0.metric.name, &one.0.labels).cmp(&(&other.0.metric.name, &other.0.labels))
        });
        let mut hasher = FxHasher::default();
        for (part, _) in &group {
            hasher.write(part.metric.name.as_bytes());
            for (name, value) in &part.labels {
                hasher.write(name.as_bytes());
                hasher.write(value.as_bytes());
            }
        }
        let spec = StreamSpec {
            name: format!("import:{:016x}", hasher.finish()),
            job,
            interval_ms: interval_of(&times),
        };
        let mut row = Row::new();
        for (at, t_ms) in times.iter().enumerate() {
            row.begin();
            for (part, series) in &group {
                if let Some(sample) = series.samples.get(at).filter(|sample| !is_stale(sample.value)) {
                    set(&mut row, part, sample.value);
                    written += 1;
                }
            }
            history.append(&spec, *t_ms, &row)?;
        }
    }
    Ok(written)
}

/// The commonest distance of times.
fn interval_of(times: &[i64]) -> u64 {
    let mut distances: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    distances.sort_unstable();
    let middle = distances.get(distances.len() / 2).copied().unwrap_or(0);
    u64::try_from(middle).unwrap_or(0).clamp(1000, 3_600_000)
}
