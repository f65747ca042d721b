//! What runs on the leaves and what at the root.
//!
//! Every series of a leaf carries the leaf's own `instance`. An expression is *leaf-closed* when no step of it puts series of
//! two leaves together: each leaf can then evaluate it alone, and the answer is the union of theirs. Maximal leaf-closed parts
//! become fragments; an aggregation over one becomes a fragment whose mergeable state the root puts together; everything above
//! is evaluated at the root over the fragments' answers.

use std::sync::Arc;

use podscope_model::labels::{Labels, NAME};
use podscope_model::leaf::{Annotation, LeafQuery, LeafValue, PartialSeries, Shape};
use podscope_model::matcher::{MatchOp, Matcher};
use podscope_model::sample::{Grid, SeriesData, StepSeries};
use podscope_model::source::{Budget, SeriesSource};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::ast::{Aggregate, AggregateOp, At, Binary, Expr, Grouping, Matching, Selector};
use crate::eval::{Context, absent_labels, check_grid, has_value, partials, subquery_grid};
use crate::function::Func;
use crate::partial::{State, is_mergeable};
use crate::{EvalError, Fragment, Options, Outcome, Plan, Value, ValueType, lower};

/// The label that tells leaves apart.
const INSTANCE: &str = "instance";
/// The metric the root makes from the leaves' covered times, and the `job` it carries.
const UP: &str = "up";
const UP_JOB: &str = "node";

/// What the root does.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    expr: Arc<Expr>,
    grid: Grid,
    lookback_ms: i64,
    merges: Vec<Merging>,
}

/// How the answers to a fragment are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Merging {
    Series,
    States(AggregateOp),
    Samples,
}

/// Where an expression can be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Anywhere: it reads no series.
    Anywhere,
    /// On each leaf alone.
    Leaf,
    Root,
}

pub(crate) fn plan(expr: &Expr, grid: Grid, options: Options) -> Result<Plan, EvalError> {
    check_grid(grid)?;
    let mut expr = expr.clone();
    fix_times(&mut expr, grid);
    let mut planner = Planner::default();
    let root = match expr {
        Expr::Matrix(selector, range_ms) => planner.raw_samples(selector, range_ms, grid),
        other => planner.rewrite(other, grid),
    };
    if let Some(what) = planner.refused {
        return Err(EvalError::NotSupported(what));
    }
    Ok(Plan {
        fragments: planner.fragments,
        needs_up: planner.needs_up,
        needs_all_leaves: planner.needs_all_leaves,
        root: Root {
            expr: Arc::new(root),
            grid,
            lookback_ms: options.lookback_ms,
            merges: planner.merges,
        },
    })
}

/// Replaces `@ start()` and `@ end()`: a fragment inside a subquery has another start and end.
fn fix_times(expr: &mut Expr, grid: Grid) {
    let mut stack = vec![expr];
    while let Some(expr) = stack.pop() {
        let at = match expr {
            Expr::Selector(selector) | Expr::Matrix(selector, _) => Some(&mut selector.at),
            Expr::Subquery(subquery) => {
                stack.push(&mut subquery.expr);
                Some(&mut subquery.at)
            }
            Expr::Negate(inner) | Expr::AbsentOf(_, inner) => {
                stack.push(inner);
                None
            }
            Expr::Binary(binary) => {
                stack.push(&mut binary.lhs);
                stack.push(&mut binary.rhs);
                None
            }
            Expr::Union(left, right) => {
                stack.push(left);
                stack.push(right);
                None
            }
            Expr::Aggregate(aggregate) => {
                stack.push(&mut aggregate.expr);
                stack.extend(aggregate.param.as_mut());
                None
            }
            Expr::Call(_, args) => {
                stack.extend(args.iter_mut());
                None
            }
            Expr::Number(_) | Expr::String(_) | Expr::Remote(_) => None,
        };
        match at {
            Some(at @ At::Start) => *at = At::Time(grid.start_ms),
            Some(at @ At::End) => *at = At::Time(grid.end_ms),
            _ => {}
        }
    }
}

