use std::sync::atomic::Ordering;
use std::time::Duration;

use podscope_fanout::{Fleet, FleetConfig};

use crate::fake::{Mode, eventually, gpu_node, serve};
use crate::{ask, config, fleet};

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_fails_three_times_is_probed_instead_of_asked_until_it_answers() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let (agent, b) = serve(gpu_node("b", 20.0)).await;
    agent.set(Mode::Broken);
    let fleet = fleet(vec![a, b]);
    for _ in 0..3 {
        assert!(
            !ask(&fleet, "sum(temp)")
                .await
                .expect("a answers")
                .completeness
                .is_complete()
        );
    }
    assert_eq!(agent.queries(), 3);
    let answer = ask(&fleet, "sum(temp)").await.expect("a answers");
    let reason = &answer.completeness.missing[0].reason;
    assert!(
        reason.starts_with("not asked, because it failed 3 times in a row"),
        "{reason}"
    );
    assert!(
        reason.contains("answered 500"),
        "the last cause is told: {reason}"
    );
    assert_eq!(agent.queries(), 3, "it was not asked again");
    eventually("it is probed", || agent.infos.load(Ordering::SeqCst) > 0).await;
    agent.set(Mode::Normal);
    let asked_again = async {
        while !ask(&fleet, "sum(temp)")
            .await
            .expect("a answers")
            .completeness
            .is_complete()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked_again)
        .await
        .expect("the probe finds it again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_only_slow_is_asked_again_at_once() {
    let (agent, a) = serve(gpu_node("a", 10.0)).await;
    agent.set(Mode::Late(Duration::from_secs(30)));
    let quick = FleetConfig {
        timeout: Duration::from_millis(200),
        ..config(vec![a])
    };
    let fleet = Fleet::new(quick).expect("good settings");
    for _ in 0..3 {
        ask(&fleet, "sum(temp)").await.expect_err("too slow");
    }
    // Its first probe succeeds at once, because /v1/info is quick.
    eventually("it is probed", || agent.infos.load(Ordering::SeqCst) > 0).await;
    agent.set(Mode::Normal);
    let asked_again = async {
        while ask(&fleet, "sum(temp)").await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asked_again)
        .await
        .expect("it is asked again");
}
