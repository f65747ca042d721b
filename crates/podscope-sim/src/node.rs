//! One simulated node: the real agent over a simulated machine, and what can go wrong with it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum_server::Handle;
use podscope_agent::driver::Driver;
use podscope_agent::events::Inbox;
use podscope_agent::http::router;
use podscope_agent::schedule::Schedule;
use podscope_agent::self_metrics::{SELF, SelfCollector};
use podscope_agent::{AgentState, Identity};
use podscope_collect::containers::{
    ContainerBook, ContainerCollector, ContainerConfig, Ds01Collector, Engine, GpuProcessCollector,
};
use podscope_collect::gpu::sim::{SimFault, SimGpus};
use podscope_collect::gpu::{DirectGpuCollector, RowOptions};
use podscope_collect::kernel::{KernelLog, KernelLogParts};
use podscope_collect::{Collector, DomainSources, HostConfig, HostFs, domain_collectors, host_collectors};
use podscope_history::events::{EventOptions, EventStore};
use podscope_history::{History, Options};
use podscope_model::event::EventSink;

use crate::cluster::{SimError, SimTarget};
use crate::machine::Machine;
use crate::pod::node::PodNode;
use crate::schedule::Stretch;
use crate::service::InferenceServer;
use crate::trouble::{Spell, Trouble, Troubles};

/// A collection that takes longer is given up.
const COLLECTOR_DEADLINE: Duration = Duration::from_millis(700);

/// Collectors with at least this interval are slow: their last row may still be the current one when the agent starts.
const SLOW_MS: i64 = 5_000;

/// In stretches sparser than this, such collectors write a row only every minute; still far within the lookback.
const DENSE_MS: u64 = 1_000;
const COARSE_MS: u64 = 60_000;

/// What can go wrong with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The agent's process is gone: nothing listens, nothing is collected.
    AgentDead,
    /// Every answer comes this much later.
    AgentSlow(Duration),
    /// Connections are accepted, requests never answered.
    AgentHangs,
    /// This GPU has fallen off the bus.
    GpuLost(u32),
    /// Every call into the GPU driver hangs.
    DriverHangs,
}

/// A node of a [`crate::SimCluster`].
#[derive(Debug)]
pub struct SimNode {
    name: String,
    labels: BTreeMap<String, String>,
    history: Arc<History>,
    events: Arc<EventStore>,
    gpus: SimGpus,
    fs: Arc<dyn HostFs>,
    world: Mutex<World>,
    /// Milliseconds by which answers are late; `u64::MAX`: for ever.
    late_ms: Arc<AtomicU64>,
    /// Whether the driver hangs because of a trouble.
    hangs: AtomicBool,
    inbox: Arc<Inbox>,
    address: SocketAddr,
    agent: Mutex<Option<RunningAgent>>,
    live: bool,
}

/// What changes with time.
#[derive(Debug)]
struct World {
    machine: Machine,
    server: Option<InferenceServer>,
    troubles: Troubles,
}

/// What a process would be.
#[derive(Debug)]
struct RunningAgent {
    state: Arc<AgentState>,
    schedule: Option<Schedule>,
    server: Handle<SocketAddr>,
}

