//! One simulated cluster for all tests that want real agents: a photograph of three nodes with four GPUs each and half an
//! hour of history. It lives as long as a test holds it, on a runtime of its own: a test's runtime ends with the test.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use podscope_sim::{SimCluster, SimOptions};
use serde_json::{Value, json};

/// A running cluster.
pub(crate) struct Cluster {
    cluster: Option<SimCluster>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Cluster {
    /// The `targets` of a data source.
    pub(crate) fn targets(&self) -> Vec<Value> {
        self.cluster
            .iter()
            .flat_map(SimCluster::targets)
            .map(|target| json!(target))
            .collect()
    }

    /// The end of its history.
    pub(crate) fn now_ms(&self) -> i64 {
        self.cluster.as_ref().map_or(0, SimCluster::started_ms)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let (cluster, runtime) = (self.cluster.take(), self.runtime.take());
        // A runtime must not be dropped by a task of another one.
        let ended = std::thread::spawn(move || {
            if let (Some(cluster), Some(runtime)) = (cluster, runtime) {
                runtime.block_on(cluster.stop());
            }
        })
        .join();
        if ended.is_err() {
            eprintln!("the simulated cluster did not stop in order");
        }
    }
}

static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

/// The cluster; started by whoever asks first.
pub(crate) async fn shared() -> Arc<Cluster> {
    tokio::task::spawn_blocking(|| {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cluster) = shared.upgrade() {
            return cluster;
        }
        let started = std::thread::spawn(start).join().expect("the cluster starts");
        *shared = Arc::downgrade(&started);
        started
    })
    .await
    .expect("the cluster starts")
}

fn start() -> Arc<Cluster> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let options = SimOptions {
        nodes: 3,
        gpus: 4,
        cpus: 4,
        backfill: Duration::from_secs(1800),
        live: false,
        sliced: true,
        ..SimOptions::default()
    };
    let cluster = runtime
        .block_on(SimCluster::start(options))
        .expect("a simulated cluster");
    Arc::new(Cluster {
        cluster: Some(cluster),
        runtime: Some(runtime),
    })
}
