//! Taking up the rows that the logs still hold: what of them is sealed already, what is not sound.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, RwLock};

use rustc_hash::FxHashMap;

use crate::catalog::{Catalog, Stream};
use crate::file_header::FILE_HEADER_BYTES;
use crate::index::Index;
use crate::io::{self, Io, Mode};
use crate::reader::GroupReader;
use crate::replay::{self, Event};
use crate::segment::Segment;
use crate::tier::{HOUR_MS, Tier};
use crate::writer::Writer;
use crate::{Lost, Recovery, wal};

/// Kept beside the logs: at most this many files of cut-off bytes.
const CUT_FILES: usize = 4;

/// What the logs say before anything of it is believed.
#[derive(Default)]
struct Survey {
    hours: BTreeSet<i64>,
    /// First and last row number by stream.
    rows: FxHashMap<u32, (u64, u64)>,
}

/// Row numbers that are in segments, by stream.
type Sealed = FxHashMap<u32, Vec<(u64, u64)>>;

pub(crate) fn replay_logs(
    dir: &Path,
    io: &dyn Io,
    names: &[String],
    catalog: &RwLock<Catalog>,
    writer: &mut Writer,
    recovery: &mut Recovery,
    lost: &mut Lost,
) {
    let mut ids: Vec<u64> = names.iter().filter_map(|name| wal::parse_name(name)).collect();
    ids.sort_unstable();
    writer.next_wal = ids.last().map_or(1, |last| last + 1);
    let mut logs = BTreeMap::new();
    let mut incomplete = ids.is_empty() && !writer.segments.is_empty();
    for id in ids {
        let path = dir.join(wal::file_name(id));
        let bytes = match io::read_file(io, &path) {
            Ok(bytes) => bytes,
            Err(error) => {
                // The file stays where it is: the next start may read it.
                let place = format!("{} could not be read: {error}", path.display());
                tracing::error!(place, "rows of a log are missing");
                lost.note(0, place.clone());
                recovery.cut.push(place);
                incomplete = true;
                continue;
            }
        };
        writer.old_wals.push((path.clone(), bytes.len() as u64));
        logs.insert(id, (path, bytes));
    }
    let mut survey = Survey::default();
    for (path, bytes) in logs.values() {
        let replayed = replay::replay(bytes, catalog, |event| survey.look(&event));
        if bytes.len() < wal::HEADER_BYTES {
            // It was being begun: the one before it, which goes only when this one is durable, has the rows.
            tracing::debug!(path = %path.display(), "a log without a whole header holds nothing");
            incomplete = true;
            continue;
        }
        if let Some(reason) = replayed.reason {
            incomplete = true;
            cut(
                dir,
                io,
                path,
                &bytes[replayed.sound..],
                replayed.sound,
                reason,
                recovery,
                lost,
            );
        }
    }
    let sealed = find_sealed(dir, io, catalog, writer, &survey, lost);
    if incomplete {
        take_up_streams(io, catalog, writer);
    }
    for (_, bytes) in logs.values() {
        replay::replay(bytes, catalog, |event| match event {
            Event::Start {
                stream,
                epoch,
                first_row,
                follows,
            } => {
                let at = writer.restore_stream(&stream, epoch, first_row, follows);
                writer.advance(at, epoch, first_row, follows);
            }
            Event::Row {
                stream,
                epoch,
                row,
                t_ms,
                samples,
            } => {
                let is_sealed = sealed
                    .get(&stream.id)
                    .is_some_and(|ranges| ranges.iter().any(|(from, to)| (*from..*to).contains(&row)));
                if is_sealed {
                    recovery.sealed_rows += 1;
                    let at = writer.restore_stream(stream, epoch, row + 1, Some(t_ms));
                    writer.advance(at, epoch, row + 1, Some(t_ms));
                } else if writer.next_row(stream).is_none_or(|next| row >= next) {
                    writer.restore_row(stream, epoch, row, t_ms, samples);
                    recovery.rows += 1;
                }
            }
        });
    }
}

impl Survey {
    fn look(&mut self, event: &Event<'_>) {
        if let Event::Row {
            stream, row, t_ms, ..
        } = event
        {
            // The row at the very end of an hour: earlier programs put it into the file of the next one.
            self.hours.insert(Tier::Raw.slot_of(*t_ms));
            self.hours.insert(t_ms.div_euclid(HOUR_MS));
            let span = self.rows.entry(stream.id).or_insert((*row, *row));
            *span = (span.0.min(*row), span.1.max(*row));
        }
    }
}

