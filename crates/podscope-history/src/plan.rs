//! What a query has to look at: the streams that hold its series, their chunks, and where each series lies in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use podscope_model::source::{Budget, SourceError};
use rustc_hash::FxHashMap;

use crate::catalog::{SeriesId, Stream};
use crate::codec::Codec;
use crate::column::{ENTRY_BYTES, Entry};
use crate::index::{Group, Index};
use crate::reader::GroupReader;
use crate::store::History;
use crate::timeline::{self, Chunk, Piece, Place};
use crate::varint::u32_at;

/// Where one series lies in one chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lies {
    Nowhere,
    /// In this one of the chunk's found entries.
    Entry(u32),
    /// In this column of a head.
    Slot(u32),
}

/// One stream as a query sees it.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) pieces: Vec<Piece>,
    /// Times of all pieces.
    pub(crate) times: Arc<[i64]>,
    /// The query's series that occur in this stream, by their place among all matched ones, with their place in
    /// each chunk.
    pub(crate) series: FxHashMap<usize, Vec<Lies>>,
}

/// What a query asks for, and what it works with.
pub(crate) struct Query<'a> {
    pub(crate) history: &'a History,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
    pub(crate) budget: &'a Budget,
    pub(crate) codec: Codec,
    /// Place among the matched series, by series number; `u32::MAX` = not matched.
    pub(crate) wanted: Vec<u32>,
    /// A file was removed or replaced since the view was made.
    pub(crate) moved: bool,
}

/// Chunks by stream number, with the stream.
pub(crate) type Chunks = BTreeMap<u32, (Arc<Stream>, Vec<Chunk>)>;

impl Query<'_> {
    pub(crate) fn wanted(&self, series: SeriesId) -> Option<usize> {
        self.wanted
            .get(series as usize)
            .filter(|at| **at != u32::MAX)
            .map(|at| *at as usize)
    }

    pub(crate) fn failed(&self, place: String, error: &std::io::Error) -> SourceError {
        SourceError::Read {
            place,
            reason: error.to_string(),
        }
    }

    /// Skips an unreadable part: the answer goes without it, the place is kept for the statistics and the log.
    pub(crate) fn skip(&self, reader: &GroupReader, group: &Group, what: &str, bytes: u32) {
        self.history
            .note_damage(reader.place(group, what), u64::from(bytes));
    }

    /// The chunks of every stream that holds a wanted series, by stream. Also those without it: their rows tell where
    /// the series ends.
    pub(crate) fn chunks(&mut self) -> Result<Chunks, SourceError> {
        let view = self.history.view();
        let mut out = Chunks::new();
        let mut indices = Vec::new();
        for segment in &view.segments {
            if !segment.overlaps(self.start_ms, self.end_ms) {
                continue;
            }
            self.budget.check()?;
            let Some(index) = self.history.index(segment)? else {
                self.moved = true;
                continue;
            };
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
            let holds = || {
                head.body()
                    .columns
                    .iter()
                    .any(|column| self.wanted(column.series).is_some())
            };
            if !out.contains_key(&head.stream.id) && holds() {
                out.insert(head.stream.id, (Arc::clone(&head.stream), Vec::new()));
            }
        }
        for (segment, index) in indices {
            let hit = |group: &Group| {
                self.overlaps(group.header.first_ms, group.header.last_ms)
                    && index
                        .stream(group.header.stream)
                        .is_some_and(|known| out.contains_key(&known.stream.id))
            };
            if !index.groups.iter().any(hit) {
                continue;
            }
            let reader = match GroupReader::open(segment, &index, self.history.io()) {
                Ok(Some(reader)) => Arc::new(reader),
                Ok(None) => continue,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    self.moved = true;
                    continue;
                }
                Err(error) => return Err(self.failed(segment.path.display().to_string(), &error)),
            };
            self.groups(&index, &reader, &mut out)?;
        }
        for head in &view.heads {
            let Some((_, chunks)) = out.get_mut(&head.stream.id) else {
                continue;
            };
            let body = head.body();
            let (Some(first), Some(last)) = (body.times.first(), body.times.last()) else {
                continue;
            };
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
        out: &mut Chunks,
    ) -> Result<(), SourceError> {
        for group in &index.groups {
            let header = &group.header;
            let Some(known) = index.stream(header.stream) else {
                continue;
            };
            let Some((_, chunks)) = out.get_mut(&known.stream.id) else {
                continue;
            };
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
            // Without its directory a chunk has no rows either: they must not end any series.
            let Some(entries) = self.entries(reader, group, &known.columns)? else {
                continue;
            };
            chunks.push(Chunk {
                place: Place::Group {
                    reader: Arc::clone(reader),
                    group: *group,
                    entries,
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
    pub(crate) fn prepare(&mut self, stream: &Stream, chunks: Vec<Chunk>) -> Result<Prepared, SourceError> {
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
            let most = rows[at];
            let (found, samples): (Vec<(usize, Lies)>, usize) = match &prepared.chunks[at].place {
                Place::Head(head) => {
                    let body = head.body();
                    let slots = body.columns.iter().enumerate();
                    let found: Vec<_> = slots
                        .filter_map(|(slot, column)| {
                            Some((self.wanted(column.series)?, Lies::Slot(slot as u32)))
                        })
                        .collect();
                    let samples = found.len() * most;
                    (found, samples)
                }
                Place::Group { entries, .. } => {
                    let samples = entries
                        .iter()
                        .map(|(_, entry)| most.min(entry.stats.count as usize))
                        .sum();
                    let lies =
                        |(at, (series, _)): (usize, &(usize, Entry))| (*series, Lies::Entry(at as u32));
                    (entries.iter().enumerate().map(lies).collect(), samples)
                }
            };
            // Before anything is decoded.
            self.budget.take_samples(samples)?;
            for (series, lies) in found {
                let places = prepared
                    .series
                    .entry(series)
                    .or_insert_with(|| vec![Lies::Nowhere; rows.len()]);
                places[at] = lies;
            }
        }
        Ok(prepared)
    }

    /// The wanted columns of a group: which series, and its directory entry. `None`: the directory is damaged.
    fn entries(
        &self,
        reader: &GroupReader,
        group: &Group,
        columns: &[SeriesId],
    ) -> Result<Option<Vec<(usize, Entry)>>, SourceError> {
        let directory = reader
            .directory(group)
            .map_err(|error| self.failed(reader.place(group, "directory"), &error))?;
        let Some(directory) = directory else {
            self.skip(reader, group, "the directory is damaged", group.header.len);
            return Ok(None);
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
            match Entry::read(&directory, &group.header, at, &mut variable) {
                Some(entry) => found.push((series, entry)),
                None => {
                    self.skip(
                        reader,
                        group,
                        "the directory is of an unknown kind",
                        group.header.len,
                    );
                    return Ok(None);
                }
            }
        }
        Ok(Some(found))
    }
}
