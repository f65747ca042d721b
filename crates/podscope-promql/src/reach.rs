//! How far back an expression looks: what decides which of two sources, one for the recent past and one for the rest, can
//! answer a step whole.

use podscope_model::sample::Grid;

use crate::Parsed;
use crate::ast::{At, Expr};

impl Parsed {
    /// The earliest instant whose samples the value at `t_ms` may depend on; `None` for an expression without selectors.
    pub fn reaches_back_to(&self, t_ms: i64, grid: Grid, lookback_ms: i64) -> Option<i64> {
        earliest(&self.expr, t_ms, grid, lookback_ms)
    }

    /// The latest instant whose samples the value at `t_ms` may depend on; `None` for an expression without selectors.
    pub fn reaches_up_to(&self, t_ms: i64, grid: Grid) -> Option<i64> {
        latest(&self.expr, t_ms, grid)
    }

    /// Whether a modifier says `@ start()` or `@ end()`: the same expression over part of the grid means something else.
    pub fn depends_on_the_whole_range(&self) -> bool {
        bounds(&self.expr)
    }
}

fn moved(at: At, offset_ms: i64, t_ms: i64, grid: Grid) -> i64 {
    let at = match at {
        At::Step => t_ms,
        At::Start => grid.start_ms,
        At::End => grid.end_ms,
        At::Time(time) => time,
    };
    at.saturating_sub(offset_ms)
}

fn earliest(expr: &Expr, t_ms: i64, grid: Grid, lookback_ms: i64) -> Option<i64> {
    let of = |expr: &Expr| earliest(expr, t_ms, grid, lookback_ms);
    match expr {
        Expr::Selector(selector) => {
            Some(moved(selector.at, selector.offset_ms, t_ms, grid).saturating_sub(lookback_ms))
        }
        Expr::Matrix(selector, range_ms) => {
            Some(moved(selector.at, selector.offset_ms, t_ms, grid).saturating_sub(*range_ms))
        }
        Expr::Subquery(subquery) => {
            let first = moved(subquery.at, subquery.offset_ms, t_ms, grid).saturating_sub(subquery.range_ms);
            earliest(&subquery.expr, first, grid, lookback_ms)
        }
        Expr::Negate(inner) | Expr::AbsentOf(_, inner) => of(inner),
        Expr::Binary(binary) => least(of(&binary.lhs), of(&binary.rhs)),
        Expr::Union(one, other) => least(of(one), of(other)),
        Expr::Aggregate(aggregate) => least(of(&aggregate.expr), aggregate.param.as_ref().and_then(of)),
        Expr::Call(_, arguments) => arguments.iter().filter_map(of).min(),
        Expr::Number(_) | Expr::String(_) | Expr::Remote(_) => None,
    }
}

fn latest(expr: &Expr, t_ms: i64, grid: Grid) -> Option<i64> {
    let of = |expr: &Expr| latest(expr, t_ms, grid);
    match expr {
        Expr::Selector(selector) | Expr::Matrix(selector, _) => {
            Some(moved(selector.at, selector.offset_ms, t_ms, grid))
        }
        Expr::Subquery(subquery) => latest(
            &subquery.expr,
            moved(subquery.at, subquery.offset_ms, t_ms, grid),
            grid,
        ),
        Expr::Negate(inner) | Expr::AbsentOf(_, inner) => of(inner),
        Expr::Binary(binary) => of(&binary.lhs).max(of(&binary.rhs)),
        Expr::Union(one, other) => of(one).max(of(other)),
        Expr::Aggregate(aggregate) => of(&aggregate.expr).max(aggregate.param.as_ref().and_then(of)),
        Expr::Call(_, arguments) => arguments.iter().filter_map(of).max(),
        Expr::Number(_) | Expr::String(_) | Expr::Remote(_) => None,
    }
}

fn least(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}

fn bounds(expr: &Expr) -> bool {
    let is_bound = |at: At| matches!(at, At::Start | At::End);
    match expr {
        Expr::Selector(selector) | Expr::Matrix(selector, _) => is_bound(selector.at),
        Expr::Subquery(subquery) => is_bound(subquery.at) || bounds(&subquery.expr),
        Expr::Negate(inner) | Expr::AbsentOf(_, inner) => bounds(inner),
        Expr::Binary(binary) => bounds(&binary.lhs) || bounds(&binary.rhs),
        Expr::Union(one, other) => bounds(one) || bounds(other),
        Expr::Aggregate(aggregate) => bounds(&aggregate.expr) || aggregate.param.as_ref().is_some_and(bounds),
        Expr::Call(_, arguments) => arguments.iter().any(bounds),
        Expr::Number(_) | Expr::String(_) | Expr::Remote(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_offsets_and_subqueries_add_up() {
        let grid = Grid {
            start_ms: 1_000_000,
            end_ms: 2_000_000,
            step_ms: 1000,
        };
        let cases = [
            ("1 + 1", None),
            ("up", Some(1_200_000)),
            ("up offset 1m", Some(1_140_000)),
            ("rate(a[10m])", Some(900_000)),
            ("rate(a[10m]) / b offset 1h", Some(-2_400_000)),
            ("max_over_time(rate(a[1m])[10m:1m])", Some(840_000)),
            ("sum(a @ 100) + b", Some(-200_000)),
            ("a @ start()", Some(700_000)),
            ("quantile(scalar(a offset 5m), b)", Some(900_000)),
        ];
        for (text, wanted) in cases {
            let parsed = crate::parse(text).expect(text);
            assert_eq!(parsed.reaches_back_to(1_500_000, grid, 300_000), wanted, "{text}");
            assert_eq!(
                parsed.depends_on_the_whole_range(),
                text.contains("start()"),
                "{text}"
            );
        }
    }
}
