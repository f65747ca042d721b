//! An agent that misbehaves on demand: the real leaf evaluation over a few series in memory, behind a real socket.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use axum_server::Handle;
use podscope_fanout::TargetSpec;
use podscope_model::catalog::{Kind, Unit};
use podscope_model::inventory::{Inventory, LabelsAnswer, LabelsQuery};
use podscope_model::labels::{Labels, NAME};
use podscope_model::leaf::{
    AgentApi, ApiError, ApiErrorKind, LeafAnswer, LeafQuery, LeafStats, LeafValue, MetricInfo, NodeInfo,
    SeriesAnswer, SeriesQuery, Shape, Target,
};
use podscope_model::matcher::{Matcher, all_match};
use podscope_model::sample::{Grid, SeriesData};
use podscope_model::source::{Budget, Select, SeriesSource, SourceError};
use podscope_model::wire;

/// How the agent answers queries.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mode {
    Normal,
    /// After this long.
    Late(Duration),
    Never,
    /// Bytes of the right type that are none.
    Garbage,
    /// Half of a right answer, then the connection breaks.
    HalfABody,
    Html,
    /// 500 without a reason.
    Broken,
    /// The same, for expressions that hold this text.
    BrokenFor(String),
    /// An error of the agent API.
    Refuses(ApiError),
    /// Values on another grid.
    OtherGrid,
    /// A body of this many bytes.
    Huge(usize),
    Redirects,
    NotFound,
}

#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) name: String,
    pub(crate) leaf_id: String,
    pub(crate) series: Mutex<Vec<SeriesData>>,
    pub(crate) covered: Vec<(i64, i64)>,
    pub(crate) token: Option<String>,
    pub(crate) mode: Mutex<Mode>,
    /// Queries begun, and those whose asker went away.
    pub(crate) queries: AtomicUsize,
    pub(crate) abandoned: AtomicUsize,
    pub(crate) infos: AtomicUsize,
    /// Times somebody asked whether its inventory has changed.
    pub(crate) inventories: AtomicUsize,
}

impl Fake {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            leaf_id: format!("leaf-of-{name}"),
            series: Mutex::default(),
            covered: vec![(i64::MIN / 2, i64::MAX / 2)],
            token: None,
            mode: Mutex::new(Mode::Normal),
            queries: AtomicUsize::new(0),
            abandoned: AtomicUsize::new(0),
            infos: AtomicUsize::new(0),
            inventories: AtomicUsize::new(0),
        }
    }

    /// Adds a series with a sample at every second of `0..=600`.
    pub(crate) fn with(self, labels: &[(&str, &str)], value: impl Fn(i64) -> f64) -> Self {
        self.add(labels, value);
        self
    }

    /// The same, of a node that is served already.
    pub(crate) fn add(&self, labels: &[(&str, &str)], value: impl Fn(i64) -> f64) {
        let seconds = 0..=600i64;
        self.series.lock().expect("not poisoned").push(SeriesData {
            labels: Labels::from_pairs(labels.iter().copied()),
            timestamps: seconds.clone().map(|second| second * 1000).collect(),
            values: seconds.map(value).collect(),
        });
    }

    fn stored(&self) -> Vec<SeriesData> {
        self.series.lock().expect("not poisoned").clone()
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.mode.lock().expect("not poisoned") = mode;
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode.lock().expect("not poisoned").clone()
    }

    pub(crate) fn queries(&self) -> usize {
        self.queries.load(Ordering::SeqCst)
    }

    fn dressed(&self, target: &Target) -> Result<Dressed, ApiError> {
        if !target.instance.is_empty() && target.instance != self.name {
            return Err(ApiError::new(
                ApiErrorKind::WrongInstance,
                format!("this agent is {:?}", self.name),
            ));
        }
        let node = target
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let node = Labels::from_pairs(node.chain([("instance", self.name.as_str())]));
        let dress = |series: &SeriesData| SeriesData {
            labels: series.labels.or(&node),
            ..series.clone()
        };
        Ok(Dressed(self.stored().iter().map(dress).collect()))
    }

    fn answer(&self, query: &LeafQuery) -> Result<LeafAnswer, ApiError> {
        let source = self.dressed(&query.target)?;
        let (value, annotations) = if query.shape == Shape::Coverage {
            (LeafValue::None, Vec::new())
        } else {
            podscope_promql::evaluate_leaf(query, &source, &Budget::unlimited())
                .map_err(|error| ApiError::new(ApiErrorKind::BadData, error.to_string()))?
        };
        let Grid { start_ms, end_ms, .. } = query.grid;
        let within = |(from, to): &(i64, i64)| ((*from).max(start_ms), (*to).min(end_ms));
        Ok(LeafAnswer {
            leaf_id: self.leaf_id.clone(),
            instance: self.name.clone(),
            grid: query.grid,
            value,
            covered: self
                .covered
                .iter()
                .map(within)
                .filter(|(from, to)| from <= to)
                .collect(),
            annotations,
            stats: LeafStats {
                samples_read: 10,
                ..LeafStats::default()
            },
            behind: None,
        })
    }

    fn described(&self) -> NodeInfo {
        let metric = |series: &SeriesData| {
            let name = series.labels.metric_name().unwrap_or_default().to_owned();
            let info = MetricInfo {
                kind: Kind::Gauge,
                unit: Unit::Celsius,
                help: "h".to_owned(),
                interval_ms: 1000,
            };
            (name, info)
        };
        NodeInfo {
            leaf_id: self.leaf_id.clone(),
            instance: self.name.clone(),
            version: "0".to_owned(),
            labels: BTreeMap::new(),
            now_ms: 0,
            oldest_ms: None,
            newest_ms: None,
            series: self.stored().len() as u64,
            history_bytes: 0,
            collectors: Vec::new(),
            gpus: Vec::new(),
            metrics: self.stored().iter().map(metric).collect(),
        }
    }

    fn listed(&self, query: &SeriesQuery) -> Result<SeriesAnswer, ApiError> {
        let Dressed(series) = self.dressed(&query.target)?;
        let wanted = |labels: &Labels| {
            query.selectors.is_empty() || query.selectors.iter().any(|matchers| all_match(matchers, labels))
        };
        let series = series
            .into_iter()
            .map(|series| series.labels)
            .filter(wanted)
            .collect();
        Ok(SeriesAnswer {
            leaf_id: self.leaf_id.clone(),
            instance: self.name.clone(),
            series,
            behind: None,
        })
    }
}

