//! The containers of a simulated node, and who they belong to: control groups, processes on the GPUs, and the engine that
//! knows their names.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use podscope_collect::MemFs;
use podscope_collect::containers::{Engine, EngineContainer, GpuRequest};
use podscope_collect::gpu::GpuProcess;
use podscope_collect::gpu::sim::SimGpus;

use super::text::put;
use crate::workload::{Holder, Load};

/// What one container may use.
const MEMORY_LIMIT: f64 = 256.0 * 1024.0 * 1024.0 * 1024.0;

/// A container that runs.
#[derive(Clone, Debug)]
struct Running {
    holder: Holder,
    cpu: f64,
    io: [f64; 2],
    net: [f64; 2],
}

/// The node's containers.
#[derive(Debug)]
pub(crate) struct Containers {
    index: usize,
    running: Vec<Running>,
    known: Arc<Mutex<Vec<EngineContainer>>>,
}

/// What the node's container engine answers.
#[derive(Clone, Debug)]
pub(crate) struct SimEngine(Arc<Mutex<Vec<EngineContainer>>>);

impl Engine for SimEngine {
    fn place(&self) -> String {
        "simulated".to_owned()
    }

    fn list(&mut self) -> io::Result<Vec<EngineContainer>> {
        Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn inspect(&mut self, _container: &mut EngineContainer) -> io::Result<()> {
        Ok(())
    }
}

fn id(index: usize, holder: &Holder) -> String {
    let mut id = format!("{:016x}{index:08x}{:08x}", holder.key, holder.gpus.start);
    id.push_str(&"0".repeat(32));
    id
}

impl Containers {
    pub(super) fn new(index: usize) -> Self {
        Self {
            index,
            running: Vec::new(),
            known: Arc::default(),
        }
    }

    pub(super) fn engine(&self) -> SimEngine {
        SimEngine(Arc::clone(&self.known))
    }

    fn group(&self, holder: &Holder) -> String {
        format!(
            "/sys/fs/cgroup/system.slice/docker-{}.scope",
            id(self.index, holder)
        )
    }

    /// Starts and ends containers, and moves their counters on.
    pub(super) fn advance(
        &mut self,
        fs: &MemFs,
        gpus: &SimGpus,
        load: &Load,
        wanted: &[Holder],
        elapsed: f64,
        full: bool,
    ) {
        fs.rewrite("/sys/fs/cgroup/cgroup.controllers", |out| {
            put(out, format_args!("cpu io memory pids\n"))
        });
        let before = self.running.len();
        let gone: Vec<Running> = self
            .running
            .extract_if(.., |one| !wanted.contains(&one.holder))
            .collect();
        for one in &gone {
            fs.remove(&self.group(&one.holder));
            for gpu in one.holder.gpus.clone() {
                fs.remove(&format!("/proc/{}", pid(&one.holder, gpu)));
            }
        }
        let mut changed = !gone.is_empty() || before == 0;
        for holder in wanted {
            if self.running.iter().any(|one| one.holder == *holder) {
                continue;
            }
            changed = true;
            self.running.push(Running {
                holder: holder.clone(),
                cpu: 0.0,
                io: [0.0; 2],
                net: [0.0; 2],
            });
        }
        let count = self.running.len().max(1) as f64;
        for at in 0..self.running.len() {
            let one = &mut self.running[at];
            one.cpu += load.cpu / count * 16.0 * elapsed;
            one.io[0] += load.disk_read / count * elapsed;
            one.io[1] += load.disk_write / count * elapsed;
            one.net[0] += load.net_rx / count * elapsed;
            one.net[1] += load.net_tx / count * elapsed;
            let one = self.running[at].clone();
            self.write(fs, &one, load, full && at == 0);
        }
        if changed {
            self.write_processes(fs);
            self.tell_engine();
        }
        self.put_on_gpus(gpus, load);
    }

