use std::sync::Arc;

use super::counts::IoCounts;
use super::devices::Devices;
use super::events::parse;
use super::requests::Requests;
use super::*;
use crate::contract::assert_collector_contract;
use crate::fs::{HostFs, MemFs};

/// Two paths of one subsystem, two local disks.
fn machine() -> Arc<dyn HostFs> {
    let fs = MemFs::new();
    fs.write(
        "/proc/diskstats",
        " 254 0 vda 1\n 259 0 nvme0n1 1\n 259 1 nvme1n1 1\n 259 2 nvme1c3n1 1\n 259 4 nvme1c4n1 1\n",
    );
    for (controller, transport) in [("nvme0", "pcie"), ("nvme3", "rdma"), ("nvme4", "tcp")] {
        fs.write(
            &format!("/sys/class/nvme/{controller}/transport"),
            format!("{transport}\n"),
        );
    }
    Arc::new(fs)
}

fn read(text: &str) -> IoCounts {
    let mut devices = Devices::new(machine(), false);
    devices.look();
    let (mut requests, mut counts) = (Requests::default(), IoCounts::default());
    for event in text.lines().filter_map(parse) {
        requests.take(event, &mut devices, &mut counts);
    }
    counts
}

fn texts(counts: &IoCounts) -> Vec<String> {
    let mut row = Row::new();
    row.begin();
    counts.write(&mut row);
    row.samples()
        .map(|(column, value)| format!("{} {value}", column.labels))
        .collect()
}

/// In the form of Linux 6.18.
const TRACE: &str = "\
             fio-4711    [003] .....  7123.000100: block_rq_issue: 259,2 R 131072 () 2048 + 256 none,0,0 [fio]
    kworker/3:1H-299     [003] .....  7123.000150: block_rq_issue: 259,2 WS 4096 () 999 + 8 none,0,0 [kworker/3:1H]
          <idle>-0       [001] ..s1.  7123.000480: block_rq_complete: 259,2 R () 2048 + 256 none,0,0 [0]
             fio-4711    [003] .....  7123.000490: block_rq_issue: 259,2 R 131072 () 2304 + 256 none,0,0 [fio]
             fio-4711    [003] .....  7123.000495: block_rq_issue: 259,4 R 4096 () 2304 + 8 none,0,0 [fio]
          <idle>-0       [001] ..s1.  7123.001490: block_rq_complete: 259,2 R () 2304 + 256 none,0,0 [0]
          <idle>-0       [001] ..s1.  7123.002950: block_rq_complete: 259,2 WS () 999 + 8 none,0,0 [0]
          <idle>-0       [001] ..s1.  7123.003000: block_rq_complete: 259,4 R () 77 + 8 none,0,0 [0]
             fio-4711    [003] .....  7123.003100: block_rq_issue: 259,2 FF 0 () 0 + 0 none,0,0 [fio]
CPU:2 [LOST 17 EVENTS]
             nfs-1       [003] .....  7123.003200: rpc_stats_latency: task:0000000a@00000005 xid=0x1 nfsv4 WRITE backlog=5 rtt=2000 execute=245
";

#[test]
fn recorded_events_become_latencies_and_patterns() {
    let counts = read(TRACE);
    let (requests, seconds) = counts.requests_of("nvme1c3n1").expect("measured");
    assert_eq!(requests, 3);
    assert!(
        (seconds - (380e-6 + 1000e-6 + 2800e-6)).abs() < 1e-12,
        "{seconds}"
    );
    assert_eq!(
        counts.requests_of("nvme1c4n1").map(|found| found.0),
        Some(0),
        "its completion was another's"
    );
    let lines = texts(&counts);
    let path = r#"device="nvme1c3n1""#;
    for expected in [
        format!("podscope_block_io_latency_seconds_bucket{{{path},le=\"0.000362039\",transport=\"rdma\"}} 0"),
        format!("podscope_block_io_latency_seconds_bucket{{{path},le=\"0.000394806\",transport=\"rdma\"}} 1"),
        format!("podscope_block_io_latency_seconds_bucket{{{path},le=\"+Inf\",transport=\"rdma\"}} 3"),
        format!("podscope_block_io_latency_seconds_count{{{path},transport=\"rdma\"}} 3"),
        format!(
            "podscope_block_io_requests_total{{{path},operation=\"read\",pattern=\"random\",transport=\"rdma\"}} 1"
        ),
        format!(
            "podscope_block_io_requests_total{{{path},operation=\"read\",pattern=\"sequential\",transport=\"rdma\"}} 1"
        ),
        format!(
            "podscope_block_io_bytes_total{{{path},operation=\"read\",pattern=\"sequential\",transport=\"rdma\"}} 131072"
        ),
        format!(
            "podscope_block_io_bytes_total{{{path},operation=\"write\",pattern=\"random\",transport=\"rdma\"}} 4096"
        ),
        r#"podscope_nfs_rpc_latency_seconds_count{operation="write"} 1"#.to_owned(),
        "podscope_nfs_rpc_latency_seconds_sum{operation=\"write\"} 0.002".to_owned(),
        "podscope_block_trace_lost_events_total 17".to_owned(),
        "podscope_block_trace_unmatched_total 1".to_owned(),
        "podscope_block_trace_events_total 9".to_owned(),
    ] {
        assert!(lines.contains(&expected), "{expected} is not among {lines:#?}");
    }
}

