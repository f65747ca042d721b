use podscope_fanout::{FleetError, SeriesRequest, TargetSpec};
use podscope_model::labels::NAME;
use podscope_model::leaf::ApiErrorKind;
use podscope_model::matcher::Matcher;

use crate::fake::{dead_port, gpu_node, serve};
use crate::fleet;

fn request(selectors: Vec<Vec<Matcher>>) -> SeriesRequest {
    SeriesRequest {
        selectors,
        start_ms: 0,
        end_ms: 600_000,
        user: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_values_are_those_of_all_nodes_and_of_up() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let (_b, b) = serve(gpu_node("b", 20.0)).await;
    let fleet = fleet(vec![a, b]);
    let all = request(Vec::new());
    let names = fleet.label_names(&all).await.expect("both answer").value;
    assert_eq!(names, [NAME, "gpu", "instance", "job", "rack"]);
    let values = async |name: &str, request: &SeriesRequest| {
        fleet
            .label_values(name, request)
            .await
            .expect("both answer")
            .value
    };
    assert_eq!(values("instance", &all).await, ["a", "b"]);
    assert_eq!(values(NAME, &all).await, ["energy_total", "temp", "up"]);
    let up = request(vec![vec![
        Matcher::equal(NAME, "up"),
        Matcher::equal("job", "node"),
    ]]);
    assert_eq!(values("instance", &up).await, ["a", "b"]);
    let temp = request(vec![vec![
        Matcher::equal(NAME, "temp"),
        Matcher::equal("instance", "b"),
    ]]);
    assert_eq!(values("gpu", &temp).await, ["0", "1"]);
    let series = fleet.series(&temp).await.expect("both answer").value;
    let texts: Vec<String> = series.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            r#"temp{gpu="0",instance="b",rack="r1"}"#,
            r#"temp{gpu="1",instance="b",rack="r1"}"#
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_asked_again_at_once_costs_no_request() {
    let (agent, a) = serve(gpu_node("a", 10.0)).await;
    let fleet = fleet(vec![a]);
    let all = request(Vec::new());
    for _ in 0..5 {
        fleet.label_names(&all).await.expect("it answers");
        fleet.label_values("gpu", &all).await.expect("it answers");
    }
    assert_eq!(agent.queries(), 2, "one for the names, one for the values");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_name_who_is_missing_and_fail_when_nobody_answers() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let dead = TargetSpec {
        instance: Some("dead".to_owned()),
        ..TargetSpec::new(format!("http://127.0.0.1:{}", dead_port()))
    };
    let answer = fleet(vec![a, dead.clone()])
        .label_values("gpu", &request(Vec::new()))
        .await
        .expect("a answers");
    assert_eq!(answer.value, ["0", "1"]);
    assert_eq!(answer.completeness.missing[0].instance, "dead");
    let error = fleet(vec![dead])
        .label_names(&request(Vec::new()))
        .await
        .expect_err("nobody");
    assert!(matches!(error, FleetError::NoneAnswered(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_shows_every_target_and_why_it_is_silent() {
    let (_a, a) = serve(gpu_node("a", 10.0)).await;
    let (_b, mut b) = serve(gpu_node("b", 10.0)).await;
    b.instance = Some("x".to_owned());
    let dead = TargetSpec::new(format!("http://127.0.0.1:{}", dead_port()));
    let fleet = fleet(vec![TargetSpec::new(a.url), b, dead]);
    let nodes = fleet.inventory().await;
    assert_eq!(nodes.len(), 3);
    assert_eq!(nodes[0].instance, "a", "the agent's own name");
    assert_eq!(nodes[0].info.as_ref().expect("it answers").series, 3);
    assert_eq!(
        nodes[1].info.as_ref().expect_err("another agent").kind,
        ApiErrorKind::WrongInstance
    );
    assert!(
        nodes[2]
            .info
            .as_ref()
            .expect_err("dead")
            .message
            .contains("connection refused")
    );
    let metadata = fleet.metadata().await;
    let names: Vec<&str> = metadata.keys().map(String::as_str).collect();
    assert_eq!(names, ["energy_total", "temp", "up"]);
}
