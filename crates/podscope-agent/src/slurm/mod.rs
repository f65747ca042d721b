//! Asking slurmrestd: the connection, its token, and the incidents that cost money.

mod http;
mod incidents;
mod token;
mod waste;

use std::path::PathBuf;
use std::sync::Arc;

use podscope_collect::Collector;
use podscope_collect::slurm::slo::{Incidents, SloCollector};
use podscope_collect::slurm::{Clock, Poller, SlurmBook, SlurmCollector, SlurmWatch, SystemClock};

pub use http::{HttpSlurm, SlurmConnectError};
pub use incidents::EventIncidents;
pub use waste::FleetWaste;

use crate::agent::StartError;
use crate::config::Config;
use crate::config::check::ConfigError;
use crate::state::AgentState;

/// What an agent that asks a scheduler keeps beside its collectors.
#[derive(Clone, Debug)]
pub struct Scheduler {
    /// For those who ask for jobs.
    pub book: SlurmBook,
    /// Counts wasted GPUs where they have a price.
    pub waste: Option<Arc<FleetWaste>>,
}

impl Scheduler {
    /// From now on the agent answers for jobs, and counts wasted GPUs where they have a price. Call it inside a Tokio runtime.
    pub fn attach(self, state: &Arc<AgentState>) {
        state.set_slurm(self.book);
        if let Some(waste) = self.waste {
            waste.start(state);
        }
    }
}

/// The collectors of the scheduler, with the thread that asks it; none where it is not asked.
///
/// # Errors
/// A token or certificate file that cannot be read, or no thread.
pub fn collectors(
    config: &Config,
    incidents: Arc<dyn Incidents>,
) -> Result<(Vec<Box<dyn Collector>>, Option<Scheduler>), StartError> {
    if !config.slurm.is_asked() {
        return Ok((Vec::new(), None));
    }
    let api = HttpSlurm::new(&config.slurm).map_err(|error| {
        StartError::Config(ConfigError::Content {
            what: "section [slurm]",
            path: PathBuf::new(),
            reason: crate::chain(&error),
        })
    })?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let book = SlurmBook::new(config.slurm.book_options(&config.slo));
    let poller = Poller::new(Box::new(api), config.slurm.poll_options());
    let watch =
        SlurmWatch::start(&book, Box::new(poller), Arc::clone(&clock)).map_err(StartError::Threads)?;
    let slurm = SlurmCollector::new(book.clone(), Arc::clone(&clock)).asking(watch);
    let waste = Arc::new(FleetWaste::default());
    let slo =
        SloCollector::new(book.clone(), clock, config.slo.contract(), incidents).counting(waste.clone());
    let mut collectors: Vec<Box<dyn Collector>> = vec![Box::new(slurm), Box::new(slo)];
    collectors.retain(|collector| config.collector_enabled(collector.descriptor().name));
    let waste = config.slo.idle_gpu_price.map(|_| waste);
    Ok((collectors, Some(Scheduler { book, waste })))
}
