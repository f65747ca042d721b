//! What object identifiers are called: the notifications and objects that switches, servers and storage send, from the MIBs of
//! the IETF (SNMPv2-MIB, IF-MIB, BGP4-MIB, ENTITY-MIB, ENTITY-SENSOR-MIB, ENTITY-STATE-MIB, DISMAN-EVENT-MIB, BRIDGE-MIB), of
//! net-snmp (NET-SNMP-AGENT-MIB, UCD-SNMP-MIB, LM-SENSORS-MIB) and Cumulus's roots. Others come from a file of the operator.

use std::collections::BTreeMap;

/// `sysUpTime.0`.
pub const SYS_UP_TIME: &str = "1.3.6.1.2.1.1.3.0";
/// `snmpTrapOID.0`.
pub const SNMP_TRAP_OID: &str = "1.3.6.1.6.3.1.1.4.1.0";
/// `snmpTrapEnterprise.0`.
pub const SNMP_TRAP_ENTERPRISE: &str = "1.3.6.1.6.3.1.1.4.3.0";
/// The generic traps of v1 stand below it, counted from 1.
pub const SNMP_TRAPS: &str = "1.3.6.1.6.3.1.1.5";

/// Identifiers and names; an instance's index follows the identifier.
const KNOWN: &[(&str, &str)] = &[
    ("1.3.6.1.6.3.1.1.5.1", "coldStart"),
    ("1.3.6.1.6.3.1.1.5.2", "warmStart"),
    ("1.3.6.1.6.3.1.1.5.3", "linkDown"),
    ("1.3.6.1.6.3.1.1.5.4", "linkUp"),
    ("1.3.6.1.6.3.1.1.5.5", "authenticationFailure"),
    ("1.3.6.1.6.3.1.1.4.3", "snmpTrapEnterprise"),
    ("1.3.6.1.6.3.18.1.3", "snmpTrapAddress"),
    ("1.3.6.1.6.3.18.1.4", "snmpTrapCommunity"),
    ("1.3.6.1.2.1.1.1", "sysDescr"),
    ("1.3.6.1.2.1.1.2", "sysObjectID"),
    ("1.3.6.1.2.1.1.5", "sysName"),
    ("1.3.6.1.2.1.1.6", "sysLocation"),
    ("1.3.6.1.2.1.2.2.1.1", "ifIndex"),
    ("1.3.6.1.2.1.2.2.1.2", "ifDescr"),
    ("1.3.6.1.2.1.2.2.1.3", "ifType"),
    ("1.3.6.1.2.1.2.2.1.5", "ifSpeed"),
    ("1.3.6.1.2.1.2.2.1.7", "ifAdminStatus"),
    ("1.3.6.1.2.1.2.2.1.8", "ifOperStatus"),
    ("1.3.6.1.2.1.2.2.1.9", "ifLastChange"),
    ("1.3.6.1.2.1.31.1.1.1.1", "ifName"),
    ("1.3.6.1.2.1.31.1.1.1.15", "ifHighSpeed"),
    ("1.3.6.1.2.1.31.1.1.1.18", "ifAlias"),
    // RFC 4273 moved the notifications below 0; devices send either.
    ("1.3.6.1.2.1.15.0.1", "bgpEstablished"),
    ("1.3.6.1.2.1.15.0.2", "bgpBackwardTransition"),
    ("1.3.6.1.2.1.15.7.1", "bgpEstablished"),
    ("1.3.6.1.2.1.15.7.2", "bgpBackwardTransition"),
    ("1.3.6.1.2.1.15.3.1.2", "bgpPeerState"),
    ("1.3.6.1.2.1.15.3.1.7", "bgpPeerRemoteAddr"),
    ("1.3.6.1.2.1.15.3.1.9", "bgpPeerRemoteAs"),
    ("1.3.6.1.2.1.15.3.1.14", "bgpPeerLastError"),
    ("1.3.6.1.2.1.17.0.1", "newRoot"),
    ("1.3.6.1.2.1.17.0.2", "topologyChange"),
    ("1.3.6.1.2.1.47.1.1.1.1.2", "entPhysicalDescr"),
    ("1.3.6.1.2.1.47.1.1.1.1.7", "entPhysicalName"),
    ("1.3.6.1.2.1.47.2.0.1", "entConfigChange"),
    ("1.3.6.1.2.1.99.1.1.1.1", "entPhySensorType"),
    ("1.3.6.1.2.1.99.1.1.1.2", "entPhySensorScale"),
    ("1.3.6.1.2.1.99.1.1.1.3", "entPhySensorPrecision"),
    ("1.3.6.1.2.1.99.1.1.1.4", "entPhySensorValue"),
    ("1.3.6.1.2.1.99.1.1.1.5", "entPhySensorOperStatus"),
    ("1.3.6.1.2.1.99.1.1.1.6", "entPhySensorUnitsDisplay"),
    ("1.3.6.1.2.1.131.0.1", "entStateOperEnabled"),
    ("1.3.6.1.2.1.131.0.2", "entStateOperDisabled"),
    ("1.3.6.1.2.1.131.1.1.1.2", "entStateAdmin"),
    ("1.3.6.1.2.1.131.1.1.1.3", "entStateOper"),
    ("1.3.6.1.2.1.131.1.1.1.5", "entStateAlarm"),
    ("1.3.6.1.2.1.88.2.0.1", "mteTriggerFired"),
    ("1.3.6.1.2.1.88.2.0.2", "mteTriggerRising"),
    ("1.3.6.1.2.1.88.2.0.3", "mteTriggerFalling"),
    ("1.3.6.1.2.1.88.2.0.4", "mteTriggerFailure"),
    ("1.3.6.1.2.1.88.2.1.1", "mteHotTrigger"),
    ("1.3.6.1.2.1.88.2.1.2", "mteHotTargetName"),
    ("1.3.6.1.2.1.88.2.1.3", "mteHotContextName"),
    ("1.3.6.1.2.1.88.2.1.4", "mteHotOID"),
    ("1.3.6.1.2.1.88.2.1.5", "mteHotValue"),
    ("1.3.6.1.4.1.8072.4.0.1", "nsNotifyStart"),
    ("1.3.6.1.4.1.8072.4.0.2", "nsNotifyShutdown"),
    ("1.3.6.1.4.1.8072.4.0.3", "nsNotifyRestart"),
    ("1.3.6.1.4.1.2021.2.1.2", "prNames"),
    ("1.3.6.1.4.1.2021.2.1.101", "prErrMessage"),
    ("1.3.6.1.4.1.2021.9.1.2", "dskPath"),
    ("1.3.6.1.4.1.2021.9.1.101", "dskErrorMsg"),
    ("1.3.6.1.4.1.2021.10.1.2", "laNames"),
    ("1.3.6.1.4.1.2021.10.1.101", "laErrMessage"),
    ("1.3.6.1.4.1.2021.13.16.2.1.2", "lmTempSensorsDevice"),
    ("1.3.6.1.4.1.2021.13.16.2.1.3", "lmTempSensorsValue"),
    ("1.3.6.1.4.1.2021.13.16.3.1.3", "lmFanSensorsValue"),
    ("1.3.6.1.4.1.40310.1", "cumulusResources"),
    ("1.3.6.1.4.1.40310.2", "cumulusCounters"),
];

