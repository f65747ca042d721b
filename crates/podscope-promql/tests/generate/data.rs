//! Data sets: counters with resets, gauges, NaN and infinities, gaps with and without stale markers, irregular times,
//! histogram buckets, labels that some series lack.

use podscope_model::labels::Labels;
use podscope_model::sample::{STALE, SeriesData};
use podscope_promql::memory::MemorySource;

use super::Random;

#[derive(Debug)]
pub(crate) struct DataSet {
    pub(crate) series: Vec<SeriesData>,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: i64,
}

impl DataSet {
    pub(crate) fn source(&self) -> MemorySource {
        source_of(self.series.iter())
    }
}

pub(crate) fn source_of<'a>(series: impl Iterator<Item = &'a SeriesData>) -> MemorySource {
    let mut source = MemorySource::new();
    for series in series {
        source.insert(series.clone());
    }
    source
}

pub(crate) const INSTANCES: [&str; 3] = ["n1", "n2", "n3"];

/// A data set of about half an hour.
pub(crate) fn data_set(random: &mut Random) -> DataSet {
    let starts = [0, 1_700_000_000_000, -3_600_000, 1_709_164_800_000];
    let start_ms = starts[random.below(4) as usize] + random.between(0, 60_000);
    let end_ms = start_ms + random.between(20, 45) * 60_000;
    let mut set = DataSet {
        series: Vec::new(),
        start_ms,
        end_ms,
    };
    let mut add = |random: &mut Random, pairs: &[(&str, &str)], shape: Shape| {
        if random.one_in(12) {
            return;
        }
        set.series.push(series(random, pairs, shape, start_ms, end_ms));
    };
    for instance in INSTANCES {
        for path in ["/", "/x"] {
            for code in ["200", "500"] {
                let labels = [
                    ("__name__", "requests_total"),
                    ("instance", instance),
                    ("path", path),
                    ("code", code),
                    ("job", "web"),
                ];
                add(random, &labels, Shape::Counter);
            }
        }
        for zone in ["a", "b", ""] {
            let labels = [
                ("__name__", "temperature"),
                ("instance", instance),
                ("zone", zone),
                ("job", "node"),
            ];
            add(random, &labels, Shape::Gauge);
        }
        for device in ["0", "1"] {
            let labels = [("__name__", "weird"), ("instance", instance), ("device", device)];
            add(random, &labels, Shape::Weird);
        }
        add(
            random,
            &[
                ("__name__", "memory_used"),
                ("instance", instance),
                ("job", "node"),
            ],
            Shape::Gauge,
        );
        add(
            random,
            &[
                ("__name__", "memory_total"),
                ("instance", instance),
                ("job", "node"),
            ],
            Shape::Steps,
        );
        add(
            random,
            &[("__name__", "level"), ("instance", instance), ("kind", "low")],
            Shape::Steps,
        );
        add(
            random,
            &[("__name__", "level"), ("instance", instance), ("kind", "high")],
            Shape::Steps,
        );
        let labels = [
            ("__name__", "build_info"),
            ("instance", instance),
            ("version", if instance == "n1" { "1.0" } else { "2.0" }),
            ("rack", "r1"),
        ];
        add(random, &labels, Shape::One);
    }
    for instance in INSTANCES {
        histogram(random, &mut set, instance);
    }
    set
}

#[derive(Clone, Copy, Debug)]
enum Shape {
    Counter,
    Gauge,
    Weird,
    Steps,
    One,
}

fn times(random: &mut Random, start_ms: i64, end_ms: i64) -> Vec<i64> {
    let interval = [5_000, 15_000, 15_000, 30_000, 60_000][random.below(5) as usize];
    let jitter = if random.one_in(2) { interval / 3 } else { 0 };
    let mut found = Vec::new();
    let mut at = start_ms + random.between(0, interval);
    while at < end_ms {
        found.push(at);
        let gap = if random.one_in(40) {
            random.between(1, 30)
        } else {
            0
        };
        at += interval * (1 + gap) + random.between(-jitter, jitter);
    }
    found
}

/// A multiple of 1/64.
fn exact(random: &mut Random, low: i64, high: i64) -> f64 {
    random.between(low * 64, high * 64) as f64 / 64.0
}

fn series(
    random: &mut Random,
    pairs: &[(&str, &str)],
    shape: Shape,
    start_ms: i64,
    end_ms: i64,
) -> SeriesData {
    let mut timestamps = times(random, start_ms, end_ms);
    if random.one_in(8) {
        // Begins late or ends early.
        let from = random.below(timestamps.len() as u64 / 2 + 1) as usize;
        timestamps.drain(..from);
        timestamps.truncate(timestamps.len() / 2 + 2);
    }
    let mut level = exact(random, 0, 2_000);
    let quiet = random.one_in(6);
    let stale = random.one_in(3);
    let values: Vec<f64> = timestamps
        .iter()
        .map(|_| {
            match shape {
                Shape::Counter => {
                    level = if random.one_in(50) {
                        exact(random, 0, 3)
                    } else {
                        level
                    };
                    level += if quiet { 0.0 } else { exact(random, 0, 50) };
                }
                Shape::Gauge => level = exact(random, -100, 4_000),
                Shape::Weird => {
                    level = match random.below(12) {
                        0 => f64::NAN,
                        1 => f64::INFINITY,
                        2 => f64::NEG_INFINITY,
                        3 => 0.0,
                        4 => -0.0,
                        5 => 1e300,
                        6 => -1e300,
                        _ => exact(random, -10, 10),
                    }
                }
                Shape::Steps => {
                    if random.one_in(10) {
                        level = random.between(0, 5) as f64;
                    } else if level > 5.0 {
                        level = 2.0;
                    }
                }
                Shape::One => level = 1.0,
            }
            if stale && random.one_in(25) { STALE } else { level }
        })
        .collect();
    SeriesData {
        labels: Labels::from_pairs(pairs.iter().copied()),
        timestamps: timestamps.into(),
        values: values.into(),
    }
}

fn histogram(random: &mut Random, set: &mut DataSet, instance: &str) {
    for path in ["/", "/x"] {
        let timestamps = times(random, set.start_ms, set.end_ms);
        let bounds = [0.1, 0.5, 1.0, 2.5, f64::INFINITY];
        let mut counts = [0.0_f64; 5];
        let mut columns: Vec<Vec<f64>> = vec![Vec::new(); 5];
        let broken = random.one_in(4);
        for _ in &timestamps {
            let mut below = 0.0;
            for (at, count) in counts.iter_mut().enumerate() {
                below += random.below(8) as f64;
                *count += below;
                let odd = broken && random.one_in(9);
                columns[at].push(if odd { *count * 0.5 } else { *count });
            }
        }
        for (bound, column) in bounds.iter().zip(columns) {
            let le = if bound.is_infinite() {
                "+Inf".to_owned()
            } else {
                bound.to_string()
            };
            if random.one_in(40) {
                continue;
            }
            let labels = Labels::from_pairs([
                ("__name__", "latency_bucket"),
                ("instance", instance),
                ("path", path),
                ("le", &le),
            ]);
            set.series.push(SeriesData {
                labels,
                timestamps: timestamps.as_slice().into(),
                values: column.into(),
            });
        }
    }
}
