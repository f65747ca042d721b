//! An agent of the tests: the real PromQL leaf and the real wire format over samples in memory, behind a router that can
//! also misbehave.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use podscope_model::catalog::{Kind, Unit, agent, gpu};
use podscope_model::inventory::{LabelsAnswer, LabelsQuery};
use podscope_model::labels::{Labels, NAME};
use podscope_model::leaf::{
    ApiError, ApiErrorKind, GpuInfo, LeafAnswer, LeafQuery, LeafStats, LeafValue, MetricInfo, NodeInfo,
    SeriesAnswer, SeriesQuery, Shape, Target,
};
use podscope_model::matcher::Matcher;
use podscope_model::source::{Budget, Cancel, SeriesSource};
use podscope_model::wire;
use podscope_promql::memory::MemorySource;
use podscope_promql::{EvalError, evaluate_leaf};

use super::END_MS;

/// How an agent behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    Answers,
    /// Takes the question and never answers.
    Hangs,
    /// Answers bytes that are no Arrow.
    Babbles,
    /// Wants this token.
    Wants(&'static str),
}

/// A running agent; gone when dropped.
#[derive(Debug)]
pub(crate) struct FakeAgent {
    url: String,
    state: Arc<Node>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Node {
    name: String,
    manner: Manner,
    data: MemorySource,
    /// Questions that are being answered now.
    busy: AtomicUsize,
    asked: AtomicUsize,
}

impl Drop for FakeAgent {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FakeAgent {
    /// An agent with eight GPUs and an hour of data every 15 s.
    pub(crate) async fn start(name: &str, manner: Manner) -> Self {
        Self::with_gpus(name, manner, 8).await
    }

    /// The same with any number of GPUs.
    pub(crate) async fn with_gpus(name: &str, manner: Manner, gpus: usize) -> Self {
        Self::with_data(name, manner, data(name, gpus, END_MS)).await
    }

    /// The same with data that ends at another time.
    pub(crate) async fn ending_at(name: &str, manner: Manner, end_ms: i64) -> Self {
        Self::with_data(name, manner, data(name, 8, end_ms)).await
    }

    async fn with_data(name: &str, manner: Manner, data: MemorySource) -> Self {
        let state = Arc::new(Node {
            name: name.to_owned(),
            manner,
            data,
            busy: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("an address");
        let router = router(Arc::clone(&state));
        let task = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("serves until it is aborted");
        });
        Self {
            url: format!("http://{address}"),
            state,
            task,
        }
    }

