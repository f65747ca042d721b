//! `podscope alerts`: what fires in Grafana, and whether its contact points reach anybody.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::demo::{Place, state::State};
use crate::web::{Login, Web};

/// What Grafana shows where a secret is.
const REDACTED: &str = "[REDACTED]";

#[derive(Debug, Subcommand)]
pub(crate) enum AlertsCommand {
    /// Lists what fires or is about to, as Grafana's own alerting has it.
    List(ListArguments),
    /// Sends a test notification through Grafana's contact points, and says which of them failed and why.
    Test(TestArguments),
}

#[derive(Debug, Args)]
struct Where {
    #[command(flatten)]
    place: Place,
    /// Grafana's address. Default: the running demo's.
    #[arg(long, value_name = "URL")]
    grafana: Option<String>,
    /// A file that holds USER:PASSWORD.
    #[arg(long, value_name = "FILE", conflicts_with = "token_file")]
    login_file: Option<PathBuf>,
    /// A file that holds a service account's token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    grafana: Where,
    /// Also what is normal.
    #[arg(long)]
    all: bool,
    /// Only this severity: critical, warning or info.
    #[arg(long, value_name = "SEVERITY")]
    severity: Option<String>,
    #[arg(long, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Debug, Args)]
pub(crate) struct TestArguments {
    #[command(flatten)]
    grafana: Where,
    /// Only this contact point; default: all of them.
    #[arg(long, value_name = "NAME")]
    contact_point: Option<String>,
    /// The severity the test has, for templates and people who look at it.
    #[arg(long, value_name = "SEVERITY", default_value = "info")]
    severity: String,
}

impl Where {
    fn connect(&self) -> anyhow::Result<Web> {
        let given = match (&self.login_file, &self.token_file) {
            (Some(file), _) => Some(Login::of_user_file(file)?),
            (None, Some(file)) => Some(Login::of_token_file(file)?),
            (None, None) => None,
        };
        if let Some(base) = &self.grafana {
            return Web::new(base, given);
        }
        let demo = State::read(&self.place.folder()?)?
            .filter(|state| state.supervisor.is_alive())
            .context("no demo is running; name a Grafana with --grafana")?;
        ensure!(
            demo.grafana.is_some(),
            "the running demo has no Grafana, and only Grafana evaluates alert rules: {}",
            demo.no_grafana.as_deref().unwrap_or("none was found")
        );
        let login = match (given, &demo.credentials) {
            (Some(login), _) => Some(login),
            (None, Some(file)) => Some(Login::of_user_file(file)?),
            (None, None) => None,
        };
        Web::new(&demo.web, login)
    }
}

/// One alert, as `/api/prometheus/grafana/api/v1/alerts` has it.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    #[serde(default)]
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    state: String,
    #[serde(default)]
    active_at: Option<String>,
    #[serde(default)]
    value: String,
    /// A silence or a mute timing holds its notifications back.
    #[serde(default)]
    silenced: bool,
}

impl Alert {
    fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    fn is_normal(&self) -> bool {
        self.state.starts_with("Normal") || self.state == "inactive"
    }

    /// What comes first: what fires, the worst of it.
    fn rank(&self) -> (u8, u8) {
        let state = match self.state.split(' ').next() {
            Some("Alerting" | "firing") => 0,
            Some("Error" | "NoData") => 1,
            Some("Recovering" | "recovering") => 2,
            Some("Pending" | "pending") => 3,
            _ => 4,
        };
        let severity = match self.label("severity") {
            "critical" => 0,
            "warning" => 1,
            _ => 2,
        };
        (state, severity)
    }
}

/// Answers whether the command succeeded.
pub(crate) async fn run(command: AlertsCommand, out: &mut impl Write) -> anyhow::Result<bool> {
    match command {
        AlertsCommand::List(arguments) => list(&arguments, out).await,
        AlertsCommand::Test(arguments) => test(&arguments, out).await,
    }
}

async fn list(arguments: &ListArguments, out: &mut impl Write) -> anyhow::Result<bool> {
    let web = arguments.grafana.connect()?;
    let answer = web
        .call("/api/prometheus/grafana/api/v1/alerts", None)
        .await
        .map_err(anyhow::Error::msg)?;
    let mut alerts: Vec<Alert> = serde_json::from_value(answer["data"]["alerts"].clone())
        .context("Grafana's list of alerts is not what version 12 answers")?;
    let held = web
        .call("/api/alertmanager/grafana/api/v2/alerts?active=false", None)
        .await
        .map_err(anyhow::Error::msg)?;
    let held: Vec<BTreeMap<String, String>> = held
        .as_array()
        .into_iter()
        .flatten()
        .map(|alert| plain(&alert["labels"]))
        .collect();
    for alert in &mut alerts {
        alert.labels.retain(|name, _| !name.starts_with("__"));
        alert.silenced = held.contains(&alert.labels);
    }
    let wanted = |alert: &Alert| {
        (arguments.all || !alert.is_normal())
            && arguments
                .severity
                .as_deref()
                .is_none_or(|severity| alert.label("severity") == severity)
    };
    alerts.retain(wanted);
    alerts.sort_by(|a, b| (a.rank(), &a.labels).cmp(&(b.rank(), &b.labels)));
    if arguments.output == Output::Json {
        serde_json::to_writer_pretty(&mut *out, &alerts)?;
        writeln!(out)?;
        return Ok(true);
    }
    for alert in &alerts {
        let since = alert.active_at.as_deref().unwrap_or_default();
        let since = since.split('.').next().unwrap_or(since).trim_end_matches('Z');
        let held = if alert.silenced { " (silenced)" } else { "" };
        let what = match alert.annotations.get("summary") {
            Some(summary) if !summary.is_empty() => summary,
            _ => &alert.value,
        };
        writeln!(
            out,
            "{:<12} {:<9} {:<20} {:<32} {what}{held}",
            alert.state,
            alert.label("severity"),
            since,
            alert.label("alertname"),
        )?;
    }
    let firing = alerts.iter().filter(|alert| alert.rank().0 == 0).count();
    writeln!(out, "{firing} firing, {} other", alerts.len() - firing)?;
    Ok(true)
}