fn place(expr: &Expr) -> Place {
    match expr {
        Expr::Number(_) | Expr::String(_) => Place::Anywhere,
        Expr::Selector(selector) | Expr::Matrix(selector, _) => {
            if may_match_up(&selector.matchers) {
                Place::Root
            } else {
                Place::Leaf
            }
        }
        Expr::Subquery(subquery) => place(&subquery.expr),
        Expr::Negate(inner) => place(inner),
        Expr::Call(func, args) => call_place(*func, args),
        Expr::Aggregate(aggregate) => match aggregate_place(aggregate) {
            Place::Leaf if keeps_instance(aggregate) => Place::Leaf,
            Place::Anywhere => Place::Anywhere,
            _ => Place::Root,
        },
        Expr::Binary(binary) => {
            let spine = left_spine(binary);
            let leftmost = spine.last().map_or(Place::Root, |last| place(&last.lhs));
            spine.iter().rev().fold(leftmost, |left, binary| {
                binary_place(binary, left, place(&binary.rhs))
            })
        }
        Expr::AbsentOf(..) | Expr::Remote(_) | Expr::Union(..) => Place::Root,
    }
}

/// The operators of a chain from the last to the first: a chain of a thousand is a tree a thousand deep.
fn left_spine(binary: &Binary) -> Vec<&Binary> {
    let mut spine = vec![binary];
    let mut at = &binary.lhs;
    while let Expr::Binary(next) = at {
        spine.push(next);
        at = &next.lhs;
    }
    spine
}

fn call_place(func: Func, args: &[Expr]) -> Place {
    let places: Vec<Place> = args.iter().map(place).collect();
    if places.iter().all(|place| *place == Place::Anywhere) {
        return Place::Anywhere;
    }
    let at_root = match func {
        Func::Absent | Func::AbsentOverTime | Func::Scalar | Func::Sort | Func::SortDesc => true,
        Func::LabelReplace | Func::LabelJoin => {
            matches!(args.get(1), Some(Expr::String(target)) if target == INSTANCE)
        }
        _ => false,
    };
    if at_root || places.contains(&Place::Root) {
        Place::Root
    } else {
        Place::Leaf
    }
}

/// Where what an aggregation needs can be evaluated.
fn aggregate_place(aggregate: &Aggregate) -> Place {
    match aggregate.param.as_ref().map(place) {
        None | Some(Place::Anywhere) => place(&aggregate.expr),
        Some(_) => Place::Root,
    }
}

/// Whether no group holds series of two leaves.
fn keeps_instance(aggregate: &Aggregate) -> bool {
    let named = matches!(&aggregate.param, Some(Expr::String(name)) if name == INSTANCE);
    aggregate.grouping.keeps(INSTANCE) && !named
}

fn binary_place(binary: &Binary, left: Place, right: Place) -> Place {
    let types = (binary.lhs.value_type(), binary.rhs.value_type());
    match (left, right) {
        (Place::Anywhere, Place::Anywhere) => Place::Anywhere,
        (Place::Leaf, Place::Leaf) if matches_instance(&binary.matching) => Place::Leaf,
        (Place::Leaf, Place::Anywhere) if types.1 == ValueType::Scalar => Place::Leaf,
        (Place::Anywhere, Place::Leaf) if types.0 == ValueType::Scalar => Place::Leaf,
        _ => Place::Root,
    }
}

/// Whether series of two leaves can never meet.
fn matches_instance(matching: &Matching) -> bool {
    matching.labels.iter().any(|label| label == INSTANCE) == matching.on
        && matching.include.iter().all(|label| label != INSTANCE)
}

/// Whether the `up` that the root makes can be among the series.
fn may_match_up(matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| match matcher.name() {
        NAME => matcher.matches(UP),
        "job" => matcher.matches(UP_JOB),
        _ => true,
    })
}

/// Whether nothing but the `up` that the root makes can be among the series.
fn is_only_up(matchers: &[Matcher]) -> bool {
    let fixed = |name: &str, value: &str| {
        matchers.iter().any(|matcher| {
            matcher.name() == name && matcher.op() == MatchOp::Equal && matcher.value() == value
        })
    };
    fixed(NAME, UP) && fixed("job", UP_JOB)
}

#[derive(Default)]
struct Planner {
    fragments: Vec<Fragment>,
    merges: Vec<Merging>,
    needs_up: bool,
    needs_all_leaves: bool,
    /// What cannot be planned.
    refused: Option<String>,
}

