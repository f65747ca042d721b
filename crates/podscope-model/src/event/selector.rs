//! Which events are meant: `{kind="change", severity=~"warning|critical"} |= "prefetch" !~ "dry.run"`.
//!
//! The braces hold PromQL's label matchers; `kind`, `severity` and `source` are the event's own fields. Line filters look
//! at title and text: `|=` holds it, `!=` does not, `|~` matches the regular expression somewhere, `!~` does not. All must
//! agree. No braces: every event.

use std::fmt;

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::Event;
use crate::labels::{Labels, write_quoted};
use crate::matcher::{MatchOp, Matcher};

/// Bytes a selector may have.
const MAX_BYTES: usize = 64 << 10;
/// Matchers and line filters it may have, together.
const MAX_PARTS: usize = 100;

/// How a line filter looks at an event's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LineOp {
    #[serde(rename = "|=")]
    Contains,
    #[serde(rename = "!=")]
    Lacks,
    #[serde(rename = "|~")]
    Matches,
    #[serde(rename = "!~")]
    Differs,
}

impl LineOp {
    const ALL: [Self; 4] = [Self::Contains, Self::Lacks, Self::Matches, Self::Differs];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contains => "|=",
            Self::Lacks => "!=",
            Self::Matches => "|~",
            Self::Differs => "!~",
        }
    }
}

/// One line filter.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "RawLine", into = "RawLine")]
pub struct LineFilter {
    op: LineOp,
    text: String,
    regex: Option<Regex>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLine {
    op: LineOp,
    text: String,
}

impl TryFrom<RawLine> for LineFilter {
    type Error = BadSelector;

    fn try_from(raw: RawLine) -> Result<Self, BadSelector> {
        Self::new(raw.op, raw.text)
    }
}

impl From<LineFilter> for RawLine {
    fn from(filter: LineFilter) -> Self {
        Self {
            op: filter.op,
            text: filter.text,
        }
    }
}

impl PartialEq for LineFilter {
    fn eq(&self, other: &Self) -> bool {
        self.op == other.op && self.text == other.text
    }
}

impl LineFilter {
    /// # Errors
    /// A regular expression that does not compile or compiles to more than 1 MiB.
    pub fn new(op: LineOp, text: impl Into<String>) -> Result<Self, BadSelector> {
        let text = text.into();
        let regex = match op {
            LineOp::Contains | LineOp::Lacks => None,
            LineOp::Matches | LineOp::Differs => {
                let regex = regex::RegexBuilder::new(&text).size_limit(1 << 20).build();
                Some(regex.map_err(|error| BadSelector {
                    position: 0,
                    reason: format!("invalid regular expression {text:?}: {error}"),
                })?)
            }
        };
        Ok(Self { op, text, regex })
    }

    /// Whether the event's words pass.
    pub fn passes(&self, event: &Event) -> bool {
        let found = |words: &str| match &self.regex {
            Some(regex) => regex.is_match(words),
            None => words.contains(&self.text),
        };
        let found = found(&event.title) || found(&event.text);
        match self.op {
            LineOp::Contains | LineOp::Matches => found,
            LineOp::Lacks | LineOp::Differs => !found,
        }
    }
}

/// A text that is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("event selector, character {}: {reason}", position + 1)]
pub struct BadSelector {
    /// Byte offset of what was not understood.
    pub position: usize,
    pub reason: String,
}

/// A parsed selector. The default accepts everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventFilter {
    pub matchers: Vec<Matcher>,
    pub lines: Vec<LineFilter>,
}

impl EventFilter {
    /// Reads a selector.
    ///
    /// # Errors
    /// What was not understood, and where.
    pub fn parse(text: &str) -> Result<Self, BadSelector> {
        if text.len() > MAX_BYTES {
            return Err(BadSelector {
                position: 0,
                reason: format!("{} bytes are more than {MAX_BYTES}", text.len()),
            });
        }
        Parser { text, at: 0 }.filter()
    }

