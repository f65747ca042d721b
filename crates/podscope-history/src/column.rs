//! The directory of a sealed chunk: where each column lies, how it is coded, what it amounts to. The layout is described
//! at the crate's root.

use crate::group::Header;
use crate::varint::u32_at;

/// Bytes of a directory entry.
pub(crate) const ENTRY_BYTES: usize = 16;
/// Bytes that a column that is not constant has besides: checksum and number of samples.
pub(crate) const STATS_BYTES: usize = 8;
/// The same in chunks of the first version, which went on with five figures that nobody needed.
pub(crate) const LONG_STATS_BYTES: usize = 48;

/// How the values of a column are stored. The numbers are part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// The same bits in every row; they are in the entry.
    Constant = 0,
    /// Tokens, as in the open chunk.
    Tokens = 1,
    /// Integers, scaled, through pco.
    Integers = 2,
    /// Doubles through pco.
    Floats = 3,
}

impl Coding {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Constant, Self::Tokens, Self::Integers, Self::Floats]
            .get(usize::from(byte))
            .copied()
    }
}

/// The blob opens with validity runs.
pub(crate) const GAPS: u8 = 1;
/// A value is NaN.
pub(crate) const HAS_NAN: u8 = 2;

/// A directory entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    /// Place of the column in the file's table of the stream's columns.
    pub(crate) column: u32,
    pub(crate) coding: Coding,
    /// Of [`Coding::Integers`]: see [`crate::scale`].
    pub(crate) scale: u8,
    pub(crate) flags: u8,
    /// Offset of the blob within the group, or half of the constant's bits.
    pub(crate) offset: u32,
    pub(crate) len: u32,
    pub(crate) stats: Stats,
}

/// What is needed to read a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stats {
    pub(crate) crc: u32,
    /// Samples.
    pub(crate) count: u32,
}

impl Stats {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.crc.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
    }
}

impl Entry {
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.column.to_le_bytes());
        out.extend_from_slice(&[self.coding as u8, self.scale, self.flags, 0]);
        out.extend_from_slice(&self.offset.to_le_bytes());
        out.extend_from_slice(&self.len.to_le_bytes());
    }

    /// Entry `at` of a group's directory; `variable` counts those before it that have a blob, and counts on.
    pub(crate) fn read(directory: &[u8], header: &Header, at: usize, variable: &mut usize) -> Option<Self> {
        let bytes = directory.get(at * ENTRY_BYTES..(at + 1) * ENTRY_BYTES)?;
        let coding = Coding::from_byte(bytes[4])?;
        let mut entry = Self {
            column: u32_at(bytes, 0),
            coding,
            scale: bytes[5],
            flags: bytes[6],
            offset: u32_at(bytes, 8),
            len: u32_at(bytes, 12),
            stats: Stats {
                crc: 0,
                count: header.rows,
            },
        };
        if coding != Coding::Constant {
            let start = header.columns as usize * ENTRY_BYTES + *variable * header.stats_bytes();
            let stats = directory.get(start..start + STATS_BYTES)?;
            entry.stats = Stats {
                crc: u32_at(stats, 0),
                count: u32_at(stats, 4),
            };
            *variable += 1;
        }
        Some(entry)
    }

    pub(crate) fn constant(&self) -> f64 {
        f64::from_bits(u64::from(self.len) << 32 | u64::from(self.offset))
    }

    pub(crate) fn has_gaps(&self) -> bool {
        self.flags & GAPS != 0
    }
}
