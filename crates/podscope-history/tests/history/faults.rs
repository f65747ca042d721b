//! A disk that is full, read-only or failing: rows are kept, reading goes on, and writing resumes.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use podscope_history::{History, Options};

use crate::support::faults::{Faults, FaultyIo};
use crate::support::{
    ModelRow, Samples, assert_same, counted, counted_by_cells, model, options, read, row_from, scratch, spec,
};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const ALL: (i64, i64) = (i64::MIN / 2, i64::MAX / 2);

fn row(t: i64) -> ModelRow {
    (
        t * 1000,
        [(0, t as f64), (1, 1.0), (2, (t % 5) as f64 / 10.0)].into(),
    )
}

fn wanted(rows: i64) -> Samples {
    model(&(1..=rows).map(row).collect::<Vec<_>>(), ALL.0, ALL.1)
}

fn put(history: &History, rows: std::ops::RangeInclusive<i64>) {
    for t in rows {
        let (t_ms, values) = row(t);
        history
            .append(&spec("s"), t_ms, &row_from(&values))
            .expect("takes the row");
    }
}

fn open_faulty(options: &Options) -> (History, Arc<Faults>, String) {
    let faults = Arc::new(Faults::default());
    let (history, recovery) = open_over(options, &faults);
    (history, faults, recovery)
}

fn open_over(options: &Options, faults: &Arc<Faults>) -> (History, String) {
    let io = Arc::new(FaultyIo(Arc::clone(faults)));
    let (history, recovery) = History::open_with(options.clone(), io).expect("opens");
    (history, recovery.to_string())
}

#[test]
fn a_full_disk_stops_neither_rows_nor_queries_and_is_written_when_there_is_space() {
    let dir = scratch();
    let options = options(dir.path());
    let (history, faults, _) = open_faulty(&options);
    put(&history, 1..=50);
    history.maintain(50_000);
    assert!(history.stats().segments > 0);
    faults.full.store(true, Ordering::SeqCst);
    put(&history, 51..=130);
    assert!(history.seal().is_err() && history.sync().is_err());
    history.maintain(130_000);
    assert_same(&read(&history, ALL.0, ALL.1), &wanted(130), "while full");
    let reason = history.stats().not_writing.expect("says so");
    assert!(reason.contains("No space left on device"), "{reason}");
    faults.full.store(false, Ordering::SeqCst);
    put(&history, 131..=140);
    history.sync().expect("there is space again");
    assert_eq!(history.stats().not_writing, None);
    assert_same(&read(&history, ALL.0, ALL.1), &wanted(140), "when space is back");
    drop(history);
    let (history, _) = open_over(&options, &Arc::default());
    assert_same(&read(&history, ALL.0, ALL.1), &wanted(140), "after a restart");
    assert_eq!(history.stats().lost.rows, 0);
}

#[test]
fn a_disk_that_is_full_at_the_start_is_no_reason_not_to_start() {
    let dir = scratch();
    let options = options(dir.path());
    let faults = Arc::new(Faults::default());
    let (history, _) = open_over(&options, &faults);
    put(&history, 1..=50);
    drop(history);
    faults.full.store(true, Ordering::SeqCst);
    let (history, recovery) = open_over(&options, &faults);
    assert!(
        recovery.contains("kept in memory only: No space left"),
        "{recovery}"
    );
    put(&history, 51..=60);
    assert_same(&read(&history, ALL.0, ALL.1), &wanted(60), "while full");
    faults.full.store(false, Ordering::SeqCst);
    history.sync().expect("there is space again");
    drop(history);
    let (history, _) = open_over(&options, &Arc::default());
    assert_same(&read(&history, ALL.0, ALL.1), &wanted(60), "after a restart");
}

