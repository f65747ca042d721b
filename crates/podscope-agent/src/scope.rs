//! One person's view of this node's history: samples of what they own, when they owned it, and of what is public.
//!
//! Ownership is read from the history itself: `ds01_gpu_allocated{gpu_slot,container,user}` says who held which GPU (slot
//! `3`), MIG slice (slot `3.1`: GPU 3, `GPU_I_ID` 1) and container at the time of each of its samples. Between two samples
//! the holder is the same; before the first and after the last nobody's ownership is assumed, but for the newest, which holds for
//! one interval more. So a GPU's series never show the seconds around a change of hands.

use podscope_model::catalog::ds01;
use podscope_model::cells::{Need, Resolution};
use podscope_model::labels::{Labels, NAME};
use podscope_model::matcher::Matcher;
use podscope_model::sample::{STALE, SeriesData, is_stale};
use podscope_model::scope::Scope;
use podscope_model::source::{Budget, Select, SeriesSource, SourceError};

/// How far before a query's window ownership is read, and the longest silence it is believed over.
const LOOK_BEFORE_MS: i64 = 5 * 60_000;
/// How long the newest sample of an allocation is believed when its own interval cannot be told.
const USUAL_INTERVAL_MS: i64 = 15_000;

/// A store that shows one person's samples.
#[derive(Debug)]
pub(crate) struct ScopedSource<'a, S: ?Sized> {
    store: &'a S,
    scope: &'a Scope,
}

/// A thing that is held, as series name it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    Gpu(String),
    Slice { gpu: String, instance: String },
    Container(String),
}

/// A thing and the closed intervals, in rising order, in which the person held it.
#[derive(Clone, Debug)]
struct Holding {
    held: Held,
    /// The `instance` label of the allocation, where the store holds other nodes' series.
    instance: Option<String>,
    times: Vec<(i64, i64)>,
}

impl Held {
    /// Whether a series belongs to this thing. A whole GPU's holder sees its slices too; a slice's holder not the GPU.
    fn covers(&self, labels: &Labels) -> bool {
        let is = |name: &str, value: &str| labels.get(name) == Some(value);
        match self {
            Self::Gpu(gpu) => is("gpu", gpu),
            Self::Slice { gpu, instance } => is("gpu", gpu) && is("GPU_I_ID", instance),
            Self::Container(name) => is("container", name),
        }
    }
}

impl Holding {
    fn covers(&self, labels: &Labels) -> bool {
        labels.get("instance") == self.instance.as_deref() && self.held.covers(labels)
    }
}

/// What the labels of one allocation say is held.
fn held(labels: &Labels) -> Vec<Held> {
    let mut all = Vec::new();
    if let Some(slot) = labels.get("gpu_slot").filter(|slot| !slot.is_empty()) {
        all.push(match slot.split_once('.') {
            Some((gpu, instance)) => Held::Slice {
                gpu: gpu.to_owned(),
                instance: instance.to_owned(),
            },
            None => Held::Gpu(slot.to_owned()),
        });
    }
    if let Some(container) = labels.get("container").filter(|name| !name.is_empty()) {
        all.push(Held::Container(container.to_owned()));
    }
    all
}

/// The intervals in which an allocation's samples say that it was held.
fn times(series: &SeriesData) -> Vec<(i64, i64)> {
    let samples: Vec<(i64, bool)> = series
        .timestamps
        .iter()
        .zip(series.values.iter())
        .map(|(time, value)| (*time, !is_stale(*value) && *value > 0.0))
        .collect();
    let mut spans: Vec<(i64, i64)> = Vec::new();
    for (at, &(time, holds)) in samples.iter().enumerate() {
        if !holds {
            continue;
        }
        let until = match samples.get(at + 1) {
            Some((next, true)) if next - time <= LOOK_BEFORE_MS => *next,
            // Let go somewhere before the next sample: when, nobody saw.
            Some(_) => time,
            None => {
                let before = at.checked_sub(1).and_then(|before| samples.get(before));
                let interval = before.map_or(USUAL_INTERVAL_MS, |(earlier, _)| time - earlier);
                time + interval.clamp(1_000, 60_000)
            }
        };
        match spans.last_mut() {
            Some(last) if last.1 >= time => last.1 = until,
            _ => spans.push((time, until)),
        }
    }
    spans
}

