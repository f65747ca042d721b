//! The agent's HTTP surface. One table lists every route; the OpenAPI document is tested against it.

mod answer;
mod control;
mod events;
mod guard;
mod jobs;
mod leaf;
mod otlp;
mod prometheus;
mod write;

pub(crate) use guard::may_write;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use podscope_model::leaf::{ApiError, ApiErrorKind};

use crate::state::AgentState;

/// A query's text is at most 64 KiB; a series request may carry several selectors.
const MAX_BODY_BYTES: usize = 1 << 20;

/// One path, the methods it takes, and who answers.
struct Route {
    path: &'static str,
    // Read by the test that holds the OpenAPI document against this table.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "axum cannot be asked for the methods of a MethodRouter")
    )]
    methods: &'static [&'static str],
    answer: MethodRouter<Arc<AgentState>>,
}

fn routes() -> Vec<Route> {
    let route = |path, methods, answer| Route {
        path,
        methods,
        answer,
    };
    vec![
        route("/v1/query", &["post"], post(leaf::query)),
        route("/v1/series", &["post"], post(leaf::series)),
        route(
            "/v1/events",
            &["get", "post"],
            get(events::list).post(events::add),
        ),
        route("/v1/events/search", &["post"], post(events::search)),
        route("/v1/events/alertmanager", &["post"], post(events::alertmanager)),
        route("/v1/events/{id}", &["get"], get(events::one)),
        route("/v1/import", &["post"], large(post(write::import))),
        route("/v1/metrics", &["post"], large(post(otlp::export))),
        route("/api/v1/write", &["post"], large(post(write::remote_write))),
        route("/v1/jobs", &["post"], post(jobs::search)),
        route("/v1/labels", &["post"], post(leaf::labels)),
        route("/v1/info", &["get"], get(leaf::info)),
        route("/v1/inventory", &["get"], get(leaf::inventory)),
        route("/v1/openapi.json", &["get"], get(leaf::openapi)),
        route("/metrics", &["get"], get(control::metrics)),
        route(guard::OPEN_PATH, &["get"], get(control::healthy)),
        route("/-/ready", &["get"], get(control::ready)),
        route("/-/reload", &["post"], post(control::reload)),
        route(
            "/api/v1/query",
            &["get", "post"],
            get(prometheus::query).post(prometheus::query),
        ),
        route(
            "/api/v1/query_range",
            &["get", "post"],
            get(prometheus::query_range).post(prometheus::query_range),
        ),
        route(
            "/api/v1/series",
            &["get", "post"],
            get(prometheus::series).post(prometheus::series),
        ),
        route(
            "/api/v1/labels",
            &["get", "post"],
            get(prometheus::labels).post(prometheus::labels),
        ),
        route(
            "/api/v1/label/{name}/values",
            &["get"],
            get(prometheus::label_values),
        ),
        route("/api/v1/metadata", &["get"], get(prometheus::metadata)),
        route("/api/v1/targets", &["get"], get(prometheus::targets)),
        route("/api/v1/rules", &["get"], get(prometheus::rules)),
        route("/api/v1/alerts", &["get"], get(prometheus::alerts)),
        route("/api/v1/status/buildinfo", &["get"], get(prometheus::build_info)),
        route(
            "/api/v1/status/runtimeinfo",
            &["get"],
            get(prometheus::runtime_info),
        ),
        route("/api/v1/status/flags", &["get"], get(prometheus::flags)),
        route("/api/v1/status/tsdb", &["get"], get(prometheus::tsdb)),
    ]
}

/// Samples come in larger pieces than questions.
fn large(answer: MethodRouter<Arc<AgentState>>) -> MethodRouter<Arc<AgentState>> {
    answer.layer(DefaultBodyLimit::max(write::MAX_BODY))
}

/// Everything an agent serves.
pub fn router(state: Arc<AgentState>) -> Router {
    let mut router = Router::new();
    for route in routes() {
        router = router.route(route.path, route.answer);
    }
    router
        .fallback(not_found)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&state),
            guard::guard,
        ))
        .with_state(state)
}

async fn not_found(uri: axum::http::Uri) -> Response {
    let message = format!(
        "nothing is served at {:?}; /v1/openapi.json lists what is",
        uri.path()
    );
    let error = ApiError::new(ApiErrorKind::BadData, message);
    (axum::http::StatusCode::NOT_FOUND, axum::Json(error)).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_openapi_document_lists_exactly_the_routes_there_are() {
        let document: serde_json::Value = serde_json::from_str(leaf::OPENAPI).expect("JSON");
        let paths = document["paths"].as_object().expect("an object of paths");
        let documented: BTreeSet<String> = paths
            .iter()
            .flat_map(|(path, methods)| {
                methods
                    .as_object()
                    .expect("methods")
                    .keys()
                    .map(move |method| format!("{method} {path}"))
            })
            .collect();
        let served: BTreeSet<String> = routes()
            .iter()
            .flat_map(|route| {
                route
                    .methods
                    .iter()
                    .map(|method| format!("{method} {}", route.path))
            })
            .collect();
        assert_eq!(documented, served);
        assert!(served.len() > 20);
    }
}
