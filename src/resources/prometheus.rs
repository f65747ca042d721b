//! `api/v1/*`: the part of the Prometheus HTTP API that editors, variables and scripts use.

use podscope_fanout::{Completeness, FleetError, FleetQuery, SeriesRequest};
use podscope_model::catalog::Unit;
use podscope_model::leaf::{Annotation, ApiErrorKind};
use podscope_model::matcher::Matcher;
use podscope_model::sample::Grid;
use podscope_promql::{EvalError, api_json};
use serde_json::{Map, Value, json};

use super::params::Params;
use super::{Asker, Reply};
use crate::error::{QueryError, chain};
use crate::sources::route::Served;

/// Prometheus's own limit.
const MAX_POINTS: usize = 11_000;

/// Whether [`answer`] answers this path.
pub(super) fn knows(path: &str) -> bool {
    matches!(
        path,
        "api/v1/labels" | "api/v1/series" | "api/v1/metadata" | "api/v1/query" | "api/v1/query_range"
    ) || label_of(path).is_some()
}

/// The label name in `api/v1/label/<name>/values`, percent-decoded.
fn label_of(path: &str) -> Option<String> {
    let name = path.strip_prefix("api/v1/label/")?.strip_suffix("/values")?;
    // A `+` is a plus in a path, and a space in a form.
    let form = format!("n={}", name.replace('+', "%2B"));
    let name = form_urlencoded::parse(form.as_bytes()).next()?.1.into_owned();
    (!name.is_empty()).then_some(name)
}

type Answered = Result<Reply, Reply>;

pub(super) async fn answer(asker: &Asker, path: &str, params: &Params) -> Reply {
    let answered = match path {
        "api/v1/labels" => labels(asker, params).await,
        "api/v1/series" => series(asker, params).await,
        "api/v1/metadata" => metadata(asker, params).await,
        "api/v1/query" => query(asker, params).await,
        "api/v1/query_range" => query_range(asker, params).await,
        path => match label_of(path) {
            Some(name) => label_values(asker, &name, params).await,
            None => Err(Reply::error(404, "not_found", "there is no such resource")),
        },
    };
    answered.unwrap_or_else(|error| error)
}

fn bad(message: impl AsRef<str>) -> Reply {
    Reply::error(400, "bad_data", message)
}

fn failed(error: &FleetError) -> Reply {
    let text = chain(error);
    match error.kind() {
        // Prometheus tells a well-formed expression without an answer from a malformed one.
        ApiErrorKind::BadData if matches!(error, FleetError::Eval(inner) if matches!(**inner, EvalError::Execution(_))) => {
            Reply::error(422, "execution", text)
        }
        ApiErrorKind::BadData => bad(text),
        ApiErrorKind::Limit => Reply::error(422, "execution", text),
        ApiErrorKind::Timeout => Reply::error(503, "timeout", text),
        ApiErrorKind::Cancelled => Reply::error(503, "canceled", text),
        ApiErrorKind::Internal => Reply::error(500, "internal", text),
        ApiErrorKind::Unauthorized | ApiErrorKind::WrongInstance | ApiErrorKind::Unreachable => {
            Reply::error(502, "unavailable", text)
        }
    }
}

/// `{"status": "success", "data": ..., "warnings": [...], "infos": [...]}`.
fn success(data: Value, completeness: &Completeness, annotations: &[Annotation]) -> Reply {
    let mut body = Map::from_iter([("status".to_owned(), json!("success")), ("data".to_owned(), data)]);
    let mut warnings: Vec<String> = completeness.notice().into_iter().collect();
    let mut infos = Vec::new();
    for annotation in annotations {
        match annotation {
            Annotation::Warning(text) => warnings.push(text.clone()),
            Annotation::Info(text) => infos.push(text.clone()),
        }
    }
    for (key, list) in [("warnings", warnings), ("infos", infos)] {
        if !list.is_empty() {
            body.insert(key.to_owned(), json!(list));
        }
    }
    Reply::ok(&Value::Object(body))
}

