//! A disk in memory that can lose power: what was not synced may be gone afterwards, wholly or in part.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use podscope_history::io::{Io, IoFile, Mode};

/// What a power cut leaves of the writes that were not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    Nothing,
    Everything,
    /// Names, and the first half of each file's new bytes; the second half reads as zeros.
    Half,
}

#[derive(Clone, Debug, Default)]
struct Content {
    current: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Debug, Default)]
struct Disk {
    files: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    operations: u64,
    /// After this many operations every further one fails: the power is off.
    off_at: Option<u64>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryIo(Arc<Mutex<Disk>>);

#[derive(Debug)]
struct MemoryFile {
    disk: Arc<Mutex<Disk>>,
    at: usize,
}

fn lock(disk: &Mutex<Disk>) -> MutexGuard<'_, Disk> {
    disk.lock().expect("no thread panicked with the disk")
}

impl Disk {
    fn step(&mut self) -> io::Result<()> {
        if self.off_at.is_some_and(|at| self.operations >= at) {
            return Err(io::Error::other("the power is off"));
        }
        self.operations += 1;
        Ok(())
    }
}

impl MemoryIo {
    /// Turns the power off after so many more changes.
    pub(crate) fn cut_after(&self, operations: u64) {
        let mut disk = lock(&self.0);
        disk.off_at = Some(disk.operations + operations);
    }

    pub(crate) fn operations(&self) -> u64 {
        lock(&self.0).operations
    }

    pub(crate) fn is_off(&self) -> bool {
        let disk = lock(&self.0);
        disk.off_at.is_some_and(|at| disk.operations >= at)
    }

    /// The disk as it is found after the power cut.
    pub(crate) fn after_cut(&self, leaves: Leaves) -> Self {
        let disk = lock(&self.0);
        let names = if leaves == Leaves::Nothing {
            &disk.durable_names
        } else {
            &disk.names
        };
        let files = disk.files.iter().map(|content| {
            let found = match leaves {
                Leaves::Nothing => content.durable.clone(),
                Leaves::Everything => content.current.clone(),
                Leaves::Half => {
                    let mut found = content.current.clone();
                    let same = content.durable.len().min(found.len());
                    let middle = same + (found.len() - same) / 2;
                    found[middle..].fill(0);
                    found
                }
            };
            Content {
                current: found.clone(),
                durable: found,
            }
        });
        Self(Arc::new(Mutex::new(Disk {
            files: files.collect(),
            names: names.clone(),
            durable_names: names.clone(),
            ..Disk::default()
        })))
    }
}

impl Io for MemoryIo {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let disk = lock(&self.0);
        let inside = disk.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect())
    }

    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn IoFile>> {
        let mut disk = lock(&self.0);
        let known = disk.names.get(path).copied();
        let at = match (known, mode) {
            (Some(at), Mode::Read | Mode::Write) => at,
            (None, Mode::Read | Mode::Write) => return Err(io::ErrorKind::NotFound.into()),
            (known, Mode::Create) => {
                disk.step()?;
                match known {
                    Some(at) => {
                        disk.files[at].current.clear();
                        at
                    }
                    None => {
                        disk.files.push(Content::default());
                        let at = disk.files.len() - 1;
                        disk.names.insert(path.to_owned(), at);
                        at
                    }
                }
            }
        };
        Ok(Arc::new(MemoryFile {
            disk: Arc::clone(&self.0),
            at,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut disk = lock(&self.0);
        disk.step()?;
        let at = disk.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.names.insert(to.to_owned(), at);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut disk = lock(&self.0);
        disk.step()?;
        disk.names
            .remove(path)
            .map(|_| ())
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut disk = lock(&self.0);
        disk.step()?;
        disk.durable_names = disk.names.clone();
        Ok(())
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    fn lock(&self, _path: &Path) -> io::Result<Arc<dyn IoFile>> {
        Ok(Arc::new(MemoryFile {
            disk: Arc::clone(&self.0),
            at: usize::MAX,
        }))
    }
}

impl IoFile for MemoryFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let disk = lock(&self.disk);
        let rest = disk.files[self.at]
            .current
            .get(offset as usize..)
            .unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<usize> {
        let mut disk = lock(&self.disk);
        disk.step()?;
        let content = &mut disk.files[self.at].current;
        let end = offset as usize + buffer.len();
        if content.len() < end {
            content.resize(end, 0);
        }
        content[offset as usize..end].copy_from_slice(buffer);
        Ok(buffer.len())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = lock(&self.disk);
        disk.step()?;
        let content = &mut disk.files[self.at];
        content.durable = content.current.clone();
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = lock(&self.disk);
        disk.step()?;
        disk.files[self.at].current.resize(len as usize, 0);
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(lock(&self.disk).files[self.at].current.len() as u64)
    }
}