/// The names that are known.
#[derive(Clone, Debug)]
pub struct Names(BTreeMap<String, String>);

impl Default for Names {
    fn default() -> Self {
        let known = KNOWN
            .iter()
            .map(|(oid, name)| ((*oid).to_owned(), (*name).to_owned()));
        Self(known.collect())
    }
}

impl Names {
    /// Adds names of a file: `identifier name` per line, `#` begins a remark.
    ///
    /// # Errors
    /// The first line that is none, by its number.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        for (at, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let pair = line.split_once(char::is_whitespace);
            let oid_of = |oid: &str| {
                let oid = oid.trim_start_matches('.');
                let digits = oid.split('.').all(|part| part.parse::<u64>().is_ok());
                digits.then(|| oid.to_owned())
            };
            match pair.and_then(|(oid, name)| Some((oid_of(oid)?, name.trim()))) {
                Some((oid, name)) => {
                    self.0.insert(oid, name.to_owned());
                }
                None => {
                    return Err(format!(
                        "line {}: {line:?} is not an identifier and a name; write it like \"1.3.6.1.4.1.8072.4.0.1 nsNotifyStart\"",
                        at + 1
                    ));
                }
            }
        }
        Ok(())
    }

    /// The name of an identifier, and what of it is the instance: `ifDescr` and `7` of `1.3.6.1.2.1.2.2.1.2.7`.
    pub fn of<'a>(&'a self, oid: &'a str) -> Option<(&'a str, &'a str)> {
        let mut end = oid.len();
        loop {
            let base = oid.get(..end)?;
            if let Some(name) = self.0.get(base) {
                let instance = oid.get(end..).unwrap_or_default().trim_start_matches('.');
                return Some((name, instance));
            }
            end = base.rfind('.')?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_known_beginning_names_an_identifier() {
        let names = Names::default();
        assert_eq!(names.of("1.3.6.1.2.1.2.2.1.2.7"), Some(("ifDescr", "7")));
        assert_eq!(names.of("1.3.6.1.6.3.1.1.5.3"), Some(("linkDown", "")));
        assert_eq!(
            names.of("1.3.6.1.2.1.31.1.1.1.18.3"),
            Some(("ifAlias", "3")),
            "not ifName with 8.3 behind it"
        );
        assert_eq!(names.of("1.3.6.1.4.1.99999.1"), None);
        assert_eq!(names.of(""), None);
    }

    #[test]
    fn names_of_the_operator_come_on_top() {
        let mut names = Names::default();
        names
            .add("# ours\n.1.3.6.1.4.1.99999.1 vastAlarm  \n\n1.3.6.1.6.3.1.1.5.3 down # shorter\n")
            .expect("valid");
        assert_eq!(names.of("1.3.6.1.4.1.99999.1.4"), Some(("vastAlarm", "4")));
        assert_eq!(names.of("1.3.6.1.6.3.1.1.5.3"), Some(("down", "")));
        let error = names.add("1.3.x vast").expect_err("no number");
        assert!(error.starts_with("line 1: "), "{error}");
    }
}
