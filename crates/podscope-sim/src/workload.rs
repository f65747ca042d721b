//! Which jobs run when, and what they ask of a node: a function of seed and time.
//!
//! The last node serves inference (with a single node, half of its GPUs do). The others train, in pairs that run the
//! same job: a job takes its nodes' GPUs for forty minutes to eighty, reads its data, and writes a checkpoint every
//! 25 minutes, during which the GPUs wait. Between jobs the nodes are idle for some minutes.

use std::f64::consts::TAU;
use std::sync::Arc;

use crate::noise::{hash, smooth, unit};
use crate::pod::{Pod, node as pod_node};

/// One job per pair of nodes and so many seconds.
const CYCLE: f64 = 5_400.0;
const CHECKPOINT_EVERY: f64 = 1_500.0;
const CHECKPOINT_TAKES: f64 = 25.0;
/// A loader that falls behind starves the GPUs for a few seconds now and then.
const STARVED_EVERY: f64 = 420.0;
const STARVED_FOR: f64 = 6.0;

/// What one GPU is asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct GpuLoad {
    /// Share of the time in which a kernel runs, 0 to 1.
    pub(crate) busy: f64,
    /// How much of its power budget a busy second takes, 0 to 1.
    pub(crate) intensity: f64,
    pub(crate) memory_mib: f64,
    /// Bytes per second.
    pub(crate) pcie_rx: f64,
    pub(crate) pcie_tx: f64,
    /// Bytes per second, each way.
    pub(crate) nvlink: f64,
}

/// What a node is asked to do.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Load {
    pub(crate) gpus: Vec<GpuLoad>,
    /// Share of all CPUs, 0 to 1.
    pub(crate) cpu: f64,
    /// Share of the time that a CPU waits for disks.
    pub(crate) waiting: f64,
    /// Share of memory in use by processes.
    pub(crate) memory: f64,
    /// Bytes per second.
    pub(crate) disk_read: f64,
    pub(crate) disk_write: f64,
    pub(crate) net_rx: f64,
    pub(crate) net_tx: f64,
    /// Inference requests per second.
    pub(crate) requests: f64,
}

/// A container and the GPUs it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Tells one run of a job from the next.
    pub(crate) key: u64,
    pub(crate) container: String,
    pub(crate) user: String,
    pub(crate) interface: String,
    pub(crate) gpus: std::ops::Range<u32>,
}

/// People who train; each run of a job is one's.
const USERS: [&str; 4] = ["alice", "bob", "carol", "dora"];

/// The cluster's jobs.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    seed: u64,
    nodes: usize,
    gpus: u32,
    /// The pod whose jobs run here, and when the nodes' history begins.
    pod: Option<(Arc<Pod>, i64)>,
}

/// What a training job does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    /// Reading the model and filling memory.
    Loading,
    Training,
    Starved,
    Checkpoint,
}

impl Workload {
    pub(crate) fn new(seed: u64, nodes: usize, gpus: u32) -> Self {
        Self {
            seed,
            nodes,
            gpus,
            pod: None,
        }
    }

    /// What a pod's scheduler runs, on nodes whose history begins at `origin_ms`.
    pub(crate) fn of_pod(pod: Arc<Pod>, origin_ms: i64) -> Self {
        Self {
            seed: pod.seed(),
            nodes: pod.topology().nodes(),
            gpus: pod.topology().gpus() as u32,
            pod: Some((pod, origin_ms)),
        }
    }

    /// The pod, if these are a pod's jobs.
    pub(crate) fn pod(&self) -> Option<&Arc<Pod>> {
        self.pod.as_ref().map(|(pod, _)| pod)
    }

