//! `podscope verify`: checks a running set-up part by part, as a person would: does each part answer, are the numbers fresh,
//! does every panel of every dashboard show data.

use std::io::Write;

use clap::Args;
use podscope_fanout::{Fleet, FleetConfig, FleetQuery, TargetSpec};
use podscope_model::catalog::{gpu, host};
use podscope_model::leaf::CollectorState;
use podscope_model::sample::Grid;
use podscope_promql::Value as PromValue;
use serde_json::{Value, json};

use crate::demo::{Place, state::State};
use crate::scenario::ScenarioName;
use crate::web::{Login, Web};

/// A newest sample older than this means that nothing is being collected.
const FRESH_MS: i64 = 15_000;

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    #[command(flatten)]
    place: Place,
    /// Check that a scenario shows the figures it is known by, instead of anything that runs.
    #[arg(long, value_enum, value_name = "NAME", conflicts_with_all = ["agents", "web"])]
    scenario: Option<ScenarioName>,
    /// With --scenario: the median of so many seeds is looked at.
    #[arg(long, default_value_t = 20, requires = "scenario")]
    seeds: u64,
    /// Check these agents instead of a running demo.
    #[arg(long = "agent", value_name = "URL")]
    agents: Vec<String>,
    /// Check this Grafana (or preview page) instead of a running demo's.
    #[arg(long, value_name = "URL")]
    web: Option<String>,
    /// User and password for it, as USER:PASSWORD; better in a file.
    #[arg(long, value_name = "FILE")]
    login_file: Option<std::path::PathBuf>,
}

/// Prints one line per check and remembers whether all passed.
struct Report<'a, W: Write> {
    out: &'a mut W,
    failed: usize,
    passed: usize,
}

impl<W: Write> Report<'_, W> {
    fn line(&mut self, what: &str, result: Result<String, String>) -> anyhow::Result<()> {
        match result {
            Ok(detail) => {
                self.passed += 1;
                writeln!(self.out, "ok    {what}: {detail}")?;
            }
            Err(reason) => {
                self.failed += 1;
                writeln!(self.out, "FAIL  {what}: {reason}")?;
            }
        }
        Ok(())
    }
}

pub(crate) async fn run(arguments: VerifyArguments, out: &mut impl Write) -> anyhow::Result<bool> {
    if let Some(ScenarioName::Sev1) = arguments.scenario {
        return crate::scenario::verify(arguments.seeds, out);
    }
    let demo = State::read(&arguments.place.folder()?)?.filter(|state| state.supervisor.is_alive());
    let given = !arguments.agents.is_empty() || arguments.web.is_some();
    let mut report = Report {
        out,
        failed: 0,
        passed: 0,
    };

    if let Some(state) = demo.as_ref().filter(|_| !given) {
        for part in &state.parts {
            report.line(
                &part.name,
                part.check().await.map(|()| format!("{} answers", part.health)),
            )?;
        }
    }
    let targets: Vec<TargetSpec> = if given {
        arguments.agents.iter().map(TargetSpec::new).collect()
    } else if let Some(state) = &demo {
        state
            .targets
            .iter()
            .map(|target| TargetSpec {
                url: target.url.clone(),
                instance: target.instance.clone(),
                labels: target.labels.clone(),
            })
            .collect()
    } else {
        anyhow::bail!(
            "no demo is running; start one with `podscope demo`, or say what to check with --agent and --web"
        );
    };
    if !targets.is_empty() {
        agents(targets, &mut report).await?;
    }
    let login = match &demo {
        Some(State {
            credentials: Some(path),
            ..
        }) if arguments.login_file.is_none() && !given => Some(path.clone()),
        _ => arguments.login_file.clone(),
    };
    let web = arguments
        .web
        .or_else(|| demo.filter(|_| !given).map(|state| state.web));
    if let Some(web) = web {
        let login = login.as_deref().map(Login::of_user_file).transpose()?;
        Web::new(&web, login)?.check(&mut report).await?;
    }
    let (passed, failed) = (report.passed, report.failed);
    writeln!(out, "{passed} passed, {failed} failed")?;
    Ok(failed == 0)
}

async fn agents<W: Write>(targets: Vec<TargetSpec>, report: &mut Report<'_, W>) -> anyhow::Result<()> {
    let fleet = Fleet::new(FleetConfig::new(targets))?;
    let mut gpus = 0;
    for node in fleet.inventory().await {
        let what = format!("agent {}", node.instance);
        let result = node.info.map_err(|error| error.message).and_then(|info| {
            gpus += info.gpus.len();
            let failing: Vec<String> = info
                .collectors
                .iter()
                .filter_map(|collector| match &collector.state {
                    CollectorState::Failed { error } => Some(format!("{}: {error}", collector.name)),
                    _ => None,
                })
                .collect();
            let age = info.newest_ms.map(|newest| info.now_ms - newest);
            match age {
                _ if !failing.is_empty() => Err(format!("collectors fail: {}", failing.join("; "))),
                None => Err("nothing has been collected yet".to_owned()),
                Some(age) if age > FRESH_MS => Err(format!("the newest sample is {} s old", age / 1000)),
                Some(age) => Ok(format!(
                    "{} series, newest sample {age} ms old, {} GPUs",
                    info.series,
                    info.gpus.len()
                )),
            }
        });
        report.line(&what, result)?;
    }
    let idle = format!("rate({}{{mode=\"idle\"}}[1m])", host::NODE_CPU_SECONDS_TOTAL.name);
    report.line(
        "query, CPU of every node",
        vector(&fleet, &idle).await.and_then(|values| match values.len() {
            0 => Err("no data".to_owned()),
            count => Ok(format!("{count} CPUs")),
        }),
    )?;
    if gpus > 0 {
        let count = format!("count({})", gpu::DCGM_FI_DEV_GPU_TEMP.name);
        report.line(
            "query, GPUs of the fleet",
            vector(&fleet, &count)
                .await
                .and_then(|values| match values.first() {
                    Some(found) if *found == gpus as f64 => Ok(format!("{gpus} as the inventory says")),
                    other => Err(format!("{other:?}, and the inventory has {gpus}")),
                }),
        )?;
    }
    Ok(())
}

