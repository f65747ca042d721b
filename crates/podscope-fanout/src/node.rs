//! One target with its circuit: after a few misses in a row it is no longer asked, only probed, until it answers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use podscope_model::leaf::{ApiError, ApiErrorKind, Target};
use podscope_model::matcher::Matcher;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::config::TargetSpec;
use crate::known::{Known, NodeLabels};
use crate::leaf::{Leaf, LeafFailure, LeafFuture, Weighed};

/// Misses in a row that open the circuit.
const MISSES_TO_OPEN: u32 = 3;
/// The first probe goes out at once: a healthy agent that was only asked too much is back within milliseconds.
const PROBE_FIRST: Duration = Duration::from_millis(500);
const PROBE_SLOWEST: Duration = Duration::from_secs(10);

/// One target.
pub(crate) struct Node {
    pub(crate) spec: TargetSpec,
    /// Host and port of the URL: its name until it is known by another.
    authority: String,
    timeout: Duration,
    leaf: Box<dyn Leaf>,
    /// The other hub of a pair: asked only for what is not reached otherwise.
    pub(crate) pair: bool,
    /// Another system's series, read in this process: no node of the fleet, so that there is no `up` of it.
    pub(crate) source: bool,
    state: Mutex<State>,
    known: RwLock<Option<Arc<Known>>>,
}

/// Labels of a hub's parent, where there is none.
pub(crate) const NO_LABELS: &BTreeMap<String, String> = &BTreeMap::new();

#[derive(Default)]
struct State {
    misses: u32,
    /// Why the circuit is open.
    open: Option<String>,
    /// What the agent last called itself, and the id of its store.
    name: Option<String>,
    leaf_id: Option<String>,
}

/// A leaf's answer and how long it took.
#[derive(Debug)]
pub(crate) struct Timed<T> {
    pub(crate) value: T,
    pub(crate) bytes: u64,
    pub(crate) elapsed: Duration,
}

impl fmt::Debug for Node {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Node")
            .field("spec", &self.spec)
            .finish_non_exhaustive()
    }
}

