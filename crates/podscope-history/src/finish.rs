//! What happens to a file once its time is over: it is summed up into the next tier, and its chunks are packed together. The
//! first is done and durable before the second marks the file as finished, so that a crash at any point repeats rather than
//! forgets; cells written twice count once.

use std::sync::{Arc, PoisonError};

use podscope_model::cells::CellColumns;
use podscope_model::source::{Budget, SourceError};
use rustc_hash::FxHashMap;

use crate::catalog::SeriesId;
use crate::cells::{self, Contents};
use crate::codec::Codec;
use crate::index::Index;
use crate::merge::merge;
use crate::plan::Query;
use crate::reader::GroupReader;
use crate::segment::{Addition, Segment};
use crate::store::{History, Maintenance, held};
use crate::tier::Tier;
use crate::tiered::CellStream;
use crate::writer::Writer;

fn other(error: SourceError) -> std::io::Error {
    std::io::Error::other(error)
}

/// The series at these places, and where to find each.
fn by_id(places: &[usize], ids: &[SeriesId]) -> (FxHashMap<SeriesId, usize>, Vec<SeriesId>) {
    let series: Vec<SeriesId> = places.iter().filter_map(|at| ids.get(*at).copied()).collect();
    (
        series.iter().copied().zip(places.iter().copied()).collect(),
        series,
    )
}

fn series_of(stream: &CellStream, ids: &[SeriesId]) -> (FxHashMap<SeriesId, usize>, Vec<SeriesId>) {
    by_id(&stream.series(), ids)
}

/// The next file to finish: samples first, as cells are made of them.
fn next_due(writer: &Writer, unfinished: &[(std::path::PathBuf, u64)], over_ms: i64) -> Option<Arc<Segment>> {
    let given_up = |segment: &Segment| {
        unfinished
            .iter()
            .any(|(path, len)| *path == segment.path && *len == segment.len)
    };
    let waits = |segment: &Segment| {
        let within = |t_ms: i64| segment.start_ms() < t_ms && t_ms <= segment.end_ms();
        let rows = writer
            .frozen
            .iter()
            .any(|head| head.body().times.first().copied().is_some_and(within));
        let finer = writer.segments.values().any(|other| {
            other.key.0 < segment.key.0 && within(other.end_ms()) && !other.is_finished() && !given_up(other)
        });
        rows || finer
    };
    let due = |segment: &&Arc<Segment>| {
        segment.end_ms() <= over_ms && !segment.is_finished() && !given_up(segment) && !waits(segment)
    };
    writer.segments.values().find(due).cloned()
}

/// How long after its end a file is left alone: rows of a slow collector may still come.
const GRACE_MS: i64 = 60_000;

impl History {
    /// Does at once, as of this time, what [`History::maintain`] does little by little: seals the chunks of hours that
    /// are over and packs their files. For imports and measurements.
    pub fn finish(&self, now_ms: i64) {
        let mut maintenance = held(&self.maintenance);
        while self.finish_next(&mut maintenance, now_ms) {}
    }

    /// Finishes one file whose time is over, if there is one.
    pub(crate) fn finish_one(&self, maintenance: &mut Maintenance) {
        if let Some(now_ms) = maintenance.clock.now_ms() {
            self.finish_next(maintenance, now_ms);
        }
    }

    fn finish_next(&self, maintenance: &mut Maintenance, now_ms: i64) -> bool {
        let over_ms = now_ms.saturating_sub(GRACE_MS);
        let mut writer = held(&self.writer);
        if writer.freeze_until(over_ms) {
            self.publish(&writer);
        }
        // Rows that could not be sealed keep the files of their hours open.
        let waiting: Vec<i64> = writer
            .frozen
            .iter()
            .filter_map(|head| head.body().times.first().map(|t_ms| Tier::Raw.slot_of(*t_ms)))
            .collect();
        if waiting
            .iter()
            .any(|hour| (hour + 1).saturating_mul(Tier::Raw.span_ms()) <= over_ms)
        {
            drop(writer);
            self.seal_frozen(maintenance, false);
            writer = held(&self.writer);
        }
        let next = next_due(&writer, &maintenance.unfinished, over_ms);
        drop(writer);
        let Some(segment) = next else { return false };
        match self.finish_file(maintenance, &segment) {
            Ok(true) => {}
            Ok(false) => {
                tracing::debug!(path = %segment.path.display(), "left as it is: not all of it can be read");
                maintenance.unfinished.push((segment.path.clone(), segment.len));
            }
            Err(error) => {
                // Nothing is lost by it: the file is as it was, and it is tried again after a restart.
                tracing::warn!(path = %segment.path.display(), %error, "cannot finish a file");
                maintenance.unfinished.push((segment.path.clone(), segment.len));
            }
        }
        true
    }

