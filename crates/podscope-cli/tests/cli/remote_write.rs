//! Remote write with real partners: out of the agent into Debian's Prometheus and VictoriaMetrics, and into the agent from
//! Debian's Prometheus; export and import between agents and files.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::command::{Running, free_port, podscope, sibling, text};
use crate::events::writable_agent;

fn installed(program: &str) -> bool {
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

/// Asks again and again until there is an answer.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited 90 s for: {what}");
        std::thread::park_timeout(Duration::from_millis(100));
    }
}

/// The value of an instant query that has one series.
fn value(url: &str, expr: &str) -> Option<f64> {
    let output = podscope(&["query", expr, "--agent", url, "--output", "json"]);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

/// The same from a server of the Prometheus API.
fn value_of(port: u16, expr: &str) -> Option<f64> {
    let encoded: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("query", expr)
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .ok()?;
    let body = runtime.block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().ok()?;
        let asked = client.get(format!("http://127.0.0.1:{port}/api/v1/query?{encoded}"));
        asked.send().await.ok()?.text().await.ok()
    })?;
    let answer: serde_json::Value = serde_json::from_str(&body).ok()?;
    answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
}

/// An agent that sends to this URL.
fn sending_agent(dir: &Path, to: &str) -> (Running, String) {
    let port = free_port();
    let config = dir.join("sender.toml");
    std::fs::write(
        &config,
        format!(
            "listen = \"127.0.0.1:{port}\"\ndata_dir = {:?}\ninstance = \"n1\"\nlabels = {{ rack = \"r1\" }}\n[gpu]\n\
             enabled = false\n[remote_write]\nurl = \"{to}\"\nresolution = \"1s\"\n\
             select = [\"node_load1\", '{{__name__=~\"podscope_remote_write_.*\"}}']\n",
            dir.join("sender")
        ),
    )
    .expect("writable");
    let arguments = ["--config".to_owned(), config.display().to_string()];
    (
        Running::start(&sibling("podscope-agent"), &arguments),
        format!("http://127.0.0.1:{port}"),
    )
}

#[test]
fn debians_prometheus_takes_what_the_agent_sends_and_what_waited_while_it_was_away() {
    if !installed("/usr/bin/prometheus") {
        return;
    }
    let _already = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    // The agent first: what it cannot deliver waits in its history.
    let (_agent, url) = sending_agent(dir.path(), &format!("http://127.0.0.1:{port}/api/v1/write"));
    let refused = "podscope_remote_write_retries_total > 0";
    until("a failed attempt", || value(&url, refused));
    let early = until("the time", || value(&url, "timestamp(node_load1)"));
    let config = dir.path().join("prometheus.yml");
    std::fs::write(&config, "scrape_configs: []\n").expect("writable");
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", dir.path().join("tsdb").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
        "--web.enable-remote-write-receiver".to_owned(),
    ];
    let _prometheus = Running::start(Path::new("/usr/bin/prometheus"), &arguments);
    let selector = r#"node_load1{instance="n1",job="node",rack="r1"}"#;
    until("the agent's series in Prometheus", || value_of(port, selector));
    // The sample of before Prometheus was there.
    until("the sample that waited", || {
        let then = value_of(port, &format!("timestamp({selector} @ {early})"))?;
        ((then - early).abs() < 1.5).then_some(then)
    });
    let sent = until("the agent's own count", || {
        value(&url, "podscope_remote_write_samples_total{result=\"sent\"} > 0")
    });
    assert!(sent >= 1.0);
    assert_eq!(
        value(&url, "podscope_remote_write_samples_total{result=\"dropped\"}"),
        Some(0.0)
    );
}

#[test]
fn victoria_metrics_takes_what_the_agent_sends() {
    if !installed("/usr/bin/victoria-metrics") {
        return;
    }
    let _already = rustls::crypto::ring::default_provider().install_default();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let arguments = [
        format!("-storageDataPath={}", dir.path().join("vm").display()),
        format!("-httpListenAddr=127.0.0.1:{port}"),
        "-search.latencyOffset=0s".to_owned(),
    ];
    let _store = Running::start(Path::new("/usr/bin/victoria-metrics"), &arguments);
    let (_agent, _url) = sending_agent(dir.path(), &format!("http://127.0.0.1:{port}/api/v1/write"));
    let selector = r#"node_load1{instance="n1",job="node",rack="r1"}"#;
    until("the agent's series in VictoriaMetrics", || {
        value_of(port, selector)
    });
}

