import { type DataSourceSettings } from '@grafana/data';
import { fireEvent, render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { useState } from 'react';
import { MemoryRouter } from 'react-router-dom-v5-compat';

import { type FleetOptions, type FleetSecrets } from '../types';
import { ConfigEditor } from './ConfigEditor';

type Settings = DataSourceSettings<FleetOptions, FleetSecrets>;

const EMPTY: Settings = {
  id: 1,
  uid: 'podscope',
  orgId: 1,
  name: 'Podscope',
  typeLogoUrl: '',
  type: 'podscope-fleet-datasource',
  typeName: 'Podscope fleet',
  access: 'proxy',
  url: '',
  user: '',
  database: '',
  basicAuth: false,
  basicAuthUser: '',
  isDefault: false,
  jsonData: {},
  secureJsonFields: {},
  readOnly: false,
  withCredentials: false,
};

/** The page as Grafana holds it; gives the settings as they are now. */
function page(settings: Partial<Settings> = {}): () => Settings {
  let now: Settings = { ...EMPTY, ...settings };
  function Page() {
    const [options, setOptions] = useState(now);
    return (
      <ConfigEditor
        options={options}
        onOptionsChange={(next) => {
          now = next;
          setOptions(next);
        }}
      />
    );
  }
  render(<Page />, { wrapper: MemoryRouter });
  return () => now;
}

function type(label: string, text: string) {
  fireEvent.change(screen.getByLabelText(label), { target: { value: text } });
}

describe('the settings page', () => {
  it('says what to do first, and what next', () => {
    page();
    expect(screen.getByText('Name at least one node')).toBeInTheDocument();
    type('URL of node 1', 'http://gpu-01:9477');
    expect(screen.getByText('What to do next')).toBeInTheDocument();
  });

  it('stores nodes with their instance names and labels', async () => {
    const settings = page();
    type('URL of node 1', 'http://gpu-01:9477');
    type('Instance name of node 1', 'gpu-01');
    type('Labels of node 1', 'cluster=a, rack=12');
    await userEvent.click(screen.getByRole('button', { name: 'Add node' }));
    type('URL of node 2', 'http://gpu-02:9477');
    expect(settings().jsonData.targets).toEqual([
      { url: 'http://gpu-01:9477', instance: 'gpu-01', labels: { cluster: 'a', rack: '12' } },
      { url: 'http://gpu-02:9477' },
    ]);
    await userEvent.click(screen.getByRole('button', { name: 'Remove node 1' }));
    expect(settings().jsonData.targets).toEqual([{ url: 'http://gpu-02:9477' }]);
  });

  it('fills rows from a pasted list', () => {
    const settings = page();
    fireEvent.paste(screen.getByLabelText('URL of node 1'), {
      clipboardData: { getData: () => 'gpu-01:9477\nhttps://gpu-02:9477\n' },
    });
    expect(settings().jsonData.targets).toEqual([{ url: 'http://gpu-01:9477' }, { url: 'https://gpu-02:9477' }]);
    expect(screen.getByLabelText('URL of node 2')).toHaveValue('https://gpu-02:9477');
  });

  it('says at once what is wrong with a URL or a label', () => {
    page();
    type('URL of node 1', 'gpu-01:9477');
    expect(screen.getByText(/The scheme is missing: write http:\/\/gpu-01:9477/)).toBeInTheDocument();
    type('Labels of node 1', 'cluster');
    expect(screen.getByText(/Write labels as name=value/)).toBeInTheDocument();
  });

  it('keeps secrets out of the plain settings', () => {
    const settings = page({ jsonData: { tlsAuth: true, tlsAuthWithCACert: true } });
    type('Bearer token', 's3cret');
    type('CA certificate', 'pem-ca');
    type('Client certificate', 'pem-cert');
    type('Client key', 'pem-key');
    expect(settings().secureJsonData).toEqual({
      token: 's3cret',
      tlsCACert: 'pem-ca',
      tlsClientCert: 'pem-cert',
      tlsClientKey: 'pem-key',
    });
    expect(JSON.stringify(settings().jsonData)).not.toMatch(/s3cret|pem/);
  });

  it('can forget a stored secret', async () => {
    const settings = page({ secureJsonFields: { token: true } });
    expect(screen.getByLabelText('Bearer token')).toBeDisabled();
    await userEvent.click(screen.getByRole('button', { name: 'Reset' }));
    expect(settings().secureJsonFields.token).toBe(false);
    expect(settings().secureJsonData).toEqual({ token: '' });
  });

  it('stores numbers in the units of the backend', () => {
    const settings = page();
    type('Timeout', '2.5');
    type('Completeness for alerts', '90');
    type('Values per query', '0');
    expect(settings().jsonData).toMatchObject({ timeoutMs: 2500, completeness: 0.9, maxCells: 0 });
    type('Timeout', '');
    expect(settings().jsonData.timeoutMs).toBeUndefined();
  });

  it('says what is wrong with a number in the unit it is shown in', () => {
    page();
    type('Completeness for alerts', '900');
    expect(screen.getByText('Must be between 0 and 100 % of nodes')).toBeInTheDocument();
    type('Timeout', 'soon');
    expect(screen.getByText('This is not a number')).toBeInTheDocument();
    type('Smallest step', '15');
    expect(screen.getByText(/Must be a duration/)).toBeInTheDocument();
  });

  it('warns when certificates are not verified', async () => {
    page();
    expect(screen.queryByText('Certificates are not verified')).not.toBeInTheDocument();
    await userEvent.click(screen.getByLabelText('Skip verification'));
    expect(screen.getByText('Certificates are not verified')).toBeInTheDocument();
  });

  it('tells of nodes that provisioning names elsewhere', () => {
    page({ url: 'http://hub:9477', jsonData: { urls: 'http://a:9477\nhttp://b:9477' } });
    expect(screen.getByText('And 3 more from provisioning')).toBeInTheDocument();
  });

  it('cannot be changed when it is provisioned', () => {
    page({ readOnly: true, jsonData: { targets: [{ url: 'http://a:9477' }] } });
    expect(screen.getByLabelText('URL of node 1')).toBeDisabled();
    expect(screen.getByRole('button', { name: 'Add node' })).toBeDisabled();
    expect(screen.getByLabelText('Bearer token')).toBeDisabled();
  });

  it('stores Prometheus-compatible servers with what they serve and their secrets', async () => {
    const settings = page();
    await userEvent.click(screen.getByRole('button', { name: 'Add store' }));
    type('URL of store 1', 'prometheus:9090');
    expect(screen.getByText(/The scheme is missing/)).toBeInTheDocument();
    type('URL of store 1', 'http://prometheus:9090');
    type('Selectors of store 1', '{job="kubelet"}\nkube_pod_info');
    type('Long term after of store 1', '30d');
    type('Labels taken off of store 1', 'prometheus, replica');
    type('Token of store 1', 'secret');
    expect(settings().jsonData.stores).toEqual([
      {
        name: 'prometheus',
        url: 'http://prometheus:9090',
        match: ['{job="kubelet"}', 'kube_pod_info'],
        longTermAfter: '30d',
        dropLabels: ['prometheus', 'replica'],
      },
    ]);
    expect(settings().secureJsonData).toEqual({ storeToken_prometheus: 'secret' });
    await userEvent.click(screen.getByRole('button', { name: 'Add store' }));
    type('Name of store 2', 'prometheus');
    expect(screen.getByText('There is another store named prometheus')).toBeInTheDocument();
    await userEvent.click(screen.getByRole('button', { name: 'Remove store 2' }));
    expect(settings().jsonData.stores).toHaveLength(1);
  });
});

describe('who sees what', () => {
  it('is everything until it is said otherwise, and back', async () => {
    const now = page();
    expect(screen.queryByLabelText('Other names')).not.toBeInTheDocument();
    await userEvent.click(screen.getByLabelText('Only what is theirs'));
    expect(now().jsonData.scope).toBe('viewers');
    expect(screen.getByText('The agents must insist on a token')).toBeInTheDocument();
    await userEvent.click(screen.getByLabelText('Everything'));
    expect(now().jsonData.scope).toBeUndefined();
  });

  it('takes names and public metrics, and only whole ones', () => {
    const now = page({ jsonData: { scope: 'viewers' } });
    type('Other names', 'asmith = alice\nbob');
    expect(screen.getByText(/this is not one: bob/)).toBeInTheDocument();
    expect(now().jsonData.scopeUsers).toBeUndefined();
    type('Other names', 'asmith = alice');
    expect(now().jsonData.scopeUsers).toEqual({ asmith: 'alice' });
    type('Metrics everybody may see', 'up\n*');
    expect(now().jsonData.publicMetrics).toEqual(['up']);
    type('Metrics everybody may see', '');
    expect(now().jsonData.publicMetrics).toBeUndefined();
  });
});
