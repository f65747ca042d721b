//! Binary operators: arithmetic, comparison, sets.

use podscope_model::labels::Labels;
use podscope_model::sample::{Grid, STALE, StepSeries, is_stale};
use rustc_hash::FxHashMap;

use super::{Context, Merge, Val, absent_column, drop_name, is_metadata};
use crate::EvalError;
use crate::ast::{Binary, BinaryOp, Cardinality, Expr, Matching};

impl BinaryOp {
    /// The number an arithmetic operator makes; for a comparison 1 or 0.
    fn apply(self, left: f64, right: f64) -> f64 {
        match self {
            Self::Add => left + right,
            Self::Sub => left - right,
            Self::Mul => left * right,
            Self::Div => left / right,
            Self::Mod => left % right,
            Self::Pow => left.powf(right),
            Self::Atan2 => left.atan2(right),
            _ => f64::from(u8::from(self.holds(left, right))),
        }
    }

    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Greater => left > right,
            Self::Less => left < right,
            Self::GreaterEqual => left >= right,
            Self::LessEqual => left <= right,
            _ => true,
        }
    }
}

impl Context<'_> {
    /// A chain of operators: its left spine in a loop, so that a thousand operators need no deep stack.
    #[inline(never)]
    pub(super) fn binary_chain(&self, binary: &Binary, grid: Grid) -> Result<Val, EvalError> {
        let mut spine = vec![binary];
        let mut leftmost = &binary.lhs;
        while let Expr::Binary(next) = leftmost {
            spine.push(next);
            leftmost = &next.lhs;
        }
        let mut value = self.eval(leftmost, grid)?;
        for binary in spine.into_iter().rev() {
            let right = self.eval(&binary.rhs, grid)?;
            self.budget.check()?;
            value = combine(binary, value, right, grid)?;
        }
        Ok(value)
    }
}

#[inline(never)]
fn combine(binary: &Binary, left: Val, right: Val, grid: Grid) -> Result<Val, EvalError> {
    let op = binary.op;
    match (left, right) {
        (Val::Scalar(mut left), Val::Scalar(right)) => {
            for (left, right) in left.iter_mut().zip(right) {
                *left = op.apply(*left, right);
            }
            Ok(Val::Scalar(left))
        }
        (Val::Vector(left), Val::Scalar(right)) => {
            Ok(Val::Vector(with_scalar(binary, left, |vector, step| {
                (vector, right[step])
            })?))
        }
        (Val::Scalar(left), Val::Vector(right)) => {
            Ok(Val::Vector(with_scalar(binary, right, |vector, step| {
                (left[step], vector)
            })?))
        }
        (Val::Vector(left), Val::Vector(right)) => {
            let series = match op {
                BinaryOp::And => filtered(&binary.matching, left, &right, grid, true),
                BinaryOp::Unless => filtered(&binary.matching, left, &right, grid, false),
                BinaryOp::Or => either(&binary.matching, left, right, grid)?,
                _ => matched(binary, &left, &right, grid)?,
            };
            Ok(Val::Vector(series))
        }
        _ => Err(EvalError::Execution(format!(
            "{:?} is not defined for strings",
            op.as_str()
        ))),
    }
}

/// Vector and scalar. A comparison keeps the vector's value, whichever side it is on.
fn with_scalar(
    binary: &Binary,
    vector: Vec<StepSeries>,
    operands: impl Fn(f64, usize) -> (f64, f64),
) -> Result<Vec<StepSeries>, EvalError> {
    let op = binary.op;
    let filters = op.is_comparison() && !binary.return_bool;
    let mut merge = Merge::default();
    for mut series in vector {
        for (step, value) in series.values.iter_mut().enumerate() {
            if is_stale(*value) {
                continue;
            }
            let (left, right) = operands(*value, step);
            if !filters {
                *value = op.apply(left, right);
            } else if !op.holds(left, right) {
                *value = STALE;
            }
        }
        let renamed = op.changes_metric() || binary.return_bool;
        let labels = if renamed {
            drop_name(&series.labels)
        } else {
            series.labels
        };
        merge.add(labels, series.values)?;
    }
    Ok(merge.series)
}

