//! Cells in a file: one group per stream, a row per cell, and for each series the columns that say something of their own.
//!
//! What a reader can work out is not stored: a series that is there in every row has its stream's row count and times, one
//! that never changed within a cell has no last value beside its first, one that never fell lost nothing.

use std::sync::{Arc, RwLock};

use podscope_model::cells::{Cell, CellColumns};

use crate::catalog::{Catalog, SeriesId, Stream};
use crate::codec::Codec;
use crate::column::Entry;
use crate::draft::{About, Draft};
use crate::index::Group;
use crate::reader::GroupReader;
use crate::segment::Addition;
use crate::validity::RunList;

/// Columns have the number `KINDS * (1 + place in the file's table) + kind`; the stream's own have place -1.
pub(crate) const KINDS: u32 = 16;

/// What a column of a group of cells holds. The numbers are part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub(crate) enum Kind {
    /// Samples of the series; of the stream: its rows.
    Count = 0,
    /// Milliseconds from the cell's begin to the first and the last of them.
    FirstAt = 1,
    LastAt = 2,
    First = 3,
    /// As first where missing.
    Last = 4,
    /// As first where missing.
    Min = 5,
    /// As last where missing.
    Max = 6,
    /// Count times first where missing.
    Sum = 7,
    /// 0 where missing.
    Lost = 8,
}

impl Kind {
    const ALL: [Self; 9] = [
        Self::Count,
        Self::FirstAt,
        Self::LastAt,
        Self::First,
        Self::Last,
        Self::Min,
        Self::Max,
        Self::Sum,
        Self::Lost,
    ];

    pub(crate) fn of_number(number: u32) -> Option<Self> {
        Self::ALL.get((number % KINDS) as usize).copied()
    }

    /// Whether it has to be read to know these columns.
    pub(crate) fn serves(self, columns: CellColumns) -> bool {
        match self {
            Self::Count | Self::FirstAt | Self::LastAt => true,
            Self::First => columns.first || columns.last || columns.min || columns.max || columns.sum,
            Self::Last => columns.last || columns.max,
            Self::Min => columns.min,
            Self::Max => columns.max,
            Self::Sum => columns.sum,
            Self::Lost => columns.lost,
        }
    }
}

/// The rows of a stream that fall into one cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowCell {
    pub(crate) end_ms: i64,
    pub(crate) rows: u32,
    pub(crate) first_ms: i64,
    pub(crate) last_ms: i64,
}

/// The end of the cell a time lies in.
pub(crate) fn end_of(t_ms: i64, cell_ms: i64) -> i64 {
    (t_ms.saturating_sub(1).div_euclid(cell_ms) + 1).saturating_mul(cell_ms)
}

/// The cells of a stream's rows.
pub(crate) fn row_cells(times: &[i64], cell_ms: i64) -> Vec<RowCell> {
    let by_cell = times.chunk_by(|a, b| end_of(*a, cell_ms) == end_of(*b, cell_ms));
    by_cell
        .filter_map(|times| {
            Some(RowCell {
                end_ms: end_of(*times.first()?, cell_ms),
                rows: times.len() as u32,
                first_ms: *times.first()?,
                last_ms: *times.last()?,
            })
        })
        .collect()
}

/// The cells of a series' samples, each with its row's place. Stale markers are looked over: rows tell of them.
pub(crate) fn cut(times: &[i64], values: &[f64], rows: &[RowCell], cell_ms: i64) -> Vec<(u32, Cell)> {
    let mut out = Vec::with_capacity(rows.len());
    let (mut from, mut row) = (0, 0);
    while from < times.len() {
        let end_ms = end_of(times[from], cell_ms);
        let to = from + times[from..].partition_point(|t_ms| *t_ms <= end_ms);
        while rows.get(row).is_some_and(|row| row.end_ms < end_ms) {
            row += 1;
        }
        if let Some(cell) = Cell::of(end_ms, &times[from..to], &values[from..to])
            && cell.count > 0
            && rows.get(row).is_some_and(|row| row.end_ms == end_ms)
        {
            out.push((row as u32, cell));
        }
        from = to;
    }
    out
}

