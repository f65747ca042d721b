//! Storage as the node feels it: NVMe-oF paths and NFS mounts under node_exporter's names, and the latency of block I/O and
//! of remote procedure calls from the kernel's trace events.

use super::{Job, metrics};

const MOUNT: &[&str] = &["export", "protocol", "mountaddr"];
const MOUNT_POINT: &[&str] = &["export", "protocol", "mountaddr", "mountpoint"];
const OPERATION: &[&str] = &["export", "protocol", "mountaddr", "operation"];
const TRANSPORT: &[&str] = &["export", "protocol", "mountaddr", "transport"];
/// A path to an NVMe-oF subsystem: one controller.
const PATH: &[&str] = &["subsystem", "controller", "transport", "traddr"];

/// NVMe subsystems and their paths.
pub mod nvme {
    use super::{Job, PATH, metrics};

    metrics! { Job::Node;
        NVMESUBSYSTEM_INFO = Gauge, Bool, "node_nvmesubsystem_info", ["subsystem", "nqn", "model", "serial", "iopolicy"], "Non-numeric information about an NVMe subsystem.", "/sys/class/nvme-subsystem";
        NVMESUBSYSTEM_NAMESPACE_INFO = Gauge, Bool, "node_nvmesubsystem_namespace_info", ["subsystem", "device"], "Maps an NVMe namespace block device to its subsystem.", "/sys/class/nvme-subsystem";
        NVMESUBSYSTEM_PATHS = Gauge, None, "node_nvmesubsystem_paths", ["subsystem"], "Number of controller paths for an NVMe subsystem.", "/sys/class/nvme-subsystem";
        NVMESUBSYSTEM_PATHS_LIVE = Gauge, None, "node_nvmesubsystem_paths_live", ["subsystem"], "Number of controller paths in live state for an NVMe subsystem.", "/sys/class/nvme-subsystem/<subsystem>/nvme<N>/state";
        NVMESUBSYSTEM_PATH_STATE = Gauge, Bool, "node_nvmesubsystem_path_state", ["subsystem", "controller", "transport", "state"], "Current NVMe controller path state (1 for the current state, 0 for all others).", "/sys/class/nvme-subsystem/<subsystem>/nvme<N>/state";
        NVME_PATH_INFO = Gauge, Bool, "podscope_nvme_path_info", ["subsystem", "controller", "transport", "traddr", "trsvcid", "host_traddr"], "Always 1: the address a path leads to, which is a virtual IP of the storage for NVMe-oF.", "/sys/class/nvme/nvme<N>/address";
        NVME_PATH_LOSSES = Counter, None, "podscope_nvme_path_losses_total", PATH, "Times a path was seen to leave the state live since the agent started; what happens between two collections is not seen.", "/sys/class/nvme/nvme<N>/state";
        NVME_PATH_RECONNECTS = Counter, None, "podscope_nvme_path_reconnects_total", PATH, "Times a path was seen to come back to the state live since the agent started; what happens between two collections is not seen.", "/sys/class/nvme/nvme<N>/state";
    }
}

/// NFS mounts.
pub mod nfs {
    use super::{Job, MOUNT, MOUNT_POINT, OPERATION, TRANSPORT, metrics};

