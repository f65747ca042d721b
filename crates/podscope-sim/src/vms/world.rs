//! What a simulated management server is asked of: the state of a VAST cluster at an instant.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

/// A VAST cluster as the server shows it. All answers depend on time alone: the same question gets the same answer.
pub trait VmsWorld: Send + Sync + 'static {
    /// Before this instant nothing is known.
    fn began_ms(&self) -> i64;

    /// The state at an instant. Rates hold for the ten seconds before it.
    fn at(&self, t_ms: i64) -> VmsState;

    /// What happened in `from_ms <= t <= to_ms`.
    fn events(&self, from_ms: i64, to_ms: i64) -> Vec<VmsEvent>;

    /// What is wrong at an instant.
    fn alarms(&self, t_ms: i64) -> Vec<VmsAlarm>;

    /// The cluster's clock.
    fn now_ms(&self) -> i64 {
        system_ms()
    }
}

pub(super) fn system_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}

/// One kind of operation: how many per second, how many bytes, how long each takes on average.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Op {
    /// 1/s
    pub iops: f64,
    /// bytes/s
    pub bw: f64,
    /// Mean, in microseconds, as the server feels it.
    pub latency_us: f64,
}

impl Op {
    /// Both together: latency is the mean over operations.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let iops = self.iops + other.iops;
        let spent = self.iops * self.latency_us + other.iops * other.latency_us;
        Self {
            iops,
            bw: self.bw + other.bw,
            latency_us: if iops > 0.0 { spent / iops } else { 0.0 },
        }
    }
}

/// What clients do over one protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    pub read: Op,
    pub write: Op,
    pub md_iops: f64,
}

impl Load {
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            read: self.read.and(other.read),
            write: self.write.and(other.write),
            md_iops: self.md_iops + other.md_iops,
        }
    }
}

/// Everything at one instant.
#[derive(Clone, Debug, Default)]
pub struct VmsState {
    pub cluster: Cluster,
    pub cnodes: Vec<CNode>,
    pub dnodes: Vec<DNode>,
    pub nics: Vec<Nic>,
    pub ssds: Vec<Ssd>,
    pub vips: Vec<Vip>,
    pub views: Vec<View>,
    pub quotas: Vec<Quota>,
    /// Who does what: the busiest clients, by host, address, view and user.
    pub flows: Vec<Flow>,
}

/// The cluster itself. Sizes in bytes.
#[derive(Clone, Debug)]
pub struct Cluster {
    pub id: u32,
    pub name: String,
    /// `5.3.1.4.1234`: also says what `/api/vN/` is spoken.
    pub sw_version: String,
    pub online: bool,
    /// `HEALTHY` where nothing is wrong.
    pub ssd_raid_state: String,
    pub nvram_raid_state: String,
    pub memory_raid_state: String,
    pub physical_space: f64,
    pub physical_space_in_use: f64,
    pub logical_space: f64,
    pub logical_space_in_use: f64,
    pub auxiliary_space_in_use: f64,
    pub drr: f64,
    /// `system_settings` of `GET /clusters/`, `data_prefetch_enabled` among them.
    pub settings: Map<String, Value>,
}

impl Default for Cluster {
    fn default() -> Self {
        let settings =
            json!({ "data_prefetch_enabled": false, "similarity_enabled": true, "enable_trash": true });
        Self {
            id: 1,
            name: "vast-1".to_owned(),
            sw_version: "5.3.1.4.1735206".to_owned(),
            online: true,
            ssd_raid_state: "HEALTHY".to_owned(),
            nvram_raid_state: "HEALTHY".to_owned(),
            memory_raid_state: "HEALTHY".to_owned(),
            physical_space: 1.2e15,
            physical_space_in_use: 7.1e14,
            logical_space: 2.0e15,
            logical_space_in_use: 1.3e15,
            auxiliary_space_in_use: 4.0e13,
            drr: 1.83,
            settings: settings.as_object().cloned().unwrap_or_default(),
        }
    }
}

