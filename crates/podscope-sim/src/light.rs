//! Many nodes that weigh little, to see how asking them scales: the real agent, history and router, but one stream of GPU
//! samples each, rows pushed by one thread for all, and no more past than asked for.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use axum_server::Handle;
use podscope_agent::stream::Stream;
use podscope_agent::{AgentState, Identity, http};
use podscope_history::{History, Options};
use podscope_model::batch::Row;
use podscope_model::catalog::{Job, gpu};
use tempfile::TempDir;

use crate::cluster::{SimError, SimTarget, now_ms};
use crate::noise::{hash, smooth};

/// Nodes per rack.
const RACK: usize = 32;

/// What can be chosen about light nodes.
#[derive(Clone, Debug)]
pub struct LightOptions {
    pub nodes: usize,
    /// Number of the first node: several processes may make one fleet.
    pub first: usize,
    pub gpus: u32,
    /// Time between two rows.
    pub interval: Duration,
    /// Rows there are at the start.
    pub rows: usize,
    /// Whether rows go on after the start.
    pub live: bool,
    pub cluster: String,
    pub data_dir: Option<PathBuf>,
}

impl Default for LightOptions {
    fn default() -> Self {
        Self {
            nodes: 1000,
            first: 0,
            gpus: 8,
            interval: Duration::from_secs(15),
            rows: 240,
            live: true,
            cluster: "sim".to_owned(),
            data_dir: None,
        }
    }
}

/// Running light nodes; their servers end with the runtime.
#[derive(Debug)]
pub struct LightFleet {
    nodes: Vec<Arc<LightNode>>,
    clock: Option<Clock>,
    _folder: Option<TempDir>,
}

#[derive(Debug)]
struct LightNode {
    at: usize,
    name: String,
    labels: BTreeMap<String, String>,
    address: SocketAddr,
    stream: Arc<Stream>,
    row: Mutex<Row>,
    gpus: u32,
    /// The agent that is served.
    state: Arc<AgentState>,
}

impl LightNode {
    fn push(&self, t_ms: i64) {
        let mut row = self.row.lock().unwrap_or_else(PoisonError::into_inner);
        row.begin();
        for index in 0..self.gpus {
            let seed = hash(7, self.at as u64, u64::from(index));
            let busy = 50.0 + 50.0 * smooth(seed, 1, t_ms as f64 / 1_000.0, 60.0);
            let number = index.to_string();
            let uuid = format!("GPU-{seed:016x}");
            let labels = [
                ("gpu", number.as_str()),
                ("UUID", uuid.as_str()),
                ("modelName", "NVIDIA H100 80GB HBM3"),
                ("Hostname", self.name.as_str()),
            ];
            row.set(&gpu::DCGM_FI_DEV_GPU_UTIL, &labels, busy.round());
            row.set(&gpu::DCGM_FI_DEV_GPU_TEMP, &labels, (35.0 + busy * 0.4).round());
            row.set(
                &gpu::DCGM_FI_DEV_POWER_USAGE,
                &labels,
                (90.0 + busy * 6.0).round(),
            );
        }
        if let Err(error) = self.stream.push(t_ms, &row) {
            tracing::debug!(node = self.name, %error, "a row is lost");
        }
    }
}

impl LightFleet {
    /// Starts the nodes and serves them. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// See [`SimError`].
    pub async fn start(options: LightOptions) -> Result<Self, SimError> {
        let (folder, dir) = match &options.data_dir {
            Some(dir) => (None, dir.clone()),
            None => {
                let folder = tempfile::tempdir().map_err(SimError::DataDir)?;
                let dir = folder.path().to_path_buf();
                (Some(folder), dir)
            }
        };
        let making = options.clone();
        let made = tokio::task::spawn_blocking(move || make(&making, &dir)).await;
        let made = made.map_err(|_| SimError::Backfill)??;
        let mut nodes = Vec::with_capacity(made.len());
        for (node, listener) in made {
            let failed = |source| SimError::Listen {
                node: node.name.clone(),
                port: node.address.port(),
                source,
            };
            listener.set_nonblocking(true).map_err(failed)?;
            let server = axum_server::from_tcp(listener)
                .map_err(failed)?
                .handle(Handle::<SocketAddr>::new());
            let app = http::router(Arc::clone(&node.state)).into_make_service();
            tokio::spawn(server.serve(app));
            nodes.push(node);
        }
        let clock = match options.live {
            true => Some(Clock::start(nodes.clone(), options.interval)?),
            false => None,
        };
        Ok(Self {
            nodes,
            clock,
            _folder: folder,
        })
    }

