//! Which properties an expression's selectors mean.

use std::collections::{BTreeMap, BTreeSet};

use podscope_model::catalog::{self, Kind, Unit};
use podscope_model::labels::NAME;
use podscope_model::leaf::MetricInfo;
use podscope_model::matcher::{Matcher, fixed_name};
use podscope_vms::table::{self, Origin, PROTOCOLS};

/// Metrics whose names are not said, but matched: more of them are refused.
const MAX_BY_PATTERN: usize = 40;
/// Samples of longer ranges stand a minute apart.
const INTERVAL_MS: u64 = 60_000;

/// A property somebody configured, under the name VAST's exporter would give it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Extra {
    pub(super) object_type: String,
    pub(super) fqn: String,
    pub(super) accumulates: bool,
    /// Tags of the name that are labels of the series.
    pub(super) labels: Vec<(String, String)>,
}

/// `cnode`, `BlockMetrics,read_latency__sum` -> `vast_cnode_metrics_BlockMetrics_read_latency_sum`.
pub(super) fn extra(object_type: &str, fqn: &str) -> (String, Extra) {
    let mut parts = fqn.split(',');
    let class = parts.next().unwrap_or_default();
    let mut parts: Vec<&str> = parts.collect();
    let last = parts.pop().unwrap_or_default();
    let accumulates = last.ends_with("__sum") || last.ends_with("__num_samples");
    let property = last.replace("__num_samples", "_count").replace("__", "_");
    let labels = parts
        .iter()
        .filter_map(|tag| tag.split_once('='))
        .filter(|(name, _)| *name != "component")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let name = format!("vast_{object_type}_metrics_{class}_{property}");
    let extra = Extra {
        object_type: object_type.to_owned(),
        fqn: fqn.to_owned(),
        accumulates,
        labels,
    };
    (name, extra)
}

