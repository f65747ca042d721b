//! The agent's configuration: one TOML file, every key optional.
//!
//! The structs below are the reference: `podscope-agent config --default` and `docs/agent-config.md` are made from their
//! doc comments and defaults ([`reference`]), and [`check`] finds mistakes before they can do harm.

pub mod check;
mod domains;
mod intake;
mod intake_rules;
pub mod reference;
mod remote_write;
mod rules;
mod section;
mod slurm;
mod values;
mod write;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use podscope_collect::containers::ContainerConfig;
use podscope_collect::{HostConfig, Pattern};

pub use domains::{FabricConfig, NcclConfig, StorageConfig};
pub use intake::{
    ChangesConfig, NvueConfig, OtlpConfig, SnmpConfig, SnmpUserConfig, SwitchConfig, SyslogConfig,
    VastClusterConfig,
};
pub use remote_write::RemoteWriteConfig;
pub use section::{Key, Section};
pub use slurm::{Decimal, SloConfig, SlurmConfig, TenantConfig};
pub use values::{BadValue, ByteSize, Period};
pub use write::{EventsConfig, Peer, WriteAccess, WriteConfig};

use crate::secret::Secret;
use section::section;

section! {
    /// The whole file.
    pub struct Config = "" {
        /// Address and port to listen on. Beyond loopback the agent starts only with TLS and a token, or when it is
        /// started with `--insecure`.
        listen: SocketAddr = SocketAddr::from((Ipv4Addr::LOCALHOST, crate::DEFAULT_PORT));
        /// Name of this node: the `instance` label of its series. Not set: the host name. Whoever asks this agent for
        /// another name gets an error, so use the name that stands in the target list.
        instance: Option<String> = None, "\"node-017\"";
        /// Labels of this node (`cluster`, `pod`, `rack`, ...), put onto every series when the agent is asked alone. A
        /// plugin or hub that asks with labels from its own target list decides instead.
        labels: BTreeMap<String, String> = BTreeMap::new(), "{ cluster = \"pod-a\", rack = \"r12\" }";
        /// Folder of the history. Not set: `/var/lib/podscope` for root, else `$XDG_STATE_HOME/podscope` or
        /// `~/.local/state/podscope`. The agent logs which one it uses.
        data_dir: Option<PathBuf> = None, "\"/var/lib/podscope\"";
        /// Bearer token that every request but `/-/healthy` must carry. Better kept in `token_file`.
        token: Option<Secret> = None, "\"at-least-16-characters\"";
        /// File with the bearer token on its first line. Not together with `token`.
        token_file: Option<PathBuf> = None, "\"/etc/podscope/token\"";
        /// Switches of the fabric, each a `[[switches]]` with `name` and, where it is asked by NVUE's REST API, `url`; `fabric`, `role`
        /// and further `labels` go onto its series. `user` and `password_file` where they are not those of `[nvue]`, `address` where a
        /// switch pushes without saying its name.
        switches: Option<Vec<SwitchConfig>> = None, "[{ name = \"leaf-a01\", url = \"https://10.0.0.11:8765\", fabric = \"a\", role = \"leaf\" }]";
        /// Users of SNMP v3 whose traps are taken, each a `[[snmp_users]]` with `name`, `auth` (`md5`, `sha1`, `sha224`, `sha256`, `sha384`,
        /// `sha512` or `none`), `auth_password_file`, `privacy` (`des`, `aes128`, `aes192`, `aes256` or `none`) and
        /// `privacy_password_file`.
        snmp_users: Option<Vec<SnmpUserConfig>> = None, "[{ name = \"trapper\", auth = \"sha256\", auth_password_file = \"/etc/podscope/snmp-auth\" }]";
        /// VAST clusters whose settings are watched for changes, each a `[[vast_clusters]]` with `name`, `url`, and `user` with
        /// `password_file` or `token_file`; `ca_file` or `skip_verify` for its certificate.
        vast_clusters: Option<Vec<VastClusterConfig>> = None, "[{ name = \"vast-1\", url = \"https://10.0.0.5\", token_file = \"/etc/podscope/vast-token\" }]";
        /// What is logged: `error`, `warn`, `info`, `debug`, `trace`, or a filter such as
        /// `info,podscope_history=debug`.
        log: String = "info".to_owned();
    }
    sections {
        /// See [`HistoryConfig`].
        history: HistoryConfig;
        /// See [`CollectorsConfig`].
        collectors: CollectorsConfig;
        /// See [`GpuConfig`].
        gpu: GpuConfig;
        /// See [`ContainersConfig`].
        containers: ContainersConfig;
        /// See [`FabricConfig`].
        fabric: FabricConfig;
        /// See [`StorageConfig`].
        storage: StorageConfig;
        /// See [`NcclConfig`].
        nccl: NcclConfig;
        /// See [`TlsConfig`].
        tls: TlsConfig;
        /// See [`LimitsConfig`].
        limits: LimitsConfig;
        /// See [`EventsConfig`].
        events: EventsConfig;
        /// See [`WriteConfig`].
        write: WriteConfig;
        /// See [`RemoteWriteConfig`].
        remote_write: RemoteWriteConfig;
        /// See [`FanoutConfig`].
        fanout: FanoutConfig;
        /// See [`NvueConfig`].
        nvue: NvueConfig;
        /// See [`OtlpConfig`].
        otlp: OtlpConfig;
        /// See [`SyslogConfig`].
        syslog: SyslogConfig;
        /// See [`SnmpConfig`].
        snmp: SnmpConfig;
        /// See [`ChangesConfig`].
        changes: ChangesConfig;
        /// See [`SlurmConfig`].
        slurm: SlurmConfig;
        /// See [`SloConfig`].
        slo: SloConfig;
    }
}

