use std::time::Duration;

use podscope_fanout::{Fleet, FleetConfig, FleetError, FleetQuery, Missing, Secret, TargetSpec};
use podscope_model::leaf::{Annotation, ApiError, ApiErrorKind};

use crate::fake::{Mode, dead_port, eventually, gpu_node, serve};
use crate::{GRID, ask, config, fleet, lines};

/// Asks one healthy node and one in the given mode, and answers why the second is missing.
async fn why_missing(mode: Mode, change: impl FnOnce(&mut FleetConfig)) -> Missing {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let (b_agent, b) = serve(gpu_node("b", 20.0)).await;
    b_agent.set(mode);
    let mut config = config(vec![a, b]);
    change(&mut config);
    let fleet = Fleet::new(config).expect("good settings");
    let answer = ask(&fleet, "sum(temp)").await.expect("one node answers");
    assert_eq!(
        lines(&answer),
        ["{} 21 21 21 21"],
        "the healthy node's data is there"
    );
    assert_eq!(
        (answer.completeness.expected, answer.completeness.answered),
        (2, 1)
    );
    assert_eq!(fleet.in_flight(), 0);
    let [missing] = &answer.completeness.missing[..] else {
        panic!("one is missing: {:?}", answer.completeness)
    };
    assert_eq!(missing.instance, "b");
    let notice = answer.completeness.notice().expect("somebody is missing");
    assert_eq!(
        notice,
        format!("1 of 2 nodes answered; missing: b: {}", missing.reason)
    );
    missing.clone()
}

