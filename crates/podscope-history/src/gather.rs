//! Decoding the samples of one series out of the chunks of one stream.

use std::sync::Arc;

use podscope_model::sample::{STALE, is_stale};
use podscope_model::source::SourceError;

use crate::plan::{Lies, Prepared, Query};
use crate::timeline::{Chunk, Piece, Place};

/// Times and values of one series in one stream.
pub(crate) type Part = (Arc<[i64]>, Vec<f64>);

impl Query<'_> {
    /// Collects one series of one stream. `None`: no sample in the window.
    pub(crate) fn gather(
        &mut self,
        prepared: &Prepared,
        places: &[Lies],
    ) -> Result<Option<Part>, SourceError> {
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
            // A head may have grown since its times were copied.
            let is_sealed = matches!(places[piece.chunk], Lies::Entry(_));
            let is_whole = is_sealed && piece.from == 0 && piece.to == chunk.times.len();
            if is_whole && decoded.as_ref().is_none_or(|(at, _)| *at != piece.chunk) {
                // The usual case: all of the chunk, which goes where it is wanted at once.
                let start = values.len();
                match self.decode(chunk, &places[piece.chunk], &mut values)? {
                    Some(None) => {
                        if let Some(own) = &mut own {
                            own.extend_from_slice(times);
                        }
                        valid_before = true;
                        rows_before += times.len();
                        continue;
                    }
                    Some(Some(runs)) => {
                        scratch.clear();
                        scratch.extend(values.drain(start..));
                        decoded = Some((piece.chunk, Some(runs)));
                    }
                    None => decoded = None,
                }
            } else if decoded.as_ref().is_none_or(|(at, _)| *at != piece.chunk) {
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
                out.append(&mut copy.values());
                Ok(Some(copy.runs))
            }
            (
                Place::Group {
                    reader,
                    group,
                    entries,
                },
                Lies::Entry(at),
            ) => {
                let Some((_, entry)) = entries.get(*at as usize) else {
                    return Ok(None);
                };
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
    /// Whether a series has a sample among the visible rows; decodes only where the directory does not tell.
    pub(crate) fn occurs(&mut self, prepared: &Prepared, places: &[Lies]) -> Result<bool, SourceError> {
        for piece in &prepared.pieces {
            let chunk = &prepared.chunks[piece.chunk];
            let whole = piece.from == 0 && piece.to == chunk.times.len();
            match &places[piece.chunk] {
                Lies::Entry(at) => {
                    if let Place::Group { entries, .. } = &chunk.place
                        && let Some((_, entry)) = entries.get(*at as usize)
                        && (whole || !entry.has_gaps())
                    {
                        return Ok(true);
                    }
                }
                Lies::Nowhere | Lies::Slot(_) => {}
            }
        }
        Ok(self.gather(prepared, places)?.is_some())
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
pub(crate) fn join(parts: Vec<Part>) -> Part {
    let mut parts = parts.into_iter();
    let Some(first) = parts.next() else {
        return (Arc::from([]), Vec::new());
    };
    parts.fold(first, join_two)
}

fn join_two(one: Part, two: Part) -> Part {
    let ((times, values), (later_times, later_values)) = (one, two);
    let apart = |before: &[i64], after: &[i64]| match (before.last(), after.first()) {
        (Some(last), Some(first)) => last < first,
        _ => true,
    };
    // The usual case: a stream was described anew, and the parts lie one after the other.
    if apart(&times, &later_times) {
        return (
            times.iter().chain(later_times.iter()).copied().collect(),
            [values, later_values].concat(),
        );
    }
    if apart(&later_times, &times) {
        return (
            later_times.iter().chain(times.iter()).copied().collect(),
            [later_values, values].concat(),
        );
    }
    let most = values.len() + later_values.len();
    let (mut joined_times, mut joined) = (Vec::with_capacity(most), Vec::with_capacity(most));
    let mut one = times.iter().copied().zip(values).peekable();
    let mut two = later_times.iter().copied().zip(later_values).peekable();
    loop {
        let next = match (one.peek(), two.peek()) {
            (Some((t_one, _)), Some((t_two, _))) if t_one < t_two => one.next(),
            (Some((t_one, _)), Some((t_two, value))) if t_one == t_two => {
                // That one stream ended does not end the series while another writes it.
                if is_stale(*value) {
                    two.next();
                    one.next()
                } else {
                    one.next();
                    two.next()
                }
            }
            (_, Some(_)) => two.next(),
            (Some(_), None) => one.next(),
            (None, None) => break,
        };
        if let Some((t_ms, value)) = next {
            joined_times.push(t_ms);
            joined.push(value);
        }
    }
    (joined_times.into(), joined)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn part(samples: &[(i64, f64)]) -> Part {
        let (times, values): (Vec<i64>, Vec<f64>) = samples.iter().copied().unzip();
        (times.into(), values)
    }

    fn bits(part: &Part) -> Vec<(i64, u64)> {
        let values = part.1.iter().map(|value| value.to_bits());
        part.0.iter().copied().zip(values).collect()
    }

    /// The rule, sample by sample.
    fn by_rule(parts: &[Part]) -> Vec<(i64, u64)> {
        let mut all: BTreeMap<i64, f64> = BTreeMap::new();
        for (times, values) in parts {
            for (t_ms, value) in times.iter().zip(values) {
                if is_stale(*value) {
                    all.entry(*t_ms).or_insert(*value);
                } else {
                    all.insert(*t_ms, *value);
                }
            }
        }
        all.into_iter()
            .map(|(t_ms, value)| (t_ms, value.to_bits()))
            .collect()
    }

    #[test]
    fn joined_parts_are_what_the_rule_says_sample_by_sample() {
        let mut state = 7_u64;
        let mut next = |bound: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % bound
        };
        let (mut apart, mut meeting) = (0, 0);
        for _ in 0..2_000 {
            let parts: Vec<Part> = (0..1 + next(4))
                .map(|_| {
                    let from = next(30) as i64;
                    let mut samples = Vec::new();
                    for t_ms in from..from + next(20) as i64 {
                        match next(4) {
                            0 => {}
                            1 => samples.push((t_ms, STALE)),
                            _ => samples.push((t_ms, next(100) as f64)),
                        }
                    }
                    part(&samples)
                })
                .collect();
            let expected = by_rule(&parts);
            let total: usize = parts.iter().map(|part| part.0.len()).sum();
            if expected.len() < total {
                meeting += 1;
            } else {
                apart += 1;
            }
            assert_eq!(bits(&join(parts)), expected);
        }
        assert!(apart > 200 && meeting > 200, "{apart} apart, {meeting} meeting");
    }
}
