//! An expression as text that parses to the same expression again: what a fragment is sent as.

use std::fmt::{self, Display, Formatter, Write};

use podscope_model::labels::write_quoted;
use podscope_model::matcher::Matcher;

use crate::ast::{Aggregate, At, Binary, BinaryOp, Cardinality, Expr, Grouping, Selector};

impl Display for Expr {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) => number(out, *value),
            Self::String(text) => write_quoted(out, text),
            Self::Selector(selector) => {
                matchers(out, &selector.matchers)?;
                modifiers(out, selector.at, selector.offset_ms)
            }
            Self::Matrix(
                Selector {
                    matchers: list,
                    offset_ms,
                    at,
                },
                range_ms,
            ) => {
                matchers(out, list)?;
                write!(out, "[{}]", Span(*range_ms))?;
                modifiers(out, *at, *offset_ms)
            }
            Self::Subquery(subquery) => {
                operand(
                    out,
                    &subquery.expr,
                    !matches!(subquery.expr, Self::Call(..) | Self::Aggregate(_)),
                )?;
                write!(out, "[{}:", Span(subquery.range_ms))?;
                if let Some(step) = subquery.step_ms {
                    write!(out, "{}", Span(step))?;
                }
                out.write_str("]")?;
                modifiers(out, subquery.at, subquery.offset_ms)
            }
            Self::Negate(inner) => {
                out.write_str("-")?;
                operand(out, inner, matches!(**inner, Self::Binary(_) | Self::Number(_)))
            }
            Self::Binary(binary) => binary.fmt(out),
            Self::Aggregate(aggregate) => aggregate.fmt(out),
            Self::Call(func, args) => {
                write!(out, "{}(", func.name())?;
                for (at, arg) in args.iter().enumerate() {
                    if at > 0 {
                        out.write_str(", ")?;
                    }
                    arg.fmt(out)?;
                }
                out.write_str(")")
            }
            // Only for messages: never part of a fragment.
            Self::AbsentOf(labels, inner) => write!(out, "absent{labels}({inner})"),
            Self::Remote(at) => write!(out, "#{}", at + 1),
            Self::Union(left, right) => write!(out, "({left} with {right})"),
        }
    }
}

fn operand(out: &mut Formatter<'_>, expr: &Expr, brackets: bool) -> fmt::Result {
    if brackets {
        write!(out, "({expr})")
    } else {
        expr.fmt(out)
    }
}

fn number(out: &mut Formatter<'_>, value: f64) -> fmt::Result {
    if value.is_nan() {
        out.write_str("NaN")
    } else if value.is_infinite() {
        out.write_str(if value > 0.0 { "Inf" } else { "-Inf" })
    } else {
        write!(out, "{value:?}")
    }
}

/// A duration in milliseconds as PromQL writes it.
struct Span(i64);

impl Display for Span {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let (days, rest) = (self.0 / 86_400_000, self.0 % 86_400_000);
        let (seconds, ms) = (rest / 1_000, rest % 1_000);
        for (value, unit) in [(days, "d"), (seconds, "s"), (ms, "ms")] {
            if value > 0 {
                write!(out, "{value}{unit}")?;
            }
        }
        if self.0 == 0 { out.write_str("0s") } else { Ok(()) }
    }
}

fn modifiers(out: &mut Formatter<'_>, at: At, offset_ms: i64) -> fmt::Result {
    match at {
        At::Step => {}
        At::Start => out.write_str(" @ start()")?,
        At::End => out.write_str(" @ end()")?,
        At::Time(ms) => {
            let sign = if ms < 0 { "-" } else { "" };
            let ms = ms.unsigned_abs();
            write!(out, " @ {sign}{}.{:03}", ms / 1_000, ms % 1_000)?;
        }
    }
    if offset_ms != 0 {
        let sign = if offset_ms < 0 { "-" } else { "" };
        write!(out, " offset {sign}{}", Span(offset_ms.abs()))?;
    }
    Ok(())
}

fn matchers(out: &mut Formatter<'_>, list: &[Matcher]) -> fmt::Result {
    out.write_str("{")?;
    for (at, matcher) in list.iter().enumerate() {
        if at > 0 {
            out.write_str(",")?;
        }
        label_name(out, matcher.name())?;
        out.write_str(matcher.op().as_str())?;
        write_quoted(out, matcher.value())?;
    }
    out.write_str("}")
}

fn label_name(out: &mut Formatter<'_>, name: &str) -> fmt::Result {
    const KEYWORDS: [&str; 14] = [
        "bool",
        "by",
        "group_left",
        "group_right",
        "ignoring",
        "offset",
        "on",
        "without",
        "and",
        "or",
        "unless",
        "atan2",
        "start",
        "end",
    ];
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && name.starts_with(|c: char| !c.is_ascii_digit())
        && !KEYWORDS.contains(&name.to_ascii_lowercase().as_str());
    if plain {
        out.write_str(name)
    } else {
        write_quoted(out, name)
    }
}

