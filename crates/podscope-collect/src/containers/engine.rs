//! The container engine: what it knows of its containers, through the API of Docker, which Podman speaks too.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::http;

/// A container, as its engine describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineContainer {
    pub id: String,
    pub name: String,
    pub image: String,
    pub running: bool,
    /// Seconds since 1970.
    pub created: i64,
    pub labels: BTreeMap<String, String>,
    /// What was asked for of the GPUs; known after [`Engine::inspect`].
    pub gpus: GpuRequest,
    /// It shares the node's network: the node's counters are not its own.
    pub host_network: bool,
    /// The first process, 0 where it does not run.
    pub pid: u32,
}

/// The GPUs a container was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum GpuRequest {
    #[default]
    None,
    All,
    /// The first so many.
    Count(u32),
    /// Indices, UUIDs of GPUs or MIG instances, or `0:1`.
    Ids(Vec<String>),
}

impl GpuRequest {
    /// From the words that `NVIDIA_VISIBLE_DEVICES` takes.
    pub fn of_words(words: &str) -> Self {
        match words.trim() {
            "" | "none" | "void" => Self::None,
            "all" => Self::All,
            list => Self::Ids(list.split(',').map(|word| word.trim().to_owned()).collect()),
        }
    }
}

/// A container engine.
pub trait Engine: Send + Debug {
    /// Where it is asked, for messages.
    fn place(&self) -> String;

    /// Its containers, running or not, without what only [`Engine::inspect`] tells.
    ///
    /// # Errors
    ///
    /// When it is not there, refuses, or does not answer in time.
    fn list(&mut self) -> io::Result<Vec<EngineContainer>>;

    /// Completes a container with what the list does not have.
    ///
    /// # Errors
    ///
    /// As for the list; the container may be gone.
    fn inspect(&mut self, container: &mut EngineContainer) -> io::Result<()>;
}

/// An engine behind a unix socket.
#[derive(Debug)]
pub struct SocketEngine {
    socket: PathBuf,
    deadline: Duration,
}

