/** One job: where it runs, how long it waited, and where its GPUs, links, storage, NCCL and XIDs are to be seen. */
import { config } from '@grafana/runtime';
import { Badge, Card, LinkButton, Stack, Text } from '@grafana/ui';

import { CATALOG } from '../generated/catalog';
import { type Job } from '../datasource/jobs';
import { type Panel, duration, nodesMatcher, rangeOf, stateColor } from './job';

interface Props {
  job: Job;
  datasourceUid: string;
  nowMs: number;
}

/** What is looked at in Explore, by what the nodes of the job have. Names that this version does not know are left out. */
function panelsOf(job: Job): Panel[] {
  const nodes = nodesMatcher(job);
  if (nodes === '') {
    return [];
  }
  const on = `{instance=~"${nodes}"}`;
  const candidates: [title: string, metric: string, expr: (metric: string) => string][] = [
    ['GPU utilisation', 'DCGM_FI_DEV_GPU_UTIL', (metric) => `avg by (instance) (${metric}${on})`],
    ['GPU power', 'DCGM_FI_DEV_POWER_USAGE', (metric) => `sum by (instance) (${metric}${on})`],
    [
      'Links: bytes sent',
      'node_infiniband_port_data_transmitted_bytes_total',
      (metric) => `sum by (instance, device) (rate(${metric}${on}[$__rate_interval]))`,
    ],
    [
      'Links: retransmissions',
      'node_infiniband_roce_adp_retrans_total',
      (metric) => `sum by (instance) (rate(${metric}${on}[$__rate_interval]))`,
    ],
    [
      'Storage: latency, 99th percentile',
      'podscope_block_io_latency_seconds',
      (metric) =>
        `histogram_quantile(0.99, sum by (instance, le) (rate(${metric}_bucket{instance=~"${nodes}", transport=~"rdma|tcp"}[5m])))`,
    ],
    [
      'Storage: mean latency of reads',
      'node_disk_read_time_seconds_total',
      (metric) =>
        `sum by (instance) (rate(${metric}${on}[5m])) / sum by (instance) (rate(node_disk_reads_completed_total${on}[5m]))`,
    ],
  ];
  const known = new Set(Object.keys(CATALOG));
  return candidates.flatMap(([title, metric, expr]) => (known.has(metric) ? [{ title, expr: expr(metric) }] : []));
}

function explore(datasourceUid: string, query: Record<string, unknown>, range: { from: number; to: number }): string {
  const pane = {
    datasource: datasourceUid,
    queries: [{ refId: 'A', datasource: { type: 'podscope-fleet-datasource', uid: datasourceUid }, ...query }],
    range: { from: String(range.from), to: String(range.to) },
  };
  const panes = encodeURIComponent(JSON.stringify({ a: pane }));
  return `${config.appSubUrl}/explore?schemaVersion=1&panes=${panes}`;
}

export function JobDetail({ job, datasourceUid, nowMs }: Props) {
  const range = rangeOf(job, nowMs);
  const nodes = nodesMatcher(job);
  const events = (kind: string) =>
    explore(
      datasourceUid,
      { queryType: 'events', expr: `{kind="${kind}", instance=~"${nodes}"}`, format: 'table' },
      range
    );
  const facts: [string, string][] = [
    ['User', job.user],
    ['Account', job.account],
    ['Partition', job.partition],
    ['QOS', job.qos],
    ['GPUs', String(job.gpus)],
    ['CPUs', String(job.cpus)],
    ['Waited', duration(job.wait_seconds)],
    ['Runs', job.start_ms === undefined ? '-' : duration((range.to - job.start_ms) / 1000)],
    ['Time limit', duration(job.limit_seconds)],
    ['Restarts', String(job.restarts)],
    ...(job.reason === '' ? [] : [['Reason', job.reason] satisfies [string, string]]),
  ];
  return (
    <Stack direction="column" gap={2}>
      <Stack alignItems="center" gap={1}>
        <Text element="h2" variant="h3">
          {`Job ${job.shown_id} ${job.name}`}
        </Text>
        <Badge color={stateColor(job.state)} text={job.state.toLowerCase()} />
      </Stack>
      <Stack wrap="wrap" gap={3}>
        {facts.map(([name, value]) => (
          <Stack key={name} direction="column" gap={0}>
            <Text variant="bodySmall" color="secondary">
              {name}
            </Text>
            <Text>{value === '' ? '-' : value}</Text>
          </Stack>
        ))}
      </Stack>
      {nodes === '' ? (
        <Text color="secondary">The job has no nodes, so there is nothing to see of them.</Text>
      ) : (
        <>
          <Stack wrap="wrap" gap={1}>
            {panelsOf(job).map(({ title, expr }) => (
              <LinkButton
                key={title}
                variant="secondary"
                icon="chart-line"
                href={explore(datasourceUid, { expr, range: true }, range)}
              >
                {title}
              </LinkButton>
            ))}
            <LinkButton variant="secondary" icon="exclamation-triangle" href={events('xid')}>
              XIDs
            </LinkButton>
            <LinkButton variant="secondary" icon="list-ul" href={events('log')}>
              NCCL and other log lines
            </LinkButton>
          </Stack>
          <section aria-label="Nodes">
            <Stack direction="column" gap={1}>
              {(job.placement ?? []).map(({ node, gpus }) => (
                <Card
                  key={node}
                  noMargin
                  href={`${config.appSubUrl}/d/podscope-node?var-ds=${encodeURIComponent(datasourceUid)}&var-instance=${encodeURIComponent(node)}&from=${range.from}&to=${range.to}`}
                >
                  <Card.Heading>{node}</Card.Heading>
                  <Card.Meta>{gpus.length === 0 ? 'GPUs not told' : `GPU ${gpus.join(', ')}`}</Card.Meta>
                </Card>
              ))}
            </Stack>
          </section>
        </>
      )}
    </Stack>
  );
}
