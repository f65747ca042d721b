//! `/v1/*`: the agent API over HTTP, and its errors.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use podscope_model::batch::Row;
use podscope_model::catalog::Job;
use podscope_model::inventory::{Inventory, LabelsAnswer, LabelsQuery};
use podscope_model::labels::Labels;
use podscope_model::leaf::{
    AgentApi, ApiError, ApiErrorKind, LeafQuery, LeafValue, Limits, NodeInfo, SeriesAnswer, SeriesQuery,
    Shape, Target,
};
use podscope_model::matcher::Matcher;
use podscope_model::sample::Grid;
use podscope_model::scope::Scope;
use podscope_model::wire;

use crate::cluster::{Answer, Node, T0, gauge};

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
        route: Default::default(),
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
async fn a_leaf_query_is_answered_as_arrow() {
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
    assert!(decoded.covered.is_empty(), "it was not asked for");
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
            route: Default::default(),
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
        route: Default::default(),
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

#[tokio::test]
async fn an_inventory_that_is_known_is_not_sent_again() {
    let node = Node::filled();
    let first = node.get("/v1/inventory").await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text());
    let inventory: Inventory = serde_json::from_slice(&first.body).expect("an inventory");
    assert_eq!(inventory.leaf_id, node.state.history().leaf_id());
    let names: Vec<&str> = inventory.metrics.keys().map(String::as_str).collect();
    assert_eq!(names, ["level", "work_total"]);
    let shape = inventory.metrics["work_total"]
        .shape
        .expect("a leaf tells its label sets");
    assert_eq!(inventory.shapes[shape].len(), 2);
    let known = |version: &str| {
        let request = axum::http::Request::get("/v1/inventory")
            .header("host", "localhost")
            .header("if-none-match", format!("\"{version}\""));
        node.send(request.body(axum::body::Body::empty()).expect("a request"))
    };
    let again = known(&inventory.version).await;
    assert_eq!((again.status, again.body.len()), (StatusCode::NOT_MODIFIED, 0));
    assert_eq!(known("another").await.status, StatusCode::OK);
    // A series that was not there before.
    let stream = node.stream(Job::Node);
    let mut row = Row::new();
    row.set_foreign(&gauge("fresh"), &[], 1.0);
    stream.push(T0 + 3_700_000, &row).expect("a later row");
    let changed = known(&inventory.version).await;
    assert_eq!(changed.status, StatusCode::OK);
    let changed: Inventory = serde_json::from_slice(&changed.body).expect("an inventory");
    assert!(changed.metrics.contains_key("fresh"));
}

#[tokio::test]
async fn label_names_and_values_need_no_series_on_the_way() {
    let node = Node::filled();
    let listed = async |name: Option<&str>| {
        let query = LabelsQuery {
            name: name.map(str::to_owned),
            selectors: vec![vec![Matcher::equal("__name__", "work_total")]],
            start_ms: T0,
            end_ms: T0 + 600_000,
            target: Target::default(),
            user: None,
            limits: Limits::default(),
            route: Default::default(),
        };
        let answer = node.post_json("/v1/labels", &query).await;
        let answer: LabelsAnswer = serde_json::from_slice(&answer.body).expect("an answer");
        answer.values
    };
    assert_eq!(listed(None).await, ["__name__", "cpu", "instance", "job", "rack"]);
    assert_eq!(listed(Some("cpu")).await, ["0", "1"]);
    assert_eq!(listed(Some("no_such_label")).await, Vec::<String>::new());
}

#[tokio::test]
async fn each_limit_of_a_query_is_named_with_its_number_and_a_remedy() {
    let node = Node::filled();
    let refused = async |limits: Limits| {
        let mut query = leaf_query("level");
        query.limits = limits;
        let answer = node.post_json("/v1/query", &query).await;
        assert_eq!(
            answer.status.as_u16(),
            ApiErrorKind::Limit.status(),
            "{}",
            answer.text()
        );
        answer.text().to_owned()
    };
    let plain = Limits::default();
    let cases = [
        (
            Limits {
                max_samples: 7,
                ..plain
            },
            "more than 7 samples",
            "max_samples",
        ),
        (
            Limits {
                max_series: 0,
                ..plain
            },
            "more than 0 series",
            "max_series",
        ),
        (
            Limits {
                max_cells: 2,
                ..plain
            },
            "more than 2 values",
            "max_cells",
        ),
        (
            Limits {
                max_bytes: 1 << 10,
                ..plain
            },
            "more than 1024 bytes of memory",
            "max_memory",
        ),
    ];
    for (limits, much, key) in cases {
        let said = refused(limits).await;
        assert!(said.contains(much) && said.contains(key), "{said}");
    }
}
