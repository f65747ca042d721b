/** The scheduler's jobs, and one job with what its nodes say: `/a/podscope-warroom-app/jobs?id=7`. */
import { type DataSourceInstanceSettings } from '@grafana/data';
import { PluginPage, config, getDataSourceSrv } from '@grafana/runtime';
import { Alert, Button, Combobox, EmptyState, LinkButton, LoadingPlaceholder, Stack } from '@grafana/ui';
import { useState } from 'react';
import { useSearchParams } from 'react-router-dom-v5-compat';

import { type Job, type Scheduler } from '../datasource/jobs';
import { FLEET_TYPE } from '../datasource/types';
import { JobDetail } from './JobDetail';
import { JobsTable } from './JobsTable';
import { useJobs } from './useJobs';

const NEW_DATASOURCE = '/connections/datasources/podscope-fleet-datasource';

const STATES = [
  { value: '', label: 'All states' },
  { value: 'RUNNING', label: 'Running' },
  { value: 'PENDING', label: 'Waiting' },
  { value: 'FAILED,NODE_FAIL,BOOT_FAIL,OUT_OF_MEMORY,TIMEOUT,DEADLINE', label: 'Failed' },
];

export default function Jobs() {
  const [params, setParams] = useSearchParams();
  const datasources = getDataSourceSrv().getList({ type: FLEET_TYPE });
  const first = datasources.find(({ isDefault }) => isDefault) ?? datasources[0];
  const current = datasources.find(({ uid }) => uid === params.get('ds')) ?? first;
  const [state, setState] = useState('');
  const id = params.get('id') ?? '';

  if (current === undefined) {
    return (
      <PluginPage>
        <EmptyState
          variant="call-to-action"
          message="Nothing is connected yet"
          button={
            <LinkButton icon="plus" size="lg" href={`${config.appSubUrl}${NEW_DATASOURCE}`}>
              Add a Podscope data source
            </LinkButton>
          }
        />
      </PluginPage>
    );
  }
  return (
    <PluginPage
      actions={
        id === '' ? (
          <Combobox
            aria-label="State"
            width={20}
            options={STATES}
            value={state}
            onChange={({ value }) => {
              setState(value);
            }}
          />
        ) : (
          <Button
            icon="arrow-left"
            variant="secondary"
            onClick={() => {
              setParams((before) => {
                before.delete('id');
                return before;
              });
            }}
          >
            All jobs
          </Button>
        )
      }
    >
      <Connected key={current.uid} datasource={current} id={id} state={id === '' ? state : ''} />
    </PluginPage>
  );
}

function Connected({ datasource, id, state }: { datasource: DataSourceInstanceSettings; id: string; state: string }) {
  const { state: answer, refresh } = useJobs(datasource.uid, { id, state });
  switch (answer.kind) {
    case 'loading':
      return <LoadingPlaceholder text="Asking for the jobs..." />;
    case 'failed':
      return (
        <Alert severity="error" title={`The data source “${datasource.name}” could not be asked for jobs`}>
          <Stack direction="column" gap={1} alignItems="flex-start">
            <span>{answer.error}</span>
            <Button icon="sync" variant="secondary" size="sm" onClick={refresh}>
              Try again
            </Button>
          </Stack>
        </Alert>
      );
    case 'loaded': {
      const { schedulers, missing } = answer.jobs;
      const jobs = schedulers.flatMap((scheduler) => scheduler.jobs);
      return (
        <Stack direction="column" gap={2}>
          {typeof missing === 'string' && <Alert severity="warning" title={missing} bottomSpacing={0} />}
          {schedulers.map((scheduler) => (
            <Trouble key={scheduler.instance} scheduler={scheduler} />
          ))}
          <Found schedulers={schedulers} jobs={jobs} id={id} datasourceUid={datasource.uid} nowMs={answer.atMs} />
        </Stack>
      );
    }
  }
}

interface FoundProps {
  schedulers: Scheduler[];
  jobs: Job[];
  id: string;
  datasourceUid: string;
  nowMs: number;
}

function Found({ schedulers, jobs, id, datasourceUid, nowMs }: FoundProps) {
  if (schedulers.length === 0) {
    return (
      <EmptyState variant="not-found" message="No agent asks a scheduler">
        Set <code>slurm.url</code> in the configuration of a hub, or of the agent on the node slurmctld runs on.
      </EmptyState>
    );
  }
  if (id !== '') {
    const job = jobs.find((one) => String(one.id) === id) ?? jobs[0];
    return job === undefined ? (
      <EmptyState variant="not-found" message={`There is no job ${id}`}>
        The scheduler forgets a job five minutes after its end.
      </EmptyState>
    ) : (
      <JobDetail job={job} datasourceUid={datasourceUid} nowMs={nowMs} />
    );
  }
  return jobs.length === 0 ? (
    <EmptyState variant="not-found" message="No jobs">
      The queue is empty, or none of its jobs is in this state.
    </EmptyState>
  ) : (
    <JobsTable jobs={jobs} datasourceUid={datasourceUid} />
  );
}

function Trouble({ scheduler: { instance, cluster, error, truncated, jobs } }: { scheduler: Scheduler }) {
  return (
    <>
      {error !== undefined && (
        <Alert severity="warning" title={`Slurm ${cluster} does not answer ${instance}`} bottomSpacing={0}>
          {error}
        </Alert>
      )}
      {truncated && <Alert severity="info" title={`Only ${jobs.length} jobs are shown`} bottomSpacing={0} />}
    </>
  );
}
