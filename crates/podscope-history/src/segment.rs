//! One segment file: the sealed chunks of all streams that fall into one slot of a tier, each appended as a group.
//!
//! A [`Segment`] is what the file was at one moment: appending answers a new one, so that readers keep a view in which
//! sealed rows and rows in memory fit together. The index (groups and columns) is read when it is first asked for.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::catalog::{Catalog, SeriesId, Stream};
use crate::codec::Codec;
use crate::draft::{About, Draft};
use crate::file_header::{FILE_HEADER_BYTES, FileHeader};
use crate::group::Header;
use crate::head::Head;
use crate::index::{Group, Index, read_index};
use crate::io::{self, Io, Mode};
use crate::schema;
use crate::tier::Key;
use crate::varint;

#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) key: Key,
    /// Size on disk.
    pub(crate) len: u64,
    /// Bytes that are finished, as the file's header says; see [`FileHeader::finished_len`].
    pub(crate) finished_len: u64,
    index: Mutex<Option<Arc<Index>>>,
}

impl Segment {
    pub(crate) fn new(dir: &Path, key: Key, len: u64, finished_len: u64) -> Self {
        Self {
            path: dir.join(key.0.file_name(key.1)),
            key,
            len,
            finished_len,
            index: Mutex::default(),
        }
    }

    /// The file as it is found on disk: its size and, where its header is sound, how much of it is finished.
    ///
    /// # Errors
    /// When it cannot be opened or read.
    pub(crate) fn found(dir: &Path, key: Key, io: &dyn Io) -> std::io::Result<Self> {
        let mut found = Self::new(dir, key, 0, 0);
        let file = io.open(&found.path, Mode::Read)?;
        found.len = file.size()?;
        let mut header = [0; FILE_HEADER_BYTES];
        if found.len >= FILE_HEADER_BYTES as u64 {
            io::read_exact_at(file.as_ref(), &mut header, 0)?;
            found.finished_len = FileHeader::parse(&header, key).map_or(0, |header| header.finished_len);
        }
        Ok(found)
    }

    /// A file that was just written, with its index.
    pub(crate) fn written(path: PathBuf, key: Key, index: Index) -> Self {
        Self {
            path,
            key,
            len: index.sound_len,
            finished_len: index.file.finished_len,
            index: Mutex::new(Some(Arc::new(index))),
        }
    }

    /// The time before its first row can be.
    pub(crate) fn start_ms(&self) -> i64 {
        self.key.1.saturating_mul(self.key.0.span_ms())
    }

    /// The time of the last row that can be in it.
    pub(crate) fn end_ms(&self) -> i64 {
        self.start_ms().saturating_add(self.key.0.span_ms())
    }

    /// Whether it may hold rows with `start_ms < t <= end_ms`.
    pub(crate) fn overlaps(&self, start_ms: i64, end_ms: i64) -> bool {
        // Files of the first version hold the row at their very start instead of the one at their end.
        self.end_ms() > start_ms && self.start_ms() <= end_ms
    }

    /// Whether nothing was added since it was summed up and packed.
    pub(crate) fn is_finished(&self) -> bool {
        self.finished_len != 0 && self.finished_len == self.len
    }

