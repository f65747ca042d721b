/** Above the rows: what is the matter, and how far the numbers can be trusted. */
import { type DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard';

import { stat, table, valueMap } from '../house';
import { P } from './signals';

const CALM = { color: 'green' };

export function strips(board: DashboardBuilder): DashboardBuilder {
  return board
    .withPanel(
      table({
        id: 1,
        title: 'Incident',
        description: 'Open and recent incidents with severity, scope and state, newest first; from the event store.',
        unit: 'short',
        size: [10, 5],
        hide: ['Id', 'Node', 'Kind', 'Text'],
        order: ['Severity', 'State', 'Title', 'Time', 'End', 'Labels', 'Source'],
        noValue: 'no incident',
        queries: [{ events: '{kind="incident"}', format: 'table', limit: 20 }],
      })
    )
    .withPanel(
      stat({
        id: 2,
        title: 'Severity',
        description: 'The worst open incident.',
        unit: 'short',
        size: [3, 5],
        noValue: 'none open',
        mappings: [
          valueMap({
            1: { text: 'info', color: 'blue' },
            2: { text: 'warning', color: 'yellow' },
            3: { text: 'error', color: 'orange' },
            4: { text: 'SEV-1', color: 'red' },
          }),
        ],
        queries: [{ expr: `max(podscope_incident_severity{${P}})`, legend: 'severity' }],
      })
    )
    .withPanel(
      stat({
        id: 3,
        title: 'Duration',
        description: 'Since the oldest open incident began.',
        unit: 's',
        size: [3, 5],
        decimals: 0,
        noValue: 'none open',
        queries: [
          { expr: `time() - min(podscope_incident_opened_timestamp_seconds{${P}})`, legend: 'duration' },
        ],
      })
    )
    .withPanel(
      stat({
        id: 4,
        title: 'Queue SLO',
        description: 'BREACHED where the 90th percentile of queue wait is above its target, that is where the burn rate is above 1.',
        unit: 'short',
        size: [4, 5],
        noValue: 'no SLO configured',
        mappings: [
          valueMap({ 0: { text: 'OK', color: 'green' }, 1: { text: 'BREACHED', color: 'red' } }),
        ],
        queries: [
          {
            expr: `max(podscope_slo_breached{${P},partition="all",account="all",qos="all"})`,
            legend: 'SLO',
          },
        ],
      })
    )
    .withPanel(
      stat({
        id: 5,
        title: 'Accrued',
        description: 'Penalty exposure integrated since the incident opened; docs/slo.md has the formula.',
        unit: 'currencyUSD',
        size: [4, 5],
        decimals: 0,
        noValue: 'no contract configured',
        queries: [{ expr: `sum(podscope_slo_exposure_accrued_dollars{${P}})`, legend: 'accrued' }],
      })
    )
    .withPanel(
      stat({
        id: 6,
        title: 'Nodes answering',
        description: 'Nodes that answer, of the nodes expected.',
        unit: 'short',
        size: [4, 3],
        decimals: 0,
        queries: [
          { expr: `sum(up{job="node",${P}})`, legend: 'answering', instant: true },
          { expr: `count(up{job="node",${P}})`, legend: 'of', instant: true },
        ],
      })
    )
    .withPanel(
      stat({
        id: 7,
        title: 'Oldest sample of a node',
        description: 'Age of the newest sample of the node that is furthest behind.',
        unit: 's',
        size: [4, 3],
        decimals: 0,
        thresholds: [CALM, { value: 30, color: 'yellow' }, { value: 120, color: 'red' }],
        queries: [{ expr: `max(time() - timestamp(node_load1{${P}}))`, legend: 'age', instant: true }],
      })
    )
    .withPanel(
      stat({
        id: 8,
        title: 'Storage',
        description: 'Age of the newest values of each family of VAST properties; the management server measures every 10 s or 60 s.',
        unit: 's',
        size: [5, 3],
        decimals: 0,
        thresholds: [CALM, { value: 180, color: 'yellow' }, { value: 600, color: 'red' }],
        noValue: 'no VAST cluster, or it does not answer',
        queries: [
          { expr: `max by (family) (podscope_vast_sample_age_seconds{${P}})`, legend: '{{family}}', instant: true },
        ],
      })
    )
    .withPanel(
      stat({
        id: 9,
        title: 'Scheduler',
        description: 'Age of what the scheduler last told.',
        unit: 's',
        size: [3, 3],
        decimals: 0,
        thresholds: [CALM, { value: 120, color: 'yellow' }, { value: 300, color: 'red' }],
        noValue: 'no scheduler',
        queries: [{ expr: `max(podscope_slurm_poll_age_seconds{${P}})`, legend: 'age', instant: true }],
      })
    )
    .withPanel(
      stat({
        id: 10,
        title: 'Switches answering',
        description: 'Switches that answer, of the switches configured.',
        unit: 'short',
        size: [4, 3],
        decimals: 0,
        noValue: 'no switches',
        queries: [
          { expr: `sum(podscope_switch_up{${P}})`, legend: 'answering', instant: true },
          { expr: `count(podscope_switch_up{${P}})`, legend: 'of', instant: true },
        ],
      })
    )
    .withPanel(
      stat({
        id: 11,
        title: 'Clock skew',
        description: 'How far the clocks of storage and scheduler are ahead of ours: their samples stand at their own times.',
        unit: 's',
        size: [4, 3],
        decimals: 1,
        thresholds: [CALM, { value: 2, color: 'yellow' }, { value: 10, color: 'red' }],
        noValue: 'not known',
        queries: [
          { expr: `max(podscope_vast_clock_skew_seconds{${P}})`, legend: 'VAST', instant: true },
          { expr: `max(podscope_slurm_clock_skew_seconds{${P}})`, legend: 'Slurm', instant: true },
        ],
      })
    );
}

