//! Text of the kernel, line by line, without copying: every error knows the path and the line.

use crate::error::CollectError;

/// The text of one file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<'a> {
    pub(crate) path: &'a str,
    pub(crate) bytes: &'a [u8],
}

/// One line of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) path: &'a str,
    pub(crate) number: usize,
    pub(crate) text: &'a str,
}

impl<'a> Text<'a> {
    /// The lines that are not empty. A line that is not UTF-8 is an error of its own.
    pub(crate) fn lines(self) -> impl Iterator<Item = Result<Line<'a>, CollectError>> {
        self.bytes
            .split(|byte| *byte == b'\n')
            .enumerate()
            .filter(|(_, bytes)| !bytes.is_empty())
            .map(move |(index, bytes)| self.line(index + 1, bytes))
    }

    /// The whole file as one line: most files of sysfs hold one value.
    pub(crate) fn only(self) -> Result<Line<'a>, CollectError> {
        let line = self.line(1, self.bytes)?;
        Ok(Line {
            text: line.text.trim_ascii(),
            ..line
        })
    }

    fn line(self, number: usize, bytes: &'a [u8]) -> Result<Line<'a>, CollectError> {
        let path = self.path;
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Line { path, number, text }),
            Err(_) => Err(CollectError::Parse {
                path: path.to_owned(),
                line: number,
                what: "text",
                found: excerpt(&String::from_utf8_lossy(bytes)),
            }),
        }
    }
}

impl<'a> Line<'a> {
    pub(crate) fn fields(&self) -> std::str::SplitAsciiWhitespace<'a> {
        self.text.split_ascii_whitespace()
    }

    /// The error that `what` was expected on this line.
    pub(crate) fn expected(&self, what: &'static str) -> CollectError {
        CollectError::Parse {
            path: self.path.to_owned(),
            line: self.number,
            what,
            found: excerpt(self.text),
        }
    }

    /// A field that must be there and be a count.
    pub(crate) fn count(&self, field: Option<&str>, what: &'static str) -> Result<u64, CollectError> {
        field
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.expected(what))
    }

    /// A field that must be there and be a finite number.
    pub(crate) fn number(&self, field: Option<&str>, what: &'static str) -> Result<f64, CollectError> {
        field
            .and_then(|text| text.parse().ok())
            .filter(|value: &f64| value.is_finite())
            .ok_or_else(|| self.expected(what))
    }
}

/// The beginning of a text, short enough for an error message.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_path_and_line() {
        let text = Text {
            path: "/proc/x",
            bytes: b"a 1\n\nb oops\n",
        };
        let lines: Vec<_> = text.lines().collect::<Result<_, _>>().expect("valid text");
        assert_eq!(lines.len(), 2);
        let error = lines[1].count(lines[1].fields().nth(1), "a count").unwrap_err();
        assert_eq!(error.to_string(), "/proc/x:3: a count expected, found \"b oops\"");
    }

    #[test]
    fn one_line_of_bytes_does_not_cost_the_others() {
        let text = Text {
            path: "/proc/x",
            bytes: b"a 1\n\xff\xfe\nb 2",
        };
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].is_ok() && lines[1].is_err() && lines[2].is_ok());
    }
}
