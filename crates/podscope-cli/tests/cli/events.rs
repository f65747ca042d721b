//! `podscope event` against the real agent.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::command::{Running, free_port, podscope, sibling, text};

/// An agent that this machine may write to, and its URL.
pub(crate) fn writable_agent(dir: &Path) -> (Running, String) {
    let port = free_port();
    let config = dir.join("agent.toml");
    std::fs::write(
        &config,
        format!(
            "listen = \"127.0.0.1:{port}\"\ndata_dir = {:?}\ninstance = \"n1\"\n[gpu]\nenabled = false\n[write]\n\
             peers = [\"127.0.0.1\"]\n",
            dir.join("data")
        ),
    )
    .expect("writable");
    let arguments = ["--config".to_owned(), config.display().to_string()];
    let agent = Running::start(&sibling("podscope-agent"), &arguments);
    let deadline = Instant::now() + Duration::from_secs(60);
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "the agent does not listen");
        std::thread::park_timeout(Duration::from_millis(10));
    }
    (agent, format!("http://127.0.0.1:{port}"))
}

fn ok(arguments: &[&str]) -> String {
    let output = podscope(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn an_incident_is_opened_found_and_closed() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (agent, url) = writable_agent(dir.path());
    let opened = ok(&[
        "event",
        "open",
        "SEV-1: queue wait",
        "--label",
        "pod=p2",
        "--agent",
        &url,
    ]);
    let (id, result) = opened.trim().split_once(' ').expect("id and result");
    assert_eq!(result, "stored");
    ok(&[
        "event",
        "add",
        "prefetch on",
        "--time",
        "2026-11-21T06:26:00Z",
        "--source",
        "vms",
        "--agent",
        &url,
    ]);
    let list = |selector: &str| ok(&["event", "list", selector, "--since", "100y", "--agent", &url]);
    let open = list(r#"{kind="incident", pod="p2"} |= "SEV-1""#);
    assert!(
        open.contains(".. open  incident critical  SEV-1: queue wait") && open.contains(id),
        "{open}"
    );
    assert!(list(r#"{kind="change"}"#).starts_with("2026-11-21T06:26:00Z  change info  prefetch on"));
    let closed = ok(&["event", "close", id, "--text", "rolled back", "--agent", &url]);
    assert_eq!(closed.trim(), format!("{id} updated"));
    let closed = list(r#"{kind="incident"} |= "rolled back""#);
    assert!(
        closed.lines().count() == 1 && !closed.contains("open"),
        "{closed}"
    );
    drop(agent);
}

#[test]
fn a_refusal_is_told_in_the_agents_own_words() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let (_agent, url) = writable_agent(dir.path());
    let refused = |arguments: &[&str]| {
        let output = podscope(arguments);
        assert!(!output.status.success(), "{arguments:?}");
        text(&output.stderr)
    };
    let error = refused(&[
        "event",
        "close",
        "00000000000000000000000000000001",
        "--agent",
        &url,
    ]);
    assert!(
        error.contains("there is no event 00000000000000000000000000000001"),
        "{error}"
    );
    let error = refused(&["event", "add", "x", "--label", "kind=y", "--agent", &url]);
    assert!(
        error.contains("`labels.kind` is a field of the event itself"),
        "{error}"
    );
    let error = refused(&["event", "list", "{kind}", "--agent", &url]);
    assert!(error.contains("character 6"), "{error}");
}
