use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use podscope_model::batch::Row;
use podscope_model::event::{Event, EventKind, EventSink, Severity};

use super::inspector::NcclInspector;
use super::logs::NcclLogs;
use super::ras::{NcclRas, RasPort, RasSource, SimRas};
use super::*;
use crate::collector::{Collector, Support};
use crate::contract::assert_collector_contract;
use crate::fs::{HostFs, MemFs, RealFs, Uname};

#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Event>>);

impl EventSink for Kept {
    fn emit(&self, event: Event) {
        self.0.lock().expect("no test panics with it").push(event);
    }
}

impl Kept {
    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().expect("no test panics with it"))
    }
}

const LOG: &str = "/logs/job-4711/rank0.log";
const WARN: &str =
    "gpu-07:34:39 [1] NCCL WARN NET/IB : Got completion from peer 10.0.0.9<4> with status=12\n";

/// Start of 2026-11-21.
const NOW: Duration = Duration::from_secs(1_795_219_200);

fn config() -> NcclConfig {
    NcclConfig {
        log_files: vec!["/logs/job-*/*.log".to_owned()],
        inspector_files: vec!["/dump/nccl-inspector-*/*.log".to_owned()],
        ..NcclConfig::default()
    }
}

fn machine() -> Arc<MemFs> {
    let fs = MemFs::new();
    fs.set_now(NOW);
    fs.set_uname(Uname {
        nodename: "gpu-07".to_owned(),
        ..Uname::default()
    });
    Arc::new(fs)
}

fn host(fs: &Arc<MemFs>) -> Arc<dyn HostFs> {
    Arc::clone(fs) as Arc<dyn HostFs>
}

fn collect(collector: &mut dyn Collector) -> Vec<String> {
    let mut row = Row::new();
    row.begin();
    collector.collect(&mut row).expect("there are files");
    row.samples()
        .map(|(column, value)| format!("{} {value}", column.labels))
        .collect()
}

fn value(lines: &[String], series: &str) -> Option<f64> {
    let line = lines
        .iter()
        .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    line.parse().ok()
}

struct Logs {
    fs: Arc<MemFs>,
    kept: Arc<Kept>,
    collector: NcclLogs,
}

impl Logs {
    fn new(fs: Arc<MemFs>, config: &NcclConfig) -> Self {
        let kept = Arc::new(Kept::default());
        let events = Arc::clone(&kept) as Arc<dyn EventSink>;
        Self {
            collector: NcclLogs::new(host(&fs), config, events),
            fs,
            kept,
        }
    }

    /// As many collections as find a new file.
    fn collect(&mut self) -> Vec<String> {
        (0..6).map(|_| collect(&mut self.collector)).last().expect("six")
    }

    fn completions(&mut self) -> f64 {
        let lines = self.collect();
        value(
            &lines,
            r#"podscope_nccl_messages_total{class="ib_completion",severity="error"}"#,
        )
        .expect("always there")
    }
}

#[test]
fn warnings_become_events_with_what_the_line_and_the_path_know() {
    let mut logs = Logs::new(machine(), &config());
    assert_collector_contract(&mut logs.collector);
    logs.fs.append(LOG, b"step 1 loss 2.3\ngpu-07:34:39 [1] NCCL INFO comm 0x55 rank 57 nranks 512 cudaDev 1 nvmlDev 1 busId 9b000 - Init COMPLETE\n");
    logs.fs
        .append(LOG, format!("[2026-11-21 08:26:01] {WARN}").as_bytes());
    logs.fs
        .append(LOG, b"gpu-07:34:39 [1] NCCL WARN a line without its e");
    assert!((logs.completions() - 1.0).abs() < f64::EPSILON);
    let told = logs.kept.take();
    assert_eq!(told.len(), 1, "what has no end waits: {told:#?}");
    let event = &told[0];
    assert_eq!(
        (event.kind, event.severity, event.source.as_str()),
        (EventKind::Log, Severity::Error, "nccl")
    );
    assert_eq!(
        event.time_ms,
        i64::try_from(NOW.as_millis()).expect("small") + (8 * 3600 + 26 * 60 + 1) * 1000
    );
    assert_eq!(
        event.title,
        "NCCL rank 57 (gpu-07): NET/IB : Got completion from peer 10.0.0.9<4> with status=12"
    );
    for (label, expected) in [
        ("class", "ib_completion"),
        ("host", "gpu-07"),
        ("rank", "57"),
        ("job", "4711"),
        ("peer", "10.0.0.9"),
        ("gpu", "1"),
        ("pid", "34"),
        ("file", LOG),
    ] {
        assert_eq!(event.labels.get(label), Some(expected), "{label}");
    }
    event.check().expect("a store takes it");
    logs.fs.append(LOG, b"nd\n");
    logs.collect();
    assert_eq!(
        logs.kept.take()[0].title,
        "NCCL rank 57 (gpu-07): a line without its end"
    );
}