/// Puts rows together into longer cells: for each of them its place among the longer ones, too.
pub(crate) fn longer_rows(rows: &[RowCell], cell_ms: i64) -> (Vec<RowCell>, Vec<u32>) {
    let (mut out, mut places): (Vec<RowCell>, _) = (Vec::new(), Vec::with_capacity(rows.len()));
    for row in rows {
        let end_ms = end_of(row.end_ms, cell_ms);
        match out.last_mut() {
            Some(last) if last.end_ms == end_ms => {
                last.rows += row.rows;
                last.last_ms = row.last_ms;
            }
            _ => out.push(RowCell { end_ms, ..*row }),
        }
        places.push(out.len() as u32 - 1);
    }
    (out, places)
}

/// Puts a series' cells together into longer ones.
pub(crate) fn longer_cells(cells: &[(u32, Cell)], rows: &[RowCell], places: &[u32]) -> Vec<(u32, Cell)> {
    let mut out: Vec<(u32, Cell)> = Vec::new();
    for (row, cell) in cells {
        let Some(&place) = places.get(*row as usize) else {
            continue;
        };
        match out.last_mut() {
            Some((last, known)) if *last == place => known.then(cell),
            _ => {
                let end_ms = rows.get(place as usize).map_or(cell.end_ms, |row| row.end_ms);
                out.push((place, Cell { end_ms, ..*cell }));
            }
        }
        if let (Some((_, known)), Some(row)) = (out.last_mut(), rows.get(place as usize)) {
            known.end_ms = row.end_ms;
        }
    }
    out
}

/// What a group of cells is to hold.
#[derive(Debug)]
pub(crate) struct Contents<'a> {
    pub(crate) stream: &'a Arc<Stream>,
    pub(crate) cell_ms: i64,
    pub(crate) rows: &'a [RowCell],
    pub(crate) series: &'a [SeriesId],
}

/// Adds a group with the cells of a stream. `cells` gives those of a series, in order of rows.
///
/// # Errors
/// What `cells` answers, or when the group is too large.
pub(crate) fn put(
    out: &mut Addition,
    contents: &Contents<'_>,
    catalog: &RwLock<Catalog>,
    codec: &mut Codec,
    cells: &mut dyn FnMut(SeriesId) -> std::io::Result<Vec<(u32, Cell)>>,
) -> std::io::Result<()> {
    let Contents {
        stream,
        cell_ms,
        rows,
        series,
    } = *contents;
    if rows.is_empty() || series.is_empty() {
        return Ok(());
    }
    let (number, columns, description) = out.describe(stream, series, catalog);
    let about = About {
        stream: number,
        tier_ms: cell_ms as u32,
        follows_ms: rows.first().map_or(0, |row| row.end_ms),
        ..About::default()
    };
    let ends: Vec<i64> = rows.iter().map(|row| row.end_ms).collect();
    let too_large = || std::io::Error::other("a group of cells could not be encoded");
    let mut draft = Draft::begin(about, &description, &ends, codec).ok_or_else(too_large)?;
    let at = |t_ms: i64, end_ms: i64| (t_ms - (end_ms - cell_ms)) as f64;
    let of_rows = |value: &dyn Fn(&RowCell) -> f64| rows.iter().map(value).collect::<Vec<f64>>();
    draft.column(
        Kind::Count as u32,
        &of_rows(&|row| f64::from(row.rows)),
        None,
        codec,
    );
    draft.column(
        Kind::FirstAt as u32,
        &of_rows(&|row| at(row.first_ms, row.end_ms)),
        None,
        codec,
    );
    draft.column(
        Kind::LastAt as u32,
        &of_rows(&|row| at(row.last_ms, row.end_ms)),
        None,
        codec,
    );
    let mut order: Vec<(u32, SeriesId)> = columns.into_iter().zip(series.iter().copied()).collect();
    order.sort_unstable();
    for (column, id) in order {
        let found = cells(id)?;
        if found.is_empty() {
            continue;
        }
        let mut present = RunList::default();
        let mut next = 0;
        for (row, _) in &found {
            present.push(false, row - next);
            present.push(true, 1);
            next = row + 1;
        }
        present.push(false, rows.len() as u32 - next);
        let runs = present.gaps();
        let row = |place: u32| rows.get(place as usize).copied();
        let same = |test: &dyn Fn(&Cell, RowCell) -> bool| {
            found
                .iter()
                .all(|(place, cell)| row(*place).is_some_and(|row| test(cell, row)))
        };
        let equal = |a: f64, b: f64| a.to_bits() == b.to_bits();
        let mut column_of = |kind: Kind, missing: bool, value: &dyn Fn(&Cell) -> f64| {
            if !missing {
                let values: Vec<f64> = found.iter().map(|(_, cell)| value(cell)).collect();
                draft.column(
                    (column + 1) * KINDS + kind as u32,
                    &values,
                    runs.as_deref(),
                    codec,
                );
            }
        };
        column_of(Kind::Count, same(&|cell, row| cell.count == row.rows), &|cell| {
            f64::from(cell.count)
        });
        column_of(
            Kind::FirstAt,
            same(&|cell, row| cell.first_ms == row.first_ms),
            &|cell| at(cell.first_ms, cell.end_ms),
        );
        column_of(
            Kind::LastAt,
            same(&|cell, row| cell.last_ms == row.last_ms),
            &|cell| at(cell.last_ms, cell.end_ms),
        );
        column_of(Kind::First, false, &|cell| cell.first);
        column_of(
            Kind::Last,
            same(&|cell, _| equal(cell.last, cell.first)),
            &|cell| cell.last,
        );
        column_of(Kind::Min, same(&|cell, _| equal(cell.min, cell.first)), &|cell| {
            cell.min
        });
        column_of(Kind::Max, same(&|cell, _| equal(cell.max, cell.last)), &|cell| {
            cell.max
        });
        column_of(
            Kind::Sum,
            same(&|cell, _| equal(cell.sum, f64::from(cell.count) * cell.first)),
            &|cell| cell.sum,
        );
        column_of(Kind::Lost, same(&|cell, _| equal(cell.lost, 0.0)), &|cell| {
            cell.lost
        });
    }
    let (bytes, header) = draft.finish().ok_or_else(too_large)?;
    out.push(&bytes, header);
    Ok(())
}

