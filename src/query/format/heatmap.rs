//! A heatmap from classic histogram buckets: per group of the other labels one frame, one column per bucket in order of
//! its bound, each bucket's own count instead of the cumulative one.

use std::collections::HashMap;

use podscope_model::labels::Labels;
use podscope_model::sample::is_stale;

use super::series::Line;
use super::{Shape, legend};
use crate::frames::{Field, Frame, FrameType, Meta};

/// The label that holds a bucket's upper bound.
const BOUND: &str = "le";
/// Differences below this are rounding, or a counter that was read between two buckets.
const NOISE: f64 = 1e-9;

pub(super) fn frames(lines: Vec<Line>, shape: &Shape<'_>, meta: &Meta) -> Vec<Frame> {
    // In order of first appearance.
    let mut groups: Vec<Vec<Line>> = Vec::new();
    let mut known: HashMap<Labels, usize> = HashMap::new();
    for line in lines {
        let at = *known
            .entry(line.labels.filter(|name| name != BOUND))
            .or_insert(groups.len());
        match groups.get_mut(at) {
            Some(list) => list.push(line),
            None => groups.push(vec![line]),
        }
    }
    let mut frames: Vec<Frame> = Vec::with_capacity(groups.len());
    for mut list in groups {
        list.sort_by(|a, b| bound(&a.labels).total_cmp(&bound(&b.labels)));
        deaccumulate(&mut list);
        let mut meta = if frames.is_empty() {
            meta.clone()
        } else {
            Meta::default()
        };
        meta.frame_type = Some(FrameType::HeatmapRows);
        let mut fields = vec![shape.time(shape.grid.times().collect::<Vec<i64>>())];
        fields.extend(list.into_iter().map(|line| column(line, shape)));
        frames.push(Frame {
            meta,
            ..Frame::new(fields)
        });
    }
    frames
}

/// The bound as a number; series that are no buckets come last.
fn bound(labels: &Labels) -> f64 {
    labels
        .get(BOUND)
        .and_then(|text| text.parse().ok())
        .unwrap_or(f64::NAN)
}

fn deaccumulate(list: &mut [Line]) {
    for upper in (1..list.len()).rev() {
        let (below, above) = list.split_at_mut(upper);
        let (Some(below), Some(above)) = (below.last(), above.first_mut()) else {
            continue;
        };
        for (value, under) in above.values.iter_mut().zip(&below.values) {
            if is_stale(*value) {
                continue;
            }
            let under = if is_stale(*under) { 0.0 } else { *under };
            *value -= under;
            if *value < NOISE {
                *value = 0.0;
            }
        }
    }
}

fn column(line: Line, shape: &Shape<'_>) -> Field {
    let name = match line.labels.get(BOUND) {
        Some(bound) => bound.to_owned(),
        None => legend::display_name(shape.legend, &line.labels, shape.expr).unwrap_or_else(|| {
            line.labels
                .metric_name()
                .unwrap_or(crate::frames::VALUE)
                .to_owned()
        }),
    };
    let mut field = Field::number(name.as_str(), line.values);
    field.config.display_name = Some(name);
    field.with_labels(line.labels)
}
