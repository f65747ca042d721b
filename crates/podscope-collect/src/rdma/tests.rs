use super::*;
use crate::contract::assert_collector_contract;
use crate::fs::MemFs;

const PORT: &str = "/sys/class/infiniband/mlx5_0/ports/1";

fn machine() -> Arc<MemFs> {
    let fs = MemFs::new();
    for (file, text) in [
        ("fw_ver", "28.39.1002\n"),
        ("board_id", "MT_0000000838\n"),
        ("hca_type", "MT4129\n"),
        ("ports/1/state", "4: ACTIVE\n"),
        ("ports/1/phys_state", "5: LinkUp\n"),
        ("ports/1/rate", "400 Gb/sec (4X NDR)\n"),
        ("ports/1/counters/port_rcv_data", "1000\n"),
        ("ports/1/counters/port_rcv_packets", "50\n"),
        ("ports/1/counters/symbol_error", "N/A (no PMA)\n"),
        ("ports/1/hw_counters/np_ecn_marked_roce_packets", "7\n"),
        ("ports/1/hw_counters/lifespan", "10\n"),
        ("ports/1/hw_counters/a_counter_of_tomorrow", "1\n"),
    ] {
        fs.write(&format!("/sys/class/infiniband/mlx5_0/{file}"), text);
    }
    Arc::new(fs)
}

fn collector(fs: &Arc<MemFs>, config: RdmaConfig) -> Rdma {
    Rdma::new(Arc::clone(fs) as Arc<dyn HostFs>, config)
}

fn texts(row: &Row) -> Vec<String> {
    row.samples()
        .map(|(column, value)| format!("{} {value}", column.labels))
        .collect()
}

#[test]
fn says_what_node_exporter_says_of_the_same_files() {
    let row = assert_collector_contract(&mut collector(&machine(), RdmaConfig::default()));
    assert_eq!(
        texts(&row),
        [
            r#"node_infiniband_info{board_id="MT_0000000838",device="mlx5_0",firmware_version="28.39.1002",hca_type="MT4129"} 1"#,
            r#"node_infiniband_state_id{device="mlx5_0",port="1"} 4"#,
            r#"node_infiniband_physical_state_id{device="mlx5_0",port="1"} 5"#,
            r#"node_infiniband_rate_bytes_per_second{device="mlx5_0",port="1"} 50000000000"#,
            r#"node_infiniband_port_data_received_bytes_total{device="mlx5_0",port="1"} 4000"#,
            r#"node_infiniband_port_packets_received_total{device="mlx5_0",port="1"} 50"#,
            r#"node_infiniband_np_ecn_marked_roce_packets_received_total{device="mlx5_0",port="1"} 7"#,
        ]
    );
}

#[test]
fn a_counter_that_cannot_be_read_costs_only_itself_and_is_not_tried_every_time() {
    const EINVAL: i32 = 22;
    let fs = machine();
    let bad = format!("{PORT}/counters/port_rcv_packets");
    fs.make_unreadable(&bad, EINVAL);
    fs.write(
        &format!("{PORT}/hw_counters/np_ecn_marked_roce_packets"),
        "seven\n",
    );
    let mut rdma = collector(&fs, RdmaConfig::default());
    let mut row = Row::new();
    row.begin();
    rdma.collect(&mut row).expect("the other counters are there");
    assert!(texts(&row).iter().any(|line| line.contains("port_data_received")));
    let problems: Vec<String> = rdma.take_problems().iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("port_rcv_packets"), "{problems:?}");
    assert!(
        problems[1].contains("a counter expected, found \"seven\""),
        "{problems:?}"
    );
    row.begin();
    rdma.collect(&mut row).expect("as before");
    assert!(rdma.take_problems().is_empty(), "told once");
    fs.write(&bad, "51\n");
    let found = (0..LOOK_AGAIN).any(|_| {
        row.begin();
        rdma.collect(&mut row).expect("as before");
        texts(&row)
            .iter()
            .any(|line| line.contains("port_packets_received") && line.ends_with(" 51"))
    });
    assert!(found, "tried again in the end");
}

#[test]
fn devices_come_and_go() {
    let fs = machine();
    let mut rdma = collector(&fs, RdmaConfig::default());
    let mut row = Row::new();
    row.begin();
    rdma.collect(&mut row).expect("one device");
    fs.remove("/sys/class/infiniband/mlx5_0");
    fs.write(
        "/sys/class/infiniband/mlx5_1/ports/1/counters/symbol_error",
        "3\n",
    );
    for _ in 0..2 {
        row.begin();
        rdma.collect(&mut row).expect("another device");
    }
    assert!(
        texts(&row).contains(&r#"node_infiniband_symbol_error_total{device="mlx5_1",port="1"} 3"#.to_owned()),
        "{:?}",
        texts(&row)
    );
    assert!(!texts(&row).iter().any(|line| line.contains("mlx5_0")));
}

#[test]
fn the_lists_say_which_devices_are_read() {
    let fs = machine();
    fs.write(
        "/sys/class/infiniband/mlx5_9/ports/1/counters/symbol_error",
        "3\n",
    );
    let pattern = |text| Pattern::new(text).expect("a pattern");
    let config = RdmaConfig {
        device_include: pattern("^mlx5_"),
        device_exclude: pattern("_0$"),
    };
    let row = assert_collector_contract(&mut collector(&fs, config));
    assert_eq!(
        texts(&row),
        [
            r#"node_infiniband_info{device="mlx5_9"} 1"#,
            r#"node_infiniband_symbol_error_total{device="mlx5_9",port="1"} 3"#
        ]
    );
    let none = RdmaConfig {
        device_exclude: pattern("."),
        ..RdmaConfig::default()
    };
    assert_eq!(
        collector(&fs, none).detect(),
        Support::NotPresent("no RDMA device in /sys/class/infiniband that is to be read".to_owned())
    );
}

#[test]
fn rates_and_states_are_read_as_the_kernel_writes_them() {
    assert_eq!(rate("100 Gb/sec (4X EDR)"), Some(12.5e9));
    assert_eq!(rate("2.5 Gb/sec (1X SDR)"), Some(312_500_000.0));
    assert_eq!(rate("NaN Gb/sec"), None);
    assert_eq!(rate(""), None);
    assert_eq!(state_id("1: DOWN"), Some(1.0));
    assert_eq!(state_id("DOWN"), None);
}
