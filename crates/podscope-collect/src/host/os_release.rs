//! `os-release`: the distribution and its version, as labels of a constant (os-release(5)).

use std::collections::BTreeMap;
use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, host};

use super::Reader;
use crate::collector::{Collector, Descriptor, Support};
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;

static DESCRIPTOR: Descriptor = Descriptor {
    name: "os",
    job: Job::Node,
    interval_ms: 60_000,
    metrics: host::os_release::ALL,
    touches: &FILES,
};

const FILES: [&str; 2] = ["/etc/os-release", "/usr/lib/os-release"];

/// The labels, each with the field it is.
const FIELDS: [(&str, &str); 12] = [
    ("build_id", "BUILD_ID"),
    ("id", "ID"),
    ("id_like", "ID_LIKE"),
    ("image_id", "IMAGE_ID"),
    ("image_version", "IMAGE_VERSION"),
    ("name", "NAME"),
    ("pretty_name", "PRETTY_NAME"),
    ("variant", "VARIANT"),
    ("variant_id", "VARIANT_ID"),
    ("version", "VERSION"),
    ("version_codename", "VERSION_CODENAME"),
    ("version_id", "VERSION_ID"),
];

#[derive(Debug)]
pub(crate) struct OsRelease {
    reader: Reader,
    problems: Problems,
}

impl OsRelease {
    pub(crate) fn new(fs: Arc<dyn HostFs>) -> Self {
        Self {
            reader: Reader::new(fs),
            problems: Problems::default(),
        }
    }
}

impl Collector for OsRelease {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        if FILES.iter().any(|path| self.reader.fs.exists(path)) {
            Support::Present
        } else {
            Support::NotPresent(format!("no {} and no {}", FILES[0], FILES[1]))
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        self.problems.clear();
        let path = if self.reader.fs.exists(FILES[0]) {
            FILES[0]
        } else {
            FILES[1]
        };
        let mut fields = BTreeMap::new();
        for line in self.reader.cold(path)?.lines() {
            match line {
                Ok(line) => {
                    if let Some((name, value)) =
                        line.text.split_once('=').filter(|_| !line.text.starts_with('#'))
                    {
                        fields.insert(name.trim_ascii().to_owned(), unquote(value.trim_ascii()));
                    }
                }
                Err(problem) => self.problems.push(problem),
            }
        }
        let field = |name: &str| fields.get(name).map_or("", String::as_str);
        let labels = FIELDS.map(|(label, name)| (label, field(name)));
        row.set(&host::NODE_OS_INFO, &labels, 1.0);
        if let Some(version) = leading_number(field("VERSION_ID")) {
            let labels = [
                ("id", field("ID")),
                ("id_like", field("ID_LIKE")),
                ("name", field("NAME")),
            ];
            row.set(&host::NODE_OS_VERSION, &labels, version);
        }
        let end = field("SUPPORT_END");
        if !end.is_empty() {
            match end.parse::<jiff::civil::Date>().ok().and_then(midnight) {
                Some(seconds) => row.set(&host::NODE_OS_SUPPORT_END_TIMESTAMP_SECONDS, &[], seconds),
                None => self.problems.push(CollectError::Parse {
                    path: path.to_owned(),
                    line: 0,
                    what: "SUPPORT_END as YYYY-MM-DD",
                    found: end.to_owned(),
                }),
            }
        }
        Ok(())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}

/// Seconds from 1970 to the beginning of the day in UTC.
fn midnight(date: jiff::civil::Date) -> Option<f64> {
    let zoned = date.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second() as f64)
}

/// Takes the quotes of a shell word away, and the backslashes within double quotes.
fn unquote(value: &str) -> String {
    if let Some(inner) = value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return inner.to_owned();
    }
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next()),
            other => plain.push(other),
        }
    }
    plain
}

/// `20.04` of `20.04.2`, `8` of `8.x`; `None` where the text does not begin with a digit.
fn leading_number(text: &str) -> Option<f64> {
    let mut dots = 0;
    let end = text.find(|character: char| {
        dots += usize::from(character == '.');
        !(character.is_ascii_digit() || (character == '.' && dots == 1))
    });
    text.get(..end.unwrap_or(text.len()))?
        .parse()
        .ok()
        .filter(|version| *version > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_major_and_minor_of_a_version() {
        for (text, version) in [
            ("12", Some(12.0)),
            ("20.04.2", Some(20.04)),
            ("8.x", Some(8.0)),
            ("rolling", None),
            ("", None),
        ] {
            assert_eq!(leading_number(text), version, "{text:?}");
        }
    }

    #[test]
    fn takes_the_quotes_of_the_shell_away() {
        assert_eq!(unquote(r#""Say \"hi\"""#), r#"Say "hi""#);
        assert_eq!(unquote("'a b'"), "a b");
        assert_eq!(unquote("bookworm"), "bookworm");
        assert_eq!(unquote("\""), "\"");
    }
}
