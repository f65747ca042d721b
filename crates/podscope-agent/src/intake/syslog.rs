//! Syslog over UDP and TCP. Whether a sender may speak, and how much, is decided before a line is read; reading and classifying
//! happen on the connection's own task, which never waits for anything but the network.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use podscope_collect::syslog::{Classifier, ClassifierOptions, Framing, Gate, Line};
use podscope_model::event::{EventKind, Severity};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinHandle;

use super::{IntakeError, Parts, Peers};
use crate::config::Config;
use crate::schedule::now_ms;
use crate::stream::lock;

/// The largest datagram.
const MAX_DATAGRAM: usize = 64 << 10;
/// Bytes read from a connection at once.
const CHUNK: usize = 64 << 10;
/// A connection that is silent for so long is closed; syslog has no keep-alive.
const IDLE: Duration = Duration::from_secs(3600);
/// Lines handled before others get their turn.
const BATCH: usize = 256;
/// Events per second of one sender in which nothing known was found, and how many at once.
const PLAIN_RATE: f64 = 2.0;
const PLAIN_BURST: f64 = 100.0;
/// How often bursts that are over are told.
const ENDED_EVERY: Duration = Duration::from_secs(5);

/// The running receiver. Dropping it ends it.
#[derive(Debug)]
pub struct SyslogReceiver {
    /// Where it listens; the ports are real even where the configuration said 0.
    pub udp: Option<SocketAddr>,
    pub tcp: Option<SocketAddr>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for SyslogReceiver {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// What all senders share.
struct Shared {
    parts: Parts,
    peers: Peers,
    gate: Mutex<Gate>,
    /// Lines that are events only because they are bad: so that one sender's do not use up what the event store takes from all.
    plain: Mutex<Gate>,
    classifier: Mutex<Classifier>,
    connections: AtomicUsize,
}

impl SyslogReceiver {
    pub(super) async fn start(config: &Config, parts: &Parts) -> Result<Option<Self>, IntakeError> {
        let syslog = &config.syslog;
        if syslog.udp.is_none() && syslog.tcp.is_none() {
            return Ok(None);
        }
        let options = ClassifierOptions {
            min_severity: syslog.min_severity.parse().unwrap_or(Severity::Error),
            max_skew_ms: i64::try_from(syslog.max_skew.as_ms()).unwrap_or(i64::MAX),
        };
        let shared = Arc::new(Shared {
            parts: parts.clone(),
            peers: Peers::new(syslog.peers.as_ref(), &config.write.peers),
            gate: Mutex::new(Gate::new(syslog.rate as f64, syslog.burst as f64)),
            plain: Mutex::new(Gate::new(PLAIN_RATE, PLAIN_BURST)),
            classifier: Mutex::new(Classifier::new(options)),
            connections: AtomicUsize::new(0),
        });
        let mut receiver = Self {
            udp: None,
            tcp: None,
            tasks: Vec::new(),
        };
        if let Some(addr) = syslog.udp {
            let fail = |source| IntakeError::Bind {
                what: "syslog over UDP",
                addr,
                source,
            };
            let socket = UdpSocket::bind(addr).await.map_err(fail)?;
            receiver.udp = Some(socket.local_addr().map_err(fail)?);
            receiver
                .tasks
                .push(tokio::spawn(datagrams(socket, Arc::clone(&shared))));
        }
        if let Some(addr) = syslog.tcp {
            let fail = |source| IntakeError::Bind {
                what: "syslog over TCP",
                addr,
                source,
            };
            let listener = TcpListener::bind(addr).await.map_err(fail)?;
            receiver.tcp = Some(listener.local_addr().map_err(fail)?);
            let most = usize::try_from(syslog.max_connections).unwrap_or(usize::MAX);
            receiver
                .tasks
                .push(tokio::spawn(connections(listener, most, Arc::clone(&shared))));
        }
        receiver.tasks.push(tokio::spawn(async move {
            loop {
                tokio::time::sleep(ENDED_EVERY).await;
                shared.end_bursts();
            }
        }));
        tracing::info!(udp = ?receiver.udp, tcp = ?receiver.tcp, "taking syslog");
        Ok(Some(receiver))
    }
}

impl Shared {
    /// Takes one line of a sender who may speak.
    fn line(&self, bytes: &[u8], sender: IpAddr) {
        if !lock(&self.gate).admit(sender, Instant::now()) {
            return self.parts.stats.count("syslog", "limited", 1);
        }
        let now = now_ms();
        let line = Line::parse(bytes, now);
        if line.text.is_empty() {
            return self.parts.stats.count("syslog", "unreadable", 1);
        }
        let name = self.parts.senders.name_of(sender);
        if let Some(time_ms) = line.time_ms {
            let host = if line.host.is_empty() { &name } else { &line.host };
            self.parts
                .stats
                .note_skew("syslog", host, (time_ms - now) as f64 / 1000.0);
        }
        let event = lock(&self.classifier).event(&line, &name, now);
        match event {
            Some(event)
                if event.kind == EventKind::Log && !lock(&self.plain).admit(sender, Instant::now()) =>
            {
                self.parts.stats.count("syslog", "limited", 1);
            }
            Some(event) => {
                self.parts.stats.count("syslog", "event", 1);
                self.parts.emit(event);
            }
            None => self.parts.stats.count("syslog", "ignored", 1),
        }
    }

    fn end_bursts(&self) {
        let ended = lock(&self.classifier).ended(now_ms());
        for event in ended {
            self.parts.emit(event);
        }
    }
}

async fn datagrams(socket: UdpSocket, shared: Arc<Shared>) {
    let mut buffer = vec![0_u8; MAX_DATAGRAM];
    let mut handled = 0;
    loop {
        let (length, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            Err(error) => {
                tracing::debug!(%error, "receiving syslog");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if !shared.peers.allows(from.ip()) {
            shared.parts.stats.count("syslog", "refused", 1);
        } else {
            // A datagram is one line; some senders put several into it.
            for part in buffer
                .get(..length)
                .unwrap_or_default()
                .split(|byte| *byte == b'\n')
            {
                if !part.is_empty() {
                    shared.line(part, from.ip());
                }
            }
        }
        handled += 1;
        if handled % BATCH == 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn connections(listener: TcpListener, most: usize, shared: Arc<Shared>) {
    loop {
        let (stream, from) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "accepting a connection for syslog");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if !shared.peers.allows(from.ip()) {
            shared.parts.stats.count("syslog", "refused", 1);
            continue;
        }
        if shared.connections.fetch_add(1, Ordering::Relaxed) >= most {
            shared.connections.fetch_sub(1, Ordering::Relaxed);
            shared.parts.stats.count("syslog", "limited", 1);
            continue;
        }
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            connection(stream, from.ip(), &shared).await;
            shared.connections.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

async fn connection(mut stream: TcpStream, from: IpAddr, shared: &Arc<Shared>) {
    let mut framing = Framing::default();
    let mut buffer = vec![0_u8; CHUNK];
    let mut handled = 0;
    loop {
        let length = match tokio::time::timeout(IDLE, stream.read(&mut buffer)).await {
            Ok(Ok(0) | Err(_)) | Err(_) => break,
            Ok(Ok(length)) => length,
        };
        // The receiver may have been stopped meanwhile.
        if Arc::strong_count(shared) == 1 {
            return;
        }
        framing.push(buffer.get(..length).unwrap_or_default());
        while let Some(frame) = framing.next_frame() {
            shared.line(&frame, from);
            handled += 1;
            if handled % BATCH == 0 {
                tokio::task::yield_now().await;
            }
        }
    }
    if let Some(rest) = framing.rest() {
        shared.line(&rest, from);
    }
}
