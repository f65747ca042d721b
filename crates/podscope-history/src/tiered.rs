//! Reading cells: from the files of a tier, and worked out from finer data where those files do not reach yet. So cells go
//! up to now, whatever has been summed up already.

use std::collections::BTreeMap;
use std::sync::Arc;

use podscope_model::cells::{Cell, CellColumns};
use podscope_model::source::SourceError;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::catalog::{SeriesId, Stream};
use crate::cells::{self, KINDS, RowCell};
use crate::column::Entry;
use crate::gather::Part;
use crate::index::{Group, Index};
use crate::plan::{Prepared, Query};
use crate::reader::GroupReader;
use crate::segment::Segment;
use crate::store::History;
use crate::tier::Tier;

/// The cells of one stream, whatever they come from.
#[derive(Debug)]
pub(crate) struct CellStream {
    pub(crate) stream: Arc<Stream>,
    pub(crate) rows: Vec<RowCell>,
    pieces: Vec<Piece>,
}

/// Cells from one place.
#[derive(Debug)]
struct Piece {
    rows: Vec<RowCell>,
    /// The place of each of them among the stream's; `None`: another piece, written later, has that cell.
    places: Vec<Option<u32>>,
    source: Source,
}

#[derive(Debug)]
enum Source {
    Group {
        reader: Arc<GroupReader>,
        group: Group,
        series: FxHashMap<usize, Vec<Entry>>,
    },
    /// Samples, to be summed up.
    Samples(Prepared),
    /// Cells of the next finer tier, with the place of each row among the longer ones.
    Finer(Box<CellStream>, Vec<u32>),
}

/// Streams by number.
pub(crate) type CellStreams = BTreeMap<u32, CellStream>;
type Pieces = BTreeMap<u32, (Arc<Stream>, Vec<(Vec<RowCell>, Source)>)>;

impl CellStream {
    /// Puts pieces together; where two have the same cell, the later piece's counts.
    fn new(stream: Arc<Stream>, parts: Vec<(Vec<RowCell>, Source)>) -> Self {
        let mut owners: BTreeMap<i64, (usize, usize)> = BTreeMap::new();
        for (piece, (rows, _)) in parts.iter().enumerate() {
            for (at, row) in rows.iter().enumerate() {
                owners.insert(row.end_ms, (piece, at));
            }
        }
        let mut pieces: Vec<Piece> = parts
            .into_iter()
            .map(|(rows, source)| Piece {
                places: vec![None; rows.len()],
                rows,
                source,
            })
            .collect();
        let mut rows = Vec::with_capacity(owners.len());
        for (piece, at) in owners.into_values() {
            pieces[piece].places[at] = Some(rows.len() as u32);
            rows.push(pieces[piece].rows[at]);
        }
        Self { stream, rows, pieces }
    }

    /// The places of its series among the wanted ones, in order.
    pub(crate) fn series(&self) -> Vec<usize> {
        let mut found = FxHashSet::default();
        for piece in &self.pieces {
            match &piece.source {
                Source::Group { series, .. } => found.extend(series.keys().copied()),
                Source::Samples(prepared) => found.extend(prepared.series.keys().copied()),
                Source::Finer(finer, _) => found.extend(finer.series()),
            }
        }
        let mut found: Vec<usize> = found.into_iter().collect();
        found.sort_unstable();
        found
    }

    /// The cells of one series, with their rows' places.
    pub(crate) fn cells(
        &self,
        at: usize,
        columns: CellColumns,
        query: &mut Query<'_>,
    ) -> Result<Vec<(u32, Cell)>, SourceError> {
        let mut out = Vec::new();
        for piece in &self.pieces {
            let found = piece.cells(at, columns, query)?;
            out.extend(found.into_iter().filter_map(|(row, cell)| {
                let place = piece.places.get(row as usize).copied().flatten()?;
                Some((place, cell))
            }));
        }
        out.sort_unstable_by_key(|(place, _)| *place);
        Ok(out)
    }
}

