/** Row 1, what the business feels; row 6, the scheduler behind it. */
import { type DashboardBuilder } from '@grafana/grafana-foundation-sdk/dashboard';

import { barGauge, row, stat, table, timeSeries } from '../house';
import { busy, P, SLO_SECONDS, wait, WAIT, yesterday } from './signals';

const TENANT = `${P},tenant=~"$tenant"`;
const ALL = `${P},partition=~"$partition",account="all"`;

export function rowOne(board: DashboardBuilder): DashboardBuilder {
  return board
    .withRow(row(100, 'Row 1: Exec / SLO'))
    .withPanel(
      timeSeries({
        id: 20,
        title: 'Queue wait P50 / P90 / P99',
        description:
          'Time from eligible to start over 60 min, jobs that still wait counted (Kaplan-Meier), whole pod. A line that ends means the quantile is not reached yet: see the lower bound. SLO: P90 of 10 min.',
        unit: 's',
        size: [10, 8],
        min: 0,
        showThresholds: true,
        thresholds: [{ color: 'green' }, { value: SLO_SECONDS, color: 'red' }],
        noValue: 'no scheduler collector answers',
        links: [{ title: 'Alert rules', url: '/alerting/list?search=podscope' }],
        queries: [
          { expr: wait('0.5'), legend: 'P50' },
          { expr: wait('0.9'), legend: 'P90' },
          { expr: wait('0.99'), legend: 'P99' },
          {
            expr: `max(podscope_job_wait_seconds_lower_bound{quantile="0.9",${P},partition="all",account="all",qos="all"})`,
            legend: 'P90 is at least',
          },
          yesterday(wait('0.9', ' offset 1d')),
        ],
      })
    )
    .withPanel(
      timeSeries({
        id: 21,
        title: 'GPUs allocated and busy',
        description:
          'Allocated: share of the available GPUs. Busy: mean utilisation over allocated GPUs; a rank that spins in a collective counts as busy. Allocation stays flat while busy falls: jobs hold GPUs that wait.',
        unit: 'percent',
        size: [7, 8],
        min: 0,
        max: 100,
        links: [{ title: 'GPUs', url: '/d/nvidia-dcgm' }],
        queries: [
          { expr: `100 * sum(slurm_gpus_alloc{${P}}) / sum(slurm_gpus_available{${P}})`, legend: 'allocated' },
          { expr: busy(), legend: 'busy, of allocated' },
          yesterday(busy(' offset 1d')),
        ],
      })
    )
    .withPanel(
      timeSeries({
        id: 22,
        title: 'SLA penalty exposure',
        description:
          'Dollars per hour owed if this hour goes on: per tenant the GPUs promised and not given, by contract rate, up to its cap. Idle cost is what waiting GPUs cost, never added to it.',
        unit: 'currencyUSD',
        size: [7, 8],
        min: 0,
        noValue: 'no contract configured',
        queries: [
          { expr: `sum(podscope_slo_exposure_dollars_per_hour{${TENANT}})`, legend: 'exposure per hour' },
          { expr: `sum(podscope_slo_idle_dollars_per_hour{${P}})`, legend: 'idle cost per hour' },
        ],
      })
    )
    .withPanel(
      stat({
        id: 23,
        title: 'SLO attainment',
        description: 'Share of jobs that start within the target, fast and slow window; the objective is 90 %.',
        unit: 'percentunit',
        size: [5, 6],
        decimals: 1,
        thresholds: [{ color: 'red' }, { value: 0.9, color: 'green' }],
        noValue: 'no SLO configured',
        queries: [
          {
            expr: `max by (window) (podscope_slo_attainment_ratio{${WAIT}})`,
            legend: '{{window}}',
          },
        ],
      })
    )
    .withPanel(
      table({
        id: 24,
        title: 'Top-10 whales',
        description:
          'The ten largest tenants by contract, promised against held, waiting, P90 wait, what is owed per hour, and why. Breached: owed more than 0 or burn above 1 for 5 min.',
        unit: 'short',
        size: [13, 6],
        joinBy: 'tenant',
        noValue: 'no contract configured',
        hide: ['Time', 'Time 1', 'Time 2', 'Time 3', 'Time 4', 'Time 5', 'Time 6'],
        rename: {
          'Value #A': 'promised',
          'Value #B': 'allocated',
          'Value #C': 'pending',
          'Value #D': 'P90 wait',
          'Value #E': '$ per hour',
          'Value #F': 'code',
        },
        units: { 'P90 wait': 's', '$ per hour': 'currencyUSD' },
        queries: [
          {
            expr: `max by (tenant) (podscope_slo_tenant_promised_gpus{${TENANT}}) and on (tenant) (max by (tenant) (podscope_slo_tenant_rank{${TENANT}}) <= 10)`,
            format: 'table',
            instant: true,
          },
          { expr: `max by (tenant) (podscope_slo_tenant_allocated_gpus{${TENANT}})`, format: 'table', instant: true },
          { expr: `max by (tenant) (podscope_slo_tenant_pending_gpus{${TENANT}})`, format: 'table', instant: true },
          {
            expr: `max by (tenant) (podscope_slo_tenant_wait_seconds{quantile="0.9",${TENANT}})`,
            format: 'table',
            instant: true,
          },
          { expr: `max by (tenant) (podscope_slo_exposure_dollars_per_hour{${TENANT}})`, format: 'table', instant: true },
          {
            expr: `max by (tenant, status, reason) (podscope_slo_tenant_status{${TENANT}})`,
            format: 'table',
            instant: true,
          },
        ],
      })
    )
    .withPanel(
      barGauge({
        id: 25,
        title: 'Burn rate by tenant',
        description: 'How fast each tenant uses up its error budget; above 1 the SLO is being missed.',
        unit: 'short',
        size: [6, 6],
        decimals: 1,
        min: 0,
        thresholds: [{ color: 'green' }, { value: 0.5, color: 'yellow' }, { value: 1, color: 'red' }],
        noValue: 'no contract configured',
        queries: [{ expr: `topk(10, max by (tenant) (podscope_slo_tenant_burn_rate{${TENANT}}))`, legend: '{{tenant}}', instant: true }],
      })
    );
}

