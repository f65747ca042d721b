//! Running one query: step, macros, budget, fleet, frames.

use std::sync::Arc;

use podscope_fanout::{FleetAnswer, FleetQuery};
use podscope_model::leaf::Annotation;
use podscope_model::matcher::fixed_name;
use podscope_model::sample::Grid;
use podscope_model::scope::Scope;
use podscope_promql::{Parsed, Value, ValueType};
use serde::Deserialize;

use super::format::{self, Shape, legend};
use super::macros::{self, Times};
use super::model::{Format, Legend, Model};
use super::step::{self, Fit, StepInput};
use super::{duration, unit};
use crate::error::QueryError;
use crate::frames::{Frame, Notice};
use crate::instances::Instance;
use crate::metrics::Metrics;
use crate::request::{QueryRequest, RawQuery};

/// What the queries of one request have in common.
#[derive(Clone, Debug)]
pub struct Asked {
    /// What the person may see; `None`: everything.
    scope: Option<Scope>,
    from_alert: bool,
    from_expression: bool,
    /// Several tables in one answer: their value columns carry the refId.
    many_tables: bool,
}

impl Asked {
    pub fn new(request: &QueryRequest, scope: Option<Scope>) -> Self {
        #[derive(Deserialize)]
        struct JustFormat {
            format: Option<String>,
        }
        let tables = request
            .queries
            .iter()
            .filter_map(|query| serde_json::from_slice::<JustFormat>(&query.json).ok())
            .filter(|query| query.format.as_deref() == Some("table"))
            .count();
        Self {
            scope,
            from_alert: request.from_alert(),
            from_expression: request.from_expression(),
            many_tables: tables > 1,
        }
    }

    /// The answer is computed with, not looked at.
    pub(super) fn scope(&self) -> Option<&Scope> {
        self.scope.as_ref()
    }

    pub(super) fn for_expression(&self) -> bool {
        self.from_alert || self.from_expression
    }
}

/// The frames of one query.
#[derive(Clone, Debug)]
pub struct Answer {
    pub frames: Vec<Frame>,
    /// Its series are named after all frames of the request are there.
    automatic_legend: bool,
}

impl Answer {
    /// Frames whose names are settled.
    pub(super) fn plain(frames: Vec<Frame>) -> Self {
        Self {
            frames,
            automatic_legend: false,
        }
    }
}

/// Gives the series of queries with an automatic legend their names.
pub fn name_series(answers: &mut [Result<Answer, QueryError>]) {
    let mut automatic = Vec::new();
    let mut frames = Vec::new();
    for answer in answers.iter_mut().flatten() {
        for frame in &mut answer.frames {
            automatic.push(answer.automatic_legend);
            frames.push(frame);
        }
    }
    if automatic.contains(&true) {
        legend::name_automatically(&mut frames, &automatic);
    }
}

/// Runs one query.
///
/// # Errors
/// See [`QueryError`].
pub async fn run(
    instance: &Arc<Instance>,
    asked: &Asked,
    raw: &RawQuery,
    metrics: &Metrics,
) -> Result<Answer, QueryError> {
    if super::events::is_events(raw) {
        return super::events::run(instance, asked, raw).await;
    }
    if super::inventory::is_inventory(raw) {
        return super::inventory::run(instance, asked, raw).await;
    }
    let model = Model::read(raw)?;
    if raw.to_ms < raw.from_ms {
        return Err(QueryError::TimeRange);
    }
    let query = Query::prepare(instance, asked, raw, &model, metrics).await?;
    let frames = match (model.range, model.instant) {
        (true, true) => {
            let (mut range, instant) = tokio::try_join!(query.range(), query.instant())?;
            range.extend(instant);
            range
        }
        (true, false) => query.range().await?,
        (false, _) => query.instant().await?,
    };
    Ok(Answer {
        frames,
        automatic_legend: model.legend == Legend::Auto,
    })
}

/// A query with everything it needs.
struct Query<'a> {
    instance: &'a Arc<Instance>,
    asked: &'a Asked,
    raw: &'a RawQuery,
    model: &'a Model,
    metrics: &'a Metrics,
    kind: ValueType,
    unit: Option<&'static str>,
    /// Before any widening.
    step_ms: i64,
    collection_ms: i64,
    /// 0: no budget.
    max_cells: u64,
}

