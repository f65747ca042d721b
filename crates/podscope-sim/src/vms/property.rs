//! Properties by their fully qualified names, `Class[,tag=value],name[__suffix]`, and what each is worth.

use super::server::{Seen, Shared};
use super::totals::NIC_COUNTERS;
use super::world::{Load, Op};

/// What VMS writes where a maximum has no samples: the largest u64.
pub(super) const NO_MAXIMUM: f64 = 18_446_744_073_709_551_615.0;

/// A property, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Property {
    pub(super) fqn: String,
    pub(super) class: String,
    /// `proto_name=NFSCommon`, `component=nic`.
    pub(super) tag: Option<(String, String)>,
    /// `read_latency`
    pub(super) name: String,
    /// `avg`; empty where there is none.
    pub(super) suffix: String,
}

impl Property {
    pub(super) fn parse(fqn: &str) -> Option<Self> {
        let parts: Vec<&str> = fqn.split(',').collect();
        let (class, tag, last) = match parts.as_slice() {
            [class, last] => (*class, None, *last),
            [class, tag, last] => (*class, tag.split_once('='), *last),
            _ => return None,
        };
        if parts.len() == 3 && tag.is_none() {
            return None;
        }
        let (name, suffix) = last.split_once("__").unwrap_or((last, ""));
        Some(Self {
            fqn: fqn.to_owned(),
            class: class.to_owned(),
            tag: tag.map(|(name, value)| (name.to_owned(), value.to_owned())),
            name: name.to_owned(),
            suffix: suffix.to_owned(),
        })
    }

    fn tag(&self, name: &str) -> &str {
        match &self.tag {
            Some((tag, value)) if tag == name => value,
            _ => "",
        }
    }

    /// Rows hold one group of a class each: those with a suffix come in rows of their own.
    pub(super) fn group(&self) -> (String, bool) {
        let tag = self.tag.as_ref().map_or("", |(_, value)| value);
        let apart = self.class == "ProtoMetrics" && !self.suffix.is_empty();
        (format!("{},{tag}", self.class), apart)
    }

    /// How often VMS has a new value, and at which second: families are out of step with one another.
    pub(super) fn cadence_ms(&self) -> (i64, i64) {
        match self.class.as_str() {
            "ProtoMetrics" => (10_000, 1_000),
            "Capacity" => (300_000, 41_000),
            _ => (60_000, 26_000),
        }
    }

    /// Whether it is known for a type of objects, and can be asked for.
    pub(super) fn is_known(&self, object_type: &str) -> bool {
        let is = |list: &[&str]| list.contains(&self.name.as_str());
        let suffixed = |list: &[&str]| list.contains(&self.suffix.as_str());
        const SUFFIXES: &[&str] = &["avg", "max", "std", "rate", "num_samples", "sum", "sum_squares"];
        let of_cnodes = matches!(object_type, "cluster" | "cnode");
        match (self.class.as_str(), object_type) {
            ("ProtoMetrics", _) if of_cnodes => {
                let proto = self.tag("proto_name");
                let known = [
                    "ProtoCommon",
                    "ProtoAll",
                    "NFSCommon",
                    "NFS4Common",
                    "SMBCommon",
                    "S3Common",
                    "BlockCommon",
                ];
                let plain = is(&[
                    "iops",
                    "rd_iops",
                    "wr_iops",
                    "md_iops",
                    "rd_md_iops",
                    "wr_md_iops",
                    "bw",
                    "rd_bw",
                    "wr_bw",
                    "latency",
                    "rd_latency",
                    "wr_latency",
                ]);
                let windowed = is(&["read_latency", "write_latency", "read_size", "write_size"]);
                known.contains(&proto)
                    && ((plain && self.suffix.is_empty()) || (windowed && suffixed(SUFFIXES)))
            }
            ("BlockMetrics", _) if of_cnodes => {
                (is(&["read_latency", "write_latency"]) && suffixed(SUFFIXES))
                    || (is(&["read_req", "write_req"]) && self.suffix.is_empty())
            }
            ("NfsMetrics", _) if of_cnodes => {
                is(&[
                    "nfs_read_latency",
                    "nfs_write_latency",
                    "nfs_getattr_latency",
                    "nfs_lookup_latency",
                    "nfs_commit_latency",
                ]) && suffixed(&["avg", "rate"])
            }
            ("Capacity", "cluster") => is(&[
                "drr",
                "logical_space",
                "logical_space_in_use",
                "physical_space",
                "physical_space_in_use",
                "auxiliary_space_in_use",
            ]),
            ("SchedulerMetrics", "cnode") => is(&["window_runtime"]),
            ("RpcRdmaMetrics", "cnode") => is(&["active_links"]),
            ("Hardware", _) => match (self.tag("component"), object_type) {
                ("node", "cnode") => is(&["cpu_utilization", "mem_percent", "cpu_temp"]),
                ("nic", "nic") => is(&["r_mbs", "t_mbs"]) || is(&NIC_COUNTERS),
                ("disk", "ssd") => is(&[
                    "r_mbs",
                    "w_mbs",
                    "r_await",
                    "w_await",
                    "temperature",
                    "endurance",
                    "media_errors",
                ]),
                _ => false,
            },
            _ => false,
        }
    }
}

