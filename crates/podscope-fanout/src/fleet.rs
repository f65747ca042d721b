//! [`Fleet`]: PromQL over many leaves.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use podscope_model::leaf::{AgentApi, ApiError, ApiErrorKind};
use podscope_model::sample::Grid;
use podscope_model::scope::Scope;
use tokio::sync::Semaphore;

use crate::answer::{FleetAnswer, FleetQuery};
use crate::client::{HttpAgent, authority, build_client, parse_url};
use crate::coalesce::{Coalescer, Work};
use crate::config::{FleetConfig, TargetSpec};
use crate::error::FleetError;
use crate::leaf::InProcess;
use crate::lists::Lists;
use crate::node::Node;
use crate::pull::Puller;
use crate::query::run;

/// Many agents, asked as one. Cheap to clone; clones share connections, circuits and what is under way.
#[derive(Clone)]
pub struct Fleet {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    nodes: RwLock<Arc<[Arc<Node>]>>,
    /// A hub's own store, and its pair: they stay when the target list changes.
    fixed: Vec<Arc<Node>>,
    client: reqwest::Client,
    pub(crate) config: FleetConfig,
    pub(crate) puller: Puller,
    pub(crate) gate: Arc<Semaphore>,
    pub(crate) lists: Lists,
    pub(crate) queries: Coalescer<Key, Result<Arc<FleetAnswer>, FleetError>>,
}

/// What makes two queries the same. (The targets are the fleet's: another target list is another fleet.)
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    expr: String,
    grid: Grid,
    lookback_ms: i64,
    user: Option<Scope>,
    limits: [u64; 5],
    alert: bool,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Fleet")
            .field("targets", &self.inner.nodes().len())
            .finish_non_exhaustive()
    }
}

/// Whether an error of one leaf is the question's own fault, so that the whole query fails with it.
pub(crate) fn is_fatal(error: &ApiError) -> bool {
    matches!(error.kind, ApiErrorKind::BadData | ApiErrorKind::Limit)
}

impl Fleet {
    /// A fleet of HTTP agents. Connects lazily: this only checks the settings.
    ///
    /// # Errors
    /// [`FleetError::Config`] naming the target or setting that cannot be used.
    pub fn new(config: FleetConfig) -> Result<Self, FleetError> {
        Self::of(config, Vec::new())
    }

