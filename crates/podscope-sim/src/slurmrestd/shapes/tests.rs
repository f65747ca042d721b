use std::path::Path;

use podscope_collect::slurm::Snapshot;
use serde_json::Value;

use super::*;
use crate::slurmrestd::{FixedWorld, SlurmWorld};

const NOW_S: i64 = 1_795_250_000;

fn state() -> Snapshot {
    FixedWorld { origin_s: NOW_S }.at(NOW_S * 1000)
}

/// An answer of a real slurmrestd 22.05.
fn captured(name: &str) -> Value {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../podscope-collect/src/slurm/testdata/slurm-22.05");
    let text = std::fs::read_to_string(folder.join(name)).expect(name);
    serde_json::from_str(&text).expect(name)
}

/// Keys and types, without the contents of lists and free-form objects.
fn shape(value: &Value) -> Vec<(String, &'static str)> {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "object",
    };
    let Value::Object(object) = value else {
        panic!("no object: {value}");
    };
    let mut shape: Vec<(String, &'static str)> = object
        .iter()
        .map(|(key, value)| (key.clone(), kind(value)))
        .collect();
    shape.sort();
    shape
}

/// The same keys; where both have a value, of the same type.
fn assert_same_shape(what: &str, real: &Value, simulated: &Value) {
    let (real, simulated) = (shape(real), shape(simulated));
    assert!(!real.is_empty(), "{what}");
    let keys =
        |shape: &[(String, &str)]| -> Vec<String> { shape.iter().map(|(key, _)| key.clone()).collect() };
    assert_eq!(keys(&real), keys(&simulated), "{what}");
    for ((key, real), (_, simulated)) in real.iter().zip(&simulated) {
        let same = real == simulated || [*real, *simulated].contains(&"null");
        assert!(same, "{what}: {key} is {simulated}, the real one's {real}");
    }
}

#[test]
fn simulated_answers_have_the_keys_and_types_of_a_real_slurmrestd() {
    let state = state();
    let v = Version::V38;
    let cases = [
        ("jobs.json", "/jobs/2", jobs(v, &state), "/jobs/0"),
        ("jobs.json", "/jobs/5", jobs(v, &state), "/jobs/3"),
        ("nodes.json", "/nodes/0", nodes(v, &state), "/nodes/0"),
        ("nodes.json", "/nodes/2", nodes(v, &state), "/nodes/2"),
        (
            "partitions.json",
            "/partitions/0",
            partitions(v, &state),
            "/partitions/0",
        ),
        ("diag.json", "/statistics", diag(v, &state), "/statistics"),
        ("slurmdb_jobs.json", "/jobs/1", past(v, &state, ""), "/jobs/0"),
        (
            "slurmdb_associations.json",
            "/associations/1",
            associations(v, &state),
            "/associations/1",
        ),
        ("ping.json", "/pings/0", ping(v), "/pings/0"),
        ("jobs.json", "/meta", jobs(v, &state), "/meta"),
        ("jobs.json", "", jobs(v, &state), ""),
        ("slurmdb_jobs.json", "", past(v, &state, ""), ""),
    ];
    for (file, real, simulated, own) in cases {
        let captured = captured(file);
        let real_part = captured.pointer(real).expect(real);
        let own = simulated.pointer(own).expect(own);
        assert_same_shape(&format!("{file}{real}"), real_part, own);
    }
}

#[test]
fn later_versions_differ_as_is_known_of_them() {
    let state = state();
    for version in [Version::V40, Version::V41, Version::V42] {
        let body = jobs(version, &state);
        for key in [
            "last_update",
            "last_backfill",
            "warnings",
            "errors",
            "meta",
            "jobs",
        ] {
            assert!(body.get(key).is_some(), "{key}");
        }
        assert!(body["meta"]["slurm"]["version"]["major"].is_string());
        assert!(body["meta"]["plugin"]["data_parser"].is_string());
        let job = &body["jobs"][0];
        for plain in ["job_id", "user_id", "group_id", "restart_cnt"] {
            assert!(job[plain].is_number(), "{plain}");
        }
        for object in [
            "cpus",
            "node_count",
            "time_limit",
            "priority",
            "submit_time",
            "start_time",
            "end_time",
        ] {
            assert!(
                job[object]["set"].is_boolean() && job[object]["number"].is_number(),
                "{object}"
            );
        }
        assert_eq!(job["job_state"], json!(["RUNNING"]));
        assert_eq!(job["tres_per_node"], "gres/gpu:8");
        assert_eq!(job["exit_code"]["status"], json!(["SUCCESS"]));
        assert!(job["exit_code"]["signal"]["id"]["set"].is_boolean());
        let node = &nodes(version, &state)["nodes"][2];
        assert_eq!(node["state"], json!(["IDLE", "DRAIN"]));
        for plain in [
            "cpus",
            "alloc_cpus",
            "alloc_idle_cpus",
            "cpu_load",
            "real_memory",
            "alloc_memory",
            "port",
            "weight",
        ] {
            assert!(node[plain].is_number(), "{plain}");
        }
        assert!(node["free_mem"]["number"].is_number() && node["version"].is_string());
        for gone in ["free_memory", "idle_cpus", "slurmd_version", "state_flags"] {
            assert!(node.get(gone).is_none(), "{gone}");
        }
        let partition = &partitions(version, &state)["partitions"][0];
        assert_eq!(partition["nodes"]["configured"], "n[1-3]");
        assert_eq!(partition["partition"]["state"], json!(["UP"]));
        assert!(partition["maximums"]["time"]["set"].is_boolean());
        let allocation = job["job_resources"].pointer("/nodes/allocation/0/sockets/0/cores/0/status");
        assert_eq!(allocation.is_some(), version == Version::V42);
        assert_eq!(
            job.get("priority_by_partition").is_some(),
            version == Version::V42
        );
        let past = &past(version, &state, "")["jobs"][0];
        assert!(past["state"]["current"].is_array() && past["submit_line"].is_string());
    }
    let share = &shares(&state)["shares"]["shares"][0];
    assert!(share["shares_normalized"]["set"].is_boolean());
    assert!(share["fairshare"]["factor"]["number"].is_number());
}
