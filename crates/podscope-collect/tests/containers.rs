//! Containers and people on machines in memory, and engines that are slow, dead, forbidden or talk nonsense.

use std::fs::Permissions;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use podscope_collect::containers::{
    ContainerBook, ContainerCollector, ContainerConfig, Ds01Collector, Engine, EngineWatch,
    GpuProcessCollector, SocketEngine,
};
use podscope_collect::contract::assert_collector_contract;
use podscope_collect::gpu::{DirectGpuCollector, GpuProcess, GpuProcesses, MigInstance, SimGpus};
use podscope_collect::kernel::WhoIs;
use podscope_collect::{Collector, HostFs, MemFs, Mount, VfsStat};
use podscope_model::batch::Row;
use podscope_model::event::{Event, EventSink};

const NOON: Duration = Duration::from_secs(1_735_732_800);
const H100: &str = "NVIDIA H100 80GB HBM3";

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

fn id(number: u64) -> String {
    format!("{number:012x}{number:052x}")
}

/// A machine with control groups and accounts.
fn machine() -> Arc<MemFs> {
    let fs = MemFs::new();
    fs.set_now(NOON);
    fs.write("/sys/fs/cgroup/cgroup.controllers", "cpu memory io pids\n");
    fs.write(
        "/etc/passwd",
        "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\nbob:x:1001:1001::/home/bob:/bin/sh\n",
    );
    fs.write("/etc/group", "alice:x:1000:\nstudents:x:2000:alice,bob\n");
    Arc::new(fs)
}

/// A container that runs with one process.
fn run(fs: &MemFs, number: u64, pid: u32, uid: u32) {
    let group = format!("/system.slice/docker-{}.scope", id(number));
    let file = |name: &str, text: String| fs.write(&format!("/sys/fs/cgroup{group}/{name}"), text);
    file(
        "cpu.stat",
        "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n".to_owned(),
    );
    file("memory.current", "1048576\n".to_owned());
    file("memory.max", "2097152\n".to_owned());
    file(
        "memory.stat",
        "anon 524288\nfile 524288\ninactive_file 262144\n".to_owned(),
    );
    file("memory.events", "oom_kill 0\n".to_owned());
    file("io.stat", "259:0 rbytes=10 wbytes=20\n".to_owned());
    file("pids.current", "3\n".to_owned());
    file("cgroup.procs", format!("{pid}\n"));
    fs.write(&format!("/proc/{pid}/cgroup"), format!("0::{group}\n"));
    fs.write(&format!("/proc/{pid}/comm"), "python3\n");
    fs.write(&format!("/proc/{pid}/loginuid"), "4294967295");
    fs.write(
        &format!("/proc/{pid}/status"),
        format!("Name:\tpython3\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n"),
    );
    fs.write(
        &format!("/proc/{pid}/net/dev"),
        "a\nb\n  eth0: 100 1 0 0 0 0 0 0 200 1 0 0 0 0 0 0\n",
    );
}

fn stop(fs: &MemFs, number: u64, pid: u32) {
    fs.remove(&format!(
        "/sys/fs/cgroup/system.slice/docker-{}.scope",
        id(number)
    ));
    fs.remove(&format!("/proc/{pid}"));
}

fn samples(row: &Row, metric: &str) -> Vec<String> {
    let of = |(column, value): (&podscope_model::batch::Column, f64)| format!("{} {value}", column.labels);
    let all = row.samples().map(of);
    all.filter(|sample| {
        sample
            .strip_prefix(metric)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    })
    .collect()
}

fn collect(collector: &mut dyn Collector) -> Row {
    let mut row = Row::new();
    collector.collect(&mut row).expect("the machine is readable");
    row
}

/// A server on a unix socket that gives the same answer to every request that begins so.
struct FakeEngine {
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

fn engine(answers: Vec<(&'static str, String)>) -> FakeEngine {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("docker.sock");
    let listener = UnixListener::bind(&socket).expect("a fresh folder");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut request = [0; 4096];
            let Ok(read) = stream.read(&mut request) else {
                continue;
            };
            let request = String::from_utf8_lossy(&request[..read]).into_owned();
            let found = answers.iter().find(|(start, _)| request.starts_with(start));
            let body = found.map_or("", |(_, body)| body.as_str());
            let status = if found.is_some() {
                "200 OK"
            } else {
                "404 Not Found"
            };
            let answer = format!(
                "HTTP/1.0 {status}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            drop(stream.write_all(answer.as_bytes()));
        }
    });
    FakeEngine {
        socket,
        _folder: folder,
    }
}

