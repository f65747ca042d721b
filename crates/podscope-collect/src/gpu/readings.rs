//! The readings of one GPU, and which metric each of them is.

use podscope_model::catalog::{MetricDef, gpu};
use serde::{Deserialize, Serialize};

/// Declares the readings: the field, its metric and what it means.
macro_rules! readings {
    ($($(#[doc = $doc:literal])+ $field:ident = $def:ident;)+) => {
        /// The readings of one GPU or MIG instance, in the units of their metrics; `None` where the GPU or driver has no
        /// such reading.
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct Readings {
            $(
                $(#[doc = $doc])+
                #[serde(skip_serializing_if = "Option::is_none")]
                pub $field: Option<f64>,
            )+
        }

        impl Readings {
            /// Every reading that is there, with its metric.
            pub(crate) fn samples(&self) -> impl Iterator<Item = (&'static MetricDef, f64)> {
                [$((&gpu::$def, self.$field)),+]
                    .into_iter()
                    .filter_map(|(def, value)| value.filter(|value| value.is_finite()).map(|value| (def, value)))
            }

            /// The reading behind a metric; `None` for a metric that is no reading.
            pub fn get_mut(&mut self, def: &MetricDef) -> Option<&mut Option<f64>> {
                $(
                    if *def == gpu::$def {
                        return Some(&mut self.$field);
                    }
                )+
                None
            }
        }
    };
}

readings! {
    /// Share of the sample window in which a kernel ran, in percent. Absent in MIG mode.
    gpu_util = DCGM_FI_DEV_GPU_UTIL;
    /// Share of the sample window in which memory was read or written, in percent.
    mem_copy_util = DCGM_FI_DEV_MEM_COPY_UTIL;
    /// Percent.
    enc_util = DCGM_FI_DEV_ENC_UTIL;
    /// Percent.
    dec_util = DCGM_FI_DEV_DEC_UTIL;
    /// MiB.
    fb_free = DCGM_FI_DEV_FB_FREE;
    /// MiB, without what the driver reserves.
    fb_used = DCGM_FI_DEV_FB_USED;
    /// MiB.
    fb_reserved = DCGM_FI_DEV_FB_RESERVED;
    /// MiB.
    fb_total = DCGM_FI_DEV_FB_TOTAL;
    /// °C.
    gpu_temp = DCGM_FI_DEV_GPU_TEMP;
    /// °C of the hottest memory stack.
    memory_temp = DCGM_FI_DEV_MEMORY_TEMP;
    /// Watts, the mean of the last second on Ampere and later.
    power_usage = DCGM_FI_DEV_POWER_USAGE;
    /// Watts.
    power_limit = DCGM_FI_DEV_ENFORCED_POWER_LIMIT;
    /// Millijoules since the driver was loaded.
    energy = DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION;
    /// MHz.
    sm_clock = DCGM_FI_DEV_SM_CLOCK;
    /// MHz.
    mem_clock = DCGM_FI_DEV_MEM_CLOCK;
    /// `nvmlClocksEventReason*` bits.
    clocks_event_reasons = DCGM_FI_DEV_CLOCKS_EVENT_REASONS;
    /// Count since the driver was loaded.
    pcie_replay = DCGM_FI_DEV_PCIE_REPLAY_COUNTER;
    /// Generation now; an idle link trains down.
    pcie_link_gen = DCGM_FI_DEV_PCIE_LINK_GEN;
    /// Lanes now.
    pcie_link_width = DCGM_FI_DEV_PCIE_LINK_WIDTH;
    /// Generation of GPU and slot together.
    pcie_max_link_gen = DCGM_FI_DEV_PCIE_MAX_LINK_GEN;
    /// Lanes of GPU and slot together.
    pcie_max_link_width = DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH;
    /// Bytes per second since the last read.
    pcie_tx = DCGM_FI_PROF_PCIE_TX_BYTES;
    /// Bytes per second since the last read.
    pcie_rx = DCGM_FI_PROF_PCIE_RX_BYTES;
    /// Count since the driver was loaded.
    ecc_sbe_volatile = DCGM_FI_DEV_ECC_SBE_VOL_TOTAL;
    /// Count since the driver was loaded.
    ecc_dbe_volatile = DCGM_FI_DEV_ECC_DBE_VOL_TOTAL;
    /// Count of the GPU's life.
    ecc_sbe_aggregate = DCGM_FI_DEV_ECC_SBE_AGG_TOTAL;
    /// Count of the GPU's life.
    ecc_dbe_aggregate = DCGM_FI_DEV_ECC_DBE_AGG_TOTAL;
    /// Rows.
    remapped_correctable = DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS;
    /// Rows.
    remapped_uncorrectable = DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS;
    /// 1 where a remapping waits for a reset.
    remap_pending = DCGM_FI_DEV_ROW_REMAP_PENDING;
    /// 1 where a remapping failed.
    remap_failure = DCGM_FI_DEV_ROW_REMAP_FAILURE;
}
