//! [`Relay`]: a fleet as one agent, which is what a hub is to whoever asks it. Questions come in as they come to an agent,
//! go to the leaves behind, and their answers are merged into one of the same shape.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use podscope_model::event::{EventAnswer, EventQuery, MAX_EVENTS};
use podscope_model::inventory::{Held, Inventory, LabelsAnswer, LabelsQuery, LeafEntry};
use podscope_model::jobs::{JobsAnswer, JobsQuery, MAX_JOBS};
use podscope_model::labels::Labels;
use podscope_model::leaf::{
    AgentApi, ApiError, ApiErrorKind, Behind, LeafAnswer, LeafQuery, LeafStats, LeafValue, Limits, NodeInfo,
    SeriesAnswer, SeriesQuery, Shape, Target,
};
use podscope_model::source::{Budget, Cancel};
use podscope_promql::Fragment;
use rustc_hash::FxHasher;
use tokio::time::Instant;

use crate::answer::{Completeness, SeriesRequest};
use crate::ask::{self, Gathered, Wanted};
use crate::asking::{Asking, LeafAnswers, size};
use crate::error::FleetError;
use crate::events::{EventsRequest, merge};
use crate::expected::covered_by_all;
use crate::fleet::{Fleet, Inner};
use crate::known::{NodeLabels, entry_labels};
use crate::node::hub_id;
use crate::route::Way;

/// A parent gives up after its own timeout; what is known by then must be on its way.
const MARGIN: Duration = Duration::from_millis(300);

/// A fleet that answers as one agent. `own` is the hub itself: an agent with a store of its own, which is one of the
/// fleet's nodes too.
#[derive(Clone, Debug)]
pub struct Relay<A> {
    fleet: Fleet,
    own: A,
    own_id: Arc<str>,
    own_name: Arc<str>,
    /// With the state of the nodes it was made from.
    made: Arc<Mutex<Option<(u64, Arc<Inventory>)>>>,
}

impl<A: AgentApi + Clone + 'static> Relay<A> {
    /// `fleet` holds `own` among its nodes. `leaf_id` and `instance` are `own`'s.
    pub fn new(fleet: Fleet, own: A, leaf_id: &str, instance: &str) -> Self {
        Self {
            fleet,
            own,
            own_id: Arc::from(leaf_id),
            own_name: Arc::from(instance),
            made: Arc::default(),
        }
    }

    /// The fleet behind it.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// Refuses a question meant for another hub (rule 2 of the design).
    fn check_target(&self, target: &Target) -> Result<(), ApiError> {
        if target.instance.is_empty() || *target.instance == *self.own_name {
            return Ok(());
        }
        Err(ApiError::new(
            ApiErrorKind::WrongInstance,
            format!(
                "this hub is {:?}, not {:?}: correct the name in the target list, or list hubs without a name",
                self.own_name, target.instance
            ),
        ))
    }

    fn behind(&self, completeness: &Completeness, missing_ids: Vec<String>) -> Behind {
        Behind {
            leaves_version: self.made_now().leaves_version.clone(),
            expected: completeness.expected as u64,
            answered: completeness.answered as u64,
            missing: completeness
                .missing
                .iter()
                .take(Behind::MAX_NAMED)
                .cloned()
                .collect(),
            missing_ids,
            coverage: Vec::new(),
        }
    }

    /// What lies behind, made anew when what is known of any node has changed.
    fn made_now(&self) -> Arc<Inventory> {
        let state = state_of(&self.fleet.inner);
        let mut kept = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, made)) = &*kept
            && *known == state
        {
            return Arc::clone(made);
        }
        let mut made = summary(&self.fleet.inner, &self.own_id, &self.own_name);
        made.stamp();
        let made = Arc::new(made);
        *kept = Some((state, Arc::clone(&made)));
        made
    }
}

