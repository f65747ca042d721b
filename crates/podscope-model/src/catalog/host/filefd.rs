//! `/proc/sys/fs/file-nr`: open files of the whole node.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_FILEFD_ALLOCATED = Gauge, None, "node_filefd_allocated", [], "File descriptor statistics: allocated.", "/proc/sys/fs/file-nr";
    NODE_FILEFD_MAXIMUM = Gauge, None, "node_filefd_maximum", [], "File descriptor statistics: maximum.", "/proc/sys/fs/file-nr";
}
