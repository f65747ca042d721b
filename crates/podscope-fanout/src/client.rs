//! The agent API over HTTP/1.1, and one sentence, with a remedy, per way to fail.

use std::error::Error as StdError;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, IF_NONE_MATCH};
use http::{Method, StatusCode};
use podscope_model::event::{EventAnswer, EventQuery};
use podscope_model::inventory::{Inventory, LabelsAnswer, LabelsQuery};
use podscope_model::jobs::{JobsAnswer, JobsQuery};
use podscope_model::leaf::{
    AgentApi, ApiError, ApiErrorKind, LeafAnswer, LeafQuery, NodeInfo, SeriesAnswer, SeriesQuery,
};
use podscope_model::wire;
use serde::de::DeserializeOwned;

use crate::config::{FleetConfig, Secret};
use crate::error::FleetError;
use crate::leaf::{Leaf, LeafFailure, LeafFuture, Weighed};
use crate::tls;

/// Connections kept per agent: one for panels, one more for what runs beside it.
const IDLE_PER_HOST: usize = 2;
/// Longer than any refresh interval of a dashboard, so that the next refresh finds its connections warm.
const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// An error's body is read this far.
const MAX_ERROR_BYTES: usize = 64 << 10;
const JSON: &str = "application/json";

/// One agent or hub, reached over HTTP. Cloning is cheap and shares the connections.
#[derive(Clone, Debug)]
pub struct HttpAgent {
    client: reqwest::Client,
    base: reqwest::Url,
    token: Option<Secret>,
    max_body_bytes: usize,
}

impl HttpAgent {
    /// A client for one agent.
    ///
    /// # Errors
    /// [`FleetError::Config`] for a URL or TLS settings that cannot be used.
    pub fn new(url: &str, config: &FleetConfig) -> Result<Self, FleetError> {
        let base = parse_url(url)?;
        let client = build_client(config, base.scheme() == "https")?;
        Ok(Self::with_client(client, base, config))
    }

    pub(crate) fn with_client(client: reqwest::Client, base: reqwest::Url, config: &FleetConfig) -> Self {
        Self {
            client,
            base,
            token: config.token.clone(),
            max_body_bytes: config.max_body_bytes,
        }
    }

    async fn post<Q: serde::Serialize + Sync>(
        &self,
        path: &str,
        query: &Q,
        accept: &'static str,
    ) -> Result<Bytes, LeafFailure> {
        let body = serde_json::to_vec(query).map_err(|error| {
            LeafFailure::answered(ApiError::new(
                ApiErrorKind::Internal,
                format!("the question cannot be written: {error}"),
            ))
        })?;
        self.send(Method::POST, path, Some(body.into()), accept).await
    }

    /// Writes something into the agent: events, samples. Its own words come back where it refuses.
    ///
    /// # Errors
    /// What the agent says, or why it could not be reached.
    pub async fn write(
        &self,
        path: &str,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Bytes, ApiError> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        let sent = self
            .client
            .post(url)
            .header(CONTENT_TYPE, content_type)
            .body(body)
            .send()
            .await;
        let response = sent.map_err(|error| self.transport_failure(&error).error)?;
        let status = response.status();
        let body = self
            .read(response, self.max_body_bytes)
            .await
            .map_err(|failure| failure.error)?;
        if status.is_success() {
            return Ok(body);
        }
        Err(match serde_json::from_slice::<ApiError>(&body) {
            Ok(error) => ApiError::new(error.kind, self.without_token(error.message)),
            Err(_) if status == StatusCode::TOO_MANY_REQUESTS => ApiError::new(
                ApiErrorKind::Limit,
                "takes no more of this source for the moment; send fewer, or raise `events.rate` in its configuration",
            ),
            Err(_) => self.status_failure(status, "", &body).error,
        })
    }

