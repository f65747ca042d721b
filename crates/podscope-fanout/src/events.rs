//! Events of many agents, merged by time.

use std::collections::BTreeMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use podscope_model::event::{EventAnswer, EventFilter, EventId, EventQuery, MAX_EVENTS, StoredEvent};
use podscope_model::leaf::{Behind, Route};
use podscope_model::scope::Scope;
use rustc_hash::{FxHashMap, FxHashSet};
use tokio::time::Instant;

use crate::answer::Completeness;
use crate::ask::{self, Answered, Gathered, Wanted};
use crate::error::FleetError;
use crate::fleet::{Fleet, Inner};
use crate::node::NO_LABELS;
use crate::route::Way;

/// Which events are wanted of the fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct EventsRequest {
    pub filter: EventFilter,
    pub start_ms: i64,
    pub end_ms: i64,
    /// The newest so many, over all agents; 1 to [`MAX_EVENTS`].
    pub limit: u32,
    /// Only versions that an agent took after this instant.
    pub stored_after_ms: Option<i64>,
    pub user: Option<Scope>,
}

/// The newest events that match, newest first. What two agents have (a webhook sent to both of a pair) is there once, as
/// the one that was changed last has it.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetEvents {
    pub events: Vec<StoredEvent>,
    /// There are more than the limit; the older ones are left out.
    pub truncated: bool,
    pub completeness: Completeness,
}

impl Fleet {
    /// Asks every agent for its events.
    ///
    /// # Errors
    /// No targets, no answer at all, or a question an agent refuses.
    pub async fn events(&self, request: EventsRequest) -> Result<FleetEvents, FleetError> {
        if self.inner.nodes().is_empty() {
            return Err(FleetError::NoTargets);
        }
        let limit = request.limit.clamp(1, MAX_EVENTS);
        let Gathered {
            kept, completeness, ..
        } = self.inner.events_of(request, NO_LABELS).await?;
        let mut truncated = false;
        let mut lists = Vec::with_capacity(kept.len());
        for (_, answer) in kept {
            truncated |= answer.truncated;
            lists.push(answer.events);
        }
        let (events, cut) = merge(lists, limit as usize);
        Ok(FleetEvents {
            events,
            truncated: truncated || cut,
            completeness,
        })
    }
}

impl Answered for EventAnswer {
    fn leaf_id(&self) -> &str {
        &self.leaf_id
    }

    /// Events that are reached twice are recognised by their ids.
    fn behind(&self) -> Option<&Behind> {
        None
    }
}

impl Inner {
    /// Asks everybody for events.
    pub(crate) async fn events_of(
        self: &Arc<Self>,
        request: EventsRequest,
        outer: &BTreeMap<String, String>,
    ) -> Result<Gathered<EventAnswer>, FleetError> {
        let deadline = Instant::now() + self.config.timeout;
        let gate = Arc::clone(&self.gate);
        let limit = request.limit.clamp(1, MAX_EVENTS);
        let timeout_ms = self.timeout_ms();
        let given = outer.clone();
        let job = move |way: Way| {
            let gate = Arc::clone(&gate);
            let query = EventQuery {
                filter: request.filter.clone(),
                start_ms: request.start_ms,
                end_ms: request.end_ms,
                limit,
                stored_after_ms: request.stored_after_ms,
                target: way.node.target(&given),
                user: request.user.clone(),
                timeout_ms,
            };
            async move {
                let answer = way
                    .node
                    .ask(&gate, deadline, |leaf| leaf.events(query))
                    .await?
                    .value;
                way.node.check_identity(&answer.instance, &answer.leaf_id)?;
                Ok(answer)
            }
        };
        let everybody = Route::default();
        let wanted = Wanted {
            // All of them, whatever the selector says of `instance`: an event may bring one of its own, as an alert about a
            // node does that a hub was told of.
            parts: vec![&[]],
            outer,
            route: &everybody,
            done: FxHashSet::default(),
        };
        let gathered = ask::gather(self, &wanted, deadline, job, ask::refusals)
            .await
            .map_err(|(node, error)| FleetError::Leaf {
                instance: node.instance(),
                url: node.spec.url.clone(),
                error,
            })?;
        if gathered.completeness.answered == 0 && gathered.completeness.expected > 0 {
            return Err(FleetError::NoneAnswered(gathered.completeness));
        }
        Ok(gathered)
    }
}

/// Newest first, each id once; answers whether the limit cut something off.
pub(crate) fn merge(lists: Vec<Vec<StoredEvent>>, limit: usize) -> (Vec<StoredEvent>, bool) {
    let mut by_id: FxHashMap<EventId, StoredEvent> = FxHashMap::default();
    for stored in lists.into_iter().flatten() {
        match by_id.entry(stored.id) {
            Entry::Vacant(place) => {
                place.insert(stored);
            }
            Entry::Occupied(mut there) => {
                if (stored.version, stored.stored_ms) > (there.get().version, there.get().stored_ms) {
                    there.insert(stored);
                }
            }
        }
    }
    let mut events: Vec<StoredEvent> = by_id.into_values().collect();
    events.sort_unstable_by_key(|stored| std::cmp::Reverse((stored.event.time_ms, stored.id)));
    let cut = events.len() > limit;
    events.truncate(limit);
    (events, cut)
}

#[cfg(test)]
mod tests {
    use podscope_model::event::{Event, EventKind};

    use super::*;

    fn stored(time_ms: i64, version: u32) -> StoredEvent {
        let event = Event::new(EventKind::Alarm, "test", format!("version {version}"), time_ms).key("k");
        StoredEvent {
            id: event.id(),
            version,
            stored_ms: 0,
            event,
        }
    }

    #[test]
    fn what_two_agents_have_is_there_once_as_it_was_last() {
        let lists = vec![
            vec![stored(3, 1), stored(1, 2)],
            vec![stored(2, 1), stored(1, 1)],
            Vec::new(),
        ];
        let (events, cut) = merge(lists.clone(), 10);
        let seen: Vec<(i64, u32)> = events
            .iter()
            .map(|one| (one.event.time_ms, one.version))
            .collect();
        assert_eq!((seen, cut), (vec![(3, 1), (2, 1), (1, 2)], false));
        let (events, cut) = merge(lists, 2);
        assert_eq!((events.len(), cut), (2, true));
    }
}
