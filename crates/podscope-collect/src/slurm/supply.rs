//! Supply and demand, counted apart: what arrives, starts, leaves and ends, from one look at the queue to the next.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::job::JobState;

/// Pairs of partition and account that are counted apart; further accounts are counted as `other`.
const MOST_PAIRS: usize = 512;
/// Rates are over this span; below half of it they are not known.
const RATE_S: i64 = 900;
/// Shares of failed jobs are over this span.
const HOUR_S: i64 = 3600;
/// Ended jobs of an hour.
const MOST_ENDED: usize = 200_000;
/// Jobs that must have ended for a share.
const FEWEST: usize = 20;

/// Jobs, and their GPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Flow {
    pub jobs: f64,
    pub gpus: f64,
}

impl Flow {
    fn add(&mut self, jobs: f64, gpus: f64) {
        self.jobs += jobs;
        self.gpus += gpus;
    }
}

/// Partition and account.
pub type Pair = (Arc<str>, Arc<str>);

/// The way of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// The machine's fault.
    Infra,
    /// The job's own.
    User,
}

impl Failure {
    pub fn of(state: JobState) -> Option<Self> {
        match state {
            JobState::NodeFail | JobState::BootFail => Some(Self::Infra),
            JobState::Failed | JobState::OutOfMemory | JobState::Timeout | JobState::Deadline => {
                Some(Self::User)
            }
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Infra => "infra",
            Self::User => "user",
        }
    }
}

/// Why a job was put back into the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RestartCause {
    NodeFail,
    Preempted,
    Requeue,
}

impl RestartCause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NodeFail => "node_fail",
            Self::Preempted => "preempted",
            Self::Requeue => "requeue",
        }
    }
}

/// Counters since the agent started, and what is made of their last minutes.
#[derive(Debug, Default)]
pub struct Supply {
    pub arrived: BTreeMap<Pair, Flow>,
    pub started: BTreeMap<Pair, Flow>,
    pub left: BTreeMap<Pair, Flow>,
    /// By partition and state: jobs, and the GPU hours they took.
    pub ended: BTreeMap<(Arc<str>, JobState), Flow>,
    pub lost_gpu_hours: BTreeMap<Failure, f64>,
    pub restarts: BTreeMap<RestartCause, f64>,
    pub resubmissions: f64,
    /// End, state, GPU hours.
    last_hour: VecDeque<(i64, JobState, f64)>,
    /// By time: GPUs arrived and started up to then, by partition.
    marks: VecDeque<(i64, BTreeMap<Arc<str>, (f64, f64)>)>,
    /// Since when ended jobs are known.
    since_s: Option<i64>,
}

impl Supply {
    fn pair(map: &BTreeMap<Pair, Flow>, partition: &Arc<str>, account: &Arc<str>) -> Pair {
        let pair = (Arc::clone(partition), Arc::clone(account));
        if map.len() < MOST_PAIRS || map.contains_key(&pair) {
            pair
        } else {
            (Arc::clone(partition), Arc::from("other"))
        }
    }

    pub(crate) fn arrive(&mut self, partition: &Arc<str>, account: &Arc<str>, jobs: f64, gpus: f64) {
        let pair = Self::pair(&self.arrived, partition, account);
        self.arrived.entry(pair).or_default().add(jobs, gpus);
    }

    pub(crate) fn start(&mut self, partition: &Arc<str>, account: &Arc<str>, jobs: f64, gpus: f64) {
        let pair = Self::pair(&self.started, partition, account);
        self.started.entry(pair).or_default().add(jobs, gpus);
    }

    pub(crate) fn leave(&mut self, partition: &Arc<str>, account: &Arc<str>, jobs: f64, gpus: f64) {
        let pair = Self::pair(&self.left, partition, account);
        self.left.entry(pair).or_default().add(jobs, gpus);
    }

    /// A job ended; with `count` it ended while we looked, without it before.
    pub(crate) fn end(
        &mut self,
        partition: &Arc<str>,
        state: JobState,
        end_s: i64,
        gpu_hours: f64,
        count: bool,
    ) {
        if self.last_hour.len() < MOST_ENDED {
            self.last_hour.push_back((end_s, state, gpu_hours));
        }
        if !count {
            return;
        }
        let flow = self.ended.entry((Arc::clone(partition), state)).or_default();
        flow.add(1.0, gpu_hours);
        if let Some(failure) = Failure::of(state) {
            *self.lost_gpu_hours.entry(failure).or_default() += gpu_hours;
        }
    }

    /// Closes a look at the queue.
    pub(crate) fn mark(&mut self, now_s: i64) {
        self.since_s.get_or_insert(now_s);
        let mut sums: BTreeMap<Arc<str>, (f64, f64)> = BTreeMap::new();
        for ((partition, _), flow) in &self.arrived {
            sums.entry(Arc::clone(partition)).or_default().0 += flow.gpus;
        }
        for ((partition, _), flow) in &self.started {
            sums.entry(Arc::clone(partition)).or_default().1 += flow.gpus;
        }
        self.marks.push_back((now_s, sums));
        while self.marks.front().is_some_and(|(at, _)| *at < now_s - RATE_S) && self.marks.len() > 2 {
            self.marks.pop_front();
        }
        self.last_hour.retain(|(at, _, _)| *at >= now_s - HOUR_S);
    }

