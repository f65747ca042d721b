//! From promql-parser's tree to ours, with the checks of Prometheus's own parser that promql-parser leaves out.

use std::time::{Duration, SystemTime};

use podscope_model::labels::NAME;
use podscope_model::matcher::{MatchOp, Matcher};
use promql_parser::label::{MatchOp as ParsedOp, Matcher as ParsedMatcher};
use promql_parser::parser as tree;

use crate::ast::{
    Aggregate, AggregateOp, At, Binary, BinaryOp, Cardinality, Expr, Grouping, Matching, Selector, Subquery,
};
use crate::function::{Func, Optional};
use crate::scan::{Scan, scan};
use crate::{ParseError, ValueType};

fn error(message: impl Into<String>) -> ParseError {
    ParseError {
        message: message.into(),
        position: None,
    }
}

fn unsupported(what: impl std::fmt::Display) -> ParseError {
    error(format!("{what} is not supported"))
}

/// Parses and checks.
pub(crate) fn parse(text: &str) -> Result<Expr, ParseError> {
    let scan = scan(text)?;
    let parsed = tree::parse(text).map_err(|message| explain(message, &scan))?;
    let expr = lower(&parsed)?;
    if !scan.unary_plus.is_empty() {
        // The parser accepts a plus before anything; a minus it checks.
        let mut bytes = text.as_bytes().to_vec();
        for &at in &scan.unary_plus {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = b'-';
            }
        }
        let with_minus = String::from_utf8(bytes).unwrap_or_default();
        let parsed = tree::parse(&with_minus).map_err(|message| explain(message, &scan))?;
        lower(&parsed)?;
    }
    Ok(expr)
}

/// The parser's message, or a better one.
fn explain(message: String, scan: &Scan) -> ParseError {
    if let Some((what, position)) = &scan.unsupported {
        return ParseError {
            message: format!("{what} is not supported (at byte {position})"),
            position: Some(*position),
        };
    }
    if message == "invalid promql query"
        && let Some((what, position)) = &scan.suspect
    {
        return ParseError {
            message: format!("{what} (at byte {position})"),
            position: Some(*position),
        };
    }
    if message == "invalid promql query" {
        return error(
            "this is no PromQL that Prometheus would read; look for a missing bracket, comma or operator",
        );
    }
    error(message)
}

fn lower(expr: &tree::Expr) -> Result<Expr, ParseError> {
    match expr {
        tree::Expr::NumberLiteral(literal) => Ok(Expr::Number(literal.val)),
        tree::Expr::StringLiteral(literal) => Ok(Expr::String(literal.val.clone())),
        tree::Expr::Paren(paren) => lower(&paren.expr),
        tree::Expr::VectorSelector(selector) => Ok(Expr::Selector(lower_selector(selector)?)),
        tree::Expr::MatrixSelector(matrix) => Ok(Expr::Matrix(
            lower_selector(&matrix.vs)?,
            positive(millis(matrix.range)?)?,
        )),
        tree::Expr::Subquery(subquery) => lower_subquery(subquery),
        tree::Expr::Unary(unary) => lower_unary(unary),
        tree::Expr::Binary(_) => lower_binary_chain(expr),
        tree::Expr::Aggregate(aggregate) => lower_aggregate(aggregate),
        tree::Expr::Call(call) => lower_call(call),
        tree::Expr::Extension(extension) => Err(unsupported(extension.expr.name())),
    }
}

fn lower_unary(unary: &tree::UnaryExpr) -> Result<Expr, ParseError> {
    // A chain of signs in a loop.
    let mut signs = 1;
    let mut inner = unary.expr.as_ref();
    while let tree::Expr::Unary(next) = inner {
        signs += 1;
        inner = &next.expr;
    }
    let mut expr = lower(inner)?;
    let found = expr.value_type();
    if !matches!(found, ValueType::Scalar | ValueType::Vector) {
        return Err(error(format!(
            "unary expression only allowed on expressions of type scalar or instant vector, got {found}"
        )));
    }
    for _ in 0..signs {
        expr = Expr::Negate(Box::new(expr));
    }
    Ok(expr)
}

