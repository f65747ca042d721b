use std::sync::Arc;
use std::time::Duration;

use podscope_fanout::{Fleet, FleetConfig, FleetQuery, Relay, SeriesRequest, TargetSpec};
use podscope_model::labels::NAME;
use podscope_model::matcher::Matcher;

use crate::fake::{Fake, InProcess, Mode, dead_port, eventually, gpu_node, serve, serve_api};
use crate::{GRID, ask, config, fleet, lines};

/// A hub with a store of its own, served over HTTP.
struct TestHub {
    relay: Relay<InProcess>,
    target: TargetSpec,
    server: axum_server::Handle<std::net::SocketAddr>,
}

impl TestHub {
    fn stop(&self) {
        // Closes the listener and every connection, as the end of a process does.
        self.server.shutdown();
    }
}

fn kept(targets: Vec<TargetSpec>) -> FleetConfig {
    FleetConfig {
        inventory_interval: Some(Duration::from_millis(50)),
        ..config(targets)
    }
}

async fn hub(name: &str, base: f64, config: FleetConfig) -> TestHub {
    let own = Arc::new(gpu_node(name, base));
    let (leaf_id, instance) = (own.leaf_id.clone(), own.name.clone());
    let spec = TargetSpec {
        instance: Some(instance.clone()),
        ..TargetSpec::new(format!("store:{leaf_id}"))
    };
    let fleet = Fleet::with_agents(config, vec![(spec, InProcess(Arc::clone(&own)))]).expect("good settings");
    fleet.inventories_pulled().await;
    let relay = Relay::new(fleet, InProcess(own), &leaf_id, &instance);
    let (address, server) = serve_api(relay.clone()).await;
    TestHub {
        relay,
        target: TargetSpec::new(format!("http://{address}")),
        server,
    }
}

/// A root that knows what lies behind its targets.
async fn root(targets: Vec<TargetSpec>) -> Fleet {
    let fleet = Fleet::new(kept(targets)).expect("good settings");
    fleet.inventories_pulled().await;
    fleet
}

const EXPRESSIONS: [&str; 14] = [
    "temp",
    "sum(temp)",
    "avg by (gpu) (temp)",
    "stddev(temp)",
    "topk(2, temp)",
    "bottomk by (gpu) (1, temp)",
    "quantile(0.5, temp)",
    "count_values(\"v\", temp)",
    "sum(rate(energy_total[1m])) / sum(temp)",
    "absent(no_such_metric)",
    "max(temp) - min(temp)",
    "up",
    "sum(up) + count(temp > 11)",
    "temp{instance=\"b\"}",
];

