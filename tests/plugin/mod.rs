//! The built executable under the plugin host, over agents that answer, refuse, hang or babble.

mod agent;
mod events;
mod failures;
mod grafana;
mod judge;
mod life;
mod manifest;
mod queries;
mod resources;
mod scope;
mod simulated;
mod stores;
mod vast;

use std::collections::BTreeMap;

use podscope_testkit::plugin_host::QueryAnswer;
use podscope_testkit::{PluginHost, Query, QueryRequest, Source};
use serde_json::{Value, json};

use agent::FakeAgent;

/// The executable under test.
const EXECUTABLE: &str = env!("CARGO_BIN_EXE_gpx_podscope");

/// The end of every test's time range; the agents' data ends here too.
const END_MS: i64 = 1_700_000_040_000;

async fn host() -> PluginHost {
    PluginHost::start(EXECUTABLE).await.expect("the plugin starts")
}

/// A data source over these agents.
fn source(agents: &[&FakeAgent]) -> Source {
    Source::of_urls(agents.iter().map(|agent| agent.url()))
}

/// Adds a target to a data source.
fn also(source: &mut Source, target: Value) {
    source.json["targets"]
        .as_array_mut()
        .expect("a list")
        .push(target);
}

/// A panel of the last ten minutes.
fn panel(source: &Source, queries: &[Value]) -> QueryRequest {
    let queries = queries
        .iter()
        .zip(["A", "B", "C", "D", "E"])
        .map(|(query, ref_id)| Query {
            interval_ms: 15_000,
            ..Query::new(ref_id, query.clone())
        })
        .collect();
    QueryRequest::new(source.clone(), END_MS - 600_000, END_MS, queries)
}

async fn ask(host: &PluginHost, request: &QueryRequest) -> BTreeMap<String, QueryAnswer> {
    host.query_data(request).await.expect("the call itself succeeds")
}

/// The only answer to a panel with one query.
async fn one(host: &PluginHost, source: &Source, query: Value) -> QueryAnswer {
    let mut answers = ask(host, &panel(source, &[query])).await;
    answers.remove("A").expect("an answer for A")
}

fn expr(text: &str) -> Value {
    json!({ "expr": text, "range": true })
}