    metrics! { Job::Node;
        MOUNTSTATS_NFS_AGE_SECONDS_TOTAL = Counter, Seconds, "node_mountstats_nfs_age_seconds_total", MOUNT, "The age of the NFS mount in seconds.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_MOUNTPOINT_INFO = Gauge, Bool, "node_mountstats_nfs_mountpoint_info", MOUNT_POINT, "Info metric for an NFS mountpoint.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_READ_BYTES_TOTAL = Counter, Bytes, "node_mountstats_nfs_read_bytes_total", MOUNT, "Number of bytes read using the read() syscall.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_WRITE_BYTES_TOTAL = Counter, Bytes, "node_mountstats_nfs_write_bytes_total", MOUNT, "Number of bytes written using the write() syscall.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_DIRECT_READ_BYTES_TOTAL = Counter, Bytes, "node_mountstats_nfs_direct_read_bytes_total", MOUNT, "Number of bytes read using the read() syscall in O_DIRECT mode.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_DIRECT_WRITE_BYTES_TOTAL = Counter, Bytes, "node_mountstats_nfs_direct_write_bytes_total", MOUNT, "Number of bytes written using the write() syscall in O_DIRECT mode.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_TOTAL_READ_BYTES_TOTAL = Counter, Bytes, "node_mountstats_nfs_total_read_bytes_total", MOUNT, "Number of bytes read from the NFS server, in total.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_TOTAL_WRITE_BYTES_TOTAL = Counter, Bytes, "node_mountstats_nfs_total_write_bytes_total", MOUNT, "Number of bytes written to the NFS server, in total.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_READ_PAGES_TOTAL = Counter, None, "node_mountstats_nfs_read_pages_total", MOUNT, "Number of pages read directly via mmap()'d files.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_WRITE_PAGES_TOTAL = Counter, None, "node_mountstats_nfs_write_pages_total", MOUNT, "Number of pages written directly via mmap()'d files.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_TRANSPORT_BIND_TOTAL = Counter, None, "node_mountstats_nfs_transport_bind_total", TRANSPORT, "Number of times the client has had to establish a connection from scratch to the NFS server.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_TRANSPORT_CONNECT_TOTAL = Counter, None, "node_mountstats_nfs_transport_connect_total", TRANSPORT, "Number of times the client has made a TCP connection to the NFS server.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_TRANSPORT_IDLE_TIME_SECONDS = Gauge, Seconds, "node_mountstats_nfs_transport_idle_time_seconds", TRANSPORT, "Duration since the NFS mount last saw any RPC traffic, in seconds.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_TRANSPORT_SENDS_TOTAL = Counter, None, "node_mountstats_nfs_transport_sends_total", TRANSPORT, "Number of RPC requests for this mount sent to the NFS server.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_TRANSPORT_RECEIVES_TOTAL = Counter, None, "node_mountstats_nfs_transport_receives_total", TRANSPORT, "Number of RPC responses for this mount received from the NFS server.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_TRANSPORT_BAD_TRANSACTION_IDS_TOTAL = Counter, None, "node_mountstats_nfs_transport_bad_transaction_ids_total", TRANSPORT, "Number of times the NFS server sent a response with a transaction ID unknown to this client.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_TRANSPORT_BACKLOG_QUEUE_TOTAL = Counter, None, "node_mountstats_nfs_transport_backlog_queue_total", TRANSPORT, "Total number of items added to the RPC backlog queue.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_TRANSPORT_MAXIMUM_RPC_SLOTS = Gauge, None, "node_mountstats_nfs_transport_maximum_rpc_slots", TRANSPORT, "Maximum number of simultaneously active RPC requests ever used.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_TRANSPORT_SENDING_QUEUE_TOTAL = Counter, None, "node_mountstats_nfs_transport_sending_queue_total", TRANSPORT, "Total number of items added to the RPC transmission sending queue.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_TRANSPORT_PENDING_QUEUE_TOTAL = Counter, None, "node_mountstats_nfs_transport_pending_queue_total", TRANSPORT, "Total number of items added to the RPC transmission pending queue.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_OPERATIONS_REQUESTS_TOTAL = Counter, None, "node_mountstats_nfs_operations_requests_total", OPERATION, "Number of requests performed for a given operation.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_OPERATIONS_TRANSMISSIONS_TOTAL = Counter, None, "node_mountstats_nfs_operations_transmissions_total", OPERATION, "Number of times an actual RPC request has been transmitted for a given operation.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_OPERATIONS_MAJOR_TIMEOUTS_TOTAL = Counter, None, "node_mountstats_nfs_operations_major_timeouts_total", OPERATION, "Number of times a request has had a major timeout for a given operation.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_OPERATIONS_SENT_BYTES_TOTAL = Counter, Bytes, "node_mountstats_nfs_operations_sent_bytes_total", OPERATION, "Number of bytes sent for a given operation, including RPC headers and payload.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_OPERATIONS_RECEIVED_BYTES_TOTAL = Counter, Bytes, "node_mountstats_nfs_operations_received_bytes_total", OPERATION, "Number of bytes received for a given operation, including RPC headers and payload.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_OPERATIONS_QUEUE_TIME_SECONDS_TOTAL = Counter, Seconds, "node_mountstats_nfs_operations_queue_time_seconds_total", OPERATION, "Duration all requests spent queued for transmission for a given operation before they were sent, in seconds.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_OPERATIONS_RESPONSE_TIME_SECONDS_TOTAL = Counter, Seconds, "node_mountstats_nfs_operations_response_time_seconds_total", OPERATION, "Duration all requests took to get a reply back after a request for a given operation was transmitted, in seconds.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_OPERATIONS_REQUEST_TIME_SECONDS_TOTAL = Counter, Seconds, "node_mountstats_nfs_operations_request_time_seconds_total", OPERATION, "Duration all requests took from when a request was enqueued to when it was completely handled for a given operation, in seconds.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_INODE_REVALIDATE_TOTAL = Counter, None, "node_mountstats_nfs_event_inode_revalidate_total", MOUNT, "Number of times cached inode attributes are re-validated from the server.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_DNODE_REVALIDATE_TOTAL = Counter, None, "node_mountstats_nfs_event_dnode_revalidate_total", MOUNT, "Number of times cached dentry nodes are re-validated from the server.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_DATA_INVALIDATE_TOTAL = Counter, None, "node_mountstats_nfs_event_data_invalidate_total", MOUNT, "Number of times an inode cache is cleared.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_ATTRIBUTE_INVALIDATE_TOTAL = Counter, None, "node_mountstats_nfs_event_attribute_invalidate_total", MOUNT, "Number of times cached inode attributes are invalidated.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_VFS_OPEN_TOTAL = Counter, None, "node_mountstats_nfs_event_vfs_open_total", MOUNT, "Number of times cached inode attributes are invalidated.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_VFS_LOOKUP_TOTAL = Counter, None, "node_mountstats_nfs_event_vfs_lookup_total", MOUNT, "Number of times a directory lookup has occurred.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_VFS_ACCESS_TOTAL = Counter, None, "node_mountstats_nfs_event_vfs_access_total", MOUNT, "Number of times permissions have been checked.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_VFS_UPDATE_PAGE_TOTAL = Counter, None, "node_mountstats_nfs_event_vfs_update_page_total", MOUNT, "Number of updates (and potential writes) to pages.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_VFS_READ_PAGE_TOTAL = Counter, None, "node_mountstats_nfs_event_vfs_read_page_total", MOUNT, "Number of pages read directly via mmap()'d files.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_VFS_READ_PAGES_TOTAL = Counter, None, "node_mountstats_nfs_event_vfs_read_pages_total", MOUNT, "Number of times a group of pages have been read.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_VFS_WRITE_PAGE_TOTAL = Counter, None, "node_mountstats_nfs_event_vfs_write_page_total", MOUNT, "Number of pages written directly via mmap()'d files.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_VFS_WRITE_PAGES_TOTAL = Counter, None, "node_mountstats_nfs_event_vfs_write_pages_total", MOUNT, "Number of times a group of pages have been written.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_VFS_GETDENTS_TOTAL = Counter, None, "node_mountstats_nfs_event_vfs_getdents_total", MOUNT, "Number of times directory entries have been read with getdents().", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_VFS_SETATTR_TOTAL = Counter, None, "node_mountstats_nfs_event_vfs_setattr_total", MOUNT, "Number of times directory entries have been read with getdents().", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_VFS_FLUSH_TOTAL = Counter, None, "node_mountstats_nfs_event_vfs_flush_total", MOUNT, "Number of pending writes that have been forcefully flushed to the server.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_VFS_FSYNC_TOTAL = Counter, None, "node_mountstats_nfs_event_vfs_fsync_total", MOUNT, "Number of times fsync() has been called on directories and files.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_VFS_LOCK_TOTAL = Counter, None, "node_mountstats_nfs_event_vfs_lock_total", MOUNT, "Number of times locking has been attempted on a file.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_VFS_FILE_RELEASE_TOTAL = Counter, None, "node_mountstats_nfs_event_vfs_file_release_total", MOUNT, "Number of times files have been closed and released.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_TRUNCATION_TOTAL = Counter, None, "node_mountstats_nfs_event_truncation_total", MOUNT, "Number of times files have been truncated.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_WRITE_EXTENSION_TOTAL = Counter, None, "node_mountstats_nfs_event_write_extension_total", MOUNT, "Number of times a file has been grown due to writes beyond its existing end.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_SILLY_RENAME_TOTAL = Counter, None, "node_mountstats_nfs_event_silly_rename_total", MOUNT, "Number of times a file was removed while still open by another process.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_SHORT_READ_TOTAL = Counter, None, "node_mountstats_nfs_event_short_read_total", MOUNT, "Number of times the NFS server gave less data than expected while reading.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_SHORT_WRITE_TOTAL = Counter, None, "node_mountstats_nfs_event_short_write_total", MOUNT, "Number of times the NFS server wrote less data than expected while writing.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_JUKEBOX_DELAY_TOTAL = Counter, None, "node_mountstats_nfs_event_jukebox_delay_total", MOUNT, "Number of times the NFS server indicated EJUKEBOX; retrieving data from offline storage.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_PNFS_READ_TOTAL = Counter, None, "node_mountstats_nfs_event_pnfs_read_total", MOUNT, "Number of NFS v4.1+ pNFS reads.", "/proc/1/mountstats";
        MOUNTSTATS_NFS_EVENT_PNFS_WRITE_TOTAL = Counter, None, "node_mountstats_nfs_event_pnfs_write_total", MOUNT, "Number of NFS v4.1+ pNFS writes.", "/proc/1/mountstats";
    }
}

