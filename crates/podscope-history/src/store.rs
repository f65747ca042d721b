//! [`History`]: appending, syncing, sealing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use podscope_model::batch::Row;
use podscope_model::leaf::MetricInfo;
use podscope_model::source::SourceError;

use crate::catalog::Catalog;
use crate::column::Codec;
use crate::head::{Head, hour_of};
use crate::io::{DiskIo, Io, IoFile};
use crate::retention::Clock;
use crate::segment::{Index, Segment};
use crate::writer::{View, Writer};
use crate::{Appended, HistoryError, HistoryStats, Lost, Options, Recovery, StreamSpec};

/// Memory that rows waiting to be written may take before the oldest of them are dropped.
const MEMORY_CAP: u64 = 24 << 20;
/// How long to leave a disk alone that refused a write.
const RETRY: Duration = Duration::from_secs(10);

/// What maintenance remembers; held locked while it works, so that it works once.
#[derive(Debug, Default)]
pub(crate) struct Maintenance {
    codec: Codec,
    synced: Option<Instant>,
    pub(crate) retained: Option<Instant>,
    retry_at: Option<Instant>,
    pub(crate) clock: Clock,
}

/// The history of one node. All methods take `&self`; share it in an [`Arc`].
#[derive(Debug)]
pub struct History {
    pub(crate) options: Options,
    pub(crate) io: Arc<dyn Io>,
    leaf_id: String,
    /// Held for as long as the history is open: a second process is refused.
    _lock: Option<Arc<dyn IoFile>>,
    catalog: RwLock<Catalog>,
    pub(crate) writer: Mutex<Writer>,
    view: RwLock<Arc<View>>,
    maintenance: Mutex<Maintenance>,
    lost: Mutex<Lost>,
    trouble: Mutex<Option<String>>,
}

