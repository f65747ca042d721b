import { AbstractLabelOperator, type AbstractQuery, type DataSourceApi } from '@grafana/data';
import { type DataQuery } from '@grafana/schema';

import { importQueries } from './importQueries';

function origin(id: string, exported?: AbstractQuery[]): DataSourceApi {
  const datasource = { meta: { id }, ...(exported && { exportToAbstractQueries: () => Promise.resolve(exported) }) };
  return datasource as unknown as DataSourceApi;
}

const panel = {
  refId: 'A',
  expr: 'histogram_quantile(0.9, sum by (le) (rate(a_bucket[$__rate_interval])))',
  legendFormat: '{{le}}',
  format: 'heatmap',
  interval: '15s',
  instant: false,
  range: true,
  hide: true,
  exemplar: true,
  editorMode: 'code',
} as DataQuery;

describe('a panel switched over to this datasource', () => {
  it.each(['prometheus', 'grafana-amazonprometheus-datasource', 'victoriametrics-metrics-datasource', 'mixed'])(
    'keeps every field of its queries from %s',
    async (id) => {
      expect(await importQueries([panel], origin(id))).toEqual([panel]);
    }
  );

  it('keeps them from Prometheus even though it could export label matchers', async () => {
    const prometheus = origin('prometheus', [{ refId: 'A', labelMatchers: [] }]);
    expect(await importQueries([panel], prometheus)).toEqual([panel]);
  });

  it('forgets a query type that means something else elsewhere', async () => {
    const [query] = await importQueries([{ ...panel, queryType: 'timeSeriesQuery' }], origin('prometheus'));
    expect(query).toEqual(panel);
  });

  it('takes label matchers from another language', async () => {
    const loki = origin('loki', [
      {
        refId: 'B',
        labelMatchers: [
          { name: 'job', operator: AbstractLabelOperator.Equal, value: 'node "1"' },
          { name: 'instance', operator: AbstractLabelOperator.NotEqualRegEx, value: 'a.*' },
        ],
      },
    ]);
    const [query] = await importQueries([{ refId: 'B', expr: '{job="x"} |= "y"' } as DataQuery], loki);
    expect(query).toMatchObject({ refId: 'B', expr: '{job="node \\"1\\"",instance!~"a.*"}' });
  });

  it('puts a metric name before the braces', async () => {
    const graphite = origin('graphite', [
      {
        refId: 'A',
        labelMatchers: [
          { name: '__name__', operator: AbstractLabelOperator.Equal, value: 'up' },
          { name: 'job', operator: AbstractLabelOperator.NotEqual, value: 'x' },
        ],
      },
    ]);
    const [query] = await importQueries([{ refId: 'A' }], graphite);
    expect(query?.expr).toBe('up{job!="x"}');
  });

  it('starts anew where nothing can be carried over', async () => {
    expect(await importQueries([{ refId: 'A' }], origin('testdata'))).toEqual([]);
    expect(await importQueries([{ refId: 'A' }], origin('loki', [{ refId: 'A', labelMatchers: [] }]))).toEqual([]);
  });
});
