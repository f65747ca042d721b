//! One segment file: the sealed chunks of all streams that fall into one hour, each appended as a group.
//!
//! A [`Segment`] is what the file was at one moment: appending answers a new one, so that readers keep a view in which
//! sealed rows and rows in memory fit together. The index (groups and columns) is read when it is first asked for.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use pco::wrapped::FileDecompressor;

use crate::catalog::{Catalog, SeriesId, Stream};
use crate::column::{self, Codec, Entry};
use crate::group::{self, Header};
use crate::head::{HOUR_MS, Head};
use crate::io::{self, Io, IoFile, Mode};
use crate::schema;
use crate::varint::{self, u32_at, u64_at};

pub(crate) const FILE_HEADER_BYTES: usize = 64;
const MAGIC: [u8; 8] = *b"PODSEGM1";
/// Version of the format that this code writes; it refuses files with a higher one.
pub(crate) const VERSION: u16 = 1;

/// More streams or columns than any file has.
const MAX_COLUMNS: usize = 1 << 22;
/// In a table of columns: no series is known for this number.
const NAMELESS: SeriesId = SeriesId::MAX;

/// The columns of one stream in one file, in the order in which the file describes them.
#[derive(Clone, Debug)]
pub(crate) struct FileStream {
    pub(crate) stream: Arc<Stream>,
    pub(crate) columns: Arc<Vec<SeriesId>>,
}

/// One group and where it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Group {
    pub(crate) offset: u64,
    pub(crate) header: Header,
}

/// What a file holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    pub(crate) streams: Vec<Option<FileStream>>,
    pub(crate) groups: Vec<Group>,
    /// pco's header from the file's.
    pub(crate) pco: Vec<u8>,
    /// Bytes from the start up to the end of the last sound group.
    pub(crate) sound_len: u64,
    /// Places that could not be read, as sentences.
    pub(crate) bad: Vec<String>,
}

impl Index {
    /// A stream by its number in the file; `None` when its description is damaged.
    pub(crate) fn stream(&self, number: u32) -> Option<&FileStream> {
        self.streams.get(number as usize)?.as_ref()
    }
}

#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) path: PathBuf,
    pub(crate) hour: i64,
    /// Size on disk.
    pub(crate) len: u64,
    index: Mutex<Option<Arc<Index>>>,
}

/// Name of the raw-tier file of an hour; sorts by the parsed number, not by text.
pub(crate) fn file_name(hour: i64) -> String {
    format!("raw-{}.seg", hour.saturating_mul(HOUR_MS / 1000))
}

/// The hour that a name stands for.
pub(crate) fn parse_name(name: &str) -> Option<i64> {
    let seconds: i64 = name.strip_prefix("raw-")?.strip_suffix(".seg")?.parse().ok()?;
    (seconds % (HOUR_MS / 1000) == 0).then_some(seconds / (HOUR_MS / 1000))
}