    /// What the file holds, read on first use.
    ///
    /// # Errors
    /// When the file cannot be opened or read at all. Unsound parts of it are in [`Index::bad`].
    pub(crate) fn index(&self, io: &dyn Io, catalog: &RwLock<Catalog>) -> std::io::Result<Arc<Index>> {
        let mut slot = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = slot.as_ref() {
            return Ok(Arc::clone(index));
        }
        let file = io.open(&self.path, Mode::Read)?;
        let index = Arc::new(read_index(
            file.as_ref(),
            self.len,
            self.key,
            &self.path,
            catalog,
        )?);
        // Written anew since this segment was found: its length says nothing about the new file.
        if index.sound_len > 0 && index.file.finished_len != self.finished_len {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        for place in &index.bad {
            tracing::warn!(place, "skipping an unreadable part of the history");
        }
        *slot = Some(Arc::clone(&index));
        Ok(index)
    }

    /// The index if it was read before.
    pub(crate) fn loaded(&self) -> Option<Arc<Index>> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Appends frozen heads of this hour and makes them durable. Answers the segment as it is then.
    ///
    /// # Errors
    /// When a write or the sync fails; the file then ends, as far as anybody reads it, where it ended before.
    pub(crate) fn append(
        &self,
        heads: &[Arc<Head>],
        io: &dyn Io,
        catalog: &RwLock<Catalog>,
        codec: &mut Codec,
    ) -> std::io::Result<Segment> {
        let mut addition = self.begin(io, catalog)?;
        for head in heads {
            addition.head(head, catalog, codec)?;
        }
        addition.write(self, io)
    }

    /// Begins an addition at the file's end.
    ///
    /// # Errors
    /// When the file that is there cannot be read, or one that is not ours not be set aside.
    pub(crate) fn begin(&self, io: &dyn Io, catalog: &RwLock<Catalog>) -> std::io::Result<Addition> {
        let known = if self.len == 0 {
            None
        } else {
            Some(self.index(io, catalog)?)
        };
        if let Some(known) = &known {
            if known.sound_len > 0 {
                return Ok(Addition {
                    start: known.sound_len,
                    index: Index::clone(known),
                    bytes: Vec::new(),
                });
            }
            // Not one of ours any more, or of a later version: it stays, under another name.
            io.rename(&self.path, &self.path.with_extension("bad"))?;
        }
        Ok(Addition::whole(self.key, 0))
    }
}

/// Groups on their way into a file.
#[derive(Debug)]
pub(crate) struct Addition {
    /// The file's index, these groups included.
    pub(crate) index: Index,
    bytes: Vec<u8>,
    /// Where in the file the bytes go; 0: they are a whole file.
    start: u64,
}

impl Addition {
    /// A file from its first byte on.
    pub(crate) fn whole(key: Key, finished_len: u64) -> Self {
        let bytes = FileHeader::bytes(key, finished_len).to_vec();
        let index = Index {
            file: FileHeader::parse(&bytes, key).unwrap_or_default(),
            sound_len: bytes.len() as u64,
            ..Index::default()
        };
        Self {
            index,
            bytes,
            start: 0,
        }
    }

    /// Says in the header of a whole file that all of it is finished.
    pub(crate) fn mark_finished(&mut self, key: Key) {
        let header = FileHeader::bytes(key, self.bytes.len() as u64);
        self.bytes[..FILE_HEADER_BYTES].copy_from_slice(&header);
        self.index.file = FileHeader::parse(&header, key).unwrap_or_default();
    }

    /// The number and the columns of a stream, and the description of what of it is new to the file: `columns` become
    /// part of it. Answers each column's number, too.
    pub(crate) fn describe(
        &mut self,
        stream: &Arc<Stream>,
        columns: &[SeriesId],
        catalog: &RwLock<Catalog>,
    ) -> (u32, Vec<u32>, Vec<u8>) {
        let (number, is_new) = self.index.number_of(stream);
        let mut numbers = Vec::with_capacity(columns.len());
        let mut description = Vec::new();
        if let Some(Some(known)) = self.index.streams.get_mut(number as usize) {
            let table = Arc::make_mut(&mut known.columns);
            let described = table.len();
            let mut at: rustc_hash::FxHashMap<SeriesId, u32> =
                table.iter().zip(0..).map(|(id, at)| (*id, at)).collect();
            for id in columns {
                numbers.push(*at.entry(*id).or_insert_with(|| {
                    table.push(*id);
                    table.len() as u32 - 1
                }));
            }
            if is_new || table.len() > described {
                let catalog = catalog.read().unwrap_or_else(PoisonError::into_inner);
                varint::put(&mut description, described as u64);
                schema::encode(&mut description, stream, &table[described..], &catalog);
            }
        }
        (number, numbers, description)
    }

