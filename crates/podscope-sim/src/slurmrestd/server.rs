//! The simulated slurmrestd over HTTP: routes, credentials and refusals as the real one has them, and faults on request.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use podscope_collect::slurm::Clock;
use serde_json::{Value, json};

use super::shapes::{self, Version};
use super::world::SlurmWorld;

/// What can be wrong with a slurmrestd, for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlurmFault {
    /// A status, and when to come again.
    Status(u16, Option<u64>),
    /// A proxy's sign-in page.
    Html,
    /// The body ends after half of its length.
    Half,
    /// The answer comes this late.
    Slow(Duration),
}

/// What the server is.
#[derive(Clone, Debug)]
pub struct SlurmrestdOptions {
    /// Offered versions: `v0.0.38`, `v0.0.40`, `v0.0.41`, `v0.0.42`.
    pub versions: Vec<&'static str>,
    /// The token it takes; `None`: everybody is welcome, as on a unix socket.
    pub token: Option<String>,
    /// Whether slurmdbd is there.
    pub accounting: bool,
}

impl Default for SlurmrestdOptions {
    fn default() -> Self {
        Self {
            versions: vec!["v0.0.38"],
            token: None,
            accounting: true,
        }
    }
}

/// A simulated slurmrestd; clone it, the faults are shared.
#[derive(Clone)]
pub struct Slurmrestd {
    world: Arc<dyn SlurmWorld>,
    clock: Arc<dyn Clock>,
    options: Arc<SlurmrestdOptions>,
    fault: Arc<Mutex<Option<SlurmFault>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl fmt::Debug for Slurmrestd {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Slurmrestd")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Requests remembered, for tests.
const MOST_ASKED: usize = 10_000;

impl Slurmrestd {
    pub fn new(world: Arc<dyn SlurmWorld>, clock: Arc<dyn Clock>, options: SlurmrestdOptions) -> Self {
        Self {
            world,
            clock,
            options: Arc::new(options),
            fault: Arc::default(),
            asked: Arc::default(),
        }
    }

    /// From now on something is wrong, or nothing.
    pub fn set_fault(&self, fault: Option<SlurmFault>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// What was asked since the last call.
    pub fn take_asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The server's routes.
    pub fn router(&self) -> Router {
        Router::new().fallback(answer).with_state(self.clone())
    }

    /// Answers a request that was allowed.
    fn body(&self, path: &str, query: &str) -> (StatusCode, Value) {
        if path == "/openapi/v3" || path == "/openapi" {
            return (
                StatusCode::OK,
                shapes::openapi(&self.options.versions, self.options.accounting),
            );
        }
        let mut parts = path.trim_matches('/').split('/');
        let (plugin, version, what, which) = (parts.next(), parts.next(), parts.next(), parts.next());
        let (Some(plugin), Some(version), Some(what)) = (plugin, version, what) else {
            return unknown();
        };
        if !self.options.versions.contains(&version) {
            return unknown();
        }
        let Some(version) = Version::of(version) else {
            return unknown();
        };
        let state = self.world.at(self.clock.now_ms());
        let body = match (plugin, what, which) {
            ("slurm", "ping", None) => shapes::ping(version),
            ("slurm", "diag", None) => shapes::diag(version, &state),
            ("slurm", "jobs", None) => shapes::jobs(version, &state),
            ("slurm", "job", Some(id)) => {
                let found = state.jobs.iter().find(|job| job.id.to_string() == id);
                match found {
                    Some(job) => shapes::one_job(version, &state, job),
                    None => return shapes::no_such_job(version),
                }
            }
            ("slurm", "nodes", None) => shapes::nodes(version, &state),
            ("slurm", "partitions", None) => shapes::partitions(version, &state),
            ("slurm", "shares", None) if version.has_shares() => shapes::shares(&state),
            ("slurmdb", "jobs", None) if self.options.accounting => shapes::past(version, &state, query),
            ("slurmdb", "associations", None) if self.options.accounting => {
                shapes::associations(version, &state)
            }
            _ => return unknown(),
        };
        (StatusCode::OK, body)
    }

    fn refuses(&self, request: &Request) -> bool {
        let Some(token) = &self.options.token else {
            return false;
        };
        let header = |name: &str| {
            let value = request.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let bearer =
            header("authorization").and_then(|value| Some(value.strip_prefix("Bearer ")?.to_owned()));
        header("x-slurm-user-token").or(bearer).as_ref() != Some(token)
    }
}

fn unknown() -> (StatusCode, Value) {
    (
        StatusCode::NOT_FOUND,
        json!("Unable find requested URL. Please view /openapi/v3 for API reference."),
    )
}

async fn answer(State(server): State<Slurmrestd>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let query = request.uri().query().unwrap_or_default().to_owned();
    {
        let mut asked = server.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.len() < MOST_ASKED {
            asked.push(format!("{} {path}?{query}", request.method()));
        }
    }
    let fault = server
        .fault
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    match &fault {
        Some(SlurmFault::Status(status, retry_after)) => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut response = (status, "out of order").into_response();
            if let Some(seconds) = retry_after {
                response.headers_mut().insert("retry-after", (*seconds).into());
            }
            return response;
        }
        Some(SlurmFault::Html) => {
            let page = "<!DOCTYPE html><html><title>Sign in</title></html>";
            return ([("content-type", "text/html")], page).into_response();
        }
        Some(SlurmFault::Slow(time)) => tokio::time::sleep(*time).await,
        Some(SlurmFault::Half) | None => {}
    }
    if request.method() != "GET" {
        return (StatusCode::FORBIDDEN, "this simulation takes no writes").into_response();
    }
    if server.refuses(&request) {
        return (StatusCode::UNAUTHORIZED, "Authentication failure").into_response();
    }
    // 22.05 takes no colon in a query that is not encoded.
    if query.contains(':') && server.options.versions == ["v0.0.38"] {
        return (StatusCode::BAD_REQUEST, "Unable to parse query.").into_response();
    }
    let (status, body) = server.body(&path, &query);
    if let Value::String(text) = &body {
        return (status, text.clone()).into_response();
    }
    // The real one escapes slashes.
    let text = body.to_string().replace('/', "\\/");
    if fault == Some(SlurmFault::Half) {
        let length = text.len();
        let half: String = text.chars().take(length / 2).collect();
        // The head and the first half must be on their way before the connection breaks.
        let chunk = futures_util::stream::unfold(Some(half), |half| async move {
            match half {
                Some(half) if !half.is_empty() => Some((Ok(half), Some(String::new()))),
                Some(_) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Some((Err(std::io::Error::other("cut off")), None))
                }
                None => None,
            }
        });
        return (
            [("content-type", "application/json".to_owned())],
            Body::from_stream(chunk),
        )
            .into_response();
    }
    (status, [("content-type", "application/json")], text).into_response()
}
