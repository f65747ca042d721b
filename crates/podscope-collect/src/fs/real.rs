//! The machine the process runs on, or a copy of one below a folder.

use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustc_hash::FxHashMap;

use super::{FilePart, HostFs, Uname, VfsStat};

/// Hot files kept open at most, where the process may open as many; further ones are opened for each reading.
const MOST_OPEN_FILES: usize = 4096;
/// Left to everything else: connections, segments, the log.
const OTHER_FILES: usize = 512;

/// Room for one read of most files below `/proc`.
const READ_STEP: usize = 8 * 1024;

/// The real machine. `/proc`, `/sys` and everything else may lie elsewhere: mounted into a container, or captured.
#[derive(Debug)]
pub struct RealFs {
    proc: PathBuf,
    sys: PathBuf,
    root: PathBuf,
    /// Opening a file below `/proc` or `/sys` costs as much as reading it.
    open: Mutex<FxHashMap<Box<str>, Arc<File>>>,
    most_open: usize,
}

/// How many files may be kept open beside everything else.
fn room_for_open_files() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX));
    limit.saturating_sub(OTHER_FILES).clamp(64, MOST_OPEN_FILES)
}

impl Default for RealFs {
    fn default() -> Self {
        Self::new("/proc", "/sys", "/")
    }
}

impl RealFs {
    /// `proc` and `sys` are the places of procfs and sysfs, `root` that of the node's own file system.
    pub fn new(proc: impl Into<PathBuf>, sys: impl Into<PathBuf>, root: impl Into<PathBuf>) -> Self {
        Self {
            proc: proc.into(),
            sys: sys.into(),
            root: root.into(),
            open: Mutex::default(),
            most_open: room_for_open_files(),
        }
    }

    /// Where a path of the node lies for this process.
    fn real<'p>(&self, path: &'p str) -> Cow<'p, Path> {
        for (prefix, place) in [("/proc", &self.proc), ("/sys", &self.sys), ("", &self.root)] {
            let Some(rest) = path
                .strip_prefix(prefix)
                .filter(|rest| rest.is_empty() || rest.starts_with('/'))
            else {
                continue;
            };
            let unchanged = if prefix.is_empty() { "/" } else { prefix };
            if place.as_os_str() == unchanged {
                return Cow::Borrowed(Path::new(path));
            }
            return Cow::Owned(place.join(rest.trim_start_matches('/')));
        }
        Cow::Borrowed(Path::new(path))
    }

    fn opened(&self, path: &str) -> io::Result<(Arc<File>, bool)> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(path) {
            return Ok((Arc::clone(file), true));
        }
        let file = Arc::new(File::open(self.real(path))?);
        if open.len() < self.most_open {
            open.insert(path.into(), Arc::clone(&file));
        }
        Ok((file, false))
    }

    fn close(&self, path: &str) {
        self.open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(path);
    }
}

