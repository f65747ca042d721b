//! Opening: the lock, the store's id, the segments, and the rows that the logs still hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, RwLock};

use rustc_hash::FxHashMap;

use crate::catalog::{Catalog, Stream};
use crate::head::hour_of;
use crate::io::{self, Io, Mode};
use crate::segment::{GroupReader, Index, Segment};
use crate::store::Parts;
use crate::wal::{self, Event};
use crate::writer::Writer;
use crate::{HistoryError, Lost, Options, Recovery, segment};

pub(crate) const LOCK_FILE: &str = "lock";
pub(crate) const LEAF_ID_FILE: &str = "leaf-id";
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

pub(crate) fn recover(options: &Options, io: &dyn Io) -> Result<(Parts, Recovery), HistoryError> {
    let dir = options.dir.as_path();
    let failed = |step: &'static str, source| HistoryError::Io {
        step,
        path: dir.to_owned(),
        source,
    };
    let mut recovery = Recovery::default();
    let names = match io.create_dir(dir).and_then(|()| io.list(dir)) {
        Ok(names) => names,
        // It may be there already, on a file system mounted read-only.
        Err(error) => match io.list(dir) {
            Ok(names) => names,
            Err(_) => return Err(failed("make the directory", error)),
        },
    };
    let lock = match io.lock(&dir.join(LOCK_FILE)) {
        Ok(lock) => Some(lock),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            return Err(HistoryError::Locked { dir: dir.to_owned() });
        }
        Err(error) => {
            recovery.memory_only = Some(error.to_string());
            None
        }
    };
    let leaf_id = leaf_id(dir, io, &names, &mut recovery);
    let catalog = RwLock::new(Catalog::default());
    let mut writer = Writer::new(options.chunk_rows);
    let mut lost = Lost::default();
    find_segments(dir, io, &names, &mut writer, &mut recovery, &mut lost);
    replay_logs(dir, io, &names, &catalog, &mut writer, &mut recovery, &mut lost);

    // The newest segments tell which series there are.
    for segment in writer.segments.values().rev().take(2) {
        if let Ok(index) = segment.index(io, &catalog) {
            let newest = index.groups.iter().map(|group| group.header.last_ms).max();
            writer.newest_ms = writer.newest_ms.max(newest);
        }
    }
    for index in writer.segments.values().filter_map(|segment| segment.loaded()) {
        index.bad.iter().for_each(|place| lost.note(0, place.clone()));
    }
    let mut trouble = recovery.memory_only.clone();
    if lock.is_some() {
        let renewed = writer.rotate(io, dir, &catalog).and_then(|()| match &writer.wal {
            Some(wal) => wal.file.sync().and_then(|()| io.sync_dir(dir)),
            None => Ok(()),
        });
        match renewed {
            Ok(()) => {
                for (path, len) in std::mem::take(&mut writer.old_wals) {
                    if let Err(error) = io.remove(&path) {
                        // Its rows are known by number: reading it again does no harm.
                        tracing::warn!(path = %path.display(), %error, "cannot remove a replayed log");
                        writer.old_wals.push((path, len));
                    }
                }
            }
            Err(error) => {
                writer.give_up_wal();
                recovery.memory_only = Some(error.to_string());
                trouble = Some(format!("cannot begin a log: {error}"));
            }
        }
    }
    if let Some(reason) = &recovery.memory_only {
        tracing::warn!(dir = %dir.display(), reason, "the history cannot be written; new rows are kept in memory only");
    }
    Ok((
        Parts {
            leaf_id,
            lock,
            catalog,
            writer,
            lost,
            trouble,
        },
        recovery,
    ))
}

/// The store's id: read, or made and kept.
fn leaf_id(dir: &Path, io: &dyn Io, names: &[String], recovery: &mut Recovery) -> String {
    let path = dir.join(LEAF_ID_FILE);
    if names.iter().any(|name| name == LEAF_ID_FILE)
        && let Ok(bytes) = io::read_file(io, &path)
        && let Ok(text) = std::str::from_utf8(&bytes)
    {
        let text = text.trim();
        if text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return text.to_owned();
        }
        recovery.cut.push(format!(
            "{} did not hold an id; a new one was made",
            path.display()
        ));
    }
    let mut id = String::with_capacity(32);
    let mut random = [0; 16];
    if let Err(error) = std::fs::File::open("/dev/urandom")
        .and_then(|mut file| std::io::Read::read_exact(&mut file, &mut random))
    {
        // Without a random source the hasher's seed, which the kernel also gives, has to do.
        tracing::warn!(%error, "no random source");
        for half in random.chunks_mut(8) {
            use std::hash::{BuildHasher, Hasher};
            let seed = std::hash::RandomState::new().build_hasher().finish();
            half.copy_from_slice(&seed.to_le_bytes());
        }
    }
    for byte in random {
        // Writing to a String cannot fail.
        if write!(id, "{byte:02x}").is_err() {
            break;
        }
    }
    if recovery.memory_only.is_none()
        && let Err(error) = io::write_file(io, &path, format!("{id}\n").as_bytes())
    {
        recovery.memory_only = Some(error.to_string());
    }
    id
}

fn find_segments(
    dir: &Path,
    io: &dyn Io,
    names: &[String],
    writer: &mut Writer,
    recovery: &mut Recovery,
    lost: &mut Lost,
) {
    for name in names {
        if name.ends_with(".tmp")
            && let Err(error) = io.remove(&dir.join(name))
        {
            tracing::debug!(name, %error, "cannot remove an unfinished file");
        }
        let Some(hour) = segment::parse_name(name) else {
            continue;
        };
        match io.open(&dir.join(name), Mode::Read).and_then(|file| file.size()) {
            Ok(len) => {
                writer
                    .segments
                    .insert(hour, Arc::new(Segment::new(dir, hour, len)));
                recovery.segments += 1;
            }
            Err(error) => lost.note(0, format!("{}: {error}", dir.join(name).display())),
        }
    }
}

fn replay_logs(
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
        let replayed = wal::replay(bytes, catalog, |event| survey.look(&event));
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
        wal::replay(bytes, catalog, |event| match event {
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
            self.hours.insert(hour_of(*t_ms));
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
        let Some(segment) = writer.segments.get(&hour).cloned() else {
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
                Ok(()) if sound <= segment::FILE_HEADER_BYTES as u64 => {
                    // Nothing is left: the next chunk of the hour begins the file anew.
                    writer.segments.remove(&hour);
                }
                Ok(()) => {
                    writer
                        .segments
                        .insert(hour, Arc::new(Segment::new(dir, hour, sound)));
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
    let segments: Vec<Arc<Segment>> = writer.segments.values().cloned().collect();
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
