//! `/v1/events`: reading events, and the ways in.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use podscope_history::events::{EventStore, Taken};
use podscope_model::event::{Event, EventAnswer, EventFilter, EventId, EventQuery, StoredEvent};
use podscope_model::leaf::{AgentApi, ApiError, ApiErrorKind};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::api_error;
use super::leaf::{bad_body, json as answer_json};
use crate::events::input::{EventInputs, time_ms};
use crate::events::webhook::Webhook;
use crate::schedule::now_ms;
use crate::state::AgentState;

/// Events one request may bring.
const MAX_AT_ONCE: usize = 1000;
/// The range of a question that names none.
const DAY_MS: i64 = 86_400_000;

fn bad_data(message: impl Into<String>) -> ApiError {
    ApiError::new(ApiErrorKind::BadData, message)
}

/// `GET /v1/events?query=...&start=...&end=...&limit=...`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ListParams {
    query: String,
    start: Option<String>,
    end: Option<String>,
    limit: Option<u32>,
}

pub(super) async fn list(State(state): State<Arc<AgentState>>, Query(params): Query<ListParams>) -> Response {
    let query = match event_query(&params) {
        Ok(query) => query,
        Err(message) => return api_error(bad_data(message)),
    };
    answer_json(all_events(&state, query).await)
}

fn event_query(params: &ListParams) -> Result<EventQuery, String> {
    let filter = EventFilter::parse(&params.query).map_err(|error| error.to_string())?;
    let time = |field: &str, text: &Option<String>| {
        let given = text.as_ref().filter(|text| !text.is_empty());
        given
            .map(|text| time_ms(field, &Value::from(text.as_str())))
            .transpose()
    };
    let end_ms = time("end", &params.end)?.unwrap_or_else(now_ms);
    let start_ms = time("start", &params.start)?.unwrap_or(end_ms - DAY_MS);
    if end_ms < start_ms {
        return Err("the end lies before the start".to_owned());
    }
    let mut query = EventQuery::new(filter, start_ms, end_ms);
    query.limit = params.limit.unwrap_or(query.limit);
    Ok(query)
}

/// This agent's, and those of the nodes behind it where it is a hub.
async fn all_events(state: &Arc<AgentState>, query: EventQuery) -> Result<EventAnswer, ApiError> {
    match state.hub() {
        None => state.events(query).await,
        Some(hub) => hub.relay().events(query).await,
    }
}

pub(super) async fn search(
    State(state): State<Arc<AgentState>>,
    body: Result<Json<EventQuery>, JsonRejection>,
) -> Response {
    match body {
        Ok(Json(query)) => answer_json(all_events(&state, query).await),
        Err(rejection) => bad_body(&rejection),
    }
}

/// One event with all its versions.
pub(super) async fn one(State(state): State<Arc<AgentState>>, Path(id): Path<String>) -> Response {
    let id: EventId = match id.parse() {
        Ok(id) => id,
        Err(message) => return api_error(bad_data(message)),
    };
    let found = match store_of(&state) {
        Ok(store) => off_thread(move || store.versions(id)).await,
        Err(error) => return api_error(error),
    };
    match found {
        Ok(versions) => match versions.last() {
            Some(last) => Json(json!({ "event": last, "versions": versions })).into_response(),
            None => not_there(id),
        },
        Err(error) => api_error(error),
    }
}

fn not_there(id: EventId) -> Response {
    let error = bad_data(format!(
        "there is no event {id} here; it may lie on another agent, or be too old"
    ));
    (StatusCode::NOT_FOUND, Json(error)).into_response()
}

/// `POST /v1/events`: one event or a list. Everything is checked before anything is stored.
pub(super) async fn add(
    State(state): State<Arc<AgentState>>,
    body: Result<Json<EventInputs>, JsonRejection>,
) -> Response {
    let inputs = match body {
        Ok(Json(inputs)) => inputs.into_list(),
        Err(rejection) => return bad_body(&rejection),
    };
    let store = match store_of(&state) {
        Ok(store) => store,
        Err(error) => return api_error(error),
    };
    if inputs.is_empty() || inputs.len() > MAX_AT_ONCE {
        return api_error(bad_data(format!(
            "{} events in one request; send 1 to {MAX_AT_ONCE}",
            inputs.len()
        )));
    }
    let stored = off_thread(move || {
        let now = now_ms();
        let many = inputs.len() > 1;
        let mut checked: Vec<(Option<EventId>, Event)> = Vec::with_capacity(inputs.len());
        for (at, input) in inputs.into_iter().enumerate() {
            let place = |message: String| match many {
                true => format!("event {at}: {message}"),
                false => message,
            };
            let id = input.id;
            let known: Option<StoredEvent> = match id {
                Some(id) => match store.get(id)? {
                    Some(known) => Some(known),
                    None => return Ok(Err(place(format!("there is no event {id} here to change")))),
                },
                None => None,
            };
            match input.into_event(known.as_ref(), now) {
                Ok(event) => checked.push((id, event)),
                Err(message) => return Ok(Err(place(message))),
            }
        }
        let taken = checked.into_iter().map(|(id, event)| match id {
            Some(id) => store.put(id, event, now),
            None => store.add(event, now),
        });
        Ok(Ok(taken.collect::<Vec<Taken>>()))
    })
    .await;
    match stored {
        Ok(Ok(taken)) => results(&taken),
        Ok(Err(message)) => api_error(bad_data(message)),
        Err(error) => api_error(error),
    }
}

/// `POST /v1/events/alertmanager`.
pub(super) async fn alertmanager(
    State(state): State<Arc<AgentState>>,
    body: Result<Json<Webhook>, JsonRejection>,
) -> Response {
    let store = match store_of(&state) {
        Ok(store) => store,
        Err(error) => return api_error(error),
    };
    let webhook = match body {
        Ok(Json(webhook)) => webhook,
        Err(rejection) => return bad_body(&rejection),
    };
    let now = now_ms();
    let events = match webhook.events(now) {
        Ok(events) => events,
        Err(message) => return api_error(bad_data(message)),
    };
    let taken = off_thread(move || {
        let taken = events.into_iter().map(|event| store.add(event, now));
        Ok(taken.collect::<Vec<Taken>>())
    });
    match taken.await {
        Ok(taken) => results(&taken),
        Err(error) => api_error(error),
    }
}

/// What became of each event. 429 when a source sent too many: senders then try again later.
fn results(taken: &[Taken]) -> Response {
    let list: Vec<Value> = taken
        .iter()
        .map(|taken| match taken {
            Taken::Stored(id) => json!({ "id": id, "result": "stored" }),
            Taken::Updated(id) => json!({ "id": id, "result": "updated" }),
            Taken::Duplicate(id) => json!({ "id": id, "result": "duplicate" }),
            Taken::Dropped => json!({ "result": "dropped" }),
        })
        .collect();
    let status = match taken.contains(&Taken::Dropped) {
        true => StatusCode::TOO_MANY_REQUESTS,
        false => StatusCode::OK,
    };
    (status, Json(json!({ "events": list }))).into_response()
}

fn store_of(state: &AgentState) -> Result<Arc<EventStore>, ApiError> {
    state.event_store().ok_or_else(|| {
        ApiError::new(
            ApiErrorKind::Unreachable,
            "this agent keeps no events; ask or tell one that does",
        )
    })
}

/// Files are read and synced off the serving thread.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, podscope_model::source::SourceError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(|error| crate::api::of_source(&error)),
        Err(error) => Err(ApiError::new(ApiErrorKind::Internal, error.to_string())),
    }
}
