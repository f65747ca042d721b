/** Every node of the datasource with what it says of itself. */
import { css } from '@emotion/css';
import { type GrafanaTheme2 } from '@grafana/data';
import { config } from '@grafana/runtime';
import { Badge, type CellProps, type Column, InteractiveTable, Stack, Text, TextLink, useStyles2 } from '@grafana/ui';
import { type ReactNode, useMemo } from 'react';

import { type Collector, type Node } from '../datasource/inventory';
import { ago, nameOf } from './fleet';

interface Props {
  nodes: Node[];
  datasourceUid: string;
  nowMs: number;
  actions: ReactNode;
}

interface Row {
  id: string;
  name: string;
  url: string;
  state: string;
  error?: string;
  version: string;
  gpus: string;
  series?: number;
  history: string;
  collectors: Collector[];
}

/** Rows on one page of the table. */
const PAGE = 50;

export function NodesTable({ nodes, datasourceUid, nowMs, actions }: Props) {
  const styles = useStyles2(getStyles);
  const columns = useMemo((): Column<Row>[] => {
    const dashboard = (name: string) =>
      `${config.appSubUrl}/d/podscope-node?var-ds=${encodeURIComponent(datasourceUid)}&var-instance=${encodeURIComponent(name)}`;
    return [
      {
        id: 'name',
        header: 'Node',
        sortType: 'string',
        cell: ({ row }: CellProps<Row>) => (
          <Stack direction="column" gap={0}>
            {row.original.error === undefined ? (
              <TextLink inline={false} href={dashboard(row.original.name)}>
                {row.original.name}
              </TextLink>
            ) : (
              <Text>{row.original.name}</Text>
            )}
            <Text variant="bodySmall" color="secondary">
              {row.original.url}
            </Text>
          </Stack>
        ),
      },
      {
        id: 'state',
        header: 'State',
        sortType: 'string',
        cell: ({ row: { original } }: CellProps<Row>) =>
          original.error === undefined ? (
            <Badge color="green" icon="check" text="answers" />
          ) : (
            <Stack direction="column" gap={0.5} alignItems="flex-start">
              <Badge color="red" icon="exclamation-triangle" text="silent" />
              <Text variant="bodySmall" color="secondary">
                {original.error}
              </Text>
            </Stack>
          ),
      },
      { id: 'version', header: 'Version', sortType: 'string' },
      { id: 'gpus', header: 'GPUs' },
      {
        id: 'collectors',
        header: 'Collectors',
        cell: ({ row }: CellProps<Row>) => <Collectors collectors={row.original.collectors} />,
      },
      {
        id: 'series',
        header: 'Series',
        sortType: 'number',
        cell: ({ row }: CellProps<Row>) => <>{row.original.series?.toLocaleString('en-US') ?? '-'}</>,
      },
      { id: 'history', header: 'History' },
    ];
  }, [datasourceUid]);
  const rows = useMemo(() => nodes.map((node, at) => rowOf(node, at, nowMs)), [nodes, nowMs]);
  return (
    <section aria-label="Nodes" className={styles.table}>
      <Stack justifyContent="space-between" alignItems="center">
        <Text element="h2" variant="h4">
          Nodes
        </Text>
        {actions}
      </Stack>
      <InteractiveTable columns={columns} data={rows} getRowId={({ id }) => id} pageSize={PAGE} />
    </section>
  );
}

function Collectors({ collectors }: { collectors: Collector[] }) {
  if (collectors.length === 0) {
    return <>-</>;
  }
  const inState = (state: Collector['state']) => collectors.filter((collector) => collector.state === state);
  const absent = inState('not_present');
  return (
    <Stack gap={0.5} wrap="wrap">
      <Badge color="green" text={`${inState('ok').length} ok`} />
      {collectors.flatMap((collector) =>
        collector.state === 'failed' ? (
          <Badge key={collector.name} color="orange" text={`${collector.name} failed`} tooltip={collector.error} />
        ) : (
          []
        )
      )}
      {absent.length > 0 && (
        <Badge
          color="darkgrey"
          text={`${absent.length} not present`}
          tooltip={absent.map(({ name }) => name).join(', ')}
        />
      )}
    </Stack>
  );
}

function rowOf(node: Node, at: number, nowMs: number): Row {
  const { url, ok, version = '-', gpus = [], series, oldestMs, collectors = [] } = node;
  return {
    id: `${at} ${url}`,
    name: nameOf(node),
    url,
    state: ok ? 'answers' : 'silent',
    error: ok ? undefined : (node.error ?? 'no reason known'),
    version,
    gpus: gpus.length === 0 ? '-' : `${gpus.length} × ${[...new Set(gpus.map(({ model }) => model))].join(', ')}`,
    series,
    history: typeof oldestMs === 'number' ? ago(oldestMs, nowMs) : '-',
    collectors,
  };
}

const getStyles = (theme: GrafanaTheme2) => ({
  table: css({ '> div:last-child': { marginTop: theme.spacing(1) } }),
});