    /// Sends a request and reads a successful answer of the accepted type.
    async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        accept: &'static str,
    ) -> Result<Bytes, LeafFailure> {
        let response = match self.attempt(method.clone(), path, body.clone(), accept).await {
            // The agent closed a kept connection just as we wrote to it. Questions change nothing, so ask again.
            Err(error) if broke_before_the_answer(&error) => self.attempt(method, path, body, accept).await,
            other => other,
        };
        let response = response.map_err(|error| self.transport_failure(&error))?;
        self.accepted(response, accept).await
    }

    /// The body of a successful answer of the accepted type.
    async fn accepted(&self, response: reqwest::Response, accept: &str) -> Result<Bytes, LeafFailure> {
        let status = response.status();
        let media_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .map(|value| value.split(';').next().unwrap_or("").trim().to_ascii_lowercase())
            .unwrap_or_default();
        if status != StatusCode::OK {
            let text = self.read(response, MAX_ERROR_BYTES).await.unwrap_or_default();
            return Err(self.status_failure(status, &media_type, &text));
        }
        if media_type != accept {
            let what = if media_type == "text/html" {
                "a web page".to_owned()
            } else {
                format!("{media_type:?}")
            };
            return Err(LeafFailure::miss(
                ApiErrorKind::Unreachable,
                format!(
                    "answered {what} instead of the agent API; another program listens there: correct the URL"
                ),
            ));
        }
        self.read(response, self.max_body_bytes).await
    }

    async fn attempt(
        &self,
        method: Method,
        path: &str,
        body: Option<Bytes>,
        accept: &'static str,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let mut request = self.client.request(method, self.url(path)).header(ACCEPT, accept);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, JSON).body(body);
        }
        request.send().await
    }

    fn url(&self, path: &str) -> reqwest::Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url
    }

    /// Reads a body up to `limit` bytes.
    async fn read(&self, mut response: reqwest::Response, limit: usize) -> Result<Bytes, LeafFailure> {
        let too_large = || {
            LeafFailure::answered(ApiError::new(
                ApiErrorKind::Limit,
                format!(
                    "the answer is larger than {limit} bytes; aggregate (sum by, topk) or select fewer series"
                ),
            ))
        };
        let announced = response.content_length();
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(too_large());
        }
        let mut body = BytesMut::with_capacity(announced.unwrap_or(0) as usize);
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) if body.len() + chunk.len() > limit => return Err(too_large()),
                // A body in one piece is not copied.
                Ok(Some(chunk)) if body.is_empty() && announced == Some(chunk.len() as u64) => {
                    return Ok(chunk);
                }
                Ok(Some(chunk)) => body.extend_from_slice(&chunk),
                Ok(None) => return Ok(body.freeze()),
                Err(error) => return Err(self.transport_failure(&error)),
            }
        }
    }

    /// What a refused or failed request means.
    fn status_failure(&self, status: StatusCode, media_type: &str, body: &[u8]) -> LeafFailure {
        let miss = |kind, text: String| LeafFailure::miss(kind, text);
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            let text = match &self.token {
                Some(_) => format!("refused our token ({status}); set the agent's own token in the settings"),
                None => format!("wants a token ({status}); set the agent's token in the settings"),
            };
            return LeafFailure::answered(ApiError::new(ApiErrorKind::Unauthorized, text));
        }
        if media_type == JSON
            && let Ok(error) = serde_json::from_slice::<ApiError>(body)
        {
            return LeafFailure::answered(ApiError::new(error.kind, self.without_token(error.message)));
        }
        if status.is_redirection() {
            return miss(
                ApiErrorKind::Unreachable,
                format!("redirects to another address ({status}); write that address into the target list"),
            );
        }
        if status == StatusCode::NOT_FOUND {
            return miss(
                ApiErrorKind::Unreachable,
                "has no agent API at this address (404); correct the URL's host, port and path".to_owned(),
            );
        }
        miss(
            ApiErrorKind::Unreachable,
            format!("answered {status} without saying why; the agent's (or proxy's) log says more"),
        )
    }

    /// What a broken connection means.
    fn transport_failure(&self, error: &reqwest::Error) -> LeafFailure {
        LeafFailure::miss(
            ApiErrorKind::Unreachable,
            self.without_token(describe(error, &self.base)),
        )
    }

    /// An agent could echo what it was sent.
    fn without_token(&self, text: String) -> String {
        match &self.token {
            Some(token) if !token.expose().is_empty() => text.replace(token.expose(), "***"),
            _ => text,
        }
    }

    async fn json<T: DeserializeOwned>(
        &self,
        body: Result<Bytes, LeafFailure>,
    ) -> Result<Weighed<T>, LeafFailure> {
        let body = body?;
        match serde_json::from_slice(&body) {
            Ok(value) => Ok(Weighed {
                value,
                bytes: body.len() as u64,
            }),
            Err(error) => Err(garbage(self.without_token(error.to_string()))),
        }
    }
}

