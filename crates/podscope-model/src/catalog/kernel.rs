//! What the kernel's log says, counted.

use super::{Job, metrics};

metrics! { Job::Node;
    KERNEL_LOG_RECORDS = Counter, None, "podscope_kernel_log_records_total", [], "Records of the kernel's log that were read.", "/dev/kmsg";
    KERNEL_LOG_GAPS = Counter, None, "podscope_kernel_log_gaps_total", [], "Times the kernel overwrote records before they were read.", "/dev/kmsg";
    KERNEL_EVENTS = Counter, None, "podscope_kernel_events_total", ["kind"], "Lines of the kernel's log that say something about the node's health, by kind.", "/dev/kmsg";
    KERNEL_SXID_ERRORS = Counter, None, "podscope_kernel_sxid_errors_total", ["sxid", "pci_bus_id"], "SXid errors of NVSwitches by number and switch.", "/dev/kmsg";
}