impl<'a> Query<'a> {
    async fn prepare(
        instance: &'a Arc<Instance>,
        asked: &'a Asked,
        raw: &'a RawQuery,
        model: &'a Model,
        metrics: &'a Metrics,
    ) -> Result<Self, QueryError> {
        // Any duration will do to find out what the expression is.
        let stand_in = Times {
            step_ms: 60_000,
            rate_ms: 60_000,
            range_ms: (raw.to_ms - raw.from_ms).max(1000),
        };
        let text = macros::expand(&model.expr, stand_in);
        let parsed = podscope_promql::parse(&text).map_err(QueryError::Parse)?;
        let settings = &instance.settings;
        let wants_rate = macros::uses_rate_interval(&model.expr)
            || model.interval.as_deref().is_some_and(macros::uses_rate_interval);
        let collection_ms = match wants_rate {
            true => collection_interval(instance, &parsed).await,
            false => settings.min_interval_ms,
        };
        let step_ms = step::choose(&StepInput {
            from_ms: raw.from_ms,
            to_ms: raw.to_ms,
            max_data_points: raw.max_data_points,
            interval_ms: raw.interval_ms,
            interval: model.interval.as_deref(),
            interval_factor: model.interval_factor,
            min_interval_ms: settings.min_interval_ms,
            collection_ms,
        })
        .ok_or_else(|| QueryError::Field {
            field: "interval",
            problem: format!(
                "must be a duration such as 15s, or $__rate_interval; it is {:?}",
                model.interval.as_deref().unwrap_or_default()
            ),
        })?;
        let max_cells = if asked.for_expression() {
            0
        } else {
            model.max_cells.unwrap_or(settings.max_cells)
        };
        let unit = unit::of(&text);
        Ok(Self {
            instance,
            asked,
            raw,
            model,
            metrics,
            kind: parsed.value_type(),
            unit,
            step_ms,
            collection_ms,
            max_cells,
        })
    }

    /// The expression for a step.
    fn expr(&self, step_ms: i64) -> String {
        let rate_ms = match self.model.interval.as_deref().and_then(macros::interval_macro) {
            // The step is the rate interval already.
            Some(macros::Interval::Rate) => step_ms,
            _ => macros::rate_interval(step_ms, self.collection_ms),
        };
        macros::expand(
            &self.model.expr,
            Times {
                step_ms,
                rate_ms,
                range_ms: (self.raw.to_ms - self.raw.from_ms).max(1),
            },
        )
    }

    async fn instant(&self) -> Result<Vec<Frame>, QueryError> {
        let expr = self.expr(self.step_ms);
        let grid = Grid::instant(self.raw.to_ms);
        let answer = self.ask(&expr, grid).await?;
        let cells = count_cells(&answer.outcome.value);
        if self.max_cells > 0 && cells > self.max_cells {
            let series = count_series(&answer.outcome.value);
            let points = cells.div_ceil(series.max(1));
            return Err(QueryError::TooManyCells {
                series,
                points,
                cells,
                max: self.max_cells,
            });
        }
        Ok(self.frames(answer, &expr, grid, self.step_ms, true, None))
    }

    async fn range(&self) -> Result<Vec<Frame>, QueryError> {
        match self.kind {
            ValueType::Scalar | ValueType::Vector => {}
            kind => {
                let name = if kind == ValueType::String {
                    "string"
                } else {
                    "range vector"
                };
                return Err(QueryError::Shape(format!(
                    "invalid expression type \"{name}\" for range query, must be Scalar or instant Vector"
                )));
            }
        }
        let mut step_ms = self.step_ms;
        let mut series = match self
            .instance
            .known_series(self.asked.scope.as_ref(), &self.model.expr)
        {
            Some(series) => series,
            None => self.probe(step_ms).await?,
        };
        loop {
            let grid = self.grid(step_ms);
            step_ms = self.fitting_step(grid, series)?.unwrap_or(step_ms);
            let grid = self.grid(step_ms);
            let expr = self.expr(step_ms);
            let answer = self.ask(&expr, grid).await?;
            series = count_series(&answer.outcome.value);
            self.instance
                .remember_series(self.asked.scope.as_ref(), &self.model.expr, series);
            // More series than were expected: once more with a wider step. It grows each time, so this ends.
            if self.fitting_step(grid, series)?.is_none() {
                let notice = self.widening_notice(step_ms, series);
                return Ok(self.frames(answer, &expr, grid, step_ms, false, notice));
            }
        }
    }

    fn grid(&self, step_ms: i64) -> Grid {
        step::grid(
            self.raw.from_ms,
            self.raw.to_ms,
            step_ms,
            self.model.utc_offset_ms,
        )
    }

    /// A wider step, when one is needed.
    fn fitting_step(&self, grid: Grid, series: u64) -> Result<Option<i64>, QueryError> {
        match step::fit(grid, series, self.max_cells) {
            Fit::Fits => Ok(None),
            Fit::Widen { step_ms } => Ok(Some(step_ms)),
            Fit::Never { points, cells } => Err(QueryError::TooManyCells {
                series,
                points,
                cells,
                max: self.max_cells,
            }),
        }
    }

