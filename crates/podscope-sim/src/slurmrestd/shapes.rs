//! The answers. Version 0.0.38 has the keys and types of a real slurmrestd 22.05; a test compares the two. Later versions are
//! made of it by the differences that are known of them.

use podscope_collect::slurm::{Job, JobState, Snapshot};
use serde_json::{Map, Value, json};

use super::modern::{self, number};

/// A version of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    V38,
    V40,
    V41,
    V42,
}

impl Version {
    pub(super) fn of(text: &str) -> Option<Self> {
        match text {
            "v0.0.38" => Some(Self::V38),
            "v0.0.40" => Some(Self::V40),
            "v0.0.41" => Some(Self::V41),
            "v0.0.42" => Some(Self::V42),
            _ => None,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::V38 => "v0.0.38",
            Self::V40 => "v0.0.40",
            Self::V41 => "v0.0.41",
            Self::V42 => "v0.0.42",
        }
    }

    pub(super) fn has_shares(self) -> bool {
        self >= Self::V40
    }
}

/// What `/openapi/v3` lists, as far as anybody looks at it.
pub(super) fn openapi(versions: &[&str], accounting: bool) -> Value {
    let mut paths = Map::new();
    let get = json!({"get": {"tags": ["slurm"], "responses": {"default": {"description": "answer"}}}});
    for version in versions {
        let slash = if *version == "v0.0.38" { "" } else { "/" };
        for what in ["ping", "diag", "jobs", "nodes", "partitions", "reservations"] {
            paths.insert(format!("/slurm/{version}/{what}{slash}"), get.clone());
        }
        paths.insert(format!("/slurm/{version}/job/{{job_id}}"), get.clone());
        if *version != "v0.0.38" {
            paths.insert(format!("/slurm/{version}/shares"), get.clone());
        }
        if accounting {
            for what in ["jobs", "associations", "accounts"] {
                paths.insert(format!("/slurmdb/{version}/{what}{slash}"), get.clone());
            }
        }
    }
    json!({"openapi": "3.0.2", "info": {"title": "Slurm Rest API"}, "paths": paths})
}

fn meta(version: Version, plugin: &str) -> Value {
    match version {
        Version::V38 => json!({
            "plugin": {"type": format!("openapi/{plugin}{}", version.as_str()), "name": format!("Slurm OpenAPI {}", version.as_str())},
            "Slurm": {"version": {"major": 22, "micro": 8, "minor": 5}, "release": "22.05.8"},
        }),
        _ => json!({
            "plugin": {"type": "openapi/slurmctld", "name": "Slurm OpenAPI slurmctld", "data_parser": format!("data_parser/{}", version.as_str()), "accounting_storage": ""},
            "client": {"source": "[localhost]:40000", "user": "root", "group": "root"},
            "command": [],
            "slurm": {"version": {"major": "24", "micro": "5", "minor": "11"}, "release": "24.11.5", "cluster": "sim"},
        }),
    }
}

/// A list with what stands around it.
fn list(version: Version, plugin: &str, name: &str, items: Vec<Value>, changed_s: i64) -> Value {
    let mut body = Map::new();
    body.insert("meta".to_owned(), meta(version, plugin));
    body.insert("errors".to_owned(), json!([]));
    if version >= Version::V40 {
        body.insert("warnings".to_owned(), json!([]));
        body.insert("last_update".to_owned(), number(changed_s));
        body.insert("last_backfill".to_owned(), number(changed_s));
    }
    body.insert(name.to_owned(), Value::Array(items));
    Value::Object(body)
}

fn now(state: &Snapshot) -> i64 {
    state.diag.as_ref().and_then(|diag| diag.now_s).unwrap_or(0)
}

pub(super) fn ping(version: Version) -> Value {
    match version {
        Version::V38 => {
            json!({"meta": meta(version, ""), "errors": [], "pings": [{"hostname": "slurmctl-1", "ping": "UP", "status": 0, "mode": "primary"}]})
        }
        _ => {
            json!({"meta": meta(version, ""), "errors": [], "warnings": [], "pings": [{"hostname": "slurmctl-1", "pinged": "UP", "responding": true, "latency": 1577, "mode": "primary", "primary": true}]})
        }
    }
}