/// The series without what the person may not see; a stale marker where the visible part ends. `None`: nothing is left.
fn masked(series: SeriesData, holdings: &[&Holding]) -> Option<SeriesData> {
    let visible = |time: i64| {
        holdings.iter().any(|holding| {
            let after = holding.times.partition_point(|(from, _)| *from <= time);
            after
                .checked_sub(1)
                .and_then(|at| holding.times.get(at))
                .is_some_and(|(_, until)| time <= *until)
        })
    };
    let mut timestamps = Vec::with_capacity(series.timestamps.len());
    let mut values = Vec::with_capacity(series.values.len());
    let mut shown = false;
    let mut any = false;
    for (time, value) in series.timestamps.iter().zip(series.values.iter()) {
        if visible(*time) {
            timestamps.push(*time);
            values.push(*value);
            shown = true;
            any = true;
        } else if shown {
            timestamps.push(*time);
            values.push(STALE);
            shown = false;
        }
    }
    any.then(|| SeriesData {
        labels: series.labels,
        timestamps: timestamps.into(),
        values: values.into(),
    })
}

impl<'a, S: SeriesSource + ?Sized> ScopedSource<'a, S> {
    pub(crate) fn new(store: &'a S, scope: &'a Scope) -> Self {
        Self { store, scope }
    }

    /// What the person held in a window.
    fn holdings(&self, start_ms: i64, end_ms: i64, budget: &Budget) -> Result<Vec<Holding>, SourceError> {
        let mut all = Vec::new();
        if self.scope.name.is_empty() {
            return Ok(all);
        }
        let matchers = [
            Matcher::equal(NAME, ds01::GPU_ALLOCATED.name),
            Matcher::equal("user", self.scope.name.as_str()),
        ];
        let select = Select {
            matchers: &matchers,
            start_ms: start_ms.saturating_sub(LOOK_BEFORE_MS),
            end_ms,
            step_ms: 0,
            function: None,
        };
        self.store.select(&select, budget, &mut |series| {
            let times = times(&series);
            if !times.is_empty() {
                let instance = series.labels.get("instance").map(ToOwned::to_owned);
                all.extend(held(&series.labels).into_iter().map(|held| Holding {
                    held,
                    instance: instance.clone(),
                    times: times.clone(),
                }));
            }
            Ok(())
        })?;
        Ok(all)
    }

    /// The part of a series that the person may see.
    fn shown(&self, series: SeriesData, holdings: &[Holding]) -> Option<SeriesData> {
        if self.scope.is_public(series.labels.get(NAME).unwrap_or_default()) {
            return Some(series);
        }
        // A series that names its person is theirs alone, on whatever GPU or in whatever container it is.
        if let Some(user) = series.labels.get("user") {
            return self.scope.is_named(user).then_some(series);
        }
        let covering: Vec<&Holding> = holdings
            .iter()
            .filter(|holding| holding.covers(&series.labels))
            .collect();
        masked(series, &covering)
    }
}