/// One thing to read for one metric.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Monitor {
        metric: String,
        object_type: String,
        fqn: String,
        accumulates: bool,
        /// Beside those of the object.
        labels: Vec<(String, String)>,
    },
    /// From a list of objects.
    Objects(&'static str),
    Top(&'static str, table::TopColumn),
    Own(&'static str),
}

/// The metrics of this server.
#[derive(Debug)]
pub(super) struct Metrics {
    extras: BTreeMap<String, Vec<Extra>>,
}

impl Metrics {
    pub(super) fn new(properties: &[(String, String)]) -> Self {
        let mut extras: BTreeMap<String, Vec<Extra>> = BTreeMap::new();
        for (object_type, fqn) in properties {
            let (name, extra) = extra(object_type, fqn);
            // What the catalog has needs no second way.
            if table::find(&name).is_none() {
                extras.entry(name).or_default().push(extra);
            }
        }
        Self { extras }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        table::find(name).is_some() || self.extras.contains_key(name)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        table::origins()
            .keys()
            .copied()
            .chain(self.extras.keys().map(String::as_str))
    }

    pub(super) fn infos(&self) -> BTreeMap<String, MetricInfo> {
        let known = table::origins().values().map(|(def, _)| {
            let info = MetricInfo {
                kind: def.kind,
                unit: def.unit,
                help: def.help.to_owned(),
                interval_ms: INTERVAL_MS,
            };
            (def.name.to_owned(), info)
        });
        let extras = self.extras.iter().map(|(name, list)| {
            let info = MetricInfo {
                kind: match list.iter().any(|extra| extra.accumulates) {
                    true => Kind::Counter,
                    false => Kind::Gauge,
                },
                unit: Unit::None,
                help: "A property of VMS that the data source's settings name.".to_owned(),
                interval_ms: INTERVAL_MS,
            };
            (name.clone(), info)
        });
        known.chain(extras).collect()
    }

    /// The names the selectors may mean; an empty list means none of ours.
    pub(super) fn meant(&self, selectors: &[Vec<Matcher>]) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for matchers in selectors {
            match fixed_name(matchers) {
                Some(name) => names.extend(self.has(name).then(|| name.to_owned())),
                // `{job="vast"}` alone would read everything there is: a name, or the pattern of one, must be said.
                None => {
                    let by_name: Vec<&Matcher> = matchers
                        .iter()
                        .filter(|matcher| matcher.name() == NAME && !matcher.matches(""))
                        .collect();
                    if by_name.is_empty() {
                        continue;
                    }
                    let meant: Vec<String> = self
                        .names()
                        .filter(|name| by_name.iter().all(|matcher| matcher.matches(name)))
                        .map(str::to_owned)
                        .collect();
                    if meant.len() <= MAX_BY_PATTERN {
                        names.extend(meant);
                    }
                }
            }
        }
        names
    }

    /// What to read for a metric, given the selectors that mean it.
    pub(super) fn parts(&self, name: &str, selectors: &[Vec<Matcher>]) -> Vec<Part> {
        if let Some((def, origin)) = table::find(name) {
            return match origin {
                Origin::Objects => vec![Part::Objects(def.name)],
                Origin::Top(column) => vec![Part::Top(def.name, *column)],
                // There is no age of what nobody read.
                Origin::Own if def.name == catalog::vast::PODSCOPE_VAST_SAMPLE_AGE_SECONDS.name => vec![
                    Part::Own(def.name),
                    Part::Monitor {
                        metric: catalog::vast::VAST_CLUSTER_METRICS_PROTOMETRICS_RD_BW
                            .name
                            .to_owned(),
                        object_type: "cluster".to_owned(),
                        fqn: "ProtoMetrics,proto_name=ProtoCommon,rd_bw".to_owned(),
                        accumulates: false,
                        labels: vec![("proto_name".to_owned(), "ProtoCommon".to_owned())],
                    },
                ],
                Origin::Own => vec![Part::Own(def.name)],
                Origin::Monitor(property) => {
                    let protocols: Vec<&str> = match property.by_protocol() {
                        false => vec![""],
                        true => PROTOCOLS
                            .into_iter()
                            .filter(|protocol| wanted_protocol(name, protocol, selectors))
                            .collect(),
                    };
                    protocols
                        .into_iter()
                        .map(|protocol| Part::Monitor {
                            metric: name.to_owned(),
                            object_type: property.object_type.to_owned(),
                            fqn: property.of_protocol(protocol),
                            accumulates: property.accumulates,
                            labels: match protocol {
                                "" => Vec::new(),
                                protocol => vec![("proto_name".to_owned(), protocol.to_owned())],
                            },
                        })
                        .collect()
                }
            };
        }
        let extras = self.extras.get(name).into_iter().flatten();
        extras
            .map(|extra| Part::Monitor {
                metric: name.to_owned(),
                object_type: extra.object_type.clone(),
                fqn: extra.fqn.clone(),
                accumulates: extra.accumulates,
                labels: extra.labels.clone(),
            })
            .collect()
    }
}

/// Whether any selector of this metric admits the protocol.
fn wanted_protocol(name: &str, protocol: &str, selectors: &[Vec<Matcher>]) -> bool {
    selectors.iter().any(|matchers| {
        matchers.iter().all(|matcher| match matcher.name() {
            NAME => matcher.matches(name),
            "proto_name" => matcher.matches(protocol),
            _ => true,
        })
    })
}

/// The value of a property in the catalog's unit.
pub(super) fn scaled(metric: &str, value: f64) -> f64 {
    match table::find(metric) {
        Some((_, Origin::Monitor(property))) => property.scaled(value),
        _ => value,
    }
}

/// Whether a metric is read from management servers at all, whatever is configured.
pub(crate) fn is_catalogued(name: &str) -> bool {
    catalog::find(name).is_some_and(|def| def.job == catalog::Job::Vast)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selectors(text: &str) -> Vec<Vec<Matcher>> {
        podscope_promql::parse(text).expect(text).selectors()
    }

    fn read(metrics: &Metrics, text: &str) -> Vec<String> {
        let selectors = selectors(text);
        let names = metrics.meant(&selectors);
        let parts = names.iter().flat_map(|name| metrics.parts(name, &selectors));
        parts
            .map(|part| match part {
                Part::Monitor { object_type, fqn, .. } => format!("{object_type} {fqn}"),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_selector_reads_only_the_protocols_it_admits() {
        let metrics = Metrics::new(&[]);
        let one = read(
            &metrics,
            r#"rate(vast_cnode_metrics_ProtoMetrics_read_latency_sum{proto_name="BlockCommon"}[5m])"#,
        );
        assert_eq!(
            one,
            ["cnode ProtoMetrics,proto_name=BlockCommon,read_latency__sum"]
        );
        assert_eq!(
            read(&metrics, "vast_cluster_metrics_ProtoMetrics_rd_bw").len(),
            PROTOCOLS.len()
        );
    }

    #[test]
    fn a_selector_without_a_name_reads_nothing_and_a_pattern_only_a_few() {
        let metrics = Metrics::new(&[]);
        assert!(read(&metrics, r#"{job="vast"}"#).is_empty());
        assert!(read(&metrics, r#"{__name__=~".+"}"#).is_empty());
        assert!(read(&metrics, r#"{__name__=~"vast_.*"}"#).is_empty());
        assert!(read(&metrics, "node_load1 + up").is_empty());
        assert_eq!(read(&metrics, r#"{__name__=~"vast_quota_.*"}"#).len(), 4);
    }

    #[test]
    fn configured_properties_are_named_as_the_exporter_would() {
        let configured = |object: &str, fqn: &str| (object.to_owned(), fqn.to_owned());
        let metrics = Metrics::new(&[
            configured("cnode", "BlockMetrics,qos_volumes_cache_hit_rate__rate"),
            configured("cluster", "NfsMetrics,nfs_rename_latency__num_samples"),
            configured("cluster", "ProtoMetrics,proto_name=KafkaCommon,bw"),
        ]);
        let names: Vec<&str> = metrics.extras.keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "vast_cluster_metrics_NfsMetrics_nfs_rename_latency_count",
                "vast_cluster_metrics_ProtoMetrics_bw",
                "vast_cnode_metrics_BlockMetrics_qos_volumes_cache_hit_rate_rate",
            ]
        );
        let bw = metrics.parts("vast_cluster_metrics_ProtoMetrics_bw", &[]);
        assert!(
            matches!(&bw[..], [Part::Monitor { labels, accumulates: false, .. }] if labels[0].1 == "KafkaCommon"),
            "{bw:?}"
        );
        assert_eq!(
            metrics.infos()["vast_cluster_metrics_NfsMetrics_nfs_rename_latency_count"].kind,
            Kind::Counter
        );
    }
}
