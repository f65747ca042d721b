//! Who holds which GPU: the series of a shared GPU server, under the names DS01's exporter gave them. `gpu` and `GPU_I_ID`
//! are those of the GPU's own series, so that the two can be joined.

use super::{Job, metrics};

metrics! { Job::Ds01;
    GPU_ALLOCATED = Gauge, Bool, "ds01_gpu_allocated", ["gpu_slot", "container", "user", "interface", "gpu", "GPU_I_ID", "hpc_job"], "1 while the container holds the GPU (slot 3) or MIG slice (slot 3.1: GPU 3, GPU_I_ID 1).", "containers and processes on the node";
    CONTAINERS = Gauge, None, "ds01_containers_total", ["status", "interface"], "Containers by status and by the interface they were made through.", "container engine";
    USER_MIG_ALLOCATED = Gauge, None, "ds01_user_mig_allocated", ["user"], "GPUs held by the user, in MIG equivalents: a whole GPU counts as many as it could be cut into.", "containers and processes on the node";
    USER_CONTAINERS = Gauge, None, "ds01_user_containers_count", ["user"], "Running containers of the user.", "container engine";
    USER_GROUP_INFO = Gauge, None, "ds01_user_group_info", ["user", "group"], "Always 1; the labels say which group a user belongs to.", "configuration, /etc/group";
    EVENTS_24H = Gauge, None, "ds01_events_24h_total", ["event_type"], "Events of the last 24 hours by type; a gauge in spite of its name.", "the agent's events";
    STATE_DISK = Gauge, Bytes, "ds01_state_disk_bytes", ["type"], "Size of the folder that holds the allocation state, and of its file system.", "statvfs";
    EXPORTER_INFO = Gauge, None, "ds01_exporter_info", ["version", "type"], "Always 1; the labels are the agent's version and kind.", "compiled in";
    ALLOCATIONS_LEFT_OUT = Gauge, None, "podscope_gpu_allocations_left_out", [], "Allocations without series because there are more than 512.", "the agent";
}
