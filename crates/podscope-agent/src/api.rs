//! The agent API over this node's history: what `/v1/*` serves, and what the simulator and a hub call in process.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use podscope_history::History;
use podscope_model::event::{EventAnswer, EventQuery, MAX_EVENTS};
use podscope_model::inventory::{Inventory, LabelsAnswer, LabelsQuery};
use podscope_model::jobs::{JobsAnswer, JobsQuery, MAX_JOBS};
use podscope_model::labels::Labels;
use podscope_model::leaf::{
    AgentApi, ApiError, ApiErrorKind, LeafAnswer, LeafQuery, LeafStats, LeafValue, Limits, NodeInfo,
    SeriesAnswer, SeriesQuery, Shape, Target,
};
use podscope_model::source::{Budget, BudgetError, SeriesSource, SourceError};
use podscope_promql::EvalError;

use crate::labelled::{LabelledSource, node_labels};
use crate::queries::RunError;
use crate::schedule::now_ms;
use crate::scope::ScopedSource;
use crate::state::AgentState;
use crate::stream::lock;

impl AgentState {
    /// The labels the asker's target list gives this node; its own where the asker names none.
    ///
    /// # Errors
    /// [`ApiErrorKind::WrongInstance`] when the asker takes this agent for another (rule 2 of the design).
    fn labels_for(&self, target: &Target) -> Result<Labels, ApiError> {
        if target.instance.is_empty() {
            if target.labels.is_empty() {
                return Ok(self.own_labels());
            }
            return Ok(node_labels(self.instance(), &target.labels));
        }
        if target.instance != self.instance() {
            let message = format!(
                "this agent is {:?}, not {:?}: correct the name in the target list, or `instance` in the agent's \
                 configuration",
                self.instance(),
                target.instance,
            );
            return Err(ApiError::new(ApiErrorKind::WrongInstance, message));
        }
        Ok(node_labels(&target.instance, &target.labels))
    }

    /// An owner of this state for a thread that outlives the call.
    fn shared(&self) -> Result<Arc<Self>, ApiError> {
        self.me()
            .ok_or_else(|| ApiError::new(ApiErrorKind::Unreachable, "this agent is stopping"))
    }

    fn answer(&self, query: &LeafQuery, node: Labels, budget: &Budget) -> Result<LeafAnswer, ApiError> {
        let begun = Instant::now();
        let (value, annotations) = if query.shape == Shape::Coverage {
            (LeafValue::None, Vec::new())
        } else {
            let history: &History = self.history();
            let evaluated = match &query.user {
                None => podscope_promql::evaluate_leaf(query, &LabelledSource::new(history, node), budget),
                Some(scope) => {
                    let mine = ScopedSource::new(history, scope);
                    podscope_promql::evaluate_leaf(query, &LabelledSource::new(&mine, node), budget)
                }
            };
            evaluated.map_err(|error| of_eval(&error))?
        };
        let series_out = match &value {
            LeafValue::Steps(series) => series.len(),
            LeafValue::Partials(groups) => groups.len(),
            LeafValue::Samples(series) => series.len(),
            LeafValue::None => 0,
        };
        budget.check_series(series_out).map_err(of_budget)?;
        let stats = LeafStats {
            samples_read: budget.samples_read(),
            series_out: series_out as u64,
            elapsed_us: u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        Ok(LeafAnswer {
            leaf_id: self.history().leaf_id().to_owned(),
            instance: self.instance().to_owned(),
            grid: query.grid,
            value,
            // Looks at every chunk of the range: only for who asks.
            covered: match query.shape {
                Shape::Coverage => self.history().covered(query.grid.start_ms, query.grid.end_ms),
                Shape::Steps | Shape::Partials | Shape::Samples => Vec::new(),
            },
            annotations,
            stats,
            behind: None,
        })
    }

    /// What is stored here, made anew when another series was met or forgotten.
    fn inventory_now(&self) -> Result<Arc<Inventory>, ApiError> {
        let mut kept = lock(self.kept_inventory());
        let version = self.history().catalog_version();
        if let Some((made_at, inventory)) = &*kept
            && *made_at == version
        {
            return Ok(Arc::clone(inventory));
        }
        let series = self.history().known_series().map_err(|error| of_source(&error))?;
        let inventory = Inventory::of_store(
            self.history().leaf_id(),
            self.instance(),
            self.history().stats().oldest_ms,
            self.metrics(),
            &series,
        );
        let inventory = Arc::new(inventory);
        // Looking into segments may have met series.
        *kept = Some((self.history().catalog_version(), Arc::clone(&inventory)));
        Ok(inventory)
    }
}

/// The grid of a leaf query must be one: the planner of another version may be wrong.
fn check_grid(query: &LeafQuery, max_points: u64) -> Result<(), ApiError> {
    let steps = query.grid.len() as u64;
    if steps == 0 {
        return Err(ApiError::new(
            ApiErrorKind::BadData,
            "the grid has no step: its end lies before its start, or its step is not positive",
        ));
    }
    if steps > max_points {
        let message = format!(
            "the grid has {steps} steps, {max_points} are allowed: ask for a larger step, or raise limits.max_points"
        );
        return Err(ApiError::new(ApiErrorKind::Limit, message));
    }
    Ok(())
}

impl AgentState {
    /// Evaluates one leaf expression and does something with the answer, without changing threads in between.
    async fn query_then<T: Send + 'static>(
        &self,
        query: LeafQuery,
        then: impl FnOnce(LeafAnswer) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let node = self.labels_for(&query.target)?;
        check_grid(&query, self.live().limits.max_points)?;
        let limits = self.bounded(query.limits);
        let state = self.shared()?;
        let ran = self
            .queries()
            .run(limits, move |budget| {
                state.answer(&query, node, budget).and_then(then)
            })
            .await;
        ran.map_err(of_run)?
    }

