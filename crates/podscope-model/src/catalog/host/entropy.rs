//! The kernel's entropy pool.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_ENTROPY_AVAILABLE_BITS = Gauge, None, "node_entropy_available_bits", [], "Bits of available entropy.", "/proc/sys/kernel/random/entropy_avail";
    NODE_ENTROPY_POOL_SIZE_BITS = Gauge, None, "node_entropy_pool_size_bits", [], "Bits of entropy pool.", "/proc/sys/kernel/random/poolsize";
}
