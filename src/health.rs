//! `CheckHealth`: a round trip to every target, and one sentence that says what to do.

use std::collections::BTreeMap;

use podscope_fanout::{Fleet, NodeStatus};
use podscope_model::leaf::{ApiError, ApiErrorKind, CollectorState, NodeInfo};
use serde_json::{Value, json};

use crate::instances::Instance;
use crate::request::Health;

/// Agents and plugin must agree in these parts of their version.
const OWN_VERSION: &str = env!("CARGO_PKG_VERSION");
/// Clocks that differ by more than this shift a node's samples visibly.
const CLOCK_MS: u64 = 5_000;
/// Lines in the details; a large fleet's sound nodes are not listed one by one.
const LINES: usize = 200;

/// Asks everybody.
pub async fn check(instance: &Instance) -> Health {
    let now_ms = now_ms();
    let nodes = instance.fleet.inventory().await;
    let (mut ok, mut message) = sentence(&nodes, instance.settings.completeness, now_ms);
    if instance.settings.scope.on
        && let Some(open) = open_door(instance).await
    {
        ok = false;
        message = open;
    }
    let mut details = details(&nodes, now_ms);
    let checks = instance
        .sources
        .stores
        .iter()
        .map(|store| async move { (store, store.check().await) });
    for (store, checked) in futures_util::future::join_all(checks).await {
        let name = &store.settings.name;
        let (answers, text) = match checked {
            Ok(()) => (true, format!("the store {name:?} answers")),
            Err(error) => (false, error.text()),
        };
        // Stores may be all there is.
        ok = answers && (ok || nodes.is_empty());
        message = match (nodes.is_empty(), answers) {
            (true, _) => text.clone(),
            (false, _) => format!("{message}; {text}"),
        };
        let line = json!({ "store": name, "url": store.settings.url, "ok": answers, "text": text });
        match &mut details["stores"] {
            Value::Array(list) => list.push(line),
            other => *other = json!([line]),
        }
    }
    let servers = instance.sources.vast.iter();
    let checks = servers.map(|server| async move { (server, server.check().await) });
    for (server, checked) in futures_util::future::join_all(checks).await {
        let name = &server.settings.name;
        let (answers, text) = match checked {
            Ok(text) => (true, format!("the VAST server {name:?} {text}")),
            Err(error) => (false, format!("the VAST server {name:?} {error}")),
        };
        let alone = nodes.is_empty() && instance.sources.stores.is_empty();
        ok = answers && (ok || alone);
        message = match alone {
            true => text.clone(),
            false => format!("{message}; {text}"),
        };
        let line = json!({ "vast": name, "url": server.settings.url, "ok": answers, "text": text });
        match &mut details["vast"] {
            Value::Array(list) => list.push(line),
            other => *other = json!([line]),
        }
    }
    Health { ok, message, details }
}

