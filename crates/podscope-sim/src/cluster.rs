//! The cluster: starting its nodes, filling their past, letting time go on, stopping.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use podscope_agent::AgentState;
use podscope_agent::driver::Driver;
use podscope_history::HistoryError;
use serde::Serialize;
use tempfile::TempDir;

use crate::machine::Machine;
use crate::node::{Plan, SimNode};
use crate::noise::hash;
use crate::options::SimOptions;
use crate::schedule::{Stretch, stretches};
use crate::service::InferenceServer;
use crate::trouble::Troubles;
use crate::workload::Workload;

/// Nodes per rack.
const RACK: usize = 4;
/// The machines move on this long before the second at which collectors read them.
const BEFORE_THE_SECOND: i64 = 40;

/// Why a cluster cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    #[error("cannot simulate {0}")]
    Options(String),
    #[error("cannot make a folder for the histories; choose one with --data-dir")]
    DataDir(#[source] std::io::Error),
    #[error("node {node} cannot listen on 127.0.0.1:{port}; choose another base port, or 0 for free ones")]
    Listen {
        node: String,
        port: u16,
        #[source]
        source: std::io::Error,
    },
    #[error("the history in {} cannot be opened; choose another folder with --data-dir", dir.display())]
    History {
        dir: PathBuf,
        #[source]
        source: Box<HistoryError>,
    },
    #[error("node {node} gets no more threads")]
    Threads {
        node: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the hub does not start")]
    Hub(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("filling the past stopped unexpectedly")]
    Backfill,
}

/// Where a node can be asked, as a target list has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SimTarget {
    pub url: String,
    pub instance: String,
    /// `cluster`, `pod`, `rack`.
    pub labels: BTreeMap<String, String>,
}

/// A running simulated cluster. Dropping it stops its time but not its servers, which end with the runtime; call
/// [`SimCluster::stop`].
#[derive(Debug)]
pub struct SimCluster {
    nodes: Vec<Arc<SimNode>>,
    clock: Option<Clock>,
    started_ms: i64,
    backfilled: Duration,
    /// Removed with the cluster.
    _folder: Option<TempDir>,
}

type Collectors = (Arc<AgentState>, Vec<Driver>);

pub(crate) fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl SimCluster {
    /// Starts a cluster: fills its past, then serves, and with `live` lets time go on. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// See [`SimError`]; nothing is left running.
    pub async fn start(options: SimOptions) -> Result<Self, SimError> {
        if let Some(fault) = options.fault() {
            return Err(SimError::Options(fault));
        }
        let (folder, dir) = match &options.data_dir {
            Some(dir) => (None, dir.clone()),
            None => {
                let folder = tempfile::Builder::new()
                    .prefix("podscope-sim-")
                    .tempdir()
                    .map_err(SimError::DataDir)?;
                let dir = folder.path().to_path_buf();
                (Some(folder), dir)
            }
        };
        let began = Instant::now();
        let live = options.live;
        let now_ms = options.now_ms.unwrap_or_else(now_ms);
        let now_ms = now_ms - now_ms.rem_euclid(1_000);
        let filled = tokio::task::spawn_blocking(move || fill(&options, &dir, now_ms)).await;
        let filled = filled.map_err(|_| SimError::Backfill)??;
        let backfilled = began.elapsed();
        let mut nodes = Vec::with_capacity(filled.len());
        for (node, listener, collectors) in filled {
            node.start(listener, collectors)?;
            nodes.push(node);
        }
        let clock = if live {
            Some(Clock::start(nodes.clone())?)
        } else {
            None
        };
        Ok(Self {
            nodes,
            clock,
            started_ms: now_ms,
            backfilled,
            _folder: folder,
        })
    }

    /// Where the nodes can be asked.
    pub fn targets(&self) -> Vec<SimTarget> {
        self.nodes.iter().map(|node| node.target()).collect()
    }

    /// The control through which troubles begin and end; see [`crate::control`].
    pub fn control(&self) -> axum::Router {
        crate::control::router(self.nodes.clone().into())
    }

    /// Node `at`, counted from 0.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn node(&self, at: usize) -> &SimNode {
        &self.nodes[at]
    }

    pub fn nodes(&self) -> impl Iterator<Item = &SimNode> {
        self.nodes.iter().map(AsRef::as_ref)
    }

    /// The end of the filled past, in milliseconds since 1970: a full second.
    pub fn started_ms(&self) -> i64 {
        self.started_ms
    }

    /// How long filling the past took.
    pub fn backfilled_in(&self) -> Duration {
        self.backfilled
    }

    /// Stops time, servers and collectors, and closes the histories.
    pub async fn stop(mut self) {
        let (clock, nodes) = (self.clock.take(), std::mem::take(&mut self.nodes));
        let stopped = tokio::task::spawn_blocking(move || {
            drop(clock);
            for node in &nodes {
                node.stop();
            }
        });
        if stopped.await.is_err() {
            tracing::error!("stopping the simulated cluster was interrupted");
        }
    }
}

