//! The GPU collector over a simulated driver: in this process, and through a child that hangs, crashes and talks nonsense.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use podscope_collect::contract::assert_collector_contract;
use podscope_collect::gpu::{
    Aliases, Child, DirectGpuCollector, ExeLauncher, GpuCollector, GpuConfig, GpuProcess, Launcher,
    MigInstance, Nvml, Readings, RealNvml, RowOptions, SimFault, SimGpus, XidSource, child_main,
};
use podscope_collect::{CollectError, Collector, Support};
use podscope_model::batch::Row;
use podscope_model::catalog::gpu;

const H100: &str = "NVIDIA H100 80GB HBM3";
/// Long enough for anything that happens at all, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn samples(row: &Row) -> Vec<String> {
    row.samples()
        .map(|(column, value)| format!("{} {value}", column.labels))
        .collect()
}

fn collect(collector: &mut dyn Collector) -> Result<Vec<String>, CollectError> {
    let mut row = Row::new();
    collector.collect(&mut row)?;
    Ok(samples(&row))
}

/// Collects until it succeeds.
fn collect_at_last(collector: &mut dyn Collector) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match collect(collector) {
            Ok(samples) => return samples,
            Err(error) => assert!(Instant::now() < deadline, "still failing: {error}"),
        }
        std::thread::yield_now();
    }
}

fn of<'a>(samples: &'a [String], metric: &str) -> Vec<&'a str> {
    samples
        .iter()
        .filter(|sample| {
            let rest = sample.strip_prefix(metric);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        })
        .map(String::as_str)
        .collect()
}

#[test]
fn a_gpu_has_dcgm_exporters_names_and_labels() {
    let gpus = SimGpus::new(2, H100, 7);
    gpus.change(|state| state.gpus[1].readings.gpu_util = Some(97.0));
    let mut collector = DirectGpuCollector::new(gpus.nvml(), "node-1");
    let samples = samples(&assert_collector_contract(&mut collector));
    assert_eq!(
        of(&samples, "DCGM_FI_DEV_GPU_UTIL")[1],
        "DCGM_FI_DEV_GPU_UTIL{Hostname=\"node-1\",UUID=\"GPU-00000000-0007-4001-8000-000000000007\",device=\"nvidia1\",\
         gpu=\"1\",modelName=\"NVIDIA H100 80GB HBM3\",pci_bus_id=\"00000000:1A:00.0\"} 97"
    );
    for (metric, series) in [
        ("DCGM_FI_DEV_ECC_DBE_VOL_DEV", 2),
        ("DCGM_FI_DEV_THERMAL_VIOLATION", 2),
        ("DCGM_FI_PROF_SM_ACTIVE", 2),
        ("DCGM_FI_DEV_NVLINK_COUNT_TX_BYTES", 2),
        ("podscope_gpu_clocks_event_active", 2 * 9),
        ("podscope_gpu_pcie_errors_total", 2 * 11),
        ("podscope_gpu_temperature_limit_celsius", 2 * 4),
        // Of older or newer GPUs only, and of errors that did not happen: absent, not 0.
        ("DCGM_FI_DEV_RETIRED_DBE", 0),
        ("DCGM_FI_DEV_NVLINK_COUNT_RX_ERRORS", 0),
        ("podscope_gpu_xid_errors_total", 0),
        ("ds01_gpu_utilization_percent", 0),
    ] {
        assert_eq!(of(&samples, metric).len(), series, "{metric}");
    }
    let idle = of(&samples, "podscope_gpu_clocks_event_active");
    let active: Vec<&&str> = idle.iter().filter(|sample| sample.ends_with(" 1")).collect();
    assert!(
        active.len() == 2 && active[0].contains("reason=\"gpu_idle\""),
        "{active:?}"
    );
    let inventory = collector.inventory().gpus();
    assert_eq!(
        (inventory.len(), inventory[1].index, inventory[1].model.as_str()),
        (2, 1, H100)
    );
}

#[test]
fn a_reading_that_is_not_there_is_absent_and_costs_no_other() {
    let gpus = SimGpus::new(2, H100, 1);
    gpus.change(|state| {
        state.gpus[0]
            .faults
            .push(SimFault::Unreadable(&gpu::DCGM_FI_DEV_GPU_TEMP))
    });
    let mut collector = DirectGpuCollector::new(gpus.nvml(), "node-1");
    let samples = collect(&mut collector).expect("the rest is readable");
    assert_eq!(of(&samples, "DCGM_FI_DEV_GPU_TEMP").len(), 1);
    assert_eq!(of(&samples, "DCGM_FI_DEV_POWER_USAGE").len(), 2);
}

