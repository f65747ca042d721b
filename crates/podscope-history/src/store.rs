//! [`History`]: appending, syncing, sealing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Instant;

use podscope_model::batch::Row;
use podscope_model::labels::Labels;
use podscope_model::leaf::MetricInfo;
use podscope_model::source::SourceError;

use crate::catalog::Catalog;
use crate::codec::Codec;
use crate::index::Index;
use crate::io::{DiskIo, Io, IoFile};
use crate::retention::Clock;
use crate::segment::Segment;
use crate::tier::Tier;
use crate::writer::{View, Writer};
use crate::{Appended, HistoryError, HistoryStats, Lost, Options, Recovery, StreamSpec};

/// What maintenance remembers; held locked while it works, so that it works once.
#[derive(Debug, Default)]
pub(crate) struct Maintenance {
    pub(crate) codec: Codec,
    pub(crate) synced: Option<Instant>,
    pub(crate) retained: Option<Instant>,
    /// When a file whose time is over was last looked for.
    pub(crate) finished: Option<Instant>,
    /// Files that cannot be finished, by path, with their length.
    pub(crate) unfinished: Vec<(std::path::PathBuf, u64)>,
    pub(crate) retry_at: Option<Instant>,
    pub(crate) clock: Clock,
}

/// The history of one node. All methods take `&self`; share it in an [`Arc`].
#[derive(Debug)]
pub struct History {
    pub(crate) options: Options,
    pub(crate) io: Arc<dyn Io>,
    pub(crate) leaf_id: String,
    /// Held for as long as the history is open: a second process is refused. `None` where it could not be taken yet.
    pub(crate) lock: Mutex<Option<Arc<dyn IoFile>>>,
    /// Taken for reading while an index is read, for writing while series are forgotten: an index that is just being
    /// read has named its series, but nobody sees yet that it uses them.
    pub(crate) naming: RwLock<()>,
    pub(crate) catalog: RwLock<Catalog>,
    pub(crate) writer: Mutex<Writer>,
    view: RwLock<Arc<View>>,
    pub(crate) maintenance: Mutex<Maintenance>,
    pub(crate) lost: Mutex<Lost>,
    pub(crate) trouble: Mutex<Option<String>>,
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

const _: () = {
    const fn is_shared<T: Send + Sync>() {}
    is_shared::<History>();
};

pub(crate) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
            lock: Mutex::new(parts.lock),
            naming: RwLock::default(),
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
        let naming = self.naming.read().unwrap_or_else(PoisonError::into_inner);
        let read = segment.index(self.io(), &self.catalog);
        drop(naming);
        match read {
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
            self.seal_frozen(&mut maintenance, false);
        }
        Ok(appended)
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

    /// Another number whenever [`History::known_series`] would answer something else; good for this process only.
    pub fn catalog_version(&self) -> u64 {
        self.catalog
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .version()
    }

    /// The label sets of all series that are kept, whenever they were written, in no order. Reads the directories of
    /// segments that nobody has looked into yet.
    ///
    /// # Errors
    /// A segment that cannot be read at all.
    pub fn known_series(&self) -> Result<Vec<Labels>, SourceError> {
        for segment in &self.view().segments {
            self.index(segment)?;
        }
        Ok(self.catalog.read().unwrap_or_else(PoisonError::into_inner).all())
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
        let newest = span(segments.iter().rfind(|segment| segment.key.0 == Tier::Raw));
        let in_memory = heads.iter().filter_map(|head| {
            let body = head.body();
            Some((*body.times.first()?, *body.times.last()?))
        });
        let spans: Vec<(i64, i64)> = in_memory.chain(newest).collect();
        HistoryStats {
            oldest_ms: Tier::ALL
                .into_iter()
                .filter_map(|tier| self.oldest_ms(tier))
                .min(),
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
