//! Older names for GPU readings; written where the configuration asks for them, see `podscope_collect::gpu::alias`.

use super::{Job, metrics};

metrics! { Job::Dcgm;
    DS01_GPU_UTILIZATION = Gauge, Percent, "ds01_gpu_utilization_percent", ["gpu"], "Alias of DCGM_FI_DEV_GPU_UTIL.", "alias family ds01";
    DS01_GPU_TEMPERATURE = Gauge, Celsius, "ds01_gpu_temperature_celsius", ["gpu"], "Alias of DCGM_FI_DEV_GPU_TEMP.", "alias family ds01";
    DS01_GPU_MEMORY_USED = Gauge, Bytes, "ds01_gpu_memory_used_bytes", ["gpu"], "Alias of DCGM_FI_DEV_FB_USED, in bytes.", "alias family ds01";
    DS01_GPU_MEMORY_TOTAL = Gauge, Bytes, "ds01_gpu_memory_total_bytes", ["gpu"], "Alias of DCGM_FI_DEV_FB_TOTAL, in bytes.", "alias family ds01";
    DS01_MIG_UTILIZATION = Gauge, Percent, "ds01_mig_utilization_percent", ["slot"], "Alias of a MIG instance's DCGM_FI_PROF_GR_ENGINE_ACTIVE, in percent; the slot is GPU and instance.", "alias family ds01";
    NVIDIA_GPU_UTILIZATION = Gauge, Percent, "nvidia_gpu_utilization_percentage", ["gpu"], "Alias of DCGM_FI_DEV_GPU_UTIL.", "alias family nvidia_gpu";
    NVIDIA_GPU_MEMORY_USED = Gauge, Bytes, "nvidia_gpu_memory_used_bytes", ["gpu"], "Alias of DCGM_FI_DEV_FB_USED, in bytes.", "alias family nvidia_gpu";
    NVIDIA_GPU_MEMORY_TOTAL = Gauge, Bytes, "nvidia_gpu_memory_total_bytes", ["gpu"], "Alias of DCGM_FI_DEV_FB_TOTAL, in bytes.", "alias family nvidia_gpu";
}
