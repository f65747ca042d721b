/** Row 5, what was changed and what was reported; row 7, the four signals beside one another. */
import { type DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard';

import { logs, row, table, timeSeries } from '../house';
import { annotation } from '../query';
import { busy, ecn, ECN_LIMIT, nvme, NVME_LIMIT, SLO_SECONDS, UTIL_LIMIT, wait } from './signals';

/** Marked on every time series of the dashboard. */
export function annotations(): Record<string, unknown>[] {
  return [
    annotation('Changes', 'rgb(115, 191, 105)', '{kind="change"}'),
    annotation('Incidents', 'rgb(242, 73, 92)', '{kind="incident"}'),
    annotation('NOC: alarms and traps', 'rgb(255, 152, 48)', '{kind=~"alarm|trap",severity=~"error|critical"}'),
  ];
}

export function rowFive(board: DashboardBuilder): DashboardBuilder {
  return board
    .withRow(row(104, 'Row 5: Changes and events'))
    .withPanel(
      table({
        id: 80,
        title: 'Changes',
        description:
          'What was changed, newest first, announced or found by comparing: settings of VAST, configurations of switches, drivers, firmware, kernels, slurm.conf. An effect may follow hours later; the same events are marked on every graph.',
        unit: 'short',
        size: [12, 9],
        hide: ['Id', 'Kind', 'State'],
        noValue: 'nothing was changed in this time',
        queries: [{ events: '{kind="change"}', format: 'table', limit: 200 }],
      })
    )
    .withPanel(
      logs({
        id: 81,
        title: 'NOC: alarms, traps, log lines',
        description: 'Alarms of rules and devices, SNMP traps, and log lines of severity error and worse; VAST events and alarms among them.',
        unit: 'short',
        size: [12, 9],
        noValue: 'quiet',
        queries: [{ events: '{kind=~"alarm|trap|xid|link"}', format: 'logs', limit: 300 }],
      })
    );
}

export function rowSeven(board: DashboardBuilder): DashboardBuilder {
  const share = (expr: string, limit: number): string => `(${expr}) / ${String(limit)}`;
  return board
    .withRow(row(106, 'Row 7: Across the domains'))
    .withPanel(
      timeSeries({
        id: 90,
        title: 'The cascade: ECN, NVMe-oF P99, GPUs, queue',
        description: `Four signals, each as a multiple of its threshold, so that 1 means bad: ECN marks of ${String(ECN_LIMIT * 100)} %, NVMe-oF P99 of ${String(NVME_LIMIT * 1000)} ms, ${String(100 - UTIL_LIMIT)} % of GPU time idle, queue P90 of ${String(SLO_SECONDS / 60)} min. What crosses 1 first comes first; changes are marked.`,
        unit: 'short',
        size: [24, 11],
        min: 0,
        decimals: 2,
        legendTable: true,
        showThresholds: true,
        thresholds: [{ color: 'green' }, { value: 1, color: 'red' }],
        queries: [
          { expr: share(ecn(), ECN_LIMIT), legend: 'ECN marks' },
          { expr: share(nvme(0.99), NVME_LIMIT), legend: 'NVMe-oF P99' },
          { expr: share(`100 - (${busy()})`, 100 - UTIL_LIMIT), legend: 'GPUs idle' },
          { expr: share(wait('0.9'), SLO_SECONDS), legend: 'queue P90' },
        ],
      })
    );
}
