//! A real Grafana: loads the plugin as it is packaged, provisioned as an operator would, and asked over its own HTTP API.
//! Found at `$GRAFANA_HOME`, else at `/usr/share/grafana` with `grafana` on the PATH; skipped with a printed line where
//! there is none.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};

use super::EXECUTABLE;
use super::agent::{FakeAgent, Manner};

const PASSWORD: &str = "grafana-test-password";
const TOKEN: &str = "grafana-test-token";
/// Grafana migrates an empty database first.
const START: Duration = Duration::from_secs(240);
/// Rules are evaluated every ten seconds.
const ALERT: Duration = Duration::from_secs(120);

/// Home folder and executable of a Grafana.
fn find() -> Option<(PathBuf, PathBuf)> {
    if let Some(home) = std::env::var_os("GRAFANA_HOME").map(PathBuf::from) {
        let server = home.join("bin/grafana");
        if server.is_file() {
            return Some((home, server));
        }
    }
    let home = PathBuf::from("/usr/share/grafana");
    let path = std::env::var_os("PATH")?;
    let server = std::env::split_paths(&path)
        .map(|folder| folder.join("grafana"))
        .find(|file| file.is_file())?;
    home.join("conf/defaults.ini").is_file().then_some((home, server))
}

struct Grafana {
    child: tokio::process::Child,
    url: String,
    client: reqwest::Client,
    dir: tempfile::TempDir,
}

impl Grafana {
    async fn start(home: &Path, server: &Path, agents: &[&FakeAgent]) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("podscope-grafana-")
            .tempdir()
            .expect("a temporary folder");
        install(dir.path());
        provision(dir.path(), agents);
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("an address").port()
        };
        let config = dir.path().join("grafana.ini");
        std::fs::write(&config, ini(dir.path(), port)).expect("written");
        let log = std::fs::File::create(dir.path().join("grafana.log")).expect("created");
        let child = tokio::process::Command::new(server)
            .arg("server")
            .arg("--homepath")
            .arg(home)
            .arg("--config")
            .arg(&config)
            .current_dir(home)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("cloned"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("grafana starts");
        // The first to install wins; all install the same.
        let _installed = rustls::crypto::ring::default_provider().install_default().is_ok();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let mut grafana = Self {
            child,
            url: format!("http://127.0.0.1:{port}"),
            client,
            dir,
        };
        let deadline = tokio::time::Instant::now() + START;
        loop {
            let answer = grafana
                .client
                .get(format!("{}/api/health", grafana.url))
                .send()
                .await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return grafana;
            }
            let ended = grafana.child.try_wait().expect("waits");
            assert!(
                ended.is_none() && tokio::time::Instant::now() < deadline,
                "grafana: {ended:?}\n{}",
                grafana.log()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("grafana.log")).unwrap_or_default()
    }

    async fn send(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.url))
            .basic_auth("admin", Some(PASSWORD));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.expect("grafana answers");
        let status = answer.status().as_u16();
        let text = answer.text().await.expect("a body");
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.send(reqwest::Method::GET, path, None).await
    }

    async fn query(&self, query: Value) -> (u16, Value) {
        let mut query = query;
        query["refId"] = json!("A");
        query["datasource"] = json!({ "type": "podscope-fleet-datasource", "uid": "podscope" });
        query["intervalMs"] = json!(15_000);
        query["maxDataPoints"] = json!(1000);
        let body = json!({ "from": "now-10m", "to": "now", "queries": [query] });
        self.send(reqwest::Method::POST, "/api/ds/query", Some(body))
            .await
    }
}

/// The plugin's folder as packaged, without the frontend: Grafana's server does not need it.
fn install(dir: &Path) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let nested = dir.join("plugins/podscope-warroom-app/datasource");
    std::fs::create_dir_all(&nested).expect("made");
    let fill = |from: &Path, to: &Path| {
        let text = std::fs::read_to_string(from).expect("read");
        let text = text
            .replace("%VERSION%", env!("CARGO_PKG_VERSION"))
            .replace("%TODAY%", "2026-01-01");
        std::fs::write(to, text).expect("written");
    };
    fill(
        &root.join("plugin.json"),
        &dir.join("plugins/podscope-warroom-app/plugin.json"),
    );
    fill(
        &root.join("frontend/src/datasource/plugin.json"),
        &nested.join("plugin.json"),
    );
    for folder in [&nested, &dir.join("plugins/podscope-warroom-app")] {
        std::fs::write(
            folder.join("module.js"),
            "define([], function () { return {}; });\n",
        )
        .expect("written");
    }
    let architecture = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let executable = dir
        .join("plugins/podscope-warroom-app")
        .join(format!("gpx_podscope_linux_{architecture}"));
    std::fs::copy(EXECUTABLE, executable).expect("copied");
}

