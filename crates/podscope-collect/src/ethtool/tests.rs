use super::*;
use crate::config::Pattern;
use crate::contract::assert_collector_contract;
use crate::fs::MemFs;

struct Machine {
    fs: Arc<MemFs>,
    sim: SimEthtool,
}

fn machine() -> Machine {
    let fs = MemFs::new();
    for (device, index) in [("eth2", 5), ("eth3", 6)] {
        let folder = format!("/sys/class/net/{device}");
        fs.write(&format!("{folder}/ifindex"), format!("{index}\n"));
        fs.write(&format!("{folder}/speed"), "400000\n");
        fs.write(
            &format!("{folder}/device/infiniband/mlx5_{}/node_guid", index - 5),
            "x",
        );
    }
    fs.write("/sys/class/net/lo/ifindex", "1\n");
    fs.set_now(Duration::from_secs(1000));
    let sim = SimEthtool::default();
    sim.plug(
        "eth2",
        DriverInfo {
            driver: "mlx5_core".to_owned(),
            firmware_version: "28.39.1002".to_owned(),
            bus_info: "0000:3b:00.0".to_owned(),
            ..DriverInfo::default()
        },
    );
    for (name, value) in [
        ("rx_bytes", 10),
        ("rx0_packets", 11),
        ("rx_prio3_pause", 12),
        ("rx_prio3_pause_duration", 1_500_000),
        ("tx_prio3_pause_duration", 0),
        ("rx_bytes_phy", 1_000_000),
        ("tx_bytes_phy", 2_000_000),
    ] {
        sim.set("eth2", name, value);
    }
    Machine {
        fs: Arc::new(fs),
        sim,
    }
}

impl Machine {
    fn collector(&self, config: LinkConfig) -> Ethtool {
        let fs = Arc::clone(&self.fs) as Arc<dyn HostFs>;
        Ethtool::new(fs, Box::new(self.sim.clone()), config)
    }
}

fn texts(row: &Row) -> Vec<String> {
    row.samples()
        .map(|(column, value)| format!("{} {value}", column.labels))
        .collect()
}

fn collect(ethtool: &mut Ethtool) -> Vec<String> {
    let mut row = Row::new();
    row.begin();
    ethtool.collect(&mut row).expect("there are devices");
    texts(&row)
}

#[test]
fn drivers_are_read_under_node_exporters_names_and_pauses_by_priority() {
    let machine = machine();
    let row = assert_collector_contract(&mut machine.collector(LinkConfig::default()));
    assert_eq!(
        texts(&row),
        [
            r#"node_ethtool_info{bus_info="0000:3b:00.0",device="eth2",driver="mlx5_core",firmware_version="28.39.1002"} 1"#,
            r#"podscope_link_info{device="eth2",rdma_device="mlx5_0"} 1"#,
            r#"podscope_link_speed_bytes_per_second{device="eth2"} 50000000000"#,
            r#"node_ethtool_received_bytes_total{device="eth2"} 10"#,
            r#"node_ethtool_received_prio3_pause{device="eth2"} 12"#,
            r#"podscope_pfc_pause_frames_total{device="eth2",direction="rx",priority="3"} 12"#,
            r#"node_ethtool_received_prio3_pause_duration{device="eth2"} 1500000"#,
            r#"podscope_pfc_pause_seconds_total{device="eth2",direction="rx",priority="3"} 1.5"#,
            r#"node_ethtool_transmitted_prio3_pause_duration{device="eth2"} 0"#,
            r#"podscope_pfc_pause_seconds_total{device="eth2",direction="tx",priority="3"} 0"#,
            r#"node_ethtool_received_bytes_phy{device="eth2"} 1000000"#,
            r#"podscope_link_bytes_total{device="eth2",direction="rx"} 1000000"#,
            r#"node_ethtool_transmitted_bytes_phy{device="eth2"} 2000000"#,
            r#"podscope_link_bytes_total{device="eth2",direction="tx"} 2000000"#,
            r#"podscope_link_info{device="eth3",rdma_device="mlx5_1"} 1"#,
            r#"podscope_link_speed_bytes_per_second{device="eth3"} 50000000000"#,
        ],
        "loopback has no hardware, eth3 no driver that answers"
    );
}

