//! Our client against the server's quirks and its bad days.

use std::collections::BTreeSet;
use std::time::Duration;

use podscope_model::event::EventKind;
use podscope_sim::vms::{Fault, SimVms};
use podscope_vms::monitor::{Column, Granularity, Grouping, Question};
use podscope_vms::objects::{VastDevice, VastVip};
use podscope_vms::{VmsAuth, VmsClient, VmsConfig, VmsError};

use super::{NOW_MS, basic, client, http, jwt, server};

fn question(object_type: &str) -> Question<'_> {
    Question {
        object_type,
        ids: &[1],
        from_ms: NOW_MS - 600_000,
        to_ms: NOW_MS,
        granularity: Granularity::Raw,
        aggregation: "avg",
    }
}

fn proto(name: &str) -> String {
    format!("ProtoMetrics,proto_name=BlockCommon,{name}")
}

fn column<'a>(columns: &'a [Column], end: &str) -> &'a Column {
    columns
        .iter()
        .find(|column| column.fqn.ends_with(end))
        .unwrap_or_else(|| panic!("no {end} in {columns:?}"))
}

fn grouping(properties: &[String]) -> Grouping {
    let mut grouping = Grouping::default();
    grouping.learn(properties.iter().map(String::as_str));
    grouping
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_of_rows_become_columns_of_time() {
    let server = server().await;
    let client = client(&server, basic());
    let mut properties = grouping(&[
        proto("rd_bw"),
        proto("read_latency__avg"),
        proto("read_latency__num_samples"),
    ]);
    let columns = client
        .ad_hoc(&mut properties, question("cluster"))
        .await
        .expect("an answer");
    assert_eq!(columns.len(), 3);
    let bandwidth = column(&columns, "rd_bw");
    assert!(bandwidth.samples.is_sorted_by_key(|(at, _)| *at) && bandwidth.samples.len() >= 59);
    let [.., (before, _), (last, newest)] = bandwidth.samples[..] else {
        panic!("two samples")
    };
    assert_eq!(last - before, 10_000, "ten seconds apart");
    // Four CNodes of 2,000 reads of a mebibyte; the newest bucket has not seen all of its seconds.
    assert_eq!(bandwidth.samples[0].1, 4.0 * 2_000.0 * 1_048_576.0);
    assert!(newest < bandwidth.samples[0].1);
    let counts = &column(&columns, "num_samples").samples;
    let (first, last) = (counts[0], counts[counts.len() - 1]);
    let rate = (last.1 - first.1) / ((last.0 - first.0) as f64 / 1e3);
    assert!((rate - 8_000.0).abs() < 10.0, "{rate} reads per second");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maximum_without_samples_is_no_value() {
    let server = server().await;
    let client = client(&server, basic());
    // Nobody speaks SMB.
    let property = "ProtoMetrics,proto_name=SMBCommon,read_latency__max".to_owned();
    let mut properties = grouping(&[property, proto("read_latency__max")]);
    let columns = client
        .ad_hoc(&mut properties, question("cluster"))
        .await
        .expect("an answer");
    assert_eq!(columns.len(), 1);
    assert!(columns[0].fqn.contains("BlockCommon"));
}

#[tokio::test(flavor = "multi_thread")]
async fn families_that_refuse_company_are_parted_once_and_what_is_not_served_is_noted() {
    let server = server().await;
    let client = client(&server, basic());
    let mut properties = grouping(&[
        proto("rd_iops"),
        "BlockMetrics,read_latency__avg".to_owned(),
        "BlockMetrics,read_req".to_owned(),
        "S3Metrics,get_latency__avg".to_owned(),
    ]);
    let columns = client
        .ad_hoc(&mut properties, question("cluster"))
        .await
        .expect("an answer");
    let found: BTreeSet<&str> = columns.iter().map(|column| column.fqn.as_str()).collect();
    assert_eq!(found.len(), 3, "{found:?}");
    let refused: Vec<&String> = properties.refused.keys().collect();
    assert_eq!(refused, ["S3Metrics,get_latency__avg"]);
    assert!(
        properties
            .refused
            .values()
            .all(|why| why.contains("property_error")),
        "{properties:?}"
    );
    // What was learned costs nothing the next time.
    let before = server.calls();
    client
        .ad_hoc(&mut properties, question("cluster"))
        .await
        .expect("an answer");
    assert_eq!(server.calls() - before, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_of_properties_are_asked_in_request_lines_that_the_server_takes() {
    let server = server().await;
    let client = client(&server, basic());
    let names: Vec<String> = [
        "ProtoCommon",
        "NFSCommon",
        "NFS4Common",
        "S3Common",
        "SMBCommon",
        "BlockCommon",
    ]
    .iter()
    .flat_map(|proto| {
        ["read_latency", "write_latency", "read_size", "write_size"]
            .iter()
            .flat_map(move |name| {
                ["avg", "std", "rate", "num_samples", "sum"]
                    .iter()
                    .map(move |suffix| format!("ProtoMetrics,proto_name={proto},{name}__{suffix}"))
            })
    })
    .collect();
    let mut properties = grouping(&names);
    let columns = client
        .ad_hoc(&mut properties, question("cluster"))
        .await
        .expect("an answer");
    assert_eq!(columns.len(), names.len());
    assert!(server.calls() > 1 && properties.refused.is_empty());
    assert!(
        server
            .asked()
            .iter()
            .all(|line| line.len() <= 4_096 + "GET ".len())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_get_is_sent_and_post_only_for_tokens() {
    let server = server().await;
    let client = client(&server, jwt());
    client.clusters().await.expect("an answer");
    client.alarms().await.expect("an answer");
    client.top("user", None).await.expect("an answer");
    client.flows().await.expect("an answer");
    server.expire_tokens(false);
    client.clusters().await.expect("by refreshing");
    server.expire_tokens(true);
    client.clusters().await.expect("by logging in again");
    let asked = server.asked();
    let posts: Vec<&String> = asked.iter().filter(|line| !line.starts_with("GET ")).collect();
    let paths: Vec<&str> = posts.iter().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(
        paths,
        [
            "/api/token/",
            "/api/token/refresh/",
            "/api/token/refresh/",
            "/api/token/"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_token_is_enough_and_a_wrong_password_is_said_without_being_told() {
    let server = server().await;
    let token = client(&server, VmsAuth::ApiToken("vast-token-1".to_owned()));
    assert_eq!(token.clusters().await.expect("an answer").len(), 1);
    for auth in [
        VmsAuth::Basic {
            user: "podscope".to_owned(),
            password: "hunter2".to_owned(),
        },
        VmsAuth::Jwt {
            user: "podscope".to_owned(),
            password: "hunter2".to_owned(),
        },
        VmsAuth::ApiToken("hunter2".to_owned()),
    ] {
        let error = client(&server, auth).clusters().await.expect_err("wrong");
        assert!(matches!(error, VmsError::Unauthorized { .. }), "{error}");
        assert!(
            error.to_string().contains("check user and password") && !error.to_string().contains("hunter2")
        );
    }
}

/// The first error under a fault.
async fn under(server: &SimVms, fault: Fault, timeout: Duration) -> VmsError {
    server.fault(Some(fault));
    let config = VmsConfig {
        timeout,
        ..VmsConfig::new(server.url(), basic())
    };
    let client = VmsClient::new(http(), config).expect("good settings");
    client.clusters().await.expect_err("at fault")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bad_day_of_the_server_has_a_sentence_of_its_own() {
    let server = server().await;
    let minute = Duration::from_secs(60);
    let cases = [
        (Fault::Unauthorized, minute, "refuses our credentials"),
        (Fault::Html, minute, "a web page instead of JSON for clusters"),
        (Fault::Half, minute, "half of it instead of JSON"),
        (Fault::Unavailable, minute, "answered 503"),
        (
            Fault::Slow(Duration::from_secs(600)),
            Duration::from_millis(300),
            "did not answer clusters within",
        ),
    ];
    for (fault, timeout, text) in cases {
        let error = under(&server, fault.clone(), timeout).await;
        assert!(error.to_string().contains(text), "{fault:?}: {error}");
        assert!(error.passes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_left_alone_for_as_long_as_it_asks() {
    let server = server().await;
    server.fault(Some(Fault::Busy { retry_after_s: 3_600 }));
    let client = client(&server, basic());
    let error = client.clusters().await.expect_err("busy");
    assert_eq!(
        error,
        VmsError::Busy {
            wait: Duration::from_secs(600)
        },
        "an hour is too long to believe"
    );
    server.fault(None);
    let before = server.calls();
    assert!(matches!(client.clusters().await, Err(VmsError::Busy { .. })));
    assert_eq!(server.calls(), before, "it was not asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_of_calls_and_of_calls_at_once_is_kept() {
    let server = server().await;
    server.fault(Some(Fault::Slow(Duration::from_millis(20))));
    let config = VmsConfig {
        calls_per_minute: 10,
        concurrency: 2,
        ..VmsConfig::new(server.url(), basic())
    };
    let client = VmsClient::new(http(), config).expect("good settings");
    let asked = (0..40).map(|_| client.clusters());
    let answered = futures_util::future::join_all(asked).await;
    let good = answered.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!((good, server.calls()), (10, 10));
    assert!(
        answered
            .iter()
            .filter_map(|answer| answer.as_ref().err())
            .all(|error| matches!(error, VmsError::Budget { .. }))
    );
    assert!(server.most_at_once() <= 2, "{} at once", server.most_at_once());
}

#[tokio::test(flavor = "multi_thread")]
async fn inventory_events_and_who_is_busiest_are_read() {
    let server = server().await;
    let client = client(&server, basic());
    let clusters = client.clusters().await.expect("an answer");
    assert_eq!(
        (clusters[0].name.as_deref(), clusters[0].prefetch()),
        (Some("vast-test"), Some(true))
    );
    let cnodes: Vec<VastDevice> = client.objects("cnodes").await.expect("an answer");
    let vips: Vec<VastVip> = client.objects("vips").await.expect("an answer");
    assert_eq!((cnodes.len(), vips[0].cnode.as_deref()), (4, Some("cnode-1")));
    let events = client
        .events(NOW_MS - 7_200_000, NOW_MS)
        .await
        .expect("an answer");
    assert_eq!(events.len(), 1);
    assert!(
        events[0].kind == EventKind::Change && events[0].title.contains("data_prefetch_enabled"),
        "{events:?}"
    );
    assert!(
        client
            .events(NOW_MS - 60_000, NOW_MS)
            .await
            .expect("an answer")
            .is_empty()
    );
    let alarms = client.alarms().await.expect("an answer");
    assert!(alarms.len() == 1 && alarms[0].open && alarms[0].kind == EventKind::Alarm);
    let top = client.top("user", None).await.expect("an answer");
    assert!(
        top.rows
            .iter()
            .any(|row| row.who.name == "alice" && row.who.uid == "1001" && row.kind == "bw")
    );
    let flows = client.flows().await.expect("an answer");
    let first = flows
        .iter()
        .find(|flow| flow.host == "10.9.0.1")
        .expect("the client");
    assert_eq!(
        (first.vip[0].as_str(), first.cnode[0].as_str()),
        ("172.21.0.1", "cnode-1")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn every_base_path_leads_to_the_same_objects() {
    let server = server().await;
    let http = http();
    let mut bodies = BTreeSet::new();
    for base in ["api", "api/latest", "api/v1", "api/v7"] {
        let url = format!(
            "{}/{base}/cnodes/?fields=id,name&page_size=2&page=2",
            server.url()
        );
        let answer = http
            .get(url)
            .basic_auth("podscope", Some("read-only-1"))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), 200);
        let body: serde_json::Value = answer.json().await.expect("JSON");
        assert_eq!(
            (&body["count"], body["next"].is_null(), body["previous"].is_null()),
            (&serde_json::json!(4), true, false)
        );
        bodies.insert(body["results"].to_string());
    }
    assert_eq!(
        bodies.into_iter().collect::<Vec<_>>(),
        [r#"[{"id":3,"name":"cnode-3"},{"id":4,"name":"cnode-4"}]"#]
    );
    let refused = http
        .delete(format!("{}/api/views/1/", server.url()))
        .basic_auth("podscope", Some("read-only-1"));
    assert_eq!(refused.send().await.expect("an answer").status(), 405);
}
