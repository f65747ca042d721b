//! `podscope import`: samples of the past into a stopped agent's data folder, or into a running agent.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use podscope_agent::ingest;
use podscope_agent::remote_write::{Label, Sample, Series, encode};
use podscope_fanout::HttpAgent;
use podscope_history::{History, Options};
use podscope_model::labels::{Labels, NAME};
use podscope_promql::memory::MemorySource;
use podscope_promql::openmetrics::{self, TimeUnit};

use crate::event::connection;
use crate::time::parse_time;

/// Samples in one request to a running agent.
const AT_ONCE: usize = 50_000;

#[derive(Debug, Args)]
pub(crate) struct ImportArguments {
    /// The file: OpenMetrics text with timestamps, or CSV with the header `timestamp,metric,<labels>,value` (time as epoch
    /// seconds or RFC 3339; every further column is a label, empty means absent). `-` is standard input.
    file: PathBuf,
    /// The file's format. Default: by the file's ending.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Data folder of an agent that is not running.
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["agent", "token_file", "ca"])]
    data_dir: Option<PathBuf>,
    /// The running agent to tell.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:9477")]
    agent: String,
    /// A file that holds its token for writing (`write.token_file`).
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A file with the certificates to trust, in PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Openmetrics,
    Csv,
}

pub(crate) async fn run(arguments: ImportArguments, out: &mut impl Write) -> anyhow::Result<bool> {
    let shown = arguments.file.display().to_string();
    let text = match shown.as_str() {
        "-" => std::io::read_to_string(std::io::stdin()).context("reading standard input")?,
        _ => std::fs::read_to_string(&arguments.file).with_context(|| format!("reading {shown}"))?,
    };
    let format = match (
        arguments.format,
        arguments.file.extension().and_then(|ending| ending.to_str()),
    ) {
        (Some(format), _) => format,
        (None, Some("csv")) => Format::Csv,
        (None, _) => Format::Openmetrics,
    };
    let source = match format {
        Format::Openmetrics => {
            openmetrics::read(&text, TimeUnit::Seconds, None).with_context(|| shown.clone())?
        }
        Format::Csv => MemorySource::from_samples(csv(&text).with_context(|| shown.clone())?),
    };
    let series: Vec<Series> = source
        .all()
        .map(|one| Series {
            labels: one
                .labels
                .iter()
                .map(|label| Label {
                    name: label.name.to_string(),
                    value: label.value.to_string(),
                })
                .collect(),
            samples: one
                .timestamps
                .iter()
                .zip(one.values.iter())
                .map(|(timestamp, value)| Sample {
                    value: *value,
                    timestamp: *timestamp,
                })
                .collect(),
        })
        .collect();
    let count: usize = series.iter().map(|one| one.samples.len()).sum();
    let target = match &arguments.data_dir {
        Some(dir) => {
            into_folder(dir, &series)?;
            dir.display().to_string()
        }
        None => {
            into_agent(&arguments, &series).await?;
            arguments.agent.clone()
        }
    };
    writeln!(out, "{} series, {count} samples into {target}", series.len())?;
    Ok(true)
}

fn into_folder(dir: &Path, series: &[Series]) -> anyhow::Result<()> {
    if !dir.is_dir() {
        bail!("{} is no folder; name the agent's `data_dir`", dir.display());
    }
    // Nothing is old here: the agent's own settings decide what it keeps.
    let options = Options {
        max_age: std::time::Duration::from_secs(100 * 365 * 86_400),
        max_bytes: u64::MAX,
        ..Options::new(dir)
    };
    let (history, _) = History::open(options).with_context(|| dir.display().to_string())?;
    ingest::import(&history, series)?;
    history.seal()?;
    Ok(())
}

async fn into_agent(arguments: &ImportArguments, series: &[Series]) -> anyhow::Result<()> {
    let url = &arguments.agent;
    let config = connection(
        std::slice::from_ref(url),
        arguments.token_file.as_ref(),
        arguments.ca.as_ref(),
    )?;
    let agent = HttpAgent::new(url, &config)?;
    for request in requests(series) {
        let body = encode(&request);
        agent
            .write("/v1/import", "application/x-protobuf", body.into())
            .await
            .with_context(|| url.clone())?;
    }
    Ok(())
}

