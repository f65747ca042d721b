use std::sync::Arc;
use std::sync::atomic::Ordering;

use podscope_fanout::{Fleet, FleetError, FleetQuery, TargetSpec};
use podscope_model::leaf::ApiErrorKind;
use podscope_model::sample::Grid;
use podscope_promql::Value;

use crate::fake::{InProcess, gpu_node, serve};
use crate::{GRID, ask, config, fleet, lines};

#[tokio::test(flavor = "multi_thread")]
async fn aggregations_merge_over_all_nodes() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let (_b, b) = serve(gpu_node("b", 20.0)).await;
    let fleet = fleet(vec![a, b]);
    let answer = ask(&fleet, "sum(temp)").await.expect("both answer");
    assert_eq!(lines(&answer), ["{} 62 62 62 62"]);
    let answer = ask(&fleet, "avg by (gpu) (temp)").await.expect("both answer");
    assert_eq!(
        lines(&answer),
        [r#"{gpu="0"} 15 15 15 15"#, r#"{gpu="1"} 16 16 16 16"#]
    );
    let answer = ask(&fleet, "topk(1, temp)").await.expect("both answer");
    assert_eq!(
        lines(&answer),
        [r#"temp{gpu="1",instance="b",rack="r1"} 21 21 21 21"#]
    );
    assert_eq!(
        (answer.completeness.expected, answer.completeness.answered),
        (2, 2)
    );
    assert!(answer.completeness.is_complete() && answer.completeness.notice().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn series_carry_the_names_and_labels_of_the_target_list() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let (_b, b) = serve(gpu_node("b", 20.0)).await;
    let answer = ask(&fleet(vec![a, b]), "rate(energy_total[1m])")
        .await
        .expect("both answer");
    assert_eq!(
        lines(&answer),
        [
            r#"{instance="a",rack="r1"} 10 10 10 10"#,
            r#"{instance="b",rack="r1"} 20 20 20 20"#
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_without_a_name_takes_the_agents_own() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let answer = ask(&fleet(vec![TargetSpec::new(a.url)]), "max by (instance) (temp)")
        .await
        .expect("it answers");
    assert_eq!(lines(&answer), [r#"{instance="a"} 11 11 11 11"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_selector_of_an_instant_query_answers_samples() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let query = FleetQuery::new(r#"temp{gpu="0"}[5s]"#, Grid::instant(60_000));
    let answer = fleet(vec![a]).query(query).await.expect("it answers");
    let Value::Samples(list) = answer.outcome.value else {
        panic!("samples expected")
    };
    assert_eq!(list.len(), 1);
    assert_eq!(*list[0].timestamps, [56_000, 57_000, 58_000, 59_000, 60_000]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_nodes_that_can_match_are_asked() {
    let (a_agent, a) = serve(gpu_node("a", 10.0)).await;
    let (b_agent, b) = serve(gpu_node("b", 20.0)).await;
    let answer = ask(&fleet(vec![a, b]), r#"sum(temp{instance=~"b|c"})"#)
        .await
        .expect("it answers");
    assert_eq!(lines(&answer), ["{} 41 41 41 41"]);
    assert_eq!((a_agent.queries(), b_agent.queries()), (0, 1));
    assert_eq!(
        answer.completeness.expected, 1,
        "a node that cannot match is not missed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_reached_twice_is_counted_once() {
    let (agent, a) = serve(gpu_node("a", 10.0)).await;
    let again = TargetSpec {
        url: a.url.replace("127.0.0.1", "localhost"),
        ..a.clone()
    };
    let answer = ask(&fleet(vec![a, again]), "sum(temp)")
        .await
        .expect("it answers");
    assert_eq!(lines(&answer), ["{} 21 21 21 21"]);
    assert_eq!(agent.queries(), 2, "both addresses were asked");
    assert_eq!(
        (answer.completeness.expected, answer.completeness.answered),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stores_under_one_name_are_an_error_that_names_both() {
    let mut second = gpu_node("a", 20.0);
    second.leaf_id = "another".to_owned();
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let (_b, b) = serve(second).await;
    let error = ask(&fleet(vec![a.clone(), b.clone()]), "sum(temp)")
        .await
        .expect_err("an ambiguous name");
    let text = error.to_string();
    assert!(matches!(error, FleetError::SameIdentity { .. }), "{text}");
    assert!(text.contains(&a.url) && text.contains(&b.url), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_in_this_process_answer_like_those_behind_a_socket() {
    let (a_agent, a) = serve(gpu_node("a", 10.0)).await;
    let (b_agent, b) = serve(gpu_node("b", 20.0)).await;
    let pairs = vec![
        (a.clone(), InProcess(Arc::clone(&a_agent))),
        (b.clone(), InProcess(Arc::clone(&b_agent))),
    ];
    let near = Fleet::with_agents(config(Vec::new()), pairs).expect("good settings");
    let far = fleet(vec![a, b]);
    for expr in [
        "sum(temp)",
        "temp",
        "quantile(0.5, temp)",
        "rate(energy_total[1m]) > 15",
    ] {
        let near = ask(&near, expr).await.expect("in process");
        let far = ask(&far, expr).await.expect("over a socket");
        assert_eq!(lines(&near), lines(&far), "{expr}");
        assert!(!lines(&near).is_empty(), "{expr}");
        assert_eq!(near.stats.fragments[0].bytes, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bill_names_series_cells_bytes_and_the_slowest() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let (_b, b) = serve(gpu_node("b", 20.0)).await;
    let answer = ask(&fleet(vec![a, b]), "temp").await.expect("both answer");
    assert_eq!(answer.stats.fragments.len(), 1);
    let bill = &answer.stats.fragments[0];
    assert_eq!((bill.series, bill.cells), (4, 16));
    assert!(bill.bytes > 16 * 8, "{} bytes", bill.bytes);
    let slowest = bill.slowest.as_ref().expect("somebody was slowest");
    assert!(["a", "b"].contains(&slowest.instance.as_str()));
    assert!(answer.stats.elapsed >= slowest.elapsed && answer.stats.samples_read >= 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_without_series_asks_nobody() {
    let (agent, a) = serve(gpu_node("a", 10.0)).await;
    let answer = ask(&fleet(vec![a]), "1 + 1").await.expect("arithmetic");
    assert!(matches!(&answer.outcome.value, Value::Scalar(values) if *values == [2.0; 4]));
    assert_eq!(agent.queries.load(Ordering::SeqCst), 0);
    assert_eq!(answer.completeness.ratio(), 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_promql_and_limits_are_the_askers_errors() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let fleet = fleet(vec![a]);
    let error = ask(&fleet, "sum(temp")
        .await
        .expect_err("a parenthesis is missing");
    assert_eq!(error.kind(), ApiErrorKind::BadData);
    let mut query = FleetQuery::new("temp", GRID);
    query.limits = Some(podscope_model::leaf::Limits {
        max_series: 1,
        ..Default::default()
    });
    let error = fleet.query(query).await.expect_err("two series");
    assert_eq!(error.kind(), ApiErrorKind::Limit, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fleet_without_targets_says_what_to_do() {
    let error = ask(&fleet(Vec::new()), "temp").await.expect_err("nobody to ask");
    assert!(error.to_string().contains("add at least one agent"), "{error}");
}
