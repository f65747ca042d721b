import {
  CoreApp,
  type DataQueryRequest,
  type DataSourceInstanceSettings,
  type DataSourcePluginMeta,
  type ScopedVars,
  type TypedVariableModel,
  dateTime,
  dateTimeForTimeZone,
} from '@grafana/data';
import { DataSourceWithBackend, type TemplateSrv } from '@grafana/runtime';
import { lastValueFrom, of } from 'rxjs';

import { FleetDataSource } from './datasource';
import { type Formatter, type VariableTraits } from './templating';
import { type FleetOptions, type FleetQuery } from './types';
import { type VariableQuery } from './variableQuery';

const VARIABLES: Record<string, VariableTraits & { value: unknown }> = {
  node: { value: ['gpu-01.a', 'gpu-02'], multi: true },
  who: { value: 'a"b' },
};

const templateSrv: TemplateSrv = {
  getVariables: () => Object.keys(VARIABLES).map((name) => ({ name }) as TypedVariableModel),
  replace: (text = '', scopedVars?: ScopedVars, format?: unknown) =>
    text.replace(/\$(\w+)/g, (whole, name: string) => {
      const scoped = scopedVars?.[name];
      const variable = scoped === undefined ? VARIABLES[name] : { value: scoped.value as unknown };
      if (variable === undefined) {
        return whole;
      }
      return typeof format === 'function' ? (format as Formatter)(variable.value, variable) : String(variable.value);
    }),
  containsTemplate: () => false,
  updateTimeRange: () => undefined,
};

function datasource(): FleetDataSource {
  const settings: Omit<DataSourceInstanceSettings<FleetOptions>, 'id'> = {
    uid: 'podscope',
    type: 'podscope-fleet-datasource',
    name: 'Podscope',
    meta: {} as DataSourcePluginMeta,
    readOnly: false,
    access: 'proxy',
    jsonData: {},
  };
  return new FleetDataSource(settings, templateSrv);
}

const to = dateTime('2026-01-02T00:00:00Z');
const range = { from: dateTime('2026-01-01T00:00:00Z'), to, raw: { from: 'now-1d', to: 'now' } };

function request<T extends FleetQuery | VariableQuery>(targets: T[], app: string = CoreApp.Dashboard): DataQueryRequest<T> {
  return { app, requestId: '1', interval: '1s', intervalMs: 1000, range, scopedVars: {}, startTime: 0, timezone: 'utc', targets };
}

/** Answers resources by path, and remembers what was asked. */
function answering(ds: FleetDataSource, answers: Record<string, unknown>) {
  return jest.spyOn(ds, 'getResource').mockImplementation((path: string) => {
    const data = answers[path];
    return data === undefined ? Promise.reject(new Error(`no ${path}`)) : Promise.resolve({ status: 'success', data });
  });
}

describe('a query on its way to the backend', () => {
  it('has its variables and ad-hoc filters in every selector, and its macros as they were', () => {
    const query: FleetQuery = {
      refId: 'A',
      expr: 'rate(a{instance=~"$node"}[$__rate_interval]) / b',
      legendFormat: '{{gpu}} of $who',
      interval: '$__interval',
    };
    const filters = [
      { key: 'job', operator: '=', value: '$who' },
      { key: 'rack', operator: '=|', value: '1', values: ['1', '2.5'] },
    ];
    expect(datasource().applyTemplateVariables(query, { __interval: { text: '9s', value: '9s' } }, filters)).toEqual({
      refId: 'A',
      expr:
        'rate(a{instance=~"(gpu-01\\\\.a|gpu-02)",job="a\\"b",rack=~"1|2\\\\.5"}[$__rate_interval])' +
        ' / b{job="a\\"b",rack=~"1|2\\\\.5"}',
      legendFormat: '{{gpu}} of a"b',
      interval: '$__interval',
    });
  });

  it('keeps fields of Prometheus panels it does not know', () => {
    const query = { refId: 'A', expr: 'up', exemplar: true, editorMode: 'code', intervalFactor: 2 } as FleetQuery;
    expect(datasource().applyTemplateVariables(query, {})).toEqual(query);
  });

  it('is left out when hidden or empty', () => {
    const ds = datasource();
    expect(ds.filterQuery({ refId: 'A', expr: 'up' })).toBe(true);
    expect(ds.filterQuery({ refId: 'A', expr: 'up', hide: true })).toBe(false);
    expect(ds.filterQuery({ refId: 'A', expr: '  ' })).toBe(false);
    expect(ds.filterQuery({ refId: 'A' } as FleetQuery)).toBe(false);
  });

  it('tells the offset of the zone the dashboard is shown in', async () => {
    const sent = jest.spyOn(DataSourceWithBackend.prototype, 'query').mockReturnValue(of({ data: [] }));
    const there = { ...range, to: dateTimeForTimeZone('Europe/Berlin', to) };
    const ds = datasource();
    await lastValueFrom(ds.query({ ...request([{ refId: 'A', expr: 'up' }]), timezone: 'Europe/Berlin', range: there }));
    await lastValueFrom(ds.query(request([{ refId: 'A', expr: 'up' }])));
    expect(sent.mock.calls.map(([{ targets }]) => targets as unknown)).toEqual([
      [{ refId: 'A', expr: 'up', utcOffsetSec: 3600 }],
      [{ refId: 'A', expr: 'up', utcOffsetSec: 0 }],
    ]);
    sent.mockRestore();
  });

  it('carries its datasource when Explore takes it over', () => {
    const [query] = datasource().interpolateVariablesInQueries([{ refId: 'A', expr: 'up{a="$who"}' }], {});
    expect(query).toEqual({
      refId: 'A',
      expr: 'up{a="a\\"b"}',
      datasource: { type: 'podscope-fleet-datasource', uid: 'podscope' },
    });
  });
});