fn label_list(out: &mut Formatter<'_>, labels: &[String]) -> fmt::Result {
    out.write_char('(')?;
    for (at, label) in labels.iter().enumerate() {
        if at > 0 {
            out.write_str(", ")?;
        }
        label_name(out, label)?;
    }
    out.write_char(')')
}

fn precedence(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => 1,
        BinaryOp::And | BinaryOp::Unless => 2,
        _ if op.is_comparison() => 3,
        BinaryOp::Add | BinaryOp::Sub => 4,
        BinaryOp::Pow => 6,
        _ => 5,
    }
}

impl Display for Binary {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        // The left spine in a loop: a chain of a thousand operators is a tree a thousand deep.
        let mut spine = vec![self];
        let mut leftmost = &self.lhs;
        while let Expr::Binary(next) = leftmost {
            let last = spine.last().map_or(0, |last| precedence(last.op));
            if precedence(next.op) < last || next.op == BinaryOp::Pow {
                break;
            }
            spine.push(next);
            leftmost = &next.lhs;
        }
        operand(out, leftmost, needs_brackets(leftmost))?;
        for binary in spine.into_iter().rev() {
            binary.write_operator(out)?;
            let chain = binary.op == BinaryOp::Pow
                && matches!(&binary.rhs, Expr::Binary(next) if next.op == BinaryOp::Pow);
            operand(out, &binary.rhs, !chain && needs_brackets(&binary.rhs))?;
        }
        Ok(())
    }
}

fn needs_brackets(expr: &Expr) -> bool {
    match expr {
        Expr::Binary(_) | Expr::Negate(_) => true,
        Expr::Number(value) => value.is_sign_negative() && !value.is_nan(),
        _ => false,
    }
}

impl Binary {
    fn write_operator(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, " {} ", self.op.as_str())?;
        if self.return_bool {
            out.write_str("bool ")?;
        }
        let matching = &self.matching;
        let grouped = matching.cardinality != Cardinality::OneToOne;
        if matching.on || !matching.labels.is_empty() || grouped {
            out.write_str(if matching.on { "on " } else { "ignoring " })?;
            label_list(out, &matching.labels)?;
            out.write_char(' ')?;
        }
        if grouped {
            let left = matching.cardinality == Cardinality::ManyToOne;
            out.write_str(if left { "group_left " } else { "group_right " })?;
            label_list(out, &matching.include)?;
            out.write_char(' ')?;
        }
        Ok(())
    }
}

impl Display for Aggregate {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(self.op.as_str())?;
        match &self.grouping {
            Grouping::By(labels) if labels.is_empty() => {}
            Grouping::By(labels) => {
                out.write_str(" by ")?;
                label_list(out, labels)?;
                out.write_char(' ')?;
            }
            Grouping::Without(labels) => {
                out.write_str(" without ")?;
                label_list(out, labels)?;
                out.write_char(' ')?;
            }
        }
        out.write_char('(')?;
        if let Some(param) = &self.param {
            write!(out, "{param}, ")?;
        }
        write!(out, "{})", self.expr)
    }
}

#[cfg(test)]
mod tests {
    use crate::lower::parse;

    #[test]
    fn printed_text_parses_to_what_was_printed() {
        let texts = [
            "1 + 2 * 3 - 4 / 5 % 6 ^ 7 ^ 8",
            "(1 + 2) * 3 ^ (4 ^ 5)",
            "(2 ^ 3) ^ 4",
            "-(a + b) ^ -c",
            "(-1) ^ 2",
            "-a * b - -c",
            "a - (b - c) - d",
            "a > bool 3 == bool 1e-9",
            r#"sum by (on, "we ird") (x{a="q\"\n",b!~"c|d"} @ -12.345 offset -1d2h3s4ms)"#,
            "topk without (a) (3, x) / on (a) group_left (b, c) y",
            "a / ignoring () group_right b",
            "a and on () b or ignoring (c) d unless e",
            "max_over_time((a + b)[1h:30s] @ end() offset 5m) + rate(x[90061001ms:])",
            r#"label_join(x, "a", ",", "b", "c") + quantile_over_time(0.5, y[5m])"#,
            "NaN + Inf - -Inf + count_values(\"v\", x) atan2 time()",
        ];
        for text in texts {
            let first = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let printed = first.to_string();
            let second = parse(&printed).unwrap_or_else(|error| panic!("{text} -> {printed}: {error}"));
            assert_eq!(format!("{first:?}"), format!("{second:?}"), "{text} -> {printed}");
        }
    }
}
