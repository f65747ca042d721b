//! `vast`: VAST clusters, read from their management servers.

use std::collections::BTreeMap;
use std::time::Duration;

use podscope_fanout::Secret;
use serde_json::{Map, Value};

use super::{Reader, SettingsError, bad, checked_url, kind, label_name};

/// How we show who we are.
#[derive(Clone, Debug)]
pub enum VastLogin {
    Basic { user: String, password: Secret },
    Jwt { user: String, password: Secret },
    ApiToken(Secret),
}

/// One management server.
#[derive(Clone, Debug)]
pub struct VastSettings {
    /// The `instance` of its series; also in notices, errors and the keys of its secrets.
    pub name: String,
    pub url: String,
    pub login: VastLogin,
    /// Sent as `X-Tenant-Name`.
    pub tenant: Option<String>,
    /// Which of its clusters; absent: the first.
    pub cluster_id: Option<i64>,
    /// Labels of its series, such as `pod`.
    pub labels: BTreeMap<String, String>,
    /// Further properties: type of object and fully qualified name.
    pub properties: Vec<(String, String)>,
    /// Its own exporter is scraped by somebody: the series read directly are left out.
    pub scraped: bool,
    pub calls_per_minute: u32,
    pub concurrency: usize,
    pub timeout: Duration,
    /// Trust only these certificates, in PEM.
    pub ca_pem: Option<String>,
    /// The name its certificate carries.
    pub server_name: Option<String>,
    pub skip_verify: bool,
}

impl Reader<'_> {
    /// # Errors
    /// The first entry that makes no sense.
    pub(super) fn vast(
        &self,
        secret: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<VastSettings>, SettingsError> {
        let list = match self.get("vast") {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(other) => return Err(bad("vast", format!("must be a list, it is {}", kind(other)))),
        };
        let mut servers: Vec<VastSettings> = Vec::new();
        for (at, value) in list.iter().enumerate() {
            let key = format!("vast[{at}]");
            let Value::Object(object) = value else {
                return Err(bad(key, format!("must be an object, it is {}", kind(value))));
            };
            if let Some(server) = server(&key, object, &secret)? {
                if servers.iter().any(|other| other.name == server.name) {
                    return Err(bad(
                        format!("{key}.name"),
                        format!("is {:?} a second time", server.name),
                    ));
                }
                servers.push(server);
            }
        }
        Ok(servers)
    }
}

/// An entry without URL is an empty row of the settings page.
fn server(
    key: &str,
    object: &Map<String, Value>,
    secret: &impl Fn(&str) -> Option<String>,
) -> Result<Option<VastSettings>, SettingsError> {
    let read = Reader { object };
    let at = |name: &str| format!("{key}.{name}");
    let placed = |error: SettingsError| match error {
        SettingsError::Key { key: name, problem } => bad(at(&name), problem),
        other => other,
    };
    let text = |name: &str| -> Result<Option<String>, SettingsError> {
        match read.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim().to_owned())),
            Some(other) => Err(bad(at(name), format!("must be text, it is {}", kind(other)))),
        }
    };
    let Some(url) = text("url")? else { return Ok(None) };
    let url = checked_url(&at("url"), &url)?;
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    if authority.split('/').next().unwrap_or_default().contains('@') {
        return Err(bad(
            at("url"),
            "holds a user or password; it is stored in clear: use the fields for them",
        ));
    }
    let name = text("name")?.unwrap_or_else(|| "vast".to_owned());
    if name.is_empty()
        || !name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
    {
        return Err(bad(
            at("name"),
            format!("is {name:?}; use letters, digits, -, _ and ."),
        ));
    }
    let mut labels = BTreeMap::new();
    match read.get("labels") {
        None => {}
        Some(Value::Object(list)) => {
            for (label, value) in list {
                let value = value.as_str().unwrap_or_default();
                if !label_name(label) || value.is_empty() {
                    return Err(bad(
                        at("labels"),
                        format!("has {label:?}; write label names with texts"),
                    ));
                }
                labels.insert(label.clone(), value.to_owned());
            }
        }
        Some(other) => {
            return Err(bad(
                at("labels"),
                format!("must be an object of texts, it is {}", kind(other)),
            ));
        }
    }
    let ca_pem = match read.flag("tlsAuthWithCACert").map_err(placed)? {
        false => None,
        true => Some(secret(&format!("vastCACert_{name}")).ok_or_else(|| {
            bad(
                at("tlsAuthWithCACert"),
                format!("is set, but the secret `vastCACert_{name}` is empty; paste the PEM text"),
            )
        })?),
    };
    let whole = |name: &str, default: u64, most: u64| -> Result<u64, SettingsError> {
        let number = read.whole(name, default).map_err(placed)?;
        if (1..=most).contains(&number) {
            Ok(number)
        } else {
            Err(bad(at(name), format!("must be from 1 to {most}, it is {number}")))
        }
    };
    Ok(Some(VastSettings {
        login: login(&name, key, text("auth")?, text("user")?, secret)?,
        url,
        tenant: text("tenant")?.filter(|tenant| !tenant.is_empty()),
        cluster_id: read.number("clusterId").map_err(placed)?.map(|id| id as i64),
        labels,
        properties: properties(&at("properties"), read.get("properties"))?,
        scraped: read.flag("scraped").map_err(placed)?,
        calls_per_minute: u32::try_from(whole("callsPerMinute", 120, 6_000)?).unwrap_or(120),
        concurrency: usize::try_from(whole("concurrency", 2, 16)?).unwrap_or(2),
        timeout: read.millis("timeoutMs", 8_000, 100).map_err(placed)?,
        ca_pem,
        server_name: text("serverName")?.filter(|name| !name.is_empty()),
        skip_verify: read.flag("tlsSkipVerify").map_err(placed)?,
        name,
    }))
}

