//! What the data source's settings page stores: `jsonData`, the data source's own URL, and `secureJsonData`.
//!
//! | key | meaning | default |
//! | --- | --- | --- |
//! | `targets` | list of `{url, instance?, labels?}`: agents and hubs, in the form of Prometheus's file service discovery | none |
//! | `urls` | the same as text: one URL per line, `#` starts a comment | none |
//! | `timeoutMs` | how long one agent may take to answer | 10000 |
//! | `connectTimeoutMs` | how long connecting may take | 1000 |
//! | `completeness` | the share of nodes that must answer before an alert may decide | 0.9 |
//! | `maxCells` | values one panel may hold before its step is widened; 0 = no limit | 100000 |
//! | `lookbackMs` | how long a sample stays current (PromQL's lookback) | 300000 |
//! | `timeInterval` | smallest step of a query that says nothing else, as a duration | `1s` |
//! | `maxSamples`, `maxSeries` | what one query may read and answer on each node and at the root | 50000000, 100000 |
//! | `stores` | Prometheus-compatible servers beside the agents: list of `{name, url, match?, longTermAfter?, dropLabels?, basicAuthUser?, tenant?, timeoutMs?, tlsSkipVerify?}` | none |
//! | `vast` | VAST clusters: list of `{url, name?, auth?, user?, tenant?, clusterId?, labels?, properties?, scraped?, callsPerMinute?, concurrency?, timeoutMs?, tlsAuthWithCACert?, serverName?, tlsSkipVerify?}` | none |
//! | `maxQueryCells`, `maxMemoryMiB` | values one query may make, and memory it may hold, on each node and at the root | 50000000, 1024 |
//! | `tlsAuthWithCACert` | trust only the certificates in the secret `tlsCACert` | false |
//! | `tlsAuth` | show the certificate and key in the secrets `tlsClientCert`, `tlsClientKey` | false |
//! | `tlsSkipVerify` | accept any certificate | false |
//! | `scope` | `viewers`: everybody but Admins and Editors sees only what is theirs; `off`: everybody sees everything | `off` |
//! | `scopeBy` | what of a person is the `user` label: `login`, `email` or `emailName` (before the `@`) | `login` |
//! | `scopeUsers` | object: login or e-mail address -> `user` label; goes before `scopeBy` | none |
//! | `publicMetrics` | list (or text, one per line) of metrics everybody may see; a name may end in `*` | none |
//! | `serverName` | the name the agents' certificates carry, when it is not the URL's host | the URL's host |
//!
//! Secrets: `token` (sent as bearer token), `tlsCACert`, `tlsClientCert`, `tlsClientKey` (PEM); of each store
//! `storeToken_<name>` or `storePassword_<name>`; of each VAST cluster `vastPassword_<name>` or `vastToken_<name>`, and
//! `vastCACert_<name>`. The data source's own
//! `url`, when set, is one more target. Keys this program does not know are left alone; a key with a value that makes no
//! sense is an error that names it. Numbers may be written as text, as form fields store them.

use std::collections::BTreeMap;
use std::time::Duration;

use podscope_fanout::{FleetConfig, Secret, TargetSpec, TlsConfig};
use podscope_model::leaf::Limits;
use serde_json::{Map, Value};

use crate::query::duration;
use crate::request::DataSource;
use crate::scope::{NameBy, ScopeSettings};

/// How often the nodes are asked whether they still have what they had. A metric that a node has for the first time is found
/// after at most this long.
const INVENTORY_INTERVAL: Duration = Duration::from_secs(5);

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("the data source's settings are not a JSON object: {0}")]
    NotJson(String),
    #[error("the data source's setting `{key}` {problem}")]
    Key { key: String, problem: String },
}

/// The settings, checked. `Debug` shows no secret: they live in [`Secret`].
#[derive(Clone, Debug)]
pub struct Settings {
    pub targets: Vec<TargetSpec>,
    pub timeout: Duration,
    pub connect_timeout: Duration,
    /// 0 to 1.
    pub completeness: f64,
    /// 0: no limit.
    pub max_cells: u64,
    pub lookback_ms: i64,
    pub min_interval_ms: i64,
    pub limits: Limits,
    pub token: Option<Secret>,
    pub tls: TlsConfig,
    pub scope: ScopeSettings,
    pub stores: Vec<StoreSettings>,
    pub vast: Vec<VastSettings>,
}

