//! The hub of a simulated pod: a real agent, started as its program starts it from a configuration, that holds the pod's
//! events and pod-level series.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use podscope_agent::config::check;
use podscope_agent::events::Inbox;
use podscope_agent::{Agent, RunningAgent, StartOptions, known_collectors};
use podscope_model::event::EventSink;
use tokio::task::JoinHandle;

use crate::cluster::{SimError, SimTarget, now_ms};
use crate::pod::{Pod, timeline};

/// How often what was told since is put in.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// See the module. Call [`PodHub::stop`].
#[derive(Debug)]
pub struct PodHub {
    instance: String,
    labels: BTreeMap<String, String>,
    agent: RunningAgent,
    teller: JoinHandle<()>,
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> SimError {
    SimError::Hub(Box::new(error))
}

impl PodHub {
    /// Starts it, with the timeline until `started_ms`; what comes later is told when it happens.
    pub(crate) async fn start(
        pod: &Arc<Pod>,
        dir: &Path,
        port: u16,
        announced: bool,
        started_ms: i64,
    ) -> Result<Self, SimError> {
        let topology = pod.topology();
        let instance = format!("{}-hub", topology.cluster());
        let labels: BTreeMap<String, String> = [("cluster", topology.cluster()), ("pod", topology.pod())]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        std::fs::create_dir_all(dir).map_err(SimError::DataDir)?;
        let text = format!(
            "listen = \"127.0.0.1:{port}\"\n\
             instance = \"{instance}\"\n\
             labels = {{ cluster = \"{}\", pod = \"{}\" }}\n\
             data_dir = {:?}\n\
             [gpu]\nenabled = false\n\
             [containers]\nenabled = false\n\
             [write]\npeers = [\"127.0.0.1\"]\n",
            topology.cluster(),
            topology.pod(),
            dir.join("data"),
        );
        let file = dir.join("hub.toml");
        std::fs::write(&file, &text).map_err(SimError::DataDir)?;
        let config = check::parse(&file, &text, &known_collectors()).map_err(failed)?;
        let inbox = Inbox::new();
        let options = StartOptions {
            insecure: false,
            config_file: Some(file),
            changes: None,
            inbox: Some(Arc::clone(&inbox)),
        };
        let agent = Agent::start(config, options, Vec::new()).await.map_err(failed)?;
        let told = Arc::clone(pod);
        let teller = tokio::spawn(async move {
            let mut after_ms = i64::MIN;
            let mut until_ms = started_ms;
            loop {
                let pod = Arc::clone(&told);
                let span = (after_ms, until_ms);
                let events =
                    tokio::task::spawn_blocking(move || timeline::timeline(&pod, announced, span)).await;
                for event in events.unwrap_or_default() {
                    inbox.emit(event);
                }
                after_ms = until_ms;
                tokio::time::sleep(TELL_EVERY).await;
                until_ms = now_ms().max(after_ms);
            }
        });
        Ok(Self {
            instance,
            labels,
            agent,
            teller,
        })
    }

    /// Where it can be asked.
    pub fn target(&self) -> SimTarget {
        SimTarget {
            url: format!("http://{}", self.agent.addr),
            instance: self.instance.clone(),
            labels: self.labels.clone(),
        }
    }

    pub(crate) async fn stop(self) {
        self.teller.abort();
        if let Err(error) = self.agent.stop().await {
            tracing::warn!(%error, "the hub's last rows could not be written");
        }
    }
}
