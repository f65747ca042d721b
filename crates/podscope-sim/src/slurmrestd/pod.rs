//! The scheduler of the scenario's pod, as slurmctld and slurmdbd would tell of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use podscope_collect::slurm::{Diag, Job, JobState, Node, NodeState, Partition, Rpc, Share, Snapshot};

use super::world::SlurmWorld;
use crate::pod::Pod;
use crate::pod::model::jobs::{self, End, Reason};
use crate::pod::topology::{TENANTS, Topology};

/// slurmctld remembers an ended job so long (MinJobAge).
const REMEMBERED_S: f64 = 300.0;
/// So much of the past slurmdbd is asked for.
const PAST_S: f64 = 3_600.0;
const CPUS: u32 = 192;
const CPUS_PER_GPU: f64 = 20.0;

/// See the module.
#[derive(Clone, Debug)]
pub struct PodWorld(Arc<Pod>);

impl PodWorld {
    pub fn new(pod: Arc<Pod>) -> Self {
        Self(pod)
    }

    fn seconds(&self, at: f64) -> i64 {
        self.0.clock().wall_ms(at).div_euclid(1_000)
    }

    /// A job as it is known at that time: nothing of what it does later.
    fn job(&self, job: &jobs::Job, at: f64) -> Job {
        let topology = self.0.topology();
        let started = job.start.filter(|start| *start <= at);
        let ended = job.end.filter(|end| *end <= at);
        let state = match (ended, started) {
            (Some(_), None) => JobState::Cancelled,
            (Some(_), Some(_)) => match job.how {
                End::Completed => JobState::Completed,
                End::Failed => JobState::Failed,
                End::Timeout => JobState::Timeout,
                End::Cancelled => JobState::Cancelled,
                End::NodeFail => JobState::NodeFail,
            },
            (None, Some(_)) => JobState::Running,
            (None, None) => JobState::Pending,
        };
        let reason = match (state, job.reason) {
            (JobState::Pending, _) if job.eligible > at => "BeginTime",
            (JobState::Pending, Reason::Resources) => "Resources",
            (JobState::Pending, Reason::Priority) => "Priority",
            (JobState::Pending, Reason::Held) => "JobHeldUser",
            (JobState::Pending, Reason::AssocGrpGres) => "AssocGrpGRES",
            (JobState::Failed, _) => "NonZeroExitCode",
            (JobState::Timeout, _) => "TimeLimit",
            (JobState::NodeFail, _) => "NodeDown",
            _ => "None",
        };
        let mut placed = job.placed.clone();
        placed.sort_by_key(|placed| placed.node);
        let nodes: Vec<usize> = placed.iter().map(|placed| placed.node).collect();
        let limit_s = f64::from(job.limit) * 60.0;
        let end = ended.or(started.map(|start| start + limit_s));
        let per_node = self.0.topology().gpus().max(1);
        Job {
            id: u64::from(job.id),
            array_job: 0,
            array_task: None,
            tasks: 1,
            name: job.name.as_str().into(),
            user: job.user().into(),
            account: job.account().into(),
            partition: job.partition.into(),
            qos: job.qos.into(),
            state,
            reason: reason.into(),
            submit_s: Some(self.seconds(job.submit)),
            eligible_s: (job.reason != Reason::Held).then(|| self.seconds(job.eligible)),
            start_s: match state {
                // As slurmctld says of a job that was cancelled in the queue.
                JobState::Cancelled => started.or(ended).map(|at| self.seconds(at)),
                _ => started.map(|at| self.seconds(at)),
            },
            end_s: end.map(|at| self.seconds(at)),
            limit_s: Some(limit_s as u64),
            nodes: match started {
                Some(_) => hostlist(topology, &nodes).into(),
                None => "".into(),
            },
            node_count: u32::try_from(nodes.len().max(job.gpus.div_ceil(per_node)).max(1)).unwrap_or(1),
            cpus: (job.gpus as f64 * CPUS_PER_GPU) as u32,
            gpus: job.gpus as f64,
            gres: match state {
                JobState::Running => placed.iter().map(|placed| gres(placed.gpus).into()).collect(),
                _ => Box::default(),
            },
            restarts: job.restarts,
            work_dir: format!("/vast/home/{}", job.user()).into(),
        }
    }

    /// The jobs as slurmctld has them: of a requeued one only its last spell.
    fn jobs(&self, t_ms: i64, at: f64, keep_s: f64) -> Vec<Job> {
        let mut last: BTreeMap<u32, jobs::Job> = BTreeMap::new();
        for job in self.0.jobs(t_ms, keep_s) {
            match last.get(&job.id) {
                Some(known) if known.restarts >= job.restarts => {}
                _ => {
                    last.insert(job.id, job);
                }
            }
        }
        last.values().map(|job| self.job(job, at)).collect()
    }

