//! Lists of objects: inventory, events, alarms, the catalog. `fields` trims, filters narrow, `page_size` cuts into pages.

use axum::http::{StatusCode, Uri};
use serde_json::{Map, Value, json};

use super::monitors::written;
use super::property::catalog;
use super::server::{Refusal, Shared};
use super::world::{VmsAlarm, VmsEvent, VmsState};

type Params<'a> = &'a [(String, String)];

/// Parameters that are no filters.
const OWN: [&str; 5] = ["page", "page_size", "fields", "ordering", "format"];

pub(super) fn get(shared: &Shared, resource: &str, params: Params<'_>, uri: &Uri) -> Result<Value, Refusal> {
    let not_found = || Refusal::new(StatusCode::NOT_FOUND, "Not found.");
    let now_ms = shared.world.now_ms();
    let state = shared.state(now_ms);
    let (list_name, id) = match resource.split_once('/') {
        Some((name, id)) => (name, Some(id)),
        None => (resource, None),
    };
    let list = match list_name {
        "" => return Ok(json!({ "clusters": "/api/clusters/", "cnodes": "/api/cnodes/" })),
        "vms" => vec![
            json!({ "id": 1, "name": "vms-1", "sw_version": state.cluster.sw_version, "state": "RUNNING" }),
        ],
        "clusters" => vec![cluster(shared, &state)],
        "cnodes" => cnodes(&state),
        "dnodes" => dnodes(&state),
        "nics" => nics(&state),
        "ssds" => ssds(&state),
        "vips" => vips(&state),
        "vippools" => vippools(&state),
        "views" => views(&state),
        "quotas" => quotas(&state),
        "tenants" => vec![json!({ "id": 1, "name": "default", "guid": guid("tenant", 1) })],
        "events" => events(shared, params, now_ms),
        "alarms" => shared.world.alarms(now_ms).iter().map(alarm).collect(),
        "metrics" | "analytics" => metrics(),
        "monitors" => Vec::new(),
        _ => return Err(not_found()),
    };
    if let Some(id) = id {
        let found = list
            .into_iter()
            .find(|object| object["id"].as_u64().is_some_and(|own| id.parse() == Ok(own)));
        return found.ok_or_else(not_found);
    }
    let list: Vec<Value> = list
        .into_iter()
        .filter(|object| params.iter().all(|(name, value)| passes(object, name, value)))
        .map(|object| trimmed(object, params))
        .collect();
    paged(list, params, uri)
}

fn passes(object: &Value, name: &str, wanted: &str) -> bool {
    if OWN.contains(&name) {
        return true;
    }
    let (field, operator) = name.rsplit_once("__").unwrap_or((name, ""));
    let Some(value) = object.get(field) else {
        return true;
    };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match operator {
        "" => text == wanted,
        "contains" => text.contains(wanted),
        "icontains" => text.to_lowercase().contains(&wanted.to_lowercase()),
        "in" => wanted.split(',').any(|wanted| text == wanted),
        // Times in this form sort as texts.
        "gte" => text.as_str() >= wanted,
        "lte" => text.as_str() <= wanted,
        _ => true,
    }
}

fn trimmed(object: Value, params: Params<'_>) -> Value {
    let Some((_, fields)) = params.iter().find(|(name, _)| name == "fields") else {
        return object;
    };
    let Value::Object(object) = object else {
        return object;
    };
    let wanted: Vec<&str> = fields.split(',').collect();
    object
        .into_iter()
        .filter(|(name, _)| wanted.contains(&name.as_str()))
        .collect::<Map<_, _>>()
        .into()
}

fn paged(list: Vec<Value>, params: Params<'_>, uri: &Uri) -> Result<Value, Refusal> {
    let number = |name: &str| {
        params
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.parse::<usize>())
    };
    let size = match number("page_size") {
        None => return Ok(Value::Array(list)),
        Some(Ok(size)) if size > 0 => size,
        Some(_) => return Err(Refusal::new(StatusCode::BAD_REQUEST, "Invalid page size.")),
    };
    let page = number("page").and_then(Result::ok).unwrap_or(1).max(1);
    let first = (page - 1) * size;
    if page > 1 && first >= list.len() {
        return Err(Refusal::new(StatusCode::NOT_FOUND, "Invalid page."));
    }
    let link = |page: usize| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for (name, value) in params.iter().filter(|(name, _)| name != "page") {
            query.append_pair(name, value);
        }
        query.append_pair("page", &page.to_string());
        format!("http://vms{}?{}", uri.path(), query.finish())
    };
    let count = list.len();
    Ok(json!({
        "count": count,
        "next": (first + size < count).then(|| link(page + 1)),
        "previous": (page > 1).then(|| link(page - 1)),
        "results": list.into_iter().skip(first).take(size).collect::<Vec<_>>(),
    }))
}