impl Node {
    pub(crate) fn new(
        spec: TargetSpec,
        authority: String,
        timeout: Duration,
        leaf: Box<dyn Leaf>,
        pair: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            spec,
            authority,
            timeout,
            leaf,
            pair,
            source: false,
            state: Mutex::default(),
            known: RwLock::default(),
        })
    }

    /// Another system's series.
    pub(crate) fn new_source(spec: TargetSpec, timeout: Duration, leaf: Box<dyn Leaf>) -> Arc<Self> {
        Arc::new(Self {
            authority: spec.url.clone(),
            spec,
            timeout,
            leaf,
            pair: false,
            source: true,
            state: Mutex::default(),
            known: RwLock::default(),
        })
    }

    /// What is known of it beforehand.
    pub(crate) fn known(&self) -> Option<Arc<Known>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it is not asked now.
    pub(crate) fn is_open(&self) -> bool {
        self.state().open.is_some()
    }

    /// Brings what is known up to date. Answers whether it changed.
    pub(crate) async fn pull(
        self: &Arc<Self>,
        gate: &Semaphore,
        deadline: Instant,
    ) -> Result<bool, ApiError> {
        let version = self.known().map(|known| known.inventory.version.clone());
        let Ok(Ok(_permit)) = timeout_at(deadline, gate.acquire()).await else {
            return Err(ApiError::new(ApiErrorKind::Timeout, "not asked in time"));
        };
        let answer = match timeout_at(deadline, self.leaf.inventory(version)).await {
            Ok(answer) => answer.map_err(|failure| failure.error)?.value,
            Err(_) => return Err(ApiError::new(ApiErrorKind::Timeout, "no answer in time")),
        };
        let Some(inventory) = answer else {
            return Ok(false);
        };
        let leaf_id = match inventory.leaves.is_empty() {
            true => inventory.leaf_id.clone(),
            false => hub_id(&inventory.leaf_id),
        };
        self.check_identity(&inventory.instance, &leaf_id)?;
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(Known { inventory }));
        Ok(true)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name for errors and `up`: the target list's, else the agent's own once known, else host and port.
    pub(crate) fn instance(&self) -> String {
        match &self.spec.instance {
            Some(name) => name.clone(),
            None => self
                .state()
                .name
                .clone()
                .unwrap_or_else(|| self.authority.clone()),
        }
    }

    /// The id of the store behind it, once known.
    pub(crate) fn leaf_id(&self) -> Option<String> {
        self.state().leaf_id.clone()
    }

    /// Who we ask for; `outer`: the labels that the hub's parent gives.
    pub(crate) fn target(&self, outer: &BTreeMap<String, String>) -> Target {
        let mut labels = self.spec.labels.clone();
        for (name, value) in outer {
            labels.entry(name.clone()).or_insert_with(|| value.clone());
        }
        Target {
            instance: self.spec.instance.clone().unwrap_or_default(),
            labels,
        }
    }

    /// Whether a series any of the selectors wants can lie here. Before its inventory is known only `instance` is certain:
    /// a series may bring labels of its own under a node label's name.
    pub(crate) fn can_match(&self, selectors: &[Vec<Matcher>], outer: &BTreeMap<String, String>) -> bool {
        let known = self.known();
        let node = NodeLabels {
            instance: self.spec.instance.as_deref(),
            labels: &self.spec.labels,
            outer,
        };
        match known {
            Some(known) if known.is_hub() => known.can_match(node, selectors),
            Some(known) => {
                let instance = node.instance.or(Some(known.inventory.instance.as_str()));
                known.can_match(NodeLabels { instance, ..node }, selectors)
            }
            None => selectors.is_empty() || selectors.iter().any(|matchers| !node.excludes(matchers)),
        }
    }

    /// Notes who answered, and refuses an answer of somebody else (rule 2 of the design).
    pub(crate) fn check_identity(&self, instance: &str, leaf_id: &str) -> Result<(), ApiError> {
        if let Some(expected) = &self.spec.instance
            && expected != instance
        {
            return Err(ApiError::new(
                ApiErrorKind::WrongInstance,
                format!(
                    "the agent there calls itself {instance:?}, the target list calls it {expected:?}; correct the \
                     URL or the instance name"
                ),
            ));
        }
        let mut state = self.state();
        if state.name.as_deref() != Some(instance) {
            state.name = Some(instance.to_owned());
        }
        if state.leaf_id.as_deref() != Some(leaf_id) {
            state.leaf_id = Some(leaf_id.to_owned());
        }
        Ok(())
    }

    /// Asks the leaf, unless its circuit is open.
    pub(crate) async fn ask<T>(
        self: &Arc<Self>,
        gate: &Semaphore,
        deadline: Instant,
        question: impl FnOnce(&dyn Leaf) -> LeafFuture<'_, T>,
    ) -> Result<Timed<T>, ApiError> {
        if let Some(reason) = self.state().open.clone() {
            return Err(ApiError::new(
                ApiErrorKind::Unreachable,
                format!(
                    "not asked, because it failed {MISSES_TO_OPEN} times in a row and is being probed: {reason}"
                ),
            ));
        }
        self.ask_regardless(gate, deadline, question).await
    }

    /// Asks the leaf even when its circuit is open.
    pub(crate) async fn ask_regardless<T>(
        self: &Arc<Self>,
        gate: &Semaphore,
        deadline: Instant,
        question: impl FnOnce(&dyn Leaf) -> LeafFuture<'_, T>,
    ) -> Result<Timed<T>, ApiError> {
        // The gate is never closed, so that only the deadline can end the wait.
        let Ok(Ok(_permit)) = timeout_at(deadline, gate.acquire()).await else {
            return Err(ApiError::new(
                ApiErrorKind::Timeout,
                "not asked in time, because too many requests were under way; raise the timeout, or put hubs before \
                 the agents",
            ));
        };
        let started = Instant::now();
        let answer = match timeout_at(deadline, question(self.leaf.as_ref())).await {
            Ok(answer) => answer,
            Err(_) => Err(LeafFailure::miss(
                ApiErrorKind::Timeout,
                format!(
                    "no answer within {:.1} s; the agent or its network hangs or the query is too heavy for it: ask \
                     for less, or raise the timeout",
                    started.elapsed().as_secs_f64()
                ),
            )),
        };
        match answer {
            Ok(Weighed { value, bytes }) => {
                self.state().misses = 0;
                Ok(Timed {
                    value,
                    bytes,
                    elapsed: started.elapsed(),
                })
            }
            Err(failure) => {
                self.count(&failure);
                Err(failure.error)
            }
        }
    }

    /// Counts a failure, and opens the circuit when there were too many.
    fn count(self: &Arc<Self>, failure: &LeafFailure) {
        let mut state = self.state();
        if !failure.miss {
            state.misses = 0;
            return;
        }
        state.misses = state.misses.saturating_add(1);
        if state.misses >= MISSES_TO_OPEN && state.open.is_none() {
            tracing::warn!(url = %self.spec.url, reason = %failure.error, "agent is no longer asked until it answers a probe");
            state.open = Some(failure.error.message.clone());
            tokio::spawn(probe(Arc::downgrade(self), self.timeout));
        }
    }

    fn close(&self) {
        let mut state = self.state();
        state.open = None;
        state.misses = 0;
        tracing::info!(url = %self.spec.url, "agent answers again");
    }
}