    /// The same over TLS, with this certificate and key in PEM.
    pub(crate) async fn start_tls(name: &str, certificate: &str, key: &str) -> Self {
        let state = Arc::new(Node {
            name: name.to_owned(),
            manner: Manner::Answers,
            data: data(name, 1, END_MS),
            busy: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
        });
        // The first to install wins; all install the same.
        let _installed = rustls::crypto::ring::default_provider().install_default().is_ok();
        let config = axum_server::tls_rustls::RustlsConfig::from_pem(certificate.into(), key.into())
            .await
            .expect("a good certificate");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("non-blocking");
        let address: SocketAddr = listener.local_addr().expect("an address");
        let service = router(Arc::clone(&state)).into_make_service();
        let server = axum_server::from_tcp_rustls(listener, config).expect("a listener");
        let task = tokio::spawn(async move {
            server.serve(service).await.expect("serves until it is aborted");
        });
        Self {
            url: format!("https://localhost:{}", address.port()),
            state,
            task,
        }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Questions under way.
    pub(crate) fn busy(&self) -> usize {
        self.state.busy.load(Ordering::SeqCst)
    }

    /// Queries asked so far.
    pub(crate) fn asked(&self) -> usize {
        self.state.asked.load(Ordering::SeqCst)
    }
}

const HISTOGRAM: &str = "vllm:e2e_request_latency_seconds_bucket";

/// What the agent stores: a utilisation of `10 * gpu + 1` per GPU, a counter that grows by 2 a second, and a histogram.
fn data(node: &str, gpus: usize, end_ms: i64) -> MemorySource {
    let mut samples = Vec::new();
    for step in 0..240_i64 {
        let time = end_ms - (239 - step) * 15_000;
        for index in 0..gpus {
            let id = index.to_string();
            let labels = Labels::from_pairs([
                (NAME, gpu::DCGM_FI_DEV_GPU_UTIL.name),
                ("gpu", id.as_str()),
                ("Hostname", node),
                ("job", "dcgm"),
            ]);
            samples.push((labels, time, (10 * index + 1) as f64));
        }
        let counter = Labels::from_pairs([(NAME, "requests_total"), ("job", "node")]);
        samples.push((counter, time, (step * 30) as f64));
        for (bound, share) in [("0.1", 1), ("1", 3), ("+Inf", 4)] {
            let labels = Labels::from_pairs([(NAME, HISTOGRAM), ("le", bound), ("job", "vllm")]);
            samples.push((labels, time, (step * 15 * share) as f64));
        }
    }
    MemorySource::from_samples(samples)
}

fn router(state: Arc<Node>) -> Router {
    Router::new()
        .route("/v1/query", post(query))
        .route("/v1/series", post(series))
        .route("/v1/labels", post(labels))
        .route("/v1/info", get(info))
        .with_state(state)
}

/// Counts a question for as long as it is being answered, also when its asker goes away.
struct Busy(Arc<Node>);

impl Busy {
    fn new(node: &Arc<Node>) -> Self {
        node.busy.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(node))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Misbehaves as the node is told to; `None` when it is told to answer.
async fn misbehave(node: &Node, headers: &HeaderMap) -> Option<Response> {
    match node.manner {
        Manner::Answers => None,
        Manner::Hangs => std::future::pending().await,
        Manner::Babbles => {
            Some(([(header::CONTENT_TYPE, wire::CONTENT_TYPE)], "no arrow at all").into_response())
        }
        Manner::Wants(token) => {
            let given = headers
                .get(header::AUTHORIZATION)
                .and_then(|value| value.to_str().ok());
            (given != Some(&format!("Bearer {token}"))).then(|| {
                failure(&ApiError::new(
                    ApiErrorKind::Unauthorized,
                    "the token is missing or wrong",
                ))
            })
        }
    }
}

fn failure(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.kind.status()).expect("a status");
    (status, axum::Json(error.clone())).into_response()
}

/// The node's series with the labels the asker wants on them.
struct Labelled {
    data: MemorySource,
}

impl Labelled {
    fn new(node: &Node, target: &podscope_model::leaf::Target) -> Self {
        let instance = if target.instance.is_empty() {
            node.name.as_str()
        } else {
            target.instance.as_str()
        };
        let mut data = MemorySource::new();
        for mut series in node.data.all() {
            series.labels = series.labels.with("instance", instance);
            for (name, value) in &target.labels {
                series.labels = series.labels.with(name, value);
            }
            data.insert(series);
        }
        Self { data }
    }
}

async fn query(State(node): State<Arc<Node>>, headers: HeaderMap, body: axum::Json<LeafQuery>) -> Response {
    node.asked.fetch_add(1, Ordering::SeqCst);
    let _busy = Busy::new(&node);
    if let Some(response) = misbehave(&node, &headers).await {
        return response;
    }
    let query = body.0;
    let limits = query.limits;
    let budget = Budget::new(
        limits.max_samples,
        limits.max_series,
        Some(limits.timeout_ms),
        Cancel::default(),
    );
    let evaluated = match query.shape {
        Shape::Coverage => Ok((LeafValue::None, Vec::new())),
        _ => evaluate_leaf(&query, &Labelled::new(&node, &query.target).data, &budget),
    };
    match evaluated {
        Ok((value, annotations)) => {
            let answer = LeafAnswer {
                leaf_id: format!("leaf-{}", node.name),
                instance: node.name.clone(),
                grid: query.grid,
                value,
                covered: vec![(query.grid.start_ms, query.grid.end_ms)],
                annotations,
                stats: LeafStats::default(),
                behind: None,
            };
            let bytes = wire::encode(&answer).expect("encodes");
            ([(header::CONTENT_TYPE, wire::CONTENT_TYPE)], bytes).into_response()
        }
        Err(error) => {
            let kind = match error {
                EvalError::Budget(_) => ApiErrorKind::Limit,
                _ => ApiErrorKind::BadData,
            };
            failure(&ApiError::new(kind, error.to_string()))
        }
    }
}

async fn series(
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: axum::Json<SeriesQuery>,
) -> Response {
    let _busy = Busy::new(&node);
    if let Some(response) = misbehave(&node, &headers).await {
        return response;
    }
    let query = body.0;
    let range = (query.start_ms, query.end_ms);
    axum::Json(SeriesAnswer {
        leaf_id: format!("leaf-{}", node.name),
        instance: node.name.clone(),
        series: listed(&node, &query.target, query.selectors, range),
        behind: None,
    })
    .into_response()
}

fn listed(
    node: &Node,
    target: &Target,
    selectors: Vec<Vec<Matcher>>,
    (start_ms, end_ms): (i64, i64),
) -> Vec<Labels> {
    let source = Labelled::new(node, target).data;
    let selectors = if selectors.is_empty() {
        vec![Vec::new()]
    } else {
        selectors
    };
    let mut found = Vec::new();
    for matchers in selectors {
        found.extend(
            source
                .series(&matchers, start_ms, end_ms, &Budget::unlimited())
                .expect("no limit"),
        );
    }
    found.sort();
    found.dedup();
    found
}

async fn labels(
    State(node): State<Arc<Node>>,
    headers: HeaderMap,
    body: axum::Json<LabelsQuery>,
) -> Response {
    let _busy = Busy::new(&node);
    if let Some(response) = misbehave(&node, &headers).await {
        return response;
    }
    let query = body.0;
    let range = (query.start_ms, query.end_ms);
    let found = listed(&node, &query.target, query.selectors, range);
    let values: BTreeSet<String> = found
        .iter()
        .flat_map(|series| series.iter())
        .filter_map(|label| match &query.name {
            Some(name) => (label.name.as_ref() == name).then(|| label.value.to_string()),
            None => Some(label.name.to_string()),
        })
        .collect();
    axum::Json(LabelsAnswer {
        leaf_id: format!("leaf-{}", node.name),
        instance: node.name.clone(),
        values: values.into_iter().collect(),
        behind: None,
    })
    .into_response()
}

async fn info(State(node): State<Arc<Node>>, headers: HeaderMap) -> Response {
    let _busy = Busy::new(&node);
    if let Some(response) = misbehave(&node, &headers).await {
        return response;
    }
    let metric = |kind, unit| MetricInfo {
        kind,
        unit,
        help: "A metric.".to_owned(),
        interval_ms: 15_000,
    };
    let gpu_info = GpuInfo {
        index: 0,
        uuid: "GPU-0".to_owned(),
        model: "H100".to_owned(),
        pci_bus_id: String::new(),
    };
    let now_ms = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_millis();
    axum::Json(NodeInfo {
        leaf_id: format!("leaf-{}", node.name),
        instance: node.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        labels: Default::default(),
        now_ms: i64::try_from(now_ms).expect("in range"),
        oldest_ms: Some(END_MS - 3_600_000),
        newest_ms: Some(END_MS),
        series: node.data.len() as u64,
        history_bytes: 0,
        collectors: Vec::new(),
        gpus: vec![gpu_info],
        metrics: [
            (
                gpu::DCGM_FI_DEV_GPU_UTIL.name.to_owned(),
                metric(Kind::Gauge, Unit::Percent),
            ),
            ("requests_total".to_owned(), metric(Kind::Counter, Unit::None)),
            (agent::UP.name.to_owned(), metric(Kind::Gauge, Unit::Bool)),
        ]
        .into(),
    })
    .into_response()
}
