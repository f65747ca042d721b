//! A whole pod under a scenario: its nodes as agents whose past is filled and whose time goes on, fed by the model.
//!
//! There are many nodes and one machine to simulate them on: rows lie ten seconds apart, and instead of a thread per
//! collector one thread lives all nodes through each ten seconds.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use podscope_agent::AgentState;
use podscope_agent::driver::Driver;
use tempfile::TempDir;

use crate::cluster::{SimError, SimTarget, now_ms, on_all_cores};
use crate::hub::PodHub;
use crate::machine::Machine;
use crate::node::{Plan, SimNode};
use crate::noise::hash;
use crate::pod::{Pod, Scenario};
use crate::schedule::Stretch;
use crate::service::InferenceServer;
use crate::trouble::Troubles;
use crate::workload::Workload;

/// Seconds between rows, in the living pod and in its recent past.
const ROW_MS: i64 = 10_000;
/// Rows younger than this many seconds are this many milliseconds apart: rates over a minute need two rows in it, and the
/// incident is younger than five hours.
const DENSITY: [(i64, i64); 3] = [(600, ROW_MS), (5 * 3_600, 30_000), (i64::MAX, 60_000)];

/// What can be chosen about a pod.
#[derive(Clone, Debug)]
pub struct PodOptions {
    pub scenario: Scenario,
    /// How much of the past is filled.
    pub backfill: Duration,
    /// Where histories lie. `None`: in a temporary folder that goes with the pod.
    pub data_dir: Option<PathBuf>,
    /// Node `i` listens on this port plus `i`; 0: on free ports.
    pub base_port: u16,
    /// CPUs per node.
    pub cpus: u32,
    /// Whether time goes on.
    pub live: bool,
    /// Whether the change that is the cause is on the timeline. Where nobody announced it, it is still a setting of the
    /// storage cluster.
    pub announced: bool,
    /// The hub listens on this port; 0: on a free one.
    pub hub_port: u16,
    /// The storage cluster's management server listens on this port; 0: on a free one.
    pub vms_port: u16,
}

impl PodOptions {
    /// A living pod with a day of history.
    pub fn new(scenario: Scenario) -> Self {
        Self {
            scenario,
            backfill: Duration::from_secs(24 * 3_600),
            data_dir: None,
            base_port: 0,
            cpus: 8,
            live: true,
            announced: true,
            hub_port: 0,
            vms_port: 0,
        }
    }
}

type Filled = (Arc<SimNode>, TcpListener, Arc<AgentState>, Vec<Driver>);

/// A running pod. Call [`SimPod::stop`].
#[derive(Debug)]
pub struct SimPod {
    pod: Arc<Pod>,
    nodes: Vec<Arc<SimNode>>,
    life: Option<Life>,
    hub: PodHub,
    started_ms: i64,
    backfilled: Duration,
    _folder: Option<TempDir>,
}

impl SimPod {
    /// Runs the model, fills the nodes' past, serves, and with `live` lets time go on. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// See [`SimError`]; nothing is left running.
    pub async fn start(options: PodOptions) -> Result<Self, SimError> {
        let (folder, dir) = match &options.data_dir {
            Some(dir) => (None, dir.clone()),
            None => {
                let folder = tempfile::Builder::new()
                    .prefix("podscope-pod-")
                    .tempdir()
                    .map_err(SimError::DataDir)?;
                let dir = folder.path().to_path_buf();
                (Some(folder), dir)
            }
        };
        let began = Instant::now();
        let live = options.live;
        let backfill_ms = i64::try_from(options.backfill.as_millis()).unwrap_or(i64::MAX);
        let (announced, hub_port, hub_dir) = (options.announced, options.hub_port, dir.join("hub"));
        let vms_port = options.vms_port;
        let filled = tokio::task::spawn_blocking(move || fill(options, &dir)).await;
        let (pod, filled, started_ms) = filled.map_err(|_| SimError::Backfill)??;
        let backfilled = began.elapsed();
        let from_ms = (started_ms - backfill_ms).max(pod.began_ms());
        let mut nodes = Vec::with_capacity(filled.len());
        let mut driven = Vec::with_capacity(filled.len());
        for (node, listener, state, drivers) in filled {
            node.start(listener, (state, Vec::new()))?;
            nodes.push(Arc::clone(&node));
            driven.push((node, drivers));
        }
        let hub = PodHub::start(
            &pod,
            &hub_dir,
            (hub_port, vms_port),
            announced,
            (from_ms, started_ms),
        )
        .await?;
        let life = live.then(|| Life::start(driven)).transpose()?;
        Ok(Self {
            pod,
            nodes,
            life,
            hub,
            started_ms,
            backfilled,
            _folder: folder,
        })
    }

    /// What happens in it.
    pub fn pod(&self) -> &Arc<Pod> {
        &self.pod
    }

    /// Where the nodes can be asked, and last the hub.
    pub fn targets(&self) -> Vec<SimTarget> {
        let nodes = self.nodes.iter().map(|node| node.target());
        nodes.chain([self.hub.target()]).collect()
    }

    /// The agent that holds the pod's events and pod-level series.
    pub fn hub(&self) -> &PodHub {
        &self.hub
    }

    pub fn nodes(&self) -> &[Arc<SimNode>] {
        &self.nodes
    }

