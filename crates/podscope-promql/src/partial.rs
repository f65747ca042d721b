//! The state of aggregations that can be merged: accumulated column by column, shipped as columns, merged again.

use podscope_model::leaf::PartialColumn;
use podscope_model::sample::{STALE, is_stale};

use crate::ast::AggregateOp;
use crate::eval::Mean;
use crate::kahan::Kahan;

/// One group's state, one cell per step.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Sum(Vec<Option<Kahan>>),
    Avg(Vec<Mean>),
    Min(Vec<f64>),
    Max(Vec<f64>),
    /// How many; 0 where there is nothing.
    Count(Vec<f64>),
    /// 1 where there is anything.
    Group(Vec<f64>),
    Variance {
        cells: Vec<Spread>,
        root: bool,
    },
}

/// Count, mean and sum of squared deviations (Welford).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spread {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        if self.count == 1.0 {
            self.mean = value;
            self.squares = if value.is_finite() { 0.0 } else { f64::NAN };
            return;
        }
        let delta = value - self.mean;
        self.mean += delta / self.count;
        self.squares += delta * (value - self.mean);
    }

    /// Chan, Golub and LeVeque's update for two sets.
    fn merge(&mut self, other: Spread) {
        if self.count == 0.0 {
            *self = other;
            return;
        }
        let count = self.count + other.count;
        let delta = other.mean - self.mean;
        self.squares += other.squares + delta * delta * (self.count * other.count / count);
        self.mean += delta * (other.count / count);
        self.count = count;
    }
}

/// Whether the operator has a mergeable state.
pub(crate) fn is_mergeable(op: AggregateOp) -> bool {
    !matches!(
        op,
        AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Quantile | AggregateOp::CountValues
    )
}

impl State {
    /// An empty state; `None` for operators that have none.
    pub(crate) fn new(op: AggregateOp, steps: usize) -> Option<Self> {
        Some(match op {
            AggregateOp::Sum => Self::Sum(vec![None; steps]),
            AggregateOp::Avg => Self::Avg(vec![Mean::default(); steps]),
            AggregateOp::Min => Self::Min(vec![STALE; steps]),
            AggregateOp::Max => Self::Max(vec![STALE; steps]),
            // Counted at the leaves, the counts of values are added at the root.
            AggregateOp::Count | AggregateOp::CountValues => Self::Count(vec![0.0; steps]),
            AggregateOp::Group => Self::Group(vec![STALE; steps]),
            AggregateOp::Stddev => Self::Variance {
                cells: vec![Spread::default(); steps],
                root: true,
            },
            AggregateOp::Stdvar => Self::Variance {
                cells: vec![Spread::default(); steps],
                root: false,
            },
            AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Quantile => return None,
        })
    }

    /// Takes in the column of one series.
    pub(crate) fn add(&mut self, column: &[f64]) {
        match self {
            Self::Sum(cells) => each(cells, column, |cell, value| match cell {
                Some(sum) => sum.add(value),
                None => *cell = Some(Kahan::new(value)),
            }),
            Self::Avg(cells) => each(cells, column, Mean::add),
            Self::Min(cells) => each(cells, column, |cell, value| extreme(cell, value, value < *cell)),
            Self::Max(cells) => each(cells, column, |cell, value| extreme(cell, value, value > *cell)),
            Self::Count(cells) => each(cells, column, |cell, _| *cell += 1.0),
            Self::Group(cells) => each(cells, column, |cell, _| *cell = 1.0),
            Self::Variance { cells, .. } => each(cells, column, Spread::add),
        }
    }

    /// The aggregation's result.
    pub(crate) fn finish(self) -> Vec<f64> {
        match self {
            Self::Sum(cells) => cells
                .into_iter()
                .map(|cell| cell.map_or(STALE, Kahan::value))
                .collect(),
            Self::Avg(cells) => cells
                .into_iter()
                .map(|cell| if cell.count > 0.0 { cell.value() } else { STALE })
                .collect(),
            Self::Min(cells) | Self::Max(cells) | Self::Group(cells) => cells,
            Self::Count(cells) => cells
                .into_iter()
                .map(|count| if count > 0.0 { count } else { STALE })
                .collect(),
            Self::Variance { cells, root } => cells
                .into_iter()
                .map(|cell| match (cell.count > 0.0, root) {
                    (false, _) => STALE,
                    (true, true) => (cell.squares / cell.count).sqrt(),
                    (true, false) => cell.squares / cell.count,
                })
                .collect(),
        }
    }

