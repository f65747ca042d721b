//! The connection: who we are, how often we may ask, and what went wrong.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::error::VmsError;

/// The largest answer that is read.
const MAX_BODY: usize = 64 << 20;
/// How long a server that says "later" without saying when is left alone, and the longest it may ask for.
const WAIT: Duration = Duration::from_secs(15);
const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Longest piece of a server's own words in an error.
const WORDS: usize = 300;

/// Who we are to the server.
#[derive(Clone)]
pub enum VmsAuth {
    Basic {
        user: String,
        password: String,
    },
    /// User and password are traded for a token that is renewed.
    Jwt {
        user: String,
        password: String,
    },
    /// Made in VMS for a user (5.3 and later).
    ApiToken(String),
}

impl fmt::Debug for VmsAuth {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Basic { user, .. } => write!(out, "Basic({user}, ***)"),
            Self::Jwt { user, .. } => write!(out, "Jwt({user}, ***)"),
            Self::ApiToken(_) => out.write_str("ApiToken(***)"),
        }
    }
}

/// Where a server is and how it may be asked.
#[derive(Clone, Debug)]
pub struct VmsConfig {
    /// `https://vms.example.com`, without `/api`.
    pub url: String,
    pub auth: VmsAuth,
    /// Sent as `X-Tenant-Name`.
    pub tenant: Option<String>,
    /// For one call.
    pub timeout: Duration,
    /// Calls within any minute, those for tokens included.
    pub calls_per_minute: u32,
    /// Calls at the same time.
    pub concurrency: usize,
}

impl VmsConfig {
    /// Defaults: 10 s, 120 calls a minute, 2 at once.
    pub fn new(url: impl Into<String>, auth: VmsAuth) -> Self {
        Self {
            url: url.into(),
            auth,
            tenant: None,
            timeout: Duration::from_secs(10),
            calls_per_minute: 120,
            concurrency: 2,
        }
    }
}

#[derive(Default)]
struct Tokens {
    access: String,
    refresh: String,
}

/// A management server. Shared by all who ask it: the budget is one.
pub struct VmsClient {
    http: reqwest::Client,
    config: VmsConfig,
    gate: Semaphore,
    tokens: tokio::sync::Mutex<Tokens>,
    recent: Mutex<VecDeque<Instant>>,
    not_before: Mutex<Option<Instant>>,
    skew_ms: AtomicI64,
    answered: AtomicU64,
    failed: AtomicU64,
}

impl fmt::Debug for VmsClient {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("VmsClient")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn sensitive(text: &str) -> Result<HeaderValue, VmsError> {
    let mut value = HeaderValue::try_from(text).map_err(|_| {
        VmsError::Config(
            "the credentials hold characters that no HTTP header can carry; paste them again".to_owned(),
        )
    })?;
    value.set_sensitive(true);
    Ok(value)
}

impl VmsClient {
    /// `http` carries the TLS settings and must not follow redirects to other hosts.
    ///
    /// # Errors
    /// Credentials that no header can carry, or a budget of nothing.
    pub fn new(http: reqwest::Client, mut config: VmsConfig) -> Result<Self, VmsError> {
        if let VmsAuth::ApiToken(token) = &config.auth {
            sensitive(token)?;
        }
        if config.concurrency == 0 || config.calls_per_minute == 0 {
            return Err(VmsError::Config(
                "may not be asked at all: concurrency and callsPerMinute must be at least 1".to_owned(),
            ));
        }
        config.url = config
            .url
            .trim_end_matches('/')
            .trim_end_matches("/api")
            .to_owned();
        Ok(Self {
            gate: Semaphore::new(config.concurrency),
            http,
            config,
            tokens: tokio::sync::Mutex::default(),
            recent: Mutex::default(),
            not_before: Mutex::default(),
            skew_ms: AtomicI64::new(0),
            answered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        })
    }

    pub fn config(&self) -> &VmsConfig {
        &self.config
    }