/// Keeps what a log holds past its last sound record, for whoever wants to look at it.
#[expect(clippy::too_many_arguments, reason = "one place to say what was cut")]
fn cut(
    dir: &Path,
    io: &dyn Io,
    path: &Path,
    bytes: &[u8],
    offset: usize,
    reason: &str,
    recovery: &mut Recovery,
    lost: &mut Lost,
) {
    let place = format!(
        "{} cut at byte {offset}, {} bytes set aside: {reason}",
        path.display(),
        bytes.len()
    );
    tracing::warn!(place, "the end of a log is damaged");
    lost.note(bytes.len() as u64, place.clone());
    recovery.cut.push(place);
    if bytes.iter().all(|byte| *byte == 0) {
        return;
    }
    if let Err(error) = io::write_file(io, &path.with_extension("cut"), bytes) {
        tracing::warn!(%error, "the cut bytes could not be kept");
    }
    let Ok(names) = io.list(dir) else { return };
    let mut old: Vec<String> = names.into_iter().filter(|name| name.ends_with(".cut")).collect();
    old.sort();
    for name in old.iter().rev().skip(CUT_FILES) {
        if let Err(error) = io.remove(&dir.join(name)) {
            tracing::debug!(name, %error, "cannot remove old cut bytes");
        }
    }
}

/// Which of the logs' rows are in segments already. A chunk counts only if every byte of it is as it was written; a
/// damaged one at the end of its file is cut off, as its rows are written again.
fn find_sealed(
    dir: &Path,
    io: &dyn Io,
    catalog: &RwLock<Catalog>,
    writer: &mut Writer,
    survey: &Survey,
    lost: &mut Lost,
) -> Sealed {
    let mut sealed = Sealed::default();
    for &hour in &survey.hours {
        let Some(segment) = writer.segments.get(&(Tier::Raw, hour)).cloned() else {
            continue;
        };
        let index = match segment.index(io, catalog) {
            Ok(index) => index,
            Err(error) => {
                lost.note(segment.len, format!("{}: {error}", segment.path.display()));
                continue;
            }
        };
        let sound = sound_len(io, &segment, &index, survey);
        for group in index.groups.iter().filter(|group| group.offset < sound) {
            if let Some(stream) = stream_of(&index, group.header.stream) {
                sealed
                    .entry(stream.id)
                    .or_default()
                    .push((group.header.first_row, group.header.next_row()));
            }
        }
        if sound < segment.len {
            let shorter = io.open(&segment.path, Mode::Write).and_then(|file| {
                file.set_len(sound)?;
                file.sync()
            });
            match shorter {
                Ok(()) if sound <= FILE_HEADER_BYTES as u64 => {
                    // Nothing is left: the next chunk of the hour begins the file anew.
                    writer.segments.remove(&(Tier::Raw, hour));
                }
                Ok(()) => {
                    let key = (Tier::Raw, hour);
                    let shorter = Segment::new(dir, key, sound, segment.finished_len);
                    writer.segments.insert(key, Arc::new(shorter));
                }
                Err(error) => tracing::debug!(path = %segment.path.display(), %error, "cannot cut a segment"),
            }
        }
    }
    sealed
}

fn stream_of(index: &Index, number: u32) -> Option<&Arc<Stream>> {
    index
        .streams
        .get(number as usize)?
        .as_ref()
        .map(|known| &known.stream)
}

/// Where the file ends once unfinished chunks at its end, whose rows are in the logs, are left out.
fn sound_len(io: &dyn Io, segment: &Segment, index: &Index, survey: &Survey) -> u64 {
    let mut sound = index.sound_len;
    let Ok(Some(reader)) = GroupReader::open(segment, index, io) else {
        return segment.len;
    };
    for group in index.groups.iter().rev() {
        let header = &group.header;
        let in_log = stream_of(index, header.stream)
            .and_then(|stream| survey.rows.get(&stream.id))
            .is_some_and(|(first, last)| header.first_row <= *last && header.next_row() > *first);
        if !in_log || reader.is_whole(group).unwrap_or(false) {
            break;
        }
        sound = group.offset;
    }
    sound
}

/// Where every stream stands, from the segments: needed only when the logs do not tell all of it.
fn take_up_streams(io: &dyn Io, catalog: &RwLock<Catalog>, writer: &mut Writer) {
    let segments: Vec<Arc<Segment>> = writer.raw().cloned().collect();
    for segment in segments {
        let Ok(index) = segment.index(io, catalog) else {
            continue;
        };
        for group in &index.groups {
            let header = &group.header;
            if let Some(stream) = stream_of(&index, header.stream) {
                let at = writer.restore_stream(stream, header.epoch, header.next_row(), Some(header.last_ms));
                writer.advance(at, header.epoch, header.next_row(), Some(header.last_ms));
            }
        }
    }
}
