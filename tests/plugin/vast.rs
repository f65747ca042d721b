//! A VAST cluster behind a simulated management server: any PromQL, one cache for everybody, bad days, events, scope.

use std::time::Duration;

use podscope_sim::vms::{Fault, FixedWorld, SimVms, VmsOptions};
use podscope_testkit::frames::Cell;
use podscope_testkit::plugin_host::QueryAnswer;
use podscope_testkit::{PluginHost, Query, QueryRequest, Source};
use serde_json::{Value, json};

use super::agent::{FakeAgent, Manner};
use super::{END_MS, expr, host};

const BLOCK: &str = r#"proto_name="BlockCommon""#;

/// A cluster that switched prefetch on half an hour ago.
async fn server() -> (SimVms, i64) {
    let now_ms = jiff_now();
    let world = FixedWorld {
        prefetch_ms: Some(now_ms - 1_800_000),
        ..FixedWorld::new(now_ms).live()
    };
    let server = SimVms::start(world, VmsOptions::default())
        .await
        .expect("a free port");
    (server, now_ms)
}

fn jiff_now() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the year 292 million") / 1_000 * 1_000
}

fn of(url: &str) -> Source {
    let mut source = Source::new(json!({
        // This machine may be slow; nothing here waits for it but what is meant to.
        "timeoutMs": 60_000,
        "vast": [{ "name": "vms-1", "url": url, "user": "podscope", "timeoutMs": 50_000, "labels": { "pod": "pod-2" } }],
    }));
    let password = "read-only-1".to_owned();
    source.secrets.insert("vastPassword_vms-1".to_owned(), password);
    source
}

async fn asked(
    host: &PluginHost,
    source: &Source,
    query: Value,
    (from_ms, to_ms): (i64, i64),
) -> QueryAnswer {
    let query = Query {
        interval_ms: 15_000,
        ..Query::new("A", query)
    };
    let request = QueryRequest::new(source.clone(), from_ms, to_ms, vec![query]);
    let mut answers = host.query_data(&request).await.expect("the call itself succeeds");
    answers.remove("A").expect("an answer for A")
}

/// The last value of each series.
fn last(answer: &QueryAnswer) -> Vec<f64> {
    assert_eq!(answer.error, "");
    let fields = answer.frames.iter().flat_map(|frame| frame.fields.iter().skip(1));
    fields
        .map(|field| field.numbers().into_iter().flatten().last().expect("a value"))
        .collect()
}

fn near(value: f64, wanted: f64) -> bool {
    (value - wanted).abs() <= wanted.abs() * 0.01
}