/// `trace_pipe` of a virtual machine with Linux 6.18 while `dd` wrote and read, names of other tasks replaced.
const RECORDED: &str = include_str!("../../../testdata/block.trace");

#[test]
fn a_recorded_trace_is_read_to_the_last_request() {
    assert!(RECORDED.lines().all(|line| line.contains(": block_rq_")));
    let counts = read(RECORDED);
    let (requests, seconds) = counts.requests_of("vda").expect("measured");
    assert_eq!(requests, 40);
    assert!((seconds - 0.016_308).abs() < 1e-9, "{seconds}");
    let lines = texts(&counts);
    let total = |name: &str| -> f64 {
        let series = lines
            .iter()
            .filter(|line| line.starts_with(name) && line.contains("virtio"));
        series
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    };
    assert!((total("podscope_block_io_requests_total") - 59.0).abs() < f64::EPSILON);
    assert!(
        (total("podscope_block_io_bytes_total{device=\"vda\",operation=\"read\"") - 188_416.0).abs()
            < f64::EPSILON
    );
    assert!(
        (total("podscope_block_io_bytes_total{device=\"vda\",operation=\"write\"") - 544_768.0).abs()
            < f64::EPSILON
    );
}

#[test]
fn requests_that_never_complete_are_forgotten_and_their_number_is_bounded() {
    let mut devices = Devices::new(machine(), false);
    devices.look();
    let (mut requests, mut counts) = (Requests::default(), IoCounts::default());
    for number in 0..70_000_u64 {
        let line = format!(
            " x-1 [000] ..... {number}.000000: block_rq_issue: 259,0 R 512 () {number} + 1 none,0,0 [x]"
        );
        requests.take(parse(&line).expect("an issue"), &mut devices, &mut counts);
    }
    requests.forget(&mut counts);
    let lines = texts(&counts);
    let unmatched = lines
        .iter()
        .find(|line| line.starts_with("podscope_block_trace_unmatched_total"));
    let unmatched: u64 = unmatched
        .and_then(|line| line.rsplit(' ').next())
        .and_then(|n| n.parse().ok())
        .expect("told");
    assert!((69_800..70_000).contains(&unmatched), "{unmatched}");
}

#[test]
fn a_simulated_machine_adds_its_requests() {
    let sim = SimIo::default();
    sim.change(|io| {
        io.block("nvme1c3n1", "rdma", 380_000, 99);
        io.block("nvme1c3n1", "rdma", 2_800_000, 1);
        io.issued("nvme1c3n1", "rdma", Operation::Read, true, (100, 13_107_200));
        io.nfs(Operation::Other, 250_000, 4);
    });
    let row = assert_collector_contract(&mut IoLatency::new(Box::new(sim.clone())));
    let count = |row: &Row| {
        let mut samples = row.samples();
        let found = samples.find(|(column, _)| column.metric.name() == catalog::BLOCK_IO_LATENCY_COUNT.name);
        found.map(|(_, value)| value)
    };
    assert_eq!(count(&row), Some(100.0));
    let mut collector = IoLatency::new(Box::new(sim.clone()));
    assert_eq!(collector.detect(), Support::Present);
    let mut row = Row::new();
    for expected in [5.0, 10.0] {
        sim.change(|io| io.block("nvme1c3n1", "rdma", 1, 5));
        row.begin();
        collector.collect(&mut row).expect("simulated");
        assert_eq!(count(&row), Some(expected), "counters go on");
    }
}

#[test]
fn what_cannot_be_traced_is_not_present_with_the_reason_and_leaves_nothing_behind() {
    let mut off = IoLatency::new(Box::new(NoIo("storage.block_latency is off")));
    assert_eq!(
        off.detect(),
        Support::NotPresent("storage.block_latency is off".to_owned())
    );
    let folder = tempfile::tempdir().expect("a folder");
    let config = |tracefs: &std::path::Path| TraceConfig {
        only_remote: false,
        tracefs: Some(tracefs.to_owned()),
        ..TraceConfig::default()
    };
    let mut none = TracedIo::new(machine(), config(folder.path()));
    let reason = none.open().expect_err("no instances there");
    assert!(reason.ends_with("is no tracefs with instances"), "{reason}");
    // A folder in which nothing can be switched on: a kernel without the events.
    std::fs::create_dir(folder.path().join("instances")).expect("writable");
    let mut without = TracedIo::new(machine(), config(folder.path()));
    let reason = without.open().expect_err("no events there");
    assert!(reason.contains("cannot trace block requests"), "{reason}");
    let mut only_local = TracedIo::new(
        Arc::new(MemFs::new()),
        TraceConfig {
            only_remote: true,
            ..config(folder.path())
        },
    );
    let reason = only_local.open().expect_err("no such device");
    assert!(reason.starts_with("no block device off this machine"), "{reason}");
}