/// Reads from the start of an open file: files of procfs and sysfs are made anew when read at offset 0.
fn read_from_start(file: &File, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut filled = 0;
    loop {
        if buffer.len() - filled < READ_STEP / 2 {
            buffer.resize(buffer.len() + READ_STEP, 0);
        }
        match file.read_at(&mut buffer[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => {
                buffer.clear();
                return Err(error);
            }
        }
    }
    buffer.truncate(filled);
    Ok(())
}

impl HostFs for RealFs {
    fn read(&self, path: &str, buffer: &mut Vec<u8>) -> io::Result<()> {
        // Not `read_to_end`: it asks for the size first, which files of procfs and sysfs do not know.
        read_from_start(&File::open(self.real(path))?, buffer)
    }

    fn read_hot(&self, path: &str, buffer: &mut Vec<u8>) -> io::Result<()> {
        let (file, was_open) = self.opened(path)?;
        let result = read_from_start(&file, buffer);
        if result.is_err() {
            // A device that was unplugged and came back has new files under the old names.
            self.close(path);
            if was_open {
                let (file, _) = self.opened(path)?;
                return read_from_start(&file, buffer).inspect_err(|_| self.close(path));
            }
        }
        result
    }

    fn close_below(&self, folder: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|path, _| {
            let rest = path.strip_prefix(folder);
            !rest.is_some_and(|rest| rest.starts_with('/'))
        });
    }

    fn read_part(&self, path: &str, offset: u64, most: usize, buffer: &mut Vec<u8>) -> io::Result<FilePart> {
        buffer.clear();
        // A pipe under the name of a log must not make the reader wait.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or(0))
            .open(self.real(path))?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let there = usize::try_from(about.len().saturating_sub(offset)).unwrap_or(usize::MAX);
        buffer.resize(there.min(most), 0);
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    buffer.clear();
                    return Err(error);
                }
            }
        }
        buffer.truncate(filled);
        Ok(FilePart {
            file: about.ino() ^ about.dev().rotate_left(32),
            length: about.len(),
        })
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(self.real(path))? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn canonicalize(&self, path: &str) -> io::Result<String> {
        let real = std::fs::canonicalize(self.real(path))?;
        for (prefix, place) in [("/proc", &self.proc), ("/sys", &self.sys), ("", &self.root)] {
            let Ok(place) = std::fs::canonicalize(place) else {
                continue;
            };
            if let Ok(rest) = real.strip_prefix(&place) {
                return Ok(Path::new("/")
                    .join(prefix.trim_start_matches('/'))
                    .join(rest)
                    .to_string_lossy()
                    .into());
            }
        }
        Ok(real.to_string_lossy().into_owned())
    }

    fn exists(&self, path: &str) -> bool {
        self.real(path).try_exists().unwrap_or(false)
    }

    fn statvfs(&self, mount_point: &str) -> io::Result<VfsStat> {
        let stat = rustix::fs::statfs(self.real(mount_point).as_ref())?;
        Ok(VfsStat {
            block_size: u64::try_from(stat.f_bsize).unwrap_or(0),
            blocks: stat.f_blocks,
            blocks_free: stat.f_bfree,
            blocks_available: stat.f_bavail,
            files: stat.f_files,
            files_free: stat.f_ffree,
        })
    }

    fn uname(&self) -> io::Result<Uname> {
        let uname = rustix::system::uname();
        let text = |part: &std::ffi::CStr| part.to_string_lossy().into_owned();
        Ok(Uname {
            sysname: text(uname.sysname()),
            release: text(uname.release()),
            version: text(uname.version()),
            machine: text(uname.machine()),
            nodename: text(uname.nodename()),
            domainname: text(uname.domainname()),
        })
    }

    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn time_zone(&self, name: &mut String) -> i32 {
        let zone = jiff::tz::TimeZone::system();
        let info = zone.to_offset_info(jiff::Timestamp::now());
        name.clear();
        name.push_str(info.abbreviation());
        info.offset().seconds()
    }

    fn page_size(&self) -> u64 {
        rustix::param::page_size() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_hot_file_anew_each_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("loadavg");
        let fs = RealFs::new(folder.path(), "/sys", "/");
        let mut buffer = Vec::new();
        for text in ["1.0", "2.0 and more", ""] {
            std::fs::write(&file, text).expect("a writable folder");
            fs.read_hot("/proc/loadavg", &mut buffer)
                .expect("the file is there");
            assert_eq!(buffer, text.as_bytes());
        }
    }

    #[test]
    fn files_of_a_folder_that_is_gone_are_closed() {
        let folder = tempfile::tempdir().expect("a folder");
        for group in ["a", "ab"] {
            std::fs::create_dir(folder.path().join(group)).expect("a writable folder");
            std::fs::write(folder.path().join(group).join("stat"), "1").expect("a writable folder");
        }
        let fs = RealFs::new("/proc", folder.path(), "/");
        let mut buffer = Vec::new();
        for group in ["a", "ab"] {
            let path = format!("/sys/{group}/stat");
            fs.read_hot(&path, &mut buffer).expect("the file is there");
        }
        let open = || fs.open.lock().unwrap_or_else(PoisonError::into_inner).len();
        assert_eq!(open(), 2);
        fs.close_below("/sys/a");
        assert_eq!(open(), 1, "only what lies below it");
    }

    #[test]
    fn reads_files_longer_than_one_page() {
        let folder = tempfile::tempdir().expect("a folder");
        let long: Vec<u8> = (0..100_000u32).map(|at| (at % 251) as u8).collect();
        std::fs::write(folder.path().join("stat"), &long).expect("a writable folder");
        let fs = RealFs::new(folder.path(), "/sys", "/");
        let mut buffer = Vec::new();
        for _ in 0..2 {
            fs.read_hot("/proc/stat", &mut buffer).expect("the file is there");
            assert_eq!(buffer, long);
        }
    }

    #[test]
    fn only_whole_path_components_are_mapped() {
        let fs = RealFs::new("/p", "/s", "/r");
        assert_eq!(fs.real("/proc/stat"), Path::new("/p/stat"));
        assert_eq!(fs.real("/sys"), Path::new("/s/"));
        assert_eq!(fs.real("/procedure"), Path::new("/r/procedure"));
        assert_eq!(RealFs::default().real("/proc/stat"), Path::new("/proc/stat"));
        assert_eq!(
            RealFs::default().real("/etc/os-release"),
            Path::new("/etc/os-release")
        );
    }

    #[test]
    fn knows_this_machine() {
        let fs = RealFs::default();
        let mut buffer = Vec::new();
        fs.read_hot("/proc/stat", &mut buffer)
            .expect("Linux has /proc/stat");
        assert!(buffer.starts_with(b"cpu"));
        assert!(fs.statvfs("/").expect("the root is mounted").blocks > 0);
        assert_eq!(fs.uname().expect("uname works").sysname, "Linux");
        assert!(fs.page_size() >= 4096);
    }
}
