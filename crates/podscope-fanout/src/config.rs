//! What a fleet is made of: the target list and how to reach it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use podscope_model::leaf::Limits;
use serde::{Deserialize, Serialize};

/// One agent or hub of the target list (rule 2 of the design: the list decides names and node labels).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetSpec {
    /// `http://host:port` or `https://host:port`, with a path when the agent lies behind one.
    pub url: String,
    /// The `instance` label of its series. Absent: the name the agent gives itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Node labels such as `cluster`, `pod`, `rack`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

impl TargetSpec {
    /// A target whose agent names itself.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            ..Self::default()
        }
    }
}

/// A token or key: never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself. Never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(***)")
    }
}

/// How `https://` targets are trusted, and how we show ourselves to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// Certificates to trust, in PEM. Absent: the system's.
    pub ca_pem: Option<String>,
    /// Our certificate chain and key for mutual TLS, in PEM; both or neither.
    pub client_cert_pem: Option<String>,
    pub client_key_pem: Option<Secret>,
    /// Accept any certificate. For trying things out.
    pub skip_verify: bool,
    /// The name the certificate must carry, when it is not the URL's host.
    pub server_name: Option<String>,
}

/// Everything a [`crate::Fleet`] needs to know.
#[derive(Clone, Debug)]
pub struct FleetConfig {
    pub targets: Vec<TargetSpec>,
    /// Sent as `Authorization: Bearer ...`.
    pub token: Option<Secret>,
    pub tls: TlsConfig,
    /// How long one agent may take to answer; whoever has not answered by then is named as missing.
    pub timeout: Duration,
    pub connect_timeout: Duration,
    /// Requests under way at the same time, over all queries.
    pub max_in_flight: usize,
    /// An answer of one agent larger than this is refused.
    pub max_body_bytes: usize,
    /// An HTTP proxy, for the rare case that agents are behind one. Proxy variables of the environment are ignored.
    pub proxy: Option<String>,
    /// What one query may use, on each leaf and at the root, unless the query says otherwise.
    pub limits: Limits,
    /// How often every target is asked whether its inventory is still what is known of it. `None`: never; every query then
    /// goes to every target, and lists of labels are asked for.
    pub inventory_interval: Option<Duration>,
    /// A hub's other half, which lists the same nodes: asked for those that are not reached otherwise.
    pub pair: Option<TargetSpec>,
    /// Targets that come later may be `https://`: the certificates to trust are read at once.
    pub expect_https: bool,
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            targets: Vec::new(),
            token: None,
            tls: TlsConfig::default(),
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(1),
            max_in_flight: 256,
            max_body_bytes: 256 << 20,
            proxy: None,
            limits: Limits::default(),
            inventory_interval: None,
            pair: None,
            expect_https: false,
        }
    }
}

impl FleetConfig {
    /// The defaults for these targets.
    pub fn new(targets: Vec<TargetSpec>) -> Self {
        Self {
            targets,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_printed() {
        let config = FleetConfig {
            token: Some(Secret::new("hunter2")),
            ..FleetConfig::default()
        };
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_target_reads_as_a_bare_url_object() {
        let target: TargetSpec =
            serde_json::from_str(r#"{"url":"http://a:1"}"#).expect("only the url is required");
        assert_eq!(target, TargetSpec::new("http://a:1"));
        assert!(serde_json::from_str::<TargetSpec>(r#"{"url":"http://a:1","lables":{}}"#).is_err());
    }
}