fn provision(dir: &Path, agents: &[&FakeAgent]) {
    let targets: String = agents
        .iter()
        .map(|agent| format!("        - url: {}\n", agent.url()))
        .collect();
    let source = format!(
        "apiVersion: 1\ndatasources:\n  - name: Podscope\n    type: podscope-fleet-datasource\n    uid: podscope\n    \
         access: proxy\n    jsonData:\n      targets:\n{targets}      completeness: 0.4\n    secureJsonData:\n      token: {TOKEN}\n"
    );
    let query = |ref_id: &str, model: &str| {
        format!(
            "          - refId: {ref_id}\n            relativeTimeRange: {{from: 600, to: 0}}\n            datasourceUid: podscope\n            model: {model}\n"
        )
    };
    let expression = |ref_id: &str, model: &str| {
        format!(
            "          - refId: {ref_id}\n            datasourceUid: __expr__\n            model: {model}\n"
        )
    };
    let over = |input: &str| {
        format!(
            "{{refId: T, type: threshold, expression: {input}, conditions: [{{evaluator: {{type: gt, params: [60]}}}}]}}"
        )
    };
    let rule = |uid: &str, data: String| {
        format!(
            "      - uid: {uid}\n        title: {uid}\n        condition: T\n        for: 0s\n        noDataState: NoData\n        execErrState: Error\n        data:\n{data}"
        )
    };
    let rules = format!(
        "apiVersion: 1\ngroups:\n  - orgId: 1\n    name: podscope\n    folder: Podscope\n    interval: 10s\n    rules:\n{}{}{}",
        rule(
            "instant-threshold",
            query("A", "{refId: A, expr: DCGM_FI_DEV_GPU_UTIL, instant: true}")
                + &expression("T", &over("A"))
        ),
        rule(
            "range-reduce-threshold",
            query("A", "{refId: A, expr: DCGM_FI_DEV_GPU_UTIL, range: true}")
                + &expression("R", "{refId: R, type: reduce, expression: A, reducer: max}")
                + &expression("T", &over("R"))
        ),
        rule(
            "nobody-has-this",
            query("A", "{refId: A, expr: nobody_has_this, instant: true}") + &expression("T", &over("A"))
        ),
    );
    for (folder, text) in [("datasources", &source), ("alerting", &rules)] {
        let folder = dir.join("provisioning").join(folder);
        std::fs::create_dir_all(&folder).expect("made");
        std::fs::write(folder.join("podscope.yaml"), text).expect("written");
    }
    for folder in ["plugins", "dashboards"] {
        std::fs::create_dir_all(dir.join("provisioning").join(folder)).expect("made");
    }
}

fn ini(dir: &Path, port: u16) -> String {
    let dir = dir.display();
    format!(
        "[server]\nhttp_addr = 127.0.0.1\nhttp_port = {port}\n\
         [paths]\ndata = {dir}/data\nlogs = {dir}/logs\nplugins = {dir}/plugins\nprovisioning = {dir}/provisioning\n\
         [security]\nadmin_user = admin\nadmin_password = {PASSWORD}\n\
         [plugins]\nallow_loading_unsigned_plugins = podscope-warroom-app,podscope-fleet-datasource\n\
         public_key_retrieval_disabled = true\npreinstall_disabled = true\nplugin_admin_enabled = false\n\
         [plugin.podscope-fleet-datasource]\nlog_level = debug\n\
         [analytics]\ncheck_for_updates = false\ncheck_for_plugin_updates = false\nreporting_enabled = false\n\
         [news]\nnews_feed_enabled = false\n\
         [unified_alerting]\nmin_interval = 10s\n\
         [log]\nmode = console\nlevel = info\nfilters = plugin.podscope-fleet-datasource:debug\n"
    )
}