    /// Whether an event of a node with these labels is meant.
    pub fn accepts(&self, event: &Event, node: &Labels) -> bool {
        self.matchers
            .iter()
            .all(|matcher| matcher.matches(event.value_of(matcher.name(), node)))
            && self.lines.iter().all(|line| line.passes(event))
    }
}

impl fmt::Display for EventFilter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("{")?;
        for (at, matcher) in self.matchers.iter().enumerate() {
            write!(out, "{}{matcher}", if at == 0 { "" } else { "," })?;
        }
        out.write_str("}")?;
        for line in &self.lines {
            write!(out, " {} ", line.op.as_str())?;
            write_quoted(out, &line.text)?;
        }
        Ok(())
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn filter(mut self) -> Result<EventFilter, BadSelector> {
        let mut filter = EventFilter::default();
        if self.eat("{") {
            self.matchers(&mut filter.matchers)?;
        }
        loop {
            self.skip_space();
            if self.rest().is_empty() {
                return Ok(filter);
            }
            let Some(op) = LineOp::ALL.into_iter().find(|op| self.eat(op.as_str())) else {
                let expected = "a line filter (|=, !=, |~, !~) is expected";
                return Err(
                    match filter.matchers.is_empty() && filter.lines.is_empty() && self.at == 0 {
                        true => self.bad("label matchers in braces, such as {kind=\"change\"}, are expected"),
                        false => self.bad(expected),
                    },
                );
            };
            self.skip_space();
            let start = self.at;
            let words = self.quoted()?;
            let line = LineFilter::new(op, words).map_err(|error| BadSelector {
                position: start,
                ..error
            })?;
            filter.lines.push(line);
            if filter.matchers.len() + filter.lines.len() > MAX_PARTS {
                return Err(self.bad(format!("more than {MAX_PARTS} conditions")));
            }
        }
    }

    fn matchers(&mut self, matchers: &mut Vec<Matcher>) -> Result<(), BadSelector> {
        loop {
            if self.eat("}") {
                return Ok(());
            }
            self.skip_space();
            let start = self.at;
            let name = match self.rest().chars().next() {
                Some('"' | '\'' | '`') => self.quoted()?,
                _ => self.word().to_owned(),
            };
            if name.is_empty() {
                return Err(self.bad("a label name or } is expected"));
            }
            // The two-character operators first: `=~` begins with `=`.
            let ops = [
                MatchOp::Regex,
                MatchOp::NotRegex,
                MatchOp::NotEqual,
                MatchOp::Equal,
            ];
            let Some(op) = ops.into_iter().find(|op| self.eat(op.as_str())) else {
                return Err(self.bad(format!("=, !=, =~ or !~ is expected after label {name}")));
            };
            self.skip_space();
            let value = self.quoted()?;
            matchers.push(Matcher::new(name, op, value).map_err(|error| BadSelector {
                position: start,
                reason: format!("{error}: {}", error.source),
            })?);
            if matchers.len() > MAX_PARTS {
                return Err(self.bad(format!("more than {MAX_PARTS} conditions")));
            }
            if !self.eat(",") && !self.rest().trim_start().starts_with('}') {
                return Err(self.bad(", or } is expected"));
            }
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, wanted: &str) -> bool {
        let trimmed = self.rest().trim_start();
        let found = trimmed.starts_with(wanted);
        if found {
            self.at = self.text.len() - trimmed.len() + wanted.len();
        }
        found
    }

    fn word(&mut self) -> &'a str {
        let rest = self.rest();
        let end = rest
            .find(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'))
            .unwrap_or(rest.len());
        let (word, _) = rest.split_at(end);
        self.at += end;
        word
    }

    /// A string as PromQL writes it: double or single quotes with escapes, backticks without.
    fn quoted(&mut self) -> Result<String, BadSelector> {
        let start = self.at;
        let mut letters = self.rest().char_indices();
        let Some((_, quote @ ('"' | '\'' | '`'))) = letters.next() else {
            return Err(self.bad("a text in quotes is expected"));
        };
        let mut text = String::new();
        while let Some((at, letter)) = letters.next() {
            match letter {
                _ if letter == quote => {
                    self.at = start + at + 1;
                    return Ok(text);
                }
                '\\' if quote != '`' => match letters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, 'r')) => text.push('\r'),
                    Some((_, same @ ('\\' | '"' | '\'' | '`'))) => text.push(same),
                    Some((_, other)) => {
                        self.at = start + at;
                        return Err(self.bad(format!("\\{other} is no escape; write \\\\ for a backslash")));
                    }
                    None => break,
                },
                _ => text.push(letter),
            }
        }
        Err(self.bad("the quote is not closed"))
    }

    fn bad(&self, reason: impl Into<String>) -> BadSelector {
        BadSelector {
            position: self.at,
            reason: reason.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{EventKind, Severity};

    fn accepts(selector: &str) -> bool {
        let event = Event::new(EventKind::Change, "vms", "prefetch: off -> aggressive", 0)
            .severity(Severity::Warning)
            .text("by ops\nticket 4711")
            .label("cluster", "vast-1");
        let node = Labels::from_pairs([("instance", "hub-1"), ("cluster", "never seen")]);
        EventFilter::parse(selector)
            .expect(selector)
            .accepts(&event, &node)
    }

    #[test]
    fn fields_labels_and_words_are_all_asked() {
        for selector in [
            "",
            "{}",
            r#"{kind="change", severity=~"warning|critical",}"#,
            r#"{source="vms"} |= "prefetch""#,
            r#"{cluster="vast-1", instance="hub-1"}"#,
            r#"{nothing=""} |~ "ticket \\d+" != "rollback" !~ "^dry""#,
            "|= `off -> aggressive`",
        ] {
            assert!(accepts(selector), "{selector}");
        }
        for selector in [
            r#"{kind="incident"}"#,
            r#"{cluster="never seen"}"#,
            r#"{kind="change"} |= "rollback""#,
            r#"!= "ticket""#,
            r#"!~ "(?i)PREFETCH""#,
        ] {
            assert!(!accepts(selector), "{selector}");
        }
    }

    #[test]
    fn what_is_no_selector_is_named_with_its_place() {
        let cases = [
            (
                "kind",
                "event selector, character 1: label matchers in braces, such as {kind=\"change\"}, are expected",
            ),
            (
                "{kind}",
                "event selector, character 6: =, !=, =~ or !~ is expected after label kind",
            ),
            (
                "{kind=change}",
                "event selector, character 7: a text in quotes is expected",
            ),
            (
                "{kind=\"a\" x",
                "event selector, character 10: , or } is expected",
            ),
            (
                "{kind=\"a",
                "event selector, character 7: the quote is not closed",
            ),
            (
                "{} prefetch",
                "event selector, character 4: a line filter (|=, !=, |~, !~) is expected",
            ),
            (
                "{} |= \"\\q\"",
                "event selector, character 8: \\q is no escape; write \\\\ for a backslash",
            ),
        ];
        for (text, message) in cases {
            assert_eq!(EventFilter::parse(text).expect_err(text).to_string(), message);
        }
        let error = EventFilter::parse("{} |~ \"(\"")
            .expect_err("unbalanced")
            .to_string();
        assert!(
            error.starts_with("event selector, character 7: invalid regular expression \"(\""),
            "{error}"
        );
        assert!(EventFilter::parse(&"|= \"x\" ".repeat(101)).is_err());
    }

    #[test]
    fn a_selector_survives_being_written_and_being_sent() {
        let filter = EventFilter::parse(r#"{kind!="log",a=~"x.*"} |= "q\"\n" !~ `\d`"#).expect("valid");
        assert_eq!(
            EventFilter::parse(&filter.to_string()).expect("own output"),
            filter
        );
        let json = serde_json::to_string(&filter).expect("JSON");
        assert_eq!(
            serde_json::from_str::<EventFilter>(&json).expect("own output"),
            filter
        );
    }
}
