//! The preview page: the dashboards' panels drawn from the plugin's own frames, without Grafana. The plugin runs under the
//! built-in plugin host; the paths and bodies are Grafana's. Listens on loopback and checks Host, since it has no login.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path as UrlPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{any, get, post};
use clap::Args;
use podscope_testkit::plugin_host::{PluginHost, Source, ds_query_request, ds_query_response};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::demo::plugin_executable;

#[derive(Debug, Args)]
pub(crate) struct PreviewArguments {
    /// The folder that holds dashboards/ and the built preview page.
    #[arg(long)]
    home: PathBuf,
    /// The plugin's folder.
    #[arg(long)]
    plugin: PathBuf,
    /// The datasource's jsonData, as a file.
    #[arg(long)]
    settings: PathBuf,
    #[arg(long, default_value_t = 3000)]
    port: u16,
}

struct Preview {
    executable: PathBuf,
    /// `None` after the plugin ended, until the next request starts it again.
    host: RwLock<Option<Arc<PluginHost>>>,
    source: Source,
    dashboards: PathBuf,
    assets: PathBuf,
    port: u16,
}

/// An answer in Grafana's error form.
struct Fault(StatusCode, String);

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (self.0, axum::Json(json!({ "message": self.1 }))).into_response()
    }
}

impl Preview {
    /// The running plugin; Grafana too starts it again when it ended.
    async fn host(&self) -> Result<Arc<PluginHost>, Fault> {
        if let Some(host) = self.host.read().await.as_ref()
            && host
                .pid()
                .is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists())
        {
            return Ok(Arc::clone(host));
        }
        let mut slot = self.host.write().await;
        let started = PluginHost::start(&self.executable)
            .await
            .map_err(|error| Fault(StatusCode::BAD_GATEWAY, error.to_string()))?;
        let host = Arc::new(started);
        *slot = Some(Arc::clone(&host));
        Ok(host)
    }
}

/// The key of the settings file under which its secrets stand.
pub(crate) const SECRETS: &str = "secureJsonData";

pub(crate) async fn run(arguments: PreviewArguments) -> anyhow::Result<()> {
    let settings = std::fs::read_to_string(&arguments.settings)
        .with_context(|| format!("reading {}", arguments.settings.display()))?;
    let mut settings: Value = serde_json::from_str(&settings)
        .with_context(|| format!("parsing {}", arguments.settings.display()))?;
    let secrets = settings
        .as_object_mut()
        .and_then(|settings| settings.remove(SECRETS))
        .map(serde_json::from_value)
        .transpose()
        .with_context(|| format!("`{SECRETS}` of {}", arguments.settings.display()))?
        .unwrap_or_default();
    let assets = arguments.home.join("frontend/dist-preview");
    if !assets.join("preview.js").is_file() {
        bail!(
            "{} holds no built preview page; run `npm --prefix frontend run build`",
            assets.display()
        );
    }
    let preview = Arc::new(Preview {
        executable: plugin_executable(&arguments.plugin)?,
        host: RwLock::new(None),
        source: Source {
            secrets,
            ..Source::new(settings)
        },
        dashboards: arguments.home.join("dashboards"),
        assets,
        port: arguments.port,
    });
    // The first query should not wait for it, and a plugin that cannot start is better said now.
    if let Err(Fault(_, message)) = preview.host().await {
        bail!("{message}");
    }
    let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), arguments.port);
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .with_context(|| format!("listening on {address}"))?;
    axum::serve(listener, router(Arc::clone(&preview)))
        .with_graceful_shutdown(terminated())
        .await
        .context("serving the preview page")?;
    if let Some(host) = preview.host.write().await.take().and_then(Arc::into_inner) {
        host.stop().await.context("stopping the plugin")?;
    }
    Ok(())
}

async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
        (Ok(mut terminate), Ok(mut interrupt)) => {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
        }
        // Without handlers the signals end the process by themselves.
        _ => std::future::pending().await,
    }
}

fn router(preview: Arc<Preview>) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/d/podscope-node") }))
        .route("/d/{uid}", get(page))
        .route("/assets/{*path}", get(asset))
        .route(
            "/api/health",
            get(|| async { axum::Json(json!({ "database": "ok", "version": env!("CARGO_PKG_VERSION") })) }),
        )
        .route("/api/dashboards", get(list))
        .route("/api/dashboards/uid/{uid}", get(dashboard))
        .route("/api/ds/query", post(query))
        .route("/api/datasources/uid/{uid}/health", get(health))
        .route("/api/datasources/uid/{uid}/resources/{*path}", any(resource))
        .layer(from_fn_with_state(Arc::clone(&preview), check_host))
        .with_state(preview)
}

