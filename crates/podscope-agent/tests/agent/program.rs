//! The program itself: its command line, its signals, what it says when it cannot start.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::cluster::until;

/// A running agent that is killed when the test ends.
pub(crate) struct Program {
    child: Child,
    log: Option<BufReader<std::process::ChildStderr>>,
    pub(crate) addr: SocketAddr,
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podscope-agent"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn output(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the program runs")
}

fn error_of(arguments: &[&str]) -> String {
    let output = output(arguments);
    assert!(!output.status.success(), "it should have failed");
    String::from_utf8(output.stderr).expect("text")
}

impl Program {
    /// Starts an agent on a free port of loopback and waits until it listens.
    pub(crate) fn start(data: &Path, more: &[&str]) -> Self {
        Self::start_as("n1", data, more)
    }

    pub(crate) fn start_as(name: &str, data: &Path, more: &[&str]) -> Self {
        let data = data.to_str().expect("a plain path");
        let arguments = [
            &["--listen", "127.0.0.1:0", "--data-dir", data, "--instance", name],
            more,
        ]
        .concat();
        let mut child = command(&arguments)
            .stdout(Stdio::null())
            .spawn()
            .expect("the program runs");
        let mut log = BufReader::new(child.stderr.take().expect("piped"));
        let mut seen = String::new();
        let addr = loop {
            let mut line = String::new();
            let read = log.read_line(&mut line).expect("text");
            assert!(read > 0, "it ended before it listened:\n{seen}");
            seen.push_str(&line);
            let listening = line.contains("listening on").then_some(line.trim_end());
            if let Some((_, address)) = listening.and_then(|line| line.rsplit_once("://")) {
                let address = address.split_whitespace().next().expect("an address");
                break address.parse().expect("an address");
            }
        };
        Self {
            child,
            log: Some(log),
            addr,
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        until("the end of the program", || {
            self.child.try_wait().expect("a child")
        })
    }

    /// What it logged after it listened, once it has ended.
    fn rest_of_log(&mut self) -> String {
        let mut text = String::new();
        self.log
            .take()
            .expect("read once")
            .read_to_string(&mut text)
            .expect("text");
        text
    }

    /// One request over a connection of its own: status and body.
    pub(crate) fn request(&self, method: &str, path: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.addr)?;
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let bad = || std::io::Error::other("not an HTTP answer");
        let status = text
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .ok_or_else(bad)?;
        let (_, body) = text.split_once("\r\n\r\n").ok_or_else(bad)?;
        Ok((status, body.to_owned()))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}

#[test]
fn it_collects_this_machine_and_ends_cleanly_when_told() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let mut agent = Program::start(data.path(), &[]);
    let idle = "/api/v1/query?query=rate(node_cpu_seconds_total%7Bmode%3D%22idle%22%7D%5B1m%5D)";
    until("a rate of this machine's CPUs", || {
        let (status, body) = agent.request("GET", idle).expect("an answer");
        assert_eq!(status, 200, "{body}");
        body.contains("\"instance\":\"n1\"").then_some(())
    });
    let (_, metrics) = agent.request("GET", "/metrics").expect("an answer");
    assert!(metrics.contains("\nnode_memory_MemTotal_bytes "), "{metrics}");
    assert!(
        metrics.contains("\npodscope_collector_success{collector=\"self\"} 1\n"),
        "{metrics}"
    );
    agent.signal(Signal::TERM);
    assert!(agent.wait().success());
    assert!(agent.rest_of_log().contains("stopped"));

    // What it collected is there after the next start.
    let mut again = Program::start(data.path(), &[]);
    let (_, body) = again.request("GET", "/api/v1/status/tsdb").expect("an answer");
    assert!(body.contains("node_cpu_seconds_total"), "{body}");
    again.signal(Signal::INT);
    assert!(again.wait().success());
}