#[test]
fn a_directory_that_cannot_be_written_is_read_and_new_rows_stay_in_memory() {
    let dir = scratch();
    let options = options(dir.path());
    let faults = Arc::new(Faults::default());
    let (history, _) = open_over(&options, &faults);
    put(&history, 1..=50);
    history.seal().expect("seals");
    history.finish(2 * 3_600_000);
    let id = history.leaf_id().to_owned();
    drop(history);
    let before = names(dir.path());
    faults.read_only.store(true, Ordering::SeqCst);
    let (history, recovery) = open_over(&options, &faults);
    assert!(recovery.contains("NOT WRITABLE"), "{recovery}");
    assert_eq!(history.leaf_id(), id);
    put(&history, 51..=200);
    history.maintain(200_000);
    assert_same(&read(&history, ALL.0, ALL.1), &wanted(200), "read-only");
    history.finish(2 * 3_600_000);
    assert_same(
        &read(&history, ALL.0, ALL.1),
        &wanted(200),
        "read-only, the hour over",
    );
    assert_eq!(counted_by_cells(&history, 0, 3_600_000), counted(&wanted(200)));
    assert!(
        history
            .stats()
            .not_writing
            .expect("says so")
            .contains("Read-only")
    );
    assert_eq!(names(dir.path()), before);
    // Made writable again while running: everything is written.
    faults.read_only.store(false, Ordering::SeqCst);
    history.seal().expect("can be written again");
    drop(history);
    let (history, _) = open_over(&options, &Arc::default());
    assert_same(&read(&history, ALL.0, ALL.1), &wanted(200), "after a restart");
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .expect("lists")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

#[test]
fn any_single_operation_may_fail_and_nothing_is_lost() {
    let live = |history: &History| {
        for t in (1..=120).step_by(10) {
            put(history, t..=t + 9);
            history.maintain(t * 1000);
            if t % 30 == 1 {
                // It may fail: that is the point.
                drop(history.sync());
            }
            if t % 50 == 1 {
                drop(history.seal());
            }
        }
        // The hour is over: it is summed up and packed.
        history.finish(2 * 3_600_000);
    };
    let dir = scratch();
    let (history, faults, _) = open_faulty(&options(dir.path()));
    faults.reset();
    live(&history);
    let operations = faults.count();
    assert!(
        operations > 100,
        "{operations} operations are too few to show anything"
    );
    for (at, errno) in (1..=operations).flat_map(|at| [(at, EIO), (at, ENOSPC)]) {
        let dir = scratch();
        let options = options(dir.path());
        let (history, faults, _) = open_faulty(&options);
        faults.reset();
        faults.errno.store(errno, Ordering::SeqCst);
        faults.fail_at.store(at, Ordering::SeqCst);
        live(&history);
        let place = format!("operation {at} of {operations} failed with error {errno}");
        faults.reset();
        assert_same(&read(&history, ALL.0, ALL.1), &wanted(120), &place);
        assert_eq!(
            counted_by_cells(&history, 0, 3_600_000),
            counted(&wanted(120)),
            "{place}"
        );
        history.sync().expect("works again");
        drop(history);
        let (history, recovery) = open_over(&options, &Arc::default());
        assert_same(
            &read(&history, ALL.0, ALL.1),
            &wanted(120),
            &format!("{place}, restarted: {recovery}"),
        );
        history.finish(2 * 3_600_000);
        let place = format!("{place}, restarted and finished");
        assert_same(&read(&history, ALL.0, ALL.1), &wanted(120), &place);
        assert_eq!(
            counted_by_cells(&history, 0, 3_600_000),
            counted(&wanted(120)),
            "{place}"
        );
        let (packed, cells) = (dir.path().join("raw-0.seg"), dir.path().join("min-0.seg"));
        assert!(packed.is_file() && cells.is_file(), "{place}");
        assert!(!packed.with_extension("tmp").exists(), "{place}");
    }
}

#[test]
fn any_operation_of_a_start_may_fail_and_the_next_start_has_all_rows() {
    let make = |dir: &Path| {
        let options = options(dir);
        let (history, _) = open_over(&options, &Arc::default());
        put(&history, 1..=50);
        history.seal().expect("seals");
        put(&history, 51..=95);
        drop(history);
        options
    };
    let dir = scratch();
    let (_history, faults, _) = open_faulty(&make(dir.path()));
    let operations = faults.count();
    assert!(
        operations > 10,
        "{operations} operations are too few to show anything"
    );
    for at in 1..=operations {
        for for_ever in [false, true] {
            let dir = scratch();
            let options = make(dir.path());
            let faults = Arc::new(Faults::default());
            faults.fail_at.store(at, Ordering::SeqCst);
            faults.for_ever.store(for_ever, Ordering::SeqCst);
            // A start that fails must say so; one that succeeds must go on.
            drop(History::open_with(
                options.clone(),
                Arc::new(FaultyIo(Arc::clone(&faults))),
            ));
            let (history, recovery) = open_over(&options, &Arc::default());
            let place = format!("operation {at} of {operations} failed, for ever: {for_ever}; {recovery}");
            assert_same(&read(&history, ALL.0, ALL.1), &wanted(95), &place);
        }
    }
}

#[test]
fn short_reads_and_writes_are_gone_on_with() {
    let dir = scratch();
    let options = options(dir.path());
    let (history, faults, _) = open_faulty(&options);
    faults.trickle.store(true, Ordering::SeqCst);
    put(&history, 1..=300);
    history.seal().expect("seals");
    put(&history, 301..=330);
    assert_same(&read(&history, ALL.0, ALL.1), &wanted(330), "while running");
    drop(history);
    let (history, _) = open_over(&options, &faults);
    assert_same(&read(&history, ALL.0, ALL.1), &wanted(330), "after a restart");
}

#[test]
fn a_disk_that_fills_up_while_hours_are_finished_keeps_the_samples_and_finishes_them_later() {
    let dir = scratch();
    let options = options(dir.path());
    let (history, faults, _) = open_faulty(&options);
    put(&history, 1..=120);
    history.seal().expect("seals");
    faults.full.store(true, Ordering::SeqCst);
    history.finish(2 * 3_600_000);
    assert_same(&read(&history, ALL.0, ALL.1), &wanted(120), "while full");
    assert_eq!(counted_by_cells(&history, 0, 3_600_000), counted(&wanted(120)));
    drop(history);
    faults.full.store(false, Ordering::SeqCst);
    let (history, _) = open_over(&options, &faults);
    history.finish(2 * 3_600_000);
    assert!(dir.path().join("min-0.seg").is_file());
    assert_same(&read(&history, ALL.0, ALL.1), &wanted(120), "later");
    assert_eq!(counted_by_cells(&history, 0, 3_600_000), counted(&wanted(120)));
}