    /// Sums a file up into the next tier and packs it. `false`: it cannot be read as a whole and stays as it is.
    fn finish_file(&self, maintenance: &mut Maintenance, segment: &Arc<Segment>) -> std::io::Result<bool> {
        let index = segment.index(self.io(), &self.catalog)?;
        let codec = &mut maintenance.codec;
        match segment.key.0 {
            Tier::Raw => self.sum_up_samples(segment, codec)?,
            Tier::Minute => self.sum_up_minutes(segment, &index, codec)?,
            Tier::Hour => {}
        }
        if !index.bad.is_empty() || index.sound_len != segment.len {
            return Ok(false);
        }
        let Some(reader) = GroupReader::whole(segment, &index, self.io())? else {
            return Ok(false);
        };
        for group in &index.groups {
            if !reader.is_whole(group)? {
                return Ok(false);
            }
        }
        let codec = &mut Codec::thorough();
        let mut packed = Addition::whole(segment.key, 0);
        if segment.key.0 == Tier::Raw {
            if !merge(&index, &reader, &mut packed, &self.catalog, codec)? {
                return Ok(false);
            }
        } else {
            let cell_ms = segment.key.0.cell_ms();
            let budget = Budget::unlimited();
            let (mut query, ids) = self.everything(segment, &budget)?;
            for stream in query.file_streams(segment, &index).map_err(other)?.into_values() {
                let (at, series) = series_of(&stream, &ids);
                cells::put(
                    &mut packed,
                    &Contents {
                        stream: &stream.stream,
                        cell_ms,
                        rows: &stream.rows,
                        series: &series,
                    },
                    &self.catalog,
                    codec,
                    &mut |id| {
                        let at = at.get(&id).copied().unwrap_or(usize::MAX);
                        stream.cells(at, CellColumns::ALL, &mut query).map_err(other)
                    },
                )?;
            }
        }
        packed.mark_finished(segment.key);
        self.replace(segment, packed)?;
        Ok(true)
    }

