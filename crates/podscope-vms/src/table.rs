//! Which metric of the catalog is which property of which object. The catalog's own column of origins says it, so that the
//! documentation cannot say another thing than the code does.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use podscope_model::catalog::{Kind, MetricDef, vast};

/// The protocols asked for where a query does not say which.
pub const PROTOCOLS: [&str; 6] = [
    "ProtoCommon",
    "BlockCommon",
    "NFSCommon",
    "NFS4Common",
    "S3Common",
    "SMBCommon",
];

/// Where a metric comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A property of the monitors.
    Monitor(Property),
    /// Made from a list of objects, as it is now.
    Objects,
    /// Who is busiest.
    Top(TopColumn),
    /// Made by whoever asks the server: its age, its answers.
    Own,
}

/// A property of the monitors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// `cluster`, `cnode`, `nic`, `ssd`
    pub object_type: &'static str,
    /// The name; `*` stands for the protocol.
    pub fqn: &'static str,
    /// Accumulates: the last value of a bucket counts, not its mean.
    pub accumulates: bool,
}

impl Property {
    /// The class, by which properties are asked for together.
    pub fn class(&self) -> &'static str {
        self.fqn.split(',').next().unwrap_or_default()
    }

    pub fn by_protocol(&self) -> bool {
        self.fqn.contains("proto_name=*")
    }

    /// The name for a protocol.
    pub fn of_protocol(&self, protocol: &str) -> String {
        self.fqn
            .replace("proto_name=*", &format!("proto_name={protocol}"))
    }

    /// How often the server has a new value.
    pub fn cadence_ms(&self) -> i64 {
        cadence_ms(self.class())
    }

    /// The value in the catalog's unit. Capacities come in bytes or in terabytes: no cluster has less than ten megabytes.
    pub fn scaled(&self, value: f64) -> f64 {
        let is_size = self.class() == "Capacity" && !self.fqn.ends_with(",drr");
        if is_size && value.abs() < 1e7 {
            value * 1e12
        } else {
            value
        }
    }
}

/// How often a class of properties has a new value.
pub fn cadence_ms(class: &str) -> i64 {
    match class {
        "ProtoMetrics" => 10_000,
        "Capacity" => 300_000,
        _ => 60_000,
    }
}

/// One column of who is busiest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopColumn {
    /// `user`, `client`, `vip`, `vippool`, `view`
    pub key: &'static str,
    /// `bw`, `iops`, `latency`, `md_iops`
    pub kind: &'static str,
    pub read: bool,
}

/// The origin of every metric of the catalog's part, by name.
pub fn origins() -> &'static BTreeMap<&'static str, (&'static MetricDef, Origin)> {
    static TABLE: OnceLock<BTreeMap<&'static str, (&'static MetricDef, Origin)>> = OnceLock::new();
    TABLE.get_or_init(|| {
        vast::ALL
            .iter()
            .map(|def| (def.name, (*def, origin(def))))
            .collect()
    })
}

/// The origin of one metric.
pub fn find(name: &str) -> Option<&'static (&'static MetricDef, Origin)> {
    origins().get(name)
}

fn origin(def: &'static MetricDef) -> Origin {
    let Some(rest) = def.origin.strip_prefix("VMS ") else {
        return Origin::Own;
    };
    if let Some(key) = rest.strip_prefix("/monitors/topn/ key=") {
        let kinds = ["md_iops", "iops", "latency", "bw"];
        let kind = kinds
            .into_iter()
            .find(|kind| def.name.ends_with(kind))
            .unwrap_or("bw");
        return Origin::Top(TopColumn {
            key,
            kind,
            read: def.name.contains("_read_"),
        });
    }
    match rest.split_once(": ") {
        Some((object_type, fqn)) => Origin::Monitor(Property {
            object_type,
            fqn,
            accumulates: def.kind == Kind::Counter,
        }),
        None => Origin::Objects,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_of_the_catalog_has_a_place_it_comes_from() {
        let mut counted = [0; 4];
        for (name, (_, origin)) in origins() {
            match origin {
                Origin::Monitor(property) => {
                    counted[0] += 1;
                    assert!(
                        ["cluster", "cnode", "nic", "ssd"].contains(&property.object_type),
                        "{name}"
                    );
                    assert!(
                        property.fqn.contains(',') && !property.fqn.contains(' '),
                        "{name}: {}",
                        property.fqn
                    );
                    let sums = property.fqn.ends_with("__sum") || property.fqn.ends_with("__num_samples");
                    assert_eq!(
                        name.ends_with("_sum") || name.ends_with("_count"),
                        sums,
                        "{name} and {}",
                        property.fqn
                    );
                    assert_eq!(name.ends_with("_avg"), property.fqn.ends_with("__avg"), "{name}");
                    assert_eq!(
                        name.ends_with("_rate"),
                        property.fqn.ends_with("__rate"),
                        "{name}"
                    );
                }
                Origin::Objects => counted[1] += 1,
                Origin::Top(column) => {
                    counted[2] += 1;
                    assert!(name.ends_with(column.kind), "{name}");
                }
                Origin::Own => counted[3] += 1,
            }
        }
        assert!(counted.iter().all(|count| *count >= 4), "{counted:?}");
    }

    #[test]
    fn capacities_are_bytes_whether_they_come_as_such_or_as_terabytes() {
        let (_, origin) = find(vast::VAST_CLUSTER_PHYSICAL_SPACE.name).expect("in the catalog");
        let Origin::Monitor(property) = origin else {
            panic!("a monitor's")
        };
        assert_eq!(property.scaled(310.0), 3.1e14);
        assert_eq!(property.scaled(3.1e14), 3.1e14);
    }
}
