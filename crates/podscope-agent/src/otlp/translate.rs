//! From a request to series: gauges, sums, histograms and summaries under Prometheus's names and labels.

use std::collections::BTreeMap;
use std::net::IpAddr;

use podscope_model::catalog::{Kind, Unit};
use podscope_model::labels::{Labels, NAME};
use podscope_model::sample::STALE;

use super::deltas::{Deltas, NotAdded};
use super::message::{
    CUMULATIVE, DELTA, ExportRequest, HistogramPoint, KeyValue, Metric, NumberPoint, Resource,
};
use super::names;
use super::switches::SwitchBook;
use crate::ingest::Described;
use crate::remote_write::{Label, Sample, Series};

/// A point's flag: the series has no value any more.
const NO_VALUE: u32 = 1;
/// A point from further in the future than this would keep out what comes after it.
const FUTURE_MS: i64 = 300_000;
/// Labels of a series.
const MOST_LABELS: usize = 40;
/// Bytes of a label's value.
const MOST_VALUE: usize = 1024;

/// What became of the points of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) taken: u64,
    /// By reason.
    pub(super) dropped: BTreeMap<&'static str, u64>,
}

impl Counted {
    fn drop(&mut self, reason: &'static str, points: usize) {
        if points > 0 {
            *self.dropped.entry(reason).or_default() += points as u64;
        }
    }

    pub(super) fn all_dropped(&self) -> u64 {
        self.dropped.values().sum()
    }
}

/// What a translation works with besides the request.
pub(super) struct Translator<'a> {
    pub(super) deltas: &'a mut Deltas,
    pub(super) switches: &'a SwitchBook,
    /// Resource attributes that become labels.
    pub(super) attributes: &'a [String],
    pub(super) peer: IpAddr,
    pub(super) now_ms: i64,
    pub(super) series: Vec<Described>,
    pub(super) counted: Counted,
}

/// What is common to the series of a resource.
struct Origin {
    job: String,
    instance: String,
    labels: BTreeMap<String, String>,
    host: Option<String>,
}

