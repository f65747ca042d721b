import {
  CoreApp,
  type DataFrame,
  type DataQueryRequest,
  FieldType,
  dateTime,
  toDataFrame,
} from '@grafana/data';

import { finish } from './answer';
import { type FleetQuery } from './types';

function request(targets: FleetQuery[], app: string = CoreApp.Dashboard): DataQueryRequest<FleetQuery> {
  const to = dateTime(60_000);
  return {
    app,
    requestId: '1',
    interval: '1s',
    intervalMs: 1000,
    range: { from: dateTime(0), to, raw: { from: dateTime(0), to } },
    scopedVars: {},
    startTime: 0,
    timezone: 'utc',
    targets,
  };
}

function table(refId: string): DataFrame {
  return toDataFrame({
    refId,
    fields: [
      { name: 'Time', type: FieldType.time, values: [1] },
      { name: 'gpu', type: FieldType.string, values: ['0'] },
      { name: 'Value', type: FieldType.number, values: [42] },
    ],
  });
}

function instant(refId: string): DataFrame {
  return toDataFrame({
    refId,
    meta: { custom: { resultType: 'vector' } },
    fields: [
      { name: 'Time', type: FieldType.time, values: [60_000] },
      { name: 'up', type: FieldType.number, values: [1], labels: { instance: 'b', job: 'node' }, config: { unit: 'short' } },
      { name: 'up', type: FieldType.number, values: [0], labels: { instance: 'a' } },
    ],
  });
}

function names(frames: unknown[]): string[][] {
  return (frames as DataFrame[]).map(({ fields }) => fields.map(({ name }) => name));
}

describe('an answer of the backend', () => {
  it('keeps the value column of a single table', () => {
    const { data } = finish({ data: [table('A')] }, request([{ refId: 'A', expr: 'up', format: 'table' }]));
    expect(names(data)).toEqual([['Time', 'gpu', 'Value']]);
  });

  it('names the value columns of several tables after their queries', () => {
    const targets: FleetQuery[] = ['A', 'B'].map((refId) => ({ refId, expr: 'up', format: 'table' }));
    const { data } = finish({ data: [table('A'), table('B')] }, request(targets));
    expect(names(data)).toEqual([
      ['Time', 'gpu', 'Value #A'],
      ['Time', 'gpu', 'Value #B'],
    ]);
  });

  it('does not count queries that are no tables', () => {
    const targets: FleetQuery[] = [
      { refId: 'A', expr: 'up', format: 'table' },
      { refId: 'B', expr: 'up' },
    ];
    const { data } = finish({ data: [table('A'), instant('B')] }, request(targets));
    expect(names(data)).toEqual([
      ['Time', 'gpu', 'Value'],
      ['Time', 'up', 'up'],
    ]);
  });

  it('is a table in Explore when it is instant', () => {
    const { data } = finish({ data: [instant('A')] }, request([{ refId: 'A', expr: 'up' }], CoreApp.Explore));
    const [frame] = data as DataFrame[];
    expect(frame?.meta?.preferredVisualisationType).toBe('rawPrometheus');
    expect(frame?.length).toBe(2);
    expect(frame?.fields.map(({ name, values }) => [name, values])).toEqual([
      ['Time', [60_000, 60_000]],
      ['instance', ['b', 'a']],
      ['job', ['node', '']],
      ['Value', [1, 0]],
    ]);
    expect(frame?.fields.at(-1)?.config.unit).toBe('short');
  });

  it('stays empty when it is empty', () => {
    const empty = toDataFrame({ refId: 'A', fields: [] });
    expect(finish({ data: [empty] }, request([{ refId: 'A', expr: 'up', format: 'table' }])).data).toEqual([empty]);
  });
});

test('an empty heatmap has no frame, and an empty graph keeps the one that carries its notices', () => {
  const empty = (refId: string): DataFrame => ({ refId, fields: [], length: 0 });
  const targets: FleetQuery[] = [
    { refId: 'A', expr: 'a', format: 'heatmap' },
    { refId: 'B', expr: 'b' },
  ];
  const { data } = finish({ data: [empty('A'), empty('B')] }, request(targets));
  expect(data.map(({ refId }: DataFrame) => refId)).toEqual(['B']);
});
