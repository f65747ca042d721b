//! Bytes per sample, samples taken per second, nanoseconds per sample read.
//!
//! `cargo bench -p podscope-history`. Two data sets: a synthetic node with eight GPUs, and counters of a real machine (the
//! committed recording that the format test reads too).

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use divan::Bencher;
use divan::counter::ItemsCount;
use podscope_history::{History, Options, StreamSpec};
use podscope_model::batch::{ForeignMetric, Row};
use podscope_model::catalog::{Kind, Unit};
use podscope_model::sample::is_stale;
use podscope_model::source::{Budget, Select, SeriesSource};

/// The begin of an hour.
const START_MS: i64 = 1_700_002_800_000;

fn main() {
    let mut out = std::io::stdout().lock();
    for (name, rows) in [("8 GPUs", gpu_rows(3600)), ("host", host_rows())] {
        let begin = cpu_ns();
        let (dir, history) = filled(&rows);
        history.seal().expect("seals");
        let sealed = cpu_ns();
        history.finish(START_MS + 100 * 86_400_000);
        let finished = cpu_ns();
        let rounds = 10;
        let samples: u64 = (0..rounds).map(|_| read_all(&history)).sum();
        let read = (cpu_ns() - finished) / samples as f64;
        let stats = history.stats();
        let of_tier = |prefix: &str| {
            let entries = std::fs::read_dir(dir.path()).expect("lists");
            let sizes = entries.map(|entry| entry.expect("an entry")).filter_map(|entry| {
                let ours = entry.file_name().to_string_lossy().starts_with(prefix);
                ours.then(|| entry.metadata().expect("a size").len())
            });
            sizes.sum::<u64>() as f64 / stats.samples as f64
        };
        let (bytes, cells) = (of_tier("raw-"), of_tier("min-") + of_tier("hour-"));
        let taken = (sealed - begin) / stats.samples as f64;
        let packed = (finished - sealed) / stats.samples as f64;
        writeln!(
            out,
            "{name}: {} series, {} rows: {bytes:.3} bytes per sample, directory and labels included, and {cells:.3} of cells; CPU per sample: \
             {taken:.0} ns to take it (the row made, logged and sealed), {packed:.0} ns to finish its hour, {read:.1} ns to read \
             it",
            stats.series, stats.rows
        )
        .expect("prints");
    }
    drop(out);
    divan::main();
}

/// CPU time of this thread: what other processes do meanwhile does not count.
fn cpu_ns() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// One row as a list: metric, label, value.
type Sample = (Arc<ForeignMetric>, String, f64);

fn metric(name: &str) -> Arc<ForeignMetric> {
    Arc::new(ForeignMetric {
        name: name.to_owned(),
        kind: Kind::Gauge,
        unit: Unit::None,
        help: String::new(),
    })
}

/// Numbers that look normally distributed.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self, spread: f64) -> f64 {
        ((0..12).map(|_| self.uniform()).sum::<f64>() - 6.0) * spread
    }
}

/// Thirty series per GPU: utilisation and temperature in whole numbers, power in milliwatts, clocks with few values, an
/// energy counter in millijoules, PCIe traffic in KiB/s as NVML gives it, shares quantised to 0.01 %, and error counters that stay.
fn gpu_rows(rows: usize) -> Vec<Vec<Sample>> {
    let mut random = Random(0x5eed);
    let names: Vec<Arc<ForeignMetric>> = (0..30).map(|at| metric(&format!("gpu_metric_{at}"))).collect();
    let mut state: Vec<[f64; 30]> = (0..8)
        .map(|gpu| {
            let mut start = [0.0; 30];
            (start[0], start[1], start[2], start[3]) = (86.0, 60.0, 550.0, 70_000.0);
            start[10..18].fill(0.5);
            start[5] = 1e9 * f64::from(gpu);
            start
        })
        .collect();
    (0..rows)
        .map(|_| {
            let mut out = Vec::new();
            for (gpu, s) in state.iter_mut().enumerate() {
                s[0] = (s[0] + random.normal(2.0)).clamp(0.0, 100.0);
                s[1] = (s[1] + random.normal(0.3)).clamp(30.0, 90.0);
                s[2] = (s[2] + random.normal(8.0)).clamp(70.0, 700.0);
                if random.uniform() < 0.01 {
                    s[3] = (random.uniform() * 80_000.0).round();
                }
                s[4] = 1980.0 - 15.0 * (random.uniform() * 4.0).floor();
                s[5] += (s[2] * 1000.0).round();
                s[6] = (2e6 + random.normal(2e5)).round();
                s[7] = (1e6 + random.normal(3e5)).round();
                for share in &mut s[10..18] {
                    *share = (*share + random.normal(0.02)).clamp(0.0, 1.0);
                }
                for (at, name) in names.iter().enumerate() {
                    let value = match at {
                        0 | 1 => s[at].trunc(),
                        2 => (s[2] * 1000.0).round() / 1000.0,
                        10..18 => (s[at] * 10_000.0).round() / 10_000.0,
                        _ => s[at],
                    };
                    out.push((Arc::clone(name), format!("GPU-{gpu}"), value));
                }
            }
            out
        })
        .collect()
}