    /// A query for every series of the slot of a segment.
    fn everything<'a>(
        &'a self,
        segment: &Segment,
        budget: &'a Budget,
    ) -> std::io::Result<(Query<'a>, Vec<SeriesId>)> {
        let view = self.view();
        let segments: Vec<Arc<Segment>> = view
            .segments
            .iter()
            .chain(&view.cells)
            .filter(|other| other.key.0 == segment.key.0)
            .cloned()
            .collect();
        let (query, _) = self
            .query(&segments, &[], segment.start_ms(), segment.end_ms(), budget)
            .map_err(other)?;
        let ids = Self::ids_of(&query);
        Ok((query, ids))
    }

    /// Adds the minutes of an hour of samples to the file of their day.
    fn sum_up_samples(&self, segment: &Segment, codec: &mut Codec) -> std::io::Result<()> {
        let budget = Budget::unlimited();
        let (mut query, ids) = self.everything(segment, &budget)?;
        let mut prepared = Vec::new();
        for (stream, chunks) in query.chunks().map_err(other)?.into_values() {
            prepared.push((
                Arc::clone(&stream),
                query.prepare(&stream, chunks).map_err(other)?,
            ));
        }
        let cell_ms = Tier::Minute.cell_ms();
        self.add_cells(Tier::Minute, segment.end_ms(), &mut |addition| {
            for (stream, prepared) in &prepared {
                let rows = cells::row_cells(&prepared.times, cell_ms);
                let mut places: Vec<usize> = prepared.series.keys().copied().collect();
                places.sort_unstable();
                let (at, series) = by_id(&places, &ids);
                cells::put(
                    addition,
                    &Contents {
                        stream,
                        cell_ms,
                        rows: &rows,
                        series: &series,
                    },
                    &self.catalog,
                    codec,
                    &mut |id| {
                        let Some(lies) = at.get(&id).and_then(|at| prepared.series.get(at)) else {
                            return Ok(Vec::new());
                        };
                        let part = query.gather(prepared, lies).map_err(other)?;
                        Ok(part.map_or_else(Vec::new, |(times, values)| {
                            cells::cut(&times, &values, &rows, cell_ms)
                        }))
                    },
                )?;
            }
            Ok(())
        })
    }

    /// Adds the hours of a day of minutes to the file of their thirty days.
    fn sum_up_minutes(
        &self,
        segment: &Arc<Segment>,
        index: &Index,
        codec: &mut Codec,
    ) -> std::io::Result<()> {
        let budget = Budget::unlimited();
        let (mut query, ids) = self.everything(segment, &budget)?;
        let streams = query.file_streams(segment, index).map_err(other)?;
        let cell_ms = Tier::Hour.cell_ms();
        self.add_cells(Tier::Hour, segment.end_ms(), &mut |addition| {
            for stream in streams.values() {
                let (rows, places) = cells::longer_rows(&stream.rows, cell_ms);
                let (at, series) = series_of(stream, &ids);
                cells::put(
                    addition,
                    &Contents {
                        stream: &stream.stream,
                        cell_ms,
                        rows: &rows,
                        series: &series,
                    },
                    &self.catalog,
                    codec,
                    &mut |id| {
                        let at = at.get(&id).copied().unwrap_or(usize::MAX);
                        let found = stream.cells(at, CellColumns::ALL, &mut query).map_err(other)?;
                        Ok(cells::longer_cells(&found, &rows, &places))
                    },
                )?;
            }
            Ok(())
        })
    }

    /// Adds groups of cells to the file of a tier that holds the slot before `end_ms`.
    fn add_cells(
        &self,
        tier: Tier,
        end_ms: i64,
        fill: &mut dyn FnMut(&mut Addition) -> std::io::Result<()>,
    ) -> std::io::Result<()> {
        let key = (tier, tier.slot_of(end_ms));
        let known = held(&self.writer).segments.get(&key).cloned();
        let segment = known.unwrap_or_else(|| Arc::new(Segment::new(&self.options.dir, key, 0, 0)));
        let mut addition = segment.begin(self.io(), &self.catalog)?;
        fill(&mut addition)?;
        if addition.is_empty() {
            return Ok(());
        }
        let new = addition.write(&segment, self.io())?;
        let mut writer = held(&self.writer);
        writer.segments.insert(key, Arc::new(new));
        self.publish(&writer);
        Ok(())
    }

    /// Puts a file written anew in the place of the old one.
    fn replace(&self, old: &Segment, new: Addition) -> std::io::Result<()> {
        let bytes = (old.len, new.len());
        let temporary = new.write_aside(&old.path, self.io())?;
        // Together with the name goes what readers see: see `GroupReader::open`.
        let mut writer = held(&self.writer);
        if let Err(error) = self.io.rename(&temporary, &old.path) {
            drop(writer);
            if let Err(left) = self.io.remove(&temporary) {
                tracing::debug!(path = %temporary.display(), %left, "cannot remove an unfinished file");
            }
            return Err(error);
        }
        let segment = Segment::written(old.path.clone(), old.key, new.index);
        writer.segments.insert(old.key, Arc::new(segment));
        self.publish(&writer);
        drop(writer);
        self.io.sync_dir(&self.options.dir)?;
        tracing::debug!(path = %old.path.display(), from = bytes.0, to = bytes.1, "packed a finished file");
        Ok(())
    }

    /// Waits until whoever is just replacing a file has published the new one.
    pub(crate) fn settle(&self) {
        drop(self.writer.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
