//! Files that grow: found by patterns, read on from where they were left, through rotation and truncation.
//!
//! A file that was there before anybody looked is read from its end; one that appears later from its beginning. With a file of
//! positions, reading goes on where an earlier process stopped. A file that holds zero bytes is no text and passed over until it
//! is truncated or replaced. Everything is bounded: files, bytes per look, length of what waits for its end.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use glob::Pattern as Glob;
use serde::{Deserialize, Serialize};

use crate::error::CollectError;
use crate::fs::HostFs;

/// Files followed at the same time.
const MOST_FILES: usize = 256;
/// Folders and names looked at for one pattern.
const MOST_NAMES: usize = 20_000;
/// Bytes read of one file, and of all files, in one look.
const MOST_OF_ONE: usize = 1 << 20;
const MOST_OF_ALL: usize = 8 << 20;
/// Of a file that is further behind, so much is read; the rest is passed over.
const MOST_BEHIND: u64 = 64 << 20;
/// Of a file nobody knew, when an earlier process had looked at others.
const UNKNOWN: u64 = 1 << 20;
/// What waits for its end.
const MOST_REST: usize = 64 << 10;
/// The beginning of a file by which it is recognised.
const HEAD: usize = 256;
/// Looks between two searches for new files.
const SEARCH_EVERY: u32 = 5;

/// One piece of a file.
#[derive(Debug)]
pub(super) struct Piece<'a> {
    pub(super) path: &'a str,
    pub(super) file: u64,
    /// Where the piece begins.
    pub(super) offset: u64,
    pub(super) bytes: &'a [u8],
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Position {
    file: u64,
    /// Everything before was handed over in whole lines.
    offset: u64,
    head: u64,
}

#[derive(Debug, Default)]
struct Followed {
    position: Position,
    /// How many bytes `head` was made of.
    head_length: usize,
    /// No text; nothing is handed over until it is another file.
    binary: bool,
    length: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Saved {
    version: u32,
    files: BTreeMap<String, Position>,
}

/// Follows files.
#[derive(Debug)]
pub(super) struct Tail {
    fs: Arc<dyn HostFs>,
    patterns: Vec<Vec<Glob>>,
    files: BTreeMap<String, Followed>,
    /// Positions of an earlier process, for files not found again yet.
    saved: Option<BTreeMap<String, Position>>,
    positions_file: Option<PathBuf>,
    looks: u32,
    buffer: Vec<u8>,
    pub(super) read_bytes: u64,
    pub(super) skipped_bytes: u64,
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = rustc_hash::FxHasher::default();
    bytes.hash(&mut hasher);
    hasher.finish()
}

impl Tail {
    /// Patterns that are no patterns match nothing; see [`check_pattern`].
    pub(super) fn new(fs: Arc<dyn HostFs>, patterns: &[String], positions_file: Option<PathBuf>) -> Self {
        let parts = |pattern: &String| -> Option<Vec<Glob>> {
            let parts = pattern.split('/').filter(|part| !part.is_empty());
            parts.map(|part| Glob::new(part).ok()).collect()
        };
        Self {
            fs,
            patterns: patterns.iter().filter_map(parts).collect(),
            files: BTreeMap::new(),
            saved: None,
            positions_file,
            looks: 0,
            buffer: Vec::new(),
            read_bytes: 0,
            skipped_bytes: 0,
        }
    }

    /// How many files are followed.
    pub(super) fn files(&self) -> usize {
        self.files.len()
    }

