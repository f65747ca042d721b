//! From one look at the queue to the next: who came, started, left, ended, and was put back.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::cluster::Snapshot;
use super::job::{Job, JobState};
use super::reason::Class;
use super::spells::{Ended, Spell, Spells};
use super::supply::{RestartCause, Supply};

/// A job like one that failed so recently is that one again.
const RESUBMITTED_WITHIN_S: i64 = 900;
/// Failures remembered for that.
const MOST_FAILURES: usize = 4096;

/// Upper edges of the histogram of waits, in seconds; the target of the promise is added.
const EDGES: [f64; 14] = [
    10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1200.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0,
    86_400.0,
];

/// What is remembered of a job between two looks.
#[derive(Clone, Debug)]
struct Known {
    state: JobState,
    /// While it waits.
    class: Class,
    restarts: u32,
    round: u64,
    /// When it was told of for the first time.
    first_round: u64,
    /// Its end was counted.
    counted: bool,
    partition: Arc<str>,
    account: Arc<str>,
    all_gpus: f64,
    tasks: u32,
    nodes: Box<str>,
}

/// Waits of the jobs that started, in a partition.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    /// Jobs per edge, then beyond the last.
    pub counts: Vec<f64>,
    pub sum: f64,
}

/// See the module.
#[derive(Debug)]
pub struct Tracker {
    pub spells: Spells,
    pub supply: Supply,
    pub histogram: BTreeMap<Arc<str>, Histogram>,
    pub edges: Vec<f64>,
    known: HashMap<u64, Known>,
    /// User, name and folder of jobs that failed, with the time.
    failures: VecDeque<(i64, Arc<str>, Box<str>, Box<str>)>,
    round: u64,
    last_s: Option<i64>,
    /// Since when ended jobs are known: slurmdbd was asked for an hour.
    known_since_s: Option<i64>,
}

impl Tracker {
    /// `target_s` becomes an edge of the histogram.
    pub fn new(target_s: f64) -> Self {
        let mut edges = EDGES.to_vec();
        if !edges.contains(&target_s) {
            edges.push(target_s);
            edges.sort_by(f64::total_cmp);
        }
        Self {
            spells: Spells::default(),
            supply: Supply::default(),
            histogram: BTreeMap::new(),
            edges,
            known: HashMap::new(),
            failures: VecDeque::new(),
            round: 0,
            last_s: None,
            known_since_s: None,
        }
    }

    /// GPU hours that jobs which ended in the last hour took.
    pub fn gpu_hours_per_hour(&self, now_s: i64) -> Option<f64> {
        self.supply.gpu_hours_per_hour(now_s, self.known_since_s)
    }

    /// Takes what one round of questions brought.
    pub fn observe(&mut self, snapshot: &Snapshot, now_s: i64) {
        // A clock set back, or a world that begins again: what was known says nothing about now.
        if self.last_s.is_some_and(|last| now_s < last) {
            *self = Self {
                edges: std::mem::take(&mut self.edges),
                ..Self::new(EDGES[0])
            };
        }
        self.round += 1;
        let first = self.round == 1;
        for job in snapshot.jobs.iter() {
            self.job(job, snapshot, now_s, first);
        }
        for job in &snapshot.past {
            self.past(job, now_s, first);
        }
        if !snapshot.past.is_empty() && self.known_since_s.is_none() {
            self.known_since_s = Some(now_s - 3600);
        }
        self.vanished(now_s);
        self.spells.forget(now_s);
        self.supply.mark(now_s);
        while self
            .failures
            .front()
            .is_some_and(|(at, ..)| *at < now_s - RESUBMITTED_WITHIN_S)
        {
            self.failures.pop_front();
        }
        self.last_s = Some(now_s);
    }

