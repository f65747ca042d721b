/** The scheduler's jobs. */
import { config } from '@grafana/runtime';
import { Badge, type CellProps, type Column, InteractiveTable, TextLink } from '@grafana/ui';
import { useMemo } from 'react';

import { type Job } from '../datasource/jobs';
import { duration, stateColor } from './job';

interface Props {
  jobs: Job[];
  datasourceUid: string;
}

type Row = Job & { key: string };

/** Rows on one page of the table. */
const PAGE = 50;

export function JobsTable({ jobs, datasourceUid }: Props) {
  const columns = useMemo((): Column<Row>[] => {
    const page = (id: number) =>
      `${config.appSubUrl}/a/podscope-warroom-app/jobs?ds=${encodeURIComponent(datasourceUid)}&id=${id}`;
    return [
      {
        id: 'shown_id',
        header: 'Job',
        sortType: 'string',
        cell: ({ row: { original } }: CellProps<Row>) => (
          <TextLink inline={false} href={page(original.id)}>
            {original.shown_id}
          </TextLink>
        ),
      },
      { id: 'name', header: 'Name', sortType: 'string' },
      {
        id: 'state',
        header: 'State',
        sortType: 'string',
        cell: ({ row: { original } }: CellProps<Row>) => (
          <Badge color={stateColor(original.state)} text={original.state.toLowerCase()} tooltip={original.reason} />
        ),
      },
      { id: 'reason', header: 'Reason', sortType: 'string' },
      { id: 'user', header: 'User', sortType: 'string' },
      { id: 'account', header: 'Account', sortType: 'string' },
      { id: 'partition', header: 'Partition', sortType: 'string' },
      { id: 'gpus', header: 'GPUs', sortType: 'number' },
      {
        id: 'wait_seconds',
        header: 'Waited',
        sortType: 'number',
        cell: ({ row: { original } }: CellProps<Row>) => <>{duration(original.wait_seconds)}</>,
      },
      { id: 'nodes', header: 'Nodes' },
    ];
  }, [datasourceUid]);
  const rows = useMemo(() => jobs.map((job, at) => ({ ...job, key: `${at} ${job.shown_id}` })), [jobs]);
  return (
    <section aria-label="Jobs">
      <InteractiveTable columns={columns} data={rows} getRowId={({ key }) => key} pageSize={PAGE} />
    </section>
  );
}
