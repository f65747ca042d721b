//! What `uname` says.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_UNAME_INFO = Gauge, Bool, "node_uname_info", ["sysname", "release", "version", "machine", "nodename", "domainname"], "Labeled system information as provided by the uname system call.", "uname";
}