impl Piece {
    fn cells(
        &self,
        at: usize,
        columns: CellColumns,
        query: &mut Query<'_>,
    ) -> Result<Vec<(u32, Cell)>, SourceError> {
        match &self.source {
            Source::Group {
                reader,
                group,
                series,
            } => {
                let Some(entries) = series.get(&at) else {
                    return Ok(Vec::new());
                };
                query.budget.take_samples(self.rows.len())?;
                let found = cells::read_series(reader, group, entries, &self.rows, columns, &mut query.codec)
                    .map_err(|error| query.failed(reader.place(group, "cells"), &error))?;
                Ok(found.unwrap_or_else(|| {
                    query.skip(reader, group, "the cells of a series are damaged", 0);
                    Vec::new()
                }))
            }
            Source::Samples(prepared) => {
                let Some(places) = prepared.series.get(&at) else {
                    return Ok(Vec::new());
                };
                let cell_ms = self.rows.first().map_or(1, |_| Tier::Minute.cell_ms());
                let part: Option<Part> = query.gather(prepared, places)?;
                Ok(part.map_or_else(Vec::new, |(times, values)| {
                    cells::cut(&times, &values, &self.rows, cell_ms)
                }))
            }
            Source::Finer(finer, places) => {
                let found = finer.cells(at, columns, query)?;
                Ok(cells::longer_cells(&found, &self.rows, places))
            }
        }
    }
}

impl Query<'_> {
    /// The cells of a tier that end in the window, for every stream that has some. `finer`: also those that are not in the
    /// tier's files yet.
    pub(crate) fn cell_streams(
        &mut self,
        tier: Tier,
        start_ms: i64,
        end_ms: i64,
        finer: bool,
    ) -> Result<CellStreams, SourceError> {
        let mut pieces = Pieces::new();
        let view = self.history.view();
        let overlapping =
            |segment: &&Arc<Segment>| segment.key.0 == tier && segment.overlaps(start_ms, end_ms);
        for segment in view.cells.iter().filter(overlapping) {
            self.budget.check()?;
            let Some(index) = self.history.index(segment)? else {
                self.moved = true;
                continue;
            };
            self.cell_groups(segment, &index, start_ms, end_ms, &mut pieces)?;
        }
        if finer {
            for (from, to) in self.history.open_spans(tier, start_ms, end_ms)? {
                self.finer_pieces(tier, from.max(start_ms), to.min(end_ms), &mut pieces)?;
            }
        }
        let streams = pieces.into_iter();
        Ok(streams
            .map(|(id, (stream, parts))| (id, CellStream::new(stream, parts)))
            .collect())
    }

    fn cell_groups(
        &mut self,
        segment: &Arc<Segment>,
        index: &Index,
        start_ms: i64,
        end_ms: i64,
        out: &mut Pieces,
    ) -> Result<(), SourceError> {
        let reader = match GroupReader::open(segment, index, self.history.io()) {
            Ok(Some(reader)) => Arc::new(reader),
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.moved = true;
                return Ok(());
            }
            Err(error) => return Err(self.failed(segment.path.display().to_string(), &error)),
        };
        self.groups_of_cells(&reader, index, start_ms, end_ms, out)
    }

    /// The groups of a tier's file, through a reader of it.
    fn groups_of_cells(
        &mut self,
        reader: &Arc<GroupReader>,
        index: &Index,
        start_ms: i64,
        end_ms: i64,
        out: &mut Pieces,
    ) -> Result<(), SourceError> {
        for group in &index.groups {
            let header = &group.header;
            let Some(known) = index.stream(header.stream) else {
                continue;
            };
            if header.last_ms <= start_ms || header.first_ms > end_ms {
                continue;
            }
            let directory = reader
                .directory(group)
                .map_err(|error| self.failed(reader.place(group, "directory"), &error))?;
            let Some(directory) = directory else {
                self.skip(reader, group, "the directory is damaged", header.len);
                continue;
            };
            let (mut own, mut series, mut variable) = (Vec::new(), FxHashMap::default(), 0);
            for at in 0..header.columns as usize {
                let Some(entry) = Entry::read(&directory, header, at, &mut variable) else {
                    self.skip(reader, group, "the directory is of an unknown kind", header.len);
                    break;
                };
                match (entry.column / KINDS).checked_sub(1) {
                    None => own.push(entry),
                    Some(place) => {
                        let id = known.columns.get(place as usize);
                        if let Some(at) = id.and_then(|id| self.wanted(*id)) {
                            series.entry(at).or_insert_with(Vec::new).push(entry);
                        }
                    }
                }
            }
            let rows = cells::read_rows(reader, group, &own, &mut self.codec)
                .map_err(|error| self.failed(reader.place(group, "rows"), &error))?;
            let Some(rows) = rows else {
                self.skip(reader, group, "the rows of its cells are damaged", header.len);
                continue;
            };
            let parts = &mut out
                .entry(known.stream.id)
                .or_insert_with(|| (Arc::clone(&known.stream), Vec::new()))
                .1;
            parts.push((
                rows,
                Source::Group {
                    reader: Arc::clone(reader),
                    group: *group,
                    series,
                },
            ));
        }
        Ok(())
    }

    fn finer_pieces(
        &mut self,
        tier: Tier,
        start_ms: i64,
        end_ms: i64,
        out: &mut Pieces,
    ) -> Result<(), SourceError> {
        let cell_ms = tier.cell_ms();
        if tier == Tier::Hour {
            for (id, finer) in self.cell_streams(Tier::Minute, start_ms, end_ms, true)? {
                let (rows, places) = cells::longer_rows(&finer.rows, cell_ms);
                let parts = &mut out
                    .entry(id)
                    .or_insert_with(|| (Arc::clone(&finer.stream), Vec::new()))
                    .1;
                parts.push((rows, Source::Finer(Box::new(finer), places)));
            }
            return Ok(());
        }
        (self.start_ms, self.end_ms) = (start_ms, end_ms);
        for (id, (stream, chunks)) in self.chunks()? {
            let prepared = self.prepare(&stream, chunks)?;
            let rows = cells::row_cells(&prepared.times, cell_ms);
            let parts = &mut out.entry(id).or_insert_with(|| (stream, Vec::new())).1;
            parts.push((rows, Source::Samples(prepared)));
        }
        Ok(())
    }

    /// All cells of one file of a tier, read into memory at once.
    pub(crate) fn file_streams(
        &mut self,
        segment: &Arc<Segment>,
        index: &Index,
    ) -> Result<CellStreams, SourceError> {
        let mut pieces = Pieces::new();
        let reader = GroupReader::whole(segment, index, self.history.io())
            .map_err(|error| self.failed(segment.path.display().to_string(), &error))?;
        if let Some(reader) = reader {
            self.groups_of_cells(&Arc::new(reader), index, i64::MIN, i64::MAX, &mut pieces)?;
        }
        let streams = pieces.into_iter();
        Ok(streams
            .map(|(id, (stream, parts))| (id, CellStream::new(stream, parts)))
            .collect())
    }
}

