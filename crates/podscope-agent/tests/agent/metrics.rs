//! `/metrics`: the form of the answer, what `promtool` thinks of it, and a captured machine's whole output.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use podscope_agent::driver::Driver;
use podscope_agent::exposition::{Exposition, Format};
use podscope_agent::self_metrics::SelfCollector;
use podscope_collect::gpu::{DirectGpuCollector, sim::SimGpus};
use podscope_collect::{Collector, HostConfig, MemFs, RealFs, Uname, host_collectors};
use podscope_model::batch::Row;
use podscope_model::catalog::{self, Job};

use crate::cluster::{Node, T0};
use crate::golden;

/// A node with this machine's host collectors, eight simulated GPUs and the agent's own metrics, collected twice.
fn whole() -> Node {
    let node = Node::new();
    let mut collectors = host_collectors(
        Arc::new(RealFs::new("/proc", "/sys", "/")),
        &HostConfig::default(),
    );
    collectors.push(Box::new(DirectGpuCollector::new(
        SimGpus::new(8, "NVIDIA H200", 1).nvml(),
        "n1",
    )));
    collectors.push(Box::new(SelfCollector::new(&node.state, true)));
    let mut drivers: Vec<Driver> = collectors
        .into_iter()
        .map(|collector| driver(&node, collector))
        .collect();
    for second in 0..2 {
        drivers
            .iter_mut()
            .for_each(|driver| driver.tick(T0 + 1000 * second));
    }
    node
}

fn driver(node: &Node, collector: Box<dyn Collector>) -> Driver {
    let descriptor = collector.descriptor();
    let stream = node
        .state
        .add_stream(descriptor.name, descriptor.job, descriptor.interval_ms);
    Driver::new(collector, stream)
}

/// Names of the families, by their TYPE lines.
fn families(text: &str) -> BTreeSet<&str> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect()
}

#[tokio::test]
async fn one_jobs_metrics_can_be_asked_for() {
    let node = whole();
    let all = node.get("/metrics").await;
    assert_eq!(all.content_type, "text/plain; version=0.0.4; charset=utf-8");
    let mut seen = 0;
    for (job, some) in [
        ("node", "node_cpu_seconds_total"),
        ("dcgm", "DCGM_FI_DEV_GPU_UTIL"),
        ("podscope", "podscope_build_info"),
    ] {
        let one = node.get(&format!("/metrics?job={job}")).await;
        let names = families(one.text());
        assert!(names.contains(some), "{some} is not in {names:?}");
        assert!(names.is_subset(&families(all.text())));
        seen += names.len();
    }
    assert_eq!(seen, families(all.text()).len(), "the jobs share no family");
    let two = node.get("/metrics?job=node&job=dcgm").await;
    assert!(families(two.text()).contains("DCGM_FI_DEV_GPU_UTIL"));
    let none = node.get("/metrics?job=vllm").await;
    assert_eq!(none.status, StatusCode::BAD_REQUEST);
    assert!(
        none.text()
            .contains("there are: node, dcgm, containers, processes, ds01, "),
        "{}",
        none.text()
    );
}

#[tokio::test]
async fn series_carry_no_label_that_the_scraper_adds() {
    let node = whole();
    let answer = node.get("/metrics").await;
    for label in ["instance=", "job=", "rack="] {
        for before in ["{", ","] {
            assert!(!answer.text().contains(&format!("{before}{label}")), "{label}");
        }
    }
    assert!(answer.text().lines().count() > 300, "a whole machine");
}