impl Planner {
    fn fragment(&mut self, expr: &Expr, shape: Shape, merging: Merging, grid: Grid) -> Expr {
        let text = expr.to_string();
        let known = self
            .fragments
            .iter()
            .position(|known| known.expr == text && known.grid == grid && known.shape == shape);
        if let Some(at) = known {
            return Expr::Remote(at);
        }
        self.fragments.push(Fragment {
            expr: text,
            shape,
            grid,
            selectors: expr
                .selectors()
                .into_iter()
                .map(|selector| selector.matchers.clone())
                .collect(),
        });
        self.merges.push(merging);
        Expr::Remote(self.fragments.len() - 1)
    }

    fn steps(&mut self, expr: &Expr, grid: Grid) -> Expr {
        self.fragment(expr, Shape::Steps, Merging::Series, grid)
    }

    /// The part of an expression that stays at the root, with its leaf-closed parts replaced by fragments.
    fn rewrite(&mut self, expr: Expr, grid: Grid) -> Expr {
        match place(&expr) {
            Place::Anywhere => return expr,
            Place::Leaf if expr.value_type() == ValueType::Vector => return self.steps(&expr, grid),
            _ => {}
        }
        match expr {
            Expr::Negate(inner) => Expr::Negate(Box::new(self.rewrite(*inner, grid))),
            Expr::Binary(binary) => self.rewrite_chain(*binary, grid),
            Expr::Aggregate(aggregate) => self.rewrite_aggregate(*aggregate, grid),
            Expr::Subquery(mut subquery) => {
                let inner = subquery_grid(&subquery, grid, grid);
                if !inner.is_empty() {
                    subquery.expr = self.rewrite(subquery.expr, inner);
                }
                Expr::Subquery(subquery)
            }
            Expr::Call(func, args) => self.rewrite_call(func, args, grid),
            Expr::Selector(selector) => self.with_up(selector, grid, Expr::Selector),
            other => other,
        }
    }

    /// A selector that can match `up`: what the leaves have of it, and what the root has.
    fn with_up(&mut self, selector: Selector, grid: Grid, around: impl Fn(Selector) -> Expr) -> Expr {
        self.needs_up = true;
        let mut own = selector.clone();
        own.matchers.push(Matcher::equal(NAME, UP));
        if is_only_up(&selector.matchers) {
            return around(own);
        }
        let theirs = self.steps(&around(selector), grid);
        Expr::Union(Box::new(theirs), Box::new(around(own)))
    }

    fn rewrite_chain(&mut self, binary: Binary, grid: Grid) -> Expr {
        // The left spine in a loop; the longest part from the left that is leaf-closed becomes one fragment.
        let mut spine = Vec::new();
        let mut leftmost = Expr::Binary(Box::new(binary));
        loop {
            match leftmost {
                Expr::Binary(binary) => {
                    let Binary {
                        op,
                        lhs,
                        rhs,
                        return_bool,
                        matching,
                    } = *binary;
                    let rest = Binary {
                        op,
                        lhs: Expr::Number(0.0),
                        rhs,
                        return_bool,
                        matching,
                    };
                    spine.push(rest);
                    leftmost = lhs;
                }
                other => {
                    leftmost = other;
                    break;
                }
            }
        }
        let mut done = leftmost;
        let mut done_place = place(&done);
        let mut waiting = true;
        while let Some(mut binary) = spine.pop() {
            if waiting {
                binary.lhs = done;
                let next = binary_place(&binary, done_place, place(&binary.rhs));
                if next != Place::Root {
                    done = Expr::Binary(Box::new(binary));
                    done_place = next;
                    continue;
                }
                waiting = false;
                done = std::mem::replace(&mut binary.lhs, Expr::Number(0.0));
                done = self.rewrite(done, grid);
            }
            binary.rhs = self.rewrite(binary.rhs, grid);
            binary.lhs = done;
            done = Expr::Binary(Box::new(binary));
        }
        if waiting { self.rewrite(done, grid) } else { done }
    }