/// What the catalog lists, whether or not monitors serve it.
pub(super) fn catalog() -> Vec<(Property, Vec<&'static str>, &'static str)> {
    let mut list = Vec::new();
    let mut add = |fqn: String, types: &[&'static str], units: &'static str| {
        if let Some(property) = Property::parse(&fqn) {
            list.push((property, types.to_vec(), units));
        }
    };
    for proto in [
        "ProtoCommon",
        "NFSCommon",
        "NFS4Common",
        "S3Common",
        "SMBCommon",
        "BlockCommon",
    ] {
        for name in [
            "rd_bw",
            "wr_bw",
            "rd_iops",
            "wr_iops",
            "md_iops",
            "rd_latency",
            "wr_latency",
        ] {
            let units = if name.ends_with("bw") {
                "MB/s"
            } else if name.ends_with("latency") {
                "ms"
            } else {
                "IOPS"
            };
            add(
                format!("ProtoMetrics,proto_name={proto},{name}"),
                &["cluster", "cnode"],
                units,
            );
        }
        for name in ["read_latency", "write_latency", "read_size", "write_size"] {
            for suffix in ["avg", "max", "std", "rate", "num_samples", "sum"] {
                add(
                    format!("ProtoMetrics,proto_name={proto},{name}__{suffix}"),
                    &["cluster", "cnode"],
                    "ms",
                );
            }
        }
    }
    for name in ["read_latency", "write_latency"] {
        for suffix in ["avg", "max", "rate"] {
            add(
                format!("BlockMetrics,{name}__{suffix}"),
                &["cluster", "cnode"],
                "ms",
            );
        }
    }
    add("BlockMetrics,read_req".to_owned(), &["cluster", "cnode"], "");
    add(
        "NfsMetrics,nfs_read_latency__avg".to_owned(),
        &["cluster", "cnode"],
        "ms",
    );
    add(
        "S3Metrics,get_latency__avg".to_owned(),
        &["cluster", "cnode"],
        "ms",
    );
    add("Capacity,physical_space_in_use".to_owned(), &["cluster"], "TB");
    add(
        "Hardware,component=node,cpu_utilization".to_owned(),
        &["cnode", "dnode"],
        "%",
    );
    add("Hardware,component=nic,t_pause".to_owned(), &["nic"], "");
    add(
        "Hardware,component=disk,r_mbs".to_owned(),
        &["ssd", "nvram"],
        "MB/s",
    );
    add("SchedulerMetrics,window_runtime".to_owned(), &["cnode"], "%");
    list
}

/// The value of a property of an object; `None`: there is none.
pub(super) fn value(
    shared: &Shared,
    state: &Seen,
    object: (&str, u32),
    property: &Property,
    t_ms: i64,
) -> Option<f64> {
    let (object_type, id) = object;
    let cnode = || state.cnodes.iter().find(|cnode| cnode.id == id);
    if object_type == "cnode" && cnode().is_none_or(|cnode| cnode.state != "ACTIVE") {
        return None;
    }
    match (property.class.as_str(), object_type) {
        ("ProtoMetrics", _) => {
            let proto = match property.tag("proto_name") {
                "ProtoAll" => "ProtoCommon",
                proto => proto,
            };
            let member = if object_type == "cluster" { 0 } else { id };
            let load = state.load(member, proto).unwrap_or_default();
            if property.suffix.is_empty() {
                return plain(&load, &property.name);
            }
            let sums = shared.totals.load(member, proto, t_ms, &|at| shared.state(at));
            let (op, sums, is_size) = match property.name.as_str() {
                "read_latency" => (load.read, sums.read, false),
                "write_latency" => (load.write, sums.write, false),
                "read_size" => (load.read, sums.read, true),
                _ => (load.write, sums.write, true),
            };
            Some(windowed(
                op,
                &property.suffix,
                is_size,
                sums.count,
                if is_size { sums.bytes } else { sums.latency_us },
            ))
        }
        ("BlockMetrics", _) => {
            let member = if object_type == "cluster" { 0 } else { id };
            let load = state.load(member, "BlockCommon")?;
            let sums = shared
                .totals
                .load(member, "BlockCommon", t_ms, &|at| shared.state(at));
            let (op, sums) = match property.name.starts_with("read") {
                true => (load.read, sums.read),
                false => (load.write, sums.write),
            };
            match property.name.ends_with("_req") {
                true => Some(sums.count),
                false => Some(windowed(op, &property.suffix, false, sums.count, sums.latency_us)),
            }
        }
        ("NfsMetrics", _) => {
            let member = if object_type == "cluster" { 0 } else { id };
            let load = state.load(member, "NFSCommon")?;
            let op = match property.name.as_str() {
                "nfs_read_latency" => load.read,
                "nfs_write_latency" => load.write,
                "nfs_commit_latency" => Op {
                    iops: load.write.iops * 0.1,
                    ..load.write
                },
                _ => Op {
                    iops: load.md_iops / 2.0,
                    bw: 0.0,
                    latency_us: 90.0,
                },
            };
            Some(if property.suffix == "rate" {
                op.iops
            } else {
                op.latency_us
            })
        }
        ("Capacity", _) => {
            let cluster = &state.cluster;
            Some(match property.name.as_str() {
                "drr" => cluster.drr,
                "logical_space" => cluster.logical_space,
                "logical_space_in_use" => cluster.logical_space_in_use,
                "physical_space" => cluster.physical_space,
                "physical_space_in_use" => cluster.physical_space_in_use,
                _ => cluster.auxiliary_space_in_use,
            })
        }
        ("SchedulerMetrics", _) => cnode().map(|cnode| cnode.window_runtime),
        ("RpcRdmaMetrics", _) => cnode().map(|cnode| cnode.rdma_links),
        ("Hardware", "cnode") => cnode().map(|cnode| match property.name.as_str() {
            "cpu_utilization" => cnode.cpu_percent,
            "mem_percent" => cnode.mem_percent,
            _ => cnode.cpu_celsius,
        }),
        ("Hardware", "nic") => {
            let nic = state.nics.iter().find(|nic| nic.id == id)?;
            Some(match property.name.as_str() {
                "r_mbs" => nic.r_mbs,
                "t_mbs" => nic.t_mbs,
                name => {
                    let at = NIC_COUNTERS.iter().position(|counter| *counter == name)?;
                    shared.totals.nic(id, at, t_ms, &|at| shared.state(at))
                }
            })
        }
        ("Hardware", "ssd") => {
            let ssd = state.ssds.iter().find(|ssd| ssd.id == id)?;
            Some(match property.name.as_str() {
                "r_mbs" => ssd.r_mbs,
                "w_mbs" => ssd.w_mbs,
                "r_await" => ssd.r_await,
                "w_await" => ssd.w_await,
                "temperature" => ssd.celsius,
                "endurance" => ssd.endurance,
                _ => ssd.media_errors,
            })
        }
        _ => None,
    }
}

fn plain(load: &Load, name: &str) -> Option<f64> {
    let both = load.read.and(load.write);
    Some(match name {
        "iops" => both.iops + load.md_iops,
        "rd_iops" => load.read.iops,
        "wr_iops" => load.write.iops,
        "md_iops" => load.md_iops,
        "rd_md_iops" => load.md_iops * 0.7,
        "wr_md_iops" => load.md_iops * 0.3,
        "bw" => both.bw,
        "rd_bw" => load.read.bw,
        "wr_bw" => load.write.bw,
        "latency" => both.latency_us,
        "rd_latency" => load.read.latency_us,
        "wr_latency" => load.write.latency_us,
        _ => return None,
    })
}

fn windowed(op: Op, suffix: &str, is_size: bool, count: f64, sum: f64) -> f64 {
    let mean = match (is_size, op.iops > 0.0) {
        (_, false) => 0.0,
        (true, _) => op.bw / op.iops,
        (false, _) => op.latency_us,
    };
    match suffix {
        "avg" => mean,
        "max" if op.iops <= 0.0 => NO_MAXIMUM,
        "max" => mean * 9.0,
        "std" => mean * 0.6,
        "rate" => op.iops,
        "num_samples" => count,
        "sum" => sum,
        _ => mean * mean * 1.36 * count,
    }
}
