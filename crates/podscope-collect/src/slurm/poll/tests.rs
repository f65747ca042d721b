use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::*;
use crate::slurm::JobState;

/// A slurmrestd of prepared answers, and what it was asked.
#[derive(Clone, Default)]
struct Scripted {
    /// By the beginning of the target; the longest wins.
    answers: Arc<Mutex<BTreeMap<&'static str, (u16, String)>>>,
    asked: Arc<Mutex<Vec<String>>>,
    retry_after: Option<Duration>,
    /// Bytes per chunk.
    chunk: usize,
}

impl Scripted {
    fn new(answers: &[(&'static str, u16, &str)]) -> Self {
        let scripted = Self {
            chunk: 1000,
            ..Self::default()
        };
        for (target, status, body) in answers {
            scripted.answer(target, *status, body);
        }
        scripted
    }

    fn answer(&self, target: &'static str, status: u16, body: &str) {
        let mut answers = self.answers.lock().expect("not poisoned");
        answers.insert(target, (status, body.to_owned()));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().expect("not poisoned"))
    }

    fn poller(&self) -> Poller {
        Poller::new(Box::new(self.clone()), PollOptions::default())
    }
}

impl SlurmApi for Scripted {
    fn place(&self) -> String {
        "http://slurmctl-1:6820".to_owned()
    }

    fn user(&self) -> String {
        "alice".to_owned()
    }

    fn get(
        &mut self,
        target: &str,
        body: &mut dyn FnMut(Head, &[u8]) -> Result<(), SlurmError>,
    ) -> Result<Head, SlurmError> {
        self.asked.lock().expect("not poisoned").push(target.to_owned());
        let answers = self.answers.lock().expect("not poisoned");
        let found = answers
            .iter()
            .filter(|(begin, _)| target.starts_with(**begin))
            .max_by_key(|(begin, _)| begin.len());
        let (status, text) = match found {
            Some((_, (status, text))) => (*status, text.clone()),
            None => (
                404,
                "Unable find requested URL. Please view /openapi/v3 for API reference.".to_owned(),
            ),
        };
        let head = Head {
            status,
            retry_after: self.retry_after,
        };
        for chunk in text.as_bytes().chunks(self.chunk) {
            body(head, chunk)?;
        }
        Ok(head)
    }
}

const OLD_PATHS: &str = r#"{"openapi": "3.0.2", "paths": {"\/slurm\/v0.0.38\/diag": {}, "\/slurm\/v0.0.38\/jobs": {},
    "\/slurm\/v0.0.37\/jobs": {}, "\/slurm\/v0.0.38\/nodes": {}, "\/slurmdb\/v0.0.38\/jobs": {},
    "\/slurmdb\/v0.0.38\/associations": {}}}"#;
const NEW_PATHS: &str = r#"{"openapi": "3.0.3", "paths": {"/slurm/v0.0.40/jobs/": {}, "/slurm/v0.0.42/jobs/": {},
    "/slurm/v0.0.41/jobs/": {}, "/slurm/v0.0.42/shares": {}}}"#;
const OLD_DIAG: &str = r#"{"meta": {}, "errors": [], "statistics": {"req_time": 1795250000, "server_thread_count": 3,
    "agent_queue_size": 1, "dbd_agent_queue_size": 7, "schedule_cycle_last": 22, "schedule_cycle_mean": 49,
    "bf_cycle_last": 1500, "rpcs_by_message_type": [{"message_type": "REQUEST_PARTITION_INFO", "type_id": 2009,
    "count": 40, "average_time": 42, "total_time": 1720}],
    "rpcs_by_user": [{"user": "root", "user_id": 0, "count": 12, "average_time": 10, "total_time": 120}]}}"#;
