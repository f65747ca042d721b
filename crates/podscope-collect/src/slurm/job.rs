//! Jobs as slurmctld and slurmdbd tell of them, in the shapes of 0.0.38 and of 0.0.40 to 0.0.42.

use std::collections::HashSet;
use std::sync::Arc;

use serde::Deserialize;

use super::gres;
use super::value::{Num, Text, Words};

/// Tasks counted of one job array: Slurm's own limit is four million, and no cluster has that many waiting.
const MOST_TASKS: u64 = 100_000;
/// Characters kept of a job's name, folder and node list.
const LONGEST: usize = 1024;

/// What a job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobState {
    Pending,
    Configuring,
    Running,
    Suspended,
    /// Its processes are gone or going; what it ended with is told later.
    Completing,
    Completed,
    Cancelled,
    Failed,
    Timeout,
    NodeFail,
    Preempted,
    BootFail,
    Deadline,
    OutOfMemory,
}

impl JobState {
    /// As Slurm writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Configuring => "CONFIGURING",
            Self::Running => "RUNNING",
            Self::Suspended => "SUSPENDED",
            Self::Completing => "COMPLETING",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
            Self::Failed => "FAILED",
            Self::Timeout => "TIMEOUT",
            Self::NodeFail => "NODE_FAIL",
            Self::Preempted => "PREEMPTED",
            Self::BootFail => "BOOT_FAIL",
            Self::Deadline => "DEADLINE",
            Self::OutOfMemory => "OUT_OF_MEMORY",
        }
    }

    /// The state that several words say together: `["COMPLETED", "COMPLETING"]`, `["RUNNING", "CONFIGURING"]`.
    fn of(words: &Words<'_>) -> Self {
        let mut found = None;
        for word in &words.0 {
            let word = word.trim();
            let state = match word.to_ascii_uppercase().as_str() {
                "PENDING" | "REQUEUED" | "REQUEUE_HOLD" | "REQUEUE_FED" | "SPECIAL_EXIT"
                | "RESV_DEL_HOLD" => Self::Pending,
                "CONFIGURING" | "POWER_UP_NODE" => Self::Configuring,
                "RUNNING" | "RESIZING" | "SIGNALING" => Self::Running,
                "SUSPENDED" | "STOPPED" => Self::Suspended,
                "COMPLETING" | "STAGE_OUT" => Self::Completing,
                "COMPLETED" => Self::Completed,
                "CANCELLED" | "REVOKED" => Self::Cancelled,
                "FAILED" | "LAUNCH_FAILED" | "RECONFIG_FAIL" => Self::Failed,
                "TIMEOUT" => Self::Timeout,
                "NODE_FAIL" => Self::NodeFail,
                "PREEMPTED" => Self::Preempted,
                "BOOT_FAIL" => Self::BootFail,
                "DEADLINE" => Self::Deadline,
                "OUT_OF_MEMORY" | "OUT_OF_ME+" => Self::OutOfMemory,
                // sacct: `CANCELLED by 1000`.
                other if other.starts_with("CANCELLED") => Self::Cancelled,
                _ => continue,
            };
            found = Some(match (found, state) {
                (None, state) => state,
                // How it ended says more than that it is being cleaned up, that it runs more than how.
                (Some(Self::Completing), state) if state.is_ended() => state,
                (Some(Self::Running), Self::Configuring | Self::Suspended) => state,
                (Some(known), _) => known,
            });
        }
        found.unwrap_or(Self::Pending)
    }

    pub fn is_ended(self) -> bool {
        self >= Self::Completed
    }

    /// It has its nodes.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Configuring | Self::Running | Self::Suspended)
    }
}

/// A job, or the waiting tasks of a job array.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub id: u64,
    /// The array it is a task of; 0: none.
    pub array_job: u64,
    /// Its number in the array.
    pub array_task: Option<u64>,
    /// Tasks this record stands for: those of an array wait together.
    pub tasks: u32,
    pub name: Box<str>,
    pub user: Arc<str>,
    pub account: Arc<str>,
    pub partition: Arc<str>,
    pub qos: Arc<str>,
    pub state: JobState,
    /// Why it waits or how it ended, in Slurm's word.
    pub reason: Arc<str>,
    /// Seconds since 1970; absent: not yet.
    pub submit_s: Option<i64>,
    pub eligible_s: Option<i64>,
    /// Of a pending job the scheduler's guess.
    pub start_s: Option<i64>,
    pub end_s: Option<i64>,
    /// Absent: none.
    pub limit_s: Option<u64>,
    /// Hostlist; empty: none yet.
    pub nodes: Box<str>,
    pub node_count: u32,
    pub cpus: u32,
    /// GPUs it has, or that each of its tasks asks for.
    pub gpus: f64,
    /// `gpu:h100:2(IDX:0-1)` per node, while it runs.
    pub gres: Box<[Box<str>]>,
    pub restarts: u32,
    pub work_dir: Box<str>,
}

