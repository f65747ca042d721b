//! SNMP traps over UDP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use podscope_collect::snmp::names::Names;
use podscope_collect::snmp::usm::Users;
use podscope_collect::snmp::{AuthProtocol, Privacy, Reader, User, event, packet};
use podscope_collect::syslog::Gate;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::{IntakeError, Parts, Peers};
use crate::config::check::ConfigError;
use crate::config::{Config, SnmpUserConfig};
use crate::schedule::now_ms;
use crate::switches::first_line;

/// The running receiver. Dropping it ends it.
#[derive(Debug)]
pub struct TrapReceiver {
    /// Where it listens; the port is real even where the configuration said 0.
    pub addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for TrapReceiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl TrapReceiver {
    pub(super) async fn start(config: &Config, parts: &Parts) -> Result<Option<Self>, IntakeError> {
        let snmp = &config.snmp;
        let Some(addr) = snmp.listen else { return Ok(None) };
        let read = |what: &'static str, path: &std::path::Path| {
            std::fs::read_to_string(path).map_err(|source| ConfigError::File {
                what,
                path: path.to_owned(),
                source,
            })
        };
        let communities = match &snmp.communities_file {
            Some(path) => {
                let text = read("file of SNMP communities", path)?;
                let list = text.lines().map(str::trim).filter(|line| !line.is_empty());
                Some(list.map(str::to_owned).collect())
            }
            None => None,
        };
        let mut names = Names::default();
        if let Some(path) = &snmp.names_file {
            let text = read("file of SNMP names", path)?;
            names.add(&text).map_err(|reason| ConfigError::Content {
                what: "file of SNMP names",
                path: path.clone(),
                reason,
            })?;
        }
        let users = config
            .snmp_users
            .iter()
            .flatten()
            .map(user)
            .collect::<Result<Vec<User>, ConfigError>>()?;
        let fail = |source| IntakeError::Bind {
            what: "SNMP traps",
            addr,
            source,
        };
        let socket = UdpSocket::bind(addr).await.map_err(fail)?;
        let addr = socket.local_addr().map_err(fail)?;
        tracing::info!(%addr, users = users.len(), "taking SNMP traps");
        let work = Work {
            reader: Reader::new(communities, snmp.v2c, Users::new(users)),
            names,
            gate: Gate::new(snmp.rate as f64, snmp.burst as f64),
            peers: Peers::new(snmp.peers.as_ref(), &config.write.peers),
            parts: parts.clone(),
        };
        let task = tokio::spawn(work.run(Arc::new(socket)));
        Ok(Some(Self { addr, task }))
    }
}

fn user(config: &SnmpUserConfig) -> Result<User, ConfigError> {
    let auth = AuthProtocol::parse(&config.auth).unwrap_or(AuthProtocol::None);
    let privacy = Privacy::parse(&config.privacy).unwrap_or(Privacy::None);
    let auth_password = first_line(config.auth_password_file.as_deref())?;
    let privacy_password = first_line(config.privacy_password_file.as_deref())?;
    User::new(
        &config.name,
        (auth, auth_password.expose()),
        (privacy, privacy_password.expose()),
    )
    .map_err(|error| ConfigError::Content {
        what: "user of [[snmp_users]]",
        path: config.auth_password_file.clone().unwrap_or_default(),
        reason: error.to_string(),
    })
}

struct Work {
    reader: Reader,
    names: Names,
    gate: Gate,
    peers: Peers,
    parts: Parts,
}

impl Work {
    async fn run(mut self, socket: Arc<UdpSocket>) {
        let mut buffer = vec![0_u8; packet::MAX_PACKET];
        let mut handled = 0_u64;
        loop {
            let (length, from) = match socket.recv_from(&mut buffer).await {
                Ok(received) => received,
                Err(error) => {
                    tracing::debug!(%error, "receiving traps");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            let packet = buffer.get(..length).unwrap_or_default();
            let result = self.packet(packet, from);
            self.parts.stats.count("snmp", result, 1);
            if result == "event"
                && let Some(answer) = packet::acknowledgement(packet)
            {
                // A sender that does not hear it sends again, which is the same event.
                drop(socket.try_send_to(&answer, from));
            }
            handled += 1;
            if handled.is_multiple_of(256) {
                tokio::task::yield_now().await;
            }
        }
    }

    fn packet(&mut self, packet: &[u8], from: SocketAddr) -> &'static str {
        if !self.peers.allows(from.ip()) {
            return "refused";
        }
        if !self.gate.admit(from.ip(), Instant::now()) {
            return "limited";
        }
        let trap = match self.reader.read(packet) {
            Ok(trap) => trap,
            Err(error) => {
                tracing::debug!(%from, %error, "a trap is not taken");
                return match error.is_refusal() {
                    true => "refused",
                    false => "unreadable",
                };
            }
        };
        // What a v1 trap says of its origin counts more than the relay it came by.
        let origin = trap.agent_address.map_or(from.ip(), std::net::IpAddr::from);
        let host = self.parts.senders.name_of(origin);
        self.parts.emit(event::event(&trap, &host, &self.names, now_ms()));
        "event"
    }
}
