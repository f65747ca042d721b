//! `uname`: kernel, machine and host name, as labels of a constant.

use std::sync::Arc;

use podscope_model::batch::Row;
use podscope_model::catalog::{Job, host};

use crate::collector::{Collector, Descriptor, Support};
use crate::error::CollectError;
use crate::fs::HostFs;

static DESCRIPTOR: Descriptor = Descriptor {
    name: "uname",
    job: Job::Node,
    interval_ms: 60_000,
    metrics: host::uname::ALL,
    touches: &["uname"],
};

#[derive(Debug)]
pub(crate) struct UnameInfo {
    fs: Arc<dyn HostFs>,
}

impl UnameInfo {
    pub(crate) fn new(fs: Arc<dyn HostFs>) -> Self {
        Self { fs }
    }
}

impl Collector for UnameInfo {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        Support::Present
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        let uname = self
            .fs
            .uname()
            .map_err(|source| CollectError::read("uname", source))?;
        let labels = [
            ("sysname", uname.sysname.as_str()),
            ("release", &uname.release),
            ("version", &uname.version),
            ("machine", &uname.machine),
            ("nodename", &uname.nodename),
            ("domainname", &uname.domainname),
        ];
        row.set(&host::NODE_UNAME_INFO, &labels, 1.0);
        Ok(())
    }
}
