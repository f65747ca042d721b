//! Target lists in Prometheus's own form: groups of addresses with labels, as JSON or YAML.

use std::collections::BTreeMap;

use podscope_fanout::TargetSpec;
use serde::Deserialize;

/// What Prometheus's `file_sd` and `http_sd` carry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Group {
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// Labels that a series has of its own, or that mean something to Prometheus only.
fn is_ours(name: &str) -> bool {
    !name.starts_with("__") && name != "job" && name != "instance"
}

/// Reads a list: JSON, which YAML includes, or YAML.
///
/// # Errors
/// What is wrong with the text, as one line.
pub fn parse(text: &str) -> Result<Vec<TargetSpec>, String> {
    let groups: Vec<Group> = if text.trim().is_empty() {
        Vec::new()
    } else if text.trim_start().starts_with('[') {
        serde_json::from_str(text).map_err(|error| error.to_string())?
    } else {
        serde_saphyr::from_str(text).map_err(|error| error.to_string().replace('\n', " "))?
    };
    let mut targets = Vec::new();
    for group in groups {
        for address in &group.targets {
            targets.push(target(address, &group.labels)?);
        }
    }
    Ok(targets)
}

/// One target: `host:port` or a whole URL; `__scheme__` among the labels makes the former `https`, `instance` names it.
fn target(address: &str, labels: &BTreeMap<String, String>) -> Result<TargetSpec, String> {
    let scheme = labels.get("__scheme__").map_or("http", String::as_str);
    if !matches!(scheme, "http" | "https") {
        return Err(format!(
            "target {address:?}: the label __scheme__ is {scheme:?}; use http or https"
        ));
    }
    if address.trim().is_empty() {
        return Err("an empty target; write host:port".to_owned());
    }
    let url = match address.contains("://") {
        true => address.to_owned(),
        false => format!("{scheme}://{address}"),
    };
    Ok(TargetSpec {
        url,
        instance: labels.get("instance").filter(|name| !name.is_empty()).cloned(),
        labels: labels
            .iter()
            .filter(|(name, value)| is_ours(name) && !value.is_empty())
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
    })
}

/// An address or URL from the configuration.
///
/// # Errors
/// As [`parse`].
pub fn of_address(address: &str, scheme: &str) -> Result<TargetSpec, String> {
    let labels = BTreeMap::from([("__scheme__".to_owned(), scheme.to_owned())]);
    target(address, &labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_yaml_say_the_same() {
        let json = r#"[{"targets":["n1:9477","https://n2:9477/x"],"labels":{"rack":"r1","__meta_x":"y","job":"node","empty":""}}]"#;
        let yaml = "- targets:\n    - n1:9477\n    - 'https://n2:9477/x'\n  labels:\n    rack: r1\n    __meta_x: y\n    job: node\n    empty: ''\n";
        let expected = |url: &str| TargetSpec {
            labels: BTreeMap::from([("rack".to_owned(), "r1".to_owned())]),
            ..TargetSpec::new(url)
        };
        let expected = vec![expected("http://n1:9477"), expected("https://n2:9477/x")];
        assert_eq!(parse(json), Ok(expected.clone()));
        assert_eq!(parse(yaml), Ok(expected));
    }

    #[test]
    fn labels_of_prometheus_decide_scheme_and_name() {
        let text = "- targets: ['n1:9477']\n  labels: {__scheme__: https, instance: node-1}\n";
        let expected = TargetSpec {
            instance: Some("node-1".to_owned()),
            ..TargetSpec::new("https://n1:9477")
        };
        assert_eq!(parse(text), Ok(vec![expected]));
        let wrong = text.replace("https", "ftp");
        assert!(parse(&wrong).expect_err("no such scheme").contains("__scheme__"));
    }

    #[test]
    fn an_empty_list_is_one_and_what_is_no_list_says_so() {
        for text in ["", "\n", "[]", "- targets: []\n"] {
            assert_eq!(parse(text), Ok(Vec::new()), "{text:?}");
        }
        for text in ["[{]", "[{\"targets\": [1]}]", "targets: [a]", "- targets: ['']"] {
            let said = parse(text).expect_err(text);
            assert!(!said.is_empty() && !said.contains('\n'), "{said}");
        }
    }
}
