//! What every collector has to prove, in one call from its test.

use std::collections::HashSet;

use podscope_model::batch::{Metric, Row};
use podscope_model::catalog;

use crate::collector::{Collector, Support};
use crate::error::CollectError;

/// Checks a collector on whatever machine it was made for, and answers what its first collection brought.
///
/// # Panics
///
/// With the rule that is broken:
/// - the name is lower case and its metrics are of the catalog, under the job of its descriptor;
/// - present means that a collection succeeds and brings samples, not present that it brings none;
/// - it writes nothing but catalog metrics of its own list, with labels the catalog knows;
/// - no sample is NaN or infinite;
/// - a second collection of an unchanged machine brings the same columns and no new ones.
pub fn assert_collector_contract(collector: &mut dyn Collector) -> Row {
    let descriptor = collector.descriptor();
    let name = descriptor.name;
    assert!(
        !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'),
        "{name:?} is no name for a collector"
    );
    assert!(
        descriptor.interval_ms >= 100,
        "{name} collects more often than ten times a second"
    );
    let own: HashSet<&str> = descriptor.metrics.iter().map(|def| def.name).collect();
    for def in descriptor.metrics {
        assert_eq!(
            def.job, descriptor.job,
            "{name}: {} belongs to another job",
            def.name
        );
        assert_eq!(
            catalog::find(def.name),
            Some(*def),
            "{name}: {} is not in the catalog",
            def.name
        );
    }
    let support = collector.detect();
    let mut row = Row::new();
    row.begin();
    let first = collector.collect(&mut row);
    match &support {
        Support::Present => {
            first.unwrap_or_else(|error| panic!("{name} is present and failed: {}", chain(&error)));
            assert!(!row.is_empty(), "{name} is present and brought nothing");
        }
        Support::NotPresent(reason) => {
            assert!(!reason.is_empty(), "{name} does not say why it is not present");
            assert!(
                row.is_empty(),
                "{name} is not present ({reason}) and brought {} samples",
                row.len()
            );
            return row;
        }
    }
    for (column, value) in row.samples() {
        let Metric::Known(def) = column.metric else {
            panic!("{name}: {} is not of the catalog", column.labels);
        };
        assert!(own.contains(def.name), "{name}: {} is not of its list", def.name);
        assert!(value.is_finite(), "{name}: {} is {value}", column.labels);
        for label in column
            .labels
            .iter()
            .filter(|label| label.name.as_ref() != podscope_model::labels::NAME)
        {
            assert!(
                def.labels.contains(&label.name.as_ref()),
                "{name}: the catalog knows no label {} of {}",
                label.name,
                def.name
            );
        }
    }
    let columns = row.columns().len();
    let present = row.len();
    row.begin();
    if let Err(error) = collector.collect(&mut row) {
        panic!("{name} failed the second time: {}", chain(&error));
    }
    assert_eq!(
        row.columns().len(),
        columns,
        "{name} made new columns the second time"
    );
    assert_eq!(row.len(), present, "{name} left columns out the second time");
    row
}

/// An error with its causes, as a log line has them.
fn chain(error: &CollectError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