const OLD_JOB: &str = r#"{"account": "alpha", "job_id": 1, "name": "train1", "user_name": "ann", "user_id": 1000,
    "partition": "gpu", "qos": "normal", "job_state": "RUNNING", "state_reason": "None", "submit_time": 1795247491,
    "eligible_time": 1795247491, "start_time": 1795247592, "end_time": 1795420392, "time_limit": 2880, "priority": 1177,
    "nodes": "n3", "node_count": 1, "cpus": 4, "gres_detail": ["gpu:h100:2(IDX:0-1)"], "tres_per_node": "gres:gpu:2",
    "tres_req_str": "cpu=4,mem=1000M,node=1,billing=4", "tres_alloc_str": "cpu=4,mem=1000M,node=1,billing=4",
    "exit_code": 0, "restart_cnt": 1, "array_job_id": 0, "array_task_id": null, "cluster": "sim",
    "current_working_directory": "\/home\/ann", "job_resources": {"nodes": "n3", "allocated_nodes": [{"sockets": {"0": {}}}]}}"#;
const NEW_JOB: &str = r#"{"account": "alpha", "job_id": 1, "name": "train1", "user_name": "ann", "user_id": 1000,
    "partition": "gpu", "qos": "normal", "job_state": ["RUNNING"], "state_reason": "None",
    "submit_time": {"set": true, "infinite": false, "number": 1795247491},
    "eligible_time": {"set": true, "infinite": false, "number": 1795247491},
    "start_time": {"set": true, "infinite": false, "number": 1795247592},
    "end_time": {"set": true, "infinite": false, "number": 1795420392},
    "time_limit": {"set": true, "infinite": false, "number": 2880},
    "priority": {"set": true, "infinite": false, "number": 1177},
    "nodes": "n3", "node_count": {"set": true, "infinite": false, "number": 1},
    "cpus": {"set": true, "infinite": false, "number": 4}, "gres_detail": ["gpu:h100:2(IDX:0-1)"],
    "tres_per_node": "gres/gpu:2", "tres_req_str": "cpu=4,mem=1000M,node=1,billing=4",
    "tres_alloc_str": "cpu=4,mem=1000M,node=1,billing=4", "restart_cnt": 1,
    "array_job_id": {"set": true, "infinite": false, "number": 0},
    "array_task_id": {"set": false, "infinite": false, "number": 0}, "cluster": "sim",
    "current_working_directory": "/home/ann",
    "exit_code": {"status": ["SUCCESS"], "return_code": {"set": true, "infinite": false, "number": 0}},
    "job_resources": {"select_type": [], "nodes": {"count": 1, "allocation": [{"index": 0, "sockets": [{"cores": []}]}]}}}"#;
const NODES: &str = r#"{"errors": [], "nodes": [{"name": "n3", "state": "mixed", "gres": "gpu:h100:8",
    "gres_used": "gpu:h100:2(IDX:0-1)", "cpus": 64, "alloc_cpus": 4, "partitions": ["gpu"]}]}"#;

