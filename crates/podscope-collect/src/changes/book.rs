//! What was seen last of everything that is watched. The book is a file: a restart neither forgets a change that happened
//! meanwhile nor tells one twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use podscope_model::batch::Row;
use podscope_model::catalog::changes as catalog;
use podscope_model::event::{Event, EventKind, Severity};
use regex::Regex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Settings or versions by name.
pub type Values = BTreeMap<String, String>;

/// The source of these events.
pub const SOURCE: &str = "changes";
/// Settings watched of one target.
const MOST_VALUES: usize = 5000;
/// Targets watched.
const MOST_TARGETS: usize = 1000;
/// More differences at once are told in one event.
const MOST_EVENTS: usize = 20;
/// Bytes of a value that an event shows.
const MOST_SHOWN: usize = 256;
/// A value that was another in so many looks one after the other is no setting.
const RESTLESS: u8 = 5;
/// Looks after which a restless value that stays the same is watched again.
const CALM: u8 = 60;
/// While nothing changes, the time of the last look is written so often: what changes while the agent is away has happened
/// after that.
const SAVE_EVERY_MS: i64 = 60_000;

/// Names of settings whose values are nobody's business.
static SECRET: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"(?i)(pass|secret|token|private|credential|community|api_?key|access_?key)").ok()
});

/// One thing that is watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Watched {
    /// When it was last read.
    seen_ms: i64,
    values: Values,
    /// Looks, one after the other, in which a value was another; from [`RESTLESS`] on it counts calm looks down.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    restless: BTreeMap<String, u8>,
    #[serde(skip)]
    failed: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    /// By what and target.
    watched: BTreeMap<String, BTreeMap<String, Watched>>,
    /// Differences found, by what.
    found: BTreeMap<String, u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct ChangeBook {
    content: Content,
    file: Option<PathBuf>,
    saved_ms: i64,
    /// Settings that are not watched.
    ignore: Option<Regex>,
}

/// A book that several watchers write into.
#[derive(Clone, Debug, Default)]
pub struct SharedBook(Arc<Mutex<ChangeBook>>);

impl SharedBook {
    pub fn new(book: ChangeBook) -> Self {
        Self(Arc::new(Mutex::new(book)))
    }

    pub fn lock(&self) -> MutexGuard<'_, ChangeBook> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ChangeBook {
    /// The book in a file. One that is not there, or cannot be read, is begun anew: its content is only what was seen.
    pub fn open(file: &Path) -> Self {
        let content = match std::fs::read_to_string(file) {
            Ok(text) => serde_json::from_str(&text).unwrap_or_else(|error| {
                tracing::warn!(path = %file.display(), %error, "what was seen before a change cannot be read; beginning anew");
                Content::default()
            }),
            Err(_) => Content::default(),
        };
        Self {
            content,
            file: Some(file.to_owned()),
            saved_ms: 0,
            ignore: None,
        }
    }

    /// Leaves out settings whose names the expression matches; an empty one matches none.
    pub fn ignoring(mut self, expression: &str) -> Self {
        self.ignore = Regex::new(expression).ok().filter(|_| !expression.is_empty());
        self
    }

    /// Takes in what was read of a target; answers what has changed since it was read before.
    pub fn observe(&mut self, what: &str, target: &str, values: Values, now_ms: i64) -> Vec<Event> {
        let mut values: Values = values
            .into_iter()
            .filter(|(name, _)| !self.ignore.as_ref().is_some_and(|ignore| ignore.is_match(name)))
            .take(MOST_VALUES)
            .map(|(name, value)| {
                let value = hidden(&name, value);
                (name, value)
            })
            .collect();
        let targets: usize = self.content.watched.values().map(BTreeMap::len).sum();
        let known = self.content.watched.entry(what.to_owned()).or_default();
        let Some(watched) = known.get_mut(target) else {
            if targets < MOST_TARGETS {
                let first = Watched {
                    seen_ms: now_ms,
                    values,
                    ..Watched::default()
                };
                known.insert(target.to_owned(), first);
                self.save(now_ms, true);
            }
            return Vec::new();
        };
        let before_ms = std::mem::replace(&mut watched.seen_ms, now_ms).min(now_ms);
        watched.failed = false;
        let differences = watched.differences(&values);
        std::mem::swap(&mut watched.values, &mut values);
        let changed = !differences.is_empty();
        if changed {
            let found = self.content.found.entry(what.to_owned()).or_default();
            *found += differences.len() as u64;
        }
        self.save(now_ms, changed);
        events(what, target, &differences, before_ms, now_ms)
    }

    /// Notes that a target could not be read.
    pub fn failed(&mut self, what: &str, target: &str) {
        let watched = self
            .content
            .watched
            .get_mut(what)
            .and_then(|known| known.get_mut(target));
        if let Some(watched) = watched {
            watched.failed = true;
        }
    }

