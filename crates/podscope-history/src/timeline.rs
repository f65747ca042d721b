//! The rows of one stream in time order, from all chunks that a query touches.
//!
//! Chunks of one epoch never overlap in time. Where a later epoch (the clock was set back) overlaps an earlier one, its
//! rows hide the earlier ones, so that a counter never seems to run back and forth between the two.

use std::sync::Arc;

use crate::column::Entry;
use crate::head::Head;
use crate::index::Group;
use crate::reader::GroupReader;

/// Where the rows of a chunk are.
#[derive(Debug)]
pub(crate) enum Place {
    Group {
        reader: Arc<GroupReader>,
        group: Group,
        entries: Vec<(usize, Entry)>,
    },
    Head(Arc<Head>),
}

/// One chunk, before it is cut to what a query sees of it.
#[derive(Debug)]
pub(crate) struct Chunk {
    pub(crate) place: Place,
    pub(crate) epoch: u32,
    pub(crate) first_row: u64,
    /// Time of the row before the first, or the first row's own.
    pub(crate) follows_ms: i64,
    pub(crate) times: Vec<i64>,
}

/// Rows `from..to` of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) chunk: usize,
    pub(crate) from: usize,
    pub(crate) to: usize,
}

/// The rows with `start_ms < t <= end_ms` that are not hidden by a later epoch, in order of time.
pub(crate) fn visible(chunks: &[Chunk], start_ms: i64, end_ms: i64, interval_ms: i64) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let one_epoch = chunks.windows(2).all(|pair| pair[0].epoch == pair[1].epoch);
    for (at, chunk) in chunks.iter().enumerate() {
        let from = chunk.times.partition_point(|t| *t <= start_ms);
        let to = chunk.times.partition_point(|t| *t <= end_ms);
        if from >= to {
            continue;
        }
        if one_epoch {
            pieces.push(Piece { chunk: at, from, to });
            continue;
        }
        let spans: Vec<(i64, i64)> = chunks
            .iter()
            .filter(|other| other.epoch > chunk.epoch)
            .filter_map(|other| span(other, interval_ms))
            .collect();
        let hidden = |t: i64| spans.iter().any(|(first, last)| (*first..=*last).contains(&t));
        let mut open = None;
        for row in from..=to {
            let shown = row < to && !hidden(chunk.times[row]);
            match (open, shown) {
                (None, true) => open = Some(row),
                (Some(begin), false) => {
                    pieces.push(Piece {
                        chunk: at,
                        from: begin,
                        to: row,
                    });
                    open = None;
                }
                _ => {}
            }
        }
    }
    if !one_epoch {
        pieces = untangle(chunks, pieces);
    }
    pieces.sort_by_key(|piece| chunks[piece.chunk].times[piece.from]);
    pieces
}

/// What a chunk covers, the step from the chunk before it included when that is no pause.
fn span(chunk: &Chunk, interval_ms: i64) -> Option<(i64, i64)> {
    let (first, last) = (*chunk.times.first()?, *chunk.times.last()?);
    let steady = first.saturating_sub(chunk.follows_ms) <= interval_ms.saturating_mul(2).max(1);
    Some((
        if steady {
            chunk.follows_ms.saturating_add(1).min(first)
        } else {
            first
        },
        last,
    ))
}

/// Cuts a piece wherever another one begins inside it: a later epoch with a pause lets earlier rows show through.
fn untangle(chunks: &[Chunk], pieces: Vec<Piece>) -> Vec<Piece> {
    let starts: Vec<i64> = pieces
        .iter()
        .map(|piece| chunks[piece.chunk].times[piece.from])
        .collect();
    let mut out = Vec::new();
    for piece in pieces {
        let times = &chunks[piece.chunk].times;
        let mut cuts: Vec<usize> = starts
            .iter()
            .map(|start| times.partition_point(|t| t < start))
            .filter(|cut| (piece.from + 1..piece.to).contains(cut))
            .collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut from = piece.from;
        for cut in cuts.into_iter().chain([piece.to]) {
            out.push(Piece {
                chunk: piece.chunk,
                from,
                to: cut,
            });
            from = cut;
        }
    }
    out
}
