//! dcgm-exporter's metrics, under its names and labels, and what it lacks.
//!
//! `GPU_I_PROFILE` and `GPU_I_ID` are on the series of MIG instances only, `unified` on those of a GPU that shares the
//! node's memory. Every `DCGM_` name is a field of DCGM's `dcgm_fields.h`, whether or not dcgm-exporter exports it by default.

use super::{Job, metrics};

const GPU: &[&str] = &[
    "gpu",
    "UUID",
    "pci_bus_id",
    "device",
    "modelName",
    "Hostname",
    "GPU_I_PROFILE",
    "GPU_I_ID",
];
const MEMORY: &[&str] = &[
    "gpu",
    "UUID",
    "pci_bus_id",
    "device",
    "modelName",
    "Hostname",
    "GPU_I_PROFILE",
    "GPU_I_ID",
    "unified",
];
const PCIE: &[&str] = &[
    "gpu",
    "UUID",
    "pci_bus_id",
    "device",
    "modelName",
    "Hostname",
    "GPU_I_PROFILE",
    "GPU_I_ID",
    "kind",
];
const TLIMIT: &[&str] = &[
    "gpu",
    "UUID",
    "pci_bus_id",
    "device",
    "modelName",
    "Hostname",
    "GPU_I_PROFILE",
    "GPU_I_ID",
    "threshold",
];
const REASON: &[&str] = &[
    "gpu",
    "UUID",
    "pci_bus_id",
    "device",
    "modelName",
    "Hostname",
    "GPU_I_PROFILE",
    "GPU_I_ID",
    "reason",
];
const XID: &[&str] = &[
    "gpu",
    "UUID",
    "pci_bus_id",
    "device",
    "modelName",
    "Hostname",
    "GPU_I_PROFILE",
    "GPU_I_ID",
    "xid",
];
const CALL: &[&str] = &["call"];
const NOTHING: &[&str] = &[];

