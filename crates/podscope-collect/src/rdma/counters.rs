//! The files of a port's counters and the metrics they are. Names as in node_exporter 1.12.1; meanings of `hw_counters` from
//! the kernel's `Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst`.

use podscope_model::catalog::{MetricDef, rdma};

/// One file.
#[derive(Debug)]
pub(super) struct Counter {
    pub(super) file: &'static str,
    pub(super) def: &'static MetricDef,
    /// To the metric's unit: data is counted in words of four bytes.
    pub(super) factor: f64,
}

const fn plain(file: &'static str, def: &'static MetricDef) -> Counter {
    Counter {
        file,
        def,
        factor: 1.0,
    }
}

const fn words(file: &'static str, def: &'static MetricDef) -> Counter {
    Counter {
        file,
        def,
        factor: 4.0,
    }
}

pub(super) static COUNTERS: &[Counter] = &[
    plain(
        "excessive_buffer_overrun_errors",
        &rdma::INFINIBAND_EXCESSIVE_BUFFER_OVERRUN_ERRORS_TOTAL,
    ),
    plain("link_downed", &rdma::INFINIBAND_LINK_DOWNED_TOTAL),
    plain("link_error_recovery", &rdma::INFINIBAND_LINK_ERROR_RECOVERY_TOTAL),
    plain(
        "local_link_integrity_errors",
        &rdma::INFINIBAND_LOCAL_LINK_INTEGRITY_ERRORS_TOTAL,
    ),
    plain(
        "multicast_rcv_packets",
        &rdma::INFINIBAND_MULTICAST_PACKETS_RECEIVED_TOTAL,
    ),
    plain(
        "multicast_xmit_packets",
        &rdma::INFINIBAND_MULTICAST_PACKETS_TRANSMITTED_TOTAL,
    ),
    plain(
        "port_rcv_constraint_errors",
        &rdma::INFINIBAND_PORT_CONSTRAINT_ERRORS_RECEIVED_TOTAL,
    ),
    plain(
        "port_xmit_constraint_errors",
        &rdma::INFINIBAND_PORT_CONSTRAINT_ERRORS_TRANSMITTED_TOTAL,
    ),
    words("port_rcv_data", &rdma::INFINIBAND_PORT_DATA_RECEIVED_BYTES_TOTAL),
    words(
        "port_xmit_data",
        &rdma::INFINIBAND_PORT_DATA_TRANSMITTED_BYTES_TOTAL,
    ),
    plain(
        "port_rcv_discards",
        &rdma::INFINIBAND_PORT_DISCARDS_RECEIVED_TOTAL,
    ),
    plain(
        "port_xmit_discards",
        &rdma::INFINIBAND_PORT_DISCARDS_TRANSMITTED_TOTAL,
    ),
    plain("port_rcv_errors", &rdma::INFINIBAND_PORT_ERRORS_RECEIVED_TOTAL),
    plain("port_rcv_packets", &rdma::INFINIBAND_PORT_PACKETS_RECEIVED_TOTAL),
    plain(
        "port_xmit_packets",
        &rdma::INFINIBAND_PORT_PACKETS_TRANSMITTED_TOTAL,
    ),
    plain("port_xmit_wait", &rdma::INFINIBAND_PORT_TRANSMIT_WAIT_TOTAL),
    plain(
        "unicast_rcv_packets",
        &rdma::INFINIBAND_UNICAST_PACKETS_RECEIVED_TOTAL,
    ),
    plain(
        "unicast_xmit_packets",
        &rdma::INFINIBAND_UNICAST_PACKETS_TRANSMITTED_TOTAL,
    ),
    plain(
        "port_rcv_remote_physical_errors",
        &rdma::INFINIBAND_PORT_RECEIVE_REMOTE_PHYSICAL_ERRORS_TOTAL,
    ),
    plain(
        "port_rcv_switch_relay_errors",
        &rdma::INFINIBAND_PORT_RECEIVE_SWITCH_RELAY_ERRORS_TOTAL,
    ),
    plain("symbol_error", &rdma::INFINIBAND_SYMBOL_ERROR_TOTAL),
    Counter {
        file: "VL15_dropped",
        def: &rdma::INFINIBAND_VL15_DROPPED_TOTAL,
        factor: 1.0,
    },
];
pub(super) static COUNTERS_EXT: &[Counter] = &[
    plain(
        "port_multicast_rcv_packets",
        &rdma::INFINIBAND_LEGACY_MULTICAST_PACKETS_RECEIVED_TOTAL,
    ),
    plain(
        "port_multicast_xmit_packets",
        &rdma::INFINIBAND_LEGACY_MULTICAST_PACKETS_TRANSMITTED_TOTAL,
    ),
    words(
        "port_rcv_data_64",
        &rdma::INFINIBAND_LEGACY_DATA_RECEIVED_BYTES_TOTAL,
    ),
    plain(
        "port_rcv_packets_64",
        &rdma::INFINIBAND_LEGACY_PACKETS_RECEIVED_TOTAL,
    ),
    plain(
        "port_unicast_rcv_packets",
        &rdma::INFINIBAND_LEGACY_UNICAST_PACKETS_RECEIVED_TOTAL,
    ),
    plain(
        "port_unicast_xmit_packets",
        &rdma::INFINIBAND_LEGACY_UNICAST_PACKETS_TRANSMITTED_TOTAL,
    ),
    words(
        "port_xmit_data_64",
        &rdma::INFINIBAND_LEGACY_DATA_TRANSMITTED_BYTES_TOTAL,
    ),
    plain(
        "port_xmit_packets_64",
        &rdma::INFINIBAND_LEGACY_PACKETS_TRANSMITTED_TOTAL,
    ),
];
pub(super) static HW_COUNTERS: &[Counter] = &[
    plain(
        "duplicate_request",
        &rdma::INFINIBAND_DUPLICATE_REQUESTS_PACKETS_TOTAL,
    ),
    plain(
        "implied_nak_seq_err",
        &rdma::INFINIBAND_IMPLIED_NAK_SEQ_ERRORS_TOTAL,
    ),
    plain(
        "local_ack_timeout_err",
        &rdma::INFINIBAND_LOCAL_ACK_TIMEOUT_ERRORS_TOTAL,
    ),
    plain("np_cnp_sent", &rdma::INFINIBAND_NP_CNP_PACKETS_SENT_TOTAL),
    plain(
        "np_ecn_marked_roce_packets",
        &rdma::INFINIBAND_NP_ECN_MARKED_ROCE_PACKETS_RECEIVED_TOTAL,
    ),
    plain("out_of_buffer", &rdma::INFINIBAND_OUT_OF_BUFFER_DROPS_TOTAL),
    plain(
        "out_of_sequence",
        &rdma::INFINIBAND_OUT_OF_SEQUENCE_PACKETS_RECEIVED_TOTAL,
    ),
    plain("packet_seq_err", &rdma::INFINIBAND_PACKET_SEQUENCE_ERRORS_TOTAL),
    plain("req_cqe_error", &rdma::INFINIBAND_REQ_CQES_ERRORS_TOTAL),
    plain(
        "req_cqe_flush_error",
        &rdma::INFINIBAND_REQ_CQES_FLUSH_ERRORS_TOTAL,
    ),
    plain(
        "req_remote_access_errors",
        &rdma::INFINIBAND_REQ_REMOTE_ACCESS_ERRORS_TOTAL,
    ),
    plain(
        "req_remote_invalid_request",
        &rdma::INFINIBAND_REQ_REMOTE_INVALID_REQUEST_ERRORS_TOTAL,
    ),
    plain("resp_cqe_error", &rdma::INFINIBAND_RESP_CQES_ERRORS_TOTAL),
    plain(
        "resp_cqe_flush_error",
        &rdma::INFINIBAND_RESP_CQES_FLUSH_ERRORS_TOTAL,
    ),
    plain(
        "resp_local_length_error",
        &rdma::INFINIBAND_RESP_LOCAL_LENGTH_ERRORS_TOTAL,
    ),
    plain(
        "resp_remote_access_errors",
        &rdma::INFINIBAND_RESP_REMOTE_ACCESS_ERRORS_TOTAL,
    ),
    plain(
        "rnr_nak_retry_err",
        &rdma::INFINIBAND_RNR_NAK_RETRY_PACKETS_RECEIVED_TOTAL,
    ),
    plain("roce_adp_retrans", &rdma::INFINIBAND_ROCE_ADP_RETRANSMITS_TOTAL),
    plain(
        "roce_adp_retrans_to",
        &rdma::INFINIBAND_ROCE_ADP_RETRANSMITS_TIMEOUT_TOTAL,
    ),
    plain(
        "roce_slow_restart",
        &rdma::INFINIBAND_ROCE_SLOW_RESTART_USED_TOTAL,
    ),
    plain(
        "roce_slow_restart_cnps",
        &rdma::INFINIBAND_ROCE_SLOW_RESTART_CNPS_TOTAL,
    ),
    plain(
        "roce_slow_restart_trans",
        &rdma::INFINIBAND_ROCE_SLOW_RESTART_TOTAL,
    ),
    plain("rp_cnp_handled", &rdma::INFINIBAND_RP_CNP_PACKETS_HANDLED_TOTAL),
    plain(
        "rp_cnp_ignored",
        &rdma::INFINIBAND_RP_CNP_IGNORED_PACKETS_RECEIVED_TOTAL,
    ),
    plain("rx_atomic_requests", &rdma::INFINIBAND_RX_ATOMIC_REQUESTS_TOTAL),
    plain("rx_dct_connect", &rdma::INFINIBAND_RX_DCT_CONNECT_REQUESTS_TOTAL),
    plain("rx_read_requests", &rdma::INFINIBAND_RX_READ_REQUESTS_TOTAL),
    plain("rx_write_requests", &rdma::INFINIBAND_RX_WRITE_REQUESTS_TOTAL),
    plain(
        "rx_icrc_encapsulated",
        &rdma::INFINIBAND_RX_ICRC_ENCAPSULATED_ERRORS_TOTAL,
    ),
];
