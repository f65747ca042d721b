//! `queryType: "events"`: what happened, as annotations, a table or log lines.

use std::sync::Arc;

use podscope_fanout::{EventsRequest, FleetEvents};
use podscope_model::event::{EventFilter, MAX_EVENTS, StoredEvent};
use podscope_model::labels::Labels;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::run::{Answer, Asked};
use crate::error::QueryError;
use crate::frames::{Field, Frame, FrameType, Notice, Values};
use crate::instances::Instance;
use crate::request::RawQuery;

/// The type's name in a stored query.
pub const EVENTS: &str = "events";

/// What a panel gets that names no limit.
const DEFAULT_LIMIT: u32 = 1000;
/// Label names that are worth a tag of their own on an annotation, beside kind and severity.
const TAG_LABELS: [&str; 8] = [
    "instance",
    "cluster",
    "pod",
    "fabric",
    "scope",
    "job_id",
    "user",
    "alertname",
];

/// The form of the answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EventsFormat {
    #[default]
    Annotations,
    Table,
    Logs,
}

/// A checked events query.
#[derive(Clone, Debug, PartialEq)]
pub struct EventsModel {
    pub filter: EventFilter,
    pub format: EventsFormat,
    pub limit: u32,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Json {
    expr: Option<String>,
    format: Option<String>,
    limit: Option<Value>,
    query_type: Option<String>,
}

/// Whether a stored query asks for events.
pub fn is_events(raw: &RawQuery) -> bool {
    let named = |name: &str| name == EVENTS;
    match raw.query_type.as_str() {
        "" => serde_json::from_slice::<Json>(&raw.json)
            .ok()
            .and_then(|json| json.query_type)
            .is_some_and(|name| named(&name)),
        name => named(name),
    }
}

impl EventsModel {
    /// Reads one query. No selector means every event.
    ///
    /// # Errors
    /// A selector, format or limit that makes no sense.
    pub fn read(raw: &RawQuery) -> Result<Self, QueryError> {
        let json: Json = serde_json::from_slice::<Map<String, Value>>(&raw.json)
            .and_then(|object| serde_json::from_value(Value::Object(object)))
            .map_err(|error| QueryError::Model(error.to_string()))?;
        let filter = EventFilter::parse(json.expr.as_deref().unwrap_or_default())
            .map_err(|error| QueryError::Shape(error.to_string()))?;
        let format = match json.format.as_deref().unwrap_or_default() {
            "logs" => EventsFormat::Logs,
            "table" => EventsFormat::Table,
            // What a panel that was a time series before still carries.
            "" | "annotations" | "time_series" | "heatmap" => EventsFormat::Annotations,
            other => {
                return Err(QueryError::Field {
                    field: "format",
                    problem: format!("must be annotations, table or logs, it is {other:?}"),
                });
            }
        };
        let limit = match &json.limit {
            None | Some(Value::Null) => Some(DEFAULT_LIMIT),
            Some(Value::String(text)) if text.trim().is_empty() => Some(DEFAULT_LIMIT),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(value) => value.as_u64().and_then(|limit| u32::try_from(limit).ok()),
        };
        let limit = limit
            .filter(|limit| (1..=MAX_EVENTS).contains(limit))
            .ok_or_else(|| QueryError::Field {
                field: "limit",
                problem: format!(
                    "must be a whole number from 1 to {MAX_EVENTS}, it is {}",
                    json.limit.unwrap_or_default()
                ),
            })?;
        Ok(Self {
            filter,
            format,
            limit,
        })
    }
}

/// Runs one events query.
///
/// # Errors
/// See [`QueryError`].
pub(super) async fn run(
    instance: &Arc<Instance>,
    asked: &Asked,
    raw: &RawQuery,
) -> Result<Answer, QueryError> {
    let model = EventsModel::read(raw)?;
    if raw.to_ms < raw.from_ms {
        return Err(QueryError::TimeRange);
    }
    if asked.for_expression() {
        return Err(QueryError::Shape(
            "events are no numbers, and an alert or expression needs numbers: query the metric behind them, or \
             podscope_events_taken_total"
                .to_owned(),
        ));
    }
    let request = EventsRequest {
        filter: model.filter.clone(),
        start_ms: raw.from_ms,
        end_ms: raw.to_ms,
        limit: model.limit,
        stored_after_ms: None,
        user: asked.scope().cloned(),
    };
    let found = instance.fleet.events(request).await?;
    Ok(Answer::plain(vec![frame(found, &model, raw)]))
}

fn frame(found: FleetEvents, model: &EventsModel, raw: &RawQuery) -> Frame {
    let notices: Vec<Notice> = found
        .completeness
        .notice()
        .map(Notice::warning)
        .into_iter()
        .chain(found.truncated.then(|| {
            Notice::info(format!(
                "only the newest {} events are shown; narrow the selector or the time range to see the others",
                found.events.len()
            ))
        }))
        .collect();
    let mut frame = match model.format {
        EventsFormat::Annotations => annotations(&found.events, raw.to_ms),
        EventsFormat::Table => table(&found.events),
        EventsFormat::Logs => logs(&found.events),
    };
    frame.name = EVENTS.to_owned();
    frame.meta.notices = notices;
    frame.meta.executed = Some(model.filter.to_string());
    frame
}

fn texts(name: &str, events: &[StoredEvent], text: impl Fn(&StoredEvent) -> String) -> Field {
    Field::text(name, events.iter().map(text).collect())
}

fn time_of(name: &str, events: &[StoredEvent]) -> Field {
    let times: Vec<i64> = events.iter().map(|stored| stored.event.time_ms).collect();
    Field {
        name: name.to_owned(),
        ..Field::time(times)
    }
}

fn end_of(name: &str, events: &[StoredEvent], open_until: Option<i64>) -> Field {
    let ends = events.iter().map(|stored| match stored.event.open {
        true => open_until.map(|now| now.max(stored.event.time_ms)),
        false => stored.event.end_ms,
    });
    Field {
        values: Values::MaybeTime(ends.collect()),
        ..Field::text(name, Vec::new())
    }
}

/// Columns by the names Grafana's annotations look for. What is still open reaches to the end of the range.
fn annotations(events: &[StoredEvent], to_ms: i64) -> Frame {
    Frame::new(vec![
        time_of("time", events),
        end_of("timeEnd", events, Some(to_ms)),
        texts("title", events, |stored| stored.event.title.clone()),
        texts("text", events, |stored| stored.event.text.clone()),
        texts("tags", events, tags),
        texts("id", events, |stored| stored.id.to_string()),
    ])
}

/// Grafana splits them at commas.
fn tags(stored: &StoredEvent) -> String {
    let event = &stored.event;
    let mut tags = vec![
        event.kind.to_string(),
        event.severity.to_string(),
        event.source.clone(),
    ];
    tags.extend(
        TAG_LABELS
            .iter()
            .filter_map(|name| Some(format!("{name}={}", event.labels.get(name)?))),
    );
    if event.open {
        tags.push("open".to_owned());
    }
    let tags: Vec<String> = tags.into_iter().map(|tag| tag.replace(',', ";")).collect();
    tags.join(",")
}

fn table(events: &[StoredEvent]) -> Frame {
    let mut frame = Frame::new(vec![
        time_of("Time", events),
        end_of("End", events, None),
        texts("Kind", events, |stored| stored.event.kind.to_string()),
        texts("Severity", events, |stored| stored.event.severity.to_string()),
        texts("State", events, |stored| match stored.event.open {
            true => "open".to_owned(),
            false => String::new(),
        }),
        texts("Source", events, |stored| stored.event.source.clone()),
        texts("Node", events, |stored| {
            stored.event.labels.get("instance").unwrap_or_default().to_owned()
        }),
        texts("Title", events, |stored| stored.event.title.clone()),
        texts("Text", events, |stored| stored.event.text.clone()),
        texts("Labels", events, |stored| stored.event.labels.to_string()),
        texts("Id", events, |stored| stored.id.to_string()),
    ]);
    frame.meta.frame_type = Some(FrameType::Table);
    frame.meta.visualisation = Some("table");
    frame
}

/// Grafana's own shape of log lines.
fn logs(events: &[StoredEvent]) -> Frame {
    let body = |stored: &StoredEvent| match stored.event.text.is_empty() {
        true => stored.event.title.clone(),
        false => format!("{}\n{}", stored.event.title, stored.event.text),
    };
    let labels = events.iter().map(|stored| {
        let event = &stored.event;
        let fields = Labels::from_pairs([("kind", event.kind.as_str()), ("source", &event.source)]);
        serde_json::to_string(&event.labels.or(&fields)).unwrap_or_else(|_| "{}".to_owned())
    });
    let mut frame = Frame::new(vec![
        time_of("timestamp", events),
        texts("body", events, body),
        texts("severity", events, |stored| stored.event.severity.to_string()),
        // A later version is another line.
        texts("id", events, |stored| format!("{}-{}", stored.id, stored.version)),
        Field {
            values: Values::Json(labels.collect()),
            ..Field::text("labels", Vec::new())
        },
    ]);
    frame.meta.frame_type = Some(FrameType::LogLines);
    frame.meta.visualisation = Some("logs");
    frame
}

#[cfg(test)]
mod tests {
    use podscope_model::event::{Event, EventKind, Severity};

