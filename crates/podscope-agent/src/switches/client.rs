//! One switch's NVUE REST API: `https://<switch>:8765/nvue_v1/...`. A token is fetched with user and password and used until the
//! switch does not know it any more: after an hour, a restart, a change of its accounts. Only GET is ever sent.

use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;

use crate::secret::Secret;
use crate::stream::lock;

/// The largest answer that is read.
const MAX_ANSWER: usize = 32 << 20;
/// The longest pause a switch may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
/// Bytes of an answer's own words that an error shows.
const SHOWN: usize = 160;

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum NvueError {
    #[error("{path}: no answer: {reason}")]
    Network { path: String, reason: String },
    #[error("{path}: no answer within {after:?}; raise nvue.timeout if the switch is only slow")]
    Timeout { path: String, after: Duration },
    #[error("{path}: HTTP {status}{detail}")]
    Status {
        path: String,
        status: u16,
        detail: String,
    },
    #[error("{path}: HTTP {status}, the switch wants to be left alone for {after:?}")]
    Busy {
        path: String,
        status: u16,
        after: Duration,
    },
    #[error(
        "the switch refuses user {user:?} (HTTP {status}); check nvue.user and the password file, and that the user is of the group nvshow and \
         does not have the factory password"
    )]
    Login { user: String, status: u16 },
    #[error("{path}: the answer is {content_type:?} instead of JSON; is {path} NVUE's API, and port 8765?")]
    NotJson { path: String, content_type: String },
    #[error("{path}: the answer breaks off or is no JSON: {reason}")]
    Broken { path: String, reason: String },
    #[error("{path}: the answer has more than {most} bytes")]
    Large { path: String, most: usize },
}

impl NvueError {
    /// How long the switch is to be left alone.
    pub(super) fn pause(&self) -> Option<Duration> {
        match self {
            Self::Busy { after, .. } => Some(*after),
            _ => None,
        }
    }

    /// An answer to the one question, in contrast to a switch that does not answer.
    pub(super) fn is_about_path(&self) -> bool {
        matches!(self, Self::Status { status, .. } if matches!(status, 400 | 403 | 404 | 405 | 501))
    }
}

/// See the module.
pub(super) struct NvueClient {
    http: reqwest::Client,
    base: reqwest::Url,
    user: String,
    password: Secret,
    timeout: Duration,
    login: Mutex<Login>,
}

impl std::fmt::Debug for NvueClient {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("NvueClient")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Default)]
enum Login {
    #[default]
    None,
    Token(Secret),
    /// The switch gives no tokens: a release before them, or their lifetime is set to 0.
    Password,
}

impl NvueClient {
    pub(super) fn new(
        http: reqwest::Client,
        mut base: reqwest::Url,
        (user, password): (String, Secret),
        timeout: Duration,
    ) -> Self {
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        Self {
            http,
            base,
            user,
            password,
            timeout,
            login: Mutex::default(),
        }
    }

