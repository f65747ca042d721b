//! The write-ahead log: every row that is not in a segment yet.
//!
//! The layout is described at the crate's root. A log always holds all rows that are not sealed: after sealing, and
//! after any write that failed, a new log is begun with the rows still in memory, and the old ones are removed.

use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use crate::catalog::{Catalog, SeriesId};
use crate::head::Head;
use crate::io::{self, Io, IoFile, Mode};
use crate::schema;
use crate::token::{self, Values};
use crate::varint;

pub(crate) const HEADER_BYTES: usize = 32;
pub(crate) const MAGIC: [u8; 8] = *b"PODWAL_1";
pub(crate) const VERSION: u16 = 1;
pub(crate) const START: u8 = 1;
pub(crate) const COLUMNS: u8 = 2;
pub(crate) const ROW: u8 = 3;
/// A longer record is damage, not data.
pub(crate) const MAX_RECORD: usize = 64 << 20;

pub(crate) fn file_name(id: u64) -> String {
    format!("wal-{id:012}.log")
}

pub(crate) fn parse_name(name: &str) -> Option<u64> {
    name.strip_prefix("wal-")?.strip_suffix(".log")?.parse().ok()
}

fn header(id: u64) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    bytes[16..24].copy_from_slice(&id.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..HEADER_BYTES - 4]);
    bytes[HEADER_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Seeded with the log's number: bytes of another log on a recycled block never pass.
pub(crate) fn checksum(id: u64, payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&id.to_le_bytes()), payload)
}

/// What the log knows of one stream's head, to write the next row against.
#[derive(Debug)]
struct Track {
    first_row: u64,
    epoch: u32,
    columns: usize,
    last: Vec<f64>,
    hints: Vec<u8>,
    present: Vec<bool>,
    t_ms: i64,
}

impl Track {
    fn new(head: &Head) -> Self {
        Self {
            first_row: head.first_row,
            epoch: head.epoch,
            columns: 0,
            last: Vec::new(),
            hints: Vec::new(),
            present: Vec::new(),
            t_ms: 0,
        }
    }
}

/// The log being written.
#[derive(Debug)]
pub(crate) struct Wal {
    pub(crate) file: Arc<dyn IoFile>,
    pub(crate) path: PathBuf,
    pub(crate) id: u64,
    pub(crate) len: u64,
    buffer: Vec<u8>,
    tracks: Vec<Option<Track>>,
}

impl Wal {
    pub(crate) fn create(io: &dyn Io, dir: &Path, id: u64) -> std::io::Result<Self> {
        let path = dir.join(file_name(id));
        let file = io.open(&path, Mode::Create)?;
        let mut wal = Self {
            file,
            path,
            id,
            len: 0,
            buffer: header(id).to_vec(),
            tracks: Vec::new(),
        };
        wal.flush()?;
        Ok(wal)
    }

