//! Functions of bytes that must not panic, whatever the bytes: what reads expressions and expositions. Called with seeded
//! mutations by the tests and by the targets in `fuzz/`.

use podscope_model::sample::Grid;
use podscope_model::source::{Budget, Cancel};

use crate::memory::MemorySource;
use crate::openmetrics::{TimeUnit, read};
use crate::{Options, api_json, evaluate, finish, parse, plan};

/// A few series that expressions of the seeds select.
const DATA: &str = "\
up{instance=\"a\",job=\"node\"} 1 0\nup{instance=\"b\",job=\"node\"} 0 60\n\
x_total{a=\"1\"} 1 0\nx_total{a=\"1\"} 5 60\nx_total{a=\"2\"} 7 30\n\
h_bucket{le=\"1\"} 2 30\nh_bucket{le=\"+Inf\"} 3 30\n";

/// The text of an expression: it is refused with a place inside the text, or it can be planned, evaluated within limits, and
/// what it is printed as says the same.
pub fn expression(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let parsed = match parse(&text) {
        Ok(parsed) => parsed,
        Err(error) => {
            assert!(
                error.position.is_none_or(|at| at <= text.len()),
                "a place outside of the text: {error}"
            );
            assert!(!error.message.is_empty(), "an error that says nothing");
            return;
        }
    };
    let printed = parsed.expr.to_string();
    match parse(&printed) {
        Ok(again) => assert_eq!(again.expr.to_string(), printed, "printed from {text:?}"),
        // Printing sets brackets of its own, which may pass a bound that the text just kept.
        Err(error) => assert!(
            error.message.starts_with("more than") || error.message.contains("bytes, at most"),
            "{printed:?}, printed from {text:?}: {error}"
        ),
    }
    let grid = Grid {
        start_ms: 0,
        end_ms: 120_000,
        step_ms: 30_000,
    };
    let Ok(source) = read(DATA, TimeUnit::Seconds, None) else {
        unreachable!("the data is well formed");
    };
    let budget = || Budget::new(100_000, 1_000, Some(2_000), Cancel::default());
    if let Ok(whole) = evaluate(&parsed, grid, Options::default(), &source, &budget()) {
        api_json::success(&whole, grid, true);
    }
    if let Ok(plan) = plan(&parsed, grid, Options::default()) {
        let nobody = plan.fragments.iter().map(|_| Vec::new()).collect();
        drop(finish(&plan, nobody, &MemorySource::new(), &budget()));
    }
}

/// An exposition: it is refused with a line that is there, or read.
pub fn text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for (unit, default) in [(TimeUnit::Seconds, Some(0)), (TimeUnit::Milliseconds, None)] {
        match read(&text, unit, default) {
            Ok(source) => assert!(source.len() <= text.len()),
            Err(error) => assert!(
                (1..=text.lines().count()).contains(&error.line),
                "a line that is not there: {error}"
            ),
        }
    }
}
