/**
 * What only the browser can do to an answer: only it knows that the asker is Explore, and all answers that stand side
 * by side. The rules are those of Grafana's Prometheus datasource.
 */
import {
  CoreApp,
  type DataFrame,
  type DataQueryRequest,
  type DataQueryResponse,
  type Field,
  FieldType,
} from '@grafana/data';

import { type FleetQuery } from './types';

const VALUE = 'Value';
const TIME = 'Time';

/** Finishes an answer of the backend. */
export function finish(response: DataQueryResponse, request: DataQueryRequest<FleetQuery>): DataQueryResponse {
  const asTable = new Set(request.targets.filter(({ format }) => format === 'table').map(({ refId }) => refId));
  const explore = request.app === (CoreApp.Explore as string);
  const heatmaps = new Set(request.targets.filter(({ format }) => format === 'heatmap').map(({ refId }) => refId));
  // "No data" is a frame without fields; Grafana's heatmap panel stumbles over one, and says "No data" without it.
  const frames = (response.data as DataFrame[]).filter(
    (frame) => frame.fields.length > 0 || !heatmaps.has(frame.refId ?? '')
  );
  const isTable = (frame: DataFrame) =>
    frame.fields.length > 0 && (asTable.has(frame.refId ?? '') || (explore && isInstant(frame)));

  const several = new Set(frames.filter(isTable).map(({ refId }) => refId)).size > 1;
  const data = frames.map((frame) => {
    if (!isTable(frame)) {
      return frame;
    }
    const table = asTable.has(frame.refId ?? '') ? frame : tableOf(frame);
    return several ? renameValue(table) : table;
  });
  return { ...response, data };
}

/** The answer of an instant query: one value per series. */
function isInstant(frame: DataFrame): boolean {
  const type: unknown = frame.meta?.custom?.resultType;
  return type === 'vector' || type === 'scalar';
}

/** Where several tables stand side by side, each value column says whose it is: `Value #A`. */
function renameValue(frame: DataFrame): DataFrame {
  const fields = frame.fields.map((field) =>
    field.name === VALUE ? { ...field, name: `${VALUE} #${frame.refId ?? ''}` } : field
  );
  return { ...frame, fields };
}

/** Explore shows an instant answer as a table: a row per series, a column per label. */
function tableOf(frame: DataFrame): DataFrame {
  const time = frame.fields.find(({ type }) => type === FieldType.time);
  const series = frame.fields.filter(({ type }) => type === FieldType.number);
  const names = [...new Set(series.flatMap(({ labels }) => Object.keys(labels ?? {})))].sort();
  const at = time?.values.at(-1) as number | undefined;
  const column = (name: string, type: FieldType, values: unknown[], from?: Field): Field => ({
    name,
    type,
    values,
    config: from ? { ...from.config, displayNameFromDS: undefined } : {},
  });
  const fields = [
    column(TIME, FieldType.time, series.map(() => at ?? null), time),
    ...names.map((name) => ({
      ...column(name, FieldType.string, series.map(({ labels }) => labels?.[name] ?? '')),
      config: { filterable: true },
    })),
    column(VALUE, FieldType.number, series.map(({ values }) => values.at(-1) as unknown), series[0]),
  ];
  return {
    ...frame,
    fields,
    length: series.length,
    meta: { ...frame.meta, type: undefined, preferredVisualisationType: 'rawPrometheus' },
  };
}
