//! Reading the file, and what can be wrong with it. Every error names the file, the line and the key, and says what to
//! do.

use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::{Config, Period, SECTIONS, Section};
use crate::secret::Secret;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{file}:{line}: {key}{message}; {remedy}", file = file.display(),
        key = if key.is_empty() { String::new() } else { format!("key `{key}`: ") })]
    Key {
        file: PathBuf,
        line: usize,
        /// Dotted path of the key; empty when the text is not TOML at all.
        key: String,
        message: String,
        remedy: String,
    },
    #[error("cannot read the {what} {path}")]
    File {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the {what} {path} {reason}")]
    Content {
        what: &'static str,
        path: PathBuf,
        reason: String,
    },
}

/// What is wrong with one key, before file and line are known.
struct Fault {
    /// Path of the key, table first.
    key: Vec<String>,
    message: String,
    remedy: String,
}

impl Fault {
    fn new(key: &[&str], message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let key = key.iter().map(|part| (*part).to_owned()).collect();
        Self {
            key,
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}

/// Reads and checks a file. `collectors` are the names that may stand in `[collectors]`.
///
/// # Errors
/// The first mistake found.
pub fn load(file: &Path, collectors: &[&str]) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(file).map_err(|source| ConfigError::Read {
        path: file.to_owned(),
        source,
    })?;
    parse(file, &text, collectors)
}

/// Checks the text of a configuration; `file` is only named in errors.
///
/// # Errors
/// The first mistake found.
pub fn parse(file: &Path, text: &str, collectors: &[&str]) -> Result<Config, ConfigError> {
    let located = |key: String, span: Option<Range<usize>>, message: String, remedy: String| {
        let until = span.map_or(0, |span| span.start).min(text.len());
        let line = text.as_bytes()[..until]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count()
            + 1;
        ConfigError::Key {
            file: file.to_owned(),
            line,
            key,
            message,
            remedy,
        }
    };
    let document = DeTable::parse(text).map_err(|error| {
        let message = error.message().replace('\n', " ");
        located(
            String::new(),
            error.span(),
            message,
            "the file must be TOML".to_owned(),
        )
    })?;
    let document = document.into_inner();
    if let Some((key, span, remedy)) = unknown_key(&document) {
        return Err(located(key, Some(span), "unknown key".to_owned(), remedy));
    }
    let config: Config = toml::from_str(text).map_err(|error| {
        let key = error
            .span()
            .and_then(|span| key_at(&document, &span))
            .unwrap_or_default();
        let remedy = format!("see `podscope-agent config --default` for what {key} takes");
        located(key, error.span(), error.message().replace('\n', " "), remedy)
    })?;
    config.faults(collectors).map_err(|fault| {
        let span = span_of(&document, &fault.key);
        located(fault.key.join("."), span, fault.message, fault.remedy)
    })?;
    Ok(config)
}

/// The first key that no section declares, with its place and a remedy.
fn unknown_key(document: &DeTable<'_>) -> Option<(String, Range<usize>, String)> {
    let root = &SECTIONS[0];
    let tables = SECTIONS.iter().filter(|section| !section.name.is_empty());
    for (name, value) in document {
        let text = name.get_ref().as_ref();
        if let Some(section) = tables.clone().find(|section| section.name == text) {
            let Some(table) = value.get_ref().as_table() else {
                continue;
            };
            for key in table.keys() {
                let inner = key.get_ref().as_ref();
                if !section.keys.iter().any(|known| known.name == inner) {
                    let remedy = suggestion(inner, section);
                    return Some((format!("{text}.{inner}"), key.span(), remedy));
                }
            }
        } else if !root.keys.iter().any(|known| known.name == text) {
            return Some((text.to_owned(), name.span(), suggestion(text, root)));
        }
    }
    None
}

/// Where an unknown key most likely belongs.
fn suggestion(unknown: &str, section: &Section) -> String {
    let close = |name: &str| strsim::damerau_levenshtein(unknown, name) <= 1 + unknown.len() / 4;
    let own = section.keys.iter().map(|key| key.name);
    let tables = SECTIONS
        .iter()
        .map(|table| table.name)
        .filter(|_| section.name.is_empty());
    let best = own
        .chain(tables)
        .filter(|name| close(name))
        .min_by_key(|name| strsim::damerau_levenshtein(unknown, name));
    if let Some(best) = best {
        return format!("did you mean `{best}`?");
    }
    for other in &SECTIONS {
        if other.keys.iter().any(|key| key.name == unknown) {
            return match other.name {
                "" => format!("`{unknown}` belongs to the top of the file, before the first [table]"),
                name => format!("`{unknown}` belongs into the table [{name}]"),
            };
        }
    }
    "`podscope-agent config --default` prints every key there is".to_owned()
}

/// The path of the key whose value lies around `span`.
fn key_at(document: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    document.iter().find_map(|(name, value)| {
        let inside = value.span().start <= span.start && span.end <= value.span().end;
        let inner = value.get_ref().as_table().and_then(|table| key_at(table, span));
        match inner {
            Some(inner) => Some(format!("{}.{inner}", name.get_ref())),
            None => inside.then(|| name.get_ref().to_string()),
        }
    })
}

/// Where the value of a key stands; of the innermost part of the path that is in the file.
fn span_of(document: &DeTable<'_>, path: &[String]) -> Option<Range<usize>> {
    let (first, rest) = path.split_first()?;
    let (name, value) = document
        .iter()
        .find(|(name, _)| name.get_ref().as_ref() == first.as_str())?;
    let inner = match value.get_ref() {
        DeValue::Table(table) => span_of(table, rest),
        _ => None,
    };
    inner.or_else(|| Some(name.span()))
}

/// Labels that say who a series belongs to; a node label must not pretend to be one.
const RESERVED_LABELS: [&str; 3] = ["__name__", "instance", "job"];

impl Config {
    fn faults(&self, collectors: &[&str]) -> Result<(), Fault> {
        self.faulty_names()?;
        self.faulty_collectors(collectors)?;
        self.faulty_security()?;
        self.faulty_numbers()
    }

