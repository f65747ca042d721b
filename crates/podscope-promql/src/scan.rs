//! A look at the text before the parser sees it: bounds on length, nesting and operators (the parser's stack grows with
//! both), numbers the parser cannot hold, and the place of the usual mistakes, which the parser does not tell.

use crate::ParseError;
use crate::suspect::{is_connective, is_operator_word, suspect};
use crate::token::{Kind, Token, error, tokens};

const MAX_BYTES: usize = 64 * 1024;
const MAX_NESTING: usize = 128;
const MAX_OPERATORS: usize = 1_000;
/// Longest duration, in seconds: what fits in nanoseconds of an `i64`, as in Prometheus.
const MAX_SECONDS: f64 = 9_223_372_036.0;

/// What the scan noted for the sake of better messages.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// Syntax that Prometheus knows behind a feature flag, or others know, with its place.
    pub(crate) unsupported: Option<(String, usize)>,
    /// The first place that looks wrong, with what is wrong there.
    pub(crate) suspect: Option<(String, usize)>,
    /// Places of unary plus signs before something that is not a number; the parser drops them unchecked.
    pub(crate) unary_plus: Vec<usize>,
}

/// Scans the text.
///
/// # Errors
/// A bound passed, an unclosed string or bracket, a number out of range.
pub(crate) fn scan(text: &str) -> Result<Scan, ParseError> {
    if text.len() > MAX_BYTES {
        return Err(error(
            format!(
                "the expression has {} bytes, at most {MAX_BYTES} are accepted",
                text.len()
            ),
            MAX_BYTES,
        ));
    }
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Err(ParseError {
            message: "no expression found".to_owned(),
            position: Some(0),
        });
    }
    check_bounds(&tokens)?;
    check_durations(&tokens)?;
    Ok(Scan {
        unsupported: unsupported(&tokens),
        suspect: suspect(&tokens, text.len()),
        unary_plus: unary_plus(&tokens),
    })
}

fn check_bounds(tokens: &[Token<'_>]) -> Result<(), ParseError> {
    let mut open: Vec<Token<'_>> = Vec::new();
    let mut operators = 0;
    for token in tokens {
        match token.kind {
            Kind::Open(_) => {
                open.push(*token);
                if open.len() > MAX_NESTING {
                    return Err(error(
                        format!("more than {MAX_NESTING} nested brackets"),
                        token.position,
                    ));
                }
            }
            Kind::Close(byte) => {
                let matching = match byte {
                    b')' => b'(',
                    b']' => b'[',
                    _ => b'{',
                };
                match open.pop() {
                    Some(last) if last.kind == Kind::Open(matching) => {}
                    Some(last) => {
                        return Err(error(
                            format!(
                                "{:?} closes {:?} opened at byte {}",
                                token.text, last.text, last.position
                            ),
                            token.position,
                        ));
                    }
                    None => {
                        return Err(error(format!("{:?} closes nothing", token.text), token.position));
                    }
                }
            }
            Kind::Operator if open.last().is_none_or(|last| last.kind != Kind::Open(b'{')) => {
                operators += 1;
            }
            Kind::Word if is_operator_word(token.text) => operators += 1,
            // Each may be one node of the tree, too: `x offset 1s offset 1s ...`, `x[1s:][1s:]...`.
            Kind::At | Kind::Colon => operators += 1,
            _ => {}
        }
        if operators > MAX_OPERATORS {
            return Err(error(
                format!("more than {MAX_OPERATORS} operators"),
                token.position,
            ));
        }
    }
    match open.last() {
        Some(token) => Err(error(format!("{:?} is never closed", token.text), token.position)),
        None => Ok(()),
    }
}

/// Durations the parser would read wrongly: it drops a part that does not fit in 32 bits and panics on a number of
/// seconds that does not fit in 64.
fn check_durations(tokens: &[Token<'_>]) -> Result<(), ParseError> {
    for (at, token) in tokens.iter().enumerate() {
        if token.kind != Kind::Number {
            continue;
        }
        let longest_digits = token
            .text
            .split(|character: char| !character.is_ascii_digit())
            .map(str::len)
            .max()
            .unwrap_or(0);
        let is_duration = token.text.ends_with(['s', 'm', 'h', 'd', 'w', 'y'])
            && !token.text.starts_with("0x")
            && !token.text.starts_with("0X");
        if is_duration && longest_digits > 9 {
            return Err(error(
                format!("duration {:?} out of range", token.text),
                token.position,
            ));
        }
        let before = tokens.get(..at).unwrap_or_default();
        let before = match before.last() {
            Some(last) if matches!(last.text, "+" | "-") => {
                before.get(..before.len() - 1).unwrap_or_default()
            }
            _ => before,
        };
        let is_span = before.last().is_some_and(|last| {
            matches!(last.kind, Kind::Open(b'[') | Kind::Colon) || last.text.eq_ignore_ascii_case("offset")
        });
        if is_span && !is_duration {
            let seconds = number(token.text).unwrap_or(f64::INFINITY);
            if !(0.0..=MAX_SECONDS).contains(&seconds) {
                return Err(error(
                    format!("duration {:?} out of range", token.text),
                    token.position,
                ));
            }
        }
    }
    Ok(())
}

fn number(text: &str) -> Option<f64> {
    let text = text.to_ascii_lowercase();
    match text.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok().map(|value| value as f64),
        None => text.parse().ok(),
    }
}

fn unsupported(tokens: &[Token<'_>]) -> Option<(String, usize)> {
    let mut depth_brackets = 0_usize;
    let mut depth_braces = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Open(b'[') => depth_brackets += 1,
            Kind::Close(b']') => depth_brackets = depth_brackets.saturating_sub(1),
            Kind::Open(b'{') => depth_braces += 1,
            Kind::Close(b'}') => depth_braces = depth_braces.saturating_sub(1),
            _ => {}
        }
        let next = tokens.get(at + 1);
        let follows =
            |text: &str| next.is_some_and(|next| next.text == text && next.position == token.position + 1);
        let name = match token.text {
            "<" | ">" if follows("/") => format!("the operator {:?}", format!("{}/", token.text)),
            "anchored" | "smoothed" if token.kind == Kind::Word && at > 0 => {
                format!("the modifier {:?}", token.text)
            }
            "fill" | "fill_left" | "fill_right" if next.is_some_and(|next| next.text == "(") => {
                format!("the modifier {:?}", token.text)
            }
            "or" if depth_braces > 0 => "\"or\" between matchers".to_owned(),
            _ if depth_brackets > 0 && matches!(token.kind, Kind::Operator | Kind::Word) => {
                "arithmetic on durations".to_owned()
            }
            _ => continue,
        };
        return Some((name, token.position));
    }
    None
}

