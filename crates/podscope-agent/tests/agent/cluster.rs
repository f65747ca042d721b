//! What the tests are made of: histories in temporary folders, agents over them, requests without a network.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::{Request, StatusCode};
use podscope_agent::stream::Stream;
use podscope_agent::{AgentState, Live};
use podscope_history::{History, Options};
use podscope_model::batch::{ForeignMetric, Row};
use podscope_model::catalog::{Job, Kind, Unit};
use tower::ServiceExt;

/// A time that is a multiple of all steps used here.
pub(crate) const T0: i64 = 1_700_000_000_000 - 1_700_000_000_000 % 3_600_000;

/// An agent without schedule or network.
pub(crate) struct Node {
    pub(crate) state: Arc<AgentState>,
    /// Removed with the node.
    _dir: tempfile::TempDir,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }
}

pub(crate) fn gauge(name: &str) -> Arc<ForeignMetric> {
    metric(name, Kind::Gauge)
}

pub(crate) fn metric(name: &str, kind: Kind) -> Arc<ForeignMetric> {
    Arc::new(ForeignMetric {
        name: name.to_owned(),
        kind,
        unit: Unit::None,
        help: format!("Help of {name}."),
    })
}

impl Node {
    pub(crate) fn new() -> Self {
        Self::with(Live::local(BTreeMap::from([(
            "rack".to_owned(),
            "r12".to_owned(),
        )])))
    }

    pub(crate) fn with(live: Live) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (history, _) = History::open(Options::new(dir.path())).expect("an empty folder");
        Self {
            state: AgentState::new("n1", Arc::new(history), live),
            _dir: dir,
        }
    }

    /// An hour of two counters with slopes 1 and 2, and a gauge, every second from [`T0`] on.
    pub(crate) fn filled() -> Self {
        let node = Self::new();
        let stream = node.state.add_stream("test", Job::Node, 1000);
        let total = metric("work_total", Kind::Counter);
        let level = gauge("level");
        let mut row = Row::new();
        for second in 0..=3600_i32 {
            row.begin();
            row.set_foreign(&total, &[("cpu", "0")], f64::from(second));
            row.set_foreign(&total, &[("cpu", "1")], f64::from(2 * second));
            row.set_foreign(&level, &[], f64::from(second % 60));
            stream
                .push(T0 + 1000 * i64::from(second), &row)
                .expect("a later row");
        }
        node
    }

    pub(crate) fn stream(&self, job: Job) -> Arc<Stream> {
        self.state.add_stream("test", job, 1000)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = podscope_agent::http::router(Arc::clone(&self.state))
            .oneshot(request)
            .await
            .expect("the router answers everything");
        let status = response.status();
        let content_type = response.headers().get("content-type");
        let content_type = content_type
            .map(|value| value.to_str().expect("ASCII").to_owned())
            .unwrap_or_default();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .expect("a whole body")
            .to_vec();
        Answer {
            status,
            content_type,
            body,
        }
    }

    pub(crate) async fn get(&self, uri: &str) -> Answer {
        self.send(
            Request::get(uri)
                .header("host", "localhost")
                .body(Body::empty())
                .expect("a request"),
        )
        .await
    }

    pub(crate) async fn post_json(&self, uri: &str, body: &impl serde::Serialize) -> Answer {
        let body = serde_json::to_vec(body).expect("it serialises");
        let request = Request::post(uri)
            .header("host", "localhost")
            .header("content-type", "application/json");
        self.send(request.body(Body::from(body)).expect("a request"))
            .await
    }

    pub(crate) async fn post_form(&self, uri: &str, form: &str) -> Answer {
        let request = Request::post(uri)
            .header("host", "localhost")
            .header("content-type", "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(form.to_owned())).expect("a request"))
            .await
    }
}

/// Asks again and again until the answer is `Some`.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited 60 s for: {what}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