#[test]
fn a_prometheus_feeds_the_agent_and_its_series_are_queried_under_their_own_labels() {
    if !installed("/usr/bin/prometheus") {
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (_agent, url) = writable_agent(dir.path());
    let port = free_port();
    let config = dir.path().join("prometheus.yml");
    std::fs::write(
        &config,
        format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: itself\n  static_configs:\n  \
             - targets: ['127.0.0.1:{port}']\n    labels: {{team: storage}}\nremote_write:\n- url: {url}/api/v1/write\n  \
             queue_config: {{batch_send_deadline: 1s, max_samples_per_send: 100}}\n"
        ),
    )
    .expect("writable");
    let arguments = [
        format!("--config.file={}", config.display()),
        format!("--storage.tsdb.path={}", dir.path().join("tsdb").display()),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    let _prometheus = Running::start(Path::new("/usr/bin/prometheus"), &arguments);
    let own = format!(r#"prometheus_build_info{{job="itself",instance="127.0.0.1:{port}",team="storage"}}"#);
    until("the series of Prometheus", || value(&url, &own));
    // Every scrape is whole, although each came in pieces: no series is missing from the last one.
    let all = format!(r#"{{job="itself",instance="127.0.0.1:{port}"}}"#);
    let series = until("whole scrapes", || {
        let now = value(&url, &format!("count({all})"))?;
        let lately = value(&url, &format!("count(last_over_time({all}[20s]))"))?;
        (now == lately).then_some(now)
    });
    assert!(series > 100.0, "{series} series");
    let rate = "sum(rate(prometheus_tsdb_head_samples_appended_total[1m]))";
    assert!(until("a rate", || value(&url, rate)) > 0.0);
}

#[test]
fn what_was_exported_is_imported_into_a_running_agent_and_into_a_stopped_one() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (agent, url) = writable_agent(dir.path());
    let file = |name: &str| dir.path().join(name).display().to_string();
    // A past that no collector saw: two days ago, 200 s.
    let begin = jiff::Timestamp::now().as_second() - 2 * 86_400;
    let mut lines = String::from("timestamp,metric,job,gpu,value\n");
    for second in 0..200 {
        for gpu in 0..2 {
            lines.push_str(&format!(
                "{},old_util,past,{gpu},{}\n",
                begin + second,
                second * (gpu + 1)
            ));
        }
    }
    std::fs::write(file("old.csv"), lines).expect("writable");
    let run = |arguments: &[&str]| {
        let output = podscope(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let told = run(&["import", &file("old.csv"), "--agent", &url]);
    assert!(told.starts_with("2 series, 400 samples into"), "{told}");
    let (start, end) = ((begin - 1).to_string(), (begin + 300).to_string());
    let range = ["--start", &start, "--end", &end, "--agent", &url];
    for name in ["old.om", "again.csv", "long.parquet"] {
        let out = file(name);
        run(&[&["export", "old_util", "--out", &out][..], &range].concat());
    }
    let wide = file("wide.parquet");
    run(&[
        &["export", "old_util", "--layout", "wide", "--out", &wide][..],
        &range,
    ]
    .concat());
    let again = std::fs::read_to_string(file("again.csv")).expect("written");
    assert_eq!(again.lines().count(), 401);
    assert!(
        again.starts_with("timestamp,metric,gpu,instance,job,value\n"),
        "{again}"
    );
    parquet_is_read(&file("long.parquet"), &wide);
    drop(agent);
    // Into the folder of an agent that is not running.
    let folder = dir.path().join("other");
    std::fs::create_dir(&folder).expect("writable");
    let folder = folder.display().to_string();
    let told = run(&["import", &file("old.om"), "--data-dir", &folder]);
    assert!(told.starts_with("2 series, 400 samples into"), "{told}");
    let port = free_port().to_string();
    let arguments = [
        "--listen".to_owned(),
        format!("127.0.0.1:{port}"),
        "--data-dir".to_owned(),
        folder,
    ];
    let _other = Running::start(&sibling("podscope-agent"), &arguments);
    let url = format!("http://127.0.0.1:{port}");
    let expr = format!(r#"sum(sum_over_time(old_util{{instance="n1",job="past"}}[10m] @ {end}))"#);
    let sum = until("the imported samples", || value(&url, &expr));
    // 0 + 1 + ... + 199, once and twice.
    assert_eq!(sum, 3.0 * 19_900.0);
    let error = podscope(&["import", &file("missing.csv"), "--agent", &url]);
    assert!(!error.status.success());
}

/// DuckDB's or PyArrow's word for it, where one of them is installed.
fn parquet_is_read(long: &str, wide: &str) {
    let script = format!(
        "import sys\ntry:\n  import pyarrow.parquet as pq\nexcept ImportError:\n  sys.exit(77)\n\
         t = pq.read_table({long:?})\nassert t.num_rows == 400, t.num_rows\n\
         assert t.column_names == ['timestamp', 'metric', 'gpu', 'instance', 'job', 'value'], t.column_names\n\
         assert sum(t.column('value').to_pylist()) == 3 * 19900\n\
         assert str(t.schema.field('timestamp').type) == 'timestamp[ms, tz=UTC]', t.schema\n\
         w = pq.read_table({wide:?})\nassert (w.num_rows, w.num_columns) == (200, 3), w.shape\n"
    );
    let Ok(output) = std::process::Command::new("python3")
        .args(["-c", &script])
        .output()
    else {
        eprintln!("skipped: no python3");
        return;
    };
    if output.status.code() == Some(77) {
        eprintln!("skipped: no pyarrow");
        return;
    }
    assert!(output.status.success(), "{}", text(&output.stderr));
}
