//! What there is: `series`, `labels`, `label/<name>/values`, `metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use podscope_fanout::SeriesRequest;
use podscope_model::catalog::{Kind, Unit};
use podscope_model::labels::Labels;
use podscope_model::leaf::{Annotation, Route, SeriesQuery, Target};
use podscope_model::matcher::Matcher;
use podscope_model::source::Budget;

use super::answer::{Answer, ApiFault, success};
use super::params::Params;
use crate::alone::AloneSource;
use crate::api::list_series;
use crate::state::AgentState;

/// Before and after all that is stored, yet far from overflow.
const ALWAYS_MS: i64 = 1 << 53;

/// `GET|POST /api/v1/series`
pub(crate) async fn series(State(state): State<Arc<AgentState>>, request: Request) -> Answer {
    let params = Params::read(request).await?;
    if params.all("match[]").next().is_none() {
        return Err(ApiFault::bad_data("no match[] parameter provided"));
    }
    let limit = params.limit()?;
    if let Some(hub) = state.hub() {
        let listed = hub.fleet().series(&request_of(&params)?).await;
        return of_hub(listed, limit);
    }
    let found = find(&state, &params).await?;
    let (found, cut) = truncated(found, limit);
    success(found, &cut)
}

/// A hub's list, with a warning for who is missing.
fn of_hub<T: serde::Serialize>(
    listed: Result<podscope_fanout::Partial<Vec<T>>, podscope_fanout::FleetError>,
    limit: Option<usize>,
) -> Answer {
    let listed = listed.map_err(|error| ApiFault::of_fleet(&error))?;
    let (list, mut remarks) = truncated(listed.value, limit);
    remarks.extend(listed.completeness.notice().map(Annotation::Warning));
    success(list, &remarks)
}

/// `GET|POST /api/v1/labels`
pub(crate) async fn labels(State(state): State<Arc<AgentState>>, request: Request) -> Answer {
    let params = Params::read(request).await?;
    let limit = params.limit()?;
    if let Some(hub) = state.hub() {
        let listed = hub.fleet().label_names(&request_of(&params)?).await;
        return of_hub(listed, limit);
    }
    let found = find(&state, &params).await?;
    let names: BTreeSet<&str> = found
        .iter()
        .flat_map(|labels| labels.iter().map(|label| label.name.as_ref()))
        .collect();
    let (names, cut) = truncated(names.into_iter().collect(), limit);
    success(names, &cut)
}

/// `GET /api/v1/label/<name>/values`
pub(crate) async fn label_values(
    State(state): State<Arc<AgentState>>,
    Path(name): Path<String>,
    request: Request,
) -> Answer {
    let name = unescaped(&name);
    if name.is_empty() {
        return Err(ApiFault::bad_data(format!("invalid label name: {name:?}")));
    }
    let params = Params::read(request).await?;
    let limit = params.limit()?;
    if let Some(hub) = state.hub() {
        let listed = hub.fleet().label_values(&name, &request_of(&params)?).await;
        return of_hub(listed, limit);
    }
    let found = find(&state, &params).await?;
    let values: BTreeSet<&str> = found.iter().filter_map(|labels| labels.get(&name)).collect();
    let (values, cut) = truncated(values.into_iter().collect(), limit);
    success(values, &cut)
}

/// `GET /api/v1/metadata`
pub(crate) async fn metadata(State(state): State<Arc<AgentState>>, request: Request) -> Answer {
    #[derive(serde::Serialize)]
    struct Entry {
        #[serde(rename = "type")]
        kind: &'static str,
        help: String,
        unit: &'static str,
    }
    let params = Params::read(request).await?;
    let limit = params.limit()?.unwrap_or(usize::MAX);
    let wanted = params.get("metric");
    let metrics = match state.hub() {
        Some(hub) => hub.fleet().metadata().await,
        None => state.metrics(),
    };
    let entries: BTreeMap<String, [Entry; 1]> = metrics
        .into_iter()
        .filter(|(name, _)| wanted.is_none_or(|wanted| wanted == name))
        .take(limit)
        .map(|(name, info)| {
            let kind = if info.kind == Kind::Unknown {
                "unknown"
            } else {
                info.kind.as_str()
            };
            let unit = Unit::openmetrics(info.unit).unwrap_or_default();
            (
                name,
                [Entry {
                    kind,
                    help: info.help,
                    unit,
                }],
            )
        })
        .collect();
    success(entries, &[])
}