#[test]
fn a_lost_gpu_costs_its_own_rows_only_and_is_told() {
    let gpus = SimGpus::new(3, H100, 1);
    let mut collector = DirectGpuCollector::new(gpus.nvml(), "node-1");
    collect(&mut collector).expect("all is well");
    gpus.change(|state| {
        state.gpus[1].faults.push(SimFault::GpuLost);
        state.raise_xid(1, 79);
    });
    let samples = collect(&mut collector).expect("two GPUs are readable");
    assert_eq!(of(&samples, "DCGM_FI_DEV_GPU_UTIL").len(), 2);
    let readable = of(&samples, "podscope_gpu_readable");
    assert_eq!(readable.iter().filter(|sample| sample.ends_with(" 0")).count(), 1);
    assert!(of(&samples, "DCGM_FI_DEV_XID_ERRORS")[1].ends_with(" 79"));
    assert_eq!(of(&samples, "podscope_gpus_present"), ["podscope_gpus_present 2"]);
    assert_eq!(
        of(&samples, "podscope_gpus_expected"),
        ["podscope_gpus_expected 3"]
    );
    let problems = collector.take_problems();
    assert_eq!(
        problems[0].to_string(),
        "GPU 1 (GPU-00000000-0001-4001-8000-000000000001): the GPU is lost"
    );
    // Lost so thoroughly that the driver no longer counts it.
    gpus.change(|state| {
        state.gpus.remove(2);
    });
    let samples = collect(&mut collector).expect("one GPU is readable");
    assert_eq!(
        of(&samples, "podscope_gpu_readable").len(),
        3,
        "a GPU that was there is not forgotten"
    );
}

#[test]
fn the_second_of_two_equal_xid_errors_is_counted() {
    let gpus = SimGpus::new(1, H100, 1);
    let mut collector = DirectGpuCollector::new(gpus.nvml(), "node-1");
    let none = collect(&mut collector).expect("all is well");
    assert!(of(&none, "podscope_gpu_xid_errors_total").is_empty());
    assert!(of(&none, "DCGM_FI_DEV_XID_ERRORS")[0].ends_with(" 0"));
    for (xid, count) in [(31, "1"), (31, "2"), (13, "1")] {
        gpus.change(|state| state.raise_xid(0, xid));
        let samples = collect(&mut collector).expect("all is well");
        assert!(of(&samples, "DCGM_FI_DEV_XID_ERRORS")[0].ends_with(&format!(" {xid}")));
        let label = format!("xid=\"{xid}\"");
        let counted = of(&samples, "podscope_gpu_xid_errors_total");
        let counted = counted
            .iter()
            .find(|sample| sample.contains(&label))
            .expect("it is counted");
        assert!(counted.ends_with(&format!(" {count}")), "{counted}");
    }
}

#[test]
fn mig_instances_have_their_own_rows_and_labels() {
    let gpus = SimGpus::new(1, H100, 1);
    gpus.change(|state| {
        let whole = &mut state.gpus[0];
        whole.readings.gpu_util = None;
        whole.mig = [9, 11]
            .into_iter()
            .map(|instance_id| MigInstance {
                instance_id,
                index: instance_id - 9,
                uuid: format!("MIG-{instance_id}"),
                profile: "1g.10gb".to_owned(),
                readings: Readings {
                    fb_used: Some(42.0),
                    ..Readings::default()
                },
            })
            .collect();
    });
    let mut collector = DirectGpuCollector::new(gpus.nvml(), "node-1");
    let samples = samples(&assert_collector_contract(&mut collector));
    assert!(of(&samples, "DCGM_FI_DEV_GPU_UTIL").is_empty());
    let used = of(&samples, "DCGM_FI_DEV_FB_USED");
    assert_eq!(used.len(), 3);
    assert!(
        used[1].contains("GPU_I_ID=\"9\",GPU_I_PROFILE=\"1g.10gb\""),
        "{}",
        used[1]
    );
    assert!(!used[0].contains("GPU_I"), "{}", used[0]);
}

#[test]
fn a_gpu_that_shares_the_nodes_memory_says_so() {
    let gpus = SimGpus::new(1, "NVIDIA GB10", 1);
    gpus.change(|state| state.gpus[0].readings.unified = true);
    let mut collector = DirectGpuCollector::new(gpus.nvml(), "node-1");
    let samples = samples(&assert_collector_contract(&mut collector));
    assert!(of(&samples, "DCGM_FI_DEV_FB_USED")[0].contains(",unified=\"true\"}"));
    assert!(!of(&samples, "DCGM_FI_DEV_GPU_UTIL")[0].contains("unified"));
}