    /// The end of the filled past, in milliseconds since 1970.
    pub fn started_ms(&self) -> i64 {
        self.started_ms
    }

    /// How long the model and filling the past took.
    pub fn backfilled_in(&self) -> Duration {
        self.backfilled
    }

    /// The control through which troubles begin and end; see [`crate::control`].
    pub fn control(&self) -> axum::Router {
        crate::control::router(self.nodes.clone().into())
    }

    /// Stops time and servers, and closes the histories.
    pub async fn stop(mut self) {
        let (life, nodes) = (self.life.take(), std::mem::take(&mut self.nodes));
        let stopped = tokio::task::spawn_blocking(move || {
            drop(life);
            for node in &nodes {
                node.stop();
            }
        });
        if stopped.await.is_err() {
            tracing::error!("stopping the simulated pod was interrupted");
        }
        self.hub.stop().await;
    }
}

fn fill(options: PodOptions, dir: &Path) -> Result<(Arc<Pod>, Vec<Filled>, i64), SimError> {
    let started_ms = {
        let anchor = options.scenario.clock.anchor_ms;
        anchor - anchor.rem_euclid(ROW_MS)
    };
    let seed = options.scenario.seed;
    let pod = Arc::new(Pod::new(options.scenario));
    let backfill_ms = i64::try_from(options.backfill.as_millis()).unwrap_or(i64::MAX);
    let origin_ms = (started_ms - backfill_ms - 1_000).max(pod.began_ms());
    let workload = Arc::new(Workload::of_pod(Arc::clone(&pod), origin_ms));
    let topology = pod.topology();
    let mut filled = Vec::with_capacity(topology.nodes());
    for index in 0..topology.nodes() {
        let name = topology.node_name(index);
        let size = (options.cpus, topology.gpus() as u32);
        let machine = Machine::new(seed, index, &name, size, Arc::clone(&workload), origin_ms);
        let server =
            (!workload.serving(index).is_empty()).then(|| InferenceServer::new(hash(seed, 3, index as u64)));
        let labels: BTreeMap<String, String> = [
            ("cluster", topology.cluster().to_owned()),
            ("pod", topology.pod().to_owned()),
            ("rack", topology.rack(index)),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        let plan = Plan {
            name,
            labels,
            machine,
            server,
            troubles: Troubles::new(&[], index, topology.gpus()),
            dir,
            port: match options.base_port {
                0 => 0,
                base => base + index as u16,
            },
            live: false,
        };
        let (node, listener) = SimNode::new(plan)?;
        let node = Arc::new(node);
        let (state, drivers) = node.collectors();
        for driver in &drivers {
            let own = i64::try_from(driver.stream().interval_ms()).unwrap_or(ROW_MS);
            driver.stream().set_interval_ms(own.max(ROW_MS).unsigned_abs());
        }
        filled.push((node, listener, state, drivers));
    }
    let past = stretches(started_ms, backfill_ms.min(started_ms - origin_ms));
    on_all_cores(&mut filled, |(node, _, _, drivers)| {
        for stretch in &past {
            node.pass(*stretch, drivers);
        }
        if let Err(error) = node.history().seal() {
            tracing::warn!(node = node.instance(), %error, "the filled past could not be sealed");
        }
    });
    Ok((pod, filled, started_ms))
}

/// The past, oldest first.
fn stretches(to_ms: i64, backfill_ms: i64) -> Vec<Stretch> {
    let oldest = to_ms - backfill_ms;
    let mut end = to_ms;
    let mut list = Vec::new();
    for (age, step_ms) in DENSITY {
        let from_ms = to_ms.saturating_sub(age.saturating_mul(1_000)).max(oldest);
        if from_ms < end {
            list.push(Stretch {
                from_ms,
                to_ms: end,
                step_ms,
            });
            end = from_ms;
        }
    }
    list.reverse();
    list
}

/// Lets time go on.
#[derive(Debug)]
struct Life {
    stop: Arc<(AtomicBool, Mutex<()>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Life {
    fn start(mut nodes: Vec<(Arc<SimNode>, Vec<Driver>)>) -> Result<Self, SimError> {
        let stop = Arc::new((AtomicBool::new(false), Mutex::new(()), Condvar::new()));
        let stopping = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("sim-pod".to_owned())
            .spawn(move || {
                let (stop, lock, rung) = &*stopping;
                while !stop.load(Ordering::Relaxed) {
                    // Filling took a while of the present: what has passed since is caught up with first.
                    let now = now_ms();
                    on_all_cores(&mut nodes, |(node, drivers)| {
                        let stretch = Stretch {
                            from_ms: node.at_ms(),
                            to_ms: now,
                            step_ms: ROW_MS,
                        };
                        node.pass(stretch, drivers);
                    });
                    let now = now_ms();
                    let wait = (ROW_MS - now.rem_euclid(ROW_MS)).unsigned_abs();
                    let held = lock.lock().unwrap_or_else(PoisonError::into_inner);
                    let pause = Duration::from_millis(wait);
                    drop(rung.wait_timeout_while(held, pause, |()| !stop.load(Ordering::Relaxed)));
                }
            });
        let thread = thread.map_err(|source| SimError::Threads {
            node: "the pod".to_owned(),
            source,
        })?;
        Ok(Self {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Life {
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