    /// [`AgentApi::query`], answered as the body that `/v1/query` sends.
    ///
    /// # Errors
    /// As [`AgentApi::query`].
    pub(crate) async fn query_encoded(&self, query: LeafQuery) -> Result<Vec<u8>, ApiError> {
        self.query_then(query, |answer| {
            podscope_model::wire::encode(&answer)
                .map_err(|error| ApiError::new(ApiErrorKind::Internal, error.to_string()))
        })
        .await
    }
}

impl AgentApi for AgentState {
    async fn query(&self, query: LeafQuery) -> Result<LeafAnswer, ApiError> {
        self.query_then(query, Ok).await
    }

    async fn series(&self, query: SeriesQuery) -> Result<SeriesAnswer, ApiError> {
        let node = self.labels_for(&query.target)?;
        let limits = self.bounded(query.limits);
        let state = self.shared()?;
        let ran = self.queries().run(limits, move |budget| {
            let history: &History = state.history();
            let listed = match &query.user {
                None => list_series(&LabelledSource::new(history, node), &query, budget),
                Some(scope) => {
                    let mine = ScopedSource::new(history, scope);
                    list_series(&LabelledSource::new(&mine, node), &query, budget)
                }
            };
            listed.map_err(|error| of_source(&error))
        });
        let series = ran.await.map_err(of_run)??;
        Ok(SeriesAnswer {
            leaf_id: self.history().leaf_id().to_owned(),
            instance: self.instance().to_owned(),
            series,
            behind: None,
        })
    }

    async fn events(&self, query: EventQuery) -> Result<EventAnswer, ApiError> {
        if query.limit == 0 || query.limit > MAX_EVENTS {
            let message = format!("the limit is {}; ask for 1 to {MAX_EVENTS} events", query.limit);
            return Err(ApiError::new(ApiErrorKind::Limit, message));
        }
        let node = self.labels_for(&query.target)?;
        let limits = self.bounded(Limits {
            timeout_ms: query.timeout_ms,
            ..Limits::default()
        });
        let state = self.shared()?;
        let ran = self
            .queries()
            .run(limits, move |budget| state.find_events(&query, &node, budget));
        ran.await.map_err(of_run)?
    }

    async fn jobs(&self, query: JobsQuery) -> Result<JobsAnswer, ApiError> {
        if query.limit == 0 || query.limit > MAX_JOBS {
            let message = format!("the limit is {}; ask for 1 to {MAX_JOBS} jobs", query.limit);
            return Err(ApiError::new(ApiErrorKind::Limit, message));
        }
        // Checks that the asker means this agent.
        drop(self.labels_for(&query.target)?);
        let Some(book) = self.slurm() else {
            return Err(ApiError::new(
                ApiErrorKind::BadData,
                "this agent asks no scheduler; set `slurm.url` in its configuration",
            ));
        };
        let (snapshot, health) = (book.snapshot(), book.health());
        let (jobs, truncated) = podscope_collect::slurm::table::jobs(&snapshot, &query, now_ms());
        Ok(JobsAnswer {
            leaf_id: self.history().leaf_id().to_owned(),
            instance: self.instance().to_owned(),
            cluster: snapshot.cluster.to_string(),
            as_of_ms: health.last_ms,
            error: health.error,
            jobs,
            truncated,
        })
    }

