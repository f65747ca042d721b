//! `podscope event`: what happened, told to an agent or hub and asked back.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use podscope_fanout::{EventsRequest, Fleet, FleetConfig, HttpAgent, Secret, TargetSpec};
use podscope_model::event::{EventFilter, EventId, EventKind, Severity, StoredEvent};
use serde_json::{Map, Value, json};

use crate::time::{parse_step, parse_time};

#[derive(Debug, Subcommand)]
pub(crate) enum EventCommand {
    /// Adds an event, a change unless said otherwise.
    Add(AddArguments),
    /// Declares an incident: an event that goes on until it is closed.
    Open(AddArguments),
    /// Closes what is open.
    Close(CloseArguments),
    /// Lists events, newest first.
    List(ListArguments),
}

#[derive(Debug, Args)]
pub(crate) struct AgentArguments {
    /// The agent or hub to tell.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9477")]
    agent: String,
    /// A file that holds its token for writing (`write.token_file`).
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A file with the certificates to trust, in PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AddArguments {
    /// What happened, in one line.
    title: String,
    /// incident, change, alarm, trap, log, xid, job, link or note.
    #[arg(long)]
    kind: Option<EventKind>,
    /// debug, info, warning, error or critical.
    #[arg(long)]
    severity: Option<Severity>,
    /// Everything else there is to say.
    #[arg(long, default_value = "")]
    text: String,
    /// A label; may be given several times.
    #[arg(long = "label", value_name = "NAME=VALUE")]
    labels: Vec<String>,
    /// Of an incident: whom it hits.
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,
    /// Of an incident: who leads.
    #[arg(long, value_name = "PERSON")]
    commander: Option<String>,
    /// Of an incident: investigating, identified, monitoring or resolved.
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,
    /// Who reports it.
    #[arg(long, default_value = "cli")]
    source: String,
    /// When it happened: epoch seconds or RFC 3339. Default: now.
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    time: Option<String>,
    /// When it ended.
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    end: Option<String>,
    #[command(flatten)]
    agent: AgentArguments,
}

#[derive(Debug, Args)]
pub(crate) struct CloseArguments {
    /// The id that `open` or `list` printed.
    id: EventId,
    /// What is known of it now; replaces the text.
    #[arg(long)]
    text: Option<String>,
    /// When it ended. Default: now.
    #[arg(long, value_name = "T", allow_hyphen_values = true)]
    end: Option<String>,
    #[command(flatten)]
    agent: AgentArguments,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Label matchers and line filters: '{kind="change"} |= "prefetch"'. Default: every event.
    #[arg(default_value = "")]
    selector: String,
    /// How far back.
    #[arg(long, value_name = "D", default_value = "24h")]
    since: String,
    /// The newest so many.
    #[arg(long, default_value_t = 100)]
    limit: u32,
    /// An agent or hub to ask; may be given several times.
    #[arg(long = "agent", value_name = "URL", default_value = "http://127.0.0.1:9477")]
    agents: Vec<String>,
    /// A file that holds the agents' bearer token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A file with the certificates to trust, in PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// One line per event.
    Table,
    /// One JSON object per line.
    Json,
}

/// Does what was asked and prints what came of it.
pub(crate) async fn run(
    command: EventCommand,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<bool> {
    match command {
        EventCommand::Add(arguments) => add(arguments, false, out).await.map(|()| true),
        EventCommand::Open(arguments) => add(arguments, true, out).await.map(|()| true),
        EventCommand::Close(arguments) => close(arguments, out).await.map(|()| true),
        EventCommand::List(arguments) => list(arguments, out, err).await,
    }
}

pub(crate) fn connection(
    urls: &[String],
    token_file: Option<&PathBuf>,
    ca: Option<&PathBuf>,
) -> anyhow::Result<FleetConfig> {
    let read =
        |path: &PathBuf| std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()));
    let mut config = FleetConfig::new(urls.iter().map(TargetSpec::new).collect());
    config.timeout = Duration::from_secs(10);
    config.token = match token_file {
        Some(path) => Some(Secret::new(read(path)?.trim())),
        None => None,
    };
    config.tls.ca_pem = ca.map(read).transpose()?;
    Ok(config)
}

fn time_ms(flag: &str, text: &str) -> anyhow::Result<i64> {
    parse_time(text).map_err(|error| anyhow::anyhow!("{flag}: {error}"))
}

