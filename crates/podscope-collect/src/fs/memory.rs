//! A machine in memory: a tree of files that tests and the simulator write while collectors read.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::{FilePart, HostFs, Uname, VfsStat};

/// Symbolic links followed in one path at most, as in the kernel.
const MOST_LINKS: usize = 40;

#[derive(Clone, Debug)]
enum Node {
    File(Vec<u8>),
    Link(String),
    /// A file that is there and cannot be read: the raw OS error.
    Unreadable(i32),
}

/// How a mount point answers `statvfs`.
#[derive(Clone, Copy, Debug)]
pub enum Mount {
    Answers(VfsStat),
    /// The raw OS error.
    Fails(i32),
    /// Until the mount is set to something else.
    Hangs,
}

#[derive(Debug, Default)]
struct State {
    nodes: BTreeMap<String, Node>,
    /// Which file lies under a name, for those that were read in parts.
    files: BTreeMap<String, u64>,
    next_file: u64,
    mounts: BTreeMap<String, Mount>,
    uname: Uname,
    now: Duration,
    zone: (String, i32),
}

/// The machine in memory. Every method takes `&self`: share it in an `Arc`.
#[derive(Debug, Default)]
pub struct MemFs {
    state: Mutex<State>,
    mounts_changed: Condvar,
}

impl MemFs {
    pub fn new() -> Self {
        let fs = Self::default();
        fs.lock().zone = ("UTC".to_owned(), 0);
        fs
    }

    /// Reads a captured tree: `folder/proc` becomes `/proc`, and so on. Symbolic links stay links.
    ///
    /// # Errors
    ///
    /// When the folder, or a file in it, cannot be read.
    pub fn from_dir(folder: &Path) -> io::Result<Self> {
        let fs = Self::new();
        let mut folders = vec![(folder.to_path_buf(), String::new())];
        while let Some((real, path)) = folders.pop() {
            for entry in std::fs::read_dir(&real)? {
                let entry = entry?;
                let path = format!("{path}/{}", entry.file_name().to_string_lossy());
                let kind = entry.file_type()?;
                if kind.is_dir() {
                    folders.push((entry.path(), path));
                } else if kind.is_symlink() {
                    fs.link(&path, &std::fs::read_link(entry.path())?.to_string_lossy());
                } else {
                    fs.write(&path, std::fs::read(entry.path())?);
                }
            }
        }
        Ok(fs)
    }

    /// Creates or replaces a file.
    pub fn write(&self, path: &str, content: impl Into<Vec<u8>>) {
        self.lock()
            .nodes
            .insert(path.to_owned(), Node::File(content.into()));
    }

    /// Rewrites a file in place, so that a simulator that ticks each second reuses its memory.
    pub fn rewrite(&self, path: &str, write: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        let node = state
            .nodes
            .entry(path.to_owned())
            .or_insert_with(|| Node::File(Vec::new()));
        if !matches!(node, Node::File(_)) {
            *node = Node::File(Vec::new());
        }
        if let Node::File(content) = node {
            content.clear();
            write(content);
        }
    }

    /// Adds to the end of a file, which is made if it is not there: a log.
    pub fn append(&self, path: &str, content: &[u8]) {
        let mut state = self.lock();
        match state.nodes.get_mut(path) {
            Some(Node::File(old)) => old.extend_from_slice(content),
            _ => {
                state.nodes.insert(path.to_owned(), Node::File(content.to_vec()));
            }
        }
    }

    /// Gives a file another name, as whoever rotates logs does. Nothing happens where there is none.
    pub fn rename(&self, from: &str, to: &str) {
        let mut state = self.lock();
        state.file(from);
        if let Some(node) = state.nodes.remove(from) {
            state.nodes.insert(to.to_owned(), node);
            if let Some(file) = state.files.remove(from) {
                state.files.insert(to.to_owned(), file);
            }
        }
    }

