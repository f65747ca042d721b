//! `podscope rules` on the shipped files, and on broken ones.

use std::path::Path;
use std::process::{Command, Output};

fn rules(arguments: &[&str], home: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_podscope"))
        .arg("rules")
        .args(arguments)
        .arg("--home")
        .arg(home)
        .output()
        .expect("it runs")
}

fn shipped() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

#[test]
fn the_shipped_rules_are_sound_and_the_seeds_nine_are_among_them() {
    let checked = rules(&["check"], shipped());
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.status.success(), "{text}");
    let listed = rules(&["list"], shipped());
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    for title in [
        "DS01GPUWaste < 5",
        "DS01MIGWaste < 0.05",
        "DS01GPUHighTemperature > 85",
        "DS01GPUCriticalTemperature > 90",
        "DS01GPUMemoryHigh > 95",
        "DS01ContainerHighMemory > 90",
        "DS01ExporterDown < 1",
        "DS01DCGMExporterDown < 1",
        "DS01DiskSpaceLow < 10",
    ] {
        assert!(text.contains(title), "{title} is missing:\n{text}");
    }
}

#[test]
fn a_rule_that_cannot_work_is_named_with_its_fault() {
    let home = tempfile::tempdir().expect("a temporary folder");
    let text = std::fs::read_to_string(shipped().join("provisioning/alerting/podscope.yaml"))
        .expect("readable")
        .replace("expr: 'up'", "expr: 'upp'")
        .replace(
            "'podscope_gpus_expected - podscope_gpus_present'",
            "'podscope_gpus_expected -'",
        );
    let file = home.path().join("rules.yaml");
    std::fs::write(&file, text).expect("writable");
    let file = file.to_str().expect("UTF-8").to_owned();
    let checked = rules(&["check", "--file", &file], home.path());
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert_eq!(checked.status.code(), Some(1), "{text}");
    assert!(
        text.contains("ds01-exporter-down: the catalog has no metric upp"),
        "{text}"
    );
    assert!(text.contains("podscope-gpus-missing: its expression"), "{text}");
    assert!(
        text.contains("docs/runbooks/agent-down.md does not exist"),
        "{text}"
    );
    assert!(
        text.contains("dashboards/nvidia-dcgm.json has no panel 20"),
        "{text}"
    );
}

#[test]
fn every_rule_is_quiet_in_the_calm_fires_under_its_own_trouble_and_is_resolved() {
    let tried = rules(&["test"], shipped());
    let text = String::from_utf8_lossy(&tried.stdout).into_owned();
    let problems = String::from_utf8_lossy(&tried.stderr).into_owned();
    assert!(tried.status.success(), "{text}\n{problems}");
    assert!(!text.contains("NO:") && text.contains("0 failed"), "{text}");
    let counted: usize = text
        .lines()
        .last()
        .and_then(|line| line.split(' ').next())
        .and_then(|count| count.parse().ok())
        .expect("a count");
    assert!(counted >= 20, "{text}");
}
