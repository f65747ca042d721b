//! The header and trailer of a sealed chunk. Between them: schema, timestamps, column blobs, directory.

use crate::column::{ENTRY_BYTES, LONG_STATS_BYTES, STATS_BYTES};
use crate::varint::{u32_at, u64_at};

pub(crate) const HEADER_BYTES: usize = 128;
pub(crate) const TRAILER_BYTES: usize = 16;
pub(crate) const MAGIC: [u8; 8] = *b"PODGRUP1";
pub(crate) const TRAILER_MAGIC: [u8; 8] = *b"PODGEND1";

/// Consecutive rows more than two intervals apart: the timestamps have to be looked at to tell when rows were written.
pub(crate) const FLAG_PAUSES: u32 = 1;
/// The directory has short statistics.
pub(crate) const FLAG_SHORT: u32 = 2;
/// The schema is deflated.
pub(crate) const FLAG_DEFLATED: u32 = 4;

/// More rows than any chunk has: what says so is no header, whatever its checksum.
const MAX_ROWS: u32 = 1 << 20;

/// The header of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Header {
    /// Bytes of the whole group, header and trailer included; a multiple of 8.
    pub(crate) len: u32,
    pub(crate) rows: u32,
    /// Number of the stream in this file.
    pub(crate) stream: u32,
    pub(crate) columns: u32,
    /// How many of the columns are not constant.
    pub(crate) variable: u32,
    pub(crate) epoch: u32,
    pub(crate) first_row: u64,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
    /// Milliseconds that a cell of the tier spans; 0 = raw samples.
    pub(crate) tier_ms: u32,
    pub(crate) flags: u32,
    /// Values in all columns.
    pub(crate) samples: u64,
    pub(crate) schema_len: u32,
    pub(crate) schema_crc: u32,
    pub(crate) times_len: u32,
    pub(crate) times_crc: u32,
    pub(crate) blobs_len: u32,
    pub(crate) directory_len: u32,
    pub(crate) directory_crc: u32,
    /// Time of the row before the first, or the first row's own time where the stream (or its epoch) begins.
    pub(crate) follows_ms: i64,
}

impl Header {
    pub(crate) fn bytes(&self) -> [u8; HEADER_BYTES] {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        for field in [
            self.len,
            self.rows,
            self.stream,
            self.columns,
            self.variable,
            self.epoch,
        ] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.first_row.to_le_bytes());
        out.extend_from_slice(&self.first_ms.to_le_bytes());
        out.extend_from_slice(&self.last_ms.to_le_bytes());
        out.extend_from_slice(&self.tier_ms.to_le_bytes());
        out.extend_from_slice(&self.flags.to_le_bytes());
        out.extend_from_slice(&self.samples.to_le_bytes());
        for field in [
            self.schema_len,
            self.schema_crc,
            self.times_len,
            self.times_crc,
            self.blobs_len,
            self.directory_len,
            self.directory_crc,
        ] {
            out.extend_from_slice(&field.to_le_bytes());
        }
        out.extend_from_slice(&self.follows_ms.to_le_bytes());
        let mut bytes = [0; HEADER_BYTES];
        bytes[..out.len()].copy_from_slice(&out);
        let crc = crc32c::crc32c(&bytes[..HEADER_BYTES - 4]);
        bytes[HEADER_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// `None` when the bytes are not a whole, sound header.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEADER_BYTES)?;
        if bytes[..8] != MAGIC
            || crc32c::crc32c(&bytes[..HEADER_BYTES - 4]) != u32_at(bytes, HEADER_BYTES - 4)
        {
            return None;
        }
        let header = Self {
            len: u32_at(bytes, 8),
            rows: u32_at(bytes, 12),
            stream: u32_at(bytes, 16),
            columns: u32_at(bytes, 20),
            variable: u32_at(bytes, 24),
            epoch: u32_at(bytes, 28),
            first_row: u64_at(bytes, 32),
            first_ms: u64_at(bytes, 40) as i64,
            last_ms: u64_at(bytes, 48) as i64,
            tier_ms: u32_at(bytes, 56),
            flags: u32_at(bytes, 60),
            samples: u64_at(bytes, 64),
            schema_len: u32_at(bytes, 72),
            schema_crc: u32_at(bytes, 76),
            times_len: u32_at(bytes, 80),
            times_crc: u32_at(bytes, 84),
            blobs_len: u32_at(bytes, 88),
            directory_len: u32_at(bytes, 92),
            directory_crc: u32_at(bytes, 96),
            follows_ms: u64_at(bytes, 100) as i64,
        };
        let parts = HEADER_BYTES as u64
            + u64::from(header.schema_len)
            + u64::from(header.times_len)
            + u64::from(header.blobs_len)
            + u64::from(header.directory_len)
            + TRAILER_BYTES as u64;
        let sound = parts <= u64::from(header.len)
            && header.rows <= MAX_ROWS
            && header.len.is_multiple_of(8)
            && u64::from(header.directory_len)
                == u64::from(header.columns) * ENTRY_BYTES as u64
                    + u64::from(header.variable) * header.stats_bytes() as u64;
        sound.then_some(header)
    }

    /// Bytes of the directory for each column that is not constant, besides its entry.
    pub(crate) fn stats_bytes(&self) -> usize {
        if self.flags & FLAG_SHORT == 0 {
            LONG_STATS_BYTES
        } else {
            STATS_BYTES
        }
    }

    pub(crate) fn times_at(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.schema_len)
    }

    pub(crate) fn blobs_at(&self) -> u64 {
        self.times_at() + u64::from(self.times_len)
    }

    pub(crate) fn directory_at(&self) -> u64 {
        self.blobs_at() + u64::from(self.blobs_len)
    }

    pub(crate) fn next_row(&self) -> u64 {
        self.first_row + u64::from(self.rows)
    }
}

/// Whether the bytes of a group are as they were written: its trailer holds the checksum of all before it.
pub(crate) fn is_whole(group: &[u8]) -> bool {
    let Some(at) = group.len().checked_sub(TRAILER_BYTES) else {
        return false;
    };
    group[at + 8..] == TRAILER_MAGIC
        && u32_at(group, at + 4) as usize == group.len()
        && u32_at(group, at) == crc32c::crc32c(&group[..at])
}

const _: () = assert!(8 + 6 * 4 + 3 * 8 + 2 * 4 + 8 + 7 * 4 + 8 <= HEADER_BYTES - 4);
