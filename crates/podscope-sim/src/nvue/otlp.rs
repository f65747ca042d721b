//! What a simulated switch pushes by OTLP: Spectrum's names, counters as gauges, times of its own.

use podscope_agent::otlp::message::{
    AnyValue, ExportRequest, Gauge, KeyValue, Metric, NumberPoint, Resource, ResourceMetrics, ScopeMetrics,
};
use podscope_model::catalog::{MetricDef, switch as catalog};

use super::world::SwitchState;

/// The push of a switch at a time. Encode it with `prost::Message::encode_to_vec` for OTLP/HTTP.
pub fn push(state: &SwitchState, t_ms: i64) -> ExportRequest {
    let mut push = Push {
        metrics: Vec::new(),
        nanoseconds: u64::try_from(t_ms).unwrap_or(0) * 1_000_000,
    };
    for interface in &state.interfaces {
        let port = [("interface", interface.name.as_str())];
        let traffic = &interface.traffic;
        let state = if interface.up { 1.0 } else { 2.0 };
        for (def, value) in [
            (&catalog::INTERFACE_OPER_STATE, state),
            (&catalog::INTERFACE_SPEED, interface.speed_bits_per_second as f64),
            (
                &catalog::INTERFACE_CARRIER_CHANGES,
                interface.carrier_transitions as f64,
            ),
            (&catalog::INTERFACE_IN_OCTETS, traffic.in_bytes as f64),
            (&catalog::INTERFACE_OUT_OCTETS, traffic.out_bytes as f64),
            (&catalog::INTERFACE_IN_DISCARDS, traffic.in_drops as f64),
            (&catalog::INTERFACE_OUT_DISCARDS, traffic.out_drops as f64),
            (&catalog::INTERFACE_IN_ERRORS, traffic.in_errors as f64),
            (&catalog::INTERFACE_OUT_ERRORS, traffic.out_errors as f64),
        ] {
            push.point(def, &port, value);
        }
        for (number, class) in &interface.classes {
            let number = number.to_string();
            let labels = [port[0], ("tc", number.as_str())];
            for (def, value) in [
                (&catalog::TC_FRAMES, class.tx_frames),
                (&catalog::TC_OCTETS, class.tx_bytes),
                (&catalog::TC_ECN_MARKED, class.ecn_marked),
                (&catalog::TC_WRED_DISCARD, class.wred_discards),
                (&catalog::TC_NO_BUFFER_DISCARD, class.buffer_discards),
                (&catalog::BUFFER_TC_OCCUPANCY, class.occupancy_bytes),
                (&catalog::BUFFER_TC_WATERMARK, class.watermark_bytes),
            ] {
                push.point(def, &labels, value as f64);
            }
        }
        for (number, group) in &interface.groups {
            let number = number.to_string();
            let labels = [port[0], ("pg", number.as_str())];
            for (def, value) in [
                (&catalog::PG_FRAMES, group.rx_frames),
                (&catalog::PG_OCTETS, group.rx_bytes),
                (&catalog::PG_BUFFER_DISCARD, group.buffer_discards),
                (&catalog::PG_SHARED_BUFFER_DISCARD, group.shared_discards),
                (&catalog::BUFFER_PG_OCCUPANCY, group.occupancy_bytes),
                (&catalog::BUFFER_PG_WATERMARK, group.watermark_bytes),
            ] {
                push.point(def, &labels, value as f64);
            }
        }
        for (number, pause) in &interface.pauses {
            let number = number.to_string();
            let labels = [port[0], ("sp", number.as_str())];
            for (def, value) in [
                (&catalog::SP_RX_PAUSE, pause.rx_frames),
                (&catalog::SP_RX_PAUSE_DURATION, pause.rx_microseconds),
                (&catalog::SP_TX_PAUSE, pause.tx_frames),
                (&catalog::SP_TX_PAUSE_DURATION, pause.tx_microseconds),
            ] {
                push.point(def, &labels, value as f64);
            }
        }
    }
    let name = attribute("net.host.name", &state.name);
    ExportRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource {
                attributes: vec![name],
            }),
            scope_metrics: vec![ScopeMetrics {
                metrics: push.metrics,
            }],
        }],
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            string_value: Some(value.to_owned()),
            ..AnyValue::default()
        }),
    }
}

struct Push {
    metrics: Vec<Metric>,
    nanoseconds: u64,
}

impl Push {
    fn point(&mut self, def: &MetricDef, labels: &[(&str, &str)], value: f64) {
        let point = NumberPoint {
            attributes: labels.iter().map(|(key, value)| attribute(key, value)).collect(),
            time_unix_nano: self.nanoseconds,
            as_double: Some(value),
            ..NumberPoint::default()
        };
        let known = self.metrics.iter_mut().find(|metric| metric.name == def.name);
        match known.and_then(|metric| metric.gauge.as_mut()) {
            Some(gauge) => gauge.data_points.push(point),
            None => self.metrics.push(Metric {
                name: def.name.to_owned(),
                description: def.help.to_owned(),
                gauge: Some(Gauge {
                    data_points: vec![point],
                }),
                ..Metric::default()
            }),
        }
    }
}
