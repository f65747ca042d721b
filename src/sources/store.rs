//! A Prometheus-compatible server: PromQL passed through, answers and remarks carried back. No error shows a secret.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use podscope_fanout::{FleetConfig, TlsConfig};
use podscope_model::labels::Labels;
use podscope_model::leaf::Annotation;
use podscope_model::sample::{Grid, STALE, SeriesData, StepSeries};
use podscope_promql::{Outcome, Parsed, Value, ValueType};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::error::QueryError;
use crate::settings::{Settings, StoreSettings};

/// The largest answer that is read.
const MAX_BODY: usize = 256 << 20;

/// One store with its connections.
#[derive(Debug)]
pub struct Store {
    pub settings: StoreSettings,
    client: reqwest::Client,
}

/// Why a store did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store {store:?} {reason}")]
pub struct StoreError {
    pub store: String,
    pub reason: String,
    /// The HTTP status a panel shows.
    pub status: u16,
}

#[derive(Deserialize)]
struct Body {
    status: String,
    data: Option<Data>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    #[serde(default)]
    infos: Vec<String>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "resultType")]
    kind: String,
    result: Answered,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answered {
    Point((f64, String)),
    Series(Vec<Series>),
}

#[derive(Deserialize)]
struct Series {
    metric: BTreeMap<String, String>,
    #[serde(default)]
    values: Vec<(f64, String)>,
    value: Option<(f64, String)>,
    /// Native histograms.
    histogram: Option<IgnoredAny>,
    histograms: Option<IgnoredAny>,
}

impl Store {
    /// # Errors
    /// Credentials that no header can carry, or TLS settings that cannot be used.
    pub fn new(settings: StoreSettings, all: &Settings) -> Result<Self, QueryError> {
        let config = FleetConfig {
            token: settings.token.clone(),
            tls: TlsConfig {
                skip_verify: settings.skip_verify,
                // The authority of the agents may have signed the store's certificate too.
                ca_pem: all.tls.ca_pem.clone(),
                ..TlsConfig::default()
            },
            timeout: settings.timeout,
            connect_timeout: all.connect_timeout.max(Duration::from_secs(1)),
            ..FleetConfig::default()
        };
        let client = podscope_fanout::client::http_client(&config, settings.url.starts_with("https"))?;
        Ok(Self { settings, client })
    }

    fn error(&self, status: u16, reason: impl Into<String>) -> QueryError {
        let mut reason = reason.into();
        for secret in [&self.settings.password, &self.settings.token]
            .into_iter()
            .flatten()
        {
            if !secret.expose().is_empty() {
                reason = reason.replace(secret.expose(), "<hidden>");
            }
        }
        QueryError::Store(StoreError {
            store: self.settings.name.clone(),
            reason,
            status,
        })
    }

