//! Sending what the devices say, at its time, to a hub.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::world::ReportWorld;
use super::{syslog, trap};
use crate::nvue::Clock;

/// Where to send.
#[derive(Clone, Debug, Default)]
pub struct Receivers {
    /// Syslog over UDP.
    pub syslog: Option<SocketAddr>,
    /// SNMP v2c traps.
    pub traps: Option<SocketAddr>,
    pub community: String,
}

/// The running senders. Dropping it ends them.
#[derive(Debug)]
pub struct Senders {
    task: JoinHandle<()>,
}

impl Drop for Senders {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// How often is looked whether somebody has something to say.
const EVERY: Duration = Duration::from_millis(200);

impl Senders {
    /// Sends everything said from now on, by the simulated clock.
    ///
    /// # Errors
    /// When there is no socket to be had.
    pub async fn start(
        world: Arc<dyn ReportWorld>,
        clock: Clock,
        receivers: Receivers,
    ) -> std::io::Result<Self> {
        let socket = UdpSocket::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let task = tokio::spawn(async move {
            let began_ms = clock();
            let mut said_ms = began_ms;
            loop {
                let now_ms = clock();
                for report in world.reports(said_ms, now_ms) {
                    let up = (report.t_ms - began_ms).max(0) / 10;
                    let up = u32::try_from(up).unwrap_or(u32::MAX);
                    let line = syslog::rfc5424(&report).map(String::into_bytes);
                    let packet = trap::v2c(&report, &receivers.community, up);
                    for (bytes, to) in [(line, receivers.syslog), (packet, receivers.traps)] {
                        if let (Some(bytes), Some(to)) = (bytes, to) {
                            // Nobody learns that a datagram was lost.
                            drop(socket.send_to(&bytes, to).await);
                        }
                    }
                }
                said_ms = said_ms.max(now_ms);
                tokio::time::sleep(EVERY).await;
            }
        });
        Ok(Self { task })
    }
}