impl Fake {
    fn inventory(&self) -> Inventory {
        let series: Vec<Labels> = self.stored().into_iter().map(|series| series.labels).collect();
        Inventory::of_store(&self.leaf_id, &self.name, None, self.described().metrics, &series)
    }

    fn labelled(&self, query: &LabelsQuery) -> Result<LabelsAnswer, ApiError> {
        let listed = self.listed(&SeriesQuery {
            selectors: query.selectors.clone(),
            start_ms: query.start_ms,
            end_ms: query.end_ms,
            target: query.target.clone(),
            user: query.user.clone(),
            limits: query.limits,
            route: query.route.clone(),
        })?;
        let values: BTreeSet<String> = match &query.name {
            Some(name) => listed
                .series
                .iter()
                .filter_map(|labels| labels.get(name))
                .map(str::to_owned)
                .collect(),
            None => listed
                .series
                .iter()
                .flat_map(|labels| labels.iter().map(|label| label.name.to_string()))
                .collect(),
        };
        Ok(LabelsAnswer {
            leaf_id: listed.leaf_id,
            instance: listed.instance,
            values: values.into_iter().collect(),
            behind: None,
        })
    }
}

/// A few series in memory.
pub(crate) struct Dressed(Vec<SeriesData>);

impl SeriesSource for Dressed {
    fn select(
        &self,
        select: &Select<'_>,
        budget: &Budget,
        sink: &mut dyn FnMut(SeriesData) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        for series in self
            .0
            .iter()
            .filter(|series| all_match(select.matchers, &series.labels))
        {
            let from = series.timestamps.partition_point(|at| *at <= select.start_ms);
            let to = series.timestamps.partition_point(|at| *at <= select.end_ms);
            budget.take_samples(to - from)?;
            if from < to {
                sink(SeriesData {
                    labels: series.labels.clone(),
                    timestamps: series.timestamps[from..to].into(),
                    values: series.values[from..to].into(),
                })?;
            }
        }
        Ok(())
    }

    fn series(&self, matchers: &[Matcher], _: i64, _: i64, _: &Budget) -> Result<Vec<Labels>, SourceError> {
        let labels = self.0.iter().map(|series| series.labels.clone());
        Ok(labels.filter(|labels| all_match(matchers, labels)).collect())
    }
}

/// The same agent without a socket.
#[derive(Clone)]
pub(crate) struct InProcess(pub(crate) Arc<Fake>);

impl AgentApi for InProcess {
    async fn query(&self, query: LeafQuery) -> Result<LeafAnswer, ApiError> {
        self.0.queries.fetch_add(1, Ordering::SeqCst);
        self.0.answer(&query)
    }