pub(super) fn no_such_job(version: Version) -> (axum::http::StatusCode, Value) {
    let status = match version {
        Version::V38 => axum::http::StatusCode::INTERNAL_SERVER_ERROR,
        _ => axum::http::StatusCode::NOT_FOUND,
    };
    let error = json!({"description": "unable to find job", "error_number": 2017, "error": "Invalid job id specified", "source": "slurm_load_job"});
    (
        status,
        json!({"meta": meta(version, ""), "errors": [error], "jobs": []}),
    )
}

pub(super) fn jobs(version: Version, state: &Snapshot) -> Value {
    let jobs = state
        .jobs
        .iter()
        .map(|job| job_value(version, state, job))
        .collect();
    list(version, "", "jobs", jobs, now(state))
}

pub(super) fn one_job(version: Version, state: &Snapshot, job: &Job) -> Value {
    list(
        version,
        "",
        "jobs",
        vec![job_value(version, state, job)],
        now(state),
    )
}

fn first_node(job: &Job) -> String {
    podscope_collect::slurm::hostlist::expand(&job.nodes)
        .ok()
        .and_then(|nodes| nodes.into_iter().next())
        .unwrap_or_default()
}

fn tres(job: &Job, allocated: bool) -> String {
    let mut text = format!(
        "cpu={},mem=1000M,node={},billing={}",
        job.cpus,
        job.node_count.max(1),
        job.cpus
    );
    if job.gpus > 0.0 {
        text.push_str(&format!(",gres/gpu={}", job.gpus));
        if allocated {
            text.push_str(&format!(",gres/gpu:h100={}", job.gpus));
        }
    }
    text
}

fn resources(job: &Job) -> Value {
    let nodes = podscope_collect::slurm::hostlist::expand(&job.nodes).unwrap_or_default();
    let allocated: Vec<Value> = nodes
        .iter()
        .map(|node| json!({"sockets": {"0": {"cores": {"0": "allocated"}}}, "nodename": node, "cpus_used": 0, "memory_used": 0, "memory_allocated": 1000}))
        .collect();
    json!({"nodes": job.nodes, "allocated_cores": job.cpus, "allocated_hosts": nodes.len(), "allocated_nodes": allocated})
}

