//! Packing a file whose time is over: the chunks of a stream that follow each other become one, with one description of
//! each column instead of many.

use std::sync::RwLock;

use rustc_hash::FxHashMap;

use crate::catalog::{Catalog, SeriesId};
use crate::codec::Codec;
use crate::column::{ENTRY_BYTES, Entry};
use crate::draft::{About, Draft};
use crate::index::{Group, Index};
use crate::reader::GroupReader;
use crate::segment::Addition;
use crate::validity::RunList;

/// Rows a packed chunk has at most: an hour at one second, and a bit.
const MAX_ROWS: u64 = 4096;

/// One chunk, taken apart.
struct Part {
    group: Group,
    times: Vec<i64>,
    entries: FxHashMap<SeriesId, Entry>,
}

/// Puts the chunks of a raw file together into `out`. `false`: some of it cannot be read, so that the file has to stay
/// as it is.
///
/// # Errors
/// When reading fails, or the whole is too large to be a chunk.
pub(crate) fn merge(
    index: &Index,
    reader: &GroupReader,
    out: &mut Addition,
    catalog: &RwLock<Catalog>,
    codec: &mut Codec,
) -> std::io::Result<bool> {
    for (number, known) in (0..).zip(&index.streams) {
        let Some(known) = known else { return Ok(false) };
        let mut groups: Vec<Group> = index
            .groups
            .iter()
            .filter(|group| group.header.stream == number)
            .copied()
            .collect();
        groups.sort_by_key(|group| group.header.first_row);
        let mut rest = groups.as_slice();
        while let Some(first) = rest.first() {
            let (run, after) = rest.split_at(run_length(rest));
            rest = after;
            let mut parts = Vec::with_capacity(run.len());
            for group in run {
                let Some(part) = take_apart(group, &known.columns, reader, codec)? else {
                    return Ok(false);
                };
                parts.push(part);
            }
            let mut series: Vec<SeriesId> = Vec::new();
            let mut seen = rustc_hash::FxHashSet::default();
            for id in known.columns.iter() {
                if parts.iter().any(|part| part.entries.contains_key(id)) && seen.insert(*id) {
                    series.push(*id);
                }
            }
            let times: Vec<i64> = parts.iter().flat_map(|part| &part.times).copied().collect();
            let (number, columns, description) = out.describe(&known.stream, &series, catalog);
            let about = About {
                stream: number,
                epoch: first.header.epoch,
                first_row: first.header.first_row,
                follows_ms: first.header.follows_ms,
                tier_ms: 0,
                interval_ms: known.stream.spec.interval_ms.max(1),
            };
            let too_large = || std::io::Error::other("a chunk could not be encoded");
            let mut draft = Draft::begin(about, &description, &times, codec).ok_or_else(too_large)?;
            let mut order: Vec<(u32, SeriesId)> = columns.into_iter().zip(series).collect();
            order.sort_unstable();
            let mut values = Vec::with_capacity(times.len());
            for (column, id) in order {
                let Some(runs) = column_of(id, &parts, reader, codec, &mut values)? else {
                    return Ok(false);
                };
                draft.column(column, &values, runs.as_deref(), codec);
            }
            let (bytes, header) = draft.finish().ok_or_else(too_large)?;
            out.push(&bytes, header);
        }
    }
    Ok(true)
}

/// How many of the groups follow each other without a gap and fit into one chunk.
fn run_length(groups: &[Group]) -> usize {
    let mut rows = groups.first().map_or(0, |group| u64::from(group.header.rows));
    let follows = |pair: &&[Group]| {
        let [before, next] = pair else { return false };
        rows += u64::from(next.header.rows);
        next.header.epoch == before.header.epoch
            && next.header.first_row == before.header.next_row()
            && next.header.first_ms > before.header.last_ms
            && rows <= MAX_ROWS
    };
    1 + groups.windows(2).take_while(follows).count()
}

/// The times and the directory of a chunk; `None` when any of it is damaged.
fn take_apart(
    group: &Group,
    columns: &[SeriesId],
    reader: &GroupReader,
    codec: &mut Codec,
) -> std::io::Result<Option<Part>> {
    if !reader.is_whole(group)? {
        return Ok(None);
    }
    let (Some(times), Some(directory)) = (reader.times(group, codec)?, reader.directory(group)?) else {
        return Ok(None);
    };
    let count = group.header.columns as usize;
    let (mut entries, mut variable) = (FxHashMap::default(), 0);
    debug_assert!(directory.len() >= count * ENTRY_BYTES, "the header was checked");
    for at in 0..count {
        let Some(entry) = Entry::read(&directory, &group.header, at, &mut variable) else {
            return Ok(None);
        };
        match columns.get(entry.column as usize) {
            // A column without a name, or one described twice.
            None | Some(&SeriesId::MAX) => return Ok(None),
            Some(id) => {
                if entries.insert(*id, entry).is_some() {
                    return Ok(None);
                }
            }
        }
    }
    Ok(Some(Part {
        group: *group,
        times,
        entries,
    }))
}

/// The values of a column in all parts, and its validity where it has gaps; `None` when it is damaged somewhere.
#[expect(
    clippy::option_option,
    reason = "the outer one is damage, the inner one is the answer"
)]
fn column_of(
    id: SeriesId,
    parts: &[Part],
    reader: &GroupReader,
    codec: &mut Codec,
    values: &mut Vec<f64>,
) -> std::io::Result<Option<Option<Vec<u32>>>> {
    values.clear();
    let mut all = RunList::default();
    for part in parts {
        let rows = part.times.len() as u32;
        let Some(entry) = part.entries.get(&id) else {
            all.push(false, rows);
            continue;
        };
        match reader.column(&part.group, entry, codec, values)? {
            None => return Ok(None),
            Some(None) => all.push(true, rows),
            Some(Some(runs)) => {
                for (at, run) in runs.iter().enumerate() {
                    all.push(at % 2 == 0, *run);
                }
            }
        }
    }
    Ok(Some(all.gaps()))
}
