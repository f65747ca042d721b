//! The hub of a simulated pod: a real agent, started as its program starts it from a configuration, that holds the pod's
//! events and pod-level series.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use podscope_agent::config::check;
use podscope_agent::driver::Driver;
use podscope_agent::events::Inbox;
use podscope_agent::slurm::{self, EventIncidents};
use podscope_agent::{Agent, AgentState, Config, Identity, RunningAgent, StartOptions, known_collectors};
use podscope_collect::Collector;
use podscope_collect::slurm::slo::{Incidents, SloCollector};
use podscope_collect::slurm::{Clock, SlurmBook, SlurmCollector, SystemClock};
use podscope_history::{History, Options};
use podscope_model::event::{Event, EventKind, EventSink};
use tokio::task::JoinHandle;

use crate::cluster::{SimError, SimTarget, now_ms};
use crate::hub_switches;
use crate::nvue::{NvueOptions, NvueServer};
use crate::pod::fabric::PodFabric;
use crate::pod::reports::PodReports;
use crate::pod::topology::TENANTS;
use crate::pod::vms::PodStorage;
use crate::pod::{Pod, timeline};
use crate::senders::{Receivers, Senders};
use crate::slurmrestd::{PodWorld, SlurmWorld, Slurmrestd, SlurmrestdOptions, WorldSource};
use crate::vms::{SimVms, VmsOptions};

/// Rows of the scheduler lie so far apart.
const SLURM_MS: i64 = 30_000;
/// What slurmrestd wants to see.
const TOKEN: &str = "simulated-slurm-token";

/// How often what was told since is put in.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// See the module. Call [`PodHub::stop`].
#[derive(Debug)]
pub struct PodHub {
    instance: String,
    labels: BTreeMap<String, String>,
    agent: RunningAgent,
    teller: JoinHandle<()>,
    slurmrestd: JoinHandle<()>,
    slurm_url: String,
    vms: SimVms,
    _nvue: NvueServer,
    _senders: Senders,
}

/// An address of loopback that nobody has now, for datagrams.
fn free_udp() -> Result<SocketAddr, SimError> {
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(failed)?;
    socket.local_addr().map_err(failed)
}

/// The present of a past that is being filled.
#[derive(Debug, Default)]
struct Past(AtomicI64);

