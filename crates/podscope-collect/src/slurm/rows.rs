//! The scheduler's state as a row.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{MetricDef, slurm};

use super::book::{Book, PollHealth};
use super::cluster::{Rpc, Snapshot};
use super::job::{Job, JobState};
use super::node::Node;
use super::reason::Class;
use super::spells::{Group, Since, Weight};
use super::supply::Failure;
use super::track::Tracker;
use super::wait::{Fate, Observed, Quantile, Waits};

/// Groups with quantiles.
const MOST_GROUPS: usize = 256;
/// Accounts, partitions, reasons, users and nodes with series of their own.
const MOST_ACCOUNTS: usize = 500;
const MOST_REASONS: usize = 64;
const MOST_USERS: usize = 200;
const MOST_NODES: usize = 500;
const MOST_RPC_USERS: usize = 10;
const MOST_RPC_TYPES: usize = 20;
/// Starts below which a quantile says nothing.
pub(crate) const FEWEST_STARTS: f64 = 20.0;
/// The window of the quantiles.
pub(crate) const WINDOW_S: i64 = 3600;
pub(crate) const QUANTILES: [(&str, f64); 3] = [("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99)];
/// Use beyond this times the share is over-use.
const OVER_USE: f64 = 1.5;

/// `all` where a group says nothing.
pub(crate) fn group_labels(group: &Group) -> [(&'static str, &str); 3] {
    let of = |at: usize| -> &str { if group[at].is_empty() { "all" } else { &group[at] } };
    [("partition", of(0)), ("account", of(1)), ("qos", of(2))]
}

/// How many of a group started, wait and left, weighted.
pub(crate) fn counts(observed: &[Observed]) -> [f64; 3] {
    let mut counts = [0.0; 3];
    for one in observed {
        counts[match one.fate {
            Fate::Started => 0,
            Fate::Waiting => 1,
            Fate::Left => 2,
        }] += one.weight;
    }
    counts
}

pub(super) fn write(book: &Book, row: &mut Row, now_s: i64) {
    let snapshot = &book.snapshot;
    let mut left_out = BTreeMap::new();
    queue(snapshot, row, &mut left_out);
    nodes(snapshot, row, now_s, &mut left_out);
    waits(&book.tracker, row, now_s, &mut left_out);
    backlog(snapshot, &book.tracker, row, now_s, &mut left_out);
    flows(&book.tracker, row);
    shares(snapshot, row);
    diag(snapshot, row);
    if snapshot.unread > 0 {
        left_out.insert("unreadable", snapshot.unread as usize);
    }
    for what in [
        "jobs",
        "groups",
        "accounts",
        "users",
        "nodes",
        "reasons",
        "unreadable",
    ] {
        let count = left_out.get(what).copied().unwrap_or(0);
        row.set(&slurm::LEFT_OUT, &[("what", what)], count as f64);
    }
}

/// How asking goes; written whether it does or not.
pub(super) fn health(health: &PollHealth, snapshot: &Snapshot, row: &mut Row, now_ms: i64) {
    let labels = [("cluster", &*snapshot.cluster), ("api", &*snapshot.api)];
    row.set(&slurm::UP, &labels, f64::from(u8::from(health.error.is_none())));
    row.set(&slurm::POLL_SECONDS, &[], health.took.as_secs_f64());
    if let Some(last) = health.last_ms {
        row.set(&slurm::POLL_AGE, &[], (now_ms - last).max(0) as f64 / 1000.0);
    }
    row.set(&slurm::POLL_FAILURES, &[], health.failures as f64);
    for (what, count) in ["jobs", "nodes"].into_iter().zip(health.unchanged) {
        row.set(&slurm::POLL_UNCHANGED, &[("what", what)], count as f64);
    }
    if let Some(skew) = health.skew_s {
        row.set(&slurm::CLOCK_SKEW, &[], skew);
    }
}

type LeftOut = BTreeMap<&'static str, usize>;

/// The biggest `most`, in order of their keys.
fn biggest<K: Ord + Clone, V>(
    map: BTreeMap<K, V>,
    most: usize,
    size: impl Fn(&V) -> f64,
    what: &'static str,
    left_out: &mut LeftOut,
) -> Vec<(K, V)> {
    let mut list: Vec<(K, V)> = map.into_iter().collect();
    if list.len() > most {
        *left_out.entry(what).or_default() += list.len() - most;
        list.sort_by(|a, b| size(&b.1).total_cmp(&size(&a.1)));
        list.truncate(most);
        list.sort_by(|a, b| a.0.cmp(&b.0));
    }
    list
}

#[derive(Default)]
struct Sums {
    pending: f64,
    running: f64,
    suspended: f64,
    cpus_pending: f64,
    cpus_running: f64,
    gpus_pending: f64,
    gpus_running: f64,
}

impl Sums {
    fn add(&mut self, job: &Job) {
        let tasks = f64::from(job.tasks);
        let cpus = f64::from(job.cpus) * tasks;
        match job.state {
            JobState::Pending => {
                self.pending += tasks;
                self.cpus_pending += cpus;
                self.gpus_pending += job.all_gpus();
            }
            JobState::Suspended => self.suspended += tasks,
            JobState::Running | JobState::Configuring => {
                self.running += tasks;
                self.cpus_running += cpus;
                self.gpus_running += job.all_gpus();
            }
            _ => {}
        }
    }

    fn jobs(&self) -> f64 {
        self.pending + self.running + self.suspended
    }
}

fn queue(snapshot: &Snapshot, row: &mut Row, left_out: &mut LeftOut) {
    let mut states: BTreeMap<JobState, f64> = BTreeMap::new();
    let (mut accounts, mut users) = (
        BTreeMap::<Arc<str>, Sums>::new(),
        BTreeMap::<Arc<str>, Sums>::new(),
    );
    let mut partitions: BTreeMap<Arc<str>, f64> = BTreeMap::new();
    let mut reasons: BTreeMap<Arc<str>, f64> = BTreeMap::new();
    let mut dependency = 0.0;
    for partition in snapshot.partitions.iter() {
        partitions.insert(Arc::from(&*partition.name), 0.0);
    }
    for job in snapshot.jobs.iter() {
        let tasks = f64::from(job.tasks);
        *states.entry(job.state).or_default() += tasks;
        accounts.entry(Arc::clone(&job.account)).or_default().add(job);
        users.entry(Arc::clone(&job.user)).or_default().add(job);
        if job.state == JobState::Pending {
            *partitions.entry(Arc::clone(&job.partition)).or_default() += tasks;
            *reasons.entry(Arc::clone(&job.reason)).or_default() += tasks;
            if job.reason.starts_with("Dependency") {
                dependency += tasks;
            }
        }
    }
    let of = |state: JobState| states.get(&state).copied().unwrap_or(0.0);
    for (def, value) in [
        (&slurm::QUEUE_PENDING, of(JobState::Pending)),
        (&slurm::QUEUE_PENDING_DEPENDENCY, dependency),
        (&slurm::QUEUE_RUNNING, of(JobState::Running)),
        (&slurm::QUEUE_SUSPENDED, of(JobState::Suspended)),
        (&slurm::QUEUE_CONFIGURING, of(JobState::Configuring)),
        (&slurm::QUEUE_COMPLETING, of(JobState::Completing)),
        (&slurm::QUEUE_COMPLETED, of(JobState::Completed)),
        (&slurm::QUEUE_CANCELLED, of(JobState::Cancelled)),
        (&slurm::QUEUE_FAILED, of(JobState::Failed)),
        (&slurm::QUEUE_TIMEOUT, of(JobState::Timeout)),
        (&slurm::QUEUE_PREEMPTED, of(JobState::Preempted)),
        (&slurm::QUEUE_NODE_FAIL, of(JobState::NodeFail)),
    ] {
        row.set(def, &[], value);
    }
    for (reason, jobs) in biggest(reasons, MOST_REASONS, |jobs| *jobs, "reasons", left_out) {
        row.set(&slurm::PENDING_REASON, &[("reason", &reason)], jobs);
    }
    for (partition, jobs) in biggest(partitions, MOST_ACCOUNTS, |jobs| *jobs, "accounts", left_out) {
        row.set(&slurm::PARTITION_JOBS_PENDING, &[("partition", &partition)], jobs);
    }
    for (account, sums) in biggest(accounts, MOST_ACCOUNTS, Sums::jobs, "accounts", left_out) {
        let labels = [("account", &*account)];
        for (def, value) in [
            (&slurm::ACCOUNT_JOBS_PENDING, sums.pending),
            (&slurm::ACCOUNT_JOBS_RUNNING, sums.running),
            (&slurm::ACCOUNT_JOBS_SUSPENDED, sums.suspended),
            (&slurm::ACCOUNT_CPUS_PENDING, sums.cpus_pending),
            (&slurm::ACCOUNT_CPUS_RUNNING, sums.cpus_running),
            (&slurm::ACCOUNT_GPUS_PENDING, sums.gpus_pending),
            (&slurm::ACCOUNT_GPUS_RUNNING, sums.gpus_running),
        ] {
            row.set(def, &labels, value);
        }
    }
    users.retain(|user, sums| !user.is_empty() && sums.jobs() > 0.0);
    for (user, sums) in biggest(users, MOST_USERS, Sums::jobs, "users", left_out) {
        let labels = [("user", &*user)];
        row.set(&slurm::USER_JOBS_PENDING, &labels, sums.pending);
        row.set(&slurm::USER_JOBS_RUNNING, &labels, sums.running);
        row.set(&slurm::USER_CPUS_RUNNING, &labels, sums.cpus_running);
    }
}

#[derive(Default)]
struct Resources {
    alloc: f64,
    idle: f64,
    other: f64,
    total: f64,
    available: f64,
}

impl Resources {
    fn add(&mut self, alloc: f64, total: f64, available: bool) {
        let free = (total - alloc).max(0.0);
        self.alloc += alloc;
        self.total += total;
        if available {
            self.idle += free;
            self.available += total;
        } else {
            self.other += free;
        }
    }
}

/// What the known exporters count a node as, by its base state or a flag.
fn counted_as(node: &Node) -> [bool; 11] {
    let is = |words: &[&str]| words.iter().any(|word| node.state.is(word));
    let takes = node.state.unavailable().is_none();
    [
        takes && is(&["ALLOCATED"]),
        is(&["COMPLETING"]),
        is(&["DOWN"]),
        is(&["DRAIN", "DRAINED", "DRAINING"]),
        is(&["ERROR", "INVAL", "INVALID_REG"]),
        is(&["FAIL", "FAILING"]),
        takes && is(&["IDLE"]),
        is(&["MAINT", "MAINTENANCE"]),
        takes && is(&["MIXED"]),
        is(&["RESERVED"]),
        is(&["REBOOT", "REBOOT_ISSUED", "REBOOT_REQUESTED"]),
    ]
}

const NODE_STATES: [&MetricDef; 11] = [
    &slurm::NODES_ALLOC,
    &slurm::NODES_COMP,
    &slurm::NODES_DOWN,
    &slurm::NODES_DRAIN,
    &slurm::NODES_ERR,
    &slurm::NODES_FAIL,
    &slurm::NODES_IDLE,
    &slurm::NODES_MAINT,
    &slurm::NODES_MIX,
    &slurm::NODES_RESV,
    &slurm::NODES_REBOOT,
];

fn nodes(snapshot: &Snapshot, row: &mut Row, now_s: i64, left_out: &mut LeftOut) {
    let mut states = [0.0; 11];
    let (mut cpus, mut gpus) = (Resources::default(), Resources::default());
    let mut partitions: BTreeMap<&str, (Resources, Resources)> = BTreeMap::new();
    let mut unavailable = 0;
    for node in snapshot.nodes.iter() {
        let available = node.state.unavailable().is_none();
        for (state, counted) in states.iter_mut().zip(counted_as(node)) {
            *state += f64::from(u8::from(counted));
        }
        let node_cpus = (f64::from(node.cpus_alloc), f64::from(node.cpus));
        cpus.add(node_cpus.0, node_cpus.1, available);
        gpus.add(node.gpus_alloc, node.gpus, available);
        for partition in &node.partitions {
            let (of_cpus, of_gpus) = partitions.entry(partition).or_default();
            of_cpus.add(node_cpus.0, node_cpus.1, available);
            of_gpus.add(node.gpus_alloc, node.gpus, available);
        }
        if let Some(state) = node.state.unavailable() {
            unavailable += 1;
            if unavailable <= MOST_NODES {
                let age = node.reason_since_s.map_or(0, |since| (now_s - since).max(0));
                let labels = [("node", &*node.name), ("state", state), ("reason", &*node.reason)];
                row.set(&slurm::NODE_UNAVAILABLE, &labels, age as f64);
            }
        }
    }
    if unavailable > MOST_NODES {
        left_out.insert("nodes", unavailable - MOST_NODES);
    }
    for (def, value) in NODE_STATES.into_iter().zip(states) {
        row.set(def, &[], value);
    }
    for (def, value) in [
        (&slurm::CPUS_ALLOC, cpus.alloc),
        (&slurm::CPUS_IDLE, cpus.idle),
        (&slurm::CPUS_OTHER, cpus.other),
        (&slurm::CPUS_TOTAL, cpus.total),
        (&slurm::GPUS_ALLOC, gpus.alloc),
        (&slurm::GPUS_IDLE, gpus.idle),
        (&slurm::GPUS_OTHER, gpus.other),
        (&slurm::GPUS_TOTAL, gpus.total),
        (&slurm::GPUS_AVAILABLE, gpus.available),
    ] {
        row.set(def, &[], value);
    }
    if gpus.total > 0.0 {
        row.set(&slurm::GPUS_UTILIZATION, &[], gpus.alloc / gpus.total);
    }
    for (partition, (cpus, gpus)) in partitions.into_iter().take(MOST_ACCOUNTS) {
        let labels = [("partition", partition)];
        for (def, value) in [
            (&slurm::PARTITION_CPUS_ALLOCATED, cpus.alloc),
            (&slurm::PARTITION_CPUS_IDLE, cpus.idle),
            (&slurm::PARTITION_CPUS_OTHER, cpus.other),
            (&slurm::PARTITION_CPUS_TOTAL, cpus.total),
            (&slurm::PARTITION_GPUS_ALLOCATED, gpus.alloc),
            (&slurm::PARTITION_GPUS_AVAILABLE, gpus.available),
            (&slurm::PARTITION_GPUS_TOTAL, gpus.total),
        ] {
            row.set(def, &labels, value);
        }
    }
}

fn waits(tracker: &Tracker, row: &mut Row, now_s: i64, left_out: &mut LeftOut) {
    let by = (Since::Eligible, Weight::Jobs);
    let (groups, more) = tracker.spells.groups(by, now_s, WINDOW_S, true, MOST_GROUPS);
    if more > 0 {
        left_out.insert("groups", more);
    }
    for (group, observed) in &groups {
        let labels = group_labels(group);
        let [started, waiting, left] = counts(observed);
        row.set(&slurm::WAIT_STARTED, &labels, started);
        row.set(&slurm::WAIT_PENDING, &labels, waiting);
        row.set(&slurm::WAIT_CANCELLED, &labels, left);
        let waits = Waits::of(observed);
        for (name, p) in QUANTILES {
            let labels = [("quantile", name), labels[0], labels[1], labels[2]];
            match waits.quantile(p) {
                Some(Quantile::Known(wait)) if started >= FEWEST_STARTS => {
                    row.set(&slurm::WAIT_QUANTILE, &labels, wait);
                }
                Some(Quantile::AtLeast(age)) => row.set(&slurm::WAIT_LOWER_BOUND, &labels, age),
                _ => {}
            }
        }
    }
    for (by, def) in [
        ((Since::Eligible, Weight::Gpus), &slurm::WAIT_GPU_WEIGHTED),
        ((Since::Submit, Weight::Jobs), &slurm::WAIT_FROM_SUBMIT),
    ] {
        let (groups, _) = tracker.spells.groups(by, now_s, WINDOW_S, false, MOST_GROUPS / 4);
        for (group, observed) in &groups {
            let starts = observed.iter().filter(|one| one.fate == Fate::Started).count();
            if (starts as f64) < FEWEST_STARTS {
                continue;
            }
            let waits = Waits::of(observed);
            let labels = group_labels(group);
            for (name, p) in QUANTILES {
                if let Some(Quantile::Known(wait)) = waits.quantile(p) {
                    row.set(def, &[("quantile", name), labels[0], labels[1], labels[2]], wait);
                }
            }
        }
    }
    for (partition, histogram) in &tracker.histogram {
        let mut sum = 0.0;
        let edges = tracker
            .edges
            .iter()
            .map(f64::to_string)
            .chain(["+Inf".to_owned()]);
        for (count, edge) in histogram.counts.iter().zip(edges) {
            sum += count;
            let labels = [("partition", &**partition), ("le", &*edge)];
            row.set(&slurm::STARTED_WAIT_BUCKET, &labels, sum);
        }
        let labels = [("partition", &**partition)];
        row.set(&slurm::STARTED_WAIT_COUNT, &labels, sum);
        row.set(&slurm::STARTED_WAIT_SUM, &labels, histogram.sum);
    }
}

/// The backlog of a group.
#[derive(Clone, Copy, Default)]
struct Backlog {
    jobs: f64,
    gpus: f64,
    gpu_hours: f64,
    oldest_s: f64,
}

impl Backlog {
    fn add(&mut self, job: &Job, age_s: i64) {
        self.jobs += f64::from(job.tasks);
        self.gpus += job.all_gpus();
        if let Some(limit) = job.limit_s {
            self.gpu_hours += job.all_gpus() * limit as f64 / 3600.0;
        }
        self.oldest_s = self.oldest_s.max(age_s as f64);
    }
}

fn backlog(snapshot: &Snapshot, tracker: &Tracker, row: &mut Row, now_s: i64, left_out: &mut LeftOut) {
    let mut classes: BTreeMap<(Class, &str), Backlog> = BTreeMap::new();
    let mut groups: BTreeMap<(&str, &str), Backlog> = BTreeMap::new();
    groups.insert(("all", "all"), Backlog::default());
    for partition in snapshot.partitions.iter() {
        groups.insert((&partition.name, "all"), Backlog::default());
    }
    for class in Class::ALL {
        classes.insert((class, "all"), Backlog::default());
    }
    for job in snapshot.jobs.iter().filter(|job| job.state == JobState::Pending) {
        let class = Class::of(&job.reason);
        let eligible = job.eligible_s.filter(|at| *at <= now_s);
        let since = eligible.or(job.submit_s).unwrap_or(now_s);
        let age = (now_s - since).max(0);
        for partition in ["all", &*job.partition] {
            classes.entry((class, partition)).or_default().add(job, age);
        }
        if class == Class::Capacity && eligible.is_some() {
            let mut keys = BTreeSet::from([("all", "all")]);
            keys.insert((&*job.partition, "all"));
            keys.insert(("all", &*job.account));
            keys.insert((&*job.partition, &*job.account));
            for key in keys
                .into_iter()
                .filter(|key| !key.0.is_empty() && !key.1.is_empty())
            {
                groups.entry(key).or_default().add(job, age);
            }
        }
    }
    for ((class, partition), sums) in classes.into_iter().filter(|((_, name), _)| !name.is_empty()) {
        let labels = [("class", class.as_str()), ("partition", partition)];
        row.set(&slurm::PENDING_JOBS, &labels, sums.jobs);
        row.set(&slurm::PENDING_GPUS, &labels, sums.gpus);
        if sums.jobs > 0.0 {
            row.set(&slurm::PENDING_OLDEST, &labels, sums.oldest_s);
        }
    }
    for ((partition, account), sums) in biggest(groups, MOST_ACCOUNTS, |sums| sums.jobs, "groups", left_out) {
        let labels = [("partition", partition), ("account", account)];
        row.set(&slurm::BACKLOG_JOBS, &labels, sums.jobs);
        row.set(&slurm::BACKLOG_GPUS, &labels, sums.gpus);
        row.set(&slurm::BACKLOG_GPU_HOURS, &labels, sums.gpu_hours);
        if sums.jobs > 0.0 {
            row.set(&slurm::BACKLOG_OLDEST, &labels, sums.oldest_s);
        }
        if account == "all" {
            let of = (partition != "all").then_some(partition);
            if let Some(eta) = tracker.supply.drain_eta(sums.gpus, of) {
                row.set(&slurm::DRAIN_ETA, &[("partition", partition)], eta);
            }
        }
    }
}

fn flows(tracker: &Tracker, row: &mut Row) {
    let supply = &tracker.supply;
    for (map, jobs, gpus) in [
        (&supply.arrived, &slurm::ARRIVED_JOBS, &slurm::ARRIVED_GPUS),
        (&supply.started, &slurm::STARTED_JOBS, &slurm::STARTED_GPUS),
        (&supply.left, &slurm::LEFT_JOBS, &slurm::LEFT_GPUS),
    ] {
        for ((partition, account), flow) in map {
            let labels = [("partition", &**partition), ("account", &**account)];
            row.set(jobs, &labels, flow.jobs);
            row.set(gpus, &labels, flow.gpus);
        }
    }
    for ((partition, state), flow) in &supply.ended {
        let labels = [("partition", &**partition), ("state", state.as_str())];
        row.set(&slurm::ENDED_JOBS, &labels, flow.jobs);
        row.set(&slurm::FINISHED_GPU_HOURS, &labels, flow.gpus);
    }
    for (failure, hours) in &supply.lost_gpu_hours {
        row.set(&slurm::LOST_GPU_HOURS, &[("class", failure.as_str())], *hours);
    }
    for failure in [Failure::Infra, Failure::User] {
        if let Some(ratio) = supply.failure_ratio(failure) {
            row.set(&slurm::FAILURE_RATIO, &[("class", failure.as_str())], ratio);
        }
    }
    for (cause, count) in &supply.restarts {
        row.set(&slurm::RESTARTS, &[("cause", cause.as_str())], *count);
    }
    row.set(&slurm::RESUBMISSIONS, &[], supply.resubmissions);
}

fn shares(snapshot: &Snapshot, row: &mut Row) {
    let mut running: BTreeMap<&str, f64> = BTreeMap::new();
    let mut wanting: BTreeSet<&str> = BTreeSet::new();
    for job in snapshot.jobs.iter() {
        if job.state.is_running() {
            *running.entry(&job.account).or_default() += job.all_gpus();
        } else if job.state == JobState::Pending && Class::of(&job.reason) == Class::Capacity {
            wanting.insert(&job.account);
        }
    }
    let allocated: f64 = running.values().sum();
    let now =
        |account: &str| (allocated > 0.0).then(|| running.get(account).copied().unwrap_or(0.0) / allocated);
    let starved = |share: &super::cluster::Share| {
        let below = share
            .target
            .zip(now(&share.account))
            .is_some_and(|(target, now)| now < target);
        below && wanting.contains(&*share.account)
    };
    for share in snapshot.shares.iter().take(MOST_ACCOUNTS) {
        let labels = [("account", &*share.account)];
        for (def, value) in [
            (&slurm::SHARE_TARGET, share.target),
            (&slurm::SHARE_USED, share.used),
            (&slurm::ACCOUNT_FAIRSHARE, share.factor),
            (&slurm::LEVEL_FS, share.level),
            (&slurm::SHARE_NOW, now(&share.account)),
        ] {
            if let Some(value) = value {
                row.set(def, &labels, value);
            }
        }
        if let (Some(target), Some(now)) = (share.target, now(&share.account)) {
            let others = snapshot
                .shares
                .iter()
                .filter(|other| other.account != share.account);
            let over = target > 0.0 && now / target > OVER_USE && others.into_iter().any(starved);
            row.set(&slurm::OVER_USE, &labels, f64::from(u8::from(over)));
        }
    }
}

fn diag(snapshot: &Snapshot, row: &mut Row) {
    let Some(diag) = &snapshot.diag else { return };
    for (def, value) in [
        (&slurm::SCHEDULER_THREADS, diag.threads),
        (&slurm::SCHEDULER_QUEUE_SIZE, diag.agent_queue),
        (&slurm::SCHEDULER_DBD_QUEUE_SIZE, diag.dbd_queue),
        (&slurm::SCHEDULER_LAST_CYCLE, diag.cycle_last),
        (&slurm::SCHEDULER_MEAN_CYCLE, diag.cycle_mean),
        (&slurm::SCHEDULER_CYCLE_PER_MINUTE, diag.cycles_per_minute),
        (&slurm::SCHEDULER_BACKFILL_LAST_CYCLE, diag.backfill_last),
        (&slurm::SCHEDULER_BACKFILL_MEAN_CYCLE, diag.backfill_mean),
        (&slurm::SCHEDULER_BACKFILL_DEPTH_MEAN, diag.backfill_depth_mean),
        (&slurm::SCHEDULER_BACKFILLED_START, diag.backfilled),
        (&slurm::SCHEDULER_BACKFILLED_CYCLE, diag.last_backfilled),
    ] {
        if let Some(value) = value {
            row.set(def, &[], value);
        }
    }
    let mut rpcs =
        |list: &[Rpc], label: &'static str, most, count: &'static MetricDef, time: &'static MetricDef| {
            let mut list: Vec<&Rpc> = list.iter().filter(|rpc| !rpc.name.is_empty()).collect();
            list.sort_by(|a, b| b.count.total_cmp(&a.count));
            for rpc in list.into_iter().take(most) {
                row.set(count, &[(label, &rpc.name)], rpc.count);
                row.set(time, &[(label, &rpc.name)], rpc.total_time);
            }
        };
    rpcs(
        &diag.rpc_users,
        "user",
        MOST_RPC_USERS,
        &slurm::RPC_USER_COUNT,
        &slurm::RPC_USER_TIME,
    );
    rpcs(
        &diag.rpc_types,
        "type",
        MOST_RPC_TYPES,
        &slurm::RPC_TYPE_COUNT,
        &slurm::RPC_TYPE_TIME,
    );
}
