//! Connection tracking of netfilter.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_NF_CONNTRACK_ENTRIES = Gauge, None, "node_nf_conntrack_entries", [], "Number of currently allocated flow entries for connection tracking.", "/proc/sys/net/netfilter/nf_conntrack_count";
    NODE_NF_CONNTRACK_ENTRIES_LIMIT = Gauge, None, "node_nf_conntrack_entries_limit", [], "Maximum size of connection tracking table.", "/proc/sys/net/netfilter/nf_conntrack_max";
    NODE_NF_CONNTRACK_STAT_FOUND = Gauge, None, "node_nf_conntrack_stat_found", [], "Number of searched entries which were successful.", "/proc/net/stat/nf_conntrack";
    NODE_NF_CONNTRACK_STAT_INVALID = Gauge, None, "node_nf_conntrack_stat_invalid", [], "Number of packets seen which can not be tracked.", "/proc/net/stat/nf_conntrack";
    NODE_NF_CONNTRACK_STAT_IGNORE = Gauge, None, "node_nf_conntrack_stat_ignore", [], "Number of packets seen which are already connected to a conntrack entry.", "/proc/net/stat/nf_conntrack";
    NODE_NF_CONNTRACK_STAT_INSERT = Gauge, None, "node_nf_conntrack_stat_insert", [], "Number of entries inserted into the list.", "/proc/net/stat/nf_conntrack";
    NODE_NF_CONNTRACK_STAT_INSERT_FAILED = Gauge, None, "node_nf_conntrack_stat_insert_failed", [], "Number of entries for which list insertion was attempted but failed.", "/proc/net/stat/nf_conntrack";
    NODE_NF_CONNTRACK_STAT_DROP = Gauge, None, "node_nf_conntrack_stat_drop", [], "Number of packets dropped due to conntrack failure.", "/proc/net/stat/nf_conntrack";
    NODE_NF_CONNTRACK_STAT_EARLY_DROP = Gauge, None, "node_nf_conntrack_stat_early_drop", [], "Number of dropped conntrack entries to make room for new ones, if maximum table size was reached.", "/proc/net/stat/nf_conntrack";
    NODE_NF_CONNTRACK_STAT_SEARCH_RESTART = Gauge, None, "node_nf_conntrack_stat_search_restart", [], "Number of conntrack table lookups which had to be restarted due to hashtable resizes.", "/proc/net/stat/nf_conntrack";
}
