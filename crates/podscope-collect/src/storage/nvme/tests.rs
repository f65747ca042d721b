use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::contract::assert_collector_contract;
use crate::fs::MemFs;

#[derive(Debug, Default)]
struct Kept(Mutex<Vec<Event>>);

impl EventSink for Kept {
    fn emit(&self, event: Event) {
        self.0.lock().expect("no test panics with it").push(event);
    }
}

const SUBSYSTEM: &str = "/sys/class/nvme-subsystem/nvme-subsys1";

fn machine() -> Arc<MemFs> {
    let fs = MemFs::new();
    for (file, text) in [
        ("subsysnqn", "nqn.2024-08.com.vastdata:emea"),
        ("model", "VASTData"),
        ("serial", "f00d"),
        ("iopolicy", "round-robin"),
        ("nvme1n1/size", "1"),
        ("nvme1c10n1/ana_state", "optimized"),
        ("power/control", "auto"),
    ] {
        fs.write(&format!("{SUBSYSTEM}/{file}"), format!("{text}\n"));
    }
    for (controller, address) in [("nvme3", "172.21.0.5"), ("nvme10", "172.21.0.6")] {
        // As sysfs has it: a link to the controller.
        let folder = format!("/sys/devices/virtual/nvme-fabrics/ctl/{controller}");
        fs.write(&format!("{folder}/state"), "live\n");
        fs.write(&format!("{folder}/transport"), "rdma\n");
        fs.write(
            &format!("{folder}/address"),
            format!("traddr={address},trsvcid=4420,src_addr=10.0.0.1\n"),
        );
        fs.link(&format!("{SUBSYSTEM}/{controller}"), &folder);
    }
    fs.set_now(Duration::from_secs(1000));
    Arc::new(fs)
}

fn collector(fs: &Arc<MemFs>, kept: &Arc<Kept>) -> NvmePaths {
    NvmePaths::new(
        Arc::clone(fs) as Arc<dyn HostFs>,
        Arc::clone(kept) as Arc<dyn EventSink>,
    )
}

fn collect(paths: &mut NvmePaths) -> Vec<String> {
    let mut row = Row::new();
    row.begin();
    paths.collect(&mut row).expect("there is a subsystem");
    row.samples()
        .map(|(column, value)| format!("{} {value}", column.labels))
        .collect()
}

fn state(fs: &MemFs, controller: &str, state: &str) {
    let path = format!("/sys/devices/virtual/nvme-fabrics/ctl/{controller}/state");
    fs.write(&path, format!("{state}\n"));
}

#[test]
fn subsystems_and_paths_are_told_under_node_exporters_names() {
    let (fs, kept) = (machine(), Arc::new(Kept::default()));
    assert_collector_contract(&mut collector(&fs, &kept));
    let lines = collect(&mut collector(&fs, &kept));
    for expected in [
        r#"node_nvmesubsystem_info{iopolicy="round-robin",model="VASTData",nqn="nqn.2024-08.com.vastdata:emea",serial="f00d",subsystem="nvme-subsys1"} 1"#,
        r#"node_nvmesubsystem_namespace_info{device="nvme1n1",subsystem="nvme-subsys1"} 1"#,
        r#"node_nvmesubsystem_paths{subsystem="nvme-subsys1"} 2"#,
        r#"node_nvmesubsystem_paths_live{subsystem="nvme-subsys1"} 2"#,
        r#"node_nvmesubsystem_path_state{controller="nvme10",state="live",subsystem="nvme-subsys1",transport="rdma"} 1"#,
        r#"node_nvmesubsystem_path_state{controller="nvme10",state="connecting",subsystem="nvme-subsys1",transport="rdma"} 0"#,
        r#"podscope_nvme_path_info{controller="nvme3",host_traddr="10.0.0.1",subsystem="nvme-subsys1",traddr="172.21.0.5",transport="rdma",trsvcid="4420"} 1"#,
        r#"podscope_nvme_path_losses_total{controller="nvme3",subsystem="nvme-subsys1",traddr="172.21.0.5",transport="rdma"} 0"#,
    ] {
        assert!(
            lines.iter().any(|line| line == expected),
            "{expected} is not among {lines:#?}"
        );
    }
    assert!(
        !lines.iter().any(|line| line.contains("nvme1c10n1")),
        "the hidden device of a path is no namespace"
    );
}

