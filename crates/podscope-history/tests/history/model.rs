//! Whatever is appended, in whatever order of joins, leaves, seals and restarts, comes back as a plain model says.

use std::collections::BTreeMap;

use crate::support::{ModelRow, model, open, options, read, row_from, scratch, spec};
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    /// A row so many milliseconds after the last one.
    Row(i64, BTreeMap<u32, f64>),
    Seal,
    Maintain,
    Reopen,
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => (0_i64..3).prop_map(|v| v as f64),
        2 => (-1000_i64..1000).prop_map(|v| v as f64 / 100.0),
        1 => any::<u64>().prop_map(f64::from_bits),
        1 => any::<i64>().prop_map(|v| v as f64),
        1 => prop_oneof![
            Just(-0.0),
            Just(f64::INFINITY),
            Just(f64::NEG_INFINITY),
            Just(f64::NAN),
            Just(9_007_199_254_740_993.0),
            Just(f64::MAX),
            Just(f64::MIN_POSITIVE),
        ],
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let gap = prop_oneof![8 => 900_i64..1100, 1 => 1_i64..100_000, 1 => Just(3_600_000_i64)];
    let values = prop::collection::btree_map(0_u32..6, value(), 0..6);
    prop_oneof![
        30 => (gap, values).prop_map(|(gap, values)| Step::Row(gap, values)),
        1 => Just(Step::Seal),
        1 => Just(Step::Maintain),
        1 => Just(Step::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_is_what_the_model_says(
        steps in prop::collection::vec(step(), 1..200),
        start in -1_000_i64..200_000,
        length in 0_i64..10_000_000,
    ) {
        let dir = scratch();
        let options = options(dir.path());
        let mut history = open(&options);
        let mut rows: Vec<ModelRow> = Vec::new();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Row(gap, values) => {
                    now += gap;
                    history.append(&spec("s"), now, &row_from(&values)).expect("takes the row");
                    rows.push((now, values));
                }
                Step::Seal => history.seal().expect("seals"),
                Step::Maintain => history.maintain(now),
                Step::Reopen => {
                    drop(history);
                    history = open(&options);
                }
            }
        }
        prop_assert_eq!(read(&history, i64::MIN / 2, i64::MAX / 2), model(&rows, i64::MIN / 2, i64::MAX / 2));
        let end = start + length;
        prop_assert_eq!(read(&history, start, end), model(&rows, start, end));
        history.close().expect("closes");
        let again = open(&options);
        prop_assert_eq!(read(&again, i64::MIN / 2, i64::MAX / 2), model(&rows, i64::MIN / 2, i64::MAX / 2));
        prop_assert_eq!(read(&again, start, end), model(&rows, start, end));
    }
}
