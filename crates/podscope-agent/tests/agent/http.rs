//! `/v1/*`: the agent API over HTTP, and its errors.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use podscope_model::labels::Labels;
use podscope_model::leaf::{
    AgentApi, ApiError, ApiErrorKind, LeafQuery, LeafValue, Limits, NodeInfo, SeriesAnswer, SeriesQuery,
    Shape, Target,
};
use podscope_model::matcher::Matcher;
use podscope_model::sample::Grid;
use podscope_model::scope::Scope;
use podscope_model::wire;

use crate::cluster::{Answer, Node, T0};

fn leaf_query(expr: &str) -> LeafQuery {
    LeafQuery {
        expr: expr.to_owned(),
        shape: Shape::Steps,
        grid: Grid {
            start_ms: T0 + 600_000,
            end_ms: T0 + 660_000,
            step_ms: 30_000,
        },
        lookback_ms: 300_000,
        target: Target::default(),
        user: None,
        limits: Limits::default(),
    }
}

#[track_caller]
fn api_error(answer: &Answer, kind: ApiErrorKind) -> String {
    let error: ApiError =
        serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("{}", answer.text()));
    assert_eq!(error.kind, kind, "{}", error.message);
    assert_eq!(answer.status.as_u16(), kind.status());
    error.message
}

#[tokio::test]
async fn a_leaf_query_is_answered_as_arrow_with_what_was_covered() {
    let node = Node::filled();
    let mut query = leaf_query("rate(work_total{cpu=\"1\"}[1m])");
    query.target.instance = "n1".to_owned();
    query.target.labels = BTreeMap::from([("cluster".to_owned(), "c9".to_owned())]);
    let answer = node.post_json("/v1/query", &query).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.content_type, wire::CONTENT_TYPE);
    let decoded = wire::decode(answer.body.into()).expect("an answer");
    assert_eq!(decoded.leaf_id, node.state.history().leaf_id());
    assert_eq!(decoded.instance, "n1");
    assert_eq!(decoded.grid, query.grid);
    assert_eq!(decoded.covered, [(query.grid.start_ms, query.grid.end_ms)]);
    assert!(decoded.stats.samples_read > 0);
    let LeafValue::Steps(series) = decoded.value else {
        panic!("steps were asked for")
    };
    assert_eq!(series.len(), 1);
    let wanted = Labels::from_pairs([
        ("cpu", "1"),
        ("instance", "n1"),
        ("job", "node"),
        ("cluster", "c9"),
    ]);
    assert_eq!(
        series[0].labels, wanted,
        "the target list's labels, not the agent's own"
    );
    assert_eq!(series[0].values, [2.0, 2.0, 2.0]);
}

#[tokio::test]
async fn coverage_needs_no_expression() {
    let node = Node::filled();
    let mut query = leaf_query("");
    query.shape = Shape::Coverage;
    query.grid = Grid {
        start_ms: T0 - 60_000,
        end_ms: T0 + 60_000,
        step_ms: 60_000,
    };
    let answer = node.state.query(query).await.expect("an answer");
    assert!(matches!(answer.value, LeafValue::None));
    assert_eq!(answer.covered, [(T0, T0 + 60_000)]);
}

#[tokio::test]
async fn another_nodes_name_is_an_error_that_names_both() {
    let node = Node::filled();
    let mut query = leaf_query("level");
    query.target.instance = "n2".to_owned();
    let message = api_error(
        &node.post_json("/v1/query", &query).await,
        ApiErrorKind::WrongInstance,
    );
    assert!(
        message.contains("\"n1\"") && message.contains("\"n2\""),
        "{message}"
    );
}

#[tokio::test]
async fn a_question_held_to_one_user_is_answered_with_what_is_theirs_and_public() {
    let node = Node::filled();
    let series = async |user: Option<Scope>| {
        let query = SeriesQuery {
            selectors: Vec::new(),
            start_ms: T0,
            end_ms: T0 + 600_000,
            target: Target::default(),
            user,
            limits: Limits::default(),
        };
        let answer: SeriesAnswer =
            serde_json::from_slice(&node.post_json("/v1/series", &query).await.body).expect("an answer");
        answer.series.len()
    };
    let steps = async |expr: &str, user: Scope| {
        let mut query = leaf_query(expr);
        query.user = Some(user);
        let answer = node.state.query(query).await.expect("an answer");
        let LeafValue::Steps(series) = answer.value else {
            panic!("steps were asked for")
        };
        series.len()
    };
    let public = Scope {
        name: "alice".to_owned(),
        public: vec!["lev*".to_owned()],
    };
    assert!(series(None).await > 1);
    assert_eq!(series(Some(Scope::only("alice"))).await, 0);
    assert_eq!(series(Some(public.clone())).await, 1);
    for expr in [
        "level",
        "{__name__=~\".+\"}",
        "label_replace(level, \"user\", \"alice\", \"\", \"\")",
        "max_over_time(sum(level)[5m:30s])",
        "work_total or level",
        "level{user=\"\"} or level{user!=\"alice\"}",
    ] {
        assert_eq!(steps(expr, Scope::only("alice")).await, 0, "{expr}");
        assert_eq!(steps(expr, Scope::only("")).await, 0, "{expr}");
    }
    assert_eq!(steps("level", public.clone()).await, 1);
    assert_eq!(steps("work_total or level", public).await, 1);
}

