//! Reading a write-ahead log up to its first unsound record.

use std::sync::{Arc, RwLock};

use crate::catalog::{Catalog, SeriesId, Stream};
use crate::schema;
use crate::token::{self, Token};
use crate::varint::{Reader, u32_at, u64_at};
use crate::wal::{COLUMNS, HEADER_BYTES, MAGIC, MAX_RECORD, ROW, START, VERSION, checksum};

/// One thing that a log says.
#[derive(Debug)]
pub(crate) enum Event<'a> {
    /// The rows of this stream that follow are numbered from `first_row`.
    Start {
        stream: Arc<Stream>,
        epoch: u32,
        first_row: u64,
        follows: Option<i64>,
    },
    /// A row of a stream: its time and its samples.
    Row {
        stream: &'a Arc<Stream>,
        epoch: u32,
        row: u64,
        t_ms: i64,
        samples: &'a [(SeriesId, f64)],
    },
}

/// How far a log could be read.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) id: u64,
    /// Bytes up to the end of the last sound record.
    pub(crate) sound: usize,
    /// Why it goes no further; `None` when all of it was read.
    pub(crate) reason: Option<&'static str>,
}

struct Replay {
    stream: Arc<Stream>,
    epoch: u32,
    next_row: u64,
    columns: Vec<SeriesId>,
    last: Vec<f64>,
    present: Vec<bool>,
    t_ms: i64,
}

/// Reads a log up to its first unsound record and hands what it says to `sink`.
pub(crate) fn replay(bytes: &[u8], catalog: &RwLock<Catalog>, mut sink: impl FnMut(Event<'_>)) -> Replayed {
    let mut result = Replayed {
        id: 0,
        sound: 0,
        reason: None,
    };
    if bytes.len() < HEADER_BYTES {
        result.reason = Some("the header is not complete");
        return result;
    }
    let crc = crc32c::crc32c(&bytes[..HEADER_BYTES - 4]);
    if bytes[..8] != MAGIC || crc != u32_at(bytes, HEADER_BYTES - 4) {
        result.reason = Some("the header's checksum is wrong");
        return result;
    }
    if u16::from_le_bytes([bytes[8], bytes[9]]) > VERSION {
        result.reason = Some("it was written by a later version");
        return result;
    }
    result.id = u64_at(bytes, 16);
    result.sound = HEADER_BYTES;
    let mut streams: Vec<Option<Replay>> = Vec::new();
    let mut samples = Vec::new();
    while result.sound < bytes.len() {
        let rest = &bytes[result.sound..];
        let len = u32_at(rest, 0) as usize;
        if rest.len() < 8 || len == 0 || len > MAX_RECORD || rest.len() - 8 < len {
            result.reason = Some("a record is not complete");
            return result;
        }
        let payload = &rest[8..8 + len];
        if checksum(result.id, payload) != u32_at(rest, 4) {
            result.reason = Some("a record's checksum is wrong");
            return result;
        }
        if read_record(payload, &mut streams, &mut samples, catalog, &mut sink).is_none() {
            result.reason = Some("a record makes no sense");
            return result;
        }
        result.sound += 8 + len;
    }
    result
}

fn read_record(
    payload: &[u8],
    streams: &mut Vec<Option<Replay>>,
    samples: &mut Vec<(SeriesId, f64)>,
    catalog: &RwLock<Catalog>,
    sink: &mut impl FnMut(Event<'_>),
) -> Option<()> {
    let mut reader = Reader::new(payload);
    let kind = reader.byte()?;
    let at = usize::try_from(reader.varint()?).ok().filter(|at| *at < 65_536)?;
    if streams.len() <= at {
        streams.resize_with(at + 1, || None);
    }
    match kind {
        START => {
            let spec = crate::StreamSpec {
                name: reader.text()?.to_owned(),
                job: reader.text()?.to_owned(),
                interval_ms: reader.varint()?,
            };
            let epoch = u32::try_from(reader.varint()?).ok()?;
            let first_row = reader.varint()?;
            let follows = if reader.byte()? == 1 {
                Some(reader.signed()?)
            } else {
                None
            };
            let stream = catalog
                .write()
                .unwrap_or_else(std::sync::PoisonError::into_inner)
                .stream(&spec);
            sink(Event::Start {
                stream: Arc::clone(&stream),
                epoch,
                first_row,
                follows,
            });
            streams[at] = Some(Replay {
                stream,
                epoch,
                next_row: first_row,
                columns: Vec::new(),
                last: Vec::new(),
                present: Vec::new(),
                t_ms: 0,
            });
        }
        COLUMNS => {
            let replay = streams[at].as_mut()?;
            let mut catalog = catalog.write().unwrap_or_else(std::sync::PoisonError::into_inner);
            let (_, columns) = schema::decode(reader.rest(), &mut catalog)?;
            replay.columns.extend_from_slice(&columns);
            replay.last.resize(replay.columns.len(), 0.0);
        }
        ROW => {
            let replay = streams[at].as_mut()?;
            read_row(&mut reader, replay, samples)?;
            sink(Event::Row {
                stream: &replay.stream,
                epoch: replay.epoch,
                row: replay.next_row,
                t_ms: replay.t_ms,
                samples,
            });
            replay.next_row += 1;
        }
        _ => return None,
    }
    Some(())
}

fn read_row(reader: &mut Reader<'_>, replay: &mut Replay, samples: &mut Vec<(SeriesId, f64)>) -> Option<()> {
    replay.t_ms = replay.t_ms.wrapping_add(reader.signed()?);
    if reader.byte()? == 1 {
        let bits = reader.bytes(replay.columns.len().div_ceil(8))?;
        replay.present.clear();
        replay
            .present
            .extend((0..replay.columns.len()).map(|at| bits[at / 8] >> (at % 8) & 1 == 1));
    }
    samples.clear();
    let mut run = 0;
    for at in (0..replay.present.len()).filter(|at| replay.present[*at]) {
        if run == 0 {
            match token::read(reader)? {
                Token::Run(count) => run = count,
                Token::Change(change) => {
                    replay.last[at] = change.apply(replay.last[at]);
                    samples.push((replay.columns[at], replay.last[at]));
                    continue;
                }
            }
        }
        run -= 1;
        samples.push((replay.columns[at], replay.last[at]));
    }
    reader.is_empty().then_some(())
}