/// A chain of binary operators: its left spine in a loop, so that a thousand operators need no deep stack.
fn lower_binary_chain(expr: &tree::Expr) -> Result<Expr, ParseError> {
    let mut spine = Vec::new();
    let mut at = expr;
    loop {
        match at {
            tree::Expr::Binary(binary) => {
                spine.push(binary);
                at = &binary.lhs;
            }
            tree::Expr::Paren(paren) if matches!(*paren.expr, tree::Expr::Binary(_)) => at = &paren.expr,
            _ => break,
        }
    }
    let mut lhs = lower(at)?;
    for binary in spine.into_iter().rev() {
        let rhs = lower(&binary.rhs)?;
        lhs = lower_binary(binary, lhs, rhs)?;
    }
    Ok(lhs)
}

fn lower_binary(binary: &tree::BinaryExpr, lhs: Expr, rhs: Expr) -> Result<Expr, ParseError> {
    let op = binary_op(&binary.op.to_string())
        .ok_or_else(|| unsupported(format_args!("the operator {:?}", binary.op.to_string())))?;
    let (left, right) = (lhs.value_type(), rhs.value_type());
    for side in [left, right] {
        if !matches!(side, ValueType::Scalar | ValueType::Vector) {
            return Err(error(format!(
                "binary expression must contain only scalar and instant vector types, got {side} beside {:?}",
                op.as_str()
            )));
        }
    }
    let return_bool = binary
        .modifier
        .as_ref()
        .is_some_and(|modifier| modifier.return_bool);
    if return_bool && !op.is_comparison() {
        return Err(error("bool modifier can only be used on comparison operators"));
    }
    let scalars = left == ValueType::Scalar && right == ValueType::Scalar;
    if op.is_comparison() && scalars && !return_bool {
        return Err(error("comparisons between scalars must use BOOL modifier"));
    }
    if op.is_set() && (left == ValueType::Scalar || right == ValueType::Scalar) {
        return Err(error(format!(
            "set operator {:?} not allowed in binary scalar expression",
            op.as_str()
        )));
    }
    let mut matching = match &binary.modifier {
        Some(modifier) => lower_matching(modifier)?,
        None => Matching::default(),
    };
    if let Some(label) = matching
        .labels
        .iter()
        .find(|label| matching.on && matching.include.contains(label))
    {
        return Err(error(format!(
            "label {label:?} must not occur in ON and GROUP clause at once"
        )));
    }
    if left != ValueType::Vector || right != ValueType::Vector {
        if !matching.labels.is_empty() {
            return Err(error("vector matching only allowed between instant vectors"));
        }
        matching = Matching::default();
    } else if op.is_set() && matching.cardinality != Cardinality::OneToOne {
        return Err(error(format!(
            "no grouping allowed for {:?} operation",
            op.as_str()
        )));
    }
    Ok(Expr::Binary(Box::new(Binary {
        op,
        lhs,
        rhs,
        return_bool,
        matching,
    })))
}

fn lower_matching(modifier: &tree::BinModifier) -> Result<Matching, ParseError> {
    if modifier.fill_values.lhs.is_some() || modifier.fill_values.rhs.is_some() {
        return Err(unsupported("the modifier \"fill\""));
    }
    let (on, labels) = match &modifier.matching {
        None => (false, Vec::new()),
        Some(tree::LabelModifier::Include(labels)) => (true, labels.labels.clone()),
        Some(tree::LabelModifier::Exclude(labels)) => (false, labels.labels.clone()),
    };
    let (cardinality, include) = match &modifier.card {
        tree::VectorMatchCardinality::ManyToOne(labels) => (Cardinality::ManyToOne, labels.labels.clone()),
        tree::VectorMatchCardinality::OneToMany(labels) => (Cardinality::OneToMany, labels.labels.clone()),
        tree::VectorMatchCardinality::OneToOne | tree::VectorMatchCardinality::ManyToMany => {
            (Cardinality::OneToOne, Vec::new())
        }
    };
    Ok(Matching {
        on,
        labels,
        cardinality,
        include,
    })
}

