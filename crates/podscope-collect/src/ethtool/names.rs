//! What the names of driver statistics mean: mlx5's, as the kernel documents them
//! (`Documentation/networking/device_drivers/ethernet/mellanox/mlx5/counters.rst`), and the pause counters of bnxt.

use podscope_model::catalog::{MetricDef, ethtool};

/// Statistics by name, sorted, with the metric node_exporter makes of each.
static KNOWN: &[(&str, &MetricDef)] = &[
    ("dev_out_of_buffer", &ethtool::ETHTOOL_DEV_OUT_OF_BUFFER),
    ("link_down_events_phy", &ethtool::ETHTOOL_LINK_DOWN_EVENTS_PHY),
    ("module_bad_shorted", &ethtool::ETHTOOL_MODULE_BAD_SHORTED),
    ("module_bus_stuck", &ethtool::ETHTOOL_MODULE_BUS_STUCK),
    ("module_high_temp", &ethtool::ETHTOOL_MODULE_HIGH_TEMP),
    ("module_unplug", &ethtool::ETHTOOL_MODULE_UNPLUG),
    (
        "outbound_pci_buffer_overflow",
        &ethtool::ETHTOOL_OUTBOUND_PCI_BUFFER_OVERFLOW,
    ),
    (
        "outbound_pci_stalled_rd",
        &ethtool::ETHTOOL_OUTBOUND_PCI_STALLED_RD,
    ),
    (
        "outbound_pci_stalled_rd_events",
        &ethtool::ETHTOOL_OUTBOUND_PCI_STALLED_RD_EVENTS,
    ),
    (
        "outbound_pci_stalled_wr",
        &ethtool::ETHTOOL_OUTBOUND_PCI_STALLED_WR,
    ),
    (
        "outbound_pci_stalled_wr_events",
        &ethtool::ETHTOOL_OUTBOUND_PCI_STALLED_WR_EVENTS,
    ),
    (
        "rx_buffer_passed_thres_phy",
        &ethtool::ETHTOOL_RECEIVED_BUFFER_PASSED_THRES_PHY,
    ),
    ("rx_bytes", &ethtool::ETHTOOL_RECEIVED_BYTES_TOTAL),
    ("rx_bytes_phy", &ethtool::ETHTOOL_RECEIVED_BYTES_PHY),
    (
        "rx_corrected_bits_phy",
        &ethtool::ETHTOOL_RECEIVED_CORRECTED_BITS_PHY,
    ),
    ("rx_crc_errors_phy", &ethtool::ETHTOOL_RECEIVED_CRC_ERRORS_PHY),
    ("rx_discards_phy", &ethtool::ETHTOOL_RECEIVED_DISCARDS_PHY),
    ("rx_dropped", &ethtool::ETHTOOL_RECEIVED_DROPPED_TOTAL),
    ("rx_err_lane_0_phy", &ethtool::ETHTOOL_RECEIVED_ERR_LANE_0_PHY),
    ("rx_err_lane_1_phy", &ethtool::ETHTOOL_RECEIVED_ERR_LANE_1_PHY),
    ("rx_err_lane_2_phy", &ethtool::ETHTOOL_RECEIVED_ERR_LANE_2_PHY),
    ("rx_err_lane_3_phy", &ethtool::ETHTOOL_RECEIVED_ERR_LANE_3_PHY),
    ("rx_err_lane_4_phy", &ethtool::ETHTOOL_RECEIVED_ERR_LANE_4_PHY),
    ("rx_err_lane_5_phy", &ethtool::ETHTOOL_RECEIVED_ERR_LANE_5_PHY),
    ("rx_err_lane_6_phy", &ethtool::ETHTOOL_RECEIVED_ERR_LANE_6_PHY),
    ("rx_err_lane_7_phy", &ethtool::ETHTOOL_RECEIVED_ERR_LANE_7_PHY),
    ("rx_errors", &ethtool::ETHTOOL_RECEIVED_ERRORS_TOTAL),
    ("rx_errors_phy", &ethtool::ETHTOOL_RECEIVED_ERRORS_PHY),
    ("rx_global_pause", &ethtool::ETHTOOL_RECEIVED_GLOBAL_PAUSE),
    (
        "rx_global_pause_duration",
        &ethtool::ETHTOOL_RECEIVED_GLOBAL_PAUSE_DURATION,
    ),
    (
        "rx_global_pause_transition",
        &ethtool::ETHTOOL_RECEIVED_GLOBAL_PAUSE_TRANSITION,
    ),
    ("rx_out_of_buffer", &ethtool::ETHTOOL_RECEIVED_OUT_OF_BUFFER),
    ("rx_packets", &ethtool::ETHTOOL_RECEIVED_PACKETS_TOTAL),
    ("rx_packets_phy", &ethtool::ETHTOOL_RECEIVED_PACKETS_PHY),
    (
        "rx_pci_signal_integrity",
        &ethtool::ETHTOOL_RECEIVED_PCI_SIGNAL_INTEGRITY,
    ),
    (
        "rx_pcs_symbol_err_phy",
        &ethtool::ETHTOOL_RECEIVED_PCS_SYMBOL_ERR_PHY,
    ),
    (
        "rx_prio0_buf_discard",
        &ethtool::ETHTOOL_RECEIVED_PRIO0_BUF_DISCARD,
    ),
    ("rx_prio0_bytes", &ethtool::ETHTOOL_RECEIVED_PRIO0_BYTES),
    (
        "rx_prio0_cong_discard",
        &ethtool::ETHTOOL_RECEIVED_PRIO0_CONG_DISCARD,
    ),
    ("rx_prio0_discards", &ethtool::ETHTOOL_RECEIVED_PRIO0_DISCARDS),
    ("rx_prio0_marked", &ethtool::ETHTOOL_RECEIVED_PRIO0_MARKED),
    ("rx_prio0_packets", &ethtool::ETHTOOL_RECEIVED_PRIO0_PACKETS),
    ("rx_prio0_pause", &ethtool::ETHTOOL_RECEIVED_PRIO0_PAUSE),
    (
        "rx_prio0_pause_duration",
        &ethtool::ETHTOOL_RECEIVED_PRIO0_PAUSE_DURATION,
    ),
    (
        "rx_prio0_pause_transition",
        &ethtool::ETHTOOL_RECEIVED_PRIO0_PAUSE_TRANSITION,
    ),
    (
        "rx_prio1_buf_discard",
        &ethtool::ETHTOOL_RECEIVED_PRIO1_BUF_DISCARD,
    ),
    ("rx_prio1_bytes", &ethtool::ETHTOOL_RECEIVED_PRIO1_BYTES),
    (
        "rx_prio1_cong_discard",
        &ethtool::ETHTOOL_RECEIVED_PRIO1_CONG_DISCARD,
    ),
    ("rx_prio1_discards", &ethtool::ETHTOOL_RECEIVED_PRIO1_DISCARDS),
    ("rx_prio1_marked", &ethtool::ETHTOOL_RECEIVED_PRIO1_MARKED),
    ("rx_prio1_packets", &ethtool::ETHTOOL_RECEIVED_PRIO1_PACKETS),
    ("rx_prio1_pause", &ethtool::ETHTOOL_RECEIVED_PRIO1_PAUSE),
    (
        "rx_prio1_pause_duration",
        &ethtool::ETHTOOL_RECEIVED_PRIO1_PAUSE_DURATION,
    ),
    (
        "rx_prio1_pause_transition",
        &ethtool::ETHTOOL_RECEIVED_PRIO1_PAUSE_TRANSITION,
    ),
    (
        "rx_prio2_buf_discard",
        &ethtool::ETHTOOL_RECEIVED_PRIO2_BUF_DISCARD,
    ),
    ("rx_prio2_bytes", &ethtool::ETHTOOL_RECEIVED_PRIO2_BYTES),
    (
        "rx_prio2_cong_discard",
        &ethtool::ETHTOOL_RECEIVED_PRIO2_CONG_DISCARD,
    ),
    ("rx_prio2_discards", &ethtool::ETHTOOL_RECEIVED_PRIO2_DISCARDS),
    ("rx_prio2_marked", &ethtool::ETHTOOL_RECEIVED_PRIO2_MARKED),
    ("rx_prio2_packets", &ethtool::ETHTOOL_RECEIVED_PRIO2_PACKETS),
    ("rx_prio2_pause", &ethtool::ETHTOOL_RECEIVED_PRIO2_PAUSE),
    (
        "rx_prio2_pause_duration",
        &ethtool::ETHTOOL_RECEIVED_PRIO2_PAUSE_DURATION,
    ),
    (
        "rx_prio2_pause_transition",
        &ethtool::ETHTOOL_RECEIVED_PRIO2_PAUSE_TRANSITION,
    ),
    (
        "rx_prio3_buf_discard",
        &ethtool::ETHTOOL_RECEIVED_PRIO3_BUF_DISCARD,
    ),
    ("rx_prio3_bytes", &ethtool::ETHTOOL_RECEIVED_PRIO3_BYTES),
    (
        "rx_prio3_cong_discard",
        &ethtool::ETHTOOL_RECEIVED_PRIO3_CONG_DISCARD,
    ),
    ("rx_prio3_discards", &ethtool::ETHTOOL_RECEIVED_PRIO3_DISCARDS),
    ("rx_prio3_marked", &ethtool::ETHTOOL_RECEIVED_PRIO3_MARKED),
    ("rx_prio3_packets", &ethtool::ETHTOOL_RECEIVED_PRIO3_PACKETS),
    ("rx_prio3_pause", &ethtool::ETHTOOL_RECEIVED_PRIO3_PAUSE),
    (
        "rx_prio3_pause_duration",
        &ethtool::ETHTOOL_RECEIVED_PRIO3_PAUSE_DURATION,
    ),
    (
        "rx_prio3_pause_transition",
        &ethtool::ETHTOOL_RECEIVED_PRIO3_PAUSE_TRANSITION,
    ),
    (
        "rx_prio4_buf_discard",
        &ethtool::ETHTOOL_RECEIVED_PRIO4_BUF_DISCARD,
    ),
    ("rx_prio4_bytes", &ethtool::ETHTOOL_RECEIVED_PRIO4_BYTES),
    (
        "rx_prio4_cong_discard",
        &ethtool::ETHTOOL_RECEIVED_PRIO4_CONG_DISCARD,
    ),
    ("rx_prio4_discards", &ethtool::ETHTOOL_RECEIVED_PRIO4_DISCARDS),
    ("rx_prio4_marked", &ethtool::ETHTOOL_RECEIVED_PRIO4_MARKED),
    ("rx_prio4_packets", &ethtool::ETHTOOL_RECEIVED_PRIO4_PACKETS),
    ("rx_prio4_pause", &ethtool::ETHTOOL_RECEIVED_PRIO4_PAUSE),
    (
        "rx_prio4_pause_duration",
        &ethtool::ETHTOOL_RECEIVED_PRIO4_PAUSE_DURATION,
    ),
    (
        "rx_prio4_pause_transition",
        &ethtool::ETHTOOL_RECEIVED_PRIO4_PAUSE_TRANSITION,
    ),
    (
        "rx_prio5_buf_discard",
        &ethtool::ETHTOOL_RECEIVED_PRIO5_BUF_DISCARD,
    ),
    ("rx_prio5_bytes", &ethtool::ETHTOOL_RECEIVED_PRIO5_BYTES),
    (
        "rx_prio5_cong_discard",
        &ethtool::ETHTOOL_RECEIVED_PRIO5_CONG_DISCARD,
    ),
    ("rx_prio5_discards", &ethtool::ETHTOOL_RECEIVED_PRIO5_DISCARDS),
    ("rx_prio5_marked", &ethtool::ETHTOOL_RECEIVED_PRIO5_MARKED),
    ("rx_prio5_packets", &ethtool::ETHTOOL_RECEIVED_PRIO5_PACKETS),
    ("rx_prio5_pause", &ethtool::ETHTOOL_RECEIVED_PRIO5_PAUSE),
    (
        "rx_prio5_pause_duration",
        &ethtool::ETHTOOL_RECEIVED_PRIO5_PAUSE_DURATION,
    ),
    (
        "rx_prio5_pause_transition",
        &ethtool::ETHTOOL_RECEIVED_PRIO5_PAUSE_TRANSITION,
    ),
    (
        "rx_prio6_buf_discard",
        &ethtool::ETHTOOL_RECEIVED_PRIO6_BUF_DISCARD,
    ),
    ("rx_prio6_bytes", &ethtool::ETHTOOL_RECEIVED_PRIO6_BYTES),
    (
        "rx_prio6_cong_discard",
        &ethtool::ETHTOOL_RECEIVED_PRIO6_CONG_DISCARD,
    ),
    ("rx_prio6_discards", &ethtool::ETHTOOL_RECEIVED_PRIO6_DISCARDS),
    ("rx_prio6_marked", &ethtool::ETHTOOL_RECEIVED_PRIO6_MARKED),
    ("rx_prio6_packets", &ethtool::ETHTOOL_RECEIVED_PRIO6_PACKETS),
    ("rx_prio6_pause", &ethtool::ETHTOOL_RECEIVED_PRIO6_PAUSE),
    (
        "rx_prio6_pause_duration",
        &ethtool::ETHTOOL_RECEIVED_PRIO6_PAUSE_DURATION,
    ),
    (
        "rx_prio6_pause_transition",
        &ethtool::ETHTOOL_RECEIVED_PRIO6_PAUSE_TRANSITION,
    ),
    (
        "rx_prio7_buf_discard",
        &ethtool::ETHTOOL_RECEIVED_PRIO7_BUF_DISCARD,
    ),
    ("rx_prio7_bytes", &ethtool::ETHTOOL_RECEIVED_PRIO7_BYTES),
    (
        "rx_prio7_cong_discard",
        &ethtool::ETHTOOL_RECEIVED_PRIO7_CONG_DISCARD,
    ),
    ("rx_prio7_discards", &ethtool::ETHTOOL_RECEIVED_PRIO7_DISCARDS),
    ("rx_prio7_marked", &ethtool::ETHTOOL_RECEIVED_PRIO7_MARKED),
    ("rx_prio7_packets", &ethtool::ETHTOOL_RECEIVED_PRIO7_PACKETS),
    ("rx_prio7_pause", &ethtool::ETHTOOL_RECEIVED_PRIO7_PAUSE),
    (
        "rx_prio7_pause_duration",
        &ethtool::ETHTOOL_RECEIVED_PRIO7_PAUSE_DURATION,
    ),
    (
        "rx_prio7_pause_transition",
        &ethtool::ETHTOOL_RECEIVED_PRIO7_PAUSE_TRANSITION,
    ),
    ("rx_symbol_err_phy", &ethtool::ETHTOOL_RECEIVED_SYMBOL_ERR_PHY),
    ("tx_bytes", &ethtool::ETHTOOL_TRANSMITTED_BYTES_TOTAL),
    ("tx_bytes_phy", &ethtool::ETHTOOL_TRANSMITTED_BYTES_PHY),
    ("tx_discards_phy", &ethtool::ETHTOOL_TRANSMITTED_DISCARDS_PHY),
    ("tx_errors", &ethtool::ETHTOOL_TRANSMITTED_ERRORS_TOTAL),
    ("tx_errors_phy", &ethtool::ETHTOOL_TRANSMITTED_ERRORS_PHY),
    ("tx_global_pause", &ethtool::ETHTOOL_TRANSMITTED_GLOBAL_PAUSE),
    (
        "tx_global_pause_duration",
        &ethtool::ETHTOOL_TRANSMITTED_GLOBAL_PAUSE_DURATION,
    ),
    ("tx_packets", &ethtool::ETHTOOL_TRANSMITTED_PACKETS_TOTAL),
    ("tx_packets_phy", &ethtool::ETHTOOL_TRANSMITTED_PACKETS_PHY),
    (
        "tx_pause_storm_error_events",
        &ethtool::ETHTOOL_TRANSMITTED_PAUSE_STORM_ERROR_EVENTS,
    ),
    (
        "tx_pause_storm_warning_events",
        &ethtool::ETHTOOL_TRANSMITTED_PAUSE_STORM_WARNING_EVENTS,
    ),
    (
        "tx_pci_signal_integrity",
        &ethtool::ETHTOOL_TRANSMITTED_PCI_SIGNAL_INTEGRITY,
    ),
    ("tx_prio0_bytes", &ethtool::ETHTOOL_TRANSMITTED_PRIO0_BYTES),
    ("tx_prio0_packets", &ethtool::ETHTOOL_TRANSMITTED_PRIO0_PACKETS),
    ("tx_prio0_pause", &ethtool::ETHTOOL_TRANSMITTED_PRIO0_PAUSE),
    (
        "tx_prio0_pause_duration",
        &ethtool::ETHTOOL_TRANSMITTED_PRIO0_PAUSE_DURATION,
    ),
    ("tx_prio1_bytes", &ethtool::ETHTOOL_TRANSMITTED_PRIO1_BYTES),
    ("tx_prio1_packets", &ethtool::ETHTOOL_TRANSMITTED_PRIO1_PACKETS),
    ("tx_prio1_pause", &ethtool::ETHTOOL_TRANSMITTED_PRIO1_PAUSE),
    (
        "tx_prio1_pause_duration",
        &ethtool::ETHTOOL_TRANSMITTED_PRIO1_PAUSE_DURATION,
    ),
    ("tx_prio2_bytes", &ethtool::ETHTOOL_TRANSMITTED_PRIO2_BYTES),
    ("tx_prio2_packets", &ethtool::ETHTOOL_TRANSMITTED_PRIO2_PACKETS),
    ("tx_prio2_pause", &ethtool::ETHTOOL_TRANSMITTED_PRIO2_PAUSE),
    (
        "tx_prio2_pause_duration",
        &ethtool::ETHTOOL_TRANSMITTED_PRIO2_PAUSE_DURATION,
    ),
    ("tx_prio3_bytes", &ethtool::ETHTOOL_TRANSMITTED_PRIO3_BYTES),
    ("tx_prio3_packets", &ethtool::ETHTOOL_TRANSMITTED_PRIO3_PACKETS),
    ("tx_prio3_pause", &ethtool::ETHTOOL_TRANSMITTED_PRIO3_PAUSE),
    (
        "tx_prio3_pause_duration",
        &ethtool::ETHTOOL_TRANSMITTED_PRIO3_PAUSE_DURATION,
    ),
    ("tx_prio4_bytes", &ethtool::ETHTOOL_TRANSMITTED_PRIO4_BYTES),
    ("tx_prio4_packets", &ethtool::ETHTOOL_TRANSMITTED_PRIO4_PACKETS),
    ("tx_prio4_pause", &ethtool::ETHTOOL_TRANSMITTED_PRIO4_PAUSE),
    (
        "tx_prio4_pause_duration",
        &ethtool::ETHTOOL_TRANSMITTED_PRIO4_PAUSE_DURATION,
    ),
    ("tx_prio5_bytes", &ethtool::ETHTOOL_TRANSMITTED_PRIO5_BYTES),
    ("tx_prio5_packets", &ethtool::ETHTOOL_TRANSMITTED_PRIO5_PACKETS),
    ("tx_prio5_pause", &ethtool::ETHTOOL_TRANSMITTED_PRIO5_PAUSE),
    (
        "tx_prio5_pause_duration",
        &ethtool::ETHTOOL_TRANSMITTED_PRIO5_PAUSE_DURATION,
    ),
    ("tx_prio6_bytes", &ethtool::ETHTOOL_TRANSMITTED_PRIO6_BYTES),
    ("tx_prio6_packets", &ethtool::ETHTOOL_TRANSMITTED_PRIO6_PACKETS),
    ("tx_prio6_pause", &ethtool::ETHTOOL_TRANSMITTED_PRIO6_PAUSE),
    (
        "tx_prio6_pause_duration",
        &ethtool::ETHTOOL_TRANSMITTED_PRIO6_PAUSE_DURATION,
    ),
    ("tx_prio7_bytes", &ethtool::ETHTOOL_TRANSMITTED_PRIO7_BYTES),
    ("tx_prio7_packets", &ethtool::ETHTOOL_TRANSMITTED_PRIO7_PACKETS),
    ("tx_prio7_pause", &ethtool::ETHTOOL_TRANSMITTED_PRIO7_PAUSE),
    (
        "tx_prio7_pause_duration",
        &ethtool::ETHTOOL_TRANSMITTED_PRIO7_PAUSE_DURATION,
    ),
];

