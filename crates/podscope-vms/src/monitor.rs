//! Time series: `GET monitors/ad_hoc_query/`, and what must be known to read its answers.
//!
//! 1. Several rows share one timestamp, each with one group of properties; the other columns are null: rows are merged by
//!    time and object. 2. Columns come in another order than asked: they are found by name. 3. The newest row comes first.
//! 4. Families have cadences of their own. 5. A maximum without samples is 2^64-1: no value. 6. Some properties cannot be
//!    asked for together. 7. A property of the catalog need not be served. 8. Some objects have no rows.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::client::VmsClient;
use crate::error::VmsError;

const RESOURCE: &str = "monitors/ad_hoc_query";
/// Old servers refuse longer request lines than 4 KB.
const MAX_QUERY: usize = 3_600;
/// Objects of one question.
const MAX_IDS: usize = 48;
/// 2^64-1 as JSON and f64 have it.
const NO_MAXIMUM: f64 = 1.844_674_407_370_95e19;

/// How dense the samples are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Granularity {
    /// As the family has them.
    Raw,
    Minutes,
    Hours,
}

impl Granularity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "seconds",
            Self::Minutes => "minutes",
            Self::Hours => "hours",
        }
    }

    /// What a row stands for; `None`: its family's cadence.
    pub fn bucket_ms(self) -> Option<i64> {
        match self {
            Self::Raw => None,
            Self::Minutes => Some(60_000),
            Self::Hours => Some(3_600_000),
        }
    }
}

/// What to ask.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub object_type: &'a str,
    pub ids: &'a [i64],
    pub from_ms: i64,
    pub to_ms: i64,
    pub granularity: Granularity,
    /// `max` for what accumulates: the value at the bucket's end.
    pub aggregation: &'a str,
}

/// One property of one object: samples by time, oldest first, each once.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    pub object_id: i64,
    pub fqn: String,
    pub samples: Vec<(i64, f64)>,
}

/// Which properties were seen to go together, and which the server does not serve. Kept from question to question.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grouping {
    pub groups: Vec<Vec<String>>,
    /// By property: the server's words.
    pub refused: BTreeMap<String, String>,
}

impl Grouping {
    /// Adds properties that are not known yet, as one group.
    pub fn learn<'a>(&mut self, properties: impl IntoIterator<Item = &'a str>) {
        let fresh: Vec<String> = properties
            .into_iter()
            .filter(|fqn| {
                !self.refused.contains_key(*fqn) && !self.groups.iter().flatten().any(|known| known == fqn)
            })
            .map(str::to_owned)
            .collect();
        if fresh.is_empty() {
            return;
        }
        match self.groups.last_mut() {
            Some(group) => group.extend(fresh),
            None => self.groups.push(fresh),
        }
    }
}

impl VmsClient {
    /// Asks for all properties of a grouping. Where some cannot be asked for together, or one is not served, the grouping
    /// is split until what is left works: the next question costs no more than it must.
    ///
    /// # Errors
    /// See [`VmsError`]; a property that is not served is none, it is noted in the grouping.
    pub async fn ad_hoc(
        &self,
        grouping: &mut Grouping,
        question: Question<'_>,
    ) -> Result<Vec<Column>, VmsError> {
        let mut waiting: Vec<Vec<String>> = std::mem::take(&mut grouping.groups);
        waiting.reverse();
        let mut columns = Vec::new();
        while let Some(group) = waiting.pop() {
            match self.group(&group, question).await {
                Ok(found) => {
                    columns.extend(found);
                    grouping.groups.push(group);
                }
                Err(VmsError::Refused { status: 414, .. }) if group.len() > 1 => split(group, &mut waiting),
                Err(VmsError::Refused {
                    status: 400, detail, ..
                }) => match group.len() {
                    1 => {
                        for fqn in group {
                            tracing::warn!(fqn, detail, "the management server does not serve a property");
                            grouping.refused.insert(fqn, detail.clone());
                        }
                    }
                    _ => split(group, &mut waiting),
                },
                Err(other) => {
                    // Nothing that was known is forgotten over a failure.
                    grouping.groups.push(group);
                    grouping.groups.extend(waiting.into_iter().rev());
                    return Err(other);
                }
            }
        }
        Ok(columns)
    }

