//! `/proc/vmstat`: paging, swapping, faults and OOM kills since boot.

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, MetricDef, host};

use super::one_file::FileFormat;
use crate::collector::Descriptor;
use crate::error::{CollectError, Problems};
use crate::text::{Line, Text};

/// The fields of node_exporter's default, `^(oom_kill|pgpg|pswp|pg.*fault).*`.
const FIELDS: [(&str, &MetricDef); 7] = [
    ("pgpgin", &host::NODE_VMSTAT_PGPGIN),
    ("pgpgout", &host::NODE_VMSTAT_PGPGOUT),
    ("pswpin", &host::NODE_VMSTAT_PSWPIN),
    ("pswpout", &host::NODE_VMSTAT_PSWPOUT),
    ("pgfault", &host::NODE_VMSTAT_PGFAULT),
    ("pgmajfault", &host::NODE_VMSTAT_PGMAJFAULT),
    ("oom_kill", &host::NODE_VMSTAT_OOM_KILL),
];

#[derive(Debug, Default)]
pub(crate) struct VmStat;

impl FileFormat for VmStat {
    const DESCRIPTOR: &'static Descriptor = &Descriptor {
        name: "vmstat",
        job: Job::Node,
        interval_ms: 1000,
        metrics: host::vmstat::ALL,
        touches: &["/proc/vmstat"],
    };
    const PATH: &'static str = "/proc/vmstat";

    fn parse(&mut self, text: Text<'_>, row: &mut Row, problems: &mut Problems) {
        for line in text.lines() {
            problems.note(line.and_then(|line| field(line, row)));
        }
    }
}

fn field(line: Line<'_>, row: &mut Row) -> Result<(), CollectError> {
    let Some((name, value)) = line.text.split_once(' ') else {
        return Err(line.expected("a field and its value"));
    };
    let wanted = FIELDS.iter().find(|(field, _)| *field == name);
    if let Some((_, def)) = wanted {
        row.set(def, &[], line.count(Some(value.trim_ascii()), "a count")? as f64);
    }
    Ok(())
}
