//! The four PromQL label matchers. Regular expressions are anchored at both ends, as in Prometheus.

use std::fmt;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::labels::{Labels, NAME, write_quoted};

/// How a matcher compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MatchOp {
    #[serde(rename = "=")]
    Equal,
    #[serde(rename = "!=")]
    NotEqual,
    #[serde(rename = "=~")]
    Regex,
    #[serde(rename = "!~")]
    NotRegex,
}

impl MatchOp {
    /// The operator as PromQL writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::Regex => "=~",
            Self::NotRegex => "!~",
        }
    }
}

/// A regular expression that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("label {label}: invalid regular expression {pattern:?}")]
pub struct BadRegex {
    pub label: String,
    pub pattern: String,
    #[source]
    pub source: Box<regex::Error>,
}

/// One label matcher. An absent label compares as the empty string.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "RawMatcher", into = "RawMatcher")]
pub struct Matcher {
    name: String,
    op: MatchOp,
    value: String,
    regex: Option<Regex>,
}

/// The matcher as JSON carries it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMatcher {
    name: String,
    op: MatchOp,
    value: String,
}

impl TryFrom<RawMatcher> for Matcher {
    type Error = BadRegex;

    fn try_from(raw: RawMatcher) -> Result<Self, BadRegex> {
        Self::new(raw.name, raw.op, raw.value)
    }
}

impl From<Matcher> for RawMatcher {
    fn from(matcher: Matcher) -> Self {
        Self {
            name: matcher.name,
            op: matcher.op,
            value: matcher.value,
        }
    }
}

impl Matcher {
    /// Compiles a matcher.
    ///
    /// # Errors
    /// When the operator is a regular expression that does not compile or compiles to more than 1 MiB.
    pub fn new(name: impl Into<String>, op: MatchOp, value: impl Into<String>) -> Result<Self, BadRegex> {
        let (name, value) = (name.into(), value.into());
        let regex = match op {
            MatchOp::Equal | MatchOp::NotEqual => None,
            MatchOp::Regex | MatchOp::NotRegex => Some(
                // `s`: a dot matches a newline too, as in Prometheus since 3.0.
                regex::RegexBuilder::new(&format!("^(?s:{value})$"))
                    .size_limit(1 << 20)
                    .build()
                    .map_err(|source| BadRegex {
                        label: name.clone(),
                        pattern: value.clone(),
                        source: Box::new(source),
                    })?,
            ),
        };
        Ok(Self {
            name,
            op,
            value,
            regex,
        })
    }

    /// `name="value"`; cannot fail.
    pub fn equal(name: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            op: MatchOp::Equal,
            value: value.into(),
            regex: None,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn op(&self) -> MatchOp {
        self.op
    }

    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a label with this value matches; pass `""` for an absent label.
    pub fn matches(&self, value: &str) -> bool {
        match self.op {
            MatchOp::Equal => value == self.value,
            MatchOp::NotEqual => value != self.value,
            MatchOp::Regex => self.regex.as_ref().is_some_and(|regex| regex.is_match(value)),
            MatchOp::NotRegex => self.regex.as_ref().is_some_and(|regex| !regex.is_match(value)),
        }
    }

    /// Whether the label set matches.
    pub fn matches_labels(&self, labels: &Labels) -> bool {
        self.matches(labels.get(&self.name).unwrap_or(""))
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.op == other.op && self.value == other.value
    }
}

impl Eq for Matcher {}

impl fmt::Display for Matcher {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.name, self.op.as_str())?;
        write_quoted(out, &self.value)
    }
}

/// Whether every matcher accepts the label set.
pub fn all_match(matchers: &[Matcher], labels: &Labels) -> bool {
    matchers.iter().all(|matcher| matcher.matches_labels(labels))
}

/// The metric name the matchers fix with `=`, when they do.
pub fn fixed_name(matchers: &[Matcher]) -> Option<&str> {
    matchers
        .iter()
        .find(|matcher| matcher.name == NAME && matcher.op == MatchOp::Equal)
        .map(Matcher::value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regex_is_anchored_and_its_alternatives_too() {
        let matcher = Matcher::new("mode", MatchOp::Regex, "idle|user").expect("valid");
        assert!(matcher.matches("idle") && matcher.matches("user"));
        assert!(!matcher.matches("idle2") && !matcher.matches("xuser"));
    }

    #[test]
    fn an_absent_label_is_the_empty_string() {
        let labels = Labels::from_pairs([("a", "1")]);
        assert!(Matcher::equal("b", "").matches_labels(&labels));
        assert!(
            Matcher::new("b", MatchOp::NotEqual, "x")
                .expect("valid")
                .matches_labels(&labels)
        );
        assert!(
            !Matcher::new("b", MatchOp::Regex, ".+")
                .expect("valid")
                .matches_labels(&labels)
        );
    }

    #[test]
    fn a_bad_regex_names_its_label_and_pattern() {
        let error = Matcher::new("job", MatchOp::Regex, "a(").expect_err("unbalanced");
        assert_eq!(error.to_string(), r#"label job: invalid regular expression "a(""#);
    }
}
