//! What a simulated slurmrestd tells of, and a small world that stands still.

use std::fmt::Debug;
use std::sync::Arc;

use podscope_collect::slurm::{
    Diag, Job, JobState, Node, NodeState, Partition, Rpc, Share, SlurmError, SlurmSource, Snapshot,
};

/// The scheduler's state as a function of time. The server asks it with every request; filling the past asks it for every row.
pub trait SlurmWorld: Send + Sync + Debug {
    /// The state at a time in milliseconds since 1970: `jobs` as slurmctld remembers them (ended ones for 300 s), `past` as
    /// slurmdbd would tell them for the hour before. `api` and `unread` are the server's.
    fn at(&self, t_ms: i64) -> Snapshot;
}

/// A world as a source of the collector, without HTTP and JSON: for filling the past.
#[derive(Debug)]
pub struct WorldSource {
    world: Arc<dyn SlurmWorld>,
    asked: bool,
}

impl WorldSource {
    pub fn new(world: Arc<dyn SlurmWorld>) -> Self {
        Self { world, asked: false }
    }
}

impl SlurmSource for WorldSource {
    fn snapshot(&mut self, now_ms: i64) -> Result<Snapshot, SlurmError> {
        let mut snapshot = self.world.at(now_ms);
        // slurmdbd is asked at the start; later slurmctld tells of every job itself.
        if std::mem::replace(&mut self.asked, true) {
            snapshot.past.clear();
        }
        snapshot.api = "v0.0.38".into();
        Ok(snapshot)
    }
}

/// A job that runs since `start_s`, for fixed worlds and tests.
pub fn running(id: u64, account: &str, nodes: &str, gpus: f64, eligible_s: i64, start_s: i64) -> Job {
    Job {
        state: JobState::Running,
        start_s: Some(start_s),
        end_s: Some(start_s + 172_800),
        nodes: nodes.into(),
        node_count: 1,
        gres: Box::new([format!("gpu:h100:{gpus}(IDX:0-{})", gpus as u32 - 1).into()]),
        ..waiting(id, account, "None", gpus, eligible_s)
    }
}

/// A job that waits for this reason.
pub fn waiting(id: u64, account: &str, reason: &str, gpus: f64, eligible_s: i64) -> Job {
    Job {
        id,
        array_job: 0,
        array_task: None,
        tasks: 1,
        name: format!("train{id}").into(),
        user: format!("{account}-ann").into(),
        account: account.into(),
        partition: "train".into(),
        qos: "normal".into(),
        state: JobState::Pending,
        reason: reason.into(),
        submit_s: Some(eligible_s),
        eligible_s: Some(eligible_s),
        start_s: None,
        end_s: None,
        limit_s: Some(172_800),
        nodes: "".into(),
        node_count: 1,
        cpus: 16,
        gpus,
        gres: Box::default(),
        restarts: 0,
        work_dir: "/home/ann".into(),
    }
}

/// A world that never changes: three nodes of eight GPUs, one of them drained, two running jobs, two that wait and one that
/// has failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct FixedWorld {
    /// Seconds since 1970 that everything is counted back from.
    pub origin_s: i64,
}

impl SlurmWorld for FixedWorld {
    fn at(&self, t_ms: i64) -> Snapshot {
        let origin = self.origin_s;
        let node = |name: &str, used: f64, words: &[&str]| Node {
            name: name.into(),
            state: NodeState::of_words(words),
            cpus: 64,
            cpus_alloc: used as u32 * 8,
            gpus: 8.0,
            gpus_alloc: used,
            partitions: vec!["train".into()],
            reason: "".into(),
            reason_since_s: None,
            version: "22.05.8".into(),
        };
        let drained = Node {
            reason: "fabric check".into(),
            reason_since_s: Some(origin - 7200),
            ..node("n3", 0.0, &["IDLE", "DRAIN"])
        };
        let failed = Job {
            state: JobState::Failed,
            reason: "NonZeroExitCode".into(),
            end_s: Some(origin - 60),
            gres: Box::default(),
            ..running(3, "beta", "n1", 2.0, origin - 1000, origin - 900)
        };
        Snapshot {
            cluster: "emea".into(),
            jobs: Arc::from([
                running(1, "alpha", "n1", 8.0, origin - 4000, origin - 3900),
                running(2, "beta", "n2", 4.0, origin - 3000, origin - 1800),
                failed.clone(),
                waiting(4, "alpha", "Resources", 8.0, origin - 1500),
                waiting(5, "beta", "QOSMaxGRESPerUser", 8.0, origin - 900),
            ]),
            nodes: Arc::from([
                node("n1", 8.0, &["ALLOCATED"]),
                node("n2", 4.0, &["MIXED"]),
                drained,
            ]),
            partitions: Arc::from([Partition {
                name: "train".into(),
                nodes: "n[1-3]".into(),
                up: true,
            }]),
            diag: Some(Diag {
                now_s: Some(t_ms.div_euclid(1000)),
                threads: Some(3.0),
                agent_queue: Some(0.0),
                dbd_queue: Some(0.0),
                cycle_last: Some(220.0),
                cycle_mean: Some(180.0),
                cycles_per_minute: Some(2.0),
                backfill_last: Some(5400.0),
                backfill_mean: Some(5000.0),
                backfill_depth_mean: Some(12.0),
                backfilled: Some(40.0),
                last_backfilled: Some(4.0),
                rpc_users: vec![Rpc {
                    name: "root".into(),
                    count: 120.0,
                    total_time: 24_000.0,
                }],
                rpc_types: vec![Rpc {
                    name: "REQUEST_JOB_INFO".into(),
                    count: 80.0,
                    total_time: 16_000.0,
                }],
            }),
            shares: ["alpha", "beta"]
                .into_iter()
                .map(|account| Share {
                    account: account.into(),
                    target: Some(0.5),
                    used: Some(0.5),
                    factor: Some(0.5),
                    level: Some(1.0),
                })
                .collect(),
            past: vec![failed],
            ..Snapshot::default()
        }
    }
}