#[tokio::test(flavor = "multi_thread")]
async fn any_promql_is_answered_from_the_management_server() {
    let (server, now_ms) = server().await;
    let host = host().await;
    let source = of(&server.url());
    let window = (now_ms - 3_600_000, now_ms - 30_000);
    let cases = [
        // Four CNodes with 2,000 reads each of a mebibyte, of 800 µs since prefetch is on.
        (
            format!("sum(vast_cnode_metrics_ProtoMetrics_rd_bw{{{BLOCK}}})"),
            4.0 * 2_000.0 * 1_048_576.0,
        ),
        (
            format!(
                "sum(rate(vast_cnode_metrics_ProtoMetrics_read_latency_sum{{{BLOCK}}}[5m])) / \
                 sum(rate(vast_cnode_metrics_ProtoMetrics_read_latency_count{{{BLOCK}}}[5m]))"
            ),
            800.0,
        ),
        (
            "avg(vast_cnode_metrics_Hardware_cpu_utilization)".to_owned(),
            60.0,
        ),
        (
            "sum(vast_ssd_metrics_Hardware_r_mbs) * 1e6 / \
             sum(vast_cluster_metrics_ProtoMetrics_rd_bw{proto_name=\"ProtoCommon\"})"
                .to_owned(),
            2.0,
        ),
        (
            "vast_cluster_physical_space_in_use / vast_cluster_physical_space".to_owned(),
            7.1e14 / 1.2e15,
        ),
        ("count(vast_cnode_active == 1)".to_owned(), 4.0),
        ("podscope_vast_prefetch_enabled".to_owned(), 1.0),
        ("vast_quota_used_capacity / vast_quota_hard_limit".to_owned(), 0.9),
        ("sum(vast_vms_alarms)".to_owned(), 1.0),
        ("podscope_vast_up".to_owned(), 1.0),
        (
            "vast_user_read_bw{name=\"alice\"}".to_owned(),
            2_000.0 * 1_048_576.0,
        ),
    ];
    for (text, wanted) in cases {
        let query = json!({ "expr": text, "instant": true });
        let answer = asked(&host, &source, query, window).await;
        let values = last(&answer);
        assert!(
            values.len() == 1 && near(values[0], wanted),
            "{text}: {values:?}, not {wanted}"
        );
    }
    // Labels: of the object, of the cluster, of the settings.
    let answer = asked(
        &host,
        &source,
        expr("vast_cnode_metrics_Hardware_mem_percent"),
        window,
    )
    .await;
    let field = &answer.frames[0].fields[1];
    for (name, value) in [
        ("instance", "vms-1"),
        ("job", "vast"),
        ("cluster", "vast-test"),
        ("pod", "pod-2"),
        ("hostname", "cnode-1"),
    ] {
        assert_eq!(field.label(name), Some(value));
    }
    // Never a dip at the end: the newest bucket is not whole, and is left out.
    let to_now = (now_ms - 600_000, now_ms);
    let answer = asked(
        &host,
        &source,
        expr(&format!("vast_cluster_metrics_ProtoMetrics_rd_iops{{{BLOCK}}}")),
        to_now,
    )
    .await;
    let values: Vec<f64> = answer.frames[0].fields[1]
        .numbers()
        .into_iter()
        .flatten()
        .collect();
    assert!(
        values.len() > 20 && values.iter().all(|value| near(*value, 8_000.0)),
        "{values:?}"
    );
    // A day: by the minute.
    let day = (now_ms - 20 * 3_600_000, now_ms);
    let mean =
        format!("rate(vast_cluster_metrics_ProtoMetrics_read_latency_sum{{{BLOCK}}}[$__rate_interval])");
    let answer = asked(&host, &source, expr(&mean), day).await;
    let values: Vec<f64> = answer.frames[0].fields[1]
        .numbers()
        .into_iter()
        .flatten()
        .collect();
    assert!(values.len() > 100, "{} values", values.len());
    assert!(
        server.asked().iter().all(|line| line.starts_with("GET ")),
        "nothing is ever written"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_viewers_reach_the_server_no_more_often_than_one() {
    let (server, now_ms) = server().await;
    let host = host().await;
    let source = of(&server.url());
    let panels = [
        format!("sum by (hostname) (vast_cnode_metrics_ProtoMetrics_rd_bw{{{BLOCK}}})"),
        format!("sum by (hostname) (vast_cnode_metrics_ProtoMetrics_wr_bw{{{BLOCK}}})"),
        "avg(vast_cnode_metrics_Hardware_cpu_utilization)".to_owned(),
        "vast_cluster_drr".to_owned(),
        "vast_quota_used_capacity".to_owned(),
    ];
    let refresh = |moved: i64| {
        let (host, source, panels) = (&host, &source, &panels);
        async move {
            let asked = (0..60).flat_map(|viewer| {
                panels.iter().map(move |panel| {
                    // Every viewer's window is another one.
                    let window = (now_ms - 3_600_000 + moved + viewer, now_ms + moved + viewer);
                    asked(host, source, expr(panel), window)
                })
            });
            let answers = futures_util::future::join_all(asked).await;
            assert!(
                answers
                    .iter()
                    .all(|answer| answer.error.is_empty() && !answer.frames.is_empty())
            );
        }
    };
    let began = std::time::Instant::now();
    refresh(0).await;
    let first = server.calls();
    // Lists of clusters, CNodes and quotas, three families; nothing twice.
    assert!(first <= 12, "{first} calls: {:#?}", server.asked());
    refresh(1_000).await;
    // Raw values every ten seconds, all else every minute; as many rounds as this machine's slowness made of it.
    let rounds = began.elapsed().as_secs() / 10 + 1;
    let second = server.calls() - first;
    assert!(
        second <= rounds * 8,
        "{second} calls in {rounds} rounds: {:#?}",
        server.asked()
    );
    assert!(server.most_at_once() <= 2, "{} at once", server.most_at_once());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_bad_day_what_is_known_is_shown_with_its_age_and_what_is_not_is_said() {
    let (server, now_ms) = server().await;
    let host = host().await;
    let source = of(&server.url());
    let window = (now_ms - 600_000, now_ms);
    let known = expr("avg(vast_cnode_metrics_Hardware_cpu_utilization)");
    assert!(near(
        last(&asked(&host, &source, known.clone(), window).await)[0],
        60.0
    ));
    let faults = [
        (Fault::Html, "a web page instead of JSON"),
        (Fault::Half, "half of it instead of JSON"),
        (Fault::Unauthorized, "refuses our credentials"),
        (Fault::Busy { retry_after_s: 1 }, "is busy"),
    ];
    for (fault, text) in faults {
        // A data source of its own each: nothing is known of it yet.
        let mut fresh = of(&server.url());
        fresh.uid = format!("{fault:?}");
        server.fault(Some(fault.clone()));
        let answer = asked(&host, &fresh, known.clone(), window).await;
        assert!(
            answer.error.contains(text) && answer.error.contains("vms-1"),
            "{fault:?}: {}",
            answer.error
        );
        assert!(!answer.error.contains("read-only-1"), "{}", answer.error);
        let health = host.check_health(&fresh).await.expect("the call itself succeeds");
        assert!(
            health.message.contains("the VAST server \"vms-1\""),
            "{}",
            health.message
        );
    }
    // What nobody asked for yet fails; what was read before is still shown, with its age and why.
    server.fault(Some(Fault::Unavailable));
    let unknown = asked(
        &host,
        &source,
        expr("avg(vast_cnode_metrics_Hardware_cpu_temp)"),
        window,
    )
    .await;
    assert!(unknown.error.contains("answered 503"), "{}", unknown.error);
    let answer = asked(&host, &source, known, window).await;
    assert!(near(last(&answer)[0], 60.0));
    let notices = answer.frames[0].notices().join("\n");
    assert!(
        notices.contains("answered 503") && notices.contains("s old"),
        "{notices}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_server_costs_a_panel_its_patience_and_no_more() {
    let (server, now_ms) = server().await;
    let host = host().await;
    let mut source = of(&server.url());
    source.json["vast"][0]["timeoutMs"] = json!(60_000);
    source.json["timeoutMs"] = json!(500);
    server.fault(Some(Fault::Slow(Duration::from_secs(3_600))));
    let answer = asked(
        &host,
        &source,
        expr("vast_cluster_drr"),
        (now_ms - 600_000, now_ms),
    )
    .await;
    assert!(answer.error.contains("did not answer"), "{}", answer.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_and_nodes_meet_in_one_expression_and_no_node_is_added() {
    let (server, _) = server().await;
    let agent = FakeAgent::ending_at("a", Manner::Answers, jiff_now()).await;
    let host = host().await;
    let mut source = of(&server.url());
    source.json["targets"] = json!([{ "url": agent.url() }]);
    let now_ms = jiff_now();
    let window = (now_ms - 600_000, now_ms);
    let text = "avg(vast_cnode_metrics_Hardware_cpu_utilization) - avg(DCGM_FI_DEV_GPU_UTIL)";
    let both = last(&asked(&host, &source, json!({ "expr": text, "instant": true }), window).await);
    assert!(near(both[0], 60.0 - 36.0), "{both:?}");
    let up = asked(
        &host,
        &source,
        json!({ "expr": "count(up)", "instant": true }),
        window,
    )
    .await;
    assert_eq!(last(&up), [1.0], "a storage cluster is no node");
    let health = host
        .check_health(&source)
        .await
        .expect("the call itself succeeds");
    assert!(
        health.message.contains("the agent answers") && health.message.contains("cluster vast-test"),
        "{}",
        health.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_and_alarms_of_the_cluster_are_events() {
    let (server, now_ms) = server().await;
    let host = host().await;
    let source = of(&server.url());
    let window = (now_ms - 3_600_000, now_ms);
    let events = |selector: &str| json!({ "queryType": "events", "expr": selector, "format": "table" });
    let texts = |answer: &QueryAnswer, column: &str| -> Vec<String> {
        assert_eq!(answer.error, "");
        let field = answer.frames[0]
            .fields
            .iter()
            .find(|field| field.name == column)
            .expect(column);
        let cells = field.cells.iter().map(|cell| match cell {
            Cell::Text(text) => text.clone(),
            other => panic!("{other:?} is no text"),
        });
        cells.collect()
    };
    let change = asked(&host, &source, events(r#"{kind="change"} |= "prefetch""#), window).await;
    assert_eq!(texts(&change, "Source"), ["vast"]);
    let alarm = asked(&host, &source, events(r#"{kind="alarm",pod="pod-2"}"#), window).await;
    assert_eq!(texts(&alarm, "State"), ["open"]);
    assert!(texts(&alarm, "Labels")[0].contains("cnode-1"));
    assert_eq!(
        texts(
            &asked(&host, &source, events(r#"{kind="xid"}"#), window).await,
            "Kind"
        ),
        Vec::<String>::new()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_from_client_to_view_is_a_table() {
    let (server, now_ms) = server().await;
    let host = host().await;
    let window = (now_ms - 600_000, now_ms);
    let query = |what: &str| json!({ "queryType": "inventory", "what": what });
    let answer = asked(&host, &of(&server.url()), query("flows"), window).await;
    assert_eq!(answer.error, "");
    let first: Vec<Option<&Cell>> = answer.frames[0]
        .fields
        .iter()
        .map(|field| field.cells.first())
        .collect();
    let wanted = [
        "10.9.0.1",
        "172.21.0.1",
        "cnode-1",
        "/train (/train)",
        "(alice) 1001",
        "vms-1",
    ];
    let wanted = wanted.map(|text| Cell::Text(text.to_owned()));
    assert_eq!(first, wanted.iter().map(Some).collect::<Vec<_>>());
    let unknown = asked(&host, &of(&server.url()), query("bogus"), window).await;
    assert!(unknown.error.contains("`what`"), "{}", unknown.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_who_sees_only_their_own_sees_of_storage_what_is_public() {
    let (server, now_ms) = server().await;
    let host = host().await;
    let mut source = of(&server.url());
    source.json["scope"] = json!("viewers");
    source.json["publicMetrics"] = json!(["vast_cluster_*"]);
    source.role = "Viewer".to_owned();
    let window = (now_ms - 600_000, now_ms);
    let refused = asked(&host, &source, expr("vast_user_read_bw"), window).await;
    assert_eq!(refused.status, 403);
    assert!(refused.error.contains("cannot tell whose"), "{}", refused.error);
    assert!(near(
        last(&asked(&host, &source, expr("vast_cluster_drr"), window).await)[0],
        1.83
    ));
    let events = json!({ "queryType": "events", "expr": "{}", "format": "table" });
    let seen = asked(&host, &source, events, window).await;
    assert_eq!(seen.frames[0].rows(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_its_own_is_trusted_by_its_authority_and_name() {
    let _installed = rustls::crypto::ring::default_provider().install_default().is_ok();
    let made = rcgen::generate_simple_self_signed(vec!["vms.example.com".to_owned()]).expect("a certificate");
    let certificate = made.cert.pem();
    let options = VmsOptions {
        tls: Some((certificate.clone(), made.signing_key.serialize_pem())),
        ..VmsOptions::default()
    };
    let server = SimVms::start(FixedWorld::new(jiff_now()).live(), options)
        .await
        .expect("a free port");
    let host = host().await;
    let mut source = of(&server.url());
    let health = host
        .check_health(&source)
        .await
        .expect("the call itself succeeds");
    assert!(
        !health.ok && health.message.contains("paste its CA into the settings"),
        "{}",
        health.message
    );
    source.json["vast"][0]["tlsAuthWithCACert"] = json!(true);
    source.json["vast"][0]["serverName"] = json!("vms.example.com");
    source.secrets.insert("vastCACert_vms-1".to_owned(), certificate);
    let health = host
        .check_health(&source)
        .await
        .expect("the call itself succeeds");
    assert!(
        health.message.contains("answers: cluster vast-test"),
        "{}",
        health.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_vast_clusters_that_make_no_sense_are_named() {
    let host = host().await;
    let cases = [
        (json!([{ "url": "vms" }]), "vast[0].url"),
        (json!([{ "url": "https://u:p@vms" }]), "vast[0].url"),
        (json!([{ "url": "https://vms", "name": "a b" }]), "vast[0].name"),
        (json!([{ "url": "https://vms" }]), "vast[0].user"),
        (
            json!([{ "url": "https://vms", "user": "ops" }]),
            "vastPassword_vast",
        ),
        (
            json!([{ "url": "https://vms", "auth": "apiToken" }]),
            "vastToken_vast",
        ),
        (
            json!([{ "url": "https://vms", "auth": "kerberos" }]),
            "vast[0].auth",
        ),
        (
            json!([{ "url": "https://vms", "auth": "apiToken", "properties": ["rd_bw"] }]),
            "vastToken_vast",
        ),
        (json!("vms"), "`vast`"),
    ];
    for (servers, text) in cases {
        let source = Source::new(json!({ "vast": servers, "targets": [{ "url": "http://127.0.0.1:1" }] }));
        let answer = asked(&host, &source, expr("up"), (END_MS - 600_000, END_MS)).await;
        assert!(answer.error.contains(text), "{servers}: {}", answer.error);
        assert!(!answer.error.contains("u:p"), "{}", answer.error);
    }
}
