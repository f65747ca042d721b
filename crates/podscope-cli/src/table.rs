//! PromQL values as plain tables.

use std::io::{self, Write};

use podscope_model::sample::{Grid, is_stale};
use podscope_promql::Value;

/// Instant: `series  value`. Range: one line per series and step.
pub(crate) fn print(value: &Value, grid: Grid, range: bool, out: &mut impl Write) -> io::Result<()> {
    let mut lines: Vec<[String; 3]> = Vec::new();
    match value {
        Value::String(text) => lines.push([String::new(), String::new(), text.clone()]),
        Value::Scalar(values) => {
            for (at, number) in values.iter().enumerate() {
                lines.push(["scalar".to_owned(), time(grid.at(at)), number.to_string()]);
            }
        }
        Value::Vector(list) => {
            for series in list {
                for (at, number) in series
                    .values
                    .iter()
                    .enumerate()
                    .filter(|(_, number)| !is_stale(**number))
                {
                    lines.push([series.labels.to_string(), time(grid.at(at)), number.to_string()]);
                }
            }
        }
        Value::Samples(list) => {
            for series in list {
                for (at, number) in series.timestamps.iter().zip(series.values.iter()) {
                    if !is_stale(*number) {
                        lines.push([series.labels.to_string(), time(*at), number.to_string()]);
                    }
                }
            }
        }
    }
    if lines.is_empty() {
        return writeln!(out, "no data");
    }
    let widest = lines
        .iter()
        .map(|line| line[0].chars().count())
        .max()
        .unwrap_or(0)
        .min(120);
    let show_time = range || matches!(value, Value::Samples(_));
    for [series, time, number] in lines {
        if show_time {
            writeln!(out, "{series:<widest$}  {time}  {number}")?;
        } else {
            writeln!(out, "{series:<widest$}  {number}")?;
        }
    }
    Ok(())
}

fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis).map_or_else(|_| millis.to_string(), |time| format!("{time:.3}"))
}