#[test]
fn what_was_there_before_is_passed_over_and_what_comes_later_is_read_from_its_beginning() {
    let fs = machine();
    fs.write(LOG, WARN);
    let mut logs = Logs::new(fs, &config());
    assert!(logs.completions().abs() < f64::EPSILON, "older than the agent");
    logs.fs.append(LOG, WARN.as_bytes());
    logs.fs.append("/logs/job-4712/new.log", WARN.as_bytes());
    logs.fs.append("/logs/job-4712/new.txt", WARN.as_bytes());
    assert!((logs.completions() - 2.0).abs() < f64::EPSILON);
    let jobs: Vec<Option<String>> = logs
        .kept
        .take()
        .iter()
        .map(|event| event.labels.get("job").map(str::to_owned))
        .collect();
    assert_eq!(jobs, [Some("4711".to_owned()), Some("4712".to_owned())]);
}

#[test]
fn rotated_and_truncated_files_are_followed_without_doubling() {
    let mut logs = Logs::new(machine(), &config());
    logs.collect();
    logs.fs.append(LOG, WARN.as_bytes());
    assert!((logs.completions() - 1.0).abs() < f64::EPSILON);
    // Written, then renamed before anybody looked again.
    logs.fs.append(LOG, WARN.as_bytes());
    logs.fs.rename(LOG, &format!("{LOG}.1"));
    logs.fs.append(LOG, format!("a new file\n{WARN}").as_bytes());
    assert!(
        (logs.completions() - 3.0).abs() < f64::EPSILON,
        "the end of the old one and the new one"
    );
    // Copied away and truncated, and longer again than it was.
    logs.fs.write(LOG, format!("truncated\n{WARN}{WARN}{WARN}"));
    assert!((logs.completions() - 6.0).abs() < f64::EPSILON);
    logs.fs.write(LOG, "");
    assert!((logs.completions() - 6.0).abs() < f64::EPSILON);
    logs.fs.append(LOG, WARN.as_bytes());
    assert!((logs.completions() - 7.0).abs() < f64::EPSILON);
    logs.fs.remove(LOG);
    assert!((logs.completions() - 7.0).abs() < f64::EPSILON);
    logs.fs.append(LOG, WARN.as_bytes());
    assert!(
        (logs.completions() - 8.0).abs() < f64::EPSILON,
        "a new file under the name"
    );
}

#[test]
fn a_file_that_is_no_text_is_passed_over_until_it_is_another() {
    let mut logs = Logs::new(machine(), &config());
    logs.collect();
    let mut binary = vec![0x7f, b'E', b'L', b'F', 0, 0];
    binary.extend(format!("\n{WARN}").as_bytes());
    logs.fs.append(LOG, &binary);
    logs.fs.append(LOG, WARN.as_bytes());
    assert!(logs.completions().abs() < f64::EPSILON);
    let lines = logs.collect();
    assert_eq!(
        value(&lines, "podscope_nccl_log_skipped_bytes_total"),
        Some((binary.len() + WARN.len()) as f64)
    );
    logs.fs.remove(LOG);
    logs.collect();
    // Not UTF-8, but text.
    logs.fs.append(LOG, b"\xff\xfe\n");
    logs.fs.append(LOG, WARN.as_bytes());
    assert!((logs.completions() - 1.0).abs() < f64::EPSILON);
}

#[test]
fn a_flood_is_counted_in_full_and_told_in_part() {
    let mut logs = Logs::new(machine(), &config());
    logs.collect();
    for _ in 0..5_000 {
        logs.fs.append(LOG, WARN.as_bytes());
    }
    assert!((logs.completions() - 5_000.0).abs() < f64::EPSILON);
    let (told, summaries): (Vec<Event>, Vec<Event>) = logs
        .kept
        .take()
        .into_iter()
        .partition(|event| event.labels.get("class").is_some());
    assert_eq!(told.len(), 200, "ten seconds of the limit");
    assert_eq!(told[0].labels.get("rank"), None, "nobody told it");
    let ids: std::collections::BTreeSet<String> = told.iter().map(|event| event.id().to_string()).collect();
    assert_eq!(ids.len(), told.len(), "equal lines are different events");
    assert_eq!(summaries.len(), 1, "{summaries:#?}");
    assert!(
        summaries[0].title.starts_with("4800 more NCCL messages"),
        "{}",
        summaries[0].title
    );
    let lines = logs.collect();
    assert_eq!(
        value(&lines, "podscope_nccl_log_events_dropped_total"),
        Some(4_800.0)
    );
    logs.fs.set_now(NOW + Duration::from_secs(61));
    logs.fs.append(LOG, WARN.as_bytes());
    logs.collect();
    let told = logs.kept.take();
    assert_eq!(
        told.len(),
        1,
        "there is room again, and nothing more to sum up: {told:#?}"
    );
}

