//! `/proc/loadavg`.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_LOAD1 = Gauge, None, "node_load1", [], "1m load average.", "/proc/loadavg";
    NODE_LOAD5 = Gauge, None, "node_load5", [], "5m load average.", "/proc/loadavg";
    NODE_LOAD15 = Gauge, None, "node_load15", [], "15m load average.", "/proc/loadavg";
}
