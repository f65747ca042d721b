//! Functions of bytes that must not panic, whatever the bytes: the readers of segments and logs. Called with seeded mutations
//! by the tests and by the targets in `fuzz/`. Each body also makes the checksums right first, to get behind them.

use std::path::Path;
use std::sync::RwLock;

use podscope_model::cells::CellColumns;

use crate::catalog::Catalog;
use crate::cells;
use crate::check::Looked;
use crate::codec::Codec;
use crate::column::{Coding, ENTRY_BYTES, Entry};
use crate::file_header::FILE_HEADER_BYTES;
use crate::group::{HEADER_BYTES, Header, TRAILER_BYTES};
use crate::replay;
use crate::tier::Tier;
use crate::varint::{u32_at, u64_at};
use crate::wal;

/// A segment file of any tier.
pub fn segment(bytes: &[u8]) {
    look_at(bytes);
    let mut sealed = bytes.to_vec();
    seal_segment(&mut sealed);
    look_at(&sealed);
}

fn look_at(bytes: &[u8]) {
    let tier = Tier::ALL[usize::from(bytes.get(10).copied().unwrap_or(0)) % Tier::ALL.len()];
    let slot = (u64_at(bytes, 16) as i64).div_euclid(tier.span_ms());
    let looked = Looked::at(bytes.to_vec(), (tier, slot), Path::new("fuzzed")).expect("memory can be read");
    let Some(reader) = &looked.reader else { return };
    let mut codec = Codec::default();
    for group in looked.index.groups.iter().filter(|_| tier != Tier::Raw) {
        let Ok(Some(directory)) = reader.directory(group) else {
            continue;
        };
        let mut variable = 0;
        let entries: Vec<Entry> = (0..group.header.columns as usize)
            .map_while(|at| Entry::read(&directory, &group.header, at, &mut variable))
            .collect();
        let own: Vec<Entry> = entries
            .iter()
            .filter(|entry| entry.column < cells::KINDS)
            .copied()
            .collect();
        let Ok(Some(rows)) = cells::read_rows(reader, group, &own, &mut codec) else {
            continue;
        };
        for series in entries.chunk_by(|a, b| a.column / cells::KINDS == b.column / cells::KINDS) {
            let read = cells::read_series(reader, group, series, &rows, CellColumns::ALL, &mut codec);
            if let Ok(Some(found)) = read {
                assert!(found.len() <= rows.len(), "more cells than rows");
                cells::with_ends(found, &rows);
            }
        }
    }
}

/// Makes the checksums of a segment right, as far as its parts lie within it.
fn seal_segment(bytes: &mut [u8]) {
    let put = |bytes: &mut [u8], at: usize, from: usize, to: usize| {
        if let Some(part) = bytes.get(from..to) {
            let crc = crc32c::crc32c(part).to_le_bytes();
            if let Some(place) = bytes.get_mut(at..at + 4) {
                place.copy_from_slice(&crc);
            }
        }
    };
    put(bytes, FILE_HEADER_BYTES - 4, 0, FILE_HEADER_BYTES - 4);
    let mut at = FILE_HEADER_BYTES;
    while at + HEADER_BYTES <= bytes.len() {
        let field = |offset: usize| u32_at(bytes, at + offset) as usize;
        let (len, columns, schema, times) = (field(8), field(20), field(72), field(80));
        let (blobs, directory) = (field(88), field(92));
        let stats_bytes = if field(60) & 2 == 0 { 48 } else { 8 };
        let parts = HEADER_BYTES + schema + times + blobs + directory + TRAILER_BYTES;
        if len < parts || at + len > bytes.len() {
            break;
        }
        let directory_at = at + HEADER_BYTES + schema + times + blobs;
        let mut variable = 0;
        for column in 0..columns.min(directory / ENTRY_BYTES) {
            let entry = directory_at + column * ENTRY_BYTES;
            if bytes[entry + 4] == Coding::Constant as u8 {
                continue;
            }
            let from = at + u32_at(bytes, entry + 8) as usize;
            let to = from + u32_at(bytes, entry + 12) as usize;
            put(
                bytes,
                directory_at + columns * ENTRY_BYTES + variable * stats_bytes,
                from,
                to,
            );
            variable += 1;
        }
        let body = at + HEADER_BYTES;
        put(bytes, at + 76, body, body + schema);
        put(bytes, at + 84, body + schema, body + schema + times);
        put(bytes, at + 96, directory_at, directory_at + directory);
        put(bytes, at + HEADER_BYTES - 4, at, at + HEADER_BYTES - 4);
        put(bytes, at + len - TRAILER_BYTES, at, at + len - TRAILER_BYTES);
        debug_assert!(bytes[at..].starts_with(b"PODGRUP1") || Header::parse(&bytes[at..]).is_none());
        at += len;
    }
}

/// A write-ahead log.
pub fn log(bytes: &[u8]) {
    read_log(bytes);
    let mut sealed = bytes.to_vec();
    seal_log(&mut sealed);
    read_log(&sealed);
}

fn read_log(bytes: &[u8]) {
    let catalog = RwLock::new(Catalog::default());
    let replayed = replay::replay(bytes, &catalog, |_| {});
    assert!(replayed.sound <= bytes.len(), "read past the end");
    assert!(
        replayed.reason.is_some() || replayed.sound == bytes.len(),
        "stopped without a reason"
    );
}

/// Makes the checksums of a log right.
fn seal_log(bytes: &mut [u8]) {
    if bytes.len() < wal::HEADER_BYTES {
        return;
    }
    let crc = crc32c::crc32c(&bytes[..wal::HEADER_BYTES - 4]).to_le_bytes();
    bytes[wal::HEADER_BYTES - 4..wal::HEADER_BYTES].copy_from_slice(&crc);
    let id = u64_at(bytes, 16);
    let mut at = wal::HEADER_BYTES;
    while at + 8 <= bytes.len() {
        let len = u32_at(bytes, at) as usize;
        let Some(payload) = bytes.get(at + 8..at + 8 + len) else {
            break;
        };
        let crc = wal::checksum(id, payload).to_le_bytes();
        bytes[at + 4..at + 8].copy_from_slice(&crc);
        at += 8 + len;
    }
}
