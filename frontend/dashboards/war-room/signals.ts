/** The war room's own words: selectors, and the four signals whose order tells an incident. */
import type { QuerySpec } from '../query';

/** Series of the chosen pod. */
export const P = 'pod=~"$pod"';
export const LINK = `${P},fabric=~"$fabric",leaf=~"$leaf"`;
export const SWITCH = `${P},fabric=~"$fabric"`;
export const CLASS = `${SWITCH},tc=~"$tc"`;
export const CNODE = `${P},hostname=~"$cnode"`;
export const WAIT = `${P},partition=~"$partition",account="all",qos="all"`;
/** NVMe-oF as the nodes see it; local disks are left out. */
export const FABRIC_IO = `${P},transport=~"rdma|tcp"`;

export const MARKED = 'nvswitch_interface_tc_tx_ecn_marked_tc';
export const FRAMES = 'nvswitch_interface_tc_tx_frames';

/** Queue wait at a quantile, in seconds. */
export function wait(quantile: string, offset = ''): string {
  return `max by (pod) (podscope_job_wait_seconds{quantile="${quantile}",${P},partition="all",account="all",qos="all"}${offset})`;
}

/** GPUs busy, in percent of the allocated ones. */
export function busy(offset = ''): string {
  return `sum(DCGM_FI_DEV_GPU_UTIL{${P}}${offset}) / sum(slurm_gpus_alloc{${P}}${offset})`;
}

/** ECN marks as a share of frames: a ratio of sums, over all ports of the chosen classes. */
export function ecn(by = '', offset = ''): string {
  const sum = by === '' ? 'sum' : `sum by (${by}) `;
  return `${sum}(rate(${MARKED}{${CLASS}}[$__rate_interval]${offset})) / ${sum}(rate(${FRAMES}{${CLASS}}[$__rate_interval]${offset}))`;
}

/** A quantile of NVMe-oF latency over all nodes: buckets are merged, quantiles never averaged. */
export function nvme(quantile: number, offset = ''): string {
  return `histogram_quantile(${String(quantile)}, sum by (le) (rate(podscope_block_io_latency_seconds_bucket{${FABRIC_IO}}[5m]${offset})))`;
}

/** The mean where the kernel is not traced: a mean, and called one. */
export function nvmeMean(offset = ''): string {
  return `sum(rate(node_disk_read_time_seconds_total{${P},device=~"nvme.+"}[5m]${offset})) / sum(rate(node_disk_reads_completed_total{${P},device=~"nvme.+"}[5m]${offset}))`;
}

/** The same hour yesterday, behind a signal. */
export function yesterday(expr: string): QuerySpec {
  return { expr, legend: 'same hour yesterday', interval: '1m' };
}

export const SLO_SECONDS = 600;
export const ECN_LIMIT = 0.01;
export const UTIL_LIMIT = 70;
/** Where the composite calls NVMe-oF latency bad, in seconds: three times a healthy pod's P99. */
export const NVME_LIMIT = 0.0012;
