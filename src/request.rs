//! What Grafana asks, as plain data: the protocol's messages end in [`crate::host`].

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use bytes::Bytes;

use crate::error::QueryError;
use crate::frames::Frame;

/// On whose behalf and for which data source a request is made.
#[derive(Clone, Debug, Default)]
pub struct Context {
    pub org_id: i64,
    pub plugin_id: String,
    pub user: Option<User>,
    /// Absent for requests that are not about one data source (`CollectMetrics`).
    pub datasource: Option<DataSource>,
}

/// The person who asks.
#[derive(Clone, Debug, Default)]
pub struct User {
    pub login: String,
    pub email: String,
    /// `Admin`, `Editor`, `Viewer`, `None` or empty: whatever Grafana says.
    pub role: String,
}

/// A data source as Grafana stores it. `Debug` shows no secret.
#[derive(Clone, Default)]
pub struct DataSource {
    pub uid: String,
    pub name: String,
    pub url: String,
    pub json: Vec<u8>,
    pub secrets: HashMap<String, String>,
    pub updated_ms: i64,
}

impl fmt::Debug for DataSource {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("DataSource")
            .field("uid", &self.uid)
            .field("name", &self.name)
            .field("updated_ms", &self.updated_ms)
            .finish_non_exhaustive()
    }
}

/// `QueryData`: the queries of one panel, or one query of an alert rule.
#[derive(Clone, Debug, Default)]
pub struct QueryRequest {
    pub context: Context,
    pub headers: HashMap<String, String>,
    pub queries: Vec<RawQuery>,
}

impl QueryRequest {
    /// Whether an alert rule asks. It may choose the format of the answer, never rights.
    pub fn from_alert(&self) -> bool {
        self.headers.get("FromAlert").is_some_and(|value| value == "true")
    }

    /// Whether the answer goes into a server-side expression (reduce, math, threshold).
    pub fn from_expression(&self) -> bool {
        self.header("X-Grafana-From-Expr")
            .is_some_and(|value| value == "true")
    }

    /// A header that Grafana forwards; it prefixes most of them with `http_`.
    fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| {
                key.strip_prefix("http_")
                    .unwrap_or(key)
                    .eq_ignore_ascii_case(name)
            })
            .map(|(_, value)| value.as_str())
    }
}

/// One query as Grafana sends it.
#[derive(Clone, Debug, Default)]
pub struct RawQuery {
    pub ref_id: String,
    pub query_type: String,
    pub max_data_points: i64,
    pub interval_ms: i64,
    pub from_ms: i64,
    pub to_ms: i64,
    pub json: Vec<u8>,
}

/// The answers by refId: frames, an error, or both never.
pub type QueryAnswers = BTreeMap<String, Result<Vec<Frame>, QueryError>>;

/// `CallResource`: one HTTP request to `/api/datasources/uid/<uid>/resources/<path>`.
#[derive(Clone, Debug, Default)]
pub struct ResourceRequest {
    pub context: Context,
    pub method: String,
    /// Without leading slash and query string.
    pub path: String,
    /// The query string, without the question mark.
    pub query: String,
    pub body: Bytes,
    /// Whether the asker accepts gzip.
    pub gzip: bool,
}

/// The answer to a [`ResourceRequest`].
#[derive(Clone, Debug)]
pub struct ResourceResponse {
    pub status: u16,
    pub content_type: &'static str,
    /// `gzip`, when the body is compressed.
    pub content_encoding: Option<&'static str>,
    pub body: Bytes,
}

/// The answer to `CheckHealth`.
#[derive(Clone, Debug)]
pub struct Health {
    pub ok: bool,
    /// One sentence: what is wrong and what to do.
    pub message: String,
    /// Shown when the details are opened.
    pub details: serde_json::Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_source_never_prints_its_secrets_or_settings() {
        let source = DataSource {
            uid: "podscope".to_owned(),
            json: br#"{"targets":[]}"#.to_vec(),
            secrets: HashMap::from([("token".to_owned(), "hunter2".to_owned())]),
            ..DataSource::default()
        };
        let printed = format!("{source:?}");
        assert!(
            printed.contains("podscope") && !printed.contains("hunter2"),
            "{printed}"
        );
    }

    #[test]
    fn an_expression_is_known_by_its_header_whatever_the_case() {
        let headers = HashMap::from([("http_X-Grafana-From-Expr".to_owned(), "true".to_owned())]);
        let request = QueryRequest {
            headers,
            ..QueryRequest::default()
        };
        assert!(request.from_expression() && !request.from_alert());
    }
}
