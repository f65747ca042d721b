//! The history as it is asked alone, through the Prometheus API: under the node's own name, and with `up`, which in a
//! fleet whoever asks makes.

use podscope_history::History;
use podscope_model::catalog::{Job, agent};
use podscope_model::cells::{Cell, CellColumns, CellSeries, Need, Resolution};
use podscope_model::labels::{Labels, NAME};
use podscope_model::matcher::{Matcher, all_match};
use podscope_model::sample::SeriesData;
use podscope_model::source::{Budget, Select, SeriesSource, SourceError};

use crate::labelled::LabelledSource;

/// The label `job` of every stored series.
const JOB: &str = "job";

/// Distances between the samples of `up`, finest first; the first that needs few enough is taken.
const RASTERS_MS: [i64; 4] = [1_000, 5_000, 15_000, 60_000];

/// Samples of `up` that are few enough.
const MAX_SAMPLES: i64 = 100_000;

/// See the module.
#[derive(Debug)]
pub(crate) struct AloneSource<'a> {
    history: &'a History,
    series: LabelledSource<'a, History>,
    up: Labels,
}

impl<'a> AloneSource<'a> {
    /// `node`: the labels the node puts onto its series.
    pub(crate) fn new(history: &'a History, node: Labels) -> Self {
        let up = node.with(NAME, agent::UP.name).with(JOB, Job::Node.as_str());
        Self {
            history,
            series: LabelledSource::new(history, node),
            up,
        }
    }

    /// 1 while rows were being written, 0 between; nothing from before the first row.
    fn up(&self, start_ms: i64, end_ms: i64) -> Option<SeriesData> {
        let first = self.history.stats().oldest_ms?.max(start_ms.saturating_add(1));
        let end_ms = end_ms.min(crate::schedule::now_ms());
        if first > end_ms {
            return None;
        }
        let covered = self.history.covered(first, end_ms);
        let fits = |raster: &&i64| (end_ms - first) / **raster <= MAX_SAMPLES;
        let raster = RASTERS_MS.iter().find(fits).unwrap_or(&RASTERS_MS[3]);
        let (mut timestamps, mut values) = (Vec::new(), Vec::new());
        let mut spans = covered.iter().peekable();
        let mut at = first;
        while at <= end_ms {
            while spans.next_if(|(_, until)| *until < at).is_some() {}
            timestamps.push(at);
            values.push(if spans.peek().is_some_and(|(from, _)| *from <= at) {
                1.0
            } else {
                0.0
            });
            at = (at - at.rem_euclid(*raster)) + raster;
        }
        Some(SeriesData {
            labels: self.up.clone(),
            timestamps: timestamps.into(),
            values: values.into(),
        })
    }
}

impl SeriesSource for AloneSource<'_> {
    fn select(
        &self,
        select: &Select<'_>,
        budget: &Budget,
        sink: &mut dyn FnMut(SeriesData) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        self.series.select(select, budget, sink)?;
        if all_match(select.matchers, &self.up)
            && let Some(up) = self.up(select.start_ms, select.end_ms)
        {
            budget.take_samples(up.timestamps.len())?;
            sink(up)?;
        }
        Ok(())
    }

    fn resolution(&self, need: &Need<'_>) -> Result<Resolution, SourceError> {
        self.series.resolution(need)
    }

    fn select_cells(
        &self,
        select: &Select<'_>,
        cell_ms: i64,
        columns: CellColumns,
        budget: &Budget,
        sink: &mut dyn FnMut(CellSeries) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        self.series.select_cells(select, cell_ms, columns, budget, sink)?;
        let start_ms = select.start_ms.div_euclid(cell_ms).saturating_mul(cell_ms);
        if all_match(select.matchers, &self.up)
            && let Some(up) = self.up(start_ms, select.end_ms)
        {
            budget.take_samples(up.timestamps.len())?;
            let end_of = |t_ms: i64| ((t_ms - 1).div_euclid(cell_ms) + 1).saturating_mul(cell_ms);
            let mut rest = 0;
            let by_cell = up.timestamps.chunk_by(|a, b| end_of(*a) == end_of(*b));
            let cells = by_cell.filter_map(|times| {
                let values = up.values.get(rest..rest + times.len())?;
                rest += times.len();
                Cell::of(end_of(*times.first()?), times, values)
            });
            sink(CellSeries {
                cells: cells.collect(),
                labels: up.labels.clone(),
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
        let mut found = self.series.series(matchers, start_ms, end_ms, budget)?;
        let stats = self.history.stats();
        let overlaps = stats
            .oldest_ms
            .zip(stats.newest_ms)
            .is_some_and(|(from, to)| from <= end_ms && to > start_ms);
        if overlaps && all_match(matchers, &self.up) {
            found.push(self.up.clone());
        }
        Ok(found)
    }
}
