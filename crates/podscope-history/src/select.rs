//! Reading: [`SeriesSource`] over segments and heads.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use podscope_model::labels::Labels;
use podscope_model::matcher::Matcher;
use podscope_model::sample::{STALE, SeriesData};
use podscope_model::source::{Budget, Select, SeriesSource, SourceError};
use rustc_hash::FxHashMap;

use crate::catalog::{SeriesId, Stream};
use crate::column::{Codec, ENTRY_BYTES, Entry};
use crate::segment::{Group, GroupReader, Index};
use crate::store::History;
use crate::timeline::{self, Chunk, Piece, Place};
use crate::varint::u32_at;

/// Where one series lies in one chunk.
#[derive(Clone, Copy, Debug)]
enum Lies {
    Nowhere,
    Entry(Entry),
    Slot(u32),
}

/// One stream as a query sees it.
#[derive(Debug)]
struct Prepared {
    chunks: Vec<Chunk>,
    pieces: Vec<Piece>,
    /// Times of all pieces.
    times: Arc<[i64]>,
    /// The query's series that occur in this stream, by their place among all matched ones, with their place in
    /// each chunk.
    series: FxHashMap<usize, Vec<Lies>>,
}

/// What a query asks for, and what it met on the way.
struct Query<'a> {
    history: &'a History,
    start_ms: i64,
    end_ms: i64,
    budget: &'a Budget,
    codec: Codec,
    /// Place among the matched series, by series number; `u32::MAX` = not matched.
    wanted: Vec<u32>,
}