    /// The state as columns.
    pub(crate) fn into_columns(self) -> Vec<(PartialColumn, Vec<f64>)> {
        use PartialColumn as Column;
        match self {
            Self::Sum(cells) => {
                let sums = cells
                    .iter()
                    .map(|cell| cell.map_or(STALE, |sum| sum.sum))
                    .collect();
                let rest = cells
                    .iter()
                    .map(|cell| cell.map_or(STALE, |sum| sum.compensation))
                    .collect();
                vec![(Column::Sum, sums), (Column::Compensation, rest)]
            }
            Self::Avg(cells) => {
                let pick = |wanted: &dyn Fn(&Mean) -> Option<f64>| {
                    cells
                        .iter()
                        .map(|cell| {
                            if cell.count > 0.0 {
                                wanted(cell).unwrap_or(STALE)
                            } else {
                                STALE
                            }
                        })
                        .collect::<Vec<f64>>()
                };
                let mut columns = vec![
                    (
                        Column::Sum,
                        pick(&|cell| (!cell.incremental).then_some(cell.sum.sum)),
                    ),
                    (Column::Compensation, pick(&|cell| Some(cell.sum.compensation))),
                    (Column::Count, pick(&|cell| Some(cell.count))),
                ];
                if cells.iter().any(|cell| cell.incremental) {
                    // Only where the sum overflowed.
                    columns.push((
                        Column::Mean,
                        pick(&|cell| cell.incremental.then_some(cell.sum.sum)),
                    ));
                }
                columns
            }
            Self::Variance { cells, .. } => {
                let pick = |wanted: fn(&Spread) -> f64| {
                    cells
                        .iter()
                        .map(|cell| if cell.count > 0.0 { wanted(cell) } else { STALE })
                        .collect::<Vec<f64>>()
                };
                vec![
                    (Column::Count, pick(|cell| cell.count)),
                    (Column::Mean, pick(|cell| cell.mean)),
                    (Column::SquaredDeviation, pick(|cell| cell.squares)),
                ]
            }
            other @ Self::Count(_) => vec![(Column::Count, other.finish())],
            other @ (Self::Min(_) | Self::Max(_) | Self::Group(_)) => vec![(Column::Value, other.finish())],
        }
    }