describe('a new query', () => {
  it('is a range in a panel, both in Explore, one number per series in an alert rule', () => {
    const ds = datasource();
    expect(ds.getDefaultQuery(CoreApp.PanelEditor)).toMatchObject({ range: true, legendFormat: '__auto' });
    expect(ds.getDefaultQuery(CoreApp.Explore)).toMatchObject({ range: true, instant: true });
    expect(ds.getDefaultQuery(CoreApp.UnifiedAlerting)).toMatchObject({ range: false, instant: true });
  });
});

describe('ad-hoc filters', () => {
  it('offer the labels and values of what the other filters leave', async () => {
    const ds = datasource();
    const asked = answering(ds, {
      'api/v1/labels': ['__name__', 'gpu', 'instance'],
      'api/v1/label/instance/values': ['gpu-01', 'gpu-02'],
    });
    const filters = [
      { key: 'job', operator: '=', value: 'dcgm' },
      { key: 'instance', operator: '=', value: 'gpu-01' },
    ];
    expect(await ds.getTagKeys({ filters, timeRange: range })).toEqual([{ text: 'gpu' }, { text: 'instance' }]);
    expect(await ds.getTagValues({ key: 'instance', filters, timeRange: range })).toEqual([
      { text: 'gpu-01' },
      { text: 'gpu-02' },
    ]);
    const times = { start: '1767225600', end: '1767312000' };
    expect(asked.mock.calls.map(([path, params]) => [path, params])).toEqual([
      ['api/v1/labels', { 'match[]': ['{job="dcgm",instance="gpu-01"}'], ...times }],
      ['api/v1/label/instance/values', { 'match[]': ['{job="dcgm"}'], ...times }],
    ]);
  });
});

describe("Explore's filters", () => {
  const up: FleetQuery = { refId: 'A', expr: 'up' };

  it('are added, turned round and taken away', () => {
    const ds = datasource();
    const options = { key: 'job', value: 'node' };
    const wanted = ds.toggleQueryFilter(up, { type: 'FILTER_FOR', options });
    expect(wanted.expr).toBe('up{job="node"}');
    expect(ds.queryHasFilter(wanted, options)).toBe(true);
    expect(ds.toggleQueryFilter(wanted, { type: 'FILTER_OUT', options }).expr).toBe('up{job!="node"}');
    expect(ds.toggleQueryFilter(wanted, { type: 'FILTER_FOR', options }).expr).toBe('up');
    expect(ds.modifyQuery(up, { type: 'ADD_FILTER', options }).expr).toBe('up{job="node"}');
    expect(ds.modifyQuery(up, { type: 'ADD_FILTER_OUT', options }).expr).toBe('up{job!="node"}');
    expect(ds.modifyQuery(up, { type: 'SOMETHING_ELSE', options })).toBe(up);
  });
});

describe('an annotation of a Prometheus dashboard', () => {
  it('finds its expression', () => {
    const prepare = datasource().annotations.prepareAnnotation as (json: unknown) => unknown;
    const stored = { name: 'deploys', enable: true, iconColor: 'red', expr: 'changes(a[1m]) > 0' };
    expect(prepare(stored)).toEqual({
      name: 'deploys',
      enable: true,
      iconColor: 'red',
      target: { refId: 'Anno', expr: 'changes(a[1m]) > 0', range: true },
    });
    const ours = { name: 'x', enable: true, iconColor: 'red', target: { refId: 'A', expr: 'up' } };
    expect(prepare(ours)).toEqual(ours);
  });
});

describe('a query for events', () => {
  const events: FleetQuery = { refId: 'A', queryType: 'events', expr: '{instance=~"$node"} |= "$who"', format: 'logs' };

  it('has its variables replaced and no ad-hoc filter of series', () => {
    const filters = [{ key: 'job', operator: '=', value: 'node' }];
    expect(datasource().applyTemplateVariables(events, {}, filters)).toEqual({
      ...events,
      expr: '{instance=~"(gpu-01\\\\.a|gpu-02)"} |= "a\\"b"',
    });
  });

  it('runs without a selector too, and is what a new annotation asks', () => {
    const ds = datasource();
    expect(ds.filterQuery({ ...events, expr: '' })).toBe(true);
    expect(ds.filterQuery({ ...events, hide: true })).toBe(false);
    expect(ds.annotations.getDefaultQuery?.()).toEqual({
      queryType: 'events',
      expr: '{kind=~"incident|change|alarm"}',
      format: 'annotations',
    });
  });

  it('is left alone by filters for series', () => {
    const ds = datasource();
    const options = { key: 'job', value: 'node' };
    expect(ds.toggleQueryFilter(events, { type: 'FILTER_FOR', options })).toBe(events);
    expect(ds.modifyQuery(events, { type: 'ADD_FILTER', options })).toBe(events);
    expect(ds.queryHasFilter(events, options)).toBe(false);
  });
});

