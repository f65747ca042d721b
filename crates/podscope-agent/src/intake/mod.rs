//! What comes in unasked beside samples: syslog and SNMP traps. Everything here is bounded: so many messages per second and
//! sender, so many connections, so many senders told apart; what is more is dropped and counted.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`syslog`] | UDP and TCP |
//! | [`traps`] | SNMP over UDP |

pub mod syslog;
pub mod traps;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};

use podscope_model::event::{Event, EventSink};

use crate::config::check::ConfigError;
use crate::config::{Config, Peer};
use crate::otlp::SwitchBook;
use crate::stream::lock;

/// Senders whose clocks are followed.
const MOST_CLOCKS: usize = 1024;
/// A clock that was not heard for so long is forgotten.
const FORGET_MS: i64 = 3_600_000;

/// Why a receiver does not start.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error(
        "cannot listen on {addr} for {what}; take another address, or give the agent the right to ports below 1024 (CAP_NET_BIND_SERVICE)"
    )]
    Bind {
        what: &'static str,
        addr: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// What came in, for the agent's own metrics.
#[derive(Debug, Default)]
pub struct IntakeStats {
    counts: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    clocks: Mutex<BTreeMap<(&'static str, String), (f64, i64)>>,
}

impl IntakeStats {
    /// Counts messages of a kind (`syslog`, `snmp`) by what became of them.
    pub fn count(&self, kind: &'static str, result: &'static str, more: u64) {
        if more > 0 {
            *lock(&self.counts).entry((kind, result)).or_default() += more;
        }
    }

    pub fn counts(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        lock(&self.counts).clone()
    }

    /// Notes how far a sender's clock is ahead.
    pub fn note_skew(&self, source: &'static str, host: &str, seconds: f64) {
        let now_ms = crate::schedule::now_ms();
        let mut clocks = lock(&self.clocks);
        let key = (source, host.to_owned());
        if clocks.len() >= MOST_CLOCKS && !clocks.contains_key(&key) {
            clocks.retain(|_, (_, at)| now_ms - *at < FORGET_MS);
            if clocks.len() >= MOST_CLOCKS {
                return;
            }
        }
        clocks.insert(key, (seconds, now_ms));
    }

    /// The clocks heard in the last hour.
    pub fn clocks(&self, now_ms: i64) -> Vec<(&'static str, String, f64)> {
        let mut clocks = lock(&self.clocks);
        clocks.retain(|_, (_, at)| now_ms - *at < FORGET_MS);
        clocks
            .iter()
            .map(|((source, host), (seconds, _))| (*source, host.clone(), *seconds))
            .collect()
    }
}

/// Who may send.
#[derive(Clone, Debug)]
pub(crate) struct Peers(Vec<Peer>);

impl Peers {
    pub(crate) fn new(own: Option<&Vec<Peer>>, common: &[Peer]) -> Self {
        Self(own.map_or_else(|| common.to_vec(), Clone::clone))
    }

    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|peer| peer.0.contains(&address))
    }
}

/// What the receivers work with.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) events: Arc<dyn EventSink>,
    pub(crate) stats: Arc<IntakeStats>,
    pub(crate) senders: Arc<SwitchBook>,
}

impl Parts {
    fn emit(&self, event: Event) {
        self.events.emit(event);
    }
}

/// The receivers that run.
#[derive(Debug, Default)]
pub struct Intake {
    pub syslog: Option<syslog::SyslogReceiver>,
    pub traps: Option<traps::TrapReceiver>,
}

impl Intake {
    /// Starts what the configuration wants. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// An address that cannot be listened on, or a file that cannot be read.
    pub(crate) async fn start(config: &Config, parts: &Parts) -> Result<Self, IntakeError> {
        Ok(Self {
            syslog: syslog::SyslogReceiver::start(config, parts).await?,
            traps: traps::TrapReceiver::start(config, parts).await?,
        })
    }
}
