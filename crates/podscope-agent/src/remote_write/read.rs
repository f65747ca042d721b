//! Samples out of the history: of each series the last one of every span of the resolution.

use std::collections::BTreeMap;

use podscope_model::labels::Labels;
use podscope_model::leaf::Limits;
use podscope_model::matcher::Matcher;
use podscope_model::sample::SeriesData;
use podscope_model::source::{Budget, Cancel, Select, SeriesSource, SourceError};

use super::encode::{Label, Sample, Series};
use crate::labelled::LabelledSource;
use crate::state::AgentState;

/// The samples in `start_ms < t <= end_ms` that any of the selectors wants, with the node's labels.
pub(super) fn span(
    state: &AgentState,
    selectors: &[Vec<Matcher>],
    start_ms: i64,
    end_ms: i64,
    resolution_ms: i64,
) -> Result<Vec<Series>, SourceError> {
    let limits = state.bounded(Limits::default());
    let budget = Budget::new(
        limits.max_samples,
        u64::MAX,
        Some(limits.timeout_ms),
        Cancel::default(),
    );
    let source = LabelledSource::new(&**state.history(), state.own_labels());
    // A series that two selectors want is sent once.
    let mut found: BTreeMap<Labels, Series> = BTreeMap::new();
    for matchers in selectors {
        let select = Select {
            matchers,
            start_ms,
            end_ms,
            step_ms: 1,
            function: None,
        };
        source.select(&select, &budget, &mut |data: SeriesData| {
            let samples = thinned(&data, resolution_ms);
            if !samples.is_empty() {
                let labels = data.labels.iter().map(|label| Label {
                    name: label.name.to_string(),
                    value: label.value.to_string(),
                });
                let series = Series {
                    labels: labels.collect(),
                    samples,
                };
                found.insert(data.labels, series);
            }
            Ok(())
        })?;
    }
    Ok(found.into_values().collect())
}

/// The last sample of each span `(n * resolution, (n + 1) * resolution]`.
fn thinned(data: &SeriesData, resolution_ms: i64) -> Vec<Sample> {
    let span_of = |t: i64| (t - 1).div_euclid(resolution_ms);
    let mut samples: Vec<Sample> = Vec::new();
    for (timestamp, value) in data.timestamps.iter().zip(data.values.iter()) {
        let sample = Sample {
            value: *value,
            timestamp: *timestamp,
        };
        match samples.last_mut() {
            Some(last) if span_of(last.timestamp) == span_of(*timestamp) => *last = sample,
            _ => samples.push(sample),
        }
    }
    samples
}

/// Requests of at most so many samples; a series with more is split.
pub(super) fn batches(series: Vec<Series>, most: usize) -> Vec<Vec<Series>> {
    let mut all = Vec::new();
    let mut batch: Vec<Series> = Vec::new();
    let mut held = 0;
    for one in series {
        for samples in one.samples.chunks(most) {
            if held + samples.len() > most && !batch.is_empty() {
                all.push(std::mem::take(&mut batch));
                held = 0;
            }
            held += samples.len();
            batch.push(Series {
                labels: one.labels.clone(),
                samples: samples.to_vec(),
            });
        }
    }
    if !batch.is_empty() {
        all.push(batch);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_sample_of_every_span_is_kept() {
        let data = SeriesData {
            labels: Labels::empty(),
            timestamps: (1..=40).map(|second| second * 1000).collect(),
            values: (1..=40).map(f64::from).collect(),
        };
        let kept: Vec<i64> = thinned(&data, 15_000)
            .iter()
            .map(|sample| sample.timestamp)
            .collect();
        assert_eq!(kept, [15_000, 30_000, 40_000]);
        assert_eq!(thinned(&data, 1000).len(), 40);
    }

    #[test]
    fn batches_hold_every_sample_once_and_none_too_many() {
        let series: Vec<Series> = (0..7_i64)
            .map(|count| Series {
                labels: Vec::new(),
                samples: (0..count)
                    .map(|timestamp| Sample {
                        value: 0.0,
                        timestamp,
                    })
                    .collect(),
            })
            .collect();
        let all = batches(series, 4);
        let sizes: Vec<usize> = all
            .iter()
            .map(|batch| batch.iter().map(|one| one.samples.len()).sum())
            .collect();
        assert!(sizes.iter().all(|size| (1..=4).contains(size)), "{sizes:?}");
        assert_eq!(sizes.iter().sum::<usize>(), 21);
    }
}
