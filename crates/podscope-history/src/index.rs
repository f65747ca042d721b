//! What a segment file holds: its streams with their columns, and its groups. Read by walking the groups' headers.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use crate::catalog::{Catalog, SeriesId, Stream};
use crate::file_header::{FILE_HEADER_BYTES, FileHeader};
use crate::group::{self, Header};
use crate::io::{self, IoFile};
use crate::schema;
use crate::tier::Key;
use crate::varint;

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
    pub(crate) file: FileHeader,
    /// Bytes from the start up to the end of the last sound group; 0 where not even the file's header is sound.
    pub(crate) sound_len: u64,
    /// Places that could not be read, as sentences.
    pub(crate) bad: Vec<String>,
}

impl Index {
    /// A stream by its number in the file; `None` when its description is damaged.
    pub(crate) fn stream(&self, number: u32) -> Option<&FileStream> {
        self.streams.get(number as usize)?.as_ref()
    }

    /// The number of a stream, made when it is new to the file.
    pub(crate) fn number_of(&mut self, stream: &Arc<Stream>) -> (u32, bool) {
        let known = self
            .streams
            .iter()
            .position(|known| known.as_ref().is_some_and(|known| known.stream.id == stream.id));
        if let Some(at) = known {
            return (at as u32, false);
        }
        self.streams.push(Some(FileStream {
            stream: Arc::clone(stream),
            columns: Arc::default(),
        }));
        (self.streams.len() as u32 - 1, true)
    }
}

/// Walks the groups of a file. An unsound header is skipped by looking for the next sound one.
pub(crate) fn read_index(
    file: &dyn IoFile,
    len: u64,
    key: Key,
    path: &Path,
    catalog: &RwLock<Catalog>,
) -> std::io::Result<Index> {
    let place = |offset: u64, what: &str| format!("{} at byte {offset}: {what}", path.display());
    let len = len.min(file.size()?);
    let mut index = Index::default();
    let mut header = vec![0; FILE_HEADER_BYTES.min(len as usize)];
    io::read_exact_at(file, &mut header, 0)?;
    match FileHeader::parse(&header, key) {
        Ok(header) => index.file = header,
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
            let bytes = if header.flags & group::FLAG_DEFLATED == 0 {
                bytes
            } else {
                schema::inflate(&bytes)?
            };
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