fn garbage(why: impl std::fmt::Display) -> LeafFailure {
    LeafFailure::miss(
        ApiErrorKind::Unreachable,
        format!("its answer cannot be read ({why}); is it an agent of this version?"),
    )
}

impl Leaf for HttpAgent {
    fn query(&self, query: LeafQuery) -> LeafFuture<'_, LeafAnswer> {
        Box::pin(async move {
            let body = self.post("/v1/query", &query, wire::CONTENT_TYPE).await?;
            let bytes = body.len() as u64;
            let value = wire::decode(body).map_err(garbage)?;
            Ok(Weighed { value, bytes })
        })
    }

    fn series(&self, query: SeriesQuery) -> LeafFuture<'_, SeriesAnswer> {
        Box::pin(async move { self.json(self.post("/v1/series", &query, JSON).await).await })
    }

    fn events(&self, query: EventQuery) -> LeafFuture<'_, EventAnswer> {
        Box::pin(async move {
            let answer = self
                .json(self.post("/v1/events/search", &query, JSON).await)
                .await;
            answer.map_err(|failure| match failure.error.message.contains("(404)") {
                // It is there, but of an earlier version: no reason to stop asking it for series.
                true => LeafFailure::answered(ApiError::new(
                    ApiErrorKind::Unreachable,
                    "keeps no events; is it an agent of this version?",
                )),
                false => failure,
            })
        })
    }

    fn jobs(&self, query: JobsQuery) -> LeafFuture<'_, JobsAnswer> {
        Box::pin(async move { self.json(self.post("/v1/jobs", &query, JSON).await).await })
    }

    fn info(&self) -> LeafFuture<'_, NodeInfo> {
        Box::pin(async {
            self.json(self.send(Method::GET, "/v1/info", None, JSON).await)
                .await
        })
    }

    fn labels(&self, query: LabelsQuery) -> LeafFuture<'_, LabelsAnswer> {
        Box::pin(async move { self.json(self.post("/v1/labels", &query, JSON).await).await })
    }

    fn inventory(&self, known: Option<String>) -> LeafFuture<'_, Option<Arc<Inventory>>> {
        Box::pin(async move {
            let mut request = self
                .client
                .request(Method::GET, self.url("/v1/inventory"))
                .header(ACCEPT, JSON);
            if let Some(version) = known {
                request = request.header(IF_NONE_MATCH, format!("\"{version}\""));
            }
            let response = request
                .send()
                .await
                .map_err(|error| self.transport_failure(&error))?;
            if response.status() == StatusCode::NOT_MODIFIED {
                return Ok(Weighed {
                    value: None,
                    bytes: 0,
                });
            }
            let body = self.accepted(response, JSON).await;
            let Weighed { value, bytes } = self.json::<Inventory>(body).await?;
            Ok(Weighed {
                value: Some(Arc::new(value)),
                bytes,
            })
        })
    }
}

impl AgentApi for HttpAgent {
    async fn query(&self, query: LeafQuery) -> Result<LeafAnswer, ApiError> {
        plain(Leaf::query(self, query).await)
    }

    async fn series(&self, query: SeriesQuery) -> Result<SeriesAnswer, ApiError> {
        plain(Leaf::series(self, query).await)
    }