section! {
    /// The nodes behind this one. With any target here the agent is a hub: whoever asks it gets the answers of all nodes
    /// behind it as if they were its own, and list it without a name of its own (`instance`). Read at the start only;
    /// the files named in `file_sd` are read again when they change.
    pub struct FanoutConfig = "fanout" {
        /// Nodes or further hubs, as `host:port` or URL.
        targets: Vec<String> = Vec::new();
        /// Files in the form of Prometheus's `file_sd_configs`, JSON or YAML, read again when they change. The last part of a
        /// path may hold a `*`. The label `instance` names a node, `__scheme__` may be `https`, the other labels go onto its
        /// series.
        file_sd: Vec<String> = Vec::new();
        /// URLs that answer the same as JSON, as Prometheus's `http_sd_configs`.
        http_sd: Vec<String> = Vec::new();
        /// How often they are asked.
        http_sd_interval: Period = Period::from_secs(60);
        /// Names with SRV records, one per node.
        dns_srv: Vec<String> = Vec::new();
        /// How often they are looked up.
        dns_srv_interval: Period = Period::from_secs(30);
        /// The server that is asked for SRV records. Not set: the system's.
        dns_server: Option<SocketAddr> = None, "\"10.0.0.53:53\"";
        /// `http` or `https`, for targets that do not say.
        scheme: String = "http".to_owned();
        /// URL of the other hub of a pair, which lists the same nodes. It is asked for those that this hub does not reach.
        pair: Option<String> = None, "\"https://hub-b:9477\"";
        /// File with the bearer token of the nodes on its first line.
        token_file: Option<PathBuf> = None, "\"/etc/podscope/nodes-token\"";
        /// Certificates that the nodes' own are checked against, PEM. Not set: the system's.
        ca_file: Option<PathBuf> = None, "\"/etc/podscope/nodes-ca.crt\"";
        /// Certificate and key that this hub shows to nodes that want one (mutual TLS), PEM.
        cert_file: Option<PathBuf> = None, "\"/etc/podscope/hub.crt\"";
        /// See `cert_file`.
        key_file: Option<PathBuf> = None, "\"/etc/podscope/hub.key\"";
        /// The name the nodes' certificates carry, when it is not the URL's host.
        server_name: Option<String> = None, "\"podscope-node\"";
        /// Accept any certificate. For trying things out.
        skip_verify: bool = false;
        /// How long one node may take to answer; who asks this hub should wait longer.
        timeout: Period = Period::from_secs(10);
        /// How long connecting to a node may take.
        connect_timeout: Period = Period::from_secs(1);
        /// Requests to nodes under way at the same time.
        max_in_flight: u64 = 256;
        /// How often each node is asked whether it still has what it had: a metric that a node has for the first time is
        /// found after at most this long.
        inventory_interval: Period = Period::from_secs(5);
    }
}

