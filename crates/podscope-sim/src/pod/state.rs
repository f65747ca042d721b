//! [`Pod`]: the model in wall-clock time, asked by many at once. Servers and nodes of the simulated pod read from it.

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use super::flows::{self, Flows, NodeSums, PodSums};
use super::model::figures::Figures;
use super::model::jobs::Job;
use super::model::latency::Shares;
use super::model::parameters::Parameters;
use super::model::physics::{Physics, STEP};
use super::model::story::{BEGIN, PRESENT, Story};
use super::model::{Drain, Model, Step};
use super::topology::Topology;

/// How model time and wall-clock time go together: up to `anchor_ms` at the same pace, from there on `speed` times faster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clock {
    /// Milliseconds since 1970 at which the model's time is `anchor`.
    pub anchor_ms: i64,
    /// Seconds since the midnight that begins the incident's day.
    pub anchor: f64,
    pub speed: f64,
}

impl Clock {
    /// The incident is two hours and a quarter old at that time.
    pub fn present_at(now_ms: i64) -> Self {
        Self {
            anchor_ms: now_ms,
            anchor: PRESENT,
            speed: 1.0,
        }
    }

    /// The model's time.
    pub fn model(&self, t_ms: i64) -> f64 {
        let seconds = (t_ms - self.anchor_ms) as f64 / 1_000.0;
        self.anchor
            + if seconds > 0.0 {
                seconds * self.speed
            } else {
                seconds
            }
    }

    /// Milliseconds since 1970.
    pub fn wall_ms(&self, at: f64) -> i64 {
        let seconds = at - self.anchor;
        let seconds = if seconds > 0.0 {
            seconds / self.speed
        } else {
            seconds
        };
        self.anchor_ms + (seconds * 1_000.0).round() as i64
    }
}

#[derive(Debug)]
struct Inner {
    model: Model,
    flows: Flows,
}

/// See the module. Cheap to ask; the trajectory is extended when somebody asks beyond its end.
#[derive(Debug)]
pub struct Pod {
    topology: Topology,
    clock: Clock,
    seed: u64,
    inner: RwLock<Inner>,
}

/// The trajectory is extended by so many seconds at a time.
const AHEAD: f64 = 600.0;

/// What may be chosen about the scenario.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    pub seed: u64,
    pub topology: Topology,
    pub parameters: Parameters,
    pub story: Story,
    pub clock: Clock,
}

impl Scenario {
    /// The incident as it is known, two hours and a quarter old at that time.
    pub fn sev1(seed: u64, now_ms: i64) -> Self {
        Self {
            seed,
            topology: Topology::default(),
            parameters: Parameters::default(),
            story: Story::default(),
            clock: Clock::present_at(now_ms),
        }
    }
}

impl Pod {
    /// Runs the model up to the clock's anchor.
    pub fn new(scenario: Scenario) -> Self {
        let Scenario {
            seed,
            topology,
            parameters,
            story,
            clock,
        } = scenario;
        let mut model = Model::new(seed, &topology, parameters, story);
        model.extend(clock.anchor.max(BEGIN + STEP));
        let mut flows = Flows::new(topology.nodes());
        flows.extend(&model);
        Self {
            topology,
            clock,
            seed,
            inner: RwLock::new(Inner { model, flows }),
        }
    }

    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    pub fn clock(&self) -> Clock {
        self.clock
    }

    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The first moment there is.
    pub fn began_ms(&self) -> i64 {
        self.clock.wall_ms(BEGIN + STEP)
    }

    fn read(&self, t_ms: i64) -> (RwLockReadGuard<'_, Inner>, f64) {
        let at = self.clock.model(t_ms);
        let read = || self.inner.read().unwrap_or_else(PoisonError::into_inner);
        let inner = read();
        if inner.model.end() >= at {
            return (inner, at);
        }
        drop(inner);
        {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            let Inner { model, flows } = &mut *inner;
            if model.end() < at {
                model.extend(at + AHEAD);
                flows.extend(model);
            }
        }
        (read(), at)
    }

    /// Answers with the model, which has reached that time, and the time in it.
    pub fn with<T>(&self, t_ms: i64, look: impl FnOnce(&Model, f64) -> T) -> T {
        let (inner, at) = self.read(t_ms);
        look(&inner.model, at)
    }

    /// The state of the pod.
    pub fn step(&self, t_ms: i64) -> Step {
        self.with(t_ms, |model, at| model.steps()[model.step_at(at)].clone())
    }

