//! `/v1/*`: the agent API over HTTP.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::extract::rejection::JsonRejection;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use podscope_model::inventory::LabelsQuery;
use podscope_model::leaf::{AgentApi, ApiError, ApiErrorKind, LeafAnswer, LeafQuery, SeriesQuery};
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
    let body = match state.hub() {
        None => state.query_encoded(query).await,
        Some(hub) => match hub.relay().query(query).await {
            Ok(answer) => tokio::task::spawn_blocking(move || encoded(&answer))
                .await
                .unwrap_or_else(|error| Err(ApiError::new(ApiErrorKind::Internal, error.to_string()))),
            Err(error) => Err(error),
        },
    };
    match body {
        Ok(body) => ([(CONTENT_TYPE, wire::CONTENT_TYPE)], body).into_response(),
        Err(error) => api_error(error),
    }
}

fn encoded(answer: &LeafAnswer) -> Result<Vec<u8>, ApiError> {
    wire::encode(answer).map_err(|error| ApiError::new(ApiErrorKind::Internal, error.to_string()))
}

pub(super) async fn series(
    State(state): State<Arc<AgentState>>,
    body: Result<Json<SeriesQuery>, JsonRejection>,
) -> Response {
    let query = match body {
        Ok(Json(query)) => query,
        Err(rejection) => return bad_body(&rejection),
    };
    json(match state.hub() {
        None => state.series(query).await,
        Some(hub) => hub.relay().series(query).await,
    })
}

pub(super) async fn labels(
    State(state): State<Arc<AgentState>>,
    body: Result<Json<LabelsQuery>, JsonRejection>,
) -> Response {
    let query = match body {
        Ok(Json(query)) => query,
        Err(rejection) => return bad_body(&rejection),
    };
    json(match state.hub() {
        None => state.labels(query).await,
        Some(hub) => hub.relay().labels(query).await,
    })
}

pub(super) async fn info(State(state): State<Arc<AgentState>>) -> Response {
    json(match state.hub() {
        None => state.info().await,
        Some(hub) => hub.relay().info().await,
    })
}

/// The whole inventory, or 304 and nothing when the asker knows it by its version.
pub(super) async fn inventory(State(state): State<Arc<AgentState>>, headers: HeaderMap) -> Response {
    let known = headers
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .map(|value| value.trim_start_matches("W/").trim_matches('"').to_owned());
    let answer = match state.hub() {
        None => state.inventory(known).await,
        Some(hub) => hub.relay().inventory(known).await,
    };
    match answer {
        Ok(Some(inventory)) => {
            let version = format!("\"{}\"", inventory.version);
            ([(ETAG, version)], Json(&*inventory)).into_response()
        }
        Ok(None) => StatusCode::NOT_MODIFIED.into_response(),
        Err(error) => api_error(error),
    }
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