    async fn events(&self, query: EventQuery) -> Result<EventAnswer, ApiError> {
        plain(Leaf::events(self, query).await)
    }

    async fn jobs(&self, query: JobsQuery) -> Result<JobsAnswer, ApiError> {
        plain(Leaf::jobs(self, query).await)
    }

    async fn info(&self) -> Result<NodeInfo, ApiError> {
        plain(Leaf::info(self).await)
    }

    async fn labels(&self, query: LabelsQuery) -> Result<LabelsAnswer, ApiError> {
        plain(Leaf::labels(self, query).await)
    }

    async fn inventory(&self, known: Option<String>) -> Result<Option<Arc<Inventory>>, ApiError> {
        plain(Leaf::inventory(self, known).await)
    }
}

fn plain<T>(answer: Result<Weighed<T>, LeafFailure>) -> Result<T, ApiError> {
    answer
        .map(|weighed| weighed.value)
        .map_err(|failure| failure.error)
}

/// A client of other HTTP servers with the fleet's settings: token as bearer, TLS, timeouts for connecting.
///
/// # Errors
/// [`FleetError::Config`] naming the setting that cannot be used.
pub fn http_client(config: &FleetConfig, https: bool) -> Result<reqwest::Client, FleetError> {
    build_client(config, https)
}

/// One client (and pool) for all targets.
pub(crate) fn build_client(config: &FleetConfig, any_https: bool) -> Result<reqwest::Client, FleetError> {
    let mut headers = HeaderMap::new();
    if let Some(token) = &config.token {
        let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose())).map_err(|_| {
            FleetError::Config(
                "the token holds characters that no HTTP header can carry; paste it again".to_owned(),
            )
        })?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let mut builder = reqwest::Client::builder()
        .http1_only()
        .tcp_nodelay(true)
        .connect_timeout(config.connect_timeout)
        .pool_max_idle_per_host(IDLE_PER_HOST)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .default_headers(headers)
        .user_agent(concat!("podscope/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls::client_config(&config.tls, any_https)?);
    builder = match &config.proxy {
        None => builder.no_proxy(),
        Some(url) => builder.proxy(reqwest::Proxy::all(url).map_err(|_| {
            FleetError::Config("the proxy is not a URL such as http://proxy:3128".to_owned())
        })?),
    };
    builder
        .build()
        .map_err(|error| FleetError::Config(format!("the HTTP client cannot be set up: {error}")))
}

/// A client for anybody but agents: no token, the system's trust store.
///
/// # Errors
/// [`FleetError::Config`] when the system has no usable trust store.
pub fn plain_client(timeout: Duration) -> Result<reqwest::Client, FleetError> {
    reqwest::Client::builder()
        .timeout(timeout)
        .user_agent(concat!("podscope/", env!("CARGO_PKG_VERSION")))
        .tls_backend_preconfigured(tls::client_config(&crate::config::TlsConfig::default(), true)?)
        .no_proxy()
        .build()
        .map_err(|error| FleetError::Config(format!("the HTTP client cannot be set up: {error}")))
}

/// Checks a target's URL.
pub(crate) fn parse_url(text: &str) -> Result<reqwest::Url, FleetError> {
    let bad = |why: &str| FleetError::Config(format!("target {text:?}: {why}"));
    let url = match reqwest::Url::parse(text) {
        Ok(url) => url,
        Err(_) if !text.contains("://") => {
            return Err(bad("not a URL; write http://host:9477 or https://host:9477"));
        }
        Err(error) => return Err(bad(&format!("not a URL ({error}); write http://host:9477"))),
    };
    if !matches!(url.scheme(), "http" | "https") {
        // `node1:9477` parses as scheme `node1`.
        return Err(bad(
            "only http:// and https:// are known; write http://host:9477 or https://host:9477",
        ));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(FleetError::Config(format!(
            "target at host {:?}: a URL must not hold a user or password; use the token setting",
            url.host_str().unwrap_or("")
        )));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("a target's URL has no ? or # part"));
    }
    Ok(url)
}

