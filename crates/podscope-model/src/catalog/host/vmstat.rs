//! `/proc/vmstat`: the fields node_exporter takes by default.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_VMSTAT_OOM_KILL = Unknown, None, "node_vmstat_oom_kill", [], "/proc/vmstat information field oom_kill.", "/proc/vmstat";
    NODE_VMSTAT_PGFAULT = Unknown, None, "node_vmstat_pgfault", [], "/proc/vmstat information field pgfault.", "/proc/vmstat";
    NODE_VMSTAT_PGMAJFAULT = Unknown, None, "node_vmstat_pgmajfault", [], "/proc/vmstat information field pgmajfault.", "/proc/vmstat";
    NODE_VMSTAT_PGPGIN = Unknown, None, "node_vmstat_pgpgin", [], "/proc/vmstat information field pgpgin.", "/proc/vmstat";
    NODE_VMSTAT_PGPGOUT = Unknown, None, "node_vmstat_pgpgout", [], "/proc/vmstat information field pgpgout.", "/proc/vmstat";
    NODE_VMSTAT_PSWPIN = Unknown, None, "node_vmstat_pswpin", [], "/proc/vmstat information field pswpin.", "/proc/vmstat";
    NODE_VMSTAT_PSWPOUT = Unknown, None, "node_vmstat_pswpout", [], "/proc/vmstat information field pswpout.", "/proc/vmstat";
}