async fn vector(fleet: &Fleet, expr: &str) -> Result<Vec<f64>, String> {
    let now = jiff::Timestamp::now().as_millisecond();
    let answer = fleet
        .query(FleetQuery::new(expr, Grid::instant(now)))
        .await
        .map_err(|error| error.to_string())?;
    if let Some(notice) = answer.completeness.notice() {
        return Err(notice);
    }
    match answer.outcome.value {
        PromValue::Vector(list) => Ok(list
            .iter()
            .filter_map(|series| series.values.first().copied())
            .collect()),
        other => Err(format!("not a vector: {other:?}")),
    }
}

impl Web {
    async fn check<W: Write>(&self, report: &mut Report<'_, W>) -> anyhow::Result<()> {
        let health = self.call("/api/datasources/uid/podscope/health", None).await;
        let message = |body: Value| body["message"].as_str().unwrap_or_default().to_owned();
        report.line("datasource", health.map(message))?;
        for uid in ["podscope-node", "nvidia-dcgm"] {
            let result = match self.call(&format!("/api/dashboards/uid/{uid}"), None).await {
                // Grafana wraps the dashboard, the preview does not.
                Ok(body) => self.dashboard(body.get("dashboard").unwrap_or(&body)).await,
                Err(reason) => Err(reason),
            };
            report.line(&format!("dashboard {uid}"), result)?;
        }
        Ok(())
    }

    /// Runs every panel's queries with every variable at "all".
    async fn dashboard(&self, board: &Value) -> Result<String, String> {
        let panels = board["panels"].as_array().ok_or("it has no panels")?;
        let (mut shown, mut nothing) = (0, 0);
        for panel in panels {
            let Some(targets) = panel["targets"].as_array() else {
                continue;
            };
            let title = panel["title"].as_str().unwrap_or("untitled");
            let queries: Vec<Value> = targets.iter().map(|target| all(target, board)).collect();
            let body = json!({ "from": "now-15m", "to": "now", "queries": queries });
            let answer = self
                .call("/api/ds/query", Some(&body))
                .await
                .map_err(|reason| format!("{title}: {reason}"))?;
            let results = answer["results"]
                .as_object()
                .ok_or_else(|| format!("{title}: no results"))?;
            let mut rows = 0;
            for (ref_id, result) in results {
                if let Some(error) = result["error"].as_str() {
                    return Err(format!("panel {title:?}, query {ref_id}: {error}"));
                }
                rows += result["frames"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(rows_of)
                    .sum::<usize>();
            }
            // A panel that says itself what its emptiness means may be empty: no MIG slices, no alarms.
            let may_be_empty = panel["fieldConfig"]["defaults"]["noValue"].is_string();
            if rows == 0 && !may_be_empty {
                return Err(format!("panel {title:?} shows no data"));
            }
            shown += usize::from(rows > 0);
            nothing += usize::from(rows == 0);
        }
        if shown == 0 {
            return Err("it has no panel with a query".to_owned());
        }
        Ok(match nothing {
            0 => format!("{shown} panels show data"),
            _ => format!("{shown} panels show data, {nothing} have nothing to show"),
        })
    }
}

fn rows_of(frame: &Value) -> usize {
    frame["data"]["values"][0].as_array().map_or(0, Vec::len)
}

/// A panel's query with its variables replaced by what matches everything.
fn all(target: &Value, board: &Value) -> Value {
    let mut query = target.clone();
    let mut expr = target["expr"].as_str().unwrap_or_default().to_owned();
    for variable in board["templating"]["list"].as_array().into_iter().flatten() {
        if let Some(name) = variable["name"].as_str() {
            expr = expr
                .replace(&format!("${{{name}}}"), ".*")
                .replace(&format!("${name}"), ".*");
        }
    }
    query["expr"] = expr.into();
    query["datasource"] = json!({ "uid": "podscope", "type": crate::convert::OURS });
    query["intervalMs"] = 1000.into();
    query["maxDataPoints"] = 500.into();
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panels_query_is_asked_for_everything() {
        let board = json!({ "templating": { "list": [{ "name": "instance" }] } });
        let target = json!({ "refId": "A", "expr": "up{instance=~\"$instance\"}[$__rate_interval]" });
        assert_eq!(
            all(&target, &board)["expr"],
            "up{instance=~\".*\"}[$__rate_interval]"
        );
    }

    #[tokio::test]
    async fn what_does_not_answer_is_named() {
        let mut out = Vec::new();
        let arguments = VerifyArguments {
            scenario: None,
            seeds: 20,
            place: Place::at(std::env::temp_dir().join("podscope-verify-none")),
            agents: vec!["http://127.0.0.1:1".to_owned()],
            web: Some("http://127.0.0.1:1".to_owned()),
            login_file: None,
        };
        let good = run(arguments, &mut out).await.expect("a report");
        let text = String::from_utf8(out).expect("text");
        assert!(!good);
        assert!(
            text.contains("FAIL  agent 127.0.0.1:1") && text.contains("FAIL  datasource"),
            "{text}"
        );
    }
}
