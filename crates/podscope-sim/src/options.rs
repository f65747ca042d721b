//! What can be chosen about a simulated cluster.

use std::path::PathBuf;
use std::time::Duration;

use crate::trouble::{Spell, Trouble};

/// A simulated cluster; the default is four nodes with eight GPUs each and a day of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimOptions {
    pub nodes: usize,
    /// GPUs per node.
    pub gpus: u32,
    /// CPUs per node.
    pub cpus: u32,
    /// How much history there is at the start; see [`crate::schedule`] for its density.
    pub backfill: Duration,
    /// Equal seeds give equal clusters.
    pub seed: u64,
    /// Node `i` listens on this port plus `i`; 0: on free ports.
    pub base_port: u16,
    /// Where the nodes' histories lie. `None`: in a temporary folder that goes with the cluster.
    pub data_dir: Option<PathBuf>,
    /// Whether time goes on after the start, a row per second. Without, the cluster is a photograph.
    pub live: bool,
    /// The time at which the cluster starts, in milliseconds since 1970. `None`: now. Only a photograph may start at
    /// another time.
    pub now_ms: Option<i64>,
    /// What goes wrong, when and where.
    pub troubles: Vec<Spell>,
    /// The last GPU of the last node is cut into MIG slices, all the time.
    pub sliced: bool,
    /// The label `cluster`.
    pub cluster: String,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            nodes: 4,
            gpus: 8,
            cpus: 16,
            backfill: Duration::from_secs(24 * 3600),
            seed: 1,
            base_port: 0,
            data_dir: None,
            live: true,
            now_ms: None,
            troubles: Vec::new(),
            sliced: false,
            cluster: "sim".to_owned(),
        }
    }
}

impl SimOptions {
    /// A small photograph for tests: two nodes with two GPUs, ten minutes of history.
    pub fn small() -> Self {
        Self {
            nodes: 2,
            gpus: 2,
            cpus: 2,
            backfill: Duration::from_secs(600),
            live: false,
            ..Self::default()
        }
    }

    /// Everything that is out of the ordinary, and when.
    pub(crate) fn spells(&self) -> Vec<Spell> {
        let mut spells = self.troubles.clone();
        if self.sliced && self.gpus > 0 {
            spells.push(Spell {
                trouble: Trouble::MigReconfig,
                node: self.nodes.saturating_sub(1),
                gpu: self.gpus as usize - 1,
                from_ms: i64::MIN,
                to_ms: i64::MAX,
            });
        }
        spells
    }

    /// What cannot be simulated, as one sentence.
    pub(crate) fn fault(&self) -> Option<String> {
        if self.nodes == 0 || self.nodes > 4096 {
            return Some(format!("{} nodes; choose 1 to 4096", self.nodes));
        }
        if self.gpus > 16 {
            return Some(format!("{} GPUs per node; choose at most 16", self.gpus));
        }
        if self.cpus == 0 || self.cpus > 1024 {
            return Some(format!("{} CPUs per node; choose 1 to 1024", self.cpus));
        }
        if self.backfill > Duration::from_secs(31 * 24 * 3600) {
            return Some("a backfill of more than 31 days; choose less".to_owned());
        }
        if self.base_port != 0 && usize::from(self.base_port) + self.nodes > 65_536 {
            return Some(format!(
                "base port {} leaves too few ports; choose a lower one",
                self.base_port
            ));
        }
        let misplaced = |spell: &&Spell| spell.node >= self.nodes || spell.gpu >= self.gpus.max(1) as usize;
        if let Some(spell) = self.troubles.iter().find(misplaced) {
            return Some(format!(
                "{} of GPU {} of node {}: there is no such",
                spell.trouble.name(),
                spell.gpu,
                spell.node
            ));
        }
        if self.live && self.now_ms.is_some() {
            return Some(
                "a living cluster starts now; choose a starting time only without `live`".to_owned(),
            );
        }
        None
    }
}
