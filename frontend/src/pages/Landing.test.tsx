import { type DataSourceInstanceSettings } from '@grafana/data';
import { type BackendSrv, getBackendSrv, getDataSourceSrv } from '@grafana/runtime';
import { render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter } from 'react-router-dom-v5-compat';
import { NEVER, of, throwError } from 'rxjs';

import { type Inventory } from '../datasource/inventory';
import Landing from './Landing';

jest.mock('@grafana/runtime', () => ({
  ...jest.requireActual<object>('@grafana/runtime'),
  getDataSourceSrv: jest.fn(),
  getBackendSrv: jest.fn(),
}));

function given(datasources: { uid: string; name: string }[], fetch: () => unknown) {
  jest.mocked(getDataSourceSrv).mockReturnValue({
    getList: () => datasources as DataSourceInstanceSettings[],
  } as unknown as ReturnType<typeof getDataSourceSrv>);
  const asked = jest.fn(fetch);
  jest.mocked(getBackendSrv).mockReturnValue({ fetch: asked } as unknown as BackendSrv);
  return asked;
}

const one = [{ uid: 'podscope', name: 'Podscope' }];

const inventory: Inventory = {
  expected: 2,
  answered: 1,
  nodes: [
    {
      url: 'http://a:9477',
      instance: 'gpu-01',
      ok: true,
      version: '0.1.0',
      collectors: [
        { name: 'cpu', state: 'ok', interval_ms: 1000, last_duration_us: 1, series: 1 },
        { name: 'nvme', state: 'failed', error: 'permission denied', interval_ms: 1000, last_duration_us: 1, series: 0 },
        { name: 'gpu', state: 'not_present', reason: 'no driver', interval_ms: 1000, last_duration_us: 1, series: 0 },
      ],
      gpus: [{ index: 0, model: 'H100', uuid: 'GPU-0', pci_bus_id: '0' }],
      oldestMs: Date.now() - 7_200_000,
      series: 1234,
    },
    { url: 'http://b:9477', instance: 'gpu-02', ok: false, error: 'connection refused' },
  ],
};

describe('the landing page', () => {
  it('leads to a new datasource while there is none', () => {
    given([], () => NEVER);
    render(<Landing />, { wrapper: MemoryRouter });
    expect(screen.getByText('Nothing is connected yet')).toBeInTheDocument();
    expect(screen.getByRole('link', { name: /Add a Podscope data source/ })).toHaveAttribute(
      'href',
      expect.stringContaining('/connections/datasources/podscope-fleet-datasource')
    );
  });

  it('says that it asks while no answer is there', () => {
    given(one, () => NEVER);
    render(<Landing />, { wrapper: MemoryRouter });
    expect(screen.getByText(/Asking the nodes/)).toBeInTheDocument();
  });

  it('says what went wrong, and asks again when told to', async () => {
    const asked = given(one, () => throwError(() => ({ status: 502, data: { error: 'the plugin is not running' } })));
    render(<Landing />, { wrapper: MemoryRouter });
    expect(await screen.findByText('the plugin is not running')).toBeInTheDocument();
    expect(screen.getByRole('link', { name: 'Check the settings' })).toBeInTheDocument();
    expect(screen.queryByText('Node dashboard')).not.toBeInTheDocument();
    await userEvent.click(screen.getByRole('button', { name: /Try again/ }));
    await waitFor(() => {
      expect(asked).toHaveBeenCalledTimes(2);
    });
  });

  it('leads to the settings of a datasource without nodes', async () => {
    given(one, () => of({ data: { nodes: [], expected: 0, answered: 0 } }));
    render(<Landing />, { wrapper: MemoryRouter });
    expect(await screen.findByText('The data source names no node yet')).toBeInTheDocument();
    expect(screen.getByRole('link', { name: /Add nodes/ })).toHaveAttribute(
      'href',
      expect.stringContaining('/connections/datasources/edit/podscope')
    );
  });

  it('says who answers, who does not and why, and where to go', async () => {
    given(one, () => of({ data: inventory }));
    render(<Landing />, { wrapper: MemoryRouter });
    const fact = async (name: string) => within(await screen.findByRole('group', { name }));
    expect((await fact('Nodes answering')).getByText('1 of 2')).toBeInTheDocument();
    expect((await fact('GPUs')).getByText('1 × H100')).toBeInTheDocument();
    expect((await fact('Collectors failing')).getByText('nvme')).toBeInTheDocument();
    expect((await fact('History')).getByText('2 hours')).toBeInTheDocument();
    expect((await fact('Agent version')).getByText('0.1.0')).toBeInTheDocument();
    expect(screen.getByText('1 node did not answer')).toBeInTheDocument();
    expect(screen.getAllByText(/connection refused/)).not.toHaveLength(0);
    expect(screen.getByText(/permission denied/)).toBeInTheDocument();
    expect(screen.getByRole('link', { name: 'GPU dashboard' })).toHaveAttribute(
      'href',
      expect.stringContaining('/d/nvidia-dcgm?var-ds=podscope')
    );
    const table = within(screen.getByRole('region', { name: 'Nodes' }));
    expect(table.getByRole('link', { name: 'gpu-01' })).toHaveAttribute(
      'href',
      expect.stringContaining('var-instance=gpu-01')
    );
    expect(table.getByText('nvme failed')).toBeInTheDocument();
    expect(table.getByText('1 not present')).toBeInTheDocument();
    expect(table.queryByRole('link', { name: 'gpu-02' })).not.toBeInTheDocument();
    expect(table.getByText('silent')).toBeInTheDocument();
  });

  it('tells a person who is held to what is theirs so, and lists no nodes', async () => {
    given(one, () => of({ data: { nodes: [], expected: 4, answered: 4, restricted: true } }));
    render(<Landing />, { wrapper: MemoryRouter });
    expect(await screen.findByText('4 of 4 nodes answer')).toBeInTheDocument();
    expect(screen.getByText(/shows you what is yours/)).toBeInTheDocument();
    expect(screen.queryByText('The data source names no node yet')).not.toBeInTheDocument();
  });

  it('offers a choice only where there is one', async () => {
    given(one, () => of({ data: inventory }));
    const { unmount } = render(<Landing />, { wrapper: MemoryRouter });
    await screen.findByText('1 of 2');
    expect(screen.queryByRole('combobox')).not.toBeInTheDocument();
    unmount();
  });
});
