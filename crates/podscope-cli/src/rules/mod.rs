//! `podscope rules`: the shipped alert rules, looked at and tried out without a Grafana.

mod check;
mod file;
mod replay;
mod scenario;
mod state;

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use clap::Subcommand;
use podscope_fanout::{Fleet, FleetConfig, Secret, TargetSpec};

use crate::time::parse_time;

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Lists the rules of a file.
    List(Files),
    /// Checks the rules of a file: form, expressions, metric names, panels and runbooks they link to.
    Check(Files),
    /// Tries every rule out against the simulated cluster: quiet while all is well, firing under its own trouble, resolved after.
    Test(Files),
    /// Says when the rules would have fired over a past range of an agent's or hub's history.
    Replay(ReplayArguments),
}

#[derive(Debug, clap::Args)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    files: Files,
    /// An agent or hub to ask; may be given several times.
    #[arg(long = "agent", value_name = "URL", default_value = "http://127.0.0.1:9477")]
    agents: Vec<String>,
    /// A file that holds the agents' bearer token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Only this rule.
    #[arg(long, value_name = "UID")]
    rule: Option<String>,
    /// Start of the range: epoch seconds with decimals, or RFC 3339.
    #[arg(long, value_name = "S")]
    start: String,
    /// End of the range. Default: now.
    #[arg(long, value_name = "E")]
    end: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Files {
    /// The folder that holds provisioning/, dashboards/ and docs/.
    #[arg(long, value_name = "DIR", default_value = ".")]
    home: PathBuf,
    /// The rules; default: provisioning/alerting/podscope.yaml in the folder.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

impl Files {
    fn rules(&self) -> anyhow::Result<Vec<file::Rule>> {
        let path = self
            .file
            .clone()
            .unwrap_or_else(|| self.home.join("provisioning/alerting/podscope.yaml"));
        file::read(&path)
    }
}

/// Answers whether all is well.
pub(crate) async fn run(command: &RulesCommand, out: &mut impl Write) -> anyhow::Result<bool> {
    match command {
        RulesCommand::List(files) => {
            for rule in files.rules()? {
                writeln!(
                    out,
                    "{:<32} {:<20} {:<9} for {:>5} s  {} {}{}",
                    rule.uid,
                    rule.group,
                    rule.labels.get("severity").map_or("", String::as_str),
                    rule.pending.as_secs(),
                    rule.title,
                    rule.threshold,
                    if rule.paused { "  (paused)" } else { "" }
                )?;
            }
            Ok(true)
        }
        RulesCommand::Check(files) => {
            let rules = files.rules()?;
            let faults = check::faults(&rules, &files.home);
            for fault in &faults {
                writeln!(out, "FAIL  {fault}")?;
            }
            writeln!(out, "{} rules, {} faults", rules.len(), faults.len())?;
            Ok(faults.is_empty())
        }
        RulesCommand::Test(files) => test(&files.rules()?, out).await,
        RulesCommand::Replay(arguments) => replay_all(arguments, out).await,
    }
}

async fn replay_all(arguments: &ReplayArguments, out: &mut impl Write) -> anyhow::Result<bool> {
    let mut rules = arguments.files.rules()?;
    if let Some(uid) = &arguments.rule {
        rules.retain(|rule| rule.uid == *uid);
        ensure!(
            !rules.is_empty(),
            "there is no rule {uid:?}; `podscope rules list` has their names"
        );
    }
    let start_ms = parse_time(&arguments.start)
        .map_err(anyhow::Error::msg)
        .context("--start")?;
    let end_ms = match &arguments.end {
        Some(end) => parse_time(end).map_err(anyhow::Error::msg).context("--end")?,
        None => jiff::Timestamp::now().as_millisecond(),
    };
    ensure!(start_ms < end_ms, "the range ends before it starts");
    let token = arguments
        .token_file
        .as_ref()
        .map(|path| std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display())))
        .transpose()?;
    let fleet = Fleet::new(FleetConfig {
        targets: arguments.agents.iter().map(TargetSpec::new).collect(),
        token: token.map(|token| Secret::new(token.trim())),
        ..FleetConfig::default()
    })?;
    let mut fired = 0;
    for rule in &rules {
        for change in replay::replay(&fleet, rule, start_ms, end_ms).await? {
            fired += usize::from(change.firing);
            let at = jiff::Timestamp::from_millisecond(change.at_ms)?;
            let what = if change.firing { "fires" } else { "resolved" };
            writeln!(out, "{at:.0}  {what:<9} {:<32} {}", rule.uid, change.labels)?;
        }
    }
    writeln!(out, "{} rules, fired {fired} times", rules.len())?;
    Ok(true)
}

async fn test(rules: &[file::Rule], out: &mut impl Write) -> anyhow::Result<bool> {
    let verdicts = scenario::run(rules).await?;
    let said = |result: &Result<String, String>| match result {
        Ok(text) => text.clone(),
        Err(text) => format!("NO: {text}"),
    };
    writeln!(out, "{:<32} {:<8} {:<20} resolved", "rule", "quiet", "firing")?;
    let mut failed = 0;
    for rule in rules {
        if let Some(verdict) = verdicts.get(&rule.uid) {
            failed += usize::from(!verdict.passed());
            let quiet = match &verdict.quiet {
                Ok(()) => "yes".to_owned(),
                Err(text) => format!("NO: {text}"),
            };
            writeln!(
                out,
                "{:<32} {quiet:<8} {:<20} {}",
                rule.uid,
                said(&verdict.firing),
                said(&verdict.resolved)
            )?;
        }
    }
    writeln!(out, "{} rules tried, {failed} failed", verdicts.len())?;
    Ok(failed == 0)
}
