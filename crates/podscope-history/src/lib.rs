//! The history of one node: rows of samples in columns, on local disk, safe against a kill at any instant.
//!
//! A *stream* is what one collector writes: rows of samples with a common millisecond timestamp. A *chunk* is some
//! minutes of one stream. The open chunk of every stream lies in memory, compressed as it comes, and row by row in the
//! write-ahead log; a full chunk is sealed into the segment file of its hour. Columns join and leave a chunk at any row.
//!
//! # Promises
//! * A row that [`History::append`] took was handed to the kernel: a killed process loses none. A power cut loses at most
//!   [`Options::sync_interval`] of rows, never a sealed chunk.
//! * Every byte that is read was checked against a checksum first. What fails is skipped and named, never shown.
//! * A disk that is full, read-only or broken stops nothing: rows stay in memory (up to a bound) until it works again.
//! * A clock that is set back begins a new *epoch* of its streams: nothing is refused, nothing stored is changed. Where
//!   epochs overlap in time, reading sees the one written last. A clock that jumps ahead makes nothing old: age is judged
//!   by a clock that believes such a jump only after a day.
//! * A series that is missing from a row of its stream gets one [`podscope_model::sample::STALE`] sample at that row's
//!   time when the row before it, within the window that is read, had it. An empty row ends all series of its stream; time
//!   without rows ends nothing.
//!
//! # Tiers
//! Once an hour is over, its samples are summed up into cells of a minute, a day's minutes into cells of an hour, and the
//! chunks of the file are packed together: rewritten as one chunk per stream. The cells come first and are durable before the
//! file is marked as finished, so that a crash repeats work and loses none. Cells that are not in files yet are worked out from the
//! finer data when they are asked for: there is no seam, and rows that come late into a finished hour count. A cell stands for
//! `end - length < t <= end` and keeps sum, count, least, greatest, first and last value, their times, and what a counter lost
//! in resets. So windows of whole cells get the very answer that samples give (`tests/history/tiers.rs`).
//!
//! # Files
//! | name | what it holds |
//! | --- | --- |
//! | `leaf-id` | 32 hexadecimal digits: the id of this store |
//! | `lock` | locked (`flock`) while a process has the store open |
//! | `raw-<s>.seg` | the sealed chunks whose rows lie in the hour after `<s>` seconds after 1970, its end included |
//! | `min-<s>.seg` | cells of a minute of the day after `<s>` |
//! | `hour-<s>.seg` | cells of an hour of the thirty days after `<s>` |
//! | `wal-<n>.log` | rows that are not sealed; the one with the highest number is being written |
//! | `wal-<n>.cut` | what a damaged log held past its last sound record; the last four are kept |
//! | `*.bad` | a segment whose file header cannot be read, set aside when a new chunk of its time was to be written |
//! | `*.<n>.piece` | what [`repair()`] cut out of a file, from its byte `<n>` on |
//!
//! # Format, version 2
//! Numbers are little-endian; *varint* is LEB128, *signed* a zigzag varint, *string* a varint length and UTF-8. Every
//! checksum is CRC-32C. A program refuses files whose version is higher than its own, and reads all lower ones.
//!
//! ## Segment
//! A file header and groups, one group per sealed chunk, appended and synced; a file is made complete with its first
//! group, or written anew, under a temporary name. A torn group at the end is cut off on the next start, when its rows come
//! from the log.
//!
//! ```text
//! file header, 64 bytes
//!   0 "PODSEGM1" | 8 u16 version | 10 u16 tier (0 = raw, 1 = minute, 2 = hour) | 12 u32 bytes of pco's header
//!   16 i64 start of its time, ms | 24 u64 span, ms | 32 pco's header
//!   52 u64 as many bytes were finished, summed up and packed (0: not yet) | 60 u32 checksum of bytes 0..60
//! group, a multiple of 8 bytes
//!   header, 128 bytes
//!     0 "PODGRUP1" | 8 u32 length of the group | 12 u32 rows | 16 u32 number of the stream in this file
//!     20 u32 columns | 24 u32 columns that are not constant | 28 u32 epoch | 32 u64 number of the first row
//!     40 i64 first, 48 i64 last timestamp, ms | 56 u32 span of a cell, ms (0 = raw)
//!     60 u32 flags (1 = pauses, 2 = short directory, 4 = deflated schema)
//!     64 u64 samples | 72 u32 length, 76 u32 checksum of the schema | 80, 84 the same of the timestamps
//!     88 u32 length of the blobs | 92 u32 length, 96 u32 checksum of the directory
//!     100 i64 time of the row before the first (the first row's own, where the epoch begins) | 108 zero
//!     124 u32 checksum of bytes 0..124
//!   schema      only what the file does not describe yet: varint number of the first column, then see below
//!   timestamps  one pco page of i64
//!   blobs       one per column that is not constant
//!   directory   16 bytes per column, in order of the column's number
//!                 0 u32 column | 4 u8 coding | 5 u8 scale | 6 u8 flags | 7 zero | 8 u32 offset in the group, 12 u32 length
//!                 (constant: 8 u64 bits of the value)
//!               then 8 bytes per column that is not constant, in the same order: 0 u32 checksum of the blob | 4 u32 samples
//!               (without flag 2, version 1, 48 bytes: then 8 f64 min, max, sum, first, last)
//!   zeros       up to a multiple of 8
//!   trailer     0 u32 checksum of all before it | 4 u32 length of the group | 8 "PODGEND1"
//! ```
//! A blob is, with flag 1, the column's validity - varint run lengths, valid and absent in turn, valid first, the sum is
//! the number of rows - and then its values: coding 1 tokens as in the log, 2 a pco page of i64, 3 a pco page of f64. The
//! doubles of coding 2 are `i / 10^k` for scale `k`, `i * 10^-k` for scale `0x80 + k`. Coding 0 has no blob. Flag 2: NaN
//! among the values.
//!
//! A group of cells has a row per cell, at its end. Its column `16 * (1 + c) + k` is the kind `k` of the file's column `c`, column
//! `k` alone that of the stream's rows: 0 count, 1 and 2 ms from the cell's begin to the first and the last sample, 3 first, 4 last, 5
//! min, 6 max, 7 sum, 8 what was lost in resets. Where a kind is missing, count and times are those of the rows, last and min the
//! first value, max the last one, the sum count times first, and 0 was lost. Of two groups with the same cell the later one counts.
//!
//! A schema names the stream and some of its columns; those of a file are numbered in order:
//!
//! ```text
//! string name | string job | varint interval, ms | varint strings, each a string
//! varint metrics, each: name, kind, unit, help | varint columns, each: varint labels, each: name, value
//! ```
//! where the metrics' and labels' words are varint numbers of the strings, and `job` is left out.
//!
//! ## Log
//! ```text
//! header, 32 bytes: 0 "PODWAL_1" | 8 u16 version | 16 u64 number of the log | 28 u32 checksum of bytes 0..28
//! record: u32 length | u32 checksum of the log's number (u64) and the payload | payload
//! payload, first byte 1: a chunk begins. varint stream in this log | string name | string job | varint interval
//!                        varint epoch | varint number of the first row | 0, or 1 and signed time of the row before
//!                     2: columns that follow those of the chunk. varint stream | schema
//!                     3: a row. varint stream | signed ms after the chunk's row before (at first: after 1970)
//!                        0, or 1 and a bitmap of the columns present, lowest bit first (0: those of the row before)
//!                        tokens of the present columns, each against the column's value before
//! token, varint x: x & 3 = 0: unchanged, for (x >> 2) + 1 columns | 1: plus the integer unzigzag(x >> 2)
//!                  2: 8 bytes, the value's bits | 3: y = x >> 2, s = 10^(1 2 3 4 5 6 8 9)[y & 7],
//!                  value = (round(before * s) + unzigzag(y >> 3)) / s; the value before the first is 0
//! ```
//! A log holds every row that is not sealed. A new one is begun after sealing and after any write or sync that failed, with
//! the rows still in memory; those before it are removed when it is durable. Rows are numbered within their stream, so a
//! row that two logs hold, or a log and a segment, is taken once. Reading stops at the first record that is not sound.

