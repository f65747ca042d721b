//! Cells answer what samples answer: the same store is asked before and after its hours are summed up.

use std::collections::BTreeMap;

use podscope_history::{History, Options, TierLimits};
use podscope_model::batch::Row;
use podscope_model::cells::{Need, Resolution};
use podscope_model::sample::{Grid, is_stale};
use podscope_model::source::{Budget, SeriesSource};
use podscope_promql::{Outcome, Value, evaluate, parse};
use proptest::prelude::*;

use crate::support::{metric, open, options, scratch, spec};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// What cells answer exactly.
const EXACT: [&str; 15] = [
    "m",
    "-m",
    "timestamp(m)",
    "sum(m)",
    "min_over_time(m[W])",
    "max_over_time(m[W])",
    "avg_over_time(m[W])",
    "sum_over_time(m[W])",
    "count_over_time(m[W])",
    "first_over_time(m[W])",
    "last_over_time(m[W])",
    "present_over_time(m[W])",
    "rate(m[W])",
    "increase(m[W])",
    "delta(m[W])",
];

fn columns(outcome: Outcome) -> BTreeMap<String, Vec<f64>> {
    match outcome.value {
        Value::Vector(series) => series
            .into_iter()
            .map(|series| (series.labels.to_string(), series.values))
            .collect(),
        other => panic!("not a vector: {other:?}"),
    }
}

fn ask(history: &History, expr: &str, grid: Grid) -> Result<Outcome, String> {
    let parsed = parse(expr).expect("parses");
    let options = podscope_promql::Options::default();
    evaluate(&parsed, grid, options, history, &Budget::unlimited()).map_err(|error| error.to_string())
}

fn assert_equal(found: &BTreeMap<String, Vec<f64>>, wanted: &BTreeMap<String, Vec<f64>>, place: &str) {
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        wanted.keys().collect::<Vec<_>>(),
        "{place}"
    );
    for (series, values) in found {
        for (step, (a, b)) in values.iter().zip(&wanted[series]).enumerate() {
            let close = (a - b).abs() <= 1e-12 * b.abs().max(1e-3);
            let same = is_stale(*a) == is_stale(*b) && (a.is_nan() && b.is_nan() || a == b || close);
            assert!(same, "{place}: {series} at step {step} is {a}, from samples {b}");
        }
    }
}

/// Rows of a gauge, a counter that is reset at times, and a column that comes and goes. The stream pauses, too.
fn fill(history: &History, from_ms: i64, to_ms: i64, interval_ms: i64, seed: u64) {
    let metric = metric("m");
    let mut state = seed | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut row = Row::new();
    let (mut counter, mut gauge, mut gone, mut pause) = (0.0, 50.0, 0_u64, 0_u64);
    let mut t = from_ms;
    while t <= to_ms {
        if pause == 0 && random() % 300 == 0 {
            pause = random() % 40;
        }
        if pause > 0 {
            pause -= 1;
            t += interval_ms;
            continue;
        }
        row.begin();
        counter += (random() % 1000) as f64;
        if random() % 200 == 0 {
            counter = (random() % 10) as f64;
        }
        gauge += (random() % 201) as f64 / 100.0 - 1.0;
        if gone == 0 && random() % 100 == 0 {
            gone = random() % 60;
        }
        row.set_foreign(&metric, &[("column", "counter")], counter);
        row.set_foreign(&metric, &[("column", "constant")], 0.1);
        if gone == 0 {
            row.set_foreign(&metric, &[("column", "gauge")], (gauge * 100.0).round() / 100.0);
        } else {
            gone -= 1;
        }
        if random() % 500 == 0 {
            row.begin();
        }
        history
            .append(&spec("s"), t + (random() % 7) as i64, &row)
            .expect("takes the row");
        t += interval_ms;
    }
}

fn tiered(dir: &std::path::Path) -> Options {
    Options {
        chunk_rows: 100,
        ..options(dir)
    }
}

fn cells_serve(history: &History, grid: Grid, cell_ms: i64) {
    let need = Need {
        first_ms: grid.start_ms,
        last_ms: grid.end_ms,
        step_ms: Some(grid.step_ms),
        window_ms: 2 * cell_ms,
        is_range: true,
        function: Some("rate"),
    };
    assert_eq!(
        history.resolution(&need).expect("answers"),
        Resolution::Cells(cell_ms)
    );
}