    fn faulty_names(&self) -> Result<(), Fault> {
        if self
            .instance
            .as_deref()
            .is_some_and(|name| name.trim().is_empty())
        {
            return Err(Fault::new(
                &["instance"],
                "is empty",
                "name the node, or remove the key to use the host name",
            ));
        }
        for (name, value) in &self.labels {
            let mut letters = name.chars();
            let valid = letters
                .next()
                .is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && letters.all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !valid {
                return Err(Fault::new(
                    &["labels", name],
                    "is not a label name",
                    "use letters, digits and _, no digit first",
                ));
            }
            if RESERVED_LABELS.contains(&name.as_str()) {
                return Err(Fault::new(
                    &["labels", name],
                    "is set by the agent itself",
                    "choose another name; the node's own name is the key `instance`",
                ));
            }
            if value.is_empty() {
                return Err(Fault::new(
                    &["labels", name],
                    "is empty",
                    "give it a value or remove it",
                ));
            }
        }
        if let Err(error) = self.log.parse::<tracing_subscriber::EnvFilter>() {
            return Err(Fault::new(
                &["log"],
                error.to_string(),
                "use error, warn, info, debug, trace or crate=level",
            ));
        }
        Ok(())
    }

    fn faulty_collectors(&self, known: &[&str]) -> Result<(), Fault> {
        let named = |key: &'static str, list: &[String]| -> Result<(), Fault> {
            match list.iter().find(|name| !known.contains(&name.as_str())) {
                Some(name) => Err(unknown_collector(&["collectors", key], name, known)),
                None => Ok(()),
            }
        };
        named("enabled", self.collectors.enabled.as_deref().unwrap_or_default())?;
        named("disabled", &self.collectors.disabled)?;
        for (name, period) in &self.collectors.intervals {
            if !known.contains(&name.as_str()) {
                return Err(unknown_collector(&["collectors", "intervals", name], name, known));
            }
            check_interval(&["collectors", "intervals", name], *period)?;
        }
        if let Some(period) = self.collectors.interval {
            check_interval(&["collectors", "interval"], period)?;
        }
        check_interval(&["gpu", "interval"], self.gpu.interval)?;
        check_interval(&["gpu", "deadline"], self.gpu.deadline)?;
        check_interval(&["collectors", "deadline"], self.collectors.deadline)
    }

