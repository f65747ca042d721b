use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;

use super::{Form, decode, encode};
use crate::labels::{Labels, NAME};
use crate::leaf::{Annotation, Behind, LeafAnswer, LeafStats, LeafValue, PartialColumn, PartialSeries};
use crate::sample::{Grid, STALE, SeriesData, StepSeries};

fn answer(grid: Grid, value: LeafValue) -> LeafAnswer {
    LeafAnswer {
        leaf_id: "leaf-1".to_owned(),
        instance: "node \"1\"".to_owned(),
        grid,
        value,
        covered: vec![(0, 10), (20, i64::MAX)],
        annotations: vec![
            Annotation::Info("i".to_owned()),
            Annotation::Warning("w\n".to_owned()),
        ],
        stats: LeafStats {
            samples_read: 7,
            series_out: 3,
            elapsed_us: 9,
        },
        behind: Some(Box::new(Behind {
            leaves_version: "v".to_owned(),
            expected: 3,
            answered: 2,
            ..Behind::default()
        })),
    }
}

/// Everything of a value that must survive, numbers as bits.
fn bits(value: &LeafValue) -> Vec<(String, Vec<String>, Vec<i64>, Vec<u64>)> {
    let of = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    match value {
        LeafValue::Steps(list) => {
            let one = |series: &StepSeries| (series.labels.to_string(), vec![], vec![], of(&series.values));
            list.iter().map(one).collect()
        }
        LeafValue::Partials(list) => list
            .iter()
            .map(|group| {
                let names = group
                    .columns
                    .iter()
                    .map(|(column, _)| format!("{column:?}"))
                    .collect();
                let values = group.columns.iter().flat_map(|(_, values)| of(values)).collect();
                (group.labels.to_string(), names, vec![], values)
            })
            .collect(),
        LeafValue::Samples(list) => list
            .iter()
            .map(|series| {
                (
                    series.labels.to_string(),
                    vec![],
                    series.timestamps.to_vec(),
                    of(&series.values),
                )
            })
            .collect(),
        LeafValue::None => vec![],
    }
}

fn same_kind(a: &LeafValue, b: &LeafValue) -> bool {
    std::mem::discriminant(a) == std::mem::discriminant(b)
}

fn assert_survives(given: &LeafAnswer, form: Option<Form>) {
    let body = super::encode::encode(given, form).expect("well formed");
    let read = decode(Bytes::from(body)).expect("our own body");
    assert_eq!(bits(&read.value), bits(&given.value));
    assert!(same_kind(&read.value, &given.value));
    assert_eq!(
        (
            read.leaf_id,
            read.instance,
            read.grid,
            read.covered,
            read.annotations,
            read.stats,
            read.behind
        ),
        (
            given.leaf_id.clone(),
            given.instance.clone(),
            given.grid,
            given.covered.clone(),
            given.annotations.clone(),
            given.stats,
            given.behind.clone()
        )
    );
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => any::<f64>(),
        2 => Just(STALE),
        1 => (1u64..0x000f_ffff_ffff_ffff).prop_map(|payload| f64::from_bits(0x7ff0_0000_0000_0000 | payload)),
        1 => Just(-0.0),
        1 => Just(f64::NEG_INFINITY),
    ]
}

fn any_labels() -> impl Strategy<Value = Labels> {
    let pair = ("[a-c]|__name__|\\PC{1,3}", "\\PC{0,4}|\"|\\\\|\n");
    (prop::collection::vec(pair, 0..5), any::<bool>()).prop_map(|(mut pairs, shared)| {
        if shared {
            pairs.push(("instance".to_owned(), "n1".to_owned()));
        }
        Labels::from_pairs(pairs)
    })
}

fn any_grid() -> impl Strategy<Value = Grid> {
    (-1_000_000i64..2_000_000_000_000, 1i64..100_000, 0i64..20).prop_map(|(start_ms, step_ms, steps)| Grid {
        start_ms,
        end_ms: start_ms + step_ms * steps,
        step_ms,
    })
}

