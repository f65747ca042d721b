//! Sections about what comes from outside: who may write, and how many events are kept.

use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::section::section;
use super::{ByteSize, Period};
use crate::secret::Secret;

section! {
    /// Who may write into this agent: events, webhooks, samples. Without any of these keys nobody may: a forged change
    /// would pass for the cause of an incident. The token for reading does not allow writing.
    pub struct WriteConfig = "write" {
        /// Bearer token that a writer sends. Better kept in `token_file`.
        token: Option<Secret> = None, "\"at-least-16-characters\"";
        /// File with the writers' bearer token on its first line. Not together with `token`.
        token_file: Option<PathBuf> = None, "\"/etc/podscope/write-token\"";
        /// Addresses and networks that may write without a token, such as `"10.1.2.3"` or `"10.1.0.0/16"`.
        peers: Vec<Peer> = Vec::new();
    }
}

section! {
    /// Events: incidents, changes, alarms, log lines and the like, kept beside the samples.
    pub struct EventsConfig = "events" {
        /// Events are deleted when their end and their arrival are older than this; what is still open stays.
        max_age: Period = Period::from_secs(90 * 86_400);
        /// The oldest events are deleted when they take more than this on disk.
        max_bytes: ByteSize = ByteSize(64_000_000);
        /// Events per second that one source may add in the long run. What is more is dropped and counted.
        rate: u64 = 50;
        /// Events that one source may add at once.
        burst: u64 = 1000;
    }
}

/// An address or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub IpNet);

impl Serialize for Peer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Peer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let network = text.parse::<IpNet>().ok();
        network
            .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
            .map(Self)
            .ok_or_else(|| {
                serde::de::Error::custom(format!(
                    "{text:?} is no address or network; write it like \"10.1.2.3\" or \"10.1.0.0/16\""
                ))
            })
    }
}

/// Who may write, as it is in force.
#[derive(Clone, Debug, Default)]
pub struct WriteAccess {
    pub token: Option<Secret>,
    pub peers: Vec<Peer>,
}

impl WriteAccess {
    /// Whether a datagram or request from this address may write without a token.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.peers.iter().any(|peer| peer.0.contains(&address))
    }

    /// Whether anybody may write at all.
    pub fn is_closed(&self) -> bool {
        self.token.is_none() && self.peers.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_addresses_and_networks() {
        #[derive(Deserialize)]
        struct List {
            peers: Vec<Peer>,
        }
        let list: List =
            toml::from_str(r#"peers = ["127.0.0.1", "10.1.0.0/16", "fd00::/8"]"#).expect("valid");
        let access = WriteAccess {
            token: None,
            peers: list.peers,
        };
        for (address, allowed) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("127.0.0.2", false),
            ("10.1.255.1", true),
            ("10.2.0.1", false),
            ("fd12::1", true),
            ("::1", false),
        ] {
            assert_eq!(
                access.allows(address.parse().expect("an address")),
                allowed,
                "{address}"
            );
        }
        assert!(toml::from_str::<List>(r#"peers = ["10.1/16"]"#).is_err());
    }
}
