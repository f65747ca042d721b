/** The preview server's API: Grafana's own paths and bodies, answered by the plugin under the built-in plugin host. */
import { type DataFrame, dataFrameFromJSON, type DataFrameJSON } from '@grafana/data';

import type { Dashboard, Target } from './model';
import type { Bounds } from './time';

const RESOURCES = '/api/datasources/uid/podscope/resources';

export interface DashboardEntry {
  uid: string;
  title: string;
}

/** The answer to one refId: frames, or the error in one sentence. */
export interface QueryResult {
  frames: DataFrame[];
  error?: string;
}

async function json(path: string, init?: RequestInit): Promise<unknown> {
  const response = await fetch(path, init);
  const text = await response.text();
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw new Error(`${path} answered ${String(response.status)} and no JSON`);
  }
  if (!response.ok && !hasKey(body, 'results')) {
    const message = hasKey(body, 'message') ? String(body.message) : hasKey(body, 'error') ? String(body.error) : '';
    throw new Error(message === '' ? `${path} answered ${String(response.status)}` : message);
  }
  return body;
}

function hasKey<K extends string>(value: unknown, key: K): value is Record<K, unknown> {
  return typeof value === 'object' && value !== null && key in value;
}

export async function listDashboards(): Promise<DashboardEntry[]> {
  return (await json('/api/dashboards')) as DashboardEntry[];
}

export async function loadDashboard(uid: string): Promise<Dashboard> {
  return (await json(`/api/dashboards/uid/${encodeURIComponent(uid)}`)) as Dashboard;
}

interface WireResult {
  error?: string;
  frames?: DataFrameJSON[];
}

/** Runs a panel's queries in one request, as Grafana does. */
export async function query(
  targets: readonly Target[],
  bounds: Bounds,
  signal: AbortSignal
): Promise<Map<string, QueryResult>> {
  const body = { from: String(bounds.from), to: String(bounds.to), queries: targets };
  const answer = await json('/api/ds/query', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    signal,
  });
  const results = hasKey(answer, 'results') ? (answer.results as Record<string, WireResult>) : {};
  return new Map(
    Object.entries(results).map(([refId, { error, frames }]) => [
      refId,
      {
        frames: (frames ?? []).map((frame) => ({ ...dataFrameFromJSON(frame), refId })),
        ...(error === undefined ? {} : { error }),
      },
    ])
  );
}

/** Values of a label among the series that match and have samples in the range. */
export async function labelValues(label: string, selector: string | undefined, bounds: Bounds): Promise<string[]> {
  const parameters = new URLSearchParams({
    start: String(bounds.from / 1000),
    end: String(bounds.to / 1000),
  });
  if (selector !== undefined) {
    parameters.set('match[]', selector);
  }
  const answer = await json(`${RESOURCES}/api/v1/label/${label}/values?${parameters.toString()}`);
  const data = hasKey(answer, 'data') ? (answer.data as string[]) : [];
  return [...data].sort((a, b) => a.localeCompare(b, undefined, { numeric: true }));
}
