//! The agent API over one management server.

use std::sync::Arc;
use std::time::Instant;

use podscope_model::event::{EventAnswer, EventQuery, MAX_EVENTS};
use podscope_model::inventory::{Held, Inventory, LabelsAnswer, LabelsQuery};
use podscope_model::labels::Labels;
use podscope_model::leaf::{
    AgentApi, ApiError, ApiErrorKind, CollectorInfo, CollectorState, LeafAnswer, LeafQuery, LeafStats,
    LeafValue, NodeInfo, SeriesAnswer, SeriesQuery, Shape, Target,
};
use podscope_model::scope::Scope;
use podscope_model::source::{Budget, Cancel, SeriesSource, SourceError};
use podscope_promql::memory::MemorySource;
use podscope_promql::{EvalError, evaluate_leaf};
use podscope_vms::VmsError;

use super::wanted::Metrics;
use super::{Vast, events};
use crate::settings::VastSettings;

/// The window in which a list of series looks for them.
const LISTED_MS: i64 = 600_000;

/// A server as the fleet asks it.
#[derive(Clone, Debug)]
pub(crate) struct VastLeaf(pub(crate) Arc<Vast>);

fn leaf_id(settings: &VastSettings) -> String {
    format!(
        "vast:{}#{}",
        settings.url,
        settings.cluster_id.unwrap_or_default()
    )
}

pub(super) fn inventory(settings: &VastSettings, metrics: &Metrics) -> Inventory {
    let held = metrics
        .infos()
        .into_iter()
        .map(|(name, info)| (name, Held { info, shape: None }));
    let mut inventory = Inventory {
        leaf_id: leaf_id(settings),
        instance: settings.name.clone(),
        metrics: held.collect(),
        ..Inventory::default()
    };
    inventory.stamp();
    inventory
}

/// A server that does not answer is missing, as a node would be; it is asked again by rules of its own, so that no circuit of
/// the fleet opens over it.
fn failed(error: &VmsError) -> ApiError {
    ApiError::new(ApiErrorKind::Internal, format!("the VAST server {error}"))
}

fn evaluation(error: &EvalError) -> ApiError {
    let kind = match error {
        EvalError::Budget(podscope_model::source::BudgetError::Cancelled) => ApiErrorKind::Cancelled,
        EvalError::Budget(podscope_model::source::BudgetError::Time { .. }) => ApiErrorKind::Timeout,
        EvalError::Budget(_) => ApiErrorKind::Limit,
        EvalError::Source(_) => ApiErrorKind::Internal,
        _ => ApiErrorKind::BadData,
    };
    ApiError::new(kind, error.to_string())
}

/// Stops the evaluation with its asker.
struct Stop(Cancel);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl Vast {
    fn named(&self, target: &Target) -> Target {
        let instance = match target.instance.is_empty() {
            true => self.settings.name.clone(),
            false => target.instance.clone(),
        };
        Target {
            instance,
            labels: target.labels.clone(),
        }
    }

    fn empty(&self, query: &LeafQuery) -> LeafAnswer {
        LeafAnswer {
            leaf_id: leaf_id(&self.settings),
            instance: self.settings.name.clone(),
            grid: query.grid,
            // Nothing, in the form that was asked for.
            value: match query.shape {
                Shape::Steps => LeafValue::Steps(Vec::new()),
                Shape::Partials => LeafValue::Partials(Vec::new()),
                Shape::Samples => LeafValue::Samples(Vec::new()),
                Shape::Coverage => LeafValue::None,
            },
            covered: Vec::new(),
            annotations: Vec::new(),
            stats: LeafStats::default(),
            behind: None,
        }
    }

