//! Sorted, immutable label sets. The metric name is the label [`NAME`].

use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The label that holds the metric's name.
pub const NAME: &str = "__name__";

/// One `name="value"` pair. Both halves are shared: copying a label copies two pointers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label {
    pub name: Arc<str>,
    pub value: Arc<str>,
}

/// A label set, sorted by name, without empty values (an empty value means "label absent" in PromQL).
///
/// Ordering is Prometheus's own: names and values compared pair by pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<[Label]>);

impl Labels {
    /// The set without any label.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Builds a set from pairs in any order. The last value of a repeated name wins; empty values are dropped.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        pairs
            .into_iter()
            .map(|(name, value)| Label {
                name: Arc::from(name.as_ref()),
                value: Arc::from(value.as_ref()),
            })
            .collect()
    }

    /// The value of `name`, or `None` when the label is absent.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .binary_search_by(|label| label.name.as_ref().cmp(name))
            .ok()
            .map(|at| self.0[at].value.as_ref())
    }

    /// The metric name, when there is one.
    pub fn metric_name(&self) -> Option<&str> {
        self.get(NAME)
    }

    /// The labels in order of their names.
    pub fn iter(&self) -> std::slice::Iter<'_, Label> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A copy in which `name` has `value`; an empty value removes the label.
    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut list: Vec<Label> = self
            .iter()
            .filter(|label| label.name.as_ref() != name)
            .cloned()
            .collect();
        if !value.is_empty() {
            list.push(Label {
                name: Arc::from(name),
                value: Arc::from(value),
            });
        }
        list.into_iter().collect()
    }

    /// A copy that also carries the labels of `others`; on a shared name the label of `self` stays.
    pub fn or(&self, others: &Labels) -> Self {
        if others.is_empty() {
            return self.clone();
        }
        others.iter().chain(self.iter()).cloned().collect()
    }

    /// Only the labels for which `keep` answers true.
    pub fn filter(&self, mut keep: impl FnMut(&str) -> bool) -> Self {
        if self.iter().all(|label| keep(&label.name)) {
            return self.clone();
        }
        // Already sorted: no second sort.
        Self(self.iter().filter(|label| keep(&label.name)).cloned().collect())
    }

    /// The set without the metric name, as every PromQL function leaves it.
    pub fn without_name(&self) -> Self {
        self.filter(|name| name != NAME)
    }
}

impl FromIterator<Label> for Labels {
    fn from_iter<I: IntoIterator<Item = Label>>(labels: I) -> Self {
        let mut list: Vec<Label> = labels.into_iter().collect();
        // A stable sort keeps the order of repeated names, so that the last one can win.
        list.sort_by(|a, b| a.name.cmp(&b.name));
        let mut out: Vec<Label> = Vec::with_capacity(list.len());
        for label in list {
            match out.last_mut() {
                Some(last) if last.name == label.name => *last = label,
                _ => out.push(label),
            }
        }
        out.retain(|label| !label.value.is_empty());
        Self(out.into())
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = &'a Label;
    type IntoIter = std::slice::Iter<'a, Label>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Writes `value` as Prometheus quotes a label value: backslash, quote and newline escaped.
pub fn write_quoted(out: &mut impl fmt::Write, value: &str) -> fmt::Result {
    out.write_char('"')?;
    for character in value.chars() {
        match character {
            '\\' => out.write_str("\\\\")?,
            '"' => out.write_str("\\\"")?,
            '\n' => out.write_str("\\n")?,
            other => out.write_char(other)?,
        }
    }
    out.write_char('"')
}

impl fmt::Display for Labels {
    /// `name{a="b",c="d"}`, as Prometheus prints a series.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = self.metric_name() {
            out.write_str(name)?;
            if self.len() == 1 {
                return Ok(());
            }
        }
        out.write_str("{")?;
        let mut first = true;
        for label in self.iter().filter(|label| label.name.as_ref() != NAME) {
            if !first {
                out.write_str(",")?;
            }
            first = false;
            out.write_str(&label.name)?;
            out.write_str("=")?;
            write_quoted(out, &label.value)?;
        }
        out.write_str("}")
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for label in self {
            map.serialize_entry(label.name.as_ref(), label.value.as_ref())?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Labels;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object of label names and values")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                let mut list = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, String>()? {
                    list.push(Label {
                        name: name.into(),
                        value: value.into(),
                    });
                }
                Ok(list.into_iter().collect())
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_drops_empty_values_and_keeps_the_last_of_a_repeated_name() {
        let labels = Labels::from_pairs([("b", "1"), ("a", "2"), ("c", ""), ("b", "3")]);
        assert_eq!(labels.to_string(), r#"{a="2",b="3"}"#);
        assert_eq!(labels.get("b"), Some("3"));
        assert_eq!(labels.get("c"), None);
    }

    #[test]
    fn an_added_set_never_overrides_what_a_series_already_says() {
        let own = Labels::from_pairs([("instance", "own")]);
        let node = Labels::from_pairs([("instance", "node"), ("rack", "r12")]);
        assert_eq!(own.or(&node).to_string(), r#"{instance="own",rack="r12"}"#);
    }

    #[test]
    fn quotes_what_prometheus_quotes() {
        let labels = Labels::from_pairs([(NAME, "m"), ("l", "a\"b\\c\nd")]);
        assert_eq!(labels.to_string(), "m{l=\"a\\\"b\\\\c\\nd\"}");
    }

    #[test]
    fn survives_json() {
        let labels = Labels::from_pairs([(NAME, "m"), ("l", "ü\n")]);
        let text = serde_json::to_string(&labels).expect("labels are strings");
        assert_eq!(serde_json::from_str::<Labels>(&text).expect("own output"), labels);
    }
}