    /// Hands over what was written since the last look, in pieces that end with a line. Problems of single files are answered.
    pub(super) fn look(&mut self, mut take: impl FnMut(Piece<'_>)) -> Vec<CollectError> {
        let mut problems = Vec::new();
        let first = self.looks == 0;
        if first {
            self.load(&mut problems);
        }
        if self.looks.is_multiple_of(SEARCH_EVERY) {
            self.search(first, &mut problems);
        }
        self.looks = self.looks.wrapping_add(1);
        let mut budget = MOST_OF_ALL;
        let mut moved = false;
        let mut files = std::mem::take(&mut self.files);
        files.retain(
            |path, followed| match self.follow(path, followed, &mut budget, &mut take) {
                Ok(some) => {
                    moved |= some;
                    true
                }
                // Removed for good; another one under its name is found by the next search.
                Err(error) if error.kind() == io::ErrorKind::NotFound => false,
                Err(error) => {
                    problems.push(CollectError::read(path, error));
                    true
                }
            },
        );
        self.files = files;
        // The first time too: what is passed over now is behind an agent that is started again.
        if moved || first {
            problems.extend(self.save());
        }
        problems
    }

    /// Finds files nobody follows yet.
    fn search(&mut self, first: bool, problems: &mut Vec<CollectError>) {
        let mut left = MOST_NAMES;
        let mut found = Vec::new();
        for pattern in &self.patterns {
            walk(self.fs.as_ref(), String::new(), pattern, &mut left, &mut found);
        }
        for path in found {
            if self.files.len() >= MOST_FILES {
                break;
            }
            if self.files.contains_key(&path) {
                continue;
            }
            let part = match self.fs.read_part(&path, 0, HEAD, &mut self.buffer) {
                Ok(part) => part,
                Err(error) => {
                    if error.kind() != io::ErrorKind::NotFound {
                        problems.push(CollectError::read(&path, error));
                    }
                    continue;
                }
            };
            let saved = self.saved.as_mut().and_then(|saved| saved.remove(&path));
            let head = hash(&self.buffer);
            let anew = |offset: u64| Position {
                file: part.file,
                offset,
                head,
            };
            let position = match (saved, first, self.saved.is_some()) {
                (Some(saved), ..)
                    if saved.offset <= part.length && (saved.file == part.file || saved.head == head) =>
                {
                    anew(saved.offset)
                }
                // Rotated while nobody looked: the first reading goes on in the old one, then begins this one.
                (Some(saved), ..) if saved.file != part.file => saved,
                (_, true, false) => {
                    self.skipped_bytes += part.length;
                    anew(part.length)
                }
                (_, true, true) => anew(part.length.saturating_sub(UNKNOWN)),
                (_, false, _) => anew(0),
            };
            let followed = Followed {
                position,
                head_length: self.buffer.len(),
                binary: false,
                length: 0,
            };
            self.files.insert(path, followed);
        }
    }

    /// Reads on in one file; whether there was something.
    fn follow(
        &mut self,
        path: &str,
        followed: &mut Followed,
        budget: &mut usize,
        take: &mut impl FnMut(Piece<'_>),
    ) -> io::Result<bool> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let result = self.follow_with(path, followed, budget, &mut buffer, take);
        self.buffer = buffer;
        result
    }

    fn follow_with(
        &mut self,
        path: &str,
        followed: &mut Followed,
        budget: &mut usize,
        buffer: &mut Vec<u8>,
        take: &mut impl FnMut(Piece<'_>),
    ) -> io::Result<bool> {
        let head = self.fs.read_part(path, 0, HEAD, buffer)?;
        let replaced = head.file != followed.position.file;
        let known = followed.head_length.min(buffer.len());
        let rewritten = head.length != followed.length
            && (buffer.len() < followed.head_length || hash(&buffer[..known]) != followed.position.head);
        if replaced {
            // What the old one got after the last look lies under another name now.
            if let Some(old) = self.old_name(path, followed.position.file) {
                self.read_on(&old, followed, budget, buffer, take)?;
            }
        }
        if replaced || rewritten || head.length < followed.position.offset {
            self.fs.read_part(path, 0, HEAD, buffer)?;
            *followed = Followed::default();
            followed.position.file = head.file;
        }
        if followed.head_length < HEAD {
            self.fs.read_part(path, 0, HEAD, buffer)?;
            followed.head_length = buffer.len();
            followed.position.head = hash(buffer);
        }
        self.read_on(path, followed, budget, buffer, take)
    }

    fn read_on(
        &mut self,
        path: &str,
        followed: &mut Followed,
        budget: &mut usize,
        buffer: &mut Vec<u8>,
        take: &mut impl FnMut(Piece<'_>),
    ) -> io::Result<bool> {
        let before = followed.position.offset;
        let most = MOST_OF_ONE.min(*budget);
        let part = self.fs.read_part(path, before, most, buffer)?;
        followed.length = part.length;
        let behind = part.length.saturating_sub(before);
        if behind > MOST_BEHIND {
            followed.position.offset = part.length - MOST_BEHIND;
            self.skipped_bytes += followed.position.offset - before;
            return Ok(true);
        }
        if buffer.is_empty() {
            return Ok(false);
        }
        *budget -= buffer.len();
        followed.binary |= buffer.contains(&0);
        if followed.binary {
            followed.position.offset = part.length;
            self.skipped_bytes += behind;
            return Ok(true);
        }
        let whole = match buffer.iter().rposition(|byte| *byte == b'\n') {
            Some(end) => end + 1,
            // A line without an end: passed on in pieces rather than kept for ever.
            None if buffer.len() >= MOST_REST => buffer.len(),
            None => return Ok(false),
        };
        self.read_bytes += whole as u64;
        take(Piece {
            path,
            file: followed.position.file,
            offset: before,
            bytes: &buffer[..whole],
        });
        followed.position.offset += whole as u64;
        Ok(true)
    }

    /// The file's name after somebody renamed it, beside its old one.
    fn old_name(&self, path: &str, file: u64) -> Option<String> {
        let (folder, name) = path.rsplit_once('/')?;
        let mut names = self.fs.list(folder).ok()?;
        names.retain(|other| other != name && other.starts_with(name));
        let mut one = Vec::new();
        let mut paths = names.into_iter().take(64).map(|name| format!("{folder}/{name}"));
        paths.find(|path| {
            let part = self.fs.read_part(path, 0, 0, &mut one);
            part.is_ok_and(|part| part.file == file)
        })
    }

    fn load(&mut self, problems: &mut Vec<CollectError>) {
        let Some(path) = &self.positions_file else {
            return;
        };
        match std::fs::read(path) {
            Ok(bytes) => match serde_json::from_slice::<Saved>(&bytes) {
                Ok(saved) => self.saved = Some(saved.files),
                Err(error) => problems.push(CollectError::Parse {
                    path: path.display().to_string(),
                    line: error.line(),
                    what: "positions of log files",
                    found: error.to_string(),
                }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => problems.push(CollectError::read(&path.display().to_string(), source)),
        }
    }

    /// Writes the positions, at once or not at all.
    fn save(&self) -> Option<CollectError> {
        let path = self.positions_file.as_ref()?;
        let own = self
            .files
            .iter()
            .map(|(path, file)| (path.clone(), file.position.clone()));
        // What was not found again yet may be mounted later.
        let waiting = self.saved.iter().flatten().take(MOST_FILES);
        let waiting = waiting.map(|(path, position)| (path.clone(), position.clone()));
        let saved = Saved {
            version: 1,
            files: waiting.chain(own).collect(),
        };
        let text = serde_json::to_vec(&saved).ok()?;
        let new = path.with_extension("new");
        let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path));
        written
            .err()
            .map(|source| CollectError::read(&path.display().to_string(), source))
    }
}

/// The files below `folder` that a pattern, part by part, matches.
fn walk(fs: &dyn HostFs, folder: String, parts: &[Glob], left: &mut usize, found: &mut Vec<String>) {
    let Some((part, rest)) = parts.split_first() else {
        return;
    };
    let plain = !part.as_str().contains(['*', '?', '[']);
    let names = match plain {
        true => vec![part.as_str().to_owned()],
        false => fs
            .list(if folder.is_empty() { "/" } else { &folder })
            .unwrap_or_default(),
    };
    for name in names {
        if *left == 0 {
            return;
        }
        *left -= 1;
        if plain || (part.matches(&name) && !name.starts_with('.')) {
            let path = format!("{folder}/{name}");
            match rest.is_empty() {
                true => found.push(path),
                false => walk(fs, path, rest, left, found),
            }
        }
    }
}

/// Whether a text is a pattern of paths.
///
/// # Errors
///
/// Why not.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    if !pattern.starts_with('/') {
        return Err("is no absolute path".to_owned());
    }
    for part in pattern.split('/') {
        Glob::new(part).map_err(|error| error.msg.to_owned())?;
        if part == "**" {
            return Err("has `**`; name each folder, with `*` where it varies".to_owned());
        }
    }
    Ok(())
}