fn job_value(version: Version, state: &Snapshot, job: &Job) -> Value {
    let eligible = job.eligible_s.unwrap_or(0);
    let per_node = match job.gpus / f64::from(job.node_count.max(1)) {
        gpus if gpus > 0.0 => format!("gres:gpu:{gpus}"),
        _ => String::new(),
    };
    let tres_alloc = if job.state.is_running() {
        tres(job, true)
    } else {
        String::new()
    };
    let array = if job.tasks > 1 {
        format!("1-{}", job.tasks)
    } else {
        String::new()
    };
    // A wait status: the exit code in its second byte.
    let exit = if job.state == JobState::Failed { 256 } else { 0 };
    let old = json_object(&[
        ("account", json!(&*job.account)),
        ("accrue_time", json!(eligible)),
        ("admin_comment", json!("")),
        ("array_job_id", json!(job.array_job)),
        ("array_task_id", json!(job.array_task)),
        ("array_max_tasks", json!(0)),
        ("array_task_string", json!(array)),
        ("association_id", json!(1)),
        ("batch_features", json!("")),
        ("batch_flag", json!(true)),
        ("batch_host", json!(first_node(job))),
        ("flags", json!(["JOB_CPUS_SET", "JOB_WAS_RUNNING", "JOB_MEM_SET"])),
        ("burst_buffer", json!("")),
        ("burst_buffer_state", json!("")),
        ("cluster", json!(&*state.cluster)),
        ("cluster_features", json!("")),
        ("command", json!(format!("{}/train.sh", job.work_dir))),
        ("comment", json!("")),
        ("container", json!("")),
        ("contiguous", json!(false)),
        ("core_spec", json!(null)),
        ("thread_spec", json!(null)),
        ("cores_per_socket", json!(null)),
        ("billable_tres", json!(f64::from(job.cpus))),
        ("cpus_per_task", json!(null)),
        ("cpu_frequency_minimum", json!(null)),
        ("cpu_frequency_maximum", json!(null)),
        ("cpu_frequency_governor", json!(null)),
        ("cpus_per_tres", json!("")),
        ("deadline", json!(0)),
        ("delay_boot", json!(0)),
        ("dependency", json!("")),
        ("derived_exit_code", json!(0)),
        ("eligible_time", json!(eligible)),
        ("end_time", json!(job.end_s.unwrap_or(0))),
        ("excluded_nodes", json!("")),
        ("exit_code", json!(exit)),
        ("features", json!("")),
        ("federation_origin", json!("")),
        ("federation_siblings_active", json!("")),
        ("federation_siblings_viable", json!("")),
        ("gres_detail", json!(job.gres)),
        ("group_id", json!(1000)),
        ("group_name", json!("users")),
        ("job_id", json!(job.id)),
        ("job_resources", json!(resources(job))),
        ("job_state", json!(job.state.as_str())),
        ("last_sched_evaluation", json!(eligible)),
        ("licenses", json!("")),
        ("max_cpus", json!(0)),
        ("max_nodes", json!(0)),
        ("mcs_label", json!("")),
        ("memory_per_tres", json!("")),
        ("name", json!(job.name)),
        ("nodes", json!(job.nodes)),
        ("nice", json!(null)),
        ("tasks_per_core", json!(null)),
        ("tasks_per_node", json!(0)),
        ("tasks_per_socket", json!(null)),
        ("tasks_per_board", json!(0)),
        ("cpus", json!(job.cpus)),
        ("node_count", json!(job.node_count)),
        ("tasks", json!(1)),
        ("het_job_id", json!(0)),
        ("het_job_id_set", json!("")),
        ("het_job_offset", json!(0)),
        ("partition", json!(&*job.partition)),
        ("prefer", json!("")),
        ("memory_per_node", json!(1000)),
        ("memory_per_cpu", json!(null)),
        ("minimum_cpus_per_node", json!(job.cpus)),
        ("minimum_tmp_disk_per_node", json!(0)),
        ("preempt_time", json!(0)),
        ("pre_sus_time", json!(0)),
        ("priority", json!(job.id)),
        ("profile", json!(null)),
        ("qos", json!(&*job.qos)),
        ("reboot", json!(false)),
        ("required_nodes", json!("")),
        ("requeue", json!(true)),
        ("resize_time", json!(0)),
        ("restart_cnt", json!(job.restarts)),
        ("resv_name", json!("")),
        ("shared", json!(null)),
        ("show_flags", json!(["SHOW_ALL", "SHOW_DETAIL", "SHOW_LOCAL"])),
        ("sockets_per_board", json!(0)),
        ("sockets_per_node", json!(null)),
        ("start_time", json!(job.start_s.unwrap_or(0))),
        ("state_description", json!("")),
        ("state_reason", json!(&*job.reason)),
        ("standard_error", json!("")),
        ("standard_input", json!("/dev/null")),
        ("standard_output", json!("/dev/null")),
        ("submit_time", json!(job.submit_s.unwrap_or(0))),
        ("suspend_time", json!(0)),
        ("system_comment", json!("")),
        ("time_limit", json!(job.limit_s.map(|limit| limit / 60))),
        ("time_minimum", json!(0)),
        ("threads_per_core", json!(null)),
        ("tres_bind", json!("")),
        ("tres_freq", json!("")),
        ("tres_per_job", json!("")),
        ("tres_per_node", json!(per_node)),
        ("tres_per_socket", json!("")),
        ("tres_per_task", json!("")),
        ("tres_req_str", json!(tres(job, false))),
        ("tres_alloc_str", json!(tres_alloc)),
        ("user_id", json!(1000)),
        ("user_name", json!(&*job.user)),
        ("wckey", json!("")),
        ("current_working_directory", json!(job.work_dir)),
    ]);
    let mut old = old;
    if let (false, Value::Object(job_object)) = (job.state.is_running(), &mut old) {
        job_object.remove("job_resources");
    }
    match version {
        Version::V38 => old,
        _ => modern::job(version, old),
    }
}