/// A list, cut at the `limit` parameter with a warning, as Prometheus does.
fn listed<T: serde::Serialize>(mut list: Vec<T>, completeness: &Completeness, params: &Params) -> Answered {
    let limit = params.limit().map_err(bad)?;
    let mut annotations = Vec::new();
    if let Some(limit) = limit.filter(|limit| list.len() > *limit) {
        list.truncate(limit);
        annotations.push(Annotation::Warning("results truncated due to limit".to_owned()));
    }
    Ok(success(json!(list), completeness, &annotations))
}

fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

/// The selectors and the time range a list is made from; without times, everything kept.
fn series_request(asker: &Asker, params: &Params) -> Result<SeriesRequest, Reply> {
    let selectors = params
        .all("match[]")
        .map(selector)
        .collect::<Result<Vec<_>, _>>()?;
    let request = SeriesRequest {
        selectors,
        start_ms: params.time_ms("start").map_err(bad)?.unwrap_or(0),
        end_ms: params.time_ms("end").map_err(bad)?.unwrap_or_else(now_ms),
        user: asker.scope.clone(),
    };
    if request.end_ms < request.start_ms {
        return Err(bad("end timestamp must not be before start time"));
    }
    Ok(request)
}

fn selector(text: &str) -> Result<Vec<Matcher>, Reply> {
    let parsed = podscope_promql::parse(text)
        .map_err(|error| bad(format!("parameter \"match[]\": {text:?}: {}", error.message)))?;
    let mut selectors = parsed.selectors();
    match (selectors.pop(), selectors.is_empty()) {
        (Some(only), true) => Ok(only),
        _ => Err(bad(format!(
            "parameter \"match[]\": {text:?} is not one series selector"
        ))),
    }
}

async fn labels(asker: &Asker, params: &Params) -> Answered {
    let request = series_request(asker, params)?;
    if let Some(answer) = from_stores(asker, "", &request, params).await? {
        return Ok(answer);
    }
    let names = asker
        .instance
        .fleet
        .label_names(&request)
        .await
        .map_err(|error| failed(&error))?;
    listed(names.value, &names.completeness, params)
}

/// Names or values where stores have a say: with selectors that one of them serves, its own; without, everybody's.
async fn from_stores(
    asker: &Asker,
    label: &str,
    request: &SeriesRequest,
    params: &Params,
) -> Result<Option<Reply>, Reply> {
    let instance = &asker.instance;
    let stores = &instance.sources.stores;
    // What a store has is nobody's own.
    if stores.is_empty() || asker.scope.is_some() {
        return Ok(None);
    }
    let texts: Vec<String> = params.all("match[]").map(ToOwned::to_owned).collect();
    if texts.is_empty() {
        let asked = futures_util::future::join_all(stores.iter().map(|store| store.label_values(label, &[])));
        let own = async {
            match label {
                "" => instance.fleet.label_names(request).await,
                label => instance.fleet.label_values(label, request).await,
            }
        };
        let (own, theirs) = futures_util::future::join(own, asked).await;
        let theirs: Vec<String> = theirs.into_iter().flatten().flatten().collect();
        let (mut all, completeness) = match own {
            Ok(own) => (own.value, own.completeness),
            // A data source of stores alone.
            Err(FleetError::NoTargets) => (Vec::new(), Completeness::default()),
            Err(error) => return Err(failed(&error)),
        };
        all.extend(theirs);
        all.sort_unstable();
        all.dedup();
        return listed(all, &completeness, params).map(Some);
    }
    let mut served = None;
    for selector in &request.selectors {
        let by = match instance.sources.without_inventory(selector) {
            Some(by) => by,
            None => instance
                .sources
                .with_inventory(selector, &*instance.metadata().await),
        };
        if served.is_some_and(|other| other != by) {
            return Ok(None);
        }
        served = Some(by);
    }
    let Some(Served::Store(at)) = served else {
        return Ok(None);
    };
    let store = &stores[at];
    match store.label_values(label, &texts).await {
        Some(list) => listed(list, &Completeness::default(), params).map(Some),
        None => Err(Reply::error(
            502,
            "unavailable",
            format!(
                "the store {:?} does not tell its labels; `Save & test` says why",
                store.settings.name
            ),
        )),
    }
}