/// The metric of a statistic.
pub(super) fn metric(statistic: &str) -> Option<&'static MetricDef> {
    let at = KNOWN.binary_search_by_key(&statistic, |(name, _)| name).ok()?;
    Some(KNOWN[at].1)
}

/// As node_exporter makes a metric's name of a statistic's.
pub(super) fn node_exporter_name(statistic: &str) -> String {
    let clean: String = statistic
        .chars()
        .map(|letter| match letter.is_ascii_alphanumeric() {
            true => letter.to_ascii_lowercase(),
            false => '_',
        })
        .collect();
    let words = clean.trim_start_matches('_').split('_').map(|word| match word {
        "rx" => "received",
        "tx" => "transmitted",
        word => word,
    });
    let words: Vec<&str> = words.collect();
    format!("node_ethtool_{}", words.join("_"))
}

/// Which way traffic, or a request to pause, goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// Towards the node.
    Rx,
    /// Away from it.
    Tx,
}

impl Direction {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Rx => "rx",
            Self::Tx => "tx",
        }
    }
}

/// What a pause counter counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    Frames,
    Microseconds,
}

/// Priorities by their text: a label needs one.
pub(super) const PRIORITIES: [&str; 8] = ["0", "1", "2", "3", "4", "5", "6", "7"];

