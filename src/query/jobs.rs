//! `queryType: "inventory"` with `what: "jobs"`: the jobs of the scheduler, as a table.

use std::sync::Arc;

use podscope_fanout::FleetJobs;
use podscope_model::jobs::{JobLine, JobsQuery, MAX_JOBS};
use podscope_model::sample::STALE;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::run::{Answer, Asked};
use crate::error::QueryError;
use crate::frames::{Field, FieldConfig, Frame, FrameType, Notice, Values};
use crate::instances::Instance;
use crate::request::RawQuery;

/// What a panel gets that names no limit.
const DEFAULT_LIMIT: u32 = 1000;

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Json {
    state: Option<String>,
    account: Option<String>,
    partition: Option<String>,
    user: Option<String>,
    node: Option<String>,
    job_id: Option<Value>,
    limit: Option<Value>,
}

/// A number, as a number or a text; empty is none.
fn number(field: &'static str, value: Option<&Value>) -> Result<Option<u64>, QueryError> {
    let found = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(value) => value.as_u64(),
    };
    found.map(Some).ok_or_else(|| QueryError::Field {
        field,
        problem: format!(
            "must be a whole number, it is {}",
            value.cloned().unwrap_or_default()
        ),
    })
}

/// Reads one query.
fn read(raw: &RawQuery) -> Result<JobsQuery, QueryError> {
    let json: Json = serde_json::from_slice::<Map<String, Value>>(&raw.json)
        .and_then(|object| serde_json::from_value(Value::Object(object)))
        .map_err(|error| QueryError::Model(error.to_string()))?;
    let limit = number("limit", json.limit.as_ref())?.unwrap_or(u64::from(DEFAULT_LIMIT));
    let limit = u32::try_from(limit)
        .ok()
        .filter(|limit| (1..=MAX_JOBS).contains(limit))
        .ok_or_else(|| QueryError::Field {
            field: "limit",
            problem: format!("must be a whole number from 1 to {MAX_JOBS}, it is {limit}"),
        })?;
    // What a variable set to "All" leaves behind means everything.
    let text = |value: Option<String>| match value.unwrap_or_default().trim() {
        "all" | "All" | ".*" | "$__all" => String::new(),
        text => text.to_owned(),
    };
    let states = text(json.state);
    let states = states.split([',', '|']).map(|state| state.trim().to_uppercase());
    Ok(JobsQuery {
        id: number("jobId", json.job_id.as_ref())?,
        states: states.filter(|state| !state.is_empty()).collect(),
        account: text(json.account),
        partition: text(json.partition),
        user: text(json.user),
        node: text(json.node),
        limit,
        ..JobsQuery::default()
    })
}

/// Runs one query for what there is.
///
/// # Errors
/// See [`QueryError`].
pub(super) async fn run(
    instance: &Arc<Instance>,
    asked: &Asked,
    raw: &RawQuery,
) -> Result<Answer, QueryError> {
    let mut query = read(raw)?;
    if asked.for_expression() {
        return Err(QueryError::Shape(
            "a table of jobs holds no series, and an alert or expression needs numbers: query slurm_queue_pending or \
             podscope_slurm_backlog_gpus"
                .to_owned(),
        ));
    }
    query.scope = asked.scope().cloned();
    let found = instance.fleet.jobs(query).await?;
    Ok(Answer::plain(vec![frame(found)]))
}

fn frame(found: FleetJobs) -> Frame {
    let mut notices: Vec<Notice> = found
        .completeness
        .notice()
        .map(Notice::warning)
        .into_iter()
        .collect();
    if found.answers.is_empty() {
        notices.push(Notice::info(
            "no agent asks a scheduler; set `slurm.url` in the configuration of a hub".to_owned(),
        ));
    }
    for answer in &found.answers {
        if let Some(error) = &answer.error {
            notices.push(Notice::warning(format!("{}: {error}", answer.instance)));
        }
        if answer.truncated {
            notices.push(Notice::info(format!(
                "only {} jobs are shown; narrow the query or raise its limit to see the others",
                answer.jobs.len()
            )));
        }
    }
    let jobs: Vec<JobLine> = found.answers.into_iter().flat_map(|answer| answer.jobs).collect();
    let mut frame = table(&jobs);
    frame.name = "jobs".to_owned();
    frame.meta.notices = notices;
    frame
}

