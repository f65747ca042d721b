//! Which switch port a network device is plugged into, as its neighbour says by LLDP: from lldpd's JSON in a file, or from
//! what systemd-networkd keeps.
//!
//! lldpd's own socket speaks a private format, and a collector starts no program, so whoever runs lldpd writes the file:
//! `lldpcli -f json show neighbors > /run/podscope/lldp.json` in a timer. Both `json` and `json0` are understood; in the first a
//! list of one is no list, so everything may be an object or a list here.

use std::collections::BTreeMap;

use serde_json::Value;

/// A neighbour.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Neighbour {
    /// The switch's name, or its hardware address where it tells none.
    pub(super) leaf: String,
    pub(super) port: String,
}

/// The elements of a list, or the value itself.
fn each(value: &Value) -> impl Iterator<Item = &Value> {
    let (list, one) = match value {
        Value::Array(list) => (list.as_slice(), None),
        other => (&[][..], Some(other)),
    };
    list.iter().chain(one)
}

/// The text of `"x"`, `{"value": "x"}`, `[{"value": "x"}]`.
fn text(value: Option<&Value>) -> Option<&str> {
    each(value?).find_map(|value| match value {
        Value::String(text) => Some(text.as_str()),
        Value::Object(object) => object.get("value")?.as_str(),
        _ => None,
    })
}

/// The neighbours by device, of `lldpcli -f json show neighbors` or `-f json0`.
///
/// # Errors
///
/// When it is no JSON.
pub(super) fn parse_lldpcli(bytes: &[u8]) -> Result<BTreeMap<String, Neighbour>, serde_json::Error> {
    let document: Value = serde_json::from_slice(bytes)?;
    let mut found = BTreeMap::new();
    for lldp in document.get("lldp").into_iter().flat_map(each) {
        for entry in lldp.get("interface").into_iter().flat_map(each) {
            // `json0` names the device inside, `json` as the key.
            match text(entry.get("name")) {
                Some(name) => {
                    found.extend(neighbour(entry).map(|neighbour| (name.to_owned(), neighbour)));
                }
                None => {
                    for (name, entries) in entry.as_object().into_iter().flatten() {
                        // A port may hear several neighbours; the first is the one it is plugged into.
                        let first = each(entries).find_map(neighbour);
                        found.extend(first.map(|neighbour| (name.clone(), neighbour)));
                    }
                }
            }
        }
    }
    Ok(found)
}

fn neighbour(entry: &Value) -> Option<Neighbour> {
    let chassis = each(entry.get("chassis")?).next()?;
    let port = each(entry.get("port")?).next()?;
    let id = |of: &Value| -> Option<String> { text(of.get("id")).map(str::to_owned) };
    let leaf = match text(chassis.get("name")) {
        Some(name) => Some(name.to_owned()),
        // `{"leaf-a01": {"id": ...}}`, unless it is the chassis itself.
        None => chassis
            .as_object()
            .filter(|object| !object.contains_key("id"))
            .and_then(|object| object.keys().next().cloned())
            .or_else(|| id(chassis)),
    };
    // The port's id is its name on a switch; where it is an address, its description is.
    let by_address = each(port.get("id")?).any(|id| id.get("type").and_then(Value::as_str) == Some("mac"));
    let description = text(port.get("descr")).map(str::to_owned);
    let port = match by_address {
        true => description.or_else(|| id(port)),
        false => id(port).or(description),
    };
    Some(Neighbour {
        leaf: leaf.filter(|name| !name.is_empty())?,
        port: port.unwrap_or_default(),
    })
}

/// The neighbour in a file of systemd-networkd (`/run/systemd/netif/lldp/<ifindex>`): frames, each after its length in eight
/// bytes, little end first.
pub(super) fn parse_networkd(mut bytes: &[u8]) -> Option<Neighbour> {
    while let Some((length, rest)) = bytes.split_first_chunk::<8>() {
        let length = usize::try_from(u64::from_le_bytes(*length)).ok()?;
        let (frame, rest) = rest.split_at_checked(length)?;
        bytes = rest;
        if let Some(neighbour) = parse_frame(frame) {
            return Some(neighbour);
        }
    }
    None
}

/// An Ethernet frame with an LLDP data unit (IEEE 802.1AB).
fn parse_frame(frame: &[u8]) -> Option<Neighbour> {
    const LLDP: [u8; 2] = [0x88, 0xcc];
    let unit = match frame.get(12..14)? {
        kind if kind == LLDP => frame.get(14..)?,
        // With a VLAN tag in front.
        _ if frame.get(16..18)? == LLDP => frame.get(18..)?,
        _ => return None,
    };
    let (mut chassis, mut port, mut name, mut description) = (None, None, None, None);
    let mut rest = unit;
    while let Some((head, after)) = rest.split_first_chunk::<2>() {
        let head = u16::from_be_bytes(*head);
        let (kind, length) = (head >> 9, usize::from(head & 0x1ff));
        let (value, after) = after.split_at_checked(length)?;
        rest = after;
        match kind {
            0 => break,
            1 => chassis = identifier(value, 4),
            2 => port = identifier(value, 3),
            4 => description = plain(value),
            5 => name = plain(value),
            _ => {}
        }
    }
    Some(Neighbour {
        leaf: name.or(chassis.map(|(text, _)| text))?,
        port: match port {
            Some((text, false)) => text,
            Some((text, true)) => description.unwrap_or(text),
            None => description.unwrap_or_default(),
        },
    })
}

