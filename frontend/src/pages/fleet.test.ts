import { type Collector, type Inventory } from '../datasource/inventory';
import { ago, fleetOf, plural } from './fleet';
import { steps } from './NextSteps';

const collector = (name: string, state: 'ok' | 'pending' = 'ok'): Collector => ({
  name,
  state,
  interval_ms: 1000,
  last_duration_us: 10,
  series: 5,
});

const gpu = (index: number, model: string) => ({ index, model, uuid: `GPU-${index}`, pci_bus_id: '0' });

const inventory: Inventory = {
  expected: 3,
  answered: 2,
  nodes: [
    {
      url: 'http://a:9477',
      instance: 'gpu-01',
      ok: true,
      version: '0.1.0',
      collectors: [collector('cpu'), { ...collector('nvme'), state: 'failed', error: 'permission denied' }],
      gpus: [gpu(0, 'H100'), gpu(1, 'H100')],
      oldestMs: 1000,
      series: 100,
    },
    { url: 'http://b:9477', instance: 'gpu-02', ok: true, version: '0.2.0', oldestMs: null, series: 50 },
    { url: 'http://c:9477', ok: false, error: 'connection refused' },
  ],
};

describe('what an inventory says', () => {
  it('is summed up over the nodes that answer', () => {
    expect(fleetOf(inventory)).toMatchObject({
      expected: 3,
      answered: 2,
      versions: [
        { version: '0.1.0', nodes: 1 },
        { version: '0.2.0', nodes: 1 },
      ],
      failing: [{ node: 'gpu-01', collector: 'nvme', error: 'permission denied' }],
      gpus: [{ model: 'H100', count: 2 }],
      gpuCount: 2,
      series: 150,
      oldestMs: 1000,
    });
    expect(fleetOf(inventory).silent.map(({ url }) => url)).toEqual(['http://c:9477']);
  });

  it('has no history where nothing answers', () => {
    const fleet = fleetOf({ expected: 0, answered: 0, nodes: [] });
    expect(fleet.oldestMs).toBeUndefined();
    expect(fleet.gpuCount).toBe(0);
  });
});

describe('words for numbers', () => {
  it('agree with their number', () => {
    expect([plural(1, 'node'), plural(2, 'node'), plural(0, 'node')]).toEqual(['1 node', '2 nodes', '0 nodes']);
  });

  it('count time in the largest unit that fits', () => {
    expect(ago(0, 59_000)).toBe('59 seconds');
    expect(ago(0, 60_000)).toBe('1 minute');
    expect(ago(0, 7_199_000)).toBe('1 hour');
    expect(ago(0, 3 * 86_400_000)).toBe('3 days');
    expect(ago(1000, 0)).toBe('0 seconds');
  });
});

describe('the next steps', () => {
  const base = { datasourceUid: 'pod scope', settings: '/settings', connected: true, gpus: true };

  it('begin with the GPUs where there are some, and open the dashboards on this datasource', () => {
    expect(steps(base).map(({ href }) => href.replace(/\?left=.*/, ''))).toEqual([
      '/d/nvidia-dcgm?var-ds=pod%20scope',
      '/d/podscope-node?var-ds=pod%20scope',
      '/explore',
      '/settings',
      '/dashboard/import',
    ]);
    expect(steps({ ...base, gpus: false })[0]?.href).toContain('podscope-node');
  });

  it('are the settings alone while nothing answers', () => {
    expect(steps({ ...base, connected: false }).map(({ href }) => href)).toEqual(['/settings']);
  });
});
