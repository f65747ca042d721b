//! Finding events: by time, labels and words, the newest first.

use std::sync::Arc;

use podscope_model::event::{EventFilter, EventId, StoredEvent};
use podscope_model::labels::Labels;
use podscope_model::scope::Scope;
use podscope_model::source::{Budget, SourceError};

use super::file;
use super::store::{EventStore, Place};
use crate::io::read_file;

/// What is wanted.
#[derive(Clone, Copy, Debug)]
pub struct EventSearch<'a> {
    pub filter: &'a EventFilter,
    /// Labels of the node, which every event has beside its own.
    pub node: &'a Labels,
    /// Events that cover any instant of `start_ms..=end_ms`.
    pub start_ms: i64,
    pub end_ms: i64,
    pub limit: usize,
    /// Only versions taken after this.
    pub stored_after_ms: Option<i64>,
    /// Only events whose `user` label is this person's.
    pub user: Option<&'a Scope>,
}

/// Newest first; of equal times the one with the larger id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FoundEvents {
    pub events: Vec<StoredEvent>,
    /// There are more than the limit; the older ones are left out.
    pub truncated: bool,
}

impl EventSearch<'_> {
    fn accepts(&self, stored: &StoredEvent) -> bool {
        let mine = |scope: &&Scope| scope.is_named(stored.event.labels.get("user").unwrap_or(""));
        self.user.as_ref().is_none_or(mine) && self.filter.accepts(&stored.event, self.node)
    }

    fn in_time(&self, head: &file::Head) -> bool {
        head.time_ms <= self.end_ms
            && head.last_ms >= self.start_ms
            && self.stored_after_ms.is_none_or(|after| head.stored_ms > after)
    }
}

fn newest_first(events: &mut [StoredEvent]) {
    events.sort_by_key(|stored| std::cmp::Reverse((stored.event.time_ms, stored.id)));
}

impl EventStore {
    /// The newest events that match, as they are now: the last version of each.
    ///
    /// # Errors
    /// A limit of the budget, or a file that cannot be read.
    pub fn search(&self, search: &EventSearch<'_>, budget: &Budget) -> Result<FoundEvents, SourceError> {
        let (unsaved, mut files) = self.snapshot();
        let wanted = |stored: &StoredEvent| search.in_time(&file::Head::of(stored)) && search.accepts(stored);
        let mut found: Vec<StoredEvent> = unsaved.into_iter().filter(|stored| wanted(stored)).collect();
        files.retain(|file| file.first_ms <= search.end_ms && file.last_ms >= search.start_ms);
        files.sort_by_key(|file| std::cmp::Reverse(file.newest_ms));
        for info in files {
            budget.check()?;
            // Whatever it holds is older than what was found already.
            let oldest = found.get(search.limit).map(|stored| stored.event.time_ms);
            if oldest.is_some_and(|oldest| info.newest_ms < oldest) {
                break;
            }
            let Some(bytes) = self.bytes_of(info.number, info.length)? else {
                continue;
            };
            let mut here: Vec<(Place, StoredEvent)> = Vec::new();
            for record in file::records(&bytes).into_iter().flatten() {
                if !search.in_time(&record.head) {
                    continue;
                }
                let Some(stored) = record.event() else { continue };
                budget.take_samples(1)?;
                if search.accepts(&stored) {
                    let place = Place {
                        file: info.number,
                        offset: record.offset,
                    };
                    here.push((place, stored));
                }
            }
            self.keep_current(&mut here);
            found.extend(here.into_iter().map(|(_, stored)| stored));
            newest_first(&mut found);
            // One more than wanted stays, to know that there are more.
            found.truncate(search.limit.saturating_add(1));
        }
        newest_first(&mut found);
        found.dedup_by_key(|stored| stored.id);
        let truncated = found.len() > search.limit;
        found.truncate(search.limit);
        Ok(FoundEvents {
            events: found,
            truncated,
        })
    }

    /// One event as it is now.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn get(&self, id: EventId) -> Result<Option<StoredEvent>, SourceError> {
        Ok(self.versions(id)?.pop())
    }

    /// Every version of an event that is still kept, oldest first.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn versions(&self, id: EventId) -> Result<Vec<StoredEvent>, SourceError> {
        let (unsaved, files) = self.snapshot();
        let mut found: Vec<StoredEvent> = unsaved.into_iter().filter(|stored| stored.id == id).collect();
        if found.is_empty() && !self.knows(id) {
            return Ok(found);
        }
        for info in files {
            let Some(bytes) = self.bytes_of(info.number, info.length)? else {
                continue;
            };
            let here = file::records(&bytes).into_iter().flatten();
            found.extend(
                here.filter(|record| record.head.id == id)
                    .filter_map(|record| record.event()),
            );
        }
        found.sort_by_key(|stored| (stored.version, stored.stored_ms));
        // An event that retention carried over is there twice.
        found.dedup();
        Ok(found)
    }

    /// The first `length` bytes of a file; `None` when retention has just removed it.
    pub(super) fn bytes_of(&self, number: u64, length: u64) -> Result<Option<Arc<[u8]>>, SourceError> {
        let path = self.options.dir.join(file::name_of(number));
        match read_file(self.io.as_ref(), &path) {
            Ok(mut bytes) => {
                bytes.truncate(usize::try_from(length).unwrap_or(usize::MAX));
                Ok(Some(bytes.into()))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SourceError::Read {
                place: path.display().to_string(),
                reason: error.to_string(),
            }),
        }
    }
}
