//! What reading promises, one sentence at a time.

use std::sync::Arc;

use crate::support::{
    Samples, metric, open, options, read, read_matching, row_of, scratch, series_name, spec,
};
use podscope_history::{Appended, History, HistoryError, StreamSpec};
use podscope_model::batch::Row;
use podscope_model::matcher::{MatchOp, Matcher};
use podscope_model::sample::{STALE, SeriesData};
use podscope_model::source::{Budget, Cancel, Select, SeriesSource};

const ALL: (i64, i64) = (i64::MIN / 2, i64::MAX / 2);

fn bits(samples: &[(i64, f64)]) -> Vec<(i64, u64)> {
    samples
        .iter()
        .map(|(t_ms, value)| (*t_ms, value.to_bits()))
        .collect()
}

fn only(history: &History, window: (i64, i64)) -> Vec<(i64, u64)> {
    let all = read(history, window.0, window.1);
    assert_eq!(all.len(), 1, "one series was written");
    all.into_values().next().expect("one series")
}

fn filled(rows: i64) -> (tempfile::TempDir, History) {
    let dir = scratch();
    let history = open(&options(dir.path()));
    for t in 1..=rows {
        history
            .append(&spec("s"), t * 1000, &row_of(&[(1, t as f64), (2, 7.0)]))
            .expect("takes the row");
    }
    (dir, history)
}

#[test]
fn the_window_is_open_on_the_left_and_closed_on_the_right() {
    let (_dir, history) = filled(50);
    for sealed in [false, true] {
        let read = read(&history, 19_000, 21_000);
        assert_eq!(
            read[&series_name(1)],
            bits(&[(20_000, 20.0), (21_000, 21.0)]),
            "sealed: {sealed}"
        );
        history.seal().expect("seals");
    }
}

#[test]
fn a_missing_column_gives_one_stale_sample_and_an_empty_row_ends_all() {
    let dir = scratch();
    let history = open(&options(dir.path()));
    let rows: [&[(u32, f64)]; 6] = [
        &[(1, 1.0), (2, 1.0)],
        &[(1, 2.0)],
        &[(1, 3.0)],
        &[],
        &[],
        &[(2, 2.0)],
    ];
    for (at, row) in rows.iter().enumerate() {
        history
            .append(&spec("s"), at as i64 * 1000, &row_of(row))
            .expect("takes the row");
    }
    for _ in 0..2 {
        let read = read(&history, ALL.0, ALL.1);
        assert_eq!(
            read[&series_name(1)],
            bits(&[(0, 1.0), (1000, 2.0), (2000, 3.0), (3000, STALE)])
        );
        assert_eq!(
            read[&series_name(2)],
            bits(&[(0, 1.0), (1000, STALE), (5000, 2.0)])
        );
        history.seal().expect("seals");
    }
}

#[test]
fn a_restart_gap_is_not_stale() {
    let dir = scratch();
    let history = open(&options(dir.path()));
    history
        .append(&spec("s"), 1000, &row_of(&[(1, 1.0)]))
        .expect("takes the row");
    history.close().expect("closes");
    let history = open(&options(dir.path()));
    history
        .append(&spec("s"), 200_000, &row_of(&[(1, 2.0)]))
        .expect("takes the row");
    assert_eq!(only(&history, ALL), bits(&[(1000, 1.0), (200_000, 2.0)]));
    assert_eq!(history.covered(0, 201_000), [(1000, 3000), (200_000, 201_000)]);
}

#[test]
fn series_that_are_always_there_share_their_timestamps() {
    let (_dir, history) = filled(100);
    let matchers = [Matcher::equal("__name__", "m")];
    let select = Select {
        matchers: &matchers,
        start_ms: 0,
        end_ms: 100_000,
        step_ms: 1,
        function: None,
    };
    let mut all: Vec<SeriesData> = Vec::new();
    history
        .select(&select, &Budget::unlimited(), &mut |series| {
            all.push(series);
            Ok(())
        })
        .expect("reads");
    assert_eq!(all.len(), 2);
    assert_eq!(all[0].timestamps.len(), 100);
    assert!(Arc::ptr_eq(&all[0].timestamps, &all[1].timestamps));
}

