//! What is asked, and Grafana's `/api/ds/query` in both directions.

use std::collections::{BTreeMap, HashMap};

use grafana_plugin_sdk::pluginv2;
use serde_json::{Map, Value, json};

use super::{HostError, QueryAnswer};
use crate::frames::frame_json;

/// The data source, and the person on whose behalf it is asked.
#[derive(Clone)]
pub struct Source {
    pub org_id: i64,
    pub uid: String,
    pub url: String,
    /// `jsonData`; `null` is what Grafana sends for a data source saved without settings.
    pub json: Value,
    /// `secureJsonData`, decrypted.
    pub secrets: BTreeMap<String, String>,
    /// Changes with every save.
    pub updated_ms: i64,
    pub login: String,
    /// `Admin`, `Editor`, `Viewer`, `None`.
    pub role: String,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Source")
            .field("uid", &self.uid)
            .field("json", &self.json)
            .finish_non_exhaustive()
    }
}

impl Source {
    /// A data source of uid `podscope` with these settings, asked by an administrator.
    pub fn new(json: Value) -> Self {
        Self {
            org_id: 1,
            uid: "podscope".to_owned(),
            url: String::new(),
            json,
            secrets: BTreeMap::new(),
            updated_ms: 1,
            login: "admin".to_owned(),
            role: "Admin".to_owned(),
        }
    }

    /// A data source over these agents.
    pub fn of_urls<U: AsRef<str>>(urls: impl IntoIterator<Item = U>) -> Self {
        let targets: Vec<Value> = urls
            .into_iter()
            .map(|url| json!({ "url": url.as_ref() }))
            .collect();
        Self::new(json!({ "targets": targets }))
    }

    pub(super) fn context(&self) -> pluginv2::PluginContext {
        pluginv2::PluginContext {
            org_id: self.org_id,
            plugin_id: "podscope-fleet-datasource".to_owned(),
            user: Some(pluginv2::User {
                login: self.login.clone(),
                name: self.login.clone(),
                email: String::new(),
                role: self.role.clone(),
            }),
            app_instance_settings: None,
            data_source_instance_settings: Some(pluginv2::DataSourceInstanceSettings {
                id: 1,
                uid: self.uid.clone(),
                name: "Podscope".to_owned(),
                url: self.url.clone(),
                user: String::new(),
                database: String::new(),
                basic_auth_enabled: false,
                basic_auth_user: String::new(),
                json_data: self.json.to_string().into_bytes(),
                decrypted_secure_json_data: self.secrets.clone().into_iter().collect(),
                last_updated_ms: self.updated_ms,
            }),
        }
    }
}

/// The queries of one panel or rule.
#[derive(Clone, Debug)]
pub struct QueryRequest {
    pub source: Source,
    pub headers: BTreeMap<String, String>,
    pub from_ms: i64,
    pub to_ms: i64,
    pub queries: Vec<Query>,
}

/// One query.
#[derive(Clone, Debug)]
pub struct Query {
    pub ref_id: String,
    pub max_data_points: i64,
    pub interval_ms: i64,
    pub json: Value,
}

impl Query {
    /// A query of a panel 1,000 pixels wide.
    pub fn new(ref_id: &str, json: Value) -> Self {
        Self {
            ref_id: ref_id.to_owned(),
            max_data_points: 1000,
            interval_ms: 0,
            json,
        }
    }
}

impl QueryRequest {
    pub fn new(source: Source, from_ms: i64, to_ms: i64, queries: Vec<Query>) -> Self {
        Self {
            source,
            headers: BTreeMap::new(),
            from_ms,
            to_ms,
            queries,
        }
    }

    /// As the alert scheduler asks.
    #[must_use]
    pub fn from_alert(mut self) -> Self {
        self.headers.insert("FromAlert".to_owned(), "true".to_owned());
        self.headers.insert("X-Cache-Skip".to_owned(), "true".to_owned());
        "grafana_scheduler".clone_into(&mut self.source.login);
        self
    }

    pub(super) fn message(&self) -> pluginv2::QueryDataRequest {
        let queries = self
            .queries
            .iter()
            .map(|query| pluginv2::DataQuery {
                ref_id: query.ref_id.clone(),
                max_data_points: query.max_data_points,
                interval_ms: query.interval_ms,
                time_range: Some(pluginv2::TimeRange {
                    from_epoch_ms: self.from_ms,
                    to_epoch_ms: self.to_ms,
                }),
                json: query.json.to_string().into_bytes(),
                query_type: query.json["queryType"].as_str().unwrap_or_default().to_owned(),
            })
            .collect();
        pluginv2::QueryDataRequest {
            plugin_context: Some(self.source.context()),
            headers: self.headers.clone().into_iter().collect::<HashMap<_, _>>(),
            queries,
        }
    }
}

