//! `queryType: "inventory"`: what is there now, as a table. `what` says of what: `flows`, which client reaches which view of a
//! VAST cluster through which address and front end, as which user; `jobs`, the scheduler's ([`super::jobs`]).

use std::sync::Arc;

use serde::Deserialize;

use super::run::{Answer, Asked};
use crate::error::QueryError;
use crate::frames::{Field, Frame, FrameType, Notice};
use crate::instances::Instance;
use crate::request::RawQuery;

/// The type's name in a stored query.
pub const INVENTORY: &str = "inventory";
const FLOWS: &str = "flows";
const JOBS: &str = "jobs";

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Json {
    what: Option<String>,
    query_type: Option<String>,
}

fn read(raw: &RawQuery) -> Json {
    serde_json::from_slice(&raw.json).unwrap_or_default()
}

/// Whether a stored query asks for an inventory.
pub fn is_inventory(raw: &RawQuery) -> bool {
    match raw.query_type.as_str() {
        "" => read(raw).query_type.as_deref() == Some(INVENTORY),
        name => name == INVENTORY,
    }
}

/// Runs one inventory query.
///
/// # Errors
/// See [`QueryError`].
pub(super) async fn run(
    instance: &Arc<Instance>,
    asked: &Asked,
    raw: &RawQuery,
) -> Result<Answer, QueryError> {
    match read(raw).what.as_deref().unwrap_or(FLOWS) {
        FLOWS => {}
        JOBS => return super::jobs::run(instance, asked, raw).await,
        other => {
            return Err(QueryError::Field {
                field: "what",
                problem: format!("must be {FLOWS:?} or {JOBS:?}, it is {other:?}"),
            });
        }
    }
    let servers = &instance.sources.vast;
    if servers.is_empty() {
        return Err(QueryError::Shape(
            "flows are told by a VAST cluster's management server, and the data source names none".to_owned(),
        ));
    }
    if asked.scope().is_some() {
        return Err(QueryError::VastScope(servers[0].settings.name.clone()));
    }
    let answers = servers
        .iter()
        .map(|server| async move { (server, server.flows().await) });
    let mut columns: [Vec<String>; 6] = Default::default();
    let mut notices = Vec::new();
    let mut failed = None;
    let answers = futures_util::future::join_all(answers).await;
    let all = answers.len();
    for (server, answer) in answers {
        let name = &server.settings.name;
        match answer {
            Ok(flows) => {
                for flow in flows.iter() {
                    let texts = [
                        flow.host.clone(),
                        flow.vip.join(", "),
                        flow.cnode.join(", "),
                        flow.view.join(", "),
                        flow.user.join(", "),
                        name.clone(),
                    ];
                    for (column, text) in columns.iter_mut().zip(texts) {
                        column.push(text);
                    }
                }
            }
            Err(error) => {
                notices.push(Notice::warning(format!("the VAST server {name:?} {error}")));
                failed = Some((name.clone(), error));
            }
        }
    }
    if let Some((name, error)) = failed
        && notices.len() == all
    {
        return Err(QueryError::Vast { name, error });
    }
    let names = ["Host", "Address", "CNode", "View", "User", "Cluster"];
    let fields = names
        .into_iter()
        .zip(columns)
        .map(|(name, texts)| Field::text(name, texts));
    let mut frame = Frame::new(fields.collect());
    frame.name = INVENTORY.to_owned();
    frame.meta.frame_type = Some(FrameType::Table);
    frame.meta.visualisation = Some("table");
    frame.meta.notices = notices;
    Ok(Answer::plain(vec![frame]))
}