    fn rewrite_aggregate(&mut self, aggregate: Aggregate, grid: Grid) -> Expr {
        let op = aggregate.op;
        if aggregate_place(&aggregate) == Place::Leaf {
            if is_mergeable(op) || op == AggregateOp::CountValues {
                let expr = Expr::Aggregate(Box::new(aggregate));
                return self.fragment(&expr, Shape::Partials, Merging::States(op), grid);
            }
            if matches!(op, AggregateOp::Topk | AggregateOp::Bottomk) {
                // The best of all are among the best of each.
                let Aggregate { param, grouping, .. } = aggregate.clone();
                let expr = self.steps(&Expr::Aggregate(Box::new(aggregate)), grid);
                return Expr::Aggregate(Box::new(Aggregate {
                    op,
                    param,
                    expr,
                    grouping,
                }));
            }
        }
        let Aggregate {
            op,
            param,
            expr,
            grouping,
        } = aggregate;
        let param = param.map(|param| self.rewrite(param, grid));
        let expr = self.rewrite(expr, grid);
        Expr::Aggregate(Box::new(Aggregate {
            op,
            param,
            expr,
            grouping,
        }))
    }

    fn rewrite_call(&mut self, func: Func, mut args: Vec<Expr>, grid: Grid) -> Expr {
        match func {
            Func::Absent | Func::AbsentOverTime if args.len() == 1 => {
                self.needs_all_leaves = true;
                let arg = args.remove(0);
                let labels = absent_labels(&arg);
                let inner = match func {
                    Func::Absent => arg,
                    _ => Expr::Call(Func::LastOverTime, vec![arg]),
                };
                return Expr::AbsentOf(labels, Box::new(self.presence(inner, grid)));
            }
            Func::Scalar => self.needs_all_leaves = true,
            _ => {}
        }
        // A function that sees the samples themselves runs where they are.
        let sees_samples = |arg: &Expr| {
            matches!(arg, Expr::Matrix(..)) || func == Func::Timestamp && matches!(arg, Expr::Selector(_))
        };
        let read = args.iter().position(sees_samples);
        let others_anywhere = args
            .iter()
            .enumerate()
            .all(|(at, arg)| Some(at) == read || place(arg) == Place::Anywhere);
        match read {
            Some(at) if others_anywhere => {
                let (selector, range_ms) = match args.get(at) {
                    Some(Expr::Matrix(selector, range_ms)) => (selector.clone(), Some(*range_ms)),
                    Some(Expr::Selector(selector)) => (selector.clone(), None),
                    _ => return Expr::Call(func, args),
                };
                self.with_up(selector, grid, |selector| {
                    let mut args = args.clone();
                    if let Some(arg) = args.get_mut(at) {
                        *arg = match range_ms {
                            Some(range_ms) => Expr::Matrix(selector, range_ms),
                            None => Expr::Selector(selector),
                        };
                    }
                    Expr::Call(func, args)
                })
            }
            Some(_) => {
                // The samples would have to travel to the root.
                self.refused.get_or_insert_with(|| {
                    format!(
                        "{} with an argument that depends on series of several nodes",
                        func.name()
                    )
                });
                Expr::Call(func, args)
            }
            None => {
                let args = args.into_iter().map(|arg| self.rewrite(arg, grid)).collect();
                Expr::Call(func, args)
            }
        }
    }

    /// Something that has a value at the steps at which the expression has one.
    fn presence(&mut self, expr: Expr, grid: Grid) -> Expr {
        if place(&expr) != Place::Leaf {
            return self.rewrite(expr, grid);
        }
        let grouping = Grouping::By(Vec::new());
        let group = Aggregate {
            op: AggregateOp::Group,
            param: None,
            expr,
            grouping,
        };
        self.rewrite_aggregate(group, grid)
    }

    /// The raw samples of an instant query's range selector.
    fn raw_samples(&mut self, selector: Selector, range_ms: i64, grid: Grid) -> Expr {
        let may_be_up = may_match_up(&selector.matchers);
        self.needs_up |= may_be_up;
        let only_up = is_only_up(&selector.matchers);
        let mut own = selector.clone();
        own.matchers.push(Matcher::equal(NAME, UP));
        let theirs = Expr::Matrix(selector, range_ms);
        if !only_up {
            self.fragment(&theirs, Shape::Samples, Merging::Samples, grid);
        }
        if may_be_up {
            Expr::Matrix(own, range_ms)
        } else {
            theirs
        }
    }
}

