//! `/v1/events`: ways in, who may use them, and what is found.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, StatusCode};
use podscope_agent::config::{Peer, WriteAccess};
use podscope_agent::events::Inbox;
use podscope_agent::exposition::Format;
use podscope_agent::secret::Secret;
use podscope_agent::{Agent, Config, Live, StartOptions};
use podscope_history::events::{EventOptions, EventStore};
use podscope_model::event::{Event, EventAnswer, EventFilter, EventKind, EventQuery, EventSink};
use podscope_model::leaf::{AgentApi, Target};
use serde_json::{Value, json};

use crate::cluster::{Answer, Node, until};

const WRITE: &str = "the-token-of-the-writers";
const READ: &str = "the-token-of-the-readers";

fn node(write: WriteAccess, token: Option<&str>) -> (Node, tempfile::TempDir) {
    let live = Live {
        write,
        token: token.map(Secret::new),
        ..Live::local([("rack".to_owned(), "r12".to_owned())].into())
    };
    let node = Node::with(live);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (store, _) = EventStore::open(EventOptions::new(dir.path()));
    node.state.set_event_store(Arc::new(store));
    (node, dir)
}

fn writable() -> (Node, tempfile::TempDir) {
    let access = WriteAccess {
        token: Some(Secret::new(WRITE)),
        peers: Vec::new(),
    };
    node(access, None)
}

async fn post(node: &Node, path: &str, token: Option<&str>, from: Option<IpAddr>, body: &Value) -> Answer {
    let mut request = Request::post(path)
        .header("host", "localhost")
        .header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let mut request = request.body(Body::from(body.to_string())).expect("a request");
    if let Some(address) = from {
        request
            .extensions_mut()
            .insert(ConnectInfo(SocketAddr::new(address, 40_000)));
    }
    node.send(request).await
}