fn listed(number: u64, name: &str, state: &str, labels: &str) -> String {
    let name = serde_json::to_string(&format!("/{name}")).expect("text");
    format!(
        r#"{{"Id":"{}","Names":[{name}],"Image":"pytorch:2.4","State":"{state}","Created":1735732000,"Labels":{labels}}}"#,
        id(number)
    )
}

fn asking(socket: &Path) -> Vec<Box<dyn Engine>> {
    vec![Box::new(SocketEngine::new(socket, Duration::from_secs(20)))]
}

fn gpu_table(gpus: &SimGpus) -> GpuProcesses {
    let mut reader = DirectGpuCollector::new(gpus.nvml(), "node-1");
    collect(&mut reader);
    reader.processes()
}

#[test]
fn a_container_has_cadvisors_names_with_its_owner() {
    let fs = machine();
    run(&fs, 1, 4242, 1000);
    run(&fs, 2, 4243, 0);
    let name = "the \"best\"\nthesis";
    let list = format!(
        "[{},{}]",
        listed(
            1,
            name,
            "running",
            r#"{"ds01.user":"carol","ds01.interface":"atomic"}"#
        ),
        listed(3, "old", "exited", "null")
    );
    let engine = engine(vec![("GET /containers/json", list)]);
    let book = ContainerBook::new(fs.clone(), ContainerConfig::default());
    book.refresh(&mut asking(&engine.socket));
    let mut collector = ContainerCollector::new(book, Arc::new(Kept::default()));
    let row = assert_collector_contract(&mut collector);
    assert_eq!(
        samples(&row, "container_cpu_usage_seconds_total")[0],
        "container_cpu_usage_seconds_total{id=\"000000000001\",image=\"pytorch:2.4\",name=\"the \\\"best\\\"\\nthesis\",user=\"carol\"} 2.5"
    );
    // Nobody knows the other's name or owner: the first digits of its id, and no user.
    assert!(samples(&row, "container_cpu_usage_seconds_total")[1].contains("name=\"000000000002\"}"));
    assert!(samples(&row, "container_memory_working_set_bytes")[0].ends_with(" 786432"));
    assert!(samples(&row, "container_spec_memory_limit_bytes")[0].ends_with(" 2097152"));
    assert!(samples(&row, "container_network_receive_bytes_total")[0].contains("interface=\"eth0\""));
    assert_eq!(
        samples(&row, "podscope_containers_running"),
        ["podscope_containers_running 2"]
    );
    assert!(samples(&row, "podscope_container_engine_up")[0].ends_with(" 1"));
}

#[test]
fn ten_thousand_short_lived_containers_in_an_hour_leave_no_series_and_few_files_of_memory() {
    let fs = machine();
    run(&fs, 1, 1, 1000);
    let book = ContainerBook::new(fs.clone(), ContainerConfig::default());
    let kept = Arc::new(Kept::default());
    let mut collector = ContainerCollector::new(book, kept.clone());
    assert!(collector.detect().is_present());
    let mut row = Row::new();
    let (mut next, mut told) = (100, 0);
    // An hour of looks every 5 s: 14 containers start and end between two of them, each lives for 10 s.
    for tick in 0..720u64 {
        fs.set_now(NOON + Duration::from_secs(5 * tick));
        for _ in 0..14 {
            run(&fs, next, u32::try_from(next).expect("small"), 1000);
            next += 1;
        }
        if next >= 142 {
            for gone in next - 42..next - 28 {
                stop(&fs, gone, u32::try_from(gone).expect("small"));
            }
        }
        row.begin();
        collector.collect(&mut row).expect("the machine is readable");
        row.compact();
        told += kept.take().len();
    }
    let series = samples(&row, "container_cpu_usage_seconds_total");
    assert_eq!(
        series.len(),
        1,
        "only the one that was there before has series: {series:?}"
    );
    assert!(row.columns().len() < 100, "{} columns", row.columns().len());
    assert!(told > 9_000, "{told} of {} are remembered as events", next - 100);
    assert!(
        samples(&row, "podscope_containers_ended_total")[0].contains("total 100"),
        "some 10,000"
    );
}

