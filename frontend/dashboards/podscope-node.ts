/** One host: what its CPU, memory, disks, network and file systems do, and what the agent costs. */
import type { DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard';

import { barGauge, house, labelVariable, row, stat, table, timeSeries } from './house';

const I = 'instance=~"$instance"';
const DISK = `${I},device!~"loop.*|ram.*|dm-.*"`;
const NET = `${I},device!~"lo|veth.*|docker.*|br-.*"`;
const FS = `${I},fstype!~"tmpfs|overlay|squashfs|ramfs|devtmpfs"`;

const BUSY = `1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle",${I}}[$__rate_interval]))`;
const USED = `1 - node_memory_MemAvailable_bytes{${I}} / node_memory_MemTotal_bytes{${I}}`;

const LEVELS = [{ color: 'green' }, { value: 0.8, color: 'yellow' }, { value: 0.95, color: 'red' }];

export function podscopeNode(): DashboardBuilder {
  return (
    house({
      uid: 'podscope-node',
      title: 'Podscope / Node',
      description: 'One host at one-second resolution, asked from its own agent.',
      tags: ['host'],
      from: 'now-1h',
    })
      .withVariable(labelVariable('instance', 'Node', 'label_values(node_uname_info, instance)', true))

      .withRow(row(100, 'At a glance'))
      .withPanel(
        stat({
          id: 1,
          title: 'CPU busy',
          description: 'Share of CPU time not idle, mean over the CPUs of a node; the busiest of the chosen nodes. Source: /proc/stat.',
          unit: 'percentunit',
          size: [4, 4],
          min: 0,
          max: 1,
          decimals: 1,
          sparkline: true,
          thresholds: LEVELS,
          queries: [{ expr: `max(${BUSY})`, legend: 'busiest node' }],
        })
      )
      .withPanel(
        stat({
          id: 2,
          title: 'Memory used',
          description:
            '1 - MemAvailable / MemTotal: what programs could not get without swapping; the fullest of the chosen nodes. Source: /proc/meminfo.',
          unit: 'percentunit',
          size: [4, 4],
          min: 0,
          max: 1,
          decimals: 1,
          sparkline: true,
          thresholds: LEVELS,
          queries: [{ expr: `max(${USED})`, legend: 'fullest node' }],
        })
      )
      .withPanel(
        stat({
          id: 3,
          title: 'Load per CPU',
          description:
            'One-minute load average divided by the number of CPUs, highest of the chosen nodes; above 1 tasks wait. Source: /proc/loadavg.',
          unit: 'short',
          size: [4, 4],
          decimals: 2,
          sparkline: true,
          thresholds: [{ color: 'green' }, { value: 1, color: 'yellow' }, { value: 2, color: 'red' }],
          queries: [
            {
              expr: `max(node_load1{${I}} / on (instance) count by (instance) (node_cpu_seconds_total{mode="idle",${I}}))`,
              legend: 'highest',
            },
          ],
        })
      )
      .withPanel(
        stat({
          id: 4,
          title: 'Fullest file system',
          description: 'Highest share of space used on the chosen nodes, as an ordinary user sees it. Source: statvfs.',
          unit: 'percentunit',
          size: [4, 4],
          min: 0,
          max: 1,
          decimals: 1,
          thresholds: [{ color: 'green' }, { value: 0.8, color: 'yellow' }, { value: 0.9, color: 'red' }],
          queries: [
            {
              expr: `max(1 - node_filesystem_avail_bytes{${FS}} / node_filesystem_size_bytes{${FS}})`,
              legend: 'fullest',
            },
          ],
        })
      )
      .withPanel(
        stat({
          id: 5,
          title: 'Up for',
          description: 'Time since the kernel started, shortest of the chosen nodes. Source: btime in /proc/stat.',
          unit: 's',
          size: [4, 4],
          decimals: 0,
          queries: [
            { expr: `min(node_time_seconds{${I}} - node_boot_time_seconds{${I}})`, legend: 'shortest' },
          ],
        })
      )
      .withPanel(
        stat({
          id: 6,
          title: 'CPUs',
          description: 'Number of CPUs the kernel schedules on, over the chosen nodes. Source: /proc/stat.',
          unit: 'short',
          size: [4, 4],
          decimals: 0,
          queries: [
            { expr: `count(node_cpu_seconds_total{mode="idle",${I}})`, legend: 'CPUs' },
          ],
        })
      )

      .withRow(row(101, 'CPU'))
      .withPanel(
        timeSeries({
          id: 10,
          title: 'CPU time by mode',
          description: 'Share of all CPU time spent in each mode other than idle, mean over the CPUs of the chosen nodes.',
          unit: 'percentunit',
          size: [12, 8],
          min: 0,
          stacked: true,
          queries: [
            {
              expr: `avg by (mode) (rate(node_cpu_seconds_total{mode!="idle",${I}}[$__rate_interval]))`,
              legend: '{{mode}}',
            },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 11,
          title: 'CPU busy by node',
          description: 'Share of CPU time not idle, per node.',
          unit: 'percentunit',
          size: [12, 8],
          min: 0,
          max: 1,
          queries: [{ expr: BUSY, legend: '{{instance}}' }],
        })
      )
      .withPanel(
        timeSeries({
          id: 12,
          title: 'Load average',
          description: 'Mean number of runnable or uninterruptible tasks over 1, 5 and 15 minutes. Source: /proc/loadavg.',
          unit: 'short',
          size: [8, 7],
          min: 0,
          queries: [
            { expr: `node_load1{${I}}`, legend: '{{instance}} 1 m' },
            { expr: `node_load5{${I}}`, legend: '{{instance}} 5 m' },
            { expr: `node_load15{${I}}`, legend: '{{instance}} 15 m' },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 13,
          title: 'Tasks waiting (pressure)',
          description:
            'Share of time in which at least one task waited for CPU, memory or IO. Source: "some" of /proc/pressure (PSI).',
          unit: 'percentunit',
          size: [8, 7],
          min: 0,
          queries: [
            { expr: `rate(node_pressure_cpu_waiting_seconds_total{${I}}[$__rate_interval])`, legend: '{{instance}} cpu' },
            {
              expr: `rate(node_pressure_memory_waiting_seconds_total{${I}}[$__rate_interval])`,
              legend: '{{instance}} memory',
            },
            { expr: `rate(node_pressure_io_waiting_seconds_total{${I}}[$__rate_interval])`, legend: '{{instance}} io' },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 14,
          title: 'Context switches and interrupts',
          description: 'Per second, whole machine. Source: ctxt and intr in /proc/stat.',
          unit: 'ops',
          size: [8, 7],
          min: 0,
          queries: [
            { expr: `rate(node_context_switches_total{${I}}[$__rate_interval])`, legend: '{{instance}} switches' },
            { expr: `rate(node_intr_total{${I}}[$__rate_interval])`, legend: '{{instance}} interrupts' },
          ],
        })
      )

      .withRow(row(102, 'Memory'))
      .withPanel(
        timeSeries({
          id: 20,
          title: 'Memory available and used',
          description: 'Total, available without swapping, page cache and buffers. Source: /proc/meminfo.',
          unit: 'bytes',
          size: [12, 8],
          min: 0,
          queries: [
            { expr: `node_memory_MemTotal_bytes{${I}}`, legend: '{{instance}} total' },
            { expr: `node_memory_MemAvailable_bytes{${I}}`, legend: '{{instance}} available' },
            { expr: `node_memory_Cached_bytes{${I}}`, legend: '{{instance}} page cache' },
            { expr: `node_memory_Buffers_bytes{${I}}`, legend: '{{instance}} buffers' },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 21,
          title: 'Paging',
          description:
            'Major page faults (a page had to come from disk) and pages swapped in and out, per second. Source: /proc/vmstat.',
          unit: 'ops',
          size: [12, 8],
          min: 0,
          queries: [
            { expr: `rate(node_vmstat_pgmajfault{${I}}[$__rate_interval])`, legend: '{{instance}} major faults' },
            { expr: `rate(node_vmstat_pswpin{${I}}[$__rate_interval])`, legend: '{{instance}} swapped in' },
            { expr: `rate(node_vmstat_pswpout{${I}}[$__rate_interval])`, legend: '{{instance}} swapped out' },
          ],
        })
      )

      .withRow(row(103, 'Disks'))
      .withPanel(
        timeSeries({
          id: 30,
          title: 'Disk throughput',
          description: 'Bytes read and written per second and device. Source: /proc/diskstats.',
          unit: 'binBps',
          size: [8, 8],
          min: 0,
          queries: [
            {
              expr: `rate(node_disk_read_bytes_total{${DISK}}[$__rate_interval])`,
              legend: '{{instance}} {{device}} read',
            },
            {
              expr: `rate(node_disk_written_bytes_total{${DISK}}[$__rate_interval])`,
              legend: '{{instance}} {{device}} write',
            },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 31,
          title: 'Mean IO time',
          description:
            'Mean time of a request from queueing to completion: time spent divided by requests completed. A mean, not a percentile. Source: /proc/diskstats.',
          unit: 's',
          size: [8, 8],
          min: 0,
          queries: [
            {
              expr: `rate(node_disk_read_time_seconds_total{${DISK}}[$__rate_interval]) / (rate(node_disk_reads_completed_total{${DISK}}[$__rate_interval]) > 0)`,
              legend: '{{instance}} {{device}} read',
            },
            {
              expr: `rate(node_disk_write_time_seconds_total{${DISK}}[$__rate_interval]) / (rate(node_disk_writes_completed_total{${DISK}}[$__rate_interval]) > 0)`,
              legend: '{{instance}} {{device}} write',
            },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 32,
          title: 'Device busy',
          description: 'Share of time with at least one request in flight. On NVMe 100 % is not saturation. Source: /proc/diskstats.',
          unit: 'percentunit',
          size: [8, 8],
          min: 0,
          queries: [
            {
              expr: `rate(node_disk_io_time_seconds_total{${DISK}}[$__rate_interval])`,
              legend: '{{instance}} {{device}}',
            },
          ],
        })
      )
      .withPanel(
        barGauge({
          id: 33,
          title: 'File systems',
          description: 'Share of space used, as an ordinary user sees it (reserved blocks count as used). Source: statvfs.',
          unit: 'percentunit',
          size: [12, 7],
          min: 0,
          max: 1,
          decimals: 1,
          thresholds: [{ color: 'green' }, { value: 0.8, color: 'yellow' }, { value: 0.9, color: 'red' }],
          queries: [
            {
              expr: `1 - node_filesystem_avail_bytes{${FS}} / node_filesystem_size_bytes{${FS}}`,
              legend: '{{instance}} {{mountpoint}}',
              instant: true,
            },
          ],
        })
      )
      .withPanel(
        barGauge({
          id: 34,
          title: 'Inodes',
          description: 'Share of inodes used; a full table refuses new files with space left. Source: statvfs.',
          unit: 'percentunit',
          size: [12, 7],
          min: 0,
          max: 1,
          decimals: 1,
          thresholds: [{ color: 'green' }, { value: 0.8, color: 'yellow' }, { value: 0.9, color: 'red' }],
          queries: [
            {
              expr: `1 - node_filesystem_files_free{${FS}} / (node_filesystem_files{${FS}} > 0)`,
              legend: '{{instance}} {{mountpoint}}',
              instant: true,
            },
          ],
        })
      )

      .withRow(row(104, 'Network'))
      .withPanel(
        timeSeries({
          id: 40,
          title: 'Network throughput',
          description: 'Bytes received and sent per second and interface. RDMA traffic is not in it. Source: /proc/net/dev.',
          unit: 'binBps',
          size: [12, 8],
          min: 0,
          queries: [
            {
              expr: `rate(node_network_receive_bytes_total{${NET}}[$__rate_interval])`,
              legend: '{{instance}} {{device}} in',
            },
            {
              expr: `rate(node_network_transmit_bytes_total{${NET}}[$__rate_interval])`,
              legend: '{{instance}} {{device}} out',
            },
          ],
        })
      )
      .withPanel(
        timeSeries({
          id: 41,
          title: 'Network errors and drops',
          description: 'Packets per second that were faulty or thrown away. Source: /proc/net/dev.',
          unit: 'pps',
          size: [12, 8],
          min: 0,
          queries: [
            {
              expr: `rate(node_network_receive_errs_total{${NET}}[$__rate_interval])`,
              legend: '{{instance}} {{device}} in, errors',
            },
            {
              expr: `rate(node_network_transmit_errs_total{${NET}}[$__rate_interval])`,
              legend: '{{instance}} {{device}} out, errors',
            },
            {
              expr: `rate(node_network_receive_drop_total{${NET}}[$__rate_interval])`,
              legend: '{{instance}} {{device}} in, dropped',
            },
            {
              expr: `rate(node_network_transmit_drop_total{${NET}}[$__rate_interval])`,
              legend: '{{instance}} {{device}} out, dropped',
            },
          ],
        })
      )

      .withRow(row(105, 'The agent itself'))
      .withPanel(
        table({
          id: 50,
          title: 'Collectors',
          description: 'Whether each collector\'s last run succeeded. A collector without its hardware is "not present" and has no row.',
          unit: 'bool_yes_no',
          size: [12, 8],
          queries: [
            { expr: `podscope_collector_success{${I}}`, format: 'table', instant: true },
          ],
          hide: ['Time', '__name__', 'job', 'cluster', 'pod', 'rack'],
          rename: { Value: 'ok', instance: 'node' },
        })
      )
      .withPanel(
        timeSeries({
          id: 51,
          title: 'Collection time',
          description: 'Time the last collection of each collector took.',
          unit: 's',
          size: [12, 8],
          min: 0,
          queries: [
            { expr: `podscope_collector_duration_seconds{${I}}`, legend: '{{instance}} {{collector}}' },
          ],
        })
      )
  );
}
