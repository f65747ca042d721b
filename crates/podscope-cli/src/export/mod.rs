//! `podscope export`: samples out of agents into a file that other programs read.

mod openmetrics;
mod parquet;

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use podscope_fanout::{Fleet, FleetQuery};
use podscope_model::labels::Labels;
use podscope_model::sample::{Grid, is_stale};
use podscope_promql::{Value, ValueType, parse};

use crate::event::connection;
use crate::time::{parse_step, parse_time};

/// What one question to the agents covers: their answers stay small.
const SPAN_MS: i64 = 3_600_000;

#[derive(Debug, Args)]
pub(crate) struct ExportArguments {
    /// What to export: a selector such as 'DCGM_FI_DEV_GPU_UTIL{gpu="0"}'; may be given several times.
    #[arg(required = true)]
    selectors: Vec<String>,
    /// An agent or hub to ask; may be given several times.
    #[arg(long = "agent", value_name = "URL", default_value = "http://127.0.0.1:9477")]
    agents: Vec<String>,
    /// A file that holds the agents' bearer token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A file with the certificates to trust, in PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// First instant, not itself included: epoch seconds or RFC 3339. Default: an hour before the end.
    #[arg(long, value_name = "S", allow_hyphen_values = true)]
    start: Option<String>,
    /// Last instant. Default: now.
    #[arg(long, value_name = "E", allow_hyphen_values = true)]
    end: Option<String>,
    /// The file's format. Default: by the file's ending.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Parquet and CSV: a row per sample (long), or a row per instant and a column per series (wide).
    #[arg(long, value_enum, default_value_t = Layout::Long)]
    layout: Layout,
    /// Where to write; `-` is standard output.
    #[arg(long, short, value_name = "FILE", default_value = "-")]
    out: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// OpenMetrics text with timestamps.
    Openmetrics,
    /// Comma-separated values with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Layout {
    Long,
    Wide,
}

/// One series with its samples, stale markers left out.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exported {
    pub(crate) labels: Labels,
    pub(crate) times: Vec<i64>,
    pub(crate) values: Vec<f64>,
}

pub(crate) async fn run(
    arguments: ExportArguments,
    out: &mut impl Write,
    err: &mut impl Write,
) -> anyhow::Result<bool> {
    let format = format_of(&arguments)?;
    let time = |flag: &str, text: &str| parse_time(text).map_err(|error| anyhow::anyhow!("{flag}: {error}"));
    let end = match &arguments.end {
        Some(text) => time("--end", text)?,
        None => jiff::Timestamp::now().as_millisecond(),
    };
    let start = match &arguments.start {
        Some(text) => time("--start", text)?,
        None => end - parse_step("1h").map_err(anyhow::Error::msg)?,
    };
    if end <= start {
        bail!("--end must lie after --start");
    }
    for selector in &arguments.selectors {
        let parsed = parse(selector).with_context(|| format!("selector {selector:?}"))?;
        if parsed.value_type() != ValueType::Vector || parsed.selectors().len() != 1 {
            bail!(
                "{selector:?} is no selector; write a metric name or label matchers, such as {{job=\"dcgm\"}}"
            );
        }
    }
    let config = connection(
        &arguments.agents,
        arguments.token_file.as_ref(),
        arguments.ca.as_ref(),
    )?;
    let fleet = Fleet::new(config)?;
    let series = gather(&fleet, &arguments.selectors, start, end, err).await?;
    let kinds = match format {
        Format::Openmetrics => fleet.metadata().await,
        Format::Csv | Format::Parquet => BTreeMap::new(),
    };
    let write = |target: &mut dyn Write| -> anyhow::Result<()> {
        match format {
            Format::Openmetrics => openmetrics::write(&series, &kinds, target),
            Format::Csv => csv(&series, arguments.layout, target),
            Format::Parquet => parquet::write(&series, arguments.layout, target),
        }
    };
    if arguments.out.as_os_str() == "-" {
        write(out)?;
    } else {
        let place = || format!("writing {}", arguments.out.display());
        let file = std::fs::File::create(&arguments.out).with_context(place)?;
        let mut file = BufWriter::new(file);
        write(&mut file).with_context(place)?;
        file.flush().with_context(place)?;
    }
    let samples: usize = series.iter().map(|one| one.times.len()).sum();
    writeln!(err, "{} series, {samples} samples", series.len())?;
    Ok(true)
}

fn format_of(arguments: &ExportArguments) -> anyhow::Result<Format> {
    if let Some(format) = arguments.format {
        return Ok(format);
    }
    match arguments.out.extension().and_then(|ending| ending.to_str()) {
        Some("parquet") => Ok(Format::Parquet),
        Some("csv") => Ok(Format::Csv),
        Some("om" | "txt" | "prom" | "openmetrics") => Ok(Format::Openmetrics),
        _ if arguments.out.as_os_str() == "-" => Ok(Format::Openmetrics),
        _ => bail!("--format is needed: the file's ending is none of parquet, csv, om, txt"),
    }
}

