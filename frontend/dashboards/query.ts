/** The datasource's query as a dashboard carries it, and its builder for the foundation SDK. */
import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';

export const DATASOURCE_TYPE = 'podscope-fleet-datasource';

/** Every panel and variable asks the datasource chosen in the dashboard's variable. */
export const DATASOURCE = { type: DATASOURCE_TYPE, uid: '${ds}' } as const;

export interface QuerySpec {
  expr: string;
  /** Legend template, for example `{{instance}}`; without it the label set is shown. */
  legend?: string;
  /** `table` and `heatmap` shape the answer; default `time_series`. */
  format?: 'time_series' | 'table' | 'heatmap';
  /** One value at the end of the range in place of a series. */
  instant?: boolean;
  /** Least step, for example `1m`. */
  interval?: string;
}

/** What happened, in place of numbers. */
export interface EventsSpec {
  /** Event selector with line filters: `{kind="change"} |= "prefetch"`. */
  events: string;
  format: 'table' | 'logs' | 'annotations';
  limit?: number;
}

class EventsQuery implements Builder<Dataquery> {
  public constructor(
    private readonly refId: string,
    private readonly spec: EventsSpec
  ) {}

  public build(): Dataquery {
    const { events, format, limit } = this.spec;
    const query = {
      refId: this.refId,
      datasource: DATASOURCE,
      queryType: 'events',
      expr: events,
      format,
      ...(limit === undefined ? {} : { limit }),
    };
    return query as unknown as Dataquery;
  }
}

/** What is there now. */
export interface InventorySpec {
  what: 'flows';
}

class InventoryQuery implements Builder<Dataquery> {
  public constructor(
    private readonly refId: string,
    private readonly spec: InventorySpec
  ) {}

  public build(): Dataquery {
    const query = { refId: this.refId, datasource: DATASOURCE, queryType: 'inventory', what: this.spec.what };
    return query as unknown as Dataquery;
  }
}

export type AnySpec = QuerySpec | EventsSpec | InventorySpec;

class PromqlQuery implements Builder<Dataquery> {
  public constructor(
    private readonly refId: string,
    private readonly spec: QuerySpec
  ) {}

  public build(): Dataquery {
    const { expr, legend, format, instant, interval } = this.spec;
    const query = {
      refId: this.refId,
      datasource: DATASOURCE,
      queryType: 'promql',
      expr,
      format: format ?? 'time_series',
      range: instant !== true,
      instant: instant === true,
      legendFormat: legend ?? '__auto',
      ...(interval === undefined ? {} : { interval }),
    };
    return query as unknown as Dataquery;
  }
}

/** Builders for a panel's queries, with refIds A, B, C, ... in order. */
export function targets(queries: readonly AnySpec[]): Builder<Dataquery>[] {
  return queries.map((spec, index) => {
    const refId = String.fromCharCode(65 + index);
    if ('what' in spec) {
      return new InventoryQuery(refId, spec);
    }
    return 'events' in spec ? new EventsQuery(refId, spec) : new PromqlQuery(refId, spec);
  });
}

/** Events marked on every time series of a dashboard. */
export function annotation(name: string, color: string, selector: string): Record<string, unknown> {
  return {
    name,
    enable: true,
    iconColor: color,
    datasource: DATASOURCE,
    target: { ...new EventsQuery('Anno', { events: selector, format: 'annotations' }).build() },
  };
}