impl Translator<'_> {
    pub(super) fn request(&mut self, request: &ExportRequest) {
        for resource in &request.resource_metrics {
            let origin = self.origin(resource.resource.as_ref());
            for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                self.metric(metric, &origin);
            }
        }
    }

    fn origin(&self, resource: Option<&Resource>) -> Origin {
        let attributes = resource.map_or(&[][..], |resource| &resource.attributes);
        let text = |key: &str| {
            let found = attributes.iter().find(|pair| pair.key == key);
            found
                .and_then(|pair| pair.value.as_ref()?.text())
                .filter(|text| !text.is_empty())
        };
        let mut job = text("service.name").unwrap_or_default();
        if let Some(namespace) = text("service.namespace").filter(|_| !job.is_empty()) {
            job = format!("{namespace}/{job}");
        }
        let mut labels = BTreeMap::new();
        for pair in attributes {
            // Names without a dot are a switch's static labels.
            let wanted = self.attributes.contains(&pair.key) || !pair.key.contains('.');
            if let Some(value) = pair.value.as_ref().and_then(super::message::AnyValue::text)
                && wanted
            {
                labels.insert(names::label(&pair.key), value);
            }
        }
        Origin {
            job,
            instance: text("service.instance.id").unwrap_or_default(),
            host: ["net.host.name", "host.name"].iter().find_map(|key| text(key)),
            labels,
        }
    }

    fn metric(&mut self, metric: &Metric, origin: &Origin) {
        if let Some(gauge) = &metric.gauge {
            self.numbers(metric, Kind::Gauge, CUMULATIVE, &gauge.data_points, origin);
        }
        if let Some(sum) = &metric.sum {
            let kind = if sum.is_monotonic {
                Kind::Counter
            } else {
                Kind::Gauge
            };
            self.numbers(
                metric,
                kind,
                sum.aggregation_temporality,
                &sum.data_points,
                origin,
            );
        }
        if let Some(histogram) = &metric.histogram {
            let (name, unit) = names::metric(&metric.name, &metric.unit, Kind::Histogram);
            for point in &histogram.data_points {
                self.histogram(
                    (&name, unit, &metric.description),
                    histogram.aggregation_temporality,
                    point,
                    origin,
                );
            }
        }
        if let Some(histogram) = &metric.exponential_histogram {
            self.counted
                .drop("exponential_histogram", histogram.data_points.len());
        }
        if let Some(summary) = &metric.summary {
            let (name, unit) = names::metric(&metric.name, &metric.unit, Kind::Summary);
            for point in &summary.data_points {
                let Some(t_ms) = self.time(point.time_unix_nano, 1) else {
                    continue;
                };
                let labels = self.labels(&name, &point.attributes, origin);
                let about = (Kind::Summary, unit, metric.description.as_str());
                let gone = point.flags & NO_VALUE != 0;
                let or_gone = |value: f64| if gone { STALE } else { value };
                for quantile in &point.quantile_values {
                    let mut labels = labels.clone();
                    let value = quantile.quantile.unwrap_or(0.0).to_string();
                    labels.insert("quantile".to_owned(), value);
                    let value = or_gone(quantile.value.unwrap_or(0.0));
                    self.push(&name, &name, labels, origin, about, t_ms, value);
                }
                let sum = or_gone(point.sum.unwrap_or(0.0));
                let parts = [("_count", or_gone(point.count as f64)), ("_sum", sum)];
                for (suffix, value) in parts {
                    let full = format!("{name}{suffix}");
                    self.push(&name, &full, labels.clone(), origin, about, t_ms, value);
                }
                self.counted.taken += 1;
            }
        }
    }

    fn numbers(
        &mut self,
        metric: &Metric,
        kind: Kind,
        temporality: i32,
        points: &[NumberPoint],
        origin: &Origin,
    ) {
        let (name, unit) = names::metric(&metric.name, &metric.unit, kind);
        // Some senders send counters as gauges; the catalog knows better.
        let kind = podscope_model::catalog::find(&name).map_or(kind, |def| def.kind);
        for point in points {
            let Some(t_ms) = self.time(point.time_unix_nano, 1) else {
                continue;
            };
            let value = point.as_double.or_else(|| point.as_int.map(|value| value as f64));
            let value = match value {
                _ if point.flags & NO_VALUE != 0 => STALE,
                Some(value) => value,
                None => {
                    self.counted.drop("no_value", 1);
                    continue;
                }
            };
            let labels = self.labels(&name, &point.attributes, origin);
            let value = match temporality {
                DELTA if point.flags & NO_VALUE == 0 => {
                    let key = Labels::from_pairs(
                        labels
                            .iter()
                            .map(|(name, value)| (name.as_str(), value.as_str()))
                            .chain([(NAME, name.as_str())]),
                    );
                    match self.deltas.add(&key, t_ms, &[value]) {
                        Ok(total) => total.first().copied().unwrap_or(value),
                        Err(reason) => {
                            self.counted.drop(word(reason), 1);
                            continue;
                        }
                    }
                }
                _ => value,
            };
            self.counted.taken += 1;
            self.push(
                &name,
                &name,
                labels,
                origin,
                (kind, unit, &metric.description),
                t_ms,
                value,
            );
        }
    }

    fn histogram(
        &mut self,
        (name, unit, help): (&str, Unit, &str),
        temporality: i32,
        point: &HistogramPoint,
        origin: &Origin,
    ) {
        let bounds = &point.explicit_bounds;
        let mut counts: Vec<f64> = point.bucket_counts.iter().map(|count| *count as f64).collect();
        let rising = bounds.windows(2).all(|pair| pair[0] < pair[1]);
        if !counts.is_empty() && (counts.len() != bounds.len() + 1 || !rising) {
            self.counted.drop("bad_buckets", 1);
            return;
        }
        let Some(t_ms) = self.time(point.time_unix_nano, 1) else {
            return;
        };
        let labels = self.labels(name, &point.attributes, origin);
        // Some switches leave out the count of their latency histograms.
        let mut count = match point.count {
            0 => counts.iter().sum(),
            count => count as f64,
        };
        let mut sum = point.sum;
        let gone = point.flags & NO_VALUE != 0;
        if temporality == DELTA && !gone {
            let key = Labels::from_pairs(
                labels
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .chain([(NAME, name)]),
            );
            let mut values = counts.clone();
            values.push(count);
            values.extend(sum);
            match self.deltas.add(&key, t_ms, &values) {
                Ok(mut totals) => {
                    sum = sum.and_then(|_| totals.pop());
                    count = totals.pop().unwrap_or(count);
                    counts = totals;
                }
                Err(reason) => {
                    self.counted.drop(word(reason), 1);
                    return;
                }
            }
        }
        self.counted.taken += 1;
        let about = (Kind::Histogram, unit, help);
        let or_gone = |value: f64| if gone { STALE } else { value };
        let bucket = format!("{name}_bucket");
        let mut below = 0.0;
        for (bound, more) in bounds.iter().zip(&counts) {
            below += more;
            let mut labels = labels.clone();
            labels.insert("le".to_owned(), bound.to_string());
            self.push(name, &bucket, labels, origin, about, t_ms, or_gone(below));
        }
        let mut all = labels.clone();
        all.insert("le".to_owned(), "+Inf".to_owned());
        self.push(name, &bucket, all, origin, about, t_ms, or_gone(count));
        self.push(
            name,
            &format!("{name}_count"),
            labels.clone(),
            origin,
            about,
            t_ms,
            or_gone(count),
        );
        if let Some(sum) = sum {
            self.push(
                name,
                &format!("{name}_sum"),
                labels,
                origin,
                about,
                t_ms,
                or_gone(sum),
            );
        }
    }

    /// The labels of a point, without name and job. A switch's metrics carry its name.
    fn labels(&mut self, name: &str, attributes: &[KeyValue], origin: &Origin) -> BTreeMap<String, String> {
        let mut labels = BTreeMap::new();
        for pair in attributes {
            let Some(value) = pair.value.as_ref().and_then(super::message::AnyValue::text) else {
                continue;
            };
            if value.is_empty() || labels.len() >= MOST_LABELS {
                continue;
            }
            let entry: &mut String = labels.entry(names::label(&pair.key)).or_default();
            // Two attributes with one name, as Prometheus does it.
            if !entry.is_empty() {
                entry.push(';');
            }
            entry.push_str(&value);
        }
        for (label, value) in &origin.labels {
            labels.entry(label.clone()).or_insert_with(|| value.clone());
        }
        if is_switch_metric(name) {
            for host in ["net_host_name", "host_name"] {
                labels.remove(host);
            }
            for (label, value) in self
                .switches
                .labels_of(origin.host.as_deref(), self.peer, self.now_ms)
            {
                labels.insert(label, value);
            }
        }
        if !origin.instance.is_empty() {
            labels.insert("instance".to_owned(), origin.instance.clone());
        }
        labels.remove("job");
        labels.remove(NAME);
        for value in labels.values_mut() {
            let end = value.floor_char_boundary(MOST_VALUE);
            value.truncate(end);
        }
        labels
    }

    fn time(&mut self, nanoseconds: u64, points: usize) -> Option<i64> {
        let t_ms = i64::try_from(nanoseconds / 1_000_000).unwrap_or(i64::MAX);
        match t_ms {
            0 => Some(self.now_ms),
            t_ms if t_ms > self.now_ms + FUTURE_MS => {
                self.counted.drop("future", points);
                None
            }
            t_ms => Some(t_ms),
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one series has that many sides")]
    fn push(
        &mut self,
        metric: &str,
        name: &str,
        labels: BTreeMap<String, String>,
        origin: &Origin,
        about: (Kind, Unit, &str),
        t_ms: i64,
        value: f64,
    ) {
        let (kind, unit, help) = about;
        let switch = labels.get("switch");
        let job = match (is_switch_metric(metric), origin.job.as_str()) {
            (true, _) => podscope_model::catalog::Job::Switch.as_str(),
            (false, "") => "otlp",
            (false, job) => job,
        };
        let who = switch.unwrap_or(&origin.instance);
        let stream = format!("otlp:{job}:{who}:{metric}");
        let mut list: Vec<Label> = labels
            .into_iter()
            .map(|(name, value)| Label { name, value })
            .collect();
        list.push(Label {
            name: NAME.to_owned(),
            value: name.to_owned(),
        });
        list.push(Label {
            name: "job".to_owned(),
            value: job.to_owned(),
        });
        self.series.push(Described {
            series: Series {
                labels: list,
                samples: vec![Sample {
                    value,
                    timestamp: t_ms,
                }],
            },
            kind,
            unit,
            help: help.to_owned(),
            stream,
        });
    }
}

fn word(reason: NotAdded) -> &'static str {
    match reason {
        NotAdded::Late => "late",
        NotAdded::TooMany => "too_many_series",
    }
}

/// What Spectrum's telemetry sends.
fn is_switch_metric(name: &str) -> bool {
    name.starts_with("nvswitch_") || name.starts_with("nvrouting_")
}
