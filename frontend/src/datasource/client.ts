/** The datasource's resources: the Prometheus HTTP API, and what is ours (`parse`, `functions`, `inventory`). */
import { type TimeRange } from '@grafana/data';

import { errorText } from './errors';
import { type Inventory } from './inventory';

/** `DataSourceWithBackend.getResource`. */
export type GetResource = (path: string, params?: Record<string, unknown>) => Promise<unknown>;

interface PrometheusAnswer<T> {
  status: 'success' | 'error';
  data: T;
  error?: string;
}

export interface MetricMetadata {
  type: string;
  help: string;
  unit?: string;
}

export type InstantResult =
  | { resultType: 'vector'; result: { metric: Record<string, string>; value: [number, string] }[] }
  | { resultType: 'scalar' | 'string'; result: [number, string] }
  | { resultType: 'matrix'; result: unknown[] };

export type ParseAnswer = { ok: true; type?: string } | { ok: false; error: string; position?: number | null };

/** Every failure is an `Error` that says what the backend said. */
export class FleetClient {
  constructor(private readonly resource: GetResource) {}

  labelNames(matchers: string[], range?: TimeRange): Promise<string[]> {
    return this.api('api/v1/labels', { ...matching(matchers), ...within(range) });
  }

  labelValues(label: string, matchers: string[], range?: TimeRange): Promise<string[]> {
    return this.api(`api/v1/label/${encodeURIComponent(label)}/values`, { ...matching(matchers), ...within(range) });
  }

  series(matchers: string[], range?: TimeRange): Promise<Record<string, string>[]> {
    return this.api('api/v1/series', { ...matching(matchers), ...within(range) });
  }

  metadata(): Promise<Record<string, MetricMetadata[]>> {
    return this.api('api/v1/metadata', {});
  }

  /** Evaluates at the end of the range. */
  instant(query: string, range?: TimeRange): Promise<InstantResult> {
    return this.api('api/v1/query', { query, ...(range && { time: String(range.to.valueOf() / 1000) }) });
  }

  async parse(expr: string): Promise<ParseAnswer> {
    return (await this.get('parse', { expr })) as ParseAnswer;
  }

  /** The functions and aggregations the backend knows. */
  async functions(): Promise<string[]> {
    const answer = await this.get('functions');
    return names(answer);
  }

  async inventory(): Promise<Inventory> {
    return (await this.get('inventory')) as Inventory;
  }

  private async get(path: string, params?: Record<string, unknown>): Promise<unknown> {
    try {
      return await this.resource(path, params);
    } catch (thrown) {
      throw new Error(errorText(thrown), { cause: thrown });
    }
  }

  private async api<T>(path: string, params: Record<string, unknown>): Promise<T> {
    const answer = (await this.get(path, params)) as PrometheusAnswer<T>;
    if (answer.status !== 'success') {
      throw new Error(answer.error ?? `${path} answered without data`);
    }
    return answer.data;
  }
}

function matching(matchers: string[]): Record<string, unknown> {
  return matchers.length === 0 ? {} : { 'match[]': matchers };
}

function within(range?: TimeRange): Record<string, unknown> {
  return range ? { start: String(range.from.valueOf() / 1000), end: String(range.to.valueOf() / 1000) } : {};
}

/** A list of names, or of objects with a name, bare or under `data` or `functions`. */
function names(answer: unknown): string[] {
  if (Array.isArray(answer)) {
    return answer.flatMap((item: unknown) => {
      const name = typeof item === 'object' && item !== null && 'name' in item ? item.name : item;
      return typeof name === 'string' ? [name] : [];
    });
  }
  if (typeof answer === 'object' && answer !== null) {
    return Object.values(answer).flatMap((value: unknown) => (Array.isArray(value) ? names(value) : []));
  }
  return [];
}
