//! `/proc/meminfo`: memory by use. A line in `kB` is made bytes; one without unit is a count.

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, MetricDef, Unit, host};
use rustc_hash::FxHashMap;

use super::one_file::FileFormat;
use crate::collector::Descriptor;
use crate::error::{CollectError, Problems};
use crate::text::{Line, Text};

/// The metric of each field, by the kernel's name of it.
#[derive(Debug)]
pub(crate) struct MemInfo {
    fields: FxHashMap<String, &'static MetricDef>,
}

impl Default for MemInfo {
    fn default() -> Self {
        let fields = host::meminfo::ALL.iter().filter_map(|def| {
            let name = def.name.strip_prefix("node_memory_")?;
            let name = if def.unit == Unit::Bytes {
                name.strip_suffix("_bytes")?
            } else {
                name
            };
            // `Active_anon` is the kernel's `Active(anon)`.
            let name = match name.rsplit_once('_') {
                Some((stem, part @ ("anon" | "file"))) => format!("{stem}({part})"),
                _ => name.to_owned(),
            };
            Some((name, *def))
        });
        Self {
            fields: fields.collect(),
        }
    }
}

impl FileFormat for MemInfo {
    const DESCRIPTOR: &'static Descriptor = &Descriptor {
        name: "meminfo",
        job: Job::Node,
        interval_ms: 1000,
        metrics: host::meminfo::ALL,
        touches: &["/proc/meminfo"],
    };
    const PATH: &'static str = "/proc/meminfo";

    fn parse(&mut self, text: Text<'_>, row: &mut Row, problems: &mut Problems) {
        for line in text.lines() {
            problems.note(line.and_then(|line| self.line(line, row)));
        }
    }
}

impl MemInfo {
    fn line(&self, line: Line<'_>, row: &mut Row) -> Result<(), CollectError> {
        let Some((name, rest)) = line.text.split_once(':') else {
            return Err(line.expected("a field and its value"));
        };
        let Some(def) = self.fields.get(name) else {
            return Ok(());
        };
        let mut fields = rest.split_ascii_whitespace();
        let value = line.count(fields.next(), "a count")? as f64;
        let factor = match fields.next() {
            None => 1.0,
            Some("kB") => 1024.0,
            Some(_) => return Err(line.expected("kB or no unit")),
        };
        row.set(def, &[], value * factor);
        Ok(())
    }
}
