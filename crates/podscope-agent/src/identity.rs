//! Who this node is.

use std::collections::BTreeMap;

use crate::config::Config;

/// The node's name and labels, as it gives them when it is asked alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The `instance` label.
    pub instance: String,
    /// `cluster`, `pod`, `rack`, ...
    pub labels: BTreeMap<String, String>,
}

impl Identity {
    /// From the configuration; without a name in it, the host name.
    pub fn of_config(config: &Config) -> Self {
        let instance = config.instance.clone().unwrap_or_else(host_name);
        Self {
            instance,
            labels: config.labels.clone(),
        }
    }
}

fn host_name() -> String {
    let uname = rustix::system::uname();
    let name = uname.nodename().to_string_lossy().into_owned();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name
    }
}