/// A page of another site must not reach us by a name that it lets point to loopback.
async fn check_host(State(preview): State<Arc<Preview>>, request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let allowed = ["127.0.0.1", "localhost", "[::1]"].map(|name| format!("{name}:{}", preview.port));
    if !allowed.iter().any(|name| name == host) {
        return Fault(
            StatusCode::FORBIDDEN,
            format!("the preview answers only to {}", allowed.join(", ")),
        )
        .into_response();
    }
    next.run(request).await
}

async fn page(State(preview): State<Arc<Preview>>) -> Result<Response, Fault> {
    file(&preview.assets, "index.html").await
}

async fn asset(
    State(preview): State<Arc<Preview>>,
    UrlPath(path): UrlPath<String>,
) -> Result<Response, Fault> {
    file(&preview.assets, &path).await
}

async fn file(folder: &Path, path: &str) -> Result<Response, Fault> {
    let missing = || Fault(StatusCode::NOT_FOUND, format!("there is no {path}"));
    if path
        .split('/')
        .any(|part| part.is_empty() || part.starts_with('.'))
    {
        return Err(missing());
    }
    let kind = match path.rsplit_once('.').map(|(_, end)| end) {
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        Some("svg") => "image/svg+xml",
        Some("html") => "text/html; charset=utf-8",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    };
    let body = tokio::fs::read(folder.join(path)).await.map_err(|_| missing())?;
    Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
}

async fn list(State(preview): State<Arc<Preview>>) -> Result<axum::Json<Value>, Fault> {
    let read = |error: std::io::Error| {
        Fault(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("reading {}: {error}", preview.dashboards.display()),
        )
    };
    let mut entries = tokio::fs::read_dir(&preview.dashboards).await.map_err(read)?;
    let mut found = Vec::new();
    while let Some(entry) = entries.next_entry().await.map_err(read)? {
        if entry.path().extension().is_some_and(|end| end == "json") {
            let text = tokio::fs::read_to_string(entry.path()).await.map_err(read)?;
            let board: Value = serde_json::from_str(&text).map_err(|error| {
                Fault(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    format!("{}: {error}", entry.path().display()),
                )
            })?;
            found.push(json!({ "uid": board["uid"], "title": board["title"] }));
        }
    }
    found.sort_by_key(|entry| entry["title"].as_str().map(str::to_owned));
    Ok(axum::Json(Value::Array(found)))
}

async fn dashboard(
    State(preview): State<Arc<Preview>>,
    UrlPath(uid): UrlPath<String>,
) -> Result<Response, Fault> {
    let plain = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    let missing = || Fault(StatusCode::NOT_FOUND, format!("there is no dashboard {uid:?}"));
    if uid.is_empty() || !uid.chars().all(plain) {
        return Err(missing());
    }
    let body = tokio::fs::read(preview.dashboards.join(format!("{uid}.json")))
        .await
        .map_err(|_| missing())?;
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

async fn query(State(preview): State<Arc<Preview>>, body: Bytes) -> Result<Response, Fault> {
    let body: Value = serde_json::from_slice(&body)
        .map_err(|error| Fault(StatusCode::BAD_REQUEST, format!("the body is not JSON: {error}")))?;
    let now = jiff::Timestamp::now().as_millisecond();
    let request = ds_query_request(preview.source.clone(), &body, now)
        .map_err(|error| Fault(StatusCode::BAD_REQUEST, error.to_string()))?;
    let host = preview.host().await?;
    let answers = host
        .query_data(&request)
        .await
        .map_err(|error| Fault(StatusCode::BAD_GATEWAY, error.to_string()))?;
    let (status, body) = ds_query_response(&answers);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Ok((status, axum::Json(body)).into_response())
}

async fn health(State(preview): State<Arc<Preview>>) -> Result<Response, Fault> {
    let host = preview.host().await?;
    let health = host
        .check_health(&preview.source)
        .await
        .map_err(|error| Fault(StatusCode::BAD_GATEWAY, error.to_string()))?;
    let status = if health.ok {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    let word = if health.ok { "OK" } else { "ERROR" };
    let body = json!({ "status": word, "message": health.message, "details": health.details });
    Ok((status, axum::Json(body)).into_response())
}

async fn resource(
    State(preview): State<Arc<Preview>>,
    UrlPath((_, path)): UrlPath<(String, String)>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Fault> {
    let url = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.clone(),
    };
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let host = preview.host().await?;
    let answer = host
        .call_resource(
            &preview.source,
            method.as_str(),
            &url,
            &[("Content-Type", content_type)],
            body,
        )
        .await
        .map_err(|error| Fault(StatusCode::BAD_GATEWAY, error.to_string()))?;
    let status = u16::try_from(answer.status)
        .ok()
        .and_then(|code| StatusCode::from_u16(code).ok());
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = status.unwrap_or(StatusCode::BAD_GATEWAY);
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    Ok(response)
}
