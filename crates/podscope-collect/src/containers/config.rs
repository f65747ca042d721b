//! What the operator may decide about containers.

use std::path::PathBuf;
use std::time::Duration;

/// Settings of the collectors `containers`, `gpu_processes` and `ds01`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerConfig {
    /// Sockets of container engines (Docker's API, which Podman speaks too); those that are not there are passed over.
    pub sockets: Vec<PathBuf>,
    /// Between two questions to an engine; a container that nobody knows yet is asked for at once.
    pub engine_interval: Duration,
    /// An engine that takes longer to answer is left alone until the next time.
    pub engine_deadline: Duration,
    /// Containers with series of their own at the same time; the others are counted.
    pub most: usize,
    /// A container gets series once it has run so long; one that ends before is remembered as an event.
    pub series_after: Duration,
    /// Labels of a container that name its user; the first one set counts.
    pub user_labels: Vec<String>,
    /// Labels that hold a path below a user's home (`/home/USER/...`), for containers without the labels above.
    pub path_labels: Vec<String>,
    /// Labels that say how a container was started.
    pub interface_labels: Vec<String>,
    /// DS01's allocation file.
    pub state_file: Option<PathBuf>,
    /// dcgm-exporter's folder of job mappings: a file per GPU (`0`) or MIG instance (`0.1`), a job per line.
    pub job_mapping_dir: Option<PathBuf>,
    /// MIG instances a whole GPU counts as in `ds01_user_mig_allocated`.
    pub mig_equivalents: u32,
    /// Processes on GPUs with series of their own at the same time; the others are counted.
    pub most_processes: usize,
}

impl Default for ContainerConfig {
    fn default() -> Self {
        let words = |list: &[&str]| list.iter().map(|word| (*word).to_owned()).collect();
        Self {
            sockets: ["/var/run/docker.sock", "/run/podman/podman.sock"]
                .map(PathBuf::from)
                .to_vec(),
            engine_interval: Duration::from_secs(10),
            engine_deadline: Duration::from_secs(2),
            most: 500,
            series_after: Duration::from_secs(60),
            user_labels: words(&["ds01.user", "aime.mlc.USER"]),
            path_labels: words(&[
                "devcontainer.local_folder",
                "com.docker.compose.project.working_dir",
            ]),
            interface_labels: words(&["ds01.interface"]),
            state_file: None,
            job_mapping_dir: None,
            mig_equivalents: 4,
            most_processes: 256,
        }
    }
}