/// Another number whenever a node or what is known of it is another.
fn state_of(inner: &Inner) -> u64 {
    let mut hasher = FxHasher::default();
    for node in inner.nodes().iter() {
        (Arc::as_ptr(node) as usize).hash(&mut hasher);
        node.leaf_id().hash(&mut hasher);
        if let Some(known) = node.known() {
            known.inventory.version.hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// A hub's inventory, not yet stamped: all leaves behind it and the union of their metrics.
fn summary(inner: &Arc<Inner>, own_id: &str, own_name: &str) -> Inventory {
    let mut metrics: BTreeMap<String, Held> = BTreeMap::new();
    let mut leaves: Vec<LeafEntry> = Vec::new();
    let mut oldest_ms = None;
    for node in inner.nodes().iter() {
        let known = node.known();
        if !node.pair {
            match &known {
                Some(known) if known.is_hub() => {
                    let hub = NodeLabels {
                        instance: None,
                        labels: &node.spec.labels,
                        outer: crate::node::NO_LABELS,
                    };
                    leaves.extend(known.inventory.leaves.iter().map(|leaf| {
                        let labels = entry_labels(leaf, hub);
                        let mut all = labels.outer.clone();
                        all.extend(leaf.labels.clone());
                        LeafEntry {
                            labels: all,
                            ..leaf.clone()
                        }
                    }));
                }
                _ => leaves.push(LeafEntry {
                    leaf_id: crate::route::id_of(node),
                    instance: node.instance(),
                    labels: node.spec.labels.clone(),
                }),
            }
        }
        let Some(known) = known else { continue };
        oldest_ms = match (oldest_ms, known.inventory.oldest_ms) {
            (Some(one), Some(other)) => Some(i64::min(one, other)),
            (one, other) => one.or(other),
        };
        for (name, held) in &known.inventory.metrics {
            if !metrics.contains_key(name) {
                metrics.insert(
                    name.clone(),
                    Held {
                        info: held.info.clone(),
                        shape: None,
                    },
                );
            }
        }
    }
    leaves.sort_unstable_by(|a, b| a.leaf_id.cmp(&b.leaf_id));
    leaves.dedup_by(|a, b| a.leaf_id == b.leaf_id);
    Inventory {
        version: String::new(),
        leaf_id: own_id.to_owned(),
        instance: own_name.to_owned(),
        oldest_ms,
        metrics,
        shapes: Vec::new(),
        leaves,
        leaves_version: String::new(),
    }
}

/// The time in which the leaves must answer, so that the hub's answer is in time.
fn time_for_leaves(limits: Limits, own: Duration) -> Duration {
    let whole = Duration::from_millis(limits.timeout_ms).min(own);
    whole - MARGIN.min(whole / 10)
}

fn api_error(error: FleetError) -> ApiError {
    ApiError::new(error.kind(), error.to_string())
}

impl<A: AgentApi + Clone + 'static> AgentApi for Relay<A> {
    async fn query(&self, query: LeafQuery) -> Result<LeafAnswer, ApiError> {
        self.check_target(&query.target)?;
        self.fleet.keep_inventories();
        let inner = &self.fleet.inner;
        let begun = Instant::now();
        let time = time_for_leaves(query.limits, inner.config.timeout);
        let limits = Limits {
            timeout_ms: u64::try_from(time.as_millis()).unwrap_or(u64::MAX),
            ..query.limits
        };
        let mut answer = LeafAnswer {
            leaf_id: hub_id(&self.own_id),
            instance: self.own_name.to_string(),
            grid: query.grid,
            value: LeafValue::None,
            covered: Vec::new(),
            annotations: Vec::new(),
            stats: LeafStats::default(),
            behind: None,
        };
        let outer = Arc::new(query.target.labels);
        if query.shape == Shape::Coverage {
            let window = (query.grid.start_ms, query.grid.end_ms);
            let coverage = covered_by_all(inner, window, begun + time, limits, (&outer, &query.route)).await;
            let count = coverage.len() as u64;
            let silent = coverage.iter().filter(|leaf| leaf.silent.is_some()).count() as u64;
            let mut behind = self.behind(&Completeness::default(), Vec::new());
            (behind.expected, behind.answered) = (count, count - silent);
            behind.coverage = coverage;
            answer.behind = Some(Box::new(behind));
            return Ok(answer);
        }
        let cancel = Cancel::default();
        let _stop = crate::query::CancelOnDrop(cancel.clone());
        let budget = Arc::new(Budget::of(&query.limits, cancel));
        let selectors = selectors_of(&query.expr)?;
        let fragment = Fragment {
            expr: query.expr,
            shape: query.shape,
            grid: query.grid,
            selectors,
        };
        let selectors = fragment.selectors.clone();
        let (expr, shape) = (fragment.expr.clone(), fragment.shape);
        let asking = Asking {
            fragments: Arc::new(vec![fragment]),
            lookback_ms: query.lookback_ms,
            user: query.user,
            limits,
            gate: Arc::clone(&inner.gate),
            deadline: begun + time,
            outer: Arc::clone(&outer),
            budget: Arc::clone(&budget),
        };
        let wanted = Wanted {
            parts: vec![&selectors],
            outer: &outer,
            route: &query.route,
            done: rustc_hash::FxHashSet::default(),
        };
        let job = move |way: Way| asking.clone().of(way);
        let Gathered {
            kept,
            completeness,
            missing_ids,
            ..
        } = ask::gather(inner, &wanted, begun + time, job, ask::refusals)
            .await
            .map_err(|(node, error)| {
                ApiError::new(error.kind, format!("{}: {}", node.instance(), error.message))
            })?;
        let mut values = Vec::with_capacity(kept.len());
        for (_, LeafAnswers(answers)) in kept {
            for one in answers.into_iter().flatten() {
                answer.stats.samples_read += one.value.stats.samples_read;
                answer.annotations.extend(one.value.annotations);
                values.push(one.value.value);
            }
        }
        answer.annotations.sort();
        answer.annotations.dedup();
        let merging = tokio::task::spawn_blocking(move || {
            podscope_promql::merge_leaf_values(&expr, shape, values, &budget)
        });
        answer.value = merging
            .await
            .map_err(|_| api_error(FleetError::RootStopped))?
            .map_err(|error| api_error(error.into()))?;
        answer.stats.series_out = size(&answer.value).0;
        answer.stats.elapsed_us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        answer.behind = Some(Box::new(self.behind(&completeness, missing_ids)));
        Ok(answer)
    }

    async fn series(&self, query: SeriesQuery) -> Result<SeriesAnswer, ApiError> {
        self.check_target(&query.target)?;
        self.fleet.keep_inventories();
        let request = request(query.selectors, (query.start_ms, query.end_ms), query.user);
        let gathered = self
            .fleet
            .inner
            .series_of(&request, &query.target.labels, &query.route)
            .await
            .map_err(api_error)?;
        let mut series: Vec<Labels> = gathered
            .kept
            .into_iter()
            .flat_map(|(_, answer)| answer.series)
            .collect();
        series.sort_unstable();
        series.dedup();
        Ok(SeriesAnswer {
            leaf_id: hub_id(&self.own_id),
            instance: self.own_name.to_string(),
            series,
            behind: Some(Box::new(
                self.behind(&gathered.completeness, gathered.missing_ids),
            )),
        })
    }

    async fn events(&self, query: EventQuery) -> Result<EventAnswer, ApiError> {
        self.check_target(&query.target)?;
        let limit = query.limit.clamp(1, MAX_EVENTS);
        let request = EventsRequest {
            filter: query.filter,
            start_ms: query.start_ms,
            end_ms: query.end_ms,
            limit,
            stored_after_ms: query.stored_after_ms,
            user: query.user,
        };
        let gathered = self
            .fleet
            .inner
            .events_of(request, &query.target.labels)
            .await
            .map_err(api_error)?;
        let (mut truncated, mut now_ms) = (false, i64::MAX);
        let mut lists = Vec::with_capacity(gathered.kept.len());
        for (_, answer) in gathered.kept {
            truncated |= answer.truncated;
            // The slowest clock: what it has taken since is asked for again, and known by its id.
            now_ms = now_ms.min(answer.now_ms);
            lists.push(answer.events);
        }
        let (events, cut) = merge(lists, limit as usize);
        Ok(EventAnswer {
            leaf_id: hub_id(&self.own_id),
            instance: self.own_name.to_string(),
            events,
            truncated: truncated || cut,
            now_ms,
        })
    }

    async fn jobs(&self, query: JobsQuery) -> Result<JobsAnswer, ApiError> {
        self.check_target(&query.target)?;
        self.fleet.keep_inventories();
        let limit = query.limit.clamp(1, MAX_JOBS) as usize;
        let labels = query.target.labels.clone();
        let gathered = self
            .fleet
            .inner
            .jobs_of(query, &labels)
            .await
            .map_err(api_error)?;
        let mut all = JobsAnswer {
            leaf_id: hub_id(&self.own_id),
            instance: self.own_name.to_string(),
            cluster: String::new(),
            as_of_ms: None,
            error: None,
            jobs: Vec::new(),
            truncated: false,
        };
        for (_, answer) in gathered.kept {
            if !all.cluster.is_empty() && !answer.cluster.is_empty() {
                all.cluster.push_str(", ");
            }
            all.cluster.push_str(&answer.cluster);
            // The oldest of them.
            all.as_of_ms = match (all.as_of_ms, answer.as_of_ms) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
            all.error = all.error.or(answer.error);
            all.truncated |= answer.truncated;
            all.jobs.extend(answer.jobs);
        }
        all.truncated |= all.jobs.len() > limit;
        all.jobs.truncate(limit);
        Ok(all)
    }

    async fn info(&self) -> Result<NodeInfo, ApiError> {
        let mut info = self.own.info().await?;
        // The parent tells a hub from its own store by the id.
        info.leaf_id = hub_id(&info.leaf_id);
        info.metrics = self
            .made_now()
            .metrics
            .iter()
            .map(|(name, held)| (name.clone(), held.info.clone()))
            .collect();
        Ok(info)
    }

    async fn labels(&self, query: LabelsQuery) -> Result<LabelsAnswer, ApiError> {
        self.check_target(&query.target)?;
        self.fleet.keep_inventories();
        let request = request(query.selectors, (query.start_ms, query.end_ms), query.user);
        let (values, completeness) = self
            .fleet
            .inner
            .labels_for(
                query.name.as_deref(),
                &request,
                &query.target.labels,
                &query.route,
            )
            .await
            .map_err(api_error)?;
        Ok(LabelsAnswer {
            leaf_id: hub_id(&self.own_id),
            instance: self.own_name.to_string(),
            values,
            behind: Some(Box::new(self.behind(&completeness, Vec::new()))),
        })
    }

    async fn inventory(&self, known: Option<String>) -> Result<Option<Arc<Inventory>>, ApiError> {
        self.fleet.keep_inventories();
        let made = self.made_now();
        Ok((known.as_deref() != Some(made.version.as_str())).then_some(made))
    }
}

fn request(
    selectors: Vec<Vec<podscope_model::matcher::Matcher>>,
    (start_ms, end_ms): (i64, i64),
    user: Option<podscope_model::scope::Scope>,
) -> SeriesRequest {
    SeriesRequest {
        selectors,
        start_ms,
        end_ms,
        user,
    }
}

fn selectors_of(expr: &str) -> Result<Vec<Vec<podscope_model::matcher::Matcher>>, ApiError> {
    podscope_promql::parse(expr)
        .map(|parsed| parsed.selectors())
        .map_err(|error| ApiError::new(ApiErrorKind::BadData, error.to_string()))
}