    /// Creates or replaces a symbolic link; a relative target starts at the link's folder.
    pub fn link(&self, path: &str, target: &str) {
        self.lock()
            .nodes
            .insert(path.to_owned(), Node::Link(target.to_owned()));
    }

    /// Lets reads of a file fail with a raw OS error, as `EIO` from a broken device.
    pub fn make_unreadable(&self, path: &str, raw_os_error: i32) {
        self.lock()
            .nodes
            .insert(path.to_owned(), Node::Unreadable(raw_os_error));
    }

    /// Removes a file, or a folder with all it holds.
    pub fn remove(&self, path: &str) {
        let inside = format!("{path}/");
        let mut state = self.lock();
        let gone = |name: &String| name == path || name.starts_with(&inside);
        state.nodes.retain(|name, _| !gone(name));
        state.files.retain(|name, _| !gone(name));
    }

    /// Every file, for tests that go through all of them.
    pub fn files(&self) -> Vec<String> {
        let state = self.lock();
        let files = state
            .nodes
            .iter()
            .filter(|(_, node)| matches!(node, Node::File(_)));
        files.map(|(path, _)| path.clone()).collect()
    }

    pub fn set_mount(&self, mount_point: &str, mount: Mount) {
        self.lock().mounts.insert(mount_point.to_owned(), mount);
        self.mounts_changed.notify_all();
    }

    pub fn set_uname(&self, uname: Uname) {
        self.lock().uname = uname;
    }

    /// Sets the wall clock, as time since 1970.
    pub fn set_now(&self, since_epoch: Duration) {
        self.lock().now = since_epoch;
    }