async fn add(arguments: AddArguments, open: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let mut labels = Map::new();
    let own = [
        ("scope", &arguments.scope),
        ("commander", &arguments.commander),
        ("status", &arguments.status),
    ];
    for (name, value) in own {
        if let Some(value) = value {
            labels.insert(name.to_owned(), Value::from(value.as_str()));
        }
    }
    for label in &arguments.labels {
        let Some((name, value)) = label.split_once('=') else {
            bail!("--label {label}: write NAME=VALUE");
        };
        labels.insert(name.trim().to_owned(), Value::from(value));
    }
    let (kind, severity) = match open {
        true => (EventKind::Incident, Severity::Critical),
        false => (EventKind::Change, Severity::Info),
    };
    let time = match &arguments.time {
        Some(text) => time_ms("--time", text)?,
        None => jiff::Timestamp::now().as_millisecond(),
    };
    let mut event = json!({
        "title": arguments.title,
        "text": arguments.text,
        "kind": arguments.kind.unwrap_or(kind),
        "severity": arguments.severity.unwrap_or(severity),
        "source": arguments.source,
        "labels": labels,
        "time_ms": time,
    });
    match &arguments.end {
        Some(end) => event["end_ms"] = json!(time_ms("--end", end)?),
        None if open => event["open"] = json!(true),
        None => {}
    }
    tell(&arguments.agent, &event, out).await
}

async fn close(arguments: CloseArguments, out: &mut impl Write) -> anyhow::Result<()> {
    let end = match &arguments.end {
        Some(text) => time_ms("--end", text)?,
        None => jiff::Timestamp::now().as_millisecond(),
    };
    let mut change = json!({ "id": arguments.id, "end_ms": end });
    if let Some(text) = arguments.text {
        change["text"] = json!(text);
    }
    tell(&arguments.agent, &change, out).await
}

/// Sends one event and prints its id and what became of it.
async fn tell(to: &AgentArguments, event: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let config = connection(
        std::slice::from_ref(&to.agent),
        to.token_file.as_ref(),
        to.ca.as_ref(),
    )?;
    let agent = HttpAgent::new(&to.agent, &config)?;
    let body = serde_json::to_vec(event)?;
    let answer = agent
        .write("/v1/events", "application/json", body.into())
        .await
        .with_context(|| to.agent.clone())?;
    let answer: Value =
        serde_json::from_slice(&answer).with_context(|| format!("{} answered no JSON", to.agent))?;
    let result = &answer["events"][0];
    let word = |key: &str| result[key].as_str().unwrap_or_default().to_owned();
    writeln!(out, "{} {}", word("id"), word("result"))?;
    Ok(())
}

async fn list(arguments: ListArguments, out: &mut impl Write, err: &mut impl Write) -> anyhow::Result<bool> {
    let filter = EventFilter::parse(&arguments.selector)?;
    let since = parse_step(&arguments.since).map_err(|error| anyhow::anyhow!("--since: {error}"))?;
    let config = connection(
        &arguments.agents,
        arguments.token_file.as_ref(),
        arguments.ca.as_ref(),
    )?;
    let now = jiff::Timestamp::now().as_millisecond();
    let request = EventsRequest {
        filter,
        start_ms: now - since,
        // Somebody's clock may be ahead of ours.
        end_ms: now + 60_000,
        limit: arguments.limit,
        stored_after_ms: None,
        user: None,
    };
    let found = Fleet::new(config)?.events(request).await?;
    for stored in &found.events {
        match arguments.output {
            Output::Json => writeln!(out, "{}", serde_json::to_string(stored)?)?,
            Output::Table => writeln!(out, "{}", line(stored))?,
        }
    }
    if found.truncated {
        writeln!(
            err,
            "info: only the newest {} are shown; raise --limit or narrow the selector",
            found.events.len()
        )?;
    }
    if let Some(notice) = found.completeness.notice() {
        writeln!(err, "warning: {notice}")?;
    }
    Ok(true)
}

/// `2026-11-21T08:26:00Z .. open  incident critical  SEV-1  {pod="p2"}  3f..`
fn line(stored: &StoredEvent) -> String {
    let event = &stored.event;
    let time = |ms: i64| {
        jiff::Timestamp::from_millisecond(ms).map_or_else(|_| format!("{ms} ms"), |time| time.to_string())
    };
    let end = match (event.open, event.end_ms) {
        (true, _) => " .. open".to_owned(),
        (false, Some(end)) => format!(" .. {}", time(end)),
        (false, None) => String::new(),
    };
    let text = match event.text.lines().next() {
        Some(first) => format!(" | {first}"),
        None => String::new(),
    };
    format!(
        "{}{end}  {} {}  {}{text}  {}  {}",
        time(event.time_ms),
        event.kind,
        event.severity,
        event.title,
        event.labels,
        stored.id
    )
}