    /// A job of slurmdbd's: it fills what nobody saw, before the agent started or while Slurm could not be asked.
    fn past(&mut self, job: &Job, now_s: i64, first: bool) {
        match self.known.get(&job.id).cloned() {
            // slurmctld has just told of it.
            Some(known) if known.round == self.round => return,
            // It ended and was forgotten since the last look.
            Some(known) if job.state.is_ended() => {
                if known.state == JobState::Pending {
                    self.left_queue(job, &known);
                }
                if !known.counted {
                    let hours = job.gpus * job.ran_s(now_s) as f64 / 3600.0;
                    self.supply
                        .end(&job.partition, job.state, job.end_s.unwrap_or(now_s), hours, true);
                }
                self.known.remove(&job.id);
                return;
            }
            _ => {}
        }
        if !job.state.is_ended() && job.started_s().is_none() {
            return;
        }
        let since = self.last_s.unwrap_or(i64::MAX);
        let Some(spell) = spell_of(job) else { return };
        let new = match job.started_s() {
            Some(start) => self.spells.add(spell, Ended::Started(start)),
            None => match job.end_s {
                Some(end) => self.spells.add(spell, Ended::Left(end)),
                None => false,
            },
        };
        if !new {
            return;
        }
        let ours = |at: Option<i64>| !first && at.is_some_and(|at| at > since);
        if let Some(start) = job.started_s().filter(|start| ours(Some(*start))) {
            self.count_arrival(job);
            self.count_start(job);
            self.count_wait(job, start);
        }
        if job.state.is_ended()
            && let Some(end) = job.end_s.filter(|end| *end >= now_s - 3600)
        {
            let hours = job.gpus * job.ran_s(now_s) as f64 / 3600.0;
            self.supply
                .end(&job.partition, job.state, end, hours, ours(Some(end)));
        }
    }

    fn job(&mut self, job: &Job, snapshot: &Snapshot, now_s: i64, first: bool) {
        let class = Class::of(&job.reason);
        let before = self.known.get(&job.id).cloned();
        if let Some(before) = &before {
            let restarted = job.restarts > before.restarts
                || (job.state == JobState::Pending && before.state != JobState::Pending);
            if restarted {
                let cause = restart_cause(before, snapshot);
                let times = f64::from(job.restarts.saturating_sub(before.restarts).max(1));
                *self.supply.restarts.entry(cause).or_default() += times;
            }
        }
        match (job.state == JobState::Pending, &before) {
            (true, _) => self.waiting(job, class, before.as_ref(), now_s, first),
            (false, None) => self.appeared(job, first),
            (false, Some(before)) if before.state == JobState::Pending => self.left_queue(job, before),
            (false, Some(_)) => {}
        }
        let mut counted = before.as_ref().is_some_and(|before| {
            before.counted && before.state == job.state && before.restarts == job.restarts
        });
        if job.state.is_ended() && !counted {
            counted = true;
            let end = job.end_s.unwrap_or(now_s);
            let hours = job.gpus * job.ran_s(now_s) as f64 / 3600.0;
            self.supply.end(&job.partition, job.state, end, hours, !first);
            if matches!(job.state, JobState::Failed | JobState::NodeFail)
                && self.failures.len() < MOST_FAILURES
            {
                let failure = (end, Arc::clone(&job.user), job.name.clone(), job.work_dir.clone());
                self.failures.push_back(failure);
            }
        }
        let known = Known {
            state: job.state,
            class,
            restarts: job.restarts,
            round: self.round,
            first_round: before.as_ref().map_or(self.round, |before| before.first_round),
            counted,
            partition: Arc::clone(&job.partition),
            account: Arc::clone(&job.account),
            all_gpus: job.all_gpus(),
            tasks: job.tasks,
            nodes: if job.state.is_running() {
                job.nodes.clone()
            } else {
                before.map(|before| before.nodes).unwrap_or_default()
            },
        };
        self.known.insert(job.id, known);
    }

