//! Starting and stopping an agent: configuration in, a running server out.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use hyper_util::rt::TokioTimer;
use podscope_collect::Collector;
use podscope_collect::changes::{ChangeBook, SharedBook};
use podscope_history::events::{EventOptions, EventStore};
use podscope_history::{History, HistoryError, Options, TierLimits};
use tokio::task::JoinHandle;

use crate::collectors::known_collectors;
use crate::config::Config;
use crate::config::check::ConfigError;
use crate::data_dir::{self, NoDataDir};
use crate::driver::Driver;
use crate::events::Inbox;
use crate::events::keeper::EventKeeper;
use crate::http::router;
use crate::hub::{Hub, HubError};
use crate::identity::Identity;
use crate::intake::{self, Intake, IntakeError};
use crate::listen::{ListenError, bind, check_exposure};
use crate::otlp::Otlp;
use crate::otlp::grpc::GrpcServer;
use crate::reload::{Reloader, install};
use crate::remote_write::RemoteWrite;
use crate::schedule::Schedule;
use crate::self_metrics::SelfCollector;
use crate::state::{AgentState, Live, Retention};
use crate::switches::{self, Switches};
use crate::tls::TlsError;
use crate::vast_watch::VastWatch;

/// A client has this long to send its request's head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers under way have this long when the agent stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// Why an agent did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    NoDataDir(#[from] NoDataDir),
    #[error("cannot open the history in {path}; make the folder writable for this user or set `data_dir`", path = path.display())]
    History {
        path: PathBuf,
        #[source]
        source: HistoryError,
    },
    #[error("cannot start the collectors' threads")]
    Threads(#[source] std::io::Error),
    #[error("cannot tell this program's own file, which the GPU collector starts again")]
    OwnFile(#[source] std::io::Error),
    #[error(transparent)]
    Hub(#[from] HubError),
    #[error(transparent)]
    Intake(#[from] IntakeError),
    #[error("cannot serve")]
    Serve(#[source] std::io::Error),
}

/// What the command line adds to the configuration.
#[derive(Clone, Debug, Default)]
pub struct StartOptions {
    /// Serve beyond loopback without TLS and token.
    pub insecure: bool,
    /// Where the configuration came from, for reload.
    pub config_file: Option<PathBuf>,
    /// Where the collectors put events; the agent's store takes them from there.
    pub inbox: Option<Arc<Inbox>>,
    /// What was seen of settings and versions; not given, it is opened in the data folder.
    pub changes: Option<SharedBook>,
}

/// Starts agents; see [`Agent::start`].
#[derive(Clone, Copy, Debug)]
pub struct Agent;

impl Agent {
    /// Starts an agent: listens, opens the history, starts the collectors. Call it inside a tokio runtime.
    ///
    /// # Errors
    /// What hinders it, with what to do about it. Nothing is left running.
    pub async fn start(
        config: Config,
        options: StartOptions,
        collectors: Vec<Box<dyn Collector>>,
    ) -> Result<RunningAgent, StartError> {
        let token = config.load_token()?;
        let write = config.load_write()?;
        let tls = crate::tls::load(&config.tls)?;
        check_exposure(config.listen, tls.is_some(), token.is_some(), options.insecure)?;
        let listener = bind(config.listen)?;
        let addr = listener.local_addr().map_err(StartError::Serve)?;

        let identity = Identity::of_config(&config);
        let (history, events, data_dir) = open_history(&config)?;
        let live = Live {
            labels: identity.labels,
            token,
            write,
            limits: config.limits.clone(),
            retention: Some(Retention {
                max_age: config.history.max_age,
                max_bytes: config.history.max_bytes,
            }),
            local_only: addr.ip().to_canonical().is_loopback(),
        };
        let state = AgentState::new(identity.instance, Arc::clone(&history), live);
        state.set_event_store(Arc::clone(&events));
        let inbox = options.inbox.clone().unwrap_or_default();
        inbox.attach(&events);
        state.set_otlp(Otlp::of_config(&config));
        let asking = Asking::start(&config, &state, &data_dir, &inbox, options.changes.as_ref()).await?;
        if config.fanout.is_hub() {
            state.set_hub(Hub::start(&state, &config).await?);
        }

        let mut own_intervals = BTreeMap::new();
        let mut drivers = Vec::new();
        let own: Box<dyn Collector> = Box::new(SelfCollector::new(&state, true));
        for collector in collectors.into_iter().chain([own]) {
            let descriptor = collector.descriptor();
            own_intervals.insert(descriptor.name.to_owned(), descriptor.interval_ms);
            let interval = config.interval_of(descriptor.name, descriptor.interval_ms);
            let stream = state.add_stream(descriptor.name, descriptor.job, interval);
            if descriptor.name == GPU {
                stream.set_own_deadline(config.gpu.deadline.0 + GPU_GRACE);
            }
            drivers.push(Driver::new(collector, stream));
        }
        let schedule =
            Schedule::start(drivers, history, config.collectors.deadline.0).map_err(StartError::Threads)?;

        let remote_write = match RemoteWrite::start(&config.remote_write, &state, &data_dir) {
            Ok(remote_write) => remote_write,
            Err(error) => {
                schedule.stop();
                return Err(error.into());
            }
        };
        let event_keeper = match EventKeeper::start(events, Arc::clone(state.receiver())) {
            Ok(keeper) => keeper,
            Err(error) => {
                schedule.stop();
                return Err(StartError::Threads(error));
            }
        };

        let grpc = match config.otlp.grpc_listen {
            Some(addr) => {
                let listener = bind(addr)?;
                let server = GrpcServer::start(listener, tls.clone(), &state).map_err(StartError::Serve);
                match server {
                    Ok(server) => Some(server),
                    Err(error) => {
                        schedule.stop();
                        event_keeper.stop();
                        return Err(error);
                    }
                }
            }
            None => None,
        };
        let tls = tls.map(RustlsConfig::from_config);
        if let Some(file) = options.config_file {
            let reloader = Reloader {
                file,
                insecure: options.insecure,
                collectors: known_collectors(),
                own_intervals,
                state: Arc::downgrade(&state),
                controls: schedule.controls().clone(),
                tls: tls.clone(),
                last: Mutex::new(config.clone()),
                started: config,
            };
            install(&state, reloader);
        }
        let handle = Handle::new();
        let server = match serve(listener, tls.clone(), &handle, &state) {
            Ok(server) => server,
            Err(error) => {
                schedule.stop();
                event_keeper.stop();
                return Err(StartError::Serve(error));
            }
        };
        let scheme = if tls.is_some() { "https" } else { "http" };
        tracing::info!(instance = state.instance(), "listening on {scheme}://{addr}");
        Ok(RunningAgent {
            addr,
            state,
            handle,
            schedule,
            event_keeper,
            remote_write,
            asking,
            grpc,
            server,
        })
    }
}

/// What asks and listens beside the agent's own collectors. Dropping it ends it.
#[derive(Debug)]
struct Asking {
    intake: Intake,
    _switches: Option<Switches>,
    _vast: Option<VastWatch>,
}

impl Asking {
    async fn start(
        config: &Config,
        state: &Arc<AgentState>,
        data_dir: &std::path::Path,
        inbox: &Arc<Inbox>,
        changes: Option<&SharedBook>,
    ) -> Result<Self, StartError> {
        let events: Arc<dyn podscope_model::event::EventSink> = Arc::<Inbox>::clone(inbox);
        let changes = match changes {
            Some(book) => book.clone(),
            None => open_changes(config, data_dir),
        };
        let parts = intake::Parts {
            events: Arc::clone(&events),
            stats: Arc::clone(state.intake()),
            senders: Arc::clone(state.otlp().switches()),
        };
        let intake = Intake::start(config, &parts).await?;
        let vast = VastWatch::start(config, &changes, &events)?;
        let parts = switches::Parts {
            events,
            changes,
            pushes: Arc::clone(state.otlp().switches()),
        };
        let switches = Switches::start(config, state, &parts)?;
        Ok(Self {
            intake,
            _switches: switches,
            _vast: vast,
        })
    }
}

/// What was seen of settings and versions, in the data folder.
pub(crate) fn open_changes(config: &Config, data_dir: &std::path::Path) -> SharedBook {
    let book = ChangeBook::open(&data_dir.join(CHANGES)).ignoring(&config.changes.ignore);
    SharedBook::new(book)
}

/// The file of what was seen, in the data folder.
const CHANGES: &str = "changes.json";

/// The collector that has an interval and a deadline of its own.
pub(crate) const GPU: &str = "gpu";

/// The GPU collector keeps its deadline itself, and its own error says more: the runner leaves it so much more.
const GPU_GRACE: Duration = Duration::from_secs(1);

/// The folder of the events, in that of the history, whose lock guards it.
const EVENTS: &str = "events";

fn open_history(config: &Config) -> Result<(Arc<History>, Arc<EventStore>, PathBuf), StartError> {
    let dir = data_dir::of_config(config)?;
    tracing::info!(path = %dir.path.display(), "history {}", dir.why);
    let options = Options {
        max_age: config.history.max_age.0,
        max_bytes: config.history.max_bytes.0,
        minute: TierLimits {
            max_age: config.history.minutes_max_age.0,
            max_bytes: config.history.minutes_max_bytes.0,
        },
        hour: TierLimits {
            max_age: config.history.hours_max_age.0,
            max_bytes: config.history.hours_max_bytes.0,
        },
        sync_interval: config.history.sync_interval.0,
        free_space_floor: config.history.free_space_floor.0,
        ..Options::new(&dir.path)
    };
    let events_dir = dir.path.join(EVENTS);
    let data_dir = dir.path.clone();
    let (history, recovery) = History::open(options).map_err(|source| StartError::History {
        path: dir.path,
        source,
    })?;
    if recovery.cut.is_empty() && recovery.memory_only.is_none() {
        tracing::info!("{recovery}");
    } else {
        tracing::warn!("{recovery}");
    }
    let (events, recovery) = EventStore::open(EventOptions {
        max_age: config.events.max_age.0,
        max_bytes: config.events.max_bytes.0,
        sync_interval: config.history.sync_interval.0,
        rate: config.events.rate as f64,
        burst: config.events.burst as f64,
        ..EventOptions::new(events_dir)
    });
    if recovery.unreadable.is_empty() && recovery.memory_only.is_none() {
        tracing::info!("{recovery}");
    } else {
        tracing::warn!("{recovery}");
    }
    Ok((Arc::new(history), Arc::new(events), data_dir))
}

fn serve(
    listener: std::net::TcpListener,
    tls: Option<RustlsConfig>,
    handle: &Handle<SocketAddr>,
    state: &Arc<AgentState>,
) -> std::io::Result<JoinHandle<std::io::Result<()>>> {
    let app = router(Arc::clone(state)).into_make_service_with_connect_info::<SocketAddr>();
    // Two arms, because the two servers are of different types.
    Ok(match tls {
        Some(tls) => {
            let mut server = axum_server::from_tcp_rustls(listener, tls)?.handle(handle.clone());
            server
                .http_builder()
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT);
            tokio::spawn(server.serve(app))
        }
        None => {
            let mut server = axum_server::from_tcp(listener)?.handle(handle.clone());
            server
                .http_builder()
                .http1()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT);
            tokio::spawn(server.serve(app))
        }
    })
}

/// A running agent. Dropping it leaves it running until the runtime ends; call [`RunningAgent::stop`].
#[derive(Debug)]
pub struct RunningAgent {
    /// Where it listens; the port is real even where the configuration said 0.
    pub addr: SocketAddr,
    /// What it serves.
    pub state: Arc<AgentState>,
    handle: Handle<SocketAddr>,
    schedule: Schedule,
    event_keeper: EventKeeper,
    remote_write: Option<RemoteWrite>,
    asking: Asking,
    grpc: Option<GrpcServer>,
    server: JoinHandle<std::io::Result<()>>,
}

impl RunningAgent {
    /// Where syslog and traps are taken; the ports are real.
    pub fn intake(&self) -> &Intake {
        &self.asking.intake
    }

    /// Where OTLP/gRPC is served.
    pub fn grpc_addr(&self) -> Option<SocketAddr> {
        self.grpc.as_ref().map(|grpc| grpc.addr)
    }

    /// Stops serving, then collecting, then makes every row durable.
    ///
    /// # Errors
    /// When the rows of the last seconds could not be written.
    pub async fn stop(self) -> Result<(), HistoryError> {
        let Self {
            state,
            handle,
            schedule,
            event_keeper,
            remote_write,
            asking,
            grpc,
            server,
            ..
        } = self;
        drop((asking, grpc));
        if let Some(remote_write) = remote_write {
            remote_write.stop();
        }
        handle.graceful_shutdown(Some(DRAIN_TIMEOUT));
        // An error of accepting connections; nothing more is wanted of it.
        drop(server.await);
        let closed = tokio::task::spawn_blocking(move || {
            schedule.stop();
            event_keeper.stop();
            state.history().sync()
        });
        match closed.await {
            Ok(closed) => closed,
            Err(error) => {
                tracing::error!(%error, "closing the history was interrupted");
                Ok(())
            }
        }
    }
}
