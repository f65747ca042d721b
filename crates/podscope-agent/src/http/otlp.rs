//! `/v1/metrics`: OTLP/HTTP.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{Extensions, HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use podscope_model::leaf::{ApiError, ApiErrorKind};

use super::answer::api_error;
use crate::otlp::{BadRequest, Otlp};
use crate::state::AgentState;

/// The largest body, unpacked.
const MAX_UNPACKED: usize = 128 << 20;

pub(super) async fn export(
    State(state): State<Arc<AgentState>>,
    headers: HeaderMap,
    extensions: Extensions,
    body: Bytes,
) -> Response {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let (content_type, encoding) = (header("content-type"), header("content-encoding"));
    let peer = extensions.get::<ConnectInfo<SocketAddr>>();
    let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(addr)| addr.ip());
    // Unpacking and reading may take a while.
    let work = move || {
        let (request, form) = Otlp::read_http(&content_type, &encoding, &body, MAX_UNPACKED)?;
        Ok::<_, BadRequest>((state.otlp().take(&request, peer, state.receiver()), form))
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok((answer, form))) => {
            ([("content-type", form.content_type())], form.encode(&answer)).into_response()
        }
        Ok(Err(error)) => {
            let mut response = api_error(ApiError::new(ApiErrorKind::BadData, error.to_string()));
            if matches!(error, BadRequest::ContentType(_) | BadRequest::Encoding(_)) {
                *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            }
            response
        }
        Err(error) => api_error(ApiError::new(ApiErrorKind::Internal, error.to_string())),
    }
}
