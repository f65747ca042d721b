//! `/v1/*`: the agent API over HTTP.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use podscope_model::leaf::{AgentApi, ApiError, ApiErrorKind, LeafQuery, SeriesQuery};
use podscope_model::wire;

use super::answer::api_error;
use crate::state::AgentState;

/// The document served at `/v1/openapi.json`.
pub(super) const OPENAPI: &str = include_str!("openapi.json");

pub(super) async fn query(
    State(state): State<Arc<AgentState>>,
    body: Result<Json<LeafQuery>, JsonRejection>,
) -> Response {
    let query = match body {
        Ok(Json(query)) => query,
        Err(rejection) => return bad_body(&rejection),
    };
    let encoded = match state.query(query).await {
        Ok(answer) => tokio::task::spawn_blocking(move || wire::encode(&answer)).await,
        Err(error) => return api_error(error),
    };
    match encoded {
        Ok(Ok(body)) => ([(CONTENT_TYPE, wire::CONTENT_TYPE)], body).into_response(),
        Ok(Err(error)) => api_error(ApiError::new(ApiErrorKind::Internal, error.to_string())),
        Err(error) => api_error(ApiError::new(ApiErrorKind::Internal, error.to_string())),
    }
}

pub(super) async fn series(
    State(state): State<Arc<AgentState>>,
    body: Result<Json<SeriesQuery>, JsonRejection>,
) -> Response {
    let query = match body {
        Ok(Json(query)) => query,
        Err(rejection) => return bad_body(&rejection),
    };
    json(state.series(query).await)
}

pub(super) async fn info(State(state): State<Arc<AgentState>>) -> Response {
    json(state.info().await)
}

pub(super) async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

pub(super) fn json<T: serde::Serialize>(answer: Result<T, ApiError>) -> Response {
    match answer {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => api_error(error),
    }
}

pub(super) fn bad_body(rejection: &JsonRejection) -> Response {
    let text = rejection.body_text();
    let message = format!("the body is not what this path takes: {text}; see /v1/openapi.json");
    (
        rejection.status(),
        Json(ApiError::new(ApiErrorKind::BadData, message)),
    )
        .into_response()
}
