//! `podscope dashboards convert`: a dashboard made for Grafana's Prometheus datasource, pointed at ours. Datasource
//! references and the datasource variable's plugin id change; every other byte of the file stays as it was.

use std::ops::Range;

use crate::json_spans::{Node, Syntax, parse};

/// Grafana's id of the Prometheus datasource plugin.
const PROMETHEUS: &str = "prometheus";
/// Ours.
pub(crate) const OURS: &str = "podscope-fleet-datasource";
const OUR_NAME: &str = "Podscope";

/// What a conversion made and what it left.
#[derive(Debug)]
pub(crate) struct Converted {
    pub(crate) text: String,
    /// References changed.
    pub(crate) changed: usize,
    /// What a person should look at: references that do not say what they refer to.
    pub(crate) left: Vec<String>,
}

/// Why a file cannot be converted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConvertError {
    #[error("not JSON: {0}")]
    Json(#[from] Syntax),
    #[error(
        "this is a {0} dashboard; export it from Grafana in the classic format (share, export, \"classic\") and convert that"
    )]
    NotClassic(String),
    #[error("no dashboard: there is neither `panels` nor `rows` in it")]
    NotADashboard,
    #[error("nothing to convert: no reference to a Prometheus datasource was found")]
    NothingFound,
}

/// Converts a dashboard's text. `uid` is put where the file names a Prometheus datasource by a fixed uid or name;
/// references through a variable (`${ds}`) keep their variable.
pub(crate) fn convert(text: &str, uid: &str) -> Result<Converted, ConvertError> {
    let root = parse(text)?;
    // The HTTP API wraps the dashboard: {"dashboard": {...}, "meta": {...}}.
    let board = root.get("dashboard").unwrap_or(&root);
    if let Some(version) = board.get("apiVersion").and_then(|node| node.string(text)) {
        return Err(ConvertError::NotClassic(version));
    }
    if board.get("panels").is_none() && board.get("rows").is_none() {
        return Err(ConvertError::NotADashboard);
    }
    let mut edits = Edits {
        text,
        uid,
        list: Vec::new(),
        changed: 0,
        left: Vec::new(),
    };
    edits.walk(board, "");
    let Edits {
        mut list,
        changed,
        left,
        ..
    } = edits;
    if changed == 0 {
        return Err(ConvertError::NothingFound);
    }
    list.sort_by_key(|(span, _)| span.start);
    let mut out = String::with_capacity(text.len() + 1024);
    let mut at = 0;
    for (span, replacement) in list {
        out.push_str(text.get(at..span.start).unwrap_or_default());
        out.push_str(&replacement);
        at = span.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    Ok(Converted {
        text: out,
        changed,
        left,
    })
}

struct Edits<'a> {
    text: &'a str,
    uid: &'a str,
    list: Vec<(Range<usize>, String)>,
    changed: usize,
    left: Vec<String>,
}

impl Edits<'_> {
    fn replace(&mut self, node: &Node, value: &str) {
        self.list.push((node.span(), quoted(value)));
    }

    fn is(&self, node: &Node, key: &str, value: &str) -> bool {
        node.get(key).and_then(|child| child.string(self.text)).as_deref() == Some(value)
    }

    fn walk(&mut self, node: &Node, path: &str) {
        match node {
            Node::Array(_, items) => {
                for (index, item) in items.iter().enumerate() {
                    self.walk(item, &format!("{path}[{index}]"));
                }
            }
            Node::Object(_, entries) => {
                self.variable(node);
                self.requirement(node);
                for (key, child) in entries {
                    let here = if path.is_empty() {
                        key.clone()
                    } else {
                        format!("{path}.{key}")
                    };
                    if key == "datasource" {
                        self.reference(child, &here, node);
                    } else {
                        self.walk(child, &here);
                    }
                }
            }
            Node::Other(_) => {}
        }
    }

    /// `"datasource": ...` of a panel, target, variable or annotation.
    fn reference(&mut self, node: &Node, path: &str, owner: &Node) {
        match node {
            Node::Object(..) if self.is(node, "type", PROMETHEUS) => {
                if let Some(kind) = node.get("type") {
                    self.replace(kind, OURS);
                    self.changed += 1;
                }
                if let Some(found) = node.get("uid")
                    && found
                        .string(self.text)
                        .is_some_and(|value| !value.starts_with('$'))
                {
                    self.replace(found, self.uid);
                }
            }
            Node::Other(_) => match node.string(self.text) {
                Some(name) if name.eq_ignore_ascii_case(PROMETHEUS) => {
                    let reference = format!("{{\"type\": {}, \"uid\": {}}}", quoted(OURS), quoted(self.uid));
                    self.list.push((node.span(), reference));
                    self.changed += 1;
                }
                // A variable, or one of Grafana's own (`-- Mixed --`, `-- Grafana --`).
                Some(name) if name.starts_with('$') || name.starts_with("--") => {}
                Some(name) => self.left.push(format!(
                    "{path}: the datasource is named {name:?}; its type is not told"
                )),
                None if owner.get("targets").is_some() => {
                    self.left.push(format!(
                        "{path}: no datasource named, so Grafana's default is used"
                    ));
                }
                None => {}
            },
            _ => {}
        }
    }

    /// `{"type": "datasource", "query": "prometheus"}` in the list of variables.
    fn variable(&mut self, node: &Node) {
        if self.is(node, "type", "datasource")
            && self.is(node, "query", PROMETHEUS)
            && let Some(query) = node.get("query")
        {
            self.replace(query, OURS);
            self.changed += 1;
        }
    }

    /// Entries of `__inputs` (`pluginId`) and `__requires` (`id`).
    fn requirement(&mut self, node: &Node) {
        if !self.is(node, "type", "datasource") {
            return;
        }
        for (key, name) in [("pluginId", "pluginName"), ("id", "name")] {
            if !self.is(node, key, PROMETHEUS) {
                continue;
            }
            if let Some(id) = node.get(key) {
                self.replace(id, OURS);
                self.changed += 1;
            }
            // An input's own `name` is what the file refers to as `${name}`; only the plugin's name changes.
            if let Some(shown) = node.get(name) {
                self.replace(shown, OUR_NAME);
            }
        }
    }
}