    /// GPUs a second that arrived and started in the last quarter of an hour; `None`: all partitions. Absent while too
    /// little is known.
    pub fn rates(&self, partition: Option<&str>) -> Option<(f64, f64)> {
        let ((first_s, first), (last_s, last)) = (self.marks.front()?, self.marks.back()?);
        let span = last_s - first_s;
        if span < RATE_S / 2 {
            return None;
        }
        let sum = |sums: &BTreeMap<Arc<str>, (f64, f64)>| match partition {
            Some(partition) => sums.get(partition).copied().unwrap_or_default(),
            None => sums
                .values()
                .fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1)),
        };
        let (before, after) = (sum(first), sum(last));
        let span = span as f64;
        Some(((after.0 - before.0) / span, (after.1 - before.1) / span))
    }

    /// Seconds until so many waiting GPUs have started; absent while the backlog does not shrink.
    pub fn drain_eta(&self, backlog_gpus: f64, partition: Option<&str>) -> Option<f64> {
        let (arrivals, starts) = self.rates(partition)?;
        let shrinking = starts - arrivals;
        (shrinking > 1e-9).then(|| backlog_gpus / shrinking)
    }

    /// Share of the jobs ended in the last hour that failed this way; cancelled and preempted ones do not count.
    pub fn failure_ratio(&self, failure: Failure) -> Option<f64> {
        let counted = self.last_hour.iter().filter(|(_, state, _)| {
            state.is_ended() && !matches!(state, JobState::Cancelled | JobState::Preempted)
        });
        let (mut ended, mut failed) = (0_usize, 0_usize);
        for (_, state, _) in counted {
            ended += 1;
            failed += usize::from(Failure::of(*state) == Some(failure));
        }
        (ended >= FEWEST).then(|| failed as f64 / ended as f64)
    }

    /// GPU hours of jobs that ended in the last hour, by the hour; absent before half an hour of it is known.
    pub fn gpu_hours_per_hour(&self, now_s: i64, known_since_s: Option<i64>) -> Option<f64> {
        let since = known_since_s.or(self.since_s)?;
        let span = (now_s - since).min(HOUR_S);
        if span < HOUR_S / 2 {
            return None;
        }
        let sum: f64 = self
            .last_hour
            .iter()
            .filter(|(at, _, _)| *at >= now_s - span)
            .map(|(_, _, hours)| hours)
            .sum();
        Some(sum * HOUR_S as f64 / span as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Arc<str> {
        text.into()
    }

    #[test]
    fn a_backlog_drains_at_the_rate_starts_exceed_arrivals() {
        let (gpu, account) = (name("gpu"), name("a"));
        let mut supply = Supply::default();
        supply.mark(0);
        assert_eq!(supply.rates(None), None, "one look is no rate");
        for minute in 1..=15 {
            supply.arrive(&gpu, &account, 1.0, 8.0);
            supply.start(&gpu, &account, 3.0, 24.0);
            supply.mark(minute * 60);
        }
        // 24 GPUs start and 8 arrive a minute: 16 fewer wait.
        let eta = supply.drain_eta(160.0, None).expect("shrinks");
        assert!((eta - 600.0).abs() < 1e-6, "{eta}");
        assert_eq!(supply.drain_eta(160.0, Some("gpu")), Some(eta));
        assert_eq!(supply.drain_eta(160.0, Some("cpu")), None, "nothing moves there");
        for minute in 16..=31 {
            supply.arrive(&gpu, &account, 2.0, 16.0);
            supply.mark(minute * 60);
        }
        assert_eq!(supply.drain_eta(160.0, None), None, "it grows");
    }

    #[test]
    fn shares_of_failures_leave_out_cancelled_jobs_and_need_twenty_ended() {
        let gpu = name("gpu");
        let mut supply = Supply::default();
        for at in 0..15 {
            supply.end(&gpu, JobState::Completed, at, 1.0, true);
        }
        for at in 0..3 {
            supply.end(&gpu, JobState::Failed, at, 2.0, true);
        }
        supply.end(&gpu, JobState::NodeFail, 3, 10.0, true);
        for _ in 0..50 {
            supply.end(&gpu, JobState::Cancelled, 4, 0.0, true);
        }
        assert_eq!(supply.failure_ratio(Failure::Infra), None, "nineteen");
        supply.end(&gpu, JobState::OutOfMemory, 5, 0.0, true);
        assert_eq!(supply.failure_ratio(Failure::Infra), Some(0.05));
        assert_eq!(supply.failure_ratio(Failure::User), Some(0.2));
        assert_eq!(supply.lost_gpu_hours[&Failure::Infra], 10.0);
        assert_eq!(supply.lost_gpu_hours[&Failure::User], 6.0);
        supply.mark(3601);
        assert_eq!(
            supply.failure_ratio(Failure::User),
            None,
            "an hour later most are forgotten"
        );
    }

    #[test]
    fn the_thousandth_account_is_counted_as_other() {
        let gpu = name("gpu");
        let mut supply = Supply::default();
        for account in 0..1000 {
            supply.arrive(&gpu, &name(&format!("a{account}")), 1.0, 1.0);
        }
        assert!(supply.arrived.len() <= MOST_PAIRS + 1);
        let all: f64 = supply.arrived.values().map(|flow| flow.jobs).sum();
        assert_eq!(all, 1000.0);
        assert_eq!(
            supply.arrived[&(gpu, name("other"))].jobs,
            (1000 - MOST_PAIRS) as f64
        );
    }
}
