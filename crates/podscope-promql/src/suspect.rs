//! The first place of an expression that looks wrong. The parser says only that it is no PromQL; whoever writes an
//! expression wants to know where, and what was to be there.

use crate::token::{Kind, Token};

/// What is wrong, and at which byte.
type Found = Option<(String, usize)>;

/// The first place where two operands or two operators meet, or where a matcher or a list of labels is not one.
pub(crate) fn suspect(tokens: &[Token<'_>], end: usize) -> Found {
    let mut wants_operand = true;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let unexpected = || Some((format!("unexpected {:?}", token.text), token.position));
        at += 1;
        match token.kind {
            Kind::Word if is_connective(token.text) => {
                let list = tokens.get(at..).unwrap_or_default();
                match list.first() {
                    Some(next) if next.kind == Kind::Open(b'(') && may_take_list(token.text) => {
                        match labels(&list[1..]) {
                            Ok(length) => at += 1 + length,
                            Err(found) => return Some(found),
                        }
                    }
                    Some(next) if takes_list(token.text) => {
                        let what = format!("\"(\" and the names of labels after {:?}", token.text);
                        return Some(wanted(&what, next));
                    }
                    _ => {}
                }
                // What is grouped may stand before the list or after it, in brackets of its own.
                wants_operand = !is_grouping(token.text);
            }
            Kind::Word | Kind::Number | Kind::Text => {
                if !wants_operand {
                    return unexpected();
                }
                wants_operand = false;
            }
            Kind::Open(b'{') => {
                match matchers(tokens.get(at..).unwrap_or_default()) {
                    Ok(length) => at += length,
                    Err(found) => return Some(found),
                }
                wants_operand = false;
            }
            Kind::Open(_) => wants_operand = true,
            Kind::Close(_) => {
                let empty = matches!(
                    tokens.get(at.wrapping_sub(2)).map(|before| before.kind),
                    Some(Kind::Open(_))
                );
                if wants_operand && !empty && token.kind == Kind::Close(b')') {
                    return unexpected();
                }
                wants_operand = false;
            }
            Kind::Operator => {
                if wants_operand && !matches!(token.text, "+" | "-") {
                    return unexpected();
                }
                wants_operand = true;
            }
            Kind::Comma => {
                if wants_operand {
                    return unexpected();
                }
                wants_operand = true;
            }
            Kind::Colon | Kind::At => wants_operand = true,
        }
    }
    wants_operand.then(|| ("unexpected end of the expression".to_owned(), end))
}

/// Reads `name op "value", ...}`; answers how many tokens that were, the closing brace included.
fn matchers(tokens: &[Token<'_>]) -> Result<usize, (String, usize)> {
    let mut at = 0;
    let mut wants_name = true;
    // The text is known to close every brace.
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.kind {
            Kind::Close(b'}') => return Ok(at),
            Kind::Comma if !wants_name => wants_name = true,
            Kind::Word | Kind::Text if wants_name => {
                wants_name = false;
                let Some(operator) = tokens.get(at) else { break };
                // A text alone is the name of the metric.
                if token.kind == Kind::Text && matches!(operator.kind, Kind::Comma | Kind::Close(_)) {
                    continue;
                }
                if !matches!(operator.text, "=" | "!=" | "=~" | "!~") {
                    let what = format!("\"=\", \"!=\", \"=~\" or \"!~\" after the label {:?}", token.text);
                    return Err(wanted(&what, operator));
                }
                let Some(value) = tokens.get(at + 1) else { break };
                if value.kind != Kind::Text {
                    return Err(wanted("a value in quotes", value));
                }
                at += 2;
            }
            _ if wants_name => return Err(wanted("the name of a label", token)),
            _ => return Err(wanted("\",\" or \"}\"", token)),
        }
    }
    Ok(at)
}

fn wanted(what: &str, found: &Token<'_>) -> (String, usize) {
    (
        format!("unexpected {:?}, expected {what}", found.text),
        found.position,
    )
}

