//! What is removed, and when: by age, by size, by free space. Removing is one unlink per hour.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use crate::segment::Segment;
use crate::store::History;
use crate::tier::{Key, Tier};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// The time by which age is judged. A clock that jumps forward (a bad time server, a dead battery) must not make
/// everything old at once: a jump of more than an hour is believed only after it has lasted a day.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    believed: Option<(i64, Instant)>,
    jumped: Option<Instant>,
}

impl Clock {
    pub(crate) fn observe(&mut self, now_ms: i64, newest_ms: Option<i64>) {
        self.observe_at(now_ms, newest_ms, Instant::now());
    }

    fn observe_at(&mut self, now_ms: i64, newest_ms: Option<i64>, at: Instant) {
        let expected = match self.believed {
            Some((believed, since)) => {
                let passed = i64::try_from(at.saturating_duration_since(since).as_millis()).unwrap_or(0);
                believed.saturating_add(passed)
            }
            // Just started: the machine may have been off for a while.
            None => newest_ms.map_or(now_ms, |newest| newest.saturating_add(DAY)),
        };
        let slack = if self.believed.is_some() { HOUR } else { 0 };
        if now_ms <= expected.saturating_add(slack) {
            self.believed = Some((now_ms, at));
            self.jumped = None;
            return;
        }
        let since = *self.jumped.get_or_insert(at);
        if at.saturating_duration_since(since).as_secs() >= 24 * 3600 {
            self.believed = Some((now_ms, at));
            self.jumped = None;
        } else if self.believed.is_none() {
            self.believed = Some((expected, at));
        }
    }

    pub(crate) fn now_ms(&self) -> Option<i64> {
        self.believed.map(|(believed, since)| {
            believed.saturating_add(i64::try_from(since.elapsed().as_millis()).unwrap_or(0))
        })
    }
}

impl History {
    /// Removes segments that are too old, and the oldest ones above the size that is allowed with `coming` bytes more.
    pub(crate) fn retain(&self, clock: &Clock, coming: u64) {
        let now_ms = clock.now_ms();
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut gone: Vec<Arc<Segment>> = Vec::new();
        for tier in Tier::ALL {
            let limits = self.options.limits(tier);
            let max_age = i64::try_from(limits.max_age.as_millis()).unwrap_or(i64::MAX);
            let horizon = now_ms.map_or(i64::MIN, |now| now.saturating_sub(max_age));
            let coming = if tier == Tier::Raw { coming } else { 0 };
            let segments: Vec<Arc<Segment>> = writer.of_tier(tier).cloned().collect();
            let mut total: u64 = segments.iter().map(|segment| segment.len).sum::<u64>() + coming;
            for (at, segment) in segments.iter().enumerate() {
                // The newest one stays: it is being written.
                let last = at + 1 == segments.len();
                if segment.end_ms() > horizon && (total <= limits.max_bytes || last) {
                    break;
                }
                total -= segment.len;
                gone.extend(writer.segments.remove(&segment.key));
            }
        }
        if gone.is_empty() {
            return;
        }
        self.publish(&writer);
        drop(writer);
        self.remove(&gone);
    }

    fn remove(&self, gone: &[Arc<Segment>]) {
        for segment in gone {
            match self.io.remove(&segment.path) {
                Ok(()) => tracing::debug!(path = %segment.path.display(), "removed an old segment"),
                Err(error) => {
                    tracing::warn!(path = %segment.path.display(), %error, "cannot remove an old segment");
                }
            }
        }
        self.forget_series();
    }

    /// Near the free-space floor the history stops growing: it removes as much as it is about to write.
    pub(crate) fn make_room(&self, clock: &Clock, coming: u64) {
        self.retain(clock, coming);
        let free = match self.io.free_bytes(&self.options.dir) {
            Ok(free) => free,
            Err(error) => {
                tracing::debug!(%error, "cannot tell how much space is free");
                return;
            }
        };
        if free >= self.options.free_space_floor {
            return;
        }
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut freed, mut gone) = (0, Vec::new());
        // Raw samples go first: there are the most of them, and cells tell what they were like.
        let mut oldest: Vec<Key> = Vec::new();
        for tier in Tier::ALL {
            let keys = writer.of_tier(tier).map(|segment| segment.key);
            oldest.extend(keys.rev().skip(1).collect::<Vec<_>>().into_iter().rev());
        }
        for key in oldest {
            if freed >= coming {
                break;
            }
            let Some(segment) = writer.segments.remove(&key) else {
                continue;
            };
            freed += segment.len;
            gone.push(segment);
        }
        if gone.is_empty() {
            return;
        }
        tracing::warn!(
            free,
            floor = self.options.free_space_floor,
            removed = freed,
            "little space is left on the disk"
        );
        self.publish(&writer);
        drop(writer);
        self.remove(&gone);
    }

    /// Drops the labels of series that are in no segment looked into and in no open chunk.
    fn forget_series(&self) {
        // Under the writer's lock no row can bring a series back between the look and the removal.
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let _naming = self.naming.write().unwrap_or_else(PoisonError::into_inner);
        let view = writer.view();
        let mut used = rustc_hash::FxHashSet::default();
        for index in view
            .segments
            .iter()
            .chain(&view.cells)
            .filter_map(|segment| segment.loaded())
        {
            for known in index.streams.iter().flatten() {
                used.extend(known.columns.iter().copied());
            }
        }
        for head in &view.heads {
            used.extend(head.body().columns.iter().map(|column| column.series));
        }
        used.extend(writer.mapped());
        let mut catalog = self.catalog().write().unwrap_or_else(PoisonError::into_inner);
        catalog.retain(|id| used.contains(&id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_clock_that_jumps_a_year_ahead_is_not_believed_at_once() {
        let (mut clock, start) = (Clock::default(), Instant::now());
        let believed = |clock: &Clock| clock.believed.expect("observed").0;
        clock.observe_at(1_000 * DAY, Some(1_000 * DAY), start);
        clock.observe_at(1_365 * DAY, None, start + Duration::from_secs(60));
        assert_eq!(believed(&clock), 1_000 * DAY);
        // Back to normal: believed again.
        clock.observe_at(1_000 * DAY + 120_000, None, start + Duration::from_secs(120));
        assert_eq!(believed(&clock), 1_000 * DAY + 120_000);
        // A jump that lasts is the truth.
        clock.observe_at(1_030 * DAY, None, start + Duration::from_secs(180));
        clock.observe_at(1_031 * DAY, None, start + Duration::from_secs(180 + 24 * 3600));
        assert_eq!(believed(&clock), 1_031 * DAY);
    }

    #[test]
    fn after_a_start_the_newest_row_bounds_the_clock() {
        let (mut clock, start) = (Clock::default(), Instant::now());
        clock.observe_at(2_000 * DAY, Some(1_000 * DAY), start);
        assert_eq!(clock.believed.expect("observed").0, 1_001 * DAY);
    }
}
