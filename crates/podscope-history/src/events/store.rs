//! [`EventStore`]: taking events, keeping them within bounds, opening them again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use podscope_model::event::{Event, EventId, EventKind, StoredEvent};
use rustc_hash::FxHashMap;

use super::file::{self, Head};
use super::limit::Limiter;
use super::{EventOptions, EventRecovery, EventStats};
use crate::io::{DiskIo, Io, IoFile, Mode, read_file, write_all_at};

/// Events kept in memory while the disk takes none.
const MAX_UNSAVED: usize = 10_000;
/// Sources whose dropped events are counted apart.
const MAX_COUNTED: usize = 64;
/// Open events that retention carries over from a file it removes.
const MAX_CARRIED: usize = 1000;

/// How an event was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    Stored(EventId),
    /// It replaces the version before.
    Updated(EventId),
    /// It is there already, exactly so.
    Duplicate(EventId),
    /// Its source reports more than it may.
    Dropped,
}

/// Where the last version of an event lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: u64,
    pub(super) offset: u32,
}

/// What is known of a file without reading it.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileInfo {
    pub(super) number: u64,
    pub(super) length: u64,
    /// Earliest and latest instants its events cover; the latest time at which one began.
    pub(super) first_ms: i64,
    pub(super) last_ms: i64,
    pub(super) newest_ms: i64,
    /// The latest instant that matters to its age: ends of closed events, arrivals.
    aged_ms: i64,
}

impl FileInfo {
    fn new(number: u64) -> Self {
        Self {
            number,
            length: file::HEADER_BYTES as u64,
            first_ms: i64::MAX,
            last_ms: i64::MIN,
            newest_ms: i64::MIN,
            aged_ms: i64::MIN,
        }
    }

    fn note(&mut self, head: &Head) {
        self.first_ms = self.first_ms.min(head.time_ms);
        self.last_ms = self.last_ms.max(head.last_ms);
        self.newest_ms = self.newest_ms.max(head.time_ms);
        let ended = if head.is_open() {
            head.time_ms
        } else {
            head.last_ms
        };
        self.aged_ms = self.aged_ms.max(ended).max(head.stored_ms);
    }
}

/// The file being written.
#[derive(Debug)]
struct Active {
    number: u64,
    file: Arc<dyn IoFile>,
    unsynced: bool,
}

#[derive(Debug)]
struct Inner {
    files: BTreeMap<u64, FileInfo>,
    active: Option<Active>,
    next_number: u64,
    /// The last version on disk.
    index: FxHashMap<EventId, (Place, u32, u64)>,
    /// Newer than what the disk has.
    unsaved: BTreeMap<EventId, StoredEvent>,
    limiter: Limiter,
    stats: EventStats,
    synced: Option<Instant>,
}

/// Durable events. All methods take `&self`; share it in an [`Arc`].
#[derive(Debug)]
pub struct EventStore {
    pub(super) options: EventOptions,
    pub(super) io: Arc<dyn Io>,
    inner: Mutex<Inner>,
}

/// Tells two versions of an event apart without reading the one on disk.
fn fingerprint(event: &Event) -> u64 {
    use std::hash::Hasher;
    let mut hasher = rustc_hash::FxHasher::default();
    hasher.write(&serde_json::to_vec(event).unwrap_or_default());
    hasher.finish()
}

/// People wait for these, or wrote them: they are worth a sync of their own.
fn is_precious(kind: EventKind) -> bool {
    matches!(kind, EventKind::Incident | EventKind::Change | EventKind::Note)
}

impl EventStore {
    /// Opens the events in a directory, made when missing. The history's lock on the directory above guards it: one
    /// process writes.
    ///
    /// Nothing that can be wrong with the directory is an error: see [`EventRecovery`].
    pub fn open(options: EventOptions) -> (Self, EventRecovery) {
        Self::open_with(options, Arc::new(DiskIo))
    }

