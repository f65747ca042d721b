//! Ethernet switches: what a Spectrum switch pushes by OTLP under its own names (Cumulus Linux 5.12 and later), which are
//! used for what is read by NVUE REST too, and the little that it has no name for.
//!
//! The switch sends its counters as gauges; here they are counters, which is what they are. `_octet` and `_frames` have no
//! unit in their names; they keep the names the switch gives them.

use super::{Job, metrics};

/// An interface of a switch.
const INTERFACE: &[&str] = &["switch", "interface", "fabric", "role"];
/// A traffic class of an interface: egress queues.
const CLASS: &[&str] = &["switch", "interface", "tc", "fabric", "role"];
/// A priority group of an interface: ingress buffers.
const GROUP: &[&str] = &["switch", "interface", "pg", "fabric", "role"];
/// A switch priority of an interface: PFC.
const PRIORITY: &[&str] = &["switch", "interface", "sp", "fabric", "role"];
/// A BGP neighbour.
const PEER: &[&str] = &["switch", "peer_id", "state", "vrf", "fabric", "role"];
/// A BGP neighbour, whatever its state.
const ANY_PEER: &[&str] = &["switch", "peer_id", "vrf", "fabric", "role"];
/// A multihomed segment.
const SEGMENT: &[&str] = &["switch", "esi", "interface", "fabric", "role"];
const SWITCH: &[&str] = &["switch", "fabric", "role"];