    fn waiting(&mut self, job: &Job, class: Class, before: Option<&Known>, now_s: i64, first: bool) {
        let eligible = job.eligible_s.filter(|at| *at <= now_s);
        let Some(eligible) = eligible.filter(|_| class == Class::Capacity) else {
            // Held back by something else from now on.
            if self.spells.end(job.id, Ended::Left(now_s)).is_some()
                && let Some(before) = before
            {
                self.supply.leave(
                    &before.partition,
                    &before.account,
                    f64::from(before.tasks),
                    before.all_gpus,
                );
            }
            return;
        };
        if let Some(spell) = self.spells.waits_mut(job.id) {
            // Tasks of an array that started or left wait no more; a job's partition may be changed while it waits.
            if spell.eligible_s == eligible || before.is_some_and(|before| before.class == class) {
                spell.tasks = job.tasks;
                spell.gpus = job.gpus;
                spell.partition = Arc::clone(&job.partition);
                spell.account = Arc::clone(&job.account);
                spell.qos = Arc::clone(&job.qos);
                return;
            }
        }
        let Some(mut spell) = spell_of(job) else { return };
        if before.is_some_and(|before| before.state == JobState::Pending && before.class == Class::Limit) {
            // Slurm does not move `eligible` when a limit no longer holds a job back.
            spell.eligible_s = now_s;
        }
        self.spells.begin(spell);
        if !first && !self.is_split_off(job, before) {
            self.count_arrival(job);
            if before.is_none() {
                self.note_resubmission(job);
            }
        }
    }

    /// A task that was counted with its array.
    fn is_split_off(&self, job: &Job, before: Option<&Known>) -> bool {
        before.is_none()
            && job.array_job != 0
            && job.array_job != job.id
            && self
                .known
                .get(&job.array_job)
                .is_some_and(|array| array.first_round < self.round)
    }

    /// A job that was not there at the last look and waits no more.
    fn appeared(&mut self, job: &Job, first: bool) {
        let Some(spell) = spell_of(job) else { return };
        let new = match (job.started_s(), job.end_s) {
            (Some(start), _) => self.spells.add(spell, Ended::Started(start)),
            (None, Some(end)) if job.state.is_ended() => self.spells.add(spell, Ended::Left(end)),
            _ => return,
        };
        // What started long before is no news: the agent was started meanwhile, or slurmdbd told already.
        let news = self
            .last_s
            .is_some_and(|last| job.started_s().or(job.end_s).is_some_and(|at| at >= last - 60));
        if first || !new || !news {
            return;
        }
        if !self.is_split_off(job, None) {
            self.count_arrival(job);
            self.note_resubmission(job);
        }
        match job.started_s() {
            Some(start) => {
                self.count_start(job);
                self.count_wait(job, start);
            }
            None => self.count_leave(job),
        }
    }

    /// A job that waited at the last look and does no more.
    fn left_queue(&mut self, job: &Job, before: &Known) {
        match job.started_s() {
            Some(start) => {
                // The last task of an array keeps the array's number; the others have got their own.
                if let Some(spell) = self.spells.waits_mut(job.id) {
                    spell.tasks = job.tasks;
                }
                if let Some(spell) = self.spells.end(job.id, Ended::Started(start)) {
                    self.count_wait_since(&spell.partition, spell.eligible_s, start);
                } else {
                    // It was held back at the last look, and started before this one.
                    self.count_arrival(job);
                    let released = before.class != Class::Limit
                        && job
                            .eligible_s
                            .is_some_and(|at| self.last_s.is_none_or(|last| at >= last - 1));
                    if let Some(spell) = spell_of(job).filter(|_| released)
                        && self.spells.add(spell, Ended::Started(start))
                    {
                        self.count_wait(job, start);
                    }
                }
                self.count_start(job);
            }
            None => {
                let end = job.end_s.or(self.last_s).unwrap_or(0);
                if self.spells.end(job.id, Ended::Left(end)).is_some() {
                    self.supply.leave(
                        &before.partition,
                        &before.account,
                        f64::from(before.tasks),
                        before.all_gpus,
                    );
                }
            }
        }
    }

