//! Every host collector on captured machines: the contract, what it says, and what node_exporter says of the same machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use podscope_collect::contract::assert_collector_contract;
use podscope_collect::ethtool::SimEthtool;
use podscope_collect::nccl::ras::SimRas;
use podscope_collect::storage::latency::NoIo;
use podscope_collect::{
    Collector, DomainConfig, DomainSources, HostConfig, HostFs, MemFs, Mount, RealFs, Support, Uname,
    VfsStat, domain_collectors, host_collectors,
};
use podscope_model::catalog;
use podscope_model::event::{EventSink, NoSink};

/// Series of node_exporter that ours lack, by how the line begins, with the reason.
const ONLY_THEIRS: &[(&str, &str)] = &[
    (
        "node_network_speed_bytes{device=\"bond0\"} -125000",
        "a speed of -1 is unknown, not -125000 bytes/s",
    ),
    (
        "node_network_speed_bytes{device=\"eth0\"} -125000",
        "a speed of -1 is unknown, not -125000 bytes/s",
    ),
    (
        "node_filesystem_purgeable_bytes",
        "macOS alone knows it; node_exporter says 0 on Linux",
    ),
    ("node_disk_ata_", "ATA details of udev are not collected"),
    ("node_hwmon_beep_enabled", "not a reading"),
    ("node_hwmon_pwm", "fan control settings are not collected"),
    ("node_hwmon_fan_manual", "not an attribute of the hwmon interface"),
    ("node_hwmon_fan_output", "not an attribute of the hwmon interface"),
    ("node_hwmon_fan_safe", "not an attribute of the hwmon interface"),
    ("node_hwmon_fan_beep", "not a reading"),
    ("node_hwmon_fan_div", "not a reading"),
    ("node_hwmon_fan_pulses", "not a reading"),
    ("node_hwmon_fan_tolerance", "not a reading"),
    (
        "node_hwmon_freq",
        "clocks of graphics chips come from their own driver",
    ),
    ("node_hwmon_in_beep", "not a reading"),
    ("node_hwmon_intrusion", "not collected"),
    ("node_hwmon_update_interval", "not a reading"),
    ("node_hwmon_temp_type", "not a reading"),
    ("node_hwmon_voltage_regulator_version", "not a reading"),
    ("node_infiniband_lifespan_seconds", "a setting, not a counter"),
    (
        "node_mountstats_nfs_operations_queue_time_seconds_total{export=\"192.168.1.1:/srv/test\",mountaddr=\"192.168.1.1\",operation=\"ACCESS\",protocol=\"udp\"}",
        "the kernel counted below zero",
    ),
    (
        "node_mountstats_nfs_transport_connect_total{export=\"192.168.1.1:/srv/test\",mountaddr=\"192.168.1.1\",protocol=\"udp\",transport=\"0\"} 0",
        "UDP has no connections",
    ),
    (
        "node_mountstats_nfs_transport_idle_time_seconds{export=\"192.168.1.1:/srv/test\",mountaddr=\"192.168.1.1\",protocol=\"udp\",transport=\"0\"} 0",
        "UDP has no connections",
    ),
];

/// Operations of NFS without a request have no series of ours.
fn never_called(series: &str, theirs: &BTreeMap<String, f64>) -> bool {
    let labels = series
        .strip_prefix("node_mountstats_nfs_operations_")
        .and_then(|rest| rest.split_once('{'));
    labels.is_some_and(|(_, labels)| {
        theirs.get(&format!(
            "node_mountstats_nfs_operations_requests_total{{{labels}"
        )) == Some(&0.0)
    })
}

/// Series that are both's with other values, by how they begin, with the reason.
const OTHER_VALUES: &[(&str, &str)] = &[
    (
        "node_filesystem_avail_bytes",
        "statfs was made on another machine",
    ),
    ("node_filesystem_files", "statfs was made on another machine"),
    ("node_filesystem_free_bytes", "statfs was made on another machine"),
    ("node_filesystem_size_bytes", "statfs was made on another machine"),
    (
        "node_nvme_namespace_capacity_bytes",
        "sysfs tells sizes in 512 bytes, whatever the block size",
    ),
    (
        "node_nvme_namespace_size_bytes",
        "sysfs tells sizes in 512 bytes, whatever the block size",
    ),
];

