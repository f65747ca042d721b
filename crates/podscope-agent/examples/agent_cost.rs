//! What an agent costs on a busy GPU node: 8 simulated GPUs at 1 s, 200 containers at 5 s, 500 processes on the GPUs at 15 s,
//! this machine's host collectors at 1 s, all kept in a history. Prints CPU per second, resident memory and series.
//!
//! `cargo run -p podscope-agent --example agent_cost [SECONDS] [SHORT-LIVED CONTAINERS PER HOUR]`

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use podscope_agent::driver::Driver;
use podscope_agent::schedule::Schedule;
use podscope_agent::self_metrics::SelfCollector;
use podscope_agent::{AgentState, Config, Identity};
use podscope_collect::containers::{
    ContainerBook, ContainerCollector, ContainerConfig, Ds01Collector, GpuProcessCollector,
};
use podscope_collect::gpu::{DirectGpuCollector, GpuProcess, SimGpus};
use podscope_collect::{Collector, HostConfig, HostFs, RealFs, host_collectors};
use podscope_history::{History, Options};
use podscope_model::event::{EventSink, NoSink};
use rustix::time::{ClockId, clock_gettime};

const CONTAINERS: u32 = 200;
const PROCESSES: u32 = 500;
/// Short-lived containers live so long.
const SHORT_LIFE: u32 = 10;

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn resident_mib() -> f64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm.split(' ').nth(1).and_then(|text| text.parse::<f64>().ok());
    pages.unwrap_or(0.0) * 4096.0 / 1_048_576.0
}

fn group(number: u32) -> String {
    format!("system.slice/docker-{number:012x}{number:052x}.scope")
}

/// Files as the kernel has them for a container; from an ordinary file system, whose reads cost about the same.
fn run_container(root: &Path, number: u32, pid: u32) -> std::io::Result<()> {
    let folder = root.join("sys/fs/cgroup").join(group(number));
    fs::create_dir_all(&folder)?;
    for (file, text) in [
        (
            "cpu.stat",
            "usage_usec 5000000\nuser_usec 3000000\nsystem_usec 2000000\nthrottled_usec 0\n",
        ),
        ("cpu.max", "max 100000\n"),
        ("memory.current", "1073741824\n"),
        ("memory.max", "max\n"),
        ("memory.stat", "anon 600\nfile 400\ninactive_file 300\n"),
        ("memory.events", "oom_kill 0\n"),
        (
            "io.stat",
            "259:0 rbytes=10 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n",
        ),
        ("pids.current", "12\n"),
        ("pids.max", "max\n"),
    ] {
        fs::write(folder.join(file), text)?;
    }
    fs::write(folder.join("cgroup.procs"), format!("{pid}\n"))?;
    run_process(root, number, pid)
}

fn run_process(root: &Path, container: u32, pid: u32) -> std::io::Result<()> {
    let folder = root.join("proc").join(pid.to_string());
    fs::create_dir_all(folder.join("net"))?;
    fs::write(folder.join("cgroup"), format!("0::/{}\n", group(container)))?;
    fs::write(folder.join("comm"), "python3\n")?;
    fs::write(folder.join("loginuid"), "4294967295")?;
    fs::write(
        folder.join("status"),
        "Name:\tpython3\nUid:\t1000\t1000\t1000\t1000\n",
    )?;
    fs::write(
        folder.join("net/dev"),
        "a\nb\n  eth0: 100 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0\n",
    )
}

