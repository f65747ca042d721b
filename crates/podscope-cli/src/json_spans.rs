//! JSON with the place of every value in its text, so that single values can be replaced and the rest kept byte for byte.

use std::ops::Range;

/// Deeper nesting than this is refused rather than followed.
const MAX_DEPTH: usize = 256;

/// A value and where it stands.
#[derive(Debug)]
pub(crate) enum Node {
    Object(Range<usize>, Vec<(String, Node)>),
    Array(Range<usize>, Vec<Node>),
    /// A string, number, boolean or null.
    Other(Range<usize>),
}

/// Where the text stops being JSON.
#[derive(Debug, thiserror::Error)]
#[error("line {line}, column {column}: expected {expected}")]
pub(crate) struct Syntax {
    line: usize,
    column: usize,
    expected: &'static str,
}

impl Node {
    pub(crate) fn span(&self) -> Range<usize> {
        match self {
            Self::Object(span, _) | Self::Array(span, _) | Self::Other(span) => span.clone(),
        }
    }

    /// The value of a key, when this is an object that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Self::Object(_, entries) => entries.iter().find(|(name, _)| name == key).map(|(_, node)| node),
            _ => None,
        }
    }

    /// The text of a string value.
    pub(crate) fn string(&self, text: &str) -> Option<String> {
        match self {
            Self::Other(span) => serde_json::from_str(text.get(span.clone())?).ok(),
            _ => None,
        }
    }
}

/// Reads a whole JSON text.
pub(crate) fn parse(text: &str) -> Result<Node, Syntax> {
    let mut reader = Reader {
        bytes: text.as_bytes(),
        at: 0,
    };
    let node = reader.value(text, 0)?;
    reader.space();
    if reader.at < text.len() {
        return Err(reader.expected("the end of the file"));
    }
    Ok(node)
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn expected(&self, expected: &'static str) -> Syntax {
        let before = &self.bytes[..self.at.min(self.bytes.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        Syntax {
            line,
            column,
            expected,
        }
    }

    fn space(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    fn peek(&mut self) -> Option<u8> {
        self.space();
        self.bytes.get(self.at).copied()
    }

    fn take(&mut self, wanted: u8, expected: &'static str) -> Result<(), Syntax> {
        if self.peek() != Some(wanted) {
            return Err(self.expected(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, text: &str, depth: usize) -> Result<Node, Syntax> {
        if depth > MAX_DEPTH {
            return Err(self.expected("less nesting (256 levels at most)"));
        }
        match self.peek() {
            Some(b'{') => self.object(text, depth),
            Some(b'[') => self.array(text, depth),
            Some(b'"') => self.string().map(Node::Other),
            Some(_) => self.word(text),
            None => Err(self.expected("a value")),
        }
    }

    fn object(&mut self, text: &str, depth: usize) -> Result<Node, Syntax> {
        let start = self.at;
        self.at += 1;
        let mut entries = Vec::new();
        while self.peek() != Some(b'}') {
            if !entries.is_empty() {
                self.take(b',', "`,` or `}`")?;
            }
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key in quotes"));
            }
            let span = self.string()?;
            let key = text.get(span).and_then(|raw| serde_json::from_str(raw).ok());
            let key = key.ok_or_else(|| self.expected("a valid string"))?;
            self.take(b':', "`:`")?;
            entries.push((key, self.value(text, depth + 1)?));
        }
        self.at += 1;
        Ok(Node::Object(start..self.at, entries))
    }

    fn array(&mut self, text: &str, depth: usize) -> Result<Node, Syntax> {
        let start = self.at;
        self.at += 1;
        let mut items = Vec::new();
        while self.peek() != Some(b']') {
            if !items.is_empty() {
                self.take(b',', "`,` or `]`")?;
            }
            items.push(self.value(text, depth + 1)?);
        }
        self.at += 1;
        Ok(Node::Array(start..self.at, items))
    }

    fn string(&mut self) -> Result<Range<usize>, Syntax> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.bytes.get(self.at) {
                Some(b'\\') => self.at += 2,
                Some(b'"') => break,
                Some(_) => self.at += 1,
                None => return Err(self.expected("a closing quote")),
            }
        }
        self.at += 1;
        Ok(start..self.at)
    }

    fn word(&mut self, text: &str) -> Result<Node, Syntax> {
        let start = self.at;
        while self
            .bytes
            .get(self.at)
            .is_some_and(|byte| !b",]} \t\r\n".contains(byte))
        {
            self.at += 1;
        }
        let span = start..self.at;
        let valid = text
            .get(span.clone())
            .is_some_and(|raw| serde_json::from_str::<serde_json::Value>(raw).is_ok());
        if valid {
            return Ok(Node::Other(span));
        }
        self.at = start;
        Err(self.expected("a value"))
    }
}