impl Settings {
    /// Reads the settings of a data source.
    ///
    /// # Errors
    /// The first setting that makes no sense, by name.
    pub fn read(source: &DataSource) -> Result<Self, SettingsError> {
        let object = object(&source.json)?;
        let read = Reader { object: &object };
        let secret = |key: &str| {
            source
                .secrets
                .get(key)
                .filter(|text| !text.trim().is_empty())
                .cloned()
        };
        let timeout = read.millis("timeoutMs", 10_000, 100)?;
        let defaults = Limits::default();
        Ok(Self {
            targets: read.targets(&source.url)?,
            timeout,
            connect_timeout: read.millis("connectTimeoutMs", 1_000, 10)?,
            completeness: read.share("completeness", 0.9)?,
            max_cells: read.whole("maxCells", 100_000)?,
            lookback_ms: i64::try_from(read.millis("lookbackMs", 300_000, 1)?.as_millis())
                .unwrap_or(i64::MAX),
            min_interval_ms: read.interval("timeInterval", 1_000)?,
            limits: Limits {
                max_samples: read.whole("maxSamples", defaults.max_samples)?,
                max_series: read.whole("maxSeries", defaults.max_series)?,
                max_cells: read.whole("maxQueryCells", defaults.max_cells)?,
                max_bytes: read
                    .whole("maxMemoryMiB", defaults.max_bytes >> 20)?
                    .saturating_mul(1 << 20),
                timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            },
            token: secret("token").map(|token| Secret::new(token.trim())),
            tls: read.tls(secret)?,
            scope: read.scope()?,
            stores: read.stores(secret)?,
            vast: read.vast(secret)?,
        })
    }

    /// What the fan-out needs of them.
    pub fn fleet_config(&self) -> FleetConfig {
        FleetConfig {
            targets: self.targets.clone(),
            token: self.token.clone(),
            tls: self.tls.clone(),
            timeout: self.timeout,
            connect_timeout: self.connect_timeout,
            limits: self.limits,
            inventory_interval: Some(INVENTORY_INTERVAL),
            ..FleetConfig::default()
        }
    }
}

/// `null` and nothing at all are an empty object: a data source saved without settings.
fn object(json: &[u8]) -> Result<Map<String, Value>, SettingsError> {
    if json.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(json) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(other) => Err(SettingsError::NotJson(format!("found {}", kind(&other)))),
        Err(error) => Err(SettingsError::NotJson(error.to_string())),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

struct Reader<'a> {
    object: &'a Map<String, Value>,
}

fn bad(key: impl Into<String>, problem: impl Into<String>) -> SettingsError {
    SettingsError::Key {
        key: key.into(),
        problem: problem.into(),
    }
}