fn login(
    name: &str,
    key: &str,
    auth: Option<String>,
    user: Option<String>,
    secret: &impl Fn(&str) -> Option<String>,
) -> Result<VastLogin, SettingsError> {
    let at = |field: &str| format!("{key}.{field}");
    let needed = |field: &str, secret_name: String| {
        secret(&secret_name)
            .map(|text| Secret::new(text.trim()))
            .ok_or_else(|| {
                bad(
                    at(field),
                    format!("needs the secret `{secret_name}`, which is empty"),
                )
            })
    };
    let pair = || -> Result<(String, Secret), SettingsError> {
        let user = user.clone().filter(|user| !user.is_empty()).ok_or_else(|| {
            bad(
                at("user"),
                "is empty; write the name of a VMS user with a read-only role, or set auth to apiToken",
            )
        })?;
        Ok((user, needed("user", format!("vastPassword_{name}"))?))
    };
    let token_name = format!("vastToken_{name}");
    match auth.as_deref() {
        Some("apiToken") => Ok(VastLogin::ApiToken(needed("auth", token_name)?)),
        None if secret(&token_name).is_some() && user.is_none() => {
            Ok(VastLogin::ApiToken(needed("auth", token_name)?))
        }
        Some("basic") | None => pair().map(|(user, password)| VastLogin::Basic { user, password }),
        Some("jwt") => pair().map(|(user, password)| VastLogin::Jwt { user, password }),
        Some(other) => Err(bad(
            at("auth"),
            format!("must be \"basic\", \"jwt\" or \"apiToken\", it is {other:?}"),
        )),
    }
}

/// Lines of `<object type> <fully qualified name>`: `cnode BlockMetrics,read_req`.
fn properties(key: &str, value: Option<&Value>) -> Result<Vec<(String, String)>, SettingsError> {
    let lines: Vec<String> = match value {
        None => Vec::new(),
        Some(Value::String(text)) => text.lines().map(str::to_owned).collect(),
        Some(Value::Array(list)) => list
            .iter()
            .map(|line| line.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .ok_or_else(|| bad(key, "must be a list of texts"))?,
        Some(other) => return Err(bad(key, format!("must be a list, it is {}", kind(other)))),
    };
    let mut found = Vec::new();
    for line in lines
        .iter()
        .map(|line| line.trim())
        .filter(|line| !line.is_empty())
    {
        let parts = line
            .split_once(char::is_whitespace)
            .map(|(object, fqn)| (object, fqn.trim()));
        let good = parts.filter(|(object, fqn)| {
            let plain = |text: &str| {
                !text.is_empty()
                    && text
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"_,=".contains(&byte))
            };
            ["cluster", "cnode", "nic", "ssd"].contains(object) && plain(fqn) && fqn.contains(',')
        });
        let (object, fqn) = good.ok_or_else(|| {
            bad(
                key,
                format!(
                    "has {line:?}; write the object's type (cluster, cnode, nic or ssd) and the property's full name, such as \
                     `cnode BlockMetrics,qos_volumes_cache_hit_rate__rate`"
                ),
            )
        })?;
        found.push((object.to_owned(), fqn.to_owned()));
    }
    Ok(found)
}
