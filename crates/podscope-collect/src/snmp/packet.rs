//! From a datagram to a trap. BER is read by `snmp-parser`; what is signed or secret goes through [`super::usm`].

use snmp_parser::asn1_rs::FromBer;
use snmp_parser::{
    NetworkAddress, ObjectSyntax, PduType, ScopedPduData, SecurityParameters, SnmpGenericMessage, SnmpPdu,
    SnmpV3Message, SnmpVariable, UsmSecurityParameters, VarBindValue,
};

use super::names::{SNMP_TRAP_ENTERPRISE, SNMP_TRAP_OID, SNMP_TRAPS, SYS_UP_TIME};
use super::usm::{NotAuthentic, Users};

/// The largest datagram that is looked at.
pub const MAX_PACKET: usize = 64 << 10;
/// Variables of a trap that are kept.
const MOST_VARIABLES: usize = 64;
/// Bytes of a text that are kept.
const MOST_TEXT: usize = 2048;

/// Which SNMP a trap came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1,
    V2c,
    V3,
}

impl Version {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "1",
            Self::V2c => "2c",
            Self::V3 => "3",
        }
    }
}

/// A notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    pub version: Version,
    /// The community of v1 and v2c, the user of v3.
    pub who: String,
    /// v3: the signature was checked.
    pub authentic: bool,
    /// v3: the engine that sent it, as hexadecimal digits.
    pub engine_id: String,
    /// What it is, dotted: `1.3.6.1.6.3.1.1.5.3`.
    pub oid: String,
    /// How long the sender had been up, in hundredths of a second.
    pub uptime_ticks: Option<u32>,
    /// What v1 says of where it came from.
    pub agent_address: Option<std::net::Ipv4Addr>,
    pub variables: Vec<Variable>,
    /// It wants to be acknowledged.
    pub inform: bool,
}

/// One of its variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    pub oid: String,
    /// As text; octets that are no text are hexadecimal digits.
    pub value: String,
}

/// Why a datagram is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPacket {
    #[error("no SNMP message")]
    Unreadable,
    #[error("an SNMP message, but no trap")]
    NoTrap,
    #[error("SNMP v1 and v2c are not taken here; set snmp.v2c or let the sender use v3")]
    OldVersion,
    #[error("a community that is not in snmp.communities_file")]
    Community,
    #[error("from SNMP v3 user {user:?}: {why}")]
    NotAuthentic { user: String, why: NotAuthentic },
}

impl BadPacket {
    /// Whether the sender was refused, in contrast to not understood.
    pub fn is_refusal(&self) -> bool {
        !matches!(self, Self::Unreadable | Self::NoTrap)
    }
}

/// Reads datagrams, and remembers of v3 engines what keeps their messages from being sent twice.
#[derive(Debug)]
pub struct Reader {
    /// `None`: any.
    communities: Option<Vec<String>>,
    v2c: bool,
    users: Users,
}

impl Reader {
    pub fn new(communities: Option<Vec<String>>, v2c: bool, users: Users) -> Self {
        Self {
            communities,
            v2c,
            users,
        }
    }