async fn titles(node: &Node, query: &str) -> Vec<String> {
    let encoded: String = form_urlencoded::Serializer::new(String::new())
        .append_pair("query", query)
        .finish();
    let answer = node.get(&format!("/v1/events?start=0&{encoded}")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let answer: EventAnswer = serde_json::from_slice(&answer.body).expect("events");
    answer
        .events
        .into_iter()
        .map(|stored| stored.event.title)
        .collect()
}

#[tokio::test]
async fn an_incident_is_opened_changed_and_closed_and_its_versions_are_kept() {
    let (node, _dir) = writable();
    let opened = json!({
        "kind": "incident", "severity": "critical", "title": "SEV-1", "time": "2026-11-21T08:26:00Z", "open": true,
        "labels": {"scope": "pod-2", "commander": "ada"},
    });
    let answer = post(&node, "/v1/events", Some(WRITE), None, &opened).await;
    assert_eq!(
        (answer.status, &answer.json()["events"][0]["result"]),
        (StatusCode::OK, &json!("stored"))
    );
    let id = answer.json()["events"][0]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let again = post(&node, "/v1/events", Some(WRITE), None, &opened).await;
    assert_eq!(
        again.json()["events"][0],
        json!({"id": id, "result": "duplicate"})
    );
    let closed =
        json!({"id": id, "open": false, "text": "prefetch rolled back", "end": "2026-11-21T09:41:00Z"});
    let answer = post(&node, "/v1/events", Some(WRITE), None, &closed).await;
    assert_eq!(
        answer.json()["events"][0]["result"],
        "updated",
        "{}",
        answer.text()
    );
    let one = node.get(&format!("/v1/events/{id}")).await.json();
    assert_eq!(one["versions"].as_array().expect("a list").len(), 2);
    assert_eq!(one["event"]["text"], "prefetch rolled back");
    assert_eq!(one["event"]["end_ms"], 1_795_254_060_000_i64);
    let missing = node.get("/v1/events/00000000000000000000000000000001").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn only_writers_write_and_a_reader_is_told_so() {
    let note = json!({"title": "a note"});
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let (closed, _dir) = node(WriteAccess::default(), None);
    for path in ["/v1/events", "/v1/events/alertmanager"] {
        let answer = post(&closed, path, None, Some(local), &note).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert!(answer.text().contains("write.token_file"), "{}", answer.text());
    }
    let access = WriteAccess {
        token: Some(Secret::new(WRITE)),
        peers: vec![Peer("10.1.0.0/16".parse().expect("a network"))],
    };
    let (node, _dir) = node(access, Some(READ));
    let peer: IpAddr = "10.1.2.3".parse().expect("an address");
    let cases = [
        (None, None, StatusCode::UNAUTHORIZED),
        (Some(READ), None, StatusCode::UNAUTHORIZED),
        (Some("wrong"), Some(local), StatusCode::UNAUTHORIZED),
        (Some(WRITE), None, StatusCode::OK),
        (None, Some(peer), StatusCode::OK),
    ];
    for (token, from, status) in cases {
        let answer = post(&node, "/v1/events", token, from, &note).await;
        assert_eq!(answer.status, status, "{token:?} {from:?}: {}", answer.text());
        assert!(!answer.text().contains(WRITE));
    }
    // The token for writing opens nothing else.
    let read = Request::get("/v1/events").header("authorization", format!("Bearer {WRITE}"));
    let answer = node.send(read.body(Body::empty()).expect("a request")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn another_sites_page_does_not_write_through_a_trusted_machine() {
    let access = WriteAccess {
        token: None,
        peers: vec![Peer("127.0.0.1".parse::<IpAddr>().expect("an address").into())],
    };
    let (node, _dir) = node(access, None);
    let from_page = |origin: &str| {
        let mut request = Request::post("/v1/events")
            .header("host", "localhost")
            .header("origin", origin)
            .header("content-type", "application/json")
            .body(Body::from(r#"{"title": "forged"}"#))
            .expect("a request");
        let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000));
        request.extensions_mut().insert(ConnectInfo(peer));
        request
    };
    assert_eq!(
        node.send(from_page("https://evil.example.com")).await.status,
        StatusCode::FORBIDDEN
    );
    assert_eq!(
        node.send(from_page("http://localhost:3000")).await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn events_are_found_with_the_labels_of_the_node_and_of_the_target_list() {
    let (node, _dir) = writable();
    let list = json!([
        {"title": "prefetch on", "kind": "change", "source": "vms", "time": 1000},
        {"title": "spines replaced", "kind": "change", "time": 2000, "labels": {"fabric": "a"}},
        {"title": "xid 79", "kind": "xid", "severity": "error", "time": 3000, "text": "GPU has fallen off the bus"},
    ]);
    let answer = post(&node, "/v1/events", Some(WRITE), None, &list).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(
        titles(&node, r#"{kind="change"}"#).await,
        ["spines replaced", "prefetch on"]
    );
    assert_eq!(
        titles(&node, r#"{rack="r12", instance="n1"} |~ "(?i)BUS$""#).await,
        ["xid 79"]
    );
    assert_eq!(titles(&node, r#"{fabric=""} != "xid""#).await, ["prefetch on"]);
    let mut query = EventQuery::new(EventFilter::default(), 0, 5_000_000);
    query.limit = 1;
    query.target = Target {
        instance: "n1".to_owned(),
        labels: [("pod".to_owned(), "p2".to_owned())].into(),
    };
    let found = node.post_json("/v1/events/search", &query).await;
    let found: EventAnswer = serde_json::from_slice(&found.body).expect("events");
    assert!(found.truncated);
    assert_eq!(
        found.events[0].event.labels.to_string(),
        r#"{instance="n1",pod="p2"}"#
    );
    query.target.instance = "n2".to_owned();
    assert_eq!(
        node.post_json("/v1/events/search", &query).await.status,
        StatusCode::CONFLICT
    );
    query.target = Target::default();
    query.limit = 20_000;
    assert!(
        node.state
            .events(query)
            .await
            .is_err_and(|error| error.message.contains("10000"))
    );
}

#[tokio::test]
async fn what_is_wrong_with_one_event_of_a_list_stores_none_of_it() {
    let (node, _dir) = writable();
    let cases = [
        (
            json!([{"title": "good"}, {"title": ""}]),
            "event 1: `title` is missing",
        ),
        (json!({"title": "t", "kind": "outage"}), "see /v1/openapi.json"),
        (json!([]), "0 events in one request"),
        (
            json!({"id": "00000000000000000000000000000001", "title": "t"}),
            "there is no event",
        ),
        (
            json!({"title": "t", "labels": {"kind": "change"}}),
            "`labels.kind` is a field of the event itself",
        ),
    ];
    for (body, message) in cases {
        let answer = post(&node, "/v1/events", Some(WRITE), None, &body).await;
        assert!(answer.status.is_client_error(), "{body}");
        assert!(answer.text().contains(message), "{body}: {}", answer.text());
    }
    assert!(titles(&node, "").await.is_empty());
    let bad = node.get("/v1/events?query=%7Bkind%7D").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert!(bad.text().contains("character 6"), "{}", bad.text());
}

#[tokio::test]
async fn an_alertmanager_opens_and_closes_alarms() {
    let (node, _dir) = writable();
    let alert = |status: &str, ends: &str| {
        json!({
            "version": "4", "groupKey": "g", "status": status, "receiver": "podscope", "externalURL": "http://am",
            "alerts": [{
                "status": status, "labels": {"alertname": "QueueWait", "severity": "critical"},
                "annotations": {"summary": "wait 31 min"}, "startsAt": "2026-11-21T08:26:00Z", "endsAt": ends,
                "generatorURL": "", "fingerprint": "abc",
            }],
        })
    };
    let path = "/v1/events/alertmanager";
    let fired = post(
        &node,
        path,
        Some(WRITE),
        None,
        &alert("firing", "0001-01-01T00:00:00Z"),
    )
    .await;
    assert_eq!(fired.json()["events"][0]["result"], "stored", "{}", fired.text());
    let resolved = post(
        &node,
        path,
        Some(WRITE),
        None,
        &alert("resolved", "2026-11-21T10:00:00Z"),
    )
    .await;
    assert_eq!(
        resolved.json()["events"][0]["result"],
        "updated",
        "{}",
        resolved.text()
    );
    let answer = node
        .get("/v1/events?start=0&end=2026-11-22T00:00:00Z")
        .await
        .json();
    assert_eq!(answer["events"][0]["end_ms"], 1_795_255_200_000_i64);
    assert_eq!(answer["events"][0]["labels"]["alertname"], "QueueWait");
}

#[tokio::test]
async fn what_collectors_report_before_the_start_is_kept_and_survives_a_restart() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let config = Config {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        data_dir: Some(dir.path().to_owned()),
        instance: Some("n1".to_owned()),
        ..Config::default()
    };
    let inbox = Inbox::new();
    inbox.emit(Event::new(EventKind::Xid, "nvml", "early", 1000));
    let options = || StartOptions {
        inbox: Some(Arc::clone(&inbox)),
        ..StartOptions::default()
    };
    let agent = Agent::start(config.clone(), options(), Vec::new())
        .await
        .expect("it starts");
    inbox.emit(Event::new(EventKind::Xid, "nvml", "late", 2000));
    agent.stop().await.expect("a clean end");
    let agent = Agent::start(config, StartOptions::default(), Vec::new())
        .await
        .expect("it starts");
    let query = EventQuery::new(EventFilter::default(), 0, 5000);
    let found = agent.state.events(query).await.expect("an answer");
    let found: Vec<&str> = found
        .events
        .iter()
        .map(|stored| stored.event.title.as_str())
        .collect();
    assert_eq!(found, ["late", "early"]);
    let metrics = until("its own metrics", || {
        let text = agent.state.exposition(|_| true).render(Format::Text);
        text.contains("podscope_events 2").then_some(text)
    });
    assert!(metrics.contains("podscope_events_writable 1"), "{metrics}");
    agent.stop().await.expect("a clean end");
}
