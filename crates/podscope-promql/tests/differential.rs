//! Generated expressions on generated data, ours against Prometheus's own engine (`tests/oracle`): equal at 1e-12, the same
//! labels, an error where Prometheus has one. `PODSCOPE_DIFF_CASES` and `PODSCOPE_DIFF_SEED` choose how many and which.

mod generate;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use generate::data::{DataSet, data_set};
use generate::{Random, same};
use podscope_model::leaf::Annotation;
use podscope_model::sample::{Grid, is_stale};
use podscope_model::source::Budget;
use podscope_promql::{Options, Outcome, Value, evaluate, parse};
use serde::{Deserialize, Serialize};

const EXPRESSIONS_PER_BATCH: u64 = 25;
const LOOKBACK_MS: i64 = 300_000;

#[derive(Serialize)]
struct Question {
    series: Vec<Line>,
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
    instant: bool,
    lookback_ms: i64,
    exprs: Vec<String>,
}

/// Values travel as the hexadecimal digits of their bits.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    times: Vec<i64>,
    #[serde(default)]
    values: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    series: Vec<Line>,
    #[serde(default)]
    notes: Vec<String>,
}

/// Label set -> (time, value) in order.
type Found = Vec<(BTreeMap<String, String>, Vec<(i64, f64)>)>;

struct Oracle {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Oracle {
    /// The oracle, or `None` where it is not built and not required.
    fn start() -> Option<Self> {
        let path = match std::env::var_os("PODSCOPE_ORACLE") {
            Some(path) => PathBuf::from(path),
            None => PathBuf::from(std::env::var_os("HOME")?).join(".cache/podscope/bin/promql-oracle"),
        };
        if !path.is_file() {
            let required = std::env::var("PODSCOPE_REQUIRE_PEERS").is_ok_and(|value| value == "1");
            assert!(
                !required,
                "{} is missing: build it with scripts/test",
                path.display()
            );
            eprintln!(
                "skipped: {} is missing: build it with scripts/test",
                path.display()
            );
            return None;
        }
        let mut child = Command::new(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the oracle starts");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Some(Self { child, input, output })
    }

    fn ask(&mut self, question: &Question) -> Vec<Answer> {
        let mut text = serde_json::to_vec(question).expect("plain data");
        text.push(b'\n');
        let input = self.input.as_mut().expect("open");
        input.write_all(&text).expect("the oracle reads");
        input.flush().expect("the oracle reads");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the oracle answers");
        serde_json::from_str(&line).expect("an answer of the oracle")
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.input.take());
        let status = self.child.wait().expect("the oracle ends");
        assert!(
            status.success() || std::thread::panicking(),
            "the oracle failed: {status}"
        );
    }
}

fn lines(set: &DataSet) -> Vec<Line> {
    set.series
        .iter()
        .map(|series| Line {
            labels: Some(
                series
                    .labels
                    .iter()
                    .map(|label| (label.name.to_string(), label.value.to_string()))
                    .collect(),
            ),
            times: series.timestamps.to_vec(),
            values: series
                .values
                .iter()
                .map(|value| format!("{:016x}", value.to_bits()))
                .collect(),
        })
        .collect()
}

fn label_map(labels: &podscope_model::labels::Labels) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|label| (label.name.to_string(), label.value.to_string()))
        .collect()
}

fn ours(outcome: &Outcome, grid: Grid, instant: bool) -> (&'static str, Found) {
    let points = |values: &[f64]| -> Vec<(i64, f64)> {
        grid.times()
            .zip(values.iter().copied())
            .filter(|(_, value)| !is_stale(*value))
            .collect()
    };
    match &outcome.value {
        Value::Scalar(column) => (
            if instant { "scalar" } else { "matrix" },
            vec![(BTreeMap::new(), points(column))],
        ),
        Value::String(_) => ("string", Vec::new()),
        Value::Vector(series) => (
            if instant { "vector" } else { "matrix" },
            series
                .iter()
                .map(|series| (label_map(&series.labels), points(&series.values)))
                .collect(),
        ),
        Value::Samples(series) => (
            "matrix",
            series
                .iter()
                .map(|series| {
                    let points = series
                        .timestamps
                        .iter()
                        .copied()
                        .zip(series.values.iter().copied());
                    (label_map(&series.labels), points.collect())
                })
                .collect(),
        ),
    }
}

fn theirs(answer: &Answer) -> Found {
    answer
        .series
        .iter()
        .map(|line| {
            let values = line
                .values
                .iter()
                .map(|text| f64::from_bits(u64::from_str_radix(text, 16).expect("hexadecimal")));
            (
                line.labels.clone().unwrap_or_default(),
                line.times.iter().copied().zip(values).collect(),
            )
        })
        .collect()
}

