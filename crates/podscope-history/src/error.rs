//! What can go wrong, and what was made good on opening.

use std::fmt;
use std::path::PathBuf;

/// Why the history could not be opened, or a row not be taken.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("the history in {} is in use by another process; stop that one or choose another directory", dir.display())]
    Locked { dir: PathBuf },
    #[error("there is no history in {}; the configuration's data_dir says where it is", dir.display())]
    NoHistory { dir: PathBuf },
    #[error("cannot {step} {}", path.display())]
    Io {
        step: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The row repeats the time of the row before it. Nothing was stored.
    #[error("stream {stream}: a second row for {t_ms} ms; the last row is of {last_ms} ms")]
    OutOfOrder { stream: String, t_ms: i64, last_ms: i64 },
}

/// How a row was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// After the stream's last row.
    InOrder,
    /// Its time lies before the stream's last row: the clock was set back. The row begins a new epoch of the stream: it is
    /// kept, and so is everything before it. Where epochs overlap in time, reading sees the later written one.
    NewEpoch { last_ms: i64 },
}

/// What [`crate::History::open`] found. Its text is one line for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Segment files found.
    pub segments: u64,
    /// Rows taken from the write-ahead log.
    pub rows: u64,
    /// Rows of the log that had been sealed already.
    pub sealed_rows: u64,
    /// What could not be read and was cut off, with its place. The bytes are kept beside it as `.cut` files.
    pub cut: Vec<String>,
    /// The directory cannot be written: new rows stay in memory and are lost with the process.
    pub memory_only: Option<String>,
}

impl fmt::Display for Recovery {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} segments, {} rows from the log ({} more were sealed already)",
            self.segments, self.rows, self.sealed_rows
        )?;
        for cut in &self.cut {
            write!(out, "; {cut}")?;
        }
        if let Some(reason) = &self.memory_only {
            write!(out, "; NOT WRITABLE, new rows are kept in memory only: {reason}")?;
        }
        Ok(())
    }
}

/// What has been lost since opening, and what keeps the history from being written now.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Lost {
    /// Rows that were dropped from memory because they could not be written for too long.
    pub rows: u64,
    /// Pieces of the history that could not be read, each counted once.
    pub pieces: u64,
    /// Their bytes, where it is known how many.
    pub bytes: u64,
    /// Where, newest last; at most 32.
    pub places: Vec<String>,
}

impl Lost {
    pub(crate) fn note(&mut self, bytes: u64, place: String) {
        if self.places.contains(&place) {
            return;
        }
        self.pieces += 1;
        self.bytes += bytes;
        if self.places.len() == 32 {
            self.places.remove(0);
        }
        self.places.push(place);
    }
}

/// Figures about the history, for `/metrics` and `/v1/info`.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct HistoryStats {
    /// Time of the oldest and the newest row kept.
    pub oldest_ms: Option<i64>,
    pub newest_ms: Option<i64>,
    /// Series known to this process: those in memory and in every segment it has looked into.
    pub series: u64,
    /// Segments and logs.
    pub bytes_on_disk: u64,
    pub segments: u64,
    pub wal_bytes: u64,
    /// Memory held by rows that are not sealed.
    pub head_bytes: u64,
    /// Rows and samples taken since opening, those from the log included.
    pub rows: u64,
    pub samples: u64,
    pub lost: Lost,
    /// Why rows are kept in memory only at the moment, if they are.
    pub not_writing: Option<String>,
}