    fn nodes(&self, t_ms: i64, jobs: &[Job]) -> Vec<Node> {
        let topology = self.0.topology();
        let gpus = topology.gpus() as f64;
        let mut used = vec![0.0; topology.nodes()];
        for job in jobs.iter().filter(|job| job.state == JobState::Running) {
            let nodes = podscope_collect::slurm::hostlist::expand(&job.nodes).unwrap_or_default();
            for (name, gres) in nodes.iter().zip(&job.gres) {
                if let Some(node) = topology.node_of(name) {
                    used[node] += gres.split(':').nth(2).map_or(0.0, |text| {
                        text.split('(')
                            .next()
                            .and_then(|count| count.parse().ok())
                            .unwrap_or(0.0)
                    });
                }
            }
        }
        let drained = self.0.drained(t_ms);
        let partitions = topology.partitions();
        used.iter()
            .enumerate()
            .map(|(node, used)| {
                let drain = drained.iter().find(|drain| drain.node == node);
                let base = match *used {
                    used if used >= gpus => "ALLOCATED",
                    used if used > 0.0 => "MIXED",
                    _ => "IDLE",
                };
                let words: &[&str] = match drain {
                    Some(_) => &[base, "DRAIN"],
                    None => &[base],
                };
                let own = partitions
                    .iter()
                    .filter(|partition| partition.nodes.contains(&node));
                Node {
                    name: topology.node_name(node).into(),
                    state: NodeState::of_words(words),
                    cpus: CPUS,
                    cpus_alloc: (used * CPUS_PER_GPU) as u32,
                    gpus,
                    gpus_alloc: *used,
                    partitions: own.map(|partition| partition.name.into()).collect(),
                    reason: drain.map_or("", |drain| drain.reason).into(),
                    reason_since_s: drain.map(|drain| self.seconds(drain.from)),
                    version: "24.11.5".into(),
                }
            })
            .collect()
    }
}

/// `gpu:h100:3(IDX:0,2-3)` of bits.
fn gres(bits: u16) -> String {
    let indices: Vec<String> = (0..16)
        .filter(|at| bits & (1 << at) != 0)
        .map(|at| at.to_string())
        .collect();
    format!("gpu:h100:{}(IDX:{})", indices.len(), indices.join(","))
}

/// The nodes' names in Slurm's short form; they differ in their numbers only.
fn hostlist(topology: &Topology, nodes: &[usize]) -> String {
    let names: Vec<String> = nodes.iter().map(|node| topology.node_name(*node)).collect();
    let [first, _, ..] = names.as_slice() else {
        return names.concat();
    };
    let prefix = first.trim_end_matches(|letter: char| letter.is_ascii_digit());
    let numbers: Option<Vec<&str>> = names.iter().map(|name| name.strip_prefix(prefix)).collect();
    match numbers {
        Some(numbers) => format!("{prefix}[{}]", numbers.join(",")),
        None => names.join(","),
    }
}

impl SlurmWorld for PodWorld {
    fn at(&self, t_ms: i64) -> Snapshot {
        let topology = self.0.topology();
        let at = self.0.clock().model(t_ms);
        let jobs = self.jobs(t_ms, at, REMEMBERED_S);
        let past = self
            .jobs(t_ms, at, PAST_S)
            .into_iter()
            .filter(|job| job.state.is_ended())
            .collect();
        let nodes = self.nodes(t_ms, &jobs);
        let waiting = jobs.iter().filter(|job| job.state == JobState::Pending).count() as f64;
        let promised: f64 = TENANTS.iter().map(|tenant| f64::from(tenant.promised)).sum();
        let allocated: f64 = nodes.iter().map(|node| node.gpus_alloc).sum();
        let has = |account: &str| -> f64 {
            let own = jobs
                .iter()
                .filter(|job| job.state.is_running() && &*job.account == account);
            own.map(Job::all_gpus).sum()
        };
        let shares = TENANTS.iter().map(|tenant| {
            let target = f64::from(tenant.promised) / promised;
            let used = if allocated > 0.0 {
                has(tenant.account) / allocated
            } else {
                0.0
            };
            // Decayed over days: an incident of hours hardly moves it.
            let effective = 0.9 * target + 0.1 * used;
            Share {
                account: tenant.account.into(),
                target: Some(target),
                used: Some(effective),
                factor: Some(0.5_f64.powf(effective / target.max(1e-9))),
                level: Some(target / effective.max(1e-9)),
            }
        });
        // A longer queue takes longer to look through.
        let cycle = 900.0 + 40.0 * waiting;
        let minutes = ((at + 86_400.0) / 60.0).max(0.0);
        let partitions = topology.partitions();
        Snapshot {
            cluster: topology.cluster().into(),
            nodes: nodes.into(),
            partitions: partitions
                .iter()
                .map(|partition| Partition {
                    name: partition.name.into(),
                    nodes: hostlist(topology, &partition.nodes.clone().collect::<Vec<usize>>()).into(),
                    up: true,
                })
                .collect(),
            diag: Some(Diag {
                now_s: Some(t_ms.div_euclid(1_000)),
                threads: Some(3.0),
                agent_queue: Some(0.0),
                dbd_queue: Some(0.0),
                cycle_last: Some(cycle.round()),
                cycle_mean: Some(1_100.0),
                cycles_per_minute: Some(12.0),
                backfill_last: Some((8.0 * cycle).round()),
                backfill_mean: Some(9_000.0),
                backfill_depth_mean: Some((waiting / 2.0).round()),
                backfilled: Some((minutes * 1.5).round()),
                last_backfilled: Some((minutes * 1.5).round()),
                rpc_users: vec![Rpc {
                    name: "root".into(),
                    count: (minutes * 14.0).round(),
                    total_time: (minutes * 9_000.0).round(),
                }],
                rpc_types: vec![Rpc {
                    name: "REQUEST_JOB_INFO".into(),
                    count: (minutes * 6.0).round(),
                    total_time: (minutes * 6_000.0).round(),
                }],
            }),
            shares: shares.collect(),
            jobs: jobs.into(),
            past,
            ..Snapshot::default()
        }
    }
}

