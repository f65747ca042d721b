//! NVMe controllers and their namespaces.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_NVME_INFO = Gauge, Bool, "node_nvme_info", ["device", "firmware_revision", "model", "serial", "state", "cntlid"], "Non-numeric data from /sys/class/nvme/<device>, value is always 1.", "/sys/class/nvme";
    NODE_NVME_NAMESPACE_INFO = Gauge, Bool, "node_nvme_namespace_info", ["device", "nsid", "ana_state"], "Information about NVMe namespaces. Value is always 1.", "/sys/class/nvme";
    NODE_NVME_NAMESPACE_CAPACITY_BYTES = Gauge, Bytes, "node_nvme_namespace_capacity_bytes", ["device", "nsid"], "Capacity of the NVMe namespace in bytes. Computed as namespace_size * namespace_logical_block_size.", "/sys/class/nvme";
    NODE_NVME_NAMESPACE_SIZE_BYTES = Gauge, Bytes, "node_nvme_namespace_size_bytes", ["device", "nsid"], "Size of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/size.", "/sys/class/nvme";
    NODE_NVME_NAMESPACE_USED_BYTES = Gauge, Bytes, "node_nvme_namespace_used_bytes", ["device", "nsid"], "Used space of the NVMe namespace in bytes. Available in /sys/class/nvme/<device>/<namespace>/nuse.", "/sys/class/nvme";
    NODE_NVME_NAMESPACE_LOGICAL_BLOCK_SIZE_BYTES = Gauge, Bytes, "node_nvme_namespace_logical_block_size_bytes", ["device", "nsid"], "Logical block size of the NVMe namespace in bytes. Usually 4Kb. Available in /sys/class/nvme/<device>/<namespace>/queue/logical_block_size.", "/sys/class/nvme";
}
