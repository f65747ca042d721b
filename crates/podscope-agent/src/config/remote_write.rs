//! The section about sending samples elsewhere.

use std::path::PathBuf;

use super::Period;
use super::section::section;

section! {
    /// Sending this agent's samples to a Prometheus-compatible store (remote write 1.0). The history is the queue: what the
    /// store does not take waits there and is sent later, also after a restart.
    pub struct RemoteWriteConfig = "remote_write" {
        /// Where to. Not set: nothing is sent.
        url: Option<String> = None, "\"https://mimir.example.com/api/v1/push\"";
        /// File with a bearer token on its first line.
        token_file: Option<PathBuf> = None, "\"/etc/podscope/remote-write-token\"";
        /// User name of basic authentication; `password_file` holds the password.
        user: Option<String> = None, "\"podscope\"";
        /// File with the password on its first line.
        password_file: Option<PathBuf> = None, "\"/etc/podscope/remote-write-password\"";
        /// Tenant, sent as `X-Scope-OrgID`.
        tenant: Option<String> = None, "\"pod-a\"";
        /// File with the certificates to trust instead of the system's, PEM.
        ca_file: Option<PathBuf> = None, "\"/etc/podscope/store-ca.crt\"";
        /// Only series that one of these selectors matches. Empty: all.
        select: Vec<String> = Vec::new();
        /// Of each series the last sample of every such span is sent.
        resolution: Period = Period::from_secs(15);
        /// What could not be sent for this long is given up and counted.
        max_backlog: Period = Period::from_secs(2 * 3600);
        /// How long the store may take to answer.
        timeout: Period = Period::from_secs(30);
        /// Samples in one request.
        max_samples: u64 = 2000;
    }
}