    /// Storage, fabric and GPUs.
    pub fn physics(&self, t_ms: i64) -> Physics {
        self.with(t_ms, |model, at| model.steps()[model.step_at(at)].physics)
    }

    /// The figures the incident is known by.
    pub fn figures(&self, t_ms: i64) -> Figures {
        self.with(t_ms, Model::figures)
    }

    /// Whether aggressive prefetch is on at a front end.
    pub fn prefetch(&self, cnode: usize, t_ms: i64) -> bool {
        self.with(t_ms, |model, at| model.story().prefetch(cnode, at))
    }

    /// The spine of fabric `a` that is out.
    pub fn spine_out(&self, t_ms: i64) -> Option<usize> {
        self.with(t_ms, |model, at| model.story().spine_out(at))
    }

    /// The nodes that are drained.
    pub fn drained(&self, t_ms: i64) -> Vec<Drain> {
        self.with(t_ms, |model, at| {
            let now = |drain: &&Drain| (drain.from..drain.until).contains(&at);
            model.drains().iter().filter(now).copied().collect()
        })
    }

    /// The jobs that wait, run, or left less than `keep_seconds` ago.
    pub fn jobs(&self, t_ms: i64, keep_seconds: f64) -> Vec<Job> {
        self.with(t_ms, |model, at| {
            let seen = |job: &&Job| job.submit <= at && job.end.is_none_or(|end| end > at - keep_seconds);
            model.jobs().iter().filter(seen).cloned().collect()
        })
    }

    /// The jobs on a node, each with its number in the model and its GPUs as bits.
    pub fn on_node(&self, node: usize, t_ms: i64) -> Vec<(usize, Job, u16)> {
        self.with(t_ms, |model, at| {
            let mut found: Vec<(usize, Job, u16)> = Vec::new();
            for (gpu, job) in model.slots(node, model.step_at(at)).enumerate() {
                let Some(job) = job else { continue };
                match found.iter_mut().find(|(known, _, _)| *known == job) {
                    Some((_, _, gpus)) => *gpus |= 1 << gpu,
                    None => found.push((job, model.jobs()[job].clone(), 1 << gpu)),
                }
            }
            found
        })
    }

    /// What the pod has counted since the model began. From the anchor on, time runs at the clock's speed, and rates are
    /// per second of the wall clock.
    pub fn sums(&self, t_ms: i64) -> PodSums {
        let (inner, at) = self.read(t_ms);
        let sums = |at| inner.flows.pod_at(&inner.model, at);
        if at <= self.clock.anchor || self.clock.speed == 1.0 {
            return sums(at);
        }
        let before = sums(self.clock.anchor);
        before.plus(&sums(at).since(&before).scaled(1.0 / self.clock.speed))
    }

    /// What a node has counted; see [`Pod::sums`].
    pub fn node_sums(&self, node: usize, t_ms: i64) -> NodeSums {
        let (inner, at) = self.read(t_ms);
        let sums = |at| inner.flows.node_at(&inner.model, node, at);
        if at <= self.clock.anchor || self.clock.speed == 1.0 {
            return sums(at);
        }
        let before = sums(self.clock.anchor);
        before.plus(&sums(at).since(&before).scaled(1.0 / self.clock.speed))
    }

    /// A node's rates per second.
    pub fn node_rates(&self, node: usize, t_ms: i64) -> NodeSums {
        self.with(t_ms, |model, at| {
            flows::node_rates(model, node, model.step_at(at))
        })
    }

    /// Calls `count` for each step between two moments with the seconds of it between them, a node's rates, and the
    /// latency's shares: what a counter with buckets needs.
    pub fn walk(
        &self,
        node: usize,
        (from_ms, to_ms): (i64, i64),
        mut count: impl FnMut(f64, &NodeSums, &Shares),
    ) {
        let (inner, to) = self.read(to_ms);
        let from = self.clock.model(from_ms).max(BEGIN);
        let mut at = from;
        while at < to {
            let step = ((at - BEGIN) / STEP).floor();
            let until = (BEGIN + (step + 1.0) * STEP).min(to);
            let number = (step as usize).min(inner.model.steps().len() - 1);
            let pace = if at >= self.clock.anchor {
                self.clock.speed
            } else {
                1.0
            };
            let rates = flows::node_rates(&inner.model, node, number);
            count((until - at) / pace, &rates, &inner.model.steps()[number].shares);
            at = until;
        }
    }
}