#[tokio::test]
async fn openmetrics_is_answered_to_who_asks_for_it() {
    let node = whole();
    let request = Request::get("/metrics")
        .header("host", "localhost")
        .header("accept", "application/openmetrics-text; version=1.0.0");
    let answer = node.send(request.body(Body::empty()).expect("a request")).await;
    assert_eq!(
        answer.content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(answer.text().ends_with("# EOF\n"));
    assert!(
        answer
            .text()
            .contains("# TYPE node_cpu_seconds counter\n# UNIT node_cpu_seconds seconds\n")
    );
    assert!(
        answer
            .text()
            .contains("\nnode_cpu_seconds_total{cpu=\"0\",mode=\"idle\"} ")
    );
}

#[tokio::test]
async fn the_inventory_lists_the_gpus() {
    let node = whole();
    let info = node.get("/v1/info").await.json();
    let gpus = info["gpus"].as_array().expect("a list");
    assert_eq!(gpus.len(), 8);
    assert_eq!(gpus[3]["index"], 3);
    assert_eq!(gpus[3]["model"], "NVIDIA H200");
    assert!(gpus[3]["uuid"].as_str().expect("a text").starts_with("GPU-"));
}

/// A captured machine of the collectors' tests, collected once.
fn captured() -> Node {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../podscope-collect/testdata/vm-2cpu");
    let fs = MemFs::from_dir(&folder).expect("the capture is readable");
    fs.set_uname(Uname {
        sysname: "Linux".to_owned(),
        release: "6.18.44".to_owned(),
        version: "#1 SMP".to_owned(),
        machine: "x86_64".to_owned(),
        nodename: "node-1".to_owned(),
        domainname: "(none)".to_owned(),
    });
    fs.set_now(Duration::from_millis(1_700_000_000_250));
    let node = Node::new();
    for collector in host_collectors(Arc::new(fs), &HostConfig::default()) {
        driver(&node, collector).tick(T0);
    }
    node
}

#[tokio::test]
async fn a_captured_machine_is_shown_as_it_always_was() {
    let node = captured();
    let text = node.get("/metrics").await;
    golden::check("tests/agent/golden/vm-2cpu.metrics", text.text());
    let open = node.state.exposition(|_| true).render(Format::OpenMetrics);
    golden::check("tests/agent/golden/vm-2cpu.openmetrics", &open);
    let samples = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(samples(text.text()).len() > 250, "a whole machine");
    assert_eq!(
        samples(text.text()),
        samples(&open),
        "the formats differ in their heads only"
    );
}

/// What `promtool check metrics` finds in a text; `None`, and a line that says so, on a machine without it.
fn objections(text: &str) -> Option<BTreeSet<String>> {
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match promtool {
        Ok(promtool) => promtool,
        Err(error) => {
            let required = std::env::var("PODSCOPE_REQUIRE_PEERS").is_ok_and(|value| value == "1");
            assert!(!required, "promtool is needed here: {error}");
            eprintln!("SKIPPED: no promtool on this machine");
            return None;
        }
    };
    promtool
        .stdin
        .take()
        .expect("piped")
        .write_all(text.as_bytes())
        .expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    let found = String::from_utf8([output.stdout, output.stderr].concat()).expect("text");
    // 3: objections to names; anything else but 0 is a text it cannot read.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{found}");
    Some(found.lines().map(str::to_owned).collect())
}

/// Every metric of the catalog once, with every label it may have.
fn catalog_as_text(wanted: impl Fn(Job) -> bool) -> String {
    let mut exposition = Exposition::default();
    let mut row = Row::new();
    for def in catalog::all().filter(|def| wanted(def.job)) {
        let value = |label: &str| if label == "le" { "+Inf" } else { "x" };
        let labels: Vec<(&str, &str)> = def.labels.iter().map(|label| (*label, value(label))).collect();
        row.set(def, &labels, 1.0);
    }
    row.samples()
        .for_each(|(column, value)| exposition.add(column, value));
    exposition.render(Format::Text)
}

#[test]
fn promtool_objects_to_inherited_names_only() {
    let Some(inherited) = objections(&catalog_as_text(|job| job != Job::Podscope)) else {
        return;
    };
    let list: String = inherited.iter().map(|line| format!("{line}\n")).collect();
    golden::check("tests/agent/golden/promtool-inherited.txt", &list);
    let own = objections(&catalog_as_text(|job| job == Job::Podscope)).expect("it is there");
    assert!(own.is_empty(), "our own names are no inheritance: {own:#?}");
}

#[test]
fn promtool_objects_to_nothing_else_on_this_machine() {
    let node = whole();
    let Some(found) = objections(&node.state.exposition(|_| true).render(Format::Text)) else {
        return;
    };
    let list = include_str!("golden/promtool-inherited.txt");
    let new: Vec<&String> = found
        .iter()
        .filter(|line| !list.lines().any(|known| known == *line))
        .collect();
    assert!(new.is_empty(), "promtool objects to:\n{new:#?}");
}