fn file_header(hour: i64) -> [u8; FILE_HEADER_BYTES] {
    let pco = column::pco_header();
    let mut out = Vec::with_capacity(FILE_HEADER_BYTES);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    // Tier: 0 = raw.
    out.extend_from_slice(&0_u16.to_le_bytes());
    out.extend_from_slice(&(pco.len() as u32).to_le_bytes());
    out.extend_from_slice(&hour.saturating_mul(HOUR_MS).to_le_bytes());
    out.extend_from_slice(&(HOUR_MS as u64).to_le_bytes());
    out.extend_from_slice(&pco);
    let mut bytes = [0; FILE_HEADER_BYTES];
    bytes[..out.len()].copy_from_slice(&out);
    let crc = crc32c::crc32c(&bytes[..FILE_HEADER_BYTES - 4]);
    bytes[FILE_HEADER_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// pco's header out of a file header; a sentence when the header is not sound.
fn parse_file_header(bytes: &[u8], hour: i64) -> Result<Vec<u8>, String> {
    if bytes.len() < FILE_HEADER_BYTES || bytes[..8] != MAGIC {
        return Err("not a segment file".into());
    }
    if crc32c::crc32c(&bytes[..FILE_HEADER_BYTES - 4]) != u32_at(bytes, FILE_HEADER_BYTES - 4) {
        return Err("the file header's checksum is wrong".into());
    }
    let version = u16::from_le_bytes([bytes[8], bytes[9]]);
    if version > VERSION {
        return Err(format!(
            "format version {version}; this program reads up to {VERSION}"
        ));
    }
    if u64_at(bytes, 16) as i64 != hour.saturating_mul(HOUR_MS) {
        return Err("the file was renamed: its header names another hour".into());
    }
    let pco = bytes[32..FILE_HEADER_BYTES - 4]
        .get(..u32_at(bytes, 12) as usize)
        .unwrap_or_default();
    match column::pco_reader(pco) {
        Some(_) => Ok(pco.to_vec()),
        None => Err("columns packed by a later version of pco".into()),
    }
}

impl Segment {
    pub(crate) fn new(dir: &Path, hour: i64, len: u64) -> Self {
        Self {
            path: dir.join(file_name(hour)),
            hour,
            len,
            index: Mutex::default(),
        }
    }

    pub(crate) fn start_ms(&self) -> i64 {
        self.hour.saturating_mul(HOUR_MS)
    }

    pub(crate) fn end_ms(&self) -> i64 {
        self.start_ms().saturating_add(HOUR_MS)
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
            self.hour,
            &self.path,
            catalog,
        )?);
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
        let known = if self.len == 0 {
            None
        } else {
            Some(self.index(io, catalog)?)
        };
        let is_new = known.as_ref().is_none_or(|index| index.sound_len == 0);
        let mut index = match known {
            Some(known) if !is_new => Index::clone(known.as_ref()),
            unreadable => {
                if unreadable.is_some() {
                    // Not one of ours any more, or of a later version: it stays, under another name.
                    io.rename(&self.path, &self.path.with_extension("bad"))?;
                }
                Index {
                    pco: column::pco_header(),
                    sound_len: FILE_HEADER_BYTES as u64,
                    ..Index::default()
                }
            }
        };
        let mut bytes = Vec::new();
        if is_new {
            bytes.extend_from_slice(&file_header(self.hour));
        }
        let start = if is_new { 0 } else { index.sound_len };
        for head in heads {
            let known = index.streams.iter().position(|known| {
                known
                    .as_ref()
                    .is_some_and(|known| known.stream.id == head.stream.id)
            });
            let number = known.unwrap_or_else(|| {
                let columns = Arc::default();
                index.streams.push(Some(FileStream {
                    stream: Arc::clone(&head.stream),
                    columns,
                }));
                index.streams.len() - 1
            });
            let Some(Some(entry)) = index.streams.get_mut(number) else {
                continue;
            };
            let table = Arc::make_mut(&mut entry.columns);
            let encoded = group::encode(head, number as u32, table, known.is_none(), catalog, codec);
            let Some((group, header)) = encoded else {
                return Err(std::io::Error::other("a chunk could not be encoded"));
            };
            index.groups.push(Group {
                offset: start + bytes.len() as u64,
                header,
            });
            bytes.extend_from_slice(&group);
        }
        let end = start + bytes.len() as u64;
        index.sound_len = end;
        if is_new {
            io::write_file(io, &self.path, &bytes)?;
        } else {
            let file = io.open(&self.path, Mode::Write)?;
            let written = io::write_all_at(file.as_ref(), &bytes, start)
                .and_then(|()| if self.len > end { file.set_len(end) } else { Ok(()) });
            if let Err(error) = written.and_then(|()| file.sync()) {
                // What was written past the end is garbage; should even cutting it off fail, the next append
                // overwrites it and a reader stops at its checksum.
                if let Err(cut) = file.set_len(start) {
                    tracing::debug!(path = %self.path.display(), %cut, "cannot cut a failed append off");
                }
                return Err(error);
            }
        }
        let new = Segment {
            path: self.path.clone(),
            hour: self.hour,
            len: end,
            index: Mutex::default(),
        };
        *new.index.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(index));
        Ok(new)
    }
}

