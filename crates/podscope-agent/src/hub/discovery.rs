//! Where a hub's target list comes from. Every source keeps what it last said while it cannot be read.

use std::path::PathBuf;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::RData;
use podscope_fanout::{Fleet, FleetError, TargetSpec};
use tokio::time::Instant;

use super::targets;
use crate::config::FanoutConfig;

/// Files are read again this often; they are small, and reading them is the surest way to see a change.
const FILES_EVERY: Duration = Duration::from_secs(1);
/// An HTTP source has this long to answer, with this many bytes.
const HTTP_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_HTTP_BYTES: usize = 64 << 20;

/// A source that cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    #[error("[fanout] {key}: {place:?} {reason}")]
    Setting {
        key: &'static str,
        place: String,
        reason: String,
    },
    #[error("[fanout] dns_srv: the system's resolver cannot be used ({0}); set fanout.dns_server")]
    Resolver(String),
    #[error("[fanout]: the HTTP client cannot be set up ({0})")]
    Client(String),
    #[error(transparent)]
    Targets(#[from] FleetError),
}

/// One place a list comes from.
#[derive(Debug)]
struct Source {
    from: From,
    every: Duration,
    due: Instant,
    /// What it last said.
    targets: Vec<TargetSpec>,
    /// Why it could not be read last.
    trouble: Option<String>,
}

#[derive(Debug)]
enum From {
    List,
    Files(String),
    Http(String),
    Dns(String),
}

impl From {
    fn place(&self) -> &str {
        match self {
            Self::List => "targets",
            Self::Files(place) | Self::Http(place) | Self::Dns(place) => place,
        }
    }
}

/// All places the target list comes from.
#[derive(Debug)]
pub struct Sources {
    sources: Vec<Source>,
    scheme: String,
    /// Only where there is somebody to ask.
    http: Option<reqwest::Client>,
    resolver: Option<TokioResolver>,
    /// What the fleet has.
    known: Option<Vec<TargetSpec>>,
}

impl Sources {
    /// The sources of a configuration; nothing is read yet.
    ///
    /// # Errors
    /// A setting that cannot be used.
    pub fn new(config: &FanoutConfig) -> Result<Self, DiscoveryError> {
        let wrong = |key, place: &str, reason: String| DiscoveryError::Setting {
            key,
            place: place.to_owned(),
            reason,
        };
        let mut listed = Vec::new();
        for address in &config.targets {
            let target = targets::of_address(address, &config.scheme);
            listed.push(target.map_err(|reason| wrong("targets", address, reason))?);
        }
        let source = |from, every, targets| Source {
            from,
            every,
            due: Instant::now(),
            targets,
            trouble: None,
        };
        let mut sources = vec![source(From::List, Duration::from_secs(3600), listed)];
        for pattern in &config.file_sd {
            glob::Pattern::new(pattern).map_err(|error| wrong("file_sd", pattern, error.to_string()))?;
            sources.push(source(From::Files(pattern.clone()), FILES_EVERY, Vec::new()));
        }
        for url in &config.http_sd {
            let parsed =
                reqwest::Url::parse(url).map_err(|error| wrong("http_sd", url, error.to_string()))?;
            if !matches!(parsed.scheme(), "http" | "https") {
                return Err(wrong(
                    "http_sd",
                    url,
                    "is neither http:// nor https://".to_owned(),
                ));
            }
            sources.push(source(
                From::Http(url.clone()),
                config.http_sd_interval.0,
                Vec::new(),
            ));
        }
        for name in &config.dns_srv {
            sources.push(source(
                From::Dns(name.clone()),
                config.dns_srv_interval.0,
                Vec::new(),
            ));
        }
        Ok(Self {
            sources,
            scheme: config.scheme.clone(),
            http: match config.http_sd.is_empty() {
                true => None,
                false => Some(
                    podscope_fanout::client::plain_client(HTTP_TIMEOUT)
                        .map_err(|error| DiscoveryError::Client(error.to_string()))?,
                ),
            },
            resolver: match config.dns_srv.is_empty() {
                true => None,
                false => Some(resolver(config)?),
            },
            known: None,
        })
    }

