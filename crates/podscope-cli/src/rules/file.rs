//! Grafana's alert rules as provisioning files hold them, as far as shipped rules use the format: one instant query and one
//! threshold over it. Everything else is refused by name, so that what is tested is what Grafana runs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde::Deserialize;

/// One rule, checked.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    pub(crate) uid: String,
    pub(crate) title: String,
    pub(crate) group: String,
    pub(crate) folder: String,
    /// How often its group is evaluated.
    pub(crate) interval: Duration,
    pub(crate) expr: String,
    pub(crate) threshold: Threshold,
    /// How long the condition must hold.
    pub(crate) pending: Duration,
    pub(crate) keep_firing: Duration,
    pub(crate) no_data: Empty,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: BTreeMap<String, String>,
    /// Dashboard uid and panel id.
    pub(crate) panel: Option<(String, i64)>,
    pub(crate) paused: bool,
}

/// The condition on the query's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Threshold {
    Above(f64),
    Below(f64),
    AtLeast(f64),
    AtMost(f64),
}

impl Threshold {
    pub(crate) fn holds(self, value: f64) -> bool {
        match self {
            Self::Above(limit) => value > limit,
            Self::Below(limit) => value < limit,
            Self::AtLeast(limit) => value >= limit,
            Self::AtMost(limit) => value <= limit,
        }
    }
}

impl std::fmt::Display for Threshold {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Above(limit) => write!(out, "> {limit}"),
            Self::Below(limit) => write!(out, "< {limit}"),
            Self::AtLeast(limit) => write!(out, ">= {limit}"),
            Self::AtMost(limit) => write!(out, "<= {limit}"),
        }
    }
}

