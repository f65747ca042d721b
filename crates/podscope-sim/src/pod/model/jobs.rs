//! Jobs and where they come from: whales that stay, inference that stays, fine-tuning on whole nodes, people's small jobs,
//! and sweeps that submit their next small job while the queue is short.

use super::parameters::{Class, Parameters};
use super::random::Random;
use crate::pod::topology::{TENANTS, Topology};

/// How a job ended, in Slurm's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Completed,
    Failed,
    Timeout,
    Cancelled,
    NodeFail,
}

/// Why a pending job waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is the next of its size and there is no room.
    Resources,
    /// Others are ahead.
    Priority,
    /// Its submitter holds it.
    Held,
    /// Its account's own limit.
    AssocGrpGres,
}

/// GPUs of one node that a job holds: bit `i` is GPU `i`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    pub node: usize,
    pub gpus: u16,
}

/// A job, or one spell of it: a requeue makes a new entry under the same id. Times in seconds since the midnight that
/// begins the incident's day.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub id: u32,
    pub name: String,
    pub class: Class,
    /// Index into [`TENANTS`].
    pub tenant: usize,
    /// Index into the tenant's users.
    pub user: usize,
    pub partition: &'static str,
    pub qos: &'static str,
    /// GPUs in all; whole nodes where it is more than one node's.
    pub gpus: usize,
    pub submit: f64,
    pub eligible: f64,
    /// Minutes.
    pub limit: u32,
    /// Seconds of work at full speed.
    pub work: f64,
    pub restarts: u32,
    pub reason: Reason,
    pub start: Option<f64>,
    pub end: Option<f64>,
    pub how: End,
    pub placed: Vec<Placed>,
    /// It fails by its own fault when so much of its work is done.
    pub(crate) fails_at: Option<f64>,
    /// Smaller goes first.
    pub(crate) order: f64,
}

impl Job {
    pub fn account(&self) -> &'static str {
        TENANTS[self.tenant].account
    }

    pub fn user(&self) -> &'static str {
        TENANTS[self.tenant].users[self.user]
    }

    /// User ids begin at 2000.
    pub fn uid(&self) -> u32 {
        2_000 + (self.tenant * 3 + self.user) as u32
    }

    /// What it waits or waited for is room, not a limit of its own.
    pub fn for_capacity(&self) -> bool {
        matches!(self.reason, Reason::Resources | Reason::Priority)
    }

    pub fn is_pending(&self, at: f64) -> bool {
        self.submit <= at && self.start.or(self.end).is_none_or(|left| left > at)
    }

    pub fn is_running(&self, at: f64) -> bool {
        self.start.is_some_and(|start| start <= at) && self.end.is_none_or(|end| end > at)
    }
}

/// Where jobs come from.
#[derive(Clone, Debug)]
pub(crate) struct Arrivals {
    random: Random,
    next_small: f64,
    next_tune: f64,
    next_odd: f64,
    /// When a sweep looks at the queue next.
    next_look: f64,
    next_id: u32,
    size: f64,
    gpus_per_node: usize,
}

const SIZES: [(usize, f64); 4] = [(1, 0.47), (2, 0.29), (4, 0.21), (8, 0.03)];
const WORDS: [&str; 8] = [
    "eval", "ablate", "embed", "distill", "probe", "tokenize", "render", "score",
];

impl Arrivals {
    pub(crate) fn new(seed: u64, topology: &Topology, from: f64) -> Self {
        let size = topology.nodes() as f64 / 64.0;
        Self {
            next_look: from,
            next_small: from,
            next_tune: from + 600.0,
            next_odd: from + 900.0,
            random: Random::new(seed, 0x6a6f_6273),
            next_id: 410_000,
            size,
            gpus_per_node: topology.gpus(),
        }
    }

    fn job(&mut self, class: Class, gpus: usize, at: f64) -> Job {
        let random = &mut self.random;
        let tenant = random.choose(TENANTS.iter().map(|tenant| tenant.weight));
        let user = random.choose([0.5, 0.3, 0.2].into_iter());
        let word = WORDS[(random.bits() % 8) as usize];
        self.next_id += 1;
        Job {
            id: self.next_id,
            name: format!("{word}-{:03x}", random.bits() & 0xfff),
            class,
            tenant,
            user,
            partition: "train",
            qos: "normal",
            gpus,
            submit: at,
            eligible: at,
            limit: 0,
            work: 0.0,
            restarts: 0,
            reason: Reason::Priority,
            start: None,
            end: None,
            how: End::Completed,
            placed: Vec::new(),
            fails_at: None,
            order: at,
        }
    }