/// Merges the leaves' answers and evaluates the rest.
pub(crate) fn finish(
    plan: &Plan,
    answers: Vec<Vec<LeafValue>>,
    root: &dyn SeriesSource,
    budget: &Budget,
) -> Result<Outcome, EvalError> {
    if answers.len() != plan.fragments.len() {
        return Err(EvalError::Execution(format!(
            "{} fragments were asked, {} are answered",
            plan.fragments.len(),
            answers.len()
        )));
    }
    let Root {
        expr,
        grid,
        lookback_ms,
        merges,
    } = &plan.root;
    let mut remote = Vec::with_capacity(answers.len());
    let mut samples = Vec::new();
    for ((answers, fragment), merging) in answers.into_iter().zip(&plan.fragments).zip(merges) {
        budget.check()?;
        let merged = match merging {
            Merging::Series => merge_series(answers, fragment.grid)?,
            Merging::States(op) => finished(merge_states(*op, answers, fragment.grid)?),
            Merging::Samples => {
                samples = merge_samples(answers)?;
                Vec::new()
            }
        };
        budget.check_series(merged.len().max(samples.len()))?;
        remote.push(merged);
    }
    let raw = matches!(expr.as_ref(), Expr::Matrix(..));
    if raw && !plan.needs_up {
        return Ok(Outcome {
            value: Value::Samples(samples),
            annotations: Vec::new(),
        });
    }
    let mut outcome = Context::new(root, budget, *lookback_ms, *grid, remote).answer(expr)?;
    if let (true, Value::Samples(own)) = (raw, &mut outcome.value) {
        own.append(&mut samples);
        own.sort_by(|a, b| a.labels.cmp(&b.labels));
    }
    Ok(outcome)
}

fn unexpected(value: &LeafValue) -> EvalError {
    let kind = match value {
        LeafValue::Steps(_) => "steps",
        LeafValue::Partials(_) => "partial aggregations",
        LeafValue::Samples(_) => "samples",
        LeafValue::None => "nothing",
    };
    EvalError::Execution(format!("a leaf answered {kind} where something else was asked"))
}

fn twice(labels: &Labels) -> EvalError {
    EvalError::Execution(format!(
        "the series {labels} comes from two leaves; give each leaf an instance of its own, or list it once"
    ))
}

fn merge_series(answers: Vec<LeafValue>, grid: Grid) -> Result<Vec<StepSeries>, EvalError> {
    let mut merged: Vec<StepSeries> = Vec::new();
    for answer in answers {
        match answer {
            LeafValue::Steps(series) => merged.extend(series),
            LeafValue::None => {}
            other => return Err(unexpected(&other)),
        }
    }
    if let Some(odd) = merged.iter().find(|series| series.values.len() != grid.len()) {
        return Err(EvalError::Execution(format!(
            "a leaf answered {} steps for {}, {} were asked",
            odd.values.len(),
            odd.labels,
            grid.len()
        )));
    }
    merged.sort_by(|a, b| a.labels.cmp(&b.labels));
    for pair in merged.windows(2) {
        if let [one, two] = pair
            && one.labels == two.labels
        {
            return Err(twice(&one.labels));
        }
    }
    Ok(merged)
}

fn merge_samples(answers: Vec<LeafValue>) -> Result<Vec<SeriesData>, EvalError> {
    let mut merged: Vec<SeriesData> = Vec::new();
    for answer in answers {
        match answer {
            LeafValue::Samples(series) => merged.extend(series),
            LeafValue::None => {}
            other => return Err(unexpected(&other)),
        }
    }
    let mut seen = FxHashSet::default();
    if let Some(series) = merged.iter().find(|series| !seen.insert(&series.labels)) {
        return Err(twice(&series.labels));
    }
    merged.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(merged)
}