#[test]
fn a_line_without_an_end_does_not_grow_for_ever() {
    let mut logs = Logs::new(machine(), &config());
    logs.collect();
    logs.fs.append(LOG, &vec![b'x'; 3 << 20]);
    logs.fs.append(LOG, format!("\n{WARN}").as_bytes());
    logs.collect();
    assert!((logs.completions() - 1.0).abs() < f64::EPSILON);
}

#[test]
fn the_lines_of_docker_are_unwrapped() {
    let mut logs = Logs::new(machine(), &config());
    logs.collect();
    let line = serde_json::json!({"log": WARN, "stream": "stderr", "time": "2026-11-21T08:26:01.25Z"});
    logs.fs.append(LOG, format!("{line}\n").as_bytes());
    logs.collect();
    let told = logs.kept.take();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].labels.get("peer"), Some("10.0.0.9"));
    assert_eq!(told[0].time_ms % 100_000, 61_250);
}

#[test]
fn an_agent_that_is_started_again_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let logs = path("job-1");
    std::fs::create_dir(&logs).expect("writable");
    let log = logs.join("a.log");
    let append = |text: &str| {
        use std::io::Write;
        let mut file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .expect("writable");
        file.write_all(text.as_bytes()).expect("writable");
    };
    let config = NcclConfig {
        log_files: vec![format!("{}/job-*/*.log", folder.path().display())],
        positions_file: Some(path("positions.json")),
        ..NcclConfig::default()
    };
    let run = || {
        let kept = Arc::new(Kept::default());
        let events = Arc::clone(&kept) as Arc<dyn EventSink>;
        let mut collector = NcclLogs::new(Arc::new(RealFs::default()), &config, events);
        for _ in 0..6 {
            collect(&mut collector);
        }
        kept.take().len()
    };
    append(WARN);
    assert_eq!(run(), 0, "older than the first agent");
    append(WARN);
    append(WARN);
    assert_eq!(run(), 2, "written while no agent ran");
    assert_eq!(run(), 0, "not told twice");
    append(WARN);
    std::fs::rename(&log, logs.join("a.log.1")).expect("writable");
    append(WARN);
    assert_eq!(
        run(),
        2,
        "the rest of the old file, under its other name, and the new one"
    );
    std::fs::write(path("positions.json"), "{broken").expect("writable");
    assert_eq!(run(), 0, "as if it were the first");
}

#[test]
fn without_files_the_collectors_are_not_present() {
    let fs = machine();
    let none = NcclConfig::default();
    let mut logs = Logs::new(Arc::clone(&fs), &none);
    assert_eq!(
        logs.collector.detect(),
        Support::NotPresent("no files in nccl.log_files".to_owned())
    );
    let mut inspector = NcclInspector::new(host(&fs), &none);
    assert_eq!(
        inspector.detect(),
        Support::NotPresent("no files in nccl.inspector_files".to_owned())
    );
}

#[test]
fn patterns_must_be_absolute_and_simple() {
    assert_eq!(check_pattern("/var/log/nccl-?/*.log"), Ok(()));
    assert!(check_pattern("logs/*.log").is_err());
    assert!(check_pattern("/logs/**/x").is_err());
    assert!(check_pattern("/logs/[").is_err());
}

fn record(rank: u32, sequence: u64, microseconds: u64) -> String {
    format!(
        "{{\"header\":{{\"id\":\"0x7f\",\"rank\":{rank},\"n_ranks\":512,\"nnodes\":64}},\"metadata\":{{\"hostname\":\"gpu-07.pod\",\"pid\":1}},\"coll_perf\":{{\"coll\":\"AllReduce\",\"coll_sn\":{sequence},\"coll_msg_size_bytes\":200000000,\"coll_exec_time_us\":{microseconds}}}}}\n"
    )
}

const DUMP: &str = "/dump/nccl-inspector-4711/gpu-07-pid1.log";