section! {
    /// What this node keeps of its own past.
    pub struct HistoryConfig = "history" {
        /// Samples older than this are deleted.
        max_age: Period = Period::from_secs(7 * 86_400);
        /// The oldest samples are deleted when they take more than this on disk.
        max_bytes: ByteSize = ByteSize(1_000_000_000);
        /// Cells of a minute (sum, count, least, greatest, first and last value, what counters lost in resets) older than
        /// this are deleted. Long ranges are answered from cells.
        minutes_max_age: Period = Period::from_secs(90 * 86_400);
        /// The oldest cells of a minute are deleted when they take more than this on disk.
        minutes_max_bytes: ByteSize = ByteSize(700_000_000);
        /// Cells of an hour older than this are deleted.
        hours_max_age: Period = Period::from_secs(730 * 86_400);
        /// The oldest cells of an hour are deleted when they take more than this on disk.
        hours_max_bytes: ByteSize = ByteSize(300_000_000);
        /// Written samples reach the disk at least this often: what a power failure can cost.
        sync_interval: Period = Period::from_secs(5);
        /// With less than this free on the file system the history stops growing: it removes as much as it adds.
        free_space_floor: ByteSize = ByteSize(512 << 20);
    }
}

section! {
    /// What is collected, and how often.
    pub struct CollectorsConfig = "collectors" {
        /// Only these collectors. Not set: all of them; one whose hardware is not there reports "not present".
        enabled: Option<Vec<String>> = None, "[\"stat\", \"meminfo\"]";
        /// All but these collectors.
        disabled: Vec<String> = Vec::new();
        /// How often a collector runs. Not set: each collector's own interval, 1 s for nearly all.
        interval: Option<Period> = None, "\"1s\"";
        /// Intervals of single collectors; they go before `interval`.
        intervals: BTreeMap<String, Period> = BTreeMap::new(), "{ filesystem = \"30s\" }";
        /// A collector that takes longer has failed: its series go stale until it answers again. The others never wait.
        deadline: Period = Period::from_secs(5);
        /// Block devices left out, as a regular expression; node_exporter's own, as are the other patterns.
        disk_device_exclude: Pattern = HostConfig::default().disk_device_exclude;
        /// Mount points left out, as a regular expression.
        filesystem_mount_point_exclude: Pattern = HostConfig::default().filesystem_mount_point_exclude;
        /// File system types left out, as a regular expression.
        filesystem_type_exclude: Pattern = HostConfig::default().filesystem_type_exclude;
        /// A mount that does not answer within this time is marked as hanging and left alone until it does.
        filesystem_timeout: Period = Period::from_secs(5);
        /// Network devices left out, as a regular expression. Empty: none.
        network_device_exclude: Pattern = HostConfig::default().network_device_exclude;
    }
}

