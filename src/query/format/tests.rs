//! Every kind of value in every format, as golden JSON: what changes for a panel is visible in review.

use std::sync::Arc;

use podscope_model::labels::Labels;
use podscope_model::sample::{STALE, SeriesData, StepSeries};
use podscope_testkit::frames::{decode, frame_json};
use serde_json::{Value as Json, json};

use super::*;
use crate::frames::encode;

const GRID: Grid = Grid {
    start_ms: 1_700_000_000_000,
    end_ms: 1_700_000_030_000,
    step_ms: 15_000,
};

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied())
}

fn series(pairs: &[(&str, &str)], values: &[f64]) -> StepSeries {
    StepSeries {
        labels: labels(pairs),
        values: values.to_vec(),
    }
}

fn shape(legend: &Legend) -> Shape<'_> {
    Shape {
        format: Format::TimeSeries,
        legend,
        expr: "up",
        grid: GRID,
        instant: false,
        step_ms: 15_000,
        for_expression: false,
        unit: None,
        value_column: "Value",
    }
}

/// The frames as Grafana's browser gets them.
fn rendered(frames: &[Frame]) -> Json {
    let list: Vec<Json> = frames
        .iter()
        .map(|frame| frame_json(&decode(&encode(frame).expect("encodes")).expect("decodes")))
        .collect();
    json!(list)
}

fn check(name: &str, frames: &[Frame]) {
    let json = serde_json::to_string_pretty(&rendered(frames)).expect("JSON");
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/frames");
    podscope_testkit::golden(format!("{folder}/{name}.json"), &format!("{json}\n"));
    // The same frames as bytes, for the judge that is not ours.
    for (at, frame) in frames.iter().enumerate() {
        let bytes = encode(frame).expect("encodes");
        let path = std::path::PathBuf::from(format!("{folder}/{name}.{at}.arrow"));
        if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
            std::fs::write(&path, &bytes).expect("written");
        }
        assert_eq!(
            std::fs::read(&path).expect("golden bytes"),
            bytes,
            "{}",
            path.display()
        );
    }
}

fn two_nodes() -> Value {
    Value::Vector(vec![
        series(
            &[("__name__", "up"), ("instance", "a"), ("job", "node")],
            &[1.0, STALE, 0.5],
        ),
        series(
            &[("__name__", "up"), ("instance", "b"), ("job", "node")],
            &[f64::NAN, f64::INFINITY, -1.0],
        ),
        series(
            &[("__name__", "up"), ("instance", "gone"), ("job", "node")],
            &[STALE, STALE, STALE],
        ),
    ])
}

fn one_step(value: Value) -> Value {
    match value {
        Value::Vector(list) => Value::Vector(
            list.into_iter()
                .map(|series| StepSeries {
                    labels: series.labels,
                    values: series.values[..1].to_vec(),
                })
                .collect(),
        ),
        other => other,
    }
}

fn instant(legend: &Legend) -> Shape<'_> {
    Shape {
        grid: Grid::instant(GRID.end_ms),
        instant: true,
        ..shape(legend)
    }
}

#[test]
fn a_panel_gets_one_wide_frame_with_empty_cells_where_a_series_has_no_sample() {
    let legend = Legend::Format("{{ instance }} of {{nobody}}".to_owned());
    let unit = Some("percent");
    check(
        "wide",
        &frames(
            two_nodes(),
            &Shape {
                unit,
                ..shape(&legend)
            },
        ),
    );
}

#[test]
fn an_expression_gets_a_frame_per_series_without_empty_cells() {
    check(
        "multi",
        &frames(
            two_nodes(),
            &Shape {
                for_expression: true,
                ..shape(&Legend::Verbose)
            },
        ),
    );
}

#[test]
fn an_instant_query_gives_an_expression_plain_numbers() {
    let value = one_step(two_nodes());
    check(
        "numeric",
        &frames(
            value,
            &Shape {
                for_expression: true,
                ..instant(&Legend::Auto)
            },
        ),
    );
}

#[test]
fn an_instant_query_gives_a_panel_one_row() {
    check(
        "instant",
        &frames(one_step(two_nodes()), &instant(&Legend::Verbose)),
    );
}

#[test]
fn a_table_has_a_column_per_label_and_a_row_per_sample() {
    let mut value = two_nodes();
    if let Value::Vector(list) = &mut value {
        list.push(series(&[("instance", "c"), ("rack", "r1")], &[7.0, STALE, STALE]));
    }
    let shape = Shape {
        format: Format::Table,
        value_column: "Value #B",
        ..shape(&Legend::Verbose)
    };
    check("table", &frames(value, &shape));
    let instant = Shape {
        format: Format::Table,
        ..instant(&Legend::Verbose)
    };
    check("table_instant", &frames(one_step(two_nodes()), &instant));
}

