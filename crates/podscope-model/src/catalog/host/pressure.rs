//! `/proc/pressure`: how long tasks waited (some) or nobody could run (full).

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_PRESSURE_CPU_WAITING_SECONDS_TOTAL = Counter, Seconds, "node_pressure_cpu_waiting_seconds_total", [], "Total time in seconds that processes have waited for CPU time.", "/proc/pressure/cpu";
    NODE_PRESSURE_IO_WAITING_SECONDS_TOTAL = Counter, Seconds, "node_pressure_io_waiting_seconds_total", [], "Total time in seconds that processes have waited due to IO congestion.", "/proc/pressure/io";
    NODE_PRESSURE_IO_STALLED_SECONDS_TOTAL = Counter, Seconds, "node_pressure_io_stalled_seconds_total", [], "Total time in seconds no process could make progress due to IO congestion.", "/proc/pressure/io";
    NODE_PRESSURE_MEMORY_WAITING_SECONDS_TOTAL = Counter, Seconds, "node_pressure_memory_waiting_seconds_total", [], "Total time in seconds that processes have waited for memory.", "/proc/pressure/memory";
    NODE_PRESSURE_MEMORY_STALLED_SECONDS_TOTAL = Counter, Seconds, "node_pressure_memory_stalled_seconds_total", [], "Total time in seconds no process could make progress due to memory congestion.", "/proc/pressure/memory";
    NODE_PRESSURE_IRQ_STALLED_SECONDS_TOTAL = Counter, Seconds, "node_pressure_irq_stalled_seconds_total", [], "Total time in seconds no process could make progress due to IRQ congestion.", "/proc/pressure/irq";
}
