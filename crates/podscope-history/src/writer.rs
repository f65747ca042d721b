//! The side that changes things: the open chunk of every stream, the log, and what is published to the readers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use podscope_model::batch::Row;
use rustc_hash::FxHashMap;

use crate::catalog::{Catalog, SeriesId, Stream};
use crate::head::Head;
use crate::io::Io;
use crate::segment::Segment;
use crate::stream_state::StreamState;
use crate::tier::{Key, Tier};
use crate::wal::Wal;
use crate::{Appended, HistoryError, StreamSpec};

/// What readers see: sealed and unsealed rows that fit together.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// Raw samples, by hour.
    pub(crate) segments: Vec<Arc<Segment>>,
    /// Cells of a minute by day, then cells of an hour by thirty days.
    pub(crate) cells: Vec<Arc<Segment>>,
    pub(crate) heads: Vec<Arc<Head>>,
}

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) streams: Vec<StreamState>,
    by_spec: FxHashMap<StreamSpec, usize>,
    /// Chunks that wait to be sealed, oldest first.
    pub(crate) frozen: Vec<Arc<Head>>,
    pub(crate) segments: BTreeMap<Key, Arc<Segment>>,
    /// `None`: it could not be written; rows are in memory only until a new one can be begun.
    pub(crate) wal: Option<Wal>,
    /// Logs that go when the current one is durable, with their sizes.
    pub(crate) old_wals: Vec<(PathBuf, u64)>,
    pub(crate) next_wal: u64,
    chunk_rows: usize,
    pub(crate) rows: u64,
    pub(crate) samples: u64,
    pub(crate) newest_ms: Option<i64>,
}

impl Writer {
    pub(crate) fn new(chunk_rows: usize) -> Self {
        Self {
            streams: Vec::new(),
            by_spec: FxHashMap::default(),
            frozen: Vec::new(),
            segments: BTreeMap::new(),
            wal: None,
            old_wals: Vec::new(),
            next_wal: 1,
            chunk_rows: chunk_rows.clamp(2, 1 << 16),
            rows: 0,
            samples: 0,
            newest_ms: None,
        }
    }

    pub(crate) fn view(&self) -> Arc<View> {
        let heads = self
            .frozen
            .iter()
            .chain(self.streams.iter().map(|state| &state.head));
        let (segments, cells) = self
            .segments
            .values()
            .cloned()
            .partition(|segment| segment.key.0 == Tier::Raw);
        Arc::new(View {
            segments,
            cells,
            heads: heads.cloned().collect(),
        })
    }

    /// The stream, made when it is new; then the second answer is true.
    fn stream(&mut self, spec: &StreamSpec, catalog: &RwLock<Catalog>) -> (usize, bool) {
        if let Some(&at) = self.by_spec.get(spec) {
            return (at, false);
        }
        let stream = catalog
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .stream(spec);
        self.add_stream(Head::new(stream, 0, 0, None), None);
        (self.streams.len() - 1, true)
    }

    fn add_stream(&mut self, head: Head, last_ms: Option<i64>) {
        self.by_spec.insert(head.stream.spec.clone(), self.streams.len());
        self.streams.push(StreamState::new(head, last_ms));
    }

