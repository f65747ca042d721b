//! Bad input, and agents that are not there.

use std::time::Duration;

use serde_json::{Value, json};

use super::agent::{FakeAgent, Manner};
use super::{also, ask, expr, host, one, panel, source};

/// An address nobody listens at.
async fn nobody() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    format!("http://{}", listener.local_addr().expect("an address"))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_query_does_not_spoil_the_others() {
    let a = FakeAgent::start("a", Manner::Answers).await;
    let host = host().await;
    let queries = [
        expr("sum("),
        expr("requests_total"),
        json!([]),
        json!({ "expr": "up", "interval": "soon" }),
        json!({ "expr": "up", "queryType": "incident" }),
    ];
    let answers = ask(&host, &panel(&source(&[&a]), &queries)).await;
    assert_eq!(
        (
            answers.len(),
            answers["B"].status,
            answers["B"].frames[0].fields.len()
        ),
        (5, 200, 2)
    );
    for (ref_id, part) in [
        ("A", ""),
        ("C", "reading the query"),
        ("D", "`interval`: must be a duration"),
        ("E", "incident"),
    ] {
        let answer = &answers[ref_id];
        assert_eq!(
            (answer.status, answer.error_source.as_str(), answer.frames.len()),
            (400, "downstream", 0)
        );
        assert!(
            !answer.error.is_empty() && answer.error.contains(part),
            "{ref_id}: {}",
            answer.error
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_nesting_is_an_error_and_no_crash() {
    let a = FakeAgent::start("a", Manner::Answers).await;
    let host = host().await;
    let deep = format!("{}1{}", "(".repeat(60_000), ")".repeat(5));
    let answer = one(&host, &source(&[&a]), expr(&deep)).await;
    assert_eq!(answer.status, 400, "{}", answer.error);
    let answer = one(&host, &source(&[&a]), expr(&"x".repeat(70_000))).await;
    assert_eq!(answer.status, 400, "{}", answer.error);
    assert_eq!(
        one(&host, &source(&[&a]), expr("requests_total")).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_node_is_named_and_the_others_data_shown_while_an_alert_fails() {
    let (a, gone) = (FakeAgent::start("a", Manner::Answers).await, nobody().await);
    let host = host().await;
    let mut source = source(&[&a]);
    also(&mut source, json!({ "url": gone, "instance": "gone" }));
    let query = expr("sum by (instance) (requests_total)");
    let answer = one(&host, &source, query.clone()).await;
    assert_eq!(
        (answer.status, answer.frames[0].fields.len()),
        (200, 2),
        "{}",
        answer.error
    );
    let notices = answer.frames[0].notices();
    assert!(
        notices
            .iter()
            .any(|text| text.starts_with("1 of 2 nodes answered; missing: gone: ")),
        "{notices:?}"
    );

    let alert = ask(&host, &panel(&source, std::slice::from_ref(&query)).from_alert())
        .await
        .remove("A")
        .expect("A");
    assert_eq!((alert.status, alert.error_source.as_str()), (502, "downstream"));
    assert!(
        alert.error.contains("gone") && alert.error.contains("completeness"),
        "{}",
        alert.error
    );

    source.json["completeness"] = json!(0.5);
    source.updated_ms += 1;
    let alert = ask(&host, &panel(&source, &[query]).from_alert())
        .await
        .remove("A")
        .expect("A");
    assert_eq!((alert.status, alert.frames.len()), (200, 1), "{}", alert.error);

    let up = one(
        &host,
        &source,
        json!({ "expr": "up", "instant": true, "format": "table" }),
    )
    .await;
    assert_eq!(up.frames[0].rows(), 2, "{}", up.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_agent_at_all_and_nobody_answering_are_errors_that_say_what_to_do() {
    let host = host().await;
    let nothing = podscope_testkit::Source::new(Value::Null);
    let answer = one(&host, &nothing, expr("requests_total")).await;
    assert!(
        answer.error.contains("no agents are configured"),
        "{}",
        answer.error
    );
    let health = host.check_health(&nothing).await.expect("answers");
    assert!(
        !health.ok && health.message.contains("add the URL of at least one agent"),
        "{}",
        health.message
    );

    let refused = podscope_testkit::Source::of_urls([nobody().await]);
    let answer = one(&host, &refused, expr("requests_total")).await;
    assert_eq!(
        (answer.status, answer.error_source.as_str()),
        (502, "downstream"),
        "{}",
        answer.error
    );
    assert!(answer.error.contains("connection refused"), "{}", answer.error);
    let health = host.check_health(&refused).await.expect("answers");
    assert!(
        !health.ok && health.message.contains("connection refused"),
        "{}",
        health.message
    );
    assert_eq!(
        (&health.details["expected"], &health.details["answered"]),
        (&json!(1), &json!(0))
    );

    let unknown = podscope_testkit::Source::of_urls(["http://no-such-host.invalid:9477"]);
    let health = host.check_health(&unknown).await.expect("answers");
    assert!(
        health.message.contains("cannot be resolved"),
        "{}",
        health.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_told_and_never_shown() {
    let agent = FakeAgent::start("a", Manner::Wants("right-token")).await;
    let host = host().await;
    let mut source = source(&[&agent]);
    let health = host.check_health(&source).await.expect("answers");
    assert!(
        !health.ok && health.message.contains("wants a token"),
        "{}",
        health.message
    );

    source
        .secrets
        .insert("token".to_owned(), "wrong-hunter2".to_owned());
    source.updated_ms += 1;
    let health = host.check_health(&source).await.expect("answers");
    assert!(
        !health.ok && health.message.contains("refused our token"),
        "{}",
        health.message
    );
    let answer = one(&host, &source, expr("requests_total")).await;
    assert_eq!(answer.status, 502, "{}", answer.error);
    // A role Grafana's SDK for Rust rejects, and settings that cannot be read: both once logged secrets.
    source.role = "None".to_owned();
    source.json = json!({ "timeoutMs": "soon" });
    source.updated_ms += 1;
    assert!(one(&host, &source, expr("up")).await.error.contains("timeoutMs"));

    source.json = json!({ "targets": [{ "url": agent.url() }] });
    source
        .secrets
        .insert("token".to_owned(), "right-token".to_owned());
    source.updated_ms += 1;
    let answer = one(&host, &source, expr("requests_total")).await;
    assert_eq!(answer.status, 200, "{}", answer.error);
    for secret in ["hunter2", "right-token"] {
        assert!(!host.stderr().contains(secret), "{}", host.stderr());
        assert!(!answer.error.contains(secret) && !health.message.contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_reaches_the_log_even_at_trace_level() {
    let agent = FakeAgent::start("a", Manner::Wants("right-hunter2")).await;
    let host =
        podscope_testkit::PluginHost::start_with(super::EXECUTABLE, &[("GF_PLUGIN_LOG_LEVEL", "trace")])
            .await
            .expect("starts");
    let mut source = source(&[&agent]);
    source
        .secrets
        .insert("token".to_owned(), "right-hunter2".to_owned());
    source
        .secrets
        .insert("tlsClientKey".to_owned(), "key-hunter2".to_owned());
    assert_eq!(one(&host, &source, expr("requests_total")).await.status, 200);
    assert!(host.check_health(&source).await.expect("answers").ok);
    assert_eq!(one(&host, &source, expr("sum(")).await.status, 400);
    let log = host.stderr();
    assert!(log.contains("query failed"), "trace level is on: {log}");
    assert!(!log.contains("hunter2"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_that_does_not_fit_is_told_with_its_cure() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let agent = FakeAgent::start_tls("a", &certificate, &key).await;
    let host = host().await;

    let mut source = source(&[&agent]);
    let health = host.check_health(&source).await.expect("answers");
    assert!(
        !health.ok && health.message.contains("set the CA certificate"),
        "{}",
        health.message
    );

    source.json["tlsAuthWithCACert"] = json!(true);
    source.updated_ms += 1;
    let health = host.check_health(&source).await.expect("answers");
    assert!(
        health.message.contains("the secret `tlsCACert` is empty"),
        "{}",
        health.message
    );

    source.secrets.insert("tlsCACert".to_owned(), certificate);
    source.updated_ms += 1;
    let health = host.check_health(&source).await.expect("answers");
    assert!(health.ok, "{}", health.message);
    assert_eq!(one(&host, &source, expr("requests_total")).await.status, 200);

    // Plain HTTP to a TLS port, and TLS to a plain port.
    let plain = FakeAgent::start("b", Manner::Answers).await;
    for url in [
        agent.url().replace("https", "http"),
        plain.url().replace("http", "https"),
    ] {
        let health = host
            .check_health(&podscope_testkit::Source::of_urls([url]))
            .await
            .expect("answers");
        assert!(
            !health.ok && health.message.contains("http"),
            "{}",
            health.message
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_hang_or_babble_cost_their_own_part_only() {
    let good = FakeAgent::start("good", Manner::Answers).await;
    let hangs = FakeAgent::start("hangs", Manner::Hangs).await;
    let babbles = FakeAgent::start("babbles", Manner::Babbles).await;
    let host = host().await;
    let mut source = source(&[&good, &hangs, &babbles]);
    source.json["timeoutMs"] = json!(700);
    let answer = one(&host, &source, expr("count by (instance) (requests_total)")).await;
    assert_eq!(
        (answer.status, answer.frames[0].fields.len()),
        (200, 2),
        "{}",
        answer.error
    );
    let notices = answer.frames[0].notices().join(" ");
    assert!(notices.contains("1 of 3 nodes answered"), "{notices}");
    let health = host.check_health(&source).await.expect("answers");
    assert!(
        !health.ok && health.message.contains("1 of 3 agents answer"),
        "{}",
        health.message
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_query_is_cancelled_at_the_agents() {
    let agent = FakeAgent::start("a", Manner::Hangs).await;
    let host = host().await;
    let request = panel(&source(&[&agent]), &[expr("requests_total")]);
    {
        let mut asked = std::pin::pin!(host.query_data(&request));
        let waited = async { wait_until(|| agent.busy() > 0).await };
        tokio::select! {
            _ = &mut asked => panic!("nobody answers"),
            () = waited => {}
        }
    }
    wait_until(|| agent.busy() == 0).await;
}

/// Polls until a condition holds, with a deadline.
async fn wait_until(condition: impl Fn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(
            tokio::time::Instant::now() < deadline,
            "the condition did not come about in time"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