    /// Where the nodes can be asked.
    pub fn targets(&self) -> Vec<SimTarget> {
        let target = |node: &Arc<LightNode>| SimTarget {
            url: format!("http://{}", node.address),
            instance: node.name.clone(),
            labels: node.labels.clone(),
        };
        self.nodes.iter().map(target).collect()
    }

    /// Stops the rows.
    pub fn stop(&mut self) {
        self.clock = None;
    }
}

fn make(
    options: &LightOptions,
    dir: &std::path::Path,
) -> Result<Vec<(Arc<LightNode>, TcpListener)>, SimError> {
    let interval_ms = i64::try_from(options.interval.as_millis())
        .unwrap_or(15_000)
        .max(1);
    let now = now_ms();
    let newest = now - now.rem_euclid(interval_ms);
    let mut made = Vec::with_capacity(options.nodes);
    for at in options.first..options.first + options.nodes {
        let name = format!("{}-light-{at:05}", options.cluster);
        let failed = |source| SimError::Listen {
            node: name.clone(),
            port: 0,
            source,
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let folder = dir.join(&name);
        let opened = History::open(Options::new(&folder));
        let (history, _) = opened.map_err(|source| SimError::History {
            dir: folder,
            source: Box::new(source),
        })?;
        let labels = BTreeMap::from([
            ("cluster".to_owned(), options.cluster.clone()),
            ("rack".to_owned(), format!("r{:03}", at / RACK)),
        ]);
        let identity = Identity {
            instance: name.clone(),
            labels: labels.clone(),
        };
        let state = AgentState::local(identity, Arc::new(history));
        let stream = state.add_stream("gpu", Job::Dcgm, interval_ms.unsigned_abs());
        let node = LightNode {
            at,
            name,
            labels,
            address,
            stream,
            row: Mutex::default(),
            gpus: options.gpus,
            state,
        };
        for back in (0..options.rows as i64).rev() {
            node.push(newest - back * interval_ms);
        }
        made.push((Arc::new(node), listener));
    }
    Ok(made)
}

/// One thread that pushes a row to every node, spread over the interval so that the machine is not busy all at once.
#[derive(Debug)]
struct Clock {
    stop: Arc<(AtomicBool, Mutex<()>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

/// Nodes that get their row together.
const BATCH: usize = 50;

impl Clock {
    fn start(nodes: Vec<Arc<LightNode>>, interval: Duration) -> Result<Self, SimError> {
        let stop = Arc::new((AtomicBool::new(false), Mutex::new(()), Condvar::new()));
        let stopping = Arc::clone(&stop);
        let batches = nodes.len().div_ceil(BATCH).max(1);
        let pause = interval / u32::try_from(batches).unwrap_or(u32::MAX);
        let interval_ms = i64::try_from(interval.as_millis()).unwrap_or(15_000).max(1);
        let run = move || {
            let (stop, lock, rung) = &*stopping;
            loop {
                for batch in nodes.chunks(BATCH) {
                    let held = lock.lock().unwrap_or_else(PoisonError::into_inner);
                    drop(rung.wait_timeout_while(held, pause, |()| !stop.load(Ordering::Relaxed)));
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let now = now_ms();
                    for node in batch {
                        node.push(now - now.rem_euclid(interval_ms));
                    }
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("light-clock".to_owned())
            .spawn(run)
            .map_err(|source| SimError::Threads {
                node: "clock".to_owned(),
                source,
            })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        let (stop, lock, rung) = &*self.stop;
        {
            let _held = lock.lock().unwrap_or_else(PoisonError::into_inner);
            stop.store(true, Ordering::Relaxed);
        }
        rung.notify_all();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