    /// What a datagram says.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Trap, BadPacket> {
        let bytes = bytes.get(..bytes.len().min(MAX_PACKET)).unwrap_or_default();
        let (_, message) = SnmpGenericMessage::from_ber(bytes).map_err(|_| BadPacket::Unreadable)?;
        match message {
            SnmpGenericMessage::V1(message) | SnmpGenericMessage::V2(message) => {
                let version = if message.version == 0 {
                    Version::V1
                } else {
                    Version::V2c
                };
                let trap = trap(version, &message.community, &message.pdu)?;
                if !self.v2c {
                    return Err(BadPacket::OldVersion);
                }
                if let Some(known) = &self.communities
                    && !known.iter().any(|known| known == &message.community)
                {
                    return Err(BadPacket::Community);
                }
                Ok(trap)
            }
            SnmpGenericMessage::V3(message) => self.read_v3(bytes, &message),
        }
    }

    fn read_v3(&mut self, bytes: &[u8], message: &SnmpV3Message<'_>) -> Result<Trap, BadPacket> {
        let SecurityParameters::USM(security) = &message.security_params else {
            return Err(BadPacket::Unreadable);
        };
        let refused = |why: NotAuthentic| BadPacket::NotAuthentic {
            user: security.msg_user_name.chars().take(64).collect(),
            why,
        };
        let header = &message.header_data;
        let checked = self
            .users
            .check(bytes, header, security, &message.data)
            .map_err(refused)?;
        let mut trap = match (&message.data, checked.plain) {
            (ScopedPduData::Plaintext(scoped), None) => {
                trap(Version::V3, &security.msg_user_name, &scoped.data)?
            }
            (ScopedPduData::Encrypted(_), Some(plain)) => {
                let wrapped = as_v2c(&plain).ok_or_else(|| refused(NotAuthentic::Secret))?;
                let (_, message) =
                    SnmpGenericMessage::from_ber(&wrapped).map_err(|_| refused(NotAuthentic::Secret))?;
                let SnmpGenericMessage::V2(message) = message else {
                    return Err(refused(NotAuthentic::Secret));
                };
                trap(Version::V3, &security.msg_user_name, &message.pdu)?
            }
            _ => return Err(BadPacket::Unreadable),
        };
        trap.authentic = checked.authentic;
        trap.engine_id = hexadecimal(security.msg_authoritative_engine_id);
        Ok(trap)
    }
}

/// Where in `bytes` the signature stands.
pub(super) fn signature_place(
    bytes: &[u8],
    security: &UsmSecurityParameters<'_>,
) -> Option<std::ops::Range<usize>> {
    let signature = security.msg_authentication_parameters;
    let start = (signature.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize)?;
    let range = start..start.checked_add(signature.len())?;
    (bytes.get(range.clone()) == Some(signature)).then_some(range)
}

/// The scoped PDU that was secret, in the clothes of a v2c message, which the parser reads.
pub(crate) fn as_v2c(plain: &[u8]) -> Option<Vec<u8>> {
    // ScopedPDU ::= SEQUENCE { contextEngineID, contextName, data }; padding may follow.
    let (_, inner) = element(plain, 0x30)?;
    let (rest, _) = element(inner, 0x04)?;
    let (pdu, _) = element(rest, 0x04)?;
    let mut body = vec![0x02, 0x01, 0x01, 0x04, 0x00];
    body.extend_from_slice(pdu);
    let mut message = vec![0x30, 0x83];
    let length = u32::try_from(body.len()).ok()?.to_be_bytes();
    message.extend_from_slice(&length[1..]);
    message.append(&mut body);
    Some(message)
}

/// What follows an element with this tag, and its content.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..0x80 => (usize::from(first), rest),
        _ => {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return None;
            }
            let digits = rest.get(..count)?;
            let length = digits
                .iter()
                .fold(0_usize, |sum, digit| (sum << 8) | usize::from(*digit));
            (length, rest.get(count..)?)
        }
    };
    Some((rest.get(length..)?, rest.get(..length)?))
}