/// What a node is made from.
pub(crate) struct Plan<'a> {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) machine: Machine,
    pub(crate) server: Option<InferenceServer>,
    pub(crate) troubles: Troubles,
    pub(crate) dir: &'a Path,
    pub(crate) port: u16,
    pub(crate) live: bool,
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimNode {
    /// Makes the node; nothing runs yet. Answers the listener it will serve on.
    pub(crate) fn new(plan: Plan<'_>) -> Result<(Self, TcpListener), SimError> {
        let failed = |source| SimError::Listen {
            node: plan.name.clone(),
            port: plan.port,
            source,
        };
        let listener = TcpListener::bind(("127.0.0.1", plan.port)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let dir = plan.dir.join(&plan.name);
        let opened = History::open(Options::new(&dir));
        let (history, recovery) = opened.map_err(|source| SimError::History {
            dir: dir.clone(),
            source: Box::new(source),
        })?;
        tracing::debug!(node = plan.name, "{recovery}");
        let (events, recovery) = EventStore::open(EventOptions::new(dir.join("events")));
        tracing::debug!(node = plan.name, "{recovery}");
        let events = Arc::new(events);
        let inbox = Inbox::new();
        inbox.attach(&events);
        let node = Self {
            name: plan.name,
            labels: plan.labels,
            history: Arc::new(history),
            events: Arc::clone(&events),
            gpus: plan.machine.gpus().clone(),
            fs: plan.machine.fs(),
            world: Mutex::new(World {
                machine: plan.machine,
                server: plan.server,
                troubles: plan.troubles,
            }),
            late_ms: Arc::default(),
            hangs: AtomicBool::new(false),
            inbox,
            address,
            agent: Mutex::new(None),
            live: plan.live,
        };
        Ok((node, listener))
    }

    /// The name the agent gives itself.
    pub fn instance(&self) -> &str {
        &self.name
    }

    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it can be asked.
    pub fn target(&self) -> SimTarget {
        SimTarget {
            url: self.url(),
            instance: self.name.clone(),
            labels: self.labels.clone(),
        }
    }

    /// The running agent; `None` while it is dead.
    pub fn state(&self) -> Option<Arc<AgentState>> {
        held(&self.agent).as_ref().map(|agent| Arc::clone(&agent.state))
    }

    /// The node's GPUs, to be read and changed.
    pub fn gpus(&self) -> &SimGpus {
        &self.gpus
    }

    pub fn history(&self) -> &Arc<History> {
        &self.history
    }

    /// Lets the driver report an XID error at the next collection.
    pub fn raise_xid(&self, gpu: usize, xid: u64) {
        self.gpus.change(|state| state.raise_xid(gpu, xid));
    }

    /// Begins a fault. Several may last at once; [`SimNode::heal`] ends them. May block for seconds while threads end.
    pub fn inject(&self, fault: Fault) {
        match fault {
            Fault::AgentDead => self.kill(),
            Fault::AgentSlow(by) => {
                let ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX - 1);
                self.late_ms.store(ms, Ordering::Relaxed);
            }
            Fault::AgentHangs => self.late_ms.store(u64::MAX, Ordering::Relaxed),
            Fault::GpuLost(index) => self.gpus.change(|state| {
                if let Some(gpu) = state.gpus.iter_mut().find(|gpu| gpu.identity.index == index)
                    && !gpu.faults.contains(&SimFault::GpuLost)
                {
                    gpu.faults.push(SimFault::GpuLost);
                }
            }),
            Fault::DriverHangs => self.gpus.hang(true),
        }
    }

    /// Ends every fault. Call it inside a Tokio runtime.
    ///
    /// # Errors
    /// When a dead agent cannot be started again: its port is taken.
    pub fn heal(&self) -> Result<(), SimError> {
        self.late_ms.store(0, Ordering::Relaxed);
        self.gpus.hang(false);
        self.gpus
            .change(|state| state.gpus.iter_mut().for_each(|gpu| gpu.faults.clear()));
        if held(&self.agent).is_some() {
            return Ok(());
        }
        let failed = |source| SimError::Listen {
            node: self.name.clone(),
            port: self.address.port(),
            source,
        };
        let listener = TcpListener::bind(self.address).map_err(failed)?;
        self.start(listener, self.collectors())
    }

    fn kill(&self) {
        let Some(agent) = held(&self.agent).take() else {
            return;
        };
        // Closes the listener and every connection, as the end of a process does.
        agent.server.shutdown();
        if let Some(schedule) = agent.schedule {
            schedule.stop();
        }
    }

    /// A fresh agent with its collectors, as after the start of its process.
    pub(crate) fn collectors(&self) -> (Arc<AgentState>, Vec<Driver>) {
        let identity = Identity {
            instance: self.name.clone(),
            labels: self.labels.clone(),
        };
        let state = AgentState::local(identity, Arc::clone(&self.history));
        state.set_event_store(Arc::clone(&self.events));
        let events: Arc<dyn EventSink> = Arc::clone(&self.inbox) as Arc<dyn EventSink>;
        let mut collectors = host_collectors(Arc::clone(&self.fs), &HostConfig::default());
        let options = RowOptions {
            events: Some(Arc::clone(&events)),
            clock: Some(Arc::clone(&self.fs)),
            ..RowOptions::default()
        };
        let xids = options.xids.clone();
        let gpu = DirectGpuCollector::with_options(self.gpus.nvml(), &self.name, options);
        let processes = gpu.processes();
        collectors.push(Box::new(gpu));
        let book = ContainerBook::new(Arc::clone(&self.fs), ContainerConfig::default());
        let (kernel, engine, sources) = {
            let world = held(&self.world);
            let machine = &world.machine;
            (machine.kernel(), machine.engine(), machine.pod_sources())
        };
        if let Some((ethtool, io)) = sources {
            let sources = DomainSources {
                ethtool: Box::new(ethtool),
                io: Box::new(io),
                ..DomainSources::default()
            };
            let mut domains = domain_collectors(&self.fs, &PodNode::config(), sources, &events);
            // No job answers on a port of this machine.
            domains.retain(|collector| collector.descriptor().name != "nccl_ras");
            collectors.extend(domains);
        }
        let parts = KernelLogParts {
            events: Arc::clone(&events),
            xids,
            gpus: processes.clone(),
            who: Arc::new(book.clone()),
        };
        collectors.push(Box::new(KernelLog::new(kernel, parts)));
        let engine: Box<dyn Engine> = Box::new(engine);
        let containers = ContainerCollector::new(book.clone(), Arc::clone(&events)).asking_itself(engine);
        collectors.push(Box::new(containers));
        collectors.push(Box::new(GpuProcessCollector::new(
            book.clone(),
            processes.clone(),
        )));
        collectors.push(Box::new(Ds01Collector::new(book, processes, events)));
        let own: Box<dyn Collector> = Box::new(SelfCollector::new(&state, false));
        let drivers = collectors
            .into_iter()
            .chain([own])
            .map(|collector| {
                let descriptor = collector.descriptor();
                let stream = state.add_stream(descriptor.name, descriptor.job, descriptor.interval_ms);
                Driver::new(collector, stream)
            })
            .collect();
        (state, drivers)
    }

    /// Lives through a stretch of the past. With `goes_on_at_ms`, slow collectors leave out the row that the agent's own
    /// schedule will write first, which is that of its interval's last multiple.
    pub(crate) fn live_through(&self, stretch: Stretch, drivers: &mut [Driver], goes_on_at_ms: Option<i64>) {
        let step = stretch.step_ms.unsigned_abs();
        let own: Vec<u64> = drivers
            .iter()
            .map(|driver| driver.stream().interval_ms())
            .collect();
        for (driver, own) in drivers.iter().zip(&own) {
            // What hardly changes need not be read as often in a past that is filled in seconds: each reading of the
            // file systems waits for another thread, twice per mount.
            let coarse =
                step > DENSE_MS && (*own >= SLOW_MS.unsigned_abs() || driver.stream().name() == SELF);
            driver
                .stream()
                .set_interval_ms(step.max(*own).max(if coarse { COARSE_MS } else { 0 }));
        }
        for t_ms in stretch.times() {
            self.advance(t_ms, stretch.step_ms, true);
            if held(&self.world).troubles.has(Trouble::AgentDown, t_ms) {
                continue;
            }
            for driver in drivers.iter_mut() {
                let interval = i64::try_from(driver.stream().interval_ms()).unwrap_or(i64::MAX);
                let left_out = interval >= SLOW_MS && goes_on_at_ms.is_some_and(|at| t_ms > at - interval);
                if t_ms.rem_euclid(interval) == 0 && !left_out {
                    driver.tick(t_ms);
                }
            }
        }
        for (driver, own) in drivers.iter().zip(own) {
            driver.stream().set_interval_ms(own);
        }
    }

    /// Lives through a stretch with a row of each collector whose interval's multiple a moment is, or of all where the
    /// stretch is sparser than the interval.
    pub(crate) fn pass(&self, stretch: Stretch, drivers: &mut [Driver]) {
        let step = stretch.step_ms;
        for t_ms in stretch.times() {
            self.advance(t_ms, step, true);
            // No driver hangs here: one thread lives for all.
            let gone = held(&self.world).troubles.has(Trouble::AgentDown, t_ms);
            if gone {
                continue;
            }
            for driver in drivers.iter_mut() {
                let interval = i64::try_from(driver.stream().interval_ms()).unwrap_or(step);
                let every = interval.max(step);
                if t_ms.rem_euclid(every) == 0 {
                    driver.tick(t_ms);
                }
            }
        }
    }

    /// Moves the machine on to the present; scrapes it while the agent is alive.
    pub(crate) fn go_on(&self, t_ms: i64) {
        let alive = held(&self.agent).is_some();
        self.advance(t_ms, 1_000, alive);
        let hangs = held(&self.world).troubles.has(Trouble::NvmlHang, t_ms);
        if hangs != self.hangs.swap(hangs, Ordering::Relaxed) {
            self.gpus.hang(hangs);
        }
    }

    /// Begins a trouble that lasts until then, in milliseconds since 1970. Of a living cluster; the effect is there within
    /// the second.
    pub fn begin(&self, trouble: Trouble, gpu: usize, to_ms: i64) {
        let mut world = held(&self.world);
        let from_ms = world.machine.at_ms();
        world.troubles.begin(Spell {
            trouble,
            node: 0,
            gpu,
            from_ms,
            to_ms,
        });
    }

    /// Ends all troubles.
    pub fn end_troubles(&self) {
        let mut world = held(&self.world);
        let at_ms = world.machine.at_ms();
        world.troubles.end(at_ms);
    }

    /// The troubles that last.
    pub fn troubles(&self) -> Vec<Spell> {
        let world = held(&self.world);
        world.troubles.lasting(world.machine.at_ms())
    }

    fn advance(&self, t_ms: i64, step_ms: i64, scraped: bool) {
        let mut world = held(&self.world);
        let World {
            machine,
            server,
            troubles,
        } = &mut *world;
        machine.fill_disk(troubles.has(Trouble::DiskFull, t_ms));
        machine.fill_container(troubles.has(Trouble::ContainerMemoryFull, t_ms));
        machine.leave_idle(troubles.idle(t_ms));
        machine.advance(t_ms);
        for line in troubles.apply(t_ms, step_ms, &self.gpus) {
            machine.kernel().write(3, &line);
        }
        let scraped = scraped && !troubles.has(Trouble::AgentDown, t_ms);
        let requests = machine.load().requests;
        let Some(server) = server else { return };
        if let Some((spec, row)) = server.advance(t_ms, step_ms, requests)
            && scraped
            && let Err(error) = self.history.append(&spec, t_ms, row)
        {
            tracing::warn!(node = self.name, %error, "a row of the inference server is lost");
        }
    }

    /// When the machine was last moved on.
    pub(crate) fn at_ms(&self) -> i64 {
        held(&self.world).machine.at_ms()
    }

    /// Serves, and in a living cluster collects.
    pub(crate) fn start(
        &self,
        listener: TcpListener,
        (state, drivers): (Arc<AgentState>, Vec<Driver>),
    ) -> Result<(), SimError> {
        let port = self.address.port();
        let failed = |source| SimError::Listen {
            node: self.name.clone(),
            port,
            source,
        };
        listener.set_nonblocking(true).map_err(failed)?;
        let server = Handle::new();
        let serving = axum_server::from_tcp(listener)
            .map_err(failed)?
            .handle(server.clone());
        let schedule = if self.live {
            let history = Arc::clone(&self.history);
            let started = Schedule::start(drivers, history, COLLECTOR_DEADLINE);
            Some(started.map_err(|source| SimError::Threads {
                node: self.name.clone(),
                source,
            })?)
        } else {
            None
        };
        let app = router(Arc::clone(&state)).layer(from_fn_with_state(Arc::clone(&self.late_ms), delay));
        let name = self.name.clone();
        tokio::spawn(async move {
            if let Err(error) = serving.serve(app.into_make_service()).await {
                tracing::error!(node = name, %error, "a simulated node no longer serves");
            }
        });
        *held(&self.agent) = Some(RunningAgent {
            state,
            schedule,
            server,
        });
        Ok(())
    }

    /// Stops serving and collecting, and closes the history.
    pub(crate) fn stop(&self) {
        self.gpus.hang(false);
        self.kill();
        if let Err(error) = self.history.seal() {
            tracing::warn!(node = self.name, %error, "the history could not be sealed");
        }
    }
}

/// Holds answers back while the node is slow.
async fn delay(State(late_ms): State<Arc<AtomicU64>>, request: Request, next: Next) -> Response {
    match late_ms.load(Ordering::Relaxed) {
        0 => {}
        u64::MAX => std::future::pending().await,
        ms => tokio::time::sleep(Duration::from_millis(ms)).await,
    }
    next.run(request).await
}
