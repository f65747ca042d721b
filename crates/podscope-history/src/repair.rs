//! Cutting what is damaged out of a store, and nothing else. What is cut is kept beside it.

use std::fmt;
use std::path::{Path, PathBuf};

use rustc_hash::FxHashSet;

use crate::HistoryError;
use crate::catalog::SeriesId;
use crate::cells::{KINDS, Kind};
use crate::check::{Looked, check_log, take};
use crate::codec::Codec;
use crate::column::Entry;
use crate::draft::{About, Draft};
use crate::index::Group;
use crate::io::{self, DiskIo, Io, Mode};
use crate::reader::GroupReader;
use crate::segment::Addition;
use crate::tier::{self, Tier};
use crate::wal;

/// What was done about one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repaired {
    pub name: String,
    /// What of it was cut or lost, as sentences.
    pub cut: Vec<String>,
    /// Files that hold what was cut.
    pub kept: Vec<String>,
}

/// What was done about a store. Its text is a line per piece and one for the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairReport {
    pub dir: PathBuf,
    pub files: Vec<Repaired>,
}

impl fmt::Display for RepairReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            for cut in &file.cut {
                writeln!(out, "{}: {cut}", file.name)?;
            }
            writeln!(
                out,
                "{}: the bytes as they were are in {}",
                file.name,
                file.kept.join(", ")
            )?;
        }
        let dir = self.dir.display();
        if self.files.is_empty() {
            write!(out, "{dir}: nothing to repair")
        } else {
            write!(out, "{dir}: {} files repaired", self.files.len())
        }
    }
}

/// Cuts what is damaged out of the store in a directory. The damaged bytes are kept in files beside it (`.piece`; a file
/// without a sound header as a whole, `.bad`). Sound files are not touched.
///
/// # Errors
/// When the directory holds no store, cannot be read or written, or a process has the store open.
pub fn repair(dir: &Path) -> Result<RepairReport, HistoryError> {
    let io = DiskIo;
    let (names, lock) = take(dir, &io)?;
    if lock.is_none() {
        return Err(HistoryError::Io {
            step: "lock",
            path: dir.to_owned(),
            source: std::io::ErrorKind::PermissionDenied.into(),
        });
    }
    let mut files = Vec::new();
    for name in names {
        let path = dir.join(&name);
        let done = if let Some(key) = tier::parse_name(&name) {
            io::read_file(&io, &path)
                .and_then(|bytes| Looked::at(bytes, key, &path))
                .and_then(|file| repair_segment(&file, &path, &io))
        } else if wal::parse_name(&name).is_some() {
            io::read_file(&io, &path).and_then(|bytes| repair_log(&bytes, &path, &io))
        } else {
            continue;
        };
        match done {
            Ok(None) => {}
            Ok(Some((cut, kept))) => files.push(Repaired { name, cut, kept }),
            Err(source) => {
                return Err(HistoryError::Io {
                    step: "repair",
                    path,
                    source,
                });
            }
        }
    }
    Ok(RepairReport {
        dir: dir.to_owned(),
        files,
    })
}

type Done = Option<(Vec<String>, Vec<String>)>;

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Keeps bytes beside the file they are from.
fn keep(path: &Path, offset: u64, bytes: &[u8], io: &dyn Io) -> std::io::Result<String> {
    let kept = path.with_extension(format!("{offset}.piece"));
    io::write_file(io, &kept, bytes)?;
    Ok(name_of(&kept))
}

fn set_aside(path: &Path, reason: &str, io: &dyn Io) -> std::io::Result<Done> {
    let aside = path.with_extension("bad");
    io.rename(path, &aside)?;
    if let Some(dir) = path.parent() {
        io.sync_dir(dir)?;
    }
    Ok(Some((
        vec![format!("set aside as a whole: {reason}")],
        vec![name_of(&aside)],
    )))
}

fn repair_log(bytes: &[u8], path: &Path, io: &dyn Io) -> std::io::Result<Done> {
    let checked = check_log(name_of(path), bytes);
    let Some(bad) = checked.bad.first() else {
        return Ok(None);
    };
    if bad.offset == 0 {
        return set_aside(path, &bad.reason, io);
    }
    let from = usize::try_from(bad.offset).unwrap_or(bytes.len());
    let kept = keep(path, bad.offset, bytes.get(from..).unwrap_or_default(), io)?;
    let file = io.open(path, Mode::Write)?;
    file.set_len(bad.offset)?;
    file.sync()?;
    let cut = format!("cut at byte {}, {} bytes: {}", bad.offset, bad.len, bad.reason);
    Ok(Some((vec![cut], vec![kept])))
}

