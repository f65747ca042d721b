//! `stores`: Prometheus-compatible servers beside the agents.

use std::time::Duration;

use podscope_fanout::Secret;
use podscope_model::matcher::Matcher;
use serde_json::{Map, Value};

use super::{Reader, SettingsError, bad, checked_url, kind, label_name};
use crate::query::duration;

/// One Prometheus-compatible server.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// In notices and errors, and in the keys of its secrets.
    pub name: String,
    pub url: String,
    /// Selectors it serves before anybody else is considered; empty: what neither catalog nor agents know.
    pub routes: Vec<Vec<Matcher>>,
    /// It holds the agents' series too: steps that look further back than this are asked of it.
    pub long_term_after: Option<Duration>,
    /// Labels it adds to every series, such as `prometheus` or `cluster`, taken off again.
    pub drop_labels: Vec<String>,
    pub user: Option<String>,
    pub password: Option<Secret>,
    pub token: Option<Secret>,
    /// Sent as `X-Scope-OrgID` (Mimir, Thanos, Cortex).
    pub tenant: Option<String>,
    pub timeout: Duration,
    pub skip_verify: bool,
}

impl Reader<'_> {
    /// # Errors
    /// The first entry that makes no sense.
    pub(super) fn stores(
        &self,
        secret: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<StoreSettings>, SettingsError> {
        let list = match self.get("stores") {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(bad("stores", format!("must be a list, it is {}", kind(other)))),
        };
        let mut stores: Vec<StoreSettings> = Vec::new();
        for (at, value) in list.iter().enumerate() {
            let key = format!("stores[{at}]");
            let Value::Object(object) = value else {
                return Err(bad(key, format!("must be an object, it is {}", kind(value))));
            };
            if let Some(store) = store(&key, object, &secret)? {
                if stores.iter().any(|other| other.name == store.name) {
                    return Err(bad(
                        format!("{key}.name"),
                        format!("is {:?} a second time", store.name),
                    ));
                }
                stores.push(store);
            }
        }
        if stores
            .iter()
            .filter(|store| store.long_term_after.is_some())
            .count()
            > 1
        {
            return Err(bad(
                "stores",
                "holds two with longTermAfter; the past can be continued by one store only",
            ));
        }
        if stores.iter().filter(|store| store.routes.is_empty()).count() > 1 {
            return Err(bad(
                "stores",
                "holds two without match; say for all but one which selectors they serve",
            ));
        }
        Ok(stores)
    }
}

/// An entry without URL is an empty row of the settings page.
fn store(
    key: &str,
    object: &Map<String, Value>,
    secret: &impl Fn(&str) -> Option<String>,
) -> Result<Option<StoreSettings>, SettingsError> {
    let read = Reader { object };
    let at = |name: &str| format!("{key}.{name}");
    let text = |name: &str| -> Result<Option<String>, SettingsError> {
        match read.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim().to_owned())),
            Some(other) => Err(bad(at(name), format!("must be text, it is {}", kind(other)))),
        }
    };
    let Some(url) = text("url")? else { return Ok(None) };
    let url = checked_url(&at("url"), &url)?;
    // The part between scheme and path.
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split_once('/').map_or(authority, |(host, _)| host);
    if authority.contains('@') {
        return Err(bad(
            at("url"),
            "holds a user or password; it is stored in clear: use the fields for them",
        ));
    }
    let name = text("name")?.unwrap_or_else(|| "store".to_owned());
    if name.is_empty()
        || !name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter))
    {
        return Err(bad(
            at("name"),
            format!("is {name:?}; use letters, digits, - and _"),
        ));
    }
    let lines = |name: &str| -> Result<Vec<String>, SettingsError> {
        let list = match read.get(name) {
            None => Vec::new(),
            Some(Value::String(text)) => text.lines().map(ToOwned::to_owned).collect(),
            Some(Value::Array(list)) => list
                .iter()
                .map(|value| value.as_str().map(ToOwned::to_owned))
                .collect::<Option<_>>()
                .ok_or_else(|| bad(at(name), "must be a list of texts"))?,
            Some(other) => return Err(bad(at(name), format!("must be a list, it is {}", kind(other)))),
        };
        let list = list.iter().map(|line| line.trim().to_owned());
        Ok(list.filter(|line| !line.is_empty()).collect())
    };
    let routes = lines("match")?
        .iter()
        .enumerate()
        .map(|(number, selector)| route(&at(&format!("match[{number}]")), selector))
        .collect::<Result<_, _>>()?;
    let drop_labels = lines("dropLabels")?;
    if let Some(wrong) = drop_labels.iter().find(|label| !label_name(label)) {
        return Err(bad(
            at("dropLabels"),
            format!("holds {wrong:?}, which is no label name"),
        ));
    }
    let long_term_after = match read.get("longTermAfter") {
        None => None,
        Some(value) => {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned);
            let ms = duration::parse_interval(&text).filter(|ms| *ms > 0);
            let ms = ms.ok_or_else(|| {
                bad(
                    at("longTermAfter"),
                    format!("must be a duration such as 7d, it is {value}"),
                )
            })?;
            Some(Duration::from_millis(ms.unsigned_abs()))
        }
    };
    let user = text("basicAuthUser")?.filter(|user| !user.is_empty());
    let password = secret(&format!("storePassword_{name}")).map(Secret::new);
    if user.is_some() && password.is_none() {
        return Err(bad(
            at("basicAuthUser"),
            format!("is set, but the secret `storePassword_{name}` is empty"),
        ));
    }
    let token = secret(&format!("storeToken_{name}")).map(|token| Secret::new(token.trim()));
    if user.is_some() && token.is_some() {
        return Err(bad(
            at("basicAuthUser"),
            format!("stands beside the secret `storeToken_{name}`; keep one of the two"),
        ));
    }
    Ok(Some(StoreSettings {
        url,
        routes,
        long_term_after,
        drop_labels,
        user,
        password,
        token,
        tenant: text("tenant")?.filter(|tenant| !tenant.is_empty()),
        timeout: read
            .millis("timeoutMs", 30_000, 100)
            .map_err(|_| bad(at("timeoutMs"), "must be at least 100 (milliseconds)"))?,
        skip_verify: read
            .flag("tlsSkipVerify")
            .map_err(|_| bad(at("tlsSkipVerify"), "must be true or false"))?,
        name,
    }))
}

/// A bare selector, such as `{job="kube-state-metrics"}` or `kube_pod_info`.
fn route(key: &str, text: &str) -> Result<Vec<Matcher>, SettingsError> {
    let parsed = podscope_promql::parse(text)
        .map_err(|error| bad(key, format!("is {text:?}, which is no selector: {error}")))?;
    match (parsed.selectors().as_slice(), parsed.is_selector()) {
        ([matchers], true) => Ok(matchers.clone()),
        _ => Err(bad(
            key,
            format!("is {text:?}; write a selector, such as {{job=\"kubelet\"}}"),
        )),
    }
}