section! {
    /// NVIDIA GPUs, through NVML in a child process.
    pub struct GpuConfig = "gpu" {
        /// Whether to look for GPUs. A machine without any reports "not present".
        enabled: bool = true;
        /// How often the GPUs are read.
        interval: Period = Period::from_secs(1);
        /// A child that answers later than this is killed and started again: a hung driver makes the GPU series stale
        /// and nothing else.
        deadline: Period = Period::from_secs(5);
        /// GPUs this node should have (`podscope_gpus_expected`). Not set: the most ever seen since the agent started.
        expected: Option<u64> = None, "8";
        /// Older names that are written beside dcgm-exporter's: `ds01` (the first DS01 exporter's `ds01_gpu_*` and
        /// `ds01_mig_*`) and `nvidia_gpu` (`nvidia_gpu_utilization_percentage`, `nvidia_gpu_memory_used_bytes`,
        /// `nvidia_gpu_memory_total_bytes`). `docs/metrics.md` has what each of them is.
        aliases: Vec<String> = Vec::new();
    }
}

section! {
    /// Containers, jobs, and the people they belong to. `collectors.disabled` turns off `containers`, `gpu_processes` or
    /// `ds01` alone.
    pub struct ContainersConfig = "containers" {
        /// Whether containers are looked for at all.
        enabled: bool = true;
        /// Sockets of container engines (Docker's API, which Podman speaks too). Those that are not there or not readable
        /// are passed over: containers then have the first digits of their id for a name, and their owner is the user they
        /// run as.
        sockets: Vec<String> = engine_sockets();
        /// How often an engine is asked. A container it has not told of is asked for at once.
        engine_interval: Period = Period::from_secs(10);
        /// An engine that takes longer to answer is left alone until the next time.
        engine_deadline: Period = Period::from_secs(2);
        /// Containers with series of their own at the same time; the others are counted in
        /// `podscope_containers_left_out`.
        max: u64 = 500;
        /// A container gets series once it has run so long; one that ends before is remembered as an event.
        series_after: Period = Period::from_secs(60);
        /// Labels of a container that name its user; the first one set counts.
        user_labels: Vec<String> = ContainerConfig::default().user_labels;
        /// Labels that hold a path below the user's home, for containers without the labels above.
        path_labels: Vec<String> = ContainerConfig::default().path_labels;
        /// Labels that say how a container was started.
        interface_labels: Vec<String> = ContainerConfig::default().interface_labels;
        /// DS01's allocation file, as a further source of who has which GPU.
        state_file: Option<PathBuf> = None, "\"/var/lib/ds01/gpu-state.json\"";
        /// dcgm-exporter's folder of job mappings: a file per GPU (`0`) or MIG instance (`0.1`), a job per line.
        job_mapping_dir: Option<PathBuf> = None, "\"/run/dcgm-job-mapping\"";
        /// MIG instances a whole GPU counts as in `ds01_user_mig_allocated`.
        mig_equivalents: u64 = 4;
        /// Processes on GPUs with series of their own at the same time; the others are counted in
        /// `podscope_gpu_processes_left_out`.
        max_processes: u64 = 256;
    }
}

fn engine_sockets() -> Vec<String> {
    let sockets = ContainerConfig::default().sockets;
    sockets.iter().map(|path| path.display().to_string()).collect()
}

impl ContainersConfig {
    /// As the collectors want it.
    pub fn settings(&self) -> ContainerConfig {
        let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        ContainerConfig {
            sockets: self.sockets.iter().map(PathBuf::from).collect(),
            engine_interval: self.engine_interval.0,
            engine_deadline: self.engine_deadline.0,
            most: count(self.max),
            series_after: self.series_after.0,
            user_labels: self.user_labels.clone(),
            path_labels: self.path_labels.clone(),
            interface_labels: self.interface_labels.clone(),
            state_file: self.state_file.clone(),
            job_mapping_dir: self.job_mapping_dir.clone(),
            mig_equivalents: u32::try_from(self.mig_equivalents).unwrap_or(u32::MAX),
            most_processes: count(self.max_processes),
        }
    }
}