    fn small(&mut self, parameters: &Parameters, at: f64, sweep: bool) -> Job {
        let size = self.random.choose(SIZES.iter().map(|(_, weight)| *weight));
        let gpus = SIZES[size].0.min(self.gpus_per_node);
        let mut job = self.job(Class::Small, gpus, at);
        let random = &mut self.random;
        let minutes = random
            .log_normal(parameters.small_minutes, 0.6)
            .clamp(2.0, parameters.small_minutes * 6.0);
        job.work = minutes * 60.0;
        // People ask for more than they need; some for hardly enough.
        job.limit = ((minutes * random.between(1.7, 4.0) / 15.0).ceil() * 15.0).max(30.0) as u32;
        if random.unit() < 0.05 {
            job.fails_at = Some(job.work * random.between(0.05, 0.9));
        }
        if sweep {
            job.name = format!("sweep-{}", job.name);
        }
        job
    }

    fn tune(&mut self, parameters: &Parameters, at: f64) -> Job {
        let nodes = [1, 2, 4][self.random.choose([0.55, 0.33, 0.12].into_iter())];
        let mut job = self.job(Class::Tune, nodes * self.gpus_per_node, at);
        let minutes = self
            .random
            .log_normal(parameters.tune_minutes, 0.5)
            .clamp(20.0, parameters.tune_minutes * 4.0);
        job.name = format!("tune-{}", job.name);
        job.work = minutes * 60.0;
        job.limit = ((minutes * 2.5 / 60.0).ceil() * 60.0) as u32;
        job.qos = "high";
        // A quarter of an hour of age: whole nodes are hard to come by.
        job.order = at - 900.0;
        job
    }

    /// Inference and pre-training that were there before and stay: so many jobs of so many GPUs, per tenant.
    pub(crate) fn residents(&mut self, topology: &Topology, from: f64) -> Vec<Job> {
        let mut jobs = Vec::new();
        let per_node = topology.gpus();
        let partitions = topology.partitions();
        let infer = partitions[1].nodes.len();
        for (at, tenant) in (0..infer).zip([4, 1, 8, 2, 5, 7, 3, 9].into_iter().cycle()) {
            let mut job = self.job(Class::Service, per_node, from - 86_400.0 * 3.0);
            job.name = format!("vllm-{}", at + 1);
            (job.tenant, job.user, job.partition) = (tenant, 0, "infer");
            job.limit = 30 * 24 * 60;
            jobs.push(job);
        }
        let train = partitions[0].nodes.len();
        for (share, tenant, name) in [(12, 0, "pretrain-70b"), (8, 1, "pretrain-vla")] {
            let nodes = train * share / 55;
            if nodes == 0 {
                continue;
            }
            let mut job = self.job(Class::Pretrain, nodes * per_node, from - 86_400.0);
            job.name = name.to_owned();
            (job.tenant, job.user, job.qos) = (tenant, 0, "high");
            job.limit = 7 * 24 * 60;
            jobs.push(job);
        }
        for job in &mut jobs {
            job.work = f64::INFINITY;
            job.order = f64::NEG_INFINITY;
        }
        jobs
    }

    /// The jobs submitted before `until`; `pending` wait now.
    pub(crate) fn until(&mut self, parameters: &Parameters, until: f64, mut pending: usize) -> Vec<Job> {
        let mut jobs = Vec::new();
        while self.next_small < until {
            let at = self.next_small;
            let hour = at / 3_600.0;
            let wave = 1.0 + parameters.diurnal_jobs * (std::f64::consts::TAU * (hour - 9.0) / 24.0).sin();
            let mean = 60.0 / (parameters.arrivals_per_minute * self.size * wave);
            // Between chance and clockwork: many people, some of whom are pipelines (Erlang, 4 stages).
            self.next_small += (0..4).map(|_| self.random.exponential(mean / 4.0)).sum::<f64>();
            let job = self.small(parameters, at, false);
            jobs.push(job);
        }
        while self.next_tune < until {
            let at = self.next_tune;
            // Less irregular than chance: teams plan their runs.
            let mean = 3_600.0 / (parameters.tunes_per_hour * self.size);
            self.next_tune += mean * self.random.between(0.4, 1.6);
            let job = self.tune(parameters, at);
            jobs.push(job);
        }
        while self.next_odd < until {
            let at = self.next_odd;
            self.next_odd += self.random.exponential(5_400.0 / self.size);
            let mut job = self.small(parameters, at, false);
            job.reason = if self.random.unit() < 0.5 {
                Reason::Held
            } else {
                Reason::AssocGrpGres
            };
            job.how = End::Cancelled;
            job.end = Some(at + self.random.between(600.0, 7_200.0));
            jobs.push(job);
        }
        while self.next_look < until {
            let at = self.next_look;
            self.next_look += self.random.between(4.0, 12.0) / self.size;
            if (pending as f64) < parameters.sweep_below * self.size {
                pending += 1;
                let job = self.small(parameters, at, true);
                jobs.push(job);
            }
        }
        jobs.sort_by(|a, b| a.submit.total_cmp(&b.submit));
        jobs
    }
}