/// Series of ours that node_exporter lacks on these machines.
const ONLY_OURS: &[(&str, &str)] = &[
    ("node_time_seconds", "left out of the capture"),
    ("node_time_zone_offset_seconds", "left out of the capture"),
    ("node_uname_info", "left out of the capture"),
    (
        "node_network_receive_nohandler_total",
        "node_exporter has it from netlink, which a capture has not",
    ),
    ("podscope_", "nobody else has named it"),
];

fn machines() -> Vec<PathBuf> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata");
    let entries = std::fs::read_dir(&testdata).expect("testdata is there");
    let mut folders: Vec<PathBuf> = entries
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    assert!(
        folders.len() >= 2,
        "no captured machines in {}",
        testdata.display()
    );
    folders
}

fn name(folder: &Path) -> String {
    folder
        .file_name()
        .expect("a folder has a name")
        .to_string_lossy()
        .into_owned()
}

/// The captured machine, with what no file tells: the root's size, uname and the clock.
fn machine(folder: &Path) -> Arc<MemFs> {
    let fs = MemFs::from_dir(folder).expect("the capture is readable");
    let stat = VfsStat {
        block_size: 4096,
        blocks: 1_000_000,
        blocks_free: 400_000,
        blocks_available: 350_000,
        files: 65_536,
        files_free: 60_000,
    };
    // The folders that are in a capture: node_exporter was answered for them too.
    for path in ["/", "/run"] {
        if fs.exists(path) || path == "/" {
            fs.set_mount(path, Mount::Answers(stat));
        }
    }
    fs.set_uname(Uname {
        sysname: "Linux".to_owned(),
        release: "6.18.44".to_owned(),
        version: "#1 SMP".to_owned(),
        machine: "x86_64".to_owned(),
        nodename: "node-1".to_owned(),
        domainname: "(none)".to_owned(),
    });
    fs.set_now(Duration::from_millis(1_700_000_000_250));
    Arc::new(fs)
}

fn collectors(fs: &Arc<MemFs>) -> Vec<Box<dyn Collector>> {
    let sources = DomainSources {
        ethtool: Box::new(SimEthtool::default()),
        io: Box::new(NoIo("not traced here")),
        ras: Box::new(SimRas::default()),
    };
    let fs = Arc::clone(fs) as Arc<dyn HostFs>;
    let events: Arc<dyn EventSink> = Arc::new(NoSink);
    let mut all = host_collectors(Arc::clone(&fs), &HostConfig::default());
    all.extend(domain_collectors(&fs, &DomainConfig::default(), sources, &events));
    all
}

/// Series to value, as the text format of Prometheus prints both.
fn collect(fs: &Arc<MemFs>) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for mut collector in collectors(fs) {
        let row = assert_collector_contract(collector.as_mut());
        for (column, value) in row.samples() {
            let former = all.insert(column.labels.to_string(), value);
            assert_eq!(former, None, "{} comes from two collectors", column.labels);
        }
    }
    all
}

#[test]
fn every_collector_keeps_its_contract_and_says_what_it_said_before() {
    for folder in machines() {
        let samples = collect(&machine(&folder));
        let mut text = String::new();
        for (series, value) in &samples {
            writeln!(text, "{series} {value}").expect("memory is writable");
        }
        let golden = folder.join("podscope.metrics");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&golden, &text).expect("testdata is writable");
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert!(
            samples.len() > 100,
            "{}: only {} series",
            name(&folder),
            samples.len()
        );
        for (line, (ours, golden)) in text.lines().zip(expected.lines()).enumerate() {
            assert_eq!(
                ours,
                golden,
                "{}: line {} (UPDATE_GOLDEN=1 accepts it)",
                name(&folder),
                line + 1
            );
        }
        assert_eq!(
            text.lines().count(),
            expected.lines().count(),
            "{}",
            name(&folder)
        );
    }
}

#[test]
fn every_collector_is_present_on_one_of_the_machines() {
    let mut missing: Vec<&str> = podscope_collect::host_descriptors()
        .iter()
        .map(|one| one.name)
        .collect();
    for folder in machines() {
        for mut collector in collectors(&machine(&folder)) {
            if collector.detect() == Support::Present {
                missing.retain(|name| *name != collector.descriptor().name);
            }
        }
    }
    assert!(
        missing.is_empty(),
        "no captured machine has what these read: {missing:?}"
    );
}

