use std::time::{SystemTime, UNIX_EPOCH};

use podscope_fanout::{FleetQuery, TargetSpec};
use podscope_model::leaf::Annotation;
use podscope_model::sample::Grid;

use crate::fake::{Fake, Mode, dead_port, gpu_node, serve};
use crate::{GRID, ask, fleet, lines};

/// Running in `0..=150 s` and `250..=700 s`.
fn interrupted(name: &str) -> Fake {
    let mut node = gpu_node(name, 10.0);
    node.covered = vec![(0, 150_000), (250_000, 700_000)];
    node
}

fn dead(name: &str) -> TargetSpec {
    let url = format!("http://127.0.0.1:{}", dead_port());
    TargetSpec {
        instance: Some(name.to_owned()),
        ..TargetSpec::new(url)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn up_follows_the_times_an_agent_was_running_without_lookback() {
    let (_a, a) = serve(interrupted("a")).await;
    let fleet = fleet(vec![a, dead("b")]);
    let answer = ask(&fleet, "up").await.expect("up is always known");
    assert_eq!(
        lines(&answer),
        [
            r#"up{instance="a",job="node",rack="r1"} 1 0 1 1"#,
            r#"up{instance="b",job="node"} 0 0 0 0"#
        ]
    );
    let noted =
        |note: &Annotation| matches!(note, Annotation::Info(text) if text.contains("b: connection refused"));
    assert!(
        answer.outcome.annotations.iter().any(noted),
        "{:?}",
        answer.outcome.annotations
    );
    let answer = ask(&fleet, "up == 0").await.expect("up is always known");
    assert_eq!(
        lines(&answer),
        [
            r#"up{instance="a",job="node",rack="r1"} - 0 - -"#,
            r#"up{instance="b",job="node"} 0 0 0 0"#
        ]
    );
    assert_eq!(
        answer.completeness.ratio(),
        1.0,
        "an alert on up must not fail for what it reports"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_a_window_and_aggregations_work_on_up() {
    let (_a, a) = serve(interrupted("a")).await;
    let fleet = fleet(vec![a, dead("b")]);
    let answer = ask(&fleet, r#"min_over_time(up{instance="a"}[30s])"#)
        .await
        .expect("known");
    assert_eq!(lines(&answer), [r#"{instance="a",job="node",rack="r1"} 1 0 1 1"#]);
    let answer = ask(&fleet, r#"max_over_time(up{instance="a"}[2m])"#)
        .await
        .expect("known");
    assert_eq!(lines(&answer), [r#"{instance="a",job="node",rack="r1"} 1 1 1 1"#]);
    let answer = ask(&fleet, "sum(up)").await.expect("known");
    assert_eq!(lines(&answer), ["{} 1 0 1 1"]);
    let answer = ask(&fleet, r#"count(up{job="node"} offset 100s)"#)
        .await
        .expect("known");
    assert_eq!(lines(&answer), ["{} 2 2 2 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn up_joins_with_what_the_leaves_answer() {
    let (_a, a) = serve(interrupted("a")).await;
    let (_b, b) = serve(gpu_node("b", 20.0)).await;
    let answer = ask(
        &fleet(vec![a, b]),
        "temp{gpu=\"0\"} * on (instance) group_left up",
    )
    .await
    .expect("known");
    assert_eq!(
        lines(&answer),
        [
            r#"{gpu="0",instance="a",rack="r1"} 10 0 10 10"#,
            r#"{gpu="0",instance="b",rack="r1"} 20 20 20 20"#
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_agent_is_up_now_though_its_last_row_is_a_moment_old() {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_millis() as i64;
    let mut node = gpu_node("a", 10.0);
    node.covered = vec![(now - 3_600_000, now - 1_500)];
    let (agent, a) = serve(node).await;
    let fleet = fleet(vec![a]);
    let query = || FleetQuery::new("up", Grid::instant(now));
    let answer = fleet.query(query()).await.expect("known");
    assert_eq!(lines(&answer), [r#"up{instance="a",job="node",rack="r1"} 1"#]);
    agent.set(Mode::Broken);
    let answer = fleet.query(query()).await.expect("known");
    assert_eq!(lines(&answer), [r#"up{instance="a",job="node",rack="r1"} 0"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_future_is_not_known() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let far = GRID.end_ms + 4_000_000_000_000;
    let answer = fleet(vec![a])
        .query(FleetQuery::new("up", Grid::instant(far)))
        .await
        .expect("known");
    assert!(lines(&answer).is_empty());
}