/// An identifier and whether it is a hardware address; `address` is the subtype that says so.
fn identifier(value: &[u8], address: u8) -> Option<(String, bool)> {
    let (subtype, value) = value.split_first()?;
    if *subtype == address {
        let parts: Vec<String> = value.iter().map(|byte| format!("{byte:02x}")).collect();
        return Some((parts.join(":"), true));
    }
    plain(value).map(|text| (text, false))
}

fn plain(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim_matches(['\0', ' ', '\n']);
    let good = !text.is_empty() && text.chars().all(|letter| !letter.is_control());
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected() -> Neighbour {
        Neighbour {
            leaf: "leaf-a01".to_owned(),
            port: "swp7".to_owned(),
        }
    }

    #[test]
    fn understands_every_shape_that_lldpcli_writes() {
        let one = r#"{"eth2": {"via": "LLDP", "rid": "1", "age": "0 day, 00:01:02",
            "chassis": {"leaf-a01": {"id": {"type": "mac", "value": "44:38:39:00:00:01"}, "descr": "Cumulus Linux"}},
            "port": {"id": {"type": "ifname", "value": "swp7"}, "descr": "swp7", "ttl": "120"}}}"#;
        let single = format!(r#"{{"lldp": {{"interface": {one}}}}}"#);
        let listed = format!(r#"{{"lldp": {{"interface": [{one}, {{"eth3": {{}}}}]}}}}"#);
        let full = r#"{"lldp": [{"interface": [{"name": "eth2", "via": "LLDP",
            "chassis": [{"id": [{"type": "mac", "value": "44:38:39:00:00:01"}], "name": [{"value": "leaf-a01"}]}],
            "port": [{"id": [{"type": "ifname", "value": "swp7"}], "descr": [{"value": "to eth2"}]}]}]}]}"#;
        for text in [single.as_str(), listed.as_str(), full] {
            let found = parse_lldpcli(text.as_bytes()).expect("JSON");
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(found.get("eth2"), Some(&expected()), "{text}");
        }
    }

    #[test]
    fn a_switch_without_a_name_goes_by_its_address_and_a_port_by_its_description() {
        let text = r#"{"lldp": {"interface": {"eth2": {
            "chassis": {"id": {"type": "mac", "value": "44:38:39:00:00:01"}},
            "port": {"id": {"type": "mac", "value": "44:38:39:00:00:07"}, "descr": "Ethernet7"}}}}}"#;
        let found = parse_lldpcli(text.as_bytes()).expect("JSON");
        let neighbour = &found["eth2"];
        assert_eq!(
            (neighbour.leaf.as_str(), neighbour.port.as_str()),
            ("44:38:39:00:00:01", "Ethernet7")
        );
    }

    #[test]
    fn nonsense_is_no_neighbour() {
        assert!(parse_lldpcli(b"<html>").is_err());
        for text in [
            "[]",
            "{}",
            r#"{"lldp": 3}"#,
            r#"{"lldp": {"interface": {"eth0": {"chassis": [], "port": 1}}}}"#,
        ] {
            assert!(parse_lldpcli(text.as_bytes()).expect("JSON").is_empty(), "{text}");
        }
    }

    fn frame() -> Vec<u8> {
        let mut frame = vec![
            0x01, 0x80, 0xc2, 0, 0, 0x0e, 0x44, 0x38, 0x39, 0, 0, 1, 0x88, 0xcc,
        ];
        let mut add = |kind: u16, value: &[u8]| {
            let length = u16::try_from(value.len()).expect("short");
            frame.extend((kind << 9 | length).to_be_bytes());
            frame.extend(value);
        };
        add(1, &[4, 0x44, 0x38, 0x39, 0, 0, 1]);
        add(2, b"\x05swp7");
        add(3, &[0, 120]);
        add(5, b"leaf-a01");
        add(0, b"");
        frame
    }

    #[test]
    fn understands_the_frames_networkd_keeps() {
        let frame = frame();
        let mut file = (frame.len() as u64).to_le_bytes().to_vec();
        file.extend(&frame);
        assert_eq!(parse_networkd(&file), Some(expected()));
        for end in 0..file.len() {
            // Whatever is cut off, nothing breaks.
            drop(parse_networkd(&file[..end]));
        }
        assert_eq!(parse_networkd(&[0xff; 64]), None);
    }
}