    /// What is watched, as series.
    pub fn write(&self, row: &mut Row) {
        for (what, targets) in &self.content.watched {
            for (target, watched) in targets {
                let labels = [("what", what.as_str()), ("target", target.as_str())];
                row.set(&catalog::CHANGES_LOOKED, &labels, watched.seen_ms as f64 / 1000.0);
                row.set(
                    &catalog::CHANGES_SUCCESS,
                    &labels,
                    f64::from(u8::from(!watched.failed)),
                );
            }
            let found = self.content.found.get(what).copied().unwrap_or(0);
            row.set(&catalog::CHANGES_FOUND, &[("what", what)], found as f64);
        }
    }

    /// Keeps the book; at once after a change, else from time to time.
    fn save(&mut self, now_ms: i64, at_once: bool) {
        let Some(file) = &self.file else { return };
        let since = now_ms.saturating_sub(self.saved_ms);
        if !at_once && (0..SAVE_EVERY_MS).contains(&since) {
            return;
        }
        self.saved_ms = now_ms;
        let temporary = file.with_extension("tmp");
        let saved = serde_json::to_vec(&self.content)
            .map_err(std::io::Error::from)
            .and_then(|bytes| std::fs::write(&temporary, bytes))
            .and_then(|()| std::fs::rename(&temporary, file));
        if let Err(error) = saved {
            tracing::warn!(path = %file.display(), %error, "what was seen is not kept: after a restart a change may be told twice or not at all");
        }
    }
}

/// One setting that is another now.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Difference {
    name: String,
    old: Option<String>,
    new: Option<String>,
    /// It is another in nearly every look, and will not be told again.
    last: bool,
}

impl Watched {
    fn differences(&mut self, values: &Values) -> Vec<Difference> {
        let mut found = Vec::new();
        let names = self.values.keys().chain(values.keys());
        let names: std::collections::BTreeSet<String> = names.cloned().collect();
        for name in names {
            let (old, new) = (self.values.get(&name), values.get(&name));
            let same = old == new;
            let restless = self.restless.get(&name).copied().unwrap_or(0);
            let (told, restless) = match (restless, same) {
                (0, true) => continue,
                // Not a setting: told no more until it has been calm for long.
                (count, false) if count > RESTLESS => (false, RESTLESS + CALM),
                (count, true) if count > RESTLESS => {
                    (false, if count == RESTLESS + 1 { 0 } else { count - 1 })
                }
                (count, false) if count + 1 == RESTLESS => (true, RESTLESS + CALM),
                (count, false) => (true, count + 1),
                (count, true) => (false, count - 1),
            };
            match restless {
                0 => drop(self.restless.remove(&name)),
                count => drop(self.restless.insert(name.clone(), count)),
            }
            if told {
                found.push(Difference {
                    old: old.cloned(),
                    new: new.cloned(),
                    last: restless > RESTLESS,
                    name,
                });
            }
        }
        found
    }
}

/// A value that must not be seen is kept as a fingerprint: that it is another one can still be told.
fn hidden(name: &str, value: String) -> String {
    let secret = SECRET.as_ref().is_none_or(|secret| secret.is_match(name));
    if !secret || value.is_empty() {
        return value;
    }
    let digest = Sha256::digest(value.as_bytes());
    let short: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("(hidden, fingerprint {short})")
}

fn events(what: &str, target: &str, differences: &[Difference], before_ms: i64, now_ms: i64) -> Vec<Event> {
    let within = format!("between {} and {}", time(before_ms), time(now_ms));
    let common = |title: String| {
        Event::new(EventKind::Change, SOURCE, title, before_ms)
            .severity(Severity::Warning)
            .label("what", what)
            .label("target", target)
            .label("announced", "no")
            .until(now_ms)
    };
    if differences.len() > MOST_EVENTS {
        let mut text = format!("{within}\n");
        for difference in differences {
            text.push_str(&difference.sentence());
            text.push('\n');
        }
        let title = format!("{target}: {} settings of {what} changed", differences.len());
        return vec![
            common(title)
                .key(format!("{what}:{target}:{now_ms}"))
                .text(text)
                .clamped(),
        ];
    }
    differences
        .iter()
        .map(|difference| {
            let Difference { name, old, new, last } = difference;
            let mut text = within.clone();
            if *last {
                text.push_str(
                    "\nit is another in nearly every look, and is not told again until it stays the same",
                );
            }
            let shown = |value: &Option<String>| cut(value.as_deref().unwrap_or_default());
            common(format!("{target}: {}", difference.sentence()))
                .label("setting", name)
                .label("old", &shown(old))
                .label("new", &shown(new))
                .text(text)
                // The same difference found again after a restart is the same event.
                .key(format!("{what}:{target}:{name}:{}", shown(new)))
                .clamped()
        })
        .collect()
}

impl Difference {
    fn sentence(&self) -> String {
        let name = &self.name;
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => format!("{name} changed from {} to {}", cut(old), cut(new)),
            (None, Some(new)) => format!("{name} is new: {}", cut(new)),
            (Some(old), None) => format!("{name} is gone; it was {}", cut(old)),
            (None, None) => name.clone(),
        }
    }
}

fn cut(value: &str) -> String {
    match value.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", value.get(..end).unwrap_or_default()),
        None if value.is_empty() => "(empty)".to_owned(),
        None => value.to_owned(),
    }
}