impl Job {
    /// When it got its nodes; absent for one that never did.
    pub fn started_s(&self) -> Option<i64> {
        if self.state == JobState::Pending {
            return None;
        }
        // A job cancelled in the queue has its end for a start, and no nodes.
        let never_ran = self.state.is_ended() && self.nodes.is_empty() && self.start_s >= self.end_s;
        self.start_s.filter(|_| !never_ran)
    }

    /// GPUs of all its tasks.
    pub fn all_gpus(&self) -> f64 {
        self.gpus * f64::from(self.tasks)
    }

    /// Seconds it ran, up to `now_s` while it does.
    pub fn ran_s(&self, now_s: i64) -> i64 {
        let Some(start) = self.started_s() else { return 0 };
        let end = if self.state.is_ended() {
            self.end_s.unwrap_or(start)
        } else {
            now_s
        };
        (end - start).max(0)
    }
}

/// Texts that many jobs share.
#[derive(Debug, Default)]
pub(crate) struct Names(HashSet<Arc<str>>);

impl Names {
    pub(crate) fn get(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.0.get(text) {
            return Arc::clone(known);
        }
        let name: Arc<str> = short(text).into();
        self.0.insert(Arc::clone(&name));
        name
    }
}

pub(crate) fn short(text: &str) -> &str {
    if text.len() <= LONGEST {
        return text;
    }
    let mut end = LONGEST;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

/// One element of `jobs` of slurmctld.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Raw<'a> {
    job_id: Num,
    array_job_id: Num,
    array_task_id: Num,
    #[serde(borrow)]
    array_task_string: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    user_name: Text<'a>,
    user_id: Num,
    #[serde(borrow)]
    account: Text<'a>,
    #[serde(borrow)]
    partition: Text<'a>,
    #[serde(borrow)]
    qos: Text<'a>,
    #[serde(borrow)]
    job_state: Words<'a>,
    #[serde(borrow)]
    state_reason: Text<'a>,
    submit_time: Num,
    eligible_time: Num,
    start_time: Num,
    end_time: Num,
    time_limit: Num,
    #[serde(borrow)]
    nodes: Text<'a>,
    node_count: Num,
    cpus: Num,
    tasks: Num,
    #[serde(borrow)]
    gres_detail: Words<'a>,
    #[serde(borrow)]
    tres_alloc_str: Text<'a>,
    #[serde(borrow)]
    tres_req_str: Text<'a>,
    #[serde(borrow)]
    tres_per_job: Text<'a>,
    #[serde(borrow)]
    tres_per_node: Text<'a>,
    #[serde(borrow)]
    tres_per_task: Text<'a>,
    restart_cnt: Num,
    #[serde(borrow)]
    current_working_directory: Text<'a>,
}

impl Raw<'_> {
    fn gpus(&self) -> f64 {
        // What it has, node by node; only this knows MIG profiles.
        let detail: f64 = self.gres_detail.0.iter().map(|text| gres::gpus(text)).sum();
        if detail > 0.0 {
            return detail;
        }
        let tres = |text: &Text<'_>| gres::tres_gpus(text.get()).filter(|count| *count > 0.0);
        if let Some(count) = tres(&self.tres_alloc_str).or_else(|| tres(&self.tres_req_str)) {
            return count;
        }
        // Without AccountingStorageTRES=gres/gpu the TRES strings know nothing of GPUs.
        let asked = |text: &Text<'_>| {
            let text = text.get();
            gres::tres_gpus(text).unwrap_or_else(|| gres::gpus(text))
        };
        let per_job = asked(&self.tres_per_job);
        if per_job > 0.0 {
            return per_job;
        }
        let per_node = asked(&self.tres_per_node);
        if per_node > 0.0 {
            return per_node * f64::from(self.node_count.count32().max(1));
        }
        asked(&self.tres_per_task) * f64::from(self.tasks.count32().max(1))
    }
}

/// Reads one element of slurmctld's `jobs`.
pub(crate) fn read(item: &[u8], names: &mut Names) -> Result<Job, serde_json::Error> {
    let raw: Raw<'_> = serde_json::from_slice(item)?;
    let state = JobState::of(&raw.job_state);
    let tasks = match state {
        JobState::Pending => tasks(raw.array_task_string.get()),
        _ => 1,
    };
    let user = match raw.user_name.get() {
        "" => raw.user_id.count().map(|id| id.to_string()).unwrap_or_default(),
        name => name.to_owned(),
    };
    let gres: Vec<Box<str>> = raw.gres_detail.0.iter().map(|text| short(text).into()).collect();
    Ok(Job {
        id: raw.job_id.count().unwrap_or(0),
        array_job: raw.array_job_id.count().unwrap_or(0),
        array_task: raw.array_task_id.count(),
        tasks,
        name: short(raw.name.get()).into(),
        user: names.get(&user),
        account: names.get(raw.account.get()),
        partition: names.get(raw.partition.get()),
        qos: names.get(raw.qos.get()),
        state,
        reason: names.get(raw.state_reason.get()),
        submit_s: raw.submit_time.time(),
        eligible_s: raw.eligible_time.time(),
        start_s: raw.start_time.time(),
        end_s: raw.end_time.time(),
        limit_s: raw.time_limit.count().map(|minutes| minutes.saturating_mul(60)),
        nodes: short(raw.nodes.get()).into(),
        node_count: raw.node_count.count32(),
        cpus: raw.cpus.count32(),
        gpus: raw.gpus(),
        gres: gres.into(),
        restarts: raw.restart_cnt.count32(),
        work_dir: short(raw.current_working_directory.get()).into(),
    })
}

