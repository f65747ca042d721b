//! What PromQL promises, one promise per test, on data that fits on a page.

use podscope_model::labels::Labels;
use podscope_model::sample::{Grid, STALE, SeriesData, is_stale};
use podscope_model::source::{Budget, BudgetError, Cancel};
use podscope_promql::memory::MemorySource;
use podscope_promql::openmetrics::{TimeUnit, read};
use podscope_promql::{EvalError, Options, Outcome, Value, evaluate, parse};

fn source(text: &str) -> MemorySource {
    read(text, TimeUnit::Seconds, None).expect("test data")
}

fn run(text: &str, expr: &str, grid: Grid) -> Result<Outcome, EvalError> {
    evaluate(
        &parse(expr)?,
        grid,
        Options::default(),
        &source(text),
        &Budget::unlimited(),
    )
}

/// The answer at one time, as `series value` lines.
fn at(text: &str, expr: &str, seconds: i64) -> Vec<String> {
    let outcome =
        run(text, expr, Grid::instant(seconds * 1_000)).unwrap_or_else(|error| panic!("{expr}: {error}"));
    match outcome.value {
        Value::Scalar(column) => column.iter().map(f64::to_string).collect(),
        Value::String(text) => vec![text],
        Value::Vector(series) => series
            .iter()
            .map(|series| format!("{} {}", series.labels, series.values[0]))
            .collect(),
        Value::Samples(series) => series
            .iter()
            .map(|series| format!("{} {:?} {:?}", series.labels, series.timestamps, series.values))
            .collect(),
    }
}

fn error(text: &str, expr: &str) -> String {
    run(text, expr, Grid::instant(0)).expect_err(expr).to_string()
}

const COUNTER: &str = "c_total 10 0\nc_total 20 60\nc_total 5 120\nc_total 15 180\n";

#[test]
fn a_range_is_open_at_the_left() {
    assert_eq!(at(COUNTER, "count_over_time(c_total[1m])", 120), ["{} 1"]);
    assert_eq!(
        at(COUNTER, "c_total[2m]", 120),
        ["c_total [60000, 120000] [20.0, 5.0]"]
    );
}

#[test]
fn a_rate_adds_what_a_reset_took_and_extrapolates_to_the_borders() {
    // 10 -> 20, reset to 5, 15: an increase of 25 in 180 s of samples, extrapolated at both borders.
    assert_eq!(at(COUNTER, "resets(c_total[5m])", 180), ["{} 1"]);
    let increase = at(COUNTER, "increase(c_total[4m])", 210);
    let value: f64 = increase[0].trim_start_matches("{} ").parse().expect("a number");
    assert!((value - 25.0 * 240.0 / 180.0).abs() < 1e-9, "{value}");
}

#[test]
fn a_sample_is_current_for_the_lookback_and_not_a_millisecond_longer() {
    let text = "a 1 0\n";
    assert_eq!(at(text, "a", 299), ["a 1"]);
    assert_eq!(at(text, "a", 300), [] as [&str; 0]);
}

#[test]
fn a_stale_marker_ends_a_series_at_once() {
    let labels = Labels::from_pairs([("__name__", "a")]);
    let source = MemorySource::from_samples([
        (labels.clone(), 0, 1.0),
        (labels.clone(), 10_000, STALE),
        (labels, 20_000, 3.0),
    ]);
    let grid = Grid {
        start_ms: 0,
        end_ms: 20_000,
        step_ms: 5_000,
    };
    let outcome = evaluate(
        &parse("a").expect("valid"),
        grid,
        Options::default(),
        &source,
        &Budget::unlimited(),
    );
    let Ok(Outcome {
        value: Value::Vector(series),
        ..
    }) = outcome
    else {
        panic!("a vector")
    };
    let present: Vec<bool> = series[0].values.iter().map(|value| !is_stale(*value)).collect();
    assert_eq!(present, [true, true, false, false, true]);
}

