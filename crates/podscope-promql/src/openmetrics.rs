//! Reads OpenMetrics or Prometheus text with timestamps into a [`MemorySource`].
//!
//! Samples of any age are taken, epoch 0 and before included. A timestamp is in seconds, with decimals (OpenMetrics); with
//! [`TimeUnit::Milliseconds`] it is read as the Prometheus text format has it. Exemplars, HELP, TYPE and UNIT are skipped; an
//! error names the line.

use podscope_model::labels::{Labels, NAME};

use crate::memory::MemorySource;

/// What a timestamp counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// As in OpenMetrics.
    Seconds,
    /// As in the Prometheus text format.
    Milliseconds,
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct TextError {
    /// Counted from 1.
    pub line: usize,
    pub reason: String,
}

/// Reads a whole text. A sample without a timestamp gets `default_time_ms`, or is an error without one.
///
/// # Errors
/// The first line that is not a sample, a comment or empty, or lies after `# EOF`.
pub fn read(text: &str, unit: TimeUnit, default_time_ms: Option<i64>) -> Result<MemorySource, TextError> {
    let mut samples = Vec::new();
    let mut ended = false;
    for (at, line) in text.lines().enumerate() {
        let fail = |reason: String| TextError { line: at + 1, reason };
        let line = line.trim();
        if line.is_empty() {
            continue;
        }
        if ended {
            return Err(fail("there is text after # EOF".to_owned()));
        }
        if line.starts_with('#') {
            ended = line == "# EOF";
            continue;
        }
        let (labels, value, time) = sample(line).map_err(fail)?;
        let time_ms = match time {
            Some(time) => millis(time, unit).map_err(fail)?,
            None => default_time_ms
                .ok_or_else(|| fail("the sample has no timestamp; add one in seconds".to_owned()))?,
        };
        samples.push((labels, time_ms, value));
    }
    Ok(MemorySource::from_samples(samples))
}

fn millis(text: &str, unit: TimeUnit) -> Result<i64, String> {
    let time: f64 = text
        .parse()
        .map_err(|_| format!("timestamp {text:?} is not a number"))?;
    let ms = match unit {
        TimeUnit::Seconds => (time * 1_000.0).round(),
        TimeUnit::Milliseconds => time.round(),
    };
    if ms.is_finite() && ms.abs() < (1_i64 << 53) as f64 {
        Ok(ms as i64)
    } else {
        Err(format!("timestamp {text:?} is out of range"))
    }
}

/// `name{label="value",...} value [timestamp] [# exemplar]`
fn sample(line: &str) -> Result<(Labels, f64, Option<&str>), String> {
    let mut reader = Reader { rest: line };
    let mut pairs: Vec<(String, String)> = Vec::new();
    let name = reader.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | ':'));
    if !name.is_empty() {
        if name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!("{name:?} is not a metric name"));
        }
        pairs.push((NAME.to_owned(), name.to_owned()));
    }
    if reader.eat('{') {
        reader.labels(&mut pairs)?;
    }
    if !pairs.iter().any(|(label, _)| label == NAME) {
        return Err("a metric name is missing".to_owned());
    }
    let rest = match reader.rest.split_once(" # ") {
        Some((before, _exemplar)) => before,
        None => reader.rest,
    };
    if !rest.starts_with([' ', '\t']) {
        return Err(format!("a space and a value are expected at {rest:?}"));
    }
    let mut words = rest.split_ascii_whitespace();
    let value = words.next().ok_or("the value is missing")?;
    let value = value_of(value).ok_or_else(|| format!("value {value:?} is not a number"))?;
    let time = words.next();
    match words.next() {
        Some(more) => Err(format!("unexpected {more:?} after the timestamp")),
        None => Ok((Labels::from_pairs(pairs), value, time)),
    }
}

