//! The collector that calls NVML in its own process: for the simulator and for tests. A driver that hangs, hangs it.

use podscope_model::batch::Row;

use super::rows::{GpuRows, Inventory, RowOptions};
use super::{DESCRIPTOR, GpuProcesses, Known, Nvml, NvmlFailure, take_snapshot};
use crate::collector::{Collector, Descriptor, Support};
use crate::error::{CollectError, Problems};

/// Reads `N` in the caller's thread.
#[derive(Debug)]
pub struct DirectGpuCollector<N> {
    nvml: N,
    known: Known,
    rows: GpuRows,
    problems: Problems,
}

impl<N: Nvml> DirectGpuCollector<N> {
    /// `host_name` is the value of the label `Hostname`.
    pub fn new(nvml: N, host_name: &str) -> Self {
        Self::with_options(nvml, host_name, RowOptions::default())
    }

    /// As [`DirectGpuCollector::new`], with what the operator may choose about the rows.
    pub fn with_options(nvml: N, host_name: &str, options: RowOptions) -> Self {
        Self {
            nvml,
            known: Known::default(),
            rows: GpuRows::new(host_name, options),
            problems: Problems::default(),
        }
    }

    /// The GPUs it sees, for the node's inventory.
    pub fn inventory(&self) -> Inventory {
        self.rows.inventory()
    }

    /// The processes on the GPUs, read with every collection.
    pub fn processes(&self) -> GpuProcesses {
        self.rows.processes()
    }
}

impl<N: Nvml> Collector for DirectGpuCollector<N> {
    fn descriptor(&self) -> &'static Descriptor {
        &DESCRIPTOR
    }

    fn detect(&mut self) -> Support {
        match self.nvml.count() {
            Ok(0) => Support::NotPresent("the NVIDIA driver is loaded and knows no GPU".to_owned()),
            Err(NvmlFailure::NotPresent(reason)) => Support::NotPresent(reason),
            Ok(_) | Err(_) => Support::Present,
        }
    }

    fn collect(&mut self, row: &mut Row) -> Result<(), CollectError> {
        self.problems.clear();
        let snapshot =
            take_snapshot(&mut self.nvml, &mut self.known, true).map_err(|failure| CollectError::Vendor {
                what: "NVML".to_owned(),
                reason: failure.to_string(),
            })?;
        self.rows.write(&snapshot, row, &mut self.problems);
        self.problems.outcome(row.is_empty())
    }

    fn take_problems(&mut self) -> Vec<CollectError> {
        self.problems.take()
    }
}
