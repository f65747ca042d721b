//! Answers that every part of the HTTP layer gives.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use podscope_model::leaf::ApiError;

/// An error of the agent API.
pub(super) fn api_error(error: ApiError) -> Response {
    let status = StatusCode::from_u16(error.kind.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Json(error)).into_response()
}