/// CPU time of one collection of all GPUs, in microseconds: the median of many.
fn gpu_sample_us(gpus: &SimGpus) -> f64 {
    let mut collector = DirectGpuCollector::new(gpus.nvml(), "node-1");
    let mut row = podscope_model::batch::Row::new();
    let mut times: Vec<f64> = (0..200)
        .map(|_| {
            row.begin();
            let before = clock_gettime(ClockId::ThreadCPUTime);
            drop(collector.collect(&mut row));
            let after = clock_gettime(ClockId::ThreadCPUTime);
            (after.tv_sec - before.tv_sec) as f64 * 1e6 + (after.tv_nsec - before.tv_nsec) as f64 / 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args()
        .skip(1)
        .filter_map(|text| text.parse::<u32>().ok());
    let seconds = arguments.next().unwrap_or(60);
    let per_hour = arguments.next().unwrap_or(0);
    let folder = tempfile::tempdir()?;
    let root = folder.path();
    fs::create_dir_all(root.join("sys/fs/cgroup"))?;
    fs::create_dir_all(root.join("etc"))?;
    fs::write(
        root.join("sys/fs/cgroup/cgroup.controllers"),
        "cpu io memory pids\n",
    )?;
    fs::write(
        root.join("etc/passwd"),
        "alice:x:1000:1000::/home/alice:/bin/sh\n",
    )?;
    for number in 0..CONTAINERS {
        run_container(root, number, 1000 + number)?;
    }
    let gpus = SimGpus::new(8, "NVIDIA H100 80GB HBM3", 1);
    for at in 0..PROCESSES {
        run_process(root, at % CONTAINERS, 10_000 + at)?;
        gpus.change(|state| {
            state.gpus[at as usize % 8].processes.push(GpuProcess {
                gpu: at % 8,
                pid: 10_000 + at,
                memory: Some(1e9),
                sm_util: Some(1.0),
                ..GpuProcess::default()
            });
        });
    }
    let mut out = std::io::stdout().lock();
    let sample = gpu_sample_us(&gpus);
    writeln!(out, "one sample of 8 GPUs: {sample:.0} us of CPU, median of 200")?;
    let config = Config::default();
    let (history, _) = History::open(Options::new(root.join("history")))?;
    let history = Arc::new(history);
    let state = AgentState::local(Identity::of_config(&config), Arc::clone(&history));
    let mut collectors = host_collectors(Arc::new(RealFs::default()), &HostConfig::default());
    let gpu = DirectGpuCollector::new(gpus.nvml(), "node-1");
    let processes = gpu.processes();
    collectors.push(Box::new(gpu));
    let machine: Arc<dyn HostFs> = Arc::new(RealFs::new(root.join("proc"), root.join("sys"), root));
    let book = ContainerBook::new(machine, ContainerConfig::default());
    let events: Arc<dyn EventSink> = Arc::new(NoSink);
    collectors.push(Box::new(ContainerCollector::new(
        book.clone(),
        Arc::clone(&events),
    )));
    collectors.push(Box::new(GpuProcessCollector::new(
        book.clone(),
        processes.clone(),
    )));
    collectors.push(Box::new(Ds01Collector::new(book, processes, events)));
    let own: Box<dyn Collector> = Box::new(SelfCollector::new(&state, true));
    let drivers = collectors.into_iter().chain([own]).map(|collector| {
        let descriptor = collector.descriptor();
        let stream = state.add_stream(descriptor.name, descriptor.job, descriptor.interval_ms);
        Driver::new(collector, stream)
    });
    let schedule = Schedule::start(drivers.collect(), history, Duration::from_secs(5))?;
    // The first round makes every column; it is not what a running agent costs.
    std::thread::sleep(Duration::from_secs(16));
    let (began, cpu, mut making) = (Instant::now(), cpu_seconds(), 0.0);
    let mut next = 100_000;
    for second in 0..seconds {
        let before = clock_gettime(ClockId::ThreadCPUTime);
        // What this program does to play the machine is not the agent's.
        let wanted = u64::from(per_hour) * u64::from(second + 1) / 3600;
        while u64::from(next - 100_000) < wanted {
            run_container(root, next, next)?;
            next += 1;
        }
        let ended = u64::from(per_hour) * u64::from(second.saturating_sub(SHORT_LIFE)) / 3600;
        if let Some(gone) = u32::try_from(ended).ok().and_then(|ended| ended.checked_sub(1)) {
            drop(fs::remove_dir_all(
                root.join("sys/fs/cgroup").join(group(100_000 + gone)),
            ));
        }
        let after = clock_gettime(ClockId::ThreadCPUTime);
        making += (after.tv_sec - before.tv_sec) as f64 + (after.tv_nsec - before.tv_nsec) as f64 / 1e9;
        std::thread::sleep(
            Duration::from_secs(1).saturating_sub(
                began
                    .elapsed()
                    .saturating_sub(Duration::from_secs(u64::from(second))),
            ),
        );
    }
    let wall = began.elapsed().as_secs_f64();
    let used = cpu_seconds() - cpu - making;
    let series = state.history().stats().series;
    writeln!(
        out,
        "{:.2} ms of CPU per second ({:.2} % of a core), {:.1} MiB resident, {series} series in the history, {per_hour} short-lived containers per hour",
        used / wall * 1000.0,
        used / wall * 100.0,
        resident_mib()
    )?;
    schedule.stop();
    Ok(())
}