/// The body of `POST /api/ds/query` as a request: `{"from": "now-1h", "to": "now", "queries": [{"refId": "A", ...}]}`.
///
/// # Errors
/// A body that is not of this form.
pub fn ds_query_request(source: Source, body: &Value, now_ms: i64) -> Result<QueryRequest, HostError> {
    let bad = |text: String| HostError::Request(text);
    let queries = body["queries"]
        .as_array()
        .ok_or_else(|| bad("`queries` is missing".to_owned()))?;
    let queries = queries
        .iter()
        .filter(|query| query["hide"] != json!(true))
        .map(|query| Query {
            ref_id: query["refId"].as_str().unwrap_or("A").to_owned(),
            max_data_points: query["maxDataPoints"].as_f64().unwrap_or(100.0) as i64,
            interval_ms: query["intervalMs"].as_f64().unwrap_or(1000.0) as i64,
            json: query.clone(),
        })
        .collect();
    let time = |key: &str| {
        time_ms(&body[key], now_ms).ok_or_else(|| bad(format!("`{key}` is no time: {}", body[key])))
    };
    Ok(QueryRequest::new(source, time("from")?, time("to")?, queries))
}

/// Epoch milliseconds as number or text, or `now`, `now-1h`.
fn time_ms(value: &Value, now_ms: i64) -> Option<i64> {
    if let Some(number) = value.as_i64() {
        return Some(number);
    }
    let text = value.as_str()?.trim();
    let Some(rest) = text.strip_prefix("now") else {
        return text.parse().ok();
    };
    if rest.is_empty() {
        return Some(now_ms);
    }
    let (sign, rest) = match rest.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, rest.strip_prefix('+')?),
    };
    let unit_at = rest.find(|letter: char| !letter.is_ascii_digit())?;
    let (number, unit) = rest.split_at_checked(unit_at)?;
    let unit = match unit {
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 604_800_000,
        _ => return None,
    };
    Some(now_ms + sign * number.parse::<i64>().ok()? * unit)
}

/// The answers as `/api/ds/query` writes them, with the HTTP status: 400 as soon as one query failed.
pub fn ds_query_response(answers: &BTreeMap<String, QueryAnswer>) -> (u16, Value) {
    let failed = answers.values().any(|answer| !answer.error.is_empty());
    let results: Map<String, Value> = answers
        .iter()
        .map(|(ref_id, answer)| {
            let mut result = Map::new();
            if !answer.error.is_empty() {
                result.insert("error".to_owned(), json!(answer.error));
                result.insert("errorSource".to_owned(), json!(answer.error_source));
            }
            result.insert("status".to_owned(), json!(answer.status));
            let frames: Vec<Value> = answer.frames.iter().map(frame_json).collect();
            result.insert("frames".to_owned(), json!(frames));
            (ref_id.clone(), Value::Object(result))
        })
        .collect();
    (if failed { 400 } else { 200 }, json!({ "results": results }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browsers_query_becomes_a_request() {
        let body = json!({
            "from": "now-1h", "to": "1700000000000",
            "queries": [{ "refId": "B", "expr": "up", "intervalMs": 15000, "maxDataPoints": 800 }, { "hide": true }],
        });
        let request = ds_query_request(Source::new(Value::Null), &body, 3_600_000).expect("valid");
        assert_eq!(
            (request.from_ms, request.to_ms, request.queries.len()),
            (0, 1_700_000_000_000, 1)
        );
        assert_eq!(
            (request.queries[0].interval_ms, request.queries[0].max_data_points),
            (15_000, 800)
        );
        assert!(ds_query_request(Source::new(Value::Null), &json!({ "queries": [] }), 0).is_err());
    }

    #[test]
    fn one_failed_query_makes_the_answer_a_400_and_keeps_the_others() {
        let good = QueryAnswer {
            status: 200,
            error: String::new(),
            error_source: String::new(),
            frames: Vec::new(),
            raw_frames: Vec::new(),
        };
        let bad = QueryAnswer {
            status: 422,
            error: "no".to_owned(),
            error_source: "downstream".to_owned(),
            ..good.clone()
        };
        let (status, json) =
            ds_query_response(&BTreeMap::from([("A".to_owned(), good), ("B".to_owned(), bad)]));
        assert_eq!(status, 400);
        assert_eq!(json["results"]["A"]["status"], 200);
        assert_eq!(json["results"]["B"]["error"], "no");
    }
}
