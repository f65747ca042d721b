//! CPU state from sysfs; the slow part of node_exporter's `cpu`.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_CPU_CORE_THROTTLES_TOTAL = Counter, None, "node_cpu_core_throttles_total", ["package", "core"], "Number of times this CPU core has been throttled.", "/sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count";
    NODE_CPU_PACKAGE_THROTTLES_TOTAL = Counter, None, "node_cpu_package_throttles_total", ["package"], "Number of times this CPU package has been throttled.", "/sys/devices/system/cpu/cpu*/thermal_throttle/package_throttle_count";
    NODE_CPU_ONLINE = Gauge, Bool, "node_cpu_online", ["cpu"], "CPUs that are online and being scheduled.", "/sys/devices/system/cpu/cpu*/online";
    NODE_CPU_ISOLATED = Gauge, Bool, "node_cpu_isolated", ["cpu"], "Whether each core is isolated, information from /sys/devices/system/cpu/isolated.", "/sys/devices/system/cpu/isolated";
}
