//! `/proc/sys/fs/file-nr`: file handles in use and the most there may be. The middle number is 0 on every Linux since 2.6.

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, host};

use super::one_file::FileFormat;
use crate::collector::Descriptor;
use crate::error::{CollectError, Problems};
use crate::text::{Line, Text};

#[derive(Debug, Default)]
pub(crate) struct FileFd;

impl FileFormat for FileFd {
    const DESCRIPTOR: &'static Descriptor = &Descriptor {
        name: "filefd",
        job: Job::Node,
        interval_ms: 1000,
        metrics: host::filefd::ALL,
        touches: &["/proc/sys/fs/file-nr"],
    };
    const PATH: &'static str = "/proc/sys/fs/file-nr";

    fn parse(&mut self, text: Text<'_>, row: &mut Row, problems: &mut Problems) {
        problems.note(text.only().and_then(|line| handles(line, row)));
    }
}

fn handles(line: Line<'_>, row: &mut Row) -> Result<(), CollectError> {
    let mut fields = line.fields();
    let allocated = line.count(fields.next(), "three counts")?;
    let maximum = line.count(fields.nth(1), "three counts")?;
    row.set(&host::NODE_FILEFD_ALLOCATED, &[], allocated as f64);
    row.set(&host::NODE_FILEFD_MAXIMUM, &[], maximum as f64);
    Ok(())
}