/// Priority, direction and unit of a pause counter of one priority.
pub(super) fn pause(statistic: &str) -> Option<(&'static str, Direction, Pause)> {
    let (direction, rest) = match statistic.split_at_checked(3)? {
        ("rx_", rest) => (Direction::Rx, rest),
        ("tx_", rest) => (Direction::Tx, rest),
        _ => return bnxt_duration(statistic),
    };
    if let Some(priority) = rest.strip_prefix("pfc_ena_frames_pri") {
        return Some((known_priority(priority)?, direction, Pause::Frames));
    }
    let (priority, what) = rest.strip_prefix("prio")?.split_once('_')?;
    let unit = match what {
        "pause" => Pause::Frames,
        "pause_duration" => Pause::Microseconds,
        _ => return None,
    };
    Some((known_priority(priority)?, direction, unit))
}

/// `pfc_pri3_rx_duration_us`.
fn bnxt_duration(statistic: &str) -> Option<(&'static str, Direction, Pause)> {
    let (priority, what) = statistic.strip_prefix("pfc_pri")?.split_once('_')?;
    let direction = match what {
        "rx_duration_us" => Direction::Rx,
        "tx_duration_us" => Direction::Tx,
        _ => return None,
    };
    Some((known_priority(priority)?, direction, Pause::Microseconds))
}