fn quick(config: &mut FleetConfig) {
    config.timeout = Duration::from_millis(300);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_fail_has_its_own_sentence() {
    let cases = [
        (Mode::Garbage, "its answer cannot be read"),
        (
            Mode::HalfABody,
            "the connection broke in the middle of the answer",
        ),
        (Mode::Html, "answered a web page instead of the agent API"),
        (
            Mode::Broken,
            "answered 500 Internal Server Error without saying why",
        ),
        (Mode::OtherGrid, "its answer does not fit the question"),
        (Mode::Redirects, "redirects to another address (302 Found)"),
        (Mode::NotFound, "has no agent API at this address (404)"),
    ];
    for (mode, wanted) in cases {
        let missing = why_missing(mode.clone(), |_| {}).await;
        assert!(missing.reason.starts_with(wanted), "{mode:?}: {}", missing.reason);
        assert_eq!(missing.kind, ApiErrorKind::Unreachable, "{mode:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_late_or_silent_is_left_out_at_the_deadline() {
    for mode in [Mode::Never, Mode::Late(Duration::from_secs(30))] {
        let missing = why_missing(mode, quick).await;
        assert_eq!(missing.kind, ApiErrorKind::Timeout);
        assert!(
            missing.reason.starts_with("no answer within 0."),
            "{}",
            missing.reason
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_port_and_an_unknown_name_are_told_apart() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let port = dead_port();
    let dead = TargetSpec::new(format!("http://127.0.0.1:{port}"));
    let unknown = TargetSpec::new("http://no-such-host.invalid:9477");
    let answer = ask(&fleet(vec![a, dead, unknown]), "sum(temp)")
        .await
        .expect("one answers");
    let reasons: Vec<String> = answer
        .completeness
        .missing
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(reasons.len(), 2);
    assert_eq!(
        reasons[0],
        format!(
            "127.0.0.1:{port}: connection refused at 127.0.0.1:{port}; start the agent there, or correct the URL"
        )
    );
    assert_eq!(
        reasons[1],
        "no-such-host.invalid:9477: the name \"no-such-host.invalid\" cannot be resolved; correct the URL, or the DNS"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_the_agent_explains_is_passed_on() {
    let refusal = ApiError::new(ApiErrorKind::Internal, "the disk is on fire");
    let missing = why_missing(Mode::Refuses(refusal), |_| {}).await;
    assert_eq!(
        (missing.kind, missing.reason.as_str()),
        (ApiErrorKind::Internal, "the disk is on fire")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_passed_on_a_leaf_fails_the_query_and_names_the_leaf() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let (b_agent, b) = serve(gpu_node("b", 20.0)).await;
    b_agent.set(Mode::Refuses(ApiError::new(
        ApiErrorKind::Limit,
        "reads more than 10 samples",
    )));
    let error = ask(&fleet(vec![a, b]), "sum(temp)")
        .await
        .expect_err("half a sum would be wrong");
    assert_eq!(error.to_string(), "b: reads more than 10 samples");
    assert_eq!(error.kind(), ApiErrorKind::Limit);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_large_is_refused() {
    let (b_agent, b) = serve(gpu_node("b", 20.0)).await;
    b_agent.set(Mode::Huge(70_000));
    let small = FleetConfig {
        max_body_bytes: 65_536,
        ..config(vec![b])
    };
    let error = ask(&Fleet::new(small).expect("good"), "sum(temp)")
        .await
        .expect_err("too large");
    assert_eq!(error.kind(), ApiErrorKind::Limit);
    assert!(
        error
            .to_string()
            .starts_with("b: the answer is larger than 65536 bytes"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_named_and_never_shown() {
    let mut node = gpu_node("b", 20.0);
    node.token = Some("right".to_owned());
    let (agent, b) = serve(node).await;
    let with = |token: Option<&str>| {
        let config = FleetConfig {
            token: token.map(Secret::new),
            ..config(vec![b.clone()])
        };
        Fleet::new(config).expect("good settings")
    };
    let error = ask(&with(Some("hunter2")), "sum(temp)")
        .await
        .expect_err("refused")
        .to_string();
    assert!(
        error.contains("b: refused our token (401 Unauthorized)"),
        "{error}"
    );
    assert!(!error.contains("hunter2"));
    let error = ask(&with(None), "sum(temp)")
        .await
        .expect_err("refused")
        .to_string();
    assert!(error.contains("wants a token"), "{error}");
    // Even when the agent sends it back.
    agent.set(Mode::Refuses(ApiError::new(
        ApiErrorKind::Internal,
        "bad header: Bearer right",
    )));
    let error = ask(&with(Some("right")), "sum(temp)")
        .await
        .expect_err("refused")
        .to_string();
    assert!(error.contains("bad header: Bearer ***"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_agent_at_the_address_is_an_error_of_that_node() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let (_b, mut b) = serve(gpu_node("b", 20.0)).await;
    b.instance = Some("c".to_owned());
    let answer = ask(&fleet(vec![a, b]), "sum(temp)").await.expect("one answers");
    let [missing] = &answer.completeness.missing[..] else {
        panic!("one is missing")
    };
    assert_eq!(
        (missing.instance.as_str(), missing.kind),
        ("c", ApiErrorKind::WrongInstance)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn when_nobody_answers_the_query_fails() {
    let dead = TargetSpec::new(format!("http://127.0.0.1:{}", dead_port()));
    let error = ask(&fleet(vec![dead]), "temp").await.expect_err("nobody");
    assert!(matches!(error, FleetError::NoneAnswered(_)));
    assert!(error.to_string().contains("connection refused"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn absent_says_nothing_in_a_panel_and_fails_in_an_alert_while_a_node_is_silent() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let dead = TargetSpec {
        instance: Some("dead".to_owned()),
        ..TargetSpec::new(format!("http://127.0.0.1:{}", dead_port()))
    };
    let whole = fleet(vec![a.clone()]);
    assert_eq!(
        lines(&ask(&whole, "absent(no_such_metric)").await.expect("all answer")),
        ["{} 1 1 1 1"]
    );
    let partial = fleet(vec![a, dead]);
    let answer = ask(&partial, "absent(no_such_metric)").await.expect("a panel");
    assert!(lines(&answer).is_empty());
    let warned = |note: &Annotation| matches!(note, Annotation::Warning(text) if text.contains("dead: connection refused"));
    assert!(
        answer.outcome.annotations.iter().any(warned),
        "{:?}",
        answer.outcome.annotations
    );
    let alert = FleetQuery {
        alert: true,
        ..FleetQuery::new("absent(no_such_metric)", GRID)
    };
    let error = partial.query(alert).await.expect_err("an alert");
    assert!(matches!(error, FleetError::Incomplete(_)), "{error}");
    // A node that could not have matched is not missed.
    let answer = ask(&partial, r#"absent(no_such_metric{instance="a"})"#)
        .await
        .expect("a answers");
    assert_eq!(lines(&answer), [r#"{instance="a"} 1 1 1 1"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_connection_that_the_agent_closed_costs_no_answer() {
    // A server that closes every connection after its first answer, without saying so beforehand.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (agent, spec) = serve(gpu_node("a", 10.0)).await;
    let behind = spec.url.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let behind = behind.clone();
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(behind)
                    .await
                    .expect("the fake listens");
                // One question and one answer, then both ends are dropped.
                let mut buffer = vec![0; 65_536];
                for up in [true, false] {
                    use tokio::io::{AsyncReadExt, AsyncWriteExt};
                    let (from, to) = if up {
                        (&mut near, &mut far)
                    } else {
                        (&mut far, &mut near)
                    };
                    let read = from.read(&mut buffer).await.expect("readable");
                    to.write_all(&buffer[..read]).await.expect("writable");
                }
            });
        }
    });
    let fleet = fleet(vec![TargetSpec {
        url: format!("http://{address}"),
        ..spec
    }]);
    for round in 0..20 {
        let answer = ask(&fleet, "sum(temp)").await.expect("it answers");
        assert!(
            answer.completeness.is_complete(),
            "round {round}: {:?}",
            answer.completeness.notice()
        );
    }
    eventually("all rounds were asked", || agent.queries() >= 20).await;
}
