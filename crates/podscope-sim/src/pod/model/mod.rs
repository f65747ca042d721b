//! The causal model of the pod: in steps of ten seconds from what is scripted ([`story`]) to everything else by mechanism.
//!
//! Prefetch fills the read-ahead buffer with data nobody asks for ([`physics`]); when the slack is gone it evicts data before
//! it is read, and the SSDs read the same bytes again. That loads SSDs and storage ports: latency and ECN marks rise, GPUs
//! wait, jobs take longer, and the queue grows by a scheduler that never heard of any of this ([`scheduler`]).
//!
//! The trajectory is kept, so that the state at any moment can be asked for again.

pub mod figures;
pub mod jobs;
pub mod latency;
pub mod parameters;
pub mod physics;
mod random;
mod scheduler;
pub mod story;
pub mod wait;

use jobs::{Arrivals, Job};
use latency::Shares;
use parameters::{Class, Parameters};
use physics::{Physics, STEP};
use random::Random;
use scheduler::{Scheduler, Slots};
use story::{BEGIN, Story};
use wait::{Spell, Waits};

use super::topology::Topology;

/// The window of the wait's quantiles, seconds.
pub const WAIT_WINDOW: f64 = 3_600.0;

/// The pod in one step.
#[derive(Clone, Debug)]
pub struct Step {
    pub physics: Physics,
    /// GPUs in use by class.
    pub running: [f64; 4],
    /// GPUs that jobs hold, and GPUs of nodes that take jobs.
    pub allocated: usize,
    pub available: usize,
    /// Jobs that wait for room, and the GPUs they ask for.
    pub pending_jobs: usize,
    pub pending_gpus: usize,
    /// Parts of the reads per latency bucket.
    pub shares: Shares,
}

impl Step {
    /// Mean utilisation over allocated GPUs, 0 to 1.
    pub fn busy(&self) -> f64 {
        let sum: f64 = Class::ALL
            .iter()
            .map(|class| self.running[class.at()] * self.physics.busy[class.at()])
            .sum();
        if self.allocated == 0 {
            0.0
        } else {
            sum / self.allocated as f64
        }
    }
}

/// A node taken out of service for a while, for a reason of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Drain {
    pub node: usize,
    pub from: f64,
    pub until: f64,
    pub reason: &'static str,
}

/// See the module. Seconds since the midnight that begins the incident's day.
#[derive(Clone, Debug)]
pub struct Model {
    topology: Topology,
    parameters: Parameters,
    story: Story,
    drains: Vec<Drain>,
    steps: Vec<Step>,
    jobs: Vec<Job>,
    /// Per node: from which step on its GPUs do what.
    slots: Vec<Vec<(u32, Slots)>>,
    physics: Physics,
    scheduler: Scheduler,
    arrivals: Arrivals,
    random: Random,
    /// Jobs submitted but not yet eligible.
    held: Vec<usize>,
}

impl Model {
    pub fn new(seed: u64, topology: &Topology, parameters: Parameters, story: Story) -> Self {
        let mut arrivals = Arrivals::new(seed, topology, BEGIN);
        let mut scheduler = Scheduler::new(seed, topology);
        let residents = arrivals.residents(topology, BEGIN);
        for index in 0..residents.len() {
            scheduler.submit(index, &residents);
        }
        let train = topology.partitions()[0].nodes.len();
        let mut drains = Vec::new();
        if train > 18 {
            drains.push(Drain {
                node: train - 18,
                from: -39_000.0,
                until: -30_000.0,
                reason: "nvme1 smart warning",
            });
            drains.push(Drain {
                node: train - 9,
                from: 10_260.0,
                until: f64::INFINITY,
                reason: "gpu3 row remap pending",
            });
        }
        Self {
            topology: topology.clone(),
            physics: Physics::calm(&parameters),
            story,
            drains,
            steps: Vec::new(),
            jobs: residents,
            slots: vec![Vec::new(); topology.nodes()],
            scheduler,
            arrivals,
            random: Random::new(seed, 0x7068_7973),
            held: Vec::new(),
            parameters,
        }
    }

    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    pub fn story(&self) -> &Story {
        &self.story
    }

    pub fn drains(&self) -> &[Drain] {
        &self.drains
    }