impl History {
    /// The parts of a window that a tier's files do not tell of: whole slots of the next finer tier, or of the rows in
    /// memory, as `from < t <= to`, in order and apart.
    pub(crate) fn open_spans(
        &self,
        tier: Tier,
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Vec<(i64, i64)>, SourceError> {
        let view = self.view();
        let mut spans: Vec<(i64, i64)> = Vec::new();
        // Times of which the tier's files hold cells.
        let mut told: Vec<(i64, i64)> = Vec::new();
        for segment in &view.cells {
            if segment.key.0 == tier
                && segment.overlaps(start_ms, end_ms)
                && let Some(index) = self.index(segment)?
            {
                let headers = index.groups.iter().map(|group| &group.header);
                told.extend(
                    headers.map(|header| (header.first_ms - i64::from(header.tier_ms), header.last_ms)),
                );
            }
        }
        let finer = match tier {
            Tier::Hour => Tier::Minute,
            Tier::Minute | Tier::Raw => Tier::Raw,
        };
        for segment in view.segments.iter().chain(&view.cells) {
            if segment.key.0 != finer || !segment.overlaps(start_ms, end_ms) {
                continue;
            }
            let (from, to) = (segment.start_ms(), segment.end_ms());
            let is_told = told.iter().any(|(first, last)| *first < to && *last > from);
            if !segment.is_finished() || !is_told {
                spans.push((from, to));
            }
        }
        if tier == Tier::Hour {
            // What minutes do not tell of yet, hours cannot.
            spans.extend(self.open_spans(Tier::Minute, start_ms, end_ms)?);
        } else {
            for head in &view.heads {
                if let Some(first) = head.body().times.first() {
                    let from = Tier::Raw.slot_of(*first).saturating_mul(Tier::Raw.span_ms());
                    spans.push((from, from.saturating_add(Tier::Raw.span_ms())));
                }
            }
        }
        spans.retain(|(from, to)| *to > start_ms && *from < end_ms);
        spans.sort_unstable();
        let mut out: Vec<(i64, i64)> = Vec::new();
        for (from, to) in spans {
            match out.last_mut() {
                Some(last) if from <= last.1 => last.1 = last.1.max(to),
                _ => out.push((from, to)),
            }
        }
        Ok(out)
    }

    /// The series that the places in a query stand for.
    pub(crate) fn ids_of(query: &Query<'_>) -> Vec<SeriesId> {
        let mut ids: Vec<(u32, SeriesId)> = query
            .wanted
            .iter()
            .zip(0..)
            .filter(|(at, _)| **at != u32::MAX)
            .map(|(at, id)| (*at, id))
            .collect();
        ids.sort_unstable();
        ids.into_iter().map(|(_, id)| id).collect()
    }
}
