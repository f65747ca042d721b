//! One evaluation over everything, and the same expression planned, asked of each leaf, merged and finished: the answers are
//! equal. Leaves are the data set's instances, so groups span them.

mod generate;

use generate::data::{INSTANCES, data_set, source_of};
use generate::{Random, same};
use podscope_model::labels::Labels;
use podscope_model::leaf::{LeafQuery, Limits, Shape};
use podscope_model::sample::{Grid, SeriesData, is_stale};
use podscope_model::source::Budget;
use podscope_promql::memory::MemorySource;
use podscope_promql::{
    EvalError, Options, Outcome, Value, evaluate, evaluate_leaf, finish, merge_leaf_values, parse, plan,
};

/// How the leaves lie behind hubs: for each tier, from the lowest, how many answers each hub merges.
type Tiers<'a> = &'a [usize];

/// Plans, asks every leaf, merges in the hubs, finishes.
fn distributed(
    expr: &str,
    grid: Grid,
    leaves: &[MemorySource],
    root: &MemorySource,
    tiers: Tiers<'_>,
) -> Result<Outcome, EvalError> {
    let parsed = parse(expr)?;
    let plan = plan(&parsed, grid, Options::default())?;
    let budget = Budget::unlimited();
    let mut answers = Vec::new();
    for fragment in &plan.fragments {
        let query = LeafQuery {
            expr: fragment.expr.clone(),
            shape: fragment.shape,
            grid: fragment.grid,
            lookback_ms: Options::default().lookback_ms,
            target: Default::default(),
            user: None,
            limits: Limits::default(),
            route: Default::default(),
        };
        let of_all = leaves
            .iter()
            .map(|leaf| evaluate_leaf(&query, leaf, &budget).map(|(value, _)| value))
            .collect::<Result<Vec<_>, EvalError>>()?;
        let mut of_all = of_all;
        for width in tiers {
            let mut answers = of_all.into_iter().peekable();
            let mut merged = Vec::new();
            while answers.peek().is_some() {
                let behind: Vec<_> = answers.by_ref().take(*width).collect();
                merged.push(merge_leaf_values(
                    &fragment.expr,
                    fragment.shape,
                    behind,
                    &budget,
                )?);
            }
            of_all = merged;
        }
        answers.push(of_all);
    }
    finish(&plan, answers, root, &budget)
}

type Found = Vec<(Labels, Vec<f64>)>;

