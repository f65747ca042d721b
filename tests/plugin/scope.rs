//! "Only mine" through the executable, over a real agent: what a Viewer gets, and every way round it that was thought of.

use std::sync::Arc;
use std::time::Duration;

use podscope_agent::{AgentState, Live};
use podscope_history::{History, Options};
use podscope_model::batch::{ForeignMetric, Row};
use podscope_model::catalog::{Job, Kind, Unit, ds01, gpu, host};
use podscope_testkit::plugin_host::QueryAnswer;
use podscope_testkit::{PluginHost, Query, QueryRequest, Source};
use serde_json::{Value, json};

use super::{END_MS, ask, host};

/// A node on which Alice holds GPU 0 for the first five of ten minutes, Bob from then on, and Bob GPU 1 all the time.
struct SharedNode {
    url: String,
    /// Removed with the node.
    _dir: tempfile::TempDir,
}

impl SharedNode {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (history, _) = History::open(Options::new(dir.path())).expect("an empty folder");
        let state = AgentState::new("n1", Arc::new(history), Live::local(Default::default()));
        Self::fill(&state);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let router = podscope_agent::http::router(state);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, _dir: dir }
    }

    fn fill(state: &AgentState) {
        let (gpus, load, held) = (
            state.add_stream("gpu", Job::Dcgm, 1000),
            state.add_stream("loadavg", Job::Node, 1000),
            state.add_stream("containers", Job::Ds01, 5000),
        );
        let secret = Arc::new(ForeignMetric {
            name: "app_loss".to_owned(),
            kind: Kind::Gauge,
            unit: Unit::None,
            help: "Help.".to_owned(),
        });
        let mut row = Row::new();
        for second in 0..=600_i32 {
            let at = END_MS - 600_000 + 1000 * i64::from(second);
            row.begin();
            for index in ["0", "1"] {
                row.set(&gpu::DCGM_FI_DEV_GPU_UTIL, &[("gpu", index)], f64::from(second));
            }
            gpus.push(at, &row).expect("a later row");
            row.begin();
            row.set(&host::loadavg::NODE_LOAD1, &[], 1.0);
            row.set_foreign(&secret, &[("user", "alice")], 0.5);
            row.set_foreign(&secret, &[("user", "bob")], 0.7);
            load.push(at, &row).expect("a later row");
            if second % 5 == 0 {
                let first = if second < 300 {
                    ("a1", "alice")
                } else {
                    ("b1", "bob")
                };
                row.begin();
                for (slot, (container, user)) in [("0", first), ("1", ("b2", "bob"))] {
                    let labels = [
                        ("gpu_slot", slot),
                        ("container", container),
                        ("user", user),
                        ("interface", "atomic"),
                    ];
                    row.set(&ds01::GPU_ALLOCATED, &labels, 1.0);
                }
                held.push(at, &row).expect("a later row");
            }
        }
    }

    fn source(&self, login: &str, role: &str) -> Source {
        let settings = json!({
            "targets": [{ "url": self.url, "instance": "n1" }], "scope": "viewers", "publicMetrics": ["up"],
            "scopeUsers": { "asmith": "alice" },
        });
        Source {
            login: login.to_owned(),
            role: role.to_owned(),
            ..Source::new(settings)
        }
    }
}

fn request(source: &Source, expr: &str, instant: bool) -> QueryRequest {
    let query = Query {
        interval_ms: 1_000,
        max_data_points: 600,
        ..Query::new(
            "A",
            json!({ "expr": expr, "instant": instant, "range": !instant, "legendFormat": "" }),
        )
    };
    QueryRequest::new(source.clone(), END_MS - 600_000, END_MS, vec![query])
}

async fn answer(host: &PluginHost, source: &Source, expr: &str) -> QueryAnswer {
    let mut answers = ask(host, &request(source, expr, false)).await;
    answers.remove("A").expect("an answer for A")
}

