//! What a trap is as an event.

use podscope_model::event::{Event, EventKind, Severity};

use super::names::Names;
use super::packet::Trap;

/// The source of these events.
pub const SOURCE: &str = "snmp";

/// The event of a trap that came from `host` at `now_ms`.
pub fn event(trap: &Trap, host: &str, names: &Names, now_ms: i64) -> Event {
    let (name, _) = names.of(&trap.oid).unwrap_or((trap.oid.as_str(), ""));
    let variable = |wanted: &str| {
        trap.variables.iter().find_map(|variable| {
            let (name, instance) = names.of(&variable.oid)?;
            (name == wanted && !variable.value.is_empty()).then_some((variable.value.as_str(), instance))
        })
    };
    let value = |wanted: &str| variable(wanted).map(|(value, _)| value);
    let interface = value("ifName").or_else(|| value("ifDescr"));
    let index = variable("ifIndex").map(|(value, _)| value);
    // The instance of a peer's variable is its address.
    let peer = value("bgpPeerRemoteAddr").or_else(|| {
        let instance = variable("bgpPeerState").or_else(|| variable("bgpPeerLastError"));
        instance.map(|(_, instance)| instance)
    });
    let entity = value("entPhysicalName").or_else(|| value("entPhysicalDescr"));
    let trigger = value("mteHotTrigger");
    let subject = [interface, peer, entity, trigger].into_iter().flatten().next();
    let subject = match (subject, index) {
        (Some(subject), _) => format!(" {subject}"),
        (None, Some(index)) => format!(" interface {index}"),
        (None, None) => String::new(),
    };
    let kind = match name {
        "linkDown" | "linkUp" => EventKind::Link,
        _ => EventKind::Trap,
    };
    let mut text = String::new();
    for variable in &trap.variables {
        let shown = match names.of(&variable.oid) {
            Some((name, "")) => name.to_owned(),
            Some((name, instance)) => format!("{name}.{instance}"),
            None => variable.oid.clone(),
        };
        text.push_str(&shown);
        text.push_str(" = ");
        text.push_str(&variable.value);
        text.push('\n');
    }
    let uptime = trap.uptime_ticks.map_or(String::new(), |ticks| ticks.to_string());
    let event = Event::new(kind, SOURCE, format!("{host}: {name}{subject}"), now_ms)
        .severity(severity(name))
        .label("what", name)
        .label("host", host)
        .label("oid", &trap.oid)
        .label("snmp_version", trap.version.as_str())
        .label("interface", interface.unwrap_or_default())
        .label("peer_id", peer.unwrap_or_default())
        .label("entity", entity.unwrap_or_default())
        // The same trap over two ways has the same uptime; the next one another.
        .key(format!("{host}:{}:{uptime}:{text}", trap.oid))
        .text(text);
    event.clamped()
}

fn severity(name: &str) -> Severity {
    match name {
        "linkDown" | "bgpBackwardTransition" | "entStateOperDisabled" => Severity::Error,
        "coldStart"
        | "warmStart"
        | "authenticationFailure"
        | "mteTriggerFired"
        | "mteTriggerRising"
        | "mteTriggerFailure"
        | "nsNotifyShutdown"
        | "topologyChange"
        | "newRoot"
        | "entConfigChange" => Severity::Warning,
        "linkUp"
        | "bgpEstablished"
        | "entStateOperEnabled"
        | "mteTriggerFalling"
        | "nsNotifyStart"
        | "nsNotifyRestart" => Severity::Info,
        _ => Severity::Warning,
    }
}

#[cfg(test)]
mod tests {
    use super::super::packet::{Variable, Version};
    use super::*;

    fn trap(oid: &str, variables: &[(&str, &str)]) -> Trap {
        Trap {
            version: Version::V2c,
            who: "public".to_owned(),
            authentic: false,
            engine_id: String::new(),
            oid: oid.to_owned(),
            uptime_ticks: Some(7),
            agent_address: None,
            variables: variables
                .iter()
                .map(|(oid, value)| Variable {
                    oid: (*oid).to_owned(),
                    value: (*value).to_owned(),
                })
                .collect(),
            inform: false,
        }
    }

    #[test]
    fn a_link_is_named_and_a_neighbour_is_found_in_the_instance() {
        let names = Names::default();
        let down = trap(
            "1.3.6.1.6.3.1.1.5.3",
            &[
                ("1.3.6.1.2.1.2.2.1.1.7", "7"),
                ("1.3.6.1.2.1.2.2.1.2.7", "swp7"),
                ("1.3.6.1.2.1.2.2.1.8.7", "2"),
            ],
        );
        let event = event(&down, "leaf-a01", &names, 1000);
        assert_eq!(
            (event.kind, event.severity, event.title.as_str()),
            (EventKind::Link, Severity::Error, "leaf-a01: linkDown swp7")
        );
        assert_eq!(event.labels.get("interface"), Some("swp7"));
        assert_eq!(
            event.text,
            "ifIndex.7 = 7\nifDescr.7 = swp7\nifOperStatus.7 = 2\n"
        );
        let lost = trap("1.3.6.1.2.1.15.7.2", &[("1.3.6.1.2.1.15.3.1.2.10.0.0.1", "1")]);
        let event = super::event(&lost, "leaf-a01", &names, 1000);
        assert_eq!(event.title, "leaf-a01: bgpBackwardTransition 10.0.0.1");
        assert_eq!(event.labels.get("peer_id"), Some("10.0.0.1"));
    }

    #[test]
    fn the_same_trap_twice_is_one_event_and_the_next_one_another() {
        let names = Names::default();
        let first = event(&trap("1.3.6.1.4.1.99999.1", &[]), "vms-1", &names, 1000);
        assert_eq!(first.title, "vms-1: 1.3.6.1.4.1.99999.1");
        let again = event(&trap("1.3.6.1.4.1.99999.1", &[]), "vms-1", &names, 1000);
        assert_eq!(first.id(), again.id());
        let mut later = trap("1.3.6.1.4.1.99999.1", &[]);
        later.uptime_ticks = Some(8);
        assert_ne!(event(&later, "vms-1", &names, 1000).id(), first.id());
    }
}