    use super::*;

    fn raw(json: &str) -> RawQuery {
        RawQuery {
            json: json.as_bytes().to_vec(),
            from_ms: 0,
            to_ms: 100_000,
            ..RawQuery::default()
        }
    }

    fn stored(event: Event) -> StoredEvent {
        StoredEvent {
            id: event.id(),
            version: 1,
            stored_ms: 0,
            event,
        }
    }

    fn found() -> FleetEvents {
        let incident = Event::new(EventKind::Incident, "cli", "SEV-1", 50_000)
            .still_open()
            .label("scope", "a,b");
        let change = Event::new(EventKind::Change, "vms", "prefetch on", 10_000)
            .severity(Severity::Warning)
            .text("by ops");
        FleetEvents {
            events: vec![stored(incident), stored(change)],
            truncated: true,
            completeness: Default::default(),
        }
    }

    fn of(format: &str) -> Frame {
        let raw = raw(&format!(
            r#"{{"queryType": "events", "expr": "{{}}", "format": "{format}"}}"#
        ));
        frame(found(), &EventsModel::read(&raw).expect("valid"), &raw)
    }

    fn column(frame: &Frame, name: &str) -> String {
        let field = frame.fields.iter().find(|field| field.name == name).expect(name);
        format!("{:?}", field.values)
    }

