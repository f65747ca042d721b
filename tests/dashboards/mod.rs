//! Every query of every committed dashboard, run through the plugin's own code against a simulated cluster and a simulated VAST
//! cluster: no error, no empty answer, no unit that is not the catalog's. No Grafana and no Node.js needed; a new dashboard is
//! tested by being there. What no collector of the simulated cluster writes may be empty, and is told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use podscope_model::sample::is_stale;
use podscope_plugin::Plugin;
use podscope_plugin::frames::{Frame, Values};
use podscope_plugin::query::unit;
use podscope_plugin::request::{Context, DataSource, QueryRequest, RawQuery, ResourceRequest, User};
use podscope_sim::vms::{FixedWorld, SimVms, VmsOptions};
use serde_json::{Value, json};

use crate::cluster;

const DATASOURCE: &str = "podscope-fleet-datasource";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

/// Every committed dashboard: file stem and JSON.
fn dashboards() -> BTreeMap<String, Value> {
    let found: BTreeMap<String, Value> = std::fs::read_dir(folder())
        .expect("dashboards/ exists")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("readable");
            let stem = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .expect("a file name")
                .to_owned();
            (
                stem,
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            )
        })
        .collect();
    assert!(found.len() >= 2, "podscope-node and nvidia-dcgm ship");
    found
}

fn panels(board: &Value) -> Vec<&Value> {
    let top = board["panels"].as_array().expect("a dashboard has panels");
    top.iter()
        .flat_map(|panel| std::iter::once(panel).chain(panel["panels"].as_array().into_iter().flatten()))
        .collect()
}

fn targets(panel: &Value) -> Vec<&Value> {
    panel["targets"].as_array().into_iter().flatten().collect()
}

/// The expression with every variable at what matches everything.
fn with_all(expr: &str, board: &Value) -> String {
    let mut expr = expr.to_owned();
    for variable in board["templating"]["list"].as_array().into_iter().flatten() {
        let name = variable["name"].as_str().expect("a variable has a name");
        // What is typed stands for itself.
        let value = match variable["type"].as_str() {
            Some("textbox") => variable["query"].as_str().unwrap_or_default(),
            _ => ".*",
        };
        expr = expr
            .replace(&format!("${{{name}}}"), value)
            .replace(&format!("${name}"), value);
    }
    expr
}

#[test]
fn file_names_are_uids_and_ids_are_unique() {
    let mut uids = BTreeSet::new();
    for (stem, board) in dashboards() {
        assert_eq!(board["uid"].as_str(), Some(stem.as_str()), "file name = uid");
        assert!(uids.insert(stem.clone()));
        let ids: Vec<i64> = panels(&board)
            .iter()
            .map(|panel| panel["id"].as_i64().expect("every panel has an id"))
            .collect();
        assert_eq!(
            ids.iter().collect::<BTreeSet<_>>().len(),
            ids.len(),
            "{stem}: a panel id occurs twice"
        );
    }
}

#[test]
fn every_query_asks_the_chosen_datasource_in_its_own_language() {
    let mut seen = 0;
    for (stem, board) in dashboards() {
        for panel in panels(&board) {
            for target in targets(panel) {
                seen += 1;
                let place = format!("{stem}, panel {}", panel["title"]);
                assert_eq!(target["datasource"]["type"], DATASOURCE, "{place}");
                assert_eq!(target["datasource"]["uid"], "${ds}", "{place}");
                let language = target["queryType"].as_str().unwrap_or_default();
                assert!(
                    ["promql", "events", "inventory"].contains(&language),
                    "{place}: {language}"
                );
            }
        }
    }
    assert!(seen > 20, "only {seen} queries found");
}

#[test]
fn a_panels_unit_is_the_catalogs() {
    let mut certain = 0;
    for (stem, board) in dashboards() {
        for panel in panels(&board) {
            let shown = panel["fieldConfig"]["defaults"]["unit"]
                .as_str()
                .unwrap_or_default();
            for target in targets(panel)
                .into_iter()
                .filter(|target| target["queryType"] == "promql")
            {
                let expr = target["expr"].as_str().expect("a query has an expression");
                if let Some(wanted) = unit::of(&macros_out(&with_all(expr, &board))) {
                    certain += 1;
                    // A column of a table may have a unit of its own.
                    let own = |part: &Value| {
                        let list = part["properties"].as_array().into_iter().flatten();
                        list.into_iter()
                            .any(|entry| entry["id"] == "unit" && entry["value"] == wanted)
                    };
                    let overrides = panel["fieldConfig"]["overrides"].as_array();
                    if !overrides.into_iter().flatten().any(own) {
                        assert_eq!(shown, wanted, "{stem}, panel {}: {expr}", panel["title"]);
                    }
                }
            }
        }
    }
    assert!(certain > 10, "only {certain} units could be told");
}

/// The text with macros replaced by durations, so that it parses.
fn macros_out(expr: &str) -> String {
    expr.replace("$__rate_interval", "1m")
        .replace("$__interval", "15s")
        .replace("$__range", "1h")
}

