//! The machine as collectors see it: files below `/proc` and `/sys`, `statvfs`, `uname`, the clock.
//!
//! Collectors get an `Arc<dyn HostFs>` and never touch the machine otherwise, so that the same code reads the real node
//! ([`RealFs`]), a captured one and a simulated one ([`MemFs`]). Paths are absolute, as on the node itself.

mod memory;
mod real;

use std::fmt::Debug;
use std::io;
use std::time::SystemTime;

pub use memory::{MemFs, Mount};
pub use real::RealFs;

/// What `statfs` says of a mounted file system, in blocks and inodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VfsStat {
    pub block_size: u64,
    pub blocks: u64,
    pub blocks_free: u64,
    /// Free to users other than root.
    pub blocks_available: u64,
    pub files: u64,
    pub files_free: u64,
}

/// What `uname` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uname {
    pub sysname: String,
    pub release: String,
    pub version: String,
    pub machine: String,
    pub nodename: String,
    pub domainname: String,
}

/// What was found where a part of a file was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePart {
    /// Which file it is: a file that was renamed keeps it, a new one under the same name has another.
    pub file: u64,
    /// Bytes of the whole file.
    pub length: u64,
}

/// One machine.
pub trait HostFs: Send + Sync + Debug {
    /// Reads the whole file into `buffer`, whose former content is lost and whose memory is kept.
    fn read(&self, path: &str, buffer: &mut Vec<u8>) -> io::Result<()>;

    /// As [`HostFs::read`], for a file that is read every second: the implementation may keep it open.
    fn read_hot(&self, path: &str, buffer: &mut Vec<u8>) -> io::Result<()> {
        self.read(path, buffer)
    }

    /// Closes the files below a folder that were kept open: what they belonged to is gone.
    fn close_below(&self, _folder: &str) {}

    /// Reads at most so many bytes of a regular file from a place on into `buffer`, whose former content is lost: log files
    /// that grow. Behind the end there is nothing, which is no error.
    fn read_part(&self, path: &str, offset: u64, most: usize, buffer: &mut Vec<u8>) -> io::Result<FilePart> {
        self.read(path, buffer)?;
        let length = buffer.len() as u64;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(buffer.len());
        buffer.drain(..from);
        buffer.truncate(most);
        Ok(FilePart { file: 0, length })
    }

    /// The names in a folder, sorted.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;

    /// The path with every symbolic link followed.
    fn canonicalize(&self, path: &str) -> io::Result<String>;

    /// Whether a file or folder is there; links are followed.
    fn exists(&self, path: &str) -> bool;

    /// Blocks and inodes of the file system mounted at `mount_point`. May hang with the server of a network mount.
    fn statvfs(&self, mount_point: &str) -> io::Result<VfsStat>;

    fn uname(&self) -> io::Result<Uname>;

    /// The wall clock.
    fn now(&self) -> SystemTime;

    /// Writes the abbreviation of the local time zone into `name` (former content is lost) and answers its offset from
    /// UTC in seconds, east positive.
    fn time_zone(&self, name: &mut String) -> i32;

    /// Bytes per page of memory.
    fn page_size(&self) -> u64;
}
