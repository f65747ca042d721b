//! Classic histograms of times, with edges fixed at compile time: two nodes' buckets can be added.

use podscope_model::batch::Row;
use podscope_model::catalog::MetricDef;

/// Upper edges of buckets in nanoseconds, ascending, and the text of each as a `le` label; the last bucket has no edge.
#[derive(Debug)]
pub(crate) struct Edges {
    nanoseconds: Vec<u64>,
    texts: Vec<String>,
}

impl Edges {
    /// One edge for each number of octaves above `unit_ns`: 0, 0.125, 0.25, ...
    pub(crate) fn octaves(unit_ns: u64, octaves: impl IntoIterator<Item = f64>) -> Self {
        let edge = |octave: f64| (unit_ns as f64 * octave.exp2()).round();
        let nanoseconds: Vec<u64> = octaves.into_iter().map(|octave| edge(octave) as u64).collect();
        let texts = nanoseconds.iter().map(|edge| (*edge as f64 / 1e9).to_string());
        Self {
            texts: texts.chain(["+Inf".to_owned()]).collect(),
            nanoseconds,
        }
    }

    /// The `le` labels, `+Inf` last.
    #[cfg(test)]
    pub(crate) fn texts(&self) -> &[String] {
        &self.texts
    }
}

/// How many times fell into each bucket.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    edges: &'static Edges,
    counts: Box<[u64]>,
    seconds: f64,
}

/// The three metrics a histogram is written as.
pub(crate) struct HistogramDefs {
    pub(crate) bucket: &'static MetricDef,
    pub(crate) sum: &'static MetricDef,
    pub(crate) count: &'static MetricDef,
}

impl Histogram {
    pub(crate) fn new(edges: &'static Edges) -> Self {
        Self {
            counts: vec![0; edges.texts.len()].into(),
            edges,
            seconds: 0.0,
        }
    }

    /// Takes in a time that was seen so many times.
    pub(crate) fn add(&mut self, nanoseconds: u64, times: u64) {
        self.add_all(nanoseconds, times, nanoseconds as f64 / 1e9 * times as f64);
    }

    /// Takes in so many times of the same bucket, with their sum.
    pub(crate) fn add_all(&mut self, nanoseconds: u64, times: u64, seconds: f64) {
        // An edge belongs to the bucket below it.
        let at = self.edges.nanoseconds.partition_point(|edge| *edge < nanoseconds);
        self.counts[at] += times;
        self.seconds += seconds;
    }

    /// Takes in all of another with the same edges.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (own, other) in self.counts.iter_mut().zip(&other.counts) {
            *own += other;
        }
        self.seconds += other.seconds;
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.counts.iter().all(|count| *count == 0)
    }

    /// Writes buckets, sum and count.
    pub(crate) fn write(&self, defs: &HistogramDefs, labels: &[(&str, &str)], row: &mut Row) {
        let mut with_edge = Vec::with_capacity(labels.len() + 1);
        with_edge.push(("le", ""));
        with_edge.extend_from_slice(labels);
        let mut total = 0;
        for (count, text) in self.counts.iter().zip(&self.edges.texts) {
            total += count;
            with_edge[0].1 = text;
            row.set(defs.bucket, &with_edge, total as f64);
        }
        row.set(defs.sum, labels, self.seconds);
        row.set(defs.count, labels, total as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    static EDGES: LazyLock<Edges> = LazyLock::new(|| Edges::octaves(1_000_000, [0.0, 0.5, 1.0]));

    #[test]
    fn edges_are_inclusive_and_readable() {
        assert_eq!(EDGES.texts(), ["0.001", "0.001414214", "0.002", "+Inf"]);
        let mut histogram = Histogram::new(&EDGES);
        assert!(histogram.is_empty());
        for time in [1, 1_000_000, 1_000_001, 2_000_000, 9_000_000] {
            histogram.add(time, 1);
        }
        histogram.add(9_000_000, 2);
        assert_eq!(*histogram.counts, [2, 1, 1, 3]);
        let mut both = histogram.clone();
        both.merge(&histogram);
        assert_eq!(*both.counts, [4, 2, 2, 6]);
        assert!((both.seconds - 2.0 * histogram.seconds).abs() < 1e-12);
    }
}
