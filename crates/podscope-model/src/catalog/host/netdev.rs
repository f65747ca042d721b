//! `/proc/net/dev`: bytes, packets and errors of each network device.

use crate::catalog::{Job, metrics};

metrics! { Job::Node;
    NODE_NETWORK_RECEIVE_BYTES_TOTAL = Counter, Bytes, "node_network_receive_bytes_total", ["device"], "Network device statistic receive_bytes.", "/proc/net/dev";
    NODE_NETWORK_RECEIVE_PACKETS_TOTAL = Counter, None, "node_network_receive_packets_total", ["device"], "Network device statistic receive_packets.", "/proc/net/dev";
    NODE_NETWORK_RECEIVE_ERRS_TOTAL = Counter, None, "node_network_receive_errs_total", ["device"], "Network device statistic receive_errs.", "/proc/net/dev";
    NODE_NETWORK_RECEIVE_DROP_TOTAL = Counter, None, "node_network_receive_drop_total", ["device"], "Network device statistic receive_drop.", "/proc/net/dev";
    NODE_NETWORK_RECEIVE_FIFO_TOTAL = Counter, None, "node_network_receive_fifo_total", ["device"], "Network device statistic receive_fifo.", "/proc/net/dev";
    NODE_NETWORK_RECEIVE_FRAME_TOTAL = Counter, None, "node_network_receive_frame_total", ["device"], "Network device statistic receive_frame.", "/proc/net/dev";
    NODE_NETWORK_RECEIVE_COMPRESSED_TOTAL = Counter, None, "node_network_receive_compressed_total", ["device"], "Network device statistic receive_compressed.", "/proc/net/dev";
    NODE_NETWORK_RECEIVE_MULTICAST_TOTAL = Counter, None, "node_network_receive_multicast_total", ["device"], "Network device statistic receive_multicast.", "/proc/net/dev";
    NODE_NETWORK_RECEIVE_NOHANDLER_TOTAL = Counter, None, "node_network_receive_nohandler_total", ["device"], "Network device statistic receive_nohandler.", "/sys/class/net/*/statistics/rx_nohandler";
    NODE_NETWORK_TRANSMIT_BYTES_TOTAL = Counter, Bytes, "node_network_transmit_bytes_total", ["device"], "Network device statistic transmit_bytes.", "/proc/net/dev";
    NODE_NETWORK_TRANSMIT_PACKETS_TOTAL = Counter, None, "node_network_transmit_packets_total", ["device"], "Network device statistic transmit_packets.", "/proc/net/dev";
    NODE_NETWORK_TRANSMIT_ERRS_TOTAL = Counter, None, "node_network_transmit_errs_total", ["device"], "Network device statistic transmit_errs.", "/proc/net/dev";
    NODE_NETWORK_TRANSMIT_DROP_TOTAL = Counter, None, "node_network_transmit_drop_total", ["device"], "Network device statistic transmit_drop.", "/proc/net/dev";
    NODE_NETWORK_TRANSMIT_FIFO_TOTAL = Counter, None, "node_network_transmit_fifo_total", ["device"], "Network device statistic transmit_fifo.", "/proc/net/dev";
    NODE_NETWORK_TRANSMIT_COLLS_TOTAL = Counter, None, "node_network_transmit_colls_total", ["device"], "Network device statistic transmit_colls.", "/proc/net/dev";
    NODE_NETWORK_TRANSMIT_CARRIER_TOTAL = Counter, None, "node_network_transmit_carrier_total", ["device"], "Network device statistic transmit_carrier.", "/proc/net/dev";
    NODE_NETWORK_TRANSMIT_COMPRESSED_TOTAL = Counter, None, "node_network_transmit_compressed_total", ["device"], "Network device statistic transmit_compressed.", "/proc/net/dev";
}