fn table(jobs: &[JobLine]) -> Frame {
    let texts =
        |name: &str, text: &dyn Fn(&JobLine) -> String| Field::text(name, jobs.iter().map(text).collect());
    let times = |name: &str, time: &dyn Fn(&JobLine) -> Option<i64>| Field {
        values: Values::MaybeTime(jobs.iter().map(time).collect()),
        ..Field::text(name, Vec::new())
    };
    let numbers = |name: &str, number: &dyn Fn(&JobLine) -> Option<f64>| {
        let values: Vec<f64> = jobs.iter().map(|job| number(job).unwrap_or(STALE)).collect();
        Field::number(name, values)
    };
    let seconds = |name: &str, number: &dyn Fn(&JobLine) -> Option<f64>| Field {
        config: FieldConfig {
            unit: Some("s"),
            ..FieldConfig::default()
        },
        ..numbers(name, number)
    };
    let mut frame = Frame::new(vec![
        texts("Job", &|job| job.shown_id.clone()),
        texts("Name", &|job| job.name.clone()),
        texts("State", &|job| job.state.clone()),
        texts("Reason", &|job| job.reason.clone()),
        texts("Class", &|job| job.class.clone()),
        texts("User", &|job| job.user.clone()),
        texts("Account", &|job| job.account.clone()),
        texts("Partition", &|job| job.partition.clone()),
        numbers("GPUs", &|job| Some(job.gpus)),
        numbers("Tasks", &|job| Some(f64::from(job.tasks))),
        texts("Nodes", &|job| job.nodes.clone()),
        seconds("Waited", &|job| job.wait_seconds),
        times("Submitted", &|job| job.submit_ms),
        times("Started", &|job| job.start_ms),
        times("Ended", &|job| job.end_ms),
        seconds("Limit", &|job| job.limit_seconds.map(|limit| limit as f64)),
        numbers("Restarts", &|job| Some(f64::from(job.restarts))),
    ]);
    frame.meta.frame_type = Some(FrameType::Table);
    frame.meta.visualisation = Some("table");
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> RawQuery {
        RawQuery {
            json: json.as_bytes().to_vec(),
            ..RawQuery::default()
        }
    }

    #[test]
    fn variables_set_to_all_restrict_nothing() {
        let query = read(&raw(
            r#"{"queryType": "inventory", "what": "jobs", "state": "running|pending", "account": ".*", "partition": "All",
                "user": "ann", "jobId": "", "limit": "50"}"#,
        ))
        .expect("valid");
        assert_eq!(query.states, ["RUNNING", "PENDING"]);
        assert_eq!(
            (
                query.account.as_str(),
                query.partition.as_str(),
                query.user.as_str()
            ),
            ("", "", "ann")
        );
        assert_eq!((query.id, query.limit), (None, 50));
        assert_eq!(read(&raw(r#"{"jobId": "7"}"#)).expect("valid").id, Some(7));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (json, message) in [
            (r#"{"limit": 0}"#, "`limit`: must be a whole number from 1"),
            (r#"{"jobId": "seven"}"#, "`jobId`: must be a whole number"),
            ("[]", "reading the query"),
        ] {
            let error = read(&raw(json)).expect_err(json).to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn nobody_asking_a_scheduler_is_said() {
        let frame = frame(FleetJobs {
            answers: Vec::new(),
            completeness: Default::default(),
        });
        assert!(frame.meta.notices[0].text.contains("slurm.url"));
        assert_eq!(frame.fields[0].name, "Job");
    }
}
