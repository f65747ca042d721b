//! The Prometheus HTTP API: shapes, forms of parameters, errors.

use axum::http::StatusCode;
use podscope_model::batch::Row;
use podscope_model::catalog::Job;
use serde_json::{Value, json};

use crate::cluster::{Node, T0, gauge};

const HOUR: i64 = T0 / 1000;

#[track_caller]
fn data(answer: &crate::cluster::Answer) -> Value {
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.content_type, "application/json");
    let mut body = answer.json();
    assert_eq!(body["status"], "success");
    body["data"].take()
}

#[track_caller]
fn fault(answer: &crate::cluster::Answer, status: u16, kind: &str, text: &str) {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text());
    let body = answer.json();
    assert_eq!(body["status"], "error");
    assert_eq!(body["errorType"], kind);
    let error = body["error"].as_str().expect("a text");
    assert!(error.contains(text), "wanted {text:?} in {error:?}");
    assert_eq!(
        body.as_object().expect("an object").len(),
        3,
        "nothing but status, errorType and error"
    );
}

#[tokio::test]
async fn an_instant_query_answers_a_vector_with_the_nodes_labels() {
    let node = Node::filled();
    let answer = node
        .get(&format!(
            "/api/v1/query?query=rate(work_total%5B5m%5D)&time={}",
            HOUR + 3600
        ))
        .await;
    assert_eq!(
        data(&answer),
        json!({ "resultType": "vector", "result": [
            { "metric": { "cpu": "0", "instance": "n1", "job": "node", "rack": "r12" }, "value": [HOUR + 3600, "1"] },
            { "metric": { "cpu": "1", "instance": "n1", "job": "node", "rack": "r12" }, "value": [HOUR + 3600, "2"] },
        ] })
    );
}

#[tokio::test]
async fn a_range_query_answers_a_matrix_and_takes_every_form_of_time() {
    let node = Node::filled();
    let wanted = json!({ "resultType": "matrix", "result": [
        { "metric": {}, "values": [[HOUR + 600, "3"], [HOUR + 900, "3"], [HOUR + 1200, "3"]] },
    ] });
    let expr = "sum(rate(work_total%5B5m%5D))";
    let rfc = |second: i64| {
        jiff::Timestamp::from_second(second)
            .expect("in range")
            .to_string()
    };
    for (start, end, step) in [
        ((HOUR + 600).to_string(), (HOUR + 1200).to_string(), "300"),
        (
            format!("{}.000", HOUR + 600),
            format!("{}.999", HOUR + 1200),
            "5m",
        ),
        (rfc(HOUR + 600), rfc(HOUR + 1200), "300.0"),
    ] {
        let parameters = format!("query={expr}&start={start}&end={end}&step={step}");
        assert_eq!(
            data(&node.get(&format!("/api/v1/query_range?{parameters}")).await),
            wanted,
            "{parameters}"
        );
        assert_eq!(
            data(&node.post_form("/api/v1/query_range", &parameters).await),
            wanted,
            "{parameters}"
        );
    }
}

#[tokio::test]
async fn a_scalar_and_a_string_have_their_own_shapes() {
    let node = Node::new();
    let scalar = node.get("/api/v1/query?query=1%2B1&time=10").await;
    assert_eq!(
        data(&scalar),
        json!({ "resultType": "scalar", "result": [10, "2"] })
    );
    let string = node.get("/api/v1/query?query=%22a%22&time=10").await;
    assert_eq!(
        data(&string),
        json!({ "resultType": "string", "result": [10, "a"] })
    );
}

#[tokio::test]
async fn what_the_asker_did_wrong_is_bad_data_in_prometheuss_words() {
    let node = Node::filled();
    let cases = [
        ("/api/v1/query?query=rate(", "invalid parameter \"query\": "),
        ("/api/v1/query", "invalid parameter \"query\": "),
        (
            "/api/v1/query?query=up&time=soon",
            "invalid parameter \"time\": cannot parse \"soon\" to a valid timestamp",
        ),
        (
            "/api/v1/query?query=no_such_function(up)",
            "invalid parameter \"query\": ",
        ),
        (
            "/api/v1/query_range?query=up&start=0&end=10",
            "invalid parameter \"step\": cannot parse \"\" to a valid duration",
        ),
        (
            "/api/v1/query_range?query=up&start=0&end=10&step=0",
            "zero or negative query resolution step widths are not accepted",
        ),
        (
            "/api/v1/query_range?query=up&start=0&end=10&step=x",
            "cannot parse \"x\" to a valid duration",
        ),
        (
            "/api/v1/query_range?query=up&end=10&step=1",
            "invalid parameter \"start\": cannot parse \"\" to a valid timestamp",
        ),
        (
            "/api/v1/query_range?query=up&start=11&end=10&step=1",
            "end timestamp must not be before start time",
        ),
        (
            "/api/v1/query_range?query=up&start=0&end=11001&step=1",
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        ),
        (
            "/api/v1/query_range?query=up%5B5m%5D&start=0&end=10&step=1",
            "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector",
        ),
        ("/api/v1/series", "no match[] parameter provided"),
        ("/api/v1/series?match[]=%7B", "invalid parameter \"match[]\": "),
        (
            "/api/v1/series?match[]=sum(up)",
            "invalid parameter \"match[]\": \"sum(up)\" is not a series selector",
        ),
        (
            "/api/v1/labels?limit=-1",
            "invalid parameter \"limit\": limit must be non-negative",
        ),
        (
            "/api/v1/labels?start=2&end=1",
            "invalid parameter \"end\": end timestamp must not be before start timestamp",
        ),
    ];
    for (uri, text) in cases {
        fault(&node.get(uri).await, 400, "bad_data", text);
    }
}

