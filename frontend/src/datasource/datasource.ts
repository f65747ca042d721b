/** The datasource as Grafana's frontend sees it. Queries run in the backend; here is what needs the browser. */
import {
  type AdHocVariableFilter,
  type AnnotationQuery,
  type AnnotationSupport,
  CoreApp,
  type DataQueryRequest,
  type DataQueryResponse,
  type DataSourceApi,
  type DataSourceGetTagKeysOptions,
  type DataSourceGetTagValuesOptions,
  type DataSourceInstanceSettings,
  type MetricFindValue,
  type QueryFilterOptions,
  type QueryFixAction,
  type ScopedVars,
  type ToggleFilterAction,
} from '@grafana/data';
import { DataSourceWithBackend, type TemplateSrv, getTemplateSrv } from '@grafana/runtime';
import { type DataQuery } from '@grafana/schema';
import { type Observable, map } from 'rxjs';

import { finish } from './answer';
import { FleetClient } from './client';
import { NEW_EVENTS, isEvents } from './events';
import { importQueries } from './importQueries';
import { type Matcher, addMatchers, hasMatcher, matcherOf, removeMatchers, writeMatcher } from './matchers';
import { type Formatter, interpolate } from './templating';
import { AUTO_LEGEND, type FleetOptions, type FleetQuery } from './types';
import { FleetVariableSupport } from './variables';

export class FleetDataSource extends DataSourceWithBackend<FleetQuery, FleetOptions> {
  override annotations: AnnotationSupport<FleetQuery> = {
    prepareAnnotation,
    getDefaultQuery: () => ({ ...NEW_EVENTS, format: 'annotations' }),
  };

  override variables: FleetVariableSupport;

  readonly client: FleetClient;

  constructor(
    settings: DataSourceInstanceSettings<FleetOptions>,
    private readonly templateSrv: TemplateSrv = getTemplateSrv()
  ) {
    super(settings);
    // Errors are shown where they arise; a toast besides would say everything twice.
    this.client = new FleetClient((path, params) =>
      this.getResource<unknown>(path, params, { showErrorAlert: false })
    );
    this.variables = new FleetVariableSupport(this);
  }

  override getDefaultQuery(app: CoreApp): Partial<FleetQuery> {
    switch (app) {
      case CoreApp.UnifiedAlerting:
      case CoreApp.CloudAlerting:
        // A rule asks one number per series: what it shows is what it decides on.
        return { expr: '', instant: true, range: false };
      case CoreApp.Explore:
        return { expr: '', range: true, instant: true, legendFormat: AUTO_LEGEND };
      default:
        return { expr: '', range: true, legendFormat: AUTO_LEGEND };
    }
  }

  override getQueryDisplayText(query: FleetQuery): string {
    return query.queryType === 'inventory' ? `inventory: ${query.what ?? 'flows'}` : query.expr;
  }

  override filterQuery(query: FleetQuery): boolean {
    // No selector means every event.
    return query.hide !== true && (isEvents(query) || query.queryType === 'inventory' || (typeof query.expr === 'string' && query.expr.trim() !== ''));
  }

  override query(request: DataQueryRequest<FleetQuery>): Observable<DataQueryResponse> {
    const utcOffsetSec = utcOffset(request);
    const targets = request.targets.map((target) => ({ ...target, utcOffsetSec }));
    return super.query({ ...request, targets }).pipe(map((response) => finish(response, request)));
  }

  override applyTemplateVariables(
    query: FleetQuery,
    scopedVars: ScopedVars,
    filters: AdHocVariableFilter[] = []
  ): FleetQuery {
    if (query.queryType === 'inventory') {
      // Most have nothing but what they list.
      return typeof query.expr === 'string' ? { ...query, expr: this.interpolate(query.expr, scopedVars) } : query;
    }
    if (isEvents(query)) {
      // Ad-hoc filters are about series: an event has other labels, and would vanish.
      return { ...query, expr: this.interpolate(query.expr, scopedVars) };
    }
    const applied: FleetQuery = {
      ...query,
      expr: addMatchers(this.interpolate(query.expr, scopedVars), this.matchers(filters, scopedVars)),
    };
    if (query.legendFormat !== undefined) {
      applied.legendFormat = this.templateSrv.replace(query.legendFormat, scopedVars);
    }
    if (query.interval !== undefined) {
      applied.interval = this.interpolate(query.interval, scopedVars);
    }
    return applied;
  }

