//! One row of a stream: what a collector hands to the history, once per interval.
//!
//! A [`Row`] lives as long as its collector. Columns are found by name and labels and stay where they are, so that a
//! steady collector allocates nothing: it calls [`Row::begin`], sets its values, and is done. A column that was not set
//! since [`Row::begin`] is absent from the row, and with that stale (rule 4 of the design).

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHasher};

use crate::catalog::{Kind, MetricDef, Unit};
use crate::labels::{Labels, NAME};

/// What a column measures: an entry of the catalog, or a metric that somebody else named (scraped, imported).
#[derive(Clone, Debug)]
pub enum Metric {
    Known(&'static MetricDef),
    Foreign(Arc<ForeignMetric>),
}

/// A metric that is not in the catalog, as its exporter described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignMetric {
    pub name: String,
    pub kind: Kind,
    pub unit: Unit,
    pub help: String,
}

impl Metric {
    pub fn name(&self) -> &str {
        match self {
            Self::Known(def) => def.name,
            Self::Foreign(metric) => &metric.name,
        }
    }

    pub fn kind(&self) -> Kind {
        match self {
            Self::Known(def) => def.kind,
            Self::Foreign(metric) => metric.kind,
        }
    }

    pub fn unit(&self) -> Unit {
        match self {
            Self::Known(def) => def.unit,
            Self::Foreign(metric) => metric.unit,
        }
    }

    pub fn help(&self) -> &str {
        match self {
            Self::Known(def) => def.help,
            Self::Foreign(metric) => &metric.help,
        }
    }
}

/// One column of a stream.
#[derive(Clone, Debug)]
pub struct Column {
    pub metric: Metric,
    /// All labels, the name included; without `instance`, `job` and node labels, which belong to the node.
    pub labels: Labels,
}

/// The current row of one collector.
#[derive(Debug, Default)]
pub struct Row {
    columns: Vec<Column>,
    index: FxHashMap<u64, Vec<u32>>,
    values: Vec<f64>,
    present: Vec<bool>,
    /// The column that was set after the last one set, in the row before: most likely the next one.
    next: usize,
}

impl Row {
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the values, keeps the columns.
    pub fn begin(&mut self) {
        self.present.fill(false);
        self.next = 0;
    }

    /// Sets a sample of a catalog metric. Labels with an empty value are left out. Setting a column twice keeps the
    /// last value.
    pub fn set(&mut self, def: &'static MetricDef, labels: &[(&str, &str)], value: f64) {
        let at = self.find(def.name, labels, || Metric::Known(def));
        self.put(at, value);
    }

    /// Sets a sample of a metric that is not in the catalog.
    pub fn set_foreign(&mut self, metric: &Arc<ForeignMetric>, labels: &[(&str, &str)], value: f64) {
        let at = self.find(&metric.name, labels, || Metric::Foreign(Arc::clone(metric)));
        self.put(at, value);
    }

    fn put(&mut self, at: usize, value: f64) {
        self.values[at] = value;
        self.present[at] = true;
    }

    fn find(&mut self, name: &str, labels: &[(&str, &str)], metric: impl FnOnce() -> Metric) -> usize {
        // A steady collector sets its columns in the same order every time.
        let at = if self.is_column(self.next, name, labels) {
            self.next
        } else {
            self.look_up(name, labels, metric)
        };
        self.next = at + 1;
        at
    }

    fn is_column(&self, at: usize, name: &str, labels: &[(&str, &str)]) -> bool {
        let Some(column) = self.columns.get(at) else {
            return false;
        };
        if column.metric.name() != name {
            return false;
        }
        let mut wanted = 0;
        for (label, value) in labels.iter().filter(|(_, value)| !value.is_empty()) {
            if column.labels.get(label) != Some(value) {
                return false;
            }
            wanted += 1;
        }
        column.labels.len() == wanted + 1
    }

    fn look_up(&mut self, name: &str, labels: &[(&str, &str)], metric: impl FnOnce() -> Metric) -> usize {
        let key = key_of(name, labels);
        let known = self.index.get(&key).into_iter().flatten();
        if let Some(at) = known
            .copied()
            .find(|at| self.is_column(*at as usize, name, labels))
        {
            return at as usize;
        }
        let at = self.columns.len();
        self.index.entry(key).or_default().push(at as u32);
        let pairs = labels.iter().copied().chain([(NAME, name)]);
        self.columns.push(Column {
            metric: metric(),
            labels: Labels::from_pairs(pairs),
        });
        self.values.push(f64::NAN);
        self.present.push(false);
        at
    }