async fn label_values(asker: &Asker, name: &str, params: &Params) -> Answered {
    let request = series_request(asker, params)?;
    if let Some(answer) = from_stores(asker, name, &request, params).await? {
        return Ok(answer);
    }
    let values = asker
        .instance
        .fleet
        .label_values(name, &request)
        .await
        .map_err(|error| failed(&error))?;
    listed(values.value, &values.completeness, params)
}

async fn series(asker: &Asker, params: &Params) -> Answered {
    let request = series_request(asker, params)?;
    if request.selectors.is_empty() {
        return Err(bad("no match[] parameter provided"));
    }
    let series = asker
        .instance
        .fleet
        .series(&request)
        .await
        .map_err(|error| failed(&error))?;
    listed(series.value, &series.completeness, params)
}

async fn metadata(asker: &Asker, params: &Params) -> Answered {
    let limit = params.limit().map_err(bad)?.unwrap_or(usize::MAX);
    let all = asker.instance.metadata().await;
    let only = params.get("metric");
    let data: Map<String, Value> = all
        .iter()
        .filter(|(name, _)| only.is_none_or(|only| only == name.as_str()))
        .take(limit)
        .map(|(name, info)| {
            let unit = if info.unit == Unit::None {
                ""
            } else {
                info.unit.grafana()
            };
            let kind = if info.kind.as_str() == "untyped" {
                "unknown"
            } else {
                info.kind.as_str()
            };
            (
                name.clone(),
                json!([{ "type": kind, "unit": unit, "help": info.help }]),
            )
        })
        .collect();
    Ok(success(Value::Object(data), &Completeness::default(), &[]))
}

fn expression(params: &Params) -> Result<&str, Reply> {
    params
        .get("query")
        .ok_or_else(|| bad("parameter \"query\" is missing: write PromQL into it"))
}

async fn query(asker: &Asker, params: &Params) -> Answered {
    let expr = expression(params)?;
    let time = params.time_ms("time").map_err(bad)?.unwrap_or_else(now_ms);
    evaluate(asker, expr, Grid::instant(time), false, params).await
}

async fn query_range(asker: &Asker, params: &Params) -> Answered {
    let expr = expression(params)?;
    let missing = |name: &str| bad(format!("parameter {name:?} is missing"));
    let grid = Grid {
        start_ms: params
            .time_ms("start")
            .map_err(bad)?
            .ok_or_else(|| missing("start"))?,
        end_ms: params
            .time_ms("end")
            .map_err(bad)?
            .ok_or_else(|| missing("end"))?,
        step_ms: params
            .duration_ms("step")
            .map_err(bad)?
            .ok_or_else(|| missing("step"))?,
    };
    if grid.end_ms < grid.start_ms {
        return Err(bad("end timestamp must not be before start time"));
    }
    if grid.len() > MAX_POINTS {
        return Err(bad(format!(
            "exceeded maximum resolution of {MAX_POINTS} points per timeseries; take a wider step than {} ms",
            grid.step_ms
        )));
    }
    evaluate(asker, expr, grid, true, params).await
}

async fn evaluate(asker: &Asker, expr: &str, grid: Grid, range: bool, params: &Params) -> Answered {
    let lookback = params.duration_ms("lookback_delta").map_err(bad)?;
    let query = FleetQuery {
        user: asker.scope.clone(),
        lookback_ms: lookback.unwrap_or(asker.instance.settings.lookback_ms),
        ..FleetQuery::new(expr, grid)
    };
    let answer = match crate::sources::query(&asker.instance, query).await {
        Ok(answer) => answer,
        Err(QueryError::Fleet(error)) => return Err(failed(&error)),
        Err(error @ QueryError::Store(_)) => {
            return Err(Reply::error(error.status(), "unavailable", error.text()));
        }
        Err(error) => return Err(bad(error.text())),
    };
    let mut outcome = answer.outcome;
    outcome
        .annotations
        .extend(answer.completeness.notice().map(Annotation::Warning));
    Ok(Reply {
        status: 200,
        body: api_json::success(&outcome, grid, range),
    })
}
