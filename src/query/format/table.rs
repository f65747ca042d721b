//! A table: one row per sample; columns `Time`, one per label, `Value`.

use std::collections::HashSet;

use super::Shape;
use super::series::Line;
use crate::frames::{Field, Frame, Meta};

pub(super) fn frame(lines: &[Line], shape: &Shape<'_>, meta: &Meta) -> Frame {
    let mut names: Vec<&str> = Vec::new();
    let mut seen = HashSet::new();
    for label in lines.iter().flat_map(|line| line.labels.iter()) {
        // In order of first appearance; within a series they are sorted already.
        if seen.insert(label.name.as_ref()) {
            names.push(label.name.as_ref());
        }
    }
    let mut rows: Vec<(i64, f64, &Line)> = lines
        .iter()
        .flat_map(|line| {
            line.samples(shape.grid)
                .map(move |(time, value)| (time, value, line))
        })
        .collect();
    // Stable: rows of one time keep the order of their series.
    rows.sort_by_key(|(time, _, _)| *time);

    let mut fields = Vec::with_capacity(names.len() + 2);
    fields.push(shape.time(rows.iter().map(|(time, _, _)| *time).collect::<Vec<i64>>()));
    for name in names {
        let cells = rows
            .iter()
            .map(|(_, _, line)| line.labels.get(name).unwrap_or_default().to_owned())
            .collect();
        let mut field = Field::text(name, cells);
        field.config.filterable = Some(true);
        fields.push(field);
    }
    let mut value = Field::number(
        shape.value_column,
        rows.iter().map(|(_, value, _)| *value).collect(),
    );
    value.config.unit = shape.unit;
    fields.push(value);
    let mut meta = meta.clone();
    meta.visualisation = Some("rawPrometheus");
    Frame {
        meta,
        ..Frame::new(fields)
    }
}