fn jobs(job: &str) -> String {
    format!(r#"{{"meta": {{}}, "errors": [], "jobs": [{job}]}}"#)
}

fn old() -> Scripted {
    Scripted::new(&[
        ("/openapi/v3", 200, OLD_PATHS),
        ("/slurm/v0.0.38/diag", 200, OLD_DIAG),
        ("/slurm/v0.0.38/jobs", 200, &jobs(OLD_JOB)),
        ("/slurm/v0.0.38/nodes", 200, NODES),
        (
            "/slurm/v0.0.38/partitions",
            200,
            r#"{"errors": [], "partitions": [{"name": "gpu", "nodes": "n3", "state": "UP"}]}"#,
        ),
        ("/slurmdb/v0.0.38/jobs", 200, r#"{"errors": [], "jobs": []}"#),
        (
            "/slurmdb/v0.0.38/associations",
            200,
            r#"{"errors": [], "associations": []}"#,
        ),
    ])
}

fn new() -> Scripted {
    let last_update = r#""last_update": {"set": true, "infinite": false, "number": 1795249000}"#;
    let jobs = format!(r#"{{"jobs": [{NEW_JOB}], {last_update}, "errors": [], "warnings": []}}"#);
    Scripted::new(&[
        ("/openapi/v3", 200, NEW_PATHS),
        ("/slurm/v0.0.42/diag/", 200, OLD_DIAG),
        ("/slurm/v0.0.42/jobs/", 200, &jobs),
        ("/slurm/v0.0.42/nodes/", 200, NODES),
        (
            "/slurm/v0.0.42/partitions/",
            200,
            r#"{"partitions": [], "errors": []}"#,
        ),
        (
            "/slurm/v0.0.42/shares",
            200,
            r#"{"shares": {"shares": [], "total_shares": 0}, "errors": []}"#,
        ),
    ])
}

#[test]
fn old_and_new_versions_tell_the_same_of_a_job() {
    let old = old().poller().poll(1_795_250_000).expect("answers");
    let new = new().poller().poll(1_795_250_000).expect("answers");
    assert_eq!((&*old.api, &*new.api), ("v0.0.38", "v0.0.42"));
    assert_eq!(&*old.cluster, "sim");
    assert_eq!(old.jobs, new.jobs);
    let [job] = &*old.jobs else { panic!("one job") };
    assert_eq!((job.id, &*job.user, job.state), (1, "ann", JobState::Running));
    assert_eq!((job.gpus, job.cpus, job.node_count), (2.0, 4, 1));
    assert_eq!(
        job.started_s().zip(job.eligible_s),
        Some((1_795_247_592, 1_795_247_491))
    );
    assert_eq!(
        (job.limit_s, job.restarts, &*job.work_dir),
        (Some(172_800), 1, "/home/ann")
    );
    let diag = old.diag.expect("told");
    assert_eq!((diag.dbd_queue, diag.rpc_users[0].count), (Some(7.0), 12.0));
}

#[test]
fn a_second_round_asks_only_for_what_changed() {
    for (slurm, update) in [(new(), 1_795_249_000), (old(), 1_795_250_000)] {
        let mut poller = slurm.poller();
        poller.poll(1_795_250_000).expect("answers");
        let asked = slurm.asked();
        assert!(
            asked
                .iter()
                .any(|target| target.ends_with("partitions") || target.ends_with("partitions/"))
        );
        let no_change = r#"{"errors": [{"error_number": 1900, "error": "Data has not changed since time specified"}], "jobs": []}"#;
        for jobs in ["/slurm/v0.0.42/jobs/", "/slurm/v0.0.38/jobs"] {
            slurm.answer(jobs, 200, no_change);
        }
        let again = poller.poll(1_795_250_030).expect("answers");
        assert_eq!(again.jobs.len(), 1, "what was known stays");
        assert_eq!(poller.unchanged(), [1, 0]);
        let asked = slurm.asked();
        assert_eq!(asked.len(), 3, "{asked:?}");
        assert!(asked[1].ends_with(&format!("?update_time={update}")), "{asked:?}");
        // 0.0.42 may say it with a status.
        for jobs in ["/slurm/v0.0.42/jobs/", "/slurm/v0.0.38/jobs"] {
            slurm.answer(jobs, 304, "");
        }
        poller.poll(1_795_250_060).expect("answers");
        assert_eq!(poller.unchanged(), [2, 0]);
    }
}

#[test]
fn a_refused_question_for_changes_is_asked_again_for_all() {
    let slurm = old();
    let mut poller = slurm.poller();
    poller.poll(1_795_250_000).expect("answers");
    slurm.asked();
    let odd = r#"{"errors": [{"description": "", "error_number": 0, "error": "Unspecified error"}]}"#;
    slurm.answer("/slurm/v0.0.38/nodes?update_time", 500, odd);
    assert_eq!(poller.poll(1_795_250_030).expect("answers").nodes.len(), 1);
    let asked = slurm.asked();
    assert_eq!(asked.last().map(String::as_str), Some("/slurm/v0.0.38/nodes"));
}

#[test]
fn slurmdbd_is_asked_at_the_start_and_after_a_pause() {
    let slurm = old();
    slurm.answer(
        "/slurmdb/v0.0.38/jobs",
        200,
        r#"{"errors": [], "jobs": [{"job_id": 7, "name": "j", "account": "alpha", "user": "ann", "partition": "gpu",
            "qos": "normal", "nodes": "n1", "time": {"submission": 1795249000, "eligible": 1795249000, "start": 1795249100,
            "end": 1795249500, "limit": 60, "elapsed": 400}, "state": {"current": "FAILED", "reason": "None"},
            "exit_code": {"status": "SUCCESS", "return_code": 0}, "tres": {"allocated": [
            {"type": "cpu", "name": null, "id": 1, "count": 8}, {"type": "gres", "name": "gpu", "id": 1001, "count": 4},
            {"type": "gres", "name": "gpu:h100", "id": 1002, "count": 4}], "requested": []}}]}"#,
    );
    let mut poller = slurm.poller();
    let past = poller.poll(1_795_250_000).expect("answers").past;
    let [job] = &past[..] else { panic!("one job") };
    assert_eq!(
        (job.id, job.state, job.gpus, job.cpus),
        (7, JobState::Failed, 4.0, 8)
    );
    assert_eq!(job.ran_s(0), 400);
    let asked = slurm.asked();
    let target = asked
        .iter()
        .find(|target| target.starts_with("/slurmdb/v0.0.38/jobs"))
        .expect("asked");
    assert!(
        target.contains("start_time=uts1795246400&"),
        "{target}: no colon may stand in it"
    );
    assert!(poller.poll(1_795_250_030).expect("answers").past.is_empty());
    assert_eq!(
        poller.poll(1_795_250_400).expect("answers").past.len(),
        1,
        "after a pause"
    );
}

