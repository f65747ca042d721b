//! The scheduler: jobs in order of submission (fine-tuning a little ahead), small ones fitted between (EASY backfill: whole
//! nodes are reserved for the first that wait for them, others may use them only while they are sure to be gone in time).

use super::jobs::{End, Job, Placed, Reason};
use super::parameters::{Class, Parameters};
use super::physics::STEP;
use super::random::Random;
use crate::pod::topology::Topology;

/// What the GPUs of a node do: 0 is free, else one more than the job's index.
pub(super) type Slots = Vec<u32>;

/// Nodes held back at once for jobs that need whole ones, per 64.
const RESERVED: usize = 8;
/// Jobs looked at per pass, as slurm's `bf_max_job_test`.
const DEPTH: usize = 400;

#[derive(Clone, Debug)]
struct Node {
    slots: Slots,
    /// Epilog: until when, which GPUs.
    leaving: Vec<(f64, u16)>,
    drained: bool,
    partition: usize,
    /// Until when jobs that only fit between must be gone.
    reserved: Option<f64>,
}

impl Node {
    fn held(&self) -> u16 {
        self.leaving.iter().fold(0, |all, (_, gpus)| all | gpus)
    }

    fn free(&self) -> usize {
        let held = self.held();
        let free = |(at, slot): (usize, &u32)| *slot == 0 && held & (1 << at) == 0;
        self.slots.iter().enumerate().filter(|pair| free(*pair)).count()
    }
}

/// A job that runs, and how much work is left.
#[derive(Clone, Debug)]
struct Active {
    job: usize,
    left: f64,
    done: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Scheduler {
    nodes: Vec<Node>,
    free: Vec<usize>,
    partitions: Vec<&'static str>,
    pending: Vec<usize>,
    active: Vec<Active>,
    random: Random,
    gpus: usize,
}

/// What changed in a step.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) again: Vec<Job>,
    pub(crate) nodes: Vec<usize>,
}

impl Scheduler {
    pub(crate) fn new(seed: u64, topology: &Topology) -> Self {
        let partitions = topology.partitions();
        let node = |node: usize| Node {
            slots: vec![0; topology.gpus()],
            leaving: Vec::new(),
            drained: false,
            partition: partitions
                .iter()
                .position(|part| part.nodes.contains(&node))
                .unwrap_or(0),
            reserved: None,
        };
        Self {
            nodes: (0..topology.nodes()).map(node).collect(),
            free: vec![topology.gpus(); topology.nodes()],
            partitions: partitions.iter().map(|part| part.name).collect(),
            pending: Vec::new(),
            active: Vec::new(),
            random: Random::new(seed, 0x7363_6865),
            gpus: topology.gpus(),
        }
    }

    pub(crate) fn slots(&self, node: usize) -> &Slots {
        &self.nodes[node].slots
    }

    pub(crate) fn drain(&mut self, node: usize, drained: bool) {
        self.nodes[node].drained = drained;
    }

    /// GPUs that jobs hold, the epilog's included.
    pub(crate) fn allocated(&self) -> usize {
        let held = |node: &Node| node.slots.len() - node.free();
        self.nodes.iter().map(held).sum()
    }

    /// GPUs of nodes that are not drained.
    pub(crate) fn available(&self) -> usize {
        self.nodes.iter().filter(|node| !node.drained).count() * self.gpus
    }

    /// Jobs that wait.
    pub(crate) fn pending(&self) -> &[usize] {
        &self.pending
    }

    /// GPUs in use by class.
    pub(crate) fn running(&self, jobs: &[Job]) -> [f64; 4] {
        let mut sum = [0.0; 4];
        for active in &self.active {
            let job = &jobs[active.job];
            sum[job.class.at()] += job.gpus as f64;
        }
        sum
    }

    pub(crate) fn submit(&mut self, job: usize, jobs: &[Job]) {
        let order = jobs[job].order;
        let at = self.pending.partition_point(|other| jobs[*other].order <= order);
        self.pending.insert(at, job);
    }

    /// One step: who ends, who gives up, who starts. `speed` by class; `trouble`: chance that a running job meets an I/O
    /// error in this step.
    pub(crate) fn step(
        &mut self,
        jobs: &mut [Job],
        now: f64,
        speed: &[f64; 4],
        trouble: f64,
        parameters: &Parameters,
    ) -> Changes {
        let mut changes = Changes::default();
        for (at, node) in self.nodes.iter_mut().enumerate() {
            let before = node.leaving.len();
            node.leaving.retain(|(until, _)| *until > now);
            if node.leaving.len() != before {
                self.free[at] = node.free();
            }
        }
        self.finish(jobs, now, speed, trouble, parameters, &mut changes);
        self.give_up(jobs, now);
        self.start(jobs, now, &mut changes);
        changes
    }

