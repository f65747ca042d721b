//! The history of one node: rows of samples in columns, on local disk, safe against a kill at any instant.

mod catalog;
mod column;
mod covered;
mod error;
mod group;
mod head;
pub mod io;
mod recover;
mod retention;
mod schema;
mod segment;
mod select;
mod store;
mod timeline;
mod token;
mod validity;
mod varint;
mod wal;
mod writer;

pub use error::{Appended, HistoryError, HistoryStats, Lost, Recovery};
pub use store::History;

use std::path::PathBuf;
use std::time::Duration;

/// Where the history lies and how much of it is kept.
#[derive(Clone, Debug)]
pub struct Options {
    pub dir: PathBuf,
    /// Segments whose rows are all older are removed.
    pub max_age: Duration,
    /// Above this many bytes of segments the oldest are removed.
    pub max_bytes: u64,
    /// The longest time for which written rows may be lost by a power cut. A killed process loses nothing.
    pub sync_interval: Duration,
    /// Rows after which a stream's chunk is sealed into a segment.
    pub chunk_rows: usize,
    /// With less than this free on the file system, the history stops growing: it removes as much as it adds.
    pub free_space_floor: u64,
}

impl Options {
    /// Seven days, 2 GB, 5 s, 600 rows, 512 MiB.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            max_age: Duration::from_secs(7 * 24 * 3600),
            max_bytes: 2_000_000_000,
            sync_interval: Duration::from_secs(5),
            chunk_rows: 600,
            free_space_floor: 512 << 20,
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
