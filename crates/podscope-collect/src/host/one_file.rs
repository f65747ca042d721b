//! The collectors that read a single file.

use std::sync::Arc;

use podscope_model::batch::Row;

use super::Reader;
use crate::collector::{Collector, Descriptor, Support};
use crate::error::{CollectError, Problems};
use crate::fs::HostFs;
use crate::text::Text;

/// How one file becomes a row.
pub(crate) trait FileFormat: Default + Send {
    const DESCRIPTOR: &'static Descriptor;
    const PATH: &'static str;

    /// Writes what can be read; what cannot goes to `problems`.
    fn parse(&mut self, text: Text<'_>, row: &mut Row, problems: &mut Problems);
}

/// The collector of one file.
#[derive(Debug)]
pub(crate) struct OneFile<F> {
    reader: Reader,
    problems: Problems,
    format: F,
}

impl<F: FileFormat> OneFile<F> {
    pub(crate) fn new(fs: Arc<dyn HostFs>) -> Self {
        Self {
            reader: Reader::new(fs),
            problems: Problems::default(),
            format: F::default(),
        }
    }
}

impl<F: FileFormat> Collector for OneFile<F> {
    fn descriptor(&self) -> &'static Descriptor {
        F::DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        if self.reader.fs.exists(F::PATH) {
            Support::Present
        } else {
            Support::NotPresent(format!("no {}", F::PATH))
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        self.problems.clear();
        let text = self.reader.hot(F::PATH)?;
        self.format.parse(text, row, &mut self.problems);
        self.problems.outcome(row.is_empty())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}
