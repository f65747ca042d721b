//! The plugin: where requests, data sources and metrics meet.

use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;

use crate::error::QueryError;
use crate::health;
use crate::instances::Instances;
use crate::metrics::Metrics;
use crate::query::{self, Answer};
use crate::request::{Context, Health, QueryAnswers, QueryRequest, ResourceRequest, ResourceResponse};
use crate::resources;

/// One process's worth of plugin.
#[derive(Debug, Default)]
pub struct Plugin {
    pub(crate) instances: Instances,
    pub(crate) metrics: Arc<Metrics>,
}

impl Plugin {
    /// A plugin without any data source yet: each is set up with its first request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers the queries of one request, concurrently. Each has its own answer or error; dropping the future cancels
    /// them all. Must be awaited inside a Tokio runtime.
    pub async fn query_data(&self, request: QueryRequest) -> QueryAnswers {
        let ref_ids: Vec<String> = request.queries.iter().map(|query| query.ref_id.clone()).collect();
        let instance = match self.instances.get(&request.context) {
            Ok(instance) => instance,
            Err(error) => {
                return ref_ids
                    .into_iter()
                    .map(|ref_id| (ref_id, Err(error.clone())))
                    .collect();
            }
        };
        let scope = match instance.settings.scope.of(request.context.user.as_ref()) {
            Ok(scope) => scope,
            Err(error) => {
                return ref_ids
                    .into_iter()
                    .map(|ref_id| (ref_id, Err(error.clone())))
                    .collect();
            }
        };
        let asked = Arc::new(query::Asked::new(&request, scope));
        // A task each: they run on all cores, and a panic in one is that one's error.
        let mut tasks = JoinSet::new();
        for (at, raw) in request.queries.into_iter().enumerate() {
            let (instance, asked, metrics) = (
                Arc::clone(&instance),
                Arc::clone(&asked),
                Arc::clone(&self.metrics),
            );
            tasks.spawn(async move {
                let started = Instant::now();
                let answer = query::run(&instance, &asked, &raw, &metrics).await;
                metrics.query(
                    started.elapsed(),
                    answer.as_ref().err().map(QueryError::source_kind),
                );
                (at, answer)
            });
        }
        let mut answers: Vec<Result<Answer, QueryError>> = vec![Err(QueryError::Stopped); ref_ids.len()];
        while let Some(done) = tasks.join_next().await {
            match done {
                Ok((at, answer)) => answers[at] = answer,
                Err(error) => tracing::error!(%error, "a query stopped unexpectedly"),
            }
        }
        query::name_series(&mut answers);
        ref_ids
            .into_iter()
            .zip(answers)
            .map(|(ref_id, answer)| {
                let frames = answer.map(|mut answer| {
                    answer
                        .frames
                        .iter_mut()
                        .for_each(|frame| frame.ref_id.clone_from(&ref_id));
                    answer.frames
                });
                if let Err(error) = &frames {
                    tracing::debug!(ref_id, error = error.text(), "query failed");
                }
                (ref_id, frames)
            })
            .collect()
    }

    /// Asks every target who it is, and says in one sentence what to do about what is wrong.
    pub async fn check_health(&self, context: &Context) -> Health {
        self.metrics.health_check();
        match self.instances.get(context) {
            Ok(instance) => health::check(&instance).await,
            Err(error) => Health {
                ok: false,
                message: error.text(),
                details: serde_json::json!({}),
            },
        }
    }

    /// Answers one HTTP request of the editor or the app's pages.
    pub async fn call_resource(&self, request: ResourceRequest) -> ResourceResponse {
        let response = resources::answer(self, request).await;
        self.metrics.resource(response.status);
        response
    }

    /// The plugin's own counters in the Prometheus text format.
    pub fn collect_metrics(&self) -> String {
        self.metrics.render(self.instances.in_flight())
    }
}