/// The sections of a hub's configuration that ask this pod's scheduler and know its tenants' contracts.
pub fn hub_config(slurmrestd: &str) -> String {
    let tenants: Vec<String> = TENANTS
        .iter()
        .map(|tenant| {
            format!(
                "{{ name = {:?}, accounts = [{:?}], gpus = {}, price = {:?}, wait_penalty = {:?}, cap = {:?} }}",
                tenant.name,
                tenant.account,
                tenant.promised,
                tenant.owed_price,
                tenant.wait_penalty,
                tenant.cap
            )
        })
        .collect();
    format!(
        "[slurm]\nurl = {slurmrestd:?}\n[slo]\nidle_gpu_price = 2.5\ntenants = [\n{},\n]\n",
        tenants.join(",\n")
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use podscope_agent::config::check;
    use podscope_collect::slurm::hostlist::expand;

    use super::*;
    use crate::pod::Scenario;

    const NOW_MS: i64 = 1_795_250_000_000;

    #[test]
    fn a_hub_takes_the_contracts_of_the_pods_tenants() {
        let text = hub_config("http://127.0.0.1:6820");
        let config = check::parse(Path::new("hub.toml"), &text, &[]).expect("a configuration");
        let contract = config.slo.contract();
        assert_eq!(contract.tenants.len(), TENANTS.len());
        let first = &contract.tenants[0];
        assert_eq!(
            (first.gpus, first.penalty),
            (f64::from(TENANTS[0].promised), TENANTS[0].owed_price)
        );
        assert_eq!(contract.ranks()[0], 1, "the greatest contract comes first");
    }

    #[test]
    fn the_pods_jobs_and_nodes_agree_at_every_time() {
        let pod = Arc::new(Pod::new(Scenario::sev1(1, NOW_MS)));
        let world = PodWorld::new(Arc::clone(&pod));
        for hours in [20, 4, 2, 0] {
            let t_ms = NOW_MS - hours * 3_600_000;
            let state = world.at(t_ms);
            let (now, step) = (t_ms / 1_000, pod.step(t_ms));
            let running = || state.jobs.iter().filter(|job| job.state == JobState::Running);
            assert!(running().count() > 20, "{hours} h ago");
            let of_jobs: f64 = running().map(|job| job.gpus).sum();
            let of_nodes: f64 = state.nodes.iter().map(|node| node.gpus_alloc).sum();
            assert_eq!(of_jobs, of_nodes, "{hours} h ago");
            assert!(
                (of_jobs - step.allocated as f64).abs() <= 0.1 * of_jobs,
                "{of_jobs} and {}",
                step.allocated
            );
            for job in state.jobs.iter() {
                let nodes = expand(&job.nodes).expect("a hostlist");
                assert_eq!(job.state == JobState::Running, !job.gres.is_empty(), "{job:?}");
                if job.state == JobState::Running {
                    assert_eq!(nodes.len(), job.gres.len(), "{job:?}");
                    assert!(nodes.iter().all(|name| pod.topology().node_of(name).is_some()));
                }
                assert!(
                    job.started_s().is_none_or(|start| start <= now),
                    "nothing of the future: {job:?}"
                );
                assert!(!job.state.is_ended() || job.end_s.is_some_and(|end| end <= now));
            }
            let mut ids: Vec<u64> = state.jobs.iter().map(|job| job.id).collect();
            ids.dedup();
            assert_eq!(ids.len(), state.jobs.len(), "each job once");
            assert_eq!(state.nodes.len(), 64);
            assert!(!state.past.is_empty() && state.shares.len() == 12);
        }
    }
}
