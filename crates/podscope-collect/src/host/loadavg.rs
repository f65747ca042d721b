//! `/proc/loadavg`: the load of the last 1, 5 and 15 minutes.

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, host};

use super::one_file::FileFormat;
use crate::collector::Descriptor;
use crate::error::{CollectError, Problems};
use crate::text::{Line, Text};

#[derive(Debug, Default)]
pub(crate) struct LoadAvg;

impl FileFormat for LoadAvg {
    const DESCRIPTOR: &'static Descriptor = &Descriptor {
        name: "loadavg",
        job: Job::Node,
        interval_ms: 1000,
        metrics: host::loadavg::ALL,
        touches: &["/proc/loadavg"],
    };
    const PATH: &'static str = "/proc/loadavg";

    fn parse(&mut self, text: Text<'_>, row: &mut Row, problems: &mut Problems) {
        problems.note(text.only().and_then(|line| loads(line, row)));
    }
}

fn loads(line: Line<'_>, row: &mut Row) -> Result<(), CollectError> {
    let mut fields = line.fields();
    for def in [&host::NODE_LOAD1, &host::NODE_LOAD5, &host::NODE_LOAD15] {
        row.set(def, &[], line.number(fields.next(), "three load averages")?);
    }
    Ok(())
}