    /// Takes a row. The second answer tells whether the readers' view has to be published anew.
    ///
    /// A log that cannot be written is given up (`wal` is `None` afterwards), and its error is the third answer.
    pub(crate) fn append(
        &mut self,
        spec: &StreamSpec,
        t_ms: i64,
        row: &Row,
        catalog: &RwLock<Catalog>,
    ) -> Result<(Appended, bool, Option<std::io::Error>), HistoryError> {
        let (at, mut publish) = self.stream(spec, catalog);
        let appended = match self.streams[at].last_ms {
            Some(last_ms) if t_ms == last_ms => {
                return Err(HistoryError::OutOfOrder {
                    stream: spec.name.clone(),
                    t_ms,
                    last_ms,
                });
            }
            Some(last_ms) if t_ms < last_ms => Appended::NewEpoch { last_ms },
            _ => Appended::InOrder,
        };
        if matches!(appended, Appended::NewEpoch { .. }) {
            self.freeze(at, true);
            publish = true;
        } else if self.must_freeze(at, t_ms) {
            self.freeze(at, false);
            publish = true;
        }
        let state = &mut self.streams[at];
        state.take_row(row, catalog);
        let mut failed = None;
        if let Some(wal) = &mut self.wal {
            wal.put_row(
                &state.head,
                &state.columns,
                t_ms,
                &state.present,
                &state.values,
                catalog,
            );
            if let Err(error) = wal.flush() {
                failed = Some(error);
                self.give_up_wal();
            }
        }
        self.samples += self.streams[at].push(t_ms);
        self.rows += 1;
        self.newest_ms = self.newest_ms.max(Some(t_ms));
        Ok((appended, publish, failed))
    }

    /// Takes a row out of a log: numbered, by series.
    pub(crate) fn restore_row(
        &mut self,
        stream: &Arc<Stream>,
        epoch: u32,
        row: u64,
        t_ms: i64,
        samples: &[(SeriesId, f64)],
    ) {
        let at = self.restore_stream(stream, epoch, row, None);
        let state = &self.streams[at];
        let fits = state.head.epoch == epoch && state.head.next_row() == row;
        if !fits {
            self.freeze(at, false);
            let follows = self.streams[at]
                .last_ms
                .filter(|_| self.streams[at].head.epoch == epoch);
            self.streams[at].head = Arc::new(Head::new(Arc::clone(stream), epoch, row, follows));
        } else if self.must_freeze(at, t_ms) {
            self.freeze(at, false);
        }
        let state = &mut self.streams[at];
        state.present.fill(false);
        for &(series, value) in samples {
            let slot = state.slot_of(series) as usize;
            state.present[slot] = true;
            state.values[slot] = value;
        }
        self.samples += self.streams[at].push(t_ms);
        self.rows += 1;
        self.newest_ms = self.newest_ms.max(Some(t_ms));
    }

    /// The place of a stream that a log or segment speaks of; where it is new it stands at `row`.
    pub(crate) fn restore_stream(
        &mut self,
        stream: &Arc<Stream>,
        epoch: u32,
        row: u64,
        last_ms: Option<i64>,
    ) -> usize {
        if let Some(&at) = self.by_spec.get(&stream.spec) {
            return at;
        }
        self.add_stream(Head::new(Arc::clone(stream), epoch, row, last_ms), last_ms);
        self.streams.len() - 1
    }

    /// Moves an idle stream on to where a segment or log says that it stands.
    pub(crate) fn advance(&mut self, at: usize, epoch: u32, row: u64, last_ms: Option<i64>) {
        let state = &mut self.streams[at];
        if row > state.head.next_row() || (row == state.head.next_row() && epoch > state.head.epoch) {
            let stream = Arc::clone(&state.head.stream);
            self.freeze(at, false);
            self.streams[at].head = Arc::new(Head::new(stream, epoch, row, last_ms));
            self.streams[at].last_ms = last_ms.or(self.streams[at].last_ms);
        }
    }

    pub(crate) fn next_row(&self, stream: &Stream) -> Option<u64> {
        self.by_spec
            .get(&stream.spec)
            .map(|at| self.streams[*at].head.next_row())
    }

    fn must_freeze(&self, at: usize, t_ms: i64) -> bool {
        let body = self.streams[at].head.body();
        body.times
            .first()
            .is_some_and(|first| Tier::Raw.slot_of(*first) != Tier::Raw.slot_of(t_ms))
            || body.times.len() >= self.chunk_rows
    }

