//! Reading: [`SeriesSource`] over segments and heads.

use std::sync::{Arc, PoisonError};

use podscope_model::cells::{Cell, CellColumns, CellSeries, Need, Resolution};
use podscope_model::labels::Labels;
use podscope_model::matcher::Matcher;
use podscope_model::sample::SeriesData;
use podscope_model::source::{Budget, Select, SeriesSource, SourceError};
use rustc_hash::FxHashSet;

use crate::cells::with_ends;
use crate::codec::Codec;
use crate::gather::join;
use crate::plan::{Chunks, Prepared, Query};
use crate::segment::Segment;
use crate::store::History;
use crate::tier::Tier;
use crate::tiered::CellStreams;

impl History {
    /// A query of these segments: the series that match, by place.
    pub(crate) fn query<'a>(
        &'a self,
        segments: &[Arc<Segment>],
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        budget: &'a Budget,
    ) -> Result<(Query<'a>, Vec<Labels>), SourceError> {
        budget.check()?;
        // What lies in segments not looked into yet is not in the catalog yet.
        let mut moved = false;
        for segment in segments {
            if segment.overlaps(start_ms, end_ms) {
                moved |= self.index(segment)?.is_none();
                budget.check()?;
            }
        }
        let catalog = self.catalog().read().unwrap_or_else(PoisonError::into_inner);
        let matched = catalog.matching(matchers);
        let mut wanted = vec![u32::MAX; catalog.id_bound()];
        drop(catalog);
        for (at, (id, _)) in matched.iter().enumerate() {
            wanted[*id as usize] = at as u32;
        }
        let query = Query {
            history: self,
            start_ms,
            end_ms,
            budget,
            codec: Codec::default(),
            wanted,
            moved,
        };
        Ok((query, matched.into_iter().map(|(_, labels)| labels).collect()))
    }

    /// The matching series, and the chunks of every stream that may hold one. Files that are just being replaced or removed
    /// are looked for again.
    fn chunks<'a>(
        &'a self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        budget: &'a Budget,
    ) -> Result<(Query<'a>, Vec<Labels>, Chunks), SourceError> {
        let mut attempts = 0;
        loop {
            let (mut query, labels) =
                self.query(&self.view().segments, matchers, start_ms, end_ms, budget)?;
            let chunks = if labels.is_empty() || end_ms <= start_ms {
                Chunks::new()
            } else {
                query.chunks()?
            };
            if !query.moved || attempts == ATTEMPTS {
                return Ok((query, labels, chunks));
            }
            attempts += 1;
            self.settle();
        }
    }
}

impl History {
    /// The matching series and the streams of cells that end in the window.
    fn cells<'a>(
        &'a self,
        select: &Select<'_>,
        cell_ms: i64,
        budget: &'a Budget,
    ) -> Result<(Query<'a>, Vec<Labels>, CellStreams), SourceError> {
        let tier = Tier::ALL
            .into_iter()
            .find(|tier| tier.cell_ms() == cell_ms && cell_ms > 0)
            .ok_or_else(|| SourceError::Resolution(format!("there are no cells of {cell_ms} ms")))?;
        // Whole cells: the one in which the window begins belongs to it only where it ends there.
        let start_ms = select.start_ms.div_euclid(cell_ms).saturating_mul(cell_ms);
        let end_ms = crate::cells::end_of(select.end_ms, cell_ms);
        let mut attempts = 0;
        loop {
            let view = self.view();
            let open = self.open_spans(tier, start_ms, end_ms)?;
            let needed = |segment: &&Arc<Segment>| {
                segment.key.0 == tier
                    || segment.key.0 < tier && open.iter().any(|(from, to)| segment.overlaps(*from, *to))
            };
            let segments: Vec<Arc<Segment>> = view
                .segments
                .iter()
                .chain(&view.cells)
                .filter(needed)
                .cloned()
                .collect();
            let (mut query, labels) = self.query(&segments, select.matchers, start_ms, end_ms, budget)?;
            let streams = if labels.is_empty() || end_ms <= start_ms {
                CellStreams::new()
            } else {
                query.cell_streams(tier, start_ms, end_ms, true)?
            };
            if !query.moved || attempts == ATTEMPTS {
                return Ok((query, labels, streams));
            }
            attempts += 1;
            self.settle();
        }
    }
}

