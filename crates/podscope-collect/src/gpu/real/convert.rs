//! From raw answers of the library to readings: no call is made here, so that all of it can be tested without a GPU.

use nvml_wrapper::enums::gpm::GpmMetricId;
use nvml_wrapper::sys_exports::field_id;

use crate::gpu::{NvmlFailure, Readings};

/// `nvmlReturn_t` of nvml.h.
pub(super) const SUCCESS: u32 = 0;
pub(super) const GPU_IS_LOST: u32 = 15;
pub(super) const RESET_REQUIRED: u32 = 16;

/// The value of a field as the library left it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FieldAnswer {
    /// `nvmlReturn_t`.
    pub(super) code: u32,
    /// `nvmlValueType_t`.
    pub(super) value_type: u32,
    /// The union, zero where the type is shorter than eight bytes.
    pub(super) bits: u64,
}

impl FieldAnswer {
    /// The number; `None` where the GPU or driver has no such field, or answers with the mark for "not available".
    pub(super) fn number(self) -> Result<Option<f64>, NvmlFailure> {
        if matches!(self.code, GPU_IS_LOST | RESET_REQUIRED) {
            return Err(NvmlFailure::GpuLost);
        }
        if self.code != SUCCESS {
            return Ok(None);
        }
        let low = self.bits as u32;
        Ok(match self.value_type {
            0 => Some(f64::from_bits(self.bits)).filter(|value| value.is_finite()),
            1 => (low != u32::MAX).then(|| f64::from(low)),
            2 | 3 => (self.bits != u64::MAX).then_some(self.bits as f64),
            4 => Some(self.bits.cast_signed() as f64),
            5 => Some(f64::from(low.cast_signed())),
            6 => Some(f64::from(low as u16)),
            _ => None,
        })
    }
}

/// Driver 580.82 renumbered the fields from 251 to 273 (docs.nvidia.com/deploy/nvml-api/known-issues.html).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Renumbered(pub(super) bool);

impl Renumbered {
    pub(super) fn of_driver(version: &str) -> Self {
        let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        Self(version >= (580, 82))
    }

    /// The number this driver has for a field.
    pub(super) fn id(self, id: u32) -> u32 {
        match id {
            251..=255 if self.0 => id + 18,
            256..=273 if self.0 => id - 5,
            other => other,
        }
    }
}

/// A field and where its value goes.
pub(super) struct Field {
    pub(super) id: u32,
    /// The value is multiplied with this.
    factor: f64,
    set: fn(&mut Readings, Option<f64>),
}

macro_rules! fields {
    ($($id:ident => $field:ident $([$at:literal])? $(* $factor:literal)?,)*) => {
        [$(Field {
            id: field_id::$id,
            factor: 1.0 $(* $factor)?,
            set: |readings, value| readings.$field $([$at])? = value,
        }),*]
    };
}

/// Read every time, all in one call.
pub(super) static OFTEN: [Field; 15] = fields![
    NVML_FI_DEV_MEMORY_TEMP => memory_temp,
    NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION => energy,
    NVML_FI_DEV_PCIE_REPLAY_COUNTER => pcie_replay,
    NVML_FI_DEV_POWER_INSTANT => power_instant * 0.001,
    NVML_FI_DEV_PERF_POLICY_POWER => power_violation,
    NVML_FI_DEV_PERF_POLICY_THERMAL => thermal_violation,
    NVML_FI_DEV_PERF_POLICY_SYNC_BOOST => sync_boost_violation,
    NVML_FI_DEV_PERF_POLICY_BOARD_LIMIT => board_limit_violation,
    NVML_FI_DEV_PERF_POLICY_LOW_UTILIZATION => low_util_violation,
    NVML_FI_DEV_PERF_POLICY_RELIABILITY => reliability_violation,
    NVML_FI_DEV_PERF_POLICY_TOTAL_APP_CLOCKS => total_app_clocks_violation,
    NVML_FI_DEV_PERF_POLICY_TOTAL_BASE_CLOCKS => total_base_clocks_violation,
    NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN => sw_therm_slowdown,
    NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN => hw_therm_slowdown,
    NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN => hw_power_brake_slowdown,
];