/// One column of cells, spread over all rows: NaN where the series has none. `None`: damaged.
fn spread(
    reader: &GroupReader,
    group: &Group,
    entry: &Entry,
    codec: &mut Codec,
) -> std::io::Result<Option<(Vec<f64>, Option<Vec<u32>>)>> {
    let mut values = Vec::new();
    Ok(reader
        .column(group, entry, codec, &mut values)?
        .map(|runs| (values, runs)))
}

/// The rows of a group; `None`: damaged.
pub(crate) fn read_rows(
    reader: &GroupReader,
    group: &Group,
    own: &[Entry],
    codec: &mut Codec,
) -> std::io::Result<Option<Vec<RowCell>>> {
    let Some(ends) = reader.times(group, codec)? else {
        return Ok(None);
    };
    let cell_ms = i64::from(group.header.tier_ms);
    let mut columns = [Vec::new(), Vec::new(), Vec::new()];
    for (kind, out) in [Kind::Count, Kind::FirstAt, Kind::LastAt]
        .into_iter()
        .zip(&mut columns)
    {
        let Some(entry) = own.iter().find(|entry| entry.column == kind as u32) else {
            return Ok(None);
        };
        match spread(reader, group, entry, codec)? {
            Some((values, None)) if values.len() == ends.len() => *out = values,
            _ => return Ok(None),
        }
    }
    let rows = ends.iter().enumerate().map(|(at, &end_ms)| {
        let [count, first, last] = [&columns[0], &columns[1], &columns[2]].map(|column| column[at]);
        RowCell {
            end_ms,
            rows: count as u32,
            first_ms: end_ms.saturating_sub(cell_ms).saturating_add(first as i64),
            last_ms: end_ms.saturating_sub(cell_ms).saturating_add(last as i64),
        }
    });
    Ok(Some(rows.collect()))
}

