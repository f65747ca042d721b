//! The distribution, from its os-release file.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_OS_INFO = Gauge, Bool, "node_os_info", ["build_id", "id", "id_like", "image_id", "image_version", "name", "pretty_name", "variant", "variant_id", "version", "version_codename", "version_id"], "A metric with a constant '1' value labeled by build_id, id, id_like, image_id, image_version, name, pretty_name, variant, variant_id, version, version_codename, version_id.", "/etc/os-release";
    NODE_OS_VERSION = Gauge, None, "node_os_version", ["id", "id_like", "name"], "Metric containing the major.minor part of the OS version.", "/etc/os-release";
    NODE_OS_SUPPORT_END_TIMESTAMP_SECONDS = Gauge, Timestamp, "node_os_support_end_timestamp_seconds", [], "Metric containing the end-of-life date timestamp of the OS.", "/etc/os-release";
}
