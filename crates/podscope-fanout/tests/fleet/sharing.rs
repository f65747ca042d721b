use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use podscope_fanout::{Fleet, FleetConfig, FleetQuery};

use crate::fake::{Mode, eventually, gpu_node, serve};
use crate::{GRID, ask, config, fleet, lines};

#[tokio::test(flavor = "multi_thread")]
async fn identical_queries_under_way_share_one_answer() {
    let (agent, a) = serve(gpu_node("a", 10.0)).await;
    agent.set(Mode::Late(Duration::from_millis(300)));
    let fleet = fleet(vec![a]);
    let answers = join_all((0..50).map(|_| ask(&fleet, "sum(temp)"))).await;
    assert_eq!(answers.len(), 50);
    for answer in answers {
        assert_eq!(lines(&answer.expect("it answers")), ["{} 21 21 21 21"]);
    }
    assert_eq!(agent.queries(), 1);
    ask(&fleet, "sum(temp)").await.expect("it answers");
    assert_eq!(agent.queries(), 2, "an answer is shared, not kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_that_differ_in_anything_are_asked_apart() {
    let (agent, a) = serve(gpu_node("a", 10.0)).await;
    agent.set(Mode::Late(Duration::from_millis(300)));
    let fleet = fleet(vec![a]);
    let plain = FleetQuery::new("sum(temp)", GRID);
    let mut shifted = plain.clone();
    shifted.grid.start_ms += 1;
    let mut short = plain.clone();
    short.lookback_ms = 1_000;
    let mut scoped = plain.clone();
    scoped.user = Some(podscope_model::scope::Scope::only("ann"));
    let mut small = plain.clone();
    small.limits = Some(podscope_model::leaf::Limits {
        max_samples: 1_000,
        ..Default::default()
    });
    let all = [plain.clone(), plain, shifted, short, scoped, small];
    join_all(all.map(|query| fleet.query(query))).await;
    assert_eq!(agent.queries(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agent_sees_that_the_last_asker_has_gone() {
    let (agent, a) = serve(gpu_node("a", 10.0)).await;
    agent.set(Mode::Never);
    let fleet = fleet(vec![a]);
    let one = tokio::spawn({
        let fleet = fleet.clone();
        async move { ask(&fleet, "sum(temp)").await }
    });
    eventually("the first asks", || agent.queries() == 1).await;
    let other = tokio::spawn({
        let fleet = fleet.clone();
        async move { ask(&fleet, "sum(temp)").await }
    });
    // The second must have joined before the first leaves, or it would be a question of its own.
    eventually("the second joined", || fleet.waiting() == 2).await;
    one.abort();
    eventually("the first has left", || fleet.waiting() == 1).await;
    assert_eq!(
        (agent.abandoned.load(Ordering::SeqCst), fleet.in_flight()),
        (0, 1),
        "the second still waits"
    );
    other.abort();
    eventually("the agent noticed", || {
        agent.abandoned.load(Ordering::SeqCst) == 1
    })
    .await;
    eventually("nothing is under way", || {
        fleet.in_flight() == 0 && fleet.waiting() == 0
    })
    .await;
    assert_eq!(agent.queries(), 1);
    // And the fleet is as good as new.
    agent.set(Mode::Normal);
    assert_eq!(
        lines(&ask(&fleet, "sum(temp)").await.expect("it answers")),
        ["{} 21 21 21 21"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_the_allowed_requests_are_under_way() {
    let mut agents = Vec::new();
    let mut targets = Vec::new();
    for at in 0..12 {
        let (agent, target) = serve(gpu_node(&format!("n{at:02}"), f64::from(at))).await;
        agent.set(Mode::Late(Duration::from_millis(60)));
        agents.push(agent);
        targets.push(target);
    }
    let fleet = Fleet::new(FleetConfig {
        max_in_flight: 3,
        ..config(targets)
    })
    .expect("good settings");
    let watched = tokio::spawn({
        let fleet = fleet.clone();
        async move {
            let mut most = 0;
            loop {
                most = most.max(fleet.in_flight());
                if fleet.waiting() == 0 && most > 0 {
                    return most;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    let answer = ask(&fleet, "count(temp)").await.expect("all answer");
    assert_eq!(lines(&answer), ["{} 24 24 24 24"]);
    assert_eq!(watched.await.expect("the watch ends"), 3);
    assert_eq!(agents.iter().map(|agent| agent.queries()).sum::<usize>(), 12);
    assert_eq!(fleet.in_flight(), 0);
}
