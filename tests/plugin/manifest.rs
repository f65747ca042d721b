//! The two plugin.json files: the rules of Grafana's schema that decide whether a plugin loads, and ours.

use serde_json::Value;

fn manifest(path: &str) -> Value {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn app() -> Value {
    manifest("plugin.json")
}

fn datasource() -> Value {
    manifest("frontend/src/datasource/plugin.json")
}

/// `^[0-9a-z]+-([0-9a-z]+-)?(app|panel|datasource)$`
fn is_plugin_id(id: &str, kind: &str) -> bool {
    let parts: Vec<&str> = id.split('-').collect();
    let plain = |part: &&str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte.is_ascii_lowercase())
    };
    (2..=3).contains(&parts.len()) && parts.iter().all(plain) && parts.last() == Some(&kind)
}

#[test]
fn both_have_what_grafana_requires_and_no_key_it_does_not_know() {
    // The top-level keys of Grafana 12.4's plugin.schema.json.
    let known = [
        "$schema",
        "alerting",
        "annotations",
        "autoEnabled",
        "backend",
        "buildMode",
        "builtIn",
        "category",
        "dependencies",
        "enterpriseFeatures",
        "executable",
        "extensions",
        "hideFromList",
        "iam",
        "id",
        "includes",
        "info",
        "languages",
        "logs",
        "metrics",
        "multiValueFilterOperators",
        "name",
        "pascalName",
        "preload",
        "queryOptions",
        "roles",
        "routes",
        "skipDataQuery",
        "state",
        "streaming",
        "suggestions",
        "tracing",
        "type",
    ];
    for (manifest, kind) in [(app(), "app"), (datasource(), "datasource")] {
        let object = manifest.as_object().expect("an object");
        for key in ["type", "name", "id", "info", "dependencies"] {
            assert!(object.contains_key(key), "{kind}: {key} is missing");
        }
        for key in object.keys() {
            assert!(known.contains(&key.as_str()), "{kind}: Grafana knows no {key}");
        }
        assert_eq!(manifest["type"], kind);
        let id = manifest["id"].as_str().expect("text");
        assert!(is_plugin_id(id, kind), "{id}");
        for key in ["logos", "version", "updated", "keywords"] {
            assert!(!manifest["info"][key].is_null(), "{id}: info.{key} is missing");
        }
        assert_eq!(manifest["info"]["version"], "%VERSION%");
        assert!(
            manifest["info"]["keywords"]
                .as_array()
                .is_some_and(|list| !list.is_empty()),
            "{id}"
        );
        assert_eq!(manifest["dependencies"]["grafanaDependency"], ">=12.4.0");
    }
}

#[test]
fn the_app_has_no_backend_declares_its_data_source_and_ships_no_dashboard() {
    let app = app();
    assert_eq!(
        (&app["id"], &app["backend"]),
        (&Value::from("podscope-warroom-app"), &Value::from(false))
    );
    let includes = app["includes"].as_array().expect("a list");
    let nested: Vec<&Value> = includes
        .iter()
        .filter(|include| include["type"] == "datasource")
        .collect();
    assert!(
        matches!(nested[..], [only] if only["path"] == "datasource/plugin.json"),
        "{nested:?}"
    );
    for include in includes {
        let kind = include["type"].as_str().expect("text");
        // Dashboards of an include fight those of the file provider.
        assert!(["page", "datasource"].contains(&kind), "{include}");
        if kind == "page" {
            let path = include["path"].as_str().expect("text");
            assert!(
                path.starts_with("/a/podscope-warroom-app") || path.starts_with("/d/"),
                "{path}"
            );
            assert!(
                ["Viewer", "Editor", "Admin"].contains(&include["role"].as_str().expect("text")),
                "{include}"
            );
        }
    }
    assert_eq!(
        includes
            .iter()
            .filter(|include| include["defaultNav"] == true)
            .count(),
        1
    );
}

#[test]
fn every_page_that_links_to_a_dashboard_has_one() {
    let app = app();
    let pages = app["includes"].as_array().expect("a list");
    let uids: Vec<&str> = pages
        .iter()
        .filter_map(|page| page["path"].as_str()?.strip_prefix("/d/"))
        .collect();
    assert!(!uids.is_empty());
    for uid in uids {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("dashboards")
            .join(format!("{uid}.json"));
        let text =
            std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let dashboard: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(dashboard["uid"], uid);
    }
}

#[test]
fn the_data_source_has_the_backend_and_what_alerts_need() {
    let datasource = datasource();
    assert_eq!(datasource["id"], "podscope-fleet-datasource");
    // Beside the app's manifest: packaging puts it there, with `_<os>_<arch>` appended.
    assert_eq!(datasource["executable"], "../gpx_podscope");
    for key in ["backend", "metrics", "alerting", "annotations"] {
        assert_eq!(datasource[key], true, "{key}");
    }
    assert_eq!(datasource["category"], "tsdb");
}
