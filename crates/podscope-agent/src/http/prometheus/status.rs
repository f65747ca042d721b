//! What Prometheus says of itself, said of an agent: targets are collectors, the TSDB is the history.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{Request, State};
use podscope_model::labels::{Labels, NAME};
use podscope_model::leaf::CollectorState;
use podscope_model::source::{Budget, SeriesSource};
use serde_json::{Value, json};

use super::answer::{Answer, ApiFault, success};
use super::params::Params;
use crate::alone::AloneSource;
use crate::schedule::now_ms;
use crate::state::AgentState;

/// `GET /api/v1/targets`: one per collector that has its hardware.
pub(crate) async fn targets(State(state): State<Arc<AgentState>>) -> Answer {
    let mut active = Vec::new();
    let mut dropped = Vec::new();
    for stream in state.streams().iter() {
        let report = stream.report();
        let labels = state.own_labels().with("job", stream.job().as_str());
        let discovered = labels.with("collector", stream.name());
        let (health, error) = match &report.info.state {
            CollectorState::Ok => ("up", ""),
            CollectorState::Failed { error } => ("down", error.as_str()),
            CollectorState::Pending => ("unknown", ""),
            CollectorState::NotPresent { .. } => {
                dropped.push(json!({ "discoveredLabels": discovered, "scrapePool": stream.name() }));
                continue;
            }
        };
        let interval = format!("{}ms", stream.interval_ms());
        active.push(json!({
            "discoveredLabels": discovered,
            "labels": labels,
            "scrapePool": stream.name(),
            "scrapeUrl": "",
            "globalUrl": "",
            "lastError": error,
            "lastScrape": rfc3339(report.last_tick_ms.unwrap_or_default()),
            "lastScrapeDuration": report.duration.as_secs_f64(),
            "health": health,
            "scrapeInterval": interval,
            "scrapeTimeout": interval,
        }));
    }
    let counts: BTreeMap<&str, usize> = BTreeMap::new();
    success(
        json!({ "activeTargets": active, "droppedTargets": dropped, "droppedTargetCounts": counts }),
        &[],
    )
}

/// `GET /api/v1/rules`: an agent evaluates none.
pub(crate) async fn rules() -> Answer {
    success(json!({ "groups": [] }), &[])
}

/// `GET /api/v1/alerts`: an agent raises none.
pub(crate) async fn alerts() -> Answer {
    success(json!({ "alerts": [] }), &[])
}

/// `GET /api/v1/status/buildinfo`
pub(crate) async fn build_info() -> Answer {
    success(
        json!({
            "application": "podscope-agent",
            "version": crate::VERSION,
            "revision": "",
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        }),
        &[],
    )
}

/// `GET /api/v1/status/runtimeinfo`
pub(crate) async fn runtime_info(State(state): State<Arc<AgentState>>) -> Answer {
    let stats = state.history().stats();
    let retention = state.live().retention;
    let kept = retention.map(|kept| format!("{} or {}", kept.max_age, kept.max_bytes));
    success(
        json!({
            "startTime": rfc3339(state.started_ms()),
            "serverTime": rfc3339(now_ms()),
            "hostname": state.instance(),
            "corruptionCount": stats.lost.places.len(),
            "storageRetention": kept.unwrap_or_default(),
        }),
        &[],
    )
}

/// `GET /api/v1/status/flags`: the settings that have a flag's name in Prometheus.
pub(crate) async fn flags(State(state): State<Arc<AgentState>>) -> Answer {
    let live = state.live();
    let limits = &live.limits;
    let mut flags = BTreeMap::from([
        ("query.lookback-delta", "5m".to_owned()),
        ("query.max-concurrency", limits.max_concurrent_queries.to_string()),
        ("query.max-samples", limits.max_samples.to_string()),
        ("query.timeout", limits.timeout.to_string()),
    ]);
    if let Some(kept) = live.retention {
        flags.insert("storage.tsdb.retention.size", kept.max_bytes.to_string());
        flags.insert("storage.tsdb.retention.time", kept.max_age.to_string());
    }
    success(flags, &[])
}

/// `GET /api/v1/status/tsdb`: cardinality of the last hour.
pub(crate) async fn tsdb(State(state): State<Arc<AgentState>>, request: Request) -> Answer {
    const HOUR_MS: i64 = 3_600_000;
    let params = Params::read(request).await?;
    let top = params.limit()?.unwrap_or(10);
    let stats = state.history().stats();
    let newest = stats.newest_ms.unwrap_or_default();
    let owner = Arc::clone(&state);
    let work = move |budget: &Budget| {
        let source = AloneSource::new(owner.history(), owner.own_labels());
        source
            .series(&[], newest - HOUR_MS, newest, budget)
            .map_err(|error| ApiFault::of_source(&error))
    };
    let limits = state.live().limits.wire();
    let series = state
        .queries()
        .run(limits, work)
        .await
        .map_err(|error| ApiFault::of_run(&error))??;
    let counts = Cardinality::of(&series);
    success(
        json!({
            "headStats": {
                "numSeries": series.len(),
                "numLabelPairs": counts.by_pair.len(),
                "chunkCount": stats.segments,
                "minTime": stats.oldest_ms.unwrap_or_default(),
                "maxTime": newest,
            },
            "seriesCountByMetricName": highest(&counts.by_name, top),
            "labelValueCountByLabelName": highest(&counts.values_by_label(), top),
            "memoryInBytesByLabelName": highest(&counts.bytes_by_label(), top),
            "seriesCountByLabelValuePair": highest(&counts.by_pair, top),
        }),
        &[],
    )
}

#[derive(Default)]
struct Cardinality {
    by_name: BTreeMap<String, u64>,
    by_pair: BTreeMap<String, u64>,
    values: BTreeMap<String, BTreeSet<String>>,
}

impl Cardinality {
    fn of(series: &[Labels]) -> Self {
        let mut counts = Self::default();
        for labels in series {
            for label in labels {
                if label.name.as_ref() == NAME {
                    *counts.by_name.entry(label.value.to_string()).or_default() += 1;
                }
                *counts
                    .by_pair
                    .entry(format!("{}={}", label.name, label.value))
                    .or_default() += 1;
                counts
                    .values
                    .entry(label.name.to_string())
                    .or_default()
                    .insert(label.value.to_string());
            }
        }
        counts
    }

    fn values_by_label(&self) -> BTreeMap<String, u64> {
        self.values
            .iter()
            .map(|(name, values)| (name.clone(), values.len() as u64))
            .collect()
    }

    fn bytes_by_label(&self) -> BTreeMap<String, u64> {
        let bytes = |values: &BTreeSet<String>| values.iter().map(|value| value.len() as u64).sum();
        self.values
            .iter()
            .map(|(name, values)| (name.clone(), bytes(values)))
            .collect()
    }
}

/// The `top` highest counts, highest first, names in order where they tie.
fn highest(counts: &BTreeMap<String, u64>, top: usize) -> Vec<Value> {
    let mut list: Vec<(&String, &u64)> = counts.iter().collect();
    list.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
    list.into_iter()
        .take(top)
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}

fn rfc3339(ms: i64) -> String {
    jiff::Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |time| time.to_string())
}
