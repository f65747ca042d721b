//! One simulated machine: what its `/proc` and `/sys` say and what its GPUs read, moved on from moment to moment under the
//! load of the jobs it runs.

mod containers;
mod fixed;
mod text;

use std::sync::Arc;

use podscope_collect::MemFs;
use podscope_collect::ethtool::SimEthtool;
use podscope_collect::gpu::sim::SimGpus;
use podscope_collect::kernel::SimKernelLog;
use podscope_collect::storage::latency::SimIo;

use crate::gpu::GpuModel;
use crate::noise::{hash, smooth};
use crate::pod::node::PodNode;
use crate::workload::{GpuLoad, Load, Workload};

pub(crate) use containers::SimEngine;

const GPU_MODEL: &str = "NVIDIA H100 80GB HBM3";
/// Ticks of the kernel's clock per second, as `/proc/stat` counts.
const TICKS: f64 = 100.0;
const MEMORY_KB: f64 = 1_056_000_000.0;
const SECTOR: f64 = 512.0;

/// Counters that only rise.
#[derive(Clone, Debug, Default)]
struct Counters {
    /// user, nice, system, idle, iowait, irq, softirq, steal; in ticks, per CPU.
    cpus: Vec<[f64; 8]>,
    interrupts: f64,
    switches: f64,
    forks: f64,
    paged_in: f64,
    paged_out: f64,
    faults: f64,
    /// Microseconds: cpu some; io some, full; memory some, full.
    stalled: [f64; 5],
    disks: [Disk; 2],
    networks: [Network; 3],
}