    #[test]
    fn annotations_have_the_columns_grafana_looks_for_and_what_is_open_reaches_to_the_end() {
        let frame = of("annotations");
        let names: Vec<&str> = frame.fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["time", "timeEnd", "title", "text", "tags", "id"]);
        assert_eq!(column(&frame, "timeEnd"), "MaybeTime([Some(100000), None])");
        assert_eq!(
            column(&frame, "tags"),
            r#"Text(["incident,info,cli,scope=a;b,open", "change,warning,vms"])"#
        );
        assert!(frame.meta.notices[0].text.contains("only the newest 2 events"));
    }

    #[test]
    fn log_lines_are_of_grafanas_own_type() {
        let frame = of("logs");
        assert_eq!(frame.meta.frame_type, Some(FrameType::LogLines));
        assert_eq!(
            column(&frame, "body"),
            r#"Text(["SEV-1", "prefetch on\nby ops"])"#
        );
        assert!(
            column(&frame, "labels")
                .contains(r#"{\"kind\":\"incident\",\"scope\":\"a,b\",\"source\":\"cli\"}"#)
        );
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let cases = [
            (r#"{"expr": "{kind}"}"#, "event selector, character 6"),
            (
                r#"{"format": "graph"}"#,
                "`format`: must be annotations, table or logs",
            ),
            (
                r#"{"limit": 0}"#,
                "`limit`: must be a whole number from 1 to 10000, it is 0",
            ),
            (r#"{"limit": "many"}"#, "`limit`"),
            ("[]", "reading the query"),
        ];
        for (json, message) in cases {
            let error = EventsModel::read(&raw(json)).expect_err(json).to_string();
            assert!(error.contains(message), "{error}");
        }
        let plain = EventsModel::read(&raw(r#"{"format": "time_series", "limit": "5"}"#)).expect("valid");
        assert_eq!((plain.format, plain.limit), (EventsFormat::Annotations, 5));
    }

    #[test]
    fn the_type_is_read_from_the_request_or_the_query() {
        assert!(is_events(&raw(r#"{"queryType": "events"}"#)));
        assert!(!is_events(&raw(r#"{"expr": "up"}"#)) && !is_events(&raw("[]")));
        let typed = RawQuery {
            query_type: "events".to_owned(),
            ..raw("{}")
        };
        assert!(is_events(&typed));
    }
}