impl<S: SeriesSource + ?Sized> SeriesSource for ScopedSource<'_, S> {
    fn select(
        &self,
        select: &Select<'_>,
        budget: &Budget,
        sink: &mut dyn FnMut(SeriesData) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let holdings = self.holdings(select.start_ms, select.end_ms, budget)?;
        self.store.select(
            select,
            budget,
            &mut |series| match self.shown(series, &holdings) {
                Some(series) => sink(series),
                None => Ok(()),
            },
        )
    }

    fn resolution(&self, need: &Need<'_>) -> Result<Resolution, SourceError> {
        // Who held what is known to the second: no cell can be cut to it. Where samples are gone, this says so.
        self.store.resolution(&Need {
            function: Some("the view of one's own"),
            ..*need
        })
    }

    fn series(
        &self,
        matchers: &[Matcher],
        start_ms: i64,
        end_ms: i64,
        budget: &Budget,
    ) -> Result<Vec<Labels>, SourceError> {
        let mut found = Vec::new();
        let select = Select {
            matchers,
            start_ms,
            end_ms,
            step_ms: 0,
            function: None,
        };
        self.select(&select, budget, &mut |series| {
            if series.values.iter().any(|value| !is_stale(*value)) {
                found.push(series.labels);
            }
            Ok(())
        })?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use podscope_promql::memory::MemorySource;

    use super::*;

    /// `name{labels}` with samples at seconds.
    fn put(source: &mut MemorySource, labels: &[(&str, &str)], samples: &[(i64, f64)]) {
        source.insert(SeriesData {
            labels: Labels::from_pairs(labels.iter().copied()),
            timestamps: samples.iter().map(|(second, _)| second * 1000).collect(),
            values: samples.iter().map(|(_, value)| *value).collect(),
        });
    }

    fn every(seconds: std::ops::RangeInclusive<i64>, step: usize) -> Vec<(i64, f64)> {
        seconds.step_by(step).map(|second| (second, 1.0)).collect()
    }

    /// GPU 0 is Alice's till 60 s and Bob's from 75 s; slice 1.2 is Alice's; both share GPU 3.
    fn node() -> MemorySource {
        let mut source = MemorySource::new();
        let allocated = |slot: &'static str, container: &'static str, user: &'static str| {
            [
                (NAME, "ds01_gpu_allocated"),
                ("gpu_slot", slot),
                ("container", container),
                ("user", user),
                ("interface", "atomic"),
            ]
        };
        let mut alices = every(0..=60, 15);
        alices.push((75, STALE));
        put(&mut source, &allocated("0", "a1", "alice"), &alices);
        put(&mut source, &allocated("0", "b1", "bob"), &every(75..=120, 15));
        put(&mut source, &allocated("1.2", "a2", "alice"), &every(0..=120, 15));
        put(&mut source, &allocated("3", "a3", "alice"), &every(0..=120, 15));
        put(&mut source, &allocated("3", "b3", "bob"), &every(0..=120, 15));
        for gpu in ["0", "1", "2", "3"] {
            put(
                &mut source,
                &[(NAME, "DCGM_FI_DEV_GPU_UTIL"), ("gpu", gpu)],
                &every(0..=120, 1),
            );
        }
        for instance in ["1", "2"] {
            put(
                &mut source,
                &[
                    (NAME, "DCGM_FI_PROF_GR_ENGINE_ACTIVE"),
                    ("gpu", "1"),
                    ("GPU_I_ID", instance),
                ],
                &every(0..=120, 1),
            );
        }
        put(
            &mut source,
            &[(NAME, "container_memory"), ("container", "b1")],
            &every(0..=120, 5),
        );
        put(
            &mut source,
            &[(NAME, "process_memory"), ("gpu", "3"), ("user", "bob")],
            &every(0..=120, 15),
        );
        put(&mut source, &[(NAME, "node_load1")], &every(0..=120, 1));
        source
    }

    fn read(scope: &Scope, from: i64, to: i64) -> Vec<(String, i64, i64, usize)> {
        let node = node();
        let source = ScopedSource::new(&node, scope);
        let mut seen = Vec::new();
        let select = Select {
            matchers: &[],
            start_ms: from * 1000,
            end_ms: to * 1000,
            step_ms: 1,
            function: None,
        };
        source
            .select(&select, &Budget::unlimited(), &mut |series| {
                let live: Vec<i64> = series
                    .timestamps
                    .iter()
                    .zip(series.values.iter())
                    .filter(|(_, value)| !is_stale(**value))
                    .map(|(time, _)| time / 1000)
                    .collect();
                if let (Some(first), Some(last)) = (live.first(), live.last()) {
                    seen.push((series.labels.to_string(), *first, *last, live.len()));
                }
                Ok(())
            })
            .expect("no limit");
        let listed = source
            .series(&[], from * 1000, to * 1000, &Budget::unlimited())
            .expect("no limit");
        assert_eq!(
            listed.iter().map(Labels::to_string).collect::<Vec<_>>(),
            seen.iter().map(|(labels, ..)| labels.clone()).collect::<Vec<_>>(),
            "listing and reading agree"
        );
        seen.retain(|(labels, ..)| !labels.starts_with("ds01_gpu_allocated"));
        seen.sort();
        seen
    }

    fn line(labels: &str, first: i64, last: i64) -> (String, i64, i64, usize) {
        (
            labels.to_owned(),
            first,
            last,
            usize::try_from(last - first + 1).expect("rising"),
        )
    }

    #[test]
    fn a_gpu_is_shown_for_the_time_it_was_held_and_not_around_a_change_of_hands() {
        let alice = read(&Scope::only("alice"), -1, 120);
        assert_eq!(
            alice,
            [
                line(r#"DCGM_FI_DEV_GPU_UTIL{gpu="0"}"#, 0, 60),
                line(r#"DCGM_FI_DEV_GPU_UTIL{gpu="3"}"#, 0, 120),
                line(r#"DCGM_FI_PROF_GR_ENGINE_ACTIVE{GPU_I_ID="2",gpu="1"}"#, 0, 120),
            ]
        );
        let bob = read(&Scope::only("bob"), -1, 120);
        let names: Vec<&str> = bob.iter().map(|(labels, ..)| labels.as_str()).collect();
        assert_eq!(
            names,
            [
                r#"DCGM_FI_DEV_GPU_UTIL{gpu="0"}"#,
                r#"DCGM_FI_DEV_GPU_UTIL{gpu="3"}"#,
                r#"container_memory{container="b1"}"#,
                r#"process_memory{gpu="3",user="bob"}"#,
            ]
        );
        assert_eq!(
            bob.first().map(|(_, first, last, _)| (*first, *last)),
            Some((75, 120))
        );
    }

    #[test]
    fn the_last_value_held_does_not_linger_after_it_was_let_go() {
        let node = node();
        let scope = Scope::only("alice");
        let source = ScopedSource::new(&node, &scope);
        let matchers = [
            Matcher::equal("gpu", "0"),
            Matcher::equal(NAME, "DCGM_FI_DEV_GPU_UTIL"),
        ];
        let select = Select {
            matchers: &matchers,
            start_ms: -1,
            end_ms: 120_000,
            step_ms: 1,
            function: None,
        };
        let mut ends = Vec::new();
        source
            .select(&select, &Budget::unlimited(), &mut |series| {
                ends.push((
                    series.timestamps.last().copied(),
                    series.values.last().copied().map(is_stale),
                ));
                Ok(())
            })
            .expect("no limit");
        assert_eq!(ends, [(Some(61_000), Some(true))]);
    }

    #[test]
    fn a_window_that_begins_between_two_samples_of_an_allocation_is_seen_whole() {
        let alice = read(&Scope::only("alice"), 31, 40);
        assert_eq!(
            alice.first(),
            Some(&line(r#"DCGM_FI_DEV_GPU_UTIL{gpu="0"}"#, 32, 40))
        );
    }

    #[test]
    fn the_newest_sample_of_an_allocation_holds_for_one_interval() {
        let mut source = node();
        put(
            &mut source,
            &[(NAME, "DCGM_FI_DEV_GPU_TEMP"), ("gpu", "0")],
            &every(100..=200, 1),
        );
        let scope = Scope::only("bob");
        let scoped = ScopedSource::new(&source, &scope);
        let matchers = [Matcher::equal(NAME, "DCGM_FI_DEV_GPU_TEMP")];
        let select = Select {
            matchers: &matchers,
            start_ms: 0,
            end_ms: 200_000,
            step_ms: 1,
            function: None,
        };
        let mut last = None;
        scoped
            .select(&select, &Budget::unlimited(), &mut |series| {
                last = series
                    .timestamps
                    .iter()
                    .zip(series.values.iter())
                    .filter(|(_, value)| !is_stale(**value))
                    .map(|(time, _)| *time)
                    .next_back();
                Ok(())
            })
            .expect("no limit");
        assert_eq!(last, Some(135_000));
    }

    #[test]
    fn strangers_and_the_nameless_see_only_what_is_public() {
        for name in ["carol", "", ".*", "alice|bob"] {
            assert!(read(&Scope::only(name), -1, 120).is_empty(), "{name:?}");
            let public = Scope {
                name: name.to_owned(),
                public: vec!["node_*".to_owned()],
            };
            assert_eq!(read(&public, -1, 120), [line("node_load1", 0, 120)], "{name:?}");
        }
    }

    #[test]
    fn another_nodes_gpu_of_the_same_number_is_not_mine() {
        let mut source = node();
        put(
            &mut source,
            &[(NAME, "DCGM_FI_DEV_GPU_UTIL"), ("gpu", "3"), ("instance", "n9")],
            &every(0..=120, 1),
        );
        let scope = Scope::only("alice");
        let scoped = ScopedSource::new(&source, &scope);
        let matchers = [Matcher::equal("instance", "n9")];
        let found = scoped
            .series(&matchers, -1, 120_000, &Budget::unlimited())
            .expect("no limit");
        assert!(found.is_empty(), "{found:?}");
    }
}
