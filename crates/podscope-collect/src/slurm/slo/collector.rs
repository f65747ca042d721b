//! The promise as series: attainment and burn, and for each tenant what it has, is owed and costs.

use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, slo};

use super::accrued::Accrued;
use super::contract::{Contract, Standing, Tenant};
use super::status::{Signs, Verdict};
use crate::collector::{Collector, Descriptor, Support};
use crate::error::CollectError;
use crate::slurm::book::{Book, Clock, SlurmBook};
use crate::slurm::cluster::Snapshot;
use crate::slurm::job::JobState;
use crate::slurm::reason::Class;
use crate::slurm::rows::{FEWEST_STARTS, QUANTILES, WINDOW_S, counts, group_labels};
use crate::slurm::spells::{Since, Weight};
use crate::slurm::wait::{Observed, Quantile, Waits};

pub(in crate::slurm) static DESCRIPTOR: Descriptor = Descriptor {
    name: "slo",
    job: Job::Slo,
    interval_ms: 30_000,
    metrics: slo::ALL,
    touches: &[
        "what the slurm collector knows",
        "incidents among the agent's events",
    ],
};

/// The windows of the burn rate: a fast one that notices, a slow one that is sure.
const WINDOWS: [(&str, i64); 2] = [("5m", 300), ("1h", WINDOW_S)];
/// Groups with burn rates.
const MOST_GROUPS: usize = 128;
/// Tenants in the list of whales.
const WHALES: usize = 10;

/// Who knows of incidents.
pub trait Incidents: Send + Sync + std::fmt::Debug {
    /// When the open incident began, milliseconds since 1970; of several the oldest.
    fn opened_ms(&self) -> Option<i64>;
}

/// Who counts wasted GPUs.
pub trait Waste: Send + Sync + std::fmt::Debug {
    /// Allocated GPUs that are wasted now; absent: nobody knows.
    fn wasted_gpus(&self, now_ms: i64) -> Option<f64>;
}

/// Nobody knows of any.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoIncidents;

impl Incidents for NoIncidents {
    fn opened_ms(&self) -> Option<i64> {
        None
    }
}

/// See the module.
#[derive(Debug)]
pub struct SloCollector {
    book: SlurmBook,
    clock: Arc<dyn Clock>,
    contract: Contract,
    ranks: Vec<usize>,
    verdicts: Vec<Verdict>,
    accrued: Accrued,
    incidents: Arc<dyn Incidents>,
    waste: Option<Arc<dyn Waste>>,
}

impl SloCollector {
    pub fn new(
        book: SlurmBook,
        clock: Arc<dyn Clock>,
        contract: Contract,
        incidents: Arc<dyn Incidents>,
    ) -> Self {
        Self {
            ranks: contract.ranks(),
            verdicts: vec![Verdict::default(); contract.tenants.len()],
            accrued: Accrued::default(),
            book,
            clock,
            contract,
            incidents,
            waste: None,
        }
    }

    /// Prices what this counts.
    #[must_use]
    pub fn counting(mut self, waste: Arc<dyn Waste>) -> Self {
        self.waste = Some(waste);
        self
    }

    fn promises(&self, book: &Book, row: &mut Row, now_s: i64) {
        let contract = &self.contract;
        row.set(&slo::WAIT_TARGET, &[], contract.target_s);
        row.set(&slo::OBJECTIVE, &[], contract.objective);
        if let Some(price) = contract.idle_price {
            row.set(&slo::IDLE_PRICE, &[], price);
            let wasted = self
                .waste
                .as_ref()
                .and_then(|waste| waste.wasted_gpus(now_s * 1000));
            if let Some(gpus) = wasted {
                row.set(&slo::IDLE_COST, &[], price * gpus);
            }
        }
        let by = (Since::Eligible, Weight::Jobs);
        for (window, seconds) in WINDOWS {
            let (groups, _) = book.tracker.spells.groups(by, now_s, seconds, false, MOST_GROUPS);
            for (group, observed) in &groups {
                let Some(longer) = Waits::of(observed).longer_than(contract.target_s) else {
                    continue;
                };
                let labels = group_labels(group);
                let burn = contract.burn(longer);
                if seconds == WINDOW_S {
                    row.set(&slo::BREACHED, &labels, f64::from(u8::from(burn > 1.0)));
                }
                let labels = [("window", window), labels[0], labels[1], labels[2]];
                row.set(&slo::ATTAINMENT, &labels, 1.0 - longer);
                row.set(&slo::BURN_RATE, &labels, burn);
            }
        }
    }