/// What series must have in common to meet.
fn signature(labels: &Labels, matching: &Matching) -> Labels {
    let listed = |name: &str| matching.labels.iter().any(|label| label == name);
    if matching.on {
        labels.filter(listed)
    } else {
        labels.filter(|name| name != podscope_model::labels::NAME && !listed(name))
    }
}

/// The series of both sides by signature, in order.
fn by_signature<'a>(
    left: &'a [StepSeries],
    right: &'a [StepSeries],
    matching: &Matching,
) -> Vec<(Labels, Vec<&'a StepSeries>, Vec<&'a StepSeries>)> {
    let mut index: FxHashMap<Labels, usize> = FxHashMap::default();
    let mut groups: Vec<(Labels, Vec<&StepSeries>, Vec<&StepSeries>)> = Vec::new();
    for (side, list) in [left, right].into_iter().enumerate() {
        for series in list {
            let at = *index
                .entry(signature(&series.labels, matching))
                .or_insert_with_key(|labels| {
                    groups.push((labels.clone(), Vec::new(), Vec::new()));
                    groups.len() - 1
                });
            if let Some((_, lefts, rights)) = groups.get_mut(at) {
                if side == 0 {
                    lefts.push(series)
                } else {
                    rights.push(series)
                }
            }
        }
    }
    groups
}

fn any_present(series: &[StepSeries], steps: usize) -> Vec<bool> {
    let mut present = vec![false; steps];
    for series in series {
        mark(&mut present, &series.values);
    }
    present
}

fn mark(present: &mut [bool], column: &[f64]) {
    for (present, value) in present.iter_mut().zip(column) {
        *present |= !is_stale(*value);
    }
}

/// `and` and `unless`: what of the left side has, or has not, a partner on the right.
fn filtered(
    matching: &Matching,
    left: Vec<StepSeries>,
    right: &[StepSeries],
    grid: Grid,
    wanted: bool,
) -> Vec<StepSeries> {
    let partners = presence(matching, right, grid);
    let nobody = vec![false; grid.len()];
    left.into_iter()
        .filter_map(|mut series| {
            let present = partners
                .get(&signature(&series.labels, matching))
                .unwrap_or(&nobody);
            for (value, present) in series.values.iter_mut().zip(present) {
                if *present != wanted {
                    *value = STALE;
                }
            }
            super::has_value(&series.values).then_some(series)
        })
        .collect()
}

/// At which steps each signature has a series.
fn presence(matching: &Matching, series: &[StepSeries], grid: Grid) -> FxHashMap<Labels, Vec<bool>> {
    let mut found: FxHashMap<Labels, Vec<bool>> = FxHashMap::default();
    for series in series {
        let present = found
            .entry(signature(&series.labels, matching))
            .or_insert_with(|| vec![false; grid.len()]);
        mark(present, &series.values);
    }
    found
}

fn either(
    matching: &Matching,
    left: Vec<StepSeries>,
    right: Vec<StepSeries>,
    grid: Grid,
) -> Result<Vec<StepSeries>, EvalError> {
    let rest = filtered(matching, right, &left, grid, false);
    let mut merge = Merge::default();
    for series in left.into_iter().chain(rest) {
        merge.add(series.labels, series.values)?;
    }
    Ok(merge.series)
}

/// Arithmetic and comparison of two vectors.
fn matched(
    binary: &Binary,
    left: &[StepSeries],
    right: &[StepSeries],
    grid: Grid,
) -> Result<Vec<StepSeries>, EvalError> {
    let swapped = binary.matching.cardinality == Cardinality::OneToMany;
    let (many, one) = if swapped { (right, left) } else { (left, right) };
    let run = Matched {
        binary,
        swapped,
        steps: grid.len(),
        many_present: any_present(many, grid.len()),
    };
    let mut merge = Merge::default();
    for (signature, many, one) in by_signature(many, one, &binary.matching) {
        run.check_one_side(&signature, &one)?;
        if binary.matching.cardinality == Cardinality::OneToOne {
            run.check_one_to_one(&many, &one)?;
        } else {
            run.check_unique_results(&many, &one)?;
        }
        for many in &many {
            for one in &one {
                merge.add(
                    run.result_labels(&many.labels, &one.labels),
                    run.column(many, one),
                )?;
            }
        }
    }
    Ok(merge.series)
}