impl Query<'_> {
    fn wanted(&self, series: SeriesId) -> Option<usize> {
        self.wanted
            .get(series as usize)
            .filter(|at| **at != u32::MAX)
            .map(|at| *at as usize)
    }

    fn failed(&self, place: String, error: &std::io::Error) -> SourceError {
        SourceError::Read {
            place,
            reason: error.to_string(),
        }
    }

    /// Skips an unreadable part: the answer goes without it, the place is kept for the statistics and the log.
    fn skip(&self, reader: &GroupReader, group: &Group, what: &str, bytes: u32) {
        self.history
            .note_damage(reader.place(group, what), u64::from(bytes));
    }

    /// The chunks of every stream that holds a wanted series, by stream. Also those without it: their rows tell where
    /// the series ends.
    fn chunks(&mut self) -> Result<BTreeMap<u32, (Arc<Stream>, Vec<Chunk>)>, SourceError> {
        let view = self.history.view();
        let mut out: BTreeMap<u32, (Arc<Stream>, Vec<Chunk>)> = BTreeMap::new();
        let mut indices = Vec::new();
        for segment in &view.segments {
            if segment.end_ms() <= self.start_ms || segment.start_ms() > self.end_ms {
                continue;
            }
            self.budget.check()?;
            let Some(index) = self.history.index(segment)? else { continue };
            for known in index.streams.iter().flatten() {
                if !out.contains_key(&known.stream.id)
                    && known.columns.iter().any(|series| self.wanted(*series).is_some())
                {
                    out.insert(known.stream.id, (Arc::clone(&known.stream), Vec::new()));
                }
            }
            indices.push((segment, index));
        }
        for head in &view.heads {
            let holds = || head.body().columns.iter().any(|column| self.wanted(column.series).is_some());
            if !out.contains_key(&head.stream.id) && holds() {
                out.insert(head.stream.id, (Arc::clone(&head.stream), Vec::new()));
            }
        }
        for (segment, index) in indices {
            let hit = |group: &Group| {
                self.overlaps(group.header.first_ms, group.header.last_ms)
                    && index.stream(group.header.stream).is_some_and(|known| out.contains_key(&known.stream.id))
            };
            if !index.groups.iter().any(hit) {
                continue;
            }
            let reader = match GroupReader::open(segment, &index, self.history.io()) {
                Ok(Some(reader)) => Arc::new(reader),
                Ok(None) => continue,
                // Retention removed it since the view was made.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(self.failed(segment.path.display().to_string(), &error)),
            };
            self.groups(&index, &reader, &mut out)?;
        }
        for head in &view.heads {
            let Some((_, chunks)) = out.get_mut(&head.stream.id) else { continue };
            let body = head.body();
            let (Some(first), Some(last)) = (body.times.first(), body.times.last()) else { continue };
            if self.overlaps(*first, *last) {
                chunks.push(Chunk {
                    place: Place::Head(Arc::clone(head)),
                    epoch: head.epoch,
                    first_row: head.first_row,
                    follows_ms: head.follows.unwrap_or(*first),
                    times: body.times.clone(),
                });
            }
        }
        for (_, chunks) in out.values_mut() {
            chunks.sort_by_key(|chunk| chunk.first_row);
        }
        Ok(out)
    }

    fn overlaps(&self, first_ms: i64, last_ms: i64) -> bool {
        last_ms > self.start_ms && first_ms <= self.end_ms
    }

    fn groups(
        &mut self,
        index: &Index,
        reader: &Arc<GroupReader>,
        out: &mut BTreeMap<u32, (Arc<Stream>, Vec<Chunk>)>,
    ) -> Result<(), SourceError> {
        for group in &index.groups {
            let header = &group.header;
            let Some(known) = index.stream(header.stream) else { continue };
            let Some((_, chunks)) = out.get_mut(&known.stream.id) else { continue };
            if !self.overlaps(header.first_ms, header.last_ms) {
                continue;
            }
            let times = reader
                .times(group, &mut self.codec)
                .map_err(|error| self.failed(reader.place(group, "timestamps"), &error))?;
            let Some(times) = times else {
                self.skip(reader, group, "the timestamps are damaged", header.len);
                continue;
            };
            chunks.push(Chunk {
                place: Place::Group {
                    reader: Arc::clone(reader),
                    group: *group,
                    columns: Arc::clone(&known.columns),
                },
                epoch: header.epoch,
                first_row: header.first_row,
                follows_ms: header.follows_ms,
                times,
            });
        }
        Ok(())
    }

    /// Cuts a stream's chunks to the window and finds the wanted series in them.
    fn prepare(&mut self, stream: &Stream, chunks: Vec<Chunk>) -> Result<Prepared, SourceError> {
        let interval = i64::try_from(stream.spec.interval_ms).unwrap_or(i64::MAX);
        let pieces = timeline::visible(&chunks, self.start_ms, self.end_ms, interval);
        let times = pieces
            .iter()
            .flat_map(|piece| &chunks[piece.chunk].times[piece.from..piece.to])
            .copied()
            .collect();
        let mut prepared = Prepared {
            chunks,
            pieces,
            times,
            series: FxHashMap::default(),
        };
        let mut rows = vec![0_usize; prepared.chunks.len()];
        for piece in &prepared.pieces {
            rows[piece.chunk] += piece.to - piece.from;
        }
        for at in 0..prepared.chunks.len() {
            if rows[at] == 0 {
                continue;
            }
            self.budget.check()?;
            let found = match prepared.chunks[at].place.clone() {
                Place::Head(head) => {
                    let body = head.body();
                    let slots = body.columns.iter().enumerate();
                    slots
                        .filter_map(|(slot, column)| {
                            Some((self.wanted(column.series)?, Lies::Slot(slot as u32), rows[at]))
                        })
                        .collect()
                }
                Place::Group {
                    reader,
                    group,
                    columns,
                } => self.entries(&reader, &group, &columns, rows[at])?,
            };
            let samples = found.iter().map(|(_, _, samples)| samples).sum();
            self.budget.take_samples(samples)?;
            for (series, lies, _) in found {
                let places = prepared
                    .series
                    .entry(series)
                    .or_insert_with(|| vec![Lies::Nowhere; rows.len()]);
                places[at] = lies;
            }
        }
        Ok(prepared)
    }

    /// The wanted columns of a group: which series, where, and at most how many samples of it are in sight.
    fn entries(
        &self,
        reader: &GroupReader,
        group: &Group,
        columns: &[SeriesId],
        rows: usize,
    ) -> Result<Vec<(usize, Lies, usize)>, SourceError> {
        let directory = reader
            .directory(group)
            .map_err(|error| self.failed(reader.place(group, "directory"), &error))?;
        let Some(directory) = directory else {
            self.skip(reader, group, "the directory is damaged", group.header.len);
            return Ok(Vec::new());
        };
        let count = group.header.columns as usize;
        let (mut found, mut variable) = (Vec::new(), 0);
        for at in 0..count {
            let column = u32_at(&directory, at * ENTRY_BYTES) as usize;
            let wanted = columns.get(column).and_then(|series| self.wanted(*series));
            let Some(series) = wanted else {
                variable += usize::from(directory[at * ENTRY_BYTES + 4] != 0);
                continue;
            };
            match Entry::read(&directory, count, at, group.header.rows, &mut variable) {
                Some(entry) => {
                    let samples = rows.min(entry.stats.count as usize);
                    found.push((series, Lies::Entry(entry), samples));
                }
                None => self.skip(reader, group, "a directory entry is of an unknown kind", 0),
            }
        }
        Ok(found)
    }

    /// Collects one series of one stream. `None`: no sample in the window.
    fn gather(
        &mut self,
        prepared: &Prepared,
        places: &[Lies],
    ) -> Result<Option<(Arc<[i64]>, Vec<f64>)>, SourceError> {
        let mut values = Vec::with_capacity(prepared.times.len());
        // Times of the samples, once they are no longer simply those of all rows.
        let mut own: Option<Vec<i64>> = None;
        let mut rows_before = 0;
        let mut valid_before = false;
        let mut scratch = Vec::new();
        let mut decoded: Option<(usize, Option<Vec<u32>>)> = None;
        for piece in &prepared.pieces {
            let chunk = &prepared.chunks[piece.chunk];
            let times = &chunk.times[piece.from..piece.to];
            if matches!(places[piece.chunk], Lies::Nowhere) {
                let own = own.get_or_insert_with(|| prepared.times[..rows_before].to_vec());
                if valid_before {
                    own.push(times[0]);
                    values.push(STALE);
                }
                valid_before = false;
                rows_before += times.len();
                continue;
            }
            if decoded.as_ref().is_none_or(|(at, _)| *at != piece.chunk) {
                scratch.clear();
                decoded = self
                    .decode(chunk, &places[piece.chunk], &mut scratch)?
                    .map(|runs| (piece.chunk, runs));
            }
            let Some((_, runs)) = &decoded else {
                // Damaged: as if no row had been written, not as if the series had ended.
                own.get_or_insert_with(|| prepared.times[..rows_before].to_vec());
                rows_before += times.len();
                continue;
            };
            match runs {
                None => {
                    values.extend_from_slice(&scratch[piece.from..piece.to]);
                    if let Some(own) = &mut own {
                        own.extend_from_slice(times);
                    }
                    valid_before = true;
                }
                Some(runs) => {
                    let own = own.get_or_insert_with(|| prepared.times[..rows_before].to_vec());
                    let mut sparse = Sparse {
                        times: own,
                        values: &mut values,
                        valid_before,
                    };
                    sparse.take(&chunk.times, piece, runs, &scratch);
                    valid_before = sparse.valid_before;
                }
            }
            rows_before += times.len();
        }
        if values.is_empty() {
            return Ok(None);
        }
        Ok(Some((
            own.map_or_else(|| Arc::clone(&prepared.times), Arc::from),
            values,
        )))
    }

    /// Decodes one column of a chunk; `None` when it is damaged, else its validity runs if it has gaps.
    #[expect(
        clippy::option_option,
        reason = "the outer one is damage, the inner one is the answer"
    )]
    fn decode(
        &mut self,
        chunk: &Chunk,
        lies: &Lies,
        out: &mut Vec<f64>,
    ) -> Result<Option<Option<Vec<u32>>>, SourceError> {
        match (&chunk.place, lies) {
            (Place::Head(head), Lies::Slot(slot)) => {
                let copy = head.body().copy(*slot);
                *out = copy.values();
                Ok(Some(copy.runs))
            }
            (Place::Group { reader, group, .. }, Lies::Entry(entry)) => {
                let runs = reader
                    .column(group, entry, &mut self.codec, out)
                    .map_err(|error| self.failed(reader.place(group, "column"), &error))?;
                if runs.is_none() {
                    self.skip(
                        reader,
                        group,
                        &format!("column {} is damaged", entry.column),
                        entry.len,
                    );
                }
                Ok(runs)
            }
            _ => Ok(None),
        }
    }
}

