//! Containers, under cAdvisor's names where it has one.
//!
//! `name` is the engine's name of the container, `id` the first 12 digits of its id. `interface` is a network device.

use super::{Job, metrics};

const CONTAINER: &[&str] = &["id", "name", "image", "user"];
const NETWORK: &[&str] = &["id", "name", "image", "user", "interface"];

metrics! { Job::Containers;
    CONTAINER_CPU_USAGE = Counter, Seconds, "container_cpu_usage_seconds_total", CONTAINER, "CPU time used.", "cpu.stat, cpuacct.usage";
    CONTAINER_CPU_USER = Counter, Seconds, "container_cpu_user_seconds_total", CONTAINER, "CPU time used in user mode.", "cpu.stat, cpuacct.stat";
    CONTAINER_CPU_SYSTEM = Counter, Seconds, "container_cpu_system_seconds_total", CONTAINER, "CPU time used in the kernel.", "cpu.stat, cpuacct.stat";
    CONTAINER_CPU_THROTTLED = Counter, Seconds, "container_cpu_cfs_throttled_seconds_total", CONTAINER, "Time the container was held back by its CPU limit.", "cpu.stat";
    CONTAINER_CPU_LIMIT = Gauge, None, "podscope_container_cpu_limit", CONTAINER, "CPUs the container may use; absent where there is no limit.", "cpu.max, cpu.cfs_quota_us";
    CONTAINER_MEMORY_USAGE = Gauge, Bytes, "container_memory_usage_bytes", CONTAINER, "Memory in use, file cache included.", "memory.current, memory.usage_in_bytes";
    CONTAINER_MEMORY_WORKING_SET = Gauge, Bytes, "container_memory_working_set_bytes", CONTAINER, "Memory in use without the files nobody used of late.", "memory.current, memory.stat";
    CONTAINER_MEMORY_RSS = Gauge, Bytes, "container_memory_rss", CONTAINER, "Anonymous memory.", "memory.stat";
    CONTAINER_MEMORY_CACHE = Gauge, Bytes, "container_memory_cache", CONTAINER, "File cache.", "memory.stat";
    CONTAINER_MEMORY_LIMIT = Gauge, Bytes, "container_spec_memory_limit_bytes", CONTAINER, "Memory the container may use; absent where there is no limit.", "memory.max, memory.limit_in_bytes";
    CONTAINER_OOM_EVENTS = Counter, None, "container_oom_events_total", CONTAINER, "Processes killed for want of memory.", "memory.events, memory.oom_control";
    CONTAINER_FS_READS = Counter, Bytes, "container_fs_reads_bytes_total", CONTAINER, "Bytes read from block devices.", "io.stat, blkio.throttle.io_service_bytes";
    CONTAINER_FS_WRITES = Counter, Bytes, "container_fs_writes_bytes_total", CONTAINER, "Bytes written to block devices.", "io.stat, blkio.throttle.io_service_bytes";
    CONTAINER_NETWORK_RECEIVE = Counter, Bytes, "container_network_receive_bytes_total", NETWORK, "Bytes received; absent for containers that share the node's network.", "/proc/PID/net/dev";
    CONTAINER_NETWORK_TRANSMIT = Counter, Bytes, "container_network_transmit_bytes_total", NETWORK, "Bytes sent; absent for containers that share the node's network.", "/proc/PID/net/dev";
    CONTAINER_PROCESSES = Gauge, None, "container_processes", CONTAINER, "Processes and threads.", "pids.current";
    CONTAINER_PROCESS_LIMIT = Gauge, None, "podscope_container_process_limit", CONTAINER, "Processes and threads the container may have; absent where there is no limit.", "pids.max";
    CONTAINERS_RUNNING = Gauge, None, "podscope_containers_running", [], "Containers and jobs that run, those without series included.", "/sys/fs/cgroup";
    CONTAINERS_LEFT_OUT = Gauge, None, "podscope_containers_left_out", [], "Containers without series because there are too many; the bound is collectors' `containers.max`.", "/sys/fs/cgroup";
    CONTAINERS_STARTED = Counter, None, "podscope_containers_started_total", [], "Containers that were seen to start.", "/sys/fs/cgroup";
    CONTAINERS_ENDED = Counter, None, "podscope_containers_ended_total", [], "Containers that were seen to end.", "/sys/fs/cgroup";
    CONTAINER_EVENTS_LEFT_OUT = Counter, None, "podscope_container_events_left_out_total", [], "Starts and ends that were not kept as events because there were more than 600 in a minute.", "/sys/fs/cgroup";
    CONTAINER_ENGINE_UP = Gauge, Bool, "podscope_container_engine_up", ["engine"], "Whether the container engine answered in time.", "the engine's socket";
}
