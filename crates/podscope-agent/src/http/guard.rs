//! Who may ask: the bearer token where one is set, and the `Host` and `Origin` check where none is.
//!
//! An agent on loopback without a token trusts every local process, but not every web page open on the machine: a page
//! can make its own name resolve to 127.0.0.1 (DNS rebinding), or post to a loopback address. Both show in the headers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use podscope_model::leaf::{ApiError, ApiErrorKind};

use super::answer::api_error;
use crate::state::{AgentState, Live};

/// The one path that needs no token: it says nothing but "alive".
pub(super) const OPEN_PATH: &str = "/-/healthy";

/// What these take changes what the agent tells others: they need the right to write (rule 13 of the design).
const WRITE_PATHS: [&str; 5] = [
    "/v1/events",
    "/v1/events/alertmanager",
    "/v1/import",
    "/v1/metrics",
    "/api/v1/write",
];

pub(super) async fn guard(State(state): State<Arc<AgentState>>, request: Request, next: Next) -> Response {
    let live = state.live();
    let checked = match &live.token {
        _ if request.uri().path() == OPEN_PATH => Ok(()),
        _ if request.method() == Method::POST && WRITE_PATHS.contains(&request.uri().path()) => {
            authorize_write(&request, &live)
        }
        Some(token) => authorize(request.headers(), token),
        None if live.local_only => check_names(&request),
        None => Ok(()),
    };
    match checked {
        Ok(()) => next.run(request).await,
        Err(refusal) => *refusal,
    }
}

/// The text of an `Authorization: Bearer` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let offered = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, text) = offered.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| text.trim())
}

/// A writer shows the write token, or comes from an address that may write without one.
fn authorize_write(request: &Request, live: &Live) -> Result<(), Box<Response>> {
    let address = request.extensions().get::<ConnectInfo<SocketAddr>>();
    let address = address.map(|ConnectInfo(address)| address.ip());
    match may_write(request.headers(), address, live) {
        // A web page open on such a machine is not that machine.
        Ok(Writer::Address) if live.local_only => check_names(request),
        Ok(_) => Ok(()),
        Err(message) => {
            let status = match live.write.is_closed() {
                true => StatusCode::FORBIDDEN,
                false => StatusCode::UNAUTHORIZED,
            };
            let error = ApiError::new(ApiErrorKind::Unauthorized, message);
            Err(Box::new((status, axum::Json(error)).into_response()))
        }
    }
}

/// By what somebody may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writer {
    Token,
    Address,
}

/// Whether whoever sends these headers from this address may write; if not, why.
pub(crate) fn may_write(
    headers: &HeaderMap,
    address: Option<IpAddr>,
    live: &Live,
) -> Result<Writer, &'static str> {
    let write = &live.write;
    let bearer = bearer(headers);
    if let (Some(token), Some(bearer)) = (&write.token, bearer)
        && token.matches(bearer)
    {
        return Ok(Writer::Token);
    }
    if address.is_some_and(|address| write.allows(address)) {
        return Ok(Writer::Address);
    }
    Err(match (write.is_closed(), bearer) {
        (true, _) => {
            "this agent takes nothing from outside: set `write.token_file` or `write.peers` in its configuration"
        }
        (false, Some(_)) => {
            "wrong token for writing: use the one of `write.token_file`; the token for reading does not do"
        }
        (false, None) => {
            "writing needs the write token as `Authorization: Bearer TOKEN`, or an address listed in `write.peers`"
        }
    })
}

fn authorize(headers: &HeaderMap, token: &crate::secret::Secret) -> Result<(), Box<Response>> {
    let message = match bearer(headers) {
        Some(bearer) if token.matches(bearer) => return Ok(()),
        Some(_) => "wrong token: use the one this agent was started with (`token_file` in its configuration)",
        None => "this agent needs a token: send it as `Authorization: Bearer TOKEN`",
    };
    let mut response = api_error(ApiError::new(ApiErrorKind::Unauthorized, message));
    response.headers_mut().insert(
        WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer realm=\"podscope\""),
    );
    Err(Box::new(response))
}

/// Without a token only names of this machine are answered, to clients that are not another site's page.
fn check_names(request: &Request) -> Result<(), Box<Response>> {
    let headers = request.headers();
    let host = request
        .uri()
        .authority()
        .map(|authority| authority.as_str())
        .or_else(|| headers.get(HOST).and_then(|value| value.to_str().ok()));
    let refuse = |message: String| {
        let error = ApiError::new(ApiErrorKind::Unauthorized, message);
        Box::new((StatusCode::FORBIDDEN, axum::Json(error)).into_response())
    };
    match host {
        Some(host) if is_local(host) => {}
        Some(host) => {
            return Err(refuse(format!(
                "refusing a request for host {host:?}: without a token this agent answers only to localhost and loopback \
                 addresses"
            )));
        }
        None => return Err(refuse("refusing a request without a Host header".to_owned())),
    }
    let origin = headers.get(ORIGIN).map(|value| value.to_str().unwrap_or("?"));
    match origin.map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host)) {
        Some(origin) if !is_local(origin) => Err(refuse(format!(
            "refusing a request from the web page of {origin:?}: set a token to let other sites ask"
        ))),
        _ => Ok(()),
    }
}

/// `localhost` or a loopback address, with or without a port.
fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        for host in [
            "localhost",
            "LOCALHOST:9477",
            "127.0.0.1:9477",
            "127.9.9.9",
            "[::1]:9477",
            "[::1]",
        ] {
            assert!(is_local(host), "{host}");
        }
        for host in [
            "",
            "example.com",
            "localhost.example.com:9477",
            "127.0.0.1.example.com",
            "10.0.0.1:9477",
            "null",
        ] {
            assert!(!is_local(host), "{host}");
        }
    }
}
