//! Which series and streams the history has met: labels interned once, found by metric name first.

use std::collections::BTreeMap;
use std::sync::Arc;

use podscope_model::labels::{Label, Labels, NAME};
use podscope_model::leaf::MetricInfo;
use podscope_model::matcher::{Matcher, all_match, fixed_name};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::StreamSpec;

/// Number of a series within this process; never used again after the series is forgotten.
pub(crate) type SeriesId = u32;

/// One stream as it was described, with its number within this process.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: u32,
    pub(crate) spec: StreamSpec,
}

#[derive(Debug)]
struct Name {
    series: Vec<SeriesId>,
    info: MetricInfo,
}

#[derive(Debug, Default)]
pub(crate) struct Catalog {
    strings: FxHashSet<Arc<str>>,
    ids: FxHashMap<Labels, SeriesId>,
    series: Vec<Option<Labels>>,
    names: BTreeMap<Arc<str>, Name>,
    streams: FxHashMap<StreamSpec, Arc<Stream>>,
    /// Counts changes of what is known.
    version: u64,
}

impl Catalog {
    pub(crate) fn stream(&mut self, spec: &StreamSpec) -> Arc<Stream> {
        if let Some(known) = self.streams.get(spec) {
            return Arc::clone(known);
        }
        let stream = Arc::new(Stream {
            id: self.streams.len() as u32,
            spec: spec.clone(),
        });
        self.streams.insert(spec.clone(), Arc::clone(&stream));
        stream
    }

    /// The number of a series, given all its labels; `info` describes its metric, and the last description wins.
    pub(crate) fn intern(&mut self, labels: &Labels, info: &MetricInfo) -> SeriesId {
        if let Some(&id) = self.ids.get(labels) {
            self.describe(labels, info);
            return id;
        }
        let shared: Labels = labels
            .iter()
            .map(|label| Label {
                name: self.string(&label.name),
                value: self.string(&label.value),
            })
            .collect();
        let id = self.series.len() as SeriesId;
        self.ids.insert(shared.clone(), id);
        let name = self.string(shared.metric_name().unwrap_or(""));
        self.names
            .entry(name)
            .or_insert_with(|| Name {
                series: Vec::new(),
                info: info.clone(),
            })
            .series
            .push(id);
        self.series.push(Some(shared));
        self.version += 1;
        self.describe(labels, info);
        id
    }

    /// Another number whenever a series was met or forgotten, or a metric is described otherwise.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The label sets of all series.
    pub(crate) fn all(&self) -> Vec<Labels> {
        self.series.iter().flatten().cloned().collect()
    }

    fn describe(&mut self, labels: &Labels, info: &MetricInfo) {
        if let Some(name) = self.names.get_mut(labels.metric_name().unwrap_or(""))
            && name.info != *info
        {
            name.info = info.clone();
            self.version += 1;
        }
    }

    fn string(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.strings.get(text) {
            return Arc::clone(known);
        }
        let new: Arc<str> = Arc::from(text);
        self.strings.insert(Arc::clone(&new));
        new
    }

    pub(crate) fn labels(&self, id: SeriesId) -> Option<&Labels> {
        self.series.get(id as usize).and_then(Option::as_ref)
    }

    pub(crate) fn info(&self, name: &str) -> Option<&MetricInfo> {
        self.names.get(name).map(|name| &name.info)
    }

    pub(crate) fn metric_info(&self) -> BTreeMap<String, MetricInfo> {
        self.names
            .iter()
            .map(|(name, entry)| (name.to_string(), entry.info.clone()))
            .collect()
    }

    /// Number of series known.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// One past the largest series number.
    pub(crate) fn id_bound(&self) -> usize {
        self.series.len()
    }

    /// The series that match, by number.
    pub(crate) fn matching(&self, matchers: &[Matcher]) -> Vec<(SeriesId, Labels)> {
        let mut out = Vec::new();
        let mut take = |name: &Name| {
            for &id in &name.series {
                if let Some(labels) = self.labels(id)
                    && all_match(matchers, labels)
                {
                    out.push((id, labels.clone()));
                }
            }
        };
        if let Some(name) = fixed_name(matchers) {
            self.names.get(name).into_iter().for_each(&mut take);
        } else {
            let by_name: Vec<&Matcher> = matchers.iter().filter(|matcher| matcher.name() == NAME).collect();
            self.names
                .iter()
                .filter(|(name, _)| by_name.iter().all(|matcher| matcher.matches(name)))
                .for_each(|(_, entry)| take(entry));
        }
        out.sort_unstable_by_key(|(id, _)| *id);
        out
    }

    /// Forgets every series for which `keep` answers false.
    pub(crate) fn retain(&mut self, keep: impl Fn(SeriesId) -> bool) {
        let before = self.ids.len();
        self.ids.retain(|_, id| keep(*id));
        self.version += u64::from(self.ids.len() != before);
        for (id, slot) in self.series.iter_mut().enumerate() {
            if slot.is_some() && !keep(id as SeriesId) {
                *slot = None;
            }
        }
        for name in self.names.values_mut() {
            name.series.retain(|id| keep(*id));
        }
        self.names.retain(|_, name| !name.series.is_empty());
        // A string that only this set still holds serves nobody.
        self.strings.retain(|text| Arc::strong_count(text) > 1);
    }
}
