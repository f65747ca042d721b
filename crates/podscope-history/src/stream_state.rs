//! The open chunk of one stream, and where the columns of its collector's row go in it.

use std::sync::{Arc, PoisonError, RwLock};

use podscope_model::batch::Row;
use podscope_model::labels::Labels;
use podscope_model::leaf::MetricInfo;

use crate::catalog::{Catalog, SeriesId};
use crate::head::Head;
use crate::schema::with_job;

const NO_SLOT: u32 = u32::MAX;

/// Where a column of the caller's row goes.
#[derive(Debug)]
struct Mapped {
    labels: Labels,
    series: SeriesId,
    slot: u32,
}

#[derive(Debug)]
pub(crate) struct StreamState {
    pub(crate) head: Arc<Head>,
    pub(crate) last_ms: Option<i64>,
    /// By index into the caller's row.
    map: Vec<Mapped>,
    /// Series by column of the head.
    pub(crate) columns: Vec<SeriesId>,
    pub(crate) present: Vec<bool>,
    pub(crate) values: Vec<f64>,
}

impl StreamState {
    pub(crate) fn new(head: Head, last_ms: Option<i64>) -> Self {
        Self {
            head: Arc::new(head),
            last_ms,
            map: Vec::new(),
            columns: Vec::new(),
            present: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Fills `present` and `values` from the caller's row.
    pub(crate) fn take_row(&mut self, row: &Row, catalog: &RwLock<Catalog>) {
        self.present.fill(false);
        let columns = row.columns();
        self.map.truncate(columns.len());
        for (at, column) in columns.iter().enumerate() {
            let Some(value) = row.value(at) else { continue };
            // Comparing the label sets of a steady collector compares two pointers.
            let known = self
                .map
                .get(at)
                .is_some_and(|mapped| mapped.labels == column.labels);
            if !known {
                self.map_columns(row, at, catalog);
            }
            let mut slot = self.map[at].slot;
            if slot == NO_SLOT {
                slot = self.slot_of(self.map[at].series);
                self.map[at].slot = slot;
            }
            self.present[slot as usize] = true;
            self.values[slot as usize] = value;
        }
    }

    /// Finds the series of the row's columns from `from` on, as far as they are not known.
    fn map_columns(&mut self, row: &Row, from: usize, catalog: &RwLock<Catalog>) {
        let mut catalog = catalog.write().unwrap_or_else(PoisonError::into_inner);
        let spec = &self.head.stream.spec;
        for (at, column) in row.columns().iter().enumerate().skip(from.min(self.map.len())) {
            if self
                .map
                .get(at)
                .is_some_and(|mapped| mapped.labels == column.labels)
            {
                continue;
            }
            let info = MetricInfo {
                kind: column.metric.kind(),
                unit: column.metric.unit(),
                help: column.metric.help().to_owned(),
                interval_ms: spec.interval_ms,
            };
            let series = catalog.intern(&with_job(&column.labels, &spec.job), &info);
            let mapped = Mapped {
                labels: column.labels.clone(),
                series,
                slot: NO_SLOT,
            };
            match self.map.get_mut(at) {
                Some(place) => *place = mapped,
                None => self.map.push(mapped),
            }
        }
    }

    pub(crate) fn slot_of(&mut self, series: SeriesId) -> u32 {
        let slot = self.head.body().column_of(series);
        if slot as usize == self.columns.len() {
            self.columns.push(series);
            self.present.push(false);
            self.values.push(0.0);
        }
        slot
    }

    pub(crate) fn push(&mut self, t_ms: i64) -> u64 {
        let mut body = self.head.body();
        let before = body.samples;
        let values = (0..self.columns.len())
            .filter(|slot| self.present[*slot])
            .map(|slot| (slot as u32, self.values[slot]));
        body.push(t_ms, values);
        self.last_ms = Some(t_ms);
        body.samples - before
    }

    /// Forgets the columns: the next chunk begins with none.
    pub(crate) fn clear(&mut self) {
        self.columns.clear();
        self.present.clear();
        self.values.clear();
        self.map.iter_mut().for_each(|mapped| mapped.slot = NO_SLOT);
    }

    /// Series that the columns of the caller's row stand for.
    pub(crate) fn mapped(&self) -> impl Iterator<Item = SeriesId> {
        self.map.iter().map(|mapped| mapped.series)
    }
}
