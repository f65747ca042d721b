//! The kernel's log as the collector reads it: counters, events, floods, refusals.

use std::sync::{Arc, Mutex};

use podscope_collect::contract::assert_collector_contract;
use podscope_collect::gpu::{DirectGpuCollector, GpuProcesses, SimGpus, XidBook};
use podscope_collect::kernel::{KernelLog, KernelLogParts, Nobody, SimKernelLog, Who, WhoIs};
use podscope_collect::{Collector, Support};
use podscope_model::batch::Row;
use podscope_model::event::{Event, EventKind, EventSink, Severity};

/// 2025-01-01 12:00:00 UTC.
const BOOT_MS: i64 = 1_735_732_800_000;

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

#[derive(Debug)]
struct Alice;

impl WhoIs for Alice {
    fn of_pid(&self, pid: u32) -> Option<Who> {
        (pid == 4242).then(|| Who {
            container: "the \"thesis\"".to_owned(),
            user: "alice".to_owned(),
        })
    }

    fn of_cgroup(&self, path: &str) -> Option<Who> {
        path.contains("docker-").then(|| Who {
            container: "web".to_owned(),
            user: "bob".to_owned(),
        })
    }
}

struct Machine {
    log: SimKernelLog,
    kept: Arc<Kept>,
    xids: XidBook,
    collector: KernelLog<SimKernelLog>,
}

fn machine(gpus: GpuProcesses, who: Arc<dyn WhoIs>) -> Machine {
    let log = SimKernelLog::new(BOOT_MS);
    let kept = Arc::new(Kept::default());
    let xids = XidBook::default();
    let parts = KernelLogParts {
        events: kept.clone(),
        xids: xids.clone(),
        gpus,
        who,
    };
    Machine {
        collector: KernelLog::new(log.clone(), parts),
        log,
        kept,
        xids,
    }
}

fn value(row: &Row, series: &str) -> Option<f64> {
    let found = row
        .samples()
        .find(|(column, _)| column.labels.to_string() == series);
    found.map(|(_, value)| value)
}

#[test]
fn an_xid_names_gpu_process_container_person_and_what_to_do() {
    let gpus = SimGpus::new(4, "NVIDIA H100 80GB HBM3", 1);
    let mut reader = DirectGpuCollector::new(gpus.nvml(), "node-1");
    reader.collect(&mut Row::new()).expect("all is well");
    let mut machine = machine(reader.processes(), Arc::new(Alice));
    assert_collector_contract(&mut machine.collector);
    machine.log.set_now(BOOT_MS + 60_000);
    let line = "NVRM: Xid (PCI:0000:2a:00): 79, pid=4242, name=python3, GPU has fallen off the bus.";
    machine.log.write(3, line);
    let mut row = Row::new();
    machine.collector.collect(&mut row).expect("readable");
    let events = machine.kept.take();
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!(
        (event.kind, event.severity, event.time_ms),
        (EventKind::Xid, Severity::Critical, BOOT_MS + 60_000)
    );
    assert_eq!(
        event.title,
        "XID 79 on GPU 2: GPU has fallen off the bus (python3, pid 4242)"
    );
    assert_eq!(
        event.text,
        format!("{line}\nNVIDIA: RESTART_BM, then CONTACT_SUPPORT; class fatal")
    );
    for (label, wanted) in [
        ("xid", "79"),
        ("gpu", "2"),
        ("action", "RESTART_BM"),
        ("pid", "4242"),
        ("process", "python3"),
        ("container", "the \"thesis\""),
        ("user", "alice"),
    ] {
        assert_eq!(event.labels.get(label), Some(wanted), "{label}");
    }
    assert!(
        event
            .labels
            .get("UUID")
            .is_some_and(|uuid| uuid.starts_with("GPU-"))
    );
    assert_eq!(
        value(&row, "podscope_kernel_events_total{kind=\"xid\"}"),
        Some(1.0)
    );
    assert_eq!(machine.xids.of("00000000:2A:00.0").expect("counted").last, 79);
}