#[test]
fn a_container_that_stays_is_told_when_it_starts_and_again_when_it_ends() {
    let fs = machine();
    let kept = Arc::new(Kept::default());
    let book = ContainerBook::new(fs.clone(), ContainerConfig::default());
    let mut collector = ContainerCollector::new(book, kept.clone());
    assert!(collector.detect().is_present());
    collect(&mut collector);
    run(&fs, 7, 70, 1000);
    for seconds in (5..=70).step_by(5) {
        fs.set_now(NOON + Duration::from_secs(seconds));
        let row = collect(&mut collector);
        let old = seconds >= 65;
        assert_eq!(
            samples(&row, "container_memory_usage_bytes").len(),
            usize::from(old),
            "{seconds} s"
        );
    }
    let told = kept.take();
    assert_eq!(
        (told.len(), told[0].open, told[0].labels.get("user")),
        (1, true, Some("alice"))
    );
    stop(&fs, 7, 70);
    fs.set_now(NOON + Duration::from_secs(100));
    collect(&mut collector);
    let ended = kept.take();
    assert_eq!(ended[0].id(), told[0].id(), "the same event, now with its end");
    assert_eq!(
        ended[0].text,
        "ran 95 s, used 2.5 s of CPU, 1 MiB of memory at most"
    );
}

#[test]
fn more_containers_than_the_bound_are_counted_and_not_shown() {
    let fs = machine();
    for number in 0..30 {
        run(&fs, number, 100 + u32::try_from(number).expect("small"), 1000);
    }
    let config = ContainerConfig {
        most: 20,
        ..ContainerConfig::default()
    };
    let mut collector = ContainerCollector::new(ContainerBook::new(fs, config), Arc::new(Kept::default()));
    let row = assert_collector_contract(&mut collector);
    assert_eq!(samples(&row, "container_processes").len(), 20);
    assert_eq!(
        samples(&row, "podscope_containers_left_out"),
        ["podscope_containers_left_out 10"]
    );
}

#[test]
fn two_users_of_one_gpu_are_told_apart() {
    let fs = machine();
    run(&fs, 1, 11, 1000);
    run(&fs, 2, 12, 1001);
    let gpus = SimGpus::new(2, H100, 1);
    let on = |pid: u32, bytes: f64, percent: f64| GpuProcess {
        gpu: 1,
        pid,
        memory: Some(bytes),
        sm_util: Some(percent),
        ..GpuProcess::default()
    };
    // The third is of a process that is gone.
    gpus.change(|state| {
        state.gpus[1].processes = vec![on(11, 3e9, 60.0), on(12, 1e9, 30.0), on(99, 1e6, 0.0)]
    });
    let table = gpu_table(&gpus);
    let book = ContainerBook::new(fs, ContainerConfig::default());
    book.refresh(&mut []);
    let mut collector = GpuProcessCollector::new(book.clone(), table.clone());
    assert!(collector.detect().is_present());
    let first = collect(&mut collector);
    assert!(
        samples(&first, "podscope_gpu_process_memory_bytes").is_empty(),
        "seen once only"
    );
    let row = collect(&mut collector);
    assert_eq!(
        samples(&row, "podscope_gpu_process_memory_bytes")[0],
        "podscope_gpu_process_memory_bytes{container=\"000000000001\",gpu=\"1\",pid=\"11\",process=\"python3\",user=\"alice\"} 3000000000"
    );
    let users = samples(&row, "podscope_gpu_user_memory_bytes");
    assert_eq!(users.len(), 3);
    assert!(
        users[0].contains("user=\"alice\"} 3000000000") && users[1].contains("user=\"bob\"} 1000000000"),
        "{users:?}"
    );
    assert!(users[2].contains("user=\"unknown\""), "{}", users[2]);
    assert!(samples(&row, "podscope_gpu_user_utilization_ratio")[0].ends_with(" 0.6"));
    let mut ds01 = Ds01Collector::new(book.clone(), table, Arc::new(Kept::default()));
    let row = assert_collector_contract(&mut ds01);
    let allocated = samples(&row, "ds01_gpu_allocated");
    assert_eq!(allocated.len(), 3);
    assert!(
        allocated
            .iter()
            .any(|one| one.contains("gpu=\"1\",gpu_slot=\"1\",interface=\"other\",user=\"bob\"")),
        "{allocated:?}"
    );
    assert_eq!(book.of_pid(11).expect("known").user, "alice");
    assert_eq!(book.of_pid(4711), None);
}