    async fn series(&self, query: SeriesQuery) -> Result<SeriesAnswer, ApiError> {
        self.0.listed(&query)
    }

    async fn info(&self) -> Result<NodeInfo, ApiError> {
        Ok(self.0.described())
    }

    async fn labels(&self, query: LabelsQuery) -> Result<LabelsAnswer, ApiError> {
        self.0.labelled(&query)
    }

    async fn inventory(&self, known: Option<String>) -> Result<Option<Arc<Inventory>>, ApiError> {
        self.0.inventories.fetch_add(1, Ordering::SeqCst);
        let made = self.0.inventory();
        Ok((known.as_deref() != Some(made.version.as_str())).then(|| Arc::new(made)))
    }
}

/// Counts the asker's leaving: the server drops the handler then.
struct Asker<'a>(&'a AtomicUsize, bool);

impl Drop for Asker<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

fn refused(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.kind.status()).expect("a status");
    (status, Json(error.clone())).into_response()
}

fn authorized(fake: &Fake, headers: &HeaderMap) -> bool {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    fake.token
        .as_ref()
        .is_none_or(|token| given == Some(&format!("Bearer {token}")))
}

fn unauthorized() -> Response {
    (StatusCode::UNAUTHORIZED, "no").into_response()
}

async fn query(State(fake): State<Arc<Fake>>, headers: HeaderMap, Json(query): Json<LeafQuery>) -> Response {
    fake.queries.fetch_add(1, Ordering::SeqCst);
    let mut asker = Asker(&fake.abandoned, false);
    let response = respond(&fake, &headers, &query).await;
    asker.1 = true;
    response
}

async fn respond(fake: &Fake, headers: &HeaderMap, query: &LeafQuery) -> Response {
    if !authorized(fake, headers) {
        return unauthorized();
    }
    let arrow = |body: Body| ([(header::CONTENT_TYPE, wire::CONTENT_TYPE)], body).into_response();
    let mode = fake.mode();
    match &mode {
        Mode::Normal | Mode::HalfABody | Mode::OtherGrid => {}
        Mode::BrokenFor(text) if !query.expr.contains(text) => {}
        Mode::BrokenFor(_) => return (StatusCode::INTERNAL_SERVER_ERROR, "oops").into_response(),
        Mode::Late(time) => tokio::time::sleep(*time).await,
        Mode::Never => std::future::pending().await,
        Mode::Garbage => return arrow(Body::from(vec![0xff; 999])),
        Mode::Html => {
            return ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], "<html>").into_response();
        }
        Mode::Broken => return (StatusCode::INTERNAL_SERVER_ERROR, "oops").into_response(),
        Mode::Refuses(error) => return refused(error),
        Mode::Huge(bytes) => return arrow(Body::from(vec![0; *bytes])),
        Mode::Redirects => return (StatusCode::FOUND, [(header::LOCATION, "/login")]).into_response(),
        Mode::NotFound => return StatusCode::NOT_FOUND.into_response(),
    }
    let mut answer = match fake.answer(query) {
        Ok(answer) => answer,
        Err(error) => return refused(&error),
    };
    if mode == Mode::OtherGrid {
        answer.grid.start_ms -= 1;
        answer.grid.end_ms -= 1;
    }
    let body = wire::encode(&answer).expect("well formed");
    if mode == Mode::HalfABody {
        use futures_util::{StreamExt, stream};
        let half = Bytes::copy_from_slice(&body[..body.len() / 2]);
        // The head and the first half must be on their way before the break.
        let cut = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            Err(std::io::Error::other("cable cut"))
        };
        return arrow(Body::from_stream(
            stream::iter([Ok(half)]).chain(stream::once(cut)),
        ));
    }
    arrow(Body::from(body))
}

async fn series(
    State(fake): State<Arc<Fake>>,
    headers: HeaderMap,
    Json(query): Json<SeriesQuery>,
) -> Response {
    fake.queries.fetch_add(1, Ordering::SeqCst);
    if !authorized(&fake, &headers) {
        return unauthorized();
    }
    match fake.listed(&query) {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => refused(&error),
    }
}

async fn labels(
    State(fake): State<Arc<Fake>>,
    headers: HeaderMap,
    Json(query): Json<LabelsQuery>,
) -> Response {
    fake.queries.fetch_add(1, Ordering::SeqCst);
    if !authorized(&fake, &headers) {
        return unauthorized();
    }
    match fake.labelled(&query) {
        Ok(answer) => Json(answer).into_response(),
        Err(error) => refused(&error),
    }
}