export function rowSix(board: DashboardBuilder): DashboardBuilder {
  return board
    .withRow(row(105, 'Row 6: Job scheduler / platform'))
    .withPanel(
      timeSeries({
        id: 60,
        title: 'Queue backlog',
        description: 'GPUs of eligible jobs that wait for capacity; held jobs and those beyond their own limits are not among them.',
        unit: 'short',
        size: [8, 8],
        min: 0,
        noValue: 'no scheduler collector answers',
        queries: [{ expr: `sum by (partition) (podscope_slurm_backlog_gpus{${P},partition=~"$partition",partition!="all",account="all"})`, legend: '{{partition}}' }],
      })
    )
    .withPanel(
      timeSeries({
        id: 61,
        title: 'Backlog growth',
        description: 'GPUs per minute by which the backlog grows, over 15 min; above 0 it never drains.',
        unit: 'short',
        size: [8, 8],
        showThresholds: true,
        thresholds: [{ color: 'green' }, { value: 0, color: 'yellow' }],
        queries: [{ expr: `sum(deriv(podscope_slurm_backlog_gpus{${P},partition="all",account="all"}[15m])) * 60`, legend: 'GPUs per minute' }],
      })
    )
    .withPanel(
      timeSeries({
        id: 62,
        title: 'Arrivals and starts',
        description: 'GPUs that jobs ask for and GPUs that jobs start on, per minute. Arrivals alone rising is demand; starts alone falling is supply.',
        unit: 'short',
        size: [8, 8],
        min: 0,
        queries: [
          { expr: `sum(rate(podscope_slurm_gpus_arrived_total{${ALL}}[15m])) * 60`, legend: 'arrive' },
          { expr: `sum(rate(podscope_slurm_gpus_started_total{${ALL}}[15m])) * 60`, legend: 'start' },
          { expr: `sum(rate(podscope_slurm_gpus_left_queue_total{${ALL}}[15m])) * 60`, legend: 'leave without starting' },
        ],
      })
    )
    .withPanel(
      table({
        id: 63,
        title: 'Tenant allocation: fair share and use',
        description: 'Share a tenant is entitled to, share of allocated GPUs it holds now, and its decayed use. Over-use: more than 1.5 times its share while others wait.',
        unit: 'percentunit',
        size: [10, 8],
        joinBy: 'account',
        noValue: 'no scheduler collector answers',
        hide: ['Time', 'Time 1', 'Time 2', 'Time 3'],
        rename: { 'Value #A': 'entitled', 'Value #B': 'holds now', 'Value #C': 'decayed use' },
        queries: [
          { expr: `max by (account) (podscope_slurm_share_target_ratio{${P},account=~"$tenant"})`, format: 'table', instant: true },
          { expr: `max by (account) (podscope_slurm_share_now_ratio{${P},account=~"$tenant"})`, format: 'table', instant: true },
          { expr: `max by (account) (podscope_slurm_share_effective_usage_ratio{${P},account=~"$tenant"})`, format: 'table', instant: true },
        ],
      })
    )
    .withPanel(
      timeSeries({
        id: 64,
        title: 'Job retries and failures',
        description: 'Failed: share of jobs ended within an hour, by whose fault (infrastructure or user); with fewer than 20 ended jobs there is no ratio. Retries: requeues per hour.',
        unit: 'percentunit',
        size: [7, 8],
        min: 0,
        queries: [{ expr: `max by (class) (podscope_slurm_job_failure_ratio{${P}})`, legend: 'failed: {{class}}' }],
      })
    )
    .withPanel(
      timeSeries({
        id: 65,
        title: 'Requeues',
        description: 'Jobs started again per hour, by cause.',
        unit: 'short',
        size: [7, 8],
        min: 0,
        queries: [{ expr: `sum by (cause) (increase(podscope_slurm_job_restarts_total{${P}}[1h]))`, legend: '{{cause}}' }],
      })
    )
    .withPanel(
      table({
        id: 66,
        title: 'Nodes out of service',
        description: 'Nodes that are down or drained, why, and for how long: supply that is missing before anything is slow.',
        unit: 's',
        size: [12, 6],
        noValue: 'all nodes are in service',
        hide: ['Time', 'instance', 'job', 'pod', 'cluster', '__name__'],
        rename: { Value: 'since' },
        queries: [{ expr: `podscope_slurm_node_unavailable_seconds{${P}}`, format: 'table', instant: true }],
      })
    )
    .withPanel(
      barGauge({
        id: 67,
        title: 'Allocated by tenant',
        description: 'GPUs that run jobs of each account.',
        unit: 'short',
        size: [6, 6],
        min: 0,
        decimals: 0,
        noValue: 'no scheduler collector answers',
        queries: [{ expr: `topk(12, max by (account) (slurm_account_gpus_running{${P},account=~"$tenant"}))`, legend: '{{account}}', instant: true }],
      })
    )
    .withPanel(
      stat({
        id: 68,
        title: 'Drains in',
        description: 'Time until the backlog is gone if starts and arrivals stay as they are; nothing where it does not drain.',
        unit: 's',
        size: [6, 6],
        decimals: 0,
        noValue: 'not draining',
        queries: [{ expr: `max(podscope_slurm_drain_eta_seconds{${P},partition="all"})`, legend: 'drains in' }],
      })
    );
}