/// What differs, if anything does.
fn difference(expr: &str, set: &DataSet, grid: Grid, instant: bool, answer: &Answer) -> Option<String> {
    let result = parse(expr)
        .map_err(podscope_promql::EvalError::from)
        .and_then(|parsed| {
            let options = Options {
                lookback_ms: LOOKBACK_MS,
            };
            evaluate(&parsed, grid, options, &set.source(), &Budget::unlimited())
        });
    let outcome = match (&result, answer.error.is_empty()) {
        (Err(_), false) => return None,
        (Err(error), true) => {
            return Some(format!(
                "ours: error {error}; theirs: {} series",
                answer.series.len()
            ));
        }
        (Ok(_), false) => return Some(format!("ours: an answer; theirs: error {}", answer.error)),
        (Ok(outcome), true) => outcome,
    };
    let (kind, mine) = ours(outcome, grid, instant);
    if kind != answer.kind {
        return Some(format!("ours: a {kind}; theirs: a {}", answer.kind));
    }
    if let Value::String(text) = &outcome.value {
        return (*text != answer.text).then(|| format!("ours: {text:?}; theirs: {:?}", answer.text));
    }
    let other = theirs(answer);
    if expr.starts_with("sort") && instant || expr.starts_with("topk") || expr.starts_with("bottomk") {
        let order = |found: &Found| -> Vec<f64> {
            found
                .iter()
                .filter_map(|(_, points)| points.first())
                .map(|(_, value)| *value)
                .collect()
        };
        let grouped = expr.contains(" by ") || expr.contains(" without ");
        let (a, b) = (order(&mine), order(&other));
        if instant && !grouped && !(a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same(*a, *b))) {
            return Some(format!("ours in the order {a:?}; theirs {b:?}"));
        }
    }
    compare(mine, other).or_else(|| compare_notes(&outcome.annotations, &answer.notes))
}

fn compare(mut mine: Found, mut other: Found) -> Option<String> {
    mine.sort_by(|a, b| a.0.cmp(&b.0));
    other.sort_by(|a, b| a.0.cmp(&b.0));
    let names = |found: &Found| {
        found
            .iter()
            .map(|(labels, _)| format!("{labels:?}"))
            .collect::<Vec<_>>()
    };
    let (a, b) = (names(&mine), names(&other));
    if a != b {
        return Some(format!("series: ours {a:#?}; theirs {b:#?}"));
    }
    for ((labels, mine), (_, other)) in mine.iter().zip(&other) {
        let times = |points: &[(i64, f64)]| points.iter().map(|(time, _)| *time).collect::<Vec<_>>();
        if times(mine) != times(other) {
            return Some(format!(
                "times of {labels:?}: ours {:?}; theirs {:?}",
                times(mine),
                times(other)
            ));
        }
        for ((time, mine), (_, other)) in mine.iter().zip(other) {
            if !same(*mine, *other) {
                return Some(format!("{labels:?} at {time}: ours {mine:?}; theirs {other:?}"));
            }
        }
    }
    None
}

/// Every remark of theirs begins one of ours, and the other way round.
fn compare_notes(mine: &[Annotation], other: &[String]) -> Option<String> {
    let mine: Vec<&str> = mine
        .iter()
        .map(|note| match note {
            Annotation::Info(text) | Annotation::Warning(text) => text.as_str(),
        })
        .collect();
    let missing = other
        .iter()
        .find(|text| !mine.iter().any(|own| own.starts_with(text.as_str())));
    let extra = mine
        .iter()
        .find(|own| !other.iter().any(|text| own.starts_with(text.as_str())));
    (missing.is_some() || extra.is_some()).then(|| format!("remarks: ours {mine:?}; theirs {other:?}"))
}

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name}={text:?} is not a number")),
    )
}

#[test]
fn agrees_with_prometheus_on_generated_expressions() {
    let Some(mut oracle) = Oracle::start() else { return };
    let cases = setting("PODSCOPE_DIFF_CASES").unwrap_or(1_000);
    let first_seed = setting("PODSCOPE_DIFF_SEED").unwrap_or(1);
    let mut failures = Vec::new();
    let (mut asked, mut refused, mut filled) = (0_u64, 0_u64, 0_u64);
    for seed in first_seed..first_seed + cases.div_ceil(EXPRESSIONS_PER_BATCH) {
        let mut random = Random::new(seed);
        let set = data_set(&mut random);
        let grid = generate::grid(&mut random, set.start_ms, set.end_ms);
        let instant = grid.is_instant() && grid.step_ms == 1;
        let exprs: Vec<String> = (0..EXPRESSIONS_PER_BATCH)
            .map(|_| generate::expression::query(&mut random, instant))
            .collect();
        let answers = oracle.ask(&Question {
            series: lines(&set),
            start_ms: grid.start_ms,
            end_ms: grid.end_ms,
            step_ms: grid.step_ms,
            instant,
            lookback_ms: LOOKBACK_MS,
            exprs: exprs.clone(),
        });
        assert_eq!(answers.len(), exprs.len());
        for (expr, answer) in exprs.iter().zip(&answers) {
            asked += 1;
            refused += u64::from(!answer.error.is_empty());
            filled += u64::from(answer.series.iter().any(|line| !line.times.is_empty()));
            if let Some(what) = difference(expr, &set, grid, instant, answer) {
                failures.push(format!("seed {seed}, {grid:?}\n  {expr}\n  {what}"));
            }
        }
    }
    eprintln!(
        "{asked} expressions: {filled} with values, {refused} refused, {} differ",
        failures.len()
    );
    assert!(
        filled * 2 > asked && refused * 3 < asked,
        "the generator makes too many empty or refused queries"
    );
    assert!(
        failures.is_empty(),
        "{} of {asked} differ; run one again with PODSCOPE_DIFF_CASES=25 PODSCOPE_DIFF_SEED=<its seed>\n{}",
        failures.len(),
        failures.iter().take(25).cloned().collect::<Vec<_>>().join("\n")
    );
}