/// What an empty answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Empty {
    #[serde(rename = "OK")]
    Ok,
    KeepLast,
    #[serde(rename = "NoData")]
    Said,
    Alerting,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawFile {
    api_version: u32,
    groups: Vec<RawGroup>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawGroup {
    #[serde(default)]
    org_id: Option<i64>,
    name: String,
    folder: String,
    interval: String,
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawRule {
    uid: String,
    title: String,
    condition: String,
    data: Vec<RawData>,
    #[serde(default)]
    dashboard_uid: Option<String>,
    #[serde(default)]
    panel_id: Option<i64>,
    no_data_state: Empty,
    exec_err_state: String,
    r#for: String,
    #[serde(default)]
    keep_firing_for: Option<String>,
    annotations: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    is_paused: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawData {
    ref_id: String,
    datasource_uid: String,
    #[serde(default)]
    relative_time_range: Option<RawRange>,
    model: RawModel,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRange {
    from: u64,
    to: u64,
}

/// A query's model or a threshold's; the rest of either is refused.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RawModel {
    ref_id: String,
    #[serde(default)]
    expr: Option<String>,
    #[serde(default)]
    instant: Option<bool>,
    #[serde(default)]
    range: Option<bool>,
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    expression: Option<String>,
    #[serde(default)]
    conditions: Vec<RawCondition>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCondition {
    evaluator: RawEvaluator,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEvaluator {
    r#type: String,
    params: Vec<f64>,
}

/// Reads a file of rules.
///
/// # Errors
/// What the file or a rule has that is not supported, with its place.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<Rule>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    parse(&text).with_context(|| path.display().to_string())
}

pub(crate) fn parse(text: &str) -> anyhow::Result<Vec<Rule>> {
    let file: RawFile = serde_saphyr::from_str(text).context("not a file of alert rules")?;
    ensure!(
        file.api_version == 1,
        "apiVersion must be 1, it is {}",
        file.api_version
    );
    let mut rules = Vec::new();
    let mut uids = BTreeSet::new();
    for group in file.groups {
        ensure!(
            group.org_id.is_none_or(|id| id > 0),
            "group {:?}: orgId must be positive",
            group.name
        );
        let interval =
            duration(&group.interval).with_context(|| format!("group {:?}: interval", group.name))?;
        ensure!(
            interval.as_secs() >= 10 && interval.as_secs().is_multiple_of(10),
            "group {:?}: interval must be a multiple of 10 s",
            group.name
        );
        for raw in group.rules {
            let uid = raw.uid.clone();
            ensure!(uids.insert(uid.clone()), "rule {uid:?} is there twice");
            let rule =
                rule(raw, &group.name, &group.folder, interval).with_context(|| format!("rule {uid:?}"))?;
            rules.push(rule);
        }
    }
    Ok(rules)
}

fn rule(raw: RawRule, group: &str, folder: &str, interval: Duration) -> anyhow::Result<Rule> {
    ensure!(
        (1..=40).contains(&raw.uid.len())
            && raw
                .uid
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'),
        "a uid has 1 to 40 letters, digits, - and _"
    );
    let [query, condition] = raw.data.as_slice() else {
        bail!(
            "data must be one query and one threshold, it has {} parts",
            raw.data.len()
        );
    };
    ensure!(
        query.datasource_uid != "__expr__" && query.model.kind.is_none(),
        "the first part of data must be the query"
    );
    ensure!(
        query.model.instant == Some(true) && query.model.range != Some(true),
        "the query must be instant"
    );
    let range = query
        .relative_time_range
        .as_ref()
        .context("the query lacks relativeTimeRange")?;
    ensure!(
        range.to == 0 && range.from > 0,
        "relativeTimeRange must end now (to: 0) and begin earlier"
    );
    for part in &raw.data {
        ensure!(
            part.ref_id == part.model.ref_id,
            "refId {:?} differs from its model's {:?}",
            part.ref_id,
            part.model.ref_id
        );
    }
    let expr = query.model.expr.clone().context("the query has no expr")?;
    ensure!(
        condition.datasource_uid == "__expr__" && condition.model.kind.as_deref() == Some("threshold"),
        "the second part of data must be a threshold expression"
    );
    ensure!(
        condition.model.expression.as_deref() == Some(query.ref_id.as_str()),
        "the threshold must be over {:?}",
        query.ref_id
    );
    ensure!(
        raw.condition == condition.ref_id,
        "condition must be the threshold, {:?}",
        condition.ref_id
    );
    let [RawCondition { evaluator }] = condition.model.conditions.as_slice() else {
        bail!("the threshold must have one condition");
    };
    let [limit] = evaluator.params.as_slice() else {
        bail!("the threshold must have one parameter");
    };
    let threshold = match evaluator.r#type.as_str() {
        "gt" => Threshold::Above(*limit),
        "lt" => Threshold::Below(*limit),
        "gte" => Threshold::AtLeast(*limit),
        "lte" => Threshold::AtMost(*limit),
        other => bail!("the evaluator {other:?} is not supported; use gt, lt, gte or lte"),
    };
    ensure!(
        matches!(
            raw.exec_err_state.as_str(),
            "Error" | "OK" | "KeepLast" | "Alerting"
        ),
        "execErrState must be Error, OK, KeepLast or Alerting"
    );
    let panel = match (raw.dashboard_uid, raw.panel_id) {
        (Some(dashboard), Some(panel)) => Some((dashboard, panel)),
        (None, None) => None,
        _ => bail!("dashboardUid and panelId go together"),
    };
    Ok(Rule {
        uid: raw.uid,
        title: raw.title,
        group: group.to_owned(),
        folder: folder.to_owned(),
        interval,
        expr,
        threshold,
        pending: duration(&raw.r#for).context("for")?,
        keep_firing: raw
            .keep_firing_for
            .map_or(Ok(Duration::ZERO), |text| duration(&text))
            .context("keepFiringFor")?,
        no_data: raw.no_data_state,
        labels: raw.labels,
        annotations: raw.annotations,
        panel,
        paused: raw.is_paused,
    })
}

/// `30s`, `5m`, `1h30m`, `0s`.
fn duration(text: &str) -> anyhow::Result<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    ensure!(!rest.is_empty(), "a duration such as 5m is missing");
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at(digits);
        let units = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(units);
        let seconds = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            "d" => 86_400,
            _ => bail!("{text:?} is not a duration such as 30s, 5m or 1h30m"),
        };
        let number: u64 = number
            .parse()
            .with_context(|| format!("{text:?} is not a duration such as 30s, 5m or 1h30m"))?;
        total += Duration::from_secs(number.saturating_mul(seconds));
        rest = after;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
apiVersion: 1
groups:
  - orgId: 1
    name: gpu
    folder: Podscope
    interval: 1m
    rules:
      - uid: hot
        title: GPU hot
        condition: B
        data:
          - refId: A
            relativeTimeRange: { from: 600, to: 0 }
            datasourceUid: podscope
            model: { refId: A, expr: "DCGM_FI_DEV_GPU_TEMP", instant: true, range: false }
          - refId: B
            datasourceUid: __expr__
            model:
              refId: B
              type: threshold
              expression: A
              conditions: [{ evaluator: { type: gt, params: [85] } }]
        dashboardUid: nvidia-dcgm
        panelId: 20
        noDataState: OK
        execErrState: KeepLast
        for: 5m
        keepFiringFor: 1m30s
        annotations: { summary: hot }
        labels: { severity: warning }
"#;

    #[test]
    fn a_rule_of_one_query_and_one_threshold_is_read() {
        let rules = parse(GOOD).expect("a sound file");
        let [rule] = rules.as_slice() else {
            panic!("one rule")
        };
        assert_eq!((rule.uid.as_str(), rule.pending.as_secs()), ("hot", 300));
        assert_eq!((rule.keep_firing.as_secs(), rule.interval.as_secs()), (90, 60));
        assert_eq!(rule.threshold, Threshold::Above(85.0));
        assert_eq!(rule.panel, Some(("nvidia-dcgm".to_owned(), 20)));
        assert!(!rule.paused && rule.no_data == Empty::Ok);
    }

    #[test]
    fn whatever_the_tester_does_not_run_is_refused_by_name() {
        for (from, to, named) in [
            ("apiVersion: 1", "apiVersion: 2", "apiVersion"),
            ("interval: 1m", "interval: 15s", "multiple of 10 s"),
            ("uid: hot", "uid: \"too hot\"", "letters, digits"),
            ("instant: true", "instant: false", "must be instant"),
            ("type: threshold", "type: reduce", "threshold expression"),
            (
                "type: gt, params: [85]",
                "type: within_range, params: [1]",
                "within_range",
            ),
            ("params: [85]", "params: [85, 90]", "one parameter"),
            ("condition: B", "condition: A", "condition must be"),
            ("for: 5m", "for: soon", "not a duration"),
            ("panelId: 20", "isPaused: false", "go together"),
            ("execErrState: KeepLast", "execErrState: Shrug", "execErrState"),
            ("to: 0", "to: 60", "must end now"),
            ("noDataState: OK", "noDataState: Fine", "Fine"),
            (
                "title: GPU hot",
                "title: GPU hot\n        record: { metric: x }",
                "record",
            ),
        ] {
            let text = GOOD.replacen(from, to, 1);
            assert_ne!(text, GOOD, "{from}");
            let error = format!("{:#}", parse(&text).expect_err(to));
            assert!(error.contains(named), "{to}: {error}");
        }
        let twice = GOOD.replace(
            "    rules:\n",
            "    rules: []\n  - name: other\n    folder: Podscope\n    interval: 1m\n    rules:\n",
        );
        assert!(parse(&twice).is_ok());
    }
}