/// Series names and how many values each has.
fn series(answer: &QueryAnswer) -> Vec<(String, usize)> {
    assert_eq!(answer.error, "");
    answer
        .frames
        .iter()
        .flat_map(|frame| frame.fields.iter().skip(1))
        .map(|field| {
            let labels = field.labels.clone();
            (
                serde_json::to_string(&labels).expect("labels"),
                field
                    .numbers()
                    .into_iter()
                    .flatten()
                    .filter(|value| !value.is_nan())
                    .count(),
            )
        })
        .filter(|(_, values)| *values > 0)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_sees_a_gpu_for_the_time_it_was_theirs() {
    let node = SharedNode::start().await;
    let host = host().await;
    let (alice, bob) = (node.source("asmith", "Viewer"), node.source("bob", "Viewer"));
    let util = "DCGM_FI_DEV_GPU_UTIL";
    let alices = series(&answer(&host, &alice, util).await);
    assert_eq!(alices.len(), 1, "{alices:?}");
    let (labels, values) = &alices[0];
    assert!(labels.contains(r#""gpu":"0""#), "{labels}");
    // 300 s with the last sample of the allocation at 295 s.
    assert!((290..=300).contains(values), "{values}");
    let bobs = series(&answer(&host, &bob, util).await);
    assert_eq!(bobs.len(), 2, "{bobs:?}");
    let whole = bobs.iter().find(|(labels, _)| labels.contains(r#""gpu":"1""#));
    assert!(whole.is_some_and(|(_, values)| *values >= 599), "{bobs:?}");
    let later = bobs.iter().find(|(labels, _)| labels.contains(r#""gpu":"0""#));
    assert!(
        later.is_some_and(|(_, values)| (295..=301).contains(values)),
        "{bobs:?}"
    );
    for role in ["Admin", "Editor"] {
        let all = series(&answer(&host, &node.source("asmith", role), util).await);
        assert_eq!(all.len(), 2, "{role}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_expression_shows_a_viewer_what_is_not_theirs() {
    let node = SharedNode::start().await;
    let host = host().await;
    let alice = node.source("asmith", "Viewer");
    for expr in [
        "node_load1",
        r#"{__name__=~"node_.*"}"#,
        r#"DCGM_FI_DEV_GPU_UTIL{gpu=~"1|2"}"#,
        r#"DCGM_FI_DEV_GPU_UTIL{gpu!~"0"}"#,
        r#"app_loss{user=~"bob|.+b"}"#,
        r#"app_loss{user!="alice"}"#,
        r#"label_replace(DCGM_FI_DEV_GPU_UTIL{gpu="1"}, "user", "alice", "", "")"#,
        r#"max_over_time((DCGM_FI_DEV_GPU_UTIL{gpu="1"})[5m:10s])"#,
        r#"ds01_gpu_allocated{user="bob"}"#,
        r#"app_loss{user="bob"} or node_load1"#,
        r#"count_values("value", app_loss{user="bob"})"#,
        r#"DCGM_FI_DEV_GPU_UTIL{gpu="1"} and on() vector(1)"#,
        r#"sum by (user) (app_loss{user="bob"})"#,
        r#"scalar(node_load1) * vector(1)"#,
        r#"DCGM_FI_DEV_GPU_UTIL{gpu="1"} @ end()"#,
        r#"DCGM_FI_DEV_GPU_UTIL{gpu="1"} offset 1m"#,
        r#"topk(9, {user="bob"})"#,
    ] {
        let got = series(&answer(&host, &alice, expr).await);
        assert!(got.is_empty(), "{expr}: {got:?}");
    }
    // `or` between matchers is refused for everybody.
    let or = answer(&host, &alice, r#"app_loss{user="alice" or user="bob"}"#).await;
    assert!(!or.error.is_empty() && or.frames.is_empty());
    // And what is theirs is there, whatever wraps it.
    for (expr, wanted) in [
        ("app_loss", 1),
        ("sum(app_loss)", 1),
        ("avg_over_time(app_loss[1m])", 1),
        ("up", 1),
        ("{user=~\".+\"}", 2),
    ] {
        assert_eq!(series(&answer(&host, &alice, expr).await).len(), wanted, "{expr}");
    }
    let sum = answer(&host, &alice, "sum(app_loss)").await;
    let values: Vec<f64> = sum.frames[0].fields[1].numbers().into_iter().flatten().collect();
    assert!(
        values.iter().all(|value| (value - 0.5).abs() < 1e-9),
        "{values:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_roles_and_missing_names_do_not_widen_the_view() {
    let node = SharedNode::start().await;
    let host = host().await;
    let mut forged = request(&node.source("asmith", "Viewer"), "node_load1", true);
    for (name, value) in [
        ("FromAlert", "true"),
        ("http_X-Grafana-User", "admin"),
        ("http_X-Grafana-From-Expr", "true"),
        ("http_X-Rule-Uid", "x"),
        ("X-Grafana-Org-Role", "Admin"),
    ] {
        forged.headers.insert(name.to_owned(), value.to_owned());
    }
    let answers = ask(&host, &forged).await;
    assert_eq!(series(&answers["A"]), []);
    for role in ["None", "", "viewer", "Superuser"] {
        let got = series(&answer(&host, &node.source("asmith", role), "node_load1").await);
        assert!(got.is_empty(), "{role:?}: {got:?}");
    }
    let nobody = answer(&host, &node.source("", "Viewer"), "up").await;
    assert!(nobody.error.contains("does not say who asks"), "{}", nobody.error);
    assert!(nobody.frames.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_asking_the_same_at_once_are_answered_apart() {
    let node = SharedNode::start().await;
    let host = host().await;
    let sources = [
        node.source("asmith", "Viewer"),
        node.source("bob", "Viewer"),
        node.source("root", "Admin"),
    ];
    for _ in 0..10 {
        let asked = sources
            .iter()
            .map(|source| answer(&host, source, "app_loss"))
            .collect::<Vec<_>>();
        let counts: Vec<usize> = futures_util::future::join_all(asked)
            .await
            .iter()
            .map(|answer| series(answer).len())
            .collect();
        assert_eq!(counts, [1, 1, 2]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_inventory_are_held_too() {
    let node = SharedNode::start().await;
    let host = host().await;
    let alice = node.source("asmith", "Viewer");
    let get = async |path: &str| -> Value {
        host.call_resource(&alice, "GET", path, &[], "")
            .await
            .expect("succeeds")
            .json()
    };
    let times = format!("start={}&end={}", (END_MS - 600_000) / 1000, END_MS / 1000);
    let names = get(&format!("api/v1/label/__name__/values?{times}")).await;
    assert_eq!(
        names["data"],
        json!(["DCGM_FI_DEV_GPU_UTIL", "app_loss", "ds01_gpu_allocated", "up"])
    );
    let users = get(&format!("api/v1/label/user/values?{times}")).await;
    assert_eq!(users["data"], json!(["alice"]));
    let all = get(&format!(
        "api/v1/series?{times}&match[]=%7B__name__%3D~%22.%2B%22%7D"
    ))
    .await;
    let text = all["data"].to_string();
    assert!(!text.contains("bob") && text.contains("alice"), "{text}");
    let query = get("api/v1/query?query=app_loss%7Buser%3D%22bob%22%7D&time=1700000000").await;
    assert_eq!(query["data"]["result"], json!([]));
    let inventory = get("inventory").await;
    assert_eq!(
        (
            &inventory["nodes"],
            &inventory["expected"],
            &inventory["restricted"]
        ),
        (&json!([]), &json!(1), &json!(true))
    );
    let nobody = host
        .call_resource(&node.source("", "Viewer"), "GET", "api/v1/labels", &[], "")
        .await
        .expect("succeeds");
    assert_eq!(nobody.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_a_token_fails_the_health_check_of_a_held_data_source() {
    let node = SharedNode::start().await;
    let host = host().await;
    let health = host
        .check_health(&node.source("root", "Admin"))
        .await
        .expect("answers");
    assert!(
        !health.ok && health.message.contains("n1 answers without a token"),
        "{}",
        health.message
    );
    let mut open = node.source("root", "Admin");
    open.json["scope"] = json!("off");
    let health = host.check_health(&open).await.expect("answers");
    assert!(health.ok, "{}", health.message);
    // What was asked must end before the node's folder goes.
    tokio::time::timeout(Duration::from_secs(10), host.stop())
        .await
        .expect("it stops")
        .expect("in order");
}
