/**
 * What becomes of a panel's queries when it is switched to this datasource. Queries in PromQL (Prometheus, Mimir,
 * Thanos, Amazon and Azure managed Prometheus, VictoriaMetrics: all store `expr`) move over as they are; those of
 * another language that Grafana can reduce to label matchers (Loki's) become selectors; the rest cannot be carried.
 *
 * `importFromAbstractQueries` is deliberately not implemented: Grafana would prefer it, and a Prometheus query reduced
 * to its label matchers loses everything else.
 */
import {
  AbstractLabelOperator,
  type AbstractQuery,
  type DataSourceApi,
  hasQueryExportSupport,
} from '@grafana/data';
import { type DataQuery } from '@grafana/schema';

import { type MatchOperator, addMatchers } from './matchers';
import { AUTO_LEGEND, type FleetQuery } from './types';

/** Datasource types whose queries are PromQL in the field `expr`. */
const PROMQL = /prometheus|mimir|thanos|cortex|victoriametrics/i;

export async function importQueries(queries: DataQuery[], origin: DataSourceApi): Promise<FleetQuery[]> {
  const type = origin.meta.id;
  if (PROMQL.test(type) || queries.every((query) => asPromql(query) && !isLogs(query.datasource?.type ?? type))) {
    return queries.flatMap((query) => asPromql(query) ?? []);
  }
  if (hasQueryExportSupport(origin)) {
    const abstract = await origin.exportToAbstractQueries(queries);
    return abstract.map(fromAbstract).filter((query) => query.expr !== '');
  }
  return [];
}

/** Loki keeps LogQL in `expr`: the same field, another language. */
function isLogs(type: string): boolean {
  return /loki|logs/i.test(type);
}

/** A stored query whose `expr` is PromQL, with all its fields; those of other query types of ours are dropped. */
function asPromql(query: DataQuery): FleetQuery | undefined {
  if (!('expr' in query) || typeof query.expr !== 'string') {
    return undefined;
  }
  // `queryType` means other things elsewhere ("timeSeriesQuery", "randomWalk"); without one it is PromQL here.
  const { queryType: _elsewhere, ...fields } = query;
  return { ...fields, expr: query.expr };
}

const OPERATORS: Record<AbstractLabelOperator, MatchOperator> = {
  [AbstractLabelOperator.Equal]: '=',
  [AbstractLabelOperator.NotEqual]: '!=',
  [AbstractLabelOperator.EqualRegEx]: '=~',
  [AbstractLabelOperator.NotEqualRegEx]: '!~',
};

/** A selector of the same labels; a metric name stands before the braces. */
export function fromAbstract({ refId, labelMatchers }: AbstractQuery): FleetQuery {
  const isName = ({ name, operator, value }: AbstractQuery['labelMatchers'][number]) =>
    name === '__name__' && operator === AbstractLabelOperator.Equal && /^[a-zA-Z_:][\w:]*$/.test(value);
  const metric = labelMatchers.find(isName)?.value ?? '';
  const matchers = labelMatchers
    .filter((matcher) => !isName(matcher))
    .map(({ name, operator, value }) => ({ label: name, operator: OPERATORS[operator], value }));
  const expr = matchers.length === 0 ? metric : addMatchers(metric === '' ? '{}' : metric, matchers);
  return { refId, expr, range: true, legendFormat: AUTO_LEGEND };
}