/// Walks the groups of a file. An unsound header is skipped by looking for the next sound one.
fn read_index(
    file: &dyn IoFile,
    len: u64,
    hour: i64,
    path: &Path,
    catalog: &RwLock<Catalog>,
) -> std::io::Result<Index> {
    let place = |offset: u64, what: &str| format!("{} at byte {offset}: {what}", path.display());
    let len = len.min(file.size()?);
    let mut index = Index::default();
    let mut header = vec![0; FILE_HEADER_BYTES.min(len as usize)];
    io::read_exact_at(file, &mut header, 0)?;
    match parse_file_header(&header, hour) {
        Ok(pco) => index.pco = pco,
        Err(reason) => {
            index.bad.push(place(0, &reason));
            return Ok(index);
        }
    }
    let mut offset = FILE_HEADER_BYTES as u64;
    index.sound_len = offset;
    let mut buffer = [0; group::HEADER_BYTES];
    while offset < len {
        let left = len - offset;
        let header = if left < group::HEADER_BYTES as u64 {
            None
        } else {
            io::read_exact_at(file, &mut buffer, offset)?;
            Header::parse(&buffer)
        };
        let Some(header) = header.filter(|header| u64::from(header.len) <= left) else {
            let next = find_header(file, offset + 8, len)?;
            let what = match next {
                Some(next) => format!("a damaged chunk header, {} bytes skipped", next - offset),
                None => format!("{left} bytes are not a whole chunk"),
            };
            index.bad.push(place(offset, &what));
            match next {
                Some(next) => offset = next,
                None => break,
            }
            continue;
        };
        if let Err(reason) = read_schema(file, offset, &header, &mut index, catalog)? {
            index.bad.push(place(offset, &reason));
        }
        index.groups.push(Group { offset, header });
        offset += u64::from(header.len);
        index.sound_len = offset;
    }
    Ok(index)
}

/// The next place, in steps of 8 bytes, at which a sound group header lies.
fn find_header(file: &dyn IoFile, from: u64, len: u64) -> std::io::Result<Option<u64>> {
    let mut bytes = vec![0; len.saturating_sub(from) as usize];
    io::read_exact_at(file, &mut bytes, from)?;
    let found = (0..bytes.len()).step_by(8).find(|&at| {
        bytes[at..].starts_with(&group::MAGIC)
            && Header::parse(&bytes[at..]).is_some_and(|header| header.len as usize <= bytes.len() - at)
    });
    Ok(found.map(|at| from + at as u64))
}

/// Takes up the columns that a group describes.
fn read_schema(
    file: &dyn IoFile,
    offset: u64,
    header: &Header,
    index: &mut Index,
    catalog: &RwLock<Catalog>,
) -> std::io::Result<Result<(), String>> {
    let number = header.stream as usize;
    if header.schema_len == 0 {
        return Ok(match index.streams.get(number) {
            Some(Some(_)) => Ok(()),
            _ => Err("the description of its stream is damaged; the chunk is skipped".into()),
        });
    }
    let mut bytes = vec![0; header.schema_len as usize];
    io::read_exact_at(file, &mut bytes, offset + group::HEADER_BYTES as u64)?;
    let decoded = (crc32c::crc32c(&bytes) == header.schema_crc)
        .then(|| {
            let mut reader = varint::Reader::new(&bytes);
            let first = usize::try_from(reader.varint()?)
                .ok()
                .filter(|first| *first <= MAX_COLUMNS)?;
            let mut catalog = catalog.write().unwrap_or_else(PoisonError::into_inner);
            let (stream, columns) = schema::decode(reader.rest(), &mut catalog)?;
            Some((stream, first, columns))
        })
        .flatten();
    let Some((stream, first, columns)) = decoded.filter(|_| number <= MAX_COLUMNS) else {
        return Ok(Err(
            "its description of columns is damaged; those columns are skipped".into(),
        ));
    };
    if index.streams.len() <= number {
        index.streams.resize_with(number + 1, || None);
    }
    let known = index.streams[number].get_or_insert_with(|| FileStream {
        stream: Arc::clone(&stream),
        columns: Arc::default(),
    });
    if known.stream.id != stream.id {
        return Ok(Err("two streams share one number".into()));
    }
    let table = Arc::make_mut(&mut known.columns);
    // Where a description before this one is damaged, its columns stay nameless.
    table.resize(first, NAMELESS);
    table.extend_from_slice(&columns);
    Ok(Ok(()))
}

