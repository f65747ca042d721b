//! Events of this node: the store while the agent runs, the door for collectors, and the forms others send events in.

pub(crate) mod input;
pub(crate) mod keeper;
pub(crate) mod webhook;

use std::sync::{Arc, Mutex, OnceLock};

use podscope_history::events::{EventSearch, EventStore, Taken};
use podscope_model::event::{Event, EventAnswer, EventFilter, EventQuery, EventSink, MAX_EVENTS};
use podscope_model::labels::Labels;
use podscope_model::source::Budget;

use crate::api::of_source;
use crate::schedule::now_ms;
use crate::state::AgentState;
use podscope_model::leaf::ApiError;

/// Events that arrive before the store is open are kept up to this number.
const MAX_EARLY: usize = 1000;

/// Where collectors put events. It exists before the store does: what comes early is handed over later.
#[derive(Debug, Default)]
pub struct Inbox {
    store: OnceLock<Arc<EventStore>>,
    early: Mutex<Vec<Event>>,
}

impl Inbox {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// From now on events go there.
    pub fn attach(&self, store: &Arc<EventStore>) {
        // Only the first store counts: an inbox belongs to one agent.
        drop(self.store.set(Arc::clone(store)));
        let early = std::mem::take(&mut *crate::stream::lock(&self.early));
        for event in early {
            self.emit(event);
        }
    }
}

impl Inbox {
    /// When the open incident began; of several the oldest.
    pub fn open_incident_ms(&self, now_ms: i64) -> Option<i64> {
        let store = self.store.get()?;
        let filter = EventFilter::parse("{kind=\"incident\"}").ok()?;
        let search = EventSearch {
            filter: &filter,
            node: &Labels::empty(),
            start_ms: now_ms,
            end_ms: now_ms,
            limit: 100,
            stored_after_ms: None,
            user: None,
        };
        let found = store.search(&search, &Budget::unlimited()).ok()?;
        let open = found.events.iter().filter(|stored| stored.event.open);
        open.map(|stored| stored.event.time_ms).min()
    }
}

impl EventSink for Inbox {
    fn emit(&self, event: Event) {
        match self.store.get() {
            Some(store) => {
                if store.add(event.clamped(), now_ms()) == Taken::Dropped {
                    tracing::debug!("an event was dropped: its source reports too many");
                }
            }
            None => {
                let mut early = crate::stream::lock(&self.early);
                if early.len() < MAX_EARLY {
                    early.push(event);
                }
            }
        }
    }
}

impl AgentState {
    /// The events that match, with this node's labels on them. An agent without a store has none.
    pub(crate) fn find_events(
        &self,
        query: &EventQuery,
        node: &Labels,
        budget: &Budget,
    ) -> Result<EventAnswer, ApiError> {
        let found = match self.event_store() {
            None => Default::default(),
            Some(store) => {
                let search = EventSearch {
                    filter: &query.filter,
                    node,
                    start_ms: query.start_ms,
                    end_ms: query.end_ms,
                    limit: query.limit.min(MAX_EVENTS) as usize,
                    stored_after_ms: query.stored_after_ms,
                    user: query.user.as_ref(),
                };
                store.search(&search, budget).map_err(|error| of_source(&error))?
            }
        };
        let mut events = found.events;
        for stored in &mut events {
            stored.event.labels = stored.event.labels.or(node);
        }
        Ok(EventAnswer {
            leaf_id: self.history().leaf_id().to_owned(),
            instance: self.instance().to_owned(),
            events,
            truncated: found.truncated,
            now_ms: now_ms(),
        })
    }
}
