/** Row 4, storage: as nodes feel it, as the cluster feels it, and the difference. */
import { type DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard';

import { barGauge, row, stat, table, timeSeries, valueMap } from '../house';
import { CNODE, FABRIC_IO, nvme, NVME_LIMIT, P, yesterday } from './signals';

const BLOCK = 'proto_name="BlockCommon"';
const COMMON = 'proto_name="ProtoCommon"';

function vastMean(direction: 'read' | 'write'): string {
  const of = (what: string): string =>
    `sum(rate(vast_cnode_metrics_ProtoMetrics_${direction}_latency_${what}{${CNODE},${BLOCK}}[$__rate_interval]))`;
  return `${of('sum')} / ${of('count')} / 1e6`;
}

const CLIENT_MEAN = `sum(rate(podscope_block_io_latency_seconds_sum{${FABRIC_IO}}[$__rate_interval])) / sum(rate(podscope_block_io_latency_seconds_count{${FABRIC_IO}}[$__rate_interval]))`;

export function rowFour(board: DashboardBuilder): DashboardBuilder {
  return board
    .withRow(row(103, 'Row 4: Storage (VAST NVMe-oF)'))
    .withPanel(
      timeSeries({
        id: 50,
        title: 'NVMe-oF latency P50 / P90 / P99',
        description:
          'From request to completion as the nodes feel it, buckets of all nodes merged; local disks left out. Needs kernel tracing on the nodes: without it P99 is not measured here, and the mean beside it stands in. VAST knows no percentiles.',
        unit: 's',
        size: [8, 8],
        min: 0,
        showThresholds: true,
        thresholds: [{ color: 'green' }, { value: NVME_LIMIT, color: 'red' }],
        noValue: 'P99 not measured here: kernel tracing is off (docs/storage.md)',
        queries: [
          { expr: nvme(0.5), legend: 'P50' },
          { expr: nvme(0.9), legend: 'P90' },
          { expr: nvme(0.99), legend: 'P99' },
          yesterday(nvme(0.99, ' offset 1d')),
        ],
      })
    )
    .withPanel(
      timeSeries({
        id: 51,
        title: 'Storage or network?',
        description:
          'Mean latency of NVMe-oF as nodes feel it, and as VAST feels it: what lies between is the network and the hosts. Both rising together is storage; the gap rising is the network. Means, no percentiles.',
        unit: 's',
        size: [8, 8],
        min: 0,
        queries: [
          { expr: CLIENT_MEAN, legend: 'nodes, mean' },
          { expr: vastMean('read'), legend: 'VAST, mean of reads' },
          { expr: vastMean('write'), legend: 'VAST, mean of writes' },
          { expr: `(${CLIENT_MEAN}) - (${vastMean('read')})`, legend: 'network and hosts' },
        ],
      })
    )
    .withPanel(
      timeSeries({
        id: 52,
        title: 'Queue depth by front end',
        description:
          "Requests in flight. Per CNode an estimate by Little's law from VAST's latency sums; at the nodes measured: weighted time of remote disks. VAST tells no queue depth.",
        unit: 'short',
        size: [8, 8],
        min: 0,
        queries: [
          {
            expr: `sum by (hostname) (rate(vast_cnode_metrics_ProtoMetrics_read_latency_sum{${CNODE},${BLOCK}}[$__rate_interval])) / 1e6 + sum by (hostname) (rate(vast_cnode_metrics_ProtoMetrics_write_latency_sum{${CNODE},${BLOCK}}[$__rate_interval])) / 1e6`,
            legend: '{{hostname}}, estimate (Little)',
          },
        ],
      })
    )
    .withPanel(
      timeSeries({
        id: 53,
        title: 'Prefetch: read amplification',
        description:
          'Bytes the SSDs read per byte clients read. Above its usual level somebody reads ahead in vain; an estimate, rebuilds and metadata included. VMS tells no cache hits: a property a site knows to be its cache goes into the settings by name.',
        unit: 'short',
        size: [8, 8],
        min: 0,
        decimals: 2,
        queries: [
          {
            expr: `sum(vast_ssd_metrics_Hardware_r_mbs{${P}}) * 1e6 / sum(vast_cluster_metrics_ProtoMetrics_rd_bw{${P},${COMMON}})`,
            legend: 'SSD bytes per client byte',
          },
          yesterday(
            `sum(vast_ssd_metrics_Hardware_r_mbs{${P}} offset 1d) * 1e6 / sum(vast_cluster_metrics_ProtoMetrics_rd_bw{${P},${COMMON}} offset 1d)`
          ),
        ],
      })
    )
    .withPanel(
      stat({
        id: 54,
        title: 'Prefetch',
        description: "The cluster's setting data_prefetch_enabled, as it is now; every change of it is an event.",
        unit: 'short',
        size: [4, 8],
        noValue: 'VMS does not tell',
        mappings: [valueMap({ 0: { text: 'off', color: 'green' }, 1: { text: 'ENABLED', color: 'orange' } })],
        queries: [{ expr: `max(podscope_vast_prefetch_enabled{${P}})`, legend: 'prefetch', instant: true }],
      })
    )
    .withPanel(
      stat({
        id: 55,
        title: 'RAID',
        description: 'Whether SSD, NVRAM and memory RAID are healthy.',
        unit: 'short',
        size: [4, 8],
        mappings: [valueMap({ 0: { text: 'DEGRADED', color: 'red' }, 1: { text: 'healthy', color: 'green' } })],
        queries: [
          { expr: `min(vast_ssd_raid_healthy{${P}})`, legend: 'SSD', instant: true },
          { expr: `min(vast_nvram_raid_healthy{${P}})`, legend: 'NVRAM', instant: true },
          { expr: `min(vast_memory_raid_healthy{${P}})`, legend: 'memory', instant: true },
        ],
      })
    )
    .withPanel(
      timeSeries({
        id: 56,
        title: 'Front ends: CPU and memory',
        description: 'Use of CPU and memory of each CNode.',
        unit: 'percent',
        size: [8, 8],
        min: 0,
        max: 100,
        queries: [
          { expr: `vast_cnode_metrics_Hardware_cpu_utilization{${CNODE}}`, legend: '{{hostname}} CPU' },
          { expr: `avg(vast_cnode_metrics_Hardware_mem_percent{${CNODE}})`, legend: 'memory, mean' },
        ],
      })
    )
    .withPanel(
      timeSeries({
        id: 57,
        title: 'Front ends: network',
        description: 'Megabytes per second each CNode sends, and pause frames its NICs count per second.',
        unit: 'MBs',
        size: [8, 8],
        min: 0,
        queries: [{ expr: `sum by (hostname) (vast_nic_metrics_Hardware_t_mbs{${CNODE}})`, legend: '{{hostname}} sent' }],
      })
    )
    .withPanel(
      timeSeries({
        id: 58,
        title: 'I/O mix: sequential and random',
        description: 'Requests of nodes to remote storage, by whether they follow the one before; from the same kernel events as the latency.',
        unit: 'iops',
        size: [8, 8],
        min: 0,
        stacked: true,
        noValue: 'not measured here: kernel tracing is off (docs/storage.md)',
        queries: [
          {
            expr: `sum by (operation, pattern) (rate(podscope_block_io_requests_total{${FABRIC_IO}}[$__rate_interval]))`,
            legend: '{{pattern}} {{operation}}',
          },
        ],
      })
    )
    .withPanel(
      timeSeries({
        id: 59,
        title: 'Transport errors and timeouts per hour',
        description: 'NVMe-oF paths lost and found again, NFS requests that timed out or were sent again, RoCE retries that ran out. Above zero somebody waits for a timeout.',
        unit: 'short',
        size: [8, 8],
        min: 0,
        queries: [
          { expr: `sum(increase(podscope_nvme_path_losses_total{${P}}[1h]))`, legend: 'NVMe-oF paths lost' },
          { expr: `sum(increase(podscope_nvme_path_reconnects_total{${P}}[1h]))`, legend: 'NVMe-oF reconnects' },
          {
            expr: `sum(increase(node_mountstats_nfs_operations_major_timeouts_total{${P}}[1h]))`,
            legend: 'NFS timeouts',
          },
          { expr: `sum(increase(node_infiniband_local_ack_timeout_errors_total{${P}}[1h]))`, legend: 'RoCE acknowledgements late' },
        ],
      })
    )
    .withPanel(
      barGauge({
        id: 70,
        title: 'Who uses it: users',
        description: "The users that read and write most, of VMS's list of the busiest.",
        unit: 'binBps',
        size: [6, 7],
        min: 0,
        noValue: 'VMS lists nobody',
        queries: [
          {
            expr: `topk(10, sum by (name) (vast_user_read_bw{${P}}) + sum by (name) (vast_user_write_bw{${P}}))`,
            legend: '{{name}}',
            instant: true,
          },
        ],
      })
    )
    .withPanel(
      barGauge({
        id: 71,
        title: 'Who uses it: hosts',
        description: "The clients that read and write most, of VMS's list of the busiest.",
        unit: 'binBps',
        size: [6, 7],
        min: 0,
        noValue: 'VMS lists nobody',
        queries: [
          {
            expr: `topk(10, sum by (ip) (vast_host_read_bw{${P}}) + sum by (ip) (vast_host_write_bw{${P}}))`,
            legend: '{{ip}}',
            instant: true,
          },
        ],
      })
    )
    .withPanel(
      table({
        id: 72,
        title: 'Addresses and front ends',
        description: 'Which CNode serves which virtual address now; an address moves when its CNode fails.',
        unit: 'short',
        size: [6, 7],
        hide: ['Time', 'Value', '__name__', 'instance', 'job', 'pod', 'cluster', 'tenant'],
        queries: [{ expr: `podscope_vast_vip_info{${CNODE}}`, format: 'table', instant: true }],
      })
    )
    .withPanel(
      timeSeries({
        id: 73,
        title: 'Capacity',
        description: 'Physical space in use, as a share of what there is.',
        unit: 'percentunit',
        size: [6, 7],
        min: 0,
        max: 1,
        showThresholds: true,
        thresholds: [{ color: 'green' }, { value: 0.85, color: 'yellow' }, { value: 0.95, color: 'red' }],
        queries: [
          { expr: `vast_cluster_physical_space_in_use{${P}} / vast_cluster_physical_space{${P}}`, legend: '{{cluster}}' },
        ],
      })
    )
    .withPanel(
      barGauge({
        id: 74,
        title: 'Quotas',
        description: 'Fullest quotas, as a share of their hard limits.',
        unit: 'percentunit',
        size: [5, 6],
        min: 0,
        max: 1,
        decimals: 0,
        thresholds: [{ color: 'green' }, { value: 0.85, color: 'yellow' }, { value: 1, color: 'red' }],
        noValue: 'no quotas with a limit',
        queries: [
          {
            expr: `topk(10, max by (path) (vast_quota_used_capacity{${P}}) / max by (path) (vast_quota_hard_limit{${P}}))`,
            legend: '{{path}}',
            instant: true,
          },
        ],
      })
    )
    .withPanel(
      stat({
        id: 75,
        title: 'Front ends in service',
        description: 'CNodes that are active, and those that failed.',
        unit: 'short',
        size: [4, 6],
        decimals: 0,
        queries: [
          { expr: `sum(vast_cnode_active{${CNODE}})`, legend: 'active', instant: true },
          { expr: `sum(vast_cnode_failed{${CNODE}})`, legend: 'failed', instant: true },
        ],
      })
    )
    .withPanel(
      stat({
        id: 76,
        title: 'VAST alarms',
        description: 'Alarms of the cluster that nobody acknowledged, by severity.',
        unit: 'short',
        size: [4, 6],
        decimals: 0,
        thresholds: [{ color: 'green' }, { value: 1, color: 'orange' }],
        queries: [{ expr: `sum by (severity) (vast_vms_alarms{${P}})`, legend: '{{severity}}', instant: true }],
      })
    )
    .withPanel(
      table({
        id: 77,
        title: 'From client to view',
        description: 'Which client reaches which view through which address and front end, as which user: the last ten minutes as VMS ties them.',
        unit: 'short',
        size: [11, 6],
        noValue: 'VMS ties nothing together',
        queries: [{ what: 'flows' }],
      })
    );
}