#[test]
fn ties_in_topk_go_to_the_labels_that_sort_first() {
    let text = "a{x=\"3\"} 1 0\na{x=\"1\"} 1 0\na{x=\"2\"} 1 0\na{x=\"4\"} NaN 0\n";
    assert_eq!(at(text, "topk(2, a)", 0), ["a{x=\"1\"} 1", "a{x=\"2\"} 1"]);
    assert_eq!(
        at(text, "bottomk(4, a)", 0).last().map(String::as_str),
        Some("a{x=\"4\"} NaN")
    );
}

#[test]
fn sort_keeps_its_order_through_what_does_not_reorder() {
    let text = "a{x=\"1\"} 3 0\na{x=\"2\"} 1 0\na{x=\"3\"} 2 0\n";
    assert_eq!(
        at(text, "sort_desc(a) * 2", 0),
        ["{x=\"1\"} 6", "{x=\"3\"} 4", "{x=\"2\"} 2"]
    );
}

#[test]
fn ambiguous_matches_are_refused_with_the_series_named() {
    let text = "a{x=\"1\",y=\"1\"} 3 0\na{x=\"1\",y=\"2\"} 1 0\nb{x=\"1\",y=\"1\"} 2 0\n";
    assert!(error(text, "b + on (x) a").contains("found duplicate series for the match group {x=\"1\"}"));
    assert!(error(text, "a + on (x) b").contains("group_left"));
    assert_eq!(at(text, "a * on (x) group_left b", 0).len(), 2);
    assert!(error(text, "abs({__name__=~\"a|b\",y=\"1\"})").contains("same labelset"));
}

#[test]
fn what_is_not_supported_is_named() {
    for (expr, name) in [
        ("limitk(2, a)", "\"limitk\""),
        ("mad_over_time(a[5m])", "\"mad_over_time\""),
        ("histogram_avg(a)", "\"histogram_avg\""),
        ("a </ 5", "\"</\""),
        ("rate(a[5m] smoothed)", "\"smoothed\""),
        ("rate(a[5m + 1m])", "arithmetic on durations"),
        ("a + fill(0) b", "\"fill\""),
        ("{a=\"b\" or c=\"d\"}", "\"or\" between matchers"),
    ] {
        let error = parse(expr).expect_err(expr);
        assert!(
            error.message.contains("not supported") && error.message.contains(name),
            "{expr}: {error}"
        );
    }
}

#[test]
fn mistakes_are_shown_with_their_place() {
    for (expr, position) in [("sum(a", 3), ("a b", 2), ("a +", 3), ("a{b=\"c}", 4)] {
        assert_eq!(parse(expr).expect_err(expr).position, Some(position), "{expr}");
    }
}

#[test]
fn a_thousand_operators_fit_a_small_stack() {
    let run = |expr: String| {
        let answer = std::thread::Builder::new()
            .stack_size(2 << 20)
            .spawn(move || {
                let parsed = parse(&expr).expect("within bounds");
                let plan =
                    podscope_promql::plan(&parsed, Grid::instant(0), Options::default()).expect("plans");
                drop(plan);
                at("a 1 0\n", &expr, 0).len()
            })
            .expect("a thread")
            .join();
        assert_eq!(answer.expect("no overflow"), 1);
    };
    run(vec!["a"; 1_001].join(" + "));
    run(vec!["1"; 1_001].join(" ^ "));
    run(format!("{}a", "-".repeat(1_000)));
    run(format!("{}a{}", "(".repeat(128), ")".repeat(128)));
    run(format!("{}a{}", "abs(".repeat(128), ")".repeat(128)));
    run(format!("{}a{}", "a + (".repeat(128), ")".repeat(128)));
    run(vec!["a"; 500].join(" or sum(a) > "));
}

#[test]
fn a_query_stops_at_its_limits_and_when_nobody_waits() {
    let source = source("a{x=\"1\"} 1 0\na{x=\"2\"} 1 0\n");
    let ask = |budget: Budget| {
        let parsed = parse("sum(a)").expect("valid");
        evaluate(&parsed, Grid::instant(0), Options::default(), &source, &budget)
            .expect_err("stopped")
            .to_string()
    };
    assert!(ask(Budget::new(1, 10, None, Cancel::default())).contains("more than 1 samples"));
    assert!(ask(Budget::new(10, 1, None, Cancel::default())).contains("more than 1 series"));
    let cancelled = Cancel::default();
    cancelled.cancel();
    assert!(ask(Budget::new(10, 10, None, cancelled)).contains("cancelled"));
}

