//! Damaged files: skipped with their place named, never a panic, never a wrong number.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{ModelRow, Samples, model, open, options, read, row_from, scratch, spec};
use podscope_history::History;
use podscope_model::cells::CellColumns;
use podscope_model::source::{Budget, Select, SeriesSource};

const ALL: (i64, i64) = (i64::MIN / 2, i64::MAX / 2);

fn rows() -> Vec<ModelRow> {
    (1..=70_i64)
        .map(|t| {
            let values = [
                (0, 4.0),
                (1, t as f64),
                (2, (t * t % 13) as f64 / 10.0),
                (3, (t as f64).sin()),
            ];
            (
                t * 1000,
                values
                    .into_iter()
                    .filter(|(column, _)| *column != 1 || t % 9 != 0)
                    .collect(),
            )
        })
        .collect()
}

fn files(dir: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir)
        .expect("lists")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().ends_with(suffix))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no {suffix} in {}", dir.display());
    found
}

/// Every sample that was read is one that was written (or the stale marker that a gap gives).
fn assert_true(read: &Samples, wanted: &Samples, place: &str) {
    let stale = podscope_model::sample::STALE.to_bits();
    for (series, samples) in read {
        let written = wanted
            .get(series)
            .unwrap_or_else(|| panic!("{place}: made-up series {series}"));
        for sample in samples {
            let is_true = written.contains(sample) || sample.1 == stale;
            assert!(
                is_true,
                "{place}: {series} at {} was never {}",
                sample.0,
                f64::from_bits(sample.1)
            );
        }
    }
}

fn write(dir: &Path, sealed: bool) {
    let history = open(&options(dir));
    for (t_ms, values) in rows() {
        history
            .append(&spec("s"), t_ms, &row_from(&values))
            .expect("takes the row");
    }
    if sealed {
        history.seal().expect("seals");
    }
    history.close().expect("closes");
}

/// Sealed, summed up and packed.
fn write_finished(dir: &Path) {
    write(dir, true);
    let history = open(&options(dir));
    history.finish(2 * 3_600_000);
    history.close().expect("closes");
}

#[test]
fn one_flipped_bit_anywhere_in_a_packed_segment_gives_no_wrong_number() {
    let dir = scratch();
    write_finished(dir.path());
    let path = dir.path().join("raw-0.seg");
    let sound = fs::read(&path).expect("reads");
    let wanted = model(&rows(), ALL.0, ALL.1);
    assert_eq!(read(&open(&options(dir.path())), ALL.0, ALL.1), wanted);
    let mut noticed = 0;
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, &bytes).expect("writes");
        let history = open(&options(dir.path()));
        let place = format!("byte {at}");
        let read = read(&history, ALL.0, ALL.1);
        assert_true(&read, &wanted, &place);
        if read != wanted {
            let lost = history.stats().lost;
            assert!(
                lost.pieces > 0 && lost.places[0].contains("raw-0.seg"),
                "{place}: {lost:?}"
            );
            noticed += 1;
        }
    }
    assert!(
        noticed > sound.len() / 2,
        "only {noticed} of {} flips were noticed",
        sound.len()
    );
}

/// Every value of every cell of a minute, by series and end.
fn cells(history: &History) -> std::collections::BTreeMap<(String, i64), Vec<u64>> {
    let select = Select {
        matchers: &[],
        start_ms: 0,
        end_ms: 3_600_000,
        step_ms: 60_000,
        function: None,
    };
    let mut out = std::collections::BTreeMap::new();
    history
        .select_cells(
            &select,
            60_000,
            CellColumns::ALL,
            &Budget::unlimited(),
            &mut |series| {
                for cell in series.cells {
                    let values = [cell.sum, cell.min, cell.max, cell.first, cell.last, cell.lost];
                    let times =
                        [i64::from(cell.count), cell.first_ms, cell.last_ms].map(|value| value as u64);
                    out.insert(
                        (series.labels.to_string(), cell.end_ms),
                        values.into_iter().map(f64::to_bits).chain(times).collect(),
                    );
                }
                Ok(())
            },
        )
        .expect("reads");
    out
}

#[test]
fn one_flipped_bit_anywhere_in_a_file_of_cells_gives_no_wrong_number() {
    let dir = scratch();
    write_finished(dir.path());
    let path = dir.path().join("min-0.seg");
    let sound = fs::read(&path).expect("reads");
    let wanted = cells(&open(&options(dir.path())));
    assert!(wanted.len() >= 8, "{wanted:?}");
    let mut noticed = 0;
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, &bytes).expect("writes");
        let history = open(&options(dir.path()));
        let found = cells(&history);
        for (cell, values) in &found {
            assert_eq!(wanted.get(cell), Some(values), "byte {at}: {cell:?}");
        }
        if found != wanted {
            let lost = history.stats().lost;
            assert!(
                lost.pieces > 0 && lost.places[0].contains("min-0.seg"),
                "byte {at}: {lost:?}"
            );
            noticed += 1;
        }
    }
    // Most damage is made good from the samples, which are still there.
    assert!(noticed > 0);
}

#[test]
fn one_flipped_bit_anywhere_in_a_segment_gives_no_wrong_number() {
    let dir = scratch();
    write(dir.path(), true);
    let path = files(dir.path(), ".seg").remove(0);
    let sound = fs::read(&path).expect("reads");
    let wanted = model(&rows(), ALL.0, ALL.1);
    let mut noticed = 0;
    for at in 0..sound.len() {
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, &bytes).expect("writes");
        let history = open(&options(dir.path()));
        let place = format!("byte {at}");
        let read = read(&history, ALL.0, ALL.1);
        assert_true(&read, &wanted, &place);
        if read != wanted {
            let lost = history.stats().lost;
            assert!(
                !lost.places.is_empty(),
                "{place}: data is missing and nobody says so"
            );
            assert!(lost.places[0].contains(".seg"), "{place}: {lost:?}");
            noticed += 1;
        }
    }
    assert!(
        noticed > sound.len() / 2,
        "only {noticed} of {} flips were noticed",
        sound.len()
    );
}

