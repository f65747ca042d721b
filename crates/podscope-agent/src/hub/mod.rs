//! A hub: an agent that answers for the nodes behind it too. To whoever asks it, it is exactly what an agent is.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`discovery`] | where the target list comes from: the configuration, files, HTTP, DNS |
//! | [`targets`] | Prometheus's own form of target lists |
//! | `own` | the hub's own store as one of its leaves |

pub mod discovery;
mod own;
pub mod targets;

use std::sync::Arc;
use std::time::Duration;

use podscope_fanout::{Fleet, FleetConfig, FleetError, Relay, Secret, TargetSpec, TlsConfig};
use tokio::task::JoinHandle;

use crate::config::check::ConfigError;
use crate::config::{Config, FanoutConfig};
use crate::hub::discovery::{DiscoveryError, Sources};
use crate::hub::own::Own;
use crate::state::AgentState;

/// How often the sources are looked at; each has its own interval beside it.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Why a hub does not start.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    #[error(transparent)]
    Fleet(#[from] FleetError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
}

/// The nodes behind a hub, and the task that keeps their list. Dropping it ends the task.
#[derive(Debug)]
pub struct Hub {
    relay: Relay<Own>,
    finding: JoinHandle<()>,
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.finding.abort();
    }
}

impl Hub {
    /// Reads the target list once, and goes on reading it. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// A setting or a target list that cannot be used. A source that does not answer now is no error: it is asked again.
    pub async fn start(state: &Arc<AgentState>, config: &Config) -> Result<Self, HubError> {
        let own = Own::new(state);
        let mut sources = Sources::new(&config.fanout)?;
        let spec = TargetSpec {
            url: format!("store:{}", state.history().leaf_id()),
            instance: Some(state.instance().to_owned()),
            labels: state.live().labels.clone(),
        };
        let fleet = Fleet::with_agents(fleet_config(config)?, vec![(spec, own.clone())])?;
        sources.look(&fleet).await?;
        fleet.keep_inventories();
        let relay = Relay::new(fleet.clone(), own, state.history().leaf_id(), state.instance());
        let finding = tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK_EVERY).await;
                // What cannot be used is logged there, and the list stays as it was.
                drop(sources.look(&fleet).await);
                fleet.keep_inventories();
            }
        });
        Ok(Self { relay, finding })
    }

    /// The nodes behind the hub as one agent.
    pub fn relay(&self) -> &Relay<impl podscope_model::leaf::AgentApi + Clone + 'static + use<>> {
        &self.relay
    }

    /// The nodes behind the hub.
    pub fn fleet(&self) -> &Fleet {
        self.relay.fleet()
    }
}

fn fleet_config(config: &Config) -> Result<FleetConfig, HubError> {
    let fanout = &config.fanout;
    let text = |what: &'static str, path: &std::path::Path| {
        std::fs::read_to_string(path).map_err(|source| ConfigError::File {
            what,
            path: path.to_owned(),
            source,
        })
    };
    let read = |what: &'static str, path: &Option<std::path::PathBuf>| {
        path.as_deref().map(|path| text(what, path)).transpose()
    };
    let token = read("token file of the nodes", &fanout.token_file)?;
    Ok(FleetConfig {
        token: token.map(|text| Secret::new(text.lines().next().unwrap_or_default().trim())),
        tls: TlsConfig {
            ca_pem: read("CA file of the nodes", &fanout.ca_file)?,
            client_cert_pem: read("client certificate", &fanout.cert_file)?,
            client_key_pem: read("client key", &fanout.key_file)?.map(Secret::new),
            skip_verify: fanout.skip_verify,
            server_name: fanout.server_name.clone(),
        },
        timeout: fanout.timeout.0,
        connect_timeout: fanout.connect_timeout.0,
        max_in_flight: usize::try_from(fanout.max_in_flight).unwrap_or(usize::MAX),
        limits: config.limits.wire(),
        inventory_interval: Some(fanout.inventory_interval.0),
        pair: fanout.pair.as_ref().map(TargetSpec::new),
        expect_https: true,
        ..FleetConfig::new(Vec::new())
    })
}

impl FanoutConfig {
    /// Whether this agent is a hub.
    pub fn is_hub(&self) -> bool {
        !self.targets.is_empty()
            || !self.file_sd.is_empty()
            || !self.http_sd.is_empty()
            || !self.dns_srv.is_empty()
    }
}