impl Reader<'_> {
    /// The value of a key; `null` and empty text count as not set.
    fn get(&self, key: &str) -> Option<&Value> {
        self.object.get(key).filter(|value| match value {
            Value::Null => false,
            Value::String(text) => !text.trim().is_empty(),
            _ => true,
        })
    }

    fn number(&self, key: &str) -> Result<Option<f64>, SettingsError> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if number.is_finite() => Ok(Some(number)),
            _ => Err(bad(key, format!("must be a number, it is {value}"))),
        }
    }

    fn whole(&self, key: &str, default: u64) -> Result<u64, SettingsError> {
        match self.number(key)? {
            None => Ok(default),
            Some(number) if number >= 0.0 && number.fract() == 0.0 && number < 1e15 => Ok(number as u64),
            Some(number) => Err(bad(
                key,
                format!("must be a whole number of 0 or more, it is {number}"),
            )),
        }
    }

    fn millis(&self, key: &str, default: u64, least: u64) -> Result<Duration, SettingsError> {
        let millis = self.whole(key, default)?;
        if millis < least {
            return Err(bad(
                key,
                format!("must be at least {least} (milliseconds), it is {millis}"),
            ));
        }
        Ok(Duration::from_millis(millis))
    }

    fn share(&self, key: &str, default: f64) -> Result<f64, SettingsError> {
        match self.number(key)? {
            None => Ok(default),
            Some(share) if (0.0..=1.0).contains(&share) => Ok(share),
            Some(share) => Err(bad(key, format!("must be between 0 and 1, it is {share}"))),
        }
    }

    fn interval(&self, key: &str, default: i64) -> Result<i64, SettingsError> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        let text = value
            .as_str()
            .map_or_else(|| value.to_string(), ToOwned::to_owned);
        duration::parse_interval(&text).ok_or_else(|| {
            bad(
                key,
                format!("must be a duration such as 15s or 1m, it is {value}"),
            )
        })
    }

    fn flag(&self, key: &str) -> Result<bool, SettingsError> {
        match self.get(key) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(bad(key, format!("must be true or false, it is {other}"))),
        }
    }

    fn targets(&self, own_url: &str) -> Result<Vec<TargetSpec>, SettingsError> {
        let mut targets = Vec::new();
        match self.get("targets") {
            None => {}
            Some(Value::Array(list)) => {
                for (at, value) in list.iter().enumerate() {
                    // An empty row of the settings page is no target.
                    if let Some(target) = target(&format!("targets[{at}]"), value)? {
                        targets.push(target);
                    }
                }
            }
            Some(other) => return Err(bad("targets", format!("must be a list, it is {}", kind(other)))),
        }
        let lines = self.get("urls").and_then(Value::as_str).unwrap_or_default();
        let lines = lines.split(['\n', ',']).enumerate().map(|(at, line)| {
            (
                format!("urls[{at}]"),
                line.split_once('#').map_or(line, |(before, _)| before),
            )
        });
        for (key, line) in lines.chain([("url".to_owned(), own_url)]) {
            let url = line.trim();
            if !url.is_empty() {
                targets.push(TargetSpec::new(checked_url(&key, url)?));
            }
        }
        Ok(targets)
    }

    fn scope(&self) -> Result<ScopeSettings, SettingsError> {
        let word = |key: &str| self.get(key).map(|value| (value.as_str().map(str::trim), value));
        let on = match word("scope") {
            None | Some((Some("off"), _)) => false,
            Some((Some("viewers"), _)) => true,
            Some((_, other)) => {
                return Err(bad(
                    "scope",
                    format!("must be \"off\" or \"viewers\", it is {other}"),
                ));
            }
        };
        let by = match word("scopeBy") {
            None | Some((Some("login"), _)) => NameBy::Login,
            Some((Some("email"), _)) => NameBy::Email,
            Some((Some("emailName"), _)) => NameBy::EmailName,
            Some((_, other)) => {
                return Err(bad(
                    "scopeBy",
                    format!("must be \"login\", \"email\" or \"emailName\", it is {other}"),
                ));
            }
        };
        let mut users = BTreeMap::new();
        match self.get("scopeUsers") {
            None => {}
            Some(Value::Object(list)) => {
                for (person, user) in list {
                    let user = user.as_str().map(str::trim).filter(|user| !user.is_empty());
                    let user = user.ok_or_else(|| {
                        bad(
                            format!("scopeUsers.{person}"),
                            "must be the text of a `user` label",
                        )
                    })?;
                    users.insert(person.clone(), user.to_owned());
                }
            }
            Some(other) => {
                return Err(bad(
                    "scopeUsers",
                    format!("must be an object of login -> user, it is {}", kind(other)),
                ));
            }
        }
        let public = match self.get("publicMetrics") {
            None => Vec::new(),
            Some(Value::String(text)) => text.split(['\n', ',']).map(str::to_owned).collect(),
            Some(Value::Array(list)) => list
                .iter()
                .map(|name| name.as_str().map(ToOwned::to_owned))
                .collect::<Option<Vec<String>>>()
                .ok_or_else(|| bad("publicMetrics", "must be a list of texts"))?,
            Some(other) => {
                return Err(bad(
                    "publicMetrics",
                    format!("must be a list, it is {}", kind(other)),
                ));
            }
        };
        let public = public
            .iter()
            .map(|name| name.trim())
            .filter(|name| !name.is_empty())
            .map(|name| match metric_pattern(name) {
                true => Ok(name.to_owned()),
                false => Err(bad(
                    "publicMetrics",
                    format!(
                        "has {name:?}; write a metric's name, or the beginning of one and a * at its end"
                    ),
                )),
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(ScopeSettings {
            on,
            by,
            users,
            public,
        })
    }

    fn tls(&self, secret: impl Fn(&str) -> Option<String>) -> Result<TlsConfig, SettingsError> {
        let needed = |flag: &str, key: &str| {
            secret(key).ok_or_else(|| {
                bad(
                    flag,
                    format!("is set, but the secret `{key}` is empty; paste the PEM text"),
                )
            })
        };
        let ca_pem = match self.flag("tlsAuthWithCACert")? {
            true => Some(needed("tlsAuthWithCACert", "tlsCACert")?),
            false => None,
        };
        let (client_cert_pem, client_key_pem) = match self.flag("tlsAuth")? {
            true => (
                Some(needed("tlsAuth", "tlsClientCert")?),
                Some(Secret::new(needed("tlsAuth", "tlsClientKey")?)),
            ),
            false => (None, None),
        };
        Ok(TlsConfig {
            ca_pem,
            client_cert_pem,
            client_key_pem,
            skip_verify: self.flag("tlsSkipVerify")?,
            server_name: self
                .get("serverName")
                .and_then(Value::as_str)
                .map(|name| name.trim().to_owned()),
        })
    }
}

/// One entry of `targets`: an object, or just the URL.
fn target(key: &str, value: &Value) -> Result<Option<TargetSpec>, SettingsError> {
    let object = match value {
        Value::String(url) if url.trim().is_empty() => return Ok(None),
        Value::String(url) => return Ok(Some(TargetSpec::new(checked_url(key, url.trim())?))),
        Value::Object(object) => object,
        other => {
            return Err(bad(
                key,
                format!("must be an object with a url, it is {}", kind(other)),
            ));
        }
    };
    let text = |name: &str| {
        object
            .get(name)
            .and_then(Value::as_str)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let Some(url) = text("url") else { return Ok(None) };
    let mut labels = BTreeMap::new();
    if let Some(list) = object.get("labels").filter(|list| !list.is_null()) {
        let list = list
            .as_object()
            .ok_or_else(|| bad(format!("{key}.labels"), "must be an object of texts"))?;
        for (name, value) in list {
            if !label_name(name) {
                return Err(bad(
                    format!("{key}.labels"),
                    format!(
                        "has the name {name:?}; a label name is letters, digits and _, and no digit first"
                    ),
                ));
            }
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            labels.insert(name.clone(), value);
        }
    }
    Ok(Some(TargetSpec {
        url: checked_url(&format!("{key}.url"), url)?,
        instance: text("instance").map(ToOwned::to_owned),
        labels,
    }))
}

/// A metric name, or the beginning of one with `*`. A lone `*` would make everything public: that is `scope: off`.
fn metric_pattern(text: &str) -> bool {
    let name = text.strip_suffix('*').unwrap_or(text);
    !name.is_empty()
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_' || letter == ':')
}

fn label_name(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn checked_url(key: &str, url: &str) -> Result<String, SettingsError> {
    if !url.contains("://") {
        return Err(bad(
            key,
            format!("is {url:?}, which lacks its scheme; write http://{url} or https://{url}"),
        ));
    }
    let parsed: http::Uri = url
        .parse()
        .map_err(|error| bad(key, format!("is {url:?}, which is not a URL: {error}")))?;
    match (parsed.scheme_str(), parsed.host()) {
        (Some("http" | "https"), Some(host)) if !host.is_empty() => Ok(url.trim_end_matches('/').to_owned()),
        (Some("http" | "https"), _) => Err(bad(key, format!("is {url:?}, which names no host"))),
        (scheme, _) => Err(bad(
            key,
            format!(
                "is {url:?}; agents speak http and https, not {}",
                scheme.unwrap_or_default()
            ),
        )),
    }
}

mod stores;
#[cfg(test)]
mod tests;
mod vast;

pub use stores::StoreSettings;
pub use vast::{VastLogin, VastSettings};