fn any_steps(steps: usize) -> impl Strategy<Value = LeafValue> {
    let series = (any_labels(), prop::collection::vec(any_value(), steps))
        .prop_map(|(labels, values)| StepSeries { labels, values });
    prop::collection::vec(series, 0..6).prop_map(LeafValue::Steps)
}

fn any_partials(steps: usize) -> impl Strategy<Value = LeafValue> {
    let column = prop_oneof![
        Just(PartialColumn::Value),
        Just(PartialColumn::Sum),
        Just(PartialColumn::Compensation),
        Just(PartialColumn::Count),
        Just(PartialColumn::Mean),
        Just(PartialColumn::SquaredDeviation)
    ];
    let columns = prop::collection::vec((column, prop::collection::vec(any_value(), steps)), 1..4);
    let group = (any_labels(), columns).prop_map(|(labels, columns)| PartialSeries { labels, columns });
    prop::collection::vec(group, 0..5).prop_map(LeafValue::Partials)
}

fn any_samples() -> impl Strategy<Value = LeafValue> {
    let stamps = prop::collection::btree_set(-5_000_000i64..5_000_000, 0..8);
    let series = (any_labels(), prop::collection::vec(any_value(), 8), any::<bool>());
    (stamps.clone(), stamps, prop::collection::vec(series, 0..6)).prop_map(|(one, other, list)| {
        let one: Arc<[i64]> = one.into_iter().collect();
        let other: Arc<[i64]> = other.into_iter().collect();
        let of = |(labels, values, first): (Labels, Vec<f64>, bool)| {
            let timestamps = Arc::clone(if first { &one } else { &other });
            let values = values.into_iter().take(timestamps.len()).collect();
            SeriesData {
                labels,
                timestamps,
                values,
            }
        };
        LeafValue::Samples(list.into_iter().map(of).collect())
    })
}

