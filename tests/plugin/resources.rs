//! What the editor asks: answers in the form of the Prometheus HTTP API.

use serde_json::{Value, json};

use super::agent::{FakeAgent, Manner};
use super::{END_MS, also, host, source};

/// `GET path`, which must succeed.
async fn get(host: &podscope_testkit::PluginHost, source: &podscope_testkit::Source, path: &str) -> Value {
    let answer = host
        .call_resource(source, "GET", path, &[], "")
        .await
        .expect("the call itself succeeds");
    assert_eq!(
        answer.status,
        200,
        "{path}: {}",
        String::from_utf8_lossy(&answer.body)
    );
    assert_eq!(answer.headers["content-type"], "application/json");
    answer.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_names_values_and_series() {
    let (a, b) = (
        FakeAgent::start("a", Manner::Answers).await,
        FakeAgent::start("b", Manner::Answers).await,
    );
    let host = host().await;
    let source = source(&[&a, &b]);
    let labels = get(&host, &source, "api/v1/labels").await;
    assert_eq!(
        labels["data"],
        json!(["Hostname", "__name__", "gpu", "instance", "job", "le"])
    );
    let instances = get(
        &host,
        &source,
        "api/v1/label/instance/values?match%5B%5D=requests_total",
    )
    .await;
    assert_eq!(instances, json!({ "status": "success", "data": ["a", "b"] }));
    let names = get(&host, &source, "api/v1/label/__name__/values").await;
    assert!(
        names["data"].as_array().expect("a list").contains(&json!("up")),
        "{names}"
    );
    let series = get(&host, &source, "api/v1/series?match[]=requests_total&limit=1").await;
    assert_eq!(series["data"].as_array().expect("a list").len(), 1);
    assert_eq!(series["warnings"], json!(["results truncated due to limit"]));
    let metadata = get(&host, &source, "api/v1/metadata?metric=DCGM_FI_DEV_GPU_UTIL").await;
    assert_eq!(metadata["data"]["DCGM_FI_DEV_GPU_UTIL"][0]["type"], "gauge");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_are_answered_as_prometheus_does_also_as_a_form() {
    let a = FakeAgent::start("a", Manner::Answers).await;
    let host = host().await;
    let source = source(&[&a]);
    let time = END_MS / 1000;
    let answer = get(
        &host,
        &source,
        &format!("api/v1/query?query=sum(requests_total)&time={time}"),
    )
    .await;
    assert_eq!(
        answer["data"],
        json!({ "resultType": "vector", "result": [{ "metric": {}, "value": [time, "7170"] }] })
    );
    let form = format!("query=requests_total&start={}&end={time}&step=15", time - 30);
    let header = [("Content-Type", "application/x-www-form-urlencoded")];
    let answer = host
        .call_resource(&source, "POST", "api/v1/query_range", &header, form)
        .await
        .expect("succeeds");
    assert_eq!(answer.status, 200);
    let json = answer.json();
    assert_eq!(json["data"]["resultType"], "matrix");
    assert_eq!(
        json["data"]["result"][0]["values"],
        json!([[time - 30, "7110"], [time - 15, "7140"], [time, "7170"]])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_questions_have_the_status_and_words_of_the_prometheus_api() {
    let a = FakeAgent::start("a", Manner::Answers).await;
    let host = host().await;
    let source = source(&[&a]);
    for (path, status, part) in [
        ("api/v1/query?query=sum(", 400, ""),
        ("api/v1/query", 400, "\"query\" is missing"),
        (
            "api/v1/query_range?query=up&start=1&end=0&step=1",
            400,
            "must not be before start",
        ),
        (
            "api/v1/query_range?query=up&start=0&end=1000000&step=1",
            400,
            "11000 points",
        ),
        (
            "api/v1/query_range?query=up&start=yesterday&end=1&step=1",
            400,
            "yesterday",
        ),
        ("api/v1/series", 400, "match[]"),
        (
            "api/v1/series?match[]=sum(up)%2Bup",
            400,
            "not one series selector",
        ),
        ("api/v1/nonsense", 404, "nonsense"),
    ] {
        let answer = host
            .call_resource(&source, "GET", path, &[], "")
            .await
            .expect("the call itself succeeds");
        let json = answer.json();
        assert_eq!(
            (answer.status, &json["status"]),
            (status, &json!("error")),
            "{path}: {json}"
        );
        assert!(
            json["error"].as_str().is_some_and(|text| text.contains(part)),
            "{path}: {json}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_names_every_node_and_long_answers_are_compressed() {
    let a = FakeAgent::with_gpus("a", Manner::Answers, 50).await;
    let host = host().await;
    let mut source = source(&[&a]);
    also(
        &mut source,
        json!({ "url": "http://127.0.0.1:1", "instance": "gone" }),
    );
    let inventory = get(&host, &source, "inventory").await;
    assert_eq!(
        (&inventory["expected"], &inventory["answered"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        (&inventory["nodes"][0]["ok"], &inventory["nodes"][0]["instance"]),
        (&json!(true), &json!("a"))
    );
    assert_eq!(inventory["nodes"][0]["gpus"][0]["model"], "H100");
    assert!(
        inventory["nodes"][1]["error"]
            .as_str()
            .is_some_and(|text| text.contains("connection refused"))
    );

    let path = "api/v1/series?match[]=DCGM_FI_DEV_GPU_UTIL";
    let plain = host
        .call_resource(&source, "GET", path, &[], "")
        .await
        .expect("succeeds");
    let header = [("Accept-Encoding", "gzip, deflate")];
    let small = host
        .call_resource(&source, "GET", path, &header, "")
        .await
        .expect("succeeds");
    assert_eq!(
        small.headers.get("content-encoding").map(String::as_str),
        Some("gzip")
    );
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&small.body[..]), &mut unpacked)
        .expect("gzip");
    assert!(
        unpacked == plain.body && small.body.len() * 2 < unpacked.len(),
        "{} bytes",
        small.body.len()
    );
}
