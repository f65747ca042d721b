//! `podscope usage`: GPU-hours held and wasted, per person or group, over a day, a week or a month.
//!
//! Held: whole GPUs times the time somebody held them (`ds01_gpu_allocated`); two people on one GPU hold it both. Wasted: of these the time in which the
//! GPU was under 5 % busy over five minutes; a GPU without a utilisation sample is unknown, not wasted. MIG slices are counted apart, in slice-hours: what a
//! slice is worth differs from site to site.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};
use jiff::{ToSpan, Zoned};
use podscope_fanout::{Fleet, FleetConfig, FleetQuery, Secret, TargetSpec};
use podscope_model::sample::{Grid, is_stale};
use podscope_promql::Value;

use crate::time::parse_time;

/// Each step stands for this much time: the window over which utilisation is averaged.
const STEP_MS: i64 = 300_000;
/// Steps asked for at once: a day.
const STEPS_AT_ONCE: i64 = 288;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    User,
    Group,
}

#[derive(Debug, Args)]
pub(crate) struct UsageArguments {
    /// An agent or hub to ask; may be given several times.
    #[arg(long = "agent", value_name = "URL", default_value = "http://127.0.0.1:9477")]
    agents: Vec<String>,
    /// A file that holds the agents' bearer token.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A line per person, or per group (`ds01_user_group_info`).
    #[arg(long, value_enum, default_value_t = By::User)]
    by: By,
    /// Today so far, from midnight.
    #[arg(long, group = "range")]
    day: bool,
    /// This week so far, from Monday.
    #[arg(long, group = "range")]
    week: bool,
    /// This month so far, from its first day; the default.
    #[arg(long, group = "range")]
    month: bool,
    /// Start of another range: epoch seconds or RFC 3339.
    #[arg(long, value_name = "S", group = "range")]
    start: Option<String>,
    /// End of it. Default: now.
    #[arg(long, value_name = "E", requires = "start")]
    end: Option<String>,
    /// What a GPU-hour costs: adds a column with what was wasted.
    #[arg(long, value_name = "PRICE")]
    price: Option<f64>,
    /// Comma-separated values with a heading instead of a table.
    #[arg(long)]
    csv: bool,
}

/// Hours of one person or group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Hours {
    held: f64,
    wasted: f64,
    slices: f64,
}

const HELD: &str = r#"max by (instance, gpu, user, container) (label_replace(ds01_gpu_allocated{gpu_slot!~".+[.].+"}, "gpu", "$1", "gpu_slot", "(.+)"))"#;
const BUSY: &str = r#"avg_over_time(DCGM_FI_DEV_GPU_UTIL{GPU_I_ID=""}[5m])"#;
const SLICES: &str = r#"max by (instance, gpu_slot, user) (ds01_gpu_allocated{gpu_slot=~".+[.].+"})"#;

fn by(label: By, expr: &str) -> String {
    match label {
        By::User => format!("sum by (user) ({expr})"),
        By::Group => format!(
            "sum by (group) (({expr}) * on (instance, user) group_left (group) max by (instance, user, group) (ds01_user_group_info))"
        ),
    }
}

/// The range asked for, in ms.
fn range(arguments: &UsageArguments, now: &Zoned) -> anyhow::Result<(i64, i64)> {
    if let Some(start) = &arguments.start {
        let start = parse_time(start).map_err(anyhow::Error::msg).context("--start")?;
        let end = match &arguments.end {
            Some(end) => parse_time(end).map_err(anyhow::Error::msg).context("--end")?,
            None => now.timestamp().as_millisecond(),
        };
        return Ok((start, end));
    }
    let today = now.start_of_day()?;
    let start = if arguments.day {
        today
    } else if arguments.week {
        let days = i64::from(now.weekday().to_monday_zero_offset());
        today.checked_sub(days.days())?.start_of_day()?
    } else {
        today.first_of_month()?.start_of_day()?
    };
    Ok((
        start.timestamp().as_millisecond(),
        now.timestamp().as_millisecond(),
    ))
}

pub(crate) async fn run(arguments: &UsageArguments, out: &mut impl Write) -> anyhow::Result<bool> {
    if let Some(price) = arguments.price {
        ensure!(price.is_finite() && price >= 0.0, "--price must be 0 or more");
    }
    let (start_ms, end_ms) = range(arguments, &Zoned::now())?;
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
    let label = match arguments.by {
        By::User => "user",
        By::Group => "group",
    };
    let wasted = format!("({HELD} * on (instance, gpu) group_left () {BUSY}) < bool 5");
    let mut all: BTreeMap<String, Hours> = BTreeMap::new();
    for (expr, field) in [
        (by(arguments.by, HELD), 0),
        (by(arguments.by, &wasted), 1),
        (by(arguments.by, SLICES), 2),
    ] {
        for (name, hours) in total(&fleet, &expr, label, start_ms, end_ms).await? {
            let line = all.entry(name).or_default();
            match field {
                0 => line.held = hours,
                1 => line.wasted = hours,
                _ => line.slices = hours,
            }
        }
    }
    if arguments.csv {
        csv(out, label, &all, arguments.price)?;
    } else {
        table(out, label, &all, arguments.price)?;
    }
    Ok(true)
}