    /// Every job there was until now, in order of submission but for requeues.
    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How far the trajectory goes.
    pub fn end(&self) -> f64 {
        BEGIN + self.steps.len() as f64 * STEP
    }

    /// The number of the step that a moment lies in; before the beginning it is the first, after the end the last.
    pub fn step_at(&self, at: f64) -> usize {
        let step = ((at - BEGIN) / STEP).floor().max(0.0) as usize;
        step.min(self.steps.len().saturating_sub(1))
    }

    /// Lets time pass until then.
    pub fn extend(&mut self, until: f64) {
        while self.end() < until {
            self.step();
        }
    }

    fn step(&mut self) {
        let number = u32::try_from(self.steps.len()).unwrap_or(u32::MAX);
        let begins = self.end();
        let now = begins + STEP;
        for drain in &self.drains {
            self.scheduler
                .drain(drain.node, (drain.from..drain.until).contains(&now));
        }
        let running = self.scheduler.running(&self.jobs);
        let causes = self.story.causes(self.topology.cnodes(), begins);
        let size = self.topology.nodes() as f64 / 64.0;
        let hour = begins.rem_euclid(86_400.0) / 3_600.0;
        self.physics
            .step(&self.parameters, &running, causes, (size, hour), &mut self.random);
        let from = self.jobs.len();
        let pending = self.scheduler.pending().len();
        self.jobs
            .extend(self.arrivals.until(&self.parameters, now, pending));
        self.held.extend(from..self.jobs.len());
        self.offer(now);
        // An error of the storage per running job: none in the calm, one in some hundred job-hours in the incident.
        let trouble = 4e-6 * (self.physics.latency / 0.000_3 - 1.0).max(0.0);
        let speed = self.physics.speed;
        let changes = self
            .scheduler
            .step(&mut self.jobs, now, &speed, trouble, &self.parameters);
        let from = self.jobs.len();
        self.jobs.extend(changes.again);
        self.held.extend(from..self.jobs.len());
        let mut changed = changes.nodes;
        changed.sort_unstable();
        changed.dedup();
        for node in changed {
            self.slots[node].push((number, self.scheduler.slots(node).clone()));
        }
        self.note(running);
    }

    /// Hands jobs to the scheduler that may start from now on.
    fn offer(&mut self, now: f64) {
        let (jobs, scheduler) = (&self.jobs, &mut self.scheduler);
        self.held.retain(|index| {
            let waits = jobs[*index].eligible > now;
            if !waits {
                scheduler.submit(*index, jobs);
            }
            waits
        });
    }

    fn note(&mut self, running: [f64; 4]) {
        let waiting = self.scheduler.pending().iter().map(|index| &self.jobs[*index]);
        let (mut pending_jobs, mut pending_gpus) = (0, 0);
        for job in waiting.filter(|job| job.for_capacity()) {
            pending_jobs += 1;
            pending_gpus += job.gpus;
        }
        self.steps.push(Step {
            shares: latency::shares(&self.physics.parts),
            physics: self.physics,
            running,
            allocated: self.scheduler.allocated(),
            available: self.scheduler.available(),
            pending_jobs,
            pending_gpus,
        });
    }

    /// What the GPUs of a node do in a step: per GPU the job's index, if any.
    pub fn slots(&self, node: usize, step: usize) -> impl Iterator<Item = Option<usize>> + '_ {
        let changes = &self.slots[node];
        let at = changes.partition_point(|(from, _)| *from as usize <= step);
        let slots = at.checked_sub(1).map(|at| changes[at].1.as_slice());
        let free = self.topology.gpus();
        let known = slots
            .into_iter()
            .flatten()
            .map(|slot| (*slot as usize).checked_sub(1));
        let none = if slots.is_none() { free } else { 0 };
        known.chain(std::iter::repeat_n(None, none))
    }

    /// The wait at a moment, of the jobs that `which` lets through.
    pub fn waits(&self, at: f64, which: impl Fn(&Job) -> bool) -> Waits {
        let overlapping = self
            .jobs
            .iter()
            .filter(|job| job.for_capacity() && job.work.is_finite() && which(job));
        let spells = overlapping.map(|job| Spell {
            eligible: job.eligible,
            left: job.start.or(job.end),
            started: job.start.is_some(),
        });
        Waits::estimate(spells, at, WAIT_WINDOW)
    }
}

#[cfg(test)]
mod tests;