    /// Jobs that are no longer told of.
    fn vanished(&mut self, now_s: i64) {
        let round = self.round;
        let gone: Vec<u64> = self
            .known
            .iter()
            .filter(|(_, known)| known.round != round)
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            let Some(known) = self.known.remove(&id) else {
                continue;
            };
            let last = self.last_s.unwrap_or(now_s);
            if self.spells.end(id, Ended::Left(last)).is_some() {
                self.supply.leave(
                    &known.partition,
                    &known.account,
                    f64::from(known.tasks),
                    known.all_gpus,
                );
            }
        }
    }

    fn count_arrival(&mut self, job: &Job) {
        self.supply
            .arrive(&job.partition, &job.account, f64::from(job.tasks), job.all_gpus());
    }

    fn count_leave(&mut self, job: &Job) {
        self.supply
            .leave(&job.partition, &job.account, f64::from(job.tasks), job.all_gpus());
    }

    fn count_start(&mut self, job: &Job) {
        self.supply
            .start(&job.partition, &job.account, f64::from(job.tasks), job.all_gpus());
    }

    fn count_wait(&mut self, job: &Job, start_s: i64) {
        if let Some(spell) = spell_of(job) {
            self.count_wait_since(&spell.partition, spell.eligible_s, start_s);
        }
    }

    fn count_wait_since(&mut self, partition: &Arc<str>, eligible_s: i64, start_s: i64) {
        let wait = (start_s - eligible_s).max(0) as f64;
        let edges = self.edges.len();
        let histogram = self.histogram.entry(Arc::clone(partition)).or_default();
        histogram.counts.resize(edges + 1, 0.0);
        let at = self.edges.partition_point(|edge| *edge < wait);
        histogram.counts[at] += 1.0;
        histogram.sum += wait;
    }

    fn note_resubmission(&mut self, job: &Job) {
        let submitted = job.submit_s.unwrap_or(0);
        let again = self.failures.iter().any(|(at, user, name, folder)| {
            (0..=RESUBMITTED_WITHIN_S).contains(&(submitted - at))
                && **user == *job.user
                && *name == job.name
                && *folder == job.work_dir
        });
        if again {
            self.supply.resubmissions += 1.0;
        }
    }
}

/// The wait of a job; absent when nobody knows since when it has waited.
fn spell_of(job: &Job) -> Option<Spell> {
    // A job that was held until it was cancelled never became eligible.
    let submitted = job.submit_s.filter(|_| job.started_s().is_some());
    let eligible_s = job.eligible_s.or(submitted)?;
    Some(Spell {
        job: job.id,
        eligible_s,
        submit_s: job.submit_s.unwrap_or(eligible_s),
        partition: Arc::clone(&job.partition),
        account: Arc::clone(&job.account),
        qos: Arc::clone(&job.qos),
        gpus: job.gpus,
        tasks: job.tasks,
    })
}

/// Slurm does not keep why a job was put back; how it ended before, or what became of its nodes, tells.
fn restart_cause(before: &Known, snapshot: &Snapshot) -> RestartCause {
    match before.state {
        JobState::NodeFail | JobState::BootFail => return RestartCause::NodeFail,
        JobState::Preempted => return RestartCause::Preempted,
        _ => {}
    }
    // A list that cannot be read is no reason.
    let nodes = super::hostlist::expand(&before.nodes).unwrap_or_default();
    let failed = snapshot.nodes.iter().any(|node| {
        matches!(node.state.unavailable(), Some("down" | "fail"))
            && nodes.iter().any(|name| **name == *node.name)
    });
    if failed {
        RestartCause::NodeFail
    } else {
        RestartCause::Requeue
    }
}

#[cfg(test)]
mod tests;