/// Brings the cells of a series that several streams wrote into one row.
fn join_cells(mut cells: Vec<Cell>) -> Vec<Cell> {
    if cells.is_sorted_by(|a, b| a.end_ms < b.end_ms) {
        return cells;
    }
    cells.sort_by_key(|cell| (cell.end_ms, cell.first_ms));
    let mut out: Vec<Cell> = Vec::with_capacity(cells.len());
    for cell in cells {
        match out.last_mut() {
            Some(last) if last.end_ms == cell.end_ms => last.then(&cell),
            _ => out.push(cell),
        }
    }
    out
}

/// How often a query begins anew because files moved under it.
const ATTEMPTS: u32 = 5;

impl SeriesSource for History {
    fn select(
        &self,
        select: &Select<'_>,
        budget: &Budget,
        sink: &mut dyn FnMut(SeriesData) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let (mut query, labels, chunks) =
            self.chunks(select.matchers, select.start_ms, select.end_ms, budget)?;
        let streams: Vec<Prepared> = chunks
            .into_values()
            .map(|(stream, chunks)| query.prepare(&stream, chunks))
            .collect::<Result<_, _>>()?;
        for (at, labels) in labels.into_iter().enumerate() {
            let mut parts = Vec::new();
            for stream in &streams {
                if let Some(places) = stream.series.get(&at) {
                    budget.check()?;
                    parts.extend(query.gather(stream, places)?);
                }
            }
            if !parts.is_empty() {
                let (timestamps, values) = join(parts);
                sink(SeriesData {
                    labels,
                    timestamps,
                    values: values.into(),
                })?;
            }
        }
        Ok(())
    }

    fn resolution(&self, need: &Need<'_>) -> Result<Resolution, SourceError> {
        self.resolve(need)
    }

    fn select_cells(
        &self,
        select: &Select<'_>,
        cell_ms: i64,
        columns: CellColumns,
        budget: &Budget,
        sink: &mut dyn FnMut(CellSeries) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let (mut query, labels, streams) = self.cells(select, cell_ms, budget)?;
        for (at, labels) in labels.into_iter().enumerate() {
            budget.check()?;
            let mut cells: Vec<Cell> = Vec::new();
            for stream in streams.values() {
                let found = stream.cells(at, columns, &mut query)?;
                cells.extend(with_ends(found, &stream.rows));
            }
            let cells = join_cells(cells);
            if cells.iter().any(|cell| cell.count > 0) {
                sink(CellSeries { labels, cells })?;
            }
        }
        Ok(())
    }

    fn series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        budget: &Budget,
    ) -> Result<Vec<Labels>, SourceError> {
        let (mut query, labels, chunks) = self.chunks(matchers, start_ms, end_ms, budget)?;
        // Looking is not reading: only the caller's series limit counts.
        let looking = Budget::unlimited();
        query.budget = &looking;
        let mut found = vec![false; labels.len()];
        for (stream, chunks) in chunks.into_values() {
            budget.check()?;
            let prepared = query.prepare(&stream, chunks)?;
            for (at, places) in &prepared.series {
                if !found[*at] {
                    found[*at] = query.occurs(&prepared, places)?;
                }
            }
        }
        let mut out: Vec<Labels> = labels
            .into_iter()
            .zip(found)
            .filter(|(_, found)| *found)
            .map(|(labels, _)| labels)
            .collect();
        for (tier, from, to) in self.before_samples(start_ms, end_ms) {
            let mut known: FxHashSet<Labels> = out.iter().cloned().collect();
            let select = Select {
                matchers,
                start_ms: from,
                end_ms: to,
                step_ms: 1,
                function: None,
            };
            let none = CellColumns::default();
            self.select_cells(&select, tier.cell_ms(), none, &looking, &mut |series| {
                let within =
                    |cell: &Cell| cell.count > 0 && cell.last_ms > start_ms && cell.first_ms <= end_ms;
                if series.cells.iter().any(within) && known.insert(series.labels.clone()) {
                    out.push(series.labels);
                }
                Ok(())
            })?;
        }
        budget.check_series(out.len())?;
        Ok(out)
    }
}
