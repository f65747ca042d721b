//! Where an expression can be evaluated: anywhere, on each leaf alone, or at the root.

use podscope_model::labels::NAME;
use podscope_model::matcher::{MatchOp, Matcher};

use crate::ValueType;
use crate::ast::{Aggregate, Binary, Expr, Matching};
use crate::function::Func;

/// The label that tells leaves apart.
const INSTANCE: &str = "instance";
/// The metric the root makes from the leaves' covered times, and the `job` it carries.
pub(super) const UP: &str = "up";
const UP_JOB: &str = "node";

/// Where an expression can be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Anywhere: it reads no series.
    Anywhere,
    /// On each leaf alone.
    Leaf,
    Root,
}

pub(super) fn place(expr: &Expr) -> Place {
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
pub(super) fn aggregate_place(aggregate: &Aggregate) -> Place {
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

pub(super) fn binary_place(binary: &Binary, left: Place, right: Place) -> Place {
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
pub(super) fn may_match_up(matchers: &[Matcher]) -> bool {
    matchers.iter().all(|matcher| match matcher.name() {
        NAME => matcher.matches(UP),
        "job" => matcher.matches(UP_JOB),
        _ => true,
    })
}

/// Whether nothing but the `up` that the root makes can be among the series.
pub(super) fn is_only_up(matchers: &[Matcher]) -> bool {
    let fixed = |name: &str, value: &str| {
        matchers.iter().any(|matcher| {
            matcher.name() == name && matcher.op() == MatchOp::Equal && matcher.value() == value
        })
    };
    fixed(NAME, UP) && fixed("job", UP_JOB)
}