#[test]
fn an_absurd_grid_is_refused_not_allocated() {
    let grid = Grid {
        start_ms: 0,
        end_ms: i64::MAX / 4,
        step_ms: 1,
    };
    assert!(run("a 1 0\n", "a", grid).is_err());
    assert!(run("a 1 0\n", "1", grid).is_err());
    assert!(
        run(
            "a 1 0\n",
            "a",
            Grid {
                start_ms: 1,
                end_ms: 0,
                step_ms: 1
            }
        )
        .is_err()
    );
    assert!(run("a 1 0\n", "max_over_time(a[100000d:1ms])", Grid::instant(0)).is_err());
}

#[test]
fn a_range_query_takes_scalars_and_vectors_only() {
    let grid = Grid {
        start_ms: 0,
        end_ms: 10_000,
        step_ms: 1_000,
    };
    assert!(run("a 1 0\n", "a[5m]", grid).is_err());
    assert!(run("a 1 0\n", "\"text\"", grid).is_err());
    assert!(run("a 1 0\n", "a", grid).is_ok());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in "[a-z0-9_:{}\\[\\]()\"'`,.+*/%^=!~<>@# \\\\\n-]{0,60}") {
        let parsed = parse(&text);
        if let Ok(parsed) = parsed {
            // What parses is evaluated without a panic, too.
            let answer = evaluate(&parsed, Grid::instant(0), Options::default(), &MemorySource::new(), &Budget::unlimited());
            drop(answer);
        }
    }

    #[test]
    fn pieces_of_promql_never_make_it_panic(
        pieces in proptest::collection::vec(
            proptest::sample::select(vec![
                "a", "sum", "by", "(", ")", "[", "]", "{", "}", "5m", "1", "1e300", "-", "+", "^", "offset", "@", "start()",
                "end()", "rate", ",", "\"x\"", "=~", "=", "on", "group_left", "bool", ">", "and", "or", "topk", "a[5m]", ":",
                "inf", "nan", "0x1F", "99999999999999999999", "1y", "time()", "atan2", "{a=\"b\"}", "__name__", "fill",
            ]),
            0..14,
        ),
        glue in proptest::sample::select(vec!["", " "]),
    ) {
        let text = pieces.join(glue);
        if let Ok(parsed) = parse(&text) {
            let answer = evaluate(&parsed, Grid::instant(0), Options::default(), &MemorySource::new(), &Budget::unlimited());
            drop(answer);
        }
    }
}

#[test]
fn a_cancelled_query_stops_within_one_series() {
    let times: Vec<i64> = (0..7 * 86_400).map(|second| second * 1_000).collect();
    let values: Vec<f64> = times.iter().map(|time| (time / 1_000 % 977) as f64).collect();
    let mut source = MemorySource::new();
    source.insert(SeriesData {
        labels: Labels::from_pairs([("__name__", "x")]),
        timestamps: times.into(),
        values: values.into(),
    });
    // 600,000 windows of 86,400 samples, each sorted in part: hours of work.
    let grid = Grid {
        start_ms: 0,
        end_ms: 7 * 86_400_000,
        step_ms: 1_000,
    };
    let cancel = Cancel::default();
    let budget = Budget::new(u64::MAX, u64::MAX, None, cancel.clone());
    let (done, finished) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let parsed = parse("quantile_over_time(0.5, x[1d])").expect("parses");
            let outcome = evaluate(&parsed, grid, Options::default(), &source, &budget);
            done.send(outcome.map(|_| ())).expect("somebody waits");
        });
        while budget.samples_read() == 0 {
            std::thread::yield_now();
        }
        cancel.cancel();
    });
    let outcome = finished.recv().expect("it ended");
    assert!(
        matches!(outcome, Err(EvalError::Budget(BudgetError::Cancelled))),
        "{outcome:?}"
    );
}