fn guid(kind: &str, id: u32) -> String {
    let letters = kind.bytes().fold(0u32, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u32::from(byte))
    });
    format!("{letters:08x}-0000-4000-8000-{id:012x}")
}

fn cluster(shared: &Shared, state: &VmsState) -> Value {
    let cluster = &state.cluster;
    let loads = super::totals::loads(state);
    let load = loads
        .get(&(0, "ProtoCommon".to_owned()))
        .copied()
        .unwrap_or_default();
    let both = load.read.and(load.write);
    json!({
        "id": cluster.id, "guid": guid("cluster", cluster.id), "name": cluster.name,
        "sw_version": cluster.sw_version, "build": cluster.sw_version,
        "state": if cluster.online { "ONLINE" } else { "OFFLINE" }, "uptime": "41 days",
        "up_since": written(shared.world.began_ms()),
        "iops": both.iops, "rd_iops": load.read.iops, "wr_iops": load.write.iops, "md_iops": load.md_iops,
        "bw": both.bw, "rd_bw": load.read.bw, "wr_bw": load.write.bw,
        "latency": both.latency_us, "rd_latency": load.read.latency_us, "wr_latency": load.write.latency_us,
        "rd_latency_ms": load.read.latency_us / 1e3,
        "ssd_raid_state": cluster.ssd_raid_state, "nvram_raid_state": cluster.nvram_raid_state,
        "memory_raid_state": cluster.memory_raid_state,
        "physical_space": cluster.physical_space, "physical_space_in_use": cluster.physical_space_in_use,
        "physical_space_tb": cluster.physical_space / 1e12,
        "logical_space": cluster.logical_space, "logical_space_in_use": cluster.logical_space_in_use,
        "auxiliary_space_in_use": cluster.auxiliary_space_in_use, "drr": cluster.drr,
        "leader_cnode": state.cnodes.first().map(|cnode| cnode.name.clone()),
        "system_settings": cluster.settings,
    })
}

fn cnodes(state: &VmsState) -> Vec<Value> {
    let made = state.cnodes.iter().map(|cnode| {
        json!({
            "id": cnode.id, "guid": guid("cnode", cnode.id), "name": cnode.name, "hostname": cnode.name,
            "ip": cnode.ip, "ip1": cnode.ip, "ip2": null, "mgmt_ip": cnode.ip, "state": cnode.state,
            "is_mgmt": cnode.id == 1, "cores": 48, "cbox": "cbox-1", "cbox_id": 1, "os_version": "12.14.5",
            "cluster": state.cluster.name,
        })
    });
    made.collect()
}

fn dnodes(state: &VmsState) -> Vec<Value> {
    let made = state.dnodes.iter().map(|dnode| {
        json!({ "id": dnode.id, "guid": guid("dnode", dnode.id), "name": dnode.name, "hostname": dnode.name,
            "state": dnode.state, "dbox": "dbox-1", "dbox_id": 1, "cluster": state.cluster.name })
    });
    made.collect()
}

fn nics(state: &VmsState) -> Vec<Value> {
    let made = state.nics.iter().map(|nic| {
        json!({ "id": nic.id, "guid": guid("nic", nic.id), "name": nic.name, "display_name": nic.name,
            "host": nic.cnode, "hostname": nic.cnode, "link_up": true, "state": "ACTIVE" })
    });
    made.collect()
}

fn ssds(state: &VmsState) -> Vec<Value> {
    let made = state.ssds.iter().map(|ssd| {
        json!({ "id": ssd.id, "guid": guid("ssd", ssd.id), "name": ssd.name, "title": ssd.name, "state": "ACTIVE",
            "dbox": "dbox-1", "slot": ssd.id })
    });
    made.collect()
}