    async fn evaluated(&self, query: LeafQuery) -> Result<LeafAnswer, ApiError> {
        if query.shape == Shape::Coverage {
            return Ok(self.empty(&query));
        }
        let began = Instant::now();
        let parsed = podscope_promql::parse(&query.expr)
            .map_err(|error| ApiError::new(ApiErrorKind::BadData, error.to_string()))?;
        let selectors = self.seen_by(query.user.as_ref(), parsed.selectors());
        let from_ms = parsed
            .reaches_back_to(query.grid.start_ms, query.grid, query.lookback_ms)
            .unwrap_or(query.grid.start_ms);
        let to_ms = parsed
            .reaches_up_to(query.grid.end_ms, query.grid)
            .unwrap_or(query.grid.end_ms);
        let target = self.named(&query.target);
        let (source, annotations) = self
            .series(&selectors, (from_ms, to_ms), &target)
            .await
            .map_err(|error| failed(&error))?;
        if source.is_empty() {
            return Ok(LeafAnswer {
                annotations,
                ..self.empty(&query)
            });
        }
        let cancel = Cancel::default();
        let _stop = Stop(cancel.clone());
        let mut answer = self.empty(&query);
        let work = move || {
            let budget = Budget::of(&query.limits, cancel);
            evaluate_leaf(&query, &source, &budget).map(|(value, more)| (value, more, budget.samples_read()))
        };
        let done = tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| ApiError::new(ApiErrorKind::Internal, "the evaluation stopped unexpectedly"))?;
        let (value, mut more, samples_read) = done.map_err(|error| evaluation(&error))?;
        answer.stats = LeafStats {
            samples_read,
            series_out: match &value {
                LeafValue::Steps(list) => list.len() as u64,
                LeafValue::Partials(list) => list.len() as u64,
                LeafValue::Samples(list) => list.len() as u64,
                LeafValue::None => 0,
            },
            elapsed_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        more.extend(annotations);
        answer.annotations = more;
        answer.value = value;
        Ok(answer)
    }

    /// A server cannot tell whose its series are: who sees only their own sees what is public.
    fn seen_by(
        &self,
        user: Option<&Scope>,
        mut selectors: Vec<Vec<podscope_model::matcher::Matcher>>,
    ) -> Vec<Vec<podscope_model::matcher::Matcher>> {
        if let Some(scope) = user {
            selectors.retain(|matchers| {
                podscope_model::matcher::fixed_name(matchers).is_some_and(|name| scope.is_public(name))
            });
        }
        selectors
    }

    /// The label sets the selectors match of late.
    async fn listed(
        &self,
        selectors: &[Vec<podscope_model::matcher::Matcher>],
        user: Option<&Scope>,
        target: &Target,
    ) -> Result<Vec<Labels>, ApiError> {
        let selectors = self.seen_by(user, selectors.to_vec());
        let target = self.named(target);
        let now_ms = self.client.now_ms();
        let window = (now_ms - LISTED_MS, now_ms);
        let (source, _) = self
            .series(&selectors, window, &target)
            .await
            .map_err(|error| failed(&error))?;
        labels_of(&source, &selectors, window)
            .map_err(|error| ApiError::new(ApiErrorKind::Internal, error.to_string()))
    }
}

