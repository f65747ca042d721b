//! `/proc/diskstats` and what sysfs and udev say of the disks.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_DISK_INFO = Gauge, Bool, "node_disk_info", ["device", "major", "minor", "path", "wwn", "model", "serial", "revision", "rotational"], "Info of /sys/block/<block_device>.", "/proc/diskstats, /run/udev/data, /sys/block/*/queue/rotational";
    NODE_DISK_FILESYSTEM_INFO = Gauge, Bool, "node_disk_filesystem_info", ["device", "type", "usage", "uuid", "version"], "Info about disk filesystem.", "/run/udev/data";
    NODE_DISK_DEVICE_MAPPER_INFO = Gauge, Bool, "node_disk_device_mapper_info", ["device", "name", "uuid", "vg_name", "lv_name", "lv_layer"], "Info about disk device mapper.", "/run/udev/data";
    NODE_DISK_READS_COMPLETED_TOTAL = Counter, None, "node_disk_reads_completed_total", ["device"], "The total number of reads completed successfully.", "/proc/diskstats";
    NODE_DISK_READS_MERGED_TOTAL = Counter, None, "node_disk_reads_merged_total", ["device"], "The total number of reads merged.", "/proc/diskstats";
    NODE_DISK_READ_BYTES_TOTAL = Counter, Bytes, "node_disk_read_bytes_total", ["device"], "The total number of bytes read successfully.", "/proc/diskstats";
    NODE_DISK_READ_TIME_SECONDS_TOTAL = Counter, Seconds, "node_disk_read_time_seconds_total", ["device"], "The total number of seconds spent by all reads.", "/proc/diskstats";
    NODE_DISK_WRITES_COMPLETED_TOTAL = Counter, None, "node_disk_writes_completed_total", ["device"], "The total number of writes completed successfully.", "/proc/diskstats";
    NODE_DISK_WRITES_MERGED_TOTAL = Counter, None, "node_disk_writes_merged_total", ["device"], "The number of writes merged.", "/proc/diskstats";
    NODE_DISK_WRITTEN_BYTES_TOTAL = Counter, Bytes, "node_disk_written_bytes_total", ["device"], "The total number of bytes written successfully.", "/proc/diskstats";
    NODE_DISK_WRITE_TIME_SECONDS_TOTAL = Counter, Seconds, "node_disk_write_time_seconds_total", ["device"], "This is the total number of seconds spent by all writes.", "/proc/diskstats";
    NODE_DISK_IO_NOW = Gauge, None, "node_disk_io_now", ["device"], "The number of I/Os currently in progress.", "/proc/diskstats";
    NODE_DISK_IO_TIME_SECONDS_TOTAL = Counter, Seconds, "node_disk_io_time_seconds_total", ["device"], "Total seconds spent doing I/Os.", "/proc/diskstats";
    NODE_DISK_IO_TIME_WEIGHTED_SECONDS_TOTAL = Counter, Seconds, "node_disk_io_time_weighted_seconds_total", ["device"], "The weighted # of seconds spent doing I/Os.", "/proc/diskstats";
    NODE_DISK_DISCARDS_COMPLETED_TOTAL = Counter, None, "node_disk_discards_completed_total", ["device"], "The total number of discards completed successfully.", "/proc/diskstats";
    NODE_DISK_DISCARDS_MERGED_TOTAL = Counter, None, "node_disk_discards_merged_total", ["device"], "The total number of discards merged.", "/proc/diskstats";
    NODE_DISK_DISCARDED_SECTORS_TOTAL = Counter, None, "node_disk_discarded_sectors_total", ["device"], "The total number of sectors discarded successfully.", "/proc/diskstats";
    NODE_DISK_DISCARD_TIME_SECONDS_TOTAL = Counter, Seconds, "node_disk_discard_time_seconds_total", ["device"], "This is the total number of seconds spent by all discards.", "/proc/diskstats";
    NODE_DISK_FLUSH_REQUESTS_TOTAL = Counter, None, "node_disk_flush_requests_total", ["device"], "The total number of flush requests completed successfully.", "/proc/diskstats";
    NODE_DISK_FLUSH_REQUESTS_TIME_SECONDS_TOTAL = Counter, Seconds, "node_disk_flush_requests_time_seconds_total", ["device"], "This is the total number of seconds spent by all flush requests.", "/proc/diskstats";
}