fn json_object(pairs: &[(&str, Value)]) -> Value {
    Value::Object(
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()))
            .collect(),
    )
}

pub(super) fn nodes(version: Version, state: &Snapshot) -> Value {
    let nodes = state
        .nodes
        .iter()
        .map(|node| {
            let shown = node.state.shown();
            let mut words = shown.split('+').filter(|word| !word.is_empty());
            let base = words.next().unwrap_or("UNKNOWN").to_lowercase();
            let flags: Vec<&str> = words.collect();
            let used = match node.gpus_alloc {
                used if used > 0.0 => format!("gpu:h100:{used}(IDX:0-{})", used as u64 - 1),
                _ => "gpu:h100:0(IDX:N/A)".to_owned(),
            };
            let user = if node.reason.is_empty() {
                Value::Null
            } else {
                json!("root")
            };
            let old = json_object(&[
                ("architecture", json!("x86_64")),
                ("burstbuffer_network_address", json!("")),
                ("boards", json!(1)),
                ("boot_time", json!(1_795_000_000)),
                ("comment", json!("")),
                ("cores", json!(32)),
                ("cpu_binding", json!(0)),
                ("cpu_load", json!(u64::from(node.cpus_alloc) * 100)),
                ("extra", json!("")),
                ("free_memory", json!(1_000_000)),
                ("cpus", json!(node.cpus)),
                ("last_busy", json!(1_795_000_000)),
                ("features", json!("")),
                ("active_features", json!("")),
                ("gres", json!(format!("gpu:h100:{}", node.gpus))),
                ("gres_drained", json!("N/A")),
                ("gres_used", json!(used)),
                ("mcs_label", json!("")),
                ("name", json!(node.name)),
                ("next_state_after_reboot", json!("invalid")),
                ("address", json!(node.name)),
                ("hostname", json!(node.name)),
                ("state", json!(base)),
                ("state_flags", json!(flags)),
                ("next_state_after_reboot_flags", json!([])),
                ("operating_system", json!("Linux 6.8.0-generic")),
                ("owner", json!(null)),
                ("partitions", json!(node.partitions)),
                ("port", json!(6818)),
                ("real_memory", json!(2_000_000)),
                ("reason", json!(node.reason)),
                ("reason_changed_at", json!(node.reason_since_s.unwrap_or(0))),
                ("reason_set_by_user", json!(user)),
                ("slurmd_start_time", json!(1_795_000_000)),
                ("sockets", json!(2)),
                ("threads", json!(1)),
                ("temporary_disk", json!(0)),
                ("weight", json!(1)),
                (
                    "tres",
                    json!(format!(
                        "cpu={},mem=2000G,billing={},gres/gpu={},gres/gpu:h100={}",
                        node.cpus, node.cpus, node.gpus, node.gpus
                    )),
                ),
                ("slurmd_version", json!(node.version)),
                ("alloc_memory", json!(0)),
                ("alloc_cpus", json!(node.cpus_alloc)),
                ("idle_cpus", json!(node.cpus.saturating_sub(node.cpus_alloc))),
                (
                    "tres_used",
                    json!(format!(
                        "cpu={},gres/gpu={},gres/gpu:h100={}",
                        node.cpus_alloc, node.gpus_alloc, node.gpus_alloc
                    )),
                ),
                ("tres_weighted", json!(f64::from(node.cpus_alloc))),
            ]);
            match version {
                Version::V38 => old,
                _ => modern::node(old),
            }
        })
        .collect();
    list(version, "", "nodes", nodes, now(state))
}