/// Latency from trace events.
pub mod latency {
    use super::{Job, metrics};

    metrics! { Job::Node;
        BLOCK_IO_LATENCY_BUCKET = Histogram, None, "podscope_block_io_latency_seconds_bucket", ["device", "transport", "le"], "Block requests by the time from issue to completion; transport is rdma, tcp, fc, pcie, virtio or scsi.", "tracefs: block_rq_issue, block_rq_complete";
        BLOCK_IO_LATENCY_SUM = Histogram, Seconds, "podscope_block_io_latency_seconds_sum", ["device", "transport"], "Time of block requests from issue to completion, added up.", "tracefs: block_rq_issue, block_rq_complete";
        BLOCK_IO_LATENCY_COUNT = Histogram, None, "podscope_block_io_latency_seconds_count", ["device", "transport"], "Block requests that were issued and completed.", "tracefs: block_rq_issue, block_rq_complete";
        BLOCK_IO_REQUESTS = Counter, None, "podscope_block_io_requests_total", ["device", "transport", "operation", "pattern"], "Block requests issued, read or write, by whether they begin where a recent one of the device ended (sequential) or not (random).", "tracefs: block_rq_issue";
        BLOCK_IO_BYTES = Counter, Bytes, "podscope_block_io_bytes_total", ["device", "transport", "operation", "pattern"], "Bytes of the requests counted in podscope_block_io_requests_total.", "tracefs: block_rq_issue";
        BLOCK_TRACE_EVENTS = Counter, None, "podscope_block_trace_events_total", [], "Trace events read.", "tracefs: trace_pipe";
        BLOCK_TRACE_LOST_EVENTS = Counter, None, "podscope_block_trace_lost_events_total", [], "Trace events the kernel dropped before they were read: the histogram is a sample then.", "tracefs: trace_pipe";
        BLOCK_TRACE_UNMATCHED = Counter, None, "podscope_block_trace_unmatched_total", [], "Completions without a known issue, and issues forgotten before they completed.", "tracefs: trace_pipe";
        NFS_RPC_LATENCY_BUCKET = Histogram, None, "podscope_nfs_rpc_latency_seconds_bucket", ["operation", "le"], "NFS calls by the time from sending to the reply; operation is read, write or other.", "tracefs: rpc_stats_latency";
        NFS_RPC_LATENCY_SUM = Histogram, Seconds, "podscope_nfs_rpc_latency_seconds_sum", ["operation"], "Time of NFS calls from sending to the reply, added up.", "tracefs: rpc_stats_latency";
        NFS_RPC_LATENCY_COUNT = Histogram, None, "podscope_nfs_rpc_latency_seconds_count", ["operation"], "NFS calls that were answered.", "tracefs: rpc_stats_latency";
    }
}