fn value_of(text: &str) -> Option<f64> {
    // As Go reads numbers, but without its hexadecimal ones.
    text.parse().ok()
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !keep(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.skip_space_before(wanted);
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Space may stand before a sign, but not be lost before a value.
    fn skip_space_before(&mut self, wanted: char) {
        let trimmed = self.rest.trim_start_matches([' ', '\t']);
        if trimmed.starts_with(wanted) {
            self.rest = trimmed;
        }
    }

    fn labels(&mut self, pairs: &mut Vec<(String, String)>) -> Result<(), String> {
        loop {
            if self.eat('}') {
                return Ok(());
            }
            self.skip_space();
            let quoted = self.rest.starts_with('"');
            let name = if quoted {
                self.quoted()?
            } else {
                self.take_while(|c| c.is_ascii_alphanumeric() || c == '_')
                    .to_owned()
            };
            if name.is_empty() {
                return Err(format!("a label name is expected at {:?}", self.rest));
            }
            let (name, value) = if self.eat('=') {
                self.skip_space();
                (name, self.quoted()?)
            } else if quoted {
                // `{"metric name", ...}`
                (NAME.to_owned(), name)
            } else {
                return Err(format!("\"=\" is expected after label {name:?}"));
            };
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(format!("label {name:?} appears twice"));
            }
            pairs.push((name, value));
            if !self.eat(',') && !self.rest.trim_start().starts_with('}') {
                return Err(format!("\",\" or \"}}\" is expected at {:?}", self.rest));
            }
        }
    }

    fn quoted(&mut self) -> Result<String, String> {
        let start = self.rest;
        let mut characters = start.char_indices();
        if characters.next().map(|(_, c)| c) != Some('"') {
            return Err(format!("a quoted value is expected at {start:?}"));
        }
        let mut value = String::new();
        while let Some((at, character)) = characters.next() {
            match character {
                '"' => {
                    self.rest = start.get(at + 1..).unwrap_or_default();
                    return Ok(value);
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, other @ ('"' | '\\'))) => value.push(other),
                    Some((_, other)) => value.extend(['\\', other]),
                    None => break,
                },
                other => value.push(other),
            }
        }
        Err("a quoted value is not closed".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_samples_of_any_age() {
        let text = "# HELP a Help.\n# TYPE a gauge\na{x=\"1\"} 1 0\na{x=\"1\",} 2 1.5\na { x = \"q\\\"\\n\" } NaN -2.25\n\
                    {\"we.ird\",\"l b\"=\"v\"} +Inf 3 # {trace=\"t\"} 1\n# EOF\n";
        let source = read(text, TimeUnit::Seconds, None).expect("valid");
        let all: Vec<String> = source
            .all()
            .map(|series| format!("{} {:?} {:?}", series.labels, series.timestamps, series.values))
            .collect();
        assert_eq!(
            all,
            [
                r#"a{x="1"} [0, 1500] [1.0, 2.0]"#,
                "a{x=\"q\\\"\\n\"} [-2250] [NaN]",
                r#"we.ird{l b="v"} [3000] [inf]"#,
            ]
        );
        assert_eq!(
            read("a 1 2500", TimeUnit::Milliseconds, None)
                .expect("valid")
                .time_range(),
            Some((2_500, 2_500))
        );
        assert_eq!(
            read("a 1", TimeUnit::Seconds, Some(7))
                .expect("valid")
                .time_range(),
            Some((7, 7))
        );
    }

    #[test]
    fn names_the_line_that_cannot_be_read() {
        let cases = [
            ("a 1 1\nb", "line 2: a space and a value are expected at \"\""),
            ("a{x=1} 1 1", "line 1: a quoted value is expected at \"1} 1 1\""),
            ("a{x=\"1} 1 1", "line 1: a quoted value is not closed"),
            (
                "a{x=\"1\" y=\"2\"} 1 1",
                "line 1: \",\" or \"}\" is expected at \" y=\\\"2\\\"} 1 1\"",
            ),
            ("a{x=\"1\",x=\"2\"} 1 1", "line 1: label \"x\" appears twice"),
            ("\na one 1", "line 2: value \"one\" is not a number"),
            ("a 1", "line 1: the sample has no timestamp; add one in seconds"),
            ("a 1 soon", "line 1: timestamp \"soon\" is not a number"),
            ("a 1 1e300", "line 1: timestamp \"1e300\" is out of range"),
            ("a 1 1 1", "line 1: unexpected \"1\" after the timestamp"),
            ("# EOF\na 1 1", "line 2: there is text after # EOF"),
            ("{x=\"1\"} 1 1", "line 1: a metric name is missing"),
        ];
        for (text, message) in cases {
            assert_eq!(
                read(text, TimeUnit::Seconds, None).expect_err(text).to_string(),
                message
            );
        }
    }
}