struct Matched<'a> {
    binary: &'a Binary,
    /// Whether the "one" side is the left one.
    swapped: bool,
    steps: usize,
    /// At which steps the "many" side has anything at all: where it has nothing, nothing can be ambiguous.
    many_present: Vec<bool>,
}

impl Matched<'_> {
    /// No two series of the "one" side may share signature and step.
    fn check_one_side(&self, signature: &Labels, one: &[&StepSeries]) -> Result<(), EvalError> {
        let mut owner: Vec<Option<&StepSeries>> = Vec::new();
        if one.len() > 1 {
            owner = vec![None; self.steps];
        }
        for series in one {
            for ((owner, value), many) in owner.iter_mut().zip(&series.values).zip(&self.many_present) {
                if is_stale(*value) || !many {
                    continue;
                }
                if let Some(other) = owner {
                    let side = if self.swapped { "left" } else { "right" };
                    let (mut a, mut b) = (series.labels.to_string(), other.labels.to_string());
                    if a > b {
                        std::mem::swap(&mut a, &mut b);
                    }
                    return Err(EvalError::Execution(format!(
                        "found duplicate series for the match group {signature} on the {side} hand-side of the \
                         operation: [{a}, {b}]; many-to-many matching not allowed: matching labels must be unique on \
                         one side"
                    )));
                }
                *owner = Some(series);
            }
        }
        Ok(())
    }

    /// Each series of the "one" side meets one at a time.
    fn check_one_to_one(&self, many: &[&StepSeries], one: &[&StepSeries]) -> Result<(), EvalError> {
        if many.len() < 2 {
            return Ok(());
        }
        let partner = self.present(one);
        let mut met = vec![false; self.steps];
        for series in many {
            for ((value, met), partner) in series.values.iter().zip(&mut met).zip(&partner) {
                if is_stale(*value) || !partner {
                    continue;
                }
                if *met {
                    return Err(EvalError::Execution(
                        "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
                            .to_owned(),
                    ));
                }
                *met = true;
            }
        }
        Ok(())
    }

    /// Results of one signature may not share labels and step, not even those that a comparison drops.
    fn check_unique_results(&self, many: &[&StepSeries], one: &[&StepSeries]) -> Result<(), EvalError> {
        if many.len() < 2 {
            return Ok(());
        }
        let mut seen: FxHashMap<Labels, Vec<bool>> = FxHashMap::default();
        for many in many {
            for one in one {
                let seen = seen
                    .entry(self.result_labels(&many.labels, &one.labels))
                    .or_insert_with(|| vec![false; self.steps]);
                for ((a, b), seen) in many.values.iter().zip(&one.values).zip(seen) {
                    if is_stale(*a) || is_stale(*b) {
                        continue;
                    }
                    if *seen {
                        return Err(EvalError::Execution(
                            "multiple matches for labels: grouping labels must ensure unique matches"
                                .to_owned(),
                        ));
                    }
                    *seen = true;
                }
            }
        }
        Ok(())
    }

    fn present(&self, series: &[&StepSeries]) -> Vec<bool> {
        let mut present = vec![false; self.steps];
        for series in series {
            mark(&mut present, &series.values);
        }
        present
    }

    fn column(&self, many: &StepSeries, one: &StepSeries) -> Vec<f64> {
        let op = self.binary.op;
        let mut column = absent_column(self.steps);
        for ((out, many), one) in column.iter_mut().zip(&many.values).zip(&one.values) {
            if is_stale(*many) || is_stale(*one) {
                continue;
            }
            let (left, right) = if self.swapped {
                (*one, *many)
            } else {
                (*many, *one)
            };
            if !op.is_comparison() || self.binary.return_bool {
                *out = op.apply(left, right);
            } else if op.holds(left, right) {
                *out = left;
            }
        }
        column
    }

    fn result_labels(&self, many: &Labels, one: &Labels) -> Labels {
        let matching = &self.binary.matching;
        let drops_name = self.binary.op.changes_metric() || self.binary.return_bool;
        let listed = |name: &str| matching.labels.iter().any(|label| label == name);
        let one_to_one = matching.cardinality == Cardinality::OneToOne;
        let mut labels = many.filter(|name| {
            !(drops_name && is_metadata(name)) && (!one_to_one || listed(name) == matching.on)
        });
        for name in &matching.include {
            labels = labels.with(name, one.get(name).unwrap_or(""));
        }
        labels
    }
}