/// Reads `a, b)`, names of labels; answers how many tokens that were.
fn labels(tokens: &[Token<'_>]) -> Result<usize, (String, usize)> {
    let mut wants_name = true;
    for (at, token) in tokens.iter().enumerate() {
        match token.kind {
            Kind::Close(b')') => return Ok(at + 1),
            Kind::Word | Kind::Text if wants_name => wants_name = false,
            Kind::Comma if !wants_name => wants_name = true,
            _ if wants_name => return Err(wanted("the name of a label", token)),
            _ => return Err(wanted("\",\" or \")\"", token)),
        }
    }
    Ok(tokens.len())
}

pub(crate) fn is_operator_word(word: &str) -> bool {
    ["and", "or", "unless", "atan2", "offset"]
        .iter()
        .any(|name| word.eq_ignore_ascii_case(name))
}

fn is_grouping(word: &str) -> bool {
    ["by", "without"]
        .iter()
        .any(|name| word.eq_ignore_ascii_case(name))
}

/// Words that are always followed by a list of labels.
fn takes_list(word: &str) -> bool {
    is_grouping(word)
        || ["on", "ignoring"]
            .iter()
            .any(|name| word.eq_ignore_ascii_case(name))
}

fn may_take_list(word: &str) -> bool {
    takes_list(word)
        || ["group_left", "group_right"]
            .iter()
            .any(|name| word.eq_ignore_ascii_case(name))
}

/// Words after which an operand or a list follows.
pub(crate) fn is_connective(word: &str) -> bool {
    is_operator_word(word) || may_take_list(word) || word.eq_ignore_ascii_case("bool")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::tokens;

    fn of(text: &str) -> Found {
        suspect(&tokens(text).expect(text), text.len())
    }

    #[test]
    fn the_place_where_operands_or_operators_meet_is_named() {
        for (text, position) in [
            ("a b", 2),
            ("a + * b", 4),
            ("sum(a,)", 6),
            ("a +", 3),
            ("1 ++ / 2", 5),
        ] {
            assert_eq!(of(text).expect(text).1, position, "{text}");
        }
    }

    #[test]
    fn a_matcher_that_is_none_says_what_was_to_be_there() {
        let cases = [
            ("up{job=}", "unexpected \"}\", expected a value in quotes", 7),
            (
                "up{job=node}",
                "unexpected \"node\", expected a value in quotes",
                7,
            ),
            (
                "up{job}",
                "unexpected \"}\", expected \"=\", \"!=\", \"=~\" or \"!~\" after the label \"job\"",
                6,
            ),
            ("up{=\"a\"}", "unexpected \"=\", expected the name of a label", 3),
            (
                "up{a=\"b\" c=\"d\"}",
                "unexpected \"c\", expected \",\" or \"}\"",
                9,
            ),
            ("up{a==\"b\"}", "unexpected \"==\", expected \"=\"", 4),
            (
                "sum by job (up)",
                "unexpected \"job\", expected \"(\" and the names of labels after \"by\"",
                7,
            ),
            (
                "sum by (a b) (up)",
                "unexpected \"b\", expected \",\" or \")\"",
                10,
            ),
            (
                "sum by (a, 1) (up)",
                "unexpected \"1\", expected the name of a label",
                11,
            ),
        ];
        for (text, message, position) in cases {
            let (found, at) = of(text).expect(text);
            assert!(found.starts_with(message), "{text}: {found}");
            assert_eq!(at, position, "{text}");
        }
    }

    #[test]
    fn what_is_well_formed_is_not_suspected() {
        for text in [
            r#"{"http.requests", job="a", "dotted.label"!~"b|c",}"#,
            r#"up{} + on () group_left up{a=`b`}"#,
            r#"sum without () (up) and ignoring (a, b) up"#,
            r#"a * on (x) group_left (y, "z.z") sum(b) by (x,)"#,
            "x offset -5m @ end()",
        ] {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