    /// Reads the sources that are due, and gives the fleet the list when it is another.
    ///
    /// # Errors
    /// A target that no fleet can have; the fleet keeps its list.
    pub async fn look(&mut self, fleet: &Fleet) -> Result<(), DiscoveryError> {
        let now = Instant::now();
        for source in &mut self.sources {
            if source.due > now {
                continue;
            }
            source.due = now + source.every;
            let read = match &source.from {
                From::List => continue,
                From::Files(pattern) => files(pattern).await,
                From::Http(url) => match &self.http {
                    Some(client) => http(client, url).await,
                    None => continue,
                },
                From::Dns(name) => match &self.resolver {
                    Some(resolver) => srv(resolver, name, &self.scheme).await,
                    None => continue,
                },
            };
            match read {
                Ok(targets) => {
                    if source.trouble.take().is_some() {
                        tracing::info!(source = source.from.place(), "target list can be read again");
                    }
                    source.targets = targets;
                }
                Err(reason) => {
                    if source.trouble.as_ref() != Some(&reason) {
                        tracing::warn!(
                            source = source.from.place(),
                            %reason,
                            targets = source.targets.len(),
                            "target list cannot be read; what it last said stays"
                        );
                    }
                    source.trouble = Some(reason);
                }
            }
        }
        let mut all: Vec<TargetSpec> = Vec::new();
        for target in self.sources.iter().flat_map(|source| &source.targets) {
            all.push(target.clone());
        }
        if self.known.as_ref() != Some(&all) {
            let set = fleet.set_targets(&all);
            tracing::info!(targets = all.len(), "target list read");
            // A list that cannot be used is not tried again until it changes.
            self.known = Some(all);
            if let Err(error) = set {
                tracing::warn!(%error, "target list cannot be used; the one before stays");
                return Err(error.into());
            }
        }
        Ok(())
    }
}

/// The lists of all files that the pattern names, in the order of their names.
async fn files(pattern: &str) -> Result<Vec<TargetSpec>, String> {
    let pattern = pattern.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let paths = glob::glob(&pattern).map_err(|error| error.to_string())?;
        let mut paths: Vec<PathBuf> = paths.flatten().collect();
        paths.sort();
        if paths.is_empty() {
            return Err(format!("{pattern}: there is no such file"));
        }
        let mut all = Vec::new();
        for path in paths {
            let failed = |error: String| format!("{}: {error}", path.display());
            let text = std::fs::read_to_string(&path).map_err(|error| failed(error.to_string()))?;
            all.extend(targets::parse(&text).map_err(failed)?);
        }
        Ok(all)
    });
    read.await.map_err(|error| error.to_string())?
}

async fn http(client: &reqwest::Client, url: &str) -> Result<Vec<TargetSpec>, String> {
    let answer = client
        .get(url)
        .header("accept", "application/json")
        .send()
        .await
        .map_err(|error| crate::chain(&error))?;
    if answer.status() != reqwest::StatusCode::OK {
        return Err(format!("{url} answered {}", answer.status()));
    }
    if answer
        .content_length()
        .is_some_and(|length| length > MAX_HTTP_BYTES as u64)
    {
        return Err(format!("{url} answered more than {MAX_HTTP_BYTES} bytes"));
    }
    let text = answer.text().await.map_err(|error| crate::chain(&error))?;
    targets::parse(&text).map_err(|error| format!("{url}: {error}"))
}

/// The hosts and ports of the SRV records of a name.
async fn srv(resolver: &TokioResolver, name: &str, scheme: &str) -> Result<Vec<TargetSpec>, String> {
    let found = resolver
        .srv_lookup(name)
        .await
        .map_err(|error| format!("{name}: {error}"))?;
    let mut all = Vec::new();
    for record in found.answers() {
        let RData::SRV(srv) = &record.data else { continue };
        let host = srv.target.to_utf8();
        let address = format!("{}:{}", host.trim_end_matches('.'), srv.port);
        all.push(targets::of_address(&address, scheme)?);
    }
    // Servers answer in any order; the list must not look new each time.
    all.sort_unstable_by(|a, b| a.url.cmp(&b.url));
    Ok(all)
}

fn resolver(config: &FanoutConfig) -> Result<TokioResolver, DiscoveryError> {
    let failed = |error: &dyn std::error::Error| DiscoveryError::Resolver(crate::chain(error));
    let mut builder = match config.dns_server {
        None => TokioResolver::builder_tokio().map_err(|error| failed(&error))?,
        Some(address) => {
            let mut server = NameServerConfig::udp_and_tcp(address.ip());
            for connection in &mut server.connections {
                connection.port = address.port();
            }
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    // The list's own interval decides how old an answer may be.
    builder.options_mut().cache_size = 0;
    builder.build().map_err(|error| failed(&error))
}