#[test]
fn a_segment_cut_at_any_length_gives_what_is_whole() {
    let dir = scratch();
    write(dir.path(), true);
    let path = files(dir.path(), ".seg").remove(0);
    let sound = fs::read(&path).expect("reads");
    let wanted = model(&rows(), ALL.0, ALL.1);
    let mut lengths = Vec::new();
    for len in 0..sound.len() {
        fs::write(&path, &sound[..len]).expect("writes");
        let history = open(&options(dir.path()));
        let read = read(&history, ALL.0, ALL.1);
        assert_true(&read, &wanted, &format!("cut at {len}"));
        lengths.push(read.values().map(Vec::len).sum::<usize>());
    }
    assert!(lengths.is_sorted(), "more bytes never give fewer samples");
    assert!(
        lengths.first() == Some(&0) && lengths.last() > Some(&100),
        "{lengths:?}"
    );
}

#[test]
fn a_log_torn_at_any_length_gives_all_rows_before_the_tear_and_keeps_the_rest_aside() {
    let dir = scratch();
    let mut options = options(dir.path());
    options.chunk_rows = 1000;
    let history = open(&options);
    let rows = rows();
    let mut ends = vec![history.stats().wal_bytes as usize];
    for (t_ms, values) in &rows {
        history
            .append(&spec("s"), *t_ms, &row_from(values))
            .expect("takes the row");
        ends.push(history.stats().wal_bytes as usize);
    }
    history.close().expect("closes");
    let log = files(dir.path(), ".log").remove(0);
    let sound = fs::read(&log).expect("reads");
    assert_eq!(ends.last(), Some(&sound.len()));
    for len in 0..sound.len() {
        let torn = scratch();
        let path = torn.path().join(log.file_name().expect("a name"));
        fs::write(&path, &sound[..len]).expect("writes");
        let mut options = options.clone();
        options.dir = torn.path().to_owned();
        let (history, recovery) = History::open(options.clone()).expect("opens");
        let whole = ends.iter().filter(|end| **end <= len).count().saturating_sub(1);
        let wanted = model(&rows[..whole], ALL.0, ALL.1);
        assert_eq!(read(&history, ALL.0, ALL.1), wanted, "torn at {len}: {recovery}");
        // Between the rows' ends lie only rows; before the first one also what describes them.
        if len > ends[1] && !ends.contains(&len) {
            assert!(
                recovery.to_string().contains("cut at byte"),
                "torn at {len}: {recovery}"
            );
            assert!(!history.stats().lost.places.is_empty());
        }
        history.close().expect("closes");
        assert_eq!(
            read(&open(&options), ALL.0, ALL.1),
            wanted,
            "torn at {len}, second start"
        );
    }
}

#[test]
fn one_flipped_bit_anywhere_in_the_log_gives_no_wrong_number_and_is_set_aside() {
    let dir = scratch();
    let mut options = options(dir.path());
    options.chunk_rows = 1000;
    let history = open(&options);
    let rows = rows();
    for (t_ms, values) in &rows {
        history
            .append(&spec("s"), *t_ms, &row_from(values))
            .expect("takes the row");
    }
    history.close().expect("closes");
    let log = files(dir.path(), ".log").remove(0);
    let sound = fs::read(&log).expect("reads");
    let wanted = model(&rows, ALL.0, ALL.1);
    for at in 0..sound.len() {
        let torn = scratch();
        let mut bytes = sound.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(torn.path().join(log.file_name().expect("a name")), &bytes).expect("writes");
        options.dir = torn.path().to_owned();
        let (history, recovery) = History::open(options.clone()).expect("opens");
        let place = format!("byte {at}: {recovery}");
        assert_true(&read(&history, ALL.0, ALL.1), &wanted, &place);
        if read(&history, ALL.0, ALL.1) != wanted {
            assert!(!recovery.cut.is_empty(), "{place}");
            assert_eq!(files(torn.path(), ".cut").len(), 1, "{place}");
        }
    }
}

#[test]
fn files_of_zeros_or_noise_do_not_stop_the_start() {
    let dir = scratch();
    write(dir.path(), true);
    let noise: Vec<u8> = (0..5000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8)
        .collect();
    fs::write(dir.path().join("raw-7200.seg"), &noise).expect("writes");
    fs::write(dir.path().join("raw-10800.seg"), vec![0; 5000]).expect("writes");
    fs::write(dir.path().join("raw-14400.seg"), []).expect("writes");
    fs::write(dir.path().join("wal-000000000900.log"), &noise).expect("writes");
    fs::write(dir.path().join("wal-000000000901.log"), vec![0; 5000]).expect("writes");
    fs::write(dir.path().join("raw-0.tmp"), &noise).expect("writes");
    fs::write(dir.path().join("something else"), &noise).expect("writes");
    let history = open(&options(dir.path()));
    assert_eq!(read(&history, ALL.0, ALL.1), model(&rows(), ALL.0, ALL.1));
    // Rows of the damaged hours can be written all the same.
    for hour in [2, 3, 4] {
        history
            .append(&spec("s"), hour * 3_600_000 + 5, &row_from(&[(0, 5.0)].into()))
            .expect("takes the row");
    }
    history.seal().expect("seals");
    let samples = &read(&history, 7_000_000, ALL.1)[&crate::support::series_name(0)];
    assert_eq!(samples.len(), 3, "{:?}", history.stats());
}