/// Series with the same times go together, since they become one stream; long ones in pieces of time, oldest first.
fn requests(series: &[Series]) -> Vec<Vec<Series>> {
    let mut groups: BTreeMap<Vec<i64>, Vec<&Series>> = BTreeMap::new();
    for one in series {
        let times = one.samples.iter().map(|sample| sample.timestamp).collect();
        groups.entry(times).or_default().push(one);
    }
    let mut all = Vec::new();
    for (times, group) in groups {
        // So few that the agent takes a request whole, so many that there are not too many requests.
        let rows = (AT_ONCE / group.len()).max(1);
        for from in (0..times.len()).step_by(rows) {
            let until = times.len().min(from + rows);
            let piece = group.iter().map(|one| Series {
                labels: one.labels.clone(),
                samples: one.samples[from..until].to_vec(),
            });
            all.push(piece.collect());
        }
    }
    all
}

/// Samples of a CSV text; an error names the line.
fn csv(text: &str) -> anyhow::Result<Vec<(Labels, i64, f64)>> {
    let mut reader = ::csv::ReaderBuilder::new()
        .trim(::csv::Trim::All)
        .from_reader(text.as_bytes());
    let header: Vec<String> = reader
        .headers()
        .context("line 1")?
        .iter()
        .map(ToOwned::to_owned)
        .collect();
    let column = |name: &str| {
        header.iter().position(|column| column == name).with_context(|| {
            format!("line 1: the column {name:?} is missing; the header is timestamp,metric,<labels>,value")
        })
    };
    let (time, metric, value) = (column("timestamp")?, column("metric")?, column("value")?);
    for (at, name) in header.iter().enumerate() {
        if name.is_empty() || header.iter().skip(at + 1).any(|other| other == name) {
            bail!("line 1: the column {name:?} has no name or is there twice");
        }
    }
    let mut samples = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| match error.position() {
            Some(position) => anyhow::anyhow!("line {}: {error}", position.line()),
            None => anyhow::anyhow!(error),
        })?;
        let line = record.position().map_or(0, ::csv::Position::line);
        let field = |at: usize| record.get(at).unwrap_or_default();
        let t_ms = parse_time(field(time)).map_err(|error| anyhow::anyhow!("line {line}: {error}"))?;
        let number: f64 = field(value)
            .parse()
            .map_err(|_| anyhow::anyhow!("line {line}: value {:?} is not a number", field(value)))?;
        if field(metric).is_empty() {
            bail!("line {line}: the metric's name is missing");
        }
        let labels = header
            .iter()
            .enumerate()
            .filter(|(at, _)| ![time, metric, value].contains(at))
            .map(|(at, name)| (name.as_str(), field(at)));
        samples.push((
            Labels::from_pairs(labels.chain([(NAME, field(metric))])),
            t_ms,
            number,
        ));
    }
    Ok(samples)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_read_by_its_header() {
        let text = "metric,timestamp,value,gpu\nutil,1.5,42,0\nutil,1970-01-01T00:00:02Z,43,\n\"a,b\",-1,NaN,\"x\"\"y\"\n";
        let all: Vec<String> = csv(text)
            .expect("valid")
            .iter()
            .map(|(labels, time, value)| format!("{labels} {time} {value}"))
            .collect();
        assert_eq!(
            all,
            [
                "util{gpu=\"0\"} 1500 42",
                "util 2000 43",
                "a,b{gpu=\"x\\\"y\"} -1000 NaN"
            ]
        );
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        for (text, message) in [
            ("time,value\n", "line 1: the column \"timestamp\" is missing"),
            (
                "timestamp,metric,value\n1,a,1\nsoon,a,1\n",
                "line 3: \"soon\" is not a time",
            ),
            (
                "timestamp,metric,value\n1,a,one\n",
                "line 2: value \"one\" is not a number",
            ),
            (
                "timestamp,metric,value\n1,,1\n",
                "line 2: the metric's name is missing",
            ),
            ("timestamp,metric,value\n1,a\n", "line 2"),
            ("timestamp,metric,value,a,a\n", "line 1: the column \"a\""),
        ] {
            let error = format!("{:#}", csv(text).expect_err(text));
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn a_long_import_goes_in_pieces_of_time_with_every_series_of_its_group() {
        let series: Vec<Series> = (0..2)
            .map(|_| Series {
                labels: Vec::new(),
                samples: (0..60_000)
                    .map(|timestamp| Sample {
                        value: 0.0,
                        timestamp,
                    })
                    .collect(),
            })
            .collect();
        let all = requests(&series);
        assert_eq!(all.len(), 3);
        assert!(all.iter().all(|request| request.len() == 2));
        assert_eq!(all[1][1].samples[0].timestamp, 25_000);
    }
}