/// Makes the nodes and lives them through their past, on as many threads as there are cores.
fn fill(
    options: &SimOptions,
    dir: &std::path::Path,
    now_ms: i64,
) -> Result<Vec<(Arc<SimNode>, TcpListener, Collectors)>, SimError> {
    let backfill_ms = i64::try_from(options.backfill.as_millis()).unwrap_or(i64::MAX);
    let origin_ms = now_ms - backfill_ms - 1_000;
    let workload = Arc::new(Workload::new(options.seed, options.nodes, options.gpus));
    let mut made: Vec<(Arc<SimNode>, TcpListener)> = Vec::with_capacity(options.nodes);
    for index in 0..options.nodes {
        let name = format!("{}-gpu-{index:02}", options.cluster);
        let size = (options.cpus, options.gpus);
        let machine = Machine::new(options.seed, index, &name, size, Arc::clone(&workload), origin_ms);
        let server = (!workload.serving(index).is_empty())
            .then(|| InferenceServer::new(hash(options.seed, 3, index as u64)));
        let labels = [
            ("cluster", options.cluster.clone()),
            ("pod", "pod-0".to_owned()),
            ("rack", format!("r{:02}", index / RACK + 1)),
        ];
        let labels = labels
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let port = if options.base_port == 0 {
            0
        } else {
            options.base_port + index as u16
        };
        let plan = Plan {
            name,
            labels,
            machine,
            server,
            troubles: Troubles::new(&options.spells(), index, options.gpus as usize),
            dir,
            port,
            live: options.live,
        };
        let (node, listener) = SimNode::new(plan)?;
        made.push((Arc::new(node), listener));
    }
    let past = stretches(now_ms, backfill_ms);
    let mut nodes: Vec<(Arc<SimNode>, TcpListener, Collectors)> = made
        .into_iter()
        .map(|(node, listener)| {
            let collectors = node.collectors();
            (node, listener, collectors)
        })
        .collect();
    on_all_cores(&mut nodes, |(node, _, (_, drivers))| {
        for stretch in &past {
            node.live_through(*stretch, drivers, options.live.then_some(now_ms));
        }
        if let Err(error) = node.history().seal() {
            tracing::warn!(node = node.instance(), %error, "the filled past could not be sealed");
        }
    });
    if options.live {
        // Filling took seconds of the present; all nodes catch up together, so that none has a gap.
        on_all_cores(&mut nodes, |(node, _, (_, drivers))| {
            let to_ms = crate::cluster::now_ms() - 1_000;
            let stretch = Stretch {
                from_ms: node.at_ms(),
                to_ms,
                step_ms: 1_000,
            };
            node.live_through(stretch, drivers, Some(to_ms + 1_000));
        });
    }
    Ok(nodes)
}

/// Does the work for each item, on as many threads as there are cores.
pub(crate) fn on_all_cores<T: Send>(items: &mut [T], work: impl Fn(&mut T) + Sync) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let waiting = Mutex::new(items.iter_mut());
    std::thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(item) = next else { return };
                    work(item);
                }
            });
        }
    });
}

/// Moves every machine on, once a second.
#[derive(Debug)]
struct Clock {
    stop: Arc<(AtomicBool, Mutex<()>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Clock {
    fn start(nodes: Vec<Arc<SimNode>>) -> Result<Self, SimError> {
        let stop = Arc::new((AtomicBool::new(false), Mutex::new(()), Condvar::new()));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("sim-clock".to_owned())
            .spawn(move || {
                let (stop, lock, rung) = &*stopping;
                while !stop.load(Ordering::Relaxed) {
                    let now = now_ms() + BEFORE_THE_SECOND;
                    let wait = 1_000 - now.rem_euclid(1_000);
                    let held = lock.lock().unwrap_or_else(PoisonError::into_inner);
                    let pause = Duration::from_millis(wait.unsigned_abs());
                    drop(rung.wait_timeout_while(held, pause, |()| !stop.load(Ordering::Relaxed)));
                    let at = now_ms() + BEFORE_THE_SECOND;
                    let at = at - at.rem_euclid(1_000);
                    for node in &nodes {
                        node.go_on(at);
                    }
                }
            });
        let thread = thread.map_err(|source| SimError::Threads {
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