#[tokio::test]
async fn what_is_wrong_with_a_leaf_query_is_told_by_kind() {
    let node = Node::filled();
    api_error(
        &node.post_json("/v1/query", &leaf_query("rate(")).await,
        ApiErrorKind::BadData,
    );
    let mut backwards = leaf_query("level");
    backwards.grid.end_ms = 0;
    api_error(
        &node.post_json("/v1/query", &backwards).await,
        ApiErrorKind::BadData,
    );
    let mut fine = leaf_query("level");
    fine.grid.step_ms = 1;
    let message = api_error(&node.post_json("/v1/query", &fine).await, ApiErrorKind::Limit);
    assert!(message.contains("60001 steps, 11000 are allowed"), "{message}");
    let mut greedy = leaf_query("{job=\"node\"}");
    greedy.limits.max_series = 2;
    api_error(&node.post_json("/v1/query", &greedy).await, ApiErrorKind::Limit);
    let garbage = node
        .post_json("/v1/query", &serde_json::json!({ "expr": "level" }))
        .await;
    assert_eq!(garbage.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(garbage.text().contains("/v1/openapi.json"), "{}", garbage.text());
}

#[tokio::test]
async fn a_request_may_ask_for_less_than_the_limit_but_not_for_more() {
    let node = Node::filled();
    let mut live = (*node.state.live()).clone();
    live.limits.max_samples = 10;
    node.state.set_live(live);
    let mut query = leaf_query("sum_over_time(level[5m])");
    query.limits.max_samples = u64::MAX;
    let message = api_error(&node.post_json("/v1/query", &query).await, ApiErrorKind::Limit);
    assert!(message.contains("more than 10 samples"), "{message}");
}

#[tokio::test]
async fn series_are_listed_by_any_selector() {
    let node = Node::filled();
    let mut query = SeriesQuery {
        selectors: vec![
            vec![Matcher::equal("cpu", "0")],
            vec![Matcher::equal("__name__", "work_total")],
        ],
        start_ms: T0,
        end_ms: T0 + 3_600_000,
        target: Target::default(),
        user: None,
        limits: Limits::default(),
    };
    let answer = node.post_json("/v1/series", &query).await;
    let listed: SeriesAnswer = serde_json::from_slice(&answer.body).expect("an answer");
    assert_eq!(listed.series.len(), 2, "the one that both match is listed once");
    query.selectors.clear();
    let all = node.state.series(query).await.expect("an answer");
    assert_eq!(all.series.len(), 3);
}

#[tokio::test]
async fn info_tells_who_and_what() {
    let node = Node::filled();
    let answer = node.get("/v1/info").await;
    let info: NodeInfo = serde_json::from_slice(&answer.body).expect("an inventory");
    assert_eq!(info.instance, "n1");
    assert_eq!(info.labels.get("rack").map(String::as_str), Some("r12"));
    assert_eq!((info.oldest_ms, info.newest_ms), (Some(T0), Some(T0 + 3_600_000)));
    assert_eq!(info.collectors.len(), 1);
    assert_eq!(info.collectors[0].series, 3);
    assert_eq!(info.metrics["level"].interval_ms, 1000);
    assert!(info.gpus.is_empty());
}

#[tokio::test]
async fn a_body_too_large_is_refused() {
    let node = Node::new();
    let request = Request::post("/v1/query")
        .header("host", "localhost")
        .header("content-type", "application/json")
        .body(Body::from(vec![b' '; 2 << 20]))
        .expect("a request");
    assert_eq!(node.send(request).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let form = format!("query={}", "1".repeat(2 << 20));
    assert_eq!(
        node.post_form("/api/v1/query", &form).await.status,
        StatusCode::BAD_REQUEST
    );
}

#[tokio::test]
async fn the_openapi_document_is_served() {
    let answer = Node::new().get("/v1/openapi.json").await;
    assert_eq!(answer.content_type, "application/json");
    assert!(answer.json()["paths"].as_object().expect("paths").len() > 15);
}