metrics! { Job::Dcgm;
    DCGM_FI_DEV_GPU_UTIL = Gauge, Percent, "DCGM_FI_DEV_GPU_UTIL", GPU, "GPU utilization (in %).", "nvmlDeviceGetUtilizationRates";
    DCGM_FI_DEV_MEM_COPY_UTIL = Gauge, Percent, "DCGM_FI_DEV_MEM_COPY_UTIL", GPU, "Memory utilization (in %).", "nvmlDeviceGetUtilizationRates";
    DCGM_FI_DEV_ENC_UTIL = Gauge, Percent, "DCGM_FI_DEV_ENC_UTIL", GPU, "Encoder utilization (in %).", "nvmlDeviceGetEncoderUtilization";
    DCGM_FI_DEV_DEC_UTIL = Gauge, Percent, "DCGM_FI_DEV_DEC_UTIL", GPU, "Decoder utilization (in %).", "nvmlDeviceGetDecoderUtilization";
    DCGM_FI_DEV_FB_FREE = Gauge, Mebibytes, "DCGM_FI_DEV_FB_FREE", MEMORY, "Frame buffer memory free (in MiB).", "nvmlDeviceGetMemoryInfo_v2; with unified memory /proc/meminfo";
    DCGM_FI_DEV_FB_USED = Gauge, Mebibytes, "DCGM_FI_DEV_FB_USED", MEMORY, "Frame buffer memory used (in MiB).", "nvmlDeviceGetMemoryInfo_v2; with unified memory /proc/meminfo";
    DCGM_FI_DEV_FB_RESERVED = Gauge, Mebibytes, "DCGM_FI_DEV_FB_RESERVED", MEMORY, "Frame buffer memory reserved (in MiB).", "nvmlDeviceGetMemoryInfo_v2; with unified memory /proc/meminfo";
    DCGM_FI_DEV_FB_TOTAL = Gauge, Mebibytes, "DCGM_FI_DEV_FB_TOTAL", MEMORY, "Frame buffer memory in total (in MiB).", "nvmlDeviceGetMemoryInfo_v2; with unified memory /proc/meminfo";
    DCGM_FI_DEV_GPU_TEMP = Gauge, Celsius, "DCGM_FI_DEV_GPU_TEMP", GPU, "GPU temperature (in C).", "nvmlDeviceGetTemperature";
    DCGM_FI_DEV_MEMORY_TEMP = Gauge, Celsius, "DCGM_FI_DEV_MEMORY_TEMP", GPU, "Memory temperature (in C).", "NVML_FI_DEV_MEMORY_TEMP";
    DCGM_FI_DEV_GPU_TEMP_LIMIT = Gauge, Celsius, "DCGM_FI_DEV_GPU_TEMP_LIMIT", GPU, "Degrees left before the GPU slows down (in C).", "nvmlDeviceGetMarginTemperature";
    DCGM_FI_DEV_SLOWDOWN_TEMP = Gauge, Celsius, "DCGM_FI_DEV_SLOWDOWN_TEMP", GPU, "Temperature at which the hardware slows the GPU down (in C).", "nvmlDeviceGetTemperatureThreshold";
    DCGM_FI_DEV_SHUTDOWN_TEMP = Gauge, Celsius, "DCGM_FI_DEV_SHUTDOWN_TEMP", GPU, "Temperature at which the GPU shuts down (in C).", "nvmlDeviceGetTemperatureThreshold";
    DCGM_FI_DEV_GPU_MAX_OP_TEMP = Gauge, Celsius, "DCGM_FI_DEV_GPU_MAX_OP_TEMP", GPU, "Highest temperature at which the GPU should be run (in C).", "nvmlDeviceGetTemperatureThreshold";
    DCGM_FI_DEV_MEM_MAX_OP_TEMP = Gauge, Celsius, "DCGM_FI_DEV_MEM_MAX_OP_TEMP", GPU, "Highest temperature at which the memory should be run (in C).", "nvmlDeviceGetTemperatureThreshold";
    DCGM_FI_DEV_POWER_USAGE = Gauge, Watts, "DCGM_FI_DEV_POWER_USAGE", GPU, "Power draw (in W).", "nvmlDeviceGetPowerUsage";
    DCGM_FI_DEV_POWER_USAGE_INSTANT = Gauge, Watts, "DCGM_FI_DEV_POWER_USAGE_INSTANT", GPU, "Power draw at this instant (in W).", "NVML_FI_DEV_POWER_INSTANT";
    DCGM_FI_DEV_ENFORCED_POWER_LIMIT = Gauge, Watts, "DCGM_FI_DEV_ENFORCED_POWER_LIMIT", GPU, "Power limit the driver enforces (in W).", "nvmlDeviceGetEnforcedPowerLimit";
    DCGM_FI_DEV_POWER_MGMT_LIMIT = Gauge, Watts, "DCGM_FI_DEV_POWER_MGMT_LIMIT", GPU, "Power limit that was set (in W).", "NVML_FI_DEV_POWER_CURRENT_LIMIT";
    DCGM_FI_DEV_POWER_MGMT_LIMIT_MIN = Gauge, Watts, "DCGM_FI_DEV_POWER_MGMT_LIMIT_MIN", GPU, "Lowest power limit that can be set (in W).", "NVML_FI_DEV_POWER_MIN_LIMIT";
    DCGM_FI_DEV_POWER_MGMT_LIMIT_MAX = Gauge, Watts, "DCGM_FI_DEV_POWER_MGMT_LIMIT_MAX", GPU, "Highest power limit that can be set (in W).", "NVML_FI_DEV_POWER_MAX_LIMIT";
    DCGM_FI_DEV_POWER_MGMT_LIMIT_DEF = Gauge, Watts, "DCGM_FI_DEV_POWER_MGMT_LIMIT_DEF", GPU, "Power limit where none was set (in W).", "NVML_FI_DEV_POWER_DEFAULT_LIMIT";
    DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION = Counter, Millijoules, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", GPU, "Total energy consumption since the driver was loaded (in mJ).", "NVML_FI_DEV_TOTAL_ENERGY_CONSUMPTION";
    DCGM_FI_DEV_SM_CLOCK = Gauge, Megahertz, "DCGM_FI_DEV_SM_CLOCK", GPU, "SM clock frequency (in MHz).", "nvmlDeviceGetClockInfo";
    DCGM_FI_DEV_MEM_CLOCK = Gauge, Megahertz, "DCGM_FI_DEV_MEM_CLOCK", GPU, "Memory clock frequency (in MHz).", "nvmlDeviceGetClockInfo";
    DCGM_FI_DEV_VIDEO_CLOCK = Gauge, Megahertz, "DCGM_FI_DEV_VIDEO_CLOCK", GPU, "Video clock frequency (in MHz).", "nvmlDeviceGetClockInfo";
    DCGM_FI_DEV_MAX_SM_CLOCK = Gauge, Megahertz, "DCGM_FI_DEV_MAX_SM_CLOCK", GPU, "Highest SM clock frequency (in MHz).", "nvmlDeviceGetMaxClockInfo";
    DCGM_FI_DEV_MAX_MEM_CLOCK = Gauge, Megahertz, "DCGM_FI_DEV_MAX_MEM_CLOCK", GPU, "Highest memory clock frequency (in MHz).", "nvmlDeviceGetMaxClockInfo";
    DCGM_FI_DEV_PSTATE = Gauge, Code, "DCGM_FI_DEV_PSTATE", GPU, "Performance state: 0 is the fastest, 15 the slowest.", "nvmlDeviceGetPerformanceState";
    DCGM_FI_DEV_CLOCKS_EVENT_REASONS = Gauge, Code, "DCGM_FI_DEV_CLOCKS_EVENT_REASONS", GPU, "Why the clocks are not at their highest, as a bit mask.", "nvmlDeviceGetCurrentClocksEventReasons";
    DCGM_FI_DEV_POWER_VIOLATION = Counter, Nanoseconds, "DCGM_FI_DEV_POWER_VIOLATION", GPU, "Time the clocks were held down by the power limit (in ns).", "NVML_FI_DEV_PERF_POLICY_POWER";
    DCGM_FI_DEV_THERMAL_VIOLATION = Counter, Nanoseconds, "DCGM_FI_DEV_THERMAL_VIOLATION", GPU, "Time the clocks were held down by temperature (in ns).", "NVML_FI_DEV_PERF_POLICY_THERMAL";
    DCGM_FI_DEV_SYNC_BOOST_VIOLATION = Counter, Nanoseconds, "DCGM_FI_DEV_SYNC_BOOST_VIOLATION", GPU, "Time the clocks were held down by sync boost (in ns).", "NVML_FI_DEV_PERF_POLICY_SYNC_BOOST";
    DCGM_FI_DEV_BOARD_LIMIT_VIOLATION = Counter, Nanoseconds, "DCGM_FI_DEV_BOARD_LIMIT_VIOLATION", GPU, "Time the clocks were held down by the board's limits (in ns).", "NVML_FI_DEV_PERF_POLICY_BOARD_LIMIT";
    DCGM_FI_DEV_LOW_UTIL_VIOLATION = Counter, Nanoseconds, "DCGM_FI_DEV_LOW_UTIL_VIOLATION", GPU, "Time the clocks were held down by low utilization (in ns).", "NVML_FI_DEV_PERF_POLICY_LOW_UTILIZATION";
    DCGM_FI_DEV_RELIABILITY_VIOLATION = Counter, Nanoseconds, "DCGM_FI_DEV_RELIABILITY_VIOLATION", GPU, "Time the clocks were held down by the board's reliability limit (in ns).", "NVML_FI_DEV_PERF_POLICY_RELIABILITY";
    DCGM_FI_DEV_TOTAL_APP_CLOCKS_VIOLATION = Counter, Nanoseconds, "DCGM_FI_DEV_TOTAL_APP_CLOCKS_VIOLATION", GPU, "Time the clocks were held down by application clocks or any of the above (in ns).", "NVML_FI_DEV_PERF_POLICY_TOTAL_APP_CLOCKS";
    DCGM_FI_DEV_TOTAL_BASE_CLOCKS_VIOLATION = Counter, Nanoseconds, "DCGM_FI_DEV_TOTAL_BASE_CLOCKS_VIOLATION", GPU, "Time the clocks were held down by clocks below the base clocks (in ns).", "NVML_FI_DEV_PERF_POLICY_TOTAL_BASE_CLOCKS";
    DCGM_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN_NS = Counter, Nanoseconds, "DCGM_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN_NS", GPU, "Time the clocks were held down by the driver because of temperature (in ns).", "NVML_FI_DEV_CLOCKS_EVENT_REASON_SW_THERM_SLOWDOWN";
    DCGM_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN_NS = Counter, Nanoseconds, "DCGM_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN_NS", GPU, "Time the clocks were held down by the hardware because of temperature (in ns).", "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_THERM_SLOWDOWN";
    DCGM_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN_NS = Counter, Nanoseconds, "DCGM_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN_NS", GPU, "Time the clocks were held down by the hardware because the power supply asked for it (in ns).", "NVML_FI_DEV_CLOCKS_EVENT_REASON_HW_POWER_BRAKE_SLOWDOWN";
    DCGM_FI_DEV_PCIE_REPLAY_COUNTER = Counter, None, "DCGM_FI_DEV_PCIE_REPLAY_COUNTER", GPU, "Total number of PCIe retries.", "NVML_FI_DEV_PCIE_REPLAY_COUNTER";
    DCGM_FI_DEV_PCIE_COUNT_CORRECTABLE_ERRORS = Counter, None, "DCGM_FI_DEV_PCIE_COUNT_CORRECTABLE_ERRORS", GPU, "Total number of PCIe errors that were corrected.", "NVML_FI_DEV_PCIE_COUNT_CORRECTABLE_ERRORS";
    DCGM_FI_DEV_PCIE_LINK_GEN = Gauge, None, "DCGM_FI_DEV_PCIE_LINK_GEN", GPU, "PCIe generation the link runs at.", "nvmlDeviceGetCurrPcieLinkGeneration";
    DCGM_FI_DEV_PCIE_LINK_WIDTH = Gauge, None, "DCGM_FI_DEV_PCIE_LINK_WIDTH", GPU, "PCIe lanes the link runs with.", "nvmlDeviceGetCurrPcieLinkWidth";
    DCGM_FI_DEV_PCIE_MAX_LINK_GEN = Gauge, None, "DCGM_FI_DEV_PCIE_MAX_LINK_GEN", GPU, "PCIe generation the link can run at.", "nvmlDeviceGetMaxPcieLinkGeneration";
    DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH = Gauge, None, "DCGM_FI_DEV_PCIE_MAX_LINK_WIDTH", GPU, "PCIe lanes the link can run with.", "nvmlDeviceGetMaxPcieLinkWidth";
    DCGM_FI_PROF_PCIE_TX_BYTES = Gauge, BytesPerSecond, "DCGM_FI_PROF_PCIE_TX_BYTES", GPU, "The rate of data transmitted over the PCIe bus, including headers and payload, in bytes per second.", "NVML_FI_DEV_PCIE_COUNT_TX_BYTES";
    DCGM_FI_PROF_PCIE_RX_BYTES = Gauge, BytesPerSecond, "DCGM_FI_PROF_PCIE_RX_BYTES", GPU, "The rate of data received over the PCIe bus, including headers and payload, in bytes per second.", "NVML_FI_DEV_PCIE_COUNT_RX_BYTES";
    DCGM_FI_PROF_GR_ENGINE_ACTIVE = Gauge, Ratio, "DCGM_FI_PROF_GR_ENGINE_ACTIVE", GPU, "Ratio of time the graphics engine is active.", "nvmlGpmMetricsGet; Hopper and later";
    DCGM_FI_PROF_SM_ACTIVE = Gauge, Ratio, "DCGM_FI_PROF_SM_ACTIVE", GPU, "Ratio of time at least one warp was on a multiprocessor, averaged over all of them.", "nvmlGpmMetricsGet; Hopper and later";
    DCGM_FI_PROF_SM_OCCUPANCY = Gauge, Ratio, "DCGM_FI_PROF_SM_OCCUPANCY", GPU, "Ratio of warps resident to the most there can be.", "nvmlGpmMetricsGet; Hopper and later";
    DCGM_FI_PROF_PIPE_TENSOR_ACTIVE = Gauge, Ratio, "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", GPU, "Ratio of time a tensor pipe is active.", "nvmlGpmMetricsGet; Hopper and later";
    DCGM_FI_PROF_PIPE_TENSOR_IMMA_ACTIVE = Gauge, Ratio, "DCGM_FI_PROF_PIPE_TENSOR_IMMA_ACTIVE", GPU, "Ratio of time the tensor pipe does integer work.", "nvmlGpmMetricsGet; Hopper and later";
    DCGM_FI_PROF_PIPE_TENSOR_HMMA_ACTIVE = Gauge, Ratio, "DCGM_FI_PROF_PIPE_TENSOR_HMMA_ACTIVE", GPU, "Ratio of time the tensor pipe does half precision work.", "nvmlGpmMetricsGet; Hopper and later";
    DCGM_FI_PROF_PIPE_TENSOR_DFMA_ACTIVE = Gauge, Ratio, "DCGM_FI_PROF_PIPE_TENSOR_DFMA_ACTIVE", GPU, "Ratio of time the tensor pipe does double precision work.", "nvmlGpmMetricsGet; Hopper and later";
    DCGM_FI_PROF_DRAM_ACTIVE = Gauge, Ratio, "DCGM_FI_PROF_DRAM_ACTIVE", GPU, "Ratio of the memory's bandwidth in use.", "nvmlGpmMetricsGet; Hopper and later";
    DCGM_FI_PROF_PIPE_FP64_ACTIVE = Gauge, Ratio, "DCGM_FI_PROF_PIPE_FP64_ACTIVE", GPU, "Ratio of time the fp64 pipes are active.", "nvmlGpmMetricsGet; Hopper and later";
    DCGM_FI_PROF_PIPE_FP32_ACTIVE = Gauge, Ratio, "DCGM_FI_PROF_PIPE_FP32_ACTIVE", GPU, "Ratio of time the fp32 pipes are active.", "nvmlGpmMetricsGet; Hopper and later";
    DCGM_FI_PROF_PIPE_FP16_ACTIVE = Gauge, Ratio, "DCGM_FI_PROF_PIPE_FP16_ACTIVE", GPU, "Ratio of time the fp16 pipes are active.", "nvmlGpmMetricsGet; Hopper and later";
    DCGM_FI_PROF_PIPE_INT_ACTIVE = Gauge, Ratio, "DCGM_FI_PROF_PIPE_INT_ACTIVE", GPU, "Ratio of time the integer pipes are active.", "nvmlGpmMetricsGet; Hopper and later";
    DCGM_FI_PROF_NVLINK_TX_BYTES = Gauge, BytesPerSecond, "DCGM_FI_PROF_NVLINK_TX_BYTES", GPU, "The rate of data transmitted over NVLink, in bytes per second.", "nvmlGpmMetricsGet, or NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX";
    DCGM_FI_PROF_NVLINK_RX_BYTES = Gauge, BytesPerSecond, "DCGM_FI_PROF_NVLINK_RX_BYTES", GPU, "The rate of data received over NVLink, in bytes per second.", "nvmlGpmMetricsGet, or NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX";
    DCGM_FI_DEV_NVLINK_COUNT_TX_BYTES = Counter, Bytes, "DCGM_FI_DEV_NVLINK_COUNT_TX_BYTES", GPU, "Data transmitted over all NVLinks, in bytes.", "NVML_FI_DEV_NVLINK_COUNT_XMIT_BYTES or _THROUGHPUT_DATA_TX";
    DCGM_FI_DEV_NVLINK_COUNT_RX_BYTES = Counter, Bytes, "DCGM_FI_DEV_NVLINK_COUNT_RX_BYTES", GPU, "Data received over all NVLinks, in bytes.", "NVML_FI_DEV_NVLINK_COUNT_RCV_BYTES or _THROUGHPUT_DATA_RX";
    DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL = Counter, None, "DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL", GPU, "Total number of NVLink flow-control CRC errors.", "NVML_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL or _ERROR_DL_CRC";
    DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL = Counter, None, "DCGM_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL", GPU, "Total number of NVLink data CRC errors.", "NVML_FI_DEV_NVLINK_CRC_DATA_ERROR_COUNT_TOTAL";
    DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL = Counter, None, "DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL", GPU, "Total number of NVLink retries.", "NVML_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL or _ERROR_DL_REPLAY";
    DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL = Counter, None, "DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL", GPU, "Total number of NVLink recovery errors.", "NVML_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL or _ERROR_DL_RECOVERY";
    DCGM_FI_DEV_NVLINK_COUNT_RX_MALFORMED_PACKET_ERRORS = Counter, None, "DCGM_FI_DEV_NVLINK_COUNT_RX_MALFORMED_PACKET_ERRORS", GPU, "NVLink 5: number of malformed packets received, all links.", "NVML_FI_DEV_NVLINK_COUNT_MALFORMED_PACKET_ERRORS";
    DCGM_FI_DEV_NVLINK_COUNT_RX_BUFFER_OVERRUN_ERRORS = Counter, None, "DCGM_FI_DEV_NVLINK_COUNT_RX_BUFFER_OVERRUN_ERRORS", GPU, "NVLink 5: number of packets lost to full receive buffers, all links.", "NVML_FI_DEV_NVLINK_COUNT_BUFFER_OVERRUN_ERRORS";
    DCGM_FI_DEV_NVLINK_COUNT_RX_ERRORS = Counter, None, "DCGM_FI_DEV_NVLINK_COUNT_RX_ERRORS", GPU, "NVLink 5: number of packets received with errors, all links.", "NVML_FI_DEV_NVLINK_COUNT_RCV_ERRORS";
    DCGM_FI_DEV_NVLINK_COUNT_RX_REMOTE_ERRORS = Counter, None, "DCGM_FI_DEV_NVLINK_COUNT_RX_REMOTE_ERRORS", GPU, "NVLink 5: number of packets received that the other end marked bad, all links.", "NVML_FI_DEV_NVLINK_COUNT_RCV_REMOTE_ERRORS";
    DCGM_FI_DEV_NVLINK_COUNT_RX_GENERAL_ERRORS = Counter, None, "DCGM_FI_DEV_NVLINK_COUNT_RX_GENERAL_ERRORS", GPU, "NVLink 5: number of packets received with other errors, all links.", "NVML_FI_DEV_NVLINK_COUNT_RCV_GENERAL_ERRORS";
    DCGM_FI_DEV_NVLINK_COUNT_LOCAL_LINK_INTEGRITY_ERRORS = Counter, None, "DCGM_FI_DEV_NVLINK_COUNT_LOCAL_LINK_INTEGRITY_ERRORS", GPU, "NVLink 5: number of times the link's own error threshold was passed, all links.", "NVML_FI_DEV_NVLINK_COUNT_LOCAL_LINK_INTEGRITY_ERRORS";
    DCGM_FI_DEV_NVLINK_COUNT_TX_DISCARDS = Counter, None, "DCGM_FI_DEV_NVLINK_COUNT_TX_DISCARDS", GPU, "NVLink 5: number of packets discarded before sending, all links.", "NVML_FI_DEV_NVLINK_COUNT_XMIT_DISCARDS";
    DCGM_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_SUCCESSFUL_EVENTS = Counter, None, "DCGM_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_SUCCESSFUL_EVENTS", GPU, "NVLink 5: number of link recoveries that succeeded, all links.", "NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_SUCCESSFUL_EVENTS";
    DCGM_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS = Counter, None, "DCGM_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS", GPU, "NVLink 5: number of link recoveries that failed, all links.", "NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_FAILED_EVENTS";
    DCGM_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS = Counter, None, "DCGM_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS", GPU, "NVLink 5: number of link recoveries, all links.", "NVML_FI_DEV_NVLINK_COUNT_LINK_RECOVERY_EVENTS";
    DCGM_FI_DEV_NVLINK_COUNT_RX_SYMBOL_ERRORS = Counter, None, "DCGM_FI_DEV_NVLINK_COUNT_RX_SYMBOL_ERRORS", GPU, "NVLink 5: number of symbol errors received, all links.", "NVML_FI_DEV_NVLINK_COUNT_SYMBOL_ERRORS";
    DCGM_FI_DEV_NVLINK_COUNT_EFFECTIVE_ERRORS = Counter, None, "DCGM_FI_DEV_NVLINK_COUNT_EFFECTIVE_ERRORS", GPU, "NVLink 5: number of errors left after correction, all links.", "NVML_FI_DEV_NVLINK_COUNT_EFFECTIVE_ERRORS";
    PODSCOPE_GPU_NVLINKS = Gauge, None, "podscope_gpu_nvlinks", GPU, "NVLinks the GPU has.", "NVML_FI_DEV_NVLINK_LINK_COUNT";
    PODSCOPE_GPU_NVLINKS_ACTIVE = Gauge, None, "podscope_gpu_nvlinks_active", GPU, "NVLinks that are up.", "nvmlDeviceGetNvLinkState";
    DCGM_FI_DEV_C2C_LINK_ERROR_INTR = Counter, None, "DCGM_FI_DEV_C2C_LINK_ERROR_INTR", GPU, "C2C link errors that raised an interrupt.", "NVML_FI_DEV_C2C_LINK_ERROR_INTR";
    DCGM_FI_DEV_C2C_LINK_ERROR_REPLAY = Counter, None, "DCGM_FI_DEV_C2C_LINK_ERROR_REPLAY", GPU, "C2C link retries.", "NVML_FI_DEV_C2C_LINK_ERROR_REPLAY";
    DCGM_FI_DEV_ECC_CURRENT = Gauge, Bool, "DCGM_FI_DEV_ECC_CURRENT", GPU, "Whether ECC is on.", "NVML_FI_DEV_ECC_CURRENT";
    DCGM_FI_DEV_ECC_SBE_VOL_TOTAL = Counter, None, "DCGM_FI_DEV_ECC_SBE_VOL_TOTAL", GPU, "Total number of single-bit volatile ECC errors.", "NVML_FI_DEV_ECC_SBE_VOL_TOTAL";
    DCGM_FI_DEV_ECC_SBE_AGG_TOTAL = Counter, None, "DCGM_FI_DEV_ECC_SBE_AGG_TOTAL", GPU, "Total number of single-bit persistent ECC errors.", "NVML_FI_DEV_ECC_SBE_AGG_TOTAL";
    DCGM_FI_DEV_ECC_DBE_VOL_TOTAL = Counter, None, "DCGM_FI_DEV_ECC_DBE_VOL_TOTAL", GPU, "Total number of double-bit volatile ECC errors.", "NVML_FI_DEV_ECC_DBE_VOL_TOTAL";
    DCGM_FI_DEV_ECC_DBE_AGG_TOTAL = Counter, None, "DCGM_FI_DEV_ECC_DBE_AGG_TOTAL", GPU, "Total number of double-bit persistent ECC errors.", "NVML_FI_DEV_ECC_DBE_AGG_TOTAL";
    DCGM_FI_DEV_ECC_SBE_VOL_L1 = Counter, None, "DCGM_FI_DEV_ECC_SBE_VOL_L1", GPU, "Number of single-bit volatile ECC errors in the L1 cache.", "NVML_FI_DEV_ECC_SBE_VOL_L1";
    DCGM_FI_DEV_ECC_SBE_VOL_L2 = Counter, None, "DCGM_FI_DEV_ECC_SBE_VOL_L2", GPU, "Number of single-bit volatile ECC errors in the L2 cache.", "NVML_FI_DEV_ECC_SBE_VOL_L2";
    DCGM_FI_DEV_ECC_SBE_VOL_DEV = Counter, None, "DCGM_FI_DEV_ECC_SBE_VOL_DEV", GPU, "Number of single-bit volatile ECC errors in the device memory.", "NVML_FI_DEV_ECC_SBE_VOL_DEV";
    DCGM_FI_DEV_ECC_SBE_VOL_REG = Counter, None, "DCGM_FI_DEV_ECC_SBE_VOL_REG", GPU, "Number of single-bit volatile ECC errors in the register file.", "NVML_FI_DEV_ECC_SBE_VOL_REG";
    DCGM_FI_DEV_ECC_SBE_VOL_TEX = Counter, None, "DCGM_FI_DEV_ECC_SBE_VOL_TEX", GPU, "Number of single-bit volatile ECC errors in the texture memory.", "NVML_FI_DEV_ECC_SBE_VOL_TEX";
    DCGM_FI_DEV_ECC_DBE_VOL_L1 = Counter, None, "DCGM_FI_DEV_ECC_DBE_VOL_L1", GPU, "Number of double-bit volatile ECC errors in the L1 cache.", "NVML_FI_DEV_ECC_DBE_VOL_L1";
    DCGM_FI_DEV_ECC_DBE_VOL_L2 = Counter, None, "DCGM_FI_DEV_ECC_DBE_VOL_L2", GPU, "Number of double-bit volatile ECC errors in the L2 cache.", "NVML_FI_DEV_ECC_DBE_VOL_L2";
    DCGM_FI_DEV_ECC_DBE_VOL_DEV = Counter, None, "DCGM_FI_DEV_ECC_DBE_VOL_DEV", GPU, "Number of double-bit volatile ECC errors in the device memory.", "NVML_FI_DEV_ECC_DBE_VOL_DEV";
    DCGM_FI_DEV_ECC_DBE_VOL_REG = Counter, None, "DCGM_FI_DEV_ECC_DBE_VOL_REG", GPU, "Number of double-bit volatile ECC errors in the register file.", "NVML_FI_DEV_ECC_DBE_VOL_REG";
    DCGM_FI_DEV_ECC_DBE_VOL_TEX = Counter, None, "DCGM_FI_DEV_ECC_DBE_VOL_TEX", GPU, "Number of double-bit volatile ECC errors in the texture memory.", "NVML_FI_DEV_ECC_DBE_VOL_TEX";
    DCGM_FI_DEV_ECC_SBE_AGG_L1 = Counter, None, "DCGM_FI_DEV_ECC_SBE_AGG_L1", GPU, "Number of single-bit persistent ECC errors in the L1 cache.", "NVML_FI_DEV_ECC_SBE_AGG_L1";
    DCGM_FI_DEV_ECC_SBE_AGG_L2 = Counter, None, "DCGM_FI_DEV_ECC_SBE_AGG_L2", GPU, "Number of single-bit persistent ECC errors in the L2 cache.", "NVML_FI_DEV_ECC_SBE_AGG_L2";
    DCGM_FI_DEV_ECC_SBE_AGG_DEV = Counter, None, "DCGM_FI_DEV_ECC_SBE_AGG_DEV", GPU, "Number of single-bit persistent ECC errors in the device memory.", "NVML_FI_DEV_ECC_SBE_AGG_DEV";
    DCGM_FI_DEV_ECC_SBE_AGG_REG = Counter, None, "DCGM_FI_DEV_ECC_SBE_AGG_REG", GPU, "Number of single-bit persistent ECC errors in the register file.", "NVML_FI_DEV_ECC_SBE_AGG_REG";
    DCGM_FI_DEV_ECC_SBE_AGG_TEX = Counter, None, "DCGM_FI_DEV_ECC_SBE_AGG_TEX", GPU, "Number of single-bit persistent ECC errors in the texture memory.", "NVML_FI_DEV_ECC_SBE_AGG_TEX";
    DCGM_FI_DEV_ECC_DBE_AGG_L1 = Counter, None, "DCGM_FI_DEV_ECC_DBE_AGG_L1", GPU, "Number of double-bit persistent ECC errors in the L1 cache.", "NVML_FI_DEV_ECC_DBE_AGG_L1";
    DCGM_FI_DEV_ECC_DBE_AGG_L2 = Counter, None, "DCGM_FI_DEV_ECC_DBE_AGG_L2", GPU, "Number of double-bit persistent ECC errors in the L2 cache.", "NVML_FI_DEV_ECC_DBE_AGG_L2";
    DCGM_FI_DEV_ECC_DBE_AGG_DEV = Counter, None, "DCGM_FI_DEV_ECC_DBE_AGG_DEV", GPU, "Number of double-bit persistent ECC errors in the device memory.", "NVML_FI_DEV_ECC_DBE_AGG_DEV";
    DCGM_FI_DEV_ECC_DBE_AGG_REG = Counter, None, "DCGM_FI_DEV_ECC_DBE_AGG_REG", GPU, "Number of double-bit persistent ECC errors in the register file.", "NVML_FI_DEV_ECC_DBE_AGG_REG";
    DCGM_FI_DEV_ECC_DBE_AGG_TEX = Counter, None, "DCGM_FI_DEV_ECC_DBE_AGG_TEX", GPU, "Number of double-bit persistent ECC errors in the texture memory.", "NVML_FI_DEV_ECC_DBE_AGG_TEX";
    DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS = Counter, None, "DCGM_FI_DEV_CORRECTABLE_REMAPPED_ROWS", GPU, "Number of remapped rows for correctable errors.", "NVML_FI_DEV_REMAPPED_COR";
    DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS = Counter, None, "DCGM_FI_DEV_UNCORRECTABLE_REMAPPED_ROWS", GPU, "Number of remapped rows for uncorrectable errors.", "NVML_FI_DEV_REMAPPED_UNC";
    DCGM_FI_DEV_ROW_REMAP_PENDING = Gauge, Bool, "DCGM_FI_DEV_ROW_REMAP_PENDING", GPU, "Whether remapped rows wait for a reset of the GPU.", "NVML_FI_DEV_REMAPPED_PENDING";
    DCGM_FI_DEV_ROW_REMAP_FAILURE = Gauge, Bool, "DCGM_FI_DEV_ROW_REMAP_FAILURE", GPU, "Whether remapping of rows has failed.", "NVML_FI_DEV_REMAPPED_FAILURE";
    DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_MAX = Gauge, None, "DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_MAX", GPU, "Memory banks with all of their spare rows left.", "nvmlDeviceGetRowRemapperHistogram";
    DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_HIGH = Gauge, None, "DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_HIGH", GPU, "Memory banks with most of their spare rows left.", "nvmlDeviceGetRowRemapperHistogram";
    DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_PARTIAL = Gauge, None, "DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_PARTIAL", GPU, "Memory banks with some of their spare rows left.", "nvmlDeviceGetRowRemapperHistogram";
    DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_LOW = Gauge, None, "DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_LOW", GPU, "Memory banks with few of their spare rows left.", "nvmlDeviceGetRowRemapperHistogram";
    DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_NONE = Gauge, None, "DCGM_FI_DEV_BANKS_REMAP_ROWS_AVAIL_NONE", GPU, "Memory banks with none of their spare rows left.", "nvmlDeviceGetRowRemapperHistogram";
    DCGM_FI_DEV_RETIRED_SBE = Counter, None, "DCGM_FI_DEV_RETIRED_SBE", GPU, "Pages retired because of single-bit errors; before Ampere.", "NVML_FI_DEV_RETIRED_SBE";
    DCGM_FI_DEV_RETIRED_DBE = Counter, None, "DCGM_FI_DEV_RETIRED_DBE", GPU, "Pages retired because of double-bit errors; before Ampere.", "NVML_FI_DEV_RETIRED_DBE";
    DCGM_FI_DEV_RETIRED_PENDING = Gauge, None, "DCGM_FI_DEV_RETIRED_PENDING", GPU, "Pages that wait for a reboot to be retired; before Ampere.", "NVML_FI_DEV_RETIRED_PENDING";
    DCGM_FI_DEV_GET_GPU_RECOVERY_ACTION = Gauge, Code, "DCGM_FI_DEV_GET_GPU_RECOVERY_ACTION", GPU, "What the GPU needs: 0 nothing, 1 a reset, 2 a reboot of the node, 3 draining its peers, 4 draining and a reset.", "NVML_FI_DEV_GET_GPU_RECOVERY_ACTION";
    DCGM_FI_DEV_FABRIC_MANAGER_STATUS = Gauge, Code, "DCGM_FI_DEV_FABRIC_MANAGER_STATUS", GPU, "The GPU's place in the NVSwitch fabric: 0 there is none, 1 not started, 2 in progress, 3 joined, 4 failed.", "nvmlDeviceGetGpuFabricInfoV";
    DCGM_FI_DEV_FABRIC_HEALTH_MASK = Gauge, Code, "DCGM_FI_DEV_FABRIC_HEALTH_MASK", GPU, "The fabric's health as nvml.h's nvmlGpuFabricInfo health mask.", "nvmlDeviceGetGpuFabricInfoV";
    DCGM_FI_DEV_PERSISTENCE_MODE = Gauge, Bool, "DCGM_FI_DEV_PERSISTENCE_MODE", GPU, "Whether the driver stays loaded while nothing uses the GPU.", "nvmlDeviceGetPersistenceMode";
    DCGM_FI_DEV_MIG_MODE = Gauge, Bool, "DCGM_FI_DEV_MIG_MODE", GPU, "Whether the GPU is cut into MIG instances.", "nvmlDeviceGetMigMode";
    DCGM_FI_DEV_XID_ERRORS = Gauge, Code, "DCGM_FI_DEV_XID_ERRORS", GPU, "Number of the last XID error the driver reported, 0 while there was none.", "nvmlEventSetWait and the kernel log";
    PODSCOPE_GPU_PCIE_ERRORS_TOTAL = Counter, None, "podscope_gpu_pcie_errors_total", PCIE, "PCIe errors by kind.", "NVML_FI_DEV_PCIE_COUNT_*";
    PODSCOPE_GPU_TEMPERATURE_LIMIT_CELSIUS = Gauge, Celsius, "podscope_gpu_temperature_limit_celsius", TLIMIT, "Margin (as in DCGM_FI_DEV_GPU_TEMP_LIMIT) at which something happens.", "NVML_FI_DEV_TEMPERATURE_*_TLIMIT";
    PODSCOPE_GPU_CLOCKS_EVENT_ACTIVE = Gauge, Bool, "podscope_gpu_clocks_event_active", REASON, "Whether this is one of the reasons why the clocks are not at their highest.", "nvmlDeviceGetCurrentClocksEventReasons";
    PODSCOPE_GPU_XID_ERRORS_TOTAL = Counter, None, "podscope_gpu_xid_errors_total", XID, "XID errors by number: a second one of the same number is seen too.", "nvmlEventSetWait and the kernel log, whichever saw more";
    PODSCOPE_GPU_READABLE = Gauge, Bool, "podscope_gpu_readable", GPU, "1 where the GPU answers, 0 where it is lost or its driver fails.", "NVML";
    PODSCOPE_GPUS_PRESENT = Gauge, None, "podscope_gpus_present", NOTHING, "GPUs that answer.", "NVML";
    PODSCOPE_GPUS_EXPECTED = Gauge, None, "podscope_gpus_expected", NOTHING, "GPUs there should be: configured, or the most ever seen since the agent started.", "NVML, configuration";
    PODSCOPE_NVML_CALLS_TOTAL = Counter, None, "podscope_nvml_calls_total", CALL, "Calls into the GPU library by class.", "the agent's NVML child";
    PODSCOPE_NVML_CALL_SECONDS_TOTAL = Counter, Seconds, "podscope_nvml_call_seconds_total", CALL, "Time spent in calls into the GPU library by class.", "the agent's NVML child";
    PODSCOPE_NVML_SLOWEST_CALL_SECONDS = Gauge, Seconds, "podscope_nvml_slowest_call_seconds", CALL, "The longest call of its class in the last collection.", "the agent's NVML child";
}