#[test]
fn collectives_become_histograms_and_the_straggler_is_named() {
    let fs = machine();
    let mut inspector = NcclInspector::new(host(&fs), &config());
    assert_collector_contract(&mut inspector);
    for sequence in 0..10 {
        // Rank 3 is late: it waits for nobody, the others for it.
        for (rank, microseconds) in [(0, 2_000), (1, 2_010), (2, 1_990), (3, 500)] {
            fs.append(DUMP, record(rank, sequence, microseconds).as_bytes());
        }
    }
    fs.append(DUMP, b"no record\n");
    fs.append(DUMP, record(4, 1, 7).replace("gpu-07", "gpu-08").as_bytes());
    let first: Vec<String> = (0..10).flat_map(|_| collect(&mut inspector)).collect();
    let combination = r#"collective="AllReduce",job_id="4711""#;
    for (series, expected) in [
        (
            format!("podscope_nccl_collective_duration_seconds_count{{{combination},size=\"256MiB\"}}"),
            40.0,
        ),
        (
            format!(
                "podscope_nccl_collective_duration_seconds_bucket{{{combination},le=\"0.001024\",size=\"256MiB\"}}"
            ),
            10.0,
        ),
        (
            format!(
                "podscope_nccl_collective_duration_seconds_bucket{{{combination},le=\"0.002048\",size=\"256MiB\"}}"
            ),
            40.0,
        ),
        (
            format!("podscope_nccl_collective_bytes_total{{{combination},size=\"256MiB\"}}"),
            8e9,
        ),
        (
            format!("podscope_nccl_rank_collective_mean_seconds{{{combination},rank=\"0\"}}"),
            0.002,
        ),
        (
            r#"podscope_nccl_rank_deviation_ratio{job_id="4711",rank="3"}"#.to_owned(),
            -0.749_373_433_583_959_9,
        ),
        ("podscope_nccl_inspector_bad_records_total".to_owned(), 1.0),
    ] {
        let found: Vec<f64> = first
            .iter()
            .filter_map(|line| value(std::slice::from_ref(line), &series))
            .collect();
        assert!(
            found
                .iter()
                .any(|found| (found - expected).abs() <= expected.abs() * 1e-9),
            "{series} {expected} is not among {first:#?}"
        );
    }
    let last = collect(&mut inspector);
    assert_eq!(
        value(
            &last,
            r#"podscope_nccl_rank_earliest_finishes_total{job_id="4711",rank="3"}"#
        ),
        Some(10.0)
    );
    assert_eq!(
        value(
            &last,
            r#"podscope_nccl_rank_earliest_finishes_total{job_id="4711",rank="0"}"#
        ),
        Some(0.0)
    );
    assert!(
        !last.iter().any(|line| line.contains("rank=\"4\"")),
        "another host's"
    );
    assert!(
        !last.iter().any(|line| line.contains("_mean_seconds")),
        "nothing new, no mean"
    );
}

#[test]
fn combinations_beyond_the_limit_are_counted_and_not_kept() {
    let fs = machine();
    let mut inspector = NcclInspector::new(host(&fs), &config());
    collect(&mut inspector);
    for kind in 0..60 {
        fs.append(
            DUMP,
            record(0, 1, 9)
                .replace("AllReduce", &format!("Kind{kind}"))
                .as_bytes(),
        );
    }
    let lines: Vec<String> = (0..6).map(|_| collect(&mut inspector)).last().expect("six");
    let histograms = lines
        .iter()
        .filter(|line| line.starts_with("podscope_nccl_collective_duration_seconds_count"));
    assert_eq!(histograms.count(), 48);
    assert_eq!(
        value(&lines, "podscope_nccl_inspector_left_out_total"),
        Some(12.0)
    );
}

const RAS: &str = r#"{"nccl_version": "2.28.3", "communicators_count": 1, "communicators": [{"hash": "0x1", "size": 4, "ranks_count": 3, "missing_ranks_count": 1,
  "ranks": [
    {"rank": 0, "host": "10.0.0.1", "pid": 1, "status": {"init_state": 0, "async_error": 0, "abort_flag": false}, "collective_counts": {"AllReduce": 100, "Broadcast": 1}},
    {"rank": 1, "host": "10.0.0.1", "pid": 2, "status": {"init_state": 0, "async_error": 6, "abort_flag": false}, "collective_counts": {"AllReduce": 90, "Broadcast": 1}},
    {"rank": 2, "host": "10.0.0.2", "pid": 3, "status": {"init_state": 0, "async_error": 7, "abort_flag": false}, "collective_counts": {"AllReduce": 101, "Broadcast": 1}}],
  "missing_ranks": [{"rank": 3, "host": "10.0.0.2", "pid": 4, "status": {"unresponsive": true, "considered_dead": true}}]}],
 "ras": {"collection_time_sec": 0.25, "timeouts_count": 1}}"#;