fn trap(version: Version, who: &str, pdu: &SnmpPdu<'_>) -> Result<Trap, BadPacket> {
    let mut trap = Trap {
        version,
        who: who.to_owned(),
        authentic: false,
        engine_id: String::new(),
        oid: String::new(),
        uptime_ticks: None,
        agent_address: None,
        variables: Vec::new(),
        inform: false,
    };
    let variables = match pdu {
        SnmpPdu::TrapV1(v1) => {
            let enterprise = v1.enterprise.to_id_string();
            // RFC 3584, 3.1: generic traps have identifiers of their own, the others are made of enterprise and number.
            trap.oid = match v1.generic_trap.0 {
                generic @ 0..=5 => format!("{SNMP_TRAPS}.{}", generic + 1),
                _ => format!("{enterprise}.0.{}", v1.specific_trap),
            };
            trap.uptime_ticks = Some(v1.timestamp);
            let NetworkAddress::IPv4(address) = v1.agent_addr;
            trap.agent_address = Some(address).filter(|address| !address.is_unspecified());
            trap.variables.push(Variable {
                oid: SNMP_TRAP_ENTERPRISE.to_owned(),
                value: enterprise,
            });
            &v1.var
        }
        SnmpPdu::Generic(generic) if matches!(generic.pdu_type, PduType::TrapV2 | PduType::InformRequest) => {
            trap.inform = generic.pdu_type == PduType::InformRequest;
            &generic.var
        }
        _ => return Err(BadPacket::NoTrap),
    };
    for variable in variables {
        let oid = variable.oid.to_id_string();
        match (oid.as_str(), &variable.val) {
            (SYS_UP_TIME, VarBindValue::Value(ObjectSyntax::TimeTicks(ticks))) => {
                trap.uptime_ticks = Some(*ticks);
            }
            (SNMP_TRAP_OID, VarBindValue::Value(ObjectSyntax::Object(what))) => {
                trap.oid = what.to_id_string();
            }
            _ if trap.variables.len() < MOST_VARIABLES => {
                let value = shown(variable);
                trap.variables.push(Variable { oid, value });
            }
            _ => {}
        }
    }
    match trap.oid.is_empty() {
        true => Err(BadPacket::NoTrap),
        false => Ok(trap),
    }
}

fn shown(variable: &SnmpVariable<'_>) -> String {
    let VarBindValue::Value(value) = &variable.val else {
        return String::new();
    };
    match value {
        ObjectSyntax::Number(number) => number.to_string(),
        ObjectSyntax::String(octets) => octets_shown(octets),
        ObjectSyntax::Object(oid) => oid.to_id_string(),
        ObjectSyntax::IpAddress(NetworkAddress::IPv4(address)) => address.to_string(),
        ObjectSyntax::Counter32(number)
        | ObjectSyntax::Gauge32(number)
        | ObjectSyntax::TimeTicks(number)
        | ObjectSyntax::UInteger32(number) => number.to_string(),
        ObjectSyntax::Counter64(number) => number.to_string(),
        ObjectSyntax::Opaque(octets) | ObjectSyntax::NsapAddress(octets) => hexadecimal(octets),
        ObjectSyntax::BitString(_)
        | ObjectSyntax::Empty
        | ObjectSyntax::UnknownSimple(_)
        | ObjectSyntax::UnknownApplication(_) => String::new(),
    }
}

/// Text where it is text, a four-byte address where it can be one, else digits.
fn octets_shown(octets: &[u8]) -> String {
    let octets = octets.get(..octets.len().min(MOST_TEXT)).unwrap_or_default();
    let text = String::from_utf8_lossy(octets);
    let text = text.trim_end_matches('\0');
    let printable = |letter: char| !letter.is_control() || matches!(letter, '\n' | '\r' | '\t');
    if text.chars().all(printable) && !text.contains('\u{fffd}') {
        text.to_owned()
    } else {
        hexadecimal(octets)
    }
}

pub(super) fn hexadecimal(octets: &[u8]) -> String {
    let octets = octets.iter().take(MOST_TEXT);
    octets.map(|octet| format!("{octet:02x}")).collect()
}