/// Labels without the ones that Grafana keeps for itself.
fn plain(labels: &Value) -> BTreeMap<String, String> {
    labels
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, _)| !name.starts_with("__"))
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// What became of one integration of a contact point.
#[derive(Debug, Deserialize)]
struct Outcome {
    name: String,
    #[serde(default)]
    status: String,
    #[serde(default)]
    error: String,
}

async fn test(arguments: &TestArguments, out: &mut impl Write) -> anyhow::Result<bool> {
    let web = arguments.grafana.connect()?;
    let points = web
        .call("/api/v1/provisioning/contact-points", None)
        .await
        .map_err(anyhow::Error::msg)?;
    let receivers = receivers(&points, arguments.contact_point.as_deref())?;
    let body = json!({
        "receivers": receivers,
        "alert": {
            "labels": { "alertname": "PodscopeTest", "severity": arguments.severity, "source": "podscope alerts test" },
            "annotations": { "summary": "A test of the contact point; nothing is wrong." },
        },
    });
    let answer = web
        .call(
            "/api/alertmanager/grafana/config/api/v1/receivers/test",
            Some(&body),
        )
        .await
        .map_err(anyhow::Error::msg)?;
    let mut failed = 0;
    let mut tried = 0;
    for receiver in answer["receivers"].as_array().into_iter().flatten() {
        let outcomes: Vec<Outcome> =
            serde_json::from_value(receiver["grafana_managed_receiver_configs"].clone()).unwrap_or_default();
        for outcome in outcomes {
            tried += 1;
            let name = receiver["name"].as_str().unwrap_or(&outcome.name);
            if outcome.status == "ok" {
                writeln!(out, "ok    {name}")?;
            } else {
                failed += 1;
                writeln!(out, "FAIL  {name}: {}", outcome.error)?;
            }
        }
    }
    if tried == 0 {
        bail!("Grafana took the test and says nothing of what became of it");
    }
    writeln!(out, "{} sent, {failed} failed", tried - failed)?;
    Ok(failed == 0)
}

/// Contact points as the test wants them: by name, each with its integrations, without what stands for secrets (Grafana puts
/// the stored ones back by the uid).
fn receivers(points: &Value, only: Option<&str>) -> anyhow::Result<Vec<Value>> {
    let mut by_name: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for point in points
        .as_array()
        .context("Grafana's contact points are no list")?
    {
        let name = point["name"].as_str().unwrap_or_default();
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let settings: Map<String, Value> = point["settings"]
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(_, value)| value.as_str() != Some(REDACTED))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        by_name.entry(name).or_default().push(json!({
            "uid": point["uid"],
            "name": point["name"],
            "type": point["type"],
            "disableResolveMessage": point["disableResolveMessage"],
            "settings": settings,
        }));
    }
    if by_name.is_empty() {
        let points = points.as_array().into_iter().flatten();
        let named: BTreeSet<&str> = points.filter_map(|point| point["name"].as_str()).collect();
        let named: Vec<&str> = named.into_iter().collect();
        match only {
            Some(only) => bail!(
                "there is no contact point {only:?}; there are {}",
                named.join(", ")
            ),
            None => {
                bail!("Grafana has no contact points; provisioning/examples/notifications.yaml shows some")
            }
        }
    }
    let of = |(name, configs)| json!({ "name": name, "grafana_managed_receiver_configs": configs });
    Ok(by_name.into_iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_are_hidden_are_left_to_grafana() {
        let points = json!([
            { "uid": "a", "name": "slack", "type": "slack", "settings": { "url": "[REDACTED]", "title": "t" } },
            { "uid": "b", "name": "mail", "type": "email", "settings": { "addresses": "x@example.org" } },
            { "uid": "c", "name": "slack", "type": "webhook", "settings": {} },
        ]);
        let all = receivers(&points, None).expect("contact points");
        assert_eq!(all.len(), 2);
        let slack = &all[1];
        assert_eq!(slack["name"], "slack");
        let configs = slack["grafana_managed_receiver_configs"]
            .as_array()
            .expect("configs");
        assert_eq!(configs.len(), 2);
        assert_eq!(configs[0]["settings"], json!({ "title": "t" }));
        assert_eq!(configs[0]["uid"], "a");
        let unknown = receivers(&points, Some("pager")).expect_err("no such contact point");
        assert_eq!(
            unknown.to_string(),
            "there is no contact point \"pager\"; there are mail, slack"
        );
    }

    #[test]
    fn what_fires_comes_first_and_the_worst_of_it_before_the_rest() {
        let alert = |state: &str, severity: &str| Alert {
            labels: BTreeMap::from([("severity".to_owned(), severity.to_owned())]),
            annotations: BTreeMap::new(),
            state: state.to_owned(),
            active_at: None,
            value: String::new(),
            silenced: false,
        };
        let mut all = [
            alert("Normal (NoData)", "critical"),
            alert("Pending", "critical"),
            alert("Alerting (Error)", "warning"),
            alert("Alerting", "critical"),
        ];
        all.sort_by_key(Alert::rank);
        let order: Vec<&str> = all.iter().map(|alert| alert.state.as_str()).collect();
        assert_eq!(
            order,
            ["Alerting", "Alerting (Error)", "Pending", "Normal (NoData)"]
        );
        assert!(all[3].is_normal());
    }
}
