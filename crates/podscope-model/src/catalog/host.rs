//! node_exporter's metrics, under its names and labels.

use super::{Job, metrics};

metrics! { Job::Node;
    NODE_LOAD1 = Gauge, None, "node_load1", [], "1m load average.", "/proc/loadavg";
}