    /// Adds a finished draft.
    pub(crate) fn push(&mut self, group: &[u8], header: Header) {
        self.index.groups.push(Group {
            offset: self.start + self.bytes.len() as u64,
            header,
        });
        self.bytes.extend_from_slice(group);
        self.index.sound_len = self.start + self.bytes.len() as u64;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.index.groups.iter().all(|group| group.offset < self.start) && self.start > 0
            || self.index.groups.is_empty()
    }

    pub(crate) fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Adds a frozen head.
    fn head(&mut self, head: &Head, catalog: &RwLock<Catalog>, codec: &mut Codec) -> std::io::Result<()> {
        let (times, series) = {
            let body = head.body();
            let series: Vec<SeriesId> = body.columns.iter().map(|column| column.series).collect();
            (body.times.clone(), series)
        };
        let (number, columns, description) = self.describe(&head.stream, &series, catalog);
        let about = About {
            stream: number,
            epoch: head.epoch,
            first_row: head.first_row,
            follows_ms: head.follows.or(times.first().copied()).unwrap_or(0),
            tier_ms: 0,
            interval_ms: head.stream.spec.interval_ms.max(1),
        };
        let mut order: Vec<(u32, u32)> = columns.into_iter().zip(0..).collect();
        order.sort_unstable();
        let draft = Draft::begin(about, &description, &times, codec).and_then(|mut draft| {
            for (column, slot) in order {
                let copy = head.body().copy(slot);
                draft.column(column, &copy.values(), copy.runs.as_deref(), codec);
            }
            draft.finish()
        });
        let Some((group, header)) = draft else {
            return Err(std::io::Error::other("a chunk could not be encoded"));
        };
        self.push(&group, header);
        Ok(())
    }

    /// Writes it and makes it durable. Answers the segment as it is then.
    ///
    /// # Errors
    /// When a write or the sync fails; the file then ends, as far as anybody reads it, where it ended before.
    pub(crate) fn write(self, segment: &Segment, io: &dyn Io) -> std::io::Result<Segment> {
        if self.start == 0 {
            io::write_file(io, &segment.path, &self.bytes)?;
        } else {
            let end = self.index.sound_len;
            let file = io.open(&segment.path, Mode::Write)?;
            let written = io::write_all_at(file.as_ref(), &self.bytes, self.start).and_then(|()| {
                if segment.len > end {
                    file.set_len(end)
                } else {
                    Ok(())
                }
            });
            if let Err(error) = written.and_then(|()| file.sync()) {
                // What was written past the end is garbage; should even cutting it off fail, the next append
                // overwrites it and a reader stops at its checksum.
                if let Err(cut) = file.set_len(self.start) {
                    tracing::debug!(path = %segment.path.display(), %cut, "cannot cut a failed append off");
                }
                return Err(error);
            }
        }
        Ok(Segment::written(segment.path.clone(), segment.key, self.index))
    }

    /// Writes a whole file so that it is there completely or not at all.
    ///
    /// # Errors
    /// When a write or a sync fails.
    pub(crate) fn write_whole(&self, path: &Path, io: &dyn Io) -> std::io::Result<()> {
        io::write_file(io, path, &self.bytes)
    }

    /// Writes the bytes of a whole file under a temporary name and makes them durable there.
    ///
    /// # Errors
    /// When a write or the sync fails.
    pub(crate) fn write_aside(&self, path: &Path, io: &dyn Io) -> std::io::Result<PathBuf> {
        let temporary = path.with_extension("tmp");
        let file = io.open(&temporary, Mode::Create)?;
        io::write_all_at(file.as_ref(), &self.bytes, 0)?;
        file.sync()?;
        Ok(temporary)
    }
}