/// The cells of one series in a group, each with its row's place; `None`: damaged.
pub(crate) fn read_series(
    reader: &GroupReader,
    group: &Group,
    entries: &[Entry],
    rows: &[RowCell],
    wanted: CellColumns,
    codec: &mut Codec,
) -> std::io::Result<Option<Vec<(u32, Cell)>>> {
    let cell_ms = i64::from(group.header.tier_ms);
    let mut columns: [Option<Vec<f64>>; Kind::ALL.len()] = Default::default();
    let mut present: Option<Vec<u32>> = None;
    let mut count = rows.len();
    // Which rows the series is in is the same in all its columns; the first one, which is always there, tells.
    let Some(first) = entries
        .iter()
        .find(|entry| Kind::of_number(entry.column) == Some(Kind::First))
    else {
        return Ok(None);
    };
    if let Some(runs) = &if first.has_gaps() || Kind::First.serves(wanted) {
        let Some((values, runs)) = spread(reader, group, first, codec)? else {
            return Ok(None);
        };
        count = values.len();
        columns[Kind::First as usize] = Some(values);
        runs
    } else {
        None
    } {
        present = Some(runs.clone());
    }
    for entry in entries {
        let Some(kind) = Kind::of_number(entry.column) else {
            continue;
        };
        if kind == Kind::First || !kind.serves(wanted) {
            continue;
        }
        match spread(reader, group, entry, codec)? {
            Some((values, _)) if values.len() == count => columns[kind as usize] = Some(values),
            _ => return Ok(None),
        }
    }
    let places: Vec<u32> = match &present {
        None => (0..rows.len() as u32).collect(),
        Some(runs) => {
            let (mut places, mut row) = (Vec::with_capacity(count), 0);
            for (at, run) in runs.iter().enumerate() {
                if at % 2 == 0 {
                    places.extend(row..row + run);
                }
                row += run;
            }
            places
        }
    };
    if places.len() != count {
        return Ok(None);
    }
    let value = |kind: Kind, at: usize| columns[kind as usize].as_ref().map(|column| column[at]);
    let out = places.into_iter().enumerate().filter_map(|(at, place)| {
        let row = rows.get(place as usize)?;
        let begin = row.end_ms.saturating_sub(cell_ms);
        let time = |kind: Kind, of_row: i64| {
            value(kind, at).map_or(of_row, |offset| begin.saturating_add(offset as i64))
        };
        let samples = value(Kind::Count, at).map_or(row.rows, |count| count as u32);
        let first = value(Kind::First, at).unwrap_or(f64::NAN);
        let last = value(Kind::Last, at).unwrap_or(first);
        let cell = Cell {
            end_ms: row.end_ms,
            count: samples,
            sum: value(Kind::Sum, at).unwrap_or(f64::from(samples) * first),
            min: value(Kind::Min, at).unwrap_or(first),
            max: value(Kind::Max, at).unwrap_or(last),
            first,
            last,
            lost: value(Kind::Lost, at).unwrap_or(0.0),
            first_ms: time(Kind::FirstAt, row.first_ms),
            last_ms: time(Kind::LastAt, row.last_ms),
            ended_ms: None,
        };
        Some((place, cell))
    });
    Ok(Some(out.collect()))
}

/// A series' cells with what their rows add: where the series was missing from a row after it had been there, it ended.
pub(crate) fn with_ends(cells: Vec<(u32, Cell)>, rows: &[RowCell]) -> Vec<Cell> {
    let mut out: Vec<Cell> = Vec::with_capacity(cells.len() + 1);
    let mut next = 0;
    for (place, mut cell) in cells {
        if place > next
            && let (Some(last), Some(row)) = (out.last(), rows.get(next as usize))
            && last.ended_ms.is_none()
        {
            out.push(Cell::ended(row.end_ms, row.first_ms));
        }
        if let Some(row) = rows.get(place as usize)
            && cell.last_ms < row.last_ms
        {
            cell.ended_ms = Some(row.last_ms);
        }
        out.push(cell);
        next = place + 1;
    }
    if let (Some(last), Some(row)) = (out.last(), rows.get(next as usize))
        && last.ended_ms.is_none()
    {
        out.push(Cell::ended(row.end_ms, row.first_ms));
    }
    out
}
