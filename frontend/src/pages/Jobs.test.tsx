import { type DataSourceInstanceSettings } from '@grafana/data';
import { type BackendSrv, getBackendSrv, getDataSourceSrv } from '@grafana/runtime';
import { render, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter } from 'react-router-dom-v5-compat';
import { NEVER, of, throwError } from 'rxjs';

import { type Job, type Jobs as Answer } from '../datasource/jobs';
import Jobs from './Jobs';
import { duration, nodesMatcher, rangeOf } from './job';

jest.mock('@grafana/runtime', () => ({
  ...jest.requireActual<object>('@grafana/runtime'),
  getDataSourceSrv: jest.fn(),
  getBackendSrv: jest.fn(),
}));

function given(fetch: () => unknown, datasources = [{ uid: 'podscope', name: 'Podscope' }]) {
  jest.mocked(getDataSourceSrv).mockReturnValue({
    getList: () => datasources as DataSourceInstanceSettings[],
  } as unknown as ReturnType<typeof getDataSourceSrv>);
  const asked = jest.fn(fetch);
  jest.mocked(getBackendSrv).mockReturnValue({ fetch: asked } as unknown as BackendSrv);
  return asked;
}

const job: Job = {
  id: 7,
  shown_id: '7',
  tasks: 1,
  name: 'train',
  user: 'ann',
  account: 'alpha',
  partition: 'gpu',
  qos: 'normal',
  state: 'RUNNING',
  reason: '',
  class: '',
  start_ms: 1_000_000,
  wait_seconds: 1860,
  nodes: 'n[1-2]',
  node_count: 2,
  cpus: 8,
  gpus: 16,
  restarts: 0,
};

function answer(jobs: Job[], more: Partial<Answer> = {}): Answer {
  const scheduler = { instance: 'hub', cluster: 'emea', as_of_ms: 1, jobs, truncated: false };
  return { schedulers: [scheduler], ...more };
}

function open(path = '/') {
  render(
    <MemoryRouter initialEntries={[path]}>
      <Jobs />
    </MemoryRouter>
  );
}

describe('the jobs page', () => {
  it('says that it asks while no answer is there', () => {
    given(() => NEVER);
    open();
    expect(screen.getByText(/Asking for the jobs/)).toBeInTheDocument();
  });

  it('says what went wrong, and asks again when told to', async () => {
    const asked = given(() => throwError(() => ({ status: 502, data: { error: 'the hub does not answer' } })));
    open();
    expect(await screen.findByText('the hub does not answer')).toBeInTheDocument();
    await userEvent.click(screen.getByRole('button', { name: /Try again/ }));
    await waitFor(() => {
      expect(asked).toHaveBeenCalledTimes(2);
    });
  });

  it('says how to ask a scheduler where nobody does, and when the queue is empty', async () => {
    given(() => of({ data: { schedulers: [] } }));
    open();
    expect(await screen.findByText('No agent asks a scheduler')).toBeInTheDocument();
    given(() => of({ data: answer([]) }));
    open();
    expect(await screen.findByText('No jobs')).toBeInTheDocument();
  });

  it('lists the jobs, each leading to its own page, and what is wrong with the scheduler', async () => {
    const waiting = { ...job, id: 8, shown_id: '8', state: 'PENDING', reason: 'Resources', nodes: '' };
    const one = answer([job, waiting]);
    given(() => of({ data: { ...one, schedulers: [{ ...one.schedulers[0], error: 'the token expired' }] } }));
    open();
    expect(await screen.findByRole('link', { name: '7' })).toHaveAttribute('href', expect.stringContaining('id=7'));
    expect(screen.getByText('Resources')).toBeInTheDocument();
    expect(screen.getAllByText('31 min 0 s')).toHaveLength(2);
    expect(screen.getByText('the token expired')).toBeInTheDocument();
  });

  it('shows a job with its nodes and where more of them is to be seen', async () => {
    const asked = given(() =>
      of({
        data: answer([
          {
            ...job,
            placement: [
              { node: 'n1', gpus: [0, 1] },
              { node: 'n2', gpus: [] },
            ],
          },
        ]),
      })
    );
    open('/?id=7');
    expect(await screen.findByText('Job 7 train')).toBeInTheDocument();
    expect(asked).toHaveBeenCalledWith(expect.objectContaining({ params: { id: '7' } }));
    expect(screen.getByText('GPU 0, 1')).toBeInTheDocument();
    expect(screen.getByText('GPUs not told')).toBeInTheDocument();
    const xids = screen.getByRole('link', { name: 'XIDs' });
    expect(decodeURIComponent(xids.getAttribute('href') ?? '')).toContain('{kind=\\"xid\\", instance=~\\"n1|n2\\"}');
    expect(screen.getByRole('link', { name: 'GPU utilisation' })).toBeInTheDocument();
  });

  it('says that a job is not there', async () => {
    given(() => of({ data: answer([]) }));
    open('/?id=99');
    expect(await screen.findByText('There is no job 99')).toBeInTheDocument();
  });
});

describe('a job', () => {
  it('tells durations in their two largest units', () => {
    expect([undefined, 5, 65, 7500, 200_000].map(duration)).toEqual(['-', '5 s', '1 min 5 s', '2 h 5 min', '2 d 7 h']);
  });

  it('is looked at from its start to its end, and at its own nodes only', () => {
    expect(rangeOf(job, 5_000_000)).toEqual({ from: 1_000_000, to: 5_000_000 });
    expect(rangeOf({ ...job, end_ms: 2_000_000 }, 5_000_000).to).toBe(2_000_000);
    const dotted = { ...job, placement: [{ node: 'n1.pod', gpus: [] }] };
    expect(nodesMatcher(dotted)).toBe(String.raw`n1\\.pod`);
  });
});