async fn answers(fleet: &Fleet) -> Vec<(String, Vec<String>, usize)> {
    let mut all = Vec::new();
    for expr in EXPRESSIONS {
        let answer = ask(fleet, expr)
            .await
            .unwrap_or_else(|error| panic!("{expr}: {error}"));
        assert!(
            answer.completeness.is_complete(),
            "{expr}: {:?}",
            answer.completeness
        );
        all.push((expr.to_owned(), lines(&answer), answer.completeness.expected));
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn asked_through_hubs_the_nodes_answer_what_they_answer_asked_flat() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let (_b, b) = serve(gpu_node("b", 20.0)).await;
    let (_c, c) = serve(gpu_node("c", 30.0)).await;
    let (_h, h) = serve(gpu_node("h", 40.0)).await;
    let flat = answers(
        &root(vec![
            a.clone(),
            b.clone(),
            c.clone(),
            TargetSpec {
                labels: Default::default(),
                ..h
            },
        ])
        .await,
    )
    .await;
    let tier = hub("h", 40.0, kept(vec![a, b])).await;
    let through = root(vec![tier.target.clone(), c.clone()]).await;
    assert_eq!(answers(&through).await, flat);
    // A root that has not been told yet what lies behind its targets.
    let fresh = fleet(vec![tier.target.clone(), c.clone()]);
    for (expr, expected, _) in &flat {
        let answer = ask(&fresh, expr).await.expect(expr);
        assert_eq!(&lines(&answer), expected, "{expr}");
    }
    // Three tiers.
    let middle = Fleet::new(kept(vec![tier.target.clone(), c])).expect("good settings");
    middle.inventories_pulled().await;
    let middle = Relay::new(middle, InProcess(Arc::new(Fake::new("m"))), "leaf-of-m", "m");
    let (address, _serving) = serve_api(middle).await;
    let top = root(vec![TargetSpec::new(format!("http://{address}"))]).await;
    assert_eq!(answers(&top).await, flat);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaf_that_is_reached_several_ways_counts_once() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let (_b, b) = serve(gpu_node("b", 20.0)).await;
    let (_c, c) = serve(gpu_node("c", 30.0)).await;
    let one = hub("h1", 100.0, kept(vec![a.clone(), b.clone()])).await;
    let two = hub("h2", 200.0, kept(vec![b.clone(), c.clone()])).await;
    let targets = vec![one.target.clone(), two.target.clone(), b.clone(), a];
    // 10 + 11 + 20 + 21 + 30 + 31 + 100 + 101 + 200 + 201
    let expected = ["{} 725 725 725 725"];
    for known in [true, false] {
        let fleet = match known {
            true => root(targets.clone()).await,
            // Nothing is known beforehand: it is learnt from the first answers.
            false => fleet(targets.clone()),
        };
        for round in 0..3 {
            let answer = ask(&fleet, "sum(temp)").await.expect("all answer");
            assert_eq!(lines(&answer), expected, "known: {known}, round {round}");
            let completeness = &answer.completeness;
            assert_eq!((completeness.expected, completeness.answered), (5, 5));
        }
    }
    // A hub's list grows by a leaf that its parent reaches already.
    let fleet = root(targets).await;
    one.relay.fleet().set_targets(&[c, b]).expect("good targets");
    one.relay.fleet().inventories_pulled().await;
    let answer = ask(&fleet, "sum(temp)").await.expect("all answer");
    assert_eq!(lines(&answer), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_hub_is_gone_its_nodes_are_asked_through_another() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let (_b, b) = serve(gpu_node("b", 20.0)).await;
    let one = hub("h1", 100.0, kept(vec![a.clone(), b.clone()])).await;
    let two = hub("h2", 200.0, kept(vec![a, b])).await;
    let fleet = root(vec![one.target.clone(), two.target.clone()]).await;
    let both = ask(&fleet, "sum(temp)").await.expect("all answer");
    assert_eq!(lines(&both), ["{} 664 664 664 664"]);
    one.stop();
    // The connection that is kept may still answer once.
    let alone = async {
        loop {
            let answer = ask(&fleet, "sum(temp)").await.expect("the other answers");
            if lines(&answer) == ["{} 463 463 463 463"] {
                return answer;
            }
            assert_eq!(
                lines(&answer),
                ["{} 664 664 664 664"],
                "never twice, never less than all"
            );
        }
    };
    let answer = tokio::time::timeout(Duration::from_secs(20), alone)
        .await
        .expect("the hub is gone");
    let completeness = answer.completeness;
    assert_eq!(
        (completeness.expected, completeness.answered),
        (4, 3),
        "only the hub's own store is missing: {completeness:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_hub_of_a_pair_is_asked_for_what_one_does_not_reach() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let (_b, b) = serve(gpu_node("b", 20.0)).await;
    let cut_off = TargetSpec {
        url: format!("http://127.0.0.1:{}", dead_port()),
        ..b.clone()
    };
    let two = hub("h2", 200.0, kept(vec![a.clone(), b])).await;
    let alone = hub("h1", 100.0, kept(vec![a.clone(), cut_off.clone()])).await;
    let answer = ask(&root(vec![alone.target.clone()]).await, "sum(temp)")
        .await
        .expect("two answer");
    assert_eq!(lines(&answer), ["{} 222 222 222 222"]);
    assert_eq!(answer.completeness.missing_count(), 1);
    let paired = FleetConfig {
        pair: Some(two.target.clone()),
        ..kept(vec![a, cut_off])
    };
    let one = hub("h1", 100.0, paired).await;
    let answer = ask(&root(vec![one.target.clone()]).await, "sum(temp)")
        .await
        .expect("all answer");
    assert_eq!(
        lines(&answer),
        ["{} 263 263 263 263"],
        "b through the pair, a once, h2's own not"
    );
    assert_eq!(answer.completeness.missing_count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_missing_is_counted_and_named_through_the_tiers() {
    let mut targets = Vec::new();
    let mut fakes = Vec::new();
    for at in 0..6 {
        let (fake, target) = serve(gpu_node(&format!("n{at}"), 10.0)).await;
        fakes.push(fake);
        targets.push(target);
    }
    let tier = hub("h", 40.0, kept(targets)).await;
    let fleet = root(vec![tier.target.clone()]).await;
    fakes[2].set(Mode::Broken);
    fakes[4].set(Mode::Broken);
    let answer = ask(&fleet, "count(temp)").await.expect("most answer");
    assert_eq!(lines(&answer), ["{} 10 10 10 10"]);
    let notice = answer.completeness.notice().expect("two are missing");
    assert!(
        notice.starts_with("5 of 7 nodes answered; missing: n2: answered 500"),
        "{notice}"
    );
    assert!(notice.contains("; n4: answered 500"), "{notice}");
    // With the hub gone all of them are.
    tier.stop();
    let gone = async {
        loop {
            if let Err(error) = ask(&fleet, "count(temp)").await {
                return error.to_string();
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(20), gone)
        .await
        .expect("the hub is gone");
    assert!(error.contains("0 of 7 nodes answered"), "{error}");
    assert!(error.contains("(with the 7 nodes behind it)"), "{error}");
    let up = ask(&fleet, "count(up == 0)").await.expect("up is always known");
    assert_eq!(lines(&up), ["{} 7 7 7 7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_answers_all_parts_of_a_query_or_none() {
    let (a_agent, a) = serve(gpu_node("a", 10.0)).await;
    let (_b, b) = serve(gpu_node("b", 20.0)).await;
    let tier = hub("h", 40.0, kept(vec![a, b])).await;
    a_agent.set(Mode::BrokenFor("energy_total".to_owned()));
    let fleet = root(vec![tier.target.clone()]).await;
    let answer = ask(&fleet, "sum(temp) + 0 * sum(energy_total)")
        .await
        .expect("two answer");
    // 20 + 21 + 40 + 41: nothing of a.
    assert_eq!(lines(&answer), ["{} 122 122 122 122"]);
    assert_eq!(
        (answer.completeness.expected, answer.completeness.answered),
        (3, 2)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_goes_only_to_nodes_that_can_match_and_lists_to_none() {
    let (a_agent, a) = serve(gpu_node("a", 10.0)).await;
    let special = gpu_node("b", 20.0).with(&[(NAME, "special"), ("kind", "x")], |_| 7.0);
    let (b_agent, b) = serve(special).await;
    let tier = hub("h", 40.0, kept(vec![a, b])).await;
    let fleet = root(vec![tier.target.clone()]).await;
    let asked = || (a_agent.queries(), b_agent.queries());
    let before = asked();
    for (expr, counted) in [
        ("special", 1),
        ("special{kind=\"x\"}", 1),
        ("sum(temp{instance=\"b\"})", 1),
        ("sum(temp{rack=\"r1\"})", 2),
        ("special{kind=\"y\"}", 0),
        ("temp{gpu=\"7\"}", 0),
    ] {
        let (a_before, b_before) = asked();
        let answer = ask(&fleet, expr).await.expect(expr);
        assert_eq!(answer.completeness.expected, counted, "{expr}");
        let (a_now, b_now) = asked();
        assert_eq!((a_now - a_before) + (b_now - b_before), counted, "{expr}");
    }
    let after = asked();
    assert!(after.1 > before.1);
    let request = |selectors: Vec<Vec<Matcher>>| SeriesRequest {
        selectors,
        start_ms: 0,
        end_ms: 600_000,
        user: None,
    };
    for fleet in [&fleet, tier.relay.fleet()] {
        let names = fleet
            .label_names(&request(Vec::new()))
            .await
            .expect("known")
            .value;
        assert_eq!(names, [NAME, "gpu", "instance", "job", "kind", "rack"]);
        let values = async |name: &str, selectors| {
            let listed = fleet.label_values(name, &request(selectors)).await;
            listed.expect("known").value
        };
        assert_eq!(values("instance", Vec::new()).await, ["a", "b", "h"]);
        let special = vec![vec![Matcher::equal(NAME, "special")]];
        assert_eq!(values("instance", special).await, ["b"]);
        let one = vec![vec![Matcher::equal(NAME, "temp"), Matcher::equal("rack", "r1")]];
        assert_eq!(values("instance", one).await, ["a", "b"]);
        assert_eq!(
            values(NAME, Vec::new()).await,
            ["energy_total", "special", "temp", "up"]
        );
        let metadata = fleet.metadata().await;
        assert_eq!(metadata.len(), 4);
    }
    assert_eq!(asked(), after, "no list was asked of a node");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_that_a_node_has_for_the_first_time_is_found_with_the_next_inventory() {
    let (agent, a) = serve(gpu_node("a", 10.0)).await;
    let fleet = root(vec![a]).await;
    let query = || FleetQuery::new("late", GRID);
    let answer = fleet.query(query()).await.expect("nothing yet");
    assert_eq!((lines(&answer).len(), answer.completeness.expected), (0, 0));
    agent.add(&[(NAME, "late")], |_| 1.0);
    fleet.inventories_pulled().await;
    fleet.inventories_pulled().await;
    let answer = fleet.query(query()).await.expect("it answers");
    assert_eq!(answer.completeness.expected, 1);
    let asked = agent.inventories.load(std::sync::atomic::Ordering::SeqCst);
    eventually("inventories are asked for again and again", || {
        agent.inventories.load(std::sync::atomic::Ordering::SeqCst) > asked + 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_asker_goes_away_the_leaves_behind_the_hub_see_it() {
    let (agent, a) = serve(gpu_node("a", 10.0)).await;
    let tier = hub("h", 40.0, kept(vec![a])).await;
    let fleet = root(vec![tier.target.clone()]).await;
    agent.set(Mode::Never);
    let asking = tokio::spawn({
        let fleet = fleet.clone();
        async move { ask(&fleet, "sum(temp)").await }
    });
    eventually("the leaf is asked", || agent.queries() > 0).await;
    asking.abort();
    eventually("the leaf sees that nobody waits", || {
        agent.abandoned.load(std::sync::atomic::Ordering::SeqCst) == 1
    })
    .await;
    eventually("nothing is under way at the hub", || {
        tier.relay.fleet().in_flight() == 0
    })
    .await;
    assert_eq!(fleet.in_flight(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_too_much_together_are_refused_with_the_limit() {
    let mut targets = Vec::new();
    for at in 0..4 {
        targets.push(serve(gpu_node(&format!("n{at}"), 10.0)).await.1);
    }
    let fleet = fleet(targets);
    let mut query = FleetQuery::new("temp", GRID);
    let limits = |max_bytes, max_cells| podscope_model::leaf::Limits {
        max_bytes,
        max_cells,
        ..Default::default()
    };
    query.limits = Some(limits(2_000, 1_000));
    let error = fleet
        .query(query.clone())
        .await
        .expect_err("too much")
        .to_string();
    assert!(
        error.contains("more than 2000 bytes of memory") && error.contains("max_memory"),
        "{error}"
    );
    query.limits = Some(limits(1 << 20, 1_000));
    fleet.query(query).await.expect("little enough");
    let mut grouped = FleetQuery::new("sum by (instance, gpu) (temp) * 2", GRID);
    grouped.limits = Some(limits(1 << 20, 9));
    let error = fleet.query(grouped).await.expect_err("too many").to_string();
    assert!(
        error.contains("more than 9 values") && error.contains("max_cells"),
        "{error}"
    );
}
