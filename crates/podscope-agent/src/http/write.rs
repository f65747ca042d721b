//! `/api/v1/write` and `/v1/import`: samples that others made. Both take remote write 1.0's body.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use podscope_model::leaf::{ApiError, ApiErrorKind};

use super::answer::api_error;
use crate::ingest::{self, IngestError};
use crate::remote_write::{Series, decode};
use crate::state::AgentState;

/// The largest body, packed; and unpacked.
pub(super) const MAX_BODY: usize = 32 << 20;
const MAX_UNPACKED: usize = 128 << 20;

fn bad_data(message: impl Into<String>) -> ApiError {
    ApiError::new(ApiErrorKind::BadData, message)
}

fn body_of(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Series>, ApiError> {
    let version = headers
        .get("x-prometheus-remote-write-version")
        .and_then(|value| value.to_str().ok())
        .unwrap_or("0.1.0");
    let content = headers
        .get("content-type")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if version.starts_with("2.") || content.contains("io.prometheus.write.v2") {
        return Err(bad_data(
            "remote write 2.0 is not supported; let the sender use 1.0 (protobuf_message: prometheus.WriteRequest)",
        ));
    }
    decode(body, MAX_UNPACKED).map_err(|error| bad_data(error.to_string()))
}

fn refused(error: IngestError) -> Response {
    api_error(match error {
        // A sender drops what it is told is bad, and tries again what failed here.
        IngestError::History(error) => ApiError::new(ApiErrorKind::Internal, crate::chain(&error)),
        other => bad_data(other.to_string()),
    })
}

/// Remote write 1.0: answered 204 when the samples were taken.
pub(super) async fn remote_write(
    State(state): State<Arc<AgentState>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let series = match body_of(&headers, &body) {
        Ok(series) => series,
        Err(error) => {
            let mut response = api_error(error);
            // What a sender of 2.0 looks for, to fall back to 1.0.
            if headers
                .get("content-type")
                .is_some_and(|value| value.as_bytes().ends_with(b"v2.Request"))
            {
                *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            }
            return response;
        }
    };
    match state.receiver().take(&series, Instant::now()) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refused(error),
    }
}

/// Whole series of the past, written at once.
pub(super) async fn import(
    State(state): State<Arc<AgentState>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let series = match body_of(&headers, &body) {
        Ok(series) => series,
        Err(error) => return api_error(error),
    };
    let history = Arc::clone(state.history());
    match tokio::task::spawn_blocking(move || ingest::import(&history, &series)).await {
        Ok(Ok(samples)) => axum::Json(serde_json::json!({ "samples": samples })).into_response(),
        Ok(Err(error)) => refused(error),
        Err(error) => api_error(ApiError::new(ApiErrorKind::Internal, error.to_string())),
    }
}
