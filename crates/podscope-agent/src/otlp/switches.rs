//! Which switch a push comes from, and which switches push: those need not be asked for the same counters.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;

use crate::config::SwitchConfig;
use crate::stream::lock;

/// Switches remembered that are not in the configuration.
const MOST_STRANGERS: usize = 4096;
/// A switch that pushed within so long is said to push.
const PUSHES_MS: i64 = 120_000;

/// The switches of the configuration, and when each pushed last.
#[derive(Debug, Default)]
pub struct SwitchBook {
    known: Vec<SwitchConfig>,
    pushed: Mutex<BTreeMap<String, i64>>,
}

impl SwitchBook {
    pub fn new(known: &[SwitchConfig]) -> Self {
        Self {
            known: known.to_vec(),
            pushed: Mutex::default(),
        }
    }

    /// The labels of what a switch pushes: by the name it gives itself, by its address, else its address alone.
    pub(super) fn labels_of(&self, host: Option<&str>, peer: IpAddr, now_ms: i64) -> Vec<(String, String)> {
        let peer = peer.to_canonical();
        let by_name = host.and_then(|host| self.known.iter().find(|switch| switch.name == host));
        let known = by_name.or_else(|| {
            self.known
                .iter()
                .find(|switch| host.is_none() && switch.address == Some(peer))
        });
        let name = match (known, host) {
            (Some(switch), _) => switch.name.clone(),
            (None, Some(host)) => host.to_owned(),
            (None, None) => peer.to_string(),
        };
        {
            let mut pushed = lock(&self.pushed);
            if pushed.len() < MOST_STRANGERS || pushed.contains_key(&name) {
                pushed.insert(name.clone(), now_ms);
            }
        }
        let mut labels = vec![("switch".to_owned(), name)];
        if let Some(switch) = known {
            for (label, value) in [("fabric", &switch.fabric), ("role", &switch.role)] {
                if !value.is_empty() {
                    labels.push((label.to_owned(), value.clone()));
                }
            }
            labels.extend(switch.labels.clone());
        }
        labels
    }

    /// Whether a switch sends its counters by itself.
    pub fn pushes(&self, name: &str, now_ms: i64) -> bool {
        lock(&self.pushed)
            .get(name)
            .is_some_and(|at| (0..PUSHES_MS).contains(&(now_ms - at)))
    }

    /// What a sender is called: the switch at this address, else the address.
    pub fn name_of(&self, peer: IpAddr) -> String {
        let peer = peer.to_canonical();
        let known = self.known.iter().find(|switch| {
            switch.address == Some(peer)
                || switch
                    .url
                    .as_deref()
                    .and_then(|url| reqwest::Url::parse(url).ok())
                    .and_then(|url| url.host_str()?.trim_matches(['[', ']']).parse::<IpAddr>().ok())
                    == Some(peer)
        });
        known.map_or_else(|| peer.to_string(), |switch| switch.name.clone())
    }
}
