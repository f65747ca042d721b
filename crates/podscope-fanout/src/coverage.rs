//! `up`, made at the root: 1 where a node's agent was running, 0 where it was not or does not answer now.
//!
//! An agent keeps when it was running (its covered intervals), so that `up` is known for the past too, for every node of
//! the target list, without scraping and without the lookback that would stretch a 1 over an outage.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use podscope_model::catalog::agent;
use podscope_model::labels::{Labels, NAME};
use podscope_model::leaf::{Limits, Route};
use podscope_model::matcher::{Matcher, all_match};
use podscope_model::sample::SeriesData;
use podscope_model::source::{Budget, BudgetError, Select, SeriesSource, SourceError};
use rustc_hash::FxHashMap;
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::expected::{all_up_labels, covered_by_all, up_labels_of};
use crate::fleet::Inner;
use crate::known::NodeLabels;
use crate::node::{NO_LABELS, Node};

/// An agent writes rows at least this often; an interval that ends this close to now has not ended.
const STILL_RUNNING_MS: i64 = 30_000;
/// Samples made for one selector over all nodes, before the raster gets coarser.
const MAX_MADE: i64 = 5_000_000;
/// Rasters for functions of a window, finest first.
const RASTERS_MS: [i64; 4] = [1_000, 5_000, 15_000, 60_000];

/// When a node was running.
#[derive(Clone, Debug)]
struct NodeUp {
    labels: Labels,
    /// Closed intervals, in order.
    covered: Vec<(i64, i64)>,
    /// Why it counts as down throughout.
    silent: Option<String>,
}

/// Answers selectors of `up` at the root. Used from a blocking thread: it asks the nodes when it is asked.
pub(crate) struct UpSource {
    inner: Arc<Inner>,
    /// Whether everything is hidden from this asker.
    hidden: bool,
    deadline: Instant,
    limits: Limits,
    lookback_ms: i64,
    cancelled: CancellationToken,
    runtime: Handle,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    windows: FxHashMap<(i64, i64), Arc<Vec<NodeUp>>>,
    silent: Vec<String>,
}

impl std::fmt::Debug for UpSource {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("UpSource")
            .field("hidden", &self.hidden)
            .finish_non_exhaustive()
    }
}

impl UpSource {
    pub(crate) fn new(
        inner: Arc<Inner>,
        hidden: bool,
        deadline: Instant,
        limits: Limits,
        lookback_ms: i64,
        cancelled: CancellationToken,
    ) -> Self {
        let runtime = Handle::current();
        Self {
            inner,
            hidden,
            deadline,
            limits,
            lookback_ms,
            cancelled,
            runtime,
            asked: Mutex::default(),
        }
    }

    /// One sentence per node that counts as down because it does not answer now.
    pub(crate) fn silent(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .silent
            .clone()
    }

    /// When each node was running within the window; asks once per window.
    fn covered(&self, start_ms: i64, end_ms: i64) -> Result<Arc<Vec<NodeUp>>, SourceError> {
        let window = (start_ms, end_ms);
        let known = self
            .asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .windows
            .get(&window)
            .map(Arc::clone);
        if let Some(known) = known {
            return Ok(known);
        }
        let answers = self.runtime.block_on(async {
            tokio::select! {
                () = self.cancelled.cancelled() => None,
                answers = self.ask(start_ms, end_ms) => Some(answers),
            }
        });
        let Some(nodes) = answers else {
            return Err(BudgetError::Cancelled.into());
        };
        let nodes = Arc::new(nodes);
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        for node in nodes.iter() {
            if let Some(reason) = &node.silent
                && !asked.silent.contains(reason)
            {
                asked.silent.push(reason.clone());
            }
        }
        asked.windows.insert(window, Arc::clone(&nodes));
        Ok(nodes)
    }

    async fn ask(&self, start_ms: i64, end_ms: i64) -> Vec<NodeUp> {
        if self.hidden {
            return Vec::new();
        }
        let everybody = Route::default();
        let asked = covered_by_all(
            &self.inner,
            (start_ms, end_ms),
            self.deadline,
            self.limits,
            (NO_LABELS, &everybody),
        );
        let now_ms = now_ms();
        let mut seen = rustc_hash::FxHashSet::default();
        asked
            .await
            .into_iter()
            .map(|leaf| {
                let mut covered = leaf.covered;
                covered.retain(|(from, to)| from <= to);
                covered.sort_unstable();
                // Who answers is running, also since its last row.
                if leaf.silent.is_none()
                    && let Some(last) = covered.last_mut()
                    && last.1 >= end_ms.min(now_ms) - STILL_RUNNING_MS
                {
                    last.1 = last.1.max(end_ms);
                }
                let node = NodeLabels {
                    instance: Some(&leaf.instance),
                    labels: &leaf.labels,
                    outer: NO_LABELS,
                };
                NodeUp {
                    labels: up_labels_of(node, ""),
                    covered,
                    silent: leaf.silent.map(|why| format!("{}: {why}", leaf.instance)),
                }
            })
            .filter(|node| seen.insert(node.labels.clone()))
            .collect()
    }