    /// Ends the open chunk of a stream and begins an empty one, of a new epoch if asked.
    pub(crate) fn freeze(&mut self, at: usize, new_epoch: bool) {
        let state = &mut self.streams[at];
        let rows = state.head.body().rows();
        if rows == 0 && !new_epoch {
            return;
        }
        let follows = state.last_ms.filter(|_| !new_epoch);
        let epoch = state.head.epoch + u32::from(new_epoch);
        let next = Head::new(
            Arc::clone(&state.head.stream),
            epoch,
            state.head.next_row(),
            follows,
        );
        let full = std::mem::replace(&mut state.head, Arc::new(next));
        if rows > 0 {
            self.frozen.push(full);
        }
        state.clear();
    }

    /// Freezes every chunk with at least `rows` rows.
    pub(crate) fn freeze_from(&mut self, rows: u32) {
        for at in 0..self.streams.len() {
            if self.streams[at].head.body().rows() >= rows.max(1) {
                self.freeze(at, false);
            }
        }
    }

    /// Freezes the open chunks whose hour ended at or before `end_ms`.
    pub(crate) fn freeze_until(&mut self, end_ms: i64) -> bool {
        let before = self.frozen.len();
        for at in 0..self.streams.len() {
            let over = {
                let body = self.streams[at].head.body();
                let ends = |first: &i64| (Tier::Raw.slot_of(*first) + 1).saturating_mul(Tier::Raw.span_ms());
                body.times.first().is_some_and(|first| ends(first) <= end_ms)
            };
            if over {
                self.freeze(at, false);
            }
        }
        self.frozen.len() > before
    }

    /// The raw segments, by hour.
    pub(crate) fn raw(&self) -> impl DoubleEndedIterator<Item = &Arc<Segment>> {
        self.of_tier(Tier::Raw)
    }

    /// The segments of a tier, oldest first.
    pub(crate) fn of_tier(&self, tier: Tier) -> impl DoubleEndedIterator<Item = &Arc<Segment>> {
        self.segments
            .range((tier, i64::MIN)..=(tier, i64::MAX))
            .map(|(_, segment)| segment)
    }

    pub(crate) fn give_up_wal(&mut self) {
        if let Some(wal) = self.wal.take() {
            self.old_wals.push((wal.path, wal.len));
        }
    }

    /// Begins a new log that holds every row not sealed. The one before it is then among `old_wals`.
    ///
    /// # Errors
    /// When it cannot be written; the log before it stays.
    pub(crate) fn rotate(
        &mut self,
        io: &dyn Io,
        dir: &Path,
        catalog: &RwLock<Catalog>,
    ) -> std::io::Result<()> {
        let id = self.next_wal;
        self.next_wal += 1;
        let mut wal = Wal::create(io, dir, id)?;
        match self.fill(&mut wal, catalog) {
            Ok(()) => {
                self.give_up_wal();
                self.wal = Some(wal);
                Ok(())
            }
            Err(error) => {
                if let Err(left) = io.remove(&wal.path) {
                    tracing::debug!(path = %wal.path.display(), %left, "cannot remove an unfinished log");
                }
                Err(error)
            }
        }
    }

    fn fill(&self, wal: &mut Wal, catalog: &RwLock<Catalog>) -> std::io::Result<()> {
        for head in &self.frozen {
            wal.put_head(head, catalog);
            wal.flush()?;
        }
        for state in &self.streams {
            if state.head.body().rows() == 0 {
                wal.put_idle(&state.head, state.last_ms);
            } else {
                wal.put_head(&state.head, catalog);
            }
            wal.flush()?;
        }
        Ok(())
    }

    /// Series that the columns of the callers' rows stand for.
    pub(crate) fn mapped(&self) -> impl Iterator<Item = SeriesId> {
        self.streams.iter().flat_map(StreamState::mapped)
    }

    /// Memory held by rows that are not sealed.
    pub(crate) fn head_bytes(&self) -> u64 {
        let heads = self
            .frozen
            .iter()
            .chain(self.streams.iter().map(|state| &state.head));
        heads.map(|head| head.body().bytes()).sum()
    }
}
