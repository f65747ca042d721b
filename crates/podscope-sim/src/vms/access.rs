//! Who may ask: Basic, JWT with refresh, API tokens.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::server::{VmsAccess, refusal};

#[derive(Debug)]
pub(super) struct Access {
    settings: VmsAccess,
    given: Mutex<Given>,
    number: AtomicU64,
}

#[derive(Debug, Default)]
struct Given {
    access: HashMap<String, Instant>,
    refresh: HashMap<String, ()>,
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let word = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = ALPHABET[(word >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    out
}

impl Access {
    pub(super) fn new(settings: VmsAccess) -> Self {
        Self {
            settings,
            given: Mutex::default(),
            number: AtomicU64::new(1),
        }
    }

    fn given(&self) -> std::sync::MutexGuard<'_, Given> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn expire(&self, refresh_too: bool) {
        let mut given = self.given();
        given.access.clear();
        if refresh_too {
            given.refresh.clear();
        }
    }

    /// A pair of tokens of a JWT's form.
    fn pair(&self) -> Value {
        let number = self.number.fetch_add(1, Ordering::SeqCst);
        let token = |kind: &str| format!("eyJhbGciOiJIUzI1NiJ9.{kind}{number:08}.c2lnbmF0dXJl");
        let (access, refresh) = (token("access"), token("refresh"));
        let mut given = self.given();
        given
            .access
            .insert(access.clone(), Instant::now() + self.settings.access_lives);
        given.refresh.insert(refresh.clone(), ());
        json!({ "access": access, "refresh": refresh })
    }

    /// `POST token/` and `POST token/refresh/`; `None` for every other path.
    pub(super) fn token_request(&self, method: &Method, resource: &str, body: &Bytes) -> Option<Response> {
        if !matches!(resource, "token" | "token/refresh") {
            return None;
        }
        if *method != Method::POST {
            return Some(refusal(
                StatusCode::METHOD_NOT_ALLOWED,
                format!("Method \"{method}\" not allowed."),
            ));
        }
        let sent: Value = serde_json::from_slice(body).unwrap_or_default();
        let text = |key: &str| sent[key].as_str().unwrap_or_default();
        let good = match resource {
            "token" => text("username") == self.settings.user && text("password") == self.settings.password,
            _ => self.given().refresh.contains_key(text("refresh")),
        };
        Some(match (good, resource) {
            (true, _) => Json(self.pair()).into_response(),
            (false, "token") => refusal(
                StatusCode::UNAUTHORIZED,
                "No active account found with the given credentials",
            ),
            (false, _) => refusal(StatusCode::UNAUTHORIZED, "Token is invalid or expired"),
        })
    }

    /// # Errors
    /// The text of the 401.
    pub(super) fn check(&self, headers: &HeaderMap) -> Result<(), &'static str> {
        let sent = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .ok_or("Authentication credentials were not provided.")?;
        let (scheme, rest) = sent.split_once(' ').unwrap_or((sent, ""));
        let good = match scheme.to_ascii_lowercase().as_str() {
            "basic" => {
                let pair = format!("{}:{}", self.settings.user, self.settings.password);
                rest == base64(pair.as_bytes())
            }
            "bearer" => {
                let good_until = self.given().access.get(rest).copied();
                good_until.is_some_and(|until| Instant::now() < until)
            }
            "api-token" => rest == self.settings.api_token,
            _ => false,
        };
        match (good, scheme.eq_ignore_ascii_case("bearer")) {
            (true, _) => Ok(()),
            (false, true) => Err("Given token not valid for any token type"),
            (false, false) => Err("Invalid username/password."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }
}
