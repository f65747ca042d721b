//! Queries that succeed: shapes, names, macros, budget.

use serde_json::{Value, json};

use super::agent::{FakeAgent, Manner};
use super::{END_MS, ask, expr, host, one, panel, source};

const UTIL: &str = "DCGM_FI_DEV_GPU_UTIL";

#[tokio::test(flavor = "multi_thread")]
async fn a_panel_gets_one_wide_frame_of_all_nodes_series() {
    let (a, b) = (
        FakeAgent::start("a", Manner::Answers).await,
        FakeAgent::start("b", Manner::Answers).await,
    );
    let host = host().await;
    let answer = one(
        &host,
        &source(&[&a, &b]),
        json!({ "expr": UTIL, "legendFormat": "{{instance}}/{{gpu}}" }),
    )
    .await;
    assert_eq!(
        (answer.status, answer.error.as_str(), answer.frames.len()),
        (200, "", 1)
    );
    let frame = &answer.frames[0];
    // Ten minutes at 15 s, both ends on whole steps.
    assert_eq!((frame.rows(), frame.fields.len()), (41, 17));
    assert_eq!(frame.meta.as_ref().expect("meta")["type"], "timeseries-wide");
    assert_eq!(
        frame.meta.as_ref().expect("meta")["executedQueryString"],
        format!("Expr: {UTIL}\nStep: 15s")
    );
    let last = &frame.fields[16];
    assert_eq!(
        (last.name.as_str(), last.label("instance"), last.label("gpu")),
        (UTIL, Some("b"), Some("7"))
    );
    assert_eq!(
        last.config,
        Some(json!({ "displayNameFromDS": "b/7", "unit": "percent" }))
    );
    assert!(
        last.numbers().iter().all(|value| *value == Some(71.0)),
        "{:?}",
        last.numbers()
    );
    assert_eq!(frame.fields[0].config, Some(json!({ "interval": 15_000 })));
}

