//! NVUE's REST API of all switches of a fabric, on one address: `http://<address>/<switch>/nvue_v1/...`. A real switch has it at
//! `https://<switch>:8765/nvue_v1/...`; the path before `nvue_v1` is the only difference.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};

use super::answers;
use super::world::{FabricWorld, SwitchState};

/// Tells the simulated time, in Unix milliseconds.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// How the simulated switches behave.
#[derive(Clone, Debug)]
pub struct NvueOptions {
    pub user: String,
    pub password: String,
    /// 60 minutes, unless the operator set another time; 0 gives no tokens.
    pub token_minutes: u64,
    /// Queues stand in the answer about all interfaces.
    pub queues_together: bool,
    /// Queues of one interface are at `/interface/{id}/qos/counters`, as up to 5.4.
    pub old_paths: bool,
    /// Numbers are text, some with a unit, as some releases write them.
    pub text_numbers: bool,
}

impl Default for NvueOptions {
    fn default() -> Self {
        Self {
            user: "podscope".to_owned(),
            password: "read-only-please".to_owned(),
            token_minutes: 60,
            queues_together: true,
            old_paths: false,
            text_numbers: false,
        }
    }
}

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct NvueServer {
    pub addr: SocketAddr,
    calls: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for NvueServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Shared {
    world: Arc<dyn FabricWorld>,
    clock: Clock,
    options: NvueOptions,
    /// Which switch gave which token when.
    tokens: Mutex<HashMap<String, (String, i64)>>,
    calls: Arc<AtomicU64>,
}

impl Shared {
    fn tokens(&self) -> MutexGuard<'_, HashMap<String, (String, i64)>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl NvueServer {
    /// Serves on a free port of loopback.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start(
        world: Arc<dyn FabricWorld>,
        clock: Clock,
        options: NvueOptions,
    ) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = listener.local_addr()?;
        let calls = Arc::<AtomicU64>::default();
        let shared = Arc::new(Shared {
            world,
            clock,
            options,
            tokens: Mutex::default(),
            calls: Arc::clone(&calls),
        });
        let app = Router::new()
            .route("/{switch}/nvue_v1/{*path}", get(answer))
            .with_state(shared);
        let task = tokio::spawn(async move {
            // It ends with the task.
            drop(axum::serve(listener, app).await);
        });
        Ok(Self { addr, calls, task })
    }

    /// The URL of a switch.
    pub fn url(&self, switch: &str) -> String {
        format!("http://{}/{switch}", self.addr)
    }

    /// Requests answered so far, those for tokens included.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    Path((switch, path)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    shared.calls.fetch_add(1, Ordering::Relaxed);
    let now_ms = (shared.clock)();
    let Some(state) = shared.world.at(&switch, now_ms) else {
        // nginx of a switch whose nvued is not up yet.
        let page = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
        return (StatusCode::BAD_GATEWAY, [("content-type", "text/html")], page).into_response();
    };
    let query = query.unwrap_or_default();
    if path == "api-token" {
        return token(&shared, &switch, &headers, now_ms);
    }
    if !may_ask(&shared, &state, &headers, now_ms) {
        return failure(StatusCode::UNAUTHORIZED, "Unauthorized", "");
    }
    let operational = query.split('&').any(|pair| pair == "rev=operational");
    match shared.options.answer(&state, &path, operational, now_ms) {
        Some(value) => axum::Json(value).into_response(),
        None => failure(
            StatusCode::NOT_FOUND,
            "Not Found",
            "The requested URL was not found on the server.",
        ),
    }
}

fn failure(status: StatusCode, title: &str, detail: &str) -> Response {
    let body = json!({ "detail": detail, "title": title, "status": status.as_u16(), "type": "about:blank" });
    (status, axum::Json(body)).into_response()
}

/// Whether user and password were sent.
fn knows_password(shared: &Shared, headers: &HeaderMap) -> bool {
    let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
    let pair = format!("{}:{}", shared.options.user, shared.options.password);
    sent.and_then(|sent| sent.strip_prefix("Basic "))
        .is_some_and(|sent| sent == answers::base64(pair.as_bytes()))
}

fn token(shared: &Shared, switch: &str, headers: &HeaderMap, now_ms: i64) -> Response {
    if !knows_password(shared, headers) {
        return failure(StatusCode::UNAUTHORIZED, "Unauthorized", "");
    }
    if shared.options.token_minutes == 0 {
        return failure(StatusCode::NOT_FOUND, "Not Found", "");
    }
    let mut tokens = shared.tokens();
    let token = format!("eyJhbGciOiJIUzI1NiJ9.{}.{switch}", tokens.len());
    tokens.insert(token.clone(), (switch.to_owned(), now_ms));
    axum::Json(json!({ "token": token })).into_response()
}

fn may_ask(shared: &Shared, state: &SwitchState, headers: &HeaderMap, now_ms: i64) -> bool {
    if knows_password(shared, headers) {
        return true;
    }
    let sent = headers.get("authorization").and_then(|value| value.to_str().ok());
    let Some(token) = sent.and_then(|sent| sent.strip_prefix("Bearer ")) else {
        return false;
    };
    let tokens = shared.tokens();
    let Some((switch, given_ms)) = tokens.get(token) else {
        return false;
    };
    let age_ms = now_ms - given_ms;
    let lifetime_ms = i64::try_from(shared.options.token_minutes)
        .unwrap_or(i64::MAX)
        .saturating_mul(60_000);
    // A restart forgets all tokens.
    let up_ms = i64::try_from(state.uptime_seconds)
        .unwrap_or(i64::MAX)
        .saturating_mul(1000);
    *switch == state.name && age_ms <= lifetime_ms && age_ms <= up_ms
}

impl NvueOptions {
    /// What is at a path; `None`: nothing.
    fn answer(&self, state: &SwitchState, path: &str, operational: bool, now_ms: i64) -> Option<Value> {
        let form = answers::Form {
            text_numbers: self.text_numbers,
        };
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        Some(match parts.as_slice() {
            ["system"] => answers::system(state),
            ["revision"] => answers::revisions(state),
            ["interface"] => {
                answers::interfaces(state, form, operational, self.queues_together && operational)
            }
            ["interface", name, rest @ ..] => {
                let interface = state.interfaces.iter().find(|one| one.name == *name)?;
                match rest {
                    ["counters", "qos"] if !self.old_paths => form.qos(interface),
                    ["qos", "counters"] if self.old_paths => form.qos(interface),
                    ["qos", "roce", "counters"] => form.roce(interface, 3),
                    _ => return None,
                }
            }
            ["vrf", "default", "router", "bgp", "neighbor"] if operational => answers::neighbors(state),
            ["evpn", "multihoming", "esi"] if operational => answers::segments(state),
            ["platform", "environment", "temperature"] => {
                json!({"CPU": {"current": 41, "max": 95, "crit": 100, "min": 0, "state": "ok"}})
            }
            ["system", "health"] => json!({"status": "OK", "status-led": "green", "at": now_ms}),
            _ => return None,
        })
    }
}