/// What [`crate::recover`] hands over.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) leaf_id: String,
    pub(crate) lock: Option<Arc<dyn IoFile>>,
    pub(crate) catalog: RwLock<Catalog>,
    pub(crate) writer: Writer,
    pub(crate) lost: Lost,
    pub(crate) trouble: Option<String>,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking thread leaves behind here is never half a row: see Writer::append.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl History {
    /// Opens the history in a directory, made when missing, and takes up the rows that were not sealed.
    ///
    /// # Errors
    /// When another process has it open, or the directory cannot be made. Damaged files and a directory that cannot be
    /// written are no errors: see [`Recovery`].
    pub fn open(options: Options) -> Result<(Self, Recovery), HistoryError> {
        Self::open_with(options, Arc::new(DiskIo))
    }

    /// [`History::open`] over another file layer.
    ///
    /// # Errors
    /// As [`History::open`].
    pub fn open_with(options: Options, io: Arc<dyn Io>) -> Result<(Self, Recovery), HistoryError> {
        let (parts, recovery) = crate::recover::recover(&options, io.as_ref())?;
        let view = RwLock::new(parts.writer.view());
        let history = Self {
            options,
            io,
            leaf_id: parts.leaf_id,
            _lock: parts.lock,
            catalog: parts.catalog,
            writer: Mutex::new(parts.writer),
            view,
            maintenance: Mutex::default(),
            lost: Mutex::new(parts.lost),
            trouble: Mutex::new(parts.trouble),
        };
        Ok((history, recovery))
    }

    pub(crate) fn io(&self) -> &dyn Io {
        self.io.as_ref()
    }

    pub(crate) fn catalog(&self) -> &RwLock<Catalog> {
        &self.catalog
    }

    pub(crate) fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn publish(&self, writer: &Writer) {
        *self.view.write().unwrap_or_else(PoisonError::into_inner) = writer.view();
    }

    /// The index of a segment; `None` when retention has just removed it.
    pub(crate) fn index(&self, segment: &Segment) -> Result<Option<Arc<Index>>, SourceError> {
        let known = segment.loaded();
        if known.is_some() {
            return Ok(known);
        }
        match segment.index(self.io(), &self.catalog) {
            Ok(index) => {
                for place in &index.bad {
                    held(&self.lost).note(0, place.clone());
                }
                Ok(Some(index))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SourceError::Read {
                place: segment.path.display().to_string(),
                reason: error.to_string(),
            }),
        }
    }

    pub(crate) fn note_damage(&self, place: String, bytes: u64) {
        let mut lost = held(&self.lost);
        if !lost.places.contains(&place) {
            tracing::warn!(place, "skipping an unreadable part of the history");
            lost.note(bytes, place);
        }
    }

    /// Takes the row that a collector wrote. An empty row makes all series of the stream stale.
    ///
    /// The row is written to the log before this returns, and durable after the next [`History::sync`]. A disk that
    /// cannot be written is no error: the row is kept in memory, and [`HistoryStats::not_writing`] tells why.
    ///
    /// # Errors
    /// [`HistoryError::OutOfOrder`] when the row repeats the time of the one before it.
    pub fn append(&self, stream: &StreamSpec, t_ms: i64, row: &Row) -> Result<Appended, HistoryError> {
        let mut writer = held(&self.writer);
        let (appended, publish, failed) = writer.append(stream, t_ms, row, &self.catalog)?;
        if publish {
            self.publish(&writer);
        }
        let backlog = writer.frozen.len() > 2 * writer.streams.len() + 2;
        drop(writer);
        if let Some(error) = failed {
            self.begin_trouble("write the log", &error);
        }
        if backlog {
            // Nobody has called `maintain` for long: rows come faster than time passes.
            let mut maintenance = held(&self.maintenance);
            self.seal_frozen(&mut maintenance, None, false);
        }
        Ok(appended)
    }

    /// Makes every row taken so far durable.
    ///
    /// # Errors
    /// When the log cannot be written or synced; the rows stay in memory.
    pub fn sync(&self) -> Result<(), HistoryError> {
        let mut maintenance = held(&self.maintenance);
        self.sync_locked(&mut maintenance)
    }

    fn sync_locked(&self, maintenance: &mut Maintenance) -> Result<(), HistoryError> {
        let log = held(&self.writer)
            .wal
            .as_ref()
            .map(|wal| (Arc::clone(&wal.file), wal.path.clone(), wal.id));
        let Some((file, path, id)) = log else {
            return self.begin_log(maintenance);
        };
        // Outside the lock: a slow disk delays no collector.
        if let Err(source) = file.sync() {
            // What of it is on disk is unknown from now on: a new log is needed.
            let mut writer = held(&self.writer);
            if writer.wal.as_ref().is_some_and(|wal| wal.id == id) {
                writer.give_up_wal();
            }
            drop(writer);
            self.begin_trouble("sync the log", &source);
            return Err(HistoryError::Io {
                step: "sync",
                path,
                source,
            });
        }
        maintenance.synced = Some(Instant::now());
        Ok(())
    }

    /// Begins a new log with every row not sealed, makes it durable, and removes the logs before it.
    fn begin_log(&self, maintenance: &mut Maintenance) -> Result<(), HistoryError> {
        let dir = &self.options.dir;
        let failed = |step: &'static str, source: std::io::Error| {
            self.begin_trouble(step, &source);
            Err(HistoryError::Io {
                step,
                path: dir.clone(),
                source,
            })
        };
        let mut writer = held(&self.writer);
        if let Err(source) = writer.rotate(self.io(), dir, &self.catalog) {
            maintenance.retry_at = Some(Instant::now() + RETRY);
            return failed("begin a log in", source);
        }
        let Some(file) = writer.wal.as_ref().map(|wal| Arc::clone(&wal.file)) else {
            return Ok(());
        };
        let old = std::mem::take(&mut writer.old_wals);
        drop(writer);
        if let Err(source) = file.sync().and_then(|()| self.io.sync_dir(dir)) {
            let mut writer = held(&self.writer);
            writer.give_up_wal();
            writer.old_wals.extend(old);
            maintenance.retry_at = Some(Instant::now() + RETRY);
            return failed("sync a log in", source);
        }
        for (path, len) in old {
            if let Err(error) = self.io.remove(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(path = %path.display(), %error, "cannot remove a finished log");
                held(&self.writer).old_wals.push((path, len));
            }
        }
        maintenance.synced = Some(Instant::now());
        self.end_trouble();
        Ok(())
    }

    /// Seals every row taken so far into segments.
    ///
    /// # Errors
    /// When a segment or the new log cannot be written; the rows stay in memory and in the log.
    pub fn seal(&self) -> Result<(), HistoryError> {
        let mut maintenance = held(&self.maintenance);
        maintenance.retry_at = None;
        let mut writer = held(&self.writer);
        writer.freeze_from(1);
        self.publish(&writer);
        drop(writer);
        match self.write_frozen(&mut maintenance, None) {
            Ok(()) => self.begin_log(&mut maintenance),
            Err((path, source)) => Err(HistoryError::Io {
                step: "write",
                path,
                source,
            }),
        }
    }

    /// Makes every row durable and lets go of the directory.
    ///
    /// # Errors
    /// As [`History::sync`].
    pub fn close(self) -> Result<(), HistoryError> {
        self.sync()
    }

    /// The regular work: group sync, sealing, retention, trying a failed disk again. Call it about once a second.
    ///
    /// Failures are logged once, shown in [`History::stats`], and tried again.
    pub fn maintain(&self, now_ms: i64) {
        let mut maintenance = held(&self.maintenance);
        let due = |last: Option<Instant>, every: Duration| last.is_none_or(|last| last.elapsed() >= every);
        maintenance.clock.observe(now_ms, held(&self.writer).newest_ms);
        let resting = maintenance.retry_at.is_some_and(|at| Instant::now() < at);
        if due(maintenance.synced, self.options.sync_interval) && !resting {
            let (waiting, log) = {
                let writer = held(&self.writer);
                (!writer.frozen.is_empty(), writer.wal.is_some())
            };
            if waiting {
                self.seal_frozen(&mut maintenance, Some(now_ms), true);
            } else if let Err(error) = self.sync_locked(&mut maintenance) {
                tracing::debug!(%error, log, "sync failed");
            }
        }
        if due(maintenance.retained, Duration::from_secs(60)) {
            maintenance.retained = Some(Instant::now());
            self.retain(&maintenance.clock, 0);
        }
        self.cap_memory();
    }

    /// Seals what waits for it; failures are logged and tried again later.
    fn seal_frozen(&self, maintenance: &mut Maintenance, now_ms: Option<i64>, align: bool) {
        if maintenance.retry_at.is_some_and(|at| Instant::now() < at) {
            self.cap_memory();
            return;
        }
        if align {
            // Streams that are nearly full go along: the new log then has little to carry over.
            let mut writer = held(&self.writer);
            writer.freeze_from(self.options.chunk_rows as u32 / 4);
            self.publish(&writer);
        }
        match self.write_frozen(maintenance, now_ms) {
            Ok(()) => {
                if let Err(error) = self.begin_log(maintenance) {
                    tracing::debug!(%error, "the log could not be renewed");
                }
            }
            Err((path, error)) => {
                maintenance.retry_at = Some(Instant::now() + RETRY);
                self.begin_trouble(&format!("write {}", path.display()), &error);
                self.cap_memory();
            }
        }
    }

    /// Writes the frozen chunks into their segments, in the order in which they were frozen.
    fn write_frozen(
        &self,
        maintenance: &mut Maintenance,
        _now_ms: Option<i64>,
    ) -> Result<(), (std::path::PathBuf, std::io::Error)> {
        let frozen = held(&self.writer).frozen.clone();
        let hour = |head: &Head| head.body().times.first().map_or(0, |t_ms| hour_of(*t_ms));
        for run in frozen.chunk_by(|a, b| hour(a) == hour(b)) {
            let Some(first) = run.first() else { continue };
            let hour = hour(first);
            let bytes: u64 = run.iter().map(|head| head.body().bytes()).sum();
            self.make_room(&maintenance.clock, bytes);
            let known = held(&self.writer).segments.get(&hour).cloned();
            let segment = known.unwrap_or_else(|| Arc::new(Segment::new(&self.options.dir, hour, 0)));
            let new = segment
                .append(run, self.io(), &self.catalog, &mut maintenance.codec)
                .map_err(|error| (segment.path.clone(), error))?;
            let mut writer = held(&self.writer);
            writer.segments.insert(hour, Arc::new(new));
            writer
                .frozen
                .retain(|head| !run.iter().any(|sealed| Arc::ptr_eq(head, sealed)));
            self.publish(&writer);
        }
        Ok(())
    }

    /// Drops the oldest waiting chunks when the disk could not be written for so long that memory runs full.
    fn cap_memory(&self) {
        let mut writer = held(&self.writer);
        let mut dropped = 0;
        while !writer.frozen.is_empty() && writer.head_bytes() > MEMORY_CAP {
            dropped += u64::from(writer.frozen.remove(0).body().rows());
        }
        if dropped > 0 {
            self.publish(&writer);
            drop(writer);
            held(&self.lost).rows += dropped;
            tracing::error!(
                rows = dropped,
                "the history cannot be written; dropped its oldest unwritten rows"
            );
        }
    }

    fn begin_trouble(&self, step: &str, error: &std::io::Error) {
        let mut trouble = held(&self.trouble);
        if trouble.is_none() {
            let dir = self.options.dir.display();
            tracing::warn!(%dir, %error, "cannot {step}; new rows are kept in memory until it works again");
        }
        *trouble = Some(format!("cannot {step}: {error}"));
    }

    fn end_trouble(&self) {
        if held(&self.trouble).take().is_some() {
            tracing::info!(dir = %self.options.dir.display(), "the history is written again");
        }
    }

    /// The id of this store, made once and kept in its directory: 32 hexadecimal digits.
    pub fn leaf_id(&self) -> &str {
        &self.leaf_id
    }

    /// Kind, unit, help and interval of the metrics known to this process.
    pub fn metric_info(&self) -> BTreeMap<String, MetricInfo> {
        self.catalog
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .metric_info()
    }

    pub fn stats(&self) -> HistoryStats {
        let writer = held(&self.writer);
        let segments: Vec<Arc<Segment>> = writer.segments.values().cloned().collect();
        let wal_bytes = writer.wal.as_ref().map_or(0, |wal| wal.len)
            + writer.old_wals.iter().map(|(_, len)| len).sum::<u64>();
        let heads = writer.view().heads.clone();
        let (head_bytes, rows, samples) = (writer.head_bytes(), writer.rows, writer.samples);
        drop(writer);
        let span = |segment: Option<&Arc<Segment>>| {
            let index = self.index(segment?).ok()??;
            let first = index.groups.iter().map(|group| group.header.first_ms).min()?;
            Some((
                first,
                index.groups.iter().map(|group| group.header.last_ms).max()?,
            ))
        };
        let (oldest, newest) = (span(segments.first()), span(segments.last()));
        let in_memory = heads.iter().filter_map(|head| {
            let body = head.body();
            Some((*body.times.first()?, *body.times.last()?))
        });
        let spans: Vec<(i64, i64)> = in_memory.chain(oldest).chain(newest).collect();
        HistoryStats {
            oldest_ms: spans.iter().map(|span| span.0).min(),
            newest_ms: spans.iter().map(|span| span.1).max(),
            series: self.catalog.read().unwrap_or_else(PoisonError::into_inner).len() as u64,
            bytes_on_disk: segments.iter().map(|segment| segment.len).sum::<u64>() + wal_bytes,
            segments: segments.len() as u64,
            wal_bytes,
            head_bytes,
            rows,
            samples,
            lost: held(&self.lost).clone(),
            not_writing: held(&self.trouble).clone(),
        }
    }
}
