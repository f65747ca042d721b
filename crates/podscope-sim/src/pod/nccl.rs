//! What NCCL writes on a node of the pod: warnings into a log per job, and Inspector's records of collectives.
//!
//! Collectives wait for the network where it marks and pauses, and for ranks whose data is late; the rank that comes last
//! waits for nobody, and shows the shortest time.

use podscope_collect::MemFs;

use super::model::parameters::Class;
use super::state::Pod;
use crate::noise::{hash, unit};

/// Files longer than this begin anew, as after `logrotate`.
const LONGEST: usize = 128 << 10;
/// Records of one rank lie so far apart.
const EVERY_MS: i64 = 30_000;
/// Bytes of an all-reduce, and the seconds it takes when nothing is slow.
const BYTES: u64 = 64 << 20;
const SECONDS: f64 = 0.001_6;

/// Where the files lie, for the collectors' configuration.
pub(crate) const LOGS: &str = "/var/log/nccl/job-*.log";
pub(crate) const INSPECTED: &str = "/var/log/nccl-inspector-*/*.log";

/// A file that is written and rotated.
#[derive(Debug, Default)]
struct Grown {
    path: String,
    bytes: usize,
}

/// The files of one node.
#[derive(Debug, Default)]
pub(crate) struct NcclFiles {
    files: Vec<Grown>,
    text: String,
}

impl NcclFiles {
    fn append(&mut self, fs: &MemFs, path: &str) {
        let text = std::mem::take(&mut self.text);
        if !text.is_empty() {
            let at = match self.files.iter().position(|file| file.path == path) {
                Some(at) => at,
                None => {
                    self.files.push(Grown {
                        path: path.to_owned(),
                        bytes: 0,
                    });
                    self.files.len() - 1
                }
            };
            let file = &mut self.files[at];
            if file.bytes + text.len() > LONGEST {
                fs.remove(path);
                file.bytes = 0;
            }
            file.bytes += text.len();
            fs.append(path, text.as_bytes());
        }
        self.text = text;
        self.text.clear();
    }

    /// Writes what happened after `from_ms` until `to_ms`.
    pub(crate) fn advance(&mut self, pod: &Pod, node: usize, fs: &MemFs, (from_ms, to_ms): (i64, i64)) {
        let jobs = pod.on_node(node, to_ms);
        // Files of jobs that are gone go with them.
        self.files.retain(|file| {
            let runs = jobs
                .iter()
                .any(|(_, job, _)| file.path.contains(&format!("-{}", job.id)));
            if !runs {
                fs.remove(&file.path);
            }
            runs
        });
        let physics = pod.physics(to_ms);
        let host = pod.topology().node_name(node);
        for (_, job, gpus) in jobs {
            if !matches!(job.class, Class::Pretrain | Class::Tune) || job.placed.len() < 2 {
                continue;
            }
            let first = job
                .placed
                .iter()
                .position(|placed| placed.node == node)
                .unwrap_or(0)
                * 8;
            // In the past, which is filled in longer steps, only the last record of a step is written.
            if to_ms.div_euclid(EVERY_MS) != from_ms.div_euclid(EVERY_MS) {
                self.records(pod, &job, node, (first, gpus), to_ms);
                self.append(fs, &format!("/var/log/nccl-inspector-{}/{host}.log", job.id));
            }
            let minutes = (to_ms - from_ms) as f64 / 60_000.0;
            // Completions fail where acknowledgements are late.
            let late = (physics.latency / 0.000_16).powi(2) + 400.0 * physics.pause;
            let chance = (late - 1.5).max(0.02) * 0.002 * minutes;
            let dice = unit(
                0x6e63_636c + u64::from(job.id),
                node as u64,
                to_ms.cast_unsigned() / 1_000,
            );
            if dice < chance {
                let gpu = (hash(3, to_ms.cast_unsigned(), node as u64) % 8) as usize;
                let peer = job.placed[(hash(4, to_ms.cast_unsigned(), 0) as usize) % job.placed.len()].node;
                let what = if dice < chance * 0.6 {
                    format!(
                        "transport/net_ib.cc:1295 NCCL WARN NET/IB : Got completion from peer {}<41822> with status=12 opcode=0 len=0 vendor err 129 (Recv) localGid ::ffff:172.21.1.{} hca mlx5_{gpu}",
                        super::topology::Topology::node_address(peer),
                        node + 1
                    )
                } else {
                    "misc/socket.cc:58 NCCL WARN socketProgress: Connection closed by remote peer; retrying"
                        .to_owned()
                };
                let pid = 10_000 + job.id % 20_000;
                self.text
                    .push_str(&format!("{host}:{pid}:{} [{gpu}] {what}\n", pid + 40));
                self.append(fs, &format!("/var/log/nccl/job-{}.log", job.id));
            }
        }
    }

    fn records(
        &mut self,
        pod: &Pod,
        job: &super::model::jobs::Job,
        node: usize,
        (first, gpus): (usize, u16),
        t_ms: i64,
    ) {
        let physics = pod.physics(t_ms);
        let host = pod.topology().node_name(node);
        let sequence = t_ms.div_euclid(2_000);
        // One node of a job is late more often than the others.
        let late_node = job.placed[(hash(9, u64::from(job.id), 0) as usize) % job.placed.len()].node;
        let slow = 1.0 + 45.0 * physics.marks_other + 1.2 * (1.0 - physics.speed[job.class.at()]);
        for gpu in (0..16).filter(|gpu| gpus & (1 << gpu) != 0) {
            let rank = first + gpu;
            let dice = unit(u64::from(job.id), rank as u64, t_ms.cast_unsigned());
            let own = if node == late_node { 0.72 } else { 1.0 };
            let micros = SECONDS * 1e6 * slow * own * (0.85 + 0.3 * dice);
            let bandwidth = BYTES as f64 / micros / 1e3;
            self.text.push_str(&format!("{{\"header\":{{\"id\":\"0x{:016x}\",\"rank\":{rank},\"n_ranks\":{},\"nnodes\":{},\"slurm_job_id\":\"{}\"}},\
                 \"metadata\":{{\"inspector_output_format_version\":\"v4.0\",\"git_rev\":\"\",\"rec_mechanism\":\"profiler_plugin\",\
                 \"dump_timestamp_us\":{},\"hostname\":\"{host}\",\"pid\":{}}},\
                 \"coll_perf\":{{\"coll\":\"AllReduce\",\"coll_sn\":{sequence},\"coll_msg_size_bytes\":{BYTES},\
                 \"coll_exec_time_us\":{micros:.1},\"coll_algobw_gbs\":{bandwidth:.3},\"coll_busbw_gbs\":{:.3}}}}}\n",
                hash(2, u64::from(job.id), 0),
                job.gpus,
                job.placed.len(),
                job.id,
                t_ms * 1_000,
                10_000 + job.id % 20_000,
                bandwidth * 1.9,));
        }
    }
}
