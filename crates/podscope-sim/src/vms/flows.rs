//! Who does it: `GET monitors/topn/` and `GET iodata/`.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Map, Value, json};

use super::monitors::written;
use super::server::{Refusal, Shared};
use super::world::{Flow, Load, VmsState};

type Params<'a> = &'a [(String, String)];

fn one<'a>(params: Params<'a>, name: &str) -> Option<&'a str> {
    params
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_str())
}

/// The cluster's snapshots of who is busiest stand at whole minutes.
const SNAPSHOT_MS: i64 = 60_000;

fn cnode_of<'a>(state: &'a VmsState, vip: &str) -> &'a str {
    state
        .vips
        .iter()
        .find(|known| known.ip == vip)
        .map_or("", |known| known.cnode.as_str())
}

fn pool_of<'a>(state: &'a VmsState, vip: &str) -> &'a str {
    state
        .vips
        .iter()
        .find(|known| known.ip == vip)
        .map_or("", |known| known.vippool.as_str())
}

/// `(name) uid [tenant]`
fn user_title(flow: &Flow) -> String {
    format!("({}) {} [{}]", flow.user, flow.uid, flow.tenant)
}

pub(super) fn topn(shared: &Shared, params: Params<'_>) -> Result<Value, Refusal> {
    let bad = |detail: String| Refusal::new(StatusCode::BAD_REQUEST, detail);
    let now_ms = shared.world.now_ms();
    let t_ms = match one(params, "timestamp") {
        None => now_ms,
        Some(text) => text
            .parse::<jiff::Timestamp>()
            .map(jiff::Timestamp::as_millisecond)
            .map_err(|_| bad(format!("Invalid timestamp: {text}")))?,
    };
    let t_ms = t_ms.min(now_ms) - t_ms.min(now_ms).rem_euclid(SNAPSHOT_MS);
    let count: usize = one(params, "count")
        .and_then(|count| count.parse().ok())
        .unwrap_or(10);
    let keys: Vec<&str> = match one(params, "key") {
        Some(key) => vec![key],
        None => vec!["user", "client", "view", "vip", "vippool", "cnode"],
    };
    let state = shared.state(t_ms);
    let mut data = Map::new();
    for key in keys {
        let mut by_title: BTreeMap<String, Load> = BTreeMap::new();
        for flow in &state.flows {
            let title = match key {
                "user" => user_title(flow),
                "client" => flow.host.clone(),
                "view" => flow.view.clone(),
                "vip" => flow.vip.clone(),
                "vippool" => pool_of(&state, &flow.vip).to_owned(),
                "cnode" => cnode_of(&state, &flow.vip).to_owned(),
                "volume" => continue,
                other => return Err(bad(format!("\"{other}\" is not a valid choice."))),
            };
            let entry = by_title.entry(title).or_default();
            *entry = entry.and(flow.load);
        }
        let row = |title: &str, read: f64, write: f64, total: f64| json!({ "title": title, "read": read, "write": write, "total": total });
        let listed = |value: &dyn Fn(&Load) -> (f64, f64, f64)| -> Value {
            let mut rows: Vec<(f64, Value)> = by_title
                .iter()
                .map(|(title, load)| {
                    let (read, write, total) = value(load);
                    (total, row(title, read, write, total))
                })
                .collect();
            rows.sort_by(|a, b| b.0.total_cmp(&a.0));
            rows.into_iter().take(count).map(|(_, row)| row).collect()
        };
        let lists = json!({
            // MB/s
            "bw": listed(&|load| (load.read.bw / 1e6, load.write.bw / 1e6, (load.read.bw + load.write.bw) / 1e6)),
            "iops": listed(&|load| (load.read.iops, load.write.iops, load.read.iops + load.write.iops)),
            "md_iops": listed(&|load| (load.md_iops * 0.7, load.md_iops * 0.3, load.md_iops)),
            // µs
            "latency": listed(&|load| (load.read.latency_us, load.write.latency_us, load.read.and(load.write).latency_us)),
        });
        let lists = match (one(params, "type"), lists) {
            (Some(kind), Value::Object(mut lists)) => {
                json!({ kind: lists.remove(kind).unwrap_or(json!([])) })
            }
            (_, lists) => lists,
        };
        data.insert(key.to_owned(), lists);
    }
    Ok(json!({
        "data": data,
        "timestamp": written(t_ms),
        "previous": written(t_ms - SNAPSHOT_MS),
        "next": (t_ms + SNAPSHOT_MS <= now_ms).then(|| written(t_ms + SNAPSHOT_MS)),
    }))
}

pub(super) fn iodata(shared: &Shared, params: Params<'_>) -> Result<Value, Refusal> {
    let state = shared.state(shared.world.now_ms());
    let limit: usize = one(params, "limit")
        .and_then(|limit| limit.parse().ok())
        .unwrap_or(100);
    let mut flows: Vec<&Flow> = state.flows.iter().collect();
    let bw = |flow: &Flow| flow.load.read.bw + flow.load.write.bw;
    flows.sort_by(|a, b| bw(b).total_cmp(&bw(a)));
    flows.truncate(limit);
    let all: f64 = flows.iter().map(|flow| bw(flow)).sum::<f64>().max(1.0);
    let nodes: Vec<Value> = flows
        .iter()
        .map(|flow| {
            let data = [flow.load.read.bw / 1e6, flow.load.write.bw / 1e6];
            json!([flow.host, { "parent": "host", "data": data, "percent": 100.0 * bw(flow) / all }])
        })
        .collect();
    let mut links = Map::new();
    for flow in &flows {
        let (pool, cnode) = (pool_of(&state, &flow.vip), cnode_of(&state, &flow.vip));
        let view = format!("{0} ({0})", flow.view);
        let user = format!("({}) {}", flow.user, flow.uid);
        let ends = [
            ("vippool", pool),
            ("host", flow.host.as_str()),
            ("vip", flow.vip.as_str()),
            ("cnode", cnode),
            ("view", view.as_str()),
            ("user", user.as_str()),
        ];
        for (kind, name) in ends {
            let Value::Object(of_kind) = links.entry(kind).or_insert(json!({})) else {
                continue;
            };
            let Value::Object(of_name) = of_kind.entry(name).or_insert(json!({})) else {
                continue;
            };
            for (other, other_name) in ends.iter().filter(|(other, _)| *other != kind) {
                if let Value::Array(list) = of_name.entry(*other).or_insert(json!([]))
                    && !list.contains(&json!(other_name))
                {
                    list.push(json!(other_name));
                }
            }
        }
    }
    links.insert("nodes_data".to_owned(), json!(nodes));
    Ok(Value::Object(links))
}