#[tokio::test(flavor = "multi_thread")]
async fn aggregates_are_the_fleets_and_not_a_nodes() {
    let (a, b) = (
        FakeAgent::start("a", Manner::Answers).await,
        FakeAgent::start("b", Manner::Answers).await,
    );
    let host = host().await;
    let source = source(&[&a, &b]);
    for (text, expected) in [
        (format!("sum({UTIL})"), 576.0),
        (format!("count({UTIL})"), 16.0),
        (format!("avg({UTIL})"), 36.0),
        ("sum(rate(requests_total[$__rate_interval]))".to_owned(), 4.0),
        (r#"sum(up{job="node"})"#.to_owned(), 2.0),
        (
            "histogram_quantile(0.5, sum by (le) (rate({__name__=~\"vllm:.*_bucket\"}[5m])))".to_owned(),
            0.55,
        ),
    ] {
        let answer = one(&host, &source, json!({ "expr": text, "instant": true })).await;
        assert_eq!(answer.error, "", "{text}");
        let value = answer.frames[0].fields[1].numbers()[0].expect("a number");
        assert!((value - expected).abs() < 1e-9, "{text}: {value}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_interval_follows_the_metrics_own_collection_interval() {
    let a = FakeAgent::start("a", Manner::Answers).await;
    let host = host().await;
    let mut request = panel(&source(&[&a]), &[expr("rate(requests_total[$__rate_interval])")]);
    request.queries[0].interval_ms = 1000;
    let answer = ask(&host, &request).await.remove("A").expect("A");
    let executed = answer.frames[0].meta.as_ref().expect("meta")["executedQueryString"].to_string();
    // Collected every 15 s: four of them, although the step is 1 s.
    assert!(
        executed.contains("requests_total[1m]") && executed.contains("Step: 1s"),
        "{executed}"
    );
    assert!(
        answer.frames[0].fields[1]
            .numbers()
            .iter()
            .flatten()
            .all(|rate| (rate - 2.0).abs() < 1e-9)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panel_past_its_budget_is_widened_with_a_notice_and_an_alert_never() {
    let a = FakeAgent::with_gpus("a", Manner::Answers, 100).await;
    let host = host().await;
    let source = source(&[&a]);
    let query = json!({ "expr": UTIL, "interval": "1s", "maxCells": 10_000 });
    let mut request = panel(&source, &[query]);
    request.queries[0].max_data_points = 10_000;
    let answer = ask(&host, &request).await.remove("A").expect("A");
    let frame = &answer.frames[0];
    assert!(
        frame.rows() >= 60 && frame.rows() * 100 <= 10_000,
        "{} rows",
        frame.rows()
    );
    let notices = frame.notices();
    assert!(
        notices.len() == 1 && notices[0].starts_with("the step was widened from 1s to 10s"),
        "{notices:?}"
    );

    let alert = ask(&host, &request.clone().from_alert())
        .await
        .remove("A")
        .expect("A");
    assert_eq!((alert.frames.len(), alert.frames[0].rows()), (100, 601));
    assert!(alert.frames.iter().all(|frame| frame.notices().is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_selector_of_ten_million_points_is_refused_with_advice_before_they_travel() {
    let a = FakeAgent::with_gpus("a", Manner::Answers, 20_000).await;
    let host = host().await;
    let mut request = panel(
        &source(&[&a]),
        &[json!({ "expr": "{job=\"dcgm\"}", "interval": "1s" })],
    );
    request.queries[0].max_data_points = 10_000;
    let answer = ask(&host, &request).await.remove("A").expect("A");
    assert_eq!((answer.status, answer.error_source.as_str()), (422, "downstream"));
    assert!(
        answer.error.starts_with("the query answers 20000 series"),
        "{}",
        answer.error
    );
    assert!(
        answer.error.contains("aggregate (sum by, avg by)"),
        "{}",
        answer.error
    );
    // Only the number of series was asked for.
    assert_eq!(a.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_one_request_tell_their_values_apart() {
    let a = FakeAgent::start("a", Manner::Answers).await;
    let host = host().await;
    let table = |text: &str| json!({ "expr": text, "instant": true, "format": "table" });
    let source = source(&[&a]);
    let answers = ask(&host, &panel(&source, &[table(UTIL), table("requests_total")])).await;
    let names = |ref_id: &str| {
        answers[ref_id].frames[0]
            .fields
            .iter()
            .map(|field| field.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names("A"),
        [
            "Time", "Hostname", "__name__", "gpu", "instance", "job", "Value #A"
        ]
    );
    assert_eq!(names("B"), ["Time", "__name__", "instance", "job", "Value #B"]);
    assert_eq!(answers["A"].frames[0].rows(), 8);
    let alone = one(&host, &source, table(UTIL)).await;
    assert_eq!(alone.frames[0].fields.last().expect("fields").name, "Value");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heatmap_has_one_column_per_bucket() {
    let a = FakeAgent::start("a", Manner::Answers).await;
    let host = host().await;
    let text = r#"sum by (le) (rate({__name__="vllm:e2e_request_latency_seconds_bucket"}[1m]))"#;
    let answer = one(
        &host,
        &source(&[&a]),
        json!({ "expr": text, "format": "heatmap", "legendFormat": "{{le}}" }),
    )
    .await;
    let frame = &answer.frames[0];
    assert_eq!(frame.meta.as_ref().expect("meta")["type"], "heatmap-rows");
    let columns: Vec<(&str, f64)> = frame.fields[1..]
        .iter()
        .map(|field| (field.name.as_str(), field.numbers()[20].expect("a number")))
        .collect();
    // 1, 3 and 4 per second, cumulative.
    for ((name, value), (bound, own)) in columns.iter().zip([("0.1", 1.0), ("1", 2.0), ("+Inf", 1.0)]) {
        assert!(*name == bound && (value - own).abs() < 1e-12, "{columns:?}");
    }
    assert_eq!(columns.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expressions_request_gets_numbers_or_series_without_gaps() {
    let a = FakeAgent::start("a", Manner::Answers).await;
    let host = host().await;
    let queries = [
        json!({ "expr": UTIL, "instant": true, "format": "table" }),
        expr(&format!(
            "{UTIL} and on() (vector(time()) < {})",
            (END_MS - 300_000) / 1000
        )),
    ];
    let mut request = panel(&source(&[&a]), &queries);
    request
        .headers
        .insert("http_X-Grafana-From-Expr".to_owned(), "true".to_owned());
    let answers = ask(&host, &request).await;
    let numbers = &answers["A"].frames;
    assert_eq!(
        (numbers.len(), numbers[0].rows(), numbers[0].fields.len()),
        (1, 1, 8)
    );
    assert_eq!(numbers[0].meta.as_ref().expect("meta")["type"], "numeric-wide");
    let series = &answers["B"].frames;
    assert_eq!(series.len(), 8, "{}", answers["B"].error);
    assert!(
        series
            .iter()
            .all(|frame| frame.rows() == 20 && !frame.fields[1].nullable),
        "{} rows",
        series[0].rows()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn range_and_instant_together_give_both() {
    let a = FakeAgent::start("a", Manner::Answers).await;
    let host = host().await;
    let answer = one(
        &host,
        &source(&[&a]),
        json!({ "expr": "requests_total", "range": true, "instant": true }),
    )
    .await;
    let rows: Vec<usize> = answer.frames.iter().map(|frame| frame.rows()).collect();
    assert_eq!(rows, [41, 1]);
    let matrix = one(
        &host,
        &source(&[&a]),
        json!({ "expr": "requests_total[1m]", "instant": true }),
    )
    .await;
    assert_eq!((matrix.frames.len(), matrix.frames[0].rows()), (1, 4));
    let range = one(&host, &source(&[&a]), expr("requests_total[1m]")).await;
    assert_eq!(range.status, 400);
    assert!(
        range.error.contains("must be Scalar or instant Vector"),
        "{}",
        range.error
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_take_effect_with_the_next_request() {
    let a = FakeAgent::start("a", Manner::Answers).await;
    let host = host().await;
    let mut source = source(&[&a]);
    let series =
        |answer: podscope_testkit::plugin_host::QueryAnswer| answer.frames[0].fields[1].labels.clone();
    assert_eq!(
        series(one(&host, &source, expr("requests_total")).await).expect("labels")["rack"],
        Value::Null
    );
    source.json["targets"][0]["labels"] = json!({ "rack": "r1" });
    source.updated_ms += 1;
    assert_eq!(
        series(one(&host, &source, expr("requests_total")).await).expect("labels")["rack"],
        "r1"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn remarks_of_the_language_reach_the_panel_from_leaf_and_root() {
    let (a, b) = (
        FakeAgent::start("a", Manner::Answers).await,
        FakeAgent::start("b", Manner::Answers).await,
    );
    let host = host().await;
    let source = source(&[&a, &b]);
    for (text, remark) in [
        // Evaluated on the leaves, and at the root over what they sent.
        (
            format!("histogram_quantile(0.5, {UTIL})"),
            "bucket label \"le\" is missing",
        ),
        (
            format!("histogram_quantile(0.5, sum by (job) ({UTIL}))"),
            "bucket label \"le\" is missing",
        ),
        (format!("rate({UTIL}[5m])"), "might not be a counter"),
    ] {
        let answer = one(&host, &source, expr(&text)).await;
        assert_eq!(answer.error, "", "{text}");
        let notices = answer.frames[0].notices();
        let matching = notices.iter().filter(|notice| notice.contains(remark)).count();
        assert_eq!(matching, 1, "{text}: {notices:?}");
    }
}
