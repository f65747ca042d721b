//! The regular work: group sync, sealing, a disk that fails and comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::HistoryError;
use crate::head::Head;
use crate::io::write_file;
use crate::recover::{LEAF_ID_FILE, LOCK_FILE};
use crate::segment::Segment;
use crate::store::{History, Maintenance, held};
use crate::tier::Tier;

/// Memory that rows waiting to be written may take before the oldest of them are dropped.
const MEMORY_CAP: u64 = 16 << 20;
/// How long to leave a disk alone that refused a write.
const RETRY: Duration = Duration::from_secs(10);
/// How often to look for a file whose time is over: there is one an hour, and a start or an import may leave many.
const FINISH_EVERY: Duration = Duration::from_secs(30);

impl History {
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

    /// Takes the directory's lock where that was not possible at the start, and keeps the store's id there.
    fn take_lock(&self) -> std::io::Result<()> {
        let mut lock = held(&self.lock);
        if lock.is_none() {
            // Somebody else may have it by now.
            let taken = self.io.lock(&self.options.dir.join(LOCK_FILE))?;
            if !self
                .io
                .list(&self.options.dir)?
                .iter()
                .any(|name| name == LEAF_ID_FILE)
            {
                let text = format!("{}\n", self.leaf_id);
                write_file(self.io(), &self.options.dir.join(LEAF_ID_FILE), text.as_bytes())?;
            }
            *lock = Some(taken);
        }
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
        if let Err(source) = self.take_lock() {
            maintenance.retry_at = Some(Instant::now() + RETRY);
            return failed("lock", source);
        }
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
        match self.write_frozen(&mut maintenance) {
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
                self.seal_frozen(&mut maintenance, true);
            } else if let Err(error) = self.sync_locked(&mut maintenance) {
                tracing::debug!(%error, log, "sync failed");
            }
        }
        if due(maintenance.retained, Duration::from_secs(60)) {
            maintenance.retained = Some(Instant::now());
            self.retain(&maintenance.clock, 0);
        }
        self.cap_memory();
        let looked = *maintenance.finished.get_or_insert_with(Instant::now);
        if looked.elapsed() >= FINISH_EVERY && !resting {
            maintenance.finished = Some(Instant::now());
            self.finish_one(&mut maintenance);
        }
    }

    /// Seals what waits for it; failures are logged and tried again later.
    pub(crate) fn seal_frozen(&self, maintenance: &mut Maintenance, align: bool) {
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
        match self.write_frozen(maintenance) {
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
    ) -> Result<(), (std::path::PathBuf, std::io::Error)> {
        self.take_lock()
            .map_err(|error| (self.options.dir.clone(), error))?;
        let frozen = held(&self.writer).frozen.clone();
        let hour = |head: &Head| {
            head.body()
                .times
                .first()
                .map_or(0, |t_ms| Tier::Raw.slot_of(*t_ms))
        };
        for run in frozen.chunk_by(|a, b| hour(a) == hour(b)) {
            let Some(first) = run.first() else { continue };
            let hour = hour(first);
            let bytes: u64 = run.iter().map(|head| head.body().bytes()).sum();
            self.make_room(&maintenance.clock, bytes);
            let known = held(&self.writer).segments.get(&(Tier::Raw, hour)).cloned();
            let segment =
                known.unwrap_or_else(|| Arc::new(Segment::new(&self.options.dir, (Tier::Raw, hour), 0, 0)));
            let new = segment
                .append(run, self.io(), &self.catalog, &mut maintenance.codec)
                .map_err(|error| (segment.path.clone(), error))?;
            let mut writer = held(&self.writer);
            writer.segments.insert((Tier::Raw, hour), Arc::new(new));
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

    pub(crate) fn begin_trouble(&self, step: &str, error: &std::io::Error) {
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
}
