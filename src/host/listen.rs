//! The socket Grafana talks to: a unix socket of mode 0600 in a folder of mode 0700. On a shared machine a TCP port
//! would be open to every local user, with the data source's rights.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use super::HostError;

/// go-plugin's folder for sockets, made by Grafana for this process and removed by it afterwards.
const SOCKET_DIR: &str = "PLUGIN_UNIX_SOCKET_DIR";

/// A listening socket; its file goes when this does.
#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Socket {
    pub(super) fn bind() -> Result<Self, HostError> {
        let parent = std::env::var_os(SOCKET_DIR).map_or_else(std::env::temp_dir, PathBuf::from);
        let at = |source| HostError::Socket {
            dir: parent.display().to_string(),
            source,
        };
        let dir = tempfile::Builder::new()
            .prefix("podscope-")
            .permissions(std::fs::Permissions::from_mode(0o700))
            .tempdir_in(&parent)
            .map_err(at)?;
        let path = dir.path().join("plugin.sock");
        let listener = UnixListener::bind(&path).map_err(at)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(at)?;
        listener.set_nonblocking(true).map_err(at)?;
        Ok(Self {
            listener,
            path,
            _dir: dir,
        })
    }

    /// `core protocol | app protocol | network | address | plugin protocol`, as go-plugin reads it.
    pub(super) fn handshake(&self) -> String {
        format!("1|2|unix|{}|grpc\n", self.path.display())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The listener for the runtime; must be called inside it.
    pub(super) fn listener(&self) -> std::io::Result<tokio::net::UnixListener> {
        tokio::net::UnixListener::from_std(self.listener.try_clone()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_may_reach_the_socket() {
        let socket = Socket::bind().expect("a temporary folder is writable");
        let mode = |path: &Path| std::fs::metadata(path).expect("exists").permissions().mode() & 0o777;
        assert_eq!(mode(socket.path()), 0o600);
        assert_eq!(mode(socket.path().parent().expect("has a folder")), 0o700);
    }

    #[test]
    fn the_socket_file_goes_with_the_process() {
        let socket = Socket::bind().expect("a temporary folder is writable");
        let path = socket.path().to_owned();
        drop(socket);
        assert!(!path.exists());
    }
}
