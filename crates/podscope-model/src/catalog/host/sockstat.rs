//! `/proc/net/sockstat`, `/proc/net/sockstat6`: sockets by protocol and state.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_SOCKSTAT_SOCKETS_USED = Gauge, None, "node_sockstat_sockets_used", [], "Number of IPv4 sockets in use.", "/proc/net/sockstat";
    NODE_SOCKSTAT_TCP_INUSE = Gauge, None, "node_sockstat_TCP_inuse", [], "Number of TCP sockets in state inuse.", "/proc/net/sockstat";
    NODE_SOCKSTAT_TCP_ORPHAN = Gauge, None, "node_sockstat_TCP_orphan", [], "Number of TCP sockets in state orphan.", "/proc/net/sockstat";
    NODE_SOCKSTAT_TCP_TW = Gauge, None, "node_sockstat_TCP_tw", [], "Number of TCP sockets in state tw.", "/proc/net/sockstat";
    NODE_SOCKSTAT_TCP_ALLOC = Gauge, None, "node_sockstat_TCP_alloc", [], "Number of TCP sockets in state alloc.", "/proc/net/sockstat";
    NODE_SOCKSTAT_TCP_MEM = Gauge, None, "node_sockstat_TCP_mem", [], "Number of TCP sockets in state mem.", "/proc/net/sockstat";
    NODE_SOCKSTAT_TCP_MEM_BYTES = Gauge, Bytes, "node_sockstat_TCP_mem_bytes", [], "Number of TCP sockets in state mem_bytes.", "/proc/net/sockstat";
    NODE_SOCKSTAT_UDP_INUSE = Gauge, None, "node_sockstat_UDP_inuse", [], "Number of UDP sockets in state inuse.", "/proc/net/sockstat";
    NODE_SOCKSTAT_UDP_MEM = Gauge, None, "node_sockstat_UDP_mem", [], "Number of UDP sockets in state mem.", "/proc/net/sockstat";
    NODE_SOCKSTAT_UDP_MEM_BYTES = Gauge, Bytes, "node_sockstat_UDP_mem_bytes", [], "Number of UDP sockets in state mem_bytes.", "/proc/net/sockstat";
    NODE_SOCKSTAT_UDPLITE_INUSE = Gauge, None, "node_sockstat_UDPLITE_inuse", [], "Number of UDPLITE sockets in state inuse.", "/proc/net/sockstat";
    NODE_SOCKSTAT_RAW_INUSE = Gauge, None, "node_sockstat_RAW_inuse", [], "Number of RAW sockets in state inuse.", "/proc/net/sockstat";
    NODE_SOCKSTAT_FRAG_INUSE = Gauge, None, "node_sockstat_FRAG_inuse", [], "Number of FRAG sockets in state inuse.", "/proc/net/sockstat";
    NODE_SOCKSTAT_FRAG_MEMORY = Gauge, Bytes, "node_sockstat_FRAG_memory", [], "Number of FRAG sockets in state memory.", "/proc/net/sockstat";
    NODE_SOCKSTAT_TCP6_INUSE = Gauge, None, "node_sockstat_TCP6_inuse", [], "Number of TCP6 sockets in state inuse.", "/proc/net/sockstat6";
    NODE_SOCKSTAT_UDP6_INUSE = Gauge, None, "node_sockstat_UDP6_inuse", [], "Number of UDP6 sockets in state inuse.", "/proc/net/sockstat6";
    NODE_SOCKSTAT_UDPLITE6_INUSE = Gauge, None, "node_sockstat_UDPLITE6_inuse", [], "Number of UDPLITE6 sockets in state inuse.", "/proc/net/sockstat6";
    NODE_SOCKSTAT_RAW6_INUSE = Gauge, None, "node_sockstat_RAW6_inuse", [], "Number of RAW6 sockets in state inuse.", "/proc/net/sockstat6";
    NODE_SOCKSTAT_FRAG6_INUSE = Gauge, None, "node_sockstat_FRAG6_inuse", [], "Number of FRAG6 sockets in state inuse.", "/proc/net/sockstat6";
    NODE_SOCKSTAT_FRAG6_MEMORY = Gauge, Bytes, "node_sockstat_FRAG6_memory", [], "Number of FRAG6 sockets in state memory.", "/proc/net/sockstat6";
}