/// The host and port of a URL, as people write them.
pub(crate) fn authority(url: &reqwest::Url) -> String {
    let host = url.host_str().unwrap_or("");
    url.port_or_known_default()
        .map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// An error and its causes, outermost first.
fn chain(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    std::iter::from_fn(move || {
        let current = next?;
        // `io::Error` hides what it wraps from `source`, which is where rustls puts its own error.
        next = match current
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => current.source(),
        };
        Some(current)
    })
}

fn broke_before_the_answer(error: &reqwest::Error) -> bool {
    error.is_request()
        && !error.is_connect()
        && !error.is_timeout()
        && !chain(error).any(|cause| cause.is::<rustls::Error>())
        && chain(error).any(|cause| {
            cause
                .to_string()
                .contains("connection closed before message completed")
                || cause
                    .downcast_ref::<std::io::Error>()
                    .is_some_and(|io| matches!(io.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
        })
}

/// One sentence for a broken connection: what happened, and what to do.
fn describe(error: &reqwest::Error, base: &reqwest::Url) -> String {
    let place = authority(base);
    if let Some(cause) = chain(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return describe_tls(cause, &place);
    }
    let io = chain(error)
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    for kind in io {
        match kind {
            ErrorKind::ConnectionRefused => {
                return format!("connection refused at {place}; start the agent there, or correct the URL");
            }
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
                return format!("no route to {place}; check the network and the firewall");
            }
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
                if error.is_body() || error.is_decode() =>
            {
                return "the connection broke in the middle of the answer; the agent's log says more"
                    .to_owned();
            }
            ErrorKind::ConnectionReset => {
                return format!(
                    "{place} closed the connection; it may want https, or the agent has just stopped"
                );
            }
            _ => {}
        }
    }
    let texts: Vec<String> = chain(error).map(ToString::to_string).collect();
    let says = |part: &str| texts.iter().any(|text| text.contains(part));
    if says("dns error") {
        let host = base.host_str().unwrap_or("");
        return format!("the name {host:?} cannot be resolved; correct the URL, or the DNS");
    }
    if error.is_connect() && error.is_timeout() {
        return format!(
            "no connection to {place} in time; check that the node is up and the firewall lets us through"
        );
    }
    if error.is_body() || error.is_decode() {
        return "the connection broke in the middle of the answer; the agent's log says more".to_owned();
    }
    if says("invalid HTTP") || says("parse") {
        return format!(
            "{place} does not speak HTTP; correct the port, or write https:// when the agent uses TLS"
        );
    }
    if says("connection closed before message completed") {
        return format!(
            "{place} closed the connection without an answer; it may want https, or the agent has stopped"
        );
    }
    // The last cause is the most precise one.
    let last = texts.last().map(String::as_str).unwrap_or("unknown cause");
    format!("cannot be reached at {place} ({last}); check the URL, the agent and the network")
}

fn describe_tls(error: &rustls::Error, place: &str) -> String {
    use rustls::{AlertDescription, CertificateError, Error};
    match error {
        Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer => {
                "its certificate is signed by nobody we trust; set the CA certificate in the settings"
                    .to_owned()
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is made out to another name; correct the URL's host, or set the server name"
                    .to_owned()
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired; renew it on the node".to_owned()
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet; check the clocks of both machines".to_owned()
            }
            other => format!("its certificate is refused ({other}); renew it, or set the CA certificate"),
        },
        Error::AlertReceived(AlertDescription::CertificateRequired | AlertDescription::HandshakeFailure) => {
            "it wants a client certificate; set certificate and key in the settings".to_owned()
        }
        Error::AlertReceived(
            AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::DecryptError,
        ) => "it does not trust our client certificate; use one signed by the CA the agent knows".to_owned(),
        Error::InvalidMessage(_) => format!("{place} does not speak TLS; write http:// in the URL"),
        other => format!("TLS with {place} failed ({other}); check certificate and settings on both sides"),
    }
}