/// Takes the samples of a column with gaps.
struct Sparse<'a> {
    times: &'a mut Vec<i64>,
    values: &'a mut Vec<f64>,
    valid_before: bool,
}

impl Sparse<'_> {
    fn take(&mut self, times: &[i64], piece: &Piece, runs: &[u32], decoded: &[f64]) {
        let (mut row, mut value) = (0, 0);
        for (at, &run) in runs.iter().enumerate() {
            let end = row + run as usize;
            let (from, to) = (row.max(piece.from), end.min(piece.to));
            let valid = at % 2 == 0;
            if from < to {
                if valid {
                    self.times.extend_from_slice(&times[from..to]);
                    self.values
                        .extend_from_slice(&decoded[value + from - row..value + to - row]);
                } else if self.valid_before {
                    self.times.push(times[from]);
                    self.values.push(STALE);
                }
                self.valid_before = valid;
            }
            if valid {
                value += run as usize;
            }
            row = end;
        }
        // A head may have grown since its times were copied, never shrunk: the runs reach the piece's end.
    }
}

/// Joins the parts of a series that more than one stream wrote. At equal times the later part wins.
fn join(mut parts: Vec<(Arc<[i64]>, Vec<f64>)>) -> (Arc<[i64]>, Vec<f64>) {
    if parts.len() == 1
        && let Some(part) = parts.pop()
    {
        return part;
    }
    let mut all: BTreeMap<i64, f64> = BTreeMap::new();
    for (times, values) in parts {
        for (t_ms, value) in times.iter().zip(values) {
            // That one stream ended does not end the series while another writes it.
            if podscope_model::sample::is_stale(value) {
                all.entry(*t_ms).or_insert(value);
            } else {
                all.insert(*t_ms, value);
            }
        }
    }
    (all.keys().copied().collect(), all.into_values().collect())
}

