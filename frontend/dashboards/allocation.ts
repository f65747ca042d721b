/**
 * Who holds what, in PromQL. `ds01_gpu_allocated` names a slot (`3`, or `3.1` for a MIG slice); GPU series name `gpu` and `GPU_I_ID`. Formulas are
 * those of docs/definitions in words: a GPU is wasted while it is held and under 5 % busy over five minutes; it is effective with more than half of
 * its multiprocessors busy. A GPU without a utilisation sample is unknown, not wasted.
 */

/** One series per whole GPU, person and container. */
export function heldGpus(selector: string): string {
  return `max by (instance, gpu, user, container) (label_replace(ds01_gpu_allocated{${selector},gpu_slot!~".+[.].+"}, "gpu", "$1", "gpu_slot", "(.+)"))`;
}

/** Whole GPUs that somebody holds, once each, slices' GPUs included. */
export function heldOnce(selector: string): string {
  return `max by (instance, gpu) (label_replace(ds01_gpu_allocated{${selector}}, "gpu", "$1", "gpu_slot", "([^.]+).*"))`;
}

/** One series per MIG slice, person and container. */
export function heldSlices(selector: string): string {
  const gpu = `label_replace(ds01_gpu_allocated{${selector},gpu_slot=~".+[.].+"}, "gpu", "$1", "gpu_slot", "(.+)[.].+")`;
  return `max by (instance, gpu, GPU_I_ID, user, container) (label_replace(${gpu}, "GPU_I_ID", "$1", "gpu_slot", ".+[.](.+)"))`;
}

/** Utilisation over five minutes of whole GPUs, in percent. */
export function busy(selector: string): string {
  return `avg_over_time(DCGM_FI_DEV_GPU_UTIL{${selector},GPU_I_ID=""}[5m])`;
}

/** Utilisation of held whole GPUs with their holder. */
export function heldBusy(selector: string): string {
  return `${heldGpus(selector)} * on (instance, gpu) group_left () ${busy(selector)}`;
}

/** GPU-hours over the panel's range of a series that is 1 while it counts, by a label. */
export function gpuHours(by: string, counted: string): string {
  return `sum by (${by}) (sum_over_time((${counted})[$__range:5m])) / 12`;
}
