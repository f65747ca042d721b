//! Opening: the lock, the store's id, the segments, and the rows that the logs still hold.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, RwLock};

use crate::catalog::Catalog;
use crate::io::{self, Io};
use crate::logs::replay_logs;
use crate::segment::Segment;
use crate::store::Parts;
use crate::tier;
use crate::writer::Writer;
use crate::{HistoryError, Lost, Options, Recovery};

pub(crate) const LOCK_FILE: &str = "lock";
pub(crate) const LEAF_ID_FILE: &str = "leaf-id";

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
    let newest: Vec<Arc<Segment>> = writer.raw().rev().take(2).cloned().collect();
    for segment in newest {
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
        let Some(key) = tier::parse_name(name) else {
            continue;
        };
        match Segment::found(dir, key, io) {
            Ok(found) => {
                writer.segments.insert(key, Arc::new(found));
                recovery.segments += 1;
            }
            Err(error) => lost.note(0, format!("{}: {error}", dir.join(name).display())),
        }
    }
}
