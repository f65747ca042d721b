//! What is known of a node beforehand: its inventory, and what it therefore cannot answer.

use std::collections::BTreeMap;
use std::sync::Arc;

use podscope_model::inventory::{Inventory, LeafEntry};
use podscope_model::labels::{Labels, NAME};
use podscope_model::matcher::{Matcher, fixed_name};

/// The label that tells nodes apart; no stored series has it.
const INSTANCE: &str = "instance";

/// The labels a node puts onto its series: one name and the labels of the target lists.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeLabels<'a> {
    /// `None`: the node has not said its name yet.
    pub(crate) instance: Option<&'a str>,
    pub(crate) labels: &'a BTreeMap<String, String>,
    /// Those of the hub before it; the node's own win.
    pub(crate) outer: &'a BTreeMap<String, String>,
}

impl NodeLabels<'_> {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.labels
            .get(name)
            .or_else(|| self.outer.get(name))
            .map(String::as_str)
    }

    /// Whether a matcher excludes every series of the node, whatever it holds.
    pub(crate) fn excludes(&self, matchers: &[Matcher]) -> bool {
        self.instance.is_some_and(|instance| {
            matchers
                .iter()
                .any(|matcher| matcher.name() == INSTANCE && !matcher.matches(instance))
        })
    }
}

/// An inventory, ready to be asked.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) inventory: Arc<Inventory>,
}

impl Known {
    /// Whether it is a hub.
    pub(crate) fn is_hub(&self) -> bool {
        !self.inventory.leaves.is_empty()
    }

    /// Whether any series here can match any of the selectors. Never wrongly "no" for what the inventory holds.
    pub(crate) fn can_match(&self, node: NodeLabels<'_>, selectors: &[Vec<Matcher>]) -> bool {
        if selectors.is_empty() {
            return true;
        }
        selectors.iter().any(|matchers| {
            self.some_leaf_admits(node, matchers)
                && match fixed_name(matchers) {
                    Some(name) => self.metric_can_match(name, node, matchers),
                    None => self
                        .inventory
                        .metrics
                        .keys()
                        .filter(|name| names_match(name, matchers))
                        .any(|name| self.metric_can_match(name, node, matchers)),
                }
        })
    }

    /// Whether a leaf behind the hub, or the leaf itself, has the name that the matchers ask for.
    fn some_leaf_admits(&self, node: NodeLabels<'_>, matchers: &[Matcher]) -> bool {
        if !self.is_hub() {
            return !node.excludes(matchers);
        }
        self.inventory
            .leaves
            .iter()
            .any(|leaf| !entry_labels(leaf, node).excludes(matchers))
    }

    fn metric_can_match(&self, name: &str, node: NodeLabels<'_>, matchers: &[Matcher]) -> bool {
        let Some(held) = self.inventory.metrics.get(name) else {
            return false;
        };
        let rest = || {
            matchers
                .iter()
                .filter(|matcher| matcher.name() != NAME && matcher.name() != INSTANCE)
        };
        let shape = held.shape.and_then(|at| self.inventory.shapes.get(at));
        match shape {
            Some(shape) if rest().next().is_some() => shape.iter().any(|labels| {
                rest().all(|matcher| {
                    let value = labels.get(matcher.name()).or_else(|| node.get(matcher.name()));
                    matcher.matches(value.unwrap_or(""))
                })
            }),
            // A hub's label sets are not known here.
            _ => true,
        }
    }

    /// Calls `sink` with the full label set of every series any of the selectors matches.
    pub(crate) fn for_each_series(
        &self,
        node: NodeLabels<'_>,
        selectors: &[Vec<Matcher>],
        sink: &mut dyn FnMut(&str, &Labels, NodeLabels<'_>),
    ) {
        for (name, held) in &self.inventory.metrics {
            let Some(shape) = held.shape.and_then(|at| self.inventory.shapes.get(at)) else {
                continue;
            };
            let selecting: Vec<&Vec<Matcher>> = selectors
                .iter()
                .filter(|matchers| names_match(name, matchers) && !node.excludes(matchers))
                .collect();
            if selecting.is_empty() && !selectors.is_empty() {
                continue;
            }
            for labels in shape {
                let matches = |matchers: &&Vec<Matcher>| {
                    matchers
                        .iter()
                        .filter(|matcher| matcher.name() != NAME && matcher.name() != INSTANCE)
                        .all(|matcher| {
                            let value = labels.get(matcher.name()).or_else(|| node.get(matcher.name()));
                            matcher.matches(value.unwrap_or(""))
                        })
                };
                if selectors.is_empty() || selecting.iter().any(matches) {
                    sink(name, labels, node);
                }
            }
        }
    }
}

/// The labels of a leaf behind a hub, as this side of the hub sees them.
pub(crate) fn entry_labels<'a>(leaf: &'a LeafEntry, hub: NodeLabels<'a>) -> NodeLabels<'a> {
    NodeLabels {
        instance: Some(&leaf.instance),
        labels: &leaf.labels,
        outer: hub.labels,
    }
}

fn names_match(name: &str, matchers: &[Matcher]) -> bool {
    matchers
        .iter()
        .filter(|matcher| matcher.name() == NAME)
        .all(|matcher| matcher.matches(name))
}