#[test]
fn ras_tells_ranks_that_are_gone_and_says_when_they_are_back() {
    let (fs, kept, sim) = (machine(), Arc::new(Kept::default()), SimRas::default());
    let events = Arc::clone(&kept) as Arc<dyn EventSink>;
    let mut ras = NcclRas::new(Box::new(sim.clone()), host(&fs), events);
    assert!(
        matches!(ras.detect(), Support::NotPresent(reason) if reason.starts_with("no job's RAS answers"))
    );
    sim.answer(Some(RAS.as_bytes()));
    assert_collector_contract(&mut ras);
    let lines = collect(&mut ras);
    for (series, expected) in [
        ("podscope_nccl_ras_communicators", 1.0),
        (r#"podscope_nccl_ras_ranks{state="ok"}"#, 2.0),
        (r#"podscope_nccl_ras_ranks{state="error"}"#, 1.0),
        (r#"podscope_nccl_ras_ranks{state="dead"}"#, 1.0),
        (r#"podscope_nccl_ras_ranks{state="missing"}"#, 0.0),
        ("podscope_nccl_ras_collective_count_spread", 11.0),
        ("podscope_nccl_ras_timeouts", 1.0),
        ("podscope_nccl_ras_collection_seconds", 0.25),
    ] {
        assert_eq!(value(&lines, series), Some(expected), "{series} in {lines:#?}");
    }
    fs.set_now(NOW + Duration::from_secs(30));
    sim.answer(None);
    assert!(collect(&mut ras).is_empty(), "the job has ended");
    let told = kept.take();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(told[0].title, "NCCL RAS: rank 3 on 10.0.0.2 dead");
    assert_eq!(told[0].id(), told[1].id());
    assert!(told[0].open && told[1].end_ms.is_some());
    for nonsense in ["<html>", "{\"communicators\": 3}", ""] {
        sim.answer(Some(nonsense.as_bytes()));
        let mut row = Row::new();
        row.begin();
        assert!(ras.collect(&mut row).is_err(), "{nonsense:?}");
    }
}

#[test]
fn the_text_of_older_versions_is_understood() {
    let text = "NCCL version 2.24.3 compiled with CUDA 12.5\n\nJob summary\n===========\n\n  Nodes  Processes         GPUs  Processes     GPUs\n(total)   per node  per process    (total)  (total)\n      4          8            1         32       32\n\nCommunicators... (0.00s)\n=============\n\nGroup     Comms     Nodes     Ranks     Ranks     Ranks    Status  Errors\n    #  in group  per comm  per node  per comm  in group\n    0         8         4         1         4        32   RUNNING      OK\n    1         2         4         1         4         8   RUNNING  INCOMPLETE\n\nErrors\n======\n";
    let sim = SimRas::default();
    sim.answer(Some(text.as_bytes()));
    let mut ras = NcclRas::new(Box::new(sim), host(&machine()), Arc::new(Kept::default()));
    let lines = collect(&mut ras);
    assert_eq!(value(&lines, "podscope_nccl_ras_communicators"), Some(10.0));
    assert_eq!(
        value(&lines, r#"podscope_nccl_ras_ranks{state="ok"}"#),
        Some(32.0)
    );
    assert_eq!(
        value(&lines, r#"podscope_nccl_ras_ranks{state="error"}"#),
        Some(8.0)
    );
}

#[test]
fn ras_is_asked_as_its_own_client_asks() {
    use std::io::{BufRead, BufReader, Write};
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let mut asked = Vec::new();
        for line in BufReader::new(stream.try_clone().expect("a socket")).lines() {
            let line = line.expect("text");
            let answer = match line.as_str() {
                "CLIENT PROTOCOL 2" => "SERVER PROTOCOL 2\n",
                "STATUS" => "{\"communicators\": []}\n",
                _ => "OK\n",
            };
            (&stream).write_all(answer.as_bytes()).expect("a reader");
            asked.push(line);
            if asked.last().is_some_and(|line| line == "STATUS") {
                break;
            }
        }
        asked
    });
    let answer = RasPort(address).status().expect("it answers");
    assert_eq!(answer, b"{\"communicators\": []}\n");
    let asked = server.join().expect("no panic");
    assert_eq!(
        asked,
        ["CLIENT PROTOCOL 2", "TIMEOUT 2", "SET FORMAT json", "STATUS"]
    );
    assert!(RasPort(address).status().is_err(), "nobody listens any more");
}
