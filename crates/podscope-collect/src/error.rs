//! What can go wrong while collecting. Every variant names the place; the cause is the error's source.

use std::io;
use std::time::Duration;

/// Why a collection, or one reading of it, failed.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// A file, folder or system call could not be read.
    #[error("cannot read {path}")]
    Read {
        path: String,
        #[source]
        source: io::Error,
    },
    /// A line is not what the kernel documents.
    #[error("{path}:{line}: {what} expected, found {found:?}")]
    Parse {
        path: String,
        line: usize,
        what: &'static str,
        found: String,
    },
    /// A vendor's library or driver refused.
    #[error("{what}: {reason}")]
    Vendor { what: String, reason: String },
    /// A source did not answer in time; what is stuck is left alone.
    #[error("{what} did not answer within {after:?}")]
    Deadline { what: String, after: Duration },
}

impl CollectError {
    pub(crate) fn read(path: &str, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    /// Whether the cause is that the file or folder is not there.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// The most problems kept of one collection: enough to see what is wrong, few enough to log.
const KEPT_PROBLEMS: usize = 16;

/// Readings that failed while the rest of a collection went on.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<CollectError>);

impl Problems {
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn push(&mut self, problem: CollectError) {
        if self.0.len() < KEPT_PROBLEMS {
            self.0.push(problem);
        }
    }

    /// Keeps the problem, if there is one; answers whether there was none.
    pub(crate) fn note(&mut self, result: Result<(), CollectError>) -> bool {
        result.map_err(|problem| self.push(problem)).is_ok()
    }

    pub(crate) fn take(&mut self) -> Vec<CollectError> {
        std::mem::take(&mut self.0)
    }

    /// The result of a collection: failed when nothing at all could be read and something was wrong.
    pub(crate) fn outcome(&mut self, nothing_read: bool) -> Result<(), CollectError> {
        if nothing_read && !self.0.is_empty() {
            return Err(self.0.remove(0));
        }
        Ok(())
    }
}