/// Numbers in an answer: cells that are neither absent nor NaN.
fn numbers(frames: &[Frame]) -> usize {
    frames
        .iter()
        .flat_map(|frame| &frame.fields)
        .filter_map(|field| match &field.values {
            Values::Number(cells) => Some(cells),
            _ => None,
        })
        .flatten()
        .filter(|value| !is_stale(**value) && !value.is_nan())
        .count()
}

/// The metrics the simulated cluster and the simulated VAST cluster have.
async fn known(plugin: &Plugin, context: &Context) -> BTreeSet<String> {
    let request = ResourceRequest {
        context: context.clone(),
        method: "GET".to_owned(),
        path: "api/v1/metadata".to_owned(),
        ..ResourceRequest::default()
    };
    let answer = plugin.call_resource(request).await;
    let body: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let names = body["data"].as_object().expect("metadata").keys().cloned();
    let names: BTreeSet<String> = names.collect();
    assert!(names.len() > 50, "only {} metrics", names.len());
    names
}

/// A metric of an expression that nobody collects here.
fn missing(expr: &str, known: &BTreeSet<String>) -> Option<String> {
    let parsed = podscope_promql::parse(&macros_out(expr)).expect("the dashboards' own text");
    let has = |name: &str| {
        known.contains(name)
            || ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|suffix| name.strip_suffix(suffix))
                .any(|base| known.contains(base))
    };
    parsed
        .selectors()
        .iter()
        .filter_map(|matchers| podscope_model::matcher::fixed_name(matchers))
        .find(|name| !has(name))
        .map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_panel_of_every_dashboard_shows_data() {
    let cluster = cluster::shared().await;
    let now = cluster.now_ms();
    let world = FixedWorld {
        prefetch_ms: Some(now - 1_800_000),
        ..FixedWorld::new(now)
    };
    let vms = SimVms::start(world, VmsOptions::default())
        .await
        .expect("a free port");
    let settings = json!({
        "targets": cluster.targets(),
        "timeoutMs": 30_000,
        "vast": [{ "name": "vms-1", "url": vms.url(), "auth": "apiToken", "callsPerMinute": 6_000 }],
    });
    let context = Context {
        org_id: 1,
        plugin_id: DATASOURCE.to_owned(),
        user: Some(User {
            login: "admin".to_owned(),
            email: String::new(),
            role: "Admin".to_owned(),
        }),
        datasource: Some(DataSource {
            uid: "podscope".to_owned(),
            json: settings.to_string().into_bytes(),
            secrets: HashMap::from([("vastToken_vms-1".to_owned(), "vast-token-1".to_owned())]),
            updated_ms: 1,
            ..DataSource::default()
        }),
    };
    let plugin = Plugin::new();
    let known = known(&plugin, &context).await;
    let mut faults = Vec::new();
    let mut asked = 0;
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    for (stem, board) in dashboards() {
        for panel in panels(&board) {
            let queries: Vec<RawQuery> = targets(panel)
                .into_iter()
                .map(|target| {
                    let mut query = target.clone();
                    query["expr"] = with_all(target["expr"].as_str().unwrap_or_default(), &board).into();
                    RawQuery {
                        ref_id: target["refId"].as_str().unwrap_or("A").to_owned(),
                        query_type: target["queryType"].as_str().unwrap_or_default().to_owned(),
                        max_data_points: 300,
                        interval_ms: 5_000,
                        from_ms: now - 15 * 60_000,
                        to_ms: now,
                        json: query.to_string().into_bytes(),
                    }
                })
                .collect();
            if queries.is_empty() {
                continue;
            }
            asked += queries.len();
            let exprs: HashMap<String, String> = targets(panel)
                .into_iter()
                .filter(|target| target["queryType"] == "promql")
                .map(|target| {
                    let expr = with_all(target["expr"].as_str().unwrap_or_default(), &board);
                    (target["refId"].as_str().unwrap_or("A").to_owned(), expr)
                })
                .collect();
            let request = QueryRequest {
                context: context.clone(),
                headers: HashMap::new(),
                queries,
            };
            for (ref_id, answer) in plugin.query_data(request).await {
                let place = format!("{stem}, panel {}, query {ref_id}", panel["title"]);
                match answer {
                    Err(error) => faults.push(format!("{place}: {}", error.text())),
                    Ok(frames) if numbers(&frames) > 0 => *shown.entry(stem.clone()).or_default() += 1,
                    Ok(_) => {
                        // Events need not have happened, and what nobody collects here cannot be shown here.
                        if let Some(expr) = exprs.get(&ref_id) {
                            match missing(expr, &known) {
                                Some(metric) => eprintln!("{place}: no collector of {metric} here"),
                                None => faults.push(format!("{place}: no data")),
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(asked > 20, "only {asked} queries were asked");
    for (stem, _) in dashboards() {
        let shown = shown.get(&stem).copied().unwrap_or(0);
        assert!(shown >= 5, "{stem}: only {shown} queries show anything");
    }
    assert!(
        faults.is_empty(),
        "{} of {asked} queries failed:\n{}",
        faults.len(),
        faults.join("\n")
    );
}
