//! When rows were being written: what `up` is made of.

use podscope_model::source::{Budget, SourceError};

use crate::group::FLAG_PAUSES;
use crate::reader::GroupReader;
use crate::store::History;
use crate::tier::Tier;

impl History {
    /// The times within `start_ms..=end_ms` at which rows were being written, by any stream: closed intervals, in order,
    /// apart from each other. A row stands for the two intervals of its stream that follow it; later the next one is
    /// overdue. So a step of a query that falls between two rows, or shortly after the newest one, is covered.
    pub fn covered(&self, start_ms: i64, end_ms: i64) -> Vec<(i64, i64)> {
        for _ in 0..4 {
            if let Some(spans) = self.try_covered(start_ms, end_ms) {
                return merge(spans, start_ms, end_ms);
            }
            self.settle();
        }
        Vec::new()
    }

    /// `None`: a file moved meanwhile.
    fn try_covered(&self, start_ms: i64, end_ms: i64) -> Option<Vec<(i64, i64)>> {
        let mut spans = Vec::new();
        let view = self.view();
        for head in &view.heads {
            let interval = head.stream.spec.interval_ms;
            rows(&head.body().times, interval, &mut spans);
        }
        let mut codec = crate::codec::Codec::default();
        for segment in &view.segments {
            // A row before the window may reach into it.
            if !segment.overlaps(start_ms.saturating_sub(crate::tier::HOUR_MS), end_ms) {
                continue;
            }
            let index = match self.index(segment) {
                Ok(Some(index)) => index,
                Ok(None) => return None,
                Err(error) => {
                    tracing::warn!(%error, "cannot tell when rows were written");
                    continue;
                }
            };
            for group in &index.groups {
                let header = &group.header;
                let known = index.stream(header.stream);
                let interval = known.map_or(0, |known| known.stream.spec.interval_ms);
                if header.flags & FLAG_PAUSES == 0 {
                    spans.push((header.first_ms, reach(header.last_ms, interval)));
                    continue;
                }
                let reader = match GroupReader::open(segment, &index, self.io()) {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
                    opened => opened.ok().flatten(),
                };
                let times = reader.and_then(|reader| reader.times(group, &mut codec).ok().flatten());
                if let Some(times) = times {
                    rows(&times, interval, &mut spans);
                }
            }
        }
        for (tier, from, to) in self.before_samples(start_ms, end_ms) {
            match self.cell_rows(tier, from, to) {
                Ok(Some(rows)) => spans.extend(rows),
                Ok(None) => return None,
                Err(error) => tracing::warn!(%error, "cannot tell when rows were written"),
            }
        }
        Some(spans)
    }

    /// When rows were written, from the cells of a tier; `None`: a file moved meanwhile.
    fn cell_rows(
        &self,
        tier: Tier,
        start_ms: i64,
        end_ms: i64,
    ) -> Result<Option<Vec<(i64, i64)>>, SourceError> {
        let budget = Budget::unlimited();
        let (mut query, _) = self.query(&[], &[], start_ms, end_ms, &budget)?;
        let streams = query.cell_streams(tier, start_ms, end_ms, false)?;
        let spans = streams.values().flat_map(|stream| {
            let interval = stream.stream.spec.interval_ms;
            let rows = stream.rows.iter();
            rows.map(move |row| (row.first_ms, reach(row.last_ms, interval)))
        });
        let spans = spans.collect();
        Ok((!query.moved).then_some(spans))
    }
}

fn reach(t_ms: i64, interval_ms: u64) -> i64 {
    t_ms.saturating_add_unsigned(interval_ms.saturating_mul(2))
}

fn rows(times: &[i64], interval_ms: u64, spans: &mut Vec<(i64, i64)>) {
    for run in times.chunk_by(|a, b| *b <= reach(*a, interval_ms)) {
        if let (Some(first), Some(last)) = (run.first(), run.last()) {
            spans.push((*first, reach(*last, interval_ms)));
        }
    }
}

fn merge(mut spans: Vec<(i64, i64)>, start_ms: i64, end_ms: i64) -> Vec<(i64, i64)> {
    spans.sort_unstable();
    let mut out: Vec<(i64, i64)> = Vec::new();
    for (first, last) in spans {
        let (first, last) = (first.max(start_ms), last.min(end_ms));
        if first > last {
            continue;
        }
        match out.last_mut() {
            Some(before) if first <= before.1 => before.1 = before.1.max(last),
            _ => out.push((first, last)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_of_more_than_two_intervals_splits() {
        let mut spans = Vec::new();
        rows(&[1000, 2000, 4000, 7000, 8000], 1000, &mut spans);
        assert_eq!(spans, [(1000, 6000), (7000, 10_000)]);
        rows(&[0], 1000, &mut spans);
        assert_eq!(merge(spans, 500, 9000), [(500, 6000), (7000, 9000)]);
    }
}
