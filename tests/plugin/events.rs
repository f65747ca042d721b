//! The query type `events`, over real agents' stores.

use std::sync::Arc;

use podscope_agent::{AgentState, Identity};
use podscope_history::events::{EventOptions, EventStore};
use podscope_history::{History, Options};
use podscope_model::event::{Event, EventKind, Severity};
use podscope_testkit::Source;
use podscope_testkit::frames::Cell;
use serde_json::json;

use super::{END_MS, host, one};

/// An agent with a store of events; gone when dropped.
struct Teller {
    url: String,
    store: Arc<EventStore>,
    task: tokio::task::JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Drop for Teller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Teller {
    async fn start(name: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (history, _) = History::open(Options::new(dir.path())).expect("an empty folder");
        let (store, _) = EventStore::open(EventOptions::new(dir.path().join("events")));
        let store = Arc::new(store);
        let identity = Identity {
            instance: name.to_owned(),
            ..Identity::default()
        };
        let state = AgentState::local(identity, Arc::new(history));
        state.set_event_store(Arc::clone(&store));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move {
            axum::serve(listener, podscope_agent::http::router(state))
                .await
                .expect("serves until it is aborted");
        });
        Self {
            url,
            store,
            task,
            _dir: dir,
        }
    }

    fn add(&self, event: Event) {
        self.store.add(event, END_MS);
    }
}

fn alarm() -> Event {
    Event::new(EventKind::Alarm, "alertmanager", "queue wait", END_MS - 100_000)
        .severity(Severity::Critical)
        .key("f1")
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_all_agents_are_merged_by_time_and_each_is_there_once() {
    let (a, b) = (Teller::start("a").await, Teller::start("b").await);
    a.add(Event::new(EventKind::Change, "vms", "prefetch on", END_MS - 300_000).text("by ops"));
    b.add(Event::new(EventKind::Xid, "nvml", "xid 79", END_MS - 200_000).severity(Severity::Error));
    // Alertmanager told both; only one heard that it is over.
    a.add(alarm().still_open());
    b.add(alarm().still_open());
    b.add(alarm().until(END_MS - 50_000));
    a.add(Event::new(
        EventKind::Note,
        "cli",
        "long ago",
        END_MS - 90_000_000,
    ));
    let host = host().await;
    let source = Source::of_urls([&a.url, &b.url]);
    let query = json!({ "queryType": "events", "format": "annotations" });
    let answer = one(&host, &source, query).await;
    assert_eq!((answer.status, answer.error.as_str()), (200, ""));
    let frame = &answer.frames[0];
    let column = |name: &str| -> Vec<Cell> {
        let field = frame.fields.iter().find(|field| field.name == name).expect(name);
        field.cells.clone()
    };
    let text =
        |words: &[&str]| -> Vec<Cell> { words.iter().map(|word| Cell::Text((*word).to_owned())).collect() };
    assert_eq!(column("title"), text(&["queue wait", "xid 79", "prefetch on"]));
    let end = Cell::Time((END_MS - 50_000) * 1_000_000);
    assert_eq!(column("timeEnd"), [end, Cell::Null, Cell::Null]);
    assert_eq!(
        column("tags"),
        text(&[
            "alarm,critical,alertmanager,instance=b",
            "xid,error,nvml,instance=b",
            "change,info,vms,instance=a"
        ])
    );

    let query = json!({ "queryType": "events", "format": "logs", "expr": r#"{instance="a"} |= "prefetch""# });
    let answer = one(&host, &source, query).await;
    let frame = &answer.frames[0];
    assert_eq!(frame.meta.as_ref().expect("meta")["type"], "log-lines");
    assert_eq!(frame.rows(), 1);
    let names: Vec<&str> = frame.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(names, ["timestamp", "body", "severity", "id", "labels"]);
    let labels = json!({ "instance": "a", "kind": "change", "source": "vms" });
    assert_eq!(frame.fields[4].cells, [Cell::Json(labels)]);

    let query = json!({ "queryType": "events", "format": "table", "limit": 1 });
    let answer = one(&host, &source, query).await;
    assert_eq!(answer.frames[0].rows(), 1);
    assert!(answer.frames[0].notices()[0].contains("only the newest 1 events"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_agent_is_named_and_a_bad_selector_has_its_place() {
    let a = Teller::start("a").await;
    a.add(alarm());
    let host = host().await;
    let source = Source::of_urls([a.url.as_str(), "http://127.0.0.1:1"]);
    let answer = one(&host, &source, json!({ "queryType": "events" })).await;
    assert_eq!(answer.frames[0].rows(), 1);
    assert!(answer.frames[0].notices()[0].starts_with("1 of 2 nodes answered"));
    let answer = one(&host, &source, json!({ "queryType": "events", "expr": "{kind}" })).await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.error.contains("event selector, character 6"),
        "{}",
        answer.error
    );
}
