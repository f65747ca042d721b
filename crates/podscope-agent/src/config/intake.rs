//! Sections about what a hub asks and takes in beside its nodes: switches, OTLP, syslog, traps, changes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::section::section;
use super::{Peer, Period};

section! {
    /// How the switches of `[[switches]]` are asked. See `docs/switches.md`.
    pub struct NvueConfig = "nvue" {
        /// The user on all switches, of the group `nvshow`; a switch may have another one of its own.
        user: Option<String> = None, "\"podscope\"";
        /// File with the user's password on its first line.
        password_file: Option<PathBuf> = None, "\"/etc/podscope/nvue-password\"";
        /// Certificates that the switches' own are checked against, PEM. Not set: the system's.
        ca_file: Option<PathBuf> = None, "\"/etc/podscope/switches-ca.crt\"";
        /// Accept any certificate: switches make their own unless they were given one.
        skip_verify: bool = false;
        /// How often each switch is asked; at least every 30 s, because its answers cost its processor time.
        interval: Period = Period::from_secs(30);
        /// How long one answer may take.
        timeout: Period = Period::from_secs(10);
        /// Switches that are asked at the same time.
        max_concurrent: u64 = 8;
        /// Traffic class, priority group and priority of RoCE, which NVUE's RoCE counters do not name.
        roce_class: u64 = 3;
        /// What one unit of a switch's pause durations is: `ns`, `us`, `ms`, or `none` where nobody knows. The vendor documents
        /// none; where the durations grow faster than time passes, they are left out and the log says so.
        pause_duration_unit: String = "us".to_owned();
        /// Interfaces of a switch that are asked one by one for their queues where the switch's answer about all of them lacks
        /// those, as older releases do.
        max_single_interfaces: u64 = 128;
    }
}

section! {
    /// OTLP metrics from others. OTLP/HTTP (protobuf and JSON) is always at `/v1/metrics` of this agent's own address; gRPC needs
    /// an address of its own. Who may send is said in `[write]`. See `docs/switches.md`.
    pub struct OtlpConfig = "otlp" {
        /// Address for OTLP/gRPC. Beyond loopback it needs `[tls]`, whose certificate it shows, or `grpc_plain`.
        grpc_listen: Option<SocketAddr> = None, "\"0.0.0.0:4317\"";
        /// Take gRPC beyond loopback without TLS.
        grpc_plain: bool = false;
        /// Resource attributes that become labels of every series, beside `service.name` (`job`) and `service.instance.id`
        /// (`instance`). Those that name the host become the label `switch` of a switch's metrics.
        resource_attributes: Vec<String> = ["host.name", "net.host.name", "k8s.node.name"].map(str::to_owned).to_vec();
        /// Series that are followed to add up deltas; further ones are dropped and counted.
        max_series: u64 = 200_000;
    }
}

section! {
    /// Syslog from switches, storage and nodes, RFC 3164 and RFC 5424. See `docs/syslog-and-traps.md`.
    pub struct SyslogConfig = "syslog" {
        /// Address for UDP. Not set: none is taken.
        udp: Option<SocketAddr> = None, "\"0.0.0.0:514\"";
        /// Address for TCP, with lines or counted octets. Not set: none is taken.
        tcp: Option<SocketAddr> = None, "\"0.0.0.0:601\"";
        /// Addresses and networks that may send. Not set: those of `write.peers`.
        peers: Option<Vec<Peer>> = None, "[\"10.1.0.0/16\"]";
        /// Lines per second that one sender may send in the long run; what is more is dropped before it is read, and counted.
        rate: u64 = 200;
        /// Lines that one sender may send at once.
        burst: u64 = 2000;
        /// A line in which nothing known is found becomes an event when it is at least this bad: `debug`, `info`, `warning`,
        /// `error`, `critical`.
        min_severity: String = "error".to_owned();
        /// A line's own time counts when it differs from the time of arrival by no more than this; otherwise the arrival does, and
        /// the event's label `sender_time` has the other.
        max_skew: Period = Period::from_secs(60);
        /// Connections at the same time over TCP.
        max_connections: u64 = 128;
    }
}

section! {
    /// SNMP traps, v1, v2c and v3. See `docs/syslog-and-traps.md`.
    pub struct SnmpConfig = "snmp" {
        /// Address for traps over UDP. Not set: none are taken.
        listen: Option<SocketAddr> = None, "\"0.0.0.0:162\"";
        /// Addresses and networks that may send. Not set: those of `write.peers`.
        peers: Option<Vec<Peer>> = None, "[\"10.1.0.0/16\"]";
        /// File with the communities of v1 and v2c, one per line. Not set: any community, from those peers.
        communities_file: Option<PathBuf> = None, "\"/etc/podscope/snmp-communities\"";
        /// File with names of further object identifiers, `identifier name` per line: those of vendors' MIBs.
        names_file: Option<PathBuf> = None, "\"/etc/podscope/snmp-names\"";
        /// Take v1 and v2c at all: their senders cannot be told from forgers on the same network.
        v2c: bool = true;
        /// Traps per second that one sender may send in the long run; what is more is dropped and counted.
        rate: u64 = 20;
        /// Traps that one sender may send at once.
        burst: u64 = 200;
    }
}

section! {
    /// Changes that nobody announced: settings and versions are read again and again, and every difference becomes an event of
    /// kind `change`. See `docs/changes.md`.
    pub struct ChangesConfig = "changes" {
        /// Whether to look at all.
        enabled: bool = true;
        /// How often.
        interval: Period = Period::from_secs(60);
        /// Slurm's configuration, where this machine has it.
        slurm_conf: Option<PathBuf> = None, "\"/etc/slurm/slurm.conf\"";
        /// Settings that are not watched, as a regular expression over their names.
        ignore: String = String::new();
    }
}

/// One switch of `[[switches]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchConfig {
    /// Its name: the label `switch`.
    pub name: String,
    /// Where NVUE's REST API is: `https://10.0.0.11:8765`. Not set: the switch only pushes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fabric: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub role: String,
    /// The address it pushes from, where its name is not in what it pushes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<std::net::IpAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Further labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// One user of SNMP v3, of `[[snmp_users]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnmpUserConfig {
    pub name: String,
    /// `md5`, `sha1`, `sha224`, `sha256`, `sha384`, `sha512`; `none` for noAuthNoPriv.
    pub auth: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth_password_file: Option<PathBuf>,
    /// `des`, `aes128`, `aes192`, `aes256`; `none`.
    #[serde(default = "none", skip_serializing_if = "is_none")]
    pub privacy: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy_password_file: Option<PathBuf>,
}

fn none() -> String {
    "none".to_owned()
}

fn is_none(text: &String) -> bool {
    text == "none"
}

/// One VAST cluster whose settings are watched, of `[[vast_clusters]]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VastClusterConfig {
    /// Its name: the label `target` of its changes.
    pub name: String,
    /// Where its management service (VMS) is: `https://10.0.0.5`.
    pub url: String,
    /// A user with read rights, and a file with the password on its first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// A file with an API token on its first line, instead of user and password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_verify: bool,
}