pub(super) fn partitions(version: Version, state: &Snapshot) -> Value {
    let partitions = state
        .partitions
        .iter()
        .map(|partition| {
            let own = || state.nodes.iter().filter(|node| node.partitions.contains(&partition.name));
            let (nodes, cpus) = (own().count(), own().map(|node| node.cpus).sum::<u32>());
            let gpus: f64 = own().map(|node| node.gpus).sum();
            let old = json_object(&[
                ("flags", json!(["default"])),
                ("preemption_mode", json!(["disabled"])),
                ("allowed_allocation_nodes", json!("")),
                ("allowed_accounts", json!("")),
                ("allowed_groups", json!("")),
                ("allowed_qos", json!("")),
                ("alternative", json!("")),
                ("billing_weights", json!("")),
                ("default_memory_per_cpu", json!(null)),
                ("default_memory_per_node", json!(null)),
                ("default_time_limit", json!(null)),
                ("denied_accounts", json!("")),
                ("denied_qos", json!("")),
                ("preemption_grace_time", json!(0)),
                ("maximum_cpus_per_node", json!(-1)),
                ("maximum_memory_per_cpu", json!(null)),
                ("maximum_memory_per_node", json!(null)),
                ("maximum_nodes_per_job", json!(-1)),
                ("max_time_limit", json!(2880)),
                ("min nodes per job", json!(0)),
                ("name", json!(partition.name)),
                ("nodes", json!(partition.nodes)),
                ("over_time_limit", json!(null)),
                ("priority_job_factor", json!(1)),
                ("priority_tier", json!(1)),
                ("qos", json!("")),
                ("state", json!(if partition.up { "UP" } else { "DOWN" })),
                ("total_cpus", json!(cpus)),
                ("total_nodes", json!(nodes)),
                ("tres", json!(format!("cpu={cpus},mem=1500G,node={nodes},billing={cpus},gres/gpu={gpus},gres/gpu:h100={gpus}"))),
            ]);
            match version {
                Version::V38 => old,
                _ => modern::partition(&old),
            }
        })
        .collect();
    list(version, "", "partitions", partitions, now(state))
}

pub(super) fn diag(version: Version, state: &Snapshot) -> Value {
    let diag = state.diag.clone().unwrap_or_default();
    let count = |value: Option<f64>| value.unwrap_or(0.0) as u64;
    let jobs = |wanted: &dyn Fn(&Job) -> bool| state.jobs.iter().filter(|job| wanted(job)).count();
    let types: Vec<Value> = diag
        .rpc_types
        .iter()
        .map(|rpc| json!({"message_type": rpc.name, "type_id": 2003, "count": rpc.count as u64, "average_time": (rpc.total_time / rpc.count.max(1.0)) as u64, "total_time": rpc.total_time as u64}))
        .collect();
    let users: Vec<Value> = diag
        .rpc_users
        .iter()
        .map(|rpc| json!({"user": rpc.name, "user_id": 0, "count": rpc.count as u64, "average_time": (rpc.total_time / rpc.count.max(1.0)) as u64, "total_time": rpc.total_time as u64}))
        .collect();
    let old = json_object(&[
        ("rpcs_by_message_type", json!(types)),
        ("rpcs_by_user", json!(users)),
        ("parts_packed", json!(1)),
        ("req_time", json!(diag.now_s.unwrap_or(0))),
        ("req_time_start", json!(1_795_000_000)),
        ("server_thread_count", json!(count(diag.threads))),
        ("agent_queue_size", json!(count(diag.agent_queue))),
        ("agent_count", json!(0)),
        ("agent_thread_count", json!(0)),
        ("dbd_agent_queue_size", json!(count(diag.dbd_queue))),
        ("gettimeofday_latency", json!(29)),
        ("schedule_cycle_max", json!(160)),
        ("schedule_cycle_last", json!(count(diag.cycle_last))),
        ("schedule_cycle_total", json!(21)),
        ("schedule_cycle_mean", json!(count(diag.cycle_mean))),
        ("schedule_cycle_mean_depth", json!(0)),
        ("schedule_cycle_per_minute", json!(count(diag.cycles_per_minute))),
        ("schedule_queue_length", json!(2)),
        ("jobs_submitted", json!(jobs(&|_| true))),
        ("jobs_started", json!(jobs(&|job| job.started_s().is_some()))),
        (
            "jobs_completed",
            json!(jobs(&|job| job.state == JobState::Completed)),
        ),
        (
            "jobs_canceled",
            json!(jobs(&|job| job.state == JobState::Cancelled)),
        ),
        ("jobs_failed", json!(jobs(&|job| job.state == JobState::Failed))),
        ("jobs_pending", json!(jobs(&|job| job.state == JobState::Pending))),
        ("jobs_running", json!(jobs(&|job| job.state == JobState::Running))),
        ("job_states_ts", json!(diag.now_s.unwrap_or(0))),
        ("bf_backfilled_jobs", json!(count(diag.backfilled))),
        ("bf_last_backfilled_jobs", json!(count(diag.last_backfilled))),
        ("bf_backfilled_het_jobs", json!(0)),
        ("bf_cycle_counter", json!(6)),
        ("bf_cycle_mean", json!(count(diag.backfill_mean))),
        ("bf_depth_mean", json!(count(diag.backfill_depth_mean))),
        ("bf_depth_mean_try", json!(5)),
        ("bf_cycle_last", json!(count(diag.backfill_last))),
        ("bf_cycle_max", json!(4247)),
        ("bf_queue_len", json!(2)),
        ("bf_queue_len_mean", json!(2)),
        ("bf_table_size", json!(5)),
        ("bf_table_size_mean", json!(3)),
        ("bf_when_last_cycle", json!(1795279734)),
        ("bf_active", json!(false)),
    ]);
    let statistics = match version {
        Version::V38 => old,
        _ => modern::statistics(old),
    };
    let mut body = Map::new();
    body.insert("meta".to_owned(), meta(version, ""));
    body.insert("errors".to_owned(), json!([]));
    if version >= Version::V40 {
        body.insert("warnings".to_owned(), json!([]));
    }
    body.insert("statistics".to_owned(), statistics);
    Value::Object(body)
}

