//! Settings of VAST clusters, watched for changes: `GET /api/clusters/` of each management service (VMS) at the interval of
//! `[changes]`. Only GET is ever sent, and nothing is logged in to: user and password, or an API token, go with each request.

use std::sync::Arc;
use std::time::Duration;

use podscope_collect::changes::{SharedBook, vast};
use podscope_fanout::{FleetConfig, TlsConfig};
use podscope_model::event::EventSink;
use serde_json::Value;
use tokio::task::JoinHandle;

use crate::config::check::ConfigError;
use crate::config::{Config, VastClusterConfig};
use crate::schedule::now_ms;
use crate::secret::Secret;
use crate::switches::first_line;

/// A VMS that is busy takes its time; two looks never overlap.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The largest answer that is read.
const MAX_ANSWER: usize = 16 << 20;

/// The tasks that look. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct VastWatch {
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for VastWatch {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

enum Login {
    Password(String, Secret),
    Token(Secret),
}

/// Why a look brought nothing.
#[derive(Debug, thiserror::Error)]
enum LookError {
    #[error("no answer: {0}")]
    Network(String),
    #[error("HTTP {0}; check the user or token of [[vast_clusters]]")]
    Login(u16),
    #[error("HTTP {0}")]
    Status(u16),
    #[error("the answer is no list of clusters: {0}")]
    Shape(String),
}

impl VastWatch {
    /// Begins to look; `None` where no cluster is listed.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn start(
        config: &Config,
        book: &SharedBook,
        events: &Arc<dyn EventSink>,
    ) -> Result<Option<Self>, ConfigError> {
        let clusters = config.vast_clusters.as_deref().unwrap_or_default();
        if clusters.is_empty() || !config.changes.enabled {
            return Ok(None);
        }
        let mut tasks = Vec::new();
        for cluster in clusters {
            let look = Look::new(cluster)?;
            let (book, events) = (book.clone(), Arc::clone(events));
            let interval = config.changes.interval.0;
            tasks.push(tokio::spawn(async move {
                loop {
                    look.once(&book, &*events).await;
                    tokio::time::sleep(interval).await;
                }
            }));
        }
        Ok(Some(Self { tasks }))
    }
}

struct Look {
    name: String,
    http: reqwest::Client,
    url: String,
    login: Login,
}

impl Look {
    fn new(cluster: &VastClusterConfig) -> Result<Self, ConfigError> {
        let ca_pem = match &cluster.ca_file {
            Some(path) => Some(std::fs::read_to_string(path).map_err(|source| ConfigError::File {
                what: "certificate file of [[vast_clusters]]",
                path: path.clone(),
                source,
            })?),
            None => None,
        };
        let fleet = FleetConfig {
            tls: TlsConfig {
                ca_pem,
                skip_verify: cluster.skip_verify,
                ..TlsConfig::default()
            },
            connect_timeout: Duration::from_secs(5),
            ..FleetConfig::default()
        };
        let http =
            podscope_fanout::client::http_client(&fleet, true).map_err(|error| ConfigError::Content {
                what: "certificate file of [[vast_clusters]]",
                path: cluster.ca_file.clone().unwrap_or_default(),
                reason: format!("cannot be used: {error}"),
            })?;
        let login = match (&cluster.token_file, &cluster.user) {
            (Some(file), _) => Login::Token(first_line(Some(file))?),
            (None, user) => Login::Password(
                user.clone().unwrap_or_default(),
                first_line(cluster.password_file.as_deref())?,
            ),
        };
        Ok(Self {
            name: cluster.name.clone(),
            http,
            url: format!("{}/api/clusters/", cluster.url.trim_end_matches('/')),
            login,
        })
    }

    async fn once(&self, book: &SharedBook, events: &dyn EventSink) {
        match self.settings().await {
            Ok(values) => {
                let changes = book.lock().observe(vast::WHAT, &self.name, values, now_ms());
                for event in changes {
                    events.emit(event.label("vast_cluster", &self.name));
                }
            }
            Err(error) => {
                book.lock().failed(vast::WHAT, &self.name);
                tracing::debug!(cluster = self.name, %error, "the settings cannot be read");
            }
        }
    }

    async fn settings(&self) -> Result<podscope_collect::changes::Values, LookError> {
        let request = self.http.get(&self.url).timeout(TIMEOUT);
        let request = match &self.login {
            Login::Password(user, password) => request.basic_auth(user, Some(password.expose())),
            Login::Token(token) => request.header("authorization", format!("Api-Token {}", token.expose())),
        };
        let network = |error: reqwest::Error| LookError::Network(crate::chain(&error.without_url()));
        let mut answer = request.send().await.map_err(network)?;
        match answer.status().as_u16() {
            200 => {}
            status @ (401 | 403) => return Err(LookError::Login(status)),
            status => return Err(LookError::Status(status)),
        }
        let mut body: Vec<u8> = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(network)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(LookError::Shape(format!("more than {MAX_ANSWER} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        let value: Value =
            serde_json::from_slice(&body).map_err(|error| LookError::Shape(error.to_string()))?;
        vast::settings(&value).ok_or_else(|| LookError::Shape("another shape".to_owned()))
    }
}