/// Hours by label value: the sum of the expression's steps, each standing for its length.
async fn total(
    fleet: &Fleet,
    expr: &str,
    label: &str,
    start_ms: i64,
    end_ms: i64,
) -> anyhow::Result<BTreeMap<String, f64>> {
    let mut hours: BTreeMap<String, f64> = BTreeMap::new();
    // The end of each step, on the clock: the same steps whenever it is asked.
    let mut at = (start_ms.div_euclid(STEP_MS) + 1) * STEP_MS;
    while at <= end_ms {
        let grid = Grid {
            start_ms: at,
            end_ms: end_ms.min(at + (STEPS_AT_ONCE - 1) * STEP_MS),
            step_ms: STEP_MS,
        };
        let mut query = FleetQuery::new(expr, grid);
        // What was held before the step must not be carried into it.
        query.lookback_ms = STEP_MS;
        let answer = fleet.query(query).await?;
        if let Some(notice) = answer.completeness.notice() {
            bail!("{notice}; a sum over part of the nodes would be wrong");
        }
        if let Value::Vector(series) = answer.outcome.value {
            for one in series {
                let steps: f64 = one
                    .values
                    .iter()
                    .filter(|value| !is_stale(**value) && value.is_finite())
                    .sum();
                let name = one.labels.get(label).unwrap_or_default().to_owned();
                *hours.entry(name).or_default() += steps * STEP_MS as f64 / 3_600_000.0;
            }
        }
        at += STEPS_AT_ONCE * STEP_MS;
    }
    Ok(hours)
}

fn share(hours: &Hours) -> f64 {
    if hours.held > 0.0 {
        100.0 * hours.wasted / hours.held
    } else {
        0.0
    }
}

fn table(
    out: &mut impl Write,
    label: &str,
    all: &BTreeMap<String, Hours>,
    price: Option<f64>,
) -> anyhow::Result<()> {
    if all.is_empty() {
        writeln!(out, "nobody held a GPU in this range")?;
        return Ok(());
    }
    let mut lines: Vec<(&String, &Hours)> = all.iter().collect();
    lines.sort_by(|(_, a), (_, b)| b.held.total_cmp(&a.held));
    let wide = lines
        .iter()
        .map(|(name, _)| name.chars().count())
        .chain([label.len()])
        .max()
        .unwrap_or(0);
    write!(
        out,
        "{label:<wide$}  {:>10}  {:>10}  {:>8}  {:>11}",
        "GPU-hours", "wasted", "wasted %", "slice-hours"
    )?;
    writeln!(out, "{}", price.map_or("", |_| "        cost"))?;
    for (name, hours) in lines {
        write!(
            out,
            "{name:<wide$}  {:>10.1}  {:>10.1}  {:>8.1}  {:>11.1}",
            hours.held,
            hours.wasted,
            share(hours),
            hours.slices
        )?;
        match price {
            Some(price) => writeln!(out, "  {:>10.2}", price * hours.wasted)?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

fn csv(
    out: &mut impl Write,
    label: &str,
    all: &BTreeMap<String, Hours>,
    price: Option<f64>,
) -> anyhow::Result<()> {
    let cost = price.map_or("", |_| ",wasted_cost");
    writeln!(out, "{label},gpu_hours,wasted_gpu_hours,mig_slice_hours{cost}")?;
    for (name, hours) in all {
        let quoted = if name.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", name.replace('"', "\"\""))
        } else {
            name.clone()
        };
        write!(
            out,
            "{quoted},{:.3},{:.3},{:.3}",
            hours.held, hours.wasted, hours.slices
        )?;
        match price {
            Some(price) => writeln!(out, ",{:.2}", price * hours.wasted)?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(day: bool, week: bool) -> UsageArguments {
        UsageArguments {
            agents: Vec::new(),
            token_file: None,
            by: By::User,
            day,
            week,
            month: false,
            start: None,
            end: None,
            price: None,
            csv: false,
        }
    }

    #[test]
    fn ranges_begin_at_midnight_on_monday_or_on_the_first() {
        let now: Zoned = "2026-11-21T13:30:00+00:00[UTC]".parse().expect("a time");
        let begins = |arguments: &UsageArguments| {
            let (start, _) = range(arguments, &now).expect("a range");
            jiff::Timestamp::from_millisecond(start)
                .expect("a time")
                .to_string()
        };
        assert_eq!(begins(&arguments(true, false)), "2026-11-21T00:00:00Z");
        assert_eq!(begins(&arguments(false, true)), "2026-11-16T00:00:00Z");
        assert_eq!(begins(&arguments(false, false)), "2026-11-01T00:00:00Z");
    }

    #[test]
    fn names_that_csv_cannot_hold_as_they_are_are_quoted() {
        let hours = Hours {
            held: 2.0,
            wasted: 0.5,
            slices: 0.0,
        };
        let all = BTreeMap::from([("a \"b\", c".to_owned(), hours)]);
        let mut out = Vec::new();
        csv(&mut out, "user", &all, Some(3.0)).expect("written");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "user,gpu_hours,wasted_gpu_hours,mig_slice_hours,wasted_cost\n\"a \"\"b\"\", c\",2.000,0.500,0.000,1.50\n"
        );
    }

    #[test]
    fn every_expression_parses() {
        let wasted = format!("({HELD} * on (instance, gpu) group_left () {BUSY}) < bool 5");
        for label in [By::User, By::Group] {
            for expr in [HELD, &wasted, SLICES] {
                podscope_promql::parse(&by(label, expr)).expect("it parses");
            }
        }
    }
}