#[test]
fn a_path_that_is_lost_and_comes_back_is_counted_and_one_event() {
    let (fs, kept) = (machine(), Arc::new(Kept::default()));
    let mut paths = collector(&fs, &kept);
    collect(&mut paths);
    assert!(kept.0.lock().expect("fine").is_empty());
    fs.set_now(Duration::from_secs(1010));
    state(&fs, "nvme3", "connecting");
    let lines = collect(&mut paths);
    assert!(lines.contains(&r#"node_nvmesubsystem_paths_live{subsystem="nvme-subsys1"} 1"#.to_owned()));
    collect(&mut paths);
    fs.set_now(Duration::from_secs(1040));
    state(&fs, "nvme3", "live");
    let lines = collect(&mut paths);
    for name in ["losses", "reconnects"] {
        let expected = format!(
            r#"podscope_nvme_path_{name}_total{{controller="nvme3",subsystem="nvme-subsys1",traddr="172.21.0.5",transport="rdma"}} 1"#
        );
        assert!(lines.contains(&expected), "{expected} is not among {lines:#?}");
    }
    let told = kept.0.lock().expect("fine");
    let titles: Vec<&str> = told.iter().map(|event| event.title.as_str()).collect();
    assert_eq!(
        titles,
        [
            "NVMe path nvme3 to 172.21.0.5 (rdma) lost: connecting",
            "NVMe path nvme3 to 172.21.0.5 (rdma) was lost for 30 s"
        ]
    );
    assert_eq!(told[0].id(), told[1].id(), "the second closes the first");
    assert!(told[0].open && told[1].end_ms == Some(1_040_000));
}

#[test]
fn a_path_that_returns_under_another_number_closes_its_loss() {
    let (fs, kept) = (machine(), Arc::new(Kept::default()));
    let mut paths = collector(&fs, &kept);
    collect(&mut paths);
    fs.remove("/sys/devices/virtual/nvme-fabrics/ctl/nvme3");
    fs.remove(&format!("{SUBSYSTEM}/nvme3"));
    for _ in 0..2 {
        collect(&mut paths);
    }
    let folder = "/sys/devices/virtual/nvme-fabrics/ctl/nvme11";
    for (file, text) in [
        ("state", "live"),
        ("transport", "rdma"),
        ("address", "traddr=172.21.0.5,trsvcid=4420,src_addr=10.0.0.1"),
    ] {
        fs.write(&format!("{folder}/{file}"), format!("{text}\n"));
    }
    fs.link(&format!("{SUBSYSTEM}/nvme11"), folder);
    let lines: Vec<String> = (0..LOOK_AGAIN).flat_map(|_| collect(&mut paths)).collect();
    assert!(
        lines.iter().any(|line| line
            .starts_with("podscope_nvme_path_reconnects_total{controller=\"nvme11\"")
            && line.ends_with(" 1")),
        "{lines:#?}"
    );
    let told = kept.0.lock().expect("fine");
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(told[0].id(), told[1].id());
    assert!(told[1].end_ms.is_some());
}

#[test]
fn states_of_tomorrow_are_unknown() {
    assert_eq!(state_of("deleting (no IO)"), "deleting");
    assert_eq!(state_of("quantum"), "unknown");
    assert_eq!(part("traddr=1.2.3.4, trsvcid=4420", "trsvcid"), "4420");
    assert_eq!(part("0000:3b:00.0", "traddr"), "");
    assert!(is_namespace("nvme1n1") && !is_namespace("nvme1c3n1") && !is_namespace("nvme1"));
}