/// Reads parts of groups of one file.
#[derive(Debug)]
pub(crate) struct GroupReader {
    file: Arc<dyn IoFile>,
    pco: FileDecompressor,
    path: PathBuf,
}

impl GroupReader {
    pub(crate) fn open(segment: &Segment, index: &Index, io: &dyn Io) -> std::io::Result<Option<Self>> {
        let Some(pco) = column::pco_reader(&index.pco) else {
            return Ok(None);
        };
        Ok(Some(Self {
            file: io.open(&segment.path, Mode::Read)?,
            pco,
            path: segment.path.clone(),
        }))
    }

    /// `what` of a group, for a log line.
    pub(crate) fn place(&self, group: &Group, what: &str) -> String {
        format!("{} at byte {}: {what}", self.path.display(), group.offset)
    }

    fn part(&self, group: &Group, at: u64, len: u32, crc: u32) -> std::io::Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; len as usize];
        io::read_exact_at(self.file.as_ref(), &mut bytes, group.offset + at)?;
        Ok((crc32c::crc32c(&bytes) == crc).then_some(bytes))
    }

    /// The timestamps; `None` when they are damaged.
    pub(crate) fn times(&self, group: &Group, codec: &mut Codec) -> std::io::Result<Option<Vec<i64>>> {
        let header = &group.header;
        let bytes = self.part(group, header.times_at(), header.times_len, header.times_crc)?;
        Ok(bytes.and_then(|bytes| codec.decode_times(&self.pco, &bytes, header.rows as usize)))
    }

    /// The directory's bytes; `None` when they are damaged.
    pub(crate) fn directory(&self, group: &Group) -> std::io::Result<Option<Vec<u8>>> {
        let header = &group.header;
        self.part(
            group,
            header.directory_at(),
            header.directory_len,
            header.directory_crc,
        )
    }

    /// Appends a column's values; `None` when they are damaged, else its validity runs if it has gaps.
    #[expect(
        clippy::option_option,
        reason = "the outer one is damage, the inner one is the answer"
    )]
    pub(crate) fn column(
        &self,
        group: &Group,
        entry: &Entry,
        codec: &mut Codec,
        out: &mut Vec<f64>,
    ) -> std::io::Result<Option<Option<Vec<u32>>>> {
        let header = &group.header;
        let mut blob = Vec::new();
        if entry.coding != column::Coding::Constant {
            let end = u64::from(entry.offset) + u64::from(entry.len);
            if u64::from(entry.offset) < header.blobs_at() || end > header.directory_at() {
                return Ok(None);
            }
            match self.part(group, u64::from(entry.offset), entry.len, entry.stats.crc)? {
                Some(bytes) => blob = bytes,
                None => return Ok(None),
            }
        }
        let start = out.len();
        let runs = codec.decode(&self.pco, entry, &blob, header.rows, out);
        if runs.is_none() {
            out.truncate(start);
        }
        Ok(runs)
    }

    /// Whether every byte of the group is as it was written.
    pub(crate) fn is_whole(&self, group: &Group) -> std::io::Result<bool> {
        let mut bytes = vec![0; group.header.len as usize];
        io::read_exact_at(self.file.as_ref(), &mut bytes, group.offset)?;
        Ok(group::is_whole(&bytes))
    }
}