impl Clock for Past {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The incidents of the timeline.
#[derive(Debug)]
struct Told {
    incidents: Vec<Event>,
    clock: Arc<Past>,
}

impl Incidents for Told {
    fn opened_ms(&self) -> Option<i64> {
        let now = self.clock.now_ms();
        let open = self
            .incidents
            .iter()
            .filter(|event| event.time_ms <= now && event.end_ms.is_none_or(|end| end > now));
        open.map(|event| event.time_ms).min()
    }
}

/// The contracts, as the configuration has them.
fn contracts() -> String {
    let mut text = String::new();
    for tenant in &TENANTS {
        text.push_str(&format!("  {{ name = {:?}, accounts = [{:?}], gpus = {}, price = {:?}, penalty = {:?}, wait_penalty = {:?}, cap = {:?} }},\n",
            tenant.name,
            tenant.account,
            tenant.promised,
            tenant.owed_price,
            tenant.owed_price,
            tenant.wait_penalty,
            tenant.cap,));
    }
    text
}

/// Lets the collectors of the hub live through its past.
fn fill(pod: &Arc<Pod>, config: &Config, dir: &Path, (from_ms, to_ms): (i64, i64)) -> Result<(), SimError> {
    let opened = History::open(Options::new(dir));
    let (history, _) = opened.map_err(|source| SimError::History {
        dir: dir.to_path_buf(),
        source: Box::new(source),
    })?;
    let state = AgentState::local(Identity::of_config(config), Arc::new(history));
    let clock = Arc::new(Past::default());
    let told = Told {
        incidents: timeline::timeline(pod, true, (i64::MIN, to_ms))
            .into_iter()
            .filter(|event| event.kind == EventKind::Incident)
            .collect(),
        clock: Arc::clone(&clock),
    };
    let book = SlurmBook::new(config.slurm.book_options(&config.slo));
    let source = WorldSource::new(Arc::new(PodWorld::new(Arc::clone(pod))));
    let now: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
    let collectors: [Box<dyn Collector>; 2] = [
        Box::new(SlurmCollector::new(book.clone(), Arc::clone(&now)).asking_itself(Box::new(source))),
        Box::new(SloCollector::new(
            book,
            now,
            config.slo.contract(),
            Arc::new(told),
        )),
    ];
    let mut drivers: Vec<Driver> = collectors
        .into_iter()
        .map(|collector| {
            let descriptor = collector.descriptor();
            let stream = state.add_stream(descriptor.name, descriptor.job, descriptor.interval_ms);
            Driver::new(collector, stream)
        })
        .collect();
    let mut t_ms = from_ms - from_ms.rem_euclid(SLURM_MS) + SLURM_MS;
    while t_ms <= to_ms {
        clock.0.store(t_ms, Ordering::Relaxed);
        for driver in &mut drivers {
            driver.tick(t_ms);
        }
        t_ms += SLURM_MS;
    }
    hub_switches::fill(pod, &state, (from_ms, to_ms));
    if let Err(error) = state.history().seal() {
        tracing::warn!(%error, "the hub's filled past could not be sealed");
    }
    Ok(())
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> SimError {
    SimError::Hub(Box::new(error))
}

impl PodHub {
    /// Starts it, with the timeline until `started_ms`; what comes later is told when it happens.
    pub(crate) async fn start(
        pod: &Arc<Pod>,
        dir: &Path,
        (port, vms_port): (u16, u16),
        announced: bool,
        (from_ms, started_ms): (i64, i64),
    ) -> Result<Self, SimError> {
        let topology = pod.topology();
        let instance = format!("{}-hub", topology.cluster());
        let labels: BTreeMap<String, String> = [("cluster", topology.cluster()), ("pod", topology.pod())]
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        std::fs::create_dir_all(dir).map_err(SimError::DataDir)?;
        let world: Arc<dyn SlurmWorld> = Arc::new(PodWorld::new(Arc::clone(pod)));
        let options = SlurmrestdOptions {
            versions: vec!["v0.0.40"],
            token: Some(TOKEN.to_owned()),
            ..SlurmrestdOptions::default()
        };
        let router = Slurmrestd::new(world, Arc::new(SystemClock), options).router();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .map_err(failed)?;
        let slurm_url = format!("http://{}", listener.local_addr().map_err(failed)?);
        let slurmrestd = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the simulated slurmrestd no longer serves");
            }
        });
        let clock: crate::nvue::Clock = Arc::new(now_ms);
        let fabric = Arc::new(PodFabric(Arc::clone(pod)));
        let nvue = NvueServer::start(fabric, Arc::clone(&clock), NvueOptions::default())
            .await
            .map_err(failed)?;
        let vms = VmsOptions {
            port: vms_port,
            ..VmsOptions::default()
        };
        let vms_password = vms.access.password.clone();
        let vms = SimVms::start(PodStorage(Arc::clone(pod)), vms)
            .await
            .map_err(failed)?;
        let (syslog, traps) = (free_udp()?, free_udp()?);
        let password_file = dir.join("nvue-password");
        std::fs::write(&password_file, NvueOptions::default().password).map_err(SimError::DataDir)?;
        let vms_file = dir.join("vms-password");
        std::fs::write(&vms_file, vms_password).map_err(SimError::DataDir)?;
        let mut switches = String::new();
        for who in hub_switches::switches(pod) {
            switches.push_str(&format!(
                "[[switches]]\nname = {:?}\nurl = {:?}\nfabric = {:?}\nrole = {:?}\n",
                who.switch,
                nvue.url(&who.switch),
                who.fabric,
                who.role
            ));
        }
        let token_file = dir.join("slurm-token");
        std::fs::write(&token_file, TOKEN).map_err(SimError::DataDir)?;
        let text = format!(
            "listen = \"127.0.0.1:{port}\"\n\
             instance = \"{instance}\"\n\
             labels = {{ cluster = \"{}\", pod = \"{}\" }}\n\
             data_dir = {:?}\n\
             [gpu]\nenabled = false\n\
             [containers]\nenabled = false\n\
             [write]\npeers = [\"127.0.0.1\"]\n\
             [slurm]\nurl = \"{slurm_url}\"\nuser = \"podscope\"\ntoken_file = {:?}\n\
             [slo]\nidle_gpu_price = 2.0\ntenants = [\n{}]\n\
             [nvue]\nuser = \"podscope\"\npassword_file = {:?}\n\
             [syslog]\nudp = \"{syslog}\"\n\
             [snmp]\nlisten = \"{traps}\"\n\
             {switches}\
             [[vast_clusters]]\nname = \"{}\"\nurl = {:?}\nuser = \"podscope\"\npassword_file = {:?}\n",
            topology.cluster(),
            topology.pod(),
            dir.join("data"),
            token_file,
            contracts(),
            password_file,
            topology.cluster(),
            vms.url(),
            vms_file,
        );
        let file = dir.join("hub.toml");
        std::fs::write(&file, &text).map_err(SimError::DataDir)?;
        let config = check::parse(&file, &text, &known_collectors()).map_err(failed)?;
        let (filled, past, data) = (Arc::clone(pod), config.clone(), dir.join("data"));
        let filling =
            tokio::task::spawn_blocking(move || fill(&filled, &past, &data, (from_ms, started_ms))).await;
        filling.map_err(|_| SimError::Backfill)??;
        let inbox = Inbox::new();
        let incidents = Arc::new(EventIncidents::new(Arc::clone(&inbox)));
        let (collectors, scheduler) = slurm::collectors(&config, incidents).map_err(failed)?;
        let options = StartOptions {
            insecure: false,
            config_file: Some(file),
            inbox: Some(Arc::clone(&inbox)),
            ..StartOptions::default()
        };
        let agent = Agent::start(config, options, collectors).await.map_err(failed)?;
        if let Some(scheduler) = scheduler {
            scheduler.attach(&agent.state);
        }
        let past = Arc::clone(pod);
        let told = tokio::task::spawn_blocking(move || hub_switches::told(&past)).await;
        for event in told.unwrap_or_default() {
            inbox.emit(event);
        }
        let receivers = Receivers {
            syslog: Some(syslog),
            traps: Some(traps),
            community: "public".to_owned(),
        };
        let reports = Arc::new(PodReports(Arc::clone(pod)));
        let senders = Senders::start(reports, clock, receivers).await.map_err(failed)?;
        let told = Arc::clone(pod);
        let teller = tokio::spawn(async move {
            let mut after_ms = i64::MIN;
            let mut until_ms = started_ms;
            loop {
                let pod = Arc::clone(&told);
                let span = (after_ms, until_ms);
                let events =
                    tokio::task::spawn_blocking(move || timeline::timeline(&pod, announced, span)).await;
                for event in events.unwrap_or_default() {
                    inbox.emit(event);
                }
                after_ms = until_ms;
                tokio::time::sleep(TELL_EVERY).await;
                until_ms = now_ms().max(after_ms);
            }
        });
        Ok(Self {
            instance,
            labels,
            agent,
            teller,
            slurmrestd,
            slurm_url,
            vms,
            _nvue: nvue,
            _senders: senders,
        })
    }

    /// Where it can be asked.
    pub fn target(&self) -> SimTarget {
        SimTarget {
            url: format!("http://{}", self.agent.addr),
            instance: self.instance.clone(),
            labels: self.labels.clone(),
        }
    }

    /// Where the simulated management server of the storage cluster listens.
    pub fn vms_url(&self) -> String {
        self.vms.url()
    }

    /// Where the simulated slurmrestd listens.
    pub fn slurm_url(&self) -> &str {
        &self.slurm_url
    }

    pub(crate) async fn stop(self) {
        self.teller.abort();
        self.slurmrestd.abort();
        if let Err(error) = self.agent.stop().await {
            tracing::warn!(%error, "the hub's last rows could not be written");
        }
    }
}