#[test]
fn who_has_which_gpu_follows_from_what_the_engine_gave() {
    let fs = machine();
    run(&fs, 1, 11, 1000);
    let gpus = SimGpus::new(2, H100, 1);
    gpus.change(|state| {
        state.gpus[1].mig = [7, 9]
            .map(|instance_id| MigInstance {
                instance_id,
                index: (instance_id - 7) / 2,
                uuid: format!("MIG-{instance_id}"),
                profile: "3g.40gb".to_owned(),
                ..MigInstance::default()
            })
            .to_vec();
    });
    let list = format!(
        "[{},{},{}]",
        listed(
            1,
            "thesis",
            "running",
            r#"{"ds01.user":"alice","ds01.interface":"orchestration"}"#
        ),
        listed(
            2,
            "web",
            "running",
            r#"{"com.docker.compose.project.working_dir":"/home/bob/web"}"#
        ),
        listed(3, "old", "exited", r#"{"ds01.user":"alice"}"#)
    );
    let gives = |ids: &str| {
        format!(r#"{{"HostConfig":{{"DeviceRequests":[{{"DeviceIDs":{ids},"Capabilities":[["gpu"]]}}]}}}}"#)
    };
    let engine = engine(vec![
        ("GET /containers/json", list),
        ("GET /containers/000000000001", gives(r#"["MIG-9"]"#)),
        ("GET /containers/000000000002", gives(r#"["0"]"#)),
    ]);
    let config = ContainerConfig {
        state_file: Some("/var/lib/ds01/gpu-state.json".into()),
        job_mapping_dir: Some("/run/jobs".into()),
        ..ContainerConfig::default()
    };
    fs.write(
        "/var/lib/ds01/gpu-state.json",
        r#"{"gpus":{"1.0":{"uuid":"MIG-7","containers":["notebook"],"users":{"dora":1}},"0":{"containers":[],"users":{}}}}"#,
    );
    fs.write("/run/jobs/0", "4711\n");
    fs.set_mount(
        "/var/lib/ds01",
        Mount::Answers(VfsStat {
            block_size: 4096,
            blocks: 100,
            blocks_free: 40,
            blocks_available: 30,
            files: 1,
            files_free: 1,
        }),
    );
    let book = ContainerBook::new(fs.clone(), config);
    book.refresh(&mut asking(&engine.socket));
    let kept = Arc::new(Kept::default());
    let mut collector = Ds01Collector::new(book.clone(), gpu_table(&gpus), kept.clone());
    let row = assert_collector_contract(&mut collector);
    let mut allocated = samples(&row, "ds01_gpu_allocated");
    allocated.sort();
    assert_eq!(
        allocated,
        [
            "ds01_gpu_allocated{GPU_I_ID=\"7\",container=\"notebook\",gpu=\"1\",gpu_slot=\"1.7\",interface=\"other\",user=\"dora\"} 1",
            "ds01_gpu_allocated{GPU_I_ID=\"9\",container=\"thesis\",gpu=\"1\",gpu_slot=\"1.9\",interface=\"orchestration\",user=\"alice\"} 1",
            "ds01_gpu_allocated{container=\"web\",gpu=\"0\",gpu_slot=\"0\",interface=\"compose\",user=\"bob\"} 1",
            "ds01_gpu_allocated{gpu=\"0\",gpu_slot=\"0\",hpc_job=\"4711\",interface=\"slurm\",user=\"unknown\"} 1",
        ]
    );
    let containers = samples(&row, "ds01_containers_total");
    assert!(
        containers
            .contains(&"ds01_containers_total{interface=\"orchestration\",status=\"running\"} 1".to_owned()),
        "{containers:?}"
    );
    assert!(
        containers.contains(&"ds01_containers_total{interface=\"other\",status=\"stopped\"} 1".to_owned()),
        "{containers:?}"
    );
    let equivalents = samples(&row, "ds01_user_mig_allocated");
    assert!(
        equivalents.contains(&"ds01_user_mig_allocated{user=\"bob\"} 4".to_owned()),
        "{equivalents:?}"
    );
    assert!(
        equivalents.contains(&"ds01_user_mig_allocated{user=\"alice\"} 1".to_owned()),
        "{equivalents:?}"
    );
    assert_eq!(
        samples(&row, "ds01_user_group_info"),
        [
            "ds01_user_group_info{group=\"students\",user=\"alice\"} 1",
            "ds01_user_group_info{group=\"students\",user=\"bob\"} 1"
        ]
    );
    assert_eq!(samples(&row, "ds01_state_disk_bytes").len(), 3);
    assert_eq!(samples(&row, "ds01_exporter_info").len(), 1);
    // The file is half written, the mapping is gone: what was held before is held on, and the file's troubles are told.
    fs.write("/var/lib/ds01/gpu-state.json", r#"{"gpus":{"1.0":"#);
    let row = collect(&mut collector);
    assert_eq!(samples(&row, "ds01_gpu_allocated").len(), 4);
    assert!(
        collector.take_problems()[0]
            .to_string()
            .contains("gpu-state.json")
    );
    fs.remove("/run/jobs");
    fs.set_now(NOON + Duration::from_secs(3600));
    let row = collect(&mut collector);
    assert_eq!(samples(&row, "ds01_gpu_allocated").len(), 3);
    assert!(
        samples(&row, "ds01_events_24h_total")
            .contains(&"ds01_events_24h_total{event_type=\"gpu.released\"} 1".to_owned())
    );
    assert!(
        kept.take()[0]
            .title
            .starts_with("GPU 0 released by unknown after 1.0 h")
    );
}

#[test]
fn a_mig_reconfiguration_under_way_changes_slots_and_costs_nothing_else() {
    let fs = machine();
    let gpus = SimGpus::new(1, H100, 1);
    let mut reader = DirectGpuCollector::new(gpus.nvml(), "node-1");
    collect(&mut reader);
    let config = ContainerConfig {
        state_file: Some("/state.json".into()),
        ..ContainerConfig::default()
    };
    fs.write(
        "/state.json",
        r#"{"gpus":{"0":{"containers":["a"],"users":{"alice":1}}}}"#,
    );
    let book = ContainerBook::new(fs, config);
    let mut collector = Ds01Collector::new(book, reader.processes(), Arc::new(Kept::default()));
    let slots = |collector: &mut Ds01Collector| -> Vec<String> {
        let mut row = Row::new();
        // An allocation is believed when it was seen three times.
        for _ in 0..3 {
            row.begin();
            collector.collect(&mut row).expect("the machine is readable");
        }
        samples(&row, "ds01_gpu_allocated")
    };
    assert!(slots(&mut collector)[0].contains("gpu_slot=\"0\""));
    let slice = MigInstance {
        instance_id: 5,
        ..MigInstance::default()
    };
    gpus.change(|state| state.gpus[0].mig = vec![slice]);
    collect(&mut reader);
    assert!(slots(&mut collector)[0].contains("gpu_slot=\"0.5\""));
    gpus.change(|state| state.gpus[0].mig.clear());
    collect(&mut reader);
    assert!(slots(&mut collector)[0].contains("gpu_slot=\"0\""));
}

#[test]
fn an_engine_that_is_dead_forbidden_or_talks_nonsense_costs_only_its_own_knowledge() {
    let fs = machine();
    run(&fs, 1, 11, 1000);
    let nonsense = engine(vec![("GET /containers/json", "{oops".to_owned())]);
    let folder = tempfile::tempdir().expect("a folder");
    let dead = folder.path().join("dead.sock");
    drop(UnixListener::bind(&dead).expect("a fresh folder"));
    let forbidden = folder.path().join("forbidden.sock");
    let _listener = UnixListener::bind(&forbidden).expect("a fresh folder");
    std::fs::set_permissions(&forbidden, Permissions::from_mode(0o000)).expect("our own file");
    let absent = folder.path().join("absent.sock");
    for socket in [&nonsense.socket, &dead, &absent] {
        let book = ContainerBook::new(fs.clone(), ContainerConfig::default());
        book.refresh(&mut asking(socket));
        let engines = book.engines();
        assert!(engines[0].error.is_some(), "{}", socket.display());
        let mut collector = ContainerCollector::new(book, Arc::new(Kept::default()));
        let row = assert_collector_contract(&mut collector);
        assert!(samples(&row, "podscope_container_engine_up")[0].ends_with(" 0"));
        assert!(samples(&row, "container_processes")[0].contains("name=\"000000000001\",user=\"alice\""));
    }
    // Root may enter everywhere, so that what is forbidden is tested as another user only.
    if !rustix::process::geteuid().is_root() {
        let book = ContainerBook::new(fs, ContainerConfig::default());
        book.refresh(&mut asking(&forbidden));
        let error = book.engines()[0].error.clone().expect("it is forbidden");
        assert!(error.contains("ermission denied"), "{error}");
    }
}

#[test]
fn an_engine_that_never_answers_delays_nobody_and_what_it_said_before_is_believed() {
    let fs = machine();
    run(&fs, 1, 11, 1000);
    let good = engine(vec![(
        "GET /containers/json",
        format!("[{}]", listed(1, "thesis", "running", r#"{"ds01.user":"carol"}"#)),
    )]);
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("slow.sock");
    let silent = UnixListener::bind(&socket).expect("a fresh folder");
    let config = ContainerConfig {
        engine_deadline: Duration::from_millis(50),
        engine_interval: Duration::from_millis(10),
        ..ContainerConfig::default()
    };
    let book = ContainerBook::new(fs, config);
    book.refresh(&mut asking(&good.socket));
    let slow: Vec<Box<dyn Engine>> = vec![Box::new(SocketEngine::new(&socket, Duration::from_millis(50)))];
    let watch = EngineWatch::start(&book, slow).expect("a thread");
    let until = Instant::now() + Duration::from_secs(60);
    while book.engines().iter().all(|engine| engine.error.is_none()) {
        assert!(Instant::now() < until, "the silence is never noticed");
        std::thread::yield_now();
    }
    let mut collector = ContainerCollector::new(book.clone(), Arc::new(Kept::default())).asking(watch);
    let row = assert_collector_contract(&mut collector);
    assert!(
        samples(&row, "container_processes")[0].contains("name=\"thesis\",user=\"carol\""),
        "it was said before"
    );
    drop(silent);
}

#[test]
fn files_of_containers_that_are_gone_are_closed() {
    #[derive(Debug)]
    struct Closing(Arc<MemFs>, Mutex<Vec<String>>);
    impl HostFs for Closing {
        fn read(&self, path: &str, buffer: &mut Vec<u8>) -> std::io::Result<()> {
            self.0.read(path, buffer)
        }
        fn close_below(&self, folder: &str) {
            self.1
                .lock()
                .expect("no test panics with it")
                .push(folder.to_owned());
        }
        fn list(&self, path: &str) -> std::io::Result<Vec<String>> {
            self.0.list(path)
        }
        fn canonicalize(&self, path: &str) -> std::io::Result<String> {
            self.0.canonicalize(path)
        }
        fn exists(&self, path: &str) -> bool {
            self.0.exists(path)
        }
        fn statvfs(&self, mount_point: &str) -> std::io::Result<VfsStat> {
            self.0.statvfs(mount_point)
        }
        fn uname(&self) -> std::io::Result<podscope_collect::Uname> {
            self.0.uname()
        }
        fn now(&self) -> std::time::SystemTime {
            self.0.now()
        }
        fn time_zone(&self, name: &mut String) -> i32 {
            self.0.time_zone(name)
        }
        fn page_size(&self) -> u64 {
            self.0.page_size()
        }
    }
    let memory = machine();
    let fs = Arc::new(Closing(memory.clone(), Mutex::default()));
    run(&memory, 1, 11, 1000);
    let book = ContainerBook::new(fs.clone(), ContainerConfig::default());
    let mut collector = ContainerCollector::new(book, Arc::new(Kept::default()));
    assert!(collector.detect().is_present());
    collect(&mut collector);
    assert!(fs.1.lock().expect("no test panics with it").is_empty());
    stop(&memory, 1, 11);
    collect(&mut collector);
    let closed = fs.1.lock().expect("no test panics with it").clone();
    assert_eq!(
        closed,
        [
            format!("/sys/fs/cgroup/system.slice/docker-{}.scope", id(1)),
            "/proc/11".to_owned()
        ]
    );
}