pub(super) fn shares(state: &Snapshot) -> Value {
    let mut id = 1;
    let mut line = |name: &str, parent: &str, kind: &str, share: &podscope_collect::slurm::Share| {
        id += 1;
        json!({
            "id": id, "cluster": &*state.cluster, "name": name, "parent": parent, "partition": "",
            "shares_normalized": number(share.target.unwrap_or(0.0)), "shares": number(1),
            "tres": {"run_seconds": [], "group_minutes": [], "usage": []},
            "effective_usage": number(share.used.unwrap_or(0.0)), "usage_normalized": number(share.used.unwrap_or(0.0)),
            "usage": 0,
            "fairshare": {"factor": number(share.factor.unwrap_or(0.0)), "level": number(share.level.unwrap_or(0.0))},
            "type": [kind],
        })
    };
    let mut shares = Vec::new();
    for share in state.shares.iter() {
        shares.push(line(&share.account, "root", "ASSOCIATION", share));
        shares.push(line(
            &format!("{}-ann", share.account),
            &share.account,
            "USER",
            share,
        ));
    }
    let total = shares.len();
    json!({"shares": {"shares": shares, "total_shares": total}, "meta": meta(Version::V42, ""), "errors": [], "warnings": []})
}

/// slurmdbd's jobs; of the query only `start_time=uts...` counts.
pub(super) fn past(version: Version, state: &Snapshot, query: &str) -> Value {
    let since = query
        .split('&')
        .find_map(|part| part.strip_prefix("start_time=uts")?.parse::<i64>().ok())
        .unwrap_or(0);
    let jobs = state
        .past
        .iter()
        .filter(|job| job.end_s.or(job.start_s).is_none_or(|at| at >= since))
        .map(|job| {
            let end = if job.state.is_ended() { job.end_s.unwrap_or(0) } else { 0 };
            let ran = job.ran_s(now(state));
            let mut tres = vec![
                json!({"type": "cpu", "name": null, "id": 1, "count": job.cpus}),
                json!({"type": "mem", "name": null, "id": 2, "count": 1000}),
                json!({"type": "node", "name": null, "id": 4, "count": job.node_count}),
                json!({"type": "billing", "name": null, "id": 5, "count": job.cpus}),
            ];
            if job.gpus > 0.0 {
                tres.push(json!({"type": "gres", "name": "gpu", "id": 1001, "count": job.gpus as u64}));
            }
            let tres = json!(tres);
            let old = json_object(&[
                ("account", json!(&*job.account)),
                ("comment", json!({"administrator": null, "job": null, "system": null})),
                ("allocation_nodes", json!(job.node_count)),
                ("array", json!({"job_id": job.array_job, "limits": {"max": {"running": {"tasks": 0}}}, "task": null, "task_id": job.array_task})),
                ("association", json!({"account": &*job.account, "cluster": &*state.cluster, "partition": null, "user": &*job.user})),
                ("cluster", json!(&*state.cluster)),
                ("constraints", json!("")),
                ("container", json!(null)),
                ("derived_exit_code", json!({"status": "SUCCESS", "return_code": 0})),
                ("time", json!({"elapsed": ran, "eligible": job.eligible_s.unwrap_or(0), "end": end, "start": job.started_s().unwrap_or(0), "submission": job.submit_s.unwrap_or(0), "suspended": 0, "system": {"seconds": 0, "microseconds": 0}, "limit": job.limit_s.unwrap_or(0) / 60, "total": {"seconds": 0, "microseconds": 0}, "user": {"seconds": 0, "microseconds": 0}})),
                ("exit_code", json!({"status": "SUCCESS", "return_code": 0})),
                ("flags", json!(["CLEAR_SCHEDULING", "STARTED_ON_BACKFILL"])),
                ("group", json!("users")),
                ("het", json!({"job_id": 0, "job_offset": null})),
                ("job_id", json!(job.id)),
                ("name", json!(job.name)),
                ("mcs", json!({"label": ""})),
                ("nodes", json!(if job.nodes.is_empty() { "None assigned" } else { &job.nodes })),
                ("partition", json!(&*job.partition)),
                ("priority", json!(job.id)),
                ("qos", json!(&*job.qos)),
                ("required", json!({"CPUs": job.cpus, "memory": 1000})),
                ("kill_request_user", json!(null)),
                ("reservation", json!({"id": 0, "name": 0})),
                ("state", json!({"current": job.state.as_str(), "reason": "None"})),
                ("steps", json!([])),
                ("tres", json!({"allocated": if job.started_s().is_some() { tres.clone() } else { json!([]) }, "requested": tres})),
                ("user", json!(&*job.user)),
                ("wckey", json!({"wckey": "", "flags": []})),
                ("working_directory", json!(job.work_dir)),
            ]);
            match version {
                Version::V38 => old,
                _ => modern::past_job(old, job),
            }
        })
        .collect();
    list(version, "db", "jobs", jobs, now(state))
}