#[test]
fn utilization_is_the_share_of_what_the_link_could_have_carried() {
    let machine = machine();
    let mut ethtool = machine.collector(LinkConfig::default());
    let first = collect(&mut ethtool);
    assert!(
        !first.iter().any(|line| line.contains("utilization")),
        "nothing to compare with"
    );
    machine.fs.set_now(Duration::from_secs(1010));
    machine
        .sim
        .set("eth2", "rx_bytes_phy", 1_000_000 + 250_000_000_000);
    machine.sim.set("eth2", "tx_bytes_phy", 5);
    let second = collect(&mut ethtool);
    let found: Vec<&String> = second
        .iter()
        .filter(|line| line.contains("utilization"))
        .collect();
    assert_eq!(
        found,
        [r#"podscope_link_utilization_ratio{device="eth2",direction="rx"} 0.5"#],
        "the other counter went back"
    );
    machine.fs.write("/sys/class/net/eth2/speed", "-1\n");
    machine.fs.set_now(Duration::from_secs(1020));
    let third = collect(&mut ethtool);
    assert!(
        !third
            .iter()
            .any(|line| line.contains("eth2") && line.contains("_link_speed"))
    );
    assert!(
        !third.iter().any(|line| line.contains("utilization")),
        "no speed, no share"
    );
}

#[test]
fn links_are_labelled_from_lldp_and_the_configuration() {
    let machine = machine();
    machine.fs.write(
        "/run/podscope/lldp.json",
        r#"{"lldp": {"interface": {"eth2": {"chassis": {"leaf-a01": {}}, "port": {"id": {"type": "ifname", "value": "swp7"}}}}}}"#,
    );
    let mut config = LinkConfig::default();
    let labels = LinkLabels {
        rail: "0".to_owned(),
        ..LinkLabels::default()
    };
    config.links.insert("mlx5_0".to_owned(), labels);
    let labels = LinkLabels {
        fabric: "b".to_owned(),
        leaf: "leaf-b01".to_owned(),
        ..LinkLabels::default()
    };
    config.links.insert("eth3".to_owned(), labels);
    let lines = collect(&mut machine.collector(config));
    for expected in [
        r#"podscope_link_info{device="eth2",fabric="a",leaf="leaf-a01",leaf_port="swp7",rail="0",rdma_device="mlx5_0",source="config"} 1"#,
        r#"podscope_pfc_pause_seconds_total{device="eth2",direction="rx",fabric="a",leaf="leaf-a01",leaf_port="swp7",priority="3",rail="0"} 1.5"#,
        r#"podscope_link_info{device="eth3",fabric="b",leaf="leaf-b01",rdma_device="mlx5_1",source="config"} 1"#,
        r#"node_ethtool_received_prio3_pause{device="eth2"} 12"#,
    ] {
        assert!(
            lines.iter().any(|line| line == expected),
            "{expected} is not among {lines:#?}"
        );
    }
}

#[test]
fn a_broken_file_of_neighbours_is_told_and_costs_only_the_labels() {
    let machine = machine();
    machine.fs.write("/run/podscope/lldp.json", "<html>");
    let mut ethtool = machine.collector(LinkConfig::default());
    let lines = collect(&mut ethtool);
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("podscope_pfc_pause_seconds_total"))
    );
    let problems: Vec<String> = ethtool.take_problems().iter().map(ToString::to_string).collect();
    assert!(
        problems.len() == 1
            && problems[0].starts_with("/run/podscope/lldp.json:1: the JSON of lldpcli expected"),
        "{problems:?}"
    );
}

#[test]
fn statistics_that_move_and_devices_that_go_are_followed() {
    let machine = machine();
    let mut ethtool = machine.collector(LinkConfig::default());
    collect(&mut ethtool);
    machine.sim.unplug("eth2");
    for (name, value) in [("a_new_one", 1), ("rx_prio3_pause", 77)] {
        machine.sim.set("eth2", name, value);
    }
    let lines = collect(&mut ethtool);
    assert!(
        lines.contains(&r#"node_ethtool_received_prio3_pause{device="eth2"} 77"#.to_owned()),
        "{lines:#?}"
    );
    machine.sim.unplug("eth2");
    collect(&mut ethtool);
    let problems: Vec<String> = ethtool.take_problems().iter().map(ToString::to_string).collect();
    assert!(
        problems[0].starts_with("driver statistics of eth2: No such device"),
        "{problems:?}"
    );
}

#[test]
fn the_configuration_says_which_devices_and_further_statistics_are_read() {
    let machine = machine();
    let pattern = |text| Pattern::new(text).expect("a pattern");
    let config = LinkConfig {
        device_exclude: pattern("eth3"),
        further: pattern("^rx[0-9]+_"),
        ..LinkConfig::default()
    };
    let lines = collect(&mut machine.collector(config));
    assert!(
        lines.contains(&r#"node_ethtool_rx0_packets{device="eth2"} 11"#.to_owned()),
        "{lines:#?}"
    );
    assert!(!lines.iter().any(|line| line.contains("eth3")));
    let config = LinkConfig {
        device_include: pattern("^lo$"),
        ..LinkConfig::default()
    };
    assert_eq!(
        collect(&mut machine.collector(config)),
        [r#"podscope_link_info{device="lo"} 1"#]
    );
}