fn names(dir: &std::path::Path, prefix: &str) -> usize {
    std::fs::read_dir(dir)
        .expect("lists")
        .filter(|entry| {
            let name = entry.as_ref().expect("an entry").file_name();
            name.to_string_lossy().starts_with(prefix)
        })
        .count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, ..ProptestConfig::default() })]

    #[test]
    fn whole_windows_answer_the_same_from_minutes_as_from_samples(
        seed in any::<u64>(),
        step in 2_i64..20,
        window in 2_i64..30,
        offset in 0_i64..60,
    ) {
        let dir = scratch();
        let history = open(&tiered(dir.path()));
        fill(&history, 1, 3 * HOUR + 10 * MINUTE, 5000, seed);
        history.seal().expect("seals");
        fill(&history, 3 * HOUR + 11 * MINUTE, 3 * HOUR + 20 * MINUTE, 5000, seed ^ 77);
        let grid = Grid {
            start_ms: offset * MINUTE,
            end_ms: 3 * HOUR + 25 * MINUTE,
            step_ms: step * MINUTE,
        };
        let exprs = EXACT.map(|expr| expr.replace('W', &format!("{window}m")));
        let from_samples: Vec<_> =
            exprs.iter().map(|expr| columns(ask(&history, expr, grid).expect("answers"))).collect();
        prop_assert!(from_samples.iter().all(|columns| !columns.is_empty()));
        history.finish(3 * HOUR + 25 * MINUTE);
        prop_assert_eq!(names(dir.path(), "min-"), 1);
        cells_serve(&history, grid, MINUTE);
        for restarted in [false, true] {
            let again;
            let history = if restarted { again = reopened(&dir, &history); &again } else { &history };
            for (expr, wanted) in exprs.iter().zip(&from_samples) {
                let outcome = ask(history, expr, grid).expect("answers");
                assert_equal(&columns(outcome), wanted, &format!("{expr}, restarted: {restarted}"));
            }
        }
    }
}

/// The same store in another folder, as a start finds it.
fn reopened(dir: &tempfile::TempDir, history: &History) -> History {
    history.sync().expect("syncs");
    let copy = dir.path().join("copy");
    std::fs::create_dir_all(&copy).expect("makes a folder");
    for entry in std::fs::read_dir(dir.path()).expect("lists") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            std::fs::copy(&path, copy.join(path.file_name().expect("a name"))).expect("copies");
        }
    }
    open(&tiered(&copy))
}

#[test]
fn whole_windows_answer_the_same_from_hours_as_from_samples() {
    let dir = scratch();
    let history = open(&tiered(dir.path()));
    fill(&history, 1, 2 * DAY + 5 * HOUR, 60_000, 42);
    let grid = Grid {
        start_ms: 6 * HOUR,
        end_ms: 2 * DAY + 6 * HOUR,
        step_ms: 3 * HOUR,
    };
    let exprs = EXACT.map(|expr| expr.replace('W', "4h"));
    let from_samples: Vec<_> = exprs
        .iter()
        .map(|expr| columns(ask(&history, expr, grid).expect("answers")))
        .collect();
    history.finish(2 * DAY + 5 * HOUR + 30 * MINUTE);
    assert_eq!((names(dir.path(), "min-"), names(dir.path(), "hour-")), (3, 1));
    cells_serve(&history, grid, HOUR);
    for (expr, wanted) in exprs.iter().zip(&from_samples) {
        let outcome = ask(&history, expr, grid).expect("answers");
        assert_equal(&columns(outcome), wanted, expr);
    }
}