#[test]
fn older_names_are_written_where_they_are_asked_for() {
    let gpus = SimGpus::new(1, H100, 1);
    gpus.change(|state| state.gpus[0].readings.fb_used = Some(2.0));
    let options = RowOptions {
        aliases: Aliases::new(["nvidia_gpu"]),
        expected: Some(8),
        ..RowOptions::default()
    };
    let mut collector = DirectGpuCollector::with_options(gpus.nvml(), "node-1", options);
    let samples = samples(&assert_collector_contract(&mut collector));
    assert_eq!(
        of(&samples, "nvidia_gpu_memory_used_bytes"),
        ["nvidia_gpu_memory_used_bytes{gpu=\"0\"} 2097152"]
    );
    assert!(of(&samples, "ds01_gpu_memory_used_bytes").is_empty());
    assert_eq!(
        of(&samples, "podscope_gpus_expected"),
        ["podscope_gpus_expected 8"]
    );
}

#[test]
fn what_the_kernel_log_tells_of_the_same_errors_is_not_added_to_what_nvml_tells() {
    let gpus = SimGpus::new(1, H100, 1);
    let options = RowOptions::default();
    let book = options.xids.clone();
    let mut collector = DirectGpuCollector::with_options(gpus.nvml(), "node-1", options);
    for _ in 0..3 {
        book.add("0000:0a:00", 79, XidSource::Kernel);
    }
    gpus.change(|state| state.raise_xid(0, 79));
    let samples = collect(&mut collector).expect("all is well");
    assert!(of(&samples, "podscope_gpu_xid_errors_total")[0].ends_with("xid=\"79\"} 3"));
}

#[test]
fn the_processes_on_the_gpus_are_told_to_whoever_asks() {
    let gpus = SimGpus::new(2, H100, 1);
    let process = GpuProcess {
        gpu: 1,
        pid: 4242,
        memory: Some(1e9),
        ..GpuProcess::default()
    };
    gpus.change(|state| state.gpus[1].processes = vec![process.clone()]);
    let (mut collector, _) = through_a_thread(&gpus);
    collect_at_last(&mut collector);
    let table = collector.processes().table();
    assert_eq!((table.generation, table.processes), (1, vec![process]));
    assert_eq!(table.gpus.len(), 2);
    collect_at_last(&mut collector);
    assert_eq!(
        collector.processes().table().generation,
        1,
        "only every quarter of a minute"
    );
}

#[test]
fn the_time_spent_in_the_library_is_told_by_class_of_call() {
    let gpus = SimGpus::new(2, H100, 1);
    let (mut collector, _) = through_a_thread(&gpus);
    collect_at_last(&mut collector);
    let samples = collect_at_last(&mut collector);
    let calls = of(&samples, "podscope_nvml_calls_total");
    assert!(
        calls.contains(&"podscope_nvml_calls_total{call=\"readings\"} 4"),
        "{calls:?}"
    );
    assert_eq!(
        of(&samples, "podscope_nvml_call_seconds_total").len(),
        calls.len()
    );
    assert_eq!(
        of(&samples, "podscope_nvml_slowest_call_seconds").len(),
        calls.len()
    );
}

#[test]
fn a_machine_without_nvml_is_not_present() {
    let mut collector =
        DirectGpuCollector::new(SimGpus::not_present("no libnvidia-ml.so.1").nvml(), "node-1");
    assert_eq!(
        collector.detect(),
        Support::NotPresent("no libnvidia-ml.so.1".to_owned())
    );
    let mut without = DirectGpuCollector::new(SimGpus::new(0, H100, 1).nvml(), "node-1");
    assert!(!without.detect().is_present());
}

#[test]
fn the_real_library_is_read_where_it_is_and_not_present_elsewhere() {
    let mut nvml = RealNvml::new();
    let present = nvml.count().is_ok_and(|count| count > 0);
    let mut collector = DirectGpuCollector::new(nvml, "node-1");
    match collector.detect() {
        Support::NotPresent(reason) => {
            assert!(!present);
            assert!(!reason.is_empty());
        }
        Support::Present => {
            let samples = collect(&mut collector).expect("a GPU is readable");
            assert!(!of(&samples, "DCGM_FI_DEV_GPU_TEMP").is_empty());
        }
    }
}

/// A child that is a thread of this process.
struct ThreadLauncher {
    gpus: SimGpus,
    launched: Arc<AtomicUsize>,
}

