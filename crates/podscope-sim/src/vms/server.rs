//! The router, and what can be made to go wrong.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::access::Access;
use super::totals::{Totals, loads};
use super::world::{Load, VmsState, VmsWorld};
use super::{flows, lists, monitors};

/// Requests longer than this are refused, as an old uwsgi does.
const MAX_TARGET: usize = 4096;
/// States that are kept: the rows of one answer share them.
const STATES: usize = 8192;

/// Who may ask.
#[derive(Clone, Debug)]
pub struct VmsAccess {
    pub user: String,
    pub password: String,
    /// `Authorization: Api-Token ...`
    pub api_token: String,
    /// How long a JWT is good.
    pub access_lives: Duration,
}

impl Default for VmsAccess {
    fn default() -> Self {
        Self {
            user: "podscope".to_owned(),
            password: "read-only-1".to_owned(),
            api_token: "vast-token-1".to_owned(),
            access_lives: Duration::from_secs(3600),
        }
    }
}

/// How the server is set up.
#[derive(Clone, Debug, Default)]
pub struct VmsOptions {
    pub access: VmsAccess,
    /// 127.0.0.1 at this port; 0: a free one.
    pub port: u16,
    /// Certificate chain and key in PEM; without, the server speaks plain HTTP.
    pub tls: Option<(String, String)>,
}

/// What goes wrong with every request but those for tokens, until it is healed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 401 for everything, whatever the credentials.
    Unauthorized,
    /// 429 with `Retry-After`.
    Busy { retry_after_s: u64 },
    /// 503 without a body.
    Unavailable,
    /// 200 with a page of HTML, as a login page in between answers.
    Html,
    /// Half of the JSON, then the connection ends.
    Half,
    /// An answer after so long.
    Slow(Duration),
}

