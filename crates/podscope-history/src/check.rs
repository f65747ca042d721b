//! Looking through a store that nobody has open: every checksum, and whether what passed can be read.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use crate::catalog::Catalog;
use crate::cells::Kind;
use crate::codec::Codec;
use crate::column::Entry;
use crate::file_header::{FILE_HEADER_BYTES, FileHeader};
use crate::index::{Group, Index, read_index};
use crate::io::{self, DiskIo, Io, IoFile};
use crate::reader::GroupReader;
use crate::recover::{LEAF_ID_FILE, LOCK_FILE};
use crate::tier::{self, Key, Tier};
use crate::{HistoryError, replay, wal};

/// Bytes of a file that are not as they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadPiece {
    pub offset: u64,
    pub len: u64,
    pub reason: String,
}

/// What was found of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedFile {
    pub name: String,
    pub bytes: u64,
    /// What it holds, in words.
    pub holds: String,
    pub bad: Vec<BadPiece>,
}

/// What was found of a store. Its text is a line per file and one for the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckReport {
    pub dir: PathBuf,
    pub files: Vec<CheckedFile>,
}

impl CheckReport {
    pub fn is_sound(&self) -> bool {
        self.files.iter().all(|file| file.bad.is_empty())
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for file in &self.files {
            let state = if file.bad.is_empty() { "ok" } else { "DAMAGED" };
            writeln!(
                out,
                "{state:<8} {:<24} {:>12} bytes  {}",
                file.name, file.bytes, file.holds
            )?;
            for piece in &file.bad {
                writeln!(
                    out,
                    "         at byte {}, {} bytes: {}",
                    piece.offset, piece.len, piece.reason
                )?;
            }
        }
        let bytes: u64 = self.files.iter().map(|file| file.bytes).sum();
        let bad: Vec<&BadPiece> = self.files.iter().flat_map(|file| &file.bad).collect();
        write!(
            out,
            "{}: {} files, {bytes} bytes, ",
            self.dir.display(),
            self.files.len()
        )?;
        if bad.is_empty() {
            write!(out, "every checksum is right")
        } else {
            let lost: u64 = bad.iter().map(|piece| piece.len).sum();
            write!(out, "{} damaged pieces with {lost} bytes", bad.len())
        }
    }
}

/// Verifies every checksum of the store in a directory, and that what passes can be read. Changes nothing.
///
/// # Errors
/// When the directory holds no store, cannot be read, or a process has the store open.
pub fn check(dir: &Path) -> Result<CheckReport, HistoryError> {
    let (names, _lock) = take(dir, &DiskIo)?;
    let mut files = Vec::new();
    for name in names {
        let path = dir.join(&name);
        let failed = |source| HistoryError::Io {
            step: "read",
            path: path.clone(),
            source,
        };
        let checked = if let Some(key) = tier::parse_name(&name) {
            let bytes = io::read_file(&DiskIo, &path).map_err(failed)?;
            let file = Looked::at(bytes, key, &path).map_err(failed)?;
            file.checked(name)
        } else if wal::parse_name(&name).is_some() {
            let bytes = io::read_file(&DiskIo, &path).map_err(failed)?;
            check_log(name, &bytes)
        } else if name == LEAF_ID_FILE {
            let bytes = io::read_file(&DiskIo, &path).map_err(failed)?;
            check_id(name, &bytes)
        } else {
            continue;
        };
        files.push(checked);
    }
    Ok(CheckReport {
        dir: dir.to_owned(),
        files,
    })
}

/// The names in a store's directory, and its lock for as long as it is looked at. A directory that cannot be written is not
/// locked: nobody writes there.
pub(crate) fn take(dir: &Path, io: &dyn Io) -> Result<(Vec<String>, Option<Arc<dyn IoFile>>), HistoryError> {
    let mut names = io.list(dir).map_err(|source| HistoryError::Io {
        step: "list",
        path: dir.to_owned(),
        source,
    })?;
    names.sort();
    let is_ours = |name: &String| {
        tier::parse_name(name).is_some() || wal::parse_name(name).is_some() || name == LEAF_ID_FILE
    };
    if !names.iter().any(is_ours) {
        return Err(HistoryError::NoHistory { dir: dir.to_owned() });
    }
    match io.lock(&dir.join(LOCK_FILE)) {
        Ok(lock) => Ok((names, Some(lock))),
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
            Err(HistoryError::Locked { dir: dir.to_owned() })
        }
        Err(error) => {
            tracing::debug!(%error, "looking at a history that cannot be locked");
            Ok((names, None))
        }
    }
}

fn check_id(name: String, bytes: &[u8]) -> CheckedFile {
    let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
    let sound = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let bad = BadPiece {
        offset: 0,
        len: bytes.len() as u64,
        reason: "not 32 hexadecimal digits; the next start makes a new id".into(),
    };
    CheckedFile {
        name,
        bytes: bytes.len() as u64,
        holds: "the store's id".into(),
        bad: if sound { Vec::new() } else { vec![bad] },
    }
}

