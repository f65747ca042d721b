//! A store of fourteen days: how large it is, how long a start takes, and a few long queries.
//! `cargo run -p podscope-history --example fortnight [DAYS [SERIES [INTERVAL_MS]]]`

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use podscope_history::{History, Options, StreamSpec};
use podscope_model::batch::{ForeignMetric, Row};
use podscope_model::catalog::{Kind, Unit};
use podscope_model::sample::Grid;
use podscope_model::source::Budget;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut numbers = std::env::args().skip(1).map(|arg| arg.parse::<i64>());
    let mut next = |or: i64| numbers.next().transpose().map(|given| given.unwrap_or(or));
    let (days, series, interval) = (next(14)?, next(240)?, next(5000)?);
    let mut out = std::io::stdout().lock();
    let dir = tempfile::tempdir()?;
    let options = Options {
        free_space_floor: 0,
        max_age: Duration::from_secs(30 * 86_400),
        ..Options::new(dir.path())
    };
    let (history, _) = History::open(options.clone())?;
    let start = 20_000 * DAY;
    let end = start + days * DAY;
    let begin = Instant::now();
    fill(&history, start, end, series, interval)?;
    let filled = begin.elapsed();
    history.seal()?;
    let begin = Instant::now();
    history.finish(end + 2 * 60_000);
    writeln!(
        out,
        "{days} days, {series} series, a row every {interval} ms: filled in {filled:.1?}, summed up and packed in {:.1?}",
        begin.elapsed()
    )?;
    fill(&history, end, end + 5 * 60_000, series, interval)?;
    history.close()?;
    for prefix in ["raw-", "min-", "hour-"] {
        let mut bytes = 0;
        for entry in std::fs::read_dir(dir.path())? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(prefix) {
                bytes += entry.metadata()?.len();
            }
        }
        writeln!(
            out,
            "  {prefix}*: {bytes} bytes, {:.1} per series and day",
            bytes as f64 / (series * days) as f64
        )?;
    }

    for run in 1..=3 {
        let begin = Instant::now();
        let cpu = cpu_ms();
        let (history, recovery) = History::open(options.clone())?;
        let (wall, cpu) = (begin.elapsed(), cpu_ms() - cpu);
        let stats = history.stats();
        writeln!(
            out,
            "start {run}: {wall:.1?} wall, {cpu:.1} ms CPU; {recovery}; {} bytes",
            stats.bytes_on_disk
        )?;
        for (text, span, step) in [
            ("avg(g)", DAY, 120_000),
            ("avg by (of) (avg_over_time(g[5m]))", DAY, 300_000),
            ("max_over_time(g[2h])", days * DAY, 2 * HOUR),
            ("sum(rate(c[10m]))", days * DAY, 600_000),
            ("g{of=\"2\"}", days * DAY, 3 * HOUR),
            ("g{of=\"2\"}", DAY, 15_000),
        ] {
            let parsed = podscope_promql::parse(text)?;
            let grid = Grid {
                start_ms: end - span + 3 * HOUR,
                end_ms: end,
                step_ms: step,
            };
            let (begin, cpu) = (Instant::now(), cpu_ms());
            let budget = Budget::unlimited();
            podscope_promql::evaluate(
                &parsed,
                grid,
                podscope_promql::Options::default(),
                &history,
                &budget,
            )?;
            writeln!(
                out,
                "  {text} over {} h by {} s: {:.1?} wall, {:.1} ms CPU, {} samples or cells read",
                span / HOUR,
                step / 1000,
                begin.elapsed(),
                cpu_ms() - cpu,
                budget.samples_read()
            )?;
        }
    }
    Ok(())
}

/// Half gauges, half counters.
fn fill(
    history: &History,
    from: i64,
    to: i64,
    series: i64,
    interval: i64,
) -> Result<(), Box<dyn std::error::Error>> {
    let metric = |name: &str| {
        Arc::new(ForeignMetric {
            name: name.to_owned(),
            kind: Kind::Gauge,
            unit: Unit::None,
            help: format!("Help of {name}, as long as such a sentence usually is."),
        })
    };
    let metrics = [metric("g"), metric("c")];
    let names: Vec<String> = (0..series).map(|at| at.to_string()).collect();
    let spec = StreamSpec {
        name: "bench".into(),
        job: "bench".into(),
        interval_ms: interval as u64,
    };
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut values = vec![50.0_f64; series as usize];
    let mut row = Row::new();
    let mut t = from + interval;
    while t <= to {
        row.begin();
        for (at, name) in names.iter().enumerate() {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let kind = at % 2;
            // A third of the series stands still, as on real machines half of them do.
            if at % 3 > 0 {
                let change = (state % 21) as f64;
                values[at] += if kind == 1 { change } else { change / 10.0 - 1.0 };
                values[at] = (values[at] * 10.0).round() / 10.0;
            }
            row.set_foreign(&metrics[kind], &[("of", name)], values[at]);
        }
        history.append(&spec, t, &row)?;
        t += interval;
    }
    Ok(())
}

/// CPU time of this thread: what other processes do meanwhile does not count.
fn cpu_ms() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}