impl History {
    fn query<'a>(
        &'a self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        budget: &'a Budget,
    ) -> Result<(Query<'a>, Vec<Labels>), SourceError> {
        budget.check()?;
        // What lies in segments not looked into yet is not in the catalog yet.
        for segment in &self.view().segments {
            if segment.end_ms() > start_ms && segment.start_ms() <= end_ms {
                self.index(segment)?;
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
        };
        Ok((query, matched.into_iter().map(|(_, labels)| labels).collect()))
    }

    fn prepared<'a>(&self, query: &mut Query<'a>) -> Result<Vec<Prepared>, SourceError> {
        let streams = query.chunks()?;
        streams
            .into_values()
            .map(|(stream, chunks)| query.prepare(&stream, chunks))
            .collect()
    }
}

impl SeriesSource for History {
    fn select(
        &self,
        select: &Select<'_>,
        budget: &Budget,
        sink: &mut dyn FnMut(SeriesData) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let (mut query, labels) = self.query(select.matchers, select.start_ms, select.end_ms, budget)?;
        if labels.is_empty() || select.end_ms <= select.start_ms {
            return Ok(());
        }
        let streams = self.prepared(&mut query)?;
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

    fn series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        budget: &Budget,
    ) -> Result<Vec<Labels>, SourceError> {
        let (mut query, labels) = self.query(matchers, start_ms, end_ms, budget)?;
        if labels.is_empty() || end_ms <= start_ms {
            return Ok(Vec::new());
        }
        // Looking is not reading: only the caller's series limit counts.
        let looking = Budget::unlimited();
        query.budget = &looking;
        let streams = query.chunks()?;
        let mut found = vec![false; labels.len()];
        for (stream, chunks) in streams.into_values() {
            budget.check()?;
            let prepared = query.prepare(&stream, chunks)?;
            for (at, places) in &prepared.series {
                if !found[*at] {
                    found[*at] = query.occurs(&prepared, places)?;
                }
            }
        }
        let out: Vec<Labels> = labels
            .into_iter()
            .zip(found)
            .filter(|(_, found)| *found)
            .map(|(labels, _)| labels)
            .collect();
        budget.check_series(out.len())?;
        Ok(out)
    }
}

impl Query<'_> {
    /// Whether a series has a sample among the visible rows; decodes only where the directory does not tell.
    fn occurs(&mut self, prepared: &Prepared, places: &[Lies]) -> Result<bool, SourceError> {
        for piece in &prepared.pieces {
            let chunk = &prepared.chunks[piece.chunk];
            let whole = piece.from == 0 && piece.to == chunk.times.len();
            match &places[piece.chunk] {
                Lies::Entry(entry) if whole || !entry.has_gaps() => return Ok(true),
                _ => {}
            }
        }
        Ok(self.gather(prepared, places)?.is_some())
    }
}