pub(crate) fn check_log(name: String, bytes: &[u8]) -> CheckedFile {
    let mut rows = 0_u64;
    let catalog = RwLock::new(Catalog::default());
    let replayed = replay::replay(bytes, &catalog, |event| {
        rows += u64::from(matches!(event, replay::Event::Row { .. }));
    });
    let bad = replayed.reason.map(|reason| BadPiece {
        offset: replayed.sound as u64,
        len: (bytes.len() - replayed.sound) as u64,
        reason: reason.into(),
    });
    CheckedFile {
        name,
        bytes: bytes.len() as u64,
        holds: format!("log, {rows} rows"),
        bad: bad.into_iter().collect(),
    }
}

/// A segment file, looked at from end to end.
pub(crate) struct Looked {
    pub(crate) key: Key,
    pub(crate) bytes: Vec<u8>,
    pub(crate) index: Index,
    pub(crate) catalog: RwLock<Catalog>,
    pub(crate) bad: Vec<BadPiece>,
    /// `None` where the file's header is not sound.
    pub(crate) reader: Option<GroupReader>,
}

impl Looked {
    pub(crate) fn at(bytes: Vec<u8>, key: Key, path: &Path) -> std::io::Result<Self> {
        let catalog = RwLock::new(Catalog::default());
        let file: Arc<dyn IoFile> = Arc::new(crate::reader::InMemory(bytes.clone()));
        let mut bad = Vec::new();
        if let Err(reason) = FileHeader::parse(&bytes, key) {
            bad.push(BadPiece {
                offset: 0,
                len: bytes.len() as u64,
                reason,
            });
            return Ok(Self {
                key,
                bytes,
                index: Index::default(),
                catalog,
                bad,
                reader: None,
            });
        }
        let index = read_index(file.as_ref(), bytes.len() as u64, key, path, &catalog)?;
        let reader = GroupReader::over(file, &index, path);
        let mut at = FILE_HEADER_BYTES as u64;
        let gap = |from: u64, to: u64| BadPiece {
            offset: from,
            len: to - from,
            reason: "no whole chunk".into(),
        };
        for group in &index.groups {
            if group.offset > at {
                bad.push(gap(at, group.offset));
            }
            at = group.offset + u64::from(group.header.len);
            let reasons = match &reader {
                Some(reader) => faults(reader, group, &index, key.0)?,
                None => vec!["columns packed by a later version of pco".into()],
            };
            if !reasons.is_empty() {
                bad.push(BadPiece {
                    offset: group.offset,
                    len: u64::from(group.header.len),
                    reason: reasons.join(", "),
                });
            }
        }
        if (bytes.len() as u64) > at {
            bad.push(gap(at, bytes.len() as u64));
        }
        Ok(Self {
            key,
            bytes,
            index,
            catalog,
            bad,
            reader,
        })
    }

    pub(crate) fn checked(&self, name: String) -> CheckedFile {
        let (chunks, samples) = self.index.groups.iter().fold((0, 0), |(chunks, samples), group| {
            (chunks + 1, samples + group.header.samples)
        });
        let finished = self.index.file.finished_len == self.bytes.len() as u64;
        let what = match self.key.0 {
            Tier::Raw => "samples",
            Tier::Minute | Tier::Hour => "values of cells",
        };
        CheckedFile {
            name,
            bytes: self.bytes.len() as u64,
            holds: format!(
                "{}, {chunks} chunks, {samples} {what}{}",
                self.key.0.in_words(),
                if finished { ", finished" } else { "" }
            ),
            bad: self.bad.clone(),
        }
    }
}

/// What is wrong with a chunk.
fn faults(reader: &GroupReader, group: &Group, index: &Index, tier: Tier) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut codec = Codec::default();
    if index.stream(group.header.stream).is_none() {
        found.push("nothing sound describes its columns".to_owned());
    }
    if reader.times(group, &mut codec)?.is_none() {
        found.push("its timestamps are damaged".to_owned());
    }
    let Some(directory) = reader.directory(group)? else {
        found.push("its directory is damaged".to_owned());
        return Ok(found);
    };
    let (mut variable, mut values) = (0, Vec::new());
    for at in 0..group.header.columns as usize {
        let Some(entry) = Entry::read(&directory, &group.header, at, &mut variable) else {
            found.push("its directory makes no sense".to_owned());
            break;
        };
        values.clear();
        let known_kind = tier == Tier::Raw || Kind::of_number(entry.column).is_some();
        if reader.column(group, &entry, &mut codec, &mut values)?.is_none() || !known_kind {
            found.push(format!("column {} is damaged", entry.column));
        }
    }
    if found.is_empty() && !reader.is_whole(group)? {
        found.push("its checksum is wrong".to_owned());
    }
    Ok(found)
}
