//! `kill -9` of a process that appends, seals, syncs and reads at full speed, again and again.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use podscope_history::Options;

use crate::support::{ModelRow, assert_same, model, open, options, read, row_from, scratch, spec};

/// Where the child writes; unset in an ordinary test run.
const CHILD_DIR: &str = "PODSCOPE_HISTORY_CHILD";

fn row(n: i64) -> ModelRow {
    let values = (0_u32..20)
        .filter(|column| (n / 50 + i64::from(*column)) % 4 != 0)
        .map(|column| {
            let value = match column % 4 {
                0 => (n * i64::from(column + 1)) as f64,
                1 => 42.0,
                2 => (n * i64::from(column) % 1000) as f64 / 100.0,
                _ => (n as f64 * f64::from(column)).sqrt(),
            };
            (column, value)
        });
    (n * 1000, values.collect())
}

fn load(dir: &Path) -> Options {
    Options {
        chunk_rows: 100,
        ..options(dir)
    }
}

/// Not a test of its own: what [`a_killed_process_loses_no_row_it_was_given`] kills.
#[test]
#[ignore = "the child process of the kill test"]
fn child() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else {
        return;
    };
    let history = open(&load(Path::new(&dir)));
    let first = history.stats().newest_ms.map_or(1, |newest| newest / 1000 + 1);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                history.maintain(0);
            }
        });
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                let from = history.stats().newest_ms.unwrap_or(0) - 300_000;
                let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    read(&history, from, i64::MAX / 2);
                }));
                if outcome.is_err() {
                    // The parent sees that it was not killed.
                    std::process::abort();
                }
            }
        });
        // Somebody who is not killed (the parent is gone) must end all the same.
        for n in first..first + 200_000 {
            let (t_ms, values) = row(n);
            history
                .append(&spec("s"), t_ms, &row_from(&values))
                .expect("takes the row");
            if writeln!(std::io::stdout().lock(), "row {n}").is_err() {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_killed_process_loses_no_row_it_was_given() {
    let kills: u64 = std::env::var("PODSCOPE_KILLS")
        .ok()
        .and_then(|kills| kills.parse().ok())
        .unwrap_or(20);
    let scratch = scratch();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut sealed: BTreeMap<PathBuf, Vec<u8>> = BTreeMap::new();
    let mut rows: Vec<ModelRow> = Vec::new();
    for kill in 0..kills {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let told = kill_after(scratch.path(), 20 + (random >> 33) % 700);
        let history = open(&load(scratch.path()));
        let stats = history.stats();
        let last = stats.newest_ms.unwrap_or(0) / 1000;
        assert!(
            last >= told,
            "kill {kill}: row {told} was taken, {last} is the last one found; {stats:?}"
        );
        rows.extend((rows.len() as i64 + 1..=last).map(row));
        // All of it now and then, else what is new.
        let from = if kill % 10 == 9 {
            0
        } else {
            rows.len().saturating_sub(2000)
        };
        let (start, end) = (from as i64 * 1000, i64::MAX / 2);
        let place = format!("kill {kill} at row {last}");
        assert_same(
            &read(&history, start, end),
            &model(&rows[from..], start, end),
            &place,
        );
        // A kill may interrupt the write of the row that nobody was told of yet (Linux ends it between two pages): that
        // unfinished record at a log's end is all that may be set aside.
        assert_eq!(stats.lost.rows, 0, "{place}: {:?}", stats.lost);
        assert!(
            stats.lost.places.len() <= 1
                && stats
                    .lost
                    .places
                    .iter()
                    .all(|piece| piece.contains(".log cut at byte")
                        && piece.ends_with("a record is not complete")),
            "{place}: {:?}",
            stats.lost
        );
        drop(history);
        for (path, before) in &sealed {
            let now = std::fs::read(path).expect("a sealed file stays");
            assert!(
                now.starts_with(before),
                "{place}: sealed data changed in {}",
                path.display()
            );
        }
        for entry in std::fs::read_dir(scratch.path()).expect("lists") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "seg") {
                sealed.insert(path.clone(), std::fs::read(&path).expect("reads"));
            }
        }
    }
    assert!(!sealed.is_empty(), "the load sealed something");
    assert!(rows.len() as u64 > kills * 20);
}

/// Lets a child run until it has told of so many rows, kills it, and answers the last row that it told of.
fn kill_after(dir: &Path, rows: u64) -> i64 {
    let mut child = Command::new(std::env::current_exe().expect("this test binary"))
        .args([
            "--exact",
            "kill::child",
            "--include-ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CHILD_DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut told = 0;
    let mut seen = 0;
    while seen < rows {
        let line = lines
            .next()
            .expect("the child goes on until it is killed")
            .expect("text");
        if let Some(row) = line.strip_prefix("row ") {
            told = row.parse().expect("a number");
            seen += 1;
        }
    }
    child.kill().expect("kills");
    // What it told in the meantime counts too; the last line may be torn.
    for line in lines.map_while(Result::ok) {
        if let Some(row) = line.strip_prefix("row ").and_then(|row| row.parse::<i64>().ok())
            && row == told + 1
        {
            told = row;
        }
    }
    let status = child.wait().expect("ends");
    assert_eq!(status.signal(), Some(9), "the child ended by itself: {status}");
    told
}
