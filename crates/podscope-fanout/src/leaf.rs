//! One leaf as the fleet sees it: over HTTP or in this process, behind one object-safe trait.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use podscope_model::event::{EventAnswer, EventQuery};
use podscope_model::inventory::{Inventory, LabelsAnswer, LabelsQuery};
use podscope_model::jobs::{JobsAnswer, JobsQuery};
use podscope_model::leaf::{
    AgentApi, ApiError, ApiErrorKind, LeafAnswer, LeafQuery, NodeInfo, SeriesAnswer, SeriesQuery,
};

/// Why a leaf did not answer.
#[derive(Clone, Debug)]
pub(crate) struct LeafFailure {
    pub(crate) error: ApiError,
    /// Whether it counts against the leaf's circuit: it was not there, or was not an agent. A leaf that answers "your
    /// query is too large" is there.
    pub(crate) miss: bool,
}

impl LeafFailure {
    pub(crate) fn miss(kind: ApiErrorKind, message: impl Into<String>) -> Self {
        Self {
            error: ApiError::new(kind, message),
            miss: true,
        }
    }

    /// An error that the leaf itself reported.
    pub(crate) fn answered(error: ApiError) -> Self {
        Self { error, miss: false }
    }
}

/// An answer with the size of its body in bytes.
#[derive(Debug)]
pub(crate) struct Weighed<T> {
    pub(crate) value: T,
    pub(crate) bytes: u64,
}

pub(crate) type LeafFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<Weighed<T>, LeafFailure>> + Send + 'a>>;

/// [`AgentApi`] with boxed futures and sized answers.
pub(crate) trait Leaf: Send + Sync {
    fn query(&self, query: LeafQuery) -> LeafFuture<'_, LeafAnswer>;
    fn series(&self, query: SeriesQuery) -> LeafFuture<'_, SeriesAnswer>;
    fn info(&self) -> LeafFuture<'_, NodeInfo>;

    fn events(&self, query: EventQuery) -> LeafFuture<'_, EventAnswer> {
        let _unused = query;
        Box::pin(async { Err(LeafFailure::miss(ApiErrorKind::Unreachable, "has no events")) })
    }
    fn jobs(&self, query: JobsQuery) -> LeafFuture<'_, JobsAnswer> {
        let _unused = query;
        Box::pin(async { Err(LeafFailure::miss(ApiErrorKind::Unreachable, "has no jobs")) })
    }
    fn labels(&self, query: LabelsQuery) -> LeafFuture<'_, LabelsAnswer>;
    /// `None`: what is known is still so.
    fn inventory(&self, known: Option<String>) -> LeafFuture<'_, Option<Arc<Inventory>>>;
}

/// An agent in this process.
pub(crate) struct InProcess<A>(pub(crate) A);

impl<A: AgentApi> Leaf for InProcess<A> {
    fn query(&self, query: LeafQuery) -> LeafFuture<'_, LeafAnswer> {
        Box::pin(async { weightless(self.0.query(query).await) })
    }

    fn series(&self, query: SeriesQuery) -> LeafFuture<'_, SeriesAnswer> {
        Box::pin(async { weightless(self.0.series(query).await) })
    }

    fn events(&self, query: EventQuery) -> LeafFuture<'_, EventAnswer> {
        Box::pin(async { weightless(self.0.events(query).await) })
    }

    fn jobs(&self, query: JobsQuery) -> LeafFuture<'_, JobsAnswer> {
        Box::pin(async { weightless(self.0.jobs(query).await) })
    }

    fn info(&self) -> LeafFuture<'_, NodeInfo> {
        Box::pin(async { weightless(self.0.info().await) })
    }

    fn labels(&self, query: LabelsQuery) -> LeafFuture<'_, LabelsAnswer> {
        Box::pin(async { weightless(self.0.labels(query).await) })
    }

    fn inventory(&self, known: Option<String>) -> LeafFuture<'_, Option<Arc<Inventory>>> {
        Box::pin(async { weightless(self.0.inventory(known).await) })
    }
}

fn weightless<T>(answer: Result<T, ApiError>) -> Result<Weighed<T>, LeafFailure> {
    match answer {
        Ok(value) => Ok(Weighed { value, bytes: 0 }),
        Err(error) => Err(LeafFailure {
            miss: error.kind == ApiErrorKind::Unreachable,
            error,
        }),
    }
}
