//! SNMP v2c traps as switches and storage send them (RFC 3416): just enough BER to write one.

use super::world::{Report, Said, TrapValue};

const SYS_UP_TIME: &str = "1.3.6.1.2.1.1.3.0";
const SNMP_TRAP_OID: &str = "1.3.6.1.6.3.1.1.4.1.0";

/// The datagram of a report, of a sender that has been up for so many hundredths of a second; `None` for what is no trap.
pub fn v2c(report: &Report, community: &str, uptime_ticks: u32) -> Option<Vec<u8>> {
    let Said::Trap(trap) = &report.what else {
        return None;
    };
    let mut variables = vec![
        variable(SYS_UP_TIME, &TrapValue::Ticks(uptime_ticks))?,
        variable(SNMP_TRAP_OID, &TrapValue::Oid(trap.oid.clone()))?,
    ];
    for (oid, value) in &trap.variables {
        variables.push(variable(oid, value)?);
    }
    let id = i32::try_from(report.t_ms.rem_euclid(i64::from(i32::MAX))).unwrap_or(1);
    let pdu = [
        integer(0x02, id.to_be_bytes()),
        element(0x02, &[0]),
        element(0x02, &[0]),
        element(0x30, &variables.concat()),
    ];
    let message = [
        element(0x02, &[1]),
        element(0x04, community.as_bytes()),
        element(0xa7, &pdu.concat()),
    ];
    Some(element(0x30, &message.concat()))
}

fn variable(oid: &str, value: &TrapValue) -> Option<Vec<u8>> {
    let value = match value {
        TrapValue::Integer(number) => integer(0x02, number.to_be_bytes()),
        TrapValue::Text(text) => element(0x04, text.as_bytes()),
        TrapValue::Oid(oid) => element(0x06, &identifier(oid)?),
        TrapValue::Counter(number) => unsigned(0x41, *number),
        TrapValue::Gauge(number) => unsigned(0x42, *number),
        TrapValue::Ticks(number) => unsigned(0x43, *number),
    };
    Some(element(0x30, &[element(0x06, &identifier(oid)?), value].concat()))
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match u8::try_from(content.len()) {
        Ok(length) if length < 0x80 => out.push(length),
        _ => {
            let length = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
            out.push(0x84);
            out.extend(length);
        }
    }
    out.extend_from_slice(content);
    out
}

/// In as few bytes as hold the number with its sign.
fn integer(tag: u8, bytes: [u8; 4]) -> Vec<u8> {
    let mut rest = &bytes[..];
    while let [first, second, ..] = rest {
        let needless = (*first == 0 && *second < 0x80) || (*first == 0xff && *second >= 0x80);
        if !needless {
            break;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    element(tag, rest)
}

fn unsigned(tag: u8, number: u32) -> Vec<u8> {
    let bytes = u64::from(number).to_be_bytes();
    let mut rest = &bytes[..];
    while let [0, second, ..] = rest {
        if *second >= 0x80 {
            break;
        }
        rest = rest.get(1..).unwrap_or_default();
    }
    element(tag, rest)
}

fn identifier(dotted: &str) -> Option<Vec<u8>> {
    let parts: Vec<u32> = dotted
        .trim_start_matches('.')
        .split('.')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let [first, second, rest @ ..] = parts.as_slice() else {
        return None;
    };
    let mut out = vec![u8::try_from(first * 40 + second).ok()?];
    for part in rest {
        let mut digits = vec![(part & 0x7f) as u8];
        let mut left = part >> 7;
        while left > 0 {
            digits.push((left & 0x7f) as u8 | 0x80);
            left >>= 7;
        }
        digits.reverse();
        out.append(&mut digits);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use podscope_collect::snmp::Reader;
    use podscope_collect::snmp::usm::Users;

    use super::super::world::TrapReport;
    use super::*;

    #[test]
    fn a_trap_that_is_written_is_read_as_it_was() {
        let report = Report {
            t_ms: 1_795_249_560_000,
            host: "leaf-a01".to_owned(),
            what: Said::Trap(TrapReport {
                oid: "1.3.6.1.6.3.1.1.5.3".to_owned(),
                variables: vec![
                    ("1.3.6.1.2.1.2.2.1.1.700".to_owned(), TrapValue::Integer(700)),
                    (
                        "1.3.6.1.2.1.2.2.1.2.700".to_owned(),
                        TrapValue::Text("swp7".repeat(60)),
                    ),
                    ("1.3.6.1.4.1.40310.1.1".to_owned(), TrapValue::Integer(-129)),
                    ("1.3.6.1.4.1.40310.1.2".to_owned(), TrapValue::Gauge(u32::MAX)),
                ],
            }),
        };
        let packet = v2c(&report, "public", 200).expect("a trap");
        let mut reader = Reader::new(None, true, Users::default());
        let trap = reader.read(&packet).expect("read back");
        assert_eq!(
            (trap.oid.as_str(), trap.uptime_ticks),
            ("1.3.6.1.6.3.1.1.5.3", Some(200))
        );
        let values: Vec<&str> = trap
            .variables
            .iter()
            .map(|variable| variable.value.as_str())
            .collect();
        assert_eq!(values, ["700", "swp7".repeat(60).as_str(), "-129", "4294967295"]);
    }
}
