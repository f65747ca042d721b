//! What can be wrong with a rule without evaluating it.

use std::path::Path;

use podscope_model::catalog;
use podscope_model::matcher::fixed_name;
use serde_json::Value;

use super::file::Rule;

/// Where the runbook links lead, and the folder that stands for it here.
const RUNBOOKS: &str = "https://github.com/podscope/podscope/blob/main/docs/runbooks/";

/// The folder of the dashboard provider: two folders of one title would confuse people and links.
const FOLDER: &str = "Podscope";

/// Every fault of every rule, as a sentence.
pub(crate) fn faults(rules: &[Rule], home: &Path) -> Vec<String> {
    let mut faults = Vec::new();
    for rule in rules {
        let mut fault = |text: String| faults.push(format!("{}: {text}", rule.uid));
        match podscope_promql::parse(&rule.expr) {
            Err(error) => fault(format!("its expression: {error}")),
            Ok(parsed) => {
                for matchers in parsed.selectors() {
                    match fixed_name(&matchers) {
                        None => fault("a selector without a metric name".to_owned()),
                        Some(name) if catalog::find(name).is_none() => {
                            fault(format!("the catalog has no metric {name}"));
                        }
                        Some(_) => {}
                    }
                }
            }
        }
        if rule.folder != FOLDER {
            fault(format!(
                "its folder must be {FOLDER:?}, the dashboards' own, it is {:?}",
                rule.folder
            ));
        }
        if !matches!(
            rule.labels.get("severity").map(String::as_str),
            Some("critical" | "warning" | "info")
        ) {
            fault("the label severity must be critical, warning or info".to_owned());
        }
        if rule.annotations.get("summary").is_none_or(String::is_empty) {
            fault("the annotation summary is missing".to_owned());
        }
        match rule
            .annotations
            .get("runbook_url")
            .and_then(|url| url.strip_prefix(RUNBOOKS))
        {
            None => fault(format!("the annotation runbook_url must begin with {RUNBOOKS}")),
            Some(page) if !home.join("docs/runbooks").join(page).is_file() => {
                fault(format!("docs/runbooks/{page} does not exist"));
            }
            Some(_) => {}
        }
        if let Some((dashboard, panel)) = &rule.panel
            && !has_panel(home, dashboard, *panel)
        {
            fault(format!("dashboards/{dashboard}.json has no panel {panel}"));
        }
    }
    faults
}

fn has_panel(home: &Path, dashboard: &str, panel: i64) -> bool {
    let read = std::fs::read_to_string(home.join("dashboards").join(format!("{dashboard}.json")));
    let Some(board) = read
        .ok()
        .and_then(|text| serde_json::from_str::<Value>(&text).ok())
    else {
        return false;
    };
    let panels = |value: &Value| value["panels"].as_array().cloned().unwrap_or_default();
    panels(&board)
        .iter()
        .flat_map(|panel| std::iter::once(panel.clone()).chain(panels(panel)))
        .any(|found| found["id"].as_i64() == Some(panel) && found["type"] != "row")
}