#[test]
fn what_goes_wrong_is_said_with_place_and_remedy() {
    let auth = r#"{"meta": {}, "errors": [{"description": "Authentication failure", "error_number": -1, "error": "Unspecified error", "source": "rest_auth"}]}"#;
    let protocol = r#"{"errors": [{"description": "", "error_number": 1007, "error": "Protocol authentication error", "source": "slurm_load_jobs"}]}"#;
    let unspecified = r#"{"errors": [{"description": "Failed while looking for jobs", "error_number": -1, "error": "Unspecified error", "source": "slurm_load_jobs"}], "jobs": []}"#;
    let cases: [(&'static str, u16, &str, &[&str]); 10] = [
        (
            "/slurm/v0.0.38/jobs",
            500,
            unspecified,
            &[
                "Failed while looking for jobs",
                "does not accept the token",
                "username=alice",
            ],
        ),
        (
            "/slurm/v0.0.38/jobs",
            401,
            "Authentication failure",
            &["refuses the credentials", "scontrol token username=alice"],
        ),
        (
            "/slurm/v0.0.38/jobs",
            500,
            auth,
            &["refuses the credentials", "slurm.token_file"],
        ),
        (
            "/slurm/v0.0.38/jobs",
            511,
            protocol,
            &["refuses the credentials", "1007"],
        ),
        (
            "/slurm/v0.0.38/diag",
            429,
            "slow down",
            &["status 429", "slow down", "asked again later"],
        ),
        (
            "/slurm/v0.0.38/nodes",
            503,
            "<html>bad gateway</html>",
            &["status 503", "bad gateway"],
        ),
        (
            "/slurm/v0.0.38/jobs",
            200,
            "<!DOCTYPE html><html>Sign in</html>",
            &["something else than JSON", "Sign in", "slurm.url"],
        ),
        (
            "/slurm/v0.0.38/jobs",
            200,
            r#"{"errors": [], "jobs": [{"job_id": 1"#,
            &["ends in the middle"],
        ),
        (
            "/slurm/v0.0.38/diag",
            200,
            r#"{"statistics": {"req_ti"#,
            &["ends in the middle"],
        ),
        (
            "/slurm/v0.0.38/jobs",
            200,
            r#"{"errors": [{"error_number": 1016, "error": "Slurm controller is in standby mode"}], "jobs": []}"#,
            &["standby mode", "error 1016", "slurmctld's log"],
        ),
    ];
    for (target, status, body, parts) in cases {
        let slurm = old();
        slurm.answer(target, status, body);
        let error = slurm.poller().poll(1_795_250_000).expect_err(body).to_string();
        for part in parts.iter().chain(&["http://slurmctl-1:6820"]) {
            assert!(error.contains(part), "{error}: {part}");
        }
    }
}

#[test]
fn when_slurm_wants_to_be_asked_again_is_respected() {
    let slurm = Scripted {
        retry_after: Some(Duration::from_secs(77)),
        ..old()
    };
    slurm.answer("/slurm/v0.0.38/diag", 503, "busy");
    let error = slurm.poller().poll(0).expect_err("busy");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(77)));
}

