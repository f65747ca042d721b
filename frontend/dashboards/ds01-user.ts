/** One person's GPUs and containers. With "only what is theirs" on, a Viewer finds only their own name to choose. */
import type { DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard';

import { busy, gpuHours, heldGpus, heldSlices } from './allocation';
import { house, labelVariable, row, stat, table, timeSeries } from './house';

const U = 'user=~"$user"';
const HIDDEN = ['Time', '__name__', 'job', 'cluster', 'pod', 'rack', 'user'];
const MINE = heldGpus(U);
/** Utilisation of the chosen person's whole GPUs while they hold them. */
const MY_BUSY = `${MINE} * on (instance, gpu) group_left () DCGM_FI_DEV_GPU_UTIL{GPU_I_ID=""}`;
const MY_BUSY_5M = `${MINE} * on (instance, gpu) group_left () ${busy('gpu!=""')}`;
const MY_SLICES = `${heldSlices(U)} * on (instance, gpu, GPU_I_ID) group_left () DCGM_FI_PROF_GR_ENGINE_ACTIVE{GPU_I_ID!=""} * 100`;

export function ds01User(): DashboardBuilder {
  return (
    house({
      uid: 'ds01-user',
      title: 'Podscope / DS01 My Usage',
      description: 'The GPUs, slices and containers of one person, for the time they held them.',
      tags: ['gpu', 'ds01'],
      from: 'now-6h',
    })
      .withVariable(labelVariable('user', 'User', 'label_values(ds01_gpu_allocated, user)', false))

      .withRow(row(100, 'Mine'))
      .withPanel(
        stat({
          id: 1,
          title: 'GPUs',
          description: 'Whole GPUs the person holds.',
          unit: 'short',
          size: [4, 4],
          decimals: 0,
          queries: [{ expr: `count(${MINE}) or vector(0)`, legend: 'GPUs' }],
        })
      )
      .withPanel(
        stat({
          id: 2,
          title: 'MIG equivalents',
          description: 'GPUs and slices held, counted in MIG slices: a whole GPU counts as many as it could be cut into.',
          unit: 'short',
          size: [5, 4],
          decimals: 0,
          queries: [{ expr: `sum(ds01_user_mig_allocated{${U}}) or vector(0)`, legend: 'slices' }],
        })
      )
      .withPanel(
        stat({
          id: 3,
          title: 'Containers',
          description: 'Running containers of the person.',
          unit: 'short',
          size: [5, 4],
          decimals: 0,
          queries: [{ expr: `sum(ds01_user_containers_count{${U}}) or vector(0)`, legend: 'containers' }],
        })
      )
      .withPanel(
        stat({
          id: 4,
          title: 'Utilisation of my GPUs',
          description: 'Mean over the whole GPUs the person holds, over the last 5 minutes.',
          unit: 'percent',
          size: [5, 4],
          min: 0,
          max: 100,
          decimals: 1,
          sparkline: true,
          queries: [
            { expr: `avg(${MY_BUSY_5M})`, legend: 'utilisation' },
          ],
        })
      )
      .withPanel(
        stat({
          id: 5,
          title: 'GPU-hours in this range',
          description: 'Whole GPUs times the hours they were held, over the range of the dashboard.',
          unit: 'short',
          size: [5, 4],
          decimals: 1,
          queries: [{ expr: gpuHours('user', MINE), legend: 'GPU-hours', instant: true }],
        })
      )

      .withRow(row(101, 'My GPUs'))
      .withPanel(
        table({
          id: 10,
          title: 'Allocations',
          description: 'GPU or MIG slice and container, now.',
          unit: 'short',
          size: [10, 8],
          queries: [{ expr: `ds01_gpu_allocated{${U}}`, format: 'table', instant: true }],
          hide: [...HIDDEN, 'Value'],
          order: ['instance', 'gpu_slot', 'container', 'interface'],
          rename: { instance: 'node', gpu_slot: 'GPU', interface: 'made through' },
        })
      )
      .withPanel(
        timeSeries({
          id: 11,
          title: 'GPU utilisation while held',
          description: 'Share of time at least one kernel ran, for the time the person held the GPU.',
          unit: 'percent',
          size: [14, 8],
          min: 0,
          max: 100,
          queries: [
            { expr: MY_BUSY, legend: '{{instance}} GPU {{gpu}}' },
            { expr: MY_SLICES, legend: '{{instance}} GPU {{gpu}} slice {{GPU_I_ID}}' },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 12,
          title: 'GPU memory of my processes',
          description: 'Memory the person’s processes have on each GPU.',
          unit: 'bytes',
          size: [12, 8],
          min: 0,
          queries: [{ expr: `podscope_gpu_user_memory_bytes{${U}}`, legend: '{{instance}} GPU {{gpu}}' }],
        })
      )
      .withPanel(
        timeSeries({
          id: 13,
          title: 'Idle while held',
          description: 'Whole GPUs of the person that were under 5 % busy over 5 minutes.',
          unit: 'short',
          size: [12, 8],
          min: 0,
          decimals: 0,
          queries: [
            { expr: `count(${MY_BUSY_5M} < 5) or vector(0)`, legend: 'idle' },
            { expr: `count(${MINE}) or vector(0)`, legend: 'held' },
          ],
        })
      )

      .withRow(row(102, 'My containers'))
      .withPanel(
        timeSeries({
          id: 20,
          title: 'CPU',
          description: 'CPU time per second of each container; 100 % is one CPU.',
          unit: 'percentunit',
          size: [12, 8],
          min: 0,
          queries: [
            { expr: `rate(container_cpu_usage_seconds_total{${U}}[$__rate_interval])`, legend: '{{instance}} {{name}}' },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 21,
          title: 'Memory',
          description: 'Memory in use by each container, without file cache nobody used of late.',
          unit: 'bytes',
          size: [12, 8],
          min: 0,
          queries: [{ expr: `container_memory_working_set_bytes{${U}}`, legend: '{{instance}} {{name}}' }],
        })
      )
      .withPanel(
        timeSeries({
          id: 22,
          title: 'Disk',
          description: 'Bytes read and written per second by each container.',
          unit: 'binBps',
          size: [12, 8],
          min: 0,
          queries: [
            { expr: `rate(container_fs_reads_bytes_total{${U}}[$__rate_interval])`, legend: '{{name}} read' },
            { expr: `rate(container_fs_writes_bytes_total{${U}}[$__rate_interval])`, legend: '{{name}} written' },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 23,
          title: 'Processes',
          description: 'Processes and threads of each container.',
          unit: 'short',
          size: [12, 8],
          min: 0,
          decimals: 0,
          queries: [{ expr: `container_processes{${U}}`, legend: '{{instance}} {{name}}' }],
        })
      )
  );
}