/// The samples in `start < t <= end`, an hour at a time, sorted by labels.
async fn gather(
    fleet: &Fleet,
    selectors: &[String],
    start: i64,
    end: i64,
    err: &mut impl Write,
) -> anyhow::Result<Vec<Exported>> {
    let mut all: BTreeMap<Labels, (Vec<i64>, Vec<f64>)> = BTreeMap::new();
    let mut missing = None;
    let mut from = start;
    while from < end {
        let until = end.min(from.saturating_add(SPAN_MS));
        for selector in selectors {
            let expr = format!("{selector}[{}ms]", until - from);
            let answer = fleet.query(FleetQuery::new(expr, Grid::instant(until))).await?;
            missing = answer.completeness.notice().or(missing);
            let Value::Samples(list) = answer.outcome.value else {
                bail!("{selector}: the agents answered no samples");
            };
            for series in list {
                let (times, values) = all.entry(series.labels).or_default();
                for (time, value) in series.timestamps.iter().zip(series.values.iter()) {
                    // Two selectors may want the same series.
                    if !is_stale(*value) && times.last().is_none_or(|last| last < time) {
                        times.push(*time);
                        values.push(*value);
                    }
                }
            }
        }
        from = until;
    }
    if let Some(notice) = missing {
        writeln!(err, "warning: {notice}")?;
    }
    let series = all.into_iter().map(|(labels, (times, values))| Exported {
        labels,
        times,
        values,
    });
    Ok(series.filter(|one| !one.times.is_empty()).collect())
}

/// The label names of all series, sorted, without the metric's name.
pub(crate) fn label_names(series: &[Exported]) -> Vec<String> {
    let names: std::collections::BTreeSet<&str> = series
        .iter()
        .flat_map(|one| one.labels.iter().map(|label| label.name.as_ref()))
        .filter(|name| *name != podscope_model::labels::NAME)
        .collect();
    names.into_iter().map(ToOwned::to_owned).collect()
}

/// All instants of all series, rising, each once.
pub(crate) fn instants(series: &[Exported]) -> Vec<i64> {
    let times: std::collections::BTreeSet<i64> =
        series.iter().flat_map(|one| one.times.iter().copied()).collect();
    times.into_iter().collect()
}

fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}

/// Long: `timestamp,metric,<labels>,value`, the form `podscope import` reads. Wide: `timestamp` and a column per series.
fn csv(series: &[Exported], layout: Layout, out: &mut dyn Write) -> anyhow::Result<()> {
    let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000));
    match layout {
        Layout::Long => {
            let names = label_names(series);
            let header: Vec<String> = names.iter().map(|name| quoted(name)).collect();
            writeln!(
                out,
                "timestamp,metric,{}{}value",
                header.join(","),
                if names.is_empty() { "" } else { "," }
            )?;
            for one in series {
                let metric = quoted(one.labels.metric_name().unwrap_or_default());
                let labels: String = names
                    .iter()
                    .map(|name| format!("{},", quoted(one.labels.get(name).unwrap_or_default())))
                    .collect();
                for (time, value) in one.times.iter().zip(&one.values) {
                    writeln!(out, "{},{metric},{labels}{value}", seconds(*time))?;
                }
            }
        }
        Layout::Wide => {
            let columns: Vec<String> = series.iter().map(|one| quoted(&one.labels.to_string())).collect();
            writeln!(out, "timestamp,{}", columns.join(","))?;
            let mut places = vec![0; series.len()];
            for instant in instants(series) {
                write!(out, "{}", seconds(instant))?;
                for (one, place) in series.iter().zip(&mut places) {
                    match one.times.get(*place) {
                        Some(time) if *time == instant => {
                            write!(out, ",{}", one.values[*place])?;
                            *place += 1;
                        }
                        _ => write!(out, ",")?,
                    }
                }
                writeln!(out)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use podscope_model::labels::NAME;

    use super::*;

    pub(crate) fn two() -> Vec<Exported> {
        let one = |gpu: &str, times: &[i64]| Exported {
            labels: Labels::from_pairs([(NAME, "util"), ("gpu", gpu)]),
            times: times.to_vec(),
            values: times.iter().map(|time| *time as f64 / 1000.0).collect(),
        };
        vec![one("0", &[1000, 2500]), one("a,b", &[2500])]
    }

    fn text(layout: Layout) -> String {
        let mut out = Vec::new();
        csv(&two(), layout, &mut out).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn csv_has_a_row_per_sample_or_per_instant() {
        assert_eq!(
            text(Layout::Long),
            "timestamp,metric,gpu,value\n1.000,util,0,1\n2.500,util,0,2.5\n2.500,util,\"a,b\",2.5\n"
        );
        assert_eq!(
            text(Layout::Wide),
            "timestamp,\"util{gpu=\"\"0\"\"}\",\"util{gpu=\"\"a,b\"\"}\"\n1.000,1,\n2.500,2.5,2.5\n"
        );
    }
}