#[test]
fn a_server_without_a_known_version_says_what_it_offers() {
    let slurm = Scripted::new(&[(
        "/openapi/v3",
        200,
        r#"{"paths": {"/slurm/v0.0.36/jobs": {}, "/slurm/v0.0.35/jobs": {}}}"#,
    )]);
    let error = slurm.poller().poll(0).expect_err("too old").to_string();
    assert!(
        error.contains("v0.0.36, v0.0.35") && error.contains("-s openapi/v0.0.38"),
        "{error}"
    );
    let page = Scripted::new(&[("/openapi/v3", 200, "<html>It works!</html>")]);
    let error = page.poller().poll(0).expect_err("a web server").to_string();
    assert!(error.contains("It works!"), "{error}");
}

#[test]
fn a_wished_version_is_used_and_an_upgrade_is_noticed() {
    let slurm = new();
    slurm.answer("/slurm/v0.0.41/diag/", 200, OLD_DIAG);
    let options = PollOptions {
        version: "v0.0.41".to_owned(),
        ..PollOptions::default()
    };
    let mut poller = Poller::new(Box::new(slurm.clone()), options);
    poller.poll(0).expect_err("it has no jobs under that version");
    let asked = slurm.asked();
    assert!(asked.contains(&"/slurm/v0.0.41/jobs/".to_owned()), "{asked:?}");
    poller.poll(30).expect_err("still");
    assert_eq!(slurm.asked()[0], "/openapi/v3", "asked again after a 404");
}

#[test]
fn one_bad_record_costs_none_of_the_others_and_is_counted() {
    let slurm = old();
    let bad = r#"{"job_id": 2, "partition": tru}"#;
    slurm.answer("/slurm/v0.0.38/jobs", 200, &jobs(&format!("{bad}, {OLD_JOB}")));
    let snapshot = slurm.poller().poll(0).expect("answers");
    assert_eq!((snapshot.jobs.len(), snapshot.unread), (1, 1));
    let error = snapshot.unread_error.expect("said");
    assert!(error.contains("/slurm/v0.0.38/jobs"), "{error}");
}

#[test]
fn partitions_and_slurmdbd_may_fail_without_costing_the_jobs() {
    let slurm = old();
    slurm.answer("/slurm/v0.0.38/partitions", 500, "no");
    slurm.answer("/slurmdb/v0.0.38/jobs", 503, "slurmdbd is down");
    slurm.answer("/slurmdb/v0.0.38/associations", 503, "slurmdbd is down");
    let mut poller = slurm.poller();
    assert_eq!(poller.poll(0).expect("answers").jobs.len(), 1);
    let problems: Vec<String> = poller.take_problems().iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(
        problems
            .iter()
            .any(|problem| problem.contains("slurmdbd is down"))
    );
}

#[test]
fn nothing_but_reading_is_ever_asked_for() {
    // The trait has no other method than GET; and no target changes anything.
    let slurm = old();
    slurm.poller().poll(0).expect("answers");
    let asked = slurm.asked();
    assert!(asked.len() >= 6, "{asked:?}");
    for target in asked {
        assert!(
            !target.contains("submit") && !target.contains("/job/"),
            "{target}"
        );
    }
}

#[test]
fn paths_are_found_however_they_are_cut_and_escaped() {
    for text in [OLD_PATHS, NEW_PATHS] {
        let whole = {
            let mut scan = PathScan::default();
            scan.push(text.as_bytes());
            scan.found
        };
        assert!(whole.len() >= 4, "{whole:?}");
        for chunk in [1, 2, 7] {
            let mut scan = PathScan::default();
            text.as_bytes().chunks(chunk).for_each(|part| scan.push(part));
            assert_eq!(scan.found, whole);
        }
    }
}