/// The committed recording.
fn host_rows() -> Vec<Vec<Sample>> {
    let dir = tempfile::tempdir().expect("a directory");
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/host-1s");
    for entry in std::fs::read_dir(recorded)
        .expect("the recording")
        .map(|entry| entry.expect("an entry").path())
    {
        if entry.extension().is_some_and(|extension| extension == "seg") {
            std::fs::copy(&entry, dir.path().join(entry.file_name().expect("a name"))).expect("copies");
        }
    }
    let (history, _) = History::open(Options::new(dir.path())).expect("opens");
    let mut rows = std::collections::BTreeMap::<i64, Vec<Sample>>::new();
    let select = Select {
        matchers: &[],
        start_ms: i64::MIN / 2,
        end_ms: i64::MAX / 2,
        step_ms: 1,
        function: None,
    };
    history
        .select(&select, &Budget::unlimited(), &mut |series| {
            let name = metric(series.labels.metric_name().unwrap_or("?"));
            let label = series.labels.without_name().to_string();
            for (t_ms, value) in series.timestamps.iter().zip(series.values.iter()) {
                if !is_stale(*value) {
                    rows.entry(*t_ms)
                        .or_default()
                        .push((Arc::clone(&name), label.clone(), *value));
                }
            }
            Ok(())
        })
        .expect("reads");
    rows.into_values().collect()
}

fn row(samples: &[Sample], row: &mut Row) {
    row.begin();
    for (metric, label, value) in samples {
        row.set_foreign(metric, &[("of", label)], *value);
    }
}

fn spec() -> StreamSpec {
    StreamSpec {
        name: "bench".into(),
        job: "bench".into(),
        interval_ms: 1000,
    }
}

fn filled(rows: &[Vec<Sample>]) -> (tempfile::TempDir, History) {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Options {
        free_space_floor: 0,
        ..Options::new(dir.path())
    };
    let (history, _) = History::open(options).expect("opens");
    let mut current = Row::new();
    for (at, samples) in rows.iter().enumerate() {
        row(samples, &mut current);
        history
            .append(&spec(), START_MS + (at as i64 + 1) * 1000, &current)
            .expect("takes the row");
    }
    (dir, history)
}

/// Appending 600 rows of 240 series, sealing included.
#[divan::bench(max_time = Duration::from_secs(5))]
fn ingest(bencher: Bencher<'_, '_>) {
    let rows: Vec<Row> = gpu_rows(600)
        .iter()
        .map(|samples| {
            let mut current = Row::new();
            row(samples, &mut current);
            current
        })
        .collect();
    bencher
        .counter(ItemsCount::new(600_u64 * 240))
        .with_inputs(tempfile::tempdir)
        .bench_values(|dir| {
            let dir = dir.expect("a directory");
            let (history, _) = History::open(Options::new(dir.path())).expect("opens");
            for (at, row) in rows.iter().enumerate() {
                history
                    .append(&spec(), START_MS + (at as i64 + 1) * 1000, row)
                    .expect("takes the row");
            }
            history.seal().expect("seals");
            (history, dir)
        });
}

fn read_all(history: &History) -> u64 {
    let select = Select {
        matchers: &[],
        start_ms: START_MS - 1,
        end_ms: START_MS + 2 * 3_600_000,
        step_ms: 1,
        function: None,
    };
    let mut count = 0;
    history
        .select(&select, &Budget::unlimited(), &mut |series| {
            count += series.values.len() as u64;
            Ok(())
        })
        .expect("reads");
    count
}

/// Reading an hour of all series back from segments.
#[divan::bench(args = ["gpu", "host"], max_time = Duration::from_secs(5))]
fn decode(bencher: Bencher<'_, '_>, data: &str) {
    let rows = if data == "gpu" {
        gpu_rows(3600)
    } else {
        host_rows()
    };
    let (_dir, history) = filled(&rows);
    history.seal().expect("seals");
    let samples = read_all(&history);
    bencher
        .counter(ItemsCount::new(samples))
        .bench(|| read_all(&history));
}
