//! Label sets on the wire: what all series share is written once, and equal strings are one string again after reading.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashSet;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, Visitor};

use super::WireError;
use crate::labels::{Label, Labels};

/// More labels than any series has; keeps a hostile body from multiplying its shared labels over its rows.
const MAX_LABELS: usize = 512;

/// The labels that every one of the sets has.
pub(super) fn common<'a>(mut sets: impl Iterator<Item = &'a Labels>) -> Labels {
    let Some(first) = sets.next() else {
        return Labels::empty();
    };
    let mut shared: Vec<&Label> = first.iter().collect();
    for set in sets {
        if shared.is_empty() {
            break;
        }
        // Both are sorted by name: one pass.
        let mut rest = set.iter().peekable();
        shared.retain(|label| {
            while rest.next_if(|other| other.name < label.name).is_some() {}
            rest.peek().is_some_and(|other| {
                // Labels of one store share their strings; comparing the pointers first saves the bytes.
                (Arc::ptr_eq(&other.name, &label.name) || other.name == label.name)
                    && (Arc::ptr_eq(&other.value, &label.value) || other.value == label.value)
            })
        });
    }
    shared.into_iter().cloned().collect()
}

/// A set as JSON, without the labels of `common`.
pub(super) fn to_json(labels: &Labels, common: &Labels) -> Result<String, WireError> {
    let own = labels.filter(|name| common.get(name).is_none());
    serde_json::to_string(&own).map_err(|error| WireError(format!("labels cannot be written: {error}")))
}

/// Reads label sets, sharing equal strings between them.
#[derive(Debug)]
pub(super) struct Reader {
    common: Labels,
    strings: FxHashSet<Arc<str>>,
}

impl Reader {
    pub(super) fn new(common: Labels) -> Result<Self, WireError> {
        if common.len() > MAX_LABELS {
            return Err(WireError(format!("{} shared labels", common.len())));
        }
        Ok(Self {
            common,
            strings: FxHashSet::default(),
        })
    }

    pub(super) fn read(&mut self, text: &str) -> Result<Labels, WireError> {
        let mut own = Vec::new();
        let seed = Pairs {
            strings: &mut self.strings,
            into: &mut own,
        };
        let mut json = serde_json::Deserializer::from_str(text);
        seed.deserialize(&mut json)
            .and_then(|()| json.end())
            .map_err(|error| WireError(format!("labels: {error}")))?;
        if own.len() > MAX_LABELS {
            return Err(WireError(format!("a series with {} labels", own.len())));
        }
        Ok(self.common.iter().cloned().chain(own).collect())
    }
}

/// Reads a JSON object of strings into labels.
struct Pairs<'a> {
    strings: &'a mut FxHashSet<Arc<str>>,
    into: &'a mut Vec<Label>,
}

impl Pairs<'_> {
    fn shared(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.strings.get(text) {
            return Arc::clone(known);
        }
        let text: Arc<str> = Arc::from(text);
        self.strings.insert(Arc::clone(&text));
        text
    }
}

impl<'de> DeserializeSeed<'de> for Pairs<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Pairs<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object of label names and values")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        // Borrowed where JSON escaped nothing.
        #[derive(serde::Deserialize)]
        struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
        while let Some((name, value)) = map.next_entry::<Text<'de>, Text<'de>>()? {
            if self.into.len() >= MAX_LABELS {
                return Err(A::Error::custom("too many labels"));
            }
            let label = Label {
                name: self.shared(&name.0),
                value: self.shared(&value.0),
            };
            self.into.push(label);
        }
        Ok(())
    }
}