fn any_answer() -> impl Strategy<Value = LeafAnswer> {
    any_grid().prop_flat_map(|grid| {
        let value = prop_oneof![
            any_steps(grid.len()),
            any_partials(grid.len()),
            any_samples(),
            Just(LeafValue::None)
        ];
        value.prop_map(move |value| answer(grid, value))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_survives_in_both_forms(given in any_answer()) {
        assert_survives(&given, None);
        assert_survives(&given, Some(Form::Wide));
        assert_survives(&given, Some(Form::Long));
    }

    #[test]
    fn a_body_cut_short_is_an_error_or_the_whole_answer(given in any_answer(), cut in any::<prop::sample::Index>()) {
        let body = encode(&given).expect("well formed");
        let read = decode(Bytes::copy_from_slice(&body[..cut.index(body.len())]));
        // Only the end marker may be missing.
        if let Ok(read) = read {
            assert_eq!(bits(&read.value), bits(&given.value));
        }
    }

    #[test]
    fn a_changed_body_never_panics(
        given in any_answer(),
        long in any::<bool>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        skew in 0usize..8,
    ) {
        let form = if long { Form::Long } else { Form::Wide };
        let body = super::encode::encode(&given, Some(form)).expect("well formed");
        let mut bytes = vec![0; skew];
        bytes.extend_from_slice(&body);
        for (at, byte) in changes {
            let at = skew + at.index(body.len());
            bytes[at] = byte;
        }
        if let Ok(read) = decode(Bytes::from(bytes).slice(skew..)) {
            // What is read is at least consistent.
            let steps = read.grid.len();
            match read.value {
                LeafValue::Steps(list) => assert!(list.iter().all(|series| series.values.len() == steps)),
                LeafValue::Partials(list) => {
                    assert!(list.iter().flat_map(|group| &group.columns).all(|(_, column)| column.len() == steps));
                }
                LeafValue::Samples(list) => {
                    assert!(list.iter().all(|series| series.values.len() == series.timestamps.len()));
                }
                LeafValue::None => {}
            }
        }
    }

    #[test]
    fn noise_never_panics(noise in prop::collection::vec(any::<u8>(), 0..400)) {
        assert!(decode(Bytes::from(noise)).is_err());
    }
}

fn steps(series: usize, steps: usize) -> LeafAnswer {
    let grid = Grid {
        start_ms: 0,
        end_ms: (steps as i64 - 1) * 1000,
        step_ms: 1000,
    };
    let list = (0..series).map(|at| StepSeries {
        labels: Labels::from_pairs([
            (NAME, "m"),
            ("instance", "n1"),
            ("job", "dcgm"),
            ("gpu", &at.to_string()),
        ]),
        values: (0..steps).map(|step| (at * step) as f64 * 0.1).collect(),
    });
    answer(grid, LeafValue::Steps(list.collect()))
}

#[test]
fn the_form_follows_the_shape() {
    let wide = |given: &LeafAnswer| {
        let body = encode(given).expect("well formed");
        String::from_utf8_lossy(&body).contains(r#""form":"wide""#)
    };
    assert!(wide(&steps(8, 360)));
    assert!(!wide(&steps(5_000, 1)));
    assert!(wide(&steps(300, 1_000)));
}

#[test]
fn shared_labels_and_timestamps_are_written_once() {
    let body = encode(&steps(5_000, 1)).expect("well formed");
    assert_eq!(String::from_utf8_lossy(&body).matches("dcgm").count(), 1);
    let timestamps: Arc<[i64]> = (0..1000).collect();
    let series = |at: usize| SeriesData {
        labels: Labels::from_pairs([("gpu", at.to_string())]),
        timestamps: Arc::clone(&timestamps),
        values: vec![1.0; 1000].into(),
    };
    let given = answer(
        Grid::instant(999),
        LeafValue::Samples((0..4).map(series).collect()),
    );
    let body = encode(&given).expect("well formed");
    assert!(body.len() < 8 * 1000 * 5 + 4096, "{} bytes", body.len());
    let LeafValue::Samples(list) = decode(Bytes::from(body)).expect("our own body").value else {
        panic!("samples expected")
    };
    assert!(
        list.iter()
            .all(|series| Arc::ptr_eq(&series.timestamps, &list[0].timestamps))
    );
    assert_eq!(list.len(), 4);
}

#[test]
fn a_column_that_does_not_fit_the_grid_is_refused() {
    let mut given = steps(2, 3);
    let LeafValue::Steps(list) = &mut given.value else {
        panic!("steps expected")
    };
    list[1].values.pop();
    let error = encode(&given).expect_err("a short column");
    assert_eq!(
        error.to_string(),
        "not a leaf answer: a column of 2 values on a grid of 3 steps"
    );
}

/// Overwrites the first place where `text` stands; what replaces it has the same length.
fn forge(body: &[u8], text: &str, with: &str) -> Bytes {
    let at = body
        .windows(text.len())
        .position(|window| window == text.as_bytes())
        .expect("in the body");
    let mut forged = body.to_vec();
    forged[at..at + text.len()].copy_from_slice(with.as_bytes());
    Bytes::from(forged)
}

#[test]
fn a_header_that_promises_more_than_the_body_holds_is_refused() {
    let body = encode(&steps(1, 11)).expect("well formed");
    let error = decode(forge(&body, r#""end_ms":10000"#, r#""end_ms":99999"#)).expect_err("another grid");
    assert_eq!(
        error.to_string(),
        "not a leaf answer: a column of 11 values on a grid of 100 steps"
    );
    let error = decode(forge(&body, r#""rows":1,"#, r#""rows":9,"#)).expect_err("rows that are not there");
    assert_eq!(error.to_string(), "not a leaf answer: cut short");
    let error = decode(forge(&body, r#""step_ms":1000"#, r#""step_ms":1   "#)).expect_err("10,001 steps");
    assert!(
        error.to_string().starts_with("not a leaf answer: 1 rows in "),
        "{error}"
    );
}

#[test]
fn another_version_is_named() {
    let body = encode(&steps(1, 1)).expect("well formed");
    let error = decode(forge(&body, r#""version":1"#, r#""version":7"#)).expect_err("a version nobody knows");
    let wanted = "not a leaf answer: version 7 of the format; this reader knows 1";
    assert_eq!(error.to_string(), wanted);
}