    /// A fleet of agents in this process, beside those of `config.targets`.
    ///
    /// # Errors
    /// [`FleetError::Config`].
    pub fn with_agents<A: AgentApi + 'static>(
        config: FleetConfig,
        agents: Vec<(TargetSpec, A)>,
    ) -> Result<Self, FleetError> {
        let timeout = config.timeout;
        let nodes = agents.into_iter().map(|(spec, agent)| {
            let place = spec.url.clone();
            Node::new(spec, place, timeout, Box::new(InProcess(agent)), false)
        });
        Self::of(config, nodes.collect())
    }

    /// A fleet of HTTP agents, and beside them other systems that answer as agents do, read in this process: their series
    /// and events are the fleet's, but they are no nodes: `up` and [`Fleet::inventory`] know nothing of them.
    ///
    /// # Errors
    /// [`FleetError::Config`].
    pub fn with_sources<A: AgentApi + 'static>(
        config: FleetConfig,
        sources: Vec<(TargetSpec, A)>,
    ) -> Result<Self, FleetError> {
        let timeout = config.timeout;
        let nodes = sources
            .into_iter()
            .map(|(spec, source)| Node::new_source(spec, timeout, Box::new(InProcess(source))));
        Self::of(config, nodes.collect())
    }

    pub(crate) fn of(config: FleetConfig, mut fixed: Vec<Arc<Node>>) -> Result<Self, FleetError> {
        if config.max_in_flight == 0 {
            return Err(FleetError::Config("max_in_flight must be at least 1".to_owned()));
        }
        let mut urls = config
            .targets
            .iter()
            .chain(&config.pair)
            .map(|target| &target.url);
        let https = config.expect_https || urls.any(|url| url.starts_with("https:"));
        let client = build_client(&config, https)?;
        if let Some(pair) = &config.pair {
            fixed.push(http_node(&client, &config, pair, true)?);
        }
        let gate = Arc::new(Semaphore::new(config.max_in_flight));
        let targets = config.targets.clone();
        let inner = Inner {
            nodes: RwLock::new(fixed.clone().into()),
            fixed,
            client,
            config,
            puller: Puller::default(),
            gate,
            lists: Lists::default(),
            queries: Coalescer::default(),
        };
        let fleet = Self {
            inner: Arc::new(inner),
        };
        fleet.set_targets(&targets)?;
        Ok(fleet)
    }

    /// Replaces the target list. Connections, circuits and what is known of targets that stay are kept.
    ///
    /// # Errors
    /// [`FleetError::Config`] naming the target that cannot be used; the list then stays as it was.
    pub fn set_targets(&self, targets: &[TargetSpec]) -> Result<(), FleetError> {
        let before = self.inner.nodes();
        let known: HashMap<&TargetSpec, &Arc<Node>> = before.iter().map(|node| (&node.spec, node)).collect();
        let mut listed: HashSet<&TargetSpec> = HashSet::with_capacity(targets.len());
        let mut nodes = self.inner.fixed.clone();
        for target in targets {
            // The same line twice is one target.
            if !listed.insert(target) {
                continue;
            }
            nodes.push(match known.get(target) {
                Some(node) => Arc::clone(node),
                None => http_node(&self.inner.client, &self.inner.config, target, false)?,
            });
        }
        *self.inner.nodes.write().unwrap_or_else(PoisonError::into_inner) = nodes.into();
        self.inner.lists.forget();
        Ok(())
    }

    /// The targets, as given.
    pub fn targets(&self) -> Vec<TargetSpec> {
        self.inner.nodes().iter().map(|node| node.spec.clone()).collect()
    }

    /// Requests under way now.
    pub fn in_flight(&self) -> usize {
        self.inner.config.max_in_flight - self.inner.gate.available_permits()
    }

    /// Askers of queries under way now; those who share one count each.
    pub fn waiting(&self) -> usize {
        self.inner.queries.waiting()
    }

    /// Evaluates one expression over the fleet. Identical queries under way share one answer; dropping the future
    /// cancels the work once nobody else waits for it.
    ///
    /// # Errors
    /// See [`FleetError`]. A leaf that does not answer is no error: [`Completeness`] names it.
    pub async fn query(&self, query: FleetQuery) -> Result<FleetAnswer, FleetError> {
        self.keep_inventories();
        let limits = query.limits.unwrap_or(self.inner.config.limits);
        let key = Key {
            expr: query.expr.clone(),
            grid: query.grid,
            lookback_ms: query.lookback_ms,
            user: query.user.clone(),
            limits: [
                limits.max_samples,
                limits.max_series,
                limits.max_cells,
                limits.max_bytes,
                limits.timeout_ms,
            ],
            alert: query.alert,
        };
        let begin = || -> Work<_> {
            let inner = Arc::clone(&self.inner);
            Box::pin(async move { run(&inner, query, limits).await.map(Arc::new) })
        };
        // The only waiter takes the answer, several share it by copies.
        self.inner
            .queries
            .share(key, begin)
            .await
            .map(Arc::unwrap_or_clone)
    }
}

fn http_node(
    client: &reqwest::Client,
    config: &FleetConfig,
    target: &TargetSpec,
    pair: bool,
) -> Result<Arc<Node>, FleetError> {
    let url = parse_url(&target.url)?;
    let place = authority(&url);
    let agent = HttpAgent::with_client(client.clone(), url, config);
    Ok(Node::new(
        target.clone(),
        place,
        config.timeout,
        Box::new(agent),
        pair,
    ))
}

impl Inner {
    /// Whoever may be asked now.
    pub(crate) fn nodes(&self) -> Arc<[Arc<Node>]> {
        Arc::clone(&self.nodes.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn timeout_ms(&self) -> u64 {
        u64::try_from(self.config.timeout.as_millis()).unwrap_or(u64::MAX)
    }
}