    /// [`EventStore::open`] over another file layer.
    pub fn open_with(options: EventOptions, io: Arc<dyn Io>) -> (Self, EventRecovery) {
        let mut recovery = EventRecovery::default();
        let mut inner = Inner {
            files: BTreeMap::new(),
            active: None,
            next_number: 1,
            index: FxHashMap::default(),
            unsaved: BTreeMap::new(),
            limiter: Limiter::new(options.rate, options.burst),
            stats: EventStats::default(),
            synced: None,
        };
        let made = io.create_dir(&options.dir);
        match made.and_then(|()| io.list(&options.dir)) {
            Ok(names) => {
                let mut numbers: Vec<u64> = names.iter().filter_map(|name| file::number_of(name)).collect();
                numbers.sort_unstable();
                inner.next_number = numbers.last().map_or(1, |last| last + 1);
                for number in numbers {
                    inner.take_up(number, &options, io.as_ref(), &mut recovery);
                }
            }
            Err(error) => {
                inner.stats.not_writing = Some(error.to_string());
                recovery.memory_only = Some(format!("{}: {error}", options.dir.display()));
            }
        }
        recovery.events = inner.index.len() as u64;
        let store = Self {
            options,
            io,
            inner: Mutex::new(inner),
        };
        (store, recovery)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Nothing that is done under the lock leaves half an event behind.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event. The same event again is a duplicate; the same id with other content replaces what was there, and the
    /// earlier version is kept. `event` must have passed [`Event::check`].
    pub fn add(&self, event: Event, now_ms: i64) -> Taken {
        let id = event.id();
        self.put(id, event, now_ms)
    }

    /// Takes a new version of an event under the id it has: an incident that was closed, a text that was corrected.
    pub fn put(&self, id: EventId, event: Event, now_ms: i64) -> Taken {
        let mut inner = self.inner();
        let print = fingerprint(&event);
        let known = match inner.unsaved.get(&id) {
            Some(unsaved) => Some((unsaved.version, fingerprint(&unsaved.event))),
            None => inner.index.get(&id).map(|(_, version, print)| (*version, *print)),
        };
        if known.is_some_and(|(_, known)| known == print) {
            inner.stats.duplicates += 1;
            return Taken::Duplicate(id);
        }
        if let Err(counted_as) = inner.limiter.admit(&event.source, now_ms) {
            inner.drop_one(&counted_as);
            return Taken::Dropped;
        }
        let precious = is_precious(event.kind);
        let stored = StoredEvent {
            id,
            version: known.map_or(1, |(version, _)| version.saturating_add(1)),
            stored_ms: now_ms,
            event,
        };
        match self.write(&mut inner, &stored) {
            Ok(()) => {
                inner.unsaved.remove(&id);
                inner.stats.not_writing = None;
                if precious {
                    self.sync_locked(&mut inner);
                }
            }
            Err(error) => {
                inner.trouble(&error);
                if inner.unsaved.len() >= MAX_UNSAVED && !inner.unsaved.contains_key(&id) {
                    let source = stored.event.source.clone();
                    inner.drop_one(&source);
                    return Taken::Dropped;
                }
                inner.unsaved.insert(id, stored);
            }
        }
        match known {
            None => {
                inner.stats.stored += 1;
                Taken::Stored(id)
            }
            Some(_) => {
                inner.stats.updated += 1;
                Taken::Updated(id)
            }
        }
    }

    /// Appends a record; afterwards the index shows it.
    fn write(&self, inner: &mut Inner, stored: &StoredEvent) -> std::io::Result<()> {
        let full = inner
            .active
            .as_ref()
            .and_then(|active| inner.files.get(&active.number))
            .is_some_and(|info| info.length >= self.options.file_bytes);
        if full {
            self.sync_locked(inner);
            inner.active = None;
        }
        if inner.active.is_none() {
            self.begin_file(inner)?;
        }
        let Some(active) = inner.active.as_mut() else {
            return Err(std::io::ErrorKind::NotFound.into());
        };
        let number = active.number;
        let Some(info) = inner.files.get_mut(&number) else {
            return Err(std::io::ErrorKind::NotFound.into());
        };
        let bytes = file::record(number, stored);
        if let Err(error) = write_all_at(active.file.as_ref(), &bytes, info.length) {
            // Half a record may lie there: nothing more goes into this file.
            inner.active = None;
            return Err(error);
        }
        active.unsynced = true;
        let place = Place {
            file: number,
            offset: u32::try_from(info.length).unwrap_or(u32::MAX),
        };
        info.length += bytes.len() as u64;
        info.note(&Head::of(stored));
        inner
            .index
            .insert(stored.id, (place, stored.version, fingerprint(&stored.event)));
        Ok(())
    }

    fn begin_file(&self, inner: &mut Inner) -> std::io::Result<()> {
        let number = inner.next_number;
        let path = self.options.dir.join(file::name_of(number));
        self.io.create_dir(&self.options.dir)?;
        let file = self.io.open(&path, Mode::Create)?;
        // The number is used up, whatever becomes of the file.
        inner.next_number += 1;
        write_all_at(file.as_ref(), &file::header(number), 0)?;
        self.io.sync_dir(&self.options.dir)?;
        inner.files.insert(number, FileInfo::new(number));
        inner.active = Some(Active {
            number,
            file,
            unsynced: true,
        });
        Ok(())
    }

    fn sync_locked(&self, inner: &mut Inner) {
        if let Some(active) = inner.active.as_mut().filter(|active| active.unsynced) {
            match active.file.sync() {
                Ok(()) => active.unsynced = false,
                Err(error) => {
                    // What of it is on disk is unknown from now on.
                    inner.active = None;
                    inner.trouble(&error);
                }
            }
        }
        inner.synced = Some(Instant::now());
    }

    /// Makes every event durable that the disk takes.
    pub fn sync(&self) {
        self.sync_locked(&mut self.inner());
    }

    /// The regular work: events the disk did not take are offered again, what is written is synced, what is too old or too
    /// much is removed. Call it every second or so.
    pub fn maintain(&self, now_ms: i64) {
        let mut inner = self.inner();
        while let Some((id, stored)) = inner.unsaved.pop_first() {
            if let Err(error) = self.write(&mut inner, &stored) {
                inner.trouble(&error);
                inner.unsaved.insert(id, stored);
                break;
            }
            inner.stats.not_writing = None;
        }
        if inner
            .synced
            .is_none_or(|at| at.elapsed() >= self.options.sync_interval)
        {
            self.sync_locked(&mut inner);
        }
        self.retain(&mut inner, now_ms);
    }

    fn retain(&self, inner: &mut Inner, now_ms: i64) {
        let oldest_ms =
            now_ms.saturating_sub(i64::try_from(self.options.max_age.as_millis()).unwrap_or(i64::MAX));
        loop {
            let total: u64 = inner.files.values().map(|info| info.length).sum();
            let active = inner.active.as_ref().map(|active| active.number);
            let Some(first) = inner
                .files
                .values()
                .find(|info| Some(info.number) != active)
                .copied()
            else {
                return;
            };
            let too_old = first.aged_ms < oldest_ms && first.aged_ms > i64::MIN;
            if !too_old && total <= self.options.max_bytes {
                return;
            }
            if !self.remove(inner, first) {
                return;
            }
        }
    }

    /// Removes a file; its open events go on in the file being written. Answers whether it is gone.
    fn remove(&self, inner: &mut Inner, info: FileInfo) -> bool {
        let path = self.options.dir.join(file::name_of(info.number));
        if info.last_ms == i64::MAX {
            let Ok(bytes) = read_file(self.io.as_ref(), &path) else {
                return false;
            };
            let open: Vec<StoredEvent> = file::records(&bytes)
                .into_iter()
                .flatten()
                .filter(|record| {
                    record.head.is_open() && inner.is_current(info.number, record.offset, record.head.id)
                })
                .filter_map(|record| record.event())
                .take(MAX_CARRIED)
                .collect();
            for stored in open {
                if self.write(inner, &stored).is_err() {
                    return false;
                }
            }
            self.sync_locked(inner);
        }
        if let Err(error) = self.io.remove(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            inner.trouble(&error);
            return false;
        }
        inner.files.remove(&info.number);
        inner.index.retain(|_, (place, _, _)| place.file != info.number);
        true
    }

    pub fn stats(&self) -> EventStats {
        let inner = self.inner();
        let only_in_memory = inner
            .unsaved
            .keys()
            .filter(|id| !inner.index.contains_key(id))
            .count();
        EventStats {
            events: (inner.index.len() + only_in_memory) as u64,
            bytes_on_disk: inner.files.values().map(|info| info.length).sum(),
            ..inner.stats.clone()
        }
    }

    /// What a search needs: events only memory has, and the files there are.
    pub(super) fn snapshot(&self) -> (Vec<StoredEvent>, Vec<FileInfo>) {
        let inner = self.inner();
        (
            inner.unsaved.values().cloned().collect(),
            inner.files.values().copied().collect(),
        )
    }

    pub(super) fn knows(&self, id: EventId) -> bool {
        let inner = self.inner();
        inner.index.contains_key(&id) || inner.unsaved.contains_key(&id)
    }

    /// Drops the versions that a later one has replaced.
    pub(super) fn keep_current(&self, found: &mut Vec<(Place, StoredEvent)>) {
        let inner = self.inner();
        found.retain(|(place, stored)| {
            !inner.unsaved.contains_key(&stored.id) && inner.is_current(place.file, place.offset, stored.id)
        });
    }
}

impl Inner {
    /// Reads a file of an earlier process.
    fn take_up(&mut self, number: u64, options: &EventOptions, io: &dyn Io, recovery: &mut EventRecovery) {
        let name = file::name_of(number);
        let bytes = match read_file(io, &options.dir.join(&name)) {
            Ok(bytes) => bytes,
            Err(error) => return recovery.unreadable.push(format!("{name}: {error}")),
        };
        let mut info = FileInfo::new(number);
        info.length = bytes.len() as u64;
        let Some(mut records) = file::records(&bytes).filter(|records| records.number() == number) else {
            // A file that was just begun when the process ended.
            if bytes.len() >= file::HEADER_BYTES {
                recovery
                    .unreadable
                    .push(format!("{name}: its header cannot be read; left as it is"));
                self.stats.unreadable_bytes += info.length;
            }
            return;
        };
        for record in records.by_ref() {
            let Some(stored) = record.event() else { continue };
            info.note(&record.head);
            let place = Place {
                file: number,
                offset: record.offset,
            };
            let newer = self
                .index
                .get(&record.head.id)
                .is_none_or(|(_, version, _)| record.head.version >= *version);
            if newer {
                let entry = (place, record.head.version, fingerprint(&stored.event));
                self.index.insert(record.head.id, entry);
            }
        }
        if records.unsound > 0 {
            recovery.unreadable.push(format!(
                "{name}: {} bytes are not sound, skipped",
                records.unsound
            ));
            self.stats.unreadable_bytes += records.unsound;
        }
        recovery.files += 1;
        self.files.insert(number, info);
    }

    fn is_current(&self, file: u64, offset: u32, id: EventId) -> bool {
        self.index
            .get(&id)
            .is_some_and(|(place, _, _)| *place == Place { file, offset })
    }

    fn drop_one(&mut self, source: &str) {
        let known = self.stats.dropped.contains_key(source) || self.stats.dropped.len() < MAX_COUNTED;
        let name = if known { source } else { "(others)" };
        *self.stats.dropped.entry(name.to_owned()).or_default() += 1;
    }

    fn trouble(&mut self, error: &std::io::Error) {
        let text = error.to_string();
        if self.stats.not_writing.as_deref() != Some(&text) {
            tracing::warn!(
                error = text,
                "events are kept in memory only until the disk takes them"
            );
            self.stats.not_writing = Some(text);
        }
    }
}
