//! Agents that are hubs: where their target list comes from, and that they answer for the nodes on it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use podscope_agent::config::{FanoutConfig, Period};
use podscope_agent::hub::discovery::Sources;
use podscope_fanout::{Fleet, FleetConfig};
use rustix::process::Signal;

use crate::cluster::until;
use crate::program::Program;

fn urls(fleet: &Fleet) -> Vec<String> {
    fleet.targets().into_iter().map(|target| target.url).collect()
}

fn empty_fleet() -> Fleet {
    Fleet::new(FleetConfig::default()).expect("good settings")
}

/// Looks until the fleet has these targets.
async fn look_until(sources: &mut Sources, fleet: &Fleet, wanted: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        sources.look(fleet).await.expect("targets that can be used");
        if urls(fleet) == wanted {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{:?} instead of {wanted:?}",
            urls(fleet)
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn files_are_read_again_when_they_change_and_keep_their_say_while_they_are_broken() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("writable");
    write("a.json", r#"[{"targets":["n1:1"],"labels":{"rack":"r1"}}]"#);
    write("b.yml", "- targets: ['n2:1', 'n3:1']\n");
    write("c.txt", "not a list");
    let pattern = |end: &str| format!("{}/*.{end}", dir.path().display());
    let config = FanoutConfig {
        targets: vec!["first:1".to_owned()],
        file_sd: vec![pattern("json"), pattern("yml")],
        ..FanoutConfig::default()
    };
    let fleet = empty_fleet();
    let mut sources = Sources::new(&config).expect("good settings");
    let all = ["http://first:1", "http://n1:1", "http://n2:1", "http://n3:1"];
    look_until(&mut sources, &fleet, &all).await;
    assert_eq!(fleet.targets()[1].labels["rack"], "r1");
    write("b.yml", "- targets: [");
    write("a.json", r#"[{"targets":["n4:1"]}]"#);
    let kept = ["http://first:1", "http://n4:1", "http://n2:1", "http://n3:1"];
    look_until(&mut sources, &fleet, &kept).await;
    write("b.yml", "- targets: ['n5:1']\n");
    look_until(
        &mut sources,
        &fleet,
        &["http://first:1", "http://n4:1", "http://n5:1"],
    )
    .await;
}

#[tokio::test]
async fn an_http_source_is_asked_again_and_keeps_its_say_while_it_fails() {
    let said = Arc::new(Mutex::new((
        StatusCode::OK,
        r#"[{"targets":["n1:1"]}]"#.to_owned(),
    )));
    let answers = Arc::clone(&said);
    let router = Router::new().route(
        "/sd",
        get(move || {
            let answer = answers.lock().expect("not poisoned").clone();
            async move { answer }
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    let config = FanoutConfig {
        http_sd: vec![format!("http://{address}/sd")],
        http_sd_interval: Period(Duration::from_millis(1)),
        ..FanoutConfig::default()
    };
    let fleet = empty_fleet();
    let mut sources = Sources::new(&config).expect("good settings");
    look_until(&mut sources, &fleet, &["http://n1:1"]).await;
    let say = |status, text: &str| *said.lock().expect("not poisoned") = (status, text.to_owned());
    say(StatusCode::INTERNAL_SERVER_ERROR, "no");
    for _ in 0..3 {
        sources.look(&fleet).await.expect("the list stays");
    }
    assert_eq!(urls(&fleet), ["http://n1:1"]);
    say(StatusCode::OK, r#"[{"targets":["n1:1","n2:1"]}]"#);
    look_until(&mut sources, &fleet, &["http://n1:1", "http://n2:1"]).await;
}

/// Answers one question for SRV records with these hosts and ports (RFC 1035, 2782).
fn srv_answer(question: &[u8], records: &[(&str, u16)]) -> Vec<u8> {
    let mut answer = question[..2].to_vec();
    // A response, recursion available; one question, the answers, nothing else.
    answer.extend([0x81, 0x80, 0, 1, 0, records.len() as u8, 0, 0, 0, 0]);
    let name_end = 12 + question[12..].iter().position(|byte| *byte == 0).expect("a name") + 1;
    answer.extend(&question[12..name_end + 4]);
    for (host, port) in records {
        let mut target: Vec<u8> = Vec::new();
        for label in host.split('.') {
            target.push(label.len() as u8);
            target.extend(label.as_bytes());
        }
        target.push(0);
        // The question's name, SRV, IN, a minute.
        answer.extend([0xc0, 12, 0, 33, 0, 1, 0, 0, 0, 60]);
        answer.extend((6 + target.len() as u16).to_be_bytes());
        answer.extend([0, 0, 0, 0]);
        answer.extend(port.to_be_bytes());
        answer.extend(target);
    }
    answer
}

#[tokio::test]
async fn srv_records_are_targets_in_one_order() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let server = socket.local_addr().expect("bound");
    tokio::spawn(async move {
        let mut buffer = [0; 1500];
        let mut turn = 0;
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            let mut records = [("n1.pod.test", 9477), ("n2.pod.test", 9478)];
            if turn % 2 == 1 {
                records.reverse();
            }
            turn += 1;
            let answer = srv_answer(&buffer[..length], &records);
            socket.send_to(&answer, from).await.expect("sent");
        }
    });
    let config = FanoutConfig {
        dns_srv: vec!["_podscope._tcp.pod.test.".to_owned()],
        dns_srv_interval: Period(Duration::from_millis(1)),
        dns_server: Some(server),
        scheme: "https".to_owned(),
        ..FanoutConfig::default()
    };
    let fleet = Fleet::new(FleetConfig {
        expect_https: true,
        ..FleetConfig::default()
    })
    .expect("good settings");
    let mut sources = Sources::new(&config).expect("good settings");
    let both = ["https://n1.pod.test:9477", "https://n2.pod.test:9478"];
    for _ in 0..4 {
        look_until(&mut sources, &fleet, &both).await;
    }
}

#[test]
fn what_cannot_be_a_source_is_named_at_the_start() {
    let of = |config: FanoutConfig| Sources::new(&config).expect_err("unusable").to_string();
    let wrong = of(FanoutConfig {
        http_sd: vec!["ftp://x/sd".to_owned()],
        ..FanoutConfig::default()
    });
    assert!(
        wrong.contains("http_sd") && wrong.contains("ftp://x/sd"),
        "{wrong}"
    );
    let wrong = of(FanoutConfig {
        file_sd: vec!["/a/***".to_owned()],
        ..FanoutConfig::default()
    });
    assert!(wrong.contains("file_sd"), "{wrong}");
}

/// The value of an instant query's only series, and the answer.
fn value_of(agent: &Program, query: &str) -> (Option<f64>, serde_json::Value) {
    let path = format!("/api/v1/query?query={query}");
    let (_, body) = agent.request("GET", &path).expect("an answer");
    let answer: serde_json::Value = serde_json::from_str(&body).expect("JSON");
    let text = answer["data"]["result"][0]["value"][1]
        .as_str()
        .map(str::to_owned);
    (text.and_then(|text| text.parse().ok()), answer)
}

fn write_targets(file: &Path, targets: &[(&str, SocketAddr)]) {
    let groups: Vec<serde_json::Value> = targets
        .iter()
        .map(|(name, address)| {
            serde_json::json!({"targets": [address.to_string()], "labels": {"instance": name, "rack": "r7"}})
        })
        .collect();
    // Renamed into place, so that nobody reads half of it.
    let next = file.with_extension("new");
    std::fs::write(&next, serde_json::Value::from(groups).to_string()).expect("writable");
    std::fs::rename(next, file).expect("renamed");
}

#[test]
fn a_hub_answers_for_the_nodes_on_its_list_names_a_frozen_one_and_follows_the_list() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name);
    let one = Program::start_as("one", &path("one"), &[]);
    let two = Program::start_as("two", &path("two"), &[]);
    let list = path("nodes.json");
    write_targets(&list, &[("one", one.addr), ("two", two.addr)]);
    let config = path("hub.toml");
    let text = format!(
        "[fanout]\nfile_sd = [{:?}]\ntimeout = \"2s\"\ninventory_interval = \"100ms\"\n",
        list.display().to_string()
    );
    std::fs::write(&config, text).expect("writable");
    let config = config.to_str().expect("a plain path");
    let hub = Program::start_as("hub", &path("hub"), &["--config", config]);
    until("all three nodes through the hub", || {
        (value_of(&hub, "count(node_load1)").0 == Some(3.0)).then_some(())
    });
    until("the nodes' names without asking them", || {
        let (_, names) = hub
            .request("GET", "/api/v1/label/instance/values")
            .expect("an answer");
        names.contains(r#""data":["hub","one","two"]"#).then_some(())
    });
    assert_eq!(
        value_of(&hub, "count(node_load1%7Brack=%22r7%22%7D)").0,
        Some(2.0)
    );
    assert_eq!(value_of(&hub, "sum(up)").0, Some(3.0));
    let (status, _) = hub.request("GET", "/v1/inventory").expect("an answer");
    assert_eq!(status, 200);
    // A hub above it sees all three, too.
    let upper = path("upper.toml");
    std::fs::write(&upper, format!("[fanout]\ntargets = [\"{}\"]\n", hub.addr)).expect("writable");
    let upper = Program::start_as(
        "upper",
        &path("upper"),
        &["--config", upper.to_str().expect("a plain path")],
    );
    until("all four nodes through two tiers", || {
        (value_of(&upper, "count(node_load1)").0 == Some(4.0)).then_some(())
    });
    two.signal(Signal::STOP);
    let (count, answer) = value_of(&hub, "count(node_load1)");
    let warning = answer["warnings"][0].as_str().unwrap_or_default().to_owned();
    assert_eq!(count, Some(2.0), "{answer}");
    assert!(
        warning.contains("2 of 3 nodes answered; missing: two: no answer within"),
        "{warning}"
    );
    two.signal(Signal::CONT);
    write_targets(&list, &[("one", one.addr)]);
    until("the list without the second node", || {
        let (count, answer) = value_of(&hub, "count(up)");
        (count == Some(2.0) && answer.get("warnings").is_none()).then_some(())
    });
}
