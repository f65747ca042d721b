//! A source in memory: for `podscope query --data`, for tests, and for what the root of a query makes up itself (`up`).

use std::collections::BTreeMap;
use std::sync::Arc;

use podscope_model::labels::Labels;
use podscope_model::matcher::{Matcher, all_match};
use podscope_model::sample::SeriesData;
use podscope_model::source::{Budget, Select, SeriesSource, SourceError};

/// Times and values of one series.
type Columns = (Arc<[i64]>, Arc<[f64]>);

/// Series by label set, in label order.
#[derive(Clone, Debug, Default)]
pub struct MemorySource {
    series: BTreeMap<Labels, Columns>,
}

impl MemorySource {
    pub fn new() -> Self {
        Self::default()
    }

    /// Builds a source from samples in any order. Of two samples of one series at the same time the last one stays.
    pub fn from_samples(samples: impl IntoIterator<Item = (Labels, i64, f64)>) -> Self {
        let mut sorted: BTreeMap<Labels, BTreeMap<i64, f64>> = BTreeMap::new();
        for (labels, time_ms, value) in samples {
            sorted.entry(labels).or_default().insert(time_ms, value);
        }
        let series = sorted
            .into_iter()
            .map(|(labels, samples)| {
                let (timestamps, values): (Vec<i64>, Vec<f64>) = samples.into_iter().unzip();
                (labels, (Arc::from(timestamps), Arc::from(values)))
            })
            .collect();
        Self { series }
    }

    /// Adds a series, in the place of one with the same labels.
    pub fn insert(&mut self, series: SeriesData) {
        self.series
            .insert(series.labels, (series.timestamps, series.values));
    }

    /// Every series, in label order.
    pub fn all(&self) -> impl Iterator<Item = SeriesData> + '_ {
        self.series
            .iter()
            .map(|(labels, (timestamps, values))| SeriesData {
                labels: labels.clone(),
                timestamps: Arc::clone(timestamps),
                values: Arc::clone(values),
            })
    }

    pub fn len(&self) -> usize {
        self.series.len()
    }

    pub fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    /// The times of the oldest and the newest sample.
    pub fn time_range(&self) -> Option<(i64, i64)> {
        let first = self
            .series
            .values()
            .filter_map(|(times, _)| times.first())
            .min()?;
        let last = self.series.values().filter_map(|(times, _)| times.last()).max()?;
        Some((*first, *last))
    }
}

/// The samples with `start_ms < t <= end_ms`.
fn between(timestamps: &[i64], start_ms: i64, end_ms: i64) -> std::ops::Range<usize> {
    let low = timestamps.partition_point(|t| *t <= start_ms);
    let high = timestamps.partition_point(|t| *t <= end_ms);
    low..high.max(low)
}

impl SeriesSource for MemorySource {
    fn select(
        &self,
        select: &Select<'_>,
        budget: &Budget,
        sink: &mut dyn FnMut(SeriesData) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        for (labels, (timestamps, values)) in &self.series {
            if !all_match(select.matchers, labels) {
                continue;
            }
            let range = between(timestamps, select.start_ms, select.end_ms);
            if range.is_empty() {
                continue;
            }
            budget.take_samples(range.len())?;
            // A part is copied, the whole is shared.
            let whole = range.len() == timestamps.len();
            let (timestamps, values) = if whole {
                (Arc::clone(timestamps), Arc::clone(values))
            } else {
                let times = timestamps.get(range.clone()).unwrap_or_default();
                (Arc::from(times), Arc::from(values.get(range).unwrap_or_default()))
            };
            sink(SeriesData {
                labels: labels.clone(),
                timestamps,
                values,
            })?;
        }
        Ok(())
    }

    fn series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        budget: &Budget,
    ) -> Result<Vec<Labels>, SourceError> {
        budget.check()?;
        Ok(self
            .series
            .iter()
            .filter(|(labels, (timestamps, _))| {
                all_match(matchers, labels) && !between(timestamps, start_ms, end_ms).is_empty()
            })
            .map(|(labels, _)| labels.clone())
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source() -> MemorySource {
        let labels = |name: &str| Labels::from_pairs([("__name__", name)]);
        MemorySource::from_samples([
            (labels("b"), 2_000, 2.0),
            (labels("b"), 1_000, 1.0),
            (labels("a"), 1_000, 5.0),
            (labels("b"), 2_000, 3.0),
        ])
    }

    fn names(start_ms: i64, end_ms: i64) -> Vec<(String, Vec<f64>)> {
        let select = Select {
            matchers: &[],
            start_ms,
            end_ms,
            step_ms: 1,
            function: None,
        };
        let mut found = Vec::new();
        source()
            .select(&select, &Budget::unlimited(), &mut |series| {
                found.push((series.labels.to_string(), series.values.to_vec()));
                Ok(())
            })
            .expect("no limits");
        found
    }

    #[test]
    fn windows_are_open_at_the_left() {
        assert_eq!(names(1_000, 2_000), [("b".to_owned(), vec![3.0])]);
        assert_eq!(
            names(999, 1_000),
            [("a".to_owned(), vec![5.0]), ("b".to_owned(), vec![1.0])]
        );
        assert_eq!(names(2_000, 9_000), []);
        assert_eq!(source().time_range(), Some((1_000, 2_000)));
    }
}