#[tokio::test]
async fn exactly_eleven_thousand_steps_are_allowed() {
    let node = Node::new();
    let answer = node
        .get("/api/v1/query_range?query=1&start=0&end=11000&step=1")
        .await;
    assert_eq!(
        data(&answer)["result"][0]["values"]
            .as_array()
            .expect("values")
            .len(),
        11_001
    );
}

#[tokio::test]
async fn what_has_no_answer_is_an_execution_error() {
    let node = Node::filled();
    let many = format!(
        "/api/v1/query?query=level%20*%20on()%20work_total&time={}",
        HOUR + 60
    );
    fault(&node.get(&many).await, 422, "execution", "many");
}

#[tokio::test]
async fn a_query_that_reads_too_much_is_told_the_limit_and_the_way_out() {
    let node = Node::filled();
    let mut live = (*node.state.live()).clone();
    live.limits.max_samples = 5_000;
    node.state.set_live(live);
    let uri = format!(
        "/api/v1/query?query=sum_over_time(%7Bjob%3D%22node%22%7D%5B1h%5D)&time={}",
        HOUR + 3600
    );
    fault(
        &node.get(&uri).await,
        422,
        "execution",
        "reads more than 5000 samples; ask for a shorter range or fewer series",
    );
}

#[tokio::test]
async fn series_labels_and_values_are_listed_with_the_nodes_own() {
    let node = Node::filled();
    let series = data(
        &node
            .get("/api/v1/series?match[]=work_total%7Bcpu%3D%221%22%7D&match[]=level")
            .await,
    );
    assert_eq!(
        series,
        json!([
            { "__name__": "level", "instance": "n1", "job": "node", "rack": "r12" },
            { "__name__": "work_total", "cpu": "1", "instance": "n1", "job": "node", "rack": "r12" },
        ])
    );
    assert_eq!(
        data(&node.get("/api/v1/labels").await),
        json!(["__name__", "cpu", "instance", "job", "rack"])
    );
    assert_eq!(
        data(&node.post_form("/api/v1/labels", "match[]=level").await),
        json!(["__name__", "instance", "job", "rack"])
    );
    assert_eq!(
        data(&node.get("/api/v1/label/__name__/values").await),
        json!(["level", "up", "work_total"])
    );
    assert_eq!(
        data(&node.get("/api/v1/label/instance/values").await),
        json!(["n1"])
    );
    assert_eq!(
        data(&node.get("/api/v1/label/cpu/values?match[]=level").await),
        json!([])
    );
    assert_eq!(
        data(
            &node
                .get("/api/v1/label/__name__/values?match[]=%7Binstance%3D%22n2%22%7D")
                .await
        ),
        json!([])
    );
}

#[tokio::test]
async fn only_the_time_asked_for_is_listed() {
    let node = Node::filled();
    let before = HOUR - 10;
    assert_eq!(
        data(
            &node
                .get(&format!("/api/v1/label/__name__/values?end={before}"))
                .await
        ),
        json!([])
    );
    // Both ends belong to the range.
    let at = node
        .get(&format!("/api/v1/label/__name__/values?start={HOUR}&end={HOUR}"))
        .await;
    assert_eq!(data(&at), json!(["level", "up", "work_total"]));
}

#[tokio::test]
async fn a_limit_cuts_the_list_and_says_so() {
    let node = Node::filled();
    let answer = node.get("/api/v1/labels?limit=2").await;
    assert_eq!(data(&answer), json!(["__name__", "cpu"]));
    assert_eq!(
        answer.json()["warnings"],
        json!(["results truncated due to limit"])
    );
    let query = node
        .get(&format!("/api/v1/query?query=work_total&time={HOUR}&limit=1"))
        .await;
    assert_eq!(data(&query)["result"].as_array().expect("a vector").len(), 1);
    assert_eq!(
        query.json()["warnings"],
        json!(["results truncated due to limit"])
    );
}