    /// Every column ever set, in order of first use. Indices into it never change; see [`Row::compact`].
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The value of column `at` in the current row.
    pub fn value(&self, at: usize) -> Option<f64> {
        self.present[at].then(|| self.values[at])
    }

    /// The samples of the current row.
    pub fn samples(&self) -> impl Iterator<Item = (&Column, f64)> {
        self.columns
            .iter()
            .zip(&self.values)
            .zip(&self.present)
            .filter(|(_, present)| **present)
            .map(|((column, value), _)| (column, *value))
    }

    /// Number of samples in the current row.
    pub fn len(&self) -> usize {
        self.present.iter().filter(|present| **present).count()
    }

    pub fn is_empty(&self) -> bool {
        !self.present.contains(&true)
    }

    /// Drops the columns that the current row lacks, when more than half of them are gone: a collector whose label sets
    /// churn (containers, processes) must not grow for ever. Answers whether it did; column indices change if so.
    pub fn compact(&mut self) -> bool {
        let live = self.len();
        if self.columns.len() < 64 || live * 2 >= self.columns.len() {
            return false;
        }
        let mut kept = Row::new();
        for at in 0..self.columns.len() {
            if self.present[at] {
                let column = self.columns[at].clone();
                let pairs: Vec<(&str, &str)> = column
                    .labels
                    .iter()
                    .filter(|label| label.name.as_ref() != NAME)
                    .map(|label| (label.name.as_ref(), label.value.as_ref()))
                    .collect();
                let metric = column.metric.clone();
                let index = kept.find(column.metric.name(), &pairs, || metric);
                kept.put(index, self.values[at]);
            }
        }
        *self = kept;
        true
    }
}

/// A hash that does not depend on the order of the labels.
fn key_of(name: &str, labels: &[(&str, &str)]) -> u64 {
    let hash = |parts: (&str, &str)| {
        let mut hasher = FxHasher::default();
        parts.hash(&mut hasher);
        hasher.finish()
    };
    labels
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .fold(hash((NAME, name)), |sum, label| sum.wrapping_add(hash(*label)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(name: &str) -> Arc<ForeignMetric> {
        Arc::new(ForeignMetric {
            name: name.to_owned(),
            kind: Kind::Gauge,
            unit: Unit::None,
            help: String::new(),
        })
    }

    #[test]
    fn a_series_keeps_its_column_whatever_the_order_of_its_labels() {
        let metric = foreign("m");
        let mut row = Row::new();
        row.set_foreign(&metric, &[("a", "1"), ("b", "2")], 1.0);
        row.begin();
        row.set_foreign(&metric, &[("b", "2"), ("a", "1"), ("c", "")], 2.0);
        assert_eq!(row.columns().len(), 1);
        assert_eq!(row.value(0), Some(2.0));
    }

    #[test]
    fn columns_are_found_in_any_order_and_with_newcomers_between() {
        let metrics = [foreign("a"), foreign("b"), foreign("c")];
        let mut row = Row::new();
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            row.begin();
            for at in order {
                row.set_foreign(&metrics[at], &[("l", "1")], at as f64);
            }
            row.set_foreign(&metrics[0], &[("l", "new")], 9.0);
            assert_eq!(row.columns().len(), 4);
            let read: Vec<(&str, f64)> = row.samples().map(|(c, value)| (c.metric.name(), value)).collect();
            assert_eq!(read, [("a", 0.0), ("b", 1.0), ("c", 2.0), ("a", 9.0)]);
        }
    }

    #[test]
    fn a_column_not_set_again_is_absent() {
        let metric = foreign("m");
        let mut row = Row::new();
        row.set_foreign(&metric, &[("a", "1")], 1.0);
        row.begin();
        assert_eq!(row.value(0), None);
        assert!(row.is_empty());
    }

    #[test]
    fn compacting_keeps_the_live_columns_findable() {
        let metric = foreign("m");
        let mut row = Row::new();
        for index in 0..200 {
            row.set_foreign(&metric, &[("z", "1"), ("id", &index.to_string())], 0.0);
        }
        row.begin();
        row.set_foreign(&metric, &[("z", "1"), ("id", "7")], 7.0);
        assert!(row.compact());
        row.begin();
        row.set_foreign(&metric, &[("z", "1"), ("id", "7")], 8.0);
        assert_eq!(row.columns().len(), 1);
        assert_eq!(row.value(0), Some(8.0));
    }
}
