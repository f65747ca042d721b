//! A chunk in memory: the rows of one stream since its last sealed chunk, compressed column by column as they come.
//!
//! A head is shared with the readers. Once frozen nothing is added to it, so a reader that holds it goes on seeing what
//! it saw, also after its rows were sealed into a segment.

use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::FxHashMap;

use crate::catalog::{SeriesId, Stream};
use crate::token::{self, Values};
use crate::validity::Validity;

/// One column in the head.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) series: SeriesId,
    /// Tokens of the values, all but the last `run`.
    bytes: Vec<u8>,
    /// The last value, `run` times, not yet in `bytes`.
    pub(crate) last: f64,
    run: u32,
    hint: u8,
    validity: Validity,
}

impl Column {
    fn new(series: SeriesId) -> Self {
        Self {
            series,
            bytes: Vec::new(),
            last: 0.0,
            run: 0,
            hint: 0,
            validity: Validity::default(),
        }
    }

    fn push(&mut self, row: u32, value: f64) {
        if value.to_bits() == self.last.to_bits() {
            self.run += 1;
        } else {
            token::put_run(&mut self.bytes, self.run);
            self.run = 0;
            token::put_change(&mut self.bytes, self.last, value, &mut self.hint);
            self.last = value;
        }
        self.validity.mark(row);
    }
}

/// A column copied out of a head.
#[derive(Debug)]
pub(crate) struct ColumnCopy {
    pub(crate) tokens: Vec<u8>,
    /// `None`: valid in every row.
    pub(crate) runs: Option<Vec<u32>>,
    pub(crate) count: u32,
}

impl ColumnCopy {
    pub(crate) fn values(&self) -> Vec<f64> {
        let mut out = Vec::with_capacity(self.count as usize);
        let complete = Values::new(&self.tokens).read_into(self.count as usize, &mut out);
        debug_assert!(complete, "a head holds as many values as it marked");
        out
    }
}

#[derive(Debug, Default)]
pub(crate) struct Body {
    pub(crate) times: Vec<i64>,
    pub(crate) columns: Vec<Column>,
    by_series: FxHashMap<SeriesId, u32>,
    pub(crate) samples: u64,
}

impl Body {
    pub(crate) fn rows(&self) -> u32 {
        self.times.len() as u32
    }

    /// The column of a series, made when it is new.
    pub(crate) fn column_of(&mut self, series: SeriesId) -> u32 {
        let columns = &mut self.columns;
        *self.by_series.entry(series).or_insert_with(|| {
            columns.push(Column::new(series));
            columns.len() as u32 - 1
        })
    }

    /// Adds a row: (column, value) in any order, each column once.
    pub(crate) fn push(&mut self, t_ms: i64, values: impl Iterator<Item = (u32, f64)>) {
        let row = self.rows();
        self.times.push(t_ms);
        for (column, value) in values {
            self.columns[column as usize].push(row, value);
            self.samples += 1;
        }
    }

    /// A copy of one column as of its first `rows` rows (all rows that there are when copied for a seal).
    pub(crate) fn copy(&self, column: u32) -> ColumnCopy {
        let column = &self.columns[column as usize];
        let mut tokens = Vec::with_capacity(column.bytes.len() + 4);
        tokens.extend_from_slice(&column.bytes);
        token::put_run(&mut tokens, column.run);
        let rows = self.rows();
        let runs = (!column.validity.is_full(rows)).then(|| column.validity.runs(rows));
        let count = runs.as_ref().map_or(rows, |runs| runs.iter().step_by(2).sum());
        ColumnCopy { tokens, runs, count }
    }

    /// Bytes of memory held.
    pub(crate) fn bytes(&self) -> u64 {
        let columns: usize = self
            .columns
            .iter()
            .map(|column| size_of::<Column>() + column.bytes.capacity() + column.validity.bytes() + 16)
            .sum();
        (columns + self.times.capacity() * 8) as u64
    }
}

#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) stream: Arc<Stream>,
    pub(crate) epoch: u32,
    /// Number of its first row within the stream.
    pub(crate) first_row: u64,
    /// Where the last row before this head lies in time: `None` when there is none, or it is not this epoch's.
    pub(crate) follows: Option<i64>,
    body: Mutex<Body>,
}

impl Head {
    pub(crate) fn new(stream: Arc<Stream>, epoch: u32, first_row: u64, follows: Option<i64>) -> Self {
        Self {
            stream,
            epoch,
            first_row,
            follows,
            body: Mutex::default(),
        }
    }

    pub(crate) fn body(&self) -> MutexGuard<'_, Body> {
        // Nothing in here panics half-way through a change that a later reader could see as a wrong number.
        self.body.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn next_row(&self) -> u64 {
        self.first_row + u64::from(self.body().rows())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StreamSpec;

    #[test]
    fn columns_join_and_leave_without_disturbing_the_others() {
        let spec = StreamSpec {
            name: "s".into(),
            job: "j".into(),
            interval_ms: 1000,
        };
        let head = Head::new(Arc::new(Stream { id: 0, spec }), 0, 0, None);
        let mut body = head.body();
        let a = body.column_of(10);
        body.push(1, [(a, 1.0)].into_iter());
        let b = body.column_of(11);
        body.push(2, [(a, 1.0), (b, 0.5)].into_iter());
        body.push(3, [(b, 0.25)].into_iter());
        body.push(4, std::iter::empty());
        assert_eq!(
            (body.copy(a).values(), body.copy(a).runs),
            (vec![1.0, 1.0], Some(vec![2, 2]))
        );
        assert_eq!(
            (body.copy(b).values(), body.copy(b).runs),
            (vec![0.5, 0.25], Some(vec![0, 1, 2, 1]))
        );
        assert_eq!(body.column_of(11), b);
        assert_eq!(body.samples, 4);
    }
}