describe('a query variable', () => {
  async function valuesOf(query: unknown, answers: Record<string, unknown>) {
    const ds = datasource();
    const asked = answering(ds, answers);
    const { data } = await lastValueFrom(ds.variables.query(request([query as VariableQuery])));
    const [frame] = data as { fields: { name: string; values: string[] }[] }[];
    const [text, value] = frame?.fields ?? [];
    expect([text?.name, value?.name]).toEqual(['text', 'value']);
    expect(value?.values).toEqual(text?.values);
    const [path, params] = asked.mock.calls[0] ?? [];
    return { values: text?.values, path, params: params as Record<string, unknown> | undefined };
  }

  it('lists the values of a label, its own variables replaced', async () => {
    const { values, path, params } = await valuesOf('label_values(up{instance=~"$node"}, instance)', {
      'api/v1/label/instance/values': ['a', 'b'],
    });
    expect(values).toEqual(['a', 'b']);
    expect(path).toBe('api/v1/label/instance/values');
    expect(params?.['match[]']).toEqual(['up{instance=~"(gpu-01\\\\.a|gpu-02)"}']);
    expect(params).toMatchObject({ start: '1767225600', end: '1767312000' });
  });

  it('reads the object that Prometheus dashboards store', async () => {
    const stored = { qryType: 1, query: 'label_values(Hostname)', refId: 'PrometheusVariableQueryEditor-VariableQuery' };
    const { values, params } = await valuesOf(stored, { 'api/v1/label/Hostname/values': ['a'] });
    expect(values).toEqual(['a']);
    expect(params).not.toHaveProperty('match[]');
  });

  it('lists metrics that match a regular expression', async () => {
    const { values, params } = await valuesOf('metrics(node_.*)', { 'api/v1/label/__name__/values': ['node_load1'] });
    expect(values).toEqual(['node_load1']);
    expect(params?.['match[]']).toEqual(['{__name__=~"node_.*"}']);
  });

  it('lists label names, without the metric name', async () => {
    const { values } = await valuesOf('label_names()', { 'api/v1/labels': ['__name__', 'gpu'] });
    expect(values).toEqual(['gpu']);
    const { params } = await valuesOf('label_names(gpu)', { 'api/v1/labels': [] });
    expect(params?.['match[]']).toEqual(['{__name__=~".*gpu.*"}']);
  });

  it('writes query results as dashboards take them apart, at the end of the range', async () => {
    const { values, params } = await valuesOf('query_result(max_over_time(a[$__range]))', {
      'api/v1/query': {
        resultType: 'vector',
        result: [
          { metric: { __name__: 'a', gpu: '0', job: 'x' }, value: [1767312000.5, '42'] },
          { metric: {}, value: [1767312000, '1'] },
        ],
      },
    });
    expect(values).toEqual(['a{gpu="0",job="x"} 42 1767312000500', '{} 1 1767312000000']);
    expect(params).toEqual({ query: 'max_over_time(a[86400s])', time: '1767312000' });
  });

  it('writes a scalar as its value', async () => {
    const { values } = await valuesOf('query_result(scalar(up))', {
      'api/v1/query': { resultType: 'scalar', result: [1, '7'] },
    });
    expect(values).toEqual(['7']);
  });

  it('lists series of a selector', async () => {
    const { values } = await valuesOf('up{job="node"}', {
      'api/v1/series': [{ __name__: 'up', instance: 'a' }, { __name__: 'x' }],
    });
    expect(values).toEqual(['up{instance="a"}', 'x']);
  });

  it('asks nothing before there is something to ask', async () => {
    const { values, path } = await valuesOf({ refId: 'A', query: 'label_values()' }, {});
    expect(values).toEqual([]);
    expect(path).toBeUndefined();
  });

  it.each([
    ['an answer', () => Promise.resolve({ status: 'error', error: 'no node answered' })],
    // What Grafana throws for a status that is not 2xx is no Error.
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors
    ['a status', () => Promise.reject({ status: 502, data: { status: 'error', error: 'no node answered' } })],
  ])('fails with what the backend says in %s', async (_where, answer) => {
    const ds = datasource();
    jest.spyOn(ds, 'getResource').mockImplementation(answer);
    await expect(lastValueFrom(ds.variables.query(request([{ refId: 'A', query: 'metrics(a)' }])))).rejects.toThrow(
      'no node answered'
    );
  });
});
