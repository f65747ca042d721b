//! Time series and numbers.

use std::sync::Arc;

use podscope_model::labels::Labels;
use podscope_model::sample::{Grid, SeriesData, is_stale};

use super::{Shape, legend};
use crate::frames::{Field, Frame, FrameType, Meta};

/// One series: on the query's grid, or with times of its own.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) labels: Labels,
    /// Absent: the grid's.
    pub(super) times: Option<Arc<[i64]>>,
    pub(super) values: Vec<f64>,
}

impl Line {
    pub(super) fn on_grid(labels: Labels, values: Vec<f64>) -> Self {
        Self {
            labels,
            times: None,
            values,
        }
    }

    pub(super) fn from_samples(series: SeriesData) -> Self {
        Self {
            labels: series.labels,
            times: Some(series.timestamps),
            values: series.values.to_vec(),
        }
    }

    /// The samples that exist.
    pub(super) fn samples(&self, grid: Grid) -> impl Iterator<Item = (i64, f64)> + '_ {
        self.values
            .iter()
            .enumerate()
            .filter(|(_, value)| !is_stale(**value))
            .map(move |(at, value)| {
                (
                    self.times.as_ref().map_or_else(|| grid.at(at), |times| times[at]),
                    *value,
                )
            })
    }
}

/// The column of one series, named as Grafana names it.
fn column(labels: Labels, values: Vec<f64>, shape: &Shape<'_>) -> Field {
    let name = labels.metric_name().unwrap_or(crate::frames::VALUE).to_owned();
    let mut field = Field::number(name, values);
    field.config.display_name = legend::display_name(shape.legend, &labels, shape.expr);
    field.config.unit = shape.unit;
    field.with_labels(labels)
}

/// One wide frame for everything on the grid; a frame each for series with times of their own.
pub(super) fn for_panel(lines: Vec<Line>, shape: &Shape<'_>, meta: &Meta) -> Vec<Frame> {
    let mut meta = meta.clone();
    meta.visualisation = Some("graph");
    if lines.iter().any(|line| line.times.is_some()) {
        return own_times(lines, shape, &meta);
    }
    meta.frame_type = Some(if shape.instant {
        FrameType::NumericWide
    } else {
        FrameType::TimeSeriesWide
    });
    let mut fields = Vec::with_capacity(lines.len() + 1);
    fields.push(shape.time(shape.grid.times().collect::<Vec<i64>>()));
    fields.extend(
        lines
            .into_iter()
            .map(|line| column(line.labels, line.values, shape)),
    );
    vec![Frame {
        meta,
        ..Frame::new(fields)
    }]
}

/// Frames an expression can read without guessing: numbers for an instant query, else one frame per series without
/// empty cells.
pub(super) fn for_expression(lines: Vec<Line>, shape: &Shape<'_>, meta: &Meta) -> Vec<Frame> {
    if lines.iter().any(|line| line.times.is_some()) || !shape.instant {
        return own_times(lines, shape, meta);
    }
    let mut meta = meta.clone();
    meta.frame_type = Some(FrameType::NumericWide);
    let fields = lines
        .into_iter()
        .map(|line| column(line.labels, line.values, shape))
        .collect();
    vec![Frame {
        meta,
        ..Frame::new(fields)
    }]
}

fn own_times(lines: Vec<Line>, shape: &Shape<'_>, meta: &Meta) -> Vec<Frame> {
    let mut frames: Vec<Frame> = Vec::with_capacity(lines.len());
    for line in lines {
        let (times, values): (Vec<i64>, Vec<f64>) = line.samples(shape.grid).unzip();
        // What the whole answer has to say is said once.
        let mut meta = if frames.is_empty() {
            meta.clone()
        } else {
            Meta::default()
        };
        meta.frame_type = Some(FrameType::TimeSeriesMulti);
        let fields = vec![shape.time(times), column(line.labels, values, shape)];
        frames.push(Frame {
            meta,
            ..Frame::new(fields)
        });
    }
    frames
}