    async fn group(&self, group: &[String], question: Question<'_>) -> Result<Vec<Column>, VmsError> {
        let mut columns = Vec::new();
        for ids in question.ids.chunks(MAX_IDS) {
            for part in parts(group, ids.len()) {
                let mut query: Vec<(&str, String)> = vec![("object_type", question.object_type.to_owned())];
                query.extend(ids.iter().map(|id| ("object_ids", id.to_string())));
                query.extend(part.iter().map(|fqn| ("prop_list", fqn.clone())));
                query.push(("from_time", written(question.from_ms)));
                query.push(("to_time", written(question.to_ms)));
                query.push(("granularity", question.granularity.as_str().to_owned()));
                query.push(("aggregation", question.aggregation.to_owned()));
                let answer = self.get(RESOURCE, &query).await?;
                columns.extend(read(&answer)?);
            }
        }
        Ok(columns)
    }
}

/// By class where there are several, else in halves.
fn split(group: Vec<String>, waiting: &mut Vec<Vec<String>>) {
    let class = |fqn: &str| fqn.split(',').next().unwrap_or_default().to_owned();
    let mut classes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for fqn in &group {
        classes.entry(class(fqn)).or_default().push(fqn.clone());
    }
    if classes.len() > 1 {
        waiting.extend(classes.into_values().rev());
        return;
    }
    let middle = group.len() / 2;
    let mut first = group;
    let second = first.split_off(middle);
    waiting.extend([second, first]);
}

/// Parts that fit into a request line.
fn parts(group: &[String], ids: usize) -> Vec<&[String]> {
    // `object_ids=` with a number, and what every question has.
    let fixed = 260 + ids * 20;
    let mut parts = Vec::new();
    let (mut from, mut used) = (0, fixed);
    for (at, fqn) in group.iter().enumerate() {
        // `&prop_list=`; commas and `=` take three letters each.
        let size = 11 + fqn.len() + 2 * fqn.matches([',', '=']).count();
        if used + size > MAX_QUERY && at > from {
            parts.push(&group[from..at]);
            (from, used) = (at, fixed);
        }
        used += size;
    }
    parts.push(&group[from..]);
    parts.retain(|part| !part.is_empty());
    parts
}

/// A time as VMS writes it.
pub(crate) fn written(t_ms: i64) -> String {
    jiff::Timestamp::from_second(t_ms.div_euclid(1_000)).map_or_else(|_| String::new(), |at| at.to_string())
}

/// A time VMS wrote.
pub(crate) fn time_ms(text: &str) -> Option<i64> {
    let stamp = text.parse::<jiff::Timestamp>();
    // Without a zone it is UTC.
    stamp
        .or_else(|_| format!("{text}Z").parse())
        .ok()
        .map(jiff::Timestamp::as_millisecond)
}

/// Reads an answer: rows of groups become columns.
///
/// # Errors
/// [`VmsError::Shape`], saying where.
pub fn read(answer: &Value) -> Result<Vec<Column>, VmsError> {
    let shape = |problem: String| VmsError::Shape {
        resource: RESOURCE.to_owned(),
        problem,
    };
    let names: Vec<&str> = answer["prop_list"]
        .as_array()
        .ok_or_else(|| shape("no `prop_list`".to_owned()))?
        .iter()
        .map(|name| name.as_str().unwrap_or_default())
        .collect();
    let place = |wanted: &str| names.iter().position(|name| *name == wanted);
    let time_at = place("timestamp").ok_or_else(|| shape("no column `timestamp`".to_owned()))?;
    let object_at = place("object_id");
    let rows = answer["data"]
        .as_array()
        .ok_or_else(|| shape("no `data`".to_owned()))?;
    let only = answer["object_ids"]
        .as_array()
        .filter(|ids| ids.len() == 1)
        .and_then(|ids| ids[0].as_i64());
    let mut merged: BTreeMap<(usize, i64), BTreeMap<i64, f64>> = BTreeMap::new();
    for (number, row) in rows.iter().enumerate() {
        let row = row
            .as_array()
            .filter(|row| row.len() == names.len())
            .ok_or_else(|| {
                shape(format!(
                    "row {number} has not the {} columns that `prop_list` names",
                    names.len()
                ))
            })?;
        let at = row[time_at]
            .as_str()
            .and_then(time_ms)
            .ok_or_else(|| shape(format!("row {number} has no time")))?;
        let object = object_at
            .and_then(|at| row[at].as_i64())
            .or(only)
            .ok_or_else(|| shape(format!("row {number} has no object")))?;
        for (column, value) in row.iter().enumerate() {
            if column == time_at || Some(column) == object_at {
                continue;
            }
            if let Some(value) = number_of(value) {
                merged.entry((column, object)).or_default().insert(at, value);
            }
        }
    }
    let columns = merged.into_iter().map(|((column, object_id), samples)| Column {
        object_id,
        fqn: names[column].to_owned(),
        samples: samples.into_iter().collect(),
    });
    Ok(columns.collect())
}

