//! The readings of one GPU, and which metric each of them is.

use podscope_model::catalog::{MetricDef, gpu};
use serde::{Deserialize, Serialize};

/// The kinds of PCIe errors, as the label `kind` has them.
pub const PCIE_ERRORS: [&str; 11] = [
    "naks_received",
    "receiver_error",
    "bad_tlp",
    "naks_sent",
    "bad_dllp",
    "non_fatal",
    "fatal",
    "unsupported_request",
    "lcrc",
    "lane",
    "l0_to_recovery",
];

/// What happens at a margin, as the label `threshold` has it.
pub const TEMPERATURE_LIMITS: [&str; 4] = ["shutdown", "slowdown", "memory_max", "gpu_max"];

fn none(values: &[Option<f64>]) -> bool {
    values.iter().all(Option::is_none)
}

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
            /// PCIe errors by kind, in the order of [`PCIE_ERRORS`].
            #[serde(skip_serializing_if = "none")]
            pub pcie_errors: [Option<f64>; PCIE_ERRORS.len()],
            /// Margins in °C at which something happens, in the order of [`TEMPERATURE_LIMITS`].
            #[serde(skip_serializing_if = "none")]
            pub temperature_limits: [Option<f64>; TEMPERATURE_LIMITS.len()],
            /// The frame buffer is the node's own memory.
            #[serde(skip_serializing_if = "std::ops::Not::not")]
            pub unified: bool,
        }

        impl Readings {
            /// Every reading that is there, with its metric.
            pub(crate) fn samples(&self) -> impl Iterator<Item = (&'static MetricDef, f64)> {
                [$((&gpu::$def, self.$field)),+]
                    .into_iter()
                    .filter_map(|(def, value)| value.filter(|value| value.is_finite()).map(|value| (def, value)))
            }

            /// The value of a metric, where it is a reading and there.
            pub fn get(&self, def: &MetricDef) -> Option<f64> {
                $(
                    if def.name == gpu::$def.name {
                        return self.$field;
                    }
                )+
                None
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
    /// Share of the sample window in which memory was read or written, in percent. Absent in MIG mode.
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
    /// °C left before the GPU slows down; negative beyond.
    temp_margin = DCGM_FI_DEV_GPU_TEMP_LIMIT;
    /// °C.
    slowdown_temp = DCGM_FI_DEV_SLOWDOWN_TEMP;
    /// °C.
    shutdown_temp = DCGM_FI_DEV_SHUTDOWN_TEMP;
    /// °C.
    gpu_max_op_temp = DCGM_FI_DEV_GPU_MAX_OP_TEMP;
    /// °C.
    mem_max_op_temp = DCGM_FI_DEV_MEM_MAX_OP_TEMP;
    /// Watts, the mean of the last second on Ampere and later.
    power_usage = DCGM_FI_DEV_POWER_USAGE;
    /// Watts.
    power_instant = DCGM_FI_DEV_POWER_USAGE_INSTANT;
    /// Watts.
    power_limit = DCGM_FI_DEV_ENFORCED_POWER_LIMIT;
    /// Watts.
    power_set_limit = DCGM_FI_DEV_POWER_MGMT_LIMIT;
    /// Watts.
    power_min_limit = DCGM_FI_DEV_POWER_MGMT_LIMIT_MIN;
    /// Watts.
    power_max_limit = DCGM_FI_DEV_POWER_MGMT_LIMIT_MAX;
    /// Watts.
    power_default_limit = DCGM_FI_DEV_POWER_MGMT_LIMIT_DEF;
    /// Millijoules since the driver was loaded.
    energy = DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION;
    /// MHz.
    sm_clock = DCGM_FI_DEV_SM_CLOCK;
    /// MHz.
    mem_clock = DCGM_FI_DEV_MEM_CLOCK;
    /// MHz.
    video_clock = DCGM_FI_DEV_VIDEO_CLOCK;
    /// MHz.
    max_sm_clock = DCGM_FI_DEV_MAX_SM_CLOCK;
    /// MHz.
    max_mem_clock = DCGM_FI_DEV_MAX_MEM_CLOCK;
    /// 0 to 15.
    pstate = DCGM_FI_DEV_PSTATE;
    /// `nvmlClocksEventReason*` bits.
    clocks_event_reasons = DCGM_FI_DEV_CLOCKS_EVENT_REASONS;
    /// Nanoseconds since the driver was loaded.
    power_violation = DCGM_FI_DEV_POWER_VIOLATION;
    /// Nanoseconds since the driver was loaded.
    thermal_violation = DCGM_FI_DEV_THERMAL_VIOLATION;
    /// Nanoseconds since the driver was loaded.
    sync_boost_violation = DCGM_FI_DEV_SYNC_BOOST_VIOLATION;
    /// Nanoseconds since the driver was loaded.
    board_limit_violation = DCGM_FI_DEV_BOARD_LIMIT_VIOLATION;
    /// Nanoseconds since the driver was loaded.
    low_util_violation = DCGM_FI_DEV_LOW_UTIL_VIOLATION;
    /// Nanoseconds since the driver was loaded.
    reliability_violation = DCGM_FI_DEV_RELIABILITY_VIOLATION;
    /// Nanoseconds since the driver was loaded.
    total_app_clocks_violation = DCGM_FI_DEV_TOTAL_APP_CLOCKS_VIOLATION;
    /// Nanoseconds since the driver was loaded.
    total_base_clocks_violation = DCGM_FI_DEV_TOTAL_BASE_CLOCKS_VIOLATION;
    /// Nanoseconds since the driver was loaded.
    sw_therm_slowdown = DCGM_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN_NS;
    /// Nanoseconds since the driver was loaded.
    hw_therm_slowdown = DCGM_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN_NS;
    /// Nanoseconds since the driver was loaded.
    hw_power_brake_slowdown = DCGM_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN_NS;
    /// Count since the driver was loaded.
    pcie_replay = DCGM_FI_DEV_PCIE_REPLAY_COUNTER;
    /// Count since the driver was loaded.
    pcie_correctable = DCGM_FI_DEV_PCIE_COUNT_CORRECTABLE_ERRORS;
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
    /// Ratio, 0 to 1 in steps of 0.0001.
    gr_engine_active = DCGM_FI_PROF_GR_ENGINE_ACTIVE;
    /// Ratio, 0 to 1 in steps of 0.0001.
    sm_active = DCGM_FI_PROF_SM_ACTIVE;
    /// Ratio, 0 to 1 in steps of 0.0001.
    sm_occupancy = DCGM_FI_PROF_SM_OCCUPANCY;
    /// Ratio, 0 to 1 in steps of 0.0001.
    tensor_active = DCGM_FI_PROF_PIPE_TENSOR_ACTIVE;
    /// Ratio, 0 to 1 in steps of 0.0001.
    tensor_imma_active = DCGM_FI_PROF_PIPE_TENSOR_IMMA_ACTIVE;
    /// Ratio, 0 to 1 in steps of 0.0001.
    tensor_hmma_active = DCGM_FI_PROF_PIPE_TENSOR_HMMA_ACTIVE;
    /// Ratio, 0 to 1 in steps of 0.0001.
    tensor_dfma_active = DCGM_FI_PROF_PIPE_TENSOR_DFMA_ACTIVE;
    /// Ratio, 0 to 1 in steps of 0.0001.
    dram_active = DCGM_FI_PROF_DRAM_ACTIVE;
    /// Ratio, 0 to 1 in steps of 0.0001.
    fp64_active = DCGM_FI_PROF_PIPE_FP64_ACTIVE;
    /// Ratio, 0 to 1 in steps of 0.0001.
    fp32_active = DCGM_FI_PROF_PIPE_FP32_ACTIVE;
    /// Ratio, 0 to 1 in steps of 0.0001.
    fp16_active = DCGM_FI_PROF_PIPE_FP16_ACTIVE;
    /// Ratio, 0 to 1 in steps of 0.0001.
    int_active = DCGM_FI_PROF_PIPE_INT_ACTIVE;
    /// Bytes per second since the last read.
    nvlink_tx = DCGM_FI_PROF_NVLINK_TX_BYTES;
    /// Bytes per second since the last read.
    nvlink_rx = DCGM_FI_PROF_NVLINK_RX_BYTES;
    /// Bytes since the driver was loaded.
    nvlink_tx_bytes = DCGM_FI_DEV_NVLINK_COUNT_TX_BYTES;
    /// Bytes since the driver was loaded.
    nvlink_rx_bytes = DCGM_FI_DEV_NVLINK_COUNT_RX_BYTES;
    /// Count of all links.
    nvlink_crc_flit = DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL;
    /// Count of all links.
    nvlink_crc_data = DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL;
    /// Count of all links.
    nvlink_replay = DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL;
    /// Count of all links.
    nvlink_recovery = DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL;
    /// Count of all links; NVLink 5.
    nvlink5_rx_malformed_packet_errors = DCGM_FI_DEV_NVLINK_COUNT_RX_MALFORMED_PACKET_ERRORS;
    /// Count of all links; NVLink 5.
    nvlink5_rx_buffer_overrun_errors = DCGM_FI_DEV_NVLINK_COUNT_RX_BUFFER_OVERRUN_ERRORS;
    /// Count of all links; NVLink 5.
    nvlink5_rx_errors = DCGM_FI_DEV_NVLINK_COUNT_RX_ERRORS;
    /// Count of all links; NVLink 5.
    nvlink5_rx_remote_errors = DCGM_FI_DEV_NVLINK_COUNT_RX_REMOTE_ERRORS;
    /// Count of all links; NVLink 5.
    nvlink5_rx_general_errors = DCGM_FI_DEV_NVLINK_COUNT_RX_GENERAL_ERRORS;
    /// Count of all links; NVLink 5.
    nvlink5_local_link_integrity_errors = DCGM_FI_DEV_NVLINK_COUNT_LOCAL_LINK_INTEGRITY_ERRORS;
    /// Count of all links; NVLink 5.
    nvlink5_tx_discards = DCGM_FI_DEV_NVLINK_COUNT_TX_DISCARDS;
    /// Count of all links; NVLink 5.
    nvlink5_link_recovery_successful_events = DCGM_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_SUCCESSFUL_EVENTS;
    /// Count of all links; NVLink 5.
    nvlink5_link_recovery_failed_events = DCGM_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS;
    /// Count of all links; NVLink 5.
    nvlink5_link_recovery_events = DCGM_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS;
    /// Count of all links; NVLink 5.
    nvlink5_rx_symbol_errors = DCGM_FI_DEV_NVLINK_COUNT_RX_SYMBOL_ERRORS;
    /// Count of all links; NVLink 5.
    nvlink5_effective_errors = DCGM_FI_DEV_NVLINK_COUNT_EFFECTIVE_ERRORS;
    /// Count.
    nvlinks = PODSCOPE_GPU_NVLINKS;
    /// Count.
    nvlinks_active = PODSCOPE_GPU_NVLINKS_ACTIVE;
    /// Count.
    c2c_interrupts = DCGM_FI_DEV_C2C_LINK_ERROR_INTR;
    /// Count.
    c2c_replays = DCGM_FI_DEV_C2C_LINK_ERROR_REPLAY;
    /// 0 or 1.
    ecc_on = DCGM_FI_DEV_ECC_CURRENT;
    /// Count since the driver was loaded.
    ecc_sbe_volatile = DCGM_FI_DEV_ECC_SBE_VOL_TOTAL;
    /// Count since the driver was loaded.
    ecc_dbe_volatile = DCGM_FI_DEV_ECC_DBE_VOL_TOTAL;
    /// Count of the GPU's life.
    ecc_sbe_aggregate = DCGM_FI_DEV_ECC_SBE_AGG_TOTAL;
    /// Count of the GPU's life.
    ecc_dbe_aggregate = DCGM_FI_DEV_ECC_DBE_AGG_TOTAL;
    /// Count since the driver was loaded.
    ecc_sbe_vol_l1 = DCGM_FI_DEV_ECC_SBE_VOL_L1;
    /// Count since the driver was loaded.
    ecc_sbe_vol_l2 = DCGM_FI_DEV_ECC_SBE_VOL_L2;
    /// Count since the driver was loaded.
    ecc_sbe_vol_dev = DCGM_FI_DEV_ECC_SBE_VOL_DEV;
    /// Count since the driver was loaded.
    ecc_sbe_vol_reg = DCGM_FI_DEV_ECC_SBE_VOL_REG;
    /// Count since the driver was loaded.
    ecc_sbe_vol_tex = DCGM_FI_DEV_ECC_SBE_VOL_TEX;
    /// Count since the driver was loaded.
    ecc_dbe_vol_l1 = DCGM_FI_DEV_ECC_DBE_VOL_L1;
    /// Count since the driver was loaded.
    ecc_dbe_vol_l2 = DCGM_FI_DEV_ECC_DBE_VOL_L2;
    /// Count since the driver was loaded.
    ecc_dbe_vol_dev = DCGM_FI_DEV_ECC_DBE_VOL_DEV;
    /// Count since the driver was loaded.
    ecc_dbe_vol_reg = DCGM_FI_DEV_ECC_DBE_VOL_REG;
    /// Count since the driver was loaded.
    ecc_dbe_vol_tex = DCGM_FI_DEV_ECC_DBE_VOL_TEX;
    /// Count of the GPU's life.
    ecc_sbe_agg_l1 = DCGM_FI_DEV_ECC_SBE_AGG_L1;
    /// Count of the GPU's life.
    ecc_sbe_agg_l2 = DCGM_FI_DEV_ECC_SBE_AGG_L2;
    /// Count of the GPU's life.
    ecc_sbe_agg_dev = DCGM_FI_DEV_ECC_SBE_AGG_DEV;
    /// Count of the GPU's life.
    ecc_sbe_agg_reg = DCGM_FI_DEV_ECC_SBE_AGG_REG;
    /// Count of the GPU's life.
    ecc_sbe_agg_tex = DCGM_FI_DEV_ECC_SBE_AGG_TEX;
    /// Count of the GPU's life.
    ecc_dbe_agg_l1 = DCGM_FI_DEV_ECC_DBE_AGG_L1;
    /// Count of the GPU's life.
    ecc_dbe_agg_l2 = DCGM_FI_DEV_ECC_DBE_AGG_L2;
    /// Count of the GPU's life.
    ecc_dbe_agg_dev = DCGM_FI_DEV_ECC_DBE_AGG_DEV;
    /// Count of the GPU's life.
    ecc_dbe_agg_reg = DCGM_FI_DEV_ECC_DBE_AGG_REG;
    /// Count of the GPU's life.
    ecc_dbe_agg_tex = DCGM_FI_DEV_ECC_DBE_AGG_TEX;
    /// Rows.
    remapped_correctable = DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS;
    /// Rows.
    remapped_uncorrectable = DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS;
    /// 1 where a remapping waits for a reset.
    remap_pending = DCGM_FI_DEV_ROW_REMAP_PENDING;
    /// 1 where a remapping failed.
    remap_failure = DCGM_FI_DEV_ROW_REMAP_FAILURE;
    /// Banks.
    remap_banks_max = DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_MAX;
    /// Banks.
    remap_banks_high = DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_HIGH;
    /// Banks.
    remap_banks_partial = DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_PARTIAL;
    /// Banks.
    remap_banks_low = DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_LOW;
    /// Banks.
    remap_banks_none = DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_NONE;
    /// Pages.
    retired_sbe = DCGM_FI_DEV_RETIRED_SBE;
    /// Pages.
    retired_dbe = DCGM_FI_DEV_RETIRED_DBE;
    /// Pages.
    retired_pending = DCGM_FI_DEV_RETIRED_PENDING;
    /// `nvmlDeviceGpuRecoveryAction_t`.
    recovery_action = DCGM_FI_DEV_GET_GPU_RECOVERY_ACTION;
    /// `dcgmFabricManagerStatus_t`.
    fabric_status = DCGM_FI_DEV_FABRIC_MANAGER_STATUS;
    /// `nvmlGpuFabricInfo` health mask.
    fabric_health = DCGM_FI_DEV_FABRIC_HEALTH_MASK;
    /// 0 or 1.
    persistence_mode = DCGM_FI_DEV_PERSISTENCE_MODE;
    /// 0 or 1.
    mig_mode = DCGM_FI_DEV_MIG_MODE;
}
