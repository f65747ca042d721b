//! Mounted file systems.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_FILESYSTEM_SIZE_BYTES = Gauge, Bytes, "node_filesystem_size_bytes", ["device", "mountpoint", "fstype", "device_error"], "Filesystem size in bytes.", "statvfs of each mount of /proc/1/mountinfo";
    NODE_FILESYSTEM_FREE_BYTES = Gauge, Bytes, "node_filesystem_free_bytes", ["device", "mountpoint", "fstype", "device_error"], "Filesystem free space in bytes.", "statvfs of each mount of /proc/1/mountinfo";
    NODE_FILESYSTEM_AVAIL_BYTES = Gauge, Bytes, "node_filesystem_avail_bytes", ["device", "mountpoint", "fstype", "device_error"], "Filesystem space available to non-root users in bytes.", "statvfs of each mount of /proc/1/mountinfo";
    NODE_FILESYSTEM_FILES = Gauge, None, "node_filesystem_files", ["device", "mountpoint", "fstype", "device_error"], "Filesystem total file nodes.", "statvfs of each mount of /proc/1/mountinfo";
    NODE_FILESYSTEM_FILES_FREE = Gauge, None, "node_filesystem_files_free", ["device", "mountpoint", "fstype", "device_error"], "Filesystem total free file nodes.", "statvfs of each mount of /proc/1/mountinfo";
    NODE_FILESYSTEM_READONLY = Gauge, Bool, "node_filesystem_readonly", ["device", "mountpoint", "fstype", "device_error"], "Filesystem read-only status.", "/proc/1/mountinfo";
    NODE_FILESYSTEM_DEVICE_ERROR = Gauge, Bool, "node_filesystem_device_error", ["device", "mountpoint", "fstype", "device_error"], "Whether an error occurred while getting statistics for the given device.", "statvfs of each mount of /proc/1/mountinfo";
    NODE_FILESYSTEM_MOUNT_INFO = Gauge, Bool, "node_filesystem_mount_info", ["device", "major", "minor", "mountpoint"], "Filesystem mount information.", "/proc/1/mountinfo";
}