/// Parses one line of the text format into series and value, with the labels in their order by name.
fn parse(line: &str) -> Option<(String, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((metric, labels)) = series.split_once('{') else {
        return Some((series.to_owned(), value));
    };
    let mut pairs = Vec::new();
    let mut rest = labels;
    while let Some((label, after)) = rest.split_once("=\"") {
        let mut end = 0;
        let bytes = after.as_bytes();
        while bytes.get(end).is_some_and(|byte| *byte != b'"') {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        let (text, tail) = after.split_at_checked(end)?;
        // An empty label is no label.
        if !text.is_empty() {
            pairs.push(format!("{label}=\"{text}\""));
        }
        rest = tail.trim_start_matches('"').trim_start_matches(',');
    }
    pairs.sort();
    let labels = if pairs.is_empty() {
        String::new()
    } else {
        format!("{{{}}}", pairs.join(","))
    };
    Some((format!("{metric}{labels}"), value))
}

fn allowed(list: &[(&str, &str)], series: &str, value: f64) -> bool {
    let line = format!("{series} {value}");
    list.iter()
        .any(|(prefix, reason)| !reason.is_empty() && line.starts_with(prefix))
}

#[test]
fn says_what_node_exporter_says_but_for_the_listed_differences() {
    for folder in machines() {
        let ours = collect(&machine(&folder));
        let text = std::fs::read_to_string(folder.join("node_exporter.metrics")).expect("captured");
        let theirs: BTreeMap<String, f64> = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.starts_with("node_scrape_"))
            .map(|line| parse(line).unwrap_or_else(|| panic!("cannot read {line:?}")))
            .collect();
        assert!(
            theirs.len() > 100,
            "{}: only {} series of node_exporter",
            name(&folder),
            theirs.len()
        );
        let mut differences = String::new();
        let mut equal = 0;
        let mut compared = BTreeSet::new();
        for (series, their) in &theirs {
            // Where the kernel does not say whether a disk rotates, node_exporter says 0 and ours says nothing.
            let series = &match series.replace(",rotational=\"0\"", "") {
                silent if ours.contains_key(&silent) && series.starts_with("node_disk_info") => silent,
                _ => series.clone(),
            };
            compared.insert(series.clone());
            match ours.get(series) {
                Some(our) if (our - their).abs() <= their.abs() * 1e-12 => equal += 1,
                Some(our) if allowed(OTHER_VALUES, series, *our) => {}
                None if allowed(ONLY_THEIRS, series, *their) || never_called(series, &theirs) => {}
                our => writeln!(differences, "{series}: theirs {their}, ours {our:?}").expect("writable"),
            }
        }
        for (series, our) in &ours {
            if !compared.contains(series) && !allowed(ONLY_OURS, series, *our) {
                writeln!(differences, "{series}: only ours, {our}").expect("writable");
            }
        }
        assert!(differences.is_empty(), "{}:\n{differences}", name(&folder));
        assert!(equal > 100, "{}: only {equal} series are equal", name(&folder));
    }
}

#[test]
fn kinds_and_help_are_those_of_node_exporter() {
    let mut compared = 0;
    for folder in machines() {
        let text = std::fs::read_to_string(folder.join("node_exporter.metrics")).expect("captured");
        for line in text.lines() {
            let mut words = line.splitn(4, ' ');
            let (Some("#"), Some(what), Some(metric), Some(rest)) =
                (words.next(), words.next(), words.next(), words.next())
            else {
                continue;
            };
            let Some(def) = catalog::find(metric) else {
                continue;
            };
            match what {
                "TYPE" => assert_eq!(def.kind.as_str(), rest, "{metric}"),
                _ => assert_eq!(
                    def.help.trim_end_matches('.'),
                    rest.trim_end_matches('.'),
                    "{metric}"
                ),
            }
            compared += 1;
        }
    }
    assert!(compared > 200, "only {compared} lines of metadata were compared");
}

#[test]
fn reads_the_machine_it_runs_on() {
    let fs: Arc<dyn HostFs> = Arc::new(RealFs::default());
    let mut present = Vec::new();
    for mut collector in host_collectors(fs, &HostConfig::default()) {
        if !assert_collector_contract(collector.as_mut()).is_empty() {
            present.push(collector.descriptor().name);
        }
    }
    for name in ["stat", "loadavg", "meminfo", "vmstat", "time", "uname"] {
        assert!(present.contains(&name), "{name} is missing from {present:?}");
    }
}
