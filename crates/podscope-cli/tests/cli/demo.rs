//! What `podscope demo` says when there is nothing to do or something is in the way.

use std::net::TcpListener;

use crate::command::{free_port, podscope, text};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("temp")
}

#[test]
fn without_a_running_demo_status_fails_stop_does_nothing_and_restart_says_what_to_do() {
    let folder = folder();
    let place = folder.path().to_str().expect("a plain path");
    let status = podscope(&["demo", "status", "--state-dir", place]);
    assert!(!status.status.success() && text(&status.stdout).contains("not running"));
    let quiet = podscope(&["demo", "status", "--quiet", "--state-dir", place]);
    assert!(!quiet.status.success() && quiet.stdout.is_empty());
    assert!(podscope(&["demo", "stop", "--state-dir", place]).status.success());
    let restart = podscope(&["demo", "restart", "--state-dir", place]);
    assert!(!restart.status.success() && text(&restart.stderr).contains("start it with `podscope demo`"));
}

#[test]
fn a_port_in_use_is_one_sentence_with_the_holders_name() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
    let taken = listener.local_addr().expect("bound").port().to_string();
    let (folder, plugin) = (folder(), folder());
    let home = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let place = folder.path().to_str().expect("a plain path");
    let plugin = plugin.path().to_str().expect("a plain path");
    let port = free_port().to_string();
    let done = podscope(&[
        "demo",
        "--no-grafana",
        "--home",
        home,
        "--plugin",
        plugin,
        "--state-dir",
        place,
        "--agent-port",
        &taken,
        "--port",
        &port,
    ]);
    let said = text(&done.stderr);
    assert!(!done.status.success());
    assert!(
        said.contains("is in use by") && said.contains(&format!("pid {}", std::process::id())),
        "{said}"
    );
    assert!(said.contains("--agent-port"), "{said}");
    assert_eq!(
        said.lines().filter(|line| line.starts_with("podscope:")).count(),
        1,
        "{said}"
    );
}

#[test]
fn the_preview_page_stays_on_loopback() {
    let (folder, plugin) = (folder(), folder());
    let home = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let done = podscope(&[
        "demo",
        "--no-grafana",
        "--home",
        home,
        "--plugin",
        plugin.path().to_str().expect("plain"),
        "--state-dir",
        folder.path().to_str().expect("plain"),
        "--listen",
        "0.0.0.0",
    ]);
    assert!(
        !done.status.success() && text(&done.stderr).contains("loopback only"),
        "{}",
        text(&done.stderr)
    );
}

#[test]
fn a_dashboard_is_converted_from_a_file_to_standard_output() {
    let file = tempfile::NamedTempFile::new().expect("temp");
    let board = r#"{"panels": [{"datasource": {"type": "prometheus", "uid": "x"}, "targets": []}]}"#;
    std::fs::write(file.path(), board).expect("temp");
    let done = podscope(&[
        "dashboards",
        "convert",
        file.path().to_str().expect("plain"),
        "--uid",
        "pod",
    ]);
    assert!(done.status.success());
    let expected = board
        .replace("prometheus", "podscope-fleet-datasource")
        .replace("\"x\"", "\"pod\"");
    assert_eq!(text(&done.stdout), expected);
}