    fn tenants(&mut self, book: &Book, row: &mut Row, now_ms: i64) {
        let now_s = now_ms.div_euclid(1000);
        let opened = self.incidents.opened_ms().filter(|opened| *opened <= now_ms);
        let hourly = book.tracker.gpu_hours_per_hour(now_s);
        let mut exposures = Vec::with_capacity(self.contract.tenants.len());
        for (at, tenant) in self.contract.tenants.iter().enumerate() {
            let labels = [("tenant", tenant.name.as_str())];
            let mut standing = standing(tenant, &book.snapshot, self.contract.target_s, now_s);
            let mut slow_burn = None;
            for (window, seconds) in WINDOWS {
                let observed = observed(tenant, book, now_s, seconds);
                let waits = Waits::of(&observed);
                let burn = waits
                    .longer_than(self.contract.target_s)
                    .map(|longer| self.contract.burn(longer));
                if let Some(burn) = burn {
                    row.set(&slo::TENANT_BURN_RATE, &[labels[0], ("window", window)], burn);
                }
                if seconds != WINDOW_S {
                    continue;
                }
                slow_burn = burn;
                let [started, ..] = counts(&observed);
                for (name, p) in QUANTILES {
                    let known = match waits.quantile(p) {
                        Some(Quantile::Known(wait)) if started >= FEWEST_STARTS => Some(wait),
                        _ => None,
                    };
                    if let Some(wait) = known {
                        row.set(&slo::TENANT_WAIT, &[labels[0], ("quantile", name)], wait);
                    }
                }
                standing.wait_broken = match waits.quantile(0.9) {
                    Some(Quantile::Known(wait)) => started >= FEWEST_STARTS && wait > self.contract.target_s,
                    Some(Quantile::AtLeast(wait)) => wait > self.contract.target_s,
                    None => false,
                };
            }
            let accrued = opened.map_or(0.0, |opened| self.accrued.since(opened, at));
            let exposure = standing.exposure(tenant, accrued);
            let owed = standing.owed(tenant);
            let projected = projected_wait(tenant, &book.snapshot, hourly, now_s);
            exposures.push(exposure);
            for (def, value) in [
                (&slo::TENANT_PROMISED, tenant.gpus),
                (&slo::TENANT_ALLOCATED, standing.allocated),
                (&slo::TENANT_PENDING, standing.pending),
                (&slo::TENANT_LATE, standing.late),
                (&slo::TENANT_OWED, owed),
                (&slo::TENANT_CONTRACT, tenant.worth()),
                (&slo::EXPOSURE, exposure),
            ] {
                row.set(def, &labels, value);
            }
            if let Some(wait) = projected {
                row.set(&slo::TENANT_PROJECTED_WAIT, &labels, wait);
            }
            let signs = Signs {
                exposure,
                burn: slow_burn,
                owed,
                projected_wait_s: projected,
                target_s: self.contract.target_s,
            };
            let (status, reason) = self.verdicts[at].judge(&signs, now_s);
            let status_labels = [labels[0], ("status", status.as_str()), ("reason", reason)];
            row.set(&slo::TENANT_STATUS, &status_labels, status.value());
            if self.ranks[at] <= WHALES {
                row.set(&slo::TENANT_RANK, &labels, self.ranks[at] as f64);
            }
        }
        self.accrued.add(now_ms, &exposures);
        if let Some(opened) = opened {
            row.set(&slo::INCIDENT_OPENED, &[], opened as f64 / 1000.0);
            for (at, tenant) in self.contract.tenants.iter().enumerate() {
                let labels = [("tenant", tenant.name.as_str())];
                row.set(&slo::EXPOSURE_ACCRUED, &labels, self.accrued.since(opened, at));
            }
        }
    }
}

fn is_of(tenant: &Tenant, account: &str) -> bool {
    tenant.accounts.iter().any(|known| known == account)
}

/// What the tenant has and wants now.
fn standing(tenant: &Tenant, snapshot: &Snapshot, target_s: f64, now_s: i64) -> Standing {
    let mut standing = Standing::default();
    for job in snapshot.jobs.iter().filter(|job| is_of(tenant, &job.account)) {
        if job.state.is_running() {
            standing.allocated += job.all_gpus();
        } else if job.state == JobState::Pending
            && Class::of(&job.reason) == Class::Capacity
            && let Some(eligible) = job.eligible_s.filter(|at| *at <= now_s)
        {
            standing.pending += job.all_gpus();
            if (now_s - eligible) as f64 > target_s {
                standing.late += job.all_gpus();
            }
        }
    }
    standing
}

fn observed(tenant: &Tenant, book: &Book, now_s: i64, window_s: i64) -> Vec<Observed> {
    let spells = book.tracker.spells.all();
    spells
        .filter(|(spell, _)| is_of(tenant, &spell.account))
        .filter_map(|(spell, ended)| spell.observed(ended, Since::Eligible, Weight::Jobs, now_s, window_s))
        .collect()
}

/// GPU hours that wait ahead of the tenant's last waiting job, by GPU hours finished an hour; in seconds. 0 when it waits for
/// nothing.
fn projected_wait(tenant: &Tenant, snapshot: &Snapshot, hourly: Option<f64>, now_s: i64) -> Option<f64> {
    let hourly = hourly.filter(|hours| *hours > 0.0)?;
    let waiting = || {
        snapshot
            .jobs
            .iter()
            .filter(|job| job.state == JobState::Pending && Class::of(&job.reason) == Class::Capacity)
            .filter_map(|job| Some((job.eligible_s.filter(|at| *at <= now_s)?, job)))
    };
    let own = waiting().filter(|(_, job)| is_of(tenant, &job.account));
    let Some(last) = own.map(|(eligible, _)| eligible).max() else {
        return Some(0.0);
    };
    let ahead: f64 = waiting()
        .filter(|(eligible, job)| *eligible < last || (*eligible == last && !is_of(tenant, &job.account)))
        .filter_map(|(_, job)| Some(job.all_gpus() * job.limit_s? as f64 / 3600.0))
        .sum();
    Some(ahead / hourly * 3600.0)
}

impl Collector for SloCollector {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        Support::Present
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        let now_ms = self.clock.now_ms();
        crate::slurm::collector::fresh(&self.book, now_ms)?;
        let book = self.book.clone();
        let book = book.lock();
        self.promises(&book, row, now_ms.div_euclid(1000));
        self.tenants(&book, row, now_ms);
        Ok(())
    }
}
