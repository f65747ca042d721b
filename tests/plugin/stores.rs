//! Prometheus-compatible stores beside the agents: routing, the seam, remarks, secrets. The stores are Debian's Prometheus
//! and VictoriaMetrics, and one that misbehaves.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use axum::response::IntoResponse;
use podscope_testkit::Source;
use serde_json::{Value, json};

use super::agent::{FakeAgent, Manner};
use super::{END_MS, ask, expr, host, one, panel, source};

const UTIL: &str = "DCGM_FI_DEV_GPU_UTIL";
/// The last full hour before the end, which is the seam: 14 minutes before the end.
const SEAM_MS: i64 = END_MS - END_MS % 3_600_000;

/// A real store, ended with the test.
struct Store {
    url: String,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Drop for Store {
    fn drop(&mut self) {
        if self.child.kill().is_ok() {
            self.child.wait().expect("our own child");
        }
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("loopback")
        .port()
}

fn found(program: &str) -> bool {
    if Path::new(program).is_file() {
        return true;
    }
    assert_ne!(
        std::env::var("PODSCOPE_REQUIRE_PEERS").as_deref(),
        Ok("1"),
        "{program} is missing: apt-get install prometheus victoria-metrics"
    );
    eprintln!("skipped: no {program}");
    false
}

fn spawn(program: &str, arguments: &[String]) -> Child {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it is there")
}

/// An hour of the agents' own series, 1,000 higher and with a label more, and of one that no agent has.
fn samples(stamp: impl Fn(i64) -> String) -> String {
    let mut text = String::new();
    let mut add = |labels: &str, value: i64| {
        for step in 0..240_i64 {
            let time = stamp(END_MS - (239 - step) * 15_000);
            writeln!(text, "{labels} {value} {time}").expect("memory");
        }
    };
    for gpu in 0..8 {
        add(
            &format!(r#"{UTIL}{{gpu="{gpu}",Hostname="a",instance="a",job="dcgm",replica="r1"}}"#),
            10 * gpu + 1001,
        );
    }
    add(r#"kube_pod_info{pod="p",replica="r1"}"#, 1);
    text
}

fn plain_client() -> reqwest::Client {
    // The first to install wins; all install the same.
    let _installed = rustls::crypto::ring::default_provider().install_default().is_ok();
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a plain client")
}

async fn answers(url: &str) {
    let client = plain_client();
    let asked = format!(
        "{url}/api/v1/query?query=kube_pod_info&time={}&nocache=1",
        END_MS / 1000
    );
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let answer = client.get(&asked).send().await.ok();
        if let Some(answer) = answer
            && let Ok(body) = answer.text().await
            && body.contains("\"pod\"")
        {
            return;
        }
        assert!(Instant::now() < deadline, "{url} does not show its samples");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn prometheus() -> Option<Store> {
    if !found("/usr/bin/prometheus") || !found("/usr/bin/promtool") {
        return None;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let text = dir.path().join("samples.om");
    let stamp = |ms: i64| format!("{}.{:03}", ms / 1000, ms % 1000);
    std::fs::write(&text, format!("{}# EOF\n", samples(stamp))).expect("writable");
    let tsdb = dir.path().join("tsdb");
    let made = Command::new("/usr/bin/promtool")
        .args(["tsdb", "create-blocks-from", "openmetrics"])
        .args([&text, &tsdb])
        .output()
        .expect("it runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "scrape_configs: []\n").expect("writable");
    let port = free_port();
    let child = spawn(
        "/usr/bin/prometheus",
        &[
            format!("--config.file={}", config.display()),
            format!("--storage.tsdb.path={}", tsdb.display()),
            "--storage.tsdb.retention.time=100y".to_owned(),
            format!("--web.listen-address=127.0.0.1:{port}"),
        ],
    );
    let store = Store {
        url: format!("http://127.0.0.1:{port}"),
        child,
        _dir: dir,
    };
    answers(&store.url).await;
    Some(store)
}

async fn victoria_metrics() -> Option<Store> {
    if !found("/usr/bin/victoria-metrics") {
        return None;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let child = spawn(
        "/usr/bin/victoria-metrics",
        &[
            format!("-storageDataPath={}", dir.path().join("data").display()),
            format!("-httpListenAddr=127.0.0.1:{port}"),
            "-retentionPeriod=100y".to_owned(),
            "-search.latencyOffset=0s".to_owned(),
        ],
    );
    let store = Store {
        url: format!("http://127.0.0.1:{port}"),
        child,
        _dir: dir,
    };
    let client = plain_client();
    let import = format!("{}/api/v1/import/prometheus", store.url);
    let text = samples(|ms| ms.to_string());
    let deadline = Instant::now() + Duration::from_secs(60);
    while client.post(&import).body(text.clone()).send().await.is_err() {
        assert!(Instant::now() < deadline, "VictoriaMetrics does not start");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    answers(&store.url).await;
    Some(store)
}

/// The agent, and a store that continues its past.
fn beside(agent: &FakeAgent, url: &str) -> Source {
    let mut source = source(&[agent]);
    let since_s = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    let after = since_s - u64::try_from(SEAM_MS / 1000).expect("after 1970") - 60;
    source.json["stores"] = json!([{
        "name": "past", "url": url, "longTermAfter": format!("{after}s"), "dropLabels": ["replica"],
    }]);
    source
}

async fn the_past_is_continued(url: &str) {
    let agent = FakeAgent::start("a", Manner::Answers).await;
    let host = host().await;
    let source = beside(&agent, url);
    let answer = one(&host, &source, expr(UTIL)).await;
    assert_eq!((answer.status, answer.error.as_str()), (200, ""));
    let frame = &answer.frames[0];
    assert_eq!((frame.rows(), frame.fields.len()), (41, 9), "each series once");
    assert!(
        frame
            .notices()
            .iter()
            .any(|text| text.contains("long-term store \"past\"")),
        "{:?}",
        frame.notices()
    );
    for (gpu, field) in frame.fields[1..].iter().enumerate() {
        assert_eq!(field.label("gpu"), Some(gpu.to_string().as_str()));
        let own = Some((10 * gpu + 1) as f64);
        let old = Some((10 * gpu + 1001) as f64);
        // What looks back five minutes is the agent's from 9 minutes before the end on: step 5 looks back to the seam.
        let wanted: Vec<Option<f64>> = (0..41).map(|step| if step < 5 { old } else { own }).collect();
        assert_eq!(field.numbers(), wanted, "gpu {gpu}");
    }
    // A window that reaches over the seam at every step: all of it is the store's.
    let answer = one(&host, &source, expr(&format!("max(max_over_time({UTIL}[20m]))"))).await;
    assert!(
        answer.frames[0].fields[1]
            .numbers()
            .iter()
            .all(|value| *value == Some(1071.0))
    );
    // What no agent knows is the store's, and one expression is not of both.
    let answer = one(
        &host,
        &source,
        json!({ "expr": "kube_pod_info", "instant": true }),
    )
    .await;
    assert_eq!(answer.frames[0].fields[1].label("pod"), Some("p"));
    assert_eq!(answer.frames[0].fields[1].label("replica"), None);
    let answer = one(
        &host,
        &source,
        expr(&format!("{UTIL} * on() group_left() kube_pod_info")),
    )
    .await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.error.contains("one expression reads one source"),
        "{}",
        answer.error
    );
    // An error of the store comes back as it says it.
    let answer = one(
        &host,
        &source,
        expr("kube_pod_info * on() kube_pod_info{pod=\"p\"}[5m]"),
    )
    .await;
    assert_eq!(answer.status, 400, "{}", answer.error);
    let health = host
        .check_health(&source)
        .await
        .expect("the call itself succeeds");
    assert!(
        health.message.contains("the store \"past\" answers"),
        "{}",
        health.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn debians_prometheus_continues_the_agents_past() {
    if let Some(store) = prometheus().await {
        the_past_is_continued(&store.url).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn victoria_metrics_continues_the_agents_past() {
    if let Some(store) = victoria_metrics().await {
        the_past_is_continued(&store.url).await;
    }
}

/// A server that answers every path so.
async fn fixed(status: StatusCode, body: &'static str) -> (String, tokio::task::JoinHandle<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = axum::Router::new().fallback(move || async move { (status, body).into_response() });
    let task = tokio::spawn(async move {
        axum::serve(listener, router)
            .await
            .expect("serves until it is aborted");
    });
    (url, task)
}

fn only(url: &str) -> Source {
    let mut source = Source::new(json!({
        "stores": [{ "name": "prom", "url": url, "match": ["{__name__=~\"kube_.+\"}"], "basicAuthUser": "ops" }],
        "targets": [{ "url": "http://127.0.0.1:1" }],
    }));
    source
        .secrets
        .insert("storePassword_prom".to_owned(), "hunter2-hunter2".to_owned());
    source
}

#[tokio::test(flavor = "multi_thread")]
async fn remarks_of_a_store_are_notices() {
    let body = r#"{"status": "success", "data": {"resultType": "vector", "result":
        [{"metric": {"__name__": "kube_x"}, "value": [1700000040, "7"]}, {"metric": {}, "histogram": [1, {}]}]},
        "warnings": ["half of it is missing"], "infos": ["a gauge, perhaps"]}"#;
    let (url, _task) = fixed(StatusCode::OK, body).await;
    let host = host().await;
    let answer = one(&host, &only(&url), json!({ "expr": "kube_x", "instant": true })).await;
    assert_eq!(answer.error, "");
    let notices = answer.frames[0].notices().join("\n");
    for text in [
        "half of it is missing (store \"prom\")",
        "a gauge, perhaps",
        "1 series of native histograms",
    ] {
        assert!(notices.contains(text), "{notices}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_is_named_and_never_tells_a_secret() {
    let host = host().await;
    let cases = [
        (
            StatusCode::UNAUTHORIZED,
            "no hunter2-hunter2",
            502,
            "refuses our credentials",
        ),
        (StatusCode::NOT_FOUND, "", 502, "has no Prometheus API"),
        (
            StatusCode::OK,
            "<html>hunter2-hunter2</html>",
            502,
            "no Prometheus JSON",
        ),
        (StatusCode::BAD_GATEWAY, "", 502, "502"),
        (
            StatusCode::UNPROCESSABLE_ENTITY,
            r#"{"status": "error", "errorType": "execution", "error": "too many samples for hunter2-hunter2"}"#,
            422,
            "too many samples for <hidden>",
        ),
    ];
    for (status, body, shown, text) in cases {
        let (url, task) = fixed(status, body).await;
        let source = only(&url);
        let answer = one(&host, &source, expr("kube_x")).await;
        assert_eq!(answer.status, shown, "{status}: {}", answer.error);
        assert!(
            answer.error.contains("the store \"prom\"") && answer.error.contains(text),
            "{}",
            answer.error
        );
        assert!(!answer.error.contains("hunter2"), "{}", answer.error);
        let health = host
            .check_health(&source)
            .await
            .expect("the call itself succeeds");
        assert!(
            !health.message.contains("hunter2") && health.message.contains("prom"),
            "{}",
            health.message
        );
        task.abort();
    }
    let answer = one(&host, &only("http://127.0.0.1:1"), expr("kube_x")).await;
    assert!(
        answer.error.contains("cannot be asked at http://127.0.0.1:1"),
        "{}",
        answer.error
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_stores_that_make_no_sense_are_named() {
    let host = host().await;
    let cases = [
        (json!([{ "url": "prom:9090" }]), "stores[0].url"),
        (json!([{ "url": "http://user:pass@prom:9090" }]), "stores[0].url"),
        (json!([{ "url": "http://p:1", "name": "a b" }]), "stores[0].name"),
        (
            json!([{ "url": "http://p:1", "match": ["rate(x[1m])"] }]),
            "stores[0].match[0]",
        ),
        (
            json!([{ "url": "http://p:1", "longTermAfter": "soon" }]),
            "stores[0].longTermAfter",
        ),
        (
            json!([{ "url": "http://p:1", "basicAuthUser": "ops" }]),
            "storePassword_store",
        ),
        (
            json!([{ "url": "http://p:1", "name": "a" }, { "url": "http://q:1", "name": "b" }]),
            "two without match",
        ),
    ];
    for (stores, text) in cases {
        let source = Source::new(json!({ "stores": stores, "targets": [{ "url": "http://127.0.0.1:1" }] }));
        let answers = ask(&host, &panel(&source, &[expr("up")])).await;
        let error = &answers["A"].error;
        assert!(error.contains(text), "{stores}: {error}");
        assert!(!error.contains("user:pass"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_sees_only_their_own_is_not_answered_by_a_store() {
    let (url, _task) = fixed(StatusCode::OK, "{}").await;
    let host = host().await;
    let mut source = only(&url);
    source.json["scope"] = Value::from("viewers");
    source.role = "Viewer".to_owned();
    let answer = one(&host, &source, expr("kube_x")).await;
    assert_eq!(answer.status, 403, "{}", answer.error);
    assert!(
        answer.error.contains("cannot tell whose its series are"),
        "{}",
        answer.error
    );
}
