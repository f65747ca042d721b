//! Grafana's time macros, replaced here and only here (rule 9 of the design), after any widening of the step: alerts
//! have no frontend.

use super::duration;

/// What the macros stand for, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub step_ms: i64,
    pub rate_ms: i64,
    pub range_ms: i64,
}

/// `$__rate_interval`: wide enough that a rate has samples at every step: four collection intervals, and at least the
/// step and one more interval (Grafana's own rule, with the metrics' true interval in place of a setting).
pub fn rate_interval(step_ms: i64, collection_ms: i64) -> i64 {
    (step_ms + collection_ms).max(4 * collection_ms)
}

/// The macros that may stand in the `interval` field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    Step,
    Rate,
}

/// Which interval macro a text is, in any of its spellings.
pub fn interval_macro(text: &str) -> Option<Interval> {
    let text = text.trim();
    let name = match text.strip_prefix("${") {
        Some(braced) => braced.strip_suffix('}')?,
        None => text.strip_prefix('$')?,
    };
    match name {
        "__interval" | "__interval_ms" => Some(Interval::Step),
        "__rate_interval" | "__rate_interval_ms" => Some(Interval::Rate),
        _ => None,
    }
}

/// Whether an expression uses `$__rate_interval`.
pub fn uses_rate_interval(expr: &str) -> bool {
    expr.contains("__rate_interval")
}

/// Replaces `$__interval`, `$__rate_interval` and `$__range`, their `_ms` and `_s` forms, with or without braces. What is
/// no macro stays as it is.
pub fn expand(expr: &str, times: Times) -> String {
    let mut out = String::with_capacity(expr.len());
    let mut rest = expr;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let (braced, body) = match after.strip_prefix('{') {
            Some(body) => (true, body),
            None => (false, after),
        };
        let end = body
            .find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
            .unwrap_or(body.len());
        let (name, tail) = body.split_at_checked(end).unwrap_or((body, ""));
        let tail = if braced {
            tail.strip_prefix('}')
        } else {
            Some(tail)
        };
        match (value(name, times), tail) {
            (Some(value), Some(tail)) => {
                out.push_str(&value);
                rest = tail;
            }
            _ => {
                out.push('$');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn value(name: &str, times: Times) -> Option<String> {
    let (name, ms) = match name {
        name if name.starts_with("__interval") => (name.strip_prefix("__interval")?, times.step_ms),
        name if name.starts_with("__rate_interval") => (name.strip_prefix("__rate_interval")?, times.rate_ms),
        name if name.starts_with("__range") => (name.strip_prefix("__range")?, times.range_ms),
        _ => return None,
    };
    let seconds = (ms as f64 / 1000.0).round() as i64;
    match name {
        // A dashboard's range is written in whole seconds, as Grafana does.
        "" if ms == times.range_ms && ms >= 1000 => Some(duration::promql(seconds * 1000)),
        "" => Some(duration::promql(ms)),
        "_ms" => Some(ms.to_string()),
        "_s" => Some(seconds.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times {
        step_ms: 15_000,
        rate_ms: 60_000,
        range_ms: 3_600_400,
    };

    #[test]
    fn replaces_every_form() {
        let cases = [
            ("rate(a[$__rate_interval])", "rate(a[1m])"),
            ("rate(a[${__rate_interval}])", "rate(a[1m])"),
            (
                "sum_over_time(a[$__range:$__interval])",
                "sum_over_time(a[1h:15s])",
            ),
            ("a * $__interval_ms / $__range_ms", "a * 15000 / 3600400"),
            ("a / ${__range_s} + $__rate_interval_s", "a / 3600 + 60"),
            ("$__interval", "15s"),
        ];
        for (text, expected) in cases {
            assert_eq!(expand(text, TIMES), expected, "{text}");
        }
    }

    #[test]
    fn leaves_alone_what_is_no_macro() {
        for text in [
            r#"a{b=~"x$"}"#,
            "$host",
            "${__interval",
            "$__intervals",
            "$",
            r#"a{b="é$"}"#,
            "$__dashboard",
        ] {
            assert_eq!(expand(text, TIMES), text);
        }
    }

    #[test]
    fn a_rate_interval_holds_four_samples_and_more_than_a_step() {
        assert_eq!(rate_interval(1_000, 15_000), 60_000);
        assert_eq!(rate_interval(300_000, 15_000), 315_000);
        assert_eq!(rate_interval(1_000, 1_000), 4_000);
    }
}
