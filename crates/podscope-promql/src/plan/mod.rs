//! What runs on the leaves and what at the root.
//!
//! Every series of a leaf carries the leaf's own `instance`. An expression is *leaf-closed* when no step of it puts series of
//! two leaves together: each leaf can then evaluate it alone, and the answer is the union of theirs. Maximal leaf-closed parts
//! become fragments; an aggregation over one becomes a fragment whose mergeable state the root puts together; everything above
//! is evaluated at the root over the fragments' answers.

mod merge;
mod place;

use std::sync::Arc;

use podscope_model::labels::NAME;
use podscope_model::leaf::Shape;
use podscope_model::matcher::Matcher;
use podscope_model::sample::Grid;

pub(crate) use self::merge::{evaluate_leaf, finish, merge_leaf_values};
use self::place::{Place, UP, aggregate_place, binary_place, is_only_up, may_match_up, place};
use crate::ast::{Aggregate, AggregateOp, At, Binary, Expr, Grouping, Selector};
use crate::eval::{absent_labels, check_grid, subquery_grid};
use crate::function::Func;
use crate::partial::is_mergeable;
use crate::{EvalError, Fragment, Options, Plan, ValueType};

/// What the root does.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    expr: Arc<Expr>,
    grid: Grid,
    lookback_ms: i64,
    merges: Vec<Merging>,
}

impl Root {
    pub(crate) fn expr(&self) -> &Expr {
        &self.expr
    }
}

/// How the answers to a fragment are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Merging {
    Series,
    States(AggregateOp),
    Samples,
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