fn time(ms: i64) -> String {
    // To the second: nobody looks more often.
    let seconds = ms.div_euclid(1000);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| ms.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn off() -> Values {
        values(&[("data_prefetch_enabled", "false"), ("eula", "accepted")])
    }

    fn on() -> Values {
        values(&[("data_prefetch_enabled", "true"), ("eula", "accepted")])
    }

    #[test]
    fn a_difference_is_told_with_both_values_and_its_interval() {
        let mut book = ChangeBook::default();
        assert!(book.observe("vast_settings", "vast-1", off(), 60_000).is_empty());
        assert!(book.observe("vast_settings", "vast-1", off(), 120_000).is_empty());
        let events = book.observe("vast_settings", "vast-1", on(), 180_000);
        assert_eq!(events.len(), 1);
        let event = &events[0];
        assert_eq!(
            event.title,
            "vast-1: data_prefetch_enabled changed from false to true"
        );
        assert_eq!(
            (event.kind, event.time_ms, event.end_ms),
            (EventKind::Change, 120_000, Some(180_000))
        );
        assert_eq!(
            event.text,
            "between 1970-01-01T00:02:00Z and 1970-01-01T00:03:00Z"
        );
        assert_eq!(event.labels.get("old"), Some("false"));
        assert_eq!(event.labels.get("new"), Some("true"));
        assert_eq!(event.check(), Ok(()));
        assert!(book.observe("vast_settings", "vast-1", on(), 240_000).is_empty());
    }

    #[test]
    fn what_could_not_be_read_does_not_shorten_the_interval() {
        let mut book = ChangeBook::default();
        book.observe("vast_settings", "vast-1", off(), 60_000);
        book.failed("vast_settings", "vast-1");
        book.failed("vast_settings", "vast-1");
        let events = book.observe("vast_settings", "vast-1", on(), 360_000);
        assert_eq!((events[0].time_ms, events[0].end_ms), (60_000, Some(360_000)));
    }

    #[test]
    fn a_restart_neither_forgets_nor_repeats() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("changes.json");
        let mut book = ChangeBook::open(&file);
        book.observe("vast_settings", "vast-1", off(), 60_000);
        drop(book);
        let mut book = ChangeBook::open(&file);
        let events = book.observe("vast_settings", "vast-1", on(), 7_200_000);
        assert_eq!(events.len(), 1, "it happened while nobody looked");
        assert_eq!(events[0].time_ms, 60_000);
        drop(book);
        let mut book = ChangeBook::open(&file);
        assert!(
            book.observe("vast_settings", "vast-1", on(), 7_260_000)
                .is_empty()
        );
        std::fs::write(&file, "{ broken").expect("writable");
        let mut book = ChangeBook::open(&file);
        assert!(
            book.observe("vast_settings", "vast-1", off(), 7_320_000)
                .is_empty(),
            "begun anew"
        );
    }

    #[test]
    fn what_changes_all_the_time_is_told_a_few_times_and_then_no_more() {
        let mut book = ChangeBook::default();
        let mut told = 0;
        for look in 0..100 {
            let counter = values(&[("used", &look.to_string()), ("mode", "a")]);
            told += book
                .observe("vast_settings", "vast-1", counter, look * 60_000)
                .len();
        }
        assert_eq!(told, usize::from(RESTLESS));
        // A real change beside it is told all the same.
        let events = book.observe(
            "vast_settings",
            "vast-1",
            values(&[("used", "x"), ("mode", "b")]),
            6_060_000,
        );
        assert_eq!(events.len(), 1);
        assert!(events[0].title.contains("mode"), "{}", events[0].title);
    }

    #[test]
    fn a_secret_is_never_in_an_event_nor_in_the_file() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let file = dir.path().join("changes.json");
        let mut book = ChangeBook::open(&file);
        book.observe("slurm_conf", "c", values(&[("StoragePass", "hunter2")]), 1000);
        let events = book.observe("slurm_conf", "c", values(&[("StoragePass", "hunter3")]), 2000);
        assert_eq!(events.len(), 1);
        let told = format!("{:?}", events[0]);
        let kept = std::fs::read_to_string(&file).expect("written");
        assert!(
            !told.contains("hunter") && !kept.contains("hunter"),
            "{told} {kept}"
        );
    }

    #[test]
    fn an_upgrade_that_changes_everything_is_one_event() {
        let mut book = ChangeBook::default();
        let many = |version: usize| -> Values {
            (0..100)
                .map(|at| (format!("s{at:03}"), format!("{version}")))
                .collect()
        };
        book.observe("vast_settings", "vast-1", many(1), 1000);
        let events = book.observe("vast_settings", "vast-1", many(2), 2000);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].title, "vast-1: 100 settings of vast_settings changed");
        assert!(events[0].text.contains("s099 changed from 1 to 2"));
    }

    #[test]
    fn ignored_settings_are_not_watched() {
        let mut book = ChangeBook::default().ignoring("^eula$");
        book.observe("vast_settings", "vast-1", off(), 1000);
        let other = values(&[("data_prefetch_enabled", "false"), ("eula", "refused")]);
        assert!(book.observe("vast_settings", "vast-1", other, 2000).is_empty());
    }
}