/// A protocol server ("front end").
#[derive(Clone, Debug, Default)]
pub struct CNode {
    pub id: u32,
    /// `cnode-1`
    pub name: String,
    pub ip: String,
    /// `ACTIVE`, `INACTIVE` or `FAILED`.
    pub state: String,
    /// 0 to 100.
    pub cpu_percent: f64,
    pub mem_percent: f64,
    pub cpu_celsius: f64,
    /// `SchedulerMetrics,window_runtime`: how busy its scheduler is, 0 to 100.
    pub window_runtime: f64,
    pub rdma_links: f64,
    /// By `proto_name`: `BlockCommon` (NVMe-oF), `NFSCommon`, `NFS4Common`, `S3Common`, `SMBCommon`. `ProtoCommon` is made of
    /// them.
    pub load: BTreeMap<String, Load>,
}

/// An enclosure's server.
#[derive(Clone, Debug, Default)]
pub struct DNode {
    pub id: u32,
    pub name: String,
    pub state: String,
}

/// A network port of a CNode.
#[derive(Clone, Debug, Default)]
pub struct Nic {
    pub id: u32,
    pub name: String,
    /// The CNode's name.
    pub cnode: String,
    /// MB/s
    pub r_mbs: f64,
    pub t_mbs: f64,
    /// What happens each second; the server counts it up.
    pub t_pause: f64,
    pub out_of_sequence: f64,
    pub out_of_buffer: f64,
    pub rnr_nak_retry_err: f64,
    pub local_ack_timeout_err: f64,
    pub rx_crc_errors_phy: f64,
}

/// An SSD behind the front ends.
#[derive(Clone, Debug, Default)]
pub struct Ssd {
    pub id: u32,
    pub name: String,
    /// MB/s
    pub r_mbs: f64,
    pub w_mbs: f64,
    pub r_await: f64,
    pub w_await: f64,
    pub celsius: f64,
    pub endurance: f64,
    pub media_errors: f64,
}

/// A virtual address and who serves it now.
#[derive(Clone, Debug, Default)]
pub struct Vip {
    pub id: u32,
    pub ip: String,
    pub vippool: String,
    /// The CNode's name.
    pub cnode: String,
    pub tenant: String,
}

#[derive(Clone, Debug, Default)]
pub struct View {
    pub id: u32,
    pub path: String,
    pub protocols: Vec<String>,
    pub tenant: String,
    pub logical_capacity: f64,
    pub physical_capacity: f64,
}

#[derive(Clone, Debug, Default)]
pub struct Quota {
    pub id: u32,
    pub name: String,
    pub path: String,
    /// `OK`, `SOFT_EXCEEDED`, `HARD_EXCEEDED`
    pub state: String,
    pub tenant: String,
    pub used_capacity: f64,
    pub used_inodes: f64,
    pub soft_limit: Option<f64>,
    pub hard_limit: Option<f64>,
}

/// What one client does to one view as one user, through one address.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    /// The client's address.
    pub host: String,
    pub vip: String,
    /// The view's path.
    pub view: String,
    pub user: String,
    pub uid: u32,
    pub tenant: String,
    pub load: Load,
}

/// How bad VMS finds something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Grade {
    #[default]
    Info,
    Minor,
    Major,
    Critical,
}

impl Grade {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Minor => "MINOR",
            Self::Major => "MAJOR",
            Self::Critical => "CRITICAL",
        }
    }
}

/// An entry of `GET /events/`.
#[derive(Clone, Debug, Default)]
pub struct VmsEvent {
    pub id: u64,
    pub time_ms: i64,
    /// `OBJECT_MODIFIED`, `RAID_STATE_CHANGED`, ...
    pub event_type: String,
    pub event_name: String,
    pub message: String,
    /// `Cluster`, `CNode`, ...
    pub object_type: String,
    pub object_id: u32,
    pub object_name: String,
    pub grade: Grade,
}

/// An entry of `GET /alarms/`.
#[derive(Clone, Debug, Default)]
pub struct VmsAlarm {
    pub id: u64,
    pub since_ms: i64,
    pub updated_ms: i64,
    pub event_type: String,
    pub event_name: String,
    pub message: String,
    pub object_type: String,
    pub object_id: u32,
    pub object_name: String,
    pub grade: Grade,
    pub acknowledged: bool,
}