/// How a hub is told apart from its own store.
pub(crate) fn hub_id(leaf_id: &str) -> String {
    format!("hub:{leaf_id}")
}

/// Asks a silent leaf who it is, ever more slowly, until it answers or its fleet is gone.
async fn probe(node: Weak<Node>, timeout: Duration) {
    let mut pause = PROBE_FIRST;
    loop {
        let Some(strong) = node.upgrade() else { return };
        let answer = tokio::time::timeout(timeout, strong.leaf.info()).await;
        match answer {
            Ok(Ok(_)) => return strong.close(),
            Ok(Err(failure)) if !failure.miss => return strong.close(),
            Ok(Err(failure)) => strong.state().open = Some(failure.error.message),
            Err(_) => {}
        }
        drop(strong);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PROBE_SLOWEST);
    }
}

#[cfg(test)]
mod tests {
    use podscope_model::inventory::{Inventory, LabelsAnswer, LabelsQuery};
    use podscope_model::leaf::{LeafAnswer, LeafQuery, NodeInfo, SeriesAnswer, SeriesQuery};

    use super::*;

    /// Never answers.
    struct Dead;

    fn dead<'a, T: 'a>() -> LeafFuture<'a, T> {
        Box::pin(async { Err(LeafFailure::miss(ApiErrorKind::Unreachable, "dead")) })
    }

    impl Leaf for Dead {
        fn query(&self, _: LeafQuery) -> LeafFuture<'_, LeafAnswer> {
            dead()
        }

        fn series(&self, _: SeriesQuery) -> LeafFuture<'_, SeriesAnswer> {
            dead()
        }

        fn info(&self) -> LeafFuture<'_, NodeInfo> {
            dead()
        }

        fn labels(&self, _: LabelsQuery) -> LeafFuture<'_, LabelsAnswer> {
            dead()
        }

        fn inventory(&self, _: Option<String>) -> LeafFuture<'_, Option<Arc<Inventory>>> {
            dead()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_goes_on_while_its_fleet_lives_and_ends_with_it() {
        let node = Node::new(
            TargetSpec::new("http://a:1"),
            "a:1".to_owned(),
            PROBE_SLOWEST,
            Box::new(Dead),
            false,
        );
        let probing = tokio::spawn(probe(Arc::downgrade(&node), PROBE_SLOWEST));
        tokio::time::sleep(PROBE_SLOWEST * 10).await;
        assert!(!probing.is_finished());
        assert_eq!(node.state().open.as_deref(), Some("dead"));
        drop(node);
        tokio::time::timeout(PROBE_SLOWEST * 2, probing)
            .await
            .expect("it ends")
            .expect("without a panic");
    }
}