async fn inventory(State(fake): State<Arc<Fake>>, headers: HeaderMap) -> Response {
    fake.inventories.fetch_add(1, Ordering::SeqCst);
    if !authorized(&fake, &headers) {
        return unauthorized();
    }
    match fake.mode() {
        Mode::Normal | Mode::Late(_) | Mode::BrokenFor(_) => {}
        Mode::Never => std::future::pending().await,
        _ => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
    let inventory = fake.inventory();
    let version = format!("\"{}\"", inventory.version);
    let known = headers
        .get(header::IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok());
    if known == Some(version.as_str()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    ([(header::ETAG, version)], Json(inventory)).into_response()
}

async fn info(State(fake): State<Arc<Fake>>, headers: HeaderMap) -> Response {
    fake.infos.fetch_add(1, Ordering::SeqCst);
    if !authorized(&fake, &headers) {
        return unauthorized();
    }
    match fake.mode() {
        Mode::Normal | Mode::Refuses(_) | Mode::Late(_) => Json(fake.described()).into_response(),
        Mode::Never => std::future::pending().await,
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

pub(crate) fn router(fake: Arc<Fake>) -> Router {
    Router::new()
        .route("/v1/query", post(query))
        .route("/v1/series", post(series))
        .route("/v1/labels", post(labels))
        .route("/v1/info", get(info))
        .route("/v1/inventory", get(inventory))
        .with_state(fake)
}

/// Serves anything that is an agent, over HTTP as an agent does, until the test ends or the handle shuts it down.
pub(crate) async fn serve_api<A: AgentApi + Clone + 'static>(api: A) -> (SocketAddr, Handle<SocketAddr>) {
    fn json<T: serde::Serialize>(answer: Result<T, ApiError>) -> Response {
        match answer {
            Ok(answer) => Json(answer).into_response(),
            Err(error) => refused(&error),
        }
    }
    let router = Router::new()
        .route(
            "/v1/query",
            post(
                async |State(api): State<A>, Json(query): Json<LeafQuery>| match api.query(query).await {
                    Ok(answer) => {
                        let body = wire::encode(&answer).expect("well formed");
                        ([(header::CONTENT_TYPE, wire::CONTENT_TYPE)], body).into_response()
                    }
                    Err(error) => refused(&error),
                },
            ),
        )
        .route(
            "/v1/series",
            post(async |State(api): State<A>, Json(query): Json<SeriesQuery>| json(api.series(query).await)),
        )
        .route(
            "/v1/labels",
            post(async |State(api): State<A>, Json(query): Json<LabelsQuery>| json(api.labels(query).await)),
        )
        .route(
            "/v1/info",
            get(async |State(api): State<A>| json(api.info().await)),
        )
        .route(
            "/v1/inventory",
            get(async |State(api): State<A>, headers: HeaderMap| {
                let known = headers
                    .get(header::IF_NONE_MATCH)
                    .map(|value| value.to_str().expect("text").trim_matches('"').to_owned());
                match api.inventory(known).await {
                    Ok(None) => StatusCode::NOT_MODIFIED.into_response(),
                    Ok(Some(inventory)) => Json(&*inventory).into_response(),
                    Err(error) => refused(&error),
                }
            }),
        )
        .with_state(api);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    listener.set_nonblocking(true).expect("a socket");
    let handle = Handle::new();
    let server = axum_server::from_tcp(listener)
        .expect("a listener")
        .handle(handle.clone());
    tokio::spawn(server.serve(router.into_make_service()));
    (address, handle)
}

/// Serves the fake on a free port until the test ends.
pub(crate) async fn serve(fake: Fake) -> (Arc<Fake>, TargetSpec) {
    let fake = Arc::new(fake);
    let address = listen(router(Arc::clone(&fake))).await;
    let target = TargetSpec {
        url: format!("http://{address}"),
        instance: Some(fake.name.clone()),
        labels: BTreeMap::from([("rack".to_owned(), "r1".to_owned())]),
    };
    (fake, target)
}

async fn listen(router: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

/// A node with one gauge `temp{gpu}` that is `base` on GPU 0 and `base + 1` on GPU 1, and a counter that rises by
/// `base` per second.
pub(crate) fn gpu_node(name: &str, base: f64) -> Fake {
    Fake::new(name)
        .with(&[(NAME, "temp"), ("gpu", "0")], move |_| base)
        .with(&[(NAME, "temp"), ("gpu", "1")], move |_| base + 1.0)
        .with(&[(NAME, "energy_total")], move |second| base * second as f64)
}

/// Waits until the condition holds; fails the test after ten seconds.
pub(crate) async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < until, "not in ten seconds: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A free port that nobody listens on.
pub(crate) fn dead_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}
