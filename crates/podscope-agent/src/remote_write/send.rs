//! One request, and what its answer means.

use std::path::Path;
use std::time::Duration;

use podscope_fanout::{FleetConfig, Secret, TlsConfig};

use crate::config::RemoteWriteConfig;
use crate::config::check::ConfigError;

/// How a request ended.
#[derive(Debug)]
pub(super) enum Sent {
    Taken,
    /// The store will never take it.
    Refused(String),
    /// Once more later; `after`: when the store says so.
    Later {
        reason: String,
        after: Option<Duration>,
    },
}

/// The connection to the store.
pub(super) struct Sender {
    client: reqwest::Client,
    url: reqwest::Url,
    user: Option<(String, Secret)>,
    tenant: Option<String>,
    timeout: Duration,
}

/// The longest pause a store may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

fn first_line(what: &'static str, path: &Path) -> Result<Secret, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
        what,
        path: path.to_owned(),
        source,
    })?;
    Ok(Secret::new(text.lines().next().unwrap_or_default().trim()))
}

impl Sender {
    /// `None` where no URL is set.
    pub(super) fn new(config: &RemoteWriteConfig) -> Result<Option<Self>, ConfigError> {
        let Some(url) = &config.url else { return Ok(None) };
        let bad = |reason: String| ConfigError::Content {
            what: "address of [remote_write]",
            path: "url".into(),
            reason,
        };
        let parsed = reqwest::Url::parse(url).map_err(|error| bad(format!("is no URL: {error}")))?;
        if !matches!(parsed.scheme(), "http" | "https")
            || !parsed.username().is_empty()
            || parsed.password().is_some()
        {
            return Err(bad(
                "must be an http or https URL without user or password; those have keys of their own"
                    .to_owned(),
            ));
        }
        let read = |what, path: &Option<std::path::PathBuf>| {
            path.as_deref().map(|path| first_line(what, path)).transpose()
        };
        let ca_pem = match &config.ca_file {
            Some(path) => Some(std::fs::read_to_string(path).map_err(|source| ConfigError::File {
                what: "certificate file of [remote_write]",
                path: path.clone(),
                source,
            })?),
            None => None,
        };
        let fleet = FleetConfig {
            token: read("token file of [remote_write]", &config.token_file)?,
            tls: TlsConfig {
                ca_pem,
                ..TlsConfig::default()
            },
            connect_timeout: Duration::from_secs(5),
            ..FleetConfig::default()
        };
        let client = podscope_fanout::client::http_client(&fleet, parsed.scheme() == "https")
            .map_err(|error| bad(format!("cannot be used: {error}")))?;
        let password = read("password file of [remote_write]", &config.password_file)?;
        Ok(Some(Self {
            client,
            url: parsed,
            user: config.user.clone().zip(password),
            tenant: config.tenant.clone(),
            timeout: config.timeout.0,
        }))
    }

    /// The address, for the log.
    pub(super) fn shown(&self) -> &str {
        self.url.as_str()
    }

    pub(super) async fn send(&self, body: Vec<u8>) -> Sent {
        let mut request = self
            .client
            .post(self.url.clone())
            .header("content-type", "application/x-protobuf")
            .header("content-encoding", "snappy")
            .header("x-prometheus-remote-write-version", "0.1.0")
            .timeout(self.timeout)
            .body(body);
        if let Some((user, password)) = &self.user {
            request = request.basic_auth(user, Some(password.expose()));
        }
        if let Some(tenant) = &self.tenant {
            request = request.header("x-scope-orgid", tenant);
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                return Sent::Later {
                    reason: crate::chain(&error.without_url()),
                    after: None,
                };
            }
        };
        let status = response.status();
        if status.is_success() {
            return Sent::Taken;
        }
        let after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok())
            .map(|seconds| Duration::from_secs(seconds).min(LONGEST_PAUSE));
        let text = response.text().await.unwrap_or_default();
        let first: String = text
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(200)
            .collect();
        let reason = format!("{status} {first}");
        // Wrong credentials are mended by a person: what waits must not be lost meanwhile.
        if status.is_server_error() || matches!(status.as_u16(), 401 | 403 | 404 | 408 | 429) {
            return Sent::Later { reason, after };
        }
        Sent::Refused(reason)
    }
}
