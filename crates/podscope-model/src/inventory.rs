//! What a leaf has, in a form that is kept by whoever asks it: which metrics with which label sets, and for a hub which
//! leaves lie behind it. With it a question goes only to leaves that can answer it, and lists of labels are made without
//! asking anybody.
//!
//! HTTP form: `GET /v1/inventory` answers an [`Inventory`] as JSON with its version as `ETag`; with `If-None-Match` and the
//! same version the answer is 304 and empty. `POST /v1/labels` with a [`LabelsQuery`] answers a [`LabelsAnswer`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::labels::Labels;
use crate::leaf::{Behind, Limits, MetricInfo, Route, Target};
use crate::matcher::Matcher;
use crate::scope::Scope;

/// What a leaf or hub has.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Inventory {
    /// Another one whenever anything else here is another.
    pub version: String,
    pub leaf_id: String,
    pub instance: String,
    /// Oldest sample kept, to the hour: what lies before it is not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_ms: Option<i64>,
    /// By metric name.
    pub metrics: BTreeMap<String, Held>,
    /// Distinct sets of label sets, without metric names and node labels, each sorted: metrics with equal ones share them.
    /// Empty for a hub, which is asked for its lists instead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shapes: Vec<Vec<Labels>>,
    /// A hub's leaves, its own store among them. Empty: this is a leaf.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leaves: Vec<LeafEntry>,
    /// Version of `leaves` alone; empty for a leaf.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub leaves_version: String,
}

/// One metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Held {
    #[serde(flatten)]
    pub info: MetricInfo,
    /// Which of [`Inventory::shapes`] its series have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<usize>,
}

/// One leaf behind a hub.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeafEntry {
    /// The store's id; before it is known, `url:` and the address.
    pub leaf_id: String,
    pub instance: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// Which label names, or values of one label, the matching series have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelsQuery {
    /// The label whose values are wanted; absent: the names of all labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Each inner list is one selector; a series counts when any selector matches. Empty: all series.
    #[serde(default)]
    pub selectors: Vec<Vec<Matcher>>,
    pub start_ms: i64,
    pub end_ms: i64,
    #[serde(default)]
    pub target: Target,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<Scope>,
    pub limits: Limits,
    #[serde(default, skip_serializing_if = "Route::is_plain")]
    pub route: Route,
}

/// The answer to a [`LabelsQuery`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LabelsAnswer {
    pub leaf_id: String,
    pub instance: String,
    /// Sorted, each once.
    pub values: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<Box<Behind>>,
}

impl Inventory {
    /// The inventory of one store: its metrics and the label sets of its series, metric names included.
    pub fn of_store(
        leaf_id: &str,
        instance: &str,
        oldest_ms: Option<i64>,
        infos: BTreeMap<String, MetricInfo>,
        series: &[Labels],
    ) -> Self {
        const HOUR_MS: i64 = 3_600_000;
        let mut by_name: BTreeMap<&str, Vec<Labels>> = BTreeMap::new();
        for labels in series {
            let name = labels.metric_name().unwrap_or_default();
            by_name.entry(name).or_default().push(labels.without_name());
        }
        let mut shapes: Vec<Vec<Labels>> = Vec::new();
        let mut known: BTreeMap<Vec<Labels>, usize> = BTreeMap::new();
        let mut metrics = BTreeMap::new();
        for (name, info) in infos {
            let Some(mut sets) = by_name.remove(name.as_str()) else {
                continue;
            };
            sets.sort_unstable();
            sets.dedup();
            let next = shapes.len();
            let shape = *known.entry(sets).or_insert_with_key(|sets| {
                shapes.push(sets.clone());
                next
            });
            metrics.insert(
                name,
                Held {
                    info,
                    shape: Some(shape),
                },
            );
        }
        let mut inventory = Self {
            version: String::new(),
            leaf_id: leaf_id.to_owned(),
            instance: instance.to_owned(),
            oldest_ms: oldest_ms.map(|ms| ms - ms.rem_euclid(HOUR_MS)),
            metrics,
            shapes,
            leaves: Vec::new(),
            leaves_version: String::new(),
        };
        inventory.stamp();
        inventory
    }

    /// Sets the versions from the content.
    pub fn stamp(&mut self) {
        self.version.clear();
        self.leaves_version.clear();
        if !self.leaves.is_empty() {
            self.leaves_version = fingerprint(&self.leaves);
        }
        self.version = fingerprint(&*self);
    }
}

/// 128 bits of FNV-1a over the JSON of something whose JSON has one order.
fn fingerprint(of: &impl Serialize) -> String {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    struct Hash(u128);
    impl std::io::Write for Hash {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            for byte in bytes {
                self.0 = (self.0 ^ u128::from(*byte)).wrapping_mul(PRIME);
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut hash = Hash(OFFSET);
    // Strings, numbers and maps with text keys: writing them as JSON cannot fail.
    let written = serde_json::to_writer(&mut hash, of);
    debug_assert!(written.is_ok());
    format!("{:032x}", hash.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::{Kind, Unit};
    use crate::labels::NAME;

    fn info() -> MetricInfo {
        MetricInfo {
            kind: Kind::Gauge,
            unit: Unit::None,
            help: "h".to_owned(),
            interval_ms: 1000,
        }
    }

    fn of(series: &[Labels]) -> Inventory {
        let infos = ["a", "b", "gone"].map(|name| (name.to_owned(), info()));
        Inventory::of_store("id", "n1", Some(7_200_001), BTreeMap::from(infos), series)
    }

    #[test]
    fn metrics_with_equal_label_sets_share_them_and_a_metric_without_series_is_not_held() {
        let series = |name: &str, gpu: &str| Labels::from_pairs([(NAME, name), ("gpu", gpu)]);
        let inventory = of(&[
            series("a", "1"),
            series("a", "0"),
            series("b", "0"),
            series("b", "1"),
        ]);
        assert_eq!(inventory.shapes.len(), 1);
        assert_eq!(inventory.shapes[0].len(), 2);
        assert_eq!(inventory.metrics.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(inventory.oldest_ms, Some(7_200_000));
        let text = serde_json::to_string(&inventory).expect("JSON");
        assert_eq!(
            serde_json::from_str::<Inventory>(&text).expect("own output"),
            inventory
        );
    }

    #[test]
    fn the_version_follows_the_content_and_nothing_else() {
        let series = |gpu: &str| Labels::from_pairs([(NAME, "a"), ("gpu", gpu)]);
        let (one, two) = (of(&[series("0"), series("1")]), of(&[series("1"), series("0")]));
        assert_eq!(
            one.version, two.version,
            "the order in which series are met says nothing"
        );
        assert_ne!(one.version, of(&[series("0")]).version);
        let mut hub = one.clone();
        hub.leaves = vec![LeafEntry::default()];
        hub.stamp();
        assert_ne!(hub.version, one.version);
        assert!(!hub.leaves_version.is_empty() && one.leaves_version.is_empty());
    }
}
