//! `jobs`: the scheduler's jobs, and with `id` one of them with its nodes and GPUs.

use podscope_model::jobs::JobsQuery;
use serde_json::{Value, json};

use super::params::Params;
use super::{Asker, Reply};

/// What the page gets that names no limit.
const DEFAULT_LIMIT: u32 = 500;

pub(super) async fn list(asker: &Asker, params: &Params) -> Reply {
    let text = |name: &str| params.get(name).unwrap_or_default().trim().to_owned();
    let id = match text("id") {
        id if id.is_empty() => None,
        id => match id.parse::<u64>() {
            Ok(id) => Some(id),
            Err(_) => {
                let message = format!("{id:?} is no job id; an id is a number");
                return Reply::error(400, "bad_data", message);
            }
        },
    };
    let states = text("state");
    let query = JobsQuery {
        id,
        states: states
            .split(',')
            .map(|state| state.trim().to_uppercase())
            .filter(|state| !state.is_empty())
            .collect(),
        account: text("account"),
        partition: text("partition"),
        user: text("user"),
        node: text("node"),
        scope: asker.scope.clone(),
        limit: DEFAULT_LIMIT,
        ..JobsQuery::default()
    };
    match asker.instance.fleet.jobs(query).await {
        Ok(found) => {
            let missing: Option<Value> = found.completeness.notice().map(Value::String);
            Reply::ok(&json!({ "schedulers": found.answers, "missing": missing }))
        }
        Err(error) => Reply::error(502, "execution", error.to_string()),
    }
}