fn merge_states(
    op: AggregateOp,
    answers: Vec<LeafValue>,
    grid: Grid,
) -> Result<FxHashMap<Labels, State>, EvalError> {
    let mut groups: FxHashMap<Labels, State> = FxHashMap::default();
    for answer in answers {
        let partials = match answer {
            LeafValue::Partials(partials) => partials,
            LeafValue::None => continue,
            other => return Err(unexpected(&other)),
        };
        for PartialSeries { labels, columns } in partials {
            let merged = match groups.get_mut(&labels) {
                Some(state) => state.merge(&columns),
                None => {
                    let Some(mut state) = State::new(op, grid.len()) else {
                        return Err(EvalError::NotSupported(format!("merging {}", op.as_str())));
                    };
                    let merged = state.merge(&columns);
                    groups.insert(labels, state);
                    merged
                }
            };
            merged.map_err(EvalError::Execution)?;
        }
    }
    Ok(groups)
}

fn finished(groups: FxHashMap<Labels, State>) -> Vec<StepSeries> {
    let mut series: Vec<StepSeries> = groups
        .into_iter()
        .map(|(labels, state)| StepSeries {
            labels,
            values: state.finish(),
        })
        .filter(|series| has_value(&series.values))
        .collect();
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    series
}

/// Answers one fragment on a leaf.
pub(crate) fn evaluate_leaf(
    query: &LeafQuery,
    source: &dyn SeriesSource,
    budget: &Budget,
) -> Result<(LeafValue, Vec<Annotation>), EvalError> {
    if query.shape == Shape::Coverage {
        return Ok((LeafValue::None, Vec::new()));
    }
    let expr = lower::parse(&query.expr)?;
    let context = Context::new(source, budget, query.lookback_ms, query.grid, Vec::new());
    if query.shape == Shape::Partials {
        let aggregate = mergeable(&expr)?;
        let partials = partials(&context, aggregate, query.grid)?;
        budget.check_series(partials.len())?;
        return Ok((LeafValue::Partials(partials), context.take_notes()));
    }
    let outcome = context.answer(&expr)?;
    let value = match (query.shape, outcome.value) {
        (Shape::Steps, Value::Vector(series)) => LeafValue::Steps(series),
        (Shape::Samples, Value::Samples(series)) => LeafValue::Samples(series),
        _ => {
            return Err(EvalError::Execution(format!(
                "the fragment {:?} does not have the shape it is asked in",
                query.expr
            )));
        }
    };
    Ok((value, outcome.annotations))
}

fn mergeable(expr: &Expr) -> Result<&Aggregate, EvalError> {
    match expr {
        Expr::Aggregate(aggregate)
            if is_mergeable(aggregate.op) || aggregate.op == AggregateOp::CountValues =>
        {
            Ok(aggregate)
        }
        other => Err(EvalError::Execution(format!(
            "not a mergeable aggregation: {other}"
        ))),
    }
}

/// See [`crate::merge_leaf_values`].
pub(crate) fn merge_leaf_values(
    expr: &str,
    shape: Shape,
    answers: Vec<LeafValue>,
) -> Result<LeafValue, EvalError> {
    let steps = answers.iter().find_map(|answer| match answer {
        LeafValue::Steps(series) => series.first().map(|series| series.values.len()),
        LeafValue::Partials(partials) => partials
            .first()
            .and_then(|partial| partial.columns.first())
            .map(|(_, column)| column.len()),
        LeafValue::Samples(_) | LeafValue::None => None,
    });
    // Only the number of steps matters here.
    let grid = match steps {
        Some(steps) if steps > 0 => Grid {
            start_ms: 0,
            end_ms: steps as i64 - 1,
            step_ms: 1,
        },
        _ => Grid {
            start_ms: 0,
            end_ms: -1,
            step_ms: 1,
        },
    };
    Ok(match shape {
        Shape::Coverage => LeafValue::None,
        Shape::Steps => LeafValue::Steps(merge_series(answers, grid)?),
        Shape::Samples => LeafValue::Samples(merge_samples(answers)?),
        Shape::Partials => {
            let expr = lower::parse(expr)?;
            let states = merge_states(mergeable(&expr)?.op, answers, grid)?;
            let mut partials: Vec<PartialSeries> = states
                .into_iter()
                .map(|(labels, state)| PartialSeries {
                    labels,
                    columns: state.into_columns(),
                })
                .collect();
            partials.sort_by(|a, b| a.labels.cmp(&b.labels));
            LeafValue::Partials(partials)
        }
    })
}
