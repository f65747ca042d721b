//! dcgm-exporter's metrics, under its names and labels.

use super::{Job, metrics};

metrics! { Job::Dcgm;
    DCGM_FI_DEV_GPU_UTIL = Gauge, Percent, "DCGM_FI_DEV_GPU_UTIL", ["gpu", "UUID", "pci_bus_id", "device", "modelName", "Hostname", "GPU_I_PROFILE", "GPU_I_ID"], "GPU utilization (in %).", "nvmlDeviceGetUtilizationRates";
}
