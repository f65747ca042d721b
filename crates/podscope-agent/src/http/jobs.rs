//! `/v1/jobs`: the scheduler's jobs, from the agent that asks it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::response::Response;
use podscope_model::jobs::JobsQuery;
use podscope_model::leaf::AgentApi;

use super::leaf::{bad_body, json};
use crate::state::AgentState;

pub(super) async fn search(
    State(state): State<Arc<AgentState>>,
    body: Result<Json<JobsQuery>, JsonRejection>,
) -> Response {
    let query = match body {
        Ok(Json(query)) => query,
        Err(rejection) => return bad_body(&rejection),
    };
    json(match state.hub() {
        Some(hub) => hub.relay().jobs(query).await,
        None => state.jobs(query).await,
    })
}
