//! Start and end.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use podscope_testkit::PluginHost;

use super::agent::{FakeAgent, Manner};
use super::{EXECUTABLE, expr, host, one, source};

const SOON: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn stdout_carries_the_handshake_and_nothing_else() {
    let agent = FakeAgent::start("a", Manner::Answers).await;
    let host = host().await;
    assert_eq!(
        one(&host, &source(&[&agent]), expr("requests_total"))
            .await
            .status,
        200
    );
    assert!(host.check_health(&source(&[&agent])).await.expect("answers").ok);
    assert_eq!(host.stdout(), "");
    let mode = std::fs::metadata(host.socket())
        .expect("the socket exists")
        .permissions()
        .mode()
        & 0o777;
    assert_eq!(mode, 0o600);
    // Every line of the log is hclog JSON: Grafana shows anything else at debug level only.
    let log = host.stderr();
    assert!(!log.is_empty());
    for line in log.lines() {
        let json: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        assert!(
            json["@level"].is_string() && json["@message"].is_string(),
            "{line}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_grafana_asks_and_takes_its_socket_along() {
    let host = host().await;
    let socket = host.socket().to_owned();
    let status = host.stop().await.expect("waited for");
    assert!(status.success(), "{status}");
    assert!(!socket.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_on_sigterm_also_with_a_query_under_way() {
    let agent = FakeAgent::start("a", Manner::Hangs).await;
    let mut host = host().await;
    let request = super::panel(&source(&[&agent]), &[expr("requests_total")]);
    let pid = host.pid().expect("runs").to_string();
    let asked = async {
        // The answer is an error or never comes: the process ends under it.
        let _cut_off = host.query_data(&request).await.is_err();
    };
    let killed = async {
        while agent.busy() == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .expect("kill runs")
                .success()
        );
    };
    tokio::time::timeout(SOON, async { tokio::join!(asked, killed) })
        .await
        .expect("cut off in time");
    assert!(host.ended(SOON).await.expect("ends").success());
}

#[test]
fn it_ends_when_its_parent_is_killed() {
    // A shell stands for Grafana: it starts the plugin, tells its pid, and is killed without a chance to clean up.
    let script = format!("grafana_plugin_type=datasource '{EXECUTABLE}' 1>&2 & echo $!; wait");
    let mut parent = Command::new("sh")
        .args(["-c", &script])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("sh runs");
    let mut line = String::new();
    let stdout = parent.stdout.take().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).expect("a pid");
    let process = std::path::PathBuf::from(format!("/proc/{}", line.trim()));
    let deadline = std::time::Instant::now() + SOON;
    // Until it has become the plugin, and thereby looks at its parent.
    while !std::fs::read_link(process.join("exe")).is_ok_and(|exe| exe.ends_with("gpx_podscope")) {
        assert!(std::time::Instant::now() < deadline, "the plugin did not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(300));
    parent.kill().expect("killed");
    parent.wait().expect("waited for");
    let alive = || {
        // A zombie counts as ended: whoever inherits it collects it.
        std::fs::read_to_string(process.join("stat")).is_ok_and(|stat| {
            stat.rsplit(") ")
                .next()
                .is_some_and(|rest| !rest.starts_with('Z'))
        })
    };
    while alive() {
        assert!(
            std::time::Instant::now() < deadline + SOON,
            "the plugin outlived its parent"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn started_by_hand_it_says_who_starts_it() {
    let out = Command::new(EXECUTABLE)
        .env_remove("grafana_plugin_type")
        .output()
        .expect("runs");
    assert!(!out.status.success());
    assert!(out.stdout.is_empty());
    assert!(String::from_utf8_lossy(&out.stderr).contains("is started by Grafana"));
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_there_without_any_data_source() {
    let host = PluginHost::start(EXECUTABLE).await.expect("starts");
    let text = host.collect_metrics().await.expect("answers");
    assert!(text.contains("podscope_plugin_queries_total 0\n"), "{text}");
}
