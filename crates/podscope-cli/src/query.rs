//! `podscope query`: PromQL against agents, or against a text file of samples.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use podscope_fanout::{Fleet, FleetConfig, FleetQuery, Secret, TargetSpec};
use podscope_model::leaf::Annotation;
use podscope_model::sample::Grid;
use podscope_model::source::Budget;
use podscope_promql::openmetrics::{self, TimeUnit};
use podscope_promql::{Options, Outcome, ValueType, api_json, evaluate, parse};

use crate::explain::Explained;
use crate::table;
use crate::time::{parse_step, parse_time};

/// Steps one query may have, as in Prometheus.
const MAX_STEPS: usize = 11_000;

#[derive(Debug, Args)]
pub(crate) struct QueryArguments {
    /// The PromQL expression.
    expr: String,
    /// An agent or hub to ask; may be given several times.
    #[arg(long = "agent", value_name = "URL", default_value = "http://127.0.0.1:9477")]
    agents: Vec<String>,
    /// A file that holds the agents' bearer token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A file with the certificates to trust, in PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Evaluate over an OpenMetrics text file with timestamps instead of asking agents.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["token_file", "ca"])]
    data: Option<PathBuf>,
    /// Evaluation time of an instant query: epoch seconds with decimals, or RFC 3339. Default: now.
    #[arg(long, value_name = "T", allow_hyphen_values = true, conflicts_with_all = ["start", "end", "step"])]
    time: Option<String>,
    /// Start of a range query.
    #[arg(long, value_name = "S", allow_hyphen_values = true, requires_all = ["end", "step"])]
    start: Option<String>,
    /// End of a range query.
    #[arg(long, value_name = "E", allow_hyphen_values = true, requires = "start")]
    end: Option<String>,
    /// Step of a range query: seconds with decimals, or a duration such as 30s.
    #[arg(long, value_name = "D", requires = "start")]
    step: Option<String>,
    /// How long one agent may take to answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    timeout: f64,
    /// Print how the query was answered instead of the answer: what the nodes were asked, what came back, what it cost.
    #[arg(long, conflicts_with = "data")]
    explain: bool,
    /// How the answer is printed.
    #[arg(long, value_enum, default_value_t = Output::Table)]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// One line per series.
    Table,
    /// The JSON of Prometheus's HTTP API.
    Json,
}

/// A failed query, in the words of Prometheus's HTTP API.
#[derive(Debug)]
struct Failure {
    kind: &'static str,
    message: String,
}

impl Failure {
    fn bad_data(message: impl ToString) -> Self {
        Self {
            kind: "bad_data",
            message: message.to_string(),
        }
    }

    fn execution(message: impl ToString) -> Self {
        Self {
            kind: "execution",
            message: message.to_string(),
        }
    }
}

struct Answer {
    /// With a warning for who did not answer.
    outcome: Outcome,
    grid: Grid,
    /// Steps were asked for, be it one.
    range: bool,
    /// How it came about, where that was asked for.
    explained: Option<Explained>,
}

