//! NCCL: what its logs warn of, how long its collectives take, and what its own watch says. Nothing is read unless the
//! configuration names files, or something answers on RAS's port of this machine.
//!
//! | module | what it holds |
//! | --- | --- |
//! | [`logs`] | warnings and errors of log files as events and counters |
//! | [`inspector`] | collectives from NCCL Inspector's files as histograms, stragglers |
//! | [`ras`] | communicators and ranks from NCCL's RAS |
//! | `tail` | files that grow, are rotated, truncated, or no text |
//! | `line` | what a line of a log says |
//!
//! journald is not read: its files have a format of their own, and a collector starts no program. A unit's output reaches a file by
//! `StandardOutput=append:/var/log/nccl/job.log`, a container's lies in Docker's `*-json.log`, which is understood.

pub mod inspector;
mod line;
pub mod logs;
pub mod ras;
mod record;
mod tail;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::config::Pattern;

pub use tail::check_pattern;

/// How a path tells the job: `nccl-inspector-4711`, `job_4711`, `slurm-4711.out`.
const JOB: &str = r"(?i)(?:job|slurm|inspector)[-_./]?(?P<job>[0-9]+)";

/// Which files are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NcclConfig {
    /// Log files with NCCL's messages (`NCCL_DEBUG_FILE`, the output of jobs or containers). Parts of a path may hold `*` and
    /// `?`.
    pub log_files: Vec<String>,
    /// Files of NCCL Inspector (`NCCL_INSPECTOR_DUMP_DIR`). Parts of a path may hold `*` and `?`.
    pub inspector_files: Vec<String>,
    /// A regular expression over a file's path, whose group `job` is the job it belongs to.
    pub job_pattern: Pattern,
    /// Messages per second that become events in the long run; what is more is counted.
    pub events_per_second: u64,
    /// Records of other hosts in Inspector's files are left out: on a shared file system every node sees all of them.
    pub only_this_host: bool,
    /// Where to remember how far log files were read. Not set: nowhere, and what was written while the agent was not running is
    /// passed over.
    pub positions_file: Option<PathBuf>,
}

impl Default for NcclConfig {
    fn default() -> Self {
        Self {
            log_files: Vec::new(),
            inspector_files: Vec::new(),
            job_pattern: Pattern::constant(JOB),
            events_per_second: 20,
            only_this_host: true,
            positions_file: None,
        }
    }
}

#[cfg(test)]
mod tests;
