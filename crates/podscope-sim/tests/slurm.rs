//! The scheduler's collectors against a slurmrestd over HTTP: a simulated one, and a real one where Slurm is installed.

#[path = "slurm/faults.rs"]
mod faults;
#[path = "slurm/real.rs"]
mod real;
#[path = "slurm/series.rs"]
mod series;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use podscope_agent::config::SlurmConfig;
use podscope_agent::slurm::HttpSlurm;
use podscope_collect::Collector;
use podscope_collect::slurm::{Clock, Poller, SlurmBook, SlurmError};
use podscope_model::batch::Row;
use podscope_sim::slurmrestd::{SlurmWorld, Slurmrestd, SlurmrestdOptions};

/// 2026-11-21 08:33:20 UTC.
pub(crate) const NOW_S: i64 = 1_795_250_000;

/// A clock that is set by hand.
#[derive(Clone, Debug)]
pub(crate) struct HandClock(Arc<AtomicI64>);

impl HandClock {
    pub(crate) fn at(now_s: i64) -> Self {
        Self(Arc::new(AtomicI64::new(now_s * 1000)))
    }

    pub(crate) fn set(&self, now_s: i64) {
        self.0.store(now_s * 1000, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A simulated slurmrestd that listens on loopback.
pub(crate) struct Server {
    pub(crate) slurmrestd: Slurmrestd,
    pub(crate) url: String,
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl Server {
    pub(crate) fn start(world: Arc<dyn SlurmWorld>, clock: &HandClock, options: SlurmrestdOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let slurmrestd = Slurmrestd::new(world, Arc::new(clock.clone()), options);
        let router = slurmrestd.router();
        let listener =
            std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("a port");
        listener.set_nonblocking(true).expect("set");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        runtime.spawn(async move {
            let server = axum_server::from_tcp(listener).expect("a listener");
            server.serve(router.into_make_service()).await
        });
        Self {
            slurmrestd,
            url,
            runtime,
        }
    }

    pub(crate) fn config(&self) -> SlurmConfig {
        SlurmConfig {
            url: Some(self.url.clone()),
            ..SlurmConfig::default()
        }
    }
}

/// Asks once, as the agent's thread does.
pub(crate) fn poll(config: &SlurmConfig, book: &SlurmBook, now_s: i64) -> Result<(), SlurmError> {
    let api = HttpSlurm::new(config).expect("a connection");
    let mut poller = Poller::new(Box::new(api), config.poll_options());
    book.refresh(&mut poller, now_s * 1000)
}

/// The series of one row, as text, with their values.
pub(crate) fn series(collector: &mut dyn Collector) -> BTreeMap<String, f64> {
    let mut row = Row::new();
    row.begin();
    collector.collect(&mut row).expect("a row");
    row.samples()
        .map(|(column, value)| (column.labels.to_string().replace("\",", "\", "), value))
        .collect()
}