/// Processes whose executable is the plugin of this Grafana.
fn plugin_processes(dir: &Path) -> Vec<String> {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    processes
        .flatten()
        .filter(|entry| std::fs::read_link(entry.path().join("exe")).is_ok_and(|exe| exe.starts_with(dir)))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_grafana_loads_queries_checks_and_alerts() {
    let Some((home, server)) = find() else {
        eprintln!("skipped: no Grafana found");
        return;
    };
    let now_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_millis();
    let now_ms = i64::try_from(now_ms).expect("in range");
    // Samples into the near future, so that the data stays current for as long as the test runs.
    let a = FakeAgent::ending_at("a", Manner::Wants(TOKEN), now_ms + 900_000).await;
    let b = FakeAgent::ending_at("b", Manner::Wants(TOKEN), now_ms + 900_000).await;
    let mut grafana = Grafana::start(&home, &server, &[&a, &b]).await;

    let (status, plugin) = grafana
        .get("/api/plugins/podscope-fleet-datasource/settings")
        .await;
    assert_eq!(
        (status, &plugin["id"]),
        (200, &json!("podscope-fleet-datasource")),
        "{plugin}\n{}",
        grafana.log()
    );

    let (status, health) = grafana.get("/api/datasources/uid/podscope/health").await;
    assert_eq!(
        (status, &health["status"]),
        (200, &json!("OK")),
        "{health}\n{}",
        grafana.log()
    );
    assert!(
        health["message"]
            .as_str()
            .is_some_and(|text| text.starts_with("all 2 agents answer")),
        "{health}"
    );
    assert_eq!(health["details"]["answered"], 2);

    let (status, answer) = grafana
        .query(json!({ "expr": "DCGM_FI_DEV_GPU_UTIL", "legendFormat": "{{instance}}/{{gpu}}" }))
        .await;
    assert_eq!(status, 200, "{answer}");
    let frames = answer["results"]["A"]["frames"].as_array().expect("frames");
    let fields = frames[0]["schema"]["fields"].as_array().expect("fields");
    assert_eq!((frames.len(), fields.len()), (1, 17), "{answer}");
    assert_eq!(fields[1]["labels"]["instance"], "a");
    assert_eq!(fields[1]["config"]["displayNameFromDS"], "a/0");
    assert_eq!(frames[0]["schema"]["meta"]["type"], "timeseries-wide");
    assert_eq!(frames[0]["data"]["values"][8][0], 71);

    let (status, answer) = grafana.query(json!({ "expr": "sum(" })).await;
    assert_eq!(status, 400, "{answer}");
    assert_eq!(
        (
            &answer["results"]["A"]["status"],
            &answer["results"]["A"]["errorSource"]
        ),
        (&json!(400), &json!("downstream"))
    );

    // A server-side expression over a range query.
    let body = json!({
        "from": "now-10m", "to": "now",
        "queries": [
            { "refId": "A", "expr": "DCGM_FI_DEV_GPU_UTIL{instance=\"a\"}", "range": true, "intervalMs": 15_000, "maxDataPoints": 1000,
              "datasource": { "type": "podscope-fleet-datasource", "uid": "podscope" } },
            { "refId": "B", "type": "reduce", "expression": "A", "reducer": "max", "datasource": { "type": "__expr__", "uid": "__expr__" } },
        ],
    });
    let (status, answer) = grafana
        .send(reqwest::Method::POST, "/api/ds/query", Some(body))
        .await;
    assert_eq!(
        (status, answer["results"]["B"]["frames"].as_array().map(Vec::len)),
        (200, Some(8)),
        "{answer}"
    );

    let (status, labels) = grafana
        .get("/api/datasources/uid/podscope/resources/api/v1/label/instance/values")
        .await;
    assert_eq!((status, &labels["data"]), (200, &json!(["a", "b"])), "{labels}");
    let (status, missing) = grafana
        .get("/api/datasources/uid/podscope/resources/api/v1/nonsense")
        .await;
    assert_eq!((status, &missing["status"]), (404, &json!("error")), "{missing}");
    let (status, metrics) = grafana.get("/metrics/plugins/podscope-fleet-datasource").await;
    assert!(
        status == 200
            && metrics
                .as_str()
                .is_some_and(|text| text.contains("podscope_plugin_queries_total")),
        "{metrics}"
    );

    alerts_fire_per_gpu(&grafana).await;

    let log = grafana.log();
    assert!(!log.contains(TOKEN), "the token is in Grafana's log:\n{log}");
    assert!(
        log.contains("podscope plugin started"),
        "the plugin's log does not reach Grafana's:\n{log}"
    );

    // Killed, Grafana cannot end its plugins: they end by themselves.
    let dir = grafana.dir.path().to_owned();
    assert_eq!(plugin_processes(&dir).len(), 1);
    grafana.child.kill().await.expect("killed");
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !plugin_processes(&dir).is_empty() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the plugin outlived Grafana"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the three rules have the states they must have.
async fn alerts_fire_per_gpu(grafana: &Grafana) {
    let deadline = tokio::time::Instant::now() + ALERT;
    loop {
        let (_, answer) = grafana.get("/api/prometheus/grafana/api/v1/rules").await;
        let rules: Vec<Value> = answer["data"]["groups"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|group| group["rules"].as_array().cloned().unwrap_or_default())
            .collect();
        let firing = |name: &str| {
            let rule = rules.iter().find(|rule| rule["name"] == name)?;
            let mut list: Vec<String> = rule["alerts"]
                .as_array()?
                .iter()
                .filter(|alert| alert["state"] == "Alerting")
                .map(|alert| {
                    format!("{}/{}", alert["labels"]["instance"], alert["labels"]["gpu"]).replace('"', "")
                })
                .collect();
            list.sort();
            Some(list)
        };
        let expected = Some(["a/6", "a/7", "b/6", "b/7"].map(str::to_owned).to_vec());
        let health = |name: &str| {
            rules
                .iter()
                .find(|rule| rule["name"] == name)
                .map(|rule| rule["health"].clone())
        };
        if firing("instant-threshold") == expected
            && firing("range-reduce-threshold") == expected
            && health("nobody-has-this") == Some(json!("nodata"))
        {
            return;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "{answer:#}\n{}",
            grafana.log()
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