#[test]
fn all_four_matchers_work_with_and_without_a_metric_name() {
    let (_dir, history) = filled(3);
    let matcher = |name: &str, op, value: &str| Matcher::new(name, op, value).expect("valid");
    let read = |matchers: &[Matcher]| -> Vec<String> {
        read_matching(&history, matchers, 0, 10_000).into_keys().collect()
    };
    assert_eq!(read(&[matcher("column", MatchOp::Equal, "1")]), [series_name(1)]);
    assert_eq!(
        read(&[matcher("column", MatchOp::NotEqual, "1")]),
        [series_name(2)]
    );
    assert_eq!(
        read(&[
            matcher("__name__", MatchOp::Regex, "m|n"),
            matcher("column", MatchOp::Regex, "[2-9]")
        ]),
        [series_name(2)]
    );
    assert_eq!(
        read(&[
            Matcher::equal("__name__", "m"),
            matcher("column", MatchOp::NotRegex, ".")
        ]),
        [""; 0]
    );
    assert_eq!(read(&[Matcher::equal("job", "node")]).len(), 2);
    assert_eq!(read(&[Matcher::equal("__name__", "other")]), [""; 0]);
}

#[test]
fn a_query_over_its_budget_is_refused_before_it_is_read() {
    let (_dir, history) = filled(100);
    history.seal().expect("seals");
    let matchers = [Matcher::equal("__name__", "m")];
    let select = Select {
        matchers: &matchers,
        start_ms: 0,
        end_ms: 100_000,
        step_ms: 1,
        function: None,
    };
    let budget = Budget::new(150, 100, None, Cancel::default());
    let error = history
        .select(&select, &budget, &mut |_| panic!("nothing was to be read"))
        .expect_err("too many");
    assert!(error.to_string().contains("more than 150 samples"), "{error}");
    let enough = Budget::new(200, 100, None, Cancel::default());
    let mut count = 0;
    history
        .select(&select, &enough, &mut |series| {
            count += series.values.len();
            Ok(())
        })
        .expect("reads");
    assert_eq!((count, enough.samples_read()), (200, 200));
    let cancel = Cancel::default();
    cancel.cancel();
    let error = history.select(&select, &Budget::new(200, 100, None, cancel), &mut |_| Ok(()));
    assert_eq!(
        error.expect_err("cancelled").to_string(),
        "the query was cancelled"
    );
    let budget = Budget::new(u64::MAX, 1, None, Cancel::default());
    let error = history.series(&[], 0, 100_000, &budget).expect_err("two series");
    assert!(error.to_string().contains("more than 1 series"), "{error}");
}

#[test]
fn series_are_listed_only_where_they_have_samples() {
    let dir = scratch();
    let history = open(&options(dir.path()));
    for t in 1..=30 {
        let row: &[(u32, f64)] = if t <= 10 {
            &[(1, 1.5)]
        } else {
            &[(2, f64::from(t))]
        };
        history
            .append(&spec("s"), i64::from(t) * 1000, &row_of(row))
            .expect("takes the row");
    }
    for _ in 0..2 {
        let list = |start, end| -> Vec<String> {
            let found = history
                .series(&[], start, end, &Budget::unlimited())
                .expect("lists");
            found.iter().map(ToString::to_string).collect()
        };
        assert_eq!(list(0, 10_000), [series_name(1)]);
        assert_eq!(list(10_000, 30_000), [series_name(2)]);
        assert_eq!(list(9_000, 11_000), [series_name(1), series_name(2)]);
        assert_eq!(list(30_000, 90_000), [""; 0]);
        history.seal().expect("seals");
    }
}