    fn write(&self, fs: &MemFs, one: &Running, load: &Load, full: bool) {
        let group = self.group(&one.holder);
        let used = if full { 0.95 } else { (load.memory * 0.6).min(0.8) } * MEMORY_LIMIT;
        let file = |name: &str, text: std::fmt::Arguments<'_>| {
            fs.rewrite(&format!("{group}/{name}"), |out| put(out, text));
        };
        let micros = one.cpu * 1e6;
        file(
            "cpu.stat",
            format_args!(
                "usage_usec {micros:.0}\nuser_usec {:.0}\nsystem_usec {:.0}\nnr_periods 0\nthrottled_usec 0\n",
                micros * 0.8,
                micros * 0.2
            ),
        );
        file("cpu.max", format_args!("max 100000\n"));
        file("memory.current", format_args!("{used:.0}\n"));
        file("memory.max", format_args!("{MEMORY_LIMIT:.0}\n"));
        file(
            "memory.stat",
            format_args!(
                "anon {:.0}\nfile {:.0}\ninactive_file 0\n",
                used * 0.9,
                used * 0.1
            ),
        );
        file(
            "memory.events",
            format_args!("low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n"),
        );
        file(
            "io.stat",
            format_args!(
                "259:1 rbytes={:.0} wbytes={:.0} rios=1 wios=1\n",
                one.io[0], one.io[1]
            ),
        );
        file("pids.current", format_args!("{}\n", 12 * one.holder.gpus.len()));
        file("pids.max", format_args!("max\n"));
        file(
            "cgroup.procs",
            format_args!("{}\n", pid(&one.holder, one.holder.gpus.start)),
        );
        let first = pid(&one.holder, one.holder.gpus.start);
        fs.rewrite(&format!("/proc/{first}/net/dev"), |out| {
            put(
                out,
                format_args!(
                    "Inter-|\n face |\n  eth0: {:.0} 1 0 0 0 0 0 0 {:.0} 1 0 0 0 0 0 0\n",
                    one.net[0], one.net[1]
                ),
            );
        });
    }

    fn write_processes(&self, fs: &MemFs) {
        fs.rewrite("/etc/passwd", |out| {
            put(out, format_args!("root:x:0:0::/root:/bin/sh\n"))
        });
        fs.rewrite("/etc/group", |out| {
            put(
                out,
                format_args!("students:x:2000:alice,bob\nresearchers:x:2001:carol,dora,svc-inference\n"),
            );
        });
        for one in &self.running {
            let group = format!("/system.slice/docker-{}.scope", id(self.index, &one.holder));
            for gpu in one.holder.gpus.clone() {
                let folder = format!("/proc/{}", pid(&one.holder, gpu));
                fs.write(&format!("{folder}/cgroup"), format!("0::{group}\n"));
                fs.write(&format!("{folder}/comm"), "python3\n");
                fs.write(&format!("{folder}/loginuid"), "4294967295");
                fs.write(&format!("{folder}/status"), "Name:\tpython3\nUid:\t0\t0\t0\t0\n");
            }
        }
    }

    fn tell_engine(&self) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let describe = |one: &Running| EngineContainer {
            id: id(self.index, &one.holder),
            name: one.holder.container.clone(),
            image: "nvcr.io/nvidia/pytorch:25.01".to_owned(),
            running: true,
            labels: [
                ("ds01.user".to_owned(), one.holder.user.clone()),
                ("ds01.interface".to_owned(), one.holder.interface.clone()),
            ]
            .into(),
            gpus: GpuRequest::Ids(one.holder.gpus.clone().map(|gpu| gpu.to_string()).collect()),
            pid: pid(&one.holder, one.holder.gpus.start),
            ..EngineContainer::default()
        };
        *known = self.running.iter().map(describe).collect();
    }

    fn put_on_gpus(&self, gpus: &SimGpus, load: &Load) {
        gpus.change(|state| {
            for (at, gpu) in state.gpus.iter_mut().enumerate() {
                let index = u32::try_from(at).unwrap_or(u32::MAX);
                let holder = self.running.iter().find(|one| one.holder.gpus.contains(&index));
                gpu.processes.clear();
                let Some(one) = holder else { continue };
                let wanted = load.gpus.get(at).copied().unwrap_or_default();
                let whole = gpu.mig.is_empty();
                gpu.processes.push(GpuProcess {
                    gpu: index,
                    gpu_instance: gpu.mig.first().map(|slice| slice.instance_id),
                    pid: pid(&one.holder, index),
                    memory: gpu.readings.fb_used.map(|mebibytes| mebibytes * 1_048_576.0),
                    sm_util: whole.then(|| (wanted.busy * 100.0).round()),
                    mem_util: whole.then(|| (wanted.busy * wanted.intensity * 60.0).round()),
                });
            }
        });
    }
}

/// The process of a container on a GPU.
fn pid(holder: &Holder, gpu: u32) -> u32 {
    10_000 + u32::try_from(holder.key % 20_000).unwrap_or(0) + gpu
}