    async fn ask(&self, path: &str, form: &[(&str, String)]) -> Result<Body, QueryError> {
        let url = format!("{}/api/v1/{path}", self.settings.url);
        let encoded = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let mut request = self
            .client
            .post(url)
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(encoded)
            .timeout(self.settings.timeout);
        if let Some(user) = &self.settings.user {
            request = request.basic_auth(
                user,
                self.settings.password.as_ref().map(|password| password.expose()),
            );
        }
        if let Some(tenant) = &self.settings.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        let mut response = request.send().await.map_err(|error| self.transport(error))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport(error))? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(self.error(
                    422,
                    format!(
                        "answers more than {} MiB; aggregate or select fewer series",
                        MAX_BODY >> 20
                    ),
                ));
            }
            body.extend_from_slice(&chunk);
        }
        match serde_json::from_slice::<Body>(&body) {
            Ok(body) if body.status == "success" => Ok(body),
            Ok(body) => {
                let code = if status.is_client_error() { status.as_u16() } else { 502 };
                // A 401 of ours would read as "your Grafana session ended".
                let code = if matches!(code, 401 | 403) { 502 } else { code };
                Err(self.error(code, format!("says: {}", body.error.unwrap_or_else(|| status.to_string()))))
            }
            Err(_) if matches!(status.as_u16(), 401 | 403) => Err(self.error(
                502,
                format!("refuses our credentials ({status}); set its user and password, or its token, in the settings"),
            )),
            Err(_) if status.as_u16() == 404 => Err(self.error(
                502,
                "has no Prometheus API at this address (404); correct the URL, path included",
            )),
            Err(_) if !status.is_success() => Err(self.error(502, format!("answered {status} without saying why"))),
            Err(error) => Err(self.error(
                502,
                format!("answered what is no Prometheus JSON ({error}); does another program listen there?"),
            )),
        }
    }

    fn transport(&self, error: reqwest::Error) -> QueryError {
        let error = error.without_url();
        if error.is_timeout() {
            return self.error(
                504,
                format!(
                    "did not answer within {:.0} s; ask for less, or raise its timeout",
                    self.settings.timeout.as_secs_f64()
                ),
            );
        }
        let why = crate::error::chain(&error);
        self.error(502, format!("cannot be asked at {}: {why}", self.settings.url))
    }

    /// Whether it answers: a real query.
    ///
    /// # Errors
    /// Why not.
    pub async fn check(&self) -> Result<(), QueryError> {
        self.ask("query", &[("query", "1".to_owned())]).await.map(drop)
    }

    /// Evaluates an expression there.
    ///
    /// # Errors
    /// What the store says, or why it could not be asked.
    pub async fn query(
        &self,
        expr: &str,
        grid: Grid,
        lookback_ms: i64,
        parsed: &Parsed,
    ) -> Result<Outcome, QueryError> {
        let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000));
        let timeout = format!("{}ms", self.settings.timeout.as_millis());
        let (path, mut form) = if grid.is_instant() {
            ("query", vec![("time", seconds(grid.start_ms))])
        } else {
            let bounds = vec![
                ("start", seconds(grid.start_ms)),
                ("end", seconds(grid.end_ms)),
                ("step", seconds(grid.step_ms)),
            ];
            ("query_range", bounds)
        };
        form.push(("query", expr.to_owned()));
        form.push(("timeout", timeout));
        // The same lookback on both sides of a seam: Prometheus's parameter, and VictoriaMetrics's.
        form.push(("lookback_delta", seconds(lookback_ms)));
        form.push(("max_lookback", format!("{lookback_ms}ms")));
        // VictoriaMetrics moves the steps to fit its cache unless told not to.
        form.push(("nocache", "1".to_owned()));
        let body = self.ask(path, &form).await?;
        let mut annotations: Vec<Annotation> = Vec::new();
        annotations.extend(
            body.warnings
                .into_iter()
                .map(|text| self.remark(Annotation::Warning, &text)),
        );
        annotations.extend(
            body.infos
                .into_iter()
                .map(|text| self.remark(Annotation::Info, &text)),
        );
        let data = body
            .data
            .ok_or_else(|| self.error(502, "answered no data; is it Prometheus-compatible?"))?;
        let value = self.value(data, grid, parsed, &mut annotations)?;
        Ok(Outcome { value, annotations })
    }

    fn remark(&self, level: fn(String) -> Annotation, text: &str) -> Annotation {
        level(format!("{} (store {:?})", text, self.settings.name))
    }

    fn value(
        &self,
        data: Data,
        grid: Grid,
        parsed: &Parsed,
        annotations: &mut Vec<Annotation>,
    ) -> Result<Value, QueryError> {
        let number = |text: &str| -> f64 { text.parse().unwrap_or(f64::NAN) };
        let list = match (data.kind.as_str(), data.result) {
            ("scalar", Answered::Point((_, value))) => return Ok(Value::Scalar(vec![number(&value)])),
            ("string", Answered::Point((_, value))) => return Ok(Value::String(value)),
            ("vector" | "matrix", Answered::Series(list)) => list,
            (kind, _) => return Err(self.error(502, format!("answers a {kind} that is none"))),
        };
        let histograms = list
            .iter()
            .filter(|series| series.histogram.is_some() || series.histograms.is_some())
            .count();
        if histograms > 0 {
            annotations.push(self.remark(
                Annotation::Warning,
                &format!("{histograms} series of native histograms are left out: they are not supported"),
            ));
        }
        let mut list: Vec<(Labels, Vec<(f64, String)>)> = list
            .into_iter()
            .map(|series| {
                let labels = Labels::from_pairs(&series.metric);
                let dropped = &self.settings.drop_labels;
                let labels = labels.filter(|name| !dropped.iter().any(|dropped| dropped == name));
                (labels, series.value.into_iter().chain(series.values).collect())
            })
            .collect();
        list.retain(|(_, values): &(Labels, Vec<(f64, String)>)| !values.is_empty());
        if parsed.value_type() == ValueType::Matrix {
            let samples = list.into_iter().map(|(labels, values)| SeriesData {
                labels,
                timestamps: values
                    .iter()
                    .map(|(time, _)| (time * 1000.0).round() as i64)
                    .collect(),
                values: values
                    .iter()
                    .map(|(_, value)| number(value))
                    .collect::<Arc<[f64]>>(),
            });
            return Ok(Value::Samples(samples.collect()));
        }
        let steps = grid.len();
        let columns = list.into_iter().map(|(labels, points)| {
            let mut values = vec![STALE; steps];
            for (time, value) in points {
                let behind = (time * 1000.0).round() as i64 - grid.start_ms;
                let at =
                    usize::try_from(behind.max(0).saturating_add(grid.step_ms / 2) / grid.step_ms.max(1));
                if let Some(cell) = at.ok().and_then(|at| values.get_mut(at)) {
                    *cell = number(&value);
                }
            }
            StepSeries { labels, values }
        });
        let columns: Vec<StepSeries> = columns.collect();
        // A scalar over a range comes as one series without labels.
        if parsed.value_type() == ValueType::Scalar {
            let values = columns.into_iter().next().map(|series| series.values);
            return Ok(Value::Scalar(values.unwrap_or_else(|| vec![f64::NAN; steps])));
        }
        Ok(Value::Vector(columns))
    }

    /// Names or label values it has, for the editor; `None` where it cannot say.
    pub async fn label_values(&self, label: &str, selectors: &[String]) -> Option<Vec<String>> {
        #[derive(Deserialize)]
        struct List {
            #[serde(default)]
            data: Vec<String>,
        }
        let path = match label {
            "" => "labels".to_owned(),
            label => format!("label/{label}/values"),
        };
        let pairs: Vec<(&str, &str)> = selectors
            .iter()
            .map(|selector| ("match[]", selector.as_str()))
            .collect();
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        let url = format!("{}/api/v1/{path}?{query}", self.settings.url);
        let mut request = self.client.get(url).timeout(self.settings.timeout);
        if let Some(user) = &self.settings.user {
            request = request.basic_auth(
                user,
                self.settings.password.as_ref().map(|password| password.expose()),
            );
        }
        if let Some(tenant) = &self.settings.tenant {
            request = request.header("X-Scope-OrgID", tenant);
        }
        let bytes = request
            .send()
            .await
            .ok()?
            .error_for_status()
            .ok()?
            .bytes()
            .await
            .ok()?;
        serde_json::from_slice::<List>(&bytes).ok().map(|list| list.data)
    }
}
