//! The resolutions in which the history is kept, and the files each of them lies in.

const MINUTE_MS: i64 = 60_000;
pub(crate) const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(crate) const DAY_MS: i64 = 24 * HOUR_MS;

/// One resolution. A file holds one *slot*: the times with `slot * span < t <= (slot + 1) * span`. Slots are open on the
/// left like PromQL's windows, so that a window of whole cells is made of whole cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Tier {
    /// Samples as they were taken; an hour in a file.
    Raw,
    /// Cells of a minute; a day in a file.
    Minute,
    /// Cells of an hour; thirty days in a file.
    Hour,
}

impl Tier {
    pub(crate) const ALL: [Self; 3] = [Self::Raw, Self::Minute, Self::Hour];

    fn prefix(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Minute => "min",
            Self::Hour => "hour",
        }
    }

    /// The span of a cell; 0: samples.
    pub(crate) fn cell_ms(self) -> i64 {
        match self {
            Self::Raw => 0,
            Self::Minute => MINUTE_MS,
            Self::Hour => HOUR_MS,
        }
    }

    /// What it holds, in words.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Raw => "samples",
            Self::Minute => "cells of a minute",
            Self::Hour => "cells of an hour",
        }
    }

    /// Its number in a file's header.
    pub(crate) fn number(self) -> u16 {
        self as u16
    }

    /// The span of one file.
    pub(crate) fn span_ms(self) -> i64 {
        match self {
            Self::Raw => HOUR_MS,
            Self::Minute => DAY_MS,
            Self::Hour => 30 * DAY_MS,
        }
    }

    /// The slot a time lies in.
    pub(crate) fn slot_of(self, t_ms: i64) -> i64 {
        t_ms.saturating_sub(1).div_euclid(self.span_ms())
    }

    /// Name of the file of a slot. The slots sort by their numbers, not by these texts.
    pub(crate) fn file_name(self, slot: i64) -> String {
        format!(
            "{}-{}.seg",
            self.prefix(),
            slot.saturating_mul(self.span_ms() / 1000)
        )
    }
}

/// A file's place: its tier and its slot.
pub(crate) type Key = (Tier, i64);

/// What a file name stands for.
pub(crate) fn parse_name(name: &str) -> Option<Key> {
    let (prefix, rest) = name.split_once('-')?;
    let tier = Tier::ALL.into_iter().find(|tier| tier.prefix() == prefix)?;
    let seconds: i64 = rest.strip_suffix(".seg")?.parse().ok()?;
    let span = tier.span_ms() / 1000;
    (seconds % span == 0).then_some((tier, seconds / span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_open_on_the_left_and_closed_on_the_right() {
        assert_eq!(Tier::Raw.slot_of(HOUR_MS), 0);
        assert_eq!(Tier::Raw.slot_of(HOUR_MS + 1), 1);
        assert_eq!(Tier::Raw.slot_of(0), -1);
        assert_eq!(Tier::Minute.slot_of(DAY_MS), 0);
    }

    #[test]
    fn names_are_read_back() {
        for tier in Tier::ALL {
            for slot in [-3, 0, 7, 490_000] {
                assert_eq!(parse_name(&tier.file_name(slot)), Some((tier, slot)));
            }
        }
        assert_eq!(Tier::Raw.file_name(2), "raw-7200.seg");
        for name in [
            "raw-7201.seg",
            "raw-7200.tmp",
            "x-7200.seg",
            "raw-.seg",
            "raw-1e3.seg",
        ] {
            assert_eq!(parse_name(name), None, "{name}");
        }
    }
}