/// Read seldom, all in one call.
pub(super) static SELDOM: [Field; 60] = fields![
    NVML_FI_DEV_ECC_CURRENT => ecc_on,
    NVML_FI_DEV_ECC_SBE_VOL_TOTAL => ecc_sbe_volatile,
    NVML_FI_DEV_ECC_DBE_VOL_TOTAL => ecc_dbe_volatile,
    NVML_FI_DEV_ECC_SBE_AGG_TOTAL => ecc_sbe_aggregate,
    NVML_FI_DEV_ECC_DBE_AGG_TOTAL => ecc_dbe_aggregate,
    NVML_FI_DEV_ECC_SBE_VOL_L1 => ecc_sbe_vol_l1,
    NVML_FI_DEV_ECC_DBE_VOL_L1 => ecc_dbe_vol_l1,
    NVML_FI_DEV_ECC_SBE_VOL_L2 => ecc_sbe_vol_l2,
    NVML_FI_DEV_ECC_DBE_VOL_L2 => ecc_dbe_vol_l2,
    NVML_FI_DEV_ECC_SBE_VOL_DEV => ecc_sbe_vol_dev,
    NVML_FI_DEV_ECC_DBE_VOL_DEV => ecc_dbe_vol_dev,
    NVML_FI_DEV_ECC_SBE_VOL_REG => ecc_sbe_vol_reg,
    NVML_FI_DEV_ECC_DBE_VOL_REG => ecc_dbe_vol_reg,
    NVML_FI_DEV_ECC_SBE_VOL_TEX => ecc_sbe_vol_tex,
    NVML_FI_DEV_ECC_DBE_VOL_TEX => ecc_dbe_vol_tex,
    NVML_FI_DEV_ECC_SBE_AGG_L1 => ecc_sbe_agg_l1,
    NVML_FI_DEV_ECC_DBE_AGG_L1 => ecc_dbe_agg_l1,
    NVML_FI_DEV_ECC_SBE_AGG_L2 => ecc_sbe_agg_l2,
    NVML_FI_DEV_ECC_DBE_AGG_L2 => ecc_dbe_agg_l2,
    NVML_FI_DEV_ECC_SBE_AGG_DEV => ecc_sbe_agg_dev,
    NVML_FI_DEV_ECC_DBE_AGG_DEV => ecc_dbe_agg_dev,
    NVML_FI_DEV_ECC_SBE_AGG_REG => ecc_sbe_agg_reg,
    NVML_FI_DEV_ECC_DBE_AGG_REG => ecc_dbe_agg_reg,
    NVML_FI_DEV_ECC_SBE_AGG_TEX => ecc_sbe_agg_tex,
    NVML_FI_DEV_ECC_DBE_AGG_TEX => ecc_dbe_agg_tex,
    NVML_FI_DEV_REMAPPED_COR => remapped_correctable,
    NVML_FI_DEV_REMAPPED_UNC => remapped_uncorrectable,
    NVML_FI_DEV_REMAPPED_PENDING => remap_pending,
    NVML_FI_DEV_REMAPPED_FAILURE => remap_failure,
    NVML_FI_DEV_RETIRED_SBE => retired_sbe,
    NVML_FI_DEV_RETIRED_DBE => retired_dbe,
    NVML_FI_DEV_RETIRED_PENDING => retired_pending,
    NVML_FI_DEV_POWER_CURRENT_LIMIT => power_set_limit * 0.001,
    NVML_FI_DEV_POWER_MIN_LIMIT => power_min_limit * 0.001,
    NVML_FI_DEV_POWER_MAX_LIMIT => power_max_limit * 0.001,
    NVML_FI_DEV_POWER_DEFAULT_LIMIT => power_default_limit * 0.001,
    NVML_FI_DEV_PCIE_COUNT_CORRECTABLE_ERRORS => pcie_correctable,
    NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL => nvlink_crc_flit,
    NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL => nvlink_crc_data,
    NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL => nvlink_replay,
    NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL => nvlink_recovery,
    NVML_FI_DEV_NVLINK_LINK_COUNT => nvlinks,
    NVML_FI_DEV_C2C_LINK_ERROR_INTR => c2c_interrupts,
    NVML_FI_DEV_C2C_LINK_ERROR_REPLAY => c2c_replays,
    NVML_FI_DEV_GET_GPU_RECOVERY_ACTION => recovery_action,
    NVML_FI_DEV_TEMPERATURE_SHUTDOWN_TLIMIT => temperature_limits[0],
    NVML_FI_DEV_TEMPERATURE_SLOWDOWN_TLIMIT => temperature_limits[1],
    NVML_FI_DEV_TEMPERATURE_MEM_MAX_TLIMIT => temperature_limits[2],
    NVML_FI_DEV_TEMPERATURE_GPU_MAX_TLIMIT => temperature_limits[3],
    NVML_FI_DEV_PCIE_COUNT_NAKS_RECEIVED => pcie_errors[0],
    NVML_FI_DEV_PCIE_COUNT_RECEIVER_ERROR => pcie_errors[1],
    NVML_FI_DEV_PCIE_COUNT_BAD_TLP => pcie_errors[2],
    NVML_FI_DEV_PCIE_COUNT_NAKS_SENT => pcie_errors[3],
    NVML_FI_DEV_PCIE_COUNT_BAD_DLLP => pcie_errors[4],
    NVML_FI_DEV_PCIE_COUNT_NON_FATAL_ERROR => pcie_errors[5],
    NVML_FI_DEV_PCIE_COUNT_FATAL_ERROR => pcie_errors[6],
    NVML_FI_DEV_PCIE_COUNT_UNSUPPORTED_REQ => pcie_errors[7],
    NVML_FI_DEV_PCIE_COUNT_LCRC_ERROR => pcie_errors[8],
    NVML_FI_DEV_PCIE_COUNT_LANE_ERROR => pcie_errors[9],
    NVML_FI_DEV_PCIE_L0_TO_RECOVERY_COUNTER => pcie_errors[10],
];

