//! The hub's own store as one of its leaves.

use std::sync::{Arc, Weak};

use podscope_model::event::{EventAnswer, EventQuery};
use podscope_model::inventory::{Inventory, LabelsAnswer, LabelsQuery};
use podscope_model::jobs::{JobsAnswer, JobsQuery};
use podscope_model::leaf::{
    AgentApi, ApiError, ApiErrorKind, LeafAnswer, LeafQuery, NodeInfo, SeriesAnswer, SeriesQuery,
};

use crate::state::AgentState;

/// The agent itself; it owns the hub, so that the hub does not own it.
#[derive(Clone, Debug)]
pub(crate) struct Own(Weak<AgentState>);

impl Own {
    pub(crate) fn new(state: &Arc<AgentState>) -> Self {
        Self(Arc::downgrade(state))
    }

    fn state(&self) -> Result<Arc<AgentState>, ApiError> {
        self.0
            .upgrade()
            .ok_or_else(|| ApiError::new(ApiErrorKind::Unreachable, "this hub is stopping"))
    }
}

impl AgentApi for Own {
    async fn query(&self, query: LeafQuery) -> Result<LeafAnswer, ApiError> {
        self.state()?.query(query).await
    }

    async fn series(&self, query: SeriesQuery) -> Result<SeriesAnswer, ApiError> {
        self.state()?.series(query).await
    }

    async fn events(&self, query: EventQuery) -> Result<EventAnswer, ApiError> {
        self.state()?.events(query).await
    }

    async fn jobs(&self, query: JobsQuery) -> Result<JobsAnswer, ApiError> {
        self.state()?.jobs(query).await
    }

    async fn info(&self) -> Result<NodeInfo, ApiError> {
        self.state()?.info().await
    }

    async fn labels(&self, query: LabelsQuery) -> Result<LabelsAnswer, ApiError> {
        self.state()?.labels(query).await
    }

    async fn inventory(&self, known: Option<String>) -> Result<Option<Arc<Inventory>>, ApiError> {
        self.state()?.inventory(known).await
    }
}