#[test]
fn the_same_series_from_two_streams_comes_once_with_all_its_samples() {
    let dir = scratch();
    let history = open(&options(dir.path()));
    history
        .append(&spec("a"), 1000, &row_of(&[(1, 1.0)]))
        .expect("takes the row");
    history
        .append(&spec("b"), 1500, &row_of(&[(1, 1.5)]))
        .expect("takes the row");
    history
        .append(&spec("a"), 2000, &row_of(&[(1, 2.0)]))
        .expect("takes the row");
    assert_eq!(
        only(&history, ALL),
        bits(&[(1000, 1.0), (1500, 1.5), (2000, 2.0)])
    );
}

#[test]
fn a_row_that_repeats_a_time_is_refused_by_name_and_harms_nothing() {
    let (_dir, history) = filled(3);
    let error = history
        .append(&spec("s"), 3000, &row_of(&[(1, 9.0)]))
        .expect_err("repeats");
    assert!(matches!(error, HistoryError::OutOfOrder { .. }));
    assert_eq!(
        error.to_string(),
        "stream s: a second row for 3000 ms; the last row is of 3000 ms"
    );
    assert_eq!(read(&history, 0, 10_000)[&series_name(1)].len(), 3);
}

#[test]
fn a_clock_set_back_loses_nothing_and_the_later_rows_win_where_both_are() {
    let dir = scratch();
    let options = options(dir.path());
    let mut history = open(&options);
    let put = |history: &History, t_ms: i64, value: f64| {
        history
            .append(&spec("s"), t_ms, &row_of(&[(1, value)]))
            .expect("takes the row")
    };
    for t in 0..100 {
        assert_eq!(put(&history, t * 1000, t as f64), Appended::InOrder);
    }
    // Half a minute back, then on past where it was.
    assert_eq!(
        put(&history, 70_500, 1000.0),
        Appended::NewEpoch { last_ms: 99_000 }
    );
    for t in 71..150 {
        put(&history, t * 1000 + 500, 930.0 + t as f64);
    }
    let wanted: Vec<(i64, f64)> = (0..=70)
        .map(|t| (t * 1000, t as f64))
        .chain([(70_500, 1000.0)])
        .chain((71..150).map(|t| (t * 1000 + 500, 930.0 + t as f64)))
        .collect();
    for round in 0..4 {
        assert_eq!(only(&history, ALL), bits(&wanted), "round {round}");
        assert_eq!(
            only(&history, (65_000, 75_000)),
            bits(&wanted[66..76]),
            "round {round}"
        );
        match round {
            0 => history.seal().expect("seals"),
            _ => {
                drop(history);
                history = open(&options);
            }
        }
    }
}

#[test]
fn a_clock_that_was_a_year_ahead_for_a_while_stops_nothing() {
    let dir = scratch();
    let options = options(dir.path());
    let history = open(&options);
    let year = 365 * 24 * 3_600_000_i64;
    let now = 1_700_000_000_000_i64;
    let mut wanted = Vec::new();
    for (from, value) in [(now, 1.0), (now + year, 2.0), (now + 60_000, 3.0)] {
        for t in 0..30 {
            let t_ms = from + t * 1000;
            history
                .append(&spec("s"), t_ms, &row_of(&[(1, value)]))
                .expect("takes the row");
            history.maintain(t_ms);
            wanted.push((t_ms, value));
        }
    }
    wanted.sort_by_key(|(t_ms, _)| *t_ms);
    assert_eq!(only(&history, ALL), bits(&wanted));
    history.close().expect("closes");
    let history = open(&options);
    assert_eq!(only(&history, ALL), bits(&wanted));
    let t_ms = now + 120_000;
    history
        .append(&spec("s"), t_ms, &row_of(&[(1, 4.0)]))
        .expect("takes the row");
    assert_eq!(only(&history, (t_ms - 1, t_ms)), bits(&[(t_ms, 4.0)]));
}

#[test]
fn a_second_process_is_refused_and_the_id_stays() {
    let dir = scratch();
    let history = open(&options(dir.path()));
    let id = history.leaf_id().to_owned();
    assert_eq!(id.len(), 32);
    let error = History::open(options(dir.path())).expect_err("in use");
    assert!(error.to_string().contains("in use by another process"), "{error}");
    drop(history);
    assert_eq!(open(&options(dir.path())).leaf_id(), id);
    let other = scratch();
    assert_ne!(open(&options(other.path())).leaf_id(), id);
}