#[test]
fn rows_that_come_into_an_hour_already_summed_up_count() {
    let dir = scratch();
    let history = open(&tiered(dir.path()));
    fill(&history, 1, 3 * HOUR, 5000, 7);
    history.finish(3 * HOUR + 10 * MINUTE);
    // The clock is set back by two hours: a new epoch hides what was written of that time.
    fill(&history, HOUR + 20 * MINUTE, HOUR + 40 * MINUTE, 5000, 8);
    let grid = Grid {
        start_ms: 10 * MINUTE,
        end_ms: 3 * HOUR,
        step_ms: 5 * MINUTE,
    };
    let copy = scratch();
    let plain = open(&tiered(copy.path()));
    fill(&plain, 1, 3 * HOUR, 5000, 7);
    fill(&plain, HOUR + 20 * MINUTE, HOUR + 40 * MINUTE, 5000, 8);
    for finished in [false, true] {
        for expr in EXACT.map(|expr| expr.replace('W', "10m")) {
            let wanted = columns(ask(&plain, &expr, grid).expect("answers"));
            let found = columns(ask(&history, &expr, grid).expect("answers"));
            assert_equal(&found, &wanted, &format!("{expr}, finished again: {finished}"));
        }
        history.finish(4 * HOUR + 10 * MINUTE);
    }
}

/// A store that keeps samples of its last hours only.
fn forgetful() -> (tempfile::TempDir, History, i64) {
    let dir = scratch();
    let options = Options {
        max_age: std::time::Duration::from_secs(2 * 3600),
        minute: TierLimits {
            max_age: std::time::Duration::from_secs(2 * 86_400),
            max_bytes: u64::MAX,
        },
        ..tiered(dir.path())
    };
    let history = open(&options);
    let end = 4 * DAY;
    fill(&history, 1, end, 60_000, 3);
    history.finish(end);
    history.maintain(end);
    (dir, history, end)
}

#[test]
fn what_is_no_longer_kept_as_samples_is_answered_from_cells_or_refused_with_advice() {
    let (dir, history, end) = forgetful();
    assert!(names(dir.path(), "raw-") <= 4, "samples were removed");
    let grid = Grid {
        start_ms: end - DAY,
        end_ms: end,
        step_ms: 10 * MINUTE,
    };
    let outcome = ask(&history, "avg_over_time(m[10m])", grid).expect("minutes reach so far");
    assert!(outcome.annotations.is_empty(), "{:?}", outcome.annotations);
    assert!(columns(outcome).values().all(|column| !is_stale(column[0])));
    let aside = Grid {
        start_ms: grid.start_ms + 17_000,
        ..grid
    };
    let outcome = ask(&history, "avg_over_time(m[10m])", aside).expect("answers");
    let said = format!("{:?}", outcome.annotations);
    assert!(said.contains("cells of one minute"), "{said}");
    for expr in [
        "quantile_over_time(0.9, m[10m])",
        "deriv(m[10m])",
        "irate(m[10m])",
    ] {
        let refused = ask(&history, expr, grid).expect_err("no cell tells");
        assert!(
            refused.contains("cells of a minute since 1970-01-0") && refused.contains("needs samples"),
            "{refused}"
        );
    }
    let fine = Grid {
        step_ms: MINUTE,
        ..grid
    };
    let refused = ask(&history, "rate(m[10m])", fine).expect_err("too fine");
    assert!(refused.contains("ask for a larger step"), "{refused}");
    // What is still kept as samples is answered from them.
    let recent = Grid {
        start_ms: end - 30 * MINUTE,
        ..fine
    };
    assert!(ask(&history, "quantile_over_time(0.9, m[10m])", recent).is_ok());
    // Before the minutes there are hours.
    let old = Grid {
        start_ms: DAY / 2,
        end_ms: end,
        step_ms: 2 * HOUR,
    };
    let column = columns(ask(&history, "max_over_time(m[2h])", old).expect("hours reach so far"));
    assert!(
        column
            .values()
            .all(|column| !column.iter().any(|value| is_stale(*value)))
    );
    assert!(ask(&history, "max_over_time(m[2h])", Grid { step_ms: HOUR, ..old }).is_err());
}

#[test]
fn series_and_coverage_are_known_where_only_cells_are_left() {
    let (_dir, history, end) = forgetful();
    let stats = history.stats();
    assert!(stats.oldest_ms.expect("rows") < DAY, "{stats:?}");
    let listed = history
        .series(&[], end - DAY, end - DAY + HOUR, &Budget::unlimited())
        .expect("lists");
    assert_eq!(listed.len(), 3, "{listed:?}");
    let covered = history.covered(end - DAY, end - DAY + HOUR);
    // A row a minute, of a stream that says it writes one a second.
    assert!(covered.len() > 30, "{covered:?}");
}
