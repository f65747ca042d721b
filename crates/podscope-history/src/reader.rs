//! Reading parts of the groups of one file.

use std::path::PathBuf;
use std::sync::Arc;

use pco::wrapped::FileDecompressor;

use crate::codec::{self, Codec};
use crate::column::{Coding, Entry};
use crate::file_header::FILE_HEADER_BYTES;
use crate::group;
use crate::index::{Group, Index};
use crate::io::{self, Io, IoFile, Mode};
use crate::segment::Segment;
use crate::varint::u32_at;

/// Reads parts of groups of one file.
#[derive(Debug)]
pub(crate) struct GroupReader {
    file: Arc<dyn IoFile>,
    pco: FileDecompressor,
    path: PathBuf,
}

impl GroupReader {
    /// # Errors
    /// `NotFound` also where the file was written anew since its index was read: a newer view knows the new one.
    pub(crate) fn open(segment: &Segment, index: &Index, io: &dyn Io) -> std::io::Result<Option<Self>> {
        let Some(pco) = codec::pco_reader(&index.file.pco) else {
            return Ok(None);
        };
        let file = io.open(&segment.path, Mode::Read)?;
        let mut header = [0; FILE_HEADER_BYTES];
        io::read_exact_at(file.as_ref(), &mut header, 0)?;
        if u32_at(&header, FILE_HEADER_BYTES - 4) != index.file.stamp {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        Ok(Some(Self {
            file,
            pco,
            path: segment.path.clone(),
        }))
    }

    /// A reader that takes the whole file into memory at once, to go through all of it.
    ///
    /// # Errors
    /// As [`GroupReader::open`].
    pub(crate) fn whole(segment: &Segment, index: &Index, io: &dyn Io) -> std::io::Result<Option<Self>> {
        let Some(mut reader) = Self::open(segment, index, io)? else {
            return Ok(None);
        };
        let mut bytes = vec![0; segment.len as usize];
        io::read_exact_at(reader.file.as_ref(), &mut bytes, 0)?;
        reader.file = Arc::new(InMemory(bytes));
        Ok(Some(reader))
    }

    /// A reader of a file that was opened elsewhere, with the index that was read from it.
    pub(crate) fn over(file: Arc<dyn IoFile>, index: &Index, path: &std::path::Path) -> Option<Self> {
        Some(Self {
            file,
            pco: codec::pco_reader(&index.file.pco)?,
            path: path.to_owned(),
        })
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
        if entry.coding != Coding::Constant {
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

/// A file's bytes, to be read only.
#[derive(Debug)]
pub(crate) struct InMemory(pub(crate) Vec<u8>);

impl IoFile for InMemory {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = self.0.get(at..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, _: &[u8], _: u64) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    fn sync(&self) -> std::io::Result<()> {
        Ok(())
    }

    fn set_len(&self, _: u64) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    fn size(&self) -> std::io::Result<u64> {
        Ok(self.0.len() as u64)
    }
}