    /// Writes what was put since the last flush. After an error the log must not be used any more.
    pub(crate) fn flush(&mut self) -> std::io::Result<()> {
        if !self.buffer.is_empty() {
            io::write_all_at(self.file.as_ref(), &self.buffer, self.len)?;
            self.len += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }

    fn record(&mut self, payload: impl FnOnce(&mut Vec<u8>)) {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[0; 8]);
        payload(&mut self.buffer);
        let crc = checksum(self.id, &self.buffer[start + 8..]);
        let len = (self.buffer.len() - start - 8) as u32;
        self.buffer[start..start + 4].copy_from_slice(&len.to_le_bytes());
        self.buffer[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
    }

    fn track(&mut self, stream: u32) -> &mut Option<Track> {
        let at = stream as usize;
        if self.tracks.len() <= at {
            self.tracks.resize_with(at + 1, || None);
        }
        &mut self.tracks[at]
    }

    /// Puts one row of a head: `present` and `values` by column of the head, whose columns are `columns`.
    pub(crate) fn put_row(
        &mut self,
        head: &Head,
        columns: &[SeriesId],
        t_ms: i64,
        present: &[bool],
        values: &[f64],
        catalog: &RwLock<Catalog>,
    ) {
        let id = head.stream.id;
        let known = self
            .track(id)
            .as_ref()
            .filter(|track| (track.first_row, track.epoch) == (head.first_row, head.epoch));
        let described = known.map(|track| track.columns);
        if described.is_none() {
            let follows = head.follows;
            self.record(|out| put_start(out, head, follows));
            *self.track(id) = Some(Track::new(head));
        }
        let described = described.unwrap_or(0);
        if columns.len() > described {
            let catalog = catalog.read().unwrap_or_else(std::sync::PoisonError::into_inner);
            self.record(|out| {
                out.push(COLUMNS);
                varint::put(out, u64::from(id));
                schema::encode(out, &head.stream, &columns[described..], &catalog);
            });
        }
        let Some(mut track) = self.track(id).take() else {
            return;
        };
        track.columns = columns.len();
        track.last.resize(columns.len(), 0.0);
        track.hints.resize(columns.len(), 0);
        self.record(|out| put_row(out, id, &mut track, t_ms, present, values));
        *self.track(id) = Some(track);
    }

    /// Puts all rows of a head, as they would have been put one by one.
    pub(crate) fn put_head(&mut self, head: &Head, catalog: &RwLock<Catalog>) {
        let (times, columns, copies) = {
            let body = head.body();
            let columns: Vec<SeriesId> = body.columns.iter().map(|column| column.series).collect();
            let copies: Vec<_> = (0..columns.len()).map(|at| body.copy(at as u32)).collect();
            (body.times.clone(), columns, copies)
        };
        let mut readers: Vec<(Values<'_>, RunCursor<'_>)> = copies
            .iter()
            .map(|copy| (Values::new(&copy.tokens), RunCursor::new(copy.runs.as_deref())))
            .collect();
        let (mut present, mut values) = (vec![false; columns.len()], vec![0.0; columns.len()]);
        for t_ms in times {
            for (at, (tokens, runs)) in readers.iter_mut().enumerate() {
                present[at] = runs.next_is_valid();
                if present[at] {
                    values[at] = tokens.next().unwrap_or(f64::NAN);
                }
            }
            self.put_row(head, &columns, t_ms, &present, &values, catalog);
        }
    }

    /// Remembers where a stream stands that has no row in memory.
    pub(crate) fn put_idle(&mut self, head: &Head, follows: Option<i64>) {
        self.record(|out| put_start(out, head, follows));
        *self.track(head.stream.id) = Some(Track::new(head));
    }
}

fn put_start(out: &mut Vec<u8>, head: &Head, follows: Option<i64>) {
    out.push(START);
    varint::put(out, u64::from(head.stream.id));
    varint::put_str(out, &head.stream.spec.name);
    varint::put_str(out, &head.stream.spec.job);
    varint::put(out, head.stream.spec.interval_ms);
    varint::put(out, u64::from(head.epoch));
    varint::put(out, head.first_row);
    match follows {
        None => out.push(0),
        Some(t_ms) => {
            out.push(1);
            varint::put_signed(out, t_ms);
        }
    }
}

/// `flag`: 0 = the columns present are those of the row before; 1 = a bitmap follows.
fn put_row(out: &mut Vec<u8>, stream: u32, track: &mut Track, t_ms: i64, present: &[bool], values: &[f64]) {
    out.push(ROW);
    varint::put(out, u64::from(stream));
    varint::put_signed(out, t_ms.wrapping_sub(track.t_ms));
    track.t_ms = t_ms;
    if track.present == present {
        out.push(0);
    } else {
        out.push(1);
        out.extend(present.chunks(8).map(|eight| {
            eight
                .iter()
                .enumerate()
                .fold(0_u8, |bits, (at, set)| bits | u8::from(*set) << at)
        }));
        track.present.clear();
        track.present.extend_from_slice(present);
    }
    let mut run = 0;
    for (at, &value) in values.iter().enumerate().filter(|(at, _)| present[*at]) {
        if value.to_bits() == track.last[at].to_bits() {
            run += 1;
            continue;
        }
        token::put_run(out, run);
        run = 0;
        token::put_change(out, track.last[at], value, &mut track.hints[at]);
        track.last[at] = value;
    }
    token::put_run(out, run);
}

/// Walks validity runs row by row.
struct RunCursor<'a> {
    runs: Option<&'a [u32]>,
    at: usize,
    left: u32,
}

impl<'a> RunCursor<'a> {
    fn new(runs: Option<&'a [u32]>) -> Self {
        Self {
            runs,
            at: 0,
            left: runs.and_then(|runs| runs.first().copied()).unwrap_or(0),
        }
    }

    fn next_is_valid(&mut self) -> bool {
        let Some(runs) = self.runs else { return true };
        while self.left == 0 {
            self.at += 1;
            match runs.get(self.at) {
                Some(run) => self.left = *run,
                None => return false,
            }
        }
        self.left -= 1;
        self.at.is_multiple_of(2)
    }
}