#[test]
fn a_heatmap_has_a_column_per_bucket_with_the_buckets_own_count() {
    let bucket = |group: &str, bound: &str, values: &[f64]| series(&[("le", bound), ("node", group)], values);
    let value = Value::Vector(vec![
        bucket("a", "+Inf", &[30.0, 10.0, 35.0]),
        bucket("a", "10", &[10.0, 10.0, 0.0]),
        bucket("a", "2.5", &[5.0, 10.0, STALE]),
        bucket("b", "1", &[1.0, 1.0, 1.0]),
    ]);
    let shape = Shape {
        format: Format::Heatmap,
        ..shape(&Legend::Auto)
    };
    let made = frames(value, &shape);
    let names = |frame: &Frame| {
        frame
            .fields
            .iter()
            .map(|field| field.name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&made[0]), ["Time", "2.5", "10", "+Inf"]);
    check("heatmap", &made);
}

#[test]
fn scalars_strings_and_range_selectors_have_frames_of_their_own() {
    check(
        "scalar",
        &frames(Value::Scalar(vec![1.0, 2.0, 3.0]), &shape(&Legend::Auto)),
    );
    check(
        "scalar_instant",
        &frames(Value::Scalar(vec![1.0]), &instant(&Legend::Auto)),
    );
    check(
        "string",
        &frames(Value::String("é \"quoted\"".to_owned()), &instant(&Legend::Auto)),
    );
    let samples = Value::Samples(vec![
        SeriesData {
            labels: labels(&[("__name__", "up"), ("instance", "a")]),
            timestamps: Arc::from([1_700_000_000_123, 1_700_000_001_123, 1_700_000_002_123]),
            values: Arc::from([1.0, STALE, 3.0]),
        },
        SeriesData {
            labels: labels(&[("__name__", "up"), ("instance", "b")]),
            timestamps: Arc::from([1_700_000_000_456]),
            values: Arc::from([2.0]),
        },
    ]);
    check("samples", &frames(samples.clone(), &instant(&Legend::Verbose)));
    let table = Shape {
        format: Format::Table,
        ..instant(&Legend::Verbose)
    };
    check("samples_table", &frames(samples, &table));
}

#[test]
fn no_data_is_a_frame_without_fields_in_every_format() {
    let nothing = || Value::Vector(vec![series(&[("a", "1")], &[STALE, STALE, STALE])]);
    for format in [Format::TimeSeries, Format::Table, Format::Heatmap] {
        for for_expression in [false, true] {
            let made = frames(
                nothing(),
                &Shape {
                    format,
                    for_expression,
                    ..shape(&Legend::Verbose)
                },
            );
            assert_eq!((made.len(), made[0].fields.len()), (1, 0), "{format:?}");
        }
    }
    check("no_data", &frames(nothing(), &shape(&Legend::Verbose)));
}

#[test]
fn names_are_the_prometheus_data_sources() {
    let two = labels(&[("__name__", "m"), ("a", "1"), ("b", "x\"y")]);
    let name = |legend: &Legend, labels: &Labels| legend::display_name(legend, labels, "sum(m)");
    assert_eq!(
        name(&Legend::Verbose, &two).as_deref(),
        Some(r#"m{a="1", b="x\"y"}"#)
    );
    assert_eq!(
        name(&Legend::Verbose, &labels(&[("__name__", "m")])).as_deref(),
        Some("m")
    );
    assert_eq!(
        name(&Legend::Verbose, &Labels::empty()).as_deref(),
        Some("sum(m)")
    );
    assert_eq!(name(&Legend::Auto, &two), None);
    assert_eq!(name(&Legend::Auto, &Labels::empty()).as_deref(), Some("sum(m)"));
    let format = |text: &str| Legend::Format(text.to_owned());
    assert_eq!(
        name(&format("{{a}}/{{ b }}/{{c}}"), &two).as_deref(),
        Some("1/x\"y/")
    );
    assert_eq!(name(&format("{{a"), &two).as_deref(), Some("{{a"));
    assert_eq!(name(&format("{{c}}"), &two), None);
}

#[test]
fn an_automatic_name_is_the_one_label_all_series_have_else_all_labels() {
    let named = |list: &[&[(&str, &str)]]| {
        let lines = list.iter().map(|pairs| series(pairs, &[1.0, 1.0, 1.0])).collect();
        let mut made = frames(Value::Vector(lines), &shape(&Legend::Auto));
        let automatic = vec![true; made.len()];
        let mut borrowed: Vec<&mut Frame> = made.iter_mut().collect();
        legend::name_automatically(&mut borrowed, &automatic);
        made[0].fields[1..]
            .iter()
            .map(|field| field.config.display_name.clone())
            .collect::<Vec<_>>()
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(named(&[&[("__name__", "up")]]), [text("up")]);
    assert_eq!(
        named(&[
            &[("__name__", "up"), ("instance", "a")],
            &[("__name__", "up"), ("instance", "b")]
        ]),
        [
            text(r#"{__name__="up", instance="a"}"#),
            text(r#"{__name__="up", instance="b"}"#)
        ]
    );
    // Without a metric name the column is called Value, and Grafana finds the name itself.
    assert_eq!(named(&[&[("instance", "a")], &[("instance", "b")]]), [None, None]);
}
