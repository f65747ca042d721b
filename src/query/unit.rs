//! The unit of an expression's values, where the catalog makes it certain. Grafana lets a data source's unit win over the
//! panel's default, so a guess would be worse than nothing: anything that changes the quantity ends it.

use podscope_model::catalog::{self, Kind, Unit};
use promql_parser::parser::token::{self, TokenType};
use promql_parser::parser::{Expr, parse};

/// Grafana's id of the unit, or `None`.
pub fn of(expr: &str) -> Option<&'static str> {
    let unit = of_expr(&parse(expr).ok()?)?;
    match unit {
        // Plain numbers need none; a state as "Yes" on an axis, or seconds since 1970 where Grafana wants milliseconds,
        // would be wrong.
        Unit::None | Unit::Code | Unit::Bool | Unit::Timestamp => None,
        unit => Some(unit.grafana()),
    }
}

fn of_expr(expr: &Expr) -> Option<Unit> {
    match expr {
        Expr::VectorSelector(selector) => of_metric(selector.name.as_deref()?),
        Expr::MatrixSelector(matrix) => of_metric(matrix.vs.name.as_deref()?),
        Expr::Paren(inner) => of_expr(&inner.expr),
        Expr::Unary(inner) => of_expr(&inner.expr),
        Expr::Subquery(inner) => of_expr(&inner.expr),
        Expr::Aggregate(aggregate) => match aggregate.op.to_string().as_str() {
            "sum" | "avg" | "min" | "max" | "topk" | "bottomk" | "quantile" | "stddev" | "limitk" => {
                of_expr(&aggregate.expr)
            }
            _ => None,
        },
        Expr::Call(call) => {
            let argument = |at: usize| call.args.args.get(at).and_then(|argument| of_expr(argument));
            match call.func.name {
                "avg_over_time" | "min_over_time" | "max_over_time" | "last_over_time"
                | "stddev_over_time" | "first_over_time" | "increase" | "delta" | "idelta" | "abs"
                | "ceil" | "floor" | "round" | "clamp" | "clamp_min" | "clamp_max" | "sort" | "sort_desc"
                | "label_replace" | "label_join" => argument(0),
                "quantile_over_time" => argument(1),
                "rate" | "irate" | "deriv" => match argument(0)? {
                    Unit::Bytes => Some(Unit::BytesPerSecond),
                    // Seconds per second, such as busy CPU time.
                    Unit::Seconds if call.func.name != "deriv" => Some(Unit::Ratio),
                    _ => None,
                },
                _ => None,
            }
        }
        Expr::Binary(binary) => {
            let (left, right) = (of_expr(&binary.lhs), of_expr(&binary.rhs));
            let operator: TokenType = binary.op;
            let id = operator.id();
            let same = || left.filter(|_| left == right);
            let filters = operator.is_comparison_operator() && !binary.return_bool();
            if [token::T_ADD, token::T_SUB, token::T_LOR].contains(&id) {
                same()
            } else if filters || [token::T_LAND, token::T_LUNLESS].contains(&id) {
                left
            } else {
                None
            }
        }
        _ => None,
    }
}

fn of_metric(name: &str) -> Option<Unit> {
    let def = catalog::find(name)?;
    // A bucket or count of a histogram is a number of events, whatever the histogram measures.
    (def.kind != Kind::Histogram || name.ends_with("_sum")).then_some(def.unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_keeps_the_quantity_keeps_the_unit() {
        let cases = [
            ("DCGM_FI_DEV_GPU_UTIL", Some("percent")),
            (
                r#"topk(5, avg by (Hostname) (max_over_time(DCGM_FI_DEV_GPU_UTIL{gpu="0"}[5m])))"#,
                Some("percent"),
            ),
            ("DCGM_FI_DEV_GPU_UTIL > 90", Some("percent")),
            (
                "quantile_over_time(0.9, DCGM_FI_DEV_GPU_UTIL[5m])",
                Some("percent"),
            ),
            ("DCGM_FI_DEV_GPU_UTIL > bool 90", None),
            ("DCGM_FI_DEV_GPU_UTIL / 100", None),
            ("count(DCGM_FI_DEV_GPU_UTIL)", None),
            ("rate(DCGM_FI_DEV_GPU_UTIL[5m])", None),
            ("node_load1", None),
            ("up", None),
            ("somebody_elses_metric", None),
            ("a(", None),
        ];
        for (expr, unit) in cases {
            assert_eq!(of(expr), unit, "{expr}");
        }
    }
}
