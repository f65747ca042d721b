//! Why a management server gave no answer, each with what to do about it. No text shows a secret.

use std::time::Duration;

/// See the variants; the texts go behind the server's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VmsError {
    #[error("{0}")]
    Config(String),
    #[error(
        "refuses our credentials ({detail}); check user and password, or the API token, and that the role may read"
    )]
    Unauthorized { detail: String },
    #[error("says we may not read {resource} ({detail}); give the user a read-only role that covers it")]
    Forbidden { resource: String, detail: String },
    /// It asked to be left alone for a while.
    #[error("is busy and asks us to wait {} s; nothing is asked of it until then", wait.as_secs().max(1))]
    Busy { wait: Duration },
    #[error("refuses the question for {resource}: {detail}")]
    Refused {
        resource: String,
        status: u16,
        detail: String,
    },
    #[error("has no {resource} (404); is the URL that of the VMS, without /api?")]
    Missing { resource: String },
    #[error("answered {status} for {resource}; it is asked again later")]
    Failed { resource: String, status: u16 },
    #[error("answered {what} instead of JSON for {resource}; {remedy}")]
    NotJson {
        resource: String,
        what: &'static str,
        remedy: &'static str,
    },
    #[error("answered another shape than expected for {resource}: {problem}")]
    Shape { resource: String, problem: String },
    #[error("did not answer {resource} within {} s; raise its timeout, or ask for less", timeout.as_secs().max(1))]
    Timeout { resource: String, timeout: Duration },
    #[error("cannot be asked at {url}: {why}")]
    Transport { url: String, why: String },
    #[error("answered more than {} MiB for {resource}; narrow the time range", limit >> 20)]
    TooLarge { resource: String, limit: usize },
    /// Ours: it is not asked more often than it was set to be.
    #[error(
        "was asked {per_minute} times within a minute, which is the budget; raise callsPerMinute, or wait"
    )]
    Budget { per_minute: u32 },
}

impl VmsError {
    /// Whether asking the same again later may help.
    pub fn passes(&self) -> bool {
        !matches!(
            self,
            Self::Config(_) | Self::Refused { .. } | Self::Missing { .. } | Self::Forbidden { .. }
        )
    }
}
