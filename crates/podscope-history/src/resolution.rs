//! Which tier serves a question.

use podscope_model::cells::{CellColumns, Need, Resolution};
use podscope_model::source::SourceError;

use crate::store::History;
use crate::tier::Tier;

/// Functions over a range that cells answer, for the text of an error.
const EXACT: &str =
    "avg, min, max, sum, count, first, last, present_over_time, rate, increase, delta and plain selectors";

impl History {
    /// Samples where they are kept and needed; cells where they give the very same answer from less, or where they are all
    /// that is left.
    pub(crate) fn resolve(&self, need: &Need<'_>) -> Result<Resolution, SourceError> {
        let view = self.view();
        if view.cells.is_empty() {
            return Ok(Resolution::Samples);
        }
        let kept: Vec<(Tier, i64)> = Tier::ALL
            .into_iter()
            .filter_map(|tier| Some((tier, self.oldest_ms(tier)?)))
            .collect();
        let Some(oldest) = kept.iter().map(|(_, oldest)| *oldest).min() else {
            return Ok(Resolution::Samples);
        };
        let from = need.first_ms.saturating_sub(need.window_ms);
        let reaches = |tier: Tier| {
            // Cells are worked out from anything finer, too.
            let finer = kept.iter().filter(|(other, _)| *other <= tier);
            let since = finer.map(|(_, since)| *since).min().unwrap_or(i64::MAX);
            // A tier that begins within the hour in which all that is kept begins lacks nothing.
            from >= since || since <= oldest.saturating_add(Tier::Hour.cell_ms())
        };
        let has = |tier: Tier| kept.iter().any(|(other, _)| *other == tier);
        let may = |tier: Tier| has(tier) && need.allows(tier.cell_ms()) && reaches(tier);
        let cells = |tier: Tier| Ok(Resolution::Cells(tier.cell_ms()));
        // An instant selector at one time reads next to nothing.
        let one_time = need.step_ms.is_none() || need.first_ms == need.last_ms;
        if need.is_range || !one_time {
            for tier in [Tier::Hour, Tier::Minute] {
                if may(tier) && need.is_aligned(tier.cell_ms()) {
                    return cells(tier);
                }
            }
        }
        // Before anything that is kept there is nothing to be too coarse.
        if reaches(Tier::Raw) || need.last_ms < oldest {
            return Ok(Resolution::Samples);
        }
        match [Tier::Minute, Tier::Hour].into_iter().find(|tier| may(*tier)) {
            Some(tier) => cells(tier),
            None => Err(SourceError::Resolution(refusal(need, &kept))),
        }
    }

    /// The parts of a window from before what is kept as samples, each with the finest tier that tells of it.
    pub(crate) fn before_samples(&self, start_ms: i64, end_ms: i64) -> Vec<(Tier, i64, i64)> {
        if self.view().cells.is_empty() {
            return Vec::new();
        }
        let samples = self.oldest_ms(Tier::Raw).unwrap_or(i64::MAX);
        let minutes = self.oldest_ms(Tier::Minute).unwrap_or(samples);
        [
            (Tier::Hour, start_ms, end_ms.min(minutes)),
            (Tier::Minute, start_ms.max(minutes), end_ms.min(samples)),
        ]
        .into_iter()
        .filter(|(_, from, to)| from < to)
        .collect()
    }

    /// The time since when a tier has something.
    pub(crate) fn oldest_ms(&self, tier: Tier) -> Option<i64> {
        let view = self.view();
        let segment = view
            .segments
            .iter()
            .chain(&view.cells)
            .find(|segment| segment.key.0 == tier);
        let in_file = segment.map(|segment| {
            let index = self.index(segment).ok().flatten();
            let first = index
                .iter()
                .flat_map(|index| &index.groups)
                .map(|group| group.header.first_ms - i64::from(group.header.tier_ms));
            first.min().unwrap_or_else(|| segment.start_ms())
        });
        let in_memory = view
            .heads
            .iter()
            .filter(|_| tier == Tier::Raw)
            .filter_map(|head| head.body().times.first().copied())
            .min();
        [in_file, in_memory].into_iter().flatten().min()
    }
}

/// Says what is kept, what hinders, and how to ask.
fn refusal(need: &Need<'_>, kept: &[(Tier, i64)]) -> String {
    let kept_text: Vec<String> = kept
        .iter()
        .map(|(tier, since)| format!("{} since {}", tier.in_words(), utc(*since)))
        .collect();
    let mut text = format!("of the time asked for is kept: {}; ", kept_text.join(", "));
    match need.function {
        Some(function) if CellColumns::of_function(need.function).is_none() => text.push_str(&format!(
            "{function} needs samples: ask for a range that begins later, or use what cells answer ({EXACT})"
        )),
        _ => text.push_str(
            "the step and every range have to span two cells at least: ask for a larger step, or for a range that begins \
             later",
        ),
    }
    text
}

/// A time as people read it, to the minute.
fn utc(t_ms: i64) -> String {
    let minutes = t_ms.div_euclid(60_000);
    let (day, minute) = (minutes.div_euclid(1440), minutes.rem_euclid(1440));
    // Days since 0000-03-01, in eras of 400 years (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
    let shifted = day + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02} UTC",
        minute / 60,
        minute % 60
    )
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn times_are_written_as_people_read_them() {
        assert_eq!(utc(0), "1970-01-01 00:00 UTC");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00 UTC");
        assert_eq!(utc(1_795_258_800_000 + 59_999), "2026-11-21 11:00 UTC");
        assert_eq!(utc(-1), "1969-12-31 23:59 UTC");
    }
}
