//! The settings in VMS's answer to `GET /api/clusters/`: those of `system_settings`, in which the prefetch stands, and the
//! version. Only what is a setting is taken: the answer's other 250 keys are figures.

use serde_json::Value;

use super::book::Values;

/// What the label `what` says of these changes.
pub const WHAT: &str = "vast_settings";
/// Keys outside `system_settings` that are settings or versions.
const OWN: [&str; 6] = [
    "sw_version",
    "build",
    "name",
    "enable_similarity",
    "encryption_type",
    "ssd_raid_state",
];
/// Depth of objects that is looked into.
const DEEPEST: usize = 4;

/// The settings of every cluster in an answer: the list itself, or a page of it.
pub fn settings(answer: &Value) -> Option<Values> {
    let list = answer
        .as_array()
        .or_else(|| answer.get("results").and_then(Value::as_array))?;
    let several = list.len() > 1;
    let mut values = Values::new();
    for cluster in list {
        let prefix = match cluster.get("name").and_then(Value::as_str) {
            Some(name) if several => format!("{name}."),
            _ => String::new(),
        };
        for key in OWN {
            if let Some(value) = cluster.get(key) {
                flatten(&format!("{prefix}{key}"), value, 0, &mut values);
            }
        }
        if let Some(Value::Object(settings)) = cluster.get("system_settings") {
            for (key, value) in settings {
                flatten(&format!("{prefix}{key}"), value, 0, &mut values);
            }
        }
    }
    Some(values)
}

fn flatten(name: &str, value: &Value, depth: usize, into: &mut Values) {
    match value {
        Value::Object(inner) if depth < DEEPEST => {
            for (key, value) in inner {
                flatten(&format!("{name}.{key}"), value, depth + 1, into);
            }
        }
        Value::String(text) => drop(into.insert(name.to_owned(), text.clone())),
        other => drop(into.insert(name.to_owned(), other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_prefetch_is_among_the_settings_and_figures_are_not() {
        let answer = json!([{"name": "vast-1", "sw_version": "5.5.0.1", "iops": 305.0, "drr": 1.018,
            "system_settings": {"data_prefetch_enabled": false, "nested": {"limit": 5}, "list": [1, 2]}}]);
        let found = settings(&answer).expect("a list of clusters");
        let pairs: Vec<(&str, &str)> = found
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                ("data_prefetch_enabled", "false"),
                ("list", "[1,2]"),
                ("name", "vast-1"),
                ("nested.limit", "5"),
                ("sw_version", "5.5.0.1")
            ]
        );
        let page = json!({"count": 1, "next": null, "previous": null, "results": answer});
        assert_eq!(settings(&page), Some(found));
        assert_eq!(settings(&json!({"detail": "Invalid token"})), None);
    }
}
