//! What an agent is while it runs: its history, its streams, its queries, and what may change on reload. The HTTP layer
//! and, in the same process, the simulator and the fan-out talk to this.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, Weak};

use podscope_collect::slurm::SlurmBook;
use podscope_history::History;
use podscope_history::events::EventStore;
use podscope_model::catalog::Job;
use podscope_model::inventory::Inventory;
use podscope_model::labels::Labels;
use podscope_model::leaf::{GpuInfo, Limits, MetricInfo};

use crate::config::{ByteSize, LimitsConfig, Period, WriteAccess};
use crate::exposition::Exposition;
use crate::hub::Hub;
use crate::identity::Identity;
use crate::ingest::Receiver;
use crate::intake::IntakeStats;
use crate::labelled::node_labels;
use crate::otlp::Otlp;
use crate::queries::Queries;
use crate::remote_write::RemoteWriteStats;
use crate::schedule::now_ms;
use crate::secret::Secret;
use crate::stream::Stream;

/// What a reload may change.
#[derive(Clone, Debug)]
pub struct Live {
    /// Labels of this node, without `instance`.
    pub labels: BTreeMap<String, String>,
    pub token: Option<Secret>,
    /// Who may write; nobody, where nothing is set.
    pub write: WriteAccess,
    pub limits: LimitsConfig,
    /// How long and how much is kept, where it is known.
    pub retention: Option<Retention>,
    /// Bound to loopback: without a token, only names of this machine are answered.
    pub local_only: bool,
}

/// What the history keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    pub max_age: Period,
    pub max_bytes: ByteSize,
}

impl Live {
    /// No token, the default limits, loopback: what tests and simulated nodes want.
    pub fn local(labels: BTreeMap<String, String>) -> Self {
        Self {
            labels,
            token: None,
            write: WriteAccess::default(),
            limits: LimitsConfig::default(),
            retention: None,
            local_only: true,
        }
    }
}

/// Reads the configuration again; answers what changed, as text for whoever asked.
pub type Reload = Box<dyn Fn() -> Result<ReloadReport, String> + Send + Sync>;

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ReloadReport {
    /// Keys whose new values are in use.
    pub applied: Vec<String>,
    /// Keys that changed in the file but are read only at the start.
    pub needs_restart: Vec<String>,
}

/// One running agent.
pub struct AgentState {
    me: Weak<AgentState>,
    instance: String,
    history: Arc<History>,
    live: RwLock<Arc<Live>>,
    streams: RwLock<Arc<[Arc<Stream>]>>,
    queries: Queries,
    events: RwLock<Option<Arc<EventStore>>>,
    remote_write: Arc<RemoteWriteStats>,
    receiver: Arc<Receiver>,
    otlp: OnceLock<Otlp>,
    intake: Arc<IntakeStats>,
    reload: RwLock<Option<Reload>>,
    started_ms: i64,
    /// With the version of the catalog it was made from.
    inventory: Mutex<Option<(u64, Arc<Inventory>)>>,
    /// What lies behind, where this agent is a hub.
    hub: OnceLock<Hub>,
    /// What is known of the scheduler, where it is asked.
    slurm: OnceLock<SlurmBook>,
}

