//! Processes on GPUs, with the container and the person they belong to.

use super::{Job, metrics};

const PROCESS: &[&str] = &["gpu", "GPU_I_ID", "pid", "process", "container", "user"];
const USER: &[&str] = &["user", "gpu", "GPU_I_ID"];

metrics! { Job::Processes;
    GPU_PROCESS_MEMORY = Gauge, Bytes, "podscope_gpu_process_memory_bytes", PROCESS, "Memory a process has on a GPU.", "nvmlDeviceGetComputeRunningProcesses_v3";
    GPU_PROCESS_UTILIZATION = Gauge, Ratio, "podscope_gpu_process_utilization_ratio", PROCESS, "Share of the time in which a process's kernels ran; absent for MIG instances.", "nvmlDeviceGetProcessUtilization";
    GPU_PROCESS_MEMORY_UTILIZATION = Gauge, Ratio, "podscope_gpu_process_memory_utilization_ratio", PROCESS, "Share of the time in which a process read or wrote GPU memory; absent for MIG instances.", "nvmlDeviceGetProcessUtilization";
    GPU_USER_MEMORY = Gauge, Bytes, "podscope_gpu_user_memory_bytes", USER, "Memory a user's processes have on a GPU.", "nvmlDeviceGetComputeRunningProcesses_v3";
    GPU_USER_UTILIZATION = Gauge, Ratio, "podscope_gpu_user_utilization_ratio", USER, "Share of the time in which a user's kernels ran, at most 1; absent for MIG instances.", "nvmlDeviceGetProcessUtilization";
    GPU_USER_PROCESSES = Gauge, None, "podscope_gpu_user_processes", USER, "Processes a user has on a GPU.", "nvmlDeviceGetComputeRunningProcesses_v3";
    GPU_PROCESSES = Gauge, None, "podscope_gpu_processes", [], "Processes on all GPUs.", "nvmlDeviceGetComputeRunningProcesses_v3";
    GPU_PROCESSES_LEFT_OUT = Gauge, None, "podscope_gpu_processes_left_out", [], "Processes without series because there are too many; those with the least memory.", "nvmlDeviceGetComputeRunningProcesses_v3";
}
