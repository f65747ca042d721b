/** Row 3, the network between nodes and storage. */
import { type DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard';

import { barGauge, row, table, timeSeries } from '../house';
import { ecn, ECN_LIMIT, LINK, P, SWITCH, yesterday } from './signals';

export function rowThree(board: DashboardBuilder): DashboardBuilder {
  return board
    .withRow(row(102, 'Row 3: Network fabric (RoCEv2 / EVPN)'))
    .withPanel(
      timeSeries({
        id: 40,
        title: 'ECN mark rate by traffic class',
        description:
          'Frames marked as having met congestion, as a share of frames sent: a ratio of sums over all ports of the chosen fabric, never a mean of ratios. The RoCE class is usually 3; above 1 % senders slow down.',
        unit: 'percentunit',
        size: [8, 8],
        min: 0,
        showThresholds: true,
        thresholds: [{ color: 'green' }, { value: ECN_LIMIT, color: 'red' }],
        noValue: 'no switch sends its counters',
        queries: [{ expr: ecn('tc'), legend: 'class {{tc}}' }, yesterday(ecn('', ' offset 1d'))],
      })
    )
    .withPanel(
      timeSeries({
        id: 41,
        title: 'PFC pause at the hosts, by priority',
        description:
          'Share of time a port was told to stop (rx: the network paused the host) or told the switch to stop (tx: the host paused the network): the worst port of each priority.',
        unit: 'percentunit',
        size: [8, 8],
        min: 0,
        showThresholds: true,
        thresholds: [{ color: 'green' }, { value: 0.01, color: 'red' }],
        noValue: 'no NIC counts pauses here',
        queries: [
          {
            expr: `max by (priority, direction) (rate(podscope_pfc_pause_seconds_total{${LINK}}[$__rate_interval]))`,
            legend: '{{direction}} priority {{priority}}',
          },
          {
            expr: `max by (priority, direction) (rate(podscope_switch_pfc_pause_seconds_total{${SWITCH}}[$__rate_interval]))`,
            legend: 'switch {{direction}} priority {{priority}}',
          },
        ],
      })
    )
    .withPanel(
      timeSeries({
        id: 42,
        title: 'Congestion notifications',
        description: 'Packets per second by which receivers ask senders to slow down, and the marked packets they answer.',
        unit: 'pps',
        size: [8, 8],
        min: 0,
        queries: [
          { expr: `sum(rate(node_infiniband_np_cnp_packets_sent_total{${P}}[$__rate_interval]))`, legend: 'sent' },
          { expr: `sum(rate(node_infiniband_rp_cnp_packets_handled_total{${P}}[$__rate_interval]))`, legend: 'obeyed' },
          {
            expr: `sum(rate(node_infiniband_np_ecn_marked_roce_packets_received_total{${P}}[$__rate_interval]))`,
            legend: 'marked packets received',
          },
        ],
      })
    )
    .withPanel(
      barGauge({
        id: 43,
        title: 'Hot links of nodes',
        description: 'The busiest physical ports, each direction. Hot: above 80 % for 2 min, or above 50 % and 1.5 times the median of its peers.',
        unit: 'percentunit',
        size: [8, 8],
        min: 0,
        max: 1,
        decimals: 0,
        thresholds: [{ color: 'green' }, { value: 0.5, color: 'yellow' }, { value: 0.8, color: 'red' }],
        noValue: 'no port tells its octets',
        queries: [
          {
            expr: `topk(10, avg_over_time(podscope_link_utilization_ratio{${LINK}}[2m]))`,
            legend: '{{instance}} {{device}} {{direction}} → {{leaf}}',
            instant: true,
          },
        ],
      })
    )
    .withPanel(
      timeSeries({
        id: 44,
        title: 'Switch ports: throughput',
        description: 'Octets per second by role of the switch and direction: spines carry what leaves do not keep to themselves.',
        unit: 'binBps',
        size: [8, 8],
        min: 0,
        noValue: 'no switch sends its counters',
        queries: [
          { expr: `sum by (fabric, role) (rate(nvswitch_interface_if_out_octets{${SWITCH}}[$__rate_interval]))`, legend: 'fabric {{fabric}} {{role}}' },
        ],
      })
    )
    .withPanel(
      timeSeries({
        id: 45,
        title: 'Queues and drops of switches',
        description: 'The longest egress queue of each class; drops for want of buffer and by early drop, per second. A lossless class must not drop.',
        unit: 'bytes',
        size: [8, 8],
        min: 0,
        noValue: 'no switch sends its counters',
        queries: [
          {
            expr: `max by (tc) (nvswitch_interface_shared_buffer_port_tc_curr_occupancy{${SWITCH},tc=~"$tc"})`,
            legend: 'queue of class {{tc}}',
          },
        ],
      })
    )
    .withPanel(
      timeSeries({
        id: 46,
        title: 'Discards of switches',
        description: 'Frames thrown away per second, by class: early drop where marking did not help, no buffer where nothing did.',
        unit: 'pps',
        size: [8, 8],
        min: 0,
        noValue: 'no switch sends its counters',
        queries: [
          {
            expr: `sum by (tc) (rate(nvswitch_interface_tc_tx_wred_discard{${SWITCH},tc=~"$tc"}[$__rate_interval]))`,
            legend: 'early, class {{tc}}',
          },
          {
            expr: `sum by (tc) (rate(nvswitch_interface_tc_tx_no_buffer_discard_uc{${SWITCH},tc=~"$tc"}[$__rate_interval]))`,
            legend: 'no buffer, class {{tc}}',
          },
        ],
      })
    )
    .withPanel(
      table({
        id: 47,
        title: 'EVPN failover and links',
        description: 'Designated forwarders that moved, neighbours that came and went, links that went up or down: newest first.',
        unit: 'short',
        size: [16, 8],
        hide: ['Id', 'Kind', 'End'],
        noValue: 'nothing moved',
        queries: [{ events: '{kind=~"link|alarm|trap"} |~ "(?i)evpn|forwarder|bgp|link|neighbou?r"', format: 'table', limit: 100 }],
      })
    );
}