    /// The load of a node, so many seconds after the beginning of its history.
    pub(crate) fn at(&self, node: usize, seconds: f64) -> Load {
        if let Some((pod, origin_ms)) = &self.pod {
            return pod_node::load(pod, node, origin_ms + (seconds * 1_000.0).round() as i64);
        }
        let serving = self.serving(node);
        let phase = self.phase(node, seconds);
        let wave = self.wave(seconds);
        let gpus: Vec<GpuLoad> = (0..self.gpus)
            .map(|gpu| {
                if serving.contains(&gpu) {
                    self.inference(node, gpu, seconds, wave)
                } else {
                    self.training(node, gpu, seconds, phase)
                }
            })
            .collect();
        let mut load = Load {
            cpu: 0.02,
            memory: 0.04,
            net_rx: 2e5,
            net_tx: 3e5,
            disk_write: 4e5,
            gpus,
            ..Load::default()
        };
        if !serving.is_empty() {
            load.cpu += 0.05 + 0.25 * wave;
            load.memory += 0.2;
            load.net_rx += 4e6 * wave;
            load.net_tx += 30e6 * wave;
            load.requests = 60.0 * wave;
        }
        if (serving.len() as u32) < self.gpus {
            let (cpu, memory, read, write, waiting) = match phase {
                Phase::Idle => (0.0, 0.0, 0.0, 0.0, 0.0),
                Phase::Loading => (0.30, 0.25, 3.5e9, 0.0, 0.10),
                Phase::Training => (0.22, 0.45, 4.0e8, 2e6, 0.01),
                Phase::Starved => (0.45, 0.45, 2.5e9, 2e6, 0.20),
                Phase::Checkpoint => (0.12, 0.55, 1e7, 4.5e9, 0.15),
            };
            load.cpu += cpu;
            load.memory += memory;
            load.disk_read += read;
            load.disk_write += write;
            load.waiting += waiting;
            if phase == Phase::Training {
                load.net_rx += 2e9;
                load.net_tx += 2e9;
            }
        }
        let ripple =
            |stream: u64| 1.0 + 0.15 * smooth(self.seed, 900 + stream + node as u64 * 8, seconds, 20.0);
        load.cpu = (load.cpu * ripple(0)).clamp(0.0, 0.98);
        load.disk_read *= ripple(1);
        load.disk_write *= ripple(2);
        load.net_rx *= ripple(3);
        load.net_tx *= ripple(4);
        load
    }

    /// The GPUs of a node that serve inference.
    pub(crate) fn serving(&self, node: usize) -> std::ops::Range<u32> {
        if let Some((pod, _)) = &self.pod {
            let infer = &pod.topology().partitions()[1];
            return 0..if infer.nodes.contains(&node) { self.gpus } else { 0 };
        }
        if node + 1 < self.nodes {
            0..0
        } else if self.nodes == 1 {
            self.gpus.div_ceil(2)..self.gpus
        } else {
            0..self.gpus
        }
    }

    /// Users are awake for half an hour and asleep for half an hour: short enough to be seen.
    fn wave(&self, seconds: f64) -> f64 {
        let slow = (TAU * seconds / 3_600.0).sin();
        (0.5 + 0.3 * slow + 0.15 * smooth(self.seed, 1, seconds, 45.0)).clamp(0.05, 1.0)
    }

    /// Who holds the GPUs of a node. Between jobs nobody holds those that train.
    pub(crate) fn holders(&self, node: usize, seconds: f64) -> Vec<Holder> {
        if let Some((pod, origin_ms)) = &self.pod {
            return pod_node::holders(pod, node, origin_ms + (seconds * 1_000.0).round() as i64);
        }
        let serving = self.serving(node);
        let mut holders = Vec::new();
        let training = if serving.is_empty() {
            0..self.gpus
        } else {
            0..serving.start
        };
        if !training.is_empty() && self.phase(node, seconds) != Phase::Idle {
            let (key, _) = self.run(node, seconds);
            holders.push(Holder {
                key,
                container: format!("train-{:04x}", key & 0xffff),
                user: USERS[(key % USERS.len() as u64) as usize].to_owned(),
                interface: if key % 3 == 0 { "atomic" } else { "orchestration" }.to_owned(),
                gpus: training,
            });
        }
        if !serving.is_empty() {
            holders.push(Holder {
                key: 7,
                container: "vllm".to_owned(),
                user: "svc-inference".to_owned(),
                interface: "compose".to_owned(),
                gpus: serving,
            });
        }
        holders
    }

    /// The run of a node's job, and how far into its cycle it is.
    fn run(&self, node: usize, seconds: f64) -> (u64, f64) {
        let pair = (node / 2) as u64;
        // Each pair starts its cycles at another time.
        let seconds = seconds + CYCLE * unit(self.seed, 10, pair);
        let cycle = (seconds / CYCLE).floor();
        (hash(self.seed, 11 + pair, cycle as u64), seconds - cycle * CYCLE)
    }

    fn phase(&self, node: usize, seconds: f64) -> Phase {
        let (key, into) = self.run(node, seconds);
        let begins = 600.0 * unit(key, 0, 0);
        let lasts = 2_400.0 + 2_300.0 * unit(key, 1, 0);
        let into = into - begins;
        if into < 0.0 || into >= lasts || unit(key, 2, 0) < 0.08 {
            return Phase::Idle;
        }
        if into < 40.0 {
            return Phase::Loading;
        }
        if into % CHECKPOINT_EVERY < CHECKPOINT_TAKES {
            return Phase::Checkpoint;
        }
        if into % STARVED_EVERY < STARVED_FOR {
            return Phase::Starved;
        }
        Phase::Training
    }

