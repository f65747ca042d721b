//! What can go wrong between here and Slurm. Every error names the place and the remedy; the cause is its source.

use std::time::Duration;

/// Why Slurm could not be asked, or was not understood.
#[derive(Debug, thiserror::Error)]
pub enum SlurmError {
    #[error(
        "cannot reach slurmrestd at {place}; check that it runs and that `slurm.url` or `slurm.socket` names it"
    )]
    Connect {
        place: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error(
        "slurmrestd at {place} did not answer GET {target} within {after:?}; raise `slurm.timeout`, or look whether slurmctld is overloaded (`sdiag`)"
    )]
    Slow {
        place: String,
        target: String,
        after: Duration,
    },
    #[error(
        "slurmrestd at {place} refuses the credentials ({said}); put a token of `scontrol token username={user} lifespan=...` into `slurm.token_file`, or use its unix socket as the user it runs as"
    )]
    Refused {
        place: String,
        user: String,
        said: String,
    },
    #[error(
        "the token in {file} expired {ago:?} ago; write a new one there: `scontrol token username={user} lifespan=...`"
    )]
    Expired {
        file: String,
        user: String,
        ago: Duration,
    },
    #[error("the token file {file} cannot be used: {why}; write what `scontrol token` prints into it")]
    Token { file: String, why: String },
    #[error(
        "slurmrestd at {place} answered GET {target} with status {status} ({said}); it is asked again later"
    )]
    Busy {
        place: String,
        target: String,
        status: u16,
        said: String,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    #[error(
        "slurmrestd at {place} answered GET {target} with status {status}: {said}; check `slurm.url` and `slurm.api_version`"
    )]
    Status {
        place: String,
        target: String,
        status: u16,
        said: String,
    },
    #[error(
        "{place} answered GET {target} with something else than JSON ({begin:?}); check that `slurm.url` is slurmrestd itself and not a proxy's sign-in page"
    )]
    NotJson {
        place: String,
        target: String,
        begin: String,
    },
    #[error(
        "the answer of {place} to GET {target} ends in the middle, after {bytes} bytes; the last full answer stays, and it is asked again"
    )]
    Cut {
        place: String,
        target: String,
        bytes: u64,
    },
    #[error("the answer of {place} to GET {target} holds {what}; nothing of it was taken")]
    Odd {
        place: String,
        target: String,
        what: String,
    },
    #[error("the answer of {place} to GET {target} is not what slurmrestd documents")]
    Json {
        place: String,
        target: String,
        #[source]
        source: serde_json::Error,
    },
    #[error(
        "slurmrestd at {place} reports for GET {target}: {said}; see slurmctld's log, `scontrol ping` shows whether it runs"
    )]
    Said {
        place: String,
        target: String,
        said: String,
    },
    #[error(
        "slurmrestd at {place} reports for GET {target}: {said}; it says no more when it does not accept the token or slurmctld is down: try `scontrol ping`, then a new token of `scontrol token username={user} lifespan=...`"
    )]
    Unspecified {
        place: String,
        target: String,
        user: String,
        said: String,
    },
    #[error(
        "slurmrestd at {place} offers none of the versions v0.0.38, v0.0.40, v0.0.41, v0.0.42 (it offers {offered}); start it with `-s openapi/v0.0.38` or `-s openapi/slurmctld`"
    )]
    NoVersion { place: String, offered: String },
    #[error("the hostlist `{list}` {why}; the node names of this job or partition are left out")]
    Hostlist { list: String, why: &'static str },
    #[error(
        "the hostlist `{list}` names {nodes} nodes; more than 65536 are not expanded, and its node names are left out"
    )]
    HostlistBomb { list: String, nodes: u128 },
}

impl SlurmError {
    /// When the other end wants to be asked again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Busy { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