mod catalog;
mod cells;
mod check;
mod codec;
mod column;
mod covered;
mod draft;
mod error;
pub mod events;
mod file_header;
mod finish;
#[doc(hidden)]
pub mod fuzz_bodies;
mod gather;
mod group;
mod head;
mod index;
pub mod io;
mod logs;
mod maintain;
mod merge;
mod plan;
mod reader;
mod recover;
mod repair;
mod replay;
mod resolution;
mod retention;
mod scale;
mod schema;
mod segment;
mod select;
mod store;
mod stream_state;
mod tier;
mod tiered;
mod timeline;
mod token;
mod validity;
mod varint;
mod wal;
mod writer;

pub use check::{BadPiece, CheckReport, CheckedFile, check};
pub use error::{Appended, HistoryError, HistoryStats, Lost, Recovery};
pub use repair::{RepairReport, Repaired, repair};
pub use store::History;

use std::path::PathBuf;
use std::time::Duration;

/// Where the history lies and how much of it is kept.
#[derive(Clone, Debug)]
pub struct Options {
    pub dir: PathBuf,
    /// Segments of raw samples whose rows are all older are removed.
    pub max_age: Duration,
    /// Above this many bytes of raw segments the oldest are removed.
    pub max_bytes: u64,
    /// The same for the cells of a minute.
    pub minute: TierLimits,
    /// The same for the cells of an hour.
    pub hour: TierLimits,
    /// The longest time for which written rows may be lost by a power cut. A killed process loses nothing.
    pub sync_interval: Duration,
    /// Rows after which a stream's chunk is sealed into a segment.
    pub chunk_rows: usize,
    /// With less than this free on the file system, the history stops growing: it removes as much as it adds.
    pub free_space_floor: u64,
}

/// How much is kept of one tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TierLimits {
    pub max_age: Duration,
    pub max_bytes: u64,
}

const DAY: Duration = Duration::from_secs(24 * 3600);

impl Options {
    /// Raw samples for 7 days in 1 GB, cells of a minute for 90 days in 700 MB, cells of an hour for two years in 300 MB;
    /// 5 s, 600 rows, 512 MiB.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            max_age: 7 * DAY,
            max_bytes: 1_000_000_000,
            minute: TierLimits {
                max_age: 90 * DAY,
                max_bytes: 700_000_000,
            },
            hour: TierLimits {
                max_age: 730 * DAY,
                max_bytes: 300_000_000,
            },
            sync_interval: Duration::from_secs(5),
            chunk_rows: 600,
            free_space_floor: 512 << 20,
        }
    }

    fn limits(&self, tier: tier::Tier) -> TierLimits {
        match tier {
            tier::Tier::Raw => TierLimits {
                max_age: self.max_age,
                max_bytes: self.max_bytes,
            },
            tier::Tier::Minute => self.minute,
            tier::Tier::Hour => self.hour,
        }
    }
}

/// A stream of rows: what one collector writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamSpec {
    pub name: String,
    /// The `job` label that every series of the stream gets; empty: none.
    pub job: String,
    pub interval_ms: u64,
}
