//! Grafana's HTTP API, which the preview page answers in part, too.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use serde_json::Value;

/// Who asks. The secret is never printed.
pub(crate) enum Login {
    User {
        name: String,
        password: String,
    },
    /// A service account's token.
    Token(String),
}

impl Login {
    /// A file with `USER:PASSWORD`, or the one the demo writes.
    pub(crate) fn of_user_file(path: &Path) -> anyhow::Result<Self> {
        let text = read(path)?.replace(" / ", ":");
        let (name, password) = text
            .trim()
            .split_once(':')
            .with_context(|| format!("{} must hold USER:PASSWORD", path.display()))?;
        Ok(Self::User {
            name: name.to_owned(),
            password: password.to_owned(),
        })
    }

    /// A file whose first line is the token.
    pub(crate) fn of_token_file(path: &Path) -> anyhow::Result<Self> {
        let text = read(path)?;
        let token = text.lines().next().unwrap_or_default().trim();
        ensure!(!token.is_empty(), "{} holds no token", path.display());
        Ok(Self::Token(token.to_owned()))
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

pub(crate) struct Web {
    base: String,
    login: Option<Login>,
    client: reqwest::Client,
}

impl Web {
    pub(crate) fn new(base: &str, login: Option<Login>) -> anyhow::Result<Self> {
        let _already = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()?;
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            login,
            client,
        })
    }

    /// GET, or POST with a body. A failure says which address, and what it gave as the reason.
    pub(crate) async fn call(&self, path: &str, body: Option<&Value>) -> Result<Value, String> {
        let url = format!("{}{path}", self.base);
        let mut request = match body {
            Some(body) => self.client.post(&url).json(body),
            None => self.client.get(&url),
        };
        request = match &self.login {
            Some(Login::User { name, password }) => request.basic_auth(name, Some(password)),
            Some(Login::Token(token)) => request.bearer_auth(token),
            None => request,
        };
        let answer = request
            .send()
            .await
            .map_err(|_| format!("{url} cannot be reached"))?;
        let status = answer.status();
        let body: Value = answer
            .json()
            .await
            .map_err(|_| format!("{url} answers {status} and no JSON"))?;
        if status.is_success() || body.get("results").is_some() {
            return Ok(body);
        }
        let reason = body["message"].as_str().unwrap_or("no reason given");
        Err(match status.as_u16() {
            401 | 403 => format!("{url} answers {status}: {reason}; see --login-file and --token-file"),
            _ => format!("{url} answers {status}: {reason}"),
        })
    }
}
