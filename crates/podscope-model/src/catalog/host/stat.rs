//! `/proc/stat`: CPU time, interrupts, context switches, processes; node_exporter's `cpu` and `stat`.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_CPU_SECONDS_TOTAL = Counter, Seconds, "node_cpu_seconds_total", ["cpu", "mode"], "Seconds the CPUs spent in each mode.", "/proc/stat";
    NODE_CPU_GUEST_SECONDS_TOTAL = Counter, Seconds, "node_cpu_guest_seconds_total", ["cpu", "mode"], "Seconds the CPUs spent in guests (VMs) for each mode.", "/proc/stat";
    NODE_INTR_TOTAL = Counter, None, "node_intr_total", [], "Total number of interrupts serviced.", "/proc/stat";
    NODE_CONTEXT_SWITCHES_TOTAL = Counter, None, "node_context_switches_total", [], "Total number of context switches.", "/proc/stat";
    NODE_FORKS_TOTAL = Counter, None, "node_forks_total", [], "Total number of forks.", "/proc/stat";
    NODE_BOOT_TIME_SECONDS = Gauge, Timestamp, "node_boot_time_seconds", [], "Node boot time, in unixtime.", "/proc/stat";
    NODE_PROCS_RUNNING = Gauge, None, "node_procs_running", [], "Number of processes in runnable state.", "/proc/stat";
    NODE_PROCS_BLOCKED = Gauge, None, "node_procs_blocked", [], "Number of processes blocked waiting for I/O to complete.", "/proc/stat";
}
