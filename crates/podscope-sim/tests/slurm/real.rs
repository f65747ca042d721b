//! A real Slurm, as Debian packages it: jobs are submitted, and what is made of them is compared with `sacct` and `squeue`.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use podscope_agent::config::SlurmConfig;
use podscope_agent::slurm::HttpSlurm;
use podscope_collect::contract::assert_collector_contract;
use podscope_collect::slurm::{
    BookOptions, Clock, Poller, SlurmBook, SlurmCollector, SlurmSource, SystemClock,
};
use tempfile::TempDir;

use crate::series;

/// What the slowest machine may take for one step.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running Slurm; stopped when dropped.
struct RealSlurm {
    folder: TempDir,
    url: String,
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/lib/slurm")
}

fn installed(program: &str) -> bool {
    ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
        .iter()
        .any(|folder| Path::new(folder).join(program).is_file())
}

impl RealSlurm {
    /// Absent where Slurm is not installed.
    fn start() -> Option<Self> {
        let needed = [
            "slurmctld",
            "slurmd",
            "slurmrestd",
            "slurmdbd",
            "munged",
            "mariadbd",
            "sbatch",
            "setpriv",
        ];
        if let Some(missing) = needed.iter().find(|program| !installed(program)) {
            let required = std::env::var("PODSCOPE_REQUIRE_PEERS").is_ok_and(|value| value == "1");
            assert!(!required, "{missing} is missing; scripts/test installs it");
            eprintln!("skipped: {missing} is not installed; scripts/test installs Slurm");
            return None;
        }
        // Where this runs as root, Slurm runs as nobody, who has to come in.
        let folder = tempfile::Builder::new()
            .prefix("podscope-slurm-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .expect("a folder");
        let started = Command::new("bash")
            .arg(script())
            .arg("start")
            .arg(folder.path().join("run"))
            .stdin(Stdio::null())
            .output()
            .expect("bash");
        let mut slurm = Self {
            folder,
            url: String::new(),
        };
        assert!(
            started.status.success(),
            "Slurm does not start: {}",
            String::from_utf8_lossy(&started.stderr)
        );
        slurm.url = String::from_utf8_lossy(&started.stdout).trim().to_owned();
        assert!(slurm.url.starts_with("http://127.0.0.1:"), "{}", slurm.url);
        Some(slurm)
    }

    fn dir(&self) -> PathBuf {
        self.folder.path().join("run")
    }

    /// What a client tool prints.
    fn run(&self, words: &[&str]) -> String {
        let mut command = Command::new("bash");
        command.arg(script()).arg("run").arg(self.dir()).args(words);
        let output = command.stdin(Stdio::null()).output().expect("bash");
        assert!(
            output.status.success(),
            "{words:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn submit(&self, words: &[&str], script: &str) {
        let wrapped = format!("--wrap={script}");
        let own = [
            "sbatch",
            "-Q",
            "-o",
            "/dev/null",
            "-N1",
            "-n1",
            "-c1",
            "--mem=100",
            "-t",
            "60",
        ];
        let words: Vec<&str> = own
            .iter()
            .chain(words)
            .copied()
            .chain([wrapped.as_str()])
            .collect();
        self.run(&words);
    }
}

impl Drop for RealSlurm {
    fn drop(&mut self) {
        let stopped = Command::new("bash")
            .arg(script())
            .arg("stop")
            .arg(self.dir())
            .status();
        drop(stopped);
    }
}

/// Asks until it is as wanted.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        // Slurm counts in seconds; asking it more often only burdens it.
        std::thread::park_timeout(Duration::from_millis(300));
    }
}

/// Of a list of waits the value that the share `p` does not exceed.
fn quantile(waits: &[i64], p: f64) -> f64 {
    let mut waits = waits.to_vec();
    waits.sort_unstable();
    let at = (p * waits.len() as f64 - 1e-9).ceil() as usize;
    waits[at.max(1) - 1] as f64
}

const ALL: &str = r#"account="all", partition="all", qos="all""#;