impl Launcher for ThreadLauncher {
    fn launch(&mut self) -> io::Result<Child> {
        self.launched.fetch_add(1, Ordering::Relaxed);
        let (requests, stdin) = io::pipe()?;
        let (stdout, answers) = io::pipe()?;
        let nvml = self.gpus.nvml();
        std::thread::spawn(move || child_main(nvml, requests, answers));
        Ok(Child {
            stdin: Box::new(stdin),
            stdout: Box::new(stdout),
            process: None,
        })
    }
}

fn config() -> GpuConfig {
    GpuConfig {
        deadline_ms: 300,
        restart_pause_ms: 10,
        ..GpuConfig::default()
    }
}

fn through_a_thread(gpus: &SimGpus) -> (GpuCollector, Arc<AtomicUsize>) {
    let launched = Arc::new(AtomicUsize::new(0));
    let launcher = ThreadLauncher {
        gpus: gpus.clone(),
        launched: Arc::clone(&launched),
    };
    (GpuCollector::new(launcher, &config(), "node-1"), launched)
}

#[test]
fn through_the_child_comes_what_comes_without_it() {
    let gpus = SimGpus::new(8, H100, 3);
    let (mut collector, _) = through_a_thread(&gpus);
    let through = collect_at_last(&mut collector);
    let direct = collect(&mut DirectGpuCollector::new(gpus.nvml(), "node-1")).expect("all is well");
    // But for the times measured.
    let steady = |samples: Vec<String>| -> Vec<String> {
        samples
            .into_iter()
            .filter(|sample| !sample.contains("_seconds"))
            .collect()
    };
    assert_eq!(steady(through), steady(direct));
    assert_eq!(collector.inventory().gpus().len(), 8);
}

#[test]
fn a_driver_that_hangs_is_an_error_and_no_second_child_is_started() {
    let gpus = SimGpus::new(2, H100, 3);
    let (mut collector, launched) = through_a_thread(&gpus);
    collect_at_last(&mut collector);
    gpus.hang(true);
    for _ in 0..20 {
        let error = collect(&mut collector).expect_err("the driver hangs");
        assert!(matches!(error, CollectError::Deadline { .. }), "{error}");
    }
    assert_eq!(
        collector.detect(),
        Support::Present,
        "a driver that hangs is there"
    );
    gpus.hang(false);
    assert_eq!(
        of(&collect_at_last(&mut collector), "DCGM_FI_DEV_GPU_UTIL").len(),
        2
    );
    assert_eq!(launched.load(Ordering::Relaxed), 1);
}

#[test]
fn an_xid_error_seen_while_detecting_is_counted() {
    let gpus = SimGpus::new(1, H100, 3);
    let (mut collector, _) = through_a_thread(&gpus);
    collect_at_last(&mut collector);
    gpus.change(|state| state.raise_xid(0, 63));
    assert_eq!(collector.detect(), Support::Present);
    assert_eq!(
        of(&collect_at_last(&mut collector), "podscope_gpu_xid_errors_total").len(),
        1
    );
}

#[test]
fn a_child_without_nvml_says_so() {
    let (mut collector, _) = through_a_thread(&SimGpus::not_present("no libnvidia-ml.so.1"));
    let deadline = Instant::now() + PATIENCE;
    while collector.detect().is_present() {
        assert!(Instant::now() < deadline, "still present");
    }
    assert_eq!(
        collector.detect(),
        Support::NotPresent("no libnvidia-ml.so.1".to_owned())
    );
}

#[test]
fn a_child_without_nvml_ends_and_is_started_again_only_after_a_long_while() {
    let gpus = SimGpus::not_present("no libnvidia-ml.so.1");
    let (mut collector, launched) = through_a_thread(&gpus);
    for _ in 0..50 {
        assert!(!collector.detect().is_present());
    }
    assert_eq!(launched.load(Ordering::Relaxed), 1);
    // With a pause of no length the next look starts a child, which finds the driver that was loaded meanwhile.
    let impatient = GpuConfig {
        absent_pause_ms: 0,
        ..config()
    };
    let launcher = ThreadLauncher {
        gpus: gpus.clone(),
        launched: Arc::default(),
    };
    let mut collector = GpuCollector::new(launcher, &impatient, "node-1");
    assert!(!collector.detect().is_present());
    gpus.change(|state| {
        *state = SimGpus::new(1, H100, 1).change(std::mem::take);
    });
    assert!(collector.detect().is_present());
}

