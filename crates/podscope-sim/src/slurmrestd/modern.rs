//! The differences of versions 0.0.40 to 0.0.42 from 0.0.38: numbers that say whether they are set, states as lists, renamed and
//! nested keys.

use podscope_collect::slurm::Job;
use serde_json::{Map, Value, json};

use super::shapes::Version;

/// Keys that kept plain integers.
const PLAIN: [&str; 15] = [
    "job_id",
    "user_id",
    "group_id",
    "association_id",
    "restart_cnt",
    "nice",
    "cpus",
    "alloc_cpus",
    "alloc_idle_cpus",
    "cpu_load",
    "real_memory",
    "alloc_memory",
    "port",
    "weight",
    "type_id",
];

/// A number that says that it is set.
pub(super) fn number(value: impl Into<Value>) -> Value {
    json!({"set": true, "infinite": false, "number": value.into()})
}

fn numbers(object: &mut Map<String, Value>, plain: &[&str]) {
    for (_, value) in object
        .iter_mut()
        .filter(|(key, _)| !plain.contains(&key.as_str()))
    {
        if value.is_number() {
            *value = number(value.take());
        } else if value.is_null() {
            *value = json!({"set": false, "infinite": false, "number": 0});
        }
    }
}

fn rename(object: &mut Map<String, Value>, old: &str, new: &str) {
    if let Some(value) = object.remove(old) {
        object.insert(new.to_owned(), value);
    }
}

fn in_list(value: Option<&Value>) -> Value {
    json!([value.and_then(Value::as_str).unwrap_or("UNKNOWN").to_uppercase()])
}

pub(super) fn job(version: Version, old: Value) -> Value {
    let Value::Object(mut job) = old else { return old };
    let resources = job.remove("job_resources");
    let code = job.get("exit_code").and_then(Value::as_u64).unwrap_or(0);
    // A job's CPUs are an object, a node's are not.
    let plain: Vec<&str> = PLAIN.into_iter().filter(|key| *key != "cpus").collect();
    numbers(&mut job, &plain);
    job.insert("job_state".to_owned(), in_list(job.get("job_state")));
    let status = if code == 0 { "SUCCESS" } else { "ERROR" };
    let exit = json!({"status": [status], "return_code": number(code >> 8), "signal": {"id": {"set": false, "infinite": false, "number": 0}, "name": ""}});
    for key in ["exit_code", "derived_exit_code"] {
        job.insert(key.to_owned(), exit.clone());
    }
    let per_node = job
        .get("tres_per_node")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let per_node = per_node.replace("gres:gpu", "gres/gpu");
    job.insert("tres_per_node".to_owned(), json!(per_node));
    let resources = match (version, resources) {
        (Version::V42, Some(Value::Object(resources))) => Some(modern_resources(&resources)),
        (_, resources) => resources,
    };
    if let Some(resources) = resources {
        job.insert("job_resources".to_owned(), resources);
    }
    if version == Version::V42 {
        job.insert("priority_by_partition".to_owned(), json!([]));
        job.insert("required_switches".to_owned(), number(0));
        job.remove("show_flags");
    }
    Value::Object(job)
}

fn modern_resources(old: &Map<String, Value>) -> Value {
    let nodes = old.get("allocated_nodes").and_then(Value::as_array);
    let allocation: Vec<Value> = nodes
        .into_iter()
        .flatten()
        .enumerate()
        .map(|(index, node)| {
            json!({"index": index, "name": node.get("nodename"), "cpus": {"count": 1, "used": 0},
                "memory": {"used": 0, "allocated": 1000},
                "sockets": [{"index": 0, "cores": [{"index": 0, "status": ["ALLOCATED"]}]}]})
        })
        .collect();
    json!({"select_type": ["CORE", "MEMORY"], "cpus": old.get("allocated_cores"), "threads_per_core": number(0),
        "nodes": {"count": allocation.len(), "select_type": ["AVAILABLE"], "list": old.get("nodes"), "whole": false,
            "allocation": allocation}})
}

pub(super) fn node(old: Value) -> Value {
    let Value::Object(mut node) = old else { return old };
    let flags = node.remove("state_flags").unwrap_or_default();
    let mut states = in_list(node.get("state"));
    if let (Value::Array(states), Value::Array(flags)) = (&mut states, flags) {
        states.extend(flags);
    }
    rename(&mut node, "free_memory", "free_mem");
    rename(&mut node, "idle_cpus", "alloc_idle_cpus");
    rename(&mut node, "slurmd_version", "version");
    numbers(&mut node, &PLAIN);
    node.insert("state".to_owned(), states);
    Value::Object(node)
}

pub(super) fn partition(old: &Value) -> Value {
    json!({
        "name": old["name"],
        "nodes": {"allowed_allocation": "", "configured": old["nodes"], "total": old["total_nodes"]},
        "cpus": {"task_binding": 0, "total": old["total_cpus"]},
        "tres": {"billing_weights": "", "configured": old["tres"]},
        "maximums": {"time": number(old["max_time_limit"].clone()), "nodes": {"set": true, "infinite": true, "number": 0}},
        "partition": {"state": [old["state"]]},
        "priority": {"job_factor": 1, "tier": 1},
    })
}

pub(super) fn statistics(old: Value) -> Value {
    let Value::Object(mut statistics) = old else {
        return old;
    };
    for key in [
        "req_time",
        "req_time_start",
        "job_states_ts",
        "bf_when_last_cycle",
    ] {
        if let Some(value) = statistics.get_mut(key) {
            *value = number(value.take());
        }
    }
    Value::Object(statistics)
}

pub(super) fn past_job(old: Value, job: &Job) -> Value {
    let Value::Object(mut past) = old else { return old };
    if let Some(Value::Object(state)) = past.get_mut("state") {
        let current = in_list(state.get("current"));
        state.insert("current".to_owned(), current);
    }
    if let Some(Value::Object(time)) = past.get_mut("time") {
        for key in ["limit", "planned"] {
            let value = time.get(key).cloned().unwrap_or(json!(0));
            time.insert(key.to_owned(), number(value));
        }
    }
    past.insert("restart_cnt".to_owned(), json!(job.restarts));
    past.insert("submit_line".to_owned(), json!("sbatch train.sh"));
    past.insert("used_gres".to_owned(), json!(""));
    let exit = json!({"status": ["SUCCESS"], "return_code": number(0), "signal": {"id": {"set": false, "infinite": false, "number": 0}, "name": ""}});
    past.insert("exit_code".to_owned(), exit);
    Value::Object(past)
}
