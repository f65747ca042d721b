//! Columns of a stream as bytes: each distinct string once, then numbers. The same form in segments and in the WAL.
//!
//! ```text
//! name, job: string   interval_ms: varint
//! strings:  count, then each as length + UTF-8
//! metrics:  count, then name, kind, unit, help as indices into the strings
//! columns:  count, then per column: number of labels, then (label name, value) as indices
//! ```
//! `job` is not repeated per column: it is added to every label set when it is read. Kind and unit are stored by their
//! names; a name that a later version made up reads as "unknown" and "none".

use std::io::{Read, Write};
use std::sync::Arc;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use podscope_model::catalog::{Kind, Unit};
use podscope_model::labels::Labels;
use podscope_model::leaf::MetricInfo;
use rustc_hash::FxHashMap;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::StreamSpec;
use crate::catalog::{Catalog, SeriesId, Stream};
use crate::varint::{self, Reader};

/// The label that carries the stream's job.
pub(crate) const JOB: &str = "job";

/// What a series of a stream is called: the column's labels and the stream's job.
pub(crate) fn with_job(labels: &Labels, job: &str) -> Labels {
    if job.is_empty() {
        labels.clone()
    } else {
        labels.with(JOB, job)
    }
}

/// The larger of what a description may be: anything more is damage.
const MAX_BYTES: u64 = 64 << 20;

/// The description deflated, where that is shorter.
pub(crate) fn deflate(description: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    encoder.write_all(description).ok()?;
    let bytes = encoder.finish().ok()?;
    (bytes.len() < description.len()).then_some(bytes)
}

/// What [`deflate`] was given.
pub(crate) fn inflate(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut decoder = DeflateDecoder::new(bytes).take(MAX_BYTES);
    decoder.read_to_end(&mut out).ok()?;
    Some(out)
}

#[derive(Default)]
struct Strings<'a> {
    list: Vec<&'a str>,
    at: FxHashMap<&'a str, u64>,
}

impl<'a> Strings<'a> {
    fn index(&mut self, text: &'a str) -> u64 {
        *self.at.entry(text).or_insert_with(|| {
            self.list.push(text);
            self.list.len() as u64 - 1
        })
    }
}

fn word<T: Serialize>(value: T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn from_word<T: DeserializeOwned>(word: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(word.to_owned())).ok()
}

/// Writes a stream and some of its columns.
pub(crate) fn encode(out: &mut Vec<u8>, stream: &Stream, columns: &[SeriesId], catalog: &Catalog) {
    let empty = Labels::empty();
    let labels: Vec<&Labels> = columns
        .iter()
        .map(|id| catalog.labels(*id).unwrap_or(&empty))
        .collect();
    let mut infos: Vec<(&str, &MetricInfo, String, String)> = Vec::new();
    let mut seen = FxHashMap::default();
    for name in labels.iter().filter_map(|labels| labels.metric_name()) {
        if let Some(info) = catalog.info(name)
            && seen.insert(name, ()).is_none()
        {
            infos.push((name, info, word(info.kind), word(info.unit)));
        }
    }

    let mut strings = Strings::default();
    let mut body = Vec::new();
    varint::put(&mut body, infos.len() as u64);
    for (name, info, kind, unit) in &infos {
        for text in [*name, kind, unit, &info.help] {
            varint::put(&mut body, strings.index(text));
        }
    }
    varint::put(&mut body, labels.len() as u64);
    let job = &stream.spec.job;
    for set in &labels {
        let own = || {
            set.iter()
                .filter(|label| job.is_empty() || label.name.as_ref() != JOB)
        };
        varint::put(&mut body, own().count() as u64);
        for label in own() {
            varint::put(&mut body, strings.index(&label.name));
            varint::put(&mut body, strings.index(&label.value));
        }
    }

    varint::put_str(out, &stream.spec.name);
    varint::put_str(out, job);
    varint::put(out, stream.spec.interval_ms);
    varint::put(out, strings.list.len() as u64);
    for text in strings.list {
        varint::put_str(out, text);
    }
    out.extend_from_slice(&body);
}

/// Reads what [`encode`] wrote and interns it; `None` when the bytes make no sense.
pub(crate) fn decode(bytes: &[u8], catalog: &mut Catalog) -> Option<(Arc<Stream>, Vec<SeriesId>)> {
    let mut reader = Reader::new(bytes);
    let spec = StreamSpec {
        name: reader.text()?.to_owned(),
        job: reader.text()?.to_owned(),
        interval_ms: reader.varint()?,
    };
    let strings: Vec<&str> = (0..reader.count()?)
        .map(|_| reader.text())
        .collect::<Option<_>>()?;
    let string = |index: u64| strings.get(usize::try_from(index).ok()?).copied();
    let mut infos = FxHashMap::default();
    for _ in 0..reader.count()? {
        let mut next = || reader.varint().and_then(string);
        let (name, kind, unit, help) = (next()?, next()?, next()?, next()?);
        let info = MetricInfo {
            kind: from_word(kind).unwrap_or(Kind::Unknown),
            unit: from_word(unit).unwrap_or(Unit::None),
            help: help.to_owned(),
            interval_ms: spec.interval_ms,
        };
        infos.insert(name, info);
    }
    let unknown = MetricInfo {
        kind: Kind::Unknown,
        unit: Unit::None,
        help: String::new(),
        interval_ms: spec.interval_ms,
    };
    let mut columns = Vec::new();
    for _ in 0..reader.count()? {
        let pairs: Vec<(&str, &str)> = (0..reader.count()?)
            .map(|_| Some((string(reader.varint()?)?, string(reader.varint()?)?)))
            .collect::<Option<_>>()?;
        let labels = with_job(&Labels::from_pairs(pairs), &spec.job);
        let info = labels
            .metric_name()
            .and_then(|name| infos.get(name))
            .unwrap_or(&unknown);
        columns.push(catalog.intern(&labels, info));
    }
    Some((catalog.stream(&spec), columns))
}