fn binary_op(text: &str) -> Option<BinaryOp> {
    use BinaryOp as Op;
    Some(match text {
        "+" => Op::Add,
        "-" => Op::Sub,
        "*" => Op::Mul,
        "/" => Op::Div,
        "%" => Op::Mod,
        "^" => Op::Pow,
        "atan2" => Op::Atan2,
        "==" => Op::Equal,
        "!=" => Op::NotEqual,
        ">" => Op::Greater,
        "<" => Op::Less,
        ">=" => Op::GreaterEqual,
        "<=" => Op::LessEqual,
        "and" => Op::And,
        "or" => Op::Or,
        "unless" => Op::Unless,
        _ => return None,
    })
}

fn aggregate_op(text: &str) -> Option<AggregateOp> {
    use AggregateOp as Op;
    Some(match text {
        "sum" => Op::Sum,
        "avg" => Op::Avg,
        "min" => Op::Min,
        "max" => Op::Max,
        "count" => Op::Count,
        "group" => Op::Group,
        "stddev" => Op::Stddev,
        "stdvar" => Op::Stdvar,
        "topk" => Op::Topk,
        "bottomk" => Op::Bottomk,
        "quantile" => Op::Quantile,
        "count_values" => Op::CountValues,
        _ => return None,
    })
}

fn lower_aggregate(aggregate: &tree::AggregateExpr) -> Result<Expr, ParseError> {
    let name = aggregate.op.to_string();
    let op =
        aggregate_op(&name).ok_or_else(|| unsupported(format_args!("the aggregation operator {name:?}")))?;
    let expr = lower(&aggregate.expr)?;
    expect(ValueType::Vector, &expr, "aggregation expression")?;
    let param = aggregate.param.as_deref().map(lower).transpose()?;
    let wanted = match op {
        AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Quantile => Some(ValueType::Scalar),
        AggregateOp::CountValues => Some(ValueType::String),
        _ => None,
    };
    match (wanted, &param) {
        (Some(wanted), Some(param)) => expect(wanted, param, "aggregation parameter")?,
        (Some(_), None) => return Err(error(format!("{name} needs a parameter"))),
        (None, Some(_)) => return Err(error(format!("{name} takes no parameter"))),
        (None, None) => {}
    }
    let sorted = |labels: &promql_parser::label::Labels| {
        let mut labels = labels.labels.clone();
        labels.sort();
        labels.dedup();
        labels
    };
    let grouping = match &aggregate.modifier {
        None => Grouping::By(Vec::new()),
        Some(tree::LabelModifier::Include(labels)) => Grouping::By(sorted(labels)),
        Some(tree::LabelModifier::Exclude(labels)) => Grouping::Without(sorted(labels)),
    };
    Ok(Expr::Aggregate(Box::new(Aggregate {
        op,
        param,
        expr,
        grouping,
    })))
}

fn lower_call(call: &tree::Call) -> Result<Expr, ParseError> {
    let name = call.func.name;
    let func = Func::from_name(name).ok_or_else(|| unsupported(format_args!("the function {name:?}")))?;
    let args = call
        .args
        .args
        .iter()
        .map(|arg| lower(arg))
        .collect::<Result<Vec<Expr>, ParseError>>()?;
    let signature = func.signature();
    let (most, least) = match signature.optional {
        Optional::None => (Some(signature.args.len()), signature.args.len()),
        Optional::Last => (Some(signature.args.len()), signature.args.len() - 1),
        Optional::Many => (None, signature.args.len() - 1),
    };
    if args.len() < least || most.is_some_and(|most| args.len() > most) {
        let wanted = match most {
            Some(most) if most == least => format!("{least}"),
            Some(most) => format!("{least} to {most}"),
            None => format!("at least {least}"),
        };
        return Err(error(format!(
            "expected {wanted} argument(s) in call to {name:?}, got {}",
            args.len()
        )));
    }
    for (at, arg) in args.iter().enumerate() {
        let wanted = signature.args.get(at).or(signature.args.last());
        if let Some(wanted) = wanted {
            expect(*wanted, arg, &format!("call to function {name:?}"))?;
        }
    }
    Ok(Expr::Call(func, args))
}

