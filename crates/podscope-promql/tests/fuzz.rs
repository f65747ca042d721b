//! What reads expressions, expositions and leaf answers, over the committed seeds and seeded mutations of them.

use std::path::{Path, PathBuf};

use podscope_model::labels::{Labels, NAME};
use podscope_model::leaf::{Annotation, LeafAnswer, LeafStats, LeafValue, PartialColumn, PartialSeries};
use podscope_model::sample::{Grid, SeriesData, StepSeries};
use podscope_promql::fuzz_bodies;
use podscope_testkit::mutations;

fn corpus(krate: &str, body: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(krate)
        .join("fuzz-corpus")
        .join(body)
}

#[test]
fn no_expression_makes_parser_planner_or_evaluation_panic() {
    assert!(mutations::run(&corpus("podscope-promql", "expression"), fuzz_bodies::expression) > 2000);
}

#[test]
fn no_exposition_makes_the_reader_panic() {
    assert!(mutations::run(&corpus("podscope-promql", "text"), fuzz_bodies::text) > 800);
}

#[test]
fn no_leaf_answer_makes_the_reader_panic() {
    assert!(
        mutations::run(
            &corpus("podscope-model", "wire"),
            podscope_model::fuzz_bodies::wire
        ) > 1000
    );
}

/// Writes the seeds of leaf answers anew: `cargo test -p podscope-promql --test fuzz -- --ignored seeds`.
#[test]
#[ignore = "writes into the source tree"]
fn seeds_are_written_anew() {
    let grid = Grid {
        start_ms: 1_000,
        end_ms: 21_000,
        step_ms: 1_000,
    };
    let labels =
        |gpu: usize| Labels::from_pairs([(NAME, "m"), ("instance", "n1"), ("gpu", &gpu.to_string())]);
    let column = |factor: f64| {
        (0..grid.len())
            .map(|step| step as f64 * factor)
            .collect::<Vec<f64>>()
    };
    let steps = (0..3).map(|gpu| StepSeries {
        labels: labels(gpu),
        values: column(gpu as f64),
    });
    let partials = (0..2).map(|gpu| PartialSeries {
        labels: labels(gpu),
        columns: vec![
            (PartialColumn::Sum, column(1.5)),
            (PartialColumn::Count, column(1.0)),
        ],
    });
    let samples = (0..3).map(|gpu| SeriesData {
        labels: labels(gpu),
        timestamps: (0..20).map(|t| t * 1_000 + gpu as i64).collect(),
        values: column(0.25).into_iter().take(20).collect(),
    });
    let values = [
        ("steps", LeafValue::Steps(steps.collect())),
        ("partials", LeafValue::Partials(partials.collect())),
        ("samples", LeafValue::Samples(samples.collect())),
    ];
    for (name, value) in values {
        let answer = LeafAnswer {
            leaf_id: "0123456789abcdef0123456789abcdef".to_owned(),
            instance: "n1".to_owned(),
            grid,
            value,
            covered: vec![(1_000, 21_000)],
            annotations: vec![Annotation::Info("a remark".to_owned())],
            stats: LeafStats::default(),
            behind: None,
        };
        let body = podscope_model::wire::encode(&answer).expect("well formed");
        let folder = corpus("podscope-model", "wire");
        std::fs::create_dir_all(&folder).expect("makes the folder");
        std::fs::write(folder.join(name), body).expect("writes");
    }
}