/// Runs the query and prints the answer. Answers whether it succeeded; an error of the query has then been printed.
pub(crate) async fn run(
    arguments: QueryArguments,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<bool> {
    let output = arguments.output;
    match answer(arguments).await {
        Ok(answer) => {
            print(&answer, output, out, err)?;
            Ok(true)
        }
        Err(failure) => {
            if output == Output::Json {
                writeln!(out, "{}", api_json::error(failure.kind, &failure.message))?;
            } else {
                writeln!(err, "podscope query: {}", failure.message)?;
            }
            Ok(false)
        }
    }
}

async fn answer(arguments: QueryArguments) -> Result<Answer, Failure> {
    let parsed = parse(&arguments.expr).map_err(Failure::bad_data)?;
    let grid = grid(&arguments)?;
    let range = arguments.start.is_some();
    if range && matches!(parsed.value_type(), ValueType::Matrix | ValueType::String) {
        return Err(Failure::bad_data(format!(
            "a range query needs a scalar or an instant vector, and {:?} is neither; ask for it with --time",
            arguments.expr
        )));
    }
    if let Some(path) = &arguments.data {
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::bad_data(format!("reading {}: {error}", path.display())))?;
        let source = openmetrics::read(&text, TimeUnit::Seconds, None)
            .map_err(|error| Failure::bad_data(format!("{}: {error}", path.display())))?;
        let outcome = evaluate(&parsed, grid, Options::default(), &source, &Budget::unlimited())
            .map_err(Failure::execution)?;
        return Ok(Answer {
            outcome,
            grid,
            range,
            explained: None,
        });
    }
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path)
            .map_err(|error| Failure::bad_data(format!("reading {}: {error}", path.display())))
    };
    let mut config = FleetConfig::new(arguments.agents.iter().map(TargetSpec::new).collect());
    if !(arguments.timeout.is_finite() && arguments.timeout > 0.0) {
        return Err(Failure::bad_data(
            "--timeout must be a positive number of seconds",
        ));
    }
    config.timeout = Duration::from_secs_f64(arguments.timeout.min(3600.0));
    config.token = match &arguments.token_file {
        Some(path) => Some(Secret::new(read(path)?.trim())),
        None => None,
    };
    config.tls.ca_pem = arguments.ca.as_ref().map(read).transpose()?;
    let fleet = Fleet::new(config).map_err(Failure::bad_data)?;
    let answer = fleet
        .query(FleetQuery::new(arguments.expr, grid))
        .await
        .map_err(Failure::execution)?;
    if answer.completeness.expected > 0 && answer.completeness.answered == 0 {
        let notice = answer
            .completeness
            .notice()
            .unwrap_or_else(|| "no agent answered".to_owned());
        return Err(Failure {
            kind: "unavailable",
            message: notice,
        });
    }
    let mut outcome = answer.outcome;
    outcome
        .annotations
        .extend(answer.completeness.notice().map(Annotation::Warning));
    let explained = arguments.explain.then(|| {
        Explained::new(
            parsed.text(),
            grid,
            &outcome.value,
            answer.completeness,
            answer.stats,
        )
    });
    Ok(Answer {
        outcome,
        grid,
        range,
        explained,
    })
}

fn grid(arguments: &QueryArguments) -> Result<Grid, Failure> {
    let time = |flag: &str, text: &str| {
        parse_time(text).map_err(|error| Failure::bad_data(format!("{flag}: {error}")))
    };
    let (Some(start), Some(end), Some(step)) = (&arguments.start, &arguments.end, &arguments.step) else {
        return match &arguments.time {
            Some(text) => Ok(Grid::instant(time("--time", text)?)),
            None => Ok(Grid::instant(jiff::Timestamp::now().as_millisecond())),
        };
    };
    let grid = Grid {
        start_ms: time("--start", start)?,
        end_ms: time("--end", end)?,
        step_ms: parse_step(step).map_err(|error| Failure::bad_data(format!("--step: {error}")))?,
    };
    if grid.end_ms < grid.start_ms {
        return Err(Failure::bad_data("--end lies before --start"));
    }
    if grid.len() > MAX_STEPS {
        return Err(Failure::bad_data(format!(
            "{} steps are more than {MAX_STEPS}; use a longer --step or a shorter range",
            grid.len()
        )));
    }
    Ok(grid)
}

fn print(answer: &Answer, output: Output, out: &mut impl Write, err: &mut impl Write) -> anyhow::Result<()> {
    match (output, &answer.explained) {
        (Output::Json, Some(explained)) => writeln!(out, "{}", explained.json()?)?,
        (Output::Table, Some(explained)) => explained.print(out)?,
        (Output::Json, None) => {
            writeln!(
                out,
                "{}",
                api_json::success(&answer.outcome, answer.grid, answer.range)
            )?;
        }
        (Output::Table, None) => {
            table::print(&answer.outcome.value, answer.grid, answer.range, out)?;
            for annotation in &answer.outcome.annotations {
                let (level, text) = match annotation {
                    Annotation::Info(text) => ("info", text),
                    Annotation::Warning(text) => ("warning", text),
                };
                writeln!(err, "{level}: {text}")?;
            }
        }
    }
    Ok(())
}
