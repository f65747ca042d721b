//! Which node is asked for which leaves, so that a leaf that is reached several ways counts once (rule 1 of the design).

use std::sync::Arc;

use podscope_model::leaf::Route;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::known::Known;
use crate::node::Node;

/// One node to ask, and what for.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) node: Arc<Node>,
    pub(crate) route: Route,
    /// Of the hub's list of leaves as it was planned with; empty where none is known.
    pub(crate) version: String,
    /// The leaves that are asked for this way; empty where each node is a leaf.
    pub(crate) leaves: Vec<String>,
}

impl Way {
    fn plain(node: &Arc<Node>, known: Option<&Known>) -> Self {
        Self {
            node: Arc::clone(node),
            route: Route::default(),
            version: known.map_or_else(String::new, |known| known.inventory.leaves_version.clone()),
            leaves: Vec::new(),
        }
    }
}

impl PartialEq for Way {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.node, &other.node) && self.route == other.route
    }
}

/// The id of a node's store; before it is known, its address.
pub(crate) fn id_of(node: &Node) -> String {
    node.leaf_id().unwrap_or_else(|| format!("url:{}", node.spec.url))
}

/// One way to each leaf. `wanted`: whether a node can contribute; `asked`: which of our leaves whoever asks us wants.
///
/// Nodes that answer come before those that are only probed, in the order of the target list; the other hub of a pair is
/// asked for what only those reach.
pub(crate) fn ways(nodes: &[Arc<Node>], wanted: impl Fn(&Node) -> bool, asked: &Route) -> Vec<Way> {
    let known: Vec<Option<Arc<Known>>> = nodes.iter().map(|node| node.known()).collect();
    let hubs = known.iter().flatten().any(|known| known.is_hub());
    if !hubs && asked.is_plain() && nodes.iter().all(|node| !node.pair) {
        return nodes
            .iter()
            .filter(|node| wanted(node))
            .map(|node| Way::plain(node, None))
            .collect();
    }
    let (only, exclude): (FxHashSet<&String>, FxHashSet<&String>) =
        (asked.only.iter().collect(), asked.exclude.iter().collect());
    let admits = |id: &String| (only.is_empty() || only.contains(id)) && !exclude.contains(id);
    let names = Names::of(&known);
    let ids = |node: &Node, known: Option<&Known>| names.ids(node, known);
    let mut claimed: FxHashSet<String> = FxHashSet::default();
    let mut ways = Vec::new();
    let out_of_reach: FxHashSet<String> = nodes
        .iter()
        .zip(&known)
        .filter(|(node, _)| !node.pair && node.is_open())
        .flat_map(|(node, known)| ids(node, known.as_deref()))
        .collect();
    for (at, node) in in_order(nodes) {
        let known = known[at].as_deref();
        if node.pair && asked.from_pair {
            continue;
        }
        let all = ids(node, known);
        let free = |id: &&String| {
            admits(id) && !claimed.contains(id.as_str()) && (!node.pair || out_of_reach.contains(id.as_str()))
        };
        let taken: Vec<String> = all.iter().filter(free).cloned().collect();
        if taken.is_empty() {
            continue;
        }
        let mut way = Way::plain(node, known);
        if known.is_some_and(Known::is_hub) {
            if taken.len() < all.len() {
                // The shorter of the two lists.
                if taken.len() * 2 <= all.len() {
                    way.route.only.clone_from(&taken);
                } else {
                    let kept: FxHashSet<&String> = taken.iter().collect();
                    way.route.exclude = all.iter().filter(|id| !kept.contains(id)).cloned().collect();
                }
            }
            way.route.from_pair = node.pair;
        } else if node.pair {
            // What it reaches is not known yet.
            continue;
        }
        way.leaves.clone_from(&taken);
        claimed.extend(taken);
        if wanted(node) {
            ways.push((at, way));
        }
    }
    ways.sort_by_key(|(at, _)| *at);
    ways.into_iter().map(|(_, way)| way).collect()
}

/// Other ways to the leaves of the nodes that did not answer.
pub(crate) fn detours(
    nodes: &[Arc<Node>],
    wanted: impl Fn(&Node) -> bool,
    asked: &Route,
    failed: &[&Way],
) -> Vec<Way> {
    let known: Vec<Option<Arc<Known>>> = nodes.iter().map(|node| node.known()).collect();
    if known.iter().flatten().all(|known| !known.is_hub()) {
        return Vec::new();
    }
    let names = Names::of(&known);
    let mut lost: FxHashSet<String> = failed
        .iter()
        .flat_map(|way| match way.leaves.is_empty() {
            true => names.ids(&way.node, None),
            false => way.leaves.clone(),
        })
        .collect();
    let mut ways = Vec::new();
    for (at, node) in in_order(nodes) {
        let tried = failed.iter().any(|way| Arc::ptr_eq(&way.node, node));
        let known = &known[at];
        if tried || node.is_open() || (node.pair && asked.from_pair) || !wanted(node) {
            continue;
        }
        let Some(hub) = known.as_deref().filter(|known| known.is_hub()) else {
            continue;
        };
        let reached: Vec<String> = names
            .ids(node, Some(hub))
            .into_iter()
            .filter(|id| lost.remove(id))
            .collect();
        if reached.is_empty() {
            continue;
        }
        let mut way = Way::plain(node, Some(hub));
        way.route.only.clone_from(&reached);
        way.route.from_pair = node.pair;
        way.leaves = reached;
        ways.push(way);
    }
    ways
}

fn in_order(nodes: &[Arc<Node>]) -> Vec<(usize, &Arc<Node>)> {
    let mut order: Vec<(usize, &Arc<Node>)> = nodes.iter().enumerate().collect();
    order.sort_by_key(|(_, node)| (node.is_open(), node.pair));
    order
}

/// The ids of leaves, by the names that hubs know them under: a node that never answered us is still recognised.
struct Names(FxHashMap<String, String>);

impl Names {
    fn of(known: &[Option<Arc<Known>>]) -> Self {
        let leaves = known.iter().flatten().flat_map(|known| &known.inventory.leaves);
        Self(
            leaves
                .map(|leaf| (leaf.instance.clone(), leaf.leaf_id.clone()))
                .collect(),
        )
    }

    fn ids(&self, node: &Node, known: Option<&Known>) -> Vec<String> {
        if let Some(hub) = known.filter(|known| known.is_hub()) {
            let leaves = hub.inventory.leaves.iter();
            return leaves.map(|leaf| leaf.leaf_id.clone()).collect();
        }
        let named = || self.0.get(node.spec.instance.as_deref()?).cloned();
        vec![node.leaf_id().or_else(named).unwrap_or_else(|| id_of(node))]
    }
}
