//! What the editor, the config page and the app's pages ask over HTTP, below `/api/datasources/uid/<uid>/resources/`.
//!
//! `api/v1/*` answers as the Prometheus HTTP API does (GET with a query string, or POST with a form), so that
//! `@prometheus-io/codemirror-promql` and other habits of Prometheus's world work. Beside it: `parse`, `functions` and
//! `inventory` and `jobs`.

mod inventory;
mod jobs;
mod params;
mod prometheus;

use std::io::Write;
use std::sync::Arc;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use podscope_model::scope::Scope;
use podscope_promql::ValueType;
use serde_json::{Value, json};

use crate::instances::Instance;
use crate::plugin::Plugin;
use crate::query::macros::{self, Times};
use crate::request::{ResourceRequest, ResourceResponse};
use params::Params;

/// Answers shorter than this are not worth compressing.
const GZIP_FROM: usize = 1024;

/// A data source, and what the person who asks may see of it.
struct Asker {
    instance: Arc<Instance>,
    /// `None`: everything.
    scope: Option<Scope>,
}

/// An answer before it becomes bytes.
struct Reply {
    status: u16,
    /// JSON.
    body: String,
}

impl Reply {
    fn ok(body: &Value) -> Self {
        Self {
            status: 200,
            body: body.to_string(),
        }
    }

    /// An error in the form of the Prometheus HTTP API.
    fn error(status: u16, kind: &str, message: impl AsRef<str>) -> Self {
        Self {
            status,
            body: podscope_promql::api_json::error(kind, message.as_ref()),
        }
    }
}

/// Answers one request.
pub async fn answer(plugin: &Plugin, request: ResourceRequest) -> ResourceResponse {
    let gzip = request.gzip;
    let reply = route(plugin, &request).await;
    let body = reply.body.into_bytes();
    let (content_encoding, body) = match gzip.then(|| compress(&body)).flatten() {
        Some(small) => (Some("gzip"), small),
        None => (None, body),
    };
    ResourceResponse {
        status: reply.status,
        content_type: "application/json",
        content_encoding,
        body: Bytes::from(body),
    }
}

/// Grafana does not compress resource answers itself.
fn compress(body: &[u8]) -> Option<Vec<u8>> {
    if body.len() < GZIP_FROM {
        return None;
    }
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    encoder.write_all(body).ok()?;
    encoder.finish().ok()
}

async fn route(plugin: &Plugin, request: &ResourceRequest) -> Reply {
    if !matches!(request.method.as_str(), "GET" | "POST" | "") {
        return Reply::error(
            405,
            "bad_data",
            format!("{} is not answered here; use GET or POST", request.method),
        );
    }
    let params = Params::read(request);
    let path = request.path.trim_matches('/');
    match path {
        "parse" => return Reply::ok(&parse(params.get("expr").unwrap_or_default())),
        "functions" => return Reply::ok(&json!(podscope_promql::function_names())),
        _ => {}
    }
    if !matches!(path, "inventory" | "jobs") && !prometheus::knows(path) {
        return Reply::error(404, "not_found", format!("there is no resource {path:?}"));
    }
    let asker = plugin.instances.get(&request.context).and_then(|instance| {
        let scope = instance.settings.scope.of(request.context.user.as_ref())?;
        Ok(Asker { instance, scope })
    });
    let asker = match asker {
        Ok(asker) => asker,
        Err(error) => return Reply::error(error.status(), "bad_data", error.text()),
    };
    match path {
        "inventory" => Reply::ok(&inventory::list(&asker).await),
        "jobs" => jobs::list(&asker, &params).await,
        _ => prometheus::answer(&asker, path, &params).await,
    }
}

/// Whether an expression is well formed, and what it is. Time macros count as durations.
fn parse(expr: &str) -> Value {
    let stand_in = Times {
        step_ms: 60_000,
        rate_ms: 60_000,
        range_ms: 3_600_000,
    };
    match podscope_promql::parse(&macros::expand(expr, stand_in)) {
        Ok(parsed) => {
            let kind = match parsed.value_type() {
                ValueType::Scalar => "scalar",
                ValueType::String => "string",
                ValueType::Vector => "vector",
                ValueType::Matrix => "matrix",
            };
            json!({ "ok": true, "type": kind })
        }
        Err(error) => {
            // Behind the first macro, positions are those of another text.
            let first_macro = expr.find('$').unwrap_or(usize::MAX);
            let position = error
                .position
                .filter(|position| *position <= first_macro && *position <= expr.len());
            json!({ "ok": false, "error": error.message, "position": position })
        }
    }
}

#[cfg(test)]
mod tests;