impl std::fmt::Debug for AgentState {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("AgentState")
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

impl AgentState {
    /// An agent without any stream; see [`Self::add_stream`].
    pub fn new(instance: impl Into<String>, history: Arc<History>, live: Live) -> Arc<Self> {
        let queries = Queries::new(live.limits.max_concurrent_queries);
        let receiver = Arc::new(Receiver::new(Arc::clone(&history)));
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            instance: instance.into(),
            history,
            live: RwLock::new(Arc::new(live)),
            streams: RwLock::new(Arc::new([])),
            queries,
            events: RwLock::new(None),
            remote_write: Arc::default(),
            receiver,
            otlp: OnceLock::new(),
            intake: Arc::default(),
            reload: RwLock::new(None),
            started_ms: now_ms(),
            inventory: Mutex::default(),
            hub: OnceLock::new(),
            slurm: OnceLock::new(),
        })
    }

    /// A local agent of this identity: for simulated nodes.
    pub fn local(identity: Identity, history: Arc<History>) -> Arc<Self> {
        Self::new(identity.instance, history, Live::local(identity.labels))
    }

    /// Adds a stream of rows; its rows are then pushed by a [`crate::driver::Driver`] or through [`Stream::push`].
    pub fn add_stream(&self, name: &str, job: Job, interval_ms: u64) -> Arc<Stream> {
        let stream = Arc::new(Stream::new(name, job, interval_ms, Arc::clone(&self.history)));
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        *streams = streams.iter().cloned().chain([Arc::clone(&stream)]).collect();
        stream
    }

    pub(crate) fn me(&self) -> Option<Arc<Self>> {
        self.me.upgrade()
    }

    /// The name this agent gives itself.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    pub fn queries(&self) -> &Queries {
        &self.queries
    }

    pub(crate) fn kept_inventory(&self) -> &Mutex<Option<(u64, Arc<Inventory>)>> {
        &self.inventory
    }

    /// The nodes behind this one, where it is a hub.
    pub fn hub(&self) -> Option<&Hub> {
        self.hub.get()
    }

    /// Makes a hub of this agent: from now on it answers for the nodes behind it too.
    pub fn set_hub(&self, hub: Hub) {
        // Set once, at the start.
        drop(self.hub.set(hub));
    }

    /// What is known of the scheduler, where it is asked.
    pub fn slurm(&self) -> Option<&SlurmBook> {
        self.slurm.get()
    }

    /// From now on jobs can be asked for.
    pub fn set_slurm(&self, book: SlurmBook) {
        // Set once, at the start.
        drop(self.slurm.set(book));
    }

    pub fn started_ms(&self) -> i64 {
        self.started_ms
    }

    pub fn streams(&self) -> Arc<[Arc<Stream>]> {
        Arc::clone(&self.streams.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn live(&self) -> Arc<Live> {
        Arc::clone(&self.live.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn set_live(&self, live: Live) {
        *self.live.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(live);
    }

    /// What remote write has sent.
    pub fn remote_write(&self) -> &Arc<RemoteWriteStats> {
        &self.remote_write
    }

    /// Where samples of others come in.
    pub fn receiver(&self) -> &Arc<Receiver> {
        &self.receiver
    }

    /// Where OTLP metrics come in.
    pub fn otlp(&self) -> &Otlp {
        self.otlp.get_or_init(Otlp::default)
    }

    /// Says which switches there are, and what becomes a label; before the first request.
    pub fn set_otlp(&self, otlp: Otlp) {
        // Set once, at the start.
        drop(self.otlp.set(otlp));
    }

    /// What comes in by syslog and traps.
    pub fn intake(&self) -> &Arc<IntakeStats> {
        &self.intake
    }

    /// Where this agent keeps events; none where nobody gave it a store.
    pub fn event_store(&self) -> Option<Arc<EventStore>> {
        self.events.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn set_event_store(&self, store: Arc<EventStore>) {
        *self.events.write().unwrap_or_else(PoisonError::into_inner) = Some(store);
    }

    /// What `SIGHUP` and `POST /-/reload` do.
    pub fn set_reload(&self, reload: Reload) {
        *self.reload.write().unwrap_or_else(PoisonError::into_inner) = Some(reload);
    }

    /// Reads the configuration again.
    ///
    /// # Errors
    /// Why it could not be; everything stays as it was.
    pub fn reload(&self) -> Result<ReloadReport, String> {
        let reload = self.reload.read().unwrap_or_else(PoisonError::into_inner);
        match &*reload {
            Some(reload) => reload(),
            None => Err(
                "this agent was started without a configuration file: there is nothing to read again".into(),
            ),
        }
    }

    /// The labels this node puts onto its series when it is asked alone.
    pub fn own_labels(&self) -> Labels {
        node_labels(&self.instance, &self.live().labels)
    }

    /// The smaller of what is asked for and what is allowed.
    pub fn bounded(&self, asked: Limits) -> Limits {
        let allowed = self.live().limits.wire();
        Limits {
            max_samples: asked.max_samples.min(allowed.max_samples),
            max_series: asked.max_series.min(allowed.max_series),
            max_cells: asked.max_cells.min(allowed.max_cells),
            max_bytes: asked.max_bytes.min(allowed.max_bytes),
            timeout_ms: asked.timeout_ms.min(allowed.timeout_ms),
        }
    }

    /// The current rows, of the jobs wanted.
    pub fn exposition(&self, wanted: impl Fn(Job) -> bool) -> Exposition {
        let mut exposition = Exposition::default();
        for stream in self.streams().iter().filter(|stream| wanted(stream.job())) {
            stream.for_each_current(|column, value| exposition.add(column, value));
        }
        exposition
    }

    /// The GPUs in the current rows.
    pub fn gpus(&self) -> Vec<GpuInfo> {
        let mut found: BTreeMap<(u32, String), GpuInfo> = BTreeMap::new();
        for stream in self.streams().iter().filter(|stream| stream.job() == Job::Dcgm) {
            stream.for_each_current(|column, _| {
                let label = |name: &str| column.labels.get(name).unwrap_or_default();
                let Ok(index) = label("gpu").parse() else { return };
                // A MIG instance carries its GPU's UUID too.
                let uuid = label("UUID");
                found.entry((index, uuid.to_owned())).or_insert_with(|| GpuInfo {
                    index,
                    uuid: uuid.to_owned(),
                    model: label("modelName").to_owned(),
                    pci_bus_id: label("pci_bus_id").to_owned(),
                });
            });
        }
        found.into_values().collect()
    }

    /// Kind, unit and help of every metric stored here.
    pub fn metrics(&self) -> BTreeMap<String, MetricInfo> {
        self.history.metric_info()
    }
}