fn labels_of(
    source: &MemorySource,
    selectors: &[Vec<podscope_model::matcher::Matcher>],
    (start_ms, end_ms): (i64, i64),
) -> Result<Vec<Labels>, SourceError> {
    let budget = Budget::unlimited();
    let mut all = Vec::new();
    for matchers in selectors {
        all.extend(source.series(matchers, start_ms, end_ms, &budget)?);
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

impl AgentApi for VastLeaf {
    async fn query(&self, query: LeafQuery) -> Result<LeafAnswer, ApiError> {
        self.0.evaluated(query).await
    }

    async fn series(&self, query: SeriesQuery) -> Result<SeriesAnswer, ApiError> {
        let vast = &self.0;
        let series = vast
            .listed(&query.selectors, query.user.as_ref(), &query.target)
            .await?;
        Ok(SeriesAnswer {
            leaf_id: leaf_id(&vast.settings),
            instance: vast.settings.name.clone(),
            series,
            behind: None,
        })
    }

    async fn labels(&self, query: LabelsQuery) -> Result<LabelsAnswer, ApiError> {
        let vast = &self.0;
        let values: std::collections::BTreeSet<String> = match (&query.name, query.selectors.is_empty()) {
            // Names without a selector: what there could be, without asking anybody.
            (Some(name), true) if name == podscope_model::labels::NAME && query.user.is_none() => {
                vast.metrics.names().map(str::to_owned).collect()
            }
            (name, _) => {
                let series = vast
                    .listed(&query.selectors, query.user.as_ref(), &query.target)
                    .await?;
                let mut values = std::collections::BTreeSet::new();
                for labels in &series {
                    match name {
                        Some(name) => values.extend(labels.get(name).map(str::to_owned)),
                        None => values.extend(labels.iter().map(|label| label.name.to_string())),
                    }
                }
                values
            }
        };
        Ok(LabelsAnswer {
            leaf_id: leaf_id(&vast.settings),
            instance: vast.settings.name.clone(),
            values: values.into_iter().collect(),
            behind: None,
        })
    }

    async fn events(&self, query: EventQuery) -> Result<EventAnswer, ApiError> {
        let vast = &self.0;
        let now_ms = vast.client.now_ms();
        let mut answer = EventAnswer {
            leaf_id: leaf_id(&vast.settings),
            instance: vast.settings.name.clone(),
            events: Vec::new(),
            truncated: false,
            now_ms,
        };
        // Events of a storage cluster are nobody's own.
        if query.user.is_some() {
            return Ok(answer);
        }
        let (found, error) = vast
            .events
            .read(&vast.client, &vast.lists, query.start_ms, vast.patience)
            .await;
        if let Some(error) = error {
            vast.note(&error);
            if found.is_empty() {
                return Err(failed(&error));
            }
        }
        let target = vast.named(&query.target);
        let node = Labels::from_pairs(&target.labels)
            .with("instance", &target.instance)
            .with("job", super::JOB);
        let mut events: Vec<_> = found
            .into_iter()
            .filter(|stored| stored.event.time_ms <= query.end_ms && stored.event.last_ms() >= query.start_ms)
            .filter(|stored| query.stored_after_ms.is_none_or(|after| stored.stored_ms > after))
            .filter(|stored| query.filter.accepts(&stored.event, &node))
            .map(|stored| events::labelled(stored, &node))
            .collect();
        events.sort_by_key(|stored| std::cmp::Reverse((stored.event.time_ms, stored.id)));
        let limit = query.limit.clamp(1, MAX_EVENTS) as usize;
        answer.truncated = events.len() > limit;
        events.truncate(limit);
        answer.events = events;
        Ok(answer)
    }

    async fn info(&self) -> Result<NodeInfo, ApiError> {
        let vast = &self.0;
        let state = match &*super::locked(&vast.last_error) {
            Some((_, error)) => CollectorState::Failed {
                error: error.to_string(),
            },
            None => CollectorState::Ok,
        };
        Ok(NodeInfo {
            leaf_id: leaf_id(&vast.settings),
            instance: vast.settings.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            labels: vast.settings.labels.clone(),
            now_ms: vast.client.now_ms(),
            oldest_ms: None,
            newest_ms: None,
            series: 0,
            history_bytes: 0,
            collectors: vec![CollectorInfo {
                name: super::JOB.to_owned(),
                state,
                interval_ms: 10_000,
                last_duration_us: 0,
                series: 0,
            }],
            gpus: Vec::new(),
            metrics: vast.metrics.infos(),
        })
    }

    async fn inventory(&self, known: Option<String>) -> Result<Option<Arc<Inventory>>, ApiError> {
        let inventory = &self.0.inventory;
        Ok((known.as_deref() != Some(inventory.version.as_str())).then(|| Arc::clone(inventory)))
    }
}
