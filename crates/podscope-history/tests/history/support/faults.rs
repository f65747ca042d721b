//! A file layer that fails on demand: the n-th operation, or every write while the disk is "full" or "read-only".

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};

use podscope_history::io::{DiskIo, Io, IoFile, Mode};

/// What is broken. Operations count from 1.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    operations: AtomicU64,
    /// The operation that fails; 0 = none. A write that fails so writes half of its bytes first.
    pub(crate) fail_at: AtomicU64,
    /// Every operation from `fail_at` on fails.
    pub(crate) for_ever: AtomicBool,
    /// The error of an operation that fails; 0 = `EIO`.
    pub(crate) errno: AtomicI32,
    /// Writes, syncs and creations fail with `ENOSPC`.
    pub(crate) full: AtomicBool,
    /// They fail with `EROFS`.
    pub(crate) read_only: AtomicBool,
    /// Reads answer one byte at a time at most, writes too.
    pub(crate) trickle: AtomicBool,
}

impl Faults {
    pub(crate) fn count(&self) -> u64 {
        self.operations.load(Ordering::SeqCst)
    }

    pub(crate) fn reset(&self) {
        self.operations.store(0, Ordering::SeqCst);
        self.fail_at.store(0, Ordering::SeqCst);
        self.for_ever.store(false, Ordering::SeqCst);
    }

    fn step(&self) -> io::Result<()> {
        let now = self.operations.fetch_add(1, Ordering::SeqCst) + 1;
        let at = self.fail_at.load(Ordering::SeqCst);
        if at != 0 && (now == at || now > at && self.for_ever.load(Ordering::SeqCst)) {
            let errno = self.errno.load(Ordering::SeqCst);
            return Err(io::Error::from_raw_os_error(if errno == 0 { 5 } else { errno }));
        }
        Ok(())
    }

    fn change(&self) -> io::Result<()> {
        if self.full.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(28));
        }
        if self.read_only.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(30));
        }
        self.step()
    }
}

#[derive(Debug)]
pub(crate) struct FaultyIo(pub(crate) Arc<Faults>);

#[derive(Debug)]
struct FaultyFile {
    file: Arc<dyn IoFile>,
    faults: Arc<Faults>,
}

impl FaultyIo {
    fn wrap(&self, file: Arc<dyn IoFile>) -> Arc<dyn IoFile> {
        Arc::new(FaultyFile {
            file,
            faults: Arc::clone(&self.0),
        })
    }
}

impl Io for FaultyIo {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        DiskIo.create_dir(dir)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        DiskIo.list(dir)
    }

    fn open(&self, path: &Path, mode: Mode) -> io::Result<Arc<dyn IoFile>> {
        match mode {
            Mode::Read => self.0.step()?,
            Mode::Write | Mode::Create => self.0.change()?,
        }
        Ok(self.wrap(DiskIo.open(path, mode)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.change()?;
        DiskIo.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        if self.0.read_only.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(30));
        }
        self.0.step()?;
        DiskIo.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.0.change()?;
        DiskIo.sync_dir(dir)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        if self.0.full.load(Ordering::SeqCst) {
            return Ok(0);
        }
        DiskIo.free_bytes(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<Arc<dyn IoFile>> {
        if self.0.read_only.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(30));
        }
        DiskIo.lock(path)
    }
}

impl IoFile for FaultyFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.faults.step()?;
        let most = if self.faults.trickle.load(Ordering::SeqCst) {
            buffer.len().min(1000)
        } else {
            buffer.len()
        };
        self.file.read_at(&mut buffer[..most], offset)
    }

    fn write_at(&self, buffer: &[u8], offset: u64) -> io::Result<usize> {
        if let Err(error) = self.faults.change() {
            let torn = &buffer[..buffer.len() / 2];
            if !self.faults.read_only.load(Ordering::SeqCst) {
                self.file.write_at(torn, offset)?;
            }
            return Err(error);
        }
        let most = if self.faults.trickle.load(Ordering::SeqCst) {
            buffer.len().min(1000)
        } else {
            buffer.len()
        };
        self.file.write_at(&buffer[..most], offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.faults.change()?;
        self.file.sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.faults.change()?;
        self.file.set_len(len)
    }

    fn size(&self) -> io::Result<u64> {
        self.faults.step()?;
        self.file.size()
    }
}
