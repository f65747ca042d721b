//! `/metrics` and `/-/*`.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use podscope_model::catalog::Job;
use podscope_model::leaf::{ApiError, ApiErrorKind};

use super::answer::api_error;
use crate::exposition::Format;
use crate::state::AgentState;

/// `GET /metrics?job=node&job=dcgm`
pub(super) async fn metrics(
    State(state): State<Arc<AgentState>>,
    Query(parameters): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let mut wanted = Vec::new();
    for (_, value) in parameters.iter().filter(|(name, _)| name == "job") {
        match Job::ALL.into_iter().find(|job| job.as_str() == value) {
            Some(job) => wanted.push(job),
            None => {
                let known = Job::ALL.map(Job::as_str).join(", ");
                let message = format!("there is no job {value:?}; there are: {known}");
                return api_error(ApiError::new(ApiErrorKind::BadData, message));
            }
        }
    }
    let format = Format::of_accept(headers.get(ACCEPT).and_then(|value| value.to_str().ok()));
    let exposition = state.exposition(|job| wanted.is_empty() || wanted.contains(&job));
    ([(CONTENT_TYPE, format.content_type())], exposition.render(format)).into_response()
}

/// The process answers.
pub(super) async fn healthy() -> &'static str {
    "podscope-agent is healthy.\n"
}

/// The history is open, or nobody would answer.
pub(super) async fn ready() -> &'static str {
    "podscope-agent is ready.\n"
}

pub(super) async fn reload(State(state): State<Arc<AgentState>>) -> Response {
    // Reads files.
    let reloaded = tokio::task::spawn_blocking(move || state.reload()).await;
    match reloaded {
        Ok(Ok(report)) => axum::Json(report).into_response(),
        Ok(Err(message)) => (
            StatusCode::BAD_REQUEST,
            axum::Json(ApiError::new(ApiErrorKind::BadData, message)),
        )
            .into_response(),
        Err(error) => api_error(ApiError::new(ApiErrorKind::Internal, error.to_string())),
    }
}