impl SocketEngine {
    /// `deadline` holds for each question.
    pub fn new(socket: impl Into<PathBuf>, deadline: Duration) -> Self {
        Self {
            socket: socket.into(),
            deadline,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    image: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    created: serde_json::Value,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Inspected {
    state: State,
    config: Config,
    host_config: HostConfig,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct State {
    pid: u32,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Config {
    env: Option<Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct HostConfig {
    network_mode: String,
    runtime: Option<String>,
    device_requests: Option<Vec<DeviceRequest>>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct DeviceRequest {
    driver: String,
    count: i64,
    #[serde(rename = "DeviceIDs")]
    device_ids: Option<Vec<String>>,
    capabilities: Option<Vec<Vec<String>>>,
}

impl Engine for SocketEngine {
    fn place(&self) -> String {
        self.socket.display().to_string()
    }

    fn list(&mut self) -> io::Result<Vec<EngineContainer>> {
        let body = http::get(&self.socket, "/containers/json?all=true", self.deadline)?;
        let listed: Vec<Listed> = serde_json::from_slice(&body)?;
        Ok(listed.into_iter().map(container).collect())
    }

    fn inspect(&mut self, container: &mut EngineContainer) -> io::Result<()> {
        let target = format!("/containers/{}/json", container.id);
        let body = http::get(&self.socket, &target, self.deadline)?;
        complete(container, serde_json::from_slice(&body)?);
        Ok(())
    }
}

fn container(listed: Listed) -> EngineContainer {
    let name = listed
        .names
        .and_then(|names| names.into_iter().next())
        .unwrap_or_default();
    EngineContainer {
        name: name.trim_start_matches('/').to_owned(),
        id: listed.id,
        image: listed.image,
        running: matches!(listed.state.as_str(), "running" | "paused"),
        created: listed.created.as_i64().unwrap_or(0),
        labels: listed.labels.unwrap_or_default(),
        ..EngineContainer::default()
    }
}

fn complete(container: &mut EngineContainer, inspected: Inspected) {
    container.pid = inspected.state.pid;
    container.host_network = inspected.host_config.network_mode == "host";
    let requests = inspected.host_config.device_requests.unwrap_or_default();
    let of_gpus = requests.into_iter().find(|request| {
        request.driver == "nvidia"
            || request
                .capabilities
                .iter()
                .flatten()
                .flatten()
                .any(|capability| capability == "gpu")
    });
    container.gpus = match of_gpus {
        Some(request) => match request.device_ids {
            Some(ids) if !ids.is_empty() => GpuRequest::Ids(ids),
            _ if request.count < 0 => GpuRequest::All,
            _ => GpuRequest::Count(u32::try_from(request.count).unwrap_or(0)),
        },
        // Images carry the variable whether or not there are GPUs: it counts with the runtime that reads it.
        None if inspected.host_config.runtime.as_deref() == Some("nvidia") => {
            let words = inspected.config.env.iter().flatten();
            let mut words = words.filter_map(|word| word.strip_prefix("NVIDIA_VISIBLE_DEVICES="));
            words.next_back().map_or(GpuRequest::None, GpuRequest::of_words)
        }
        None => GpuRequest::None,
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspected(text: &str) -> EngineContainer {
        let mut one = EngineContainer::default();
        complete(&mut one, serde_json::from_str(text).expect("JSON"));
        one
    }

    #[test]
    fn the_list_is_read_with_nulls_and_odd_names() {
        let text = r#"[{"Id":"abc","Names":["/the \"best\"\nthesis"],"Image":"pytorch:2","State":"running","Created":1700000000,
            "Labels":{"ds01.user":"alice"}},{"Id":"def","Names":null,"Image":"","State":"exited","Created":"2024-01-01T00:00:00Z","Labels":null}]"#;
        let listed: Vec<Listed> = serde_json::from_str(text).expect("JSON");
        let list: Vec<EngineContainer> = listed.into_iter().map(container).collect();
        assert_eq!(list[0].name, "the \"best\"\nthesis");
        assert!(list[0].running && !list[1].running);
        assert_eq!((list[0].created, list[1].created), (1_700_000_000, 0));
        assert_eq!(list[0].labels["ds01.user"], "alice");
    }

    #[test]
    fn gpus_are_asked_for_in_four_ways() {
        for (text, wanted) in [
            (
                r#"{"HostConfig":{"DeviceRequests":[{"Driver":"","Count":-1,"DeviceIDs":null,"Capabilities":[["gpu"]]}]}}"#,
                GpuRequest::All,
            ),
            (
                r#"{"HostConfig":{"DeviceRequests":[{"Driver":"nvidia","Count":2}]}}"#,
                GpuRequest::Count(2),
            ),
            (
                r#"{"HostConfig":{"DeviceRequests":[{"Driver":"cdi"},{"Count":0,"DeviceIDs":["0","MIG-1"],"Capabilities":[["gpu"]]}]}}"#,
                GpuRequest::Ids(vec!["0".into(), "MIG-1".into()]),
            ),
            (
                r#"{"HostConfig":{"Runtime":"nvidia"},"Config":{"Env":["A=1","NVIDIA_VISIBLE_DEVICES=all","NVIDIA_VISIBLE_DEVICES=1,2"]}}"#,
                GpuRequest::Ids(vec!["1".into(), "2".into()]),
            ),
            (
                r#"{"HostConfig":{"Runtime":"runc"},"Config":{"Env":["NVIDIA_VISIBLE_DEVICES=all"]}}"#,
                GpuRequest::None,
            ),
            (
                r#"{"HostConfig":{"Runtime":"nvidia"},"Config":{"Env":["NVIDIA_VISIBLE_DEVICES=void"]}}"#,
                GpuRequest::None,
            ),
            (r#"{"HostConfig":{"DeviceRequests":null}}"#, GpuRequest::None),
            ("{}", GpuRequest::None),
        ] {
            assert_eq!(inspected(text).gpus, wanted, "{text}");
        }
        assert!(inspected(r#"{"HostConfig":{"NetworkMode":"host"},"State":{"Pid":7}}"#).host_network);
    }
}
