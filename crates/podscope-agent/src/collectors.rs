//! Which collectors this machine is to run, and how they know of each other: the GPU's tells of processes and PCI addresses,
//! the kernel's log of errors with a process, the containers' of whom a process belongs to.

use std::sync::Arc;

use podscope_collect::changes::{ChangesCollector, NAME as CHANGES, SharedBook};
use podscope_collect::containers::{
    ContainerBook, ContainerCollector, Ds01Collector, Engine, EngineWatch, GpuProcessCollector, SocketEngine,
    descriptors,
};
use podscope_collect::gpu::{Aliases, ExeLauncher, GpuCollector, GpuConfig, GpuProcesses, RowOptions};
use podscope_collect::kernel::{DevKmsg, KernelLog, KernelLogParts, NAME as KERNEL_LOG, Nobody, WhoIs};
use podscope_collect::nccl::ras::RasPort;
use podscope_collect::storage::latency::TracedIo;
use podscope_collect::{
    Collector, DomainSources, HostFs, RealFs, domain_collectors, domain_descriptors, host_collectors,
    host_descriptors,
};
use podscope_model::event::EventSink;

use crate::agent::{Agent, GPU, StartError, open_changes};
use crate::config::Config;
use crate::data_dir::{self, choose};
use crate::identity::Identity;
use crate::self_metrics::SELF;

impl Agent {
    /// The collectors this machine is to run: host collectors over the real `/proc` and `/sys`, the GPU's, whose child
    /// process is this program again, called with `nvml-child`, the kernel log's and the containers'. What happens goes to
    /// `events`.
    ///
    /// # Errors
    /// When this program does not know its own file, or the system gives no thread.
    pub fn collectors(
        config: &Config,
        events: &Arc<dyn EventSink>,
    ) -> Result<Vec<Box<dyn Collector>>, StartError> {
        let fs: Arc<dyn HostFs> = Arc::new(RealFs::new("/proc", "/sys", "/"));
        let mut collectors = host_collectors(Arc::clone(&fs), &config.host());
        let mut sources = DomainSources {
            ras: Box::new(RasPort(config.nccl.ras_address)),
            ..DomainSources::default()
        };
        if let Some(trace) = config.trace() {
            sources.io = Box::new(TracedIo::new(Arc::clone(&fs), trace));
        }
        let positions = data_dir::of_config(config).map(|dir| dir.path.join("nccl-positions.json"));
        let domains = config.domains(positions.ok());
        collectors.extend(domain_collectors(&fs, &domains, sources, events));
        let options = RowOptions {
            aliases: Aliases::new(config.gpu.aliases.iter().cloned()),
            expected: config
                .gpu
                .expected
                .map(|count| u32::try_from(count).unwrap_or(u32::MAX)),
            events: Some(Arc::clone(events)),
            ..RowOptions::default()
        };
        let xids = options.xids.clone();
        let mut gpus = GpuProcesses::default();
        if config.gpu.enabled {
            let launcher = ExeLauncher::this_program().map_err(StartError::OwnFile)?;
            let gpu = GpuConfig {
                interval_ms: config.gpu.interval.as_ms(),
                deadline_ms: config.gpu.deadline.as_ms(),
                ..GpuConfig::default()
            };
            let name = Identity::of_config(config).instance;
            let collector = GpuCollector::with_options(launcher, &gpu, &name, options);
            gpus = collector.processes();
            collectors.push(Box::new(collector));
        }
        let mut who: Arc<dyn WhoIs> = Arc::new(Nobody);
        if config.containers.enabled {
            let settings = config.containers.settings();
            let deadline = settings.engine_deadline;
            let engine = |socket| -> Box<dyn Engine> { Box::new(SocketEngine::new(socket, deadline)) };
            let sockets = settings.sockets.iter().filter(|socket| socket.exists());
            let engines: Vec<_> = sockets.map(engine).collect();
            let book = ContainerBook::new(Arc::clone(&fs), settings);
            who = Arc::new(book.clone());
            let watch = EngineWatch::start(&book, engines).map_err(StartError::Threads)?;
            let containers = ContainerCollector::new(book.clone(), Arc::clone(events)).asking(watch);
            collectors.push(Box::new(containers));
            collectors.push(Box::new(GpuProcessCollector::new(book.clone(), gpus.clone())));
            collectors.push(Box::new(Ds01Collector::new(
                book,
                gpus.clone(),
                Arc::clone(events),
            )));
        }
        let parts = KernelLogParts {
            events: Arc::clone(events),
            xids,
            gpus,
            who,
        };
        collectors.push(Box::new(KernelLog::new(DevKmsg::default(), parts)));
        collectors.retain(|collector| config.collector_enabled(collector.descriptor().name));
        Ok(collectors)
    }
}

impl Agent {
    /// What was seen of settings and versions before, from the data folder.
    ///
    /// # Errors
    /// When there is no data folder to be had.
    pub fn change_book(config: &Config) -> Result<SharedBook, StartError> {
        let root = rustix::process::geteuid().is_root();
        let dir = choose(config.data_dir.clone(), root, |name| std::env::var(name).ok())?;
        Ok(open_changes(config, &dir.path))
    }

    /// The collector that watches this machine's versions; none where the configuration does not want it.
    pub fn changes_collector(
        config: &Config,
        events: &Arc<dyn EventSink>,
        book: &SharedBook,
    ) -> Option<Box<dyn Collector>> {
        if !config.changes.enabled || !config.collector_enabled(CHANGES) {
            return None;
        }
        let fs: Arc<dyn HostFs> = Arc::new(RealFs::new("/proc", "/sys", "/"));
        let host = Identity::of_config(config).instance;
        let collector = ChangesCollector::new(fs, book.clone(), Arc::clone(events), &host);
        Some(Box::new(
            collector.with_slurm_conf(config.changes.slurm_conf.clone()),
        ))
    }
}

/// The names that may stand in `[collectors]`.
pub fn known_collectors() -> Vec<&'static str> {
    host_descriptors()
        .into_iter()
        .chain(domain_descriptors())
        .chain(descriptors())
        .chain(podscope_collect::slurm::descriptors())
        .map(|descriptor| descriptor.name)
        .chain([GPU, KERNEL_LOG, SELF, CHANGES])
        .collect()
}
