/** Query variables. The editor is in `VariableEditor`; what the texts mean is in `variableQuery`. */
import {
  CustomVariableSupport,
  type DataQueryRequest,
  type DataQueryResponse,
  FieldType,
  type ScopedVars,
  type TimeRange,
  toDataFrame,
} from '@grafana/data';
import { type Observable, from, map } from 'rxjs';

import { type FleetClient } from './client';
import { type FleetDataSource } from './datasource';
import { VariableEditor } from './VariableEditor';
import { expandMacros } from './templating';
import { type FleetOptions, type FleetQuery } from './types';
import { type VariableQuery, isComplete, parseVariable, textOf } from './variableQuery';

export class FleetVariableSupport extends CustomVariableSupport<FleetDataSource, VariableQuery, FleetQuery, FleetOptions> {
  override editor = VariableEditor;

  constructor(private readonly datasource: FleetDataSource) {
    super();
  }

  override query(request: DataQueryRequest<VariableQuery>): Observable<DataQueryResponse> {
    // A dashboard made for Prometheus may hold a bare text here instead of an object.
    const [target]: unknown[] = request.targets;
    return from(this.values(textOf(target), request.range, request.scopedVars)).pipe(
      map((values) => ({
        data: [
          toDataFrame({
            fields: [
              { name: 'text', type: FieldType.string, values },
              { name: 'value', type: FieldType.string, values },
            ],
          }),
        ],
      }))
    );
  }

  values(text: string, range: TimeRange, scopedVars?: ScopedVars): Promise<string[]> {
    return variableValues(expandMacros(this.datasource.interpolate(text, scopedVars), range), this.datasource.client, range);
  }
}

/** The values of a variable's query, its own variables already replaced. */
export async function variableValues(text: string, client: FleetClient, range: TimeRange): Promise<string[]> {
  const variable = parseVariable(text);
  if (!isComplete(variable)) {
    return [];
  }
  switch (variable.kind) {
    case 'label_names': {
      const matchers = variable.part === '' ? [] : [`{__name__=~${JSON.stringify(`.*${variable.part}.*`)}}`];
      const names = await client.labelNames(matchers, range);
      return names.filter((name) => name !== '__name__');
    }
    case 'label_values':
      return client.labelValues(variable.label, variable.selector === '' ? [] : [variable.selector], range);
    case 'metrics':
      return client.labelValues('__name__', [`{__name__=~${JSON.stringify(variable.regex)}}`], range);
    case 'query_result':
      return queryResult(variable.expr, client, range);
    case 'series':
      return (await client.series([variable.selector], range)).map(writeSeries);
  }
}

async function queryResult(expr: string, client: FleetClient, range: TimeRange): Promise<string[]> {
  const answer = await client.instant(expr, range);
  switch (answer.resultType) {
    case 'scalar':
    case 'string':
      return [answer.result[1]];
    case 'vector':
      // `name{label="value"} value time`: what the regular expressions of existing dashboards take apart.
      return answer.result.map(({ metric, value: [time, value] }) => `${writeResult(metric)} ${value} ${time * 1000}`);
    case 'matrix':
      throw new Error('query_result needs an expression that answers one value per series, this one answers a range');
  }
}

function writeResult({ __name__: name = '', ...labels }: Record<string, string>): string {
  return `${name}{${pairs(labels)}}`;
}

function writeSeries({ __name__: name = '', ...labels }: Record<string, string>): string {
  const written = pairs(labels);
  return written === '' && name !== '' ? name : `${name}{${written}}`;
}

function pairs(labels: Record<string, string>): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${value}"`)
    .join(',');
}