    /// Distance of the made samples: for an instant selector just dense enough that the lookback always finds one.
    fn raster_ms(&self, select: &Select<'_>, span_ms: i64) -> i64 {
        if select.function.is_none() {
            return (self.lookback_ms / 2).max(1);
        }
        let nodes = self.inner.nodes();
        let leaves = |node: &Arc<Node>| {
            node.known()
                .map_or(1, |known| known.inventory.leaves.len().max(1))
        };
        let nodes = nodes.iter().map(leaves).sum::<usize>().max(1) as i64;
        let fits = |raster: &&i64| span_ms / **raster <= MAX_MADE / nodes;
        RASTERS_MS
            .iter()
            .find(fits)
            .copied()
            .unwrap_or(RASTERS_MS[RASTERS_MS.len() - 1])
    }
}

fn now_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl SeriesSource for UpSource {
    fn select(
        &self,
        select: &Select<'_>,
        budget: &Budget,
        sink: &mut dyn FnMut(SeriesData) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        let end_ms = select.end_ms.min(now_ms());
        if !may_be_up(select.matchers) || end_ms <= select.start_ms {
            return Ok(());
        }
        let nodes = self.covered(select.start_ms, end_ms)?;
        let raster_ms = self.raster_ms(select, end_ms - select.start_ms);
        // Most nodes were up, or down, all the time: they share their columns.
        let mut made: FxHashMap<&[(i64, i64)], (Arc<[i64]>, Arc<[f64]>)> = FxHashMap::default();
        let mut seen = rustc_hash::FxHashSet::default();
        for node in nodes.iter() {
            if !all_match(select.matchers, &node.labels) || !seen.insert(&node.labels) {
                continue;
            }
            let points = usize::try_from((end_ms - select.start_ms) / raster_ms).unwrap_or(usize::MAX);
            budget.take_samples(points.saturating_add(2 * node.covered.len()))?;
            let (timestamps, values) = made
                .entry(&node.covered)
                .or_insert_with(|| make_samples(select.start_ms, end_ms, raster_ms, &node.covered));
            sink(SeriesData {
                labels: node.labels.clone(),
                timestamps: Arc::clone(timestamps),
                values: Arc::clone(values),
            })?;
        }
        Ok(())
    }

    fn series(
        &self,
        matchers: &[Matcher],
        _start_ms: i64,
        _end_ms: i64,
        _budget: &Budget,
    ) -> Result<Vec<Labels>, SourceError> {
        if self.hidden {
            return Ok(Vec::new());
        }
        let labels = all_up_labels(&self.inner.nodes()).into_iter();
        Ok(labels.filter(|labels| all_match(matchers, labels)).collect())
    }
}

/// Whether the matchers can select `up` at all.
pub(crate) fn may_be_up(matchers: &[Matcher]) -> bool {
    matchers
        .iter()
        .filter(|matcher| matcher.name() == NAME)
        .all(|matcher| matcher.matches(agent::UP.name))
}

/// Samples in `start < t <= end`: on a raster aligned to the epoch, and at every change, so that the newest sample at any
/// time tells the state at that time.
fn make_samples(
    start_ms: i64,
    end_ms: i64,
    raster_ms: i64,
    covered: &[(i64, i64)],
) -> (Arc<[i64]>, Arc<[f64]>) {
    let first = (start_ms.div_euclid(raster_ms) + 1) * raster_ms;
    let mut times: Vec<i64> = std::iter::successors(Some(first), |at| at.checked_add(raster_ms))
        .take_while(|at| *at <= end_ms)
        .collect();
    let changes = covered
        .iter()
        .flat_map(|(from, to)| [*from, to.saturating_add(1)]);
    times.extend(changes.filter(|at| *at > start_ms && *at <= end_ms));
    times.sort_unstable();
    times.dedup();
    let mut left = covered;
    let values = times
        .iter()
        .map(|at| {
            while let Some(((_, to), rest)) = left.split_first()
                && to < at
            {
                left = rest;
            }
            let running = left.first().is_some_and(|(from, to)| (*from..=*to).contains(at));
            f64::from(u8::from(running))
        })
        .collect();
    (times.into(), values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state_at(samples: &(Arc<[i64]>, Arc<[f64]>), at: i64) -> Option<f64> {
        let index = samples.0.partition_point(|time| *time <= at);
        index.checked_sub(1).map(|index| samples.1[index])
    }

    #[test]
    fn the_newest_sample_always_tells_the_state_of_that_very_millisecond() {
        let covered = [(1_000, 5_000), (9_000, 9_000), (70_000, 80_000)];
        let samples = make_samples(0, 100_000, 15_000, &covered);
        for at in 15_000..=100_000 {
            let running = covered.iter().any(|(from, to)| (*from..=*to).contains(&at));
            assert_eq!(
                state_at(&samples, at),
                Some(f64::from(u8::from(running))),
                "at {at}"
            );
        }
        assert_eq!(state_at(&samples, 999), None);
        assert_eq!(state_at(&samples, 5_000), Some(1.0));
        assert_eq!(state_at(&samples, 5_001), Some(0.0));
        assert_eq!(state_at(&samples, 9_000), Some(1.0));
        assert_eq!(state_at(&samples, 9_001), Some(0.0));
    }

    #[test]
    fn a_window_is_left_open_and_its_samples_rise() {
        let samples = make_samples(15_000, 45_000, 15_000, &[(15_000, 45_000)]);
        assert_eq!(*samples.0, [30_000, 45_000]);
        assert_eq!(*samples.1, [1.0, 1.0]);
    }

    #[test]
    fn only_matchers_that_accept_the_name_select_up() {
        assert!(may_be_up(&[Matcher::equal(NAME, "up")]));
        assert!(may_be_up(&[Matcher::equal("instance", "a")]));
        assert!(!may_be_up(&[Matcher::equal(NAME, "node_load1")]));
    }
}
