//! A plugin host: starts the built executable as Grafana starts a backend plugin and speaks its protocol.
//!
//! As Grafana does: no arguments, no environment but go-plugin's magic cookie and what Grafana itself adds, the handshake
//! read from the first line of stdout, gRPC over the unix socket named there, `plugin.GRPCController/Shutdown` and two
//! seconds of patience at the end.

mod messages;
mod protocol;
mod request;

pub use protocol::{Health, QueryAnswer, ResourceAnswer};
pub use request::{Query, QueryRequest, Source, ds_query_request, ds_query_response};

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

/// How long the handshake may take. Grafana waits a minute; a plugin that needs more than this is too slow anyway.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// How long go-plugin waits after it asked for the end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the host and the plugin did not come together.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    #[error("starting {path}: {source}")]
    Start { path: PathBuf, source: std::io::Error },
    #[error("{path} printed no handshake within {}s; its stderr: {stderr}", HANDSHAKE.as_secs())]
    NoHandshake { path: PathBuf, stderr: String },
    #[error("the first line on stdout is no handshake: {0:?}")]
    Handshake(String),
    #[error("connecting to the plugin's socket: {0}")]
    Connect(#[from] tonic::transport::Error),
    #[error("{call}: {status}")]
    Call {
        call: &'static str,
        status: Box<tonic::Status>,
    },
    #[error("refId {ref_id}: {source}")]
    Frame {
        ref_id: String,
        source: crate::frames::FrameError,
    },
    #[error("waiting for the plugin's end: {0}")]
    Wait(std::io::Error),
    #[error("the query request: {0}")]
    Request(String),
}

/// A running plugin. Killed when dropped; [`PluginHost::stop`] ends it the way Grafana does.
#[derive(Debug)]
pub struct PluginHost {
    child: Child,
    channel: Channel,
    socket: PathBuf,
    stdout: Captured,
    stderr: Captured,
    _dir: tempfile::TempDir,
}

/// What a stream has printed so far.
#[derive(Clone, Debug, Default)]
struct Captured(Arc<Mutex<String>>);

impl Captured {
    fn text(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn read(self, mut stream: impl AsyncRead + Unpin) {
        let mut buffer = vec![0; 8192];
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            let text = String::from_utf8_lossy(&buffer[..count]);
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(&text);
        }
    }
}

impl PluginHost {
    /// Starts the executable and connects.
    ///
    /// # Errors
    /// See [`HostError`].
    pub async fn start(executable: impl AsRef<Path>) -> Result<Self, HostError> {
        Self::start_with(executable, &[]).await
    }

    /// The same with settings of `[plugin.<id>]`, which Grafana passes as `GF_PLUGIN_<KEY>`.
    ///
    /// # Errors
    /// See [`HostError`].
    pub async fn start_with(executable: impl AsRef<Path>, env: &[(&str, &str)]) -> Result<Self, HostError> {
        let path = executable.as_ref().to_owned();
        let at = |source| HostError::Start {
            path: path.clone(),
            source,
        };
        let dir = tempfile::Builder::new()
            .prefix("plugin-dir")
            .tempdir()
            .map_err(at)?;
        let mut child = Command::new(&path)
            .env_clear()
            .env("grafana_plugin_type", "datasource")
            .env("PLUGIN_MIN_PORT", "10000")
            .env("PLUGIN_MAX_PORT", "25000")
            .env("PLUGIN_PROTOCOL_VERSIONS", "2")
            .env("PLUGIN_UNIX_SOCKET_DIR", dir.path())
            .env("GF_VERSION", "12.4.0")
            .env("GF_EDITION", "Open Source")
            .envs(env.iter().copied())
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(at)?;
        let (stdout, stderr) = (Captured::default(), Captured::default());
        if let Some(stream) = child.stderr.take() {
            tokio::spawn(stderr.clone().read(stream));
        }
        let missing = || HostError::NoHandshake {
            path: path.clone(),
            stderr: String::new(),
        };
        let mut lines = BufReader::new(child.stdout.take().ok_or_else(missing)?);
        let mut line = String::new();
        let read = tokio::time::timeout(HANDSHAKE, lines.read_line(&mut line)).await;
        if !matches!(read, Ok(Ok(1..))) {
            // It ended or hangs: let its last words arrive.
            let _ended = tokio::time::timeout(PATIENCE, child.wait()).await.is_ok();
            return Err(HostError::NoHandshake {
                path,
                stderr: stderr.text(),
            });
        }
        tokio::spawn(stdout.clone().read(lines));
        let socket = socket_of(line.trim_end())?;
        let connect = socket.clone();
        let channel = Endpoint::from_static("http://plugin")
            .connect_with_connector(service_fn(move |_| {
                let socket = connect.clone();
                async move { UnixStream::connect(socket).await.map(TokioIo::new) }
            }))
            .await?;
        Ok(Self {
            child,
            channel,
            socket,
            stdout,
            stderr,
            _dir: dir,
        })
    }

    /// The process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The unix socket named in the handshake.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// What came on stdout after the handshake: must stay empty.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What came on stderr so far: hclog JSON, one object per line.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Ends the plugin as Grafana does: asks, waits two seconds, kills.
    ///
    /// # Errors
    /// When the process cannot be waited for.
    pub async fn stop(mut self) -> Result<ExitStatus, HostError> {
        let asked = protocol::shutdown(self.channel.clone()).await;
        if asked.is_ok()
            && let Ok(ended) = tokio::time::timeout(PATIENCE, self.child.wait()).await
        {
            return ended.map_err(HostError::Wait);
        }
        self.child.start_kill().map_err(HostError::Wait)?;
        self.child.wait().await.map_err(HostError::Wait)
    }

    /// Waits for an end that somebody else brings about.
    ///
    /// # Errors
    /// When it does not come within `limit`, or the process cannot be waited for.
    pub async fn ended(&mut self, limit: Duration) -> Result<ExitStatus, HostError> {
        match tokio::time::timeout(limit, self.child.wait()).await {
            Ok(ended) => ended.map_err(HostError::Wait),
            Err(late) => Err(HostError::Wait(std::io::Error::new(
                std::io::ErrorKind::TimedOut,
                late,
            ))),
        }
    }
}

/// `1|2|unix|PATH|grpc`.
fn socket_of(line: &str) -> Result<PathBuf, HostError> {
    match line.split('|').collect::<Vec<_>>()[..] {
        ["1", "2", "unix", path, "grpc", ..] => Ok(PathBuf::from(path)),
        _ => Err(HostError::Handshake(line.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_go_plugins_handshake_and_nothing_else() {
        assert_eq!(
            socket_of("1|2|unix|/tmp/x.sock|grpc").expect("valid"),
            Path::new("/tmp/x.sock")
        );
        for line in [
            "",
            "hello",
            "1|2|tcp|127.0.0.1:1|grpc",
            "1|1|unix|/x|grpc",
            "1|2|unix|/x|netrpc",
        ] {
            assert!(socket_of(line).is_err(), "{line}");
        }
    }

    #[tokio::test]
    async fn an_executable_that_is_no_plugin_is_named_with_its_last_words() {
        let error = PluginHost::start("/bin/ls").await.expect_err("no plugin");
        assert!(
            error.to_string().contains("handshake") || error.to_string().contains("/bin/ls"),
            "{error}"
        );
        let error = PluginHost::start("/no/such/file").await.expect_err("missing");
        assert!(error.to_string().starts_with("starting /no/such/file"), "{error}");
    }
}