fn known_priority(text: &str) -> Option<&'static str> {
    PRIORITIES.into_iter().find(|priority| *priority == text)
}

/// Octets of the physical port.
pub(super) fn physical_bytes(statistic: &str) -> Option<Direction> {
    match statistic {
        "rx_bytes_phy" => Some(Direction::Rx),
        "tx_bytes_phy" => Some(Direction::Tx),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_node_exporters_names() {
        assert!(KNOWN.is_sorted_by_key(|(name, _)| name), "looked up by halving");
        let renamed = [
            "rx_bytes",
            "rx_packets",
            "rx_dropped",
            "rx_errors",
            "tx_bytes",
            "tx_packets",
            "tx_errors",
        ];
        let mut compared = 0;
        for (name, def) in KNOWN {
            if renamed.contains(name) {
                assert_eq!(def.name, format!("{}_total", node_exporter_name(name)));
            } else {
                assert_eq!(def.name, node_exporter_name(name));
            }
            compared += 1;
        }
        assert!(compared > 100);
        assert_eq!(
            node_exporter_name("Rx-Frames.1"),
            "node_ethtool_received_frames_1"
        );
        assert_eq!(
            metric("rx_prio3_pause").map(|def| def.name),
            Some("node_ethtool_received_prio3_pause")
        );
        assert_eq!(metric("rx0_packets"), None);
    }

    #[test]
    fn pause_counters_know_priority_and_direction() {
        let cases = [
            ("rx_prio3_pause", Some(("3", Direction::Rx, Pause::Frames))),
            (
                "tx_prio0_pause_duration",
                Some(("0", Direction::Tx, Pause::Microseconds)),
            ),
            (
                "rx_pfc_ena_frames_pri5",
                Some(("5", Direction::Rx, Pause::Frames)),
            ),
            (
                "pfc_pri5_tx_duration_us",
                Some(("5", Direction::Tx, Pause::Microseconds)),
            ),
            ("rx_prio3_pause_transition", None),
            ("rx_prio8_pause", None),
            ("rx_prio3_bytes", None),
            ("rx", None),
        ];
        for (name, expected) in cases {
            assert_eq!(pause(name), expected, "{name}");
        }
    }
}
