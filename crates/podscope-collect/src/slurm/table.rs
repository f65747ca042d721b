//! The jobs as a table: who asks gets those that run first, then those that wait, then those that ended.

use podscope_model::jobs::{JobLine, JobNode, JobsQuery, MAX_JOBS};

use super::cluster::Snapshot;
use super::job::{Job, JobState};
use super::reason::Class;
use super::{gres, hostlist};

/// The jobs that match, and whether there are more than the limit.
pub fn jobs(snapshot: &Snapshot, query: &JobsQuery, now_ms: i64) -> (Vec<JobLine>, bool) {
    let mut found: Vec<&Job> = snapshot.jobs.iter().filter(|job| accepts(query, job)).collect();
    found.sort_by_key(|job| (order(job.state), job.started_s().or(job.eligible_s), job.id));
    let limit = query.limit.clamp(1, MAX_JOBS) as usize;
    let truncated = found.len() > limit;
    let mut lines: Vec<JobLine> = found.iter().take(limit).map(|job| line(job, now_ms)).collect();
    if query.id.is_some() {
        for (line, job) in lines.iter_mut().zip(&found) {
            line.placement = placement(job);
        }
    }
    (lines, truncated)
}

fn order(state: JobState) -> u8 {
    match state {
        JobState::Running | JobState::Configuring | JobState::Suspended | JobState::Completing => 0,
        JobState::Pending => 1,
        _ => 2,
    }
}

fn accepts(query: &JobsQuery, job: &Job) -> bool {
    let is = |wanted: &str, own: &str| wanted.is_empty() || wanted == own;
    let state = |wanted: &String| wanted.eq_ignore_ascii_case(job.state.as_str());
    query.scope.as_ref().is_none_or(|scope| scope.is_named(&job.user))
        && query.id.is_none_or(|id| id == job.id || id == job.array_job)
        && is(&query.account, &job.account)
        && is(&query.partition, &job.partition)
        && is(&query.user, &job.user)
        && (query.states.is_empty() || query.states.iter().any(state))
        && (query.node.is_empty() || runs_on(job, &query.node))
}

fn runs_on(job: &Job, node: &str) -> bool {
    // A list that cannot be read names nobody.
    job.state.is_running()
        && hostlist::expand(&job.nodes).is_ok_and(|nodes| nodes.iter().any(|name| name == node))
}

fn line(job: &Job, now_ms: i64) -> JobLine {
    let ms = |seconds: Option<i64>| seconds.map(|seconds| seconds * 1000);
    let waits = job.state == JobState::Pending;
    let eligible = job.eligible_s.filter(|at| at * 1000 <= now_ms);
    let until = job.started_s().or(waits.then_some(now_ms.div_euclid(1000)));
    JobLine {
        id: job.id,
        shown_id: match job.array_task {
            Some(task) if job.array_job != 0 => format!("{}_{task}", job.array_job),
            _ => job.id.to_string(),
        },
        tasks: job.tasks,
        name: job.name.to_string(),
        user: job.user.to_string(),
        account: job.account.to_string(),
        partition: job.partition.to_string(),
        qos: job.qos.to_string(),
        state: job.state.as_str().to_owned(),
        reason: match &*job.reason {
            "None" => String::new(),
            reason => reason.to_owned(),
        },
        class: match waits {
            true => Class::of(&job.reason).as_str().to_owned(),
            false => String::new(),
        },
        submit_ms: ms(job.submit_s),
        eligible_ms: ms(job.eligible_s),
        start_ms: ms(job.started_s()),
        end_ms: ms(job.end_s.filter(|_| job.state.is_ended())),
        wait_seconds: eligible.zip(until).map(|(from, to)| (to - from).max(0) as f64),
        limit_seconds: job.limit_s,
        nodes: job.nodes.to_string(),
        node_count: job.node_count,
        cpus: job.cpus,
        gpus: job.gpus,
        restarts: job.restarts,
        placement: Vec::new(),
    }
}

/// The nodes of a job, each with the GPUs that Slurm says it has there.
fn placement(job: &Job) -> Vec<JobNode> {
    let nodes = hostlist::expand(&job.nodes).unwrap_or_default();
    let gpus = |at: usize| {
        job.gres
            .get(at)
            .map(|text| gres::indices(text))
            .unwrap_or_default()
    };
    nodes
        .into_iter()
        .enumerate()
        .map(|(at, node)| JobNode { node, gpus: gpus(at) })
        .collect()
}