  override interpolateVariablesInQueries(
    queries: FleetQuery[],
    scopedVars: ScopedVars,
    filters?: AdHocVariableFilter[]
  ): FleetQuery[] {
    return queries.map((query) => ({
      ...this.applyTemplateVariables(query, scopedVars, filters),
      datasource: this.getRef(),
    }));
  }

  /** Replaces template variables in PromQL. */
  interpolate(expr: string, scopedVars?: ScopedVars): string {
    const replace = (text: string, scoped: ScopedVars | undefined, format: Formatter) =>
      this.templateSrv.replace(text, scoped, format);
    return interpolate(expr, replace, scopedVars);
  }

  /** Names of the template variables, for completion. */
  variableNames(): string[] {
    return this.templateSrv.getVariables().map(({ name }) => name);
  }

  override async getTagKeys(options?: DataSourceGetTagKeysOptions<FleetQuery>): Promise<MetricFindValue[]> {
    const selector = this.selector(options?.filters);
    const names = await this.client.labelNames(selector, options?.timeRange);
    return names.filter((name) => name !== '__name__').map((text) => ({ text }));
  }

  override async getTagValues(options: DataSourceGetTagValuesOptions<FleetQuery>): Promise<MetricFindValue[]> {
    // The filter that is being edited must not narrow its own values.
    const others = options.filters.filter(({ key }) => key !== options.key);
    const values = await this.client.labelValues(options.key, this.selector(others), options.timeRange);
    return values.map((text) => ({ text }));
  }

  override importQueries(queries: DataQuery[], origin: DataSourceApi): Promise<FleetQuery[]> {
    return importQueries(queries, origin);
  }

  /** Explore's "filter for value" and "filter out value". */
  override modifyQuery(query: FleetQuery, action: QueryFixAction): FleetQuery {
    const { key = '', value = '' } = action.options ?? {};
    if (isEvents(query) || key === '' || (action.type !== 'ADD_FILTER' && action.type !== 'ADD_FILTER_OUT')) {
      return query;
    }
    const operator = action.type === 'ADD_FILTER' ? '=' : '!=';
    return { ...query, expr: addMatchers(query.expr, [{ label: key, operator, value }]) };
  }

  toggleQueryFilter(query: FleetQuery, { type, options }: ToggleFilterAction): FleetQuery {
    if (isEvents(query)) {
      return query;
    }
    const { key: label = '', value = '' } = options;
    const wanted: Matcher = { label, operator: type === 'FILTER_FOR' ? '=' : '!=', value };
    const opposite: Matcher = { label, operator: type === 'FILTER_FOR' ? '!=' : '=', value };
    const there = hasMatcher(query.expr, wanted);
    const cleared = removeMatchers(query.expr, [wanted, opposite]);
    return { ...query, expr: there ? cleared : addMatchers(cleared, [wanted]) };
  }

  queryHasFilter(query: FleetQuery, { key: label = '', value = '' }: QueryFilterOptions): boolean {
    return !isEvents(query) && hasMatcher(query.expr, { label, operator: '=', value });
  }

  private matchers(filters: AdHocVariableFilter[], scopedVars: ScopedVars): Matcher[] {
    const replace = (text: string) => this.templateSrv.replace(text, scopedVars);
    return filters.flatMap(
      (filter) =>
        matcherOf({ ...filter, value: replace(filter.value), values: filter.values?.map(replace) }) ?? []
    );
  }

  private selector(filters: AdHocVariableFilter[] = []): string[] {
    const matchers = this.matchers(filters, {});
    return matchers.length === 0 ? [] : [`{${matchers.map(writeMatcher).join(',')}}`];
  }
}

/** Seconds east of UTC in the dashboard's zone at the end of the range: days then start at local midnight. */
function utcOffset({ timezone, range }: DataQueryRequest<FleetQuery>): number {
  return timezone === 'utc' ? 0 : range.to.utcOffset() * 60;
}

/** Annotations of Grafana's Prometheus datasource keep the expression beside the target, under `expr`. */
function prepareAnnotation(stored: AnnotationQuery<FleetQuery> & { expr?: unknown }): AnnotationQuery<FleetQuery> {
  const { expr, ...annotation } = stored;
  if (typeof expr !== 'string' || expr === '' || annotation.target?.expr) {
    return annotation;
  }
  return { ...annotation, target: { ...annotation.target, refId: annotation.target?.refId ?? 'Anno', expr, range: true } };
}
