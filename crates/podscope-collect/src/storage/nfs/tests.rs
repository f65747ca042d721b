use super::*;
use crate::contract::assert_collector_contract;
use crate::fs::MemFs;

const MOUNTS: &str = "device proc mounted on /proc with fstype proc
device 172.21.0.1:/train mounted on /mnt/train with fstype nfs4 statvers=1.1
\topts:\trw,vers=4.1,proto=tcp,clientaddr=10.0.0.1,addr=172.21.0.1
\tage:\t13968
\tcaps:\tcaps=0xfff7,wtmult=512
\tevents:\t52 226 0 0 1 13 398 0 0 331 0 47 0 0 77 0 0 77 0 0 0 0 0 0 0 0 0
\tbytes:\t1207640230 0 0 0 1210214218 0 295483 0
\tRPC iostats version: 1.1  p/v: 100003/4 (nfs)
\txprt:\ttcp 832 0 1 0 11 6428 6427 0 12154 9 24 26 5726
\txprt:\ttcp 833 0 1 0 12 1 1 0 1 0 2 0 0
\tper-op statistics
\t        NULL: 0 0 0 0 0 0 0 0
\t        READ: 1298 1300 1 207680 1210292152 6 79386 79407 2
\t      ACCESS: 5 5 0 1 2 18446743919241604546 9 9

device 172.21.0.1:/train mounted on /mnt/again with fstype nfs4 statvers=1.1
\topts:\trw,vers=4.1,proto=tcp,addr=172.21.0.1
\txprt:\ttcp 832 0 1 0 11 6428 6427 0 12154 9 24 26 5726
device 172.21.0.2:/home mounted on /mnt/a\\040home with fstype nfs statvers=1.1
\topts:\trw,vers=3,proto=rdma,addr=172.21.0.2
\tage:\toops
\txprt:\trdma 0 0 1 0 11 7 8 0 12154 9 24 26 5726 1 2 3 4 5 6 7 8 9 10
\tper-op statistics
\t       WRITE: 3 3 0 1 2 3 4 5
";

fn texts(row: &Row) -> Vec<String> {
    row.samples()
        .map(|(column, value)| format!("{} {value}", column.labels))
        .collect()
}

#[test]
fn mounts_are_told_under_node_exporters_names() {
    let fs = MemFs::new();
    fs.write("/proc/1/mountstats", MOUNTS);
    fs.write(
        "/proc/1/mountinfo",
        "45 26 0:40 / /mnt/train rw shared:1 - nfs4 172.21.0.1:/train rw,addr=172.21.0.1\nbad line\n",
    );
    let mut nfs = NfsMounts::new(Arc::new(fs));
    let row = assert_collector_contract(&mut nfs);
    let lines = texts(&row);
    let mount = r#"export="172.21.0.1:/train",mountaddr="172.21.0.1""#;
    for (name, value) in [
        ("age_seconds_total", "13968"),
        ("total_read_bytes_total", "1210214218"),
        ("event_dnode_revalidate_total", "226"),
        ("event_vfs_file_release_total", "77"),
    ] {
        let expected = format!("node_mountstats_nfs_{name}{{{mount},protocol=\"tcp\"}} {value}");
        assert!(lines.contains(&expected), "{expected} is not among {lines:#?}");
    }
    for (name, value) in [
        ("requests_total", "1298"),
        ("transmissions_total", "1300"),
        ("major_timeouts_total", "1"),
        ("received_bytes_total", "1210292152"),
        ("queue_time_seconds_total", "0.006"),
        ("response_time_seconds_total", "79.386"),
        ("request_time_seconds_total", "79.407"),
    ] {
        let expected = format!(
            "node_mountstats_nfs_operations_{name}{{{mount},operation=\"READ\",protocol=\"tcp\"}} {value}"
        );
        assert!(lines.contains(&expected), "{expected} is not among {lines:#?}");
    }
    for (name, transport, value) in [
        ("receives_total", 0, 6427),
        ("backlog_queue_total", 0, 9),
        ("pending_queue_total", 0, 5726),
        ("idle_time_seconds", 1, 12),
    ] {
        let expected = format!(
            "node_mountstats_nfs_transport_{name}{{{mount},protocol=\"tcp\",transport=\"{transport}\"}} {value}"
        );
        assert!(lines.contains(&expected), "{expected} is not among {lines:#?}");
    }
    let points: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("mountpoint_info"))
        .collect();
    assert_eq!(points.len(), 3, "{points:#?}");
    assert!(
        points[2].contains(r#"mountpoint="/mnt/a\\040home",protocol="rdma""#),
        "{points:#?}"
    );
    let none = |what: &str| assert!(!lines.iter().any(|line| line.contains(what)), "{what}");
    none("operation=\"NULL\"");
    let access: Vec<&String> = lines.iter().filter(|line| line.contains("ACCESS")).collect();
    assert_eq!(access.len(), 7, "a time below zero is absent: {access:#?}");
    let rdma: Vec<&String> = lines
        .iter()
        .filter(|line| line.contains("_transport_") && line.contains("rdma"))
        .collect();
    assert_eq!(rdma.len(), 7, "RDMA has no slots and queues: {rdma:#?}");
    let problems: Vec<String> = nfs.take_problems().iter().map(ToString::to_string).collect();
    assert!(
        problems.len() == 1 && problems[0].contains(":21: an age in seconds expected"),
        "{problems:?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains("operation=\"WRITE\"") && line.contains("/home"))
    );
}

#[test]
fn an_agent_that_may_not_see_the_machines_mounts_sees_its_own() {
    const EACCES: i32 = 13;
    let fs = MemFs::new();
    fs.make_unreadable("/proc/1/mountstats", EACCES);
    fs.write("/proc/self/mountstats", MOUNTS);
    let row = assert_collector_contract(&mut NfsMounts::new(Arc::new(fs)));
    assert!(row.len() > 40);
}

#[test]
fn a_machine_without_nfs_says_so() {
    let fs = MemFs::new();
    fs.write(
        "/proc/1/mountstats",
        "device proc mounted on /proc with fstype proc\n",
    );
    assert_eq!(
        NfsMounts::new(Arc::new(fs)).detect(),
        Support::NotPresent("no NFS mount in /proc/1/mountstats".to_owned())
    );
    assert_eq!(
        NfsMounts::new(Arc::new(MemFs::new())).detect(),
        Support::NotPresent("no /proc/1/mountstats that can be read".to_owned())
    );
}