fn expect(wanted: ValueType, expr: &Expr, place: &str) -> Result<(), ParseError> {
    let found = expr.value_type();
    if found == wanted {
        return Ok(());
    }
    Err(error(format!("expected type {wanted} in {place}, got {found}")))
}

fn lower_subquery(subquery: &tree::SubqueryExpr) -> Result<Expr, ParseError> {
    let expr = lower(&subquery.expr)?;
    let found = expr.value_type();
    if found != ValueType::Vector {
        return Err(error(format!(
            "subquery is only allowed on instant vector, got {found} instead"
        )));
    }
    Ok(Expr::Subquery(Box::new(Subquery {
        expr,
        range_ms: positive(millis(subquery.range)?)?,
        step_ms: match subquery.step {
            Some(step) => Some(positive(millis(step)?)?),
            None => None,
        },
        offset_ms: offset(subquery.offset.as_ref())?,
        at: at(subquery.at.as_ref())?,
    })))
}

fn lower_selector(selector: &tree::VectorSelector) -> Result<Selector, ParseError> {
    if !selector.matchers.or_matchers.is_empty() {
        return Err(unsupported("\"or\" between matchers"));
    }
    let mut matchers = Vec::with_capacity(selector.matchers.matchers.len() + 1);
    if let Some(name) = &selector.name {
        if let Some(other) = selector
            .matchers
            .matchers
            .iter()
            .find(|matcher| matcher.name == NAME)
        {
            return Err(error(format!(
                "metric name must not be set twice: {name:?} or {:?}",
                other.value
            )));
        }
        matchers.push(Matcher::equal(NAME, name.as_str()));
    }
    for matcher in &selector.matchers.matchers {
        matchers.push(lower_matcher(matcher)?);
    }
    if matchers.iter().all(|matcher| matcher.matches("")) {
        return Err(error(
            "vector selector must contain at least one non-empty matcher",
        ));
    }
    Ok(Selector {
        matchers,
        offset_ms: offset(selector.offset.as_ref())?,
        at: at(selector.at.as_ref())?,
    })
}

fn lower_matcher(matcher: &ParsedMatcher) -> Result<Matcher, ParseError> {
    let op = match matcher.op {
        ParsedOp::Equal => MatchOp::Equal,
        ParsedOp::NotEqual => MatchOp::NotEqual,
        ParsedOp::Re(_) => MatchOp::Regex,
        ParsedOp::NotRe(_) => MatchOp::NotRegex,
    };
    Matcher::new(matcher.name.as_str(), op, matcher.value.as_str()).map_err(|bad| error(bad.to_string()))
}

fn millis(duration: Duration) -> Result<i64, ParseError> {
    i64::try_from(duration.as_millis())
        .ok()
        .filter(|ms| *ms < i64::MAX / 1_000_000)
        .ok_or_else(|| error("duration out of range"))
}

fn positive(ms: i64) -> Result<i64, ParseError> {
    if ms > 0 {
        Ok(ms)
    } else {
        Err(error("duration must be greater than 0"))
    }
}

fn offset(offset: Option<&tree::Offset>) -> Result<i64, ParseError> {
    match offset {
        None => Ok(0),
        Some(tree::Offset::Pos(duration)) => millis(*duration),
        Some(tree::Offset::Neg(duration)) => Ok(-millis(*duration)?),
    }
}

fn at(at: Option<&tree::AtModifier>) -> Result<At, ParseError> {
    Ok(match at {
        None => At::Step,
        Some(tree::AtModifier::Start) => At::Start,
        Some(tree::AtModifier::End) => At::End,
        Some(tree::AtModifier::At(time)) => {
            let ms = match time.duration_since(SystemTime::UNIX_EPOCH) {
                Ok(after) => i64::try_from(after.as_millis()).ok(),
                Err(before) => i64::try_from(before.duration().as_millis()).ok().map(|ms| -ms),
            };
            // Times are added and subtracted freely later on: a thousand million years are enough.
            let ms = ms.filter(|ms| ms.unsigned_abs() < 1 << 62);
            At::Time(ms.ok_or_else(|| error("timestamp out of bounds for @ modifier"))?)
        }
    })
}
