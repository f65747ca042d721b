//! What the tests share: rows from lists, everything read back, and a plain model of what reading has to give.

pub(crate) mod faults;
pub(crate) mod memory;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use podscope_history::{History, Options, StreamSpec};
use podscope_model::batch::{ForeignMetric, Row};
use podscope_model::catalog::{Kind, Unit};
use podscope_model::cells::CellColumns;
use podscope_model::matcher::Matcher;
use podscope_model::sample::STALE;
use podscope_model::source::{Budget, Select, SeriesSource};

/// Samples by series text; values by their bits.
pub(crate) type Samples = BTreeMap<String, Vec<(i64, u64)>>;

pub(crate) fn metric(name: &str) -> Arc<ForeignMetric> {
    Arc::new(ForeignMetric {
        name: name.to_owned(),
        kind: Kind::Gauge,
        unit: Unit::None,
        help: format!("Help of {name}."),
    })
}

pub(crate) fn spec(name: &str) -> StreamSpec {
    StreamSpec {
        name: name.into(),
        job: "node".into(),
        interval_ms: 1000,
    }
}

pub(crate) fn options(dir: &Path) -> Options {
    Options {
        chunk_rows: 20,
        sync_interval: Duration::ZERO,
        free_space_floor: 0,
        ..Options::new(dir)
    }
}

pub(crate) fn row_of(values: &[(u32, f64)]) -> Row {
    let metric = metric("m");
    let mut row = Row::new();
    for (column, value) in values {
        row.set_foreign(&metric, &[("column", &column.to_string())], *value);
    }
    row
}

pub(crate) fn series_name(column: u32) -> String {
    format!("m{{column=\"{column}\",job=\"node\"}}")
}

pub(crate) fn open(options: &Options) -> History {
    History::open(options.clone()).expect("opens").0
}

/// Everything with `start_ms < t <= end_ms`.
pub(crate) fn read(history: &History, start_ms: i64, end_ms: i64) -> Samples {
    read_matching(history, &[Matcher::equal("__name__", "m")], start_ms, end_ms)
}

pub(crate) fn read_matching(history: &History, matchers: &[Matcher], start_ms: i64, end_ms: i64) -> Samples {
    let mut out = Samples::new();
    let select = Select {
        matchers,
        start_ms,
        end_ms,
        step_ms: 1,
        function: None,
    };
    history
        .select(&select, &Budget::unlimited(), &mut |series| {
            assert_eq!(series.timestamps.len(), series.values.len());
            assert!(
                series.timestamps.is_sorted_by(|a, b| a < b),
                "{} has times out of order",
                series.labels
            );
            let samples = series.timestamps.iter().zip(series.values.iter());
            let samples = samples.map(|(t_ms, value)| (*t_ms, value.to_bits())).collect();
            assert!(
                out.insert(series.labels.to_string(), samples).is_none(),
                "a label set comes once"
            );
            Ok(())
        })
        .expect("reads");
    out
}

/// The samples of each series, counted through the cells of a minute.
pub(crate) fn counted_by_cells(history: &History, start_ms: i64, end_ms: i64) -> BTreeMap<String, u64> {
    let mut out = BTreeMap::new();
    let matchers = [Matcher::equal("__name__", "m")];
    let select = Select {
        matchers: &matchers,
        start_ms,
        end_ms,
        step_ms: 60_000,
        function: None,
    };
    history
        .select_cells(
            &select,
            60_000,
            CellColumns::ALL,
            &Budget::unlimited(),
            &mut |series| {
                let count = series.cells.iter().map(|cell| u64::from(cell.count)).sum();
                assert!(out.insert(series.labels.to_string(), count).is_none());
                Ok(())
            },
        )
        .expect("reads");
    out
}

/// The samples of each series, stale markers left out.
pub(crate) fn counted(samples: &Samples) -> BTreeMap<String, u64> {
    let real = |samples: &Vec<(i64, u64)>| {
        samples
            .iter()
            .filter(|(_, bits)| *bits != STALE.to_bits())
            .count()
    };
    samples
        .iter()
        .map(|(series, samples)| (series.clone(), real(samples) as u64))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// One row as the model keeps it.
pub(crate) type ModelRow = (i64, BTreeMap<u32, f64>);

/// What reading a single stream of rows in order of time has to give.
pub(crate) fn model(rows: &[ModelRow], start_ms: i64, end_ms: i64) -> Samples {
    let mut out = Samples::new();
    let mut valid: BTreeMap<u32, bool> = BTreeMap::new();
    for (t_ms, values) in rows
        .iter()
        .filter(|(t_ms, _)| (start_ms + 1..=end_ms).contains(t_ms))
    {
        for (column, was) in valid.iter_mut() {
            if *was && !values.contains_key(column) {
                out.get_mut(&series_name(*column))
                    .expect("seen")
                    .push((*t_ms, STALE.to_bits()));
                *was = false;
            }
        }
        for (column, value) in values {
            out.entry(series_name(*column))
                .or_default()
                .push((*t_ms, value.to_bits()));
            valid.insert(*column, true);
        }
    }
    out
}

pub(crate) fn row_from(values: &BTreeMap<u32, f64>) -> Row {
    row_of(
        &values
            .iter()
            .map(|(column, value)| (*column, *value))
            .collect::<Vec<_>>(),
    )
}

/// Compares, and says where the first difference of each series is rather than printing all samples.
pub(crate) fn assert_same(read: &Samples, wanted: &Samples, place: &str) {
    if read == wanted {
        return;
    }
    let mut text = String::new();
    for series in read
        .keys()
        .chain(wanted.keys().filter(|series| !read.contains_key(*series)))
    {
        let empty = Vec::new();
        let (a, b) = (
            read.get(series).unwrap_or(&empty),
            wanted.get(series).unwrap_or(&empty),
        );
        if a != b {
            let at = (0..).find(|at| a.get(*at) != b.get(*at)).unwrap_or(0);
            text.push_str(&format!(
                "\n{series}: sample {at} of {} (wanted {}) is {:x?}, wanted {:x?}",
                a.len(),
                b.len(),
                a.get(at),
                b.get(at)
            ));
        }
    }
    panic!("{place}:{text}");
}

/// A folder of its own, in memory where there is such a place: the tests sync far more often than a disk likes.
pub(crate) fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() {
        tempfile::tempdir_in(memory)
    } else {
        tempfile::tempdir()
    };
    dir.expect("a directory")
}
