//! [`Fleet`]: PromQL over many leaves.

use std::fmt;
use std::sync::Arc;

use podscope_model::leaf::{AgentApi, ApiError, ApiErrorKind};
use podscope_model::sample::Grid;
use podscope_model::scope::Scope;
use tokio::sync::Semaphore;

use crate::answer::{FleetAnswer, FleetQuery};
use crate::client::{HttpAgent, authority, build_client, parse_url};
use crate::coalesce::{Coalescer, Work};
use crate::config::{FleetConfig, TargetSpec};
use crate::error::FleetError;
use crate::inventory::Lists;
use crate::leaf::{InProcess, Leaf};
use crate::node::Node;
use crate::query::run;

/// Many agents, asked as one. Cheap to clone; clones share connections, circuits and what is under way.
#[derive(Clone)]
pub struct Fleet {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) nodes: Vec<Arc<Node>>,
    pub(crate) config: FleetConfig,
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
    limits: (u64, u64, u64),
    alert: bool,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Fleet")
            .field("targets", &self.inner.nodes.len())
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
        let mut urls = Vec::with_capacity(config.targets.len());
        for target in &config.targets {
            urls.push(parse_url(&target.url)?);
        }
        let client = build_client(&config, urls.iter().any(|url| url.scheme() == "https"))?;
        let mut leaves: Vec<(TargetSpec, String, Box<dyn Leaf>)> = Vec::with_capacity(urls.len());
        for (target, url) in config.targets.iter().zip(urls) {
            // The same line twice is one target.
            if leaves.iter().any(|(known, _, _)| known == target) {
                continue;
            }
            let place = authority(&url);
            let agent = HttpAgent::with_client(client.clone(), url, &config);
            leaves.push((target.clone(), place, Box::new(agent)));
        }
        Self::of(config, leaves)
    }

    /// A fleet of agents in this process; `config.targets` is ignored in favour of the pairs.
    ///
    /// # Errors
    /// [`FleetError::Config`].
    pub fn with_agents<A: AgentApi + 'static>(
        config: FleetConfig,
        agents: Vec<(TargetSpec, A)>,
    ) -> Result<Self, FleetError> {
        let leaves = agents.into_iter().map(|(spec, agent)| {
            let place = spec.url.clone();
            (spec, place, Box::new(InProcess(agent)) as Box<dyn Leaf>)
        });
        Self::of(config, leaves.collect())
    }

    fn of(config: FleetConfig, leaves: Vec<(TargetSpec, String, Box<dyn Leaf>)>) -> Result<Self, FleetError> {
        if config.max_in_flight == 0 {
            return Err(FleetError::Config("max_in_flight must be at least 1".to_owned()));
        }
        let nodes = leaves
            .into_iter()
            .map(|(spec, place, leaf)| Node::new(spec, place, config.timeout, leaf))
            .collect();
        let gate = Arc::new(Semaphore::new(config.max_in_flight));
        let inner = Inner {
            nodes,
            config,
            gate,
            lists: Lists::default(),
            queries: Coalescer::default(),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The targets, as given.
    pub fn targets(&self) -> impl Iterator<Item = &TargetSpec> {
        self.inner.nodes.iter().map(|node| &node.spec)
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
        let limits = query.limits.unwrap_or(self.inner.config.limits);
        let key = Key {
            expr: query.expr.clone(),
            grid: query.grid,
            lookback_ms: query.lookback_ms,
            user: query.user.clone(),
            limits: (limits.max_samples, limits.max_series, limits.timeout_ms),
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

impl Inner {
    pub(crate) fn timeout_ms(&self) -> u64 {
        u64::try_from(self.config.timeout.as_millis()).unwrap_or(u64::MAX)
    }
}