fn vips(state: &VmsState) -> Vec<Value> {
    let made = state.vips.iter().map(|vip| {
        json!({ "id": vip.id, "guid": guid("vip", vip.id), "ip": vip.ip, "name": vip.ip, "vippool": vip.vippool,
            "cnode": vip.cnode, "hostname": vip.cnode, "tenant_name": vip.tenant, "tenant_id": 1 })
    });
    made.collect()
}

fn vippools(state: &VmsState) -> Vec<Value> {
    let mut names: Vec<&str> = state.vips.iter().map(|vip| vip.vippool.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let made = names.iter().zip(1_u32..).map(
        |(name, id)| json!({ "id": id, "guid": guid("vippool", id), "name": name, "role": "PROTOCOLS" }),
    );
    made.collect()
}

fn views(state: &VmsState) -> Vec<Value> {
    let made = state.views.iter().map(|view| {
        json!({ "id": view.id, "guid": guid("view", view.id), "name": view.path, "title": view.path, "path": view.path,
            "alias": null, "bucket": null, "protocols": view.protocols, "policy": "default", "policy_id": 1,
            "tenant_id": 1, "tenant_name": view.tenant, "logical_capacity": view.logical_capacity,
            "physical_capacity": view.physical_capacity, "cluster": state.cluster.name, "cluster_id": state.cluster.id })
    });
    made.collect()
}

fn quotas(state: &VmsState) -> Vec<Value> {
    let made = state.quotas.iter().map(|quota| {
        let share = quota.hard_limit.map(|limit| 100.0 * quota.used_capacity / limit);
        json!({ "id": quota.id, "guid": guid("quota", quota.id), "name": quota.name, "path": quota.path,
            "state": quota.state, "tenant_name": quota.tenant, "tenant_id": 1, "soft_limit": quota.soft_limit,
            "hard_limit": quota.hard_limit, "used_capacity": quota.used_capacity, "used_inodes": quota.used_inodes,
            "percent_capacity": share })
    });
    made.collect()
}

/// Newest first; by default the last day.
fn events(shared: &Shared, params: Params<'_>, now_ms: i64) -> Vec<Value> {
    let bound = |name: &str| {
        params
            .iter()
            .find(|(key, _)| key == name)
            .and_then(|(_, value)| value.parse::<jiff::Timestamp>().ok())
            .map(jiff::Timestamp::as_millisecond)
    };
    let from_ms = bound("timestamp__gte").unwrap_or(now_ms - 86_400_000);
    let to_ms = bound("timestamp__lte").unwrap_or(now_ms).min(now_ms);
    let mut found = shared.world.events(from_ms, to_ms);
    found.sort_by_key(|event| std::cmp::Reverse(event.time_ms));
    found.iter().map(event).collect()
}

fn event(event: &VmsEvent) -> Value {
    json!({
        "id": event.id, "guid": format!("event-{}", event.id), "event_type": event.event_type,
        "event_name": event.event_name, "event_message": event.message, "event_origin": "VMS", "event_definition": 11,
        "object_type": event.object_type, "object_id": event.object_id, "object_name": event.object_name,
        "object_guid": guid(&event.object_type, event.object_id), "severity": event.grade.as_str(),
        "timestamp": written(event.time_ms), "cluster": 1, "metadata": {},
    })
}

fn alarm(alarm: &VmsAlarm) -> Value {
    json!({
        "id": alarm.id, "alarm_message": alarm.message, "severity": alarm.grade.as_str(), "event": alarm.id,
        "event_name": alarm.event_name, "event_type": alarm.event_type, "object_type": alarm.object_type,
        "object_id": alarm.object_id, "object_name": alarm.object_name, "timestamp": written(alarm.since_ms),
        "last_updated": written(alarm.updated_ms), "acknowledged": alarm.acknowledged, "metadata": {},
    })
}

fn metrics() -> Vec<Value> {
    let made = catalog().into_iter().zip(1_u32..).map(|((property, types, units), id)| {
        let title = property.name.replace('_', " ");
        json!({ "id": id, "class_name": property.class, "fqn": property.fqn, "object_types": types, "units": units,
            "title": title })
    });
    made.collect()
}
