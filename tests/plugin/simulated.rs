//! The plugin over the simulated cluster: the real agent's router, history and PromQL below the real protocol.

use podscope_testkit::{Query, QueryRequest, Source};
use serde_json::{Value, json};

use super::{ask, host};
use crate::cluster;

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_way_from_a_nodes_history_to_frames() {
    let cluster = cluster::shared().await;
    let host = host().await;
    let source = Source::new(json!({ "targets": cluster.targets() }));
    let health = host.check_health(&source).await.expect("answers");
    assert!(
        health.ok && health.message.starts_with("all 3 agents answer"),
        "{}",
        health.message
    );

    let query = |ref_id: &str, expr: &str| Query {
        interval_ms: 5_000,
        ..Query::new(ref_id, json!({ "expr": expr }))
    };
    let queries = vec![
        query("A", "count(DCGM_FI_DEV_GPU_UTIL)"),
        query(
            "B",
            "sum by (instance) (rate(node_cpu_seconds_total[$__rate_interval]))",
        ),
        query("C", "avg by (rack) (up)"),
    ];
    let now = cluster.now_ms();
    // Well inside the part of the past that is filled second by second.
    let answers = ask(
        &host,
        &QueryRequest::new(source.clone(), now - 300_000, now, queries),
    )
    .await;
    for (ref_id, series) in [("A", 1), ("B", 3), ("C", 1)] {
        let answer = &answers[ref_id];
        assert_eq!(answer.error, "", "{ref_id}");
        assert_eq!(answer.frames[0].fields.len(), series + 1, "{ref_id}");
        assert!(
            answer.frames[0].notices().is_empty(),
            "{ref_id}: {:?}",
            answer.frames[0].notices()
        );
    }
    let values = |ref_id: &str| {
        answers[ref_id].frames[0].fields[1]
            .numbers()
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    };
    // The twelfth is cut into slices: it has no utilisation of its own.
    assert!(values("A").iter().all(|count| (count - 11.0).abs() < 1e-9) && values("A").len() > 50);
    // All modes of four CPUs together take four seconds a second.
    assert!(
        values("B").iter().all(|rate| (rate - 4.0).abs() < 0.2),
        "{:?}",
        values("B")
    );
    assert!(values("C").iter().all(|share| (share - 1.0).abs() < 1e-9));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plugin_and_an_agent_asked_directly_agree() {
    let cluster = cluster::shared().await;
    let host = host().await;
    let target = &cluster.targets()[0];
    let source = Source::new(json!({ "targets": [target] }));
    let now = cluster.now_ms() / 1000;
    let path = format!(
        "api/v1/query_range?query=DCGM_FI_DEV_POWER_USAGE&start={}&end={now}&step=30",
        now - 600
    );
    let ours = host
        .call_resource(&source, "GET", &path, &[], "")
        .await
        .expect("succeeds")
        .json();
    let _installed = rustls::crypto::ring::default_provider().install_default().is_ok();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let url = format!("{}/{path}", target["url"].as_str().expect("a URL"));
    let text = client
        .get(url)
        .send()
        .await
        .expect("the agent answers")
        .text()
        .await
        .expect("a body");
    let theirs: Value = serde_json::from_str(&text).expect("JSON");
    let values = |json: &Value| {
        let list = json["data"]["result"].as_array().expect("a list").clone();
        list.into_iter()
            .map(|series| (series["metric"]["gpu"].to_string(), series["values"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(values(&ours).len(), 4, "{ours}");
    assert_eq!(values(&ours), values(&theirs));
}
