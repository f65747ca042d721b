//! `podscope history` on the real binary: sound, damaged, repaired, and in use.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use podscope_history::{History, Options, StreamSpec};
use podscope_model::batch::{ForeignMetric, Row};
use podscope_model::catalog::{Kind, Unit};
use podscope_model::source::{Budget, Select, SeriesSource};

const HOUR: i64 = 3_600_000;

fn podscope(action: &str, dir: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_podscope"))
        .args(["history", action])
        .arg(dir)
        .output()
        .expect("runs")
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn options(dir: &Path) -> Options {
    Options {
        chunk_rows: 50,
        free_space_floor: 0,
        ..Options::new(dir)
    }
}

/// Two hours of two series, the first one finished.
fn write(dir: &Path) -> History {
    let (history, _) = History::open(options(dir)).expect("opens");
    let metric = std::sync::Arc::new(ForeignMetric {
        name: "m".to_owned(),
        kind: Kind::Gauge,
        unit: Unit::None,
        help: String::new(),
    });
    let spec = StreamSpec {
        name: "s".to_owned(),
        job: "node".to_owned(),
        interval_ms: 10_000,
    };
    let mut row = Row::new();
    for t in 1..=720_i64 {
        row.begin();
        row.set_foreign(&metric, &[("column", "a")], (t * t % 101) as f64 / 10.0);
        row.set_foreign(&metric, &[("column", "b")], (t % 7) as f64);
        history.append(&spec, t * 10_000, &row).expect("takes the row");
    }
    history.seal().expect("seals");
    history.finish(HOUR + 5 * 60_000);
    history
}

fn count(dir: &Path) -> usize {
    let (history, _) = History::open(options(dir)).expect("opens");
    let all = Select {
        matchers: &[],
        start_ms: 0,
        end_ms: 10 * HOUR,
        step_ms: 1,
        function: None,
    };
    let mut samples = 0;
    history
        .select(&all, &Budget::unlimited(), &mut |series| {
            samples += series.values.len();
            Ok(())
        })
        .expect("reads");
    samples
}

#[test]
fn a_sound_history_passes_and_repair_leaves_it_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path()).close().expect("closes");
    let checked = podscope("check", dir.path());
    let said = text(&checked);
    assert!(checked.status.success(), "{said}");
    assert!(said.contains("every checksum is right"), "{said}");
    for part in [
        "raw-0.seg",
        "finished",
        "min-0.seg",
        "cells of a minute",
        "log, 0 rows",
        "leaf-id",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
    let repaired = podscope("repair", dir.path());
    assert!(repaired.status.success() && text(&repaired).contains("nothing to repair"));
    assert_eq!(count(dir.path()), 1440);
}

#[test]
fn damage_is_named_cut_and_kept_and_all_else_stays() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path()).close().expect("closes");
    let path = dir.path().join("raw-3600.seg");
    let mut bytes = fs::read(&path).expect("reads");
    // In the last chunk's blobs.
    let at = bytes.len() - 250;
    bytes[at] ^= 0x55;
    fs::write(&path, &bytes).expect("writes");
    let checked = podscope("check", dir.path());
    let said = text(&checked);
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(
        said.contains("DAMAGED  raw-3600.seg") && said.contains("1 damaged pieces"),
        "{said}"
    );
    let repaired = podscope("repair", dir.path());
    let said = text(&repaired);
    assert!(repaired.status.success(), "{said}");
    assert!(said.contains("the bytes as they were are in raw-3600."), "{said}");
    let piece = fs::read_dir(dir.path())
        .expect("lists")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|extension| extension == "piece"))
        .expect("the piece is kept");
    let kept = fs::read(piece).expect("reads");
    assert!(bytes.windows(kept.len()).any(|window| window == kept));
    let checked = podscope("check", dir.path());
    assert!(checked.status.success(), "{}", text(&checked));
    let left = count(dir.path());
    assert!((1440 - 100..1440).contains(&left), "{left} samples are left");
}

#[test]
fn a_file_without_a_sound_header_is_set_aside_as_a_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    write(dir.path()).close().expect("closes");
    fs::write(dir.path().join("raw-7200.seg"), [7; 300]).expect("writes");
    fs::write(dir.path().join("wal-000000000900.log"), [7; 300]).expect("writes");
    assert_eq!(podscope("check", dir.path()).status.code(), Some(1));
    let said = text(&podscope("repair", dir.path()));
    assert!(said.contains("set aside as a whole"), "{said}");
    assert!(dir.path().join("raw-7200.bad").is_file() && dir.path().join("wal-000000000900.bad").is_file());
    assert!(podscope("check", dir.path()).status.success());
    assert_eq!(count(dir.path()), 1440);
}

#[test]
fn a_history_in_use_is_refused_with_a_clear_sentence() {
    let dir = tempfile::tempdir().expect("a folder");
    let history = write(dir.path());
    for action in ["check", "repair"] {
        let refused = podscope(action, dir.path());
        let said = text(&refused);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(
            said.contains("is in use by another process; stop that one"),
            "{said}"
        );
    }
    drop(history);
    let empty = tempfile::tempdir().expect("a folder");
    let said = text(&podscope("check", empty.path()));
    assert!(said.contains("there is no history in"), "{said}");
}