section! {
    /// TLS, needed beyond loopback. The files are read again on reload.
    pub struct TlsConfig = "tls" {
        /// Certificate chain, PEM, the server's own certificate first.
        cert_file: Option<PathBuf> = None, "\"/etc/podscope/tls.crt\"";
        /// Private key of the certificate, PEM.
        key_file: Option<PathBuf> = None, "\"/etc/podscope/tls.key\"";
        /// Mutual TLS: clients must show a certificate that one of these authorities signed, PEM.
        client_ca_file: Option<PathBuf> = None, "\"/etc/podscope/clients-ca.crt\"";
    }
}

section! {
    /// What one query may use. A request may ask for less, never for more.
    pub struct LimitsConfig = "limits" {
        /// Samples one query may read.
        max_samples: u64 = 50_000_000;
        /// Series one query may answer.
        max_series: u64 = 100_000;
        /// Values one query may make, those of its sub-expressions included: series times steps.
        max_cells: u64 = 50_000_000;
        /// Memory one query may hold: the samples of the series being read, all values made, and on a hub the answers of the
        /// nodes behind it.
        max_memory: ByteSize = ByteSize(1 << 30);
        /// How long one query may take.
        timeout: Period = Period::from_secs(30);
        /// Steps of a range query, as in Prometheus.
        max_points: u64 = 11_000;
        /// Queries evaluated at the same time; further ones wait their turn, within their timeout.
        max_concurrent_queries: u64 = 4;
    }
}

/// The root, then each table of the file.
pub const SECTIONS: [Section; 21] = [
    Config::SECTION,
    HistoryConfig::SECTION,
    CollectorsConfig::SECTION,
    GpuConfig::SECTION,
    ContainersConfig::SECTION,
    FabricConfig::SECTION,
    StorageConfig::SECTION,
    NcclConfig::SECTION,
    TlsConfig::SECTION,
    LimitsConfig::SECTION,
    EventsConfig::SECTION,
    WriteConfig::SECTION,
    RemoteWriteConfig::SECTION,
    FanoutConfig::SECTION,
    NvueConfig::SECTION,
    OtlpConfig::SECTION,
    SyslogConfig::SECTION,
    SnmpConfig::SECTION,
    ChangesConfig::SECTION,
    SlurmConfig::SECTION,
    SloConfig::SECTION,
];

impl LimitsConfig {
    /// As the agent API carries them.
    pub fn wire(&self) -> podscope_model::leaf::Limits {
        podscope_model::leaf::Limits {
            max_samples: self.max_samples,
            max_series: self.max_series,
            max_cells: self.max_cells,
            max_bytes: self.max_memory.0,
            timeout_ms: self.timeout.as_ms(),
        }
    }
}

impl Config {
    /// The interval collector `name` runs at, given its own default.
    pub fn collector_interval_ms(&self, name: &str, own_ms: u64) -> u64 {
        let set = self
            .collectors
            .intervals
            .get(name)
            .or(self.collectors.interval.as_ref());
        set.map_or(own_ms, |period| period.as_ms())
    }

    /// What the host collectors are made with.
    pub fn host(&self) -> HostConfig {
        let collectors = &self.collectors;
        HostConfig {
            disk_device_exclude: collectors.disk_device_exclude.clone(),
            filesystem_mount_point_exclude: collectors.filesystem_mount_point_exclude.clone(),
            filesystem_type_exclude: collectors.filesystem_type_exclude.clone(),
            filesystem_timeout_ms: collectors.filesystem_timeout.as_ms(),
            network_device_exclude: collectors.network_device_exclude.clone(),
            ..HostConfig::default()
        }
    }

    /// Whether collector `name` runs at all.
    pub fn collector_enabled(&self, name: &str) -> bool {
        let listed = |list: &[String]| list.iter().any(|listed| listed == name);
        self.collectors.enabled.as_deref().is_none_or(listed) && !listed(&self.collectors.disabled)
    }
}