/// The answer to an inform of v2c: the same message as a response (RFC 3416, 4.2.7).
pub fn acknowledgement(bytes: &[u8]) -> Option<Vec<u8>> {
    let (_, inner) = element(bytes, 0x30)?;
    let (rest, version) = element(inner, 0x02)?;
    let (pdu, _) = element(rest, 0x04)?;
    if version != [1] || pdu.first() != Some(&0xa6) {
        return None;
    }
    let at = (pdu.as_ptr() as usize).checked_sub(bytes.as_ptr() as usize)?;
    let mut answer = bytes.to_vec();
    *answer.get_mut(at)? = 0xa2;
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `snmptrap -v 2c -c public host '' linkDown ifIndex i 7 ifDescr s swp7`, as net-snmp 5.9 sends it.
    pub(crate) fn link_down() -> Vec<u8> {
        let variable = |oid: &[u8], value: &[u8]| {
            let inner = [&[0x06, oid.len() as u8], oid, value].concat();
            [&[0x30, inner.len() as u8], inner.as_slice()].concat()
        };
        let variables = [
            variable(&[43, 6, 1, 2, 1, 1, 3, 0], &[0x43, 2, 0x30, 0x39]),
            variable(
                &[43, 6, 1, 6, 3, 1, 1, 4, 1, 0],
                &[0x06, 9, 43, 6, 1, 6, 3, 1, 1, 5, 3],
            ),
            variable(&[43, 6, 1, 2, 1, 2, 2, 1, 1, 7], &[0x02, 1, 7]),
            variable(&[43, 6, 1, 2, 1, 2, 2, 1, 2, 7], b"\x04\x04swp7"),
        ]
        .concat();
        let list = [&[0x30, variables.len() as u8], variables.as_slice()].concat();
        let pdu = [&[0x02, 1, 5, 0x02, 1, 0, 0x02, 1, 0], list.as_slice()].concat();
        let pdu = [&[0xa7, pdu.len() as u8], pdu.as_slice()].concat();
        let body = [b"\x02\x01\x01\x04\x06public", pdu.as_slice()].concat();
        [&[0x30, 0x81, body.len() as u8], body.as_slice()].concat()
    }

    fn reader() -> Reader {
        Reader::new(Some(vec!["public".to_owned()]), true, Users::default())
    }

    #[test]
    fn a_v2c_trap_is_read_with_its_variables() {
        let trap = reader().read(&link_down()).expect("a trap");
        assert_eq!(
            (trap.version, trap.who.as_str(), trap.oid.as_str()),
            (Version::V2c, "public", "1.3.6.1.6.3.1.1.5.3")
        );
        assert_eq!(trap.uptime_ticks, Some(12_345));
        let variables: Vec<(&str, &str)> = trap
            .variables
            .iter()
            .map(|variable| (variable.oid.as_str(), variable.value.as_str()))
            .collect();
        assert_eq!(
            variables,
            [("1.3.6.1.2.1.2.2.1.1.7", "7"), ("1.3.6.1.2.1.2.2.1.2.7", "swp7")]
        );
    }

    #[test]
    fn who_is_not_known_is_refused_and_what_is_no_trap_is_not_taken() {
        let mut packet = link_down();
        let mut other = Reader::new(Some(vec!["secret".to_owned()]), true, Users::default());
        assert_eq!(other.read(&packet), Err(BadPacket::Community));
        let mut closed = Reader::new(None, false, Users::default());
        assert_eq!(closed.read(&packet), Err(BadPacket::OldVersion));
        for end in 0..packet.len() {
            assert!(reader().read(&packet[..end]).is_err(), "{end} bytes of it");
        }
        // A question instead of a trap.
        let at = packet.iter().position(|byte| *byte == 0xa7).expect("the PDU");
        packet[at] = 0xa0;
        assert_eq!(reader().read(&packet), Err(BadPacket::NoTrap));
        assert_eq!(reader().read(b""), Err(BadPacket::Unreadable));
        assert_eq!(reader().read(b"GET / HTTP/1.1\r\n"), Err(BadPacket::Unreadable));
    }

    #[test]
    fn an_inform_is_acknowledged_with_its_own_content() {
        let mut inform = link_down();
        let at = inform.iter().position(|byte| *byte == 0xa7).expect("the PDU");
        inform[at] = 0xa6;
        assert!(reader().read(&inform).expect("an inform").inform);
        let answer = acknowledgement(&inform).expect("an answer");
        assert_eq!((answer.len(), answer[at]), (inform.len(), 0xa2));
        assert_eq!(acknowledgement(&link_down()), None, "a trap wants none");
    }

    #[test]
    fn octets_are_text_where_they_can_be() {
        assert_eq!(octets_shown(b"swp7\0"), "swp7");
        assert_eq!(octets_shown(&[10, 0, 255, 1]), "0a00ff01");
    }
}
