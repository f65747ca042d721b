//! Keeping the inventories of all nodes: one task per fleet, which ends with it or when nobody asks any more.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::{Instant, sleep};

use crate::fleet::{Fleet, Inner};
use crate::node::Node;

/// Nodes asked at the same time; a fleet's inventories must not crowd out its queries.
const AT_ONCE: usize = 16;
/// Nobody waits for one inventory longer than this.
const PATIENCE: Duration = Duration::from_secs(3);
/// After this long without a query inventories are no longer kept.
const IDLE: Duration = Duration::from_secs(600);

/// Whether the task runs, and when somebody asked last.
#[derive(Debug, Default)]
pub(crate) struct Puller {
    running: AtomicBool,
    asked: Mutex<Option<Instant>>,
    /// Rounds finished, for whoever waits for the first.
    rounds: tokio::sync::watch::Sender<u64>,
}

/// Lets the task be begun again when it ends, however it ends.
struct Running(Weak<Inner>);

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(inner) = self.0.upgrade() {
            inner.puller.running.store(false, Ordering::SeqCst);
        }
    }
}

impl Fleet {
    /// Begins keeping the inventories, where the settings say so and it has not begun. Goes on while queries come.
    pub fn keep_inventories(&self) {
        let puller = &self.inner.puller;
        let Some(interval) = self.inner.config.inventory_interval else {
            return;
        };
        *puller.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        if !puller.running.swap(true, Ordering::SeqCst) {
            tokio::spawn(keep(Arc::downgrade(&self.inner), interval));
        }
    }

    /// Waits until every node was asked for its inventory once more.
    pub async fn inventories_pulled(&self) {
        let mut rounds = self.inner.puller.rounds.subscribe();
        let now = *rounds.borrow_and_update();
        self.keep_inventories();
        // The sender lives as long as the fleet.
        drop(rounds.wait_for(|round| *round > now).await);
    }
}

async fn keep(fleet: Weak<Inner>, interval: Duration) {
    let _running = Running(Weak::clone(&fleet));
    loop {
        let Some(inner) = fleet.upgrade() else { return };
        let asked = *inner.puller.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.is_none_or(|at| at.elapsed() > IDLE) {
            return;
        }
        round(&inner).await;
        inner.puller.rounds.send_modify(|round| *round += 1);
        drop(inner);
        sleep(interval).await;
    }
}

/// Asks every node that is not being probed.
async fn round(inner: &Arc<Inner>) {
    let timeout = inner.config.timeout.min(PATIENCE);
    let nodes: Vec<Arc<Node>> = inner
        .nodes()
        .iter()
        .filter(|node| !node.is_open())
        .map(Arc::clone)
        .collect();
    let pulls = nodes.into_iter().map(|node| {
        let inner = Arc::clone(inner);
        async move {
            let pulled = node.pull(&inner.gate, Instant::now() + timeout).await;
            if let Err(error) = &pulled {
                tracing::debug!(url = %node.spec.url, %error, "no inventory");
            }
            pulled.unwrap_or(false)
        }
    });
    let changed: Vec<bool> = futures_util::stream::iter(pulls)
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    if changed.contains(&true) {
        inner.lists.forget();
    }
}
