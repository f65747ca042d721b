/** Row 2, GPUs and collectives. */
import { type DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard';

import { barGauge, heatmap, logs, row, timeSeries } from '../house';
import { P } from './signals';

const JOB = `${P},job_id=~"$job"`;

export function rowTwo(board: DashboardBuilder): DashboardBuilder {
  return board
    .withRow(row(101, 'Row 2: GPU / compute'))
    .withPanel(
      timeSeries({
        id: 30,
        title: 'GPU utilisation: SM, memory, copy',
        description:
          'Means over the pod. Kernels: share of time any kernel ran. SM: streaming multiprocessors busy. Memory: memory interface busy. Starved GPUs show it in all; GPUs that wait for the network keep kernels high and SM low.',
        unit: 'percentunit',
        size: [8, 8],
        min: 0,
        max: 1,
        links: [{ title: 'GPUs', url: '/d/nvidia-dcgm' }],
        queries: [
          { expr: `avg(DCGM_FI_DEV_GPU_UTIL{${P}}) / 100`, legend: 'kernels' },
          { expr: `avg(DCGM_FI_PROF_SM_ACTIVE{${P}})`, legend: 'SM' },
          { expr: `avg(DCGM_FI_PROF_DRAM_ACTIVE{${P}})`, legend: 'memory' },
          { expr: `avg(DCGM_FI_PROF_PIPE_TENSOR_ACTIVE{${P}})`, legend: 'tensor' },
        ],
      })
    )
    .withPanel(
      timeSeries({
        id: 31,
        title: 'Copy: PCIe and NVLink',
        description: 'Bytes per second over PCIe and NVLink, sums over the pod, both directions.',
        unit: 'binBps',
        size: [8, 8],
        min: 0,
        queries: [
          { expr: `sum(DCGM_FI_PROF_PCIE_TX_BYTES{${P}}) + sum(DCGM_FI_PROF_PCIE_RX_BYTES{${P}})`, legend: 'PCIe' },
          { expr: `sum(DCGM_FI_PROF_NVLINK_TX_BYTES{${P}}) + sum(DCGM_FI_PROF_NVLINK_RX_BYTES{${P}})`, legend: 'NVLink' },
        ],
      })
    )
    .withPanel(
      timeSeries({
        id: 32,
        title: 'Power',
        description: 'Sum over the pod: what truly works draws power, whatever utilisation says.',
        unit: 'watt',
        size: [8, 8],
        min: 0,
        queries: [{ expr: `sum(DCGM_FI_DEV_POWER_USAGE{${P}})`, legend: 'power' }],
      })
    )
    .withPanel(
      heatmap({
        id: 33,
        title: 'NCCL all-reduce latency',
        description: 'All-reduces by how long they took, from NCCL Inspector on every node, all sizes and the chosen jobs.',
        unit: 's',
        size: [10, 8],
        noValue: 'NCCL Inspector writes nothing here',
        queries: [
          {
            expr: `sum by (le) (increase(podscope_nccl_collective_duration_seconds_bucket{${JOB},collective=~"(?i)all_?reduce"}[$__rate_interval]))`,
            legend: '{{le}}',
            format: 'heatmap',
            interval: '1m',
          },
        ],
      })
    )
    .withPanel(
      barGauge({
        id: 34,
        title: 'Stragglers',
        description:
          'Ranks that end their collectives earliest: they came late and waited least, so that the shortest times point at the slow node.',
        unit: 'short',
        size: [6, 8],
        min: 0,
        decimals: 0,
        noValue: 'no rank stands out, or NCCL Inspector writes nothing',
        queries: [
          {
            expr: `topk(10, sum by (instance, rank) (increase(podscope_nccl_rank_earliest_finishes_total{${JOB}}[15m])))`,
            legend: '{{instance}} rank {{rank}}',
            instant: true,
          },
        ],
      })
    )
    .withPanel(
      logs({
        id: 35,
        title: 'NCCL warnings and errors',
        description: 'Lines of NCCL and of the watchdog over it, from files and the journal of every node.',
        unit: 'short',
        size: [8, 8],
        noValue: 'no warnings',
        queries: [{ events: '{kind="log",source="nccl"}', format: 'logs', limit: 200 }],
      })
    );
}
