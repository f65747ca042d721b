//! The jobs of a scheduler, as the agent that asks it knows them.
//!
//! HTTP form: `POST /v1/jobs` with a [`JobsQuery`] answers a [`JobsAnswer`], both JSON.

use serde::{Deserialize, Serialize};

use crate::leaf::Target;
use crate::scope::Scope;

/// Jobs one answer may hold at most.
pub const MAX_JOBS: u32 = 10_000;

/// Which jobs are wanted; what is empty restricts nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobsQuery {
    /// One job, with its nodes and GPUs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
    /// States in Slurm's words: `PENDING`, `RUNNING`, ...
    #[serde(default)]
    pub states: Vec<String>,
    #[serde(default)]
    pub account: String,
    #[serde(default)]
    pub partition: String,
    #[serde(default)]
    pub user: String,
    /// The node it runs on.
    #[serde(default)]
    pub node: String,
    /// Only jobs of this person (rule 11 of the design); absent: everybody's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// At most so many: those that run first, then those that wait, then those that ended.
    pub limit: u32,
    #[serde(default)]
    pub target: Target,
}

/// A job, or the waiting tasks of a job array. Times in milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct JobLine {
    pub id: u64,
    /// `7_3` of an array, else the id.
    pub shown_id: String,
    /// Tasks of an array that wait together.
    pub tasks: u32,
    pub name: String,
    pub user: String,
    pub account: String,
    pub partition: String,
    pub qos: String,
    pub state: String,
    /// Why it waits, in Slurm's word, and the class of that: `capacity`, `limit`, `held`, `dependency`, `maintenance`.
    #[serde(default)]
    pub reason: String,
    #[serde(default)]
    pub class: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submit_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eligible_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_ms: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_ms: Option<i64>,
    /// From eligible to start, or until now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_seconds: Option<u64>,
    /// Hostlist.
    pub nodes: String,
    pub node_count: u32,
    pub cpus: u32,
    pub gpus: f64,
    pub restarts: u32,
    /// Where it runs; only where one job was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub placement: Vec<JobNode>,
}

/// A node of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobNode {
    pub node: String,
    /// Indices of its GPUs; empty: Slurm does not say.
    pub gpus: Vec<u32>,
}

/// The jobs that match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobsAnswer {
    pub leaf_id: String,
    pub instance: String,
    /// Slurm's name of the cluster.
    pub cluster: String,
    /// When Slurm said so; absent: it has not answered yet.
    pub as_of_ms: Option<i64>,
    /// Why it does not answer at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    pub jobs: Vec<JobLine>,
    /// There are more than the limit.
    pub truncated: bool,
}