    /// How many series the expression has at the end of the range. One number per node travels, so that a selector of
    /// millions of points is refused or widened before they do.
    async fn probe(&self, step_ms: i64) -> Result<u64, QueryError> {
        if self.max_cells == 0 || self.kind != ValueType::Vector {
            return Ok(1);
        }
        let expr = format!("count({})", self.expr(step_ms));
        let answer = self.ask(&expr, Grid::instant(self.grid(step_ms).end_ms)).await?;
        let Value::Vector(list) = &answer.outcome.value else {
            return Ok(1);
        };
        let count = list
            .first()
            .and_then(|series| series.values.first())
            .copied()
            .unwrap_or(0.0);
        Ok(if count.is_finite() && count > 0.0 {
            count as u64
        } else {
            0
        })
    }

    async fn ask(&self, expr: &str, grid: Grid) -> Result<FleetAnswer, QueryError> {
        let query = FleetQuery {
            expr: expr.to_owned(),
            grid,
            lookback_ms: self.instance.settings.lookback_ms,
            user: self.asked.scope.clone(),
            limits: None,
            alert: self.asked.from_alert,
        };
        let answer = crate::sources::query(self.instance, query).await?;
        let completeness = &answer.completeness;
        let threshold = self.instance.settings.completeness;
        if self.asked.from_alert && completeness.ratio() < threshold {
            let notice = completeness.notice().unwrap_or_default();
            return Err(QueryError::Incomplete { notice, threshold });
        }
        Ok(answer)
    }

    fn widening_notice(&self, step_ms: i64, series: u64) -> Option<Notice> {
        if step_ms == self.step_ms {
            return None;
        }
        self.metrics.widened();
        Some(Notice::info(format!(
            "the step was widened from {} to {}: {series} series at {} are more than the panel's {} values; aggregate \
             or select fewer series for a finer step",
            duration::promql(self.step_ms),
            duration::promql(step_ms),
            duration::promql(self.step_ms),
            self.max_cells
        )))
    }

    fn frames(
        &self,
        answer: FleetAnswer,
        expr: &str,
        grid: Grid,
        step_ms: i64,
        instant: bool,
        widened: Option<Notice>,
    ) -> Vec<Frame> {
        self.metrics.missing(answer.completeness.missing_count());
        let value_column = match self.asked.many_tables {
            true => format!("Value #{}", self.raw.ref_id),
            false => "Value".to_owned(),
        };
        let shape = Shape {
            format: if self.asked.for_expression() {
                Format::TimeSeries
            } else {
                self.model.format
            },
            legend: &self.model.legend,
            expr,
            grid,
            instant,
            step_ms,
            for_expression: self.asked.for_expression(),
            unit: self.unit,
            value_column: &value_column,
        };
        let mut notices: Vec<Notice> = answer
            .completeness
            .notice()
            .map(Notice::warning)
            .into_iter()
            .collect();
        notices.extend(widened);
        notices.extend(
            answer
                .outcome
                .annotations
                .iter()
                .map(|annotation| match annotation {
                    Annotation::Info(text) => Notice::info(text),
                    Annotation::Warning(text) => Notice::warning(text),
                }),
        );
        let mut frames = format::frames(answer.outcome.value, &shape);
        if let Some(first) = frames.first_mut() {
            first.meta.notices = notices;
        }
        frames
    }
}

/// The longest collection interval among the expression's metrics; the data source's smallest step for metrics nobody
/// knows.
async fn collection_interval(instance: &Arc<Instance>, parsed: &Parsed) -> i64 {
    let least = instance.settings.min_interval_ms;
    let metadata = instance.metadata().await;
    parsed
        .selectors()
        .iter()
        .filter_map(|matchers| fixed_name(matchers))
        .filter_map(|name| {
            metadata.get(name).or_else(|| {
                ["_bucket", "_sum", "_count"]
                    .iter()
                    .find_map(|suffix| name.strip_suffix(suffix))
                    .and_then(|base| metadata.get(base))
            })
        })
        .filter_map(|info| i64::try_from(info.interval_ms).ok())
        .max()
        .map_or(least, |longest| longest.max(least))
}

fn count_series(value: &Value) -> u64 {
    match value {
        Value::Scalar(_) | Value::String(_) => 1,
        Value::Vector(list) => list.len() as u64,
        Value::Samples(list) => list.len() as u64,
    }
}

fn count_cells(value: &Value) -> u64 {
    match value {
        Value::Scalar(values) => values.len() as u64,
        Value::String(_) => 1,
        Value::Vector(list) => list.iter().map(|series| series.values.len() as u64).sum(),
        Value::Samples(list) => list.iter().map(|series| series.values.len() as u64).sum(),
    }
}