    /// Takes in the columns of another state of the same operator. Columns it does not know are an error.
    pub(crate) fn merge(&mut self, columns: &[(PartialColumn, Vec<f64>)]) -> Result<(), String> {
        use PartialColumn as Column;
        let steps = self.steps();
        let find = |wanted: Column| {
            columns
                .iter()
                .find(|(column, _)| *column == wanted)
                .map(|(_, v)| v)
        };
        let get = |wanted: Column| {
            find(wanted)
                .filter(|values| values.len() == steps)
                .ok_or_else(|| format!("a partial aggregation lacks its column {wanted:?} of {steps} steps"))
        };
        match self {
            Self::Sum(cells) => {
                let (sums, rest) = (get(Column::Sum)?, get(Column::Compensation)?);
                for ((cell, sum), rest) in cells.iter_mut().zip(sums).zip(rest) {
                    if is_stale(*sum) {
                        continue;
                    }
                    match cell {
                        Some(known) => merge_sum(known, *sum, *rest),
                        None => {
                            *cell = Some(Kahan {
                                sum: *sum,
                                compensation: *rest,
                            })
                        }
                    }
                }
            }
            Self::Avg(cells) => {
                let (sums, rest) = (get(Column::Sum)?, get(Column::Compensation)?);
                let counts = get(Column::Count)?;
                let means = find(Column::Mean);
                for (step, cell) in cells.iter_mut().enumerate() {
                    let at = |values: &[f64]| values.get(step).copied().unwrap_or(STALE);
                    let count = at(counts);
                    if is_stale(count) {
                        continue;
                    }
                    let mean = means.map_or(STALE, |means| at(means));
                    let incremental = !is_stale(mean);
                    let sum = if incremental { mean } else { at(sums) };
                    let other = Mean {
                        count,
                        sum: Kahan {
                            sum,
                            compensation: at(rest),
                        },
                        incremental,
                    };
                    merge_mean(cell, other);
                }
            }
            Self::Min(_) | Self::Max(_) | Self::Group(_) => {
                let values = get(Column::Value)?;
                self.add(values);
            }
            Self::Count(cells) => {
                each(cells, get(Column::Count)?, |cell, count| *cell += count);
            }
            Self::Variance { cells, .. } => {
                let (counts, means) = (get(Column::Count)?, get(Column::Mean)?);
                let squares = get(Column::SquaredDeviation)?;
                for (((cell, count), mean), squares) in cells.iter_mut().zip(counts).zip(means).zip(squares) {
                    if !is_stale(*count) {
                        cell.merge(Spread {
                            count: *count,
                            mean: *mean,
                            squares: *squares,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn steps(&self) -> usize {
        match self {
            Self::Sum(cells) => cells.len(),
            Self::Avg(cells) => cells.len(),
            Self::Min(cells) | Self::Max(cells) | Self::Count(cells) | Self::Group(cells) => cells.len(),
            Self::Variance { cells, .. } => cells.len(),
        }
    }
}

fn merge_sum(known: &mut Kahan, sum: f64, compensation: f64) {
    known.add(sum);
    if known.sum.is_finite() {
        known.compensation += compensation;
    }
}

fn merge_mean(known: &mut Mean, mut other: Mean) {
    if known.count == 0.0 {
        *known = other;
        return;
    }
    let count = known.count + other.count;
    if !known.incremental && !other.incremental {
        let mut sum = known.sum;
        merge_sum(&mut sum, other.sum.sum, other.sum.compensation);
        if !sum.sum.is_infinite() {
            *known = Mean {
                count,
                sum,
                incremental: false,
            };
            return;
        }
    }
    for side in [&mut *known, &mut other] {
        if !side.incremental {
            side.make_incremental(side.count);
        }
    }
    let (own, theirs) = (known.count / count, other.count / count);
    let mut sum = Kahan {
        sum: own * known.sum.sum,
        compensation: own * known.sum.compensation,
    };
    merge_sum(&mut sum, theirs * other.sum.sum, theirs * other.sum.compensation);
    *known = Mean {
        count,
        sum,
        incremental: true,
    };
}

/// Calls `take` for each step that has a value.
fn each<C>(cells: &mut [C], column: &[f64], mut take: impl FnMut(&mut C, f64)) {
    for (cell, value) in cells.iter_mut().zip(column) {
        if !is_stale(*value) {
            take(cell, *value);
        }
    }
}

/// Replaces the cell by a better value; NaN stays only where there is nothing else.
fn extreme(cell: &mut f64, value: f64, better: bool) {
    if better || cell.is_nan() {
        *cell = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPS: [AggregateOp; 8] = [
        AggregateOp::Sum,
        AggregateOp::Avg,
        AggregateOp::Min,
        AggregateOp::Max,
        AggregateOp::Count,
        AggregateOp::Group,
        AggregateOp::Stddev,
        AggregateOp::Stdvar,
    ];

    #[test]
    fn a_merged_state_is_the_state_of_all() {
        let columns: Vec<Vec<f64>> = vec![
            vec![1.0, STALE, f64::NAN, 1e308, f64::INFINITY],
            vec![2.5, STALE, 3.0, 1e308, 1.0],
            vec![-4.0, STALE, STALE, 1e308, f64::NEG_INFINITY],
            vec![8.0, 7.0, f64::NAN, 1e308, STALE],
        ];
        for op in OPS {
            let mut whole = State::new(op, 5).expect("mergeable");
            let (mut left, mut right) = (whole.clone(), whole.clone());
            for (at, column) in columns.iter().enumerate() {
                whole.add(column);
                if at < 2 {
                    left.add(column)
                } else {
                    right.add(column)
                }
            }
            let mut merged = State::new(op, 5).expect("mergeable");
            merged.merge(&left.into_columns()).expect("own columns");
            merged.merge(&right.into_columns()).expect("own columns");
            for (one, two) in whole.finish().iter().zip(merged.finish()) {
                let equal = one.to_bits() == two.to_bits()
                    || one.is_nan() && two.is_nan()
                    || (one - two).abs() <= one.abs() * 1e-12;
                assert!(equal, "{op:?}: {one} and {two}");
            }
        }
    }

    #[test]
    fn a_partial_without_its_columns_is_refused() {
        let mut state = State::new(AggregateOp::Sum, 1).expect("mergeable");
        let message = state
            .merge(&[(PartialColumn::Value, vec![1.0])])
            .expect_err("no sum");
        assert!(message.contains("lacks its column Sum"), "{message}");
    }
}
