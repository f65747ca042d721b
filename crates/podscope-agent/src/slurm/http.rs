//! The connection to slurmrestd: HTTP over TCP, TLS or a unix socket, on the thread that asks.

use std::error::Error as StdError;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use podscope_collect::slurm::{Head, SlurmApi, SlurmError};
use podscope_fanout::{FleetConfig, TlsConfig};

use super::token::TokenFile;
use crate::config::SlurmConfig;

/// Why there can be no connection.
#[derive(Debug, thiserror::Error)]
pub enum SlurmConnectError {
    #[error("`slurm.url` {url} is no address; write it like \"http://slurmctl-1:6820\"")]
    Url { url: String },
    #[error("cannot read `slurm.ca_file` {path}; make it readable or remove the key")]
    CaFile {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot make a connection for [slurm]; check `slurm.ca_file`")]
    Client(#[source] Box<dyn StdError + Send + Sync>),
    #[error("cannot start the connection to Slurm")]
    Runtime(#[source] std::io::Error),
}

/// A connection to slurmrestd.
#[derive(Debug)]
pub struct HttpSlurm {
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
    base: reqwest::Url,
    /// As it is shown in errors.
    place: String,
    user: Option<String>,
    token: Option<TokenFile>,
    timeout: Duration,
}

impl HttpSlurm {
    /// # Errors
    /// When the configuration names something unusable.
    pub fn new(config: &SlurmConfig) -> Result<Self, SlurmConnectError> {
        let url = config.url.as_deref().unwrap_or("http://localhost");
        let bad_url = || SlurmConnectError::Url { url: url.to_owned() };
        let base = reqwest::Url::parse(url).map_err(|_| bad_url())?;
        let client = match &config.socket {
            Some(socket) => reqwest::Client::builder()
                .unix_socket(socket.as_path())
                .no_proxy()
                .tls_backend_preconfigured(no_tls()?)
                .build()
                .map_err(|error| SlurmConnectError::Client(error.into()))?,
            None => {
                let ca_pem =
                    match &config.ca_file {
                        Some(path) => Some(std::fs::read_to_string(path).map_err(|source| {
                            SlurmConnectError::CaFile {
                                path: path.clone(),
                                source,
                            }
                        })?),
                        None => None,
                    };
                let fleet = FleetConfig {
                    tls: TlsConfig {
                        ca_pem,
                        ..TlsConfig::default()
                    },
                    connect_timeout: config.timeout.0.min(Duration::from_secs(5)),
                    ..FleetConfig::default()
                };
                podscope_fanout::client::http_client(&fleet, base.scheme() == "https")
                    .map_err(|error| SlurmConnectError::Client(error.into()))?
            }
        };
        // The thread that asks is not one of the agent's runtime.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(SlurmConnectError::Runtime)?;
        Ok(Self {
            client,
            runtime,
            place: match &config.socket {
                Some(socket) => socket.display().to_string(),
                None => url.trim_end_matches('/').to_owned(),
            },
            base,
            user: config.user.clone(),
            token: config.token_file.clone().map(TokenFile::new),
            timeout: config.timeout.0,
        })
    }

    fn request(&mut self, target: &str) -> Result<reqwest::RequestBuilder, SlurmError> {
        let path = self.base.path().trim_end_matches('/').to_owned();
        let (own, query) = target.split_once('?').unwrap_or((target, ""));
        let mut url = self.base.clone();
        url.set_path(&format!("{path}{own}"));
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        let mut request = self.client.get(url).header("accept", "application/json");
        let mut user = self.user.clone();
        if let Some(file) = &mut self.token {
            let (token, claims) = file.get(user.as_deref().unwrap_or("podscope"), SystemTime::now())?;
            user = user.or(claims.sun);
            let mut token = http::HeaderValue::from_str(token.expose()).map_err(|_| SlurmError::Token {
                file: file.path().display().to_string(),
                why: "it holds characters that cannot stand in a header".to_owned(),
            })?;
            token.set_sensitive(true);
            request = request.header("x-slurm-user-token", token);
        }
        if let Some(user) = user {
            request = request.header("x-slurm-user-name", user);
        }
        Ok(request)
    }
}

/// A client insists on knowing how it would encrypt, even where it never does.
fn no_tls() -> Result<rustls::ClientConfig, SlurmConnectError> {
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| SlurmConnectError::Client(error.into()))?;
    Ok(config
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth())
}

impl SlurmApi for HttpSlurm {
    fn place(&self) -> String {
        self.place.clone()
    }

    fn user(&self) -> String {
        self.user.clone().unwrap_or_else(|| "podscope".to_owned())
    }

    fn get(
        &mut self,
        target: &str,
        body: &mut dyn FnMut(Head, &[u8]) -> Result<(), SlurmError>,
    ) -> Result<Head, SlurmError> {
        let request = self.request(target)?;
        let (place, timeout) = (self.place.clone(), self.timeout);
        let failed = |error: reqwest::Error, bytes: u64| {
            let target = target.to_owned();
            let place = place.clone();
            if error.is_timeout() {
                return SlurmError::Slow {
                    place,
                    target,
                    after: timeout,
                };
            }
            if bytes > 0 || error.is_body() || error.is_decode() {
                return SlurmError::Cut { place, target, bytes };
            }
            SlurmError::Connect {
                place,
                source: error.without_url().into(),
            }
        };
        self.runtime.block_on(async {
            let work = async {
                let mut response = request.send().await.map_err(|error| failed(error, 0))?;
                let retry_after = response
                    .headers()
                    .get("retry-after")
                    .and_then(|value| value.to_str().ok()?.trim().parse().ok())
                    .map(Duration::from_secs);
                let head = Head {
                    status: response.status().as_u16(),
                    retry_after,
                };
                let mut bytes = 0_u64;
                while let Some(chunk) = response
                    .chunk()
                    .await
                    .map_err(|error| failed(error, bytes.max(1)))?
                {
                    bytes += chunk.len() as u64;
                    body(head, &chunk)?;
                }
                Ok(head)
            };
            // All of the answer, not each piece of it.
            match tokio::time::timeout(timeout, work).await {
                Ok(done) => done,
                Err(_) => Err(SlurmError::Slow {
                    place: place.clone(),
                    target: target.to_owned(),
                    after: timeout,
                }),
            }
        })
    }
}