fn repair_segment(file: &Looked, path: &Path, io: &dyn Io) -> std::io::Result<Done> {
    let Some(first) = file.bad.first() else {
        return Ok(None);
    };
    let Some(reader) = &file.reader else {
        return set_aside(path, &first.reason, io);
    };
    let (mut cut, mut kept) = (Vec::new(), Vec::new());
    for piece in &file.bad {
        let from = usize::try_from(piece.offset).unwrap_or(usize::MAX);
        let to = from.saturating_add(usize::try_from(piece.len).unwrap_or(usize::MAX));
        kept.push(keep(
            path,
            piece.offset,
            file.bytes.get(from..to).unwrap_or_default(),
            io,
        )?);
        cut.push(format!(
            "at byte {}, {} bytes: {}",
            piece.offset, piece.len, piece.reason
        ));
    }
    let mut new = Addition::whole(file.key, 0);
    let mut codec = Codec::default();
    for group in &file.index.groups {
        if let Some(lost) = take_over(file, reader, group, &mut new, &mut codec)? {
            cut.push(format!("at byte {}: {lost}", group.offset));
        }
    }
    if file.index.file.finished_len == file.bytes.len() as u64 {
        // Its cells were made when all of it was there.
        new.mark_finished(file.key);
    }
    new.write_whole(path, io)?;
    Ok(Some((cut, kept)))
}

/// Takes what is sound of a chunk over into the new file. The answer tells what could not be.
fn take_over(
    file: &Looked,
    reader: &GroupReader,
    group: &Group,
    new: &mut Addition,
    codec: &mut Codec,
) -> std::io::Result<Option<String>> {
    let nothing = |why: &str| Ok(Some(format!("nothing of the chunk is left: {why}")));
    let Some(known) = file.index.stream(group.header.stream) else {
        return nothing("nothing describes it");
    };
    let Some(times) = reader.times(group, codec)? else {
        return nothing("its timestamps are damaged");
    };
    let Some(directory) = reader.directory(group)? else {
        return nothing("its directory is damaged");
    };
    let is_raw = file.key.0 == Tier::Raw;
    let place_of = |column: u32| {
        if is_raw {
            Some(column)
        } else {
            (column / KINDS).checked_sub(1)
        }
    };
    let mut columns: Vec<(u32, Vec<f64>, Option<Vec<u32>>)> = Vec::new();
    let (mut broken, mut variable) = (FxHashSet::default(), 0);
    for at in 0..group.header.columns as usize {
        let Some(entry) = Entry::read(&directory, &group.header, at, &mut variable) else {
            return nothing("its directory makes no sense");
        };
        let mut values = Vec::new();
        let known_kind = is_raw || Kind::of_number(entry.column).is_some();
        match reader.column(group, &entry, codec, &mut values)? {
            Some(runs) if known_kind => columns.push((entry.column, values, runs)),
            // Where a column of a cell is missing it means something: all of that series' have to go.
            _ => {
                broken.insert(place_of(entry.column));
            }
        }
    }
    if broken.contains(&None) {
        return nothing("the rows of its cells are damaged");
    }
    let named = |place: u32| {
        known
            .columns
            .get(place as usize)
            .copied()
            .filter(|id| *id != SeriesId::MAX)
    };
    columns.retain(|(column, ..)| {
        let place = place_of(*column);
        !broken.contains(&place) && place.is_none_or(|place| named(place).is_some())
    });
    let mut series: Vec<SeriesId> = Vec::new();
    for place in columns.iter().filter_map(|(column, ..)| place_of(*column)) {
        let id = named(place).unwrap_or(SeriesId::MAX);
        if !series.contains(&id) {
            series.push(id);
        }
    }
    let (number, numbers, description) = new.describe(&known.stream, &series, &file.catalog);
    let about = About {
        stream: number,
        epoch: group.header.epoch,
        first_row: group.header.first_row,
        follows_ms: group.header.follows_ms,
        tier_ms: group.header.tier_ms,
        interval_ms: if is_raw {
            known.stream.spec.interval_ms.max(1)
        } else {
            0
        },
    };
    let too_large = || std::io::Error::other("a chunk could not be encoded");
    let mut draft = Draft::begin(about, &description, &times, codec).ok_or_else(too_large)?;
    let mut order: Vec<(u32, Vec<f64>, Option<Vec<u32>>)> = Vec::with_capacity(columns.len());
    for (column, values, runs) in columns {
        let number = match place_of(column) {
            None => column,
            Some(place) => {
                let id = named(place).unwrap_or(SeriesId::MAX);
                let at = series.iter().position(|other| *other == id);
                let Some(&number) = at.and_then(|at| numbers.get(at)) else {
                    continue;
                };
                if is_raw {
                    number
                } else {
                    (number + 1) * KINDS + column % KINDS
                }
            }
        };
        order.push((number, values, runs));
    }
    order.sort_by_key(|(number, ..)| *number);
    for (number, values, runs) in order {
        draft.column(number, &values, runs.as_deref(), codec);
    }
    let (bytes, header) = draft.finish().ok_or_else(too_large)?;
    new.push(&bytes, header);
    let lost = broken.len();
    Ok((lost > 0).then(|| format!("{lost} of its columns are lost, the others are kept")))
}
