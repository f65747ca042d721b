//! A simulated switch as the reader sees it: for a history that is filled back without asking a server.

use podscope_collect::switch::{
    BgpNeighbor, ClassReading, GroupReading, InterfaceReading, PauseReading, Segment, SwitchLabels,
    SwitchReading,
};

use super::world::{InterfaceState, SwitchState};

impl SwitchState {
    /// What a round of questions to this switch would tell.
    pub fn reading(&self) -> SwitchReading {
        SwitchReading {
            build: Some(self.build.clone()),
            model: Some(self.model.clone()),
            host_name: Some(self.name.clone()),
            uptime_seconds: Some(self.uptime_seconds as f64),
            applied_revision: Some(self.applied_revision.to_string()),
            interfaces: self
                .interfaces
                .iter()
                .map(|interface| (interface.name.clone(), interface.reading()))
                .collect(),
            neighbors: Some(
                self.neighbors
                    .iter()
                    .map(|neighbor| {
                        let reading = BgpNeighbor {
                            state: neighbor.state.clone(),
                            peer_as: Some(f64::from(neighbor.peer_as)),
                            transitions: Some(neighbor.transitions as f64),
                            messages_received: Some(neighbor.messages_received as f64),
                            messages_sent: Some(neighbor.messages_sent as f64),
                            prefixes: neighbor
                                .prefixes
                                .iter()
                                .map(|(family, routes)| (family.clone(), *routes as f64))
                                .collect(),
                        };
                        (neighbor.id.clone(), reading)
                    })
                    .collect(),
            ),
            segments: Some(
                self.segments
                    .iter()
                    .map(|segment| {
                        let reading = Segment {
                            interface: segment.interface.clone(),
                            designated_forwarder: Some(segment.designated_forwarder),
                            up: Some(segment.up),
                            remote_vteps: segment.remote_vteps.len() as u64,
                        };
                        (segment.esi.clone(), reading)
                    })
                    .collect(),
            ),
        }
    }

    /// The labels of its series.
    pub fn labels(&self) -> SwitchLabels {
        SwitchLabels {
            switch: self.name.clone(),
            fabric: self.fabric.clone(),
            role: self.role.clone(),
            more: Vec::new(),
        }
    }
}

impl InterfaceState {
    fn reading(&self) -> InterfaceReading {
        let count = |number: u64| Some(number as f64);
        let traffic = &self.traffic;
        InterfaceReading {
            up: Some(self.up),
            speed_bits_per_second: count(self.speed_bits_per_second),
            mtu_bytes: Some(9216.0),
            carrier_transitions: count(self.carrier_transitions),
            carrier_down: None,
            in_octets: count(traffic.in_bytes),
            out_octets: count(traffic.out_bytes),
            in_drops: count(traffic.in_drops),
            out_drops: count(traffic.out_drops),
            in_errors: count(traffic.in_errors),
            out_errors: count(traffic.out_errors),
            ecn_marked: count(self.classes.values().map(|class| class.ecn_marked).sum()),
            neighbor: self
                .neighbor
                .as_ref()
                .map(|neighbor| (neighbor.system.clone(), neighbor.port.clone())),
            classes: self
                .classes
                .iter()
                .map(|(number, class)| {
                    // NVUE tells of one class's buffer only.
                    let roce = *number == 3;
                    let reading = ClassReading {
                        tx_frames: count(class.tx_frames),
                        tx_octets: count(class.tx_bytes),
                        ecn_marked: count(class.ecn_marked),
                        wred_discards: count(class.wred_discards),
                        buffer_discards: count(class.buffer_discards),
                        occupancy_bytes: count(class.occupancy_bytes).filter(|_| roce),
                        watermark_bytes: count(class.watermark_bytes).filter(|_| roce),
                    };
                    (*number, reading)
                })
                .collect(),
            groups: self
                .groups
                .iter()
                .map(|(number, group)| {
                    let roce = *number == 3;
                    let reading = GroupReading {
                        rx_frames: count(group.rx_frames),
                        rx_octets: count(group.rx_bytes),
                        buffer_discards: count(group.buffer_discards),
                        shared_discards: count(group.shared_discards),
                        occupancy_bytes: count(group.occupancy_bytes).filter(|_| roce),
                        watermark_bytes: count(group.watermark_bytes).filter(|_| roce),
                    };
                    (*number, reading)
                })
                .collect(),
            pauses: self
                .pauses
                .iter()
                .map(|(number, pause)| {
                    let reading = PauseReading {
                        rx_frames: count(pause.rx_frames),
                        rx_duration: count(pause.rx_microseconds),
                        tx_frames: count(pause.tx_frames),
                        tx_duration: count(pause.tx_microseconds),
                    };
                    (*number, reading)
                })
                .collect(),
        }
    }
}