#[tokio::test]
async fn metadata_tells_type_and_help() {
    let node = Node::filled();
    assert_eq!(
        data(&node.get("/api/v1/metadata").await),
        json!({
            "level": [{ "type": "gauge", "help": "Help of level.", "unit": "" }],
            "work_total": [{ "type": "counter", "help": "Help of work_total.", "unit": "" }],
        })
    );
    let one = data(&node.get("/api/v1/metadata?metric=level").await);
    assert_eq!(one.as_object().expect("an object").len(), 1);
}

#[tokio::test]
async fn targets_are_the_collectors() {
    let node = Node::filled();
    let targets = data(&node.get("/api/v1/targets").await);
    let target = &targets["activeTargets"][0];
    assert_eq!(target["health"], "up");
    assert_eq!(target["scrapePool"], "test");
    assert_eq!(
        target["labels"],
        json!({ "instance": "n1", "job": "node", "rack": "r12" })
    );
    assert_eq!(targets["droppedTargets"], json!([]));
}

#[tokio::test]
async fn the_status_pages_have_prometheuss_shapes() {
    let node = Node::filled();
    let tsdb = data(&node.get("/api/v1/status/tsdb").await);
    assert_eq!(tsdb["headStats"]["numSeries"], 4);
    assert_eq!(tsdb["headStats"]["maxTime"], T0 + 3_600_000);
    assert_eq!(
        tsdb["seriesCountByMetricName"],
        json!([{ "name": "work_total", "value": 2 }, { "name": "level", "value": 1 }, { "name": "up", "value": 1 }])
    );
    assert_eq!(
        tsdb["labelValueCountByLabelName"][0],
        json!({ "name": "__name__", "value": 3 })
    );
    assert_eq!(
        data(&node.get("/api/v1/status/buildinfo").await)["version"],
        podscope_agent::VERSION
    );
    assert_eq!(
        data(&node.get("/api/v1/status/flags").await)["query.max-samples"],
        "50000000"
    );
    assert_eq!(
        data(&node.get("/api/v1/status/runtimeinfo").await)["hostname"],
        "n1"
    );
    assert_eq!(data(&node.get("/api/v1/rules").await), json!({ "groups": [] }));
    assert_eq!(data(&node.get("/api/v1/alerts").await), json!({ "alerts": [] }));
}

#[tokio::test]
async fn a_series_that_ended_is_not_answered_after_its_end() {
    let node = Node::new();
    let stream = node.stream(Job::Node);
    let level = gauge("level");
    let mut row = Row::new();
    row.set_foreign(&level, &[], 7.0);
    stream.push(T0, &row).expect("first");
    row.begin();
    stream.push(T0 + 1000, &row).expect("an empty row");
    let at = |ms: i64| format!("/api/v1/query?query=level&time={}", ms as f64 / 1000.0);
    assert_eq!(
        data(&node.get(&at(T0 + 500)).await)["result"]
            .as_array()
            .expect("a vector")
            .len(),
        1
    );
    assert_eq!(data(&node.get(&at(T0 + 1000)).await)["result"], json!([]));
}

#[tokio::test]
async fn up_is_one_while_rows_were_written_and_zero_between() {
    let node = Node::new();
    let stream = node.stream(Job::Node);
    let mut row = Row::new();
    row.set_foreign(&gauge("level"), &[], 7.0);
    for second in (0..60).chain(600..660) {
        stream.push(T0 + 1000 * second, &row).expect("a later row");
    }
    let range = |from: i64, to: i64| {
        format!(
            "/api/v1/query_range?query=up&start={}&end={}&step=30",
            HOUR + from,
            HOUR + to
        )
    };
    let labels = json!({ "__name__": "up", "instance": "n1", "job": "node", "rack": "r12" });
    assert_eq!(
        data(&node.get(&range(30, 120)).await)["result"],
        json!([{ "metric": labels, "values": [[HOUR + 30, "1"], [HOUR + 60, "1"], [HOUR + 90, "0"], [HOUR + 120, "0"]] }])
    );
    let average = format!(
        "/api/v1/query?query=avg_over_time(up%5B10m%5D)&time={}",
        HOUR + 600
    );
    let value = data(&node.get(&average).await)["result"][0]["value"][1]
        .as_str()
        .expect("a number")
        .to_owned();
    assert!(
        (0.09..0.12).contains(&value.parse::<f64>().expect("a number")),
        "{value}"
    );
    assert_eq!(
        data(&node.get(&range(-600, -300)).await)["result"],
        json!([]),
        "before the first row nothing is known"
    );
    let other = format!(
        "/api/v1/query?query=up%7Binstance%3D%22n2%22%7D&time={}",
        HOUR + 30
    );
    assert_eq!(data(&node.get(&other).await)["result"], json!([]));
}

#[tokio::test]
async fn a_path_that_is_not_there_says_where_to_look() {
    let answer = Node::new().get("/api/v1/nothing").await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert!(answer.text().contains("/v1/openapi.json"), "{}", answer.text());
    let wrong_method = Node::new().get("/-/reload").await;
    assert_eq!(wrong_method.status, StatusCode::METHOD_NOT_ALLOWED);
}
