//! Events and alarms of the cluster. VMS keeps them; what was read of them is kept too, and only what is new is asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use podscope_model::event::{Event, EventId, StoredEvent};
use podscope_model::labels::Labels;
use podscope_vms::{VmsClient, VmsError};

use super::kept::locked;
use super::objects::Lists;

const OFTEN: Duration = Duration::from_secs(30);
/// After a failure nothing is asked for so long.
const PAUSE: Duration = Duration::from_secs(10);
/// The past that is read, and the events that are kept of it.
const MAX_PAST_MS: i64 = 7 * 86_400_000;
const MAX_EVENTS: usize = 20_000;

#[derive(Debug, Default)]
struct State {
    events: BTreeMap<EventId, StoredEvent>,
    covered: Option<(i64, i64)>,
    read: Option<Instant>,
    failed: Option<(Instant, VmsError)>,
}

/// The events of one server.
#[derive(Debug, Default)]
pub(super) struct Events {
    gate: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

impl Events {
    /// The parts of time that must be read for a question.
    fn missing(&self, from_ms: i64, now_ms: i64) -> Vec<(i64, i64)> {
        let state = locked(&self.state);
        if state.failed.as_ref().is_some_and(|(at, _)| at.elapsed() < PAUSE) {
            return Vec::new();
        }
        let from_ms = from_ms.max(now_ms - MAX_PAST_MS);
        match state.covered {
            None => vec![(from_ms, now_ms)],
            Some((first, last)) => {
                let before = (from_ms < first).then_some((from_ms, first));
                let due = state.read.is_none_or(|at| at.elapsed() >= OFTEN);
                // A minute again: events come late.
                let after = due.then_some((last - 60_000, now_ms));
                before.into_iter().chain(after).collect()
            }
        }
    }

    /// What happened from `from_ms` on, and what is wrong now; with the last failure.
    pub(super) async fn read(
        self: &Arc<Self>,
        client: &Arc<VmsClient>,
        lists: &Lists,
        from_ms: i64,
        patience: Duration,
    ) -> (Vec<StoredEvent>, Option<VmsError>) {
        if !self.missing(from_ms, client.now_ms()).is_empty() {
            let (own, asking) = (Arc::clone(self), Arc::clone(client));
            let reading = tokio::spawn(async move {
                let _one = own.gate.lock().await;
                let now_ms = asking.now_ms();
                for (from, to) in own.missing(from_ms, now_ms) {
                    let answer = asking.events(from, to).await;
                    own.take(answer, from, to);
                }
            });
            // Late: what is known is answered.
            let _late = tokio::time::timeout(patience, reading).await.is_err();
        }
        let alarms = lists.alarms(client, patience).await;
        let open = alarms
            .value
            .iter()
            .flat_map(|list| list.iter())
            .map(|event| stored(event.clone(), event.time_ms));
        let state = locked(&self.state);
        let error = state
            .failed
            .as_ref()
            .map(|(_, error)| error.clone())
            .or(alarms.error);
        (state.events.values().cloned().chain(open).collect(), error)
    }

    fn take(&self, answer: Result<Vec<Event>, VmsError>, from_ms: i64, to_ms: i64) {
        let mut state = locked(&self.state);
        match answer {
            Err(error) => state.failed = Some((Instant::now(), error)),
            Ok(events) => {
                for event in events {
                    let id = event.id();
                    state.events.entry(id).or_insert_with(|| stored(event, to_ms));
                }
                let covered = state.covered.unwrap_or((from_ms, to_ms));
                state.covered = Some((covered.0.min(from_ms), covered.1.max(to_ms)));
                state.read = Some(Instant::now());
                state.failed = None;
                if state.events.len() > MAX_EVENTS {
                    let mut times: Vec<i64> =
                        state.events.values().map(|stored| stored.event.time_ms).collect();
                    times.sort_unstable();
                    let oldest = times[times.len() - MAX_EVENTS];
                    state.events.retain(|_, stored| stored.event.time_ms >= oldest);
                }
            }
        }
    }
}

fn stored(event: Event, stored_ms: i64) -> StoredEvent {
    StoredEvent {
        id: event.id(),
        version: 1,
        stored_ms,
        event,
    }
}

/// The event with the labels of its server.
pub(super) fn labelled(mut stored: StoredEvent, labels: &Labels) -> StoredEvent {
    stored.event.labels = stored.event.labels.or(labels);
    stored
}
