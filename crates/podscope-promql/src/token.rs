//! The text as tokens, as far as bounds and places need them: nothing is interpreted.

use crate::ParseError;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Word,
    /// A number or a duration.
    Number,
    Text,
    Open(u8),
    Close(u8),
    Operator,
    Comma,
    Colon,
    /// `@`
    At,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    pub(crate) position: usize,
}

/// An error with its place.
pub(crate) fn error(message: impl Into<String>, position: usize) -> ParseError {
    let message = message.into();
    ParseError {
        message: format!("{message} (at byte {position})"),
        position: Some(position),
    }
}

/// Splits the text.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token<'_>>, ParseError> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    let mut braces = 0_usize;
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        let kind = match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            b'#' => {
                while bytes.get(at).is_some_and(|&byte| byte != b'\n') {
                    at += 1;
                }
                continue;
            }
            b'"' | b'\'' | b'`' => {
                at = end_of_string(bytes, at).ok_or_else(|| error("unterminated string", start))?;
                Kind::Text
            }
            b'(' | b'[' | b'{' => {
                braces += usize::from(byte == b'{');
                at += 1;
                Kind::Open(byte)
            }
            b')' | b']' | b'}' => {
                braces = braces.saturating_sub(usize::from(byte == b'}'));
                at += 1;
                Kind::Close(byte)
            }
            b',' => {
                at += 1;
                Kind::Comma
            }
            b'@' => {
                at += 1;
                Kind::At
            }
            b':' if bytes.get(at + 1).is_none_or(|next| !is_word(*next)) || after_bracket(&found) => {
                at += 1;
                Kind::Colon
            }
            b'0'..=b'9' => {
                at = end_of_number(bytes, at);
                Kind::Number
            }
            b'.' if bytes.get(at + 1).is_some_and(u8::is_ascii_digit) => {
                at = end_of_number(bytes, at);
                Kind::Number
            }
            _ if is_word(byte) || byte == b':' => {
                while bytes
                    .get(at)
                    .is_some_and(|&byte| is_word(byte) || byte == b':' || byte >= 0x80)
                {
                    at += 1;
                }
                Kind::Word
            }
            b'+' | b'-' | b'*' | b'/' | b'%' | b'^' | b'=' | b'!' | b'<' | b'>' | b'~' => {
                at += 1;
                let pair = matches!(
                    (byte, bytes.get(at)),
                    (b'=' | b'!' | b'<' | b'>', Some(b'=')) | (b'=' | b'!', Some(b'~'))
                );
                at += usize::from(pair);
                Kind::Operator
            }
            _ if braces > 0 && byte >= 0x80 => {
                at += 1;
                while !text.is_char_boundary(at) {
                    at += 1;
                }
                Kind::Word
            }
            _ => {
                let character = text.get(at..).and_then(|rest| rest.chars().next()).unwrap_or('?');
                return Err(error(format!("unexpected character {character:?}"), at));
            }
        };
        found.push(Token {
            kind,
            text: text.get(start..at).unwrap_or_default(),
            position: start,
        });
    }
    Ok(found)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether the tokens so far end in `[` and something that can be a duration: a colon then starts the resolution.
fn after_bracket(found: &[Token<'_>]) -> bool {
    found
        .iter()
        .rev()
        .find_map(|token| match token.kind {
            Kind::Open(b'[') => Some(true),
            Kind::Open(_) | Kind::Close(_) => Some(false),
            _ => None,
        })
        .unwrap_or(false)
}

fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let quote = bytes.get(start)?;
    let mut at = start + 1;
    loop {
        let byte = bytes.get(at)?;
        match byte {
            b'\\' if *quote != b'`' => at += 2,
            b'\n' if *quote != b'`' => return None,
            _ if byte == quote => return Some(at + 1),
            _ => at += 1,
        }
    }
}

fn end_of_number(bytes: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(&byte) = bytes.get(at) {
        let sign_of_exponent = matches!(byte, b'+' | b'-')
            && matches!(bytes.get(at.wrapping_sub(1)), Some(b'e' | b'E'))
            && !matches!(bytes.get(start + 1), Some(b'x' | b'X'));
        if !(is_word(byte) || byte == b'.' || sign_of_exponent) {
            break;
        }
        at += 1;
    }
    at
}