#[test]
fn a_burst_is_one_event_and_all_of_it_is_counted() {
    let mut machine = machine(GpuProcesses::default(), Arc::new(Nobody));
    machine.collector.detect();
    machine.log.set_now(BOOT_MS + 1_000);
    for _ in 0..11_760 {
        machine.log.write(
            3,
            "NVRM: Xid (PCI:0000:3b:00): 45, pid=7, name=python3, Ch 00000008",
        );
    }
    let mut row = Row::new();
    for _ in 0..5 {
        row.begin();
        machine.collector.collect(&mut row).expect("readable");
    }
    assert_eq!(machine.kept.take().len(), 1);
    assert_eq!(
        value(&row, "podscope_kernel_events_total{kind=\"xid\"}"),
        Some(11_760.0)
    );
    machine.log.set_now(BOOT_MS + 90_000);
    machine.collector.collect(&mut row).expect("readable");
    let told = machine.kept.take();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].title, "xid 45 on 0000:3b:00: 11759 more in 0 s");
}

#[test]
fn an_out_of_memory_kill_names_the_container_of_its_group() {
    let mut machine = machine(GpuProcesses::default(), Arc::new(Alice));
    machine.log.write(
        6,
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),oom_memcg=/x,task_memcg=/system.slice/docker-1.scope,task=java,pid=99,uid=1000",
    );
    machine.collector.collect(&mut Row::new()).expect("readable");
    let event = &machine.kept.take()[0];
    assert_eq!(event.title, "oom kill (java, pid 99)");
    assert_eq!(
        (event.labels.get("container"), event.labels.get("user")),
        (Some("web"), Some("bob"))
    );
}

#[test]
fn sxid_errors_are_counted_by_switch_and_number() {
    let mut machine = machine(GpuProcesses::default(), Arc::new(Nobody));
    for _ in 0..3 {
        machine.log.write(
            3,
            "nvidia-nvswitch3: SXid (PCI:0000:05:00.0): 12028, Non-fatal, Link 32 egress",
        );
    }
    let mut row = Row::new();
    machine.collector.collect(&mut row).expect("readable");
    let series = "podscope_kernel_sxid_errors_total{pci_bus_id=\"0000:05:00.0\",sxid=\"12028\"}";
    assert_eq!(value(&row, series), Some(3.0));
    let told = machine.kept.take();
    assert_eq!((told.len(), told[0].labels.get("link")), (1, Some("32")));
}

#[test]
fn what_the_log_held_long_before_is_counted_and_not_told_again() {
    let mut machine = machine(GpuProcesses::default(), Arc::new(Nobody));
    machine.log.set_now(BOOT_MS + 1_000);
    machine
        .log
        .write(3, "NVRM: Xid (PCI:0000:3b:00): 31, pid=7, name=a, x");
    machine.log.set_now(BOOT_MS + 3_600_000 - 60_000);
    machine
        .log
        .write(3, "NVRM: Xid (PCI:0000:3b:00): 13, pid=7, name=a, x");
    machine.log.set_now(BOOT_MS + 3_600_000);
    let mut row = Row::new();
    machine.collector.collect(&mut row).expect("readable");
    assert_eq!(
        value(&row, "podscope_kernel_events_total{kind=\"xid\"}"),
        Some(2.0)
    );
    let told = machine.kept.take();
    assert_eq!((told.len(), told[0].labels.get("xid")), (1, Some("13")));
}

#[test]
fn a_log_that_may_not_be_read_is_not_present_and_says_what_to_do() {
    const EPERM: i32 = 1;
    let kept = Arc::new(Kept::default());
    let parts = KernelLogParts {
        events: kept,
        xids: XidBook::default(),
        gpus: GpuProcesses::default(),
        who: Arc::new(Nobody),
    };
    let mut collector = KernelLog::new(SimKernelLog::refused(EPERM), parts);
    let Support::NotPresent(reason) = collector.detect() else {
        panic!("it is refused")
    };
    assert!(
        reason.contains("Operation not permitted") && reason.ends_with("CAP_SYSLOG"),
        "{reason}"
    );
}