/// A running server; gone when dropped.
#[derive(Debug)]
pub struct SimVms {
    shared: Arc<Shared>,
    address: SocketAddr,
    tls: bool,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for SimVms {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(super) struct Shared {
    pub(super) world: Box<dyn VmsWorld>,
    pub(super) access: Access,
    pub(super) totals: Totals,
    states: Mutex<BTreeMap<i64, Arc<Seen>>>,
    fault: Mutex<Option<Fault>>,
    asked: Mutex<Vec<String>>,
    count: AtomicU64,
    most_at_once: AtomicU64,
    now: AtomicU64,
}

/// A state with what is made of it more than once.
#[derive(Debug)]
pub(super) struct Seen {
    state: VmsState,
    loads: OnceLock<BTreeMap<(u32, String), Load>>,
}

impl Deref for Seen {
    type Target = VmsState;

    fn deref(&self) -> &VmsState {
        &self.state
    }
}

impl Seen {
    /// The loads of every CNode and of the cluster (0), by protocol.
    pub(super) fn loads(&self) -> &BTreeMap<(u32, String), Load> {
        self.loads.get_or_init(|| loads(&self.state))
    }

    pub(super) fn load(&self, cnode: u32, protocol: &str) -> Option<Load> {
        self.loads().get(&(cnode, protocol.to_owned())).copied()
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Shared").finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// The state at an instant, on the ten seconds.
    pub(super) fn state(&self, t_ms: i64) -> Arc<Seen> {
        let at = t_ms - t_ms.rem_euclid(10_000);
        if let Some(state) = locked(&self.states).get(&at) {
            return Arc::clone(state);
        }
        let state = Arc::new(Seen {
            state: self.world.at(at),
            loads: OnceLock::new(),
        });
        let mut states = locked(&self.states);
        if states.len() >= STATES {
            states.pop_first();
        }
        states.insert(at, Arc::clone(&state));
        state
    }
}

impl SimVms {
    /// Listens on loopback. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// A port that is taken, or a certificate that cannot be used.
    pub async fn start(world: impl VmsWorld, options: VmsOptions) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind(("127.0.0.1", options.port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            totals: Totals::new(world.began_ms()),
            world: Box::new(world),
            access: Access::new(options.access),
            states: Mutex::default(),
            fault: Mutex::default(),
            asked: Mutex::default(),
            count: AtomicU64::new(0),
            most_at_once: AtomicU64::new(0),
            now: AtomicU64::new(0),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let tls = options.tls.is_some();
        let task = match options.tls {
            None => {
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tokio::spawn(async move {
                    if let Err(error) = axum::serve(listener, router).await {
                        tracing::error!(%error, "the simulated VMS stopped");
                    }
                })
            }
            Some((certificate, key)) => {
                let config =
                    axum_server::tls_rustls::RustlsConfig::from_pem(certificate.into(), key.into()).await?;
                tokio::spawn(async move {
                    let server = axum_server::from_tcp_rustls(listener, config);
                    let served = match server {
                        Ok(server) => server.serve(router.into_make_service()).await,
                        Err(error) => Err(error),
                    };
                    if let Err(error) = served {
                        tracing::error!(%error, "the simulated VMS stopped");
                    }
                })
            }
        };
        Ok(Self {
            shared,
            address,
            tls,
            task,
        })
    }

    /// Host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }

    /// Lets something go wrong, or heals it.
    pub fn fault(&self, fault: Option<Fault>) {
        *locked(&self.shared.fault) = fault;
    }

    /// Makes every JWT that was given out worthless, refresh tokens too where asked.
    pub fn expire_tokens(&self, refresh_too: bool) {
        self.shared.access.expire(refresh_too);
    }

    /// Requests answered so far, those for tokens too.
    pub fn calls(&self) -> u64 {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// The most requests that were under way at once.
    pub fn most_at_once(&self) -> u64 {
        self.shared.most_at_once.load(Ordering::SeqCst)
    }

    /// Method, path and query of every request so far.
    pub fn asked(&self) -> Vec<String> {
        locked(&self.shared.asked).clone()
    }
}

/// Why a question is not answered.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    detail: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
        }
    }
}

/// An answer that is no success: `{"detail": "..."}`.
pub(super) fn refusal(status: StatusCode, detail: impl Into<String>) -> Response {
    (status, axum::Json(json!({ "detail": detail.into() }))).into_response()
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.count.fetch_add(1, Ordering::SeqCst);
    let now = shared.now.fetch_add(1, Ordering::SeqCst) + 1;
    shared.most_at_once.fetch_max(now, Ordering::SeqCst);
    let (head, body) = request.into_parts();
    {
        let mut asked = locked(&shared.asked);
        if asked.len() < 100_000 {
            asked.push(format!("{} {}", head.method, head.uri));
        }
    }
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    let path = head.uri.path().to_owned();
    let fault = locked(&shared.fault).clone();
    let answered = match fault {
        Some(fault) if !path.contains("/token") => {
            faulty(&shared, fault, &head.method, &head.uri, &head.headers, &body).await
        }
        _ => served(&shared, &head.method, &head.uri, &head.headers, &body).await,
    };
    shared.now.fetch_sub(1, Ordering::SeqCst);
    answered
}

async fn faulty(
    shared: &Arc<Shared>,
    fault: Fault,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    match fault {
        Fault::Unauthorized => refusal(StatusCode::UNAUTHORIZED, "Invalid username/password."),
        Fault::Busy { retry_after_s } => {
            let mut response = refusal(StatusCode::TOO_MANY_REQUESTS, "Request was throttled.");
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, retry_after_s.into());
            response
        }
        Fault::Unavailable => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Fault::Html => (
            [(header::CONTENT_TYPE, "text/html")],
            "<!doctype html><html><head><title>VAST</title></head><body>Sign in</body></html>",
        )
            .into_response(),
        Fault::Half => {
            let whole = served(shared, method, uri, headers, body).await;
            let (mut head, body) = whole.into_parts();
            let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
            head.headers.remove(header::CONTENT_LENGTH);
            Response::from_parts(head, Body::from(bytes.slice(..bytes.len() / 2)))
        }
        Fault::Slow(delay) => {
            tokio::time::sleep(delay).await;
            served(shared, method, uri, headers, body).await
        }
    }
}

/// What stands behind `/api/`, `/api/latest/` or `/api/v1/` to `/api/v7/`; a resource's path ends in a slash.
fn resource(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/api/")?;
    let versioned = rest.split_once('/').and_then(|(version, rest)| {
        let known = version == "latest" || matches!(version, "v1" | "v2" | "v3" | "v4" | "v5" | "v6" | "v7");
        known.then_some(rest)
    });
    versioned.unwrap_or(rest).strip_suffix('/')
}

async fn served(
    shared: &Arc<Shared>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    if uri.path_and_query().map_or(0, |target| target.as_str().len()) > MAX_TARGET {
        return (
            StatusCode::URI_TOO_LONG,
            "<html><h1>414 Request-URI Too Large</h1></html>",
        )
            .into_response();
    }
    let Some(resource) = resource(uri.path()) else {
        // Django sends a path without its slash on to the one with it.
        if uri.path().starts_with("/api/") && *method == Method::GET {
            let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
            let there = format!("{}/{query}", uri.path());
            return (StatusCode::MOVED_PERMANENTLY, [(header::LOCATION, there)]).into_response();
        }
        return refusal(StatusCode::NOT_FOUND, "Not found.");
    };
    if let Some(answer) = shared.access.token_request(method, resource, body) {
        return answer;
    }
    if let Err(detail) = shared.access.check(headers) {
        return refusal(StatusCode::UNAUTHORIZED, detail);
    }
    if *method != Method::GET {
        return refusal(
            StatusCode::METHOD_NOT_ALLOWED,
            format!("Method \"{method}\" not allowed."),
        );
    }
    let params: Vec<(String, String)> = serde_urlencoded_pairs(uri.query().unwrap_or_default());
    let (shared, resource, uri) = (Arc::clone(shared), resource.to_owned(), uri.clone());
    // Rows over hours are work.
    let made = tokio::task::spawn_blocking(move || get(&shared, &resource, &params, &uri)).await;
    made.unwrap_or_else(|_| refusal(StatusCode::INTERNAL_SERVER_ERROR, "internal error"))
}

/// The pairs of a query string.
fn serde_urlencoded_pairs(query: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn get(shared: &Shared, resource: &str, params: &[(String, String)], uri: &Uri) -> Response {
    let answered: Result<Value, Refusal> = match resource {
        "monitors/ad_hoc_query" => monitors::ad_hoc(shared, params),
        "monitors/topn" => flows::topn(shared, params),
        "iodata" => flows::iodata(shared, params),
        other => lists::get(shared, other, params, uri),
    };
    match answered {
        Ok(value) => axum::Json(value).into_response(),
        Err(refused) => refusal(refused.status, refused.detail),
    }
}