    fn finish(
        &mut self,
        jobs: &mut [Job],
        now: f64,
        speed: &[f64; 4],
        trouble: f64,
        parameters: &Parameters,
        changes: &mut Changes,
    ) {
        let mut at = 0;
        while at < self.active.len() {
            let active = &mut self.active[at];
            let job = &mut jobs[active.job];
            let Some(start) = job.start else {
                at += 1;
                continue;
            };
            let rate = speed[job.class.at()];
            let worked = STEP * rate;
            let limit = start + f64::from(job.limit) * 60.0;
            let over = if job.fails_at.is_some_and(|fails| active.done + worked >= fails) {
                Some((now, End::Failed))
            } else if active.left <= worked {
                Some((now - STEP + active.left / rate, End::Completed))
            } else if now >= limit {
                Some((limit.max(now - STEP), End::Timeout))
            } else if job.work.is_finite() && self.random.unit() < trouble {
                Some((now, End::Failed))
            } else {
                None
            };
            let Some((end, how)) = over else {
                active.left -= worked;
                active.done += worked;
                at += 1;
                continue;
            };
            let index = active.job;
            // A tune that met an error of the storage is put back by its submitter's wrapper (requeue).
            if how == End::Failed && job.fails_at.is_none() && job.class == Class::Tune {
                let mut again = job.clone();
                (again.submit, again.eligible, again.order) = (end, end + 120.0, end);
                (again.start, again.end) = (None, None);
                again.restarts += 1;
                again.placed.clear();
                changes.again.push(again);
            }
            job.end = Some(end.max(start));
            job.how = how;
            for placed in &job.placed {
                let node = &mut self.nodes[placed.node];
                for slot in node.slots.iter_mut().filter(|slot| **slot == index as u32 + 1) {
                    *slot = 0;
                }
                node.leaving.push((end + parameters.epilog_seconds, placed.gpus));
                self.free[placed.node] = node.free();
                changes.nodes.push(placed.node);
            }
            self.active.swap_remove(at);
        }
    }

    /// People cancel what waits too long, now and then.
    fn give_up(&mut self, jobs: &mut [Job], now: f64) {
        let random = &mut self.random;
        self.pending.retain(|index| {
            let job = &mut jobs[*index];
            if !job.for_capacity() {
                return job.end.is_none_or(|end| end > now);
            }
            let tired =
                job.work.is_finite() && now - job.eligible > 1_200.0 && random.unit() < 0.002 * STEP / 60.0;
            if tired {
                job.end = Some(now);
                job.how = End::Cancelled;
            }
            !tired
        });
    }

    fn start(&mut self, jobs: &mut [Job], now: f64, changes: &mut Changes) {
        for node in &mut self.nodes {
            node.reserved = None;
        }
        let mut reserved = 0;
        let most = (RESERVED * self.nodes.len() / 64).max(1);
        let mut blocked = 0;
        let mut at = 0;
        let mut looked = 0;
        while at < self.pending.len() && looked < DEPTH {
            looked += 1;
            let index = self.pending[at];
            let job = &mut jobs[index];
            if !job.for_capacity() || job.eligible > now {
                at += 1;
                continue;
            }
            let needed = job.gpus.div_ceil(self.gpus).max(1);
            let per_node = job.gpus.min(self.gpus);
            let until = now + f64::from(job.limit) * 60.0;
            let places = self.fit(job.partition, needed, per_node, until);
            if let Some(places) = places {
                job.start = Some(now);
                for node in places {
                    let gpus = self.take(node, per_node, index);
                    job.placed.push(Placed { node, gpus });
                    changes.nodes.push(node);
                }
                self.active.push(Active {
                    job: index,
                    left: job.work,
                    done: 0.0,
                });
                self.pending.remove(at);
                continue;
            }
            job.reason = if blocked == 0 {
                Reason::Resources
            } else {
                Reason::Priority
            };
            blocked += 1;
            if per_node >= self.gpus / 2 && reserved < most {
                let partition = job.partition;
                reserved += self.reserve(jobs, partition, needed, per_node, now);
            }
            at += 1;
        }
    }

    /// Nodes for a job, the fullest that have room first.
    fn fit(&self, partition: &str, needed: usize, per_node: usize, until: f64) -> Option<Vec<usize>> {
        let mut found: Vec<(usize, usize)> = Vec::new();
        for (at, free) in self.free.iter().enumerate() {
            if *free < per_node {
                continue;
            }
            let node = &self.nodes[at];
            let fits = !node.drained
                && self.partitions[node.partition] == partition
                && node.reserved.is_none_or(|by| until <= by);
            if fits {
                found.push((*free, at));
            }
        }
        if found.len() < needed {
            return None;
        }
        found.sort_unstable();
        Some(found.into_iter().take(needed).map(|(_, at)| at).collect())
    }

    fn take(&mut self, node: usize, count: usize, job: usize) -> u16 {
        let held = self.nodes[node].held();
        let mut gpus = 0u16;
        let slots = &mut self.nodes[node].slots;
        for (at, slot) in slots.iter_mut().enumerate() {
            if gpus.count_ones() as usize == count {
                break;
            }
            if *slot == 0 && held & (1 << at) == 0 {
                *slot = job as u32 + 1;
                gpus |= 1 << at;
            }
        }
        self.free[node] = self.nodes[node].free();
        gpus
    }

    /// Holds back the nodes that will have room first; answers how many.
    fn reserve(&mut self, jobs: &[Job], partition: &str, needed: usize, per_node: usize, now: f64) -> usize {
        let mut room_at: Vec<(f64, usize)> = Vec::new();
        let mut ends: Vec<f64> = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            let fits =
                !node.drained && node.reserved.is_none() && self.partitions[node.partition] == partition;
            if !fits {
                continue;
            }
            ends.clear();
            for slot in &node.slots {
                // Most jobs end well before their limit.
                let end = (*slot as usize).checked_sub(1).map_or(now, |job| {
                    let start = jobs[job].start.unwrap_or(now);
                    f64::max(now, start + f64::from(jobs[job].limit) * 30.0)
                });
                ends.push(end);
            }
            ends.sort_by(f64::total_cmp);
            room_at.push((ends[per_node - 1], at));
        }
        room_at.sort_by(|a, b| a.0.total_cmp(&b.0));
        let chosen = room_at.into_iter().take(needed);
        let mut count = 0;
        for (by, at) in chosen {
            self.nodes[at].reserved = Some(by);
            count += 1;
        }
        count
    }
}