    pub fn set_time_zone(&self, name: &str, offset_seconds: i32) {
        self.lock().zone = (name.to_owned(), offset_seconds);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn not_found() -> io::Error {
    /// As the kernel answers, so that the text is the same.
    const ENOENT: i32 = 2;
    io::Error::from_raw_os_error(ENOENT)
}

impl State {
    /// Which file lies under a path.
    fn file(&mut self, path: &str) -> u64 {
        if let Some(file) = self.files.get(path) {
            return *file;
        }
        self.next_file += 1;
        self.files.insert(path.to_owned(), self.next_file);
        self.next_file
    }

    /// Follows links in every component; answers the normalised path, whether or not something is there.
    fn resolve(&self, path: &str) -> io::Result<String> {
        let mut pending: Vec<String> = path.split('/').rev().map(str::to_owned).collect();
        let mut resolved = String::new();
        let mut links = 0;
        while let Some(part) = pending.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    resolved.truncate(resolved.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let parent = resolved.len();
            resolved.push('/');
            resolved.push_str(&part);
            if let Some(Node::Link(target)) = self.nodes.get(&resolved) {
                links += 1;
                if links > MOST_LINKS {
                    return Err(io::Error::other("too many symbolic links"));
                }
                resolved.truncate(if target.starts_with('/') { 0 } else { parent });
                pending.extend(target.split('/').rev().map(str::to_owned));
            }
        }
        Ok(resolved)
    }

    fn node(&self, path: &str) -> io::Result<&Node> {
        // Most paths have no link in them.
        match self.nodes.get(path) {
            Some(node @ (Node::File(_) | Node::Unreadable(_))) => Ok(node),
            _ => self.nodes.get(&self.resolve(path)?).ok_or_else(not_found),
        }
    }

    fn is_there(&self, resolved: &str) -> bool {
        let inside = format!("{resolved}/");
        self.nodes.contains_key(resolved)
            || self
                .nodes
                .range(inside.clone()..)
                .next()
                .is_some_and(|(path, _)| path.starts_with(&inside))
    }
}

impl HostFs for MemFs {
    fn read(&self, path: &str, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.clear();
        match self.lock().node(path)? {
            Node::File(content) => buffer.extend_from_slice(content),
            Node::Unreadable(code) => return Err(io::Error::from_raw_os_error(*code)),
            Node::Link(_) => return Err(not_found()),
        }
        Ok(())
    }

    fn read_part(&self, path: &str, offset: u64, most: usize, buffer: &mut Vec<u8>) -> io::Result<FilePart> {
        buffer.clear();
        let mut state = self.lock();
        let content = match state.node(path)? {
            Node::File(content) => content,
            Node::Link(_) => return Err(not_found()),
            Node::Unreadable(code) => return Err(io::Error::from_raw_os_error(*code)),
        };
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let until = content.len().min(from.saturating_add(most));
        buffer.extend_from_slice(&content[from..until]);
        let length = content.len() as u64;
        Ok(FilePart {
            file: state.file(path),
            length,
        })
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let state = self.lock();
        let folder = format!("{}/", state.resolve(path)?);
        let mut names: Vec<String> = Vec::new();
        for (path, _) in state.nodes.range(folder.clone()..) {
            let Some(rest) = path.strip_prefix(&folder) else {
                break;
            };
            let name = rest.split('/').next().unwrap_or(rest);
            if names.last().is_none_or(|last| last != name) {
                names.push(name.to_owned());
            }
        }
        if names.is_empty() {
            return Err(not_found());
        }
        // The order of whole paths is not that of first components: '-' sorts before '/'.
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    fn canonicalize(&self, path: &str) -> io::Result<String> {
        let state = self.lock();
        let resolved = state.resolve(path)?;
        if state.is_there(&resolved) {
            Ok(resolved)
        } else {
            Err(not_found())
        }
    }

    fn exists(&self, path: &str) -> bool {
        self.canonicalize(path).is_ok()
    }

    fn statvfs(&self, mount_point: &str) -> io::Result<VfsStat> {
        let mut state = self.lock();
        loop {
            match state.mounts.get(mount_point) {
                Some(Mount::Answers(stat)) => return Ok(*stat),
                Some(Mount::Fails(code)) => return Err(io::Error::from_raw_os_error(*code)),
                Some(Mount::Hangs) => {
                    state = self
                        .mounts_changed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                None => return Err(not_found()),
            }
        }
    }

    fn uname(&self) -> io::Result<Uname> {
        Ok(self.lock().uname.clone())
    }

    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.lock().now
    }

    fn time_zone(&self, name: &mut String) -> i32 {
        let state = self.lock();
        name.clone_from(&state.zone.0);
        state.zone.1
    }

    fn page_size(&self) -> u64 {
        4096
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fs: &MemFs, path: &str) -> io::Result<String> {
        let mut buffer = Vec::new();
        fs.read(path, &mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer).into_owned())
    }

    #[test]
    fn follows_links_of_folders_as_sysfs_has_them() {
        let fs = MemFs::new();
        fs.write("/sys/devices/pci0/net/eth0/mtu", "1500\n");
        fs.link("/sys/class/net/eth0", "../../devices/pci0/net/eth0");
        assert_eq!(
            read(&fs, "/sys/class/net/eth0/mtu").expect("through the link"),
            "1500\n"
        );
        assert_eq!(fs.list("/sys/class/net").expect("a folder"), ["eth0"]);
        assert_eq!(fs.list("/sys/class/net/eth0").expect("through the link"), ["mtu"]);
        assert_eq!(
            fs.canonicalize("/sys/class/net/eth0").expect("it is there"),
            "/sys/devices/pci0/net/eth0"
        );
        assert!(!fs.exists("/sys/class/net/eth1"));
    }

    #[test]
    fn a_link_to_itself_is_an_error_and_no_endless_loop() {
        let fs = MemFs::new();
        fs.link("/a", "/a");
        assert!(read(&fs, "/a").is_err());
    }

    #[test]
    fn removes_folders_and_makes_files_unreadable() {
        let fs = MemFs::new();
        fs.write("/sys/a/b", "1");
        fs.write("/sys/ab", "2");
        fs.remove("/sys/a");
        assert_eq!(fs.files(), ["/sys/ab"]);
        fs.make_unreadable("/sys/ab", 5);
        assert_eq!(read(&fs, "/sys/ab").unwrap_err().raw_os_error(), Some(5));
    }
}