metrics! { Job::Switch;
    INTERFACE_OPER_STATE = Gauge, Code, "nvswitch_interface_oper_state", INTERFACE, "Operational state as a bit map: 0 none, 1 up, 2 down, 4 invalid, 8 error.", "OTLP; NVUE link/state";
    INTERFACE_CARRIER_CHANGES = Counter, None, "nvswitch_interface_carrier_changes_total", INTERFACE, "Times the link went up or down.", "OTLP; NVUE link/stats/carrier-transitions";
    INTERFACE_CARRIER_DOWN_CHANGES = Counter, None, "nvswitch_interface_carrier_down_changes_total", INTERFACE, "Times the link went down.", "OTLP; NVUE link/carrier-down-count";
    INTERFACE_SPEED = Gauge, None, "nvswitch_interface_oper_aggregate_speed", INTERFACE, "Speed of the link in bits per second.", "OTLP; NVUE link/speed";
    INTERFACE_MTU = Gauge, Bytes, "nvswitch_interface_mtu_bytes", INTERFACE, "Operational MTU.", "OTLP; NVUE link/mtu";
    INTERFACE_FLAGS = Gauge, Code, "nvswitch_interface_flags", INTERFACE, "The kernel's flags of the network device.", "OTLP";
    INTERFACE_IN_OCTETS = Counter, Bytes, "nvswitch_interface_if_in_octets", INTERFACE, "Octets received.", "OTLP; NVUE link/stats/in-bytes";
    INTERFACE_OUT_OCTETS = Counter, Bytes, "nvswitch_interface_if_out_octets", INTERFACE, "Octets sent.", "OTLP; NVUE link/stats/out-bytes";
    INTERFACE_ETHER_OCTETS = Counter, Bytes, "nvswitch_interface_ether_stats_octets", INTERFACE, "Octets received, those of bad packets included.", "OTLP";
    INTERFACE_IN_UCAST = Counter, None, "nvswitch_interface_if_in_ucast_pkts", INTERFACE, "Unicast packets received.", "OTLP";
    INTERFACE_OUT_UCAST = Counter, None, "nvswitch_interface_if_out_ucast_pkts", INTERFACE, "Unicast packets sent.", "OTLP";
    INTERFACE_IN_DISCARDS = Counter, None, "nvswitch_interface_if_in_discards", INTERFACE, "Packets received and dropped.", "OTLP; NVUE link/stats/in-drops";
    INTERFACE_OUT_DISCARDS = Counter, None, "nvswitch_interface_if_out_discards", INTERFACE, "Packets dropped instead of being sent.", "OTLP; NVUE link/stats/out-drops";
    INTERFACE_IN_ERRORS = Counter, None, "nvswitch_interface_if_in_errors", INTERFACE, "Packets received with errors.", "OTLP; NVUE link/stats/in-errors";
    INTERFACE_OUT_ERRORS = Counter, None, "nvswitch_interface_if_out_errors", INTERFACE, "Packets not sent because of errors.", "OTLP; NVUE link/stats/out-errors";
    INTERFACE_IN_PAUSE = Counter, None, "nvswitch_interface_dot3_in_pause_frames", INTERFACE, "802.3x pause frames received.", "OTLP";
    INTERFACE_OUT_PAUSE = Counter, None, "nvswitch_interface_dot3_out_pause_frames", INTERFACE, "802.3x pause frames sent.", "OTLP";
    INTERFACE_FCS_ERRORS = Counter, None, "nvswitch_interface_dot3_stats_fcs_errors", INTERFACE, "Frames received with a wrong checksum.", "OTLP";
    INTERFACE_SYMBOL_ERRORS = Counter, None, "nvswitch_interface_dot3_stats_symbol_errors", INTERFACE, "Symbol errors.", "OTLP";
    INTERFACE_MARKED = Counter, None, "nvswitch_interface_performance_marked_packets", INTERFACE, "Packets marked with ECN, all traffic classes together.", "OTLP; NVUE qos/roce/counters";
    INTERFACE_TX_WAIT = Counter, Nanoseconds, "nvswitch_interface_tx_wait", INTERFACE, "Time for which the port had data to send and sent none.", "OTLP";
    INTERFACE_RX_BUFFER_ALMOST_FULL = Counter, None, "nvswitch_interface_rx_buffer_almost_full", INTERFACE, "Times the receive buffer passed its threshold of fullness.", "OTLP";
    INTERFACE_RX_BUFFER_FULL = Counter, None, "nvswitch_interface_rx_buffer_full", INTERFACE, "Times the receive buffer was full.", "OTLP";

    TC_ECN_MARKED = Counter, None, "nvswitch_interface_tc_tx_ecn_marked_tc", CLASS, "Frames marked with ECN in an egress traffic class.", "OTLP; NVUE egress-queue-stats/ecn-marked-frames";
    TC_FRAMES = Counter, None, "nvswitch_interface_tc_tx_frames", CLASS, "Frames sent in an egress traffic class.", "OTLP; NVUE egress-queue-stats/tx-frames";
    TC_UC_FRAMES = Counter, None, "nvswitch_interface_tc_tx_uc_frames", CLASS, "Unicast frames sent in an egress traffic class.", "OTLP";
    TC_OCTETS = Counter, Bytes, "nvswitch_interface_tc_tx_octet", CLASS, "Octets sent in an egress traffic class.", "OTLP; NVUE egress-queue-stats/tx-bytes";
    TC_QUEUE = Gauge, None, "nvswitch_interface_tc_tx_queue", CLASS, "Length of the egress queue of a traffic class.", "OTLP";
    TC_WRED_DISCARD = Counter, None, "nvswitch_interface_tc_tx_wred_discard", CLASS, "Frames dropped by WRED in an egress traffic class.", "OTLP; NVUE egress-queue-stats/wred-discards";
    TC_NO_BUFFER_DISCARD = Counter, None, "nvswitch_interface_tc_tx_no_buffer_discard_uc", CLASS, "Unicast frames dropped for want of an egress buffer.", "OTLP; NVUE egress-queue-stats/tx-uc-buffer-discards";

    PG_FRAMES = Counter, None, "nvswitch_interface_pg_rx_frames", GROUP, "Frames received in a priority group.", "OTLP; NVUE ingress-buffer-stats/rx-frames";
    PG_OCTET = Counter, Bytes, "nvswitch_interface_pg_rx_octet", GROUP, "Octets received in a priority group.", "OTLP, before 5.15";
    PG_OCTETS = Counter, Bytes, "nvswitch_interface_pg_rx_octets", GROUP, "Octets received in a priority group.", "OTLP, from 5.15";
    PG_BUFFER_DISCARD = Counter, None, "nvswitch_interface_pg_rx_buffer_discard", GROUP, "Frames of a priority group dropped for want of an ingress buffer.", "OTLP; NVUE ingress-buffer-stats/rx-buffer-discards";
    PG_SHARED_BUFFER_DISCARD = Counter, None, "nvswitch_interface_pg_rx_shared_buffer_discard", GROUP, "Frames of a priority group dropped for want of a shared buffer.", "OTLP; NVUE ingress-buffer-stats/rx-shared-buffer-discards";

    SP_RX_PAUSE = Counter, None, "nvswitch_interface_sp_rx_pause", PRIORITY, "PFC pause frames received: the peer told this port to stop.", "OTLP; NVUE pfc-stats/rx-pause-frames";
    SP_RX_PAUSE_DURATION = Counter, None, "nvswitch_interface_sp_rx_pause_duration", PRIORITY, "Time this port was told to stop; the vendor documents no unit.", "OTLP; NVUE pfc-stats/rx-pause-duration";
    SP_TX_PAUSE = Counter, None, "nvswitch_interface_sp_tx_pause", PRIORITY, "PFC pause frames sent: this port told its peer to stop.", "OTLP; NVUE pfc-stats/tx-pause-frames";
    SP_TX_PAUSE_DURATION = Counter, None, "nvswitch_interface_sp_tx_pause_duration", PRIORITY, "Time this port told its peer to stop; the vendor documents no unit.", "OTLP; NVUE pfc-stats/tx-pause-duration";
    SP_RX_DISCARD = Counter, None, "nvswitch_interface_sp_rx_discard", PRIORITY, "Frames of a switch priority dropped at the receiver.", "OTLP";

    PHY_EFFECTIVE_ERRORS = Counter, None, "nvswitch_interface_phy_stats_phy_effective_errors", INTERFACE, "Errors left after forward error correction.", "OTLP";
    PHY_SYMBOL_ERRORS = Counter, None, "nvswitch_interface_phy_stats_phy_symbol_errors", INTERFACE, "Bits that forward error correction did not correct.", "OTLP";
    PHY_RAW_BER = Gauge, Ratio, "nvswitch_interface_phy_stats_raw_ber", INTERFACE, "Bit error ratio before forward error correction.", "OTLP";
    PHY_EFFECTIVE_BER = Gauge, Ratio, "nvswitch_interface_phy_stats_effective_ber", INTERFACE, "Bit error ratio after forward error correction.", "OTLP";
    PHY_SYMBOL_BER = Gauge, Ratio, "nvswitch_interface_phy_stats_symbol_ber", INTERFACE, "Symbol error ratio.", "OTLP";

    BUFFER_PG_OCCUPANCY = Gauge, Bytes, "nvswitch_interface_shared_buffer_port_pg_curr_occupancy", GROUP, "Shared buffer that a priority group takes now.", "OTLP; NVUE qos/roce/counters pg-usage";
    BUFFER_PG_WATERMARK = Gauge, Bytes, "nvswitch_interface_shared_buffer_port_pg_watermark", GROUP, "The most shared buffer that a priority group took since the mark was cleared.", "OTLP; NVUE qos/roce/counters pg-max-usage";
    BUFFER_PG_RECORDED_MAX = Gauge, Bytes, "nvswitch_interface_shared_buffer_port_pg_watermark_recorded_max", GROUP, "The highest mark of a priority group that the switch recorded.", "OTLP";
    BUFFER_TC_OCCUPANCY = Gauge, Bytes, "nvswitch_interface_shared_buffer_port_tc_curr_occupancy", CLASS, "Shared buffer that a traffic class takes now.", "OTLP; NVUE qos/roce/counters tc-usage";
    BUFFER_TC_WATERMARK = Gauge, Bytes, "nvswitch_interface_shared_buffer_port_tc_watermark", CLASS, "The most shared buffer that a traffic class took since the mark was cleared.", "OTLP; NVUE qos/roce/counters tc-max-usage";
    BUFFER_TC_RECORDED_MAX = Gauge, Bytes, "nvswitch_interface_shared_buffer_port_tc_watermark_recorded_max", CLASS, "The highest mark of a traffic class that the switch recorded.", "OTLP";
    HISTOGRAM_EGRESS_BUFFER = Histogram, Bytes, "nvswitch_histogram_interface_egress_buffer", CLASS, "Samples of the egress queue's length.", "OTLP; deltas are added up by the hub";
    HISTOGRAM_INGRESS_BUFFER = Histogram, Bytes, "nvswitch_histogram_interface_ingress_buffer", GROUP, "Samples of the ingress buffer's length.", "OTLP; deltas are added up by the hub";
    HISTOGRAM_LATENCY = Histogram, Nanoseconds, "nvswitch_histogram_interface_latency", CLASS, "Packets by the time they spent in the switch.", "OTLP; deltas are added up by the hub";
    HISTOGRAM_COUNTER = Histogram, None, "nvswitch_histogram_interface_counter", ["switch", "interface", "type", "fabric", "role"], "Samples of a counter's growth.", "OTLP; deltas are added up by the hub";

    LLDP_NEIGHBOR_INFO = Gauge, Bool, "nvswitch_lldp_neighbor_info", ["switch", "interface", "neighbor", "neighbor_port", "fabric", "role"], "Always 1; the labels say who is at the other end.", "OTLP (with labels of its own); NVUE lldp/neighbor";
    AR_CONGESTION_CHANGES = Counter, None, "nvswitch_ar_congestion_changes", INTERFACE, "Times adaptive routing changed its mind about a port's congestion.", "OTLP";
    BGP_PEER_STATE = Gauge, Code, "nvrouting_bgp_peer_state", PEER, "State of the session: 1 established, 2 idle, 3 connect, 4 active, 5 open sent, 6 open confirmed.", "OTLP; NVUE router/bgp/neighbor";
    BGP_PEER_TRANSITIONS = Counter, None, "nvrouting_bgp_peer_fsm_established_transitions", ANY_PEER, "Times the session was established.", "OTLP; NVUE router/bgp/neighbor";
    BGP_PEER_PREFIXES = Gauge, None, "nvrouting_bgp_peer_rib_adj_in", ["switch", "peer_id", "vrf", "afi", "fabric", "role"], "Routes received from the neighbour.", "OTLP, before 5.13; NVUE router/bgp/neighbor";
    BGP_PEER_RECEIVED = Counter, None, "nvrouting_bgp_peer_total_msgs_recvd", ANY_PEER, "Messages received from the neighbour.", "OTLP; NVUE router/bgp/neighbor";
    BGP_PEER_SENT = Counter, None, "nvrouting_bgp_peer_total_msgs_sent", ANY_PEER, "Messages sent to the neighbour.", "OTLP; NVUE router/bgp/neighbor";
    BGP_PEER_IN_QUEUE = Gauge, None, "nvrouting_bgp_peer_socket_in_queue", ANY_PEER, "Messages that wait to be received from the neighbour.", "OTLP";

    SWITCH_UP = Gauge, Bool, "podscope_switch_up", SWITCH, "1 where the switch answered the last time it was asked, 0 where it did not.", "hub";
    SWITCH_UPTIME = Gauge, Seconds, "podscope_switch_uptime_seconds", SWITCH, "Time since the switch was started.", "NVUE system/uptime";
    SWITCH_INFO = Gauge, Bool, "podscope_switch_info", ["switch", "build", "model", "fabric", "role"], "Always 1; the labels say what runs there.", "NVUE system";
    SWITCH_PAUSE = Counter, Seconds, "podscope_switch_pfc_pause_seconds_total", ["switch", "interface", "priority", "direction", "fabric", "role"], "Time for which PFC held a priority: direction rx, this port was told to stop; tx, it told its peer.", "NVUE pfc-stats, in the unit that nvue.pause_duration_unit names";
    EVPN_SEGMENT_FORWARDER = Gauge, Bool, "podscope_switch_evpn_segment_designated_forwarder", SEGMENT, "1 where this switch is the designated forwarder of the segment.", "NVUE evpn/multihoming/esi";
    EVPN_SEGMENT_UP = Gauge, Bool, "podscope_switch_evpn_segment_up", SEGMENT, "1 where the segment is up on this switch.", "NVUE evpn/multihoming/esi";
    EVPN_SEGMENT_VTEPS = Gauge, None, "podscope_switch_evpn_segment_remote_vteps", SEGMENT, "Other switches that share the segment.", "NVUE evpn/multihoming/esi";
}
