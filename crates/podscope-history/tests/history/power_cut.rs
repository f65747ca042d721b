//! The power goes off at every single change to the disk, and the next start finds everything that was promised.

use std::path::Path;
use std::sync::Arc;

use crate::support::memory::{Leaves, MemoryIo};
use crate::support::{
    ModelRow, assert_same, counted, counted_by_cells, model, options, read, row_from, spec,
};
use podscope_history::{History, Options};

const ROWS: i64 = 130;
const DIR: &str = "/history";

fn row(t: i64) -> ModelRow {
    let values = (0..4)
        .filter(|column| (t / 10) % 4 != i64::from(*column))
        .map(|column| {
            let value = match column {
                0 => 1.0,
                1 => t as f64,
                2 => (t % 7) as f64 / 100.0,
                _ => (t as f64).sqrt(),
            };
            (column, value)
        });
    (t * 60_000, values.collect())
}

/// Appends, syncs, seals and restarts until the end or the power cut; answers how many rows were taken, how many of them
/// before the cut, and how many were made durable.
fn live(io: &MemoryIo, options: &Options) -> (i64, i64, i64) {
    let (mut taken, mut written, mut durable) = (0, 0, 0);
    let mut history = None;
    for t in 1..=ROWS {
        if t % 60 == 1 {
            drop(history.take());
            match History::open_with(options.clone(), Arc::new(io.clone())) {
                Ok((opened, _)) => history = Some(opened),
                Err(_) => break,
            }
        }
        let Some(history) = &history else { break };
        let (t_ms, values) = row(t);
        history
            .append(&spec("s"), t_ms, &row_from(&values))
            .expect("takes the row");
        taken = t;
        written = if io.is_off() { written } else { t };
        if t % 7 == 0 && history.sync().is_ok() {
            durable = t;
        }
        if t % 25 == 0 {
            history.maintain(t_ms);
        }
        if t % 45 == 0 {
            history.finish(t_ms + 120_000);
        }
        if t % 55 == 0 && history.seal().is_ok() {
            durable = t;
        }
        if io.is_off() {
            break;
        }
    }
    (taken, written, durable)
}

#[test]
fn every_durable_row_is_there_after_a_power_cut_at_any_operation() {
    let options = Options {
        sync_interval: std::time::Duration::ZERO,
        ..options(Path::new(DIR))
    };
    let whole = MemoryIo::default();
    assert_eq!(live(&whole, &options).0, ROWS);
    let operations = whole.operations();
    assert!(
        operations > 200,
        "{operations} operations are too few to show anything"
    );
    let all = (i64::MIN / 2, i64::MAX / 2);
    for cut in 0..operations {
        let io = MemoryIo::default();
        io.cut_after(cut);
        let (taken, written, durable) = live(&io, &options);
        for leaves in [Leaves::Nothing, Leaves::Half, Leaves::Everything] {
            let found = io.after_cut(leaves);
            for start in 0..2 {
                let (history, recovery) =
                    History::open_with(options.clone(), Arc::new(found.clone())).expect("opens");
                let read = read(&history, all.0, all.1);
                // Column 0 to 3 are never all absent, so the longest series tells how far it goes.
                let last = read
                    .values()
                    .filter_map(|samples| samples.last())
                    .map(|(t_ms, _)| t_ms / 60_000)
                    .max();
                let last = last.unwrap_or(0);
                let place = format!("cut at {cut} of {operations}, {leaves:?}, start {start}: {recovery}");
                assert!(last >= durable, "{last} rows of {durable} durable ones; {place}");
                assert!(last <= taken, "{last} rows of {taken} taken; {place}");
                if leaves == Leaves::Everything {
                    assert!(
                        last >= written,
                        "a kill alone loses nothing: {last} of {written} rows; {place}"
                    );
                }
                let rows: Vec<ModelRow> = (1..=last).map(row).collect();
                assert_same(&read, &model(&rows, all.0, all.1), &place);
                let cells = counted_by_cells(&history, 0, ROWS * 60_000);
                assert_eq!(cells, counted(&read), "cells: {place}");
            }
        }
    }
}

#[test]
fn what_was_lost_can_be_written_again() {
    let options = options(Path::new(DIR));
    for cut in (5..150).step_by(13) {
        let io = MemoryIo::default();
        io.cut_after(cut);
        live(&io, &options);
        let found = MemoryIo::after_cut(&io, Leaves::Half);
        let (history, _) = History::open_with(options.clone(), Arc::new(found)).expect("opens");
        let last = history.stats().newest_ms.unwrap_or(0) / 60_000;
        for t in last + 1..=ROWS {
            let (t_ms, values) = row(t);
            history
                .append(&spec("s"), t_ms, &row_from(&values))
                .expect("takes the row");
        }
        history.seal().expect("seals");
        let rows: Vec<ModelRow> = (1..=ROWS).map(row).collect();
        assert_eq!(
            read(&history, 0, i64::MAX / 2),
            model(&rows, 0, i64::MAX / 2),
            "cut at {cut}"
        );
    }
}