    fn faulty_security(&self) -> Result<(), Fault> {
        if self.token.is_some() && self.token_file.is_some() {
            return Err(Fault::new(
                &["token"],
                "stands beside `token_file`",
                "keep one of the two",
            ));
        }
        if let Some(reason) = self.token.as_ref().and_then(weak_token) {
            return Err(Fault::new(&["token"], reason, TOKEN_REMEDY));
        }
        let tls = &self.tls;
        match (&tls.cert_file, &tls.key_file) {
            (Some(_), None) => Err(Fault::new(
                &["tls", "cert_file"],
                "has no key to it",
                "set tls.key_file too",
            )),
            (None, Some(_)) => Err(Fault::new(
                &["tls", "key_file"],
                "has no certificate to it",
                "set tls.cert_file too",
            )),
            (None, None) if tls.client_ca_file.is_some() => Err(Fault::new(
                &["tls", "client_ca_file"],
                "is of no use without TLS",
                "set tls.cert_file and tls.key_file too",
            )),
            _ => Ok(()),
        }
    }

    fn faulty_numbers(&self) -> Result<(), Fault> {
        let limits = &self.limits;
        let counts = [
            ("max_samples", limits.max_samples),
            ("max_series", limits.max_series),
            ("max_points", limits.max_points),
            ("max_concurrent_queries", limits.max_concurrent_queries),
        ];
        for (key, value) in counts {
            if value == 0 {
                return Err(Fault::new(
                    &["limits", key],
                    "is 0",
                    "nothing could be asked; use a positive number",
                ));
            }
        }
        let positive = [
            (["limits", "timeout"], limits.timeout),
            (["history", "sync_interval"], self.history.sync_interval),
        ];
        for (key, period) in positive {
            if period.0.is_zero() {
                return Err(Fault::new(&key, "is 0", "use a positive duration"));
            }
        }
        if self.history.max_age.0.as_secs() < 60 {
            return Err(Fault::new(
                &["history", "max_age"],
                "is under a minute",
                "keep at least \"1m\"",
            ));
        }
        if self.history.max_bytes.0 < 1_000_000 {
            return Err(Fault::new(
                &["history", "max_bytes"],
                "is under a megabyte",
                "allow at least \"1MB\"",
            ));
        }
        Ok(())
    }

    /// The token from `token` or `token_file`, if any.
    ///
    /// # Errors
    /// A file that cannot be read, or a token too short to be one.
    pub fn load_token(&self) -> Result<Option<Secret>, ConfigError> {
        let Some(path) = &self.token_file else {
            return Ok(self.token.clone());
        };
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::File {
            what: "token file",
            path: path.clone(),
            source,
        })?;
        let token = Secret::new(text.lines().next().unwrap_or_default().trim());
        match weak_token(&token) {
            Some(reason) => Err(ConfigError::Content {
                what: "token file",
                path: path.clone(),
                reason: format!("{reason}; {TOKEN_REMEDY}"),
            }),
            None => Ok(Some(token)),
        }
    }
}

const TOKEN_REMEDY: &str = "make one with `head -c 32 /dev/urandom | base64`";

fn weak_token(token: &Secret) -> Option<String> {
    let text = token.expose();
    if text.len() < 16 {
        return Some("holds a token of fewer than 16 characters".to_owned());
    }
    let sendable = text.bytes().all(|byte| byte.is_ascii_graphic());
    (!sendable).then(|| "holds a token with characters that cannot stand in a header".to_owned())
}

fn check_interval(key: &[&str], period: Period) -> Result<(), Fault> {
    if (100..=3_600_000).contains(&period.as_ms()) {
        return Ok(());
    }
    Err(Fault::new(key, format!("is {period}"), "use \"100ms\" to \"1h\""))
}

fn unknown_collector(key: &[&str], name: &str, known: &[&str]) -> Fault {
    let best = known
        .iter()
        .min_by_key(|candidate| strsim::damerau_levenshtein(name, candidate));
    let close = best.filter(|best| strsim::damerau_levenshtein(name, best) <= 1 + name.len() / 4);
    let remedy = match close {
        Some(best) => format!("did you mean \"{best}\"?"),
        None => format!("there are: {}", known.join(", ")),
    };
    Fault::new(key, format!("there is no collector {name:?}"), remedy)
}
