//! Troubles by name while the cluster lives: a control on loopback, for `podscope sim` and for tests.
//!
//! `GET /troubles` lists what there is and what lasts, `POST /troubles` begins one, `DELETE /troubles` ends all.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::node::SimNode;
use crate::trouble::{Spell, Trouble};

/// The port where nothing else is said.
pub const DEFAULT_PORT: u16 = 9479;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// A trouble's name.
    pub name: String,
    /// The node's name or number.
    #[serde(default)]
    pub node: String,
    #[serde(default)]
    pub gpu: usize,
    /// How long; for ever where it is not said.
    #[serde(default)]
    pub seconds: Option<u64>,
}

type Nodes = Arc<[Arc<SimNode>]>;
type Refusal = (StatusCode, Json<Value>);

fn refuse(text: &str) -> Refusal {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": text })))
}

pub(crate) fn router(nodes: Nodes) -> Router {
    Router::new()
        .route("/troubles", get(list).post(begin).delete(end))
        .with_state(nodes)
}

fn shown(node: &SimNode, spell: &Spell) -> Value {
    json!({ "name": spell.trouble.name(), "node": node.instance(), "gpu": spell.gpu })
}

async fn list(State(nodes): State<Nodes>) -> Json<Value> {
    let known: Vec<Value> = Trouble::ALL
        .iter()
        .map(|trouble| json!({ "name": trouble.name(), "about": trouble.about() }))
        .collect();
    let lasting = nodes.iter().flat_map(|node| {
        let spells = node.troubles();
        spells
            .into_iter()
            .map(|spell| shown(node, &spell))
            .collect::<Vec<_>>()
    });
    Json(json!({ "troubles": known, "lasting": lasting.collect::<Vec<_>>() }))
}

async fn begin(State(nodes): State<Nodes>, Json(wish): Json<Wish>) -> Result<Json<Value>, Refusal> {
    let trouble: Trouble = wish.name.parse().map_err(|error: String| refuse(&error))?;
    let named = |node: &&Arc<SimNode>| node.instance() == wish.node;
    let number = if wish.node.is_empty() {
        Some(0)
    } else {
        wish.node.parse::<usize>().ok()
    };
    let node = nodes
        .iter()
        .find(named)
        .or_else(|| number.and_then(|at| nodes.get(at)));
    let Some(node) = node else {
        let names: Vec<&str> = nodes.iter().map(|node| node.instance()).collect();
        return Err(refuse(&format!(
            "there is no node {:?}; there are {}",
            wish.node,
            names.join(", ")
        )));
    };
    let gpus = node.gpus().change(|state| state.gpus.len());
    if wish.gpu >= gpus {
        return Err(refuse(&format!(
            "there is no GPU {}; {} has {gpus}",
            wish.gpu,
            node.instance()
        )));
    }
    let to_ms = wish.seconds.map_or(i64::MAX, |seconds| {
        node.at_ms()
            .saturating_add(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1000))
    });
    node.begin(trouble, wish.gpu, to_ms);
    Ok(Json(
        json!({ "name": trouble.name(), "about": trouble.about(), "node": node.instance(), "gpu": wish.gpu }),
    ))
}

async fn end(State(nodes): State<Nodes>) -> Json<Value> {
    let mut ended = 0;
    for node in nodes.iter() {
        ended += node.troubles().len();
        node.end_troubles();
    }
    Json(json!({ "ended": ended }))
}
