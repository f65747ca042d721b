//! The event store: what happened on or around this node, kept durably beside the samples.
//!
//! Events are appended to files of some hundred kilobytes; nothing written is ever changed. A later version of an event is
//! one more record; reading shows the last. A killed process loses no event that was taken; a power cut loses at most
//! [`EventOptions::sync_interval`] of them, and none of the incidents, changes and notes, which are synced at once.
//! A disk that takes nothing stops nothing: events stay in memory, up to a bound, until it does again.
//!
//! # Files, version 1
//! `events-<n>.log`; little-endian, checksums are CRC-32C.
//!
//! ```text
//! header, 24 bytes: 0 "PODEVNT1" | 8 u16 version | 10 zero | 12 u64 number of the file | 20 u32 checksum of bytes 0..20
//! record: u32 "EVT1" | u32 length of the payload | u32 checksum of the file's number (u64) and the payload | payload
//! payload: u128 id | i64 time | i64 last instant (2^63-1: open) | i64 stored | u32 version | StoredEvent as JSON
//! ```
//! A record that is not sound is skipped, counted and named; reading goes on at the next one. A process never appends to
//! a file that it did not begin, so that a torn end harms nobody.

mod file;
mod limit;
mod search;
mod store;

use std::path::PathBuf;
use std::time::Duration;

pub use search::{EventSearch, FoundEvents};
pub use store::{EventStore, Taken};

/// Where events are kept and how many of them.
#[derive(Clone, Debug)]
pub struct EventOptions {
    pub dir: PathBuf,
    /// Events are removed when both their end and their arrival are older than this. Open ones stay.
    pub max_age: Duration,
    /// Above this many bytes the oldest files are removed; what is still open in them is carried over.
    pub max_bytes: u64,
    /// The longest time for which log lines, alarms and the like may be lost by a power cut.
    pub sync_interval: Duration,
    /// Events per second that one source may add in the long run, and how many at once; what is more is counted.
    pub rate: f64,
    pub burst: f64,
    /// Bytes of a file after which the next one is begun.
    pub file_bytes: u64,
}

impl EventOptions {
    /// 90 days, 64 MB, 5 s, 50 per second and source with bursts of 1,000.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            max_age: Duration::from_secs(90 * 24 * 3600),
            max_bytes: 64_000_000,
            sync_interval: Duration::from_secs(5),
            rate: 50.0,
            burst: 1000.0,
            file_bytes: 512 << 10,
        }
    }
}

/// What [`EventStore::open`] found. Its text is one line for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventRecovery {
    pub files: u64,
    pub events: u64,
    /// What could not be read, with its place.
    pub unreadable: Vec<String>,
    /// The folder cannot be used: events stay in memory and are lost with the process.
    pub memory_only: Option<String>,
}

impl std::fmt::Display for EventRecovery {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} events in {} files", self.events, self.files)?;
        for place in &self.unreadable {
            write!(out, "; {place}")?;
        }
        if let Some(reason) = &self.memory_only {
            write!(
                out,
                "; NOT WRITABLE, new events are kept in memory only: {reason}"
            )?;
        }
        Ok(())
    }
}

/// Figures about the event store, for `/metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventStats {
    /// Events kept; versions of one count once.
    pub events: u64,
    pub bytes_on_disk: u64,
    /// Since opening.
    pub stored: u64,
    pub updated: u64,
    pub duplicates: u64,
    /// By source: over its rate, or not kept because disk and memory were full.
    pub dropped: std::collections::BTreeMap<String, u64>,
    /// Bytes that were unreadable on disk.
    pub unreadable_bytes: u64,
    /// Why events are kept in memory only at the moment, if they are.
    pub not_writing: Option<String>,
}
