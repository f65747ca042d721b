//! The readers of segments and logs over the committed seeds and seeded mutations of them.

use std::path::{Path, PathBuf};

use podscope_history::fuzz_bodies;
use podscope_testkit::mutations;

use crate::support::{open, options, row_of, scratch, spec};

fn corpus(body: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz-corpus")
        .join(body)
}

#[test]
fn no_segment_makes_the_reader_panic() {
    assert!(mutations::run(&corpus("segment"), fuzz_bodies::segment) > 1000);
}

#[test]
fn no_log_makes_the_reader_panic() {
    assert!(mutations::run(&corpus("log"), fuzz_bodies::log) > 400);
}

/// Writes the seeds anew: `cargo test -p podscope-history --test history -- --ignored seeds`.
#[test]
#[ignore = "writes into the source tree"]
fn seeds_are_written_anew() {
    let dir = scratch();
    let history = open(&options(dir.path()));
    let mut rows = Vec::new();
    for t in 1..=90_i64 {
        let all = [
            (0, 4.0),
            (1, t as f64),
            (2, (t * t % 13) as f64 / 10.0),
            (3, (t as f64).sqrt()),
        ];
        let some: Vec<(u32, f64)> = all
            .into_iter()
            .filter(|(column, _)| *column != 1 || t % 9 != 0)
            .collect();
        rows.push((t * 20_000, some));
    }
    let keep = |name: &str, body: &str, as_name: &str| {
        std::fs::create_dir_all(corpus(body)).expect("makes the folder");
        std::fs::copy(dir.path().join(name), corpus(body).join(as_name)).expect("copies");
    };
    for (t_ms, values) in &rows[..45] {
        history
            .append(&spec("s"), *t_ms, &row_of(values))
            .expect("takes the row");
    }
    history.sync().expect("syncs");
    let log = std::fs::read_dir(dir.path())
        .expect("lists")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .find(|name| name.ends_with(".log"))
        .expect("a log");
    keep(&log, "log", "rows");
    for (t_ms, values) in &rows[45..] {
        history
            .append(&spec("s"), *t_ms, &row_of(values))
            .expect("takes the row");
    }
    history.seal().expect("seals");
    keep("raw-0.seg", "segment", "raw");
    history.finish(2 * 86_400_000);
    keep("raw-0.seg", "segment", "raw-packed");
    keep("min-0.seg", "segment", "minutes");
    keep("hour-0.seg", "segment", "hours");
}