#[derive(Clone, Copy, Debug, Default)]
struct Disk {
    reads: f64,
    read_sectors: f64,
    read_ms: f64,
    writes: f64,
    written_sectors: f64,
    write_ms: f64,
    busy_ms: f64,
    in_flight: f64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Network {
    rx: f64,
    tx: f64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Machine {
    seed: u64,
    index: usize,
    workload: Arc<Workload>,
    fs: Arc<MemFs>,
    gpus: SimGpus,
    models: Vec<GpuModel>,
    /// When its history begins.
    origin_ms: i64,
    at_ms: i64,
    counters: Counters,
    loads: [f64; 3],
    load: Load,
    disk_full: bool,
    /// One container uses nearly all of the memory it may.
    container_full: bool,
    /// GPUs on which nothing runs although somebody holds them.
    idle: Vec<usize>,
    kernel: SimKernelLog,
    containers: containers::Containers,
    /// What it has of a pod's fabric and storage.
    pod: Option<PodNode>,
}

impl Machine {
    /// A machine that was switched on at `origin_ms`.
    pub(crate) fn new(
        seed: u64,
        index: usize,
        name: &str,
        (cpus, gpus): (u32, u32),
        workload: Arc<Workload>,
        origin_ms: i64,
    ) -> Self {
        let seed = hash(seed, 0x6e6f_6465, index as u64);
        // The second node's sixth GPU (or the last, where there are fewer) has a loose heat sink.
        let loose = (index == 1).then(|| 5.min(gpus.saturating_sub(1)));
        let models = (0..gpus)
            .map(|gpu| GpuModel::new(hash(seed, 1, u64::from(gpu)), loose == Some(gpu)))
            .collect();
        let mut machine = Self {
            seed,
            index,
            workload,
            fs: Arc::new(MemFs::new()),
            gpus: SimGpus::new(gpus, GPU_MODEL, seed & 0xffff_ffff_ffff),
            models,
            origin_ms,
            at_ms: origin_ms,
            counters: Counters {
                cpus: vec![[0.0; 8]; cpus as usize],
                ..Counters::default()
            },
            loads: [0.5; 3],
            load: Load::default(),
            disk_full: false,
            container_full: false,
            idle: Vec::new(),
            kernel: SimKernelLog::new(origin_ms),
            containers: containers::Containers::new(index),
            pod: None,
        };
        machine.write_what_never_changes(name);
        machine.pod = machine
            .workload
            .pod()
            .map(|pod| PodNode::new(Arc::clone(pod), index, &machine.fs, origin_ms));
        machine
    }

    pub(crate) fn fs(&self) -> Arc<MemFs> {
        Arc::clone(&self.fs)
    }

    pub(crate) fn gpus(&self) -> &SimGpus {
        &self.gpus
    }

    /// The load it was last moved on under.
    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    /// When it was last moved on.
    pub(crate) fn at_ms(&self) -> i64 {
        self.at_ms
    }

    /// Whether the root file system is nearly full from the next move on.
    pub(crate) fn fill_disk(&mut self, full: bool) {
        self.disk_full = full;
    }

    /// Whether a container's memory is nearly full from the next move on.
    pub(crate) fn fill_container(&mut self, full: bool) {
        self.container_full = full;
    }

    /// On these GPUs nothing runs from the next move on.
    pub(crate) fn leave_idle(&mut self, gpus: Vec<usize>) {
        self.idle = gpus;
    }

    /// What it has of a pod that is no file.
    pub(crate) fn pod_sources(&self) -> Option<(SimEthtool, SimIo)> {
        self.pod.as_ref().map(PodNode::sources)
    }

    /// The kernel's log.
    pub(crate) fn kernel(&self) -> SimKernelLog {
        self.kernel.clone()
    }

    /// The container engine.
    pub(crate) fn engine(&self) -> SimEngine {
        self.containers.engine()
    }

    /// Moves everything on to `at_ms`.
    pub(crate) fn advance(&mut self, at_ms: i64) {
        let elapsed = (at_ms - self.at_ms) as f64 / 1_000.0;
        if elapsed <= 0.0 {
            return;
        }
        self.at_ms = at_ms;
        let seconds = (at_ms - self.origin_ms) as f64 / 1_000.0;
        self.load = self.workload.at(self.index, seconds);
        for at in &self.idle {
            if let Some(gpu) = self.load.gpus.get_mut(*at) {
                *gpu = GpuLoad {
                    memory_mib: gpu.memory_mib,
                    ..GpuLoad::default()
                };
            }
        }
        self.kernel.set_now(at_ms);
        self.count(seconds, elapsed);
        self.move_gpus(seconds, elapsed);
        if let Some(pod) = &mut self.pod {
            pod.advance(&self.fs, at_ms);
        }
        self.write();
        let holders = self.workload.holders(self.index, seconds);
        let Self {
            containers,
            fs,
            gpus,
            load,
            container_full,
            ..
        } = self;
        containers.advance(fs, gpus, load, &holders, elapsed, *container_full);
    }

    fn move_gpus(&mut self, seconds: f64, elapsed: f64) {
        let (models, load) = (&mut self.models, &self.load);
        self.gpus.change(|state| {
            for (at, (model, wanted)) in models.iter_mut().zip(&load.gpus).enumerate() {
                let Some(gpu) = state.gpus.get_mut(at) else {
                    continue;
                };
                if let Some(xid) = model.advance(seconds, elapsed, wanted, gpu) {
                    state.raise_xid(at, xid);
                }
            }
        });
    }

    fn count(&mut self, seconds: f64, elapsed: f64) {
        let (load, counters) = (&self.load, &mut self.counters);
        let ticks = elapsed * TICKS;
        for (at, cpu) in counters.cpus.iter_mut().enumerate() {
            let own = 1.0 + 0.3 * smooth(self.seed, 40 + at as u64, seconds, 15.0);
            let busy = (load.cpu * own).clamp(0.0, 0.97);
            let waiting = load.waiting.min(1.0 - busy);
            let shares = [
                busy * 0.78,
                0.0,
                busy * 0.18,
                1.0 - busy - waiting,
                waiting,
                0.0,
                busy * 0.04,
                0.0,
            ];
            for (counter, share) in cpu.iter_mut().zip(shares) {
                *counter += share * ticks;
            }
        }
        let cpus = counters.cpus.len() as f64;
        counters.interrupts += elapsed * (4_000.0 + 90_000.0 * load.cpu);
        counters.switches += elapsed * (6_000.0 + 240_000.0 * load.cpu);
        counters.forks += elapsed * (2.0 + 20.0 * load.cpu);
        counters.paged_in += elapsed * load.disk_read / 1_024.0;
        counters.paged_out += elapsed * load.disk_write / 1_024.0;
        counters.faults += elapsed * (2_000.0 + 60_000.0 * load.cpu);
        let stalled = [
            load.cpu * load.cpu * 0.2,
            load.waiting,
            load.waiting * 0.6,
            0.0,
            0.0,
        ];
        for (counter, share) in counters.stalled.iter_mut().zip(stalled) {
            *counter += share * elapsed * 1e6;
        }
        // The first disk holds the system, the second the data.
        let traffic = [
            (1e4, 4e5),
            (load.disk_read + 3e4, (load.disk_write - 4e5).max(0.0) + 2e4),
        ];
        for (disk, (read, written)) in counters.disks.iter_mut().zip(traffic) {
            let (reads, writes) = (read / 131_072.0, written / 262_144.0);
            disk.reads += (reads * elapsed).ceil();
            disk.read_sectors += read * elapsed / SECTOR;
            disk.read_ms += reads * elapsed * 0.4;
            disk.writes += (writes * elapsed).ceil();
            disk.written_sectors += written * elapsed / SECTOR;
            disk.write_ms += writes * elapsed * 0.8;
            let busy = (read / 6.5e9 + written / 5.0e9).min(1.0);
            disk.busy_ms += busy * elapsed * 1_000.0;
            disk.in_flight = (busy * 24.0).round();
        }
        // Loopback, management, and the fabric that carries the jobs' traffic.
        let lo = 2e4 + 1e5 * load.requests;
        let traffic = [
            (lo, lo),
            (load.net_rx.min(1e9), load.net_tx.min(1e9)),
            (load.net_rx, load.net_tx),
        ];
        for (network, (rx, tx)) in counters.networks.iter_mut().zip(traffic) {
            network.rx += rx * elapsed;
            network.tx += tx * elapsed;
        }
        for (average, minutes) in self.loads.iter_mut().zip([1.0, 5.0, 15.0]) {
            let running = (load.cpu + load.waiting) * cpus;
            *average += (running - *average) * (1.0 - (-elapsed / (minutes * 60.0)).exp());
        }
    }
}