fn unary_plus(tokens: &[Token<'_>]) -> Vec<usize> {
    let is_unary = |at: usize| match at.checked_sub(1).and_then(|before| tokens.get(before)) {
        None => true,
        Some(before) => {
            matches!(before.kind, Kind::Open(_) | Kind::Operator | Kind::Comma)
                || before.kind == Kind::Word && is_connective(before.text)
        }
    };
    tokens
        .iter()
        .enumerate()
        .filter(|&(at, token)| {
            token.text == "+"
                && is_unary(at)
                && tokens.get(at + 1).is_some_and(|next| next.kind != Kind::Number)
        })
        .map(|(_, token)| token.position)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_ordinary_expressions() {
        for text in [
            "up",
            r#"sum by (a) (rate(x{b=~"c|d", e!="f"}[5m] offset 1h @ start())) / 2"#,
            "max_over_time(rate(x[1m])[1h:30s])",
            "a:b:c + 1e-3 # comment with ( and \"",
            "max_over_time(x[1h:])",
        ] {
            let scan = scan(text).expect(text);
            assert_eq!(scan.suspect, None, "{text}");
            assert_eq!(scan.unsupported, None, "{text}");
        }
    }

    #[test]
    fn names_the_place_of_the_usual_mistakes() {
        let cases = [
            ("sum(x", "\"(\" is never closed (at byte 3)"),
            ("x)", "\")\" closes nothing (at byte 1)"),
            ("x[5m)", "\")\" closes \"[\" opened at byte 1 (at byte 4)"),
            ("x{a=\"b}", "unterminated string (at byte 4)"),
            ("x $ y", "unexpected character '$' (at byte 2)"),
            ("x[1e300]", "duration \"1e300\" out of range (at byte 2)"),
            (
                "x offset 99999999999s",
                "duration \"99999999999s\" out of range (at byte 9)",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(scan(text).expect_err(text).message, message, "{text}");
        }
    }

    #[test]
    fn refuses_what_would_exhaust_the_parser() {
        let deep = format!("{}x{}", "(".repeat(129), ")".repeat(129));
        assert!(
            scan(&deep)
                .expect_err("deep")
                .message
                .starts_with("more than 128 nested")
        );
        let long = vec!["x"; 1_002].join("+");
        assert!(
            scan(&long)
                .expect_err("long")
                .message
                .starts_with("more than 1000 operators")
        );
        let unary = format!("{}x", "-".repeat(1_001));
        assert!(scan(&unary).is_err());
        let big = "x".repeat(64 * 1024 + 1);
        assert!(scan(&big).is_err());
    }
}
