/** A shared GPU server at a glance: what there is, who holds it, and what of it is wasted. */
import type { DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard';

import { busy, gpuHours, heldBusy, heldGpus, heldOnce, heldSlices } from './allocation';
import { barGauge, house, labelVariable, pie, row, stat, table, textVariable, timeSeries } from './house';

const I = 'instance=~"$instance"';
const LEGEND = '{{instance}} GPU {{gpu}}';
const ALL_GPUS = `DCGM_FI_DEV_GPU_TEMP{${I},GPU_I_ID=""}`;
const SLICES = `count by (instance, gpu, GPU_I_ID) (DCGM_FI_PROF_GR_ENGINE_ACTIVE{${I},GPU_I_ID!=""})`;
const HIDDEN = ['Time', '__name__', 'job', 'cluster', 'pod', 'rack'];

export function ds01Overview(): DashboardBuilder {
  return (
    house({
      uid: 'ds01-overview',
      title: 'Podscope / DS01 Overview',
      description: 'A shared GPU server: GPUs, slices and containers, their holders, and what is wasted.',
      tags: ['gpu', 'ds01'],
      from: 'now-6h',
    })
      .withVariable(labelVariable('instance', 'Node', 'label_values(up, instance)', true))
      .withVariable(textVariable('price', '$ per GPU-hour', '2.50'))

      .withRow(row(100, 'GPUs'))
      .withPanel(
        stat({
          id: 1,
          title: 'GPUs',
          description: 'GPUs that answer.',
          unit: 'short',
          size: [4, 4],
          decimals: 0,
          queries: [{ expr: `count(${ALL_GPUS})`, legend: 'GPUs' }],
        })
      )
      .withPanel(
        stat({
          id: 2,
          title: 'Mean utilisation',
          description: 'Share of time at least one kernel ran, mean over all GPUs. A spinning kernel counts as busy.',
          unit: 'percent',
          size: [5, 4],
          min: 0,
          max: 100,
          decimals: 1,
          sparkline: true,
          queries: [{ expr: `avg(DCGM_FI_DEV_GPU_UTIL{${I},GPU_I_ID=""})`, legend: 'utilisation' }],
        })
      )
      .withPanel(
        stat({
          id: 3,
          title: 'Hottest GPU',
          description: 'Highest GPU temperature.',
          unit: 'celsius',
          size: [5, 4],
          decimals: 0,
          sparkline: true,
          thresholds: [{ color: 'green' }, { value: 85, color: 'yellow' }, { value: 90, color: 'red' }],
          queries: [{ expr: `max(DCGM_FI_DEV_GPU_TEMP{${I}})`, legend: 'temperature' }],
        })
      )
      .withPanel(
        stat({
          id: 4,
          title: 'MIG slices: all, held, free',
          description: 'MIG instances of all GPUs, how many of them somebody holds, and how many nobody does.',
          unit: 'short',
          size: [10, 4],
          decimals: 0,
          noValue: 'no MIG',
          queries: [
            { expr: `count(${SLICES}) or vector(0)`, legend: 'all' },
            { expr: `count(${heldSlices(I)}) or vector(0)`, legend: 'held' },
            { expr: `(count(${SLICES}) - (count(${heldSlices(I)}) or vector(0))) or vector(0)`, legend: 'free' },
          ],
        })
      )

      .withRow(row(101, 'From total to effective'))
      .withPanel(
        barGauge({
          id: 10,
          title: 'Funnel',
          description:
            'GPUs there are; of these held by somebody; of these at least 5 % busy over 5 minutes; of these effective: more than half of the multiprocessors at work.',
          unit: 'short',
          size: [10, 8],
          min: 0,
          decimals: 0,
          queries: [
            { expr: `count(${ALL_GPUS})`, legend: 'total' },
            { expr: `count(${heldOnce(I)}) or vector(0)`, legend: 'allocated' },
            { expr: `count((${busy(I)} >= 5) and on (instance, gpu) ${heldOnce(I)}) or vector(0)`, legend: 'active' },
            {
              expr: `count((avg_over_time(DCGM_FI_PROF_SM_ACTIVE{${I},GPU_I_ID=""}[5m]) > 0.5) and on (instance, gpu) ${heldOnce(I)}) or vector(0)`,
              legend: 'effective',
            },
          ],
        })
      )
      .withPanel(
        stat({
          id: 11,
          title: 'Idle while held',
          description: 'GPUs that somebody holds and that were under 5 % busy over the last 5 minutes.',
          unit: 'short',
          size: [7, 4],
          decimals: 0,
          sparkline: true,
          thresholds: [{ color: 'green' }, { value: 1, color: 'yellow' }],
          queries: [{ expr: `count(max by (instance, gpu) (${heldBusy(I)}) < 5) or vector(0)`, legend: 'idle' }],
        })
      )
      .withPanel(
        stat({
          id: 12,
          title: 'Cost of idleness per hour',
          description: 'GPUs that are idle while held, times the price of a GPU-hour chosen above.',
          unit: 'currencyUSD',
          size: [7, 4],
          decimals: 2,
          queries: [
            {
              expr: `$price * (count(max by (instance, gpu) (${heldBusy(I)}) < 5) or vector(0))`,
              legend: '$ per hour',
            },
          ],
        })
      )
      .withPanel(
        stat({
          id: 13,
          title: 'Utilisation of held GPUs',
          description: 'Mean over the GPUs that somebody holds: the busy share of what is allocated.',
          unit: 'percent',
          size: [7, 4],
          min: 0,
          max: 100,
          decimals: 1,
          sparkline: true,
          queries: [{ expr: `avg(max by (instance, gpu) (${heldBusy(I)}))`, legend: 'held' }],
        })
      )
      .withPanel(
        stat({
          id: 14,
          title: 'Power',
          description: 'Sum over all GPUs.',
          unit: 'watt',
          size: [7, 4],
          decimals: 0,
          sparkline: true,
          queries: [{ expr: `sum(DCGM_FI_DEV_POWER_USAGE{${I}})`, legend: 'power' }],
        })
      )

      .withRow(row(102, 'Over time'))
      .withPanel(
        timeSeries({
          id: 20,
          title: 'GPU utilisation',
          description: 'Share of time at least one kernel ran.',
          unit: 'percent',
          size: [12, 8],
          min: 0,
          max: 100,
          queries: [{ expr: `DCGM_FI_DEV_GPU_UTIL{${I}}`, legend: LEGEND }],
        })
      )
      .withPanel(
        timeSeries({
          id: 21,
          title: 'GPU memory used',
          description: 'Frame buffer in use.',
          unit: 'mbytes',
          size: [12, 8],
          min: 0,
          queries: [{ expr: `DCGM_FI_DEV_FB_USED{${I}}`, legend: LEGEND }],
        })
      )
      .withPanel(
        timeSeries({
          id: 22,
          title: 'GPU temperature',
          description: 'Temperature of the GPU die.',
          unit: 'celsius',
          size: [12, 8],
          showThresholds: true,
          thresholds: [{ color: 'green' }, { value: 85, color: 'yellow' }, { value: 90, color: 'red' }],
          queries: [{ expr: `DCGM_FI_DEV_GPU_TEMP{${I}}`, legend: LEGEND }],
        })
      )
      .withPanel(
        timeSeries({
          id: 23,
          title: 'GPUs held and idle',
          description: 'GPUs that somebody holds, and those of them under 5 % busy over 5 minutes.',
          unit: 'short',
          size: [12, 8],
          min: 0,
          decimals: 0,
          queries: [
            { expr: `count(${heldOnce(I)}) or vector(0)`, legend: 'held' },
            { expr: `count(max by (instance, gpu) (${heldBusy(I)}) < 5) or vector(0)`, legend: 'held and idle' },
          ],
        })
      )

      .withRow(row(103, 'Who holds what'))
      .withPanel(
        table({
          id: 40,
          title: 'Allocations',
          description: 'GPU or MIG slice, container and person, now.',
          unit: 'short',
          size: [14, 9],
          queries: [{ expr: `ds01_gpu_allocated{${I}}`, format: 'table', instant: true }],
          hide: [...HIDDEN, 'Value'],
          order: ['instance', 'gpu_slot', 'user', 'container', 'interface'],
          rename: { instance: 'node', gpu_slot: 'GPU', interface: 'made through' },
        })
      )
      .withPanel(
        pie({
          id: 42,
          title: 'Running containers by interface',
          description: 'What the running containers were made through.',
          unit: 'short',
          size: [10, 9],
          decimals: 0,
          queries: [
            {
              expr: `sum by (interface) (ds01_containers_total{${I},status="running"})`,
              legend: '{{interface}}',
              instant: true,
            },
          ],
        })
      )
      .withPanel(
        table({
          id: 41,
          title: 'Idle GPUs and who holds them',
          description: 'Held GPUs with their utilisation over the last 5 minutes, the idlest first.',
          unit: 'percent',
          size: [14, 9],
          decimals: 1,
          queries: [{ expr: `sort(${heldBusy(I)})`, format: 'table', instant: true }],
          hide: HIDDEN,
          order: ['instance', 'gpu', 'user', 'container', 'Value'],
          rename: { instance: 'node', gpu: 'GPU', Value: 'busy' },
        })
      )
      .withPanel(
        barGauge({
          id: 43,
          title: 'GPUs by person',
          description: 'Whole GPUs each person holds now.',
          unit: 'short',
          size: [10, 9],
          min: 0,
          decimals: 0,
          queries: [{ expr: `count by (user) (${heldGpus(I)})`, legend: '{{user}}', instant: true }],
        })
      )

      .withRow(row(104, 'Used and wasted in this range'))
      .withPanel(
        barGauge({
          id: 50,
          title: 'GPU-hours held by person',
          description: 'Whole GPUs times the hours they were held, over the range of the dashboard.',
          unit: 'short',
          size: [8, 8],
          min: 0,
          decimals: 1,
          queries: [{ expr: gpuHours('user', heldGpus(I)), legend: '{{user}}', instant: true }],
        })
      )
      .withPanel(
        barGauge({
          id: 52,
          title: 'GPU-hours wasted by person',
          description: 'Of these, the hours in which the GPU was under 5 % busy over 5 minutes.',
          unit: 'short',
          size: [8, 8],
          min: 0,
          decimals: 1,
          queries: [
            { expr: gpuHours('user', `(${heldBusy(I)}) < bool 5`), legend: '{{user}}', instant: true },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 51,
          title: 'Container memory against its limit',
          description: 'Memory in use without idle file cache, as a share of the limit; only where a limit is set.',
          unit: 'percent',
          size: [8, 8],
          min: 0,
          showThresholds: true,
          thresholds: [{ color: 'green' }, { value: 90, color: 'red' }],
          queries: [
            {
              expr: `100 * container_memory_working_set_bytes{${I}} / container_spec_memory_limit_bytes{${I}}`,
              legend: '{{name}} ({{user}})',
            },
          ],
        })
      )
  );
}