fn quoted(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOARD: &str = r#"{
  "__inputs": [{"name": "DS_PROM", "label": "Prometheus", "type": "datasource", "pluginId": "prometheus", "pluginName": "Prometheus"}],
  "__requires": [{"type": "datasource", "id": "prometheus", "name": "Prometheus", "version": "1.0.0"}, {"type": "panel", "id": "stat"}],
  "templating": {"list": [
     {"type": "datasource", "name": "ds", "query": "prometheus"},
     {"type": "query", "name": "gpu", "datasource": {"type": "prometheus", "uid": "${ds}"}, "query": "label_values(gpu)"}
  ]},
  "panels": [
    {"title": "prometheus", "datasource": {"type": "prometheus", "uid": "abc"}, "targets": [
      {"expr": "up{job=\"prometheus\"}", "datasource": {"uid": "$ds", "type": "prometheus"}, "x":   1.50 }]},
    {"datasource": {"type": "loki", "uid": "l"}, "targets": []},
    {"datasource": "Prometheus", "targets": []},
    {"datasource": "-- Mixed --", "targets": []}
  ]
}
"#;

    #[test]
    fn changes_references_and_nothing_else() {
        let done = convert(BOARD, "podscope").expect("a classic dashboard");
        let expected = BOARD
            .replace(
                r#""pluginId": "prometheus", "pluginName": "Prometheus""#,
                r#""pluginId": "podscope-fleet-datasource", "pluginName": "Podscope""#,
            )
            .replace(
                r#""id": "prometheus", "name": "Prometheus""#,
                r#""id": "podscope-fleet-datasource", "name": "Podscope""#,
            )
            .replace(
                r#""name": "ds", "query": "prometheus""#,
                r#""name": "ds", "query": "podscope-fleet-datasource""#,
            )
            .replace(
                r#"{"type": "prometheus", "uid": "${ds}"}"#,
                r#"{"type": "podscope-fleet-datasource", "uid": "${ds}"}"#,
            )
            .replace(
                r#"{"type": "prometheus", "uid": "abc"}"#,
                r#"{"type": "podscope-fleet-datasource", "uid": "podscope"}"#,
            )
            .replace(
                r#"{"uid": "$ds", "type": "prometheus"}"#,
                r#"{"uid": "$ds", "type": "podscope-fleet-datasource"}"#,
            )
            .replace(
                r#""datasource": "Prometheus""#,
                r#""datasource": {"type": "podscope-fleet-datasource", "uid": "podscope"}"#,
            );
        assert_eq!(done.text, expected);
        assert_eq!(done.changed, 7);
        assert!(done.left.is_empty(), "{:?}", done.left);
    }

    #[test]
    fn names_what_it_could_not_decide() {
        let board = r#"{"panels": [{"datasource": null, "targets": []}, {"datasource": "Thanos", "targets": []},
            {"datasource": {"type": "prometheus"}}]}"#;
        let done = convert(board, "podscope").expect("one reference is clear");
        assert_eq!(done.left.len(), 2, "{:?}", done.left);
        assert!(done.left[1].contains("panels[1].datasource") && done.left[1].contains("Thanos"));
    }

    #[test]
    fn refuses_what_is_no_classic_dashboard() {
        let v2 = r#"{"apiVersion": "dashboard.grafana.app/v2", "spec": {}}"#;
        assert!(matches!(convert(v2, "p"), Err(ConvertError::NotClassic(_))));
        assert!(matches!(convert("{}", "p"), Err(ConvertError::NotADashboard)));
        assert!(matches!(
            convert("{\"panels\": []}", "p"),
            Err(ConvertError::NothingFound)
        ));
        let broken = convert("{\"panels\": [", "p").expect_err("cut off").to_string();
        assert!(broken.contains("line 1"), "{broken}");
    }
}