fn found(outcome: &Outcome) -> Found {
    let mut found: Found = match &outcome.value {
        Value::Scalar(column) => vec![(Labels::empty(), column.clone())],
        Value::String(_) => Vec::new(),
        Value::Vector(series) => series
            .iter()
            .map(|series| (series.labels.clone(), series.values.clone()))
            .collect(),
        Value::Samples(series) => series
            .iter()
            .map(|series| (series.labels.clone(), series.values.to_vec()))
            .collect(),
    };
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn difference(one: &Found, two: &Found) -> Option<String> {
    let names = |found: &Found| {
        found
            .iter()
            .map(|(labels, _)| labels.to_string())
            .collect::<Vec<_>>()
    };
    if names(one) != names(two) {
        return Some(format!("whole {:?}; distributed {:?}", names(one), names(two)));
    }
    for ((labels, one), (_, two)) in one.iter().zip(two) {
        for (step, (one, two)) in one.iter().zip(two).enumerate() {
            if is_stale(*one) != is_stale(*two) || !same(*one, *two) {
                return Some(format!(
                    "{labels} at step {step}: whole {one:?}; distributed {two:?}"
                ));
            }
        }
    }
    None
}

fn up(instance: &str, start_ms: i64, end_ms: i64) -> SeriesData {
    let timestamps: Vec<i64> = (start_ms..end_ms).step_by(30_000).collect();
    let values = vec![1.0; timestamps.len()];
    SeriesData {
        labels: Labels::from_pairs([("__name__", "up"), ("instance", instance), ("job", "node")]),
        timestamps: timestamps.into(),
        values: values.into(),
    }
}

#[test]
fn asking_the_leaves_answers_what_one_store_answers() {
    let batches: u64 = std::env::var("PODSCOPE_PUSHDOWN_BATCHES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(60);
    let mut failures = Vec::new();
    let (mut asked, mut pushed, mut refused) = (0, 0, 0);
    for seed in 1..=batches {
        let mut random = Random::new(seed + 1_000_000);
        let set = data_set(&mut random);
        let grid = generate::grid(&mut random, set.start_ms, set.end_ms);
        let leaves: Vec<MemorySource> = INSTANCES
            .iter()
            .map(|instance| {
                source_of(
                    set.series
                        .iter()
                        .filter(|series| series.labels.get("instance") == Some(instance)),
                )
            })
            .collect();
        let ups: Vec<SeriesData> = INSTANCES
            .iter()
            .map(|instance| up(instance, set.start_ms, set.end_ms))
            .collect();
        let root = source_of(ups.iter());
        let whole = source_of(set.series.iter().chain(&ups));
        for _ in 0..25 {
            let mut expr = generate::expression::query(&mut random, grid.is_instant());
            if random.one_in(8) {
                expr = expr.replace("level", "up");
            }
            let Ok(parsed) = parse(&expr) else { continue };
            asked += 1;
            let one = evaluate(&parsed, grid, Options::default(), &whole, &Budget::unlimited());
            // Flat, or behind one or two tiers of hubs.
            let tiers: &[usize] = match random.one_in(3) {
                true => &[],
                false if random.one_in(2) => &[2],
                false => &[2, 2],
            };
            let two = distributed(&expr, grid, &leaves, &root, tiers);
            if plan(&parsed, grid, Options::default()).is_ok_and(|plan| {
                plan.fragments
                    .iter()
                    .any(|fragment| fragment.shape == Shape::Partials)
            }) {
                pushed += 1;
            }
            let what = match (&one, &two) {
                (Err(_), Err(_)) => None,
                (_, Err(EvalError::NotSupported(_))) => {
                    refused += 1;
                    None
                }
                (Ok(one), Ok(two)) => difference(&found(one), &found(two)),
                (Ok(_), Err(error)) => Some(format!("whole: an answer; distributed: {error}")),
                (Err(error), Ok(_)) => Some(format!("whole: {error}; distributed: an answer")),
            };
            if let Some(what) = what {
                failures.push(format!(
                    "seed {seed}, {grid:?}, tiers {tiers:?}\n  {expr}\n  {what}"
                ));
            }
        }
    }
    eprintln!(
        "{asked} expressions, {pushed} with partial aggregations, {refused} refused, {} differ",
        failures.len()
    );
    assert!(
        pushed * 10 > asked,
        "hardly any expression is aggregated at the leaves"
    );
    assert!(refused * 50 < asked, "too many expressions are refused");
    assert!(
        failures.is_empty(),
        "{}",
        failures.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    );
}

fn fragments(expr: &str) -> Vec<(Shape, String)> {
    let parsed = parse(expr).expect(expr);
    let plan = plan(&parsed, Grid::instant(1_000), Options::default()).expect(expr);
    plan.fragments
        .into_iter()
        .map(|fragment| (fragment.shape, fragment.expr))
        .collect()
}

#[test]
fn what_concerns_one_leaf_is_asked_in_one_piece() {
    let cases = [
        (
            "rate(a[5m]) * 8",
            Shape::Steps,
            "rate({__name__=\"a\"}[300s]) * 8.0",
        ),
        ("a / b", Shape::Steps, "{__name__=\"a\"} / {__name__=\"b\"}"),
        (
            "sum by (instance) (a) / on (instance) b",
            Shape::Steps,
            "sum by (instance) ({__name__=\"a\"}) / on (instance) {__name__=\"b\"}",
        ),
        (
            "avg by (gpu) (a)",
            Shape::Partials,
            "avg by (gpu) ({__name__=\"a\"})",
        ),
        ("topk(2, a)", Shape::Steps, "topk(2.0, {__name__=\"a\"})"),
        ("quantile(0.9, a)", Shape::Steps, "{__name__=\"a\"}"),
        (
            "absent(a{b=\"c\"})",
            Shape::Partials,
            "group({__name__=\"a\",b=\"c\"})",
        ),
        (
            "histogram_quantile(0.9, sum by (le) (rate(a[1m])))",
            Shape::Partials,
            "sum by (le) (rate({__name__=\"a\"}[60s]))",
        ),
        (
            "max_over_time(sum(a)[1h:1m])",
            Shape::Partials,
            "sum({__name__=\"a\"})",
        ),
        ("a[5m]", Shape::Samples, "{__name__=\"a\"}[300s]"),
    ];
    for (expr, shape, fragment) in cases {
        assert_eq!(fragments(expr), [(shape, fragment.to_owned())], "{expr}");
    }
}

#[test]
fn what_meets_across_leaves_meets_at_the_root() {
    for expr in [
        "a / ignoring (instance) b",
        "a and on (job) b",
        "a / on (job) group_left b",
        "a or vector(0)",
    ] {
        assert!(
            fragments(expr)
                .iter()
                .all(|(_, text)| !text.contains(" / ") && !text.contains(" or ")),
            "{expr}"
        );
    }
    assert_eq!(fragments("a / scalar(b)").len(), 2);
    assert_eq!(fragments("vector(1)").len(), 0);
    assert_eq!(fragments("up{job=\"node\"}").len(), 0);
    let plan =
        |expr: &str| plan(&parse(expr).expect(expr), Grid::instant(0), Options::default()).expect(expr);
    assert!(plan("up{job=\"node\"}").needs_up && !plan("up{job=\"vllm\"}").needs_up);
    assert!(plan("{job=\"node\"}").needs_up && !plan("node_load1{job=\"node\"}").needs_up);
    assert!(plan("absent(a)").needs_all_leaves && !plan("sum(a)").needs_all_leaves);
}

#[test]
fn a_series_from_two_leaves_is_an_error_that_names_it() {
    let series = |value: f64| {
        MemorySource::from_samples([(
            Labels::from_pairs([("__name__", "a"), ("instance", "n1")]),
            1_000,
            value,
        )])
    };
    let error = distributed(
        "a",
        Grid::instant(1_000),
        &[series(1.0), series(2.0)],
        &MemorySource::new(),
        &[],
    )
    .expect_err("twice the same series");
    assert!(
        error
            .to_string()
            .starts_with("the series a{instance=\"n1\"} comes from two leaves"),
        "{error}"
    );
}