    /// Asks for a path below `nvue_v1`; `None` where the switch has nothing of that name. With the answer comes how far the
    /// switch's clock is ahead, in seconds, where it says its time.
    pub(super) async fn get(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<Option<(Value, Option<f64>)>, NvueError> {
        let first = self.attempt(path, query).await;
        match first {
            // The token has run out, or the switch was restarted: once more with a new one.
            Err(NvueError::Status { status: 401, .. }) if !matches!(*lock(&self.login), Login::Password) => {
                *lock(&self.login) = Login::None;
                self.attempt(path, query).await
            }
            other => other,
        }
        .map(Some)
        .or_else(|error| match error {
            NvueError::Status { status: 404, .. } => Ok(None),
            NvueError::Status { status: 401, .. } => Err(NvueError::Login {
                user: self.user.clone(),
                status: 401,
            }),
            error => Err(error),
        })
    }

    async fn attempt(&self, path: &str, query: &[(&str, &str)]) -> Result<(Value, Option<f64>), NvueError> {
        let login = lock(&self.login).clone();
        let login = match login {
            Login::None => self.log_in().await?,
            login => login,
        };
        let request = self.request(path, query);
        let request = match &login {
            Login::Token(token) => request.bearer_auth(token.expose()),
            _ => request.basic_auth(&self.user, Some(self.password.expose())),
        };
        self.send(path, request).await
    }

    async fn log_in(&self) -> Result<Login, NvueError> {
        let request = self
            .request("api-token", &[])
            .basic_auth(&self.user, Some(self.password.expose()));
        let login = match self.send("api-token", request).await {
            Ok((answer, _)) => match answer.get("token").and_then(Value::as_str) {
                Some(token) if !token.is_empty() => Login::Token(Secret::new(token)),
                _ => Login::Password,
            },
            Err(NvueError::Status {
                status: status @ (401 | 403),
                ..
            }) => {
                return Err(NvueError::Login {
                    user: self.user.clone(),
                    status,
                });
            }
            Err(error) if error.is_about_path() => Login::Password,
            Err(error) => return Err(error),
        };
        *lock(&self.login) = login.clone();
        Ok(login)
    }

    fn request(&self, path: &str, query: &[(&str, &str)]) -> reqwest::RequestBuilder {
        let mut url = self.base.clone();
        url.set_path(&format!("{}nvue_v1/{path}", self.base.path()));
        if !query.is_empty() {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in query {
                pairs.append_pair(name, value);
            }
        }
        self.http
            .get(url)
            .header("accept", "application/json")
            .timeout(self.timeout)
    }

    async fn send(
        &self,
        path: &str,
        request: reqwest::RequestBuilder,
    ) -> Result<(Value, Option<f64>), NvueError> {
        let network = |error: reqwest::Error| match error.is_timeout() {
            true => NvueError::Timeout {
                path: path.to_owned(),
                after: self.timeout,
            },
            false => NvueError::Network {
                path: path.to_owned(),
                reason: crate::chain(&error.without_url()),
            },
        };
        let mut answer = request.send().await.map_err(network)?;
        let status = answer.status().as_u16();
        let header = |name: &str| {
            let value = answer.headers().get(name);
            value
                .and_then(|value| value.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let (content_type, date, retry_after) =
            (header("content-type"), header("date"), header("retry-after"));
        let mut body: Vec<u8> = Vec::new();
        loop {
            let chunk = answer.chunk().await.map_err(|error| match error.is_timeout() {
                true => NvueError::Timeout {
                    path: path.to_owned(),
                    after: self.timeout,
                },
                false => NvueError::Broken {
                    path: path.to_owned(),
                    reason: crate::chain(&error.without_url()),
                },
            })?;
            let Some(chunk) = chunk else { break };
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(NvueError::Large {
                    path: path.to_owned(),
                    most: MAX_ANSWER,
                });
            }
            body.extend_from_slice(&chunk);
        }
        if matches!(status, 429 | 503) {
            let seconds = retry_after.trim().parse::<u64>().unwrap_or(60);
            return Err(NvueError::Busy {
                path: path.to_owned(),
                status,
                after: Duration::from_secs(seconds).min(LONGEST_PAUSE),
            });
        }
        if status != 200 {
            return Err(NvueError::Status {
                path: path.to_owned(),
                status,
                detail: detail(&body),
            });
        }
        // An empty answer is `{}`, `null`, or nothing at all.
        let blank = body.iter().all(u8::is_ascii_whitespace);
        let value = match blank {
            true => Value::Null,
            false => serde_json::from_slice(&body).map_err(|error| {
                let html = content_type.contains("html") || body.trim_ascii_start().starts_with(b"<");
                match html {
                    true => NvueError::NotJson {
                        path: path.to_owned(),
                        content_type: content_type.clone(),
                    },
                    false => NvueError::Broken {
                        path: path.to_owned(),
                        reason: error.to_string(),
                    },
                }
            })?,
        };
        Ok((value, skew(&date)))
    }
}

/// What the switch itself says of an error.
fn detail(body: &[u8]) -> String {
    let said = serde_json::from_slice::<Value>(body).ok();
    let said = said.as_ref().and_then(|value| {
        let keys = ["detail", "title"];
        keys.iter()
            .find_map(|key| value.get(*key))
            .and_then(Value::as_str)
    });
    match said {
        Some(text) => format!(": {}", text.chars().take(SHOWN).collect::<String>()),
        None => String::new(),
    }
}

/// How far a clock is ahead that says `Sat, 21 Nov 2026 08:26:00 GMT`; to the second.
fn skew(date: &str) -> Option<f64> {
    let parsed = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    let now_ms = crate::schedule::now_ms();
    // The header has whole seconds: on the average half a second is cut off.
    Some((parsed.as_millisecond() + 500 - now_ms) as f64 / 1000.0)
}