/// Tasks of an array that a record stands for: `1-100%5`, `3,7-9`, `0-10:2`; 1 where it is none.
fn tasks(text: &str) -> u32 {
    let list = text.split('%').next().unwrap_or_default().trim();
    let mut sum: u64 = 0;
    for range in list.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (range, step) = match range.split_once(':') {
            Some((range, step)) => (range, step.parse().unwrap_or(1).max(1)),
            None => (range, 1),
        };
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        sum += match (first.parse::<u64>(), last.parse::<u64>()) {
            (Ok(first), Ok(last)) if first <= last => (last - first) / step + 1,
            // Long lists end in `...`.
            _ => 1,
        };
    }
    u32::try_from(sum.clamp(1, MOST_TASKS)).unwrap_or(1)
}

/// One element of `jobs` of slurmdbd.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawPast<'a> {
    job_id: Num,
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    user: Text<'a>,
    #[serde(borrow)]
    account: Text<'a>,
    #[serde(borrow)]
    partition: Text<'a>,
    #[serde(borrow)]
    qos: Text<'a>,
    #[serde(borrow)]
    nodes: Text<'a>,
    time: RawTime,
    #[serde(borrow)]
    state: RawState<'a>,
    #[serde(borrow)]
    tres: RawTres<'a>,
    allocation_nodes: Num,
    array: RawArray,
    restart_cnt: Num,
    #[serde(borrow)]
    working_directory: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawTime {
    submission: Num,
    eligible: Num,
    start: Num,
    end: Num,
    limit: Num,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawArray {
    job_id: Num,
    task_id: Num,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawState<'a> {
    #[serde(borrow)]
    current: Words<'a>,
    #[serde(borrow)]
    reason: Text<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawTres<'a> {
    #[serde(borrow)]
    allocated: Vec<RawTresItem<'a>>,
    #[serde(borrow)]
    requested: Vec<RawTresItem<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RawTresItem<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(borrow)]
    name: Text<'a>,
    count: Num,
}

fn tres_list(list: &[RawTresItem<'_>], kind: &str) -> f64 {
    let of_kind = list.iter().filter(|item| item.kind.get() == kind);
    if kind != "gres" {
        return of_kind.filter_map(|item| item.count.count()).sum::<u64>() as f64;
    }
    let text: Vec<String> = of_kind
        .filter_map(|item| Some(format!("gres/{}={}", item.name.get(), item.count.count()?)))
        .collect();
    gres::tres_gpus(&text.join(",")).unwrap_or(0.0)
}

/// Reads one element of slurmdbd's `jobs`.
pub(crate) fn read_past(item: &[u8], names: &mut Names) -> Result<Job, serde_json::Error> {
    let raw: RawPast<'_> = serde_json::from_slice(item)?;
    let allocated = tres_list(&raw.tres.allocated, "gres");
    let gpus = if allocated > 0.0 {
        allocated
    } else {
        tres_list(&raw.tres.requested, "gres")
    };
    let count = |allocated: f64, requested: f64| {
        if allocated > 0.0 {
            allocated as u32
        } else {
            requested as u32
        }
    };
    let cpus = count(
        tres_list(&raw.tres.allocated, "cpu"),
        tres_list(&raw.tres.requested, "cpu"),
    );
    Ok(Job {
        id: raw.job_id.count().unwrap_or(0),
        array_job: raw.array.job_id.count().unwrap_or(0),
        array_task: raw.array.task_id.count(),
        tasks: 1,
        name: short(raw.name.get()).into(),
        user: names.get(raw.user.get()),
        account: names.get(raw.account.get()),
        partition: names.get(raw.partition.get()),
        qos: names.get(raw.qos.get()),
        state: JobState::of(&raw.state.current),
        reason: names.get(raw.state.reason.get()),
        submit_s: raw.time.submission.time(),
        eligible_s: raw.time.eligible.time(),
        start_s: raw.time.start.time(),
        end_s: raw.time.end.time(),
        limit_s: raw.time.limit.count().map(|minutes| minutes.saturating_mul(60)),
        nodes: short(raw.nodes.get()).into(),
        node_count: raw.allocation_nodes.count32(),
        cpus,
        gpus,
        gres: Box::default(),
        restarts: raw.restart_cnt.count32(),
        work_dir: short(raw.working_directory.get()).into(),
    })
}
