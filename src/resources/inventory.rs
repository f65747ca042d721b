//! `inventory`: every target with what its agent says of itself, or why it does not answer.

use podscope_fanout::NodeStatus;
use serde_json::{Map, Value, json};

use super::Asker;

pub(super) async fn list(asker: &Asker) -> Value {
    let nodes = asker.instance.fleet.inventory().await;
    let answered = nodes.iter().filter(|node| node.info.is_ok()).count();
    if asker.scope.is_some() {
        // Nodes, GPUs and collectors are nobody's own.
        return json!({ "nodes": [], "expected": nodes.len(), "answered": answered, "restricted": true });
    }
    json!({
        "nodes": nodes.iter().map(node).collect::<Vec<_>>(),
        "expected": nodes.len(),
        "answered": answered,
    })
}

fn node(status: &NodeStatus) -> Value {
    let mut line = Map::from_iter([
        ("url".to_owned(), json!(status.url)),
        ("instance".to_owned(), json!(status.instance)),
        ("ok".to_owned(), json!(status.info.is_ok())),
    ]);
    let more = match &status.info {
        Ok(info) => json!({
            "leafId": info.leaf_id,
            "version": info.version,
            "labels": info.labels,
            "collectors": info.collectors,
            "gpus": info.gpus,
            "nowMs": info.now_ms,
            "oldestMs": info.oldest_ms,
            "newestMs": info.newest_ms,
            "series": info.series,
            "historyBytes": info.history_bytes,
        }),
        Err(error) => json!({ "error": error.message, "errorKind": error.kind }),
    };
    if let Value::Object(more) = more {
        line.extend(more);
    }
    Value::Object(line)
}
