//! A host's files in a temporary folder: what a collector reads, one file at a time.

use std::path::{Path, PathBuf};

/// A folder that looks like the root of a machine. Goes away with the value.
#[derive(Debug)]
pub struct HostTree {
    dir: tempfile::TempDir,
}

impl HostTree {
    /// An empty tree.
    ///
    /// # Errors
    /// When no temporary folder can be made.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {
            dir: tempfile::Builder::new().prefix("podscope-host-").tempdir()?,
        })
    }

    /// A copy of a captured machine.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn copy_of(folder: impl AsRef<Path>) -> std::io::Result<Self> {
        let tree = Self::new()?;
        copy(folder.as_ref(), tree.root())?;
        Ok(tree)
    }

    /// The folder that stands for `/`.
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// Where an absolute path of the host lies.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// Writes a file, with its folders: `tree.file("/proc/loadavg", "0.1 0.2 0.3 1/100 4242\n")`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> std::io::Result<&Self> {
        let at = self.path(path);
        if let Some(folder) = at.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(at, content)?;
        Ok(self)
    }

    /// Makes a symbolic link, as `/sys/class` is full of.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn link(&self, path: &str, target: &str) -> std::io::Result<&Self> {
        let at = self.path(path);
        if let Some(folder) = at.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::os::unix::fs::symlink(target, at)?;
        Ok(self)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// When it does not exist.
    pub fn remove(&self, path: &str) -> std::io::Result<&Self> {
        std::fs::remove_file(self.path(path))?;
        Ok(self)
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            std::fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(entry.path())?, target)?;
        } else {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_links_lie_where_the_host_would_have_them() {
        let tree = HostTree::new().expect("temporary folder");
        tree.file("/proc/loadavg", "1 2 3\n").expect("written");
        tree.link("/sys/class/net/eth0", "../../devices/eth0")
            .expect("linked");
        let copy = HostTree::copy_of(tree.root()).expect("copied");
        assert_eq!(
            std::fs::read_to_string(copy.path("/proc/loadavg")).expect("read"),
            "1 2 3\n"
        );
        assert!(copy.path("/sys/class/net/eth0").is_symlink());
        copy.remove("/proc/loadavg").expect("removed");
        assert!(!copy.path("/proc/loadavg").exists());
    }
}