/// What the parameters select.
fn request_of(params: &Params) -> Result<SeriesRequest, ApiFault> {
    let start_ms = params.time_ms("start")?.unwrap_or(-ALWAYS_MS);
    let end_ms = params.time_ms("end")?.unwrap_or(ALWAYS_MS);
    if end_ms < start_ms {
        return Err(ApiFault::parameter(
            "end",
            "end timestamp must not be before start timestamp",
        ));
    }
    let selectors = params
        .all("match[]")
        .map(selector)
        .collect::<Result<Vec<_>, _>>()?;
    Ok(SeriesRequest {
        selectors,
        // The store's range is open on the left, this API's is not.
        start_ms: start_ms - 1,
        end_ms,
        user: None,
    })
}

/// The label sets that any `match[]` selects, of the time asked for.
async fn find(state: &Arc<AgentState>, params: &Params) -> Result<Vec<Labels>, ApiFault> {
    let request = request_of(params)?;
    let limits = state.live().limits.wire();
    let query = SeriesQuery {
        selectors: request.selectors,
        start_ms: request.start_ms,
        end_ms: request.end_ms,
        target: Target::default(),
        user: None,
        limits,
        route: Route::default(),
    };
    let owner = Arc::clone(state);
    let work = move |budget: &Budget| {
        let source = AloneSource::new(owner.history(), owner.own_labels());
        list_series(&source, &query, budget).map_err(|error| ApiFault::of_source(&error))
    };
    state
        .queries()
        .run(limits, work)
        .await
        .map_err(|error| ApiFault::of_run(&error))?
}

/// A bare selector: no function, no range, no offset.
fn selector(text: &str) -> Result<Vec<Matcher>, ApiFault> {
    let parsed = podscope_promql::parse(text).map_err(|error| ApiFault::of_parse("match[]", &error))?;
    let bare = matches!(
        promql_parser::parser::parse(text),
        Ok(promql_parser::parser::Expr::VectorSelector(selector)) if selector.offset.is_none() && selector.at.is_none()
    );
    match parsed.selectors().pop() {
        Some(matchers) if bare => Ok(matchers),
        _ => Err(ApiFault::parameter(
            "match[]",
            &format!("{text:?} is not a series selector such as up{{job=\"node\"}}"),
        )),
    }
}

/// The first `limit`, and the warning Prometheus gives when there were more.
fn truncated<T>(mut list: Vec<T>, limit: Option<usize>) -> (Vec<T>, Vec<Annotation>) {
    match limit {
        Some(limit) if list.len() > limit => {
            list.truncate(limit);
            (
                list,
                vec![Annotation::Warning("results truncated due to limit".to_owned())],
            )
        }
        _ => (list, Vec::new()),
    }
}

/// `U__` names carry other characters as `_hex_` (Prometheus 3's value-encoding escape).
fn unescaped(name: &str) -> String {
    let Some(rest) = name.strip_prefix("U__") else {
        return name.to_owned();
    };
    let mut out = String::with_capacity(rest.len());
    let mut parts = rest.split('_');
    out.push_str(parts.next().unwrap_or_default());
    while let Some(code) = parts.next() {
        let Some(after) = parts.next() else {
            return name.to_owned();
        };
        if code.is_empty() {
            out.push('_');
        } else {
            match u32::from_str_radix(code, 16).ok().and_then(char::from_u32) {
                Some(character) => out.push(character),
                None => return name.to_owned(),
            }
        }
        out.push_str(after);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_label_names_are_read_as_prometheus_writes_them() {
        for (escaped, plain) in [
            ("job", "job"),
            ("U__http_2e_status", "http.status"),
            ("U__a__b", "a_b"),
            ("U__broken_zz_", "U__broken_zz_"),
            ("U__open_2e", "U__open_2e"),
        ] {
            assert_eq!(unescaped(escaped), plain, "{escaped}");
        }
    }

    #[test]
    fn only_a_bare_selector_is_one() {
        for text in ["up", "{job=\"node\"}", "up{a!~\"b.*\"}"] {
            assert!(selector(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "up[5m]",
            "rate(up[5m])",
            "sum(up)",
            "up offset 5m",
            "up @ 0",
            "up + up",
            "1",
            "{}",
        ] {
            assert!(selector(text).is_err(), "{text}");
        }
    }
}
