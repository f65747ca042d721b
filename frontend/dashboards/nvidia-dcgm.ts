/** The GPUs of a cluster under dcgm-exporter's metric names. */
import type { DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard';

import { house, labelVariable, row, stat, table, timeSeries } from './house';

const G = 'Hostname=~"$Hostname",gpu=~"$gpu"';
const LEGEND = '{{Hostname}} GPU {{gpu}}';

export function nvidiaDcgm(): DashboardBuilder {
  return (
    house({
      uid: 'nvidia-dcgm',
      title: 'Podscope / NVIDIA GPUs',
      description: 'GPU utilisation, memory, temperature, power, clocks and faults, under the names of dcgm-exporter.',
      tags: ['gpu'],
      from: 'now-1h',
    })
      .withVariable(labelVariable('Hostname', 'Node', 'label_values(DCGM_FI_DEV_GPU_UTIL, Hostname)', true))
      .withVariable(
        labelVariable('gpu', 'GPU', 'label_values(DCGM_FI_DEV_GPU_UTIL{Hostname=~"$Hostname"}, gpu)', true)
      )

      .withRow(row(100, 'At a glance'))
      .withPanel(
        stat({
          id: 1,
          title: 'GPUs',
          description: 'GPUs that answer.',
          unit: 'short',
          size: [4, 4],
          decimals: 0,
          queries: [{ expr: `count(DCGM_FI_DEV_GPU_TEMP{${G}})`, legend: 'GPUs' }],
        })
      )
      .withPanel(
        stat({
          id: 2,
          title: 'Mean utilisation',
          description: 'Share of time at least one kernel ran, mean over the chosen GPUs. A spinning kernel counts as busy.',
          unit: 'percent',
          size: [4, 4],
          min: 0,
          max: 100,
          decimals: 1,
          sparkline: true,
          queries: [{ expr: `avg(DCGM_FI_DEV_GPU_UTIL{${G}})`, legend: 'utilisation' }],
        })
      )
      .withPanel(
        stat({
          id: 3,
          title: 'GPUs idle',
          description: 'GPUs whose utilisation stayed under 5 % over the last 5 minutes.',
          unit: 'short',
          size: [4, 4],
          decimals: 0,
          sparkline: true,
          queries: [
            {
              expr: `count(avg_over_time(DCGM_FI_DEV_GPU_UTIL{${G}}[5m]) < 5) or vector(0)`,
              legend: 'idle',
            },
          ],
        })
      )
      .withPanel(
        stat({
          id: 4,
          title: 'Power',
          description: 'Sum over the chosen GPUs.',
          unit: 'watt',
          size: [4, 4],
          decimals: 0,
          sparkline: true,
          queries: [{ expr: `sum(DCGM_FI_DEV_POWER_USAGE{${G}})`, legend: 'power' }],
        })
      )
      .withPanel(
        stat({
          id: 5,
          title: 'Hottest GPU',
          description: 'Highest GPU temperature.',
          unit: 'celsius',
          size: [4, 4],
          decimals: 0,
          sparkline: true,
          thresholds: [{ color: 'green' }, { value: 85, color: 'yellow' }, { value: 90, color: 'red' }],
          queries: [{ expr: `max(DCGM_FI_DEV_GPU_TEMP{${G}})`, legend: 'temperature' }],
        })
      )
      .withPanel(
        stat({
          id: 6,
          title: 'Memory used',
          description: 'Frame buffer in use, sum over the chosen GPUs.',
          unit: 'mbytes',
          size: [4, 4],
          decimals: 1,
          sparkline: true,
          queries: [{ expr: `sum(DCGM_FI_DEV_FB_USED{${G}})`, legend: 'used' }],
        })
      )

      .withRow(row(101, 'Load'))
      .withPanel(
        timeSeries({
          id: 10,
          title: 'GPU utilisation',
          description: 'Share of time at least one kernel ran.',
          unit: 'percent',
          size: [12, 8],
          min: 0,
          max: 100,
          legendTable: true,
          queries: [{ expr: `DCGM_FI_DEV_GPU_UTIL{${G}}`, legend: LEGEND }],
        })
      )
      .withPanel(
        timeSeries({
          id: 11,
          title: 'Memory used',
          description: 'Frame buffer in use.',
          unit: 'mbytes',
          size: [12, 8],
          min: 0,
          legendTable: true,
          queries: [{ expr: `DCGM_FI_DEV_FB_USED{${G}}`, legend: LEGEND }],
        })
      )
      .withPanel(
        timeSeries({
          id: 12,
          title: 'Utilisation by node',
          description: 'Mean over the GPUs of each node.',
          unit: 'percent',
          size: [12, 8],
          min: 0,
          max: 100,
          queries: [{ expr: `avg by (Hostname) (DCGM_FI_DEV_GPU_UTIL{${G}})`, legend: '{{Hostname}}' }],
        })
      )
      .withPanel(
        timeSeries({
          id: 13,
          title: 'Memory access time',
          description: 'Share of time device memory was read or written; time, not bandwidth.',
          unit: 'percent',
          size: [12, 8],
          min: 0,
          max: 100,
          queries: [{ expr: `DCGM_FI_DEV_MEM_COPY_UTIL{${G}}`, legend: LEGEND }],
        })
      )

      .withRow(row(102, 'Heat and power'))
      .withPanel(
        timeSeries({
          id: 20,
          title: 'GPU temperature',
          description: 'Temperature of the GPU die.',
          unit: 'celsius',
          size: [12, 8],
          showThresholds: true,
          thresholds: [{ color: 'green' }, { value: 85, color: 'yellow' }, { value: 90, color: 'red' }],
          queries: [{ expr: `DCGM_FI_DEV_GPU_TEMP{${G}}`, legend: LEGEND }],
        })
      )
      .withPanel(
        timeSeries({
          id: 21,
          title: 'Power',
          description: 'Power drawn, as the driver reports it (a one-second mean since Ampere).',
          unit: 'watt',
          size: [12, 8],
          min: 0,
          queries: [{ expr: `DCGM_FI_DEV_POWER_USAGE{${G}}`, legend: LEGEND }],
        })
      )
      .withPanel(
        timeSeries({
          id: 22,
          title: 'SM clock',
          description: 'Clock of the streaming multiprocessors; it falls under load when power or heat limits it.',
          unit: 'rotmhz',
          size: [12, 8],
          min: 0,
          queries: [{ expr: `DCGM_FI_DEV_SM_CLOCK{${G}}`, legend: LEGEND }],
        })
      )
      .withPanel(
        timeSeries({
          id: 23,
          title: 'Mean power from the energy counter',
          description: 'Rate of the energy counter: catches what sampling the power misses.',
          unit: 'watt',
          size: [12, 8],
          min: 0,
          queries: [
            {
              expr: `rate(DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{${G}}[$__rate_interval]) / 1000`,
              legend: LEGEND,
            },
          ],
        })
      )

      .withPanel(
        timeSeries({
          id: 24,
          title: 'Memory clock',
          description: 'Clock of the device memory.',
          unit: 'rotmhz',
          size: [12, 8],
          min: 0,
          queries: [
            { expr: `DCGM_FI_DEV_MEM_CLOCK{${G}}`, legend: LEGEND },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 25,
          title: 'Mean temperature by node',
          description: 'Mean over the GPUs of each node.',
          unit: 'celsius',
          size: [12, 8],
          min: 0,
          queries: [
            { expr: `avg by (Hostname) (DCGM_FI_DEV_GPU_TEMP{${G}})`, legend: '{{Hostname}}' },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 26,
          title: 'Why clocks are held down',
          description: 'Share of the time in which temperature or the power limit held the clocks down.',
          unit: 'percentunit',
          size: [12, 8],
          min: 0,
          queries: [
            { expr: `rate(DCGM_FI_DEV_THERMAL_VIOLATION{${G}}[$__rate_interval]) / 1e9`, legend: `${LEGEND} heat` },
            { expr: `rate(DCGM_FI_DEV_POWER_VIOLATION{${G}}[$__rate_interval]) / 1e9`, legend: `${LEGEND} power limit` },
          ],
        })
      )

      .withRow(row(104, 'Engines'))
      .withPanel(
        timeSeries({
          id: 40,
          title: 'Tensor cores active',
          description: 'Share of time a tensor pipe was at work; what a training job is paid for. Hopper and later.',
          unit: 'percentunit',
          size: [12, 8],
          min: 0,
          max: 1,
          queries: [
            { expr: `DCGM_FI_PROF_PIPE_TENSOR_ACTIVE{${G}}`, legend: LEGEND },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 41,
          title: 'Multiprocessors active',
          description: 'Share of time at least one warp was on a multiprocessor, averaged over all of them: utilisation that counts how much of the GPU is used.',
          unit: 'percentunit',
          size: [12, 8],
          min: 0,
          max: 1,
          queries: [
            { expr: `DCGM_FI_PROF_SM_ACTIVE{${G}}`, legend: LEGEND },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 42,
          title: 'Occupancy',
          description: 'Warps resident, as a share of the most there can be.',
          unit: 'percentunit',
          size: [12, 8],
          min: 0,
          max: 1,
          queries: [
            { expr: `DCGM_FI_PROF_SM_OCCUPANCY{${G}}`, legend: LEGEND },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 43,
          title: 'Memory bandwidth in use',
          description: 'Share of the memory’s bandwidth.',
          unit: 'percentunit',
          size: [12, 8],
          min: 0,
          max: 1,
          queries: [
            { expr: `DCGM_FI_PROF_DRAM_ACTIVE{${G}}`, legend: LEGEND },
          ],
        })
      )

      .withRow(row(105, 'Links'))
      .withPanel(
        timeSeries({
          id: 50,
          title: 'PCIe',
          description: 'Bytes per second between GPU and host, headers included.',
          unit: 'binBps',
          size: [12, 8],
          min: 0,
          queries: [
            { expr: `DCGM_FI_PROF_PCIE_TX_BYTES{${G}}`, legend: `${LEGEND} sent` },
            { expr: `DCGM_FI_PROF_PCIE_RX_BYTES{${G}}`, legend: `${LEGEND} received` },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 51,
          title: 'NVLink',
          description: 'Bytes per second over all NVLinks of a GPU.',
          unit: 'binBps',
          size: [12, 8],
          min: 0,
          queries: [
            { expr: `rate(DCGM_FI_DEV_NVLINK_COUNT_TX_BYTES{${G}}[$__rate_interval])`, legend: `${LEGEND} sent` },
            { expr: `rate(DCGM_FI_DEV_NVLINK_COUNT_RX_BYTES{${G}}[$__rate_interval])`, legend: `${LEGEND} received` },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 60,
          title: 'NVLinks down',
          description: 'NVLinks the GPU has that are not up.',
          unit: 'short',
          size: [12, 8],
          min: 0,
          decimals: 0,
          queries: [
            { expr: `podscope_gpu_nvlinks{${G}} - podscope_gpu_nvlinks_active{${G}}`, legend: LEGEND },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 61,
          title: 'NVLink errors',
          description: 'Recoveries, replays and checksum errors of all NVLinks per second.',
          unit: 'short',
          size: [12, 8],
          min: 0,
          queries: [
            { expr: `rate(DCGM_FI_DEV_NVLINK_RECOVERY_ERROR_COUNT_TOTAL{${G}}[$__rate_interval])`, legend: `${LEGEND} recoveries` },
            { expr: `rate(DCGM_FI_DEV_NVLINK_REPLAY_ERROR_COUNT_TOTAL{${G}}[$__rate_interval])`, legend: `${LEGEND} replays` },
            { expr: `rate(DCGM_FI_DEV_NVLINK_CRC_FLIT_ERROR_COUNT_TOTAL{${G}}[$__rate_interval])`, legend: `${LEGEND} checksums` },
          ],
        })
      )

      .withRow(row(106, 'MIG'))
      .withPanel(
        timeSeries({
          id: 70,
          title: 'Slices: engine active',
          noValue: 'no MIG slices',
          description: 'Share of time the engines of each MIG instance were at work. The GPU they are cut from has no utilisation of its own.',
          unit: 'percentunit',
          size: [12, 8],
          min: 0,
          max: 1,
          queries: [
            { expr: `DCGM_FI_PROF_GR_ENGINE_ACTIVE{${G},GPU_I_ID!=""}`, legend: `${LEGEND} slice {{GPU_I_ID}} ({{GPU_I_PROFILE}})` },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 71,
          title: 'Slices: memory used',
          noValue: 'no MIG slices',
          description: 'Frame buffer in use by each MIG instance.',
          unit: 'mbytes',
          size: [12, 8],
          min: 0,
          queries: [
            { expr: `DCGM_FI_DEV_FB_USED{${G},GPU_I_ID!=""}`, legend: `${LEGEND} slice {{GPU_I_ID}} ({{GPU_I_PROFILE}})` },
          ],
        })
      )

      .withRow(row(103, 'Faults'))
      .withPanel(
        table({
          id: 30,
          title: 'Last XID',
          description: 'The last XID error of each GPU since the driver was loaded; 0 is none.',
          unit: 'short',
          size: [12, 8],
          queries: [{ expr: `DCGM_FI_DEV_XID_ERRORS{${G}}`, format: 'table', instant: true }],
          hide: ['Time', '__name__', 'job', 'instance', 'UUID', 'device', 'cluster', 'pod', 'rack'],
          order: ['Hostname', 'gpu', 'Value', 'modelName', 'pci_bus_id'],
          rename: { Value: 'last XID', Hostname: 'node', gpu: 'GPU', modelName: 'model', pci_bus_id: 'PCI' },
        })
      )
      .withPanel(
        timeSeries({
          id: 31,
          title: 'ECC errors',
          description: 'Volatile error counts since the driver was loaded: single-bit (corrected) and double-bit.',
          unit: 'short',
          size: [12, 8],
          min: 0,
          queries: [
            { expr: `DCGM_FI_DEV_ECC_SBE_VOL_TOTAL{${G}}`, legend: `${LEGEND} single-bit` },
            { expr: `DCGM_FI_DEV_ECC_DBE_VOL_TOTAL{${G}}`, legend: `${LEGEND} double-bit` },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 32,
          title: 'PCIe replays',
          description: 'Replays per second: a link that is losing packets.',
          unit: 'ops',
          size: [12, 8],
          min: 0,
          queries: [
            { expr: `rate(DCGM_FI_DEV_PCIE_REPLAY_COUNTER{${G}}[$__rate_interval])`, legend: LEGEND },
          ],
        })
      )
  );
}