#[test]
fn a_client_that_goes_away_cancels_its_query() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let agent = Program::start(data.path(), &[]);
    // 11,000 steps of a subquery of 11,000 steps of a subquery: nobody waits for that.
    let endless = "/api/v1/query_range?start=0&end=11000&step=1&\
                   query=sum_over_time((sum_over_time(vector(1)%5B11000s:1s%5D))%5B11000s:1s%5D)";
    until("a cancelled query", || {
        let mut stream = TcpStream::connect(agent.addr).expect("it listens");
        write!(stream, "GET {endless} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it reads");
        drop(stream);
        let (_, metrics) = agent.request("GET", "/metrics?job=podscope").expect("an answer");
        let cancelled = metrics
            .lines()
            .find_map(|line| line.strip_prefix("podscope_queries_total{result=\"cancelled\"} "));
        cancelled.is_some_and(|count| count != "0").then_some(())
    });
}

#[test]
fn a_hangup_reads_the_configuration_again() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("agent.toml");
    std::fs::write(&file, "labels = { rack = \"r1\" }\n").expect("writable");
    let data = dir.path().join("data");
    let agent = Program::start(&data, &["--config", file.to_str().expect("plain")]);
    std::fs::write(&file, "labels = { rack = \"r2\" }\n").expect("writable");
    agent.signal(Signal::HUP);
    until("the new label", || {
        let (_, body) = agent.request("GET", "/v1/info").expect("an answer");
        body.contains("\"rack\":\"r2\"").then_some(())
    });
    std::fs::write(&file, "nonsense\n").expect("writable");
    let (status, body) = agent.request("POST", "/-/reload").expect("an answer");
    assert_eq!(status, 400, "{body}");
    assert_eq!(
        agent.request("GET", "/-/healthy").expect("an answer").0,
        200,
        "it goes on"
    );
}

#[test]
fn what_hinders_the_start_is_one_sentence_that_says_what_to_do() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| dir.path().join(name).to_str().expect("plain").to_owned();
    let data = path("data");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").to_string();
    std::fs::write(path("bad.toml"), "lisen = \"127.0.0.1:1\"\n").expect("writable");
    std::fs::write(path("file"), "not a folder").expect("writable");
    let below_file = format!("{}/data", path("file"));
    let cases: [(&[&str], &str); 7] = [
        (
            &["--listen", "0.0.0.0:0", "--data-dir", &data],
            "refusing to listen on 0.0.0.0:0, which others can reach, without TLS and a token",
        ),
        (
            &["--listen", &port, "--data-dir", &data],
            "the port is in use by ",
        ),
        (
            &["--config", &path("bad.toml")],
            "bad.toml:1: key `lisen`: unknown key; did you mean `listen`?",
        ),
        (
            &["--config", &path("missing.toml")],
            "cannot read the configuration file",
        ),
        (
            &["--listen", "127.0.0.1:0", "--data-dir", &below_file],
            "make the folder writable for this user or set `data_dir`",
        ),
        (
            &["config", "--check", &path("bad.toml")],
            "did you mean `listen`?",
        ),
        (&["--listen", "everywhere"], "invalid value 'everywhere'"),
    ];
    for (arguments, wanted) in cases {
        let error = error_of(arguments);
        assert!(
            error.contains(wanted),
            "{arguments:?}\nwanted {wanted:?} in {error:?}"
        );
    }
}

#[test]
fn insecure_is_possible_when_it_is_said() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let path = data.path().to_str().expect("plain");
    let mut child = command(&["--listen", "0.0.0.0:0", "--data-dir", path, "--insecure"])
        .spawn()
        .expect("it runs");
    let log = BufReader::new(child.stderr.take().expect("piped"));
    let listening = log
        .lines()
        .map_while(Result::ok)
        .any(|line| line.contains("listening on http://0.0.0.0:"));
    drop(child.kill());
    drop(child.wait());
    assert!(listening);
}

#[test]
fn the_configuration_commands_print_and_check() {
    let printed = output(&["config", "--default"]);
    assert!(printed.status.success());
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("agent.toml");
    std::fs::write(&file, &printed.stdout).expect("writable");
    let checked = output(&["config", "--check", file.to_str().expect("plain")]);
    assert!(
        checked.status.success(),
        "{}",
        String::from_utf8_lossy(&checked.stderr)
    );
    assert!(String::from_utf8_lossy(&checked.stdout).ends_with("agent.toml: ok\n"));
}