#[test]
fn old_segments_go_by_age_and_by_size_and_their_series_are_forgotten() {
    let hour = 3_600_000_i64;
    let dir = scratch();
    let mut options = options(dir.path());
    options.max_age = std::time::Duration::from_secs(5 * 3600);
    let history = open(&options);
    for t in 0..10 {
        let column = t as u32;
        history
            .append(&spec("s"), t * hour, &row_of(&[(column, 1.0)]))
            .expect("takes the row");
    }
    history.seal().expect("seals");
    assert_eq!(history.stats().segments, 10);
    history.maintain(9 * hour);
    // What ends at or before 4 h is older than five hours; the row of 4 h itself ends an hour.
    assert_eq!(history.stats().oldest_ms, Some(5 * hour));
    assert_eq!(read(&history, ALL.0, ALL.1).len(), 5);
    assert_eq!(history.stats().segments, 5);
    drop(history);

    options.max_bytes = 1000;
    let history = open(&options);
    history.maintain(9 * hour);
    let stats = history.stats();
    assert!(stats.segments < 5 && stats.segments > 0, "{stats:?}");
    assert_eq!(stats.newest_ms, Some(9 * hour));
    assert!(stats.bytes_on_disk - stats.wal_bytes <= 1000, "{stats:?}");
}

#[test]
fn statistics_count_rows_samples_and_series() {
    let (_dir, history) = filled(45);
    let stats = history.stats();
    assert_eq!((stats.rows, stats.samples, stats.series), (45, 90, 2));
    assert_eq!((stats.oldest_ms, stats.newest_ms), (Some(1000), Some(45_000)));
    assert!(stats.wal_bytes > 0 && stats.head_bytes > 0);
    assert_eq!(stats.not_writing, None);
    let info = &history.metric_info()["m"];
    assert_eq!((info.help.as_str(), info.interval_ms), ("Help of m.", 1000));
}

#[test]
fn metric_information_and_series_survive_a_restart_without_a_new_row() {
    let (dir, history) = filled(45);
    history.seal().expect("seals");
    let info = history.metric_info();
    history.close().expect("closes");
    let history = open(&options(dir.path()));
    assert_eq!(history.metric_info(), info);
    assert_eq!(history.stats().series, 2);
    assert_eq!(history.stats().newest_ms, Some(45_000));
}

#[test]
fn a_steady_row_costs_the_log_about_a_byte_per_series_at_most() {
    let dir = scratch();
    let mut options = options(dir.path());
    options.chunk_rows = 10_000;
    let history = open(&options);
    let metric = metric("m");
    let mut row = Row::new();
    let labels: Vec<String> = (0..500).map(|at| at.to_string()).collect();
    let mut before = 0;
    for t in 1..=200_i64 {
        row.begin();
        for (at, label) in labels.iter().enumerate() {
            // A third constant, a third counters, a third with two decimals.
            let value = match at % 3 {
                0 => 5.0,
                1 => (t * (at as i64 % 7)) as f64,
                _ => (t + at as i64 % 11) as f64 / 100.0,
            };
            row.set_foreign(&metric, &[("at", label)], value);
        }
        history
            .append(
                &StreamSpec {
                    name: "s".into(),
                    job: "j".into(),
                    interval_ms: 1000,
                },
                t * 1000,
                &row,
            )
            .expect("takes the row");
        if t == 100 {
            before = history.stats().wal_bytes;
        }
    }
    let per_sample = (history.stats().wal_bytes - before) as f64 / (100.0 * 500.0);
    assert!(per_sample <= 1.2, "{per_sample} bytes per sample in the log");
    let in_memory = history.stats().head_bytes as f64 / (200.0 * 500.0);
    assert!(in_memory <= 2.5, "{in_memory} bytes per sample in memory");
    let read: Samples = read(&history, 0, 200_000);
    assert_eq!(read.len(), 500);
}