/// Counters of NVLink 5, summed over all links; read seldom where the GPU has them.
pub(super) static NVLINK5: [Field; 12] = fields![
    NVML_FI_DEV_NVLINK_COUNT_MALFORMED_PACKET_ERRORS => nvlink5_rx_malformed_packet_errors,
    NVML_FI_DEV_NVLINK_COUNT_BUFFER_OVERRUN_ERRORS => nvlink5_rx_buffer_overrun_errors,
    NVML_FI_DEV_NVLINK_COUNT_RCV_ERRORS => nvlink5_rx_errors,
    NVML_FI_DEV_NVLINK_COUNT_RCV_REMOTE_ERRORS => nvlink5_rx_remote_errors,
    NVML_FI_DEV_NVLINK_COUNT_RCV_GENERAL_ERRORS => nvlink5_rx_general_errors,
    NVML_FI_DEV_NVLINK_COUNT_LOCAL_LINK_INTEGRITY_ERRORS => nvlink5_local_link_integrity_errors,
    NVML_FI_DEV_NVLINK_COUNT_XMIT_DISCARDS => nvlink5_tx_discards,
    NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_SUCCESSFUL_EVENTS => nvlink5_link_recovery_successful_events,
    NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS => nvlink5_link_recovery_failed_events,
    NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS => nvlink5_link_recovery_events,
    NVML_FI_DEV_NVLINK_COUNT_SYMBOL_ERRORS => nvlink5_rx_symbol_errors,
    NVML_FI_DEV_NVLINK_COUNT_EFFECTIVE_ERRORS => nvlink5_effective_errors,
];

/// Puts a batch's values where they belong. Answers of another length than the table are of another batch: nothing is set.
pub(super) fn apply(
    table: &[Field],
    answers: &[FieldAnswer],
    readings: &mut Readings,
) -> Result<(), NvmlFailure> {
    for (field, answer) in table.iter().zip(answers) {
        (field.set)(readings, answer.number()?.map(|value| value * field.factor));
    }
    Ok(())
}

/// `dcgmFabricManagerStatus_t` from `nvmlGpuFabricState_t` and, once probing is done, its result.
pub(super) fn fabric_status(state: u8, result: u32) -> f64 {
    match (state, result) {
        (3, SUCCESS) => 3.0,
        (3, _) => 4.0,
        (state, _) => f64::from(state),
    }
}

/// What a GPM metric's value is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    /// 0 to 100.
    Percent,
    /// MiB per second.
    Mebibytes,
}

/// A GPM metric and where its value goes.
pub(super) struct Profile {
    pub(super) id: GpmMetricId,
    scale: Scale,
    set: fn(&mut Readings, f64),
}

macro_rules! profiles {
    ($($id:ident, $scale:ident => $field:ident,)*) => {
        [$(Profile {
            id: GpmMetricId::$id,
            scale: Scale::$scale,
            set: |readings, value| readings.$field = Some(value),
        }),*]
    };
}

/// The profiling metrics, all read in one call.
pub(super) static PROFILES: [Profile; 14] = profiles![
    GraphicsUtil, Percent => gr_engine_active,
    SmUtil, Percent => sm_active,
    SmOccupancy, Percent => sm_occupancy,
    AnyTensorUtil, Percent => tensor_active,
    ImmaTensorUtil, Percent => tensor_imma_active,
    HmmaTensorUtil, Percent => tensor_hmma_active,
    DfmaTensorUtil, Percent => tensor_dfma_active,
    DramBwUtil, Percent => dram_active,
    Fp64Util, Percent => fp64_active,
    Fp32Util, Percent => fp32_active,
    Fp16Util, Percent => fp16_active,
    IntegerUtil, Percent => int_active,
    NvlinkTotalTxPerSec, Mebibytes => nvlink_tx,
    NvlinkTotalRxPerSec, Mebibytes => nvlink_rx,
];