    async fn labels(&self, query: LabelsQuery) -> Result<LabelsAnswer, ApiError> {
        let name = query.name.clone();
        let listed = self.series(SeriesQuery {
            selectors: query.selectors,
            start_ms: query.start_ms,
            end_ms: query.end_ms,
            target: query.target,
            user: query.user,
            limits: query.limits,
            route: query.route,
        });
        let listed = listed.await?;
        let values: BTreeSet<&str> = match &name {
            Some(name) => listed
                .series
                .iter()
                .filter_map(|labels| labels.get(name))
                .collect(),
            None => listed
                .series
                .iter()
                .flat_map(|labels| labels.iter().map(|label| label.name.as_ref()))
                .collect(),
        };
        Ok(LabelsAnswer {
            values: values.into_iter().map(str::to_owned).collect(),
            leaf_id: listed.leaf_id,
            instance: listed.instance,
            behind: None,
        })
    }

    async fn inventory(&self, known: Option<String>) -> Result<Option<Arc<Inventory>>, ApiError> {
        let state = self.shared()?;
        let made = tokio::task::spawn_blocking(move || state.inventory_now()).await;
        let made = made.map_err(|_| of_run(RunError::Panicked))??;
        Ok((known.as_deref() != Some(made.version.as_str())).then_some(made))
    }

    async fn info(&self) -> Result<NodeInfo, ApiError> {
        let stats = self.history().stats();
        Ok(NodeInfo {
            leaf_id: self.history().leaf_id().to_owned(),
            instance: self.instance().to_owned(),
            version: crate::VERSION.to_owned(),
            labels: self.live().labels.clone(),
            now_ms: now_ms(),
            oldest_ms: stats.oldest_ms,
            newest_ms: stats.newest_ms,
            series: stats.series,
            history_bytes: stats.bytes_on_disk,
            collectors: self.streams().iter().map(|stream| stream.report().info).collect(),
            gpus: self.gpus(),
            metrics: self.metrics(),
        })
    }
}

/// The label sets that any of the selectors matches, each once, sorted.
pub(crate) fn list_series(
    source: &dyn SeriesSource,
    query: &SeriesQuery,
    budget: &Budget,
) -> Result<Vec<Labels>, SourceError> {
    let everything = [Vec::new()];
    let selectors = if query.selectors.is_empty() {
        &everything[..]
    } else {
        &query.selectors
    };
    let mut found = Vec::new();
    for selector in selectors {
        found.extend(source.series(selector, query.start_ms, query.end_ms, budget)?);
        budget.check_series(found.len())?;
    }
    found.sort();
    found.dedup();
    Ok(found)
}

pub(crate) fn of_run(error: RunError) -> ApiError {
    match error {
        RunError::Budget(error) => of_budget(error),
        RunError::Panicked => ApiError::new(ApiErrorKind::Internal, error.to_string()),
    }
}

pub(crate) fn of_budget(error: BudgetError) -> ApiError {
    let kind = match error {
        BudgetError::Samples { .. }
        | BudgetError::Series { .. }
        | BudgetError::Cells { .. }
        | BudgetError::Memory { .. } => ApiErrorKind::Limit,
        BudgetError::Time { .. } => ApiErrorKind::Timeout,
        BudgetError::Cancelled => ApiErrorKind::Cancelled,
    };
    ApiError::new(kind, error.to_string())
}

pub(crate) fn of_source(error: &SourceError) -> ApiError {
    match error {
        SourceError::Budget(error) => of_budget(error.clone()),
        SourceError::Read { .. } => ApiError::new(ApiErrorKind::Internal, crate::chain(error)),
        SourceError::Resolution(text) => ApiError::new(ApiErrorKind::BadData, text.clone()),
    }
}

fn of_eval(error: &EvalError) -> ApiError {
    match error {
        EvalError::Parse(_) | EvalError::NotSupported(_) | EvalError::Execution(_) => {
            ApiError::new(ApiErrorKind::BadData, crate::chain(error))
        }
        EvalError::Budget(error) => of_budget(error.clone()),
        EvalError::Source(error) => of_source(error),
    }
}
