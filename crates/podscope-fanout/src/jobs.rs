//! Jobs, from whichever agents ask a scheduler.

use std::collections::BTreeMap;
use std::sync::Arc;

use podscope_model::catalog::slurm;
use podscope_model::jobs::{JobsAnswer, JobsQuery};
use podscope_model::leaf::{Behind, Route};
use podscope_model::matcher::{MatchOp, Matcher};
use rustc_hash::FxHashSet;
use tokio::time::Instant;

use crate::answer::Completeness;
use crate::ask::{self, Answered, Gathered, Wanted};
use crate::error::FleetError;
use crate::fleet::{Fleet, Inner};
use crate::node::NO_LABELS;
use crate::route::Way;

/// The jobs of all schedulers that are asked.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetJobs {
    /// One answer per agent that asks a scheduler.
    pub answers: Vec<JobsAnswer>,
    pub completeness: Completeness,
}

impl Fleet {
    /// Asks the agents that ask a scheduler for its jobs.
    ///
    /// # Errors
    /// No targets, no answer at all, or a question an agent refuses.
    pub async fn jobs(&self, query: JobsQuery) -> Result<FleetJobs, FleetError> {
        if self.inner.nodes().is_empty() {
            return Err(FleetError::NoTargets);
        }
        let Gathered {
            kept, completeness, ..
        } = self.inner.jobs_of(query, NO_LABELS).await?;
        Ok(FleetJobs {
            answers: kept.into_iter().map(|(_, answer)| answer).collect(),
            completeness,
        })
    }
}

impl Answered for JobsAnswer {
    fn leaf_id(&self) -> &str {
        &self.leaf_id
    }

    fn behind(&self) -> Option<&Behind> {
        None
    }
}

impl Inner {
    pub(crate) async fn jobs_of(
        self: &Arc<Self>,
        query: JobsQuery,
        outer: &BTreeMap<String, String>,
    ) -> Result<Gathered<JobsAnswer>, FleetError> {
        let deadline = Instant::now() + self.config.timeout;
        let gate = Arc::clone(&self.gate);
        let given = outer.clone();
        let job = move |way: Way| {
            let gate = Arc::clone(&gate);
            let query = JobsQuery {
                target: way.node.target(&given),
                ..query.clone()
            };
            async move {
                let answer = way
                    .node
                    .ask(&gate, deadline, |leaf| leaf.jobs(query))
                    .await?
                    .value;
                way.node.check_identity(&answer.instance, &answer.leaf_id)?;
                Ok(answer)
            }
        };
        // Whoever asks a scheduler has this series, or had it of late.
        let asks = Matcher::new("__name__", MatchOp::Equal, slurm::POLL_FAILURES.name);
        let asks: [Vec<Matcher>; 1] = [asks.into_iter().collect()];
        let everybody = Route::default();
        let wanted = Wanted {
            parts: vec![&asks[..]],
            outer,
            route: &everybody,
            done: FxHashSet::default(),
        };
        ask::gather(self, &wanted, deadline, job, ask::refusals)
            .await
            .map_err(|(node, error)| FleetError::Leaf {
                instance: node.instance(),
                url: node.spec.url.clone(),
                error,
            })
    }
}
