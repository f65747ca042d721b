//! Nodes and partitions.

use serde::Deserialize;

use super::gres;
use super::job::short;
use super::value::{Num, Text, Words};

/// What Slurm says of a node's state: a base state and flags, in upper case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeState(Vec<Box<str>>);

impl NodeState {
    fn of(state: &Words<'_>, flags: &Words<'_>) -> Self {
        let mut words: Vec<Box<str>> = Vec::new();
        for text in state.0.iter().chain(&flags.0) {
            // Old forms glue them: `IDLE+DRAIN`, `down*`, `MIXED#`.
            for word in text.split('+') {
                let word = word
                    .trim()
                    .trim_end_matches(['*', '~', '#', '!', '%', '$', '@', '^', '-']);
                let word = word.to_ascii_uppercase();
                if !word.is_empty() && words.len() < 16 && !words.iter().any(|known| **known == *word) {
                    words.push(word.into());
                }
            }
        }
        Self(words)
    }

    /// Of words such as `["IDLE", "DRAIN"]`.
    pub fn of_words(words: &[&str]) -> Self {
        let words = Words(words.iter().map(|word| (*word).into()).collect());
        Self::of(&words, &Words::default())
    }

    pub fn is(&self, word: &str) -> bool {
        self.0.iter().any(|known| &**known == word)
    }

    fn any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.is(word))
    }

    /// Why its GPUs do not count as available, in one word; absent while they do.
    pub fn unavailable(&self) -> Option<&'static str> {
        for (words, name) in [
            (&["DOWN", "UNKNOWN", "FUTURE", "POWERED_DOWN"][..], "down"),
            (&["DRAIN", "DRAINED", "DRAINING"], "drain"),
            (&["FAIL", "FAILING", "ERROR", "INVAL", "INVALID_REG"], "fail"),
            (&["MAINT", "MAINTENANCE"], "maint"),
            (&["RESERVED"], "reserved"),
        ] {
            if self.any(words) {
                return Some(name);
            }
        }
        None
    }

    /// All words, joined.
    pub fn shown(&self) -> String {
        self.0.join("+")
    }
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    pub name: Box<str>,
    pub state: NodeState,
    pub cpus: u32,
    pub cpus_alloc: u32,
    /// GPUs configured and allocated; a MIG slice is its part of one.
    pub gpus: f64,
    pub gpus_alloc: f64,
    pub partitions: Vec<Box<str>>,
    /// Why it is drained or down, as somebody wrote it.
    pub reason: Box<str>,
    pub reason_since_s: Option<i64>,
    /// Version of its slurmd.
    pub version: Box<str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Raw<'a> {
    #[serde(borrow)]
    name: Text<'a>,
    #[serde(borrow)]
    state: Words<'a>,
    #[serde(borrow)]
    state_flags: Words<'a>,
    cpus: Num,
    alloc_cpus: Num,
    #[serde(borrow)]
    gres: Text<'a>,
    #[serde(borrow)]
    gres_used: Text<'a>,
    #[serde(borrow)]
    tres: Text<'a>,
    #[serde(borrow)]
    tres_used: Text<'a>,
    #[serde(borrow)]
    partitions: Words<'a>,
    #[serde(borrow)]
    reason: Text<'a>,
    reason_changed_at: Num,
    #[serde(borrow)]
    slurmd_version: Text<'a>,
    #[serde(borrow)]
    version: Text<'a>,
}

/// Reads one element of `nodes`.
pub(crate) fn read(item: &[u8]) -> Result<Node, serde_json::Error> {
    let raw: Raw<'_> = serde_json::from_slice(item)?;
    let count = |gres: &Text<'_>, tres: &Text<'_>| {
        let listed = gres::gpus(gres.get());
        if listed > 0.0 {
            listed
        } else {
            gres::tres_gpus(tres.get()).unwrap_or(0.0)
        }
    };
    let version = match raw.version.get() {
        "" => raw.slurmd_version.get(),
        version => version,
    };
    let partitions = raw.partitions.0.iter().flat_map(|names| names.split(','));
    Ok(Node {
        name: short(raw.name.get()).into(),
        state: NodeState::of(&raw.state, &raw.state_flags),
        cpus: raw.cpus.count32(),
        cpus_alloc: raw.alloc_cpus.count32(),
        gpus: count(&raw.gres, &raw.tres),
        gpus_alloc: count(&raw.gres_used, &raw.tres_used),
        partitions: partitions.map(|name| short(name).into()).collect(),
        reason: short(raw.reason.get()).into(),
        reason_since_s: raw.reason_changed_at.time(),
        version: short(version).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_all_versions_say_the_same() {
        let old = read(
            br#"{"name": "n1", "state": "idle", "state_flags": ["DRAIN"], "gres": "gpu:h100:8",
            "gres_used": "gpu:h100:0(IDX:N/A)", "cpus": 64, "alloc_cpus": 7, "reason": "bad cable",
            "reason_changed_at": 1795247491, "partitions": ["gpu", "debug"], "slurmd_version": "22.05.8"}"#,
        )
        .expect("a node");
        let new = read(
            br#"{"name": "n1", "state": ["IDLE", "DRAIN"], "gres": "gpu:h100:8", "cpus": 64,
            "gres_used": "gpu:h100:0(IDX:N/A)", "alloc_cpus": 7, "reason": "bad cable", "version": "22.05.8",
            "reason_changed_at": {"set": true, "infinite": false, "number": 1795247491},
            "partitions": ["gpu", "debug"]}"#,
        )
        .expect("a node");
        assert_eq!(old, new);
        assert_eq!(old.state.unavailable(), Some("drain"));
        assert_eq!((old.gpus, old.gpus_alloc, old.cpus_alloc), (8.0, 0.0, 7));
    }

    #[test]
    fn only_nodes_that_take_jobs_are_available() {
        for (words, reason) in [
            (&["MIXED"][..], None),
            (&["ALLOCATED", "COMPLETING"], None),
            (&["IDLE", "PLANNED"], None),
            (&["DOWN*"], Some("down")),
            (&["IDLE", "NOT_RESPONDING"], None),
            (&["MIXED+DRAIN"], Some("drain")),
            (&["IDLE", "MAINTENANCE", "RESERVED"], Some("maint")),
            (&["IDLE", "RESERVED"], Some("reserved")),
            (&["ALLOCATED", "FAIL"], Some("fail")),
        ] {
            assert_eq!(NodeState::of_words(words).unavailable(), reason, "{words:?}");
        }
    }
}