/// Puts a GPM metric where it belongs: ratios in steps of 0.0001, finer than the counters behind them and cheap to keep.
pub(super) fn profile(entry: &Profile, value: f64, readings: &mut Readings) {
    if !value.is_finite() || value < 0.0 {
        return;
    }
    let value = match entry.scale {
        Scale::Percent => (value * 100.0).round() / 10_000.0,
        Scale::Mebibytes => (value * 1_048_576.0).round(),
    };
    (entry.set)(readings, value);
}

/// Counts per second between two counts; a count that fell has wrapped, and says nothing.
pub(super) fn rate(now: Option<f64>, before: Option<f64>, seconds: f64) -> Option<f64> {
    let counted = now? - before?;
    (counted >= 0.0 && seconds > 0.0).then(|| counted / seconds)
}

/// The profile in a MIG device's name, as `1g.10gb` in `NVIDIA H100 80GB HBM3 MIG 1g.10gb`; where the name has none, made
/// of the slices and the memory.
pub(super) fn mig_profile(name: &str, slices: u32, memory_mib: u64) -> String {
    match name.rsplit_once(" MIG ") {
        Some((_, profile)) => profile.trim().to_owned(),
        None => format!("{slices}g.{}gb", (memory_mib as f64 / 1024.0).round()),
    }
}

/// Total and available KiB of the node's memory, for GPUs that have none of their own.
pub(super) fn meminfo(text: &str) -> Option<(f64, f64)> {
    let value = |wanted: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(wanted))?;
        line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()
    };
    Some((value("MemTotal:")?, value("MemAvailable:")?))
}