/// Not a test: what this program does as the child of the tests below. Standard output belongs to the test harness, so the
/// answers go to descriptor 3, which the shell made of it.
#[test]
fn as_a_child() {
    if std::env::var_os("PODSCOPE_TEST_CHILD").is_none() {
        return;
    }
    let answers = OpenOptions::new()
        .write(true)
        .open("/proc/self/fd/3")
        .expect("the shell opened it");
    child_main(SimGpus::new(2, H100, 5).nvml(), io::stdin(), answers).expect("a clean end");
}

fn through_a_process() -> GpuCollector {
    let exe = std::env::current_exe().expect("it has a file");
    let script =
        r#"PODSCOPE_TEST_CHILD=1 exec "$0" --exact as_a_child --nocapture 3>&1 1>/dev/null 2>/dev/null"#;
    let arguments = ["-c", script, &exe.to_string_lossy()].map(str::to_owned).to_vec();
    GpuCollector::new(
        ExeLauncher {
            program: "/bin/sh".into(),
            arguments,
        },
        &config(),
        "node-1",
    )
}

fn signal(collector: &GpuCollector, signal: rustix::process::Signal) -> u32 {
    let id = collector.child_id().expect("a child runs");
    let pid = i32::try_from(id)
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .expect("a process id");
    rustix::process::kill_process(pid, signal).expect("our own child");
    id
}

#[test]
fn a_child_that_crashes_is_started_again() {
    let mut collector = through_a_process();
    collect_at_last(&mut collector);
    let killed = signal(&collector, rustix::process::Signal::KILL);
    let deadline = Instant::now() + PATIENCE;
    // The first error may take until the kernel has ended it.
    while collect(&mut collector).is_ok() {
        assert!(Instant::now() < deadline, "it goes on without its child");
    }
    assert_eq!(
        of(&collect_at_last(&mut collector), "DCGM_FI_DEV_GPU_UTIL").len(),
        2
    );
    assert_ne!(collector.child_id(), Some(killed));
}

#[test]
fn a_child_that_hangs_outside_the_driver_is_killed_once_and_replaced() {
    let mut collector = through_a_process();
    collect_at_last(&mut collector);
    let stopped = signal(&collector, rustix::process::Signal::STOP);
    // The signal takes its time.
    let deadline = Instant::now() + PATIENCE;
    let error = loop {
        assert!(Instant::now() < deadline, "a stopped child answers");
        if let Err(error) = collect(&mut collector) {
            break error;
        }
    };
    assert!(matches!(error, CollectError::Deadline { .. }), "{error}");
    assert_eq!(
        of(&collect_at_last(&mut collector), "DCGM_FI_DEV_GPU_UTIL").len(),
        2
    );
    assert_ne!(collector.child_id(), Some(stopped));
}

#[test]
fn the_child_ends_with_the_agent() {
    let mut collector = through_a_process();
    collect_at_last(&mut collector);
    let id = collector.child_id().expect("a child runs");
    drop(collector);
    let deadline = Instant::now() + PATIENCE;
    let stat = format!("/proc/{id}/stat");
    // Gone, or ended and not yet reaped.
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < deadline, "the child runs without its agent");
        std::thread::yield_now();
    }
}

#[test]
fn a_child_that_talks_nonsense_is_an_error_that_says_so() {
    let arguments = vec![
        "-c".to_owned(),
        "read request; echo 'Segmentation fault'; cat".to_owned(),
    ];
    let launcher = ExeLauncher {
        program: "/bin/sh".into(),
        arguments,
    };
    let mut collector = GpuCollector::new(launcher, &config(), "node-1");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let error = collect(&mut collector).expect_err("no answer is one");
        if error.to_string() == "cannot read the answer of the child process for NVML" {
            break;
        }
        assert!(Instant::now() < deadline, "{error}");
    }
    let error = collect(&mut collector).expect_err("it waits before it starts another");
    assert!(matches!(error, CollectError::Vendor { .. }), "{error}");
}

#[test]
fn a_program_that_cannot_be_started_is_an_error_and_not_a_loop() {
    let launcher = ExeLauncher {
        program: Path::new("/nonexistent").into(),
        arguments: Vec::new(),
    };
    let slow = GpuConfig {
        restart_pause_ms: 60_000,
        ..config()
    };
    let mut collector = GpuCollector::new(launcher, &slow, "node-1");
    assert!(matches!(collect(&mut collector), Err(CollectError::Read { .. })));
    let error = collect(&mut collector).expect_err("not yet again").to_string();
    assert!(
        error.contains("1 times in a row; it is started again in"),
        "{error}"
    );
}