    /// How far its clock is ahead of ours, by the `Date` of its last answer; good to a second.
    pub fn skew_ms(&self) -> i64 {
        self.skew_ms.load(Ordering::Relaxed)
    }

    /// The time there.
    pub fn now_ms(&self) -> i64 {
        jiff::Timestamp::now().as_millisecond() + self.skew_ms()
    }

    /// Calls that were answered, and calls that were not.
    pub fn calls(&self) -> (u64, u64) {
        (
            self.answered.load(Ordering::Relaxed),
            self.failed.load(Ordering::Relaxed),
        )
    }

    /// One GET of a resource, such as `clusters` or `monitors/ad_hoc_query`.
    ///
    /// # Errors
    /// See [`VmsError`].
    pub async fn get(&self, resource: &str, query: &[(&str, String)]) -> Result<Value, VmsError> {
        let answered = self.get_with_tokens(resource, query).await;
        let counter = if answered.is_ok() {
            &self.answered
        } else {
            &self.failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
        answered
    }

    async fn get_with_tokens(&self, resource: &str, query: &[(&str, String)]) -> Result<Value, VmsError> {
        let _permit = self
            .gate
            .acquire()
            .await
            .map_err(|_| VmsError::Config("is closed".to_owned()))?;
        let mut url = format!("{}/api/{resource}/", self.config.url);
        if !query.is_empty() {
            let pairs = form_urlencoded::Serializer::new(String::new())
                .extend_pairs(query)
                .finish();
            url.push('?');
            url.push_str(&pairs);
        }
        let VmsAuth::Jwt { user, password } = &self.config.auth else {
            let request = self.http.get(&url).header(AUTHORIZATION, self.fixed_header()?);
            return self.ask(resource, request).await;
        };
        let used = self.access_token(user, password, None).await?;
        let bearer = |token: &str| -> Result<RequestBuilder, VmsError> {
            Ok(self
                .http
                .get(&url)
                .header(AUTHORIZATION, sensitive(&format!("Bearer {token}"))?))
        };
        match self.ask(resource, bearer(&used)?).await {
            Err(VmsError::Unauthorized { .. }) => {
                let fresh = self.access_token(user, password, Some(&used)).await?;
                self.ask(resource, bearer(&fresh)?).await
            }
            answered => answered,
        }
    }

    fn fixed_header(&self) -> Result<HeaderValue, VmsError> {
        match &self.config.auth {
            VmsAuth::ApiToken(token) => sensitive(&format!("Api-Token {token}")),
            VmsAuth::Basic { user, password } | VmsAuth::Jwt { user, password } => {
                // reqwest's own encoding of the pair.
                let request = self
                    .http
                    .get(&self.config.url)
                    .basic_auth(user, Some(password))
                    .build();
                let request =
                    request.map_err(|error| VmsError::Config(format!("has no usable URL: {error}")))?;
                request
                    .headers()
                    .get(AUTHORIZATION)
                    .cloned()
                    .ok_or_else(|| VmsError::Config("the user and password cannot be sent".to_owned()))
            }
        }
    }

    /// A token that is not `worn`: by refreshing where that is possible, else by logging in. One caller renews, the others
    /// wait for it.
    async fn access_token(&self, user: &str, password: &str, worn: Option<&str>) -> Result<String, VmsError> {
        let mut tokens = self.tokens.lock().await;
        if !tokens.access.is_empty() && worn != Some(tokens.access.as_str()) {
            return Ok(tokens.access.clone());
        }
        if !tokens.refresh.is_empty() {
            let sent = json!({ "refresh": tokens.refresh });
            match self.token("token/refresh", &sent).await {
                Ok(pair) => {
                    *tokens = pair;
                    return Ok(tokens.access.clone());
                }
                // What a refresh token is not good for any more, the password may be.
                Err(VmsError::Unauthorized { .. } | VmsError::Refused { .. }) => *tokens = Tokens::default(),
                Err(other) => return Err(other),
            }
        }
        *tokens = self
            .token("token", &json!({ "username": user, "password": password }))
            .await?;
        Ok(tokens.access.clone())
    }

    async fn token(&self, resource: &str, sent: &Value) -> Result<Tokens, VmsError> {
        let url = format!("{}/api/{resource}/", self.config.url);
        let request = self
            .http
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .body(sent.to_string());
        let pair = self.ask(resource, request).await?;
        let text = |key: &str| pair[key].as_str().unwrap_or_default().to_owned();
        let tokens = Tokens {
            access: text("access"),
            refresh: text("refresh"),
        };
        if tokens.access.is_empty() {
            return Err(VmsError::Shape {
                resource: resource.to_owned(),
                problem: "no `access` in it".to_owned(),
            });
        }
        Ok(tokens)
    }

    /// Whether a call may be made now; counts it.
    fn take(&self) -> Result<(), VmsError> {
        let now = Instant::now();
        if let Some(until) = *locked(&self.not_before)
            && until > now
        {
            return Err(VmsError::Busy { wait: until - now });
        }
        let mut recent = locked(&self.recent);
        while recent
            .front()
            .is_some_and(|at| now.duration_since(*at) > Duration::from_secs(60))
        {
            recent.pop_front();
        }
        if recent.len() >= self.config.calls_per_minute as usize {
            return Err(VmsError::Budget {
                per_minute: self.config.calls_per_minute,
            });
        }
        recent.push_back(now);
        Ok(())
    }

    /// The end of each call: what came back, or one sentence why nothing did.
    async fn ask(&self, resource: &str, request: RequestBuilder) -> Result<Value, VmsError> {
        self.take()?;
        let mut request = request
            .header(ACCEPT, "application/json")
            .timeout(self.config.timeout);
        if let Some(tenant) = &self.config.tenant {
            request = request.header("X-Tenant-Name", tenant);
        }
        let mut response = request
            .send()
            .await
            .map_err(|error| self.transport(resource, error))?;
        self.note_clock(&response);
        let status = response.status();
        if matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        ) {
            let wait = retry_after(&response);
            if status == StatusCode::TOO_MANY_REQUESTS || wait.is_some() {
                let wait = wait.unwrap_or(WAIT).min(LONGEST_WAIT);
                *locked(&self.not_before) = Some(Instant::now() + wait);
                return Err(VmsError::Busy { wait });
            }
        }
        let html = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok())
            .is_some_and(|kind| kind.contains("html"));
        let mut body = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| self.transport(resource, error))?
        {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(VmsError::TooLarge {
                    resource: resource.to_owned(),
                    limit: MAX_BODY,
                });
            }
            body.extend_from_slice(&chunk);
        }
        let parsed = serde_json::from_slice::<Value>(&body);
        let named = resource.to_owned();
        if status.is_success() {
            return parsed.map_err(|error| {
                let (what, remedy) = match (html || body.trim_ascii_start().starts_with(b"<"), error.is_eof())
                {
                    (true, _) => ("a web page", "does a login page or another program listen there?"),
                    (false, true) => ("half of it", "the connection ended early; it is asked again"),
                    (false, false) => ("something else", "is it a VAST management server?"),
                };
                VmsError::NotJson {
                    resource: named,
                    what,
                    remedy,
                }
            });
        }
        let detail = parsed.ok().as_ref().and_then(detail).unwrap_or_default();
        let detail = self.without_secrets(&detail);
        Err(match status.as_u16() {
            401 => VmsError::Unauthorized {
                detail: if detail.is_empty() {
                    "401".to_owned()
                } else {
                    detail
                },
            },
            403 => VmsError::Forbidden {
                resource: named,
                detail,
            },
            404 => VmsError::Missing { resource: named },
            301 | 302 | 307 | 308 => VmsError::NotJson {
                resource: named,
                what: "a redirection",
                remedy: "write the URL it leads to into the settings, https:// included",
            },
            status @ 400..=499 => VmsError::Refused {
                resource: named,
                status,
                detail: if detail.is_empty() {
                    format!("{status}")
                } else {
                    detail
                },
            },
            status => VmsError::Failed {
                resource: named,
                status,
            },
        })
    }

    fn transport(&self, resource: &str, error: reqwest::Error) -> VmsError {
        let error = error.without_url();
        if error.is_timeout() {
            return VmsError::Timeout {
                resource: resource.to_owned(),
                timeout: self.config.timeout,
            };
        }
        let mut why = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(inner) = cause {
            let text = inner.to_string();
            if !why.contains(&text) {
                why = format!("{why}: {text}");
            }
            cause = inner.source();
        }
        let remedy = match &why {
            why if why.contains("certificate") || why.contains("UnknownIssuer") => {
                "; VMS has a certificate of its own making: paste its CA into the settings, with the name it carries"
            }
            why if why.contains("refused") => "; is that the VMS's address and port?",
            _ => "",
        };
        VmsError::Transport {
            url: self.config.url.clone(),
            why: format!("{}{remedy}", self.without_secrets(&why)),
        }
    }

    fn without_secrets(&self, text: &str) -> String {
        let text: String = text.chars().take(WORDS).collect();
        let secret = match &self.config.auth {
            VmsAuth::Basic { password, .. } | VmsAuth::Jwt { password, .. } => password,
            VmsAuth::ApiToken(token) => token,
        };
        if secret.is_empty() {
            text
        } else {
            text.replace(secret.as_str(), "<hidden>")
        }
    }

    fn note_clock(&self, response: &Response) {
        let date = response.headers().get(DATE).and_then(|date| date.to_str().ok());
        let there = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
        if let Some(there) = there {
            // The header has whole seconds: half of one is taken to have passed.
            let ahead = there.timestamp().as_millisecond() + 500 - jiff::Timestamp::now().as_millisecond();
            let ahead = if ahead.abs() < 1_500 { 0 } else { ahead };
            self.skew_ms.store(ahead, Ordering::Relaxed);
        }
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// `{"detail": "..."}`, or whatever text there is.
fn detail(body: &Value) -> Option<String> {
    match body {
        Value::Object(object) => match object.get("detail").or_else(|| object.values().next())? {
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        },
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => list
            .first()
            .map(|first| first.as_str().map_or_else(|| first.to_string(), str::to_owned)),
        _ => None,
    }
}

/// A list: bare, or cut into pages.
///
/// # Errors
/// [`VmsError::Shape`].
pub(crate) fn list(resource: &str, answer: Value) -> Result<Vec<Value>, VmsError> {
    match answer {
        Value::Array(list) => Ok(list),
        Value::Object(mut object) => match object.remove("results") {
            Some(Value::Array(list)) => Ok(list),
            _ => Err(VmsError::Shape {
                resource: resource.to_owned(),
                problem: "neither a list nor a page of one".to_owned(),
            }),
        },
        _ => Err(VmsError::Shape {
            resource: resource.to_owned(),
            problem: "neither a list nor a page of one".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_never_printed() {
        let config = VmsConfig::new(
            "https://vms",
            VmsAuth::Basic {
                user: "ops".to_owned(),
                password: "hunter2".to_owned(),
            },
        );
        let printed = format!("{config:?}{:?}", VmsAuth::ApiToken("hunter2".to_owned()));
        assert!(
            printed.contains("ops") && !printed.contains("hunter2"),
            "{printed}"
        );
    }

    #[test]
    fn the_servers_own_words_are_found_in_every_form_it_has() {
        for (body, words) in [
            (
                json!({ "detail": "can't mix properties" }),
                "can't mix properties",
            ),
            (
                json!({ "name": ["This field is required."] }),
                r#"["This field is required."]"#,
            ),
            (json!(["property_error"]), "property_error"),
        ] {
            assert_eq!(detail(&body).as_deref(), Some(words));
        }
    }
}
