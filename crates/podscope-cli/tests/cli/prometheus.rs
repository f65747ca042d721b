//! The agent's own answers beside Debian's Prometheus, which scrapes the same agent's `/metrics`.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{Running, free_port, podscope, sibling, text};

const PROMETHEUS: &str = "/usr/bin/prometheus";
/// Window of the rate. Prometheus scrapes between two ticks of the agent, so each end may be off by a second of 20.
const WINDOW_S: f64 = 20.0;

fn installed() -> bool {
    if Path::new(PROMETHEUS).is_file() {
        return true;
    }
    assert_ne!(
        std::env::var("PODSCOPE_REQUIRE_PEERS").as_deref(),
        Ok("1"),
        "{PROMETHEUS} is missing: apt-get install prometheus"
    );
    eprintln!("skipped: no Prometheus found");
    false
}

async fn get(url: &str) -> Option<Value> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a plain client");
    client.get(url).send().await.ok()?.json().await.ok()
}

/// Series of an instant vector: labels without `job` and `instance`, which the two systems choose for themselves.
fn series(answer: &Value) -> std::collections::BTreeMap<String, f64> {
    let list = answer["data"]["result"]
        .as_array()
        .unwrap_or_else(|| panic!("{answer}"));
    list.iter()
        .map(|one| {
            let mut labels = one["metric"].as_object().expect("labels").clone();
            labels.remove("job");
            labels.remove("instance");
            let value = one["value"][1]
                .as_str()
                .expect("a value")
                .parse()
                .expect("a number");
            (Value::Object(labels).to_string(), value)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn rates_of_the_agent_agree_with_prometheus_scraping_it() {
    if !installed() {
        return;
    }
    let _already = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().expect("temp");
    let (agent_port, prometheus_port) = (free_port(), free_port());
    let config = folder.path().join("agent.toml");
    let data = folder.path().join("data");
    std::fs::write(
        &config,
        format!(
            "listen = \"127.0.0.1:{agent_port}\"\ndata_dir = \"{}\"\n",
            data.display()
        ),
    )
    .expect("temp");
    let scrape = folder.path().join("prometheus.yml");
    std::fs::write(
        &scrape,
        format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: node\n  static_configs:\n  \
             - targets: ['127.0.0.1:{agent_port}']\n"
        ),
    )
    .expect("temp");
    let _agent = Running::start(
        &sibling("podscope-agent"),
        &[
            "run".to_owned(),
            "--config".to_owned(),
            config.display().to_string(),
        ],
    );
    let _prometheus = Running::start(
        Path::new(PROMETHEUS),
        &[
            format!("--config.file={}", scrape.display()),
            format!("--storage.tsdb.path={}", folder.path().join("tsdb").display()),
            format!("--web.listen-address=127.0.0.1:{prometheus_port}"),
        ],
    );
    // Both must hold samples from before the window begins.
    let begin = Instant::now();
    let old = format!(
        "http://127.0.0.1:{prometheus_port}/api/v1/query?query=node_load1%20offset%20{}s",
        WINDOW_S + 4.0
    );
    while !get(&old)
        .await
        .is_some_and(|answer| answer["data"]["result"][0].is_object())
    {
        assert!(
            begin.elapsed() < Duration::from_secs(120),
            "Prometheus does not get {WINDOW_S} s of samples"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs()
        - 1;
    let expr = format!("rate(node_cpu_seconds_total[{WINDOW_S}s])");
    let agent = format!("http://127.0.0.1:{agent_port}");
    let done = podscope(&[
        "query",
        &expr,
        "--agent",
        &agent,
        "--time",
        &now.to_string(),
        "--output",
        "json",
    ]);
    assert!(done.status.success(), "{}", text(&done.stdout));
    let ours = series(&serde_json::from_slice(&done.stdout).expect("JSON"));
    let url = format!(
        "http://127.0.0.1:{prometheus_port}/api/v1/query?time={now}&query=rate(node_cpu_seconds_total%5B{WINDOW_S}s%5D)"
    );
    let theirs = series(&get(&url).await.expect("Prometheus answers"));
    assert!(ours.len() >= 8, "only {} series", ours.len());
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (labels, own) in &ours {
        let peer = theirs[labels];
        // CPU seconds per second lie between 0 and 1; two seconds of displacement out of the window.
        assert!(
            (own - peer).abs() <= 2.0 / WINDOW_S,
            "{labels}: {own} here, {peer} in Prometheus"
        );
    }
    // Over all modes a CPU spends a second per second, however loaded the machine is: the same sum within 2 %.
    let (own, peer): (f64, f64) = (ours.values().sum(), theirs.values().sum());
    assert!(
        (own - peer).abs() <= 0.02 * peer + 0.02,
        "sum {own} here, {peer} in Prometheus"
    );
}