/// Makes the readings those of a GPU that shares the node's memory: what the driver says of memory and PCIe there is zero
/// or made up.
pub(super) fn share_memory(readings: &mut Readings, meminfo_text: &str) {
    let Some((total, available)) = meminfo(meminfo_text) else {
        return;
    };
    readings.unified = true;
    readings.fb_total = Some((total / 1024.0).floor());
    readings.fb_free = Some((available / 1024.0).floor());
    readings.fb_used = Some(((total - available) / 1024.0).floor());
    readings.fb_reserved = None;
    readings.mem_copy_util = None;
    readings.memory_temp = None;
    readings.pcie_link_gen = None;
    readings.pcie_link_width = None;
    readings.pcie_max_link_gen = None;
    readings.pcie_max_link_width = None;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u32, value_type: u32, bits: u64) -> FieldAnswer {
        FieldAnswer {
            code,
            value_type,
            bits,
        }
    }

    #[test]
    fn every_type_of_value_is_read_as_what_it_is() {
        let number = |value_type, bits| answer(SUCCESS, value_type, bits).number().expect("not lost");
        assert_eq!(number(0, 1.5f64.to_bits()), Some(1.5));
        assert_eq!(number(1, 7), Some(7.0));
        assert_eq!(number(3, 1 << 40), Some((1u64 << 40) as f64));
        assert_eq!(number(4, u64::MAX - 4), Some(-5.0));
        assert_eq!(number(5, u64::from((-8i32).cast_unsigned())), Some(-8.0));
        assert_eq!(number(6, 65_535), Some(65_535.0));
        assert_eq!(number(99, 1), None, "a type of a later driver");
    }

    #[test]
    fn marks_for_not_available_are_no_numbers() {
        for (value_type, bits) in [
            (0, f64::NAN.to_bits()),
            (1, u64::from(u32::MAX)),
            (2, u64::MAX),
            (3, u64::MAX),
        ] {
            assert_eq!(answer(SUCCESS, value_type, bits).number(), Ok(None));
        }
        assert_eq!(answer(3, 1, 7).number(), Ok(None), "not supported");
        for code in [GPU_IS_LOST, RESET_REQUIRED] {
            assert_eq!(answer(code, 1, 7).number(), Err(NvmlFailure::GpuLost));
        }
    }

    #[test]
    fn fields_are_renumbered_from_driver_580_82_on() {
        for (version, renumbered) in [
            ("570.124.06", false),
            ("580.65.06", false),
            ("580.82.07", true),
            ("595.1", true),
            ("", false),
        ] {
            assert_eq!(
                Renumbered::of_driver(version),
                Renumbered(renumbered),
                "{version}"
            );
        }
        let new = Renumbered(true);
        assert_eq!(
            [250, 251, 255, 256, 273, 274].map(|id| new.id(id)),
            [250, 269, 273, 251, 268, 274]
        );
        assert_eq!(Renumbered(false).id(253), 253);
    }

    #[test]
    fn a_batch_of_answers_fills_the_readings() {
        let answers: Vec<FieldAnswer> = (0..OFTEN.len() as u64)
            .map(|at| answer(SUCCESS, 3, at * 1000))
            .collect();
        let mut readings = Readings::default();
        apply(&OFTEN, &answers, &mut readings).expect("not lost");
        assert_eq!(readings.memory_temp, Some(0.0));
        assert_eq!(readings.power_instant, Some(3.0), "milliwatts");
        assert_eq!(readings.hw_power_brake_slowdown, Some(14_000.0));
        let mut answers: Vec<FieldAnswer> = (0..SELDOM.len() as u64)
            .map(|at| answer(SUCCESS, 3, at))
            .collect();
        answers[0].code = 3;
        apply(&SELDOM, &answers, &mut readings).expect("not lost");
        assert_eq!(readings.ecc_on, None, "not supported is absent");
        assert_eq!(readings.ecc_sbe_volatile, Some(1.0));
        assert!(readings.pcie_errors.iter().all(Option::is_some));
        assert!(readings.temperature_limits.iter().all(Option::is_some));
        answers[5].code = GPU_IS_LOST;
        assert_eq!(apply(&SELDOM, &answers, &mut readings), Err(NvmlFailure::GpuLost));
    }

    #[test]
    fn no_field_is_asked_for_twice() {
        let mut ids: Vec<u32> = OFTEN
            .iter()
            .chain(&SELDOM)
            .chain(&NVLINK5)
            .map(|field| field.id)
            .collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
    }

    #[test]
    fn profiling_percents_become_ratios_of_four_digits() {
        let mut readings = Readings::default();
        for entry in &PROFILES {
            profile(entry, 12.345_678, &mut readings);
        }
        assert_eq!(readings.sm_active, Some(0.1235));
        assert_eq!(readings.nvlink_tx, Some((12.345_678f64 * 1_048_576.0).round()));
        profile(&PROFILES[1], f64::NAN, &mut readings);
        assert_eq!(readings.sm_active, Some(0.1235), "no number changes nothing");
    }

    #[test]
    fn the_fabric_has_failed_when_probing_ended_with_an_error() {
        assert_eq!(
            [(0, 0), (1, 0), (2, 0), (3, 0), (3, 999)].map(|(state, result)| fabric_status(state, result)),
            [0.0, 1.0, 2.0, 3.0, 4.0]
        );
    }

    #[test]
    fn a_rate_needs_two_counts_and_time_and_no_wrap() {
        assert_eq!(rate(Some(300.0), Some(100.0), 2.0), Some(100.0));
        assert_eq!(rate(Some(300.0), None, 2.0), None);
        assert_eq!(rate(Some(1.0), Some(100.0), 2.0), None);
        assert_eq!(rate(Some(1.0), Some(1.0), 0.0), None);
    }

    #[test]
    fn a_slices_profile_is_in_its_name_or_made_of_its_size() {
        assert_eq!(mig_profile("NVIDIA H100 80GB HBM3 MIG 1g.10gb", 1, 0), "1g.10gb");
        assert_eq!(
            mig_profile("NVIDIA A100-SXM4-40GB MIG 3g.20gb+me", 3, 0),
            "3g.20gb+me"
        );
        assert_eq!(mig_profile("Graphics Device", 2, 19_968), "2g.20gb");
    }

    #[test]
    fn unified_memory_is_the_nodes_and_says_so() {
        let mut readings = Readings {
            memory_temp: Some(0.0),
            pcie_link_gen: Some(1.0),
            gpu_util: Some(50.0),
            ..Readings::default()
        };
        share_memory(
            &mut readings,
            "MemTotal:  125829120 kB\nMemFree: 1 kB\nMemAvailable: 62914560 kB\n",
        );
        assert!(readings.unified);
        assert_eq!(
            (readings.fb_total, readings.fb_used),
            (Some(122_880.0), Some(61_440.0))
        );
        assert_eq!((readings.memory_temp, readings.pcie_link_gen), (None, None));
        assert_eq!(readings.gpu_util, Some(50.0));
        let mut unknown = Readings::default();
        share_memory(&mut unknown, "nonsense");
        assert_eq!(unknown, Readings::default());
    }
}