/// With everybody held to what is theirs: an agent that answers without token or certificate shows everything to whoever
/// can reach it, past Grafana.
async fn open_door(instance: &Instance) -> Option<String> {
    let mut config = instance.settings.fleet_config();
    config.token = None;
    config.tls.client_cert_pem = None;
    config.tls.client_key_pem = None;
    let stranger = Fleet::new(config).ok()?;
    let nodes = stranger.inventory().await;
    let open: Vec<&str> = nodes
        .iter()
        .filter(|node| node.info.is_ok())
        .map(|node| node.instance.as_str())
        .collect();
    let first = open.first()?;
    let others = match open.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Some(format!(
        "people are held to what is theirs, but the agent {first}{others} answers without a token, so that everybody who can reach \
         it sees everything; set `token_file` in the agent's configuration and the token here"
    ))
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// What is wrong and what to do, or what is there.
fn sentence(nodes: &[NodeStatus], threshold: f64, now_ms: i64) -> (bool, String) {
    if nodes.is_empty() {
        return (
            false,
            "no agents are configured; add the URL of at least one agent or hub, such as http://node1:9477"
                .to_owned(),
        );
    }
    let failed: Vec<(&NodeStatus, &ApiError)> = nodes
        .iter()
        .filter_map(|node| node.info.as_ref().err().map(|error| (node, error)))
        .collect();
    let answered = nodes.len() - failed.len();
    if failed.is_empty() {
        return all_answered(nodes, now_ms);
    }
    let what = worst(&failed);
    if answered == 0 {
        let who = if nodes.len() == 1 {
            "the agent does not answer".to_owned()
        } else {
            format!("none of the {} agents answers", nodes.len())
        };
        return (false, format!("{who}; {what}"));
    }
    let enough = answered as f64 / nodes.len() as f64 >= threshold;
    (
        enough,
        format!("{answered} of {} agents answer; {what}", nodes.len()),
    )
}

/// The failure that most of the silent share, told by its first node. A failure that a setting cures comes first: it
/// concerns all nodes alike.
fn worst(failed: &[(&NodeStatus, &ApiError)]) -> String {
    let mut groups: BTreeMap<(u8, u8), Vec<&(&NodeStatus, &ApiError)>> = BTreeMap::new();
    for entry in failed {
        let weight = match entry.1.kind {
            ApiErrorKind::Unauthorized => 0,
            ApiErrorKind::WrongInstance => 1,
            _ => 2,
        };
        groups
            .entry((weight, entry.1.kind as u8))
            .or_default()
            .push(entry);
    }
    let Some(group) = groups.values().max_by_key(|group| group.len()) else {
        return String::new();
    };
    let Some((node, error)) = group.first() else {
        return String::new();
    };
    let others: Vec<&str> = failed
        .iter()
        .filter(|(other, _)| other.url != node.url)
        .map(|(other, _)| other.instance.as_str())
        .collect();
    let mut text = format!("{}: {}", node.instance, error.message);
    if !others.is_empty() {
        let named = others.iter().take(4).copied().collect::<Vec<_>>().join(", ");
        let more = others.len().saturating_sub(4);
        text.push_str(&format!(" (also silent: {named}"));
        text.push_str(&if more > 0 {
            format!(" and {more} more)")
        } else {
            ")".to_owned()
        });
    }
    text
}

fn all_answered(nodes: &[NodeStatus], now_ms: i64) -> (bool, String) {
    let infos = || {
        nodes
            .iter()
            .filter_map(|node| node.info.as_ref().ok().map(|info| (node, info)))
    };
    if let Some((node, info)) = infos().find(|(_, info)| !compatible(&info.version)) {
        return (
            false,
            format!(
                "{}: the agent is version {}, the plugin {OWN_VERSION}; bring both to the same version",
                node.instance, info.version
            ),
        );
    }
    let skewed = infos().find(|(_, info)| info.now_ms.abs_diff(now_ms) > CLOCK_MS);
    if let Some((node, info)) = skewed {
        return (
            true,
            format!(
                "all {} agents answer, but the clock of {} differs from this machine's by {} s; synchronise it (chrony, \
                 ntp), or its samples appear at the wrong time",
                nodes.len(),
                node.instance,
                info.now_ms.abs_diff(now_ms) / 1000
            ),
        );
    }
    let series: u64 = infos().map(|(_, info)| info.series).sum();
    let gpus: usize = infos().map(|(_, info)| info.gpus.len()).sum();
    let who = if nodes.len() == 1 {
        "the agent answers".to_owned()
    } else {
        format!("all {} agents answer", nodes.len())
    };
    (
        true,
        format!("{who}: {series} series, {gpus} GPUs, version {OWN_VERSION}"),
    )
}

/// The same major and minor version speak the same protocol.
fn compatible(version: &str) -> bool {
    let parts = |text: &str| text.split('.').take(2).map(ToOwned::to_owned).collect::<Vec<_>>();
    parts(version) == parts(OWN_VERSION)
}

fn details(nodes: &[NodeStatus], now_ms: i64) -> Value {
    // The silent first: a list that is cut short must not hide them.
    let mut lines: Vec<(bool, Value)> = nodes
        .iter()
        .map(|node| {
            let line = match &node.info {
                Ok(info) => node_line(node, info, now_ms),
                Err(error) => json!({
                    "instance": node.instance, "url": node.url, "ok": false, "error": error.message, "kind": error.kind,
                }),
            };
            (node.info.is_ok(), line)
        })
        .collect();
    lines.sort_by_key(|(ok, _)| *ok);
    let verbose: Vec<String> = lines
        .iter()
        .take(LINES)
        .map(|(_, line)| text_line(line))
        .collect();
    json!({
        "expected": nodes.len(),
        "answered": nodes.iter().filter(|node| node.info.is_ok()).count(),
        "nodes": lines.iter().take(LINES).map(|(_, line)| line).collect::<Vec<_>>(),
        // Grafana shows this text when the details are opened.
        "verboseMessage": verbose.join("\n"),
    })
}

fn node_line(node: &NodeStatus, info: &NodeInfo, now_ms: i64) -> Value {
    let failed: Vec<Value> = info
        .collectors
        .iter()
        .filter_map(|collector| match &collector.state {
            CollectorState::Failed { error } => Some(json!({ "collector": collector.name, "error": error })),
            _ => None,
        })
        .collect();
    json!({
        "instance": node.instance, "url": node.url, "ok": true, "version": info.version, "series": info.series,
        "gpus": info.gpus.len(), "clockDifferenceMs": info.now_ms - now_ms, "failedCollectors": failed,
    })
}

fn text_line(line: &Value) -> String {
    let text = |key: &str| line[key].as_str().unwrap_or_default();
    let name = text("instance");
    if line["ok"] == json!(true) {
        let failed = line["failedCollectors"].as_array().map_or(0, Vec::len);
        let failed = if failed > 0 {
            format!(", {failed} collectors fail")
        } else {
            String::new()
        };
        format!(
            "{name}: {} series, {} GPUs, version {}{failed}",
            line["series"],
            line["gpus"],
            text("version")
        )
    } else {
        format!("{name}: {}", text("error"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(version: &str) -> NodeInfo {
        NodeInfo {
            leaf_id: "l".to_owned(),
            instance: "n".to_owned(),
            version: version.to_owned(),
            labels: BTreeMap::new(),
            now_ms: 0,
            oldest_ms: None,
            newest_ms: None,
            series: 7,
            history_bytes: 0,
            collectors: Vec::new(),
            gpus: Vec::new(),
            metrics: BTreeMap::new(),
        }
    }

    fn node(name: &str, info: Result<NodeInfo, ApiError>) -> NodeStatus {
        NodeStatus {
            instance: name.to_owned(),
            url: format!("http://{name}"),
            info,
        }
    }

    fn silent(name: &str, kind: ApiErrorKind, message: &str) -> NodeStatus {
        node(name, Err(ApiError::new(kind, message)))
    }

    #[test]
    fn says_what_to_do_for_each_state_of_the_fleet() {
        let (ok, text) = sentence(&[], 0.9, 0);
        assert!(!ok && text.contains("add the URL"), "{text}");

        let (ok, text) = sentence(&[node("a", Ok(info(OWN_VERSION)))], 0.9, 0);
        assert_eq!(
            (ok, text.as_str()),
            (
                true,
                &*format!("the agent answers: 7 series, 0 GPUs, version {OWN_VERSION}")
            )
        );

        let refused = || {
            silent(
                "b",
                ApiErrorKind::Unreachable,
                "connection refused; start the agent",
            )
        };
        let (ok, text) = sentence(&[refused()], 0.9, 0);
        assert_eq!(
            (ok, text.as_str()),
            (
                false,
                "the agent does not answer; b: connection refused; start the agent"
            )
        );

        let half = [node("a", Ok(info(OWN_VERSION))), refused()];
        assert!(!sentence(&half, 0.9, 0).0);
        let (ok, text) = sentence(&half, 0.5, 0);
        assert_eq!(
            (ok, text.as_str()),
            (
                true,
                "1 of 2 agents answer; b: connection refused; start the agent"
            )
        );

        let (ok, text) = sentence(&[node("a", Ok(info("9.9.0")))], 0.9, 0);
        assert!(!ok && text.contains("version 9.9.0"), "{text}");

        let (ok, text) = sentence(&[node("a", Ok(info(OWN_VERSION)))], 0.9, 60_000);
        assert!(
            ok && text.contains("clock of a differs from this machine's by 60 s"),
            "{text}"
        );
    }

    #[test]
    fn the_failure_most_nodes_share_is_told_and_the_others_are_named() {
        let nodes = [
            silent("a", ApiErrorKind::Unreachable, "connection refused"),
            silent("b", ApiErrorKind::Unauthorized, "refused our token"),
            silent("c", ApiErrorKind::Unauthorized, "refused our token"),
        ];
        let (ok, text) = sentence(&nodes, 0.9, 0);
        assert!(!ok);
        assert_eq!(
            text,
            "none of the 3 agents answers; b: refused our token (also silent: a, c)"
        );
    }

    #[test]
    fn the_details_list_the_silent_first() {
        let nodes = [
            node("a", Ok(info(OWN_VERSION))),
            silent("b", ApiErrorKind::Timeout, "no answer in 10 s"),
        ];
        let details = details(&nodes, 0);
        assert_eq!(details["nodes"][0]["instance"], "b");
        assert_eq!(
            (&details["expected"], &details["answered"]),
            (&json!(2), &json!(1))
        );
        assert!(
            details["verboseMessage"]
                .as_str()
                .expect("text")
                .starts_with("b: no answer in 10 s\na: 7 series")
        );
    }
}
