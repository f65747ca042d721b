//! What the operator may decide about the host collectors.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::collector::Descriptor;

/// A regular expression that names are matched against, checked when the config is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(regex::Regex);

impl Pattern {
    /// # Errors
    ///
    /// When the text is no regular expression.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        regex::Regex::new(text).map(Self)
    }

    /// The pattern of a constant of this crate.
    pub(crate) fn constant(text: &'static str) -> Self {
        // An invalid constant would match nothing, and fails the test of the defaults.
        Self::new(text).unwrap_or_else(|_| Self(regex::Regex::new("").expect("the empty pattern is valid")))
    }

    /// Whether the pattern is not empty and matches: an empty pattern excludes nothing.
    pub fn matches(&self, name: &str) -> bool {
        !self.0.as_str().is_empty() && self.0.is_match(name)
    }

    /// What a named group of the pattern matches, where the pattern is not empty and has the group.
    pub(crate) fn group<'t>(&self, text: &'t str, group: &str) -> Option<&'t str> {
        self.0
            .captures(text)
            .and_then(|found| found.name(group))
            .map(|found| found.as_str())
    }

    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Empty: excludes nothing.
impl Default for Pattern {
    fn default() -> Self {
        Self::constant("")
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Pattern {}

impl TryFrom<String> for Pattern {
    type Error = regex::Error;

    fn try_from(text: String) -> Result<Self, regex::Error> {
        Self::new(&text)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> String {
        pattern.as_str().to_owned()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Block devices node_exporter leaves out: partitions, RAM disks, loop devices, floppies.
const DISKS: &str = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$";
/// Mount points node_exporter leaves out.
const MOUNT_POINTS: &str =
    "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
/// File system types node_exporter leaves out.
const FS_TYPES: &str = "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$";

/// The host collectors: which run, how often, and what they leave out. The defaults are node_exporter's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostConfig {
    /// The collectors that run, by name. Empty: all of them.
    pub enabled: Vec<String>,
    /// Collectors that do not run.
    pub disabled: Vec<String>,
    /// Milliseconds between two collections of the named collectors; the others keep their own interval.
    pub intervals_ms: BTreeMap<String, u64>,
    /// Block devices left out, as a regular expression.
    pub disk_device_exclude: Pattern,
    /// Mount points left out, as a regular expression.
    pub filesystem_mount_point_exclude: Pattern,
    /// File system types left out, as a regular expression.
    pub filesystem_type_exclude: Pattern,
    /// Milliseconds after which a mount that does not answer is marked as hanging and left alone until it does.
    pub filesystem_timeout_ms: u64,
    /// Network devices left out, as a regular expression. Empty: none.
    pub network_device_exclude: Pattern,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            enabled: Vec::new(),
            disabled: Vec::new(),
            intervals_ms: BTreeMap::new(),
            disk_device_exclude: Pattern::constant(DISKS),
            filesystem_mount_point_exclude: Pattern::constant(MOUNT_POINTS),
            filesystem_type_exclude: Pattern::constant(FS_TYPES),
            filesystem_timeout_ms: 5000,
            network_device_exclude: Pattern::constant(""),
        }
    }
}

/// What is wrong with a [`HostConfig`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("{key}: there is no host collector {name:?}; there are {known}")]
    UnknownCollector {
        key: &'static str,
        name: String,
        known: String,
    },
    #[error("intervals_ms.{name}: {interval_ms} ms is outside 100 ms to 1 h")]
    Interval { name: String, interval_ms: u64 },
    #[error("filesystem_timeout_ms: {0} ms is outside 1 ms to 1 min")]
    FilesystemTimeout(u64),
}

impl HostConfig {
    /// Checks what the types cannot.
    ///
    /// # Errors
    ///
    /// On the first name of no collector and the first number out of its range.
    pub fn check(&self) -> Result<(), ConfigError> {
        let known = crate::registry::host_descriptors();
        let named = [("enabled", &self.enabled), ("disabled", &self.disabled)]
            .into_iter()
            .flat_map(|(key, names)| names.iter().map(move |name| (key, name)))
            .chain(self.intervals_ms.keys().map(|name| ("intervals_ms", name)));
        for (key, name) in named {
            if !known.iter().any(|descriptor| descriptor.name == *name) {
                let names: Vec<&str> = known.iter().map(|descriptor| descriptor.name).collect();
                let known = names.join(", ");
                return Err(ConfigError::UnknownCollector {
                    key,
                    name: name.clone(),
                    known,
                });
            }
        }
        for (name, &interval_ms) in &self.intervals_ms {
            if !(100..=3_600_000).contains(&interval_ms) {
                return Err(ConfigError::Interval {
                    name: name.clone(),
                    interval_ms,
                });
            }
        }
        if !(1..=60_000).contains(&self.filesystem_timeout_ms) {
            return Err(ConfigError::FilesystemTimeout(self.filesystem_timeout_ms));
        }
        Ok(())
    }

    /// Whether the collector is to run.
    pub fn runs(&self, name: &str) -> bool {
        let listed = |names: &[String]| names.iter().any(|listed| listed == name);
        (self.enabled.is_empty() || listed(&self.enabled)) && !listed(&self.disabled)
    }

    /// Milliseconds between two collections.
    pub fn interval_ms(&self, descriptor: &Descriptor) -> u64 {
        self.intervals_ms
            .get(descriptor.name)
            .copied()
            .unwrap_or(descriptor.interval_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_leave_out_what_node_exporter_leaves_out() {
        let config = HostConfig::default();
        config.check().expect("the defaults are valid");
        assert!(config.disk_device_exclude.matches("vda1") && !config.disk_device_exclude.matches("vda"));
        assert!(
            config.disk_device_exclude.matches("nvme0n1p2") && !config.disk_device_exclude.matches("nvme0n1")
        );
        assert!(config.filesystem_mount_point_exclude.matches("/sys/fs/cgroup"));
        assert!(!config.filesystem_mount_point_exclude.matches("/system"));
        assert!(
            config.filesystem_type_exclude.matches("cgroup2")
                && !config.filesystem_type_exclude.matches("nfs4")
        );
        assert!(
            !config.network_device_exclude.matches("eth0"),
            "an empty pattern leaves out nothing"
        );
    }

    #[test]
    fn survives_json_and_refuses_what_it_does_not_know() {
        let text = serde_json::to_string(&HostConfig::default()).expect("plain data");
        assert_eq!(
            serde_json::from_str::<HostConfig>(&text).expect("own output"),
            HostConfig::default()
        );
        assert!(serde_json::from_str::<HostConfig>(r#"{"enabeld": []}"#).is_err());
        let error = serde_json::from_str::<HostConfig>(r#"{"disk_device_exclude": "("}"#).unwrap_err();
        assert!(error.to_string().contains("unclosed group"), "{error}");
    }

    #[test]
    fn a_misspelt_collector_is_an_error_that_lists_those_there_are() {
        let config = HostConfig {
            enabled: vec!["stats".to_owned()],
            ..HostConfig::default()
        };
        let error = config.check().unwrap_err().to_string();
        assert!(
            error.starts_with("enabled: there is no host collector \"stats\"; there are "),
            "{error}"
        );
        assert!(error.contains("stat, loadavg, meminfo"), "{error}");
    }

    #[test]
    fn an_interval_out_of_range_is_an_error() {
        let mut config = HostConfig::default();
        config.intervals_ms.insert("stat".to_owned(), 5);
        assert_eq!(
            config.check().unwrap_err().to_string(),
            "intervals_ms.stat: 5 ms is outside 100 ms to 1 h"
        );
    }
}
