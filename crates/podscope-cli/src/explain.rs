//! `podscope query --explain`: what each stage of a query was asked and what it returned.

use std::io::{self, Write};

use podscope_fanout::{Completeness, FleetStats};
use podscope_model::leaf::Shape;
use podscope_model::sample::Grid;
use podscope_promql::Value;
use serde::Serialize;

/// How one query was answered.
#[derive(Debug, Serialize)]
pub(crate) struct Explained {
    query: String,
    steps: u64,
    step_ms: i64,
    /// Nodes asked directly, agents and hubs.
    asked: u64,
    leaves: Leaves,
    stages: Vec<Stage>,
    elapsed_ms: f64,
}

/// Who answered, over all tiers.
#[derive(Debug, Serialize)]
struct Leaves {
    expected: u64,
    answered: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    notice: Option<String>,
}

/// One fragment, or the root.
#[derive(Debug, Serialize)]
struct Stage {
    name: String,
    expr: String,
    /// How its answers come back; absent for the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    returns: Option<&'static str>,
    leaves: u64,
    series: u64,
    cells: u64,
    bytes: u64,
    samples_read: u64,
    elapsed_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    slowest: Option<String>,
}

fn millis(duration: std::time::Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn returns(shape: Shape) -> &'static str {
    match shape {
        Shape::Steps => "evaluated steps",
        Shape::Partials => "partial aggregates",
        Shape::Samples => "samples",
        Shape::Coverage => "times of running",
    }
}

impl Explained {
    pub(crate) fn new(
        query: &str,
        grid: Grid,
        value: &Value,
        completeness: Completeness,
        stats: FleetStats,
    ) -> Self {
        let mut stages: Vec<Stage> = stats
            .fragments
            .into_iter()
            .enumerate()
            .map(|(at, fragment)| Stage {
                name: format!("#{}", at + 1),
                expr: fragment.expr,
                returns: fragment.shape.map(returns),
                leaves: fragment.leaves,
                series: fragment.series,
                cells: fragment.cells,
                bytes: fragment.bytes,
                samples_read: fragment.samples_read,
                elapsed_ms: fragment
                    .slowest
                    .as_ref()
                    .map_or(0.0, |slowest| millis(slowest.elapsed)),
                slowest: fragment.slowest.map(|slowest| slowest.instance),
            })
            .collect();
        let (series, cells) = match value {
            Value::Scalar(values) => (1, values.len()),
            Value::String(_) => (1, 1),
            Value::Vector(list) => (list.len(), list.iter().map(|series| series.values.len()).sum()),
            Value::Samples(list) => (list.len(), list.iter().map(|series| series.values.len()).sum()),
        };
        stages.push(Stage {
            name: "root".to_owned(),
            expr: stats.root_expr,
            returns: None,
            leaves: 0,
            series: series as u64,
            cells: cells as u64,
            bytes: 0,
            samples_read: 0,
            elapsed_ms: millis(stats.root),
            slowest: None,
        });
        Self {
            query: query.to_owned(),
            steps: grid.len() as u64,
            step_ms: grid.step_ms,
            asked: stats.asked,
            leaves: Leaves {
                expected: completeness.expected as u64,
                answered: completeness.answered as u64,
                notice: completeness.notice(),
            },
            stages,
            elapsed_ms: millis(stats.elapsed),
        }
    }

    pub(crate) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }

    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", self.query)?;
        let steps = match self.steps {
            1 => "one step".to_owned(),
            steps => format!("{steps} steps of {} s", self.step_ms as f64 / 1000.0),
        };
        writeln!(
            out,
            "{steps}; asked {} nodes directly, {} of {} leaves answered; {:.1} ms in all",
            self.asked, self.leaves.answered, self.leaves.expected, self.elapsed_ms
        )?;
        if let Some(notice) = &self.leaves.notice {
            writeln!(out, "warning: {notice}")?;
        }
        writeln!(out)?;
        let heads = [
            "stage", "leaves", "series", "cells", "bytes", "samples", "ms", "slowest",
        ];
        let rows: Vec<[String; 8]> = self
            .stages
            .iter()
            .map(|stage| {
                let leaf = |number: u64| match stage.returns {
                    Some(_) => number.to_string(),
                    None => String::new(),
                };
                [
                    stage.name.clone(),
                    leaf(stage.leaves),
                    stage.series.to_string(),
                    stage.cells.to_string(),
                    leaf(stage.bytes),
                    leaf(stage.samples_read),
                    format!("{:.1}", stage.elapsed_ms),
                    stage.slowest.clone().unwrap_or_default(),
                ]
            })
            .collect();
        let width = |at: usize| {
            let cells = rows.iter().map(|row| row[at].len());
            cells.chain([heads[at].len()]).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..heads.len()).map(width).collect();
        let mut line = |cells: &[&str]| -> io::Result<()> {
            let mut text = String::new();
            for (at, (cell, width)) in cells.iter().zip(&widths).enumerate() {
                // The first and the last are words, the others numbers.
                if at == 0 || at + 1 == cells.len() {
                    text.push_str(&format!("{cell:<width$}  "));
                } else {
                    text.push_str(&format!("{cell:>width$}  "));
                }
            }
            writeln!(out, "{}", text.trim_end())
        };
        line(&heads)?;
        for row in &rows {
            let cells: Vec<&str> = row.iter().map(String::as_str).collect();
            line(&cells)?;
        }
        writeln!(out)?;
        for stage in &self.stages {
            match stage.returns {
                Some(returns) => writeln!(out, "{}  on each leaf, {returns}: {}", stage.name, stage.expr)?,
                None => writeln!(out, "{}  {}", stage.name, stage.expr)?,
            }
        }
        Ok(())
    }
}