/// A number, also one written as text; what stands for "none" is none.
fn number_of(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (number.is_finite() && number < NO_MAXIMUM).then_some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// As VMS 5.5 answers it: two groups at one time, newest first, columns in an order of their own.
    fn recorded() -> Value {
        let (bw, avg, max) = (
            "ProtoMetrics,proto_name=NFS4Common,rd_bw",
            "ProtoMetrics,proto_name=NFS4Common,read_latency__avg",
            "ProtoMetrics,proto_name=NFS4Common,read_latency__max",
        );
        json!({
            "object_ids": [1],
            "prop_list": ["timestamp", "object_id", max, bw, avg],
            "data": [
                ["2026-08-18T20:51:51Z", 1, 1.8446744073709552e+19_f64, 64_556_167.0, null],
                ["2026-08-18T20:51:51Z", 1, null, null, 445.17],
                ["2026-08-18T20:51:41Z", 1, 812.0, 60_000_000.0, null],
                ["2026-08-18T20:51:41Z", 1, null, null, 440.0],
            ],
        })
    }

    #[test]
    fn rows_of_one_time_are_merged_by_name_sorted_and_no_maximum_is_no_value() {
        let columns = read(&recorded()).expect("good");
        let samples = |end: &str| {
            let column = columns
                .iter()
                .find(|column| column.fqn.ends_with(end))
                .expect(end);
            column.samples.iter().map(|(_, value)| *value).collect::<Vec<_>>()
        };
        assert_eq!(samples("rd_bw"), [60_000_000.0, 64_556_167.0]);
        assert_eq!(samples("__avg"), [440.0, 445.17]);
        assert_eq!(samples("__max"), [812.0]);
        assert!(
            columns
                .iter()
                .all(|column| column.samples.is_sorted_by_key(|(at, _)| *at))
        );
    }

    #[test]
    fn an_answer_of_another_shape_says_where() {
        for (answer, place) in [
            (json!({}), "no `prop_list`"),
            (
                json!({ "prop_list": ["object_id"], "data": [] }),
                "no column `timestamp`",
            ),
            (
                json!({ "prop_list": ["timestamp", "object_id"], "data": [["2026-08-18T20:51:51Z"]] }),
                "row 0 has not the 2 columns",
            ),
            (
                json!({ "prop_list": ["timestamp", "object_id"], "data": [["soon", 1]] }),
                "row 0 has no time",
            ),
            (
                json!({ "prop_list": ["timestamp"], "data": [["2026-08-18T20:51:51Z"]] }),
                "row 0 has no object",
            ),
        ] {
            let error = read(&answer).expect_err(place).to_string();
            assert!(error.contains(place), "{error}");
        }
    }

    #[test]
    fn questions_are_cut_to_fit_a_request_line_and_lose_nothing() {
        let group: Vec<String> = (0..200)
            .map(|at| format!("ProtoMetrics,proto_name=NFSCommon,property_{at:03}"))
            .collect();
        let parts = parts(&group, 16);
        assert!(parts.len() > 1);
        assert_eq!(parts.concat(), group);
        for part in parts {
            let written: usize = part.iter().map(|fqn| 11 + fqn.len() + 2 * 3).sum();
            assert!(written + 260 + 16 * 20 <= MAX_QUERY, "{written}");
        }
    }

    #[test]
    fn what_cannot_be_mixed_is_parted_by_class_and_then_in_halves() {
        let group = |list: &[&str]| list.iter().map(|fqn| (*fqn).to_owned()).collect::<Vec<_>>();
        let mut waiting = Vec::new();
        split(group(&["B,x", "A,y", "A,z"]), &mut waiting);
        assert_eq!(waiting, [group(&["B,x"]), group(&["A,y", "A,z"])]);
        let mut waiting = Vec::new();
        split(group(&["A,x", "A,y", "A,z"]), &mut waiting);
        assert_eq!(waiting, [group(&["A,y", "A,z"]), group(&["A,x"])]);
    }
}