pub(super) fn associations(version: Version, state: &Snapshot) -> Value {
    let association = |account: &str, parent: Value, shares: u64, user: Value| {
        json_object(&[
            ("account", json!(account)),
            ("cluster", json!(&*state.cluster)),
            ("default", json!({"qos": null})),
            ("flags", json!([])),
            (
                "max",
                json!({"jobs": {"per": {"count": null, "accruing": null, "submitted": null, "wall_clock": null}, "active": null, "accruing": null, "total": null}, "tres": {"total": [], "minutes": {"per": {"job": []}, "total": []}, "group": {"minutes": [], "active": []}, "per": {"job": [], "node": []}}, "per": {"account": {"wall_clock": null}}}),
            ),
            ("is_default", json!(0)),
            ("min", json!({"priority_threshold": null})),
            ("parent_account", json!(parent)),
            ("partition", json!(null)),
            ("priority", json!(null)),
            ("qos", json!(["normal"])),
            ("shares_raw", json!(shares)),
            ("usage", json!(null)),
            ("user", json!(user)),
        ])
    };
    let mut all = vec![association("root", Value::Null, 1, Value::Null)];
    for share in state.shares.iter() {
        let shares = (share.target.unwrap_or(0.0) * 1000.0).round() as u64;
        all.push(association(&share.account, json!("root"), shares, Value::Null));
        let user = json!(format!("{}-ann", share.account));
        all.push(association(&share.account, Value::Null, 1, user));
    }
    list(version, "db", "associations", all, now(state))
}

#[cfg(test)]
mod tests;
