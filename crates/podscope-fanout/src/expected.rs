//! Which nodes a fleet expects, and when each of them was running.

use std::collections::BTreeMap;
use std::sync::Arc;

use podscope_model::catalog::{Job, agent};
use podscope_model::labels::{Labels, NAME};
use podscope_model::leaf::{LeafCoverage, LeafQuery, Limits, Route, Shape};
use podscope_model::sample::Grid;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::time::Instant;

use crate::ask::{self, Gathered, Wanted};
use crate::fleet::Inner;
use crate::known::{NodeLabels, entry_labels};
use crate::node::{NO_LABELS, Node};
use crate::route::{Way, id_of};

/// The labels of the `up` of one node.
pub(crate) fn up_labels_of(node: NodeLabels<'_>, fallback: &str) -> Labels {
    let own = [
        (NAME, agent::UP.name),
        ("instance", node.instance.unwrap_or(fallback)),
        ("job", Job::Node.as_str()),
    ];
    let pairs = |labels: &'_ BTreeMap<String, String>| {
        labels
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect::<Vec<_>>()
    };
    let own = own.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Labels::from_pairs(pairs(node.outer).into_iter().chain(pairs(node.labels)).chain(own))
}

/// The labels of the `up` of a node, and of every node behind it where it is a hub.
fn up_labels(node: &Node, outer: &BTreeMap<String, String>) -> Vec<Labels> {
    let own = NodeLabels {
        instance: None,
        labels: &node.spec.labels,
        outer,
    };
    match node.known() {
        Some(known) if known.is_hub() => known
            .inventory
            .leaves
            .iter()
            .map(|leaf| up_labels_of(entry_labels(leaf, own), ""))
            .collect(),
        _ => vec![up_labels_of(own, &node.instance())],
    }
}

/// The labels of the `up` of every node expected; one that is reached twice once.
pub(crate) fn all_up_labels(nodes: &[Arc<Node>]) -> Vec<Labels> {
    let mut all: Vec<Labels> = nodes
        .iter()
        .filter(|node| !node.pair && !node.source)
        .flat_map(|node| up_labels(node, NO_LABELS))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Asks all nodes when they were running: every leaf for itself, those that do not answer among them.
pub(crate) async fn covered_by_all(
    inner: &Arc<Inner>,
    (start_ms, end_ms): (i64, i64),
    deadline: Instant,
    limits: Limits,
    (outer, route): (&BTreeMap<String, String>, &Route),
) -> Vec<LeafCoverage> {
    let grid = Grid {
        start_ms,
        end_ms,
        step_ms: (end_ms - start_ms).max(1),
    };
    let gate = Arc::clone(&inner.gate);
    let given = outer.clone();
    let job = move |way: Way| {
        let (gate, outer) = (Arc::clone(&gate), given.clone());
        async move {
            let query = LeafQuery {
                expr: String::new(),
                shape: Shape::Coverage,
                grid,
                lookback_ms: 0,
                target: way.node.target(&outer),
                user: None,
                limits,
                route: way.route,
            };
            let answer = way
                .node
                .ask(&gate, deadline, |leaf| leaf.query(query))
                .await?
                .value;
            way.node.check_identity(&answer.instance, &answer.leaf_id)?;
            Ok(answer)
        }
    };
    let wanted = Wanted {
        parts: vec![&[]],
        outer,
        route,
        done: FxHashSet::default(),
    };
    // Nothing is fatal here: no error ends the round.
    let Ok(Gathered {
        kept, completeness, ..
    }) = ask::gather(inner, &wanted, deadline, job, ask::none).await
    else {
        return Vec::new();
    };
    let mut known: FxHashMap<Labels, usize> = FxHashMap::default();
    let mut all: Vec<LeafCoverage> = Vec::new();
    for (node, answer) in kept.into_iter().filter(|(node, _)| !node.source) {
        match answer.behind {
            Some(behind) => all.extend(behind.coverage),
            None => all.push(LeafCoverage {
                leaf_id: answer.leaf_id,
                instance: node.instance(),
                labels: node.target(outer).labels,
                covered: answer.covered,
                silent: None,
            }),
        }
    }
    for (at, leaf) in all.iter().enumerate() {
        known.insert(labels_of(leaf), at);
    }
    // Whoever is expected and was not heard of.
    for node in inner.nodes().iter().filter(|node| !node.pair && !node.source) {
        let reason = || {
            let instance = node.instance();
            let told = completeness
                .missing
                .iter()
                .find(|missing| missing.instance == instance);
            told.map_or_else(
                || "it did not answer".to_owned(),
                |missing| missing.reason.clone(),
            )
        };
        for leaf in expected(node, outer, route) {
            known.entry(labels_of(&leaf)).or_insert_with(|| {
                all.push(LeafCoverage {
                    silent: Some(reason()),
                    ..leaf
                });
                all.len() - 1
            });
        }
    }
    all
}

fn labels_of(leaf: &LeafCoverage) -> Labels {
    let node = NodeLabels {
        instance: Some(&leaf.instance),
        labels: &leaf.labels,
        outer: NO_LABELS,
    };
    up_labels_of(node, "")
}

/// A node, or the nodes behind it, as far as they are asked for.
fn expected(node: &Node, outer: &BTreeMap<String, String>, route: &Route) -> Vec<LeafCoverage> {
    let entry = |leaf_id: String, instance: String, labels: BTreeMap<String, String>| LeafCoverage {
        leaf_id,
        instance,
        labels,
        covered: Vec::new(),
        silent: None,
    };
    let found = match node.known() {
        Some(known) if known.is_hub() => {
            let around = node.target(outer).labels;
            let leaves = known.inventory.leaves.iter();
            leaves
                .map(|leaf| {
                    let mut labels = leaf.labels.clone();
                    for (name, value) in &around {
                        labels.entry(name.clone()).or_insert_with(|| value.clone());
                    }
                    entry(leaf.leaf_id.clone(), leaf.instance.clone(), labels)
                })
                .collect()
        }
        _ => vec![entry(id_of(node), node.instance(), node.target(outer).labels)],
    };
    found
        .into_iter()
        .filter(|leaf| route.admits(&leaf.leaf_id))
        .collect()
}