    fn training(&self, node: usize, gpu: u32, seconds: f64, phase: Phase) -> GpuLoad {
        let stream = 100 + node as u64 * 16 + u64::from(gpu);
        let ripple = smooth(self.seed, stream, seconds, 12.0);
        match phase {
            Phase::Idle => GpuLoad::default(),
            Phase::Loading => GpuLoad {
                busy: 0.05,
                intensity: 0.1,
                memory_mib: 30_000.0,
                pcie_rx: 9e9,
                pcie_tx: 2e8,
                nvlink: 1e8,
            },
            Phase::Training => GpuLoad {
                busy: 0.965 + 0.025 * ripple,
                intensity: 0.88 + 0.07 * ripple,
                memory_mib: 71_400.0 + 600.0 * smooth(self.seed, stream, seconds, 300.0),
                pcie_rx: 5.5e8 * (1.0 + 0.4 * ripple),
                pcie_tx: 1.8e8 * (1.0 + 0.4 * ripple),
                nvlink: 6.2e10 * (1.0 + 0.2 * ripple),
            },
            Phase::Starved => GpuLoad {
                busy: 0.25,
                intensity: 0.3,
                memory_mib: 71_400.0,
                pcie_rx: 3e8,
                pcie_tx: 1e8,
                nvlink: 8e9,
            },
            Phase::Checkpoint => GpuLoad {
                busy: 0.02,
                intensity: 0.05,
                memory_mib: 71_400.0,
                pcie_rx: 1e8,
                pcie_tx: 6e9,
                nvlink: 0.0,
            },
        }
    }

    fn inference(&self, node: usize, gpu: u32, seconds: f64, wave: f64) -> GpuLoad {
        let stream = 100 + node as u64 * 16 + u64::from(gpu);
        let busy = (wave * 0.9 + 0.12 * smooth(self.seed, stream, seconds, 8.0)).clamp(0.0, 1.0);
        GpuLoad {
            busy,
            intensity: 0.62,
            memory_mib: 66_200.0 + 4_000.0 * wave,
            pcie_rx: 8e7 * busy,
            pcie_tx: 5e7 * busy,
            nvlink: 1.5e10 * busy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_come_and_go_with_all_their_phases() {
        let load = Workload::new(1, 4, 8);
        let phases: Vec<Phase> = (0..86_400)
            .map(|second| load.phase(0, f64::from(second)))
            .collect();
        for phase in [
            Phase::Idle,
            Phase::Loading,
            Phase::Training,
            Phase::Starved,
            Phase::Checkpoint,
        ] {
            assert!(phases.contains(&phase), "{phase:?} never happens");
        }
        let training = phases.iter().filter(|phase| **phase == Phase::Training).count();
        assert!(
            (30_000..75_000).contains(&training),
            "{training} s of training in a day"
        );
    }

    #[test]
    fn a_job_takes_both_nodes_of_its_pair_and_the_last_node_serves() {
        let load = Workload::new(1, 4, 8);
        assert!(
            (0..86_400).all(|second| load.phase(0, f64::from(second)) == load.phase(1, f64::from(second)))
        );
        assert!(
            (0..86_400).any(|second| load.phase(0, f64::from(second)) != load.phase(2, f64::from(second)))
        );
        assert_eq!(load.serving(3), 0..8);
        assert!(load.serving(2).is_empty());
        assert_eq!(Workload::new(1, 1, 8).serving(0), 4..8);
        assert!(load.at(3, 1_000.0).requests > 0.0 && load.at(0, 1_000.0).requests == 0.0);
    }

    #[test]
    fn gpus_are_held_while_a_job_runs_and_by_the_same_person_for_all_of_it() {
        let load = Workload::new(1, 4, 8);
        let mut runs = std::collections::BTreeMap::new();
        for second in (0..86_400).step_by(30) {
            let seconds = f64::from(second);
            let holders = load.holders(0, seconds);
            assert_eq!(holders.is_empty(), load.phase(0, seconds) == Phase::Idle);
            for holder in holders {
                assert_eq!(
                    runs.entry(holder.key).or_insert(holder.user.clone()),
                    &holder.user
                );
            }
        }
        assert!(runs.len() > 5, "{} runs in a day", runs.len());
        let serving = load.holders(3, 1_000.0);
        assert_eq!((serving.len(), serving[0].gpus.clone()), (1, 0..8));
    }

    #[test]
    fn loads_stay_within_what_a_node_can_do() {
        let load = Workload::new(5, 2, 8);
        for second in 0..20_000 {
            for node in 0..2 {
                let now = load.at(node, f64::from(second));
                assert!((0.0..=1.0).contains(&now.cpu) && (0.0..=1.0).contains(&now.memory));
                assert!(
                    now.gpus
                        .iter()
                        .all(|gpu| (0.0..=1.0).contains(&gpu.busy) && gpu.memory_mib < 80_000.0)
                );
            }
        }
    }
}