#[test]
fn waits_of_real_jobs_are_those_of_sacct_and_the_queue_is_that_of_squeue() {
    let Some(slurm) = RealSlurm::start() else { return };
    let token_file = slurm.folder.path().join("token");
    let config = SlurmConfig {
        url: Some(slurm.url.clone()),
        token_file: Some(token_file.clone()),
        ..SlurmConfig::default()
    };
    std::fs::write(&token_file, slurm.run(&["scontrol", "token", "lifespan=3600"])).expect("written");
    let clock = SystemClock;
    let poller = || {
        let api = HttpSlurm::new(&config).expect("a connection");
        Poller::new(Box::new(api), config.poll_options())
    };
    let book = SlurmBook::new(BookOptions::default());
    let mut source = poller();
    book.refresh(&mut source, clock.now_ms()).expect("Slurm answers");
    assert_eq!(&*book.snapshot().api, "v0.0.38");

    // All GPUs are taken for some seconds, twenty-four tasks of an array and two accounts wait for them.
    for _ in 0..3 {
        slurm.submit(&["-A", "alpha", "--gres=gpu:8"], "sleep 4");
    }
    slurm.submit(&["-A", "beta", "-a", "1-24", "--gres=gpu:4"], "true");
    slurm.submit(&["-A", "alpha", "--gres=gpu:8"], "exit 3");
    // These never start.
    slurm.submit(&["-A", "beta", "--hold", "--gres=gpu:1"], "true");
    slurm.submit(&["-A", "beta", "--begin=now+1hour", "--gres=gpu:2"], "true");
    let mut collector = SlurmCollector::new(book.clone(), Arc::new(SystemClock));
    let mut most_waiting = 0.0_f64;
    let row = until("all jobs have ended but two", || {
        book.refresh(&mut source, clock.now_ms()).expect("Slurm answers");
        let row = series(&mut collector);
        most_waiting =
            most_waiting.max(row[r#"podscope_slurm_backlog_gpus{account="all", partition="all"}"#]);
        let over = |job: &podscope_collect::slurm::Job| job.state.is_ended();
        let ended = book.snapshot().jobs.iter().filter(|job| over(job)).count();
        (ended == 28 && row["slurm_queue_pending"] == 2.0).then_some(row)
    });
    assert!(most_waiting >= 8.0, "somebody was seen waiting: {most_waiting}");
    assert_collector_contract(&mut collector);

    // squeue and sinfo say the same of the queue as it is.
    let squeue = |words: &[&str]| {
        let all: Vec<&str> = ["squeue", "-h", "-r"].iter().chain(words).copied().collect();
        slurm.run(&all).lines().count() as f64
    };
    assert_eq!(row["slurm_queue_pending"], squeue(&["-t", "PD"]));
    assert_eq!(row["slurm_queue_running"], squeue(&["-t", "R"]));
    assert_eq!(
        row[r#"podscope_slurm_pending_gpus{class="held", partition="all"}"#],
        3.0
    );
    assert_eq!(
        (row["slurm_gpus_total"], row["slurm_gpus_available"]),
        (24.0, 24.0)
    );
    assert_eq!(
        row[r#"podscope_slurm_jobs_ended_total{partition="gpu", state="FAILED"}"#],
        1.0
    );
    assert_eq!(row[r#"podscope_slurm_share_target_ratio{account="alpha"}"#], 0.75);

    // sacct says when each job became eligible and started.
    let accounted = until("slurmdbd has all ends", || {
        let fields = "-oJobID,Eligible,Start,End,State";
        let text = slurm.run(&[
            "env",
            "SLURM_TIME_FORMAT=%s",
            "sacct",
            "-X",
            "-a",
            "-n",
            "-P",
            fields,
        ]);
        let waits: BTreeMap<String, i64> = text
            .lines()
            .filter_map(|line| {
                let fields: Vec<&str> = line.split('|').collect();
                let [id, eligible, start, end, _] = fields[..] else {
                    return None;
                };
                let (eligible, start): (i64, i64) = (eligible.parse().ok()?, start.parse().ok()?);
                end.parse::<i64>().ok()?;
                Some((id.to_owned(), start - eligible))
            })
            .collect();
        (waits.len() == 28).then_some(waits)
    });
    let waits: Vec<i64> = accounted.values().copied().collect();
    assert!(waits.iter().any(|wait| *wait > 0), "nobody waited: {accounted:?}");
    let compare = |row: &BTreeMap<String, f64>, who: &str| {
        assert_eq!(
            row[&format!("podscope_job_wait_seconds_started{{{ALL}}}")],
            28.0,
            "{who}"
        );
        for (name, p) in [("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99)] {
            let series = format!(r#"podscope_job_wait_seconds{{{ALL}, quantile="{name}"}}"#);
            assert_eq!(
                row.get(&series).copied(),
                Some(quantile(&waits, p)),
                "{who}, {name}: {accounted:?}"
            );
        }
    };
    compare(&row, "seen as it happened");
    let sum: f64 = row
        .iter()
        .filter(|(name, _)| name.starts_with("podscope_slurm_jobs_started_total{"))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(sum, 28.0, "every start was counted once");

    // An agent that starts only now learns the same of slurmdbd and slurmctld.
    let late = SlurmBook::new(BookOptions::default());
    let mut source = poller();
    late.refresh(&mut source, clock.now_ms()).expect("Slurm answers");
    assert!(source.problems().is_empty());
    assert_eq!(
        late.snapshot()
            .past
            .iter()
            .filter(|job| job.state.is_ended())
            .count(),
        28
    );
    compare(
        &series(&mut SlurmCollector::new(late, Arc::new(SystemClock))),
        "afterwards",
    );

    // A drained node, and its reason.
    slurm.run(&[
        "scontrol",
        "update",
        "nodename=n3",
        "state=drain",
        "reason=fabric check",
    ]);
    until("n3 is drained", || {
        book.refresh(&mut source, clock.now_ms()).expect("Slurm answers");
        let row = series(&mut collector);
        let told =
            r#"podscope_slurm_node_unavailable_seconds{node="n3", reason="fabric check", state="drain"}"#;
        (row.contains_key(told) && row["slurm_gpus_available"] == 16.0).then_some(())
    });

    // A token that Slurm did not sign.
    std::fs::write(&token_file, "eyJhbGciOiJIUzI1NiJ9.eyJzdW4iOiJub2JvZHkifQ.c2ln").expect("written");
    let error = poller().poll(0).expect_err("refused").to_string();
    assert!(
        error.contains(&slurm.url) && error.contains("scontrol token"),
        "{error}"
    );
}
